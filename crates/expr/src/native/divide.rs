//! Operations that want their operands in registers of the processor's choice:
//! divisions and shifts by a count that is not known.

use iced_x86::{Code, Instruction};
use trapline_core::x64::Reg;

use super::Result;
use super::asm::{ASK, Mem, Rm, gpr};
use super::generate::Generator;
use super::operand::{Source, Value, computed, width};
use super::tree::WordId;
use crate::ir::IntKind;

/// Registers lent for one instruction, with where their owners' values are.
struct Lent(Vec<(Reg, Option<Mem>)>);

impl Generator<'_> {
    /// Makes registers free that others may use.
    fn borrow(&mut self, regs: &[Reg]) -> Lent {
        let mut lent = Vec::new();
        for &reg in regs {
            let kept = self.registers.is_used(reg).then(|| self.registers.take_scratch());
            if let Some(mem) = kept {
                self.asm.store(Code::Mov_rm64_r64, mem, gpr(reg, 8));
            }
            self.registers.claim(reg);
            lent.push((reg, kept));
        }
        Lent(lent)
    }

    fn give_back(&mut self, lent: Lent) {
        for (reg, kept) in lent.0.into_iter().rev() {
            match kept {
                // The owner, who claimed it first, still does.
                Some(mem) => {
                    self.mov(reg, Rm::Mem(mem), 8);
                    self.registers.release_scratch();
                }
                None => self.registers.release(reg),
            }
        }
    }

    /// A value in a register of ours that is none of these.
    fn outside(&mut self, value: Value, not: &[Reg], bytes: u8) -> Result<Value> {
        if value.owned && !not.contains(&value.reg) {
            return Ok(value);
        }
        let reg = self.registers.take_except(not)?;
        self.mov(reg, Rm::Reg(value.reg), bytes);
        self.release(value);
        Ok(Value { reg, owned: true, ..value })
    }

    /// Both operands in registers of ours that are none of these.
    fn two_outside(
        &mut self,
        a: WordId,
        b: WordId,
        not: &[Reg],
        bytes: [u8; 2],
    ) -> Result<(Value, Value)> {
        if self.tree.word(b).need > self.tree.word(a).need {
            let second = self.whole_value(b)?;
            let second = self.outside(second, not, bytes[1])?;
            let first = self.whole_value(a)?;
            return Ok((self.outside(first, not, bytes[0])?, second));
        }
        let first = self.whole_value(a)?;
        let first = self.outside(first, not, bytes[0])?;
        let second = self.whole_value(b)?;
        Ok((first, self.outside(second, not, bytes[1])?))
    }

    /// Asks when the divisor is zero. The lowest number divided by -1 is
    /// itself, which the processor does not know.
    pub(super) fn divide(
        &mut self,
        remainder: bool,
        a: WordId,
        b: WordId,
        kind: IntKind,
    ) -> Result<Value> {
        const USED: [Reg; 2] = [Reg::Rax, Reg::Rdx];
        let bytes = width(kind);
        let (first, second) = self.two_outside(a, b, &USED, [bytes; 2])?;
        let known = self.tree.known(b);
        if matches!(known, None | Some(0)) {
            self.test_self(second.reg, bytes);
            self.asm.branch(Code::Je_rel32_64, ASK);
        }
        let (negative_one, done) = (self.asm.label(), self.asm.label());
        let special = kind.signed && known.is_none_or(|known| known == u64::MAX);
        if special {
            self.cmp(bytes, Rm::Reg(second.reg), Source::Imm(-1));
            self.asm.branch(Code::Je_rel32_64, negative_one);
        }
        let lent = self.borrow(&USED);
        self.mov(Reg::Rax, Rm::Reg(first.reg), bytes);
        self.divide_rax(second.reg, kind);
        self.mov(first.reg, Rm::Reg(if remainder { Reg::Rdx } else { Reg::Rax }), bytes);
        self.give_back(lent);
        if special {
            self.asm.branch(Code::Jmp_rel32_64, done);
            self.asm.bind(negative_one);
            if remainder {
                self.mov_known(first.reg, 0);
            } else {
                let code = if bytes == 8 { Code::Neg_rm64 } else { Code::Neg_rm32 };
                self.asm.one(code, Rm::Reg(first.reg), bytes);
            }
            self.asm.bind(done);
        }
        self.release(second);
        Ok(Value { valid: computed(kind), ..first })
    }

    fn divide_rax(&mut self, by: Reg, kind: IntKind) {
        let wide = width(kind) == 8;
        if kind.signed {
            self.asm.push(Ok(Instruction::with(if wide { Code::Cqo } else { Code::Cdq })));
        } else {
            self.mov_known(Reg::Rdx, 0);
        }
        let code = match (wide, kind.signed) {
            (false, false) => Code::Div_rm32,
            (false, true) => Code::Idiv_rm32,
            (true, false) => Code::Div_rm64,
            (true, true) => Code::Idiv_rm64,
        };
        self.asm.one(code, Rm::Reg(by), width(kind));
    }

    pub(super) fn test_self(&mut self, reg: Reg, bytes: u8) {
        let code = if bytes == 8 { Code::Test_rm64_r64 } else { Code::Test_rm32_r32 };
        self.asm.rm_reg(code, Rm::Reg(reg), gpr(reg, bytes), bytes);
    }

    pub(super) fn shift(
        &mut self,
        left: bool,
        value: WordId,
        count: WordId,
        kind: IntKind,
    ) -> Result<Value> {
        match self.tree.known(count) {
            Some(known) => {
                let negative = self.tree.kind(count).signed && known.cast_signed() < 0;
                self.shift_known(left, value, known, negative, kind)
            }
            None => self.shift_counted(left, value, count, kind),
        }
    }

    fn shift_known(
        &mut self,
        left: bool,
        value: WordId,
        count: u64,
        negative: bool,
        kind: IntKind,
    ) -> Result<Value> {
        let bytes = width(kind);
        let value = if left { self.value(value)? } else { self.whole_value(value)? };
        let whole = value.valid;
        let value = self.own(value, bytes)?;
        let all = negative || count >= u64::from(kind.bits());
        if all && (left || !kind.signed) {
            self.mov_known(value.reg, 0);
            return Ok(Value { valid: 64, ..value });
        }
        let count = if all { u32::from(bytes) * 8 - 1 } else { count as u32 };
        self.shift_imm(left, kind, value.reg, count);
        let small = !left && !kind.signed && whole == 64;
        Ok(Value { valid: if small { 64 } else { computed(kind) }, ..value })
    }

    fn shift_imm(&mut self, left: bool, kind: IntKind, reg: Reg, count: u32) {
        let bytes = width(kind);
        if left && count == 1 {
            let code = if bytes == 8 { Code::Add_r64_rm64 } else { Code::Add_r32_rm32 };
            return self.asm.reg_rm(code, gpr(reg, bytes), Rm::Reg(reg), bytes);
        }
        let code = match (left, kind.signed, bytes) {
            (true, _, 8) => Code::Shl_rm64_imm8,
            (true, ..) => Code::Shl_rm32_imm8,
            (false, true, 8) => Code::Sar_rm64_imm8,
            (false, true, _) => Code::Sar_rm32_imm8,
            (false, false, 8) => Code::Shr_rm64_imm8,
            (false, false, _) => Code::Shr_rm32_imm8,
        };
        self.asm.rm_imm(code, Rm::Reg(reg), count.cast_signed(), bytes);
    }

    fn shift_counted(
        &mut self,
        left: bool,
        value: WordId,
        count: WordId,
        kind: IntKind,
    ) -> Result<Value> {
        const USED: [Reg; 1] = [Reg::Rcx];
        let (bytes, counted) = (width(kind), width(self.tree.kind(count)));
        let (value, by) = self.two_outside(value, count, &USED, [bytes, counted])?;
        let (all, done) = (self.asm.label(), self.asm.label());
        let bits = Source::Imm(kind.bits().cast_signed());
        self.cmp(counted, Rm::Reg(by.reg), bits);
        self.asm.branch(Code::Jae_rel32_64, all);
        let lent = self.borrow(&USED);
        self.mov(Reg::Rcx, Rm::Reg(by.reg), 4);
        let code = match (left, kind.signed, bytes) {
            (true, _, 8) => Code::Shl_rm64_CL,
            (true, ..) => Code::Shl_rm32_CL,
            (false, true, 8) => Code::Sar_rm64_CL,
            (false, true, _) => Code::Sar_rm32_CL,
            (false, false, 8) => Code::Shr_rm64_CL,
            (false, false, _) => Code::Shr_rm32_CL,
        };
        self.asm.regs(code, gpr(value.reg, bytes), gpr(Reg::Rcx, 1));
        self.give_back(lent);
        self.asm.branch(Code::Jmp_rel32_64, done);
        self.asm.bind(all);
        match !left && kind.signed {
            true => self.shift_imm(false, kind, value.reg, u32::from(bytes) * 8 - 1),
            false => self.mov_known(value.reg, 0),
        }
        self.asm.bind(done);
        self.release(by);
        Ok(Value { valid: computed(kind), ..value })
    }
}
