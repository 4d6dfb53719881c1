//! Sizes of types, found through aliases without describing the types.

use gimli::DwTag;
use gimli::constants as dw;

use super::die::Die;
use super::scalar::constant;
use crate::units::{DieRef, Units};

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
                size = size.checked_mul(count?)?;
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

/// The lengths of an array's dimensions, outermost first; `None` where only
/// the running program knows.
pub(crate) fn dimensions(die: &Die<'_>) -> Vec<Option<u64>> {
    let ranges = die.children().into_iter().filter(|child| child.tag() == dw::DW_TAG_subrange_type);
    ranges.map(|range| range_length(&range)).collect()
}

fn range_length(range: &Die<'_>) -> Option<u64> {
    if let Some(count) = range.value(dw::DW_AT_count) {
        return count.udata_value();
    }
    let upper = constant(range.value(dw::DW_AT_upper_bound)?)?;
    let lower = range.value(dw::DW_AT_lower_bound).and_then(constant).unwrap_or(0);
    // gcc writes the upper bound of an empty array as -1, also as an unsigned
    // number of 4 or 8 bytes.
    if upper == i128::from(u64::MAX) || upper == i128::from(u32::MAX) {
        return Some(0);
    }
    u64::try_from(upper.checked_sub(lower)?.checked_add(1)?.max(0)).ok()
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
