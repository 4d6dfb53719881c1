//! The order of things: clause by clause, tests as branches, until the code
//! and the frame it needs agree.

use std::sync::Arc;

use iced_x86::Code;
use trapline_core::predicate::{Credit, Frame, Predicate};

use super::Result;
use super::asm::{ASK, Assembler, Label, Mem, Rm, Segment};
use super::lower::Step;
use super::registers::Registers;
use super::tree::{Test, TestId, Tree};

/// `mxcsr` as every program finds it: exceptions masked, rounding to nearest.
/// System V ABI AMD64, section 3.4.1.
const DEFAULT_MXCSR: i32 = 0x1f80;

/// Code for a tree. What it changes decides where the program's registers are,
/// which decides the code: it is made again until both fit.
pub(super) fn generate(tree: &Tree, steps: &[Step]) -> Result<Predicate> {
    let mut frame = Frame::default();
    loop {
        let asm = Assembler::default();
        let mut generator = Generator { tree, asm, registers: Registers::new(tree, frame) };
        generator.predicate(steps)?;
        let Generator { asm, registers, .. } = generator;
        match registers.larger_frame() {
            Some(larger) => frame = larger,
            None => return finish(asm, registers.frame, steps),
        }
    }
}

fn finish(asm: Assembler, frame: Frame, steps: &[Step]) -> Result<Predicate> {
    let assembled = asm.assemble()?;
    let word = steps.iter().find_map(|step| step.credit);
    let credit = assembled.mark.zip(word);
    Ok(Predicate {
        code: assembled.code,
        asks: assembled.asks,
        frame,
        credit: credit.map(|(paid_at, word)| Credit { word, paid_at }),
        comments: assembled.comments,
    })
}

/// Code in the making for one tree.
pub(super) struct Generator<'a> {
    pub(super) tree: &'a Tree,
    pub(super) asm: Assembler,
    pub(super) registers: Registers,
}

impl Generator<'_> {
    fn predicate(&mut self, steps: &[Step]) -> Result<()> {
        if !self.registers.frame.vectors.is_empty() {
            self.default_float_environment();
        }
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn default_float_environment(&mut self) {
        let scratch = self.registers.take_scratch();
        self.asm.comment(&Arc::from("floats compute as by default"));
        self.asm.rm_imm(Code::Mov_rm32_imm32, Rm::Mem(scratch), DEFAULT_MXCSR, 4);
        self.asm.one(Code::Ldmxcsr_m32, Rm::Mem(scratch), 4);
        self.registers.release_scratch();
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let quiet = self.asm.label();
        if let Some(filter) = step.filter {
            self.branch(filter, false, quiet)?;
        }
        match (step.condition, step.unchanged, step.credit) {
            (Some(condition), None, None) => self.branch(condition, true, ASK)?,
            (condition, Some(unchanged), _) => {
                if let Some(condition) = condition {
                    self.branch(condition, false, quiet)?;
                }
                self.branch(unchanged, false, ASK)?;
            }
            (condition, None, Some(word)) => {
                if let Some(condition) = condition {
                    self.branch(condition, false, quiet)?;
                }
                self.pay(word);
            }
            (None, None, None) => self.asm.branch(Code::Jmp_rel32_64, ASK),
        }
        self.asm.bind(quiet);
        Ok(())
    }

    fn pay(&mut self, word: u32) {
        let mem = Mem { segment: Segment::Gs, disp: word.cast_signed(), ..Mem::default() };
        self.asm.comment(&Arc::from("this hit is paid for"));
        self.asm.one(Code::Dec_rm64, Rm::Mem(mem), 8);
        self.asm.mark();
        self.asm.branch(Code::Js_rel32_64, ASK);
    }

    /// Goes to a label when a test comes out so, else on.
    pub(super) fn branch(&mut self, id: TestId, when: bool, to: Label) -> Result<()> {
        self.asm.check_length()?;
        let node = self.tree.node(id);
        if let Some(text) = &node.text {
            self.asm.comment(text);
        }
        match &node.test {
            Test::Known(known) => {
                if *known == when {
                    self.asm.branch(Code::Jmp_rel32_64, to);
                }
                Ok(())
            }
            Test::Compare(op, a, b) => self.branch_compare(*op, *a, *b, when, to),
            Test::Not(test) => self.branch(*test, !when, to),
            Test::Both(a, b) => self.branch_pair(*a, *b, true, when, to),
            Test::Either(a, b) => self.branch_pair(*a, *b, false, when, to),
            Test::After(word, test) => {
                self.touch(*word)?;
                self.branch(*test, when, to)
            }
            Test::Require(test) => {
                self.branch(*test, false, ASK)?;
                if !when {
                    self.asm.branch(Code::Jmp_rel32_64, to);
                }
                Ok(())
            }
            Test::Bytes(start, bytes) => self.branch_bytes(*start, bytes, when, to),
            Test::Texts(a, b) => self.branch_texts(*a, *b, when, to),
        }
    }

    /// The second test matters only where the first comes out as `goes_on`.
    fn branch_pair(
        &mut self,
        a: TestId,
        b: TestId,
        goes_on: bool,
        when: bool,
        to: Label,
    ) -> Result<()> {
        if when != goes_on {
            self.branch(a, when, to)?;
            return self.branch(b, when, to);
        }
        let over = self.asm.label();
        self.branch(a, !when, over)?;
        self.branch(b, when, to)?;
        self.asm.bind(over);
        Ok(())
    }
}
