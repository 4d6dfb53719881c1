//! Stop replies: what a server says when something stopped or ended (GDB
//! manual, Stop Reply Packets). The same text follows `Stop:` in a
//! notification. Signals are in gdb's numbering ([`signals`](crate::signals)).

use crate::cursor::{Cursor, Malformed, text};
use crate::hex;
use crate::ids::ThreadId;
use crate::put::Put;

/// Why a thread stopped, where the signal does not say it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StopNote {
    /// Data at this address was written.
    Watch(u64),
    /// Data at this address was read.
    ReadWatch(u64),
    /// Data at this address was read or written.
    AccessWatch(u64),
    /// The list of what is loaded changed.
    Library,
    /// A breakpoint in memory; the pc is at it already. Only for clients that
    /// said `swbreak+`.
    SoftwareBreak,
    /// A breakpoint of the processor's. Only for clients that said `hwbreak+`.
    HardwareBreak,
    /// A fork, with the child.
    Fork(ThreadId),
    /// A vfork, with the child.
    Vfork(ThreadId),
    /// The child has left the memory of the one that called vfork.
    VforkDone,
    /// Another program runs now: its path.
    Exec(Vec<u8>),
    /// A system call begins: its number.
    SyscallEntry(u64),
    /// A system call ended: its number.
    SyscallReturn(u64),
    /// A thread began: the one that is told of.
    Create,
}

/// A thread that stopped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stop {
    /// The signal, 0 for none.
    pub signal: u8,
    /// Which thread.
    pub thread: Option<ThreadId>,
    /// On which processor.
    pub core: Option<u32>,
    /// Registers that the client is likely to ask for, by number, in the
    /// target's byte order.
    pub registers: Vec<(u32, Vec<u8>)>,
    /// Why. Mostly one, but a server may add [`StopNote::Library`] to any.
    pub notes: Vec<StopNote>,
    /// lldb's own pairs (`name`, `threads`, `thread-pcs`, `reason`,
    /// `description`, `jstopinfo`) as they travel. No key is a hexadecimal
    /// number or one that gdb has, none holds `:`, no value holds `;`.
    pub extra: Vec<(String, String)>,
}

impl Stop {
    /// Why, if anything but the signal is known.
    pub fn reason(&self) -> Option<&StopNote> {
        self.notes.iter().find(|note| **note != StopNote::Library).or(self.notes.first())
    }
}

/// What a server says when something stopped or ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StopReply {
    /// `T`, and `S` when read: a thread stopped.
    Stopped(Stop),
    /// `W`: a process ended by itself.
    Exited {
        /// Its exit code.
        code: u32,
        /// Which; always there when the sides agreed on `multiprocess`.
        process: Option<u64>,
    },
    /// `X`: a signal ended a process.
    Signalled {
        /// The signal.
        signal: u8,
        /// Which; always there when the sides agreed on `multiprocess`.
        process: Option<u64>,
    },
    /// `w`: a thread ended.
    ThreadExited {
        /// Its exit code.
        code: u32,
        /// Which.
        thread: ThreadId,
    },
    /// `N`: nothing runs any more, and nothing stopped.
    NoneResumed,
    /// `O`: the program wrote something; everything still runs.
    Output(Vec<u8>),
}

impl StopReply {
    /// Reads a stop reply.
    ///
    /// # Errors
    /// It is none, or not well formed.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut args = Cursor::new(payload);
        let reply = match args.byte() {
            Some(b'S') => Self::Stopped(Stop { signal: args.number()?, ..Stop::default() }),
            Some(b'T') => Self::Stopped(stop(&mut args)?),
            Some(b'W') => Self::Exited { code: args.number()?, process: process(&mut args)? },
            Some(b'X') => Self::Signalled { signal: args.number()?, process: process(&mut args)? },
            Some(b'w') => {
                let code = args.number()?;
                args.expect(";")?;
                Self::ThreadExited { code, thread: args.thread()? }
            }
            Some(b'N') => Self::NoneResumed,
            Some(b'O') => Self::Output(args.bytes()?),
            _ => return Err(Malformed { expected: "stop reply" }),
        };
        args.end()?;
        Ok(reply)
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stopped(stop) => write_stop(stop, out),
            Self::Exited { code, process } => {
                out.text("W");
                write_code(*code, out);
                write_process(*process, out);
            }
            Self::Signalled { signal, process } => {
                out.text("X").hex(&[*signal]);
                write_process(*process, out);
            }
            Self::ThreadExited { code, thread } => {
                out.text("w");
                write_code(*code, out);
                out.text(";").thread(*thread);
            }
            Self::NoneResumed => {
                out.text("N");
            }
            Self::Output(bytes) => {
                out.text("O").hex(bytes);
            }
        }
    }
}

/// A code, with two digits at least: clients want them.
fn write_code(code: u32, out: &mut Vec<u8>) {
    match u8::try_from(code) {
        Ok(code) => out.hex(&[code]),
        Err(_) => out.number(code),
    };
}

fn write_process(process: Option<u64>, out: &mut Vec<u8>) {
    if let Some(process) = process {
        out.text(";process:").number(process);
    }
}

/// `;process:PID` among pairs, the others of which are passed over.
fn process(args: &mut Cursor<'_>) -> Result<Option<u64>, Malformed> {
    let mut found = None;
    while args.eat(";") {
        if args.eat("process:") {
            found = Some(args.number()?);
        }
        args.skip_to(b';');
    }
    Ok(found)
}

fn stop(args: &mut Cursor<'_>) -> Result<Stop, Malformed> {
    let [high, low] = [args.byte(), args.byte()];
    let signal = [high.unwrap_or_default(), low.unwrap_or_default()];
    let signal = hex::decode(&signal).and_then(|signal| signal.first().copied());
    let signal = signal.ok_or(Malformed { expected: "signal of two digits" })?;
    let mut stop = Stop { signal, ..Stop::default() };
    while !args.is_empty() {
        pair(args.until(b';'), &mut stop)?;
    }
    Ok(stop)
}

/// Takes one `key:value` into the stop.
fn pair(pair: &[u8], stop: &mut Stop) -> Result<(), Malformed> {
    let mut value = Cursor::new(pair);
    let key = value.until(b':');
    if key.is_empty() {
        return value.end();
    }
    if key.iter().all(|&byte| hex::digit(byte).is_some()) {
        let number = Cursor::new(key).number()?;
        stop.registers.push((number, value.bytes()?));
        return value.end();
    }
    match key {
        b"thread" => stop.thread = Some(value.thread()?),
        b"core" => stop.core = Some(value.number()?),
        _ => match note(key, &mut value)? {
            Some(note) => stop.notes.push(note),
            None => stop.extra.push((text(key)?, value.text()?)),
        },
    }
    value.end()
}

/// The note that a key stands for. Values of those that have none are passed
/// over, as the manual asks.
fn note(key: &[u8], value: &mut Cursor<'_>) -> Result<Option<StopNote>, Malformed> {
    let plain = PLAIN.iter().find(|(known, _)| known.as_bytes() == key);
    Ok(Some(match key {
        _ if let Some((_, note)) = plain => {
            value.all();
            note.clone()
        }
        b"watch" => StopNote::Watch(value.number()?),
        b"rwatch" => StopNote::ReadWatch(value.number()?),
        b"awatch" => StopNote::AccessWatch(value.number()?),
        b"fork" => StopNote::Fork(value.thread()?),
        b"vfork" => StopNote::Vfork(value.thread()?),
        b"exec" => StopNote::Exec(value.bytes()?),
        b"syscall_entry" => StopNote::SyscallEntry(value.number()?),
        b"syscall_return" => StopNote::SyscallReturn(value.number()?),
        _ => return Ok(None),
    }))
}

const PLAIN: &[(&str, StopNote)] = &[
    ("library", StopNote::Library),
    ("swbreak", StopNote::SoftwareBreak),
    ("hwbreak", StopNote::HardwareBreak),
    ("vforkdone", StopNote::VforkDone),
    ("create", StopNote::Create),
];

fn write_stop(stop: &Stop, out: &mut Vec<u8>) {
    out.text("T").hex(&[stop.signal]);
    for note in &stop.notes {
        write_note(note, out);
    }
    for (number, value) in &stop.registers {
        // Two digits at least, for clients that read by place.
        match u8::try_from(*number) {
            Ok(number) => out.hex(&[number]),
            Err(_) => out.number(*number),
        };
        out.text(":").hex(value).text(";");
    }
    if let Some(thread) = stop.thread {
        out.text("thread:").thread(thread).text(";");
    }
    if let Some(core) = stop.core {
        out.text("core:").number(core).text(";");
    }
    for (key, value) in &stop.extra {
        out.text(key).text(":").text(value).text(";");
    }
}

fn write_note(note: &StopNote, out: &mut Vec<u8>) {
    match note {
        StopNote::Watch(address) => out.text("watch:").number(*address),
        StopNote::ReadWatch(address) => out.text("rwatch:").number(*address),
        StopNote::AccessWatch(address) => out.text("awatch:").number(*address),
        StopNote::Fork(child) => out.text("fork:").thread(*child),
        StopNote::Vfork(child) => out.text("vfork:").thread(*child),
        StopNote::Exec(path) => out.text("exec:").hex(path),
        StopNote::SyscallEntry(number) => out.text("syscall_entry:").number(*number),
        StopNote::SyscallReturn(number) => out.text("syscall_return:").number(*number),
        StopNote::Library
        | StopNote::SoftwareBreak
        | StopNote::HardwareBreak
        | StopNote::VforkDone
        | StopNote::Create => {
            let name = PLAIN.iter().find(|(_, known)| known == note);
            out.text(name.map_or("", |(name, _)| name)).text(":")
        }
    };
    out.text(";");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wire: &str, reply: &StopReply) {
        assert_eq!(StopReply::parse(wire.as_bytes()).as_ref(), Ok(reply), "{wire}");
        let mut out = Vec::new();
        reply.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), wire);
    }

    fn stopped(signal: u8) -> Stop {
        Stop { signal, ..Stop::default() }
    }

    #[test]
    fn stops() {
        check("T05", &StopReply::Stopped(stopped(5)));
        let full = Stop {
            notes: vec![StopNote::SoftwareBreak],
            registers: vec![(6, vec![0x10, 0x20]), (0x110, vec![1])],
            thread: Some(ThreadId::new(0x1f, 0x2a)),
            core: Some(3),
            extra: vec![("reason".into(), "breakpoint".into())],
            ..stopped(5)
        };
        check(
            "T05swbreak:;06:1020;110:01;thread:p1f.2a;core:3;reason:breakpoint;",
            &StopReply::Stopped(full),
        );
    }

    #[test]
    fn every_note() {
        let child = ThreadId::new(1, 2);
        for (wire, note) in [
            ("watch:7ffe;", StopNote::Watch(0x7ffe)),
            ("rwatch:10;", StopNote::ReadWatch(0x10)),
            ("awatch:10;", StopNote::AccessWatch(0x10)),
            ("library:;", StopNote::Library),
            ("hwbreak:;", StopNote::HardwareBreak),
            ("fork:p1.2;", StopNote::Fork(child)),
            ("vfork:p1.2;", StopNote::Vfork(child)),
            ("vforkdone:;", StopNote::VforkDone),
            ("exec:2f62;", StopNote::Exec(b"/b".to_vec())),
            ("syscall_entry:e7;", StopNote::SyscallEntry(0xe7)),
            ("syscall_return:e7;", StopNote::SyscallReturn(0xe7)),
            ("create:;", StopNote::Create),
        ] {
            let reply = StopReply::Stopped(Stop { notes: vec![note], ..stopped(5) });
            check(&format!("T05{wire}"), &reply);
        }
    }

    #[test]
    fn the_reason_comes_before_what_was_loaded() {
        let notes = vec![StopNote::Library, StopNote::Watch(1)];
        assert_eq!(Stop { notes, ..stopped(5) }.reason(), Some(&StopNote::Watch(1)));
        let notes = vec![StopNote::Library];
        assert_eq!(Stop { notes, ..stopped(5) }.reason(), Some(&StopNote::Library));
    }

    #[test]
    fn ends() {
        check("W00", &StopReply::Exited { code: 0, process: None });
        check("W2a;process:1f", &StopReply::Exited { code: 42, process: Some(0x1f) });
        check("Wffffffff", &StopReply::Exited { code: u32::MAX, process: None });
        check("X0b;process:1", &StopReply::Signalled { signal: 11, process: Some(1) });
        let thread = ThreadId::new(1, 2);
        check("w00;p1.2", &StopReply::ThreadExited { code: 0, thread });
        check("N", &StopReply::NoneResumed);
        check("O6869", &StopReply::Output(b"hi".to_vec()));
    }

    #[track_caller]
    fn check_read(wire: &str, reply: StopReply) {
        assert_eq!(StopReply::parse(wire.as_bytes()), Ok(reply), "{wire}");
    }

    #[test]
    fn what_others_write() {
        check_read("W7;process:1f", StopReply::Exited { code: 7, process: Some(0x1f) });
        check_read("S05", StopReply::Stopped(stopped(5)));
        check_read("T05swbreak:1;", {
            StopReply::Stopped(Stop { notes: vec![StopNote::SoftwareBreak], ..stopped(5) })
        });
        check_read("W00;description:65;process:2", {
            StopReply::Exited { code: 0, process: Some(2) }
        });
    }

    #[test]
    fn what_is_none() {
        for wire in ["", "OK", "T", "T5", "T0x", "T05thread:x;", "T05:1;", "T0506:1;", "Wx", "w0"] {
            assert!(StopReply::parse(wire.as_bytes()).is_err(), "{wire}");
        }
    }
}
