//! Core files of living processes: what of them belongs into one. How it is
//! written is in `crate::core_file`.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use trapline_core::AddrRange;
use trapline_core::target::{CoreImage, Result, TargetError};

use super::{LinuxTarget, sys};
use crate::core_file::write::{Segment, write};
use crate::layout::core_notes::{self as notes, Mapped, Process, Status};
use crate::layout::registers;
use crate::layout::smaps::{self, UsedRegion};

/// Bytes of a file's mapping that say which file it is: its headers and notes.
const FIRST: u64 = 4096;

impl LinuxTarget {
    pub(super) fn write_core_file(&self, image: &CoreImage<'_>, path: &Path) -> Result<u64> {
        let text = self.read_process_file(image.pid, "smaps")?;
        let used = smaps::parse(&text).into_iter();
        // The kernel joins memory of ours with the program's own beside it.
        let used: Vec<UsedRegion> = used.flat_map(|it| without(it, image.left_out)).collect();
        let segments: Vec<Segment> = used.iter().filter_map(segment).collect();
        let notes = self.core_notes(image, &used)?;
        let failed = |why: std::io::Error| TargetError::Refused {
            what: format!("write the core file {}", path.display()),
            why: why.to_string(),
        };
        // What is in memory is nobody else's business: core(5). Half a core file
        // is none, so it is there under its name only when it is whole.
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}", std::process::id()));
        let unfinished = Path::new(&unfinished);
        if fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
            return Err(failed(std::io::Error::other("there is something that is no file")));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(unfinished).map_err(failed)?;
        let written = write(&mut file, &notes, &segments, image.memory)
            .and_then(|len| fs::rename(unfinished, path).map(|()| len));
        written.map_err(|why| {
            let _best_effort = fs::remove_file(unfinished);
            failed(why)
        })
    }

    fn core_notes(&self, image: &CoreImage<'_>, used: &[UsedRegion]) -> Result<Vec<u8>> {
        let mut all = notes::note(notes::PRPSINFO, &self.process_note(image)?.to_bytes());
        for (index, (thread, registers)) in image.threads.iter().enumerate() {
            let tid = thread.tid().get();
            let signal = image.signal.filter(|_| index == 0);
            let registers = registers::to_words(registers);
            let number = signal.map_or(0, |signal| signal.0);
            let status = Status { tid, signal: number, registers };
            all.extend(notes::note(notes::PRSTATUS, &status.to_bytes()));
            if let (Some(_), Ok(info)) = (signal, sys::siginfo(tid)) {
                all.extend(notes::note(notes::SIGINFO, &info.0));
            }
            if let Ok(area) = sys::fxsave(tid) {
                all.extend(notes::note(notes::FPREGSET, &area));
            }
            if let Ok(area) = sys::xsave(tid) {
                all.extend(notes::note(notes::XSTATE, &area));
            }
        }
        let auxv = self.read_process_file(image.pid, "auxv")?;
        all.extend(notes::note(notes::AUXV, &auxv));
        let files: Vec<Mapped> = used.iter().filter_map(mapped).collect();
        all.extend(notes::note(notes::FILE, &notes::files_to_bytes(&files)));
        Ok(all)
    }

    fn process_note(&self, image: &CoreImage<'_>) -> Result<Process> {
        let mut args = self.read_process_file(image.pid, "cmdline")?;
        while args.last() == Some(&0) {
            args.pop();
        }
        args.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
        let name = self.read_process_file(image.pid, "comm")?;
        Ok(Process { pid: image.pid.get(), name: name.trim_ascii_end().to_vec(), args })
    }
}

/// The parts of a mapping that are the program's.
fn without(used: UsedRegion, ours: &[AddrRange]) -> Vec<UsedRegion> {
    let mut parts = vec![used];
    for ours in ours {
        parts = parts.into_iter().flat_map(|part| cut(part, *ours)).collect();
    }
    parts
}

fn cut(used: UsedRegion, ours: AddrRange) -> Vec<UsedRegion> {
    let whole = used.region.range;
    if !whole.overlaps(ours) {
        return vec![used];
    }
    let part = |range: AddrRange| {
        let mut part = used.clone();
        part.region.file_offset += range.start.get() - whole.start.get();
        part.region.range = range;
        part
    };
    let before = AddrRange::between(whole.start, ours.start.max(whole.start));
    let after = AddrRange::between(ours.end.min(whole.end), whole.end);
    [before, after].into_iter().filter(|range| !range.is_empty()).map(part).collect()
}

/// What of a mapping is written, as the kernel decides it by default. core(5),
/// "Controlling which mappings are written": what is in files is left out, but
/// for the page that says which file it is.
fn segment(used: &UsedRegion) -> Option<Segment> {
    let region = &used.region;
    if used.device && region.name != "[vdso]" {
        return None;
    }
    let range = region.range;
    let of_file = region.inode.1 != 0;
    let shown = region.read && !used.left_out;
    let anonymous = !of_file || used.changed || is_nameless(region.name.as_encoded_bytes());
    let len = match (shown, anonymous) {
        (true, true) => range.len(),
        (true, false) if region.file_offset == 0 && !region.shared => FIRST.min(range.len()),
        _ => 0,
    };
    Some(Segment { range, rights: [region.read, region.write, region.execute], len })
}

/// Whether shared memory is in no file that anybody can open.
fn is_nameless(name: &[u8]) -> bool {
    name.starts_with(b"/dev/zero") || name.starts_with(b"/SYSV") || name.ends_with(b" (deleted)")
}

fn mapped(used: &UsedRegion) -> Option<Mapped> {
    let region = &used.region;
    let name = region.name.as_encoded_bytes().to_vec();
    let of_file = region.inode.1 != 0 && !name.is_empty();
    of_file.then_some(Mapped { range: region.range, offset: region.file_offset, name })
}
