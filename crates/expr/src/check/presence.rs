//! Parts of objects that are there only at times: an element that the index
//! is one of, the value of an optional, a variant.

use std::ops::Range;

use super::{Checker, Kind, Stored, Typed};
use crate::error::Error;
use crate::ir::{Missing, NodeId, Op};

impl Checker<'_> {
    /// What was found, or nothing where a condition does not hold.
    pub(super) fn only_if(
        &mut self,
        inside: NodeId,
        found: Typed,
        missing: Missing,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let mut chosen = |word: NodeId| {
            let sort = self.sort(word);
            let nothing = self.push(Op::Missing(missing.clone()), sort, span)?;
            self.push(Op::Select(inside, word, nothing), sort, span)
        };
        let kind = match found.kind {
            Kind::Memory { address, bits } => Kind::Memory { address: chosen(address)?, bits },
            Kind::Word(word) => Kind::Word(chosen(word)?),
            Kind::Stored(stored) => {
                let given = chosen(stored.given.unwrap_or(inside))?;
                Kind::Stored(Stored { given: Some(given), ..stored })
            }
            other => other,
        };
        Ok(Typed { kind, ..found })
    }

    /// A word that has a meaning only where a part is there.
    pub(super) fn if_given(
        &mut self,
        given: Option<NodeId>,
        word: NodeId,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let Some(given) = given else { return Ok(word) };
        // It is 1, or fails.
        let op = Op::Select(given, word, word);
        self.push(op, self.sort(word), span)
    }
}
