//! The variables in scope at an address.

use std::collections::HashSet;

use gimli::DwTag;
use gimli::constants as dw;
use trapline_core::ImageAddr;
use trapline_core::location::Program;
use trapline_core::types::{Language, Type, TypeLink};

use super::{Variable, VariableKind, decl_line, place_of};
use crate::code::is_gcc;
use crate::location::{self, Doing, Scene};
use crate::types::copying::{by_bytes, holds_vectors};
use crate::types::die::Die;
use crate::types::size::strip;
use crate::types::type_link;
use crate::units::DieRef;
use crate::{Image, PcKind, dies};

/// Entries of a function that a copy may leave out.
const MAX_LEFT_OUT: usize = 10_000;
/// Scopes in one another.
const MAX_DEPTH: u32 = 256;

impl Image {
    /// The variables whose scope holds `pc`, innermost scope first and in
    /// source order within each; scopes of inlined calls are included, up to
    /// the function that the code was compiled into.
    ///
    /// Where a breakpoint on the function itself stops, nothing within it has
    /// been entered: the variables of an inlined call that is entered there or
    /// later come last.
    ///
    /// `pc` and `kind` are a frame's; a place that no frame stands at is
    /// [`PcKind::Exact`].
    pub fn variables_at(&self, pc: ImageAddr, kind: PcKind) -> Vec<Variable> {
        self.variables_where(pc, kind, &|_, _| true)
    }

    /// The variables that a name means at `pc`, as in [`Self::variables_at`];
    /// the places of others, costly in large functions, are not worked out.
    pub fn variables_named_at(&self, pc: ImageAddr, kind: PcKind, name: &str) -> Vec<Variable> {
        self.variables_where(pc, kind, &|_, other| other == name)
    }

    fn variables_where(&self, pc: ImageAddr, kind: PcKind, wanted: Wanted<'_>) -> Vec<Variable> {
        let pc = kind.lookup(pc);
        let Some(function) = self.function_entry_at(pc) else { return Vec::new() };
        let at_start = self.function_at(pc).is_some_and(|it| it.prologue_end == pc);
        self.in_scene(&function, pc, doing(&function, kind), |scene| {
            let (scopes, not_entered) = (Vec::new(), Vec::new());
            let mut walk = Walk { pc: pc.get(), at_start, scene, wanted, scopes, not_entered };
            walk.scope(&function, At::default());
            walk.scopes.into_iter().rev().chain(walk.not_entered).flatten().collect()
        })
    }

    /// Does what needs to know what descriptions mean in a function at `pc`.
    pub(super) fn in_scene<T>(
        &self,
        function: &Die<'_>,
        pc: ImageAddr,
        doing: Doing,
        work: impl FnOnce(Scene<'_>) -> T,
    ) -> T {
        let cfa = self.cfa_rule_at(pc);
        let mut scene = Scene {
            unit: Some((self.units(), function.at.unit)),
            encoding: function.unit.encoding(),
            module: self.module(),
            cfa: cfa.as_ref(),
            frame_base: None,
            doing,
            behind: 0,
        };
        let base =
            location::frame_base(self.units(), function.at, &function.entry, pc.get(), scene);
        scene.frame_base = base.as_ref();
        work(scene)
    }

    /// What the function around `pc` returns, `void` included; `None` without
    /// debug information.
    pub fn function_result_at(&self, pc: ImageAddr) -> Option<FunctionResult> {
        let function = self.function_entry_at(pc)?;
        let Some(at) = function.inherited(Die::type_reference) else {
            let ty = TypeLink::Known(std::sync::Arc::new(Type::void()));
            return Some(FunctionResult { ty, passing: Passing::ByClass });
        };
        let ty = type_link(self.module(), at);
        Some(FunctionResult { ty, passing: self.passing(&function, at) })
    }

    /// How a function hands out values of a type.
    fn passing(&self, function: &Die<'_>, ty: DieRef) -> Passing {
        if !dies::language(function.unit).is_some_and(|it| dies::is_c(it) || dies::is_cpp(it)) {
            return Passing::Unknown;
        }
        match strip(self.units(), ty) {
            Some(die) if holds_vectors(&die, self.units()) => Passing::Unknown,
            Some(die) if !by_bytes(&die, self.units()) => Passing::InMemory,
            _ => Passing::ByClass,
        }
    }

    /// Computes the canonical frame address in a frame that stands at `pc`;
    /// `None` where nothing says how.
    pub fn cfa_rule_at(&self, pc: ImageAddr) -> Option<Program> {
        crate::unwind::cfa_program(self.cfi(), pc)
    }

    /// The language that the function at a place is written in; `None` where no
    /// function is described.
    pub fn language_at(&self, pc: ImageAddr) -> Option<Language> {
        self.function_entry_at(pc).map(|function| dies::style(function.unit))
    }

    pub(super) fn function_entry_at(&self, pc: ImageAddr) -> Option<Die<'_>> {
        Die::open(self.units(), self.function_die_at(pc.get())?)
    }
}

/// What a frame of a function does at a pc of this kind.
pub(super) fn doing(function: &Die<'_>, kind: PcKind) -> Doing {
    match kind {
        PcKind::Exact => Doing::Running,
        PcKind::ReturnAddress => Doing::Calling { ends_within: is_gcc(function.unit) },
    }
}

/// What a function returns.
#[derive(Clone, Debug)]
pub struct FunctionResult {
    /// The type.
    pub ty: TypeLink,
    /// How values of it are handed out.
    pub passing: Passing,
}

/// How values of a type are returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passing {
    /// As the platform's ABI has it for what is in the value.
    ByClass,
    /// In memory, whatever is in it: C++'s objects that must not be copied byte
    /// by byte. DWARF 5 section 5.7.1, `DW_CC_pass_by_reference`.
    InMemory,
    /// By rules of a language that fixes none, but for scalars.
    Unknown,
}

/// Whether a variable of this kind and name is asked for.
type Wanted<'a> = &'a dyn Fn(VariableKind, &str) -> bool;

struct Walk<'a> {
    pc: u64,
    /// Whether `pc` is where a breakpoint on the function stops.
    at_start: bool,
    scene: Scene<'a>,
    wanted: Wanted<'a>,
    /// The variables of each scope, outermost first.
    scopes: Vec<Vec<Variable>>,
    /// Those of inlined calls that are not entered yet, outermost first.
    not_entered: Vec<Vec<Variable>>,
}

/// How deep a scope lies.
#[derive(Clone, Copy, Default)]
struct At {
    depth: u32,
    inlined: u32,
    /// Whether it is, or is within, an inlined call not entered yet.
    not_entered: bool,
}

impl Walk<'_> {
    fn scope(&mut self, die: &Die<'_>, at: At) {
        let ranges = dies::ranges(die.unit, &die.entry);
        let range = |(start, end)| (ImageAddr::new(start), ImageAddr::new(end));
        let scope: Vec<_> = ranges.into_iter().map(range).collect();
        let children = die.children();
        let left_out = left_out(die, &children);
        let variables = children.iter().chain(&left_out).filter_map(|child| self.variable(child));
        let variables = variables.map(|variable| Variable {
            scope_depth: at.depth,
            inline_depth: at.inlined,
            scope: scope.clone(),
            ..variable
        });
        let variables = variables.collect();
        let scopes = if at.not_entered { &mut self.not_entered } else { &mut self.scopes };
        scopes.push(variables);
        if at.depth >= MAX_DEPTH {
            return;
        }
        let pc = self.pc;
        for child in children.iter().filter(|child| is_inside(child, pc)) {
            let call = child.tag() == dw::DW_TAG_inlined_subroutine;
            let depth = at.depth + 1;
            let inlined = at.inlined + u32::from(call);
            let not_entered = at.not_entered || self.at_start && call && !is_entered(child, pc);
            self.scope(child, At { depth, inlined, not_entered });
        }
    }

    fn variable(&self, die: &Die<'_>) -> Option<Variable> {
        let kind = match die.tag() {
            dw::DW_TAG_formal_parameter => VariableKind::Argument,
            dw::DW_TAG_variable => VariableKind::Local,
            _ => return None,
        };
        // `extern int x;` inside a function names a global.
        if die.flag(dw::DW_AT_declaration) {
            return None;
        }
        let name = die.inherited(Die::name)?;
        if !(self.wanted)(kind, &name) {
            return None;
        }
        Some(Variable {
            name,
            kind,
            ty: type_link(self.scene.module, die.inherited(Die::type_reference)?),
            place: place_of(die, Some(self.pc), self.scene),
            scope_depth: 0,
            inline_depth: 0,
            scope: Vec::new(),
            decl_line: decl_line(die),
            artificial: die.inherited(|die| die.flag(dw::DW_AT_artificial).then_some(())).is_some(),
        })
    }
}

/// What a function has of its own that a copy of it does not list: it is in no
/// place there.
fn left_out<'a>(copy: &Die<'a>, listed: &[Die<'a>]) -> Vec<Die<'a>> {
    let Some(whole) = copy.follow(dw::DW_AT_abstract_origin) else { return Vec::new() };
    let origin = |die: &Die<'_>| die.reference(dw::DW_AT_abstract_origin);
    let known: HashSet<DieRef> = listed.iter().filter_map(origin).collect();
    let mut found = Vec::new();
    let mut open = whole.children();
    open.reverse();
    while let Some(child) = open.pop().filter(|_| found.len() < MAX_LEFT_OUT) {
        if known.contains(&child.at) {
            continue;
        }
        // A block that has no code left may have names.
        if child.tag() == dw::DW_TAG_lexical_block {
            open.extend(child.children().into_iter().rev());
        } else {
            found.push(child);
        }
    }
    found
}

/// Whether an inlined call is entered before `pc`. Code that was moved out of it
/// may stand before the place where it is entered.
fn is_entered(die: &Die<'_>, pc: u64) -> bool {
    let entry = dies::entry_pc(die.unit, &die.entry, &dies::ranges(die.unit, &die.entry));
    entry.is_some_and(|entry| entry < pc)
}

/// Whether a block's code holds `pc`.
pub(crate) fn is_inside(die: &Die<'_>, pc: u64) -> bool {
    if !is_block(die.tag()) {
        return false;
    }
    // A block without addresses is there for its names alone and is as large
    // as what holds it.
    if !die.has(dw::DW_AT_low_pc) && !die.has(dw::DW_AT_ranges) {
        return die.tag() == dw::DW_TAG_lexical_block;
    }
    let ranges = dies::ranges(die.unit, &die.entry);
    ranges.into_iter().any(|(start, end)| start <= pc && pc < end)
}

fn is_block(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_lexical_block
            | dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_try_block
            | dw::DW_TAG_catch_block
    )
}
