//! The server of gdb's remote protocol: gdb and lldb keep their users, and get
//! Trapline's breakpoints. It takes the options, says the messages and ends the
//! ways of gdbserver, so that what starts that can start this.
//!
//! `args` reads the command line, `serve` waits for clients, `server` speaks
//! with one: it reads requests (`trapline-rsp`) and has the session
//! (`trapline-engine`'s [`ClientSession`](trapline_engine::ClientSession)) do
//! them. The server runs on the tracer's own thread, so that an answer costs no
//! hand-off. What families of requests mean is in modules of their own.

mod args;
mod commands;
mod conditions;
mod files;
mod launch;
mod libraries;
mod link;
mod lldb;
mod monitor;
mod objects;
mod points;
mod registers;
mod running;
mod serve;
mod server;
mod stops;
mod thread_state;
mod threads;

use std::ffi::OsString;
use std::io::{self, Write};

/// Runs the server to its end; the answer is the exit code.
pub(crate) fn main(words: Vec<OsString>) -> u8 {
    match args::read(words) {
        Ok(args::Wish::Serve(options)) => serve::run(*options),
        Ok(args::Wish::Say(text)) => {
            // Without a standard output there is nobody to tell.
            let _ = writeln!(io::stdout(), "{text}");
            0
        }
        Err(error) => {
            say(&error);
            1
        }
    }
}

/// Where what the client has printed goes: gdbserver's standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Printed {
    ToOutput,
    /// The client speaks through standard output.
    ToError,
}

impl Printed {
    fn print(self, text: &str) {
        // Without the stream there is nobody to tell.
        let _ = match self {
            Self::ToOutput => {
                let mut output = io::stdout().lock();
                output.write_all(text.as_bytes()).and_then(|()| output.flush())
            }
            Self::ToError => io::stderr().write_all(text.as_bytes()),
        };
    }
}

/// Says something on standard error, where gdbserver says it.
fn say(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
