//! Variables: what is visible at a place in the code, and what is visible
//! everywhere.
//!
//! Where a variable lives is lowered by `location`; what names mean in an
//! expression, and in which order scopes are searched, is left to the engine.

mod call_sites;
mod globals;
mod lengths;
mod locals;
mod statics;

use gimli::AttributeValue;
use gimli::constants as dw;
use trapline_core::ImageAddr;
use trapline_core::location::{Op, Place};
use trapline_core::types::TypeLink;

use crate::location::{self, OPTIMIZED_OUT, Scene};
use crate::types::die::Die;
use crate::types::scalar::constant;

pub use call_sites::{CallSite, Callee, TailCall};
pub use globals::Global;
pub(crate) use locals::is_inside;
pub use locals::{FunctionResult, Passing};
pub use statics::{StaticMemberName, StaticMemberPlace};

/// What a variable is to its function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VariableKind {
    /// A parameter.
    Argument,
    /// Any other, static ones included.
    Local,
}

/// A variable visible at a place in the code.
#[derive(Clone, PartialEq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Argument or local.
    pub kind: VariableKind,
    /// Its type.
    pub ty: TypeLink,
    /// Where it is, at the place asked about; [`Op::Address`] is not relocated.
    pub place: Place,
    /// How far inside its scope is: 0 for the function's own, one more for
    /// each block or inlined call within.
    pub scope_depth: u32,
    /// How many inlined calls the scope is inside of; 0 for the function
    /// itself.
    pub inline_depth: u32,
    /// The code of its scope, half-open ranges.
    pub scope: Vec<(ImageAddr, ImageAddr)>,
    /// The line that declares it.
    pub decl_line: Option<u32>,
    /// Whether the compiler made it (`this`, a coroutine's state).
    pub artificial: bool,
}

/// Where a variable is: its location, else its constant value.
pub(crate) fn place_of(die: &Die<'_>, pc: Option<u64>, scene: Scene<'_>) -> Place {
    if let Some(value) = die.value(dw::DW_AT_location) {
        return match location::lower_attribute(value, pc, scene) {
            // Linkers leave a zero for what they left out (`--gc-sections`).
            Place::Memory(program) if program[..] == [Op::Address(ImageAddr::new(0))] => {
                location::unavailable("the linker left it out of the program")
            }
            place => place,
        };
    }
    match die.inherited(|die| die.value(dw::DW_AT_const_value)) {
        Some(AttributeValue::Block(bytes)) => Place::Bytes(bytes.slice().to_vec()),
        Some(text @ (AttributeValue::String(_) | AttributeValue::DebugStrRef(_))) => {
            match die.unit.attr_string(text) {
                // The zero at its end belongs to the value, and not to the form.
                Ok(bytes) => Place::Bytes([bytes.slice(), b"\0"].concat()),
                Err(_) => location::unavailable("its value is outside of debug information"),
            }
        }
        Some(value) => constant_place(constant(value)),
        None => location::unavailable(OPTIMIZED_OUT),
    }
}

fn constant_place(value: Option<i128>) -> Place {
    match value {
        Some(value) => match i64::try_from(value) {
            Ok(word) => Place::Value(vec![Op::Const(word.cast_unsigned())]),
            Err(_) => Place::Bytes(value.to_le_bytes().to_vec()),
        },
        None => location::unavailable("its constant value is in a form beyond this reader"),
    }
}

fn decl_line(die: &Die<'_>) -> Option<u32> {
    die.inherited(|die| die.number(dw::DW_AT_decl_line)).and_then(|line| u32::try_from(line).ok())
}
