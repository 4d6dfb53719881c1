//! Variables that are not simply in memory, and location descriptions.

use trapline_core::location::{self, BinaryOp, Piece, Place, UnaryOp};
use trapline_core::x64::{Reg, RegClass};

use super::lower::{Lower, X87};
use super::tree::{Op, WordId};
use super::{Result, Unsupported};
use crate::ir::{Arithmetic, Comparison, FloatKind, IntKind, Load, Sort};

/// Most operations of a location description.
const MAX_OPERATIONS: usize = 200;

const PAST_END: &str = "the value is larger than its place";
const ENTRY_REGISTER: &str = "it takes looking at the caller to know a value at function entry";
const UNDERFLOW: &str = "its location description is malformed";

impl Lower<'_> {
    /// A register of the program, as a word.
    pub(super) fn register(&mut self, reg: Reg) -> Result<WordId> {
        match reg {
            _ if reg.class() == RegClass::General => {
                self.tree.push(Op::Register(reg), Sort::ADDRESS)
            }
            Reg::Rip => self.tree.integer(self.env.pc(), IntKind::U64),
            Reg::FsBase => self.tree.push(Op::ThreadBase, Sort::ADDRESS),
            _ => Err(Unsupported(format!("{reg} is not read inside the program"))),
        }
    }

    /// The word that a location description computes.
    pub(super) fn location(&mut self, program: &[location::Op]) -> Result<WordId> {
        if program.len() > MAX_OPERATIONS {
            return Err("its location description is too long".into());
        }
        let mut stack = Vec::new();
        for op in program {
            self.step(*op, &mut stack)?;
        }
        let top = pop(&mut stack)?;
        while !stack.is_empty() {
            self.dropped(&mut stack)?;
        }
        Ok(top)
    }

    fn step(&mut self, op: location::Op, stack: &mut Vec<WordId>) -> Result<()> {
        use location::Op as Location;
        let word = match op {
            Location::Const(word) => self.tree.integer(word, IntKind::U64)?,
            Location::Address(_) => return Err(UNDERFLOW.into()),
            Location::RegOffset(reg, by) => {
                let base = self.register(reg)?;
                self.tree.plus(base, by.cast_unsigned())?
            }
            Location::KeptRegister(reg) => self.register(reg)?,
            Location::EntryRegister(_) => return Err(ENTRY_REGISTER.into()),
            Location::Tls { module, offset } => {
                let from_base = self.env.tls(module, offset).map_err(Unsupported)?;
                let base = self.tree.push(Op::ThreadBase, Sort::ADDRESS)?;
                self.tree.plus(base, from_base.cast_unsigned())?
            }
            Location::Deref { size } => {
                let address = pop(stack)?;
                self.number_at(address, usize::from(size))?
            }
            Location::Pick(depth) => nth(stack, usize::from(depth))?,
            Location::Drop => return self.dropped(stack),
            Location::Swap => {
                nth(stack, 1)?;
                let top = stack.len() - 1;
                stack.swap(top - 1, top);
                return Ok(());
            }
            Location::Rot => {
                nth(stack, 2)?;
                let third = stack.len() - 3;
                stack[third..].rotate_right(1);
                return Ok(());
            }
            Location::Binary(op) => {
                let (b, a) = (pop(stack)?, pop(stack)?);
                self.binary(op, a, b)?
            }
            Location::Unary(op) => {
                let a = pop(stack)?;
                self.unary(op, a)?
            }
        };
        stack.push(word);
        Ok(())
    }

    /// A word that is not used: it must not be one that may fail.
    fn dropped(&mut self, stack: &mut Vec<WordId>) -> Result<()> {
        match self.tree.word(pop(stack)?).fails {
            true => Err("its location description drops what it reads".into()),
            false => Ok(()),
        }
    }

    fn binary(&mut self, op: BinaryOp, a: WordId, b: WordId) -> Result<WordId> {
        let signed = [self.tree.extend(a, IntKind::I64)?, self.tree.extend(b, IntKind::I64)?];
        let unsigned = |op| (op, [a, b]);
        let (op, [a, b]) = match op {
            BinaryOp::Add => unsigned(Arithmetic::Add),
            BinaryOp::Sub => unsigned(Arithmetic::Sub),
            BinaryOp::Mul => unsigned(Arithmetic::Mul),
            BinaryOp::Mod => unsigned(Arithmetic::Rem),
            BinaryOp::And => unsigned(Arithmetic::And),
            BinaryOp::Or => unsigned(Arithmetic::Or),
            BinaryOp::Xor => unsigned(Arithmetic::Xor),
            BinaryOp::Div => (Arithmetic::Div, signed),
            BinaryOp::Shl => return self.tree.shift(true, a, b),
            BinaryOp::Shr => return self.tree.shift(false, a, b),
            BinaryOp::Shra => {
                let shifted = self.tree.shift(false, signed[0], b)?;
                return self.tree.extend(shifted, IntKind::U64);
            }
            BinaryOp::Eq => return self.comparison(Comparison::Eq, signed),
            BinaryOp::Ne => return self.comparison(Comparison::Ne, signed),
            BinaryOp::Lt => return self.comparison(Comparison::Lt, signed),
            BinaryOp::Le => return self.comparison(Comparison::Le, signed),
            BinaryOp::Gt => return self.comparison(Comparison::Gt, signed),
            BinaryOp::Ge => return self.comparison(Comparison::Ge, signed),
        };
        let word = self.tree.arithmetic(op, a, b)?;
        self.tree.extend(word, IntKind::U64)
    }

    fn comparison(&mut self, op: Comparison, [a, b]: [WordId; 2]) -> Result<WordId> {
        let test = self.tree.compare(op, a, b)?;
        let truth = self.tree.truth(test)?;
        self.tree.extend(truth, IntKind::U64)
    }

    fn unary(&mut self, op: UnaryOp, a: WordId) -> Result<WordId> {
        match op {
            UnaryOp::Neg => self.tree.negate(a),
            UnaryOp::Not => self.tree.complement(a),
            UnaryOp::Abs => {
                let signed = self.tree.extend(a, IntKind::I64)?;
                let zero = self.tree.integer(0, IntKind::I64)?;
                let negative = self.tree.compare(Comparison::Lt, signed, zero)?;
                let minus = self.tree.negate(a)?;
                self.tree.select(negative, minus, a)
            }
        }
    }

    /// The zero-extended number of 1 to 8 bytes at an address.
    fn number_at(&mut self, address: WordId, size: usize) -> Result<WordId> {
        let mut whole = self.tree.integer(0, IntKind::U64)?;
        if !(1..=8).contains(&size) {
            return Err(UNDERFLOW.into());
        }
        let mut done = 0;
        while done < size {
            let kind = largest(size - done);
            let address = self.tree.plus(address, done as u64)?;
            let part = self.tree.load(address, Sort::Int(kind))?;
            let part = self.tree.extend(part, IntKind::U64)?;
            let part = self.tree.shift_by(true, part, 8 * done as u32)?;
            whole = self.tree.arithmetic(Arithmetic::Or, part, whole)?;
            done += usize::from(kind.bytes);
        }
        Ok(whole)
    }

    /// The word of a value that is in a place from an offset on.
    pub(super) fn stored(&mut self, place: &Place, offset: u64, load: Load) -> Result<WordId> {
        let (kind, sort) = match load {
            Load::X87 => return Err(X87.into()),
            Load::Int(kind) => (kind, load.sort()),
            Load::Float(_) => (super::tree::int(load.sort()), load.sort()),
        };
        if let (Place::Register(Reg::Xmm(index)), 0, Load::Float(_)) = (place, offset, load) {
            return self.tree.push(Op::Vector(*index), sort);
        }
        if let Place::Memory(program) = place {
            let start = self.location(program)?;
            let address = self.tree.plus(start, offset)?;
            return self.tree.load(address, sort);
        }
        let bits = self.bytes(place, offset, u64::from(kind.bytes))?;
        let bits = self.tree.extend(bits, kind)?;
        match sort {
            Sort::Int(_) => Ok(bits),
            Sort::Float(FloatKind::F32 | FloatKind::F64) => match self.tree.known(bits) {
                Some(known) => self.tree.constant(known, sort),
                None => self.tree.push(Op::FromBits(bits), sort),
            },
        }
    }

    /// Some bytes of a place as a word, at most 8; what is above them is not
    /// specified.
    fn bytes(&mut self, place: &Place, offset: u64, size: u64) -> Result<WordId> {
        match place {
            Place::Memory(program) => {
                let start = self.location(program)?;
                let address = self.tree.plus(start, offset)?;
                self.number_at(address, size as usize)
            }
            Place::Register(Reg::Xmm(index)) => {
                inside(offset, size, 16)?;
                self.tree.push(Op::Lane(*index, offset as u8), Sort::ADDRESS)
            }
            Place::Register(reg) => {
                inside(offset, size, 8)?;
                let word = self.register(*reg)?;
                self.tree.shift_by(false, word, 8 * offset as u32)
            }
            Place::Value(program) => {
                inside(offset, size, 8)?;
                let word = self.location(program)?;
                self.tree.shift_by(false, word, 8 * offset as u32)
            }
            Place::Bytes(bytes) => {
                inside(offset, size, bytes.len() as u64)?;
                let mut word = [0; 8];
                let (start, size) = (offset as usize, size as usize);
                word[..size].copy_from_slice(&bytes[start..start + size]);
                self.tree.integer(u64::from_le_bytes(word), IntKind::U64)
            }
            Place::Pieces(pieces) => self.pieces(pieces, offset, size),
            Place::Pointer(_) => Err(location::NO_ADDRESS.into()),
            Place::Unavailable(why) => Err(Unsupported(why.clone())),
        }
    }

    fn pieces(&mut self, pieces: &[Piece], offset: u64, size: u64) -> Result<WordId> {
        let mut whole = self.tree.integer(0, IntKind::U64)?;
        let (mut skip, mut done) = (offset, 0);
        for piece in pieces {
            if done == size {
                break;
            }
            if skip >= piece.len {
                skip -= piece.len;
                continue;
            }
            let here = (piece.len - skip).min(size - done);
            let part = self.bytes(&piece.place, skip, here)?;
            let part = self.low(part, here)?;
            let part = self.tree.shift_by(true, part, 8 * done as u32)?;
            whole = self.tree.arithmetic(Arithmetic::Or, part, whole)?;
            done += here;
            skip = 0;
        }
        if done == size { Ok(whole) } else { Err(PAST_END.into()) }
    }

    /// The low bytes of a word, zero-extended.
    fn low(&mut self, word: WordId, bytes: u64) -> Result<WordId> {
        if let 1 | 2 | 4 | 8 = bytes {
            let cut = self.tree.extend(word, IntKind { bytes: bytes as u8, signed: false })?;
            return self.tree.extend(cut, IntKind::U64);
        }
        let mask = self.tree.integer(u64::MAX >> (64 - 8 * bytes), IntKind::U64)?;
        self.tree.arithmetic(Arithmetic::And, word, mask)
    }
}

/// The largest unsigned integer of at most so many bytes.
pub(super) fn largest(bytes: usize) -> IntKind {
    let bytes = [8, 4, 2].into_iter().find(|&each| usize::from(each) <= bytes).unwrap_or(1);
    IntKind { bytes, signed: false }
}

fn inside(offset: u64, size: u64, whole: u64) -> Result<()> {
    match offset.checked_add(size) {
        Some(end) if end <= whole => Ok(()),
        _ => Err(PAST_END.into()),
    }
}

fn pop(stack: &mut Vec<WordId>) -> Result<WordId> {
    stack.pop().ok_or(UNDERFLOW.into())
}

fn nth(stack: &[WordId], depth: usize) -> Result<WordId> {
    stack.len().checked_sub(1 + depth).map(|at| stack[at]).ok_or(UNDERFLOW.into())
}
