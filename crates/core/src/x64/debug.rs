//! The debug registers: what can be asked of them, how DR7 says it, what DR6
//! answers. Intel SDM volume 3, section 18.2.

use std::fmt;

use crate::addr::{AddrRange, VirtAddr};

/// Debug registers that hold an address: DR0 to DR3.
pub const SLOTS: usize = 4;

/// Which touches of data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Access {
    /// Writes.
    Write,
    /// Reads; x86 has no slot for these alone.
    Read,
    /// Reads and writes.
    ReadWrite,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::ReadWrite => "access",
        })
    }
}

/// What a slot matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SlotKind {
    /// An instruction about to execute; a fault, before it runs.
    Execute,
    /// A write; a trap, after it.
    Write,
    /// A read or a write; a trap, after it.
    ReadWrite,
}

/// What one debug register is to match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// What kind of touch.
    pub kind: SlotKind,
    /// Where: a multiple of `len`.
    pub addr: VirtAddr,
    /// 1, 2, 4 or 8 bytes; 1 for [`SlotKind::Execute`].
    pub len: u8,
}

impl Slot {
    /// The bytes it matches.
    pub fn range(self) -> AddrRange {
        AddrRange::sized(self.addr, u64::from(self.len))
    }

    fn is_valid(self) -> bool {
        let aligned = self.addr.get().is_multiple_of(u64::from(self.len));
        match self.kind {
            SlotKind::Execute => self.len == 1,
            _ => matches!(self.len, 1 | 2 | 4 | 8) && aligned,
        }
    }
}

/// The four slots of one thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DebugRegisters {
    /// `None` for a free slot.
    pub slots: [Option<Slot>; SLOTS],
}

impl DebugRegisters {
    /// DR7 with the local enable bit of each slot in use, its R/W bits and its
    /// LEN bits. Bit 10 always reads as one and is left to the kernel.
    ///
    /// Slots that the processor would refuse are left out; the planner makes
    /// none.
    pub fn dr7(&self) -> u64 {
        let mut dr7 = 0;
        for (index, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot.filter(|slot| slot.is_valid()) else { continue };
            let rw: u64 = match slot.kind {
                SlotKind::Execute => 0b00,
                SlotKind::Write => 0b01,
                SlotKind::ReadWrite => 0b11,
            };
            let len: u64 = match slot.len {
                1 => 0b00,
                2 => 0b01,
                8 => 0b10,
                _ => 0b11,
            };
            dr7 |= 1 << (2 * index);
            dr7 |= (rw | (len << 2)) << (16 + 4 * index);
        }
        dr7
    }

    /// The addresses for DR0 to DR3; zero for free slots.
    pub fn addresses(&self) -> [u64; SLOTS] {
        self.slots.map(|slot| slot.map_or(0, |slot| slot.addr.get()))
    }
}

/// DR6 decoded: what a debug exception was for. Several may hold at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DebugStatus {
    /// Slots whose condition matched (B0 to B3). The processor may set the bit
    /// of a slot that is not enabled; the caller masks with what it armed.
    pub slots: [bool; SLOTS],
    /// A single step ended (BS).
    pub single_step: bool,
    /// A debug register was about to be accessed (BD).
    pub register_access: bool,
    /// A task switch to a task with its trap bit set (BT).
    pub task_switch: bool,
}

impl DebugRegisters {
    /// The slots that an instruction about to be executed matches.
    pub fn executing(&self, pc: VirtAddr) -> [bool; SLOTS] {
        let is_here = |slot: Slot| slot.kind == SlotKind::Execute && slot.addr == pc;
        self.slots.map(|slot| slot.is_some_and(is_here))
    }
}

impl DebugStatus {
    /// Reads DR6.
    pub fn from_dr6(dr6: u64) -> Self {
        Self {
            slots: [dr6 & 1 != 0, dr6 & 2 != 0, dr6 & 4 != 0, dr6 & 8 != 0],
            register_access: dr6 & (1 << 13) != 0,
            single_step: dr6 & (1 << 14) != 0,
            task_switch: dr6 & (1 << 15) != 0,
        }
    }

    /// Whether any slot matched.
    pub fn any_slot(self) -> bool {
        self.slots.contains(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of DR6 that always read as one on processors without bus-lock and
    /// transactional debugging. Intel SDM volume 3, section 18.2.3.
    const DR6_ONES: u64 = 0xffff_0ff0;

    fn slot(kind: SlotKind, addr: u64, len: u8) -> Option<Slot> {
        Some(Slot { kind, addr: VirtAddr::new(addr), len })
    }

    #[test]
    fn every_kind_and_length_has_its_code_in_every_slot() {
        let codes = [
            (SlotKind::Execute, 1, 0b0000),
            (SlotKind::Write, 1, 0b0001),
            (SlotKind::Write, 2, 0b0101),
            (SlotKind::Write, 4, 0b1101),
            (SlotKind::Write, 8, 0b1001),
            (SlotKind::ReadWrite, 1, 0b0011),
            (SlotKind::ReadWrite, 2, 0b0111),
            (SlotKind::ReadWrite, 4, 0b1111),
            (SlotKind::ReadWrite, 8, 0b1011),
        ];
        for (kind, len, code) in codes {
            for index in 0..SLOTS {
                let mut registers = DebugRegisters::default();
                registers.slots[index] = slot(kind, 0x1000, len);
                let expected = (1 << (2 * index)) | (code << (16 + 4 * index));
                assert_eq!(registers.dr7(), expected, "{kind:?} {len} in {index}");
            }
        }
    }

    #[test]
    fn slots_are_independent() {
        let mut registers = DebugRegisters::default();
        assert_eq!((registers.dr7(), registers.addresses()), (0, [0; 4]));
        registers.slots[0] = slot(SlotKind::Execute, 0x40_1003, 1);
        registers.slots[1] = slot(SlotKind::Write, 0x1008, 8);
        registers.slots[3] = slot(SlotKind::ReadWrite, 0x2004, 4);
        assert_eq!(registers.dr7(), 0xf090_0045);
        assert_eq!(registers.addresses(), [0x40_1003, 0x1008, 0, 0x2004]);
        let executing = |pc| registers.executing(VirtAddr::new(pc));
        assert_eq!(executing(0x40_1003), [true, false, false, false]);
        assert_eq!(executing(0x1008), [false; SLOTS]);
    }

    #[test]
    fn what_the_processor_would_refuse_is_left_out() {
        let wrong = [
            (SlotKind::Execute, 0x1000, 2),
            (SlotKind::Write, 0x1000, 3),
            (SlotKind::Write, 0x1000, 0),
            (SlotKind::Write, 0x1001, 2),
            (SlotKind::ReadWrite, 0x1004, 8),
        ];
        for (kind, addr, len) in wrong {
            let mut registers = DebugRegisters::default();
            registers.slots[2] = slot(kind, addr, len);
            assert_eq!(registers.dr7(), 0, "{kind:?} {addr:#x} {len}");
        }
    }

    #[test]
    fn dr6_says_all_that_happened() {
        let check = |dr6: u64, slots: [bool; SLOTS], step: bool| {
            let status = DebugStatus::from_dr6(dr6);
            let expected = DebugStatus { slots, single_step: step, ..DebugStatus::default() };
            assert_eq!(status, expected, "{dr6:#x}");
            assert_eq!(status.any_slot(), slots.contains(&true));
        };
        let none = [false; SLOTS];
        check(0, none, false);
        check(DR6_ONES, none, false);
        for index in 0..SLOTS {
            let mut one = none;
            one[index] = true;
            check(DR6_ONES | (1 << index), one, false);
        }
        check(DR6_ONES | 0b1010, [false, true, false, true], false);
        check(DR6_ONES | 0x4000, none, true);
        check(DR6_ONES | 0x4001, [true, false, false, false], true);
        check(0xf | 0x4000, [true; SLOTS], true);
    }

    #[test]
    fn the_rarer_causes_are_told_apart() {
        let access = DebugStatus::from_dr6(DR6_ONES | 0x2000);
        assert!(access.register_access && !access.task_switch && !access.single_step);
        let switch = DebugStatus::from_dr6(DR6_ONES | 0x8000);
        assert!(switch.task_switch && !switch.register_access && !switch.any_slot());
        let reserved = DebugStatus::from_dr6(DR6_ONES | (1 << 11) | (1 << 16) | (1 << 12));
        assert_eq!(reserved, DebugStatus::default());
    }
}
