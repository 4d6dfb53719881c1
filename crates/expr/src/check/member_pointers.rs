//! C++'s pointers to members: `&Class::member`, and what they lead to in an
//! object. Itanium C++ ABI, 2.3.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::location::Place;
use trapline_core::types::{Record, Type, TypeKind, TypeLink};

use super::members::Hit;
use super::{Checker, Kind, Stored, Typed};
use crate::ast::{BinaryOp, Expr, Path};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Arithmetic, Comparison, IntKind, Missing, NodeId, Op, Sort};
use crate::layout::{NO_MEMBER, WORD};
use crate::limits;
use crate::scope::Binding;

impl Checker<'_> {
    /// `&Class::member`; `None` for what is no member of an object.
    pub(super) fn member_address(
        &mut self,
        path: &Path,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        if path.scopes.is_empty() || !self.frames.is_empty() {
            return Ok(None);
        }
        let Some(class) = self.find_type(&path.scopes.join("::"), span)? else { return Ok(None) };
        let stripped = self.strip(&class, span)?;
        let TypeKind::Record(record) = &stripped.kind else { return Ok(None) };
        let mut budget = limits::MAX_RECORDS_SEARCHED;
        if let Some(Hit::Data(found)) = self.search(record, &path.name, span, &mut budget)? {
            if found.bits.is_some() {
                return Err(Error::new(span.clone(), "a bit-field has no address"));
            }
            let node = self.constant(found.offset, IntKind::I64, span)?;
            let ty = member_pointer(class, found.ty, WORD);
            return Ok(Some(Typed { kind: Kind::Word(node), ty, span: span.clone() }));
        }
        let binding = self.binding(path, span)?;
        let Some(Binding::Function { ty, address, takes_object: true, .. }) = binding else {
            return Ok(None);
        };
        let pointer = match virtual_slot(&stripped.name, record, &path.name, span)? {
            Some(slot) => slot.wrapping_mul(WORD as u64).wrapping_add(1),
            None => address.get(),
        };
        let words = [pointer.to_le_bytes(), [0; WORD]].concat();
        let kind = Stored::whole(Place::Bytes(words));
        Ok(Some(Typed { kind, ty: member_pointer(class, ty, 2 * WORD), span: span.clone() }))
    }

    /// `object.*pointer`, `object->*pointer`. C++20 [expr.mptr.oper]: a unary
    /// operator before it is the object's, so that `&object.*pointer` is none.
    pub(super) fn member_through(
        &mut self,
        op: BinaryOp,
        [object, pointer]: &[Expr; 2],
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let object = self.expr(object)?;
        let object = match op {
            BinaryOp::ArrowThrough => self.through_pointers(object)?,
            _ => self.no_pointer(object)?,
        };
        let pointer = self.expr(pointer)?;
        let (pointer, stripped) = self.beyond_references(pointer)?;
        let TypeKind::MemberPointer { class, target } = &stripped.kind else {
            let message = format!("`{}` is no pointer to a member", self.spell(&pointer.ty));
            return Err(Error::new(pointer.span, message));
        };
        let target = self.follow(target, span)?;
        let object = match class {
            Some(class) => {
                let class = self.follow(class, span)?;
                self.object_for(object, &class, span)?
            }
            None => object,
        };
        match self.strip(&target, span)?.kind {
            TypeKind::Function { .. } => self.function_through(&object, &pointer, target, span),
            _ => self.data_through(object, pointer, target, span),
        }
    }

    fn no_pointer(&mut self, object: Typed) -> Result<Typed, Error> {
        let (object, stripped) = self.beyond_references(object)?;
        match stripped.kind {
            TypeKind::Pointer { .. } => {
                let message = format!("`{}` is a pointer", self.spell(&object.ty));
                let help = "write `p->*m`; `*p.*m` means `(*p).*m`, and `&o.*m` `(&o).*m`";
                Err(Error::new(object.span, message).with_help(help))
            }
            _ => Ok(object),
        }
    }

    fn object_for(
        &mut self,
        object: Typed,
        class: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let ty = object.ty.clone();
        self.part_of_class(object, class, span)?.ok_or_else(|| {
            let (object, class) = (self.spell(&ty), self.spell(class));
            let message = format!("`{object}` is no `{class}`, whose member is pointed to");
            Error::new(span.clone(), message)
        })
    }

    fn data_through(
        &mut self,
        object: Typed,
        pointer: Typed,
        target: Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let distance = self.rvalue(pointer)?.node;
        if let Some(known) = self.known(distance)
            && let Some(member) = self.displaced_to(&object, known, target.clone())?
        {
            return Ok(Typed { span: span.clone(), ..member });
        }
        let start = self.memory_of(&object)?;
        let none = self.constant(NO_MEMBER.cast_unsigned(), IntKind::I64, span)?;
        let leads = self.push(Op::Compare(Comparison::Ne, distance, none), Sort::BOOL, span)?;
        let distance = self.at_sort(distance, Sort::ADDRESS, span)?;
        let address = self.sum(start, distance, span)?;
        let kind = Kind::Memory { address, bits: None };
        let missing = Missing::Part("the pointer is to no member".into());
        self.only_if(leads, Typed { kind, ty: target, span: span.clone() }, missing, span)
    }

    /// The function that is called: the one pointed to, or the one in the slot
    /// of the object's table that is pointed to.
    fn function_through(
        &mut self,
        object: &Typed,
        pointer: &Typed,
        target: Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let start = self.memory_of(object)?;
        let (pointer, adjustment) = (self.word_of(pointer, 0)?, self.word_of(pointer, 1)?);
        let this = self.sum(start, adjustment, span)?;
        let table = self.word_at(this, span)?;
        let slot = self.sum(table, pointer, span)?;
        let slot = self.displaced(slot, u64::MAX, span)?;
        let found = self.word_at(slot, span)?;
        let one = self.constant(1, IntKind::U64, span)?;
        let mark = Op::Arithmetic(Arithmetic::And, pointer, one);
        let mark = self.push(mark, Sort::ADDRESS, span)?;
        let is_virtual = self.push(Op::Compare(Comparison::Eq, mark, one), Sort::BOOL, span)?;
        let node = self.push(Op::Select(is_virtual, found, pointer), Sort::ADDRESS, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: target, span: span.clone() })
    }

    fn memory_of(&self, object: &Typed) -> Result<NodeId, Error> {
        match object.kind {
            Kind::Memory { address, bits: None } => Ok(address),
            _ => Err(Error::new(
                object.span.clone(),
                "only an object in memory has members that can be pointed to",
            )),
        }
    }

    /// One of the words of an object.
    fn word_of(&mut self, object: &Typed, index: usize) -> Result<NodeId, Error> {
        let word = builtin::integer(IntKind::U64);
        let part = self.displaced_to(object, (index * WORD) as u64, word)?;
        let part = part.ok_or_else(|| Error::new(object.span.clone(), "it is no object"))?;
        Ok(self.rvalue(part)?.node)
    }

    fn word_at(&mut self, address: NodeId, span: &Range<usize>) -> Result<NodeId, Error> {
        let kind = Kind::Memory { address, bits: None };
        let word = Typed { kind, ty: builtin::integer(IntKind::U64), span: span.clone() };
        Ok(self.rvalue(word)?.node)
    }

    fn sum(&mut self, a: NodeId, b: NodeId, span: &Range<usize>) -> Result<NodeId, Error> {
        self.push(Op::Arithmetic(Arithmetic::Add, a, b), Sort::ADDRESS, span)
    }
}

fn member_pointer(class: Arc<Type>, target: Arc<Type>, size: usize) -> Arc<Type> {
    let kind = TypeKind::MemberPointer {
        class: Some(TypeLink::Known(class)),
        target: TypeLink::Known(target),
    };
    Arc::new(Type { name: String::new(), size: Some(size as u64), kind })
}

/// Where a virtual function of a class stands in its table; `None` for one that
/// is not virtual.
fn virtual_slot(
    class: &str,
    record: &Record,
    name: &str,
    span: &Range<usize>,
) -> Result<Option<u64>, Error> {
    let is_meant = |full: &str| {
        let rest = full.strip_prefix(class).and_then(|rest| rest.strip_prefix("::"));
        rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    let mut slots = record.virtual_functions.iter().filter(|function| is_meant(&function.name));
    match (slots.next(), slots.next()) {
        (Some(_), Some(_)) => {
            let message = format!("`{class}::{name}` means several virtual functions");
            Err(Error::new(span.clone(), message))
        }
        (found, _) => Ok(found.map(|function| function.slot)),
    }
}
