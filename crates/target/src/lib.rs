//! Targets: the only crate that talks to an operating system.
//!
//! [`layout`] reads the kernel's structures and is safe code on every host;
//! `linux` drives processes through ptrace; [`core_file`] reads what dead ones left; [`scripted`] plays back a script
//! for tests. What a stop means to the user, and every breakpoint, is left to
//! the engine.

pub mod core_file;
pub mod layout;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod linux;
pub mod scripted;
