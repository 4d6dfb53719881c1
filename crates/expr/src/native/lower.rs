//! From the clauses of a site to a tree of words and tests.

use super::remembered;
use super::tree::{Op as Word, Test, TestId, TextEnd, TextSide, Tree, WordId};
use super::{Clause, Environment, InputPlace, Result, Unsupported};
use crate::ir::{
    Arithmetic, Comparison, Input, IntKind, Load, NodeId, Object, Op, Program, Sort, Text,
};
use crate::limits::MAX_STRING;
use trapline_core::types::BitField;

/// Longest text that is compared with one in memory.
const MAX_LITERAL: usize = 256;

/// What is decided about one owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The hit is one unless this is false.
    pub(super) filter: Option<TestId>,
    /// The same.
    pub(super) condition: Option<TestId>,
    /// A hit is quiet when this holds.
    pub(super) unchanged: Option<TestId>,
    /// What else makes a hit quiet.
    pub(super) credit: Option<u32>,
}

/// The tree of all clauses, and what is asked of it.
pub(super) fn lower(clauses: &[Clause<'_>], env: &dyn Environment) -> Result<(Tree, Vec<Step>)> {
    let mut tree = Tree::default();
    let mut steps = Vec::new();
    for clause in clauses {
        let mut test = |program: Option<&Program>, slots: &[u64]| {
            program
                .map(|program| Lower::new(program, &mut tree, env, slots).condition())
                .transpose()
        };
        let filter = test(clause.filter, &[])?;
        let condition = test(clause.condition, clause.slots)?;
        let unchanged = match clause.changed {
            None => None,
            Some(program) => Some(
                Lower::new(program, &mut tree, env, &[]).unchanged(&program.object, clause.last)?,
            ),
        };
        steps.push(Step { filter, condition, unchanged, credit: clause.credit });
    }
    Ok((tree, steps))
}

/// One program on its way into the tree.
pub(super) struct Lower<'a> {
    pub(super) program: &'a Program,
    pub(super) tree: &'a mut Tree,
    pub(super) env: &'a dyn Environment,
    slots: &'a [u64],
    words: Vec<Option<WordId>>,
}

impl<'a> Lower<'a> {
    fn new(
        program: &'a Program,
        tree: &'a mut Tree,
        env: &'a dyn Environment,
        slots: &'a [u64],
    ) -> Self {
        Self { program, tree, env, slots, words: vec![None; program.nodes.len()] }
    }

    /// Says which part of the expression there is no code for.
    pub(super) fn because(&self, id: NodeId, why: impl Into<String>) -> Unsupported {
        let known = id.index() < self.program.nodes.len();
        let text = if known { self.program.text_of(id) } else { &self.program.source };
        Unsupported(format!("`{text}`: {}", why.into()))
    }

    fn condition(&mut self) -> Result<TestId> {
        match &self.program.object {
            Object::Word(id) => self.test(*id),
            _ => Err("what it yields is no number".into()),
        }
    }

    /// The word of a node.
    pub(super) fn word(&mut self, id: NodeId) -> Result<WordId> {
        if let Some(done) = self.words[id.index()] {
            return Ok(done);
        }
        let word = self.new_word(id)?;
        self.words[id.index()] = Some(word);
        Ok(word)
    }

    fn new_word(&mut self, id: NodeId) -> Result<WordId> {
        // tidy: flat match
        let node = &self.program.nodes[id.index()];
        let sort = node.sort;
        match &node.op {
            Op::Const(word) => self.tree.constant(*word, sort),
            Op::Input(input) => self.number(id, *input, sort),
            Op::RegOffset(reg, by) => {
                let base = self.register(*reg).map_err(|why| self.because(id, why.0))?;
                self.tree.plus(base, by.cast_unsigned())
            }
            Op::Location(program) => self.location(program).map_err(|why| self.because(id, why.0)),
            Op::Load { load: Load::X87, .. } => Err(self.because(id, X87)),
            Op::Load { address, .. } => {
                let address = self.word(*address)?;
                self.tree.load(address, sort)
            }
            Op::Stored { place, offset, load } => {
                self.stored(place, *offset, *load).map_err(|why| self.because(id, why.0))
            }
            Op::Bits { value, field } => {
                let value = self.word(*value)?;
                self.bits(value, *field, super::tree::int(sort))
            }
            Op::WithBits { whole, value, field } => self.with_bits(*whole, *value, *field, sort),
            Op::Convert(value) => {
                let value = self.word(*value)?;
                self.tree.convert(value, sort)
            }
            Op::Displaced(pointer, by) => {
                let pointer = self.word(*pointer)?;
                let null = self.tree.is_zero(pointer)?;
                let moved = self.tree.plus(pointer, by.cast_unsigned())?;
                let stays = self.tree.constant(0, sort)?;
                self.tree.select(null, stays, moved)
            }
            Op::Negate(value) => {
                let value = self.word(*value)?;
                self.tree.negate(value)
            }
            Op::BitNot(value) => {
                let value = self.word(*value)?;
                self.tree.complement(value)
            }
            Op::Arithmetic(op, a, b) => {
                let (a, b) = (self.word(*a)?, self.word(*b)?);
                self.tree.arithmetic(*op, a, b)
            }
            Op::Shift { left, value, count } => {
                let (value, count) = (self.word(*value)?, self.word(*count)?);
                self.tree.shift(*left, value, count)
            }
            Op::Select(condition, a, b) => {
                let condition = self.test(*condition)?;
                let (a, b) = (self.word(*a)?, self.word(*b)?);
                self.tree.select(condition, a, b)
            }
            // Reading from null fails as it does.
            Op::Missing(_) => {
                let null = self.tree.constant(0, Sort::ADDRESS)?;
                self.tree.load(null, sort)
            }
            Op::And(a, b) => {
                let (condition, b) = (self.test(*a)?, self.word(*b)?);
                let no = self.tree.constant(0, sort)?;
                self.tree.select(condition, b, no)
            }
            Op::Or(a, b) => {
                let (condition, b) = (self.test(*a)?, self.word(*b)?);
                let yes = self.tree.constant(1, sort)?;
                self.tree.select(condition, yes, b)
            }
            Op::IsZero(_) | Op::Compare(..) | Op::TextEqual(_) | Op::Changed { .. } => {
                let test = self.test(id)?;
                self.tree.truth(test)
            }
            Op::CompareExtended(..) => Err(self.because(id, X87)),
            Op::Store { .. } => Err(self.because(id, "it assigns")),
        }
    }

    /// Whether the word of a node is other than zero.
    fn test(&mut self, id: NodeId) -> Result<TestId> {
        let node = &self.program.nodes[id.index()];
        let test = match &node.op {
            Op::IsZero(value) => self.is_zero(*value)?,
            Op::Compare(op, a, b) => {
                let (a, b) = (self.word(*a)?, self.word(*b)?);
                self.tree.compare(*op, a, b)?
            }
            Op::And(a, b) => {
                let (a, b) = (self.test(*a)?, self.test(*b)?);
                self.tree.both(a, b)?
            }
            Op::Or(a, b) => {
                let (a, b) = (self.test(*a)?, self.test(*b)?);
                self.tree.either(a, b)?
            }
            Op::TextEqual(texts) => self.text_equal(id, texts)?,
            Op::Changed { slot, object } => self.changed(id, *slot, object)?,
            Op::CompareExtended(..) => return Err(self.because(id, X87)),
            _ => {
                let word = self.word(id)?;
                let zero = self.tree.is_zero(word)?;
                self.tree.not(zero)?
            }
        };
        self.tree.explain(test, self.program.text_of(id));
        Ok(test)
    }

    fn is_zero(&mut self, value: NodeId) -> Result<TestId> {
        let node = &self.program.nodes[value.index()];
        let is_test = matches!(
            node.op,
            Op::IsZero(_)
                | Op::Compare(..)
                | Op::CompareExtended(..)
                | Op::And(..)
                | Op::Or(..)
                | Op::TextEqual(_)
                | Op::Changed { .. }
        );
        if is_test {
            let test = self.test(value)?;
            return self.tree.not(test);
        }
        let word = self.word(value)?;
        self.tree.is_zero(word)
    }

    fn number(&mut self, id: NodeId, input: Input, sort: Sort) -> Result<WordId> {
        match self.env.input(input) {
            InputPlace::Number(number) => self.tree.constant(number, sort),
            InputPlace::Row(at) if sort.size() == 4 => self.tree.push(Word::Row(at), sort),
            InputPlace::Row(_) | InputPlace::Text(_) => {
                Err(self.because(id, "it is not kept as such a number"))
            }
            InputPlace::Unknown(why) => Err(self.because(id, why)),
        }
    }

    /// Some bits of an integer as an integer of another kind.
    pub(super) fn bits(&mut self, value: WordId, field: BitField, to: IntKind) -> Result<WordId> {
        let kind = IntKind { signed: false, ..self.tree.kind(value) };
        let value = self.tree.extend(value, kind)?;
        if to.signed {
            let wide = IntKind { bytes: kind.bytes.max(4), signed: true };
            let value = self.tree.extend(value, wide)?;
            let top = self.tree.shift_by(true, value, wide.bits() - field.shift - field.width)?;
            let low = self.tree.shift_by(false, top, wide.bits() - field.width)?;
            return self.tree.extend(low, to);
        }
        let mut low = self.tree.shift_by(false, value, field.shift)?;
        if field.shift + field.width < kind.bits() {
            let mask = self.tree.integer(u64::MAX >> (64 - field.width), kind)?;
            low = self.tree.arithmetic(Arithmetic::And, low, mask)?;
        }
        self.tree.extend(low, to)
    }

    fn with_bits(
        &mut self,
        whole: NodeId,
        value: NodeId,
        field: BitField,
        sort: Sort,
    ) -> Result<WordId> {
        let kind = super::tree::int(sort);
        let (whole, value) = (self.word(whole)?, self.word(value)?);
        let mask = (u64::MAX >> (64 - field.width)) << field.shift;
        let (inside, outside) = (self.tree.integer(mask, kind)?, self.tree.integer(!mask, kind)?);
        let kept = self.tree.arithmetic(Arithmetic::And, whole, outside)?;
        let value = self.tree.extend(value, kind)?;
        let moved = self.tree.shift_by(true, value, field.shift)?;
        let put = self.tree.arithmetic(Arithmetic::And, moved, inside)?;
        self.tree.arithmetic(Arithmetic::Or, kept, put)
    }

    fn changed(&mut self, id: NodeId, slot: usize, object: &Object) -> Result<TestId> {
        let cell = *self
            .slots
            .get(slot)
            .ok_or_else(|| self.because(id, "there is no memory for the value of the last pass"))?;
        let same = self.unchanged(object, cell)?;
        self.tree.push_test(Test::Require(same))
    }

    fn unchanged(&mut self, object: &Object, cell: u64) -> Result<TestId> {
        remembered::unchanged(self, object, cell)
    }

    fn text_equal(&mut self, id: NodeId, [a, b]: &[Text; 2]) -> Result<TestId> {
        let (a, b) = (self.text(id, a)?, self.text(id, b)?);
        self.equal(a, b).map_err(|why| self.because(id, why.0))
    }

    /// Whether two texts are equal.
    pub(super) fn equal(&mut self, a: Side, b: Side) -> Result<TestId> {
        match (a, b) {
            (Side::Known(a), Side::Known(b)) => self.tree.test_known(a == b),
            (Side::Known(known), Side::Memory(side)) | (Side::Memory(side), Side::Known(known)) => {
                self.equals_known(side, &known)
            }
            (Side::Memory(a), Side::Memory(b)) => self.tree.push_test(Test::Texts(a, b)),
        }
    }

    fn equals_known(&mut self, side: TextSide, known: &[u8]) -> Result<TestId> {
        let mut bytes = known.to_vec();
        let same_length = match side.end {
            TextEnd::Counted(len) => {
                let wanted = self.tree.integer(known.len() as u64, IntKind::U64)?;
                self.tree.compare(Comparison::Eq, len, wanted)?
            }
            TextEnd::Zero(room) => {
                if known.len() < room as usize {
                    bytes.push(0);
                }
                self.tree.test_known(known.len() <= room as usize && !known.contains(&0))?
            }
        };
        if bytes.len() > MAX_LITERAL {
            return Err(Unsupported(format!("a text of more than {MAX_LITERAL} bytes")));
        }
        let bytes_known = bytes.is_empty();
        let same = match bytes_known {
            true => self.tree.test_known(true)?,
            false => self.tree.push_test(Test::Bytes(side.start, bytes.into()))?,
        };
        let both = self.tree.both(same_length, same)?;
        // The bytes' own test computes where they start.
        if both == same && !bytes_known { Ok(both) } else { self.tree.after(side.start, both) }
    }

    pub(super) fn text(&mut self, id: NodeId, text: &Text) -> Result<Side> {
        Ok(match text {
            Text::Literal(bytes) => Side::Known(bytes.to_vec()),
            Text::Input(input) => match self.env.input(*input) {
                InputPlace::Text(text) => Side::Known(text.as_bytes().to_vec()),
                InputPlace::Unknown(why) => return Err(self.because(id, why)),
                _ => return Err(self.because(id, "it is not kept as a text")),
            },
            Text::Terminated { address, capacity } => {
                let room = capacity.unwrap_or(u64::MAX).min(MAX_STRING as u64) as u32;
                Side::Memory(TextSide { start: self.word(*address)?, end: TextEnd::Zero(room) })
            }
            Text::Counted { address, len } => {
                let (start, len) = (self.word(*address)?, self.word(*len)?);
                Side::Memory(TextSide { start, end: TextEnd::Counted(len) })
            }
        })
    }
}

/// Why there is no code for `long double`.
pub(super) const X87: &str = "numbers of 10 bytes are computed outside the program";

/// A side of a comparison of texts.
pub(super) enum Side {
    Known(Vec<u8>),
    Memory(TextSide),
}
