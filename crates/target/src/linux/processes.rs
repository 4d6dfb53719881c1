//! What /proc says of processes, and the end of all of them with the target.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use trapline_core::stop::Signal;
use trapline_core::target::{ProcessInfo, Result, Resume, Stopped, TargetError, TargetEvent, Wait};
use trapline_core::{Pid, Tid};

use super::LinuxTarget;
use super::sys;
use super::threads::State;
use crate::layout::status::{self, Status};
use crate::layout::{auxv, stat};

/// How long killed programs may take to end when the target goes away. One
/// that sleeps in the kernel beyond that is left to its own.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// How long to pause between looks at them.
const LAST_PAUSE: Duration = Duration::from_micros(100);

impl LinuxTarget {
    /// The files of a process are those of a thread that still has memory: the
    /// leader may have exited before the others.
    fn process_directory(&self, pid: Pid) -> Result<PathBuf> {
        let tid = self.books.living_thread(pid).ok_or(TargetError::Gone)?;
        Ok(PathBuf::from(format!("/proc/{pid}/task/{tid}")))
    }

    pub(super) fn read_process_file(&self, pid: Pid, name: &str) -> Result<Vec<u8>> {
        fs::read(self.process_directory(pid)?.join(name)).map_err(|_| TargetError::Gone)
    }

    pub(super) fn read_process_info(&self, pid: Pid) -> Result<ProcessInfo> {
        let directory = self.process_directory(pid)?;
        let executable = directory.join("exe");
        let arguments = self.read_process_file(pid, "cmdline")?;
        let arguments = arguments.strip_suffix(b"\0").unwrap_or(&arguments);
        let split = || arguments.split(|byte| *byte == 0).map(|arg| OsString::from_vec(arg.into()));
        Ok(ProcessInfo {
            pid,
            executable_name: fs::read_link(&executable).map_err(|_| TargetError::Gone)?,
            executable,
            args: if arguments.is_empty() { Vec::new() } else { split().collect() },
            directory: fs::read_link(directory.join("cwd")).ok(),
            auxv: auxv::parse(&self.read_process_file(pid, "auxv")?),
            heap_start: stat::heap_start(&self.read_process_file(pid, "stat")?),
            death: None,
        })
    }

    /// Kills what we launched and lets go of what we attached to.
    pub(super) fn end_all(&mut self) {
        let ours = |(pid, process): (&Pid, &super::threads::Process)| process.ours.then_some(*pid);
        let launched: Vec<Pid> = self.books.processes.iter().filter_map(ours).collect();
        for pid in &launched {
            // One that is already dead needs no killing.
            let _gone = sys::kill(pid.get(), Signal::KILL.0);
        }
        let tids: Vec<Tid> = self.books.threads.keys().copied().collect();
        for tid in tids {
            self.let_go_for_good(tid);
        }
        let deadline = Instant::now() + LAST_WAIT;
        while self.books.processes.keys().any(|pid| launched.contains(pid)) {
            match self.wait_for_event(Wait::Poll) {
                Ok(Some(TargetEvent::Stopped { thread, .. })) => {
                    // It is being killed, so this only lets it get on with it.
                    let _gone = self.resume_thread(&thread, Resume::RUN);
                }
                Ok(Some(_)) => {}
                Ok(None) if Instant::now() < deadline => thread::sleep(LAST_PAUSE),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn let_go_for_good(&mut self, tid: Tid) {
        let Some(thread) = self.books.threads.get(&tid) else { return };
        let pid = thread.pid;
        if self.books.processes.get(&pid).is_some_and(|process| process.ours) {
            return;
        }
        let runs = matches!(thread.state, State::Running | State::Listening | State::Born { .. });
        if runs && sys::interrupt(tid.get()).is_ok() && self.sleeper.wait_for(pid, tid).is_err() {
            return;
        }
        if let Some(thread) = self.books.threads.get_mut(&tid) {
            thread.state = State::Stopped;
        }
        // A thread that died meanwhile is let go already.
        let _gone = self.detach_thread(&Stopped::by_target(pid, tid), None);
    }
}

/// What a thread says of itself; `None` when it is gone.
pub(super) fn thread_status(pid: Pid, tid: Tid) -> Option<Status> {
    fs::read(format!("/proc/{pid}/task/{tid}/status")).ok().map(|text| status::parse(&text))
}

/// Whether a handler of the program's runs for a signal.
pub(super) fn handles(pid: Pid, tid: Tid, signal: Signal) -> bool {
    thread_status(pid, tid).is_some_and(|status| status.caught & set_of(signal) != 0)
}

/// Whether a signal ends its process with a core file: nobody handles, ignores
/// or blocks it. To the first process of a PID namespace nothing happens.
/// signal(7), pid_namespaces(7).
pub(super) fn dumps_core(pid: Pid, tid: Tid, signal: Signal) -> bool {
    Signal::DUMPING.contains(&signal)
        && thread_status(pid, tid).is_some_and(|status| {
            let kept_from_it = status.caught | status.ignored | status.blocked;
            kept_from_it & set_of(signal) == 0 && !status.is_first
        })
}

/// The set of one signal, as the kernel writes it.
fn set_of(signal: Signal) -> u64 {
    u32::try_from(signal.0 - 1).ok().and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(0)
}

/// The name of a thread.
pub(super) fn thread_name(pid: Pid, tid: Tid) -> Result<String> {
    let path = format!("/proc/{pid}/task/{tid}/comm");
    let bytes = super::details::read_small(&path).map_err(|_| TargetError::Gone)?;
    let name = String::from_utf8_lossy(&bytes);
    Ok(name.strip_suffix('\n').unwrap_or(&name).to_owned())
}

/// Why a system call that we run on this thread might kill its process: each
/// thread has filters of its own. seccomp(2).
pub(super) fn system_call_filter(pid: Pid, tid: Tid) -> Option<String> {
    thread_status(pid, tid).filter(|status| status.seccomp != 0)?;
    Some(format!("thread {tid} runs under seccomp, whose filter might kill the program for it"))
}
