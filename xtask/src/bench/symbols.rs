//! `cargo xtask bench symbols`: from starting the debugger to the first
//! breakpoint, by a function's name and by file and line, in programs of
//! growing debug information; and what the debugger keeps in memory then.
//!
//! Trapline keeps no index, so that its first start is like any other. The
//! peers are measured as they come, and with the caches that they can be told to
//! keep, once those are filled.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use trapline_testkit::{Debuggee, target_dir};

use super::memory::Stopped;
use super::subject::{Context, Subject, address, timed};
use super::{Goal, Item};
use crate::corpus;
use crate::steps::{command, output};

pub(super) const WHAT: &str = "start to first breakpoint in large programs, and memory";

const ALL: &[Subject] =
    &[Subject::Trapline, Subject::Gdb, Subject::Lldb, Subject::GdbCached, Subject::LldbCached];
const AS_THEY_COME: &[Subject] = &[Subject::Trapline, Subject::Gdb, Subject::Lldb];

/// Of the programs of usual size: a quarter of the better peer's time, which is
/// the goal for a warm start.
const QUARTER: &[Goal] = &[Goal::Times(0.25, Subject::Gdb), Goal::Times(0.25, Subject::Lldb)];
/// Of the large one.
const TWENTIETH: &[Goal] = &[Goal::Times(0.05, Subject::Gdb), Goal::Times(0.05, Subject::Lldb)];
const HALF_THE_MEMORY: &[Goal] = &[Goal::Times(0.5, Subject::Gdb)];

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "cpython-name",
        what: "CPython's debug build, to a function",
        unit: "ms",
        subjects: ALL,
        goals: QUARTER,
        measure: |context, subject| start(context, subject, &cpython()?, By::Name),
    },
    Item {
        name: "cpython-line",
        what: "CPython's debug build, to a line",
        unit: "ms",
        subjects: ALL,
        goals: QUARTER,
        measure: |context, subject| start(context, subject, &cpython()?, By::Line),
    },
    Item {
        name: "trapline-name",
        what: "Trapline's own debug build, to a function",
        unit: "ms",
        subjects: ALL,
        goals: QUARTER,
        measure: |context, subject| start(context, subject, &trapline()?, By::Name),
    },
    Item {
        name: "trapline-line",
        what: "Trapline's own debug build, to a line",
        unit: "ms",
        subjects: ALL,
        goals: QUARTER,
        measure: |context, subject| start(context, subject, &trapline()?, By::Line),
    },
    Item {
        name: "large-name",
        what: "z3, with more than 300 MB of debug information, to a function",
        unit: "ms",
        subjects: ALL,
        goals: TWENTIETH,
        measure: |context, subject| start(context, subject, &large()?, By::Name),
    },
    Item {
        name: "large-line",
        what: "z3, with more than 300 MB of debug information, to a line",
        unit: "ms",
        subjects: ALL,
        goals: TWENTIETH,
        measure: |context, subject| start(context, subject, &large()?, By::Line),
    },
    Item {
        name: "cpython-memory",
        what: "private memory then, CPython's debug build",
        unit: "MiB",
        subjects: AS_THEY_COME,
        goals: HALF_THE_MEMORY,
        measure: |context, subject| stopped(context, subject, &cpython()?)?.private_mib(),
    },
    Item {
        name: "trapline-memory",
        what: "private memory then, Trapline's own debug build",
        unit: "MiB",
        subjects: AS_THEY_COME,
        goals: HALF_THE_MEMORY,
        measure: |context, subject| stopped(context, subject, &trapline()?)?.private_mib(),
    },
    Item {
        name: "large-memory",
        what: "private memory then, z3",
        unit: "MiB",
        subjects: AS_THEY_COME,
        goals: HALF_THE_MEMORY,
        measure: |context, subject| stopped(context, subject, &large()?)?.private_mib(),
    },
    Item {
        name: "large-peak",
        what: "the most memory on the way there, mapped files included, z3",
        unit: "MiB",
        subjects: AS_THEY_COME,
        goals: &[],
        measure: |context, subject| stopped(context, subject, &large()?)?.peak_mib(),
    },
    Item {
        name: "stop-1000-idle",
        what: "a hit to the prompt, with 1,000 idle threads",
        unit: "ms",
        subjects: &[Subject::Trapline],
        goals: &[Goal::AtMost(20.0)],
        measure: stop_with_idle_threads,
    },
];

/// A program, and a function that it comes to soon.
struct Program {
    path: PathBuf,
    arguments: &'static [&'static str],
    /// As peers have to be told it.
    function: &'static str,
    /// Its symbol, demangled.
    symbol: &'static str,
}

fn cpython() -> Result<Program, String> {
    let path = PathBuf::from("/usr/bin/python3.11-dbg");
    Ok(Program { path, arguments: &["-c", "1"], function: "pymain_init", symbol: "pymain_init" })
}

fn trapline() -> Result<Program, String> {
    output(&mut command(&["cargo", "build", "--package", "trapline", "--bins", "--quiet"]))?;
    let function = "trapline::backend::prepare_process";
    let path = target_dir().join("debug").join("trapline");
    Ok(Program { path, arguments: &["--version"], function, symbol: function })
}

fn large() -> Result<Program, String> {
    let function = "parse_cmd_line_args";
    let path = corpus::build("z3")?;
    Ok(Program { path, arguments: &["-version"], function, symbol: function })
}

/// How the place of the breakpoint is told.
#[derive(Clone, Copy)]
enum By {
    Name,
    Line,
}

/// File and line where a program's function begins, as addr2line(1) has it.
fn line_of(program: &Program) -> Result<(String, u32), String> {
    let address = address(&program.path, program.symbol)?;
    let told = output(Command::new("addr2line").arg("-e").arg(&program.path).arg(address))?;
    let place = told.trim().split(" (").next().and_then(|place| place.rsplit_once(':'));
    let (path, line) = place.ok_or_else(|| format!("addr2line said {told:?}"))?;
    let file = path.rsplit('/').next().unwrap_or(path).to_owned();
    Ok((file, line.parse().map_err(|_| format!("addr2line said {told:?}"))?))
}

fn start(context: &Context, subject: Subject, program: &Program, by: By) -> Result<f64, String> {
    fill_cache(context, subject, program)?;
    to_breakpoint(context, subject, program, by)
}

/// The first start of a peer that keeps a cache fills it.
fn fill_cache(context: &Context, subject: Subject, program: &Program) -> Result<(), String> {
    static FILLED: Mutex<BTreeSet<(&'static str, PathBuf)>> = Mutex::new(BTreeSet::new());
    let caches = matches!(subject, Subject::GdbCached | Subject::LldbCached);
    let mut filled = FILLED.lock().map_err(|_| "a measurement panicked".to_owned())?;
    if caches && filled.insert((subject.name(), program.path.clone())) {
        to_breakpoint(context, subject, program, By::Name)?;
    }
    Ok(())
}

fn to_breakpoint(
    context: &Context,
    subject: Subject,
    program: &Program,
    by: By,
) -> Result<f64, String> {
    let mut command = context.debugger(subject)?;
    let (place, lldb_place) = match by {
        By::Name => (program.function.to_owned(), format!("--name {}", program.function)),
        By::Line => {
            let (file, line) = line_of(program)?;
            (format!("{file}:{line}"), format!("--file {file} --line {line}"))
        }
    };
    let proof = match subject {
        Subject::Trapline => {
            command.args(["run", "--batch", "--json", "-b", &place, "-e", "kill", "--"]);
            "\"event\":\"stopped\""
        }
        Subject::Gdb | Subject::GdbCached => {
            command.args(["-batch", "-ex", &format!("break {place}"), "-ex", "run", "--args"]);
            "Breakpoint 1, "
        }
        Subject::Lldb | Subject::LldbCached => {
            let set = format!("breakpoint set {lldb_place}");
            command.args(["--batch", "-o", &set, "-o", "run", "-o", "process kill", "--"]);
            "stop reason = breakpoint"
        }
        Subject::Floor | Subject::Gdbserver => return Err("knows no names".to_owned()),
    };
    let done = timed(command.arg(&program.path).args(program.arguments), proof)?;
    Ok(done.elapsed.as_secs_f64() * 1e3)
}

fn stopped(context: &Context, subject: Subject, program: &Program) -> Result<Stopped, String> {
    Stopped::at(context, subject, program.function, program.arguments, &program.path)
}

/// As Trapline itself times it, from the hit to the word that it is held.
fn stop_with_idle_threads(context: &Context, subject: Subject) -> Result<f64, String> {
    let built = Debuggee::build("idle_threads");
    let mut command = context.debugger(subject)?;
    let place = built.mark("end").spec();
    command.args(["run", "--batch", "--json=-", "-b", &place, "-e", "kill", "--"]);
    let finished = timed(command.arg(&built.path).args(["1000", "idle", "0"]), "\"hold_ns\":")?;
    let events = finished.stdout.lines().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        event["hold_ns"].as_u64()
    });
    let held = events.reduce(|_, last| last).ok_or("no stop was told")?;
    Ok(held as f64 / 1e6)
}
