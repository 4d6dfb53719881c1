//! System calls that fail with `EINTR` when a thread is merely stopped and
//! resumed. signal(7), "Interruption of system calls and library functions by
//! stop signals".
//!
//! Most calls return one of the kernel's internal restart codes when something
//! interrupts them, and start over when no handler runs. These return `EINTR`
//! at once, so a stop of ours would reach the program as an error that it
//! never saw without a debugger.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(orig_rax: i64, rax: i64, expected: Option<i64>) {
        let mut registers = Registers { orig_rax: orig_rax.cast_unsigned(), ..Default::default() };
        registers.general[0] = rax.cast_unsigned();
        assert_eq!(restarted_rax(&registers).map(u64::cast_signed), expected);
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
