//! Registers, all and one, with lldb's `;thread:` behind them, and lldb's
//! keeping of whole sets. How values are laid out in `g` is the target's affair.

use super::Parsed;
use crate::cursor::{Cursor, Malformed};
use crate::ids::ThreadId;
use crate::put::Put;

/// A request about registers. `thread` is there when lldb names the thread with
/// the packet (`QThreadSuffixSupported`); otherwise it is the one chosen by `Hg`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegisterRequest {
    /// `g`: every register.
    ReadAll {
        /// Whose.
        thread: Option<ThreadId>,
    },
    /// `G`: every register, as `g` gives them.
    WriteAll {
        /// The values, in the order and the widths of `g`.
        values: Vec<u8>,
        /// Whose.
        thread: Option<ThreadId>,
    },
    /// `p`: one register.
    Read {
        /// Its number in the target description.
        number: u32,
        /// Whose.
        thread: Option<ThreadId>,
    },
    /// `P`: one register.
    Write {
        /// Its number in the target description.
        number: u32,
        /// Its value in the target's byte order.
        value: Vec<u8>,
        /// Whose.
        thread: Option<ThreadId>,
    },
    /// `QSaveRegisterState`: keep every register; answered with a decimal id.
    Save {
        /// Whose.
        thread: Option<ThreadId>,
    },
    /// `QRestoreRegisterState`: write kept registers back and forget them.
    Restore {
        /// What `QSaveRegisterState` answered; decimal on the wire.
        id: u64,
        /// Whose.
        thread: Option<ThreadId>,
    },
    /// `QSyncThreadState`: forget what is cached of a thread's registers.
    Sync {
        /// Whose.
        thread: ThreadId,
    },
}

impl RegisterRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let found = match name {
            b"g" => Self::ReadAll { thread: suffix(&mut args)? },
            b"G" => Self::WriteAll { values: args.bytes()?, thread: suffix(&mut args)? },
            b"p" => Self::Read { number: args.number()?, thread: suffix(&mut args)? },
            b"P" => {
                let number = args.number()?;
                args.expect("=")?;
                Self::Write { number, value: args.bytes()?, thread: suffix(&mut args)? }
            }
            b"QSaveRegisterState" => Self::Save { thread: suffix(&mut args)? },
            b"QRestoreRegisterState" => {
                args.expect(":")?;
                Self::Restore { id: args.decimal()?, thread: suffix(&mut args)? }
            }
            b"QSyncThreadState" => {
                args.expect(":")?;
                let thread = args.thread()?;
                args.eat(";");
                Self::Sync { thread }
            }
            _ => return Ok(None),
        };
        args.end()?;
        Ok(Some(found))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let thread = match self {
            Self::ReadAll { thread } => {
                out.text("g");
                thread
            }
            Self::WriteAll { values, thread } => {
                out.text("G").hex(values);
                thread
            }
            Self::Read { number, thread } => {
                out.text("p").number(*number);
                thread
            }
            Self::Write { number, value, thread } => {
                out.text("P").number(*number).text("=").hex(value);
                thread
            }
            Self::Save { thread } => {
                out.text("QSaveRegisterState");
                thread
            }
            Self::Restore { id, thread } => {
                out.text("QRestoreRegisterState:").decimal(*id);
                thread
            }
            Self::Sync { thread } => {
                out.text("QSyncThreadState:").thread(*thread).text(";");
                &None
            }
        };
        if let Some(thread) = thread {
            out.text(";thread:").thread(*thread).text(";");
        }
    }
}

/// lldb's `;thread:ID;`, when it is there. A `;` alone is passed over.
fn suffix(args: &mut Cursor<'_>) -> Result<Option<ThreadId>, Malformed> {
    if args.is_empty() {
        return Ok(None);
    }
    args.expect(";")?;
    if !args.eat("thread:") {
        return Ok(None);
    }
    let thread = args.thread()?;
    args.eat(";");
    Ok(Some(thread))
}
