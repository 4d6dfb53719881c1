//! Threads: chosen, listed, and asked about, for gdb and for lldb.

use super::{Parsed, after_colon};
use crate::cursor::Cursor;
use crate::ids::ThreadId;
use crate::put::Put;

/// What a thread is chosen for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// `g`: registers, memory and everything else that is not the other.
    Access,
    /// `c`: the old packets that let threads run.
    Run,
}

/// A request about threads.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "a thread needs no more words")]
pub enum ThreadRequest {
    /// `H`: the thread that packets after this one are about.
    Select { purpose: Purpose, thread: ThreadId },
    /// `T`: whether it still lives.
    IsAlive { thread: ThreadId },
    /// `qC`: which one packets are about.
    Current,
    /// `qfThreadInfo`: the list of all threads, its first part.
    ListFirst,
    /// `qsThreadInfo`: the next part of it.
    ListNext,
    /// `qThreadExtraInfo`: words about it.
    Describe { thread: ThreadId },
    /// `qGetTLSAddr`: where a thread-local variable is.
    TlsAddress {
        thread: ThreadId,
        /// Its place in the module's thread-local memory.
        offset: u64,
        /// Which module: the address of its link map, on Linux.
        module: u64,
    },
    /// `qGetTIBAddr`: where its information block is, on Windows.
    TibAddress { thread: ThreadId },
    /// lldb's `qThreadStopInfo`: its stop reply.
    StopReason { thread: ThreadId },
    /// lldb's `jThreadsInfo`: the stop reasons of all, as JSON.
    StopReasons,
    /// lldb's `jThreadExtendedInfo`.
    Extended {
        /// What is asked, as JSON.
        json: String,
    },
}

const BARE: &[(&str, ThreadRequest)] = &[
    ("qC", ThreadRequest::Current),
    ("qfThreadInfo", ThreadRequest::ListFirst),
    ("qsThreadInfo", ThreadRequest::ListNext),
    ("jThreadsInfo", ThreadRequest::StopReasons),
];

const PURPOSES: [(&str, Purpose); 2] = [("g", Purpose::Access), ("c", Purpose::Run)];

impl ThreadRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let found = match name {
            b"H" => {
                let Some((_, purpose)) = PURPOSES.iter().find(|(text, _)| args.eat(text)) else {
                    return Ok(None);
                };
                Self::Select { purpose: *purpose, thread: args.thread()? }
            }
            b"T" => Self::IsAlive { thread: args.thread()? },
            b"qThreadExtraInfo" => {
                args.expect(",")?;
                Self::Describe { thread: args.thread()? }
            }
            b"qGetTLSAddr" => {
                args = after_colon(args)?;
                let thread = args.thread()?;
                args.expect(",")?;
                let (offset, module) = args.pair()?;
                Self::TlsAddress { thread, offset, module }
            }
            b"qGetTIBAddr" => {
                args = after_colon(args)?;
                Self::TibAddress { thread: args.thread()? }
            }
            b"qThreadStopInfo" => Self::StopReason { thread: args.thread()? },
            b"jThreadExtendedInfo" => {
                args = after_colon(args)?;
                Self::Extended { json: args.text()? }
            }
            _ => return super::bare(BARE, name, args),
        };
        args.end()?;
        Ok(Some(found))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Select { purpose, thread } => {
                let letter = PURPOSES.iter().find(|(_, known)| known == purpose);
                out.text("H").text(letter.map_or("", |(letter, _)| letter)).thread(*thread)
            }
            Self::IsAlive { thread } => out.text("T").thread(*thread),
            Self::Describe { thread } => out.text("qThreadExtraInfo,").thread(*thread),
            Self::TlsAddress { thread, offset, module } => {
                let start = out.text("qGetTLSAddr:").thread(*thread);
                start.text(",").number(*offset).text(",").number(*module)
            }
            Self::TibAddress { thread } => out.text("qGetTIBAddr:").thread(*thread),
            Self::StopReason { thread } => out.text("qThreadStopInfo").thread(*thread),
            Self::Extended { json } => out.text("jThreadExtendedInfo:").text(json),
            Self::Current | Self::ListFirst | Self::ListNext | Self::StopReasons => {
                super::write_bare(BARE, self, out);
                out
            }
        };
    }
}
