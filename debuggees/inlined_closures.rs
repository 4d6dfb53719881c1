//! Functions, methods and closures that the compiler puts inline.
//! Usage: inlined_closures
//! Prints: total=N

use std::sync::atomic::{AtomicI32, Ordering};

static SINK: AtomicI32 = AtomicI32::new(0);

mod money {
    use super::{Ordering, SINK};

    pub struct Amount {
        cents: i32,
    }

    impl Amount {
        #[inline(always)]
        pub fn new(cents: i32) -> Self {
            SINK.store(cents, Ordering::SeqCst); // @mark new
            Self { cents }
        }

        #[inline(always)]
        pub fn add(&mut self, other: i32) {
            SINK.fetch_add(other, Ordering::SeqCst); // @mark add
            self.cents += other;
        }

        #[inline(never)]
        pub fn value(&self) -> i32 {
            SINK.fetch_add(1, Ordering::SeqCst); // @mark value
            self.cents
        }
    }
}

#[inline(always)]
fn applied(function: impl Fn(i32) -> i32, times: i32) -> i32 {
    let mut last = 0;
    let mut turn = 0;
    while turn < times {
        last += function(turn); // @mark applied
        turn += 1;
    }
    last
}

#[inline(never)]
fn total(start: i32) -> i32 {
    let mut sum = money::Amount::new(start);
    let extra = applied(
        |turn| {
            SINK.fetch_add(turn, Ordering::SeqCst); // @mark closure
            turn * start
        },
        2,
    );
    sum.add(extra); // @mark added
    sum.value()
}

fn main() {
    println!("total={}", total(5));
}
