//! Input for a front end that runs in the tracer's own thread and is spoken to
//! through a file: a socket, a pipe or a terminal. The thread sleeps with the
//! debuggee, so the file's input wakes it as a waker does.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::signals::WAKE;
use super::sys::{self, Errno, Readiness};

/// The file that whoever started us has left open under a number, which can be
/// had once.
///
/// # Errors
/// There is none.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    sys::take_inherited(number).map_err(Errno::into_io)
}

/// A file to be spoken through. Reading never waits.
#[derive(Debug)]
pub struct WakingStream {
    input: File,
    output: File,
}

/// What reading came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// So many bytes.
    Some(usize),
    /// Nothing is there yet.
    Nothing,
    /// The other side has gone.
    End,
}

impl WakingStream {
    /// Has input wake the calling thread, which is a tracer. fcntl(2),
    /// `F_SETSIG`.
    ///
    /// # Errors
    /// The file cannot tell of its input, as a plain file cannot.
    pub fn new(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        sys::signal_on_input(input.as_fd(), sys::own_tid(), WAKE).map_err(Errno::into_io)?;
        Ok(Self { input: input.into(), output: output.into() })
    }

    /// Takes what is there.
    pub fn take(&mut self, buf: &mut [u8]) -> Taken {
        loop {
            return match self.input.read(buf) {
                Ok(0) => Taken::End,
                Ok(read) => Taken::Some(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Taken::Nothing,
                // A connection that broke.
                Err(_) => Taken::End,
            };
        }
    }

    /// Waits until there is something to take, or the other side has gone.
    pub fn wait(&self) {
        wait(self.input.as_fd(), Readiness::Input);
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// The other side has gone.
    pub fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.output.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(self.output.as_fd(), Readiness::Room);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whoever waits looks again, so that a wait that fails does no harm.
fn wait(file: BorrowedFd<'_>, for_what: Readiness) {
    let _again = sys::wait_until_ready(file, for_what);
}
