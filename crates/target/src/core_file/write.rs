//! Writes core files as Linux lays them out: headers, notes, and the bytes of
//! memory in the order of their addresses. Pages without bytes stay holes.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64};
use object::endian::{LittleEndian, U16, U32, U64};
use object::pod::bytes_of;
use trapline_core::AddrRange;
use trapline_core::memory::ReadMemory;

const PAGE: u64 = 4096;
/// Bytes that are read at once.
const CHUNK: u64 = 1 << 20;
const LE: LittleEndian = LittleEndian;

/// Memory to be written.
pub(crate) struct Segment {
    pub(crate) range: AddrRange,
    /// May be read, written, executed.
    pub(crate) rights: [bool; 3],
    /// How many bytes of it are written, from its start.
    pub(crate) len: u64,
}

/// Writes a core file and says how long it became.
pub(crate) fn write(
    file: &mut File,
    notes: &[u8],
    segments: &[Segment],
    memory: &dyn ReadMemory,
) -> io::Result<u64> {
    let layout = Layout::new(notes.len() as u64, segments.len() as u64);
    file.write_all(&layout.headers(notes.len() as u64, segments))?;
    file.write_all(notes)?;
    let mut at = layout.data;
    for segment in segments {
        copy(file, at, AddrRange::sized(segment.range.start, segment.len), memory)?;
        at += segment.len;
    }
    file.set_len(at)?;
    Ok(at)
}

/// Where the parts of a core file are.
struct Layout {
    notes: u64,
    data: u64,
}

const HEADER: u64 = size_of::<FileHeader64<LittleEndian>>() as u64;
const SEGMENT: u64 = size_of::<ProgramHeader64<LittleEndian>>() as u64;
const SECTION: u64 = size_of::<SectionHeader64<LittleEndian>>() as u64;

impl Layout {
    fn new(notes_len: u64, segments: u64) -> Self {
        let section = if is_large(segments) { SECTION } else { 0 };
        let notes = HEADER + (segments + 1) * SEGMENT + section;
        Self { notes, data: (notes + notes_len).next_multiple_of(PAGE) }
    }

    fn headers(&self, notes_len: u64, segments: &[Segment]) -> Vec<u8> {
        let count = segments.len() as u64 + 1;
        let large = is_large(segments.len() as u64);
        let mut bytes = bytes_of(&file_header(count, large)).to_vec();
        let notes = segment(elf::PT_NOTE, 0, self.notes, [0, notes_len, notes_len], 4);
        bytes.extend_from_slice(bytes_of(&notes));
        let mut at = self.data;
        for each in segments {
            let [read, write, execute] = each.rights;
            let flags = u32::from(execute) | u32::from(write) << 1 | u32::from(read) << 2;
            let sizes = [each.range.start.get(), each.len, each.range.len()];
            bytes.extend_from_slice(bytes_of(&segment(elf::PT_LOAD, flags, at, sizes, PAGE)));
            at += each.len;
        }
        if large {
            bytes.extend_from_slice(bytes_of(&count_section(count)));
        }
        bytes
    }
}

/// Whether the number of segments and the one of notes do not fit into the file
/// header. elf(5), `PN_XNUM`.
fn is_large(segments: u64) -> bool {
    segments + 1 >= u64::from(elf::PN_XNUM)
}

fn file_header(count: u64, large: bool) -> FileHeader64<LittleEndian> {
    let short = |number: u64| U16::new(LE, u16::try_from(number).unwrap_or(u16::MAX));
    FileHeader64 {
        e_ident: elf::Ident {
            magic: elf::ELFMAG,
            class: elf::ELFCLASS64,
            data: elf::ELFDATA2LSB,
            version: elf::EV_CURRENT,
            os_abi: elf::ELFOSABI_SYSV,
            abi_version: 0,
            padding: [0; 7],
        },
        e_type: U16::new(LE, elf::ET_CORE),
        e_machine: U16::new(LE, elf::EM_X86_64),
        e_version: U32::new(LE, u32::from(elf::EV_CURRENT.0)),
        e_entry: U64::new(LE, 0),
        e_phoff: U64::new(LE, HEADER),
        e_shoff: U64::new(LE, if large { HEADER + count * SEGMENT } else { 0 }),
        e_flags: U32::new(LE, elf::FileFlags(0)),
        e_ehsize: short(HEADER),
        e_phentsize: short(SEGMENT),
        e_phnum: short(if large { u64::from(elf::PN_XNUM) } else { count }),
        e_shentsize: short(if large { SECTION } else { 0 }),
        e_shnum: short(u64::from(large)),
        e_shstrndx: U16::new(LE, elf::SymbolSection(0)),
    }
}

fn segment(
    kind: elf::ProgramType,
    flags: u32,
    offset: u64,
    [address, file_size, memory_size]: [u64; 3],
    align: u64,
) -> ProgramHeader64<LittleEndian> {
    ProgramHeader64 {
        p_type: U32::new(LE, kind),
        p_flags: U32::new(LE, elf::ProgramFlags(flags)),
        p_offset: U64::new(LE, offset),
        p_vaddr: U64::new(LE, address),
        p_paddr: U64::new(LE, 0),
        p_filesz: U64::new(LE, file_size),
        p_memsz: U64::new(LE, memory_size),
        p_align: U64::new(LE, align),
    }
}

/// The section that says how many segments there are when they are too many for
/// the file header.
fn count_section(count: u64) -> SectionHeader64<LittleEndian> {
    let (none, zero) = (U32::new(LE, 0), U64::new(LE, 0));
    SectionHeader64 {
        sh_name: none,
        sh_type: U32::new(LE, elf::SectionType(0)),
        sh_flags: U64::new(LE, elf::SectionFlags(0)),
        sh_addr: zero,
        sh_offset: zero,
        sh_size: U64::new(LE, 1),
        sh_link: none,
        sh_info: U32::new(LE, u32::try_from(count).unwrap_or(u32::MAX)),
        sh_addralign: zero,
        sh_entsize: zero,
    }
}

/// Copies memory into a place of the file, but for pages of zeros and those that
/// cannot be read.
fn copy(file: &mut File, to: u64, range: AddrRange, memory: &dyn ReadMemory) -> io::Result<()> {
    let mut buffer = vec![0; usize::try_from(CHUNK.min(range.len())).unwrap_or(0)];
    let mut done = 0;
    while done < range.len() {
        let here = range.start.wrapping_add(done);
        let want = usize::try_from((range.len() - done).min(CHUNK)).unwrap_or(0);
        let read = memory.read_some(here, &mut buffer[..want]);
        write_pages(file, to + done, &buffer[..read])?;
        // A page that cannot be read is left out.
        done += match read {
            0 => PAGE - (here.get() % PAGE),
            read => read as u64,
        };
    }
    Ok(())
}

fn write_pages(file: &mut File, to: u64, bytes: &[u8]) -> io::Result<()> {
    for (index, page) in bytes.chunks(PAGE as usize).enumerate() {
        if page.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(to + index as u64 * PAGE))?;
            file.write_all(page)?;
        }
    }
    Ok(())
}
