//! Who runs when the user lets the program go: gdb's scheduler-locking. A thread
//! that is locked stays as it is while another runs alone: what it has to tell
//! waits, and it counts its hits when it comes to them. How threads are let run
//! is left to `resume`.

use trapline_core::target::Wait;
use trapline_core::{Pid, Tid};

use super::{Motion, Session};
use crate::command::SchedulerLocking;
use crate::event::StopReason;
use crate::process::{Process, RunState, Thread};

/// Which threads run until the next stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Runners {
    /// Every one.
    All,
    /// This one, and who has to for it to get on.
    Alone { pid: Pid, tid: Tid },
    /// Those that the client has let go, those that were born since, and who has
    /// to for them to get on.
    Unparked,
}

/// How the user lets the program go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    /// To the next stop, wherever that is.
    Freely,
    /// To execute instructions or lines.
    Stepping,
}

impl Session {
    /// Decides who runs from here on.
    pub(super) fn choose_runners(&mut self, leave: Leave) {
        let alone = match (self.settings.scheduler_locking, leave) {
            (SchedulerLocking::On, _) | (SchedulerLocking::Step, Leave::Stepping) => true,
            (SchedulerLocking::Step, Leave::Freely) => false,
            (SchedulerLocking::Off | SchedulerLocking::Replay, _) => false,
        };
        let selected = self.selected().ok().filter(|_| alone);
        self.runners = selected.map_or(Runners::All, |selected| Runners::Alone {
            pid: selected.pid,
            tid: selected.tid,
        });
    }

    /// Whether a thread may run. Beside the one that runs alone those may that
    /// it waits for in the kernel: its child in vfork, and its process's threads
    /// that are ending.
    pub(super) fn may_run(&self, pid: Pid, tid: Tid) -> bool {
        let awaited = |runner: &Thread| runner.waits_for == Some(pid);
        let chosen = match self.runners {
            Runners::All => true,
            Runners::Alone { pid: alone, tid: runner } => {
                (pid, tid) == (alone, runner) || self.thread(alone, runner).is_some_and(awaited)
            }
            Runners::Unparked => !self.thread(pid, tid).is_some_and(|thread| thread.parked),
        };
        chosen
            || !self.processes.get(&pid).is_some_and(Process::is_debuggee)
            || self.thread(pid, tid).is_some_and(|thread| thread.exiting)
    }

    /// Whether somebody who may run has something to tell.
    pub(super) fn has_reports(&self) -> bool {
        self.next_report().is_some()
    }

    /// Takes the first who may run and has something to tell out of the queue.
    pub(super) fn take_report(&mut self) -> Option<(Pid, Tid)> {
        self.next_report().map(|index| self.report_queue.remove(index))
    }

    fn next_report(&self) -> Option<usize> {
        self.report_queue.iter().position(|&(pid, tid)| self.may_run(pid, tid))
    }

    /// The thread that runs alone, while others are locked.
    pub(super) fn lone_runner(&self) -> Option<(Pid, Tid)> {
        let Runners::Alone { pid, tid } = self.runners else { return None };
        let locked = self.all_threads().into_iter().any(|(pid, tid)| !self.may_run(pid, tid));
        locked.then_some((pid, tid))
    }

    /// A thread goes on under another number, as the only one of its process.
    pub(super) fn runner_became(&mut self, pid: Pid, former: Tid, tid: Tid) {
        if self.runners == (Runners::Alone { pid, tid: former }) {
            self.runners = Runners::Alone { pid, tid };
        }
    }

    /// Tells the user when the thread that ran alone has ended: nobody else would
    /// ever stop. The threads of a process that ends are not locked but dying.
    pub(super) fn tell_if_nobody_runs(&mut self) {
        if self.runners == Runners::Unparked {
            return self.tell_if_all_are_parked();
        }
        let Runners::Alone { pid, tid } = self.runners else { return };
        let ending = self
            .thread(pid, tid)
            .is_none_or(|thread| thread.exiting && matches!(thread.run, RunState::Running { .. }));
        if self.motion != Motion::Running || !ending {
            return;
        }
        // One that is being ended does not stand, but for a moment in which it
        // says so: it has gone on once that is taken.
        let standing = self.locked_and_standing();
        while let Ok(Some(event)) = self.target.next_event(Wait::Poll) {
            self.take(event);
        }
        let still = self.locked_and_standing();
        let Some((pid, tid)) = standing.into_iter().find(|it| still.contains(it)) else { return };
        self.runners = Runners::All;
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.pending.push(StopReason::RunnerEnded);
            self.report_queue.insert(0, (pid, tid));
        }
    }

    /// The locked threads that can still be looked at.
    fn locked_and_standing(&mut self) -> Vec<(Pid, Tid)> {
        let mut threads = self.all_threads();
        threads.retain(|&(pid, tid)| {
            let thread = self.processes.get(&pid).and_then(|process| process.threads.get(&tid));
            let stopped = thread.and_then(|thread| thread.stopped());
            !self.may_run(pid, tid)
                && stopped.is_some_and(|stopped| self.target.vector_state(stopped).is_ok())
        });
        threads
    }
}
