//! The variables of every frame: names, order and values are those that gdb
//! prints.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::Driver;
use support::gdb::Gdb;
use trapline::Command;
use trapline::command::Reply;
use trapline::event::VariableInfo;
use trapline_testkit::{Build, Compiler, Debuggee};

/// Name and value of each variable.
type Locals = Vec<(String, String)>;

/// The variables of each frame of a stop, innermost first, as far as `main`.
type Stop = Vec<Locals>;

const OPTIMIZED_OUT: &str = "<optimized out>";

fn stop(driver: &Driver) -> Stop {
    let request = Command::Backtrace { limit: 1000, full: true };
    let Reply::Backtrace { frames, .. } = driver.ask(request) else { panic!("no frames") };
    let is_main = |name: &String| name.rsplit("::").next() == Some("main");
    let last = frames.iter().position(|frame| frame.function.as_ref().is_some_and(is_main));
    let locals = frames.into_iter().take(last.unwrap() + 1).map(|frame| {
        let all = frame.locals.unwrap().into_iter();
        all.map(|VariableInfo { name, value }| (name, value)).collect()
    });
    locals.collect()
}

fn ours(debuggee: &Debuggee, arguments: &[&str], place: &str) -> Vec<Stop> {
    let mut driver = Driver::launching(debuggee, arguments);
    driver.break_at(place);
    driver.run();
    let mut stops = Vec::new();
    driver.go_to_end_through(|driver, _| stops.push(stop(driver)));
    driver.quit();
    stops
}

fn gdbs(debuggee: &Debuggee, arguments: &[&str], place: &str, stops: usize) -> Vec<Stop> {
    let mut gdb = Gdb::new();
    gdb.say("set print frame-arguments none").say(&format!("break {place}")).say("run");
    for _ in 0..stops {
        gdb.say("echo ==\\n").say("backtrace -full").say("echo ==end\\n").say("continue");
    }
    let told = gdb.told(debuggee, arguments);
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
    let compared = check_program(&debuggee, &[], compiler, place, 0);
    assert!(compared > 10, "{build:?}: {compared}");
}

/// How many variables were compared.
fn check_program(
    debuggee: &Debuggee,
    arguments: &[&str],
    compiler: Compiler,
    place: &str,
    first_frame: usize,
) -> usize {
    let what = debuggee.path.display();
    let ours = ours(debuggee, arguments, place);
    let gdbs = gdbs(debuggee, arguments, place, ours.len());
    assert_eq!(ours.len(), gdbs.len(), "{what}");
    let mut compared = 0;
    for (number, (ours, gdbs)) in ours.iter().zip(&gdbs).enumerate() {
        assert_eq!(ours.len(), gdbs.len(), "{what} stop {number}: {ours:#?} {gdbs:#?}");
        for (level, (ours, gdbs)) in ours.iter().zip(gdbs).enumerate().skip(first_frame) {
            // gdb leaves out constants that are no integers, and takes labels
            // for variables.
            let has = |all: &Locals, name: &str| all.iter().any(|(other, _)| other == name);
            let told = |of: &Locals, by: &Locals| -> Locals {
                of.iter().filter(|(name, _)| has(by, name)).map(comparable).collect()
            };
            let (ours, gdbs) = (told(ours, gdbs), told(gdbs, ours));
            let same = ours.len() == gdbs.len()
                && ours.iter().zip(&gdbs).all(|(ours, gdbs)| is(ours, gdbs, compiler));
            assert!(same, "{what} stop {number} frame {level}: {ours:#?}\ngdb's {gdbs:#?}");
            compared += ours.len();
        }
    }
    compared
}

/// A variable without the addresses of what is mapped: the libraries lie lower
/// under us.
fn comparable((name, value): &(String, String)) -> (String, String) {
    let mut parts = value.split("0x7ff");
    let first = parts.next().unwrap_or_default().to_owned();
    let digits = |part: &str| part.trim_start_matches(|it: char| it.is_ascii_hexdigit()).to_owned();
    let value = parts.fold(first, |told, part| told + "0x7ff" + &digits(part));
    (name.clone(), value)
}

#[test]
fn every_local_in_a_deep_recursion_of_python_is_what_gdb_prints() {
    let path = std::fs::canonicalize("/usr/bin/python3.11-dbg").unwrap();
    let python = Debuggee { image: path.clone(), source: path.clone(), path };
    let script = "repr(eval('[' * 41 + ']' * 41))";
    let place = "list_repr if v->ob_base.ob_size == 0";
    // What was just entered has nothing but garbage, addresses among it.
    let compared = check_program(&python, &["-Sc", script], Compiler::Gcc, place, 1);
    assert!(compared > 200, "{compared}");
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
