//! Lengths of arrays that only a frame knows. DWARF 5 sections 2.19 and 5.13.

use gimli::AttributeValue;
use gimli::constants as dw;
use trapline_core::ImageAddr;
use trapline_core::location::{BinaryOp, Op, Place, Program};

use super::locals::doing;
use super::place_of;
use crate::location::{self, Scene};
use crate::types::die::Die;
use crate::types::die_of;
use crate::types::scalar::has_signed_type;
use crate::types::size::{byte_size, lower_bound};
use crate::units::Value;
use crate::{Image, PcKind};

const NOT_UNDERSTOOD: &str = "the array's length is said in a way beyond this reader";

impl Image {
    /// Computes how many elements an array has in a frame at `pc`: that of a
    /// [`trapline_core::types::Count::Computed`]. The error is a sentence.
    pub fn array_length_at(
        &self,
        range: u64,
        pc: ImageAddr,
        kind: PcKind,
    ) -> Result<Program, String> {
        let range = die_of(range).and_then(|at| Die::open(self.units(), at));
        let range =
            range.ok_or("corrupt debug information: an array's length refers to nothing")?;
        let pc = kind.lookup(pc);
        let function = self.function_entry_at(pc).ok_or("no function is here")?;
        self.in_scene(&function, pc, doing(&function, kind), |scene| {
            let unit = Some((self.units(), range.at.unit));
            let scene = Scene { unit, encoding: range.unit.encoding(), ..scene };
            length(&range, pc.get(), scene)
        })
    }
}

fn length(range: &Die<'_>, pc: u64, scene: Scene<'_>) -> Result<Program, String> {
    if let Some(count) = range.value(dw::DW_AT_count) {
        return number(range, count, dw::DW_AT_count, pc, scene);
    }
    let upper = range.value(dw::DW_AT_upper_bound).ok_or(NOT_UNDERSTOOD)?;
    let mut program = number(range, upper, dw::DW_AT_upper_bound, pc, scene)?;
    let first = i64::try_from(lower_bound(range)).map_err(|_| NOT_UNDERSTOOD)?;
    let more = 1_i64.wrapping_sub(first).cast_unsigned();
    program.extend([Op::Const(more), Op::Binary(BinaryOp::Add)]);
    Ok(program)
}

/// What an expression yields, or what a variable holds.
fn number(
    range: &Die<'_>,
    value: Value,
    attribute: gimli::DwAt,
    pc: u64,
    scene: Scene<'_>,
) -> Result<Program, String> {
    if matches!(value, AttributeValue::Exprloc(_) | AttributeValue::LocationListsRef(_)) {
        return match location::lower_attribute(value, Some(pc), scene) {
            Place::Memory(program) | Place::Value(program) => Ok(program),
            other => Err(why_not(other)),
        };
    }
    let variable = range.follow(attribute).ok_or(NOT_UNDERSTOOD)?;
    let ty = variable.inherited(|die| Die::open(die.units, die.type_reference()?));
    let size = ty.as_ref().and_then(byte_size).and_then(|size| u8::try_from(size).ok());
    let size = size.filter(|size| (1..=8).contains(size)).ok_or(NOT_UNDERSTOOD)?;
    let mut program = match place_of(&variable, Some(pc), scene) {
        Place::Memory(mut program) => {
            program.push(Op::Deref { size });
            program
        }
        Place::Value(program) => program,
        Place::Register(reg) if reg.general_index().is_some() => vec![Op::RegOffset(reg, 0)],
        other => return Err(why_not(other)),
    };
    let shift = Op::Const(64 - u64::from(size) * 8);
    let back = if has_signed_type(&variable) { BinaryOp::Shra } else { BinaryOp::Shr };
    program.extend([shift, Op::Binary(BinaryOp::Shl), shift, Op::Binary(back)]);
    Ok(program)
}

fn why_not(place: Place) -> String {
    match place {
        Place::Unavailable(why) => format!("the array's length is not available: {why}"),
        _ => NOT_UNDERSTOOD.to_owned(),
    }
}
