//! Comparisons of texts in memory.

use iced_x86::Code;
use trapline_core::x64::Reg;

use super::Result;
use super::asm::{Label, Mem, Rm, Segment, gpr};
use super::generate::Generator;
use super::operand::{Operand, Source, Value};
use super::tree::{TextEnd, TextSide, WordId};
use crate::limits::MAX_STRING;

/// Memory is readable or not in units of so many bytes.
const PAGE: u32 = 4096;

/// Texts of at most so many bytes are compared one by one.
const SHORT: usize = 4;

impl Generator<'_> {
    /// Whether memory has these bytes. It reads past the first difference only
    /// what lies in the same page.
    pub(super) fn branch_bytes(
        &mut self,
        start: WordId,
        bytes: &[u8],
        when: bool,
        to: Label,
    ) -> Result<()> {
        let (mem, operand) = self.flat_address(start)?;
        let over = self.asm.label();
        let (same, differs) = if when { (to, over) } else { (over, to) };
        let last = bytes.len() - 1;
        if last > 0 {
            self.expect_byte(mem, 0, bytes, differs)?;
        }
        if bytes.len() > SHORT {
            let slowly = self.asm.label();
            let word = self.registers.take()?;
            self.lea(word, mem, 8);
            self.asm.rm_imm(Code::And_rm32_imm32, Rm::Reg(word), PAGE.cast_signed() - 1, 4);
            let highest = PAGE - bytes.len() as u32;
            self.cmp(4, Rm::Reg(word), Source::Imm(highest.cast_signed()));
            self.asm.branch(Code::Ja_rel32_64, slowly);
            self.expect_chunks(mem, bytes, word, differs)?;
            self.registers.release(word);
            self.asm.branch(Code::Jmp_rel32_64, same);
            self.asm.bind(slowly);
        }
        for at in 1..last {
            self.expect_byte(mem, at, bytes, differs)?;
        }
        self.compare_byte(mem, last, bytes)?;
        self.asm.branch(if when { Code::Je_rel32_64 } else { Code::Jne_rel32_64 }, to);
        self.asm.bind(over);
        self.release_operand(operand);
        Ok(())
    }

    /// Memory that needs no segment, so that its place in a page can be told.
    fn flat_address(&mut self, start: WordId) -> Result<(Mem, Operand)> {
        let operand = self.address(start)?;
        if let Rm::Mem(mem @ Mem { segment: Segment::Nothing, .. }) = operand.rm {
            return Ok((mem, operand));
        }
        self.release_operand(operand);
        let value = self.whole_value(start)?;
        Ok((Mem { base: Some(value.reg), ..Mem::default() }, value.into()))
    }

    fn expect_byte(&mut self, mem: Mem, at: usize, bytes: &[u8], differs: Label) -> Result<()> {
        self.compare_byte(mem, at, bytes)?;
        self.asm.branch(Code::Jne_rel32_64, differs);
        Ok(())
    }

    fn compare_byte(&mut self, mem: Mem, at: usize, bytes: &[u8]) -> Result<()> {
        let here = mem.plus(at as u32).ok_or("an offset that is too large")?;
        self.cmp(1, Rm::Mem(here), Source::Imm(i32::from(bytes[at].cast_signed())));
        Ok(())
    }

    /// Compares in words, the last of which may overlap the one before.
    fn expect_chunks(&mut self, mem: Mem, bytes: &[u8], word: Reg, differs: Label) -> Result<()> {
        let size = if bytes.len() < 8 { 4 } else { 8 };
        let mut at = 0;
        while at < bytes.len() {
            let start = at.min(bytes.len() - size);
            let here = mem.plus(start as u32).ok_or("an offset that is too large")?;
            let mut wanted = [0; 8];
            wanted[..size].copy_from_slice(&bytes[start..start + size]);
            let wanted = u64::from_le_bytes(wanted);
            if size == 4 {
                self.cmp(4, Rm::Mem(here), Source::Imm(wanted as i32));
            } else {
                self.mov_known(word, wanted);
                self.asm.rm_reg(Code::Cmp_rm64_r64, Rm::Mem(here), gpr(word, 8), 8);
            }
            self.asm.branch(Code::Jne_rel32_64, differs);
            at = start + size;
        }
        Ok(())
    }

    /// Compares byte by byte, at most [`MAX_STRING`] times.
    pub(super) fn branch_texts(
        &mut self,
        a: TextSide,
        b: TextSide,
        when: bool,
        to: Label,
    ) -> Result<()> {
        let over = self.asm.label();
        let (same, differs) = if when { (to, over) } else { (over, to) };
        let (start_a, end_a) = self.side(a)?;
        let (start_b, end_b) = self.side(b)?;
        if let End::Counted(len) = end_a {
            self.touch_text(start_a.reg, len.reg)?;
        }
        let loops = Loop {
            start: [start_a.reg, start_b.reg],
            end: [end_a, end_b],
            index: self.registers.take()?,
            byte: self.registers.take()?,
            differs,
        };
        self.text_loop(&loops, same);
        if !when {
            self.asm.branch(Code::Jmp_rel32_64, to);
        }
        self.asm.bind(over);
        self.registers.release(loops.index);
        self.registers.release(loops.byte);
        for value in [Some(start_a), Some(start_b), end_a.value(), end_b.value()] {
            value.into_iter().for_each(|value| self.release(value));
        }
        Ok(())
    }

    fn side(&mut self, side: TextSide) -> Result<(Value, End)> {
        let start = self.whole_value(side.start)?;
        let len = match side.end {
            TextEnd::Zero(room) => return Ok((start, End::Zero(room))),
            TextEnd::Counted(len) => self.whole_value(len)?,
        };
        let len = self.own(len, 8)?;
        let short = self.asm.label();
        let most = MAX_STRING as i32;
        self.cmp(8, Rm::Reg(len.reg), Source::Imm(most));
        self.asm.branch(Code::Jbe_rel32_64, short);
        self.mov_known(len.reg, MAX_STRING as u64);
        self.asm.bind(short);
        Ok((start, End::Counted(len)))
    }

    /// The interpreter reads all of a counted text on the left, which lies in
    /// the pages of its first and last byte.
    fn touch_text(&mut self, start: Reg, len: Reg) -> Result<()> {
        let empty = self.asm.label();
        let byte = self.registers.take()?;
        self.test_self(len, 8);
        self.asm.branch(Code::Je_rel32_64, empty);
        let kind = crate::ir::IntKind { bytes: 1, signed: false };
        let first = Mem { base: Some(start), ..Mem::default() };
        self.widen(byte, Rm::Mem(first), kind, 4);
        let last = Mem { index: Some((len, 1)), disp: -1, ..first };
        self.widen(byte, Rm::Mem(last), kind, 4);
        self.asm.bind(empty);
        self.registers.release(byte);
        Ok(())
    }

    /// Goes to `same` or to where they differ, or falls out of the end when
    /// they do.
    fn text_loop(&mut self, loops: &Loop, same: Label) {
        let [end_a, end_b] = loops.end;
        let (next, ended) = (self.asm.label(), self.asm.label());
        self.mov_known(loops.index, 0);
        self.asm.bind(next);
        self.compare_end(loops.index, end_a);
        self.asm.branch(Code::Je_rel32_64, ended);
        let kind = crate::ir::IntKind { bytes: 1, signed: false };
        self.widen(loops.byte, Rm::Mem(loops.at(0)), kind, 4);
        match (end_a, end_b) {
            (End::Zero(_), _) => {
                self.test_self(loops.byte, 4);
                self.asm.branch(Code::Je_rel32_64, ended);
            }
            (_, End::Zero(_)) => {
                self.test_self(loops.byte, 4);
                self.asm.branch(Code::Je_rel32_64, loops.differs);
            }
            _ => {}
        }
        self.compare_end(loops.index, end_b);
        self.asm.branch(Code::Je_rel32_64, loops.differs);
        self.asm.mem(Code::Cmp_r8_rm8, gpr(loops.byte, 1), loops.at(1));
        self.asm.branch(Code::Jne_rel32_64, loops.differs);
        self.asm.rm_imm(Code::Add_rm32_imm8, Rm::Reg(loops.index), 1, 4);
        self.asm.branch(Code::Jmp_rel32_64, next);
        self.asm.bind(ended);
        self.compare_end(loops.index, end_b);
        self.asm.branch(Code::Je_rel32_64, same);
        if let End::Zero(_) = end_b {
            self.cmp(1, Rm::Mem(loops.at(1)), Source::Imm(0));
            self.asm.branch(Code::Je_rel32_64, same);
        }
    }

    fn compare_end(&mut self, index: Reg, end: End) {
        let limit = match end {
            End::Zero(room) => Source::Imm(room.cast_signed()),
            End::Counted(len) => Source::Rm(Operand::from(len)),
        };
        self.cmp(4, Rm::Reg(index), limit);
    }
}

/// Where a text in memory ends.
#[derive(Clone, Copy)]
enum End {
    Zero(u32),
    Counted(Value),
}

impl End {
    fn value(self) -> Option<Value> {
        match self {
            Self::Zero(_) => None,
            Self::Counted(value) => Some(value),
        }
    }
}

/// The registers of a comparison byte by byte.
struct Loop {
    start: [Reg; 2],
    end: [End; 2],
    index: Reg,
    byte: Reg,
    differs: Label,
}

impl Loop {
    fn at(&self, side: usize) -> Mem {
        Mem { base: Some(self.start[side]), index: Some((self.index, 1)), ..Mem::default() }
    }
}
