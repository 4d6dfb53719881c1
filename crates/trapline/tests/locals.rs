//! The variables of every frame: names, order and values are those that gdb
//! prints.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::process::Command as Process;

use support::Driver;
use trapline::Command;
use trapline::command::{Reply, VariableInfo, VariableKind};
use trapline_testkit::{Build, Compiler, Debuggee};

/// Name and value of each variable.
type Locals = Vec<(String, String)>;

/// The variables of each frame of a stop, innermost first, as far as `main`.
type Stop = Vec<Locals>;

const OPTIMIZED_OUT: &str = "<optimized out>";

fn variables(driver: &Driver, kind: VariableKind) -> Locals {
    let Reply::Variables(all) = driver.ask(Command::Variables(kind)) else { panic!("no answer") };
    all.into_iter().map(|VariableInfo { name, value }| (name, value)).collect()
}

fn stop(driver: &Driver) -> Stop {
    let mut frames = Vec::new();
    for level in 0.. {
        let Reply::Frame(frame) = driver.ask(Command::SelectFrame(level)) else {
            panic!("no frame")
        };
        frames.push(variables(driver, VariableKind::Local));
        if frame.function.is_some_and(|name| name.rsplit("::").next() == Some("main")) {
            break;
        }
    }
    frames
}

fn ours(debuggee: &Debuggee, place: &str) -> Vec<Stop> {
    let mut driver = Driver::launching(debuggee, &[]);
    driver.break_at(place);
    driver.run();
    let mut stops = Vec::new();
    driver.go_to_end_through(|driver, _| stops.push(stop(driver)));
    driver.quit();
    stops
}

fn gdbs(debuggee: &Debuggee, place: &str, stops: usize) -> Vec<Stop> {
    let mut gdb = Process::new("gdb");
    gdb.args(["--quiet", "--batch", "--nx", "-ex", "set debuginfod enabled off"]);
    gdb.args(["-ex", "set width 0", "-ex", "set print frame-arguments none"]);
    gdb.args(["-ex", &format!("break {place}"), "-ex", "run"]);
    for _ in 0..stops {
        gdb.args(["-ex", "echo ==\\n", "-ex", "backtrace -full", "-ex", "echo ==end\\n"]);
        gdb.args(["-ex", "continue"]);
    }
    let told = gdb.arg(&debuggee.path).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    told.split("==\n").skip(1).map(|part| gdb_stop(part.split("==end").next().unwrap())).collect()
}

fn gdb_stop(told: &str) -> Stop {
    let mut frames = Stop::new();
    for line in told.lines() {
        if line.starts_with('#') {
            frames.push(Locals::new());
        } else if let Some((name, value)) = line.trim_start().split_once(" = ")
            && line.starts_with("        ")
        {
            // What has no address, of a thing that is in registers alone.
            let value = if value == "<synthetic pointer>" { OPTIMIZED_OUT } else { value };
            frames.last_mut().unwrap().push((name.to_owned(), value.to_owned()));
        }
    }
    frames
}

/// Whether a variable is what gdb says. Of clang's programs gdb takes what is
/// said of a register before a call for true after it, whatever the callee did,
/// and what is said of no part of an array for zeros.
fn is(ours: &(String, String), gdbs: &(String, String), compiler: Compiler) -> bool {
    let lost = compiler == Compiler::Clang && ours.1.contains(OPTIMIZED_OUT);
    ours == gdbs || (lost && ours.0 == gdbs.0)
}

fn check(build: &Build, compiler: Compiler, place: &str) {
    let build = build.clone().compiler(compiler);
    let debuggee = build.build();
    let ours = ours(&debuggee, place);
    let gdbs = gdbs(&debuggee, place, ours.len());
    assert_eq!(ours.len(), gdbs.len(), "{build:?}");
    let mut compared = 0;
    for (number, (ours, gdbs)) in ours.iter().zip(&gdbs).enumerate() {
        assert_eq!(ours.len(), gdbs.len(), "{build:?} stop {number}: {ours:#?} {gdbs:#?}");
        for (level, (ours, gdbs)) in ours.iter().zip(gdbs).enumerate() {
            // gdb leaves out constants that are no integers.
            let told = |name: &str| gdbs.iter().any(|(other, _)| other == name);
            let ours: Locals = ours.iter().filter(|(name, _)| told(name)).cloned().collect();
            let same = ours.len() == gdbs.len()
                && ours.iter().zip(gdbs).all(|(ours, gdbs)| is(ours, gdbs, compiler));
            assert!(same, "{build:?} stop {number} frame {level}: {ours:#?}\ngdb's {gdbs:#?}");
            compared += ours.len();
        }
    }
    assert!(compared > 10, "{build:?}: {compared}");
}

#[test]
fn locals_of_c_have_the_values_that_gdb_prints() {
    for (compiler, level) in [
        (Compiler::Gcc, "-O0"),
        (Compiler::Gcc, "-O1"),
        (Compiler::Gcc, "-O2"),
        (Compiler::Clang, "-O0"),
        (Compiler::Clang, "-O2"),
    ] {
        check(&Build::new("many_locals").flag(level), compiler, "bottom");
    }
}

#[test]
fn locals_of_inlined_calls_are_of_their_frames() {
    for level in ["-O0", "-O2"] {
        check(&Build::new("inlined_calls").flag(level), Compiler::Gcc, "deepest");
    }
}
