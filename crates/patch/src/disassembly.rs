//! Instructions as text, in the AT&T syntax that gdb prints by default or in
//! Intel's.
//!
//! It names nothing itself: the caller's `symbolize` turns addresses into
//! names.

use iced_x86::{
    Formatter, FormatterOutput, FormatterTextKind, GasFormatter, Instruction, IntelFormatter,
    SymbolResolver, SymbolResult,
};
use trapline_core::VirtAddr;
use trapline_core::x64::MAX_INSTRUCTION;

use crate::insn::{Insn, decode};

/// How instructions are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Syntax {
    /// `mov %rsp,%rbp`: source first.
    #[default]
    Att,
    /// `mov rbp,rsp`: destination first.
    Intel,
}

/// One instruction, printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its address.
    pub addr: VirtAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The instruction; `(bad)` for a byte that begins none.
    pub text: String,
    /// Where it jumps or calls directly, or the memory it means relative to
    /// its own address.
    pub target: Option<VirtAddr>,
}

/// Prints the instructions in `bytes`, which lie at `addr`. `symbolize` gives
/// the text that stands for an address (`main+4`); without one the address
/// itself is printed.
///
/// A byte that begins no instruction is a line of its own, and printing goes
/// on after it; so is each of the last bytes when they are only the beginning
/// of one.
pub fn print(
    bytes: &[u8],
    addr: VirtAddr,
    syntax: Syntax,
    symbolize: &dyn Fn(VirtAddr) -> Option<String>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let here = addr.wrapping_add((bytes.len() - rest.len()) as u64);
        let window = rest.get(..MAX_INSTRUCTION).unwrap_or(rest);
        let insn = decode(window, here);
        let (line, tail) = rest.split_at(insn.map_or(1, |insn| insn.len()));
        lines.push(Line {
            addr: here,
            bytes: line.to_vec(),
            text: insn.map_or_else(|| "(bad)".to_owned(), |insn| text(&insn, syntax, symbolize)),
            target: insn.and_then(|insn| insn.branch_target().or(insn.rip_relative())),
        });
        rest = tail;
    }
    lines
}

fn text(insn: &Insn, syntax: Syntax, symbolize: &dyn Fn(VirtAddr) -> Option<String>) -> String {
    let mut text = Text::default();
    match syntax {
        Syntax::Att => gas().format(&insn.raw, &mut text),
        Syntax::Intel => intel().format(&insn.raw, &mut text),
    }
    name_targets(insn, text.0, symbolize)
}

/// gdb's habit: a branch names its target in angle brackets, and memory
/// relative to the instruction is spelled out in a comment.
fn name_targets(
    insn: &Insn,
    mut text: String,
    symbolize: &dyn Fn(VirtAddr) -> Option<String>,
) -> String {
    if let Some(name) = insn.branch_target().and_then(symbolize) {
        text.push_str(&format!(" <{name}>"));
    } else if let Some(memory) = insn.rip_relative() {
        text.push_str(&format!("        # {memory}"));
        if let Some(name) = symbolize(memory) {
            text.push_str(&format!(" <{name}>"));
        }
    }
    text
}

/// Lets every number pass as it is: names are added by the caller.
struct NoNames;

impl SymbolResolver for NoNames {
    fn symbol(
        &mut self,
        _: &Instruction,
        _: u32,
        _: Option<u32>,
        _: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        None
    }
}

#[derive(Default)]
struct Text(String);

impl FormatterOutput for Text {
    fn write(&mut self, text: &str, _: FormatterTextKind) {
        self.0.push_str(text);
    }
}

fn gas() -> GasFormatter {
    let mut formatter = GasFormatter::with_options(Some(Box::new(NoNames)), None);
    plain_numbers(formatter.options_mut());
    formatter
}

fn intel() -> IntelFormatter {
    let mut formatter = IntelFormatter::with_options(Some(Box::new(NoNames)), None);
    plain_numbers(formatter.options_mut());
    formatter
}

fn plain_numbers(options: &mut iced_x86::FormatterOptions) {
    options.set_uppercase_hex(false);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_small_hex_numbers_in_decimal(false);
    options.set_branch_leading_zeros(false);
    options.set_show_branch_size(false);
    options.set_rip_relative_addresses(true);
    options.set_space_after_operand_separator(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], att: &str, intel: &str, target: Option<u64>) {
        let names = |addr: VirtAddr| (addr.get() == 0x40_1010).then(|| "main+16".to_owned());
        for (syntax, expected) in [(Syntax::Att, att), (Syntax::Intel, intel)] {
            let lines = print(bytes, VirtAddr::new(0x40_1000), syntax, &names);
            let [line] = &lines[..] else { panic!("{lines:?}") };
            assert_eq!(line.text, expected);
            assert_eq!(line.bytes, bytes);
            assert_eq!(line.target.map(VirtAddr::get), target);
        }
    }

    #[test]
    fn instructions_read_as_in_gdb() {
        check(&[0x48, 0x89, 0xe5], "mov %rsp,%rbp", "mov rbp,rsp", None);
        check(&[0xb8, 5, 0, 0, 0], "mov $0x5,%eax", "mov eax,0x5", None);
        check(&[0x75, 0x0e], "jne 0x401010 <main+16>", "jne 0x401010 <main+16>", Some(0x40_1010));
        check(&[0xeb, 0x00], "jmp 0x401002", "jmp 0x401002", Some(0x40_1002));
        check(
            &[0x8b, 0x05, 0x0a, 0, 0, 0],
            "mov 0xa(%rip),%eax        # 0x401010 <main+16>",
            "mov eax,[rip+0xa]        # 0x401010 <main+16>",
            Some(0x40_1010),
        );
        check(&[0x48, 0x8b, 0x44, 0x24, 0xf8], "mov -0x8(%rsp),%rax", "mov rax,[rsp-0x8]", None);
    }

    #[test]
    fn what_is_no_instruction_takes_a_byte() {
        let lines = print(&[0x06, 0x90, 0xe8, 0], VirtAddr::new(16), Syntax::Att, &|_| None);
        let seen: Vec<(u64, &str)> =
            lines.iter().map(|line| (line.addr.get(), line.text.as_str())).collect();
        assert_eq!(seen, [(16, "(bad)"), (17, "nop"), (18, "(bad)"), (19, "(bad)")]);
    }
}
