//! Processes and threads as packets name them: one, any, or all (GDB manual,
//! Packets, "thread-id"). What the numbers stand for is the server's affair.

use crate::hex;
use crate::put::Put;

/// Which of the things that have a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Which {
    /// Each: `-1`.
    All,
    /// Whichever the other side likes: `0`.
    Any,
    /// The one with this number, which is not 0.
    One(u64),
}

impl Which {
    fn parse(text: &[u8]) -> Option<Self> {
        if text == b"-1" {
            return Some(Self::All);
        }
        Some(match hex::parse_number(text)? {
            0 => Self::Any,
            number => Self::One(number),
        })
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::All => out.text("-1"),
            Self::Any => out.number(0_u64),
            Self::One(number) => out.number(number),
        };
    }
}

/// A thread, or threads, of a process, or of processes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadId {
    /// Whose, when the two sides agreed on `multiprocess`.
    pub process: Option<Which>,
    /// Which of its threads.
    pub thread: Which,
}

impl ThreadId {
    /// One thread, of the only process.
    pub const fn of_thread(thread: u64) -> Self {
        Self { process: None, thread: Which::One(thread) }
    }

    /// One thread of one process.
    pub const fn new(process: u64, thread: u64) -> Self {
        Self { process: Some(Which::One(process)), thread: Which::One(thread) }
    }

    /// Reads `2a`, `-1`, `0`, `p1f.2a`, `p1f.-1`, or `p1f`, which is all threads
    /// of that process. One thread of all processes is refused, as the manual
    /// has it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let Some(pair) = text.strip_prefix(b"p") else {
            return Some(Self { process: None, thread: Which::parse(text)? });
        };
        let mut parts = pair.splitn(2, |&byte| byte == b'.');
        let process = Which::parse(parts.next()?)?;
        let thread = parts.next().map_or(Some(Which::All), Which::parse)?;
        let refused = process == Which::All && matches!(thread, Which::One(_));
        (!refused).then_some(Self { process: Some(process), thread })
    }

    /// Appends it, with both numbers when there is a process.
    pub fn write(self, out: &mut Vec<u8>) {
        if let Some(process) = self.process {
            out.text("p");
            process.write(out);
            out.text(".");
        }
        self.thread.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, process: Option<Which>, thread: Which, written: &str) {
        let id = ThreadId { process, thread };
        assert_eq!(ThreadId::parse(text.as_bytes()), Some(id), "{text}");
        let mut out = Vec::new();
        id.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), written);
    }

    #[test]
    fn every_form() {
        let one = Which::One;
        check("2a", None, one(0x2a), "2a");
        check("002A", None, one(0x2a), "2a");
        check("-1", None, Which::All, "-1");
        check("0", None, Which::Any, "0");
        check("p1f.2a", Some(one(0x1f)), one(0x2a), "p1f.2a");
        check("p1f.-1", Some(one(0x1f)), Which::All, "p1f.-1");
        check("p1f", Some(one(0x1f)), Which::All, "p1f.-1");
        check("p1f.0", Some(one(0x1f)), Which::Any, "p1f.0");
        check("p0.0", Some(Which::Any), Which::Any, "p0.0");
        check("p-1", Some(Which::All), Which::All, "p-1.-1");
    }

    #[test]
    fn what_is_no_id() {
        for text in ["", "p", "p.", "p1.", "p1.2.3", "-2", "x", "p-1.5", "1g", "11111111111111111"]
        {
            assert_eq!(ThreadId::parse(text.as_bytes()), None, "{text}");
        }
    }
}
