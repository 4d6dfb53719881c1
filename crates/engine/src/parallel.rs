//! The same work on many items, on all processors, while what is done is taken
//! in order.
//!
//! By threads of its own rather than those of a pool: the work may wait for
//! what is done once for all, such as finding an image's units. That uses the
//! pool, and a thread of the pool that waits takes up other work meanwhile,
//! which may wait for the very thing it was doing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};
use std::vec;

/// Items that a thread takes at a time, and that are not worth another thread.
const BATCH: usize = 32;

/// Answers of a batch, by its number.
type Answers<R> = (usize, Vec<R>);

/// Does `work` on every item and gives the answers to `take` in the items'
/// order, until it breaks off. The caller's thread takes them as they come, and
/// works too while there is none to take.
pub(crate) fn in_order<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> ControlFlow<()>,
) {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(items.len().div_ceil(BATCH));
    let queue = Mutex::new(Batches { items: items.into_iter(), next: 0 });
    let do_next = &|| {
        // What a thread that panicked left is whole: no work is done under the lock.
        let (number, batch) = queue.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        Some((number, batch.into_iter().map(&work).collect()))
    };
    thread::scope(|scope| {
        let (done, others) = mpsc::channel();
        for _ in 1..threads {
            let done = done.clone();
            let take_part =
                move || while do_next().is_some_and(|answers| done.send(answers).is_ok()) {};
            // One that cannot be had leaves more to the others.
            let _started = Builder::new().spawn_scoped(scope, take_part);
        }
        drop(done);
        let mut early = BTreeMap::new();
        for number in 0.. {
            let Some(answers) = await_batch(number, &mut early, &others, do_next) else { return };
            if answers.into_iter().try_for_each(&mut take).is_break() {
                return;
            }
        }
    });
}

/// The answers of a batch; `None` after the last.
fn await_batch<R>(
    number: usize,
    early: &mut BTreeMap<usize, Vec<R>>,
    others: &Receiver<Answers<R>>,
    do_next: impl Fn() -> Option<Answers<R>>,
) -> Option<Vec<R>> {
    loop {
        early.extend(others.try_iter());
        if let Some(answers) = early.remove(&number) {
            return Some(answers);
        }
        // With nothing left to do here it is the others' to finish.
        early.extend([do_next().or_else(|| others.recv().ok())?]);
    }
}

/// What is still to be done.
struct Batches<T> {
    items: vec::IntoIter<T>,
    /// The number of the next batch.
    next: usize,
}

impl<T> Iterator for Batches<T> {
    type Item = (usize, Vec<T>);

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Vec<T> = self.items.by_ref().take(BATCH).collect();
        self.next += 1;
        (!batch.is_empty()).then_some((self.next - 1, batch))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// The answers that are taken when it is broken off after `most` of them.
    fn check(count: usize, most: usize) {
        let mut taken = Vec::new();
        let take = |answer| {
            taken.push(answer);
            if taken.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        in_order((0..count).collect(), |item| item * 2, take);
        let expected: Vec<usize> = (0..count.min(most)).map(|item| item * 2).collect();
        assert_eq!(taken, expected, "{count} items, {most} taken");
    }

    #[test]
    fn answers_come_in_the_order_of_the_items_until_broken_off() {
        for count in [0, 1, 31, 32, 33, 1000] {
            check(count, usize::MAX);
        }
        for most in [1, 32, 500] {
            check(1000, most);
        }
    }

    #[test]
    fn a_panic_of_the_work_reaches_the_caller() {
        for bad in [0, 40, 999] {
            let work = |item: usize| assert_ne!(item, bad, "the work panics");
            let all = (0..1000).collect();
            let run = AssertUnwindSafe(|| in_order(all, work, |()| ControlFlow::Continue(())));
            assert!(catch_unwind(run).is_err());
        }
    }
}
