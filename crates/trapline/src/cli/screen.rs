//! Where our own text goes: standard output at the prompt, standard error in a
//! batch run, so that what the program itself prints stays as it is.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use anstream::adapter::strip_bytes;
use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Colours by meaning.
pub(crate) mod paint {
    use super::{AnsiColor, Style};

    /// Functions.
    pub(crate) const FUNCTION: Style = AnsiColor::Yellow.on_default();
    /// Source files.
    pub(crate) const FILE: Style = AnsiColor::Green.on_default();
    /// Addresses.
    pub(crate) const ADDRESS: Style = AnsiColor::Blue.on_default();
    /// Names of variables.
    pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();
    /// What went wrong.
    pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
    /// What deserves a look.
    pub(crate) const WARNING: Style = AnsiColor::Magenta.on_default();
    /// Words of a source's language.
    pub(crate) const KEYWORD: Style = AnsiColor::Blue.on_default().bold();
    /// Strings and characters in source.
    pub(crate) const TEXT: Style = AnsiColor::Green.on_default();
    /// Numbers in source.
    pub(crate) const NUMBER: Style = AnsiColor::Magenta.on_default();
    /// Comments in source.
    pub(crate) const COMMENT: Style = AnsiColor::BrightBlack.on_default();
    /// The line or thread that is meant.
    pub(crate) const CURRENT: Style = Style::new().bold();
}

/// Text with a style around it, for streams that show colours; others drop
/// the style.
pub(crate) fn styled(style: Style, text: impl fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A stream for people.
pub(crate) struct Screen {
    to: Box<dyn Write + Send>,
    plain: bool,
    broken: bool,
}

impl Screen {
    /// Writes to `to`, styles and all.
    pub(crate) fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to, plain: false, broken: false }
    }

    /// Standard output; plain when it is no terminal or `NO_COLOR` is set.
    pub(crate) fn stdout() -> Self {
        Self::on(io::stdout())
    }

    /// Standard error, likewise.
    pub(crate) fn stderr() -> Self {
        Self::on(io::stderr())
    }

    fn on(stream: impl AsLockedWrite + RawStream + Send + 'static) -> Self {
        match AutoStream::choice(&stream) {
            ColorChoice::Never => Self { plain: true, ..Self::new(Box::new(stream)) },
            choice => Self::new(Box::new(AutoStream::new(stream, choice))),
        }
    }

    /// Writes text and shows it at once.
    pub(crate) fn text(&mut self, text: &str) {
        let bytes = if self.plain { without_styles(text) } else { text.as_bytes().into() };
        let written = self.to.write_all(&bytes).and_then(|()| self.to.flush());
        self.broken |= written.is_err();
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl fmt::Display) {
        self.lines([text]);
    }

    /// Writes lines, all at once.
    pub(crate) fn lines(&mut self, lines: impl IntoIterator<Item = impl fmt::Display>) {
        let mut text = String::new();
        for line in lines {
            let _takes_all = writeln!(text, "{line}");
        }
        if !text.is_empty() {
            self.text(&text);
        }
    }

    /// Whether nobody reads us any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }
}

/// What a stream without colours is given of a text. Most texts have nothing
/// to leave out, which is seen much faster than escape sequences are parsed.
fn without_styles(text: &str) -> Cow<'_, [u8]> {
    let stays = |byte: u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    if text.bytes().all(stays) {
        text.as_bytes().into()
    } else {
        strip_bytes(text.as_bytes()).into_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_stream_is_given_what_can_be_seen() {
        let check = |text: &str, expected: &str| {
            assert_eq!(without_styles(text), expected.as_bytes(), "{text:?}");
        };
        check(&styled(paint::ERROR, "no"), "no");
        check(&format!("a {}\tb\r\n", styled(paint::FILE, "ü.c")), "a ü.c\tb\r\n");
        check("bell\x07 delete\x7f", "bell delete");
        check("never ended \x1b[3", "never ended ");
    }

    #[test]
    fn what_stays_is_what_stripping_leaves() {
        for c in '\0'..='\u{7ff}' {
            let text = format!("a{c}b");
            assert_eq!(*without_styles(&text), *strip_bytes(text.as_bytes()).into_vec(), "{c:?}");
        }
    }
}
