//! Comparisons as compare-and-branch.

use iced_x86::Code;

use super::Result;
use super::asm::{Label, Rm, gpr};
use super::build::mirrored;
use super::generate::Generator;
use super::operand::{Operand, Source, width};
use super::tree::{Op, WordId};
use crate::ir::{Arithmetic, Comparison, IntKind, Sort};

impl Generator<'_> {
    pub(super) fn branch_compare(
        &mut self,
        op: Comparison,
        a: WordId,
        b: WordId,
        when: bool,
        to: Label,
    ) -> Result<()> {
        match self.tree.word(a).sort {
            Sort::Int(kind) => {
                let op = self.compare(op, a, b, kind)?;
                self.asm.branch(jump(if when { op } else { opposite(op) }, kind), to);
                Ok(())
            }
            Sort::Float(kind) => self.branch_floats(op, a, b, kind, when, to),
        }
    }

    /// Sets the flags; says which comparison they answer: the operands may
    /// have changed sides.
    pub(super) fn compare(
        &mut self,
        op: Comparison,
        a: WordId,
        b: WordId,
        kind: IntKind,
    ) -> Result<Comparison> {
        if let Some(known) = self.tree.known(b) {
            self.compare_known(op, a, known, kind)?;
            return Ok(op);
        }
        let swaps = self.in_memory(a, kind) && !self.in_memory(b, kind);
        let (op, a, b) = if swaps { (mirrored(op), b, a) } else { (op, a, b) };
        let (first, second) = self.pair(a, b)?;
        self.cmp(width(kind), first.rm, second);
        self.release_source(second);
        self.release_operand(first);
        Ok(op)
    }

    /// Both operands of one instruction, the first in a register; the one that
    /// takes more registers is computed first.
    fn pair(&mut self, a: WordId, b: WordId) -> Result<(Operand, Source)> {
        if self.tree.word(b).need > self.tree.word(a).need {
            let second = self.source(b)?;
            return Ok((self.whole_value(a)?.into(), second));
        }
        let first = self.whole_value(a)?.into();
        Ok((first, self.source(b)?))
    }

    fn compare_known(
        &mut self,
        op: Comparison,
        a: WordId,
        known: u64,
        kind: IntKind,
    ) -> Result<()> {
        let equality = matches!(op, Comparison::Eq | Comparison::Ne);
        if known == 0 && equality && self.test_mask(a, kind)? {
            return Ok(());
        }
        let bytes = if kind.bytes == 1 { 1 } else { width(kind) };
        let first = if bytes == 1 { self.byte_operand(a)? } else { self.operand(a)? };
        match (first.rm, immediate(known, bytes)) {
            (Rm::Reg(reg), _) if known == 0 => {
                let code = match bytes {
                    1 => Code::Test_rm8_r8,
                    4 => Code::Test_rm32_r32,
                    _ => Code::Test_rm64_r64,
                };
                self.asm.rm_reg(code, first.rm, gpr(reg, bytes), bytes);
            }
            (rm, Some(imm)) => self.cmp(bytes, rm, Source::Imm(imm)),
            (rm, None) => {
                let reg = self.registers.take()?;
                self.mov_known(reg, known);
                self.asm.rm_reg(Code::Cmp_rm64_r64, rm, gpr(reg, 8), 8);
                self.registers.release(reg);
            }
        }
        self.release_operand(first);
        Ok(())
    }

    /// `x & mask` against zero, when that is what is asked.
    fn test_mask(&mut self, a: WordId, kind: IntKind) -> Result<bool> {
        let Op::Arithmetic(Arithmetic::And, value, mask) = self.tree.word(a).op else {
            return Ok(false);
        };
        let bytes = if kind.bytes == 1 { 1 } else { width(kind) };
        let Some(imm) = self.tree.known(mask).and_then(|mask| immediate(mask, bytes)) else {
            return Ok(false);
        };
        let first = if bytes == 1 { self.byte_operand(value)? } else { self.operand(value)? };
        let code = match bytes {
            1 => Code::Test_rm8_imm8,
            4 => Code::Test_rm32_imm32,
            _ => Code::Test_rm64_imm32,
        };
        self.asm.rm_imm(code, first.rm, imm, bytes);
        self.release_operand(first);
        Ok(true)
    }

    pub(super) fn cmp(&mut self, bytes: u8, first: Rm, second: Source) {
        match (second, first) {
            (Source::Imm(imm), _) => {
                let short = i8::try_from(imm).is_ok();
                let code = match (bytes, short) {
                    (1, _) => Code::Cmp_rm8_imm8,
                    (2, _) => Code::Cmp_rm16_imm16,
                    (4, true) => Code::Cmp_rm32_imm8,
                    (4, false) => Code::Cmp_rm32_imm32,
                    (_, true) => Code::Cmp_rm64_imm8,
                    (_, false) => Code::Cmp_rm64_imm32,
                };
                self.asm.rm_imm(code, first, imm, bytes);
            }
            (Source::Rm(operand), Rm::Reg(reg)) => {
                let code = if bytes == 8 { Code::Cmp_r64_rm64 } else { Code::Cmp_r32_rm32 };
                self.asm.reg_rm(code, gpr(reg, bytes), operand.rm, bytes);
            }
            (Source::Rm(Operand { rm: Rm::Reg(reg), .. }), Rm::Mem(_)) => {
                let code = if bytes == 8 { Code::Cmp_rm64_r64 } else { Code::Cmp_rm32_r32 };
                self.asm.rm_reg(code, first, gpr(reg, bytes), bytes);
            }
            // Callers have one side in a register.
            (Source::Rm(_), Rm::Mem(_)) => self.asm.fail(),
        }
    }
}

/// A known word as what instructions of so many bytes can hold.
pub(super) fn immediate(word: u64, bytes: u8) -> Option<i32> {
    match bytes {
        1 => Some(i32::from(word as i8)),
        2 => Some(i32::from(word as i16)),
        4 => Some(word as i32),
        _ => i32::try_from(word.cast_signed()).ok(),
    }
}

pub(super) fn opposite(op: Comparison) -> Comparison {
    match op {
        Comparison::Eq => Comparison::Ne,
        Comparison::Ne => Comparison::Eq,
        Comparison::Lt => Comparison::Ge,
        Comparison::Le => Comparison::Gt,
        Comparison::Gt => Comparison::Le,
        Comparison::Ge => Comparison::Lt,
    }
}

/// The branch that is taken when a comparison of integers holds.
fn jump(op: Comparison, kind: IntKind) -> Code {
    match (op, kind.signed) {
        (Comparison::Eq, _) => Code::Je_rel32_64,
        (Comparison::Ne, _) => Code::Jne_rel32_64,
        (Comparison::Lt, true) => Code::Jl_rel32_64,
        (Comparison::Le, true) => Code::Jle_rel32_64,
        (Comparison::Gt, true) => Code::Jg_rel32_64,
        (Comparison::Ge, true) => Code::Jge_rel32_64,
        (Comparison::Lt, false) => Code::Jb_rel32_64,
        (Comparison::Le, false) => Code::Jbe_rel32_64,
        (Comparison::Gt, false) => Code::Ja_rel32_64,
        (Comparison::Ge, false) => Code::Jae_rel32_64,
    }
}

/// The instruction that makes a byte of the answer.
pub(super) fn set(op: Comparison, kind: IntKind) -> Code {
    match (op, kind.signed) {
        (Comparison::Eq, _) => Code::Sete_rm8,
        (Comparison::Ne, _) => Code::Setne_rm8,
        (Comparison::Lt, true) => Code::Setl_rm8,
        (Comparison::Le, true) => Code::Setle_rm8,
        (Comparison::Gt, true) => Code::Setg_rm8,
        (Comparison::Ge, true) => Code::Setge_rm8,
        (Comparison::Lt, false) => Code::Setb_rm8,
        (Comparison::Le, false) => Code::Setbe_rm8,
        (Comparison::Gt, false) => Code::Seta_rm8,
        (Comparison::Ge, false) => Code::Setae_rm8,
    }
}
