//! Who has the terminal: a program that we launched from a terminal runs in a
//! process group of its own, which must be in the foreground while it runs and
//! give way to us while it is stopped.

use trapline_core::Pid;
use trapline_core::target::Result;

use super::{failed, sys};

/// Gives the terminal on standard input to a program; when it is resumed.
///
/// # Errors
/// When the system refuses: no terminal, or the program is gone.
pub fn give(to: Pid) -> Result<()> {
    set(to.get())
}

/// Takes the terminal back; when the program has stopped or ended.
///
/// # Errors
/// When the system refuses.
pub fn take() -> Result<()> {
    set(sys::own_group())
}

/// Changing the foreground from the background would stop us with `SIGTTOU`,
/// were that not blocked.
fn set(group: i32) -> Result<()> {
    let before = sys::SignalSet::of(&[libc::SIGTTOU]).block();
    let done = sys::set_foreground(group);
    before.set_as_mask();
    done.map_err(|errno| failed("change the terminal's foreground", errno))
}
