//! Where our own text goes: standard output at the prompt, standard error in a
//! batch run, so that what the program itself prints stays as it is.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

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
    broken: bool,
}

impl Screen {
    /// Writes to `to`, styles and all.
    pub(crate) fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to, broken: false }
    }

    /// Standard output; plain when it is no terminal or `NO_COLOR` is set.
    pub(crate) fn stdout() -> Self {
        Self::new(Box::new(anstream::AutoStream::auto(io::stdout())))
    }

    /// Standard error, likewise.
    pub(crate) fn stderr() -> Self {
        Self::new(Box::new(anstream::AutoStream::auto(io::stderr())))
    }

    /// Writes text as it is and shows it at once.
    pub(crate) fn text(&mut self, text: &str) {
        let written = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush());
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
