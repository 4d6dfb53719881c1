//! Why a thread stopped, as facts: what the processor and the kernel said,
//! before any policy of ours.

use std::fmt;

use crate::ids::{Pid, Tid};
use crate::x64::debug::DebugStatus;

/// A signal number of the debuggee's system (Linux numbering on Linux).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(pub i32);

/// The standard signals of Linux x86-64. signal(7).
const SIGNAL_NAMES: [&str; 32] = [
    "",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

#[expect(missing_docs, reason = "the names are the system's own")]
impl Signal {
    pub const HUP: Self = Self(1);
    pub const INT: Self = Self(2);
    pub const QUIT: Self = Self(3);
    pub const ILL: Self = Self(4);
    pub const TRAP: Self = Self(5);
    pub const ABRT: Self = Self(6);
    pub const BUS: Self = Self(7);
    pub const FPE: Self = Self(8);
    pub const KILL: Self = Self(9);
    pub const USR1: Self = Self(10);
    pub const SEGV: Self = Self(11);
    pub const ALRM: Self = Self(14);
    pub const CHLD: Self = Self(17);
    pub const CONT: Self = Self(18);
    pub const STOP: Self = Self(19);
    pub const TSTP: Self = Self(20);
    pub const XCPU: Self = Self(24);
    pub const XFSZ: Self = Self(25);
    pub const SYS: Self = Self(31);
    /// The highest signal number.
    pub const MAX: Self = Self(64);
    /// Those that an instruction raises itself. signal(7).
    pub const RAISED: [Self; 6] =
        [Self::ILL, Self::TRAP, Self::BUS, Self::FPE, Self::SEGV, Self::SYS];
    /// Those that end a process which does nothing about them with a core file.
    /// signal(7).
    pub const DUMPING: [Self; 10] = [
        Self::QUIT,
        Self::ILL,
        Self::TRAP,
        Self::ABRT,
        Self::BUS,
        Self::FPE,
        Self::SEGV,
        Self::XCPU,
        Self::XFSZ,
        Self::SYS,
    ];
}

impl Signal {
    /// The signal with a name as gdb spells it (`SIGUSR1`, `SIG34`), with or
    /// without `SIG`.
    pub fn parse(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Ok(number) = bare.parse::<i32>() {
            return (1..=Self::MAX.0).contains(&number).then_some(Self(number));
        }
        let index =
            SIGNAL_NAMES.iter().position(|known| known.strip_prefix("SIG") == Some(bare))?;
        i32::try_from(index).ok().map(Self)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0).ok().and_then(|index| SIGNAL_NAMES.get(index)) {
            Some(name) if !name.is_empty() => f.write_str(name),
            _ => write!(f, "SIG{}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A signal with what the kernel knows of its origin. sigaction(2), siginfo_t.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalInfo {
    /// Which.
    pub signal: Signal,
    /// `si_code`: positive from the kernel, zero or negative from a process.
    pub code: i32,
    /// The faulting address, for signals raised by an instruction.
    pub address: Option<u64>,
    /// Who sent it, for signals sent by a process.
    pub sender: Option<Pid>,
}

impl SignalInfo {
    /// Whether an instruction raised it, so that its address belongs to it.
    pub fn is_raised(&self) -> bool {
        self.code > 0 && Signal::RAISED.contains(&self.signal)
    }
}

/// Why one thread stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StopCause {
    /// First stop of a thread that begins (or was attached to): nothing of
    /// ours ran yet.
    Started,
    /// A breakpoint instruction (`int3`, or `CD 03`) ran; the pc is after it.
    Breakpoint,
    /// An `int1` (`F1`) ran; the pc is after it.
    Int1,
    /// A debug exception: a single step ended, a debug register matched, or
    /// both.
    Debug(DebugStatus),
    /// A signal is about to be delivered; resuming with it delivers it.
    Signal(SignalInfo),
    /// The whole process was stopped by this signal (job control).
    GroupStop(Signal),
    /// We asked for it.
    Interrupted,
    /// The thread made a new thread, which reports its own [`Self::Started`].
    Cloned {
        /// The new thread.
        child: Tid,
    },
    /// The thread made a new process, which reports its own [`Self::Started`].
    Forked {
        /// The new process.
        child: Pid,
        /// Whether the child runs in the parent's memory. Decided by the flags
        /// of the call, never by which event the kernel sent.
        shares_memory: bool,
        /// Whether the parent waits until the child has let go of its memory.
        /// The target keeps such a parent stopped in the meantime.
        vfork: bool,
    },
    /// The process became another program; all its other threads are gone.
    Executed {
        /// The thread that called `exec`, which now bears the leader's number.
        former: Tid,
    },
    /// The thread is about to exit and runs no more of the program's code.
    Exiting,
    /// The thread stands at the entry of a system call, or at its exit, while
    /// those are asked for.
    SystemCall {
        /// `true` at the entry.
        entry: bool,
        /// Its number.
        number: u64,
    },
}

/// How a process or thread ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// It returned this code.
    Exited(i32),
    /// A signal killed it.
    Signalled {
        /// Which.
        signal: Signal,
        /// Whether a core file was written.
        core_dumped: bool,
    },
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signalled { signal, core_dumped } => {
                write!(f, "killed by {signal}")?;
                if *core_dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_read_back_by_name() {
        for number in 1..=Signal::MAX.0 {
            let signal = Signal(number);
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
        }
        assert_eq!(Signal::parse("usr1"), Some(Signal::USR1));
        assert_eq!(Signal::parse("SIG65"), None);
        assert_eq!(Signal::parse("SIG"), None);
    }
}
