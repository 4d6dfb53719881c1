//! Where a file really is in memory, and what is around it: the program is
//! started and stopped at its entry, when its libraries are there and none of
//! its own code has run. A shared object is loaded before a small program.

use std::path::{Path, PathBuf};

use trapline_core::stop::StopCause;
use trapline_core::target::{
    LaunchSpec, Region, Resume, Stopped, Target, TargetError, TargetEvent, Wait,
};
use trapline_core::{AddrRange, ImageAddr, LoadBias, Pid, VirtAddr};
use trapline_engine::CommandError;
use trapline_patch::near::{Taken, all_taken};
use trapline_symbols::{Image, ImageKind};

/// The program that shared objects are loaded before.
const HOST: &str = "/bin/true";

/// `AT_ENTRY` of the auxiliary vector: where the program's own code begins.
/// getauxval(3).
const AT_ENTRY: u64 = 9;

/// A file in memory.
pub(crate) struct Layout {
    /// Where it is.
    pub(crate) bias: LoadBias,
    /// All of it.
    pub(crate) range: AddrRange,
    /// What is taken of the address space.
    pub(crate) taken: Vec<Taken>,
    /// How it was brought about.
    pub(crate) how: String,
}

impl Layout {
    /// Starts what it takes to have an image in memory, and ends it again.
    ///
    /// # Errors
    /// When it does not come to its entry, or the image is not there then.
    pub(crate) fn find(
        target: &mut dyn Target,
        image: &Image,
        aslr: bool,
    ) -> Result<Self, CommandError> {
        let path = std::fs::canonicalize(image.path())
            .map_err(|error| CommandError::new(format!("{}: {error}", image.path().display())))?;
        let pid = target.launch(&spec(&path, image.kind(), aslr))?;
        let found = at_entry(target, pid).and_then(|_stopped| read(target, pid));
        // It may be gone already.
        let _gone = target.kill(pid);
        await_end(target, pid)?;
        let (map, heap_start) = found?;
        let bias = bias(&map, image, &path)
            .ok_or_else(|| CommandError::new(format!("{} was not loaded", path.display())))?;
        let (start, end) = image.image_range();
        let range = AddrRange::between(bias.to_virt(start), bias.to_virt(end));
        let taken = all_taken(&map, heap_start, std::iter::empty());
        Ok(Self { bias, range, taken, how: how(image.kind(), aslr) })
    }
}

fn spec(path: &Path, kind: ImageKind, aslr: bool) -> LaunchSpec {
    let randomize_addresses = aslr;
    let nowhere = Some(PathBuf::from("/dev/null"));
    let spec = LaunchSpec { randomize_addresses, stdout: nowhere, ..LaunchSpec::default() };
    if kind == ImageKind::SharedObject {
        let environment = [("LD_PRELOAD".into(), Some(path.into()))].into();
        return LaunchSpec { program: HOST.into(), environment, ..spec };
    }
    LaunchSpec { program: path.to_owned(), ..spec }
}

fn how(kind: ImageKind, aslr: bool) -> String {
    let what = match kind {
        ImageKind::FixedExecutable => "started, a program at a fixed address".to_owned(),
        ImageKind::PieExecutable => "started, a position-independent program".to_owned(),
        ImageKind::SharedObject => format!("a shared object, loaded before {HOST}"),
    };
    let addresses = if aslr { "randomised" } else { "not randomised" };
    format!("{what}, addresses {addresses}")
}

/// Lets a program run until its own code is next; the thread stays stopped.
fn at_entry(target: &mut dyn Target, pid: Pid) -> Result<Stopped, CommandError> {
    let mut armed = false;
    loop {
        let (thread, cause) = next_stop(target, pid)?;
        let mut how = Resume::RUN;
        match cause {
            StopCause::Breakpoint if armed => return Ok(thread),
            StopCause::Started if !armed => {
                target.write_memory(pid, entry(target, pid)?, &[0xcc])?;
                armed = true;
            }
            StopCause::Signal(info) => how.signal = Some(info.signal),
            _ => {}
        }
        target.resume(thread, how)?;
    }
}

fn entry(target: &dyn Target, pid: Pid) -> Result<VirtAddr, CommandError> {
    let auxv = target.process_info(pid)?.auxv;
    let entry = auxv.iter().find(|(kind, _)| *kind == AT_ENTRY);
    let &(_, entry) =
        entry.ok_or_else(|| CommandError::new("where the program begins is not known"))?;
    Ok(VirtAddr::new(entry))
}

fn next_stop(target: &mut dyn Target, pid: Pid) -> Result<(Stopped, StopCause), CommandError> {
    loop {
        match target.next_event(Wait::Block)? {
            Some(TargetEvent::Stopped { thread, cause }) => return Ok((thread, cause)),
            Some(TargetEvent::ProcessExited { pid: gone, status }) if gone == pid => {
                let why = format!("the program ended before it came to its entry: {status}");
                return Err(CommandError::new(why));
            }
            Some(_) => {}
            None => return Err(CommandError::new("the program is gone")),
        }
    }
}

fn await_end(target: &mut dyn Target, pid: Pid) -> Result<(), CommandError> {
    loop {
        match target.next_event(Wait::Block) {
            Ok(Some(TargetEvent::ProcessExited { pid: gone, .. })) if gone == pid => return Ok(()),
            Ok(Some(TargetEvent::Stopped { thread, .. })) => {
                let _dying = target.resume(thread, Resume::RUN);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(TargetError::Gone) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The mappings of a process, and where its heap will begin.
type Memory = (Vec<Region>, Option<VirtAddr>);

fn read(target: &dyn Target, pid: Pid) -> Result<Memory, CommandError> {
    Ok((target.memory_map(pid)?, target.process_info(pid)?.heap_start))
}

/// From the mapping of a file's code to the bias of all of it.
fn bias(map: &[Region], image: &Image, path: &Path) -> Option<LoadBias> {
    let code = image.segments().iter().find(|segment| segment.execute)?;
    let region = map.iter().find(|region| region.execute && Path::new(&region.name) == path)?;
    let skipped = code.file.get().checked_sub(region.file_offset)?;
    let start = ImageAddr::new(code.image.get().checked_sub(skipped)?);
    Some(LoadBias::between(start, region.range.start))
}
