//! gdb as a client of our server, beside gdb on its own: the same program, the
//! same commands, and what was printed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use trapline_testkit::run::run;
use trapline_testkit::{Debuggee, Finished};

pub const PATIENCE: Duration = Duration::from_secs(120);

/// Says that what follows is what the commands of a test printed.
const BEGIN: &str = "= BEGIN =";

/// A gdb that adds nothing of its own to the program's environment, with settings
/// made before the program is there.
fn quiet_gdb(before: &[&str]) -> Command {
    let mut gdb = Command::new("gdb");
    gdb.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("SHELL", "/bin/sh");
    gdb.args(["--quiet", "--batch", "--nx", "-iex", "set auto-load no"]);
    for setting in [
        "set debuginfod enabled off",
        "set width 0",
        "set sysroot /",
        "unset environment LINES",
        "unset environment COLUMNS",
    ] {
        gdb.args(["-iex", setting]);
    }
    for setting in before {
        gdb.args(["-ex", setting]);
    }
    gdb
}

fn finish(mut gdb: Command, commands: &[&str], debuggee: &Debuggee) -> Finished {
    gdb.args(["-ex", &format!("echo {BEGIN}\\n")]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.arg(&debuggee.path);
    run(&mut gdb, PATIENCE)
}

/// The command by which gdb reaches our server, which it starts itself.
pub fn target(debuggee: &Debuggee, args: &[&str]) -> String {
    let server = env!("CARGO_BIN_EXE_trapline");
    let program = debuggee.path.display();
    format!("target remote | {server} gdbserver --once - {program} {}", args.join(" "))
}

/// What gdb prints through our server: standard output, then errors.
pub fn through_us(
    debuggee: &Debuggee,
    args: &[&str],
    before: &[&str],
    commands: &[&str],
) -> Finished {
    let mut gdb = quiet_gdb(before);
    gdb.args(["-ex", &target(debuggee, args), "-ex", "break main", "-ex", "continue"]);
    finish(gdb, commands, debuggee)
}

/// What gdb prints on its own.
pub fn natively(
    debuggee: &Debuggee,
    args: &[&str],
    before: &[&str],
    commands: &[&str],
) -> Finished {
    let mut gdb = quiet_gdb(before);
    // Through us the program's output is the server's.
    let set = format!("set args {} > /dev/null", args.join(" "));
    gdb.args(["-ex", &set, "-ex", "break main", "-ex", "run"]);
    finish(gdb, commands, debuggee)
}

/// What gdb prints with a server that somebody started.
pub fn with_server(debuggee: &Debuggee, target: &str, commands: &[&str]) -> Finished {
    let mut gdb = quiet_gdb(&[]);
    gdb.args(["-ex", target]);
    finish(gdb, commands, debuggee)
}

/// What gdb prints about a core file.
pub fn with_core(debuggee: &Debuggee, core: &Path, commands: &[&str]) -> Finished {
    let mut gdb = quiet_gdb(&[]);
    gdb.arg("--core").arg(core);
    finish(gdb, commands, debuggee)
}

/// What is the same whoever serves gdb: numbers of processes and threads, how
/// threads are called, and where libraries and stacks lie are taken out.
pub fn comparable(finished: &Finished) -> String {
    let (_, text) = finished.stdout.split_once(BEGIN).unwrap_or_else(|| {
        panic!("gdb did not come to its commands:\n{}\n{}", finished.stdout, finished.stderr)
    });
    let mut text = text.to_owned();
    let rules = [
        (r"(?m)^\[Switching to .*\n", ""),
        (r"(?m)^\[New (Thread|inferior|process).*\n", ""),
        (r"(?m)^\[Thread .* exited\]\n", ""),
        (r"(?m)^\[(Attaching|Detaching).*\n", ""),
        (r"(?m)^(process \d+ is executing new program|Reading symbols).*\n", ""),
        (r"(?m)^(warning: |Thread \S+ stopped|Using host libthread_db|\[Thread debugging).*\n", ""),
        (r"Thread 0x[0-9a-f]+ \(LWP \d+\)", "Thread N"),
        (r"(Thread|process|LWP) \d+(\.\d+)?", "$1 N"),
        (r#"Thread N "[^"]*""#, "Thread N"),
        (r" \(target evals\)", ""),
        (r"Target Id +Frame", "Target Id Frame"),
        (r"\(process N\)", "(N)"),
        (r"\bpid([ =])\d+", "pid${1}N"),
        (r"0x0*7[0-9a-f]{11}\b", "ADDRESS"),
    ];
    for (pattern, by) in rules {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, by).into_owned();
    }
    text
}
