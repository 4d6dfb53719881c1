//! The variables of a frame, each with its value or why it has none: what
//! `info locals`, `info args` and the arguments in a stack are made of.

use std::sync::Arc;

use trapline_core::types::{PointerFlavour, ResolveType, Type, TypeKind};
use trapline_expr::format::FormatOptions;
use trapline_expr::interp::Fault;
use trapline_expr::{EvalError, Purpose};
use trapline_symbols::{Variable, VariableKind};

use super::frames::Frame;
use super::{Selected, Session};
use crate::command::{CommandError, Reply};
use crate::event::VariableInfo;

/// The name by which one variable is asked for, whatever it is called itself.
const IT: &str = "it";

/// How values are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// In a list of arguments: what is in several parts is left out.
    Short,
    /// In full.
    Whole,
}

impl Session {
    /// A frame's arguments, each with its value or why it has none.
    pub(super) fn argument_values(
        &mut self,
        selected: Selected,
        frame: &Frame,
    ) -> Vec<(String, String)> {
        self.valued(selected, frame, VariableKind::Argument, Manner::Short)
    }

    /// Answers `info locals` and `info args`.
    pub(super) fn variables(&mut self, kind: VariableKind) -> Result<Reply, CommandError> {
        let no_frame = || CommandError::new("No frame selected.");
        let (selected, frame) = self.selected_frame().ok_or_else(no_frame)?;
        let unknown = || CommandError::new("No symbol table info available.");
        self.frame_variables(selected, &frame, kind).map(Reply::Variables).ok_or_else(unknown)
    }

    /// Variables of a frame; `None` where nothing is known of them.
    pub(super) fn frame_variables(
        &mut self,
        selected: Selected,
        frame: &Frame,
        kind: VariableKind,
    ) -> Option<Vec<VariableInfo>> {
        if !self.has_variables(selected, frame) {
            return None;
        }
        let found = self.valued(selected, frame, kind, Manner::Whole);
        Some(found.into_iter().map(|(name, value)| VariableInfo { name, value }).collect())
    }

    /// Whether anything is known of the variables of a frame's function.
    fn has_variables(&self, selected: Selected, frame: &Frame) -> bool {
        let at = frame.place().lookup();
        let module = self.space_of(selected.pid).and_then(|space| space.modules.at(at));
        let function = module.and_then(|it| it.image.function_at(it.to_image(at)));
        function.is_some_and(|function| function.has_debug)
    }

    fn valued(
        &mut self,
        selected: Selected,
        frame: &Frame,
        kind: VariableKind,
        manner: Manner,
    ) -> Vec<(String, String)> {
        let found = self.variables_of(selected, frame, kind);
        let valued = found.into_iter().map(|variable| {
            let text = self.value_text(selected, frame, &variable, manner);
            (variable.name, text)
        });
        valued.collect()
    }

    /// Those of the innermost block first.
    fn variables_of(&self, selected: Selected, frame: &Frame, kind: VariableKind) -> Vec<Variable> {
        let place = frame.place();
        let module = self.space_of(selected.pid).and_then(|it| it.modules.at(place.lookup()));
        let Some(module) = module else { return Vec::new() };
        let mut found = module.image.variables_at(module.to_image(place.pc), place.kind);
        found.retain(|variable| {
            let of_frame = Some(variable.inline_depth) == place.depth;
            of_frame && variable.kind == kind && !variable.name.is_empty()
        });
        found
    }

    fn value_text(
        &mut self,
        selected: Selected,
        frame: &Frame,
        variable: &Variable,
        manner: Manner,
    ) -> String {
        let compiled = self.in_scope_of(selected, frame, |scope| {
            let scope = scope.of_one(variable);
            let program = trapline_expr::compile(IT, &scope, Purpose::Value)?;
            Ok::<_, trapline_expr::Error>((is_aggregate(&scope, &program.ty), program))
        });
        let program = match compiled {
            Some(Ok((true, _))) if manner == Manner::Short => return "...".to_owned(),
            Some(Ok((_, program))) => program,
            Some(Err(error)) => return format!("<{}>", error.message),
            None => return String::new(),
        };
        match self.evaluate_in(selected, frame, &program) {
            Ok(value) => {
                let bare = FormatOptions { pointer_types: false, ..FormatOptions::default() };
                self.format_with(Some(selected.pid), &value, bare)
            }
            // As gdb has it: why, in a list, would drown the rest. `print` says.
            Err(error) => match error.fault {
                Fault::Unavailable(_) | Fault::Unknown(_) => "<optimized out>".to_owned(),
                _ => format!("<{}>", EvalError { text: variable.name.clone(), ..error }),
            },
        }
    }
}

/// Whether a type is of a record or an array, or of a reference to one.
fn is_aggregate(types: &impl ResolveType, ty: &Arc<Type>) -> bool {
    let Ok(ty) = types.strip(ty) else { return false };
    match &ty.kind {
        TypeKind::Record(_) | TypeKind::Array { .. } => true,
        TypeKind::Pointer { target: Some(target), flavour }
            if *flavour != PointerFlavour::Pointer && ty.name.is_empty() =>
        {
            // Rust's, which have names, are shown as the addresses they are, as
            // gdb does.
            types.follow(target).is_ok_and(|target| is_aggregate(types, &target))
        }
        _ => false,
    }
}
