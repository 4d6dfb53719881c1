//! Giving our memory back: all of it when a space is left, and while the session
//! goes on what no site needs any more, once no thread and no signal frame can
//! come to it.

use std::collections::BTreeSet;

use trapline_core::target::TargetError;
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};
use trapline_patch::jump::HopPages;

use super::Session;
use crate::rows::Rows;
use crate::space::{Detour, Space, SpaceId};

impl Session {
    /// Gives all our memory in a space back, unless something of the program's
    /// can still come to it.
    pub(super) fn release_arena(&mut self, id: SpaceId) {
        if self.is_awaited_in_arena(id) {
            self.warn(
                "out-of-line code stays mapped: a signal handler of the program will return to it",
            );
            return;
        }
        let Some(space) = self.spaces.get(&id) else { return };
        let chunks: Vec<AddrRange> = space.arena.chunks().chain(space.rows.slabs()).collect();
        for chunk in chunks {
            match self.release(id, chunk) {
                Ok(()) => {}
                Err(TargetError::Gone) if !self.outlives_its_child(id) => {}
                Err(error) => {
                    self.warn(format!("memory of ours at {chunk} stays mapped: {error}"));
                }
            }
        }
        if let Some(space) = self.spaces.get_mut(&id) {
            space.arena.clear();
            space.rows = Rows::default();
            space.hop_pages = HopPages::default();
            space.free_cells.clear();
            space.has_litter = false;
        }
    }

    /// Gives back, in every space, what could not be given back when its sites
    /// went. Everything is held.
    pub(super) fn release_leftovers(&mut self) {
        let ids: Vec<SpaceId> = self.spaces.keys().copied().collect();
        for id in ids {
            self.release_unused(id);
        }
    }

    /// Gives back what no site of a space needs any more, as far as no thread
    /// of it can come to it.
    pub(super) fn release_unused(&mut self, id: SpaceId) {
        let Some(space) = self.spaces.get(&id).filter(|space| space.has_litter) else { return };
        let mut unused = unused_code(space);
        let counts = space.patches.is_empty() && space.rows.are_in_use();
        if !self.is_all_stopped(id) || self.outlives_its_child(id) {
            return;
        }
        let here = self.threads_of(id);
        for &(pid, tid) in &here {
            self.keep_what_is_used(pid, tid, &mut unused);
        }
        if !unused.is_empty() && self.is_awaited_in_arena(id) {
            unused.clear();
        }
        unused.retain(|&range| self.release(id, range).is_ok());
        if counts {
            self.give_rows_back(id);
        }
        let Some(space) = self.spaces.get_mut(&id) else { return };
        for range in unused {
            space.arena.forget(range);
            space.hop_pages.remove(range);
        }
        space.has_litter = !unused_code(space).is_empty();
    }

    /// Takes out of `unused` where a thread stands that cannot be brought to the
    /// program's own code.
    fn keep_what_is_used(&mut self, pid: Pid, tid: Tid, unused: &mut Vec<AddrRange>) {
        let Some(raw) = self.raw_registers(pid, tid) else { return };
        let pc = VirtAddr::new(raw.rip);
        let Some(index) = unused.iter().position(|range| range.contains(pc)) else { return };
        if !self.is_armed_at_program_pc(pid, pc) {
            self.move_out(pid, tid);
        }
        let now = self.raw_registers(pid, tid).map(|now| VirtAddr::new(now.rip));
        if now.is_none_or(|now| unused[index].contains(now)) {
            unused.swap_remove(index);
        }
    }

    /// Whether a site is where a raw pc stands for: a system call that starts
    /// over there would be a second pass.
    fn is_armed_at_program_pc(&self, pid: Pid, raw: VirtAddr) -> bool {
        let Some(space) = self.space_of(pid) else { return true };
        let site = space.arena.locate(raw).map(|at| at.slot.at);
        site.is_none_or(|site| space.code_sites.contains_key(&site))
    }

    /// Gives the memory in which threads count back, once all have been counted.
    fn give_rows_back(&mut self, id: SpaceId) {
        self.unseat(id);
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let slabs: Vec<AddrRange> = space.rows.slabs().collect();
        space.rows = Rows::default();
        space.free_cells.clear();
        for slab in slabs {
            // What is not given back now is when the space is left.
            if let Err(error) = self.release(id, slab)
                && error != TargetError::Gone
            {
                self.warn(format!("memory of ours at {slab} stays mapped: {error}"));
            }
        }
    }

    fn release(&mut self, id: SpaceId, range: AddrRange) -> Result<(), TargetError> {
        self.ask_a_thread(id, |target, stopped| target.release(stopped, range))
    }

    fn is_all_stopped(&self, id: SpaceId) -> bool {
        let here = self.processes.values().filter(|process| process.space == id);
        here.flat_map(|process| process.threads.values()).all(|it| it.stopped().is_some())
    }

    /// Whether a signal frame on some stack holds an address of our slots: a
    /// handler interrupted a displaced system call and has not returned.
    fn is_awaited_in_arena(&mut self, id: SpaceId) -> bool {
        if !self.spaces.get(&id).is_some_and(|space| space.arena.has_interrupted_calls()) {
            return false;
        }
        let here = self.threads_of(id);
        here.into_iter().any(|(pid, tid)| self.stack_names_arena(pid, tid))
    }

    fn stack_names_arena(&mut self, pid: Pid, tid: Tid) -> bool {
        const LOOKED_AT: usize = 1 << 20;
        let Some(registers) = self.raw_registers(pid, tid) else { return false };
        let Some(space) = self.space_of(pid) else { return false };
        let mut stack = vec![0; LOOKED_AT];
        let read = self.target.read_memory(pid, VirtAddr::new(registers.rsp()), &mut stack);
        stack[..read].chunks_exact(8).any(|word| {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            space.arena.locate(VirtAddr::new(word)).is_some()
        })
    }
}

/// Code of ours that no site leads to.
fn unused_code(space: &Space) -> Vec<AddrRange> {
    let slots = space.code_sites.values().filter_map(|site| match site.detour {
        Detour::Slot(at) => Some(at),
        Detour::Lift(_) => None,
    });
    let hops = space.patches.values().filter_map(|patch| patch.hop.map(|hop| hop.start));
    let trampolines = space.patches.values().map(|patch| patch.trampoline);
    let used: BTreeSet<VirtAddr> = slots.chain(hops).chain(trampolines).collect();
    let is_unused = |range: &AddrRange| used.range(range.start..range.end).next().is_none();
    space.arena.chunks().filter(is_unused).collect()
}
