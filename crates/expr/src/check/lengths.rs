//! Arrays whose lengths only a frame knows: their sizes as parts of the program.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{Count, Type, TypeKind};

use super::Checker;
use crate::error::Error;
use crate::ir::{Arithmetic, IntKind, NodeId, Object, Op, Sort};

impl Checker<'_> {
    /// Whether a type is an array of so many elements as a frame says.
    pub(super) fn is_computed(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<bool, Error> {
        let stripped = self.strip(ty, span)?;
        Ok(matches!(stripped.kind, TypeKind::Array { count: Count::Computed(_), .. }))
    }

    /// Whether a type is an array of so many elements as nothing says.
    pub(super) fn is_open_ended(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<bool, Error> {
        let stripped = self.strip(ty, span)?;
        Ok(matches!(stripped.kind, TypeKind::Array { count: Count::Unknown, .. }))
    }

    /// The size of a type's values, in bytes.
    pub(super) fn size_node(
        &mut self,
        ty: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let stripped = self.strip(ty, span)?;
        match &stripped.kind {
            TypeKind::Array { element, count } if stripped.size.is_none() => {
                let element = self.follow(element, span)?;
                let size = self.size_node(&element, span)?;
                let count = self.count_node(*count, ty, span)?;
                self.push(Op::Arithmetic(Arithmetic::Mul, size, count), Sort::ADDRESS, span)
            }
            _ => {
                let size = self.size(ty, span)?;
                self.constant(size, IntKind::U64, span)
            }
        }
    }

    fn count_node(
        &mut self,
        count: Count,
        ty: &Type,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let unknown = |why: String| Error::new(span.clone(), why);
        match count {
            Count::Known(count) => self.constant(count, IntKind::U64, span),
            Count::Computed(reference) => {
                let program = self.scope.length(reference).map_err(unknown)?;
                self.push(Op::Location(program.into()), Sort::ADDRESS, span)
            }
            Count::Unknown => {
                Err(unknown(format!("the size of `{}` is not known", self.spell(ty))))
            }
        }
    }

    /// The whole of an array, as its elements.
    pub(super) fn of_computed_length(
        &mut self,
        address: NodeId,
        ty: &Arc<Type>,
        span: &Range<usize>,
    ) -> Result<(Object, Arc<Type>), Error> {
        let stripped = self.strip(ty, span)?;
        let TypeKind::Array { element, count } = &stripped.kind else {
            return Err(Error::new(span.clone(), "this is no array"));
        };
        let element = self.follow(element, span)?;
        let size = self.readable_size(&element, span)?;
        let count = self.count_node(*count, ty, span)?;
        let count = self.at_sort(count, Sort::Int(IntKind::I64), span)?;
        Ok((Object::Repeated { address, size, count }, element))
    }
}
