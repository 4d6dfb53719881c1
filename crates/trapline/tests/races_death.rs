//! The orderly end, by each of its causes: a program that was attached to goes
//! on clean, one that was launched is killed. (The setting that lets it go on
//! is in `races_threads`, the end by a panic of ours in `defect`.)
//!
//! Each runs `TRAPLINE_LOOPS` times, by default a hundred.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::process::Command as Process;

use support::bystander::Bystander;
use support::{Driver, PATIENCE, eventually, is_untouched, loops, running, send};
use trapline::Event;
use trapline_testkit::{Background, Debuggee, leaks};

/// A breakpoint that shows when it is served, in every thread there is.
const LOG: &str = "-log 'passes here' visit";

fn busy() -> Bystander {
    running(&Debuggee::build("threads_born_and_die"), &["0", "4"])
}

fn wait_for_logs(driver: &mut Driver) {
    for _ in 0..5 {
        driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
    }
}

#[test]
fn an_interruption_before_the_program_runs_ends_a_batch_run_too() {
    let program = busy();
    let before = leaks::mappings(program.pid());
    let pid = program.pid().to_string();
    for round in 0..loops(20) {
        let mut command = Process::new(env!("CARGO_BIN_EXE_trapline"));
        command.args(["attach", "--batch", "--auto-continue", "-b", LOG, &pid]);
        let debugger = Background::spawn(&mut command);
        std::thread::sleep(std::time::Duration::from_millis(u64::from(round) * 3));
        send("-INT", debugger.pid());
        debugger.finish(PATIENCE);
        is_untouched(program.pid(), &before);
    }
}

/// Attaches and ends the session while threads run into the trap.
#[track_caller]
fn check_session_of_an_attached_program(end: impl Fn(Driver)) {
    let program = busy();
    for _ in 0..loops(100) {
        let mut driver = Driver::attached(program.pid());
        driver.break_at(LOG);
        driver.go();
        wait_for_logs(&mut driver);
        end(driver);
    }
}

#[test]
fn quit_lets_an_attached_program_go() {
    check_session_of_an_attached_program(Driver::quit);
}

#[test]
fn dropping_the_last_handle_lets_an_attached_program_go() {
    check_session_of_an_attached_program(Driver::abandon);
}

/// Launches and ends the session while threads run into the trap.
#[track_caller]
fn check_session_of_a_launched_program(end: impl Fn(Driver)) {
    let debuggee = Debuggee::build("threads_born_and_die");
    for _ in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["0", "4"]);
        driver.break_at(LOG);
        let pid = driver.run();
        driver.go();
        wait_for_logs(&mut driver);
        end(driver);
        assert!(matches!(leaks::state(pid), None | Some('Z')), "{pid} lives");
    }
}

#[test]
fn quit_kills_a_launched_program() {
    check_session_of_a_launched_program(Driver::quit);
}

#[test]
fn dropping_the_last_handle_kills_a_launched_program() {
    check_session_of_a_launched_program(Driver::abandon);
}

/// What ends the program `trapline`.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    Signal(&'static str),
    ClosedTerminal,
}

/// Starts `trapline ARGUMENTS`, in a terminal of its own where that is to be
/// closed, and waits until it serves breakpoints.
fn start(cause: Cause, arguments: &[&str]) -> Background {
    let trapline = env!("CARGO_BIN_EXE_trapline");
    let mut command = if cause == Cause::ClosedTerminal {
        let quoted: Vec<String> =
            arguments.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        let mut script = Process::new("script");
        script.args(["-qfec", &format!("exec {trapline} {}", quoted.join(" ")), "/dev/null"]);
        script
    } else {
        let mut command = Process::new(trapline);
        command.args(arguments);
        command
    };
    let debugger = Background::spawn_waiting(&mut command);
    debugger.wait_for("passes here", PATIENCE);
    debugger
}

/// Ends it and waits until it is gone.
#[track_caller]
fn end(cause: Cause, debugger: Background) {
    let marker = debugger.marker().to_owned();
    match cause {
        Cause::Signal(signal) => send(signal, debugger.pid()),
        // The terminal goes with the program that keeps it.
        Cause::ClosedTerminal => send("-KILL", debugger.pid()),
    }
    debugger.finish(PATIENCE);
    eventually("nothing of ours lives", || {
        leaks::carriers(trapline_testkit::run::MARKER, &marker).is_empty().then_some(())
    });
}

/// Attaches with the program `trapline` and ends that while threads run into
/// the trap.
#[track_caller]
fn check_attached(cause: Cause) {
    let program = busy();
    let before = leaks::mappings(program.pid());
    let pid = program.pid().to_string();
    for _ in 0..loops(100) {
        end(cause, start(cause, &["attach", "--batch", "--json=-", "-b", LOG, &pid]));
        is_untouched(program.pid(), &before);
    }
}

#[test]
fn a_request_to_end_lets_an_attached_program_go() {
    check_attached(Cause::Signal("-TERM"));
}

#[test]
fn a_hangup_lets_an_attached_program_go() {
    check_attached(Cause::Signal("-HUP"));
}

#[test]
fn a_closed_terminal_lets_an_attached_program_go() {
    check_attached(Cause::ClosedTerminal);
}

/// Launches with the program `trapline` and ends that while threads run into
/// the trap.
#[track_caller]
fn check_launched(cause: Cause) {
    let debuggee = Debuggee::build("threads_born_and_die");
    let path = debuggee.path.to_string_lossy();
    let output = ["--json=-", "--stdout", "/dev/null"];
    let arguments = [&["run", "--batch", "-b", LOG], &output[..], &["--", &path, "0"]].concat();
    for _ in 0..loops(100) {
        end(cause, start(cause, &arguments));
    }
}

#[test]
fn a_request_to_end_kills_a_launched_program() {
    check_launched(Cause::Signal("-TERM"));
}

#[test]
fn a_hangup_kills_a_launched_program() {
    check_launched(Cause::Signal("-HUP"));
}

#[test]
fn a_closed_terminal_kills_a_launched_program() {
    check_launched(Cause::ClosedTerminal);
}

/// Not orderly, and not ours to clean up after; but what was launched dies.
#[test]
fn a_killed_debugger_takes_its_launched_program_along() {
    check_launched(Cause::Signal("-KILL"));
}
