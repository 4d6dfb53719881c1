//! Setting, changing and removing breakpoints. The program may run meanwhile:
//! it is held for as long as the change takes.

use std::mem;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use trapline_core::breakpoint::{BreakpointSpec, Mechanism, Subject, Tally};
use trapline_core::{BreakpointId, Pid, Tid};

use super::binding::{Ahead, Asked};
use super::run::Verdict;
use super::{Motion, Session};
use crate::command::{BreakpointInfo, Change, CommandError, JumpInfo, Reply, Selection};
use crate::event::{Event, StopReason};
use crate::parallel;
use crate::space::{Modules, Purpose};

impl Session {
    /// Does something with everything stopped and lets it run again after.
    pub(super) fn while_held<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let ran = self.motion == Motion::Running;
        let began = Instant::now();
        self.hold();
        let result = work(self);
        if ran && !self.deliver() {
            self.let_run();
            let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.emit(Event::Held { nanos });
        }
        result
    }

    /// Answers `break`, `watch` and their kin.
    pub(super) fn set_breakpoint(&mut self, spec: BreakpointSpec) -> Result<Reply, CommandError> {
        self.source_ages.clear();
        let modules = self.only_modules();
        let found = Sighted::of(spec, modules.as_ref())?;
        let set = self.while_held(|session| {
            let Sighted { asked, ahead } = found.among(session.only_modules().as_ref());
            session.set_held(asked, ahead)
        });
        set.map(|info| Reply::Breakpoint(Box::new(info)))
    }

    /// Sets breakpoints in one hold, up to the first that cannot be set. To look
    /// for so many places is most of the work, and needs nothing but the images:
    /// a program that runs goes on meanwhile.
    pub(super) fn set_breakpoints(
        &mut self,
        specs: Vec<BreakpointSpec>,
        set: &mpsc::Sender<Vec<BreakpointInfo>>,
    ) -> Result<Reply, CommandError> {
        self.source_ages.clear();
        let modules = self.only_modules();
        let look_for = |spec| Sighted::of(spec, modules.as_ref());
        let mut told = Told { set, infos: Vec::new(), refused: None };
        if self.motion == Motion::Running {
            let mut all = Vec::with_capacity(specs.len());
            parallel::in_order(specs, look_for, |found| {
                all.push(found);
                ControlFlow::Continue(())
            });
            self.while_held(|session| {
                let now = session.only_modules();
                let _ = all.into_iter().try_for_each(|found| {
                    told.set(session, found.map(|found| found.among(now.as_ref())))
                });
            });
        } else {
            parallel::in_order(specs, look_for, |found| told.set(self, found));
        }
        told.send();
        told.refused.map_or(Ok(Reply::Done), Err)
    }

    /// Sets a breakpoint whose places may have been looked for `ahead`.
    fn set_held(
        &mut self,
        asked: Asked,
        ahead: Option<Ahead<'_>>,
    ) -> Result<BreakpointInfo, CommandError> {
        let Asked { spec, sought } = self.settled(asked)?;
        let decided = Decided::of(&spec);
        let id = self.breakpoints.add(spec, sought);
        let bound = self.bind_watch(id).and_then(|()| self.bind_new(id, ahead));
        if let Err(error) = bound {
            self.breakpoints.unmake(id);
            return Err(error);
        }
        self.replan_for(id);
        match decided {
            Decided::Later => {}
            Decided::ByMemory => self.refuse_without_code(id)?,
            Decided::ByPlanner => self.arm_at_once(id)?,
        }
        let info = self.breakpoints.info(id);
        info.ok_or_else(|| CommandError::new("the breakpoint is gone already"))
    }

    /// Takes a breakpoint back if there is no code at its places.
    fn refuse_without_code(&mut self, id: BreakpointId) -> Result<(), CommandError> {
        let Some(why) = self.lacks_code(id) else { return Ok(()) };
        self.discard(id);
        Err(CommandError::new(why))
    }

    /// Arms a breakpoint while the user waits, or takes it back.
    fn arm_at_once(&mut self, id: BreakpointId) -> Result<(), CommandError> {
        let refused = self.sync_quietly();
        if let Some(why) = self.unserved(id) {
            self.discard(id);
            self.sync_sites();
            return Err(CommandError::new(&*why));
        }
        for (location, why) in refused {
            self.warn(format!("breakpoint {}: {why}", location.breakpoint));
        }
        Ok(())
    }

    /// Marks the spaces that a breakpoint has locations in.
    pub(super) fn replan_for(&mut self, id: BreakpointId) {
        let Some(breakpoint) = self.breakpoints.get(id) else { return };
        let spaces: Vec<_> = breakpoint.locations.iter().filter_map(|l| l.space).collect();
        for space in spaces {
            if let Some(space) = self.spaces.get_mut(&space) {
                space.stale = true;
            }
        }
    }

    /// Why a breakpoint that wants a debug register has none.
    fn unserved(&self, id: BreakpointId) -> Option<Arc<str>> {
        let breakpoint = self.breakpoints.get(id)?;
        breakpoint
            .locations
            .iter()
            .filter(|location| location.space.is_some())
            .find_map(|location| location.service.as_ref().err().cloned())
    }

    /// Takes a breakpoint out as if it had never been set.
    fn discard(&mut self, id: BreakpointId) {
        self.drop_scope_ends(id);
        self.replan_for(id);
        self.breakpoints.unmake(id);
    }

    fn drop_scope_ends(&mut self, id: BreakpointId) {
        self.drop_internal(|internal| {
            matches!(internal.purpose, Purpose::ScopeEnd { location, .. } if location.breakpoint == id)
        });
    }

    /// Answers commands that change one aspect of a breakpoint.
    pub(super) fn change_breakpoint(
        &mut self,
        id: BreakpointId,
        change: Change,
    ) -> Result<Reply, CommandError> {
        self.while_held(|session| session.change_held(id, change))
    }

    fn change_held(&mut self, id: BreakpointId, change: Change) -> Result<Reply, CommandError> {
        self.count_everywhere();
        self.take_credits_back(id);
        self.replan_for(id);
        let missing = self.breakpoints.missing(id);
        let breakpoint = self.breakpoints.get_mut(id).ok_or_else(|| CommandError::new(missing))?;
        let before = breakpoint.spec.clone();
        let spec = Arc::make_mut(&mut breakpoint.spec);
        let mut compiled = true;
        match change {
            Change::Condition(text) => spec.condition = text,
            Change::Changed(text) => spec.changed = text,
            Change::Filter(text) => spec.filter = text,
            Change::Log(text) => spec.log = text,
            other => {
                compiled = false;
                apply_plain(other, spec, &mut breakpoint.tally);
            }
        }
        if compiled && let Err(error) = self.recompile(id) {
            if let Some(breakpoint) = self.breakpoints.get_mut(id) {
                breakpoint.spec = before;
            }
            return Err(error);
        }
        self.breakpoint_reply(id)
    }

    fn breakpoint_reply(&self, id: BreakpointId) -> Result<Reply, CommandError> {
        self.breakpoints
            .info(id)
            .map(|info| Reply::Breakpoint(Box::new(info)))
            .ok_or_else(|| CommandError::new(self.breakpoints.missing(id)))
    }

    /// Answers `delete`.
    pub(super) fn delete(&mut self, what: &Selection) -> Result<Reply, CommandError> {
        let ids = self.breakpoints.select(what).map_err(CommandError::new)?;
        self.while_held(|session| {
            for id in ids {
                session.drop_scope_ends(id);
                session.replan_for(id);
                session.breakpoints.remove(id);
            }
        });
        Ok(Reply::Done)
    }

    /// Answers `enable` and `disable`.
    pub(super) fn enable(
        &mut self,
        what: &Selection,
        enabled: bool,
    ) -> Result<Reply, CommandError> {
        let ids = self.breakpoints.select(what).map_err(CommandError::new)?;
        if let Selection::Location(location) = what
            && self.breakpoints.location_mut(*location).is_none()
        {
            return Err(CommandError::new(format!("No breakpoint location {location}.")));
        }
        self.while_held(|session| {
            for id in ids {
                session.enable_one(id, what, enabled);
                session.replan_for(id);
            }
            session.refresh_watches();
            session.sync_sites();
        });
        Ok(Reply::Done)
    }

    fn enable_one(&mut self, id: BreakpointId, what: &Selection, enabled: bool) {
        let Some(breakpoint) = self.breakpoints.get_mut(id) else { return };
        match what {
            Selection::Location(only) => {
                for location in &mut breakpoint.locations {
                    if location.id == *only {
                        location.enabled = enabled;
                    }
                }
            }
            _ => Arc::make_mut(&mut breakpoint.spec).enabled = enabled,
        }
    }

    /// Answers `info breakpoints`.
    pub(super) fn breakpoint_table(&mut self) -> Reply {
        if self.motion == Motion::Held {
            self.sync_sites();
        }
        self.count_everywhere();
        let ids = self.breakpoints.ids();
        let rows = ids.into_iter().filter_map(|id| {
            let mut info = self.breakpoints.info(id)?;
            for (row, location) in
                info.locations.iter_mut().zip(&self.breakpoints.get(id)?.locations)
            {
                row.pid = self.process_in(location.space);
                row.jump = self.jump_info(location.space, location.addr);
            }
            Some(info)
        });
        Reply::Breakpoints(rows.collect())
    }

    /// Answers which breakpoints never had a location.
    pub(super) fn never_bound(&self) -> Reply {
        let unbound = self.breakpoints.iter().filter(|breakpoint| !breakpoint.was_bound());
        let rows = unbound.filter_map(|breakpoint| self.breakpoints.info(breakpoint.id));
        Reply::Breakpoints(rows.collect())
    }

    fn jump_info(
        &self,
        space: Option<crate::space::SpaceId>,
        at: trapline_core::VirtAddr,
    ) -> Option<JumpInfo> {
        let (_, patch) = self.spaces.get(&space?)?.jump_at(at)?;
        Some(JumpInfo { tactic: patch.tactic, bytes: patch.len })
    }

    fn process_in(&self, space: Option<crate::space::SpaceId>) -> Option<Pid> {
        self.processes
            .values()
            .find(|process| process.is_debuggee() && Some(process.space) == space)
            .map(|process| process.pid)
    }

    /// What the breakpoints of a stop ask for: their commands, and whether all
    /// of them want to go on. Temporary ones are gone after this.
    pub(super) fn finish_stops(&mut self, reasons: &[StopReason]) -> (Vec<String>, bool) {
        let mut commands = Vec::new();
        let mut auto_continue = !reasons.is_empty();
        for reason in reasons {
            let (StopReason::Breakpoint { id, .. } | StopReason::Data { id, .. }) = reason else {
                auto_continue = false;
                continue;
            };
            let Some(breakpoint) = self.breakpoints.get(*id) else { continue };
            commands.extend(breakpoint.spec.commands.iter().cloned());
            auto_continue &= breakpoint.spec.auto_continue;
            if breakpoint.spec.temporary {
                self.retire(*id);
            }
        }
        (commands, auto_continue)
    }

    fn retire(&mut self, id: BreakpointId) {
        self.drop_scope_ends(id);
        self.replan_for(id);
        self.breakpoints.remove(id);
        self.emit(Event::BreakpointChanged {
            id,
            what: "temporary breakpoint deleted after its stop".to_owned(),
            deleted: true,
        });
    }

    /// A place of our own was reached.
    pub(super) fn judge_internal(
        &mut self,
        pid: Pid,
        tid: Tid,
        number: u32,
        registers: &trapline_core::x64::Registers,
    ) -> Verdict {
        let purpose = self
            .space_of(pid)
            .and_then(|space| space.internal.iter().find(|internal| internal.number == number))
            .map(|internal| internal.purpose);
        match purpose {
            Some(Purpose::Libraries) => {
                self.chores.push(super::resume::Chore::Libraries { pid });
                Verdict::Stay
            }
            Some(Purpose::Course { tid: whose, halt }) if whose == tid => {
                self.judge_halt(pid, tid, halt)
            }
            Some(Purpose::Return { tid: whose, stack })
                if whose == tid && registers.rsp() >= stack =>
            {
                self.returned(pid, tid)
            }
            Some(Purpose::ScopeEnd { location, tid: whose, stack })
                if whose == tid && registers.rsp() >= stack =>
            {
                match self.end_scope(location) {
                    Some(reason) => Verdict::Report(vec![reason]),
                    None => Verdict::GoOn,
                }
            }
            _ => Verdict::GoOn,
        }
    }
}

/// When it turns out whether a breakpoint can be had at all.
enum Decided {
    /// When the program is let run: places that the symbols name are code, and
    /// are armed together.
    Later,
    /// While the user waits, by whether there is code at an address.
    ByMemory,
    /// While the user waits, by whether there is a debug register for it.
    ByPlanner,
}

impl Decided {
    fn of(spec: &BreakpointSpec) -> Self {
        match &spec.subject {
            Subject::Data { .. } => Self::ByPlanner,
            Subject::Code { mechanism: Some(Mechanism::Hardware), .. } => Self::ByPlanner,
            Subject::Code { location, .. } if location.trim_start().starts_with('*') => {
                Self::ByMemory
            }
            Subject::Code { .. } | Subject::Functions { .. } => Self::Later,
        }
    }
}

/// A breakpoint as it was asked for, and where its places are.
struct Sighted<'a> {
    asked: Asked,
    ahead: Option<Ahead<'a>>,
}

impl<'a> Sighted<'a> {
    fn of(spec: BreakpointSpec, modules: Option<&'a Modules>) -> Result<Self, CommandError> {
        let asked = Asked::read(spec)?;
        let ahead = modules.and_then(|modules| asked.search_ahead(modules));
        Ok(Self { asked, ahead })
    }

    /// The same; what was found is void when other images are there by now.
    fn among(self, modules: Option<&Modules>) -> Self {
        let ahead = self.ahead.filter(|ahead| ahead.is_of(modules));
        Self { ahead, ..self }
    }
}

/// Tells of breakpoints that were set, some at a time: whoever shows them has
/// something to do early, and is not woken for each.
struct Told<'a> {
    set: &'a mpsc::Sender<Vec<BreakpointInfo>>,
    infos: Vec<BreakpointInfo>,
    /// Why one could not be set, behind which none is.
    refused: Option<CommandError>,
}

impl Told<'_> {
    const AT_A_TIME: usize = 256;

    fn set(
        &mut self,
        session: &mut Session,
        found: Result<Sighted<'_>, CommandError>,
    ) -> ControlFlow<()> {
        match found.and_then(|found| session.set_held(found.asked, found.ahead)) {
            Ok(info) => self.add(info),
            Err(error) => self.refused = Some(error),
        }
        if self.refused.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn add(&mut self, info: BreakpointInfo) {
        self.infos.push(info);
        if self.infos.len() == Self::AT_A_TIME {
            self.send();
        }
    }

    fn send(&mut self) {
        // A front end that went away does not want to hear of them.
        let _ = self.set.send(mem::take(&mut self.infos));
    }
}

/// The changes that need nothing compiled.
fn apply_plain(change: Change, spec: &mut BreakpointSpec, tally: &mut Tally) {
    match change {
        Change::Hits(rule) => spec.hits = rule,
        Change::Ignore(count) => spec.ignore = count,
        Change::Commands(commands) => spec.commands = commands,
        Change::Names(names) => spec.names = names,
        Change::Temporary(on) => spec.temporary = on,
        Change::AutoContinue(on) => spec.auto_continue = on,
        Change::ResetTally => *tally = Tally::default(),
        Change::Condition(_) | Change::Changed(_) | Change::Filter(_) | Change::Log(_) => {}
    }
}
