//! Input that cannot be debugged gets one clear line that names it and says
//! what to do, and the exit code of an error of ours; a wrong command line has
//! one of its own.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use trapline_testkit::leaks::{carriers, tracer};
use trapline_testkit::run::MARKER;
use trapline_testkit::{Background, Debuggee, run};

/// A folder with damaged copies of a good program.
struct Damaged {
    folder: PathBuf,
    good: Vec<u8>,
}

impl Damaged {
    fn new(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, good: std::fs::read(Debuggee::build("recursion").path).unwrap() }
    }

    /// A file with these bytes that may be executed, or not.
    fn file(&self, name: &str, bytes: &[u8], mode: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap().to_owned();
        assert!(Command::new("chmod").args([mode, &path]).status().unwrap().success());
        path
    }

    /// The good program with one byte changed.
    fn with(&self, name: &str, at: usize, byte: u8) -> String {
        let mut bytes = self.good.clone();
        bytes[at] = byte;
        self.file(name, &bytes, "755")
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        // Litter in the build folder is no reason to fail a test.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[track_caller]
fn check(args: &[&str], code: i32, expected: &[&str]) {
    let program = env!("CARGO_BIN_EXE_trapline");
    let ran = run(Command::new(program).args(args), Duration::from_secs(20));
    assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", ran.stderr);
    for part in expected {
        assert!(ran.stderr.contains(part), "{args:?}: {part} in {}", ran.stderr);
    }
    if code == 1 {
        assert_eq!(ran.stderr.lines().count(), 1, "{args:?}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn programs_that_cannot_be_run_are_named_with_the_reason() {
    let damaged = Damaged::new("bad-programs");
    let refused = |path: &str, expected: &str| {
        check(&["run", "--batch", "--", path], 1, &[path, expected]);
    };
    refused("/no/such/program", "no such file");
    refused("/tmp", "it is a directory");
    refused(&damaged.file("plain", &damaged.good, "644"), "not an executable");
    refused(&damaged.file("script", b"#!/bin/sh\necho hi\n", "755"), "script");
    refused(&damaged.file("text", b"hello, world, this is text\n", "755"), "not an ELF");
    refused(&damaged.file("empty", b"", "755"), "ELF");
    refused(&damaged.with("arm", 18, 0xb7), "AArch64");
    refused(&damaged.with("narrow", 4, 1), "32-bit");
    for len in [10, 64, 400, 9000] {
        let path = damaged.file(&format!("cut{len}"), &damaged.good[..len], "755");
        refused(&path, "truncated or corrupt");
    }
}

#[test]
fn damage_anywhere_in_a_program_never_panics_or_hangs() {
    let damaged = Damaged::new("flipped");
    let sections = damaged.good.len();
    for step in 0..24 {
        let at = 64 + step * (sections - 64) / 24;
        let mut bytes = damaged.good.clone();
        for byte in bytes.iter_mut().skip(at).take(40) {
            *byte ^= 0x5a;
        }
        let path = damaged.file(&format!("flip{step}"), &bytes, "755");
        let mut command = Command::new(env!("CARGO_BIN_EXE_trapline"));
        command.args(["run", "--batch", "--auto-continue", "-b", "add_down", "--", &path, "3"]);
        let ran = run(&mut command, Duration::from_secs(30));
        assert!(!ran.stderr.contains("panicked"), "{at}: {}", ran.stderr);
        assert!(ran.status.code().is_some(), "{at}: {:?} {}", ran.status, ran.stderr);
    }
}

#[test]
fn processes_that_cannot_be_attached_are_named_with_the_reason() {
    check(&["attach", "--batch", "2147483646"], 1, &["2147483646", "no such process"]);
    // A process that somebody debugs already, and the debugger itself.
    let program = Debuggee::build("self_reading").path;
    let traced = Background::spawn_waiting(
        Command::new(env!("CARGO_BIN_EXE_trapline"))
            .args(["run", "--batch", "--"])
            .arg(&program)
            .arg("wait"),
    );
    traced.wait_for("ready", Duration::from_secs(20));
    let pid =
        carriers(MARKER, traced.marker()).into_iter().find(|&pid| tracer(pid).is_some()).unwrap();
    check(&["attach", "--batch", &pid.to_string()], 1, &["traces it already"]);
    let own = "exec \"$0\" attach --batch $$";
    let mut shell = Command::new("sh");
    shell.args(["-c", own, env!("CARGO_BIN_EXE_trapline")]);
    let ran = run(&mut shell, Duration::from_secs(20));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot attach to process"), "{}", ran.stderr);
}

#[test]
fn breakpoints_that_cannot_be_set_are_named_with_the_reason() {
    let program = Debuggee::build("recursion").path;
    let program = program.to_str().unwrap();
    let refused = |flag: &str, spec: &str, expected: &[&str]| {
        let ran = run(
            Command::new(env!("CARGO_BIN_EXE_trapline"))
                .args(["run", "--batch", flag, spec, "--", program]),
            Duration::from_secs(20),
        );
        assert_eq!(ran.status.code(), Some(1), "{spec}: {}", ran.stderr);
        for part in expected {
            assert!(ran.stderr.contains(part), "{spec}: {part} in {}", ran.stderr);
        }
    };
    refused("-b", "main if (", &["expected an expression"]);
    refused("-b", "main if nosuch == 1", &["nosuch"]);
    refused("-b", "recursion.c:0", &["counted from 1"]);
    refused("-w", "nosuch", &["nosuch"]);
    refused("-w", "*0x10@4", &["0x10"]);
}

#[test]
fn a_wrong_command_line_has_an_exit_code_of_its_own() {
    check(&[], 2, &["Usage"]);
    check(&["run"], 2, &["Usage"]);
    check(&["run", "--nonesuch", "/bin/true"], 2, &["--nonesuch"]);
    check(&["attach", "one"], 2, &["one"]);
    check(&["attach"], 2, &["Usage"]);
}
