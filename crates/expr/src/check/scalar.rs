//! What can be computed with: scalar types, loading them, truth.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{BaseKind, BitField, PointerFlavour, Type, TypeKind, TypeLink};

use super::{Checker, Kind, Stored, Typed};
use crate::builtin;
use crate::error::Error;
use crate::ir::{FloatKind, IntKind, Load, NodeId, Op, Sort};

/// How a scalar type computes.
#[derive(Clone)]
pub(super) enum Scalar {
    Int(IntKind),
    Bool,
    Float(FloatKind),
    /// A pointer; `None` points to `void`.
    Pointer(Option<Arc<Type>>),
}

/// A subexpression's number.
#[derive(Clone)]
pub(super) struct Rvalue {
    pub(super) node: NodeId,
    pub(super) scalar: Scalar,
    pub(super) ty: Arc<Type>,
    pub(super) span: Range<usize>,
}

impl Scalar {
    pub(super) fn sort(&self) -> Sort {
        match self {
            Self::Int(kind) => Sort::Int(*kind),
            Self::Bool => Sort::BOOL,
            Self::Float(kind) => Sort::Float(*kind),
            Self::Pointer(_) => Sort::ADDRESS,
        }
    }
}

impl Checker<'_> {
    /// How values of a type compute; an error names types that do not.
    pub(super) fn scalar(
        &self,
        ty: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<(Scalar, Load), Error> {
        self.stripped_scalar(ty, &*self.strip(ty, span)?, span)
    }

    /// The same where the type is at hand without its aliases, too.
    fn stripped_scalar(
        &self,
        ty: &Type,
        stripped: &Type,
        span: &Range<usize>,
    ) -> Result<(Scalar, Load), Error> {
        let int = |signed: bool| {
            let bytes = stripped.size.and_then(|size| u8::try_from(size).ok());
            let bytes = bytes.filter(|bytes| matches!(bytes, 1 | 2 | 4 | 8));
            bytes.map(|bytes| IntKind { bytes, signed })
        };
        let scalar = match &stripped.kind {
            TypeKind::Base(BaseKind::Bool) if stripped.size == Some(1) => {
                Some((Scalar::Bool, Load::Int(IntKind { bytes: 1, signed: false })))
            }
            TypeKind::Base(BaseKind::Float) => float(stripped.size),
            TypeKind::Base(BaseKind::Signed | BaseKind::SignedChar) => int(true).map(whole),
            TypeKind::Base(_) => int(false).map(whole),
            TypeKind::Enum { signed, .. } => int(*signed).map(whole),
            // Those to functions have two words.
            TypeKind::MemberPointer { .. } if stripped.size == Some(8) => int(true).map(whole),
            TypeKind::Pointer { target, .. } if stripped.size == Some(8) => {
                let target = target.as_ref().map(|link| self.follow(link, span)).transpose()?;
                Some((Scalar::Pointer(target), Load::Int(IntKind::U64)))
            }
            _ => None,
        };
        scalar.ok_or_else(|| {
            let spelled = self.spell(ty);
            Error::new(span.clone(), format!("a value of type `{spelled}` cannot be computed with"))
        })
    }

    pub(super) fn follow(&self, link: &TypeLink, span: &Range<usize>) -> Result<Arc<Type>, Error> {
        self.scope.follow(link).map_err(|why| Error::new(span.clone(), why))
    }

    pub(super) fn is_signed(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<bool, Error> {
        let (scalar, _) = self.scalar(ty, span)?;
        Ok(matches!(scalar, Scalar::Int(IntKind { signed: true, .. })))
    }

    /// What a reference type refers to; other types stay.
    pub(super) fn referent(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<Arc<Type>, Error> {
        match referred(&*self.strip(ty, span)?) {
            Some(link) => self.follow(link, span),
            None => Ok(ty.clone()),
        }
    }

    /// Follows references until something else stands there.
    pub(super) fn through_references(&mut self, typed: Typed) -> Result<Typed, Error> {
        self.beyond_references(typed).map(|(object, _)| object)
    }

    /// The same, with the type it comes to stripped of its aliases.
    pub(super) fn beyond_references(
        &mut self,
        mut typed: Typed,
    ) -> Result<(Typed, Arc<Type>), Error> {
        for _ in 0..crate::limits::MAX_MEMBER_WALK {
            let stripped = self.strip(&typed.ty, &typed.span)?;
            if referred(&stripped).is_none() {
                return Ok((typed, stripped));
            }
            typed = self.through_reference(typed)?;
        }
        Err(Error::new(typed.span, "too many references to follow"))
    }

    /// What a reference refers to, be that another reference; others stay.
    pub(super) fn through_reference(&mut self, typed: Typed) -> Result<Typed, Error> {
        let Typed { ty, span, .. } = &typed;
        let stripped = self.strip(ty, span)?;
        let Some(link) = referred(&stripped) else { return Ok(typed) };
        if let Some(object) = self.behind_pointer(&typed, 0, span)? {
            return Ok(object);
        }
        let target = self.follow(link, span)?;
        let address = self.load(&typed, Load::Int(IntKind::U64))?;
        Ok(Typed { kind: Kind::Memory { address, bits: None }, ty: target, span: typed.span })
    }

    /// The number a subexpression stands for: references followed, arrays and
    /// functions turned to pointers, objects loaded.
    pub(super) fn rvalue(&mut self, typed: Typed) -> Result<Rvalue, Error> {
        let (typed, stripped) = self.beyond_references(typed)?;
        let Typed { kind, ty, span } = &typed;
        match (kind, &stripped.kind) {
            (Kind::Function(address), _) => {
                let node = self.constant(address.get(), IntKind::U64, span)?;
                Ok(pointer_rvalue(node, ty.clone(), span))
            }
            (Kind::Text(_), _) => {
                Err(Error::new(span.clone(), "a text can only be compared with `==` and `!=`"))
            }
            (Kind::Repeated { .. }, _) => {
                Err(Error::new(span.clone(), "`first@count` can only be looked at as a whole"))
            }
            (Kind::Memory { address, .. }, TypeKind::Array { element, .. }) => {
                let element = self.follow(element, span)?;
                Ok(pointer_rvalue(*address, element, span))
            }
            _ => {
                if matches!(stripped.kind, TypeKind::Record(_))
                    && let Some(number) = self.number_stood_for(&typed)?
                {
                    return Ok(number);
                }
                let (scalar, load) = self.stripped_scalar(ty, &stripped, span)?;
                let node = self.load(&typed, load)?;
                let (ty, span) = (ty.clone(), span.clone());
                let ty = if load == Load::X87 { builtin::float(FloatKind::F64) } else { ty };
                let value = Rvalue { node, scalar, ty, span };
                match (&typed.kind, &stripped.kind) {
                    (Kind::Memory { bits: Some(field), .. }, TypeKind::Base(_)) => {
                        self.promoted(value, *field)
                    }
                    _ => Ok(value),
                }
            }
        }
    }

    /// A bit-field computes as `int` where that has all its values. C11
    /// 6.3.1.1, C++17 7.6.
    fn promoted(&mut self, value: Rvalue, field: BitField) -> Result<Rvalue, Error> {
        let Scalar::Int(kind) = value.scalar else { return Ok(value) };
        if field.width.saturating_add(u32::from(!kind.signed)) > IntKind::I32.bits() {
            return Ok(value);
        }
        let (sort, ty) = (Sort::Int(IntKind::I32), builtin::integer(IntKind::I32));
        let node = self.at_sort(value.node, sort, &value.span)?;
        Ok(Rvalue { node, scalar: Scalar::Int(IntKind::I32), ty, span: value.span })
    }

    /// The word of an object of a scalar type.
    fn load(&mut self, typed: &Typed, load: Load) -> Result<NodeId, Error> {
        let span = &typed.span;
        match &typed.kind {
            Kind::Word(id) => Ok(*id),
            Kind::Memory { address, bits } => {
                let op = Op::Load { address: *address, load };
                let whole = self.push(op, load.sort(), span)?;
                match bits {
                    Some(field) => {
                        let op = Op::Bits { value: whole, field: *field };
                        self.push(op, load.sort(), span)
                    }
                    None => Ok(whole),
                }
            }
            Kind::Stored(Stored { place, offset, given }) => {
                let op = Op::Stored { place: place.clone(), offset: *offset, load };
                let word = self.push(op, load.sort(), span)?;
                self.if_given(*given, word, span)
            }
            Kind::Text(_) | Kind::Function(_) | Kind::Repeated { .. } => {
                Err(Error::new(span.clone(), "this is no object of the program"))
            }
        }
    }

    /// A subexpression as a truth value.
    pub(super) fn truth(&mut self, typed: Typed) -> Result<NodeId, Error> {
        if let Kind::Word(word) = typed.kind
            && self.is_truth_value(word)
        {
            return Ok(word);
        }
        if let Some(exact) = self.extended_truth(&typed)? {
            return Ok(exact);
        }
        if let Some(truth) = self.viewed_truth(&typed)? {
            return Ok(truth);
        }
        let span = typed.span.clone();
        let value = self.rvalue(typed).map_err(|error| {
            let message = format!("this is neither true nor false: {}", error.message);
            Error { message, ..error }
        })?;
        let inverse = self.push(Op::IsZero(value.node), Sort::BOOL, &span)?;
        self.push(Op::IsZero(inverse), Sort::BOOL, &span)
    }

    /// Whether a node can only be 0 or 1.
    fn is_truth_value(&self, id: NodeId) -> bool {
        let node = &self.nodes[id.index()];
        match &node.op {
            Op::Const(word) => node.sort == Sort::BOOL && *word <= 1,
            Op::IsZero(_)
            | Op::Compare(..)
            | Op::CompareExtended(..)
            | Op::And(..)
            | Op::Or(..)
            | Op::TextEqual(..)
            | Op::Changed { .. } => true,
            _ => false,
        }
    }
}

/// What a reference type refers to.
fn referred(stripped: &Type) -> Option<&TypeLink> {
    match &stripped.kind {
        TypeKind::Pointer {
            target,
            flavour: PointerFlavour::Reference | PointerFlavour::RvalueReference,
        } => target.as_ref(),
        _ => None,
    }
}

/// A pointer to `target`.
pub(super) fn pointer_rvalue(node: NodeId, target: Arc<Type>, span: &Range<usize>) -> Rvalue {
    let ty = builtin::pointer(target.clone());
    Rvalue { node, scalar: Scalar::Pointer(Some(target)), ty, span: span.clone() }
}

fn whole(kind: IntKind) -> (Scalar, Load) {
    (Scalar::Int(kind), Load::Int(kind))
}

fn float(size: Option<u64>) -> Option<(Scalar, Load)> {
    match size {
        Some(4) => Some((Scalar::Float(FloatKind::F32), Load::Float(FloatKind::F32))),
        Some(8) => Some((Scalar::Float(FloatKind::F64), Load::Float(FloatKind::F64))),
        Some(10 | 16) => Some((Scalar::Float(FloatKind::F64), Load::X87)),
        _ => None,
    }
}
