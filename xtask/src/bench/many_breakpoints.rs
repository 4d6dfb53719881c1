//! Ten thousand breakpoints: what setting them costs, and what a hit costs while
//! they are all set. Their conditions are false, so that nobody prints.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use trapline_testkit::target_dir;

use super::subject::{Context, Subject, timed};
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
    let count = hits(subject);
    let many = seconds(context, subject, BREAKPOINTS, count)?;
    let none = seconds(context, subject, BREAKPOINTS, 0)?;
    Ok((many - none) / f64::from(count) * 1e6)
}

fn seconds(context: &Context, subject: Subject, set: u32, hit: u32) -> Result<f64, String> {
    let script = commands(set)?;
    let mut command = context.debugger(subject)?;
    match subject {
        Subject::Trapline => command.args(["run", "--batch", "-x"]).arg(script).arg("--"),
        Subject::Gdb => command.args(["-batch", "-x"]).arg(script).args(["-ex", "run", "--args"]),
        Subject::Lldb | Subject::Floor => return Err("is not asked".to_owned()),
    };
    command.arg(program()?).arg(hit.to_string());
    Ok(timed(&mut command, &format!("called={hit}"))?.elapsed.as_secs_f64())
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
    let mut text =
        String::from("#include <stdio.h>\n#include <stdlib.h>\nstatic volatile int called;\n");
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
    text.push_str("    for (int i = 0; i < calls; i++)\n        table[i]();\n");
    text.push_str("    printf(\"called=%d\\n\", called);\n    return 0;\n}\n");
    text
}
