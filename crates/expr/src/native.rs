//! Machine code from typed programs: what decides about a pass inside the
//! debuggee. The interpreter is the meaning; code that cannot be sure of being
//! of its opinion asks, and what has no code here says why.
//!
//! A program becomes a [`tree`] of few kinds of operations (`lower`, `place`),
//! and the tree x86-64 code (`generate` and what is beside it). Where the code
//! goes and who saves the registers is [`trapline_core::predicate`]'s to say.

use std::fmt;
use std::sync::Arc;

use trapline_core::ids::ModuleId;
use trapline_core::predicate::Predicate;

use crate::ir::{Input, Program};

mod address;
mod asm;
mod build;
mod compare;
mod divide;
mod float;
mod generate;
mod lower;
mod operand;
mod place;
mod ranges;
mod reciprocal;
mod registers;
mod remembered;
mod text;
mod tree;
mod word;

/// One owner of a site: what it asks at a pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clause<'a> {
    /// Asked first; when it says false, nothing else is.
    pub filter: Option<&'a Program>,
    /// Asked next.
    pub condition: Option<&'a Program>,
    /// Asked last: whether this value is another than at the last pass.
    pub changed: Option<&'a Program>,
    /// Word of the thread's row (an offset in bytes) that pays for quiet hits;
    /// without one every hit asks.
    pub credit: Option<u32>,
    /// Addresses of the [`cell`]s of the condition's `$_changed`, by slot.
    pub slots: &'a [u64],
    /// Address of the [`cell`] of `changed`.
    pub last: u64,
}

/// Memory of ours that holds a value of the last pass. Whoever writes it makes
/// it invalid first and valid last.
pub mod cell {
    /// 8 bytes: 1 more than the length of the value; 0 while there is none.
    pub const LENGTH_AT: u64 = 0;
    /// The bytes of the value.
    pub const VALUE_AT: u64 = 8;
    /// Most bytes of a value; a longer one is never in a cell.
    pub const MAX_VALUE: u64 = 120;
    /// Bytes of a cell.
    pub const SIZE: u64 = VALUE_AT + MAX_VALUE;
}

/// Where code of ours finds what the debugger knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InputPlace {
    /// A number that never changes.
    Number(u64),
    /// A text that never changes.
    Text(Arc<str>),
    /// 4 bytes of the thread's row, from this offset on.
    Row(u32),
    /// Nowhere: the debugger has to be asked, for this reason.
    Unknown(String),
}

/// What is known about the place that the code is for.
pub trait Environment {
    /// Where an input is.
    fn input(&self, input: Input) -> InputPlace;

    /// Bytes from the thread pointer to a thread-local variable, where they are
    /// the same in all threads at all times.
    ///
    /// # Errors
    /// A sentence that says why they are not.
    fn tls(&self, module: ModuleId, offset: u64) -> std::result::Result<i64, String>;

    /// The address of the instruction at whose start the code runs.
    fn pc(&self) -> u64;
}

/// Why there is no code for something; a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsupported(pub String);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

impl From<&str> for Unsupported {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

type Result<T> = std::result::Result<T, Unsupported>;

/// Code that knows when a pass is quiet for all owners of a site.
///
/// # Errors
/// What cannot be compiled, and why.
pub fn predicate(clauses: &[Clause<'_>], env: &dyn Environment) -> Result<Predicate> {
    if clauses.len() > 1 && clauses.iter().any(|clause| clause.credit.is_some()) {
        return Err("hits of several breakpoints at one place are counted outside".into());
    }
    let (tree, steps) = lower::lower(clauses, env)?;
    generate::generate(&tree, &steps)
}
