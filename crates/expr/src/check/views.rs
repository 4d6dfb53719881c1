//! What views say of objects, made part of the program: names that a view gives
//! to what it computes, elements, texts, what a smart pointer points to.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{Count, GenericArgument, Type, TypeKind, TypeLink, TypeRef};

use super::scalar::{Rvalue, Scalar};
use super::{Checker, Kind, Purpose, Typed};
use crate::ast::{Ast, Expr, ExprKind, Path, UnaryOp};
use crate::builtin;
use crate::error::Error;
use crate::ir::{Comparison, IntKind, Missing, NodeId, Op, Program, Sort, Text};
use crate::layout;
use crate::limits;
use crate::scope::Scope;
use crate::views::pattern::{Bound, Name, Pattern};
use crate::views::{Fitted, Items, Let, View, Walk, viewed};

/// The view that the expression at hand is of.
#[derive(Clone)]
pub(super) struct ViewFrame {
    object: Typed,
    fitted: Fitted,
    /// Only the lets before this one have a meaning.
    before: usize,
    /// `$n`.
    node: Option<Typed>,
    /// `$i`.
    number: Option<Typed>,
    /// Where the user asked for it.
    span: Range<usize>,
}

/// An object at a known address, for an expression of its view.
pub(crate) struct Asked<'a> {
    pub(crate) ty: &'a Arc<Type>,
    pub(crate) address: u64,
    pub(crate) fitted: &'a Fitted,
    /// `$n`: a pointer of this type.
    pub(crate) node: Option<(Arc<Type>, u64)>,
    /// `$i`.
    pub(crate) number: Option<u64>,
}

/// Compiles an expression of a view for one object.
pub(crate) fn check_asked(
    ast: &Ast,
    scope: &dyn Scope,
    asked: &Asked<'_>,
    purpose: Purpose,
) -> Result<Program, Error> {
    let mut checker = Checker::new(scope, false);
    let span = ast.root.span.clone();
    let address = checker.constant(asked.address, IntKind::U64, &span)?;
    let kind = Kind::Memory { address, bits: None };
    let object = Typed { kind, ty: asked.ty.clone(), span: span.clone() };
    let mut frame = ViewFrame::new(object, asked.fitted.clone(), &span);
    if let Some((ty, node)) = &asked.node {
        let node = checker.constant(*node, IntKind::U64, &span)?;
        frame.node = Some(Typed { kind: Kind::Word(node), ty: ty.clone(), span: span.clone() });
    }
    if let Some(number) = asked.number {
        let node = checker.constant(number, IntKind::U64, &span)?;
        let ty = builtin::integer(IntKind::U64);
        frame.number = Some(Typed { kind: Kind::Word(node), ty, span });
    }
    checker.frames.push(frame);
    checker.finish(ast, purpose)
}

/// Fits a view to a type: what its patterns' names stand for, and which of its
/// lets have a meaning. The first of several lets of one name counts.
pub(crate) fn fit(
    view: &Arc<View>,
    bound: Vec<Bound>,
    ty: &Arc<Type>,
    scope: &dyn Scope,
    within: &[Arc<Type>],
) -> Result<Fitted, String> {
    if within.len() >= limits::MAX_VIEW_DEPTH {
        return Err("views that need each other too deeply".to_owned());
    }
    let mut checker = Checker::new(scope, false);
    checker.fitting = within.iter().chain([ty]).cloned().collect();
    let address = checker.constant(0, IntKind::U64, &(0..0)).map_err(|error| error.message)?;
    let kind = Kind::Memory { address, bits: None };
    let object = Typed { kind, ty: ty.clone(), span: 0..0 };
    let own = Bound { name: "Self".to_owned(), text: ty.name.clone(), argument: None };
    let bound = bound.into_iter().chain([own]).collect();
    let mut fitted =
        Fitted { view: view.clone(), bound: Arc::new(bound), lets: Arc::new(Vec::new()) };
    for (part, pattern) in &view.matches {
        let more = checker.arguments_of(&object, &fitted, part, pattern)?;
        Arc::make_mut(&mut fitted.bound).extend(more);
    }
    checker.fit_lets(&object, fitted)
}

impl ViewFrame {
    fn new(object: Typed, fitted: Fitted, span: &Range<usize>) -> Self {
        let (node, number, span) = (None, None, span.clone());
        Self { object, fitted, before: usize::MAX, node, number, span }
    }

    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }
}

impl Checker<'_> {
    /// An expression of a view, for an object.
    fn in_view(&mut self, object: &Typed, fitted: &Fitted, ast: &Ast) -> Result<Typed, Error> {
        let frame = ViewFrame::new(object.clone(), fitted.clone(), &object.span);
        self.in_frame(frame, ast)
    }

    fn in_frame(&mut self, frame: ViewFrame, ast: &Ast) -> Result<Typed, Error> {
        if self.frames.len() >= limits::MAX_VIEW_DEPTH {
            return Err(Error::new(frame.span, "views that need each other too deeply"));
        }
        let span = frame.span.clone();
        let at = frame.fitted.view.at.clone();
        self.frames.push(frame);
        let found = self.expr(&ast.root);
        self.frames.pop();
        match found {
            Ok(typed) => Ok(Typed { span, ..typed }),
            Err(error) => Err(Error::new(span, format!("{at}: {}", error.message))),
        }
    }

    /// What the arguments of a part's type are called, by a pattern for it.
    fn arguments_of(
        &mut self,
        object: &Typed,
        fitted: &Fitted,
        part: &Ast,
        pattern: &Pattern,
    ) -> Result<Vec<Bound>, String> {
        let typed = self.in_view(object, fitted, part).map_err(|error| error.message)?;
        let ty = viewed(&typed.ty, self.scope);
        let ty = ty.ok_or_else(|| format!("`{}` is no record", part.source))?;
        let TypeKind::Record(record) = &ty.kind else { return Ok(Vec::new()) };
        let bound = pattern.matches(&Name::new(&ty.name), record);
        bound.ok_or_else(|| format!("`{}` is a `{}`", part.source, ty.name))
    }

    /// Finds out which lets have a meaning: one of each name has to.
    fn fit_lets(&mut self, object: &Typed, mut fitted: Fitted) -> Result<Fitted, String> {
        let mut missing: Option<(String, String)> = None;
        for (index, found) in fitted.view.clone().lets.iter().enumerate() {
            if fitted.find_let(&found.name, usize::MAX).is_some() {
                continue;
            }
            let frame = ViewFrame::new(object.clone(), fitted.clone(), &object.span);
            match self.meaning(&ViewFrame { before: index, ..frame }, found) {
                Ok(_) => {
                    Arc::make_mut(&mut fitted.lets).push(index);
                    missing = missing.filter(|(name, _)| *name != found.name);
                }
                Err(error) => missing = missing.or(Some((found.name.clone(), error.message))),
            }
        }
        match missing {
            None => Ok(fitted),
            Some((name, why)) => Err(format!("`{name}`: {why}")),
        }
    }

    /// What a name means in an expression of a view.
    pub(super) fn path_in_view(
        &mut self,
        frame: ViewFrame,
        path: &Path,
    ) -> Result<Option<Typed>, Error> {
        let Some(name) = path.as_simple() else { return Ok(None) };
        let span = frame.span.clone();
        if let Some((index, _)) = frame.fitted.find_let(name, frame.before) {
            return self.value_of_let(frame, index).map(Some);
        }
        if let Some(number) = frame.fitted.bound(name).and_then(number_of) {
            let node = self.constant(number, IntKind::U64, &span)?;
            let ty = builtin::integer(IntKind::U64);
            return Ok(Some(Typed { kind: Kind::Word(node), ty, span }));
        }
        self.find_member(&frame.object, name, &span)
    }

    fn value_of_let(&mut self, frame: ViewFrame, index: usize) -> Result<Typed, Error> {
        let view = frame.fitted.view.clone();
        let found = view.lets.get(index);
        let found = found.ok_or_else(|| Error::new(frame.span.clone(), "no such name"))?;
        self.meaning(&ViewFrame { before: index, ..frame }, found)
    }

    fn meaning(&mut self, frame: &ViewFrame, found: &Let) -> Result<Typed, Error> {
        let mut value = self.in_frame(frame.clone(), &found.value)?;
        if let Some(pattern) = &found.base {
            value = self.base(&value, pattern)?;
        }
        let Some(when) = &found.when else { return Ok(value) };
        let there = self.in_frame(frame.clone(), when)?;
        let there = self.truth(there)?;
        let missing = Missing::Part(format!("it has no `{}`", found.name).into());
        self.only_if(there, value, missing, &frame.span)
    }

    /// `$n` and `$i` in an expression of a view.
    pub(super) fn dollar_in_view(&self, name: &str) -> Option<Typed> {
        let frame = self.frames.last()?;
        match name {
            "n" => frame.node.clone(),
            "i" => frame.number.clone(),
            _ => None,
        }
    }

    /// The type that a name means in an expression of a view: what its pattern
    /// calls so, or a type whose arguments have such names.
    pub(super) fn type_in_view(
        &self,
        name: &str,
        span: &Range<usize>,
    ) -> Result<Option<Arc<Type>>, Error> {
        let Some(frame) = self.frames.last() else { return Ok(None) };
        let Some(bound) = frame.fitted.bound(name) else {
            let spelled = frame.fitted.spelled(name);
            return if spelled == name {
                Ok(None)
            } else {
                self.type_of(frame, name, &spelled, span)
            };
        };
        match &bound.argument {
            Some(GenericArgument::Type(Some(link))) => self.follow(link, span).map(Some),
            Some(GenericArgument::Type(None)) => Ok(Some(Arc::new(Type::void()))),
            Some(GenericArgument::Number(_) | GenericArgument::Other) => Ok(None),
            None => match crate::parse::parse_type(&bound.text) {
                Ok(ty) => self.type_named(&ty, span).map(Some),
                Err(_) => self.type_of(frame, name, &bound.text, span),
            },
        }
    }

    /// The type with a name as debug information spells it, of several the one
    /// whose arguments are what the names of the pattern stand for.
    fn type_of(
        &self,
        frame: &ViewFrame,
        name: &str,
        spelled: &str,
        span: &Range<usize>,
    ) -> Result<Option<Arc<Type>>, Error> {
        let failed = |why| Error::new(span.clone(), why);
        let meant = frame.fitted.arguments_in(name);
        let Some(&near) = meant.first() else {
            // gcc says nothing of the arguments that are local to functions, and
            // spells those as no scope is called.
            for spelled in [spelled, &without_parameters(spelled)] {
                let own = self.scope.type_named(spelled).map_err(failed)?;
                if let Some(ty) = own.or_else(|| builtin::named(spelled)) {
                    return Ok(Some(ty));
                }
            }
            return Ok(None);
        };
        let mut found = self.scope.types_beside(spelled, near).map_err(failed)?;
        let best = found.iter().position(|ty| meant.iter().all(|&at| self.is_made_of(ty, at)));
        Ok((!found.is_empty()).then(|| found.swap_remove(best.unwrap_or(0))))
    }

    /// Whether a type, or a pointer to it, is an argument of another.
    fn is_made_of(&self, ty: &Type, argument: TypeRef) -> bool {
        let TypeKind::Record(record) = &ty.kind else { return false };
        let wanted = TypeLink::Lazy(argument);
        record.arguments.iter().any(|other| {
            let GenericArgument::Type(Some(link)) = other else { return false };
            let pointer = || self.scope.follow(link).ok();
            *link == wanted
                || pointer().is_some_and(|ty| match &ty.kind {
                    TypeKind::Pointer { target: Some(target), .. } => *target == wanted,
                    _ => false,
                })
        })
    }

    /// The view of an object's type, or of the nearest of its base classes, with
    /// the object as that.
    fn fitted(&mut self, object: &Typed) -> Result<Option<(Typed, Fitted)>, Error> {
        let mut object = object.clone();
        for _ in 0..limits::MAX_MEMBER_WALK {
            let Some(ty) = viewed(&object.ty, self.scope) else { return Ok(None) };
            match self.scope.views().fit(&ty, self.scope, &self.fitting) {
                Some(Ok(fitted)) => return Ok(Some((object, fitted))),
                Some(Err(why)) => {
                    let message = format!("the view of `{}` does not fit it: {}", ty.name, why.0);
                    return Err(Error::new(object.span, message));
                }
                None => {}
            }
            let TypeKind::Record(record) = &ty.kind else { return Ok(None) };
            let base = record.members.first().filter(|member| member.base_class);
            let Some(base) = base else { return Ok(None) };
            let base_ty = self.follow(&base.ty, &object.span)?;
            let Some(inner) = self.displaced_to(&object, base.offset, base_ty)? else {
                return Ok(None);
            };
            object = inner;
        }
        Ok(None)
    }

    /// A part of an object; `None` for what is no object.
    pub(super) fn displaced_to(
        &mut self,
        object: &Typed,
        offset: u64,
        ty: Arc<Type>,
    ) -> Result<Option<Typed>, Error> {
        let kind = match &object.kind {
            Kind::Memory { address, .. } => {
                let address = self.displaced(*address, offset, &object.span)?;
                Kind::Memory { address, bits: None }
            }
            Kind::Stored(stored) => stored.part(offset),
            _ => return Ok(None),
        };
        Ok(Some(Typed { kind, ty, span: object.span.clone() }))
    }

    /// The base class of an object, at any depth, that a pattern is for.
    fn base(&mut self, object: &Typed, pattern: &Pattern) -> Result<Typed, Error> {
        let span = object.span.clone();
        let ty = self.strip(&object.ty, &span)?;
        let mut budget = limits::MAX_RECORDS_SEARCHED;
        let Some((offset, base)) = self.find_base(&ty, pattern, &mut budget) else {
            let message = format!("`{}` has no base class `{}`", ty.name, pattern.text());
            return Err(Error::new(span, message));
        };
        let found = self.displaced_to(object, offset, base)?;
        found.ok_or_else(|| Error::new(span, "a computed value has no base classes"))
    }

    fn find_base(
        &self,
        ty: &Arc<Type>,
        pattern: &Pattern,
        budget: &mut usize,
    ) -> Option<(u64, Arc<Type>)> {
        *budget = budget.checked_sub(1)?;
        let TypeKind::Record(record) = &ty.kind else { return None };
        if pattern.matches(&Name::new(&ty.name), record).is_some() {
            return Some((0, ty.clone()));
        }
        for member in record.members.iter().filter(|member| member.base_class) {
            let inner = self.scope.follow(&member.ty).and_then(|ty| self.scope.strip(&ty));
            let Ok(inner) = inner else { continue };
            if let Some((offset, base)) = self.find_base(&inner, pattern, budget) {
                return Some((member.offset.saturating_add(offset), base));
            }
        }
        None
    }

    /// `object.name()`: what the object's view, or that of what it points to,
    /// calls so.
    pub(super) fn member_call(
        &mut self,
        object: &Expr,
        name: &str,
        name_span: &Range<usize>,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let object = self.expr(object)?;
        let mut object = self.through_pointers(object)?;
        let mut known = Vec::new();
        for _ in 0..limits::MAX_MEMBER_WALK {
            let Some((seen, fitted)) = self.fitted(&object)? else { break };
            if let Some((index, _)) = fitted.find_let(name, usize::MAX)
                && !name.starts_with('_')
            {
                let frame = ViewFrame::new(seen, fitted, span);
                return self.value_of_let(frame, index);
            }
            known.extend(fitted.names().map(|name| format!("`{name}()`")));
            let Some(inner) = self.within(&seen, &fitted, span)? else { break };
            object = self.through_pointers(inner)?;
        }
        if let TypeKind::Array { count: Count::Known(count), .. } =
            self.strip(&object.ty, span)?.kind
            && matches!(name, "len" | "size")
        {
            let node = self.constant(count, IntKind::U64, span)?;
            let ty = builtin::integer(IntKind::U64);
            return Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() });
        }
        if let Some(answer) = self.variant_asked_for(&object, name, span)? {
            return Ok(answer);
        }
        Err(self.no_call(&object, name, name_span, &known))
    }

    fn no_call(&self, object: &Typed, name: &str, span: &Range<usize>, known: &[String]) -> Error {
        let spelled = self.spell(&object.ty);
        let message = format!("`{spelled}` has no `{name}()` that needs no call");
        let error = Error::new(span.clone(), message);
        if known.is_empty() {
            return error.with_help(
                "an expression cannot call functions of the program: only what a view names",
            );
        }
        error.with_help(format!("its view has {}", known.join(", ")))
    }

    /// What an object stands for or points to, by its view.
    fn within(
        &mut self,
        object: &Typed,
        fitted: &Fitted,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        match &fitted.view.is {
            Some(is) => self.in_view(object, fitted, is).map(Some),
            None => self.target(object, fitted, span),
        }
    }

    /// What an object points to, by its view.
    fn target(
        &mut self,
        object: &Typed,
        fitted: &Fitted,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let Some((target, when)) = &fitted.view.target else { return Ok(None) };
        if let (Kind::Stored(_), ExprKind::Unary(UnaryOp::AddressOf, inside)) =
            (&object.kind, &target.root.kind)
        {
            // What is inside an object in registers has no address.
            let inside = Ast { root: (**inside).clone(), ..target.clone() };
            return self.in_view(object, fitted, &inside).map(Some);
        }
        let pointer = self.in_view(object, fitted, target)?;
        let found = self.dereference(pointer, span)?;
        let Some(when) = when else { return Ok(Some(found)) };
        let leads = self.in_view(object, fitted, when)?;
        let leads = self.truth(leads)?;
        let missing = Missing::Part("it leads nowhere".into());
        self.only_if(leads, found, missing, span).map(Some)
    }

    /// What a smart pointer points to; `None` for other objects.
    pub(super) fn pointed_to(
        &mut self,
        object: &Typed,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        match self.fitted(object) {
            Ok(Some((seen, fitted))) => self.target(&seen, &fitted, span),
            // Members are asked for far more often than views: whoever has a
            // view that does not fit is told so where its members are none.
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// What an object stands for by its view, and that by its view, and so on;
    /// most stand for themselves.
    fn stood_for(&mut self, object: &Typed) -> Result<Typed, Error> {
        let mut object = object.clone();
        for _ in 0..limits::MAX_VIEW_DEPTH {
            let Some((seen, fitted)) = self.fitted(&object)? else { return Ok(object) };
            let Some(is) = &fitted.view.is else { return Ok(object) };
            let inner = self.in_view(&seen, &fitted, is)?;
            object = self.through_references(inner)?;
        }
        Err(Error::new(object.span, "views that need each other too deeply"))
    }

    /// What a record is by its view where true or false is wanted.
    pub(super) fn viewed_truth(&mut self, object: &Typed) -> Result<Option<NodeId>, Error> {
        let object = self.through_references(object.clone())?;
        if !matches!(self.strip(&object.ty, &object.span)?.kind, TypeKind::Record(_)) {
            return Ok(None);
        }
        let object = self.stood_for(&object)?;
        let Some((object, fitted)) = self.fitted(&object)? else { return Ok(None) };
        let view = fitted.view.clone();
        let Some(truth) = &view.truth else { return Ok(None) };
        let truth = self.in_view(&object, &fitted, truth)?;
        self.truth(truth).map(Some)
    }

    /// The number that a record stands for; `None` where it stands for none.
    pub(super) fn number_stood_for(&mut self, object: &Typed) -> Result<Option<Rvalue>, Error> {
        let Ok(inner) = self.stood_for(object) else { return Ok(None) };
        match self.strip(&inner.ty, &inner.span)?.kind {
            TypeKind::Record(_) => Ok(None),
            _ => self.rvalue(inner).map(Some),
        }
    }

    /// The element of a container.
    pub(super) fn viewed_element(
        &mut self,
        object: &Typed,
        index: &Rvalue,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let mut object = object.clone();
        for _ in 0..limits::MAX_MEMBER_WALK {
            let Some((seen, fitted)) = self.fitted(&object)? else { break };
            for items in &fitted.view.clone().items {
                let Items::Elements(container) = items else { continue };
                if let Some(found) =
                    self.element_by(&container.walk, &seen, &fitted, index, span)?
                {
                    return Ok(found);
                }
            }
            let Some(inner) = self.within(&seen, &fitted, span)? else { break };
            object = self.through_references(inner)?;
            if !matches!(self.strip(&object.ty, span)?.kind, TypeKind::Record(_)) {
                return self.beside_target(&seen, &fitted, object, index, span);
            }
        }
        let message = format!("`{}` cannot be indexed", self.spell(&object.ty));
        Err(Error::new(span.clone(), message))
    }

    /// The element of an array that a smart pointer leads to, or that an object
    /// stands for.
    fn beside_target(
        &mut self,
        seen: &Typed,
        fitted: &Fitted,
        inner: Typed,
        index: &Rvalue,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let pointer = match (&fitted.view.is, &fitted.view.target) {
            (None, Some((target, _))) => self.in_view(seen, fitted, target)?,
            _ => inner,
        };
        let pointer = self.rvalue(pointer)?;
        self.element(&pointer, index, span)
    }

    /// The element that a way through a container finds by its number; `None`
    /// where it finds none so.
    fn element_by(
        &mut self,
        walk: &Walk,
        seen: &Typed,
        fitted: &Fitted,
        index: &Rvalue,
        span: &Range<usize>,
    ) -> Result<Option<Typed>, Error> {
        let (found, count) = match walk {
            Walk::Array { first, count } => {
                let first = self.in_view(seen, fitted, first)?;
                let first = self.rvalue(first)?;
                (self.element(&first, index, span)?, count)
            }
            Walk::Indexed { value, count, when: None } => {
                let mut frame = ViewFrame::new(seen.clone(), fitted.clone(), span);
                frame.number = Some(Typed {
                    kind: Kind::Word(index.node),
                    ty: index.ty.clone(),
                    span: span.clone(),
                });
                (self.in_frame(frame, value)?, count)
            }
            _ => return Ok(None),
        };
        let count = self.in_view(seen, fitted, count)?;
        let count = self.rvalue(count)?;
        self.within_bounds(found, index, &count, span).map(Some)
    }

    /// An element, if the index is one of the elements': what lies behind them
    /// may look like one.
    fn within_bounds(
        &mut self,
        found: Typed,
        index: &Rvalue,
        count: &Rvalue,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let index = self.at_sort(index.node, Sort::ADDRESS, span)?;
        let count = self.at_sort(count.node, Sort::ADDRESS, span)?;
        if let (Some(index), Some(count)) = (self.known(index), self.known(count)) {
            if index < count {
                return Ok(found);
            }
            let message = format!("there is no element {index}: there are {count}");
            return Err(Error::new(span.clone(), message));
        }
        let inside = self.push(Op::Compare(Comparison::Lt, index, count), Sort::BOOL, span)?;
        self.only_if(inside, found, Missing::Element { index, count }, span)
    }

    /// Whether both are records that are texts.
    pub(super) fn are_texts(&mut self, a: &Typed, b: &Typed) -> Result<bool, Error> {
        for object in [a, b] {
            let object = self.through_references(object.clone())?;
            let is_record =
                matches!(self.strip(&object.ty, &object.span)?.kind, TypeKind::Record(_));
            if !is_record || !matches!(self.viewed_text(&object), Ok(Some(_))) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The text that an object is by its view; `None` when it is none.
    pub(super) fn viewed_text(&mut self, object: &Typed) -> Result<Option<Text>, Error> {
        let object = self.stood_for(object)?;
        let Some((object, fitted)) = self.fitted(&object)? else { return Ok(None) };
        let object = &object;
        let view = fitted.view.clone();
        let Some(text) = &view.text else { return Ok(None) };
        let data = self.in_view(object, &fitted, &text.data)?;
        let data = self.rvalue(data)?;
        let of_bytes = match &data.scalar {
            Scalar::Pointer(Some(target)) => {
                layout::is_text_byte(&*self.strip(target, &object.span)?)
            }
            _ => false,
        };
        if !of_bytes {
            let message = "only texts of single bytes can be compared";
            return Err(Error::new(object.span.clone(), message));
        }
        let Some(count) = &text.count else {
            return Ok(Some(Text::Terminated { address: data.node, capacity: None }));
        };
        let count = self.in_view(object, &fitted, count)?;
        let count = self.rvalue(count)?;
        let len = self.at_sort(count.node, Sort::Int(IntKind::U64), &object.span)?;
        Ok(Some(Text::Counted { address: data.node, len }))
    }
}

/// A path without the parameters of functions in it: `f(int)::Local` as
/// `f::Local`.
fn without_parameters(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(close) = rest.find(")::") {
        let before = &rest[..close];
        out.push_str(before.rfind('(').map_or(before, |open| &before[..open]));
        rest = &rest[close + 1..];
    }
    out + rest
}

/// The number that a template argument is.
fn number_of(bound: &Bound) -> Option<u64> {
    match &bound.argument {
        Some(GenericArgument::Number(number)) => u64::try_from(*number).ok(),
        Some(_) => None,
        None => {
            let digits = bound.text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            digits.parse().ok()
        }
    }
}
