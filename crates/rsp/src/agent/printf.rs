//! The text that a `printf` instruction makes: C's conversions for integers,
//! characters, strings and pointers, with the backslash escapes of gdb's formats.
//!
//! Conversions of floating point, wide characters, `%n` and widths from
//! arguments are refused, as gdbserver does.

use super::interpret::{Fault, Machine};

/// How many bytes of a string are read at once; never over a page's end.
const CHUNK: u64 = 64;

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    /// Bits of the argument that count.
    bits: u32,
}

/// The text for a format and its arguments, at most `limit` bytes.
pub(super) fn format(
    format: &[u8],
    arguments: &[u64],
    limit: usize,
    machine: &mut dyn Machine,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let mut arguments = arguments.iter().copied();
    let mut rest = format.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => out.push(escape(rest.next())?),
            b'%' => {
                let (spec, letter) = spec(&mut rest)?;
                if letter == b'%' {
                    out.push(b'%');
                } else {
                    let argument = arguments.next().ok_or(Fault::Format)?;
                    let limit = limit.saturating_sub(out.len());
                    let text = convert(spec, letter, argument, limit, machine)?;
                    pad(&text, spec, limit, &mut out)?;
                }
            }
            other => out.push(other),
        }
        if out.len() > limit {
            return Err(Fault::TooMuchText);
        }
    }
    if arguments.next().is_some() { Err(Fault::Format) } else { Ok(out) }
}

fn escape(letter: Option<u8>) -> Result<u8, Fault> {
    Ok(match letter {
        Some(b'a') => 7,
        Some(b'b') => 8,
        Some(b'e') => 27,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'v') => 11,
        Some(same @ (b'\\' | b'"' | b'\'')) => same,
        _ => return Err(Fault::Format),
    })
}

/// What stands behind a `%`, and the letter that ends it.
fn spec(rest: &mut impl Iterator<Item = u8>) -> Result<(Spec, u8), Fault> {
    let mut spec = Spec { bits: 32, ..Spec::default() };
    let mut next = || rest.next().ok_or(Fault::Format);
    let mut byte = next()?;
    loop {
        match byte {
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'#' => spec.alternate = true,
            b'0' => spec.zeros = true,
            _ => break,
        }
        byte = next()?;
    }
    while byte.is_ascii_digit() {
        spec.width = append(spec.width, byte)?;
        byte = next()?;
    }
    if byte == b'.' {
        let mut precision = 0;
        byte = next()?;
        while byte.is_ascii_digit() {
            precision = append(precision, byte)?;
            byte = next()?;
        }
        spec.precision = Some(precision);
    }
    while let b'l' | b'z' | b'j' | b't' | b'h' = byte {
        spec.bits = if byte == b'h' { spec.bits.div_ceil(2).max(8) } else { 64 };
        byte = next()?;
    }
    Ok((spec, byte))
}

fn append(number: usize, digit: u8) -> Result<usize, Fault> {
    let longer = number.checked_mul(10).and_then(|it| it.checked_add(usize::from(digit - b'0')));
    longer.ok_or(Fault::Format)
}

/// Text to be padded: a sign or prefix before the zeros, and the rest.
struct Converted {
    prefix: Vec<u8>,
    body: Vec<u8>,
    zeros: bool,
}

fn plain(body: Vec<u8>) -> Converted {
    Converted { prefix: Vec::new(), body, zeros: false }
}

fn convert(
    spec: Spec,
    letter: u8,
    argument: u64,
    limit: usize,
    machine: &mut dyn Machine,
) -> Result<Converted, Fault> {
    match letter {
        b'd' | b'i' => signed(spec, argument, limit),
        b'u' | b'x' | b'X' | b'o' => unsigned(spec, letter, argument, limit),
        b'c' if spec.bits == 32 => Ok(plain(vec![argument as u8])),
        b's' if spec.bits == 32 && argument == 0 => Ok(plain(cut(b"(null)", spec).to_vec())),
        b's' if spec.bits == 32 => {
            let most = spec.precision.unwrap_or(limit).min(limit.saturating_add(1));
            Ok(plain(string(argument, most, machine)?))
        }
        b'p' if argument == 0 => Ok(plain(b"(nil)".to_vec())),
        b'p' => unsigned(Spec { bits: 64, alternate: true, ..spec }, b'x', argument, limit),
        _ => Err(Fault::Format),
    }
}

fn cut(text: &[u8], spec: Spec) -> &[u8] {
    text.get(..spec.precision.unwrap_or(usize::MAX)).unwrap_or(text)
}

fn signed(spec: Spec, argument: u64, limit: usize) -> Result<Converted, Fault> {
    let unused = 64 - spec.bits;
    let value = (argument << unused) as i64 >> unused;
    let sign: &[u8] = match value {
        ..0 => b"-",
        _ if spec.plus => b"+",
        _ if spec.space => b" ",
        _ => b"",
    };
    digits(spec, sign, value.unsigned_abs().to_string(), limit)
}

fn unsigned(spec: Spec, letter: u8, argument: u64, limit: usize) -> Result<Converted, Fault> {
    let unused = 64 - spec.bits;
    let value = argument << unused >> unused;
    let (prefix, text): (&[u8], String) = match letter {
        b'x' => (b"0x", format!("{value:x}")),
        b'X' => (b"0X", format!("{value:X}")),
        b'o' if spec.alternate && value != 0 => (b"", format!("0{value:o}")),
        b'o' => (b"", format!("{value:o}")),
        _ => (b"", value.to_string()),
    };
    let prefixed = spec.alternate && value != 0;
    digits(spec, if prefixed { prefix } else { b"" }, text, limit)
}

/// A precision asks for zeros, and there are no digits for a 0 with none.
fn digits(spec: Spec, prefix: &[u8], text: String, limit: usize) -> Result<Converted, Fault> {
    let wanted = spec.precision.unwrap_or(0);
    if wanted > limit {
        return Err(Fault::TooMuchText);
    }
    let text = if spec.precision == Some(0) && text == "0" { String::new() } else { text };
    let mut body = vec![b'0'; wanted.saturating_sub(text.len())];
    body.extend_from_slice(text.as_bytes());
    // Zeros fill the width only where no precision says how many there are.
    let zeros = spec.zeros && spec.precision.is_none();
    Ok(Converted { prefix: prefix.to_vec(), body, zeros })
}

/// The string at an address, up to its zero byte or `most` bytes of it.
fn string(address: u64, most: usize, machine: &mut dyn Machine) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    let mut at = address;
    while text.len() < most {
        let mut chunk = [0; CHUNK as usize];
        let count = ((CHUNK - at % CHUNK) as usize).min(most - text.len());
        let chunk = chunk.get_mut(..count).ok_or(Fault::Format)?;
        if !machine.read(at, chunk) {
            return Err(Fault::Memory { address: at });
        }
        if let Some(end) = chunk.iter().position(|&byte| byte == 0) {
            text.extend(chunk.iter().take(end));
            return Ok(text);
        }
        text.extend_from_slice(chunk);
        at = at.wrapping_add(count as u64);
    }
    Ok(text)
}

fn pad(text: &Converted, spec: Spec, limit: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    let length = text.prefix.len() + text.body.len();
    if length.max(spec.width) > limit {
        return Err(Fault::TooMuchText);
    }
    let fill = spec.width.saturating_sub(length);
    let (before, zeros, after) = match (spec.left, text.zeros) {
        (true, _) => (0, 0, fill),
        (false, true) => (0, fill, 0),
        (false, false) => (fill, 0, 0),
    };
    let repeated = |byte: u8, count: usize| std::iter::repeat_n(byte, count);
    out.extend(repeated(b' ', before));
    out.extend_from_slice(&text.prefix);
    out.extend(repeated(b'0', zeros));
    out.extend_from_slice(&text.body);
    out.extend(repeated(b' ', after));
    Ok(())
}
