//! How users spell types: the words of C's base types in any order, and the
//! keywords before a tag.

use gimli::DwTag;
use gimli::constants as dw;

use crate::names::Pattern;

/// What a user's spelling asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The tag, when a keyword names it.
    pub(super) keyword: Option<Keyword>,
    /// The names that compilers may give the type.
    pub(super) spellings: Vec<String>,
}

/// The keywords that name a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keyword {
    /// `struct` or `class`, which are one thing.
    Class,
    Union,
    Enum,
}

impl Keyword {
    /// Whether an entry is what the keyword says.
    pub(super) fn fits(self, tag: DwTag) -> bool {
        match self {
            Self::Class => matches!(tag, dw::DW_TAG_structure_type | dw::DW_TAG_class_type),
            Self::Union => tag == dw::DW_TAG_union_type,
            Self::Enum => tag == dw::DW_TAG_enumeration_type,
        }
    }
}

impl Wanted {
    pub(super) fn parse(name: &str) -> Self {
        let words: Vec<&str> = name.split_whitespace().collect();
        let (keyword, words) = match words.split_first() {
            Some((&("struct" | "class"), rest)) => (Some(Keyword::Class), rest),
            Some((&"union", rest)) => (Some(Keyword::Union), rest),
            Some((&"enum", rest)) => (Some(Keyword::Enum), rest),
            _ => (None, words.as_slice()),
        };
        let spellings = match integer_spellings(words) {
            Some(spellings) if keyword.is_none() => spellings,
            _ => vec![words.join(" ")],
        };
        Self { keyword, spellings }
    }

    /// What the spellings mean.
    pub(super) fn patterns(&self) -> Vec<Pattern> {
        self.spellings.iter().filter_map(|spelling| Pattern::new(spelling, false)).collect()
    }
}

/// The names that gcc and clang give an integer type of C; `None` when the
/// words are not one.
fn integer_spellings(words: &[&str]) -> Option<Vec<String>> {
    let count = |word: &str| words.iter().filter(|other| **other == word).count();
    let known = ["unsigned", "signed", "long", "short", "int", "char"];
    if words.is_empty() || !words.iter().all(|word| known.contains(word)) {
        return None;
    }
    let unsigned = count("unsigned") > 0;
    let spellings: &[&str] = match (count("char"), count("short"), count("long"), unsigned) {
        (1, ..) if unsigned => &["unsigned char"],
        (1, ..) if count("signed") > 0 => &["signed char"],
        (1, ..) => &["char"],
        (0, 1, _, true) => &["short unsigned int", "unsigned short"],
        (0, 1, _, false) => &["short int", "short"],
        (0, 0, 0, true) => &["unsigned int"],
        (0, 0, 0, false) => &["int"],
        (0, 0, 1, true) => &["long unsigned int", "unsigned long"],
        (0, 0, 1, false) => &["long int", "long"],
        (0, 0, 2, true) => &["long long unsigned int", "unsigned long long"],
        (0, 0, 2, false) => &["long long int", "long long"],
        _ => return None,
    };
    Some(spellings.iter().map(|&spelling| spelling.to_owned()).collect())
}

/// A name of a class as demanglers and compilers both would write it: they
/// differ in the words of integer types, the suffixes of numbers and blanks.
pub(crate) fn canonical(name: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(name.len());
    let mut words: Vec<&str> = Vec::new();
    let mut rest = name.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) {
            rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
        } else {
            flush(&mut words, &mut out);
            first.len_utf8()
        };
        let (token, after) = rest.split_at(end);
        if is_word(first) {
            words.push(token);
        } else {
            out.push_str(token);
        }
        rest = after.trim_start();
    }
    flush(&mut words, &mut out);
    out
}

/// Writes words that stand side by side in one way.
fn flush(words: &mut Vec<&str>, out: &mut String) {
    let numbered = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let joined = match integer_spellings(words).and_then(|all| all.into_iter().next()) {
        Some(integer) => integer,
        None => match words.as_slice() {
            [word] if numbered(word) => word.trim_end_matches(['u', 'U', 'l', 'L']).to_owned(),
            words => words.join(" "),
        },
    };
    out.push_str(&joined);
    words.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_found_in_any_order_of_words() {
        for (typed, expected) in [
            ("unsigned long", "long unsigned int"),
            ("long unsigned int", "long unsigned int"),
            ("unsigned", "unsigned int"),
            ("long long", "long long int"),
            ("int long unsigned", "long unsigned int"),
            ("short", "short int"),
            ("signed char", "signed char"),
            ("char", "char"),
        ] {
            assert_eq!(Wanted::parse(typed).spellings[0], expected, "{typed}");
        }
    }

    #[test]
    fn one_class_has_one_name_whoever_writes_it() {
        for (ours, theirs) in [
            ("Holder<short>", "Holder<short int>"),
            ("a::B<unsigned long, 3ul>", "a::B<long unsigned int, 3UL>"),
            ("M<K<int>, char const*>", "M<K<int> , char const *>"),
        ] {
            assert_eq!(canonical(ours), canonical(theirs));
        }
        assert_ne!(canonical("Holder<short>"), canonical("Holder<long>"));
        assert_ne!(canonical("Pair<unsigned, A>"), canonical("Pair<A, unsigned>"));
    }

    #[test]
    fn keywords_ask_for_tags() {
        let wanted = Wanted::parse("struct  foo");
        assert_eq!(wanted, Wanted { keyword: Some(Keyword::Class), spellings: vec!["foo".into()] });
        assert_eq!(Wanted::parse("ns::Foo").keyword, None);
    }
}
