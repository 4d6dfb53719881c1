//! Carrying out the planner's edits to traps: writing them, each with its way
//! around, and taking them out again, while no thread of the space runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use trapline_core::memory::ReadMemory;
use trapline_core::plan::{Edit, Owners, Plan};
use trapline_core::target::{Protection, Region, TargetError};
use trapline_core::x64::{CodeBytes, INT3, MAX_INSTRUCTION};
use trapline_core::{AddrRange, BreakpointId, Pid, VirtAddr};
use trapline_patch::insn::{self, Insn};
use trapline_patch::near::{self, Growth, Taken};
use trapline_patch::relocate::{Refusal, relocate_decoded};

use super::Session;
use super::code_io::{CodeWindow, OurCode};
use super::sites::who_can_be_asked;
use super::truth::SpaceMemory;
use crate::arena::{CHUNK, SLOT_ROOM};
use crate::space::{CodeSite, Detour, Form, SpaceId};

/// What code is read by when there is much to read, and what slots are kept
/// near to.
const PAGE: u64 = 4096;

/// What came of carrying out edits: the addresses where no trap could be armed
/// and why, and whether debug registers are to be set.
pub(super) struct Arming {
    pub(super) refused: BTreeMap<VirtAddr, String>,
    /// Where there can be no jump, and why.
    pub(super) jumpless: BTreeMap<VirtAddr, Arc<str>>,
    pub(super) hardware: bool,
}

impl Session {
    /// Does the edits to traps.
    pub(super) fn carry_out(&mut self, id: SpaceId, pid: Pid, planned: &Plan) -> Arming {
        let edits = &planned.edits;
        let jumps = self.jump_changes(id, &planned.sites, edits);
        self.remove_jumps(id, pid, &jumps);
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        let mut hardware = false;
        for edit in edits {
            match *edit {
                Edit::RemoveTrap { addr } => removed.push(addr),
                Edit::AddTrap { addr } => added.push(addr),
                Edit::ClearSlot { .. } | Edit::SetSlot { .. } => hardware = true,
                Edit::AddJump { .. } | Edit::RemoveJump { .. } | Edit::ChangeOwners { .. } => {}
            }
        }
        self.disarm_traps(id, pid, &removed);
        let refused = self.arm_traps(id, pid, &added);
        let jumpless = self.add_jumps(id, pid, jumps);
        Arming { refused, jumpless, hardware }
    }

    /// Writes the program's bytes back under traps.
    pub(super) fn disarm_traps(&mut self, id: SpaceId, pid: Pid, addrs: &[VirtAddr]) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let mut window = CodeWindow::for_sites(addrs.len(), 1);
        let read = |at, buf: &mut [u8]| self.target.read_memory(pid, at, buf);
        let mut changes = Vec::with_capacity(addrs.len());
        for &addr in addrs {
            space.has_litter |= space.code_sites.remove(&addr).is_some();
            let Some(original) = space.overlay.disarm(addr) else { continue };
            if window.at(addr, read).first() == Some(&INT3) {
                changes.push((addr, original));
            }
        }
        self.undo_code(pid, &changes, "trap");
    }

    /// Writes the program's bytes back.
    pub(super) fn undo_code(&mut self, pid: Pid, changes: &[(VirtAddr, CodeBytes)], what: &str) {
        let map = match changes.len() {
            0 | 1 => Vec::new(),
            _ => self.target.memory_map(pid).unwrap_or_default(),
        };
        for (addr, error) in self.change_code(pid, &map, changes) {
            self.warn(format!("the {what} at {addr} could not be removed: {error}"));
        }
    }

    /// Writes the program's byte back under a trap.
    pub(super) fn disarm_trap(&mut self, id: SpaceId, pid: Pid, addr: VirtAddr) {
        self.disarm_traps(id, pid, &[addr]);
    }

    /// Why no trap can stand at the places of a breakpoint, if so.
    pub(super) fn lacks_code(&self, id: BreakpointId) -> Option<String> {
        let locations = &self.breakpoints.get(id)?.locations;
        locations.iter().find_map(|location| {
            let pid = self.representative(location.space?)?;
            let map = self.target.memory_map(pid).ok()?;
            executable(&map, location.addr).err()
        })
    }

    /// Writes traps, each with its way around.
    fn arm_traps(
        &mut self,
        id: SpaceId,
        pid: Pid,
        addrs: &[VirtAddr],
    ) -> BTreeMap<VirtAddr, String> {
        let mut refused = BTreeMap::new();
        if addrs.is_empty() {
            return refused;
        }
        let map = self.target.memory_map(pid).unwrap_or_default();
        let mut slots = OurCode::default();
        let mut window = CodeWindow::for_sites(addrs.len(), MAX_INSTRUCTION);
        let mut ready = Vec::with_capacity(addrs.len());
        for &addr in addrs {
            match self.prepare_trap(id, pid, addr, &map, &mut window, &mut slots) {
                Ok(prepared) => ready.push(prepared),
                Err(why) => {
                    refused.insert(addr, why);
                }
            }
        }
        self.write_slots(pid, slots, &mut ready);
        self.write_traps(id, pid, &map, ready, &mut refused);
        refused
    }

    /// Writes the slots' code. Without its slot a trap still works, held and
    /// stepped.
    fn write_slots(&mut self, pid: Pid, slots: OurCode, ready: &mut [Prepared]) {
        for (start, bytes) in slots.runs() {
            let Err(error) = self.target.write_memory(pid, start, &bytes) else { continue };
            self.warn(format!("out-of-line code could not be written: {error}"));
            let why: Arc<str> = error.to_string().into();
            let unwritten = AddrRange::sized(start, bytes.len() as u64);
            for prepared in ready.iter_mut() {
                if matches!(prepared.trap.detour, Detour::Slot(at) if unwritten.contains(at)) {
                    prepared.trap.detour = Detour::Lift(why.clone());
                }
            }
        }
    }

    fn prepare_trap(
        &mut self,
        id: SpaceId,
        pid: Pid,
        addr: VirtAddr,
        map: &[Region],
        window: &mut CodeWindow,
        slots: &mut OurCode,
    ) -> Result<Prepared, String> {
        executable(map, addr)?;
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        let memory = SpaceMemory { target: &*self.target, pid, overlay: &space.overlay };
        let code = window.at(addr, |at, buf| memory.read_some(at, buf));
        let mended = self.without_leftover(pid, addr, code);
        let code = mended.as_deref().unwrap_or(code);
        let Some(&original) = code.first() else {
            return Err(format!("Cannot access memory at address {addr}"));
        };
        let instruction = insn::decode(code, addr);
        let len = instruction.map_or(1, |instruction| instruction.len());
        let displaced = CodeBytes::first_of(code.get(..len).unwrap_or(code));
        let detour = match instruction {
            Some(instruction) => self.detour(id, &instruction, &displaced, map, slots),
            None => Err(Refusal::Undecodable.to_string().into()),
        };
        let detour = detour.map_or_else(Detour::Lift, Detour::Slot);
        Ok(Prepared {
            addr,
            original,
            trap: CodeSite { owners: Owners::default(), form: Form::Trap, detour, displaced },
        })
    }

    /// Writes the trap bytes and enters what was written into the books.
    fn write_traps(
        &mut self,
        id: SpaceId,
        pid: Pid,
        map: &[Region],
        mut ready: Vec<Prepared>,
        refused: &mut BTreeMap<VirtAddr, String>,
    ) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        ready.retain(|&Prepared { addr, original, .. }| {
            let armed = space.overlay.arm(addr, &[original], &[INT3]);
            refused.extend(armed.err().map(|error| (addr, error.to_string())));
            armed.is_ok()
        });
        let trap = CodeBytes::first_of(&[INT3]);
        let changes: Vec<(VirtAddr, CodeBytes)> = ready.iter().map(|it| (it.addr, trap)).collect();
        let failed = self.change_code(pid, map, &changes);
        let Some(space) = self.spaces.get_mut(&id) else { return };
        space.code_sites.extend(ready.into_iter().map(|prepared| (prepared.addr, prepared.trap)));
        for (addr, error) in failed {
            space.overlay.disarm(addr);
            space.code_sites.remove(&addr);
            refused.insert(addr, error.to_string());
        }
    }

    /// Changes pieces of code; what cannot be changed is the answer. Pieces that
    /// begin in the same page are changed together if they can be.
    pub(super) fn change_code(
        &mut self,
        pid: Pid,
        map: &[Region],
        changes: &[(VirtAddr, CodeBytes)],
    ) -> Vec<(VirtAddr, TargetError)> {
        let mut failed = Vec::new();
        for crowd in changes.chunk_by(|one, next| page_of(one.0) == page_of(next.0)) {
            if crowd.len() > 1 && is_constant(map, crowd) && self.change_page(pid, crowd) {
                continue;
            }
            for (addr, bytes) in crowd {
                let written = self.target.write_memory(pid, *addr, bytes);
                failed.extend(written.err().map(|error| (*addr, error)));
            }
        }
        failed
    }

    /// Changes pieces of one page with one write, which writes what is between
    /// them as it is: no thread of the space runs, and none could write there if
    /// it did. `false` when nothing was changed.
    fn change_page(&mut self, pid: Pid, changes: &[(VirtAddr, CodeBytes)]) -> bool {
        let Some(range) = span(changes) else { return false };
        let mut bytes = [0; PAGE as usize + MAX_INSTRUCTION];
        let Some(bytes) = bytes.get_mut(..range.len() as usize) else { return false };
        let first = range.start;
        if self.target.read_memory(pid, first, bytes) < bytes.len() {
            return false;
        }
        for (addr, piece) in changes {
            let offset = (addr.get() - first.get()) as usize;
            bytes[offset..offset + piece.len()].copy_from_slice(piece);
        }
        self.target.write_memory(pid, first, bytes).is_ok()
    }

    /// The slot for an instruction, whose bytes are `code`; else why it has
    /// none.
    fn detour(
        &mut self,
        id: SpaceId,
        instruction: &Insn,
        code: &[u8],
        map: &[Region],
        slots: &mut OurCode,
    ) -> Result<VirtAddr, Arc<str>> {
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        if let Some(why) = &space.no_arena {
            return Err(why.clone());
        }
        let addr = instruction.addr();
        if let Some(existing) = space.arena.existing(addr, code) {
            return Ok(existing);
        }
        let at = self.room(id, addr, SLOT_ROOM, map)?;
        let slot = relocate_decoded(instruction, code, at).map_err(|why| why.to_string())?;
        slots.add(at, &slot.bytes);
        if let Some(space) = self.spaces.get_mut(&id) {
            space.arena.place(code, &slot);
        }
        Ok(at)
    }

    /// An address for so many bytes of code near `addr`, in a new chunk if need
    /// be.
    pub(super) fn room(
        &mut self,
        id: SpaceId,
        addr: VirtAddr,
        room: u64,
        map: &[Region],
    ) -> Result<VirtAddr, Arc<str>> {
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        if let Some(at) = space.arena.room_near(addr, room) {
            return Ok(at);
        }
        let around = AddrRange::sized(VirtAddr::new(addr.get() & !(PAGE - 1)), PAGE);
        let start = self.allocate_near(id, around, CHUNK, Protection::Code, map)?;
        if let Some(space) = self.spaces.get_mut(&id) {
            space.arena.add_chunk(AddrRange::sized(start, CHUNK));
        }
        Ok(start)
    }

    /// Allocates memory within reach of `around`.
    pub(super) fn allocate_near(
        &mut self,
        id: SpaceId,
        around: AddrRange,
        len: u64,
        protection: Protection,
        map: &[Region],
    ) -> Result<VirtAddr, Arc<str>> {
        let pid = self.representative(id).ok_or("the process is gone")?;
        let heap_start = self.target.process_info(pid).ok().and_then(|info| info.heap_start);
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        let ours = space.arena.chunks().chain(space.rows.slabs());
        let taken = all_taken(map, heap_start, ours);
        let gap = near::find_gap(&taken, around, len)
            .ok_or_else(|| format!("no free memory within reach of {}", around.start))?;
        self.allocate_at(id, AddrRange::sized(gap, len), protection)?;
        Ok(gap)
    }

    /// Allocates a range that is free.
    pub(super) fn allocate_at(
        &mut self,
        id: SpaceId,
        range: AddrRange,
        protection: Protection,
    ) -> Result<(), Arc<str>> {
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        if let Some(why) = &space.no_arena {
            return Err(why.clone());
        }
        let asked = who_can_be_asked(&self.processes, id)
            .next()
            .ok_or("no thread of the process can be asked")?;
        if let Some(hazard) = self.target.allocation_hazard(asked) {
            return Err(self.give_up_arena(id, hazard));
        }
        let allocated = self.ask_a_thread(id, |target, stopped| {
            target.allocate(stopped, range.start, range.len(), protection)
        });
        match allocated {
            Ok(()) => Ok(()),
            Err(TargetError::Gone) => Err("the process is dying".into()),
            Err(error) => Err(self.give_up_arena(id, error.to_string())),
        }
    }

    fn give_up_arena(&mut self, id: SpaceId, why: String) -> Arc<str> {
        self.warn(format!("breakpoints are passed by stepping with all other threads held: {why}"));
        let why: Arc<str> = why.into();
        if let Some(space) = self.spaces.get_mut(&id) {
            space.no_arena = Some(why.clone());
        }
        why
    }
}

/// A trap about to be written.
struct Prepared {
    addr: VirtAddr,
    original: u8,
    trap: CodeSite,
}

fn page_of(addr: VirtAddr) -> u64 {
    addr.get() / PAGE
}

pub(super) fn region_at(map: &[Region], addr: VirtAddr) -> Option<&Region> {
    let next = map.partition_point(|region| region.range.start <= addr);
    let region = next.checked_sub(1).and_then(|index| map.get(index));
    region.filter(|region| region.range.contains(addr))
}

/// Whether nothing in the debuggee can change what is at and between some
/// pieces of code.
fn is_constant(map: &[Region], pieces: &[(VirtAddr, CodeBytes)]) -> bool {
    let Some(range) = span(pieces) else { return false };
    region_at(map, range.start)
        .is_some_and(|region| !region.write && !region.shared && region.range.end >= range.end)
}

/// From the first byte of the lowest of some pieces of code to the last of the
/// highest.
fn span(pieces: &[(VirtAddr, CodeBytes)]) -> Option<AddrRange> {
    let start = pieces.iter().map(|(addr, _)| *addr).min()?;
    let end = pieces.iter().map(|(addr, bytes)| addr.wrapping_add(bytes.len() as u64)).max()?;
    Some(AddrRange::between(start, end))
}

/// Refuses to write a trap where no code can run: it could only destroy data.
fn executable(map: &[Region], addr: VirtAddr) -> Result<(), String> {
    match region_at(map, addr) {
        None => Err(format!("Cannot access memory at address {addr}")),
        Some(region) if !region.execute => Err(format!(
            "{addr} is not executable memory: a trap there would only corrupt data (use `watch` for data)"
        )),
        Some(_) => Ok(()),
    }
}

/// What is taken of a space, or will be: a heap that has not begun too.
pub(super) fn all_taken(
    map: &[Region],
    heap_start: Option<VirtAddr>,
    ours: impl Iterator<Item = AddrRange>,
) -> Vec<Taken> {
    let mut all: Vec<Taken> = map.iter().map(taken).collect();
    all.extend(ours.map(|range| Taken { range, growth: Growth::Fixed }));
    if let Some(start) = heap_start.filter(|_| all.iter().all(|it| it.growth != Growth::Up)) {
        all.push(Taken { range: AddrRange::sized(start, 0), growth: Growth::Up });
    }
    all.sort_unstable_by_key(|taken| taken.range);
    all.dedup_by_key(|taken| taken.range);
    all
}

/// A mapping, with what it will want around it. A stack may grow to the
/// kernel's limit of 8 MiB and its guard gap of 1 MiB; mmap(2), `MAP_GROWSDOWN`.
fn taken(region: &Region) -> Taken {
    const STACK_ROOM: u64 = 9 << 20;
    let growth = match region.name.to_str() {
        Some("[heap]") => Growth::Up,
        Some("[stack]") => Growth::Down(STACK_ROOM),
        _ => Growth::Fixed,
    };
    Taken { range: region.range, growth }
}
