//! Members, through pointers, anonymous members, base classes and variants.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{BitField, Member, Record, StaticMember, Type, TypeKind};

use super::{Checker, Kind, Typed};
use crate::ast::Expr;
use crate::error::Error;
use crate::ir::{Arithmetic, IntKind, Op, Sort};
use crate::limits;

/// What a name means in a record.
pub(super) enum Hit {
    Data(Found),
    Static(StaticMember),
}

/// A member and how far it is from the start of the outermost record.
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) bits: Option<BitField>,
    pub(super) ty: Arc<Type>,
}

impl Checker<'_> {
    /// `object.name`, `object->name`, `object.0`.
    pub(super) fn member(
        &mut self,
        object: &Expr,
        name: &str,
        name_span: &Range<usize>,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let object = self.expr(object)?;
        let whole = self.through_pointers(object)?;
        let (first, name) = match name.rsplit_once("::") {
            Some((class, name)) => (self.as_class(whole, class, name_span)?, name),
            None => (whole, name),
        };
        let mut object = first.clone();
        for _ in 0..limits::MAX_MEMBER_WALK {
            if let Some(member) = self.find_member(&object, name, span)? {
                return Ok(member);
            }
            let Some(target) = self.pointed_to(&object, span)? else { break };
            object = self.through_pointers(target)?;
        }
        Err(self.no_member(&first, name, name_span))
    }

    /// An object as the base class of a name, or as its own.
    pub(super) fn as_class(
        &mut self,
        object: Typed,
        class: &str,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let base = self
            .find_type(class, span)?
            .ok_or_else(|| Error::new(span.clone(), format!("no type is named `{class}` here")))?;
        if self.strip(&base, span)?.name == self.strip(&object.ty, span)?.name {
            return Ok(object);
        }
        self.base_of_object(&object, &base, span)?.ok_or_else(|| {
            let spelled = self.spell(&object.ty);
            Error::new(span.clone(), format!("`{spelled}` has no base class `{class}`"))
        })
    }

    fn no_member(&self, object: &Typed, name: &str, span: &Range<usize>) -> Error {
        let spelled = self.spell(&object.ty);
        let Ok(stripped) = self.strip(&object.ty, span) else {
            return Error::new(span.clone(), format!("no member is named `{name}`"));
        };
        let TypeKind::Record(record) = &stripped.kind else {
            let message = format!("`{spelled}` has no members");
            return Error::new(span.clone(), message);
        };
        if record.declaration {
            let message = format!("`{spelled}` is only declared here: its members are not known");
            return Error::new(span.clone(), message);
        }
        let error = Error::new(span.clone(), format!("`{spelled}` has no member `{name}`"));
        let statics = record.statics.iter().map(|member| member.name.as_str());
        let names = record.members.iter().map(|member| member.name.as_str()).chain(statics);
        match closest(name, names) {
            Some(close) => error.with_help(format!("did you mean `{close}`?")),
            None => error,
        }
    }

    /// A member of a record that is at hand; `None` when it has no such one.
    pub(super) fn find_member(
        &mut self,
        object: &Typed,
        name: &str,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let stripped = self.strip(&object.ty, span)?;
        let TypeKind::Record(record) = &stripped.kind else { return Ok(None) };
        let mut budget = limits::MAX_RECORDS_SEARCHED;
        let found = match self.search(record, name, span, &mut budget)? {
            Some(Hit::Data(found)) => found,
            Some(Hit::Static(member)) => return self.static_member(&member, span).map(Some),
            None => return self.member_of_virtual_base(object, name, span),
        };
        let kind = match &object.kind {
            Kind::Memory { address, .. } => {
                let address = self.displaced(*address, found.offset, span)?;
                Kind::Memory { address, bits: found.bits }
            }
            Kind::Stored(stored) => {
                let kind = stored.part(found.offset);
                match found.bits {
                    None => kind,
                    Some(field) => return self.stored_bits(kind, found.ty, field, span).map(Some),
                }
            }
            _ => return Ok(None),
        };
        let member = Typed { kind, ty: found.ty, span: span.clone() };
        self.if_live(object, record, name, member, span).map(Some)
    }

    pub(super) fn displaced(
        &mut self,
        address: crate::ir::NodeId,
        offset: u64,
        span: &Range<usize>,
    ) -> Result<crate::ir::NodeId, Error> {
        if offset == 0 {
            return Ok(address);
        }
        let op = match self.nodes[address.index()].op {
            Op::Const(base) => Op::Const(base.wrapping_add(offset)),
            Op::RegOffset(reg, base) => Op::RegOffset(reg, base.wrapping_add_unsigned(offset)),
            _ => {
                let offset = self.constant(offset, IntKind::U64, span)?;
                Op::Arithmetic(Arithmetic::Add, address, offset)
            }
        };
        self.push(op, Sort::ADDRESS, span)
    }

    /// A bit-field of a record that is not in memory.
    fn stored_bits(
        &mut self,
        kind: Kind,
        ty: Arc<Type>,
        field: BitField,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let whole = Typed { kind, ty: ty.clone(), span: span.clone() };
        let value = self.rvalue(whole)?.node;
        let sort = self.sort(value);
        let node = self.push(Op::Bits { value, field }, sort, span)?;
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }

    /// Refuses bit-fields that do not lie inside an integer of their type, as
    /// packed records can have them.
    fn bits_fit(&self, field: BitField, ty: &Arc<Type>, span: &Range<usize>) -> Result<(), Error> {
        let have = self.size(ty, span)?.saturating_mul(8).min(64);
        let end = u64::from(field.shift) + u64::from(field.width);
        if field.width > 0 && end <= have {
            return Ok(());
        }
        Err(Error::new(span.clone(), "a bit-field that crosses the bounds of its type"))
    }

    /// Looks among a record's own members, then inside those that lend theirs:
    /// base classes and members without a name.
    pub(super) fn search(
        &self,
        record: &Record,
        name: &str,
        span: &Range<usize>,
        budget: &mut usize,
    ) -> Result<Option<Hit>, Error> {
        *budget = budget.checked_sub(1).ok_or_else(|| too_many_records(span))?;
        if let Some(member) = record.members.iter().find(|member| names(member, name)) {
            let ty = self.follow(&member.ty, span)?;
            if let Some(field) = member.bits {
                self.bits_fit(field, &ty, span)?;
            }
            return Ok(Some(Hit::Data(Found { offset: member.offset, bits: member.bits, ty })));
        }
        if let Some(member) = record.statics.iter().find(|member| member.name == name) {
            return Ok(Some(Hit::Static(member.clone())));
        }
        let mut first: Option<(Hit, Arc<Type>)> = None;
        for member in record.members.iter().filter(|each| each.name.is_empty() || each.base_class) {
            let ty = self.follow(&member.ty, span)?;
            let TypeKind::Record(inner) = &self.strip(&ty, span)?.kind else { continue };
            let Some(found) = self.search(inner, name, span, budget)? else { continue };
            // A static member is the same by whichever base it is reached.
            let same = |first: &Hit| match (first, &found) {
                (Hit::Static(first), Hit::Static(found)) => first.declared == found.declared,
                _ => false,
            };
            if let Some((_, other)) = first.filter(|(first, _)| member.base_class && !same(first)) {
                return Err(self.in_several_bases(name, &other, span));
            }
            let found = match found {
                Hit::Data(found) => {
                    let offset = member.offset.saturating_add(found.offset);
                    Hit::Data(Found { offset, ..found })
                }
                found => found,
            };
            if !member.base_class {
                return Ok(Some(found));
            }
            first = Some((found, ty));
        }
        Ok(first.map(|(found, _)| found))
    }

    pub(super) fn static_member(
        &mut self,
        member: &StaticMember,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let place = self.scope.static_member(member.declared);
        let place = place.map_err(|why| Error::new(span.clone(), why))?;
        let ty = self.scope.static_member_type(member);
        self.variable(ty.map_err(|why| Error::new(span.clone(), why))?, place, span)
    }

    fn in_several_bases(&self, name: &str, one: &Type, span: &Range<usize>) -> Error {
        let help = format!("cast to one first: `(({} &)x).{name}`", self.spell(one));
        Error::new(span.clone(), format!("`{name}` is in several bases of this object"))
            .with_help(help)
    }
}

fn too_many_records(span: &Range<usize>) -> Error {
    Error::new(span.clone(), "too many base classes and anonymous members to search")
}

/// Whether a member answers to a name; `0` is a tuple's `__0`.
pub(super) fn names(member: &Member, name: &str) -> bool {
    let is_field = name.starts_with(|c: char| c.is_ascii_digit());
    member.name == name || (is_field && member.name.strip_prefix("__") == Some(name))
}

/// The name that is nearest to a wrong one, if it is near at all.
fn closest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = wrong.chars().count().div_ceil(3);
    names
        .take(1000)
        .filter(|name| !name.is_empty())
        .map(|name| (edits(wrong, name), name))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
