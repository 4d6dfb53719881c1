//! Slots for instructions that go on to the next one: copied, unless they use
//! memory relative to their own address.

use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, Instruction, InstructionInfoFactory, Mnemonic, Register,
};
use trapline_core::VirtAddr;
use trapline_core::x64::RED_ZONE;

use super::emit::{Emitter, Scratch};
use super::{Refusal, Undo};
use crate::insn::{Insn, general};

const SKIP: u16 = RED_ZONE as u16;

/// Emits the instruction so that it does here what it does in its place.
pub(super) fn copy(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> Result<(), Refusal> {
    if copy_in_reach(insn, bytes, out) {
        return Ok(());
    }
    match insn.raw.mnemonic() {
        Mnemonic::Lea => constant(insn, out),
        Mnemonic::Push if insn.raw.code() == Code::Push_rm64 => push(insn, out),
        Mnemonic::Pop if insn.raw.code() == Code::Pop_rm64 => pop(insn, out),
        _ => through_scratch(insn, bytes, out),
    }
}

/// Emits the instruction byte for byte if it has no operand relative to its
/// address, or one that can be aimed anew from here or written as an absolute
/// address; `false`, and nothing emitted, otherwise.
pub(super) fn copy_in_reach(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> bool {
    if insn.rip_relative().is_none() {
        out.raw(bytes);
        return true;
    }
    let mut copy = bytes.to_vec();
    let end = out.here().wrapping_add(bytes.len() as u64);
    let aimed = aim(insn, &mut copy, end);
    if aimed {
        out.raw(&copy);
    }
    aimed
}

/// Rewrites the displacement of a copy that ends at `end` so that it means the
/// same memory; `false` when that is out of reach.
pub(super) fn aim(insn: &Insn, copy: &mut Vec<u8>, end: VirtAddr) -> bool {
    let Some(memory) = insn.rip_relative() else { return true };
    let Some(at) = displacement_at(insn, copy) else { return false };
    let distance = memory.get().wrapping_sub(end.get());
    // With a 32-bit address size the sum wraps there, so all is in reach.
    let narrow = insn.raw.memory_base() == Register::EIP;
    if narrow || i32::try_from(distance.cast_signed()).is_ok() {
        copy[at..at + 4].copy_from_slice(&distance.to_le_bytes()[..4]);
        return true;
    }
    absolute(insn, copy, at, memory)
}

/// Writes the operand as an absolute address, which reaches the lowest and the
/// highest 2 GiB: a SIB byte more, with neither base nor index.
fn absolute(insn: &Insn, copy: &mut Vec<u8>, at: usize, memory: VirtAddr) -> bool {
    let Ok(short) = i32::try_from(memory.get().cast_signed()) else { return false };
    let Some(before) = crate::insn::decode(copy, insn.addr()) else { return false };
    let mut changed = copy.clone();
    changed[at - 1] = (changed[at - 1] & 0x38) | 0b100;
    changed.splice(at..at + 4, [0x25].into_iter().chain(short.to_le_bytes()));
    let same = |new: &Instruction| {
        new.memory_base() == Register::None
            && new.memory_index() == Register::None
            && new.memory_displacement64() == memory.get()
    };
    let fits = is_same(&before, &changed, same);
    if fits {
        *copy = changed;
    }
    fits
}

/// Whether changed bytes are the same instruction but for its memory operand,
/// which `operand` judges.
fn is_same(insn: &Insn, changed: &[u8], operand: impl Fn(&Instruction) -> bool) -> bool {
    crate::insn::decode(changed, insn.addr()).is_some_and(|new| {
        new.len() == changed.len()
            && new.raw.code() == insn.raw.code()
            && (0..new.raw.op_count()).all(|index| {
                new.raw.op_kind(index) == insn.raw.op_kind(index)
                    && new.raw.op_register(index) == insn.raw.op_register(index)
            })
            && operand(&new.raw)
    })
}

/// Where in the bytes the displacement of a rip-relative operand is; right
/// behind the ModRM byte, always four bytes.
fn displacement_at(insn: &Insn, bytes: &[u8]) -> Option<usize> {
    let mut decoder = Decoder::with_ip(64, bytes, insn.raw.ip(), DecoderOptions::NONE);
    let decoded = decoder.decode();
    let offsets = decoder.get_constant_offsets(&decoded);
    let at = offsets.displacement_offset();
    (offsets.has_displacement() && offsets.displacement_size() == 4 && at > 0).then_some(at)
}

/// A register that the instruction neither reads nor writes.
pub(super) fn free_scratch(insn: &Insn) -> Option<Scratch> {
    let used = used_general(insn);
    Scratch::ALL.into_iter().find(|scratch| !used.contains(&scratch.reg()))
}

fn used_general(insn: &Insn) -> Vec<trapline_core::x64::Reg> {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&insn.raw);
    info.used_registers().iter().filter_map(|used| general(used.register())).collect()
}

/// `lea` out of reach: its result is a constant.
fn constant(insn: &Insn, out: &mut Emitter) -> Result<(), Refusal> {
    let memory = insn.rip_relative().ok_or(Refusal::OutOfReach)?.get();
    let into = insn.raw.op0_register();
    let load = match into.size() {
        8 => Instruction::with2(Code::Mov_r64_imm64, into, memory),
        4 => Instruction::with2(Code::Mov_r32_imm32, into, memory as u32),
        _ => Instruction::with2(Code::Mov_r16_imm16, into, u32::from(memory as u16)),
    };
    let load = load.map_err(|_| Refusal::OutOfReach)?;
    let mut encoder = Encoder::new(64);
    encoder.encode(&load, out.here().get()).map_err(|_| Refusal::OutOfReach)?;
    out.raw(&encoder.take_buffer());
    Ok(())
}

/// `push [rip + x]` out of reach.
fn push(insn: &Insn, out: &mut Emitter) -> Result<(), Refusal> {
    let memory = plain_memory(insn)?;
    let (at, next) = (insn.addr(), insn.next());
    let value = Scratch::Rsi;
    let moved = Undo { rsp: 8 + SKIP, ..Undo::EXACT };
    let saved = Undo { pop: [Some(value.reg()), None], ..moved };
    out.move_rsp(-i32::from(8 + SKIP));
    out.mark(at, moved);
    out.push(value);
    out.mark(at, saved);
    out.load_constant(value, memory.get());
    out.mark(at, saved);
    out.load(value, value);
    out.mark(at, saved);
    out.store_stack(u32::from(8 + SKIP), value);
    out.mark(next, Undo { rsp: SKIP, ..saved });
    out.pop(value);
    out.mark(next, Undo { rsp: SKIP, ..Undo::EXACT });
    out.move_rsp(i32::from(SKIP));
    Ok(())
}

/// `pop [rip + x]` out of reach.
fn pop(insn: &Insn, out: &mut Emitter) -> Result<(), Refusal> {
    let memory = plain_memory(insn)?;
    let (at, next) = (insn.addr(), insn.next());
    let (place, value) = (Scratch::Rsi, Scratch::Rdi);
    let moved = Undo { rsp: SKIP, ..Undo::EXACT };
    let one = Undo { pop: [Some(place.reg()), None], ..moved };
    let both = Undo { pop: [Some(value.reg()), Some(place.reg())], ..moved };
    out.move_rsp(-i32::from(SKIP));
    out.mark(at, moved);
    out.push(place);
    out.mark(at, one);
    out.push(value);
    out.mark(at, both);
    out.load_constant(place, memory.get());
    out.mark(at, both);
    out.load_stack(value, u32::from(SKIP + 16));
    out.mark(at, both);
    out.store(place, value);
    out.mark(next, Undo { rsp: SKIP + 8, ..both });
    out.pop(value);
    out.mark(next, Undo { rsp: SKIP + 8, ..one });
    out.pop(place);
    out.mark(next, Undo { rsp: SKIP + 8, ..Undo::EXACT });
    out.move_rsp(i32::from(SKIP + 8));
    Ok(())
}

fn plain_memory(insn: &Insn) -> Result<VirtAddr, Refusal> {
    if insn.raw.segment_prefix() != Register::None {
        return Err(Refusal::StackOutOfReach);
    }
    insn.rip_relative().ok_or(Refusal::StackOutOfReach)
}

/// Any other instruction out of reach: its operand becomes `[scratch]`.
fn through_scratch(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> Result<(), Refusal> {
    if used_general(insn).contains(&trapline_core::x64::Reg::Rsp) {
        return Err(Refusal::StackOutOfReach);
    }
    let memory = insn.rip_relative().ok_or(Refusal::OutOfReach)?;
    let scratch = free_scratch(insn).ok_or(Refusal::OutOfReach)?;
    let copy = based(insn, bytes, scratch).ok_or(Refusal::OutOfReach)?;
    let (at, next) = (insn.addr(), insn.next());
    let moved = Undo { rsp: SKIP, ..Undo::EXACT };
    let saved = Undo { pop: [Some(scratch.reg()), None], ..moved };
    out.move_rsp(-i32::from(SKIP));
    out.mark(at, moved);
    out.push(scratch);
    out.mark(at, saved);
    out.load_constant(scratch, memory.get());
    out.mark(at, saved);
    out.raw(&copy);
    out.mark(next, saved);
    out.pop(scratch);
    out.mark(next, moved);
    out.move_rsp(i32::from(SKIP));
    Ok(())
}

/// The bytes with `[scratch]` for the operand.
fn based(insn: &Insn, bytes: &[u8], scratch: Scratch) -> Option<Vec<u8>> {
    let at = displacement_at(insn, bytes)?;
    let mut copy = bytes.to_vec();
    copy[at - 1] = (copy[at - 1] & 0x38) | scratch.number();
    copy.drain(at..at + 4);
    let same = |new: &Instruction| {
        general(new.memory_base()) == Some(scratch.reg())
            && new.memory_index() == Register::None
            && new.memory_displacement64() == 0
    };
    is_same(insn, &copy, same).then_some(copy)
}
