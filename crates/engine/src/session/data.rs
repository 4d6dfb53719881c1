//! Data breakpoints on debug registers: setting them, deciding what a hit was,
//! noticing changes that no instruction of the program made, and ending with
//! the frame of what they watch.
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
use trapline_core::{AddrRange, BreakpointId, LocationId, Pid, Tid, VirtAddr};
use trapline_patch::insn;

use super::binding::compile_say;
use super::frames::function_start;
use super::hits::{Answer, PassContext, consider};
use super::values::CodeScope;
use super::{Selected, Session};
use crate::breakpoints::{Anchor, Location, Watch, WatchScope};
use crate::command::CommandError;
use crate::event::{Event, StopReason};
use crate::space::Purpose;

/// Longest value shown as old and new.
const MAX_WATCHED: u64 = 1 << 16;

/// What the hardware and the instruction say of one touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Touch {
    Write,
    Read,
    /// One of the two; nothing tells which.
    Unknown,
}

impl Session {
    /// Binds a watch in the selected frame.
    pub(super) fn bind_watch(&mut self, id: BreakpointId) -> Result<(), CommandError> {
        let Some(breakpoint) = self.breakpoints.get(id) else { return Ok(()) };
        let spec = breakpoint.spec.clone();
        let Subject::Data { expression, access, .. } = &spec.subject else { return Ok(()) };
        let selected = self.selected().map_err(|_| {
            CommandError::new(format!(
                "`{expression}` cannot be watched before the program runs: use `start` first"
            ))
        })?;
        let subject = self.watch_subject(selected, expression)?;
        let range = subject.range;
        if range.is_empty() || range.len() > MAX_WATCHED {
            return Err(CommandError::new(format!(
                "`{expression}` has {} bytes; between 1 and {MAX_WATCHED} can be watched",
                range.len()
            )));
        }
        let mut last = vec![0; usize::try_from(range.len()).unwrap_or(0)];
        self.memory(selected.pid)
            .ok_or_else(|| CommandError::new("no process"))?
            .read_exact(range.start, &mut last)
            .map_err(|error| CommandError::new(error.to_string()))?;
        let watch = Watch {
            range,
            access: *access,
            ty: subject.ty,
            last,
            scope: subject.scope.map(|(scope, _)| scope),
            paired: Vec::new(),
        };
        let end = subject.scope.map(|(scope, returns_to)| (scope, returns_to));
        self.add_watch(id, selected, &spec, watch, end)
    }

    fn add_watch(
        &mut self,
        id: BreakpointId,
        selected: Selected,
        spec: &BreakpointSpec,
        watch: Watch,
        end: Option<(WatchScope, Option<VirtAddr>)>,
    ) -> Result<(), CommandError> {
        let Some(space_id) = self.processes.get(&selected.pid).map(|process| process.space) else {
            return Ok(());
        };
        let pc = self.selected_lookup_pc();
        let Some(space) = self.spaces.get(&space_id) else { return Ok(()) };
        let scope = CodeScope::at_pc_of(&space.modules, pc, &self.values);
        let say = compile_say(spec, &scope, self.settings)?;
        let Some(breakpoint) = self.breakpoints.get_mut(id) else { return Ok(()) };
        let location = breakpoint.next_location();
        breakpoint.notes = vec![
            "writes made by the kernel are not seen as they happen; they are told at the next stop"
                .to_owned(),
        ];
        breakpoint.locations.push(Location {
            id: location,
            space: Some(space_id),
            anchor: Anchor::Address(watch.range.start),
            addr: watch.range.start,
            function: None,
            file: None,
            line: None,
            enabled: true,
            say,
            watch: Some(watch),
            service: Err("not armed yet".to_owned()),
        });
        if let Some((scope, Some(returns_to))) = end {
            let purpose = Purpose::ScopeEnd { location, tid: scope.tid, stack: scope.cfa };
            self.add_internal(space_id, returns_to, purpose);
        }
        if let Some(space) = self.spaces.get_mut(&space_id) {
            space.stale = true;
        }
        Ok(())
    }

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
            for owner in &site.owners {
                if let Owner::Location(id) = *owner {
                    hit.push((id, index, slot.kind, slot.range()));
                }
            }
        }
        let mut owners: Vec<LocationId> = hit.iter().map(|row| row.0).collect();
        owners.sort_unstable();
        owners.dedup();
        let previous = self.instruction_before(pid, registers);
        let mut reasons = Vec::new();
        for id in owners {
            let slots: Vec<(u8, SlotKind)> =
                hit.iter().filter(|row| row.0 == id).map(|row| (row.1, row.2)).collect();
            let touch = self.touch(id, &slots, status, previous.as_ref());
            reasons.extend(self.watch_hit(pid, tid, id, touch, previous.as_ref(), registers));
        }
        reasons
    }

    /// Whether a watch's slots say read or write.
    fn touch(
        &self,
        id: LocationId,
        slots: &[(u8, SlotKind)],
        status: DebugStatus,
        previous: Option<&insn::Insn>,
    ) -> Touch {
        if slots.iter().any(|(_, kind)| *kind == SlotKind::Write) {
            return Touch::Write;
        }
        let paired = self
            .breakpoints
            .get(id.breakpoint)
            .and_then(|b| b.locations.iter().find(|l| l.id == id))
            .and_then(|l| l.watch.as_ref())
            .map(|watch| watch.paired.clone())
            .unwrap_or_default();
        let mut covered = !slots.is_empty();
        for (index, _) in slots {
            match paired.iter().find(|pair| pair.both == *index) {
                Some(pair) if status.slots[usize::from(pair.write)] => return Touch::Write,
                Some(_) => {}
                None => covered = false,
            }
        }
        if covered {
            return Touch::Read;
        }
        let Some(previous) = previous else { return Touch::Unknown };
        let accesses = previous.memory_accesses(&Registers::default());
        let writes = accesses.iter().any(|access| access.access != Access::Read);
        let reads = accesses.iter().any(|access| access.access != Access::Write);
        match (reads, writes) {
            (true, false) => Touch::Read,
            (false, true) => Touch::Write,
            _ => Touch::Unknown,
        }
    }

    /// The instruction that has just run, found by decoding from the start of
    /// the function; `None` where the previous one is not the one before (a
    /// jump or call led here) or no start is known.
    fn instruction_before(&self, pid: Pid, registers: &Registers) -> Option<insn::Insn> {
        let pc = VirtAddr::new(registers.rip);
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
        previous: Option<&insn::Insn>,
        registers: &Registers,
    ) -> Option<StopReason> {
        if self.watch_scope_ended(id, tid, registers) {
            return self.end_scope(id);
        }
        let now = self.watched_bytes(pid, id)?;
        let tick_millis = self.tick_millis();
        let process = self.processes.get(&pid)?;
        let thread = process.threads.get(&tid)?;
        let space = self.spaces.get(&process.space)?;
        let (spec, tally, told, location) = self.breakpoints.location_mut(id)?;
        let watch = location.watch.as_mut()?;
        let before = std::mem::replace(&mut watch.last, now);
        let changed = before != watch.last;
        let (range, ty) = (watch.range, watch.ty.clone());
        let touch = if changed { Touch::Write } else { touch };
        if !is_pass(spec, watch.access, touch, changed) {
            return None;
        }
        let mut context = PassContext {
            target: &mut *self.target,
            space,
            process,
            thread,
            registers: *registers,
            tick_millis,
        };
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
                Touch::Unknown => Access::ReadWrite,
            }),
            old: changed.then(|| self.format_watched(pid, ty.as_ref(), range, &before)),
            new: Some(self.format_watched(pid, ty.as_ref(), range, &new)),
            address: range.start,
            note: touch_note(asked, touch, previous),
        })
    }

    fn watched_bytes(&self, pid: Pid, id: LocationId) -> Option<Vec<u8>> {
        let location =
            self.breakpoints.get(id.breakpoint)?.locations.iter().find(|l| l.id == id)?;
        let range = location.watch.as_ref()?.range;
        let mut bytes = vec![0; usize::try_from(range.len()).ok()?];
        let read = self.memory(pid)?.read_some(range.start, &mut bytes);
        bytes.truncate(read);
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
            if watch.last == now {
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

    fn watch_scope_ended(&self, id: LocationId, tid: Tid, registers: &Registers) -> bool {
        self.breakpoints
            .get(id.breakpoint)
            .and_then(|b| b.locations.iter().find(|l| l.id == id))
            .and_then(|l| l.watch.as_ref()?.scope)
            .is_some_and(|scope| scope.tid == tid && registers.rsp() >= scope.cfa)
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

fn is_pass(spec: &BreakpointSpec, access: Access, touch: Touch, changed: bool) -> bool {
    let trigger = match &spec.subject {
        Subject::Data { trigger, .. } => *trigger,
        _ => DataTrigger::Touched,
    };
    match (access, trigger) {
        (Access::Write, DataTrigger::Changed) => changed,
        (Access::Write, DataTrigger::Touched) => touch != Touch::Read,
        (Access::Read, _) => touch != Touch::Write,
        (Access::ReadWrite, _) => true,
    }
}

fn touch_note(asked: Access, touch: Touch, previous: Option<&insn::Insn>) -> Option<String> {
    if touch == Touch::Unknown && asked == Access::Read {
        return Some(
            "this may have been a write: no debug register was free to tell, and the \
             instruction does both or is not known"
                .to_owned(),
        );
    }
    let accesses = previous?.memory_accesses(&Registers::default());
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
