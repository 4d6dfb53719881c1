//! The DWARF units of one image: headers found once, units parsed when first
//! needed, references followed from unit to unit, and which unit covers an
//! address. What the entries mean is left to the readers above.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::OnceLock;

use gimli::{
    AttributeValue, DebugInfoOffset, DebugTypeSignature, EndianSlice, LittleEndian, Section as _,
    SectionId, UnitOffset, UnitSectionOffset,
};

use rayon::prelude::*;

use crate::bytes::Bytes;
use crate::elf::{Elf, Section, Tls};
use crate::offsets::Numbers;
use crate::ranges::RangeMap;
use crate::split::{Skeleton, Split, SplitUnit};

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
    /// What the skeleton of this number in the image's own stands for.
    Split(usize),
    /// Types, by their number, beside such units.
    SplitTypes(usize),
}

#[derive(Debug)]
struct Slot {
    /// Of the skeleton, where it is one.
    header: gimli::UnitHeader<Slice>,
    home: Home,
    /// Boxed, since most are never read.
    unit: OnceLock<Option<Box<gimli::Unit<Slice>>>>,
}

impl Slot {
    fn new(header: gimli::UnitHeader<Slice>, home: Home) -> Self {
        Self { header, home, unit: OnceLock::new() }
    }
}

/// All units of an image's debug information.
#[derive(Debug)]
pub(crate) struct Units {
    dwarf: gimli::Dwarf<Slice>,
    slots: Vec<Slot>,
    /// How many of `slots` are in the image's own `.debug_info`.
    own: usize,
    split: Split,
    signatures: OnceLock<HashMap<u64, DieRef>>,
    coverage: OnceLock<RangeMap<UnitId>>,
    problems: Vec<String>,
    keep: Vec<Bytes>,
    /// The thread-local storage of the image that they describe.
    tls: Option<Tls>,
}

impl Units {
    /// Finds the units of `file`, which lies at `path` (none for an image read
    /// from memory), with shared parts (`dwz`) in `supplementary`. Its
    /// thread-local storage is `tls`.
    pub(crate) fn load(
        file: &Elf,
        path: Option<&Path>,
        supplementary: Option<&Elf>,
        tls: Option<Tls>,
    ) -> Self {
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
        let split = add_split(&mut slots, own, path, &dwarf);
        loader.problems.extend(split.problems.iter().cloned());
        Self {
            dwarf,
            slots,
            own,
            split,
            signatures: OnceLock::new(),
            coverage: OnceLock::new(),
            problems: loader.problems,
            keep: loader.keep,
            tls,
        }
    }

    /// The thread-local storage of the image.
    pub(crate) fn tls(&self) -> Option<Tls> {
        self.tls
    }

    /// Lets go of the memory that a walk over all of it took, while the caller
    /// goes on.
    pub(crate) fn give_back(&self) {
        let split = self.split.files.iter().map(|file| &file.elf.bytes);
        let all: Vec<Bytes> = self.keep.iter().chain(split).cloned().collect();
        rayon::spawn(move || all.iter().for_each(Bytes::give_back));
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
            matches!(slot.home, Home::Info | Home::Split(_)) && !self.is_type_unit(id)
        })
    }

    /// The units that describe code.
    pub(crate) fn with_code(&self) -> Vec<UnitId> {
        self.ids().filter(|id| self.has_code(*id)).collect()
    }

    /// The sections a unit reads from.
    pub(crate) fn dwarf_of(&self, id: UnitId) -> &gimli::Dwarf<Slice> {
        match self.slot(id) {
            Some(slot) => self.sections(slot).0,
            None => &self.dwarf,
        }
    }

    fn slot(&self, id: UnitId) -> Option<&Slot> {
        self.slots.get(id.0 as usize)
    }

    /// The sections a unit reads from, and its header there.
    fn sections(&self, slot: &Slot) -> (&gimli::Dwarf<Slice>, gimli::UnitHeader<Slice>) {
        let split = match slot.home {
            Home::Split(number) => self.split.units.get(number).and_then(Option::as_ref),
            Home::SplitTypes(number) => self.split.types.get(number),
            Home::Supplementary => {
                return (self.dwarf.sup().unwrap_or(&self.dwarf), slot.header);
            }
            Home::Info | Home::Types => None,
        };
        split.map_or((&self.dwarf, slot.header), |unit| (&unit.dwarf, unit.header))
    }

    fn parse(&self, slot: &Slot) -> gimli::Result<gimli::Unit<Slice>> {
        let (dwarf, header) = self.sections(slot);
        let mut unit = dwarf.unit(header)?;
        if let Home::Split(_) = slot.home {
            // What only the linker knows is in the skeleton.
            let skeleton = self.dwarf.unit(slot.header)?;
            unit.copy_relocated_attributes(&skeleton);
            unit.comp_dir = unit.comp_dir.or(skeleton.comp_dir);
            unit.line_program = skeleton.line_program;
        }
        Ok(unit)
    }

    /// A unit, parsed on first use and kept; `None` when it is malformed.
    pub(crate) fn unit(&self, id: UnitId) -> Option<UnitRef<'_>> {
        let slot = self.slot(id)?;
        let unit = slot.unit.get_or_init(|| self.parse(slot).ok().map(Box::new));
        Some(unit.as_ref()?.unit_ref(self.dwarf_of(id)))
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
        let unit = self.parse(slot)?;
        Ok(read(unit.unit_ref(dwarf)))
    }

    /// What the image shares with others.
    pub(crate) fn shared(&self) -> Option<&gimli::Dwarf<Slice>> {
        self.dwarf.sup()
    }

    /// The files of units that only have a skeleton in the image, and where
    /// they are.
    pub(crate) fn split_files(&self) -> impl Iterator<Item = (&Path, &Elf)> {
        self.split.files.iter().map(|file| (file.path.as_path(), &file.elf))
    }

    /// Whether others refer to a unit by its signature.
    pub(crate) fn is_type_unit(&self, id: UnitId) -> bool {
        let header = self.slot(id).map(|slot| self.sections(slot).1);
        header.is_some_and(|header| signature(&header).is_some())
    }

    /// The bytes of a unit's entries.
    pub(crate) fn bytes(&self, id: UnitId) -> &'static [u8] {
        let header = self.slot(id).map(|slot| self.sections(slot).1);
        let bytes = header.and_then(|it| it.range_from(it.root_offset()..).ok());
        bytes.map_or(&[], |bytes| bytes.slice())
    }

    /// The table that says where the strings of a unit are that it names by
    /// number, and what may follow it; nothing where no unit does so.
    pub(crate) fn string_table(&self, id: UnitId) -> &'static [u8] {
        let section = self.dwarf_of(id).debug_str_offsets.reader().slice();
        if section.is_empty() {
            return &[];
        }
        let base = self.with_transient(id, |unit| unit.str_offsets_base.0).unwrap_or(0);
        let end = table_end(section, base).unwrap_or(section.len());
        section.get(base..end).unwrap_or(&[])
    }

    /// Where the abbreviations of a unit begin in their section.
    pub(crate) fn abbreviations_at(&self, id: UnitId) -> usize {
        let header = self.slot(id).map(|slot| self.sections(slot).1);
        header.map_or(usize::MAX, |header| header.debug_abbrev_offset().0)
    }

    /// Where an entry is in its section.
    pub(crate) fn section_place(&self, die: DieRef) -> Option<u64> {
        let (_, header) = self.sections(self.slot(die.unit)?);
        raw_offset(header.offset()).checked_add(die.offset.0 as u64)
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
            // Each is alone in its file.
            Home::Split(_) | Home::SplitTypes(_) => from,
        };
        self.within(unit, offset)
    }

    fn within(&self, unit: UnitId, offset: DebugInfoOffset) -> Option<DieRef> {
        let (_, header) = self.sections(self.slot(unit)?);
        let offset = offset.to_unit_offset(&header)?;
        Some(DieRef { unit, offset })
    }

    fn type_unit(&self, wanted: DebugTypeSignature) -> Option<DieRef> {
        let known = self.signatures.get_or_init(|| {
            let ids = self.ids().zip(&self.slots);
            let signed = ids.filter_map(|(unit, slot)| {
                let (signature, offset) = signature(&self.sections(slot).1)?;
                Some((signature.0, DieRef { unit, offset }))
            });
            signed.collect()
        });
        known.get(&wanted.0).copied()
    }

    /// Reads one entry.
    pub(crate) fn entry(&self, die: DieRef) -> Option<Entry> {
        self.unit(die.unit)?.entry(die.offset).ok()
    }

    /// Line tables of the image and their strings.
    pub(crate) fn line_sections(&self) -> gimli::Dwarf<Slice> {
        gimli::Dwarf {
            debug_line: self.dwarf.debug_line,
            debug_line_str: self.dwarf.debug_line_str,
            debug_str: self.dwarf.debug_str,
            ..gimli::Dwarf::default()
        }
    }

    /// The units that have these line tables; `None` when one is nobody's.
    pub(crate) fn with_line_tables(&self, tables: &[usize]) -> Option<Vec<UnitId>> {
        /// A unit says where its table is among the first things.
        const HEAD: usize = 1 << 10;
        let places = Numbers::new(tables.iter().map(|at| *at as u32).collect());
        let table_of = |id: UnitId| -> Option<usize> {
            let header = self.slot(id)?.header;
            let bytes = header.range_from(header.root_offset()..).ok()?.slice();
            let may_be = places.are_in(&bytes[..bytes.len().min(HEAD)]);
            let unit = may_be.then(|| self.dwarf.unit(header).ok())??;
            Some(unit.line_program?.header().offset().0)
        };
        let with = |id: UnitId| Some((id, table_of(id).filter(|at| tables.contains(at))?));
        let found: Vec<(UnitId, usize)> =
            self.with_code().into_par_iter().filter_map(with).collect();
        let owned = |table: &usize| found.iter().any(|(_, at)| at == table);
        tables.iter().all(owned).then(|| found.iter().map(|(id, _)| *id).collect())
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
                // A skeleton says it for what it stands for.
                let header = self.slots[id.0 as usize].header;
                let unit = self.dwarf.unit(header);
                let _unreadable_unit_covers_nothing =
                    unit.map(|unit| unit_ranges(unit.unit_ref(&self.dwarf), id, &mut found));
            }
        }
        found
    }

    fn read_aranges(&self, found: &mut Vec<(u64, u64, UnitId)>, listed: &mut [bool]) {
        /// Bytes of a range.
        const RANGE: usize = 16;
        found.reserve(self.dwarf.debug_aranges.reader().len() / RANGE);
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

/// Finds what the skeletons among the image's own units stand for, and gives
/// the types beside them slots of their own.
fn add_split(
    slots: &mut Vec<Slot>,
    own: usize,
    path: Option<&Path>,
    dwarf: &gimli::Dwarf<Slice>,
) -> Split {
    let of = |slot: &Slot| Skeleton::of(dwarf, slot.header);
    let skeletons: Vec<Option<Skeleton>> = slots[..own].par_iter().map(of).collect();
    let numbered = slots.iter_mut().zip(&skeletons).filter(|(_, skeleton)| skeleton.is_some());
    for (number, (slot, _)) in numbered.enumerate() {
        slot.home = Home::Split(number);
    }
    let skeletons: Vec<Skeleton> = skeletons.into_iter().flatten().collect();
    let split = Split::find(&skeletons, path, dwarf);
    let types = split.types.iter().map(|unit: &SplitUnit| unit.header).enumerate();
    slots.extend(types.map(|(number, header)| Slot::new(header, Home::SplitTypes(number))));
    split
}

/// By what others refer to a unit of a type, and where in it that is.
fn signature(header: &gimli::UnitHeader<Slice>) -> Option<(DebugTypeSignature, UnitOffset)> {
    match header.type_() {
        gimli::UnitType::Type { type_signature, type_offset }
        | gimli::UnitType::SplitType { type_signature, type_offset } => {
            Some((type_signature, type_offset))
        }
        _ => None,
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

/// Where a unit's table of strings ends, whose header ends at `base` (DWARF 5
/// section 7.26; of 32 bits, as all but the largest programs').
fn table_end(section: &[u8], base: usize) -> Option<usize> {
    let header = section.get(base.checked_sub(8)?..base)?;
    let len = u32::from_le_bytes(*header.first_chunk()?);
    (header[4..] == [5, 0, 0, 0]).then(|| (base - 4).saturating_add(len as usize))
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
                Ok(Some(header)) => slots.push(Slot::new(header, home)),
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
