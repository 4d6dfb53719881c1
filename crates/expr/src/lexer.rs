//! Text to tokens. Numbers, characters and strings come out as values.

use std::ops::Range;

use crate::ast::{FloatLiteral, IntLiteral, IntSuffix, RustInt};
use crate::error::Error;
use crate::limits;

/// One token.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token {
    Ident(String),
    /// `'...'` that is no character: a name with odd characters.
    Quoted(String),
    Int(IntLiteral),
    /// Digits after a `.` that follows an operand: a tuple field.
    Field(String),
    Float(FloatLiteral),
    Char(char),
    Str(Vec<u8>),
    Dollar(String),
    Punct(&'static str),
    End,
}

/// A token and its bytes in the source.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) span: Range<usize>,
}

/// Longest first, so that the first match is the right one.
const PUNCTUATION: [&str; 43] = [
    "<<=", ">>=", "->", "::", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=", "*=",
    "/=", "%=", "&=", "|=", "^=", "(", ")", "[", "]", "{", "}", ".", ",", ";", "?", ":", "+", "-",
    "*", "/", "%", "<", ">", "=", "!", "&", "|", "^",
];
const MORE_PUNCTUATION: [&str; 2] = ["~", "@"];

/// All tokens of `text`, the last one [`Token::End`].
pub(crate) fn tokenize(text: &str) -> Result<Vec<Spanned>, Error> {
    if text.len() > limits::MAX_SOURCE {
        let message = format!("an expression may be at most {} bytes long", limits::MAX_SOURCE);
        return Err(Error::new(0..0, message));
    }
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    while lexer.skip_space() {
        lexer.token()?;
    }
    lexer.push(Token::End, text.len());
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Spanned>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, token: Token, start: usize) {
        self.tokens.push(Spanned { token, span: start..self.at });
    }

    fn error<T>(&self, start: usize, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::new(start..self.at.max(start), message))
    }

    /// Whether anything is left after the blanks.
    fn skip_space(&mut self) -> bool {
        let trimmed = self.rest().trim_start().len();
        self.at = self.text.len() - trimmed;
        trimmed > 0
    }

    /// Takes characters while `wanted` says so.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let len = self.rest().find(|c| !wanted(c)).unwrap_or(self.rest().len());
        self.at += len;
        &self.text[start..self.at]
    }

    fn token(&mut self) -> Result<(), Error> {
        let start = self.at;
        let first = self.peek().unwrap_or('\0');
        let second = self.rest().chars().nth(1);
        if first.is_ascii_digit() {
            return self.number();
        }
        let digit_follows = second.is_some_and(|c| c.is_ascii_digit());
        if first == '.' && digit_follows && !self.after_operand() && !self.after_access() {
            return self.number();
        }
        if is_ident_start(first) {
            let name = self.take_while(is_ident).to_owned();
            self.push(Token::Ident(name), start);
            return Ok(());
        }
        match first {
            '$' => {
                self.at += 1;
                let name = self.take_while(is_ident).to_owned();
                self.push(Token::Dollar(name), start);
                Ok(())
            }
            '\'' => self.single_quote(),
            '"' => self.string(),
            _ => self.punctuation(first),
        }
    }

    /// Whether a value just ended, so that `.` starts a member.
    fn after_operand(&self) -> bool {
        match self.tokens.last().map(|last| &last.token) {
            Some(Token::Punct(text)) => matches!(*text, ")" | "]"),
            Some(_) => true,
            None => false,
        }
    }

    /// Whether the name of a member must follow.
    fn after_access(&self) -> bool {
        matches!(self.tokens.last(), Some(Spanned { token: Token::Punct("." | "->"), .. }))
    }

    fn punctuation(&mut self, first: char) -> Result<(), Error> {
        let start = self.at;
        let all = PUNCTUATION.iter().chain(&MORE_PUNCTUATION);
        let rest = self.rest();
        let begins = |punct: &&str| punct.starts_with(first) && rest.starts_with(*punct);
        let Some(found) = all.copied().find(begins) else {
            self.at += first.len_utf8();
            return self.error(start, format!("unexpected character `{}`", first.escape_default()));
        };
        self.at += found.len();
        self.push(Token::Punct(found), start);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Error> {
        let start = self.at;
        if self.after_access() {
            let digits = self.take_while(|c| c.is_ascii_digit()).to_owned();
            self.push(Token::Field(digits), start);
            return Ok(());
        }
        let radix = match self.rest().as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'b' | b'B', ..] => 2,
            [b'0', b'o' | b'O', ..] => 8,
            _ => return self.decimal(),
        };
        self.at += 2;
        let digits = self.take_while(|c| c.is_digit(radix) || c == '_').replace('_', "");
        self.integer(start, &digits, radix)
    }

    /// A decimal or old-style octal integer, or a floating-point number.
    fn decimal(&mut self) -> Result<(), Error> {
        let start = self.at;
        let mut digits = self.take_while(|c| c.is_ascii_digit() || c == '_').replace('_', "");
        let is_float = self.fraction(&mut digits) | self.exponent(&mut digits);
        let float_suffix = ["f32", "f64"].iter().any(|wanted| {
            self.rest().get(..3).is_some_and(|suffix| suffix.eq_ignore_ascii_case(wanted))
        });
        if is_float || float_suffix {
            return self.float(start, &digits);
        }
        match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => self.integer(start, octal, 8),
            _ => self.integer(start, &digits, 10),
        }
    }

    /// Takes `.digits`; a `.` before a name or another `.` is not a fraction.
    fn fraction(&mut self, digits: &mut String) -> bool {
        let after = self.rest().chars().nth(1);
        let member = after.is_some_and(|c| is_ident_start(c) && !matches!(c, 'e' | 'E'));
        if self.peek() != Some('.') || member || after == Some('.') {
            return false;
        }
        self.at += 1;
        digits.push('.');
        digits.push_str(&self.take_while(|c| c.is_ascii_digit() || c == '_').replace('_', ""));
        true
    }

    fn exponent(&mut self, digits: &mut String) -> bool {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(['e', 'E']) else { return false };
        let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
        if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        let sign = if after.starts_with('-') { "e-" } else { "e" };
        self.at = self.text.len() - unsigned.len();
        digits.push_str(sign);
        digits.push_str(self.take_while(|c| c.is_ascii_digit()));
        true
    }

    fn float(&mut self, start: usize, digits: &str) -> Result<(), Error> {
        let suffix = self.take_while(is_ident).to_ascii_lowercase();
        let single = match suffix.as_str() {
            "" | "l" | "f64" => false,
            "f" | "f32" => true,
            _ => return self.error(start, format!("unknown suffix `{suffix}` of a number")),
        };
        let Ok(value) = digits.parse::<f64>() else {
            return self.error(start, "not a number");
        };
        self.push(Token::Float(FloatLiteral { value, single }), start);
        Ok(())
    }

    fn integer(&mut self, start: usize, digits: &str, radix: u32) -> Result<(), Error> {
        let text = self.take_while(is_ident).to_owned();
        if digits.is_empty() {
            return self.error(start, "a number needs digits after its prefix");
        }
        let Some(suffix) = int_suffix(&text) else {
            return self.error(start, format!("unknown suffix `{text}` of a number"));
        };
        let value = match u64::from_str_radix(digits, radix) {
            Ok(value) => value,
            Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => {
                return self.error(start, "an integer of more than 64 bits");
            }
            Err(_) => return self.error(start, format!("not a number in base {radix}")),
        };
        self.push(Token::Int(IntLiteral { value, decimal: radix == 10, suffix }), start);
        Ok(())
    }

    /// A character, or a name in quotes.
    fn single_quote(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;
        if let Some(c) = self.character_and_quote()? {
            self.push(Token::Char(c), start);
            return Ok(());
        }
        self.at = start + 1;
        let name = self.take_while(|c| c != '\'').to_owned();
        if self.peek().is_none() {
            return self.error(start, "a quote that is never closed");
        }
        self.at += 1;
        if name.is_empty() {
            return self.error(start, "an empty character");
        }
        self.push(Token::Quoted(name), start);
        Ok(())
    }

    /// One character and the closing quote, or nothing when more stands there.
    fn character_and_quote(&mut self) -> Result<Option<char>, Error> {
        let start = self.at;
        let c = match self.peek() {
            None | Some('\'') => return Ok(None),
            Some('\\') => match self.escape()? {
                Escape::Byte(byte) => char::from(byte),
                Escape::Unicode(c) => c,
            },
            Some(c) => {
                self.at += c.len_utf8();
                c
            }
        };
        if self.peek() == Some('\'') {
            self.at += 1;
            return Ok(Some(c));
        }
        self.at = start;
        Ok(None)
    }

    fn string(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None => return self.error(start, "a string that is never closed"),
                Some('"') => break,
                Some('\\') => match self.escape()? {
                    Escape::Byte(byte) => bytes.push(byte),
                    Escape::Unicode(c) => push_utf8(&mut bytes, c),
                },
                Some(c) => {
                    self.at += c.len_utf8();
                    push_utf8(&mut bytes, c);
                }
            }
        }
        self.at += 1;
        if bytes.len() > limits::MAX_STRING {
            let message = format!("a string may be at most {} bytes long", limits::MAX_STRING);
            return self.error(start, message);
        }
        self.push(Token::Str(bytes), start);
        Ok(())
    }

    /// One escape of C or Rust, from its backslash on.
    fn escape(&mut self) -> Result<Escape, Error> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.peek() else { return self.error(start, "an escape that never ends") };
        if ('0'..='7').contains(&c) {
            return self.octal_escape(start);
        }
        self.at += c.len_utf8();
        let byte = match c {
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'v' => 11,
            'e' => 27,
            '\\' | '\'' | '"' | '?' => u8::try_from(c).unwrap_or(b'?'),
            'x' => return self.hex_escape(start),
            'u' | 'U' => return self.unicode_escape(start, if c == 'u' { 4 } else { 8 }),
            _ => return self.error(start, format!("unknown escape `\\{}`", c.escape_default())),
        };
        Ok(Escape::Byte(byte))
    }

    fn octal_escape(&mut self, start: usize) -> Result<Escape, Error> {
        let digits: String =
            self.rest().chars().take(3).take_while(|c| ('0'..='7').contains(c)).collect();
        self.at += digits.len();
        match u8::from_str_radix(&digits, 8) {
            Ok(byte) => Ok(Escape::Byte(byte)),
            Err(_) => self.error(start, "an octal escape of more than one byte"),
        }
    }

    fn hex_escape(&mut self, start: usize) -> Result<Escape, Error> {
        let digits: String =
            self.rest().chars().take(2).take_while(char::is_ascii_hexdigit).collect();
        self.at += digits.len();
        match u8::from_str_radix(&digits, 16) {
            Ok(byte) => Ok(Escape::Byte(byte)),
            Err(_) => self.error(start, "`\\x` needs hexadecimal digits"),
        }
    }

    fn unicode_escape(&mut self, start: usize, len: usize) -> Result<Escape, Error> {
        let braced = self.rest().starts_with('{');
        self.at += usize::from(braced);
        let digits: String = self
            .rest()
            .chars()
            .take(if braced { 6 } else { len })
            .take_while(char::is_ascii_hexdigit)
            .collect();
        self.at += digits.len();
        let closed = !braced || self.rest().starts_with('}');
        self.at += usize::from(braced && closed);
        let value = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
        match value {
            Some(c) if closed => Ok(Escape::Unicode(c)),
            _ => self.error(start, "not a Unicode character"),
        }
    }
}

enum Escape {
    Byte(u8),
    Unicode(char),
}

fn push_utf8(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn is_ident_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_ident(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn int_suffix(text: &str) -> Option<IntSuffix> {
    let lower = text.to_ascii_lowercase();
    let c = |unsigned, long| Some(IntSuffix::C { unsigned, long });
    match lower.as_str() {
        "" => return c(false, false),
        "u" => return c(true, false),
        "l" | "ll" => return c(false, true),
        "ul" | "ull" | "lu" | "llu" => return c(true, true),
        _ => {}
    }
    rust_int(text).map(IntSuffix::Rust)
}

/// Rust's integer types by name.
pub(crate) fn rust_int(name: &str) -> Option<RustInt> {
    let (signed, rest) = match name.split_at_checked(1)? {
        ("i", rest) => (true, rest),
        ("u", rest) => (false, rest),
        _ => return None,
    };
    let bytes = match rest {
        "8" => 1,
        "16" => 2,
        "32" => 4,
        "64" | "size" => 8,
        _ => return None,
    };
    Some(RustInt { bytes, signed, pointer_sized: rest == "size" })
}
