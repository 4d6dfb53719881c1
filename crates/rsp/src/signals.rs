//! gdb's own numbering of signals, which every packet uses, and that of Linux
//! on x86-64 (gdb's `include/gdb/signals.def`; signal(7)).
//!
//! A server that said `native-signals+` to lldb sends the system's numbers
//! instead and needs none of this.

/// gdb's number for a signal that has none.
pub const UNKNOWN: u8 = 143;

/// gdb's numbers of Linux's standard signals, by Linux's number.
const STANDARD: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 10, 8, 9, 30, 11, 31, 13, 14, 15, UNKNOWN, 20, 19, 17, 18, 21, 22, 16, 24,
    25, 26, 27, 28, 23, 32, 12,
];
/// Linux's signal for what gdb calls `SIGPOLL`, which it never says itself.
const POLL: (u8, u8) = (33, 29);

/// gdb's number for a signal of Linux; [`UNKNOWN`] for `SIGSTKFLT` and for
/// what is no signal.
pub fn from_linux(signal: u8) -> u8 {
    match signal {
        0..=31 => STANDARD[usize::from(signal)],
        32 => 77,
        33..=63 => signal - 33 + 45,
        64 => 78,
        _ => UNKNOWN,
    }
}

/// Linux's number for a signal of gdb's; `None` where Linux has no such signal.
/// 0, no signal, is 0 in both.
pub fn to_linux(signal: u8) -> Option<u8> {
    match signal {
        45..=75 => return Some(signal - 45 + 33),
        77 => return Some(32),
        78 => return Some(64),
        UNKNOWN => return None,
        _ if signal == POLL.0 => return Some(POLL.1),
        _ => {}
    }
    let at = STANDARD.iter().position(|&known| known == signal)?;
    u8::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(linux: u8, gdb: u8) {
        assert_eq!(from_linux(linux), gdb, "signal {linux} of Linux");
        assert_eq!(to_linux(gdb), Some(linux), "signal {gdb} of gdb");
    }

    #[test]
    fn the_well_known() {
        for (linux, gdb) in [
            (0, 0),
            (1, 1),   // HUP
            (2, 2),   // INT
            (5, 5),   // TRAP
            (6, 6),   // ABRT
            (7, 10),  // BUS
            (8, 8),   // FPE
            (9, 9),   // KILL
            (10, 30), // USR1
            (11, 11), // SEGV
            (12, 31), // USR2
            (15, 15), // TERM
            (17, 20), // CHLD
            (18, 19), // CONT
            (19, 17), // STOP
            (20, 18), // TSTP
            (23, 16), // URG
            (28, 28), // WINCH
            (29, 23), // IO
            (30, 32), // PWR
            (31, 12), // SYS
            (32, 77),
            (33, 45),
            (34, 46),
            (63, 75),
            (64, 78),
        ] {
            check(linux, gdb);
        }
    }

    #[test]
    fn every_signal_but_one_comes_back() {
        for linux in (0..=64).filter(|&linux| linux != 16) {
            check(linux, from_linux(linux));
        }
    }

    #[test]
    fn what_the_other_has_not() {
        assert_eq!(from_linux(16), UNKNOWN);
        assert_eq!(from_linux(65), UNKNOWN);
        assert_eq!(to_linux(7), None);
        assert_eq!(to_linux(76), None);
        assert_eq!(to_linux(UNKNOWN), None);
        assert_eq!(to_linux(255), None);
        assert_eq!(to_linux(33), Some(29));
    }
}
