//! What can be said of an image whose debug information lies in a separate
//! file that nothing has needed yet: a program brings in dozens of libraries,
//! and reading all their debug information to look up one name of the
//! program's own would cost more than everything else.

use gimli::{EndianSlice, LittleEndian};

use crate::elf::Section;
use crate::image::Image;
use crate::line_headers::last_component;
use crate::line_table;
use crate::names::Pattern;
use crate::separate::DebugInfo;
use crate::symbol_names;
use crate::units::Slice;

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
        if self.is_read() || !self.is_separate() {
            return false;
        }
        let path = line_table::normalise(path);
        let name = last_component(path.as_bytes());
        // Held until they have been searched.
        let mut sections = Vec::new();
        let tables = self.line_headers.naming(name, || self.line_sections(&mut sections));
        tables.is_some_and(|tables| tables.is_empty())
    }

    /// The sections with line tables and their strings alone.
    fn line_sections(&self, keep: &mut Vec<Section>) -> Option<gimli::Dwarf<Slice>> {
        let mut read = |name| {
            let section = self.debug_elf().section(name).ok()?;
            let data = section.as_ref().map_or(&[][..], |section| section.data);
            keep.extend(section);
            Some(EndianSlice::new(data, LittleEndian))
        };
        Some(gimli::Dwarf::<Slice> {
            debug_line: read(".debug_line")?.into(),
            debug_line_str: read(".debug_line_str")?.into(),
            debug_str: read(".debug_str")?.into(),
            ..gimli::Dwarf::default()
        })
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
