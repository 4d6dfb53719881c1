//! Who is measured, and how each is asked to do the same thing.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use trapline_testkit::{Finished, run, target_dir, workspace_root};

use crate::packages;
use crate::steps::{build_trapline, call, command, output};

/// A debugger, or the least that one could be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    Trapline,
    Gdb,
    Lldb,
    /// gdb with its cache of indexes, which is off by default.
    GdbCached,
    /// The same for lldb.
    LldbCached,
    /// gdb's own server, driven by gdb.
    Gdbserver,
    /// A C loop around ptrace that does nothing but the work of a hit.
    Floor,
}

impl Subject {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trapline => "trapline",
            Self::Gdb => "gdb",
            Self::Lldb => "lldb",
            Self::GdbCached => "gdb, cached",
            Self::LldbCached => "lldb, cached",
            Self::Gdbserver => "gdbserver",
            Self::Floor => "ptrace loop",
        }
    }
}

/// What is built once for all items.
pub(super) struct Context {
    /// The release build of the program, or why there is none.
    trapline: Result<PathBuf, String>,
    /// The C loop around ptrace.
    pub(super) floor: PathBuf,
}

impl Context {
    pub(super) fn prepare() -> Result<Self, String> {
        packages::ensure(packages::FOR_TESTS)?;
        let folder = target_dir().join("bench");
        std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let floor = folder.join("ptrace_floor");
        let source = workspace_root().join("xtask").join("bench").join("ptrace_floor.c");
        call(command(&["gcc", "-O2", "-Wall", "-o"]).arg(&floor).arg(source))?;
        Ok(Self { trapline: build_trapline(), floor })
    }

    /// A command that starts a debugger with no start-up file of the user's.
    pub(super) fn debugger(&self, subject: Subject) -> Result<Command, String> {
        let mut command = match subject {
            Subject::Trapline => Command::new(self.trapline.as_ref().map_err(Clone::clone)?),
            Subject::Gdb | Subject::GdbCached => Command::new("gdb"),
            Subject::Lldb | Subject::LldbCached => Command::new("lldb-19"),
            Subject::Gdbserver => Command::new("gdbserver"),
            Subject::Floor => Command::new(&self.floor),
        };
        match subject {
            Subject::Gdb | Subject::GdbCached => {
                command.args(["-nx", "-q", "-iex", "set debuginfod enabled off"])
            }
            Subject::Lldb | Subject::LldbCached => command.arg("--no-lldbinit"),
            Subject::Trapline | Subject::Gdbserver | Subject::Floor => &mut command,
        };
        let cache = target_dir().join("bench").join("indexes");
        let cache = cache.display();
        match subject {
            Subject::GdbCached => {
                command.args(["-iex", &format!("set index-cache directory {cache}/gdb")]);
                command.args(["-iex", "set index-cache enabled on"]);
            }
            Subject::LldbCached => {
                let settings = "settings set symbols";
                command.args(["-O", &format!("{settings}.lldb-index-cache-path {cache}/lldb")]);
                command.args(["-O", &format!("{settings}.enable-lldb-index-cache true")]);
            }
            _ => {}
        }
        Ok(command)
    }
}

/// No sample takes longer than this.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a debugger and refuses the sample unless its output shows `proof` that
/// it did what was asked.
pub(super) fn timed(command: &mut Command, proof: &str) -> Result<Finished, String> {
    let finished = run(command, LIMIT);
    if finished.stdout.contains(proof) || finished.stderr.contains(proof) {
        return Ok(finished);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let said = [finished.stdout, finished.stderr].concat();
    let tail: Vec<&str> = said.lines().rev().take(3).collect();
    Err(format!("{program} ({}) did not show {proof:?}: {tail:?}", finished.status))
}

/// The address of code, in hexadecimal, as nm(1) prints it: of the symbol whose
/// demangled name, without parameters, is `symbol`.
pub(super) fn address(program: &std::path::Path, symbol: &str) -> Result<String, String> {
    let text = output(Command::new("nm").arg("-C").arg(program))?;
    let mut rows = text.lines().filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        Some((words.next()?, words.next()?, words.next()?))
    });
    let is_it = |(_, kind, name): &(&str, &str, &str)| {
        matches!(*kind, "t" | "T") && name.split(['(', '<']).next() == Some(symbol)
    };
    let found = rows.find(is_it).map(|(at, _, _)| at.to_owned());
    found.ok_or_else(|| format!("no symbol {symbol} in {}", program.display()))
}

/// What a program's own clock says of a call of its loop.
pub(super) fn own_ns_per_call(output: &str) -> Option<f64> {
    let (_, after) = output.split_once("ns_per_call=")?;
    after.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_own_figure_is_read() {
        assert_eq!(own_ns_per_call("calls=1 sum=0 ns_per_call=812.5\n"), Some(812.5));
        assert_eq!(own_ns_per_call("calls=1"), None);
    }
}
