//! Builds small C programs and drives a target over them. One target a test,
//! in the test's own thread.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use trapline_core::stop::{ExitStatus, Signal, StopCause};
use trapline_core::target::{LaunchSpec, Resume, Stopped, Target, TargetEvent, Wait};
use trapline_core::x64::Registers;
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_target::linux::LinuxTarget;

/// How long any wait in a test may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Compiles a C program; the same text is compiled once.
pub fn build(source: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = directory.join(format!("debuggee-{:016x}", hasher.finish()));
    if program.exists() {
        return program;
    }
    let unique = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    let text = directory.join(format!("{unique}.c"));
    let fresh = directory.join(format!("{unique}.out"));
    fs::write(&text, source).unwrap();
    let compiler = Command::new("gcc")
        .args(["-g", "-O1", "-pthread", "-D_GNU_SOURCE", "-w", "-o"])
        .args([&fresh, &text])
        .output()
        .unwrap();
    assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stderr));
    fs::rename(&fresh, &program).unwrap();
    fs::remove_file(&text).unwrap();
    program
}

/// A running program that nobody debugs yet; killed at the end of the test.
pub struct Running(pub Child);

impl Running {
    pub fn start(source: &str) -> Self {
        let child = Command::new(build(source)).stdout(Stdio::piped()).spawn().unwrap();
        Self(child)
    }

    pub fn pid(&self) -> Pid {
        Pid::new(i32::try_from(self.0.id()).unwrap())
    }

    /// Waits for the program to print a line.
    pub fn wait_for_line(&mut self) -> String {
        use std::io::{BufRead, BufReader};
        let mut line = String::new();
        let output = self.0.stdout.as_mut().unwrap();
        BufReader::with_capacity(1, output).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// A target and the threads it holds stopped.
pub struct Session {
    pub target: LinuxTarget,
    pub held: BTreeMap<Tid, Stopped>,
    deadline: Instant,
    /// Ends the thread that would wake the target at the deadline.
    _watchdog: Sender<()>,
}

/// An event with the proof of the stop put away.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Seen {
    Stop(Tid, StopCause),
    ThreadExited(Tid),
    ProcessExited(Pid, ExitStatus),
}

impl Session {
    pub fn new() -> Self {
        let target = LinuxTarget::new().unwrap();
        let waker = target.waker();
        let (watchdog, ended) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                waker.wake();
            }
        });
        let deadline = Instant::now() + PATIENCE;
        Self { target, held: BTreeMap::new(), deadline, _watchdog: watchdog }
    }

    /// Launches a program and takes its first stop.
    pub fn launch(source: &str) -> (Self, Pid) {
        Self::launch_with(source, &[])
    }

    pub fn launch_with(source: &str, args: &[&str]) -> (Self, Pid) {
        let mut session = Self::new();
        let args = args.iter().map(Into::into).collect();
        let spec = LaunchSpec { program: build(source), args, ..LaunchSpec::default() };
        let pid = session.target.launch(&spec).unwrap();
        assert_eq!(session.next(), Seen::Stop(pid.leader(), StopCause::Started));
        (session, pid)
    }

    /// The next event, or `None` when there is none for `limit`.
    pub fn poll(&mut self, limit: Duration) -> Option<Seen> {
        let end = Instant::now() + limit;
        loop {
            match self.target.next_event(Wait::Poll).unwrap() {
                Some(TargetEvent::Woken) => {}
                Some(event) => return Some(self.take(event)),
                None if Instant::now() >= end => return None,
                None => std::thread::sleep(Duration::from_micros(50)),
            }
        }
    }

    /// The next event; a watchdog ends waits that take too long.
    pub fn next(&mut self) -> Seen {
        let event = loop {
            match self.target.next_event(Wait::Block).unwrap() {
                Some(TargetEvent::Woken) => {
                    assert!(Instant::now() < self.deadline, "no event in time: {:?}", self.target);
                }
                Some(event) => break event,
                None => panic!("no process is left"),
            }
        };
        self.take(event)
    }

    fn take(&mut self, event: TargetEvent) -> Seen {
        match event {
            TargetEvent::Stopped { thread, cause } => {
                let tid = thread.tid();
                assert!(self.held.insert(tid, thread).is_none(), "second stop of {tid}");
                Seen::Stop(tid, cause)
            }
            TargetEvent::ThreadExited { tid, .. } => {
                self.held.remove(&tid);
                Seen::ThreadExited(tid)
            }
            TargetEvent::ProcessExited { pid, status } => {
                self.held.remove(&pid.leader());
                Seen::ProcessExited(pid, status)
            }
            TargetEvent::Woken => panic!("woken"),
        }
    }

    pub fn resume(&mut self, tid: Tid, how: Resume) {
        let thread = self.held.remove(&tid).expect("it is stopped");
        // A thread that was killed meanwhile says so by an event.
        let _gone = self.target.resume(thread, how);
    }

    pub fn run(&mut self, tid: Tid) {
        self.resume(tid, Resume::RUN);
    }

    /// Lets everything run on (signals delivered) until an event is wanted.
    pub fn run_until(&mut self, mut wanted: impl FnMut(&Seen) -> bool) -> Seen {
        loop {
            for tid in self.held.keys().copied().collect::<Vec<_>>() {
                self.run(tid);
            }
            let seen = self.next();
            if wanted(&seen) {
                return seen;
            }
            if let Seen::Stop(tid, StopCause::Signal(info)) = seen {
                self.resume(tid, Resume { step: false, signal: Some(info.signal) });
            }
        }
    }

    /// Resumes everything, signals delivered, until nothing happens for a while.
    pub fn run_until_quiet(&mut self) {
        loop {
            for tid in self.held.keys().copied().collect::<Vec<_>>() {
                self.run(tid);
            }
            match self.poll(Duration::from_millis(20)) {
                None => return,
                Some(Seen::Stop(tid, StopCause::Signal(info))) => {
                    self.resume(tid, Resume { step: false, signal: Some(info.signal) });
                }
                Some(_) => {}
            }
        }
    }

    /// Runs to the end of a process.
    pub fn finish(&mut self, pid: Pid) -> ExitStatus {
        match self.run_until(|seen| matches!(seen, Seen::ProcessExited(p, _) if *p == pid)) {
            Seen::ProcessExited(_, status) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Interrupts a thread and waits for that.
    pub fn interrupt(&mut self, pid: Pid, tid: Tid) {
        self.target.interrupt(pid, tid).unwrap();
        assert_eq!(self.next(), Seen::Stop(tid, StopCause::Interrupted));
    }

    /// Does something with a stopped thread.
    pub fn with<T>(&mut self, tid: Tid, act: impl FnOnce(&mut LinuxTarget, &Stopped) -> T) -> T {
        act(&mut self.target, &self.held[&tid])
    }

    pub fn registers(&mut self, tid: Tid) -> Registers {
        self.with(tid, |target, proof| target.registers(proof)).unwrap()
    }
}

/// Asserts that the next event is this stop of this thread.
pub fn expect_stop(session: &mut Session, tid: Tid, cause: StopCause) {
    assert_eq!(session.next(), Seen::Stop(tid, cause));
}

/// Where a function of a program is in a process launched from it, without
/// address randomisation.
pub fn address_of(session: &Session, pid: Pid, symbol: &str) -> VirtAddr {
    let info = session.target.process_info(pid).unwrap();
    let output = Command::new("nm").arg(&info.executable_name).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.ends_with(&format!(" {symbol}"))).unwrap();
    let offset = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    let map = session.target.memory_map(pid).unwrap();
    let image = map.iter().find(|r| r.name == info.executable_name.as_os_str()).unwrap();
    image.range.start.wrapping_add(offset)
}

/// The thread's state letter in /proc, once it is one of these.
pub fn wait_for_state(pid: Pid, letters: &str) -> char {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let letter = text.rsplit(')').next().unwrap().trim().chars().next().unwrap();
        if letters.contains(letter) {
            return letter;
        }
        assert!(Instant::now() < end, "state {letter}, wanted {letters}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub const EXIT_0: ExitStatus = ExitStatus::Exited(0);
pub const KILLED: ExitStatus = ExitStatus::Signalled { signal: Signal::KILL, core_dumped: false };
