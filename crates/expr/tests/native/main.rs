//! Code for predicates: what it looks like, what there is none for, and whether
//! the processor is of the interpreter's opinion.

#[path = "../support/mod.rs"]
mod support;

mod differential;
mod grammar;
mod judge;
mod listing;
mod random;
mod world;
