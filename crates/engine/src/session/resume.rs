//! Letting threads go on: past the sites they have been counted at, out of
//! our slots before a signal is delivered, and back into the program.

use std::time::Duration;

use trapline_core::stop::SignalInfo;
use trapline_core::target::{Resume, TargetError};
use trapline_core::x64::{Registers, flags};
use trapline_core::{Pid, Tid, VirtAddr};

use super::{Motion, Session};
use crate::command::ResumePolicy;
use crate::space::{Detour, Halt, SpaceId};

/// Work that needs everything stopped, noted while something runs and done at
/// the next hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chore {
    /// Step a thread over a trap that has no slot.
    Lift { pid: Pid, tid: Tid, at: VirtAddr },
    /// Have a trap stand for the instruction that the program wrote under it.
    DisplaceAnew { pid: Pid, at: VirtAddr },
    /// Find out which hit a pass is whose thread has asked.
    CountPaid { pid: Pid, tid: Tid, at: VirtAddr },
    /// Decide how the course of a thread goes on.
    Course { pid: Pid, tid: Tid, halt: Halt },
    /// Look which libraries a process has now.
    Libraries { pid: Pid },
    /// Arm what is wanted by now, as whenever everything goes on.
    Arm,
    /// Look which processes are about to die, likewise.
    Deaths,
}

impl Session {
    /// Lets everything run that the user wants to run.
    pub(super) fn let_run(&mut self) {
        self.leave_the_dying();
        self.sync_sites();
        self.release_leftovers();
        let threads = self.all_threads();
        for &(pid, tid) in &threads {
            self.seat(pid, tid);
        }
        begin_time_slice(threads.len());
        self.motion = Motion::Running;
        self.hold_began = None;
        for (pid, tid) in threads {
            self.resume_thread(pid, tid);
        }
    }

    /// Resumes on the user's behalf, under the resume policy.
    pub(super) fn continue_for_user(&mut self) {
        if self.settings.resume_policy == ResumePolicy::Driver {
            // The client owns stepping over: the place reports itself again.
            for (pid, tid) in self.all_threads() {
                if let Some(thread) = self.thread_mut(pid, tid) {
                    thread.counted_at = None;
                }
            }
        }
        if !self.deliver() {
            self.let_run();
        }
    }

    /// Resumes one stopped thread.
    pub(super) fn resume_thread(&mut self, pid: Pid, tid: Tid) {
        let Some(thread) = self.thread_mut(pid, tid) else { return };
        if thread.waits_for.is_some() || thread.is_running() || !thread.pending.is_empty() {
            return;
        }
        if !self.may_run(pid, tid) {
            return;
        }
        if self.stays_for_a_death(pid, tid) {
            return;
        }
        if !self.begins_again(pid, tid)
            && let Some(at) = self.thread_mut(pid, tid).and_then(|thread| thread.counted_at.take())
            && !self.pass_over(pid, tid, at)
        {
            return;
        }
        if self.is_to_be_counted_first(pid, tid) {
            return;
        }
        let Some(thread) = self.thread_mut(pid, tid) else { return };
        let step = thread.step.is_some() || thread.leaves_slot;
        let how = Resume { step, signal: thread.signal.take() };
        self.resume_raw(pid, tid, how);
    }

    /// A thread that is to step and stands at a jump would step into code of
    /// ours: what the pass means is asked here instead. `true` when it does not
    /// go on for now.
    fn is_to_be_counted_first(&mut self, pid: Pid, tid: Tid) -> bool {
        if self.thread(pid, tid).is_none_or(|thread| thread.step.is_none()) {
            return false;
        }
        let Some(registers) = self.raw_registers(pid, tid) else { return false };
        let at = VirtAddr::new(registers.rip);
        let space = self.space_of(pid);
        if space.and_then(|space| space.code_sites.get(&at)?.jump()).is_none() {
            return false;
        }
        let verdict = self.judge_site(pid, tid, at, registers);
        self.act(pid, tid, verdict);
        true
    }

    /// Hands a thread back to the target.
    pub(super) fn resume_raw(&mut self, pid: Pid, tid: Tid, how: Resume) {
        self.seat(pid, tid);
        let sets_flag = |registers: Registers| registers.rflags & flags::TF != 0;
        let own_flag =
            how.step && how.signal.is_none() && self.raw_registers(pid, tid).is_some_and(sets_flag);
        let steps_slot_of = if how.step { self.unfinished_slot(pid, tid) } else { None };
        let Some(thread) = self.thread_mut(pid, tid) else { return };
        thread.steps_slot_of = steps_slot_of;
        thread.not_entered = 0;
        "running".clone_into(&mut thread.stopped_for);
        thread.resumed = thread.resumed.then(how.step, own_flag);
        let Some(stopped) = thread.take_stopped() else { return };
        match self.target.resume(stopped, how) {
            Ok(()) | Err(TargetError::Gone) => {}
            Err(error) => self.warn(format!("thread {tid} could not be resumed: {error}")),
        }
    }

    /// Puts a thread that was counted at `at` past the sites there. `false`
    /// when it has to wait for a moment in which everything is stopped.
    fn pass_over(&mut self, pid: Pid, tid: Tid, at: VirtAddr) -> bool {
        let Some(mut registers) = self.raw_registers(pid, tid) else { return true };
        if registers.rip != at.get() {
            return true;
        }
        let current = self.is_displaced_still(pid, at);
        let Some(space) = self.space_of(pid) else { return true };
        match space.code_sites.get(&at).map(|site| &site.detour) {
            Some(_) if self.enters_handler(pid, tid) => {
                registers.rflags |= flags::RF;
                if let Some(thread) = self.thread_mut(pid, tid) {
                    thread.returns_to = Some((at, registers.rsp()));
                }
            }
            Some(Detour::Slot(start)) if current => registers.rip = start.get(),
            Some(detour) => {
                let chore = match detour {
                    Detour::Slot(_) => Chore::DisplaceAnew { pid, at },
                    Detour::Lift(_) => Chore::Lift { pid, tid, at },
                };
                if let Some(thread) = self.thread_mut(pid, tid) {
                    thread.counted_at = Some(at);
                }
                self.chores.push(chore);
                return false;
            }
            // Without a site in the code only a debug register can match here again.
            None => {
                registers.rflags |= flags::RF;
                if let Some(thread) = self.thread_mut(pid, tid) {
                    thread.begun = Some(at);
                }
            }
        }
        self.put_registers(pid, tid, &registers);
        true
    }

    /// Whether a handler runs before the instruction at which the thread stands.
    /// Its frame is to hold the program's own place, so the thread is not yet
    /// put past the sites there.
    fn enters_handler(&self, pid: Pid, tid: Tid) -> bool {
        let signal = self.thread(pid, tid).and_then(|thread| thread.signal);
        signal.is_some_and(|signal| self.target.handles(pid, tid, signal))
    }

    /// Whether a system call at which the thread was counted starts over at its
    /// own instruction, because a stop interrupted it: that is no second pass
    /// of what is there.
    fn begins_again(&mut self, pid: Pid, tid: Tid) -> bool {
        let Some(process) = self.processes.get_mut(&pid) else { return false };
        let Some(thread) = process.threads.get_mut(&tid) else { return false };
        let (Some(at), Some(stopped)) = (thread.begun, thread.stopped()) else { return false };
        let Ok(mut registers) = self.target.registers(stopped) else { return false };
        if registers.rip == at.get() {
            return false;
        }
        let again = self.target.starts_over_at(stopped, thread.signal) == Some(at);
        if again {
            thread.counted_at = Some(at);
            registers.rflags |= flags::RF;
        } else if thread.signal.is_some() {
            // Were it to start over before, a handler comes first and may end
            // it: what follows the call is not to be passed over.
            registers.rflags &= !flags::RF;
        } else {
            return false;
        }
        self.put_registers(pid, tid, &registers);
        again
    }

    /// Decides where a signal finds its thread when the thread is in a slot;
    /// `true` when it has to wait.
    ///
    /// A handler sees the interrupted pc. An instruction that raised the
    /// signal itself is reported at its own place, and one that is done at the
    /// place after it. Any other signal waits until the displaced instruction
    /// is done, so that returning from the handler does not run into the trap a
    /// second time; where that would say nothing, the thread is reported where
    /// it began. What may take long does not let it wait: a displaced system
    /// call that the signal interrupted, and a repeated string instruction,
    /// stay where they are and go on there.
    pub(super) fn wait_outside_slot(&mut self, pid: Pid, tid: Tid, info: &mut SignalInfo) -> bool {
        if self.leave_decision(pid, tid).is_some() {
            return false;
        }
        let Some(raw) = self.raw_registers(pid, tid) else { return false };
        let Some(space) = self.space_of(pid) else { return false };
        let Some(at) = space.arena.locate(VirtAddr::new(raw.rip)) else { return false };
        let stays = at.is_after_system_call() || (at.is_before() && at.is_repeated());
        let before = at.is_before();
        if info.is_raised() {
            *info = self.leave_slot_with_signal(pid, tid).unwrap_or(*info);
            return false;
        }
        if stays {
            if let Some(space) = self.space_of_mut(pid) {
                space.arena.note_interrupted_call();
            }
            return false;
        }
        if before && self.stands_at_leaving(pid, tid).is_none() {
            return self.defer_signal(pid, tid);
        }
        self.leave_slot(pid, tid);
        false
    }

    /// Moves a thread whose instruction has raised a signal from the copy of the
    /// instruction to the instruction itself, which the signal is to name as
    /// well. Answers with what it says then, if it named the copy.
    pub(super) fn leave_slot_with_signal(&mut self, pid: Pid, tid: Tid) -> Option<SignalInfo> {
        let from = VirtAddr::new(self.raw_registers(pid, tid)?.rip);
        self.leave_slot(pid, tid);
        let to = VirtAddr::new(self.raw_registers(pid, tid)?.rip);
        if from == to {
            return None;
        }
        let stopped = self.processes.get(&pid)?.threads.get(&tid)?.stopped()?;
        // A thread that died tells its handlers nothing.
        self.target.set_signal_origin(stopped, from, to).ok()?
    }

    /// Has the target bring the signal again once the thread has left its slot.
    fn defer_signal(&mut self, pid: Pid, tid: Tid) -> bool {
        self.expect_residue(pid, tid);
        let Some(process) = self.processes.get_mut(&pid) else { return false };
        let Some(thread) = process.threads.get_mut(&tid) else { return false };
        let Some(stopped) = thread.stopped() else { return false };
        let deferred = self.target.defer_signal(stopped).is_ok();
        thread.leaves_slot = deferred;
        deferred
    }

    /// Brings threads that stand in a slot to the place in the program that
    /// they stand for. One that has not executed the displaced instruction is
    /// at its site, already counted there; one that has is behind it. A thread
    /// interrupted in a displaced system call stays: the kernel restarts the
    /// call in the slot. Everything is stopped.
    pub(super) fn settle_slots(&mut self) {
        for (pid, tid) in self.all_threads() {
            self.settle_slot(pid, tid);
        }
    }

    pub(super) fn settle_slot(&mut self, pid: Pid, tid: Tid) {
        let Some(space) = self.space_of(pid) else { return };
        if space.arena.is_empty() {
            return;
        }
        if self.leave_decision(pid, tid).is_some() {
            return;
        }
        let Some(raw) = self.raw_registers(pid, tid) else { return };
        let Some(space) = self.space_of(pid) else { return };
        let Some(at) = space.arena.locate(VirtAddr::new(raw.rip)) else { return };
        if at.is_after_system_call() {
            return;
        }
        let (before, site) = (at.is_before(), at.slot.at);
        let armed = space.code_sites.contains_key(&site);
        let Some(registers) = self.program_registers(pid, tid) else { return };
        self.put_registers(pid, tid, &registers);
        if before
            && armed
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            thread.counted_at = Some(site);
        }
    }

    /// Moves every thread of a space out of its slots, for good: to the
    /// program's own code, where an interrupted system call starts over.
    pub(super) fn leave_slots(&mut self, id: SpaceId) {
        for (pid, tid) in self.threads_of(id) {
            self.move_out(pid, tid);
        }
    }

    /// The same for one thread.
    pub(super) fn move_out(&mut self, pid: Pid, tid: Tid) {
        let Some(raw) = self.raw_registers(pid, tid) else { return };
        let Some(registers) = self.program_registers(pid, tid) else { return };
        if registers == raw {
            return;
        }
        let thread = self.processes.get(&pid).and_then(|process| process.threads.get(&tid));
        if let Some(stopped) = thread.and_then(|thread| thread.stopped()) {
            // A thread that died needs no registers.
            let _gone = self.target.move_to_copy(stopped, &registers);
        }
    }

    /// Does what had to wait for a hold.
    pub(super) fn do_chores(&mut self) {
        for chore in std::mem::take(&mut self.chores) {
            match chore {
                Chore::Lift { pid, tid, at } => self.lift(pid, tid, at),
                Chore::DisplaceAnew { pid, at } => self.displace_anew_at(pid, at),
                Chore::CountPaid { pid, tid, at } => self.count_held(pid, tid, at),
                Chore::Course { pid, tid, halt } => self.go_on_course(pid, tid, halt),
                Chore::Libraries { pid } => self.update_libraries(pid),
                Chore::Arm | Chore::Deaths => {}
            }
        }
    }
}

/// Threads that are busy take the processor as soon as they run, and the rest
/// waits until it is the debugger's turn again. After a moment's sleep there is
/// a whole time slice to resume so many in: of 100 on two processors, the last
/// after 2 ms and not after 100 (measured on Linux 6.18).
fn begin_time_slice(threads: usize) {
    const MANY: usize = 16;
    if threads >= MANY {
        std::thread::sleep(Duration::from_nanos(1));
    }
}
