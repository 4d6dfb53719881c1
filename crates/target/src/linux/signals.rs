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

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use trapline_core::target::{Result, TargetError, Waker};
use trapline_core::{Pid, Tid};

use super::processes;
use super::sys::{self, Errno, SignalSet, Sys, TRACERS};
use crate::layout::status::Status;

/// The signal that ends a wait. Ignored by default, so that one which arrives
/// at a thread that has stopped tracing does no harm (a real-time signal would
/// kill us), and without another use in this process.
pub(super) const WAKE: i32 = libc::SIGURG;

/// The time between looks at the children while the process has other tracers:
/// a net under the passing on of signals, which a lone tracer (the rule outside
/// tests) does without.
const LOOK_EVERY_AMONG_OTHERS: Duration = Duration::from_millis(20);

/// The time between looks at a thread that should have stopped.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long many threads are left to stop in before the next look at them. Some
/// dozens can in this time.
const PAUSE: Duration = Duration::from_micros(100);

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

/// Tracer threads in this process. Counted apart from their list so that a lone
/// one, the rule outside tests, need not look through it at every stop.
static TRACER_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether there are tracers besides the calling one.
fn others_exist() -> bool {
    TRACER_COUNT.load(Ordering::Acquire) > 1
}

/// A place in the list of tracer threads, held as long as a target lives.
#[derive(Debug)]
pub(super) struct Sleeper {
    place: usize,
    flag: Arc<Flag>,
    /// Whether no child can have news before the next `SIGCHLD` is taken.
    quiet: Cell<bool>,
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
        let free = |place: &&AtomicI32| {
            place.compare_exchange(0, tid, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let place = TRACERS.iter().position(|place| free(&place)).ok_or_else(|| {
            let what = "make another target".to_owned();
            TargetError::Refused { what, why: format!("{} exist", TRACERS.len()) }
        })?;
        TRACER_COUNT.fetch_add(1, Ordering::AcqRel);
        // A tracer that was alone until now may sleep without an end.
        sys::forward_child_signal();
        let flag = Arc::new(Flag { pid, tid, raised: AtomicBool::new(false) });
        Ok(Self { place, flag, quiet: Cell::new(false) })
    }

    /// The handle that wakes this thread.
    pub(super) fn waker(&self) -> Arc<dyn Waker> {
        Arc::clone(&self.flag) as Arc<dyn Waker>
    }

    /// Whether somebody woke us since the last call.
    pub(super) fn take_wake(&self) -> bool {
        self.flag.raised.swap(false, Ordering::AcqRel)
    }

    /// Notes that there is nothing to take from any child: a `SIGCHLD` will
    /// tell of the next news.
    pub(super) fn note_quiet(&self) {
        self.quiet.set(true);
    }

    /// Whether that was noted, and nothing slept for since the last call.
    pub(super) fn take_quiet(&self) -> bool {
        self.quiet.take()
    }

    /// Sleeps until a child has news or somebody wakes us. May return early.
    pub(super) fn sleep(&self) {
        self.sleep_at_most(others_exist().then_some(LOOK_EVERY_AMONG_OTHERS));
    }

    /// Sleeps for a moment, unless somebody wakes us. When many threads are
    /// about to stop, to be woken by each would take the processor from the
    /// others, to find a single one stopped.
    pub(super) fn pause(&self) {
        self.quiet.set(false);
        // The flag says whether it was a wake that came.
        let _wake = SignalSet::of(&[WAKE]).wait(Some(PAUSE));
    }

    /// The next wait status of one thread that is expected to stop at once.
    /// A leader that dies says nothing while other threads are left, so it is
    /// also looked at now and then.
    pub(super) fn wait_for(&self, pid: Pid, tid: Tid) -> Sys<i32> {
        loop {
            if let Some(status) = sys::poll_for(tid.get())? {
                return Ok(status);
            }
            let dead = |status: Status| matches!(status.state, b'Z' | b'X');
            let silent = !self.sleep_at_most(Some(LOOK_EVERY));
            if silent && processes::thread_status(pid, tid).is_none_or(dead) {
                return sys::poll_for(tid.get())?.ok_or(Errno::SRCH);
            }
        }
    }

    /// Whether a signal came.
    fn sleep_at_most(&self, limit: Option<Duration>) -> bool {
        self.quiet.set(false);
        let Some(taken) = ours().wait(limit) else { return false };
        if taken.signal == WAKE {
            // Sent by a waker, whose flag may have been seen already, or by the
            // kernel for input: see `input`.
            self.flag.raised.store(true, Ordering::Release);
        }
        if taken.signal == libc::SIGCHLD && !taken.to_this_thread && others_exist() {
            sys::forward_child_signal();
        }
        true
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(place) = TRACERS.get(self.place) {
            place.store(0, Ordering::Release);
            TRACER_COUNT.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
