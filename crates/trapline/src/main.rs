//! The program `trapline`: everything is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    trapline::cli::main(std::env::args_os())
}
