//! redis, from the corpus, serving clients while it is debugged: every reply is
//! right, what is counted is what redis counts itself, and a server that was
//! let go of at any moment goes on untouched. Run by `cargo xtask scenarios`.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::beside::{Subject, code, line_of, log, watch};
use support::everywhere::{NEVER, Places};
use support::{PATIENCE, is_untouched, loops};
use trapline_testkit::{Background, corpus, leaks};

const CLIENTS: u64 = 6;

/// A redis with threads for its input and output, and nothing on disk.
struct Server {
    port: u16,
    path: PathBuf,
}

impl Server {
    fn new() -> Self {
        // Free a moment ago, which is as good as it gets.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, path: corpus::program("redis") }
    }

    fn subject(&self) -> Subject {
        let port = self.port.to_string();
        let threads = ["--io-threads", "4", "--io-threads-do-reads", "yes"];
        let memory = ["--save", "", "--appendonly", "no", "--daemonize", "no"];
        Subject::of(&self.path).with(&[&["--port", &port], &threads[..], &memory[..]].concat())
    }

    fn client(&self) -> Client {
        let mut stream = None;
        assert!(trapline_testkit::run::wait_until(PATIENCE, || {
            stream = TcpStream::connect(("127.0.0.1", self.port)).ok();
            stream.is_some()
        }));
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { reader: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    /// What redis says how often a command was called.
    fn calls(&self, command: &str) -> u64 {
        let told = self.client().ask(&["INFO", "commandstats"]);
        let line = format!("cmdstat_{command}:calls=");
        let at = told.find(&line).unwrap_or_else(|| panic!("no {line} in {told}"));
        let rest = &told[at + line.len()..];
        rest.split(',').next().unwrap().parse().unwrap()
    }
}

/// A connection, and the part of RESP2 that it needs.
struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    fn send(&mut self, words: &[&str]) {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn ask(&mut self, words: &[&str]) -> String {
        self.send(words);
        self.reply()
    }

    /// A simple string, a number or an error as it comes; of a bulk string, its
    /// text.
    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        let Some(len) = line.strip_prefix('$') else { return line };
        let mut bytes = vec![0; len.parse::<usize>().unwrap() + 2];
        std::io::Read::read_exact(&mut self.reader, &mut bytes).unwrap();
        bytes.truncate(bytes.len() - 2);
        String::from_utf8(bytes).unwrap()
    }

    /// One value set, read and counted up, three at once in the pipe; each
    /// reply is looked at.
    fn turn(&mut self, name: u64, turn: u64) {
        let (key, count, value) = (format!("key{name}"), format!("n{name}"), turn.to_string());
        self.send(&["SET", &key, &value]);
        self.send(&["GET", &key]);
        self.send(&["INCR", &count]);
        let replies = [self.reply(), self.reply(), self.reply()];
        assert_eq!(replies, ["+OK".to_owned(), value, format!(":{}", turn + 1)]);
    }
}

/// Clients that all go on until there were so many turns each, or until told to
/// stop; how many turns there were.
fn load(server: &Server, turns: u64, enough: &AtomicBool) -> u64 {
    let one = |name| {
        let mut client = server.client();
        let goes_on = |turn: &u64| *turn < turns && !enough.load(Ordering::Relaxed);
        (0..).take_while(goes_on).inspect(|turn| client.turn(name, *turn)).count() as u64
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|name| scope.spawn(move || one(name))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

#[test]
#[ignore = "needs redis from the corpus: cargo xtask scenarios"]
fn redis_counts_as_it_says_itself_while_it_serves() {
    let server = Server::new();
    let subject = server.subject();
    let set = line_of(&server.path, "t_string.c", "setKey(c,c->db,key,val,setkey_flags);");
    let points = [
        log("-log '{c->argc} {c->cmd->fullname}' -hits '% 100'", "setCommand"),
        code("getCommand if c->argc != 2"),
        code("incrDecrCommand if incr == 1 && c->id % 1000 == 999"),
        log("-hits '% 500'", "call if c->cmd->proc == incrCommand"),
        code("-hits '== 100000000' t_string.c:setGenericCommand"),
        code(format!("-hits '== 100000000' {set}")),
        watch("-hits '% 1000' server.dirty"),
    ];
    let told = thread::scope(|scope| {
        let debugged = scope.spawn(|| subject.debugged("redis", &points));
        let turns = load(&server, 500, &AtomicBool::new(false));
        assert_eq!(turns, 500 * CLIENTS);
        for command in ["set", "get", "incr"] {
            assert_eq!(server.calls(command), turns, "{command}");
        }
        server.client().send(&["SHUTDOWN", "NOSAVE"]);
        (turns, debugged.join().unwrap())
    });
    let (turns, told) = told;
    assert_eq!(told.finished.status.code(), Some(0), "{}", told.finished.stderr);
    assert!(told.events("error").is_empty(), "{:?}", told.events("error"));
    let passes: Vec<u64> = [0, 1, 2, 4, 5].map(|index| told.passes(index)).to_vec();
    assert_eq!(passes, [turns; 5]);
    assert_eq!((told.hits(1), told.hits(2), told.hits(3)), (0, 0, turns));
    assert_eq!(told.passes(6), 2 * turns, "each SET and INCR makes the data dirty");
    let messages = told.messages();
    assert_eq!(messages.len() as u64, turns / 100);
    assert!(messages.iter().all(|it| it.starts_with("3 ") && it.ends_with(" \"set\"")));
}

#[test]
#[ignore = "needs redis from the corpus: cargo xtask scenarios"]
fn redis_serves_with_a_jump_at_every_statement() {
    let server = Server::new();
    let places = Places::of(&server.path);
    let serve = || {
        assert_eq!(load(&server, 500, &AtomicBool::new(false)), 500 * CLIENTS);
        server.client().send(&["SHUTDOWN", "NOSAVE"]);
    };
    let (subject, in_process) = (server.subject(), &places.in_process);
    let (alone, ran) = thread::scope(|scope| {
        let alone = scope.spawn(|| subject.alone());
        serve();
        let alone = alone.join().unwrap();
        let ran = scope.spawn(|| subject.with_each("redis-everywhere", "-jump", in_process, NEVER));
        serve();
        (alone, ran.join().unwrap())
    });
    ran.is_unharmed();
    ran.show("redis", &places, &alone);
}

/// How a round of debugging ends.
const ENDS: [&str; 3] = ["-TERM", "-HUP", "-INT"];

#[test]
#[ignore = "needs redis from the corpus: cargo xtask scenarios"]
fn redis_goes_on_untouched_however_often_it_is_attached_to_and_let_go() {
    let server = Server::new();
    let mut command = Command::new(&server.path);
    let redis = Background::spawn(command.args(&server.subject().args));
    let pid = redis.pid();
    assert_eq!(server.client().ask(&["PING"]), "+PONG");
    let before = leaks::mappings(pid);
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = scope.spawn(|| load(&server, u64::MAX, &enough));
        for round in 0..loops(24) {
            attach_for_a_moment(pid, round);
            is_untouched(pid, &before);
            assert_eq!(server.client().ask(&["PING"]), "+PONG", "round {round}");
        }
        enough.store(true, Ordering::Relaxed);
        let turns = clients.join().unwrap();
        assert_eq!(server.calls("set"), turns);
    });
    server.client().send(&["SHUTDOWN", "NOSAVE"]);
    redis.finish(PATIENCE).expect_success();
}

/// Breakpoints of every kind in a busy server, ended by a signal before,
/// while or after they are set.
fn attach_for_a_moment(pid: trapline::Pid, round: u32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trapline"));
    command.args(["attach", "--batch", "--auto-continue"]);
    command.args(["-b", "-log '{c->argc}' -hits '% 50' getCommand"]);
    command.args(["-b", "call if c->argc == 99", "-b", "-hits '% 200' processCommand"]);
    command.args(["-b", "-filter 1==0 readQueryFromClient", "-b", "-filter 1==0 write"]);
    command.args(["-w", "-hits '% 500' server.dirty"]).arg(pid.to_string());
    let debugger = Background::spawn(&mut command);
    thread::sleep(Duration::from_millis(u64::from(round * 137 % 700)));
    let end = ENDS[round as usize % ENDS.len()];
    let target = debugger.pid().to_string();
    Command::new("kill").args([end, &target]).status().unwrap();
    debugger.finish(PATIENCE);
}
