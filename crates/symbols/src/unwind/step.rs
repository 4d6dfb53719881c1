//! One step up the stack by call frame information.

use trapline_core::location::{Op, Program};
use trapline_core::memory::ReadMemory;
use trapline_core::x64::Reg;
use trapline_core::{ImageAddr, LoadBias};

use super::cfi::{Cfa, Cfi, Row, Rule};
use super::evaluate::{Live, evaluate};
use super::{FrameRegisters, PcKind, UnwindError, Unwound, finish, word};
use crate::location;

/// The registers a callee leaves as it found them. System V ABI AMD64,
/// figure 3.4; `rsp` follows from the frame address.
const PRESERVED: [Reg; 6] = [Reg::Rbx, Reg::Rbp, Reg::R12, Reg::R13, Reg::R14, Reg::R15];

impl Cfi<'_> {
    /// The caller of a frame; `None` when the rules say that there is none.
    pub(crate) fn unwind(
        &self,
        pc: ImageAddr,
        kind: PcKind,
        bias: LoadBias,
        registers: &FrameRegisters,
        memory: &dyn ReadMemory,
    ) -> Result<Option<Unwound>, UnwindError> {
        let at = kind.lookup(pc);
        let row = self.row(at)?.ok_or(UnwindError::NoCfi(pc))?;
        apply(&row, Live { registers, bias, memory })
    }
}

fn apply(row: &Row<'_>, live: Live<'_>) -> Result<Option<Unwound>, UnwindError> {
    let cfa = match row.cfa {
        Cfa::Register(reg, offset) => live.registers.known(reg)?.wrapping_add_signed(offset),
        Cfa::Expression(expression) => evaluate(expression, row.encoding, None, live)?,
    };
    let mut caller = FrameRegisters::default();
    for (reg, untouched) in Reg::general().zip(&mut caller.untouched) {
        *untouched = live.registers.if_untouched(reg);
    }
    for reg in PRESERVED {
        caller.set(reg, live.registers.get(reg));
    }
    caller.set(Reg::Rsp, Some(cfa));
    for &(reg, rule) in &row.registers {
        caller.set(reg, recover(reg, rule, cfa, row, live)?);
    }
    let Some(return_address) = caller.get(row.return_address) else { return Ok(None) };
    caller.set(Reg::Rip, Some(return_address));
    let unwound = Unwound { registers: caller, cfa, signal_frame: row.signal_frame, guess: false };
    finish(live.registers, unwound)
}

fn recover(
    reg: Reg,
    rule: Rule<'_>,
    cfa: u64,
    row: &Row<'_>,
    live: Live<'_>,
) -> Result<Option<u64>, UnwindError> {
    Ok(match rule {
        Rule::Undefined => None,
        Rule::SameValue => live.registers.get(reg),
        Rule::Register(other) => live.registers.get(other),
        Rule::Offset(offset) => Some(word(live.memory, cfa.wrapping_add_signed(offset))?),
        Rule::ValOffset(offset) => Some(cfa.wrapping_add_signed(offset)),
        Rule::Expression(expression) => {
            let address = evaluate(expression, row.encoding, Some(cfa), live)?;
            Some(word(live.memory, address)?)
        }
        Rule::ValExpression(expression) => {
            Some(evaluate(expression, row.encoding, Some(cfa), live)?)
        }
    })
}

/// The rule for the canonical frame address at a place, as a program; `None`
/// where there is no rule or the rule cannot be said as one.
pub(crate) fn cfa_program(cfi: &Cfi<'static>, pc: ImageAddr) -> Option<Program> {
    let row = cfi.row(pc).ok().flatten()?;
    match row.cfa {
        Cfa::Register(reg, offset) => Some(vec![Op::RegOffset(reg, offset)]),
        Cfa::Expression(expression) => location::address_program(expression, row.encoding),
    }
}
