//! What is to be computed, in few kinds of operations: words and tests, with
//! all that is known beforehand folded away.
//!
//! A word means what [`crate::ir`]'s words mean. Nothing that can fail is ever
//! dropped: where the interpreter would fail, the code has to.

use std::sync::Arc;

use trapline_core::x64::Reg;

use super::{Result, Unsupported};
use crate::ir::{Arithmetic, Comparison, IntKind, Sort};

/// Deepest nesting of words and tests.
const MAX_DEPTH: u16 = 300;

/// Index of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WordId(u32);

/// Index of a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TestId(u32);

/// A word and what is known about computing it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) op: Op,
    pub(super) sort: Sort,
    /// Registers that computing it takes, roughly (Sethi and Ullman's number).
    pub(super) need: u8,
    /// Whether computing it may fail.
    pub(super) fails: bool,
    depth: u16,
}

/// How a word is computed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Op {
    Const(u64),
    /// A general register of the program, all 8 bytes.
    Register(Reg),
    /// The thread pointer.
    ThreadBase,
    /// 4 bytes of the thread's row.
    Row(u32),
    /// As many bytes as the sort has, at an address.
    Load(WordId),
    /// 8 bytes of a vector register, from an offset on, zeros past its end.
    Lane(u8, u8),
    /// Cut and extended from one kind of integer to another.
    Extend(WordId),
    Negate(WordId),
    Complement(WordId),
    Arithmetic(Arithmetic, WordId, WordId),
    Shift {
        left: bool,
        value: WordId,
        count: WordId,
    },
    /// 1 or 0.
    Truth(TestId),
    Select(TestId, WordId, WordId),
    /// The float with the bits of an integer.
    FromBits(WordId),
    /// The low float of a vector register.
    Vector(u8),
    /// A float from an integer or from the other kind of float.
    ToFloat(WordId),
    /// An 8-byte integer from a float: over the full range when unsigned.
    Truncate(WordId),
}

/// A question with two answers.
#[derive(Clone, Debug)]
pub(super) struct TestNode {
    pub(super) test: Test,
    /// What the user wrote.
    pub(super) text: Option<Arc<str>>,
    depth: u16,
}

/// How a test is made.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Known(bool),
    Compare(Comparison, WordId, WordId),
    Not(TestId),
    Both(TestId, TestId),
    Either(TestId, TestId),
    /// The test, but only after a word was computed that may fail.
    After(WordId, TestId),
    /// False; asks unless the test holds.
    Require(TestId),
    /// Memory has these bytes.
    Bytes(WordId, Arc<[u8]>),
    /// Two texts in memory are equal.
    Texts(TextSide, TextSide),
}

/// A text in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextSide {
    pub(super) start: WordId,
    pub(super) end: TextEnd,
}

/// Where a text in memory ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextEnd {
    /// At a zero byte, or after so many bytes.
    Zero(u32),
    /// After so many bytes.
    Counted(WordId),
}

/// Words and tests, operands before their users.
#[derive(Default, Debug)]
pub(super) struct Tree {
    words: Vec<Word>,
    tests: Vec<TestNode>,
}

impl Tree {
    pub(super) fn word(&self, id: WordId) -> Word {
        self.words[id.0 as usize]
    }

    pub(super) fn node(&self, id: TestId) -> &TestNode {
        &self.tests[id.0 as usize]
    }

    /// All words, for what concerns them all.
    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// The kind of an integer word; that of its bits for a float.
    pub(super) fn kind(&self, id: WordId) -> IntKind {
        int(self.word(id).sort)
    }

    pub(super) fn known(&self, id: WordId) -> Option<u64> {
        match self.word(id).op {
            Op::Const(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn push(&mut self, op: Op, sort: Sort) -> Result<WordId> {
        let (need, fails, depth) = self.cost(op);
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        self.words.push(Word { op, sort, need, fails, depth });
        Ok(WordId(self.words.len() as u32 - 1))
    }

    pub(super) fn push_test(&mut self, test: Test) -> Result<TestId> {
        let depth = 1 + match &test {
            Test::Known(_) => 0,
            Test::Compare(_, a, b) => self.word(*a).depth.max(self.word(*b).depth),
            Test::Not(a) | Test::Require(a) => self.node(*a).depth,
            Test::Both(a, b) | Test::Either(a, b) => self.node(*a).depth.max(self.node(*b).depth),
            Test::After(word, then) => self.word(*word).depth.max(self.node(*then).depth),
            Test::Bytes(start, _) => self.word(*start).depth,
            Test::Texts(a, b) => self.side_depth(*a).max(self.side_depth(*b)),
        };
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        self.tests.push(TestNode { test, text: None, depth });
        Ok(TestId(self.tests.len() as u32 - 1))
    }

    /// Says what the user wrote for a test that is made at once.
    pub(super) fn explain(&mut self, id: TestId, text: &str) {
        let node = &mut self.tests[id.0 as usize];
        match node.test {
            Test::Not(first) | Test::Both(first, _) | Test::Either(first, _) => {
                self.explain(first, text);
            }
            _ if node.text.is_none() && !text.is_empty() => node.text = Some(text.into()),
            _ => {}
        }
    }

    fn side_depth(&self, side: TextSide) -> u16 {
        let len = match side.end {
            TextEnd::Zero(_) => 0,
            TextEnd::Counted(len) => self.word(len).depth,
        };
        self.word(side.start).depth.max(len)
    }

    /// Registers, whether it may fail, and the depth.
    fn cost(&self, op: Op) -> (u8, bool, u16) {
        match op {
            Op::Const(_)
            | Op::Register(_)
            | Op::ThreadBase
            | Op::Row(_)
            | Op::Lane(..)
            | Op::Vector(_) => (1, false, 1),
            Op::Load(a) => (self.word(a).need, true, self.word(a).depth + 1),
            Op::Extend(a)
            | Op::Negate(a)
            | Op::Complement(a)
            | Op::FromBits(a)
            | Op::ToFloat(a)
            | Op::Truncate(a) => {
                let word = self.word(a);
                (word.need, word.fails, word.depth + 1)
            }
            Op::Arithmetic(Arithmetic::Div | Arithmetic::Rem, a, b) => {
                let (need, fails, depth) = self.pair(a, b);
                (need + 2, fails || matches!(self.known(b), None | Some(0)), depth)
            }
            Op::Arithmetic(_, a, b) => self.pair(a, b),
            Op::Shift { value, count, .. } => {
                let (need, fails, depth) = self.pair(value, count);
                (need + 1, fails, depth)
            }
            Op::Truth(test) => (2, true, self.node(test).depth + 1),
            Op::Select(test, a, b) => {
                let (need, _, depth) = self.pair(a, b);
                (need + 1, true, depth.max(self.node(test).depth + 1))
            }
        }
    }

    fn pair(&self, a: WordId, b: WordId) -> (u8, bool, u16) {
        let (a, b) = (self.word(a), self.word(b));
        let need = if a.need == b.need { a.need + 1 } else { a.need.max(b.need) };
        (need.min(200), a.fails || b.fails, 1 + a.depth.max(b.depth))
    }
}

/// The kind of an integer, or of an integer with the bits of a float.
pub(super) fn int(sort: Sort) -> IntKind {
    match sort {
        Sort::Int(kind) => kind,
        Sort::Float(_) => IntKind { bytes: sort.size() as u8, signed: false },
    }
}

fn too_deep() -> Unsupported {
    "the expression is nested too deeply".into()
}
