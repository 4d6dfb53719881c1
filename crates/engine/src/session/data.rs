//! Data breakpoints on debug registers: deciding what a hit was, noticing
//! changes that no instruction of the program made, and ending with the frame
//! of what they watch. Where the data is, `watching` finds out.
//!
//! A data hit is a trap: the instruction has run, and the pc is the next one.
//! Debug registers see what the program's own instructions do; what the kernel
//! writes on its behalf (a `read` into the watched bytes) they do not see, and
//! such a change is told as coming from outside when it is found.

use trapline_core::breakpoint::{BreakpointSpec, DataTrigger, Mechanism, Subject};
use trapline_core::memory::ReadMemory;
use trapline_core::plan::Owner;
use trapline_core::x64::debug::{Access, DebugStatus, SlotKind};
use trapline_core::x64::{MAX_INSTRUCTION, Registers};
use trapline_core::{AddrRange, LocationId, Pid, Tid, VirtAddr};
use trapline_patch::insn::{self, MemoryAccess};

use super::Session;
use super::activations::{function_start, walk};
use super::hits::{Answer, consider};
use crate::breakpoints::{Location, Watch, WatchScope};
use crate::event::{Event, StopReason};
use crate::space::{Purpose, SpaceId};

/// Most frames that are walked to find the one a watch belongs to.
const MAX_FRAMES: usize = 10_000;

/// What the hardware and the instruction say of one touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Touch {
    Write,
    Read,
    /// One of the two; nothing tells which.
    Unknown,
    /// Neither: only bytes that a slot covers beside the watch.
    Beside,
}

/// A data slot of a watch that matched.
struct MatchedSlot {
    index: u8,
    kind: SlotKind,
    range: AddrRange,
}

impl Session {
    /// Data slots matched. One report per watch that has something to say.
    pub(super) fn data_hit(
        &mut self,
        pid: Pid,
        tid: Tid,
        status: DebugStatus,
        registers: &Registers,
    ) -> Vec<StopReason> {
        let Some(space) = self.space_of(pid) else { return Vec::new() };
        let mut hit: Vec<(LocationId, u8, SlotKind, AddrRange)> = Vec::new();
        for (index, slot, site) in space.slots_for(tid) {
            if !status.slots[usize::from(index)] || slot.kind == SlotKind::Execute {
                continue;
            }
            for owner in site.owners.iter() {
                if let Owner::Location(id) = *owner {
                    hit.push((id, index, slot.kind, slot.range()));
                }
            }
        }
        let mut owners: Vec<LocationId> = hit.iter().map(|row| row.0).collect();
        owners.sort_unstable();
        owners.dedup();
        let past = self.past_accesses(pid, registers);
        let mut reasons = Vec::new();
        for id in owners {
            let slots: Vec<MatchedSlot> = hit
                .iter()
                .filter(|row| row.0 == id)
                .map(|&(_, index, kind, range)| MatchedSlot { index, kind, range })
                .collect();
            let touch = self.touch(id, &slots, status, past.as_deref());
            reasons.extend(self.watch_hit(pid, tid, id, touch, past.as_deref(), registers));
        }
        reasons
    }

    /// Whether a watch's slots say read or write; with no word from them, what
    /// the instruction does to their bytes. A slot may cover more than the
    /// watch: what is known to have missed the watch is no touch of it.
    fn touch(
        &self,
        id: LocationId,
        slots: &[MatchedSlot],
        status: DebugStatus,
        past: Option<&[MemoryAccess]>,
    ) -> Touch {
        let Some(watch) = self.watch_of(id) else { return Touch::Unknown };
        let wider = |slot: &MatchedSlot| slot.range.intersection(watch.range) != Some(slot.range);
        if slots.iter().all(wider) && past.is_some_and(|past| missed(past, slots, watch.range)) {
            return Touch::Beside;
        }
        if slots.iter().any(|slot| slot.kind == SlotKind::Write) {
            return Touch::Write;
        }
        let mut covered = !slots.is_empty();
        for slot in slots {
            match watch.paired.iter().find(|pair| pair.both == slot.index) {
                Some(pair) if status.slots[usize::from(pair.write)] => return Touch::Write,
                Some(_) => {}
                None => covered = false,
            }
        }
        match (covered, past) {
            (true, _) => Touch::Read,
            (false, Some(past)) => decoded(past, slots),
            (false, None) => Touch::Unknown,
        }
    }

    fn watch_of(&self, id: LocationId) -> Option<&Watch> {
        let locations = &self.breakpoints.get(id.breakpoint)?.locations;
        locations.iter().find(|location| location.id == id)?.watch.as_deref()
    }

    /// What the instruction that has just run did to memory; `None` where that
    /// is not known. A repeated one may be between two rounds: then the pc is
    /// at its own start.
    fn past_accesses(&self, pid: Pid, registers: &Registers) -> Option<Vec<MemoryAccess>> {
        let pc = VirtAddr::new(registers.rip);
        let mut bytes = [0; MAX_INSTRUCTION];
        let read = self.memory(pid)?.read_some(pc, &mut bytes);
        if insn::decode(&bytes[..read], pc).is_some_and(|next| next.is_repeated()) {
            return None;
        }
        Some(self.instruction_before(pid, pc)?.past_memory_accesses(registers))
    }

    /// The instruction in front of a place, found by decoding from the start of
    /// the function; `None` where no start is known. What ran last is another
    /// one when a jump, a call or a return led to the place.
    fn instruction_before(&self, pid: Pid, pc: VirtAddr) -> Option<insn::Insn> {
        let memory = self.memory(pid)?;
        let mut at = function_start(&self.space_of(pid)?.modules, pc.wrapping_sub(1))?;
        let mut bytes = [0; MAX_INSTRUCTION];
        while at < pc {
            let read = memory.read_some(at, &mut bytes);
            let instruction = insn::decode(&bytes[..read], at)?;
            if instruction.next() == pc {
                return Some(instruction);
            }
            at = instruction.next();
        }
        None
    }

    fn watch_hit(
        &mut self,
        pid: Pid,
        tid: Tid,
        id: LocationId,
        touch: Touch,
        past: Option<&[MemoryAccess]>,
        registers: &Registers,
    ) -> Option<StopReason> {
        if self.watch_scope_ended(pid, id, tid, registers) {
            return self.end_scope(id);
        }
        let now = self.watched_bytes(pid, id)?;
        let (mut context, breakpoints) = self.pass(pid, tid, registers)?;
        let (spec, tally, told, location) = breakpoints.location_mut(id)?;
        let watch = location.watch.as_mut()?;
        let before = std::mem::replace(&mut watch.last, now);
        let changed = before != watch.last;
        let (range, ty) = (watch.range, watch.ty.clone());
        let touch = if changed { Touch::Write } else { touch };
        if !is_pass(spec, watch.access, touch, changed) {
            return None;
        }
        let answer = consider(&mut context, spec, tally, told, location);
        let expression = subject_text(spec);
        let asked = match &spec.subject {
            Subject::Data { access, .. } => *access,
            _ => Access::Write,
        };
        if !matches!(answer, Answer::Stop) {
            return self.reason_for(pid, tid, id, answer, registers, Mechanism::Hardware);
        }
        let new = self.watched_bytes(pid, id)?;
        Some(StopReason::Data {
            id: id.breakpoint,
            expression,
            access: Some(match touch {
                Touch::Write => Access::Write,
                Touch::Read => Access::Read,
                Touch::Unknown | Touch::Beside => Access::ReadWrite,
            }),
            old: changed.then(|| self.format_watched(pid, ty.as_ref(), range, &before)),
            new: Some(self.format_watched(pid, ty.as_ref(), range, &new)),
            address: range.start,
            note: touch_note(asked, touch, past),
        })
    }

    fn watched_bytes(&self, pid: Pid, id: LocationId) -> Option<Vec<u8>> {
        let location =
            self.breakpoints.get(id.breakpoint)?.locations.iter().find(|l| l.id == id)?;
        let watch = location.watch.as_ref()?;
        let range = watch.range;
        let mut bytes = vec![0; usize::try_from(range.len()).ok()?];
        let read = self.memory(pid)?.read_some(range.start, &mut bytes);
        bytes.truncate(read);
        if range.len() == read as u64 {
            watch.take(&mut bytes);
        }
        Some(bytes)
    }

    /// Watches whose value is not what it was at the last look, apart from
    /// those just reported.
    pub(super) fn data_changed_from_outside(&mut self, reported: &[StopReason]) -> Vec<StopReason> {
        let mut reasons = Vec::new();
        for (pid, id) in self.watch_locations() {
            let told = reported.iter().any(
                |reason| matches!(reason, StopReason::Data { id: whose, .. } if *whose == id.breakpoint),
            );
            let Some(now) = self.watched_bytes(pid, id) else { continue };
            let Some((spec, tally, _, location)) = self.breakpoints.location_mut(id) else {
                continue;
            };
            let Some(watch) = &mut location.watch else { continue };
            // Memory that has come into being is no change of a value.
            let unreadable = watch.last.len() < now.len();
            if watch.last == now || unreadable {
                watch.last = now;
                continue;
            }
            let before = std::mem::replace(&mut watch.last, now.clone());
            let (range, ty, expression) = (watch.range, watch.ty.clone(), subject_text(spec));
            if told || watch.access == Access::Read {
                continue;
            }
            tally.stops += 1;
            reasons.push(StopReason::Data {
                id: id.breakpoint,
                expression,
                access: None,
                old: Some(self.format_watched(pid, ty.as_ref(), range, &before)),
                new: Some(self.format_watched(pid, ty.as_ref(), range, &now)),
                address: range.start,
                note: Some(
                    "changed from outside the program's own instructions (the kernel, another \
                     process, or the debugger)"
                        .to_owned(),
                ),
            });
        }
        reasons
    }

    fn watch_locations(&self) -> Vec<(Pid, LocationId)> {
        let mut list = Vec::new();
        for breakpoint in self.breakpoints.iter().filter(|b| b.is_watch() && b.spec.enabled) {
            for location in breakpoint.locations.iter().filter(|l| l.enabled) {
                let process =
                    self.processes.values().find(|process| Some(process.space) == location.space);
                if let Some(process) = process {
                    list.push((process.pid, location.id));
                }
            }
        }
        list
    }

    /// Looks at every watch anew after the user changed memory.
    pub(super) fn refresh_watches(&mut self) {
        for (pid, id) in self.watch_locations() {
            if let Some(now) = self.watched_bytes(pid, id)
                && let Some((.., location)) = self.breakpoints.location_mut(id)
                && let Some(watch) = &mut location.watch
            {
                watch.last = now;
            }
        }
    }

    /// Whether the frame that a watch belongs to is gone from its thread's
    /// stack. A jump out of it (longjmp, an exception) passes no return, and
    /// its bytes may be another frame's by now.
    fn watch_scope_ended(&self, pid: Pid, id: LocationId, tid: Tid, registers: &Registers) -> bool {
        let Some(scope) = self.watch_of(id).and_then(|watch| watch.scope) else { return false };
        if scope.tid != tid {
            return false;
        }
        registers.rsp() >= scope.cfa || self.is_off_stack(pid, scope, registers)
    }

    /// Whether a stack that could be followed as far as a frame does not have
    /// it.
    fn is_off_stack(&self, pid: Pid, scope: WatchScope, registers: &Registers) -> bool {
        let (Some(space), Some(memory)) = (self.space_of(pid), self.memory(pid)) else {
            return false;
        };
        let walk = walk(&space.modules, &memory, registers, MAX_FRAMES);
        let function = |pc| function_start(&space.modules, pc);
        let found = walk
            .activations
            .iter()
            .find(|activation| activation.cfa.is_some_and(|cfa| cfa >= scope.cfa));
        found.is_some_and(|activation| {
            activation.cfa != Some(scope.cfa) || function(activation.lookup()) != scope.function
        })
    }

    /// The frame that a watch belongs to is gone: so is the watch.
    pub(super) fn end_scope(&mut self, id: LocationId) -> Option<StopReason> {
        let breakpoint = self.breakpoints.remove(id.breakpoint)?;
        self.drop_internal(
            |internal| matches!(internal.purpose, Purpose::ScopeEnd { location, .. } if location == id),
        );
        self.replan();
        self.emit(Event::BreakpointChanged {
            id: id.breakpoint,
            what: "the frame it watched a variable of has ended".to_owned(),
            deleted: true,
        });
        Some(StopReason::ScopeEnded {
            id: id.breakpoint,
            expression: subject_text(&breakpoint.spec),
        })
    }

    /// Ends the watches on frames of a memory that is gone.
    pub(super) fn end_watches_in(&mut self, space: SpaceId) {
        let of_frame = |location: &&Location| {
            let scope = location.watch.as_ref().and_then(|watch| watch.scope);
            location.space == Some(space) && scope.is_some()
        };
        let ended: Vec<LocationId> = self
            .breakpoints
            .iter()
            .flat_map(|breakpoint| &breakpoint.locations)
            .filter(of_frame)
            .map(|location| location.id)
            .collect();
        for id in ended {
            let Some(StopReason::ScopeEnded { id, expression }) = self.end_scope(id) else {
                continue;
            };
            if !self.over {
                self.warn(format!(
                    "watch {id} on `{expression}` is deleted: the frame it belongs to ended with \
                     its process"
                ));
            }
        }
    }

    /// Ends the watches of a thread's frames: the thread is gone.
    pub(super) fn end_watches_of(&mut self, tid: Tid) {
        let ended: Vec<LocationId> = self
            .breakpoints
            .iter()
            .flat_map(|breakpoint| &breakpoint.locations)
            .filter(|location| {
                location
                    .watch
                    .as_ref()
                    .and_then(|watch| watch.scope)
                    .is_some_and(|scope| scope.tid == tid)
            })
            .map(|location| location.id)
            .collect();
        for id in ended {
            self.end_scope(id);
        }
    }
}

/// The bytes of an access, as far as they are known.
fn bytes_of(access: &MemoryAccess) -> Option<AddrRange> {
    Some(AddrRange::sized(access.addr?, access.len?))
}

/// Whether an instruction is known to have touched the slots but not `watched`.
fn missed(past: &[MemoryAccess], slots: &[MatchedSlot], watched: AddrRange) -> bool {
    let touches =
        |range: AddrRange| past.iter().filter_map(bytes_of).any(|bytes| bytes.overlaps(range));
    past.iter().all(|access| bytes_of(access).is_some())
        && slots.iter().any(|slot| touches(slot.range))
        && !touches(watched)
}

/// Read or write, from the accesses that met the slots; from those whose
/// address is lost when none is known to have.
fn decoded(past: &[MemoryAccess], slots: &[MatchedSlot]) -> Touch {
    let meets = |access: &&MemoryAccess| {
        bytes_of(access).is_some_and(|bytes| slots.iter().any(|slot| slot.range.overlaps(bytes)))
    };
    let mut met: Vec<&MemoryAccess> = past.iter().filter(meets).collect();
    if met.is_empty() {
        met = past.iter().filter(|access| bytes_of(access).is_none()).collect();
    }
    let writes = met.iter().any(|access| access.access != Access::Read);
    let reads = met.iter().any(|access| access.access != Access::Write);
    match (reads, writes) {
        (true, false) => Touch::Read,
        (false, true) => Touch::Write,
        _ => Touch::Unknown,
    }
}

fn is_pass(spec: &BreakpointSpec, access: Access, touch: Touch, changed: bool) -> bool {
    let trigger = match &spec.subject {
        Subject::Data { trigger, .. } => *trigger,
        _ => DataTrigger::Touched,
    };
    match (access, trigger) {
        _ if touch == Touch::Beside => false,
        (Access::Write, DataTrigger::Changed) => changed,
        (Access::Write, DataTrigger::Touched) => touch != Touch::Read,
        (Access::Read, _) => touch != Touch::Write,
        (Access::ReadWrite, _) => true,
    }
}

fn touch_note(asked: Access, touch: Touch, past: Option<&[MemoryAccess]>) -> Option<String> {
    if touch == Touch::Unknown && asked == Access::Read {
        return Some(
            "this may have been a write: no debug register was free to tell, and the \
             instruction does both or is not known"
                .to_owned(),
        );
    }
    let accesses = past?;
    (accesses.len() > 1).then(|| format!("the instruction made {} accesses", accesses.len()))
}

/// The expression of a watch.
pub(super) fn subject_text(spec: &BreakpointSpec) -> String {
    match &spec.subject {
        Subject::Data { expression, .. } => expression.clone(),
        Subject::Code { location, .. } => location.clone(),
        Subject::Functions { regex } => regex.clone(),
    }
}
