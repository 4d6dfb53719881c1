//! Conversions: C's usual ones, and casts.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{Type, TypeKind};

use super::scalar::{Rvalue, Scalar};
use super::{Checker, Kind, Typed};
use crate::ast::{Expr, TypeName};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Comparison, FloatKind, IntKind, NodeId, Op, Sort};

/// C11 6.3.1.1: small integers compute as `int`.
pub(super) fn promote(kind: IntKind) -> IntKind {
    if kind.bytes < 4 { IntKind::I32 } else { kind }
}

/// C11 6.3.1.8 for integers.
fn common(a: IntKind, b: IntKind) -> IntKind {
    let (a, b) = (promote(a), promote(b));
    match a.bytes.cmp(&b.bytes) {
        std::cmp::Ordering::Greater => a,
        std::cmp::Ordering::Less => b,
        std::cmp::Ordering::Equal => IntKind { bytes: a.bytes, signed: a.signed && b.signed },
    }
}

/// The integer a scalar computes as.
pub(super) fn as_int(scalar: &Scalar) -> Option<IntKind> {
    match scalar {
        Scalar::Int(kind) => Some(*kind),
        Scalar::Bool => Some(IntKind { bytes: 1, signed: false }),
        Scalar::Pointer(_) => Some(IntKind::U64),
        Scalar::Float(_) => None,
    }
}

/// C11 6.3.1.8.
pub(super) fn usual(a: &Scalar, b: &Scalar) -> Sort {
    match (as_int(a), as_int(b)) {
        (Some(a), Some(b)) => Sort::Int(common(a, b)),
        _ => {
            let double = |scalar: &Scalar| matches!(scalar, Scalar::Float(FloatKind::F64));
            let either = double(a) || double(b);
            Sort::Float(if either { FloatKind::F64 } else { FloatKind::F32 })
        }
    }
}

/// The type of a computed number.
pub(super) fn computed(sort: Sort) -> Arc<Type> {
    match sort {
        Sort::Int(kind) => builtin::integer(kind),
        Sort::Float(kind) => builtin::float(kind),
    }
}

impl Checker<'_> {
    /// A word at another sort; known words are converted here and now.
    pub(super) fn at_sort(
        &mut self,
        node: NodeId,
        to: Sort,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let from = self.sort(node);
        if from == to {
            return Ok(node);
        }
        if let (Some(word), Sort::Int(_), Sort::Int(kind)) = (self.known(node), from, to) {
            return self.constant(word, kind, span);
        }
        self.push(Op::Convert(node), to, span)
    }

    /// A number converted to a scalar type.
    pub(super) fn converted_to(
        &mut self,
        value: &Rvalue,
        ty: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let (scalar, _) = self.scalar(ty, span)?;
        let from_float = matches!(value.scalar, Scalar::Float(_));
        match scalar {
            Scalar::Bool => self.truth(Typed {
                kind: Kind::Word(value.node),
                ty: value.ty.clone(),
                span: span.clone(),
            }),
            Scalar::Pointer(_) if from_float => {
                Err(Error::new(span.clone(), "a floating-point number is no address"))
            }
            Scalar::Pointer(target) => self.pointer_as(value, target.as_ref(), span),
            scalar => self.at_sort(value.node, scalar.sort(), span),
        }
    }

    pub(super) fn cast(
        &mut self,
        name: &TypeName,
        value: &Expr,
        in_rust: bool,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let ty = self.type_named(name, span)?;
        let stripped = self.strip(&ty, span)?;
        if let TypeName::Reference(_) = name {
            let typed = self.operand(value, &builtin::unknown_data())?;
            return self.reinterpret(typed, &stripped, span);
        }
        let typed = self.operand(value, &ty)?;
        if matches!(stripped.kind, TypeKind::Record(_) | TypeKind::Array { .. }) {
            return self.same_object(typed, ty, span);
        }
        let value = self.rvalue(typed)?;
        let node = match (&value.scalar, self.scalar(&ty, span)?.0) {
            (Scalar::Float(from), Scalar::Int(to)) if in_rust => {
                self.saturated(value.node, *from, to, span)?
            }
            _ => self.converted_to(&value, &ty, span)?,
        };
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }

    /// A float as the nearest integer that there is toward zero, and no number
    /// as zero. The Rust Reference, numeric casts.
    fn saturated(
        &mut self,
        value: NodeId,
        from: FloatKind,
        to: IntKind,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let sort = Sort::Int(to);
        let bits = to.bits() - u32::from(to.signed);
        let beyond = 2_f64.powi(bits.cast_signed());
        let (least, most) = match to.signed {
            true => (1 << bits, (1 << bits) - 1),
            false => (0, u64::MAX >> (64 - bits)),
        };
        let lowest = if to.signed { -beyond } else { 0.0 };
        let (lowest, beyond) = (self.float(lowest, from, span)?, self.float(beyond, from, span)?);
        let mut compare = |op, bound| self.push(Op::Compare(op, value, bound), Sort::BOOL, span);
        let not_beyond = compare(Comparison::Lt, beyond)?;
        let not_below = compare(Comparison::Ge, lowest)?;
        let is_beyond = compare(Comparison::Ge, beyond)?;
        let (least, most) = (self.constant(least, to, span)?, self.constant(most, to, span)?);
        let zero = self.constant(0, to, span)?;
        let inside = self.push(Op::Convert(value), sort, span)?;
        let inside = self.push(Op::Select(not_below, inside, least), sort, span)?;
        let outside = self.push(Op::Select(is_beyond, most, zero), sort, span)?;
        self.push(Op::Select(not_beyond, inside, outside), sort, span)
    }

    /// A known float; these are the same in all formats.
    fn float(&mut self, value: f64, kind: FloatKind, span: &Range<usize>) -> Result<NodeId, Error> {
        let word = match kind {
            FloatKind::F32 => u64::from((value as f32).to_bits()),
            FloatKind::F64 => value.to_bits(),
        };
        self.push(Op::Const(word), Sort::Float(kind), span)
    }

    /// `(T &)x`: the base of `x`, what `x` is a base of, or else the bytes of
    /// `x` seen as another type.
    fn reinterpret(
        &mut self,
        typed: Typed,
        reference: &Type,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let typed = self.through_references(typed)?;
        let (Kind::Memory { address, bits: None }, TypeKind::Pointer { target: Some(link), .. }) =
            (&typed.kind, &reference.kind)
        else {
            return Err(Error::new(
                span.clone(),
                "only an object in memory can be seen as another",
            ));
        };
        let ty = self.follow(link, span)?;
        let shift = match self.class_shift(&typed.ty, &ty, span) {
            Ok(shift) => shift.unwrap_or(0),
            Err(why) => return self.as_virtual_base(&typed, &ty, span)?.ok_or(why),
        };
        let address = self.displaced(*address, shift.cast_unsigned(), span)?;
        Ok(Typed { kind: Kind::Memory { address, bits: None }, ty, span: span.clone() })
    }

    /// A cast to a record or an array is a view of an object of that size, or
    /// of the base class within it.
    fn same_object(
        &mut self,
        typed: Typed,
        ty: Arc<Type>,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let typed = self.through_references(typed)?;
        if let Some(base) = self.base_of_object(&typed, &ty, span)? {
            return Ok(base);
        }
        let is_object = matches!(typed.kind, Kind::Memory { bits: None, .. } | Kind::Stored(_));
        if is_object && self.size(&typed.ty, span)? == self.size(&ty, span)? {
            return Ok(Typed { ty, span: span.clone(), ..typed });
        }
        let message = format!("a value cannot be converted to `{}`", self.spell(&ty));
        Err(Error::new(span.clone(), message).with_help("cast a pointer instead: `*(type *)&x`"))
    }
}
