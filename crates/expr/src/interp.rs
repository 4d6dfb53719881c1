//! The reference meaning of a [`Program`]: runs it against a stopped thread.
//!
//! It runs at every pass of a place with a condition, so a condition over
//! scalars allocates nothing and reads memory once per operand.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::location::{self, Frame, LocationError, Place};
use trapline_core::memory::Unreadable;
use trapline_core::types::{Type, TypeLink};
use trapline_core::x64::{RegClass, RegView};

use crate::ir::{Extended, Input, Load, Missing, NodeId, Object, Op, Program, Sort, Target};
use crate::limits;
use crate::value::{Bytes, Value, ValuePlace};

mod extended;
mod fetch;
pub(crate) mod number;
pub use number::take_bits_in_place;
pub(crate) use number::x87;
mod text;

/// What an expression is evaluated against: a frame of a stopped thread and
/// what the debugger knows besides.
pub trait Machine: Frame {
    /// The bytes of `xmm0` to `xmm15`; the error is a sentence.
    ///
    /// # Errors
    /// The register is not known in this frame.
    fn vector_register(&self, index: u8) -> Result<[u8; 16], String>;

    /// What the debugger knows; the error is a sentence.
    ///
    /// # Errors
    /// It does not know.
    fn input(&mut self, input: Input) -> Result<InputValue, String>;

    /// Keeps `bytes` in a slot of the place's own and says whether they differ
    /// from those kept before; the first ones do not differ.
    fn changed(&mut self, slot: usize, bytes: &[u8]) -> bool;

    /// Changes memory; only called by programs that assign.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn write_memory(&mut self, address: VirtAddr, _bytes: &[u8]) -> Result<(), String> {
        Err(format!("memory at {address} cannot be changed from here"))
    }

    /// Changes a register or a part of it; only called by programs that assign.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn write_register(&mut self, view: RegView, _bytes: &[u8]) -> Result<(), String> {
        Err(format!("register {} cannot be changed from here", view.reg))
    }
}

/// What an [`Input`] is at one pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InputValue {
    /// A number; cut to the input's own width.
    Number(u64),
    /// A text.
    Text(Arc<str>),
}

/// Why an expression has no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvalError {
    /// The subexpression that has none, as the user wrote it.
    pub text: String,
    /// Its bytes in the source.
    pub span: Range<usize>,
    /// What happened.
    pub fault: Fault,
}

/// What can happen while an expression is evaluated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It reads memory that is not there.
    Unreadable(Unreadable),
    /// It divides by zero.
    DivisionByZero,
    /// The value is nowhere in this frame; a sentence or phrase says why
    /// ("optimized out").
    Unavailable(String),
    /// There is nothing where an element or a part was asked for; a phrase
    /// says why.
    Missing(String),
    /// A register or an input is not known here; a sentence.
    Unknown(String),
    /// The debug information is corrupt.
    Malformed(&'static str),
    /// The value has more bytes than anyone wants to look at.
    TooLarge(u64),
    /// `first@count` with a count below one.
    BadCount(i64),
    /// The target did not accept an assignment; a sentence.
    Refused(String),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &self.fault {
            Fault::Unreadable(error) => write!(f, "cannot read {text}: {error}"),
            Fault::DivisionByZero => write!(f, "division by zero in {text}"),
            Fault::Missing(why) => write!(f, "{text} is not there: {why}"),
            Fault::Unavailable(why) => write!(f, "{text} is not available: {why}"),
            Fault::Unknown(why) => write!(f, "cannot evaluate {text}: {why}"),
            Fault::Malformed(what) => {
                write!(f, "cannot evaluate {text}: malformed location description: {what}")
            }
            Fault::TooLarge(size) => write!(f, "{text} is too large to read: {size} bytes"),
            Fault::BadCount(count) => {
                write!(f, "{text} has an invalid number of elements: {count}")
            }
            Fault::Refused(why) => write!(f, "cannot set {text}: {why}"),
        }
    }
}

impl std::error::Error for EvalError {}

impl From<Unreadable> for Fault {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl From<LocationError> for Fault {
    fn from(error: LocationError) -> Self {
        match error {
            LocationError::Unreadable(error) => Self::Unreadable(error),
            LocationError::Unknown(why) => Self::Unknown(why),
            LocationError::Malformed(what) => Self::Malformed(what),
        }
    }
}

/// The value of an expression.
///
/// # Errors
/// Which part of it has none, and why.
pub fn evaluate(program: &Program, machine: &mut dyn Machine) -> Result<Value, EvalError> {
    let mut run = Run { program, machine };
    let mut holes = fetch::Holes::default();
    let (bytes, place) = match &program.object {
        Object::Repeated { address, size, count } => {
            return run.repeated(*address, *size, *count);
        }
        Object::Stored { place, offset, size, given } if let Place::Pieces(pieces) = &**place => {
            run.given(*given)?;
            let mut bytes = Bytes::zeroed(run.size(*size)?);
            let known = fetch::known_pieces(pieces, *offset, bytes.as_mut(), &*run.machine);
            holes = known.map_err(|fault| run.fault_of_all(fault))?;
            (bytes, None)
        }
        Object::Stored { place, offset: 0, size, .. } if matches!(**place, Place::Pointer(_)) => {
            let bytes = Bytes::zeroed(run.size(*size)?);
            let all = 0..bytes.as_ref().len();
            holes = fetch::Holes { missing: vec![all.clone()], synthetic: vec![all] };
            (bytes, None)
        }
        object => run.object(object)?,
    };
    let ty = match &program.object {
        Object::Text(_) => crate::builtin::text(bytes.as_ref().len()),
        _ => program.ty.clone(),
    };
    let fetch::Holes { missing, synthetic } = holes;
    Ok(Value { ty, bytes, missing, synthetic, place })
}

/// Whether a condition holds. Allocates nothing for scalars.
///
/// # Errors
/// Which part of it has no value, and why.
pub fn condition(program: &Program, machine: &mut dyn Machine) -> Result<bool, EvalError> {
    let mut run = Run { program, machine };
    if let Object::Word(id) = program.object {
        return Ok(!number::is_zero(run.word(id)?, program.node(id).sort));
    }
    evaluate(program, machine).map(|value| program.is_true(&value))
}

/// Why nothing is computed with some numbers of ten bytes.
const TOO_WIDE: &str = "the number is out of the range of `double`, in which is computed; \
                        it can be printed and compared as it is";

/// A program being run.
struct Run<'a> {
    program: &'a Program,
    machine: &'a mut dyn Machine,
}

impl Run<'_> {
    /// Says which subexpression a fault is about.
    fn fault(&self, id: NodeId, fault: impl Into<Fault>) -> EvalError {
        let span = &self.program.node(id).span;
        let text = self.program.text_of(id).to_owned();
        EvalError { text, span: span.start as usize..span.end as usize, fault: fault.into() }
    }

    /// The same for the expression as a whole.
    fn fault_of_all(&self, fault: impl Into<Fault>) -> EvalError {
        let text = self.program.source.trim().to_owned();
        EvalError { text, span: 0..self.program.source.len(), fault: fault.into() }
    }

    /// The word of a node.
    fn word(&mut self, id: NodeId) -> Result<u64, EvalError> {
        let node = &self.program.nodes[id.index()];
        let sort = node.sort;
        match &node.op {
            Op::Const(word) => Ok(*word),
            Op::Input(input) => self.number(id, *input, sort),
            Op::RegOffset(reg, offset) => match self.machine.register(*reg) {
                Ok(base) => Ok(base.wrapping_add_signed(*offset)),
                Err(why) => Err(self.fault(id, Fault::Unknown(why))),
            },
            Op::Location(program) => {
                location::run(program, &*self.machine).map_err(|error| self.fault(id, error))
            }
            Op::Load { address, load } => self.load(id, *address, *load),
            Op::Stored { place, offset, load } => {
                let mut bytes = [0; 16];
                let wanted = &mut bytes[..load.size()];
                fetch::fetch(place, *offset, wanted, &*self.machine)
                    .map_err(|fault| self.fault(id, fault))?;
                self.decoded(id, *load, bytes)
            }
            Op::Bits { value, field } => Ok(number::take_bits(self.word(*value)?, *field, sort)),
            Op::WithBits { whole, value, field } => {
                let whole = self.word(*whole)?;
                Ok(number::put_bits(whole, self.word(*value)?, *field, sort))
            }
            Op::Convert(value) => {
                let from = self.program.node(*value).sort;
                Ok(number::convert(self.word(*value)?, from, sort))
            }
            Op::Displaced(pointer, by) => Ok(match self.word(*pointer)? {
                0 => 0,
                address => address.wrapping_add_signed(*by),
            }),
            Op::Negate(value) => Ok(number::negate(self.word(*value)?, sort)),
            Op::BitNot(value) => Ok(number::extend(!self.word(*value)?, sort)),
            Op::IsZero(value) => {
                let from = self.program.node(*value).sort;
                Ok(u64::from(number::is_zero(self.word(*value)?, from)))
            }
            Op::Arithmetic(op, a, b) => {
                let (a, b) = (self.word(*a)?, self.word(*b)?);
                number::arithmetic(*op, a, b, sort)
                    .ok_or_else(|| self.fault(id, Fault::DivisionByZero))
            }
            Op::Shift { left, value, count } => {
                let counted = self.program.node(*count).sort;
                let value = self.word(*value)?;
                Ok(number::shift(*left, value, sort, self.word(*count)?, counted))
            }
            Op::Compare(op, a, b) => {
                let from = self.program.node(*a).sort;
                let (a, b) = (self.word(*a)?, self.word(*b)?);
                Ok(u64::from(number::compare(*op, a, b, from)))
            }
            Op::CompareExtended(op, sides) => {
                let [a, b] = &**sides;
                let (a, b) = (self.extended(id, a)?, self.extended(id, b)?);
                Ok(u64::from(extended::Extended::compare(*op, a, b)))
            }
            Op::And(a, b) => {
                if self.word(*a)? == 0 {
                    Ok(0)
                } else {
                    self.word(*b)
                }
            }
            Op::Or(a, b) => {
                if self.word(*a)? != 0 {
                    Ok(1)
                } else {
                    self.word(*b)
                }
            }
            Op::Select(condition, a, b) => {
                let chosen = if self.word(*condition)? != 0 { *a } else { *b };
                self.word(chosen)
            }
            Op::Missing(missing) => {
                let why = self.missing(missing)?;
                Err(self.fault(id, Fault::Missing(why)))
            }
            Op::TextEqual(texts) => self.text_equal(id, texts).map(u64::from),
            Op::Changed { slot, object } => {
                let (bytes, _) = self.object(object)?;
                Ok(u64::from(self.machine.changed(*slot, bytes.as_ref())))
            }
            Op::Store { target, value } => self.store(id, target, *value),
        }
    }

    fn missing(&mut self, missing: &Missing) -> Result<String, EvalError> {
        match missing {
            Missing::Element { index, count } => {
                let (index, count) = (self.word(*index)?.cast_signed(), self.word(*count)?);
                Ok(format!("there is no element {index}: there are {count}"))
            }
            Missing::Part(why) => Ok(why.to_string()),
        }
    }

    fn number(&mut self, id: NodeId, input: Input, sort: Sort) -> Result<u64, EvalError> {
        match self.machine.input(input) {
            Ok(InputValue::Number(number)) => Ok(number::extend(number, sort)),
            Ok(InputValue::Text(_)) => {
                Err(self.fault(id, Fault::Unknown("it is a text here, not a number".to_owned())))
            }
            Err(why) => Err(self.fault(id, Fault::Unknown(why))),
        }
    }

    fn load(&mut self, id: NodeId, address: NodeId, load: Load) -> Result<u64, EvalError> {
        let address = VirtAddr::new(self.word(address)?);
        let mut bytes = [0; 16];
        self.machine
            .read_exact(address, &mut bytes[..load.size()])
            .map_err(|error| self.fault(id, error))?;
        self.decoded(id, load, bytes)
    }

    /// The word that the first bytes of a buffer are.
    fn decoded(&self, id: NodeId, load: Load, bytes: [u8; 16]) -> Result<u64, EvalError> {
        let (mantissa, rest) = number::x87_parts(bytes);
        if load == Load::X87 && extended::leaves_doubles(mantissa, rest) {
            return Err(self.fault(id, Fault::Unknown(TOO_WIDE.to_owned())));
        }
        Ok(number::decode(load, bytes))
    }

    fn extended(&mut self, id: NodeId, side: &Extended) -> Result<extended::Extended, EvalError> {
        let mut bytes = [0; 16];
        let wanted = &mut bytes[..Load::X87.size()];
        match side {
            Extended::Word(word) => {
                let sort = self.program.node(*word).sort;
                return Ok(extended::Extended::of_word(self.word(*word)?, sort));
            }
            Extended::Memory(address) => {
                let address = VirtAddr::new(self.word(*address)?);
                let read = self.machine.read_exact(address, wanted);
                read.map_err(|error| self.fault(id, error))?;
            }
            Extended::Stored { place, offset } => {
                fetch::fetch(place, *offset, wanted, &*self.machine)
                    .map_err(|fault| self.fault(id, fault))?;
            }
        }
        let (mantissa, rest) = number::x87_parts(bytes);
        Ok(extended::Extended::decode(mantissa, rest))
    }

    fn store(&mut self, id: NodeId, target: &Target, value: NodeId) -> Result<u64, EvalError> {
        let word = self.word(value)?;
        let bytes = word.to_le_bytes();
        let bytes = &bytes[..self.program.node(id).sort.size()];
        let written = match target {
            Target::Memory(address) => {
                let address = VirtAddr::new(self.word(*address)?);
                self.machine.write_memory(address, bytes)
            }
            Target::Register(view) => self.machine.write_register(*view, bytes),
        };
        written.map_err(|why| self.fault(id, Fault::Refused(why)))?;
        Ok(word)
    }

    /// The bytes of an object and where they are.
    fn object(&mut self, object: &Object) -> Result<(Bytes, Option<ValuePlace>), EvalError> {
        match object {
            Object::Word(id) => {
                let size = self.program.node(*id).sort.size();
                Ok((Bytes::new(&self.word(*id)?.to_le_bytes()[..size]), None))
            }
            Object::Memory { address, size, bits } => {
                let (mut bytes, start) = self.memory(*address, *size)?;
                if let Some((field, signed)) = bits {
                    number::take_bits_in_place(bytes.as_mut(), *field, *signed);
                }
                let bits = bits.map(|(field, _)| field);
                Ok((bytes, Some(ValuePlace::Memory { address: start, bits })))
            }
            Object::Stored { place, offset, size, given } => {
                self.given(*given)?;
                let mut bytes = Bytes::zeroed(self.size(*size)?);
                fetch::fetch(place, *offset, bytes.as_mut(), &*self.machine)
                    .map_err(|fault| self.fault_of_all(fault))?;
                Ok((bytes, register_place(place, *offset, *size)))
            }
            Object::Text(text) => Ok((Bytes::new(&self.text_bytes(text)?), None)),
            Object::Repeated { size, .. } => Err(self.fault_of_all(Fault::TooLarge(*size))),
        }
    }

    fn given(&mut self, given: Option<NodeId>) -> Result<(), EvalError> {
        given.map_or(Ok(()), |given| self.word(given).map(drop))
    }

    fn size(&self, size: u64) -> Result<usize, EvalError> {
        match usize::try_from(size) {
            Ok(len) if size <= limits::MAX_VALUE => Ok(len),
            _ => Err(self.fault_of_all(Fault::TooLarge(size))),
        }
    }

    fn memory(&mut self, address: NodeId, size: u64) -> Result<(Bytes, VirtAddr), EvalError> {
        let start = VirtAddr::new(self.word(address)?);
        let mut bytes = Bytes::zeroed(self.size(size)?);
        self.machine.read_exact(start, bytes.as_mut()).map_err(|error| self.fault_of_all(error))?;
        Ok((bytes, start))
    }

    fn repeated(&mut self, address: NodeId, size: u64, count: NodeId) -> Result<Value, EvalError> {
        let count = self.word(count)?.cast_signed();
        let elements = u64::try_from(count).ok().filter(|&count| count > 0);
        let elements = elements.ok_or_else(|| self.fault_of_all(Fault::BadCount(count)))?;
        let (bytes, start) = self.memory(address, size.saturating_mul(elements))?;
        let element = TypeLink::Known(self.program.ty.clone());
        let place = Some(ValuePlace::Memory { address: start, bits: None });
        let ty = Arc::new(Type::array_of(element, size, elements));
        let (missing, synthetic) = (Vec::new(), Vec::new());
        Ok(Value { ty, bytes, missing, synthetic, place })
    }
}

/// The register that holds a value, when one general register holds all of it
/// or it is the whole of a vector register.
fn register_place(place: &Place, offset: u64, size: u64) -> Option<ValuePlace> {
    let Place::Register(reg) = *place else { return None };
    let whole = if reg.class() == RegClass::Vector { 16 } else { 8 };
    let inside = offset.checked_add(size).is_some_and(|end| end <= whole);
    let (offset, size) = (u8::try_from(offset).ok()?, u8::try_from(size).ok()?);
    inside.then_some(ValuePlace::Register(RegView { reg, offset, size }))
}
