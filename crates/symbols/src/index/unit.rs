//! The names of one unit: one pass over it that notes where every function,
//! global variable, type and enumerator is, under which scope, and which
//! entries are copies of which. Compact: a name costs 32 bytes and points into
//! the mapped strings. Which units are worth reading is left to the others here.

use gimli::constants as dw;
use gimli::{Abbreviation, AttributeValue, EntriesRaw, UnitOffset};

use crate::dies;
use crate::names::{self, ANONYMOUS};
use crate::units::{DieRef, Slice, UnitId, UnitRef, Units};

/// What a name in the index stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub(crate) enum NameKind {
    /// A function: definition, declaration or abstract instance.
    Function = 0,
    /// A variable outside every function, or a static member.
    Global = 1,
    /// A complete type or a typedef.
    Type = 2,
    /// A constant of an enumeration.
    Enumerator = 3,
}

/// One named entry.
#[derive(Clone, Copy, Debug)]
struct Name {
    text: &'static [u8],
    hash: u32,
    /// The unit, with the kind in the top two bits.
    unit_and_kind: u32,
    offset: u32,
    scope: u32,
}

const KIND_SHIFT: u32 = 30;
const NO_SCOPE: u32 = u32::MAX;
/// Scopes nested deeper than this are cut off.
const MAX_SCOPES: usize = 64;

impl Name {
    fn die(&self) -> DieRef {
        let unit = UnitId(self.unit_and_kind & ((1 << KIND_SHIFT) - 1));
        DieRef { unit, offset: UnitOffset(self.offset as usize) }
    }

    fn kind(&self) -> NameKind {
        match self.unit_and_kind >> KIND_SHIFT {
            0 => NameKind::Function,
            1 => NameKind::Global,
            2 => NameKind::Type,
            _ => NameKind::Enumerator,
        }
    }

    fn text(&self) -> &'static str {
        std::str::from_utf8(self.text).unwrap_or("")
    }
}

/// A namespace, type or function that encloses named entries.
#[derive(Clone, Copy, Debug)]
struct Scope {
    parent: u32,
    text: &'static [u8],
    is_function: bool,
}

/// An entry that is a copy or the definition of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Instance {
    origin: (u32, u32),
    copy: (u32, u32),
}

/// The names of a unit, by hash.
#[derive(Debug, Default)]
pub(crate) struct UnitNames {
    names: Vec<Name>,
    scopes: Vec<Scope>,
    instances: Vec<Instance>,
    problem: Option<String>,
}

impl UnitNames {
    /// Reads a unit. What is wrong with it becomes its problem.
    pub(super) fn read(units: &Units, id: UnitId) -> Self {
        let mut names = Self::default();
        let walked = units.with_transient(id, |unit| {
            Walk { units, id, unit, found: &mut names, levels: Vec::new() }.run()
        });
        if let Err(error) | Ok(Err(error)) = walked {
            let at = units.section_offset(id);
            names.problem = Some(format!("debug information unit at {at:#x}: {error}"));
        }
        names.names.sort_unstable_by_key(|it| (it.hash, it.unit_and_kind, it.offset));
        names.instances.sort_unstable();
        names.shrink();
        names
    }

    fn shrink(&mut self) {
        self.names.shrink_to_fit();
        self.scopes.shrink_to_fit();
        self.instances.shrink_to_fit();
    }

    /// What could not be read.
    pub(crate) fn problem(&self) -> Option<&String> {
        self.problem.as_ref()
    }

    /// Entries of a kind, in no useful order.
    pub(super) fn all(&self, kind: NameKind) -> impl Iterator<Item = Named<'_>> {
        let all = self.names.iter().filter(move |name| name.kind() == kind);
        all.map(|name| Named { unit: self, name })
    }

    /// Entries whose own name, without template arguments, is `key`.
    pub(crate) fn named<'a>(
        &'a self,
        key: &'a str,
        kind: NameKind,
    ) -> impl Iterator<Item = Named<'a>> {
        let same_hash = self.hashed(hash(key.as_bytes()));
        let named =
            same_hash.filter(move |name| name.kind() == kind && names::base(name.text()) == key);
        named.map(|name| Named { unit: self, name })
    }

    fn hashed(&self, hash: u32) -> impl Iterator<Item = &Name> {
        let start = self.names.partition_point(|name| name.hash < hash);
        self.names[start..].iter().take_while(move |name| name.hash == hash)
    }

    /// The name of an entry whose own name is `text`.
    pub(crate) fn name_of(&self, die: DieRef, text: &[u8]) -> Option<Named<'_>> {
        let text = std::str::from_utf8(text).ok()?;
        let mut same_hash = self.hashed(hash(names::base(text).as_bytes()));
        let name = same_hash.find(|it| it.die() == die)?;
        Some(Named { unit: self, name })
    }

    /// Entries of this unit that name `origin`, of any unit, as their
    /// specification or abstract origin.
    pub(super) fn instances(&self, origin: DieRef) -> impl Iterator<Item = DieRef> {
        let key = (origin.unit.0, u32::try_from(origin.offset.0).unwrap_or(u32::MAX));
        let start = self.instances.partition_point(|it| it.origin < key);
        let same = self.instances[start..].iter().take_while(move |it| it.origin == key);
        same.map(|it| DieRef { unit: UnitId(it.copy.0), offset: UnitOffset(it.copy.1 as usize) })
    }
}

/// A named entry, and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    unit: &'a UnitNames,
    name: &'a Name,
}

impl<'a> Named<'a> {
    /// The entry.
    pub(crate) fn die(self) -> DieRef {
        self.name.die()
    }

    /// Its own name, without scopes.
    pub(crate) fn text(self) -> &'static str {
        self.name.text()
    }

    fn scopes(self) -> impl Iterator<Item = &'a Scope> {
        let scope = move |number: u32| self.unit.scopes.get(number as usize);
        std::iter::successors(scope(self.name.scope), move |it| scope(it.parent)).take(MAX_SCOPES)
    }

    /// Whether it, or the enumeration or class that it is of, is of a function's
    /// own: then its name means it within its block alone.
    pub(crate) fn is_in_function(self) -> bool {
        self.scopes().any(|scope| scope.is_function)
    }

    /// Whether the innermost scope around it but so many is a function.
    pub(crate) fn is_in_block(self, but: usize) -> bool {
        self.scopes().take(but + 1).any(|scope| scope.is_function)
    }

    /// The components of its name, its own first and the outermost scope last.
    pub(crate) fn outward(self) -> impl Iterator<Item = &'static str> {
        let texts = self.scopes().map(|scope| std::str::from_utf8(scope.text).unwrap_or(""));
        std::iter::once(self.text()).chain(texts)
    }

    /// The components of its name, outermost scope first.
    pub(crate) fn path(self) -> Vec<&'static str> {
        let mut path: Vec<&str> = self.outward().collect();
        path.reverse();
        path
    }

    /// Its name in full: `ns::Class::m`.
    pub(crate) fn qualified(self) -> String {
        self.path().join("::")
    }
}

/// FNV-1a; names are short and the table only narrows a comparison.
fn hash(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// An enclosing entry on the way down.
struct Level {
    depth: isize,
    tag: gimli::DwTag,
    text: &'static [u8],
    /// Its number in the part's scopes once something needed it.
    scope: Option<u32>,
}

struct Walk<'a> {
    units: &'a Units,
    id: UnitId,
    unit: UnitRef<'a>,
    found: &'a mut UnitNames,
    levels: Vec<Level>,
}

/// The attributes the index looks at.
#[derive(Default)]
struct Facts {
    name: Option<&'static [u8]>,
    origin: Option<DieRef>,
    /// The type in a unit of its own that this stands for.
    described: Option<DieRef>,
    declaration: bool,
    external: bool,
}

impl Walk<'_> {
    fn run(&mut self) -> gimli::Result<()> {
        let unit = self.unit;
        let mut raw = unit.entries_raw(None)?;
        while !raw.is_empty() {
            let (offset, depth) = (raw.next_offset(), raw.next_depth());
            let Some(abbreviation) = raw.read_abbreviation()? else { continue };
            self.entry(&mut raw, abbreviation, offset, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        raw: &mut EntriesRaw<'_, Slice>,
        abbreviation: &Abbreviation,
        offset: UnitOffset,
        depth: isize,
    ) -> gimli::Result<()> {
        while self.levels.last().is_some_and(|level| level.depth >= depth) {
            self.levels.pop();
        }
        if !self.is_interesting(abbreviation) {
            return raw.skip_attributes(abbreviation.attributes());
        }
        let tag = abbreviation.tag();
        let facts = self.facts(raw, abbreviation)?;
        self.note(tag, &facts, offset);
        if abbreviation.has_children() && dies::is_scope(tag) {
            let text = self.scope_text(tag, &facts);
            self.levels.push(Level { depth, tag, text, scope: None });
        }
        Ok(())
    }

    /// Whether an entry can add anything; most members and local variables
    /// cannot, and are most of all entries.
    fn is_interesting(&self, abbreviation: &Abbreviation) -> bool {
        let has = |name| abbreviation.attributes().iter().any(|spec| spec.name() == name);
        match abbreviation.tag() {
            dw::DW_TAG_member => has(dw::DW_AT_declaration),
            dw::DW_TAG_variable => !self.in_function(),
            dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_typedef
            | dw::DW_TAG_base_type
            | dw::DW_TAG_enumerator => true,
            tag => dies::is_scope(tag),
        }
    }

    fn in_function(&self) -> bool {
        self.levels.iter().any(|level| level.tag == dw::DW_TAG_subprogram)
    }

    fn facts(
        &self,
        raw: &mut EntriesRaw<'_, Slice>,
        abbreviation: &Abbreviation,
    ) -> gimli::Result<Facts> {
        let mut facts = Facts::default();
        for spec in abbreviation.attributes() {
            let attribute = raw.read_attribute(*spec)?;
            match spec.name() {
                dw::DW_AT_name => {
                    facts.name = self.unit.attr_string(attribute.value()).ok().map(|it| it.slice());
                }
                dw::DW_AT_specification | dw::DW_AT_abstract_origin => {
                    facts.origin = self.units.follow(self.id, attribute.value());
                }
                dw::DW_AT_signature => {
                    facts.described = self.units.follow(self.id, attribute.value());
                }
                dw::DW_AT_declaration => facts.declaration = is_set(attribute.value()),
                dw::DW_AT_external => facts.external = is_set(attribute.value()),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// What others see as this scope's name.
    fn scope_text(&self, tag: gimli::DwTag, facts: &Facts) -> &'static [u8] {
        match (facts.name, facts.origin) {
            (Some(name), _) => name,
            (None, Some(origin)) => self.origin_name(origin).unwrap_or(b""),
            (None, None) if tag == dw::DW_TAG_namespace => ANONYMOUS.as_bytes(),
            (None, None) => facts.described.and_then(|at| self.type_name(at)).unwrap_or(b""),
        }
    }

    /// The name of a type that has a unit of its own: clang leaves it away where
    /// the type is declared.
    fn type_name(&self, at: DieRef) -> Option<&'static [u8]> {
        let unit = self.units.unit(at.unit)?;
        let name = unit.entry(at.offset).ok()?.attr_value(dw::DW_AT_name)?;
        unit.attr_string(name).ok().map(|name| name.slice())
    }

    /// The name a definition takes from its declaration, when that is in the
    /// same unit (as it is but for link-time optimisation).
    fn origin_name(&self, origin: DieRef) -> Option<&'static [u8]> {
        let mut origin = origin;
        for _ in 0..4 {
            if origin.unit != self.id {
                return None;
            }
            let entry = self.unit.entry(origin.offset).ok()?;
            if let Some(name) = entry.attr_value(dw::DW_AT_name) {
                return self.unit.attr_string(name).ok().map(|name| name.slice());
            }
            let next = entry
                .attr_value(dw::DW_AT_specification)
                .or_else(|| entry.attr_value(dw::DW_AT_abstract_origin))?;
            origin = self.units.follow(self.id, next)?;
        }
        None
    }

    fn note(&mut self, tag: gimli::DwTag, facts: &Facts, offset: UnitOffset) {
        let Ok(at) = u32::try_from(offset.0) else { return };
        let in_function = self.in_function();
        if let Some(origin) = facts.origin.filter(|_| is_copied(tag, in_function)) {
            let origin = (origin.unit.0, u32::try_from(origin.offset.0).unwrap_or(u32::MAX));
            self.found.instances.push(Instance { origin, copy: (self.id.0, at) });
        }
        let (Some(text), Some(kind)) = (facts.name, kind_of(tag, facts, in_function)) else {
            return;
        };
        let Ok(name) = std::str::from_utf8(text) else { return };
        if name.is_empty() {
            return;
        }
        let scope = self.innermost_scope(tag);
        self.found.names.push(Name {
            text,
            hash: hash(names::base(name).as_bytes()),
            unit_and_kind: self.id.0 | (kind as u32) << KIND_SHIFT,
            offset: at,
            scope,
        });
    }

    /// The scope entries at this point belong to, noted on first need. The
    /// enumerators of a plain C enumeration belong to what encloses it, and so
    /// they can always be reached by their bare name.
    fn innermost_scope(&mut self, tag: gimli::DwTag) -> u32 {
        let mut count = self.levels.len();
        if tag == dw::DW_TAG_enumerator && count > 0 && self.levels[count - 1].text.is_empty() {
            count -= 1;
        }
        let mut parent = NO_SCOPE;
        for level in &mut self.levels[..count] {
            if level.text.is_empty() {
                continue;
            }
            parent = *level.scope.get_or_insert_with(|| {
                let number = u32::try_from(self.found.scopes.len()).unwrap_or(NO_SCOPE);
                let is_function = level.tag == dw::DW_TAG_subprogram;
                self.found.scopes.push(Scope { parent, text: level.text, is_function });
                number
            });
        }
        parent
    }
}

fn is_set(value: AttributeValue<Slice>) -> bool {
    matches!(value, AttributeValue::Flag(true))
}

/// Whether the copies of such an entry are worth finding from the original.
fn is_copied(tag: gimli::DwTag, in_function: bool) -> bool {
    match tag {
        dw::DW_TAG_subprogram | dw::DW_TAG_inlined_subroutine => true,
        dw::DW_TAG_variable => !in_function,
        _ => false,
    }
}

fn kind_of(tag: gimli::DwTag, facts: &Facts, in_function: bool) -> Option<NameKind> {
    match tag {
        dw::DW_TAG_subprogram => Some(NameKind::Function),
        dw::DW_TAG_variable if !in_function => Some(NameKind::Global),
        dw::DW_TAG_member if facts.declaration && facts.external => Some(NameKind::Global),
        dw::DW_TAG_enumerator => Some(NameKind::Enumerator),
        dw::DW_TAG_structure_type
        | dw::DW_TAG_class_type
        | dw::DW_TAG_union_type
        | dw::DW_TAG_interface_type
        | dw::DW_TAG_enumeration_type
        | dw::DW_TAG_typedef
        | dw::DW_TAG_base_type
            if !facts.declaration =>
        {
            Some(NameKind::Type)
        }
        _ => None,
    }
}
