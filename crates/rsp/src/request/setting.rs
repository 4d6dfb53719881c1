//! Settings: what is agreed between the two sides, and how programs are to be
//! started and told about.

use super::Parsed;
use crate::cursor::{Cursor, Malformed};
use crate::put::{Put, list};

/// A stream of a program that is to be started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

const STREAMS: [(&str, Stream); 3] =
    [("QSetSTDIN", Stream::Input), ("QSetSTDOUT", Stream::Output), ("QSetSTDERR", Stream::Error)];

/// A setting. Paths, names and environment strings are hexadecimal on the wire
/// where nothing else is said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `QStartNoAckMode`: nothing is acknowledged any more after the answer.
    NoAcks,
    /// `QNonStop`: whether the other threads run on when one stops.
    NonStop(bool),
    /// `QThreadEvents`: whether births and deaths of threads are told.
    ThreadEvents(bool),
    /// `QDisableRandomization`: whether programs are put at the same addresses
    /// every time.
    FixedAddresses(bool),
    /// lldb's `QSetDisableASLR`: the same.
    FixedAddressesLldb(bool),
    /// `QStartupWithShell`: whether programs are started through a shell.
    StartWithShell(bool),
    /// lldb's `QSetDetachOnError`: whether to let go when the connection is
    /// lost, instead of killing.
    DetachOnError(bool),
    /// `QPassSignals`: signals, in gdb's numbering, that are given to the
    /// program without a stop. All others stop.
    PassSignals(Vec<u8>),
    /// `QProgramSignals`: signals, in gdb's numbering, that the program may see.
    ProgramSignals(Vec<u8>),
    /// `QCatchSyscalls`: which system calls stop; `None` for none, an empty list
    /// for all.
    CatchSyscalls(Option<Vec<u32>>),
    /// `QEnvironmentHexEncoded`: `NAME=VALUE`.
    Environment(Vec<u8>),
    /// lldb's `QEnvironment`: `NAME=VALUE` as it is.
    EnvironmentPlain(Vec<u8>),
    /// `QEnvironmentUnset`: a name.
    EnvironmentUnset(Vec<u8>),
    /// `QEnvironmentReset`: as it was when the server started.
    EnvironmentReset,
    /// `QSetWorkingDir`: where programs start; the server's own directory when
    /// empty.
    WorkingDir(Vec<u8>),
    /// lldb's `QSetSTDIN` and its kin: where a stream leads.
    Redirect(Stream, Vec<u8>),
    /// lldb's `QLaunchArch`: which part of a program for several machines; plain
    /// text.
    LaunchArch(String),
    /// lldb's `QThreadSuffixSupported`: packets about registers may name the
    /// thread.
    ThreadSuffix,
    /// lldb's `QListThreadsInStopReply`: stop replies list all threads.
    ThreadsInStopReply,
    /// lldb's `QEnableErrorStrings`: errors come with words.
    ErrorStrings,
}

const BARE: &[(&str, Setting)] = &[
    ("QStartNoAckMode", Setting::NoAcks),
    ("QEnvironmentReset", Setting::EnvironmentReset),
    ("QThreadSuffixSupported", Setting::ThreadSuffix),
    ("QListThreadsInStopReply", Setting::ThreadsInStopReply),
    ("QEnableErrorStrings", Setting::ErrorStrings),
];

impl Setting {
    pub(super) fn parse(name: &[u8], args: Cursor<'_>) -> Parsed<Self> {
        let mut values = args;
        let colon = values.eat(":");
        match Self::with_values(name, values)? {
            Some(_) if !colon => Err(Malformed { expected: ":" }),
            Some(found) => Ok(Some(found)),
            None => super::bare(BARE, name, args),
        }
    }

    fn with_values(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let stream = STREAMS.iter().find(|(known, _)| known.as_bytes() == name);
        let found = match name {
            _ if let Some((_, stream)) = stream => Self::Redirect(*stream, args.bytes()?),
            b"QNonStop" => Self::NonStop(args.flag()?),
            b"QThreadEvents" => Self::ThreadEvents(args.flag()?),
            b"QDisableRandomization" => Self::FixedAddresses(args.flag()?),
            b"QSetDisableASLR" => Self::FixedAddressesLldb(args.flag()?),
            b"QStartupWithShell" => Self::StartWithShell(args.flag()?),
            b"QSetDetachOnError" => Self::DetachOnError(args.flag()?),
            b"QPassSignals" => Self::PassSignals(numbers(&mut args)?),
            b"QProgramSignals" => Self::ProgramSignals(numbers(&mut args)?),
            b"QCatchSyscalls" => Self::CatchSyscalls(syscalls(&mut args)?),
            b"QEnvironmentHexEncoded" => Self::Environment(args.bytes()?),
            b"QEnvironment" => Self::EnvironmentPlain(args.all().to_vec()),
            b"QEnvironmentUnset" => Self::EnvironmentUnset(args.bytes()?),
            b"QSetWorkingDir" => Self::WorkingDir(args.bytes()?),
            b"QLaunchArch" => Self::LaunchArch(args.text()?),
            _ => return Ok(None),
        };
        args.end()?;
        Ok(Some(found))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::NonStop(on) => write_flag("QNonStop:", *on, out),
            Self::ThreadEvents(on) => write_flag("QThreadEvents:", *on, out),
            Self::FixedAddresses(on) => write_flag("QDisableRandomization:", *on, out),
            Self::FixedAddressesLldb(on) => write_flag("QSetDisableASLR:", *on, out),
            Self::StartWithShell(on) => write_flag("QStartupWithShell:", *on, out),
            Self::DetachOnError(on) => write_flag("QSetDetachOnError:", *on, out),
            Self::PassSignals(signals) => write_signals("QPassSignals:", signals, out),
            Self::ProgramSignals(signals) => write_signals("QProgramSignals:", signals, out),
            Self::CatchSyscalls(None) => write_flag("QCatchSyscalls:", false, out),
            Self::CatchSyscalls(Some(calls)) => {
                out.text("QCatchSyscalls:1");
                for call in calls {
                    out.text(";").number(*call);
                }
                out
            }
            Self::Environment(text) => out.text("QEnvironmentHexEncoded:").hex(text),
            Self::EnvironmentPlain(text) => out.text("QEnvironment:").raw(text),
            Self::EnvironmentUnset(name) => out.text("QEnvironmentUnset:").hex(name),
            Self::WorkingDir(path) => out.text("QSetWorkingDir:").hex(path),
            Self::Redirect(stream, path) => {
                let name = STREAMS.iter().find(|(_, known)| known == stream);
                out.text(name.map_or("", |(name, _)| name)).text(":").hex(path)
            }
            Self::LaunchArch(name) => out.text("QLaunchArch:").text(name),
            Self::NoAcks
            | Self::EnvironmentReset
            | Self::ThreadSuffix
            | Self::ThreadsInStopReply
            | Self::ErrorStrings => {
                super::write_bare(BARE, self, out);
                out
            }
        };
    }
}

fn write_flag<'a>(name: &str, on: bool, out: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
    out.text(name).number(u8::from(on))
}

fn write_signals<'a>(name: &str, signals: &[u8], out: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
    out.text(name);
    list(out, ";", signals, |out, signal| {
        out.number(*signal);
    });
    out
}

/// Numbers with `;` in between, maybe none.
fn numbers<T: TryFrom<u64>>(args: &mut Cursor<'_>) -> Result<Vec<T>, Malformed> {
    let mut numbers = Vec::new();
    while !args.is_empty() {
        numbers.push(args.number()?);
        if !args.eat(";") {
            break;
        }
    }
    Ok(numbers)
}

fn syscalls(args: &mut Cursor<'_>) -> Result<Option<Vec<u32>>, Malformed> {
    let on = args.flag()?;
    args.eat(";");
    let calls = numbers(args)?;
    match (on, calls.is_empty()) {
        (true, _) => Ok(Some(calls)),
        (false, true) => Ok(None),
        (false, false) => Err(Malformed { expected: "end of packet" }),
    }
}
