//! `cargo xtask test`: every check and every test, in the order in which they
//! are cheap.

use std::process::Command;

use crate::steps::{Steps, call, command, output};
use crate::{Outcome, corpus, packages, tidy};

/// How much to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What stands between an edit and a commit.
    Quick,
    /// What stands between a commit and everybody else.
    Full,
}

pub(crate) fn run(extent: Extent) -> Outcome {
    let mut steps = Steps::default();
    if extent == Extent::Full {
        steps.step("packages", || packages::ensure(packages::FOR_TESTS));
        for program in ["sqlite3", "ninja", "just"] {
            steps.step(&format!("corpus: {program}"), || corpus::build(program).map(drop));
        }
    }
    steps.step("format", || cargo(&["fmt", "--all", "--check"]));
    steps.step("tidy", tidy::run);
    steps.step("lints", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
    });
    if extent == Extent::Full {
        steps.step("licences, bans, sources", deny);
        steps.step("documentation", document);
        // They are no members of the workspace, and share sources with its tests.
        steps.step("fuzz targets", || {
            cargo(&["check", "--manifest-path", "fuzz/Cargo.toml", "--quiet"])
        });
        steps.step("build", || cargo(&["build", "--workspace", "--all-targets", "--quiet"]));
    }
    steps.step("tests", || test(extent));
    if extent == Extent::Full {
        steps.step("documentation tests", || cargo(&["test", "--workspace", "--doc", "--quiet"]));
    }
    steps.finish()
}

fn cargo(words: &[&str]) -> Outcome {
    call(command(&["cargo"]).args(words))
}

/// Compiles the tool on first use: under three minutes on two cores, once per
/// machine.
fn deny() -> Outcome {
    if !has_subcommand("deny") {
        cargo(&["install", "cargo-deny", "--locked", "--quiet"])?;
    }
    let check = ["deny", "--log-level", "error", "check", "--hide-inclusion-graph"];
    cargo(&[&check[..], &["licenses", "bans", "sources"]].concat())
}

fn document() -> Outcome {
    let mut doc = command(&["cargo", "doc", "--workspace", "--no-deps", "--quiet"]);
    call(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// A process per test where nextest is present; else cargo's own runner, with
/// one thread since tracing tests must not share a process at once.
fn test(extent: Extent) -> Outcome {
    if !has_subcommand("nextest") {
        println!("cargo-nextest is not installed: tests of one crate share a process");
        return cargo(&["test", "--workspace", "--all-targets", "--", "--test-threads=1"]);
    }
    let profile = if extent == Extent::Quick { "quick" } else { "default" };
    cargo(&["nextest", "run", "--workspace", "--profile", profile])
}

fn has_subcommand(name: &str) -> bool {
    let mut probe: Command = command(&["cargo", name, "--version"]);
    output(&mut probe).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subcommand_is_found_by_asking_it() {
        assert!(has_subcommand("clippy"));
        assert!(!has_subcommand("no-such-subcommand"));
    }
}
