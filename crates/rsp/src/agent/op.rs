//! The instructions, and how they are printed. What they do is for
//! [`interpret`](super::interpret), their bytes for [`decode`](super::decode).

use std::fmt;

/// An operation on the two values on top: the one below, then the top.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient of signed numbers, towards zero.
    DivSigned,
    /// Quotient of unsigned numbers.
    DivUnsigned,
    /// Remainder of signed numbers, with the sign of the dividend.
    RemSigned,
    /// Remainder of unsigned numbers.
    RemUnsigned,
    /// Shift to the left.
    ShiftLeft,
    /// Shift to the right that keeps the sign.
    ShiftRightSigned,
    /// Shift to the right that brings zeros in.
    ShiftRightUnsigned,
    /// Bits in both.
    And,
    /// Bits in either.
    Or,
    /// Bits in one.
    Xor,
    /// 1 when they are equal.
    Equal,
    /// 1 when the one below is less, as signed numbers.
    LessSigned,
    /// 1 when the one below is less, as unsigned numbers.
    LessUnsigned,
}

/// What is only for trace experiments, or was never made to work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tracing {
    /// Record memory, address and size on the stack.
    Trace,
    /// Record this many bytes at the address on top.
    Quick(u8),
    /// The same with a wider count.
    Quick16(u16),
    /// Record text up to its zero byte.
    Text,
    /// Push a trace state variable.
    Get(u16),
    /// Set one to the top.
    Set(u16),
    /// Record one.
    Variable(u16),
    /// Floating point, which gdb neither defines nor sends: its byte.
    Float(u8),
}

/// One instruction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Two values become one.
    Binary(Binary),
    /// 1 for zero, 0 for anything else.
    LogicalNot,
    /// Every bit turned.
    BitNot,
    /// The lowest bits of the top, extended by their highest one. 64 and more
    /// change nothing.
    SignExtend(u8),
    /// The lowest bits of the top. 64 and more change nothing.
    ZeroExtend(u8),
    /// What is in memory where the top says: 1, 2, 4 or 8 bytes.
    Load(u8),
    /// Push a constant, without sign.
    Const(u64),
    /// Push a register, by gdb's number.
    Register(u16),
    /// Go there when the value taken from the top is not zero.
    JumpIf(u16),
    /// Go there.
    Jump(u16),
    /// The top once more.
    Duplicate,
    /// Drop the top.
    Pop,
    /// Exchange the two on top.
    Swap,
    /// Push the value that lies this many below the top.
    Pick(u8),
    /// The top goes below the two under it.
    Rotate,
    /// Print: drop function and channel, then as many arguments, the first of
    /// which is on top.
    Printf {
        /// How many.
        arguments: u8,
        /// The format without its zero byte, with backslashes as the user
        /// wrote them.
        format: Vec<u8>,
    },
    /// Done; the top is the result.
    End,
    /// What cannot be run here.
    Unsupported(Tracing),
}

impl Binary {
    /// Every one with its byte and gdb's name.
    pub(super) const ALL: [(u8, Self, &'static str); 16] = [
        (0x02, Self::Add, "add"),
        (0x03, Self::Sub, "sub"),
        (0x04, Self::Mul, "mul"),
        (0x05, Self::DivSigned, "div_signed"),
        (0x06, Self::DivUnsigned, "div_unsigned"),
        (0x07, Self::RemSigned, "rem_signed"),
        (0x08, Self::RemUnsigned, "rem_unsigned"),
        (0x09, Self::ShiftLeft, "lsh"),
        (0x0a, Self::ShiftRightSigned, "rsh_signed"),
        (0x0b, Self::ShiftRightUnsigned, "rsh_unsigned"),
        (0x0f, Self::And, "bit_and"),
        (0x10, Self::Or, "bit_or"),
        (0x11, Self::Xor, "bit_xor"),
        (0x13, Self::Equal, "equal"),
        (0x14, Self::LessSigned, "less_signed"),
        (0x15, Self::LessUnsigned, "less_unsigned"),
    ];
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(_, binary, _)| binary == self);
        f.write_str(known.map_or("", |(_, _, name)| name))
    }
}

impl fmt::Display for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace => f.write_str("trace"),
            Self::Quick(size) => write!(f, "trace_quick {size}"),
            Self::Quick16(size) => write!(f, "trace16 {size}"),
            Self::Text => f.write_str("tracenz"),
            Self::Get(variable) => write!(f, "getv {variable}"),
            Self::Set(variable) => write!(f, "setv {variable}"),
            Self::Variable(variable) => write!(f, "tracev {variable}"),
            Self::Float(byte) => write!(f, "float {byte:#04x}"),
        }
    }
}

/// As gdb prints it; constants are in hexadecimal, places as byte offsets.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary(binary) => write!(f, "{binary}"),
            Self::LogicalNot => f.write_str("log_not"),
            Self::BitNot => f.write_str("bit_not"),
            Self::SignExtend(bits) => write!(f, "ext {bits}"),
            Self::ZeroExtend(bits) => write!(f, "zero_ext {bits}"),
            Self::Load(bytes) => write!(f, "ref{}", u32::from(*bytes) * 8),
            Self::Const(value) => write!(f, "const {value:#x}"),
            Self::Register(number) => write!(f, "reg {number}"),
            Self::JumpIf(offset) => write!(f, "if_goto {offset}"),
            Self::Jump(offset) => write!(f, "goto {offset}"),
            Self::Duplicate => f.write_str("dup"),
            Self::Pop => f.write_str("pop"),
            Self::Swap => f.write_str("swap"),
            Self::Pick(depth) => write!(f, "pick {depth}"),
            Self::Rotate => f.write_str("rot"),
            Self::Printf { arguments, format } => {
                write!(f, "printf {arguments} {:?}", String::from_utf8_lossy(format))
            }
            Self::End => f.write_str("end"),
            Self::Unsupported(tracing) => write!(f, "{tracing}"),
        }
    }
}
