//! The structures that Linux on x86-64 hands to a debugger, as safe code that
//! compiles on every host: registers, signals, process files, clone flags.
//! Nothing here makes a system call.

pub mod auxv;
pub mod clone;
pub mod maps;
pub mod registers;
pub mod restart;
pub mod siginfo;
pub mod stat;
pub mod status;
