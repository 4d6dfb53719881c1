//! One ELF file, parsed as far as its headers: segments, sections, notes, the
//! dynamic table. It leaves debug information and symbols to others.

use std::path::Path;

use object::elf;
use object::read::elf::{Dyn as _, ElfFile64, ElfSection64, FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, Object as _, ObjectSection as _};
use trapline_core::{FileOff, ImageAddr};

use crate::bytes::Bytes;
use crate::error::{LoadError, LoadFailure};

/// Sections that claim more bytes than this are refused: none of a real program
/// is larger, and a forged header must not exhaust memory.
const MAX_SECTION: u64 = 16 << 30;

/// A loadable segment (`PT_LOAD`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its first address in the image.
    pub image: ImageAddr,
    /// Bytes it takes in memory; those past `file_size` start as zero.
    pub memory_size: u64,
    /// Where its bytes start in the file.
    pub file: FileOff,
    /// Bytes it takes in the file.
    pub file_size: u64,
    /// Mapped readable.
    pub read: bool,
    /// Mapped writable.
    pub write: bool,
    /// Mapped executable.
    pub execute: bool,
}

/// A named section, as the section table describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionInfo {
    /// Its address in the image; zero for one that is not loaded.
    pub address: ImageAddr,
    /// Its size in bytes.
    pub size: u64,
    /// Where its bytes start in the file; `None` when it has none there.
    pub file: Option<FileOff>,
}

/// The thread-local storage segment (`PT_TLS`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The image of initial values.
    pub image: ImageAddr,
    /// Bytes of initial values in the file.
    pub file_size: u64,
    /// Bytes of one thread's block.
    pub memory_size: u64,
    /// Alignment of the block, a power of two.
    pub align: u64,
}

/// How an image may be placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageKind {
    /// An executable linked at a fixed address.
    FixedExecutable,
    /// A position-independent executable, static ones included.
    PieExecutable,
    /// A shared object.
    SharedObject,
}

/// A section's bytes (decompressed) and address.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Its address in the image; zero when it is not loaded.
    pub(crate) address: u64,
    /// Its bytes, valid while `keep` or the [`Elf`] it came from lives.
    pub(crate) data: &'static [u8],
    /// What owns the bytes when they had to be decompressed.
    pub(crate) keep: Option<Bytes>,
}

/// A parsed ELF file.
#[derive(Debug)]
pub(crate) struct Elf {
    pub(crate) file: ElfFile64<'static, LittleEndian>,
    pub(crate) bytes: Bytes,
}

impl Elf {
    /// Opens and parses a file.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let bytes = Bytes::open(path).map_err(|error| LoadError::from_io(path, &error))?;
        Self::parse(bytes).map_err(|reason| LoadError::new(path, reason))
    }

    /// Checks the headers of an ELF file for this architecture.
    pub(crate) fn parse(bytes: Bytes) -> Result<Self, LoadFailure> {
        check_identity(bytes.all())?;
        let header = elf::FileHeader64::<LittleEndian>::parse(bytes.all())
            .map_err(corrupt("file header"))?;
        header.program_headers(LittleEndian, bytes.all()).map_err(corrupt("program headers"))?;
        let file = ElfFile64::parse(bytes.all()).map_err(corrupt("section headers"))?;
        Ok(Self { file, bytes })
    }

    pub(crate) fn segments(&self) -> Vec<Segment> {
        let loads = self.programs(elf::PT_LOAD);
        loads
            .map(|header| {
                let flags = header.p_flags(LittleEndian);
                Segment {
                    image: ImageAddr::new(header.p_vaddr(LittleEndian)),
                    memory_size: header.p_memsz(LittleEndian),
                    file: FileOff::new(header.p_offset(LittleEndian)),
                    file_size: header.p_filesz(LittleEndian).min(header.p_memsz(LittleEndian)),
                    read: flags.contains(elf::PF_R),
                    write: flags.contains(elf::PF_W),
                    execute: flags.contains(elf::PF_X),
                }
            })
            .collect()
    }

    fn programs(
        &self,
        wanted: elf::ProgramType,
    ) -> impl Iterator<Item = &'static elf::ProgramHeader64<LittleEndian>> {
        let headers: &'static [_] = self.file.elf_program_headers();
        headers.iter().filter(move |header| header.p_type(LittleEndian) == wanted)
    }

    /// What kind of program this is. A position-independent executable is told
    /// from a shared object by `DF_1_PIE`, or, from older linkers, by having an
    /// interpreter and no name of its own.
    pub(crate) fn kind(&self) -> Result<ImageKind, LoadFailure> {
        match self.file.elf_header().e_type(LittleEndian) {
            elf::ET_EXEC => Ok(ImageKind::FixedExecutable),
            elf::ET_DYN if self.is_pie() => Ok(ImageKind::PieExecutable),
            elf::ET_DYN => Ok(ImageKind::SharedObject),
            elf::ET_REL => Err(LoadFailure::NotLoadable("an object file")),
            elf::ET_CORE => Err(LoadFailure::NotLoadable("a core dump")),
            _ => Err(LoadFailure::NotLoadable("an ELF file of unknown type")),
        }
    }

    fn is_pie(&self) -> bool {
        match self.dynamic_value(elf::DT_FLAGS_1) {
            Some(flags) if flags & DF_1_PIE != 0 => true,
            _ => self.interpreter().is_some() && self.soname().is_none(),
        }
    }

    pub(crate) fn entry(&self) -> Option<ImageAddr> {
        Some(self.file.entry()).filter(|&entry| entry != 0).map(ImageAddr::new)
    }

    pub(crate) fn interpreter(&self) -> Option<String> {
        let header = self.programs(elf::PT_INTERP).next()?;
        let name = header.interpreter(LittleEndian, self.bytes.all()).ok()??;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    pub(crate) fn tls(&self) -> Option<Tls> {
        let header = self.programs(elf::PT_TLS).next()?;
        Some(Tls {
            image: ImageAddr::new(header.p_vaddr(LittleEndian)),
            file_size: header.p_filesz(LittleEndian),
            memory_size: header.p_memsz(LittleEndian),
            align: header.p_align(LittleEndian).max(1),
        })
    }

    pub(crate) fn dynamic_address(&self) -> Option<ImageAddr> {
        let header = self.programs(elf::PT_DYNAMIC).next()?;
        Some(ImageAddr::new(header.p_vaddr(LittleEndian)))
    }

    /// The value of the first dynamic entry with this tag.
    pub(crate) fn dynamic_value(&self, tag: elf::DynamicTag) -> Option<u64> {
        let header = self.programs(elf::PT_DYNAMIC).next()?;
        let entries = header.dynamic(LittleEndian, self.bytes.all()).ok()??;
        let found = entries.iter().find(|entry| entry.d_tag(LittleEndian) == tag)?;
        Some(found.d_val(LittleEndian))
    }

    pub(crate) fn soname(&self) -> Option<String> {
        let strings = self.dynamic_value(elf::DT_STRTAB)?;
        let at = strings.checked_add(self.dynamic_value(elf::DT_SONAME)?)?;
        let text = self.loaded_bytes(at)?;
        let end = text.iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&text[..end]).into_owned())
    }

    /// The file's bytes from an image address to the end of its segment.
    pub(crate) fn loaded_bytes(&self, address: u64) -> Option<&'static [u8]> {
        self.programs(elf::PT_LOAD).find_map(|header| {
            let skip = address.checked_sub(header.p_vaddr(LittleEndian))?;
            let left = header.p_filesz(LittleEndian).checked_sub(skip).filter(|&left| left > 0)?;
            let start = usize::try_from(header.p_offset(LittleEndian).checked_add(skip)?).ok()?;
            let tail = self.bytes.all().get(start..)?;
            Some(&tail[..tail.len().min(usize::try_from(left).ok()?)])
        })
    }

    pub(crate) fn section_info(&self, name: &str) -> Option<SectionInfo> {
        let section = self.file.section_by_name(name)?;
        Some(SectionInfo {
            address: ImageAddr::new(section.address()),
            size: section.size(),
            file: section.file_range().map(|(offset, _)| FileOff::new(offset)),
        })
    }

    /// A section's bytes, decompressed; `Ok(None)` when there is no such
    /// section or the file holds no bytes for it, an error text when they
    /// cannot be read.
    pub(crate) fn section(&self, name: &str) -> Result<Option<Section>, String> {
        match self.file.section_by_name(name) {
            Some(section) => read_section(&section, name),
            None => Ok(None),
        }
    }

    /// All sections of a name: files that were not linked have several.
    pub(crate) fn sections(&self, name: &str) -> Result<Vec<Section>, String> {
        let named = |section: &ElfSection<'_>| section.name_bytes() == Ok(name.as_bytes());
        let all = self.file.sections().filter(named);
        all.filter_map(|section| read_section(&section, name).transpose()).collect()
    }

    pub(crate) fn build_id(&self) -> Option<&'static [u8]> {
        self.file.build_id().ok().flatten()
    }
}

type ElfSection<'file> = ElfSection64<'static, 'file, LittleEndian>;

fn read_section(section: &ElfSection<'_>, name: &str) -> Result<Option<Section>, String> {
    let wrong = |error: object::Error| format!("section {name}: {error}");
    let stored = section.compressed_data().map_err(wrong)?;
    if stored.uncompressed_size > MAX_SECTION {
        return Err(format!("section {name}: claims {} bytes", stored.uncompressed_size));
    }
    let address = section.address();
    if stored.format == object::CompressionFormat::None {
        let some = !stored.data.is_empty();
        return Ok(some.then_some(Section { address, data: stored.data, keep: None }));
    }
    let owned = Bytes::owned(stored.decompress().map_err(wrong)?.into_owned());
    Ok(Some(Section { address, data: owned.all(), keep: Some(owned) }))
}

/// `DF_1_PIE` of `DT_FLAGS_1` (glibc's elf.h).
const DF_1_PIE: u64 = 0x0800_0000;

fn corrupt(header: &'static str) -> impl Fn(object::Error) -> LoadFailure {
    move |error| LoadFailure::Corrupt { header, detail: error.to_string() }
}

/// Tells apart the ways in which a file is not a program of this machine.
fn check_identity(bytes: &[u8]) -> Result<(), LoadFailure> {
    let Some(rest) = bytes.strip_prefix(b"\x7fELF") else {
        return Err(LoadFailure::NotElf(looks_like(bytes)));
    };
    let (Some(&class), Some(&order)) = (rest.first(), rest.get(1)) else {
        let detail = format!("only {} bytes", bytes.len());
        return Err(LoadFailure::Corrupt { header: "file header", detail });
    };
    let machine = match bytes.get(18..20) {
        Some(&[low, high]) if order == 2 => u16::from_be_bytes([low, high]),
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => {
            let detail = format!("only {} bytes", bytes.len());
            return Err(LoadFailure::Corrupt { header: "file header", detail });
        }
    };
    match (machine, class) {
        (62, 2) => Ok(()),
        (62, 1) | (3, _) => Err(LoadFailure::Bits32),
        (62, _) => Err(LoadFailure::Corrupt {
            header: "file header",
            detail: format!("class {class} is neither 32 nor 64 bits"),
        }),
        _ => Err(LoadFailure::Architecture(machine)),
    }
}

fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "an empty file",
        [b'#', b'!', ..] => "a script",
        [b'M', b'Z', ..] => "a Windows program",
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "a macOS program",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "a static library",
        _ if bytes.iter().take(512).all(|&byte| byte.is_ascii() && byte != 0) => "a text file",
        _ => "an unknown kind of file",
    }
}
