//! The house rules that no compiler knows, one module each: crate edges, module
//! docs, orphan files, sizes, the skip ledger, where `unsafe` and the operating
//! system may appear, and names of machines.
//!
//! Each check is a pure function from sources (or from cargo's metadata) to
//! findings. They run as ordinary tests too, so `cargo test` holds the rules.

mod docs;
mod edges;
mod functions;
mod lexical;
mod manifests;
mod orphans;
mod os;
mod places;
mod sizes;
mod skips;
mod sources;
mod unsafety;

use std::fmt;

use serde_json::Value;

use crate::Outcome;
use crate::steps::{command, output};
use sources::Source;

/// One broken rule at one place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Finding {
    /// Path from the root of the checkout.
    path: String,
    /// Counted from 1; 0 for the whole file.
    line: usize,
    why: String,
}

impl Finding {
    fn at(source: &Source, line: usize, why: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, why: why.into() }
    }

    fn about(path: &str, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, why: why.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.why),
            line => write!(f, "{}:{line}: {}", self.path, self.why),
        }
    }
}

/// Prints every finding, and the functions worth a second look; fails when a
/// rule is broken.
pub(crate) fn run() -> Outcome {
    let sources = sources::all()?;
    for note in functions::long_ones(&sources) {
        println!("note: {note}");
    }
    let findings = check(&sources, &metadata()?)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("tidy: {count} findings")),
    }
}

fn check(sources: &[Source], metadata: &Value) -> Result<Vec<Finding>, String> {
    let ledger = sources::read_ledger()?;
    let mut findings = edges::check(metadata);
    findings.extend(manifests::check(metadata, sources));
    findings.extend(docs::check(sources));
    findings.extend(orphans::check(sources));
    findings.extend(sizes::check(sources));
    findings.extend(functions::check(sources));
    findings.extend(skips::check(sources, &ledger));
    findings.extend(unsafety::check(sources));
    findings.extend(os::check(sources));
    findings.extend(places::check(sources));
    findings.sort();
    Ok(findings)
}

fn metadata() -> Result<Value, String> {
    let words = ["cargo", "metadata", "--no-deps", "--format-version=1"];
    let text = output(&mut command(&words))?;
    serde_json::from_str(&text).map_err(|why| format!("cargo metadata: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one module's check on one file and compares how much it finds.
    #[track_caller]
    pub(super) fn check_file(
        check: fn(&[Source]) -> Vec<Finding>,
        path: &str,
        text: &str,
        findings: usize,
    ) {
        assert_eq!(check(&[Source::new(path, text)]).len(), findings, "{path}: {text}");
    }

    #[test]
    fn the_checkout_is_tidy() {
        let findings = check(&sources::all().unwrap(), &metadata().unwrap()).unwrap();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
