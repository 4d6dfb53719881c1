//! An address space of the debuggee: what is loaded in it and what of ours is
//! in it. Usually one per process; a vfork child shares its parent's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use trapline_core::breakpoint::Mechanism;
use trapline_core::overlay::Overlay;
use trapline_core::plan::{Owner, Owners, Site, SiteWhat};
use trapline_core::x64::CodeBytes;
use trapline_core::x64::debug::{DebugRegisters, SLOTS, Slot, SlotKind};
use trapline_core::{AddrRange, ImageAddr, LoadBias, LocationId, ModuleId, Tid, VirtAddr};
use trapline_expr::{Input, Program};
use trapline_patch::jump::{Functions, HopPages, Rejected, Tactic};
use trapline_symbols::Image;

use crate::arena::Arena;
use crate::rows::Rows;
use crate::tls::Linker;

/// An address space of the session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SpaceId(u32);

impl SpaceId {
    pub(crate) const fn new(raw: u32) -> Self {
        Self(raw)
    }
}

/// What is known of one address space.
#[derive(Clone)]
pub(crate) struct Space {
    pub(crate) modules: Modules,
    /// What the planner last decided and we carried out.
    pub(crate) sites: Vec<Site>,
    /// Those among `sites` that are written over code, by the instruction they
    /// are for.
    pub(crate) code_sites: HashMap<VirtAddr, CodeSite>,
    /// The jumps that are written over code, by where they begin.
    pub(crate) patches: BTreeMap<VirtAddr, Patch>,
    /// Why there can be no jump at some places, as far as it was tried.
    pub(crate) jumpless: HashMap<VirtAddr, Arc<str>>,
    /// Why jumps are not placed in ways that come before those they are.
    pub(crate) trails: HashMap<VirtAddr, Vec<Rejected>>,
    pub(crate) rows: Rows,
    /// Memory for values of the last pass that nobody uses.
    pub(crate) free_cells: Vec<VirtAddr>,
    /// Pages for jumps on the way to trampolines.
    pub(crate) hop_pages: HopPages,
    /// What was found out about the program's functions.
    pub(crate) functions: Functions,
    pub(crate) overlay: Overlay,
    pub(crate) arena: Arena,
    /// Why nothing may be allocated here, once that is known.
    pub(crate) no_arena: Option<Arc<str>>,
    /// Our trap in the dynamic linker, which it passes when its list of
    /// libraries changed.
    pub(crate) linker_trap: Option<VirtAddr>,
    /// Places of our own that internal owners stand for.
    pub(crate) internal: Vec<Internal>,
    /// Where traps were found that are in no books, and told of.
    pub(crate) strays: HashSet<VirtAddr>,
    /// Starts of mapped files without names for anything, and told of.
    pub(crate) nameless: HashSet<VirtAddr>,
    /// Whether wants changed since the planner last ran.
    pub(crate) stale: bool,
    /// Whether sites went since our memory was last looked through for what
    /// nothing needs.
    pub(crate) has_litter: bool,
}

/// A trap or a jump of ours over an instruction of the program's.
#[derive(Clone, Debug)]
pub(crate) struct CodeSite {
    pub(crate) owners: Owners,
    pub(crate) form: Form,
    pub(crate) detour: Detour,
    /// The program's instruction that it stands for, whole.
    pub(crate) displaced: CodeBytes,
}

/// What is written for a site.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// A trap byte.
    Trap,
    /// A jump, or a part of one that several sites share.
    Jump(Box<JumpSite>),
}

impl CodeSite {
    /// What it is served by.
    pub(crate) fn mechanism(&self) -> Mechanism {
        match self.form {
            Form::Trap => Mechanism::Trap,
            Form::Jump(_) => Mechanism::Jump,
        }
    }

    pub(crate) fn jump_mut(&mut self) -> Option<&mut JumpSite> {
        match &mut self.form {
            Form::Trap => None,
            Form::Jump(jump) => Some(jump),
        }
    }

    pub(crate) fn jump(&self) -> Option<&JumpSite> {
        match &self.form {
            Form::Trap => None,
            Form::Jump(jump) => Some(jump),
        }
    }
}

/// What is particular about a site that a jump serves.
#[derive(Clone, Debug)]
pub(crate) struct JumpSite {
    /// Where its patch begins.
    pub(crate) patch: VirtAddr,
    /// What its code was compiled from.
    pub(crate) asked: Vec<Asked>,
    /// The word of a row that counts its quiet passes.
    pub(crate) passes: u32,
    /// How many of them its owners have been told of.
    pub(crate) told: u64,
    /// Who pays for hits that count without a stop.
    pub(crate) credit: Option<Credit>,
    /// Where its code compares with values of the last pass, by owner.
    pub(crate) cells: Vec<Cells>,
}

/// Memory of ours with what one owner saw at the last pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    pub(crate) location: Option<LocationId>,
    /// Of the value that is to have changed.
    pub(crate) last: Option<VirtAddr>,
    /// Of each `$_changed` in its condition.
    pub(crate) slots: Vec<VirtAddr>,
}

impl Cells {
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none() && self.slots.is_empty()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = VirtAddr> {
        self.last.into_iter().chain(self.slots.iter().copied())
    }
}

/// Hits that threads may count by themselves.
#[derive(Clone, Debug)]
pub(crate) struct Credit {
    /// The word of a row that holds what the thread has left.
    pub(crate) word: u32,
    /// What was left in each row when it was last looked at.
    pub(crate) given: BTreeMap<VirtAddr, u64>,
}

/// What one owner asks at a pass, to know it again.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) owner: Owner,
    pub(crate) filter: Option<Arc<Program>>,
    pub(crate) condition: Option<Arc<Program>>,
    pub(crate) changed: Option<Arc<Program>>,
    /// Whether some of its hits count without a stop.
    pub(crate) counts: bool,
}

impl Asked {
    /// Whether any of it reads something that only the debugger can say.
    pub(crate) fn reads(&self, input: Input) -> bool {
        let mut programs = [&self.filter, &self.condition, &self.changed].into_iter().flatten();
        programs.any(|program| program.inputs.contains(&input))
    }
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &Option<Arc<Program>>, other: &Option<Arc<Program>>| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        (self.owner, self.counts) == (other.owner, other.counts)
            && same(&self.filter, &other.filter)
            && same(&self.condition, &other.condition)
            && same(&self.changed, &other.changed)
    }
}

/// A jump written over code.
#[derive(Clone, Debug)]
pub(crate) struct Patch {
    /// The bytes it changed.
    pub(crate) range: AddrRange,
    /// The sites it serves.
    pub(crate) sites: Vec<VirtAddr>,
    /// Bytes behind them that its offset ends with.
    pub(crate) relies_on: AddrRange,
    /// The program's own bytes from its first on that it was made for.
    pub(crate) made_for: Box<[u8]>,
    pub(crate) tactic: Tactic,
    /// The jump of ours in between.
    pub(crate) hop: Option<AddrRange>,
    /// Where it goes in the end.
    pub(crate) trampoline: VirtAddr,
    /// Bytes of the trampoline.
    pub(crate) len: u64,
}

impl Patch {
    /// Whether a way through it has a byte in a range.
    pub(crate) fn leads_through(&self, range: AddrRange) -> bool {
        let trampoline = AddrRange::sized(self.trampoline, self.len);
        range.overlaps(trampoline) || self.hop.is_some_and(|hop| range.overlaps(hop))
    }
}

/// How a thread gets past a site without opening it for others.
#[derive(Clone, Debug)]
pub(crate) enum Detour {
    /// Through a copy of the displaced instruction in the arena.
    Slot(VirtAddr),
    /// There is no slot, for this reason: the trap is lifted for one step
    /// while every other thread is held.
    Lift(Arc<str>),
}

/// A reason of ours to stop at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Internal {
    /// As in [`Owner::Internal`].
    pub(crate) number: u32,
    pub(crate) addr: VirtAddr,
    pub(crate) purpose: Purpose,
}

/// Why we stop somewhere on our own account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// The dynamic linker's list of libraries changed.
    Libraries,
    /// A call that a thread steps over returns here.
    Return {
        /// The thread.
        tid: Tid,
        /// Stack pointers below this belong to deeper recursions.
        stack: u64,
    },
    /// A thread on a course may come here.
    Course {
        /// The thread.
        tid: Tid,
        /// What that means.
        halt: Halt,
    },
    /// The frame that a data watch belongs to returns here.
    ScopeEnd {
        /// The watch's location.
        location: trapline_core::LocationId,
        /// The frame's thread.
        tid: Tid,
        /// Stack pointers below this belong to deeper recursions.
        stack: u64,
    },
}

/// What it means that a thread on a course has come to a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Halt {
    /// The course may end here.
    Here,
    /// The instruction here may lead anywhere.
    Unclear,
    /// A function is entered that the course ends in.
    Entered,
    /// A call comes back to the course's frame.
    Back {
        /// Stack pointers below this belong to deeper recursions.
        stack: u64,
    },
    /// The course's frame has returned.
    Out {
        /// The same.
        stack: u64,
    },
    /// An exception has left the course's frame and is caught further out, or
    /// passes through there.
    Thrown {
        /// The same.
        stack: u64,
    },
}

impl Space {
    pub(crate) fn new() -> Self {
        Self {
            modules: Modules::default(),
            sites: Vec::new(),
            code_sites: HashMap::new(),
            patches: BTreeMap::new(),
            jumpless: HashMap::new(),
            trails: HashMap::new(),
            rows: Rows::default(),
            free_cells: Vec::new(),
            hop_pages: HopPages::default(),
            functions: Functions::default(),
            overlay: Overlay::default(),
            arena: Arena::default(),
            no_arena: None,
            linker_trap: None,
            internal: Vec::new(),
            strays: HashSet::new(),
            nameless: HashSet::new(),
            stale: false,
            has_litter: false,
        }
    }

    /// The program's own pc for a raw one: that of the displaced instruction
    /// when the thread is in a slot of ours.
    pub(crate) fn program_pc(&self, raw: VirtAddr) -> VirtAddr {
        self.arena.program_pc(raw).unwrap_or(raw)
    }

    /// What a thread's debug registers are to hold.
    pub(crate) fn debug_registers_for(&self, tid: Tid) -> DebugRegisters {
        let mut registers = DebugRegisters::default();
        for (index, slot, _) in self.slots_for(tid) {
            if let Some(place) = registers.slots.get_mut(usize::from(index)) {
                *place = Some(slot);
            }
        }
        registers
    }

    /// The jump that serves a site.
    pub(crate) fn jump_at(&self, at: VirtAddr) -> Option<(&JumpSite, &Patch)> {
        let jump = self.code_sites.get(&at)?.jump()?;
        Some((jump, self.patches.get(&jump.patch)?))
    }

    /// Takes a patch and its sites out of the books.
    pub(crate) fn forget_patch(&mut self, at: VirtAddr) {
        let Some(patch) = self.patches.remove(&at) else { return };
        self.has_litter = true;
        if let Some(hop) = patch.hop {
            self.hop_pages.give_back(hop);
        }
        for at_site in patch.sites {
            let site = self.code_sites.get(&at_site);
            if site.and_then(CodeSite::jump).is_none_or(|jump| jump.patch != at) {
                continue;
            }
            let site = self.code_sites.remove(&at_site);
            let Some(jump) = site.as_ref().and_then(CodeSite::jump) else { continue };
            self.rows.free_word(jump.passes);
            self.free_cells.extend(jump.cells.iter().flat_map(Cells::all));
            jump.credit.iter().for_each(|credit| self.rows.free_word(credit.word));
        }
    }

    /// The program's own bytes that what is armed at an address was made for.
    pub(crate) fn made_for(&self, at: VirtAddr) -> &[u8] {
        let of_trap = || self.code_sites.get(&at).map_or(&[][..], |site| &site.displaced);
        self.patches.get(&at).map_or_else(of_trap, |patch| &patch.made_for)
    }

    /// The sites that share a patch.
    pub(crate) fn sites_of_patch(&self, at: VirtAddr) -> Vec<VirtAddr> {
        self.patches.get(&at).map(|patch| patch.sites.clone()).unwrap_or_default()
    }

    /// The same for those in a range, whose code is gone.
    pub(crate) fn forget_patches_in(&mut self, range: AddrRange) {
        let inside = self.patches.range(range.start..range.end);
        let patches: Vec<VirtAddr> = inside.map(|(&at, _)| at).collect();
        for at in patches {
            self.forget_patch(at);
        }
        self.functions.forget(range);
    }

    /// The patch that changed an address behind its first byte.
    pub(crate) fn patch_within(&self, at: VirtAddr) -> Option<&Patch> {
        let (_, patch) = self.patches.range(..at).next_back()?;
        patch.range.contains(at).then_some(patch)
    }

    /// Whether executing the instruction at an address is a pass for a thread.
    pub(crate) fn has_site(&self, tid: Tid, at: VirtAddr) -> bool {
        self.code_sites.contains_key(&at) || self.execute_owners(tid, at).next().is_some()
    }

    /// The owners of the debug registers that match a thread's executing the
    /// instruction at an address.
    pub(crate) fn execute_owners(&self, tid: Tid, at: VirtAddr) -> impl Iterator<Item = Owner> {
        self.slots_for(tid)
            .filter(move |(_, slot, _)| slot.kind == SlotKind::Execute && slot.addr == at)
            .flat_map(|(_, _, site)| site.owners.iter().copied())
    }

    /// The debug-register sites that are armed on a thread.
    pub(crate) fn slots_for(&self, tid: Tid) -> impl Iterator<Item = (u8, Slot, &Site)> {
        self.sites.iter().filter_map(move |site| match site.what {
            SiteWhat::Slot { index, slot, thread }
                if usize::from(index) < SLOTS && thread.is_none_or(|only| only == tid) =>
            {
                Some((index, slot, site))
            }
            _ => None,
        })
    }
}

/// An image at its place in an address space.
#[derive(Clone)]
pub(crate) struct Module {
    pub(crate) image: Arc<Image>,
    pub(crate) bias: LoadBias,
    pub(crate) range: AddrRange,
    /// The file as the debuggee names it.
    pub(crate) path: std::path::PathBuf,
    /// Position in the order of loading.
    pub(crate) loaded: u32,
}

impl Module {
    pub(crate) fn id(&self) -> ModuleId {
        self.image.module()
    }

    pub(crate) fn to_image(&self, addr: VirtAddr) -> ImageAddr {
        self.bias.to_image(addr)
    }
}

/// The images of an address space, ascending. Copies are cheap: whoever works
/// on a space's breakpoints takes one.
#[derive(Clone, Default)]
pub(crate) struct Modules {
    held: Arc<ModuleList>,
}

#[derive(Clone, Default)]
struct ModuleList {
    by_address: Vec<Module>,
    /// Indices into it.
    load_order: Vec<usize>,
    linker: OnceLock<Linker>,
}

impl ModuleList {
    fn new(by_address: Vec<Module>) -> Self {
        let mut load_order: Vec<usize> = (0..by_address.len()).collect();
        load_order.sort_by_key(|&index| by_address[index].loaded);
        Self { by_address, load_order, linker: OnceLock::new() }
    }
}

impl Modules {
    /// One image as if it were loaded where it was linked.
    pub(crate) fn alone(image: Arc<Image>) -> Self {
        let (start, end) = image.image_range();
        let bias = LoadBias::default();
        let module = Module {
            range: AddrRange::between(bias.to_virt(start), bias.to_virt(end)),
            path: image.path().to_owned(),
            bias,
            loaded: 0,
            image,
        };
        Self { held: Arc::new(ModuleList::new(vec![module])) }
    }

    /// Whether it is another copy of the same list.
    pub(crate) fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.held, &other.held)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Module> {
        self.held.by_address.iter()
    }

    /// The image that an address lies in.
    pub(crate) fn at(&self, addr: VirtAddr) -> Option<&Module> {
        let list = &self.held.by_address;
        let next = list.partition_point(|module| module.range.start <= addr);
        let module = list.get(next.checked_sub(1)?)?;
        module.range.contains(addr).then_some(module)
    }

    /// The images in the order in which the program loaded them: executable
    /// first.
    pub(crate) fn in_load_order(&self) -> impl Iterator<Item = &Module> {
        self.held.load_order.iter().map(|&index| &self.held.by_address[index])
    }

    /// What they say of the dynamic linker among them.
    pub(crate) fn linker(&self) -> &Linker {
        self.held.linker.get_or_init(|| Linker::among(self))
    }

    pub(crate) fn by_id(&self, id: ModuleId) -> Option<&Module> {
        self.iter().find(|module| module.id() == id)
    }

    pub(crate) fn insert(&mut self, module: Module) {
        let mut list = Arc::unwrap_or_clone(std::mem::take(&mut self.held)).by_address;
        let place = list.partition_point(|other| other.range.start <= module.range.start);
        list.insert(place, module);
        self.held = Arc::new(ModuleList::new(list));
    }

    /// Removes the images for which `keep` is false and returns them.
    pub(crate) fn remove_unless(&mut self, keep: impl Fn(&Module) -> bool) -> Vec<Module> {
        if self.iter().all(&keep) {
            return Vec::new();
        }
        let list = Arc::unwrap_or_clone(std::mem::take(&mut self.held)).by_address;
        let (kept, gone) = list.into_iter().partition(keep);
        self.held = Arc::new(ModuleList::new(kept));
        gone
    }
}
