//! A program that nobody debugs yet, to be attached to.
//!
//! It is not waited for while it is debugged: a thread of the tracer's process
//! that waits for its own child takes the child's ptrace stops as well
//! (ptrace(2), "waitpid"), and the tracer would wait for them in vain.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use trapline::Pid;
use trapline_testkit::{Debuggee, leaks};

use super::{eventually, fresh_folder};

/// A running program; killed at the end.
pub struct Bystander {
    child: Child,
    folder: PathBuf,
}

impl Bystander {
    /// Starts a program whose standard input neither says anything nor ends.
    #[track_caller]
    pub fn start(debuggee: &Debuggee, args: &[&str]) -> Self {
        let (_, folder) = fresh_folder();
        let stdout = File::create(folder.join("stdout")).expect("a fresh folder is writable");
        let mut command = debuggee.command();
        command.args(args).stdin(Stdio::piped()).stdout(stdout);
        let child = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}"));
        Self { child, folder }
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::new(self.child.id().cast_signed())
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.folder.join("stdout")).unwrap_or_default()
    }

    /// Waits until it has written `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        eventually(text, || self.stdout().contains(text).then_some(()));
    }

    /// Writes a byte to its standard input.
    pub fn feed(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("it was made a pipe");
        stdin.write_all(b"x").expect("the program reads");
    }

    /// Waits until its leader sleeps in a system call.
    pub fn is_blocked(&self) {
        eventually("blocked", || (leaks::state(self.pid()) == Some('S')).then_some(()));
    }

    /// Ends its standard input and waits for its end, with nobody tracing it.
    pub fn finish(&mut self) -> (ExitStatus, String) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("nobody else waits for it");
        (status, self.stdout())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // It may have ended, and litter is no reason to fail a test.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
