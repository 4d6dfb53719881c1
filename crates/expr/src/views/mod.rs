//! Views: how values of library types are shown and what may be asked of them,
//! declared in data.
//!
//! A view is for the types whose names fit its pattern. It names what it
//! computes of an object (`let`), says when an object can be one at all
//! (`valid`), how it is summed up (`show`) and what is in it (`text`, `item`,
//! `array`, `list`, ...). Expressions are those of the language; names in them
//! are the object's members, what the view named before, and what its pattern
//! calls the template arguments. `docs/views.md` describes the format.
//!
//! What a view names can be called in expressions (`v.size()`), compiled like
//! everything else. Showing is the business of [`crate::format`].

use std::sync::{Arc, OnceLock};

use trapline_core::types::{GenericArgument, ResolveType, Type, TypeKind, TypeLink, TypeRef};

use crate::ast::Ast;
use crate::scope::Scope;
use crate::template::Segment;

mod parse;
pub(crate) mod pattern;
pub(crate) mod seen;

use pattern::{Bound, Name, Pattern};

/// The views that there are, those tried first in front.
#[derive(Clone, Default, Debug)]
pub struct Views {
    views: Arc<Vec<Arc<View>>>,
}

/// Views in a file that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewError {
    /// Where: `file:line`.
    pub at: String,
    /// A sentence without a full stop.
    pub message: String,
}

impl std::fmt::Display for ViewError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

impl std::error::Error for ViewError {}

/// How values of some types are seen.
#[derive(Debug)]
pub(crate) struct View {
    /// `file:line`.
    pub(crate) at: String,
    pub(crate) pattern: Pattern,
    pub(crate) lets: Vec<Let>,
    /// What the arguments of a part's type are called.
    pub(crate) matches: Vec<(Ast, Pattern)>,
    /// What holds of every object that is one, and what to say of others.
    pub(crate) valid: Vec<(Ast, String)>,
    pub(crate) shows: Vec<Show>,
    pub(crate) text: Option<TextOf>,
    /// What the object stands for.
    pub(crate) is: Option<Ast>,
    /// What it is where true or false is wanted.
    pub(crate) truth: Option<Ast>,
    /// What the object points to, for `*` and `->`: a pointer, and when it leads
    /// anywhere.
    pub(crate) target: Option<(Ast, Option<Ast>)>,
    pub(crate) items: Vec<Items>,
}

impl View {
    /// A view that says nothing yet.
    fn new(at: String, pattern: Pattern) -> Self {
        Self {
            at,
            pattern,
            lets: Vec::new(),
            matches: Vec::new(),
            valid: Vec::new(),
            shows: Vec::new(),
            text: None,
            is: None,
            truth: None,
            target: None,
            items: Vec::new(),
        }
    }
}

/// A named part of a view.
#[derive(Debug)]
pub(crate) struct Let {
    /// One that begins with `_` is the view's own.
    pub(crate) name: String,
    pub(crate) value: Ast,
    /// Which base class of the value is meant, when not the whole.
    pub(crate) base: Option<Pattern>,
    /// When there is one.
    pub(crate) when: Option<Ast>,
}

/// A summary, and when it is the one.
#[derive(Debug)]
pub(crate) struct Show {
    pub(crate) message: Vec<Segment>,
    pub(crate) when: Option<Ast>,
}

/// A text's first character, and how many there are where no zero ends it.
#[derive(Debug)]
pub(crate) struct TextOf {
    pub(crate) data: Ast,
    pub(crate) count: Option<Ast>,
}

/// What is in an object.
#[derive(Debug)]
pub(crate) enum Items {
    /// One thing with a name.
    One { name: String, value: Ast, when: Option<Ast> },
    /// Every member of this name, those of the outermost base class first.
    Every(String),
    /// The one whose type is the template argument of this number.
    Chosen { index: Ast, data: Ast },
    /// The elements of a container.
    Elements(Box<Container>),
}

/// Elements, and how they are told apart.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) walk: Walk,
    /// What stands before each as its key.
    pub(crate) key: Option<Ast>,
    pub(crate) labels: Labels,
}

/// What stands before each element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Labels {
    None,
    /// `[3] = `.
    Numbers,
}

/// How the elements of a container are found. In the expressions for one
/// element `$n` is its node and `$i` its number.
#[derive(Debug)]
pub(crate) enum Walk {
    /// One after the other in memory.
    Array { first: Ast, count: Ast },
    /// By number; those for which `when` does not hold are left out.
    Indexed { count: Ast, value: Ast, when: Option<Ast> },
    /// From node to node, until null or `end`.
    List { first: Ast, next: Ast, end: Option<Ast>, count: Option<Ast>, value: Ast },
    /// In order, smallest first.
    Tree { root: Ast, left: Ast, right: Ast, count: Ast, value: Ast },
    /// A B-tree in order: nodes of `length` elements, with as many children and
    /// one more unless their height is 0.
    Multiway { root: Ast, height: Ast, length: Ast, child: Ast, count: Ast, value: Ast },
}

/// A view, fitted to a type.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) view: Arc<View>,
    /// What the names of its patterns stand for.
    pub(crate) bound: Arc<Vec<Bound>>,
    /// Which of the lets have a meaning in this type, by number.
    pub(crate) lets: Arc<Vec<usize>>,
}

/// Why no view fits a type that is one of those a view is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unfit(pub(crate) String);

impl Views {
    /// Those that come with the program.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Views> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            let mut views = Self::default();
            for (name, text) in FILES {
                // A test reads them all; what could not be read is not there.
                let _ = views.add(name, text);
            }
            views
        })
    }

    /// No views.
    pub fn none() -> &'static Self {
        static NONE: OnceLock<Views> = OnceLock::new();
        NONE.get_or_init(Self::default)
    }

    /// Adds the views of a file, to be tried before those that are there, and
    /// says how many they are.
    ///
    /// # Errors
    /// Which line is wrong, and why; none is added then.
    pub fn add(&mut self, file: &str, text: &str) -> Result<usize, ViewError> {
        let new = parse::parse(file, text)?;
        let count = new.len();
        Arc::make_mut(&mut self.views).splice(0..0, new.into_iter().map(Arc::new));
        Ok(count)
    }

    /// The patterns of the types that there are views for, in the order in which
    /// they are tried, each with the place where it is written: `file:line`.
    pub fn patterns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.views.iter().map(|view| (view.pattern.text(), view.at.as_str()))
    }

    /// The view of a type, its aliases taken off; `None` where no view is for
    /// it. `within` are the types that are being fitted for which it is asked.
    pub(crate) fn fit(
        &self,
        ty: &Arc<Type>,
        scope: &dyn Scope,
        within: &[Arc<Type>],
    ) -> Option<Result<Fitted, Unfit>> {
        let TypeKind::Record(record) = &ty.kind else { return None };
        if ty.name.is_empty() || record.declaration {
            return None;
        }
        if within.iter().any(|outer| outer.name == ty.name) {
            let why = format!("a view of `{}` asks for the view of the same", ty.name);
            return Some(Err(Unfit(why)));
        }
        let mut unfit = None;
        let name = Name::new(&ty.name);
        for view in self.views.iter() {
            let Some(bound) = view.pattern.matches(&name, record) else { continue };
            match crate::check::fit(view, bound, ty, scope, within) {
                Ok(fitted) => return Some(Ok(fitted)),
                Err(why) => unfit = unfit.or(Some(Unfit(format!("{}: {why}", view.at)))),
            }
        }
        unfit.map(Err)
    }
}

impl Fitted {
    /// The one of its lets that has a name, and its place among them.
    pub(crate) fn find_let(&self, name: &str, before: usize) -> Option<(usize, &Let)> {
        let fitting = self.lets.iter().take_while(|&&index| index < before);
        let mut named = fitting.filter_map(|&index| Some((index, self.view.lets.get(index)?)));
        named.find(|(_, found)| found.name == name)
    }

    /// The names that can be called.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let lets = self.lets.iter().filter_map(|&index| self.view.lets.get(index));
        lets.map(|it| it.name.as_str()).filter(|name| !name.starts_with('_'))
    }

    /// The types that names in a type's name stand for.
    pub(crate) fn arguments_in(&self, name: &str) -> Vec<TypeRef> {
        let words = name.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        let types = words.filter_map(|word| match self.bound(word)?.argument {
            Some(GenericArgument::Type(Some(TypeLink::Lazy(at)))) => Some(at),
            _ => None,
        });
        types.collect()
    }

    pub(crate) fn bound(&self, name: &str) -> Option<&Bound> {
        self.bound.iter().find(|bound| bound.name == name)
    }

    /// A type's name with what the patterns' names stand for put in.
    pub(crate) fn spelled(&self, name: &str) -> String {
        let mut out = String::with_capacity(name.len());
        let mut rest = name;
        while let Some(start) = rest.find(is_word) {
            let (before, from) = rest.split_at(start);
            let len = from.find(|c| !is_word(c)).unwrap_or(from.len());
            let (word, after) = from.split_at(len);
            out.push_str(before);
            out.push_str(self.bound(word).map_or(word, |bound| &bound.text));
            rest = after;
        }
        out + rest
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What a type is called without aliases and qualifiers, for views.
pub(crate) fn viewed(ty: &Arc<Type>, types: &dyn ResolveType) -> Option<Arc<Type>> {
    types.strip(ty).ok().filter(|ty| matches!(ty.kind, TypeKind::Record(_)))
}

const FILES: [(&str, &str); 2] = [
    ("libstdcxx.views", include_str!("data/libstdcxx.views")),
    ("rust.views", include_str!("data/rust.views")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_views_that_come_along_can_be_read() {
        for (name, text) in FILES {
            let mut views = Views::default();
            assert!(views.add(name, text).unwrap() > 10);
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_line() {
        let check = |text: &str, expected: &str| {
            let told = Views::default().add("x.views", text).map_err(|why| why.to_string());
            assert_eq!(told, Err(expected.to_owned()), "{text}");
        };
        check("let a = 1", "x.views:1: `let` stands before the first `view`");
        check("view a\n  lot b = 1", "x.views:2: `lot` is no word of views");
        check("view a\n  let b", "x.views:2: expected `let NAME = EXPRESSION`");
        check("view a\n  let b = 1 +", "x.views:2: expected an expression, found end");
        check("view a\n  array\n  count 1\n", "x.views:2: `array` needs `first`");
        check("view a\n  array\n  left 1", "x.views:3: `left` is not of `array`");
        check("view a\n  array\n  first 1\n  first 2", "x.views:4: a second `first`");
        check("view a\n  first 1", "x.views:2: `first` is not of `view`");
        check("view a\n  show \"{b\"", "x.views:2: a `{` without its `}`");
        check("view a\n  show b", "x.views:2: expected a text in quotes");
        check("view", "x.views:1: a pattern needs a type's name");
    }
}
