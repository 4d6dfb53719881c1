//! Numbers, characters, truth values, enumerations.

use std::fmt::Write as _;
use std::sync::Arc;

use trapline_core::types::{BaseKind, Enumerator, Type};

use super::float::{float, quad};
use super::quote::{character, escape};
use super::{Formatter, Letter};

impl Formatter<'_> {
    /// A number of a type, which may be a wide character.
    pub(super) fn base_of(&mut self, kind: BaseKind, ty: &Arc<Type>, bytes: &[u8]) {
        let plain = matches!(self.options.letter, None | Some(Letter::Text));
        match self.wide_prefix(ty).filter(|_| plain) {
            Some(prefix) => self.wide_character(kind, prefix, bytes),
            None => self.base(kind, bytes),
        }
    }

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
            _ if is_character(kind, bytes.len()) => {
                let code = bytes.first().copied().unwrap_or(0);
                let number =
                    if kind == BaseKind::SignedChar { signed(bytes) } else { i128::from(code) };
                format!("{number} {}", character(code))
            }
            BaseKind::SignedChar | BaseKind::UnsignedChar | BaseKind::Unicode => {
                unicode(unsigned(bytes))
            }
            BaseKind::Float => float(bytes),
            BaseKind::Quad => quad(bytes),
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

/// Whether a number of so many bytes is one byte of a text.
fn is_character(kind: BaseKind, len: usize) -> bool {
    match kind {
        BaseKind::SignedChar | BaseKind::UnsignedChar => true,
        BaseKind::Unicode => len == 1,
        _ => false,
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
