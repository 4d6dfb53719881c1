//! Waiting for a thread that executes a single instruction.
//!
//! A step is over about as soon as this thread has fallen asleep, and to be woken
//! from another processor costs both sides more than the step. So after a step
//! the children are looked at again and again for a moment. Where that brings
//! nothing several times in a row, since the processors are busy or there is just
//! one, it is left for a while.

use std::time::{Duration, Instant};

use super::sys;

/// How long a step is looked for: more than it takes where a processor is free.
/// Under a hypervisor, which sees the wake and the trap, that is tens of
/// microseconds.
const MOMENT: Duration = Duration::from_micros(150);

/// Failures in a row after which nothing is tried for a while.
const MOST_FAILURES: u32 = 4;

/// Steps that are then slept for at once.
const WHILE: u32 = 256;

/// Whether a step is to be looked for.
#[derive(Default, Debug)]
pub(super) struct StepWatch {
    begun: bool,
    failures: u32,
    left_out: u32,
}

impl StepWatch {
    /// A thread has begun a step.
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    /// The status of a child that has news within the moment after a step began.
    pub(super) fn await_end(&mut self) -> Option<(i32, i32)> {
        if !std::mem::take(&mut self.begun) {
            return None;
        }
        if self.left_out > 0 {
            self.left_out -= 1;
            return None;
        }
        let start = Instant::now();
        loop {
            // What cannot be waited for is found out by who waits in earnest.
            if let Ok(Some(status)) = sys::wait_any() {
                self.failures = 0;
                return Some(status);
            }
            if start.elapsed() > MOMENT {
                break;
            }
            std::hint::spin_loop();
        }
        self.failures += 1;
        if self.failures == MOST_FAILURES {
            (self.failures, self.left_out) = (0, WHILE);
        }
        None
    }
}
