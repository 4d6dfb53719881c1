//! Whole processes: started, attached to, killed, let go.

use super::{Parsed, after_colon};
use crate::cursor::{Cursor, Malformed};
use crate::put::{Put, list};

/// What to attach to. Names are hexadecimal on the wire, all but the first are
/// lldb's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttachTo {
    /// `vAttach`: this process.
    Process(u64),
    /// `vAttachName`: the one of this name.
    Name(Vec<u8>),
    /// `vAttachWait`: the next that starts with this name.
    Next(Vec<u8>),
    /// `vAttachOrWait`: one of this name, or the next that starts.
    NameOrNext(Vec<u8>),
}

/// A request about whole processes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "a process needs no more words")]
pub enum ProcessRequest {
    /// `!`: the server stays when the program is gone.
    Extended,
    /// `?`: why everything stands still, and in non-stop all who do.
    StopReason,
    /// `k`: kill what is there; nothing is answered.
    Kill,
    /// `vKill`: kill one process.
    KillOne { process: u64 },
    /// `D`: let go, of everything unless a process is named.
    Detach {
        process: Option<u64>,
        /// lldb's `D1`: it stays stopped.
        stay_stopped: bool,
    },
    /// `R`: start the program anew; nothing is answered.
    Restart,
    /// `vRun`: start a program.
    Run {
        /// Its path; empty for the one that was run last.
        program: Vec<u8>,
        /// What follows its name.
        arguments: Vec<Vec<u8>>,
    },
    /// `A`: start a program, as lldb asks, with its name as first argument.
    Launch {
        /// By index, in the order they came.
        arguments: Vec<(u32, Vec<u8>)>,
    },
    /// lldb's `qLaunchSuccess`: what became of `A`.
    LaunchSucceeded,
    /// `vAttach` and its kin.
    Attach(AttachTo),
    /// `qAttached`: whether it was attached to, not started.
    WasAttached { process: Option<u64> },
    /// `vStopped`: the next stop, in non-stop.
    NextStop,
}

const BARE: &[(&str, ProcessRequest)] = &[
    ("!", ProcessRequest::Extended),
    ("?", ProcessRequest::StopReason),
    ("k", ProcessRequest::Kill),
    ("qLaunchSuccess", ProcessRequest::LaunchSucceeded),
    ("vStopped", ProcessRequest::NextStop),
];

impl ProcessRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let found = match name {
            b"D" => Self::Detach {
                stay_stopped: args.eat("1"),
                process: args.eat(";").then(|| args.number()).transpose()?,
            },
            b"R" => {
                args.all();
                Self::Restart
            }
            b"A" => Self::Launch { arguments: launch_arguments(&mut args)? },
            b"vRun" => run(&mut args)?,
            b"vKill" => Self::KillOne { process: behind_semicolon(&mut args)?.number()? },
            b"vAttach" => Self::Attach(AttachTo::Process(behind_semicolon(&mut args)?.number()?)),
            b"vAttachName" => Self::Attach(AttachTo::Name(behind_semicolon(&mut args)?.bytes()?)),
            b"vAttachWait" => Self::Attach(AttachTo::Next(behind_semicolon(&mut args)?.bytes()?)),
            b"vAttachOrWait" => {
                Self::Attach(AttachTo::NameOrNext(behind_semicolon(&mut args)?.bytes()?))
            }
            b"qAttached" if args.is_empty() => Self::WasAttached { process: None },
            b"qAttached" => {
                args = after_colon(args)?;
                Self::WasAttached { process: Some(args.number()?) }
            }
            _ => return super::bare(BARE, name, args),
        };
        args.end()?;
        Ok(Some(found))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::KillOne { process } => out.text("vKill;").number(*process),
            Self::Detach { process, stay_stopped } => {
                out.text(if *stay_stopped { "D1" } else { "D" });
                match process {
                    Some(process) => out.text(";").number(*process),
                    None => out,
                }
            }
            // The number means nothing, but there has to be one.
            Self::Restart => out.text("R00"),
            Self::Run { program, arguments } => {
                out.text("vRun;").hex(program);
                for argument in arguments {
                    out.text(";").hex(argument);
                }
                out
            }
            Self::Launch { arguments } => {
                out.text("A");
                list(out, ",", arguments, |out, (index, argument)| {
                    let length = 2 * argument.len() as u64;
                    out.decimal(length).text(",").decimal(*index).text(",").hex(argument);
                });
                out
            }
            Self::Attach(to) => write_attach(to, out),
            Self::WasAttached { process: None } => out.text("qAttached"),
            Self::WasAttached { process: Some(process) } => out.text("qAttached:").number(*process),
            Self::Extended
            | Self::StopReason
            | Self::Kill
            | Self::LaunchSucceeded
            | Self::NextStop => {
                super::write_bare(BARE, self, out);
                out
            }
        };
    }
}

fn behind_semicolon<'a, 'b>(args: &'b mut Cursor<'a>) -> Result<&'b mut Cursor<'a>, Malformed> {
    args.expect(";")?;
    Ok(args)
}

fn write_attach<'a>(to: &AttachTo, out: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
    match to {
        AttachTo::Process(process) => out.text("vAttach;").number(*process),
        AttachTo::Name(name) => out.text("vAttachName;").hex(name),
        AttachTo::Next(name) => out.text("vAttachWait;").hex(name),
        AttachTo::NameOrNext(name) => out.text("vAttachOrWait;").hex(name),
    }
}

fn run(args: &mut Cursor<'_>) -> Result<ProcessRequest, Malformed> {
    args.expect(";")?;
    let program = args.bytes()?;
    let mut arguments = Vec::new();
    while args.eat(";") {
        arguments.push(args.bytes()?);
    }
    Ok(ProcessRequest::Run { program, arguments })
}

/// `digits,index,hex`, with commas in between; lengths and indices are decimal.
fn launch_arguments(args: &mut Cursor<'_>) -> Result<Vec<(u32, Vec<u8>)>, Malformed> {
    let mut arguments = Vec::new();
    loop {
        let digits: u64 = args.decimal()?;
        args.expect(",")?;
        let index = args.decimal()?;
        args.expect(",")?;
        if !digits.is_multiple_of(2) {
            return Err(Malformed { expected: "even number of digits" });
        }
        arguments.push((index, args.exactly(digits / 2)?));
        if !args.eat(",") {
            return Ok(arguments);
        }
    }
}
