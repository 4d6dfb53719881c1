//! Numbers of x87's format, which has more bits than a word: what they are, how
//! they compare, and whether a `double` can stand for them. Intel SDM volume 1,
//! section 4.2.2.

use std::cmp::Ordering;

use super::number::x87;
use crate::ir::{Comparison, FloatKind, IntKind, Sort};

/// A number of ten bytes, or one that such a number can be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extended {
    NotANumber,
    Number(Number),
}

/// Signed zero is no number of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    negative: bool,
    /// `mantissa * 2^exponent`; the highest bit of the mantissa is set unless it
    /// is zero.
    exponent: i32,
    mantissa: u64,
}

/// The exponent of what is larger than every number.
const INFINITE: i32 = i32::MAX;

impl Extended {
    /// The number in ten bytes.
    pub(super) fn decode(mantissa: u64, sign_and_exponent: u16) -> Self {
        let negative = sign_and_exponent & 0x8000 != 0;
        match i32::from(sign_and_exponent & 0x7fff) {
            0x7fff if mantissa << 1 != 0 => Self::NotANumber,
            0x7fff => Self::infinite(negative),
            exponent => Self::finite(negative, exponent.max(1) - 16383 - 63, mantissa),
        }
    }

    /// The number that a word is; each has its like in this format.
    pub(super) fn of_word(word: u64, sort: Sort) -> Self {
        match sort {
            Sort::Int(IntKind { signed: true, .. }) => {
                let value = word.cast_signed();
                Self::finite(value < 0, 0, value.unsigned_abs())
            }
            Sort::Int(_) => Self::finite(false, 0, word),
            Sort::Float(FloatKind::F32) => Self::of_double(f32::from_bits(word as u32).into()),
            Sort::Float(FloatKind::F64) => Self::of_double(f64::from_bits(word)),
        }
    }

    fn of_double(value: f64) -> Self {
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
        let negative = value.is_sign_negative();
        match exponent {
            0x7ff if fraction != 0 => Self::NotANumber,
            0x7ff => Self::infinite(negative),
            0 => Self::finite(negative, 1 - 1075, fraction),
            _ => Self::finite(negative, exponent - 1075, fraction | 1 << 52),
        }
    }

    fn infinite(negative: bool) -> Self {
        Self::Number(Number { negative, exponent: INFINITE, mantissa: 1 << 63 })
    }

    fn finite(negative: bool, exponent: i32, mantissa: u64) -> Self {
        if mantissa == 0 {
            return Self::Number(Number { negative: false, exponent: 0, mantissa });
        }
        let unused = mantissa.leading_zeros();
        let exponent = exponent - unused.cast_signed();
        Self::Number(Number { negative, exponent, mantissa: mantissa << unused })
    }

    /// False for what is no number, but `!=`.
    pub(super) fn compare(op: Comparison, a: Self, b: Self) -> bool {
        let (Self::Number(a), Self::Number(b)) = (a, b) else { return op == Comparison::Ne };
        let order = a.order(b);
        match op {
            Comparison::Eq => order.is_eq(),
            Comparison::Ne => order.is_ne(),
            Comparison::Lt => order.is_lt(),
            Comparison::Le => order.is_le(),
            Comparison::Gt => order.is_gt(),
            Comparison::Ge => order.is_ge(),
        }
    }
}

impl Number {
    fn sign(self) -> i32 {
        match (self.mantissa, self.negative) {
            (0, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }

    fn order(self, other: Self) -> Ordering {
        let size = || (self.exponent, self.mantissa).cmp(&(other.exponent, other.mantissa));
        self.sign().cmp(&other.sign()).then_with(|| match self.sign() {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

/// Whether a number of ten bytes is too large or too small for a `double`, which
/// would be infinite or zero.
pub(super) fn leaves_doubles(mantissa: u64, sign_and_exponent: u16) -> bool {
    let double = x87(mantissa, sign_and_exponent);
    let is_infinite = sign_and_exponent & 0x7fff == 0x7fff;
    (double.is_infinite() && !is_infinite) || (double == 0.0 && mantissa != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const F64: Sort = Sort::Float(FloatKind::F64);

    fn double(value: f64) -> Extended {
        Extended::of_word(value.to_bits(), F64)
    }

    #[test]
    fn what_a_double_cannot_hold_is_told_apart() {
        let pi = Extended::decode(0xc90f_daa2_2168_c235, 0x4000);
        let (big, tiny) = (Extended::decode(1 << 63, 0x7000), Extended::decode(1, 0));
        let check = |op, a, b| assert!(Extended::compare(op, a, b), "{a:?} {op:?} {b:?}");
        check(Comparison::Gt, pi, double(std::f64::consts::PI));
        check(Comparison::Lt, big, double(f64::INFINITY));
        check(Comparison::Gt, big, double(f64::MAX));
        check(Comparison::Ne, tiny, double(0.0));
        check(Comparison::Lt, tiny, double(5e-324));
        check(Comparison::Gt, Extended::decode(1, 0x8000), double(-5e-324));
        check(Comparison::Eq, Extended::decode(0, 0x8000), double(0.0));
        check(Comparison::Ne, double(f64::NAN), double(f64::NAN));
        let most = Sort::Int(IntKind::U64);
        check(
            Comparison::Eq,
            Extended::decode(u64::MAX, 16383 + 63),
            Extended::of_word(u64::MAX, most),
        );
    }

    #[test]
    fn doubles_and_integers_keep_their_order() {
        let values = [f64::NEG_INFINITY, -2.5, -1.0, -0.0, 5e-324, 1.0, 1.5, 3e300, f64::INFINITY];
        let ops = [Comparison::Eq, Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Gt];
        for (a, b) in values.into_iter().flat_map(|a| values.map(|b| (a, b))) {
            for op in ops {
                let expected = super::super::number::compare(op, a.to_bits(), b.to_bits(), F64);
                assert_eq!(Extended::compare(op, double(a), double(b)), expected, "{a} {op:?} {b}");
            }
        }
    }
}
