//! Programs with many threads: attaching to all of them and letting go, and
//! stopping all of them and setting them going again.

use std::time::Duration;

use trapline_testkit::{Background, Debuggee};

use super::subject::{Context, Subject, timed};
use super::{Goal, Item, timing};

pub(super) const IDLE: Item = Item {
    name: "attach-500",
    what: "500 idle threads attached and detached, beyond what one costs",
    unit: "ms",
    subjects: &[Subject::Trapline, Subject::Gdb, Subject::Lldb],
    goals: &[Goal::AtMost(20.0)],
    measure: measure_idle,
};

pub(super) const BUSY: Item = Item {
    name: "stop-100-busy",
    what: "100 busy threads, from the first stopped to the last resumed",
    unit: "ms",
    subjects: &[Subject::Trapline],
    goals: &[Goal::AtMost(3.0)],
    measure: measure_busy,
};

/// Cycles of stopping and resuming in one sample.
const CYCLES: usize = 10;

fn measure_idle(context: &Context, subject: Subject) -> Result<f64, String> {
    Ok((attach_and_detach(context, subject, 500)? - attach_and_detach(context, subject, 0)?) * 1e3)
}

fn attach_and_detach(context: &Context, subject: Subject, threads: u32) -> Result<f64, String> {
    let program =
        Background::spawn(Debuggee::build("idle_threads").command().arg(threads.to_string()));
    program.wait_for("ready", Duration::from_secs(30));
    let pid = program.pid().to_string();
    let mut command = context.debugger(subject)?;
    let proof = match subject {
        Subject::Trapline => {
            command.args(["attach", "--batch", "--json", "-e", "detach", &pid]);
            "\"event\":"
        }
        Subject::Gdb => {
            command.args(["-batch", "-p", &pid, "-ex", "detach"]);
            "detached"
        }
        Subject::Lldb => {
            command.args(["--batch", "-p", &pid, "-o", "detach"]);
            "detached"
        }
        Subject::Floor => return Err("does not attach".to_owned()),
    };
    Ok(timed(&mut command, proof)?.elapsed.as_secs_f64())
}

/// Several cycles in one session, timed by Trapline itself; their median.
fn measure_busy(context: &Context, subject: Subject) -> Result<f64, String> {
    let mut program = Debuggee::build("idle_threads").command();
    let program = Background::spawn(program.args(["100", "busy"]));
    program.wait_for("ready", Duration::from_secs(30));
    let pid = program.pid().to_string();
    let mut command = context.debugger(subject)?;
    command.args(["attach", "--batch", "--json=-"]);
    for _ in 0..CYCLES {
        command.args(["-e", timing::STOP_RESUME_COMMAND]);
    }
    let output = timed(command.args(["-e", "detach", &pid]), "\"event\":\"timing\"")?.stdout;
    let cycles = timing::events(&output, "stop-resume");
    match cycles.len() {
        CYCLES => Ok(super::median(cycles.iter().map(|it| it.as_secs_f64() * 1e3).collect())),
        count => Err(format!("{count} timing events for {CYCLES} cycles")),
    }
}
