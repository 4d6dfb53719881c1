//! What a wait status says, with no system call: pure, and tested by tables.
//! ptrace(2), "Stopped states".

use trapline_core::stop::{ExitStatus, Signal};

use crate::layout::siginfo::{self, RawSigInfo};

/// A wait status, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The thread is gone.
    Ended(ExitStatus),
    /// It stopped.
    Stopped(Stop),
    /// Nothing a tracer asked for.
    Unknown(i32),
}

/// Why a thread stopped, as far as the wait status says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// A signal is about to be delivered; `SIGTRAP` may be the processor's.
    Signal(Signal),
    /// The process is in a group stop by this signal.
    Group(Signal),
    /// It trapped because it was told to, because it is new, or because a group
    /// stop ended.
    Trap,
    /// It made a thread or process. Which of the three events the kernel chose
    /// says nothing reliable and is dropped.
    NewChild,
    /// It became another program.
    Exec,
    /// It is about to exit.
    Exit,
    /// Entry or exit of a system call.
    SystemCall,
    /// An event that nobody asked for.
    OtherEvent(i32),
}

const EVENT_FORK: i32 = 1;
const EVENT_VFORK: i32 = 2;
const EVENT_CLONE: i32 = 3;
const EVENT_EXEC: i32 = 4;
const EVENT_EXIT: i32 = 6;
const EVENT_STOP: i32 = 128;

/// Set in the signal number of a system call stop by `PTRACE_O_TRACESYSGOOD`.
const SYSTEM_CALL_BIT: i32 = 0x80;

/// Decodes a status of waitpid(2).
pub fn decode(status: i32) -> Status {
    match status & 0xff {
        0x7f => Status::Stopped(decode_stop(status >> 16, (status >> 8) & 0xff)),
        0 => Status::Ended(ExitStatus::Exited((status >> 8) & 0xff)),
        low if status & 0xff00 == 0 && (1..=64).contains(&(low & 0x7f)) => {
            Status::Ended(ExitStatus::Signalled {
                signal: Signal(low & 0x7f),
                core_dumped: low & 0x80 != 0,
            })
        }
        _ => Status::Unknown(status),
    }
}

fn decode_stop(event: i32, signal: i32) -> Stop {
    match event {
        0 if signal == Signal::TRAP.0 | SYSTEM_CALL_BIT => Stop::SystemCall,
        0 => Stop::Signal(Signal(signal)),
        EVENT_FORK | EVENT_VFORK | EVENT_CLONE => Stop::NewChild,
        EVENT_EXEC => Stop::Exec,
        EVENT_EXIT => Stop::Exit,
        EVENT_STOP if signal == Signal::TRAP.0 => Stop::Trap,
        EVENT_STOP => Stop::Group(Signal(signal)),
        other => Stop::OtherEvent(other),
    }
}

/// What a `SIGTRAP` was for, by its siginfo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// `int3` or `CD 03`.
    Breakpoint,
    /// A debug exception; the debug status register says which.
    Debug,
    /// An `int1`, or the single step over a system call: the kernel says the
    /// same for both.
    Int1OrStep,
    /// A step that delivered a signal ended before its handler's first
    /// instruction.
    HandlerBegins,
    /// Somebody sent it.
    Sent,
}

/// Tells the processor's traps from signals that were sent.
pub fn trap(info: &RawSigInfo) -> Trap {
    match info.code() {
        siginfo::SI_KERNEL => Trap::Breakpoint,
        siginfo::TRAP_TRACE | siginfo::TRAP_HWBKPT => Trap::Debug,
        siginfo::TRAP_BRKPT => Trap::Int1OrStep,
        siginfo::TRAP_HANDLER => Trap::HandlerBegins,
        _ => Trap::Sent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(event: i32, signal: i32) -> i32 {
        0x7f | (signal << 8) | (event << 16)
    }

    fn check(status: i32, expected: Status) {
        assert_eq!(decode(status), expected, "{status:#x}");
    }

    #[test]
    fn endings() {
        let killed = |signal, core_dumped| {
            Status::Ended(ExitStatus::Signalled { signal: Signal(signal), core_dumped })
        };
        check(0, Status::Ended(ExitStatus::Exited(0)));
        check(0x0300, Status::Ended(ExitStatus::Exited(3)));
        check(0xff00, Status::Ended(ExitStatus::Exited(255)));
        check(9, killed(9, false));
        check(0x8b, killed(11, true));
        check(34, killed(34, false));
        check(64, killed(64, false));
        check(0x80 | 64, killed(64, true));
    }

    #[test]
    fn stops() {
        let stopped = |status, expected| check(status, Status::Stopped(expected));
        for signal in [1, 5, 11, 19, 32, 34, 64] {
            stopped(stop(0, signal), Stop::Signal(Signal(signal)));
        }
        stopped(stop(0, 5 | 0x80), Stop::SystemCall);
        for event in [EVENT_FORK, EVENT_VFORK, EVENT_CLONE] {
            stopped(stop(event, 5), Stop::NewChild);
        }
        stopped(stop(EVENT_EXEC, 5), Stop::Exec);
        stopped(stop(5, 5), Stop::OtherEvent(5));
        stopped(stop(EVENT_EXIT, 5), Stop::Exit);
        stopped(stop(EVENT_STOP, 5), Stop::Trap);
        for signal in [19, 20, 21, 22] {
            stopped(stop(EVENT_STOP, signal), Stop::Group(Signal(signal)));
        }
    }

    #[test]
    fn a_continued_process_is_not_a_stop() {
        check(0xffff, Status::Unknown(0xffff));
    }

    #[test]
    fn traps_are_told_apart_by_their_code() {
        let cases = [
            (0x80, Trap::Breakpoint),
            (1, Trap::Int1OrStep),
            (2, Trap::Debug),
            (4, Trap::Debug),
            (5, Trap::HandlerBegins),
            (0, Trap::Sent),
            (-1, Trap::Sent),
            (-6, Trap::Sent),
        ];
        for (code, expected) in cases {
            let mut raw = [0; siginfo::SIZE];
            raw[0] = 5;
            raw[8..12].copy_from_slice(&i32::to_le_bytes(code));
            assert_eq!(trap(&RawSigInfo(raw)), expected, "code {code}");
        }
    }
}
