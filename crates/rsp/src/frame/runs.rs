//! Run-length encoding of replies: a byte, `*`, and a count as a printable
//! character (GDB manual, Overview). It works on payloads as they travel, with
//! their escapes.

use super::ESCAPE;

/// Announces a run of the byte before it.
const RUN: u8 = b'*';
/// What is added to the number of repeats to make it printable.
const COUNT_BASE: usize = 29;
/// Fewest repeats that are worth a run, and the fewest that can be written.
const FEWEST: usize = 3;
/// Most repeats that stay printable.
const MOST: usize = 126 - COUNT_BASE;

/// The payload with its runs shortened. It must be escaped already, since a
/// `*` of its own would be taken for a run.
///
/// An escaped byte is never repeated by a run: gdb repeats what travels, lldb
/// what it stands for.
pub fn compress(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut rest = payload;
    while let Some((&byte, after)) = rest.split_first() {
        out.push(byte);
        rest = after;
        if byte == ESCAPE {
            out.extend(rest.first());
            rest = rest.get(1..).unwrap_or(&[]);
        } else {
            rest = rest.get(push_run(byte, rest, &mut out)..).unwrap_or(&[]);
        }
    }
    out
}

/// Writes the run of `byte` with which `rest` starts, when it is worth one; how
/// many repeats it stands for.
fn push_run(byte: u8, rest: &[u8], out: &mut Vec<u8>) -> usize {
    let repeats = rest.iter().take(MOST).take_while(|&&other| other == byte).count();
    // Six and seven repeats would be written with the bytes that frame packets.
    let repeats = if matches!(repeats, 6 | 7) { 5 } else { repeats };
    match u8::try_from(repeats + COUNT_BASE) {
        Ok(count) if repeats >= FEWEST => {
            out.extend([RUN, count]);
            repeats
        }
        _ => 0,
    }
}

/// Why runs cannot be written out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadRuns {
    /// A run without a byte before it or without a count, or a count that there
    /// cannot be.
    Malformed,
    /// The payload is longer than the limit.
    TooLong,
}

/// The payload with its runs written out, still with its escapes.
///
/// # Errors
/// The runs are not well formed, or there are more than `limit` bytes.
pub fn expand(payload: &[u8], limit: usize) -> Result<Vec<u8>, BadRuns> {
    let mut out = Vec::with_capacity(payload.len().min(limit));
    let mut bytes = payload.iter();
    while let Some(&byte) = bytes.next() {
        let (repeated, times) = if byte == RUN {
            let repeated = out.last().copied();
            repeated
                .zip(bytes.next().and_then(|&count| repeats(count)))
                .ok_or(BadRuns::Malformed)?
        } else {
            (byte, 1)
        };
        if limit - out.len() < times {
            return Err(BadRuns::TooLong);
        }
        out.resize(out.len() + times, repeated);
    }
    Ok(out)
}

/// How many repeats a count stands for.
fn repeats(count: u8) -> Option<usize> {
    usize::from(count).checked_sub(COUNT_BASE).filter(|count| (FEWEST..=MOST).contains(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::escape_into;
    use super::*;

    #[track_caller]
    fn check(payload: &[u8], compressed: &[u8]) {
        let found = compress(payload);
        assert_eq!(found, compressed, "{}", String::from_utf8_lossy(&found));
        assert_eq!(expand(compressed, payload.len()).as_deref(), Ok(payload));
    }

    #[test]
    fn runs_of_every_kind() {
        check(b"", b"");
        check(b"0000", b"0* ");
        check(b"000", b"000");
        check(b"x0000000y", b"x0*\"0y");
        check(b"00000000", b"0*\"00");
        check(b"000000000", b"0*%");
        check(&[b'0'; 98], b"0*~");
        check(&[b'0'; 99], b"0*~0");
        check(b"}]]]]]]", b"}]]*!");
    }

    #[test]
    fn what_is_no_run() {
        for bad in [b"*\"".as_slice(), b"0*", b"0*\x1d", b"0*\x7f", b"0*\x1f"] {
            assert_eq!(
                expand(bad, 1000),
                Err(BadRuns::Malformed),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
        assert_eq!(expand(b"0*~0*~", 150), Err(BadRuns::TooLong));
    }

    proptest! {
        #[test]
        fn compressing_comes_back(bytes in prop::collection::vec(prop_oneof![
            4 => Just(b'0'), 1 => Just(b'*'), 1 => Just(b'}'), 1 => any::<u8>()], 0..600)) {
            let mut escaped = Vec::new();
            escape_into(&bytes, &mut escaped);
            let compressed = compress(&escaped);
            prop_assert!(compressed.len() <= escaped.len());
            prop_assert!(!compressed.iter().any(|byte| b"#$".contains(byte)));
            prop_assert_eq!(expand(&compressed, escaped.len()), Ok(escaped));
        }
    }
}
