//! The DWARF units of one image: headers found once, units parsed when first
//! needed, references followed from unit to unit, and which unit covers an
//! address. What the entries mean is left to the readers above.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::OnceLock;

use gimli::{
    AttributeValue, DebugInfoOffset, DebugTypeSignature, EndianSlice, LittleEndian, SectionId,
    UnitOffset, UnitSectionOffset,
};

use rayon::prelude::*;

use crate::bytes::Bytes;
use crate::elf::{Elf, Section};
use crate::ranges::RangeMap;

/// How DWARF bytes are read: valid while the [`Units`] they came from live.
pub(crate) type Slice = EndianSlice<'static, LittleEndian>;
/// One entry of the DWARF tree.
pub(crate) type Entry = gimli::DebuggingInformationEntry<Slice>;
/// A unit together with the sections it reads from.
pub(crate) type UnitRef<'a> = gimli::UnitRef<'a, Slice>;
/// The value of one attribute.
pub(crate) type Value = AttributeValue<Slice>;

/// A unit, by its place in [`Units`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct UnitId(pub(crate) u32);

/// One entry of one unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct DieRef {
    /// Its unit.
    pub(crate) unit: UnitId,
    /// Its offset from the start of the unit.
    pub(crate) offset: UnitOffset,
}

/// Where a unit's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Home {
    Info,
    Types,
    Supplementary,
}

#[derive(Debug)]
struct Slot {
    header: gimli::UnitHeader<Slice>,
    home: Home,
    unit: OnceLock<Option<gimli::Unit<Slice>>>,
}

/// All units of an image's debug information.
#[derive(Debug)]
pub(crate) struct Units {
    dwarf: gimli::Dwarf<Slice>,
    slots: Vec<Slot>,
    /// How many of `slots` are in the image's own `.debug_info`.
    own: usize,
    signatures: OnceLock<HashMap<u64, DieRef>>,
    coverage: OnceLock<RangeMap<UnitId>>,
    problems: Vec<String>,
    _keep: Vec<Bytes>,
}

impl Units {
    /// Finds the units of `file`, with shared parts (`dwz`) in `supplementary`.
    pub(crate) fn load(file: &Elf, supplementary: Option<&Elf>) -> Self {
        let mut loader = Loader { keep: vec![file.bytes.clone()], problems: Vec::new() };
        let mut dwarf = loader.dwarf(file);
        if let Some(other) = supplementary {
            loader.keep.push(other.bytes.clone());
            let shared = loader.dwarf(other);
            dwarf.set_sup(shared);
        }
        let mut slots = loader.headers(&dwarf, Home::Info);
        let own = slots.len();
        slots.append(&mut loader.type_headers(&dwarf));
        if let Some(shared) = dwarf.sup() {
            slots.append(&mut loader.headers(shared, Home::Supplementary));
        }
        Self {
            dwarf,
            slots,
            own,
            signatures: OnceLock::new(),
            coverage: OnceLock::new(),
            problems: loader.problems,
            _keep: loader.keep,
        }
    }

    /// What could not be read when the units were found.
    pub(crate) fn load_problems(&self) -> &[String] {
        &self.problems
    }

    /// Every unit: the image's own, type units, then supplementary ones.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = UnitId> + Clone {
        (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).map(UnitId)
    }

    /// Whether a unit describes code. A type unit shares the line table of the
    /// unit it was split from, and would show every line of it twice.
    pub(crate) fn has_code(&self, id: UnitId) -> bool {
        self.slot(id).is_some_and(|slot| {
            let types = matches!(slot.header.type_(), gimli::UnitType::Type { .. });
            slot.home == Home::Info && !types
        })
    }

    /// The sections a unit reads from.
    pub(crate) fn dwarf_of(&self, id: UnitId) -> &gimli::Dwarf<Slice> {
        match self.slot(id).map(|slot| slot.home) {
            Some(Home::Supplementary) => self.dwarf.sup().unwrap_or(&self.dwarf),
            _ => &self.dwarf,
        }
    }

    fn slot(&self, id: UnitId) -> Option<&Slot> {
        self.slots.get(id.0 as usize)
    }

    /// A unit, parsed on first use and kept; `None` when it is malformed.
    pub(crate) fn unit(&self, id: UnitId) -> Option<UnitRef<'_>> {
        let slot = self.slot(id)?;
        let dwarf = self.dwarf_of(id);
        let unit = slot.unit.get_or_init(|| dwarf.unit(slot.header).ok());
        Some(unit.as_ref()?.unit_ref(dwarf))
    }

    /// Runs `read` on a unit without keeping it, so that a walk over all units
    /// does not fill memory with parsed abbreviations.
    pub(crate) fn with_transient<T>(
        &self,
        id: UnitId,
        read: impl FnOnce(UnitRef<'_>) -> T,
    ) -> gimli::Result<T> {
        let Some(slot) = self.slot(id) else { return Err(gimli::Error::NoEntryAtGivenOffset(0)) };
        let dwarf = self.dwarf_of(id);
        if let Some(Some(unit)) = slot.unit.get() {
            return Ok(read(unit.unit_ref(dwarf)));
        }
        let unit = dwarf.unit(slot.header)?;
        Ok(read(unit.unit_ref(dwarf)))
    }

    /// Offset of a unit in its section, for messages.
    pub(crate) fn section_offset(&self, id: UnitId) -> u64 {
        self.slot(id).map_or(0, |slot| raw_offset(slot.header.offset()))
    }

    /// The unit of the image's own `.debug_info` that holds `offset`.
    pub(crate) fn unit_at(&self, offset: DebugInfoOffset) -> Option<UnitId> {
        find(&self.slots[..self.own], offset.0).map(|index| UnitId(index as u32))
    }

    fn supplementary_at(&self, offset: usize) -> Option<UnitId> {
        let first = self.slots.iter().position(|slot| slot.home == Home::Supplementary)?;
        find(&self.slots[first..], offset).map(|index| UnitId((first + index) as u32))
    }

    /// The entry an attribute of an entry in `from` refers to; `None` when the
    /// value is no reference or leads nowhere.
    pub(crate) fn follow(&self, from: UnitId, value: Value) -> Option<DieRef> {
        match value {
            AttributeValue::UnitRef(offset) => Some(DieRef { unit: from, offset }),
            AttributeValue::DebugInfoRef(offset) => self.info_ref(from, offset),
            AttributeValue::DebugInfoRefSup(offset) => {
                let unit = self.supplementary_at(offset.0)?;
                self.within(unit, offset)
            }
            AttributeValue::DebugTypesRef(signature) => self.type_unit(signature),
            _ => None,
        }
    }

    fn info_ref(&self, from: UnitId, offset: DebugInfoOffset) -> Option<DieRef> {
        let unit = match self.slot(from)?.home {
            Home::Supplementary => self.supplementary_at(offset.0)?,
            Home::Info | Home::Types => self.unit_at(offset)?,
        };
        self.within(unit, offset)
    }

    fn within(&self, unit: UnitId, offset: DebugInfoOffset) -> Option<DieRef> {
        let offset = offset.to_unit_offset(&self.slot(unit)?.header)?;
        Some(DieRef { unit, offset })
    }

    fn type_unit(&self, signature: DebugTypeSignature) -> Option<DieRef> {
        let known = self.signatures.get_or_init(|| {
            let ids = self.ids().zip(&self.slots);
            ids.filter_map(|(unit, slot)| match slot.header.type_() {
                gimli::UnitType::Type { type_signature, type_offset } => {
                    Some((type_signature.0, DieRef { unit, offset: type_offset }))
                }
                _ => None,
            })
            .collect()
        });
        known.get(&signature.0).copied()
    }

    /// Reads one entry.
    pub(crate) fn entry(&self, die: DieRef) -> Option<Entry> {
        self.unit(die.unit)?.entry(die.offset).ok()
    }

    /// The unit whose code covers an image address: by `.debug_aranges` and by
    /// each unit's own ranges where that says nothing about it.
    pub(crate) fn unit_containing(&self, pc: u64) -> Option<UnitId> {
        self.coverage().find(pc).copied()
    }

    /// Which unit covers which addresses.
    pub(crate) fn coverage(&self) -> &RangeMap<UnitId> {
        self.coverage.get_or_init(|| RangeMap::new(self.all_ranges()))
    }

    fn all_ranges(&self) -> Vec<(u64, u64, UnitId)> {
        let mut found = Vec::new();
        let mut listed = vec![false; self.slots.len()];
        self.read_aranges(&mut found, &mut listed);
        for id in self.ids().take(self.own) {
            if !listed[id.0 as usize] {
                let _unreadable_unit_covers_nothing =
                    self.with_transient(id, |unit| unit_ranges(unit, id, &mut found));
            }
        }
        found
    }

    fn read_aranges(&self, found: &mut Vec<(u64, u64, UnitId)>, listed: &mut [bool]) {
        let mut headers = self.dwarf.debug_aranges.headers();
        while let Ok(Some(header)) = headers.next() {
            let Some(id) = self.unit_at(header.debug_info_offset()) else { continue };
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                let range = entry.range();
                if range.begin < range.end && range.begin != 0 {
                    listed[id.0 as usize] = true;
                    found.push((range.begin, range.end, id));
                }
            }
        }
    }
}

fn unit_ranges(unit: UnitRef<'_>, id: UnitId, found: &mut Vec<(u64, u64, UnitId)>) {
    let Ok(mut ranges) = unit.unit_ranges() else { return };
    while let Ok(Some(range)) = ranges.next() {
        if range.begin < range.end && range.begin != 0 {
            found.push((range.begin, range.end, id));
        }
    }
}

/// Binary search of the slot whose bytes hold a section offset.
fn find(slots: &[Slot], offset: usize) -> Option<usize> {
    let start = |slot: &Slot| raw_offset(slot.header.offset());
    let index = slots.partition_point(|slot| start(slot) <= offset as u64).checked_sub(1)?;
    let slot = &slots[index];
    let len = slot.header.length_including_self() as u64;
    (offset as u64 - start(slot) < len).then_some(index)
}

fn raw_offset(offset: UnitSectionOffset) -> u64 {
    offset.0 as u64
}

struct Loader {
    keep: Vec<Bytes>,
    problems: Vec<String>,
}

impl Loader {
    fn dwarf(&mut self, elf: &Elf) -> gimli::Dwarf<Slice> {
        let mut wanted = Vec::new();
        let note = |id: SectionId| -> Result<(), Infallible> {
            wanted.push(id);
            Ok(())
        };
        let Ok(_) = gimli::DwarfSections::load(note);
        // Sections of separate debug files are compressed, and large.
        let read = |id: &SectionId| (*id, elf.section(id.name()));
        let mut sections: HashMap<SectionId, _> = wanted.par_iter().map(read).collect();
        let load = |id: SectionId| -> Result<Slice, Infallible> {
            let section = sections.remove(&id).unwrap_or(Ok(None));
            Ok(EndianSlice::new(self.keep(section), LittleEndian))
        };
        let Ok(dwarf) = gimli::Dwarf::load(load);
        dwarf
    }

    fn keep(&mut self, section: Result<Option<Section>, String>) -> &'static [u8] {
        match section {
            Ok(Some(section)) => {
                self.keep.extend(section.keep);
                section.data
            }
            Ok(None) => &[],
            Err(problem) => {
                self.problems.push(problem);
                &[]
            }
        }
    }

    fn headers(&mut self, dwarf: &gimli::Dwarf<Slice>, home: Home) -> Vec<Slot> {
        let mut units = dwarf.units();
        self.collect(home, || units.next())
    }

    fn type_headers(&mut self, dwarf: &gimli::Dwarf<Slice>) -> Vec<Slot> {
        let mut units = dwarf.type_units();
        self.collect(Home::Types, || units.next())
    }

    fn collect(
        &mut self,
        home: Home,
        mut next: impl FnMut() -> gimli::Result<Option<gimli::UnitHeader<Slice>>>,
    ) -> Vec<Slot> {
        let mut slots = Vec::new();
        loop {
            match next() {
                Ok(Some(header)) => slots.push(Slot { header, home, unit: OnceLock::new() }),
                Ok(None) => return slots,
                Err(error) => {
                    let after = slots.len();
                    self.problems.push(format!("debug information after unit {after}: {error}"));
                    return slots;
                }
            }
        }
    }
}
