//! Integers: from words of the tree to instructions.

use iced_x86::Code;
use trapline_core::x64::Reg;

use super::Result;
use super::asm::{Mem, Rm, Segment, gpr, xmm};
use super::compare::{immediate, set};
use super::generate::Generator;
use super::operand::{Operand, Source, Value, computed, width};
use super::tree::{Op, Test, TestId, WordId};
use crate::ir::{Arithmetic, IntKind, Sort};

impl Generator<'_> {
    /// Computes a word only to see whether that is possible.
    pub(super) fn touch(&mut self, id: WordId) -> Result<()> {
        match self.tree.word(id).sort {
            Sort::Int(_) => {
                let value = self.value(id)?;
                self.release(value);
            }
            Sort::Float(_) => {
                let value = self.float(id)?;
                self.release_float(value);
            }
        }
        Ok(())
    }

    /// A word in a register, its kind's own bits valid.
    pub(super) fn value(&mut self, id: WordId) -> Result<Value> {
        self.asm.check_length()?;
        let word = self.tree.word(id);
        let kind = self.tree.kind(id);
        match word.op {
            Op::Const(known) => {
                let value = self.fresh(64)?;
                self.mov_known(value.reg, known);
                Ok(value)
            }
            Op::Register(reg) => self.program_register(reg),
            Op::ThreadBase => {
                let value = self.fresh(64)?;
                // System V ABI, Thread-Local Storage: the word there is its own address.
                let mem = Mem { segment: Segment::Fs, ..Mem::default() };
                self.mov(value.reg, Rm::Mem(mem), 8);
                Ok(value)
            }
            Op::Row(_) | Op::Load(_) => self.load(id, kind, width(kind)),
            Op::Lane(index, offset) => self.lane(index, offset),
            Op::Extend(inner) => self.extend(inner, kind),
            Op::Negate(a) => self.unary(a, kind, [Code::Neg_rm32, Code::Neg_rm64]),
            Op::Complement(a) => self.unary(a, kind, [Code::Not_rm32, Code::Not_rm64]),
            Op::Arithmetic(op @ (Arithmetic::Div | Arithmetic::Rem), a, b) => {
                self.divide(op == Arithmetic::Rem, a, b, kind)
            }
            Op::Arithmetic(Arithmetic::Mul, a, b) => self.multiply(a, b, kind),
            Op::Arithmetic(op, a, b) => self.arithmetic(op, a, b, id, kind),
            Op::Shift { left, value, count } => self.shift(left, value, count, kind),
            Op::Truth(test) => self.truth(test),
            Op::Select(test, a, b) => self.select(test, a, b, kind),
            Op::Truncate(float) => self.truncate(float, kind),
            Op::FromBits(_) | Op::Vector(_) | Op::ToFloat(_) => {
                Err("a float where an integer is wanted".into())
            }
        }
    }

    /// The same with all bits of an operation's width valid.
    pub(super) fn whole_value(&mut self, id: WordId) -> Result<Value> {
        let kind = self.tree.kind(id);
        let value = self.value(id)?;
        self.extended(value, kind, u32::from(width(kind)) * 8)
    }

    fn fresh(&mut self, valid: u32) -> Result<Value> {
        Ok(Value { reg: self.registers.take()?, owned: true, valid })
    }

    fn program_register(&mut self, reg: Reg) -> Result<Value> {
        if reg == Reg::Rsp {
            let value = self.fresh(64)?;
            let mem = Mem::stack(self.registers.frame.size());
            self.lea(value.reg, mem, 8);
            return Ok(value);
        }
        match self.registers.program(reg) {
            Rm::Reg(reg) => Ok(Value { reg, owned: false, valid: 64 }),
            slot @ Rm::Mem(_) => {
                let value = self.fresh(64)?;
                self.mov(value.reg, slot, 8);
                Ok(value)
            }
        }
    }

    pub(super) fn lea(&mut self, reg: Reg, mem: Mem, bytes: u8) {
        let code = if bytes == 8 { Code::Lea_r64_m } else { Code::Lea_r32_m };
        self.asm.mem(code, gpr(reg, bytes), mem);
    }

    /// Reads an integer of the word's kind, extended to 4 or 8 bytes.
    fn load(&mut self, id: WordId, kind: IntKind, to: u8) -> Result<Value> {
        let operand = self.memory(id)?;
        self.release_operand(operand);
        let reg = self.registers.take()?;
        self.widen(reg, operand.rm, kind, to);
        let valid = if kind.signed { u32::from(to) * 8 } else { 64 };
        Ok(Value { reg, owned: true, valid })
    }

    /// The memory that a word is read from.
    fn memory(&mut self, id: WordId) -> Result<Operand> {
        match self.tree.word(id).op {
            Op::Row(at) => {
                let mem = Mem { segment: Segment::Gs, disp: at.cast_signed(), ..Mem::default() };
                Ok(Operand { rm: Rm::Mem(mem), held: [None, None] })
            }
            Op::Load(address) => self.address(address),
            _ => match self.slot(id, self.tree.kind(id).bytes) {
                Some(slot) => Ok(Operand { rm: Rm::Mem(slot), held: [None, None] }),
                None => Err("a word that is not in memory".into()),
            },
        }
    }

    fn lane(&mut self, index: u8, offset: u8) -> Result<Value> {
        if let Some(slot) = self.registers.program_vector(index)
            && offset <= 8
            && let Some(mem) = slot.plus(u32::from(offset))
        {
            let value = self.fresh(64)?;
            self.mov(value.reg, Rm::Mem(mem), 8);
            return Ok(value);
        }
        let vector = self.program_float(index)?;
        let moved = match offset {
            0 => vector,
            _ => {
                let moved = self.own_float(vector)?;
                self.asm.push(iced_x86::Instruction::with2(
                    Code::Psrldq_xmm_imm8,
                    xmm(moved.index),
                    u32::from(offset),
                ));
                moved
            }
        };
        let value = self.fresh(64)?;
        self.asm.regs(Code::Movq_rm64_xmm, gpr(value.reg, 8), xmm(moved.index));
        self.release_float(moved);
        Ok(value)
    }

    /// Another kind of integer: the low bits stay where they are.
    fn extend(&mut self, inner: WordId, to: IntKind) -> Result<Value> {
        let from = self.tree.kind(inner);
        if to.bytes <= from.bytes {
            let value = self.value(inner)?;
            let valid = if to.bytes == from.bytes && to.signed == from.signed {
                value.valid
            } else {
                value.valid.min(to.bits())
            };
            return Ok(Value { valid, ..value });
        }
        let wide = if from.signed { width(to) } else { 4 };
        let value = match self.tree.word(inner).op {
            Op::Load(_) | Op::Row(_) => self.load(inner, from, wide)?,
            _ if self.slot(inner, from.bytes).is_some() => self.load(inner, from, wide)?,
            _ => {
                let value = self.value(inner)?;
                self.extended(value, from, to.bits().max(32))?
            }
        };
        // An extended sign is no sign of what is extended further.
        let valid = if from.signed && !to.signed { to.bits() } else { value.valid };
        Ok(Value { valid, ..value })
    }

    fn unary(&mut self, a: WordId, kind: IntKind, codes: [Code; 2]) -> Result<Value> {
        let value = self.value(a)?;
        let value = self.own(value, width(kind))?;
        let wide = width(kind) == 8;
        self.asm.one(codes[usize::from(wide)], Rm::Reg(value.reg), width(kind));
        Ok(Value { valid: computed(kind), ..value })
    }

    fn arithmetic(
        &mut self,
        op: Arithmetic,
        a: WordId,
        b: WordId,
        id: WordId,
        kind: IntKind,
    ) -> Result<Value> {
        if op == Arithmetic::Add && self.adds_registers(a, b) {
            let operand = self.address(id)?;
            self.release_operand(operand);
            let value = self.fresh(computed(kind))?;
            if let Rm::Mem(mem) = operand.rm {
                self.lea(value.reg, mem, width(kind));
            }
            return Ok(value);
        }
        let (first, second) = self.operands(a, b, kind)?;
        let bitwise = matches!(op, Arithmetic::And | Arithmetic::Or | Arithmetic::Xor);
        self.alu(op, width(kind), first.reg, second);
        self.release_source(second);
        let whole = bitwise && first.valid == 64 && self.is_low(op, b);
        Ok(Value { valid: if whole { 64 } else { computed(kind) }, ..first })
    }

    /// Whether an operation with a known word keeps what is zero above.
    fn is_low(&self, op: Arithmetic, b: WordId) -> bool {
        let small = self.tree.known(b).is_some_and(|known| known <= i32::MAX as u64);
        small && (op == Arithmetic::And || !self.tree.kind(b).signed)
    }

    /// Whether both are at hand, so that one instruction adds them elsewhere.
    fn adds_registers(&self, a: WordId, b: WordId) -> bool {
        let wide = self.tree.kind(a).bytes == 8;
        let at_hand = |id| {
            let reg = self.whole_register(id);
            reg.is_some_and(|reg| {
                reg == Reg::Rsp || matches!(self.registers.program(reg), Rm::Reg(_))
            })
        };
        let small = |id| self.tree.known(id).is_some_and(|known| immediate(known, 8).is_some());
        wide && at_hand(a) && (at_hand(b) || small(b))
    }

    /// The program's register that a word of 8 bytes is.
    fn whole_register(&self, id: WordId) -> Option<Reg> {
        match self.tree.word(id).op {
            Op::Register(reg) => Some(reg),
            Op::Extend(inner) if self.tree.kind(id).bytes == 8 => match self.tree.word(inner).op {
                Op::Register(reg) => Some(reg),
                _ => None,
            },
            _ => None,
        }
    }

    /// The first operand in a register of ours, the second anywhere; the one
    /// that takes more registers is computed first.
    fn operands(&mut self, a: WordId, b: WordId, kind: IntKind) -> Result<(Value, Source)> {
        if self.tree.word(b).need > self.tree.word(a).need {
            let second = self.source(b)?;
            let first = self.value(a)?;
            return Ok((self.own(first, width(kind))?, second));
        }
        let first = self.value(a)?;
        let first = self.own(first, width(kind))?;
        Ok((first, self.source(b)?))
    }

    fn alu(&mut self, op: Arithmetic, bytes: u8, reg: Reg, second: Source) {
        let [r32, r64, short32, short64, imm32, imm64] = alu_codes(op);
        let wide = bytes == 8;
        match second {
            Source::Rm(operand) => {
                self.asm.reg_rm(if wide { r64 } else { r32 }, gpr(reg, bytes), operand.rm, bytes);
            }
            Source::Imm(imm) => {
                let code = match (wide, i8::try_from(imm).is_ok()) {
                    (false, true) => short32,
                    (true, true) => short64,
                    (false, false) => imm32,
                    (true, false) => imm64,
                };
                self.asm.rm_imm(code, Rm::Reg(reg), imm, bytes);
            }
        }
    }

    fn multiply(&mut self, a: WordId, b: WordId, kind: IntKind) -> Result<Value> {
        let bytes = width(kind);
        let known = self.tree.known(b).and_then(|known| immediate(known, bytes));
        if let Some(imm) = known {
            return self.multiply_known(a, imm, kind);
        }
        let (first, second) = self.operands(a, b, kind)?;
        let code = if bytes == 8 { Code::Imul_r64_rm64 } else { Code::Imul_r32_rm32 };
        if let Source::Rm(operand) = second {
            self.asm.reg_rm(code, gpr(first.reg, bytes), operand.rm, bytes);
        }
        self.release_source(second);
        Ok(Value { valid: computed(kind), ..first })
    }

    fn multiply_known(&mut self, a: WordId, imm: i32, kind: IntKind) -> Result<Value> {
        let bytes = width(kind);
        let first = self.operand(a)?;
        self.release_operand(first);
        let value = self.fresh(computed(kind))?;
        let short = i8::try_from(imm).is_ok();
        let code = match (bytes == 8, short) {
            (false, true) => Code::Imul_r32_rm32_imm8,
            (true, true) => Code::Imul_r64_rm64_imm8,
            (false, false) => Code::Imul_r32_rm32_imm32,
            (true, false) => Code::Imul_r64_rm64_imm32,
        };
        self.asm.reg_rm_imm(code, gpr(value.reg, bytes), first.rm, imm, bytes);
        Ok(value)
    }

    /// Whether a word is memory that an instruction of its width can take.
    pub(super) fn in_memory(&self, id: WordId, kind: IntKind) -> bool {
        match self.tree.word(id).op {
            Op::Load(_) => matches!(kind.bytes, 4 | 8),
            Op::Row(_) => true,
            _ => self.slot(id, width(kind)).is_some(),
        }
    }

    /// The saved register whose low bytes a word is.
    fn slot(&self, id: WordId, bytes: u8) -> Option<Mem> {
        let kind = self.tree.kind(id);
        let reg = match self.tree.word(id).op {
            Op::Register(reg) => reg,
            Op::Extend(inner) => match self.tree.word(inner).op {
                Op::Register(reg) => reg,
                _ => return None,
            },
            _ => return None,
        };
        let slot = self.registers.program(reg);
        match slot {
            Rm::Mem(mem) if bytes <= kind.bytes && reg != Reg::Rsp => Some(mem),
            _ => None,
        }
    }

    /// A word as an operand of 4 or 8 bytes, as wide as operations of its kind.
    pub(super) fn operand(&mut self, id: WordId) -> Result<Operand> {
        let kind = self.tree.kind(id);
        if let Some(mem) = self.slot(id, width(kind)) {
            return Ok(Operand { rm: Rm::Mem(mem), held: [None, None] });
        }
        if self.in_memory(id, kind) {
            return self.memory(id);
        }
        self.whole_value(id).map(Operand::from)
    }

    /// A word of 1 byte as an operand of 1 byte.
    pub(super) fn byte_operand(&mut self, id: WordId) -> Result<Operand> {
        if let Some(mem) = self.slot(id, 1) {
            return Ok(Operand { rm: Rm::Mem(mem), held: [None, None] });
        }
        match self.tree.word(id).op {
            Op::Load(_) => self.memory(id),
            _ => self.value(id).map(Operand::from),
        }
    }

    /// A word as the second operand of an instruction.
    pub(super) fn source(&mut self, id: WordId) -> Result<Source> {
        let bytes = width(self.tree.kind(id));
        match self.tree.known(id).and_then(|known| immediate(known, bytes)) {
            Some(imm) => Ok(Source::Imm(imm)),
            None => self.operand(id).map(Source::Rm),
        }
    }

    fn truth(&mut self, id: TestId) -> Result<Value> {
        if let Test::Compare(op, a, b) = self.tree.node(id).test
            && let Sort::Int(kind) = self.tree.word(a).sort
        {
            let op = self.compare(op, a, b, kind)?;
            let value = self.fresh(64)?;
            self.asm.one(set(op, kind), Rm::Reg(value.reg), 1);
            self.asm.reg_rm(Code::Movzx_r32_rm8, gpr(value.reg, 4), Rm::Reg(value.reg), 1);
            return Ok(value);
        }
        let value = self.fresh(64)?;
        let done = self.asm.label();
        self.mov_known(value.reg, 1);
        self.branch(id, true, done)?;
        self.mov_known(value.reg, 0);
        self.asm.bind(done);
        Ok(value)
    }

    fn select(&mut self, test: TestId, a: WordId, b: WordId, kind: IntKind) -> Result<Value> {
        let chosen = self.fresh(kind.bits())?;
        let (other, done) = (self.asm.label(), self.asm.label());
        self.branch(test, false, other)?;
        self.put(chosen.reg, a)?;
        self.asm.branch(Code::Jmp_rel32_64, done);
        self.asm.bind(other);
        self.put(chosen.reg, b)?;
        self.asm.bind(done);
        Ok(chosen)
    }

    /// A word into a register that is taken already.
    fn put(&mut self, reg: Reg, id: WordId) -> Result<()> {
        if let Some(known) = self.tree.known(id) {
            self.mov_known(reg, known);
            return Ok(());
        }
        let bytes = width(self.tree.kind(id));
        let operand = self.operand(id)?;
        self.mov(reg, operand.rm, bytes);
        self.release_operand(operand);
        Ok(())
    }
}

/// With a register or memory of 4 and 8 bytes, with a short known number, with
/// a long one.
fn alu_codes(op: Arithmetic) -> [Code; 6] {
    use Code::*;
    match op {
        Arithmetic::And => [
            And_r32_rm32,
            And_r64_rm64,
            And_rm32_imm8,
            And_rm64_imm8,
            And_rm32_imm32,
            And_rm64_imm32,
        ],
        Arithmetic::Or => {
            [Or_r32_rm32, Or_r64_rm64, Or_rm32_imm8, Or_rm64_imm8, Or_rm32_imm32, Or_rm64_imm32]
        }
        Arithmetic::Xor => [
            Xor_r32_rm32,
            Xor_r64_rm64,
            Xor_rm32_imm8,
            Xor_rm64_imm8,
            Xor_rm32_imm32,
            Xor_rm64_imm32,
        ],
        Arithmetic::Sub => [
            Sub_r32_rm32,
            Sub_r64_rm64,
            Sub_rm32_imm8,
            Sub_rm64_imm8,
            Sub_rm32_imm32,
            Sub_rm64_imm32,
        ],
        _ => [
            Add_r32_rm32,
            Add_r64_rm64,
            Add_rm32_imm8,
            Add_rm64_imm8,
            Add_rm32_imm32,
            Add_rm64_imm32,
        ],
    }
}
