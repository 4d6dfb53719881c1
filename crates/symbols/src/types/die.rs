//! One entry of the DWARF tree with its attributes in usable form, and
//! bounded ways to its relatives.

use gimli::constants as dw;
use gimli::{AttributeValue, DwAt, DwTag};

use crate::units::{DieRef, Entry, UnitRef, Units, Value};

/// Children that one entry may have; generated code comes near a million.
const MAX_CHILDREN: usize = 1 << 22;
/// Links from a concrete entry to the one that declares it.
const MAX_ORIGINS: usize = 16;

/// An entry.
pub(crate) struct Die<'a> {
    pub(crate) units: &'a Units,
    pub(crate) at: DieRef,
    pub(crate) unit: UnitRef<'a>,
    pub(crate) entry: Entry,
}

impl<'a> Die<'a> {
    /// Reads an entry, or the one in a type unit that it stands for; `None`
    /// where none can be read.
    pub(crate) fn open(units: &'a Units, at: DieRef) -> Option<Self> {
        let die = Self::read(units, at)?;
        let whole = die.reference(dw::DW_AT_signature).and_then(|at| Self::read(units, at));
        Some(whole.unwrap_or(die))
    }

    fn read(units: &'a Units, at: DieRef) -> Option<Self> {
        let unit = units.unit(at.unit)?;
        let entry = unit.entry(at.offset).ok()?;
        Some(Self { units, at, unit, entry })
    }

    pub(crate) fn tag(&self) -> DwTag {
        self.entry.tag()
    }

    pub(crate) fn value(&self, attribute: DwAt) -> Option<Value> {
        self.entry.attr_value(attribute)
    }

    pub(crate) fn has(&self, attribute: DwAt) -> bool {
        self.entry.has_attr(attribute)
    }

    /// A flag that is present and set.
    pub(crate) fn flag(&self, attribute: DwAt) -> bool {
        matches!(self.value(attribute), Some(AttributeValue::Flag(true)))
    }

    /// A constant that is not negative.
    pub(crate) fn number(&self, attribute: DwAt) -> Option<u64> {
        self.value(attribute)?.udata_value()
    }

    pub(crate) fn text(&self, attribute: DwAt) -> Option<String> {
        let text = self.unit.attr_string(self.value(attribute)?).ok()?;
        Some(text.to_string_lossy().into_owned())
    }

    /// Its own name.
    pub(crate) fn name(&self) -> Option<String> {
        self.text(dw::DW_AT_name)
    }

    /// The entry an attribute refers to.
    pub(crate) fn reference(&self, attribute: DwAt) -> Option<DieRef> {
        self.units.follow(self.at.unit, self.value(attribute)?)
    }

    /// The entry of its own `DW_AT_type`.
    pub(crate) fn type_reference(&self) -> Option<DieRef> {
        self.reference(dw::DW_AT_type)
    }

    pub(crate) fn follow(&self, attribute: DwAt) -> Option<Self> {
        Self::open(self.units, self.reference(attribute)?)
    }

    /// The entry it completes: its abstract origin or the declaration that it
    /// specifies.
    fn origin(&self) -> Option<Self> {
        self.follow(dw::DW_AT_abstract_origin).or_else(|| self.follow(dw::DW_AT_specification))
    }

    /// What `look` finds in the entry, else in those it completes.
    pub(crate) fn inherited<T>(&self, look: impl Fn(&Die<'a>) -> Option<T>) -> Option<T> {
        if let Some(found) = look(self) {
            return Some(found);
        }
        let mut current = self.origin()?;
        for _ in 0..MAX_ORIGINS {
            if let Some(found) = look(&current) {
                return Some(found);
            }
            current = current.origin()?;
        }
        None
    }

    /// The entry that says what scope it is declared in: the last of those it
    /// completes, else itself.
    pub(crate) fn declared_at(&self) -> DieRef {
        let mut at = self.at;
        let mut next = self.origin();
        for _ in 0..MAX_ORIGINS {
            let Some(die) = next else { break };
            at = die.at;
            next = die.origin();
        }
        at
    }

    /// Its children, as far as they can be read.
    pub(crate) fn children(&self) -> Vec<Die<'a>> {
        let mut found = Vec::new();
        if !self.entry.has_children() {
            return found;
        }
        let Ok(mut tree) = self.unit.entries_tree(Some(self.at.offset)) else { return found };
        let Ok(root) = tree.root() else { return found };
        let mut children = root.children();
        while let Ok(Some(child)) = children.next() {
            let entry = child.entry().clone();
            let at = DieRef { unit: self.at.unit, offset: entry.offset() };
            found.push(Die { units: self.units, at, unit: self.unit, entry });
            if found.len() >= MAX_CHILDREN {
                break;
            }
        }
        found
    }
}
