//! Whether an object still has the bytes of the last pass.

use trapline_core::location::Place;

use super::cell;
use super::lower::{Lower, Side};
use super::place::largest;
use super::tree::{TestId, TextEnd, TextSide, WordId};
use super::{Result, Unsupported};
use crate::ir::{Arithmetic, Comparison, IntKind, Load, NodeId, Object, Sort, Text};

/// The test that holds when a cell has a value, and it is the object's.
pub(super) fn unchanged(lower: &mut Lower<'_>, object: &Object, cell: u64) -> Result<TestId> {
    let cell = lower.tree.integer(cell, IntKind::U64)?;
    Remembered { lower, cell }.unchanged(object)
}

struct Remembered<'a, 'b> {
    lower: &'a mut Lower<'b>,
    cell: WordId,
}

impl Remembered<'_, '_> {
    fn unchanged(&mut self, object: &Object) -> Result<TestId> {
        match object {
            Object::Word(id) => self.word(*id),
            Object::Memory { address, size, bits: None } => {
                let address = self.lower.word(*address)?;
                self.chunks(*size, &mut |this, at, kind| {
                    let address = this.lower.tree.plus(address, at)?;
                    this.lower.tree.load(address, Sort::Int(kind))
                })
            }
            Object::Memory { address, size, bits: Some((field, signed)) } => {
                let kind = IntKind { bytes: *size as u8, signed: *signed };
                let address = self.lower.word(*address)?;
                let whole = self.lower.tree.load(address, Sort::Int(kind))?;
                let value = self.lower.bits(whole, *field, kind)?;
                self.same_word(value, kind)
            }
            Object::Stored { place, offset, size, given: None } => {
                self.stored(place, *offset, *size)
            }
            Object::Stored { given: Some(_), .. } => {
                Err("whether it is there is found out outside".into())
            }
            Object::Text(text) => self.text(text),
            Object::Repeated { .. } => Err("its size is not known before".into()),
        }
    }

    fn word(&mut self, id: NodeId) -> Result<TestId> {
        let word = self.lower.word(id)?;
        match self.lower.tree.bits(word)? {
            Some(bits) => self.same_word(bits, self.lower.tree.kind(bits)),
            None => Err(self.lower.because(id, "a computed float is compared outside")),
        }
    }

    fn same_word(&mut self, word: WordId, kind: IntKind) -> Result<TestId> {
        self.chunks(u64::from(kind.bytes), &mut |this, _, part| this.lower.tree.extend(word, part))
    }

    fn stored(&mut self, place: &Place, offset: u64, size: u64) -> Result<TestId> {
        self.chunks(size, &mut |this, at, kind| {
            this.lower.stored(place, offset.saturating_add(at), Load::Int(kind))
        })
    }

    /// Compares piece by piece; `part` is the piece at an offset, of a kind.
    fn chunks(
        &mut self,
        size: u64,
        part: &mut dyn FnMut(&mut Self, u64, IntKind) -> Result<WordId>,
    ) -> Result<TestId> {
        if size > cell::MAX_VALUE {
            let most = cell::MAX_VALUE;
            return Err(Unsupported(format!("more than {most} bytes are compared outside")));
        }
        let mut same = self.has_length(size)?;
        let mut at = 0;
        while at < size {
            let kind = largest((size - at) as usize);
            let now = part(self, at, kind)?;
            let before = self.lower.tree.plus(self.cell, cell::VALUE_AT + at)?;
            let before = self.lower.tree.load(before, Sort::Int(kind))?;
            let equal = self.lower.tree.compare(Comparison::Eq, now, before)?;
            same = self.lower.tree.both(same, equal)?;
            at += u64::from(kind.bytes);
        }
        Ok(same)
    }

    fn has_length(&mut self, size: u64) -> Result<TestId> {
        let length = self.length()?;
        let wanted = self.lower.tree.integer(size + 1, IntKind::U64)?;
        self.lower.tree.compare(Comparison::Eq, length, wanted)
    }

    fn length(&mut self) -> Result<WordId> {
        let at = self.lower.tree.plus(self.cell, cell::LENGTH_AT)?;
        self.lower.tree.load(at, Sort::Int(IntKind::U64))
    }

    fn text(&mut self, text: &Text) -> Result<TestId> {
        let root = NodeId(self.lower.program.nodes.len().saturating_sub(1) as u32);
        let now = self.lower.text(root, text)?;
        let length = self.length()?;
        let none = self.lower.tree.is_zero(length)?;
        let one = self.lower.tree.integer(1, IntKind::U64)?;
        let len = self.lower.tree.arithmetic(Arithmetic::Sub, length, one)?;
        let start = self.lower.tree.plus(self.cell, cell::VALUE_AT)?;
        let before = Side::Memory(TextSide { start, end: TextEnd::Counted(len) });
        let equal = self.lower.equal(now, before)?;
        let some = self.lower.tree.not(none)?;
        self.lower.tree.both(some, equal)
    }
}
