//! The project's own commands, run as `cargo xtask COMMAND`: one per module,
//! each callable on its own. Nothing here ships.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks")]

mod bench;
mod corpus;
mod debian;
mod fuzz;
mod gdb_suite;
mod packages;
mod scenarios;
mod steps;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test [--quick]              every check and test; --quick: format, lints, tidy, quick tests
  tidy                        the house rules that no compiler knows
  corpus [--only NAME] [--list]
                              build the real programs that are measured on
  scenarios                   debug git and redis at work; builds them first
  soundness                   run CPython's own tests with a jump at every statement;
                              builds it first
  gdb-suite [--server PATH]... [--board NAME] [--only PATTERN] [--jobs N]
                              run gdb's own tests against the stock gdbserver and
                              ours, or others (the first is the measure)
  fuzz NAME SECONDS           run one fuzz target
  bench [--only NAME] [--runs N] [--json FILE] [--list]
                              measure, beside the peers
  bench conditions [--runs N] [--json FILE]
                              what a false condition costs a pass, to the nanosecond
  bench symbols | remote [--only NAME] [--runs N] [--json FILE]
                              large programs; gdb through our server
";

/// What a command ends with: a message for the user when it failed.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Outcome {
    match words {
        [] | ["help"] | [.., "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["test"] => test::run(test::Extent::Full),
        ["test", "--quick"] => test::run(test::Extent::Quick),
        ["tidy"] => tidy::run(),
        ["corpus", rest @ ..] => corpus::run(rest),
        ["scenarios"] => scenarios::run(),
        ["soundness"] => scenarios::run_soundness(),
        ["gdb-suite", rest @ ..] => gdb_suite::run(rest),
        ["fuzz", name, seconds] => fuzz::run(name, seconds),
        ["bench", rest @ ..] => bench::run(rest),
        _ => Err(format!("not a command: {}\n\n{USAGE}", words.join(" "))),
    }
}
