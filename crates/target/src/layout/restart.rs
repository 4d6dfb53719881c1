//! System calls that fail with `EINTR` when a thread is merely stopped and
//! resumed. signal(7), "Interruption of system calls and library functions by
//! stop signals".
//!
//! Most calls return one of the kernel's internal restart codes when something
//! interrupts them, and start over when no handler runs. These return `EINTR`
//! at once, so a stop of ours would reach the program as an error that it
//! never saw without a debugger.

use trapline_core::VirtAddr;
use trapline_core::x64::Registers;

const EINTR: i64 = -4;

/// The kernel's internal code for "start over unless a handler runs, then
/// `EINTR`". Linux, include/linux/errno.h.
const ERESTARTNOHAND: i64 = -514;

/// The calls, by number. Calls on sockets are here for those with a timeout
/// (`SO_RCVTIMEO`, `SO_SNDTIMEO`). `close` must not be: its descriptor is gone
/// even when it says `EINTR`.
const CALLS: [u64; 24] = [
    0,   // read
    1,   // write
    19,  // readv
    20,  // writev
    42,  // connect
    43,  // accept
    44,  // sendto
    45,  // recvfrom
    46,  // sendmsg
    47,  // recvmsg
    65,  // semop
    128, // rt_sigtimedwait
    208, // io_getevents
    220, // semtimedop
    232, // epoll_wait
    281, // epoll_pwait
    288, // accept4
    299, // recvmmsg
    307, // sendmmsg
    333, // io_pgetevents
    426, // io_uring_enter
    441, // epoll_pwait2
    69,  // msgsnd
    70,  // msgrcv
];

/// The value of `rax` with which the interrupted call starts over when no
/// handler runs, and still fails with `EINTR` when one does; `None` when
/// nothing needs changing.
///
/// The call starts over with the timeout it was given.
pub fn restarted_rax(registers: &Registers) -> Option<u64> {
    let interrupted = registers.rax().cast_signed() == EINTR;
    (interrupted && CALLS.contains(&registers.orig_rax)).then_some(ERESTARTNOHAND.cast_unsigned())
}

/// The kernel's internal codes for "start over", `ERESTARTSYS` to
/// `ERESTART_RESTARTBLOCK`. Linux, include/linux/errno.h.
const RESTART_CODES: [i64; 4] = [-512, -513, ERESTARTNOHAND, -516];

/// Bytes of a `syscall` instruction.
const SYSCALL_LEN: u64 = 2;

/// The `syscall` instruction that a thread goes back to when it is resumed
/// with no handler to run.
pub fn starts_over_at(registers: &Registers) -> Option<VirtAddr> {
    let in_call = registers.orig_rax.cast_signed() >= 0;
    let starts_over = in_call && RESTART_CODES.contains(&registers.rax().cast_signed());
    starts_over.then(|| VirtAddr::new(registers.rip.wrapping_sub(SYSCALL_LEN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(orig_rax: i64, rax: i64, expected: Option<i64>) {
        let mut registers = Registers { orig_rax: orig_rax.cast_unsigned(), ..Default::default() };
        registers.general[0] = rax.cast_unsigned();
        assert_eq!(restarted_rax(&registers).map(u64::cast_signed), expected);
    }

    #[test]
    fn a_call_starts_over_at_its_own_instruction() {
        let place = |orig_rax: i64, rax: i64| {
            let orig_rax = orig_rax.cast_unsigned();
            let mut registers = Registers { orig_rax, rip: 0x1002, ..Default::default() };
            registers.general[0] = rax.cast_unsigned();
            starts_over_at(&registers)
        };
        assert_eq!(place(0, -512), Some(VirtAddr::new(0x1000)));
        assert_eq!(place(35, -516), Some(VirtAddr::new(0x1000)));
        assert_eq!(place(0, EINTR), None);
        assert_eq!(place(-1, -512), None);
    }

    #[test]
    fn only_an_interrupted_listed_call_is_restarted() {
        check(232, EINTR, Some(ERESTARTNOHAND));
        check(45, EINTR, Some(ERESTARTNOHAND));
        check(232, 3, None);
        check(232, -512, None);
        check(3, EINTR, None);
        check(-1, EINTR, None);
    }
}
