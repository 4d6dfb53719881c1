//! lldb through our server, beside lldb with its own: the same commands, and the
//! same answers but for where things lie.

use std::process::Command;
use std::time::Duration;

use regex::Regex;
use trapline_testkit::run::run;
use trapline_testkit::{Debuggee, Finished};

const PATIENCE: Duration = Duration::from_secs(120);

/// What lldb prints with one server or the other, which it starts itself.
fn session(server: Option<&str>, debuggee: &Debuggee, commands: &[&str]) -> Finished {
    let mut lldb = Command::new("lldb-19");
    lldb.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
    lldb.args(["-b", "--no-lldbinit", "-O", "settings set target.disable-aslr true"]);
    if let Some(server) = server {
        lldb.env("LLDB_DEBUGSERVER_PATH", server);
    }
    for command in commands {
        lldb.args(["-o", command]);
    }
    run(lldb.arg(&debuggee.path), PATIENCE)
}

fn comparable(text: &str) -> String {
    let rules = [
        (r"Process \d+", "Process N"),
        (r"tid = \d+", "tid = N"),
        (r"0x0*7ff[0-9a-f]+", "ADDRESS"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, by)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *by).into_owned()
    })
}

#[track_caller]
fn check(name: &str, commands: &[&str]) {
    let debuggee = Debuggee::build(name);
    let theirs = session(None, &debuggee, commands);
    let ours = session(Some(env!("CARGO_BIN_EXE_trapline")), &debuggee, commands);
    let (expected, actual) = (comparable(&theirs.stdout), comparable(&ours.stdout));
    assert!(expected.lines().count() > 2 * commands.len(), "lldb said too little:\n{expected}");
    assert!(
        expected == actual,
        "{}\n--- errors with its own\n{}\n--- errors through us\n{}",
        trapline_testkit::golden::diff(&expected, &actual),
        theirs.stderr,
        ours.stderr
    );
}

#[test]
fn breakpoints_steps_and_frames() {
    check(
        "walks",
        &[
            "breakpoint set --name factorial",
            "run",
            "bt",
            "continue",
            "frame variable",
            "next",
            "step",
            "finish",
            "thread step-inst",
            "thread step-inst-over",
            "breakpoint modify --condition 'number == 2' 1",
            "continue",
            "frame variable number",
            "breakpoint delete 1",
            "breakpoint set --name loops",
            "continue",
            "thread until 60",
            "kill",
        ],
    );
}

#[test]
fn registers_memory_and_images() {
    check(
        "walks",
        &[
            "breakpoint set --name factorial",
            "run",
            "register read rip rax rdi",
            "register write rax 0x1234",
            "register read rax",
            "expression number",
            "expression number = 3",
            "expression number * 2",
            "memory read --size 4 --count 1 --format x &number",
            "disassemble --count 4",
            "image list -b",
            "kill",
        ],
    );
}

#[test]
fn watchpoints() {
    check(
        "watched_globals",
        &[
            "breakpoint set --name main",
            "run",
            "watchpoint set variable globals.four",
            "watchpoint list",
            "continue",
            "bt 1",
            "watchpoint delete 1",
            "kill",
        ],
    );
}
