//! Recognising characters.

use trapline_core::types::{BaseKind, Type, TypeKind};

/// Whether a type is one byte of text.
pub(crate) fn is_text_byte(ty: &Type) -> bool {
    let TypeKind::Base(kind) = ty.kind else { return false };
    ty.size == Some(1) && !matches!(kind, BaseKind::Bool | BaseKind::Float | BaseKind::Quad)
}

/// Bytes of a word.
pub(crate) const WORD: usize = 8;
/// The pointer to a data member that leads to none. Itanium C++ ABI, 2.3.
pub(crate) const NO_MEMBER: i64 = -1;
