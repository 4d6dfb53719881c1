//! Reaching objects: indexing, pointers, addresses, artificial arrays.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{Type, TypeKind, TypeLink};

use super::scalar::{Rvalue, Scalar};
use super::{Checker, Kind, Typed};
use crate::ast::{Expr, TypeName};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Arithmetic, IntKind, Sort};

impl Checker<'_> {
    /// `*p`. A number is taken for the address of a `long`, as gdb does.
    pub(super) fn dereference(
        &mut self,
        operand: Typed,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let target = self.referent(&operand.ty, span)?;
        let is_reference = !Arc::ptr_eq(&target, &operand.ty);
        // C++'s references are what they refer to; Rust's, which have names, are
        // followed by hand, each by a `*` of its own.
        if is_reference && !self.strip(&operand.ty, span)?.name.is_empty() {
            let object = self.through_reference(operand)?;
            return Ok(Typed { span: span.clone(), ..object });
        }
        if is_reference && !self.is_pointer(&target, span)? {
            let object = self.through_references(operand)?;
            let pointed = self.pointed_to(&object, span)?;
            return Ok(pointed.unwrap_or(Typed { span: span.clone(), ..object }));
        }
        if matches!(self.strip(&operand.ty, span)?.kind, TypeKind::Record(_))
            && let Some(object) = self.pointed_to(&operand, span)?
        {
            return Ok(object);
        }
        if let Some(object) = self.behind_pointer(&operand, 0, span)? {
            return Ok(object);
        }
        let pointer = self.rvalue(operand)?;
        if let Scalar::Pointer(Some(target)) = &pointer.scalar
            && matches!(self.strip(target, span)?.kind, TypeKind::Function { .. })
        {
            // C11 6.3.2.1: a function is its address again.
            return Ok(Typed {
                kind: Kind::Word(pointer.node),
                ty: pointer.ty,
                span: span.clone(),
            });
        }
        let (address, ty) = match &pointer.scalar {
            Scalar::Pointer(Some(target)) => (pointer.node, target.clone()),
            Scalar::Pointer(None) => return Err(self.nothing_there(&pointer, span)),
            Scalar::Int(kind) if kind.bytes >= 4 => {
                let address = self.at_sort(pointer.node, Sort::ADDRESS, span)?;
                (address, builtin::integer(IntKind::I64))
            }
            _ => {
                let message = format!("`{}` is no pointer", self.spell(&pointer.ty));
                return Err(Error::new(span.clone(), message));
            }
        };
        if matches!(self.strip(&ty, span)?.kind, TypeKind::Void) {
            return Err(self.nothing_there(&pointer, span));
        }
        Ok(Typed { kind: Kind::Memory { address, bits: None }, ty, span: span.clone() })
    }

    fn nothing_there(&self, pointer: &Rvalue, span: &Range<usize>) -> Error {
        let message = format!("`{}` points to nothing that has a type", self.spell(&pointer.ty));
        Error::new(span.clone(), message).with_help("cast it first: `*(type *)p`")
    }

    fn is_pointer(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<bool, Error> {
        Ok(matches!(self.strip(ty, span)?.kind, TypeKind::Pointer { .. } | TypeKind::Array { .. }))
    }

    pub(super) fn address_of(
        &mut self,
        operand: Typed,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let object = self.through_references(operand)?;
        let address = match &object.kind {
            Kind::Memory { address, bits: None } => *address,
            Kind::Function(address) => self.constant(address.get(), IntKind::U64, span)?,
            Kind::Memory { .. } => {
                return Err(Error::new(span.clone(), "a bit-field has no address"));
            }
            Kind::Stored(_) => {
                return Err(Error::new(span.clone(), "it has no address: it is not in memory"));
            }
            Kind::Word(_) | Kind::Text(_) | Kind::Repeated { .. } => {
                return Err(Error::new(span.clone(), "a computed value has no address"));
            }
        };
        let ty = builtin::pointer(object.ty);
        Ok(Typed { kind: Kind::Word(address), ty, span: span.clone() })
    }

    /// gdb's `{type} address`.
    pub(super) fn at_address(
        &mut self,
        ty: &TypeName,
        address: &Expr,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let ty = self.type_named(ty, span)?;
        let value = self.expr(address).and_then(|typed| self.rvalue(typed))?;
        if let Scalar::Float(_) = value.scalar {
            return Err(Error::new(value.span, "a floating-point number is no address"));
        }
        let address = self.at_sort(value.node, Sort::ADDRESS, span)?;
        Ok(Typed { kind: Kind::Memory { address, bits: None }, ty, span: span.clone() })
    }

    pub(super) fn index(
        &mut self,
        [object, index]: &[Expr; 2],
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let object = self.expr(object)?;
        let object = self.through_references(object)?;
        let index = self.expr(index).and_then(|typed| self.rvalue(typed))?;
        let stripped = self.strip(&object.ty, span)?;
        match (&object.kind, &stripped.kind) {
            (Kind::Stored(stored), TypeKind::Array { element, count }) => {
                let element = self.follow(element, span)?;
                let skip = self.known_offset(&index, &element, count.known(), span)?;
                Ok(Typed { kind: stored.part(skip), ty: element, span: span.clone() })
            }
            (_, TypeKind::Record(_)) => self.viewed_element(&object, &index, span),
            _ => {
                if let Some(element) = self.element_behind(&object, &index, span)? {
                    return Ok(element);
                }
                let pointer = self.rvalue(object)?;
                self.element(&pointer, &index, span)
            }
        }
    }

    /// Where a known element of an array outside memory starts.
    pub(super) fn known_offset(
        &self,
        index: &Rvalue,
        element: &Arc<Type>,
        count: Option<u64>,
        span: &Range<usize>,
    ) -> Result<u64, Error> {
        let size = self.size(element, span)?;
        let Some(known) = self.known(index.node) else {
            return Err(Error::new(
                index.span.clone(),
                "what is in registers is indexed by plain numbers only",
            ));
        };
        if count.is_some_and(|count| known >= count) {
            return Err(Error::new(index.span.clone(), "there is no such element"));
        }
        Ok(known.saturating_mul(size))
    }

    pub(super) fn element(
        &mut self,
        pointer: &Rvalue,
        index: &Rvalue,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        if !matches!(pointer.scalar, Scalar::Pointer(_)) {
            let message = format!("`{}` cannot be indexed", self.spell(&pointer.ty));
            return Err(Error::new(span.clone(), message));
        }
        let element = self.advance(pointer, index, Arithmetic::Add, span)?;
        self.dereference(element, span)
    }

    /// gdb's `first@count`.
    pub(super) fn repeat(
        &mut self,
        first: &Expr,
        count: &Expr,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let first = self.expr(first)?;
        let first = self.through_references(first)?;
        let Kind::Memory { address, bits: None } = first.kind else {
            return Err(Error::new(
                first.span,
                "only an object in memory can be repeated with `@`",
            ));
        };
        let count = self.expr(count).and_then(|typed| self.rvalue(typed))?;
        if !matches!(count.scalar, Scalar::Int(_) | Scalar::Bool) {
            return Err(Error::new(count.span, "a number of elements must be an integer"));
        }
        let ty = first.ty;
        let node = self.at_sort(count.node, Sort::Int(IntKind::I64), span)?;
        let Some(known) = self.known(node) else {
            let kind = Kind::Repeated { address, count: node };
            return Ok(Typed { kind, ty, span: span.clone() });
        };
        let elements = u64::try_from(known.cast_signed()).unwrap_or(0);
        if elements == 0 {
            return Err(Error::new(count.span, "a number of elements must be at least 1"));
        }
        let size = self.size(&ty, span)?;
        let ty = Arc::new(Type::array_of(TypeLink::Known(ty), size, elements));
        Ok(Typed { kind: Kind::Memory { address, bits: None }, ty, span: span.clone() })
    }

    /// Follows pointers and references to the object at their end.
    pub(super) fn through_pointers(&mut self, typed: Typed) -> Result<Typed, Error> {
        let mut typed = typed;
        for _ in 0..crate::limits::MAX_MEMBER_WALK {
            let (object, stripped) = self.beyond_references(typed)?;
            let TypeKind::Pointer { target: Some(_), .. } = &stripped.kind else {
                return Ok(object);
            };
            let span = object.span.clone();
            typed = self.dereference(object, &span)?;
        }
        Err(Error::new(typed.span, "too many pointers to follow"))
    }
}
