//! gdb's fast tracepoint: a condition that gdbserver compiles and its agent
//! library evaluates inside the program. It takes a program at a fixed address,
//! an instruction of five bytes, and the agent preloaded.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use trapline_testkit::{Linkage, target_dir};

use super::place::ONE;
use super::row::Row;
use super::subject::{self, PROOF, Sample};
use crate::bench::subject::{Context, Subject, timed};

/// What Debian's gdbserver brings.
const AGENT: &str = "/usr/lib/libinproctrace.so";

/// What gdb says of a tracepoint that is in the code.
const INSTALLED: &str = "installed on target";

pub(super) fn sample(context: &Context, row: &Row) -> Result<Sample, String> {
    if !Path::new(AGENT).exists() {
        return Err(format!("there is no {AGENT}"));
    }
    let script = script(row)?;
    let mut command = context.debugger(Subject::Gdb)?;
    command.arg("-batch").arg("-x").arg(script);
    let finished = timed(&mut command, PROOF)?;
    let said = [finished.stdout, finished.stderr].concat();
    if said.contains(INSTALLED) {
        subject::read(&said)
    } else {
        Err(format!("the tracepoint was not installed: {said:?}"))
    }
}

/// gdb's commands, in a file: it ends at the first that fails.
fn script(row: &Row) -> Result<PathBuf, String> {
    let built = subject::bare(Linkage::Fixed);
    let mark = built.mark(&format!("{}_{}", row.function.name(), row.place.name()));
    let program = subject::word(&built.path)?;
    let server = format!("gdbserver --once --wrapper env LD_PRELOAD={AGENT} -- -");
    let arguments = subject::arguments(row).join(" ");
    let mut text = format!("file {program}\nset sysroot /\n");
    let _ = writeln!(text, "target remote | {server} {program} {arguments}");
    // The agent is there once the program is at main.
    text.push_str("break main\ncontinue\ndelete\n");
    let _ = writeln!(text, "ftrace {} if {ONE}", mark.spec());
    text.push_str("tstart\ninfo tracepoints\ncontinue\n");
    let path = target_dir().join("bench").join("fast_tracepoint.gdb");
    fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(path)
}
