//! The kernel's uprobe, with a filter on a fetched register, by tracefs
//! (Documentation/trace/uprobetracer.rst and events.rst). Needs root.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use trapline_testkit::Linkage;

use super::place::ONE;
use super::row::Row;
use super::subject::{self, PROOF, Sample};
use crate::bench::subject::{address, timed};
use crate::steps::{call, command};

/// Where tracefs is, and is mounted when it is not.
const TRACEFS: &str = "/sys/kernel/tracing";

pub(super) fn sample(row: &Row) -> Result<Sample, String> {
    mount()?;
    let built = subject::bare(Linkage::Pie);
    let offset = address(&built.path, row.function.symbol())?;
    let probe = Probe::arm(&built.path, &offset)?;
    let finished = timed(&mut subject::alone(&built, row), PROOF)?;
    let sample = subject::read(&finished.stdout)?;
    let passes = probe.passes()?;
    if passes == sample.calls {
        Ok(sample)
    } else {
        Err(format!("the kernel counted {passes} passes of {}", sample.calls))
    }
}

fn mount() -> Result<(), String> {
    if Path::new(TRACEFS).join("uprobe_events").exists() {
        return Ok(());
    }
    call(&mut command(&["mount", "-t", "tracefs", "none", TRACEFS]))
}

/// An event of ours in the kernel; removed on drop.
struct Probe {
    /// Its name, which no other process uses.
    name: String,
}

/// The group that our events are in.
const GROUP: &str = "trapline_bench";

impl Probe {
    /// `offset`: of the entry in the file, in hexadecimal, which for gcc's
    /// position-independent programs is the symbol's value. The second argument
    /// is in rsi (System V ABI, 3.2.3).
    fn arm(program: &Path, offset: &str) -> Result<Self, String> {
        let probe = Self { name: format!("false_condition_{}", std::process::id()) };
        let place = format!("{}:0x{offset}", program.display());
        define(&format!("p:{GROUP}/{} {place} turn=%si:s64", probe.name))?;
        write(&probe.folder().join("filter"), ONE)?;
        write(&probe.folder().join("enable"), "1")?;
        Ok(probe)
    }

    fn folder(&self) -> PathBuf {
        Path::new(TRACEFS).join("events").join(GROUP).join(&self.name)
    }

    /// Passes so far, whatever the filter said of them.
    fn passes(&self) -> Result<u64, String> {
        let path = Path::new(TRACEFS).join("uprobe_profile");
        let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        passes(&text, &self.name).ok_or_else(|| format!("{} does not count it", path.display()))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Nothing to tell when it never came to be; a leftover is seen by the
        // next one, which cannot be defined.
        let _ = write(&self.folder().join("enable"), "0");
        let _ = define(&format!("-:{GROUP}/{}", self.name));
    }
}

/// The count in a line `FILE EVENT COUNT ...`.
fn passes(profile: &str, name: &str) -> Option<u64> {
    let mut lines = profile.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(|words| words.get(1) == Some(&name))?.get(2)?.parse().ok()
}

/// Adds a line to the events: a plain write would remove all others.
fn define(line: &str) -> Result<(), String> {
    let path = Path::new(TRACEFS).join("uprobe_events");
    let told = OpenOptions::new().append(true).open(&path);
    told.and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|why| format!("{}: {line}: {why}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|why| format!("{}: {text}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probes_own_count_is_read() {
        let profile = "  /a/b  other  5  0\n  /a/c  false_condition_7   74736   0\n";
        assert_eq!(passes(profile, "false_condition_7"), Some(74736));
        assert_eq!(passes(profile, "false_condition"), None);
    }
}
