//! The variables of every frame: names, order and values are those that gdb
//! prints.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::path::PathBuf;

use support::beside::line_of;
use support::gdb::Gdb;
use support::{Driver, alike};
use trapline::Command;
use trapline::command::Reply;
use trapline::event::VariableInfo;
use trapline_testkit::{Build, Compiler, Debuggee, corpus, target_dir};

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

fn gdbs(
    mut gdb: Gdb,
    debuggee: &Debuggee,
    arguments: &[&str],
    place: &str,
    stops: usize,
) -> Vec<Stop> {
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

/// How the variables of a program are compared with gdb's.
struct Comparison {
    gdb: fn() -> Gdb,
    compiler: Compiler,
    /// What was just entered has nothing but garbage, addresses among it.
    first_frame: usize,
    /// Brings a value to the form in which both would write it.
    form: fn(&str) -> String,
    /// Parts of gdb's values, or of ours, that the other shows in another way.
    otherwise: &'static [&'static str],
}

const AS_WRITTEN: Comparison = Comparison {
    gdb: Gdb::new,
    compiler: Compiler::Gcc,
    first_frame: 0,
    form: str::to_owned,
    otherwise: &[],
};

impl Comparison {
    /// Where a variable is not what gdb says. Of clang's programs gdb takes what is
    /// said of a register before a call for true after it, whatever the callee
    /// did, and what is said of no part of an array for zeros.
    fn differ(&self, (name, ours): &(String, String), gdbs: &(String, String)) -> Option<String> {
        if self.compiler == Compiler::Clang && ours.contains(OPTIMIZED_OUT) {
            return None;
        }
        let [ours, gdbs] =
            [ours, &gdbs.1].map(|value| (self.form)(&alike::without_addresses(value)));
        let same = ours.bytes().zip(gdbs.bytes()).take_while(|(ours, gdbs)| ours == gdbs).count();
        let from = |text: &str| text.chars().skip(same.saturating_sub(60)).take(160).collect();
        let [our_part, gdbs_part]: [String; 2] = [from(&ours), from(&gdbs)];
        (ours != gdbs).then(|| format!("{name}\n  ours  ...{our_part}\n  gdb's ...{gdbs_part}"))
    }

    /// The variables that are shown by both in one way. gdb leaves out constants
    /// that are no integers, and takes labels for variables. Where a name stands
    /// twice, the order says which is which.
    fn common(&self, of: &Locals, by: &Locals) -> Locals {
        let otherwise = |value: &str| self.otherwise.iter().any(|part| value.contains(part));
        let also = |name: &str| by.iter().any(|(other, value)| other == name && !otherwise(value));
        let told = of.iter().filter(|(name, value)| also(name) && !otherwise(value));
        let mut told: Locals = told.cloned().collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told
    }

    /// How many variables were compared.
    fn check(&self, debuggee: &Debuggee, arguments: &[&str], place: &str) -> usize {
        let what = debuggee.path.display();
        let ours = ours(debuggee, arguments, place);
        let gdbs = gdbs((self.gdb)(), debuggee, arguments, place, ours.len());
        assert_eq!(ours.len(), gdbs.len(), "{what}");
        let (mut compared, mut wrong) = (0, Vec::new());
        for (number, (ours, gdbs)) in ours.iter().zip(&gdbs).enumerate() {
            assert_eq!(ours.len(), gdbs.len(), "{what} stop {number}: {ours:#?} {gdbs:#?}");
            for (level, (ours, gdbs)) in ours.iter().zip(gdbs).enumerate().skip(self.first_frame) {
                let (ours, gdbs) = (self.common(ours, gdbs), self.common(gdbs, ours));
                let place = format!("{what} stop {number} frame {level}");
                assert_eq!(ours.len(), gdbs.len(), "{place}: {ours:#?}\ngdb's {gdbs:#?}");
                let differing =
                    ours.iter().zip(&gdbs).filter_map(|(ours, gdbs)| self.differ(ours, gdbs));
                wrong.extend(differing.map(|how| format!("{place}: {how}")));
                compared += ours.len();
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        compared
    }
}

fn check(build: &Build, compiler: Compiler, place: &str) {
    let build = build.clone().compiler(compiler);
    let compared = Comparison { compiler, ..AS_WRITTEN }.check(&build.build(), &[], place);
    assert!(compared > 10, "{build:?}: {compared}");
}

/// A program that was not built here.
fn program(path: PathBuf) -> Debuggee {
    Debuggee { image: path.clone(), source: path.clone(), path }
}

#[test]
fn every_local_in_a_deep_recursion_of_python_is_what_gdb_prints() {
    let python = program(std::fs::canonicalize("/usr/bin/python3.11-dbg").unwrap());
    let script = "repr(eval('[' * 41 + ']' * 41))";
    let place = "list_repr if v->ob_base.ob_size == 0";
    let comparison = Comparison { first_frame: 1, ..AS_WRITTEN };
    let compared = comparison.check(&python, &["-Sc", script], place);
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

/// A chain of so many files, each made of the one before, for ninja.
fn chain(length: usize) -> PathBuf {
    let folder = target_dir().join("tmp").join("ninja-chain");
    std::fs::create_dir_all(&folder).unwrap();
    let rule = "rule copy\n command = cp $in $out\n description = copy $in\n";
    let steps = (0..length).map(|at| format!("build step{}: copy step{at}\n", at + 1));
    let text = steps.fold(rule.to_owned(), |text, step| text + &step);
    std::fs::write(folder.join("build.ninja"), text).unwrap();
    std::fs::write(folder.join("step0"), "").unwrap();
    folder
}

#[test]
fn every_local_in_a_deep_recursion_of_ninja_is_what_gdb_prints() {
    let folder = chain(30);
    let arguments = ["-n", "-C", folder.to_str().unwrap(), "step30"];
    let comparison = Comparison {
        gdb: Gdb::with_printers,
        first_frame: 1,
        form: alike::cpp,
        // An iterator, which gdb shows as what it leads to, and the time.
        otherwise: &["{_M_current = ", "start_time_millis_ = "],
        ..AS_WRITTEN
    };
    // At the file that nothing makes.
    let ninja = corpus::program("ninja");
    let statement = "if (!node->StatIfNecessary(disk_interface_, err))";
    let place = line_of(&ninja, "src/graph.cc", statement);
    let compared = comparison.check(&program(ninja), &arguments, &place);
    assert!(compared > 100, "{compared}");
}

#[test]
fn every_local_in_a_deep_recursion_of_just_is_what_gdb_prints() {
    let justfile = target_dir().join("tmp").join("deep.just");
    let nested = (0..5).fold("'end'".to_owned(), |inner, level| format!("'{level}' + ({inner})"));
    let text =
        format!("x := if 'a' == 'a' {{ 'b' }} else {{ {nested} }}\nall:\n  echo {{{{x}}}}\n");
    std::fs::write(&justfile, text).unwrap();
    let comparison = Comparison {
        gdb: Gdb::with_rust_printers,
        first_frame: 1,
        form: alike::rust,
        // A path, which gdb shows as an address; a trait object, which it shows as
        // nothing; and what was moved away.
        otherwise: &["&std::path::Path 0x", "{vtable = ", "AppFlags"],
        ..AS_WRITTEN
    };
    let place = "just::parser::Parser::parse_string_literal";
    let arguments = ["-f", justfile.to_str().unwrap()];
    let compared = comparison.check(&program(corpus::program("just")), &arguments, place);
    assert!(compared > 100, "{compared}");
}
