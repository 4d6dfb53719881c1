//! Characters and strings in quotes.

use std::fmt::Write as _;

/// A byte as a C character, escaped.
pub(super) fn character(code: u8) -> String {
    let mut out = String::from("'");
    push_byte(&mut out, code, '\'');
    out.push('\'');
    out
}

/// A character with whatever cannot be shown escaped.
pub(super) fn escape(c: char, quote: char) -> String {
    match c {
        _ if c == quote || c == '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        _ if u32::from(c) < 0x80 => {
            let mut out = String::new();
            push_byte(&mut out, c as u8, quote);
            out
        }
        _ if c.is_control() => format!("\\u{{{:x}}}", u32::from(c)),
        _ => c.to_string(),
    }
}

/// A byte that is no printable ASCII, as C escapes it: a name where there is
/// one, else octal.
fn push_byte(out: &mut String, byte: u8, quote: char) {
    let _ = match byte {
        b'\n' => write!(out, "\\n"),
        b'\t' => write!(out, "\\t"),
        b'\r' => write!(out, "\\r"),
        7 => write!(out, "\\a"),
        8 => write!(out, "\\b"),
        11 => write!(out, "\\v"),
        12 => write!(out, "\\f"),
        b'\\' => write!(out, "\\\\"),
        _ if char::from(byte) == quote => write!(out, "\\{quote}"),
        b' '..=b'~' => write!(out, "{}", char::from(byte)),
        _ => write!(out, "\\{byte:03o}"),
    };
}

/// Bytes as a string in quotes. Valid UTF-8 is shown as it is, other bytes in
/// octal; runs of more than ten equal bytes are counted, as gdb does.
pub fn string(bytes: &[u8], max: usize, more: bool) -> String {
    let shown = &bytes[..bytes.len().min(max)];
    let cut = more || bytes.len() > max;
    let mut parts: Vec<String> = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while at < shown.len() {
        let run = shown[at..].iter().take_while(|&&byte| byte == shown[at]).count();
        if run > REPEATS + 1 {
            if !plain.is_empty() {
                parts.push(format!("\"{plain}\""));
                plain.clear();
            }
            parts.push(format!("{} <repeats {run} times>", character(shown[at])));
            at += run;
            continue;
        }
        at += push_next(&mut plain, &shown[at..]);
    }
    if !plain.is_empty() || parts.is_empty() {
        parts.push(format!("\"{plain}\""));
    }
    let mut text = parts.join(", ");
    if cut {
        text.push_str("...");
    }
    text
}

/// How many equal elements of an array are still written out.
pub(super) const REPEATS: usize = 9;

/// Appends the next character of `bytes` and returns how many bytes it was.
fn push_next(out: &mut String, bytes: &[u8]) -> usize {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or(""),
    };
    match valid.chars().next() {
        Some(c) => {
            out.push_str(&escape(c, '"'));
            c.len_utf8()
        }
        None => {
            push_byte(out, bytes[0], '"');
            1
        }
    }
}
