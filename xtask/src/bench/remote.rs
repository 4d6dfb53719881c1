//! `cargo xtask bench remote`: gdb with its program behind a server of the
//! remote protocol, ours or its own, and with the program beneath it.
//!
//! The servers speak through a pipe, so that each sample starts and ends with
//! its gdb. What a command costs is the time of a session with it less that of
//! one without.

use std::path::Path;
use std::process::Command;

use trapline_testkit::{Build, Debuggee, Linkage, target_dir};

use super::subject::{Context, Subject, timed};
use super::{Goal, Item};
use crate::steps::{command, output};

pub(super) const WHAT: &str = "gdb through our server, beside gdb's own";

const ALL: &[Subject] = &[Subject::Trapline, Subject::Gdbserver, Subject::Gdb];

const NO_SLOWER: &[Goal] = &[Goal::Times(1.0, Subject::Gdbserver)];

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "remote-false-condition",
        what: "one pass over a breakpoint of gdb's whose condition is false",
        unit: "us",
        subjects: ALL,
        goals: &[
            Goal::Times(1.0 / 5000.0, Subject::Gdb),
            Goal::Times(1.0 / 5000.0, Subject::Gdbserver),
        ],
        measure: false_condition,
    },
    Item {
        name: "remote-next",
        what: "next over a line, every second one of a call, a thousand times",
        unit: "ms",
        subjects: ALL,
        goals: NO_SLOWER,
        measure: |context, subject| extra(context, subject, &looping(), "body", "next 1000"),
    },
    Item {
        name: "remote-stepi",
        what: "stepi a thousand times",
        unit: "ms",
        subjects: ALL,
        goals: NO_SLOWER,
        measure: |context, subject| extra(context, subject, &looping(), "body", "stepi 1000"),
    },
    Item {
        name: "remote-memory",
        what: "dump of 64 MiB of memory",
        unit: "ms",
        subjects: ALL,
        goals: NO_SLOWER,
        measure: |context, subject| {
            let built = Debuggee::build("noisy_memory");
            let place = built.mark("filled").spec();
            extra(
                context,
                subject,
                &built,
                &place,
                "dump binary memory /dev/null noise &noise[sizeof noise / 8]",
            )
        },
    },
    Item {
        name: "remote-start",
        what: "start to a breakpoint in Trapline's own debug build, and the end",
        unit: "ms",
        subjects: ALL,
        goals: NO_SLOWER,
        measure: start,
    },
];

fn looping() -> Debuggee {
    Build::new("tight_loop").linkage(Linkage::Fixed).build()
}

/// gdb with a program that it has started, or found in its first instruction.
fn gdb(
    context: &Context,
    subject: Subject,
    program: &Path,
    argument: &str,
    commands: &[&str],
) -> Result<Command, String> {
    let mut gdb = context.debugger(Subject::Gdb)?;
    gdb.args(["-batch", "-ex", "set confirm off"]);
    let program = program.display();
    match subject {
        Subject::Gdb => gdb.args(["-ex", "starti"]),
        _ => {
            let server = context.debugger(subject)?;
            let server = server.get_program().to_string_lossy();
            let word = if subject == Subject::Trapline { "gdbserver" } else { "" };
            // Its words are for nobody, and the program's are lost with them.
            let line = format!(
                "target remote | {server} {word} --once - {program} {argument} 2>/dev/null"
            );
            gdb.args(["-ex", &line])
        }
    };
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.args(["-ex", "kill", "--args", &program.to_string()]).arg(argument);
    Ok(gdb)
}

/// Milliseconds that `command` takes at a place, within a whole session.
fn extra(
    context: &Context,
    subject: Subject,
    built: &Debuggee,
    place: &str,
    command: &str,
) -> Result<f64, String> {
    let tbreak = format!("tbreak {place}");
    let session = |more: &[&str]| {
        let commands = [&[tbreak.as_str(), "continue"], more, &["print 424200 + 42"]].concat();
        let mut gdb = gdb(context, subject, &built.path, "100000", &commands)?;
        Ok::<_, String>(timed(&mut gdb, "424242")?.elapsed.as_secs_f64())
    };
    Ok((session(&[command])? - session(&[])?) * 1e3)
}

/// Passes that take a second or so.
const fn passes(subject: Subject) -> u32 {
    match subject {
        Subject::Trapline => 1_000_000_000,
        _ => 10_000,
    }
}

/// By the program's own clock, the turn of its loop included: what ours adds to
/// that is less than the noise. The condition holds in the last pass, which
/// shows that it was asked.
fn false_condition(context: &Context, subject: Subject) -> Result<f64, String> {
    let built = looping();
    let last = format!("break body if i == {}", passes(subject) - 1);
    let count = passes(subject).to_string();
    let end = format!("tbreak {}", built.mark("end").spec());
    let commands = [&*last, &*end, "continue", "print i + 1", "continue", "print each"];
    let mut gdb = gdb(context, subject, &built.path, &count, &commands)?;
    let finished = timed(&mut gdb, &format!("$1 = {count}\n"))?;
    let each = finished.stdout.split_once("$2 = ").and_then(|(_, rest)| rest.lines().next());
    let each: Option<f64> = each.and_then(|text| text.parse().ok());
    Ok(each.ok_or("no figure was printed")? / 1e3)
}

fn start(context: &Context, subject: Subject) -> Result<f64, String> {
    output(&mut command(&["cargo", "build", "--package", "trapline", "--bins", "--quiet"]))?;
    let program = target_dir().join("debug").join("trapline");
    let commands = ["break trapline::backend::prepare_process", "continue"];
    let mut gdb = gdb(context, subject, &program, "--version", &commands)?;
    Ok(timed(&mut gdb, "Breakpoint 1, ")?.elapsed.as_secs_f64() * 1e3)
}
