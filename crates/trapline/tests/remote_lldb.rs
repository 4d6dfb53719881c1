//! lldb through our server, beside lldb with its own: the same commands, and the
//! same answers but for where things lie.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;
use trapline_testkit::run::run;
use trapline_testkit::{Debuggee, Finished, golden};

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Theirs,
    Ours,
}

impl Whose {
    /// A program that starts servers finds ours, or its own.
    fn told_to(self, command: &mut Command) -> &mut Command {
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        match self {
            Self::Theirs => command,
            Self::Ours => command.env("LLDB_DEBUGSERVER_PATH", env!("CARGO_BIN_EXE_trapline")),
        }
    }

    fn program(self) -> Command {
        match self {
            Self::Theirs => Command::new("lldb-server-19"),
            Self::Ours => Command::new(env!("CARGO_BIN_EXE_trapline")),
        }
    }
}

/// What lldb prints; with a server or the other, which it starts itself.
fn session(whose: Whose, program: &Path, commands: &[&str]) -> Finished {
    let mut lldb = Command::new("lldb-19");
    whose.told_to(&mut lldb);
    lldb.args(["-b", "--no-lldbinit", "-O", "settings set target.disable-aslr true"]);
    for command in commands {
        match command.strip_prefix("-k ") {
            Some(command) => lldb.args(["-k", command]),
            None => lldb.args(["-o", command]),
        };
    }
    run(lldb.arg(program), PATIENCE)
}

/// What is the same with all servers, in an order of ours: lldb says what
/// happens and what it was asked as both come.
fn comparable(text: &str) -> String {
    let rules = [
        (r"Process \d+", "Process N"),
        (r"tid = (\d+|0x[0-9a-f]+)", "tid = N"),
        // lldb's servers keep no file for their programs that was open for them.
        (r"\bfd=\d+", "fd=N"),
        // Through its servers the program speaks, through ours to our output.
        (r"(?m)^total=277\r?\n", ""),
        (r"--pid \d+", "--pid N"),
        (r"127.0.0.1:\d+", "ADDRESS"),
        (r"awaited(Ours|Theirs)", "awaited"),
        (r"response: QC.*", "response: QC"),
        (r"0x0*7[0-9a-f]{11}\b", "ADDRESS"),
    ];
    let text = rules.iter().fold(text.to_owned(), |text, (pattern, by)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *by).into_owned()
    });
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

const NO_ARGS: &str = "settings set target.run-args ";

#[track_caller]
fn check(name: &str, args: &str, commands: &[&str]) {
    let debuggee = Debuggee::build(name);
    let args = format!("{NO_ARGS}{args}");
    let mut all = commands.to_vec();
    if args != NO_ARGS {
        all.insert(0, &args);
    }
    let theirs = session(Whose::Theirs, &debuggee.path, &all);
    let ours = session(Whose::Ours, &debuggee.path, &all);
    same(&theirs, &ours, 2 * commands.len());
}

#[track_caller]
fn same(theirs: &Finished, ours: &Finished, lines: usize) {
    let (expected, actual) = (comparable(&theirs.stdout), comparable(&ours.stdout));
    assert!(expected.lines().count() > lines, "lldb said too little:\n{}", theirs.stdout);
    assert!(
        expected == actual,
        "{}\n--- errors with its own\n{}\n--- errors through us\n{}",
        golden::diff(&expected, &actual),
        theirs.stderr,
        ours.stderr
    );
}

#[test]
fn breakpoints_steps_and_frames() {
    check(
        "walks",
        "",
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
        "",
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
        "",
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

#[test]
fn threads() {
    check(
        "many_threads_one_function",
        "3 4",
        &[
            "breakpoint set --name visit --condition 'thread == 1 && pass == 2'",
            "run",
            "bt 2",
            "frame variable",
            "next",
            "breakpoint delete 1",
            "continue",
        ],
    );
    check(
        "idle_threads",
        "3 idle 1",
        &[
            "breakpoint set --name sleep",
            "run",
            "thread list",
            "thread select 3",
            "bt",
            "thread backtrace all",
            "thread select 1",
            "breakpoint delete 1",
            "finish",
            "kill",
        ],
    );
}

#[test]
fn signals() {
    check(
        "signals",
        "2",
        &[
            "process handle SIGUSR1 --stop true --notify true --pass true",
            "run",
            // Without a terminal lldb takes a signal for a crash, and does these.
            "-k thread info",
            "-k bt 2",
            "-k process handle SIGUSR1 --stop false --notify false --pass true",
            "-k continue",
            "-k bt 3",
            "-k process handle SIGRTMIN+3 --stop false --notify false --pass true",
            "-k process signal SIGTERM",
            "-k continue",
            "-k kill",
        ],
    );
}

#[test]
fn either_side_of_a_fork_is_followed() {
    for side in ["parent", "child"] {
        let follow = format!("settings set target.process.follow-fork-mode {side}");
        let commands = [
            &follow,
            "breakpoint set --name visit",
            "run",
            "continue",
            "bt 2",
            "breakpoint delete 1",
            "continue",
        ];
        check("forks", "1 2", &commands);
    }
}

#[test]
fn a_program_that_becomes_another() {
    check(
        "becomes_another",
        "/bin/true",
        &["settings set target.process.stop-on-exec true", "run", "image list -b", "continue"],
    );
}

#[test]
fn functions_are_called() {
    check(
        "walks",
        "",
        &[
            "breakpoint set --name factorial",
            "run",
            "expression twice(21)",
            "expression factorial(2) + twice(number)",
            "expression (long)malloc(8) != 0",
            "register read rip",
            "kill",
        ],
    );
}

/// A server that runs until it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A file in which a server is to write its port.
fn port_file(name: &str, whose: Whose) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("remote_lldb-{name}-{whose:?}"));
    std::fs::write(&file, "").expect("a file");
    file
}

/// Waits for the port.
fn port(file: &Path) -> String {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(number) = text.strip_suffix('\0').or(text.strip_suffix('\n')) {
            return number.to_owned();
        }
        if start.elapsed() > Duration::from_secs(2) && !text.is_empty() {
            return text;
        }
        assert!(start.elapsed() < PATIENCE, "no port in {}", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_server_is_connected_to() {
    let debuggee = Debuggee::build("walks");
    let seen = |whose: Whose| {
        let file = port_file("connected", whose);
        let mut server = whose.program();
        server.args(["gdbserver", "--named-pipe"]).arg(&file).args(["127.0.0.1:0", "--"]);
        let server = server.arg(&debuggee.path).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let _server = Server(server.expect("a server"));
        let connect = format!("gdb-remote 127.0.0.1:{}", port(&file));
        let commands = [
            &connect,
            "breakpoint set --name factorial",
            "continue",
            "bt 2",
            "process status",
            "process plugin packet send qC --unknown",
            "breakpoint delete 1",
            "continue",
        ];
        session(whose, &debuggee.path, &commands)
    };
    same(&seen(Whose::Theirs), &seen(Whose::Ours), 12);
}

#[test]
fn programs_are_started_through_a_platform() {
    let debuggee = Debuggee::build("walks");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let seen = |whose: Whose| {
        let file = port_file("platform", whose);
        let mut platform = Command::new("lldb-server-19");
        whose.told_to(&mut platform);
        platform.args(["platform", "--server", "--listen", "127.0.0.1:0", "--socket-file"]);
        let platform = platform.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let _platform = Server(platform.expect("a platform"));
        let connect = format!("platform connect connect://127.0.0.1:{}", port(&file));
        let settings = format!("platform settings -w {}", folder.display());
        let commands = [
            "platform select remote-linux",
            &connect,
            &settings,
            "breakpoint set --name factorial",
            "run",
            "bt 2",
            "continue",
            "frame variable",
            "breakpoint delete 1",
            "continue",
        ];
        session(whose, &debuggee.path, &commands)
    };
    same(&seen(Whose::Theirs), &seen(Whose::Ours), 20);
}

/// A process that is named as nobody else, which starts after a while.
fn awaited(debuggee: &Debuggee, name: &str) -> (PathBuf, JoinHandle<Server>) {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::copy(&debuggee.path, &program).expect("a copy");
    let mut idle = Command::new(&program);
    idle.args(["2", "idle", "20"]).stdout(Stdio::piped());
    let started = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        Server(idle.spawn().expect("a process"))
    });
    (program, started)
}

#[test]
fn a_process_is_attached_to() {
    let debuggee = Debuggee::build("idle_threads");
    let seen = |whose: Whose| {
        let (program, started) = awaited(&debuggee, &format!("awaited{whose:?}"));
        let mut idle = started.join().expect("a process");
        let mut ready = [0; 5];
        let output = idle.0.stdout.as_mut().expect("its output");
        output.read_exact(&mut ready).expect("that it is ready");
        let attach = format!("process attach --pid {}", idle.0.id());
        session(whose, &program, &[&attach, "thread list", "detach"])
    };
    same(&seen(Whose::Theirs), &seen(Whose::Ours), 12);
}

#[test]
fn a_process_is_awaited() {
    let debuggee = Debuggee::build("idle_threads");
    let (program, started) = awaited(&debuggee, "awaitedByName");
    let commands = [
        "process attach --waitfor --name awaitedByName",
        "breakpoint set --name pause",
        "continue",
        "bt 2",
        "kill",
    ];
    let finished = session(Whose::Ours, &program, &commands);
    drop(started.join());
    for said in ["stop reason = signal SIGSTOP", "stop reason = breakpoint 1", "live(argument="] {
        assert!(finished.stdout.contains(said), "no {said:?} in\n{}", finished.stdout);
    }
}
