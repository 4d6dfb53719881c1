//! Texts: string equality and `$_changed`.

use std::ops::Range;

use trapline_core::types::TypeKind;

use super::scalar::Scalar;
use super::{Checker, Kind, Typed};
use crate::ast::{BinaryOp, Expr};
use crate::error::Error;
use crate::ir::{NodeId, Object, Op, Sort, Text};
use crate::layout;

impl Checker<'_> {
    /// `a == "text"`, `$_thread_name != "text"`.
    pub(super) fn text_comparison(
        &mut self,
        op: BinaryOp,
        a: &Typed,
        b: &Typed,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        if !matches!(op, BinaryOp::Equal | BinaryOp::NotEqual) {
            return Err(Error::new(span.clone(), "texts can only be compared with `==` and `!=`"));
        }
        let mut node = self.texts_equal(a.clone(), b.clone(), span)?;
        if op == BinaryOp::NotEqual {
            node = self.push(Op::IsZero(node), Sort::BOOL, span)?;
        }
        Ok(self.boolean(node, span))
    }

    /// `$_streq(a, b)`.
    pub(super) fn streq(
        &mut self,
        a: &Expr,
        b: &Expr,
        span: &Range<usize>,
    ) -> Result<NodeId, Error> {
        let (a, b) = (self.expr(a)?, self.expr(b)?);
        self.texts_equal(a, b, span)
    }

    fn texts_equal(&mut self, a: Typed, b: Typed, span: &Range<usize>) -> Result<NodeId, Error> {
        let a = self.text(a)?;
        let b = self.text(b)?;
        self.push(Op::TextEqual(Box::new([a, b])), Sort::BOOL, span)
    }

    /// A subexpression as a text.
    pub(super) fn text(&mut self, typed: Typed) -> Result<Text, Error> {
        if let Kind::Text(text) = typed.kind {
            return Ok(text);
        }
        let (typed, stripped) = self.beyond_references(typed)?;
        let span = typed.span.clone();
        match &stripped.kind {
            TypeKind::Array { count, .. } => {
                // One of no length ends where its text does.
                let count = count.known().filter(|count| *count > 0);
                self.terminated(typed, count)
            }
            TypeKind::Pointer { target: Some(link), .. } => {
                let target = self.follow(link, &span)?;
                match self.strip(&target, &span)?.kind {
                    TypeKind::Record(_) => {
                        let object = self.dereference(typed, &span)?;
                        self.counted(&object)
                    }
                    _ => self.terminated(typed, None),
                }
            }
            TypeKind::Record(_) => self.counted(&typed),
            _ => Err(self.no_text(&typed)),
        }
    }

    fn no_text(&self, typed: &Typed) -> Error {
        let message = format!("`{}` is no text", self.spell(&typed.ty));
        Error::new(typed.span.clone(), message)
            .with_help("texts are `char *`, `char [N]`, `&str`, `String` and `std::string`")
    }

    fn terminated(&mut self, typed: Typed, capacity: Option<u64>) -> Result<Text, Error> {
        let pointer = self.rvalue(typed.clone()).map_err(|_| self.no_text(&typed))?;
        if let Scalar::Pointer(Some(target)) = &pointer.scalar
            && layout::is_text_byte(&*self.strip(target, &typed.span)?)
        {
            return Ok(Text::Terminated { address: pointer.node, capacity });
        }
        Err(self.no_text(&typed))
    }

    /// A record that its view says to be a text.
    fn counted(&mut self, object: &Typed) -> Result<Text, Error> {
        self.viewed_text(object)?.ok_or_else(|| self.no_text(object))
    }

    /// `$_changed(e)`.
    pub(super) fn changed(&mut self, only: &Expr, span: &Range<usize>) -> Result<NodeId, Error> {
        let typed = self.expr(only)?;
        let typed = self.through_references(typed)?;
        if self.is_open_ended(&typed.ty, &typed.span)? {
            return Err(Error::new(typed.span, "`$_changed` needs a value of a known size")
                .with_help("name a part of it, with `[index]` or `[first]@count`"));
        }
        let (object, _) = self.whole(typed)?;
        if let Object::Repeated { .. } = object {
            return Err(Error::new(span.clone(), "`$_changed` needs a value of a known size"));
        }
        let slot = self.slots;
        self.slots += 1;
        self.push(Op::Changed { slot, object: Box::new(object) }, Sort::BOOL, span)
    }
}
