//! `cargo xtask scenarios`: the tests on programs of the corpus that take too
//! long to build for every check. Those on sqlite3 and CPython are in `test`.

use crate::steps::{Steps, call, command};
use crate::{Outcome, corpus};

/// A program of the corpus and the file of the tests on it.
const SCENARIOS: &[(&str, &str)] = &[("git", "scenarios_git"), ("redis", "scenarios_redis")];

pub(crate) fn run() -> Outcome {
    let mut steps = Steps::default();
    for (program, tests) in SCENARIOS {
        steps.step(&format!("corpus: {program}"), || corpus::build(program).map(drop));
        steps.step(program, || test(tests));
    }
    steps.finish()
}

/// The tests are ignored elsewhere; see the skip ledger.
fn test(file: &str) -> Outcome {
    let cargo = ["cargo", "test", "--package", "trapline", "--test", file];
    call(command(&cargo).args(["--", "--ignored", "--test-threads=1"]))
}
