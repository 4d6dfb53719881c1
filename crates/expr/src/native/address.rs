//! Addresses as operands: what the processor adds up by itself.

use trapline_core::x64::Reg;

use super::Result;
use super::asm::{Mem, Rm, Segment};
use super::generate::Generator;
use super::operand::{Operand, Value};
use super::tree::{Op, WordId};
use crate::ir::Arithmetic;

/// An address as a sum.
#[derive(Default)]
struct Sum {
    known: u64,
    thread_base: bool,
    /// Words, and by how many bits each is shifted left.
    terms: Vec<(WordId, u32)>,
}

/// Most terms that are looked at one by one.
const MAX_TERMS: usize = 4;

impl Generator<'_> {
    /// Memory at an address that a word is.
    pub(super) fn address(&mut self, id: WordId) -> Result<Operand> {
        let mut sum = Sum::default();
        self.collect(id, &mut sum);
        sum.terms
            .sort_by_key(|&(term, shift)| (std::cmp::Reverse(self.tree.word(term).need), shift));
        let Ok(disp) = i32::try_from(sum.known.cast_signed()) else {
            return self.far_address(&sum);
        };
        self.near_address(&sum, disp)
    }

    fn collect(&self, id: WordId, sum: &mut Sum) {
        match self.tree.word(id).op {
            Op::Const(word) => sum.known = sum.known.wrapping_add(word),
            Op::ThreadBase if !sum.thread_base => sum.thread_base = true,
            Op::Arithmetic(Arithmetic::Add, a, b) if sum.terms.len() < MAX_TERMS => {
                self.collect(a, sum);
                self.collect(b, sum);
            }
            Op::Shift { left: true, value, count } => match self.tree.known(count) {
                Some(by @ 1..=3) => sum.terms.push((value, by as u32)),
                _ => sum.terms.push((id, 0)),
            },
            _ => sum.terms.push((id, 0)),
        }
    }

    fn far_address(&mut self, sum: &Sum) -> Result<Operand> {
        if sum.terms.is_empty() {
            let base = self.registers.take()?;
            self.mov_known(base, sum.known);
            let mem = Mem { base: Some(base), segment: segment(sum), ..Mem::default() };
            return Ok(Operand { rm: Rm::Mem(mem), held: [Some(base), None] });
        }
        let rest = self.near_address(sum, 0)?;
        let Rm::Mem(mem) = rest.rm else { return Ok(rest) };
        let (base, held) = match mem {
            Mem { base: Some(base), index: None, disp: 0, .. } => (base, rest.held[0]),
            _ => {
                let sum = self.lea_free(rest, mem)?;
                (sum, Some(sum))
            }
        };
        let known = self.registers.take()?;
        self.mov_known(known, sum.known);
        let mem = Mem { base: Some(base), index: Some((known, 1)), disp: 0, ..mem };
        Ok(Operand { rm: Rm::Mem(mem), held: [held, Some(known)] })
    }

    /// Gives an operand's registers back and puts its address into one.
    pub(super) fn lea_free(&mut self, operand: Operand, mem: Mem) -> Result<Reg> {
        self.release_operand(operand);
        let reg = self.registers.take()?;
        self.lea(reg, Mem { segment: Segment::Nothing, ..mem }, 8);
        Ok(reg)
    }

    fn near_address(&mut self, sum: &Sum, disp: i32) -> Result<Operand> {
        let mut mem = Mem { disp, segment: segment(sum), ..Mem::default() };
        let mut held = [None, None];
        for &(term, shift) in &sum.terms {
            if mem.index.is_some() && (mem.base.is_some() || shift > 0) {
                let reg = self.lea_free(Operand { rm: Rm::Mem(mem), held }, mem)?;
                mem = Mem { segment: mem.segment, base: Some(reg), ..Mem::default() };
                held = [Some(reg), None];
            }
            let value = self.term(term, shift, &mut mem.disp)?;
            if shift > 0 {
                mem.index = Some((value.reg, 1 << shift));
            } else if mem.base.is_none() {
                mem.base = Some(value.reg);
            } else if value.reg == Reg::Rsp {
                mem.index = mem.base.replace(Reg::Rsp).map(|base| (base, 1));
            } else {
                mem.index = Some((value.reg, 1));
            }
            if value.owned {
                held[usize::from(held[0].is_some())] = Some(value.reg);
            }
        }
        Ok(Operand { rm: Rm::Mem(mem), held })
    }

    /// A term in a register; what has to be added to it goes to `disp`.
    fn term(&mut self, id: WordId, shift: u32, disp: &mut i32) -> Result<Value> {
        if self.tree.word(id).op == Op::Register(Reg::Rsp)
            && shift == 0
            && let Some(moved) = disp.checked_add_unsigned(self.registers.frame.size())
        {
            *disp = moved;
            return Ok(Value { reg: Reg::Rsp, owned: false, valid: 64 });
        }
        let value = self.value(id)?;
        self.extended(value, self.tree.kind(id), 64)
    }
}

fn segment(sum: &Sum) -> Segment {
    if sum.thread_base { Segment::Fs } else { Segment::Nothing }
}
