//! Long answers in parts: what a server answers to a read of
//! [`TransferRequest`](crate::request::TransferRequest), and how a client puts
//! the parts together (GDB manual, General Query Packets, `qXfer`).

use std::fmt;

use crate::frame;

/// The answer to a read of `length` bytes at `offset` of an object: `m` and a
/// part when there is more behind it, `l` and a part when there is not. The
/// part is escaped, so the answer is framed as it is.
///
/// It is at most `max_payload` bytes long, if need be with less data than asked
/// for; 3 is the least with which a client gets on.
pub fn reply(object: &[u8], offset: u64, length: u64, max_payload: usize) -> Vec<u8> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(object.len());
    let asked = usize::try_from(length).unwrap_or(usize::MAX);
    let rest = &object[start..];
    let taken = fitting(&rest[..asked.min(rest.len())], max_payload.saturating_sub(1));
    let mut out = vec![if taken.len() == rest.len() { b'l' } else { b'm' }];
    frame::escape_into(taken, &mut out);
    out
}

/// As many of the bytes as `room` takes once they are escaped.
fn fitting(bytes: &[u8], room: usize) -> &[u8] {
    let mut used = 0;
    let too_many = bytes.iter().position(|&byte| {
        used += if frame::needs_escape(byte) { 2 } else { 1 };
        used > room
    });
    &bytes[..too_many.unwrap_or(bytes.len())]
}

/// Why an object cannot be put together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransferError {
    /// The server does not know the object: an empty answer.
    Unsupported,
    /// The server's own error, without its `E`.
    Refused(Vec<u8>),
    /// The answer is none to this request, or brings nothing new.
    Malformed,
    /// There is more than the limit.
    TooLong,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the server does not know this object"),
            Self::Refused(error) => {
                write!(f, "the server said: E{}", String::from_utf8_lossy(error))
            }
            Self::Malformed => f.write_str("the server's answer is malformed"),
            Self::TooLong => f.write_str("the object is longer than allowed"),
        }
    }
}

impl std::error::Error for TransferError {}

/// An object that a client reads part by part: ask for what comes at
/// [`Transfer::offset`], give the answer to [`Transfer::accept`], until it says
/// that this was the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    limit: usize,
    data: Vec<u8>,
}

impl Transfer {
    /// Nothing read yet, and never more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, data: Vec::new() }
    }

    /// Where the next part begins.
    pub fn offset(&self) -> u64 {
        self.data.len() as u64
    }

    /// Takes an answer, with its escapes undone as
    /// [`Incoming::Packet`](crate::frame::Incoming) has it; whether it was the
    /// last.
    ///
    /// # Errors
    /// The object cannot be read, or not any further.
    pub fn accept(&mut self, answer: &[u8]) -> Result<bool, TransferError> {
        let (&kind, part) = answer.split_first().ok_or(TransferError::Unsupported)?;
        match kind {
            b'E' => return Err(TransferError::Refused(part.to_vec())),
            b'm' if part.is_empty() => return Err(TransferError::Malformed),
            b'm' | b'l' => {}
            _ => return Err(TransferError::Malformed),
        }
        if part.len() > self.limit - self.data.len() {
            return Err(TransferError::TooLong);
        }
        self.data.extend_from_slice(part);
        Ok(kind == b'l')
    }

    /// What was read.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(offset: u64, length: u64, max: usize, expected: &str) {
        let found = reply(b"0123456#89", offset, length, max);
        assert_eq!(String::from_utf8(found).unwrap(), expected);
    }

    #[test]
    fn parts_of_an_object() {
        check(0, 100, 100, "l0123456}\x0389");
        check(0, 10, 100, "l0123456}\x0389");
        check(0, 4, 100, "m0123");
        check(4, 4, 100, "m456}\x03");
        check(8, 100, 100, "l89");
        check(10, 5, 100, "l");
        check(11, 5, 100, "l");
        check(u64::MAX, u64::MAX, 100, "l");
        check(0, 100, 5, "m0123");
        check(6, 100, 3, "m6");
        check(7, 100, 3, "m}\x03");
    }

    #[track_caller]
    fn check_refused(answer: &[u8], expected: TransferError) {
        assert_eq!(Transfer::new(4).accept(answer), Err(expected));
    }

    #[test]
    fn answers_that_end_it() {
        check_refused(b"", TransferError::Unsupported);
        check_refused(b"E01", TransferError::Refused(b"01".to_vec()));
        check_refused(b"m", TransferError::Malformed);
        check_refused(b"OK", TransferError::Malformed);
        check_refused(b"l12345", TransferError::TooLong);
    }

    proptest! {
        #[test]
        fn a_client_gets_what_a_server_has(object: Vec<u8>, length in 1_u64..50, max in 3_usize..50) {
            let mut transfer = Transfer::new(object.len());
            loop {
                let answer = reply(&object, transfer.offset(), length, max);
                prop_assert!(answer.len() <= max);
                if transfer.accept(&frame::unescape(&answer)).unwrap() {
                    break;
                }
            }
            prop_assert_eq!(transfer.into_data(), object);
        }
    }
}
