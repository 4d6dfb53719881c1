//! Random instructions in a row, what is decided before some of them, and the
//! state that a thread comes to them in.

use std::fmt;

use iced_x86::{Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess};
use iced_x86::{OpKind, Register};
use trapline_core::predicate::row;
use trapline_core::x64::{RED_ZONE, flags};
use trapline_core::{AddrRange, VirtAddr};
use trapline_patch::insn::{InsnKind, decode};
use trapline_patch::relocate::Refusal;
use trapline_patch::trampoline::{
    Decided, Decides, Decision, Detail, Displaced, Trampoline, build,
};

use super::super::cases::{ALWAYS, ARITHMETIC, Random, instruction, locks_memory, registers};
use super::super::harness::Placement;
use super::predicates::{self, Made};
use super::runs::Row;

/// Most instructions in a row: a jump replaces five bytes.
const MOST: u64 = 5;

/// One of the instructions.
pub(crate) struct Original {
    pub(crate) at: VirtAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) decides: Option<Made>,
}

/// Where `gs` leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seat {
    /// To a row of ours.
    Row,
    /// To memory that is not a row.
    Other,
    /// Nowhere.
    Nowhere,
}

/// Instructions with their trampoline and the state they start in.
pub(crate) struct Case {
    pub(crate) insns: Vec<Original>,
    pub(crate) trampoline: Trampoline,
    pub(crate) registers: [u64; 16],
    pub(crate) rflags: u64,
    pub(crate) mxcsr: u32,
    pub(crate) seat: Seat,
    pub(crate) gs: u64,
    pub(crate) row: Row,
}

/// What the judge has to know of an offset of the trampoline.
pub(crate) struct Place {
    pub(crate) offset: u16,
    /// Code that decides begins here.
    pub(crate) begins: bool,
    /// What follows cannot be stepped.
    pub(crate) unstepped: bool,
    /// From where an interrupted run goes on.
    pub(crate) again: Option<u16>,
    /// The word of the row to add 1 to first.
    pub(crate) add: Option<u16>,
}

impl Case {
    pub(crate) fn random(random: &mut Random, placement: &Placement, row_at: u64) -> Self {
        loop {
            let insns = originals(random, placement);
            let to = VirtAddr::new(placement.slot + 0x100 + random.below(0x100));
            let Ok(trampoline) = built(&insns, to) else { continue };
            let seat = match random.below(16) {
                0 => Seat::Nowhere,
                1 => Seat::Other,
                _ => Seat::Row,
            };
            return Self {
                insns,
                trampoline,
                registers: registers(random, placement),
                rflags: (random.next() & (ARITHMETIC | flags::DF)) | ALWAYS,
                mxcsr: u32::from(random.next() as u16),
                seat,
                gs: if seat == Seat::Nowhere { 0 } else { row_at },
                row: a_row(random, seat),
            };
        }
    }

    /// The instructions' bytes.
    pub(crate) fn original(&self) -> Vec<u8> {
        self.insns.iter().flat_map(|insn| insn.bytes.clone()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.trampoline.bytes.len()
    }

    /// The lowest byte of the stack that all of the run may count on: popping
    /// moves the red zone up.
    pub(crate) fn stack_from(&self) -> u64 {
        let pops = |insn: &&Original| moves_stack(&raw(insn.at, &insn.bytes)) > 0;
        let count = self.insns.iter().filter(pops).count() as u64;
        (self.registers[4] - RED_ZONE + 8 * count) & !7
    }

    /// The words that are paid from.
    pub(crate) fn credits(&self) -> impl Iterator<Item = u32> {
        let made = self.insns.iter().filter_map(|insn| insn.decides.as_ref());
        made.filter_map(|made| made.rule.pays_from())
    }

    /// The instruction before which stepping ends.
    pub(crate) fn unstepped(&self) -> Option<VirtAddr> {
        let last = self.insns.last()?;
        (!can_be_stepped(last.at, &last.bytes)).then_some(last.at)
    }

    /// The decision whose code an address is in, and at which instruction it
    /// is.
    pub(crate) fn decision(&self, pc: VirtAddr) -> Option<(usize, &Decision)> {
        let decision = self.trampoline.decisions.iter().find(|decision| decision.contains(pc))?;
        let index = self.insns.iter().position(|insn| insn.at == decision.site)?;
        Some((index, decision))
    }

    pub(crate) fn places(&self) -> Vec<Place> {
        let to = self.trampoline.to;
        let offset = |at: VirtAddr| (at.get() - to.get()) as u16;
        let mut places = Vec::new();
        for start in self.boundaries() {
            let Some((_, decision)) = self.decision(start) else { continue };
            let standing = decision.standing(start).expect("it is in the decision's code");
            let slot = self.trampoline.slot_at(decision.site).expect("each site has a slot");
            let (again, add) = match standing.decided {
                Decided::Nothing => (decision.front.start, None),
                Decided::Paid(word) => (decision.front.start, Some(word as u16)),
                Decided::Uncounted(word) => (slot, Some(word as u16)),
                Decided::Quiet => (slot, None),
            };
            let begins = start == decision.front.start;
            let again = Some(offset(again));
            places.push(Place { offset: offset(start), begins, unstepped: false, again, add });
        }
        if let Some(at) = self.unstepped().and_then(|at| self.trampoline.slot_at(at)) {
            let offset = offset(at);
            places.push(Place { offset, begins: false, unstepped: true, again: None, add: None });
        }
        places
    }

    /// Where the instructions of code that decides begin.
    fn boundaries(&self) -> Vec<VirtAddr> {
        let parts = self.trampoline.decisions.iter().flat_map(|it| [it.front, it.asking]);
        let mut found = Vec::new();
        for part in parts {
            let skip = (part.start.get() - self.trampoline.to.get()) as usize;
            let code = &self.trampoline.bytes[skip..skip + part.len() as usize];
            let mut decoder = Decoder::with_ip(64, code, part.start.get(), DecoderOptions::NONE);
            found.extend(decoder.iter().map(|insn| VirtAddr::new(insn.ip())));
        }
        found
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for insn in &self.insns {
            write!(f, "{:02x?} at {}", insn.bytes, insn.at)?;
            if let Some(made) = &insn.decides {
                write!(f, " ({:?}, {:?})", made.rule, made.predicate.frame)?;
            }
            write!(f, "; ")?;
        }
        write!(f, "{:?}, {:02x?} at {}", self.seat, self.trampoline.bytes, self.trampoline.to)
    }
}

fn built(insns: &[Original], to: VirtAddr) -> Result<Trampoline, Refusal> {
    let code: Vec<u8> = insns.iter().flat_map(|insn| insn.bytes.clone()).collect();
    let displaced: Vec<Displaced<'_>> = insns
        .iter()
        .map(|insn| Displaced {
            at: insn.at,
            code: &code[(insn.at.get() - insns[0].at.get()) as usize..],
            decides: insn
                .decides
                .as_ref()
                .map(|made| Decides { predicate: &made.predicate, passes: made.passes }),
        })
        .collect();
    build(&displaced, to, Detail::Meaning)
}

/// A row with small numbers in its words, in many of them 0.
fn a_row(random: &mut Random, seat: Seat) -> Row {
    let mut made = Row([0; 32]);
    made.0[0] = u64::from(row::MAGIC) | random.next() << 32;
    if seat == Seat::Other {
        made.0[0] ^= 1 << random.below(32);
    }
    for word in &mut made.0[1..] {
        *word = match random.below(4) {
            0 => random.below(3),
            1 => random.next(),
            _ => 0,
        };
    }
    made
}

fn originals(random: &mut Random, placement: &Placement) -> Vec<Original> {
    let start = VirtAddr::new(placement.code + 0x100 + random.below(0x100));
    let count = if random.one_in(2) { 1 } else { 1 + random.below(MOST) };
    loop {
        let mut insns: Vec<Original> = Vec::new();
        let mut at = start;
        while (insns.len() as u64) < count {
            let is_last = insns.len() as u64 + 1 == count;
            let Some(bytes) = instruction(random, at, placement) else { continue };
            if !is_for_trampolines(at, &bytes, is_last) {
                continue;
            }
            let words = row::FIRST_WORD + 32 * insns.len() as u32;
            let decides =
                (count == 1 || !random.one_in(3)).then(|| predicates::random(random, words));
            let len = bytes.len() as u64;
            insns.push(Original { at, bytes, decides });
            at = at.wrapping_add(len);
        }
        let all = AddrRange::between(start, at);
        let enters = |insn: &Original| {
            let decoded = decode(&insn.bytes, insn.at);
            decoded.and_then(|insn| insn.branch_target()).is_some_and(|target| all.contains(target))
        };
        let decides = insns.iter().any(|insn| insn.decides.is_some());
        if decides && !insns.iter().any(enters) {
            return insns;
        }
    }
}

/// Whether a window may hold it there: nothing is known of what follows what
/// does not go on, the stack pointer stays one, and `gs` is the row's. Where
/// memory would be locked is not known before all of it runs.
fn is_for_trampolines(at: VirtAddr, bytes: &[u8], is_last: bool) -> bool {
    let Some(insn) = decode(bytes, at) else { return false };
    let raw = raw(at, bytes);
    let uses_row = (0..raw.op_count()).any(|op| {
        !matches!(raw.op_kind(op), OpKind::Register) && raw.memory_segment() == Register::GS
    });
    let reads_gs = matches!(raw.mnemonic(), Mnemonic::Rdgsbase);
    let goes_on =
        matches!(insn.kind(), InsnKind::Plain | InsnKind::ConditionalJump | InsnKind::Loop);
    let in_midst = goes_on && can_be_stepped(at, bytes) && keeps_stack(&raw);
    !uses_row && !reads_gs && !locks_memory(bytes, at) && (is_last || in_midst)
}

/// Instructions that push or pop the flags would push or clear the step's own;
/// repeated ones are stepped by iteration; those that the kernel may execute
/// for the processor end no step.
fn can_be_stepped(at: VirtAddr, bytes: &[u8]) -> bool {
    use Mnemonic::{Sgdt, Sidt, Sldt, Smsw, Str};
    let emulated = matches!(raw(at, bytes).mnemonic(), Sgdt | Sidt | Sldt | Smsw | Str);
    let known = decode(bytes, at).is_some_and(|insn| {
        !insn.is_repeated() && !matches!(insn.kind(), InsnKind::PushFlags | InsnKind::PopFlags)
    });
    known && !emulated
}

fn keeps_stack(raw: &Instruction) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(raw);
    let writes = info.used_registers().iter().any(|used| {
        let is_read = matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
        used.register().full_register() == Register::RSP && !is_read
    });
    let pops_into_it = raw.op0_register().full_register() == Register::RSP;
    !writes || (matches!(raw.mnemonic(), Mnemonic::Push | Mnemonic::Pop) && !pops_into_it)
}

/// By how many bytes it moves the stack pointer.
fn moves_stack(raw: &Instruction) -> i32 {
    raw.stack_pointer_increment()
}

fn raw(at: VirtAddr, bytes: &[u8]) -> Instruction {
    Decoder::with_ip(64, bytes, at.get(), DecoderOptions::NONE).decode()
}
