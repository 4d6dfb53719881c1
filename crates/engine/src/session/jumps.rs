//! Jumps: planning them, placing their trampolines, writing them over the
//! program's code and taking them out again, while no thread of the space runs.
//!
//! A jump may rely on bytes behind it, so those that can depend on each other
//! are taken out and planned anew together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trapline_core::plan::{Edit, Owners, Site, SiteWhat};
use trapline_core::predicate::Predicate;
use trapline_core::target::{Protection, Region};
use trapline_core::x64::CodeBytes;
use trapline_core::x64::debug::SlotKind;
use trapline_core::{AddrRange, Pid, VirtAddr};
use trapline_patch::jump::{
    self, Entry, Function, JUMP_LEN, Jump, ProgramCode, Protected, Request,
};
use trapline_patch::near;
use trapline_patch::relocate::MAX_SLOT;
use trapline_patch::trampoline::{Detail, Trampoline};

use super::Session;
use super::arming::{all_taken, region_at};
use super::code_io::{CodeCache, CodeWindow, OurCode, ProgramBytes};
use super::truth::SpaceMemory;
use crate::arena::{Deciding, Ingredient, made_from};
use crate::space::{
    Asked, Cells, CodeSite, Credit, Detour, Form, JumpSite, Modules, Patch, SpaceId,
};

/// The jumps of a space that a plan changes.
#[derive(Default)]
pub(super) struct JumpChanges {
    /// Sites that are to have a jump and have none, or another.
    renewed: Vec<Wanted>,
    /// Sites whose patch is to go, those to be renewed among them.
    removed: BTreeSet<VirtAddr>,
    /// Where debug registers are to match instructions.
    matched: BTreeSet<VirtAddr>,
}

/// A site that is to have a jump.
pub(super) struct Wanted {
    pub(super) at: VirtAddr,
    pub(super) owners: Owners,
    pub(super) asked: Vec<Asked>,
}

impl Session {
    /// Which jumps change when these sites are to be there and these edits are
    /// made.
    pub(super) fn jump_changes(&self, id: SpaceId, sites: &[Site], edits: &[Edit]) -> JumpChanges {
        let Some(space) = self.spaces.get(&id) else { return JumpChanges::default() };
        let wanted: BTreeMap<VirtAddr, Wanted> = sites
            .iter()
            .filter_map(|site| match site.what {
                SiteWhat::Jump { addr } => Some((addr, self.wanted(addr, &site.owners))),
                SiteWhat::Trap { .. } | SiteWhat::Slot { .. } => None,
            })
            .collect();
        let present = || space.code_sites.iter().filter_map(|(&at, site)| Some((at, site.jump()?)));
        let matched = matched(sites);
        let mut changed: BTreeSet<VirtAddr> = edits.iter().filter_map(changed_code).collect();
        changed.extend(matched.symmetric_difference(&self::matched(&space.sites)));
        changed.extend(present().map(|(at, _)| at).filter(|at| !wanted.contains_key(at)));
        changed.extend(wanted.values().map(|it| it.at).filter(|at| {
            let now = space.code_sites.get(at).and_then(CodeSite::jump);
            now.is_none_or(|now| now.asked != wanted[at].asked)
        }));
        if changed.is_empty() || (wanted.is_empty() && present().next().is_none()) {
            return JumpChanges::default();
        }
        let mut all: Vec<VirtAddr> =
            wanted.keys().copied().chain(present().map(|it| it.0)).collect();
        all.sort_unstable();
        all.dedup();
        let mut affected: BTreeSet<VirtAddr> = BTreeSet::new();
        for &at in &changed {
            affected.extend(jump::dependents(&all, AddrRange::sized(at, 1)));
        }
        let renewed = wanted.into_values().filter(|it| affected.contains(&it.at)).collect();
        JumpChanges { renewed, removed: affected, matched }
    }

    fn wanted(&self, at: VirtAddr, owners: &Owners) -> Wanted {
        let asked = owners.iter().map(|owner| self.breakpoints.asked(*owner)).collect();
        Wanted { at, owners: owners.clone(), asked }
    }

    /// Takes the jumps out that go.
    pub(super) fn remove_jumps(&mut self, id: SpaceId, pid: Pid, changes: &JumpChanges) {
        let Some(space) = self.spaces.get(&id) else { return };
        let patches: BTreeSet<VirtAddr> = changes
            .removed
            .iter()
            .filter_map(|at| Some(space.code_sites.get(at)?.jump()?.patch))
            .collect();
        self.remove_patches(id, pid, patches.into_iter());
    }

    /// Writes the program's bytes back under jumps.
    pub(super) fn remove_patches(
        &mut self,
        id: SpaceId,
        pid: Pid,
        patches: impl ExactSizeIterator<Item = VirtAddr>,
    ) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let mut window = CodeWindow::for_sites(patches.len(), JUMP_LEN as usize);
        let read = |at, buf: &mut [u8]| self.target.read_memory(pid, at, buf);
        let mut changes = Vec::with_capacity(patches.len());
        for at in patches {
            let armed = space.overlay.get(at).map(|armed| CodeBytes::first_of(armed.ours));
            let original = space.overlay.disarm(at);
            space.forget_patch(at);
            let (Some(ours), Some(original)) = (armed, original) else { continue };
            // Else it is gone or rewritten: nothing of ours is left to take out.
            if window.at(at, read).starts_with(&ours) {
                changes.push((at, original));
            }
        }
        self.undo_code(pid, &changes, "jump");
    }

    /// Writes the program's bytes back under a jump.
    pub(super) fn remove_patch(&mut self, id: SpaceId, pid: Pid, at: VirtAddr) {
        self.remove_patches(id, pid, std::iter::once(at));
    }

    /// Writes the jumps that are to be there. The answer is where there can be
    /// none, and why.
    pub(super) fn add_jumps(
        &mut self,
        id: SpaceId,
        pid: Pid,
        changes: JumpChanges,
    ) -> BTreeMap<VirtAddr, Arc<str>> {
        let mut refused = BTreeMap::new();
        if changes.renewed.is_empty() {
            return refused;
        }
        // Each counts passes, and may have hits paid for.
        let words = 2 * changes.renewed.len();
        if let Err(why) = self.make_rows(id, words) {
            return changes.renewed.iter().map(|wanted| (wanted.at, why.clone())).collect();
        }
        let mut code = CodeCache::default();
        for wanted in &changes.renewed {
            if self.take_leftover_out(pid, wanted.at, &code) {
                code = CodeCache::default();
            }
        }
        let ready = self.compile_all(id, pid, changes.renewed, &mut refused);
        self.place_jumps(id, pid, ready, &changes.matched, &mut refused);
        refused
    }

    fn place_jumps(
        &mut self,
        id: SpaceId,
        pid: Pid,
        mut ready: BTreeMap<VirtAddr, Ready>,
        matched: &BTreeSet<VirtAddr>,
        refused: &mut BTreeMap<VirtAddr, Arc<str>>,
    ) {
        let map = self.target.memory_map(pid).unwrap_or_default();
        let mut placing = Placing::new(id, pid, &map);
        let Some(plan) = self.plan_jumps(&placing, &ready, matched) else { return };
        if let Some(space) = self.spaces.get_mut(&id) {
            space.trails.extend(plan.rejected.clone());
        }
        refused.extend(plan.unserved.iter().map(|it| (it.site, it.why.to_string().into())));
        let unmapped = self.map_hops(id, &plan.new_pages);
        let mut placed = Vec::with_capacity(plan.jumps.len());
        for planned in &plan.jumps {
            let enters = |pages: AddrRange| match planned.entry {
                Entry::At(hop) => hop.overlaps(pages),
                Entry::Anywhere => false,
            };
            let done = match unmapped.iter().find(|(pages, _)| enters(*pages)) {
                Some((_, why)) => Err(why.clone()),
                None => self.place_jump(&mut placing, planned, &mut ready),
            };
            match done {
                Ok(jump) => placed.push(jump),
                Err(why) => refused.extend(planned.sites.iter().map(|&at| (at, why.clone()))),
            }
        }
        self.write_our_code(placing, &mut placed, refused);
        self.write_jumps(id, pid, placed, &map, refused);
    }

    fn plan_jumps(
        &mut self,
        placing: &Placing<'_>,
        ready: &BTreeMap<VirtAddr, Ready>,
        matched: &BTreeSet<VirtAddr>,
    ) -> Option<jump::Plan> {
        let &Placing { id, pid, map, ref code, .. } = placing;
        let heap_start = self.target.process_info(pid).ok().and_then(|info| info.heap_start);
        let space = self.spaces.get_mut(&id)?;
        let mut functions = std::mem::take(&mut space.functions);
        let space = self.spaces.get(&id)?;
        let taken = all_taken(map, heap_start, space.arena.chunks());
        let sites: Vec<VirtAddr> = ready.keys().copied().collect();
        let is_trap = |site: &(&VirtAddr, &CodeSite)| matches!(site.1.form, Form::Trap);
        let traps = space.code_sites.iter().filter(is_trap).map(|(&at, _)| at).collect();
        let memory = SpaceMemory { target: &*self.target, pid, overlay: &space.overlay };
        let plan = jump::plan(
            &Request {
                sites: &sites,
                traps: &traps,
                matched,
                code: &SpaceCode { memory, code, modules: &space.modules, map },
                space: &near::Space::new(&taken),
                pages: &space.hop_pages,
                trampolines: space.arena.chunks().next().unwrap_or_default(),
                tactics: self.settings.tactics,
            },
            &mut functions,
        );
        self.spaces.get_mut(&id)?.functions = functions;
        Some(plan)
    }

    /// Maps pages for hops; the answer is what could not be mapped.
    fn map_hops(&mut self, id: SpaceId, pages: &[AddrRange]) -> Vec<(AddrRange, Arc<str>)> {
        let mut failed = Vec::new();
        for &range in pages {
            match self.allocate_at(id, range, Protection::Code) {
                Ok(()) => {
                    if let Some(space) = self.spaces.get_mut(&id) {
                        space.hop_pages.add(range);
                        space.arena.add_hop_pages(range);
                    }
                }
                Err(why) => failed.push((range, why)),
            }
        }
        failed
    }

    /// Builds the trampoline of a jump, and reserves its hop.
    fn place_jump(
        &mut self,
        placing: &mut Placing<'_>,
        planned: &Jump,
        ready: &mut BTreeMap<VirtAddr, Ready>,
    ) -> Result<PlacedJump, Arc<str>> {
        let gone = || Arc::<str>::from("the process is gone");
        let id = placing.id;
        let memory = self.memory(placing.pid).ok_or_else(gone)?;
        let program = placing.code.bytes(&memory, planned.made_for())?;
        let ingredients = self.ingredients(id, planned, &program, ready)?;
        let to = self.room(id, planned.at, room_for(&ingredients), placing.map)?;
        let trampoline = made_from(&ingredients, to, Detail::Code)?;
        let unreachable = || Arc::<str>::from("the jump does not reach its trampoline");
        let patch = planned.patch(to).ok_or_else(unreachable)?;
        let hop = planned.hop(to).ok_or_else(unreachable)?;
        let space = self.spaces.get_mut(&id).ok_or_else(gone)?;
        space.arena.place_trampoline(&trampoline, ingredients.clone());
        placing.trampolines.add(to, &trampoline.bytes);
        if let Entry::At(range) = planned.entry {
            space.hop_pages.take(range);
            space.arena.place_hop(range.start, planned.at);
            placing.hops.add_alone(range.start, &hop);
        }
        let code_sites = self.code_sites(id, planned, &trampoline, &ingredients, ready)?;
        let books = books_on(planned, &trampoline, &program);
        Ok(PlacedJump { at: planned.at, bytes: patch, code_sites, patch: books })
    }

    /// Writes trampolines and hops; no jump stays that needs one which could
    /// not be written.
    fn write_our_code(
        &mut self,
        placing: Placing<'_>,
        placed: &mut Vec<PlacedJump>,
        refused: &mut BTreeMap<VirtAddr, Arc<str>>,
    ) {
        let Placing { pid, trampolines, hops, .. } = placing;
        for (start, bytes) in trampolines.runs().into_iter().chain(hops.runs()) {
            let Err(error) = self.target.write_memory(pid, start, &bytes) else { continue };
            let unwritten = AddrRange::sized(start, bytes.len() as u64);
            let why: Arc<str> = error.to_string().into();
            placed.retain(|jump| {
                let lost = jump.patch.leads_through(unwritten);
                if lost {
                    refused.extend(jump.patch.sites.iter().map(|&at| (at, why.clone())));
                }
                !lost
            });
        }
    }

    /// What the books say of the sites that a jump serves.
    fn code_sites(
        &self,
        id: SpaceId,
        planned: &Jump,
        trampoline: &Trampoline,
        ingredients: &[Ingredient],
        ready: &mut BTreeMap<VirtAddr, Ready>,
    ) -> Result<Vec<(VirtAddr, CodeSite)>, Arc<str>> {
        let gone = || Arc::<str>::from("the process is gone");
        let mut sites = Vec::new();
        for &at in &planned.sites {
            let one = ready.remove(&at).ok_or_else(gone)?;
            let slot = trampoline.slot_at(at).ok_or_else(gone)?;
            let ingredient = ingredients.iter().find(|it| it.at == at).ok_or_else(gone)?;
            let passes = ingredient.decides.as_ref().map_or(0, |deciding| deciding.passes);
            let told = self.spaces.get(&id).map_or(0, |space| space.rows.total(passes));
            let credit = one.credit.map(|word| Credit { word, given: BTreeMap::new() });
            let jump = JumpSite {
                patch: planned.at,
                asked: one.wanted.asked,
                passes,
                told,
                credit,
                cells: one.cells,
            };
            let site = CodeSite {
                owners: one.wanted.owners,
                form: Form::Jump(Box::new(jump)),
                detour: Detour::Slot(slot),
                displaced: ingredient.code,
            };
            sites.push((at, site));
        }
        Ok(sites)
    }

    fn ingredients(
        &mut self,
        id: SpaceId,
        planned: &Jump,
        program: &ProgramBytes,
        ready: &BTreeMap<VirtAddr, Ready>,
    ) -> Result<Arc<[Ingredient]>, Arc<str>> {
        let mut ingredients = Vec::new();
        for displaced in planned.copied() {
            let decides = match ready.get(&displaced.at) {
                Some(one) => {
                    let space = self.spaces.get_mut(&id).ok_or("the process is gone")?;
                    let passes = space.rows.new_word().ok_or("there is no room for more counts")?;
                    Some(Deciding { predicate: one.predicate.clone(), passes })
                }
                None => None,
            };
            ingredients.push(Ingredient {
                at: displaced.at,
                code: CodeBytes::first_of(program.at(displaced.at, displaced.len.into())),
                decides,
            });
        }
        Ok(ingredients.into())
    }

    /// Writes jumps and enters them into the books.
    fn write_jumps(
        &mut self,
        id: SpaceId,
        pid: Pid,
        mut placed: Vec<PlacedJump>,
        map: &[Region],
        refused: &mut BTreeMap<VirtAddr, Arc<str>>,
    ) {
        let mut refuse = |jump: &PlacedJump, why: String| {
            let why: Arc<str> = why.into();
            refused.extend(jump.patch.sites.iter().map(|&at| (at, why.clone())));
        };
        placed.retain(|jump| match self.arm_jump(id, jump) {
            Ok(()) => true,
            Err(why) => {
                refuse(jump, why);
                false
            }
        });
        let changes: Vec<(VirtAddr, CodeBytes)> =
            placed.iter().map(|jump| (jump.at, jump.bytes)).collect();
        let failed: BTreeMap<VirtAddr, _> =
            self.change_code(pid, map, &changes).into_iter().collect();
        for jump in placed {
            let Some(space) = self.spaces.get_mut(&id) else { return };
            if let Some(error) = failed.get(&jump.at) {
                space.overlay.disarm(jump.at);
                refuse(&jump, error.to_string());
                continue;
            }
            let sites = jump.patch.sites.clone();
            space.patches.insert(jump.at, jump.patch);
            space.code_sites.extend(jump.code_sites);
            for site in sites {
                self.publish_values(pid, site);
            }
        }
    }

    fn arm_jump(&mut self, id: SpaceId, jump: &PlacedJump) -> Result<(), String> {
        let original = jump.patch.made_for.get(..jump.bytes.len()).unwrap_or_default();
        let space = self.spaces.get_mut(&id).ok_or("the process is gone")?;
        space.overlay.arm(jump.at, original, &jump.bytes).map_err(|why| why.to_string())
    }
}

/// A site whose predicate is compiled.
pub(super) struct Ready {
    pub(super) wanted: Wanted,
    pub(super) predicate: Arc<Predicate>,
    /// The word that pays for quiet hits.
    pub(super) credit: Option<u32>,
    pub(super) cells: Vec<Cells>,
}

/// What placing jumps needs and makes.
struct Placing<'m> {
    id: SpaceId,
    pid: Pid,
    map: &'m [Region],
    code: CodeCache,
    trampolines: OurCode,
    hops: OurCode,
}

impl<'m> Placing<'m> {
    fn new(id: SpaceId, pid: Pid, map: &'m [Region]) -> Self {
        let [trampolines, hops] = [OurCode::default(), OurCode::default()];
        Self { id, pid, map, code: CodeCache::default(), trampolines, hops }
    }
}

/// A jump whose trampoline is there.
struct PlacedJump {
    at: VirtAddr,
    bytes: CodeBytes,
    code_sites: Vec<(VirtAddr, CodeSite)>,
    patch: Patch,
}

/// What the books say of a jump.
fn books_on(planned: &Jump, trampoline: &Trampoline, program: &ProgramBytes) -> Patch {
    Patch {
        range: planned.changes(),
        sites: planned.sites.clone(),
        relies_on: planned.relies_on(),
        made_for: program.from(planned.at).into(),
        tactic: planned.tactic,
        hop: match planned.entry {
            Entry::At(range) => Some(range),
            Entry::Anywhere => None,
        },
        trampoline: trampoline.to,
        len: trampoline.bytes.len() as u64,
    }
}

/// Where debug registers match instructions.
fn matched(sites: &[Site]) -> BTreeSet<VirtAddr> {
    let place = |site: &Site| match site.what {
        SiteWhat::Slot { slot, .. } if slot.kind == SlotKind::Execute => Some(slot.addr),
        _ => None,
    };
    sites.iter().filter_map(place).collect()
}

/// What an edit does to code: puts a trap there or takes one away.
fn changed_code(edit: &Edit) -> Option<VirtAddr> {
    match *edit {
        Edit::AddTrap { addr } | Edit::RemoveTrap { addr } => Some(addr),
        Edit::AddJump { .. }
        | Edit::RemoveJump { .. }
        | Edit::ClearSlot { .. }
        | Edit::SetSlot { .. }
        | Edit::ChangeOwners { .. } => None,
    }
}

/// No trampoline of these has more bytes.
fn room_for(ingredients: &[Ingredient]) -> u64 {
    const AROUND: usize = 96;
    const KEPT: usize = 36;
    let one = |ingredient: &Ingredient| {
        let decides = ingredient.decides.as_ref().map_or(0, |deciding| {
            let frame = &deciding.predicate.frame;
            let kept = frame.saved.len() + frame.vectors.len();
            deciding.predicate.code.len() + AROUND + KEPT * kept
        });
        decides + MAX_SLOT
    };
    ingredients.iter().map(one).sum::<usize>() as u64
}

/// The program's code in a space, for the planner of jumps.
struct SpaceCode<'a> {
    memory: SpaceMemory<'a>,
    code: &'a CodeCache,
    modules: &'a Modules,
    map: &'a [Region],
}

impl ProgramCode for SpaceCode<'_> {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        self.code.read(&self.memory, addr, buf)
    }

    fn function(&self, addr: VirtAddr) -> Option<Function> {
        let module = self.modules.at(addr)?;
        let here = module.to_image(addr);
        let function = module.image.function_at(here)?;
        let virt = |&(start, end)| {
            AddrRange::between(module.bias.to_virt(start), module.bias.to_virt(end))
        };
        let ranges: Vec<AddrRange> = function.ranges.iter().map(virt).collect();
        let part = *ranges.iter().find(|range| range.contains(addr))?;
        let others = ranges.into_iter().filter(|range| *range != part).collect();
        Some(Function { part, others })
    }

    fn protected(&self, range: AddrRange) -> Option<Protected> {
        let is_code = |region: &Region| {
            region.execute && !region.write && !region.shared && region.inode.1 != 0
        };
        let region = region_at(self.map, range.start);
        if !region.is_some_and(|it| is_code(it) && it.range.end >= range.end) {
            return Some(Protected::NotCode);
        }
        let module = self.modules.at(range.start)?;
        let bytes = (0..range.len()).map(|offset| range.start.wrapping_add(offset));
        let restartable = |addr| module.image.is_restartable(module.to_image(addr));
        bytes.into_iter().any(restartable).then_some(Protected::Restartable)
    }
}
