//! Where a variable lives at one place in the code, as a small program over
//! registers and memory.
//!
//! `symbols` lowers DWARF location descriptions to it (location lists already
//! resolved for one pc, the frame base and the canonical frame address already
//! folded in), the interpreter runs it, and the in-process compiler turns it
//! into machine code. It knows no DWARF.

use crate::addr::{ImageAddr, LoadBias, VirtAddr};
use crate::ids::ModuleId;
use crate::memory::{ReadMemory, Unreadable};
use crate::x64::Reg;

/// Where a value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In memory, at the address the program computes.
    Memory(Program),
    /// In a register: the low bytes of a general one, or a vector register.
    Register(Reg),
    /// Nowhere: the program computes the value itself.
    Value(Program),
    /// Nowhere: the bytes are known.
    Bytes(Vec<u8>),
    /// In several parts, first bytes first.
    Pieces(Vec<Piece>),
    /// Nowhere, but a pointer: what it points to is known, and need have no
    /// address.
    Pointer(Box<Pointed>),
    /// Not available here; the text says why ("optimized out").
    Unavailable(String),
}

/// What a pointer that is nowhere points to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointed {
    /// Where the variable is that it points into.
    pub place: Place,
    /// How far into it.
    pub offset: i64,
}

/// Why the bytes of a [`Place::Pointer`] are not to be had.
pub const NO_ADDRESS: &str = "the pointer is optimized out; what it points to has no address";

/// A part of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where the part is.
    pub place: Place,
    /// Its length in bytes.
    pub len: u64,
}

/// A stack program: runs its operations on an empty stack of 64-bit words and
/// yields the top.
pub type Program = Vec<Op>;

/// One operation of a [`Program`]. Names and meaning follow DWARF 5 section 2.5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Push a number.
    Const(u64),
    /// Push the loaded address of something in the image.
    Address(ImageAddr),
    /// Push a general register of the frame plus a displacement.
    RegOffset(Reg, i64),
    /// Push what a general register holds that the call which the frame has
    /// under way leaves alone, whoever is called.
    KeptRegister(Reg),
    /// Push what a general register held when the frame's function was
    /// entered.
    EntryRegister(Reg),
    /// Push the address of a thread-local variable at this offset in its
    /// module's TLS block.
    Tls {
        /// Whose block.
        module: ModuleId,
        /// Bytes from the start of the block's image.
        offset: u64,
    },
    /// Pop an address, push the zero-extended number of `size` bytes (1 to 8)
    /// there.
    Deref {
        /// Bytes to read.
        size: u8,
    },
    /// Push a copy of the word `depth` below the top.
    Pick(u8),
    /// Discard the top.
    Drop,
    /// Exchange the top two.
    Swap,
    /// Rotate the top three: the top becomes third.
    Rot,
    /// Pop b, a; push a OP b.
    Binary(BinaryOp),
    /// Pop a; push OP a.
    Unary(UnaryOp),
}

/// Binary operations; arithmetic wraps at 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are DWARF's own")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Signed division; fails on zero.
    Div,
    /// Unsigned remainder; fails on zero.
    Mod,
    And,
    Or,
    Xor,
    Shl,
    /// Logical shift right.
    Shr,
    /// Arithmetic shift right.
    Shra,
    /// Comparisons are signed and yield 1 or 0.
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Unary operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are DWARF's own")]
pub enum UnaryOp {
    Neg,
    Not,
    Abs,
}

/// Why an [`Op::EntryRegister`] has no value.
pub const NO_ENTRY_VALUE: &str = "the value at function entry is not known";

/// What a [`Program`] needs to know of the frame it runs in.
pub trait Frame: ReadMemory {
    /// The value of a general register in this frame; the error is a sentence.
    fn register(&self, reg: Reg) -> Result<u64, String>;

    /// The value of a general register in this frame, when nobody whom it
    /// called has touched that.
    fn kept_register(&self, reg: Reg) -> Result<u64, String> {
        self.register(reg)
    }

    /// The value that a general register had when the frame's function was
    /// entered, as its caller's debug information tells.
    fn entry_register(&self, _reg: Reg) -> Result<u64, String> {
        Err(NO_ENTRY_VALUE.to_owned())
    }

    /// The address of a thread-local variable for the frame's thread.
    fn tls_address(&self, module: ModuleId, offset: u64) -> Result<VirtAddr, String>;
}

/// Why a [`Program`] yielded nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocationError {
    /// Memory it wanted is not readable.
    Unreadable(Unreadable),
    /// Something of the frame is not known; a sentence.
    Unknown(String),
    /// The program itself is wrong (corrupt debug information).
    Malformed(&'static str),
}

impl From<Unreadable> for LocationError {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl std::fmt::Display for LocationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Unknown(why) => f.write_str(why),
            Self::Malformed(what) => write!(f, "malformed location description: {what}"),
        }
    }
}

/// Applies an image's load bias to every [`Op::Address`] of a place, and says
/// whether there was one.
pub fn relocate(place: &mut Place, bias: LoadBias) -> bool {
    match place {
        Place::Memory(program) | Place::Value(program) => relocate_program(program, bias),
        Place::Pieces(pieces) => {
            pieces.iter_mut().fold(false, |any, piece| relocate(&mut piece.place, bias) | any)
        }
        Place::Pointer(pointed) => relocate(&mut pointed.place, bias),
        Place::Register(_) | Place::Bytes(_) | Place::Unavailable(_) => false,
    }
}

/// Applies an image's load bias to every [`Op::Address`] of a program, and
/// says whether there was one.
pub fn relocate_program(program: &mut Program, bias: LoadBias) -> bool {
    let mut any = false;
    for op in program {
        if let Op::Address(addr) = *op {
            *op = Op::Const(bias.to_virt(addr).get());
            any = true;
        }
    }
    any
}

/// Runs a program in a frame. [`Op::Address`] must have been relocated.
pub fn run(program: &[Op], frame: &dyn Frame) -> Result<u64, LocationError> {
    const MAX_STACK: usize = 256;
    let mut stack: Vec<u64> = Vec::with_capacity(4);
    for op in program {
        step(*op, &mut stack, frame)?;
        if stack.len() > MAX_STACK {
            return Err(LocationError::Malformed("stack too deep"));
        }
    }
    stack.pop().ok_or(LocationError::Malformed("empty stack"))
}

fn step(op: Op, stack: &mut Vec<u64>, frame: &dyn Frame) -> Result<(), LocationError> {
    const UNDERFLOW: LocationError = LocationError::Malformed("stack underflow");
    match op {
        Op::Const(value) => stack.push(value),
        Op::Address(_) => return Err(LocationError::Malformed("address not relocated")),
        Op::RegOffset(reg, offset) => {
            let base = frame.register(reg).map_err(LocationError::Unknown)?;
            stack.push(base.wrapping_add_signed(offset));
        }
        Op::KeptRegister(reg) => {
            stack.push(frame.kept_register(reg).map_err(LocationError::Unknown)?);
        }
        Op::EntryRegister(reg) => {
            stack.push(frame.entry_register(reg).map_err(LocationError::Unknown)?);
        }
        Op::Tls { module, offset } => {
            let addr = frame.tls_address(module, offset).map_err(LocationError::Unknown)?;
            stack.push(addr.get());
        }
        Op::Deref { size } => {
            let addr = stack.pop().ok_or(UNDERFLOW)?;
            let mut bytes = [0; 8];
            let wanted = bytes
                .get_mut(..usize::from(size))
                .ok_or(LocationError::Malformed("dereference of more than 8 bytes"))?;
            frame.read_exact(VirtAddr::new(addr), wanted)?;
            stack.push(u64::from_le_bytes(bytes));
        }
        Op::Pick(depth) => {
            let index = stack.len().checked_sub(1 + usize::from(depth)).ok_or(UNDERFLOW)?;
            stack.push(stack[index]);
        }
        Op::Drop => {
            stack.pop().ok_or(UNDERFLOW)?;
        }
        Op::Swap => {
            let top = stack.len().checked_sub(2).ok_or(UNDERFLOW)?;
            stack.swap(top, top + 1);
        }
        Op::Rot => {
            let third = stack.len().checked_sub(3).ok_or(UNDERFLOW)?;
            stack[third..].rotate_right(1);
        }
        Op::Binary(op) => {
            let b = stack.pop().ok_or(UNDERFLOW)?;
            let a = stack.pop().ok_or(UNDERFLOW)?;
            stack.push(binary(op, a, b)?);
        }
        Op::Unary(op) => {
            let a = stack.pop().ok_or(UNDERFLOW)?;
            stack.push(match op {
                UnaryOp::Neg => a.wrapping_neg(),
                UnaryOp::Not => !a,
                UnaryOp::Abs => a.cast_signed().unsigned_abs(),
            });
        }
    }
    Ok(())
}

fn binary(op: BinaryOp, a: u64, b: u64) -> Result<u64, LocationError> {
    let (signed_a, signed_b) = (a.cast_signed(), b.cast_signed());
    let shift = u32::try_from(b).unwrap_or(u32::MAX);
    Ok(match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div if b == 0 => return Err(LocationError::Malformed("division by zero")),
        BinaryOp::Div => signed_a.wrapping_div(signed_b).cast_unsigned(),
        BinaryOp::Mod => a.checked_rem(b).ok_or(LocationError::Malformed("division by zero"))?,
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => a.checked_shl(shift).unwrap_or(0),
        BinaryOp::Shr => a.checked_shr(shift).unwrap_or(0),
        BinaryOp::Shra => signed_a.checked_shr(shift).unwrap_or(signed_a >> 63).cast_unsigned(),
        BinaryOp::Eq => u64::from(signed_a == signed_b),
        BinaryOp::Ne => u64::from(signed_a != signed_b),
        BinaryOp::Lt => u64::from(signed_a < signed_b),
        BinaryOp::Le => u64::from(signed_a <= signed_b),
        BinaryOp::Gt => u64::from(signed_a > signed_b),
        BinaryOp::Ge => u64::from(signed_a >= signed_b),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Bytes;

    struct OneRegister(Bytes);

    impl ReadMemory for OneRegister {
        fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
            self.0.read_some(addr, buf)
        }
    }

    impl Frame for OneRegister {
        fn register(&self, reg: Reg) -> Result<u64, String> {
            if reg == Reg::Rbp { Ok(0x1010) } else { Err(format!("{} is lost", reg.name())) }
        }

        fn tls_address(&self, _: ModuleId, offset: u64) -> Result<VirtAddr, String> {
            Ok(VirtAddr::new(0x9000 + offset))
        }
    }

    fn check(program: &[Op], expected: Result<u64, LocationError>) {
        let memory = Bytes { start: VirtAddr::new(0x1000), data: (0..32).collect() };
        assert_eq!(run(program, &OneRegister(memory)), expected, "{program:?}");
    }

    #[test]
    fn programs_compute() {
        use BinaryOp::*;
        check(&[Op::RegOffset(Reg::Rbp, -8), Op::Deref { size: 2 }], Ok(0x0908));
        check(&[Op::Const(7), Op::Const(2), Op::Binary(Sub)], Ok(5));
        check(&[Op::Const(1), Op::Const(2), Op::Const(3), Op::Rot, Op::Drop], Ok(1));
        check(&[Op::Const(1), Op::Const(70), Op::Binary(Shl)], Ok(0));
        check(&[Op::Const(u64::MAX), Op::Const(0), Op::Binary(Lt)], Ok(1));
        check(&[Op::Const(4), Op::Const(9), Op::Pick(1)], Ok(4));
        check(&[Op::Tls { module: ModuleId::new(1), offset: 16 }], Ok(0x9010));
    }

    #[test]
    fn wrong_programs_say_what_is_wrong() {
        check(&[], Err(LocationError::Malformed("empty stack")));
        check(&[Op::Swap], Err(LocationError::Malformed("stack underflow")));
        check(
            &[Op::Const(1), Op::Const(0), Op::Binary(BinaryOp::Div)],
            Err(LocationError::Malformed("division by zero")),
        );
        check(&[Op::RegOffset(Reg::Rax, 0)], Err(LocationError::Unknown("rax is lost".into())));
        check(
            &[Op::Const(0x5000), Op::Deref { size: 8 }],
            Err(LocationError::Unreadable(Unreadable { addr: VirtAddr::new(0x5000) })),
        );
    }
}
