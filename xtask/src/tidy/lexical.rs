//! Enough of Rust's lexical structure to know code from comments and literals.
//! It parses nothing further.

/// The text with every comment, string and character literal overwritten by
/// spaces; line breaks stay, so positions do too.
pub(super) fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal_or_comment(rest, out.chars().next_back());
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// Bytes that the comment or literal at the start of `rest` takes up; 0 when it
/// starts with neither. `before` is the character in front, to tell `r"` from
/// the end of an identifier.
fn literal_or_comment(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, 1);
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    if in_word {
        return 0;
    }
    prefixed(rest)
}

/// `b"`, `c"`, `r"`, `r#"`, `br#"`, `b'`.
fn prefixed(rest: &str) -> usize {
    let letters = rest.bytes().take_while(|byte| matches!(byte, b'b' | b'c' | b'r')).count();
    let after = &rest[letters..];
    if letters == 0 || letters > 2 {
        0
    } else if rest[..letters].contains('r') {
        raw(after).map_or(0, |length| letters + length)
    } else if after.starts_with('"') {
        quoted(rest, letters + 1)
    } else if rest.starts_with("b'") {
        1 + character(after)
    } else {
        0
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// A string with escapes whose contents start at `from`.
fn quoted(rest: &str, from: usize) -> usize {
    let bytes = rest.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A raw string after its `r`: hashes, a quote, anything, a quote, the hashes.
fn raw(rest: &str) -> Option<usize> {
    let hashes = rest.bytes().take_while(|&byte| byte == b'#').count();
    let contents = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = contents.find(&end)?;
    Some(hashes + 1 + close + end.len())
}

/// A character literal; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].char_indices();
    match inside.next() {
        Some((_, '\\')) => {
            let escaped = inside.next().map_or(0, |(at, c)| at + c.len_utf8());
            rest[1 + escaped..].find('\'').map_or(0, |close| 1 + escaped + close + 1)
        }
        Some((_, c)) if rest[1 + c.len_utf8()..].starts_with('\'') => 1 + c.len_utf8() + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(blank(text), expected);
    }

    #[test]
    fn comments_and_literals_become_spaces() {
        check("a // unsafe\nb", "a          \nb");
        check("a /* x /* y */ z */ b", "a                   b");
        check(r#"f("a \" { b")"#, "f(          )");
        check("f('{', '\\'', '\\u{7b}')", "f(   ,     ,         )");
        check(r##"f(r#"a " b"#, b"c", br"d")"##, "f(          ,     ,      )");
        check("a \"two\nlines\" b", "a     \n       b");
    }

    #[test]
    fn lifetimes_labels_and_words_stay() {
        check("fn f<'a>(b: &'a str) {}", "fn f<'a>(b: &'a str) {}");
        check("'outer: loop {}", "'outer: loop {}");
        check("for br in bar {}", "for br in bar {}");
        check("a / b", "a / b");
    }

    #[test]
    fn text_that_ends_in_the_middle_does_not_panic() {
        for text in ["\"a", "/* a", "'", "'\\", "r#\"a", "b", "\"\\"] {
            assert_eq!(blank(text).chars().count(), text.chars().count(), "{text}");
        }
    }
}
