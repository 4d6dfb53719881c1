//! Variants of sum types: each has its members only while it is the live one.

use std::ops::Range;

use trapline_core::types::{Member, Record, RecordFlavour, TypeKind};

use super::members::names;
use super::{Checker, Kind, Typed};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Arithmetic, Comparison, IntKind, Missing, NodeId, Op, Sort};

impl Checker<'_> {
    /// A member of an object, which is there if it is no variant or the live
    /// one.
    pub(super) fn if_live(
        &mut self,
        object: &Typed,
        record: &Record,
        name: &str,
        member: Typed,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let variant = record.members.iter().find(|member| names(member, name));
        let Some(live) = self.is_live(object, record, variant, span)? else { return Ok(member) };
        let missing = Missing::Part(format!("the live variant is not `{name}`").into());
        self.only_if(live, member, missing, span)
    }

    /// `object.is_some()`: Rust's way to ask whether a variant is the live one.
    /// `None` when there is no such variant.
    pub(super) fn variant_asked_for(
        &mut self,
        object: &Typed,
        question: &str,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let stripped = self.strip(&object.ty, span)?;
        let (TypeKind::Record(record), Some(asked)) =
            (&stripped.kind, question.strip_prefix("is_"))
        else {
            return Ok(None);
        };
        let variants = record.members.iter().filter(|member| member.variant.is_some());
        let mut asked_for = variants.filter(|variant| in_snake_case(&variant.name) == asked);
        let Some(variant) = asked_for.next() else { return Ok(None) };
        let live = match self.is_live(object, record, Some(variant), span)? {
            Some(live) => live,
            None => self.push(Op::Const(1), Sort::BOOL, span)?,
        };
        let ty = builtin::boolean();
        Ok(Some(Typed { kind: Kind::Word(live), ty, span: span.clone() }))
    }

    /// Whether a variant is the live one; `None` where nothing decides.
    fn is_live(
        &mut self,
        object: &Typed,
        record: &Record,
        variant: Option<&Member>,
        span: &Range<usize>,
    ) -> Result<Option<NodeId>, Error> {
        let RecordFlavour::Variants { discriminant: Some(discriminant) } = &record.flavour else {
            return Ok(None);
        };
        let Some(values) = variant.and_then(|variant| variant.variant.as_ref()) else {
            return Ok(None);
        };
        let words = self.discriminant(object, discriminant, span)?;
        if !values.is_empty() {
            return self.is_one_of(&words, values.iter().copied(), span).map(Some);
        }
        let others = record.members.iter().filter_map(|member| member.variant.as_ref());
        let other = self.is_one_of(&words, others.flatten().copied(), span)?;
        self.push(Op::IsZero(other), Sort::BOOL, span).map(Some)
    }

    /// The words of a discriminant, lowest first, and their kind.
    fn discriminant(
        &mut self,
        object: &Typed,
        member: &Member,
        span: &Range<usize>,
    ) -> Result<(Vec<NodeId>, IntKind), Error> {
        let not_understood =
            || Error::new(span.clone(), "what selects its variants is not understood");
        let ty = self.follow(&member.ty, span)?;
        let size = self.size(&ty, span)?;
        let bytes = match size {
            1 | 2 | 4 | 8 => size as u8,
            16 => 8,
            _ => return Err(not_understood()),
        };
        let kind = IntKind { bytes, signed: false };
        let mut words = Vec::new();
        for skip in (0..size).step_by(usize::from(bytes)) {
            let offset = member.offset.saturating_add(skip);
            let part = self.displaced_to(object, offset, builtin::integer(kind))?;
            words.push(self.rvalue(part.ok_or_else(not_understood)?)?.node);
        }
        Ok((words, kind))
    }

    /// Whether a discriminant is one of some numbers.
    fn is_one_of(
        &mut self,
        (words, kind): &(Vec<NodeId>, IntKind),
        numbers: impl Iterator<Item = i128>,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let bits = kind.bits() * words.len() as u32;
        let mut found = self.push(Op::Const(0), Sort::BOOL, span)?;
        for (first, last) in runs(numbers, bits) {
            let mut inside = self.between(words[0], *kind, first as u64, last as u64, span)?;
            if let Some(&high) = words.get(1) {
                let (first, last) = ((first >> 64) as u64, (last >> 64) as u64);
                let same = self.between(high, *kind, first, last, span)?;
                inside = self.push(Op::And(same, inside), Sort::BOOL, span)?;
            }
            found = self.push(Op::Or(found, inside), Sort::BOOL, span)?;
        }
        Ok(found)
    }

    fn between(
        &mut self,
        word: NodeId,
        kind: IntKind,
        first: u64,
        last: u64,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let start = self.constant(first, kind, span)?;
        if first == last {
            return self.push(Op::Compare(Comparison::Eq, word, start), Sort::BOOL, span);
        }
        let beyond = Op::Arithmetic(Arithmetic::Sub, word, start);
        let beyond = self.push(beyond, Sort::Int(kind), span)?;
        let most = self.constant(last.wrapping_sub(first), kind, span)?;
        self.push(Op::Compare(Comparison::Le, beyond, most), Sort::BOOL, span)
    }
}

/// `NotFound` as `not_found`.
fn in_snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, c) in name.char_indices() {
        if c.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Numbers of so many bits as runs of neighbours, none of which crosses a
/// multiple of 2^64.
fn runs(numbers: impl Iterator<Item = i128>, bits: u32) -> Vec<(u128, u128)> {
    let mask = u128::MAX >> (128 - bits.clamp(1, 128));
    let mut numbers: Vec<u128> = numbers.map(|number| number.cast_unsigned() & mask).collect();
    numbers.sort_unstable();
    let mut runs: Vec<(u128, u128)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if number == *last => {}
            Some((_, last)) if number == *last + 1 && number as u64 != 0 => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn neighbours_are_one_run() {
        let check = |numbers: &[i128], bits, expected: &[(u128, u128)]| {
            assert_eq!(runs(numbers.iter().copied(), bits), expected);
        };
        check(&[], 8, &[]);
        check(&[3, 1, 2, 7, 3], 8, &[(1, 3), (7, 7)]);
        check(&[-1, 0], 8, &[(0, 0), (255, 255)]);
        check(
            &[i128::from(u64::MAX), 1 << 64],
            128,
            &[(u128::from(u64::MAX), u128::from(u64::MAX)), (1 << 64, 1 << 64)],
        );
        check(&[i128::MAX, -1], 128, &[(u128::MAX >> 1, u128::MAX >> 1), (u128::MAX, u128::MAX)]);
    }
}
