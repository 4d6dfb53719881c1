//! What can be said of an image whose debug information lies in a separate
//! file that nothing has needed yet: a program brings in dozens of libraries,
//! and reading all their debug information to look up one name of the
//! program's own would cost more than everything else.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use gimli::{DebugLineOffset, EndianSlice, LittleEndian};

use crate::image::Image;
use crate::line_table;
use crate::names::Pattern;
use crate::separate::DebugInfo;
use crate::symbol_names;
use crate::units::Slice;

/// The last components, hashed, of the source files that line tables name.
#[derive(Debug)]
pub(crate) struct FileNames(HashSet<u64>);

/// Bytes of an address in the line tables of 64-bit programs.
const ADDRESS_SIZE: u8 = 8;

impl Image {
    /// Whether only reading a separate debug file in full could find a
    /// function of this name: no symbol bears it, and the file has not been
    /// read. Then nothing but inlined copies can be there.
    ///
    /// `name` and `qualified` are as in [`Self::functions_named`].
    pub fn could_only_inline(&self, name: &str, qualified: bool) -> bool {
        if self.is_read() || !self.is_separate() || !self.has_symbol_table() {
            return false;
        }
        if symbol_names::is_identifier(name) && !self.may_spell(name) {
            return true;
        }
        Pattern::new(name, qualified).is_some_and(|pattern| {
            !self.may_spell(pattern.key())
                || self.function_symbols(&pattern).is_empty() && self.symbols_named(name).is_empty()
        })
    }

    /// Whether no line table in a separate debug file names a file whose last
    /// component is that of `path`, which can be told without reading units.
    pub fn lacks_file(&self, path: &str) -> bool {
        if self.files.get().is_some() || !self.is_separate() {
            return false;
        }
        let names = self.file_names.get_or_init(|| FileNames::read(self));
        let wanted = last_component(line_table::normalise(path).as_bytes());
        names.as_ref().is_some_and(|names| !names.0.contains(&wanted))
    }

    /// Whether every function has its symbol here: a stripped file keeps none
    /// but those that others link to.
    fn has_symbol_table(&self) -> bool {
        self.debug_elf().file.elf_symbol_table().symbols().len() > 1
    }

    fn is_separate(&self) -> bool {
        matches!(self.debug_info(), DebugInfo::Separate(_))
    }
}

impl FileNames {
    /// `None` when some table cannot be read, so that nothing can be ruled out.
    fn read(image: &Image) -> Option<Self> {
        let elf = image.debug_elf();
        let section = |name| elf.section(name).ok();
        let (lines, strings, others) =
            (section(".debug_line")?, section(".debug_line_str")?, section(".debug_str")?);
        let bytes = |section: &Option<crate::elf::Section>| -> Slice {
            EndianSlice::new(section.as_ref().map_or(&[], |it| it.data), LittleEndian)
        };
        let dwarf = gimli::Dwarf::<Slice> {
            debug_line: gimli::DebugLine::from(bytes(&lines)),
            debug_line_str: gimli::DebugLineStr::from(bytes(&strings)),
            debug_str: gimli::DebugStr::from(bytes(&others)),
            ..gimli::Dwarf::default()
        };
        let mut names = HashSet::new();
        let mut at = 0;
        while at < bytes(&lines).len() {
            at = add_table(&dwarf, at, &mut names)?;
        }
        Some(Self(names))
    }
}

/// Adds the files of the table at an offset; the offset of the next table.
fn add_table(dwarf: &gimli::Dwarf<Slice>, at: usize, names: &mut HashSet<u64>) -> Option<usize> {
    let offset = DebugLineOffset(at);
    let program = dwarf.debug_line.program(offset, ADDRESS_SIZE, None, None).ok()?;
    let header = program.header();
    for file in header.file_names() {
        // A string of a file shared with other images is not at hand here.
        let name = dwarf.attr_line_string(file.path_name()).ok()?;
        names.insert(last_component(name.slice()));
    }
    let length_size = usize::from(header.format().initial_length_size());
    at.checked_add(header.unit_length())?.checked_add(length_size)
}

fn last_component(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path).hash(&mut hasher);
    hasher.finish()
}
