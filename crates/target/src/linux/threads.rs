//! The books: which threads there are, which process each belongs to, and in
//! what state we left it. No system calls.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;

use trapline_core::stop::{Signal, StopCause};
use trapline_core::target::{Resume, Stopped};
use trapline_core::x64::Registers;
use trapline_core::x64::debug::DebugRegisters;
use trapline_core::{Pid, Tid};

use crate::layout::siginfo::RawSigInfo;

/// What we did with a thread last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It exists and has yet to make its first stop.
    Born {
        /// Taken over while it ran, rather than made by a thread we hold.
        attached: bool,
    },
    /// It runs, as far as we know.
    Running,
    /// It is stopped, and a [`Stopped`] for it is out.
    Stopped,
    /// It sits in a group stop and we listen for the end of that.
    Listening,
    /// It was resumed, but waits for the child that borrows its memory.
    Held(Resume),
    /// It was let go from its exit stop and cannot stop again.
    Exiting,
}

/// Which kind of kernel stop a stopped thread is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KernelStop {
    /// A signal-delivery stop: resuming with a signal delivers that signal.
    Delivery,
    /// A group stop, an answer to an interrupt (listening is possible in both),
    /// or the beginning of a handler: resuming takes no signal.
    Trap,
    /// An event stop, inside a system call: resuming takes no signal.
    Event,
    /// The event stop of its exit.
    Exit,
}

/// What becomes of the system calls that a thread makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Calls {
    /// Nobody hears of them.
    Quiet,
    /// It stops at the entry and at the exit of each.
    Told,
}

/// How a [`Substitute`] comes to its thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// We sent it.
    Sent,
    /// The kernel put it back into its queue, since the thread blocks it. Says
    /// what it said before.
    PutBack,
}

/// A signal on its way to a thread that takes the place of an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Substitute {
    pub(super) signal: Signal,
    pub(super) way: Way,
    /// What the signal is to say; `None` leaves what the kernel makes of it.
    pub(super) info: Option<RawSigInfo>,
    /// Whether it is to be reported rather than just delivered.
    pub(super) report: bool,
}

/// One thread.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) pid: Pid,
    pub(super) state: State,
    pub(super) at: KernelStop,
    /// Its registers while it is stopped, once they were asked for.
    pub(super) registers: Option<Registers>,
    /// Whether `registers` differ from what the kernel has.
    pub(super) registers_changed: bool,
    /// An interrupt was asked for and not answered yet.
    pub(super) interrupt_asked: bool,
    /// The group stop it belongs in.
    pub(super) group_stop: Option<Signal>,
    /// Whether it was last resumed for one instruction.
    pub(super) stepping: bool,
    /// It was stepping when it came into the system call that it is in, if it
    /// is in an event stop: the end of that call is the end of the step.
    pub(super) steps_over_call: bool,
    /// We have brought that call to its end: the step is over as soon as the
    /// thread is to go on stepping.
    pub(super) step_is_over: bool,
    /// It steps from an event stop, which lies inside a system call, and has not
    /// stepped into that: the kernel counts the end of the call as a step.
    pub(super) leaving_call: bool,
    pub(super) armed: DebugRegisters,
    /// The signal it was reported to have stopped for.
    pub(super) signal: Option<RawSigInfo>,
    /// Whether the kernel's own note of that signal was overwritten since.
    pub(super) signal_lost: bool,
    /// Signals to be reported again before it runs on.
    pub(super) deferred: VecDeque<RawSigInfo>,
    /// The last of them was deferred where the thread still stands.
    pub(super) defers_here: bool,
    /// The signals it blocks itself, while we have it block more.
    pub(super) own_mask: Option<u64>,
    /// Signals on their way to it that replace others.
    pub(super) substitutes: VecDeque<Substitute>,
    /// What it really stopped for, when that came before its first stop, which
    /// is reported first.
    pub(super) after_start: Option<StopCause>,
    /// The process that borrows its memory while it waits.
    pub(super) vfork_child: Option<Pid>,
    /// As its process has it.
    pub(super) calls: Calls,
    /// Whether it is stopped at the entry of a system call, which the kernel
    /// makes with what its registers hold when it is resumed: it cannot make
    /// another one first.
    pub(super) before_call: bool,
}

impl Thread {
    pub(super) fn new(pid: Pid, state: State) -> Self {
        Self {
            pid,
            state,
            at: KernelStop::Trap,
            registers: None,
            registers_changed: false,
            interrupt_asked: false,
            group_stop: None,
            stepping: false,
            steps_over_call: false,
            step_is_over: false,
            leaving_call: false,
            armed: DebugRegisters::default(),
            signal: None,
            signal_lost: false,
            deferred: VecDeque::new(),
            defers_here: false,
            own_mask: None,
            substitutes: VecDeque::new(),
            after_start: None,
            vfork_child: None,
            calls: Calls::Quiet,
            before_call: false,
        }
    }

    /// Notes that it is stopped.
    pub(super) fn stop_at(&mut self, at: KernelStop) {
        self.state = State::Stopped;
        self.at = at;
        self.registers = None;
        self.registers_changed = false;
        self.signal = None;
        self.signal_lost = false;
        self.interrupt_asked = false;
        self.before_call = false;
    }
}

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    /// Its memory, opened once per program; `None` when that failed.
    pub(super) memory: Option<File>,
    /// A `syscall` instruction in its memory, once one was looked for.
    pub(super) syscall_instruction: Option<u64>,
    /// Whether it must not outlive the target.
    pub(super) ours: bool,
}

/// All threads and processes.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) threads: BTreeMap<Tid, Thread>,
    pub(super) processes: BTreeMap<Pid, Process>,
    /// First stops of threads whose parent has not told of them yet.
    pub(super) unknown: BTreeMap<Tid, i32>,
}

impl Books {
    /// The threads of a process, ascending.
    pub(super) fn threads_of(&self, pid: Pid) -> Vec<Tid> {
        let of = |(tid, thread): (&Tid, &Thread)| (thread.pid == pid).then_some(*tid);
        self.threads.iter().filter_map(of).collect()
    }

    /// Whether any thread of a process is in the books.
    pub(super) fn has_threads(&self, pid: Pid) -> bool {
        self.threads.values().any(|thread| thread.pid == pid)
    }

    /// Whether a thread was asked to stop and has not been seen to.
    pub(super) fn awaits(&self, tid: Tid) -> bool {
        self.threads.get(&tid).is_some_and(|thread| thread.interrupt_asked)
    }

    /// A thread of the process that still has memory: the leader, unless it
    /// exited before the others.
    pub(super) fn living_thread(&self, pid: Pid) -> Option<Tid> {
        let lives = |tid: &Tid| {
            self.threads.get(tid).is_some_and(|t| t.pid == pid && t.state != State::Exiting)
        };
        if lives(&pid.leader()) {
            return Some(pid.leader());
        }
        self.threads_of(pid).into_iter().find(lives)
    }

    /// The thread that a proof is about, if it is still stopped.
    pub(super) fn stopped(&mut self, proof: &Stopped) -> Option<&mut Thread> {
        let thread = self.threads.get_mut(&proof.tid())?;
        (thread.state == State::Stopped && thread.pid == proof.pid()).then_some(thread)
    }

    /// Forgets a thread.
    pub(super) fn remove(&mut self, tid: Tid) -> Option<Thread> {
        self.threads.remove(&tid)
    }

    /// Forgets a process with all threads; returns those besides the leader.
    pub(super) fn remove_process(&mut self, pid: Pid) -> Vec<Tid> {
        let mut threads = self.threads_of(pid);
        for tid in &threads {
            self.threads.remove(tid);
        }
        self.processes.remove(&pid);
        threads.retain(|tid| *tid != pid.leader());
        threads
    }

    /// The threads that wait for a process to let go of their memory.
    pub(super) fn vfork_parents(&self, child: Pid) -> Vec<Tid> {
        let waits = |(tid, t): (&Tid, &Thread)| (t.vfork_child == Some(child)).then_some(*tid);
        self.threads.iter().filter_map(waits).collect()
    }
}
