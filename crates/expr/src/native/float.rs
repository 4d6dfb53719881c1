//! Floats, in vector registers. They compute in the environment that the
//! predicate sets up first.

use iced_x86::{Code, Register};

use super::Result;
use super::asm::{Label, Rm, gpr, xmm};
use super::generate::Generator;
use super::operand::Value;
use super::tree::{Op, WordId};
use crate::ir::{Arithmetic, Comparison, FloatKind, IntKind, Sort};

/// Bits of 2 to the power of 63.
const TWO_TO_63: u64 = 0x43e0_0000_0000_0000;

/// A float in a vector register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Float {
    pub(super) index: u8,
    /// Whether the register is ours to change and to give back.
    owned: bool,
}

/// The second operand of an instruction on floats.
enum Second {
    Float(Float),
    Memory(super::operand::Operand),
}

impl Generator<'_> {
    pub(super) fn release_float(&mut self, float: Float) {
        if float.owned {
            self.registers.release_vector(float.index);
        }
    }

    fn fresh_float(&mut self) -> Result<Float> {
        Ok(Float { index: self.registers.take_vector()?, owned: true })
    }

    pub(super) fn own_float(&mut self, float: Float) -> Result<Float> {
        if float.owned {
            return Ok(float);
        }
        let own = self.fresh_float()?;
        self.asm.regs(Code::Movaps_xmm_xmmm128, xmm(own.index), xmm(float.index));
        Ok(own)
    }

    /// The program's vector register, where it is.
    pub(super) fn program_float(&mut self, index: u8) -> Result<Float> {
        match self.registers.program_vector(index) {
            None => Ok(Float { index, owned: false }),
            Some(slot) => {
                let float = self.fresh_float()?;
                self.asm.mem(Code::Movups_xmm_xmmm128, xmm(float.index), slot);
                Ok(float)
            }
        }
    }

    /// A float word in a vector register.
    pub(super) fn float(&mut self, id: WordId) -> Result<Float> {
        self.asm.check_length()?;
        let word = self.tree.word(id);
        let kind = float_kind(word.sort)?;
        match word.op {
            Op::Const(bits) => self.known_float(bits, kind),
            Op::Vector(index) => self.program_float(index),
            Op::Load(address) => {
                let operand = self.address(address)?;
                self.release_operand(operand);
                let float = self.fresh_float()?;
                let code = pick(kind, Code::Movss_xmm_xmmm32, Code::Movsd_xmm_xmmm64);
                if let Rm::Mem(mem) = operand.rm {
                    self.asm.mem(code, xmm(float.index), mem);
                }
                Ok(float)
            }
            Op::FromBits(bits) => {
                let value = self.value(bits)?;
                let float = self.fresh_float()?;
                self.move_bits(float, value, kind);
                self.release(value);
                Ok(float)
            }
            Op::ToFloat(from) => match self.tree.word(from).sort {
                Sort::Int(from_kind) => self.convert_int(from, from_kind, kind),
                Sort::Float(_) => self.convert_float(from, kind),
            },
            Op::Negate(a) => self.negate_float(a, kind),
            Op::Arithmetic(op, a, b) => self.float_arithmetic(op, a, b, kind),
            Op::Select(test, a, b) => self.select_float(test, a, b),
            _ => Err("an integer where a float is wanted".into()),
        }
    }

    fn move_bits(&mut self, float: Float, value: Value, kind: FloatKind) {
        match kind {
            FloatKind::F32 => {
                self.asm.regs(Code::Movd_xmm_rm32, xmm(float.index), gpr(value.reg, 4));
            }
            FloatKind::F64 => {
                self.asm.regs(Code::Movq_xmm_rm64, xmm(float.index), gpr(value.reg, 8));
            }
        }
    }

    fn known_float(&mut self, bits: u64, kind: FloatKind) -> Result<Float> {
        let float = self.fresh_float()?;
        if bits == 0 {
            self.asm.regs(Code::Xorps_xmm_xmmm128, xmm(float.index), xmm(float.index));
            return Ok(float);
        }
        let reg = self.registers.take()?;
        self.mov_known(reg, bits);
        self.move_bits(float, Value { reg, owned: true, valid: 64 }, kind);
        self.registers.release(reg);
        Ok(float)
    }

    fn float_arithmetic(
        &mut self,
        op: Arithmetic,
        a: WordId,
        b: WordId,
        kind: FloatKind,
    ) -> Result<Float> {
        let code = match op {
            Arithmetic::Add => pick(kind, Code::Addss_xmm_xmmm32, Code::Addsd_xmm_xmmm64),
            Arithmetic::Sub => pick(kind, Code::Subss_xmm_xmmm32, Code::Subsd_xmm_xmmm64),
            Arithmetic::Mul => pick(kind, Code::Mulss_xmm_xmmm32, Code::Mulsd_xmm_xmmm64),
            Arithmetic::Div => pick(kind, Code::Divss_xmm_xmmm32, Code::Divsd_xmm_xmmm64),
            _ => return Err("an operation that floats do not have".into()),
        };
        let first = self.float(a)?;
        let first = self.own_float(first)?;
        let second = self.second(b)?;
        self.with_second(code, xmm(first.index), second);
        Ok(first)
    }

    fn second(&mut self, id: WordId) -> Result<Second> {
        if let Op::Load(address) = self.tree.word(id).op {
            return self.address(address).map(Second::Memory);
        }
        self.float(id).map(Second::Float)
    }

    fn with_second(&mut self, code: Code, first: Register, second: Second) {
        match second {
            Second::Float(float) => {
                self.asm.regs(code, first, xmm(float.index));
                self.release_float(float);
            }
            Second::Memory(operand) => {
                if let Rm::Mem(mem) = operand.rm {
                    self.asm.mem(code, first, mem);
                }
                self.release_operand(operand);
            }
        }
    }

    fn negate_float(&mut self, a: WordId, kind: FloatKind) -> Result<Float> {
        let sign = pick(kind, 1 << 31, 1 << 63);
        let mask = self.known_float(sign, kind)?;
        let float = self.float(a)?;
        self.asm.regs(Code::Xorps_xmm_xmmm128, xmm(mask.index), xmm(float.index));
        self.release_float(float);
        Ok(mask)
    }

    fn convert_float(&mut self, from: WordId, to: FloatKind) -> Result<Float> {
        let second = self.second(from)?;
        let float = self.fresh_float()?;
        let code = pick(to, Code::Cvtsd2ss_xmm_xmmm64, Code::Cvtss2sd_xmm_xmmm32);
        self.asm.regs(Code::Xorps_xmm_xmmm128, xmm(float.index), xmm(float.index));
        self.with_second(code, xmm(float.index), second);
        Ok(float)
    }

    fn convert_int(&mut self, from: WordId, kind: IntKind, to: FloatKind) -> Result<Float> {
        let value = self.value(from)?;
        let value = self.extended(value, kind, 64)?;
        let float = self.fresh_float()?;
        self.asm.regs(Code::Xorps_xmm_xmmm128, xmm(float.index), xmm(float.index));
        let code = pick(to, Code::Cvtsi2ss_xmm_rm64, Code::Cvtsi2sd_xmm_rm64);
        if kind.bytes < 8 || kind.signed {
            self.asm.regs(code, xmm(float.index), gpr(value.reg, 8));
            self.release(value);
            return Ok(float);
        }
        let value = self.own(value, 8)?;
        self.convert_unsigned(value, float, code, to)?;
        Ok(float)
    }

    /// What does not fit a signed word is halved, the lost bit kept for the
    /// rounding, and doubled as a float.
    fn convert_unsigned(
        &mut self,
        value: Value,
        float: Float,
        code: Code,
        to: FloatKind,
    ) -> Result<()> {
        let (large, done) = (self.asm.label(), self.asm.label());
        let half = self.registers.take()?;
        self.test_self(value.reg, 8);
        self.asm.branch(Code::Js_rel32_64, large);
        self.asm.regs(code, xmm(float.index), gpr(value.reg, 8));
        self.asm.branch(Code::Jmp_rel32_64, done);
        self.asm.bind(large);
        self.mov(half, Rm::Reg(value.reg), 8);
        self.asm.rm_imm(Code::Shr_rm64_imm8, Rm::Reg(half), 1, 8);
        self.asm.rm_imm(Code::And_rm32_imm8, Rm::Reg(value.reg), 1, 4);
        self.asm.regs(Code::Or_r64_rm64, gpr(half, 8), gpr(value.reg, 8));
        self.asm.regs(code, xmm(float.index), gpr(half, 8));
        let double = pick(to, Code::Addss_xmm_xmmm32, Code::Addsd_xmm_xmmm64);
        self.asm.regs(double, xmm(float.index), xmm(float.index));
        self.asm.bind(done);
        self.registers.release(half);
        self.release(value);
        Ok(())
    }

    /// A float as an integer of 8 bytes, toward zero.
    pub(super) fn truncate(&mut self, id: WordId, kind: IntKind) -> Result<Value> {
        self.registers.touch_vectors()?;
        let mut float = self.float(id)?;
        if float_kind(self.tree.word(id).sort)? == FloatKind::F32 {
            let wide = self.fresh_float()?;
            self.asm.regs(Code::Xorps_xmm_xmmm128, xmm(wide.index), xmm(wide.index));
            self.asm.regs(Code::Cvtss2sd_xmm_xmmm32, xmm(wide.index), xmm(float.index));
            self.release_float(float);
            float = wide;
        }
        let reg = self.registers.take()?;
        if kind.signed {
            self.asm.regs(Code::Cvttsd2si_r64_xmmm64, gpr(reg, 8), xmm(float.index));
        } else {
            float = self.truncate_unsigned(float, gpr(reg, 8))?;
        }
        self.release_float(float);
        Ok(Value { reg, owned: true, valid: 64 })
    }

    fn truncate_unsigned(&mut self, float: Float, to: Register) -> Result<Float> {
        let limit = self.known_float(TWO_TO_63, FloatKind::F64)?;
        let float = self.own_float(float)?;
        let (small, done) = (self.asm.label(), self.asm.label());
        self.asm.regs(Code::Ucomisd_xmm_xmmm64, xmm(float.index), xmm(limit.index));
        // Not above or equal: less, or not a number.
        self.asm.branch(Code::Jb_rel32_64, small);
        self.asm.regs(Code::Subsd_xmm_xmmm64, xmm(float.index), xmm(limit.index));
        self.asm.regs(Code::Cvttsd2si_r64_xmmm64, to, xmm(float.index));
        self.asm.push(iced_x86::Instruction::with2(Code::Btc_rm64_imm8, to, 63u32));
        self.asm.branch(Code::Jmp_rel32_64, done);
        self.asm.bind(small);
        self.asm.regs(Code::Cvttsd2si_r64_xmmm64, to, xmm(float.index));
        self.asm.bind(done);
        self.release_float(limit);
        Ok(float)
    }

    fn select_float(&mut self, test: super::tree::TestId, a: WordId, b: WordId) -> Result<Float> {
        let chosen = self.fresh_float()?;
        let (other, done) = (self.asm.label(), self.asm.label());
        self.branch(test, false, other)?;
        self.put_float(chosen, a)?;
        self.asm.branch(Code::Jmp_rel32_64, done);
        self.asm.bind(other);
        self.put_float(chosen, b)?;
        self.asm.bind(done);
        Ok(chosen)
    }

    fn put_float(&mut self, chosen: Float, id: WordId) -> Result<()> {
        let float = self.float(id)?;
        self.asm.regs(Code::Movaps_xmm_xmmm128, xmm(chosen.index), xmm(float.index));
        self.release_float(float);
        Ok(())
    }

    /// `ucomisd` says "below" for what is not ordered, so only "above" is
    /// asked for.
    pub(super) fn branch_floats(
        &mut self,
        op: Comparison,
        a: WordId,
        b: WordId,
        kind: FloatKind,
        when: bool,
        to: Label,
    ) -> Result<()> {
        self.registers.touch_vectors()?;
        let swaps = matches!(op, Comparison::Lt | Comparison::Le);
        let (a, b) = if swaps { (b, a) } else { (a, b) };
        let first = self.float(a)?;
        let second = self.second(b)?;
        let code = pick(kind, Code::Ucomiss_xmm_xmmm32, Code::Ucomisd_xmm_xmmm64);
        self.with_second(code, xmm(first.index), second);
        self.release_float(first);
        match op {
            Comparison::Eq => self.branch_equal(when, to),
            Comparison::Ne => self.branch_equal(!when, to),
            Comparison::Lt | Comparison::Gt => {
                self.asm.branch(if when { Code::Ja_rel32_64 } else { Code::Jbe_rel32_64 }, to);
            }
            Comparison::Le | Comparison::Ge => {
                self.asm.branch(if when { Code::Jae_rel32_64 } else { Code::Jb_rel32_64 }, to);
            }
        }
        Ok(())
    }

    /// Equal is: neither unequal nor unordered.
    fn branch_equal(&mut self, when: bool, to: Label) {
        if !when {
            self.asm.branch(Code::Jp_rel32_64, to);
            return self.asm.branch(Code::Jne_rel32_64, to);
        }
        let over = self.asm.label();
        self.asm.branch(Code::Jp_rel32_64, over);
        self.asm.branch(Code::Je_rel32_64, to);
        self.asm.bind(over);
    }
}

fn float_kind(sort: Sort) -> Result<FloatKind> {
    match sort {
        Sort::Float(kind) => Ok(kind),
        Sort::Int(_) => Err("an integer where a float is wanted".into()),
    }
}

fn pick<T>(kind: FloatKind, single: T, double: T) -> T {
    match kind {
        FloatKind::F32 => single,
        FloatKind::F64 => double,
    }
}
