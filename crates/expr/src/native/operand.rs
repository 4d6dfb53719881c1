//! Values in registers and operands of instructions: who holds what, and how
//! much of it can be relied on.

use iced_x86::Code;
use trapline_core::x64::Reg;

use super::Result;
use super::asm::{Rm, gpr};
use super::generate::Generator;
use crate::ir::IntKind;

/// A word in a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) reg: Reg,
    /// Whether the register is ours to change and to give back.
    pub(super) owned: bool,
    /// So many low bits are those of the word; the others can be anything.
    pub(super) valid: u32,
}

/// What an instruction takes, with the registers of ours in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) rm: Rm,
    pub(super) held: [Option<Reg>; 2],
}

/// The second operand of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Imm(i32),
    Rm(Operand),
}

impl From<Value> for Operand {
    fn from(value: Value) -> Self {
        Self { rm: Rm::Reg(value.reg), held: [value.owned.then_some(value.reg), None] }
    }
}

/// Bytes of the registers in which an integer is computed.
pub(super) fn width(kind: IntKind) -> u8 {
    if kind.bytes == 8 { 8 } else { 4 }
}

/// Bits that are the word's own after an operation at a kind's width of which
/// the result was not extended.
pub(super) fn computed(kind: IntKind) -> u32 {
    if kind.bytes == 4 && !kind.signed { 64 } else { kind.bits() }
}

impl Generator<'_> {
    pub(super) fn release(&mut self, value: Value) {
        if value.owned {
            self.registers.release(value.reg);
        }
    }

    pub(super) fn release_operand(&mut self, operand: Operand) {
        for reg in operand.held.into_iter().flatten() {
            self.registers.release(reg);
        }
    }

    pub(super) fn release_source(&mut self, source: Source) {
        if let Source::Rm(operand) = source {
            self.release_operand(operand);
        }
    }

    /// A value in a register of ours.
    pub(super) fn own(&mut self, value: Value, bytes: u8) -> Result<Value> {
        if value.owned {
            return Ok(value);
        }
        let reg = self.registers.take()?;
        self.mov(reg, Rm::Reg(value.reg), bytes);
        Ok(Value { reg, owned: true, valid: value.valid.min(u32::from(bytes) * 8) })
    }

    /// Makes so many low bits of a value those of the word, as its kind extends
    /// it.
    pub(super) fn extended(&mut self, value: Value, kind: IntKind, bits: u32) -> Result<Value> {
        if value.valid >= bits {
            return Ok(value);
        }
        let reg = if value.owned { value.reg } else { self.registers.take()? };
        let to = if bits > 32 && kind.signed { 8 } else { 4 };
        self.widen(reg, Rm::Reg(value.reg), kind, to);
        let valid = if kind.signed { u32::from(to) * 8 } else { 64 };
        Ok(Value { reg, owned: true, valid })
    }

    /// Reads an integer of a kind into a register of 4 or 8 bytes, extended.
    pub(super) fn widen(&mut self, reg: Reg, from: Rm, kind: IntKind, to: u8) {
        let code = match (kind.bytes, kind.signed, to) {
            (1, true, 8) => Code::Movsx_r64_rm8,
            (1, true, _) => Code::Movsx_r32_rm8,
            (1, false, _) => Code::Movzx_r32_rm8,
            (2, true, 8) => Code::Movsx_r64_rm16,
            (2, true, _) => Code::Movsx_r32_rm16,
            (2, false, _) => Code::Movzx_r32_rm16,
            (4, true, 8) => Code::Movsxd_r64_rm32,
            (8, ..) => Code::Mov_r64_rm64,
            _ => Code::Mov_r32_rm32,
        };
        let wide = matches!(
            code,
            Code::Movsx_r64_rm8 | Code::Movsx_r64_rm16 | Code::Movsxd_r64_rm32 | Code::Mov_r64_rm64
        );
        self.asm.reg_rm(code, gpr(reg, if wide { 8 } else { 4 }), from, kind.bytes);
    }

    pub(super) fn mov(&mut self, reg: Reg, from: Rm, bytes: u8) {
        let code = if bytes == 8 { Code::Mov_r64_rm64 } else { Code::Mov_r32_rm32 };
        self.asm.reg_rm(code, gpr(reg, bytes.max(4)), from, bytes.max(4));
    }

    /// Puts a known word into a register; changes the flags.
    pub(super) fn mov_known(&mut self, reg: Reg, word: u64) {
        use iced_x86::Instruction;
        if word == 0 {
            return self.asm.regs(Code::Xor_r32_rm32, gpr(reg, 4), gpr(reg, 4));
        }
        self.asm.push(match (u32::try_from(word), i32::try_from(word.cast_signed())) {
            (Ok(low), _) => Instruction::with2(Code::Mov_r32_imm32, gpr(reg, 4), low),
            (_, Ok(low)) => Instruction::with2(Code::Mov_rm64_imm32, gpr(reg, 8), low),
            _ => Instruction::with2(Code::Mov_r64_imm64, gpr(reg, 8), word),
        });
    }
}
