//! Base types and enumerations.

use gimli::constants as dw;
use gimli::{AttributeValue, DwAte};
use trapline_core::types::{BaseKind, Enumerator, TypeKind};

use super::die::Die;
use super::size::{byte_size, strip};
use crate::units::Value;

/// The kind of a `DW_TAG_base_type`. DWARF 5 section 5.1.
pub(super) fn base_kind(die: &Die<'_>, name: &str, size: Option<u64>) -> TypeKind {
    let Some(AttributeValue::Encoding(encoding)) = die.value(dw::DW_AT_encoding) else {
        return TypeKind::Other("a base type without encoding".to_owned());
    };
    // Rust's `()` and `!`.
    if size == Some(0) {
        return TypeKind::Void;
    }
    let unreadable = || TypeKind::Other(format!("the floating-point format {name}"));
    if let Some(part) = part_of_complex(encoding, name) {
        let half = size.map(|size| size / 2);
        return match part {
            BaseKind::Float => float_kind(name, half).map_or_else(unreadable, TypeKind::Complex),
            part => TypeKind::Complex(part),
        };
    }
    if encoding == dw::DW_ATE_float {
        return float_kind(name, size).map_or_else(unreadable, TypeKind::Base);
    }
    // gcc calls it a plain number.
    if name == "char8_t" {
        return TypeKind::Base(BaseKind::UnsignedChar);
    }
    match kind_of_encoding(encoding) {
        Some(kind) => TypeKind::Base(kind),
        None => TypeKind::Other(format!("the number format {encoding}")),
    }
}

/// What the parts of a complex number are; `None` for other numbers. For
/// integers, which only GNU C has so, compilers use an encoding of their own.
fn part_of_complex(encoding: DwAte, name: &str) -> Option<BaseKind> {
    match encoding {
        dw::DW_ATE_complex_float => Some(BaseKind::Float),
        dw::DW_ATE_lo_user if !name.starts_with("complex") => None,
        dw::DW_ATE_lo_user if name.contains("unsigned") => Some(BaseKind::Unsigned),
        dw::DW_ATE_lo_user => Some(BaseKind::Signed),
        _ => None,
    }
}

fn kind_of_encoding(encoding: DwAte) -> Option<BaseKind> {
    Some(match encoding {
        dw::DW_ATE_signed => BaseKind::Signed,
        dw::DW_ATE_unsigned | dw::DW_ATE_address => BaseKind::Unsigned,
        dw::DW_ATE_boolean => BaseKind::Bool,
        dw::DW_ATE_signed_char => BaseKind::SignedChar,
        dw::DW_ATE_unsigned_char => BaseKind::UnsignedChar,
        dw::DW_ATE_UTF => BaseKind::Unicode,
        _ => return None,
    })
}

/// DWARF tells neither x87's format from IEEE's quadruple one nor the two of two
/// bytes apart; names do.
fn float_kind(name: &str, size: Option<u64>) -> Option<BaseKind> {
    match size {
        Some(2) if !name.contains("bf16") && !name.contains("bfloat") => Some(BaseKind::Float),
        Some(4 | 8) => Some(BaseKind::Float),
        Some(16) if name.contains("128") => Some(BaseKind::Quad),
        Some(12 | 16) => Some(BaseKind::Float),
        _ => None,
    }
}

/// The kind of a `DW_TAG_enumeration_type`.
pub(super) fn enumeration(die: &Die<'_>, scope: String) -> TypeKind {
    let size = byte_size(die);
    let entries: Vec<_> =
        die.children().into_iter().filter(|child| child.tag() == dw::DW_TAG_enumerator).collect();
    let signed = underlying_signedness(die).unwrap_or_else(|| {
        entries.iter().any(|entry| {
            matches!(entry.value(dw::DW_AT_const_value), Some(AttributeValue::Sdata(value)) if value < 0)
        })
    });
    let enumerators = entries.iter().filter_map(|entry| {
        let value = entry.value(dw::DW_AT_const_value).and_then(constant)?;
        Some(Enumerator { name: entry.name()?, value: fit(value, size, signed) })
    });
    TypeKind::Enum { signed, enumerators: enumerators.collect(), scope }
}

fn underlying_signedness(die: &Die<'_>) -> Option<bool> {
    let encoding = match die.value(dw::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => encoding,
        _ => encoding_of_type(die)?,
    };
    Some(is_signed(encoding))
}

fn encoding_of_type(die: &Die<'_>) -> Option<DwAte> {
    match strip(die.units, die.type_reference()?)?.value(dw::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => Some(encoding),
        _ => None,
    }
}

/// Whether values of the entry's `DW_AT_type` are signed.
pub(crate) fn has_signed_type(die: &Die<'_>) -> bool {
    encoding_of_type(die).is_some_and(is_signed)
}

fn is_signed(encoding: DwAte) -> bool {
    matches!(encoding, dw::DW_ATE_signed | dw::DW_ATE_signed_char)
}

/// The number of a constant attribute; a form that does not say its signedness
/// counts as unsigned, to be corrected by [`fit`].
pub(crate) fn constant(value: Value) -> Option<i128> {
    match value {
        AttributeValue::Sdata(value) => Some(i128::from(value)),
        AttributeValue::Data16(value) => Some(value.cast_signed()),
        AttributeValue::Block(bytes) => {
            let mut all = [0; 16];
            all.get_mut(..bytes.len())?.copy_from_slice(bytes.slice());
            Some(i128::from_le_bytes(all))
        }
        other => other.udata_value().map(i128::from),
    }
}

/// The number that the low `size` bytes of `value` are in a type of this
/// signedness.
pub(super) fn fit(value: i128, size: Option<u64>, signed: bool) -> i128 {
    let Some(size @ 1..=15) = size else { return value };
    let spare = 128 - size as u32 * 8;
    if signed {
        (value << spare) >> spare
    } else {
        ((value << spare).cast_unsigned() >> spare).cast_signed()
    }
}
