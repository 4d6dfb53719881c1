//! A native debugger whose breakpoints cost nothing until they hit, as a
//! program and as a library.
//!
//! # The library
//!
//! A debugging session is a [`SessionHandle`], which is asked with
//! [`Command`]s, and a stream of [`Event`]s. A thread of its own owns the
//! debuggee, so handles can be cloned and used from anywhere; the session ends
//! in order (every breakpoint removed, attached processes let go, launched
//! ones killed) on [`Command::Quit`] or when the last handle is dropped.
//!
//! ```no_run
//! use trapline::breakpoint::{BreakpointSpec, Subject};
//! use trapline::command::{Reply, ValueFormat};
//! use trapline::{Command, Event, LaunchSpec};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // First thing in `main`, before there are other threads.
//! trapline::prepare_process();
//! let (session, events) = trapline::local_session()?;
//!
//! let program = LaunchSpec { program: "/usr/bin/git".into(), ..LaunchSpec::default() };
//! session.request(Command::Program(program))?;
//! let main = Subject::Code { location: "main".to_owned(), mechanism: None };
//! session.request(Command::Break(BreakpointSpec::at(main)))?;
//! session.request(Command::Run)?; // stands before its first instruction
//! session.request(Command::Continue)?; // answers at once ...
//!
//! for event in events {
//!     match event {
//!         // ... and the stop comes as an event.
//!         Event::Stopped(stop) => {
//!             println!("{} stopped in {:?}", stop.tid, stop.frame.function);
//!             let (expression, format) = ("argc".to_owned(), ValueFormat::default());
//!             if let Reply::Value { text, .. } =
//!                 session.request(Command::Print { expression, format })?
//!             {
//!                 println!("argc = {text}");
//!             }
//!             session.request(Command::Continue)?;
//!         }
//!         Event::ProcessExited { status, last: true, .. } => {
//!             println!("{status}");
//!             break;
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Errors are [`CommandError`]s: one sentence for a person, the part of an
//! expression that is wrong, what may have been meant. `examples/count_calls.rs`
//! is a small tool to copy from.
//!
//! # The words
//!
//! *Passes* of a breakpoint are executions of its place; *hits* are passes
//! whose filter and condition held; *stops* are what the user saw. Its
//! *mechanism* is what serves it in the debuggee: a trap instruction or a
//! debug register. Text for a breakpoint with everything it says (what
//! `break` takes) is read by [`spec`].
//!
//! # The program
//!
//! [`cli::main`] is all of it; see `docs/commands.md` and `docs/json.md`.

#![forbid(unsafe_code)]

mod backend;
pub mod cli;
mod coverage;
mod gdbserver;

pub use backend::{core_session, local_session, prepare_process};
pub use trapline_core::breakpoint;
pub use trapline_core::stop::{ExitStatus, Signal, SignalInfo};
pub use trapline_core::target::LaunchSpec;
pub use trapline_core::x64::debug::Access;
pub use trapline_core::{AddrRange, BreakpointId, LocationId, Pid, Tid, VirtAddr};
pub use trapline_engine::{
    Command, CommandError, Event, Events, Reply, SessionHandle, command, event,
};

/// Breakpoints as text: what `break` and `watch` take.
pub mod spec {
    pub use crate::cli::spec::{code, data, functions, to_command};
}
