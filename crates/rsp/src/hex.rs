//! Hexadecimal as the protocol has it: bytes as pairs of digits, numbers as
//! digits with the highest first, values of the target with the lowest byte
//! first. Case is read either way and written small (GDB manual, Overview).

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What a digit stands for.
pub fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn letter(nibble: u8) -> u8 {
    DIGITS[usize::from(nibble & 15)]
}

/// Appends one byte as two digits.
pub fn write_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend([letter(byte >> 4), letter(byte)]);
}

/// Appends bytes, two digits each.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().saturating_mul(2));
    for &byte in bytes {
        write_byte(byte, out);
    }
}

/// Bytes as text, two digits each.
pub fn encode(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|&byte| [letter(byte >> 4), letter(byte)]);
    digits.map(char::from).collect()
}

/// The bytes behind pairs of digits; `None` for an odd number of them and for
/// anything else.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    text.chunks_exact(2).map(pair).collect()
}

/// Appends a number without leading zeros.
pub fn write_number(number: u64, out: &mut Vec<u8>) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(letter((number >> (4 * place)) as u8));
    }
}

/// The number behind digits, the highest first; `None` without any, with
/// anything else among them, and when it does not fit. Leading zeros are
/// allowed in any number.
pub fn parse_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, &byte| {
        let low = u64::from(digit(byte)?);
        (number >> 60 == 0).then_some(number << 4 | low)
    })
}

/// The number in a value of the target (a register's, say), lowest byte first;
/// `None` when it does not fit.
pub fn from_little_endian(bytes: &[u8]) -> Option<u64> {
    let (low, high) = bytes.split_at(bytes.len().min(8));
    let fits = high.iter().all(|&byte| byte == 0);
    let number = low.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
    fits.then_some(number)
}

/// Appends the lowest `width` bytes (at most 8) of a number, lowest first, two
/// digits each.
pub fn write_little_endian(number: u64, width: usize, out: &mut Vec<u8>) {
    for byte in number.to_le_bytes().into_iter().take(width) {
        write_byte(byte, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_number(text: &str, expected: Option<u64>) {
        assert_eq!(parse_number(text.as_bytes()), expected, "{text}");
    }

    #[track_caller]
    fn check_written(number: u64, expected: &str) {
        let mut out = Vec::new();
        write_number(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        check_number(expected, Some(number));
    }

    #[test]
    fn numbers() {
        check_number("", None);
        check_number("0", Some(0));
        check_number("00fF", Some(255));
        check_number("000000000000000000001", Some(1));
        check_number("10000000000000000", None);
        check_number("-1", None);
        check_number("0x1", None);
        check_written(0, "0");
        check_written(0x10, "10");
        check_written(0x7fff_0123, "7fff0123");
        check_written(u64::MAX, "ffffffffffffffff");
    }

    #[test]
    fn bytes() {
        assert_eq!(decode(b"00fFa5"), Some(vec![0, 255, 0xa5]));
        assert_eq!(decode(b""), Some(vec![]));
        assert_eq!(decode(b"0"), None);
        assert_eq!(decode(b"0g"), None);
        assert_eq!(encode(&[0, 255, 0xa5]), "00ffa5");
    }

    #[test]
    fn values_of_the_target_have_the_lowest_byte_first() {
        assert_eq!(from_little_endian(&[1, 2]), Some(0x201));
        assert_eq!(from_little_endian(&[]), Some(0));
        assert_eq!(from_little_endian(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), Some(1));
        assert_eq!(from_little_endian(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), None);
        let mut out = Vec::new();
        write_little_endian(0x0102_0304, 4, &mut out);
        assert_eq!(out, b"04030201");
    }
}
