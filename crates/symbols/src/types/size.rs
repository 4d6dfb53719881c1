//! Sizes of types, found through aliases without describing the types.

use gimli::DwTag;
use gimli::constants as dw;

use super::die::Die;
use super::scalar::constant;
use crate::units::{DieRef, Units, Value};

/// Aliases and arrays in one another.
const MAX_DEPTH: usize = 64;

/// Finds the definition behind an entry that may be a mere declaration.
pub(crate) type Define<'a, 'd> = dyn Fn(Die<'d>) -> Die<'d> + 'a;

/// The size of a type in bytes, where its own entries tell one.
pub(crate) fn byte_size(die: &Die<'_>) -> Option<u64> {
    size_within(die, MAX_DEPTH, &|die| die)
}

/// As [`byte_size`], for a type that may contain declared ones.
pub(crate) fn full_size<'d>(die: &Die<'d>, define: &Define<'_, 'd>) -> Option<u64> {
    size_within(die, MAX_DEPTH, define)
}

fn size_within<'d>(die: &Die<'d>, depth: usize, define: &Define<'_, 'd>) -> Option<u64> {
    if let Some(size) = die.number(dw::DW_AT_byte_size) {
        return Some(size);
    }
    if let Some(bits) = die.number(dw::DW_AT_bit_size) {
        return Some(bits.div_ceil(8));
    }
    let depth = depth.checked_sub(1)?;
    match die.tag() {
        dw::DW_TAG_pointer_type
        | dw::DW_TAG_reference_type
        | dw::DW_TAG_rvalue_reference_type
        | dw::DW_TAG_unspecified_type => Some(8),
        tag if is_alias(tag) || tag == dw::DW_TAG_enumeration_type => {
            element_size(die, depth, define)
        }
        dw::DW_TAG_array_type => {
            let mut size = element_size(die, depth, define)?;
            for count in dimensions(die) {
                size = size.checked_mul(count.known()?)?;
            }
            Some(size)
        }
        // Itanium C++ ABI section 2.3: a pointer to a data member is a
        // ptrdiff_t, one to a member function two.
        dw::DW_TAG_ptr_to_member_type => {
            let target = Die::open(die.units, die.type_reference()?)?;
            Some(if target.tag() == dw::DW_TAG_subroutine_type { 16 } else { 8 })
        }
        _ => None,
    }
}

fn element_size<'d>(die: &Die<'d>, depth: usize, define: &Define<'_, 'd>) -> Option<u64> {
    size_within(&define(Die::open(die.units, die.type_reference()?)?), depth, define)
}

/// The lengths of an array's dimensions, outermost first.
pub(crate) fn dimensions(die: &Die<'_>) -> Vec<Dimension> {
    let ranges = die.children().into_iter().filter(|child| child.tag() == dw::DW_TAG_subrange_type);
    ranges.map(|range| range_length(&range)).collect()
}

/// How long an array is in one dimension.
#[derive(Clone, Copy)]
pub(crate) enum Dimension {
    Known(u64),
    /// As the running program knows; the entry says where.
    Computed(DieRef),
    Unknown,
}

impl Dimension {
    fn known(self) -> Option<u64> {
        match self {
            Self::Known(length) => Some(length),
            Self::Computed(_) | Self::Unknown => None,
        }
    }
}

fn range_length(range: &Die<'_>) -> Dimension {
    let (count, upper) = (range.value(dw::DW_AT_count), range.value(dw::DW_AT_upper_bound));
    let computed = |value: &Value| is_computed(value).then_some(Dimension::Computed(range.at));
    if let Some(known) = [&count, &upper].into_iter().flatten().find_map(computed) {
        return known;
    }
    let length = match (count, upper) {
        (Some(count), _) => count.udata_value(),
        (None, Some(upper)) => constant(upper).and_then(|upper| length_to(upper, range)),
        (None, None) => None,
    };
    length.map_or(Dimension::Unknown, Dimension::Known)
}

/// DWARF 5 section 2.19: an expression, or the entry of a variable.
fn is_computed(value: &Value) -> bool {
    matches!(
        value,
        Value::Exprloc(_)
            | Value::UnitRef(_)
            | Value::DebugInfoRef(_)
            | Value::LocationListsRef(_)
            | Value::DebugLocListsIndex(_)
    )
}

fn length_to(upper: i128, range: &Die<'_>) -> Option<u64> {
    // gcc writes the upper bound of an empty array as -1, also as an unsigned
    // number of 4 or 8 bytes.
    if upper == i128::from(u64::MAX) || upper == i128::from(u32::MAX) {
        return Some(0);
    }
    u64::try_from(upper.checked_sub(lower_bound(range))?.checked_add(1)?.max(0)).ok()
}

/// The number of an array's first element.
pub(crate) fn lower_bound(range: &Die<'_>) -> i128 {
    range.value(dw::DW_AT_lower_bound).and_then(constant).unwrap_or(0)
}

/// Whether a tag is another name or a qualified form of a type.
pub(crate) fn is_alias(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_typedef
            | dw::DW_TAG_template_alias
            | dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type
    )
}

/// The entry under all aliases; `None` for `void` and for what cannot be read.
pub(crate) fn strip(units: &Units, at: DieRef) -> Option<Die<'_>> {
    let mut die = Die::open(units, at)?;
    for _ in 0..MAX_DEPTH {
        if !is_alias(die.tag()) {
            return Some(die);
        }
        die = Die::open(units, die.type_reference()?)?;
    }
    None
}
