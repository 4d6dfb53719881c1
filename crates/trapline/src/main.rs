//! The program `trapline`: everything is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The C library's allocator takes a lock and a good part of the time when two
/// threads set many breakpoints: each makes dozens of small objects.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trapline::cli::main(std::env::args_os())
}
