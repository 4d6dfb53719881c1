//! One file of gdb's tests with one server: DejaGnu's `runtest` in a folder of
//! its own, with a limit, and nothing left behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::sum::Results;
use super::{Server, strays};
use crate::Outcome;
use crate::debian::create;

/// No file takes longer. The slowest takes five minutes where gdbserver cannot
/// write the floating-point registers, and waits four times for what they print.
const LIMIT: Duration = Duration::from_secs(420);

/// How long `runtest` may take to write down what it has when told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What the tests take for the first port when nobody says otherwise.
const GDB_PORT: u32 = 2345;

/// The first port of the first worker, and how many each has: enough for a file
/// that starts a server for each of its tests, and below those that the kernel
/// gives out.
const FIRST_PORT: u32 = 20_000;
const PORTS: u32 = 1_000;

/// A file to run with a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) board: &'static str,
    pub(super) server: &'a Server,
    pub(super) file: &'a str,
    /// Counted from 1.
    pub(super) attempt: usize,
}

impl Case<'_> {
    /// Where it leaves its logs.
    fn folder(&self, home: &Path) -> PathBuf {
        let file = self.file.trim_end_matches(".exp").replace('/', "_");
        let runs = home.join("runs").join(self.board).join(&self.server.label);
        runs.join(file).join(self.attempt.to_string())
    }

    /// Runs it as the worker `worker`, counted from 0.
    pub(super) fn run(&self, home: &Path, tests: &Path, worker: u32) -> Result<Results, String> {
        let folder = self.folder(home);
        let _ = fs::remove_dir_all(&folder);
        create(&folder)?;
        let site = site(tests, FIRST_PORT + PORTS * worker);
        write(&folder.join("site.exp"), &site)?;
        let start = Instant::now();
        let mut child = self.start(&folder)?;
        let ended = wait(&mut child, LIMIT)?;
        let took = start.elapsed();
        if !ended {
            stop(&mut child)?;
        }
        strays::kill(&folder)?;
        let _ = child.wait();
        // None when it did not come as far as its first test.
        let sum = fs::read(folder.join("gdb.sum")).unwrap_or_default();
        Ok(Results::parse(&String::from_utf8_lossy(&sum), !ended, took))
    }

    fn start(&self, folder: &Path) -> Result<Child, String> {
        let log = folder.join("runtest.log");
        let file = File::create(&log).map_err(|why| format!("{}: {why}", log.display()))?;
        let errors = file.try_clone().map_err(|why| format!("{}: {why}", log.display()))?;
        let mut runtest = Command::new("runtest");
        runtest.args(["--tool", "gdb", "--status", "--outdir", "."]);
        runtest.arg(format!("--target_board={}", self.board));
        // An installed gdb, named so, uses its own data directory.
        runtest.args(["GDB=/usr/bin/gdb", &format!("GDBSERVER={}", self.server.program.display())]);
        runtest.arg(self.file).current_dir(folder);
        runtest.env(strays::MARK, folder).env("SHELL", "/bin/sh").env("TERM", "dumb");
        runtest.env("LC_ALL", "C").env_remove("DEBUGINFOD_URLS").env_remove("DEJAGNU");
        runtest.stdin(Stdio::null()).stdout(file).stderr(errors);
        runtest.spawn().map_err(|why| format!("runtest does not start: {why}"))
    }
}

/// Settings that `make check` would have written. The library sets its first
/// port when it is loaded, so that is when ours takes its place: workers must
/// not meet each other's servers.
fn site(tests: &Path, port: u32) -> String {
    format!(
        "set srcdir {}\n\
         set tool gdb\n\
         set enable_libctf no\n\
         source ${{srcdir}}/lib/append_gdb_boards_dir.exp\n\
         proc first_port_of_this_run {{ name1 name2 op }} {{\n\
         \x20   global portnum\n\
         \x20   if {{ $portnum == {GDB_PORT} }} {{ set portnum {port} }}\n\
         }}\n\
         trace add variable portnum write first_port_of_this_run\n",
        tests.display()
    )
}

/// Whether it ended within the limit.
fn wait(child: &mut Child, limit: Duration) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        let status = child.try_wait().map_err(|why| format!("runtest is lost: {why}"))?;
        if status.is_some() {
            return Ok(true);
        }
        if start.elapsed() > limit {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks `runtest` to write down what it has: it keeps results in a buffer.
fn stop(child: &mut Child) -> Outcome {
    // It may end by itself just now.
    let _ = Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status();
    wait(child, GRACE).map(drop)
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|why| format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_and_the_port_are_in_the_settings() {
        let site = site(Path::new("/a/testsuite"), 21_000);
        assert!(site.starts_with("set srcdir /a/testsuite\n"), "{site}");
        assert!(site.contains("if { $portnum == 2345 } { set portnum 21000 }\n"), "{site}");
    }

    #[test]
    fn waiting_has_an_end() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(wait(&mut child, Duration::from_millis(10)), Ok(false));
        stop(&mut child).unwrap();
        assert_eq!(wait(&mut child, Duration::from_millis(10)), Ok(true));
    }
}
