//! Which units can have an entry of some name, or refer to some entry: those in
//! whose bytes the name, or the place of its string or of the entry, occurs.
//!
//! An entry names itself by a string in its own bytes, or by the place of one in
//! a section of strings, itself (DWARF 5 section 7.5.5, `DW_FORM_strp` and its
//! kin) or by way of a table of its unit's (`DW_FORM_strx`). Searching bytes for
//! that place is a hundred times as fast as reading the entries, and misses
//! none: linkers may let a string begin within a longer one, so every
//! occurrence counts as a place.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gimli::{LittleEndian, Reader as _, Section as _};
use memchr::memmem;
use rayon::prelude::*;

use crate::image::Image;
use crate::names;
use crate::offsets::Numbers;
use crate::units::{DieRef, Slice, UnitId, Units};

/// Names that are searched for before all units are read: then looking one up
/// costs next to nothing.
const MAX_SEARCHES: usize = 32;

/// What has been found out.
#[derive(Debug, Default)]
pub(crate) struct Spelling {
    /// The units that can have a name.
    known: Mutex<HashMap<Box<str>, Arc<[UnitId]>>>,
    /// The units that may refer to entries of others.
    referring: OnceLock<Vec<UnitId>>,
}

impl Image {
    /// The units that can have an entry whose name without template arguments
    /// is `key`, in their order.
    pub(super) fn units_spelling(&self, key: &str) -> Arc<[UnitId]> {
        let units = self.units();
        let known = || self.spelling.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(key) {
            return found.clone();
        }
        let found: Arc<[UnitId]> = match known().len() < MAX_SEARCHES {
            true => search(units, key).into(),
            false => units.ids().collect(),
        };
        known().insert(key.into(), found.clone());
        found
    }

    /// The units that may refer to one of these entries of another.
    pub(super) fn units_referring(&self, entries: &[DieRef]) -> Vec<UnitId> {
        let units = self.units();
        let all = self.spelling.referring.get_or_init(|| referring_units(units));
        if all.is_empty() {
            return Vec::new();
        }
        // Types are referred to by signature.
        if entries.iter().any(|die| units.is_type_unit(die.unit)) {
            return all.clone();
        }
        let places = entries.iter().filter_map(|die| units.section_place(*die));
        let places = Numbers::new(places.map(|place| place as u32).collect());
        let refers = |id: &&UnitId| places.are_in(units.bytes(**id));
        all.par_iter().filter(refers).copied().collect()
    }
}

pub(super) fn search(units: &Units, key: &str) -> Vec<UnitId> {
    let wanted = Wanted::new(units, key);
    let ids: Vec<UnitId> = units.ids().collect();
    let found = ids.into_par_iter().filter(|id| wanted.may_be_in(units, *id)).collect();
    units.give_back();
    found
}

/// A name that is looked for.
struct Wanted<'a> {
    key: &'a str,
    /// Where it is in the sections of strings that units refer to, by where
    /// the bytes of the first of these begin.
    places: HashMap<usize, Numbers>,
}

impl<'a> Wanted<'a> {
    fn new(units: &Units, key: &'a str) -> Self {
        let finder = memmem::Finder::new(key);
        let in_section = |section: &Slice| places(section.slice(), key, &finder);
        let shared = units.shared().map(|dwarf| in_section(dwarf.debug_str.reader()));
        let shared = shared.unwrap_or_default();
        let sources: HashMap<usize, &gimli::Dwarf<Slice>> =
            units.ids().map(|id| units.dwarf_of(id)).map(|dwarf| (source(dwarf), dwarf)).collect();
        let in_source = |(source, dwarf): (usize, &gimli::Dwarf<Slice>)| {
            let sections = [dwarf.debug_str.reader(), dwarf.debug_line_str.reader()];
            let mut places: Vec<u32> = sections.into_iter().flat_map(in_section).collect();
            places.extend(&shared);
            (source, Numbers::and_text(places, key.as_bytes()))
        };
        let places = sources.into_par_iter().map(in_source).collect();
        Self { key, places }
    }

    fn may_be_in(&self, units: &Units, id: UnitId) -> bool {
        let Some(places) = self.places.get(&source(units.dwarf_of(id))) else { return true };
        let bytes = units.bytes(id);
        places.are_in(units.string_table(id))
            || places.or_text_in(bytes, |at| is_name(&bytes[at..], self.key))
    }
}

/// What tells one file's sections from another's.
fn source(dwarf: &gimli::Dwarf<Slice>) -> usize {
    dwarf.debug_str.reader().slice().as_ptr().addr()
}

/// Where strings begin whose name without template arguments is `key`. Places
/// of more than four bytes are cut.
fn places(strings: &[u8], key: &str, finder: &memmem::Finder<'_>) -> Vec<u32> {
    /// Bytes that one processor searches at a time.
    const CHUNK: usize = 1 << 20;
    let starts: Vec<usize> = (0..strings.len()).step_by(CHUNK).collect();
    let within = |start: usize| {
        let end = strings.len().min(start.saturating_add(CHUNK + key.len()));
        let hits = finder.find_iter(&strings[start..end]).map(move |at| start + at);
        hits.filter(|at| is_name(&strings[*at..], key)).map(|at| at as u32).collect::<Vec<_>>()
    };
    let mut found: Vec<u32> = starts.into_par_iter().flat_map_iter(within).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether the string that begins here is `key`, or an instance of it.
fn is_name(strings: &[u8], key: &str) -> bool {
    match strings.get(key.len()) {
        None | Some(0) => true,
        Some(_) => {
            let end = memchr::memchr(0, strings).unwrap_or(strings.len());
            std::str::from_utf8(&strings[..end]).is_ok_and(|text| names::base(text) == key)
        }
    }
}

/// The units that may say by a reference into another what an entry is a copy
/// of: in whose abbreviations the attribute and such a form stand side by side.
fn referring_units(units: &Units) -> Vec<UnitId> {
    let section = |id: UnitId| units.dwarf_of(id).debug_abbrev.reader().slice();
    let table = |id: UnitId| (section(id).as_ptr().addr(), units.abbreviations_at(id));
    let mut tables: Vec<((usize, usize), &'static [u8])> =
        units.ids().map(|id| (table(id), section(id))).collect();
    tables.sort_unstable_by_key(|(table, _)| *table);
    tables.dedup_by_key(|(table, _)| *table);
    let refers = |at: usize| {
        let ((place, start), section) = tables[at];
        let next = tables.get(at + 1).filter(|next| next.0.0 == place);
        let bytes = section.get(start..next.map_or(section.len(), |next| next.0.1));
        bytes.is_some_and(|bytes| may_lead_out(bytes) && leads_out(bytes))
    };
    let all = (0..tables.len()).into_par_iter();
    let referring: HashSet<_> = all.filter(|at| refers(*at)).map(|at| tables[at].0).collect();
    units.ids().filter(|id| referring.contains(&table(*id))).collect()
}

/// Whether `DW_AT_abstract_origin` or `DW_AT_specification` stands anywhere before
/// a form that can lead into another unit, or so do other numbers by chance.
fn may_lead_out(abbreviations: &[u8]) -> bool {
    /// Bytes looked at between two decisions: without any within, compilers look
    /// at many at once.
    const BLOCK: usize = 256;
    let next = abbreviations.get(1..).unwrap_or_default();
    let pairs = abbreviations.chunks(BLOCK).zip(next.chunks(BLOCK));
    pairs.into_iter().any(|(attributes, forms)| {
        let outward = |(attribute, form): (&u8, &u8)| {
            matches!(attribute, 0x31 | 0x47)
                & matches!(form, 0x10 | 0x16 | 0x1c | 0x20 | 0x24 | 0xa0)
        };
        attributes.iter().zip(forms).fold(false, |any, pair| any | outward(pair))
    })
}

/// Whether any abbreviation has one of the two attributes in a form that can
/// lead into another unit (DWARF 5 sections 7.5.3 and 7.5.5). Damaged ones may.
fn leads_out(abbreviations: &'static [u8]) -> bool {
    let mut rest = Slice::new(abbreviations, LittleEndian);
    std::iter::from_fn(|| declaration_leads_out(&mut rest).transpose())
        .any(|leads| leads.unwrap_or(true))
}

/// The same of the next abbreviation; `None` behind the last.
fn declaration_leads_out(rest: &mut Slice) -> gimli::Result<Option<bool>> {
    if rest.is_empty() || rest.read_uleb128()? == 0 {
        return Ok(None);
    }
    let _tag = rest.read_uleb128()?;
    let _has_children = rest.read_u8()?;
    let mut leads = false;
    loop {
        let (attribute, form) = (rest.read_uleb128_u16()?, rest.read_uleb128_u16()?);
        if (attribute, form) == (0, 0) {
            return Ok(Some(leads));
        }
        let form = gimli::DwForm(form);
        if form == gimli::DW_FORM_implicit_const {
            rest.read_sleb128()?;
        }
        leads |= is_origin(gimli::DwAt(attribute)) && is_outward(form);
    }
}

fn is_origin(attribute: gimli::DwAt) -> bool {
    matches!(attribute, gimli::DW_AT_abstract_origin | gimli::DW_AT_specification)
}

fn is_outward(form: gimli::DwForm) -> bool {
    matches!(
        form,
        gimli::DW_FORM_ref_addr
            | gimli::DW_FORM_indirect
            | gimli::DW_FORM_ref_sup4
            | gimli::DW_FORM_ref_sig8
            | gimli::DW_FORM_ref_sup8
            | gimli::DW_FORM_GNU_ref_alt
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a table with one abbreviation, of this code and tag, with these
    /// attributes and forms.
    #[track_caller]
    fn check(code_and_tag: [u8; 2], attributes: &'static [u8], expected: (bool, bool)) {
        let table = [&code_and_tag[..], &[0], attributes, &[0, 0, 0]].concat().leak();
        assert_eq!((may_lead_out(table), leads_out(table)), expected, "{table:x?}");
    }

    #[test]
    fn what_refers_to_other_units_is_told_from_chance() {
        check([1, 0x2e], &[0x31, 0x13], (false, false));
        check([1, 0x2e], &[0x03, 0x0e, 0x31, 0x10], (true, true));
        check([1, 0x2e], &[0x47, 0xa0, 0x3e], (true, true));
        // A code and a tag.
        check([0x31, 0x24], &[0x03, 0x08], (true, false));
        // The value of an implicit constant.
        check([1, 0x2e], &[0x3a, 0x21, 0x31, 0x20, 0x0b], (true, false));
        // Damaged: it may.
        check([0x31, 0x24], &[0xff, 0xff, 0xff, 0xff], (true, true));
    }
}
