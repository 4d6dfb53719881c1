//! Symbol tables: what is at an address and where a symbol is, with nothing
//! but `.symtab`, `.dynsym` and the procedure linkage table.

use std::collections::HashMap;
use std::sync::OnceLock;

use object::elf;
use object::read::elf::{SectionHeader as _, Sym as _, SymbolTable};
use object::{
    LittleEndian, Object as _, ObjectSymbol as _, ObjectSymbolTable as _, RelocationTarget,
};
use trapline_core::ImageAddr;

use crate::demangle::{demangle, is_mangled};
use crate::elf::Elf;
use crate::image::Image;
use crate::names::{self, Pattern};
use crate::symbol_names::{self, Spelled};

/// What a symbol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SymbolKind {
    /// Code.
    Function,
    /// Code that chooses the function to use when the program starts
    /// (`STT_GNU_IFUNC`).
    IndirectFunction,
    /// Data.
    Data,
    /// A label, mostly of assembly code.
    Label,
    /// A stub of the procedure linkage table.
    Stub,
}

/// A symbol found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SymbolHit {
    /// Its name, demangled; `name@plt` for a stub.
    pub name: String,
    /// Its name as the linker knows it.
    pub linkage_name: String,
    /// Its address.
    pub start: ImageAddr,
    /// Its size in bytes; 0 when the table does not say.
    pub size: u64,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Whether other files can refer to it.
    pub external: bool,
}

/// Which table a symbol is in: later ones add to the earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum TableId {
    /// `.symtab` of the file with the debug information.
    Debug,
    /// `.symtab` of the image.
    Own,
    /// `.dynsym` of the image.
    Dynamic,
}

/// A symbol, by its place in its table; those at lower addresses come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SymbolRef {
    address: u64,
    table: TableId,
    index: u32,
}

impl SymbolRef {
    /// Its address.
    pub(crate) fn address(self) -> ImageAddr {
        ImageAddr::new(self.address)
    }
}

/// The symbols of an image by address. The names stay in the mapped files.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    entries: Vec<SymbolRef>,
    stubs: OnceLock<HashMap<u64, String>>,
    /// Slots of the global offset table, and the address in each.
    offset_table: OnceLock<HashMap<u64, u64>>,
}

impl TableId {
    const ALL: [Self; 3] = [Self::Debug, Self::Own, Self::Dynamic];
}

type Table = SymbolTable<'static, elf::FileHeader64<LittleEndian>>;
type Raw = elf::Sym64<LittleEndian>;

impl Symbols {
    fn read(image: &Image) -> Self {
        let mut entries = Vec::new();
        for id in TableId::ALL {
            let Some(table) = table(image, id) else { continue };
            entries.reserve(table.len());
            entries.extend(self::entries(table, id).map(|(entry, _)| entry));
        }
        entries.sort_unstable();
        Self { entries, stubs: OnceLock::new(), offset_table: OnceLock::new() }
    }
}

fn table(image: &Image, id: TableId) -> Option<&Table> {
    let own: &Elf = &image.elf;
    match id {
        TableId::Debug => Some(image.source().file.as_ref()?.file.elf_symbol_table()),
        TableId::Own => Some(own.file.elf_symbol_table()),
        TableId::Dynamic => Some(own.file.elf_dynamic_symbol_table()),
    }
}

/// What a table has that is of some kind.
fn entries(table: &Table, id: TableId) -> impl Iterator<Item = (SymbolRef, &Raw)> {
    let of_some_kind = table.symbols().iter().zip(0..).filter(|(symbol, _)| kind(symbol).is_some());
    of_some_kind.map(move |(symbol, index)| {
        (SymbolRef { address: symbol.st_value(LittleEndian), table: id, index }, symbol)
    })
}

fn kind(symbol: &Raw) -> Option<SymbolKind> {
    let section = symbol.st_shndx(LittleEndian);
    if section == elf::SHN_UNDEF || section == elf::SHN_ABS || section == elf::SHN_COMMON {
        return None;
    }
    match symbol.st_type() {
        elf::STT_FUNC => Some(SymbolKind::Function),
        elf::STT_GNU_IFUNC => Some(SymbolKind::IndirectFunction),
        elf::STT_OBJECT => Some(SymbolKind::Data),
        elf::STT_NOTYPE => Some(SymbolKind::Label),
        _ => None,
    }
}

/// Which of several symbols at one address is the one to show.
fn preference(symbol: &Raw) -> (bool, bool, bool) {
    let label = symbol.st_type() == elf::STT_NOTYPE;
    let binding = symbol.st_bind();
    (!label, symbol.st_size(LittleEndian) != 0, binding == elf::STB_GLOBAL)
}

impl Image {
    fn symbols(&self) -> &Symbols {
        self.symbols.get_or_init(|| Symbols::read(self))
    }

    fn raw_symbol(&self, entry: SymbolRef) -> Option<(&'static Raw, &'static [u8])> {
        let table = table(self, entry.table)?;
        let symbol = table.symbols().get(entry.index as usize)?;
        let name = symbol.name(LittleEndian, table.strings()).ok()?;
        Some((symbol, name)).filter(|_| !name.is_empty())
    }

    /// What a symbol says; `None` when it has no name.
    pub(crate) fn symbol_hit(&self, entry: SymbolRef) -> Option<SymbolHit> {
        let (symbol, name) = self.raw_symbol(entry)?;
        let linkage_name = std::str::from_utf8(name).ok()?;
        Some(SymbolHit {
            name: demangle(linkage_name).into_owned(),
            linkage_name: linkage_name.to_owned(),
            start: entry.address(),
            size: symbol.st_size(LittleEndian),
            kind: kind(symbol)?,
            external: symbol.st_bind() != elf::STB_LOCAL,
        })
    }

    /// The symbol whose code or data is at an address. A symbol without a size
    /// reaches to the next one.
    pub fn symbol_at(&self, address: ImageAddr) -> Option<SymbolHit> {
        self.segment_at(address)?;
        self.covering_symbol(address.get()).or_else(|| self.stub_at(address))
    }

    fn covering_symbol(&self, address: u64) -> Option<SymbolHit> {
        // How far back a symbol that encloses others is looked for.
        const NESTING: usize = 64;
        let entries = &self.symbols().entries;
        let after = entries.partition_point(|entry| entry.address <= address);
        let nearest = entries.get(after.checked_sub(1)?)?.address;
        let covering = entries[..after].iter().copied().rev().take(NESTING).filter(|&entry| {
            self.raw_symbol(entry).is_some_and(|(symbol, _)| {
                let size = symbol.st_size(LittleEndian);
                let open =
                    size == 0 && entry.address == nearest && self.same_section(entry, address);
                open || address - entry.address < size
            })
        });
        let best = covering.max_by_key(|&entry| {
            let preference = self.raw_symbol(entry).map(|(symbol, _)| preference(symbol));
            let first_table = std::cmp::Reverse((entry.table, entry.index));
            (entry.address, preference, first_table)
        })?;
        self.symbol_hit(best)
    }

    /// The file that a table is in.
    fn file_of(&self, table: TableId) -> &Elf {
        match table {
            TableId::Debug => self.debug_elf(),
            TableId::Own | TableId::Dynamic => &self.elf,
        }
    }

    /// Whether an address is in the section a symbol is defined in.
    fn same_section(&self, entry: SymbolRef, address: u64) -> bool {
        let Some((symbol, _)) = self.raw_symbol(entry) else { return false };
        let index = object::SectionIndex(usize::from(symbol.st_shndx(LittleEndian).0));
        let Ok(section) = self.file_of(entry.table).file.elf_section_table().section(index) else {
            return true;
        };
        let start = section.sh_addr(LittleEndian);
        address.checked_sub(start).is_some_and(|skip| skip < section.sh_size(LittleEndian))
    }

    /// Every symbol of a name: a linkage name, or a demangled one written the
    /// way functions are named. Copies in both tables count once.
    pub fn symbols_named(&self, name: &str) -> Vec<SymbolHit> {
        let pattern = Pattern::new(name, false);
        let meant = self.symbols_meant(name, pattern.as_ref()).into_iter();
        let mut found: Vec<SymbolHit> = meant.filter_map(|it| self.symbol_hit(it)).collect();
        found.sort_by(|a, b| (a.start, &a.linkage_name).cmp(&(b.start, &b.linkage_name)));
        found.dedup_by(|a, b| a.start == b.start && a.linkage_name == b.linkage_name);
        found
    }

    /// The symbols whose linkage name is `name` or means the pattern made of it.
    pub(crate) fn symbols_meant(&self, name: &str, pattern: Option<&Pattern>) -> Vec<SymbolRef> {
        self.symbols_where(pattern.map_or(name, Pattern::key), |linkage| {
            linkage == name.as_bytes()
                || pattern.is_some_and(|pattern| mangled_matches(pattern, linkage))
        })
    }

    /// The symbols of functions that match a pattern, compiler clones included
    /// but for parts split off.
    pub(crate) fn function_symbols(&self, pattern: &Pattern) -> Vec<SymbolRef> {
        let mut found = self.symbols_where(pattern.key(), |linkage| {
            let Ok(text) = std::str::from_utf8(linkage) else { return false };
            let (function, cold) = names::split_clone(text);
            !cold
                && if is_mangled(linkage) {
                    mangled_matches(pattern, linkage)
                } else {
                    pattern.matches(std::iter::once(function))
                }
        });
        found.retain(|symbol| match self.raw_symbol(*symbol).and_then(|(raw, _)| kind(raw)) {
            Some(SymbolKind::Function | SymbolKind::IndirectFunction) => true,
            Some(SymbolKind::Label) => self.is_code(symbol.address()),
            _ => false,
        });
        found
    }

    /// Every symbol of code.
    pub(crate) fn all_function_symbols(&self) -> impl Iterator<Item = SymbolRef> {
        self.symbols().entries.iter().copied().filter(|entry| {
            let kind = self.raw_symbol(*entry).and_then(|(symbol, _)| kind(symbol));
            matches!(kind, Some(SymbolKind::Function | SymbolKind::IndirectFunction))
        })
    }

    /// The symbols whose linkage names are wanted, among those that spell
    /// `key`, by address.
    fn symbols_where(&self, key: &str, wanted: impl Fn(&[u8]) -> bool) -> Vec<SymbolRef> {
        let meant =
            |entry: &SymbolRef| self.raw_symbol(*entry).is_some_and(|(_, name)| wanted(name));
        let key = key.trim_start_matches('~');
        if !symbol_names::is_identifier(key) {
            return self.symbols().entries.iter().copied().filter(meant).collect();
        }
        let mut found: Vec<SymbolRef> = self.spelling(key).filter(meant).collect();
        found.sort_unstable();
        found
    }

    /// Whether any symbol's linkage name may spell `key`.
    pub(crate) fn may_spell(&self, key: &str) -> bool {
        let key = key.trim_start_matches('~');
        !symbol_names::is_identifier(key) || self.spelling(key).next().is_some()
    }

    /// The symbols that may spell an identifier.
    fn spelling(&self, identifier: &str) -> impl Iterator<Item = SymbolRef> {
        TableId::ALL.into_iter().flat_map(move |id| {
            let searched = table(self, id).and_then(|it| Some((it, self.symbol_names(id, it)?)));
            let spelled = searched.map(|(table, names)| (table, Spelled::find(names, identifier)));
            spelled.filter(|(_, spelled)| !spelled.is_empty()).into_iter().flat_map(
                move |(table, spelled)| {
                    let name = |symbol: &Raw| symbol.st_name(LittleEndian) as usize;
                    entries(table, id)
                        .filter(move |(_, symbol)| spelled.is_in(name(symbol)))
                        .map(|(entry, _)| entry)
                },
            )
        })
    }

    /// The symbols of exactly this linkage name.
    pub(crate) fn symbols_of_linkage(&self, linkage: &str) -> Vec<SymbolRef> {
        self.symbols_where(linkage, |name| name == linkage.as_bytes())
    }

    /// Whether a symbol of data that each thread has its own of has a linkage
    /// name that is wanted.
    pub(crate) fn has_thread_local(&self, wanted: impl Fn(&[u8]) -> bool) -> bool {
        TableId::ALL.into_iter().filter_map(|id| table(self, id)).any(|table| {
            table.symbols().iter().any(|symbol| {
                symbol.st_type() == elf::STT_TLS
                    && symbol.name(LittleEndian, table.strings()).is_ok_and(&wanted)
            })
        })
    }

    /// The names of a table, one after another.
    fn symbol_names(&self, id: TableId, table: &Table) -> Option<&'static [u8]> {
        let elf = self.file_of(id);
        let section = elf.file.elf_section_table().section(table.string_section()).ok()?;
        section.data(LittleEndian, elf.bytes.all()).ok()
    }

    /// Whether an address is in an executable segment.
    pub fn is_code(&self, address: ImageAddr) -> bool {
        self.segment_at(address).is_some_and(|segment| segment.execute)
    }

    /// The stub of the procedure linkage table at an address.
    fn stub_at(&self, address: ImageAddr) -> Option<SymbolHit> {
        let linkage_name = self.plt_target(address)?;
        Some(SymbolHit {
            name: format!("{}@plt", demangle(&linkage_name)),
            start: ImageAddr::new(address.get() & !(STUB_SIZE - 1)),
            size: STUB_SIZE,
            linkage_name,
            kind: SymbolKind::Stub,
            external: false,
        })
    }

    /// The linkage name of the function a stub of the procedure linkage table
    /// jumps to; `None` where there is no stub.
    pub fn plt_target(&self, address: ImageAddr) -> Option<String> {
        let sections = [".plt", ".plt.sec", ".plt.got"];
        let inside = sections.iter().filter_map(|name| self.section_named(name)).any(|section| {
            address.checked_sub(section.address).is_some_and(|skip| skip < section.size)
        });
        if !inside {
            return None;
        }
        let short = address.get() & !(SHORT_STUB_SIZE - 1);
        let long = address.get() & !(STUB_SIZE - 1);
        let mut code = [0; STUB_SIZE as usize];
        let mut slot_of = |start: u64, size: u64| {
            let read = self.read_static(ImageAddr::new(start), &mut code);
            jump_slot(start, code[..read].get(..size as usize)?)
        };
        let slot = slot_of(short, SHORT_STUB_SIZE).or_else(|| slot_of(long, STUB_SIZE))?;
        self.symbols().stubs.get_or_init(|| self.read_slots()).get(&slot).cloned()
    }

    /// Whether a function of one of these linkage names is called from here, but
    /// found elsewhere.
    pub fn imports_any(&self, names: &[&str]) -> bool {
        let slots = self.symbols().stubs.get_or_init(|| self.read_slots());
        slots.values().any(|name| names.contains(&name.as_str()))
    }

    /// The address that relocation puts into a slot of the global offset table,
    /// when it is one of this image.
    pub(crate) fn offset_table_entry(&self, slot: u64) -> Option<u64> {
        self.symbols().offset_table.get_or_init(|| self.read_offset_table()).get(&slot).copied()
    }

    fn read_offset_table(&self) -> HashMap<u64, u64> {
        let Some(table) = self.section_named(".got") else { return HashMap::new() };
        let inside = |slot: u64| slot.checked_sub(table.address.get());
        let relocations = self.elf.file.dynamic_relocations().into_iter().flatten();
        relocations
            .filter(|(slot, _)| inside(*slot).is_some_and(|skip| skip < table.size))
            .filter(|(_, relocation)| relocation.target() == RelocationTarget::Absolute)
            .map(|(slot, relocation)| (slot, relocation.addend().cast_unsigned()))
            .collect()
    }

    /// The names behind the slots that relocations fill.
    fn read_slots(&self) -> HashMap<u64, String> {
        let mut slots = HashMap::new();
        let file = &self.elf.file;
        let (Some(relocations), Some(symbols)) =
            (file.dynamic_relocations(), file.dynamic_symbol_table())
        else {
            return slots;
        };
        for (slot, relocation) in relocations {
            let RelocationTarget::Symbol(index) = relocation.target() else { continue };
            let Ok(symbol) = symbols.symbol_by_index(index) else { continue };
            if let Ok(name) = symbol.name() {
                slots.insert(slot, name.to_owned());
            }
        }
        slots
    }
}

/// Bytes of one stub (System V ABI, AMD64 supplement, section 5.2).
const STUB_SIZE: u64 = 16;

/// Bytes of one stub in `.plt.got`, where nothing is bound lazily.
const SHORT_STUB_SIZE: u64 = 8;

/// The slot that a stub's `jmp *slot(%rip)` reads.
fn jump_slot(start: u64, code: &[u8]) -> Option<u64> {
    let at = code.windows(2).position(|pair| pair == [0xff, 0x25])?;
    let displacement: [u8; 4] = code.get(at + 2..at + 6)?.try_into().ok()?;
    let next = start.wrapping_add(at as u64 + 6);
    Some(next.wrapping_add_signed(i64::from(i32::from_le_bytes(displacement))))
}

/// Whether a mangled name means the pattern.
pub(crate) fn mangled_matches(pattern: &Pattern, linkage: &[u8]) -> bool {
    // Itanium C++ ABI 5.1.4: names of tables, thunks, wrappers and guards have
    // within them those of what they are for.
    let is_special = linkage.starts_with(b"_ZT") || linkage.starts_with(b"_ZG");
    if is_special || !is_mangled(linkage) {
        return false;
    }
    std::str::from_utf8(linkage).is_ok_and(|text| {
        crate::demangle::demangled(text).is_some_and(|name| pattern.matches_demangled(&name))
    })
}
