//! What encloses what in a unit, for the scopes of a name. One pass over the
//! unit when first asked, then kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gimli::constants as dw;
use gimli::{DwTag, UnitOffset};
use trapline_core::types::Language;

use super::die::Die;
use crate::dies;
use crate::names::ANONYMOUS;
use crate::units::{DieRef, UnitId, UnitRef, Units};

/// Components of a qualified name.
const MAX_COMPONENTS: usize = 64;

/// The layout of the units looked at so far.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    units: Mutex<HashMap<UnitId, Arc<UnitScopes>>>,
}

/// The layout of one unit.
#[derive(Debug)]
pub(crate) struct UnitScopes {
    /// By start; nested ones follow what holds them.
    containers: Vec<Container>,
}

#[derive(Clone, Copy, Debug)]
struct Container {
    start: usize,
    /// Past its last child; until that is known, the end of the unit.
    end: usize,
    tag: DwTag,
    parent: Option<usize>,
}

impl Scopes {
    /// The layout of a unit.
    pub(crate) fn of(&self, units: &Units, id: UnitId) -> Arc<UnitScopes> {
        let lock = || self.units.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&id) {
            return known.clone();
        }
        let read = units.unit(id).map_or_else(UnitScopes::empty, UnitScopes::read);
        lock().entry(id).or_insert_with(|| Arc::new(read)).clone()
    }

    /// The name of an entry as its language writes it from outside,
    /// `ns::Outer::name`; `None` for one without a name.
    pub(crate) fn qualified_name(&self, die: &Die<'_>) -> Option<String> {
        let own = die.inherited(Die::name)?;
        let mut components = self.enclosing_names(die.units, die.declared_at());
        components.push(own);
        Some(components.join("::"))
    }

    /// The function that an entry is within, as it is declared.
    pub(crate) fn function_around(&self, units: &Units, at: DieRef) -> Option<DieRef> {
        let scopes = self.of(units, at.unit);
        let mut container = scopes.around(at.offset);
        while let Some(here) = container.map(|index| scopes.containers[index]) {
            if here.tag == dw::DW_TAG_subprogram {
                let function = DieRef { unit: at.unit, offset: UnitOffset(here.start) };
                return Some(Die::open(units, function)?.declared_at());
            }
            container = here.parent;
        }
        None
    }

    /// What C++ writes before the enumerators of an enumeration with this
    /// qualified name: its own name when it is a scope, else what is around it.
    pub(crate) fn of_enumerators(&self, die: &Die<'_>, name: &str) -> String {
        if dies::style(die.unit) != Language::Cpp {
            return String::new();
        }
        let around = match die.flag(dw::DW_AT_enum_class) {
            true => vec![name.to_owned()],
            false => self.enclosing_names(die.units, die.declared_at()),
        };
        around.into_iter().map(|scope| scope + "::").collect()
    }

    /// Names of the scopes around an entry, outermost first, up to the
    /// function that it is local to.
    fn enclosing_names(&self, units: &Units, at: DieRef) -> Vec<String> {
        let scopes = self.of(units, at.unit);
        let mut names = Vec::new();
        let mut container = scopes.around(at.offset);
        while let Some(index) = container {
            let here = scopes.containers[index];
            if here.tag == dw::DW_TAG_subprogram || names.len() >= MAX_COMPONENTS {
                break;
            }
            let die = Die::open(units, DieRef { unit: at.unit, offset: UnitOffset(here.start) });
            if let Some(name) = die.and_then(|die| scope_name(&die)) {
                names.push(name);
            }
            container = here.parent;
        }
        names.reverse();
        names
    }
}

/// The name of a scope; an anonymous enumeration or record adds nothing.
fn scope_name(die: &Die<'_>) -> Option<String> {
    let described = || die.follow(dw::DW_AT_signature)?.name();
    match die.inherited(Die::name).or_else(described) {
        Some(name) => Some(name),
        None if die.tag() == dw::DW_TAG_namespace => Some(ANONYMOUS.to_owned()),
        None => None,
    }
}

impl UnitScopes {
    fn empty() -> Self {
        Self { containers: Vec::new() }
    }

    /// What can be read of a unit: damage ends it.
    fn read(unit: UnitRef<'_>) -> Self {
        let mut walk = Walk { containers: Vec::new(), open: Vec::new() };
        let _damaged_units_end_early = walk.unit(unit);
        Self { containers: walk.containers }
    }

    /// The innermost container of an entry.
    fn around(&self, offset: UnitOffset) -> Option<usize> {
        let before = self.containers.partition_point(|container| container.start < offset.0);
        let mut candidate = before.checked_sub(1);
        while let Some(index) = candidate {
            if offset.0 < self.containers[index].end {
                return Some(index);
            }
            candidate = self.containers[index].parent;
        }
        None
    }

    /// The named scope that directly holds an entry.
    pub(crate) fn holder(&self, at: DieRef) -> Option<DieRef> {
        let container = self.containers[self.around(at.offset)?];
        Some(DieRef { unit: at.unit, offset: UnitOffset(container.start) })
    }
}

struct Walk {
    containers: Vec<Container>,
    /// For each open list of children, the container it belongs to, if any.
    open: Vec<Option<usize>>,
}

impl Walk {
    fn unit(&mut self, unit: UnitRef<'_>) -> gimli::Result<()> {
        let mut raw = unit.entries_raw(None)?;
        while !raw.is_empty() {
            let offset = raw.next_offset();
            let Some(abbreviation) = raw.read_abbreviation()? else {
                self.close(raw.next_offset());
                continue;
            };
            raw.skip_attributes(abbreviation.attributes())?;
            if abbreviation.has_children() {
                self.open(offset, abbreviation.tag());
            }
        }
        Ok(())
    }

    fn open(&mut self, offset: UnitOffset, tag: DwTag) {
        if !dies::is_scope(tag) {
            self.open.push(None);
            return;
        }
        let parent = self.open.iter().rev().find_map(|container| *container);
        self.open.push(Some(self.containers.len()));
        self.containers.push(Container { start: offset.0, end: usize::MAX, tag, parent });
    }

    fn close(&mut self, end: UnitOffset) {
        if let Some(Some(container)) = self.open.pop() {
            self.containers[container].end = end.0;
        }
    }
}
