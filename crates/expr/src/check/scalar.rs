//! What can be computed with: scalar types, loading them, truth.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{BaseKind, PointerFlavour, Type, TypeKind};

use super::{Checker, Kind, Typed};
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
        let stripped = self.strip(ty, span)?;
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

    pub(super) fn follow(
        &self,
        link: &trapline_core::types::TypeLink,
        span: &Range<usize>,
    ) -> Result<Arc<Type>, Error> {
        self.scope.follow(link).map_err(|why| Error::new(span.clone(), why))
    }

    pub(super) fn is_signed(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<bool, Error> {
        let (scalar, _) = self.scalar(ty, span)?;
        Ok(matches!(scalar, Scalar::Int(IntKind { signed: true, .. })))
    }

    /// What a reference type refers to; other types stay.
    pub(super) fn referent(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<Arc<Type>, Error> {
        let stripped = self.strip(ty, span)?;
        match &stripped.kind {
            TypeKind::Pointer { target: Some(link), flavour } if is_reference(*flavour) => {
                self.follow(link, span)
            }
            _ => Ok(ty.clone()),
        }
    }

    /// Follows references until something else stands there.
    pub(super) fn through_references(&mut self, typed: Typed) -> Result<Typed, Error> {
        let mut typed = typed;
        for _ in 0..crate::limits::MAX_MEMBER_WALK {
            let target = self.referent(&typed.ty, &typed.span)?;
            if Arc::ptr_eq(&target, &typed.ty) {
                return Ok(typed);
            }
            let pointer = self.load(&typed, Load::Int(IntKind::U64))?;
            let kind = Kind::Memory { address: pointer, bits: None };
            typed = Typed { kind, ty: target, span: typed.span };
        }
        Err(Error::new(typed.span, "too many references to follow"))
    }

    /// The number a subexpression stands for: references followed, arrays and
    /// functions turned to pointers, objects loaded.
    pub(super) fn rvalue(&mut self, typed: Typed) -> Result<Rvalue, Error> {
        let typed = self.through_references(typed)?;
        let Typed { kind, ty, span } = &typed;
        if let Kind::Function(address) = kind {
            let node = self.constant(address.get(), IntKind::U64, span)?;
            return Ok(pointer_rvalue(node, ty.clone(), span));
        }
        if let Kind::Text(_) = kind {
            return Err(Error::new(span.clone(), "a text can only be compared with `==` and `!=`"));
        }
        if let Kind::Repeated { .. } = kind {
            return Err(Error::new(span.clone(), "`first@count` can only be looked at as a whole"));
        }
        if let (TypeKind::Array { element, .. }, Kind::Memory { address, .. }) =
            (&self.strip(ty, span)?.kind, kind)
        {
            let element = self.follow(element, span)?;
            return Ok(pointer_rvalue(*address, element, span));
        }
        let (scalar, load) = self.scalar(ty, span)?;
        let node = self.load(&typed, load)?;
        let ty = if load == Load::X87 { builtin::float(FloatKind::F64) } else { ty.clone() };
        Ok(Rvalue { node, scalar, ty, span: typed.span })
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
            Kind::Stored { place, offset } => {
                let op = Op::Stored { place: place.clone(), offset: *offset, load };
                self.push(op, load.sort(), span)
            }
            Kind::Text(_) | Kind::Function(_) | Kind::Repeated { .. } => {
                Err(Error::new(span.clone(), "this is no object of the program"))
            }
        }
    }

    /// A subexpression as a truth value.
    pub(super) fn truth(&mut self, typed: Typed) -> Result<NodeId, Error> {
        let span = typed.span.clone();
        let value = self.rvalue(typed).map_err(|error| {
            let message = format!("this is neither true nor false: {}", error.message);
            Error { message, ..error }
        })?;
        if self.is_truth_value(value.node) {
            return Ok(value.node);
        }
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
            | Op::And(..)
            | Op::Or(..)
            | Op::TextEqual(..)
            | Op::Changed { .. } => true,
            _ => false,
        }
    }
}

pub(super) fn is_reference(flavour: PointerFlavour) -> bool {
    matches!(flavour, PointerFlavour::Reference | PointerFlavour::RvalueReference)
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
