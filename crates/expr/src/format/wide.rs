//! Characters of more than one byte, and texts of them, as C writes them.

use std::fmt::Write as _;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::types::{BaseKind, Type, TypeKind};

use super::Formatter;
use super::quote::{REPEATS, escape};

/// Memory is read up to such borders: what is behind one may not be there.
const PAGE: u64 = 4096;

/// What stands before the quotes of a text of wide characters, by their type.
pub(super) fn prefix(character: &str) -> Option<&'static str> {
    match character {
        "wchar_t" => Some("L"),
        "char16_t" => Some("u"),
        "char32_t" => Some("U"),
        _ => None,
    }
}

/// A code unit that is a character, or is none.
pub(super) fn character(code: u128, prefix: &str) -> String {
    let unit = u32::try_from(code).unwrap_or(u32::MAX);
    let unit = char::from_u32(unit).ok_or(unit);
    format!("{prefix}'{}'", escaped(unit, '\''))
}

fn escaped(unit: Result<char, u32>, quote: char) -> String {
    unit.map_or_else(|none| format!("\\x{none:x}"), |c| escape(c, quote))
}

/// Code units of two or four bytes as a string in quotes; what is no character
/// is escaped, and runs of more than ten equal ones are counted, as gdb does.
pub fn string(bytes: &[u8], width: usize, prefix: &str, cut: bool) -> String {
    let units = units(bytes, width);
    let mut parts: Vec<String> = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(unit) = units.get(at) {
        let run = units[at..].iter().take_while(|next| *next == unit).count();
        if run > REPEATS + 1 {
            if !plain.is_empty() {
                parts.push(format!("\"{plain}\""));
                plain.clear();
            }
            parts.push(format!("'{}' <repeats {run} times>", escaped(*unit, '\'')));
            at += run;
        } else {
            plain.push_str(&escaped(*unit, '"'));
            at += 1;
        }
    }
    if !plain.is_empty() || parts.is_empty() {
        parts.push(format!("\"{plain}\""));
    }
    format!("{prefix}{}{}", parts.join(", "), if cut { "..." } else { "" })
}

/// What code units say: characters, and what is none.
fn units(bytes: &[u8], width: usize) -> Vec<Result<char, u32>> {
    let words = bytes.chunks_exact(width.max(1)).map(|unit| {
        let mut word = [0; 4];
        let len = unit.len().min(4);
        word[..len].copy_from_slice(&unit[..len]);
        u32::from_le_bytes(word)
    });
    if width == 2 {
        let pairs = char::decode_utf16(words.map(|unit| unit as u16));
        return pairs.map(|it| it.map_err(|lone| lone.unpaired_surrogate().into())).collect();
    }
    words.map(|unit| char::from_u32(unit).ok_or(unit)).collect()
}

impl Formatter<'_> {
    /// What stands before the quotes of wide characters of a type: in C those
    /// are integers, which only the names of their aliases tell.
    pub(super) fn wide_prefix(&self, ty: &Arc<Type>) -> Option<&'static str> {
        let mut current = ty.clone();
        for _ in 0..64 {
            if let Some(prefix) = prefix(&current.name) {
                return Some(prefix);
            }
            let TypeKind::Alias { target: Some(link), .. } = &current.kind else { return None };
            current = self.scope.follow(link).ok()?;
        }
        None
    }

    /// A wide character that stands alone.
    pub(super) fn wide_character(&mut self, kind: BaseKind, prefix: &str, bytes: &[u8]) {
        let code = super::number::unsigned(bytes);
        let _ = match kind {
            BaseKind::Signed => write!(self.out, "{}", super::number::signed(bytes)),
            _ => write!(self.out, "{code}"),
        };
        let _ = write!(self.out, " {}", character(code, prefix));
    }

    /// An array of them; its terminator does not show.
    pub(super) fn wide_array(&mut self, bytes: &[u8], width: usize, prefix: &str) {
        let len = bytes.len();
        let ends = len >= width && bytes[len - width..].iter().all(|byte| *byte == 0);
        let text = if ends { &bytes[..len - width] } else { bytes };
        let max = self.options.max_elements.saturating_mul(width);
        let (shown, cut) = (&text[..text.len().min(max)], text.len() > max);
        self.out.push_str(&string(shown, width, prefix, cut));
    }

    /// Those at an address, up to one that is zero.
    pub(super) fn wide_string(&mut self, address: VirtAddr, width: usize, prefix: &str) {
        let max = self.options.max_elements.saturating_mul(width);
        let mut bytes: Vec<u8> = Vec::new();
        while bytes.len() <= max {
            let at = address.wrapping_add(bytes.len() as u64);
            let room = usize::try_from(PAGE - at.get() % PAGE).unwrap_or(width);
            let wanted = (max + width - bytes.len()).min(room) / width * width;
            let mut next = vec![0; wanted.max(width)];
            if let Err(error) = self.memory.read_exact(at, &mut next) {
                let _ = write!(self.out, "<error: {error}>");
                return;
            }
            let zero = |unit: &[u8]| unit.iter().all(|byte| *byte == 0);
            if let Some(end) = next.chunks_exact(width).position(zero) {
                bytes.extend(&next[..end * width]);
                let shown = bytes.len().min(max);
                let cut = bytes.len() > max;
                return self.out.push_str(&string(&bytes[..shown], width, prefix, cut));
            }
            bytes.extend(next);
        }
        self.out.push_str(&string(&bytes[..max], width, prefix, true));
    }
}
