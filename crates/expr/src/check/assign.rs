//! Assignments, where the purpose allows them.

use std::ops::Range;

use trapline_core::location::Place;
use trapline_core::types::BitField;
use trapline_core::x64::{RegClass, RegView};

use super::{Checker, Kind, Typed};
use crate::ast::{BinaryOp, Expr};
use crate::error::Error;
use crate::ir::{NodeId, Op, Target};

impl Checker<'_> {
    /// `target = value` and `target OP= value`.
    pub(super) fn assign(
        &mut self,
        op: Option<BinaryOp>,
        [target, value]: &[Expr; 2],
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        if !self.allow_assignment {
            return Err(Error::new(span.clone(), "an assignment is not allowed here")
                .with_help("a comparison is written `==`"));
        }
        let target = self.expr(target)?;
        let target = self.through_references(target)?;
        let mut value = self.expr(value).and_then(|typed| self.rvalue(typed))?;
        if let Some(op) = op {
            let current = self.rvalue(target.clone())?;
            let computed = self.arithmetic(op, current, value, span)?;
            value = self.rvalue(computed)?;
        }
        let word = self.converted_to(&value, &target.ty, span)?;
        let node = self.store(&target, word, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: target.ty, span: span.clone() })
    }

    fn store(
        &mut self,
        target: &Typed,
        value: NodeId,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let sort = self.sort(value);
        let size = self.size(&target.ty, span)?;
        if size != sort.size() as u64 {
            let message = format!("a `{}` cannot be assigned", self.spell(&target.ty));
            return Err(Error::new(span.clone(), message));
        }
        let (place, value) = match &target.kind {
            Kind::Memory { address, bits: Some(field) } => {
                return self.store_bits(target, *address, *field, value);
            }
            Kind::Memory { address, bits: None } => (Target::Memory(*address), value),
            Kind::Stored(stored) => {
                let view = register_view(&stored.place, stored.offset, size);
                let view = view.ok_or_else(|| not_a_place(target))?;
                (Target::Register(view), self.if_given(stored.given, value, &target.span)?)
            }
            _ => return Err(not_a_place(target)),
        };
        // The span is the target's, so that a refusal names what was not set.
        self.push(Op::Store { target: place, value }, sort, &target.span)
    }

    /// Reads the integer around a bit-field, changes its bits, writes it back.
    fn store_bits(
        &mut self,
        target: &Typed,
        address: NodeId,
        field: BitField,
        value: NodeId,
    ) -> Result<NodeId, Error> {
        let span = &target.span;
        let sort = self.sort(value);
        if self.known(value).is_some_and(|word| !fits(word, field)) {
            let message = format!("the value does not fit in {} bits", field.width);
            return Err(Error::new(span.clone(), message));
        }
        let kind = Kind::Memory { address, bits: None };
        let whole = self.rvalue(Typed { kind, ..target.clone() })?.node;
        let changed = self.push(Op::WithBits { whole, value, field }, sort, span)?;
        let op = Op::Store { target: Target::Memory(address), value: changed };
        let stored = self.push(op, sort, span)?;
        self.push(Op::Bits { value: stored, field }, sort, span)
    }
}

/// Whether a bit-field can hold a number, taken as signed or as unsigned.
fn fits(word: u64, field: BitField) -> bool {
    let (word, width) = (i128::from(word.cast_signed()), field.width.min(64));
    (-(1_i128 << width.saturating_sub(1))..1 << width).contains(&word)
}

fn not_a_place(target: &Typed) -> Error {
    Error::new(target.span.clone(), "this cannot be assigned to")
}

/// The register, or part of one, that holds a value.
fn register_view(place: &Place, offset: u64, size: u64) -> Option<RegView> {
    let Place::Register(reg) = *place else { return None };
    let whole = if reg.class() == RegClass::Vector { 16 } else { 8 };
    let inside = offset.checked_add(size).is_some_and(|end| end <= whole);
    let (offset, size) = (u8::try_from(offset).ok()?, u8::try_from(size).ok()?);
    inside.then_some(RegView { reg, offset, size })
}
