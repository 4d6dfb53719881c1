//! What a client asks: every packet that gdb and lldb send and a debugger can
//! answer, by family. What the answers look like, and whether a request makes
//! sense at its time, is for the server.
//!
//! Sources: GDB manual, Packets, General Query Packets, Host I/O Packets; lldb,
//! "GDB Remote Protocol Extensions". Numbers are hexadecimal unless said
//! otherwise. Payloads are as [`Incoming::Packet`](crate::frame::Incoming)
//! gives them, with their escapes undone; what [`Request::write`] makes is
//! framed with [`encode_unescaped`](crate::frame::encode_unescaped).
//!
//! Text fields hold what their place in a packet can: none of the characters
//! that end them there.

pub mod examples;
mod files;
mod lldb;
mod memory;
mod points;
mod process;
mod query;
mod registers;
mod run;
mod setting;
mod threads;
mod transfer;

pub use files::{FileRequest, HostPath};
pub use lldb::{LldbQuery, UserKind};
pub use memory::MemoryRequest;
pub use points::{Commands, Point, PointKind, PointRequest};
pub use process::{AttachTo, ProcessRequest};
pub use query::{Feature, FeatureValue, Query};
pub use registers::RegisterRequest;
pub use run::{Action, Resume, RunRequest};
pub use setting::{Setting, Stream};
pub use threads::{Purpose, ThreadRequest};
pub use transfer::{TransferObject, TransferRequest};

use crate::cursor::{Cursor, Malformed};
use crate::put::Put;

/// What a family makes of a packet: `None` when it is not one of its own.
type Parsed<T> = Result<Option<T>, Malformed>;

/// One request of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Registers, read and written.
    Registers(RegisterRequest),
    /// Memory, read, written, searched and made.
    Memory(MemoryRequest),
    /// Breakpoints and watchpoints.
    Point(PointRequest),
    /// Letting threads run.
    Run(RunRequest),
    /// Whole processes: started, attached to, let go.
    Process(ProcessRequest),
    /// Threads: chosen, listed, asked about.
    Threads(ThreadRequest),
    /// Files of the server's machine.
    File(FileRequest),
    /// Objects that travel in parts.
    Transfer(TransferRequest),
    /// Everything else gdb asks.
    Query(Query),
    /// Everything else lldb asks.
    Lldb(LldbQuery),
    /// Settings.
    Setting(Setting),
    /// A packet that is not known here, whole. It is answered with an empty
    /// packet.
    Unknown(Vec<u8>),
}

impl Request {
    /// Reads a packet's payload.
    ///
    /// # Errors
    /// The packet is known and not well formed. It is answered with an error.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let (name, args) = split(payload);
        let parsed = None
            .or_else_try(|| wrap(MemoryRequest::parse(name, args), Self::Memory))?
            .or_else_try(|| wrap(RegisterRequest::parse(name, args), Self::Registers))?
            .or_else_try(|| wrap(PointRequest::parse(name, args), Self::Point))?
            .or_else_try(|| wrap(RunRequest::parse(name, args), Self::Run))?
            .or_else_try(|| wrap(ThreadRequest::parse(name, args), Self::Threads))?
            .or_else_try(|| wrap(TransferRequest::parse(name, args), Self::Transfer))?
            .or_else_try(|| wrap(FileRequest::parse(name, args), Self::File))?
            .or_else_try(|| wrap(ProcessRequest::parse(name, args), Self::Process))?
            .or_else_try(|| wrap(Query::parse(name, args), Self::Query))?
            .or_else_try(|| wrap(Setting::parse(name, args), Self::Setting))?
            .or_else_try(|| wrap(LldbQuery::parse(name, args), Self::Lldb))?;
        Ok(parsed.unwrap_or_else(|| Self::Unknown(payload.to_vec())))
    }

    /// Appends the payload, not escaped. Reading it gives the same request,
    /// unless `Unknown` holds a packet that is known.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Registers(request) => request.write(out),
            Self::Memory(request) => request.write(out),
            Self::Point(request) => request.write(out),
            Self::Run(request) => request.write(out),
            Self::Process(request) => request.write(out),
            Self::Threads(request) => request.write(out),
            Self::File(request) => request.write(out),
            Self::Transfer(request) => request.write(out),
            Self::Query(request) => request.write(out),
            Self::Lldb(request) => request.write(out),
            Self::Setting(request) => request.write(out),
            Self::Unknown(payload) => {
                out.raw(payload);
            }
        }
    }
}

/// `or_else` for what can fail.
trait OrElseTry: Sized {
    fn or_else_try<E>(self, other: impl FnOnce() -> Result<Self, E>) -> Result<Self, E>;
}

impl<T> OrElseTry for Option<T> {
    fn or_else_try<E>(self, other: impl FnOnce() -> Result<Self, E>) -> Result<Self, E> {
        if self.is_some() { Ok(self) } else { other() }
    }
}

fn wrap<T>(parsed: Parsed<T>, variant: fn(T) -> Request) -> Parsed<Request> {
    parsed.map(|found| found.map(variant))
}

/// Packets whose name ends where a number begins.
const NUMBERED: [&str; 2] = ["qRegisterInfo", "qThreadStopInfo"];

/// A packet's name, and what comes after it with its separator. `v`, `q`, `Q`
/// and `j` begin longer names; every other letter is one itself.
fn split(payload: &[u8]) -> (&[u8], Cursor<'_>) {
    let numbered = NUMBERED.iter().find(|name| payload.starts_with(name.as_bytes()));
    let length = match payload.first() {
        _ if numbered.is_some() => numbered.map_or(0, |name| name.len()),
        Some(b'v' | b'q' | b'Q' | b'j') => {
            let in_name = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'_';
            payload.iter().position(|byte| !in_name(byte)).unwrap_or(payload.len())
        }
        Some(b'_' | b'b') => 2,
        _ => 1,
    };
    let (name, rest) = payload.split_at(length.min(payload.len()));
    (name, Cursor::new(rest))
}

/// The request without arguments that has this name.
fn bare<T: Clone>(table: &[(&str, T)], name: &[u8], args: Cursor<'_>) -> Parsed<T> {
    let Some((_, found)) = table.iter().find(|(known, _)| known.as_bytes() == name) else {
        return Ok(None);
    };
    args.end()?;
    Ok(Some(found.clone()))
}

/// Appends the name of a request without arguments; whether it is one.
fn write_bare<T: PartialEq>(table: &[(&str, T)], request: &T, out: &mut Vec<u8>) -> bool {
    let found = table.iter().find(|(_, known)| known == request);
    if let Some((name, _)) = found {
        out.text(name);
    }
    found.is_some()
}

/// What follows a `:` and the end of the packet, for a table of arms.
fn after_colon(mut args: Cursor<'_>) -> Result<Cursor<'_>, Malformed> {
    args.expect(":")?;
    Ok(args)
}

#[cfg(test)]
mod tests;
