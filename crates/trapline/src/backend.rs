//! The one place that names a concrete target: this machine's.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use trapline_core::Pid;
use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::target::Target;
use trapline_engine::command::BreakpointInfo;
use trapline_engine::{Command, CommandError, Events, Reply, SessionHandle};
use trapline_target::core_file::CoreTarget;
pub(crate) use trapline_target::linux::Requests;
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
