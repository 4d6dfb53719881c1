//! Floats of ten bytes, which no word holds: compared as they are.

use std::ops::Range;

use trapline_core::types::{BaseKind, TypeKind};

use super::scalar::Scalar;
use super::{Checker, Kind, Stored, Typed};
use crate::error::Error;
use crate::ir::{Comparison, Extended, IntKind, NodeId, Op, Sort};

impl Checker<'_> {
    /// Whether an object is such a float. Computed numbers are `double` at most.
    fn is_extended(&self, typed: &Typed) -> Result<bool, Error> {
        if !matches!(typed.kind, Kind::Memory { .. } | Kind::Stored(_)) {
            return Ok(false);
        }
        let target = self.referent(&typed.ty, &typed.span)?;
        let stripped = self.strip(&target, &typed.span)?;
        let is_float = matches!(stripped.kind, TypeKind::Base(BaseKind::Float));
        Ok(is_float && matches!(stripped.size, Some(10 | 16)))
    }

    /// A comparison with such a float; `None` where neither side is one.
    pub(super) fn extended_comparison(
        &mut self,
        op: Comparison,
        a: &Typed,
        b: &Typed,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        if !self.is_extended(a)? && !self.is_extended(b)? {
            return Ok(None);
        }
        let sides = Box::new([self.extended(a)?, self.extended(b)?]);
        let node = self.push(Op::CompareExtended(op, sides), Sort::BOOL, span)?;
        Ok(Some(self.boolean(node, span)))
    }

    /// Whether such a float is not zero; `None` for other objects.
    pub(super) fn extended_truth(&mut self, typed: &Typed) -> Result<Option<NodeId>, Error> {
        if !self.is_extended(typed)? {
            return Ok(None);
        }
        let number = self.extended(typed)?;
        let zero = Extended::Word(self.constant(0, IntKind::I32, &typed.span)?);
        let op = Op::CompareExtended(Comparison::Ne, Box::new([number, zero]));
        self.push(op, Sort::BOOL, &typed.span).map(Some)
    }

    fn extended(&mut self, typed: &Typed) -> Result<Extended, Error> {
        if self.is_extended(typed)? {
            match self.through_references(typed.clone())?.kind {
                Kind::Memory { address, .. } => return Ok(Extended::Memory(address)),
                Kind::Stored(Stored { place, offset, given: None }) => {
                    return Ok(Extended::Stored { place, offset });
                }
                _ => {}
            }
        }
        let value = self.rvalue(typed.clone())?;
        if let Scalar::Pointer(_) = value.scalar {
            return Err(Error::new(value.span, "a floating-point number is no address"));
        }
        Ok(Extended::Word(value.node))
    }
}
