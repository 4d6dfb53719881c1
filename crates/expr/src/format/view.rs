//! Values as their views have them: texts, summaries, what is in containers.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::types::{Record, Type, TypeKind};

use super::{Context, FormatOptions, Formatter, Letter, OPTIMIZED_OUT, Present, quote, wide};
use crate::ast::{Ast, ExprKind};
use crate::template::Segment;
use crate::value::Value;
use crate::views::seen::{Element, Elements, Seen, Unseen};
use crate::views::{Items, Labels, Show, TextOf, viewed};

/// Most elements that are shown of all containers of one value.
const MOST_ELEMENTS: usize = 4000;

/// Most bytes of a character.
const MAX_CHARACTER: u64 = 4;

impl Formatter<'_> {
    /// Writes a record as its view has it. False when it has none; when one
    /// does not fit, that is written, too.
    pub(super) fn by_view(&mut self, ty: &Arc<Type>, bytes: &[u8], context: Context) -> bool {
        if self.options.raw || self.present(context, bytes.len()) == Present::None {
            return false;
        }
        if context.depth > self.options.depth {
            self.out.push_str("{...}");
            return true;
        }
        let fitted = match self.scope.views().fit(ty, self.scope, &[]) {
            None => return false,
            Some(Ok(fitted)) => fitted,
            Some(Err(why)) => return self.not_by_view(&why.0),
        };
        let start = self.out.len();
        let (scope, memory) = (self.scope, self.memory);
        let missing = self.missing_in(context, bytes.len());
        let seen = Seen::new(scope, memory, (ty, bytes, context.at), missing, fitted);
        match self.seen(ty, bytes, &seen, context) {
            Ok(()) => true,
            Err(Unseen::Missing) => {
                self.out.truncate(start);
                false
            }
            Err(Unseen::Unfit(why) | Unseen::Fault(why)) => {
                self.out.truncate(start);
                self.not_by_view(&why)
            }
        }
    }

    /// Which of so many bytes at the place at hand are nowhere.
    fn missing_in(&self, context: Context, len: usize) -> Vec<Range<usize>> {
        let Some(start) = context.offset else { return Vec::new() };
        let end = start.saturating_add(len);
        let holes = self.missing.iter().map(|hole| hole.start.max(start)..hole.end.min(end));
        let holes = holes.filter(|hole| hole.start < hole.end);
        holes.map(|hole| hole.start - start..hole.end - start).collect()
    }

    fn not_by_view(&mut self, why: &str) -> bool {
        self.note(why);
        self.out.push(' ');
        false
    }

    fn seen(
        &mut self,
        ty: &Arc<Type>,
        bytes: &[u8],
        seen: &Seen<'_>,
        context: Context,
    ) -> Result<(), Unseen> {
        let view = seen.fitted.view.clone();
        for (condition, otherwise) in &view.valid {
            if !seen.holds(condition)? {
                return Err(Unseen::Fault(otherwise.clone()));
            }
        }
        if let Some(text) = &view.text {
            return self.text(seen, text);
        }
        if view.shows.is_empty() && view.items.is_empty() && view.is.is_none() {
            // It only says what may be asked.
            if let TypeKind::Record(record) = &ty.kind {
                self.record_as_it_is(ty, record, bytes, context);
            }
            return Ok(());
        }
        if let Some(is) = &view.is {
            let inner = seen.value(is)?;
            self.nested(&inner, context);
            return Ok(());
        }
        let start = self.out.len();
        self.summary(seen, &view.shows, context)?;
        if context.depth >= self.options.depth {
            self.out.push_str(if self.out.len() > start { " = {...}" } else { "{...}" });
            return Ok(());
        }
        let mut list = List { separator: self.out.len() > start, written: 0 };
        for items in &view.items {
            self.items(&mut list, (ty, bytes), seen, items, context)?;
        }
        list.close(self, context);
        Ok(())
    }

    /// A value that is a part of what is shown.
    fn nested(&mut self, value: &Value, context: Context) {
        let at = value.address();
        let inside = Context { depth: context.depth + 1, at, offset: None, top: false };
        self.value(&value.ty, value.bytes.as_ref(), inside);
    }

    fn summary(&mut self, seen: &Seen<'_>, shows: &[Show], context: Context) -> Result<(), Unseen> {
        for show in shows {
            if let Some(when) = &show.when
                && !seen.holds(when)?
            {
                continue;
            }
            for segment in &show.message {
                match segment {
                    Segment::Text(text) => self.out.push_str(text),
                    Segment::Expression { ast, letter, .. } => {
                        if let Some(text) = called(seen, ast) {
                            self.out.push_str(&text);
                            continue;
                        }
                        let value = seen.value(ast)?;
                        self.in_format(*letter, &value, context);
                    }
                    Segment::Macro(_) => {}
                }
            }
            return Ok(());
        }
        Ok(())
    }

    /// A value in a format of its own.
    fn in_format(&mut self, letter: Option<Letter>, value: &Value, context: Context) {
        let options = FormatOptions { letter, ..*self.options };
        let (scope, memory, out) = (self.scope, self.memory, std::mem::take(&mut self.out));
        let shown = std::mem::take(&mut self.shown);
        let (missing, synthetic) = (&[][..], &[][..]);
        let mut inner =
            Formatter { scope, memory, options: &options, missing, synthetic, shown, out };
        inner.nested(value, context);
        self.shown = inner.shown;
        self.out = inner.out;
    }

    fn text(&mut self, seen: &Seen<'_>, text: &TextOf) -> Result<(), Unseen> {
        let data = seen.value(&text.data)?;
        let unfit = || Unseen::Unfit(format!("`{}` points to no text", text.data.source));
        let character = self.target_of(&data).ok_or_else(unfit)?;
        let width = character.size.filter(|size| (1..=MAX_CHARACTER).contains(size));
        let width = width.ok_or_else(unfit)? as usize;
        let start = VirtAddr::new(data.to_u64().ok_or_else(unfit)?);
        let max = self.options.max_elements;
        let Some(count) = &text.count else {
            let text = seen.memory().read_c_string(start, max.saturating_add(1));
            match text {
                Ok(text) => self.out.push_str(&quote::string(&text, max, false)),
                Err(error) => self.note(&format!("error: {error}")),
            }
            return Ok(());
        };
        let count = seen.number(count)?;
        let len = u64::try_from(count);
        let len = len.map_err(|_| Unseen::Fault(format!("a text of {count} characters")))?;
        let shown = usize::try_from(len).unwrap_or(usize::MAX).min(max);
        let mut bytes = vec![0; shown * width];
        let cut = len > shown as u64;
        match seen.memory().read_exact(start, &mut bytes) {
            Ok(()) if width == 1 => self.out.push_str(&quote::string(&bytes, max, cut)),
            Ok(()) => {
                let prefix = wide::prefix(&character.name).unwrap_or_default();
                self.out.push_str(&wide::string(&bytes, width, prefix, cut));
            }
            Err(error) => self.note(&format!("error: {error}")),
        }
        Ok(())
    }

    /// What a pointer points to, its aliases taken off.
    fn target_of(&self, pointer: &Value) -> Option<Arc<Type>> {
        let stripped = self.scope.strip(&pointer.ty).ok()?;
        let TypeKind::Pointer { target: Some(link), .. } = &stripped.kind else { return None };
        self.scope.strip(&self.scope.follow(link).ok()?).ok()
    }

    fn items(
        &mut self,
        list: &mut List,
        (ty, bytes): (&Arc<Type>, &[u8]),
        seen: &Seen<'_>,
        items: &Items,
        context: Context,
    ) -> Result<(), Unseen> {
        match items {
            Items::One { name, value, when } => {
                if let Some(when) = when
                    && !seen.holds(when)?
                {
                    return Ok(());
                }
                let value = seen.value(value)?;
                list.next(self, context);
                if !name.is_empty() {
                    let _ = write!(self.out, "{name} = ");
                }
                self.nested(&value, context);
            }
            Items::Every(name) => {
                for (number, (ty, offset)) in self.every(ty, name).into_iter().enumerate() {
                    let size = ty.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
                    let end = offset.checked_add(size);
                    let part = end.and_then(|end| bytes.get(offset..end));
                    let part = part.ok_or_else(|| Unseen::Unfit("outside the record".into()))?;
                    list.next(self, context);
                    let _ = write!(self.out, "[{number}] = ");
                    let inside = context.inside(offset as u64);
                    self.value(&ty, part, Context { offset: None, ..inside });
                }
            }
            Items::Chosen { index, data } => {
                let chosen = usize::try_from(seen.number(index)?);
                let Some(ty) = chosen.ok().and_then(|index| seen.argument(index)) else {
                    return Ok(());
                };
                let address = seen.value(data)?.to_u64().unwrap_or(0);
                let value = seen.object(&ty, VirtAddr::new(address))?;
                list.next(self, context);
                self.nested(&value, context);
            }
            Items::Elements(container) => {
                // gdb counts keys and values.
                let keyed = container.key.is_some();
                let max = self.options.max_elements / if keyed { 2 } else { 1 };
                let left = MOST_ELEMENTS.saturating_sub(self.shown.elements);
                let elements = seen.elements(container, max.min(left))?;
                self.shown.elements += elements.found.len();
                self.elements_of(list, elements, container.labels, context)?;
            }
        }
        Ok(())
    }

    fn elements_of(
        &mut self,
        list: &mut List,
        elements: Elements,
        labels: Labels,
        context: Context,
    ) -> Result<(), Unseen> {
        let Elements { found, more, broken } = elements;
        let said = found.last().is_some_and(|element| element.value.is_err());
        for element in found {
            list.next(self, context);
            self.element(element, labels, context)?;
        }
        if let Some(why) = broken.filter(|_| !said) {
            list.next(self, context);
            self.unseen(why)?;
        } else if more {
            self.out.push_str("...");
        }
        Ok(())
    }

    fn element(
        &mut self,
        element: Element,
        labels: Labels,
        context: Context,
    ) -> Result<(), Unseen> {
        match element.key {
            Some(key) => {
                self.out.push('[');
                self.value_or_why(key, context)?;
                self.out.push_str("] = ");
            }
            None if labels == Labels::Numbers => {
                let _ = write!(self.out, "[{}] = ", element.number);
            }
            None => {}
        }
        self.value_or_why(element.value, context)
    }

    fn value_or_why(
        &mut self,
        value: Result<Value, Unseen>,
        context: Context,
    ) -> Result<(), Unseen> {
        match value {
            Ok(value) => self.nested(&value, context),
            Err(why) => self.unseen(why)?,
        }
        Ok(())
    }

    /// What of an object cannot be read stands in its place; a view that is not
    /// for it is not to be used at all.
    fn unseen(&mut self, why: Unseen) -> Result<(), Unseen> {
        match why {
            Unseen::Unfit(_) => Err(why),
            Unseen::Missing => {
                self.note(OPTIMIZED_OUT);
                Ok(())
            }
            Unseen::Fault(why) => {
                self.note(&format!("error: {why}"));
                Ok(())
            }
        }
    }

    /// Where the members of a name are in a type and its bases, those of the
    /// outermost first.
    fn every(&self, ty: &Arc<Type>, name: &str) -> Vec<(Arc<Type>, usize)> {
        let mut found = Vec::new();
        let mut budget = crate::limits::MAX_RECORDS_SEARCHED;
        if let TypeKind::Record(record) = &ty.kind {
            self.collect(record, name, 0, &mut budget, &mut found);
        }
        found.reverse();
        found
    }

    fn collect(
        &self,
        record: &Record,
        name: &str,
        start: usize,
        budget: &mut usize,
        found: &mut Vec<(Arc<Type>, usize)>,
    ) {
        let Some(left) = budget.checked_sub(1) else { return };
        *budget = left;
        for member in &record.members {
            let Ok(ty) = self.scope.follow(&member.ty).and_then(|ty| self.scope.strip(&ty)) else {
                continue;
            };
            let offset = start.saturating_add(usize::try_from(member.offset).unwrap_or(usize::MAX));
            match &ty.kind {
                _ if member.name == name => found.push((ty, offset)),
                TypeKind::Record(base) if member.base_class => {
                    self.collect(base, name, offset, budget, found);
                }
                _ => {}
            }
        }
    }

    /// Whether what a reference refers to is shown by a view: then it is shown
    /// without its address, as if it stood there itself.
    pub(super) fn has_view(&self, ty: &Arc<Type>) -> bool {
        let ty = viewed(ty, self.scope);
        !self.options.raw
            && ty.is_some_and(|ty| self.scope.views().fit(&ty, self.scope, &[]).is_some())
    }
}

/// What everybody knows by another name.
const STRING: &str =
    "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";

/// How the type is spelled that a name of the view's pattern stands for.
fn called(seen: &Seen<'_>, ast: &Ast) -> Option<String> {
    let ExprKind::Path(path) = &ast.root.kind else { return None };
    let text = &seen.fitted.bound(path.as_simple()?)?.text;
    Some(text.replace(STRING, "std::string").replace("> >", ">>"))
}

/// Things in braces: none, where nothing is in them.
struct List {
    /// Whether a summary stands before them.
    separator: bool,
    written: usize,
}

impl List {
    fn next(&mut self, formatter: &mut Formatter<'_>, context: Context) {
        if self.written == 0 {
            formatter.out.push_str(if self.separator { " = {" } else { "{" });
        }
        formatter.separate(self.written, context);
        self.written += 1;
    }

    fn close(&self, formatter: &mut Formatter<'_>, context: Context) {
        if self.written == 0 {
            if !self.separator {
                formatter.out.push_str("{}");
            }
            return;
        }
        if formatter.options.pretty {
            formatter.new_line(context.depth);
        }
        formatter.out.push('}');
    }
}
