//! `trapline coverage`: every place is counted once, whatever serves it, and
//! what is left is explained.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use trapline_testkit::{Build, Linkage};

fn coverage(path: &Path, options: &[&str]) -> Output {
    let mut trapline = Command::new(env!("CARGO_BIN_EXE_trapline"));
    trapline.arg("coverage").args(options).arg(path).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn object(path: &Path, options: &[&str]) -> Value {
    let ran = coverage(path, options);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// Whether the parts of a table make up all places.
fn check_sums(part: &Value, places: u64) {
    let [whole, pun, window, trap, in_process] =
        ["whole", "pun", "window", "trap", "in_process"].map(|name| number(&part[name]));
    assert_eq!(whole + pun + window, in_process, "{part}");
    assert_eq!(in_process + trap, places, "{part}");
    let reasons = part["reasons"].as_array().unwrap().iter();
    assert_eq!(reasons.map(|reason| number(&reason["count"])).sum::<u64>(), trap, "{part}");
}

#[test]
fn every_place_is_counted_once() {
    let check = |linkage: Linkage, least: f64| {
        let program = Build::new("demo_bank").linkage(linkage).build();
        for places in ["--statements", "--instructions"] {
            let found = object(&program.path, &["--json", "--all-at-once", places]);
            let count = number(&found["count"]);
            let alone = &found["one_at_a_time"];
            check_sums(alone, count);
            check_sums(&found["all_at_once"], count);
            let share = number(&alone["in_process"]) as f64 / count as f64;
            assert!(share >= least, "{linkage:?} {places}: {found}");
        }
    };
    check(Linkage::Pie, 0.95);
    check(Linkage::Fixed, 0.9);
}

#[test]
fn a_shared_object_is_loaded_where_the_loader_puts_it() {
    let library = Build::new("plugin").linkage(Linkage::Library).build();
    let found = object(&library.path, &["--json"]);
    let layout = found["layout"].as_str().unwrap();
    assert!(layout.starts_with("a shared object"), "{layout}");
    check_sums(&found["one_at_a_time"], number(&found["count"]));
}

#[test]
fn every_place_is_listed_with_what_would_serve_it() {
    let program = Build::new("demo_bank").linkage(Linkage::Fixed).build();
    let ran = coverage(&program.path, &["--list", "--tactics", "whole"]);
    let said = text(&ran.stdout);
    let found = object(&program.path, &["--json", "--tactics", "whole"]);
    let alone = &found["one_at_a_time"];
    let count = |part: &str| said.lines().filter(|line| line.contains(part)).count() as u64;
    let served = said.lines().filter(|line| line.ends_with(" whole")).count() as u64;
    assert_eq!(said.lines().count() as u64, number(&found["count"]), "{said}");
    assert_eq!(served, number(&alone["whole"]), "{said}");
    assert_eq!(count(" trap: "), number(&alone["trap"]), "{said}");
    assert_eq!(count("pun: it is switched off by `set jump-tactics`"), count(" trap: "), "{said}");
}

#[test]
fn what_cannot_be_measured_is_said_in_a_line() {
    let check = |path: &str, expected: &str| {
        let ran = coverage(Path::new(path), &[]);
        let said = text(&ran.stderr);
        assert_eq!((ran.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(ran.stdout.is_empty());
    };
    check("/no/such", "/no/such");
    check("/etc/passwd", "/etc/passwd");
    check("/bin/true", "has no line information");
}
