//! The notes of a core file as Linux writes them on x86-64, to and from what
//! they say. core(5); Linux, include/uapi/linux/elfcore.h, fs/binfmt_elf.c.

use trapline_core::{AddrRange, VirtAddr};

use super::registers::WORDS;
use super::siginfo::{self, RawSigInfo};

/// Types of notes. Linux, include/uapi/linux/elf.h.
pub const PRSTATUS: u32 = 1;
/// The SSE registers as FXSAVE has them.
pub const FPREGSET: u32 = 2;
/// The process.
pub const PRPSINFO: u32 = 3;
/// The auxiliary vector.
pub const AUXV: u32 = 6;
/// All vector registers as XSAVE has them.
pub const XSTATE: u32 = 0x202;
/// The signal that a thread stopped for.
pub const SIGINFO: u32 = 0x5349_4749;
/// What was mapped from files.
pub const FILE: u32 = 0x4649_4c45;

/// Bytes of `struct elf_prstatus`.
pub const PRSTATUS_SIZE: usize = 336;
const CURSIG: usize = 12;
const STATUS_PID: usize = 32;
const STATUS_REGISTERS: usize = 112;
const FP_VALID: usize = STATUS_REGISTERS + WORDS * 8;

/// Bytes of `struct elf_prpsinfo`.
pub const PRPSINFO_SIZE: usize = 136;
const STATE_NAME: usize = 1;
const INFO_PID: usize = 24;
const NAME: usize = 40;
const NAME_LEN: usize = 16;
const ARGS: usize = NAME + NAME_LEN;
const ARGS_LEN: usize = 80;

/// Bytes of a page in which file offsets are counted.
const PAGE: u64 = 4096;

/// What [`PRSTATUS`] says of a thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The thread.
    pub tid: i32,
    /// The signal it stopped for; 0 for none.
    pub signal: i32,
    /// `user_regs_struct`.
    pub registers: [u64; WORDS],
}

impl Status {
    /// Reads a note; `None` when it is too short.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FP_VALID)?;
        let mut registers = [0; WORDS];
        for (word, bytes) in registers.iter_mut().zip(bytes[STATUS_REGISTERS..].chunks_exact(8)) {
            *word = word_at(bytes, 0)?;
        }
        let signal = i32::from(u16::from_le_bytes([bytes[CURSIG], bytes[CURSIG + 1]]));
        Some(Self { tid: int_at(bytes, STATUS_PID)?, signal, registers })
    }

    /// The note.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; PRSTATUS_SIZE];
        put(&mut bytes, 0, &self.signal.to_le_bytes());
        put(&mut bytes, CURSIG, &self.signal.to_le_bytes()[..2]);
        put(&mut bytes, STATUS_PID, &self.tid.to_le_bytes());
        for (index, word) in self.registers.iter().enumerate() {
            put(&mut bytes, STATUS_REGISTERS + index * 8, &word.to_le_bytes());
        }
        put(&mut bytes, FP_VALID, &1_i32.to_le_bytes());
        bytes
    }
}

/// What [`PRPSINFO`] says of a process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, at most 15 bytes.
    pub name: Vec<u8>,
    /// Its arguments with spaces between them, at most 79 bytes.
    pub args: Vec<u8>,
}

impl Process {
    /// Reads a note; `None` when it is too short.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..PRPSINFO_SIZE)?;
        Some(Self {
            pid: int_at(bytes, INFO_PID)?,
            name: text(&bytes[NAME..ARGS]),
            args: text(&bytes[ARGS..]).trim_ascii_end().to_vec(),
        })
    }

    /// The note.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; PRPSINFO_SIZE];
        bytes[STATE_NAME] = b't';
        put(&mut bytes, INFO_PID, &self.pid.to_le_bytes());
        put(&mut bytes, NAME, cut(&self.name, NAME_LEN - 1));
        put(&mut bytes, ARGS, cut(&self.args, ARGS_LEN - 1));
        bytes
    }
}

/// A part of a file that was mapped: [`FILE`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapped {
    /// Where.
    pub range: AddrRange,
    /// From which byte of the file on.
    pub offset: u64,
    /// The file.
    pub name: Vec<u8>,
}

/// Reads [`FILE`]; parts that are not understood are left out.
pub fn parse_files(bytes: &[u8]) -> Vec<Mapped> {
    let Some((count, page)) = word_at(bytes, 0).zip(word_at(bytes, 8)) else { return Vec::new() };
    // Each takes three words and a name: more than fit are not there.
    let most = (bytes.len().saturating_sub(16) / 24) as u64;
    let count = usize::try_from(count.min(most)).unwrap_or(0);
    let mut names = bytes.get(16 + count * 24..).unwrap_or_default().split(|byte| *byte == 0);
    let mut files = Vec::with_capacity(count);
    for index in 0..count {
        let word = |number: usize| word_at(bytes, 16 + index * 24 + number * 8);
        let (Some(start), Some(end), Some(offset)) = (word(0), word(1), word(2)) else { break };
        let Some(name) = names.next() else { break };
        if start < end {
            let range = AddrRange::between(VirtAddr::new(start), VirtAddr::new(end));
            let offset = offset.saturating_mul(page);
            files.push(Mapped { range, offset, name: name.to_vec() });
        }
    }
    files
}

/// Writes [`FILE`].
pub fn files_to_bytes(files: &[Mapped]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut word = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
    word(files.len() as u64);
    word(PAGE);
    for file in files {
        word(file.range.start.get());
        word(file.range.end.get());
        word(file.offset / PAGE);
    }
    for file in files {
        bytes.extend_from_slice(&file.name);
        bytes.push(0);
    }
    bytes
}

/// Reads [`SIGINFO`]; `None` when it is too short.
pub fn parse_siginfo(bytes: &[u8]) -> Option<RawSigInfo> {
    Some(RawSigInfo(bytes.get(..siginfo::SIZE)?.try_into().ok()?))
}

/// A note: its name is that of whoever defined its type. ELF-64, "Note section".
pub fn note(kind: u32, contents: &[u8]) -> Vec<u8> {
    let name: &[u8] = if kind == XSTATE { b"LINUX\0" } else { b"CORE\0" };
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(contents.len() + 20);
    bytes.extend_from_slice(&len(name));
    bytes.extend_from_slice(&len(contents));
    bytes.extend_from_slice(&kind.to_le_bytes());
    for part in [name, contents] {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn int_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + what.len()) {
        room.copy_from_slice(what);
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

fn cut(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let registers = std::array::from_fn(|index| index as u64 * 3);
        let status = Status { tid: 12, signal: 11, registers };
        assert_eq!(Status::parse(&status.to_bytes()), Some(status.clone()));
        assert_eq!(Status::parse(&status.to_bytes()[..300]), None);
        let process = Process { pid: 5, name: b"a".to_vec(), args: b"a b".to_vec() };
        assert_eq!(Process::parse(&process.to_bytes()), Some(process));
        let mapped = |start: u64, name: &[u8]| Mapped {
            range: AddrRange::sized(VirtAddr::new(start), 0x1000),
            offset: start,
            name: name.to_vec(),
        };
        let files = vec![mapped(0x1000, b"/a"), mapped(0x4000, b"/b c")];
        assert_eq!(parse_files(&files_to_bytes(&files)), files);
    }

    #[test]
    fn counts_that_cannot_be_are_not_believed() {
        let mut bytes = files_to_bytes(&[]);
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(parse_files(&bytes), []);
        bytes.resize(100, 0xff);
        assert_eq!(parse_files(&bytes), []);
        assert_eq!(parse_files(&bytes[..7]), []);
    }

    #[test]
    fn notes_are_aligned() {
        assert_eq!(note(PRSTATUS, &[1, 2, 3]).len(), 12 + 8 + 4);
        assert_eq!(note(XSTATE, &[1; 4]).len(), 12 + 8 + 4);
    }
}
