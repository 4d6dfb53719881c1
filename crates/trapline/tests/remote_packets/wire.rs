//! A client that speaks the remote protocol packet by packet, over the server's
//! own standard streams.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use trapline_rsp::frame::{Decoder, Incoming, Side, encode_unescaped};
use trapline_rsp::hex;
use trapline_testkit::Debuggee;

const PATIENCE: Duration = Duration::from_secs(5);

/// A conversation with a server of its own, at the first instruction of a
/// program.
pub(crate) struct Wire {
    server: Child,
    requests: Option<ChildStdin>,
    replies: Receiver<Vec<u8>>,
    /// What stands for names in braces.
    names: BTreeMap<&'static str, String>,
}

impl Wire {
    pub(crate) fn open(debuggee: &Debuggee) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_trapline"))
            .args(["gdbserver", "--once", "-"])
            .arg(&debuggee.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server");
        let mut output = server.stdout.take().expect("its output");
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            let mut decoder = Decoder::for_side(Side::Client, 1 << 20);
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                decoder.feed(&bytes[..count]);
                for incoming in decoder.by_ref() {
                    if let Incoming::Packet(payload) = incoming
                        && sender.send(payload).is_err()
                    {
                        return;
                    }
                }
            }
        });
        let requests = server.stdin.take();
        let mut wire = Self { server, requests, replies, names: BTreeMap::new() };
        wire.learn(debuggee);
        wire
    }

    /// Finds out what the names in braces stand for.
    fn learn(&mut self, debuggee: &Debuggee) {
        let text = |found: Option<regex::Captures>| found.expect("a stop")[1].to_owned();
        let stop = self.ask("?").expect("a stop");
        let find = |pattern: &str| regex::Regex::new(pattern).expect("a pattern").captures(&stop);
        let (pid, pc_bytes) = (text(find("thread:([0-9a-f]+);")), text(find("10:([0-9a-f]{16});")));
        let pc = hex::decode(pc_bytes.as_bytes()).expect("a pc");
        let pc = u64::from_le_bytes(pc.try_into().expect("eight bytes"));
        let number = u32::from_str_radix(&pid, 16).expect("a number");
        let base = base(number, debuggee);
        let (main, sink) = (base + offset(debuggee, "main"), base + offset(debuggee, "sink"));
        let path = debuggee.path.to_str().expect("a path");
        let scratch = format!("{}/wire-{number}", env!("CARGO_TARGET_TMPDIR"));
        let bytes = |value: u64| hex::encode(&value.to_le_bytes());
        self.names = BTreeMap::from([
            ("pid", pid),
            ("pid_decimal", number.to_string()),
            ("pc", format!("{pc:x}")),
            ("pc+1", format!("{:x}", pc + 1)),
            ("pc+8", format!("{:x}", pc + 8)),
            ("pc_bytes", pc_bytes),
            ("next_pc_bytes", bytes(pc + 3)),
            ("main", format!("{main:x}")),
            ("main_bytes", bytes(main)),
            ("sink", format!("{sink:x}")),
            ("program", hex::encode(path.as_bytes())),
            ("program_length", (2 * path.len()).to_string()),
            ("scratch", hex::encode(scratch.as_bytes())),
        ]);
        let registers = self.ask("g").expect("registers");
        self.names.insert("registers", registers);
    }

    /// Has a name in braces stand for something.
    pub(crate) fn name(&mut self, name: &'static str, means: String) {
        self.names.insert(name, means);
    }

    /// A text with what its names stand for.
    pub(crate) fn spell(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, means) in &self.names {
            text = text.replace(&format!("{{{name}}}"), means);
        }
        text
    }

    /// Sends a packet; each character is a byte.
    pub(crate) fn send(&mut self, packet: &str) {
        let payload: Vec<u8> = packet.chars().map(|letter| letter as u8).collect();
        let mut bytes = Vec::new();
        encode_unescaped(&payload, &mut bytes);
        let requests = self.requests.as_mut().expect("an open connection");
        requests.write_all(&bytes).and_then(|()| requests.flush()).expect("to send");
    }

    /// The next reply; `None` when the server has gone.
    fn reply(&mut self) -> Option<String> {
        match self.replies.recv_timeout(PATIENCE) {
            Ok(payload) => Some(payload.into_iter().map(char::from).collect()),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => Some(format!("nothing in {PATIENCE:?}")),
        }
    }

    /// The reply to a packet.
    pub(crate) fn ask(&mut self, packet: &str) -> Option<String> {
        let packet = self.spell(packet);
        self.send(&packet);
        self.reply()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.requests = None;
        // A server whose client has gone ends; one that does not shows as a
        // process that is left over.
        let _ended = self.server.wait();
    }
}

/// Where the program is loaded.
fn base(pid: u32, debuggee: &Debuggee) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its mappings");
    let path = debuggee.path.to_str().expect("a path");
    let line = maps.lines().find(|line| line.ends_with(path)).expect("the program's mapping");
    let (start, _) = line.split_once('-').expect("a range");
    u64::from_str_radix(start, 16).expect("an address")
}

/// Where a symbol is in the file.
fn offset(debuggee: &Debuggee, name: &str) -> u64 {
    let output = Command::new("nm").arg(&debuggee.path).output().expect("nm");
    let text = String::from_utf8(output.stdout).expect("its output");
    let is_it = |line: &&str| line.split_whitespace().nth(2) == Some(name);
    let line = text.lines().find(is_it).expect("the symbol");
    u64::from_str_radix(&line[..16], 16).expect("an address")
}
