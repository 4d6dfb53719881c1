//! What the bytecode means. Every step is checked, and their number is limited:
//! code from the other side of a wire may be anything.

use std::fmt;

use super::decode::Program;
use super::op::{Binary, Op};
use super::printf;

/// What the code can see of the debuggee and do with it.
pub trait Machine {
    /// A register by gdb's number, without sign; `None` when there is none.
    fn register(&mut self, number: u16) -> Option<u64>;
    /// Reads memory; `false` when not all of it can be read.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool;
    /// Prints what `printf` made.
    fn print(&mut self, text: &str);
}

/// How far code may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Instructions executed.
    pub steps: u32,
    /// Values on the stack.
    pub stack: usize,
    /// Bytes that every `printf` of a run may make together, and the most that
    /// one reads of a string.
    pub text: usize,
}

impl Default for Limits {
    /// As many values as gdbserver has, and steps that take milliseconds.
    fn default() -> Self {
        Self { steps: 100_000, stack: 100, text: 64 * 1024 }
    }
}

/// Why code failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Division by zero.
    DivisionByZero,
    /// Memory that cannot be read.
    Memory {
        /// Where.
        address: u64,
    },
    /// There is no such register.
    Register(u16),
    /// More values than the limit.
    StackOverflow,
    /// A value was needed that is not there.
    StackUnderflow,
    /// More steps than the limit.
    TooManySteps,
    /// The code ended without `end`.
    NoEnd,
    /// An instruction for trace experiments, or of floating point.
    Unsupported,
    /// A format that is none, or does not fit its arguments.
    Format,
    /// There was more to print than the limit.
    TooMuchText,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DivisionByZero => f.write_str("division by zero"),
            Self::Memory { address } => write!(f, "cannot read memory at {address:#x}"),
            Self::Register(number) => write!(f, "there is no register {number}"),
            Self::StackOverflow => f.write_str("too many values"),
            Self::StackUnderflow => f.write_str("a value is missing"),
            Self::TooManySteps => f.write_str("it takes too long"),
            Self::NoEnd => f.write_str("the code does not end"),
            Self::Unsupported => f.write_str("an instruction is not supported"),
            Self::Format => f.write_str("a printf format does not fit"),
            Self::TooMuchText => f.write_str("there is too much to print"),
        }
    }
}

impl std::error::Error for Fault {}

impl Program {
    /// Runs the code, and gives the value on top of the stack at its end.
    /// `None` when there is none: commands have no result, and empty code is
    /// one.
    ///
    /// # Errors
    /// What went wrong. What was printed until then stays printed.
    pub fn run(&self, machine: &mut dyn Machine, limits: Limits) -> Result<Option<u64>, Fault> {
        if self.ops().is_empty() {
            return Ok(None);
        }
        let mut run = Run { stack: Vec::new(), limits, machine };
        let mut at = 0;
        for _ in 0..limits.steps {
            let (_, op) = self.ops().get(at).ok_or(Fault::NoEnd)?;
            match run.step(op)? {
                Next::Following => at += 1,
                Next::At(offset) => at = self.index_of(offset).ok_or(Fault::NoEnd)?,
                Next::Done => return Ok(run.stack.pop()),
            }
        }
        Err(Fault::TooManySteps)
    }
}

enum Next {
    Following,
    At(u16),
    Done,
}

struct Run<'a> {
    stack: Vec<u64>,
    limits: Limits,
    machine: &'a mut dyn Machine,
}

impl Run<'_> {
    fn pop(&mut self) -> Result<u64, Fault> {
        self.stack.pop().ok_or(Fault::StackUnderflow)
    }

    fn push(&mut self, value: u64) -> Result<(), Fault> {
        if self.stack.len() >= self.limits.stack {
            return Err(Fault::StackOverflow);
        }
        self.stack.push(value);
        Ok(())
    }

    fn replace(&mut self, with: impl FnOnce(u64) -> u64) -> Result<(), Fault> {
        let value = self.pop()?;
        self.push(with(value))
    }

    fn step(&mut self, op: &Op) -> Result<Next, Fault> {
        // tidy: flat match
        match op {
            Op::Binary(binary) => {
                let (right, left) = (self.pop()?, self.pop()?);
                self.push(apply(*binary, left, right)?)?;
            }
            Op::LogicalNot => self.replace(|value| u64::from(value == 0))?,
            Op::BitNot => self.replace(|value| !value)?,
            Op::SignExtend(bits) => self.replace(|value| sign_extend(value, *bits))?,
            Op::ZeroExtend(bits) => self.replace(|value| value & low_mask(*bits))?,
            Op::Load(bytes) => {
                let address = self.pop()?;
                let value = self.load(address, usize::from(*bytes))?;
                self.push(value)?;
            }
            Op::Const(value) => self.push(*value)?,
            Op::Register(number) => {
                let value = self.machine.register(*number).ok_or(Fault::Register(*number))?;
                self.push(value)?;
            }
            Op::JumpIf(to) if self.pop()? != 0 => return Ok(Next::At(*to)),
            Op::JumpIf(_) => {}
            Op::Jump(to) => return Ok(Next::At(*to)),
            Op::Duplicate => self.pick(0)?,
            Op::Pop => {
                self.pop()?;
            }
            Op::Swap => {
                let (top, below) = (self.pop()?, self.pop()?);
                self.stack.extend([top, below]);
            }
            Op::Pick(depth) => self.pick(usize::from(*depth))?,
            Op::Rotate => {
                let (top, middle, bottom) = (self.pop()?, self.pop()?, self.pop()?);
                self.stack.extend([top, bottom, middle]);
            }
            Op::Printf { arguments, format } => self.printf(*arguments, format)?,
            Op::End => return Ok(Next::Done),
            Op::Unsupported(_) => return Err(Fault::Unsupported),
        }
        Ok(Next::Following)
    }

    fn load(&mut self, address: u64, width: usize) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..width).ok_or(Fault::Unsupported)?;
        if !self.machine.read(address, wanted) {
            return Err(Fault::Memory { address });
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn pick(&mut self, depth: usize) -> Result<(), Fault> {
        let value = self.stack.iter().rev().nth(depth).copied();
        self.push(value.ok_or(Fault::StackUnderflow)?)
    }

    /// gdb's agents call a function with a channel; gdbserver itself prints
    /// whatever they are, and so does this.
    fn printf(&mut self, count: u8, format: &[u8]) -> Result<(), Fault> {
        let _function = self.pop()?;
        let _channel = self.pop()?;
        let mut arguments = Vec::new();
        for _ in 0..count {
            arguments.push(self.pop()?);
        }
        let text = printf::format(format, &arguments, self.limits.text, self.machine)?;
        self.limits.text -= text.len();
        self.machine.print(&String::from_utf8_lossy(&text));
        Ok(())
    }
}

fn apply(binary: Binary, left: u64, right: u64) -> Result<u64, Fault> {
    let (signed_left, signed_right) = (left as i64, right as i64);
    let divides = matches!(
        binary,
        Binary::DivSigned | Binary::DivUnsigned | Binary::RemSigned | Binary::RemUnsigned
    );
    if divides && right == 0 {
        return Err(Fault::DivisionByZero);
    }
    Ok(match binary {
        Binary::Add => left.wrapping_add(right),
        Binary::Sub => left.wrapping_sub(right),
        Binary::Mul => left.wrapping_mul(right),
        Binary::DivSigned => signed_left.wrapping_div(signed_right) as u64,
        Binary::DivUnsigned => left / right,
        Binary::RemSigned => signed_left.wrapping_rem(signed_right) as u64,
        Binary::RemUnsigned => left % right,
        Binary::ShiftLeft => shift(right).map_or(0, |bits| left << bits),
        Binary::ShiftRightUnsigned => shift(right).map_or(0, |bits| left >> bits),
        Binary::ShiftRightSigned => (signed_left >> shift(right).unwrap_or(63)) as u64,
        Binary::And => left & right,
        Binary::Or => left | right,
        Binary::Xor => left ^ right,
        Binary::Equal => u64::from(left == right),
        Binary::LessSigned => u64::from(signed_left < signed_right),
        Binary::LessUnsigned => u64::from(left < right),
    })
}

/// How far a shift goes; `None` when every bit is shifted out. The manual does
/// not say what then happens: gdb's own evaluation gives what is left.
fn shift(by: u64) -> Option<u32> {
    u32::try_from(by).ok().filter(|bits| *bits < 64)
}

fn low_mask(bits: u8) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

fn sign_extend(value: u64, bits: u8) -> u64 {
    match bits {
        0 => 0,
        1..64 => {
            let unused = 64 - u32::from(bits);
            ((value << unused) as i64 >> unused) as u64
        }
        _ => value,
    }
}
