//! One program file or shared object: its facts, read at once, and its debug
//! information, found and indexed when first asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use trapline_core::{ImageAddr, ModuleId};

use crate::bytes::Bytes;
use crate::code::UnitCode;
use crate::elf::{Elf, ImageKind, Section, SectionInfo, Segment, Tls};
use crate::error::LoadError;
use crate::files::KeptFiles;
use crate::index::Spelling;
use crate::line_headers::LineHeaders;
use crate::line_map::KeptCalls;
use crate::live;
use crate::separate::{self, DebugInfo, Source};
use crate::symbols::Symbols;
use crate::units::Units;
use crate::values::Values;

/// How far an index under construction has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Units read.
    pub done: usize,
    /// Units in all.
    pub total: usize,
}

/// Called, from any thread, as indexing proceeds.
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;

/// Whether any image has lost bytes of its files since it was loaded, see
/// [`Image::is_cut_short`]: one atomic load, for all images there are.
pub fn any_cut_short() -> bool {
    live::any_cut_short()
}

/// How to load an image.
#[derive(Clone)]
pub struct LoadOptions {
    /// Where separate debug files are kept.
    pub debug_directories: Vec<PathBuf>,
    /// Told of the progress of indexing.
    pub progress: Option<ProgressFn>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { debug_directories: vec!["/usr/lib/debug".into()], progress: None }
    }
}

impl std::fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("debug_directories", &self.debug_directories)
            .finish_non_exhaustive()
    }
}

/// A program file or shared object. Immutable; what is costly is computed when
/// first asked for, and kept.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    module: ModuleId,
    /// Whether it came from memory, so that no file lies beside it.
    in_memory: bool,
    options: LoadOptions,
    pub(crate) elf: Elf,
    kind: ImageKind,
    segments: Vec<Segment>,
    source: OnceLock<Source>,
    units: OnceLock<Units>,
    pub(crate) spelling: Spelling,
    pub(crate) code: OnceLock<Box<[UnitCode]>>,
    pub(crate) files: KeptFiles,
    pub(crate) line_headers: LineHeaders,
    pub(crate) symbols: OnceLock<Symbols>,
    /// Starts and lengths of restartable sequences.
    pub(crate) restartable: OnceLock<Vec<(u64, u64)>>,
    pub(crate) inlined: KeptCalls,
    pub(crate) values: Values,
}

impl Image {
    /// Maps a file and reads its headers: milliseconds, whatever its size.
    pub fn load(path: &Path, module: ModuleId, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::new(Elf::open(path)?, path.to_owned(), module, options.clone(), false)
    }

    /// An image that is not in a file, such as the vDSO read from memory.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, module: ModuleId) -> Result<Self, LoadError> {
        let path = PathBuf::from(name);
        let elf =
            Elf::parse(Bytes::owned(bytes)).map_err(|reason| LoadError::new(&path, reason))?;
        Self::new(elf, path, module, LoadOptions::default(), true)
    }

    fn new(
        elf: Elf,
        path: PathBuf,
        module: ModuleId,
        options: LoadOptions,
        in_memory: bool,
    ) -> Result<Self, LoadError> {
        let kind = elf.kind().map_err(|reason| LoadError::new(&path, reason))?;
        Ok(Self {
            path,
            module,
            in_memory,
            options,
            kind,
            segments: elf.segments(),
            elf,
            source: OnceLock::new(),
            units: OnceLock::new(),
            spelling: Spelling::default(),
            code: OnceLock::new(),
            files: KeptFiles::default(),
            line_headers: LineHeaders::default(),
            symbols: OnceLock::new(),
            restartable: OnceLock::new(),
            inlined: KeptCalls::default(),
            values: Values::default(),
        })
    }

    /// Where it was loaded from, or the name it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its identity in the session.
    pub fn module(&self) -> ModuleId {
        self.module
    }

    /// Its build id (`NT_GNU_BUILD_ID`).
    pub fn build_id(&self) -> Option<&[u8]> {
        self.elf.build_id()
    }

    /// How it may be placed.
    pub fn kind(&self) -> ImageKind {
        self.kind
    }

    /// Where execution starts; `None` in most shared objects.
    pub fn entry(&self) -> Option<ImageAddr> {
        self.elf.entry()
    }

    /// What is loaded of it.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// From the first loaded address to the first past the last; empty when
    /// nothing is loaded.
    pub fn image_range(&self) -> (ImageAddr, ImageAddr) {
        let start = self.segments.iter().map(|segment| segment.image).min().unwrap_or_default();
        let ends = self
            .segments
            .iter()
            .map(|segment| ImageAddr::new(segment.image.get().saturating_add(segment.memory_size)));
        (start, ends.max().unwrap_or_default())
    }

    /// The dynamic linker it asks for.
    pub fn interpreter(&self) -> Option<String> {
        self.elf.interpreter()
    }

    /// The name it gives itself (`DT_SONAME`).
    pub fn soname(&self) -> Option<String> {
        self.elf.soname()
    }

    /// Its thread-local storage segment.
    pub fn tls(&self) -> Option<Tls> {
        self.elf.tls()
    }

    /// Where its dynamic table is (`PT_DYNAMIC`).
    pub fn dynamic(&self) -> Option<ImageAddr> {
        self.elf.dynamic_address()
    }

    /// A section by name.
    pub fn section_named(&self, name: &str) -> Option<SectionInfo> {
        self.elf.section_info(name)
    }

    /// Copies bytes as the file holds them, and returns how many: fewer when a
    /// segment's bytes in the file end, none where nothing is loaded.
    pub fn read_static(&self, address: ImageAddr, buffer: &mut [u8]) -> usize {
        let bytes = self.elf.loaded_bytes(address.get()).unwrap_or(&[]);
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        count
    }

    /// Copies bytes as a process has them before anything is relocated, and
    /// returns how many: zeroes follow what a segment has in the file.
    pub fn read_initial(&self, address: ImageAddr, buffer: &mut [u8]) -> usize {
        let count = self.read_static(address, buffer);
        let rest = address.wrapping_add(count as u64);
        let Some(segment) = self.segment_at(rest).filter(|_| count < buffer.len()) else {
            return count;
        };
        let left = segment.memory_size.saturating_sub(rest.get() - segment.image.get());
        let left = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len() - count);
        buffer[count..count + left].fill(0);
        count + left
    }

    /// The segment around an address.
    pub fn segment_at(&self, address: ImageAddr) -> Option<&Segment> {
        self.segments.iter().find(|segment| {
            address.checked_sub(segment.image).is_some_and(|skip| skip < segment.memory_size)
        })
    }

    /// What is known about it besides its code.
    pub fn debug_info(&self) -> &DebugInfo {
        &self.source().what
    }

    pub(crate) fn source(&self) -> &Source {
        self.source.get_or_init(|| {
            let path = (!self.in_memory).then_some(self.path.as_path());
            separate::find(&self.elf, path, &self.options.debug_directories)
        })
    }

    /// Whether it has DWARF debug information.
    pub fn has_debug(&self) -> bool {
        matches!(self.debug_info(), DebugInfo::Own | DebugInfo::Separate(_))
    }

    /// The file that holds the debug information: the image or its separate
    /// debug file.
    pub(crate) fn debug_elf(&self) -> &Elf {
        self.source().file.as_ref().unwrap_or(&self.elf)
    }

    /// The DWARF units; none when there is no debug information.
    pub(crate) fn units(&self) -> &Units {
        self.units.get_or_init(|| {
            let path = match self.debug_info() {
                DebugInfo::Separate(path) => Some(path.as_path()),
                _ => (!self.in_memory).then_some(self.path.as_path()),
            };
            Units::load(self.debug_elf(), path, self.source().shared(), self.tls())
        })
    }

    /// Whether its debug information was looked into.
    pub(crate) fn is_read(&self) -> bool {
        self.units.get().is_some()
    }

    /// How it was loaded.
    pub(crate) fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// Reads what every stop asks for: the unit and the symbol at an address,
    /// the rules of unwinding.
    pub fn read_ahead(&self) {
        self.symbol_at(self.image_range().0);
        self.cfi().read_ahead();
        self.units().coverage();
    }

    /// Reads all names now, reporting progress, rather than at the questions
    /// that need them.
    pub fn prepare(&self) {
        self.names_of_all();
    }

    /// A section with its address: from the image, or, when it has no bytes
    /// there, from the separate debug file (`.debug_frame`).
    pub(crate) fn section(&self, name: &str) -> Option<Section> {
        let own = self.elf.section(name).ok().flatten();
        own.or_else(|| self.source().file.as_ref()?.section(name).ok().flatten())
    }

    /// Whether one of its files was found to have become shorter while it was
    /// being read. What was lost is read as zeros, so that every answer may be
    /// incomplete; those given before stay good.
    pub fn is_cut_short(&self) -> bool {
        live::any_cut_short() && !self.files_cut_short().is_empty()
    }

    /// Which of its files became shorter: its own, the separate debug file, the
    /// file shared with others.
    pub fn files_cut_short(&self) -> Vec<&Path> {
        let own = [(self.path.as_path(), &self.elf)];
        let others = self.source.get().into_iter().flat_map(Source::files);
        let split = self.units.get().into_iter().flat_map(Units::split_files);
        let all = own.into_iter().chain(others).chain(split);
        let cut = all.filter(|(_, file)| file.bytes.are_cut_short());
        cut.map(|(path, _)| path).collect()
    }

    /// What was wrong or missing in what has been read so far, a sentence
    /// each.
    pub fn problems(&self) -> Vec<String> {
        let mut all: Vec<_> = self.files_cut_short().into_iter().map(tell_cut_short).collect();
        if let Some(source) = self.source.get() {
            all.extend(source.problems.iter().cloned());
        }
        if let Some(units) = self.units.get() {
            all.extend(units.load_problems().iter().cloned());
        }
        all.extend(self.units_read().filter_map(|unit| unit.problem().cloned()));
        all
    }
}

fn tell_cut_short(path: &Path) -> String {
    let path = path.display();
    format!("{path} became shorter while it was being read: what it says may be incomplete")
}
