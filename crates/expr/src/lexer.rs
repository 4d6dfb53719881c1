//! Text to tokens. Numbers, characters and strings come out as values.

use std::ops::Range;

use crate::ast::{FloatLiteral, IntLiteral, IntSuffix, RustInt, Wide};
use crate::error::Error;
use crate::limits;

/// One token; names and signs are those of the text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token<'a> {
    Ident(&'a str),
    /// `'...'` that is no character: a name with odd characters.
    Quoted(&'a str),
    Int(IntLiteral),
    /// Digits after a `.` that follows an operand: a tuple field.
    Field(&'a str),
    Float(FloatLiteral),
    Char(char),
    /// A character of C's that is written as a number above ASCII.
    Byte(u8),
    WideChar(Wide, char),
    Str(Vec<u8>),
    Dollar(&'a str),
    Punct(&'a str),
    End,
}

/// A token and its bytes in the source.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Spanned<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) span: Range<usize>,
}

/// All tokens of `text`, the last one [`Token::End`].
pub(crate) fn tokenize(text: &str) -> Result<Vec<Spanned<'_>>, Error> {
    if text.len() > limits::MAX_SOURCE {
        let message = format!("an expression may be at most {} bytes long", limits::MAX_SOURCE);
        return Err(Error::new(0..0, message));
    }
    // Most tokens are followed by a blank, or are longer than one byte.
    let tokens = Vec::with_capacity(text.len() / 2 + 2);
    let mut lexer = Lexer { text, at: 0, tokens };
    while lexer.skip_space() {
        let start = lexer.at;
        let token = lexer.token()?;
        lexer.push(token, start);
    }
    lexer.push(Token::End, text.len());
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Spanned<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, token: Token<'a>, start: usize) {
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

    /// Takes so many bytes.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, _) = self.rest().split_at(len);
        self.at += len;
        taken
    }

    /// Takes characters while `wanted` says so.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        self.take(rest.find(|c| !wanted(c)).unwrap_or(rest.len()))
    }

    fn token(&mut self) -> Result<Token<'a>, Error> {
        match self.rest().as_bytes() {
            [b'0'..=b'9', ..] if self.after_access() => {
                Ok(Token::Field(self.take_while(|c| c.is_ascii_digit())))
            }
            [b'0'..=b'9', ..] => self.number(),
            [b'.', b'0'..=b'9', ..] if !self.after_operand() && !self.after_access() => {
                self.decimal()
            }
            [b'$', ..] => {
                self.at += 1;
                Ok(Token::Dollar(self.take_while(is_ident)))
            }
            [b'\'', ..] => self.single_quote(),
            [b'b', b'\'', ..] => self.rust_byte(),
            [b'"', ..] => self.string(),
            [b'L' | b'u' | b'U', b'\'', ..] => self.wide_character(),
            _ if self.rest().starts_with(is_ident_start) => {
                Ok(Token::Ident(self.take_while(is_ident)))
            }
            _ => self.punctuation(),
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

    /// The longest sign that stands here.
    fn punctuation(&mut self) -> Result<Token<'a>, Error> {
        let len = match self.rest().as_bytes() {
            [b'+', b'+', ..] | [b'-', b'-', ..] => return self.step_by_one(),
            [b'<', b'<', b'=', ..] | [b'>', b'>', b'=', ..] | [b'-', b'>', b'*', ..] => 3,
            [b'-', b'>', ..]
            | [b'.', b'*', ..]
            | [b':', b':', ..]
            | [b'<', b'<', ..]
            | [b'>', b'>', ..]
            | [b'&', b'&', ..]
            | [b'|', b'|', ..] => 2,
            [first, b'=', ..] if b"<>=!+-*/%&|^".contains(first) => 2,
            [first, ..] if b"()[]{}.,;?:+-*/%<>=!&|^~@".contains(first) => 1,
            _ => return self.unexpected_character(),
        };
        Ok(Token::Punct(self.take(len)))
    }

    /// C's `++` and `--`. Read as two signs they would quietly yield the value
    /// and leave the variable alone.
    fn step_by_one(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        let sign = self.take(2);
        let (once, noun) = if sign == "++" { ("+", "plus") } else { ("-", "minus") };
        let help = format!("write `x {once}= 1`, or for a double {noun} `{once} {once}x`");
        Err(Error::new(start..self.at, format!("`{sign}` is not supported")).with_help(help))
    }

    fn unexpected_character(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        let found = self.peek().unwrap_or_default();
        self.at += found.len_utf8();
        self.error(start, format!("unexpected character `{}`", found.escape_default()))
    }

    fn number(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        let radix = match self.rest().as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'b' | b'B', ..] => 2,
            [b'0', b'o' | b'O', ..] => 8,
            _ => return self.decimal(),
        };
        self.at += 2;
        let digits = self.take_while(|c| c.is_digit(radix) || c == '_');
        self.integer(start, digits, radix)
    }

    /// A decimal or old-style octal integer, or a floating-point number.
    fn decimal(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '_');
        let is_float = self.fraction() | self.exponent();
        let float_suffix = matches!(
            self.rest().as_bytes(),
            [b'f' | b'F', b'3', b'2', ..] | [b'f' | b'F', b'6', b'4', ..]
        );
        if is_float || float_suffix {
            return self.float(start);
        }
        match digits.strip_prefix('0').map(|rest| rest.trim_start_matches('_')) {
            Some(octal) if !octal.is_empty() => self.integer(start, octal, 8),
            _ => self.integer(start, digits, 10),
        }
    }

    /// Takes `.digits`; a `.` before a name or another `.` is not a fraction.
    fn fraction(&mut self) -> bool {
        let Some(after) = self.rest().strip_prefix('.') else { return false };
        let member = after.starts_with(|c| is_ident_start(c) && !matches!(c, 'e' | 'E'));
        if member || after.starts_with('.') {
            return false;
        }
        self.at += 1;
        self.take_while(|c| c.is_ascii_digit() || c == '_');
        true
    }

    fn exponent(&mut self) -> bool {
        let Some(after) = self.rest().strip_prefix(['e', 'E']) else { return false };
        let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
        if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        self.at = self.text.len() - unsigned.len();
        self.take_while(|c| c.is_ascii_digit());
        true
    }

    /// The floating-point number from `start` to here, and its suffix.
    fn float(&mut self, start: usize) -> Result<Token<'a>, Error> {
        let digits = self.text[start..self.at].replace('_', "");
        let suffix = self.take_while(is_ident).to_ascii_lowercase();
        let single = match suffix.as_str() {
            "" | "l" | "f64" => false,
            "f" | "f32" => true,
            _ => return self.error(start, format!("unknown suffix `{suffix}` of a number")),
        };
        let Ok(value) = digits.parse::<f64>() else {
            return self.error(start, "not a number");
        };
        Ok(Token::Float(FloatLiteral { value, single }))
    }

    /// The integer of these digits, `_` among them, and its suffix.
    fn integer(&mut self, start: usize, digits: &str, radix: u32) -> Result<Token<'a>, Error> {
        let text = self.take_while(is_ident);
        let mut digits = digits.chars().filter(|c| *c != '_').peekable();
        if digits.peek().is_none() {
            return self.error(start, "a number needs digits after its prefix");
        }
        let Some(suffix) = int_suffix(text) else {
            return self.error(start, format!("unknown suffix `{text}` of a number"));
        };
        let mut value: u64 = 0;
        for c in digits {
            let Some(digit) = c.to_digit(radix) else {
                return self.error(start, format!("not a number in base {radix}"));
            };
            let longer = value.checked_mul(radix.into());
            value = match longer.and_then(|longer| longer.checked_add(digit.into())) {
                Some(longer) => longer,
                None => return self.error(start, "an integer of more than 64 bits"),
            };
        }
        Ok(Token::Int(IntLiteral { value, decimal: radix == 10, suffix }))
    }

    /// A character, or a name in quotes.
    fn single_quote(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        self.at += 1;
        match self.character_and_quote()? {
            Some(Escape::Unicode(c)) => return Ok(Token::Char(c)),
            Some(Escape::Byte(byte)) if byte.is_ascii() => return Ok(Token::Char(byte.into())),
            Some(Escape::Byte(byte)) => return Ok(Token::Byte(byte)),
            None => {}
        }
        self.at = start + 1;
        let name = self.take_while(|c| c != '\'');
        if self.peek().is_none() {
            return self.error(start, "a quote that is never closed");
        }
        self.at += 1;
        if name.is_empty() {
            return self.error(start, "an empty character");
        }
        Ok(Token::Quoted(name))
    }

    /// Rust's `b'x'`: a `u8`.
    fn rust_byte(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        self.at += 2;
        let byte = match self.character_and_quote()? {
            Some(Escape::Byte(byte)) => byte,
            Some(Escape::Unicode(c)) if c.is_ascii() => c as u8,
            _ => return self.error(start, "a byte is one ASCII character or escape in quotes"),
        };
        let suffix = IntSuffix::Rust(RustInt { bytes: 1, signed: false, pointer_sized: false });
        Ok(Token::Int(IntLiteral { value: byte.into(), decimal: true, suffix }))
    }

    /// `L'x'`, `u'x'` or `U'x'`.
    fn wide_character(&mut self) -> Result<Token<'a>, Error> {
        let start = self.at;
        let wide = match self.take(1) {
            "L" => Wide::Native,
            "u" => Wide::Sixteen,
            _ => Wide::ThirtyTwo,
        };
        self.at += 1;
        match self.character_and_quote()? {
            Some(Escape::Unicode(c)) => Ok(Token::WideChar(wide, c)),
            Some(Escape::Byte(byte)) => Ok(Token::WideChar(wide, byte.into())),
            None => self.error(start, "a wide character is one character in quotes"),
        }
    }

    /// One character and the closing quote, or nothing when more stands there.
    fn character_and_quote(&mut self) -> Result<Option<Escape>, Error> {
        let start = self.at;
        let c = match self.peek() {
            None | Some('\'') => return Ok(None),
            Some('\\') => self.escape()?,
            Some(c) => {
                self.at += c.len_utf8();
                Escape::Unicode(c)
            }
        };
        if self.peek() == Some('\'') {
            self.at += 1;
            return Ok(Some(c));
        }
        self.at = start;
        Ok(None)
    }

    fn string(&mut self) -> Result<Token<'a>, Error> {
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
        Ok(Token::Str(bytes))
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
