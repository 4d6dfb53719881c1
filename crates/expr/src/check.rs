//! Syntax tree to program: names get meanings, operators get types, and what
//! the language leaves implicit becomes nodes.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::location::Place;
use trapline_core::types::{BitField, Language, Type, TypeKind};

use crate::ast::{Ast, Expr, ExprKind, Path};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Input, IntKind, Node, NodeId, Object, Op, Program, Sort, Text, verify};
use crate::limits;
use crate::parse::parse_with;
use crate::scope::Scope;

mod access;
mod assign;
mod bases;
mod convert;
mod extended;
mod filter;
mod lengths;
mod literal;
mod member_pointers;
mod members;
mod names;
mod operators;
mod pointed;
mod presence;
mod scalar;
mod text;
mod types;
mod variants;
mod views;

use views::ViewFrame;
pub(crate) use views::{Asked, check_asked, fit};

/// What an expression is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To decide whether to stop: the program yields a truth value.
    Condition,
    /// To decide whose passes count: a truth value over what stays the same
    /// while one thread runs. May name nothing of the program.
    Filter,
    /// To be looked at.
    Value,
    /// To be looked at, and may assign.
    Assignment,
    /// For where it is, or of which type: an array is not read.
    Place,
}

/// Resolves names and types, and lowers to a verified program.
///
/// # Errors
/// What is wrong, where, and where possible what to write instead.
pub fn check(ast: &Ast, scope: &dyn Scope, purpose: Purpose) -> Result<Program, Error> {
    let reread = reread(ast, scope)?;
    let ast = reread.as_ref().unwrap_or(ast);
    if purpose == Purpose::Filter {
        filter::names_only_threads(&ast.root)?;
    }
    Checker::new(scope, purpose == Purpose::Assignment).finish(ast, purpose)
}

/// The tree read again, when a name that was taken for a variable is a type or
/// the program's language binds operators otherwise.
fn reread(ast: &Ast, scope: &dyn Scope) -> Result<Option<Ast>, Error> {
    let mut types = Vec::new();
    for doubt in &ast.doubtful {
        let failed = |why: String| Error::new(doubt.span.clone(), why);
        let path = Path::simple(&doubt.name);
        let variable = scope.variable(&path).map_err(failed)?.is_some();
        let known = || scope.type_named(&doubt.name).map_err(failed);
        if !variable && (builtin::named(&doubt.name).is_some() || known()?.is_some()) {
            types.push(doubt.name.as_str());
        }
    }
    let language = match ast.mixes_bits_and_comparisons {
        true => scope.language(),
        false => Language::C,
    };
    if types.is_empty() && language != Language::Rust {
        return Ok(None);
    }
    parse_with(&ast.source, language, &|name| types.contains(&name)).map(Some)
}

/// A program in the making.
struct Checker<'a> {
    scope: &'a dyn Scope,
    allow_assignment: bool,
    nodes: Vec<Node>,
    inputs: Vec<Input>,
    slots: usize,
    /// The views that the subexpression at hand is of, outermost first.
    frames: Vec<ViewFrame>,
    /// The types whose views are being fitted by this, outermost first.
    fitting: Vec<Arc<Type>>,
}

/// A checked subexpression.
#[derive(Clone)]
struct Typed {
    kind: Kind,
    ty: Arc<Type>,
    span: Range<usize>,
}

/// What a subexpression came to.
#[derive(Clone)]
enum Kind {
    /// A computed number.
    Word(NodeId),
    /// An object in memory.
    Memory { address: NodeId, bits: Option<BitField> },
    /// An object, or a part of one, that is not simply in memory.
    Stored(Stored),
    /// A text that is no object of the program.
    Text(Text),
    /// A function.
    Function(VirtAddr),
    /// So many objects from this address on.
    Repeated { address: NodeId, count: NodeId },
}

/// Where an object is that is not simply in memory.
#[derive(Clone)]
struct Stored {
    /// The place of the whole variable.
    place: Arc<Place>,
    /// Bytes to skip in it.
    offset: u64,
    /// A word that is evaluated before, and fails where the part is not there.
    given: Option<NodeId>,
}

impl Stored {
    /// A whole variable.
    fn whole(place: Place) -> Kind {
        Self { place: Arc::new(place), offset: 0, given: None }.part(0)
    }

    /// A part, so many bytes from its start.
    fn part(&self, offset: u64) -> Kind {
        Kind::Stored(Self { offset: self.offset.saturating_add(offset), ..self.clone() })
    }
}

impl<'a> Checker<'a> {
    fn new(scope: &'a dyn Scope, allow_assignment: bool) -> Self {
        let (nodes, inputs, frames) = (Vec::new(), Vec::new(), Vec::new());
        let fitting = Vec::new();
        Self { scope, allow_assignment, nodes, inputs, slots: 0, frames, fitting }
    }

    /// The program of a tree.
    fn finish(mut self, ast: &Ast, purpose: Purpose) -> Result<Program, Error> {
        let typed = self.expr(&ast.root)?;
        let (object, ty) = match purpose {
            Purpose::Condition | Purpose::Filter => {
                (Object::Word(self.truth(typed)?), builtin::boolean())
            }
            Purpose::Value | Purpose::Assignment => self.whole(typed)?,
            Purpose::Place => self.place(typed)?,
        };
        let program = Program {
            nodes: self.nodes,
            object,
            ty,
            inputs: self.inputs,
            changed_slots: self.slots,
            source: ast.source.clone(),
        };
        verify(&program).map_err(|error| {
            Error::new(ast.root.span.clone(), format!("the checker made a wrong program: {error}"))
        })?;
        Ok(program)
    }
}

impl Checker<'_> {
    fn push(&mut self, op: Op, sort: Sort, span: &Range<usize>) -> Result<NodeId, Error> {
        if self.nodes.len() >= limits::MAX_NODES {
            let message = format!("an expression may need at most {} steps", limits::MAX_NODES);
            return Err(Error::new(span.clone(), message));
        }
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let span = self.frames.last().map_or(span, ViewFrame::span);
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.nodes.push(Node { op, sort, span: narrow(span.start)..narrow(span.end) });
        Ok(id)
    }

    fn constant(&mut self, word: u64, kind: IntKind, span: &Range<usize>) -> Result<NodeId, Error> {
        self.push(Op::Const(kind.extend(word)), Sort::Int(kind), span)
    }

    fn sort(&self, id: NodeId) -> Sort {
        self.nodes[id.index()].sort
    }

    /// The word of a node that is known before anything runs.
    fn known(&self, id: NodeId) -> Option<u64> {
        match self.nodes[id.index()].op {
            Op::Const(word) => Some(word),
            _ => None,
        }
    }

    fn strip(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<Arc<Type>, Error> {
        self.scope.strip(ty).map_err(|why| Error::new(span.clone(), why))
    }

    /// A type as the user would write it.
    fn spell(&self, ty: &Type) -> String {
        crate::format::type_name(ty, self.scope)
    }

    fn expr(&mut self, expr: &Expr) -> Result<Typed, Error> {
        let span = &expr.span;
        match &expr.kind {
            ExprKind::Int(literal) => self.int_literal(literal, span),
            ExprKind::Float(literal) => self.float_literal(*literal, span),
            ExprKind::Char(c) => self.char_literal(*c, span),
            ExprKind::Byte(byte) => self.byte_literal(*byte, span),
            ExprKind::WideChar(wide, c) => self.wide_literal(*wide, *c, span),
            ExprKind::Str(bytes) => Ok(literal::string(bytes, span)),
            ExprKind::Bool(value) => self.bool_literal(*value, span),
            ExprKind::Null => self.null(span),
            ExprKind::Path(path) => self.path(path, span, None),
            ExprKind::Dollar(name) => self.dollar(name, span),
            ExprKind::Call { name, arguments } => self.call(name, arguments, span),
            ExprKind::Unary(op, only) => self.unary(*op, only, span),
            ExprKind::Binary(op, operands) => self.binary(*op, operands, span),
            ExprKind::Conditional(operands) => self.conditional(operands, span),
            ExprKind::Assign(op, operands) => self.assign(*op, operands, span),
            ExprKind::Index(operands) => self.index(operands, span),
            ExprKind::Member { object, name, name_span, .. } => {
                self.member(object, name, &name_span.0, span)
            }
            ExprKind::MemberCall { object, name, name_span } => {
                self.member_call(object, name, &name_span.0, span)
            }
            ExprKind::Cast { ty, value, rust } => self.cast(ty, value, *rust, span),
            ExprKind::At(ty, address) => self.at_address(ty, address, span),
            ExprKind::SizeOfType(ty) => {
                let ty = self.type_named(ty, span)?;
                self.size_constant(&ty, span)
            }
            ExprKind::SizeOf(only) => self.size_of(only, span),
        }
    }

    /// The whole value of a subexpression, for printing.
    fn whole(&mut self, typed: Typed) -> Result<(Object, Arc<Type>), Error> {
        let typed = match self.is_reference_to_known(&typed.ty, &typed.kind, &typed.span)? {
            true => self.through_references(typed)?,
            false => typed,
        };
        let Typed { kind, ty, span } = typed;
        let size_of_whole = |checker: &Self| match checker.is_open_ended(&ty, &span)? {
            // It is where it begins.
            true => Ok(0),
            false => checker.readable_size(&ty, &span),
        };
        let object = match kind {
            Kind::Word(id) => Object::Word(id),
            Kind::Text(text) => Object::Text(text),
            Kind::Function(address) => {
                Object::Word(self.constant(address.get(), IntKind::U64, &span)?)
            }
            Kind::Stored(Stored { place, offset, given }) => {
                let size = match &*place {
                    // What is nowhere says so, whatever its size.
                    Place::Unavailable(_) => 0,
                    _ => size_of_whole(self)?,
                };
                Object::Stored { place, offset, size, given }
            }
            Kind::Repeated { address, count } => {
                Object::Repeated { address, size: self.readable_size(&ty, &span)?, count }
            }
            Kind::Memory { address, bits: None } if self.is_computed(&ty, &span)? => {
                return self.of_computed_length(address, &ty, &span);
            }
            Kind::Memory { address, bits } => {
                let size = size_of_whole(self)?;
                let signed = bits.is_some() && self.is_signed(&ty, &span)?;
                Object::Memory { address, size, bits: bits.map(|field| (field, signed)) }
            }
        };
        Ok((object, ty))
    }

    /// The same without the elements of an array in memory.
    fn place(&mut self, typed: Typed) -> Result<(Object, Arc<Type>), Error> {
        let Kind::Memory { address, bits: None } = typed.kind else { return self.whole(typed) };
        let stripped = self.strip(&typed.ty, &typed.span)?;
        if !matches!(stripped.kind, TypeKind::Array { .. }) || stripped.size.is_none() {
            return self.whole(typed);
        }
        Ok((Object::Memory { address, size: 0, bits: None }, typed.ty))
    }

    /// The size of a type that a value can be read of.
    fn readable_size(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<u64, Error> {
        let size = self.size(ty, span)?;
        if size > limits::MAX_VALUE {
            let message = format!(
                "a value of {size} bytes is too large to read (the limit is {})",
                limits::MAX_VALUE
            );
            return Err(Error::new(span.clone(), message)
                .with_help("name a part of it, with `[index]` or `[first]@count`"));
        }
        Ok(size)
    }

    /// The size of a type's values.
    fn size(&self, ty: &Arc<Type>, span: &Range<usize>) -> Result<u64, Error> {
        self.strip(ty, span)?.size.ok_or_else(|| {
            let message = format!("the size of `{}` is not known", self.spell(ty));
            Error::new(span.clone(), message)
        })
    }

    fn size_constant(&mut self, ty: &Arc<Type>, span: &Range<usize>) -> Result<Typed, Error> {
        let size = self.size(ty, span)?;
        let node = self.constant(size, IntKind::U64, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: builtin::integer(IntKind::U64), span: span.clone() })
    }

    /// `sizeof x`, where `x` may also turn out to be a type's name.
    fn size_of(&mut self, only: &Expr, span: &Range<usize>) -> Result<Typed, Error> {
        if let ExprKind::Path(path) = &only.kind
            && (!self.frames.is_empty() || self.binding(path, &only.span)?.is_none())
            && let Some(ty) = self.find_type(&path.written(), &only.span)?
        {
            return self.size_constant(&ty, span);
        }
        let before = (self.nodes.len(), self.inputs.len(), self.slots);
        let typed = self.expr(only)?;
        let ty = match &typed.kind {
            // C11 6.4.5: an array with a null at its end.
            Kind::Text(Text::Literal(bytes)) => builtin::text(bytes.len() + 1),
            Kind::Memory { .. } | Kind::Stored(_) => self.referent(&typed.ty, span)?,
            _ => typed.ty.clone(),
        };
        self.nodes.truncate(before.0);
        self.inputs.truncate(before.1);
        self.slots = before.2;
        let node = self.size_node(&ty, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: builtin::integer(IntKind::U64), span: span.clone() })
    }
}
