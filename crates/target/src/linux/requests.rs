//! The signals by which a user or the system asks the debugger itself to
//! interrupt the program or to end.
//!
//! They are waited for rather than handled: a handler runs in whatever thread
//! the kernel picks, and that may get no processor for seconds while a tracer
//! in the real-time class and many busy threads of the debuggee have them all.

use trapline_core::stop::Signal;

use super::signals::block_signals;
use super::sys::{Scheduling, SignalSet};

/// Asked for by a key (`SIGINT`, `SIGQUIT`), by another process (`SIGTERM`), by
/// the end of the terminal (`SIGHUP`), and all that would kill us by default
/// while a program still holds our traps, other than for a fault. signal(7).
const REQUESTS: [i32; 10] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGXCPU,
    libc::SIGPWR,
];

/// The kept signals. While one of these lives they do nothing else to the
/// process.
#[derive(Debug)]
pub struct Requests(());

impl Requests {
    /// Keeps the signals from the calling thread and from those it starts from
    /// now on; programs that are launched get them as ever. A thread that was
    /// there before must not be: the kernel would take it for one that wants
    /// them.
    pub fn keep() -> Self {
        // What is blocked before this is what launched programs get.
        block_signals();
        SignalSet::of(&REQUESTS).block();
        Self(())
    }

    /// The signals, as they come, to be waited for by the calling thread,
    /// which from here on runs ahead of ordinary ones where the system allows
    /// it.
    pub fn wait(self) -> impl Iterator<Item = Signal> {
        let _as_it_was = Scheduling::REAL_TIME.apply() || Scheduling::AHEAD.apply();
        std::iter::repeat_with(|| SignalSet::of(&REQUESTS).wait(None))
            .filter_map(|taken| Some(Signal(taken?.signal)))
    }
}
