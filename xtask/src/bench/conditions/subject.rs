//! The subject: how it is built, started and read. It bounds its own time, so
//! that a pass may take two nanoseconds or a millisecond.

use std::path::Path;
use std::process::Command;

use trapline_testkit::{Build, Debuggee, Linkage};

use super::row::{Row, Who};
use crate::bench::subject::timed;

/// The file in `debuggees/`.
const NAME: &str = "conditions";

/// What one run tells.
pub(super) struct Sample {
    /// Nanoseconds that a thread took for a pass.
    pub(super) ns_per_pass: f64,
    /// All calls, of all threads, also those made to calibrate.
    pub(super) calls: u64,
    /// How the condition was served, where that is not plain.
    pub(super) served: Option<String>,
}

/// The bare program, or with the row's condition compiled in.
pub(super) fn sample(row: &Row) -> Result<Sample, String> {
    let build = build(Linkage::Pie);
    let built = match row.who {
        Who::CompiledIn => {
            let condition = row.condition.in_c(row.place);
            build.flag(&format!("-D{}={condition}", row.place.macro_name())).build()
        }
        _ => build.build(),
    };
    read(&timed(&mut alone(&built, row), PROOF)?.stdout)
}

/// The program with no debugger, but at the addresses where debuggers start it:
/// where code and stack are moves predictions by more than a comparison costs.
pub(super) fn alone(built: &Debuggee, row: &Row) -> Command {
    let mut command = Command::new("setarch");
    command.arg("--addr-no-randomize").arg(&built.path);
    with_arguments(&mut command, row);
    command
}

/// The program without a condition.
pub(super) fn bare(linkage: Linkage) -> Debuggee {
    build(linkage).build()
}

/// Loops are aligned so that a change elsewhere does not move the figures.
fn build(linkage: Linkage) -> Build {
    Build::new(NAME).linkage(linkage).flag("-O2").flag("-falign-loops=64")
}

/// Adds what the subject is to do for a row.
pub(super) fn with_arguments<'a>(command: &'a mut Command, row: &Row) -> &'a mut Command {
    command.args(arguments(row))
}

/// The function, the milliseconds, the threads.
pub(super) fn arguments(row: &Row) -> [String; 3] {
    [row.function.name().to_owned(), milliseconds(row.who).to_string(), row.threads.to_string()]
}

/// How long a run measures: long enough for a few hundred passes of the slowest.
const fn milliseconds(who: Who) -> u32 {
    match who {
        Who::Gdb => 300,
        Who::Lldb => 500,
        _ => 150,
    }
}

/// What every whole run prints.
pub(super) const PROOF: &str = "ns_per_pass=";

/// Finds the subject's own figures in an output.
pub(super) fn read(output: &str) -> Result<Sample, String> {
    let field = |name: &str| {
        let (_, after) = output.split_once(name)?;
        after.split_whitespace().next()
    };
    let calls = field("calls=").and_then(|text| text.parse().ok());
    let ns_per_pass = field(PROOF).and_then(|text| text.parse().ok());
    match (calls, ns_per_pass) {
        (Some(calls), Some(ns_per_pass)) => Ok(Sample { ns_per_pass, calls, served: None }),
        _ => Err(format!("the program did not say what a pass took: {output:?}")),
    }
}

/// The path as a word of a debugger's own command.
pub(super) fn word(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("not text: {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::conditions::place::{Condition, Function, Place};

    #[test]
    fn the_subjects_figures_are_found_among_other_output() {
        let sample = read("Breakpoint 1\ncalls=12 ns_per_pass=2.125\n[exited]\n").unwrap();
        assert_eq!((sample.calls, sample.ns_per_pass), (12, 2.125));
        assert!(read("calls=12 ").is_err());
    }

    #[test]
    fn no_condition_that_is_compiled_in_is_ever_true() {
        for function in Function::BOTH {
            for place in Place::BOTH {
                for condition in Condition::ALL {
                    let row = Row::new(Who::CompiledIn, function, place, condition);
                    let sample = sample(&row).unwrap_or_else(|why| panic!("{row}: {why}"));
                    assert!(sample.calls > 1000, "{row}");
                }
            }
        }
    }
}
