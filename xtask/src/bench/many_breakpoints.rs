//! Ten thousand breakpoints: what setting them costs, and what a hit costs while
//! they are all set. Their conditions are false, so that nobody prints.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use trapline_testkit::{Finished, target_dir};

use super::subject::{Context, Subject, own_ns_per_call, timed};
use super::{Goal, Item};
use crate::steps::{call, command};

pub(super) const SET: Item = Item {
    name: "set-10000",
    what: "10,000 breakpoints set, the program then run to its end",
    unit: "ms",
    subjects: &[Subject::Trapline, Subject::Gdb],
    goals: &[Goal::AtMost(100.0)],
    measure: measure_set,
};

pub(super) const HIT: Item = Item {
    name: "hit-of-10000",
    what: "one hit while 10,000 breakpoints are set",
    unit: "us",
    subjects: &[Subject::Trapline, Subject::Gdb],
    goals: &[Goal::Times(0.2, Subject::Gdb)],
    measure: measure_hit,
};

const BREAKPOINTS: u32 = 10_000;

/// Hits that take about a second: all of ours, few of gdb's.
const fn hits(subject: Subject) -> u32 {
    match subject {
        Subject::Trapline => BREAKPOINTS,
        _ => 20,
    }
}

fn measure_set(context: &Context, subject: Subject) -> Result<f64, String> {
    Ok((seconds(context, subject, BREAKPOINTS, 0)? - seconds(context, subject, 0, 0)?) * 1e3)
}

fn measure_hit(context: &Context, subject: Subject) -> Result<f64, String> {
    let finished = run_under(context, subject, BREAKPOINTS, hits(subject))?;
    let ns = own_ns_per_call(&[finished.stdout, finished.stderr].concat());
    ns.map(|ns| ns / 1e3).ok_or_else(|| "the program did not say what a call took".to_owned())
}

fn seconds(context: &Context, subject: Subject, set: u32, hit: u32) -> Result<f64, String> {
    Ok(run_under(context, subject, set, hit)?.elapsed.as_secs_f64())
}

fn run_under(context: &Context, subject: Subject, set: u32, hit: u32) -> Result<Finished, String> {
    let script = commands(set)?;
    let mut command = context.debugger(subject)?;
    match subject {
        Subject::Trapline => command.args(["run", "--batch", "-x"]).arg(script).arg("--"),
        Subject::Gdb | Subject::GdbCached => {
            command.args(["-batch", "-x"]).arg(script).args(["-ex", "run", "--args"])
        }
        Subject::Lldb | Subject::LldbCached | Subject::Floor | Subject::Gdbserver => {
            return Err("is not asked".to_owned());
        }
    };
    command.arg(program()?).arg(hit.to_string());
    timed(&mut command, &format!("called={hit} "))
}

/// A file of commands that sets the first `count` breakpoints.
fn commands(count: u32) -> Result<PathBuf, String> {
    let mut text = String::new();
    (0..count).for_each(|index| {
        let _ = writeln!(text, "break function_{index} if 1 == 0");
    });
    let path = target_dir().join("bench").join(format!("break_{count}.commands"));
    fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(path)
}

/// A program of 10,000 functions that calls as many of them as it is told.
fn program() -> Result<PathBuf, String> {
    let folder = target_dir().join("bench");
    let (source, program) = (folder.join("ten_thousand.c"), folder.join("ten_thousand"));
    let text = source_text(BREAKPOINTS);
    if program.exists() && fs::read_to_string(&source).is_ok_and(|old| old == text) {
        return Ok(program);
    }
    fs::write(&source, text).map_err(|why| format!("{}: {why}", source.display()))?;
    call(command(&["gcc", "-g", "-O0", "-o"]).arg(&program).arg(&source))?;
    Ok(program)
}

fn source_text(functions: u32) -> String {
    let mut text = String::from(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\nstatic volatile int called;\n",
    );
    for index in 0..functions {
        let _ = writeln!(text, "void function_{index}(void) {{ called++; }}");
    }
    text.push_str("static void (*const table[])(void) = {");
    (0..functions).for_each(|index| {
        let _ = write!(text, "function_{index},");
    });
    text.push_str(
        "};\nint main(int argc, char **argv) {\n    int calls = argc > 1 ? atoi(argv[1]) : 0;\n",
    );
    text.push_str("    struct timespec from, to;\n    clock_gettime(CLOCK_MONOTONIC, &from);\n");
    text.push_str("    for (int i = 0; i < calls; i++)\n        table[i]();\n");
    text.push_str("    clock_gettime(CLOCK_MONOTONIC, &to);\n");
    text.push_str(
        "    double ns = (to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec);\n",
    );
    text.push_str(
        "    printf(\"called=%d ns_per_call=%.1f\\n\", called, calls ? ns / calls : 0);\n",
    );
    text.push_str("    return 0;\n}\n");
    text
}
