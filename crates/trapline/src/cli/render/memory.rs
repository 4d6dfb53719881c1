//! `x/NFU`: memory as numbers, characters and strings.

use trapline_core::VirtAddr;
use trapline_expr::format;

use crate::cli::screen::{paint, styled};

/// How many bytes a line of numbers shows, by the size of one.
const fn per_line(unit: u8) -> usize {
    match unit {
        1 | 2 => 8,
        4 => 4,
        _ => 2,
    }
}

/// Memory as units of `unit` bytes (1, 2, 4 or 8, little-endian) in gdb's
/// format `letter`. A last unit that is not whole is left out.
pub(crate) fn units(address: VirtAddr, bytes: &[u8], unit: u8, letter: char) -> String {
    let size = usize::from(unit.max(1));
    let per_line = if letter == 't' && unit == 8 { 1 } else { per_line(unit) };
    let mut lines = Vec::new();
    for (index, line) in bytes.chunks(size * per_line).enumerate() {
        let at = address.wrapping_add((index * size * per_line) as u64);
        let values: Vec<String> =
            line.chunks_exact(size).map(|bytes| value(bytes, letter)).collect();
        if !values.is_empty() {
            lines.push(format!("{}:\t{}", styled(paint::ADDRESS, at), values.join("\t")));
        }
    }
    lines.join("\n")
}

fn value(bytes: &[u8], letter: char) -> String {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unsigned = u64::from_le_bytes(wide);
    let bits = bytes.len() * 8;
    let signed = (unsigned << (64 - bits)).cast_signed() >> (64 - bits);
    match letter {
        'd' => signed.to_string(),
        'u' => unsigned.to_string(),
        'o' => format!("0{unsigned:o}"),
        't' => format!("{unsigned:0bits$b}"),
        'a' => format!("{unsigned:#x}"),
        'c' => format!("{signed} {}", character(bytes.first().copied().unwrap_or(0))),
        'f' if bits >= 32 => format::float(bytes),
        'f' => signed.to_string(),
        _ => format!("{unsigned:#0width$x}", width = 2 + bits / 4),
    }
}

fn character(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        _ => format!("'{}'", escaped(byte)),
    }
}

/// A byte as a C string shows it.
fn escaped(byte: u8) -> String {
    match byte {
        b'\n' => "\\n".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\\' => "\\\\".to_owned(),
        0x20..=0x7e => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

/// A string of characters of `unit` bytes (1, 2 or 4) as `x/s` shows it; `cut`
/// when its end was not found.
pub(crate) fn string(address: VirtAddr, bytes: &[u8], unit: u8, cut: bool) -> String {
    let text = match unit {
        1 => format::string(bytes, bytes.len(), cut),
        2 => format::wide_string(bytes, 2, "u", cut),
        _ => format::wide_string(bytes, 4, "U", cut),
    };
    format!("{}:\t{text}", styled(paint::ADDRESS, address))
}

/// Raw bytes in two digits each: `55 48 89 e5`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::tests::plain;

    #[test]
    fn units_in_every_format() {
        let check = |bytes: &[u8], unit: u8, letter: char, expected: &str| {
            let text = units(VirtAddr::new(0x1000), bytes, unit, letter);
            assert_eq!(plain(&text), expected, "{letter}");
        };
        check(&[1, 0xff], 1, 'x', "0x1000:\t0x01\t0xff");
        check(&[1, 0xff], 1, 'd', "0x1000:\t1\t-1");
        check(&[1, 0xff], 1, 'u', "0x1000:\t1\t255");
        check(&[8], 1, 'o', "0x1000:\t010");
        check(&[5], 1, 't', "0x1000:\t00000101");
        check(&[0x34, 0x12], 2, 'x', "0x1000:\t0x1234");
        check(&[0x41, 0x0a, 0x27, 0xff], 1, 'c', "0x1000:\t65 'A'\t10 '\\n'\t39 '\\''\t-1 '\\377'");
        check(&1.5_f64.to_le_bytes(), 8, 'f', "0x1000:\t1.5");
        check(&0.25_f32.to_le_bytes(), 4, 'f', "0x1000:\t0.25");
        check(&1e-300_f64.to_le_bytes(), 8, 'f', "0x1000:\t1e-300");
        check(&1e30_f32.to_le_bytes(), 4, 'f', "0x1000:\t1e+30");
        check(&u64::MAX.to_le_bytes(), 8, 'x', "0x1000:\t0xffffffffffffffff");
        check(&i64::MIN.to_le_bytes(), 8, 'd', "0x1000:\t-9223372036854775808");
        check(&[0; 3], 4, 'x', "");
        let nine = "0x1000:\t0\t0\t0\t0\t0\t0\t0\t0\n0x1008:\t0";
        check(&[0; 9], 1, 'u', nine);
    }

    #[test]
    fn strings_escape_what_a_terminal_would_obey() {
        let shown = string(VirtAddr::new(16), b"a\"\x1b[0m\n", 1, true);
        assert_eq!(plain(&shown), r#"0x10:	"a\"\033[0m\n"..."#);
    }
}
