//! Facts about x86-64 that need no operating system: registers, flags, trap
//! instructions, debug registers.

mod code;
pub mod debug;
mod extended;
mod registers;

pub use code::CodeBytes;
pub use extended::{Component, ExtendedLayout, ExtendedReg, ExtendedState};
pub use registers::{Reg, RegClass, RegView, Registers, VectorState};

/// The one-byte breakpoint instruction, `int3`. Intel SDM volume 2, INT3: the
/// saved instruction pointer is the byte after it.
pub const INT3: u8 = 0xcc;

/// The one-byte `int1` (`icebp`): raises a debug exception; the saved
/// instruction pointer is the byte after it.
pub const INT1: u8 = 0xf1;

/// Longest instruction in bytes. Intel SDM volume 2, section 2.3.11.
pub const MAX_INSTRUCTION: usize = 15;

/// Bytes below the stack pointer that a function may use without telling
/// anyone. System V ABI AMD64, section 3.2.2.
pub const RED_ZONE: u64 = 128;

/// Bits of `RFLAGS`. Intel SDM volume 1, section 3.4.3.
pub mod flags {
    /// Carry.
    pub const CF: u64 = 1 << 0;
    /// Parity.
    pub const PF: u64 = 1 << 2;
    /// Auxiliary carry.
    pub const AF: u64 = 1 << 4;
    /// Zero.
    pub const ZF: u64 = 1 << 6;
    /// Sign.
    pub const SF: u64 = 1 << 7;
    /// Overflow.
    pub const OF: u64 = 1 << 11;
    /// Trap flag: single step.
    pub const TF: u64 = 1 << 8;
    /// Direction flag.
    pub const DF: u64 = 1 << 10;
    /// Resume flag: the next instruction does not hit an execute breakpoint.
    pub const RF: u64 = 1 << 16;
}
