//! Writing a slot: bytes, and the meaning of each instruction boundary.

use trapline_core::VirtAddr;
use trapline_core::x64::Reg;

use super::{Boundary, MAX_SLOT, Undo};

/// A slot being written.
pub(super) struct Emitter {
    to: VirtAddr,
    /// Whether a thread that is done with the instruction goes on right behind
    /// the slot.
    flows_on: bool,
    bytes: Vec<u8>,
    boundaries: Vec<Boundary>,
}

impl Emitter {
    pub(super) fn new(to: VirtAddr, flows_on: bool) -> Self {
        Self { to, flows_on, bytes: Vec::with_capacity(MAX_SLOT), boundaries: Vec::new() }
    }

    pub(super) fn finish(self) -> (Vec<u8>, Vec<Boundary>) {
        (self.bytes, self.boundaries)
    }

    /// The address of the next byte.
    pub(super) fn here(&self) -> VirtAddr {
        self.to.wrapping_add(self.bytes.len() as u64)
    }

    /// Says what the next instruction stands for. A later word on the same
    /// place is the one that counts.
    pub(super) fn mark(&mut self, original: VirtAddr, undo: Undo) {
        self.mark_at(self.bytes.len(), original, undo);
    }

    /// Says what the instruction at an offset of the slot stands for.
    pub(super) fn mark_at(&mut self, offset: usize, original: VirtAddr, undo: Undo) {
        let offset = u16::try_from(offset).unwrap_or(u16::MAX);
        let boundary = Boundary { offset, original, undo };
        match self.boundaries.last_mut() {
            Some(last) if last.offset == offset => *last = boundary,
            _ => self.boundaries.push(boundary),
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Jumps there without touching a register or a flag: `jmp rel32` when it
    /// reaches, else `jmp [rip]` over its own pointer.
    pub(super) fn jump(&mut self, target: VirtAddr) {
        match displacement(target, self.here().wrapping_add(5)) {
            Some(near) => {
                self.raw(&[0xe9]);
                self.raw(&near.to_le_bytes());
            }
            None => {
                self.raw(&[0xff, 0x25, 0, 0, 0, 0]);
                self.raw(&target.get().to_le_bytes());
            }
        }
    }

    /// Leaves the slot for what follows the instruction, `next` in the program.
    pub(super) fn go_on(&mut self, next: VirtAddr) {
        if !self.flows_on {
            self.mark(next, Undo::EXACT);
            self.jump(next);
        }
    }

    /// Whether what follows the instruction is right behind the slot.
    pub(super) fn flows_on(&self) -> bool {
        self.flows_on
    }

    /// Bytes that [`Self::jump`] would emit so many bytes further on.
    pub(super) fn jump_len(&self, target: VirtAddr, after: u64) -> u8 {
        let here = self.here().wrapping_add(after);
        if displacement(target, here.wrapping_add(5)).is_some() { 5 } else { 14 }
    }

    /// `lea rsp, [rsp + by]`: moves the stack pointer and no flag.
    pub(super) fn move_rsp(&mut self, by: i32) {
        match i8::try_from(by) {
            Ok(short) => self.raw(&[0x48, 0x8d, 0x64, 0x24, short.to_le_bytes()[0]]),
            Err(_) => {
                self.raw(&[0x48, 0x8d, 0xa4, 0x24]);
                self.raw(&by.to_le_bytes());
            }
        }
    }

    /// `mov dword [rsp + offset], value`.
    fn store_half(&mut self, offset: u8, value: [u8; 4]) {
        match offset {
            0 => self.raw(&[0xc7, 0x04, 0x24]),
            _ => self.raw(&[0xc7, 0x44, 0x24, offset]),
        }
        self.raw(&value);
    }

    /// Writes a return address at the top of the stack, where `rsp` already
    /// points, and marks the states in between.
    pub(super) fn store_return(&mut self, value: VirtAddr, at: VirtAddr, undo: Undo) {
        let [a, b, c, d, e, f, g, h] = value.get().to_le_bytes();
        self.mark(at, undo);
        self.store_half(0, [a, b, c, d]);
        self.mark(at, undo);
        self.store_half(4, [e, f, g, h]);
    }

    /// `push reg`.
    pub(super) fn push(&mut self, reg: Scratch) {
        self.raw(&[0x50 | reg.number()]);
    }

    /// `pop reg`.
    pub(super) fn pop(&mut self, reg: Scratch) {
        self.raw(&[0x58 | reg.number()]);
    }

    /// `mov reg, value` with all 64 bits.
    pub(super) fn load_constant(&mut self, reg: Scratch, value: u64) {
        self.raw(&[0x48, 0xb8 | reg.number()]);
        self.raw(&value.to_le_bytes());
    }

    /// `mov into, [from]`.
    pub(super) fn load(&mut self, into: Scratch, from: Scratch) {
        self.raw(&[0x48, 0x8b, (into.number() << 3) | from.number()]);
    }

    /// `mov [at], from`.
    pub(super) fn store(&mut self, at: Scratch, from: Scratch) {
        self.raw(&[0x48, 0x89, (from.number() << 3) | at.number()]);
    }

    /// `mov into, [rsp + offset]`.
    pub(super) fn load_stack(&mut self, into: Scratch, offset: u32) {
        self.raw(&[0x48, 0x8b, 0x84 | (into.number() << 3), 0x24]);
        self.raw(&offset.to_le_bytes());
    }

    /// `mov [rsp + offset], from`.
    pub(super) fn store_stack(&mut self, offset: u32, from: Scratch) {
        self.raw(&[0x48, 0x89, 0x84 | (from.number() << 3), 0x24]);
        self.raw(&offset.to_le_bytes());
    }
}

/// The displacement from `next`, if 32 signed bits hold it.
pub(super) fn displacement(target: VirtAddr, next: VirtAddr) -> Option<i32> {
    i32::try_from(target.get().wrapping_sub(next.get()).cast_signed()).ok()
}

/// A register that a slot borrows: one whose number needs no prefix and whose
/// memory operand needs no extra byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scratch {
    Rsi,
    Rdi,
    Rbx,
    Rdx,
    Rcx,
    Rax,
}

impl Scratch {
    /// All, the one least likely to be implied by an instruction first.
    pub(super) const ALL: [Self; 6] =
        [Self::Rsi, Self::Rdi, Self::Rbx, Self::Rdx, Self::Rcx, Self::Rax];

    /// Its number in instruction encodings.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Rax => 0,
            Self::Rcx => 1,
            Self::Rdx => 2,
            Self::Rbx => 3,
            Self::Rsi => 6,
            Self::Rdi => 7,
        }
    }

    /// The register it is.
    pub(super) fn reg(self) -> Reg {
        match self {
            Self::Rax => Reg::Rax,
            Self::Rcx => Reg::Rcx,
            Self::Rdx => Reg::Rdx,
            Self::Rbx => Reg::Rbx,
            Self::Rsi => Reg::Rsi,
            Self::Rdi => Reg::Rdi,
        }
    }
}
