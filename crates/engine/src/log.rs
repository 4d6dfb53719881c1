//! Log messages compiled for one place: text, values and macros.

use std::sync::Arc;

use trapline_core::breakpoint::Tally;
use trapline_core::{VirtAddr, x64::Registers};
use trapline_expr::format::{FormatOptions, Letter, format_value};
use trapline_expr::template::{self, Macro, Segment};
use trapline_expr::{Program, Purpose, check, evaluate};

use crate::client::Commands;
use crate::command::CommandError;
use crate::session::{CodeScope, Known, PassContext, activations, symbolic};
use crate::space::Modules;

/// Frames that `$CALLSTACK` shows.
const STACK_LIMIT: usize = 64;

/// What is told at a hit instead of a stop.
#[derive(Clone)]
pub(crate) enum Log {
    /// A message of ours.
    Message(Arc<LogMessage>),
    /// What a client's commands make.
    Commands(Arc<dyn Commands>),
}

impl Log {
    /// The text for one hit.
    pub(crate) fn render(
        &self,
        context: &mut PassContext<'_>,
        tally: &Tally,
        remembered: &mut Vec<Option<Box<[u8]>>>,
    ) -> String {
        match self {
            Self::Message(message) => message.render(context, tally, remembered),
            Self::Commands(commands) => commands.run(&context.machine(tally, remembered)),
        }
    }
}

/// A log message, ready to be filled in at each hit.
#[derive(Clone)]
pub(crate) struct LogMessage {
    parts: Vec<Part>,
    known: Arc<Known>,
}

#[derive(Clone)]
enum Part {
    Text(String),
    Value { program: Program, letter: Option<Letter> },
    Macro(Macro),
}

impl LogMessage {
    /// Compiles a template in the scope of its place.
    pub(crate) fn compile(text: &str, scope: &CodeScope<'_>) -> Result<Self, CommandError> {
        let failed = |error: &trapline_expr::Error, start: usize| CommandError {
            message: error.to_string(),
            span: Some((text.to_owned(), error.span.start + start..error.span.end + start)),
            candidates: Vec::new(),
        };
        let segments = template::parse(text).map_err(|error| failed(&error, 0))?;
        let mut parts = Vec::new();
        for segment in segments {
            parts.push(match segment {
                Segment::Text(text) => Part::Text(text),
                Segment::Macro(name) => Part::Macro(name),
                Segment::Expression { ast, letter, start } => {
                    let program = check(&ast, scope, Purpose::Value)
                        .map_err(|error| failed(&error, start))?;
                    Part::Value { program, letter }
                }
            });
        }
        Ok(Self { parts, known: Arc::new(scope.known().without_values()) })
    }

    /// The message for one hit. What cannot be evaluated shows as `<why>` in
    /// its place.
    fn render(
        &self,
        context: &mut PassContext<'_>,
        tally: &Tally,
        remembered: &mut Vec<Option<Box<[u8]>>>,
    ) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Macro(name) => text.push_str(&expand(*name, context, tally, remembered)),
                Part::Value { program, letter } => {
                    text.push_str(&show(program, *letter, &self.known, context, tally, remembered));
                }
            }
        }
        text
    }
}

fn show(
    program: &Program,
    letter: Option<Letter>,
    known: &Known,
    context: &mut PassContext<'_>,
    tally: &Tally,
    remembered: &mut Vec<Option<Box<[u8]>>>,
) -> String {
    let modules = &context.space.modules;
    let symbolize = |addr: VirtAddr| symbolic(modules, addr);
    let options = FormatOptions { letter, symbolize: Some(&symbolize), ..FormatOptions::default() };
    let scope = CodeScope::at(modules, VirtAddr::new(context.registers.rip), known);
    let mut machine = context.machine(tally, remembered);
    match evaluate(program, &mut machine) {
        Ok(value) => format_value(&value, &scope, &machine, &options),
        Err(error) => format!("<{error}>"),
    }
}

fn expand(
    name: Macro,
    context: &mut PassContext<'_>,
    tally: &Tally,
    remembered: &mut Vec<Option<Box<[u8]>>>,
) -> String {
    let registers = context.registers;
    let pc = VirtAddr::new(registers.rip);
    match name {
        Macro::Address => pc.to_string(),
        Macro::Caller => {
            stack(context, tally, remembered, 2).into_iter().nth(1).unwrap_or_default()
        }
        Macro::CallStack => stack(context, tally, remembered, STACK_LIMIT).join(" < "),
        Macro::Function => activations::function_and_offset(&context.space.modules, pc)
            .map(|(name, _)| name)
            .unwrap_or_default(),
        Macro::FilePosition => file_position(&context.space.modules, pc),
        Macro::Pid => context.process.pid.to_string(),
        Macro::ProcessName => context.process.name.clone(),
        Macro::Tid => context.thread.tid.to_string(),
        Macro::ThreadName => {
            context.target.thread_name(context.process.pid, context.thread.tid).unwrap_or_default()
        }
        Macro::Machine => context.target.machine_name(),
        Macro::Tick => context.tick_millis.to_string(),
    }
}

/// Names of the functions on the stack, innermost first.
fn stack(
    context: &mut PassContext<'_>,
    tally: &Tally,
    remembered: &mut Vec<Option<Box<[u8]>>>,
    limit: usize,
) -> Vec<String> {
    let registers: Registers = context.registers;
    let modules = &context.space.modules;
    let machine = context.machine(tally, remembered);
    let walk = activations::walk(modules, &machine, &registers, limit);
    let name = |at| activations::function_name(modules, at).unwrap_or_else(|| at.pc.to_string());
    walk.activations.iter().map(name).collect()
}

fn file_position(modules: &Modules, pc: VirtAddr) -> String {
    modules
        .at(pc)
        .and_then(|module| module.image.source_at(module.to_image(pc)))
        .map(|line| format!("{}:{}", line.file, line.line))
        .unwrap_or_default()
}
