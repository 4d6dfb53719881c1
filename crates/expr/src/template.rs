//! Log messages: text with expressions and macros inside.
//!
//! `x={x} y={y:x} at $ADDRESS in $FUNCTION`: an expression stands in braces,
//! with a format letter after a colon; `{{`, `}}` and `$$` stand for
//! themselves.

use crate::ast::Ast;
use crate::error::Error;
use crate::format::Letter;
use crate::limits;
use crate::parse::parse as parse_expression;

/// A part of a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Segment {
    /// Text as it is.
    Text(String),
    /// A value.
    Expression {
        /// What to evaluate. Its spans count from `start`.
        ast: Ast,
        /// How to print it.
        letter: Option<Letter>,
        /// Where its text starts in the message, in bytes.
        start: usize,
    },
    /// Something the debugger knows.
    Macro(Macro),
}

/// What `$NAME` stands for: Visual Studio's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Macro {
    /// `$ADDRESS`: the address of the breakpoint's location.
    Address,
    /// `$CALLER`: the name of the calling function.
    Caller,
    /// `$CALLSTACK`: the call stack.
    CallStack,
    /// `$FUNCTION`: the name of the function.
    Function,
    /// `$FILEPOS`: file and line.
    FilePosition,
    /// `$PID`: the process.
    Pid,
    /// `$PNAME`: the name of the process.
    ProcessName,
    /// `$TID`: the thread, in the system's numbering.
    Tid,
    /// `$TNAME`: the name of the thread.
    ThreadName,
    /// `$MACHINE`: the name of the machine.
    Machine,
    /// `$TICK`: milliseconds since the machine started.
    Tick,
}

impl Macro {
    /// Every macro with its name.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Address, "ADDRESS"),
        (Self::Caller, "CALLER"),
        (Self::CallStack, "CALLSTACK"),
        (Self::Function, "FUNCTION"),
        (Self::FilePosition, "FILEPOS"),
        (Self::Pid, "PID"),
        (Self::ProcessName, "PNAME"),
        (Self::Tid, "TID"),
        (Self::ThreadName, "TNAME"),
        (Self::Machine, "MACHINE"),
        (Self::Tick, "TICK"),
    ];

    /// The macro with a name, written without its `$`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

/// Reads a message.
///
/// # Errors
/// A brace without its partner, or what is wrong with an expression; spans
/// count bytes of the message.
pub fn parse(text: &str) -> Result<Vec<Segment>, Error> {
    if text.len() > limits::MAX_SOURCE {
        let message = format!("a message may be at most {} bytes long", limits::MAX_SOURCE);
        return Err(Error::new(0..0, message));
    }
    let mut reader = Reader { text, at: 0, plain: String::new(), segments: Vec::new() };
    while let Some(c) = reader.rest().chars().next() {
        reader.next(c)?;
    }
    reader.flush();
    Ok(reader.segments)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    plain: String,
    segments: Vec<Segment>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.segments.push(Segment::Text(std::mem::take(&mut self.plain)));
        }
    }

    fn push(&mut self, segment: Segment) {
        self.flush();
        self.segments.push(segment);
    }

    fn next(&mut self, c: char) -> Result<(), Error> {
        for (doubled, single) in [("{{", '{'), ("}}", '}'), ("$$", '$')] {
            if self.rest().starts_with(doubled) {
                self.at += doubled.len();
                self.plain.push(single);
                return Ok(());
            }
        }
        match c {
            '{' => self.expression(),
            '}' => Err(Error::new(self.at..self.at + 1, "a `}` without its `{`")
                .with_help("write `}}` for the character itself")),
            '$' => {
                self.dollar();
                Ok(())
            }
            _ => {
                self.at += c.len_utf8();
                self.plain.push(c);
                Ok(())
            }
        }
    }

    /// A macro, or a plain `$` when no macro has the name that follows.
    fn dollar(&mut self) {
        let after = &self.rest()[1..];
        let len = after.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(after.len());
        let found = Macro::named(&after[..len]);
        match found {
            Some(found) => {
                self.at += 1 + len;
                self.push(Segment::Macro(found));
            }
            None => {
                self.at += 1;
                self.plain.push('$');
            }
        }
    }

    fn expression(&mut self) -> Result<(), Error> {
        let open = self.at;
        let start = open + 1;
        let Some(len) = closing(&self.text[start..]) else {
            return Err(Error::new(open..open + 1, "a `{` without its `}`")
                .with_help("write `{{` for the character itself"));
        };
        let inner = &self.text[start..start + len];
        let (source, letter) = split_format(inner);
        let ast = parse_expression(source).map_err(|error| Error {
            span: error.span.start + start..error.span.end + start,
            ..error
        })?;
        self.at = start + len + 1;
        self.push(Segment::Expression { ast, letter, start });
        Ok(())
    }
}

/// Where the `}` is that closes a brace: not in quotes, and not the partner of
/// a brace of the expression's own.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Takes `:x` off the end.
fn split_format(inner: &str) -> (&str, Option<Letter>) {
    let trimmed = inner.trim_end();
    let mut backwards = trimmed.chars().rev();
    let (Some(letter), Some(':')) = (backwards.next(), backwards.next()) else {
        return (inner, None);
    };
    let source = &trimmed[..trimmed.len() - 1 - letter.len_utf8()];
    // `a ? b :x` and `a::x` are expressions as a whole.
    if source.ends_with(':') || parse_expression(source).is_err() {
        return (inner, None);
    }
    match Letter::parse(letter) {
        Some(letter) => (source, Some(letter)),
        None => (inner, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with its parts in brackets.
    fn check(text: &str, expected: Result<&str, &str>) {
        let shown = parse(text).map(|segments| {
            let show = |segment: &Segment| match segment {
                Segment::Text(text) => format!("[{text}]"),
                Segment::Expression { ast, letter, start } => {
                    let letter = letter.map_or(String::new(), |letter| format!(":{letter:?}"));
                    format!("{{{ast}{letter}@{start}}}")
                }
                Segment::Macro(name) => format!("${name:?}"),
            };
            segments.iter().map(show).collect::<String>()
        });
        let shown = shown.map_err(|error| error.render(text));
        assert_eq!(shown, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn messages_fall_into_segments() {
        check("plain", Ok("[plain]"));
        check("", Ok(""));
        check("x={x} y={y:x}", Ok("[x=]{x@3}[ y=]{y:Hex@9}"));
        check("at $ADDRESS in $FUNCTION.", Ok("[at ]$Address[ in ]$Function[.]"));
        check("$PIDS $pid $$PID $ costs 5$", Ok("[$PIDS $pid $PID $ costs 5$]"));
        check("{{x}} {x}", Ok("[{x} ]{x@7}"));
        check("{a ? b : c}{a ? b :c}", Ok("{a ? b : c@1}{a ? b : c@12}"));
        check("{a::x}{a:q}", Err("{a::x}{a:q}\n        ^ unexpected `:` after the expression"));
        check("{s == \"}\"}", Ok("{s == \"}\"@1}"));
        check(
            "{{int} 8}",
            Err(
                "{{int} 8}\n     ^ a `}` without its `{`\n     help: write `}}` for the character itself",
            ),
        );
        check("{ {int} 8 }", Ok("{{int} 8@1}"));
    }

    #[test]
    fn wrong_messages_say_where() {
        check(
            "a {b",
            Err("a {b\n  ^ a `{` without its `}`\n  help: write `{{` for the character itself"),
        );
        check("n={1 +} z", Err("n={1 +} z\n      ^ expected an expression, found end"));
        check("{}", Err("{}\n ^ expected an expression, found end"));
    }
}
