//! The books on trampolines: where each is and what it was made from. What
//! they look like inside is built again when somebody asks, since there may be
//! very many and few are ever asked about.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use trapline_core::predicate::Predicate;
use trapline_core::x64::CodeBytes;
use trapline_core::{AddrRange, VirtAddr};
use trapline_patch::trampoline::{Decides, Detail, Displaced, Kept, Standing, Trampoline, build};

/// One displaced instruction, and what is decided before it.
#[derive(Clone, Debug)]
pub(crate) struct Ingredient {
    pub(crate) at: VirtAddr,
    pub(crate) code: CodeBytes,
    pub(crate) decides: Option<Deciding>,
}

/// What a site's code decides, and where it counts.
#[derive(Clone, Debug)]
pub(crate) struct Deciding {
    pub(crate) predicate: Arc<Predicate>,
    /// The word of a row that counts quiet passes.
    pub(crate) passes: u32,
}

impl Ingredient {
    fn displaced(&self) -> Displaced<'_> {
        let decides = self.decides.as_ref();
        let decides = decides
            .map(|deciding| Decides { predicate: &deciding.predicate, passes: deciding.passes });
        Displaced { at: self.at, code: &self.code, decides }
    }
}

/// The trampoline made from some ingredients at a place; a sentence when there
/// can be none.
pub(crate) fn made_from(
    ingredients: &[Ingredient],
    to: VirtAddr,
    detail: Detail,
) -> Result<Trampoline, String> {
    let displaced: Vec<Displaced<'_>> = ingredients.iter().map(Ingredient::displaced).collect();
    build(&displaced, to, detail).map_err(|why| why.to_string())
}

/// How a thread stands in code that decides.
#[derive(Clone, Debug)]
pub(crate) struct InDecision {
    /// The displaced instruction.
    pub(crate) site: VirtAddr,
    pub(crate) standing: Standing,
    /// The copy of the displaced instruction.
    pub(crate) slot: VirtAddr,
}

/// The trampolines of an address space.
#[derive(Clone, Default)]
pub(crate) struct Trampolines {
    placed: BTreeMap<VirtAddr, Placed>,
    /// The sites for which the traps at these addresses ask.
    asking: HashMap<VirtAddr, VirtAddr>,
    /// Jumps on the way to a trampoline, and the program's place that each
    /// stands for.
    hops: BTreeMap<VirtAddr, VirtAddr>,
}

#[derive(Clone)]
struct Placed {
    len: u64,
    ingredients: Arc<[Ingredient]>,
}

impl Trampolines {
    pub(super) fn place(&mut self, trampoline: &Trampoline, ingredients: Arc<[Ingredient]>) {
        let len = trampoline.bytes.len() as u64;
        self.placed.insert(trampoline.to, Placed { len, ingredients });
        self.asking
            .extend(trampoline.decisions.iter().map(|decision| (decision.trap(), decision.site)));
    }

    pub(super) fn place_hop(&mut self, at: VirtAddr, stands_for: VirtAddr) {
        self.hops.insert(at, stands_for);
    }

    /// Forgets what was in a range.
    pub(super) fn forget(&mut self, range: AddrRange) {
        self.placed.retain(|&at, _| !range.contains(at));
        self.asking.retain(|&at, _| !range.contains(at));
        self.hops.retain(|&at, _| !range.contains(at));
    }

    pub(super) fn asked(&self, trap: VirtAddr) -> Option<VirtAddr> {
        self.asking.get(&trap).copied()
    }

    pub(super) fn around(&self, raw: VirtAddr) -> Option<Trampoline> {
        let (&start, placed) = self.placed.range(..=raw).next_back()?;
        let inside = raw.checked_sub(start).is_some_and(|offset| offset < placed.len);
        inside.then(|| made_from(&placed.ingredients, start, Detail::Meaning).ok())?
    }

    pub(super) fn hop_to(&self, raw: VirtAddr) -> Option<VirtAddr> {
        self.hops.get(&raw).copied()
    }

    pub(super) fn decision(&self, raw: VirtAddr) -> Option<InDecision> {
        if let Some(site) = self.hop_to(raw) {
            let standing = Standing {
                decided: trapline_patch::trampoline::Decided::Nothing,
                kept: Kept::default(),
            };
            return Some(InDecision { site, standing, slot: raw });
        }
        let trampoline = self.around(raw)?;
        let decision = trampoline.decisions.iter().find(|decision| decision.contains(raw))?;
        let slot = trampoline.slot_at(decision.site)?;
        Some(InDecision { site: decision.site, standing: decision.standing(raw)?.clone(), slot })
    }
}
