//! The whole server on a real program, with packets in any order and damaged in
//! any way: it answers or refuses each, never panics or hangs, and leaves no
//! process, descriptor or memory behind.
//!
//! What would reach beyond the debuggee (other programs and files) is not sent,
//! and the debuggee has no privileges, for its code and registers are written
//! over.

#![no_main]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use trapline_rsp::Request;
use trapline_rsp::frame::{encode_packet, encode_unescaped};
use trapline_rsp::request::examples::{GDB, LLDB};
use trapline_rsp::request::{FileRequest, ProcessRequest, Setting};

/// Packets about the program that is there; `@` stands for a place in it.
const HERE: &[&str] = &[
    "?",
    "g",
    "p10",
    "vCont;c",
    "vCont;s",
    "vCont;r@,@",
    "vCont;t",
    "c",
    "s",
    "s@",
    "QNonStop:1",
    "vStopped",
    "Z0,@,1",
    "Z0,@,1;X3,220127",
    "Z0,@,1;X1,27",
    "Z1,@,1",
    "Z2,@,8",
    "Z3,@,4",
    "Z4,@,8",
    "z0,@,1",
    "z1,@,1",
    "z2,@,8",
    "m@,40",
    "x@,40",
    "M@,1:cc",
    "X@,2:a}",
    "P10=@",
    "Hg0",
    "Hc-1",
    "qfThreadInfo",
    "qsThreadInfo",
    "QStartNoAckMode",
    "qSupported:multiprocess+;swbreak+;hwbreak+;fork-events+;vfork-events+;exec-events+;no-resumed+;QThreadEvents+",
    "qXfer:features:read:target.xml:0,ffb",
    "qXfer:threads:read::0,ffb",
    "qXfer:libraries-svr4:read::0,ffb",
    "qXfer:auxv:read::0,ffb",
    "qXfer:siginfo:read::0,ffb",
    "qXfer:exec-file:read::0,ffb",
    "qXfer:osdata:read:processes:0,ffb",
    "qMemoryRegionInfo:@",
    "QCatchSyscalls:1",
    "QPassSignals:e;10",
    "qSearch:memory:@;100;U",
    "!",
    "R00",
    "D",
    "k",
    "qRcmd,68656c70",
    "QThreadEvents:1",
    "vCont;C0b",
    "vCtrlC",
];

/// As `nm` has them.
const PLACES: &[&str] = &["T main", "t write_each_size", "B globals", "b sink", "T raise"];

/// A program of no privileges that nobody has to read.
const WRAPPER: &str =
    "exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$@\" >/dev/null 2>&1";

#[derive(Arbitrary, Debug)]
enum Piece {
    /// A packet about the program, at one of its places.
    Here {
        which: u8,
        place: u8,
    },
    /// Any packet that a client sends.
    Known {
        which: u8,
    },
    /// One with a byte of it written over.
    Damaged {
        which: u8,
        place: u8,
        at: u8,
        byte: u8,
    },
    /// Two as one.
    Joined {
        one: u8,
        other: u8,
        place: u8,
    },
    /// Any payload.
    Payload(Vec<u8>),
    /// Not even a packet.
    Bytes(Vec<u8>),
    Interrupt,
}

struct Debuggee {
    program: PathBuf,
    places: Vec<u64>,
}

fn debuggee() -> &'static Debuggee {
    static DEBUGGEE: OnceLock<Debuggee> = OnceLock::new();
    DEBUGGEE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        // Whoever the program runs as has to reach it.
        let program = Path::new("/dev/shm").join(format!("trapline-fuzz-{}", std::process::id()));
        let mut compiler = Command::new("gcc");
        compiler.args(["-g", "-w", "-static", "-no-pie", "-pthread", "-o"]).arg(&program);
        compiler.arg(root.join("debuggees").join("watched_globals.c"));
        assert!(compiler.status().expect("gcc starts").success());
        let names = Command::new("nm").arg(&program).output().expect("nm starts").stdout;
        let names = String::from_utf8(names).expect("text");
        let of_program = |line: &str| {
            let (address, name) = line.split_once(' ')?;
            PLACES.contains(&name).then(|| u64::from_str_radix(address, 16).expect("an address"))
        };
        let mut places: Vec<u64> = names.lines().filter_map(of_program).collect();
        places.extend([0, 1, 0x40_1000, 0x7fff_ffff_f000, u64::MAX]);
        Debuggee { program, places }
    })
}

fn here(which: u8, place: u8) -> Vec<u8> {
    let places = &debuggee().places;
    let place = format!("{:x}", places[usize::from(place) % places.len()]);
    HERE[usize::from(which) % HERE.len()].replace('@', &place).into_bytes()
}

fn known(which: u8) -> Vec<u8> {
    let all = GDB.len() + LLDB.len();
    let which = usize::from(which) % all;
    GDB.iter().chain(LLDB).nth(which).expect("one of them").as_bytes().to_vec()
}

fn payload(piece: &Piece) -> Option<Vec<u8>> {
    Some(match piece {
        Piece::Here { which, place } => here(*which, *place),
        Piece::Known { which } => known(*which),
        Piece::Damaged { which, place, at, byte } => {
            let mut payload = if place & 1 == 0 { here(*which, *place) } else { known(*which) };
            let at = usize::from(*at) % payload.len();
            payload[at] = *byte;
            payload
        }
        Piece::Joined { one, other, place } => [here(*one, *place), here(*other, *place)].concat(),
        Piece::Payload(payload) => payload.clone(),
        Piece::Bytes(_) | Piece::Interrupt => return None,
    })
}

/// What is sent; `None` for what must not be.
fn wire(piece: &Piece) -> Option<Vec<u8>> {
    let Some(payload) = payload(piece) else {
        let Piece::Bytes(bytes) = piece else { return Some(vec![3]) };
        return (!bytes.contains(&b'$')).then(|| bytes.clone());
    };
    let mut wire = Vec::new();
    if payload.starts_with(b"X") || payload.starts_with(b"vFile") {
        encode_unescaped(&payload, &mut wire);
    } else {
        encode_packet(&payload, &mut wire);
    }
    stays_inside(&payload).then_some(wire)
}

fn stays_inside(payload: &[u8]) -> bool {
    match Request::parse(payload) {
        Ok(Request::File(file)) => match file {
            FileRequest::Open { path, flags, .. } => flags == 0 && !path.starts_with(b"/dev"),
            FileRequest::Write { .. }
            | FileRequest::Remove { .. }
            | FileRequest::MakeLink { .. } => false,
            _ => true,
        },
        Ok(Request::Process(process)) => !matches!(
            process,
            ProcessRequest::Run { .. } | ProcessRequest::Launch { .. } | ProcessRequest::Attach(_)
        ),
        Ok(Request::Setting(setting)) => !matches!(setting, Setting::Redirect(..)),
        // The server takes these as the packet's name says, however they go on.
        _ => !payload.starts_with(b"qPlatform") && !payload.starts_with(b"qLaunchGDBServer"),
    }
}

/// Sends each packet and gives the server a moment to answer.
fn talk(mut stream: TcpStream, pieces: &[Piece]) {
    let mut answer = [0; 0x4000];
    for piece in pieces {
        let Some(wire) = wire(piece) else { continue };
        if stream.write_all(&wire).is_err() {
            return;
        }
        let mut all = Vec::new();
        while !all.iter().rev().nth(2).is_some_and(|byte| *byte == b'#') {
            match stream.read(&mut answer) {
                Ok(0) => return,
                Ok(count) => all.extend_from_slice(&answer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return,
            }
        }
        if stream.write_all(b"+").is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _gone = stream.shutdown(Shutdown::Write);
    while stream.read(&mut answer).is_ok_and(|count| count > 0) {}
}

/// The fuzzer has children of its own.
fn children() -> BTreeSet<i32> {
    let all = std::fs::read_to_string("/proc/thread-self/children").expect("the table of children");
    all.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

/// A program that was let go lives on until here.
fn end(pid: i32) {
    let pid = Pid::from_raw(pid).expect("a process");
    kill_process(pid, Signal::KILL).expect("a child of ours");
    waitpid(Some(pid), WaitOptions::empty()).expect("its end");
}

fn lets_go(piece: &Piece) -> bool {
    matches!(payload(piece), Some(payload) if payload.starts_with(b"D"))
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the table of files").count()
}

fuzz_target!(|pieces: Vec<Piece>| {
    let debuggee = debuggee();
    let (before, children_before) = (open_files(), children());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("its number").to_string();
    let mut arguments: Vec<OsString> =
        ["trapline", "gdbserver", "--once", "--no-startup-with-shell"]
            .into_iter()
            .chain(["--wrapper", "/bin/sh", "-c", WRAPPER, "sh", "--", "--reverse-connect", &at])
            .map(OsString::from)
            .collect();
    arguments.push(debuggee.program.clone().into_os_string());
    arguments.push("2".into());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (stream, _) = listener.accept().expect("the server");
            stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a limit");
            stream.set_nodelay(true).expect("no delay");
            talk(stream, &pieces);
        });
        trapline::cli::main(arguments);
    });
    drop(listener);
    assert_eq!(open_files(), before, "open files");
    let left: Vec<i32> = children().difference(&children_before).copied().collect();
    left.iter().copied().for_each(end);
    assert!(left.is_empty() || pieces.iter().any(lets_go), "processes: {left:?}");
});
