//! Arithmetic on words, at the width and signedness of their sorts.

use trapline_core::types::BitField;

use crate::ir::{Arithmetic, Comparison, FloatKind, IntKind, Load, Sort};

/// Cuts a word to its sort.
pub(crate) fn extend(word: u64, sort: Sort) -> u64 {
    match sort {
        Sort::Int(kind) => kind.extend(word),
        Sort::Float(FloatKind::F32) => word & 0xffff_ffff,
        Sort::Float(FloatKind::F64) => word,
    }
}

/// The word that the first bytes of a buffer are.
pub(crate) fn decode(load: Load, bytes: [u8; 16]) -> u64 {
    let mut low = [0; 8];
    low.copy_from_slice(&bytes[..8]);
    let word = u64::from_le_bytes(low);
    match load {
        Load::Int(kind) => kind.extend(word),
        Load::Float(kind) => extend(word, Sort::Float(kind)),
        Load::X87 => x87(word, x87_parts(bytes).1).to_bits(),
    }
}

/// The mantissa of an x87 number, and its sign and exponent.
pub(crate) fn x87_parts(bytes: [u8; 16]) -> (u64, u16) {
    let [low @ .., a, b, _, _, _, _, _, _] = bytes;
    (u64::from_le_bytes(low), u16::from_le_bytes([a, b]))
}

/// The `f64` nearest to an x87 number (Intel SDM volume 1, section 4.2.2);
/// results below the smallest normal `f64` may be one unit off.
pub(crate) fn x87(mantissa: u64, sign_and_exponent: u16) -> f64 {
    let exponent = i32::from(sign_and_exponent & 0x7fff);
    let magnitude = if exponent == 0x7fff {
        if mantissa << 1 == 0 { f64::INFINITY } else { f64::NAN }
    } else {
        // In three steps: no intermediate power leaves the range of `f64`.
        let power = (exponent - 16383 - 63).clamp(-2300, 2300);
        let third = power / 3;
        let rest = power - 2 * third;
        mantissa as f64 * 2f64.powi(rest) * 2f64.powi(third) * 2f64.powi(third)
    };
    if sign_and_exponent & 0x8000 != 0 { -magnitude } else { magnitude }
}

/// A word's float.
fn float(word: u64, kind: FloatKind) -> f64 {
    match kind {
        FloatKind::F32 => f64::from(f32::from_bits(word as u32)),
        FloatKind::F64 => f64::from_bits(word),
    }
}

pub(crate) fn is_zero(word: u64, sort: Sort) -> bool {
    match sort {
        Sort::Int(_) => word == 0,
        Sort::Float(kind) => float(word, kind) == 0.0,
    }
}

pub(crate) fn take_bits(word: u64, field: BitField, sort: Sort) -> u64 {
    let signed = matches!(sort, Sort::Int(IntKind { signed: true, .. }));
    let above = 64 - (field.shift + field.width).min(64);
    let unused = 64 - field.width.clamp(1, 64);
    let top = word << above;
    let low = if signed { (top.cast_signed() >> unused).cast_unsigned() } else { top >> unused };
    extend(low, sort)
}

pub(crate) fn put_bits(whole: u64, value: u64, field: BitField, sort: Sort) -> u64 {
    let mask = (u64::MAX >> (64 - field.width.clamp(1, 64))) << field.shift;
    extend((whole & !mask) | ((value << field.shift) & mask), sort)
}

/// Replaces a little-endian integer of up to 8 bytes by the value of some of
/// its bits.
pub fn take_bits_in_place(bytes: &mut [u8], field: BitField, signed: bool) {
    let mut word = [0; 8];
    let len = bytes.len().min(8);
    word[..len].copy_from_slice(&bytes[..len]);
    let kind = IntKind { bytes: 8, signed };
    let taken = take_bits(u64::from_le_bytes(word), field, Sort::Int(kind)).to_le_bytes();
    bytes[..len].copy_from_slice(&taken[..len]);
}

pub(crate) fn convert(word: u64, from: Sort, to: Sort) -> u64 {
    match (from, to) {
        (Sort::Int(_), Sort::Int(kind)) => kind.extend(word),
        (Sort::Int(kind), Sort::Float(FloatKind::F32)) => {
            let value = if kind.signed { word.cast_signed() as f32 } else { word as f32 };
            u64::from(value.to_bits())
        }
        (Sort::Int(kind), Sort::Float(FloatKind::F64)) => {
            let value = if kind.signed { word.cast_signed() as f64 } else { word as f64 };
            value.to_bits()
        }
        (Sort::Float(kind), Sort::Int(to)) => to.extend(truncate(float(word, kind), to)),
        (Sort::Float(from), Sort::Float(to)) if from == to => word,
        (Sort::Float(_), Sort::Float(FloatKind::F32)) => {
            u64::from((f64::from_bits(word) as f32).to_bits())
        }
        (Sort::Float(from), Sort::Float(FloatKind::F64)) => float(word, from).to_bits(),
    }
}

/// Float to a 64-bit integer as compilers do it with `cvttsd2si` (Intel SDM
/// volume 2): what is out of range becomes the lowest signed word.
fn truncate(value: f64, to: IntKind) -> u64 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    let signed = |value: f64| {
        let fits = (-TWO_TO_63..TWO_TO_63).contains(&value);
        if fits { value as i64 } else { i64::MIN }.cast_unsigned()
    };
    if !to.signed && to.bytes == 8 && value >= TWO_TO_63 {
        signed(value - TWO_TO_63) ^ (1 << 63)
    } else {
        signed(value)
    }
}

pub(crate) fn negate(word: u64, sort: Sort) -> u64 {
    match sort {
        Sort::Int(kind) => kind.extend(word.wrapping_neg()),
        Sort::Float(FloatKind::F32) => word ^ (1 << 31),
        Sort::Float(FloatKind::F64) => word ^ (1 << 63),
    }
}

/// `None` for an integer division by zero.
pub(crate) fn arithmetic(op: Arithmetic, a: u64, b: u64, sort: Sort) -> Option<u64> {
    match sort {
        Sort::Int(kind) => integers(op, a, b, kind).map(|word| kind.extend(word)),
        Sort::Float(FloatKind::F64) => {
            Some(floats(op, f64::from_bits(a), f64::from_bits(b))?.to_bits())
        }
        Sort::Float(FloatKind::F32) => {
            let (a, b) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
            // One operation on two `f32` rounds the same by way of `f64`
            // (Figueroa, "When is double rounding innocuous?").
            let wide = floats(op, f64::from(a), f64::from(b))?;
            Some(u64::from((wide as f32).to_bits()))
        }
    }
}

fn integers(op: Arithmetic, a: u64, b: u64, kind: IntKind) -> Option<u64> {
    let (signed_a, signed_b) = (a.cast_signed(), b.cast_signed());
    Some(match op {
        Arithmetic::Add => a.wrapping_add(b),
        Arithmetic::Sub => a.wrapping_sub(b),
        Arithmetic::Mul => a.wrapping_mul(b),
        Arithmetic::Div | Arithmetic::Rem if b == 0 => return None,
        Arithmetic::Div if kind.signed => signed_a.wrapping_div(signed_b).cast_unsigned(),
        Arithmetic::Div => a / b,
        Arithmetic::Rem if kind.signed => signed_a.wrapping_rem(signed_b).cast_unsigned(),
        Arithmetic::Rem => a % b,
        Arithmetic::And => a & b,
        Arithmetic::Or => a | b,
        Arithmetic::Xor => a ^ b,
    })
}

/// `None` for what floats do not have; the verifier lets no such node pass.
fn floats(op: Arithmetic, a: f64, b: f64) -> Option<f64> {
    match op {
        Arithmetic::Add => Some(a + b),
        Arithmetic::Sub => Some(a - b),
        Arithmetic::Mul => Some(a * b),
        Arithmetic::Div => Some(a / b),
        Arithmetic::Rem | Arithmetic::And | Arithmetic::Or | Arithmetic::Xor => None,
    }
}

pub(crate) fn shift(left: bool, word: u64, sort: Sort, count: u64, counted: Sort) -> u64 {
    let Sort::Int(kind) = sort else { return 0 };
    let negative =
        matches!(counted, Sort::Int(IntKind { signed: true, .. })) && count.cast_signed() < 0;
    let all = negative || count >= u64::from(kind.bits());
    let by = if all { 0 } else { count as u32 };
    let shifted = match (left, kind.signed) {
        (true, _) if all => 0,
        (true, _) => word << by,
        (false, true) if all => (word.cast_signed() >> 63).cast_unsigned(),
        (false, true) => (word.cast_signed() >> by).cast_unsigned(),
        (false, false) if all => 0,
        (false, false) => word >> by,
    };
    kind.extend(shifted)
}

pub(crate) fn compare(op: Comparison, a: u64, b: u64, sort: Sort) -> bool {
    match sort {
        Sort::Int(IntKind { signed: true, .. }) => ordered(op, &a.cast_signed(), &b.cast_signed()),
        Sort::Int(_) => ordered(op, &a, &b),
        Sort::Float(kind) => ordered(op, &float(a, kind), &float(b, kind)),
    }
}

fn ordered<T: PartialOrd>(op: Comparison, a: &T, b: &T) -> bool {
    match op {
        Comparison::Eq => a == b,
        Comparison::Ne => a != b,
        Comparison::Lt => a < b,
        Comparison::Le => a <= b,
        Comparison::Gt => a > b,
        Comparison::Ge => a >= b,
    }
}
