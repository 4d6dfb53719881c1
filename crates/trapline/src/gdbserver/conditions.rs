//! gdb's agent expressions as conditions of ours, so that they are compiled
//! into the program like any other.
//!
//! The bytecode jumps; ours chooses between values. So each place knows under
//! which circumstances control comes there and what is on the stack then, and
//! where ways meet, what differs becomes a choice. That takes code that only
//! jumps forward, which is all that gdb makes. What is computed and then dropped
//! is not computed, so memory that only a dropped value needs may be missing.

use std::collections::BTreeMap;

use trapline_core::location::Place;
use trapline_expr::Program;
use trapline_expr::ir::{
    Arithmetic, Comparison, ConditionBuilder, IntKind, Load, NodeId, Op, Sort,
};
use trapline_rsp::agent::{self, Binary};
use trapline_rsp::hex;

use super::registers::RegisterFile;
use super::server::Refusal;

/// How much there may be to say about how control comes to a place: more than
/// any expression that a user types makes.
const MOST_LITERALS: usize = 4096;

/// How many operations a condition may be made of before it is looked at as a
/// whole.
const MOST_OPERATIONS: usize = 1 << 16;

const WORD: Sort = Sort::Int(IntKind::U64);
const SIGNED: Sort = Sort::Int(IntKind::I64);

/// The condition that holds when one of several does. What a client sends twice
/// is asked once.
pub(super) fn any_of(codes: &[Vec<u8>], file: &RegisterFile) -> Result<Program, Refusal> {
    let mut different: Vec<&Vec<u8>> = Vec::new();
    for code in codes {
        if !different.contains(&code) {
            different.push(code);
        }
    }
    let shown: Vec<String> = different.iter().map(|code| hex::encode(code)).collect();
    let mut maker = Maker {
        builder: ConditionBuilder::new(format!("agent expression {}", shown.join(" or "))),
        file,
    };
    let mut all = None;
    for code in different {
        let one = maker.translate(code)?;
        all = Some(match all {
            None => one,
            Some(before) => maker.builder.add(Op::Or(before, one), Sort::BOOL),
        });
    }
    let result = all.ok_or_else(|| Refusal::new("there is no condition"))?;
    maker.builder.finish(result).map_err(|error| Refusal::new(error.to_string()))
}

/// A truth value that held on the way, or did not.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Literal {
    test: NodeId,
    held: bool,
}

/// The circumstances under which control comes to a place: all of one row hold.
#[derive(Clone, PartialEq, Eq)]
struct Guard(Vec<Vec<Literal>>);

impl Guard {
    fn always() -> Self {
        Self(vec![Vec::new()])
    }

    fn and(&self, literal: Literal) -> Self {
        let longer = |row: &Vec<Literal>| [row.as_slice(), &[literal]].concat();
        Self(self.0.iter().map(longer).collect())
    }

    /// Either of two. Rows that differ in how their last test came out are one
    /// row without it.
    fn or(&self, other: &Self) -> Self {
        let mut rows: Vec<Vec<Literal>> = self.0.iter().chain(&other.0).cloned().collect();
        while let Some((one, two)) = opposite(&rows) {
            let mut merged = rows.swap_remove(one.max(two));
            rows.swap_remove(one.min(two));
            merged.pop();
            rows.push(merged);
        }
        Self(rows)
    }

    /// These circumstances, among those and `other`: what holds in all of them
    /// tells nothing.
    fn against(&self, other: &Self) -> Self {
        let first = self.0.first().map_or(&[][..], Vec::as_slice);
        let all = self.0.iter().chain(&other.0);
        let common = all.map(|row| row.iter().zip(first).take_while(|(a, b)| a == b).count()).min();
        Self(self.0.iter().map(|row| row[common.unwrap_or(0)..].to_vec()).collect())
    }

    fn literals(&self) -> usize {
        self.0.iter().map(|row| row.len() + 1).sum()
    }
}

/// Two rows that differ only in how their last test came out.
fn opposite(rows: &[Vec<Literal>]) -> Option<(usize, usize)> {
    let differ = |one: &[Literal], two: &[Literal]| match (one.split_last(), two.split_last()) {
        (Some((last, first)), Some((other_last, other_first))) => {
            first == other_first && last.test == other_last.test && last.held != other_last.held
        }
        _ => false,
    };
    let pairs = (0..rows.len()).flat_map(|one| (one + 1..rows.len()).map(move |two| (one, two)));
    pairs.into_iter().find(|&(one, two)| differ(&rows[one], &rows[two]))
}

/// How control comes to a place, and with what on the stack.
#[derive(Clone)]
struct Arrival {
    guard: Guard,
    stack: Vec<NodeId>,
}

struct Maker<'a> {
    builder: ConditionBuilder,
    file: &'a RegisterFile,
}

impl Maker<'_> {
    /// The truth of what one expression leaves on top.
    fn translate(&mut self, code: &[u8]) -> Result<NodeId, Refusal> {
        let program = agent::Program::decode(code)
            .map_err(|error| Refusal::new(format!("bad agent expression: {error}")))?;
        let mut to_come: BTreeMap<u16, Vec<Arrival>> = BTreeMap::new();
        let mut results = Vec::new();
        let mut here = Some(Arrival { guard: Guard::always(), stack: Vec::new() });
        for (offset, op) in program.ops() {
            let mut arrivals = to_come.remove(offset).unwrap_or_default();
            arrivals.extend(here.take());
            let Some(mut arrival) = self.meet(arrivals)? else { continue };
            match op {
                agent::Op::End => results.push(arrival),
                agent::Op::Jump(to) => land(&mut to_come, *offset, *to, arrival)?,
                agent::Op::JumpIf(to) => {
                    let value = pop(&mut arrival.stack)?;
                    let test = self.truth(value);
                    let taken = arrival.guard.and(Literal { test, held: true });
                    let stack = arrival.stack.clone();
                    land(&mut to_come, *offset, *to, Arrival { guard: taken, stack })?;
                    let guard = arrival.guard.and(Literal { test, held: false });
                    here = Some(Arrival { guard, ..arrival });
                }
                op => {
                    self.execute(op, &mut arrival.stack)?;
                    here = Some(arrival);
                }
            }
        }
        let end = self.meet(results)?.ok_or_else(|| Refusal::new("the code has no end"))?;
        let top = end.stack.last().ok_or_else(|| Refusal::new("the code leaves nothing"))?;
        Ok(self.truth(*top))
    }

    /// Joins the ways that lead to one place.
    fn meet(&mut self, arrivals: Vec<Arrival>) -> Result<Option<Arrival>, Refusal> {
        let mut all = arrivals.into_iter();
        let Some(mut joined) = all.next() else { return Ok(None) };
        for next in all {
            if next.stack.len() != joined.stack.len() {
                return Err(Refusal::new("ways meet with different stacks"));
            }
            let mut chosen = None;
            let mut stack = Vec::with_capacity(next.stack.len());
            for (&one, &two) in joined.stack.iter().zip(&next.stack) {
                if one == two {
                    stack.push(one);
                    continue;
                }
                let test = match chosen {
                    Some(test) => test,
                    None => *chosen.insert(self.guard(&joined.guard.against(&next.guard))),
                };
                stack.push(self.builder.add(Op::Select(test, one, two), WORD));
            }
            joined = Arrival { guard: joined.guard.or(&next.guard), stack };
            let operations = self.builder.len();
            if joined.guard.literals() > MOST_LITERALS || operations > MOST_OPERATIONS {
                return Err(Refusal::new("the code branches in too many ways"));
            }
        }
        Ok(Some(joined))
    }

    /// Circumstances as a truth value.
    fn guard(&mut self, guard: &Guard) -> NodeId {
        let mut any = None;
        for row in &guard.0 {
            let mut all = None;
            for literal in row {
                let one = match literal.held {
                    true => literal.test,
                    false => self.builder.add(Op::IsZero(literal.test), Sort::BOOL),
                };
                all = Some(match all {
                    None => one,
                    Some(before) => self.builder.add(Op::And(before, one), Sort::BOOL),
                });
            }
            let all = all.unwrap_or_else(|| self.builder.add(Op::Const(1), Sort::BOOL));
            any = Some(match any {
                None => all,
                Some(before) => self.builder.add(Op::Or(before, all), Sort::BOOL),
            });
        }
        any.unwrap_or_else(|| self.builder.add(Op::Const(1), Sort::BOOL))
    }

    /// Whether a word is not zero.
    fn truth(&mut self, word: NodeId) -> NodeId {
        if let Some(Op::Convert(test)) = self.builder.node(word).map(|node| &node.op)
            && self.builder.node(*test).is_some_and(|node| node.sort == Sort::BOOL)
        {
            return *test;
        }
        let zero = self.builder.add(Op::IsZero(word), Sort::BOOL);
        self.builder.add(Op::IsZero(zero), Sort::BOOL)
    }

    fn execute(&mut self, op: &agent::Op, stack: &mut Vec<NodeId>) -> Result<(), Refusal> {
        let result = match op {
            agent::Op::Binary(binary) => {
                let (second, first) = (pop(stack)?, pop(stack)?);
                self.binary(*binary, first, second)
            }
            agent::Op::LogicalNot => {
                let value = pop(stack)?;
                let zero = self.builder.add(Op::IsZero(value), Sort::BOOL);
                self.word(zero)
            }
            agent::Op::BitNot => {
                let value = pop(stack)?;
                self.builder.add(Op::BitNot(value), WORD)
            }
            agent::Op::SignExtend(bits) => {
                let value = pop(stack)?;
                self.extend(value, *bits, true)
            }
            agent::Op::ZeroExtend(bits) => {
                let value = pop(stack)?;
                self.extend(value, *bits, false)
            }
            agent::Op::Load(bytes) => {
                let address = pop(stack)?;
                let kind = IntKind { bytes: *bytes, signed: false };
                let load = Op::Load { address, load: Load::Int(kind) };
                let loaded = self.builder.add(load, Sort::Int(kind));
                self.word(loaded)
            }
            agent::Op::Const(value) => self.builder.add(Op::Const(*value), WORD),
            agent::Op::Register(number) => self.register(*number)?,
            agent::Op::Duplicate => *last(stack, 0)?,
            agent::Op::Pick(depth) => *last(stack, usize::from(*depth))?,
            agent::Op::Pop => return pop(stack).map(drop),
            agent::Op::Swap => return rearrange(stack, 2, |it| it.swap(0, 1)),
            agent::Op::Rotate => return rearrange(stack, 3, |it| it.rotate_right(1)),
            agent::Op::End
            | agent::Op::Jump(_)
            | agent::Op::JumpIf(_)
            | agent::Op::Printf { .. }
            | agent::Op::Unsupported(_) => {
                return Err(Refusal::new("the code does what no condition does"));
            }
        };
        stack.push(result);
        Ok(())
    }

    /// Any integer as a word of the bytecode.
    fn word(&mut self, value: NodeId) -> NodeId {
        self.builder.add(Op::Convert(value), WORD)
    }

    fn signed(&mut self, value: NodeId) -> NodeId {
        self.builder.add(Op::Convert(value), SIGNED)
    }

    fn binary(&mut self, binary: Binary, first: NodeId, second: NodeId) -> NodeId {
        let plain = |op| Op::Arithmetic(op, first, second);
        match binary {
            Binary::Add => self.builder.add(plain(Arithmetic::Add), WORD),
            Binary::Sub => self.builder.add(plain(Arithmetic::Sub), WORD),
            Binary::Mul => self.builder.add(plain(Arithmetic::Mul), WORD),
            Binary::DivUnsigned => self.builder.add(plain(Arithmetic::Div), WORD),
            Binary::RemUnsigned => self.builder.add(plain(Arithmetic::Rem), WORD),
            Binary::And => self.builder.add(plain(Arithmetic::And), WORD),
            Binary::Or => self.builder.add(plain(Arithmetic::Or), WORD),
            Binary::Xor => self.builder.add(plain(Arithmetic::Xor), WORD),
            Binary::DivSigned => self.signed_arithmetic(Arithmetic::Div, first, second),
            Binary::RemSigned => self.signed_arithmetic(Arithmetic::Rem, first, second),
            Binary::ShiftLeft => self.shift(true, first, second),
            Binary::ShiftRightUnsigned => self.shift(false, first, second),
            Binary::ShiftRightSigned => {
                let value = self.signed(first);
                let shift = Op::Shift { left: false, value, count: second };
                let shifted = self.builder.add(shift, SIGNED);
                self.word(shifted)
            }
            Binary::Equal => self.compare(Comparison::Eq, first, second),
            Binary::LessUnsigned => self.compare(Comparison::Lt, first, second),
            Binary::LessSigned => {
                let (first, second) = (self.signed(first), self.signed(second));
                self.compare(Comparison::Lt, first, second)
            }
        }
    }

    fn signed_arithmetic(&mut self, op: Arithmetic, first: NodeId, second: NodeId) -> NodeId {
        let (first, second) = (self.signed(first), self.signed(second));
        let result = self.builder.add(Op::Arithmetic(op, first, second), SIGNED);
        self.word(result)
    }

    fn shift(&mut self, left: bool, value: NodeId, count: NodeId) -> NodeId {
        self.builder.add(Op::Shift { left, value, count }, WORD)
    }

    fn compare(&mut self, comparison: Comparison, first: NodeId, second: NodeId) -> NodeId {
        let result = self.builder.add(Op::Compare(comparison, first, second), Sort::BOOL);
        self.word(result)
    }

    fn extend(&mut self, value: NodeId, bits: u8, signed: bool) -> NodeId {
        if bits >= 64 {
            return value;
        }
        if matches!(bits, 8 | 16 | 32) {
            let kind = IntKind { bytes: bits / 8, signed };
            let cut = self.builder.add(Op::Convert(value), Sort::Int(kind));
            return self.word(cut);
        }
        if bits == 0 {
            // What is cut off is computed still, for it may not be there.
            let none = self.builder.add(Op::Const(0), WORD);
            return self.binary(Binary::And, value, none);
        }
        let count = self.builder.add(Op::Const(u64::from(64 - bits)), WORD);
        let high = self.shift(true, value, count);
        let binary = if signed { Binary::ShiftRightSigned } else { Binary::ShiftRightUnsigned };
        self.binary(binary, high, count)
    }

    fn register(&mut self, number: u16) -> Result<NodeId, Refusal> {
        let missing = || Refusal::new(format!("register {number} cannot be used in conditions"));
        let reg = self.file.by_number(number).ok_or_else(missing)?;
        let load = Load::Int(IntKind::U64);
        let place = Place::Register(reg).into();
        Ok(self.builder.add(Op::Stored { place, offset: 0, load }, WORD))
    }
}

/// Notes that control comes to a place further on.
fn land(
    to_come: &mut BTreeMap<u16, Vec<Arrival>>,
    from: u16,
    to: u16,
    arrival: Arrival,
) -> Result<(), Refusal> {
    if to <= from {
        return Err(Refusal::new("the code has a loop"));
    }
    to_come.entry(to).or_default().push(arrival);
    Ok(())
}

fn empty() -> Refusal {
    Refusal::new("the code takes more from the stack than there is")
}

fn pop(stack: &mut Vec<NodeId>) -> Result<NodeId, Refusal> {
    stack.pop().ok_or_else(empty)
}

/// What lies so far below the top.
fn last(stack: &[NodeId], depth: usize) -> Result<&NodeId, Refusal> {
    stack.iter().nth_back(depth).ok_or_else(empty)
}

fn rearrange(
    stack: &mut [NodeId],
    count: usize,
    how: impl FnOnce(&mut [NodeId]),
) -> Result<(), Refusal> {
    let from = stack.len().checked_sub(count).ok_or_else(empty)?;
    how(&mut stack[from..]);
    Ok(())
}

#[cfg(test)]
mod tests;
