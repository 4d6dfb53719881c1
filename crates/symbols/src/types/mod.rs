//! Types of C, C++ and Rust programs, described one level deep from DWARF.
//!
//! [`Image::type_at`] reads one entry and leaves links to the rest. Values of
//! the types, and how a language prints them, are left to others.

pub(crate) mod copying;
pub(crate) mod die;
mod local;
mod record;
pub(crate) mod scalar;
pub(crate) mod scopes;
pub(crate) mod size;
pub(crate) mod spelling;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gimli::constants as dw;
use gimli::{DwTag, UnitOffset};
use trapline_core::ModuleId;
use trapline_core::types::{
    AliasFlavour, Count, Language, PointerFlavour, Record, RecordFlavour, Type, TypeKind, TypeLink,
    TypeRef,
};

use crate::Image;
use crate::dies;
use crate::index::{NameKind, Named};
use crate::names::{self, Pattern};
use crate::near::{Distance, Near};
use crate::units::{DieRef, UnitId};
use die::Die;
pub use local::LocalName;
use size::{Dimension, dimensions, full_size};

/// Types of one name that a lookup returns: every unit has its own `size_t`.
const MAX_NAMESAKES: usize = 16;

/// Descriptions made so far, by [`TypeRef::offset`].
#[derive(Debug, Default)]
pub(crate) struct TypeCache(Mutex<HashMap<u64, Arc<Type>>>);

impl TypeCache {
    fn get(&self, offset: u64) -> Option<Arc<Type>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&offset).cloned()
    }

    fn keep(&self, offset: u64, ty: Type) -> Arc<Type> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(offset).or_insert_with(|| Arc::new(ty)).clone()
    }
}

/// Bits of a [`TypeRef::offset`] that hold the place in the unit; the unit's
/// number is above.
const PLACE_BITS: u32 = 40;

pub(crate) fn type_offset(die: DieRef) -> u64 {
    (u64::from(die.unit.0) << PLACE_BITS) | (die.offset.0 as u64 & ((1 << PLACE_BITS) - 1))
}

pub(crate) fn die_of(offset: u64) -> Option<DieRef> {
    let unit = UnitId(u32::try_from(offset >> PLACE_BITS).ok()?);
    let place = usize::try_from(offset & ((1 << PLACE_BITS) - 1)).ok()?;
    Some(DieRef { unit, offset: UnitOffset(place) })
}

/// A link to the type that an entry describes.
pub(crate) fn type_link(module: ModuleId, die: DieRef) -> TypeLink {
    TypeLink::Lazy(TypeRef { module, offset: type_offset(die) })
}

/// The type that an entry describes.
pub(crate) fn type_at_entry(image: &Image, at: DieRef) -> Result<Arc<Type>, String> {
    image.type_at(type_offset(at))
}

impl Image {
    /// The type behind a [`TypeRef`] of this image, described one level deep.
    /// The error is a sentence (corrupt debug information).
    pub fn type_at(&self, offset: u64) -> Result<Arc<Type>, String> {
        if let Some(known) = self.values.types.get(offset) {
            return Ok(known);
        }
        let die = die_of(offset)
            .and_then(|at| Die::open(self.units(), at))
            .ok_or("corrupt debug information: a type refers to nothing")?;
        let ty = self.describe(&self.definition(die));
        Ok(self.values.types.keep(offset, ty))
    }

    /// The types a name means in a cast or `sizeof`: a base type in any order
    /// of its words (`unsigned long`), `struct foo`, `Foo`, `ns::Foo`, a path
    /// that ends with the one given. Those written in full come first.
    pub fn types_named(&self, name: &str) -> Vec<Arc<Type>> {
        let wanted = spelling::Wanted::parse(name);
        let patterns = wanted.patterns();
        let named = patterns.iter().flat_map(|pattern| {
            let named = self.named(pattern.key(), NameKind::Type);
            // What functions have of their own is asked for by their names.
            let whole = move |name: &Named<'_>| pattern.len() > 1 || !name.is_in_function();
            named.filter(whole).filter(|name| self.is_type_meant(pattern, *name))
        });
        let mut found = self.types_among(&wanted, named.map(Named::die));
        found.sort_by_key(|ty| !wanted.spellings.contains(&ty.name));
        found
    }

    /// Those of them in a place's own unit that the name can mean there, the
    /// nearest first: a unit describes what its code names.
    pub fn types_near(&self, name: &str, near: &Near) -> Vec<Arc<Type>> {
        let wanted = spelling::Wanted::parse(name);
        let mut meant = self.types_meant(&wanted, near);
        meant.sort_by_key(|(distance, _)| *distance);
        self.types_among(&wanted, meant.into_iter().map(|(_, at)| at))
    }

    /// How far the nearest type is that a name means at a place where variables
    /// share their names with types: not in Rust, and not C's tags.
    pub fn type_distance(&self, name: &str, near: &Near) -> Option<Distance> {
        let meant = self.types_meant(&spelling::Wanted::parse(name), near).into_iter();
        let shares = |at: DieRef| Die::open(self.units(), at).is_some_and(|die| shares_names(&die));
        meant.filter(|(_, at)| shares(*at)).map(|(distance, _)| distance).min()
    }

    fn types_meant(&self, wanted: &spelling::Wanted, near: &Near) -> Vec<(Distance, DieRef)> {
        let Some(unit) = self.names_of(near.unit) else { return Vec::new() };
        let patterns = wanted.patterns();
        let of = |pattern: &Pattern| -> Vec<(Distance, DieRef)> {
            let named = unit.named(pattern.key(), NameKind::Type);
            let named = named.filter(|name| !name.is_in_block(0));
            let named = named.filter(|name| self.is_type_meant(pattern, *name));
            let meant = named.filter_map(|name| {
                let distance = near.distance(pattern, name.outward(), name.die().unit)?;
                Some((distance, name.die()))
            });
            meant.collect()
        };
        patterns.iter().flat_map(of).collect()
    }

    fn types_among(
        &self,
        wanted: &spelling::Wanted,
        meant: impl Iterator<Item = DieRef>,
    ) -> Vec<Arc<Type>> {
        let mut found: Vec<Arc<Type>> = Vec::new();
        for at in meant {
            let Some(die) = Die::open(self.units(), at) else { continue };
            if !wanted.keyword.is_none_or(|keyword| keyword.fits(die.tag())) {
                continue;
            }
            let Ok(ty) = self.type_at(type_offset(at)) else { continue };
            if !found.iter().any(|known| same_outside(known, &ty)) {
                found.push(ty);
            }
            // A base type is the same in every unit.
            if found.len() >= MAX_NAMESAKES || matches!(found[0].kind, TypeKind::Base(_)) {
                break;
            }
        }
        found
    }

    /// The same, where those described in the unit of another type come alone:
    /// what is local to a file or a function is another type elsewhere.
    pub fn types_beside(&self, name: &str, near: u64) -> Vec<Arc<Type>> {
        let patterns = spelling::Wanted::parse(name).patterns();
        let beside = die_of(near).and_then(|die| self.names_of(die.unit));
        let found: Vec<Arc<Type>> = beside
            .into_iter()
            .flat_map(|unit| {
                patterns.iter().flat_map(|pattern| {
                    let named = unit.named(pattern.key(), NameKind::Type);
                    named.filter(|name| self.is_type_meant(pattern, *name))
                })
            })
            .take(MAX_NAMESAKES)
            .filter_map(|name| self.type_at(type_offset(name.die())).ok())
            .collect();
        if found.is_empty() { self.types_named(name) } else { found }
    }

    fn is_type_meant(&self, pattern: &Pattern, name: Named<'_>) -> bool {
        pattern.matches(name.outward())
            || self
                .name_by_declaration(name)
                .is_some_and(|full| pattern.matches_path(names::components(&full)))
    }

    /// The class of a name as demanglers write it, from the outermost scope.
    pub fn class_demangled(&self, name: &str) -> Option<Arc<Type>> {
        let wanted = spelling::canonical(name);
        let last = names::components(name).last()?;
        let named = self.named(names::base(last), NameKind::Type);
        let types = named.filter_map(|name| self.type_at(type_offset(name.die())).ok());
        let mut classes = types.filter(|ty| matches!(ty.kind, TypeKind::Record(_)));
        classes.find(|ty| spelling::canonical(&ty.name) == wanted)
    }

    /// The name of a definition that stands outside of its scope, with a
    /// reference to the declaration within.
    fn name_by_declaration(&self, name: Named<'_>) -> Option<String> {
        let die = Die::open(self.units(), name.die())?;
        die.has(dw::DW_AT_specification).then(|| self.values.scopes.qualified_name(&die))?
    }

    /// The entry that defines what `die` declares, where one can be found: one of
    /// the same unit before those of others, which may be of something else that
    /// is local there and has the same name.
    fn definition<'a>(&'a self, die: Die<'a>) -> Die<'a> {
        if !die.flag(dw::DW_AT_declaration) {
            return die;
        }
        let (Some(own), Some(full)) = (die.name(), self.values.scopes.qualified_name(&die)) else {
            return die;
        };
        let key = names::base(&own);
        let beside = self.names_of(die.at.unit).into_iter();
        let beside = beside.flat_map(|unit| unit.named(key, NameKind::Type));
        let meant = beside.chain(self.named(key, NameKind::Type)).filter(|name| {
            name.qualified() == full || self.name_by_declaration(*name).as_ref() == Some(&full)
        });
        let mut defined = meant.filter_map(|name| Die::open(self.units(), name.die()));
        defined.find(|candidate| same_keyword(candidate.tag(), die.tag())).unwrap_or(die)
    }

    fn describe(&self, die: &Die<'_>) -> Type {
        let tag = die.tag();
        let size = full_size(die, &|die| self.definition(die));
        let name = match tag {
            dw::DW_TAG_base_type | dw::DW_TAG_unspecified_type => die.name(),
            _ => self.values.scopes.qualified_name(die),
        };
        let name = name.unwrap_or_default();
        let kind = match tag {
            dw::DW_TAG_base_type => scalar::base_kind(die, &name, size),
            dw::DW_TAG_enumeration_type => {
                scalar::enumeration(die, self.values.scopes.of_enumerators(die, &name))
            }
            dw::DW_TAG_array_type => return self.array(die),
            dw::DW_TAG_structure_type
            | dw::DW_TAG_class_type
            | dw::DW_TAG_union_type
            | dw::DW_TAG_interface_type => TypeKind::Record(record::record(die, self.module())),
            dw::DW_TAG_subroutine_type | dw::DW_TAG_subprogram => self.function(die),
            _ => self.derived(die, &name),
        };
        Type { name, size, kind }
    }

    /// Pointers, references, aliases.
    fn derived(&self, die: &Die<'_>, name: &str) -> TypeKind {
        let target = die.type_reference().map(|at| type_link(self.module(), at));
        if let Some(flavour) = pointer_flavour(die.tag(), name) {
            return TypeKind::Pointer { target, flavour };
        }
        if let Some(flavour) = alias_flavour(die.tag()) {
            return TypeKind::Alias { flavour, target };
        }
        match die.tag() {
            // C++'s `decltype(nullptr)`.
            dw::DW_TAG_unspecified_type if name.contains("nullptr") => {
                TypeKind::Pointer { target: None, flavour: PointerFlavour::Pointer }
            }
            dw::DW_TAG_unspecified_type => TypeKind::Void,
            dw::DW_TAG_ptr_to_member_type => self.member_pointer(die, target),
            other => TypeKind::Other(other.to_string()),
        }
    }

    /// The type of `this`, which compilers call constant in a function's
    /// definition and leave as it is in a class (GCC PR 43053).
    fn constant(&self, at: DieRef) -> TypeLink {
        let target = type_link(self.module(), at);
        let is_pointer =
            Die::open(self.units(), at).is_some_and(|die| die.tag() == dw::DW_TAG_pointer_type);
        if !is_pointer {
            return target;
        }
        let kind = TypeKind::Alias { flavour: AliasFlavour::Const, target: Some(target) };
        TypeLink::Known(Arc::new(Type { name: String::new(), size: Some(8), kind }))
    }

    fn member_pointer(&self, die: &Die<'_>, target: Option<TypeLink>) -> TypeKind {
        let class = die.reference(dw::DW_AT_containing_type);
        let class = class.map(|at| type_link(self.module(), at));
        match target {
            Some(target) => TypeKind::MemberPointer { class, target },
            None => TypeKind::Other("a pointer to a member of no type".to_owned()),
        }
    }

    /// Whether a function is one of an object, which it is given.
    pub fn takes_object(&self, function: &crate::Function) -> bool {
        let die = function.die.and_then(|at| Die::open(self.units(), at));
        let has = |die: &Die<'_>| die.has(dw::DW_AT_object_pointer).then_some(());
        die.is_some_and(|die| die.inherited(has).is_some())
    }

    /// The type of a function; `None` when only a symbol names it.
    pub fn function_type(&self, function: &crate::Function) -> Option<Type> {
        let die = Die::open(self.units(), function.die?)?;
        Some(Type { name: String::new(), size: None, kind: self.function(&die) })
    }

    fn function(&self, die: &Die<'_>) -> TypeKind {
        let link = |at| type_link(self.module(), at);
        let result = die.inherited(Die::type_reference).map(link);
        let parameters = die.children().into_iter().filter_map(|child| match child.tag() {
            dw::DW_TAG_formal_parameter => {
                let ty = child.inherited(Die::type_reference)?;
                let made = child.inherited(|die| die.flag(dw::DW_AT_artificial).then_some(()));
                Some(if made.is_some() { self.constant(ty) } else { link(ty) })
            }
            dw::DW_TAG_unspecified_parameters => {
                Some(TypeLink::Known(Arc::new(Type::more_parameters())))
            }
            _ => None,
        });
        TypeKind::Function { result, parameters: parameters.collect() }
    }

    fn count(&self, dimension: Dimension) -> Count {
        match dimension {
            Dimension::Known(length) => Count::Known(length),
            Dimension::Computed(at) => {
                Count::Computed(TypeRef { module: self.module(), offset: type_offset(at) })
            }
            Dimension::Unknown => Count::Unknown,
        }
    }

    /// An array; one of several dimensions is built from the innermost out.
    fn array(&self, die: &Die<'_>) -> Type {
        let name = die.name().unwrap_or_default();
        let Some(element) = die.type_reference() else {
            let kind = TypeKind::Other("an array of nothing".to_owned());
            return Type { name, size: None, kind };
        };
        let mut size = Die::open(self.units(), element)
            .and_then(|die| full_size(&self.definition(die), &|inner| self.definition(inner)));
        let mut counts = dimensions(die);
        if counts.is_empty() {
            counts.push(Dimension::Unknown);
        }
        let mut link = type_link(self.module(), element);
        let mut array = None;
        for count in counts.into_iter().rev().map(|count| self.count(count)) {
            if let Some(inner) = array.take() {
                link = TypeLink::Known(Arc::new(inner));
            }
            size = size.zip(count.known()).and_then(|(size, count)| size.checked_mul(count));
            let kind = TypeKind::Array { element: link.clone(), count };
            array = Some(Type { name: String::new(), size, kind });
        }
        let kind = array.map_or(TypeKind::Void, |array| array.kind);
        let name = self.rust_array(die, element, &kind).unwrap_or(name);
        Type { name, size, kind }
    }

    /// `[i32; 3]`; `None` in other languages, whose arrays have no names.
    fn rust_array(&self, die: &Die<'_>, element: DieRef, kind: &TypeKind) -> Option<String> {
        let TypeKind::Array { count: Count::Known(count), .. } = kind else { return None };
        let is_rust = dies::style(die.unit) == Language::Rust;
        let element = is_rust.then(|| type_at_entry(self, element).ok())??;
        Some(format!("[{}; {count}]", element.name))
    }
}

fn pointer_flavour(tag: DwTag, name: &str) -> Option<PointerFlavour> {
    match tag {
        // rustc writes its references as pointers that are named so.
        dw::DW_TAG_pointer_type if name.starts_with('&') => Some(PointerFlavour::Reference),
        dw::DW_TAG_pointer_type => Some(PointerFlavour::Pointer),
        dw::DW_TAG_reference_type => Some(PointerFlavour::Reference),
        dw::DW_TAG_rvalue_reference_type => Some(PointerFlavour::RvalueReference),
        _ => None,
    }
}

fn alias_flavour(tag: DwTag) -> Option<AliasFlavour> {
    match tag {
        dw::DW_TAG_typedef | dw::DW_TAG_template_alias => Some(AliasFlavour::Typedef),
        dw::DW_TAG_const_type => Some(AliasFlavour::Const),
        dw::DW_TAG_volatile_type => Some(AliasFlavour::Volatile),
        dw::DW_TAG_restrict_type => Some(AliasFlavour::Restrict),
        dw::DW_TAG_atomic_type => Some(AliasFlavour::Atomic),
        _ => None,
    }
}

/// A class may be declared with `struct` and the other way round.
fn same_keyword(one: DwTag, other: DwTag) -> bool {
    let class = |tag| matches!(tag, dw::DW_TAG_structure_type | dw::DW_TAG_class_type);
    one == other || (class(one) && class(other))
}

/// Whether two types of one name cannot be told apart by a user: each unit
/// that includes a header has its own copy.
fn same_outside(one: &Type, other: &Type) -> bool {
    let shape = |ty: &Type| match &ty.kind {
        TypeKind::Record(Record { flavour: RecordFlavour::Union, members, .. }) => {
            (1, members.len())
        }
        TypeKind::Record(record) => (2, record.members.len()),
        TypeKind::Enum { enumerators, .. } => (3, enumerators.len()),
        TypeKind::Alias { .. } => (4, 0),
        TypeKind::Base(_) => (5, 0),
        _ => (6, 0),
    };
    one.name == other.name && one.size == other.size && shape(one) == shape(other)
}

/// Whether variables share their names with a type: not in Rust, and not with
/// C's tags.
fn shares_names(die: &Die<'_>) -> bool {
    match dies::style(die.unit) {
        Language::C => matches!(die.tag(), dw::DW_TAG_typedef | dw::DW_TAG_base_type),
        Language::Cpp => true,
        Language::Rust => false,
    }
}
