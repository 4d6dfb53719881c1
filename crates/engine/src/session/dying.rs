//! Processes that a signal is about to end with a core file. What the system
//! writes is to be the program's own, so everything of ours is taken out of the
//! process before it is given the signal. From then on only the thread that
//! takes the signal runs: others would pass places at which nobody waits.

use trapline_core::stop::Signal;
use trapline_core::{Pid, Tid};

use super::Session;
use super::resume::Chore;
use crate::process::{Process, Thread};

impl Session {
    /// Looks which processes end when everything goes on, and leaves them as
    /// programs of their own. Everything is held.
    pub(super) fn leave_the_dying(&mut self) {
        let pids: Vec<Pid> = self.processes.keys().copied().collect();
        for pid in pids {
            let dying = self.thread_that_ends(pid);
            let Some(process) = self.processes.get_mut(&pid) else { continue };
            let was_dying = std::mem::replace(&mut process.dying, dying).is_some();
            match dying {
                Some(_) => self.leave_memory(pid),
                None if was_dying => {
                    if let Some(space) = self.space_of_mut(pid) {
                        (space.stale, space.has_litter) = (true, true);
                    }
                }
                None => {}
            }
        }
    }

    /// Whether a thread that could go on has to stay: its process dies by
    /// another one's signal, or has to be left first.
    pub(super) fn stays_for_a_death(&mut self, pid: Pid, tid: Tid) -> bool {
        let Some(process) = self.processes.get(&pid) else { return false };
        let dying = process.dying;
        if self.thread(pid, tid).is_none_or(|thread| thread.exiting) {
            return false;
        }
        match dying {
            Some(dying) if dying != tid => true,
            // Either it is to be left, or it has outlived what was to end it.
            _ if dying.is_some() != self.takes_its_end(pid, tid) => {
                self.chores.push(Chore::Deaths);
                true
            }
            _ => false,
        }
    }

    /// The thread of a process whose signal ends it. Nobody else may be in its
    /// memory, who would need what is taken out.
    fn thread_that_ends(&self, pid: Pid) -> Option<Tid> {
        let process = self.processes.get(&pid)?;
        let mut tids = process.threads.keys().copied();
        tids.find(|&tid| self.takes_its_end(pid, tid))
    }

    /// Whether a thread ends its process when it goes on.
    fn takes_its_end(&self, pid: Pid, tid: Tid) -> bool {
        let Some(process) = self.processes.get(&pid).filter(|it| it.is_debuggee()) else {
            return false;
        };
        let Some(thread) = process.threads.get(&tid) else { return false };
        let deadly = |signal: &Signal| self.target.dumps_core(pid, tid, *signal);
        let is_deadly = thread.stopped().is_some() && thread.signal.as_ref().is_some_and(deadly);
        let shares = |other: &Process| other.space == process.space && other.pid != pid;
        let is_deadly = is_deadly && self.may_run(pid, tid);
        is_deadly && !thread.exiting && !self.processes.values().any(shares)
    }

    /// Takes everything of ours out of a process that is alone in its memory,
    /// and forgets nothing that would be put there again. Our memory stays: a
    /// system call of ours changes the signal mask, at which the kernel forgets
    /// the one that a thread has only while it waits in `sigsuspend` or `ppoll`
    /// (Linux, kernel/ptrace.c, `PTRACE_SETSIGMASK`). The deadly signal would be
    /// blocked again.
    fn leave_memory(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let id = process.space;
        for thread in process.threads.values_mut() {
            (thread.counted_at, thread.begun) = (None, None);
        }
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let internal = std::mem::take(&mut space.internal);
        self.take_out_of(id);
        if let Some(space) = self.spaces.get_mut(&id) {
            space.internal = internal;
            (space.stale, space.has_litter) = (false, false);
        }
        let Some(process) = self.processes.get(&pid) else { return };
        for stopped in process.threads.values().filter_map(Thread::stopped) {
            // A thread that died meanwhile has none.
            let _gone = self.target.settle_registers(stopped);
        }
    }
}
