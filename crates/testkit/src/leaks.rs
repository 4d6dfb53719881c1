//! Checks that nothing of ours was left behind: text pages equal to the file
//! they came from, no extra mapping, no stray process.
//!
//! Everything here reads `/proc` (proc(5)); where there is none the checks
//! fail rather than pass.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use trapline_core::{AddrRange, FileOff, Pid, VirtAddr};

use crate::run::wait_until;

/// One line of `/proc/PID/maps`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Where it lies.
    pub range: AddrRange,
    /// The four permission letters, as in `r-xp`.
    pub permissions: String,
    /// Where in `path` it begins.
    pub offset: FileOff,
    /// The file, a name in brackets, or empty for anonymous memory.
    pub path: PathBuf,
}

impl Mapping {
    /// Whether instructions can be fetched from it.
    pub fn is_executable(&self) -> bool {
        self.permissions.as_bytes().get(2) == Some(&b'x')
    }

    /// Whether it is code that nobody may write into, from a file that is still
    /// there to compare it with.
    pub fn is_text(&self) -> bool {
        let deleted = self.path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
        let from_file = self.path.is_absolute() && !deleted;
        from_file && self.is_executable() && self.permissions.as_bytes().get(1) == Some(&b'-')
    }

    /// Checks that bytes, seen by `whom` in all of this mapping, are those of
    /// its file.
    ///
    /// # Panics
    /// With the first differences.
    #[track_caller]
    pub fn holds(&self, bytes: &[u8], whom: &str) {
        let path = self.path.display();
        let file = fs::read(&self.path).unwrap_or_else(|why| panic!("{path}: {why}"));
        let from = usize::try_from(self.offset.get()).unwrap_or(usize::MAX);
        let on_disk = file.get(from..).unwrap_or(&[]);
        let len = bytes.len().min(on_disk.len());
        if bytes[..len] == on_disk[..len] {
            return;
        }
        let changed: Vec<Changed> = (bytes.iter().zip(on_disk).enumerate())
            .filter(|(_, (now, then))| now != then)
            .map(|(at, (&now, &then))| (self.range.start.wrapping_add(at as u64), then, now))
            .take(16)
            .collect();
        panic!("{path} differs {whom}: {changed:x?}");
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let range = AddrRange::between(VirtAddr::new(hex(start)?), VirtAddr::new(hex(end)?));
        let permissions = fields.next()?.to_owned();
        let offset = FileOff::new(hex(fields.next()?)?);
        let path = PathBuf::from(fields.nth(2).unwrap_or("").trim_start());
        Some(Self { range, permissions, offset, path })
    }
}

/// All mappings of a live process.
///
/// # Panics
/// When the process is gone or may not be looked at.
#[track_caller]
pub fn mappings(pid: Pid) -> Vec<Mapping> {
    let all = mappings_if_alive(pid);
    assert!(!all.is_empty(), "{pid} is gone");
    all
}

/// Whether a process could be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a process that is gone was not checked"]
pub enum Looked {
    /// It lives, and everything was compared.
    Clean,
    /// It ended before or meanwhile.
    Gone,
}

/// Checks that a process which was let go is as if nobody had been there:
/// nobody traces it, its text is that of its files, and it has no code that
/// was not there `before`.
///
/// # Panics
/// With what was left behind.
#[track_caller]
pub fn is_untouched(pid: Pid, before: &[Mapping]) -> Looked {
    let now = mappings_if_alive(pid);
    if now.is_empty() {
        return Looked::Gone;
    }
    nobody_traces(pid);
    no_new_code(pid, &now, before);
    text_is_that_of_the_files(pid)
}

/// Checks that no executable mapping without a file appeared in `now` that was
/// not there `before`. Code from files comes with the program's libraries.
///
/// # Panics
/// With the new mappings.
#[track_caller]
pub fn no_new_code(pid: Pid, now: &[Mapping], before: &[Mapping]) {
    let is_new = |mapping: &&Mapping| {
        mapping.is_executable()
            && mapping.path.as_os_str().is_empty()
            && !before.iter().any(|known| known.range.contains(mapping.range.start))
    };
    let new: Vec<&Mapping> = now.iter().filter(is_new).collect();
    assert!(new.is_empty(), "new code in {pid}: {new:?}");
}

/// Compares every executable mapping of a file that `pid` has, its libraries
/// included, with the file, byte for byte.
///
/// # Panics
/// With the first differing addresses; also when a process that lives has no
/// such mapping, since then nothing was checked.
#[track_caller]
pub fn text_is_that_of_the_files(pid: Pid) -> Looked {
    let all = mappings_if_alive(pid);
    let text: Vec<&Mapping> = all.iter().filter(|mapping| mapping.is_text()).collect();
    assert!(all.is_empty() || !text.is_empty(), "{pid} has no text");
    for mapping in text {
        let Some(live) = read_memory(pid, mapping.range) else {
            // The program ended, or unloaded it meanwhile.
            let here = mappings_if_alive(pid).contains(mapping);
            assert!(!here, "{} is not readable", mapping.range);
            continue;
        };
        mapping.holds(&live, "in the process");
    }
    if mappings_if_alive(pid).is_empty() { Looked::Gone } else { Looked::Clean }
}

/// All mappings of a process; none when it is gone.
#[track_caller]
fn mappings_if_alive(pid: Pid) -> Vec<Mapping> {
    let text = read_of_any_thread(pid, "maps", |file| {
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        Some(text).filter(|text| !text.is_empty())
    });
    text.unwrap_or_default()
        .lines()
        .map(|line| Mapping::parse(line).unwrap_or_else(|| panic!("not a mapping: {line}")))
        .collect()
}

/// Reads a file of a process by the first of its threads whose file says
/// something: the leader may have ended before the others, and has no memory
/// then.
fn read_of_any_thread<T>(
    pid: Pid,
    name: &str,
    mut read: impl FnMut(&mut File) -> Option<T>,
) -> Option<T> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads.flatten().find_map(|thread| read(&mut File::open(thread.path().join(name)).ok()?))
}

/// A byte of memory that differs from the file: where, what the file says, what
/// the memory says.
type Changed = (VirtAddr, u8, u8);

fn read_memory(pid: Pid, range: AddrRange) -> Option<Vec<u8>> {
    read_of_any_thread(pid, "mem", |file| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(range.start.get())).ok()?;
        file.take(range.len()).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 == range.len()).then_some(bytes)
    })
}

/// The letter that proc(5) gives a process's state: `R`, `S`, `T` stopped, `t`
/// stopped by a tracer, `Z`. `None` when the process is gone.
pub fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The process that traces a thread of `pid`, if any.
pub fn tracer(pid: Pid) -> Option<Pid> {
    read_of_any_thread(pid, "status", |file| {
        let mut status = String::new();
        file.read_to_string(&mut status).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
        line.trim().parse().ok().filter(|&raw| raw != 0).map(Pid::new)
    })
}

/// Checks that no thread of a process has a tracer. One that was dying when its
/// process was let go keeps it until it is dead.
///
/// # Panics
/// When a thread still has one after ten seconds.
#[track_caller]
pub fn nobody_traces(pid: Pid) {
    let untraced = wait_until(Duration::from_secs(10), || tracer(pid).is_none());
    assert!(untraced, "{pid} is still traced by {:?}", tracer(pid));
}

/// Live processes whose environment has `name=value`, zombies left out.
pub fn carriers(name: &str, value: &str) -> Vec<Pid> {
    let wanted = format!("{name}={value}").into_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::new))
        .filter(|&pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|&byte| byte == 0).any(|entry| entry == wanted)
        })
        .filter(|&pid| state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X')))
        .collect()
}

/// The children of a process's leader that are there at this moment. proc(5),
/// `/proc/PID/task/TID/children`.
pub fn children(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).map(Pid::new).collect()
}

/// Fails when a process that carries the marker of a finished run still lives.
///
/// # Panics
/// With the processes that live.
#[track_caller]
pub fn no_stray_processes(marker: &str) {
    let strays = carriers(crate::run::MARKER, marker);
    assert!(strays.is_empty(), "still alive: {strays:?}");
}

/// Kills one process; one that is already gone is fine.
pub(crate) fn kill(pid: Pid) {
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).output();
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::{Background, Debuggee};

    #[test]
    fn a_mapping_line_is_read_with_or_without_a_file() {
        let line = "7f10a000-7f10b000 r-xp 00002000 fe:00 1234                /lib/a b.so";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!(mapping.range.len(), 0x1000);
        assert_eq!(mapping.offset, FileOff::new(0x2000));
        assert_eq!(mapping.path, Path::new("/lib/a b.so"));
        assert!(mapping.is_executable());
        let anonymous = Mapping::parse("1000-2000 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!(anonymous.path, Path::new(""));
        assert_eq!(Mapping::parse("nonsense"), None);
    }

    #[test]
    fn clean_text_passes_and_text_that_rewrote_itself_fails() {
        let built = Debuggee::build("self_reading");
        for (argument, clean) in [("wait", true), ("patch", false)] {
            let background = Background::spawn(built.command().arg(argument));
            background.wait_for("ready", Duration::from_secs(10));
            let check = || assert_eq!(is_untouched(background.pid(), &[]), Looked::Clean);
            assert_eq!(catch_unwind(AssertUnwindSafe(check)).is_ok(), clean, "{argument}");
        }
    }

    #[test]
    fn a_process_that_has_ended_was_not_looked_at() {
        let background = Background::spawn(&mut Command::new("true"));
        let pid = background.pid();
        background.finish(Duration::from_secs(10));
        assert_eq!(is_untouched(pid, &[]), Looked::Gone);
    }

    #[test]
    fn code_without_a_file_is_found_unless_it_was_there_before() {
        let line = "1000-2000 r-xp 00000000 00:00 0 ";
        let code = [Mapping::parse(line).unwrap()];
        let pid = Pid::new(1);
        no_new_code(pid, &code, &code);
        catch_unwind(|| no_new_code(pid, &code, &[])).unwrap_err();
    }

    #[test]
    fn a_stray_is_found_while_it_lives() {
        let background = Background::spawn(Command::new("sleep").arg("60"));
        let marker = background.marker().to_owned();
        // The environment is the new program's only once it has been executed.
        let found = || carriers(crate::run::MARKER, &marker) == [background.pid()];
        assert!(crate::run::wait_until(Duration::from_secs(10), found));
        catch_unwind(|| no_stray_processes(&marker)).unwrap_err();
        drop(background);
        no_stray_processes(&marker);
    }
}
