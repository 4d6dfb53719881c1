//! Core files that the system writes of a program that dies under us: gdb reads
//! in them the program's own code and registers, wherever its threads were.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Driver, loops};
use trapline::{Command, ExitStatus, LaunchSpec, Signal};
use trapline_testkit::Debuggee;

/// The threads of the debuggee: busy ones, the one that ends it, and `main`.
const THREADS: usize = 3 + 2;

/// What is set at the busy function. No condition holds.
const SETS: [&[&str]; 4] = [
    &["-jump work if turn < 0", "-jump MIDDLE if thread > 100"],
    &["-trap work if turn < 0"],
    &["-trap work if turn < 0", "-jump MIDDLE if turn < 0 || thread > 100"],
    &["-hw work if turn < 0", "-jump MIDDLE if thread > 100"],
];

/// The core file in a folder.
fn core_in(folder: &Path) -> PathBuf {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let into_the_folder = !pattern.starts_with(['|', '/']);
    assert!(into_the_folder, "kernel.core_pattern is {pattern:?}: set it to `core` for this test");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_core = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("core");
    files.find(is_core).expect("the system wrote a core file")
}

/// What gdb answers for a program, with a core file or without.
fn gdb(program: &Path, core: Option<&Path>, commands: &[&str]) -> String {
    let mut gdb = std::process::Command::new("gdb");
    gdb.args(["-nx", "-q", "-batch"]);
    gdb.args(commands.iter().flat_map(|command| ["-ex", command]));
    let done = gdb.arg(program).args(core).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// The program's code up to `main`, as gdb reads it.
fn code(program: &Path, core: Option<&Path>, folder: &Path) -> Vec<u8> {
    let file = folder.join("code");
    let dump = format!("dump binary memory {} _start main", file.display());
    gdb(program, core, &[&dump]);
    fs::read(file).unwrap()
}

/// A session that dumps core into its own folder.
fn launching(debuggee: &Debuggee, kind: &str) -> Driver {
    let driver = Driver::new();
    driver.as_written();
    driver.ask(Command::Program(LaunchSpec {
        args: vec![kind.into()],
        directory: Some(driver.folder().to_owned()),
        ..driver.launch_spec(debuggee)
    }));
    driver
}

#[track_caller]
fn check(kind: &str, signal: Signal, set: &[&str]) {
    let debuggee = Debuggee::build("dumps_core");
    let mut driver = launching(&debuggee, kind);
    let middle = debuggee.mark("middle").spec();
    let ids: Vec<_> =
        set.iter().map(|spec| driver.break_at(&spec.replace("MIDDLE", &middle))).collect();
    driver.let_pass(&[signal]);
    driver.run();
    let status = driver.go_to_end_through(|_, stop| panic!("{:?}", stop.reasons));
    assert_eq!(status, ExitStatus::Signalled { signal, core_dumped: true }, "{kind} {set:?}");
    for &id in &ids {
        let (passes, turns) = (driver.tally(id).passes, driver.said("turns"));
        assert!(passes >= turns, "{kind} {set:?}: {passes} passes, {turns} turns");
    }

    let core = core_in(driver.folder());
    let own = code(&debuggee.path, None, driver.folder());
    assert!(own.len() > 500);
    assert!(code(&debuggee.path, Some(&core), driver.folder()) == own, "{kind} {set:?}");
    let of_each = |command: &str| {
        let all = format!("thread apply all -q {command}");
        let told = gdb(&debuggee.path, Some(&core), &["set pagination off", "echo ==\\n", &all]);
        let lines = told.split("==\n").nth(1).unwrap().lines().map(str::to_owned);
        // Of processors newer than itself gdb says that their state is too long.
        let is_told = |line: &String| !line.is_empty() && !line.starts_with("warning:");
        let lines: Vec<String> = lines.filter(is_told).collect();
        assert_eq!(lines.len(), THREADS, "{command}: {lines:?}");
        lines
    };
    let places = of_each("info symbol $pc");
    assert!(places.iter().all(|place| place.contains(" in section .text")), "{set:?}: {places:?}");
    let segments = of_each("printf \"%ld\\n\", $gs_base");
    assert!(segments.iter().all(|segment| segment == "0"), "{segments:?}");
    let number = gdb(&debuggee.path, Some(&core), &["printf \"==%d\\n\", $_siginfo.si_signo"]);
    assert!(number.ends_with(&format!("=={}\n", signal.0)), "{number}");
    driver.quit();
}

#[track_caller]
fn check_all(kind: &str, signal: Signal) {
    for _ in 0..loops(2) {
        SETS.iter().for_each(|set| check(kind, signal, set));
    }
}

#[test]
fn after_a_fault_it_is_the_programs_own() {
    check_all("fault", Signal::SEGV);
}

#[test]
fn after_an_abort_it_is_the_programs_own() {
    check_all("abort", Signal::ABRT);
}

#[test]
fn after_a_signal_that_was_sent_it_is_the_programs_own() {
    check_all("sent", Signal::QUIT);
}

#[test]
fn after_a_signal_that_a_call_waited_for_it_is_the_programs_own() {
    check_all("awaited", Signal::QUIT);
}

#[test]
fn a_program_that_is_held_while_it_dumps_can_be_killed() {
    let debuggee = Debuggee::build("dumps_core");
    for _ in 0..loops(20) {
        let mut driver = launching(&debuggee, "abort");
        driver.run();
        driver.go_to_stop();
        driver.go();
        driver.ask(Command::Interrupt);
        driver.quit();
    }
}
