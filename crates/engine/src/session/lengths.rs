//! Lengths of arrays that only a frame knows, worked out when an expression
//! turns out to need them: its meaning is looked up again until it needs no
//! more.

use std::cell::RefCell;
use std::collections::HashMap;

use trapline_core::location::{self, Program};
use trapline_core::types::{Count, TypeRef};
use trapline_expr::Scope;

use super::frames::Frame;
use super::scope::CodeScope;
use super::{Selected, Session};

/// How often an expression is looked up: lengths may depend on types that
/// depend on lengths.
const MAX_ROUNDS: usize = 8;

/// Lengths of arrays in a frame.
#[derive(Default)]
pub(crate) struct Lengths {
    known: HashMap<TypeRef, Count>,
    /// Those that were asked for and are not known yet.
    wanted: RefCell<Vec<TypeRef>>,
}

impl Lengths {
    /// How long an array is, if that is known by now.
    pub(super) fn of(&self, array: TypeRef) -> Count {
        self.known.get(&array).copied().unwrap_or_else(|| {
            self.wanted.borrow_mut().push(array);
            Count::Computed(array)
        })
    }
}

impl Session {
    /// Does work in the scope of a frame, with the lengths that it asks for.
    pub(super) fn in_scope_of<T>(
        &mut self,
        selected: Selected,
        frame: &Frame,
        work: impl Fn(CodeScope<'_>) -> T,
    ) -> Option<T> {
        let mut lengths = Lengths::default();
        for round in 1.. {
            let space = self.space_of(selected.pid)?;
            let scope = CodeScope::at(&space.modules, frame.place(), &self.known);
            let done = work(scope.measured_by(&lengths));
            let wanted = lengths.wanted.take();
            if wanted.is_empty() || round >= MAX_ROUNDS {
                return Some(done);
            }
            let space = self.space_of(selected.pid)?;
            let scope = CodeScope::at(&space.modules, frame.place(), &self.known);
            let programs: Vec<_> =
                wanted.into_iter().map(|array| (array, scope.length(array))).collect();
            for (array, program) in programs {
                let count = program.ok().and_then(|it| self.length_of(selected, frame, &it));
                lengths.known.insert(array, count.map_or(Count::Computed(array), Count::Known));
            }
        }
        None
    }

    /// A number of elements; what is below zero is none.
    fn length_of(&mut self, selected: Selected, frame: &Frame, program: &Program) -> Option<u64> {
        let registers = self.shown_registers(selected.pid, selected.tid)?;
        let mut remembered = Vec::new();
        let machine = self.machine(selected, frame, registers, &mut remembered)?;
        let count = location::run(program, &machine).ok()?;
        Some(u64::try_from(count.cast_signed()).unwrap_or(0))
    }
}
