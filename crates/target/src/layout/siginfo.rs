//! `siginfo_t` as the kernel lays it out on x86-64. sigaction(2).

use trapline_core::Pid;
use trapline_core::stop::{Signal, SignalInfo};

/// Bytes of `siginfo_t`.
pub const SIZE: usize = 128;

/// `si_code` of a signal raised by the kernel itself; an `int3` has it.
pub const SI_KERNEL: i32 = 0x80;
/// `si_code` of a signal from tgkill(2).
pub const SI_TKILL: i32 = -6;
/// `si_code` of an `int1`, and of a single step over a system call.
pub const TRAP_BRKPT: i32 = 1;
/// `si_code` of a single step.
pub const TRAP_TRACE: i32 = 2;
/// `si_code` of the stop at the first instruction of a signal's handler, when
/// the signal was delivered with a step: the kernel puts the signal's number
/// there (kernel/signal.c, `ptrace_notify`).
pub const TRAP_HANDLER: i32 = 5;
/// `si_code` of a debug register's match.
pub const TRAP_HWBKPT: i32 = 4;

const SI_USER: i32 = 0;
const SI_QUEUE: i32 = -1;
const SI_MESGQ: i32 = -3;

/// The bytes of one `siginfo_t`, kept whole so that a signal can be delivered
/// later exactly as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawSigInfo(pub [u8; SIZE]);

impl RawSigInfo {
    /// The signal.
    pub fn signal(&self) -> Signal {
        Signal(self.int(0))
    }

    /// `si_code`.
    pub fn code(&self) -> i32 {
        self.int(8)
    }

    /// `si_pid`, whether or not this signal has one.
    pub fn pid_field(&self) -> i32 {
        self.int(16)
    }

    /// Whether this describes a ptrace event rather than a signal: the event's
    /// number is above the low byte.
    pub fn is_event(&self) -> bool {
        self.signal() == Signal::TRAP && self.code() > 0xff
    }

    /// What it says, in the core's words.
    pub fn decode(&self) -> SignalInfo {
        let (signal, code) = (self.signal(), self.code());
        let sent = matches!(code, SI_USER | SI_QUEUE | SI_TKILL | SI_MESGQ);
        let of_a_child = signal == Signal::CHLD && code > 0;
        let has_address =
            matches!(signal, Signal::ILL | Signal::BUS | Signal::FPE | Signal::SEGV | Signal::TRAP);
        SignalInfo {
            signal,
            code,
            address: (has_address && self.is_raised()).then(|| self.address()),
            sender: (sent || of_a_child).then(|| Pid::new(self.pid_field())),
        }
    }

    /// The same from the instruction at `to`, if an instruction at `from` has
    /// raised it. `SIGSEGV` and `SIGBUS` name data instead. sigaction(2):
    /// `si_addr`, `si_call_addr`.
    pub fn with_origin(mut self, from: u64, to: u64) -> Option<Self> {
        let names_code =
            matches!(self.signal(), Signal::ILL | Signal::FPE | Signal::TRAP | Signal::SYS);
        if !names_code || !self.is_raised() || self.address() != from {
            return None;
        }
        self.0[16..24].copy_from_slice(&to.to_le_bytes());
        Some(self)
    }

    /// Whether an instruction raised it and it says which, or on what data.
    fn is_raised(&self) -> bool {
        self.code() > 0 && self.code() != SI_KERNEL
    }

    fn int(&self, offset: usize) -> i32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[offset..offset + 4]);
        i32::from_le_bytes(bytes)
    }

    fn address(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[16..24]);
        u64::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(signal: i32, code: i32, word: u64) -> RawSigInfo {
        let mut bytes = [0; SIZE];
        bytes[..4].copy_from_slice(&signal.to_le_bytes());
        bytes[8..12].copy_from_slice(&code.to_le_bytes());
        bytes[16..24].copy_from_slice(&word.to_le_bytes());
        RawSigInfo(bytes)
    }

    fn check(signal: i32, code: i32, address: Option<u64>, sender: Option<i32>) {
        let info = raw(signal, code, 0x1234).decode();
        let sender = sender.map(Pid::new);
        assert_eq!(info, SignalInfo { signal: Signal(signal), code, address, sender });
    }

    #[test]
    fn the_meaning_of_the_union_follows_signal_and_code() {
        check(11, 1, Some(0x1234), None);
        check(11, SI_KERNEL, None, None);
        check(11, SI_USER, None, Some(0x1234));
        check(5, SI_TKILL, None, Some(0x1234));
        check(17, 1, None, Some(0x1234));
        check(14, SI_KERNEL, None, None);
        check(34, -2, None, None);
        check(34, SI_QUEUE, None, Some(0x1234));
    }

    #[test]
    fn only_a_signal_that_names_code_changes_its_origin() {
        let check = |signal, code, from, changed: bool| {
            let expected = changed.then(|| raw(signal, code, 0x5678));
            assert_eq!(raw(signal, code, 0x1234).with_origin(from, 0x5678), expected);
        };
        for signal in [4, 5, 8, 31] {
            check(signal, 1, 0x1234, true);
            check(signal, 1, 0x1235, false);
            check(signal, SI_TKILL, 0x1234, false);
            check(signal, SI_KERNEL, 0x1234, false);
        }
        check(11, 1, 0x1234, false);
        check(7, 1, 0x1234, false);
    }

    #[test]
    fn events_are_no_signals() {
        assert!(raw(5, 5 | (6 << 8), 0).is_event());
        assert!(!raw(5, SI_KERNEL, 0).is_event());
        assert!(!raw(11, 1, 0).is_event());
    }
}
