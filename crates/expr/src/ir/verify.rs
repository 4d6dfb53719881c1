//! The verifier: a program that passes can be run without asking again whether
//! its operands make sense. Programs from the checker always pass.

use std::fmt;

use trapline_core::types::BitField;

use super::{
    Arithmetic, Extended, IntKind, Load, Missing, NodeId, Object, Op, Program, Sort, Target, Text,
};
use crate::limits;

/// A program that breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// The node that breaks it; `None` for the program as a whole.
    pub node: Option<usize>,
    /// Which rule.
    pub rule: &'static str,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "node {node}: {}", self.rule),
            None => f.write_str(self.rule),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Checks every rule of [`Op`] and [`Object`].
///
/// # Errors
/// The first broken rule.
pub fn verify(program: &Program) -> Result<(), VerifyError> {
    if program.nodes.len() > limits::MAX_NODES {
        return Err(VerifyError { node: None, rule: "too many nodes" });
    }
    for index in 0..program.nodes.len() {
        let verifier = Verifier { program, below: index };
        verifier.node().map_err(|rule| VerifyError { node: Some(index), rule })?;
    }
    Verifier { program, below: program.nodes.len() }
        .object(&program.object)
        .map_err(|rule| VerifyError { node: None, rule })
}

/// Checks one node; only those before `below` exist for it.
struct Verifier<'a> {
    program: &'a Program,
    below: usize,
}

type Rule = Result<(), &'static str>;

impl Verifier<'_> {
    fn sort(&self, id: NodeId) -> Result<Sort, &'static str> {
        if id.index() >= self.below {
            return Err("an operand comes before its user");
        }
        Ok(self.program.nodes[id.index()].sort)
    }

    fn has(&self, id: NodeId, wanted: Sort) -> Rule {
        require(self.sort(id)? == wanted, "an operand has the sort its user wants")
    }

    fn int(&self, id: NodeId) -> Result<IntKind, &'static str> {
        int(self.sort(id)?)
    }

    fn node(&self) -> Rule {
        let node = &self.program.nodes[self.below];
        let sort = node.sort;
        if let Sort::Int(kind) = sort {
            require(matches!(kind.bytes, 1 | 2 | 4 | 8), "an integer has 1, 2, 4 or 8 bytes")?;
        }
        match &node.op {
            Op::Const(word) => canonical(*word, sort),
            Op::Input(input) => self.input(*input, Some(sort)),
            Op::RegOffset(..) | Op::Location(_) => same(sort, Sort::ADDRESS),
            Op::Load { address, load } => {
                self.has(*address, Sort::ADDRESS)?;
                loads(*load, sort)
            }
            Op::Stored { load, .. } => loads(*load, sort),
            Op::Bits { value, field } => fits(*field, self.int(*value)?).and(int(sort).map(drop)),
            Op::WithBits { whole, value, field } => {
                fits(*field, self.int(*whole)?)?;
                self.int(*value)?;
                self.has(*whole, sort)
            }
            Op::Convert(value) => self.sort(*value).map(drop),
            Op::Displaced(pointer, _) => {
                self.has(*pointer, Sort::ADDRESS).and(same(sort, Sort::ADDRESS))
            }
            Op::Negate(value) => self.has(*value, sort),
            Op::BitNot(value) => self.has(*value, sort).and(int(sort).map(drop)),
            Op::IsZero(value) => self.sort(*value).and(same(sort, Sort::BOOL)),
            Op::Arithmetic(op, a, b) => self.arithmetic(*op, *a, *b, sort),
            Op::Shift { value, count, .. } => {
                self.int(*count)?;
                int(sort)?;
                self.has(*value, sort)
            }
            Op::Compare(_, a, b) => self.has(*b, self.sort(*a)?).and(same(sort, Sort::BOOL)),
            Op::CompareExtended(_, sides) => {
                sides.iter().try_for_each(|side| self.extended(side))?;
                same(sort, Sort::BOOL)
            }
            Op::And(a, b) | Op::Or(a, b) => {
                same(sort, Sort::BOOL)?;
                self.has(*a, Sort::BOOL)?;
                self.has(*b, Sort::BOOL)
            }
            Op::Select(condition, a, b) => {
                self.has(*condition, Sort::BOOL)?;
                self.has(*a, sort)?;
                self.has(*b, sort)
            }
            Op::Missing(Missing::Element { index, count }) => {
                self.has(*index, Sort::ADDRESS)?;
                self.has(*count, Sort::ADDRESS)
            }
            Op::Missing(Missing::Part(_)) => Ok(()),
            Op::TextEqual(texts) => {
                texts.iter().try_for_each(|text| self.text(text))?;
                same(sort, Sort::BOOL)
            }
            Op::Changed { slot, object } => {
                require(*slot < self.program.changed_slots, "a slot exists")?;
                self.object(object)?;
                same(sort, Sort::BOOL)
            }
            Op::Store { target, value } => self.store(target, *value, sort),
        }
    }

    fn arithmetic(&self, op: Arithmetic, a: NodeId, b: NodeId, sort: Sort) -> Rule {
        self.has(a, sort)?;
        self.has(b, sort)?;
        let for_floats =
            matches!(op, Arithmetic::Add | Arithmetic::Sub | Arithmetic::Mul | Arithmetic::Div);
        require(for_floats || int(sort).is_ok(), "only integers have bits and remainders")
    }

    fn store(&self, target: &Target, value: NodeId, sort: Sort) -> Rule {
        if let Target::Memory(address) = target {
            self.has(*address, Sort::ADDRESS)?;
        }
        self.has(value, sort)
    }

    fn input(&self, input: super::Input, sort: Option<Sort>) -> Rule {
        require(input.sort() == sort, "an input has its own sort")?;
        require(self.program.inputs.contains(&input), "an input is listed")
    }

    fn extended(&self, side: &Extended) -> Rule {
        match side {
            Extended::Memory(address) => self.has(*address, Sort::ADDRESS),
            Extended::Stored { .. } => Ok(()),
            Extended::Word(id) => self.sort(*id).map(drop),
        }
    }

    fn text(&self, text: &Text) -> Rule {
        match text {
            Text::Literal(bytes) => {
                require(bytes.len() <= limits::MAX_STRING, "a literal is short enough")
            }
            Text::Input(input) => self.input(*input, None),
            Text::Terminated { address, .. } => self.has(*address, Sort::ADDRESS),
            Text::Counted { address, len } => {
                self.has(*address, Sort::ADDRESS)?;
                self.has(*len, Sort::ADDRESS)
            }
        }
    }

    fn object(&self, object: &Object) -> Rule {
        match object {
            Object::Word(id) => self.sort(*id).map(drop),
            Object::Memory { address, size, bits } => {
                self.has(*address, Sort::ADDRESS)?;
                short(*size)?;
                let Some((field, signed)) = bits else { return Ok(()) };
                let bytes = u8::try_from(*size).unwrap_or(0);
                require(matches!(bytes, 1 | 2 | 4 | 8), "a bit-field lives in an integer")?;
                fits(*field, IntKind { bytes, signed: *signed })
            }
            Object::Stored { size, given, .. } => {
                given.map_or(Ok(()), |given| self.sort(given).map(drop))?;
                short(*size)
            }
            Object::Text(text) => self.text(text),
            Object::Repeated { address, count, .. } => {
                require(self.below == self.program.nodes.len(), "only a whole program repeats")?;
                self.has(*address, Sort::ADDRESS)?;
                self.has(*count, Sort::Int(IntKind::I64))
            }
        }
    }
}

fn require(holds: bool, rule: &'static str) -> Rule {
    if holds { Ok(()) } else { Err(rule) }
}

fn same(sort: Sort, wanted: Sort) -> Rule {
    require(sort == wanted, "a node has the sort its operation yields")
}

fn int(sort: Sort) -> Result<IntKind, &'static str> {
    match sort {
        Sort::Int(kind) => Ok(kind),
        Sort::Float(_) => Err("an integer is wanted"),
    }
}

fn canonical(word: u64, sort: Sort) -> Rule {
    let extended = match sort {
        Sort::Int(kind) => kind.extend(word),
        Sort::Float(_) => word & (u64::MAX >> (64 - sort.size() * 8)),
    };
    require(word == extended, "a known word is extended as its sort says")
}

fn loads(load: Load, sort: Sort) -> Rule {
    same(sort, load.sort())
}

fn short(size: u64) -> Rule {
    require(size <= limits::MAX_VALUE, "an object is not too large")
}

fn fits(field: BitField, kind: IntKind) -> Rule {
    let end = field.shift.checked_add(field.width);
    require(
        field.width > 0 && end.is_some_and(|end| end <= kind.bits()),
        "a bit-field lies inside its integer",
    )
}
