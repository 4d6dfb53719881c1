//! Patterns of type names: which types a view is for, and what their template
//! arguments are called in it.

use trapline_core::types::{GenericArgument, Record};

/// `std::map<K, V, *>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    text: String,
    /// What stands before the arguments, spaces and reserved scopes taken out;
    /// `*` stands for anything.
    head: String,
    /// `None` where the type has no arguments.
    arguments: Option<Vec<Wanted>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Wanted {
    /// Anything, called so.
    Named(String),
    /// So spelled; `*` in it stands for anything.
    Spelled(String),
    /// All that is left, if anything.
    Rest,
}

/// What a name of a pattern stands for in one type.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Bound {
    pub(crate) name: String,
    /// As the type's name spells it.
    pub(crate) text: String,
    /// As its debug information has it, where it does.
    pub(crate) argument: Option<GenericArgument>,
}

/// A type's name, taken apart once for all patterns.
pub(crate) struct Name<'a> {
    head: String,
    arguments: Option<Vec<&'a str>>,
}

impl<'a> Name<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        let (head, arguments) = split(name);
        Self { head: plain_head(head), arguments }
    }
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (head, arguments) = split(text);
        if head.is_empty() {
            return Err("a pattern needs a type's name".to_owned());
        }
        let arguments = arguments.map(|arguments| {
            let wanted = arguments.into_iter().map(|argument| match argument {
                "*" => Wanted::Rest,
                _ if is_variable(argument) => Wanted::Named(argument.to_owned()),
                _ => Wanted::Spelled(unspaced(argument)),
            });
            wanted.collect()
        });
        Ok(Self { text: text.to_owned(), head: plain_head(head), arguments })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What its names stand for, when a type is meant.
    pub(crate) fn matches(&self, name: &Name<'_>, record: &Record) -> Option<Vec<Bound>> {
        if !glob(&self.head, &name.head) {
            return None;
        }
        let (wanted, texts) = match (&self.arguments, &name.arguments) {
            (None, None) => return Some(Vec::new()),
            (Some(wanted), Some(texts)) => (wanted, texts),
            _ => return None,
        };
        let known = (record.arguments.len() == texts.len()).then_some(&record.arguments);
        let mut bound = Vec::new();
        let mut texts = texts.iter().enumerate();
        for wanted in wanted {
            if *wanted == Wanted::Rest {
                return Some(bound);
            }
            let (index, text) = texts.next()?;
            match wanted {
                Wanted::Named(name) => bound.push(Bound {
                    name: name.clone(),
                    text: (*text).to_owned(),
                    argument: known.and_then(|all| all.get(index).cloned()),
                }),
                Wanted::Spelled(wanted) if !glob(wanted, &unspaced(text)) => return None,
                Wanted::Spelled(_) | Wanted::Rest => {}
            }
        }
        texts.next().is_none().then_some(bound)
    }
}

/// One identifier that begins as only variables of patterns do.
fn is_variable(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// A text without spaces, and without the suffixes that clang gives numbers.
fn unspaced(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    if is_number { digits.to_owned() } else { text }
}

/// A path without spaces and without scopes that a library inserts for itself:
/// `std::__cxx11::list` is `std::list`.
fn plain_head(head: &str) -> String {
    let head = unspaced(head);
    let parts: Vec<&str> = head.split("::").collect();
    let last = parts.len() - 1;
    let kept = parts.iter().enumerate();
    let kept = kept.filter(|(index, part)| *index == last || !is_versioning(part));
    kept.map(|(_, part)| *part).collect::<Vec<_>>().join("::")
}

/// The inline namespaces of libstdc++ and libc++ that say which version of
/// their library a type is of.
fn is_versioning(scope: &str) -> bool {
    matches!(scope, "__cxx11" | "__cxx1998" | "__debug")
        || scope.strip_prefix("__").is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '_')
        })
}

/// A name without its last template arguments, and those, where it ends with
/// them.
fn split(name: &str) -> (&str, Option<Vec<&str>>) {
    let Some(inside) = name.strip_suffix('>') else { return (name, None) };
    let mut depth = 0;
    let mut quoted = false;
    let mut commas = Vec::new();
    for (at, c) in inside.char_indices().rev() {
        let arrow = c == '>' && inside[..at].ends_with('-');
        match c {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '>' | ')' | ']' | '}' if !arrow => depth += 1,
            '<' if depth == 0 => {
                return (&name[..at], Some(cut(&inside[at + 1..], at + 1, &commas)));
            }
            '<' | '(' | '[' | '{' => depth -= 1,
            ',' if depth == 0 => commas.push(at),
            _ => {}
        }
    }
    (name, None)
}

/// The parts between commas, whose places are counted from `start` bytes before
/// the text and come last first.
fn cut<'a>(text: &'a str, start: usize, commas: &[usize]) -> Vec<&'a str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for comma in commas.iter().rev().map(|at| at - start) {
        parts.push(text[from..comma].trim());
        from = comma + 1;
    }
    parts.push(text[from..].trim());
    parts
}

/// Whether a text is what a pattern says, in which `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use trapline_core::types::{Language, RecordFlavour};

    use super::*;

    /// What the names of a pattern stand for, `-` when the type is not meant.
    fn check(pattern: &str, name: &str, expected: &str) {
        let record = Record {
            flavour: RecordFlavour::Struct,
            language: Language::Cpp,
            members: Vec::new(),
            statics: Vec::new(),
            virtual_bases: Vec::new(),
            virtual_functions: Vec::new(),
            declaration: false,
            arguments: Vec::new(),
        };
        let told =
            Pattern::parse(pattern).unwrap().matches(&Name::new(name), &record).map(|bound| {
                let each = bound.iter().map(|bound| format!("{}={}", bound.name, bound.text));
                each.collect::<Vec<_>>().join(" ")
            });
        assert_eq!(told.as_deref().unwrap_or("-"), expected, "{pattern} {name}");
    }

    #[test]
    fn names_stand_for_arguments() {
        check("std::vector<T, *>", "std::vector<int, std::allocator<int> >", "T=int");
        check("std::vector<T, *>", "std::vector<int>", "T=int");
        check("std::vector<T>", "std::vector<int, std::allocator<int> >", "-");
        check("std::vector<bool, *>", "std::vector<int, std::allocator<int> >", "-");
        check("std::vector<bool, *>", "std::vector<bool>", "");
        check("std::map<K, V, *>", "std::map<a<b, c>, d(e, f), x>", "K=a<b, c> V=d(e, f)");
        check("std::tuple<*>", "std::tuple<>", "");
        check("std::tuple<T, *>", "std::tuple<>", "-");
        check("std::tuple<*>", "std::tuple<int>::inner", "-");
        check("f<T>", "f<fn(i32) -> u8>", "T=fn(i32) -> u8");
        check("f<A, B>", "f<',', '>'>", "A=',' B='>'");
        check("f<0, *>", "f<0UL, int>", "");
    }

    #[test]
    fn heads_have_no_versions() {
        check("std::list<T, *>", "std::__cxx11::list<int>", "T=int");
        check("std::list<T, *>", "std::__1::list<int>", "T=int");
        check("std::list<T, *>", "std::__cxx1998::__cxx11::list<int>", "T=int");
        check("std::_List_node<T>", "std::_List_node<int>", "T=int");
        check("std::list<T, *>", "my::list<int>", "-");
        check("&str", "&str", "");
        check("&[*]", "&[a<b>]", "");
        check("&[*]", "&mut [i32]", "-");
        check("alloc::boxed::Box<[*], *>", "alloc::boxed::Box<[u8], alloc::alloc::Global>", "");
    }
}
