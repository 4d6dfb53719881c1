//! How many places of a program could be served by a jump to code of ours, and
//! how: every place is planned where it really is in memory, alone and all
//! together. Nothing is written into the program.

mod layout;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;
use trapline_core::x64::MAX_INSTRUCTION;
use trapline_core::{AddrRange, ImageAddr, LoadBias, ModuleId, VirtAddr};
use trapline_engine::CommandError;
use trapline_patch::insn::decode;
use trapline_patch::jump::{
    Function, Functions, HopPages, Plan, ProgramCode, Protected, Request, Tactic, Tactics, plan,
};
use trapline_patch::near::{Growth, Space, Taken, find_gap};
use trapline_symbols::{Image, LoadOptions};

use self::layout::Layout;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Which places.
    pub(crate) places: Places,
    /// Whether to plan all together too.
    pub(crate) all_at_once: bool,
    /// Whether addresses are randomised.
    pub(crate) aslr: bool,
    /// How jumps may be placed.
    pub(crate) tactics: Tactics,
}

/// Which places are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Places {
    /// The address of every statement, by the line table.
    Statements,
    /// Every instruction of every function.
    Instructions,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// How the file was brought into memory.
    pub(crate) layout: String,
    /// How many places there are.
    pub(crate) places: usize,
    /// Each planned as if it were the only one.
    pub(crate) alone: Shares,
    /// All planned together, if that was asked for.
    pub(crate) together: Option<Shares>,
    /// Each place and what would serve it, planned together if that was asked
    /// for, else alone.
    pub(crate) each: BTreeMap<VirtAddr, Fate>,
}

/// What would serve a place.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// A jump, placed so.
    Jump(Tactic),
    /// A trap: what each tactic failed for.
    Trap(String),
}

/// How places are served.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// By tactic.
    pub(crate) served: BTreeMap<Tactic, usize>,
    /// Those without a jump, by reason.
    pub(crate) unserved: BTreeMap<&'static str, usize>,
    /// Windows that serve more than one.
    pub(crate) shared_windows: usize,
    /// How many they serve.
    pub(crate) in_shared_windows: usize,
    /// Pages mapped for hops.
    pub(crate) pages: u64,
    /// Mappings these make.
    pub(crate) mappings: usize,
}

impl Shares {
    /// How many places are served by a jump.
    pub(crate) fn in_process(&self) -> usize {
        self.served.values().sum()
    }

    fn add(&mut self, plan: &Plan) {
        for jump in &plan.jumps {
            *self.served.entry(jump.tactic).or_default() += jump.sites.len();
            if jump.sites.len() > 1 {
                self.shared_windows += 1;
                self.in_shared_windows += jump.sites.len();
            }
        }
        for unserved in &plan.unserved {
            *self.unserved.entry(unserved.why.summary()).or_default() += 1;
        }
        self.pages += plan.new_pages.iter().map(|pages| pages.len() / PAGE).sum::<u64>();
        self.mappings += plan.new_pages.len();
    }
}

/// Plans every place of a file.
///
/// # Errors
/// When the file cannot be read or started, or has no such places.
pub(crate) fn measure(path: &Path, wish: Wish) -> Result<Coverage, CommandError> {
    let options = LoadOptions::default();
    let image = Image::load(path, ModuleId::new(1), &options)
        .map_err(|error| CommandError::new(error.to_string()))?;
    let mut target = crate::backend::local_target()?;
    let layout = Layout::find(&mut *target, &image, wish.aslr)?;
    let loaded = Loaded { image: &image, bias: layout.bias };
    let how = layout.how.clone();
    let sites = loaded.sites(wish.places);
    if sites.is_empty() {
        let what = match wish.places {
            Places::Statements => "no line information",
            Places::Instructions => "no functions",
        };
        return Err(CommandError::new(format!("{} has {what}", path.display())));
    }
    let mut planner = Planner::new(&loaded, layout, sites.len(), wish.tactics)?;
    let mut alone = Shares::default();
    let mut each = BTreeMap::new();
    for site in &sites {
        let plan = planner.plan(std::slice::from_ref(site));
        alone.add(&plan);
        each.extend(fates(&plan));
    }
    let together = wish.all_at_once.then(|| {
        let mut together = Shares::default();
        let plan = planner.plan(&sites);
        together.add(&plan);
        each.extend(fates(&plan));
        together
    });
    Ok(Coverage { layout: how, places: sites.len(), alone, together, each })
}

fn fates(plan: &Plan) -> impl Iterator<Item = (VirtAddr, Fate)> + '_ {
    let served = plan
        .jumps
        .iter()
        .flat_map(|jump| jump.sites.iter().map(move |&site| (site, Fate::Jump(jump.tactic))));
    let left = plan.unserved.iter().map(|unserved| {
        let tried = plan.rejected.get(&unserved.site).map(Vec::as_slice).unwrap_or_default();
        let tried: Vec<String> = tried.iter().map(ToString::to_string).collect();
        let why = if tried.is_empty() { unserved.why.to_string() } else { tried.join("; ") };
        (unserved.site, Fate::Trap(why))
    });
    served.chain(left)
}

/// An image at its place.
struct Loaded<'a> {
    image: &'a Image,
    bias: LoadBias,
}

impl Loaded<'_> {
    /// The places, ascending.
    fn sites(&self, places: Places) -> Vec<VirtAddr> {
        let mut sites: Vec<VirtAddr> = match places {
            Places::Statements => {
                self.image.statement_addresses().map(|at| self.bias.to_virt(at)).collect()
            }
            Places::Instructions => self.instructions(),
        };
        sites.sort_unstable();
        sites.dedup();
        sites
    }

    fn instructions(&self) -> Vec<VirtAddr> {
        let Ok(every) = Regex::new("") else { return Vec::new() };
        let functions = self.image.functions_matching(&every);
        let parts = functions.iter().filter(|it| !it.inlined).flat_map(|it| it.ranges.clone());
        let parts: BTreeSet<(ImageAddr, ImageAddr)> = parts.collect();
        parts.into_iter().flat_map(|part| self.sweep(part)).collect()
    }

    fn sweep(&self, (start, end): (ImageAddr, ImageAddr)) -> Vec<VirtAddr> {
        let mut found = Vec::new();
        let mut at = start;
        while at < end {
            let mut bytes = [0; MAX_INSTRUCTION];
            let read = self.image.read_static(at, &mut bytes);
            let here = self.bias.to_virt(at);
            let insn = decode(&bytes[..read], here);
            found.extend(insn.map(|_| here));
            at = at.wrapping_add(insn.map_or(1, |insn| insn.len() as u64));
        }
        found
    }
}

impl ProgramCode for Loaded<'_> {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        self.image.read_static(self.bias.to_image(addr), buf)
    }

    fn function(&self, addr: VirtAddr) -> Option<Function> {
        let addr = self.bias.to_image(addr);
        let function = self.image.function_at(addr)?;
        let (mut parts, others): (Vec<_>, Vec<_>) =
            function.ranges.iter().partition(|&&(start, end)| start <= addr && addr < end);
        let range =
            |(start, end)| AddrRange::between(self.bias.to_virt(start), self.bias.to_virt(end));
        let part = range(parts.pop()?);
        Some(Function { part, others: others.into_iter().map(range).collect() })
    }

    fn protected(&self, range: AddrRange) -> Option<Protected> {
        let [first, last] =
            [range.start, range.end.wrapping_sub(1)].map(|addr| self.bias.to_image(addr));
        if !self.image.is_code(first) || !self.image.is_code(last) {
            return Some(Protected::NotCode);
        }
        let restartable = self.image.is_restartable(first) || self.image.is_restartable(last);
        restartable.then_some(Protected::Restartable)
    }
}

/// Plans in one layout.
struct Planner<'a> {
    loaded: &'a Loaded<'a>,
    space: Space,
    trampolines: AddrRange,
    functions: Functions,
    tactics: Tactics,
}

impl<'a> Planner<'a> {
    /// Finds room for so many trampolines first.
    fn new(
        loaded: &'a Loaded<'a>,
        layout: Layout,
        sites: usize,
        tactics: Tactics,
    ) -> Result<Self, CommandError> {
        // A comparison, the displaced instruction and the way back.
        const TRAMPOLINE: u64 = 160;
        let len = TRAMPOLINE * sites as u64;
        let mut taken = layout.taken;
        let start = find_gap(&taken, layout.range, len)
            .ok_or_else(|| CommandError::new("no room for trampolines is within reach"))?;
        let trampolines = AddrRange::sized(start, len.next_multiple_of(PAGE));
        taken.push(Taken { range: trampolines, growth: Growth::Fixed });
        taken.sort_unstable_by_key(|taken| taken.range);
        let functions = Functions::default();
        Ok(Self { loaded, space: Space::new(&taken), trampolines, functions, tactics })
    }

    fn plan(&mut self, sites: &[VirtAddr]) -> Plan {
        let request = Request {
            sites,
            traps: &BTreeSet::new(),
            matched: &BTreeSet::new(),
            code: self.loaded,
            space: &self.space,
            pages: &HopPages::default(),
            trampolines: self.trampolines,
            tactics: self.tactics,
        };
        plan(&request, &mut self.functions)
    }
}
