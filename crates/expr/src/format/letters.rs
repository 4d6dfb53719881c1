//! gdb's format letters.

use std::fmt::Write as _;

use trapline_core::VirtAddr;
use trapline_core::types::BaseKind;

use super::float::{float, truncated};
use super::number::{signed, unsigned};
use super::quote::character;
use super::{Formatter, Letter};

impl Formatter<'_> {
    /// Prints a number the way a letter asks for; `false` when the letter
    /// means nothing for it and it prints as usual.
    pub(super) fn by_letter(&mut self, letter: Letter, kind: BaseKind, bytes: &[u8]) -> bool {
        let value = unsigned(bytes);
        let digits = bytes.len() * 2;
        let is_float = matches!(kind, BaseKind::Float | BaseKind::Quad);
        let written = match letter {
            // The value, not the bits, as gdb has it since version 8.
            _ if is_float && matches!(letter, Letter::Signed | Letter::Unsigned) => {
                return false;
            }
            Letter::Hex => write!(self.out, "{value:#x}"),
            Letter::PaddedHex => write!(self.out, "0x{value:0digits$x}"),
            Letter::Signed => write!(self.out, "{}", signed(bytes)),
            Letter::Unsigned => write!(self.out, "{value}"),
            Letter::Octal if value == 0 => write!(self.out, "0"),
            Letter::Octal => write!(self.out, "0{value:o}"),
            Letter::Binary => write!(self.out, "{value:b}"),
            // As gdb does, cut to a `char` that is signed if the value is.
            Letter::Character => {
                let whole = if is_float { truncated(bytes) } else { signed(bytes) };
                let code = whole.to_le_bytes()[0];
                let is_signed = is_float || matches!(kind, BaseKind::Signed | BaseKind::SignedChar);
                let number = if is_signed { signed(&[code]) } else { code.into() };
                write!(self.out, "{number} {}", character(code))
            }
            Letter::Address => {
                self.address(VirtAddr::new(value as u64));
                Ok(())
            }
            Letter::Float if kind != BaseKind::Quad && matches!(bytes.len(), 4 | 8 | 10 | 16) => {
                write!(self.out, "{}", float(bytes))
            }
            Letter::Float | Letter::Text => return false,
        };
        written.is_ok()
    }

    /// An address, and the symbol there.
    pub(super) fn address(&mut self, address: VirtAddr) {
        let _ = write!(self.out, "{address}");
        if let Some(name) = self.symbol(address) {
            let _ = write!(self.out, " <{name}>");
        }
    }

    pub(super) fn symbol(&self, address: VirtAddr) -> Option<String> {
        self.options.symbolize.and_then(|symbolize| symbolize(address))
    }
}
