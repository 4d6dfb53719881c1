//! Instructions, labels and comments on their way to bytes.

use std::sync::Arc;

use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, Encoder, IcedError, Instruction, InstructionBlock,
    MemoryOperand, Register,
};
use trapline_core::x64::Reg;

use super::Result;

/// Most instructions of one predicate.
const MAX_INSTRUCTIONS: usize = 4000;

/// Where asking is while offsets are not known: out of reach of short branches.
const ASK_IP: u64 = 0x4000_0000;

const UNENCODABLE: &str = "it needs an instruction that does not exist";

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(u32);

/// Where the debugger is asked.
pub(super) const ASK: Label = Label(u32::MAX);

/// Memory as an instruction names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mem {
    pub(super) segment: Segment,
    pub(super) base: Option<Reg>,
    /// A register, and what it is multiplied by: 1, 2, 4 or 8.
    pub(super) index: Option<(Reg, u8)>,
    pub(super) disp: i32,
}

/// What an address is relative to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Segment {
    #[default]
    Nothing,
    /// The thread pointer.
    Fs,
    /// The thread's row.
    Gs,
}

/// A register or memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rm {
    Reg(Reg),
    Mem(Mem),
}

impl Mem {
    /// Memory at an offset from the stack pointer.
    pub(super) fn stack(offset: u32) -> Self {
        Self { base: Some(Reg::Rsp), disp: offset.cast_signed(), ..Self::default() }
    }

    /// The same, further on.
    pub(super) fn plus(self, by: u32) -> Option<Self> {
        Some(Self { disp: self.disp.checked_add_unsigned(by)?, ..self })
    }

    fn operand(self) -> MemoryOperand {
        let segment = match self.segment {
            Segment::Nothing => Register::None,
            Segment::Fs => Register::FS,
            Segment::Gs => Register::GS,
        };
        let base = self.base.map_or(Register::None, |reg| gpr(reg, 8));
        let index = self.index.map_or(Register::None, |(reg, _)| gpr(reg, 8));
        let scale = self.index.map_or(1, |(_, scale)| u32::from(scale));
        let alone = self.base.is_none() && self.index.is_none();
        let size = match self.disp {
            _ if alone => 8,
            0 => 0,
            disp if i8::try_from(disp).is_ok() => 1,
            _ => 8,
        };
        MemoryOperand::new(base, index, scale, i64::from(self.disp), size, false, segment)
    }
}

/// The part of a general register that instructions of a width name.
pub(super) fn gpr(reg: Reg, bytes: u8) -> Register {
    let first = match bytes {
        8 => Register::RAX,
        4 => Register::EAX,
        2 => Register::AX,
        _ => return byte_register(reg),
    };
    first + reg.general_index().unwrap_or(0) as u32
}

/// `al` to `r15b` without `ah` and its like.
fn byte_register(reg: Reg) -> Register {
    match reg.general_index().unwrap_or(0) as u32 {
        index @ 0..=3 => Register::AL + index,
        index @ 4..=7 => Register::SPL + (index - 4),
        index => Register::R8L + (index - 8),
    }
}

/// A vector register.
pub(super) fn xmm(index: u8) -> Register {
    Register::XMM0 + u32::from(index)
}

/// Code with all that is said about it.
pub(super) struct Assembled {
    pub(super) code: Vec<u8>,
    pub(super) asks: Vec<u32>,
    pub(super) comments: Vec<(u32, Box<str>)>,
    /// Offset of the instruction at the mark.
    pub(super) mark: Option<u32>,
}

/// Code in the making. What cannot be encoded is told at the end.
#[derive(Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    branches: Vec<(usize, Label)>,
    /// The instruction each label stands before.
    labels: Vec<Option<usize>>,
    comments: Vec<(usize, Arc<str>)>,
    mark: Option<usize>,
    failed: bool,
}

impl Assembler {
    pub(super) fn push(&mut self, made: std::result::Result<Instruction, IcedError>) {
        match made {
            Ok(instruction) => self.instructions.push(instruction),
            Err(_) => self.failed = true,
        }
    }

    /// Makes assembling fail.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Register and register or memory, in the order of the code's operands.
    pub(super) fn reg_rm(&mut self, code: Code, reg: Register, rm: Rm, bytes: u8) {
        self.push(match rm {
            Rm::Reg(from) => Instruction::with2(code, reg, gpr(from, bytes)),
            Rm::Mem(mem) => Instruction::with2(code, reg, mem.operand()),
        });
    }

    pub(super) fn rm_reg(&mut self, code: Code, rm: Rm, reg: Register, bytes: u8) {
        self.push(match rm {
            Rm::Reg(to) => Instruction::with2(code, gpr(to, bytes), reg),
            Rm::Mem(mem) => Instruction::with2(code, mem.operand(), reg),
        });
    }

    pub(super) fn rm_imm(&mut self, code: Code, rm: Rm, imm: i32, bytes: u8) {
        self.push(match rm {
            Rm::Reg(to) => Instruction::with2(code, gpr(to, bytes), imm),
            Rm::Mem(mem) => Instruction::with2(code, mem.operand(), imm),
        });
    }

    pub(super) fn reg_rm_imm(&mut self, code: Code, reg: Register, rm: Rm, imm: i32, bytes: u8) {
        self.push(match rm {
            Rm::Reg(from) => Instruction::with3(code, reg, gpr(from, bytes), imm),
            Rm::Mem(mem) => Instruction::with3(code, reg, mem.operand(), imm),
        });
    }

    pub(super) fn one(&mut self, code: Code, rm: Rm, bytes: u8) {
        self.push(match rm {
            Rm::Reg(reg) => Instruction::with1(code, gpr(reg, bytes)),
            Rm::Mem(mem) => Instruction::with1(code, mem.operand()),
        });
    }

    pub(super) fn mem(&mut self, code: Code, reg: Register, mem: Mem) {
        self.push(Instruction::with2(code, reg, mem.operand()));
    }

    pub(super) fn store(&mut self, code: Code, mem: Mem, reg: Register) {
        self.push(Instruction::with2(code, mem.operand(), reg));
    }

    pub(super) fn regs(&mut self, code: Code, a: Register, b: Register) {
        self.push(Instruction::with2(code, a, b));
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    pub(super) fn bind(&mut self, label: Label) {
        let here = self.instructions.len();
        if let Some(place) = self.labels.get_mut(label.0 as usize) {
            *place = Some(here);
        }
    }

    /// `code` is a conditional or unconditional branch in its long form.
    pub(super) fn branch(&mut self, code: Code, to: Label) {
        self.branches.push((self.instructions.len(), to));
        self.push(Instruction::with_branch(code, ASK_IP));
    }

    /// What the following instructions are for.
    pub(super) fn comment(&mut self, text: &Arc<str>) {
        self.comments.push((self.instructions.len(), text.clone()));
    }

    /// Marks the next instruction.
    pub(super) fn mark(&mut self) {
        self.mark = Some(self.instructions.len());
    }

    /// Fails once there is more code than anyone wants at a site.
    pub(super) fn check_length(&self) -> Result<()> {
        if self.instructions.len() > MAX_INSTRUCTIONS {
            return Err("it would be too much code".into());
        }
        Ok(())
    }

    pub(super) fn assemble(mut self) -> Result<Assembled> {
        if self.failed {
            return Err(UNENCODABLE.into());
        }
        self.check_length()?;
        // What is at the end has to be an instruction to be branched to.
        self.push(Ok(Instruction::with(Code::Nopd)));
        for (index, instruction) in self.instructions.iter_mut().enumerate() {
            instruction.set_ip(index as u64 + 1);
        }
        for (at, label) in &self.branches {
            let place = self.labels.get(label.0 as usize).copied().flatten();
            let target = place.map_or(ASK_IP, |index| index as u64 + 1);
            self.instructions[*at].set_near_branch64(target);
        }
        let branches_inside = self.branches.iter().any(|(_, to)| *to != ASK);
        let encoded = if branches_inside { self.lay_out() } else { self.encode_in_a_row() };
        let (code, offsets) = encoded.map_err(|_| UNENCODABLE)?;
        Ok(self.finish(code, &offsets))
    }

    /// The code, with short branches where they reach, and where each
    /// instruction is in it.
    fn lay_out(&self) -> std::result::Result<(Vec<u8>, Vec<u32>), IcedError> {
        let block = InstructionBlock::new(&self.instructions, 0);
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
        let encoded = BlockEncoder::encode(64, block, options)?;
        Ok((encoded.code_buffer, encoded.new_instruction_offsets))
    }

    /// The same where no branch can be short.
    fn encode_in_a_row(&self) -> std::result::Result<(Vec<u8>, Vec<u32>), IcedError> {
        let mut encoder = Encoder::try_with_capacity(64, 8 * self.instructions.len())?;
        let mut offsets = Vec::with_capacity(self.instructions.len());
        let mut end = 0;
        for instruction in &self.instructions {
            offsets.push(end);
            end += encoder.encode(instruction, u64::from(end))? as u32;
        }
        Ok((encoder.take_buffer(), offsets))
    }

    fn finish(self, mut code: Vec<u8>, offsets: &[u32]) -> Assembled {
        code.truncate(offsets.last().map_or(0, |&end| end as usize));
        let asking = self.branches.iter().filter(|(_, to)| *to == ASK);
        let asks: Vec<u32> = asking.map(|(at, _)| offsets[at + 1] - 4).collect();
        for &field in &asks {
            code[field as usize..field as usize + 4].fill(0);
        }
        let comments = self.comments.iter().map(|(at, text)| (offsets[*at], (**text).into()));
        let comments = comments.collect();
        Assembled { code, asks, comments, mark: self.mark.map(|at| offsets[at]) }
    }
}
