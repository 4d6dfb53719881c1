//! Floating-point numbers as text, in every format that compilers use.

use super::decimal::{self, Binary};
use super::number::unsigned;
use crate::interp::x87;

/// How the bits of a format lie: sign, exponent, fraction, from the top.
#[derive(Clone, Copy)]
struct Layout {
    exponent_bits: u32,
    /// Those after the point.
    fraction_bits: u32,
    /// Whether the bit before the point is written, too.
    explicit: bool,
    /// Up to which power of ten numbers are written without it.
    digits: i32,
}

/// IEEE 754 binary16.
const HALF: Layout = Layout { exponent_bits: 5, fraction_bits: 10, explicit: false, digits: 17 };
/// IEEE 754 binary128.
const QUAD: Layout = Layout { exponent_bits: 15, fraction_bits: 112, explicit: false, digits: 36 };
/// Intel SDM volume 1, section 4.2.2.
const X87: Layout = Layout { exponent_bits: 15, fraction_bits: 63, explicit: true, digits: 21 };
/// As C's `%.17g` has it.
const DIGITS: i32 = 17;

/// A float of 2, 4, 8 or 10 (of 16) bytes.
pub fn float(bytes: &[u8]) -> String {
    let bits = unsigned(bytes);
    match bytes.len() {
        2 => by_layout(bits, HALF),
        4 => {
            let word = bits as u32;
            let value = f32::from_bits(word);
            let nan = (u128::from(word & 0x7f_ffff), word >> 31 != 0);
            float_parts(value.into(), nan, &format!("{value:e}"))
        }
        8 => float_text(f64::from_bits(bits as u64)),
        10 | 12 | 16 => by_layout(bits, X87),
        len => format!("<float of {len} bytes>"),
    }
}

/// A float of IEEE's 16 bytes.
pub(super) fn quad(bytes: &[u8]) -> String {
    by_layout(unsigned(bytes), QUAD)
}

/// A float as an integer, toward zero.
pub(super) fn truncated(bytes: &[u8]) -> i128 {
    float_value(bytes).unwrap_or(0.0) as i128
}

fn float_value(bytes: &[u8]) -> Option<f64> {
    let bits = unsigned(bytes);
    match bytes.len() {
        4 => Some(f32::from_bits(bits as u32).into()),
        8 => Some(f64::from_bits(bits as u64)),
        10 | 12 | 16 => Some(x87(bits as u64, (bits >> 64) as u16)),
        _ => None,
    }
}

/// The shortest text that reads back as the same number, in the manner of C's
/// `%g`.
pub fn float_text(value: f64) -> String {
    let bits = value.to_bits();
    let nan = (u128::from(bits & ((1 << 52) - 1)), bits >> 63 != 0);
    float_parts(value, nan, &format!("{value:e}"))
}

/// `shortest` is the number as Rust's `{:e}` prints it.
fn float_parts(value: f64, nan: (u128, bool), shortest: &str) -> String {
    if value.is_nan() {
        return not_a_number(nan.1, nan.0);
    }
    if value.is_infinite() {
        return infinite(value < 0.0);
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    written(value.is_sign_negative(), &digits, exponent.parse().unwrap_or(0), DIGITS)
}

fn not_a_number(negative: bool, payload: u128) -> String {
    format!("{}nan(0x{payload:x})", if negative { "-" } else { "" })
}

fn infinite(negative: bool) -> String {
    if negative { "-inf" } else { "inf" }.to_owned()
}

/// A number of a format that Rust does not have.
fn by_layout(bits: u128, layout: Layout) -> String {
    let mantissa_bits = layout.fraction_bits + u32::from(layout.explicit);
    let mantissa = bits & ((1 << mantissa_bits) - 1);
    let top = (1 << layout.exponent_bits) - 1;
    let exponent = (bits >> mantissa_bits) as i32 & top;
    let negative = bits >> (mantissa_bits + layout.exponent_bits) & 1 != 0;
    let fraction = mantissa & ((1 << layout.fraction_bits) - 1);
    if exponent == top {
        return if fraction == 0 { infinite(negative) } else { not_a_number(negative, mantissa) };
    }
    let implied = u128::from(exponent != 0 && !layout.explicit) << layout.fraction_bits;
    let mantissa = mantissa | implied;
    if mantissa == 0 {
        return written(negative, "0", 0, layout.digits);
    }
    let (digits, power) = decimal::shortest(Binary {
        mantissa,
        exponent: exponent.max(1) - top / 2 - layout.fraction_bits.cast_signed(),
        close_below: fraction == 0 && exponent > 1,
    });
    written(negative, &digits, power, layout.digits)
}

/// Digits, the first before the point, times a power of ten.
fn written(negative: bool, digits: &str, power: i32, limit: i32) -> String {
    let sign = if negative { "-" } else { "" };
    if (-4..limit).contains(&power) {
        return format!("{sign}{}", positional(digits, power));
    }
    let (first, others) = digits.split_at(1.min(digits.len()));
    let point = if others.is_empty() { "" } else { "." };
    let power_sign = if power < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{others}e{power_sign}{:02}", power.abs())
}

/// Digits with the decimal point moved.
fn positional(digits: &str, power: i32) -> String {
    if power < 0 {
        let zeros = "0".repeat((-power - 1).unsigned_abs() as usize);
        return format!("0.{zeros}{digits}");
    }
    let whole = power.unsigned_abs() as usize + 1;
    if digits.len() <= whole {
        return format!("{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{}.{}", &digits[..whole], &digits[whole..])
}
