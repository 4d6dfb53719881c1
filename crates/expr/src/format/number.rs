//! Numbers, characters, truth values, enumerations.

use std::fmt::Write as _;

use trapline_core::types::{BaseKind, Enumerator};

use super::quote::{character, escape};
use super::{Formatter, Letter};
use crate::interp::x87;

impl Formatter<'_> {
    pub(super) fn base(&mut self, kind: BaseKind, bytes: &[u8]) {
        if let Some(letter) = self.options.letter
            && self.by_letter(letter, kind, bytes)
        {
            return;
        }
        let text = match kind {
            BaseKind::Signed => signed(bytes).to_string(),
            BaseKind::Unsigned => unsigned(bytes).to_string(),
            BaseKind::Bool => truth(unsigned(bytes)),
            BaseKind::SignedChar | BaseKind::UnsignedChar => {
                let code = bytes.first().copied().unwrap_or(0);
                let number =
                    if kind == BaseKind::SignedChar { signed(bytes) } else { i128::from(code) };
                format!("{number} {}", character(code))
            }
            BaseKind::Unicode => unicode(unsigned(bytes)),
            BaseKind::Float => float(bytes),
        };
        self.out.push_str(&text);
    }

    /// A complex number, its parts in whatever format is asked for.
    pub(super) fn complex(&mut self, part: BaseKind, bytes: &[u8]) {
        let (real, imaginary) = bytes.split_at(bytes.len() / 2);
        self.base(part, real);
        self.out.push_str(" + ");
        self.base(part, imaginary);
        self.out.push('i');
    }

    pub(super) fn enumeration(&mut self, is_signed: bool, names: Names<'_>, bytes: &[u8]) {
        let underlying = if is_signed { BaseKind::Signed } else { BaseKind::Unsigned };
        if let Some(letter) = self.options.letter
            && letter != Letter::Text
            && self.by_letter(letter, underlying, bytes)
        {
            return;
        }
        let value = if is_signed { signed(bytes) } else { unsigned(bytes).cast_signed() };
        if let Some(exact) = names.enumerators.iter().find(|each| each.value == value) {
            return self.out.push_str(&names.full(exact));
        }
        match names.flags(value) {
            Some(text) => self.out.push_str(&text),
            None => {
                let _ = write!(self.out, "{value}");
            }
        }
    }
}

/// A little-endian number of up to 16 bytes.
pub(super) fn unsigned(bytes: &[u8]) -> u128 {
    let mut wide = [0; 16];
    let len = bytes.len().min(16);
    wide[..len].copy_from_slice(&bytes[..len]);
    u128::from_le_bytes(wide)
}

/// The same in two's complement.
pub(super) fn signed(bytes: &[u8]) -> i128 {
    let unused = 128 - 8 * bytes.len().clamp(1, 16) as u32;
    (unsigned(bytes) << unused).cast_signed() >> unused
}

fn truth(value: u128) -> String {
    match value {
        0 => "false".to_owned(),
        1 => "true".to_owned(),
        other => other.to_string(),
    }
}

fn unicode(code: u128) -> String {
    let c = u32::try_from(code).ok().and_then(char::from_u32);
    match c {
        Some(c) => format!("{code} '{}'", escape(c, '\'')),
        None => format!("{code}"),
    }
}

/// A float of 4, 8 or 10 (of 16) bytes.
pub fn float(bytes: &[u8]) -> String {
    match (float_value(bytes), bytes.len()) {
        (Some(_), 4) => {
            let word = unsigned(bytes) as u32;
            let value = f32::from_bits(word);
            let nan = (u64::from(word & 0x7f_ffff), word >> 31 != 0);
            float_parts(value.into(), nan, format!("{value:e}"))
        }
        (Some(value), _) => float_text(value),
        (None, len) => format!("<float of {len} bytes>"),
    }
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
    float_parts(value, (bits & ((1 << 52) - 1), bits >> 63 != 0), format!("{value:e}"))
}

/// `shortest` is the number as Rust's `{:e}` prints it.
fn float_parts(value: f64, nan: (u64, bool), shortest: String) -> String {
    if value.is_nan() {
        let sign = if nan.1 { "-" } else { "" };
        return format!("{sign}nan(0x{:x})", nan.0);
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..17).contains(&exponent) {
        return positional(mantissa, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Digits with the decimal point moved.
fn positional(mantissa: &str, exponent: i32) -> String {
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1).unsigned_abs() as usize);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// The names of an enumeration's values.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    /// What is written before each.
    pub(super) scope: &'a str,
    pub(super) enumerators: &'a [Enumerator],
}

impl Names<'_> {
    fn full(self, one: &Enumerator) -> String {
        format!("{}{}", self.scope, one.name)
    }

    /// `(A | B)` when the names are single bits and cover something of the
    /// value; `None` when the enumeration is no set of flags.
    fn flags(self, value: i128) -> Option<String> {
        let names = self.enumerators;
        let is_flag = |each: &&Enumerator| each.value > 0 && each.value.count_ones() == 1;
        let all_flags = names.iter().all(|each| each.value == 0 || is_flag(&each));
        if !all_flags || names.is_empty() {
            return None;
        }
        if value == 0 {
            return Some("0".to_owned());
        }
        let mut rest = value;
        let mut parts = Vec::new();
        for each in names.iter().filter(is_flag) {
            if rest & each.value != 0 {
                parts.push(self.full(each));
                rest &= !each.value;
            }
        }
        if rest != 0 {
            parts.push(format!("unknown: {rest:#x}"));
        }
        Some(format!("({})", parts.join(" | ")))
    }
}
