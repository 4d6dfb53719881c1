//! Letting threads run: the old packets for the chosen thread, and `vCont`.

use super::Parsed;
use crate::cursor::{Cursor, Malformed};
use crate::ids::ThreadId;
use crate::put::{Put, list};

/// How a thread goes on. Signals are in gdb's numbering
/// ([`signals`](crate::signals)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resume {
    /// `c`: run.
    Continue,
    /// `C`: run, with a signal.
    ContinueWith(u8),
    /// `s`: one instruction.
    Step,
    /// `S`: one instruction, with a signal.
    StepWith(u8),
    /// `t`: stop. Only sensible where other threads go on running.
    Stop,
    /// `r`: instruction by instruction while the pc is in `start..end`; at least
    /// one is executed.
    Range {
        /// First address inside.
        start: u64,
        /// First address past the end.
        end: u64,
    },
}

/// What is to be done with threads. For each thread the first action that fits
/// it counts; threads that none fits stay as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// What.
    pub resume: Resume,
    /// With which threads; every one that no action before it fits when absent.
    pub thread: Option<ThreadId>,
}

/// A request to let threads run, or to stop them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunRequest {
    /// `c` and `C`: the threads chosen by `Hc` run.
    Continue {
        /// With this signal.
        signal: Option<u8>,
        /// From here, instead of where they stand.
        address: Option<u64>,
    },
    /// `s` and `S`: the thread chosen by `Hc` executes one instruction.
    Step {
        /// With this signal.
        signal: Option<u8>,
        /// From here, instead of where it stands.
        address: Option<u64>,
    },
    /// `vCont`: actions, the first that fits a thread first.
    Actions(Vec<Action>),
    /// `vCont?`: which actions are known. gdb uses none unless `c` and `C` both
    /// are.
    KnownActions,
    /// `vCtrlC`: stop, as Ctrl-C outside of a packet does.
    Interrupt,
    /// `bc`: run backwards.
    ReverseContinue,
    /// `bs`: one instruction backwards.
    ReverseStep,
}

const BARE: &[(&str, RunRequest)] = &[
    ("vCtrlC", RunRequest::Interrupt),
    ("bc", RunRequest::ReverseContinue),
    ("bs", RunRequest::ReverseStep),
];

impl RunRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let found = match name {
            b"c" => Self::Continue { signal: None, address: address(&mut args)? },
            b"s" => Self::Step { signal: None, address: address(&mut args)? },
            b"C" => {
                let signal = Some(args.number()?);
                Self::Continue { signal, address: address_behind(&mut args)? }
            }
            b"S" => {
                let signal = Some(args.number()?);
                Self::Step { signal, address: address_behind(&mut args)? }
            }
            b"vCont" if args.eat("?") => Self::KnownActions,
            b"vCont" => Self::Actions(actions(&mut args)?),
            _ => return super::bare(BARE, name, args),
        };
        args.end()?;
        Ok(Some(found))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Continue { signal, address } => write_old("c", "C", *signal, *address, out),
            Self::Step { signal, address } => write_old("s", "S", *signal, *address, out),
            Self::KnownActions => {
                out.text("vCont?");
            }
            Self::Actions(actions) => {
                out.text("vCont;");
                list(out, ";", actions, |out, action| action.write(out));
            }
            Self::Interrupt | Self::ReverseContinue | Self::ReverseStep => {
                super::write_bare(BARE, self, out);
            }
        }
    }
}

impl Action {
    fn parse(args: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let resume = match args.byte() {
            Some(b'c') => Resume::Continue,
            Some(b'C') => Resume::ContinueWith(args.number()?),
            Some(b's') => Resume::Step,
            Some(b'S') => Resume::StepWith(args.number()?),
            Some(b't') => Resume::Stop,
            Some(b'r') => {
                let (start, end) = args.pair()?;
                Resume::Range { start, end }
            }
            _ => return Err(Malformed { expected: "action of vCont" }),
        };
        let thread = args.eat(":").then(|| args.thread()).transpose()?;
        Ok(Self { resume, thread })
    }

    fn write(self, out: &mut Vec<u8>) {
        match self.resume {
            Resume::Continue => out.text("c"),
            Resume::ContinueWith(signal) => out.text("C").hex(&[signal]),
            Resume::Step => out.text("s"),
            Resume::StepWith(signal) => out.text("S").hex(&[signal]),
            Resume::Stop => out.text("t"),
            Resume::Range { start, end } => out.text("r").number(start).text(",").number(end),
        };
        if let Some(thread) = self.thread {
            out.text(":").thread(thread);
        }
    }
}

fn actions(args: &mut Cursor<'_>) -> Result<Vec<Action>, Malformed> {
    let mut actions = Vec::new();
    args.expect(";")?;
    loop {
        actions.push(Action::parse(args)?);
        if !args.eat(";") {
            return Ok(actions);
        }
    }
}

fn address(args: &mut Cursor<'_>) -> Result<Option<u64>, Malformed> {
    (!args.is_empty()).then(|| args.number()).transpose()
}

fn address_behind(args: &mut Cursor<'_>) -> Result<Option<u64>, Malformed> {
    args.eat(";").then(|| args.number()).transpose()
}

fn write_old(
    without: &str,
    with: &str,
    signal: Option<u8>,
    address: Option<u64>,
    out: &mut Vec<u8>,
) {
    match signal {
        Some(signal) => out.text(with).hex(&[signal]),
        None => out.text(without),
    };
    if let Some(address) = address {
        out.text(if signal.is_some() { ";" } else { "" }).number(address);
    }
}
