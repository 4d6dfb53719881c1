//! A copy of one instruction that runs elsewhere and returns: an out-of-line
//! slot.
//!
//! [`relocate`] makes the bytes of a slot that does what the displaced
//! instruction does and then goes on where it would have gone on. The program
//! cannot tell: every register, every flag and all memory are as they would
//! have been, return addresses and the `rcx` that `syscall` leaves included.
//! A slot never writes below the red zone without keeping it, and never
//! changes a flag.
//!
//! While a thread is inside a slot its registers may be ours for a moment.
//! [`Slot::boundaries`] says for every instruction of the slot which address
//! of the program it stands for and how to give the registers back.
//!
//! What differs all the same, and who has to mind:
//! - While a system call of a slot is running, the kernel sees the slot's
//!   address: seccomp filters and syscall user dispatch that look at the
//!   instruction pointer, and the registers saved for a signal that interrupts
//!   it.
//! - x87 state keeps the address of the last x87 instruction.
//! - With a shadow stack (CET), a relocated call has no entry there.
//! - A single step of `pushf` pushes the trap flag; see
//!   [`InsnKind::PushFlags`].

mod control;
mod data;
mod emit;
#[cfg(test)]
mod tests;

use std::fmt;

use trapline_core::VirtAddr;
use trapline_core::memory::{ReadMemory, Unreadable};
use trapline_core::x64::{Reg, Registers};

use self::emit::Emitter;
use crate::insn::{Insn, InsnKind, decode};

/// No slot is longer, in bytes.
pub const MAX_SLOT: usize = 96;

/// Code that stands in for one displaced instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slot {
    /// The address of the displaced instruction.
    pub at: VirtAddr,
    /// Its length in bytes.
    pub len: u8,
    /// Where the slot is to be put.
    pub to: VirtAddr,
    /// What kind of instruction was displaced.
    pub kind: InsnKind,
    /// The slot's code; it does not run elsewhere than at `to`.
    pub bytes: Vec<u8>,
    /// Every address inside the slot at which a thread can stand, ascending.
    /// The first is the slot's start, which stands for `at`.
    pub boundaries: Vec<Boundary>,
}

/// One address inside a slot at which a thread can stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// Bytes from the slot's start.
    pub offset: u16,
    /// The program address it stands for.
    pub original: VirtAddr,
    /// How to turn the thread's registers into the program's.
    pub undo: Undo,
}

/// What separates a thread's registers inside a slot from the program's, in
/// the order in which to undo it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Undo {
    /// Registers to pop off the stack, the topmost first.
    pub pop: [Option<Reg>; 2],
    /// Then what to add to `rsp`.
    pub rsp: u16,
    /// Then a register to set.
    pub set: Option<(Reg, u64)>,
}

impl Undo {
    /// Nothing to undo: the registers are the program's.
    pub const EXACT: Self = Self { pop: [None, None], rsp: 0, set: None };
}

impl Boundary {
    /// Turns the registers of a thread that stands here into those the program
    /// would have at [`Self::original`], `rip` included.
    ///
    /// # Errors
    /// When a saved register cannot be read from the stack; nothing is changed
    /// then.
    pub fn restore(
        &self,
        registers: &mut Registers,
        memory: &impl ReadMemory,
    ) -> Result<(), Unreadable> {
        let mut restored = *registers;
        let mut rsp = VirtAddr::new(registers.rsp());
        for reg in self.undo.pop.into_iter().flatten() {
            restored.set(reg, memory.read_u64(rsp)?);
            rsp = rsp.wrapping_add(8);
        }
        restored.set(Reg::Rsp, rsp.wrapping_add(u64::from(self.undo.rsp)).get());
        if let Some((reg, value)) = self.undo.set {
            restored.set(reg, value);
        }
        restored.rip = self.original.get();
        *registers = restored;
        Ok(())
    }
}

impl Slot {
    /// The address after the displaced instruction.
    pub fn next(&self) -> VirtAddr {
        self.at.wrapping_add(u64::from(self.len))
    }

    /// Whether an address is in the slot.
    pub fn contains(&self, pc: VirtAddr) -> bool {
        pc.checked_sub(self.to).is_some_and(|offset| offset < self.bytes.len() as u64)
    }

    /// What a thread whose pc is `pc` stands at; `None` outside the slot and
    /// inside its instructions.
    pub fn boundary(&self, pc: VirtAddr) -> Option<&Boundary> {
        let offset = u16::try_from(pc.checked_sub(self.to)?).ok()?;
        let at = self.boundaries.binary_search_by_key(&offset, |boundary| boundary.offset).ok()?;
        self.boundaries.get(at)
    }

    /// The program address that `pc` stands for.
    pub fn original_pc(&self, pc: VirtAddr) -> Option<VirtAddr> {
        self.boundary(pc).map(|boundary| boundary.original)
    }

    /// Where in the slot a thread can be put that stands, with exact
    /// registers, at the program address `original`.
    pub fn slot_pc(&self, original: VirtAddr) -> Option<VirtAddr> {
        let same =
            |boundary: &&Boundary| boundary.original == original && boundary.undo == Undo::EXACT;
        let boundary = self.boundaries.iter().find(same)?;
        Some(self.to.wrapping_add(u64::from(boundary.offset)))
    }
}

/// Why an instruction is not relocated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// The bytes are no instruction that we know.
    Undecodable,
    /// `xbegin`: an abort would go to an address computed from the slot's.
    Transaction,
    /// A call or jump to another code segment.
    Far,
    /// `sysenter`: the kernel returns to an address of its own choice.
    SysEnter,
    /// An operand size of 16 bits on a branch, which processors disagree on.
    NarrowBranch,
    /// A call whose target is its own stack pointer.
    CallsStack,
    /// It uses memory relative to its own address that is out of reach of the
    /// slot, together with the stack pointer.
    StackOutOfReach,
    /// It uses memory relative to its own address that is out of reach of the
    /// slot, in a form that cannot be written otherwise.
    OutOfReach,
}

impl Refusal {
    /// The reason as a clause.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Undecodable => "the bytes there are not an instruction that is known",
            Self::Transaction => "`xbegin` cannot run anywhere but in its place",
            Self::Far => "a far call or jump cannot run anywhere but in its place",
            Self::SysEnter => "`sysenter` cannot run anywhere but in its place",
            Self::NarrowBranch => "processors disagree on what a branch of 16 bits does",
            Self::CallsStack => "a call to its own stack pointer cannot run out of its place",
            Self::StackOutOfReach => {
                "the instruction uses the stack pointer and memory out of reach of its copy"
            }
            Self::OutOfReach => "the instruction uses memory out of reach of its copy",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary())
    }
}

impl std::error::Error for Refusal {}

/// Makes a slot at `to` for the instruction that begins at `original[0]` and
/// lies at `at`. `original` is the program's own bytes, 15 if there are so
/// many.
///
/// # Errors
/// A [`Refusal`] when the instruction cannot run out of its place; it has to
/// be stepped there.
pub fn relocate(original: &[u8], at: VirtAddr, to: VirtAddr) -> Result<Slot, Refusal> {
    let insn = decode(original, at).ok_or(Refusal::Undecodable)?;
    relocate_decoded(&insn, original, to)
}

/// Whether an instruction that has been decoded from `original` can run out of
/// its place, were everything that it uses in reach.
///
/// # Errors
/// As for [`relocate`].
pub fn can_move(insn: &Insn, original: &[u8]) -> Result<(), Refusal> {
    // Copied as it is.
    if insn.kind() == InsnKind::Plain && insn.rip_relative().is_none() {
        return Ok(());
    }
    relocate_decoded(insn, original, insn.addr()).map(|_| ())
}

/// As [`relocate`], for an instruction that has been decoded from `original`.
///
/// # Errors
/// As for [`relocate`].
pub fn relocate_decoded(insn: &Insn, original: &[u8], to: VirtAddr) -> Result<Slot, Refusal> {
    slot(insn, original, to, false)
}

/// The same, with what stands for the following instruction right behind the
/// slot: threads go on there instead of in the program.
///
/// # Errors
/// As for [`relocate`].
pub fn relocate_flowing_on(insn: &Insn, original: &[u8], to: VirtAddr) -> Result<Slot, Refusal> {
    slot(insn, original, to, true)
}

fn slot(insn: &Insn, original: &[u8], to: VirtAddr, flows_on: bool) -> Result<Slot, Refusal> {
    let bytes = original.get(..insn.len()).ok_or(Refusal::Undecodable)?;
    let at = insn.addr();
    let mut out = Emitter::new(to, flows_on);
    out.mark(at, Undo::EXACT);
    displace(insn, bytes, &mut out)?;
    let len = u8::try_from(insn.len()).map_err(|_| Refusal::Undecodable)?;
    let (bytes, boundaries) = out.finish();
    Ok(Slot { at, len, to, kind: insn.kind(), bytes, boundaries })
}

fn displace(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> Result<(), Refusal> {
    match insn.kind() {
        InsnKind::Xbegin => Err(Refusal::Transaction),
        InsnKind::Far => Err(Refusal::Far),
        InsnKind::SysEnter => Err(Refusal::SysEnter),
        InsnKind::Jump => control::jump(insn, bytes, out),
        InsnKind::Call => control::call(insn, bytes, out),
        InsnKind::ConditionalJump | InsnKind::Loop => control::branch(insn, bytes, out),
        InsnKind::Ret => {
            out.raw(bytes);
            Ok(())
        }
        InsnKind::Syscall => {
            control::syscall(insn, bytes, out);
            Ok(())
        }
        InsnKind::Plain
        | InsnKind::Int3
        | InsnKind::Int1
        | InsnKind::IntN
        | InsnKind::PushFlags
        | InsnKind::PopFlags => {
            data::copy(insn, bytes, out)?;
            out.go_on(insn.next());
            Ok(())
        }
    }
}
