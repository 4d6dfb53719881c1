//! Runs the DWARF expressions of call frame rules on a live frame.

use gimli::{EvaluationResult, Expression, Value};
use trapline_core::memory::ReadMemory;
use trapline_core::x64::Reg;
use trapline_core::{ImageAddr, LoadBias, VirtAddr};

use super::cfi::Slice;
use super::{FrameRegisters, UnwindError};

/// More steps than any real rule takes; a loop in a damaged one ends here.
const MAX_STEPS: u32 = 10_000;

/// What an expression may ask about.
#[derive(Clone, Copy)]
pub(super) struct Live<'a> {
    pub(super) registers: &'a FrameRegisters,
    pub(super) bias: LoadBias,
    pub(super) memory: &'a dyn ReadMemory,
}

/// The number an expression computes. `initial` is on the stack at the start:
/// rules for registers begin with the canonical frame address (DWARF 5
/// section 6.4.2.3).
pub(super) fn evaluate(
    expression: Expression<Slice<'_>>,
    encoding: gimli::Encoding,
    initial: Option<u64>,
    live: Live<'_>,
) -> Result<u64, UnwindError> {
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(MAX_STEPS);
    if let Some(value) = initial {
        evaluation.set_initial_value(value);
    }
    let mut state = evaluation.evaluate()?;
    loop {
        state = match state {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresMemory { address, size, space: None, .. } => {
                let value = read_sized(live.memory, address, size)?;
                evaluation.resume_with_memory(Value::Generic(value))?
            }
            EvaluationResult::RequiresRegister { register, .. } => {
                let reg = Reg::from_dwarf(register.0)
                    .ok_or_else(|| malformed("an expression reads an odd register"))?;
                let value = live.registers.known(reg)?;
                evaluation.resume_with_register(Value::Generic(value))?
            }
            EvaluationResult::RequiresRelocatedAddress(address) => {
                let loaded = live.bias.to_virt(ImageAddr::new(address));
                evaluation.resume_with_relocated_address(loaded.get())?
            }
            _ => return Err(malformed("an expression asks for what a rule cannot have")),
        };
    }
    match evaluation.value_result() {
        Some(value) => Ok(value.to_u64(u64::MAX)?),
        None => address_result(evaluation.as_result()),
    }
}

fn address_result(pieces: &[gimli::Piece<Slice<'_>>]) -> Result<u64, UnwindError> {
    match pieces {
        [gimli::Piece { location: gimli::Location::Address { address }, .. }] => Ok(*address),
        _ => Err(malformed("an expression yields no address")),
    }
}

fn read_sized(memory: &dyn ReadMemory, address: u64, size: u8) -> Result<u64, UnwindError> {
    let mut bytes = [0; 8];
    let wanted = bytes
        .get_mut(..usize::from(size))
        .ok_or_else(|| malformed("an expression reads more than 8 bytes"))?;
    memory.read_exact(VirtAddr::new(address), wanted)?;
    Ok(u64::from_le_bytes(bytes))
}

fn malformed(what: &str) -> UnwindError {
    UnwindError::Malformed(what.to_owned())
}
