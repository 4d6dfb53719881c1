//! Executing single instructions: the user's steps, the way out of a slot,
//! and the lift of a trap that has no slot.

use std::time::{Duration, Instant};

use trapline_core::breakpoint::Mechanism;
use trapline_core::memory::ReadMemory;
use trapline_core::plan::Owner;
use trapline_core::target::{Resume, Wait};
use trapline_core::x64::debug::DebugStatus;
use trapline_core::x64::{MAX_INSTRUCTION, Registers, flags};
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_patch::insn::{self, Insn, InsnKind};
use trapline_patch::relocate::Slot;

use super::Session;
use super::locking::Leave;
use super::resume::Chore;
use super::run::Verdict;
use crate::command::CommandError;
use crate::event::StopReason;
use crate::process::{ReturnPoint, Step};
use crate::space::{Internal, Purpose};

/// How long a lifted instruction may take before the other threads are let go:
/// a system call that waits for one of them would wait for ever.
const LIFT_PATIENCE: Duration = Duration::from_millis(20);

impl Session {
    /// Starts the user's step of the selected thread.
    pub(super) fn start_step(&mut self, count: u64, over_calls: bool) -> Result<(), CommandError> {
        let selected = self.selected()?;
        if count == 0 {
            return Err(CommandError::new("a step count starts at 1"));
        }
        let (pid, tid) = (selected.pid, selected.tid);
        let thread = self
            .thread_mut(pid, tid)
            .ok_or_else(|| CommandError::new("the selected thread is gone"))?;
        thread.step = Some(Step::of(count, over_calls));
        self.choose_runners(Leave::Stepping);
        self.prepare_step(pid, tid);
        self.continue_for_user();
        Ok(())
    }

    /// Before an instruction is stepped: notes what the step would leave behind
    /// and, for `nexti`, turns a call into a run to its return.
    pub(super) fn prepare_step(&mut self, pid: Pid, tid: Tid) {
        let Some(registers) = self.program_registers(pid, tid) else { return };
        let pc = VirtAddr::new(registers.rip);
        let Some(instruction) = self.instruction_at(pid, pc) else { return };
        let over = self
            .thread(pid, tid)
            .and_then(|thread| thread.step.as_ref())
            .is_some_and(|step| step.over_calls);
        let returns_to = (over && instruction.kind() == InsnKind::Call)
            .then(|| ReturnPoint { addr: instruction.next(), stack: registers.rsp() });
        if let (Some(point), Some(space)) =
            (returns_to, self.processes.get(&pid).map(|process| process.space))
        {
            let purpose = Purpose::Return { tid, stack: point.stack };
            self.add_internal(space, point.addr, purpose);
        }
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.trap_flag_residue = residue(instruction.kind(), &registers);
            if let Some(step) = &mut thread.step {
                step.returns_to = returns_to;
            }
        }
    }

    /// Notes what stepping the instruction at which a thread stands, on our own
    /// account, would leave in the program's state.
    pub(super) fn expect_residue(&mut self, pid: Pid, tid: Tid) {
        let Some(registers) = self.program_registers(pid, tid) else { return };
        let Some(instruction) = self.instruction_at(pid, VirtAddr::new(registers.rip)) else {
            return;
        };
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.trap_flag_residue = residue(instruction.kind(), &registers);
        }
    }

    fn instruction_at(&self, pid: Pid, pc: VirtAddr) -> Option<Insn> {
        let mut bytes = [0; MAX_INSTRUCTION];
        let read = self.memory(pid)?.read_some(pc, &mut bytes);
        insn::decode(&bytes[..read], pc)
    }

    /// A debug exception: debug registers matched, a step ended, or both.
    pub(super) fn judge_debug(&mut self, pid: Pid, tid: Tid, status: DebugStatus) -> Verdict {
        let Some(registers) = self.program_registers(pid, tid) else { return Verdict::Stay };
        if status.single_step
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            thread.counted_at = None;
        }
        let mut verdict = Verdict::GoOn;
        if status.any_slot() {
            verdict = verdict.join(self.judge_slots(pid, tid, status, &registers));
        }
        if status.single_step {
            verdict = verdict.join(self.judge_single_step(pid, tid));
        }
        verdict
    }

    /// Execute slots that matched are passes of the instruction at the pc; data
    /// slots go to `data`.
    fn judge_slots(
        &mut self,
        pid: Pid,
        tid: Tid,
        status: DebugStatus,
        registers: &Registers,
    ) -> Verdict {
        let Some(space) = self.space_of(pid) else { return Verdict::GoOn };
        let pc = VirtAddr::new(registers.rip);
        let mut owners: Vec<Owner> = Vec::new();
        let mut data = false;
        for (index, slot, site) in space.slots_for(tid) {
            if !status.slots[usize::from(index)] {
                continue;
            }
            match slot.kind {
                trapline_core::x64::debug::SlotKind::Execute if slot.addr == pc => {
                    owners.extend(site.owners.iter());
                }
                trapline_core::x64::debug::SlotKind::Execute => {}
                _ => data = true,
            }
        }
        let mut verdict = Verdict::GoOn;
        if !owners.is_empty() {
            verdict = verdict.join(self.reach(pid, tid, pc, &owners, registers));
        }
        if data {
            let reasons = self.data_hit(pid, tid, status, registers);
            verdict = verdict.join(Verdict::about(reasons));
        }
        verdict
    }

    /// The instruction at `pc` is about to run; `owners` are those of the debug
    /// registers on it. A trap at the same place is passed in the same breath,
    /// so that one pass is one stop.
    fn reach(
        &mut self,
        pid: Pid,
        tid: Tid,
        pc: VirtAddr,
        owners: &[Owner],
        registers: &Registers,
    ) -> Verdict {
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.counted_at = Some(pc);
        }
        let verdict = self.ask_owners(pid, tid, owners, registers, Mechanism::Hardware);
        verdict.join(self.count_pass(pid, tid, pc, registers))
    }

    /// One instruction was stepped by us.
    pub(super) fn judge_step(&mut self, pid: Pid, tid: Tid) -> Verdict {
        if self.in_unfinished_slot(pid, tid) {
            return Verdict::GoOn;
        }
        self.clear_residue(pid, tid);
        let Some(thread) = self.thread_mut(pid, tid) else { return Verdict::Stay };
        thread.leaves_slot = false;
        let Some(step) = &mut thread.step else { return Verdict::GoOn };
        if let Some(point) = step.returns_to.take() {
            return self.run_to_return(pid, tid, point);
        }
        self.leave_slot(pid, tid);
        let finished = self.has_stepped(pid, tid);
        let landing = self.land(pid, tid);
        let on_course = finished && self.thread(pid, tid).is_some_and(|it| it.course.is_some());
        match landing {
            Verdict::Report(reasons) if on_course => Verdict::Report(reasons),
            _ if on_course => self.course_has_stepped(pid, tid),
            Verdict::Report(mut reasons) => {
                if finished {
                    reasons.push(StopReason::Stepped);
                }
                Verdict::Report(reasons)
            }
            _ if finished => Verdict::Report(vec![StopReason::Stepped]),
            other => other.join(self.prepare_next_step(pid, tid)),
        }
    }

    /// Takes note of an instruction that a thread has executed; whether it was
    /// the last to execute.
    fn has_stepped(&mut self, pid: Pid, tid: Tid) -> bool {
        let pc = self.raw_registers(pid, tid).map(|now| VirtAddr::new(now.rip));
        let step = self.thread_mut(pid, tid).and_then(|thread| thread.step.as_mut());
        step.zip(pc).is_some_and(|(step, pc)| step.advance(pc))
    }

    /// Prepares a step amid others. A trap at the return from a call has to be
    /// there before the call is made.
    fn prepare_next_step(&mut self, pid: Pid, tid: Tid) -> Verdict {
        self.prepare_step(pid, tid);
        let step = self.thread(pid, tid).and_then(|thread| thread.step.as_ref());
        if step.is_none_or(|step| step.returns_to.is_none()) {
            return Verdict::GoOn;
        }
        self.chores.push(Chore::Arm);
        Verdict::Stay
    }

    /// Moves a thread that is in a slot to the place in the program that it
    /// stands for.
    pub(super) fn leave_slot(&mut self, pid: Pid, tid: Tid) {
        let raw = self.raw_registers(pid, tid);
        let registers = self.program_registers(pid, tid);
        if let (Some(raw), Some(registers)) = (raw, registers)
            && raw != registers
        {
            self.put_registers(pid, tid, &registers);
        }
    }

    /// A step ended on an instruction that carries a site: that is a pass, as
    /// if the thread had run into it.
    fn land(&mut self, pid: Pid, tid: Tid) -> Verdict {
        let Some(registers) = self.program_registers(pid, tid) else { return Verdict::Stay };
        let at = VirtAddr::new(registers.rip);
        let Some(space) = self.space_of(pid) else { return Verdict::Stay };
        if !space.has_site(tid, at) {
            return Verdict::GoOn;
        }
        let owners: Vec<Owner> = space.execute_owners(tid, at).collect();
        self.reach(pid, tid, at, &owners, &registers)
    }

    /// A `nexti` stepped into its call: from here the thread runs to the
    /// return.
    fn run_to_return(&mut self, pid: Pid, tid: Tid, point: ReturnPoint) -> Verdict {
        if let Some(thread) = self.thread_mut(pid, tid)
            && let Some(step) = thread.step.take()
        {
            thread.step_after_return = Some(step);
        }
        let Some(registers) = self.program_registers(pid, tid) else { return Verdict::Stay };
        if registers.rip == point.addr.get() && registers.rsp() >= point.stack {
            return self.returned(pid, tid);
        }
        self.land(pid, tid)
    }

    /// The call that was stepped over has returned.
    pub(super) fn returned(&mut self, pid: Pid, tid: Tid) -> Verdict {
        self.drop_internal(|internal| {
            matches!(internal.purpose, Purpose::Return { tid: whose, .. } if whose == tid)
        });
        let Some(thread) = self.thread_mut(pid, tid) else { return Verdict::Stay };
        let Some(mut step) = thread.step_after_return.take() else { return Verdict::GoOn };
        step.remaining -= 1;
        if step.remaining == 0 {
            return Verdict::Report(vec![StopReason::Stepped]);
        }
        thread.step = Some(step);
        self.prepare_next_step(pid, tid)
    }

    /// Ends what was set for walks that are over.
    pub(super) fn drop_return_points(&mut self) {
        for process in self.processes.values_mut() {
            for thread in process.threads.values_mut() {
                thread.step_after_return = None;
            }
        }
        self.drop_internal(|internal: &Internal| {
            matches!(internal.purpose, Purpose::Return { .. })
        });
    }

    /// Whether a thread that executes single instructions has more to execute of
    /// a displaced one: it is on the way to its copy, or in it. In a window the
    /// copy of the next follows.
    pub(super) fn in_unfinished_slot(&mut self, pid: Pid, tid: Tid) -> bool {
        let Some(slot) = self.unfinished_slot(pid, tid) else { return false };
        match self.thread(pid, tid).and_then(|thread| thread.steps_slot_of) {
            Some(stepped) => stepped == slot,
            None => !self.is_behind_a_copy(pid, tid),
        }
    }

    fn is_behind_a_copy(&mut self, pid: Pid, tid: Tid) -> bool {
        let Some(registers) = self.raw_registers(pid, tid) else { return false };
        let raw = VirtAddr::new(registers.rip);
        let trampoline = self.space_of(pid).and_then(|space| space.arena.trampoline_around(raw));
        let ends_here = |slot: &Slot| slot.to.wrapping_add(slot.bytes.len() as u64) == raw;
        trampoline.is_some_and(|trampoline| trampoline.slots.iter().any(ends_here))
    }

    /// The displaced instruction whose copy a thread has before it or is in.
    pub(super) fn unfinished_slot(&mut self, pid: Pid, tid: Tid) -> Option<VirtAddr> {
        let raw = VirtAddr::new(self.raw_registers(pid, tid)?.rip);
        let arena = &self.space_of(pid)?.arena;
        match arena.locate(raw) {
            Some(at) => at.is_before().then_some(at.slot.at),
            None => arena.hop_to(raw),
        }
    }

    /// Steps a thread over a trap that has no slot: the trap is out of the code
    /// for this one instruction, and every other thread is held.
    pub(super) fn lift(&mut self, pid: Pid, tid: Tid, at: VirtAddr) {
        let Some(space) = self.space_of(pid) else { return };
        let Some(armed) = space.overlay.get(at) else { return };
        let (original, ours) = (armed.original.to_vec(), armed.ours.to_vec());
        let signal = match self.thread_mut(pid, tid) {
            Some(thread) if thread.stopped().is_some() => {
                thread.counted_at = None;
                thread.begun = Some(at);
                thread.signal.take()
            }
            _ => return,
        };
        if let Err(error) = self.target.write_memory(pid, at, &original) {
            self.warn(format!("the trap at {at} could not be lifted: {error}"));
            return;
        }
        self.pass_debug_registers(pid, tid);
        self.expect_residue(pid, tid);
        // What has no handler ends the program, or is nothing to the step.
        self.resume_raw(pid, tid, Resume { step: true, signal });
        let came_back = self.wait_patiently(pid, tid);
        let there = self.raw_registers(pid, tid).is_some_and(|now| now.rip == at.get());
        if (there || !came_back)
            && let Some(thread) = self.thread_mut(pid, tid)
            && thread.begun == Some(at)
        {
            // A signal came first, it is a string instruction with more to do,
            // or it has not got round to it: the pass has been counted and is
            // still under way.
            thread.counted_at = Some(at);
        }
        if self.processes.contains_key(&pid)
            && let Err(error) = self.target.write_memory(pid, at, &ours)
        {
            self.warn(format!("the trap at {at} could not be armed again: {error}"));
        }
        if !came_back && let Some(thread) = self.thread_mut(pid, tid) {
            // It is blocked in the kernel, past the instruction; its step ends
            // when it returns.
            thread.leaves_slot = false;
        }
    }

    /// Lets a thread execute its next instruction without the debug registers
    /// matching it. Intel SDM volume 3, "Instruction-Breakpoint Exception
    /// Condition".
    fn pass_debug_registers(&mut self, pid: Pid, tid: Tid) {
        if let Some(mut registers) = self.raw_registers(pid, tid) {
            registers.rflags |= flags::RF;
            self.put_registers(pid, tid, &registers);
        }
    }

    fn wait_patiently(&mut self, pid: Pid, tid: Tid) -> bool {
        let began = Instant::now();
        while self.thread(pid, tid).is_some_and(crate::process::Thread::is_running) {
            match self.target.next_event(Wait::Poll) {
                Ok(Some(event)) => self.take(event),
                Ok(None) if began.elapsed() > LIFT_PATIENCE => return false,
                Ok(None) => std::thread::sleep(Duration::from_micros(50)),
                Err(_) => return true,
            }
        }
        true
    }

    /// Undoes what single-stepping left in the program's own state.
    fn clear_residue(&mut self, pid: Pid, tid: Tid) {
        let Some(thread) = self.thread_mut(pid, tid) else { return };
        let Some(residue) = thread.trap_flag_residue.take() else { return };
        let Some(mut registers) = self.raw_registers(pid, tid) else { return };
        match residue {
            Residue::Pushed => {
                let top = VirtAddr::new(registers.rsp());
                let mut pushed = [0; 2];
                if self.target.read_memory(pid, top, &mut pushed) == 2 {
                    let clean = u16::from_le_bytes(pushed) & !(flags::TF as u16);
                    // The stack was written a moment ago; failing means the
                    // thread is dying.
                    let _ = self.target.write_memory(pid, top, &clean.to_le_bytes());
                }
            }
            Residue::InR11 => {
                registers.general[11] &= !flags::TF;
                self.put_registers(pid, tid, &registers);
            }
        }
    }
}

/// Where a stepped instruction stored the trap flag that stepping had set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Residue {
    /// `pushf` pushed it. Intel SDM volume 2, PUSHF.
    Pushed,
    /// `syscall` copied it to r11. Intel SDM volume 2, SYSCALL.
    InR11,
}

fn residue(kind: InsnKind, registers: &Registers) -> Option<Residue> {
    if registers.rflags & flags::TF != 0 {
        // The program steps itself: the flag is its own.
        return None;
    }
    match kind {
        InsnKind::PushFlags => Some(Residue::Pushed),
        InsnKind::Syscall => Some(Residue::InR11),
        _ => None,
    }
}
