//! Traps that are not ours: what becomes of the breakpoint instructions and of
//! the trap flag of the program's own. The signal table says whether they stop,
//! are told, and reach the program, as for any signal.

use trapline_core::memory::ReadMemory;
use trapline_core::stop::{Signal, SignalInfo};
use trapline_core::x64::{Registers, flags};
use trapline_core::{Pid, Tid, VirtAddr};

use super::Session;
use super::run::Verdict;
use crate::event::{Event, StopReason};
use crate::process::{Process, Resumed};

/// What of the program's raised `SIGTRAP`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OwnTrap {
    Int3,
    LongInt3,
    Int1,
    TrapFlag,
}

impl OwnTrap {
    fn instruction(self) -> &'static str {
        match self {
            Self::Int3 => "int3 (CC)",
            Self::LongInt3 => "int 3 (CD 03)",
            Self::Int1 => "int1 (F1)",
            Self::TrapFlag => "trap flag (TF)",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Int3 | Self::LongInt3 => {
                "the program itself contains this breakpoint instruction"
            }
            Self::Int1 => {
                "the program itself contains this debug-exception instruction (also called icebp)"
            }
            Self::TrapFlag => {
                "the program itself has set the flag and is trapped after each instruction"
            }
        }
    }

    /// `si_code` of the signal. sigaction(2); an `int3` has `SI_KERNEL`, an
    /// `int1` `TRAP_BRKPT`, a step `TRAP_TRACE`.
    fn code(self) -> i32 {
        match self {
            Self::Int3 | Self::LongInt3 => 0x80,
            Self::Int1 => 1,
            Self::TrapFlag => 2,
        }
    }

    fn reason(self, passed: bool) -> StopReason {
        let then = if passed {
            "`continue` lets it have its SIGTRAP"
        } else {
            "`continue` goes on after it"
        };
        StopReason::OwnTrap {
            instruction: self.instruction().to_owned(),
            explanation: format!("{}; {then}", self.what()),
        }
    }
}

impl Session {
    /// The program's own `int3` or `int 3` ran, in its place or in a slot.
    pub(super) fn judge_own_trap(
        &mut self,
        pid: Pid,
        tid: Tid,
        mut registers: Registers,
    ) -> Verdict {
        let after = VirtAddr::new(registers.rip);
        let trap = self.trap_before(pid, after);
        // Without one, ours was taken out after this thread had run into it.
        let gone = trap.is_none_or(|trap| {
            trap == OwnTrap::Int3 && self.mend_stray_trap(pid, after.wrapping_sub(1))
        });
        match trap {
            Some(trap) if !gone => self.own_trap(pid, tid, trap, true),
            _ => {
                registers.rip -= 1;
                self.put_registers(pid, tid, &registers);
                Verdict::GoOn
            }
        }
    }

    /// Which breakpoint instruction ends at a place, as the program wrote it.
    /// One that cannot be read did run.
    fn trap_before(&self, pid: Pid, after: VirtAddr) -> Option<OwnTrap> {
        let Some(memory) = self.memory(pid) else { return Some(OwnTrap::Int3) };
        let at = self.space_of(pid).map_or(after, |space| space.program_pc(after));
        let mut bytes = [0; 2];
        let read = memory.read_some(at.wrapping_sub(2), &mut bytes);
        match bytes {
            [0xcd, 0x03] if read == 2 => Some(OwnTrap::LongInt3),
            [_, last] if read == 2 && last != 0xcc => None,
            _ => Some(OwnTrap::Int3),
        }
    }

    pub(super) fn judge_int1(&mut self, pid: Pid, tid: Tid) -> Verdict {
        self.own_trap(pid, tid, OwnTrap::Int1, true)
    }

    /// A single instruction was executed: by a step of ours, because the
    /// program's own trap flag is set, or both.
    pub(super) fn judge_single_step(&mut self, pid: Pid, tid: Tid) -> Verdict {
        let Some(registers) = self.raw_registers(pid, tid) else { return Verdict::Stay };
        let Some(thread) = self.thread_mut(pid, tid) else { return Verdict::Stay };
        let walks = thread.step.is_some();
        let (ours, own) = match std::mem::replace(&mut thread.resumed, Resumed::Run) {
            Resumed::Step { own_flag } => (true, own_flag),
            Resumed::Run => (false, true),
            Resumed::RunAfterStep => {
                let set = registers.rflags & flags::TF != 0;
                (!set, set)
            }
        };
        if !ours && let Some(verdict) = self.judge_trapped_inside(pid, tid) {
            return verdict;
        }
        let half_done = self.in_unfinished_slot(pid, tid);
        let verdict = if ours { self.judge_step(pid, tid) } else { Verdict::GoOn };
        if own && !half_done {
            // The user who walks sees every instruction anyway.
            verdict.join(self.own_trap(pid, tid, OwnTrap::TrapFlag, !walks))
        } else {
            verdict
        }
    }

    /// Treats a trap of the program's own as the signal that it is.
    fn own_trap(&mut self, pid: Pid, tid: Tid, trap: OwnTrap, may_stop: bool) -> Verdict {
        // Its handler is to see a place of the program's.
        self.leave_slot_with_signal(pid, tid);
        let debuggee = self.processes.get(&pid).is_some_and(Process::is_debuggee);
        let policy = self.signals.get(Signal::TRAP);
        let pass = policy.pass || !debuggee;
        if pass && let Some(thread) = self.thread_mut(pid, tid) {
            thread.signal = Some(Signal::TRAP);
        }
        if debuggee && policy.stop && may_stop {
            return Verdict::Report(vec![trap.reason(pass)]);
        }
        if debuggee && policy.print && !policy.stop {
            let info =
                SignalInfo { signal: Signal::TRAP, code: trap.code(), address: None, sender: None };
            self.emit(Event::SignalSeen { tid, info });
        }
        Verdict::GoOn
    }
}
