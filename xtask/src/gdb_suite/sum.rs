//! What one file of tests came to: the lines of DejaGnu's `.sum` file.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a line may start with, in the order in which counts are shown.
const KINDS: &[&str] = &[
    "PASS",
    "FAIL",
    "XPASS",
    "XFAIL",
    "KPASS",
    "KFAIL",
    "UNRESOLVED",
    "UNTESTED",
    "UNSUPPORTED",
    "DUPLICATE",
    "PATH",
    "ERROR",
    "WARNING",
];

/// What stands for "the file ended by itself" among the tests that passed: a
/// server that keeps gdb waiting at the very end fails no other.
pub(super) const ENDED: &str = "(the file ends in time)";

/// One run of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Results {
    /// The kind and the name of each test, in the order of the run.
    lines: Vec<(&'static str, String)>,
    /// Whether it ran out of time.
    pub(super) hung: bool,
    pub(super) took: Duration,
}

impl Results {
    pub(super) fn parse(sum: &str, hung: bool, took: Duration) -> Self {
        Self { lines: sum.lines().filter_map(line).collect(), hung, took }
    }

    /// How often each test passed: names may repeat.
    pub(super) fn passes(&self) -> BTreeMap<String, usize> {
        let passed = self.lines.iter().filter(|(kind, _)| *kind == "PASS");
        let names = passed.map(|(_, name)| name.clone());
        let mut passes = BTreeMap::new();
        for name in names.chain((!self.hung).then(|| ENDED.to_owned())) {
            *passes.entry(name).or_default() += 1;
        }
        passes
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (kind, _) in &self.lines {
            counts.add(kind, 1);
        }
        if self.hung {
            counts.add("hung", 1);
        }
        counts
    }
}

/// A line `KIND: gdb.base/break.exp: NAME`; errors and warnings name no file.
fn line(line: &str) -> Option<(&'static str, String)> {
    let (word, rest) = line.split_once(": ")?;
    let kind = KINDS.iter().copied().find(|kind| *kind == word)?;
    let name = match rest.split_once(": ") {
        Some((file, name)) if file.ends_with(".exp") => name,
        _ => rest,
    };
    Some((kind, stable(name)))
}

/// A name without what differs from run to run and between servers: ports,
/// and addresses among libraries, where a server may have memory of its own.
fn stable(name: &str) -> String {
    let name = masked(name, "localhost:", "PORT", |c| c.is_ascii_digit());
    masked(&name, "0x", "ADDRESS", |c| c.is_ascii_hexdigit())
}

/// The text with `word` in the place of the digits after each `mark`.
fn masked(text: &str, mark: &str, word: &str, is_digit: fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str(mark);
        let rest = part.trim_start_matches(is_digit);
        masked.push_str(if rest.len() < part.len() { word } else { "" });
        masked.push_str(rest);
    }
    masked
}

/// How many lines of each kind, and how many files hung.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Counts(BTreeMap<&'static str, usize>);

impl Counts {
    fn add(&mut self, kind: &'static str, count: usize) {
        *self.0.entry(kind).or_default() += count;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(kind, count)| self.add(kind, *count));
    }

    fn of(&self, kind: &str) -> usize {
        self.0.get(kind).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = KINDS.iter().chain(&["hung"]).filter(|kind| self.of(kind) > 0);
        let parts: Vec<String> = shown.map(|kind| format!("{} {kind}", self.of(kind))).collect();
        f.pad(&if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "Running target native-gdbserver\n\
        PASS: gdb.base/a.exp: continue\n\
        PASS: gdb.base/a.exp: continue\n\
        FAIL: gdb.base/a.exp: x: y (timeout)\n\
        ERROR: tcl error sourcing a.exp.\n\
        \t\t=== gdb Summary ===\n\
        # of expected passes\t\t2\n";

    fn parsed(hung: bool) -> Results {
        Results::parse(SUM, hung, Duration::ZERO)
    }

    #[test]
    fn lines_are_told_apart_and_lose_their_file() {
        let wanted = [
            ("PASS", "continue"),
            ("PASS", "continue"),
            ("FAIL", "x: y (timeout)"),
            ("ERROR", "tcl error sourcing a.exp."),
        ];
        assert_eq!(parsed(false).lines, wanted.map(|(kind, name)| (kind, name.to_owned())));
        assert_eq!(parsed(false).counts().to_string(), "2 PASS, 1 FAIL, 1 ERROR");
    }

    #[test]
    fn a_repeated_name_counts_each_time_and_the_end_counts_too() {
        let passes = parsed(false).passes();
        assert_eq!(passes.get("continue"), Some(&2));
        assert_eq!(passes.get(ENDED), Some(&1));
        assert_eq!(parsed(true).passes().get(ENDED), None);
        assert_eq!(parsed(true).counts().to_string(), "2 PASS, 1 FAIL, 1 ERROR, 1 hung");
    }

    #[test]
    fn ports_and_addresses_are_no_part_of_a_name() {
        assert_eq!(stable("connect to localhost:2346, again"), "connect to localhost:PORT, again");
        assert_eq!(stable("print 2346"), "print 2346");
        assert_eq!(stable("break *0x7ffff7e69351 if 0"), "break *0xADDRESS if 0");
        assert_eq!(stable("print 0xq"), "print 0xq");
    }

    #[test]
    fn counts_add_up() {
        let mut sum = Counts::default();
        assert_eq!(sum.to_string(), "nothing");
        sum.merge(&parsed(true).counts());
        sum.merge(&parsed(false).counts());
        assert_eq!(sum.to_string(), "4 PASS, 2 FAIL, 2 ERROR, 1 hung");
    }
}
