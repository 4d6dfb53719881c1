//! Names of functions, variables and types as users write them: split into
//! components, compared the way gdb compares them.

use std::borrow::Cow;

use crate::types::spelling::canonical;

mod qualifiers;

/// A name to look for.
///
/// `f`, `ns::f` and `Class::m` match at any scope unless the whole name is
/// demanded; a component without `<...>` matches every instance of a template
/// or generic; a parameter list narrows only when given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    components: Vec<String>,
    parameters: Option<String>,
    whole: bool,
}

impl Pattern {
    /// Reads what the user wrote; `whole` demands a match from the outermost
    /// scope. `None` when there is no name in it.
    pub(crate) fn new(text: &str, whole: bool) -> Option<Self> {
        let text = text.trim();
        let (text, whole) = match text.strip_prefix("::") {
            Some(rest) => (rest, true),
            None => (text, whole),
        };
        let (path, parameters) = split_parameters(text);
        let components: Vec<String> =
            components(path).map(|it| squeeze(&without_tags(it))).collect();
        let wrong = components.iter().any(String::is_empty);
        (!wrong).then(|| Self { components, parameters: parameters.map(squeeze), whole })
    }

    /// The last component without its template arguments: what the index is
    /// searched for.
    pub(crate) fn key(&self) -> &str {
        self.components.last().map_or("", |last| base(last))
    }

    /// How many components it has.
    pub(crate) fn len(&self) -> usize {
        self.components.len()
    }

    /// The parameter list, without spaces, when one was given.
    pub(crate) fn parameters(&self) -> Option<&str> {
        self.parameters.as_deref()
    }

    /// Whether a name with these components (innermost first) is meant.
    pub(crate) fn matches<'a>(&self, mut theirs: impl Iterator<Item = &'a str>) -> bool {
        for mine in self.components.iter().rev() {
            loop {
                let Some(component) = theirs.next() else { return false };
                if component_matches(mine, component) {
                    break;
                }
                if !is_transparent(component) {
                    return false;
                }
            }
        }
        !self.whole || theirs.all(is_transparent)
    }

    /// As [`Self::matches`], for a demangled name with an optional parameter
    /// list, which is compared when the pattern has one.
    pub(crate) fn matches_demangled(&self, demangled: &str) -> bool {
        let (_, parameters) = split_parameters(without_clone(demangled));
        if !self.accepts_parameters(parameters) {
            return false;
        }
        let path = demangled_path(demangled);
        if self.matches_path(components(path)) {
            return true;
        }
        rust_impl_path(path)
            .is_some_and(|(of, method)| self.matches_path(components(of).chain(components(method))))
    }

    /// As [`Self::matches`], outermost component first.
    pub(crate) fn matches_path<'a>(&self, path: impl Iterator<Item = &'a str>) -> bool {
        self.matches(path.collect::<Vec<_>>().into_iter().rev())
    }

    /// Whether a demangled name's parameter list is the one asked for. A name
    /// without one (C) is never refused.
    pub(crate) fn accepts_parameters(&self, theirs: Option<&str>) -> bool {
        match (&self.parameters, theirs) {
            (Some(mine), Some(theirs)) => {
                let theirs = squeeze(theirs);
                *mine == theirs || (mine == "void" && theirs.is_empty())
            }
            _ => true,
        }
    }
}

/// Scopes a user need not write: anonymous namespaces, Rust's numbered impls.
fn is_transparent(component: &str) -> bool {
    component == ANONYMOUS || component.starts_with("{impl#")
}

/// The name of a namespace without one.
pub(crate) const ANONYMOUS: &str = "(anonymous namespace)";

fn component_matches(mine: &str, theirs: &str) -> bool {
    let theirs = &*without_tags(theirs);
    if base(mine).len() == mine.len() {
        return base(theirs) == mine;
    }
    // `Box<unsigned long>` is what a compiler calls `Box<long unsigned int>`.
    base(theirs) == base(mine) && (squeeze(theirs) == mine || canonical(theirs) == canonical(mine))
}

/// A component without what tells versions of a library apart, which not every
/// name has and few people write: `f` of `f[abi:cxx11]`.
fn without_tags(component: &str) -> Cow<'_, str> {
    let mut rest = Cow::Borrowed(component);
    while let Some(at) = rest.find("[abi:")
        && let Some(len) = rest[at..].find(']')
    {
        rest.to_mut().replace_range(at..=at + len, "");
    }
    rest
}

/// A component without template or generic arguments: `f` of `f<int>`.
/// Operators keep their symbols: `operator<` of `operator< <int>`.
pub(crate) fn base(component: &str) -> &str {
    let from = operator_symbol_end(component).unwrap_or(0);
    match component[from..].find('<') {
        // `<impl ...>` and `<T as U>` are whole components.
        Some(0) if from == 0 => component,
        Some(at) => component[..from + at].trim_end().trim_end_matches("::"),
        None => component.trim_end(),
    }
}

/// Where the symbol of an `operator` component ends.
fn operator_symbol_end(component: &str) -> Option<usize> {
    let rest = component.strip_prefix("operator")?;
    let first = rest.trim_start().chars().next()?;
    if first.is_alphanumeric() || first == '_' {
        return None;
    }
    let skipped = component.len() - rest.trim_start().len();
    const SYMBOLS: [&str; 12] =
        ["<=>", "<<=", ">>=", "->*", "<<", ">>", "<=", ">=", "->", "()", "<", ">"];
    let symbol = SYMBOLS.iter().find(|symbol| rest.trim_start().starts_with(**symbol));
    Some(skipped + symbol.map_or(first.len_utf8(), |symbol| symbol.len()))
}

/// Splits a path at every `::` that is not inside brackets.
pub(crate) fn components(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let text = rest?;
        match next_separator(text) {
            Some(at) => {
                rest = Some(&text[at + 2..]);
                Some(text[..at].trim())
            }
            None => {
                rest = None;
                Some(text.trim())
            }
        }
    })
}

fn next_separator(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = operator_symbol_end(text).unwrap_or(0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes.get(at + 1) == Some(&b':') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Splits `ns::f(int) const` into `ns::f` and `int`.
pub(crate) fn split_parameters(text: &str) -> (&str, Option<&str>) {
    let trimmed = text.trim_end();
    let trimmed = trimmed.strip_suffix(" const").unwrap_or(trimmed);
    let Some(inner) = trimmed.strip_suffix(')') else { return (trimmed, None) };
    let Some(open) = matching_open(inner) else { return (trimmed, None) };
    let path = inner[..open].trim_end();
    // `operator()` and `(anonymous namespace)` are names, not parameters.
    if path.is_empty() || path.ends_with("::") || path.ends_with("operator") {
        return (trimmed, None);
    }
    (path, Some(&inner[open + 1..]))
}

fn matching_open(inner: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in inner.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' if depth == 0 => return Some(at),
            b'(' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Drops the return type that a demangled template function starts with.
fn without_return_type(path: &str) -> &str {
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 => {
                if path[start..at].ends_with("operator") || path[at..].trim_start().starts_with('<')
                {
                    return &path[start..];
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    &path[start..]
}

/// A demangled name without return type, parameters and clone suffix.
pub(crate) fn demangled_path(demangled: &str) -> &str {
    let (path, _) = split_parameters(without_clone(demangled));
    without_return_type(path)
}

/// What a demangled name says behind its path: parameters and qualifiers.
/// Nothing when it has no parameters.
pub(crate) fn behind_path(demangled: &str) -> &str {
    let whole = without_clone(demangled);
    match split_parameters(whole) {
        (path, Some(_)) => whole.get(path.len()..).unwrap_or(""),
        _ => "",
    }
}

fn without_clone(demangled: &str) -> &str {
    demangled.find(" [clone ").map_or(demangled, |at| &demangled[..at])
}

/// `<a::Type as b::Trait>::method` as `a::Type` and `method`.
fn rust_impl_path(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix('<')?;
    let at = rest.find(" as ").or_else(|| rest.find(">::"))?;
    let method = path.rfind(">::")?;
    Some((rest.get(..at)?, path.get(method + 3..)?))
}

/// The text without spaces that carry no meaning, without the suffixes of
/// numbers, which clang writes and gcc does not (`array<int, 3UL>`), and with
/// qualifiers behind what they qualify, where not everybody writes them.
fn squeeze(text: &str) -> String {
    let text = &*qualifiers::behind(text);
    let mut squeezed = String::with_capacity(text.len());
    let mut pending = false;
    let mut in_number = false;
    for next in text.chars() {
        if in_number && matches!(next, 'u' | 'U' | 'l' | 'L') {
            continue;
        }
        if next.is_whitespace() {
            pending = true;
            continue;
        }
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if pending && word(next) && squeezed.chars().next_back().is_some_and(word) {
            squeezed.push(' ');
        }
        in_number = match next {
            '0'..='9' if !in_number => !squeezed.chars().next_back().is_some_and(word),
            _ => in_number && word(next),
        };
        pending = false;
        squeezed.push(next);
    }
    squeezed
}

/// A name without a compiler clone's suffix, and whether the suffix says that
/// this is only a part split off (`.cold`) that is never entered from outside.
pub(crate) fn split_clone(linkage: &str) -> (&str, bool) {
    const CLONES: [&str; 6] = [".cold", ".part.", ".constprop.", ".isra.", ".lto_priv.", ".llvm."];
    if !linkage.contains('.') {
        return (linkage, false);
    }
    let first = CLONES.iter().filter_map(|suffix| linkage.find(suffix)).min();
    match first {
        Some(at) if at > 0 => (&linkage[..at], linkage[at..].contains(".cold")),
        _ => (linkage, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, whole: bool, expected: bool) {
        let parsed = Pattern::new(pattern, whole).unwrap();
        assert_eq!(parsed.matches_demangled(name), expected, "{pattern} against {name}");
    }

    #[test]
    fn patterns_match_trailing_components() {
        for (pattern, name, whole, expected) in [
            ("f", "f", false, true),
            ("f", "ns::f(int)", false, true),
            ("f", "ns::f(int)", true, false),
            ("ns::f", "ns::f(int)", true, true),
            ("s::f", "ns::f(int)", false, false),
            ("f(int)", "ns::f(int)", false, true),
            ("f(char)", "ns::f(int)", false, false),
            ("f( char const * )", "f(char const*)", false, true),
            (
                "f(const char *, const ns::T<const int>&)",
                "f(char const*, ns::T<int const> const&)",
                false,
                true,
            ),
            ("f(const char*)", "f(char*)", false, false),
            ("f(char *const)", "f(char const*)", false, false),
            ("foo<const char*>", "int demo::foo<char const*>(char const*)", false, true),
            ("foo<char const*>", "foo<const char*>", false, true),
            ("A::operator const char*", "A::operator char const*() const", false, true),
            ("f[abi:cxx11]", "f[abi:cxx11]()", false, true),
            ("Tag[abi:zz]::get", "Tag[abi:zz]::get() const", false, true),
            ("A::operator++(int)", "A::operator++(int)", false, true),
            ("A::operator++()", "A::operator++(int)", false, false),
            ("f(void)", "f()", false, true),
            ("foo", "int demo::foo<int>(int)", false, true),
            ("foo<int>", "int demo::foo<int>(int)", false, true),
            ("foo<long>", "int demo::foo<int>(int)", false, false),
            ("foo<int, 3>", "foo<int, 3UL>()", false, true),
            ("foo<int, 3ul>", "foo<int, 3>()", false, true),
            ("foo<a3UL>", "foo<a3>()", false, false),
            ("Box::get", "Box<std::pair<int, a::b> >::get() const", false, true),
            ("ns::f", "ns::(anonymous namespace)::f()", true, true),
            ("operator<", "bool operator< <int>(A<int> const&, A<int> const&)", false, true),
            ("A::operator()", "A::operator()(int) const", false, true),
            ("operator<<", "operator<<(std::ostream&, A const&)", false, true),
            ("Type::fmt", "<demo::Type as core::fmt::Display>::fmt", false, true),
            ("Other::fmt", "<demo::Type as core::fmt::Display>::fmt", false, false),
            ("~A", "ns::A::~A()", false, true),
            ("f", "f(int) [clone .part.0]", false, true),
            ("::f", "f", false, true),
            ("::f", "ns::f", false, false),
        ] {
            check(pattern, name, whole, expected);
        }
        assert_eq!(Pattern::new("", false), None);
        assert_eq!(Pattern::new("a::", false), None);
    }

    #[test]
    fn clones_belong_to_their_function() {
        for (linkage, expected) in [
            ("f", ("f", false)),
            ("f.cold", ("f", true)),
            ("f.part.0", ("f", false)),
            ("f.constprop.0.cold", ("f", true)),
            (".cold", (".cold", false)),
        ] {
            assert_eq!(split_clone(linkage), expected);
        }
    }

    #[test]
    fn a_base_has_no_arguments() {
        for (component, expected) in [
            ("f<int>", "f"),
            ("f", "f"),
            ("operator< <int>", "operator<"),
            ("operator<<", "operator<<"),
            ("operator()", "operator()"),
            ("operator int", "operator int"),
            ("<T as U>", "<T as U>"),
            ("{closure#0}<i32>", "{closure#0}"),
        ] {
            assert_eq!(base(component), expected);
        }
    }
}
