//! What objects of C++ are, whatever class the pointer or reference to them is
//! declared with: by the table of virtual functions that they point to. Itanium
//! C++ ABI, 2.5.2. Showing them is left to `values`.

use std::sync::Arc;

use trapline_core::memory::ReadMemory;
use trapline_core::types::{AliasFlavour, PointerFlavour, ResolveType, Type, TypeKind, TypeLink};
use trapline_core::{Pid, VirtAddr};
use trapline_expr::format::type_name;
use trapline_expr::{Purpose, Value, ValuePlace};

use super::Session;
use super::scope::{CodeScope, Types};
use crate::space::Modules;

/// Base classes in one another.
const MAX_BASES: usize = 64;
/// Most bytes of an object that are read for it.
const MAX_OBJECT: u64 = 1 << 20;
/// From the start of a table's part to the place that objects point to: the
/// distance to the top of the object and its type's description.
const HEAD: i64 = 16;

/// A value with what it is, or leads to, as its type.
pub(super) struct Real {
    pub(super) value: Value,
    /// What stands before an object that stands by itself.
    pub(super) prefix: String,
}

/// An object as what it is.
struct Whole {
    ty: Arc<Type>,
    at: VirtAddr,
}

impl Session {
    /// What a value is shown as while objects are to be shown as what they are;
    /// `None` where that is what it is declared to be.
    pub(super) fn as_it_is(&self, pid: Pid, value: &Value) -> Option<Real> {
        if !self.settings.print_object {
            return None;
        }
        let (modules, memory) = (&self.space_of(pid)?.modules, self.memory(pid)?);
        let types = Types(modules);
        let stripped = types.strip(&value.ty).ok()?;
        match &stripped.kind {
            TypeKind::Pointer { target: Some(target), flavour } if stripped.name.is_empty() => {
                let declared = types.follow(target).ok()?;
                let at = VirtAddr::new(value.to_u64()?);
                let whole = whole_object(modules, &memory, &declared, at)?;
                let ty = leading_to(requalified(whole.ty, &declared), *flavour);
                let mut value = Value { ty: Arc::new(ty), ..value.clone() };
                value.bytes.as_mut().copy_from_slice(&whole.at.get().to_le_bytes());
                Some(Real { value, prefix: String::new() })
            }
            TypeKind::Record(_) => {
                let whole = whole_object(modules, &memory, &stripped, value.address()?)?;
                let size = whole.ty.size.filter(|size| *size <= MAX_OBJECT)?;
                let mut bytes = vec![0; usize::try_from(size).ok()?];
                memory.read_exact(whole.at, &mut bytes).ok()?;
                let prefix = format!("({}) ", whole.ty.name);
                let place = Some(ValuePlace::Memory { address: whole.at, bits: None });
                let value = Value { place, ..Value::new(whole.ty, &bytes) };
                Some(Real { value, prefix })
            }
            _ => None,
        }
    }

    /// gdb's words before the type of a variable that is, or leads to, an object
    /// whose class is known; nothing for other expressions, as gdb has it.
    pub(super) fn real_type_comment(&mut self, what: &str) -> String {
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$');
        if !self.settings.print_object || !what.trim().chars().all(is_name) {
            return String::new();
        }
        let Ok(pid) = self.selected().map(|selected| selected.pid) else { return String::new() };
        // What has no value has its declared type alone, which was told.
        let Ok(value) = self.value_of(what, Purpose::Value) else { return String::new() };
        let real = self.as_it_is(pid, &value);
        let (Some(real), Some(space)) = (real, self.space_of(pid)) else { return String::new() };
        let scope = CodeScope::at_place_of(&space.modules, None, &self.known);
        format!("/* real type = {} */\n", type_name(&real.value.ty, &scope))
    }
}

/// The object that a part of it, seen as `class`, belongs to.
fn whole_object(
    modules: &Modules,
    memory: &dyn ReadMemory,
    class: &Arc<Type>,
    at: VirtAddr,
) -> Option<Whole> {
    if !has_table(&Types(modules), class, MAX_BASES) {
        return None;
    }
    let head = VirtAddr::new(word(memory, at)?).wrapping_offset(-HEAD);
    let module = modules.at(head)?;
    let symbol = module.image.symbol_at(module.to_image(head))?;
    let name = symbol.name.strip_prefix("vtable for ")?;
    let ours = module.image.class_demangled(name);
    let elsewhere =
        || modules.in_load_order().find_map(|module| module.image.class_demangled(name));
    let ty = ours.or_else(elsewhere)?;
    Some(Whole { ty, at: at.wrapping_offset(word(memory, head)?.cast_signed()) })
}

fn word(memory: &dyn ReadMemory, at: VirtAddr) -> Option<u64> {
    let mut bytes = [0; 8];
    memory.read_exact(at, &mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// Whether objects of a class begin with a pointer to a table.
fn has_table(types: &Types<'_>, class: &Arc<Type>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let Ok(class) = types.strip(class) else { return false };
    let TypeKind::Record(record) = &class.kind else { return false };
    let begins = |link: &TypeLink| types.follow(link).is_ok_and(|ty| has_table(types, &ty, depth));
    // gcc calls it `_vptr.Class`, clang `_vptr$Class`.
    !record.virtual_bases.is_empty()
        || record.members.iter().filter(|member| member.offset == 0).any(|member| {
            member.name.starts_with("_vptr") || (member.base_class && begins(&member.ty))
        })
}

/// A class with the qualifiers that another one is declared with.
fn requalified(class: Arc<Type>, declared: &Arc<Type>) -> Arc<Type> {
    match &declared.kind {
        TypeKind::Alias { flavour, .. } if *flavour != AliasFlavour::Typedef => {
            let target = Some(TypeLink::Known(class));
            Arc::new(Type {
                kind: TypeKind::Alias { flavour: *flavour, target },
                ..Type::clone(declared)
            })
        }
        _ => class,
    }
}

fn leading_to(target: Arc<Type>, flavour: PointerFlavour) -> Type {
    let target = Some(TypeLink::Known(target));
    let kind = TypeKind::Pointer { target, flavour };
    Type { name: String::new(), size: Some(8), kind }
}
