//! Having the kernel send a signal when a file has input, and waiting for one
//! file.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Errno, Sys, check};

const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
/// `F_OWNER_TID`.
const TO_THREAD: libc::c_int = 0;

/// `struct f_owner_ex`.
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    id: libc::c_int,
}

/// Has the kernel send a signal to a thread whenever input comes on a file.
/// fcntl(2), "Managing signals".
pub(in super::super) fn signal_on_input(file: BorrowedFd<'_>, tid: i32, signal: i32) -> Sys<()> {
    let fd = file.as_raw_fd();
    let owner = Owner { kind: TO_THREAD, id: tid };
    // SAFETY: the command reads one Owner, whose layout is the kernel's.
    check(unsafe { libc::fcntl(fd, F_SETOWN_EX, &raw const owner) }.into())?;
    // SAFETY: takes a plain number.
    check(unsafe { libc::fcntl(fd, F_SETSIG, signal) }.into())?;
    // SAFETY: takes no argument.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) }.into())?;
    let flags = libc::c_int::try_from(flags).map_err(|_| Errno::PERM)?;
    let flags = flags | libc::O_ASYNC | libc::O_NONBLOCK;
    // SAFETY: takes plain flags.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }.into()).map(|_| ())
}

/// Takes over the file that whoever started us has left open under a number; the
/// number is closed, so that its other end sees when we have done with it.
pub(in super::super) fn take_inherited(fd: i32) -> Sys<OwnedFd> {
    // SAFETY: takes a plain number.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into())?;
    if flags & i64::from(libc::FD_CLOEXEC) != 0 {
        // It did not come through `exec`: it is a file of our own.
        return Err(Errno::BADF);
    }
    // SAFETY: takes plain numbers.
    let new = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) }.into())?;
    let new = libc::c_int::try_from(new).map_err(|_| Errno::PERM)?;
    // Standard streams stay, which everybody may use.
    if fd > 2 {
        // SAFETY: every file that is opened here is closed by `exec`, so nobody
        // here owns this number.
        let _closed = unsafe { libc::close(fd) };
    }
    // SAFETY: the number is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// What a file is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Readiness {
    /// Something to read, or its end.
    Input,
    /// Room to write.
    Room,
}

/// Waits until a file is ready. poll(2).
pub(in super::super) fn wait_until_ready(file: BorrowedFd<'_>, for_what: Readiness) -> Sys<()> {
    let events = match for_what {
        Readiness::Input => libc::POLLIN,
        Readiness::Room => libc::POLLOUT,
    };
    let mut one = libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 };
    // SAFETY: the call reads and writes one pollfd.
    check(unsafe { libc::poll(&raw mut one, 1, -1) }.into()).map(|_| ())
}
