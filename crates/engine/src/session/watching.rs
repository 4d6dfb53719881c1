//! Where watched data is: in the frame a watch is set in, in a process that
//! came later, in a followed child; and why it is nowhere.

use std::collections::BTreeSet;

use trapline_core::breakpoint::{BreakpointSpec, Subject};
use trapline_core::memory::{Bytes, ReadMemory};
use trapline_core::{AddrRange, BreakpointId, LocationId, Pid, Tid, VirtAddr};

use super::Session;
use super::binding::compile_say;
use super::scope::{CodePlace, CodeScope};
use super::search::Among;
use super::truth::SpaceMemory;
use super::values::WatchSubject;
use crate::breakpoints::{Anchor, Location, Watch};
use crate::command::CommandError;
use crate::event::Event;
use crate::process::Process;
use crate::space::{Modules, Purpose, SpaceId};

/// Longest value shown as old and new.
const MAX_WATCHED: u64 = 1 << 16;

/// What is said of every watch on debug registers.
const KERNEL_NOTE: &str =
    "writes made by the kernel are not seen as they happen; they are told at the next stop";

impl Session {
    /// Binds a watch in the selected frame.
    pub(super) fn bind_watch(&mut self, id: BreakpointId) -> Result<(), CommandError> {
        let Some(breakpoint) = self.breakpoints.get(id) else { return Ok(()) };
        let spec = breakpoint.spec.clone();
        let Subject::Data { expression, access, .. } = &spec.subject else { return Ok(()) };
        if !self.processes.values().any(Process::is_debuggee) {
            return self.watch_later(id, expression);
        }
        let selected = self.selected()?;
        let subject = self.watch_subject(selected, expression)?;
        let range = subject.range;
        check_length(expression, range)?;
        let mut last = vec![0; usize::try_from(range.len()).unwrap_or(0)];
        self.memory(selected.pid)
            .ok_or_else(|| CommandError::new("no process"))?
            .read_exact(range.start, &mut last)
            .map_err(|error| CommandError::new(error.to_string()))?;
        let mut watch = Watch {
            range,
            access: *access,
            ty: subject.ty,
            bits: subject.bits,
            last,
            scope: subject.scope.map(|(scope, _)| scope),
            paired: Vec::new(),
        };
        watch.take_last();
        let here = self.selected_place();
        let moves = watch.scope.is_none() && !self.stays_put(selected.pid, expression);
        let location = self.add_watch(id, selected.pid, &spec, watch, here)?;
        if let Some(breakpoint) = self.breakpoints.get_mut(id).filter(|_| moves) {
            breakpoint.notes.push(format!(
                "watches {}, where `{expression}` is now; it does not follow it elsewhere",
                range.start
            ));
        }
        if let Some((scope, Some(returns_to))) = subject.scope
            && let Some(space) = self.processes.get(&selected.pid).map(|process| process.space)
        {
            let purpose = Purpose::ScopeEnd { location, tid: scope.tid, stack: scope.cfa };
            self.add_internal(space, returns_to, purpose);
        }
        Ok(())
    }

    /// Whether where the data is can be told without reading memory, and so
    /// cannot change.
    fn stays_put(&self, pid: Pid, expression: &str) -> bool {
        let Some(space) = self.space_of(pid) else { return false };
        self.frameless_subject(&space.modules, &Bytes::default(), 0, expression).is_ok()
    }

    /// Arms a watch in a process. `place` says whose names its condition sees.
    fn add_watch(
        &mut self,
        id: BreakpointId,
        pid: Pid,
        spec: &BreakpointSpec,
        watch: Watch,
        place: Option<CodePlace>,
    ) -> Result<LocationId, CommandError> {
        let gone = || CommandError::new("the process is gone");
        let space_id = self.processes.get(&pid).map(|process| process.space).ok_or_else(gone)?;
        let space = self.spaces.get_mut(&space_id).ok_or_else(gone)?;
        let scope = CodeScope::at_place_of(&space.modules, place, &self.known);
        let say = compile_say(spec, &scope)?;
        let anchor = match space.modules.at(watch.range.start) {
            Some(module) => Anchor::Image(module.id(), module.to_image(watch.range.start)),
            None => Anchor::Address(watch.range.start),
        };
        space.stale = true;
        let breakpoint = self.breakpoints.get_mut(id).ok_or_else(gone)?;
        let location = breakpoint.next_location();
        breakpoint.notes = vec![KERNEL_NOTE.to_owned()];
        breakpoint.locations.push(Location {
            id: location,
            space: Some(space_id),
            anchor,
            addr: watch.range.start,
            function: None,
            file: None,
            line: None,
            enabled: true,
            leaving: false,
            say,
            watch: Some(Box::new(watch)),
            service: Err("not armed yet".into()),
        });
        Ok(location)
    }

    /// Keeps a watch on global data for the process to come, as gdb does. What
    /// lives in a frame cannot be named yet.
    fn watch_later(&mut self, id: BreakpointId, expression: &str) -> Result<(), CommandError> {
        let modules = self.program_alone();
        self.check_frameless_watch(&modules, expression).map_err(|error| CommandError {
            message: format!(
                "{} (while no program runs, only global data can be watched: use `start` first)",
                error.message
            ),
            ..error
        })?;
        if let Some(breakpoint) = self.breakpoints.get_mut(id) {
            breakpoint.notes = vec!["pending: no program runs; set when it does".to_owned()];
        }
        Ok(())
    }

    /// Finds what a watch is about in a process that came after the one it was
    /// set in or became another program, or once the library that holds it is
    /// loaded: the same place of the same image, and elsewhere what the
    /// expression means by then.
    pub(super) fn rebind_watch(&mut self, id: BreakpointId, pid: Pid, among: &Among) {
        let Some(here) = self.processes.get(&pid).map(|process| process.space) else { return };
        let Some(breakpoint) = self.breakpoints.get(id) else { return };
        let anchors: BTreeSet<Anchor> = breakpoint
            .locations
            .iter()
            .filter(|location| location.outlives_frames())
            .filter(|location| location.space.is_none() || among.covers(location.anchor))
            .map(|location| location.anchor)
            .collect();
        for anchor in anchors {
            if let Err(error) = self.rebind_watch_at(id, anchor, pid, here) {
                self.warn(format!("watch {id}: {error}"));
            }
        }
        let Some(breakpoint) = self.breakpoints.get_mut(id) else { return };
        breakpoint
            .locations
            .retain(|at| at.space.is_some() || !matches!(at.anchor, Anchor::Address(_)));
        let locations = &breakpoint.locations;
        if locations.is_empty() {
            self.look_again(id, pid, 0);
        } else if !locations.iter().any(|at| at.space == Some(here))
            && locations.iter().any(Location::outlives_frames)
        {
            // A frame's variable would be sought among globals of its name.
            self.find_anew(id, pid);
        }
    }

    /// Gives a watch the place that its expression means in another program
    /// than it was set in. As long as it means nothing there, it waits for the
    /// image that it was in.
    fn find_anew(&mut self, id: BreakpointId, pid: Pid) {
        let Some(breakpoint) = self.breakpoints.get(id) else { return };
        let spec = breakpoint.spec.clone();
        let Ok(watch) = self.frameless_watch(pid, &spec, 0) else { return };
        let at = watch.range.start;
        if let Err(error) = self.add_watch(id, pid, &spec, watch, None) {
            self.warn(format!("watch {id}: {error}"));
            return;
        }
        if let Some(breakpoint) = self.breakpoints.get_mut(id) {
            breakpoint.locations.retain(|location| location.space.is_some());
        }
        self.tell_where_it_watches(id, at, pid);
    }

    fn tell_where_it_watches(&self, id: BreakpointId, at: VirtAddr, pid: Pid) {
        let what = format!("watches {at} in process {pid}");
        self.emit(Event::BreakpointChanged { id, what, deleted: false });
    }

    /// Takes the location of a process that is gone, else makes one.
    fn rebind_watch_at(
        &mut self,
        id: BreakpointId,
        anchor: Anchor,
        pid: Pid,
        here: SpaceId,
    ) -> Result<(), CommandError> {
        let Some(space) = self.spaces.get_mut(&here) else { return Ok(()) };
        let Some(breakpoint) = self.breakpoints.get_mut(id) else { return Ok(()) };
        let Anchor::Image(module, place) = anchor else { return Ok(()) };
        let Some(module) = space.modules.by_id(module) else { return Ok(()) };
        let Some(mut location) = breakpoint.watch_to_rebind(anchor, here) else { return Ok(()) };
        let scope = CodeScope::at_place_of(&space.modules, None, &self.known);
        location.say = compile_say(&breakpoint.spec, &scope)?;
        let Some(watch) = &mut location.watch else { return Ok(()) };
        watch.range = AddrRange::sized(module.bias.to_virt(place), watch.range.len());
        location.addr = watch.range.start;
        let memory = SpaceMemory { target: &*self.target, pid, overlay: &space.overlay };
        if memory.read_exact(watch.range.start, &mut watch.last).is_ok() {
            watch.take_last();
            breakpoint.put_location(location);
            space.stale = true;
        }
        Ok(())
    }

    /// Looks again for the data of watches that have no place, now that the
    /// program has come further. Everything is stopped.
    pub(super) fn find_lost_watches(&mut self, pid: Pid, tid: Tid) {
        let lost: Vec<BreakpointId> = self
            .breakpoints
            .iter()
            .filter(|breakpoint| breakpoint.is_watch() && breakpoint.locations.is_empty())
            .map(|breakpoint| breakpoint.id)
            .collect();
        if lost.is_empty() {
            return;
        }
        let registers = self.program_registers(pid, tid);
        let fs_base = registers.map_or(0, |registers| registers.fs_base);
        for id in lost {
            self.look_again(id, pid, fs_base);
        }
    }

    /// Looks for the data of a watch that has no place, and says what came of
    /// it when that is news.
    fn look_again(&mut self, id: BreakpointId, pid: Pid, fs_base: u64) {
        let Some(breakpoint) = self.breakpoints.get(id) else { return };
        let spec = breakpoint.spec.clone();
        let found = self.frameless_watch(pid, &spec, fs_base).and_then(|watch| {
            let at = watch.range.start;
            self.add_watch(id, pid, &spec, watch, None).map(|_| at)
        });
        match found {
            Ok(at) => self.tell_where_it_watches(id, at, pid),
            Err(error) => self.note_lost(id, pid, &error),
        }
    }

    /// Says why a watch has no place, when that is news.
    fn note_lost(&mut self, id: BreakpointId, pid: Pid, error: &CommandError) {
        let Some(breakpoint) = self.breakpoints.get_mut(id) else { return };
        let why = &error.message;
        let what = format!("pending: {why}; looked for again at every stop of process {pid}");
        if !breakpoint.notes.contains(&what) {
            breakpoint.notes = vec![what.clone()];
            self.emit(Event::BreakpointChanged { id, what, deleted: false });
        }
    }

    /// The data that an expression means without any frame.
    fn frameless_watch(
        &self,
        pid: Pid,
        spec: &BreakpointSpec,
        fs_base: u64,
    ) -> Result<Watch, CommandError> {
        let gone = || CommandError::new("the process is gone");
        let Subject::Data { expression, access, .. } = &spec.subject else { return Err(gone()) };
        let space = self.space_of(pid).ok_or_else(gone)?;
        let memory = self.memory(pid).ok_or_else(gone)?;
        let WatchSubject { range, ty, bits, scope: _ } =
            self.frameless_subject(&space.modules, &memory, fs_base, expression)?;
        check_length(expression, range)?;
        let mut last = vec![0; usize::try_from(range.len()).unwrap_or(0)];
        let read = memory.read_some(range.start, &mut last);
        // What is at a plain address is watched from before it is there.
        let constant = || {
            let (none, nothing) = (Modules::default(), Bytes::default());
            self.frameless_subject(&none, &nothing, 0, expression).is_ok()
        };
        if read < last.len() {
            if !constant() {
                let at = range.start;
                let why = format!("`{expression}` would be at {at}, where there is no memory");
                return Err(CommandError::new(why));
            }
            last.clear();
        }
        let (access, scope, paired) = (*access, None, Vec::new());
        let mut watch = Watch { range, access, ty, bits, last, scope, paired };
        watch.take_last();
        Ok(watch)
    }
}

fn check_length(expression: &str, range: AddrRange) -> Result<(), CommandError> {
    if range.is_empty() || range.len() > MAX_WATCHED {
        return Err(CommandError::new(format!(
            "`{expression}` has {} bytes; between 1 and {MAX_WATCHED} can be watched",
            range.len()
        )));
    }
    Ok(())
}
