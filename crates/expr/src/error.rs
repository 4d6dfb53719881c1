//! What is wrong with an expression, and where.

use std::fmt;
use std::ops::Range;

/// An expression that cannot be used: where it is wrong, what is wrong, and
/// what to do where that is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Bytes of the source text that the message is about.
    pub span: Range<usize>,
    /// A sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Error {
    /// An error without advice.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The line of `source` that is wrong, and under it a marker with the
    /// message; the advice follows on a line of its own.
    pub fn render(&self, source: &str) -> String {
        let start = floor_char(source, self.span.start);
        let end = floor_char(source, self.span.end.max(start));
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let line = source[line_start..line_end].replace('\t', " ");
        let indent = " ".repeat(source[line_start..start].chars().count());
        let width = source[start..end.clamp(start, line_end)].chars().count();
        let marker = format!("^{}", "~".repeat(width.saturating_sub(1)));
        let mut text = format!("{line}\n{indent}{marker} {}", self.message);
        if let Some(help) = &self.help {
            text.push_str(&format!("\n{indent}help: {help}"));
        }
        text
    }
}

/// The nearest character boundary at or below `at`, inside the text.
fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &Error, source: &str, expected: &str) {
        assert_eq!(error.render(source), expected);
    }

    #[test]
    fn an_error_points_at_its_text() {
        check(&Error::new(3..6, "no member `nxt`"), "p->nxt", "p->nxt\n   ^~~ no member `nxt`");
        check(&Error::new(2..3, "bad").with_help("good"), "é\tx", "é x\n ^ bad\n help: good");
        check(&Error::new(90..95, "ends too early"), "a +", "a +\n   ^ ends too early");
        check(&Error::new(4..5, "bad"), "one\ntwo", "two\n^ bad");
    }
}
