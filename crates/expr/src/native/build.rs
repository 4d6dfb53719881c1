//! Makes words and tests of a [`Tree`] in the form that becomes the best code:
//! known words folded, constants on the right, comparisons made as narrow as
//! what they compare.

use super::Result;
use super::ranges;
use super::tree::{Op, Test, TestId, Tree, WordId};
use crate::interp::number;
use crate::ir::{Arithmetic, Comparison, FloatKind, IntKind, Sort};

impl Tree {
    pub(super) fn constant(&mut self, word: u64, sort: Sort) -> Result<WordId> {
        self.push(Op::Const(number::extend(word, sort)), sort)
    }

    pub(super) fn integer(&mut self, word: u64, kind: IntKind) -> Result<WordId> {
        self.constant(word, Sort::Int(kind))
    }

    pub(super) fn load(&mut self, address: WordId, sort: Sort) -> Result<WordId> {
        self.push(Op::Load(address), sort)
    }

    /// An integer as another kind of integer.
    pub(super) fn extend(&mut self, word: WordId, to: IntKind) -> Result<WordId> {
        let from = self.kind(word);
        if from == to {
            return Ok(word);
        }
        if let Some(known) = self.known(word) {
            return self.integer(known, to);
        }
        if let Op::Extend(inner) = self.word(word).op {
            let first = self.kind(inner);
            let cut = to.bytes <= from.bytes && to.bytes <= first.bytes;
            let widens = first.bytes < from.bytes && from.bytes < to.bytes;
            if cut || (widens && (!first.signed || from.signed)) {
                return self.extend(inner, to);
            }
        }
        self.push(Op::Extend(word), Sort::Int(to))
    }

    /// A word at another sort, as [`crate::ir::Op::Convert`] means it.
    pub(super) fn convert(&mut self, word: WordId, to: Sort) -> Result<WordId> {
        let from = self.word(word).sort;
        if let Some(known) = self.known(word) {
            return self.constant(number::convert(known, from, to), to);
        }
        match (from, to) {
            _ if from == to => Ok(word),
            (Sort::Int(_), Sort::Int(kind)) => self.extend(word, kind),
            (_, Sort::Float(_)) => self.push(Op::ToFloat(word), to),
            (Sort::Float(_), Sort::Int(kind)) => {
                let wide = if kind.bytes == 8 { kind } else { IntKind::I64 };
                let whole = self.push(Op::Truncate(word), Sort::Int(wide))?;
                self.extend(whole, kind)
            }
        }
    }

    pub(super) fn negate(&mut self, word: WordId) -> Result<WordId> {
        let sort = self.word(word).sort;
        match self.known(word) {
            Some(known) => self.constant(number::negate(known, sort), sort),
            None => self.push(Op::Negate(word), sort),
        }
    }

    pub(super) fn complement(&mut self, word: WordId) -> Result<WordId> {
        let sort = self.word(word).sort;
        match self.known(word) {
            Some(known) => self.constant(!known, sort),
            None => self.push(Op::Complement(word), sort),
        }
    }

    pub(super) fn arithmetic(&mut self, op: Arithmetic, a: WordId, b: WordId) -> Result<WordId> {
        let sort = self.word(a).sort;
        if let (Some(x), Some(y)) = (self.known(a), self.known(b))
            && let Some(folded) = number::arithmetic(op, x, y, sort)
        {
            return self.constant(folded, sort);
        }
        let Sort::Int(kind) = sort else {
            return self.push(Op::Arithmetic(op, a, b), sort);
        };
        let (a, b) = if commutes(op) && self.rank(a) < self.rank(b) { (b, a) } else { (a, b) };
        match (op, self.known(b)) {
            (Arithmetic::Sub, Some(known)) => {
                let minus = self.integer(known.wrapping_neg(), kind)?;
                self.arithmetic(Arithmetic::Add, a, minus)
            }
            (Arithmetic::Add | Arithmetic::Or | Arithmetic::Xor, Some(0)) => Ok(a),
            (Arithmetic::Add, Some(second)) => self.sum(a, second, b),
            (Arithmetic::Mul | Arithmetic::Div, Some(1)) => Ok(a),
            (Arithmetic::Div, Some(u64::MAX)) if kind.signed => self.negate(a),
            (Arithmetic::Rem, Some(1 | u64::MAX)) if kind.signed => {
                let none = self.integer(0, kind)?;
                self.arithmetic(Arithmetic::And, a, none)
            }
            (Arithmetic::Mul, Some(factor)) if factor.is_power_of_two() => {
                self.shift_by(true, a, factor.trailing_zeros())
            }
            (Arithmetic::Div, Some(by)) if by.is_power_of_two() && !kind.signed => {
                self.shift_by(false, a, by.trailing_zeros())
            }
            (Arithmetic::Rem, Some(by)) if by.is_power_of_two() && !kind.signed => {
                let mask = self.integer(by - 1, kind)?;
                self.arithmetic(Arithmetic::And, a, mask)
            }
            _ => self.push(Op::Arithmetic(op, a, b), sort),
        }
    }

    /// `a` plus the known `second`, which `b` is.
    fn sum(&mut self, a: WordId, second: u64, b: WordId) -> Result<WordId> {
        let sort = self.word(a).sort;
        if let Op::Arithmetic(Arithmetic::Add, base, first) = self.word(a).op
            && let Some(first) = self.known(first)
        {
            let both = self.constant(first.wrapping_add(second), sort)?;
            return self.arithmetic(Arithmetic::Add, base, both);
        }
        self.push(Op::Arithmetic(Arithmetic::Add, a, b), sort)
    }

    /// Which operand of an operation that commutes comes first: the higher one.
    fn rank(&self, id: WordId) -> u8 {
        match self.word(id).op {
            Op::Const(_) => 0,
            Op::Register(_) | Op::Row(_) | Op::ThreadBase => 1,
            Op::Load(_) => 2,
            _ => 3,
        }
    }

    pub(super) fn plus(&mut self, a: WordId, by: u64) -> Result<WordId> {
        let by = self.constant(by, self.word(a).sort)?;
        self.arithmetic(Arithmetic::Add, a, by)
    }

    pub(super) fn shift_by(&mut self, left: bool, value: WordId, by: u32) -> Result<WordId> {
        let count = self.integer(u64::from(by), IntKind::U64)?;
        self.shift(left, value, count)
    }

    pub(super) fn shift(&mut self, left: bool, value: WordId, count: WordId) -> Result<WordId> {
        let (sort, counted) = (self.word(value).sort, self.word(count).sort);
        if let (Some(word), Some(by)) = (self.known(value), self.known(count)) {
            return self.constant(number::shift(left, word, sort, by, counted), sort);
        }
        if self.known(count) == Some(0) {
            return Ok(value);
        }
        self.push(Op::Shift { left, value, count }, sort)
    }

    /// The bits of a float, when no arithmetic made them.
    pub(super) fn bits(&mut self, word: WordId) -> Result<Option<WordId>> {
        let found = self.word(word);
        let Sort::Float(_) = found.sort else { return Ok(Some(word)) };
        let kind = self.kind(word);
        match found.op {
            Op::Load(address) => self.load(address, Sort::Int(kind)).map(Some),
            Op::Const(bits) => self.integer(bits, kind).map(Some),
            Op::FromBits(bits) => Ok(Some(bits)),
            Op::Vector(index) => {
                let lane = self.push(Op::Lane(index, 0), Sort::Int(IntKind::U64))?;
                self.extend(lane, kind).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// 1 where a test holds, else 0.
    pub(super) fn truth(&mut self, test: TestId) -> Result<WordId> {
        match self.node(test).test {
            Test::Known(known) => self.constant(u64::from(known), Sort::BOOL),
            _ => self.push(Op::Truth(test), Sort::BOOL),
        }
    }

    pub(super) fn select(&mut self, test: TestId, a: WordId, b: WordId) -> Result<WordId> {
        match self.node(test).test {
            Test::Known(true) => Ok(a),
            Test::Known(false) => Ok(b),
            _ => self.push(Op::Select(test, a, b), self.word(a).sort),
        }
    }

    pub(super) fn test_known(&mut self, known: bool) -> Result<TestId> {
        self.push_test(Test::Known(known))
    }

    pub(super) fn not(&mut self, test: TestId) -> Result<TestId> {
        match self.node(test).test {
            Test::Known(known) => self.test_known(!known),
            Test::Not(inner) => Ok(inner),
            _ => self.push_test(Test::Not(test)),
        }
    }

    pub(super) fn both(&mut self, a: TestId, b: TestId) -> Result<TestId> {
        match (&self.node(a).test, &self.node(b).test) {
            (Test::Known(false), _) => Ok(a),
            (Test::Known(true), _) => Ok(b),
            (_, Test::Known(true)) => Ok(a),
            _ => self.push_test(Test::Both(a, b)),
        }
    }

    pub(super) fn either(&mut self, a: TestId, b: TestId) -> Result<TestId> {
        match (&self.node(a).test, &self.node(b).test) {
            (Test::Known(true), _) => Ok(a),
            (Test::Known(false), _) => Ok(b),
            (_, Test::Known(false)) => Ok(a),
            _ => self.push_test(Test::Either(a, b)),
        }
    }

    /// The test, which is made only when a word could be computed.
    pub(super) fn after(&mut self, word: WordId, test: TestId) -> Result<TestId> {
        if self.word(word).fails { self.push_test(Test::After(word, test)) } else { Ok(test) }
    }

    pub(super) fn is_zero(&mut self, word: WordId) -> Result<TestId> {
        let zero = self.constant(0, self.word(word).sort)?;
        self.compare(Comparison::Eq, word, zero)
    }

    pub(super) fn compare(&mut self, op: Comparison, a: WordId, b: WordId) -> Result<TestId> {
        let sort = self.word(a).sort;
        if let (Some(x), Some(y)) = (self.known(a), self.known(b)) {
            return self.test_known(number::compare(op, x, y, sort));
        }
        if self.known(a).is_some() {
            return self.compare(mirrored(op), b, a);
        }
        match sort {
            Sort::Int(kind) => self.compare_integers(op, a, b, kind),
            Sort::Float(kind) => self.compare_floats(op, a, b, kind),
        }
    }

    fn compare_integers(
        &mut self,
        op: Comparison,
        a: WordId,
        b: WordId,
        kind: IntKind,
    ) -> Result<TestId> {
        if let Op::Truth(test) = self.word(a).op
            && let (Some(known), Comparison::Eq | Comparison::Ne) = (self.known(b), op)
            && known <= 1
        {
            let same = (op == Comparison::Eq) == (known == 1);
            return if same { Ok(test) } else { self.not(test) };
        }
        if let Some((a, b)) = self.narrowed(op, a, b, kind)? {
            return self.compare(op, a, b);
        }
        if let Some((a, b)) = self.unshifted(op, a, b)? {
            return self.compare(op, a, b);
        }
        self.push_test(Test::Compare(op, a, b))
    }

    /// The operands before they were extended, where they compare the same.
    fn narrowed(
        &mut self,
        op: Comparison,
        a: WordId,
        b: WordId,
        kind: IntKind,
    ) -> Result<Option<(WordId, WordId)>> {
        let Op::Extend(inner) = self.word(a).op else { return Ok(None) };
        let from = self.kind(inner);
        let ordered = kind.signed || !from.signed;
        let equality = matches!(op, Comparison::Eq | Comparison::Ne);
        // At one width only the sign differs, which decides order and no more.
        let narrower = from.bytes < kind.bytes && (ordered || equality);
        let as_wide = from.bytes == kind.bytes && equality;
        if !(narrower || as_wide) {
            return Ok(None);
        }
        if let Some(known) = self.known(b) {
            let narrow = from.extend(known);
            if kind.extend(narrow) != known {
                return Ok(None);
            }
            return Ok(Some((inner, self.integer(narrow, from)?)));
        }
        match self.word(b).op {
            Op::Extend(other) if self.kind(other) == from => Ok(Some((inner, other))),
            _ => Ok(None),
        }
    }

    /// `(x >> s & m) == c` as `(x & m << s) == c << s`.
    fn unshifted(
        &mut self,
        op: Comparison,
        a: WordId,
        b: WordId,
    ) -> Result<Option<(WordId, WordId)>> {
        let (Comparison::Eq | Comparison::Ne, Some(wanted)) = (op, self.known(b)) else {
            return Ok(None);
        };
        let Op::Arithmetic(Arithmetic::And, shifted, mask) = self.word(a).op else {
            return Ok(None);
        };
        let Op::Shift { left: false, value, count } = self.word(shifted).op else {
            return Ok(None);
        };
        let (Some(mask), Some(by)) = (self.known(mask), self.known(count)) else {
            return Ok(None);
        };
        let kind = self.kind(value);
        let back = |word: u64| {
            let moved = word.checked_shl(u32::try_from(by).ok()?)?;
            let fits = by < u64::from(kind.bits()) && kind.extend(moved) >> by == word;
            (fits && !kind.signed).then_some(moved)
        };
        let (Some(mask), Some(wanted)) = (back(mask), back(wanted)) else { return Ok(None) };
        let mask = self.integer(mask, kind)?;
        let masked = self.arithmetic(Arithmetic::And, value, mask)?;
        Ok(Some((masked, self.integer(wanted, kind)?)))
    }

    fn compare_floats(
        &mut self,
        op: Comparison,
        a: WordId,
        b: WordId,
        kind: FloatKind,
    ) -> Result<TestId> {
        let Some(known) = self.known(b) else { return self.push_test(Test::Compare(op, a, b)) };
        if let Some((a, b)) = self.narrowed_float(a, f64::from_bits(known), kind)? {
            return self.compare(op, a, b);
        }
        let value = match kind {
            FloatKind::F32 => f64::from(f32::from_bits(known as u32)),
            FloatKind::F64 => f64::from_bits(known),
        };
        match self.bits(a)? {
            Some(bits) if !value.is_nan() => self.compare_bits(op, bits, known, value),
            _ => self.push_test(Test::Compare(op, a, b)),
        }
    }

    /// A comparison of `f64`s as one of `f32`s, when both are such.
    fn narrowed_float(
        &mut self,
        a: WordId,
        known: f64,
        kind: FloatKind,
    ) -> Result<Option<(WordId, WordId)>> {
        const NARROW: Sort = Sort::Float(FloatKind::F32);
        let (FloatKind::F64, Op::ToFloat(inner)) = (kind, self.word(a).op) else {
            return Ok(None);
        };
        if self.word(inner).sort != NARROW || f64::from(known as f32) != known {
            return Ok(None);
        }
        let known = self.constant(u64::from((known as f32).to_bits()), NARROW)?;
        Ok(Some((inner, known)))
    }

    /// A comparison with a known float needs no vector register: the bits of
    /// what satisfies it are one or two ranges of integers.
    fn compare_bits(
        &mut self,
        op: Comparison,
        bits: WordId,
        known: u64,
        value: f64,
    ) -> Result<TestId> {
        let kind = self.kind(bits);
        let found = match (op, value == 0.0) {
            (Comparison::Eq | Comparison::Ne, true) => {
                let magnitude = self.shift_by(true, bits, 1)?;
                self.is_zero(magnitude)?
            }
            (Comparison::Eq | Comparison::Ne, false) => {
                let known = self.integer(known, kind)?;
                self.compare(Comparison::Eq, bits, known)?
            }
            _ => {
                let [first, second] = ranges::satisfying(op, known, value, kind);
                if first.is_none() && second.is_none() {
                    // Nothing is beyond infinity, but what is compared may fail.
                    let never = self.test_known(false)?;
                    return self.after(bits, never);
                }
                let first = self.in_range(bits, first, kind)?;
                let second = self.in_range(bits, second, kind)?;
                self.either(first, second)?
            }
        };
        if op == Comparison::Ne { self.not(found) } else { Ok(found) }
    }

    fn in_range(
        &mut self,
        bits: WordId,
        range: Option<ranges::Range>,
        kind: IntKind,
    ) -> Result<TestId> {
        let Some(range) = range else { return self.test_known(false) };
        let above = self.plus(bits, range.first.wrapping_neg())?;
        let last = self.integer(range.last - range.first, kind)?;
        self.compare(Comparison::Le, above, last)
    }
}

fn commutes(op: Arithmetic) -> bool {
    use Arithmetic::{Add, And, Mul, Or, Xor};
    matches!(op, Add | Mul | And | Or | Xor)
}

/// The comparison with its operands exchanged.
pub(super) fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Eq | Comparison::Ne => op,
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
    }
}
