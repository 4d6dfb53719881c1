//! `finish` shows what functions returned, wherever their ABI leaves it: as gdb
//! shows it.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::process::Command;

use support::beside::PATIENCE;
use support::gdb::Gdb;
use trapline_testkit::{Build, Compiler, Debuggee, run};

const FUNCTIONS: [&str; 21] = [
    "small_one",
    "pair",
    "mixed",
    "swapped",
    "floats",
    "shared",
    "big",
    "bits",
    "chars",
    "nested",
    "packed",
    "empty",
    "derived",
    "either",
    "colour",
    "owner",
    "text",
    "handle",
    "truth",
    "real",
    "literal",
];

/// What was said of the values, without their numbers.
fn values(told: &str) -> Vec<String> {
    let value = |line: &str| {
        let (_, value) = line.strip_prefix("Value returned is $")?.split_once(" = ")?;
        Some(value.to_owned())
    };
    told.lines().filter_map(value).collect()
}

fn commands() -> Vec<String> {
    let each = |name: &&str| [format!("tbreak {name}"), "continue".to_owned(), "finish".to_owned()];
    let start = ["tbreak main".to_owned(), "run".to_owned()];
    start.into_iter().chain(FUNCTIONS.iter().flat_map(each)).collect()
}

fn ours(debuggee: &Debuggee) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trapline"));
    command.args(["run", "--batch"]);
    for line in commands() {
        command.arg("-e").arg(line);
    }
    values(&run(command.arg("--").arg(&debuggee.path), PATIENCE).stderr)
}

fn gdbs(debuggee: &Debuggee) -> Vec<String> {
    let mut gdb = Gdb::with_printers();
    for line in commands() {
        gdb.say(&line);
    }
    values(&gdb.told(debuggee, &[]))
}

#[track_caller]
fn check(compiler: Compiler, level: &str) {
    let build = Build::new("returns").compiler(compiler).flag(level).flag("-Wno-unused");
    let debuggee = build.build();
    let (ours, gdbs) = (ours(&debuggee), gdbs(&debuggee));
    assert_eq!((ours.len(), gdbs.len()), (FUNCTIONS.len(), FUNCTIONS.len()), "{ours:?} {gdbs:?}");
    for ((name, ours), gdbs) in FUNCTIONS.iter().zip(&ours).zip(&gdbs) {
        // Of clang's programs gdb does not know what is in a string.
        let gdbs = match (*name, compiler) {
            ("text", Compiler::Clang) => "\"returned\"".to_owned(),
            _ => gdbs.clone(),
        };
        assert_eq!(*ours, gdbs, "{name} {compiler:?} {level}");
    }
}

#[test]
fn values_of_every_class_are_shown_as_by_gdb() {
    for compiler in [Compiler::Gcc, Compiler::Clang] {
        for level in ["-O0", "-O1"] {
            check(compiler, level);
        }
    }
}
