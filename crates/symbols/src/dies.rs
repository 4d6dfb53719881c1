//! Small readings of single entries that several readers need: ranges, names
//! through declarations, places in source.

use gimli::constants as dw;
use gimli::{AttributeValue, DwLang};
use trapline_core::types::Language;

use crate::units::{DieRef, Entry, UnitRef, Units};

/// Copies of copies are followed this far: a declaration, its abstract
/// instance, its concrete one, and room for what link-time optimisation adds.
const MAX_ORIGINS: usize = 8;

/// Whether what an entry of this kind encloses is named after it.
pub(crate) fn is_scope(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_namespace
            | dw::DW_TAG_module
            | dw::DW_TAG_structure_type
            | dw::DW_TAG_class_type
            | dw::DW_TAG_union_type
            | dw::DW_TAG_interface_type
            | dw::DW_TAG_enumeration_type
            | dw::DW_TAG_subprogram
    )
}

/// The language that a unit is written in, as far as it says so.
pub(crate) fn language(unit: UnitRef<'_>) -> Option<DwLang> {
    let root = unit.entry(unit.header.root_offset()).ok()?;
    match root.attr_value(dw::DW_AT_language)? {
        AttributeValue::Language(language) => Some(language),
        _ => None,
    }
}

/// How the types of a unit are written.
pub(crate) fn style(unit: UnitRef<'_>) -> Language {
    match language(unit) {
        Some(dw::DW_LANG_Rust) => Language::Rust,
        Some(language) if is_cpp(language) => Language::Cpp,
        _ => Language::C,
    }
}

/// DWARF 5 table 7.17, and the versions named since.
pub(crate) fn is_c(language: DwLang) -> bool {
    matches!(
        language,
        dw::DW_LANG_C89 | dw::DW_LANG_C | dw::DW_LANG_C99 | dw::DW_LANG_C11 | dw::DW_LANG_C17
    )
}

/// The same of C++.
pub(crate) fn is_cpp(language: DwLang) -> bool {
    matches!(
        language,
        dw::DW_LANG_C_plus_plus
            | dw::DW_LANG_C_plus_plus_03
            | dw::DW_LANG_C_plus_plus_11
            | dw::DW_LANG_C_plus_plus_14
            | dw::DW_LANG_C_plus_plus_17
            | dw::DW_LANG_C_plus_plus_20
    )
}

/// An entry's ranges in the order they are listed; dead ones (at address zero)
/// are left out.
pub(crate) fn ranges(unit: UnitRef<'_>, entry: &Entry) -> Vec<(u64, u64)> {
    const MAX_RANGES: usize = 1 << 16;
    let mut found = Vec::new();
    let Ok(mut ranges) = unit.die_ranges(entry) else { return found };
    while let Ok(Some(range)) = ranges.next() {
        if range.begin != 0 && range.begin < range.end && found.len() < MAX_RANGES {
            found.push((range.begin, range.end));
        }
    }
    found
}

/// Where execution enters: `DW_AT_entry_pc` when it lies inside (an address,
/// or an offset from the lowest address), else the start of the first range.
pub(crate) fn entry_pc(unit: UnitRef<'_>, entry: &Entry, ranges: &[(u64, u64)]) -> Option<u64> {
    let first = ranges.first()?.0;
    let inside = |pc: &u64| ranges.iter().any(|&(start, end)| start <= *pc && *pc < end);
    let stated = entry.attr_value(dw::DW_AT_entry_pc).and_then(|value| {
        if let Ok(Some(address)) = unit.attr_address(value) {
            return Some(address);
        }
        first.checked_add(value.udata_value()?)
    });
    Some(stated.filter(inside).unwrap_or(first))
}

/// The entry and those it is a copy or definition of, nearest first.
pub(crate) fn origins(units: &Units, die: DieRef) -> Vec<(DieRef, Entry)> {
    let mut chain: Vec<(DieRef, Entry)> = Vec::new();
    let mut next = Some(die);
    while let Some(die) = next {
        if chain.len() >= MAX_ORIGINS || chain.iter().any(|(seen, _)| *seen == die) {
            break;
        }
        let Some(entry) = units.entry(die) else { break };
        let reference = entry
            .attr_value(dw::DW_AT_abstract_origin)
            .or_else(|| entry.attr_value(dw::DW_AT_specification));
        next = reference.and_then(|value| units.follow(die.unit, value));
        chain.push((die, entry));
    }
    chain
}

/// A string attribute of the first entry of a chain that has it.
pub(crate) fn chain_string(
    units: &Units,
    chain: &[(DieRef, Entry)],
    attributes: &[gimli::DwAt],
) -> Option<(DieRef, &'static [u8])> {
    chain.iter().find_map(|(die, entry)| {
        let value = attributes.iter().find_map(|&name| entry.attr_value(name))?;
        let text = units.unit(die.unit)?.attr_string(value).ok()?;
        Some((*die, text.slice()))
    })
}

/// The linkage name in a chain.
pub(crate) fn linkage_name(units: &Units, chain: &[(DieRef, Entry)]) -> Option<String> {
    let attributes = [dw::DW_AT_linkage_name, dw::DW_AT_MIPS_linkage_name];
    let (_, text) = chain_string(units, chain, &attributes)?;
    String::from_utf8(text.to_vec()).ok()
}

/// An unsigned attribute, such as a line.
pub(crate) fn flag(entry: &Entry, attribute: gimli::DwAt) -> bool {
    matches!(entry.attr_value(attribute), Some(AttributeValue::Flag(true)))
}

pub(crate) fn number(entry: &Entry, attribute: gimli::DwAt) -> Option<u64> {
    match entry.attr_value(attribute)? {
        AttributeValue::FileIndex(index) => Some(index),
        value => value.udata_value(),
    }
}
