//! What is in a core file: threads, memory, files that were mapped. Nothing is
//! believed of it but what can be read.

use std::fs::File;
use std::io;
use std::path::Path;

use object::elf::{self, FileHeader64};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{ReadCache, ReadRef};
use trapline_core::stop::{Signal, SignalInfo};
use trapline_core::target::Death;
use trapline_core::{AddrRange, Tid, VirtAddr};

use crate::layout::core_notes::{self as notes, Mapped, Process, Status};
use crate::layout::registers::FXSAVE_SIZE;
use crate::layout::siginfo::RawSigInfo;

type Header = FileHeader64<LittleEndian>;

/// A core file without its memory's bytes.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) process: Process,
    /// The one that the process died of first.
    pub(super) threads: Vec<Thread>,
    pub(super) auxv: Vec<(u64, u64)>,
    /// Ascending.
    pub(super) segments: Vec<Segment>,
    /// Ascending.
    pub(super) files: Vec<Mapped>,
}

/// Most bytes of notes: those of some ten thousand threads.
const MAX_NOTES: u64 = 256 << 20;

/// A thread as it was.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) status: Status,
    pub(super) fxsave: Option<Box<[u8; FXSAVE_SIZE]>>,
    pub(super) siginfo: Option<RawSigInfo>,
}

/// Memory that was mapped, with the bytes that were written of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) range: AddrRange,
    pub(super) flags: u32,
    /// Where its bytes are in the core file.
    pub(super) offset: u64,
    /// How many there are; the rest of the range was left out.
    pub(super) len: u64,
}

impl Thread {
    /// How the process died of it.
    pub(super) fn death(&self) -> Death {
        let signal = Signal(self.status.signal);
        let told = self.siginfo.as_ref().map(RawSigInfo::decode);
        let plain = SignalInfo { signal, code: 0, address: None, sender: None };
        let told = told.filter(|told| told.signal == signal).unwrap_or(plain);
        Death { tid: Tid::new(self.status.tid), signal: (signal.0 != 0).then_some(told) }
    }
}

impl Contents {
    /// Reads a core file.
    ///
    /// # Errors
    /// A sentence without the file's name.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let unreadable = |why: io::Error| why.to_string();
        // Opening a device or a pipe may wait, or do something.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let file = File::open(path).map_err(unreadable)?;
        let cache = ReadCache::new(file);
        Self::parse(&cache)
    }

    /// Reads what is in the bytes of one.
    pub(super) fn parse<'data>(data: impl ReadRef<'data>) -> Result<Self, String> {
        let header = Header::parse(data).map_err(|_| NOT_ELF.to_owned())?;
        let endian = header.endian().map_err(|_| NOT_ELF.to_owned())?;
        if header.e_type(endian) != elf::ET_CORE {
            return Err("it is a program or a library, not a core file".to_owned());
        }
        if header.e_machine(endian) != elf::EM_X86_64 {
            return Err("it is of another processor than x86-64".to_owned());
        }
        let headers = header.program_headers(endian, data);
        let headers = headers.map_err(|why| format!("it is damaged: {why}"))?;
        let mut contents = Self::default();
        let mut notes_left = MAX_NOTES;
        for segment in headers {
            match segment.p_type(endian) {
                elf::PT_LOAD => contents.segments.extend(load(segment, endian)),
                elf::PT_NOTE => contents.notes(segment, endian, data, &mut notes_left)?,
                _ => {}
            }
        }
        contents.segments.sort_by_key(|segment| segment.range.start);
        contents.files.sort_by_key(|file| file.range.start);
        if contents.threads.is_empty() {
            return Err("it says of no thread where it was".to_owned());
        }
        Ok(contents)
    }

    fn notes<'data>(
        &mut self,
        segment: &elf::ProgramHeader64<LittleEndian>,
        endian: LittleEndian,
        data: impl ReadRef<'data>,
        most: &mut u64,
    ) -> Result<(), String> {
        let damaged = |why: object::Error| format!("its notes are damaged: {why}");
        let left = most.checked_sub(segment.p_filesz(endian));
        *most = left.ok_or("its notes are damaged: they are too long")?;
        let Some(mut all) = segment.notes(endian, data).map_err(damaged)? else { return Ok(()) };
        while let Some(note) = all.next().map_err(damaged)? {
            self.note(note.n_type(endian).0, note.desc());
        }
        Ok(())
    }

    /// Takes what a note says. Those of a thread follow its status.
    fn note(&mut self, kind: u32, bytes: &[u8]) {
        match kind {
            notes::PRSTATUS => {
                let status = Status::parse(bytes);
                let thread = status.map(|status| Thread { status, fxsave: None, siginfo: None });
                self.threads.extend(thread);
            }
            notes::PRPSINFO => self.process = Process::parse(bytes).unwrap_or_default(),
            notes::AUXV => self.auxv = crate::layout::auxv::parse(bytes),
            notes::FILE => self.files = notes::parse_files(bytes),
            notes::FPREGSET => {
                if let Some(thread) = self.threads.last_mut() {
                    let area = bytes.get(..FXSAVE_SIZE).and_then(|bytes| bytes.try_into().ok());
                    thread.fxsave = area.map(Box::new);
                }
            }
            notes::SIGINFO => {
                if let Some(thread) = self.threads.last_mut() {
                    thread.siginfo = notes::parse_siginfo(bytes);
                }
            }
            _ => {}
        }
    }

    /// The segment that an address is in.
    pub(super) fn segment_at(&self, addr: VirtAddr) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.range.start <= addr);
        self.segments[..after].last().filter(|segment| segment.range.contains(addr))
    }

    /// How many bytes from an address on the core file has of its segment.
    pub(super) fn dumped_from(&self, addr: VirtAddr) -> u64 {
        let segment = self.segment_at(addr);
        segment
            .map_or(0, |segment| segment.len.saturating_sub(addr.get() - segment.range.start.get()))
    }

    /// The file that was mapped at an address.
    pub(super) fn file_at(&self, addr: VirtAddr) -> Option<&Mapped> {
        let after = self.files.partition_point(|file| file.range.start <= addr);
        self.files[..after].last().filter(|file| file.range.contains(addr))
    }
}

const NOT_ELF: &str = "it is no core file: it does not begin as ELF files of 64 bits do";

/// A mapping; `None` for what cannot be one.
fn load(segment: &elf::ProgramHeader64<LittleEndian>, endian: LittleEndian) -> Option<Segment> {
    let (start, size) = (segment.p_vaddr(endian), segment.p_memsz(endian));
    let end = start.checked_add(size).filter(|end| *end > start)?;
    Some(Segment {
        range: AddrRange::between(VirtAddr::new(start), VirtAddr::new(end)),
        flags: segment.p_flags(endian).0,
        offset: segment.p_offset(endian),
        len: segment.p_filesz(endian).min(size),
    })
}

/// The build-id in the first bytes of an ELF file, or of what was mapped from
/// one.
pub(super) fn build_id(first: &[u8]) -> Option<Vec<u8>> {
    let header = Header::parse(first).ok()?;
    let endian = header.endian().ok()?;
    for segment in header.program_headers(endian, first).ok()? {
        let Ok(Some(mut all)) = segment.notes(endian, first) else { continue };
        while let Ok(Some(note)) = all.next() {
            if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID {
                return Some(note.desc().to_vec());
            }
        }
    }
    None
}
