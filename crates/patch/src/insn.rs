//! What one instruction is: its length, its kind, where it can go, and which
//! memory it touches given the registers it starts with.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register, UsedMemory,
};
use trapline_core::VirtAddr;
use trapline_core::x64::debug::Access;
use trapline_core::x64::{MAX_INSTRUCTION, Reg, Registers, flags};

/// The kinds of instructions that a debugger treats differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsnKind {
    /// Runs and goes on to the next one (or faults).
    Plain,
    /// A near call.
    Call,
    /// A return, of any form.
    Ret,
    /// An unconditional near jump.
    Jump,
    /// A jump that depends on the flags.
    ConditionalJump,
    /// A jump that depends on `rcx`: `loop`, `loope`, `loopne`, `jrcxz`.
    Loop,
    /// `syscall`.
    Syscall,
    /// `sysenter`.
    SysEnter,
    /// `int3` of one byte.
    Int3,
    /// `int1` of one byte.
    Int1,
    /// `int` with a number.
    IntN,
    /// `pushf`: a single step would push its own trap flag.
    PushFlags,
    /// `popf`: may set or clear the trap flag.
    PopFlags,
    /// `xbegin`: names the place to go when the transaction aborts.
    Xbegin,
    /// A call or jump that loads a code segment.
    Far,
}

/// One decoded instruction.
#[derive(Clone, Copy, Debug)]
pub struct Insn {
    pub(crate) raw: Instruction,
}

/// Decodes the instruction that begins at `bytes[0]`, which lies at `addr`.
///
/// `None` when no instruction that we know begins there, or `bytes` ends
/// inside it. At most 15 bytes are looked at.
pub fn decode(bytes: &[u8], addr: VirtAddr) -> Option<Insn> {
    let bytes = bytes.get(..MAX_INSTRUCTION).unwrap_or(bytes);
    let mut decoder = Decoder::with_ip(64, bytes, addr.get(), DecoderOptions::NONE);
    if !decoder.can_decode() {
        return None;
    }
    let raw = decoder.decode();
    (!raw.is_invalid()).then_some(Insn { raw })
}

impl Insn {
    /// Where it lies.
    pub fn addr(&self) -> VirtAddr {
        VirtAddr::new(self.raw.ip())
    }

    /// Its length in bytes, 1 to 15.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Never: an instruction has at least one byte.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The address right after it.
    pub fn next(&self) -> VirtAddr {
        VirtAddr::new(self.raw.next_ip())
    }

    /// What kind it is.
    pub fn kind(&self) -> InsnKind {
        match self.raw.mnemonic() {
            Mnemonic::Syscall => return InsnKind::Syscall,
            Mnemonic::Sysenter => return InsnKind::SysEnter,
            Mnemonic::Pushf | Mnemonic::Pushfd | Mnemonic::Pushfq => return InsnKind::PushFlags,
            Mnemonic::Popf | Mnemonic::Popfd | Mnemonic::Popfq => return InsnKind::PopFlags,
            Mnemonic::Xbegin => return InsnKind::Xbegin,
            Mnemonic::Int3 => return InsnKind::Int3,
            Mnemonic::Int1 => return InsnKind::Int1,
            Mnemonic::Int => return InsnKind::IntN,
            _ => {}
        }
        let raw = &self.raw;
        let far = raw.is_call_far()
            || raw.is_call_far_indirect()
            || raw.is_jmp_far()
            || raw.is_jmp_far_indirect();
        match raw.flow_control() {
            _ if far => InsnKind::Far,
            FlowControl::Return => InsnKind::Ret,
            FlowControl::Call | FlowControl::IndirectCall if is_near_call(raw) => InsnKind::Call,
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => InsnKind::Jump,
            FlowControl::ConditionalBranch if is_loop(raw) => InsnKind::Loop,
            FlowControl::ConditionalBranch => InsnKind::ConditionalJump,
            _ => InsnKind::Plain,
        }
    }

    /// Where a direct jump or call goes; `None` for every other instruction.
    pub fn branch_target(&self) -> Option<VirtAddr> {
        let direct = matches!(self.raw.op0_kind(), OpKind::NearBranch64);
        (direct && self.kind() != InsnKind::Xbegin)
            .then(|| VirtAddr::new(self.raw.near_branch_target()))
    }

    /// The address that a rip-relative operand means.
    pub fn rip_relative(&self) -> Option<VirtAddr> {
        self.raw.is_ip_rel_memory_operand().then(|| VirtAddr::new(self.raw.ip_rel_memory_address()))
    }

    /// The memory it touches when it starts with these registers, its stack
    /// accesses included, in the order the processor's manual names them.
    pub fn memory_accesses(&self, registers: &Registers) -> Vec<MemoryAccess> {
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(&self.raw);
        let used = info.used_memory().iter();
        used.filter_map(|memory| self.access(memory, registers)).collect()
    }

    /// The memory it has touched, from the registers that it left. An address
    /// that depended on a register which it changed is not known any more; the
    /// stack pointer's change by pushes, pops, calls and returns is undone.
    pub fn past_memory_accesses(&self, after: &Registers) -> Vec<MemoryAccess> {
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(&self.raw);
        let moved = i64::from(self.raw.stack_pointer_increment());
        let mut before = *after;
        before.set(Reg::Rsp, after.rsp().wrapping_sub(moved.cast_unsigned()));
        let changed = |register: Register| {
            let full = register.full_register();
            let kept_count = moved != 0 && full == Register::RSP;
            !kept_count
                && info.used_registers().iter().any(|used| {
                    used.register().full_register() == full
                        && !matches!(
                            used.access(),
                            OpAccess::None | OpAccess::Read | OpAccess::CondRead
                        )
                })
        };
        let used = info.used_memory().iter();
        used.filter_map(|memory| {
            let lost = changed(memory.base()) || changed(memory.index());
            if self.is_repeated() {
                let access = kind_of_access(memory)?.0;
                return Some(MemoryAccess { addr: None, len: None, access, conditional: true });
            }
            let access = self.access(memory, &before)?;
            Some(if lost { MemoryAccess { addr: None, ..access } } else { access })
        })
        .collect()
    }

    /// Whether it is a string instruction that may run many times: an
    /// exception between two rounds finds the pc at its own start.
    pub fn is_repeated(&self) -> bool {
        self.raw.is_string_instruction()
            && (self.raw.has_rep_prefix() || self.raw.has_repne_prefix())
    }

    fn access(&self, memory: &UsedMemory, registers: &Registers) -> Option<MemoryAccess> {
        let (access, conditional) = kind_of_access(memory)?;
        if memory.vsib_size() != 0 {
            return Some(MemoryAccess { addr: None, len: None, access, conditional });
        }
        let addr = memory
            .virtual_address(0, |register, _, _| register_value(register, registers, self.next()));
        let size = memory.memory_size().size() as u64;
        let once = MemoryAccess {
            addr: addr.map(VirtAddr::new),
            len: (size != 0).then_some(size),
            access,
            conditional,
        };
        if self.is_repeated() {
            return self.repeated(once, registers);
        }
        Some(once)
    }

    /// All iterations of a repeated string instruction together; `None` when
    /// there are none.
    fn repeated(&self, once: MemoryAccess, registers: &Registers) -> Option<MemoryAccess> {
        let narrow = match self.raw.mnemonic() {
            // These stop early, at a difference or a match.
            Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsd | Mnemonic::Cmpsq => true,
            Mnemonic::Scasb | Mnemonic::Scasw | Mnemonic::Scasd | Mnemonic::Scasq => true,
            _ => false,
        };
        let mut count = registers.get(Reg::Rcx)?;
        if self.uses_ecx() {
            count &= u64::from(u32::MAX);
        }
        if count == 0 {
            return None;
        }
        let element = string_element(self.raw.mnemonic());
        let len = element.and_then(|element| element.checked_mul(count));
        let backwards = registers.rflags & flags::DF != 0;
        let lowest = |addr: VirtAddr| match (backwards, len, element) {
            (true, Some(len), Some(element)) => addr.wrapping_sub(len - element),
            _ => addr,
        };
        Some(MemoryAccess {
            addr: once.addr.map(lowest),
            len,
            access: once.access,
            conditional: narrow,
        })
    }

    fn uses_ecx(&self) -> bool {
        let narrow = |register| matches!(register, Register::ESI | Register::EDI);
        (0..self.raw.op_count()).any(|operand| match self.raw.op_kind(operand) {
            OpKind::MemorySegESI | OpKind::MemoryESEDI | OpKind::MemorySegEDI => true,
            OpKind::Memory => narrow(self.raw.memory_base()),
            _ => false,
        })
    }
}

fn is_near_call(raw: &Instruction) -> bool {
    raw.is_call_near() || raw.is_call_near_indirect()
}

fn is_loop(raw: &Instruction) -> bool {
    raw.is_loop() || raw.is_loopcc() || raw.is_jcx_short()
}

/// Bytes that one iteration of a string instruction touches at an address.
fn string_element(mnemonic: Mnemonic) -> Option<u64> {
    use Mnemonic::*;
    Some(match mnemonic {
        Movsb | Stosb | Lodsb | Cmpsb | Scasb | Insb | Outsb => 1,
        Movsw | Stosw | Lodsw | Cmpsw | Scasw | Insw | Outsw => 2,
        Movsd | Stosd | Lodsd | Cmpsd | Scasd | Insd | Outsd => 4,
        Movsq | Stosq | Lodsq | Cmpsq | Scasq => 8,
        _ => return None,
    })
}

/// One touch of memory by an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAccess {
    /// The lowest byte; `None` when it depends on vector registers (gathers
    /// and scatters).
    pub addr: Option<VirtAddr>,
    /// How many bytes; `None` when the instruction alone does not say
    /// (`xsave`).
    pub len: Option<u64>,
    /// How they are touched.
    pub access: Access,
    /// Whether it may also not happen, or only in part: masked and conditional
    /// accesses, repeated comparisons.
    pub conditional: bool,
}

/// How a memory operand is touched, and whether that may not happen.
fn kind_of_access(memory: &UsedMemory) -> Option<(Access, bool)> {
    Some(match memory.access() {
        OpAccess::Read => (Access::Read, false),
        OpAccess::CondRead => (Access::Read, true),
        OpAccess::Write => (Access::Write, false),
        OpAccess::CondWrite => (Access::Write, true),
        OpAccess::ReadWrite => (Access::ReadWrite, false),
        OpAccess::ReadCondWrite => (Access::ReadWrite, true),
        OpAccess::None | OpAccess::NoMemAccess => return None,
    })
}

fn register_value(register: Register, registers: &Registers, next: VirtAddr) -> Option<u64> {
    match register {
        Register::ES | Register::CS | Register::SS | Register::DS => return Some(0),
        Register::FS => return Some(registers.fs_base),
        Register::GS => return Some(registers.gs_base),
        Register::RIP => return Some(next.get()),
        Register::EIP => return Some(next.get() & u64::from(u32::MAX)),
        _ => {}
    }
    let value = registers.get(general(register)?)?;
    Some(match register.size() {
        4 => value & u64::from(u32::MAX),
        2 => value & u64::from(u16::MAX),
        _ => value,
    })
}

/// The 64-bit general register that a register is part of.
pub(crate) fn general(register: Register) -> Option<Reg> {
    let full = register.full_register();
    full.is_gpr64().then(|| Reg::general().nth(full.number())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: VirtAddr = VirtAddr::new(0x40_1000);

    #[test]
    fn kinds_are_told_apart() {
        use InsnKind::*;
        let check = |bytes: &[u8], kind: InsnKind, target: Option<u64>| {
            let insn = decode(bytes, AT).unwrap();
            assert_eq!(insn.len(), bytes.len(), "{bytes:02x?}");
            assert_eq!(insn.next().get(), AT.get() + bytes.len() as u64);
            assert_eq!(insn.kind(), kind, "{bytes:02x?}");
            assert_eq!(insn.branch_target().map(VirtAddr::get), target, "{bytes:02x?}");
        };
        check(&[0x90], Plain, None);
        check(&[0xe8, 0, 1, 0, 0], Call, Some(0x40_1105));
        check(&[0xff, 0xd0], Call, None);
        check(&[0xff, 0x15, 1, 0, 0, 0], Call, None);
        check(&[0xc3], Ret, None);
        check(&[0xc2, 8, 0], Ret, None);
        check(&[0x48, 0xcf], Ret, None);
        check(&[0xeb, 0xfe], Jump, Some(0x40_1000));
        check(&[0x3e, 0xff, 0xe0], Jump, None);
        check(&[0x0f, 0x84, 0, 0, 0, 0], ConditionalJump, Some(0x40_1006));
        check(&[0xe2, 0x10], Loop, Some(0x40_1012));
        check(&[0x67, 0xe3, 0x10], Loop, Some(0x40_1013));
        check(&[0x0f, 0x05], Syscall, None);
        check(&[0x0f, 0x34], SysEnter, None);
        check(&[0xcc], Int3, None);
        check(&[0xcd, 0x03], IntN, None);
        check(&[0xf1], Int1, None);
        check(&[0x9c], PushFlags, None);
        check(&[0x9d], PopFlags, None);
        check(&[0xc7, 0xf8, 0, 0, 0, 0], Xbegin, None);
        check(&[0xff, 0x2f], Far, None);
        check(&[0xff, 0x1f], Far, None);
        check(&[0x0f, 0x0b], Plain, None);
    }

    #[test]
    fn what_is_no_instruction_is_none() {
        for bytes in [&[][..], &[0xe8, 0], &[0x06], &[0x66; 20], &[0xd5, 0x10, 0x89, 0xc0]] {
            assert!(decode(bytes, AT).is_none(), "{bytes:02x?}");
        }
    }

    fn registers() -> Registers {
        let mut registers = Registers::default();
        for (index, reg) in Reg::general().enumerate() {
            registers.set(reg, 0x1_0000 * (index as u64 + 1));
        }
        registers.fs_base = 0x7000_0000;
        registers
    }

    const RAX: u64 = 0x1_0000;
    const RCX: u64 = 0x2_0000;
    const RSP: u64 = 0x5_0000;
    const RSI: u64 = 0x7_0000;
    const RDI: u64 = 0x8_0000;

    fn check(bytes: &[u8], registers: &Registers, expected: &[(u64, u64, Access, bool)]) {
        let found = decode(bytes, AT).unwrap().memory_accesses(registers);
        let expected: Vec<MemoryAccess> = expected
            .iter()
            .map(|&(addr, len, access, conditional)| MemoryAccess {
                addr: Some(VirtAddr::new(addr)),
                len: Some(len),
                access,
                conditional,
            })
            .collect();
        assert_eq!(found, expected, "{bytes:02x?}");
    }

    #[test]
    fn operands_and_stack_accesses_are_found() {
        use Access::*;
        let check = |bytes: &[u8], expected: &[_]| check(bytes, &registers(), expected);
        check(&[0x8b, 0x40, 0x08], &[(RAX + 8, 4, Read, false)]);
        check(&[0x89, 0x04, 0x88], &[(RAX + 4 * RCX, 4, Write, false)]);
        check(&[0x48, 0xff, 0x00], &[(RAX, 8, ReadWrite, false)]);
        check(&[0x8b, 0x05, 0, 1, 0, 0], &[(0x40_1106, 4, Read, false)]);
        check(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0], &[(0x7000_0028, 8, Read, false)]);
        check(&[0x50], &[(RSP - 8, 8, Write, false)]);
        check(&[0x58], &[(RSP, 8, Read, false)]);
        check(&[0xff, 0x30], &[(RAX, 8, Read, false), (RSP - 8, 8, Write, false)]);
        check(&[0xe8, 0, 0, 0, 0], &[(RSP - 8, 8, Write, false)]);
        check(&[0xc3], &[(RSP, 8, Read, false)]);
        check(&[0x67, 0x8b, 0x00], &[(RAX, 4, Read, false)]);
        check(&[0x8d, 0x40, 0x08], &[]);
        check(&[0x0f, 0x1f, 0x00], &[]);
        check(&[0xa4], &[(RDI, 1, Write, false), (RSI, 1, Read, false)]);
    }

    #[test]
    fn repeated_strings_cover_all_their_bytes() {
        use Access::*;
        let mut three = registers();
        three.set(Reg::Rcx, 3);
        check(&[0xf3, 0x48, 0xa5], &three, &[(RDI, 24, Write, false), (RSI, 24, Read, false)]);
        check(&[0xf3, 0xa6], &three, &[(RSI, 3, Read, true), (RDI, 3, Read, true)]);
        let mut backwards = three;
        backwards.rflags |= flags::DF;
        check(&[0xf3, 0xab], &backwards, &[(RDI - 8, 12, Write, false)]);
        let mut none = three;
        none.set(Reg::Rcx, 0);
        check(&[0xf3, 0xab], &none, &[]);
    }

    #[test]
    fn what_was_touched_is_known_from_what_is_left() {
        let past = |bytes: &[u8]| {
            let accesses = decode(bytes, AT).unwrap().past_memory_accesses(&registers());
            accesses.iter().map(|one| (one.addr.map(VirtAddr::get), one.access)).collect::<Vec<_>>()
        };
        let stack = registers().rsp();
        let plain = registers().get(Reg::Rax).unwrap();
        // mov [rax],rcx; mov rcx,[rax]; mov rax,[rax]; push rcx; pop rcx; rep movsq
        assert_eq!(past(&[0x48, 0x89, 0x08]), [(Some(plain), Access::Write)]);
        assert_eq!(past(&[0x48, 0x8b, 0x08]), [(Some(plain), Access::Read)]);
        assert_eq!(past(&[0x48, 0x8b, 0x00]), [(None, Access::Read)]);
        assert_eq!(past(&[0x51]), [(Some(stack), Access::Write)]);
        assert_eq!(past(&[0x59]), [(Some(stack - 8), Access::Read)]);
        assert_eq!(past(&[0xf3, 0x48, 0xa5]).iter().filter(|one| one.0.is_none()).count(), 2);
    }

    #[test]
    fn what_cannot_be_known_is_said() {
        let accesses = |bytes: &[u8]| decode(bytes, AT).unwrap().memory_accesses(&registers());
        // xsave [rax]
        let xsave = accesses(&[0x0f, 0xae, 0x20]);
        assert!(xsave.iter().any(|access| access.len.is_none()), "{xsave:?}");
        // vgatherdps xmm1, [rax+xmm2*4], xmm3
        let gather = accesses(&[0xc4, 0xe2, 0x61, 0x92, 0x0c, 0x90]);
        assert_eq!((gather[0].addr, gather[0].len), (None, None));
    }
}
