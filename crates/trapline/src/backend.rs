//! The one place that names a concrete target: this machine's.

pub(crate) mod files;
pub(crate) mod system;

use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::{fs, io};

use trapline_core::Pid;
use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::target::Target;
use trapline_engine::command::BreakpointInfo;
use trapline_engine::{Command, CommandError, Events, Reply, SessionHandle};
use trapline_target::core_file::CoreTarget;
pub(crate) use trapline_target::linux::Requests;
pub(crate) use trapline_target::linux::input::{Taken, WakingStream};
use trapline_target::linux::{self, LinuxTarget, terminal};

use crate::cli::Session;

/// Readies this process for debugging others: call it first thing in `main`,
/// before there are other threads, which inherit the signals blocked here.
pub fn prepare_process() {
    linux::block_signals();
}

/// Says what this system does for files that are mapped.
fn prepare_mappings() {
    linux::survive_lost_pages(trapline_symbols::lost_at);
    trapline_symbols::give_back_with(linux::give_back_pages);
}

/// A session on this machine, and what happens in it.
///
/// # Errors
/// When the thread that owns the debuggees cannot be started.
pub fn local_session() -> Result<(SessionHandle, Events), CommandError> {
    prepare_mappings();
    trapline_engine::spawn(|| {
        let target: Box<dyn Target> = Box::new(LinuxTarget::new()?);
        Ok(target)
    })
}

/// A session on the core file of a program that died, and which process that
/// was, to be attached to. `program` is the program's file, where that is not
/// where it was.
///
/// # Errors
/// What is wrong with either file, or when the thread that reads them cannot be
/// started.
pub fn core_session(
    core: &Path,
    program: Option<&Path>,
) -> Result<(SessionHandle, Events, Pid), CommandError> {
    prepare_mappings();
    let target = CoreTarget::open(core, program)?;
    let pid = target.pid();
    let (session, events) = trapline_engine::spawn(move || {
        let target: Box<dyn Target> = Box::new(target);
        Ok(target)
    })?;
    Ok((session, events, pid))
}

/// This machine, for the calling thread alone.
///
/// # Errors
/// When too many threads debug already.
pub(crate) fn local_target() -> trapline_core::target::Result<Box<dyn Target>> {
    prepare_mappings();
    Ok(Box::new(LinuxTarget::new()?))
}

/// A file that whoever started us has left open under a number.
///
/// # Errors
/// There is none.
pub(crate) fn inherited_file(number: i32) -> io::Result<fs::File> {
    linux::input::inherited(number).map(fs::File::from)
}

/// A connection that whoever started us has left open under a number.
///
/// # Errors
/// There is none, or it is none.
pub(crate) fn inherited_stream(number: i32) -> io::Result<WakingStream> {
    let input = linux::input::inherited(number)?;
    let output = input.try_clone()?;
    WakingStream::new(input, output)
}

/// Standard input and output as a connection.
///
/// # Errors
/// They are closed, or plain files.
pub(crate) fn standard_streams() -> io::Result<WakingStream> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    WakingStream::new(input, io::stdout().as_fd().try_clone_to_owned()?)
}

/// A connection of the network.
///
/// # Errors
/// The system refuses it.
pub(crate) fn socket(stream: TcpStream) -> io::Result<WakingStream> {
    let twin = stream.try_clone()?;
    WakingStream::new(stream.into(), twin.into())
}

/// A connection whose other end has gone.
///
/// # Errors
/// The system refuses one.
pub(crate) fn unused_stream() -> io::Result<WakingStream> {
    let (ours, _other) = UnixStream::pair()?;
    let twin = ours.try_clone()?;
    WakingStream::new(ours.into(), twin.into())
}

/// Writes a program's file so that it can be run.
pub(crate) fn write_program(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

impl Session for SessionHandle {
    fn request(&self, command: Command) -> Result<Reply, CommandError> {
        Self::request(self, command)
    }

    fn break_each(
        &self,
        specs: Vec<BreakpointSpec>,
        told: &mut dyn FnMut(Vec<BreakpointInfo>),
    ) -> Result<(), CommandError> {
        Self::break_each(self, specs, told)
    }

    fn lend_terminal(&self, to: Pid) {
        // Without a terminal there is nothing to lend.
        let _no_terminal = terminal::give(to);
    }

    fn take_terminal(&self) {
        let _no_terminal = terminal::take();
    }
}
