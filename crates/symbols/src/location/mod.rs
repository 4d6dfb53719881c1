//! Lowering DWARF location descriptions to [`trapline_core::location`].
//!
//! [`Scene`] is what a description may refer to: its unit, the frame's base
//! and canonical frame address. Which description belongs to what variable is
//! left to `variables`; running the result is core's.

mod lower;
#[cfg(test)]
mod tests;
mod word;

use gimli::constants as dw;
use gimli::{AttributeValue, Expression};
use trapline_core::ModuleId;
use trapline_core::location::{Op, Place, Program};
use trapline_core::x64::Reg;

use crate::units::{DieRef, Entry, Slice, UnitId, UnitRef, Units, Value};

/// Why a variable has no place where its compiler says nothing.
pub(crate) const OPTIMIZED_OUT: &str = "optimized out";

/// What a location description may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The unit it stands in.
    pub(crate) unit: Option<(&'a Units, UnitId)>,
    pub(crate) encoding: gimli::Encoding,
    /// Whose thread-local storage it means.
    pub(crate) module: ModuleId,
    /// Computes the canonical frame address.
    pub(crate) cfa: Option<&'a Program>,
    /// Computes the frame base.
    pub(crate) frame_base: Option<&'a Program>,
    /// What the frame is doing.
    pub(crate) doing: Doing,
    /// How many pointers that are nowhere lead to what is described.
    pub(crate) behind: u32,
}

/// What a frame is doing at the place where a description is to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    /// It is about to run an instruction.
    Running,
    /// It waits for a call to return.
    Calling {
        /// Whether its compiler ends what it says of a register that the call
        /// changes within the call, as gcc does, and not behind it.
        ends_within: bool,
    },
}

/// What a description is to hold over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holds {
    /// The place where the frame stands.
    Here,
    /// A call, up to where that returns to.
    OverCall,
    /// A call's beginning alone: what the callee may change means nothing.
    UntilCall,
}

/// Lowers the value of a `DW_AT_location` or the like, as it holds at `pc`
/// (`None` for what does not depend on a place in the code).
pub(crate) fn lower_attribute(value: Value, pc: Option<u64>, scene: Scene<'_>) -> Place {
    let unit = scene.unit.and_then(|(units, id)| units.unit(id));
    let Some(unit) = unit else {
        return unavailable("its location is outside of readable debug information");
    };
    match expression_at(unit, value, pc) {
        Ok(Some((expression, range))) => {
            lower::lower(expression, scene, holds(scene.doing, pc, range), pc)
        }
        Ok(None) => unavailable(OPTIMIZED_OUT),
        Err(error) => unavailable(&format!("its location list is malformed: {error}")),
    }
}

/// The program that computes a function's frame base at `pc`; `None` where
/// there is none or it is beyond this reader.
pub(crate) fn frame_base(
    units: &Units,
    function: DieRef,
    entry: &Entry,
    pc: u64,
    scene: Scene<'_>,
) -> Option<Program> {
    let value = entry.attr_value(dw::DW_AT_frame_base)?;
    let unit = units.unit(function.unit)?;
    let (expression, _) = expression_at(unit, value, Some(pc)).ok().flatten()?;
    match lower::lower(expression, scene, Holds::Here, Some(pc)) {
        // "The frame base is in this register" means its value.
        Place::Register(reg) => Some(vec![Op::RegOffset(reg, 0)]),
        Place::Memory(program) | Place::Value(program) => Some(program),
        Place::Bytes(_) | Place::Pieces(_) | Place::Pointer(_) | Place::Unavailable(_) => None,
    }
}

/// Lowers an expression of call frame information, which yields an address
/// and refers to nothing but registers and memory.
pub(crate) fn address_program(
    expression: Expression<Slice>,
    encoding: gimli::Encoding,
) -> Option<Program> {
    let scene = Scene {
        unit: None,
        encoding,
        module: ModuleId::new(0),
        cfa: None,
        frame_base: None,
        doing: Doing::Running,
        behind: 0,
    };
    match lower::lower(expression, scene, Holds::Here, None) {
        Place::Memory(program) => Some(program),
        _ => None,
    }
}

/// A frame that has made a call is looked up within the call instruction. Of a
/// register that the callee may change, gcc says nothing there any more, so that
/// what it says holds; others end what they say behind the call, changed or not,
/// so that it holds for certain only where it goes on there (seen in what gcc 12
/// and clang 19 make of `debuggees/many_locals.c`).
fn holds(doing: Doing, pc: Option<u64>, range: Option<gimli::Range>) -> Holds {
    match (doing, pc, range) {
        (Doing::Running, ..) | (_, None, _) => Holds::Here,
        (Doing::Calling { ends_within: false }, Some(pc), Some(range)) if range.end - pc == 1 => {
            Holds::UntilCall
        }
        (Doing::Calling { .. }, ..) => Holds::OverCall,
    }
}

/// A description, and where it holds when that is not everywhere.
fn expression_at(
    unit: UnitRef<'_>,
    value: Value,
    pc: Option<u64>,
) -> gimli::Result<Option<(Expression<Slice>, Option<gimli::Range>)>> {
    if let AttributeValue::Exprloc(expression) = value {
        return Ok(Some((expression, None)));
    }
    let (Some(pc), Some(mut list)) = (pc, unit.attr_locations(value)?) else { return Ok(None) };
    while let Some(entry) = list.next()? {
        if entry.range.begin <= pc && pc < entry.range.end {
            return Ok(Some((entry.data, Some(entry.range))));
        }
    }
    Ok(None)
}

pub(crate) fn unavailable(why: &str) -> Place {
    Place::Unavailable(why.to_owned())
}

/// Whether a register is one that a function may leave changed. System V ABI
/// AMD64, figure 3.4.
fn is_lost_in_calls(reg: Reg) -> bool {
    const LOST: [Reg; 9] =
        [Reg::Rax, Reg::Rcx, Reg::Rdx, Reg::Rsi, Reg::Rdi, Reg::R8, Reg::R9, Reg::R10, Reg::R11];
    LOST.contains(&reg)
}

/// Whether a register can serve in a program of 64-bit words.
fn is_word(reg: Reg) -> bool {
    reg.general_index().is_some() || matches!(reg, Reg::Rip | Reg::FsBase | Reg::GsBase)
}
