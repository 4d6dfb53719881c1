//! gdb's agent expressions: the bytecode in which conditions and commands of
//! breakpoints travel (GDB manual, appendix "The GDB Agent Expression
//! Mechanism").
//!
//! [`Program::decode`] checks it and its jumps, once; [`Program::run`] says what
//! it means, and is the reference for whoever translates it. Values are 64 bits
//! wide and of no type; memory is little-endian. What collects trace data is
//! decoded and printed, and fails when it is run.

mod decode;
mod interpret;
mod op;
mod printf;

#[cfg(test)]
mod tests;

pub use decode::{BadCode, BadCodeKind, Program};
pub use interpret::{Fault, Limits, Machine};
pub use op::{Binary, Op, Tracing};
