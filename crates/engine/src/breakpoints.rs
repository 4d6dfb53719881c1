//! The table of logical breakpoints: what was asked, where it is, what came
//! of it. Finding places is left to `session::binding`, deciding at a pass to
//! `session::hits`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use trapline_core::breakpoint::{BreakpointSpec, Mechanism, Subject, Tally};
use trapline_core::plan::{InProcess, Owner, PairedWrite, Want, WantWhat};
use trapline_core::types::{BitField, Type};
use trapline_core::x64::debug::Access;
use trapline_core::{AddrRange, BreakpointId, ImageAddr, LocationId, ModuleId, Tid, VirtAddr};
use trapline_expr::Program;
use trapline_expr::ir::Object;

use crate::command::{BreakpointInfo, LocationInfo, Selection};
use crate::event::StopReason;
use crate::log::Log;
use crate::place::{Effort, Sought};
use crate::service::{Served, Service};
use crate::space::{Asked, SpaceId};

/// All breakpoints of a session, by number.
#[derive(Default)]
pub(crate) struct Breakpoints {
    /// That with number 1 first. Numbers are given once: what is deleted leaves
    /// a gap.
    table: Vec<Option<Box<Breakpoint>>>,
}

/// A logical breakpoint.
pub(crate) struct Breakpoint {
    pub(crate) id: BreakpointId,
    /// Shared with whoever binds it.
    pub(crate) spec: Arc<BreakpointSpec>,
    /// What the subject asks to be found.
    pub(crate) sought: Arc<Sought>,
    pub(crate) tally: Tally,
    pub(crate) locations: Vec<Location>,
    pub(crate) last_index: u32,
    pub(crate) notes: Vec<String>,
    /// Where locations were that the user disabled and that are gone: they are
    /// disabled when they come again.
    disabled: Vec<Anchor>,
    /// The images that it has been looked up in, and how far: what they have
    /// for it is among its locations.
    pub(crate) searched: Vec<(ModuleId, Effort)>,
    /// Whether the user has been told that its condition fails.
    pub(crate) error_told: bool,
    /// Whether the user has been told that it does not follow into children.
    pub(crate) left_behind_told: bool,
}

/// One place of a breakpoint.
pub(crate) struct Location {
    pub(crate) id: LocationId,
    /// The space it is armed in; `None` while no process has it.
    pub(crate) space: Option<SpaceId>,
    pub(crate) anchor: Anchor,
    /// Where it is; before the program runs, where the linker put it.
    pub(crate) addr: VirtAddr,
    pub(crate) function: Option<Arc<str>>,
    pub(crate) file: Option<Arc<str>>,
    pub(crate) line: Option<u32>,
    pub(crate) enabled: bool,
    /// Whether a client has taken it out: it says nothing any more, and goes
    /// when threads run.
    pub(crate) leaving: bool,
    pub(crate) say: Say,
    pub(crate) watch: Option<Box<Watch>>,
    pub(crate) service: Service,
}

/// What a location is tied to, so that it is known again after a restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Anchor {
    /// A place in an image.
    Image(ModuleId, ImageAddr),
    /// A bare address.
    Address(VirtAddr),
}

/// What a location asks at a pass, compiled for its place.
#[derive(Default)]
pub(crate) struct Say {
    pub(crate) filter: Option<Arc<Program>>,
    pub(crate) condition: Option<Arc<Program>>,
    pub(crate) changed: Option<Arc<Program>>,
    pub(crate) log: Option<Log>,
    /// Whether addresses were compiled in, which are right in one memory only.
    pub(crate) rooted: bool,
    /// Bytes of the last visit, for `-changed` and `$_changed`.
    pub(crate) memory: Vec<Option<Box<[u8]>>>,
    pub(crate) last_value: Option<Box<[u8]>>,
}

impl Say {
    /// The same questions, with no visit remembered.
    fn copy(&self) -> Self {
        Self {
            filter: self.filter.clone(),
            condition: self.condition.clone(),
            changed: self.changed.clone(),
            log: self.log.clone(),
            rooted: self.rooted,
            memory: Vec::new(),
            last_value: None,
        }
    }
}

/// The data side of a watch.
pub(crate) struct Watch {
    pub(crate) range: AddrRange,
    pub(crate) access: Access,
    /// The value's type, when the subject is an expression.
    pub(crate) ty: Option<Arc<Type>>,
    /// For a bit-field: which bits of the number there.
    pub(crate) bits: Option<WatchedBits>,
    /// Bytes at the last look, of a bit-field those of its value.
    pub(crate) last: Vec<u8>,
    /// The frame it belongs to; the watch ends with it.
    pub(crate) scope: Option<WatchScope>,
    /// Slots beside the read-write ones that match writes only: a hit of both
    /// was a write.
    pub(crate) paired: Vec<PairedWrite>,
}

/// A bit-field that is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WatchedBits {
    pub(crate) field: BitField,
    pub(crate) signed: bool,
}

impl WatchedBits {
    /// The bit-field that an expression means.
    pub(crate) fn of(program: &Program) -> Option<Self> {
        match program.object {
            Object::Memory { bits: Some((field, signed)), .. } => Some(Self { field, signed }),
            _ => None,
        }
    }
}

impl Watch {
    /// Makes of the bytes that are there those that are watched.
    pub(crate) fn take(&self, bytes: &mut [u8]) {
        if let Some(WatchedBits { field, signed }) = self.bits {
            trapline_expr::take_bits_in_place(bytes, field, signed);
        }
    }

    /// The same for the bytes that were just read as the last look.
    pub(crate) fn take_last(&mut self) {
        let mut last = std::mem::take(&mut self.last);
        self.take(&mut last);
        self.last = last;
    }

    /// The same watch in another memory, with no slots there yet.
    fn copy(&self) -> Self {
        Self {
            range: self.range,
            access: self.access,
            ty: self.ty.clone(),
            bits: self.bits,
            last: self.last.clone(),
            scope: self.scope,
            paired: Vec::new(),
        }
    }
}

/// The frame that a watched local lives in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WatchScope {
    pub(crate) tid: Tid,
    pub(crate) cfa: u64,
    /// The start of its function.
    pub(crate) function: Option<VirtAddr>,
}

impl Breakpoints {
    pub(crate) fn add(&mut self, spec: BreakpointSpec, sought: Sought) -> BreakpointId {
        let id = BreakpointId::new(u32::try_from(self.table.len() + 1).unwrap_or(u32::MAX));
        let breakpoint = Breakpoint {
            id,
            spec: Arc::new(spec),
            sought: Arc::new(sought),
            tally: Tally::default(),
            locations: Vec::new(),
            last_index: 0,
            notes: Vec::new(),
            disabled: Vec::new(),
            searched: Vec::new(),
            error_told: false,
            left_behind_told: false,
        };
        self.table.push(Some(Box::new(breakpoint)));
        id
    }

    pub(crate) fn get(&self, id: BreakpointId) -> Option<&Breakpoint> {
        self.table.get(slot(id)?)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: BreakpointId) -> Option<&mut Breakpoint> {
        self.table.get_mut(slot(id)?)?.as_deref_mut()
    }

    pub(crate) fn remove(&mut self, id: BreakpointId) -> Option<Box<Breakpoint>> {
        self.table.get_mut(slot(id)?)?.take()
    }

    /// Takes back the number of the newest breakpoint, which could not be set.
    pub(crate) fn unmake(&mut self, id: BreakpointId) {
        self.remove(id);
        self.table.pop_if(|newest| newest.is_none());
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Breakpoint> {
        self.table.iter().flatten().map(|breakpoint| &**breakpoint)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Breakpoint> {
        self.table.iter_mut().flatten().map(|breakpoint| &mut **breakpoint)
    }

    pub(crate) fn ids(&self) -> Vec<BreakpointId> {
        self.iter().map(|breakpoint| breakpoint.id).collect()
    }

    pub(crate) fn location_mut(
        &mut self,
        id: LocationId,
    ) -> Option<(&mut Arc<BreakpointSpec>, &mut Tally, &mut bool, &mut Location)> {
        let breakpoint = self.get_mut(id.breakpoint)?;
        // They are numbered in the order they stand in; there may be very many.
        let at = breakpoint.locations.binary_search_by_key(&id, |location| location.id).ok()?;
        let location = breakpoint.locations.get_mut(at)?;
        let Breakpoint { spec, tally, error_told, .. } = breakpoint;
        Some((spec, tally, error_told, location))
    }

    /// The breakpoints a selection means, or a sentence about the one that is
    /// not there.
    pub(crate) fn select(&self, what: &Selection) -> Result<Vec<BreakpointId>, String> {
        match what {
            Selection::All => Ok(self.ids()),
            Selection::Breakpoints(ids) => match ids.iter().find(|id| self.get(**id).is_none()) {
                Some(missing) => Err(self.missing(*missing)),
                None => Ok(ids.clone()),
            },
            Selection::Location(location) => match self.get(location.breakpoint) {
                Some(_) => Ok(vec![location.breakpoint]),
                None => Err(self.missing(location.breakpoint)),
            },
            Selection::Named(name) => {
                let named: Vec<BreakpointId> = self
                    .iter()
                    .filter(|breakpoint| breakpoint.spec.names.contains(name))
                    .map(|breakpoint| breakpoint.id)
                    .collect();
                if named.is_empty() {
                    return Err(format!("no breakpoint is named `{name}`"));
                }
                Ok(named)
            }
        }
    }

    pub(crate) fn missing(&self, id: BreakpointId) -> String {
        match self.iter().next_back() {
            Some(last) => format!("No breakpoint number {id}; the highest is {}.", last.id),
            None => format!("No breakpoint number {id}; there are none."),
        }
    }

    /// What the locations of a space need of it.
    pub(crate) fn wants(
        &self,
        space: SpaceId,
        deciding: Deciding<'_>,
    ) -> impl Iterator<Item = Want> {
        self.iter().filter(|breakpoint| breakpoint.spec.enabled).flat_map(move |breakpoint| {
            breakpoint
                .locations
                .iter()
                .filter(move |location| location.enabled && location.space == Some(space))
                .map(move |location| location.want(&breakpoint.spec, deciding))
        })
    }

    /// What an owner asks at a pass.
    pub(crate) fn asked(&self, owner: Owner) -> Asked {
        let breakpoint = match owner {
            Owner::Location(id) => self.get(id.breakpoint),
            Owner::Internal(_) => None,
        };
        let say = match owner {
            Owner::Location(id) => breakpoint.and_then(|it| it.location(id)).map(|it| &it.say),
            Owner::Internal(_) => None,
        };
        let spec = breakpoint.map(|breakpoint| &breakpoint.spec);
        Asked {
            owner,
            filter: say.and_then(|say| say.filter.clone()),
            condition: say.and_then(|say| say.condition.clone()),
            changed: say.and_then(|say| say.changed.clone()),
            counts: spec.is_some_and(|spec| spec.hits.is_some() || spec.ignore > 0),
        }
    }

    /// Notes what serves a location; the answer is a refusal that is news.
    pub(crate) fn set_service(
        &mut self,
        id: LocationId,
        service: Service,
    ) -> Option<(LocationId, Arc<str>)> {
        let (.., location) = self.location_mut(id)?;
        let before = std::mem::replace(&mut location.service, service);
        let why = location.service.as_ref().err()?;
        (before.as_ref().err() != Some(why)).then(|| (id, why.clone()))
    }

    /// Remembers which slots tell a watch's reads from its writes.
    pub(crate) fn set_paired(&mut self, id: LocationId, paired: &[PairedWrite]) {
        if let Some((.., location)) = self.location_mut(id)
            && let Some(watch) = &mut location.watch
        {
            watch.paired = paired.to_vec();
        }
    }

    /// The breakpoints with a code location at an address of a space.
    pub(crate) fn ids_at(&self, space: SpaceId, addr: VirtAddr) -> Vec<BreakpointId> {
        self.iter()
            .filter(|breakpoint| {
                breakpoint.locations.iter().any(|location| {
                    location.watch.is_none()
                        && location.space == Some(space)
                        && location.addr == addr
                })
            })
            .map(|breakpoint| breakpoint.id)
            .collect()
    }

    /// Drops the locations at an address whose memory is gone.
    pub(crate) fn unbind_at(&mut self, space: SpaceId, addr: VirtAddr) {
        for breakpoint in self.iter_mut() {
            breakpoint.drop_locations(|it| it.space == Some(space) && it.addr == addr);
        }
    }

    /// Drops the locations at an address that a trap serves, since it cannot any
    /// more. Returns their breakpoints.
    pub(crate) fn withdraw_at(&mut self, space: SpaceId, addr: VirtAddr) -> Vec<BreakpointId> {
        let served = |location: &Location| {
            location.space == Some(space)
                && location.addr == addr
                && location.watch.is_none()
                && matches!(location.service, Ok(Served { mechanism: Mechanism::Trap, .. }))
        };
        let breakpoints = self.iter_mut();
        breakpoints.filter_map(|one| one.drop_locations(served).then_some(one.id)).collect()
    }

    /// Drops the locations in a range of a space that is no longer mapped; data
    /// watched there waits for its image to be loaded again. Returns the
    /// breakpoints that lost one.
    pub(crate) fn unbind_range(&mut self, space: SpaceId, range: AddrRange) -> Vec<BreakpointId> {
        let inside = |location: &Location| {
            location.space == Some(space)
                && location.watch.is_none()
                && range.contains(location.addr)
        };
        let mut changed = Vec::new();
        for breakpoint in self.iter_mut() {
            let unwatched = breakpoint.unbind_data(space, range);
            if breakpoint.drop_locations(inside) || unwatched {
                changed.push(breakpoint.id);
            }
        }
        changed
    }

    /// Unties the locations of a space that is gone. Those in images stay, to
    /// be found again; bare addresses and data lose their meaning.
    pub(crate) fn unbind_space(&mut self, space: SpaceId) {
        for breakpoint in self.iter_mut() {
            for location in &mut breakpoint.locations {
                if location.space == Some(space) {
                    location.space = None;
                    // Refused again, it is told again.
                    location.service = location.service.clone().or_else(|_| idle());
                }
            }
            if breakpoint.locations.len() < 2 {
                continue;
            }
            let bound = breakpoint.locations.iter().filter(|location| location.space.is_some());
            let mut seen: BTreeSet<Anchor> = bound.map(|location| location.anchor).collect();
            breakpoint
                .locations
                .retain(|location| location.space.is_some() || seen.insert(location.anchor));
        }
    }

    /// Gives a followed child's memory the same locations as its parent's, but
    /// for watches on frames: those are the answer, where it is news.
    pub(crate) fn copy_locations(
        &mut self,
        from: SpaceId,
        to: SpaceId,
    ) -> Vec<(BreakpointId, String)> {
        let mut left = Vec::new();
        for breakpoint in self.iter_mut() {
            let here = |location: &&Location| location.space == Some(from);
            let (free, framed): (Vec<&Location>, Vec<&Location>) =
                breakpoint.locations.iter().filter(here).partition(|it| it.outlives_frames());
            if let (Subject::Data { expression, .. }, false, false) =
                (&breakpoint.spec.subject, framed.is_empty(), breakpoint.left_behind_told)
            {
                left.push((breakpoint.id, expression.clone()));
            }
            let copies: Vec<Location> = free.into_iter().map(|it| it.copy_for(to)).collect();
            breakpoint.left_behind_told |= !framed.is_empty();
            for mut copy in copies {
                copy.id = breakpoint.next_location();
                breakpoint.locations.push(copy);
            }
        }
        left
    }

    /// Whether a report is still about something that exists.
    pub(crate) fn still_wants(&self, reason: &StopReason) -> bool {
        match reason {
            StopReason::Breakpoint { id, .. }
            | StopReason::Data { id, .. }
            | StopReason::ConditionError { id, .. } => {
                self.get(*id).is_some_and(|breakpoint| !breakpoint.is_leaving())
            }
            _ => true,
        }
    }

    pub(crate) fn info(&self, id: BreakpointId) -> Option<BreakpointInfo> {
        let breakpoint = self.get(id)?;
        Some(BreakpointInfo {
            id,
            spec: breakpoint.spec.clone(),
            tally: breakpoint.tally,
            locations: breakpoint.locations.iter().map(|l| l.info(&breakpoint.spec)).collect(),
            notes: breakpoint.notes.clone(),
        })
    }
}

/// Where a number stands in the table.
fn slot(id: BreakpointId) -> Option<usize> {
    usize::try_from(id.get()).ok()?.checked_sub(1)
}

impl Breakpoint {
    /// The location of a number.
    pub(crate) fn location(&self, id: LocationId) -> Option<&Location> {
        // They are numbered in the order they stand in; there may be very many.
        let at = self.locations.binary_search_by_key(&id, |location| location.id).ok()?;
        self.locations.get(at)
    }

    /// Whether a client has taken it out.
    fn is_leaving(&self) -> bool {
        !self.locations.is_empty() && self.locations.iter().all(|location| location.leaving)
    }

    /// Whether it ever had a location.
    pub(crate) fn was_bound(&self) -> bool {
        self.last_index > 0
    }

    /// Whether it is about data rather than code.
    pub(crate) fn is_watch(&self) -> bool {
        matches!(self.spec.subject, Subject::Data { .. })
    }

    /// A location for the memory `space` of what is watched at `anchor`: the
    /// one of a memory that is gone, else one beside the others. `None` when
    /// there is one already.
    pub(crate) fn watch_to_rebind(&mut self, anchor: Anchor, space: SpaceId) -> Option<Location> {
        let same = || self.locations.iter().filter(|location| location.anchor == anchor);
        if same().any(|location| location.space == Some(space)) {
            return None;
        }
        if let Some(homeless) = same().find(|location| location.space.is_none()) {
            return Some(Location { enabled: homeless.enabled, ..homeless.copy_for(space) });
        }
        let mut location = same().next()?.copy_for(space);
        location.id = self.next_location();
        Some(location)
    }

    /// Whether it is bound in another memory than `space`.
    pub(crate) fn is_elsewhere(&self, space: SpaceId) -> bool {
        self.locations.iter().any(|location| location.space.is_some_and(|other| other != space))
    }

    /// Whether it has been looked up in an image at least so far.
    pub(crate) fn has_searched(&self, module: ModuleId, effort: Effort) -> bool {
        is_searched(&self.searched, module, effort)
    }

    /// Notes where it has been looked up.
    pub(crate) fn note_searched(&mut self, looked: Vec<(ModuleId, Effort)>) {
        for (module, effort) in looked {
            match self.searched.iter_mut().find(|(known, _)| *known == module) {
                Some((_, far)) => *far = effort.max(*far),
                None => self.searched.push((module, effort)),
            }
        }
    }

    /// Unties the data it watches in a range; whether there is any.
    fn unbind_data(&mut self, space: SpaceId, range: AddrRange) -> bool {
        let mut any = false;
        for location in &mut self.locations {
            let here = location.space == Some(space) && range.contains(location.addr);
            if here && location.watch.is_some() {
                location.space = None;
                location.service = Err("what held it was unloaded".into());
                any = true;
            }
        }
        any
    }

    /// Drops locations; whether there were any. What is loaded again is looked
    /// through again.
    fn drop_locations(&mut self, gone: impl Fn(&Location) -> bool) -> bool {
        let before = self.locations.len();
        let disabled = &mut self.disabled;
        self.locations.retain(|location| {
            let stays = !gone(location);
            if !stays && !location.enabled && !disabled.contains(&location.anchor) {
                disabled.push(location.anchor);
            }
            stays
        });
        let dropped = self.locations.len() != before;
        if dropped {
            self.searched.clear();
        }
        dropped
    }

    /// Whether a new location at a place is enabled.
    pub(crate) fn enables(&mut self, anchor: Anchor) -> bool {
        let before = self.disabled.len();
        self.disabled.retain(|disabled| *disabled != anchor);
        self.disabled.len() == before
    }

    /// The place that an address meant when it was first known, for processes
    /// that come later: registers and pointers mean something else by then.
    pub(crate) fn place_kept(&self) -> Option<Anchor> {
        self.locations.first().map(|location| location.anchor)
    }

    /// Forgets the locations that no process has, and where it was looked up.
    pub(crate) fn forget_homeless(&mut self) {
        self.locations.retain(|location| location.space.is_some());
        self.searched.clear();
    }

    /// Puts a location where its number belongs: they are looked up by it.
    pub(crate) fn put_location(&mut self, location: Location) {
        self.locations.retain(|it| it.id != location.id);
        let at = self.locations.partition_point(|it| it.id < location.id);
        self.locations.insert(at, location);
    }

    pub(crate) fn next_location(&mut self) -> LocationId {
        self.last_index += 1;
        LocationId { breakpoint: self.id, index: self.last_index }
    }
}

/// Whether an image is among those looked in, at least so far.
pub(crate) fn is_searched(
    searched: &[(ModuleId, Effort)],
    module: ModuleId,
    effort: Effort,
) -> bool {
    searched.iter().any(|(known, far)| *known == module && *far >= effort)
}

/// What serves a location while no process has it.
pub(crate) fn idle() -> Service {
    static IDLE: LazyLock<Arc<str>> = LazyLock::new(|| "the program is not running".into());
    Err(IDLE.clone())
}

impl Location {
    /// The same location in a copy of its memory.
    fn copy_for(&self, space: SpaceId) -> Self {
        Self {
            id: self.id,
            space: Some(space),
            anchor: self.anchor,
            addr: self.addr,
            function: self.function.clone(),
            file: self.file.clone(),
            line: self.line,
            enabled: self.enabled,
            leaving: self.leaving,
            say: self.say.copy(),
            watch: self.watch.as_ref().map(|watch| Box::new(watch.copy())),
            service: self.service.clone(),
        }
    }

    /// Whether it means something in another process: a watch on a local ends
    /// with a frame of its own thread.
    pub(crate) fn outlives_frames(&self) -> bool {
        self.watch.as_ref().is_none_or(|watch| watch.scope.is_none())
    }

    fn want(&self, spec: &BreakpointSpec, deciding: Deciding<'_>) -> Want {
        let what = match &self.watch {
            Some(watch) => WantWhat::Data { range: watch.range, access: watch.access },
            None => {
                let asked = match spec.subject {
                    Subject::Code { mechanism, .. } => mechanism,
                    Subject::Functions { .. } | Subject::Data { .. } => None,
                };
                WantWhat::Execute {
                    addr: self.addr,
                    mechanism: asked.or(deciding.mechanism),
                    writable_code: true,
                    in_process: self.in_process(spec, deciding),
                }
            }
        };
        Want { owner: Owner::Location(self.id), what, thread: None }
    }

    fn in_process(&self, spec: &BreakpointSpec, deciding: Deciding<'_>) -> InProcess {
        let say = &self.say;
        let asks = say.filter.is_some()
            || say.condition.is_some()
            || say.changed.is_some()
            || spec.hits.is_some()
            || spec.ignore > 0;
        if deciding.jumpless.contains_key(&self.addr) {
            return InProcess::Impossible;
        }
        if asks { InProcess::Possible } else { InProcess::No }
    }

    fn info(&self, spec: &BreakpointSpec) -> LocationInfo {
        let (mechanism, why) = match &self.service {
            _ if !spec.enabled || !self.enabled => (None, "disabled".to_owned()),
            // What served it last, when the program has ended.
            Ok(served) => (Some(served.mechanism), served.to_string()),
            Err(why) => (None, why.to_string()),
        };
        LocationInfo {
            id: self.id,
            pid: None,
            address: self.addr,
            len: self.watch.as_ref().map(|watch| watch.range.len()),
            function: self.function.clone(),
            file: self.file.clone(),
            line: self.line,
            enabled: self.enabled,
            mechanism,
            why,
            jump: None,
        }
    }
}

/// What speaks for and against deciding in the program.
#[derive(Clone, Copy)]
pub(crate) struct Deciding<'a> {
    /// The mechanism the user wants where a breakpoint names none.
    pub(crate) mechanism: Option<Mechanism>,
    /// Where there can be no jump.
    pub(crate) jumpless: &'a HashMap<VirtAddr, Arc<str>>,
}

/// A stop's reasons in a few words, for `info threads`.
pub(crate) fn describe_reasons(reasons: &[StopReason]) -> String {
    let words: Vec<String> = reasons
        .iter()
        .map(|reason| match reason {
            StopReason::Breakpoint { id, .. } | StopReason::ConditionError { id, .. } => {
                format!("stopped at breakpoint {id}")
            }
            StopReason::Data { id, .. } | StopReason::ScopeEnded { id, .. } => {
                format!("stopped by watch {id}")
            }
            StopReason::OwnTrap { instruction, .. } => {
                format!("stopped at the program's own {instruction}")
            }
            StopReason::Signal(info) => format!("stopped by {}", info.signal),
            StopReason::Stepped | StopReason::Line { .. } => "stopped after a step".to_owned(),
            StopReason::Place => "stopped where it was sent".to_owned(),
            StopReason::Returned { .. } => "stopped after a return".to_owned(),
            StopReason::Interrupted => "interrupted".to_owned(),
            StopReason::RunnerEnded => "locked while another thread ran".to_owned(),
            StopReason::Started => "stopped before its first instruction".to_owned(),
            StopReason::Executed => "stopped after exec".to_owned(),
            StopReason::Forked { vfork: false, .. } => "stopped after fork".to_owned(),
            StopReason::Forked { vfork: true, .. } => "stopped after vfork".to_owned(),
            StopReason::VforkDone => "stopped after its vfork child".to_owned(),
            StopReason::SystemCall { entry: true, number } => {
                format!("stopped before system call {number}")
            }
            StopReason::SystemCall { entry: false, number } => {
                format!("stopped after system call {number}")
            }
            StopReason::Born => "stopped before its first instruction".to_owned(),
        })
        .collect();
    words.join(", ")
}
