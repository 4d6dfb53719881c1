//! Cutting what a user typed into words: quotes, brackets, and the places
//! where a condition begins. It knows no command.

use std::str::Chars;

/// What is left of a line, read from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// Reads `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text.trim() }
    }

    /// Everything not read yet, trimmed.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// The next run of characters without white space, unread.
    pub(crate) fn peek(&self) -> &'a str {
        self.rest.split_whitespace().next().unwrap_or("")
    }

    /// Takes the next run of characters without white space.
    pub(crate) fn bare(&mut self) -> Option<&'a str> {
        let word = self.peek();
        self.rest = self.rest.get(word.len()..).unwrap_or("").trim_start();
        (!word.is_empty()).then_some(word)
    }

    /// Takes one argument: a quoted string without its quotes, or everything
    /// up to white space outside quotes and brackets.
    ///
    /// # Errors
    /// A quote that never closes.
    pub(crate) fn argument(&mut self) -> Result<Option<String>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let end = end_of_word(self.rest)?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        Ok(Some(unquote(word)))
    }
}

/// Cuts a whole line into arguments.
///
/// # Errors
/// A quote that never closes.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Words::new(text);
    let mut all = Vec::new();
    while let Some(word) = words.argument()? {
        all.push(word);
    }
    Ok(all)
}

/// A word that is one quoted string loses its quotes; any other stays whole.
///
/// Inside double quotes `\"` and `\\` stand for the second character; other
/// backslashes are kept for whoever reads the text next.
pub(crate) fn unquote(word: &str) -> String {
    for quote in ['"', '\''] {
        let inner = word.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
        if let Some(inner) = inner
            && word.len() >= 2
            && end_of_quote(word) == Some(word.len())
        {
            return if quote == '"' { unescape(inner) } else { inner.to_owned() };
        }
    }
    word.to_owned()
}

/// The text as an argument that [`Words::argument`] reads back.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:%=<>$!&|+*".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

fn unescape(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next @ ('"' | '\\')) if c == '\\' => {
                text.push(next);
                chars.next();
            }
            _ => text.push(c),
        }
    }
    text
}

/// Where the quoted string that `text` begins with ends, its quote included.
fn end_of_quote(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote == '"' {
            chars.next();
        } else if c == quote {
            return Some(at + c.len_utf8());
        }
    }
    None
}

fn end_of_word(text: &str) -> Result<usize, String> {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        match c {
            '"' | '\'' => match text.get(at..).and_then(end_of_quote) {
                Some(len) => at += len,
                None => return Err(format!("the quote in `{text}` is never closed")),
            },
            _ if c.is_whitespace() && depth == 0 => return Ok(at),
            _ => {
                depth = after_bracket(depth, c);
                at += c.len_utf8();
            }
        }
    }
    Ok(text.len())
}

fn after_bracket(depth: u32, c: char) -> u32 {
    match c {
        '(' | '[' | '{' => depth.saturating_add(1),
        ')' | ']' | '}' => depth.saturating_sub(1),
        _ => depth,
    }
}

/// Where the words of `text` start that stand outside quotes, brackets and
/// template arguments: byte offsets.
pub(crate) fn outer_words(text: &str) -> OuterWords<'_> {
    let templates = text.contains('<') && templates_balance(text);
    OuterWords { text, rest: text.chars(), depth: 0, angle: 0, templates, between: true }
}

/// What [`outer_words`] finds.
#[derive(Clone, Debug)]
pub(crate) struct OuterWords<'a> {
    text: &'a str,
    rest: Chars<'a>,
    depth: u32,
    angle: u32,
    templates: bool,
    between: bool,
}

impl Iterator for OuterWords<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let at = self.text.len() - self.rest.as_str().len();
            let c = self.rest.next()?;
            let outside = self.depth == 0 && self.angle == 0;
            let starts = self.between && outside && !c.is_whitespace();
            self.between = c.is_whitespace();
            self.pass(at, c);
            if starts {
                return Some(at);
            }
        }
    }
}

impl OuterWords<'_> {
    /// Goes past the character at `at`, or past the whole string that it opens.
    fn pass(&mut self, at: usize, c: char) {
        if matches!(c, '"' | '\'')
            && let Some(len) = end_of_quote(&self.text[at..])
        {
            self.rest = self.text[at + len..].chars();
            return;
        }
        self.depth = after_bracket(self.depth, c);
        if self.templates {
            self.angle = after_angle(self.text, at, self.angle);
        }
    }
}

/// Whether every `<` that opens template arguments is closed again: otherwise
/// they are comparisons.
fn templates_balance(text: &str) -> bool {
    let mut depth = 0_u32;
    for (at, _) in text.match_indices(['<', '>']) {
        depth = after_angle(text, at, depth);
    }
    depth == 0
}

fn after_angle(text: &str, at: usize, depth: u32) -> u32 {
    let Some(bracket @ (b'<' | b'>')) = text.as_bytes().get(at) else { return depth };
    let before = text.get(..at).unwrap_or("");
    if before.trim_end_matches(['<', '>', '=', '-']).ends_with("operator") {
        return depth;
    }
    let follows_name = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    match bracket {
        b'<' if follows_name => depth.saturating_add(1),
        b'>' if !before.ends_with('-') => depth.saturating_sub(1),
        _ => depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_end_at_white_space_outside_quotes_and_brackets() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        };
        check("a  b", &["a", "b"]);
        check("'a b' c", &["a b", "c"]);
        check(r#""say \"hi\" \n" x"#, &[r#"say "hi" \n"#, "x"]);
        check("f(a, b) [1 2] {x y}", &["f(a, b)", "[1 2]", "{x y}"]);
        check("--name='a b'", &["--name='a b'"]);
        check("x=')' y", &["x=')'", "y"]);
        check("\"\" z", &["", "z"]);
        assert!(split("'never").unwrap_err().contains("never closed"));
    }

    #[test]
    fn quoting_reads_back() {
        for text in ["", "plain", "two words", r#"a "b" \ c"#, "it's", "{x} $TID", "== 5", "\\"] {
            assert_eq!(split(&quote(text)).unwrap(), [text], "{text}");
        }
    }

    #[test]
    fn outer_words_skip_templates_but_not_comparisons() {
        let check = |text: &str, expected: &[&str]| {
            let words: Vec<&str> = outer_words(text).map(|at| &text[at..]).collect();
            assert_eq!(words, expected);
        };
        check("f if a", &["f if a", "if a", "a"]);
        check("f<a if b> if c", &["f<a if b> if c", "if c", "c"]);
        check("*a<b if c", &["*a<b if c", "if c", "c"]);
        check("operator< if c", &["operator< if c", "if c", "c"]);
        check("operator-> if c", &["operator-> if c", "if c", "c"]);
        check("f(if x) y", &["f(if x) y", "y"]);
        check("'a if b' if c", &["'a if b' if c", "if c", "c"]);
    }
}
