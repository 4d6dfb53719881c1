//! Running programs without ever hanging: output goes to files, a time limit
//! always holds, and whatever a timed-out program started dies with it.
//!
//! Pipes would hang: a grandchild that inherited one keeps it open after its
//! parent was killed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use trapline_core::Pid;

use crate::leaks::{carriers, kill};

/// The environment variable that a started program and all it starts carry, so
/// that strays can be found. Its value is unique to one run.
pub const MARKER: &str = "TRAPLINE_TEST_RUN";

/// What a program did.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything written to standard output (foreign bytes replaced).
    pub stdout: String,
    /// Everything written to standard error (foreign bytes replaced).
    pub stderr: String,
    /// From just before the start to the end.
    pub elapsed: Duration,
}

impl Finished {
    /// Panics with both outputs unless the program exited with code 0.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(
            self.status.success(),
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Runs a command to its end with nothing on its standard input.
///
/// # Panics
/// When it does not start, or has not ended after `limit`: it and everything
/// it started are then killed, and its output is in the message.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    Background::spawn(command).finish(limit)
}

/// A program that runs beside the test. Killed, with all it started, on drop.
#[derive(Debug)]
pub struct Background {
    pid: Pid,
    marker: String,
    folder: PathBuf,
    started: Instant,
    ended: Receiver<(std::io::Result<ExitStatus>, Instant)>,
    over: bool,
    /// Held so that the program's standard input does not end.
    stdin: Option<ChildStdin>,
}

impl Background {
    /// Starts a command with nothing on its standard input.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_reading(command, Stdio::null())
    }

    /// Starts a command whose standard input neither says anything nor ends
    /// while it lives: a program that waits for commands.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn spawn_waiting(command: &mut Command) -> Self {
        Self::spawn_reading(command, Stdio::piped())
    }

    #[track_caller]
    fn spawn_reading(command: &mut Command, stdin: Stdio) -> Self {
        let (marker, folder) = fresh_folder();
        let file = |name| File::create(folder.join(name)).expect("a fresh folder is writable");
        command.env(MARKER, &marker).stdin(stdin);
        command.stdout(file("stdout")).stderr(file("stderr"));
        let started = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|why| panic!("{:?} does not start: {why}", command.get_program()));
        let pid = Pid::new(child.id().cast_signed());
        let stdin = child.stdin.take();
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || sender.send((child.wait(), Instant::now())));
        Self { pid, marker, folder, started, ended, over: false, stdin }
    }

    /// The process started.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What [`MARKER`] is set to in it and in all it started.
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    fn output(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until standard output contains `text`.
    ///
    /// # Panics
    /// When it does not within `limit`.
    #[track_caller]
    pub fn wait_for(&self, text: &str, limit: Duration) {
        let seen = wait_until(limit, || self.stdout().contains(text));
        assert!(seen, "no {text:?} within {limit:?}; output so far:\n{}", self.stdout());
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it has not ended after `limit`; everything is killed first.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Finished {
        drop(self.stdin.take());
        let (status, at) = match self.ended.recv_timeout(limit) {
            Ok(end) => end,
            Err(RecvTimeoutError::Timeout) => {
                self.kill_all();
                panic!(
                    "still running after {limit:?}\n--- stdout\n{}\n--- stderr\n{}",
                    self.output("stdout"),
                    self.output("stderr")
                );
            }
            Err(RecvTimeoutError::Disconnected) => unreachable!("the waiter sends before it ends"),
        };
        self.over = true;
        let status = status.expect("a child that nobody else waits for can be waited for");
        let (stdout, stderr) = (self.output("stdout"), self.output("stderr"));
        Finished { status, stdout, stderr, elapsed: at - self.started }
    }

    fn kill_all(&mut self) {
        for _ in 0..50 {
            if !self.over {
                kill(self.pid);
            }
            carriers(MARKER, &self.marker).into_iter().for_each(kill);
            self.over |= self.ended.recv_timeout(Duration::from_millis(100)).is_ok();
            if self.over && carriers(MARKER, &self.marker).is_empty() {
                return;
            }
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.over {
            self.kill_all();
        }
        // Litter in the temporary folder is no reason to fail a test.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Asks every millisecond until `done` says yes; `false` when `limit` passed.
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// A value of [`MARKER`] that nobody else has, as long as all others: a
/// program's stack begins below its environment.
pub fn fresh_marker() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let serial = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{:0>10}-{serial:0>6}", std::process::id())
}

fn fresh_folder() -> (String, PathBuf) {
    let marker = fresh_marker();
    let mut name = OsString::from("trapline-run-");
    name.push(&marker);
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).expect("the temporary folder is writable");
    (marker, folder)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_outputs_and_the_code_come_back() {
        let out = run(&mut shell("echo out; echo err >&2; exit 3"), Duration::from_secs(10));
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(out.status.code(), Some(3));
    }

    #[test]
    fn a_time_limit_kills_the_program_and_what_it_started() {
        let start = Instant::now();
        let background = Background::spawn(&mut shell("sleep 60 & sleep 60"));
        let marker = background.marker().to_owned();
        let limit = Duration::from_millis(200);
        catch_unwind(AssertUnwindSafe(|| background.finish(limit))).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(carriers(MARKER, &marker), []);
    }

    #[test]
    fn a_background_program_is_seen_to_speak() {
        let background = Background::spawn(&mut shell("echo ready; sleep 60"));
        background.wait_for("ready", Duration::from_secs(10));
    }
}
