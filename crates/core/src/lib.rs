//! The pure core of Trapline: the words every other crate speaks.
//!
//! Addresses, identities, x86-64 facts, the memory overlay, the breakpoint
//! model, the planner, stop reasons, types and locations, and the
//! [`target::Target`] seam behind which every operating system and every
//! remote stub hides.
//!
//! It does no I/O, makes no system call, holds no `unsafe`, and knows neither
//! DWARF nor the expression language.

#![forbid(unsafe_code)]

pub mod addr;
pub mod breakpoint;
pub mod ids;
pub mod location;
pub mod memory;
pub mod overlay;
pub mod plan;
pub mod predicate;
pub mod stop;
pub mod target;
pub mod types;
pub mod x64;

pub use addr::{AddrRange, FileOff, ImageAddr, LoadBias, VirtAddr};
pub use ids::{BreakpointId, LocationId, ModuleId, Pid, Tid};
