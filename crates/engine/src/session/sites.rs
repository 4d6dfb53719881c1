//! Carrying out the planner's edits: arming and disarming sites in one
//! address space while none of its threads runs.

use std::collections::{BTreeMap, HashSet};

use trapline_core::breakpoint::Mechanism;
use trapline_core::memory::ReadMemory;
use trapline_core::plan::{
    Edit, Owner, Plan, PlanCapabilities, PlanSettings, Served, Site, SiteWhat, Want, WantWhat, plan,
};
use trapline_core::target::{Protection, Region, Stopped, Target, TargetError};
use trapline_core::x64::debug::Access;
use trapline_core::x64::{INT3, MAX_INSTRUCTION};
use trapline_core::{AddrRange, LocationId, Pid, Tid, VirtAddr};
use trapline_patch::near::{self, Growth, Taken};
use trapline_patch::{insn, relocate};

use super::Session;
use super::truth::SpaceMemory;
use crate::arena::CHUNK;
use crate::process::{Process, Thread};
use crate::space::{Detour, Internal, Purpose, SpaceId, Trap};

/// Room that a slot's code is relocated within; see the arena.
const PAGE: u64 = 4096;

impl Session {
    /// Marks every space so that the planner looks again before anything runs.
    pub(super) fn replan(&mut self) {
        for space in self.spaces.values_mut() {
            space.stale = true;
        }
    }

    /// Brings the sites of every space in line with what is wanted. All
    /// threads must be stopped.
    pub(super) fn sync_sites(&mut self) {
        for (location, why) in self.sync_quietly() {
            self.warn(format!("breakpoint {}: {why}", location.breakpoint));
        }
    }

    /// The same; what cannot be served that could be or was not known before
    /// is the answer, for the caller to tell.
    pub(super) fn sync_quietly(&mut self) -> Vec<(LocationId, String)> {
        let stale: Vec<SpaceId> =
            self.spaces.iter().filter(|(_, space)| space.stale).map(|(&id, _)| id).collect();
        stale.into_iter().flat_map(|id| self.sync_space(id)).collect()
    }

    /// The same for one space.
    pub(super) fn sync_space(&mut self, id: SpaceId) -> Vec<(LocationId, String)> {
        let Some(pid) = self.representative(id) else { return Vec::new() };
        let wants = self.wants(id);
        let capabilities = PlanCapabilities {
            hardware_slots: self.target.capabilities().hardware_slots,
            traps: true,
        };
        let settings = PlanSettings { over_cover: self.settings.over_cover };
        let Some(space) = self.spaces.get_mut(&id) else { return Vec::new() };
        space.stale = false;
        let mut planned = plan(&space.sites, &wants, &capabilities, &settings);
        let arming = self.carry_out(id, pid, &planned.edits);
        self.keep_sites(id, std::mem::take(&mut planned.sites), &arming);
        self.record_service(&wants, &planned, &arming.refused, id)
    }

    /// A process that runs in a space and can be asked to do things there.
    pub(super) fn representative(&self, id: SpaceId) -> Option<Pid> {
        let mut pids = self.processes.values().filter(|process| process.space == id);
        pids.find(|process| process.threads.values().any(|thread| thread.stopped().is_some()))
            .map(|process| process.pid)
    }

    fn wants(&self, id: SpaceId) -> Vec<Want> {
        let mut wants = Vec::new();
        if let Some(space) = self.spaces.get(&id) {
            wants.extend(space.internal.iter().map(|internal| Want {
                owner: Owner::Internal(internal.number),
                what: WantWhat::Execute {
                    addr: internal.addr,
                    mechanism: Some(Mechanism::Trap),
                    writable_code: true,
                },
                thread: None,
            }));
        }
        wants.extend(self.breakpoints.wants(id));
        wants
    }

    /// Does the edits to traps.
    fn carry_out(&mut self, id: SpaceId, pid: Pid, edits: &[Edit]) -> Arming {
        let mut added = Vec::new();
        let mut hardware = false;
        for edit in edits {
            match *edit {
                Edit::RemoveTrap { addr } => self.disarm_trap(id, pid, addr),
                Edit::AddTrap { addr } => added.push(addr),
                Edit::ClearSlot { .. } | Edit::SetSlot { .. } => hardware = true,
                Edit::ChangeOwners { .. } => {}
            }
        }
        Arming { refused: self.arm_traps(id, pid, &added), hardware }
    }

    /// Makes the sites planned those there are, but for traps that were
    /// refused.
    fn keep_sites(&mut self, id: SpaceId, sites: Vec<Site>, arming: &Arming) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        space.sites = sites;
        space.sites.retain(|site| match site.what {
            SiteWhat::Trap { addr } => !arming.refused.contains_key(&addr),
            SiteWhat::Slot { .. } => true,
        });
        for site in &space.sites {
            if let SiteWhat::Trap { addr } = site.what
                && let Some(trap) = space.traps.get_mut(&addr)
                && trap.owners != site.owners
            {
                trap.owners.clone_from(&site.owners);
            }
        }
        if arming.hardware {
            self.arm_slots(id);
        }
    }

    /// Sets the debug registers of every thread of a space.
    fn arm_slots(&mut self, id: SpaceId) {
        let threads: Vec<(Pid, Tid)> = self
            .processes
            .values()
            .filter(|process| process.space == id && process.is_debuggee())
            .flat_map(|process| process.threads.keys().map(|&tid| (process.pid, tid)))
            .collect();
        for (pid, tid) in threads {
            self.arm_slots_of(pid, tid);
        }
    }

    /// Sets the debug registers of one thread to what its space wants.
    pub(super) fn arm_slots_of(&mut self, pid: Pid, tid: Tid) {
        let Some(space) = self.space_of(pid) else { return };
        let registers = space.debug_registers_for(tid);
        let Some(thread) = self.processes.get(&pid).and_then(|p| p.threads.get(&tid)) else {
            return;
        };
        let Some(stopped) = thread.stopped() else { return };
        if let Err(error) = self.target.set_debug_registers(stopped, &registers)
            && error != trapline_core::target::TargetError::Gone
        {
            self.warn(format!("debug registers of thread {tid}: {error}"));
        }
    }

    /// Writes the program's byte back under a trap.
    pub(super) fn disarm_trap(&mut self, id: SpaceId, pid: Pid, addr: VirtAddr) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        space.traps.remove(&addr);
        let Some(original) = space.overlay.disarm(addr) else { return };
        let mut found = [0];
        let still_ours = self.target.read_memory(pid, addr, &mut found) == 1 && found == [INT3];
        if still_ours && let Err(error) = self.target.write_memory(pid, addr, &original) {
            self.warn(format!("the trap at {addr} could not be removed: {error}"));
        }
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
        let mut slots = SlotWrites::default();
        let mut code = CodeWindow::for_sites(addrs.len());
        let mut ready = Vec::new();
        for &addr in addrs {
            match self.prepare_trap(id, pid, addr, &map, &mut code, &mut slots) {
                Ok(prepared) => ready.push(prepared),
                Err(why) => {
                    refused.insert(addr, why);
                }
            }
        }
        for (start, bytes) in slots.runs {
            if let Err(error) = self.target.write_memory(pid, start, &bytes) {
                // Without its slot a trap still works, held and stepped.
                self.warn(format!("out-of-line code could not be written: {error}"));
                for prepared in &mut ready {
                    if matches!(prepared.trap.detour, Detour::Slot(at) if at >= start) {
                        prepared.trap.detour = Detour::Lift(error.to_string());
                    }
                }
            }
        }
        for prepared in ready {
            let addr = prepared.addr;
            if let Err(why) = self.write_trap(id, pid, prepared) {
                refused.insert(addr, why);
            }
        }
        refused
    }

    fn prepare_trap(
        &mut self,
        id: SpaceId,
        pid: Pid,
        addr: VirtAddr,
        map: &[Region],
        window: &mut CodeWindow,
        slots: &mut SlotWrites,
    ) -> Result<Prepared, String> {
        executable(map, addr)?;
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        let memory = SpaceMemory { target: &*self.target, pid, overlay: &space.overlay };
        let code = window.at(&memory, addr);
        let mended = self.without_leftover(pid, addr, code);
        let code = mended.as_deref().unwrap_or(code);
        let Some(&original) = code.first() else {
            return Err(format!("Cannot access memory at address {addr}"));
        };
        let detour = self.detour(id, addr, code, map, slots);
        let len = insn::decode(code, addr).map_or(1, |instruction| instruction.len());
        let displaced = code.get(..len).unwrap_or(code).into();
        let trap = Trap { owners: Vec::new(), detour, displaced };
        Ok(Prepared { addr, original, trap })
    }

    fn write_trap(&mut self, id: SpaceId, pid: Pid, prepared: Prepared) -> Result<(), String> {
        let Prepared { addr, original, trap } = prepared;
        let space = self.spaces.get_mut(&id).ok_or("the process is gone")?;
        space.overlay.arm(addr, &[original], &[INT3]).map_err(|error| format!("{error:?}"))?;
        if let Err(error) = self.target.write_memory(pid, addr, &[INT3]) {
            space.overlay.disarm(addr);
            return Err(error.to_string());
        }
        space.traps.insert(addr, trap);
        Ok(())
    }

    /// A way past a trap at `addr`, whose own bytes are `code`.
    fn detour(
        &mut self,
        id: SpaceId,
        addr: VirtAddr,
        code: &[u8],
        map: &[Region],
        slots: &mut SlotWrites,
    ) -> Detour {
        let Some(space) = self.spaces.get(&id) else {
            return Detour::Lift("the process is gone".to_owned());
        };
        if let Some(why) = &space.no_arena {
            return Detour::Lift(why.clone());
        }
        if let Some(existing) = space.arena.existing(addr, code) {
            return Detour::Slot(existing);
        }
        let at = match self.room(id, addr, map) {
            Ok(at) => at,
            Err(why) => return Detour::Lift(why),
        };
        match relocate::relocate(code, addr, at) {
            Ok(slot) => {
                slots.add(at, &slot.bytes);
                if let Some(space) = self.spaces.get_mut(&id) {
                    space.arena.place(at, addr, &code[..usize::from(slot.len)], slot);
                }
                Detour::Slot(at)
            }
            Err(refusal) => Detour::Lift(refusal.to_string()),
        }
    }

    /// An address for a slot near `addr`, in a new chunk if need be.
    fn room(&mut self, id: SpaceId, addr: VirtAddr, map: &[Region]) -> Result<VirtAddr, String> {
        let space = self.spaces.get(&id).ok_or("the process is gone")?;
        if let Some(at) = space.arena.room_near(addr) {
            return Ok(at);
        }
        let asked = who_can_be_asked(&self.processes, id)
            .next()
            .ok_or("no thread of the process can be asked")?;
        if let Some(hazard) = self.target.allocation_hazard(asked) {
            return Err(self.give_up_arena(id, hazard));
        }
        let heap_start =
            self.target.process_info(asked.pid()).ok().and_then(|info| info.heap_start);
        let taken = all_taken(map, heap_start, space.arena.chunks());
        let around = AddrRange::sized(VirtAddr::new(addr.get() & !(PAGE - 1)), PAGE);
        let gap = near::find_gap(&taken, around, CHUNK)
            .ok_or_else(|| format!("no free memory within reach of {addr}"))?;
        let allocated = self.ask_a_thread(id, |target, stopped| {
            target.allocate(stopped, gap, CHUNK, Protection::Code)
        });
        match allocated {
            Ok(()) => {
                let space = self.spaces.get_mut(&id).ok_or("the process is gone")?;
                space.arena.add_chunk(AddrRange::sized(gap, CHUNK));
                Ok(gap)
            }
            Err(TargetError::Gone) => Err("the process is dying".to_owned()),
            Err(error) => Err(self.give_up_arena(id, error.to_string())),
        }
    }

    fn give_up_arena(&mut self, id: SpaceId, why: String) -> String {
        self.warn(format!("breakpoints are passed by stepping with all other threads held: {why}"));
        if let Some(space) = self.spaces.get_mut(&id) {
            space.no_arena = Some(why.clone());
        }
        why
    }

    /// Whether somebody in a space can be asked to give our memory back.
    pub(super) fn can_ask(&self, id: SpaceId) -> bool {
        who_can_be_asked(&self.processes, id).next().is_some()
    }

    /// Whether a thread waits in vfork: it will run on in this space.
    pub(super) fn outlives_its_child(&self, id: SpaceId) -> bool {
        let here = self.processes.values().filter(|process| process.space == id);
        here.flat_map(|process| process.threads.values()).any(|thread| thread.waits_for.is_some())
    }

    /// Asks one thread of a space after the other, since any of them may turn
    /// out to be dying.
    fn ask_a_thread(
        &mut self,
        id: SpaceId,
        ask: impl Fn(&mut dyn Target, &Stopped) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        for stopped in who_can_be_asked(&self.processes, id) {
            let answer = ask(&mut *self.target, stopped);
            if answer != Err(TargetError::Gone) {
                return answer;
            }
        }
        Err(TargetError::Gone)
    }

    /// Tells each location what serves it. The answer is what is refused and
    /// was not refused for the same reason before.
    fn record_service(
        &mut self,
        wants: &[Want],
        planned: &Plan,
        refused: &BTreeMap<VirtAddr, String>,
        id: SpaceId,
    ) -> Vec<(LocationId, String)> {
        let mut news = Vec::new();
        let space = self.spaces.get(&id);
        for served in &planned.served {
            let Owner::Location(location) = served.owner else { continue };
            let result = match wants[served.want].what {
                WantWhat::Execute { addr, .. } if served.mechanism == Mechanism::Trap => {
                    match (refused.get(&addr), space.and_then(|s| s.traps.get(&addr))) {
                        (Some(why), _) => Err(why.clone()),
                        (None, Some(Trap { detour: Detour::Lift(why), .. })) => Ok((
                            Mechanism::Trap,
                            format!("{}; passed with all threads held: {why}", served.reason),
                        )),
                        (None, _) => Ok((Mechanism::Trap, served.reason.to_string())),
                    }
                }
                WantWhat::Data { access: Access::Read, .. } => {
                    Ok((served.mechanism, format!("{}; {}", served.reason, told_apart(served))))
                }
                _ => Ok((served.mechanism, served.reason.to_string())),
            };
            news.extend(self.breakpoints.set_service(location, result));
            self.breakpoints.set_paired(location, &served.paired_writes);
        }
        for refusal in &planned.refused {
            if let Owner::Location(location) = refusal.owner {
                news.extend(self.breakpoints.set_service(location, Err(refusal.why.clone())));
            }
        }
        news
    }

    /// Adds a place of our own to stop at; the planner arms it before anything
    /// runs.
    pub(super) fn add_internal(&mut self, id: SpaceId, addr: VirtAddr, purpose: Purpose) {
        if let Some(space) = self.spaces.get_mut(&id) {
            let used: HashSet<u32> = space.internal.iter().map(|one| one.number).collect();
            let number = (0..).find(|number| !used.contains(number)).unwrap_or(u32::MAX);
            space.internal.push(Internal { number, addr, purpose });
            space.stale = true;
        }
    }

    /// Drops the places of our own that `gone` says are over.
    pub(super) fn drop_internal(&mut self, gone: impl Fn(&Internal) -> bool) {
        for space in self.spaces.values_mut() {
            let before = space.internal.len();
            space.internal.retain(|internal| !gone(internal));
            space.stale |= space.internal.len() != before;
        }
    }

    /// Takes everything of ours out of a space: traps, debug registers and
    /// arena. All its threads must be stopped.
    pub(super) fn clear_space(&mut self, id: SpaceId) {
        let Some(pid) = self.representative(id) else { return };
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let armed: Vec<VirtAddr> = space.overlay.armed().map(|armed| armed.addr).collect();
        space.sites.clear();
        space.internal.clear();
        for addr in armed {
            self.disarm_trap(id, pid, addr);
        }
        self.arm_slots(id);
        self.leave_slots(id);
        self.release_arena(id);
    }

    /// Gives our memory back, unless something of the program's can still come
    /// to it.
    fn release_arena(&mut self, id: SpaceId) {
        if self.is_awaited_in_arena(id) {
            self.warn(
                "out-of-line code stays mapped: a signal handler of the program will return to it",
            );
            return;
        }
        let Some(space) = self.spaces.get(&id) else { return };
        let chunks: Vec<AddrRange> = space.arena.chunks().collect();
        for chunk in chunks {
            let released = self.ask_a_thread(id, |target, stopped| target.release(stopped, chunk));
            match released {
                Ok(()) => {}
                Err(TargetError::Gone) if !self.outlives_its_child(id) => {}
                Err(error) => {
                    self.warn(format!("memory of ours at {chunk} stays mapped: {error}"));
                }
            }
        }
        if let Some(space) = self.spaces.get_mut(&id) {
            space.arena.clear();
        }
    }

    /// Whether a signal frame on some stack holds an address of our slots: a
    /// handler interrupted a displaced system call and has not returned.
    fn is_awaited_in_arena(&mut self, id: SpaceId) -> bool {
        if !self.spaces.get(&id).is_some_and(|space| space.arena.has_interrupted_calls()) {
            return false;
        }
        self.all_threads().into_iter().any(|(pid, tid)| {
            self.processes.get(&pid).is_some_and(|process| process.space == id)
                && self.stack_names_arena(pid, tid)
        })
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

/// The threads that can be made to allocate in their space: while a parent
/// waits in vfork, only the child can.
fn who_can_be_asked(
    processes: &BTreeMap<Pid, Process>,
    id: SpaceId,
) -> impl Iterator<Item = &Stopped> {
    processes
        .values()
        .filter(move |process| process.space == id)
        .flat_map(|process| process.threads.values())
        .filter(|thread| !thread.exiting && thread.waits_for.is_none())
        .filter_map(Thread::stopped)
}

/// How the reads that are asked for are told from writes: no debug register
/// matches reads alone.
fn told_apart(served: &Served) -> &'static str {
    if served.paired_writes.len() == served.sites.len() {
        "reads are told from writes by a paired write slot"
    } else {
        "reads are told from writes by decoding the instruction, as no slot is free for a pair"
    }
}

/// What came of carrying out edits: the addresses where no trap could be armed
/// and why, and whether debug registers are to be set.
struct Arming {
    refused: BTreeMap<VirtAddr, String>,
    hardware: bool,
}

/// A trap about to be written.
struct Prepared {
    addr: VirtAddr,
    original: u8,
    trap: Trap,
}

/// The program's code near the sites that are being armed: a page a read when
/// there are many, since they come in crowds.
struct CodeWindow {
    start: VirtAddr,
    bytes: Vec<u8>,
    size: usize,
}

impl CodeWindow {
    /// What decoding an instruction takes, and what its slot is compared by.
    const NEED: usize = MAX_INSTRUCTION + 1;

    fn for_sites(count: usize) -> Self {
        let size = if count == 1 { Self::NEED } else { PAGE as usize };
        Self { start: VirtAddr::new(0), bytes: Vec::new(), size }
    }

    /// The bytes from an address on, as many as one instruction may have; fewer
    /// where memory ends.
    fn at(&mut self, memory: &dyn ReadMemory, addr: VirtAddr) -> &[u8] {
        let inside = |window: &Self| {
            let skip = usize::try_from(addr.checked_sub(window.start)?).ok()?;
            (skip + Self::NEED <= window.bytes.len()).then_some(skip)
        };
        let skip = inside(self).unwrap_or_else(|| {
            self.bytes.resize(self.size, 0);
            let read = memory.read_some(addr, &mut self.bytes);
            self.bytes.truncate(read);
            self.start = addr;
            0
        });
        let end = self.bytes.len().min(skip + Self::NEED);
        &self.bytes[skip..end]
    }
}

/// Slot code to be written, neighbours joined so that many slots cost one
/// write.
#[derive(Default)]
struct SlotWrites {
    runs: BTreeMap<VirtAddr, Vec<u8>>,
}

impl SlotWrites {
    fn add(&mut self, at: VirtAddr, bytes: &[u8]) {
        if let Some((&start, run)) = self.runs.range_mut(..=at).next_back() {
            let gap = at.checked_sub(start).and_then(|offset| offset.checked_sub(run.len() as u64));
            if let Some(gap) = gap.filter(|&gap| gap < 16) {
                run.extend(std::iter::repeat_n(INT3, usize::try_from(gap).unwrap_or(0)));
                run.extend_from_slice(bytes);
                return;
            }
        }
        self.runs.insert(at, bytes.to_vec());
    }
}

/// Refuses to write a trap where no code can run: it could only destroy data.
fn executable(map: &[Region], addr: VirtAddr) -> Result<(), String> {
    let next = map.partition_point(|region| region.range.start <= addr);
    let region = next.checked_sub(1).and_then(|index| map.get(index));
    match region.filter(|region| region.range.contains(addr)) {
        None => Err(format!("Cannot access memory at address {addr}")),
        Some(region) if !region.execute => Err(format!(
            "{addr} is not executable memory: a trap there would only corrupt data (use `watch` for data)"
        )),
        Some(_) => Ok(()),
    }
}

/// What is taken of a space, or will be: a heap that has not begun too.
fn all_taken(
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
