//! Registers of stopped threads: read once per stop, written back once before
//! the thread runs; and the debug registers.

use trapline_core::Tid;
use trapline_core::target::{Result, Stopped, TargetError};
use trapline_core::x64::debug::{DebugRegisters, DebugStatus, SLOTS};
use trapline_core::x64::{Registers, VectorState};

use super::sys::{self, Sys, debug_register_offset};
use super::threads::Thread;
use super::{LinuxTarget, failed};
use crate::layout::registers as layout;
use crate::layout::restart;

/// The index of the debug status register.
const DR6: usize = 6;
/// The index of the debug control register.
const DR7: usize = 7;

/// `orig_rax` of a thread that is in no system call.
const NO_CALL: u64 = u64::MAX;

impl LinuxTarget {
    pub(super) fn read_registers(&mut self, proof: &Stopped) -> Result<Registers> {
        let thread = self.require(proof)?;
        cached(proof.tid(), thread).map_err(|errno| failed("read the registers", errno))
    }

    /// A thread that is sent elsewhere out of an interrupted system call must
    /// not start that call over: the kernel would move its new pc back by the
    /// length of the `syscall` instruction. So a changed pc ends the call,
    /// unless `orig_rax` is changed as well (as when all is put back).
    pub(super) fn change_registers(&mut self, proof: &Stopped, to: &Registers) -> Result<()> {
        let thread = self.require(proof)?;
        let now =
            cached(proof.tid(), thread).map_err(|errno| failed("read the registers", errno))?;
        let mut to = *to;
        if to.rip != now.rip && to.orig_rax == now.orig_rax {
            to.orig_rax = NO_CALL;
        }
        self.keep_registers(proof, &to)
    }

    /// Keeps registers for the moment when the thread runs, as they are.
    pub(super) fn keep_registers(&mut self, proof: &Stopped, to: &Registers) -> Result<()> {
        let thread = self.require(proof)?;
        let now =
            cached(proof.tid(), thread).map_err(|errno| failed("read the registers", errno))?;
        thread.registers_changed |= *to != now;
        thread.registers = Some(*to);
        Ok(())
    }

    pub(super) fn read_vector_state(&mut self, proof: &Stopped) -> Result<VectorState> {
        self.require(proof)?;
        let area = sys::fxsave(proof.tid().get())
            .map_err(|errno| failed("read the vector registers", errno))?;
        Ok(layout::vector_from_fxsave(&area))
    }

    pub(super) fn change_vector_state(&mut self, proof: &Stopped, to: &VectorState) -> Result<()> {
        self.require(proof)?;
        let tid = proof.tid().get();
        sys::fxsave(tid)
            .and_then(|mut area| {
                layout::vector_into_fxsave(to, &mut area);
                sys::set_fxsave(tid, &area)
            })
            .map_err(|errno| failed("change the vector registers", errno))
    }

    pub(super) fn arm_debug_registers(
        &mut self,
        proof: &Stopped,
        to: &DebugRegisters,
    ) -> Result<()> {
        let tid = proof.tid();
        let thread = self.require(proof)?;
        if thread.armed == *to {
            return Ok(());
        }
        match arm(tid, to) {
            Ok(()) => {
                thread.armed = *to;
                Ok(())
            }
            Err(errno) => {
                thread.armed = DebugRegisters::default();
                // Whatever was written before the refusal is taken back; a
                // thread that died needs none of it.
                let _gone = arm(tid, &DebugRegisters::default());
                match failed("use the debug registers", errno) {
                    TargetError::Refused { what, why } => Err(TargetError::Refused {
                        what,
                        why: format!("the kernel refused {} ({why})", describe(to)),
                    }),
                    other => Err(other),
                }
            }
        }
    }
}

/// What was asked, for the message of a refusal.
fn describe(registers: &DebugRegisters) -> String {
    let slot = |slot: &trapline_core::x64::debug::Slot| {
        format!("{:?} of {} bytes at {}", slot.kind, slot.len, slot.addr)
    };
    registers.slots.iter().flatten().map(slot).collect::<Vec<_>>().join(", ")
}

/// Addresses can only change while their slot is off, and a control register
/// that names a bad address is refused; so: all off, addresses, all on.
fn arm(tid: Tid, to: &DebugRegisters) -> Sys<()> {
    let poke = |index, value| sys::poke_user(tid.get(), debug_register_offset(index), value);
    poke(DR7, 0)?;
    for (index, address) in to.addresses().into_iter().enumerate().take(SLOTS) {
        if to.slots[index].is_some() {
            poke(index, address)?;
        }
    }
    poke(DR6, 0)?;
    match to.dr7() {
        0 => Ok(()),
        dr7 => poke(DR7, dr7),
    }
}

/// Turns the debug registers off, where any is in use.
pub(super) fn disarm(tid: Tid, thread: &mut Thread) -> Sys<()> {
    if thread.armed != DebugRegisters::default() {
        arm(tid, &DebugRegisters::default())?;
        thread.armed = DebugRegisters::default();
    }
    Ok(())
}

/// Reads the debug status and clears it.
pub(super) fn take_debug_status(tid: Tid) -> Sys<DebugStatus> {
    let dr6 = sys::peek_user(tid.get(), debug_register_offset(DR6))?;
    sys::poke_user(tid.get(), debug_register_offset(DR6), 0)?;
    Ok(DebugStatus::from_dr6(dr6))
}

/// The registers as the kernel has them.
pub(super) fn read(tid: Tid) -> Sys<Registers> {
    Ok(layout::from_words(&sys::registers(tid.get())?))
}

/// The registers as they will be when the thread runs.
pub(super) fn cached(tid: Tid, thread: &mut Thread) -> Sys<Registers> {
    if let Some(registers) = thread.registers {
        return Ok(registers);
    }
    let registers = read(tid)?;
    thread.registers = Some(registers);
    Ok(registers)
}

/// Gives changed registers to the kernel.
pub(super) fn flush(tid: Tid, thread: &mut Thread) -> Sys<()> {
    if let Some(registers) = thread.registers.take()
        && thread.registers_changed
    {
        sys::set_registers(tid.get(), &layout::to_words(&registers))?;
    }
    thread.registers_changed = false;
    Ok(())
}

/// Keeps our stop from reaching the program as `EINTR`. Returns the registers
/// as they are then.
pub(super) fn restart_interrupted_call(tid: Tid) -> Sys<Registers> {
    let mut registers = read(tid)?;
    if let Some(rax) = restart::restarted_rax(&registers) {
        registers.general[0] = rax;
        sys::set_registers(tid.get(), &layout::to_words(&registers))?;
    }
    Ok(registers)
}
