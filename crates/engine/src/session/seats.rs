//! Rows for threads: every thread of a space with jumps has one before it runs,
//! and what is counted there is told to the owners of the sites.

use std::sync::Arc;

use trapline_core::plan::Owner;
use trapline_core::predicate::row;
use trapline_core::target::Protection;
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

use super::Session;
use crate::process::Process;
use crate::rows::{Moved, Seat, header};
use crate::space::{Form, SpaceId};

impl Session {
    /// Makes sure that a space has rows, one more than are taken and with room
    /// for so many words more. For longer rows everything has to be stopped.
    pub(super) fn make_rows(&mut self, id: SpaceId, words: usize) -> Result<(), Arc<str>> {
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        let rows = &space.rows;
        if !rows.have_room(words) {
            let row_len = rows.roomy_len(words);
            let slab = self.allocate_rows(id, row_len)?;
            self.move_rows(id, slab, row_len);
        } else if !rows.has_free() {
            let row_len = rows.row_len();
            let slab = self.allocate_rows(id, row_len)?;
            if let Some(space) = self.spaces.get_mut(&id) {
                space.rows.add_slab(slab, row_len);
            }
        }
        Ok(())
    }

    fn allocate_rows(&mut self, id: SpaceId, row_len: u64) -> Result<AddrRange, Arc<str>> {
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        let len = space.rows.slab_len(row_len, self.unseated(id));
        let near = space.modules.iter().next().map_or_else(AddrRange::default, |it| it.range);
        let around = AddrRange::sized(near.start, 1);
        let pid = self.representative(id).ok_or("no thread of the process can be asked")?;
        let map = self.target.memory_map(pid).unwrap_or_default();
        let start = self.allocate_near(id, around, len, Protection::Data, &map)?;
        Ok(AddrRange::sized(start, len))
    }

    /// How many threads of a space have no row yet.
    fn unseated(&self, id: SpaceId) -> u64 {
        let here = self.processes.values().filter(|process| process.space == id);
        let threads = here.flat_map(|process| process.threads.values());
        threads.filter(|thread| thread.seat == Seat::None).count() as u64
    }

    /// Has every thread go on in a longer row that holds what its own does.
    fn move_rows(&mut self, id: SpaceId, slab: AddrRange, row_len: u64) {
        let Some(pid) = self.representative(id) else { return };
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let bytes = row::FIRST_WORD as usize + space.rows.words_len();
        let moved = space.rows.move_to(slab, row_len);
        for credit in space.code_sites.values_mut().filter_map(|it| it.jump_mut()?.credit.as_mut())
        {
            let given = std::mem::take(&mut credit.given).into_iter();
            credit.given =
                given.filter_map(|(row, it)| Some((*moved.rows.get(&row)?, it))).collect();
        }
        let mut row = vec![0; bytes];
        for (&from, &to) in &moved.rows {
            let read = self.target.read_memory(pid, from, &mut row);
            if let Err(error) = self.target.write_memory(pid, to, &row[..read]) {
                self.warn(format!("what threads counted could not be kept: {error}"));
            }
        }
        self.reseat(id, &moved);
        for slab in moved.left {
            self.release_rows(id, slab);
        }
    }

    /// Leads every thread that is led to a row that was left to the new one.
    fn reseat(&mut self, id: SpaceId, moved: &Moved) {
        for (pid, tid) in self.all_threads() {
            if self.processes.get(&pid).is_none_or(|process| process.space != id) {
                continue;
            }
            let Some(mut registers) = self.raw_registers(pid, tid) else { continue };
            let left = VirtAddr::new(registers.gs_base);
            if !moved.left.iter().any(|slab| slab.contains(left)) {
                continue;
            }
            let seat = match self.thread(pid, tid).map(|thread| thread.seat) {
                Some(Seat::Row(row)) => {
                    moved.rows.get(&row).map_or(Seat::None, |&to| Seat::Row(to))
                }
                // It has not run yet and has its parent's `gs`.
                _ => Seat::None,
            };
            registers.gs_base = if let Seat::Row(row) = seat { row.get() } else { 0 };
            self.put_registers(pid, tid, &registers);
            if let Some(thread) = self.thread_mut(pid, tid) {
                thread.seat = seat;
            }
        }
    }

    fn release_rows(&mut self, id: SpaceId, slab: AddrRange) {
        let released = self.ask_a_thread(id, |target, stopped| target.release(stopped, slab));
        if let (Err(_), Some(space)) = (released, self.spaces.get_mut(&id)) {
            // It goes with the rest of our memory.
            space.rows.add_other_memory(slab);
        }
    }

    /// Gives a stopped thread its row, if threads of its space need one.
    pub(super) fn seat(&mut self, pid: Pid, tid: Tid) {
        let Some(process) = self.processes.get(&pid) else { return };
        if process.dying.is_some() {
            return;
        }
        let (id, counts) = (process.space, process.is_debuggee());
        let in_use = self.spaces.get(&id).is_some_and(|space| space.rows.are_in_use());
        let seated = self.thread(pid, tid).is_none_or(|thread| thread.seat != Seat::None);
        if !in_use || seated {
            return;
        }
        let Some(mut registers) = self.raw_registers(pid, tid) else { return };
        let Some(space) = self.spaces.get(&id) else { return };
        if registers.gs_base != 0 && !space.rows.contains(registers.gs_base) {
            self.keep_own_segment(pid, tid);
            return;
        }
        if self.make_rows(id, 0).is_err() {
            return;
        }
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let row = if counts { space.rows.take(tid) } else { space.rows.outsiders() };
        let Some(row) = row else { return };
        let number = self.thread(pid, tid).map_or(0, |thread| thread.number);
        if self.target.write_memory(pid, row, &header(pid, tid, number)).is_err() {
            return;
        }
        registers.gs_base = row.get();
        self.put_registers(pid, tid, &registers);
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.seat = Seat::Row(row);
        }
    }

    /// Leaves a thread that uses `gs` for itself alone.
    fn keep_own_segment(&mut self, pid: Pid, tid: Tid) {
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.seat = Seat::OwnSegment;
        }
        self.warn(format!(
            "thread {tid} uses its gs segment itself: it stops shortly at every pass of a \
             breakpoint that others decide in the program"
        ));
    }

    /// Notes that a thread's `gs` is no longer what it was given.
    pub(super) fn check_seat(&mut self, pid: Pid, tid: Tid, gs: u64) {
        if let Some(Seat::Row(row)) = self.thread(pid, tid).map(|thread| thread.seat)
            && row.get() != gs
        {
            self.keep_own_segment(pid, tid);
        }
    }

    /// Takes every thread of a space off its row.
    pub(super) fn unseat(&mut self, id: SpaceId) {
        for (pid, tid) in self.all_threads() {
            if self.processes.get(&pid).is_none_or(|process| process.space != id) {
                continue;
            }
            let Some(mut registers) = self.raw_registers(pid, tid) else { continue };
            let ours =
                self.spaces.get(&id).is_some_and(|space| space.rows.contains(registers.gs_base));
            if ours {
                registers.gs_base = 0;
                self.put_registers(pid, tid, &registers);
            }
            if let Some(thread) = self.thread_mut(pid, tid) {
                thread.seat = Seat::None;
            }
        }
    }

    /// Counts what a thread counted in a memory that it has left by becoming
    /// another program, where others still use that memory.
    pub(super) fn leave_row(&mut self, id: SpaceId, tid: Tid) {
        self.count_in(id);
        if let Some(space) = self.spaces.get_mut(&id) {
            space.rows.give_back(tid);
        }
    }

    /// Counts what a thread that is about to end has counted.
    pub(super) fn count_last(&mut self, pid: Pid, tid: Tid) {
        if !self.processes.get(&pid).is_some_and(Process::is_debuggee) {
            return;
        }
        let Some(Seat::Row(row)) = self.thread(pid, tid).map(|thread| thread.seat) else { return };
        self.count_row(pid, row);
        if let Some(id) = self.processes.get(&pid).map(|process| process.space) {
            for breakpoint in self.paying_in(id) {
                self.collect_credits(breakpoint);
            }
        }
    }

    fn count_row(&mut self, pid: Pid, row: VirtAddr) {
        let Some(words) = self.words_of(pid, row) else { return };
        if let Some(space) = self.space_of_mut(pid) {
            space.rows.count(row, &words);
        }
    }

    fn words_of(&self, pid: Pid, row: VirtAddr) -> Option<Vec<u8>> {
        let mut words = vec![0; self.space_of(pid)?.rows.words_len()];
        let start = row.wrapping_add(u64::from(row::FIRST_WORD));
        let read = self.target.read_memory(pid, start, &mut words);
        (read == words.len()).then_some(words)
    }

    /// Tells the owners of every site what was decided in the program.
    pub(super) fn count_everywhere(&mut self) {
        let ids: Vec<SpaceId> = self.spaces.keys().copied().collect();
        for id in ids {
            self.count_in(id);
        }
    }

    /// The same for one space.
    pub(super) fn count_in(&mut self, id: SpaceId) {
        let Some(space) = self.spaces.get(&id) else { return };
        if !space.rows.are_in_use() {
            return;
        }
        let user = self.processes.values().find(|process| process.space == id);
        if let Some(pid) = user.map(|process| process.pid) {
            for row in space.rows.all() {
                self.count_row(pid, row);
            }
        }
        self.tell_counts(id);
    }

    /// The same of what has been counted already.
    pub(super) fn tell_counts(&mut self, id: SpaceId) {
        for breakpoint in self.paying_in(id) {
            self.collect_credits(breakpoint);
        }
        let Some(space) = self.spaces.get_mut(&id) else { return };
        for site in space.code_sites.values_mut() {
            let Form::Jump(jump) = &mut site.form else { continue };
            let total = space.rows.total(jump.passes);
            let news = total.wrapping_sub(std::mem::replace(&mut jump.told, total));
            if news == 0 {
                continue;
            }
            for owner in site.owners.iter() {
                if let Owner::Location(location) = *owner
                    && let Some((_, tally, ..)) = self.breakpoints.location_mut(location)
                {
                    tally.passes += news;
                }
            }
        }
    }

    /// Begins counting in a copy of a memory, where nobody has a row yet.
    pub(super) fn count_from_here(&mut self, id: SpaceId, pid: Pid) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let rows = space.rows.all();
        space.rows.vacate();
        for row in rows {
            let Some(words) = self.words_of(pid, row) else { continue };
            if let Some(space) = self.spaces.get_mut(&id) {
                space.rows.begin(row, &words);
            }
        }
        if let Some(space) = self.spaces.get_mut(&id) {
            for site in space.code_sites.values_mut() {
                if let Form::Jump(jump) = &mut site.form {
                    jump.told = space.rows.total(jump.passes);
                }
            }
        }
        self.begin_without_credit(id, pid);
    }
}
