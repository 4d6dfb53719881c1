//! Private memory of a debugger and of all it started, without the program
//! itself, while that is stopped at `main`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trapline_core::Pid;
use trapline_testkit::run::{MARKER, wait_until};
use trapline_testkit::{Background, Debuggee, leaks};

use super::subject::{Context, Subject};
use super::{Goal, Item};
use crate::corpus;

pub(super) const SMALL: Item = Item {
    name: "memory-small",
    what: "private memory while a small program is stopped at main",
    unit: "MiB",
    subjects: &[Subject::Trapline, Subject::Gdb, Subject::Lldb],
    goals: &[Goal::Times(1.0, Subject::Gdb)],
    measure: |context, subject| {
        let stopped =
            Stopped::at(context, subject, "main", &[], &Debuggee::build("recursion").path);
        stopped?.private_mib()
    },
};

pub(super) const LARGE: Item = Item {
    name: "memory-sqlite3",
    what: "private memory while sqlite3 is stopped at main",
    unit: "MiB",
    subjects: &[Subject::Trapline, Subject::Gdb, Subject::Lldb],
    goals: &[Goal::Times(1.0, Subject::Gdb)],
    measure: |context, subject| {
        Stopped::at(context, subject, "main", &[], &corpus::build("sqlite3")?)?.private_mib()
    },
};

/// A debugger whose program is stopped at a breakpoint, and what it started.
pub(super) struct Stopped {
    debugger: Background,
    program: PathBuf,
}

impl Stopped {
    /// Starts `program` under a debugger with a breakpoint on a function.
    pub(super) fn at(
        context: &Context,
        subject: Subject,
        function: &str,
        arguments: &[&str],
        program: &Path,
    ) -> Result<Self, String> {
        let mut command = context.debugger(subject)?;
        match subject {
            Subject::Trapline => command.args(["run", "-b", function, "--"]),
            Subject::Gdb | Subject::GdbCached => {
                command.args(["-ex", &format!("break {function}"), "-ex", "run", "--args"])
            }
            Subject::Lldb | Subject::LldbCached => {
                let set = format!("breakpoint set --name {function}");
                command.args(["-o", &set, "-o", "run", "--"])
            }
            Subject::Floor | Subject::Gdbserver => return Err("keeps nothing".to_owned()),
        };
        let debugger = Background::spawn_waiting(command.arg(program).args(arguments));
        let program =
            program.canonicalize().map_err(|why| format!("{}: {why}", program.display()))?;
        wait_for_stop(&debugger, &program)?;
        Ok(Self { debugger, program })
    }

    fn debuggers(&self) -> impl Iterator<Item = Pid> {
        let ours = |pid: &_| executable(*pid).is_some_and(|path| path != self.program);
        leaks::carriers(MARKER, self.debugger.marker()).into_iter().filter(ours)
    }

    /// Private memory of the debugger.
    pub(super) fn private_mib(&self) -> Result<f64, String> {
        let kib = self.debuggers().map(private_kib).sum::<Result<u64, String>>()?;
        Ok(kib as f64 / 1024.0)
    }

    /// The most memory that it had at a time, mapped files included.
    pub(super) fn peak_mib(&self) -> Result<f64, String> {
        let kib = self.debuggers().map(peak_kib).sum::<Result<u64, String>>()?;
        Ok(kib as f64 / 1024.0)
    }
}

/// Waits until the program has been in a tracing stop for 250 looks on end:
/// the stops on the way to `main` are short.
fn wait_for_stop(debugger: &Background, program: &Path) -> Result<(), String> {
    /// Looks in a row, each at least a millisecond after the one before.
    const SETTLED: u32 = 250;
    let mut stopped_for = 0;
    let settled = wait_until(Duration::from_secs(60), || {
        let stopped = leaks::carriers(MARKER, debugger.marker()).into_iter().any(|pid| {
            executable(pid).is_some_and(|path| path == program) && leaks::state(pid) == Some('t')
        });
        stopped_for = if stopped { stopped_for + 1 } else { 0 };
        stopped_for >= SETTLED
    });
    if settled { Ok(()) } else { Err(format!("no stop at main:\n{}", debugger.stdout())) }
}

fn executable(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The sum of the `Private_` fields of `/proc/PID/smaps_rollup` (proc(5)).
fn private_kib(pid: Pid) -> Result<u64, String> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
    Ok(sum_private(&text))
}

/// `VmHWM` of `/proc/PID/status` (proc(5)).
fn peak_kib(pid: Pid) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| format!("{path}: no VmHWM"))
}

fn sum_private(text: &str) -> u64 {
    text.lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_fields_count() {
        let text =
            "Rss: 900 kB\nPrivate_Clean:  10 kB\nPrivate_Dirty:  32 kB\nShared_Dirty: 5 kB\n";
        assert_eq!(sum_private(text), 42);
    }
}
