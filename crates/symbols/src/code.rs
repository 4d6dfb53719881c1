//! What is known of one unit's code, computed when first asked for: its line
//! table, its functions by address, its names.

use std::sync::OnceLock;

use gimli::constants as dw;
use gimli::{UnitOffset, UnitRef as GimliUnitRef};

use crate::dies;
use crate::image::Image;
use crate::index::UnitNames;
use crate::line_table::LineTable;
use crate::ranges::RangeMap;
use crate::units::{DieRef, Slice, UnitId};

/// The lazily computed parts of one unit.
#[derive(Debug, Default)]
pub(crate) struct UnitCode {
    lines: OnceLock<LineTable>,
    functions: OnceLock<RangeMap<UnitOffset>>,
    pub(crate) names: OnceLock<UnitNames>,
    entries_are_exact: OnceLock<bool>,
}

impl Image {
    pub(crate) fn unit_code(&self, id: UnitId) -> Option<&UnitCode> {
        let all =
            self.code.get_or_init(|| self.units().ids().map(|_| UnitCode::default()).collect());
        all.get(id.0 as usize)
    }

    /// The names of the units that were read so far.
    pub(crate) fn units_read(&self) -> impl Iterator<Item = &UnitNames> {
        let all = self.code.get().into_iter().flatten();
        all.filter_map(|unit| unit.names.get())
    }

    /// A unit's line table, kept once decoded.
    pub(crate) fn line_table(&self, id: UnitId) -> Option<&LineTable> {
        let unit = self.units().unit(id)?;
        Some(self.unit_code(id)?.lines.get_or_init(|| LineTable::read(unit)))
    }

    /// A unit's functions by address.
    pub(crate) fn unit_functions(&self, id: UnitId) -> Option<&RangeMap<UnitOffset>> {
        let unit = self.units().unit(id)?;
        let functions = &self.unit_code(id)?.functions;
        Some(functions.get_or_init(|| RangeMap::new(read_functions(unit).unwrap_or_default())))
    }

    /// Whether variables can be trusted from a function's first instruction
    /// on, so that a breakpoint need not skip the prologue: GCC describes
    /// every variable by location lists when it optimises.
    pub(crate) fn entries_are_exact(&self, id: UnitId) -> bool {
        let (Some(unit), Some(code)) = (self.units().unit(id), self.unit_code(id)) else {
            return false;
        };
        *code.entries_are_exact.get_or_init(|| is_gcc(unit) && has_location_lists(unit))
    }

    /// The function (not an inlined copy) whose code an address is in.
    pub(crate) fn function_die_at(&self, address: u64) -> Option<DieRef> {
        let unit = self.units().unit_containing(address)?;
        let offset = *self.unit_functions(unit)?.find(address)?;
        Some(DieRef { unit, offset })
    }
}

fn read_functions(unit: GimliUnitRef<'_, Slice>) -> gimli::Result<Vec<(u64, u64, UnitOffset)>> {
    let mut found = Vec::new();
    let mut raw = unit.entries_raw(None)?;
    while !raw.is_empty() {
        let offset = raw.next_offset();
        let Some(abbreviation) = raw.read_abbreviation()? else { continue };
        raw.skip_attributes(abbreviation.attributes())?;
        let is_code = |name| name == dw::DW_AT_low_pc || name == dw::DW_AT_ranges;
        let has_code = abbreviation.attributes().iter().any(|spec| is_code(spec.name()));
        if abbreviation.tag() == dw::DW_TAG_subprogram && has_code {
            let entry = unit.entry(offset)?;
            let ranges = dies::ranges(unit, &entry);
            found.extend(ranges.into_iter().map(|(start, end)| (start, end, offset)));
        }
    }
    Ok(found)
}

pub(crate) fn is_gcc(unit: GimliUnitRef<'_, Slice>) -> bool {
    let root = unit.entry(unit.header.root_offset()).ok();
    let producer = root.and_then(|root| root.attr_value(dw::DW_AT_producer));
    let producer = producer.and_then(|value| unit.attr_string(value).ok());
    producer.is_some_and(|text| text.slice().starts_with(b"GNU "))
}

fn has_location_lists(unit: GimliUnitRef<'_, Slice>) -> bool {
    // GCC numbers abbreviations from 1 without gaps.
    let all = (1..).map_while(|code| unit.abbreviations.get(code));
    all.flat_map(|abbreviation| abbreviation.attributes()).any(|spec| {
        let is_list = matches!(spec.form(), dw::DW_FORM_sec_offset | dw::DW_FORM_loclistx);
        spec.name() == dw::DW_AT_location && is_list
    })
}
