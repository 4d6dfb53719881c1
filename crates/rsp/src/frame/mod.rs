//! Packets in a stream of bytes: `$payload#checksum`, notifications,
//! acknowledgements and the interrupt (GDB manual, Overview). What the payload
//! says is for [`request`](crate::request) and [`stop`](crate::stop); whether
//! something is acknowledged or sent again is for who moves the bytes.
//!
//! A payload that carries binary data is escaped ([`escape_into`]) and maybe
//! compressed ([`compress`]) before it is framed ([`encode_packet`]): the
//! checksum is that of what travels.

mod decode;
mod runs;

pub use decode::{Decoder, Incoming, Side};
pub use runs::{BadRuns, compress, expand};

use crate::hex;

/// Announces that the next byte stands for itself with bit 5 turned.
const ESCAPE: u8 = b'}';
/// The bit that escaping turns.
const TURNED: u8 = 0x20;

/// Whether a byte of data has to be escaped: what frames, what announces an
/// escape and what announces a run.
pub(crate) fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'#' | b'$' | b'*' | ESCAPE)
}

/// Appends bytes so that a payload can carry them.
pub fn escape_into(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if needs_escape(byte) {
            out.extend([ESCAPE, byte ^ TURNED]);
        } else {
            out.push(byte);
        }
    }
}

/// The bytes that a payload carries. An escape with nothing behind it is
/// passed over.
pub fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut bytes = payload.iter();
    while let Some(&byte) = bytes.next() {
        if byte == ESCAPE {
            out.extend(bytes.next().map(|escaped| escaped ^ TURNED));
        } else {
            out.push(byte);
        }
    }
    out
}

/// The checksum of a payload as it travels.
fn checksum(payload: &[u8]) -> u8 {
    payload.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

fn encode(start: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len().saturating_add(4));
    out.push(start);
    out.extend_from_slice(payload);
    out.push(b'#');
    hex::write_byte(checksum(payload), out);
}

/// Appends the packet with this payload, which is escaped where it must be.
pub fn encode_packet(payload: &[u8], out: &mut Vec<u8>) {
    encode(b'$', payload, out);
}

/// Appends the notification (`Stop:T05...`) with this payload, which is escaped
/// where it must be.
pub fn encode_notification(payload: &[u8], out: &mut Vec<u8>) {
    encode(b'%', payload, out);
}

/// Appends the packet with a payload that is not escaped yet, such as what
/// [`Request::write`](crate::Request::write) makes.
pub fn encode_unescaped(payload: &[u8], out: &mut Vec<u8>) {
    let mut escaped = Vec::with_capacity(payload.len());
    escape_into(payload, &mut escaped);
    encode_packet(&escaped, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(payload: &[u8], expected: &[u8]) {
        let mut out = Vec::new();
        encode_unescaped(payload, &mut out);
        assert_eq!(out, expected, "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn framing() {
        check(b"", b"$#00");
        check(b"OK", b"$OK#9a");
        check(b"a#$}*", b"$a}\x03}\x04}]}\n#c3");
        let mut out = Vec::new();
        encode_notification(b"Stop:", &mut out);
        assert_eq!(out, b"%Stop:#e0");
    }

    #[test]
    fn an_escape_at_the_end_is_passed_over() {
        assert_eq!(unescape(b"a}"), b"a");
    }

    proptest! {
        #[test]
        fn escaping_comes_back(bytes: Vec<u8>) {
            let mut escaped = Vec::new();
            escape_into(&bytes, &mut escaped);
            prop_assert!(!escaped.iter().any(|byte| b"#$*".contains(byte)));
            prop_assert_eq!(unescape(&escaped), bytes);
        }
    }
}
