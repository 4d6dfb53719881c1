//! Relocation judged by the processor: random instructions run in their place
//! and from their slot, and everything a program can see must be equal.
//!
//! Each case is also stepped through its slot: at every boundary the registers
//! given back must be those from before the instruction or from after it.
//!
//! `TRAPLINE_CASES` sets how many cases are run for each placement.

mod cases;
mod harness;
mod trampolines;

use trapline_core::memory::Bytes;
use trapline_core::x64::{Reg, Registers, flags};
use trapline_core::{AddrRange, VirtAddr};
use trapline_patch::insn::{InsnKind, decode};
use trapline_patch::relocate::{MAX_SLOT, Refusal, Slot, relocate};

use cases::{Case, Random};
use harness::{Outcome, Placement, Runs};

/// `SIGTRAP`, with which a run that left its code ends.
const SIGTRAP: u64 = 5;
/// `si_code` of a single step.
const STEPPED: u64 = 2;

const NEAR: Placement = Placement {
    name: "near",
    code: 0x5000_0000_0000,
    slot: 0x5000_0020_0000,
    data: 0x5000_0010_0000,
    stack: 0x5100_0000_0000,
};
const FAR: Placement = Placement { name: "far", slot: 0x5800_0000_0000, ..NEAR };
const LOW: Placement = Placement {
    name: "low code, far slot",
    code: 0x1000_0000,
    slot: 0x5000_0020_0000,
    data: 0x1010_0000,
    stack: 0x5100_0000_0000,
};

#[test]
fn a_slot_near_its_code_does_what_the_instruction_does() {
    check_random(NEAR);
}

#[test]
fn a_slot_out_of_reach_does_what_the_instruction_does() {
    check_random(FAR);
}

#[test]
fn a_slot_far_from_low_code_does_what_the_instruction_does() {
    check_random(LOW);
}

fn check_random(placement: Placement) {
    let count = std::env::var("TRAPLINE_CASES").ok().and_then(|text| text.parse().ok());
    let seed = std::env::var("TRAPLINE_SEED").ok().and_then(|text| text.parse().ok());
    let (mut left, mut seed) = (count.unwrap_or(4000usize), seed.unwrap_or(1));
    while left > 0 {
        let batch = left.min(20_000);
        check_batch(placement, seed, batch);
        left -= batch;
        seed += 1;
    }
}

fn check_batch(placement: Placement, seed: u64, count: usize) {
    let mut random = Random::new(seed);
    let mut cases = Vec::new();
    let mut refused = 0;
    while cases.len() < count {
        let case = Case::random(&mut random, &placement);
        match relocate(&case.original, case.at, case.to) {
            Ok(slot) => cases.push((case, slot)),
            Err(Refusal::OutOfReach | Refusal::StackOutOfReach | Refusal::NarrowBranch) => {
                refused += 1;
            }
            Err(other) => assert_eq!(other, Refusal::CallsStack, "{:02x?}", case.original),
        }
    }
    assert!(refused * 10 < count, "{refused} refusals beside {count} slots");
    let runs = harness::run(&placement, seed, &cases);
    for ((case, slot), runs) in cases.iter().zip(&runs) {
        let context = format!(
            "{} seed {seed}: {:02x?} at {} as {:02x?} at {}",
            placement.name, case.original, case.at, slot.bytes, case.to
        );
        assert!(slot.bytes.len() <= MAX_SLOT, "{context}");
        Judge { case, slot, runs, context, placement: &placement }.check();
    }
}

struct Judge<'a> {
    case: &'a Case,
    slot: &'a Slot,
    runs: &'a Runs,
    context: String,
    placement: &'a Placement,
}

impl Judge<'_> {
    fn check(&self) {
        let (original, moved) = (&self.runs.original, &self.runs.moved);
        let context = &self.context;
        assert_eq!(moved.signal, original.signal, "signal, {context}");
        let seen = self.as_program(moved);
        assert_eq!(seen, Self::registers(original), "registers, {context}");
        assert_eq!(moved.data, original.data, "data, {context}");
        assert_eq!(moved.stack, original.stack, "stack, {context}");
        assert_eq!(moved.vectors, original.vectors, "vector registers, {context}");
        if self.is_data(original.address) {
            assert_eq!(moved.address, original.address, "fault address, {context}");
        }
        for (index, step) in self.runs.steps.iter().enumerate() {
            self.check_step(index, step);
        }
    }

    /// Inside the slot a thread has the registers from before or from after.
    fn check_step(&self, index: usize, step: &Outcome) {
        let context = format!("step {index}, {}", self.context);
        let stepped = (step.signal, step.code) == (SIGTRAP, STEPPED);
        let seen = self.as_program(step);
        if stepped && seen.rip == self.case.at.get() {
            assert_eq!(seen, self.case.registers_at_start(), "before, {context}");
        } else if stepped && self.is_slot(step.rip) {
            let mut after = Self::registers(&self.runs.original);
            after.rip = seen.rip;
            assert_eq!(seen, after, "after, {context}");
        }
    }

    /// The registers as the program is to see them: those of a thread inside
    /// the slot are given back.
    fn as_program(&self, outcome: &Outcome) -> Registers {
        let mut registers = Self::registers(outcome);
        if self.slot.kind == InsnKind::Syscall {
            // The flags that a system call saved while it was stepped.
            registers.general[11] &= !flags::TF;
        }
        if !self.is_slot(outcome.rip) {
            return registers;
        }
        let pc = VirtAddr::new(outcome.rip);
        let boundary = self.slot.boundary(pc);
        let boundary = boundary.unwrap_or_else(|| panic!("{pc} is no boundary, {}", self.context));
        let top = outcome.top.iter().flat_map(|word| word.to_le_bytes()).collect();
        let stack = Bytes { start: VirtAddr::new(registers.rsp()), data: top };
        boundary.restore(&mut registers, &stack).expect("the top of the stack was recorded");
        registers
    }

    fn registers(outcome: &Outcome) -> Registers {
        let mut registers = Registers::default();
        for (reg, value) in Reg::general().zip(outcome.registers) {
            registers.set(reg, value);
        }
        registers.rip = outcome.rip;
        registers.rflags = outcome.rflags & !(flags::TF | flags::RF);
        registers
    }

    fn is_slot(&self, address: u64) -> bool {
        let len = self.slot.bytes.len() as u64;
        AddrRange::sized(self.slot.to, len).contains(VirtAddr::new(address))
    }

    fn is_data(&self, address: u64) -> bool {
        self.placement.holds_no_code(address)
    }
}

#[test]
fn a_system_call_leaves_the_address_it_would_have_left() {
    // getpid, so that the call itself succeeds.
    for placement in [NEAR, FAR] {
        let mut case = Case::random(&mut Random::new(7), &placement);
        case.original = vec![0x0f, 0x05];
        case.registers[0] = 39;
        let slot = relocate(&case.original, case.at, case.to).unwrap();
        assert_eq!(slot.kind, InsnKind::Syscall);
        assert!(decode(&case.original, case.at).is_some());
        let cases = [(case, slot)];
        let runs = harness::run(&placement, 7, &cases);
        let [(case, slot)] = &cases;
        let judge = Judge {
            case,
            slot,
            runs: &runs[0],
            context: placement.name.to_owned(),
            placement: &placement,
        };
        // The two runs are of one process, so the results are equal as well.
        judge.check();
        assert_eq!(runs[0].moved.registers[1], case.at.get() + 2);
        assert!(!runs[0].steps.is_empty());
    }
}
