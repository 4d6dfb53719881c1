//! Random instructions that are safe to run, with registers that make their
//! operands land in memory more often than not.

use iced_x86::{Code, Decoder, DecoderOptions, Mnemonic, OpKind, Register};
use trapline_core::x64::{Reg, Registers};
use trapline_core::{AddrRange, VirtAddr};
use trapline_patch::insn::{InsnKind, MemoryAccess, decode};

use super::harness::{AREA, Placement};

/// xorshift64*: reproducible from its seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    pub(crate) fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// One instruction with the state it starts in.
pub(crate) struct Case {
    pub(crate) at: VirtAddr,
    pub(crate) to: VirtAddr,
    pub(crate) original: Vec<u8>,
    pub(crate) registers: [u64; 16],
    pub(crate) rflags: u64,
}

/// The arithmetic flags, those that a program may always change.
pub(crate) const ARITHMETIC: u64 = 0x8d5;
/// Interrupts enabled and the bit that is always one.
pub(crate) const ALWAYS: u64 = 0x202;

impl Case {
    pub(crate) fn random(random: &mut Random, placement: &Placement) -> Self {
        let at = placement.code + 0x100 + random.below(0x100);
        let to = placement.slot + 0x100 + random.below(0x100);
        let registers = registers(random, placement);
        loop {
            let Some(original) = instruction(random, VirtAddr::new(at), placement) else {
                continue;
            };
            let rflags = (random.next() & ARITHMETIC) | ALWAYS;
            let (at, to) = (VirtAddr::new(at), VirtAddr::new(to));
            let case = Self { at, to, original, registers, rflags };
            if !case.splits_lock() {
                return case;
            }
        }
    }

    /// Whether it holds up all processors by locking memory across the end of a
    /// cache line; systems make the one who does so wait for very long.
    fn splits_lock(&self) -> bool {
        const LINE: u64 = 64;
        let crosses = |access: &MemoryAccess| match (access.addr, access.len) {
            (Some(addr), Some(len)) => addr.get() % LINE + len > LINE,
            _ => true,
        };
        let insn = decode(&self.original, self.at);
        let accesses = insn.map(|insn| insn.memory_accesses(&self.registers_at_start()));
        locks_memory(&self.original, self.at) && accesses.iter().flatten().any(crosses)
    }

    pub(crate) fn registers_at_start(&self) -> Registers {
        let mut registers = Registers::default();
        for (reg, value) in Reg::general().zip(self.registers) {
            registers.set(reg, value);
        }
        registers.rip = self.at.get();
        registers.rflags = self.rflags;
        registers
    }
}

/// Registers that point into the data more often than not, and a stack pointer.
pub(crate) fn registers(random: &mut Random, placement: &Placement) -> [u64; 16] {
    let mut registers = [0; 16];
    for register in &mut registers {
        *register = match random.below(4) {
            0 => random.next(),
            1 => random.below(16),
            _ => placement.data + 0x400 + 8 * random.below(0x180),
        };
    }
    registers[4] = placement.stack + AREA / 2 + 8 * random.below(64);
    registers
}

/// Bytes of one instruction at `at`, or `None` when these did not work out.
pub(crate) fn instruction(
    random: &mut Random,
    at: VirtAddr,
    placement: &Placement,
) -> Option<Vec<u8>> {
    let bytes = candidate(random);
    let insn = decode(&bytes, at)?;
    let mut decoder = Decoder::with_ip(64, &bytes, at.get(), DecoderOptions::NONE);
    let raw = decoder.decode();
    let offsets = decoder.get_constant_offsets(&raw);
    let mut bytes = bytes.get(..insn.len())?.to_vec();
    if raw.is_ip_rel_memory_operand() {
        let target = placement.data + 0x400 + 8 * random.below(0x180);
        let distance = target.wrapping_sub(insn.next().get());
        let field = offsets.displacement_offset();
        bytes.get_mut(field..field + 4)?.copy_from_slice(&distance.to_le_bytes()[..4]);
    }
    if raw.op0_kind() == OpKind::NearBranch64 && offsets.immediate_size() == 4 {
        let target = placement.code + 0x800 + random.below(0x400);
        let distance = target.wrapping_sub(insn.next().get());
        let field = offsets.immediate_offset();
        bytes.get_mut(field..field + 4)?.copy_from_slice(&distance.to_le_bytes()[..4]);
    }
    let insn = decode(&bytes, at)?;
    (insn.len() == bytes.len() && is_safe(&bytes, at)).then_some(bytes)
}

/// Whether an instruction locks the memory that it uses.
pub(crate) fn locks_memory(bytes: &[u8], at: VirtAddr) -> bool {
    let raw = Decoder::with_ip(64, bytes, at.get(), DecoderOptions::NONE).decode();
    let exchanges = raw.mnemonic() == Mnemonic::Xchg;
    let uses_memory = (0..raw.op_count()).any(|op| raw.op_kind(op) == OpKind::Memory);
    uses_memory && (exchanges || raw.has_lock_prefix())
}

/// Bytes shaped like an instruction: prefixes, an opcode of some map, an
/// operand that is relative to the address more often than by chance.
fn candidate(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    while random.one_in(4) {
        bytes.push(random.pick(&[0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x3e, 0x64, 0x65, 0xf0]));
    }
    match random.below(8) {
        // Branches and calls, rare by chance.
        0 => {
            let second = 0x80 | random.below(16) as u8;
            let opcode: &[&[u8]] =
                &[&[0xe8], &[0xe9], &[0x0f, second], &[0xff], &[0xff], &[0xe3], &[0xe2], &[0xe0]];
            bytes.extend_from_slice(random.pick(opcode));
        }
        1 => bytes.extend([0xc5, random.next() as u8, random.next() as u8]),
        2 => {
            let map = 0xe0 | (1 + random.below(3)) as u8;
            bytes.extend([0xc4, map, random.next() as u8, random.next() as u8]);
        }
        kind => {
            if random.one_in(2) {
                bytes.push(0x40 | random.below(16) as u8);
            }
            match kind {
                3 => bytes.push(0x0f),
                4 => bytes.extend([0x0f, random.pick(&[0x38, 0x3a])]),
                _ => {}
            }
            bytes.push(random.next() as u8);
        }
    }
    let operand =
        if random.one_in(2) { 0x05 | (random.next() as u8 & 0x38) } else { random.next() as u8 };
    bytes.push(operand);
    bytes.extend(random.next().to_le_bytes());
    bytes
}

/// Whether running it tells something, and nothing but the instruction's own
/// effect: no system calls, no clocks, no changes to the judge's own segments.
fn is_safe(bytes: &[u8], at: VirtAddr) -> bool {
    use Mnemonic::*;
    let Some(insn) = decode(bytes, at) else { return false };
    let raw = Decoder::with_ip(64, bytes, at.get(), DecoderOptions::NONE).decode();
    // A branch into itself may never end.
    let itself = AddrRange::between(at, insn.next());
    if insn.branch_target().is_some_and(|target| itself.contains(target)) {
        return false;
    }
    let special = matches!(
        insn.kind(),
        InsnKind::Syscall
            | InsnKind::SysEnter
            | InsnKind::Int3
            | InsnKind::Int1
            | InsnKind::IntN
            | InsnKind::PopFlags
            | InsnKind::Xbegin
            | InsnKind::Far
    );
    // The judge's own thread-local data would differ from run to run.
    let segment = raw.memory_segment() == Register::FS
        || raw.op0_register().is_segment_register()
        || matches!(raw.mnemonic(), Lfs | Lgs | Lss | Wrfsbase | Wrgsbase | Swapgs);
    let clock = matches!(
        raw.mnemonic(),
        Rdtsc | Rdtscp | Rdrand | Rdseed | Rdpid | Rdpmc | Cpuid | Umwait | Tpause | Mwaitx | Mwait
    );
    // These store the address of the last x87 instruction, or load state that
    // the judge cannot put back.
    let state = matches!(
        raw.mnemonic(),
        Fnstenv
            | Fstenv
            | Fnsave
            | Fsave
            | Fxsave
            | Fxsave64
            | Fxrstor
            | Fxrstor64
            | Fldenv
            | Frstor
            | Wrpkru
            | Iret
            | Iretd
            | Iretq
            | Vmcall
            | Vmmcall
            | Sysret
            | Sysretq
    ) || format!("{:?}", raw.mnemonic()).starts_with("Xsave")
        || format!("{:?}", raw.mnemonic()).starts_with("Xrstor")
        || raw.code() == Code::Retfw;
    let far_return = matches!(raw.mnemonic(), Retf);
    let control = raw.op0_register().is_cr() || raw.op0_register() == Register::DR7;
    !(special || segment || clock || state || far_return || control || raw.is_privileged())
}
