//! Operations that want their operands in registers of the processor's choice:
//! divisions and shifts by a count that is not known.

use iced_x86::{Code, Instruction};
use trapline_core::x64::Reg;

use super::Result;
use super::asm::{ASK, Mem, Rm, gpr};
use super::generate::Generator;
use super::operand::{Source, Value, computed, width};
use super::reciprocal;
use super::tree::WordId;
use crate::ir::IntKind;

/// Registers that divisions and long products use.
const USED: [Reg; 2] = [Reg::Rax, Reg::Rdx];

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
        if let Some(known) = self.tree.known(b)
            && let Some(value) = self.divide_by_known(remainder, a, known, kind)?
        {
            return Ok(value);
        }
        let bytes = width(kind);
        let (first, second) = self.two_outside(a, b, &USED, [bytes; 2])?;
        let known = self.tree.known(b);
        if matches!(known, None | Some(0)) {
            self.test_self(second.reg, bytes);
            self.asm.branch(Code::Je_rel32_64, ASK);
        }
        let (negative_one, done) = (self.asm.label(), self.asm.label());
        let special = kind.signed && known.is_none();
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

    /// `None` where nothing is gained by knowing the divisor.
    fn divide_by_known(
        &mut self,
        remainder: bool,
        a: WordId,
        known: u64,
        kind: IntKind,
    ) -> Result<Option<Value>> {
        let bits = u32::from(width(kind)) * 8;
        let magnitude = if kind.signed { known.cast_signed().unsigned_abs() } else { known };
        let found = match kind.signed {
            true => reciprocal::signed(magnitude, bits),
            false => reciprocal::unsigned(magnitude, bits),
        };
        let Some(found) = found else { return Ok(None) };
        let value = self.value(a)?;
        let value = self.extended(value, kind, 64)?;
        let (value, quotient) = match bits {
            64 => self.high_product(value, found.factor, kind)?,
            _ => (value, self.long_product(value, found.factor)?),
        };
        let shift = found.shift + if bits == 64 { 0 } else { 32 };
        self.shift_imm(false, IntKind { bytes: 8, ..kind }, quotient, shift);
        if kind.signed {
            self.add_sign(quotient, value.reg)?;
        }
        if remainder {
            return self.rest(value, quotient, magnitude, kind).map(Some);
        }
        self.release(value);
        if kind.signed && known.cast_signed() < 0 {
            self.asm.one(Code::Neg_rm64, Rm::Reg(quotient), 8);
        }
        let valid = if kind.signed { computed(kind) } else { 64 };
        Ok(Some(Value { reg: quotient, owned: true, valid }))
    }

    /// The product of two numbers of 4 bytes, in a register of its own.
    fn long_product(&mut self, value: Value, factor: u64) -> Result<Reg> {
        let product = self.registers.take()?;
        self.mov_known(product, factor);
        self.asm.regs(Code::Imul_r64_rm64, gpr(product, 8), gpr(value.reg, 8));
        Ok(product)
    }

    /// The high half of a product, in a register of its own, and the value
    /// where it is now.
    fn high_product(&mut self, value: Value, factor: u64, kind: IntKind) -> Result<(Value, Reg)> {
        let value = match USED.contains(&value.reg) {
            true => self.outside(value, &USED, 8)?,
            false => value,
        };
        let product = self.registers.take_except(&USED)?;
        let lent = self.borrow(&USED);
        self.mov_known(Reg::Rax, factor);
        let code = if kind.signed { Code::Imul_rm64 } else { Code::Mul_rm64 };
        self.asm.one(code, Rm::Reg(value.reg), 8);
        self.mov(product, Rm::Reg(Reg::Rdx), 8);
        self.give_back(lent);
        if kind.signed && factor >> 63 == 1 {
            // The factor was taken for a negative number.
            self.asm.regs(Code::Add_r64_rm64, gpr(product, 8), gpr(value.reg, 8));
        }
        Ok((value, product))
    }

    /// Adds 1 when a number is negative.
    fn add_sign(&mut self, to: Reg, of: Reg) -> Result<()> {
        let sign = self.registers.take()?;
        self.mov(sign, Rm::Reg(of), 8);
        self.asm.rm_imm(Code::Shr_rm64_imm8, Rm::Reg(sign), 63, 8);
        self.asm.regs(Code::Add_r64_rm64, gpr(to, 8), gpr(sign, 8));
        self.registers.release(sign);
        Ok(())
    }

    /// What a quotient leaves of a number.
    fn rest(&mut self, value: Value, quotient: Reg, by: u64, kind: IntKind) -> Result<Value> {
        match i32::try_from(by.cast_signed()) {
            Ok(imm) if by <= i32::MAX as u64 => {
                let rm = Rm::Reg(quotient);
                let short = i8::try_from(imm).is_ok();
                let code = if short { Code::Imul_r64_rm64_imm8 } else { Code::Imul_r64_rm64_imm32 };
                self.asm.reg_rm_imm(code, gpr(quotient, 8), rm, imm, 8);
            }
            _ => {
                let factor = self.registers.take()?;
                self.mov_known(factor, by);
                self.asm.regs(Code::Imul_r64_rm64, gpr(quotient, 8), gpr(factor, 8));
                self.registers.release(factor);
            }
        }
        let value = self.own(value, 8)?;
        self.asm.regs(Code::Sub_r64_rm64, gpr(value.reg, 8), gpr(quotient, 8));
        self.registers.release(quotient);
        let valid = if kind.signed { computed(kind) } else { 64 };
        Ok(Value { valid, ..value })
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
        let (bytes, counted) = (width(kind), width(self.tree.kind(count)));
        let (value, by) = self.two_outside(value, count, &[Reg::Rcx], [bytes, counted])?;
        let (all, done) = (self.asm.label(), self.asm.label());
        let bits = Source::Imm(kind.bits().cast_signed());
        self.cmp(counted, Rm::Reg(by.reg), bits);
        self.asm.branch(Code::Jae_rel32_64, all);
        let lent = self.borrow(&[Reg::Rcx]);
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
