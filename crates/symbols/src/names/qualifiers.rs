//! Where `const` and `volatile` stand in the names of types. C++ allows both
//! `const char *` and `char const *`; compilers and demanglers each write one.

use std::borrow::Cow;

use super::operator_symbol_end;

const QUALIFIERS: [&str; 2] = ["const", "volatile"];

/// Brackets within brackets that are looked into; names come from anywhere.
const MAX_DEPTH: usize = 64;

/// A component of a name, or a list of parameters, with the qualifiers of each
/// type in it behind the type: `f<char const *>` of `f<const char *>`.
pub(super) fn behind(text: &str) -> Cow<'_, str> {
    if !QUALIFIERS.iter().any(|it| text.contains(it)) {
        return Cow::Borrowed(text);
    }
    // The brackets of an operator's own name are none.
    let start = match operator_symbol_end(text) {
        Some(end) => end,
        None if text.starts_with("operator ") => "operator ".len(),
        None => 0,
    };
    let mut out = text[..start].to_owned();
    let mut rest = &text[start..];
    loop {
        types(&mut rest, &mut out, 0);
        let Some(stray) = rest.chars().next() else { return Cow::Owned(out) };
        out.push(stray);
        rest = &rest[stray.len_utf8()..];
    }
}

/// Types up to the bracket that closes their list.
fn types(rest: &mut &str, out: &mut String, depth: usize) {
    loop {
        one(rest, out, depth);
        let Some(behind) = rest.strip_prefix(',') else { return };
        out.push(',');
        *rest = behind;
    }
}

/// One type, up to the comma or the bracket behind it.
fn one(rest: &mut &str, out: &mut String, depth: usize) {
    let mut qualifiers = leading(rest);
    let start = out.len();
    while let Some(next) = rest.chars().next() {
        match next {
            ',' | ')' | ']' | '}' => break,
            '>' if !out.ends_with('-') => break,
            '*' | '&' | '(' | '[' => put(&mut qualifiers, out, start),
            _ => {}
        }
        *rest = &rest[next.len_utf8()..];
        out.push(next);
        if matches!(next, '<' | '(' | '[' | '{') && depth < MAX_DEPTH {
            types(rest, out, depth + 1);
            if let Some(close) = rest.chars().next() {
                *rest = &rest[close.len_utf8()..];
                out.push(close);
            }
        }
    }
    put(&mut qualifiers, out, start);
}

/// Takes the qualifiers that a type begins with.
fn leading(rest: &mut &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    loop {
        let text = rest.trim_start();
        let it = QUALIFIERS.into_iter().find(|it| {
            text.strip_prefix(it).is_some_and(|behind| behind.starts_with(char::is_whitespace))
        });
        let Some(it) = it else { return found };
        found.push(it);
        *rest = &text[it.len()..];
    }
}

/// Writes them behind the type that ends here, with those it has there.
fn put(qualifiers: &mut Vec<&'static str>, out: &mut String, start: usize) {
    if qualifiers.is_empty() {
        return;
    }
    loop {
        let text = out[start..].trim_end();
        let it = QUALIFIERS.into_iter().find(|it| {
            text.strip_suffix(it).is_some_and(|before| before.ends_with(char::is_whitespace))
        });
        let Some(it) = it else { break };
        qualifiers.push(it);
        out.truncate(start + text.len() - it.len());
    }
    qualifiers.sort_unstable();
    qualifiers.dedup();
    out.truncate(start + out[start..].trim_end().len());
    for it in qualifiers.drain(..) {
        out.push(' ');
        out.push_str(it);
    }
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn qualifiers_stand_behind_their_types() {
        for (text, expected) in [
            ("f<const char *>", "f<char const*>"),
            ("const char *, const unsigned long &", "char const*, unsigned long const&"),
            ("const volatile T", "T const volatile"),
            ("volatile T const", "T const volatile"),
            ("char *const", "char *const"),
            ("const T<const int, 3> &", "T<int const, 3> const&"),
            ("const int (*)(const char *)", "int const(*)(char const*)"),
            ("operator const char *", "operator char const*"),
            ("operator< <const int>", "operator< <int const>"),
            ("constant", "constant"),
            ("f<*const u8>", "f<*const u8>"),
            ("a)const b", "a)b const"),
        ] {
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(&behind(text)), squeezed(expected), "{text}");
        }
    }

    #[test]
    fn names_of_any_depth_are_read() {
        let deep = format!("const {}", "f<(".repeat(100_000));
        assert!(behind(&deep).len() >= deep.len());
    }
}
