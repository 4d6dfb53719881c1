//! Which symbols can be meant by a name, found without looking at them all.
//!
//! Every identifier that a linkage name spells out leads to its symbol: a C
//! name is one (without a compiler clone's suffix), and the mangling schemes
//! of C++ and Rust write each identifier as its length and its letters.
//! Deciding whether a symbol found so is meant is left to `symbols`.

use crate::demangle::is_mangled;
use crate::names::split_clone;

/// Identifiers' hashes with the places of their symbols, sorted.
#[derive(Debug, Default)]
pub(crate) struct SymbolNames {
    rows: Vec<(u32, u32)>,
}

impl SymbolNames {
    /// The index of linkage names, each with its symbol's place.
    pub(crate) fn of<'a>(names: impl Iterator<Item = (u32, &'a [u8])>) -> Self {
        let mut rows = Vec::new();
        for (place, name) in names {
            rows.push((hash(name), place));
            if is_mangled(name) {
                rows.extend(identifiers(name).map(|identifier| (hash(identifier), place)));
            } else if let Ok(text) = std::str::from_utf8(name) {
                let (function, _) = split_clone(text);
                if function.len() != name.len() {
                    rows.push((hash(function.as_bytes()), place));
                }
            }
        }
        rows.sort_unstable();
        rows.dedup();
        rows.shrink_to_fit();
        Self { rows }
    }

    /// Places of the symbols that may spell an identifier, ascending; a few
    /// may be there by chance.
    pub(crate) fn spelling(&self, identifier: &str) -> impl Iterator<Item = u32> {
        let wanted = hash(identifier.as_bytes());
        let start = self.rows.partition_point(|row| row.0 < wanted);
        self.rows[start..].iter().take_while(move |row| row.0 == wanted).map(|row| row.1)
    }
}

/// Whether a name is one that mangling spells out.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with("operator")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The identifiers of a mangled name: a decimal length, then so many bytes.
/// Rust's v0 scheme puts `_` between the two when the identifier begins with a
/// digit or `_`.
fn identifiers(mangled: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + mangled.get(at..)?.iter().position(u8::is_ascii_digit)?;
            let digits = mangled[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let text = std::str::from_utf8(&mangled[start..start + digits]).ok()?;
            let len: usize = text.parse().unwrap_or(usize::MAX);
            let mut name = start + digits;
            if mangled.get(name) == Some(&b'_')
                && mangled.get(name + 1).is_some_and(|next| next.is_ascii_digit() || *next == b'_')
            {
                name += 1;
            }
            match name.checked_add(len).and_then(|end| mangled.get(name..end)) {
                Some(identifier) if len > 0 => {
                    at = name + len;
                    return Some(identifier);
                }
                // A number that is no length (a hash, a substitution).
                _ => at = start + digits,
            }
        }
    })
}

/// FNV-1a, cut to 32 bits.
fn hash(name: &[u8]) -> u32 {
    let mut state = 0x811c_9dc5_u32;
    for byte in name {
        state = (state ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelled_identifier_leads_to_its_symbol() {
        let names: [&[u8]; 5] = [
            b"main",
            b"work.constprop.0",
            b"_ZN4demo5Class6methodEi",
            b"_ZN5trap4core3run17h0123456789abcdefE",
            b"_RNvCs1234_7mycrate3foo",
        ];
        let index = SymbolNames::of((0..).zip(names));
        let check = |name: &str, expected: &[u32]| {
            assert_eq!(index.spelling(name).collect::<Vec<_>>(), expected, "{name}");
        };
        check("main", &[0]);
        check("work", &[1]);
        check("work.constprop.0", &[1]);
        check("method", &[2]);
        check("Class", &[2]);
        check("run", &[3]);
        check("foo", &[4]);
        check("_ZN4demo5Class6methodEi", &[2]);
        check("absent", &[]);
    }
}
