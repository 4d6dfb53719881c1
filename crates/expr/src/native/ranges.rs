//! Which bits floats have that compare in some way with a known one.

use crate::ir::{Comparison, IntKind};

/// A range of unsigned integers, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The bits of all floats `x` for which `x OP known` holds, where `known` has
/// the value `value`, no NaN, and the comparison is an ordering. IEEE 754: bits
/// without the sign are ordered as magnitudes are.
pub(super) fn satisfying(
    op: Comparison,
    known: u64,
    value: f64,
    kind: IntKind,
) -> [Option<Range>; 2] {
    let sign = 1 << (kind.bits() - 1);
    match op {
        Comparison::Gt | Comparison::Ge => above(op == Comparison::Ge, known, value, kind),
        _ => above(op == Comparison::Le, known ^ sign, -value, kind).map(|range| {
            range.map(|range| Range { first: range.first ^ sign, last: range.last ^ sign })
        }),
    }
}

/// The bits of all that is greater than `known`, or equal.
fn above(or_equal: bool, known: u64, value: f64, kind: IntKind) -> [Option<Range>; 2] {
    let sign: u64 = 1 << (kind.bits() - 1);
    let infinity = match kind.bytes {
        4 => u64::from(f32::INFINITY.to_bits()),
        _ => f64::INFINITY.to_bits(),
    };
    let range = |first: u64, last: u64| (first <= last).then_some(Range { first, last });
    let beyond = u64::from(!or_equal);
    if value > 0.0 {
        return [range(known + beyond, infinity), None];
    }
    let magnitude = known & !sign;
    if value == 0.0 {
        let negative_zero = if or_equal { range(sign, sign) } else { None };
        return [range(beyond, infinity), negative_zero];
    }
    [range(0, infinity), range(sign, (sign | magnitude) - beyond)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: [f64; 11] = [
        0.0,
        -0.0,
        1.5,
        -1.5,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];

    fn check(op: Comparison, holds: impl Fn(f64, f64) -> bool) {
        for known in SPECIAL.into_iter().filter(|known| !known.is_nan()) {
            let ranges = satisfying(op, known.to_bits(), known, IntKind::U64);
            for x in SPECIAL {
                let inside = |range: &Range| (range.first..=range.last).contains(&x.to_bits());
                let found = ranges.iter().flatten().any(inside);
                assert_eq!(found, holds(x, known), "{x} {op:?} {known}");
            }
        }
    }

    #[test]
    fn ranges_hold_what_compares() {
        check(Comparison::Lt, |x, known| x < known);
        check(Comparison::Le, |x, known| x <= known);
        check(Comparison::Gt, |x, known| x > known);
        check(Comparison::Ge, |x, known| x >= known);
    }
}
