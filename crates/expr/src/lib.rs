//! Trapline's expression language: C-like, with Rust spellings accepted.
//!
//! Text goes through four steps, each usable on its own:
//! [`parse()`] makes a syntax tree, [`check()`] resolves names through a [`Scope`]
//! and lowers the tree to a typed, verified [`ir::Program`],
//! [`interp::evaluate`] runs that program against a stopped thread (its
//! meaning is the reference for every other way to run it), and
//! [`format::format_value`] prints what came out. [`template`] does log
//! messages with expressions inside. [`views`] says how the values of library
//! types are seen. [`native`] makes machine code of programs
//! that the debuggee itself is to run at every pass.
//!
//! It knows no debug format and no operating system: names, memory, registers
//! and the debugger's own inputs all come through traits.

#![forbid(unsafe_code)]

pub mod ast;
pub mod builtin;
mod check;
mod error;
pub mod format;
pub mod interp;
pub mod ir;
mod layout;
mod lexer;
pub mod limits;
pub mod native;
mod parse;
mod print;
mod scope;
pub mod template;
mod value;
pub mod views;

pub use ast::{Ast, Path};
pub use check::{Purpose, check};
pub use error::Error;
pub use interp::{EvalError, InputValue, Machine, condition, evaluate, take_bits_in_place};
pub use ir::{Input, Program};
pub use parse::{fuzz_parse, parse};
pub use scope::{Binding, Scope};
pub use value::{OPTIMIZED_OUT, Value, ValuePlace};
pub use views::Views;

/// Parses and checks in one go.
///
/// # Errors
/// What [`parse()`] and [`check()`] say.
pub fn compile(text: &str, scope: &dyn Scope, purpose: Purpose) -> Result<Program, Error> {
    check(&parse(text)?, scope, purpose)
}
