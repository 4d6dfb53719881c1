//! What gdb really sends, every instruction, and everything that fails.

use proptest::prelude::*;

use super::*;

/// Registers whose value is their number and a bit, and a little memory.
#[derive(Default)]
struct Scripted {
    printed: String,
    memory: Vec<u8>,
}

const BASE: u64 = 0x1000;

impl Machine for Scripted {
    fn register(&mut self, number: u16) -> Option<u64> {
        match number {
            6 => Some(BASE + 0x14),
            0..=16 => Some(u64::from(number)),
            _ => None,
        }
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        let start = address.wrapping_sub(BASE) as usize;
        let end = start.saturating_add(bytes.len());
        let Some(found) = self.memory.get(start..end) else { return false };
        bytes.copy_from_slice(found);
        true
    }

    fn print(&mut self, text: &str) {
        self.printed.push_str(text);
    }
}

fn machine() -> Scripted {
    let mut memory = vec![0; 0x100];
    memory[0x10] = 5;
    memory[0x20..0x28].copy_from_slice(&0x8182_8384_8586_8788_u64.to_le_bytes());
    memory[0x30..0x36].copy_from_slice(b"hello\0");
    memory[0xf0..].fill(b'x');
    Scripted { printed: String::new(), memory }
}

fn code(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    crate::hex::decode(&digits).unwrap()
}

#[track_caller]
fn check(hex: &str, expected: Result<Option<u64>, Fault>) {
    let program = Program::decode(&code(hex)).unwrap();
    assert_eq!(program.run(&mut machine(), Limits::default()), expected, "{program}");
}

/// Two constants of 64 bits and an operation.
#[track_caller]
fn check_binary(op: u8, left: i64, right: i64, expected: i64) {
    let mut bytes = vec![0x25];
    bytes.extend(left.to_be_bytes());
    bytes.push(0x25);
    bytes.extend(right.to_be_bytes());
    bytes.extend([op, 0x27]);
    let program = Program::decode(&bytes).unwrap();
    let found = program.run(&mut machine(), Limits::default());
    assert_eq!(found, Ok(Some(expected as u64)), "{program}");
}

#[test]
fn a_condition_as_gdb_sends_it() {
    // i == 5, where i is 20 bytes below rbp + 16.
    let sent = "26 0006 22 10 02 22 ec 16 08 02 19 16 20 22 05 13 27";
    check(sent, Ok(Some(1)));
    let program = Program::decode(&code(sent)).unwrap();
    let expected = "  0  reg 6\n  3  const 0x10\n  5  add\n  6  const 0xec\n  8  ext 8\n \
                    10  add\n 11  ref32\n 12  ext 32\n 14  const 0x5\n 16  equal\n 17  end\n";
    assert_eq!(program.to_string(), expected);
}

#[test]
fn commands_as_gdb_sends_them() {
    // dprintf, where total is in our memory: the last argument comes first,
    // then channel and function.
    let sent = "25 0000000000001010 19 16 20 26 0006 22 10 02 22 ec 16 08 02 19 16 20 \
                22 00 22 00 34 02 000d 693d256420743d2535645c6e00 27";
    let mut machine = machine();
    let program = Program::decode(&code(sent)).unwrap();
    assert_eq!(program.run(&mut machine, Limits::default()), Ok(None));
    assert_eq!(machine.printed, "i=5 t=    5\n");
}

#[test]
fn two_values() {
    check_binary(0x02, 7, -3, 4);
    check_binary(0x02, i64::MAX, 1, i64::MIN);
    check_binary(0x03, 7, 10, -3);
    check_binary(0x04, -7, 10, -70);
    check_binary(0x05, -7, 2, -3);
    check_binary(0x05, i64::MIN, -1, i64::MIN);
    check_binary(0x06, -1, 2, i64::MAX);
    check_binary(0x07, -7, 2, -1);
    check_binary(0x07, i64::MIN, -1, 0);
    check_binary(0x08, -1, 16, 15);
    check_binary(0x09, 3, 4, 48);
    check_binary(0x09, 3, 64, 0);
    check_binary(0x0a, -8, 1, -4);
    check_binary(0x0a, -8, 200, -1);
    check_binary(0x0b, -1, 63, 1);
    check_binary(0x0b, -1, -1, 0);
    check_binary(0x0f, 6, 3, 2);
    check_binary(0x10, 6, 3, 7);
    check_binary(0x11, 6, 3, 5);
    check_binary(0x13, 6, 6, 1);
    check_binary(0x13, 6, 7, 0);
    check_binary(0x14, -1, 0, 1);
    check_binary(0x14, 0, -1, 0);
    check_binary(0x15, -1, 0, 0);
    check_binary(0x15, 0, -1, 1);
}

#[test]
fn one_value() {
    check("22 00 0e 27", Ok(Some(1)));
    check("22 07 0e 27", Ok(Some(0)));
    check("22 00 12 27", Ok(Some(u64::MAX)));
    check("22 80 16 08 27", Ok(Some(0xffff_ffff_ffff_ff80)));
    check("23 0180 16 08 27", Ok(Some(0xffff_ffff_ffff_ff80)));
    check("22 7f 16 08 27", Ok(Some(0x7f)));
    check("22 01 16 01 27", Ok(Some(u64::MAX)));
    check("22 01 16 00 27", Ok(Some(0)));
    check("25 8000000000000000 16 40 27", Ok(Some(1 << 63)));
    check("22 01 16 ff 27", Ok(Some(1)));
    check("23 ff80 2a 08 27", Ok(Some(0x80)));
    check("22 ff 2a ff 27", Ok(Some(0xff)));
    check("22 ff 2a 00 27", Ok(Some(0)));
}

#[test]
fn constants_registers_and_memory() {
    check("22 ff 27", Ok(Some(0xff)));
    check("23 ff00 27", Ok(Some(0xff00)));
    check("24 ff000001 27", Ok(Some(0xff00_0001)));
    check("25 ff00000000000001 27", Ok(Some(0xff00_0000_0000_0001)));
    check("26 0003 27", Ok(Some(3)));
    check("23 1020 17 27", Ok(Some(0x88)));
    check("23 1020 18 27", Ok(Some(0x8788)));
    check("23 1021 19 27", Ok(Some(0x8485_8687)));
    check("23 1020 1a 27", Ok(Some(0x8182_8384_8586_8788)));
}

#[test]
fn the_stack() {
    check("22 01 28 02 27", Ok(Some(2)));
    check("22 01 22 02 29 27", Ok(Some(1)));
    check("22 05 22 03 2b 03 27", Ok(Some(-2_i64 as u64)));
    check("22 05 22 03 32 01 27", Ok(Some(5)));
    check("22 05 22 03 32 00 27", Ok(Some(3)));
    // a b c becomes c a b.
    check("22 01 22 02 22 03 33 27", Ok(Some(2)));
    check("22 01 22 02 22 03 33 29 27", Ok(Some(1)));
    check("22 01 22 02 22 03 33 29 29 27", Ok(Some(3)));
}

#[test]
fn jumps() {
    check("22 01 20 0008 22 02 27 22 03 27", Ok(Some(3)));
    check("22 00 20 0008 22 02 27 22 03 27", Ok(Some(2)));
    check("21 0006 22 02 27 22 03 27", Ok(Some(3)));
    // Counts down from 5.
    check("22 05 22 01 03 28 20 0002 27", Ok(Some(0)));
}

#[test]
fn commands_have_no_result() {
    check("27", Ok(None));
    check("", Ok(None));
}

#[test]
fn faults() {
    check("22 01 22 00 05 27", Err(Fault::DivisionByZero));
    check("22 01 22 00 06 27", Err(Fault::DivisionByZero));
    check("22 01 22 00 07 27", Err(Fault::DivisionByZero));
    check("22 01 22 00 08 27", Err(Fault::DivisionByZero));
    check("22 10 19 27", Err(Fault::Memory { address: 0x10 }));
    check("26 0100 27", Err(Fault::Register(0x100)));
    check("02 27", Err(Fault::StackUnderflow));
    check("22 01 02 27", Err(Fault::StackUnderflow));
    check("28 27", Err(Fault::StackUnderflow));
    check("22 01 32 01 27", Err(Fault::StackUnderflow));
    check("22 01 22 01 33 27", Err(Fault::StackUnderflow));
    check("22 01 21 0000", Err(Fault::StackOverflow));
    check("21 0000", Err(Fault::TooManySteps));
    check("22 01", Err(Fault::NoEnd));
    for tracing in ["0c", "0d 04", "2c 0001", "2d 0001", "2e 0001", "2f", "30 0004", "01", "1e"] {
        check(&format!("{tracing} 27"), Err(Fault::Unsupported));
    }
}

#[track_caller]
fn check_refused(hex: &str, offset: u16, kind: BadCodeKind) {
    assert_eq!(Program::decode(&code(hex)), Err(BadCode { offset, kind }), "{hex}");
}

#[test]
fn code_that_is_refused() {
    check_refused("22 01 31 27", 2, BadCodeKind::UnknownOp(0x31));
    check_refused("00", 0, BadCodeKind::UnknownOp(0));
    check_refused("27 35", 1, BadCodeKind::UnknownOp(0x35));
    check_refused("22", 0, BadCodeKind::Truncated);
    check_refused("27 25 00000000000000", 1, BadCodeKind::Truncated);
    check_refused("20 00", 0, BadCodeKind::Truncated);
    check_refused("22 27 21 0001 27", 2, BadCodeKind::BadJump(1));
    check_refused("21 0004 27", 0, BadCodeKind::BadJump(4));
    check_refused("34 00 0002 61", 0, BadCodeKind::Truncated);
    check_refused("34 00 0002 6161", 0, BadCodeKind::BadFormat);
    check_refused("34 00 0000", 0, BadCodeKind::BadFormat);
    let long = vec![0x27; 1 << 16];
    assert_eq!(Program::decode(&long).unwrap_err().kind, BadCodeKind::TooLong);
}

/// Arguments as gdb pushes them: the last first, then channel and function.
fn printed(format: &str, arguments: &[u64]) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    for argument in arguments.iter().rev().chain(&[0, 0]) {
        bytes.push(0x25);
        bytes.extend(argument.to_be_bytes());
    }
    bytes.extend([0x34, arguments.len() as u8]);
    bytes.extend((format.len() as u16 + 1).to_be_bytes());
    bytes.extend(format.as_bytes());
    bytes.extend([0, 0x27]);
    let mut machine = machine();
    let limits = Limits { text: 100, ..Limits::default() };
    Program::decode(&bytes).unwrap().run(&mut machine, limits)?;
    Ok(machine.printed)
}

#[track_caller]
fn check_printed(format: &str, arguments: &[u64], expected: &str) {
    assert_eq!(printed(format, arguments).as_deref(), Ok(expected), "{format}");
}

#[track_caller]
fn check_not_printed(format: &str, arguments: &[u64], expected: Fault) {
    assert_eq!(printed(format, arguments), Err(expected), "{format}");
}

#[test]
fn printf_says_what_c_says() {
    let minus = -5_i64 as u64;
    check_printed("plain 100%%\\n\\t\\\"\\\\", &[], "plain 100%\n\t\"\\");
    check_printed("%d %i %u", &[minus, 7, 0xffff_ffff_0000_0003], "-5 7 3");
    check_printed("%d", &[0x1_8000_0000], "-2147483648");
    check_printed("%ld %lld %zd", &[minus, minus, minus], "-5 -5 -5");
    check_printed("%lu", &[u64::MAX], "18446744073709551615");
    check_printed("%hhd %hd", &[0x1ff, 0x1_8000], "-1 -32768");
    check_printed("%x %X %#x %llx %o %#o", &[255, 255, 255, u64::MAX, 8, 8], {
        "ff FF 0xff ffffffffffffffff 10 010"
    });
    check_printed("%#x %#o", &[0, 0], "0 0");
    check_printed("[%5d] [%-5d] [%05d] [%+d] [% d]", &[42, 42, minus, 42, 42], {
        "[   42] [42   ] [-0005] [+42] [ 42]"
    });
    check_printed("[%.3d] [%8.3d] [%08.3d] [%.0d]", &[5, 5, 5, 0], {
        "[005] [     005] [     005] []"
    });
    check_printed("[%#06x] [%-6x]", &[255, 255], "[0x00ff] [ff    ]");
    check_printed("%c%c", &[u64::from(b'a'), 0x162], "ab");
    check_printed("[%s] [%7s] [%-7s] [%.2s]", &[BASE + 0x30; 4], {
        "[hello] [  hello] [hello  ] [he]"
    });
    check_printed("%s %.3s", &[0, 0], "(null) (nu");
    check_printed("%p %p", &[0x1234, 0], "0x1234 (nil)");
}

#[test]
fn printf_refuses() {
    check_not_printed("%d", &[], Fault::Format);
    check_not_printed("x", &[1], Fault::Format);
    for bad in ["%f", "%n", "%*d", "%", "%l", "%q", "%ls", "%lc", "\\q", "\\", "%.*s"] {
        let arguments: &[u64] = if bad.starts_with('%') { &[1] } else { &[] };
        check_not_printed(bad, arguments, Fault::Format);
    }
    check_not_printed("%99999999999999999999d", &[1], Fault::Format);
    check_not_printed("%999999999d", &[1], Fault::TooMuchText);
    check_not_printed("%.999999999d", &[1], Fault::TooMuchText);
    check_not_printed("%60d%60d", &[1, 1], Fault::TooMuchText);
    // Again and again.
    let endless = Program::decode(&code("22 00 22 00 34 00 0002 78 00 21 0000")).unwrap();
    let limits = Limits { text: 3, ..Limits::default() };
    assert_eq!(endless.run(&mut machine(), limits), Err(Fault::TooMuchText));
    check_not_printed("%s", &[0x10], Fault::Memory { address: 0x10 });
    check_not_printed("%s", &[BASE + 0xf8], Fault::Memory { address: BASE + 0x100 });
}

proptest! {
    #[test]
    fn any_code_ends(bytes: Vec<u8>) {
        if let Ok(program) = Program::decode(&bytes) {
            let limits = Limits { steps: 1000, ..Limits::default() };
            let _ = program.run(&mut machine(), limits);
            prop_assert!(!program.to_string().is_empty() || bytes.is_empty());
        }
    }

    #[test]
    fn code_of_instructions_ends(bytes in prop::collection::vec(
        prop_oneof![0_u8..0x35, Just(0x22), Just(0x28)], 0..60)) {
        if let Ok(program) = Program::decode(&bytes) {
            let limits = Limits { steps: 1000, ..Limits::default() };
            let _ = program.run(&mut machine(), limits);
        }
    }

    #[test]
    fn any_format_ends(format in "[%a-z0-9.#\\\\ +-]{0,20}", arguments in prop::collection::vec(any::<u64>(), 0..4)) {
        if let Ok(text) = printed(&format, &arguments) {
            prop_assert!(text.len() <= 300);
        }
    }
}
