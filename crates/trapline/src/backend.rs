//! The one place that names a concrete target: this machine's.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::{fs, io};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use trapline_core::Pid;
use trapline_core::stop::Signal;
use trapline_core::target::Target;
use trapline_engine::{Command, CommandError, Event, Reply, SessionHandle};
use trapline_target::linux::{self, LinuxTarget, terminal};

use crate::cli::Session;

/// Readies this process for debugging others: call it first thing in `main`,
/// before there are other threads, which inherit the signals blocked here.
pub fn prepare_process() {
    linux::block_signals();
}

/// A session on this machine, and what happens in it.
///
/// # Errors
/// When the thread that owns the debuggees cannot be started.
pub fn local_session() -> Result<(SessionHandle, Receiver<Event>), CommandError> {
    trapline_engine::spawn(|| {
        let target: Box<dyn Target> = Box::new(LinuxTarget::new()?);
        Ok(target)
    })
}

/// The signals that ask to interrupt the program (`SIGINT`) or to end, as they
/// come. While it lives they do nothing else to this process.
///
/// # Errors
/// When the system does not let us catch them.
pub(crate) fn signals() -> Result<impl Iterator<Item = Signal>, CommandError> {
    let caught = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];
    let signals = Signals::new(caught)
        .map_err(|error| CommandError::new(format!("cannot catch SIGINT and its like: {error}")))?;
    Ok(Forever(signals))
}

struct Forever(Signals);

impl Iterator for Forever {
    type Item = Signal;

    fn next(&mut self) -> Option<Signal> {
        self.0.forever().next().map(Signal)
    }
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

    fn lend_terminal(&self, to: Pid) {
        // Without a terminal there is nothing to lend.
        let _no_terminal = terminal::give(to);
    }

    fn take_terminal(&self) {
        let _no_terminal = terminal::take();
    }
}
