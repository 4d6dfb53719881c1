//! The books on processes and threads: who exists, who is stopped, and what
//! each owes or is owed. No policy and no calls to the target.

use std::collections::BTreeMap;

use trapline_core::stop::Signal;
use trapline_core::target::Stopped;
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

use crate::event::StopReason;
use crate::rows::Seat;
use crate::session::{Departure, Goal, Residue};
use crate::space::SpaceId;

/// A process of the session.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// The memory it runs in, shared with a parent between vfork and exec.
    pub(crate) space: SpaceId,
    pub(crate) origin: Origin,
    pub(crate) role: Role,
    pub(crate) threads: BTreeMap<Tid, Thread>,
    pub(crate) name: String,
    /// The thread whose signal is ending it. No other runs any more, and nothing
    /// of ours is in its memory.
    pub(crate) dying: Option<Tid>,
}

/// How a process came to the session; decides what happens at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Launched,
    Attached,
}

/// What a process is to the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// One that is debugged.
    Debuggee,
    /// A child that is not followed but runs in a debuggee's memory, where our
    /// sites are: it is passed over them and let go when it leaves that memory.
    Passenger,
    /// A child that is not followed, with memory of its own: let go at its
    /// first stop.
    Leaving,
}

/// A thread of a process.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) tid: Tid,
    /// Session number.
    pub(crate) number: u32,
    pub(crate) run: RunState,
    /// The address whose sites this thread has already been counted at and has
    /// not yet executed. While its pc is still there, resuming passes over
    /// them without another hit.
    pub(crate) counted_at: Option<VirtAddr>,
    /// The address of the instruction that it last began after being counted
    /// at it, in its own place. A system call there that starts over because a
    /// stop interrupted it is still the same pass.
    pub(crate) begun: Option<VirtAddr>,
    /// Where a signal's handler returns to, and the stack pointer there, when it
    /// came before an instruction at which the thread had been counted.
    pub(crate) returns_to: Option<(VirtAddr, u64)>,
    /// The signal it stopped for and will be given when it goes on.
    pub(crate) signal: Option<Signal>,
    /// What the user has still to be told of it.
    pub(crate) pending: Vec<StopReason>,
    /// How many of the inlined calls that begin where it stopped the user has
    /// not entered: they are no frames yet.
    pub(crate) not_entered: usize,
    /// A step under way.
    pub(crate) step: Option<Step>,
    /// A course under way.
    pub(crate) course: Option<Course>,
    /// The step that goes on when a call that is stepped over has returned.
    pub(crate) step_after_return: Option<Step>,
    /// What the instruction being stepped leaves behind in the program's state.
    pub(crate) trap_flag_residue: Option<Residue>,
    /// How it was let go last.
    pub(crate) resumed: Resumed,
    /// The displaced instruction that it is executing by steps, in its slot.
    pub(crate) steps_slot_of: Option<VirtAddr>,
    /// Whether it has to finish a slot before its signal is delivered.
    pub(crate) leaves_slot: bool,
    /// Parent of a vfork child that still runs in its memory. Kept in the
    /// fork's own stop, where the kernel would make it wait anyway, so it can
    /// be looked at like any stopped thread.
    pub(crate) waits_for: Option<Pid>,
    /// Whether it begins to exit and runs no more of the program's code.
    pub(crate) exiting: bool,
    /// Where it counts quiet passes.
    pub(crate) seat: Seat,
    /// How the present stop may be told in `info threads`.
    pub(crate) stopped_for: String,
    /// Whether it waits for the client to let it go.
    pub(crate) parked: bool,
}

/// Whether a thread runs. Looking at a thread needs the [`Stopped`] in here.
#[derive(Debug)]
pub(crate) enum RunState {
    /// It runs, or is blocked in the kernel.
    Running {
        /// Whether it has been asked to stop and has not answered.
        interrupted: bool,
    },
    /// It is stopped.
    Stopped(Stopped),
}

/// How a thread was let go last: tells our steps from the program's own trap
/// flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resumed {
    /// To run; every step before has ended.
    Run,
    /// To run, after a step that nobody has seen end. Its trap may still come.
    RunAfterStep,
    /// For one instruction.
    Step {
        /// Whether the program's own trap flag was set then: the trap is also
        /// the program's.
        own_flag: bool,
    },
}

impl Resumed {
    /// How the thread is let go next.
    pub(crate) fn then(self, step: bool, own_flag: bool) -> Self {
        match self {
            _ if step => Self::Step { own_flag },
            Self::Run => Self::Run,
            Self::RunAfterStep | Self::Step { .. } => Self::RunAfterStep,
        }
    }
}

/// A requested walk of a thread through instructions.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Instructions still to execute, the present one included.
    pub(crate) remaining: u64,
    pub(crate) over_calls: bool,
    /// Code in which it goes on, however many instructions that takes.
    pub(crate) within: Option<AddrRange>,
    /// A call being stepped over: where it returns to, and below which stack
    /// pointer it is still a deeper recursion.
    pub(crate) returns_to: Option<ReturnPoint>,
}

impl Step {
    /// So many instructions.
    pub(crate) fn of(count: u64, over_calls: bool) -> Self {
        Self { remaining: count, over_calls, within: None, returns_to: None }
    }

    /// Instructions until one outside of a range.
    pub(crate) fn out_of(range: AddrRange) -> Self {
        Self { within: Some(range), ..Self::of(1, false) }
    }

    /// Takes note of an executed instruction, after which the thread stands at
    /// `pc`. Whether the step is over.
    pub(crate) fn advance(&mut self, pc: VirtAddr) -> bool {
        if self.within.is_some_and(|range| range.contains(pc)) {
            return false;
        }
        self.remaining -= 1;
        self.remaining == 0
    }
}

/// A movement of a thread to another line, out of a frame or to a place.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) goal: Goal,
    /// How often the goal is still to be reached.
    pub(crate) remaining: u64,
    /// Where it is under way from.
    pub(crate) from: Departure,
    /// Where the user sent it from.
    pub(crate) began: Departure,
    pub(crate) leg: Leg,
}

/// How a thread moves on its course.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leg {
    /// It runs to the places set for it.
    Run,
    /// It executes an instruction that may lead anywhere.
    Step {
        /// Where it comes back to, when that is a call or what a call led to.
        back: Option<ReturnPoint>,
        /// Instructions executed since.
        stub: u32,
    },
}

/// A place in one activation of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReturnPoint {
    pub(crate) addr: VirtAddr,
    /// Stack pointers at or above this one belong to the activation.
    pub(crate) stack: u64,
}

impl Thread {
    pub(crate) fn new(tid: Tid, number: u32) -> Self {
        Self {
            tid,
            number,
            run: RunState::Running { interrupted: false },
            counted_at: None,
            begun: None,
            returns_to: None,
            signal: None,
            pending: Vec::new(),
            not_entered: 0,
            step: None,
            course: None,
            step_after_return: None,
            trap_flag_residue: None,
            resumed: Resumed::Run,
            steps_slot_of: None,
            leaves_slot: false,
            waits_for: None,
            exiting: false,
            seat: Seat::None,
            stopped_for: "running".to_owned(),
            parked: false,
        }
    }

    /// The proof that it is stopped, if it is.
    pub(crate) fn stopped(&self) -> Option<&Stopped> {
        match &self.run {
            RunState::Stopped(stopped) => Some(stopped),
            RunState::Running { .. } => None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.run, RunState::Running { .. })
    }

    /// Takes the proof away, for resuming: the thread counts as running from
    /// here on.
    pub(crate) fn take_stopped(&mut self) -> Option<Stopped> {
        match std::mem::replace(&mut self.run, RunState::Running { interrupted: false }) {
            RunState::Stopped(stopped) => Some(stopped),
            running @ RunState::Running { .. } => {
                self.run = running;
                None
            }
        }
    }
}

impl Process {
    pub(crate) fn is_debuggee(&self) -> bool {
        self.role == Role::Debuggee
    }
}
