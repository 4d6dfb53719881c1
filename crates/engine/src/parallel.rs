//! The same work on many items, on all processors.
//!
//! By threads of its own rather than those of a pool: the work may wait for
//! what is done once for all, such as reading an image's index. That uses the
//! pool, and a thread of the pool that waits takes up other work meanwhile,
//! which may wait for the very thing it was doing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

/// Items that a thread takes at a time, and that are not worth another thread.
const BATCH: usize = 32;

/// Does `work` on every item. The answers are in the items' order.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(items.len().div_ceil(BATCH));
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let queue = Mutex::new(items.into_iter().enumerate());
    let take_part = || {
        loop {
            let batch: Vec<(usize, T)> = lock(&queue).by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return;
            }
            let answers: Vec<(usize, R)> =
                batch.into_iter().map(|(at, item)| (at, work(item))).collect();
            lock(&done).extend(answers);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // One that cannot be had leaves more to the others.
            let _started = Builder::new().spawn_scoped(scope, take_part);
        }
        take_part();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, answer)| answer).collect()
}

/// What a thread that panicked left is whole: no work is done under a lock.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items() {
        for count in [0, 1, 31, 32, 33, 1000] {
            let doubled: Vec<usize> = (0..count).map(|item| item * 2).collect();
            assert_eq!(map((0..count).collect(), |item| item * 2), doubled);
        }
    }
}
