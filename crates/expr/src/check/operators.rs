//! Operators on numbers and pointers.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{Language, Type, TypeKind};

use super::convert::{as_int, computed, promote, usual};
use super::scalar::{Rvalue, Scalar};
use super::{Checker, Kind, Typed};
use crate::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Arithmetic, Comparison, FloatKind, IntKind, NodeId, Op, Sort};

impl Checker<'_> {
    pub(super) fn unary(
        &mut self,
        op: UnaryOp,
        only: &Expr,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        if op == UnaryOp::AddressOf {
            if let ExprKind::Path(path) = &only.kind
                && let Some(member) = self.member_address(path, span)?
            {
                return Ok(member);
            }
            let object = self.operand(only, &builtin::unknown_data())?;
            return self.address_of(object, span);
        }
        let operand = self.expr(only)?;
        match op {
            UnaryOp::Dereference => return self.dereference(operand, span),
            UnaryOp::Not if self.in_rust() && self.is_int(&operand)? => {
                return self.complement(operand, span);
            }
            UnaryOp::Not => {
                let truth = self.truth(operand)?;
                let node = self.push(Op::IsZero(truth), Sort::BOOL, span)?;
                return Ok(self.boolean(node, span));
            }
            UnaryOp::AddressOf | UnaryOp::Plus | UnaryOp::Negate | UnaryOp::BitNot => {}
        }
        let value = self.rvalue(operand)?;
        let sort = match &value.scalar {
            Scalar::Float(kind) if op != UnaryOp::BitNot => Sort::Float(*kind),
            Scalar::Int(_) | Scalar::Bool => {
                Sort::Int(promote(as_int(&value.scalar).unwrap_or(IntKind::I32)))
            }
            _ => return Err(self.no_operator(op.spelling(), &value, span)),
        };
        let operand = self.at_sort(value.node, sort, span)?;
        let node = match op {
            UnaryOp::Negate => self.push(Op::Negate(operand), sort, span)?,
            UnaryOp::BitNot => self.push(Op::BitNot(operand), sort, span)?,
            _ => operand,
        };
        Ok(Typed { kind: Kind::Word(node), ty: computed(sort), span: span.clone() })
    }

    /// Whether operators mean what they do in Rust. Views are written like C.
    fn in_rust(&self) -> bool {
        self.frames.is_empty() && self.scope.language() == Language::Rust
    }

    fn is_int(&self, operand: &Typed) -> Result<bool, Error> {
        let ty = self.referent(&operand.ty, &operand.span)?;
        Ok(matches!(self.scalar(&ty, &operand.span), Ok((Scalar::Int(_), _))))
    }

    /// Rust's `!` of an integer, which stays one of its type.
    fn complement(&mut self, operand: Typed, span: &Range<usize>) -> Result<Typed, Error> {
        let value = self.rvalue(operand)?;
        let sort = value.scalar.sort();
        let node = self.push(Op::BitNot(value.node), sort, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: value.ty, span: span.clone() })
    }

    fn no_operator(&self, spelling: &str, value: &Rvalue, span: &Range<usize>) -> Error {
        let ty = self.spell(&value.ty);
        Error::new(span.clone(), format!("`{spelling}` has no meaning for `{ty}`"))
    }

    pub(super) fn boolean(&self, node: NodeId, span: &Range<usize>) -> Typed {
        Typed { kind: Kind::Word(node), ty: builtin::boolean(), span: span.clone() }
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        operands: &[Expr; 2],
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let [a, b] = operands;
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let a = self.expr(a).and_then(|a| self.truth(a))?;
                let b = self.expr(b).and_then(|b| self.truth(b))?;
                let op = if op == BinaryOp::And { Op::And(a, b) } else { Op::Or(a, b) };
                let node = self.push(op, Sort::BOOL, span)?;
                Ok(self.boolean(node, span))
            }
            BinaryOp::Repeat => self.repeat(a, b, span),
            BinaryOp::MemberThrough | BinaryOp::ArrowThrough => {
                self.member_through(op, operands, span)
            }
            _ if op.is_comparison() => self.comparison(op, a, b, span),
            _ => {
                let a = self.expr(a).and_then(|a| self.rvalue(a))?;
                let b = self.expr(b).and_then(|b| self.rvalue(b))?;
                let (a, b) =
                    self.literals_adapted(operands.each_ref().map(is_float_literal), a, b)?;
                self.arithmetic(op, a, b, span)
            }
        }
    }

    /// Arithmetic on two numbers, or on a pointer.
    pub(super) fn arithmetic(
        &mut self,
        op: BinaryOp,
        a: Rvalue,
        b: Rvalue,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        match (op, &a.scalar, &b.scalar) {
            (BinaryOp::Add, Scalar::Pointer(_), Scalar::Int(_) | Scalar::Bool) => {
                return self.advance(&a, &b, Arithmetic::Add, span);
            }
            (BinaryOp::Add, Scalar::Int(_) | Scalar::Bool, Scalar::Pointer(_)) => {
                return self.advance(&b, &a, Arithmetic::Add, span);
            }
            (BinaryOp::Subtract, Scalar::Pointer(_), Scalar::Int(_) | Scalar::Bool) => {
                return self.advance(&a, &b, Arithmetic::Sub, span);
            }
            (BinaryOp::Subtract, Scalar::Pointer(_), Scalar::Pointer(_)) => {
                return self.distance(&a, &b, span);
            }
            (_, Scalar::Pointer(_), _) => return Err(self.no_operator(op.spelling(), &a, span)),
            (_, _, Scalar::Pointer(_)) => return Err(self.no_operator(op.spelling(), &b, span)),
            _ => {}
        }
        if matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight) {
            return self.shift(op, &a, &b, span);
        }
        let sort = usual(&a.scalar, &b.scalar);
        let Some(arithmetic) = arithmetic_of(op, sort) else {
            let float = if matches!(a.scalar, Scalar::Float(_)) { &a } else { &b };
            return Err(self.no_operator(op.spelling(), float, span));
        };
        let a = self.at_sort(a.node, sort, &a.span)?;
        let b = self.at_sort(b.node, sort, &b.span)?;
        let node = self.push(Op::Arithmetic(arithmetic, a, b), sort, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: computed(sort), span: span.clone() })
    }

    /// C11 6.5.7: each operand is promoted for itself.
    fn shift(
        &mut self,
        op: BinaryOp,
        a: &Rvalue,
        b: &Rvalue,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let kinds = (as_int(&a.scalar), as_int(&b.scalar));
        let (Some(kind), Some(_)) = kinds else {
            let float = if kinds.0.is_none() { a } else { b };
            return Err(self.no_operator(op.spelling(), float, span));
        };
        // Rust's stay what they are.
        let (sort, ty) = match self.in_rust() {
            true => (a.scalar.sort(), a.ty.clone()),
            false => (Sort::Int(promote(kind)), computed(Sort::Int(promote(kind)))),
        };
        let value = self.at_sort(a.node, sort, &a.span)?;
        let left = op == BinaryOp::ShiftLeft;
        let node = self.push(Op::Shift { left, value, count: b.node }, sort, span)?;
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }

    /// What a pointer's arithmetic scales by; 1 for `void` and functions, as
    /// GNU C has it.
    pub(super) fn stride(
        &self,
        target: Option<&Arc<Type>>,
        span: &Range<usize>,
    ) -> Result<u64, Error> {
        let Some(target) = target else { return Ok(1) };
        match self.strip(target, span)?.kind {
            TypeKind::Void | TypeKind::Function { .. } => Ok(1),
            _ => self.size(target, span),
        }
    }

    /// `pointer + count` or `pointer - count`.
    pub(super) fn advance(
        &mut self,
        pointer: &Rvalue,
        count: &Rvalue,
        op: Arithmetic,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let Scalar::Pointer(target) = &pointer.scalar else {
            return Err(self.no_operator("+", pointer, span));
        };
        let bytes = match target {
            Some(target) if self.is_computed(target, span)? => {
                let size = self.size_node(target, span)?;
                let count = self.at_sort(count.node, Sort::ADDRESS, span)?;
                self.push(Op::Arithmetic(Arithmetic::Mul, count, size), Sort::ADDRESS, span)?
            }
            _ => {
                let stride = self.stride(target.as_ref(), span)?;
                self.scaled(count, stride, span)?
            }
        };
        let node = self.push(Op::Arithmetic(op, pointer.node, bytes), Sort::ADDRESS, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: pointer.ty.clone(), span: span.clone() })
    }

    /// A count of elements in bytes.
    pub(super) fn scaled(
        &mut self,
        count: &Rvalue,
        stride: u64,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        if as_int(&count.scalar).is_none() {
            return Err(Error::new(count.span.clone(), "an index must be an integer"));
        }
        let count = self.at_sort(count.node, Sort::ADDRESS, span)?;
        if let Some(known) = self.known(count) {
            return self.constant(known.wrapping_mul(stride), IntKind::U64, span);
        }
        if stride == 1 {
            return Ok(count);
        }
        let stride = self.constant(stride, IntKind::U64, span)?;
        self.push(Op::Arithmetic(Arithmetic::Mul, count, stride), Sort::ADDRESS, span)
    }

    /// `pointer - pointer`, in elements.
    fn distance(&mut self, a: &Rvalue, b: &Rvalue, span: &Range<usize>) -> Result<Typed, Error> {
        let stride = match &a.scalar {
            Scalar::Pointer(target) => self.stride(target.as_ref(), span)?,
            _ => 1,
        };
        if stride == 0 {
            return Err(Error::new(span.clone(), "the elements have no size"));
        }
        let sort = Sort::Int(IntKind::I64);
        let a = self.at_sort(a.node, sort, span)?;
        let b = self.at_sort(b.node, sort, span)?;
        let bytes = self.push(Op::Arithmetic(Arithmetic::Sub, a, b), sort, span)?;
        let stride = self.constant(stride, IntKind::I64, span)?;
        let node = self.push(Op::Arithmetic(Arithmetic::Div, bytes, stride), sort, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: computed(sort), span: span.clone() })
    }

    fn comparison(
        &mut self,
        op: BinaryOp,
        a: &Expr,
        b: &Expr,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let literals = [is_float_literal(a), is_float_literal(b)];
        let nulls = [a, b].map(|side| matches!(side.kind, ExprKind::Null));
        let (a, b) = self.compared(a, b)?;
        if let Some(found) = self.compared_with_null(op, nulls, &a, &b)? {
            return Ok(found);
        }
        let is_text = |typed: &Typed| matches!(typed.kind, Kind::Text(_));
        if is_text(&a) || is_text(&b) || self.are_texts(&a, &b)? {
            return self.text_comparison(op, &a, &b, span);
        }
        if let Some(exact) = self.extended_comparison(comparison_of(op), &a, &b, span)? {
            return Ok(exact);
        }
        let (a, b) = (self.rvalue(a)?, self.rvalue(b)?);
        let (a, b) = self.literals_adapted(literals, a, b)?;
        let (a, b) = self.composite(a, b, span)?;
        let pointer = |value: &Rvalue| matches!(value.scalar, Scalar::Pointer(_));
        let sort = match usual(&a.scalar, &b.scalar) {
            sort if !pointer(&a) && !pointer(&b) => sort,
            Sort::Int(_) => Sort::ADDRESS,
            Sort::Float(_) => {
                return Err(Error::new(span.clone(), "a floating-point number is no address"));
            }
        };
        let a = self.at_sort(a.node, sort, &a.span)?;
        let b = self.at_sort(b.node, sort, &b.span)?;
        let node = self.push(Op::Compare(comparison_of(op), a, b), Sort::BOOL, span)?;
        Ok(self.boolean(node, span))
    }

    /// `pointer == nullptr` of an object that is a pointer by its view.
    fn compared_with_null(
        &mut self,
        op: BinaryOp,
        nulls: [bool; 2],
        a: &Typed,
        b: &Typed,
    ) -> Result<Option<Typed>, Error> {
        let object = match (nulls, op) {
            ([true, false], BinaryOp::Equal | BinaryOp::NotEqual) => b,
            ([false, true], BinaryOp::Equal | BinaryOp::NotEqual) => a,
            _ => return Ok(None),
        };
        let Some(mut truth) = self.viewed_truth(object)? else { return Ok(None) };
        let span = &object.span;
        if op == BinaryOp::Equal {
            truth = self.push(Op::IsZero(truth), Sort::BOOL, span)?;
        }
        Ok(Some(self.boolean(truth, span)))
    }

    /// Both sides of an operator: in Rust a literal takes the type of the other.
    fn literals_adapted(
        &mut self,
        literals: [bool; 2],
        mut a: Rvalue,
        mut b: Rvalue,
    ) -> Result<(Rvalue, Rvalue), Error> {
        if literals != [false, false] && self.in_rust() {
            match (&a.scalar, &b.scalar, literals) {
                (_, Scalar::Float(FloatKind::F32), [true, false]) => a = self.single(a)?,
                (Scalar::Float(FloatKind::F32), _, [false, true]) => b = self.single(b)?,
                _ => {}
            }
        }
        Ok((a, b))
    }

    fn single(&mut self, value: Rvalue) -> Result<Rvalue, Error> {
        let scalar = Scalar::Float(FloatKind::F32);
        let node = self.at_sort(value.node, scalar.sort(), &value.span)?;
        Ok(Rvalue { node, scalar, ty: builtin::float(FloatKind::F32), span: value.span })
    }

    /// Both sides of a comparison. A name that means nothing by itself may be
    /// an enumerator of the other side's type.
    fn compared(&mut self, a: &Expr, b: &Expr) -> Result<(Typed, Typed), Error> {
        match (self.unless_unbound(a)?, self.unless_unbound(b)?) {
            (Some(a), Some(b)) => Ok((a, b)),
            (None, Some(other)) => Ok((self.enumerator_or(a, &other)?, other)),
            (other, None) => {
                let a = other.map_or_else(|| self.expr(a), Ok)?;
                let b = self.enumerator_or(b, &a)?;
                Ok((a, b))
            }
        }
    }

    /// A subexpression, unless it is a name that is bound to nothing.
    fn unless_unbound(&mut self, expr: &Expr) -> Result<Option<Typed>, Error> {
        let ExprKind::Path(path) = &expr.kind else { return self.expr(expr).map(Some) };
        self.resolved(path, &expr.span, None)
    }

    fn enumerator_or(&mut self, name: &Expr, other: &Typed) -> Result<Typed, Error> {
        let ty = self.referent(&other.ty, &other.span)?;
        let stripped = self.strip(&ty, &other.span)?;
        if let (ExprKind::Path(path), TypeKind::Enum { enumerators, .. }) =
            (&name.kind, &stripped.kind)
        {
            let full = path.joined();
            let found =
                enumerators.iter().find(|each| each.name == *path.name || each.name == full);
            if let Some(found) = found {
                return self.named_constant(ty, found.value, &name.span);
            }
        }
        self.expr(name)
    }

    pub(super) fn conditional(
        &mut self,
        [condition, then, otherwise]: &[Expr; 3],
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let condition = self.expr(condition).and_then(|typed| self.truth(typed))?;
        let a = self.expr(then).and_then(|typed| self.rvalue(typed))?;
        let b = self.expr(otherwise).and_then(|typed| self.rvalue(typed))?;
        let (a, b) = self.composite(a, b, span)?;
        let (sort, ty) = match (&a.scalar, &b.scalar) {
            (Scalar::Bool, Scalar::Bool) => (Sort::BOOL, builtin::boolean()),
            (Scalar::Pointer(_), Scalar::Pointer(_) | Scalar::Int(_)) => {
                (Sort::ADDRESS, a.ty.clone())
            }
            (Scalar::Int(_), Scalar::Pointer(_)) => (Sort::ADDRESS, b.ty.clone()),
            (Scalar::Pointer(_), _) | (_, Scalar::Pointer(_)) => {
                return Err(Error::new(span.clone(), "the two values have no type in common"));
            }
            _ => {
                let sort = usual(&a.scalar, &b.scalar);
                (sort, computed(sort))
            }
        };
        let a = self.at_sort(a.node, sort, &a.span)?;
        let b = self.at_sort(b.node, sort, &b.span)?;
        let node = self.push(Op::Select(condition, a, b), sort, span)?;
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }
}

fn arithmetic_of(op: BinaryOp, sort: Sort) -> Option<Arithmetic> {
    let integer = matches!(sort, Sort::Int(_));
    match op {
        BinaryOp::Add => Some(Arithmetic::Add),
        BinaryOp::Subtract => Some(Arithmetic::Sub),
        BinaryOp::Multiply => Some(Arithmetic::Mul),
        BinaryOp::Divide => Some(Arithmetic::Div),
        BinaryOp::Remainder if integer => Some(Arithmetic::Rem),
        BinaryOp::BitAnd if integer => Some(Arithmetic::And),
        BinaryOp::BitOr if integer => Some(Arithmetic::Or),
        BinaryOp::BitXor if integer => Some(Arithmetic::Xor),
        _ => None,
    }
}

/// Whether it is one without a type of its own.
fn is_float_literal(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Float(literal) => !literal.single,
        ExprKind::Unary(UnaryOp::Negate | UnaryOp::Plus, only) => is_float_literal(only),
        _ => false,
    }
}

fn comparison_of(op: BinaryOp) -> Comparison {
    match op {
        BinaryOp::NotEqual => Comparison::Ne,
        BinaryOp::Less => Comparison::Lt,
        BinaryOp::LessEqual => Comparison::Le,
        BinaryOp::Greater => Comparison::Gt,
        BinaryOp::GreaterEqual => Comparison::Ge,
        _ => Comparison::Eq,
    }
}
