//! What commands say where a program stands: ours beside gdb's. And how often
//! conditions hold there.

use std::process::Command;

use trapline_testkit::{Debuggee, run};

use super::Driver;
use super::beside::PATIENCE;
use super::gdb::Gdb;

/// What stands between what two commands said.
const MARK: &str = "==";

/// Checks that commands say at a mark what gdb's say, in their order.
#[track_caller]
pub fn check(debuggee: &Debuggee, mark: &str, lines: &[&str]) {
    let (ours, gdbs) = (ours(debuggee, mark, lines), gdbs(debuggee, mark, lines));
    assert_eq!((ours.len(), gdbs.len()), (lines.len(), lines.len()), "{ours:#?} {gdbs:#?}");
    for ((line, ours), gdbs) in lines.iter().zip(&ours).zip(&gdbs) {
        assert!(!gdbs.is_empty() || line.starts_with("set "), "gdb refuses {line}");
        assert_eq!(ours, gdbs, "{line}");
    }
}

/// Checks what ours alone say, each command in a run of its own.
#[track_caller]
pub fn check_ours(debuggee: &Debuggee, mark: &str, rows: &[(&str, &str)]) {
    for (line, expected) in rows {
        assert_eq!(ours(debuggee, mark, &[line]), [comparable(expected)], "{line}");
    }
}

/// The last line of what a command of ours says.
#[track_caller]
pub fn last_of(debuggee: &Debuggee, mark: &str, line: &str) -> String {
    let told = ours(debuggee, mark, &[line]);
    told[0].lines().last().unwrap_or_default().to_owned()
}

/// Checks how often conditions hold at marks, decided by the program and by us.
#[track_caller]
pub fn check_hits(debuggee: &Debuggee, rows: &[(&str, &str, u64)]) {
    for mechanism in ["-jump", "-trap"] {
        let mut driver = Driver::launching(debuggee, &[]);
        driver.as_written();
        // Hits are counted and nothing stops.
        let set = |(mark, condition, _): &(&str, &str, u64)| {
            let place = debuggee.mark(mark).spec();
            driver.break_at(&format!("{mechanism} -hits '== 1000000000' {place} if {condition}"))
        };
        let ids: Vec<_> = rows.iter().map(set).collect();
        driver.run();
        driver.go_to_end();
        for (id, (_, condition, hits)) in ids.into_iter().zip(rows) {
            let tally = driver.tally(id);
            assert_eq!((tally.hits, tally.errors), (*hits, 0), "{mechanism} {condition}");
        }
        driver.quit();
    }
}

fn script(debuggee: &Debuggee, mark: &str, lines: &[&str]) -> Vec<String> {
    let between = || format!("echo {MARK}\\n");
    let mut script = vec![format!("break {}", debuggee.mark(mark).spec()), "run".to_owned()];
    script.extend(lines.iter().flat_map(|line| [between(), (*line).to_owned()]));
    script.push(between());
    script
}

fn ours(debuggee: &Debuggee, mark: &str, lines: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trapline"));
    command.args(["run", "--batch"]);
    for line in script(debuggee, mark, lines) {
        command.arg("-e").arg(line);
    }
    parts(&run(command.arg("--").arg(&debuggee.path), PATIENCE).stderr)
}

fn gdbs(debuggee: &Debuggee, mark: &str, lines: &[&str]) -> Vec<String> {
    let mut gdb = Gdb::new();
    for line in script(debuggee, mark, lines) {
        gdb.say(&line);
    }
    let mut parts = parts(&gdb.told(debuggee, &[]));
    // What it says of the program that it kills.
    parts.truncate(lines.len());
    parts
}

fn parts(told: &str) -> Vec<String> {
    let separator = format!("{MARK}\n");
    let mut parts: Vec<String> = told.split(&separator).skip(1).map(comparable).collect();
    if parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    parts
}

/// Text without the addresses of stacks, which depend on the surroundings, and
/// without the tags of types, which C++ may leave out. gdb names functions with
/// their parameters, and types of integers in a way of its own.
fn comparable(text: &str) -> String {
    let mut parts = text.trim_end().split("0x7ff");
    let first = parts.next().unwrap_or_default().to_owned();
    let digits = |part: &str| part.trim_start_matches(|it: char| it.is_ascii_hexdigit()).to_owned();
    let text = parts.fold(first, |told, part| told + "STACK" + &digits(part));
    let text = without_parameters(&text);
    let plain = ["struct ", "class ", "enum "].iter().fold(text, |text, tag| text.replace(tag, ""));
    let integers =
        [("long unsigned int", "unsigned long"), ("long int", "long"), ("short int", "short")];
    integers.iter().fold(plain, |text, (ours, gdbs)| text.replace(ours, gdbs))
}

/// Text without what stands in parentheses within the `<...>` behind addresses.
fn without_parameters(text: &str) -> String {
    let mut parts = text.split(" <");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| {
        let symbol = part.find('>').map_or("", |end| &part[..end]);
        let kept = symbol.split('(').next().unwrap_or_default();
        told + " <" + kept + &part[symbol.len()..]
    })
}
