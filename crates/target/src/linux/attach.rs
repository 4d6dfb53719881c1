//! Taking over running processes.

use std::collections::BTreeSet;
use std::fs;

use trapline_core::target::{Result, TargetError};
use trapline_core::{Pid, Tid};

use super::processes::thread_status;
use super::signals::Sleeper;
use super::sys::{self, Errno};
use super::threads::{State, Thread};
use super::wait::{self, Status, Stop};
use super::{LinuxTarget, registers};

/// What we want to be told of every thread.
pub(super) fn options(kill_on_exit: bool) -> i32 {
    let kill = if kill_on_exit { libc::PTRACE_O_EXITKILL } else { 0 };
    kill | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACEEXIT
        | libc::PTRACE_O_TRACESYSGOOD
}

impl LinuxTarget {
    pub(super) fn attach_process(&mut self, pid: Pid) -> Result<Vec<Tid>> {
        check_target(pid)?;
        // Threads that were dying at a detach may still be in the books.
        if self.books.living_thread(pid).is_some() {
            return Err(refused(pid, "we are attached to it already"));
        }
        let seized = seize_all(pid, &self.sleeper)?;
        let leader_lives = seized.contains(&pid.leader());
        let living = if leader_lives { Some(&pid.leader()) } else { seized.first() };
        self.add_process(pid, *living.unwrap_or(&pid.leader()), false);
        let thread =
            || Thread { interrupt_asked: true, ..Thread::new(pid, State::Born { attached: true }) };
        self.books.threads.append(&mut seized.iter().map(|tid| (*tid, thread())).collect());
        self.awaited.extend(&seized);
        Ok(seized.into_iter().collect())
    }
}

/// Seizes every thread and asks it to stop, which it does while we go on.
/// Threads that seized ones make are ours from their birth, so the list is
/// complete once it shows nothing new twice.
fn seize_all(pid: Pid, sleeper: &Sleeper) -> Result<BTreeSet<Tid>> {
    let mut seized = BTreeSet::new();
    let mut quiet = 0;
    while quiet < 2 {
        quiet += 1;
        for tid in task_list(pid)? {
            if seized.contains(&tid) {
                continue;
            }
            match sys::seize(tid.get(), options(false)) {
                Ok(()) => {
                    // A thread that died meanwhile says so in its status.
                    let _gone = sys::interrupt(tid.get());
                    seized.insert(tid);
                    quiet = 0;
                }
                // Gone since we looked, or born to a thread that we hold.
                Err(Errno::SRCH) => {}
                Err(Errno::PERM) if is_ours_or_gone(pid, tid) => {}
                Err(errno) => {
                    let_go(pid, &seized, sleeper);
                    return Err(refused(pid, &explain(pid, tid, errno)));
                }
            }
        }
    }
    if seized.is_empty() { Err(refused(pid, "it has just exited")) } else { Ok(seized) }
}

fn task_list(pid: Pid) -> Result<Vec<Tid>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(|_| refused(pid, "there is no such process"))?;
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok().map(Tid::new);
    Ok(entries.flatten().filter_map(number).collect())
}

fn is_ours_or_gone(pid: Pid, tid: Tid) -> bool {
    thread_status(pid, tid)
        .is_none_or(|status| status.tracer == sys::own_tid() || matches!(status.state, b'Z' | b'X'))
}

/// Gives back what was seized before a refusal, with the signals that overtook
/// our asking, and what was born to it, which is ours from birth.
fn let_go(pid: Pid, seized: &BTreeSet<Tid>, sleeper: &Sleeper) {
    let mut held: Vec<Tid> = seized.iter().copied().collect();
    while let Some(tid) = held.pop() {
        // One that died meanwhile needs no letting go.
        let Ok(status) = sleeper.wait_for(pid, tid) else { continue };
        let Status::Stopped(stop) = wait::decode(status) else { continue };
        let mut signal = 0;
        match stop {
            Stop::Signal(overtook) => signal = overtook.0,
            Stop::NewChild => held.extend(new_child(tid)),
            _ => {}
        }
        if !matches!(stop, Stop::Group(_)) {
            let _gone = registers::restart_interrupted_call(tid);
        }
        let _gone = sys::detach(tid.get(), signal);
    }
}

fn new_child(parent: Tid) -> Option<Tid> {
    let child = sys::event_message(parent.get()).ok()?;
    i32::try_from(child).ok().map(Tid::new)
}

fn check_target(pid: Pid) -> Result<()> {
    if pid.get() == sys::own_pid() {
        return Err(refused(pid, "that is this debugger itself"));
    }
    let leader = thread_status(pid, pid.leader());
    let status = leader.ok_or_else(|| refused(pid, "there is no such process"))?;
    if status.tgid != pid.get() {
        let why = format!("that is a thread of process {}", status.tgid);
        return Err(refused(pid, &why));
    }
    match status.state {
        b'Z' | b'X' if task_list(pid)?.len() <= 1 => {
            Err(refused(pid, "it has exited; only its status remains"))
        }
        b'Z' | b'X' => Ok(()),
        _ if !status.has_memory => Err(refused(pid, "it is a thread of the kernel")),
        _ => Ok(()),
    }
}

/// What the kernel wants, where we know.
fn explain(pid: Pid, tid: Tid, errno: Errno) -> String {
    if errno != Errno::PERM {
        return errno.to_string();
    }
    let tracer = thread_status(pid, tid).map_or(0, |status| status.tracer);
    if tracer != 0 {
        return format!("process {tracer} traces it already");
    }
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let rule = "the kernel asks for the same user, or CAP_SYS_PTRACE";
    match scope.trim() {
        "" | "0" => format!("{errno}: {rule}"),
        level => format!(
            "{errno}: {rule}, and kernel.yama.ptrace_scope is {level}, which allows {}",
            match level {
                "1" => "only descendants of the debugger",
                "2" => "only holders of CAP_SYS_PTRACE",
                _ => "nobody",
            }
        ),
    }
}

fn refused(pid: Pid, why: &str) -> TargetError {
    TargetError::Refused { what: format!("attach to process {pid}"), why: why.to_owned() }
}
