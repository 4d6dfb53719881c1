//! `x` shows memory as gdb shows it, and what is too large to be read as a
//! whole has an address and a type.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::process::Command;

use support::gdb::Gdb;
use support::said::check_ours;
use trapline_testkit::Debuggee;

const SEPARATOR: &str = "==\n";

/// What debuggers say to commands, without the names of addresses.
fn parts(told: &str) -> Vec<String> {
    let unnamed = |line: &str| match line.split_once(':') {
        Some((address, shown)) => {
            format!("{}:{shown}\n", address.split(" <").next().unwrap_or_default())
        }
        None => format!("{line}\n"),
    };
    told.split(SEPARATOR).skip(1).map(|part| part.lines().map(unnamed).collect()).collect()
}

/// Checks that commands, in this order, say at a place what gdb's say.
#[track_caller]
fn check(debuggee: &Debuggee, lines: &[&str]) {
    let place = debuggee.mark("look").spec();
    let mut script = vec![format!("break {place}"), "run".to_owned()];
    script.extend(lines.iter().flat_map(|line| ["echo ==\\n".to_owned(), (*line).to_owned()]));
    let mut ours = Command::new(env!("CARGO_BIN_EXE_trapline"));
    ours.args(["run", "--batch"]);
    let mut gdb = Gdb::new();
    for line in &script {
        ours.arg("-e").arg(line);
        gdb.say(line);
    }
    let ours = ours.arg("--").arg(&debuggee.path).output().unwrap();
    let (ours, gdbs) =
        (parts(std::str::from_utf8(&ours.stderr).unwrap()), parts(&gdb.told(debuggee, &[])));
    assert_eq!((ours.len(), gdbs.len()), (lines.len(), lines.len()), "{ours:#?} {gdbs:#?}");
    for ((line, ours), gdbs) in lines.iter().zip(&ours).zip(&gdbs) {
        // Of the program that gdb kills it says so behind the last.
        assert!(!ours.is_empty() && gdbs.starts_with(ours.as_str()), "{line}: {ours} {gdbs}");
    }
}

#[test]
fn a_letter_chooses_the_size_that_nobody_named() {
    let shown = [
        "x/2xg longs",
        "x/3c letters",
        "x/2x longs",
        "x/2xg longs",
        "x/2x",
        "x/2xh longs",
        "x/3f tiny",
        "x/2xw longs",
        "x/2f small",
        "x/2fg tiny",
        "x/s letters",
        "x/2x longs",
    ];
    check(&Debuggee::build("examined_memory"), &shown);
}

#[test]
fn strings_have_characters_of_each_width() {
    let shown = [
        "x/s letters",
        "x/hs wide",
        "x/2hs wide",
        "x/s wide",
        "x/ws wider",
        "x/2bs letters",
        "x/s spoken",
    ];
    check(&Debuggee::build("examined_memory"), &shown);
}

#[test]
fn what_nobody_reads_as_a_whole_has_an_address_and_a_type() {
    let debuggee = Debuggee::build("examined_memory");
    check(&debuggee, &["x/4xb big", "x/s big", "x/2c &big[4]", "whatis big", "ptype big"]);
    check_ours(&debuggee, "look", &[("print sizeof(big)", "$1 = 100000000")]);
}
