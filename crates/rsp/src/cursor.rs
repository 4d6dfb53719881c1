//! A place in the text of a packet, with the pieces packets are made of: what
//! the families of [`request`](crate::request) and [`stop`](crate::stop) are
//! read with. It knows no packet.

use std::fmt;

use crate::hex;
use crate::ids::ThreadId;

/// A packet that is known but not well formed: a server answers it with an
/// error (`E01`, say), where it answers one it does not know with nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// What was not found where it had to be.
    pub expected: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed packet: {} expected", self.expected)
    }
}

impl std::error::Error for Malformed {}

/// What is left of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, stepped over.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&byte, after) = self.rest.split_first()?;
        self.rest = after;
        Some(byte)
    }

    /// Steps over `text` if it comes next.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text.as_bytes());
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    pub(crate) fn expect(&mut self, text: &'static str) -> Result<(), Malformed> {
        if self.eat(text) { Ok(()) } else { Err(Malformed { expected: text }) }
    }

    /// Everything that is left.
    pub(crate) fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Everything that is left, as text.
    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        text(self.all())
    }

    /// What comes before `end`, which is stepped over, or before the packet's.
    pub(crate) fn until(&mut self, end: u8) -> &'a [u8] {
        let at = self.rest.iter().position(|&byte| byte == end).unwrap_or(self.rest.len());
        let (before, after) = self.rest.split_at(at);
        self.rest = after.get(1..).unwrap_or(&[]);
        before
    }

    /// Steps over everything in front of the next `end`.
    pub(crate) fn skip_to(&mut self, end: u8) {
        self.run(|byte| byte != end);
    }

    fn run(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let at = self.rest.iter().position(|&byte| !keep(byte)).unwrap_or(self.rest.len());
        let (run, after) = self.rest.split_at(at);
        self.rest = after;
        run
    }

    /// A hexadecimal number of a type's range.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        let digits = self.run(|byte| hex::digit(byte).is_some());
        let number = hex::parse_number(digits).and_then(|number| T::try_from(number).ok());
        number.ok_or(Malformed { expected: "hexadecimal number" })
    }

    /// A decimal number of a type's range.
    pub(crate) fn decimal<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        let digits = self.run(|byte| byte.is_ascii_digit());
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
        number.and_then(|it| T::try_from(it).ok()).ok_or(Malformed { expected: "decimal number" })
    }

    /// Two hexadecimal numbers and the comma between them.
    pub(crate) fn pair(&mut self) -> Result<(u64, u64), Malformed> {
        let first = self.number()?;
        self.expect(",")?;
        Ok((first, self.number()?))
    }

    /// As many pairs of digits as there are, maybe none.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Malformed> {
        let digits = self.run(|byte| hex::digit(byte).is_some());
        hex::decode(digits).ok_or(Malformed { expected: "pairs of hexadecimal digits" })
    }

    /// `count` pairs of digits. Only as much is allocated as there is.
    pub(crate) fn exactly(&mut self, count: u64) -> Result<Vec<u8>, Malformed> {
        let expected = Malformed { expected: "as many bytes as announced" };
        let digits = usize::try_from(count).ok().and_then(|count| count.checked_mul(2));
        let (bytes, after) =
            digits.and_then(|digits| self.rest.split_at_checked(digits)).ok_or(expected)?;
        self.rest = after;
        hex::decode(bytes).ok_or(Malformed { expected: "pairs of hexadecimal digits" })
    }

    /// `0` or `1`.
    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.number()? {
            0_u64 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed { expected: "0 or 1" }),
        }
    }

    pub(crate) fn thread(&mut self) -> Result<ThreadId, Malformed> {
        let text =
            self.run(|byte| matches!(byte, b'p' | b'.' | b'-') || hex::digit(byte).is_some());
        ThreadId::parse(text).ok_or(Malformed { expected: "thread id" })
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed { expected: "end of packet" }) }
    }
}

/// Bytes that have to be text.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Malformed> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| Malformed { expected: "text" })
}
