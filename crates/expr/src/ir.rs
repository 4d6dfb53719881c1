//! The typed program an expression becomes: everything that C or Rust leaves
//! implicit (loads, extensions, conversions, scaling) is a node of its own.
//!
//! Every node computes one 64-bit word, whose meaning its [`Sort`] says. An
//! integer's word is the value sign- or zero-extended from its width; a float's
//! is its bits, zero-extended. Nodes refer only to nodes before them, so a
//! program is a tree (an address may be shared) without loops. Whoever runs it,
//! the interpreter or machine code made from it, must give the same words.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::location::{self, Place};
use trapline_core::types::{BitField, Type};
use trapline_core::x64::{Reg, RegView};

mod build;
mod verify;

pub use build::ConditionBuilder;
pub use verify::{VerifyError, verify};

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Program {
    /// The nodes, operands before their users.
    pub nodes: Vec<Node>,
    /// What is yielded.
    pub object: Object,
    /// Type of what is yielded.
    pub ty: Arc<Type>,
    /// The debugger's inputs it reads, each once.
    pub inputs: Vec<Input>,
    /// How many values it remembers for `$_changed`.
    pub changed_slots: usize,
    /// The text it came from, for messages.
    pub source: Arc<str>,
}

/// Index of a node in its program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// What its word means.
    pub sort: Sort,
    /// The subexpression it was made for, in bytes of the source.
    pub span: Range<u32>,
}

/// What a word means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// An integer; addresses are unsigned ones of 8 bytes, truth values
    /// unsigned ones of 1 byte that are 0 or 1.
    Int(IntKind),
    /// A float.
    Float(FloatKind),
}

impl Sort {
    /// A truth value.
    pub const BOOL: Self = Self::Int(IntKind { bytes: 1, signed: false });
    /// An address.
    pub const ADDRESS: Self = Self::Int(IntKind::U64);

    /// Bytes of a value of this sort.
    pub fn size(self) -> usize {
        match self {
            Self::Int(kind) => usize::from(kind.bytes),
            Self::Float(FloatKind::F32) => 4,
            Self::Float(FloatKind::F64) => 8,
        }
    }
}

/// Width and signedness of an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntKind {
    /// 1, 2, 4 or 8.
    pub bytes: u8,
    /// Two's complement.
    pub signed: bool,
}

impl IntKind {
    /// C's `int`.
    pub const I32: Self = Self { bytes: 4, signed: true };
    /// A signed word.
    pub const I64: Self = Self { bytes: 8, signed: true };
    /// An unsigned word.
    pub const U64: Self = Self { bytes: 8, signed: false };

    /// Number of bits.
    pub fn bits(self) -> u32 {
        u32::from(self.bytes) * 8
    }

    /// Cuts a word to this width and extends it again.
    pub fn extend(self, word: u64) -> u64 {
        let unused = 64 - self.bits().clamp(8, 64);
        if self.signed {
            ((word << unused).cast_signed() >> unused).cast_unsigned()
        } else {
            (word << unused) >> unused
        }
    }
}

/// IEEE 754 formats that arithmetic is done in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FloatKind {
    F32,
    F64,
}

/// How bytes become a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// An integer, extended as its kind says.
    Int(IntKind),
    /// A float of 4 or 8 bytes.
    Float(FloatKind),
    /// An x87 float of 10 bytes, rounded to the nearest `f64`.
    X87,
}

impl Load {
    /// Bytes it reads.
    pub fn size(self) -> usize {
        match self {
            Self::Int(kind) => usize::from(kind.bytes),
            Self::Float(FloatKind::F32) => 4,
            Self::Float(FloatKind::F64) => 8,
            Self::X87 => 10,
        }
    }

    /// What the word means.
    pub fn sort(self) -> Sort {
        match self {
            Self::Int(kind) => Sort::Int(kind),
            Self::Float(kind) => Sort::Float(kind),
            Self::X87 => Sort::Float(FloatKind::F64),
        }
    }
}

/// What a node does. Operands are evaluated in the order written here.
#[derive(Clone, Debug)]
pub enum Op {
    /// A known word.
    Const(u64),
    /// A number from the debugger.
    Input(Input),
    /// A general register plus a displacement, wrapping.
    RegOffset(Reg, i64),
    /// The word a location description computes.
    Location(Box<[location::Op]>),
    /// A load from memory.
    Load {
        /// From where.
        address: NodeId,
        /// Of what.
        load: Load,
    },
    /// A load from a place that is not, or not only, memory.
    Stored {
        /// The place of the whole variable.
        place: Arc<Place>,
        /// Bytes to skip in it.
        offset: u64,
        /// Of what.
        load: Load,
    },
    /// Takes a bit-field out of the integer it lives in.
    Bits {
        /// The integer.
        value: NodeId,
        /// Which bits.
        field: BitField,
    },
    /// Puts a bit-field into the integer it lives in.
    WithBits {
        /// The integer.
        whole: NodeId,
        /// The new value of the bits.
        value: NodeId,
        /// Which bits.
        field: BitField,
    },
    /// Converts to this node's sort: integers are cut or extended; integer to
    /// float rounds to nearest; float to integer truncates toward zero as
    /// `cvttsd2si` does to 64 bits (for 8 unsigned bytes: over the full
    /// range), then cuts.
    Convert(NodeId),
    /// A pointer plus a displacement, wrapping; null stays null, as where C++
    /// converts between a class and its base.
    Displaced(NodeId, i64),
    /// Minus, wrapping.
    Negate(NodeId),
    /// Complement.
    BitNot(NodeId),
    /// 1 when the operand is zero, else 0 (`-0.0` is zero, a NaN is not).
    IsZero(NodeId),
    /// Arithmetic at this node's sort, which is also that of the operands.
    Arithmetic(Arithmetic, NodeId, NodeId),
    /// A shift at this node's sort. The count is read at its own sort; when
    /// it is negative or not less than the width, every bit is shifted out.
    Shift {
        /// Left, or right by the signedness of the sort.
        left: bool,
        /// What is shifted.
        value: NodeId,
        /// By how much.
        count: NodeId,
    },
    /// A comparison of operands of one sort; false for NaN, but `!=`.
    Compare(Comparison, NodeId, NodeId),
    /// The same of numbers of which one at least has ten bytes.
    CompareExtended(Comparison, Box<[Extended; 2]>),
    /// The second truth value only when the first is 1.
    And(NodeId, NodeId),
    /// The second truth value only when the first is 0.
    Or(NodeId, NodeId),
    /// The second or the third word, by the first truth value; the other one
    /// is not evaluated.
    Select(NodeId, NodeId, NodeId),
    /// No word: what was asked for is not there.
    Missing(Missing),
    /// Whether two texts have the same bytes, at most
    /// [`crate::limits::MAX_STRING`] of them.
    TextEqual(Box<[Text; 2]>),
    /// Whether an object's bytes differ from those of the last evaluation.
    Changed {
        /// Where the last bytes are kept.
        slot: usize,
        /// What is compared.
        object: Box<Object>,
    },
    /// Stores the word and yields it.
    Store {
        /// Where.
        target: Target,
        /// What; as many bytes as its sort has.
        value: NodeId,
    },
}

/// What is not there.
#[derive(Clone, Debug)]
pub enum Missing {
    /// An element of a container.
    Element {
        /// Which, counted from zero.
        index: NodeId,
        /// How many there are.
        count: NodeId,
    },
    /// Another part of an object; a phrase says why.
    Part(Arc<str>),
}

/// Arithmetic that wraps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    /// Truncates toward zero; fails on zero (floats do not).
    Div,
    /// Has the sign of the dividend; fails on zero; not for floats.
    Rem,
    And,
    Or,
    Xor,
}

/// Comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A side of an [`Op::CompareExtended`].
#[derive(Clone, Debug)]
pub enum Extended {
    /// An x87 float in memory.
    Memory(NodeId),
    /// One in a place that is not, or not only, memory.
    Stored {
        /// The place of the whole variable.
        place: Arc<Place>,
        /// Bytes to skip in it.
        offset: u64,
    },
    /// A word of any sort.
    Word(NodeId),
}

/// Where a [`Op::Store`] writes.
#[derive(Clone, Debug)]
pub enum Target {
    /// To memory.
    Memory(NodeId),
    /// To a register or a part of one.
    Register(RegView),
}

/// What a program yields, or `$_changed` compares.
#[derive(Clone, Debug)]
pub enum Object {
    /// The word of a node, of as many bytes as the type has.
    Word(NodeId),
    /// Bytes in memory.
    Memory {
        /// From where.
        address: NodeId,
        /// How many.
        size: u64,
        /// For a bit-field: which bits of a number of `size` bytes, and
        /// whether it is signed.
        bits: Option<(BitField, bool)>,
    },
    /// Bytes of a variable that is not, or not only, in memory.
    Stored {
        /// The place of the whole variable.
        place: Arc<Place>,
        /// Bytes to skip in it.
        offset: u64,
        /// How many.
        size: u64,
        /// A word that is evaluated before, and fails where the object is a
        /// part that is not there.
        given: Option<NodeId>,
    },
    /// A text.
    Text(Text),
    /// gdb's `first@count` with a count that is not known before: an array of
    /// the program's type. Only as the whole of a program.
    Repeated {
        /// Address of the first element.
        address: NodeId,
        /// Bytes of one.
        size: u64,
        /// How many, a signed word.
        count: NodeId,
    },
}

/// Where a text comes from.
#[derive(Clone, Debug)]
pub enum Text {
    /// Known.
    Literal(Arc<[u8]>),
    /// From the debugger.
    Input(Input),
    /// Bytes in memory up to a zero byte.
    Terminated {
        /// The first byte.
        address: NodeId,
        /// The size of the array, where it ends without a zero byte.
        capacity: Option<u64>,
    },
    /// As many bytes in memory as a word says.
    Counted {
        /// The first byte.
        address: NodeId,
        /// How many.
        len: NodeId,
    },
}

/// What the debugger knows about a pass.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Input {
    /// `$_hits`: passes so far whose filter and condition held.
    Hits,
    /// `$_passes`: executions of the place so far.
    Passes,
    /// `$_tid`: the thread, in the system's numbering.
    Tid,
    /// `$_thread`: the thread, in the session's numbering.
    Thread,
    /// `$_thread_name`.
    ThreadName,
    /// `$_pid`: the process.
    Pid,
    /// `$_process_name`.
    ProcessName,
    /// `$_machine`: the name of the machine the process runs on.
    Machine,
    /// `$_caller`: the name of the function that called this one.
    Caller,
}

impl Input {
    /// Every input with its name.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Hits, "_hits"),
        (Self::Passes, "_passes"),
        (Self::Tid, "_tid"),
        (Self::Thread, "_thread"),
        (Self::ThreadName, "_thread_name"),
        (Self::Pid, "_pid"),
        (Self::ProcessName, "_process_name"),
        (Self::Machine, "_machine"),
        (Self::Caller, "_caller"),
    ];

    /// The input with a name, written without its `$`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name without the `$`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("?", |row| row.1)
    }

    /// The sort of a number; `None` for a text.
    pub fn sort(self) -> Option<Sort> {
        match self {
            Self::Hits | Self::Passes => Some(Sort::Int(IntKind::U64)),
            Self::Tid | Self::Thread | Self::Pid => Some(Sort::Int(IntKind::I32)),
            Self::ThreadName | Self::ProcessName | Self::Machine | Self::Caller => None,
        }
    }

    /// Whether a filter may name it: it stays the same while one thread runs.
    pub fn names_a_thread(self) -> bool {
        !matches!(self, Self::Hits | Self::Passes | Self::Caller)
    }
}

impl Program {
    /// The node behind an id of this program.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The text of a node's subexpression.
    pub fn text_of(&self, id: NodeId) -> &str {
        let span = &self.node(id).span;
        self.source.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Whether a value this program yielded counts as true: a number that is
    /// not zero, anything that is no number.
    pub fn is_true(&self, value: &crate::value::Value) -> bool {
        match &self.object {
            Object::Word(id) if matches!(self.node(*id).sort, Sort::Float(_)) => {
                float_truth(value.bytes.as_ref())
            }
            _ => value.bytes.as_ref().iter().any(|&byte| byte != 0),
        }
    }
}

/// Whether a little-endian float is not zero: any bit but the sign.
fn float_truth(bytes: &[u8]) -> bool {
    bytes
        .split_last()
        .is_some_and(|(last, rest)| last & 0x7f != 0 || rest.iter().any(|&byte| byte != 0))
}
