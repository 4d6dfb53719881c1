//! Servers that outlive their clients: what each client finds, beside
//! gdbserver, and that none leaves anything behind.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use support::remote::{comparable, with_server};
use trapline_testkit::Debuggee;

/// A server that listens, and what it says.
struct Server {
    process: Child,
    port: u16,
    said: Receiver<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Gdbserver,
    Ours,
}

impl Server {
    fn start(whose: Whose, args: &[&str]) -> Self {
        let mut command = match whose {
            Whose::Gdbserver => Command::new("gdbserver"),
            Whose::Ours => {
                let mut ours = Command::new(env!("CARGO_BIN_EXE_trapline"));
                ours.arg("gdbserver");
                ours
            }
        };
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/").env("SHELL", "/bin/sh");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the server");
        let (sender, said) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(process.stdout.take().expect("its output")),
            Box::new(process.stderr.take().expect("its errors")),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let mut server = Self { process, port: 0, said };
        server.port = server.hear("Listening on port ").parse().expect("a port");
        server
    }

    /// What follows on the next line that begins so.
    fn hear(&self, start: &str) -> String {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(60)).expect(start);
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// All that it still says until it ends, but for its own chat.
    fn rest(mut self) -> String {
        let chat = [
            "Remote debugging",
            "Detaching",
            "Process ",
            "Killing",
            "Attached",
            "GDBserver",
            "Listening",
            // It fails with the registers of newer processors.
            "Warning: ptrace(regsets_store_inferior_registers)",
        ];
        self.process.wait().expect("its end");
        let told = |line: &String| !chat.iter().any(|it| line.starts_with(it));
        let mut lines: Vec<String> = self.said.iter().filter(told).collect();
        // They come from two streams.
        lines.sort();
        lines.join("\n").replace("No such process (3)", "there is no such process")
    }

    fn target(&self) -> String {
        format!("target extended-remote localhost:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// What several gdbs print, one after the other, and then the server.
fn clients(whose: Whose, debuggee: &Debuggee, each: &[&[&str]]) -> String {
    let server = Server::start(whose, &["--multi", "localhost:0"]);
    let target = server.target();
    let mut all = String::new();
    for commands in each {
        let finished = with_server(debuggee, &target, commands);
        all += &comparable(&finished);
        all += "-- next\n";
    }
    all + &server.rest()
}

#[track_caller]
fn check(name: &str, each: &[&[&str]]) {
    let debuggee = Debuggee::build(name);
    let path = debuggee.path.display().to_string();
    let spelled: Vec<Vec<String>> = each
        .iter()
        .map(|commands| commands.iter().map(|it| it.replace("{program}", &path)).collect())
        .collect();
    let borrowed: Vec<Vec<&str>> =
        spelled.iter().map(|commands| commands.iter().map(String::as_str).collect()).collect();
    let each: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
    let expected = clients(Whose::Gdbserver, &debuggee, &each);
    let actual = clients(Whose::Ours, &debuggee, &each);
    assert!(expected == actual, "{}", trapline_testkit::golden::diff(&expected, &actual));
}

#[test]
fn clients_come_and_go() {
    check(
        "walks",
        &[
            &[
                "set remote exec-file {program}",
                "break twice",
                "run",
                "bt",
                "info breakpoints",
                "disconnect",
            ],
            &[
                "bt 1",
                "p number",
                "break factorial",
                "continue",
                "finish",
                "detach",
                "info threads",
            ],
            &["set remote exec-file {program}", "start", "kill", "info threads", "monitor exit"],
        ],
    );
}

#[test]
fn programs_are_started_by_the_client() {
    check(
        "walks",
        &[&[
            "set remote exec-file /usr/bin/env",
            "set environment TOLD yes",
            "set environment SPACED a  b",
            "unset environment PATH",
            "set cwd /usr",
            "run",
            "set startup-with-shell off",
            "run -u TOLD",
            "set remote exec-file /bin/pwd",
            "run",
            "set startup-with-shell on",
            "set cwd",
            "set remote exec-file {program}",
            "set disable-randomization off",
            "start",
            "p $_siginfo.si_signo",
            "kill",
            "set remote exec-file /nowhere",
            "run",
            "monitor exit",
        ]],
    );
}

#[test]
fn a_process_is_attached_to() {
    let debuggee = Debuggee::build("idle_threads");
    let seen = |whose| {
        let mut idle = debuggee.command();
        let mut idle = idle.args(["2"]).stdout(Stdio::piped()).spawn().expect("a process");
        let mut ready = [0; 5];
        idle.stdout.as_mut().expect("its output").read_exact(&mut ready).expect("ready");
        let attach = format!("attach {}", idle.id());
        let first: &[&str] = &[
            &attach,
            "info threads",
            "thread apply all -ascending -q frame function live",
            "detach",
            "attach 1234567",
        ];
        let text = clients(whose, &debuggee, &[first, &[&attach, "kill", "monitor exit"]]);
        idle.wait().expect("its end");
        text
    };
    let (expected, actual) = (seen(Whose::Gdbserver), seen(Whose::Ours));
    assert!(expected == actual, "{}", trapline_testkit::golden::diff(&expected, &actual));
}

#[test]
fn files_are_sent_and_fetched() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (there, back) = (folder.join("remote_lifetime.there"), folder.join("remote_lifetime.back"));
    let debuggee = Debuggee::build("walks");
    let path = debuggee.path.display();
    let put = format!("remote put {path} {}", there.display());
    let get = format!("remote get {} {}", there.display(), back.display());
    let delete = format!("remote delete {}", there.display());
    let text = clients(Whose::Ours, &debuggee, &[&[&put, &get, &delete, &get, "monitor exit"]]);
    let same = std::fs::read(&debuggee.path).ok() == std::fs::read(&back).ok();
    std::fs::remove_file(&back).expect("what was fetched");
    assert!(same && !there.exists(), "{text}");
}

#[test]
fn monitor_commands() {
    let commands: &[&str] = &[
        "set remote exec-file {program}",
        "set breakpoint always-inserted on",
        "break twice if number == 4",
        "monitor set mechanism trap",
        "start",
        "continue",
        "monitor breakpoints",
        "monitor raw 0x1 1",
        "monitor nonsense",
        "monitor help",
        "set width 200",
        "info os processes",
        "kill",
        "monitor exit",
    ];
    let debuggee = Debuggee::build("walks");
    let path = debuggee.path.display().to_string();
    let commands: Vec<String> = commands.iter().map(|it| it.replace("{program}", &path)).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let server = Server::start(Whose::Ours, &["--multi", "localhost:0"]);
    let finished = with_server(&debuggee, &server.target(), &commands);
    let all = format!("{}{}", finished.stdout, finished.stderr);
    for said in [
        "Breakpoints are served by: trap.",
        "agent expression",
        "Cannot access memory at address 0x1",
        "Unknown monitor command.",
        "The following monitor commands are supported:",
        "walks",
    ] {
        assert!(all.contains(said), "no {said:?} in\n{all}");
    }
    assert!(server.rest().is_empty());
}

/// What a client does before it vanishes.
const MANNERS: [&[&str]; 8] = [
    &[],
    &["$?#3f", "+", "$g#67"],
    &["$m1000,"],
    &["+$qSupported:multiprocess+;swbreak+#39", "$Z0,{main},1#00", "$vCont;c#a8"],
    &["$!#21", "$vRun;{program}#00", "$c#63"],
    &["\u{3}", "}}}}$$$$####", "-", "-"],
    &["$QNonStop:1#8d", "$vCont;c#a8", "$vStopped#55"],
    &["$QStartNoAckMode#b0", "+", "$Z2,{main},8#00", "$s#73", "$x0,fffff#00"],
];

#[test]
fn a_thousand_clients_leave_nothing_behind() {
    let debuggee = Debuggee::build("walks");
    let path = debuggee.path.to_str().expect("a path");
    let server = Server::start(Whose::Ours, &["--multi", "localhost:0"]);
    let mut after_some = None;
    for turn in 0..1000 {
        visit(server.port, MANNERS[turn % MANNERS.len()], path);
        if turn == 200 {
            after_some = Some(Held::by(&server));
        }
    }
    let (before, after) = (after_some.expect("a look"), Held::by(&server));
    assert_eq!((before.files, before.threads, 0), (after.files, after.threads, after.programs));
    assert!(after.kilobytes < before.kilobytes + 1024, "{before:?} {after:?}");
}

/// Connects, says so much, and is gone.
fn visit(port: u16, manner: &[&str], path: &str) {
    let mut stream = TcpStream::connect(("localhost", port)).expect("a connection");
    for words in manner {
        let words = words.replace("{program}", &trapline_rsp::hex::encode(path.as_bytes()));
        let words = words.replace("{main}", "401000");
        let mut packet = words.clone().into_bytes();
        if let Some(payload) = words.strip_prefix('$').and_then(|it| it.strip_suffix("#00")) {
            packet.clear();
            trapline_rsp::frame::encode_packet(payload.as_bytes(), &mut packet);
        }
        // The server may have gone on to the next client.
        let _ = stream.write_all(&packet);
    }
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    files: usize,
    threads: usize,
    programs: usize,
    kilobytes: u64,
}

impl Held {
    /// What a server holds once everybody before has gone and all is killed.
    fn by(server: &Server) -> Self {
        let mut stream = TcpStream::connect(("localhost", server.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream.write_all(b"$!#21$k#6b$?#3f").expect("to send");
        stream.read_exact(&mut [0; b"+$OK#9a++$W00#b7".len()]).expect("answers");
        let pid = server.process.id();
        let count =
            |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).expect("it").count();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        Self {
            files: count("fd"),
            threads: count("task"),
            programs: children.expect("its children").split_whitespace().count(),
            kilobytes: resident.trim().trim_end_matches(" kB").parse().expect("a number"),
        }
    }
}
