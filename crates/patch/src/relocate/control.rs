//! Slots for instructions that go elsewhere: jumps, branches, calls and system
//! calls.

use iced_x86::{Code, Encoder, Instruction, OpKind, Register};
use trapline_core::VirtAddr;
use trapline_core::x64::{RED_ZONE, Reg};

use super::emit::{Emitter, Scratch};
use super::{Refusal, Undo, data};
use crate::insn::{Insn, InsnKind};

/// The red zone as a distance that a slot skips.
const SKIP: u16 = RED_ZONE as u16;

/// An unconditional near jump.
pub(super) fn jump(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> Result<(), Refusal> {
    if let Some(target) = direct_target(insn, bytes)? {
        out.jump(target);
        return Ok(());
    }
    if insn.raw.code() != Code::Jmp_rm64 {
        return Err(Refusal::NarrowBranch);
    }
    if data::copy_in_reach(insn, bytes, out) {
        return Ok(());
    }
    enter_through_stack(insn, None, out)
}

/// A conditional jump or a loop. Where what follows is right behind, a jump to
/// the target that the branch leaps over; else the branch itself, a jump to the
/// next instruction, a jump to the target.
pub(super) fn branch(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> Result<(), Refusal> {
    let target = direct_target(insn, bytes)?.ok_or(Refusal::NarrowBranch)?;
    let next = insn.next();
    match insn.kind() {
        InsnKind::Loop => {
            let (prefixes, opcode) = short_branch(bytes)?;
            // With an address size of 32 bits it counts in `ecx`.
            if prefixes.contains(&0x67) {
                out.raw(&[0x67]);
            }
            out.raw(&[opcode]);
        }
        _ if out.flows_on() => {
            let unless = condition(bytes)? ^ 1;
            out.raw(&[0x70 | unless, out.jump_len(target, 2)]);
            out.mark(target, Undo::EXACT);
            out.jump(target);
            return Ok(());
        }
        // The condition is the low half of the opcode in both the short and
        // the near form.
        _ => out.raw(&[0x70 | condition(bytes)?]),
    }
    leave_branch(next, target, out);
    Ok(())
}

/// The offset of a branch and the two ways from it.
fn leave_branch(next: VirtAddr, target: VirtAddr, out: &mut Emitter) {
    if out.flows_on() {
        const SHORT_JUMP: [u8; 2] = [0xeb, 0];
        out.raw(&[SHORT_JUMP.len() as u8]);
        out.mark(next, Undo::EXACT);
        out.raw(&[SHORT_JUMP[0], out.jump_len(target, 2)]);
    } else {
        out.raw(&[out.jump_len(next, 1)]);
        out.go_on(next);
    }
    out.mark(target, Undo::EXACT);
    out.jump(target);
}

/// The prefixes and the opcode of a branch with an offset of one byte.
fn short_branch(bytes: &[u8]) -> Result<(&[u8], u8), Refusal> {
    match bytes {
        [prefixes @ .., opcode, _offset] => Ok((prefixes, *opcode)),
        _ => Err(Refusal::Undecodable),
    }
}

fn condition(bytes: &[u8]) -> Result<u8, Refusal> {
    let opcode = match bytes {
        [.., 0x0f, opcode @ 0x80..=0x8f, _, _, _, _] => *opcode,
        _ => short_branch(bytes)?.1,
    };
    Ok(opcode & 0xf)
}

/// A near call: what it pushes is the program's own return address.
pub(super) fn call(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> Result<(), Refusal> {
    let target = direct_target(insn, bytes)?;
    if target.is_none() {
        return indirect_call(insn, bytes, out);
    }
    push_return(insn, out);
    if let Some(target) = target {
        out.mark(target, Undo::EXACT);
        out.jump(target);
    }
    Ok(())
}

fn indirect_call(insn: &Insn, bytes: &[u8], out: &mut Emitter) -> Result<(), Refusal> {
    if insn.raw.code() != Code::Call_rm64 {
        return Err(Refusal::NarrowBranch);
    }
    if insn.raw.op0_register() == Register::RSP {
        return Err(Refusal::CallsStack);
    }
    // The load must fault before anything is pushed, and must see what the
    // push would overwrite.
    if insn.raw.op0_kind() == OpKind::Memory {
        return enter_through_stack(insn, Some(insn.next()), out);
    }
    let mut jump = bytes.to_vec();
    if !call_to_jump(insn, &mut jump) {
        return Err(Refusal::OutOfReach);
    }
    push_return(insn, out);
    out.mark(insn.addr(), Undo { rsp: 8, ..Undo::EXACT });
    out.raw(&jump);
    Ok(())
}

/// Turns `call r64` (`FF /2`) into `jmp r64` (`FF /4`), prefixes and register
/// untouched.
fn call_to_jump(insn: &Insn, bytes: &mut [u8]) -> bool {
    let Some(opcode) = bytes.iter().position(|&byte| byte == 0xff) else { return false };
    let Some(modrm) = bytes.get_mut(opcode + 1) else { return false };
    *modrm = (*modrm & !0x38) | 0x20;
    let jump = crate::insn::decode(bytes, insn.addr());
    jump.is_some_and(|jump| jump.raw.code() == Code::Jmp_rm64 && jump.len() == bytes.len())
}

fn push_return(insn: &Insn, out: &mut Emitter) {
    out.move_rsp(-8);
    out.store_return(insn.next(), insn.addr(), Undo { rsp: 8, ..Undo::EXACT });
}

/// A call through memory, or a jump through memory out of reach: the target is fetched with a borrowed
/// register and left to `ret`, below the red zone.
///
/// `ret n` takes its target from the stack before it moves `rsp`, so nothing
/// is ever read that a signal could have overwritten.
fn enter_through_stack(
    insn: &Insn,
    return_to: Option<VirtAddr>,
    out: &mut Emitter,
) -> Result<(), Refusal> {
    let at = insn.addr();
    let scratch = data::free_scratch(insn).ok_or(Refusal::OutOfReach)?;
    // From the top: the saved register, the target, the red zone, and for a
    // call the return address.
    let pushed = if return_to.is_some() { 8 } else { 0 };
    let below = 8 + SKIP + pushed;
    let moved = Undo { rsp: below, ..Undo::EXACT };
    let saved = Undo { pop: [Some(scratch.reg()), None], ..moved };
    out.move_rsp(-i32::from(below));
    out.mark(at, moved);
    out.push(scratch);
    out.mark(at, saved);
    fetch_target(insn, scratch, i64::from(below) + 8, out, saved)?;
    out.mark(at, saved);
    out.store_stack(8, scratch);
    out.mark(at, saved);
    out.pop(scratch);
    if let Some(return_to) = return_to {
        store_return_above(return_to, u32::from(8 + SKIP), at, moved, out);
    }
    out.mark(at, moved);
    let [low, high] = SKIP.to_le_bytes();
    out.raw(&[0xc2, low, high]);
    Ok(())
}

/// Loads what the operand of a jump or call means into `scratch`, with `rsp`
/// lower than it was by `lowered`.
fn fetch_target(
    insn: &Insn,
    scratch: Scratch,
    lowered: i64,
    out: &mut Emitter,
    undo: Undo,
) -> Result<(), Refusal> {
    if let Some(memory) = insn.rip_relative() {
        if insn.raw.segment_prefix() != Register::None {
            return Err(Refusal::OutOfReach);
        }
        out.load_constant(scratch, memory.get());
        out.mark(insn.addr(), undo);
        out.load(scratch, scratch);
        return Ok(());
    }
    let mut load = Instruction::new();
    load.set_code(Code::Mov_r64_rm64);
    load.set_op0_register(iced_register(scratch));
    load.set_op1_kind(OpKind::Memory);
    load.set_segment_prefix(match insn.raw.segment_prefix() {
        segment @ (Register::FS | Register::GS) => segment,
        _ => Register::None,
    });
    load.set_memory_base(insn.raw.memory_base());
    load.set_memory_index(insn.raw.memory_index());
    load.set_memory_index_scale(insn.raw.memory_index_scale());
    let base = insn.raw.memory_base();
    let moved = if base.full_register() == Register::RSP { lowered } else { 0 };
    load.set_memory_displacement64(insn.raw.memory_displacement64().wrapping_add_signed(moved));
    let address_size = base.size().max(insn.raw.memory_index().size());
    load.set_memory_displ_size(match u32::try_from(address_size) {
        Ok(size @ (4 | 8)) => size,
        _ => insn.raw.memory_displ_size(),
    });
    let mut encoder = Encoder::new(64);
    encoder.encode(&load, out.here().get()).map_err(|_| Refusal::OutOfReach)?;
    out.raw(&encoder.take_buffer());
    Ok(())
}

fn store_return_above(value: VirtAddr, offset: u32, at: VirtAddr, undo: Undo, out: &mut Emitter) {
    let [a, b, c, d, e, f, g, h] = value.get().to_le_bytes();
    for (offset, half) in [(offset, [a, b, c, d]), (offset + 4, [e, f, g, h])] {
        out.mark(at, undo);
        out.raw(&[0xc7, 0x84, 0x24]);
        out.raw(&offset.to_le_bytes());
        out.raw(&half);
    }
}

fn iced_register(scratch: Scratch) -> Register {
    match scratch {
        Scratch::Rax => Register::RAX,
        Scratch::Rcx => Register::RCX,
        Scratch::Rdx => Register::RDX,
        Scratch::Rbx => Register::RBX,
        Scratch::Rsi => Register::RSI,
        Scratch::Rdi => Register::RDI,
    }
}

/// `syscall`: the kernel returns right after it with that address in `rcx`.
///
/// Putting the program's address there instead is exact: the code behind the
/// `syscall` runs only when the call returns to it, with an `rcx` that the
/// processor set from `rip` (Intel SDM volume 2, SYSCALL). What returns
/// elsewhere (`rt_sigreturn`, `execve`) never comes by. A restarted call goes
/// back by the two bytes of the instruction, which are the slot's first.
pub(super) fn syscall(insn: &Insn, bytes: &[u8], out: &mut Emitter) {
    const OPCODE: usize = 2;
    let next = insn.next();
    let prefixes = bytes.len().saturating_sub(OPCODE);
    if prefixes > 0 {
        out.mark_at(prefixes, insn.addr().wrapping_add(prefixes as u64), Undo::EXACT);
    }
    out.raw(bytes);
    out.mark(next, Undo { set: Some((Reg::Rcx, next.get())), ..Undo::EXACT });
    out.load_constant(Scratch::Rcx, next.get());
    out.go_on(next);
}

/// The target of a direct branch; `None` for one through a register or memory.
fn direct_target(insn: &Insn, bytes: &[u8]) -> Result<Option<VirtAddr>, Refusal> {
    if insn.raw.op0_kind() == OpKind::NearBranch16 || is_narrow(bytes) {
        return Err(Refusal::NarrowBranch);
    }
    Ok(insn.branch_target())
}

/// Whether a branch has an operand size of 16 bits: Intel's processors ignore
/// it, AMD's do not (APM volume 3, near branches in 64-bit mode). `REX.W`,
/// which must stand last, overrides it; linkers pad calls that way.
fn is_narrow(bytes: &[u8]) -> bool {
    let opcode = bytes.iter().position(|&byte| !is_prefix(byte)).unwrap_or(bytes.len());
    let prefixes = &bytes[..opcode];
    let wide = matches!(prefixes.last(), Some(0x48..=0x4f));
    prefixes.contains(&0x66) && !wide
}

/// Whether a byte before an opcode is a prefix. Intel SDM volume 2, section
/// 2.1.1, and REX.
fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}
