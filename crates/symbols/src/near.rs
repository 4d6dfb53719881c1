//! Which of several namesakes is meant at a place in the program: what is
//! declared in the scopes around it, the innermost first, and there what its own
//! file has before what others do. C++ section 6.5.3 [basic.lookup.unqual], and
//! Rust's modules alike.

use trapline_core::ImageAddr;
use trapline_core::types::Language;

use crate::names::{self, ANONYMOUS, Pattern};
use crate::types::die::Die;
use crate::units::{DieRef, UnitId};
use crate::{Image, dies};

/// A place in the program, as far as names are concerned.
#[derive(Clone, Debug)]
pub struct Near {
    pub(crate) unit: UnitId,
    /// The function, or its copy.
    function: DieRef,
    address: ImageAddr,
    /// The scopes around it, outermost first; the last is its function.
    scopes: Vec<String>,
    /// The base classes of the class that its function is of.
    bases: Vec<Vec<String>>,
}

/// How far what a name may mean is from a place: less is nearer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Distance {
    step: Step,
    elsewhere: bool,
}

/// Which scope a name is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    /// The function's own, or the class's that it is of.
    Near(usize),
    /// A base class's.
    Base,
    /// One further out.
    Far(usize),
}

/// Whether other files can refer to what an entry describes.
pub(crate) fn is_external(die: &Die<'_>) -> bool {
    die.inherited(|die| die.flag(gimli::DW_AT_external).then_some(())).is_some()
}

/// Classes that are looked at for base classes.
const MAX_BASES: usize = 64;

impl Distance {
    /// Whether it is what another file has.
    pub fn is_elsewhere(self) -> bool {
        self.elsewhere
    }
}

impl Near {
    /// The entry of the function, or of its copy.
    pub(crate) fn function(&self) -> DieRef {
        self.function
    }

    pub(crate) fn address(&self) -> ImageAddr {
        self.address
    }

    /// How far something is whose name was found by a pattern; `None` when it
    /// cannot be meant here by so much of its name. `full` is its name with all
    /// scopes, innermost first.
    pub(crate) fn distance<'n>(
        &self,
        pattern: &Pattern,
        full: impl Iterator<Item = &'n str>,
        unit: UnitId,
    ) -> Option<Distance> {
        let mut around: Vec<&str> =
            full.filter(|component| *component != ANONYMOUS).skip(pattern.len()).collect();
        around.reverse();
        Some(Distance { step: self.step(&around)?, elsewhere: unit != self.unit })
    }

    fn step(&self, around: &[&str]) -> Option<Step> {
        if self.scopes.get(..around.len()).is_some_and(|open| open == around) {
            let between = self.scopes.len() - around.len();
            return Some(if between <= 1 { Step::Near(between) } else { Step::Far(between) });
        }
        self.bases.iter().any(|base| base == around).then_some(Step::Base)
    }
}

impl Image {
    /// What surrounds an address, within so many of the inlined calls around it,
    /// or within all.
    pub fn near(&self, address: ImageAddr, inlined: Option<u32>) -> Option<Near> {
        let function = self.function_die_at(address.get())?;
        let mut around = self.inline_chain_at(address);
        around.reverse();
        let depth = inlined.map_or(around.len(), |depth| depth as usize);
        let call = depth.checked_sub(1).and_then(|index| around.get(index));
        let die = Die::open(self.units(), call.map_or(function, |call| call.die))?;
        let declared = die.declared_at();
        let scopes = self.scopes_within(&die)?;
        let bases = self.bases_around(declared);
        Some(Near { unit: declared.unit, function: die.at, address, scopes, bases })
    }

    /// A path of Rust's that begins with `crate`, `self` or `super`, with the
    /// names of the modules that these are at a place; `None` for any other.
    pub fn in_full(&self, path: &str, near: &Near) -> Option<String> {
        let (first, mut rest) = path.split_once("::")?;
        let mut modules = match first {
            "crate" => 1,
            "self" => self.modules_around(near),
            "super" => self.modules_around(near).checked_sub(1)?,
            _ => return None,
        };
        while let Some(further) = rest.strip_prefix("super::") {
            (rest, modules) = (further, modules.checked_sub(1)?);
        }
        let around = near.scopes.get(..modules.max(1))?.join("::");
        Some(format!("::{around}::{rest}"))
    }

    /// How many of the scopes around a place are modules: those outside of
    /// functions, types and their `impl`s.
    fn modules_around(&self, near: &Near) -> usize {
        let mut modules = near.scopes.len().saturating_sub(1);
        while modules > 1 {
            let path = near.scopes[..modules].join("::");
            let is_module = !near.scopes[modules - 1].starts_with(['{', '<'])
                && self.types_named(&path).is_empty()
                && self.functions_named(&path, true).is_empty();
            if is_module {
                break;
            }
            modules -= 1;
        }
        modules
    }

    /// Whether other files see what an entry describes: what is external, and in
    /// Rust all of a crate, of which compilers make several units.
    pub(crate) fn is_seen_outside(&self, at: DieRef) -> bool {
        let Some(die) = Die::open(self.units(), at) else { return false };
        is_external(&die) || dies::style(die.unit) == Language::Rust
    }

    /// The name of an entry and of all that is around it, outermost first. What is
    /// in a function is in the scopes of that function, too: a lambda is.
    fn scopes_within(&self, die: &Die<'_>) -> Option<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        let mut next = Some(die.declared_at());
        while let Some(die) = next.and_then(|at| Die::open(self.units(), at))
            && found.len() < MAX_BASES
        {
            let name = self.values.scopes.qualified_name(&die)?;
            let parts = names::components(&name).filter(|component| *component != ANONYMOUS);
            let mut parts: Vec<String> = parts.map(str::to_owned).collect();
            parts.append(&mut found);
            found = parts;
            next = self.values.scopes.function_around(self.units(), die.at);
        }
        Some(found)
    }

    /// The names of all base classes of the class that a function is declared in.
    fn bases_around(&self, function: DieRef) -> Vec<Vec<String>> {
        let holder = self.values.scopes.of(self.units(), function.unit).holder(function);
        let mut open: Vec<DieRef> = holder.into_iter().collect();
        let mut found = Vec::new();
        while let Some(class) = open.pop().and_then(|at| Die::open(self.units(), at))
            && found.len() < MAX_BASES
        {
            let bases = class.children().into_iter();
            let bases = bases.filter(|child| child.tag() == gimli::DW_TAG_inheritance);
            for base in bases.filter_map(|base| base.type_reference()) {
                let die = Die::open(self.units(), base);
                found.extend(die.and_then(|die| self.scopes_within(&die)));
                open.push(base);
            }
        }
        found
    }
}
