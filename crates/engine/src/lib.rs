//! The debugger itself: sessions, processes, breakpoints, the run loop.
//!
//! Front ends speak to it in [`Command`]s and hear from it in [`Reply`]s and
//! [`Event`]s, and in nothing else. It reaches the debuggee only through
//! `trapline_core::target::Target`, so it holds no system call, no `unsafe`
//! and no conditional on an operating system.

#![forbid(unsafe_code)]

mod arena;
mod breakpoints;
pub mod client;
pub mod command;
pub mod event;
mod handle;
mod images;
mod log;
mod parallel;
mod place;
mod process;
mod returns;
mod rows;
mod service;
mod session;
mod signals;
mod space;
mod stream;
mod tls;

pub use client::ClientSession;
pub use command::{Command, CommandError, Reply};
pub use event::Event;
pub use handle::{SessionHandle, spawn};
pub use stream::Events;
