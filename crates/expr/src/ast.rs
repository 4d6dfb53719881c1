//! The syntax tree: what the user wrote, before any name means anything.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::Language;

/// A parsed expression with its text.
#[derive(Clone, Debug)]
pub struct Ast {
    /// The whole expression.
    pub root: Expr,
    /// The text it was parsed from; spans count its bytes.
    pub source: Arc<str>,
    /// Names in `(name) - x` and its like, read as variables here. The checker
    /// reads the text again when one turns out to be a type.
    pub(crate) doubtful: Vec<Doubtful>,
    /// Whether it has `&`, `^` or `|` beside comparisons, which bind tighter in
    /// C and looser in Rust. It was read as C; the checker reads the text again
    /// where the program is Rust's.
    pub(crate) mixes_bits_and_comparisons: bool,
}

impl PartialEq for Ast {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

/// A name in parentheses before an operator that is both unary and binary.
#[derive(Clone, Debug)]
pub(crate) struct Doubtful {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}

/// One node. Two nodes are equal when they say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its bytes in the source.
    pub span: Range<usize>,
    /// Longest way down to a leaf, counted in nodes.
    pub(crate) height: usize,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Expr {
    /// A node at a place in the source.
    pub fn new(kind: ExprKind, span: Range<usize>) -> Self {
        let mut tallest = 0;
        kind.for_each_child(&mut |child| tallest = tallest.max(child.height));
        Self { kind, span, height: tallest + 1 }
    }
}

/// The kinds of nodes.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// An integer.
    Int(IntLiteral),
    /// A floating-point number.
    Float(FloatLiteral),
    /// A character.
    Char(char),
    /// `'\xff'`: a byte above ASCII as a `char`.
    Byte(u8),
    /// `L'x'`.
    WideChar(Wide, char),
    /// A string's bytes.
    Str(Vec<u8>),
    /// `true` or `false`.
    Bool(bool),
    /// `NULL`, `nullptr`, `null`.
    Null,
    /// A name.
    Path(Path),
    /// `$name`, without the `$`.
    Dollar(String),
    /// `$name(arguments)`.
    Call {
        /// The name without its `$`.
        name: String,
        /// What is between the parentheses.
        arguments: Vec<Expr>,
    },
    /// A prefix operator.
    Unary(UnaryOp, Box<Expr>),
    /// An infix operator.
    Binary(BinaryOp, Box<[Expr; 2]>),
    /// `condition ? then : otherwise`.
    Conditional(Box<[Expr; 3]>),
    /// `target = value`, or `target OP= value`.
    Assign(Option<BinaryOp>, Box<[Expr; 2]>),
    /// `object[index]`.
    Index(Box<[Expr; 2]>),
    /// `object.name` or `object->name`; `name` is a number for tuples, and may
    /// say of which base class it is (`object.Base::name`).
    Member {
        /// What has the member.
        object: Box<Expr>,
        /// The member.
        name: String,
        /// Whether it was written `->`.
        arrow: bool,
        /// The name's bytes in the source.
        name_span: SpanOfName,
    },
    /// `object.name()`: what a view names.
    MemberCall {
        /// What has the view.
        object: Box<Expr>,
        /// What is asked of it.
        name: String,
        /// The name's bytes in the source.
        name_span: SpanOfName,
    },
    /// `(type)value`, or `value as type`.
    Cast {
        /// The type.
        ty: TypeName,
        /// What is converted.
        value: Box<Expr>,
        /// Whether it was written with `as`.
        rust: bool,
    },
    /// gdb's `{type} address`.
    At(TypeName, Box<Expr>),
    /// `sizeof (type)`.
    SizeOfType(TypeName),
    /// `sizeof expression`.
    SizeOf(Box<Expr>),
}

/// A span that does not count in comparisons.
#[derive(Clone, Debug)]
pub struct SpanOfName(pub Range<usize>);

impl PartialEq for SpanOfName {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl ExprKind {
    /// Calls `visit` with every node directly below, in the order written.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match self {
            Self::Int(_)
            | Self::Float(_)
            | Self::Char(_)
            | Self::Byte(_)
            | Self::WideChar(..)
            | Self::Str(_)
            | Self::Bool(_)
            | Self::Null
            | Self::Path(_)
            | Self::Dollar(_)
            | Self::SizeOfType(_) => {}
            Self::Call { arguments, .. } => arguments.iter().for_each(visit),
            Self::Unary(_, only)
            | Self::SizeOf(only)
            | Self::At(_, only)
            | Self::Cast { value: only, .. }
            | Self::Member { object: only, .. }
            | Self::MemberCall { object: only, .. } => visit(only),
            Self::Binary(_, both) | Self::Assign(_, both) | Self::Index(both) => {
                both.iter().for_each(visit);
            }
            Self::Conditional(all) => all.iter().for_each(visit),
        }
    }
}

/// An integer as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntLiteral {
    /// Its value.
    pub value: u64,
    /// Whether it was written in decimal (C gives the others unsigned types
    /// more readily).
    pub decimal: bool,
    /// What the suffix says.
    pub suffix: IntSuffix,
}

/// The suffix of an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntSuffix {
    /// C's, any of `u`, `l`, `ll` or none.
    C {
        /// `u`.
        unsigned: bool,
        /// `l` or `ll`.
        long: bool,
    },
    /// Rust's `i8` to `usize`: an exact type.
    Rust(RustInt),
}

/// Rust's integer types of up to 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RustInt {
    /// Size in bytes.
    pub bytes: u8,
    /// `i` rather than `u`.
    pub signed: bool,
    /// `isize` or `usize`.
    pub pointer_sized: bool,
}

/// C's types of wide characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wide {
    /// `wchar_t`, `L'x'`.
    Native,
    /// `char16_t`, `u'x'`.
    Sixteen,
    /// `char32_t`, `U'x'`.
    ThirtyTwo,
}

/// A floating-point number as written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FloatLiteral {
    /// Its value.
    pub value: f64,
    /// Whether its type is `float`.
    pub single: bool,
}

/// A name with the scopes it was qualified with.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    /// `file.c` in `file.c::name`.
    pub file: Option<Box<str>>,
    /// Written with a leading `::`.
    pub global: bool,
    /// The names before each other `::`, outermost first.
    pub scopes: Box<[Box<str>]>,
    /// The last name.
    pub name: Box<str>,
}

impl Path {
    /// A path of one name.
    pub fn simple(name: &str) -> Self {
        Self { file: None, global: false, scopes: Box::default(), name: name.into() }
    }

    /// The name when nothing qualifies it.
    pub fn as_simple(&self) -> Option<&str> {
        let qualified = self.file.is_some() || self.global || !self.scopes.is_empty();
        (!qualified).then_some(&self.name)
    }

    /// The names joined by `::`, without the file.
    pub fn joined(&self) -> Cow<'_, str> {
        if self.scopes.is_empty() {
            Cow::Borrowed(&self.name)
        } else {
            Cow::Owned(format!("{}::{}", self.scopes.join("::"), self.name))
        }
    }

    /// The same with the `::` in front of it that means the outermost scope.
    pub fn written(&self) -> Cow<'_, str> {
        match self.global {
            true => format!("::{}", self.joined()).into(),
            false => self.joined(),
        }
    }
}

/// Prefix operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum UnaryOp {
    Plus,
    Negate,
    BitNot,
    Not,
    Dereference,
    AddressOf,
}

/// Infix operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Or,
    And,
    BitOr,
    BitXor,
    BitAnd,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    ShiftLeft,
    ShiftRight,
    /// gdb's `first@count`.
    Repeat,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    /// C++'s `object.*pointer`.
    MemberThrough,
    /// C++'s `pointer->*pointer`.
    ArrowThrough,
}

impl BinaryOp {
    /// Every operator with its spelling and how tightly it binds: C's order,
    /// `@` where gdb has it.
    pub(crate) const TABLE: [(Self, &'static str, u8); 21] = [
        (Self::Or, "||", 3),
        (Self::And, "&&", 4),
        (Self::BitOr, "|", 5),
        (Self::BitXor, "^", 6),
        (Self::BitAnd, "&", 7),
        (Self::Equal, "==", 8),
        (Self::NotEqual, "!=", 8),
        (Self::Less, "<", 9),
        (Self::LessEqual, "<=", 9),
        (Self::Greater, ">", 9),
        (Self::GreaterEqual, ">=", 9),
        (Self::ShiftLeft, "<<", 10),
        (Self::ShiftRight, ">>", 10),
        (Self::Repeat, "@", 11),
        (Self::Add, "+", 12),
        (Self::Subtract, "-", 12),
        (Self::Multiply, "*", 13),
        (Self::Divide, "/", 13),
        (Self::Remainder, "%", 13),
        (Self::MemberThrough, ".*", 14),
        (Self::ArrowThrough, "->*", 14),
    ];

    pub(crate) fn spelling(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("?", |row| row.1)
    }

    pub(crate) fn power(self) -> u8 {
        Self::TABLE.iter().find(|row| row.0 == self).map_or(0, |row| row.2)
    }

    /// The same where the program is written in a language.
    pub(crate) fn power_in(self, language: Language) -> u8 {
        match (language, self) {
            (Language::Rust, op) if op.is_comparison() => 5,
            (Language::Rust, Self::BitOr) => 6,
            (Language::Rust, Self::BitXor) => 7,
            (Language::Rust, Self::BitAnd) => 8,
            _ => self.power(),
        }
    }

    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
        )
    }
}

impl UnaryOp {
    pub(crate) fn spelling(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Negate => "-",
            Self::BitNot => "~",
            Self::Not => "!",
            Self::Dereference => "*",
            Self::AddressOf => "&",
        }
    }
}

/// A type as written. `const` and its like are read and dropped: they change
/// nothing about a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeName {
    /// A name, spelled one way: `unsigned int`, `std::vector<int>`.
    Named {
        /// `struct`, `union`, `enum` or `class`, where written.
        tag: Option<&'static str>,
        /// The name.
        name: String,
    },
    /// `T *`.
    Pointer(Box<TypeName>),
    /// `T &`.
    Reference(Box<TypeName>),
    /// `T [n]`.
    Array(Box<TypeName>, u64),
    /// `T (parameters)`; only behind a pointer.
    Function(Box<TypeName>, Vec<TypeName>),
}
