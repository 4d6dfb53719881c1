//! What is shown of source beside code, and of the variables at a place: the
//! lines, their order, names and lengths are gdb's.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::PATIENCE;
use support::gdb::Gdb;
use trapline_testkit::{Build, Debuggee, run};

/// What stands between the output of a program's run and that of a command.
const MARKER: &str = "==";

/// What we print at some commands.
fn ours(debuggee: &Debuggee, lines: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trapline"));
    command.args(["run", "--batch"]);
    lines.iter().for_each(|line| {
        command.arg("-e").arg(line);
    });
    command.args(["-e", "quit"]).arg(&debuggee.path);
    run(&mut command, PATIENCE).expect_success().stderr
}

/// gdb's.
fn gdbs(debuggee: &Debuggee, lines: &[String]) -> String {
    let mut gdb = Gdb::new();
    lines.iter().for_each(|line| {
        gdb.say(line);
    });
    gdb.told(debuggee, &[])
}

/// Files, lines and addresses in the order in which they are shown.
fn order(told: &str) -> Vec<String> {
    let (_, told) = told.split_once(MARKER).unwrap();
    let shown = told.lines().filter_map(|line| {
        let line = line.strip_prefix("=>").unwrap_or(line);
        let first = line.split_whitespace().next()?;
        if let Some(address) = first.strip_prefix("0x") {
            let digits = address.trim_end_matches(':');
            return Some(format!("@{:x}", u64::from_str_radix(digits, 16).unwrap()));
        }
        if let Some(file) = line.strip_suffix(':').filter(|_| !line.starts_with("Dump")) {
            return Some(Path::new(file).file_name()?.to_str()?.to_owned());
        }
        let (number, _) = line.split_once('\t')?;
        number.parse::<u32>().is_ok().then(|| number.to_owned())
    });
    shown.collect()
}

fn check_code(build: &Build, functions: &[&str], way: &str) {
    let debuggee = build.build();
    for function in functions {
        let shown = format!("disassemble /{way} {function}");
        let lines = ["tbreak main", "run", "echo ==\\n", &shown, "kill"].map(str::to_owned);
        let (ours, gdbs) = (order(&ours(&debuggee, &lines)), order(&gdbs(&debuggee, &lines)));
        assert!(gdbs.len() > 5, "{build:?} {function}: {gdbs:?}");
        assert_eq!(ours, gdbs, "{build:?} {function} /{way}");
    }
}

#[test]
fn lines_stand_before_their_code_as_in_gdb() {
    let build = Build::new("tail_calls");
    check_code(&build, &["main", "calls_all", "parts", "bottom"], "s");
    // Before other functions gdb shows an opening line that has no code left.
    check_code(&build.flag("-O1"), &["main", "calls_all"], "s");
    check_code(&Build::new("many_locals"), &["main", "bottom"], "s");
}

#[test]
fn code_stands_behind_its_lines_as_in_gdb() {
    check_code(&Build::new("tail_calls"), &["main", "calls_all", "parts", "bottom"], "m");
    check_code(&Build::new("many_locals"), &["main", "bottom"], "m");
}

/// The variables of a scope, each with its length where it is said.
fn variables(told: &str) -> BTreeMap<String, Option<u64>> {
    let mut found = BTreeMap::new();
    for symbol in told.split("Symbol ").skip(1) {
        if ["a label ", "a typedef", "a function "].iter().any(|other| symbol.contains(other)) {
            continue;
        }
        let name = symbol.split(" is ").next().unwrap().to_owned();
        let length = symbol.rsplit_once("length ").map(|(_, length)| length);
        let length = length.and_then(|it| it.split(['.', '\n']).next()?.parse().ok());
        found.insert(name, length);
    }
    found
}

fn check_scopes(build: &Build, locations: &[&str], marks: &[&str]) {
    let debuggee = build.build();
    let marks = marks.iter().map(|mark| debuggee.mark(mark).spec());
    for location in locations.iter().map(ToString::to_string).chain(marks) {
        let lines = [format!("info scope {location}")];
        let (ours, gdbs) = (ours(&debuggee, &lines), gdbs(&debuggee, &lines));
        let (mut seen, known) = (variables(&ours), variables(&gdbs));
        for (name, length) in &mut seen {
            // gdb leaves out how long what is in no place would be.
            *length = length.filter(|_| known.get(name).is_none_or(Option::is_some));
        }
        assert_eq!(seen, known, "{build:?} {location}\n{ours}\n{gdbs}");
    }
}

#[test]
fn the_variables_of_a_scope_are_gdbs() {
    let rows: [(&str, &[&str], &[&str]); 3] = [
        ("many_locals", &["bottom", "main"], &[]),
        ("tail_calls", &["calls_all", "inner", "keeps"], &["two_ways"]),
        ("hidden_arguments", &["hidden_by_a_block"], &["block"]),
    ];
    for (name, locations, marks) in rows {
        for build in Build::new(name).by_each(&["-O0", "-O2"]) {
            check_scopes(&build, locations, marks);
        }
    }
    check_scopes(&Build::new("inlined_calls").flag("-O2"), &["outer"], &["deepest", "middle"]);
    check_scopes(&Build::new("inlined_methods"), &["total"], &["operator", "lambda"]);
}

#[test]
fn where_a_variable_is_is_said_in_words() {
    let debuggee = Build::new("tail_calls").flag("-O2").build();
    let said = |location: &str| ours(&debuggee, &[format!("info scope {location}")]);
    let check = |location: &str, expected: &str| {
        let said = said(location);
        assert!(said.lines().any(|line| line == expected), "{expected} in {said}");
    };
    check("inner", "Symbol other is in $rsi, length 4.");
    check("keeps", "Symbol kept is in memory at $rsp-4, length 4.");
}
