//! The types of words on a DWARF stack, which core's programs do not have.
//!
//! DWARF 5 section 2.5.1: an operation on typed words works in that type. Core
//! works in 64 bits, so a typed word is kept extended to 64 bits by its own
//! signedness, and is extended again after every operation.

use gimli::constants as dw;
use gimli::{AttributeValue, UnitOffset};
use trapline_core::location::{BinaryOp, Op, Program};

use super::Scene;
use crate::units::DieRef;

/// The type of one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// An address-sized integer of no signedness.
    Generic,
    /// An integer of a base type.
    Int { bits: u8, signed: bool },
}

const TOP_BIT: u64 = 1 << 63;

impl Word {
    /// The type at an offset of the unit; zero stands for the generic type.
    pub(super) fn of_type(scene: Scene<'_>, offset: UnitOffset) -> Result<Self, String> {
        if offset.0 == 0 {
            return Ok(Self::Generic);
        }
        let entry = scene
            .unit
            .and_then(|(units, unit)| units.entry(DieRef { unit, offset }))
            .filter(|entry| entry.tag() == dw::DW_TAG_base_type)
            .ok_or("malformed location description: a type that is no base type")?;
        let size = entry.attr_value(dw::DW_AT_byte_size).and_then(|value| value.udata_value());
        let bits = match size {
            Some(size @ 1..=8) => size as u8 * 8,
            _ => return Err("its location computes with wide numbers".to_owned()),
        };
        let Some(AttributeValue::Encoding(encoding)) = entry.attr_value(dw::DW_AT_encoding) else {
            return Err("malformed location description: a base type without encoding".to_owned());
        };
        match encoding {
            dw::DW_ATE_signed | dw::DW_ATE_signed_char => Ok(Self::Int { bits, signed: true }),
            dw::DW_ATE_unsigned
            | dw::DW_ATE_unsigned_char
            | dw::DW_ATE_boolean
            | dw::DW_ATE_UTF
            | dw::DW_ATE_address => Ok(Self::Int { bits, signed: false }),
            _ => Err("its location computes with floating-point numbers".to_owned()),
        }
    }

    /// Makes the top word, of any width, one of this type.
    pub(super) fn extend_top(self, program: &mut Program) {
        match self {
            Self::Int { bits, signed } if bits < 64 => extend(program, bits, signed),
            _ => {}
        }
    }

    /// Prepares the two top words of this type for `op`, whose core meaning is
    /// the generic one.
    pub(super) fn prepare(self, op: BinaryOp, program: &mut Program) -> Result<(), String> {
        let Self::Int { bits, signed } = self else { return Ok(()) };
        match op {
            BinaryOp::Shr if signed => under_top(program, |under| extend(under, bits, false)),
            BinaryOp::Shra if !signed => under_top(program, |under| extend(under, bits, true)),
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge if self.is_u64() => {
                under_top(program, flip_top_bit);
                flip_top_bit(program);
            }
            BinaryOp::Div if self.is_u64() => {
                return Err("its location divides unsigned 64-bit numbers".to_owned());
            }
            BinaryOp::Mod if signed => {
                return Err("its location takes a remainder of signed numbers".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn is_u64(self) -> bool {
        self == Self::Int { bits: 64, signed: false }
    }
}

fn extend(program: &mut Program, bits: u8, signed: bool) {
    if bits >= 64 {
        return;
    }
    if signed {
        let spare = Op::Const(64 - u64::from(bits));
        program.extend([spare, Op::Binary(BinaryOp::Shl), spare, Op::Binary(BinaryOp::Shra)]);
    } else {
        program.extend([Op::Const((1 << bits) - 1), Op::Binary(BinaryOp::And)]);
    }
}

fn flip_top_bit(program: &mut Program) {
    program.extend([Op::Const(TOP_BIT), Op::Binary(BinaryOp::Xor)]);
}

fn under_top(program: &mut Program, change: impl FnOnce(&mut Program)) {
    program.push(Op::Swap);
    change(program);
    program.push(Op::Swap);
}
