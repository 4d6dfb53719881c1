//! Checks that nothing of ours was left behind: text pages equal to the file
//! they came from, no extra mapping, no stray process.
//!
//! Everything here reads `/proc` (proc(5)); where there is none the checks
//! fail rather than pass.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use trapline_core::{AddrRange, FileOff, Pid, VirtAddr};

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
    let path = format!("/proc/{pid}/maps");
    let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
    text.lines()
        .map(|line| Mapping::parse(line).unwrap_or_else(|| panic!("not a mapping: {line}")))
        .collect()
}

/// Compares every executable mapping that `pid` has of the file `image` with
/// the file, byte for byte.
///
/// # Panics
/// With the first differing addresses; also when there is no such mapping,
/// since then nothing was checked.
#[track_caller]
pub fn text_is_pristine(pid: Pid, image: &Path) {
    let image = image.canonicalize().unwrap_or_else(|why| panic!("{}: {why}", image.display()));
    let file = fs::read(&image).unwrap_or_else(|why| panic!("{}: {why}", image.display()));
    let mut checked = 0;
    for mapping in mappings(pid).iter().filter(|it| it.is_executable() && it.path == image) {
        let changed = changed_bytes(pid, mapping, &file);
        assert!(changed.is_empty(), "{} was changed in {pid}: {changed:x?}", image.display());
        checked += 1;
    }
    assert!(checked > 0, "{pid} has no executable mapping of {}", image.display());
}

/// A byte of memory that differs from the file: where, what the file says, what
/// the memory says.
type Changed = (VirtAddr, u8, u8);

/// The first differences, at most 16.
#[track_caller]
fn changed_bytes(pid: Pid, mapping: &Mapping, file: &[u8]) -> Vec<Changed> {
    let live = read_memory(pid, mapping.range);
    let from = usize::try_from(mapping.offset.get()).unwrap_or(usize::MAX);
    let on_disk = file.get(from..).unwrap_or(&[]);
    live.iter()
        .zip(on_disk)
        .enumerate()
        .filter(|(_, (now, then))| now != then)
        .map(|(at, (&now, &then))| (mapping.range.start.wrapping_add(at as u64), then, now))
        .take(16)
        .collect()
}

#[track_caller]
fn read_memory(pid: Pid, range: AddrRange) -> Vec<u8> {
    let path = format!("/proc/{pid}/mem");
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(range.start.get()))?;
            file.take(range.len()).read_to_end(&mut bytes)
        })
        .unwrap_or_else(|why| panic!("{path} at {range}: {why}"));
    assert_eq!(bytes.len() as u64, range.len(), "{path} at {range} ends early");
    bytes
}

/// The letter that proc(5) gives a process's state: `R`, `S`, `T` stopped, `t`
/// stopped by a tracer, `Z`. `None` when the process is gone.
pub fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The process that traces `pid`, if any.
pub fn tracer(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|&raw| raw != 0).map(Pid::new)
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
            let check = || text_is_pristine(background.pid(), &built.image);
            assert_eq!(catch_unwind(AssertUnwindSafe(check)).is_ok(), clean, "{argument}");
        }
    }

    #[test]
    fn a_file_that_is_not_mapped_does_not_count_as_clean() {
        let background = Background::spawn(Debuggee::build("self_reading").command().arg("wait"));
        background.wait_for("ready", Duration::from_secs(10));
        let other = Debuggee::build("recursion");
        let check = || text_is_pristine(background.pid(), &other.image);
        catch_unwind(AssertUnwindSafe(check)).unwrap_err();
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
