//! Moving and printing x86-64 code.
//!
//! - [`insn`]: what one instruction is and which memory it touches.
//! - [`relocate`]: a copy of one instruction that runs elsewhere and returns.
//! - [`near`]: where, within reach of the code, such copies can be put.
//! - [`trampoline`]: where a patched jump goes.
//! - [`jump`]: which jumps, written over code, lead from given places to ours.
//! - [`disassembly`]: instructions as text.
//!
//! Everything here is pure: it takes bytes and addresses and gives bytes and
//! facts. Writing them into a debuggee, and deciding when, is the engine's.

#![forbid(unsafe_code)]

pub mod disassembly;
pub mod exits;
pub mod insn;
pub mod jump;
pub mod near;
pub mod relocate;
pub mod trampoline;
