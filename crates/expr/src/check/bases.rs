//! C++ base classes: where one lies in a class derived from it, and what a
//! conversion between the two does to an address.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{Record, Type, TypeKind, TypeLink, VirtualBase};

use super::scalar::{Rvalue, Scalar};
use super::{Checker, Kind, Typed};
use crate::error::Error;
use crate::ir::{Arithmetic, IntKind, Load, NodeId, Op, Sort};
use crate::limits;

/// One way from a class to a base of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The base lies so many bytes from the start.
    Fixed(u64),
    /// The way leads through a virtual base.
    Virtual,
}

/// A search for the ways from a class to one of its bases.
struct Search<'a> {
    base: &'a Type,
    span: &'a Range<usize>,
    ways: Vec<Way>,
    budget: usize,
}

/// Which virtual base class is looked for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// One with a member of this name, itself or in a base that is not virtual.
    With(&'a str),
    /// This one.
    Class(&'a Type),
}

impl Checker<'_> {
    /// How far an address moves when what is there is seen as another class;
    /// `None` when neither class is a base of the other.
    ///
    /// C++20 [conv.ptr] and [expr.static.cast]: an ambiguous base is refused,
    /// and so is a virtual one, which C++ can reach upwards but only by asking
    /// the object.
    pub(super) fn class_shift(
        &self,
        from: &Arc<Type>,
        to: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Option<i64>, Error> {
        if let Some(up) = self.base_within(from, to, span)? {
            return Ok(Some(up.cast_signed()));
        }
        let down = self.base_within(to, from, span)?;
        Ok(down.map(|offset| offset.cast_signed().wrapping_neg()))
    }

    /// Where a base class lies in a class; `None` when it is no base of it.
    pub(super) fn base_within(
        &self,
        class: &Arc<Type>,
        base: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Option<u64>, Error> {
        let (class, base) = (self.strip(class, span)?, self.strip(base, span)?);
        let (TypeKind::Record(record), TypeKind::Record(_)) = (&class.kind, &base.kind) else {
            return Ok(None);
        };
        if is_same_class(&class, &base) {
            return Ok(None);
        }
        let budget = limits::MAX_RECORDS_SEARCHED;
        let mut search = Search { base: &base, span, ways: Vec::new(), budget };
        match self.defined(&class, record, span)? {
            Some(defined) => self.ways_to_base(&defined, Some(0), &mut search)?,
            None => self.ways_to_base(record, Some(0), &mut search)?,
        }
        match search.ways.as_slice() {
            [] => Ok(None),
            [Way::Fixed(offset)] => Ok(Some(*offset)),
            ways if ways.contains(&Way::Virtual) => Err(self.virtual_base(&base, &class, span)),
            _ => {
                let (base, class) = (self.spell(&base), self.spell(&class));
                let message = format!("`{base}` is an ambiguous base of `{class}`");
                let help = "cast to the class between the two first";
                Err(Error::new(span.clone(), message).with_help(help))
            }
        }
    }

    /// An object as the part of it that is of a class: all of it, or a base;
    /// `None` where it has no such part.
    pub(super) fn part_of_class(
        &mut self,
        object: Typed,
        class: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        if is_same_class(&*self.strip(&object.ty, span)?, &*self.strip(class, span)?) {
            return Ok(Some(object));
        }
        self.base_of_object(&object, class, span)
    }

    /// The definition of a class that is only declared where it was found.
    fn defined(
        &self,
        class: &Type,
        record: &Record,
        span: &Range<usize>,
    ) -> Result<Option<Record>, Error> {
        if !record.declaration {
            return Ok(None);
        }
        let found = self.find_type(&class.name, span)?;
        Ok(found.and_then(|found| match &found.kind {
            TypeKind::Record(record) => Some(record.clone()),
            _ => None,
        }))
    }

    fn virtual_base(&self, base: &Type, class: &Type, span: &Range<usize>) -> Error {
        let (base, class) = (self.spell(base), self.spell(class));
        let message =
            format!("`{base}` is a virtual base of `{class}`: its place is in the object's vtable");
        Error::new(span.clone(), message)
    }

    /// Collects the ways to a base. `at` is where `record` lies; `None` when a
    /// virtual base was passed on the way.
    fn ways_to_base(
        &self,
        record: &Record,
        at: Option<u64>,
        search: &mut Search<'_>,
    ) -> Result<(), Error> {
        search.budget = search.budget.checked_sub(1).ok_or_else(|| too_many_bases(search.span))?;
        for member in record.members.iter().filter(|member| member.base_class) {
            let at = at.map(|at| at.saturating_add(member.offset));
            self.ways_through(&member.ty, at, search)?;
        }
        let mut virtual_bases = record.virtual_bases.iter();
        virtual_bases.try_for_each(|base| self.ways_through(&base.ty, None, search))
    }

    fn ways_through(
        &self,
        link: &TypeLink,
        at: Option<u64>,
        search: &mut Search<'_>,
    ) -> Result<(), Error> {
        let ty = self.follow(link, search.span)?;
        let ty = self.strip(&ty, search.span)?;
        if is_same_class(&ty, search.base) {
            search.ways.push(at.map_or(Way::Virtual, Way::Fixed));
            return Ok(());
        }
        let TypeKind::Record(record) = &ty.kind else { return Ok(()) };
        self.ways_to_base(record, at, search)
    }

    /// A pointer's word as a pointer to another type.
    pub(super) fn pointer_as(
        &mut self,
        pointer: &Rvalue,
        target: Option<&Arc<Type>>,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let (Scalar::Pointer(Some(from)), Some(to)) = (&pointer.scalar, target) else {
            return self.at_sort(pointer.node, Sort::ADDRESS, span);
        };
        match self.class_shift(from, to, span) {
            Ok(None | Some(0)) => Ok(pointer.node),
            Ok(Some(by)) => self.push(Op::Displaced(pointer.node, by), Sort::ADDRESS, span),
            Err(why) => {
                let kind = Kind::Memory { address: pointer.node, bits: None };
                let object = Typed { kind, ty: from.clone(), span: span.clone() };
                let found = self.as_virtual_base(&object, to, span)?.ok_or(why)?;
                let Kind::Memory { address, .. } = found.kind else { return Ok(pointer.node) };
                // Null stays null.
                let null = self.push(Op::IsZero(pointer.node), Sort::BOOL, span)?;
                let op = Op::Select(null, pointer.node, address);
                self.push(op, Sort::ADDRESS, span)
            }
        }
    }

    /// Two pointers, one of them to a base of the other's class, as pointers to
    /// that base: C++20 [expr.type]. Others stay as they are.
    pub(super) fn composite(
        &mut self,
        a: Rvalue,
        b: Rvalue,
        span: &Range<usize>,
    ) -> Result<(Rvalue, Rvalue), Error> {
        let (Scalar::Pointer(Some(to_a)), Scalar::Pointer(Some(to_b))) = (&a.scalar, &b.scalar)
        else {
            return Ok((a, b));
        };
        if self.base_within(to_a, to_b, span)?.is_some() {
            let node = self.pointer_as(&a, Some(to_b), span)?;
            return Ok((Rvalue { node, ..b.clone() }, b));
        }
        if self.base_within(to_b, to_a, span)?.is_some() {
            let node = self.pointer_as(&b, Some(to_a), span)?;
            return Ok((a.clone(), Rvalue { node, ..a }));
        }
        Ok((a, b))
    }

    /// `(Base)object`: the base within it; `None` when it is no base of it.
    pub(super) fn base_of_object(
        &mut self,
        object: &Typed,
        base: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let offset = match self.base_within(&object.ty, base, span) {
            Ok(Some(offset)) => offset,
            Ok(None) => return Ok(None),
            Err(why) => return self.as_virtual_base(object, base, span)?.map(Some).ok_or(why),
        };
        let kind = match &object.kind {
            Kind::Memory { address, bits: None } => {
                Kind::Memory { address: self.displaced(*address, offset, span)?, bits: None }
            }
            Kind::Stored(stored) => stored.part(offset),
            _ => return Ok(None),
        };
        Ok(Some(Typed { kind, ty: base.clone(), span: span.clone() }))
    }

    /// The part of an object that is the first of its virtual bases, at any
    /// depth, that is wanted. Where that is, the object itself says: its
    /// table of virtual functions.
    fn virtual_base_of(
        &mut self,
        object: &Typed,
        wanted: Wanted<'_>,
        budget: &mut usize,
    ) -> Result<Option<Typed>, Error> {
        let span = object.span.clone();
        *budget = budget.checked_sub(1).ok_or_else(|| too_many_bases(&span))?;
        let stripped = self.strip(&object.ty, &span)?;
        let TypeKind::Record(record) = &stripped.kind else { return Ok(None) };
        for base in &record.virtual_bases {
            let ty = self.follow(&base.ty, &span)?;
            let found = self.is_wanted(&ty, wanted, &span)?;
            if !found && !self.has_virtual_bases(&ty, &span)? {
                continue;
            }
            let part = self.at_virtual_base(object, base, ty)?;
            if found {
                return Ok(Some(part));
            }
            if let Some(inner) = self.virtual_base_of(&part, wanted, budget)? {
                return Ok(Some(inner));
            }
        }
        for member in record.members.iter().filter(|member| member.base_class) {
            let ty = self.follow(&member.ty, &span)?;
            if !self.has_virtual_bases(&ty, &span)? {
                continue;
            }
            let Some(part) = self.displaced_to(object, member.offset, ty)? else { continue };
            if let Some(inner) = self.virtual_base_of(&part, wanted, budget)? {
                return Ok(Some(inner));
            }
        }
        Ok(None)
    }

    fn is_wanted(
        &self,
        ty: &Arc<Type>,
        wanted: Wanted<'_>,
        span: &Range<usize>,
    ) -> Result<bool, Error> {
        let ty = self.strip(ty, span)?;
        match (wanted, &ty.kind) {
            (Wanted::Class(class), _) => Ok(is_same_class(&ty, class)),
            (Wanted::With(name), TypeKind::Record(record)) => {
                let mut budget = limits::MAX_RECORDS_SEARCHED;
                Ok(self.search(record, name, span, &mut budget)?.is_some())
            }
            _ => Ok(false),
        }
    }

    /// Whether a class has a virtual base, itself or by a base of it.
    fn has_virtual_bases(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<bool, Error> {
        let TypeKind::Record(record) = &self.strip(ty, span)?.kind else { return Ok(false) };
        // Each base is looked at again when it is gone into, within a budget.
        Ok(!record.virtual_bases.is_empty()
            || record.members.iter().any(|member| member.base_class))
    }

    /// A virtual base of an object. Itanium C++ ABI, 2.4 and 2.5.2: how far it is
    /// stands in the table that the object's first word points into.
    fn at_virtual_base(
        &mut self,
        object: &Typed,
        base: &VirtualBase,
        ty: Arc<Type>,
    ) -> Result<Typed, Error> {
        let span = object.span.clone();
        let (Kind::Memory { address, .. }, Some(slot)) = (&object.kind, base.slot) else {
            let message = format!("the virtual base `{}` cannot be found", self.spell(&ty));
            return Err(Error::new(span, message));
        };
        let address = *address;
        let word = Load::Int(IntKind::U64);
        let table = self.push(Op::Load { address, load: word }, Sort::ADDRESS, &span)?;
        let slot = self.displaced(table, slot.cast_unsigned(), &span)?;
        let distance = Op::Load { address: slot, load: word };
        let distance = self.push(distance, Sort::ADDRESS, &span)?;
        let op = Op::Arithmetic(Arithmetic::Add, address, distance);
        let address = self.push(op, Sort::ADDRESS, &span)?;
        Ok(Typed { kind: Kind::Memory { address, bits: None }, ty, span })
    }

    /// A member that is in a virtual base of an object.
    pub(super) fn member_of_virtual_base(
        &mut self,
        object: &Typed,
        name: &str,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let mut budget = limits::MAX_RECORDS_SEARCHED;
        match self.virtual_base_of(object, Wanted::With(name), &mut budget)? {
            Some(part) => self.find_member(&part, name, span),
            None => Ok(None),
        }
    }

    /// An object as one of its virtual bases.
    pub(super) fn as_virtual_base(
        &mut self,
        object: &Typed,
        base: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let base = self.strip(base, span)?;
        let mut budget = limits::MAX_RECORDS_SEARCHED;
        self.virtual_base_of(object, Wanted::Class(&base), &mut budget)
    }
}

fn too_many_bases(span: &Range<usize>) -> Error {
    Error::new(span.clone(), "too many base classes to search")
}

/// Whether two descriptions are of one class. Each unit of the program brings
/// its own, so that the name decides.
fn is_same_class(one: &Type, other: &Type) -> bool {
    let (TypeKind::Record(a), TypeKind::Record(b)) = (&one.kind, &other.kind) else { return false };
    if one.name.is_empty() {
        return std::ptr::eq(one, other);
    }
    one.name == other.name && (a.declaration || b.declaration || one.size == other.size)
}
