//! An address space of the debuggee: what is loaded in it and what of ours is
//! in it. Usually one per process; a vfork child shares its parent's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use trapline_core::overlay::Overlay;
use trapline_core::plan::{Owner, Owners, Site, SiteWhat};
use trapline_core::x64::CodeBytes;
use trapline_core::x64::debug::{DebugRegisters, SLOTS, Slot, SlotKind};
use trapline_core::{AddrRange, ImageAddr, LoadBias, ModuleId, Tid, VirtAddr};
use trapline_symbols::Image;

use crate::arena::Arena;

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
    /// The traps among `sites`, for the hot path.
    pub(crate) traps: HashMap<VirtAddr, Trap>,
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
}

/// A trap byte of ours.
#[derive(Clone, Debug)]
pub(crate) struct Trap {
    pub(crate) owners: Owners,
    pub(crate) detour: Detour,
    /// The program's instruction that it stands for, whole.
    pub(crate) displaced: CodeBytes,
}

/// How a thread gets past a trap without opening it for others.
#[derive(Clone, Debug)]
pub(crate) enum Detour {
    /// Through a slot in the arena that holds the displaced instruction.
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

impl Space {
    pub(crate) fn new() -> Self {
        Self {
            modules: Modules::default(),
            sites: Vec::new(),
            traps: HashMap::new(),
            overlay: Overlay::default(),
            arena: Arena::default(),
            no_arena: None,
            linker_trap: None,
            internal: Vec::new(),
            strays: HashSet::new(),
            nameless: HashSet::new(),
            stale: false,
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

    /// Whether executing the instruction at an address is a pass for a thread.
    pub(crate) fn has_site(&self, tid: Tid, at: VirtAddr) -> bool {
        self.traps.contains_key(&at) || self.execute_owners(tid, at).next().is_some()
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
}

impl ModuleList {
    fn new(by_address: Vec<Module>) -> Self {
        let mut load_order: Vec<usize> = (0..by_address.len()).collect();
        load_order.sort_by_key(|&index| by_address[index].loaded);
        Self { by_address, load_order }
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
