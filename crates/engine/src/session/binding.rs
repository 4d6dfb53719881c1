//! From what a breakpoint's subject says to locations: in the program before
//! it runs, in a process when it comes or loads something, and again after a
//! restart.

use std::collections::BTreeSet;
use std::sync::Arc;

use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::x64::MAX_INSTRUCTION;
use trapline_core::{BreakpointId, ImageAddr, ModuleId, Pid, VirtAddr};
use trapline_expr::Purpose;
use trapline_patch::insn;
use trapline_symbols::{Image, ImageKind};

use super::Session;
use super::scope::CodeScope;
use super::search::{
    Among, EVERYWHERE, Found, Search, Where, found_at, found_in, known_places, search,
};
use super::source::default_file;
use super::values::Known;
use crate::breakpoints::{Anchor, Breakpoint, Location, Say, idle, is_searched};
use crate::command::CommandError;
use crate::event::Event;
use crate::log::{Log, LogMessage};
use crate::place::{Effort, PlaceText, Sought};
use crate::space::{Module, Modules, SpaceId};

/// A breakpoint as it was asked for, read.
pub(super) struct Asked {
    pub(super) spec: BreakpointSpec,
    pub(super) sought: Sought,
}

impl Asked {
    /// Reads a specification, and refuses one that can never mean anything.
    pub(super) fn read(spec: BreakpointSpec) -> Result<Self, CommandError> {
        let sought = Sought::of(&spec.subject)?;
        Ok(Self { spec, sought })
    }

    /// Looks for a new breakpoint's places in the only images there are. `None`
    /// where a frame, or who is asked first, says what is meant.
    pub(super) fn search_ahead<'a>(&self, modules: &'a Modules) -> Option<Ahead<'a>> {
        let fixed = match &self.sought {
            Sought::Place(PlaceText::Address(_)) | Sought::Data | Sought::Given => false,
            Sought::Place(place) => place.is_settled(),
            Sought::Functions(_) => true,
        };
        fixed.then(|| Ahead { modules, search: search(modules, &self.sought, None, EVERYWHERE) })
    }
}

/// What was found for a new breakpoint before its turn came to be set.
pub(super) struct Ahead<'a> {
    /// The only images there are.
    modules: &'a Modules,
    search: Search,
}

impl Ahead<'_> {
    /// Whether these are still the only images.
    pub(super) fn is_of(&self, modules: Option<&Modules>) -> bool {
        modules.is_some_and(|modules| modules.are(self.modules))
    }
}

/// A breakpoint to bind.
#[derive(Clone)]
struct Bound {
    id: BreakpointId,
    spec: Arc<BreakpointSpec>,
    sought: Arc<Sought>,
}

/// Places where a breakpoint cannot be, by why.
#[derive(Default)]
struct Refused {
    reasons: Vec<Reason>,
}

/// Why a breakpoint cannot be at some places.
struct Reason {
    error: CommandError,
    places: usize,
    /// The first of them, and the functions they are in.
    addr: VirtAddr,
    functions: BTreeSet<Arc<str>>,
}

impl Refused {
    fn add(&mut self, found: &Found, error: CommandError) {
        let is_same = |it: &&mut Reason| it.error.message == error.message;
        let reason = match self.reasons.iter_mut().find(is_same) {
            Some(reason) => reason,
            None => {
                let (addr, functions) = (found.addr, BTreeSet::new());
                self.reasons.push(Reason { error, places: 0, addr, functions });
                let Some(new) = self.reasons.last_mut() else { return };
                new
            }
        };
        reason.places += 1;
        reason.functions.extend(found.place.as_ref().and_then(|place| place.function.clone()));
    }

    fn first(self) -> Option<CommandError> {
        self.reasons.into_iter().next().map(|reason| reason.error)
    }

    /// What is to be told of each reason.
    fn notes(&self) -> impl Iterator<Item = String> {
        self.reasons.iter().map(Reason::note)
    }
}

impl Reason {
    fn note(&self) -> String {
        let Self { error, places, addr, functions } = self;
        let function = functions.first().map_or("??", |name| &**name);
        let message = &error.message;
        match (places, functions.len()) {
            (1, _) => format!("not set at {addr} in {function}: {message}"),
            (_, 0 | 1) => format!("not set at {places} places in {function}: {message}"),
            (_, others) => format!(
                "not set at {places} places in {function} and {} others: {message}",
                others - 1
            ),
        }
    }
}

/// A process to bind in: its memory and what is loaded there.
#[derive(Clone, Copy)]
struct Home<'a> {
    pid: Pid,
    space: SpaceId,
    modules: &'a Modules,
}

impl Bound {
    fn of(breakpoint: &Breakpoint) -> Self {
        let Breakpoint { id, spec, sought, .. } = breakpoint;
        Self { id: *id, spec: spec.clone(), sought: sought.clone() }
    }

    /// The expression of a breakpoint on an address.
    fn address(&self) -> Option<&str> {
        match &*self.sought {
            Sought::Place(PlaceText::Address(expression)) => Some(expression),
            _ => None,
        }
    }

    /// Whether it is on a bare line number.
    fn needs_default(&self) -> bool {
        matches!(*self.sought, Sought::Place(PlaceText::Line { file: None, .. }))
    }
}

impl Session {
    /// Binds a new breakpoint everywhere. An error means that it cannot ever
    /// bind as written; no place yet is no error. `ahead` is what looking for it
    /// in [`Self::only_modules`] gave.
    pub(super) fn bind_new(
        &mut self,
        id: BreakpointId,
        mut ahead: Option<Ahead<'_>>,
    ) -> Result<(), CommandError> {
        let Some(breakpoint) = self.breakpoints.get(id) else { return Ok(()) };
        if breakpoint.is_watch() {
            return Ok(());
        }
        let bound = Bound::of(breakpoint);
        let pids: Vec<Pid> = self.debuggees();
        if pids.is_empty() {
            return self.bind_in_program(&bound, ahead);
        }
        let mut failure = None;
        for pid in pids {
            let Some((space, modules)) = self.modules_of(pid) else { continue };
            let home = Home { pid, space, modules: &modules };
            let found = ahead.take().map(|ahead| ahead.search);
            failure = self.bind_in(&bound, home, &Among::All, found).err().or(failure);
        }
        failure.map_or(Ok(()), Err)
    }

    /// The images of the one process there is, or of the program to run; `None`
    /// when there are several processes.
    pub(super) fn only_modules(&self) -> Option<Modules> {
        match self.debuggees().as_slice() {
            [] => Some(self.program_alone()),
            [pid] => self.modules_of(*pid).map(|(_, modules)| modules),
            _ => None,
        }
    }

    fn modules_of(&self, pid: Pid) -> Option<(SpaceId, Modules)> {
        let space = self.processes.get(&pid)?.space;
        Some((space, self.spaces.get(&space)?.modules.clone()))
    }

    fn debuggees(&self) -> Vec<Pid> {
        self.processes
            .values()
            .filter(|process| process.is_debuggee())
            .map(|process| process.pid)
            .collect()
    }

    /// Binds every code breakpoint in the program that is to be run, if it is
    /// another than they were bound in. What was known of the one before is
    /// void, but for where a process has it loaded.
    pub(super) fn bind_before_run(&mut self) {
        let program = self.program_image().map(|image| image.module());
        if self.bound_in == program {
            return;
        }
        self.bound_in = program;
        for id in self.breakpoints.ids() {
            let Some(breakpoint) = self.breakpoints.get_mut(id) else { continue };
            if breakpoint.is_watch() {
                continue;
            }
            breakpoint.forget_homeless();
            let bound = Bound::of(breakpoint);
            if let Err(error) = self.bind_in_program(&bound, None) {
                self.warn(format!("breakpoint {id}: {error}"));
            }
        }
    }

    fn bind_in_program(
        &mut self,
        bound: &Bound,
        ahead: Option<Ahead<'_>>,
    ) -> Result<(), CommandError> {
        if let Some(Ahead { modules, search }) = ahead {
            return self.attach_locations(bound, None, modules, search, Vec::new());
        }
        let Some(program) = &self.program else { return Ok(()) };
        let modules = program.alone.clone();
        let search = if let Some(expression) = bound.address() {
            self.search_static(&modules, expression)
        } else {
            let default_file = || default_file(&modules, None);
            let default_file = bound.needs_default().then(default_file).flatten();
            search(&modules, &bound.sought, default_file.as_deref(), EVERYWHERE)
        };
        self.attach_locations(bound, None, &modules, search, Vec::new())
    }

    /// Binds every code breakpoint in images that a process has loaded.
    pub(super) fn bind_in_process(&mut self, pid: Pid, among: &Among) {
        let Some((space, modules)) = self.modules_of(pid) else { return };
        let home = Home { pid, space, modules: &modules };
        self.source_ages.clear();
        for id in self.breakpoints.ids() {
            let Some(breakpoint) = self.breakpoints.get(id) else { continue };
            if matches!(*breakpoint.sought, Sought::Given) {
                continue;
            }
            if breakpoint.is_watch() {
                self.rebind_watch(id, pid, among);
                continue;
            }
            let bound = Bound::of(breakpoint);
            let before = breakpoint.locations.iter().filter(|l| l.space.is_some()).count();
            let pending = breakpoint.locations.is_empty();
            if let Err(error) = self.bind_in(&bound, home, among, None) {
                self.warn(format!("breakpoint {id}: {error}"));
            }
            let after = self
                .breakpoints
                .get(id)
                .map_or(0, |b| b.locations.iter().filter(|l| l.space.is_some()).count());
            if pending && after > before {
                let what = format!("now has {after} location{}", if after == 1 { "" } else { "s" });
                self.emit(Event::BreakpointChanged { id, what, deleted: false });
            }
        }
    }

    fn bind_in(
        &mut self,
        bound: &Bound,
        home: Home<'_>,
        among: &Among,
        ahead: Option<Search>,
    ) -> Result<(), CommandError> {
        if let Some(expression) = bound.address() {
            return self.bind_address(bound, home, among, expression);
        }
        let known = self.put_known(bound, home, among)?;
        let Some(breakpoint) = self.breakpoints.get(bound.id) else { return Ok(()) };
        let homeless = breakpoint.locations.is_empty();
        let furthest = if homeless { Effort::Everything } else { Effort::Likely };
        let unsearched = unsearched(breakpoint, home.modules, among, furthest);
        let first = breakpoint.searched.is_empty();
        if unsearched.is_empty() && known.is_empty() && !first {
            return Ok(());
        }
        let unsearched = Among::These(unsearched);
        let among = if first { among } else { &unsearched };
        let default = if bound.needs_default() {
            default_file(home.modules, self.selected_place_in(home.pid))
        } else {
            None
        };
        let scope = Where { among, furthest };
        let search =
            ahead.unwrap_or_else(|| search(home.modules, &bound.sought, default.as_deref(), scope));
        self.attach_locations(bound, Some(home.space), home.modules, search, known)
    }

    /// Puts the locations found earlier in images where those are in a process.
    /// The answer is what needs locations beside those of other processes.
    fn put_known(
        &mut self,
        bound: &Bound,
        home: Home<'_>,
        among: &Among,
    ) -> Result<Vec<Found>, CommandError> {
        let Some(breakpoint) = self.breakpoints.get_mut(bound.id) else { return Ok(Vec::new()) };
        if breakpoint.is_elsewhere(home.space) {
            return Ok(known_places(breakpoint, home.modules, among));
        }
        let mut changed = false;
        let Breakpoint { locations, searched, .. } = breakpoint;
        for location in locations {
            let Anchor::Image(id, at) = location.anchor else { continue };
            if !among.has(id) || !is_searched(searched, id, Effort::Likely) {
                continue;
            }
            let Some(module) = home.modules.by_id(id) else { continue };
            let addr = module.bias.to_virt(at);
            let compile = || say_at(&bound.spec, home.modules, addr, &self.known);
            changed |= rehome(location, Some(home.space), addr, compile)?;
        }
        if let Some(space) = self.spaces.get_mut(&home.space) {
            space.stale |= changed;
        }
        Ok(Vec::new())
    }

    /// Where an address is in a program that does not run. A bare number is an
    /// address of the running program, which is known beforehand only if the
    /// program is loaded where it was linked.
    fn search_static(&self, modules: &Modules, expression: &str) -> Search {
        let pending = |reason: String| Search { reasons: vec![reason], ..Search::default() };
        let addr = match self.static_address(expression, modules) {
            Ok(addr) => addr,
            Err(error) => return pending(error.message),
        };
        let moves =
            modules.in_load_order().any(|module| module.image.kind() != ImageKind::FixedExecutable);
        if moves && self.static_address(expression, &Modules::default()).is_ok() {
            return pending(format!(
                "the program may be loaded anywhere, so {addr} is looked for when it runs"
            ));
        }
        Search { found: vec![found_at(modules, addr)], ..Search::default() }
    }

    fn bind_address(
        &mut self,
        bound: &Bound,
        home: Home<'_>,
        among: &Among,
        expression: &str,
    ) -> Result<(), CommandError> {
        let Home { space, modules, pid } = home;
        let Some(breakpoint) = self.breakpoints.get_mut(bound.id) else { return Ok(()) };
        if breakpoint.locations.iter().any(|location| location.space == Some(space)) {
            return Ok(());
        }
        let found = match breakpoint.place_kept() {
            Some(Anchor::Image(module, place)) => match modules.by_id(module) {
                Some(module) => found_in(module, place),
                None => return Ok(()),
            },
            Some(Anchor::Address(addr)) => found_at(modules, addr),
            None if *among == Among::All => found_at(modules, self.address_of(expression)?),
            // What registers and locals are while a library is loaded is not
            // what the user meant.
            None => match self.frameless_address(pid, expression) {
                Ok(addr) => found_at(modules, addr),
                Err(error) => {
                    if let Some(breakpoint) = self.breakpoints.get_mut(bound.id) {
                        breakpoint.notes = vec![format!("pending: {}", error.message)];
                    }
                    return Ok(());
                }
            },
        };
        let search = Search { found: vec![found], ..Search::default() };
        self.attach_locations(bound, Some(space), modules, search, Vec::new())
    }

    /// Joins what was found with the locations a breakpoint has already, and
    /// puts those that were `known` where they are now.
    fn attach_locations(
        &mut self,
        bound: &Bound,
        space: Option<SpaceId>,
        modules: &Modules,
        search: Search,
        known: Vec<Found>,
    ) -> Result<(), CommandError> {
        let stale = self.stale_source_note(modules, &search);
        let besides = &self.known;
        let Some(breakpoint) = self.breakpoints.get_mut(bound.id) else { return Ok(()) };
        note_findings(breakpoint, &search, stale);
        let mut changed = false;
        let mut refused = Refused::default();
        if search.found.is_empty() && known.is_empty() {
            breakpoint.note_searched(search.looked);
            return Ok(());
        }
        let mut known_at = by_anchor(&breakpoint.locations);
        if breakpoint.locations.is_empty() {
            breakpoint.locations.reserve_exact(search.found.len());
        }
        for found in search.found.into_iter().chain(known) {
            let compile = || say_at(&bound.spec, modules, found.addr, besides);
            if let Some(known) = reuse(&mut breakpoint.locations, &known_at, found.anchor, space) {
                changed |= rehome(known, space, found.addr, compile)?;
                continue;
            }
            match compile() {
                Ok(say) => {
                    known_at.insert((found.anchor, breakpoint.locations.len()));
                    let location = new_location(breakpoint, space, found, say);
                    breakpoint.locations.push(location);
                    changed = true;
                }
                Err(error) => refused.add(&found, error),
            }
        }
        refused.notes().for_each(|note| note_once(breakpoint, note));
        if refused.reasons.is_empty() {
            breakpoint.note_searched(search.looked);
        }
        // Of many functions of a name, some may lack what the condition names;
        // one that none of them has is a mistake.
        if let Some(error) = refused.first().filter(|_| breakpoint.locations.is_empty()) {
            return Err(error);
        }
        if let Some(space) = space.and_then(|id| self.spaces.get_mut(&id)) {
            space.stale |= changed;
        }
        Ok(())
    }

    /// A word about source files that were changed after the program was built.
    fn stale_source_note(&mut self, modules: &Modules, search: &Search) -> Option<String> {
        let found = search.found.first()?;
        let file = found.place.as_ref()?.file.as_ref()?;
        let module = match found.anchor {
            Anchor::Image(id, _) => modules.by_id(id)?,
            Anchor::Address(_) => return None,
        };
        let ages = &mut self.source_ages;
        let newer = ages.is_newer(file, &module.image);
        newer.then(|| format!("{file} is newer than the program: lines may be off"))
    }

    /// Compiles anew what a breakpoint says, at all its locations.
    pub(super) fn recompile(&mut self, id: BreakpointId) -> Result<(), CommandError> {
        let here = self.selected_place();
        let Some(breakpoint) = self.breakpoints.get(id) else { return Ok(()) };
        let spec = breakpoint.spec.clone();
        let preview = self.program_alone();
        let mut compiled = Vec::new();
        for location in &breakpoint.locations {
            let modules = location
                .space
                .and_then(|id| self.spaces.get(&id))
                .map_or(&preview, |space| &space.modules);
            let scope = match location.watch {
                Some(_) => CodeScope::at_place_of(modules, here, &self.known),
                None => CodeScope::at(modules, location.addr, &self.known),
            };
            compiled.push(compile_say(&spec, &scope)?);
        }
        if breakpoint.locations.is_empty() {
            check_syntax(&spec)?;
        }
        if let Some(breakpoint) = self.breakpoints.get_mut(id) {
            breakpoint.error_told = false;
            for (location, say) in breakpoint.locations.iter_mut().zip(compiled) {
                location.say = say;
            }
        }
        Ok(())
    }
}

/// Refuses a place that no thread could get past: the kernel sends whoever is
/// interrupted within such a sequence back to its beginning, and going on
/// beside it, as around a trap, would take from it what it is written for.
fn refuse_restartable(modules: &Modules, addr: VirtAddr) -> Result<(), CommandError> {
    let Some(module) = modules.at(addr) else { return Ok(()) };
    let (image, here) = (&module.image, module.to_image(addr));
    if image.is_restartable(here) {
        return Err(CommandError::new(format!(
            "{addr} is within a restartable sequence (rseq): a thread stopped there is sent \
             back to its beginning, every time; break before or after it"
        )));
    }
    if enters_restartable(image, here) {
        return Err(CommandError::new(format!(
            "{addr} begins a restartable sequence (rseq): run elsewhere, as around a trap, it \
             may leave the sequence unprotected; break before it"
        )));
    }
    Ok(())
}

/// Whether the instruction at an address ends where a restartable sequence
/// begins: it is the one that tells the kernel of the sequence, which forgets
/// it again when the thread is interrupted outside.
fn enters_restartable(image: &Image, here: ImageAddr) -> bool {
    let after = |len: usize| image.is_restartable(here.wrapping_add(len as u64));
    if !(1..=MAX_INSTRUCTION).any(after) {
        return false;
    }
    let mut code = [0; MAX_INSTRUCTION];
    let read = image.read_static(here, &mut code);
    insn::decode(&code[..read], VirtAddr::new(here.get())).is_some_and(|it| after(it.len()))
}

/// The images among those meant that have not been looked in far enough.
fn unsearched(
    breakpoint: &Breakpoint,
    modules: &Modules,
    among: &Among,
    furthest: Effort,
) -> Vec<ModuleId> {
    let meant = modules.iter().map(Module::id).filter(|module| among.has(*module));
    meant.filter(|module| !breakpoint.has_searched(*module, furthest)).collect()
}

/// Brings a breakpoint's notes in line with what a search found.
fn note_findings(breakpoint: &mut Breakpoint, search: &Search, stale: Option<String>) {
    let homeless = breakpoint.locations.is_empty();
    if homeless && !search.found.is_empty() {
        breakpoint.notes.clear();
    }
    if homeless && search.found.is_empty() {
        if breakpoint.notes.is_empty() {
            breakpoint.notes = pending_notes(search);
        }
        return;
    }
    for note in search.notes.iter().cloned().chain(stale) {
        note_once(breakpoint, note);
    }
}

fn note_once(breakpoint: &mut Breakpoint, note: String) {
    if !breakpoint.notes.contains(&note) {
        breakpoint.notes.push(note);
    }
}

/// Why a breakpoint has no place, from the most telling reason.
fn pending_notes(search: &Search) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(reason) = search.reasons.first() {
        notes.push(format!("pending: {reason}"));
    }
    if !search.candidates.is_empty() {
        let names: Vec<&str> = search.candidates.iter().take(3).map(String::as_str).collect();
        notes.push(format!("did you mean {}?", names.join(" or ")));
    }
    notes
}

/// Indices of locations by what they are tied to; there may be very many.
fn by_anchor(locations: &[Location]) -> BTreeSet<(Anchor, usize)> {
    locations.iter().enumerate().map(|(index, location)| (location.anchor, index)).collect()
}

/// One of the locations `known_at` an anchor that may serve a space.
fn reuse<'a>(
    locations: &'a mut [Location],
    known_at: &BTreeSet<(Anchor, usize)>,
    anchor: Anchor,
    space: Option<SpaceId>,
) -> Option<&'a mut Location> {
    let serves = |at: &Location| at.space.is_none() || at.space == space;
    let mut known = known_at.range((anchor, 0)..=(anchor, usize::MAX));
    let (_, index) = known.find(|(_, index)| locations.get(*index).is_some_and(serves))?;
    locations.get_mut(*index)
}

/// Puts a location where it is in a space; whether it was elsewhere.
fn rehome(
    location: &mut Location,
    space: Option<SpaceId>,
    addr: VirtAddr,
    compile: impl FnOnce() -> Result<Say, CommandError>,
) -> Result<bool, CommandError> {
    let another = location.space != space;
    if another && location.say.rooted {
        location.say = compile()?;
    }
    let moved = another || location.addr != addr;
    location.space = space;
    location.addr = addr;
    Ok(moved)
}

fn new_location(
    breakpoint: &mut Breakpoint,
    space: Option<SpaceId>,
    found: Found,
    say: Say,
) -> Location {
    let (function, file, line) =
        found.place.map_or((None, None, None), |place| (place.function, place.file, place.line));
    Location {
        id: breakpoint.next_location(),
        space,
        anchor: found.anchor,
        addr: found.addr,
        function,
        file,
        line,
        enabled: breakpoint.enables(found.anchor),
        leaving: false,
        say,
        watch: None,
        service: idle(),
    }
}

/// Compiles what a breakpoint says at an address, unless none may be there.
fn say_at(
    spec: &BreakpointSpec,
    modules: &Modules,
    addr: VirtAddr,
    known: &Known,
) -> Result<Say, CommandError> {
    refuse_restartable(modules, addr)?;
    compile_say(spec, &CodeScope::at(modules, addr, known))
}

/// Compiles everything a breakpoint says for one place.
pub(super) fn compile_say(
    spec: &BreakpointSpec,
    scope: &CodeScope<'_>,
) -> Result<Say, CommandError> {
    let compile = |text: &Option<String>, purpose: Purpose| {
        text.as_ref()
            .map(|text| {
                trapline_expr::compile(text, scope, purpose)
                    .map(Arc::new)
                    .map_err(|error| super::values::expression_error(text, &error))
            })
            .transpose()
    };
    Ok(Say {
        filter: compile(&spec.filter, Purpose::Filter)?,
        condition: compile(&spec.condition, Purpose::Condition)?,
        changed: compile(&spec.changed, Purpose::Value)?,
        log: spec
            .log
            .as_ref()
            .map(|text| LogMessage::compile(text, scope).map(Arc::new).map(Log::Message))
            .transpose()?,
        rooted: scope.is_rooted(),
        ..Say::default()
    })
}

/// What can be said of expressions whose place is not known yet.
fn check_syntax(spec: &BreakpointSpec) -> Result<(), CommandError> {
    for text in [&spec.condition, &spec.changed, &spec.filter].into_iter().flatten() {
        trapline_expr::parse(text)
            .map_err(|error| super::values::expression_error(text, &error))?;
    }
    Ok(())
}
