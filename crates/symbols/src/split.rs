//! Debug information that the compiler left beside the object files, in a file
//! of its own for each unit (`.dwo`) or all in one (`.dwp`), while the program
//! has a skeleton of each unit that says where (DWARF 5 section 7.3.2, and what
//! GNU had before it in DWARF 4).

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gimli::{DwoId, EndianSlice, LittleEndian, SectionId, UnitHeader, UnitType};
use rayon::prelude::*;

use crate::bytes::Bytes;
use crate::elf::{Elf, Section};
use crate::units::Slice;

/// A file with what some skeletons stand for.
#[derive(Debug)]
pub(crate) struct SplitFile {
    pub(crate) path: PathBuf,
    pub(crate) elf: Elf,
    _keep: Vec<Bytes>,
}

/// A unit in such a file.
#[derive(Debug)]
pub(crate) struct SplitUnit {
    /// The sections it reads from.
    pub(crate) dwarf: Arc<gimli::Dwarf<Slice>>,
    pub(crate) header: UnitHeader<Slice>,
}

/// What the skeletons of a program stand for.
#[derive(Debug, Default)]
pub(crate) struct Split {
    pub(crate) files: Vec<SplitFile>,
    /// In the order of the skeletons; `None` for one that leads nowhere.
    pub(crate) units: Vec<Option<SplitUnit>>,
    /// Types that other units refer to by signature.
    pub(crate) types: Vec<SplitUnit>,
    /// What was not found, a sentence each.
    pub(crate) problems: Vec<String>,
}

/// What a skeleton says.
#[derive(Clone, Debug)]
pub(crate) struct Skeleton {
    /// The name of the file.
    name: PathBuf,
    /// Where the compiler ran.
    directory: PathBuf,
    id: DwoId,
}

impl Skeleton {
    /// Of a unit that is one.
    pub(crate) fn of(dwarf: &gimli::Dwarf<Slice>, header: UnitHeader<Slice>) -> Option<Self> {
        let may_be = match header.type_() {
            UnitType::Skeleton(_) => true,
            // What GNU splits off shares a table of addresses.
            UnitType::Compilation => header.version() < 5 && has_addresses(dwarf),
            _ => false,
        };
        let unit = may_be.then(|| dwarf.unit(header).ok())??;
        let name = unit.dwo_name().ok()??;
        let text = |slice: Slice| PathBuf::from(slice.to_string_lossy().into_owned());
        Some(Self {
            name: text(dwarf.attr_string(&unit, name).ok()?),
            directory: unit.comp_dir.map(text).unwrap_or_default(),
            id: unit.dwo_id?,
        })
    }
}

fn has_addresses(dwarf: &gimli::Dwarf<Slice>) -> bool {
    use gimli::Section as _;
    !dwarf.debug_addr.reader().is_empty()
}

impl Split {
    /// Finds what `skeletons` of the program at `program` stand for. `parent`
    /// is the program's own debug information.
    pub(crate) fn find(
        skeletons: &[Skeleton],
        program: Option<&Path>,
        parent: &gimli::Dwarf<Slice>,
    ) -> Self {
        if skeletons.is_empty() {
            return Self::default();
        }
        let package = program.map(|program| {
            let mut path = program.as_os_str().to_owned();
            path.push(".dwp");
            Package::open(Path::new(&path))
        });
        match package {
            Some(Ok(package)) => package.split(skeletons, parent),
            Some(Err(Some(problem))) => {
                let mut split = Self::from_files(skeletons, program, parent);
                split.problems.insert(0, format!("split debug information: {problem}, not used"));
                split
            }
            Some(Err(None)) | None => Self::from_files(skeletons, program, parent),
        }
    }

    fn from_files(
        skeletons: &[Skeleton],
        program: Option<&Path>,
        parent: &gimli::Dwarf<Slice>,
    ) -> Self {
        let open = |skeleton: &Skeleton| open_one(skeleton, program, parent);
        let opened: Vec<_> = skeletons.par_iter().map(open).collect();
        let mut split = Self::default();
        for one in opened {
            match one {
                Ok(one) => {
                    split.files.push(one.file);
                    split.units.push(Some(one.unit));
                    split.types.extend(one.types);
                }
                Err(problem) => {
                    split.units.push(None);
                    split.problems.push(problem);
                }
            }
        }
        split
    }
}

/// A file with one unit, and the types beside it.
struct One {
    file: SplitFile,
    unit: SplitUnit,
    types: Vec<SplitUnit>,
}

fn open_one(
    skeleton: &Skeleton,
    program: Option<&Path>,
    parent: &gimli::Dwarf<Slice>,
) -> Result<One, String> {
    let mut reasons = Vec::new();
    for path in candidates(skeleton, program) {
        match read_one(&path, skeleton.id, parent) {
            Ok(one) => return Ok(one),
            Err(None) => {}
            Err(Some(reason)) => reasons.push(reason),
        }
    }
    let why = match reasons.pop() {
        Some(reason) => reason,
        None => format!("{} is missing", skeleton.directory.join(&skeleton.name).display()),
    };
    Err(format!("split debug information: {why}; only the lines of its unit are known"))
}

/// Where the file may be: where the compiler put it, or beside the program.
fn candidates(skeleton: &Skeleton, program: Option<&Path>) -> Vec<PathBuf> {
    let mut found = vec![skeleton.directory.join(&skeleton.name)];
    if let Some(folder) = program.and_then(Path::parent) {
        if skeleton.name.is_relative() {
            found.push(folder.join(&skeleton.name));
        }
        found.extend(skeleton.name.file_name().map(|name| folder.join(name)));
    }
    found
}

/// The error says what is wrong with a file that is there.
fn open(path: &Path) -> Result<Elf, Option<String>> {
    Elf::open(path)
        .map_err(|error| (error.reason != crate::LoadFailure::NotFound).then(|| error.to_string()))
}

/// The error is as in [`open`].
fn read_one(path: &Path, id: DwoId, parent: &gimli::Dwarf<Slice>) -> Result<One, Option<String>> {
    let elf = open(path)?;
    let wrong = |why: String| Some(format!("{}: {why}", path.display()));
    let mut sections = Sections { elf: &elf, keep: vec![elf.bytes.clone()], failed: None };
    let Ok(mut dwarf) = gimli::Dwarf::load(|id| Ok::<_, Infallible>(sections.first(id)));
    dwarf.make_dwo(parent);
    dwarf.debug_line_str = parent.debug_line_str;
    let units = sections.units(dwarf);
    if let Some(problem) = sections.failed {
        return Err(wrong(problem));
    }
    let is_type = |unit: &SplitUnit| {
        matches!(unit.header.type_(), UnitType::Type { .. } | UnitType::SplitType { .. })
    };
    let (types, others): (Vec<_>, Vec<_>) = units.into_iter().partition(is_type);
    let unit = others.into_iter().find(|unit| is_unit(unit, id));
    let unit = unit.ok_or_else(|| wrong("was made by another compilation, not used".into()))?;
    let keep = sections.keep;
    Ok(One { file: SplitFile { path: path.to_owned(), elf, _keep: keep }, unit, types })
}

fn is_unit(unit: &SplitUnit, id: DwoId) -> bool {
    unit.dwarf.unit(unit.header).is_ok_and(|unit| unit.dwo_id == Some(id))
}

/// The sections of such a file, read.
struct Sections<'a> {
    elf: &'a Elf,
    keep: Vec<Bytes>,
    failed: Option<String>,
}

impl Sections<'_> {
    fn all(&mut self, id: SectionId) -> Vec<Slice> {
        let sections = id.dwo_name().map_or(Ok(Vec::new()), |name| self.elf.sections(name));
        let sections = sections.unwrap_or_else(|problem| {
            self.failed.get_or_insert(problem);
            Vec::new()
        });
        let slice = |section: Section| {
            self.keep.extend(section.keep);
            EndianSlice::new(section.data, LittleEndian)
        };
        sections.into_iter().map(slice).collect()
    }

    fn first(&mut self, id: SectionId) -> Slice {
        self.all(id).into_iter().next().unwrap_or(EndianSlice::new(&[], LittleEndian))
    }

    /// The units of all sections that hold some: the compiler gives each type
    /// a section of its own, of which linkers keep one.
    fn units(&mut self, dwarf: gimli::Dwarf<Slice>) -> Vec<SplitUnit> {
        let mut found = Vec::new();
        let shared = Arc::new(dwarf);
        for (at, bytes) in self.all(SectionId::DebugInfo).into_iter().enumerate() {
            let dwarf = match at {
                0 => shared.clone(),
                _ => Arc::new(gimli::Dwarf { debug_info: section(bytes), ..beside(&shared) }),
            };
            let mut headers = dwarf.units();
            while let Ok(Some(header)) = headers.next() {
                found.push(SplitUnit { dwarf: dwarf.clone(), header });
            }
        }
        for bytes in self.all(SectionId::DebugTypes) {
            let types = gimli::Dwarf { debug_types: section(bytes), ..beside(&shared) };
            let dwarf = Arc::new(types);
            let mut headers = dwarf.type_units();
            while let Ok(Some(header)) = headers.next() {
                found.push(SplitUnit { dwarf: dwarf.clone(), header });
            }
        }
        found
    }
}

fn section<T: gimli::Section<Slice>>(bytes: Slice) -> T {
    bytes.into()
}

/// What units of another section of the same file read from, but for it.
fn beside(dwarf: &gimli::Dwarf<Slice>) -> gimli::Dwarf<Slice> {
    gimli::Dwarf {
        debug_abbrev: dwarf.debug_abbrev,
        debug_addr: dwarf.debug_addr,
        debug_line: dwarf.debug_line,
        debug_line_str: dwarf.debug_line_str,
        debug_str: dwarf.debug_str,
        debug_str_offsets: dwarf.debug_str_offsets,
        locations: dwarf.locations,
        ranges: dwarf.ranges,
        file_type: dwarf.file_type,
        sup: dwarf.sup.clone(),
        ..gimli::Dwarf::default()
    }
}

/// All such files of a program in one.
struct Package {
    file: SplitFile,
    units: gimli::DwarfPackage<Slice>,
}

impl Package {
    /// The error is as in [`open`].
    fn open(path: &Path) -> Result<Self, Option<String>> {
        let elf = open(path)?;
        let mut sections = Sections { elf: &elf, keep: vec![elf.bytes.clone()], failed: None };
        let empty = EndianSlice::new(&[], LittleEndian);
        let units = gimli::DwarfPackage::load(|id| gimli::Result::Ok(sections.first(id)), empty);
        let failed = sections.failed.or_else(|| units.as_ref().err().map(ToString::to_string));
        let keep = sections.keep;
        match (units, failed) {
            (Ok(units), None) => {
                let file = SplitFile { path: path.to_owned(), elf, _keep: keep };
                Ok(Self { file, units })
            }
            (_, why) => Err(why.map(|why| format!("{}: {why}", path.display()))),
        }
    }

    fn split(self, skeletons: &[Skeleton], parent: &gimli::Dwarf<Slice>) -> Split {
        let mut split = Split::default();
        for skeleton in skeletons {
            let found = self.units.find_cu(skeleton.id, parent).ok().flatten();
            let unit = found.and_then(|dwarf| first_unit(dwarf, parent));
            if unit.is_none() {
                let (package, name) = (self.file.path.display(), skeleton.name.display());
                split.problems.push(format!(
                    "split debug information: {package} has nothing of {name}; only the lines of its unit are known"
                ));
            }
            split.units.push(unit);
        }
        let types = 1..=self.units.tu_index.unit_count();
        let sections = types.filter_map(|index| self.units.tu_sections(index, parent).ok());
        split.types.extend(sections.filter_map(|dwarf| first_unit(dwarf, parent)));
        split.files.push(self.file);
        split
    }
}

fn first_unit(mut dwarf: gimli::Dwarf<Slice>, parent: &gimli::Dwarf<Slice>) -> Option<SplitUnit> {
    dwarf.debug_line_str = parent.debug_line_str;
    let header = match dwarf.units().next() {
        Ok(Some(header)) => header,
        _ => dwarf.type_units().next().ok()??,
    };
    Some(SplitUnit { dwarf: Arc::new(dwarf), header })
}
