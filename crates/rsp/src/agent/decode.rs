//! From bytes to instructions: nothing is run that was not wholly understood.

use std::fmt;

use super::op::{Binary, Op, Tracing};

/// Why bytecode is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BadCodeKind {
    /// Longer than jumps can reach.
    TooLong,
    /// No instruction begins with this byte.
    UnknownOp(u8),
    /// The code ends within an instruction.
    Truncated,
    /// A jump to where no instruction begins.
    BadJump(u16),
    /// A format without its zero byte.
    BadFormat,
}

/// Bytecode that is refused, and where.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BadCode {
    /// Where the instruction begins, in bytes.
    pub offset: u16,
    /// What is wrong with it.
    pub kind: BadCodeKind,
}

impl fmt::Display for BadCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent expression, byte {}: ", self.offset)?;
        match self.kind {
            BadCodeKind::TooLong => f.write_str("the code is too long"),
            BadCodeKind::UnknownOp(byte) => write!(f, "unknown instruction {byte:#04x}"),
            BadCodeKind::Truncated => f.write_str("the code ends within an instruction"),
            BadCodeKind::BadJump(to) => write!(f, "jump to {to}, where no instruction begins"),
            BadCodeKind::BadFormat => f.write_str("a format is not terminated"),
        }
    }
}

impl std::error::Error for BadCode {}

/// Bytecode that was checked: every instruction is known and whole, every jump
/// leads to one. It may still fail, or never end by itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Program {
    ops: Vec<(u16, Op)>,
}

impl Program {
    /// Reads and checks bytecode. Empty code is a program without a result.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn decode(code: &[u8]) -> Result<Self, BadCode> {
        if code.len() > usize::from(u16::MAX) {
            return Err(BadCode { offset: u16::MAX, kind: BadCodeKind::TooLong });
        }
        let mut ops = Vec::new();
        let mut bytes = Bytes { rest: code };
        while !bytes.rest.is_empty() {
            let offset = u16::try_from(code.len() - bytes.rest.len()).unwrap_or(u16::MAX);
            ops.push((offset, bytes.op().map_err(|kind| BadCode { offset, kind })?));
        }
        let program = Self { ops };
        program.check_jumps()?;
        Ok(program)
    }

    fn check_jumps(&self) -> Result<(), BadCode> {
        for (offset, op) in &self.ops {
            if let Op::Jump(to) | Op::JumpIf(to) = op
                && self.index_of(*to).is_none()
            {
                return Err(BadCode { offset: *offset, kind: BadCodeKind::BadJump(*to) });
            }
        }
        Ok(())
    }

    /// The instructions, each with the place of its first byte; in ascending
    /// order.
    pub fn ops(&self) -> &[(u16, Op)] {
        &self.ops
    }

    /// Which instruction begins at a byte.
    pub fn index_of(&self, offset: u16) -> Option<usize> {
        self.ops.binary_search_by_key(&offset, |(at, _)| *at).ok()
    }
}

/// A line for each instruction.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (offset, op) in &self.ops {
            writeln!(f, "{offset:3}  {op}")?;
        }
        Ok(())
    }
}

/// What is left of the code.
struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BadCodeKind> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(BadCodeKind::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An operand, which always has its highest byte first.
    fn number(&mut self, bytes: usize) -> Result<u64, BadCodeKind> {
        let taken = self.take(bytes)?;
        Ok(taken.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn u8(&mut self) -> Result<u8, BadCodeKind> {
        self.number(1).map(|number| number as u8)
    }

    fn u16(&mut self) -> Result<u16, BadCodeKind> {
        self.number(2).map(|number| number as u16)
    }

    /// The numbers are those of gdb's `gdbsupport/ax.def`.
    fn op(&mut self) -> Result<Op, BadCodeKind> {
        // tidy: flat match
        let byte = self.u8()?;
        if let Some((_, binary, _)) = Binary::ALL.iter().find(|(known, ..)| *known == byte) {
            return Ok(Op::Binary(*binary));
        }
        Ok(match byte {
            0x0e => Op::LogicalNot,
            0x12 => Op::BitNot,
            0x16 => Op::SignExtend(self.u8()?),
            0x17 => Op::Load(1),
            0x18 => Op::Load(2),
            0x19 => Op::Load(4),
            0x1a => Op::Load(8),
            0x20 => Op::JumpIf(self.u16()?),
            0x21 => Op::Jump(self.u16()?),
            0x22 => Op::Const(self.number(1)?),
            0x23 => Op::Const(self.number(2)?),
            0x24 => Op::Const(self.number(4)?),
            0x25 => Op::Const(self.number(8)?),
            0x26 => Op::Register(self.u16()?),
            0x27 => Op::End,
            0x28 => Op::Duplicate,
            0x29 => Op::Pop,
            0x2a => Op::ZeroExtend(self.u8()?),
            0x2b => Op::Swap,
            0x32 => Op::Pick(self.u8()?),
            0x33 => Op::Rotate,
            0x34 => self.printf()?,
            _ => Op::Unsupported(self.tracing(byte)?),
        })
    }

    fn tracing(&mut self, byte: u8) -> Result<Tracing, BadCodeKind> {
        Ok(match byte {
            0x0c => Tracing::Trace,
            0x0d => Tracing::Quick(self.u8()?),
            0x2c => Tracing::Get(self.u16()?),
            0x2d => Tracing::Set(self.u16()?),
            0x2e => Tracing::Variable(self.u16()?),
            0x2f => Tracing::Text,
            0x30 => Tracing::Quick16(self.u16()?),
            0x01 | 0x1b..=0x1f => Tracing::Float(byte),
            _ => return Err(BadCodeKind::UnknownOp(byte)),
        })
    }

    fn printf(&mut self) -> Result<Op, BadCodeKind> {
        let arguments = self.u8()?;
        let length = usize::from(self.u16()?);
        let (last, format) = self.take(length)?.split_last().ok_or(BadCodeKind::BadFormat)?;
        if *last != 0 {
            return Err(BadCodeKind::BadFormat);
        }
        // What comes after a first zero byte cannot be reached.
        let end = format.iter().position(|&byte| byte == 0).unwrap_or(format.len());
        Ok(Op::Printf { arguments, format: format.get(..end).unwrap_or(format).to_vec() })
    }
}
