//! A dead program, read from the core file that it left: a target whose threads
//! all stand where they stood, and never go on.
//!
//! What the system left out of the file because it is in other files (code,
//! constants) is read from those, where they are still the same: their build-ids
//! say so. How core files are laid out is in `contents` and
//! [`crate::layout::core_notes`]; what the death means to the user is left to the
//! engine.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use trapline_core::stop::{Signal, StopCause};
use trapline_core::target::{
    Capabilities, LaunchSpec, ProcessInfo, Protection, Region, Result, Resume, Stopped, Target,
    TargetError, TargetEvent, Wait, Waker,
};
use trapline_core::x64::debug::{DebugRegisters, DebugStatus};
use trapline_core::x64::{Registers, VectorState};
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

use crate::layout::core_notes::Mapped;
use crate::layout::{os_string, registers};

mod contents;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) mod write;

use contents::{Contents, Segment, Thread, build_id};

/// Types of entries of the auxiliary vector. getauxval(3).
const AT_ENTRY: u64 = 9;
const AT_SYSINFO_EHDR: u64 = 33;

/// Bits of a segment's flags. ELF-64, "Program header".
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

const PAGE: u64 = 4096;

/// Bytes that hold an ELF file's headers and notes.
const FIRST: usize = 4096;

/// What is said to whoever wants a dead program to move.
const DEAD: &str = "run anything: it is a core file, of a program that is dead";

/// A core file.
pub struct CoreTarget {
    contents: Contents,
    pid: Pid,
    core: RefCell<File>,
    /// The files that were mapped, by the name that the core has for them.
    backing: BTreeMap<Vec<u8>, Backing>,
    /// The one of them that was read last.
    open: RefCell<Option<(Vec<u8>, RefCell<File>)>>,
    regions: Vec<Region>,
    events: VecDeque<TargetEvent>,
    bell: (Sender<()>, Receiver<()>),
}

/// A file that memory came from.
struct Backing {
    /// Which of them.
    number: u64,
    /// Where it is.
    path: PathBuf,
    /// Whether it is not gone, and not another one by now.
    is_the_one: bool,
    /// Its length.
    len: u64,
}

impl Backing {
    /// As the kernel would call it.
    fn name(&self) -> OsString {
        let mut name = self.path.clone().into_os_string();
        if !self.is_the_one {
            name.push(" (deleted)");
        }
        name
    }
}

/// Nothing else ever happens.
struct Bell(Sender<()>);

impl Waker for Bell {
    fn wake(&self) {
        // A target that is gone waits for nobody.
        let _gone = self.0.send(());
    }
}

impl CoreTarget {
    /// Opens a core file, and the program it is of where that is not where it
    /// was.
    ///
    /// # Errors
    /// The file cannot be read or is no core file of x86-64, or the program is
    /// not the one that died.
    pub fn open(core: &Path, program: Option<&Path>) -> Result<Self> {
        let refused = |why: String| TargetError::Refused {
            what: format!("read the core file {}", core.display()),
            why,
        };
        let contents = Contents::read(core).map_err(refused)?;
        let file = File::open(core).map_err(|why| refused(why.to_string()))?;
        let first = contents.threads.first().map_or(1, |thread| thread.status.tid);
        let pid = if contents.process.pid > 0 { contents.process.pid } else { first.max(1) };
        let mut target = Self {
            contents,
            pid: Pid::new(pid),
            core: RefCell::new(file),
            backing: BTreeMap::new(),
            open: RefCell::new(None),
            regions: Vec::new(),
            events: VecDeque::new(),
            bell: mpsc::channel(),
        };
        target.find_files(program)?;
        target.regions = target.all_regions();
        Ok(target)
    }

    /// The process that died.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Finds the files that were mapped.
    fn find_files(&mut self, program: Option<&Path>) -> Result<()> {
        let entry = self.auxv(AT_ENTRY).map(VirtAddr::new);
        let own = entry.and_then(|entry| self.contents.file_at(entry)).map(|it| it.name.clone());
        if let (Some(program), None) = (program, &own) {
            let what = format!("take {} for the program that died", program.display());
            let why = "the core file does not say which file that was".to_owned();
            return Err(TargetError::Refused { what, why });
        }
        // Where each file's mapping begins, if that was mapped.
        let mut names: BTreeMap<Vec<u8>, Option<AddrRange>> = BTreeMap::new();
        for mapped in &self.contents.files {
            let first = names.entry(mapped.name.clone()).or_default();
            if mapped.offset == 0 && first.is_none() {
                *first = Some(mapped.range);
            }
        }
        for (number, (name, first)) in (1..).zip(names) {
            let wanted = first.and_then(|range| self.id_in_memory(range));
            let mut path = PathBuf::from(os_string(&name));
            if let Some(program) = program.filter(|_| own.as_ref() == Some(&name)) {
                path = program.to_owned();
            }
            let found = same_file(&path, wanted.as_deref());
            if let (Err(why), true) = (&found, program.is_some_and(|program| program == path)) {
                let what = format!("take {} for the program that died", path.display());
                return Err(TargetError::Refused { what, why: why.clone() });
            }
            let (is_the_one, len) = (found.is_ok(), found.unwrap_or(0));
            self.backing.insert(name, Backing { number, path, is_the_one, len });
        }
        Ok(())
    }

    fn auxv(&self, kind: u64) -> Option<u64> {
        self.contents.auxv.iter().find(|entry| entry.0 == kind).map(|entry| entry.1)
    }

    /// The build-id of a file as it was in memory, when that was written.
    fn id_in_memory(&self, range: AddrRange) -> Option<Vec<u8>> {
        let mut first = vec![0; FIRST.min(usize::try_from(range.len()).unwrap_or(FIRST))];
        let read = self.read_dumped(range.start, &mut first);
        build_id(&first[..read])
    }

    /// Reads memory that is in the core file itself.
    fn read_dumped(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let Some(segment) = self.contents.segment_at(addr) else { return 0 };
        let skip = addr.get() - segment.range.start.get();
        let left = segment.len.saturating_sub(skip);
        let want = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        read_at(&self.core, segment.offset.saturating_add(skip), &mut buf[..want])
    }

    /// Reads memory that came from a file and was not written into the core.
    fn read_backing(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let Some(mapped) = self.contents.file_at(addr) else { return 0 };
        let skip = addr.get() - mapped.range.start.get();
        let left = usize::try_from(mapped.range.len() - skip).unwrap_or(usize::MAX);
        let want = buf.len().min(left);
        let offset = mapped.offset.saturating_add(skip);
        self.read_file(&mapped.name, offset, &mut buf[..want])
    }

    /// Reads a file that was mapped. What lies behind its end in its last page
    /// was zero. mmap(2).
    fn read_file(&self, name: &[u8], offset: u64, buf: &mut [u8]) -> usize {
        let Some(backing) = self.backing.get(name).filter(|it| it.is_the_one) else { return 0 };
        let mut open = self.open.borrow_mut();
        if open.as_ref().is_none_or(|(of, _)| of != name) {
            let Ok(file) = File::open(&backing.path) else { return 0 };
            *open = Some((name.to_vec(), RefCell::new(file)));
        }
        let Some((_, file)) = open.as_ref() else { return 0 };
        let there = |end: u64| {
            let len = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            len.min(buf.len())
        };
        let (in_file, mapped) = (there(backing.len), there(pages(backing.len)));
        let read = read_at(file, offset, &mut buf[..in_file]);
        if read < in_file {
            return read;
        }
        buf[in_file..mapped].fill(0);
        mapped
    }

    fn all_regions(&self) -> Vec<Region> {
        let vdso = self.auxv(AT_SYSINFO_EHDR).map(VirtAddr::new);
        let stack = self
            .contents
            .threads
            .first()
            .map(|thread| VirtAddr::new(registers::from_words(&thread.status.registers).rsp()));
        let named = [vdso.map(|at| (at, "[vdso]")), stack.map(|at| (at, "[stack]"))];
        let named: Vec<_> = named.into_iter().flatten().collect();
        let region = |segment: &Segment| self.region(segment, &named);
        let mut all: Vec<Region> = self.contents.segments.iter().map(region).collect();
        all.extend(self.contents.files.iter().filter_map(|mapped| self.left_out(mapped)));
        all.sort_by_key(|region| region.range.start);
        all
    }

    /// A mapping that the core file has no word of but that it was there, as gdb
    /// has it for what was not changed. What may be done with it is not told: it
    /// may have been code where the file is a program or a library.
    fn left_out(&self, mapped: &Mapped) -> Option<Region> {
        if self.contents.segment_at(mapped.range.start).is_some() {
            return None;
        }
        let flags = if self.is_elf(mapped) { READ | EXECUTE } else { READ };
        let segment = Segment { range: mapped.range, flags, offset: 0, len: 0 };
        Some(self.region(&segment, &[]))
    }

    fn is_elf(&self, mapped: &Mapped) -> bool {
        let mut magic = [0; 4];
        self.read_file(&mapped.name, 0, &mut magic) == 4 && magic == object::elf::ELFMAG
    }

    /// A mapping, with the name of its file or of the address in it that has one.
    fn region(&self, segment: &Segment, named: &[(VirtAddr, &str)]) -> Region {
        let range = segment.range;
        let mapped = self.contents.file_at(range.start);
        let backing = mapped.and_then(|mapped| self.backing.get(&mapped.name));
        let number = backing.map(|backing| backing.number);
        let name = match backing {
            Some(backing) => backing.name(),
            None => {
                let inside = named.iter().find(|(at, _)| range.contains(*at));
                inside.map_or_else(OsString::new, |(_, name)| (*name).into())
            }
        };
        let offset = mapped.map_or(0, |mapped| {
            mapped.offset.saturating_add(range.start.get() - mapped.range.start.get())
        });
        Region {
            range,
            read: segment.flags & READ != 0,
            write: segment.flags & WRITE != 0,
            execute: segment.flags & EXECUTE != 0,
            shared: false,
            file_offset: offset,
            inode: (0, number.unwrap_or(0)),
            name,
        }
    }

    fn thread(&self, tid: Tid) -> Result<&Thread> {
        let found = self.contents.threads.iter().find(|it| it.status.tid == tid.get());
        found.ok_or(TargetError::Gone)
    }

    fn require(&self, pid: Pid) -> Result<()> {
        if pid == self.pid { Ok(()) } else { Err(TargetError::Gone) }
    }
}

/// A length in whole pages.
fn pages(len: u64) -> u64 {
    len.checked_next_multiple_of(PAGE).unwrap_or(len)
}

/// The length of a file, when it is the one with a build-id, or when none is
/// known.
fn same_file(path: &Path, wanted: Option<&[u8]>) -> std::result::Result<u64, String> {
    // Opening a device or a pipe may wait, or do something.
    let facts = std::fs::metadata(path).map_err(|why| why.to_string())?;
    if !facts.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let Some(wanted) = wanted else { return Ok(facts.len()) };
    let mut first = Vec::new();
    let file = File::open(path).map_err(|why| why.to_string())?;
    let read = file.take(FIRST as u64).read_to_end(&mut first);
    read.map_err(|why| why.to_string())?;
    match build_id(&first) {
        Some(found) if found == wanted => Ok(facts.len()),
        Some(found) => Err(format!("its build-id is {}, not {}", hex(&found), hex(wanted))),
        None => Err(format!("it has no build-id, and should have {}", hex(wanted))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads from a place of a file on, as much as there is.
fn read_at(file: &RefCell<File>, offset: u64, buf: &mut [u8]) -> usize {
    let Ok(mut file) = file.try_borrow_mut() else { return 0 };
    if buf.is_empty() || file.seek(SeekFrom::Start(offset)).is_err() {
        return 0;
    }
    let mut read = 0;
    while read < buf.len() {
        match file.read(&mut buf[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    read
}

impl Target for CoreTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            hardware_slots: 0,
            can_run: false,
            can_allocate: false,
            can_launch: false,
            can_attach: true,
            raised_priority: true,
        }
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::new(Bell(self.bell.0.clone()))
    }

    fn find_program(&self, program: &Path) -> Result<PathBuf> {
        Ok(program.to_owned())
    }

    fn launch(&mut self, _: &LaunchSpec) -> Result<Pid> {
        Err(TargetError::Unsupported(DEAD))
    }

    fn attach(&mut self, pid: Pid) -> Result<Vec<Tid>> {
        self.require(pid)?;
        let tids: Vec<Tid> =
            self.contents.threads.iter().map(|it| Tid::new(it.status.tid)).collect();
        for &tid in &tids {
            let (thread, cause) = (Stopped::by_target(pid, tid), StopCause::Started);
            self.events.push_back(TargetEvent::Stopped { thread, cause });
        }
        Ok(tids)
    }

    fn next_event(&mut self, wait: Wait) -> Result<Option<TargetEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        let rung = match wait {
            Wait::Block => self.bell.1.recv().is_ok(),
            Wait::Poll => self.bell.1.try_recv().is_ok(),
        };
        Ok(rung.then_some(TargetEvent::Woken))
    }

    fn interrupt(&mut self, _: Pid, _: Tid) -> Result<()> {
        Err(TargetError::Unsupported(DEAD))
    }

    fn resume(&mut self, _: Stopped, _: Resume) -> Result<()> {
        Err(TargetError::Unsupported(DEAD))
    }

    fn detach(&mut self, _: Stopped, _: Option<Signal>) -> Result<()> {
        Ok(())
    }

    fn kill(&mut self, _: Pid) -> Result<()> {
        Err(TargetError::Gone)
    }

    fn registers(&mut self, thread: &Stopped) -> Result<Registers> {
        Ok(registers::from_words(&self.thread(thread.tid())?.status.registers))
    }

    fn set_registers(&mut self, _: &Stopped, _: &Registers) -> Result<()> {
        Err(TargetError::Unsupported("change anything: it is a core file"))
    }

    fn vector_state(&mut self, thread: &Stopped) -> Result<VectorState> {
        let area = self.thread(thread.tid())?.fxsave.as_deref();
        let area = area.ok_or(TargetError::Unsupported("say what the vector registers held"))?;
        Ok(registers::vector_from_fxsave(area))
    }

    fn set_vector_state(&mut self, _: &Stopped, _: &VectorState) -> Result<()> {
        Err(TargetError::Unsupported("change anything: it is a core file"))
    }

    fn set_debug_registers(&mut self, _: &Stopped, _: &DebugRegisters) -> Result<()> {
        Ok(())
    }

    fn take_debug_status(&mut self, _: &Stopped) -> Result<DebugStatus> {
        Ok(DebugStatus::default())
    }

    fn defer_signal(&mut self, _: &Stopped) -> Result<()> {
        Err(TargetError::Unsupported(DEAD))
    }

    fn read_memory(&self, pid: Pid, addr: VirtAddr, buf: &mut [u8]) -> usize {
        if pid != self.pid {
            return 0;
        }
        let mut done = 0;
        while done < buf.len() {
            let here = addr.wrapping_add(done as u64);
            let rest = &mut buf[done..];
            let read = match self.read_dumped(here, rest) {
                // A core file that was cut off does not have what it should.
                0 if self.contents.dumped_from(here) > 0 => 0,
                0 => {
                    // As far as nothing of it is in the core itself.
                    let until = self.next_dumped(here).min(rest.len() as u64);
                    let len = usize::try_from(until).unwrap_or(rest.len());
                    self.read_backing(here, &mut rest[..len])
                }
                read => read,
            };
            if read == 0 {
                break;
            }
            done += read;
        }
        done
    }

    fn write_memory(&mut self, _: Pid, _: VirtAddr, _: &[u8]) -> Result<()> {
        Err(TargetError::Unsupported("change anything: it is a core file"))
    }

    fn memory_map(&self, pid: Pid) -> Result<Vec<Region>> {
        self.require(pid)?;
        Ok(self.regions.clone())
    }

    fn allocate(&mut self, _: &Stopped, _: VirtAddr, _: u64, _: Protection) -> Result<()> {
        Err(TargetError::Unsupported(DEAD))
    }

    fn release(&mut self, _: &Stopped, _: AddrRange) -> Result<()> {
        Ok(())
    }

    fn process_info(&self, pid: Pid) -> Result<ProcessInfo> {
        self.require(pid)?;
        let entry = self.auxv(AT_ENTRY).map(VirtAddr::new);
        let own = entry.and_then(|entry| self.contents.file_at(entry));
        let path = own.and_then(|own| self.backing.get(&own.name)).map_or_else(
            || PathBuf::from(os_string(&self.contents.process.name)),
            |backing| PathBuf::from(backing.name()),
        );
        let args = self.contents.process.args.split(|byte| *byte == b' ').map(os_string);
        let death = self.contents.threads.first().map(Thread::death);
        Ok(ProcessInfo {
            pid,
            executable: path.clone(),
            executable_name: path,
            args: args.collect(),
            directory: None,
            auxv: self.contents.auxv.clone(),
            heap_start: None,
            death,
        })
    }

    fn thread_name(&self, pid: Pid, _: Tid) -> Result<String> {
        self.require(pid)?;
        Ok(String::from_utf8_lossy(&self.contents.process.name).into_owned())
    }

    fn machine_name(&self) -> String {
        "core file".to_owned()
    }

    fn allocation_hazard(&self, _: &Stopped) -> Option<String> {
        Some(DEAD.to_owned())
    }
}

impl CoreTarget {
    /// How far it is from an address to the next one that the core file has
    /// bytes of; `u64::MAX` when there is none.
    fn next_dumped(&self, addr: VirtAddr) -> u64 {
        let after = self.contents.segments.partition_point(|it| it.range.start <= addr);
        let rest = &self.contents.segments[after..];
        let next = rest.iter().find(|segment| segment.len > 0);
        next.map_or(u64::MAX, |segment| segment.range.start.get() - addr.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_the_end_of_a_file_its_last_page_is_zero() {
        let path = std::env::temp_dir().join(format!("trapline-backing-{}", std::process::id()));
        std::fs::write(&path, [7; 100]).unwrap();
        let start = VirtAddr::new(0x10000);
        let name = b"/mapped".to_vec();
        let mapped = Mapped { range: AddrRange::sized(start, 0x3000), offset: 0, name };
        let contents = Contents { files: vec![mapped], ..Contents::default() };
        let backing = Backing { number: 1, path: path.clone(), is_the_one: true, len: 100 };
        let target = CoreTarget {
            contents,
            pid: Pid::new(1),
            core: RefCell::new(File::open(&path).unwrap()),
            backing: BTreeMap::from([(b"/mapped".to_vec(), backing)]),
            open: RefCell::new(None),
            regions: Vec::new(),
            events: VecDeque::new(),
            bell: mpsc::channel(),
        };
        let check = |offset: u64, expected: &[u8]| {
            let mut bytes = [1; 20];
            let read = target.read_memory(Pid::new(1), start.wrapping_add(offset), &mut bytes);
            assert_eq!(bytes[..read], *expected, "{offset}");
        };
        check(0, &[7; 20]);
        check(90, &[[7; 10], [0; 10]].concat());
        check(200, &[0; 20]);
        check(4090, &[0; 6]);
        check(4096, &[]);
        std::fs::remove_file(&path).unwrap();
    }
}
