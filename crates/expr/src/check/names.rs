//! Names: variables, members of `this`, registers, inputs, the user's own.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::location::{self, Place};
use trapline_core::types::{BaseKind, Type, TypeKind, TypeLink};
use trapline_core::x64::{Reg, RegClass, RegView};

use super::members::Hit;
use super::{Checker, Kind, Stored, Typed};
use crate::ast::{Expr, ExprKind, Path};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Input, IntKind, Op, Sort, Text};
use crate::scope::Binding;

impl Checker<'_> {
    pub(super) fn binding(
        &self,
        path: &Path,
        span: &Range<usize>,
    ) -> Result<Option<Binding>, Error> {
        self.scope.variable(path).map_err(|why| Error::new(span.clone(), why))
    }

    /// The value of a name; data without a type is seen as `untyped`, if given.
    pub(super) fn path(
        &mut self,
        path: &Path,
        span: &Range<usize>,
        untyped: Option<&Arc<Type>>,
    ) -> Result<Typed, Error> {
        match self.resolved(path, span, untyped)? {
            Some(found) => Ok(found),
            None => Err(self.unknown(path, span)),
        }
    }

    /// What a path means; `None` when nothing. C++20 [basic.lookup.unqual]: the
    /// function's variables, then its class, then what is outside.
    pub(super) fn resolved(
        &mut self,
        path: &Path,
        span: &Range<usize>,
        untyped: Option<&Arc<Type>>,
    ) -> Result<Option<Typed>, Error> {
        if let Some(frame) = self.frames.last() {
            let frame = frame.clone();
            return self.path_in_view(frame, path);
        }
        if self.hidden_by_member(path, span)?
            && let Some(member) = self.member_of_this(path, span)?
        {
            return Ok(Some(member));
        }
        match self.binding(path, span)? {
            Some(binding) => self.bound(binding, span, untyped).map(Some),
            None if path.scopes.is_empty() => self.member_of_this(path, span),
            None => self.member_of_class(path, span),
        }
    }

    /// `Class::member` of a static member that a base class declares, or of the
    /// part of the method's object that is the class.
    fn member_of_class(
        &mut self,
        path: &Path,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let Some(class) = self.find_type(&path.scopes.join("::"), span)? else { return Ok(None) };
        let TypeKind::Record(record) = &self.strip(&class, span)?.kind else { return Ok(None) };
        let mut budget = crate::limits::MAX_RECORDS_SEARCHED;
        match self.search(record, &path.name, span, &mut budget)? {
            Some(Hit::Static(member)) => self.static_member(&member, span).map(Some),
            Some(Hit::Data(_)) => {
                let Some(object) = self.this_object(span)? else { return Ok(None) };
                let part = self.as_class(object, &path.scopes.join("::"), span)?;
                self.find_member(&part, &path.name, span)
            }
            None => Ok(None),
        }
    }

    /// The object of the method at hand.
    fn this_object(&mut self, span: &Range<usize>) -> Result<Option<Typed>, Error> {
        let Some(Binding::Variable { ty, place }) = self.binding(&Path::simple("this"), span)?
        else {
            return Ok(None);
        };
        let this = self.variable(ty, place, span)?;
        self.through_pointers(this).map(Some)
    }

    /// Whether a member of the method's object hides everything else of a name.
    fn hidden_by_member(&self, path: &Path, span: &Range<usize>) -> Result<bool, Error> {
        let Some(name) = path.as_simple() else { return Ok(false) };
        let Some(object) = self.scope.method_object() else { return Ok(false) };
        if self.scope.is_local(name) {
            return Ok(false);
        }
        let TypeKind::Record(record) = &self.strip(&object, span)?.kind else { return Ok(false) };
        let mut budget = crate::limits::MAX_RECORDS_SEARCHED;
        Ok(self.search(record, name, span, &mut budget)?.is_some())
    }

    fn unknown(&self, path: &Path, span: &Range<usize>) -> Error {
        if let Ok(Some(_)) = self.find_type(&path.written(), span) {
            return Error::new(span.clone(), format!("`{path}` is a type, not a value"))
                .with_help("a cast is written `(type)value` or `value as type`");
        }
        let error = Error::new(span.clone(), format!("no symbol `{path}` in this context"));
        match self.scope.suggest(&path.joined()).first() {
            Some(close) => error.with_help(format!("did you mean `{close}`?")),
            None => error,
        }
    }

    /// A plain name inside a C++ method may be a member of its object.
    fn member_of_this(&mut self, path: &Path, span: &Range<usize>) -> Result<Option<Typed>, Error> {
        let Some(name) = path.as_simple() else { return Ok(None) };
        let Some(object) = self.this_object(span)? else { return Ok(None) };
        self.find_member(&object, name, span)
    }

    fn bound(
        &mut self,
        binding: Binding,
        span: &Range<usize>,
        untyped: Option<&Arc<Type>>,
    ) -> Result<Typed, Error> {
        match binding {
            Binding::Variable { ty, place } => self.variable(ty, place, span),
            Binding::Constant { ty, value } => self.named_constant(ty, value, span),
            Binding::Function { ty, address, .. } => {
                Ok(Typed { kind: Kind::Function(address), ty, span: span.clone() })
            }
            Binding::Untyped { address, name } => {
                let ty = untyped.cloned().ok_or_else(|| {
                    let message =
                        format!("'{name}' has unknown type; cast it to its declared type");
                    Error::new(span.clone(), message)
                })?;
                let address = self.constant(address.get(), IntKind::U64, span)?;
                let kind = Kind::Memory { address, bits: None };
                Ok(Typed { kind, ty, span: span.clone() })
            }
        }
    }

    /// A subexpression whose type need not be known: data without one is seen
    /// as `ty`.
    pub(super) fn operand(&mut self, expr: &Expr, ty: &Arc<Type>) -> Result<Typed, Error> {
        match &expr.kind {
            ExprKind::Path(path) => self.path(path, &expr.span, Some(ty)),
            _ => self.expr(expr),
        }
    }

    /// A named number, as its type's low bytes.
    pub(super) fn named_constant(
        &mut self,
        ty: Arc<Type>,
        value: i128,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let bytes = value.to_le_bytes().to_vec();
        let kind = Stored::whole(Place::Bytes(bytes));
        let stored = Typed { kind, ty: ty.clone(), span: span.clone() };
        let loaded = self.rvalue(stored)?;
        let word = match self.sort(loaded.node) {
            Sort::Int(kind) => kind.extend(value as u64),
            Sort::Float(_) => {
                return Err(Error::new(span.clone(), "a named constant that is no integer"));
            }
        };
        let sort = self.sort(loaded.node);
        let node = self.push(Op::Const(word), sort, span)?;
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }

    pub(super) fn variable(
        &mut self,
        ty: Arc<Type>,
        place: Place,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let kind = match place {
            Place::Memory(program) => {
                let address = self.address(program, span)?;
                Kind::Memory { address, bits: None }
            }
            place => Stored::whole(place),
        };
        Ok(Typed { kind, ty, span: span.clone() })
    }

    /// The common location descriptions become plain nodes.
    pub(super) fn address(
        &mut self,
        program: location::Program,
        span: &Range<usize>,
    ) -> Result<crate::ir::NodeId, Error> {
        let op = match program.as_slice() {
            [location::Op::Const(address)] => Op::Const(*address),
            [location::Op::RegOffset(reg, offset)] => Op::RegOffset(*reg, *offset),
            _ => Op::Location(program.into()),
        };
        self.push(op, Sort::ADDRESS, span)
    }

    /// `$name`: an input, a register, or the user's own.
    pub(super) fn dollar(&mut self, name: &str, span: &Range<usize>) -> Result<Typed, Error> {
        if let Some(found) = self.dollar_in_view(name) {
            return Ok(found);
        }
        if let Some(input) = Input::named(name) {
            return self.input(input, span);
        }
        if let Some(view) = RegView::parse(name) {
            return Ok(register(view, span));
        }
        if let Some(value) = self.scope.convenience(name) {
            let kind = Stored::whole(value.kept());
            return Ok(Typed { kind, ty: value.ty, span: span.clone() });
        }
        let error = Error::new(span.clone(), format!("`${name}` has no value"));
        if matches!(name, "_changed" | "_streq" | "_creal" | "_cimag") {
            return Err(error.with_help(format!("it is a function: write `${name}(...)`")));
        }
        Err(error.with_help("it is no register, no input, and was never set"))
    }

    fn input(&mut self, input: Input, span: &Range<usize>) -> Result<Typed, Error> {
        if !self.inputs.contains(&input) {
            self.inputs.push(input);
        }
        let span_of = span.clone();
        match input.sort() {
            Some(sort @ Sort::Int(kind)) => {
                let node = self.push(Op::Input(input), sort, span)?;
                Ok(Typed { kind: Kind::Word(node), ty: builtin::integer(kind), span: span_of })
            }
            _ => {
                let kind = Kind::Text(Text::Input(input));
                Ok(Typed { kind, ty: builtin::text(0), span: span_of })
            }
        }
    }

    /// `$name(arguments)`.
    pub(super) fn call(
        &mut self,
        name: &str,
        arguments: &[Expr],
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let node = match (name, arguments) {
            ("_creal", [only]) => return self.part_of_complex(only, 0, span),
            ("_cimag", [only]) => return self.part_of_complex(only, 1, span),
            ("_changed", [only]) => self.changed(only, span)?,
            ("_streq", [a, b]) => self.streq(a, b, span)?,
            ("_changed" | "_streq" | "_creal" | "_cimag", _) => {
                let wanted = if name == "_streq" { "two arguments" } else { "one argument" };
                return Err(Error::new(span.clone(), format!("`${name}` takes {wanted}")));
            }
            _ => {
                return Err(Error::new(span.clone(), format!("no function is named `${name}`"))
                    .with_help(
                        "there are `$_changed(e)`, `$_streq(a, b)`, `$_creal(z)` and `$_cimag(z)`",
                    ));
            }
        };
        Ok(Typed { kind: Kind::Word(node), ty: builtin::boolean(), span: span.clone() })
    }

    /// The first or the second part of a complex number.
    fn part_of_complex(
        &mut self,
        number: &Expr,
        index: u64,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let number = self.expr(number)?;
        let (number, stripped) = self.beyond_references(number)?;
        let TypeKind::Complex(part) = stripped.kind else {
            let message = format!("`{}` is no complex number", self.spell(&number.ty));
            return Err(Error::new(number.span, message));
        };
        let size = self.size(&stripped, span)? / 2;
        let found = self.displaced_to(&number, index * size, part_type(part, size))?;
        let found = found.ok_or_else(|| Error::new(span.clone(), "it is no object"))?;
        Ok(Typed { span: span.clone(), ..found })
    }
}

/// The type of a complex number's part.
fn part_type(part: BaseKind, size: u64) -> Arc<Type> {
    let name = match (part, size) {
        (BaseKind::Float, 4) => "float",
        (BaseKind::Float, 8) => "double",
        (BaseKind::Float, _) => "long double",
        (BaseKind::Unsigned, 4) => "unsigned int",
        (BaseKind::Unsigned, _) => "unsigned long",
        (_, 4) => "int",
        _ => "long",
    };
    Arc::new(Type::base(name, part, size))
}

/// A register with the type gdb gives it.
fn register(view: RegView, span: &Range<usize>) -> Typed {
    let (place, offset) = (Arc::new(Place::Register(view.reg)), u64::from(view.offset));
    let kind = Kind::Stored(Stored { place, offset, given: None });
    Typed { kind, ty: register_type(view), span: span.clone() }
}

fn register_type(view: RegView) -> Arc<Type> {
    let void = || Arc::new(Type::void());
    match (view.reg, view.size) {
        (Reg::Rip, 8) => {
            let kind = TypeKind::Function { result: None, parameters: Vec::new() };
            builtin::pointer(Arc::new(Type { name: String::new(), size: None, kind }))
        }
        (Reg::Rsp | Reg::Rbp, 8) => builtin::pointer(void()),
        _ if view.reg.class() == RegClass::Vector => vector_type(),
        (_, bytes) => {
            let signed = view.reg.class() == RegClass::General;
            builtin::integer(IntKind { bytes, signed })
        }
    }
}

/// A vector register's views, with gdb's names.
fn vector_type() -> Arc<Type> {
    use trapline_core::types::{Language, Member, Record, RecordFlavour};
    let views = [
        ("v4_float", "float", 4),
        ("v2_double", "double", 2),
        ("v16_int8", "int8_t", 16),
        ("v8_int16", "int16_t", 8),
        ("v4_int32", "int32_t", 4),
        ("v2_int64", "int64_t", 2),
        ("uint128", "u128", 1),
    ];
    let member = |(name, element, count): (&str, &str, u64)| {
        let element = builtin::named(element).unwrap_or_else(builtin::character);
        let ty = if count == 1 {
            element
        } else {
            Arc::new(Type::array_of(TypeLink::Known(element), 16 / count, count))
        };
        Member {
            name: name.to_owned(),
            ty: TypeLink::Known(ty),
            offset: 0,
            bits: None,
            base_class: false,
            variant: None,
        }
    };
    let record = Record {
        flavour: RecordFlavour::Union,
        language: Language::C,
        members: views.into_iter().map(member).collect(),
        statics: Vec::new(),
        virtual_bases: Vec::new(),
        virtual_functions: Vec::new(),
        declaration: false,
        arguments: Vec::new(),
    };
    Arc::new(Type { name: "vec128".to_owned(), size: Some(16), kind: TypeKind::Record(record) })
}
