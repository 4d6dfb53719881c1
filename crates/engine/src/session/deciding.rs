//! Threads in code that decides: what it asks, what it runs into, and where a
//! thread in the midst of it is to the program.
//!
//! Whatever the code cannot decide is judged here as at a trap. A thread that
//! is to be looked at, or given a signal, while nothing is decided yet stands
//! at the site and comes there once more; one whose pass has been counted
//! stands behind the decision.

use trapline_core::stop::{Signal, SignalInfo};
use trapline_core::x64::{Registers, flags};
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_patch::trampoline::{Decided, Kept};

use super::Session;
use super::run::Verdict;
use crate::arena::InDecision;

impl Session {
    /// Where a thread stands in code that decides.
    pub(super) fn in_decision(&mut self, pid: Pid, tid: Tid) -> Option<(InDecision, Registers)> {
        if self.space_of(pid)?.patches.is_empty() && self.space_of(pid)?.arena.is_empty() {
            return None;
        }
        let raw = self.raw_registers(pid, tid)?;
        let at = self.space_of(pid)?.arena.decision(VirtAddr::new(raw.rip))?;
        Some((at, raw))
    }

    /// Brings a thread out of code that decides, if it is there: to the site, or
    /// when its pass was quiet and is counted, to the copy of the displaced
    /// instruction. Says which site it is at then and is not counted at.
    pub(super) fn leave_decision(&mut self, pid: Pid, tid: Tid) -> Option<VirtAddr> {
        let (at, raw) = self.in_decision(pid, tid)?;
        let mut registers = raw;
        if !self.give_back(pid, tid, &at.standing.kept, &mut registers) {
            return None;
        }
        let (place, uncounted) = match at.standing.decided {
            Decided::Quiet => (at.slot, None),
            Decided::Uncounted(word) => {
                self.add_one(pid, raw.gs_base, word);
                (at.slot, None)
            }
            Decided::Nothing => (at.site, Some(at.site)),
            Decided::Paid(word) => match self.passes_word(pid, at.site) {
                // What it paid may have been counted as a hit already.
                Some(passes) if raw.rflags & flags::SF == 0 => {
                    self.add_one(pid, raw.gs_base, passes);
                    (at.slot, None)
                }
                _ => {
                    self.add_one(pid, raw.gs_base, word);
                    (at.site, Some(at.site))
                }
            },
        };
        registers.rip = place.get();
        self.put_registers(pid, tid, &registers);
        if uncounted.is_some()
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            thread.counted_at = None;
        }
        uncounted
    }

    /// The word that counts the quiet passes of a site.
    fn passes_word(&self, pid: Pid, site: VirtAddr) -> Option<u32> {
        Some(self.space_of(pid)?.jump_at(site)?.0.passes)
    }

    /// Turns registers into the program's and gives the vector registers back.
    fn give_back(&mut self, pid: Pid, tid: Tid, kept: &Kept, registers: &mut Registers) -> bool {
        let rsp = VirtAddr::new(registers.rsp());
        let Some(memory) = self.memory(pid) else { return false };
        if let Err(error) = kept.restore(registers, &memory) {
            self.warn(format!("registers of thread {tid} cannot be given back: {error}"));
            return false;
        }
        if kept.has_vectors() {
            self.give_vectors_back(pid, tid, kept, rsp);
        }
        true
    }

    fn give_vectors_back(&mut self, pid: Pid, tid: Tid, kept: &Kept, rsp: VirtAddr) {
        let Some(thread) = self.processes.get(&pid).and_then(|it| it.threads.get(&tid)) else {
            return;
        };
        let Some(stopped) = thread.stopped() else { return };
        let Ok(mut state) = self.target.vector_state(stopped) else { return };
        let Some(space) = self.spaces.get(&self.processes[&pid].space) else { return };
        let memory =
            super::truth::SpaceMemory { target: &*self.target, pid, overlay: &space.overlay };
        if kept.restore_vectors(rsp, &mut state, &memory).is_ok() {
            // A thread that died needs no registers.
            let _gone = self.target.set_vector_state(stopped, &state);
        }
    }

    /// Adds 1 to a word of a thread's row: what it paid for a pass that is not
    /// to count yet, or a pass that its code did not come to count.
    fn add_one(&mut self, pid: Pid, row: u64, word: u32) {
        let at = VirtAddr::new(row).wrapping_add(u64::from(word));
        let mut bytes = [0; 8];
        if self.target.read_memory(pid, at, &mut bytes) == bytes.len() {
            let more = u64::from_le_bytes(bytes).wrapping_add(1);
            // It was read a moment ago; failing means that the process is dying.
            let _ = self.target.write_memory(pid, at, &more.to_le_bytes());
        }
    }

    /// The site for which the `int3` that a thread has executed asks, with the
    /// thread at the site.
    pub(super) fn asked_at(
        &mut self,
        pid: Pid,
        tid: Tid,
        trap: VirtAddr,
        gs: u64,
    ) -> Option<VirtAddr> {
        let site = self.space_of(pid)?.arena.asked(trap)?;
        self.check_seat(pid, tid, gs);
        Some(site)
    }

    /// What a signal means that code of ours, or a byte of ours where no
    /// instruction begins, has raised: a pass that only we can judge, or a stray
    /// entry; `None` when it is the program's.
    pub(super) fn judge_own_fault(
        &mut self,
        pid: Pid,
        tid: Tid,
        info: &SignalInfo,
    ) -> Option<Verdict> {
        if !info.is_raised() {
            return None;
        }
        if info.signal == Signal::ILL {
            let at = VirtAddr::new(self.raw_registers(pid, tid)?.rip);
            if self.enter_window(pid, tid, at) {
                return Some(Verdict::GoOn);
            }
        }
        let (at, raw) = self.in_decision(pid, tid)?;
        let mut registers = raw;
        if !self.give_back(pid, tid, &at.standing.kept, &mut registers) {
            return None;
        }
        if let Decided::Paid(word) = at.standing.decided {
            self.add_one(pid, raw.gs_base, word);
        }
        self.check_seat(pid, tid, raw.gs_base);
        Some(self.judge_site(pid, tid, at.site, registers))
    }

    /// What it means that a thread whose own trap flag is set was trapped in code
    /// that decides, of which the program knows nothing: its pass, which is
    /// judged here and now. `None` when an instruction of its own has ended.
    pub(super) fn judge_trapped_inside(&mut self, pid: Pid, tid: Tid) -> Option<Verdict> {
        let (at, raw) = self.in_decision(pid, tid)?;
        let space = self.space_of(pid)?;
        let hop = space.arena.hop_to(VirtAddr::new(raw.rip));
        // A jump that begins before its site leads to a copy first.
        let to_a_copy = hop.is_some_and(|place| !space.code_sites.contains_key(&place));
        if to_a_copy || self.has_left_a_copy(pid, VirtAddr::new(raw.rip)) {
            return None;
        }
        let mut registers = raw;
        if !self.give_back(pid, tid, &at.standing.kept, &mut registers) {
            return None;
        }
        if let Decided::Paid(word) = at.standing.decided {
            self.add_one(pid, raw.gs_base, word);
        }
        Some(self.judge_site(pid, tid, at.site, registers))
    }

    /// Whether what is decided here comes right behind the copy of another
    /// instruction.
    fn has_left_a_copy(&self, pid: Pid, raw: VirtAddr) -> bool {
        let trampoline = self.space_of(pid).and_then(|space| space.arena.trampoline_around(raw));
        let Some(trampoline) = trampoline.filter(|it| it.to != raw) else { return false };
        trampoline.decisions.iter().any(|decision| decision.front.start == raw)
    }

    /// Moves a thread that came to the middle of a window, where an instruction
    /// of the program's began, to that instruction's copy; `false` when there is
    /// no window there.
    pub(super) fn enter_window(&mut self, pid: Pid, tid: Tid, at: VirtAddr) -> bool {
        let Some(space) = self.space_of(pid) else { return false };
        let Some(patch) = space.patch_within(at) else { return false };
        let trampoline = space.arena.trampoline_around(patch.trampoline);
        let Some(way_in) = trampoline.and_then(|it| it.way_in(at)) else { return false };
        let Some(mut registers) = self.raw_registers(pid, tid) else { return false };
        registers.rip = way_in.get();
        self.put_registers(pid, tid, &registers);
        true
    }
}
