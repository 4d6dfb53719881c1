//! Expressions as machine code: the processor has to be of the interpreter's
//! opinion. The first two bytes choose the memory, the others the expressions.

#![no_main]
#![allow(dead_code, reason = "the tests beside the generator use more of it")]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/expr/tests/native/differential.rs"]
mod differential;
#[path = "../../crates/expr/tests/native/grammar.rs"]
mod grammar;
#[path = "../../crates/expr/tests/native/judge.rs"]
mod judge;
#[path = "../../crates/expr/tests/native/listing.rs"]
mod listing;
#[path = "../../crates/expr/tests/native/random.rs"]
mod random;
#[path = "../../crates/expr/tests/support/mod.rs"]
mod support;
#[path = "../../crates/expr/tests/native/world.rs"]
mod world;

thread_local! {
    static JUDGE: RefCell<judge::Judge> = RefCell::new(judge::Judge::start());
}

fuzz_target!(|input: (u16, Vec<u8>)| {
    let (memory, choices) = input;
    JUDGE.with_borrow_mut(|judge| {
        let mut memory = random::Random::new(memory.into());
        let world = world::World::random(&mut memory, judge.fs_base, judge.tls);
        let mut random = random::Random::from_bytes(1, choices);
        let mut totals = differential::Totals::default();
        let done = differential::batch(judge, &world, &mut random, 2, &mut totals);
        done.unwrap_or_else(|wrong| panic!("{wrong}"));
    });
});
