//! One location description, operation by operation.

use gimli::constants as dw;
use gimli::{AttributeValue, DebugInfoOffset, DieReference, Expression, Operation, UnitOffset};
use trapline_core::ImageAddr;
use trapline_core::location::{
    BinaryOp, NO_ADDRESS, NO_ENTRY_VALUE, Op, Piece, Place, Pointed, Program, UnaryOp,
};
use trapline_core::x64::{Reg, RegClass};

use super::word::Word;
use super::{Holds, OPTIMIZED_OUT, Scene, is_lost_in_calls, is_word, unavailable};
use crate::types::die::Die;
use crate::units::{DieRef, Slice};
use crate::variables::place_of;

/// Operations that a lowered description may have: real ones have a dozen.
const MAX_OPS: usize = 4096;
/// Pointers that are nowhere and point to one another.
const MAX_BEHIND: u32 = 4;
/// Such pointers in one description, each of which is followed.
const MAX_POINTERS: usize = 8;
/// Nested `DW_OP_call`s.
const MAX_CALLS: u32 = 8;

const SPLIT: &str = "it is split within a byte";
const MALFORMED: &str = "malformed location description";

/// Why a place cannot be said; a sentence for the user.
type Lowered<T = ()> = Result<T, String>;

/// Lowers a whole location description (DWARF 5 section 2.6).
pub(super) fn lower(
    expression: Expression<Slice>,
    scene: Scene<'_>,
    holds: Holds,
    pc: Option<u64>,
) -> Place {
    let mut lowerer = Lowerer {
        scene,
        holds,
        pc,
        program: Vec::new(),
        words: Vec::new(),
        found: None,
        spoiled: None,
        pieces: Vec::new(),
        bits: None,
        pointers: 0,
    };
    match lowerer.run(expression, 0).and_then(|()| lowerer.finish()) {
        Ok(place) => place,
        Err(why) => Place::Unavailable(why),
    }
}

struct Lowerer<'a> {
    scene: Scene<'a>,
    holds: Holds,
    pc: Option<u64>,
    /// Computes the words of the current piece.
    program: Program,
    /// The types of the words that `program` leaves on the stack.
    words: Vec<Word>,
    /// The current piece's place, when an operation that ends it has come.
    found: Option<Place>,
    /// Why the current piece cannot be said.
    spoiled: Option<String>,
    pieces: Vec<Piece>,
    /// The pieces that share bytes with the next one.
    bits: Option<Bits>,
    /// Pointers followed so far.
    pointers: usize,
}

impl Lowerer<'_> {
    fn run(&mut self, expression: Expression<Slice>, calls: u32) -> Lowered {
        let mut operations = expression.operations(self.scene.encoding);
        while let Some(operation) =
            operations.next().map_err(|error| format!("{MALFORMED}: {error}"))?
        {
            if self.program.len() > MAX_OPS || self.pieces.len() > MAX_OPS {
                return Err("its location is beyond any sensible length".to_owned());
            }
            self.operation(operation, calls)?;
        }
        Ok(())
    }

    fn operation(&mut self, operation: Operation<Slice>, calls: u32) -> Lowered {
        match operation {
            Operation::Piece { size_in_bits, bit_offset } => {
                return self.end_piece(size_in_bits, bit_offset);
            }
            Operation::Nop | Operation::Uninitialized => return Ok(()),
            // Where a branch leads is known only when it runs, pieces included.
            Operation::Bra { .. } | Operation::Skip { .. } => {
                return Err("its location is computed with branches".to_owned());
            }
            _ => {}
        }
        if self.spoiled.is_some() {
            return Ok(());
        }
        let done = match self.found {
            Some(_) => Err(MALFORMED.to_owned()),
            None => self.step(operation, calls),
        };
        self.spoiled = done.err();
        Ok(())
    }

    fn step(&mut self, operation: Operation<Slice>, calls: u32) -> Lowered {
        match operation {
            Operation::Register { .. }
            | Operation::ImplicitValue { .. }
            | Operation::StackValue
            | Operation::ImplicitPointer { .. } => self.end_location(operation),
            Operation::Call { offset } => self.call(offset, calls),
            Operation::Deref { .. }
            | Operation::Pick { .. }
            | Operation::Drop
            | Operation::Swap
            | Operation::Rot
            | Operation::TLS
            | Operation::Convert { .. }
            | Operation::Reinterpret { .. } => self.rearrange(operation),
            _ => match arithmetic(&operation) {
                Some(Arithmetic::Unary(op)) => self.unary(op),
                Some(Arithmetic::Binary(op)) => self.binary(op),
                None => self.produce(operation),
            },
        }
    }

    /// Operations that push a word out of nothing.
    fn produce(&mut self, operation: Operation<Slice>) -> Lowered {
        match operation {
            Operation::UnsignedConstant { value } => self.push(Op::Const(value)),
            Operation::SignedConstant { value } => self.push(Op::Const(value.cast_unsigned())),
            Operation::Address { address } => self.push(Op::Address(ImageAddr::new(address))),
            Operation::AddressIndex { index } => {
                let address = self.indexed(index)?;
                self.push(Op::Address(ImageAddr::new(address)));
            }
            Operation::ConstantIndex { index } => {
                let value = self.indexed(index)?;
                self.push(Op::Const(value));
            }
            Operation::TypedLiteral { base_type, value } => self.literal(base_type, value)?,
            Operation::RegisterOffset { register, offset, base_type } => {
                self.register_offset(register, offset, base_type)?;
            }
            Operation::FrameOffset { offset } => {
                let base = self.scene.frame_base.ok_or("the frame base is not known here")?;
                self.append(base);
                self.add(offset);
            }
            Operation::CallFrameCFA => {
                let cfa = self.scene.cfa.ok_or("the frame address is not known here")?;
                self.append(cfa);
            }
            Operation::PlusConstant { value } => {
                self.top()?;
                self.add(value.cast_signed());
            }
            Operation::EntryValue { expression } => self.entry_value(expression)?,
            Operation::ParameterRef { .. } => return Err(NO_ENTRY_VALUE.to_owned()),
            Operation::PushObjectAddress => {
                return Err("its location depends on the object that holds it".to_owned());
            }
            _ => return Err("its location uses an operation beyond this reader".to_owned()),
        }
        Ok(())
    }

    /// Operations that say where the value is.
    fn end_location(&mut self, operation: Operation<Slice>) -> Lowered {
        let place = match operation {
            Operation::Register { register } => {
                let reg = Reg::from_dwarf(register.0)
                    .filter(|reg| reg.class() == RegClass::Vector || is_word(*reg))
                    .ok_or("it is in a register that cannot be read")?;
                match self.over_call(reg)? {
                    None => Place::Register(reg),
                    Some(kept) => Place::Value(vec![kept]),
                }
            }
            Operation::ImplicitValue { data } => Place::Bytes(data.slice().to_vec()),
            Operation::StackValue => {
                self.top()?;
                Place::Value(std::mem::take(&mut self.program))
            }
            Operation::ImplicitPointer { value, byte_offset } => {
                let place = self.pointed_to(value)?;
                Place::Pointer(Box::new(Pointed { place, offset: byte_offset }))
            }
            _ => return Err(MALFORMED.to_owned()),
        };
        self.found = Some(place);
        Ok(())
    }

    /// Where the variable is that a pointer which is nowhere points into. DWARF
    /// 5 section 2.6.1.1.4.
    fn pointed_to(&mut self, entry: DebugInfoOffset) -> Lowered<Place> {
        self.pointers += 1;
        if self.scene.behind >= MAX_BEHIND || self.pointers > MAX_POINTERS {
            return Err("too many pointers that are optimized out to follow".to_owned());
        }
        let (units, unit) = self.scene.unit.ok_or(NO_ADDRESS)?;
        let at = units.follow(unit, AttributeValue::DebugInfoRef(entry)).ok_or(NO_ADDRESS)?;
        let die = Die::open(units, at).ok_or(NO_ADDRESS)?;
        let scene = Scene {
            unit: Some((units, at.unit)),
            encoding: die.unit.encoding(),
            behind: self.scene.behind + 1,
            ..self.scene
        };
        Ok(place_of(&die, self.pc, scene))
    }

    fn rearrange(&mut self, operation: Operation<Slice>) -> Lowered {
        match operation {
            Operation::Deref { base_type, size, space } => self.deref(base_type, size, space)?,
            Operation::Pick { index } => {
                let depth = usize::from(index);
                let at = self.words.len().checked_sub(depth + 1).ok_or(MALFORMED)?;
                self.words.push(self.words[at]);
                self.program.push(Op::Pick(index));
            }
            Operation::Drop => {
                self.pop()?;
                self.program.push(Op::Drop);
            }
            Operation::Swap => {
                let at = self.words.len().checked_sub(2).ok_or(MALFORMED)?;
                self.words.swap(at, at + 1);
                self.program.push(Op::Swap);
            }
            Operation::Rot => {
                let at = self.words.len().checked_sub(3).ok_or(MALFORMED)?;
                self.words[at..].rotate_right(1);
                self.program.push(Op::Rot);
            }
            Operation::TLS => self.thread_local()?,
            Operation::Convert { base_type } | Operation::Reinterpret { base_type } => {
                let word = Word::of_type(self.scene, base_type)?;
                self.retype(word)?;
            }
            _ => return Err(MALFORMED.to_owned()),
        }
        Ok(())
    }

    fn deref(&mut self, base_type: UnitOffset, size: u8, space: bool) -> Lowered {
        if space || !(1..=8).contains(&size) {
            return Err("its location reads memory in a way beyond this reader".to_owned());
        }
        let word = Word::of_type(self.scene, base_type)?;
        self.pop()?;
        self.push(Op::Deref { size });
        self.retype(word)
    }

    fn register_offset(
        &mut self,
        register: gimli::Register,
        offset: i64,
        base_type: UnitOffset,
    ) -> Lowered {
        let reg = Reg::from_dwarf(register.0)
            .filter(|reg| is_word(*reg))
            .ok_or("its location uses a register that is not a general one")?;
        let word = Word::of_type(self.scene, base_type)?;
        match self.over_call(reg)? {
            None => self.push(Op::RegOffset(reg, offset)),
            Some(kept) => {
                self.push(kept);
                self.add(offset);
            }
        }
        self.retype(word)
    }

    /// How to read a register that a call under way may change; `None` when it
    /// is read like any other.
    fn over_call(&self, reg: Reg) -> Lowered<Option<Op>> {
        match self.holds {
            Holds::OverCall if is_lost_in_calls(reg) => Ok(Some(Op::KeptRegister(reg))),
            Holds::UntilCall if is_lost_in_calls(reg) => Err(OPTIMIZED_OUT.to_owned()),
            _ => Ok(None),
        }
    }

    /// Compilers ask for nothing but registers at entry.
    fn entry_value(&mut self, expression: Slice) -> Lowered {
        let mut operations = Expression(expression).operations(self.scene.encoding);
        let (first, rest) = (operations.next(), operations.next());
        let (Ok(Some(Operation::Register { register })), Ok(None)) = (first, rest) else {
            return Err(NO_ENTRY_VALUE.to_owned());
        };
        let reg = Reg::from_dwarf(register.0).filter(|reg| reg.general_index().is_some());
        self.push(Op::EntryRegister(reg.ok_or(NO_ENTRY_VALUE)?));
        Ok(())
    }

    fn literal(&mut self, base_type: UnitOffset, value: Slice) -> Lowered {
        let word = Word::of_type(self.scene, base_type)?;
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..value.slice().len()).ok_or(MALFORMED)?;
        wanted.copy_from_slice(value.slice());
        self.push(Op::Const(u64::from_le_bytes(bytes)));
        self.retype(word)
    }

    /// The offset in the thread's block comes just before, as a number or in
    /// the form of an address.
    fn thread_local(&mut self) -> Lowered {
        self.pop()?;
        let offset = match self.program.pop() {
            Some(Op::Const(offset)) => offset,
            Some(Op::Address(offset)) => offset.get(),
            _ => return Err("its thread-local offset is computed".to_owned()),
        };
        let tls = self.scene.unit.and_then(|(units, _)| units.tls());
        let offset = match tls.filter(|tls| offset >= tls.memory_size) {
            None => offset,
            // gcc 12 keeps the addresses of initial values instead where it
            // splits its DWARF (`-gsplit-dwarf`).
            Some(tls) => {
                let offset = offset.checked_sub(tls.image.get());
                let inside = offset.filter(|offset| *offset < tls.memory_size);
                inside.ok_or("it would be outside of the thread-local storage")?
            }
        };
        self.push(Op::Tls { module: self.scene.module, offset });
        Ok(())
    }

    fn call(&mut self, target: DieReference, calls: u32) -> Lowered {
        if calls >= MAX_CALLS {
            return Err("its location calls others without end".to_owned());
        }
        let (units, unit) = self.scene.unit.ok_or(MALFORMED)?;
        let die = match target {
            DieReference::UnitRef(offset) => Some(DieRef { unit, offset }),
            DieReference::DebugInfoRef(offset) => {
                units.follow(unit, AttributeValue::DebugInfoRef(offset))
            }
        };
        let entry = die.and_then(|die| units.entry(die)).ok_or(MALFORMED)?;
        match entry.attr_value(dw::DW_AT_location) {
            Some(AttributeValue::Exprloc(expression)) => self.run(expression, calls + 1),
            // DWARF 5 section 2.5.1.5: without a location nothing happens.
            None => Ok(()),
            Some(_) => Err("its location calls one that moves".to_owned()),
        }
    }

    fn unary(&mut self, op: UnaryOp) -> Lowered {
        let word = self.top()?;
        self.program.push(Op::Unary(op));
        word.extend_top(&mut self.program);
        Ok(())
    }

    fn binary(&mut self, op: BinaryOp) -> Lowered {
        self.pop()?;
        let word = self.top()?;
        word.prepare(op, &mut self.program)?;
        self.program.push(Op::Binary(op));
        if compares(op) {
            return self.retype(Word::Generic);
        }
        word.extend_top(&mut self.program);
        Ok(())
    }

    fn end_piece(&mut self, size_in_bits: u64, bit_offset: Option<u64>) -> Lowered {
        let skip = bit_offset.unwrap_or(0);
        let place = self.take_place();
        if self.bits.is_none() && size_in_bits.is_multiple_of(8) && skip.is_multiple_of(8) {
            let place = skip_bytes(place, skip / 8);
            self.pieces.push(Piece { place, len: size_in_bits / 8 });
            return Ok(());
        }
        let mut bits = self.bits.take().unwrap_or_default();
        bits.add(place, size_in_bits, skip)?;
        if bits.filled.is_multiple_of(8) {
            self.pieces.push(bits.piece());
        } else {
            self.bits = Some(bits);
        }
        Ok(())
    }

    fn finish(&mut self) -> Lowered<Place> {
        let idle = self.program.is_empty() && self.found.is_none() && self.spoiled.is_none();
        if self.bits.is_some() {
            return Err(SPLIT.to_owned());
        }
        match (self.pieces.is_empty(), idle) {
            (true, _) => Ok(self.take_place()),
            (false, true) => Ok(Place::Pieces(std::mem::take(&mut self.pieces))),
            (false, false) => Err(MALFORMED.to_owned()),
        }
    }

    fn take_place(&mut self) -> Place {
        let program = std::mem::take(&mut self.program);
        let empty = std::mem::take(&mut self.words).is_empty();
        if let Some(why) = self.spoiled.take() {
            self.found = None;
            return Place::Unavailable(why);
        }
        match self.found.take() {
            Some(place) => place,
            None if empty => unavailable(OPTIMIZED_OUT),
            None => Place::Memory(program),
        }
    }

    fn indexed(&self, index: gimli::DebugAddrIndex) -> Lowered<u64> {
        let unit = self.scene.unit.and_then(|(units, id)| units.unit(id)).ok_or(MALFORMED)?;
        unit.address(index).map_err(|error| format!("{MALFORMED}: {error}"))
    }

    fn push(&mut self, op: Op) {
        self.program.push(op);
        self.words.push(Word::Generic);
    }

    /// Runs a program that yields one word.
    fn append(&mut self, program: &Program) {
        self.program.extend(program);
        self.words.push(Word::Generic);
    }

    /// Adds to the top word, within the operation that pushed it if possible.
    fn add(&mut self, amount: i64) {
        let word = self.words.last().copied().unwrap_or(Word::Generic);
        match self.program.last_mut() {
            Some(Op::RegOffset(_, offset)) if word == Word::Generic => {
                *offset = offset.wrapping_add(amount);
            }
            Some(Op::Address(address)) => *address = address.wrapping_offset(amount),
            _ if amount == 0 => {}
            _ => {
                let amount = Op::Const(amount.cast_unsigned());
                self.program.extend([amount, Op::Binary(BinaryOp::Add)]);
                word.extend_top(&mut self.program);
            }
        }
    }

    fn top(&self) -> Lowered<Word> {
        self.words.last().copied().ok_or_else(|| MALFORMED.to_owned())
    }

    fn pop(&mut self) -> Lowered<Word> {
        self.words.pop().ok_or_else(|| MALFORMED.to_owned())
    }

    fn retype(&mut self, word: Word) -> Lowered {
        let top = self.words.last_mut().ok_or(MALFORMED)?;
        *top = word;
        word.extend_top(&mut self.program);
        Ok(())
    }
}

/// Pieces of bits that make whole bytes together: a word of at most 64.
#[derive(Default)]
struct Bits {
    /// Computes the word; empty as long as all that it has is unknown.
    program: Program,
    /// Why it cannot be said.
    why: Option<String>,
    filled: u64,
}

impl Bits {
    /// Adds `size` bits of a place from its bit `skip` on, above those there are.
    fn add(&mut self, place: Place, size: u64, skip: u64) -> Lowered {
        let filled = self.filled + size;
        if size == 0 || skip + size > 64 || filled > 64 {
            return Err(SPLIT.to_owned());
        }
        match word_of(place, (skip + size).div_ceil(8)) {
            Ok(word) => {
                let first = self.program.is_empty();
                self.program.extend(word);
                let mask = u64::MAX >> (64 - size);
                self.apply(skip, BinaryOp::Shr);
                self.apply(mask, BinaryOp::And);
                self.apply(self.filled, BinaryOp::Shl);
                self.program.extend((!first).then_some(Op::Binary(BinaryOp::Or)));
            }
            Err(why) => self.why = Some(why),
        }
        self.filled = filled;
        Ok(())
    }

    fn apply(&mut self, operand: u64, op: BinaryOp) {
        self.program.extend([Op::Const(operand), Op::Binary(op)]);
    }

    fn piece(self) -> Piece {
        let place = self.why.map_or(Place::Value(self.program), Place::Unavailable);
        Piece { place, len: self.filled / 8 }
    }
}

/// What computes the first bytes of a place, at most eight.
fn word_of(place: Place, bytes: u64) -> Lowered<Program> {
    match place {
        Place::Value(program) => Ok(program),
        Place::Register(reg) if is_word(reg) => Ok(vec![Op::RegOffset(reg, 0)]),
        Place::Memory(mut program) => {
            program.push(Op::Deref { size: u8::try_from(bytes).map_err(|_| SPLIT)? });
            Ok(program)
        }
        Place::Bytes(all) => {
            let mut word = [0; 8];
            word.iter_mut().zip(all).for_each(|(byte, from)| *byte = from);
            Ok(vec![Op::Const(u64::from_le_bytes(word))])
        }
        Place::Unavailable(why) => Err(why),
        Place::Pointer(_) => Err(NO_ADDRESS.to_owned()),
        Place::Register(_) | Place::Pieces(_) => Err(SPLIT.to_owned()),
    }
}

/// The place of what lies `skip` bytes into another.
fn skip_bytes(place: Place, skip: u64) -> Place {
    if skip == 0 {
        return place;
    }
    let shift = [Op::Const(skip.saturating_mul(8)), Op::Binary(BinaryOp::Shr)];
    match place {
        Place::Memory(mut program) => {
            program.extend([Op::Const(skip), Op::Binary(BinaryOp::Add)]);
            Place::Memory(program)
        }
        Place::Value(mut program) => {
            program.extend(shift);
            Place::Value(program)
        }
        Place::Register(reg) if is_word(reg) => {
            let mut program = vec![Op::RegOffset(reg, 0)];
            program.extend(shift);
            Place::Value(program)
        }
        Place::Register(_) => unavailable("it is in the upper part of a vector register"),
        Place::Bytes(bytes) => {
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            Place::Bytes(bytes.get(skip..).unwrap_or_default().to_vec())
        }
        Place::Pointer(_) => unavailable(NO_ADDRESS),
        other @ (Place::Pieces(_) | Place::Unavailable(_)) => other,
    }
}

enum Arithmetic {
    Unary(UnaryOp),
    Binary(BinaryOp),
}

fn arithmetic(operation: &Operation<Slice>) -> Option<Arithmetic> {
    Some(Arithmetic::Binary(match operation {
        Operation::Abs => return Some(Arithmetic::Unary(UnaryOp::Abs)),
        Operation::Neg => return Some(Arithmetic::Unary(UnaryOp::Neg)),
        Operation::Not => return Some(Arithmetic::Unary(UnaryOp::Not)),
        Operation::And => BinaryOp::And,
        Operation::Div => BinaryOp::Div,
        Operation::Minus => BinaryOp::Sub,
        Operation::Mod => BinaryOp::Mod,
        Operation::Mul => BinaryOp::Mul,
        Operation::Or => BinaryOp::Or,
        Operation::Plus => BinaryOp::Add,
        Operation::Shl => BinaryOp::Shl,
        Operation::Shr => BinaryOp::Shr,
        Operation::Shra => BinaryOp::Shra,
        Operation::Xor => BinaryOp::Xor,
        Operation::Eq => BinaryOp::Eq,
        Operation::Ge => BinaryOp::Ge,
        Operation::Gt => BinaryOp::Gt,
        Operation::Le => BinaryOp::Le,
        Operation::Lt => BinaryOp::Lt,
        Operation::Ne => BinaryOp::Ne,
        _ => return None,
    }))
}

fn compares(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Eq | Ne | Lt | Le | Gt | Ge)
}
