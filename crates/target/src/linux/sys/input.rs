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

/// Another number for the file that has a number, which `exec` closes.
pub(in super::super) fn duplicate(fd: i32) -> Sys<OwnedFd> {
    // SAFETY: takes plain numbers.
    let new = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) }.into())?;
    let new = libc::c_int::try_from(new).map_err(|_| Errno::PERM)?;
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
