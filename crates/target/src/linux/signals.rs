//! How the tracer thread sleeps and is woken.
//!
//! A tracer blocks `SIGCHLD` and the wake signal, and takes them with
//! `sigtimedwait`: a signal that comes between the last look at the children
//! and the sleep stays pending, so none is lost.
//!
//! `SIGCHLD` goes to the process, so any thread may take it: other tracers
//! (several targets in one process, as in tests) or a thread that does not
//! block it. Whoever takes it passes it on to every tracer, addressed to the
//! thread; a signal that was so addressed is not passed on again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use trapline_core::target::{Result, TargetError, Waker};

use super::sys::{self, SignalSet, TRACERS};

/// The signal that ends a wait. Ignored by default, so that one which arrives
/// at a thread that has stopped tracing does no harm (a real-time signal would
/// kill us), and without another use in this process.
const WAKE: i32 = libc::SIGURG;

/// The mask that the process began with, which its children get.
static INITIAL: OnceLock<SignalSet> = OnceLock::new();

fn ours() -> SignalSet {
    SignalSet::of(&[libc::SIGCHLD, WAKE])
}

/// Blocks the tracer's signals in the calling thread and in the threads it
/// makes from now on. Called first thing in `main`, it spares every later
/// thread of ours the passing on of signals; nothing is lost without it.
pub fn block_signals() {
    let before = ours().block();
    INITIAL.get_or_init(|| before);
}

/// The mask for programs that we start.
pub(super) fn initial_mask() -> SignalSet {
    *INITIAL.get_or_init(|| SignalSet::of(&[]))
}

/// A place in the list of tracer threads, held as long as a target lives.
#[derive(Debug)]
pub(super) struct Sleeper {
    place: usize,
    flag: Arc<Flag>,
}

#[derive(Debug)]
struct Flag {
    pid: i32,
    tid: i32,
    raised: AtomicBool,
}

impl Waker for Flag {
    fn wake(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            // A tracer that is gone needs no waking.
            let _gone = sys::tgkill(self.pid, self.tid, WAKE);
        }
    }
}

impl Sleeper {
    /// Makes the calling thread a tracer.
    pub(super) fn new() -> Result<Self> {
        block_signals();
        sys::install_child_handler();
        let (pid, tid) = (sys::own_pid(), sys::own_tid());
        let free = |place: &&std::sync::atomic::AtomicI32| {
            place.compare_exchange(0, tid, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let place = TRACERS.iter().position(|place| free(&place)).ok_or_else(|| {
            let what = "make another target".to_owned();
            TargetError::Refused { what, why: format!("{} exist", TRACERS.len()) }
        })?;
        let flag = Arc::new(Flag { pid, tid, raised: AtomicBool::new(false) });
        Ok(Self { place, flag })
    }

    /// The handle that wakes this thread.
    pub(super) fn waker(&self) -> Arc<dyn Waker> {
        Arc::clone(&self.flag) as Arc<dyn Waker>
    }

    /// Whether somebody woke us since the last call.
    pub(super) fn take_wake(&self) -> bool {
        self.flag.raised.swap(false, Ordering::AcqRel)
    }

    /// Sleeps until a child has news or somebody wakes us. May return early.
    pub(super) fn sleep(&self) {
        if let Some(taken) = ours().wait(None)
            && taken.signal == libc::SIGCHLD
            && !taken.to_this_thread
        {
            sys::forward_child_signal();
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(place) = TRACERS.get(self.place) {
            place.store(0, Ordering::Release);
        }
    }
}
