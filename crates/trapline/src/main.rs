//! The program `trapline`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    trapline::cli::main(std::env::args_os())
}
