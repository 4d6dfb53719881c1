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

pub(super) const INSTALL_IDLE: Item = Item {
    name: "install-100-idle",
    what: "a condition compiled in under 100 idle threads, first stop to last resume",
    unit: "ms",
    subjects: &[Subject::Trapline],
    goals: &[Goal::AtMost(3.0)],
    measure: measure_install_idle,
};

pub(super) const INSTALL_BUSY: Item = Item {
    name: "install-100-busy",
    what: "the same under 100 busy threads, every one of which comes there",
    unit: "ms",
    subjects: &[Subject::Trapline],
    goals: &[Goal::AtMost(3.0)],
    measure: measure_install_busy,
};

/// Cycles of stopping and resuming, or of setting and deleting, in one sample.
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
        Subject::Gdb | Subject::GdbCached => {
            command.args(["-batch", "-p", &pid, "-ex", "detach"]);
            "detached"
        }
        Subject::Lldb | Subject::LldbCached => {
            command.args(["--batch", "-p", &pid, "-o", "detach"]);
            "detached"
        }
        Subject::Floor | Subject::Gdbserver => return Err("does not attach".to_owned()),
    };
    Ok(timed(&mut command, proof)?.elapsed.as_secs_f64())
}

fn measure_install_idle(context: &Context, subject: Subject) -> Result<f64, String> {
    install(context, subject, "idle")
}

fn measure_install_busy(context: &Context, subject: Subject) -> Result<f64, String> {
    install(context, subject, "busy")
}

/// A false condition set and deleted again several times while the threads run,
/// timed by Trapline itself: the median of what setting took.
fn install(context: &Context, subject: Subject, what: &str) -> Result<f64, String> {
    let built = Debuggee::build("idle_threads");
    let place = built.mark("busy").spec();
    let program = Background::spawn(built.command().args(["100", what]));
    program.wait_for("ready", Duration::from_secs(30));
    let mut command = context.debugger(subject)?;
    command.args(["attach", "--batch", "--json=-", "-e", "continue &"]);
    for number in 1..=CYCLES {
        command.args(["-e", &format!("break -jump {place} if mine == -1")]);
        command.args(["-e", &format!("delete {number}")]);
    }
    let pid = program.pid().to_string();
    let output = timed(command.args(["-e", "detach", &pid]), "\"what\":\"hold\"")?.stdout;
    // Every other one is of a deletion.
    let set: Vec<f64> = timing::events(&output, "hold")
        .iter()
        .step_by(2)
        .map(|it| it.as_secs_f64() * 1e3)
        .collect();
    match set.len() {
        CYCLES => Ok(super::median(set)),
        count => Err(format!("{count} timing events for {CYCLES} breakpoints")),
    }
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
