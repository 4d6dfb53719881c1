//! Which symbols can be meant by a name, found by searching the section of
//! their names for it.
//!
//! Every identifier that a linkage name spells out is in it: a C name is one
//! (without a compiler clone's suffix), and the mangling schemes of C++ and
//! Rust write each identifier as its length and its letters. Deciding whether a
//! symbol found so is meant is left to `symbols`.

use memchr::memmem;

/// Where an identifier is spelled in a section of names.
#[derive(Debug, Default)]
pub(crate) struct Spelled {
    /// Places of what is the identifier, or a clone of it.
    whole: Vec<usize>,
    /// Places in a longer name, each behind where the name begins. Linkers may
    /// let a shorter name begin in between.
    within: Vec<(usize, usize)>,
}

impl Spelled {
    /// Looks for an identifier. A few places may be there by chance.
    pub(crate) fn find(names: &[u8], identifier: &str) -> Self {
        let mut found = Self::default();
        for at in memmem::find_iter(names, identifier) {
            if matches!(names.get(at + identifier.len()), None | Some(0 | b'.')) {
                found.whole.push(at);
            }
            if is_behind_its_length(&names[..at], identifier.len()) {
                let start = memchr::memrchr(0, &names[..at]).map_or(0, |end| end + 1);
                found.within.push((at, start));
            }
        }
        found
    }

    /// Whether no name spells it.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.within.is_empty()
    }

    /// Whether a symbol whose name begins here may spell the identifier.
    pub(crate) fn is_in(&self, name: usize) -> bool {
        let next = self.within.partition_point(|(at, _)| *at < name);
        self.whole.binary_search(&name).is_ok()
            || self.within.get(next).is_some_and(|(_, start)| *start <= name)
    }
}

/// Whether mangling put the length of an identifier here. Rust's v0 scheme puts
/// `_` between the two when the identifier begins with a digit or `_`.
fn is_behind_its_length(before: &[u8], len: usize) -> bool {
    let before = before.strip_suffix(b"_").unwrap_or(before);
    before.ends_with(len.to_string().as_bytes())
}

/// Whether a name is one that mangling spells out.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with("operator")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelled_identifier_leads_to_its_symbol() {
        let names = [
            "main",
            "work.constprop.0",
            "_ZN4demo5Class6methodEi",
            "_ZN5trap4core3run17h0123456789abcdefE",
            "_RNvCs1234_7mycrate3foo",
            "remain",
            "_RNvC3top3_3rd",
        ];
        let section = names.map(|name| format!("{name}\0")).concat();
        let starts: Vec<usize> =
            names.iter().map(|name| section.find(name).expect("it is there")).collect();
        let check = |identifier: &str, expected: &[usize]| {
            let spelled = Spelled::find(section.as_bytes(), identifier);
            let found: Vec<usize> =
                (0..names.len()).filter(|name| spelled.is_in(starts[*name])).collect();
            assert_eq!(found, expected, "{identifier}");
        };
        check("main", &[0]);
        check("work", &[1]);
        check("method", &[2]);
        check("Class", &[2]);
        check("run", &[3]);
        check("foo", &[4]);
        check("3rd", &[6]);
        check("_ZN4demo5Class6methodEi", &[2]);
        check("absent", &[]);
    }

    #[test]
    fn a_name_that_begins_within_another_is_one() {
        let spelled = Spelled::find(b"\0remain\0", "main");
        assert!(spelled.is_in(3) && !spelled.is_in(1));
    }
}
