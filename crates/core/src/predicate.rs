//! Machine code that decides about a pass inside the debuggee: the contract
//! between who compiles it (`expr`), who builds it into a trampoline (`patch`)
//! and who keeps its data (`engine`).
//!
//! A [`Predicate`] says one thing only: the pass is *quiet*, nobody has to hear
//! of it. Whatever it cannot be sure of it leaves to the debugger: it *asks*,
//! and so does every fault it runs into. The debugger then judges the pass as
//! it judges one at a trap, so both ways mean the same by construction.
//!
//! While it runs, the thread's registers are partly ours. [`Frame`] says where
//! the program's own values are.

use crate::x64::{RED_ZONE, Reg};

/// Position-independent x86-64 code, entered at its first byte. Running off its
/// end means that the pass is quiet.
///
/// On entry `rsp` is [`Frame::size`] below the program's, `rax` and the flags
/// hold nothing, every other register holds the program's value, and `gs`
/// leads to the thread's [`row`]. It may change the flags (but for the
/// direction flag, which holds the program's value), the registers in
/// [`Frame::saved`], the low 16 bytes of those in [`Frame::vectors`], `mxcsr`
/// if there are any of these, its scratch memory, and its thread's row.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Predicate {
    /// The code, with zeros in the fields that `asks` names.
    pub code: Vec<u8>,
    /// Offsets in the code of the 4-byte fields of the `rel32` branches that
    /// ask. They may be taken with any value in what the code may change.
    pub asks: Vec<u32>,
    /// What it needs kept.
    pub frame: Frame,
    /// The word of the thread's row that it takes 1 from at a hit that counts
    /// without a stop, and where it does so.
    pub credit: Option<Credit>,
    /// What the code at an offset is for, ascending.
    pub comments: Vec<(u32, Box<str>)>,
}

/// Where a thread pays for its quiet hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credit {
    /// Bytes from the start of the row to the word, signed. Below zero the
    /// thread has to ask, and nothing more is known of it than that all is
    /// spent: a thread that is interrupted on its way to ask comes here again.
    pub word: u32,
    /// Offset in the code of the instruction after the one that takes the 1. A
    /// thread from there to the code's end has paid, and gets the 1 back when
    /// the pass is judged otherwise: none comes there that has not. Ways that
    /// pay nothing lead to the end itself.
    pub paid_at: u32,
}

/// The stack memory under the red zone in which a trampoline keeps what its
/// predicate changes. From `rsp` upwards: scratch memory, saved registers, the
/// flags, `mxcsr`, vector registers, the red zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Bytes of scratch memory; a multiple of 8.
    pub scratch: u32,
    /// General registers that are changed. The first is `rax`, which every
    /// trampoline changes.
    pub saved: Vec<Reg>,
    /// Whether `rax` is changed by the predicate too, so that the flags cannot
    /// stay there.
    pub uses_rax: bool,
    /// Numbers of the vector registers whose low 16 bytes are changed.
    pub vectors: Vec<u8>,
}

impl Default for Frame {
    fn default() -> Self {
        Self { scratch: 0, saved: vec![Reg::Rax], uses_rax: false, vectors: Vec::new() }
    }
}

impl Frame {
    /// Bytes from `rsp` up to the program's own stack pointer.
    pub fn size(&self) -> u32 {
        self.vectors_at() + 16 * self.vectors.len() as u32 + RED_ZONE as u32
    }

    /// Offset from `rsp` of the program's value of a register that is changed.
    pub fn saved_at(&self, reg: Reg) -> Option<u32> {
        let index = self.saved.iter().position(|&saved| saved == reg)?;
        Some(self.scratch + 8 * index as u32)
    }

    /// Offset of the flags: `ah` as `lahf` left it, `al` 1 for overflow.
    pub fn flags_at(&self) -> u32 {
        self.scratch + 8 * self.saved.len() as u32
    }

    /// Offset of the program's `mxcsr`, which has a place only beside vector
    /// registers.
    pub fn mxcsr_at(&self) -> u32 {
        self.flags_at() + 8
    }

    /// Offset of the low 16 bytes of the vector register at an index of
    /// [`Self::vectors`].
    pub fn vector_at(&self, index: usize) -> u32 {
        self.vectors_at() + 16 * index as u32
    }

    fn vectors_at(&self) -> u32 {
        self.flags_at() + if self.vectors.is_empty() { 8 } else { 16 }
    }
}

/// What a thread's row holds, at which byte: memory of ours for one thread,
/// which its `gs` leads to.
pub mod row {
    /// A number by which code of ours knows that `gs` leads to a row of ours,
    /// 4 bytes.
    pub const MAGIC_AT: u32 = 0;
    /// That number.
    pub const MAGIC: u32 = 0x5472_4c6e;
    /// The thread in the system's numbering, 4 bytes.
    pub const TID_AT: u32 = 4;
    /// The process in the system's numbering, 4 bytes.
    pub const PID_AT: u32 = 8;
    /// The thread in the session's numbering, 4 bytes.
    pub const THREAD_AT: u32 = 12;
    /// The first of the words that are given out for counting, 8 bytes each.
    pub const FIRST_WORD: u32 = 64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_a_place_for_everything() {
        let frame = Frame {
            scratch: 16,
            saved: vec![Reg::Rax, Reg::Rcx],
            uses_rax: true,
            vectors: vec![0, 3],
        };
        assert_eq!(frame.saved_at(Reg::Rax), Some(16));
        assert_eq!(frame.saved_at(Reg::Rcx), Some(24));
        assert_eq!(frame.saved_at(Reg::Rdx), None);
        assert_eq!((frame.flags_at(), frame.mxcsr_at()), (32, 40));
        assert_eq!((frame.vector_at(0), frame.vector_at(1)), (48, 64));
        assert_eq!(frame.size(), 80 + 128);
        assert_eq!(Frame::default().size(), 16 + 128);
    }
}
