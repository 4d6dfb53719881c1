//! `cargo xtask scenarios` and `cargo xtask soundness`: the tests on programs of
//! the corpus that take too long, or whose programs take too long to build, for
//! every check. Those on programs that are built in half a minute, and on
//! Debian's CPython, are in `test`.

use crate::steps::{Steps, call, command};
use crate::{Outcome, corpus, packages};

/// A program of the corpus and the file of the tests on it.
const SCENARIOS: &[(&str, &str)] = &[("git", "scenarios_git"), ("redis", "scenarios_redis")];

/// The programs that are run with a jump at every statement.
const SOUND: &[&str] = &["sqlite3", "cpython"];

pub(crate) fn run() -> Outcome {
    let mut steps = Steps::default();
    for (program, tests) in SCENARIOS {
        steps.step(&format!("corpus: {program}"), || corpus::build(program).map(drop));
        steps.step(program, || test(tests, Which::Ignored));
    }
    steps.finish()
}

pub(crate) fn run_soundness() -> Outcome {
    let mut steps = Steps::default();
    steps.step("packages", || packages::ensure(packages::FOR_TESTS));
    for program in SOUND {
        steps.step(&format!("corpus: {program}"), || corpus::build(program).map(drop));
    }
    steps.step("soundness", || test("soundness", Which::All));
    steps.finish()
}

/// Which tests of a file are run. Those ignored elsewhere are in the skip
/// ledger.
#[derive(Clone, Copy)]
enum Which {
    Ignored,
    /// All, optimised, and what they say is shown.
    All,
}

fn test(file: &str, which: Which) -> Outcome {
    let (profile, chosen): (&[&str], &[&str]) = match which {
        Which::Ignored => (&[], &["--ignored"]),
        Which::All => (&["--release"], &["--include-ignored", "--nocapture"]),
    };
    let cargo = ["cargo", "test", "--package", "trapline", "--test", file];
    call(command(&cargo).args(profile).args(["--", "--test-threads=1"]).args(chosen))
}
