//! The structures that Linux on x86-64 hands to a debugger, as safe code that
//! compiles on every host: registers, signals, process files, clone flags.
//! Nothing here makes a system call.

pub mod auxv;
pub mod clone;
pub mod core_notes;
pub mod maps;
pub mod registers;
pub mod restart;
pub mod siginfo;
pub mod smaps;
pub mod stat;
pub mod status;

/// A name of the debuggee's system as one of this machine's.
#[cfg(unix)]
pub(crate) fn os_string(bytes: &[u8]) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).to_os_string()
}

/// A name of the debuggee's system as one of this machine's.
#[cfg(not(unix))]
pub(crate) fn os_string(bytes: &[u8]) -> std::ffi::OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}
