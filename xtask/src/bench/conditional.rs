//! A pass over a breakpoint whose condition is false, as far as it is decided in
//! the debugger: each subject runs the same loop, with as many passes as suit its
//! speed, and without any. What it costs in the program is for `conditions`.

use std::process::Command;

use trapline_testkit::{Build, Debuggee, Linkage};

use super::subject::{Context, Subject, address, own_ns_per_call, timed};
use super::{Goal, Item};

pub(super) const ITEM: Item = Item {
    name: "false-condition",
    what: "one pass over a breakpoint whose condition is false, by a trap",
    unit: "us",
    subjects: &[Subject::Trapline, Subject::Floor, Subject::Gdb, Subject::Lldb],
    goals: &[Goal::Times(1.3, Subject::Floor), Goal::Times(0.2, Subject::Gdb)],
    measure,
};

/// Passes that take a second or so.
const fn passes(subject: Subject) -> u32 {
    match subject {
        Subject::Trapline | Subject::Floor => 100_000,
        Subject::Gdb | Subject::GdbCached | Subject::Gdbserver => 10_000,
        Subject::Lldb | Subject::LldbCached => 2_000,
    }
}

/// `(time with N passes - time with none) / N`.
fn measure(context: &Context, subject: Subject) -> Result<f64, String> {
    let built = Build::new("tight_loop").linkage(Linkage::Fixed).build();
    let count = passes(subject);
    let none = seconds(context, subject, &built, 0)?;
    let many = seconds(context, subject, &built, count)?;
    Ok((many - none) / f64::from(count) * 1e6)
}

fn seconds(
    context: &Context,
    subject: Subject,
    built: &Debuggee,
    count: u32,
) -> Result<f64, String> {
    let mut command = loop_under(context, subject, built, count)?;
    let finished = timed(&mut command, &format!("calls={count} "))?;
    let own = own_ns_per_call(&[finished.stdout, finished.stderr].concat());
    if count > 0 && own.is_none_or(|ns| ns < 500.0) {
        return Err("the program ran at full speed: the breakpoint was not there".to_owned());
    }
    Ok(finished.elapsed.as_secs_f64())
}

fn loop_under(
    context: &Context,
    subject: Subject,
    built: &Debuggee,
    count: u32,
) -> Result<Command, String> {
    let mut command = context.debugger(subject)?;
    match subject {
        Subject::Trapline => {
            command.args(["run", "--batch", "-b", "-trap body if i == -1", "--"]);
        }
        Subject::Gdb | Subject::GdbCached => {
            command.args(["-batch", "-ex", "break body if i == -1", "-ex", "run", "--args"]);
        }
        Subject::Lldb | Subject::LldbCached => {
            let set = "breakpoint set --name body --condition 'i == -1'";
            command.args(["--batch", "-o", set, "-o", "run", "--"]);
        }
        Subject::Gdbserver => return Err("is measured by bench remote".to_owned()),
        Subject::Floor => {
            for symbol in ["main", "body", "_start"] {
                command.arg(address(&built.path, symbol)?);
            }
        }
    }
    command.arg(&built.path).arg(count.to_string());
    Ok(command)
}
