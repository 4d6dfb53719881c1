//! Pointers that are nowhere, to what is known: compilers put what they point
//! to into registers, or fold it away.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::location::{BinaryOp, Op as Step, Place, Pointed};
use trapline_core::types::{Type, TypeKind};

use super::scalar::Rvalue;
use super::{Checker, Kind, Stored, Typed};
use crate::error::Error;

impl Checker<'_> {
    /// What such a pointer or reference points to; `None` for any other object.
    pub(super) fn behind_pointer(
        &mut self,
        pointer: &Typed,
        further: u64,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let Kind::Stored(Stored { place, offset, .. }) = &pointer.kind else { return Ok(None) };
        let Some(pointed) = pointer_at(place, *offset) else { return Ok(None) };
        let TypeKind::Pointer { target: Some(target), .. } = &self.strip(&pointer.ty, span)?.kind
        else {
            return Ok(None);
        };
        let ty = self.follow(target, span)?;
        let offset = pointed.offset.wrapping_add_unsigned(further);
        let kind = match &pointed.place {
            Place::Memory(program) => {
                let mut program = program.clone();
                let further = Step::Const(offset.cast_unsigned());
                program.extend([further, Step::Binary(BinaryOp::Add)]);
                Kind::Memory { address: self.address(program, span)?, bits: None }
            }
            place => {
                let before = || Error::new(span.clone(), "it points before what is known there");
                let offset = u64::try_from(offset).map_err(|_| before())?;
                Kind::Stored(Stored { place: Arc::new(place.clone()), offset, given: None })
            }
        };
        Ok(Some(Typed { kind, ty, span: span.clone() }))
    }

    /// `pointer[index]`, of such a pointer and a plain number.
    pub(super) fn element_behind(
        &mut self,
        pointer: &Typed,
        index: &Rvalue,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let Some(first) = self.behind_pointer(pointer, 0, span)? else { return Ok(None) };
        let further = self.known_offset(index, &first.ty, None, span)?;
        self.behind_pointer(pointer, further, span)
    }

    /// Whether an object is such a reference, of C++: the pointer itself is
    /// nothing that anybody asked for.
    pub(super) fn is_reference_to_known(
        &self,
        ty: &Arc<Type>,
        kind: &Kind,
        span: &Range<usize>,
    ) -> Result<bool, Error> {
        let Kind::Stored(Stored { place, offset, .. }) = kind else { return Ok(false) };
        let is_known = pointer_at(place, *offset).is_some();
        Ok(is_known && !Arc::ptr_eq(&self.referent(ty, span)?, ty))
    }
}

/// The pointer that begins at an offset in a place.
fn pointer_at(place: &Place, offset: u64) -> Option<&Pointed> {
    match place {
        Place::Pointer(pointed) if offset == 0 => Some(pointed),
        Place::Pieces(pieces) => {
            let mut start = 0_u64;
            for piece in pieces {
                if start == offset {
                    return pointer_at(&piece.place, 0);
                }
                start = start.checked_add(piece.len)?;
            }
            None
        }
        _ => None,
    }
}
