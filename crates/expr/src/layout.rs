//! Recognising strings that are records of a data pointer and a length: Rust's
//! `&str` and `String`, C++'s `std::string` (libstdc++).

use std::sync::Arc;

use trapline_core::types::{BaseKind, Record, ResolveType, Type, TypeKind};

/// Where a string record keeps its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TextLayout {
    /// Offset of the data pointer.
    pub(crate) pointer: u64,
    /// Offset of the length, an unsigned number of 8 bytes.
    pub(crate) len: u64,
}

/// What a length is called in the libraries we know.
const LENGTHS: [&str; 3] = ["length", "len", "_M_string_length"];

/// The layout of a string record; `None` when the type is no string.
pub(crate) fn text(ty: &Type, types: &dyn ResolveType) -> Option<TextLayout> {
    let TypeKind::Record(record) = &ty.kind else { return None };
    if !names_a_string(&ty.name) {
        return None;
    }
    let finds_pointer = |_: &str, ty: &Type| points_to_bytes(ty, types);
    let finds_len = |name: &str, ty: &Type| LENGTHS.contains(&name) && is_word(ty);
    Some(TextLayout {
        pointer: find(record, types, &mut Budget::default(), &finds_pointer)?,
        len: find(record, types, &mut Budget::default(), &finds_len)?,
    })
}

fn names_a_string(name: &str) -> bool {
    let last = name.split('<').next().unwrap_or(name).rsplit("::").next().unwrap_or(name);
    matches!(last, "&str" | "&mut str" | "String" | "string" | "basic_string")
        || name == "Box<str>"
        || name.contains("::basic_string<char")
}

/// Whether a type is one byte of text.
pub(crate) fn is_text_byte(ty: &Type) -> bool {
    let TypeKind::Base(kind) = ty.kind else { return false };
    ty.size == Some(1) && !matches!(kind, BaseKind::Bool | BaseKind::Float)
}

fn points_to_bytes(ty: &Type, types: &dyn ResolveType) -> bool {
    let TypeKind::Pointer { target: Some(link), .. } = &ty.kind else { return false };
    let target = types.follow(link).and_then(|target| types.strip(&target));
    target.is_ok_and(|target| is_text_byte(&target))
}

fn is_word(ty: &Type) -> bool {
    ty.size == Some(8) && matches!(ty.kind, TypeKind::Base(BaseKind::Unsigned))
}

/// How many members may still be looked at: corrupt debug information can nest
/// records in themselves.
struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(64)
    }
}

impl Budget {
    fn spend(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

/// Offset of the first member, at any depth, that `wanted` accepts by its name
/// and stripped type.
fn find(
    record: &Record,
    types: &dyn ResolveType,
    budget: &mut Budget,
    wanted: &dyn Fn(&str, &Type) -> bool,
) -> Option<u64> {
    for member in &record.members {
        budget.spend()?;
        let Ok(ty) = stripped(types, member) else { continue };
        if wanted(&member.name, &ty) {
            return Some(member.offset);
        }
        if let TypeKind::Record(inner) = &ty.kind
            && let Some(offset) = find(inner, types, budget, wanted)
        {
            return member.offset.checked_add(offset);
        }
    }
    None
}

fn stripped(
    types: &dyn ResolveType,
    member: &trapline_core::types::Member,
) -> Result<Arc<Type>, String> {
    types.strip(&types.follow(&member.ty)?)
}
