//! Which kind of child a system call made. Decided by the call's own flags:
//! the ptrace event is chosen by the exit signal, so it may say "fork" of a
//! child that shares memory and "clone" of one that does not. clone(2).

use trapline_core::x64::Registers;

const CLONE_VM: u64 = 0x100;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_THREAD: u64 = 0x1_0000;

const SYS_CLONE: u64 = 56;
const SYS_FORK: u64 = 57;
const SYS_VFORK: u64 = 58;
const SYS_CLONE3: u64 = 435;

/// Numbers of the same calls made through the 32-bit entry, none of which is a
/// call that makes children under its 64-bit meaning.
const COMPAT_FORK: u64 = 2;
const COMPAT_CLONE: u64 = 120;
const COMPAT_VFORK: u64 = 190;

/// What a new child has in common with its parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloneFlags {
    /// It is a thread of the same process.
    pub thread: bool,
    /// It runs in the same memory.
    pub shares_memory: bool,
    /// The parent waits until it has let go of that memory.
    pub vfork: bool,
}

impl CloneFlags {
    fn new(flags: u64) -> Self {
        Self {
            thread: flags & CLONE_THREAD != 0,
            shares_memory: flags & CLONE_VM != 0,
            vfork: flags & CLONE_VFORK != 0,
        }
    }
}

/// Reads the flags of the call that a thread is in. `read_word` reads 8 bytes
/// of its memory, for the calls that pass a structure. `None` when the thread
/// is in no call that makes children.
pub fn flags_of_call(
    registers: &Registers,
    read_word: impl FnOnce(u64) -> Option<u64>,
) -> Option<CloneFlags> {
    let [_, _, _, rbx, _, _, _, rdi, ..] = registers.general;
    let flags = match registers.orig_rax {
        SYS_CLONE => rdi,
        SYS_CLONE3 => read_word(rdi)?,
        SYS_FORK | COMPAT_FORK => 0,
        SYS_VFORK | COMPAT_VFORK => CLONE_VM | CLONE_VFORK,
        COMPAT_CLONE => rbx,
        _ => return None,
    };
    Some(CloneFlags::new(flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: u64, rdi: u64, in_memory: Option<u64>, expected: Option<[bool; 3]>) {
        let mut registers = Registers { orig_rax: number, ..Registers::default() };
        registers.general[7] = rdi;
        let expected = expected.map(|[thread, shares_memory, vfork]| CloneFlags {
            thread,
            shares_memory,
            vfork,
        });
        assert_eq!(flags_of_call(&registers, |_| in_memory), expected, "call {number}");
    }

    #[test]
    fn the_call_decides() {
        check(SYS_FORK, u64::MAX, None, Some([false, false, false]));
        check(SYS_VFORK, 0, None, Some([false, true, true]));
        check(SYS_CLONE, CLONE_VM | 17, None, Some([false, true, false]));
        check(SYS_CLONE, CLONE_VM | CLONE_THREAD, None, Some([true, true, false]));
        check(SYS_CLONE3, 0x1000, Some(CLONE_VM | CLONE_THREAD), Some([true, true, false]));
        check(SYS_CLONE3, 0x1000, None, None);
        check(0, CLONE_VM, None, None);
        check(COMPAT_FORK, 0, None, Some([false, false, false]));
    }
}
