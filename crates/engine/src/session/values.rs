//! Evaluating expressions in a frame, and showing values. What names mean is
//! left to `scope`.

use std::sync::Arc;

use trapline_core::types::{BaseKind, Type, TypeKind};
use trapline_core::x64::{Reg, RegView};
use trapline_core::{AddrRange, Pid, VirtAddr};
use trapline_expr::format::{FormatOptions, Letter, format_value};
use trapline_expr::interp::Fault;
use trapline_expr::{EvalError, Program, Purpose, Scope, Value, ValuePlace, Views};

use super::activations::{Activation, function_start, symbol_and_offset};
use super::dynamic::Real;
use super::frameless::StaticMemory;
use super::frames::Frame;
use super::machine::ThreadMachine;
use super::scope::{CodePlace, CodeScope};
use super::{Motion, Selected, Session};
use crate::breakpoints::{WatchScope, WatchedBits};
use crate::command::{CommandError, Reply, ValueFormat};
use crate::space::Modules;

/// Values that `print` showed, for `$1`, `$2`, ...
#[derive(Default)]
pub(crate) struct ValueHistory {
    values: Vec<Value>,
}

/// What expressions know besides the program.
pub(crate) struct Known {
    /// Values shown before.
    pub(super) values: ValueHistory,
    /// How values of library types are seen.
    pub(super) views: Views,
}

impl Default for Known {
    fn default() -> Self {
        Self { values: ValueHistory::default(), views: Views::builtin().clone() }
    }
}

impl Known {
    /// The same without values: messages name none.
    pub(crate) fn without_values(&self) -> Self {
        Self { values: ValueHistory::default(), views: self.views.clone() }
    }
}

impl ValueHistory {
    pub(super) fn push(&mut self, value: Value) -> u32 {
        self.values.push(value);
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        if name.is_empty() {
            return self.values.last().cloned();
        }
        let number: usize = name.parse().ok()?;
        self.values.get(number.checked_sub(1)?).cloned()
    }
}

/// What a watch is to watch.
pub(super) struct WatchSubject {
    pub(super) range: AddrRange,
    pub(super) ty: Option<Arc<Type>>,
    pub(super) bits: Option<WatchedBits>,
    /// The frame it ends with, and where that frame returns to.
    pub(super) scope: Option<(WatchScope, Option<VirtAddr>)>,
}

impl Session {
    /// What commands are about, when something is selected and stopped.
    pub(super) fn selected(&self) -> Result<Selected, CommandError> {
        let selected = self
            .selection
            .filter(|selected| self.thread(selected.pid, selected.tid).is_some())
            .or_else(|| {
                let process = self.processes.values().find(|process| process.is_debuggee())?;
                let tid = *process.threads.keys().next()?;
                Some(Selected { pid: process.pid, tid, frame: 0 })
            })
            .ok_or_else(|| CommandError::new("The program is not being run."))?;
        match self.thread(selected.pid, selected.tid) {
            // One that is locked stands while others run: it is not looked at.
            Some(thread) if thread.stopped().is_some() && self.motion != Motion::Running => {
                Ok(selected)
            }
            _ => Err(CommandError::new("Selected thread is running; interrupt the program first.")),
        }
    }

    /// The selected frame.
    pub(super) fn selected_frame(&mut self) -> Option<(Selected, Frame)> {
        let selected = self.selected().ok()?;
        self.frame(selected).map(|frame| (selected, frame))
    }

    /// The place whose scopes the selected frame sees.
    pub(super) fn selected_place(&mut self) -> Option<CodePlace> {
        self.selected_frame().map(|(_, frame)| frame.place())
    }

    /// The same, when the frame is of this process.
    pub(super) fn selected_place_in(&mut self, pid: Pid) -> Option<CodePlace> {
        self.selected_frame()
            .filter(|(selected, _)| selected.pid == pid)
            .map(|(_, frame)| frame.place())
    }

    /// Evaluates a compiled expression in a frame.
    pub(super) fn evaluate_in(
        &mut self,
        selected: Selected,
        frame: &Frame,
        program: &Program,
    ) -> Result<Value, EvalError> {
        let mut remembered = Vec::new();
        let registers = self.shown_registers(selected.pid, selected.tid).unwrap_or_default();
        let Some(mut machine) = self.machine(selected, frame, registers, &mut remembered) else {
            return Err(EvalError {
                text: program.source.to_string(),
                span: 0..program.source.len(),
                fault: Fault::Unknown("the thread is gone".to_owned()),
            });
        };
        trapline_expr::evaluate(program, &mut machine)
    }

    pub(super) fn machine<'a>(
        &'a mut self,
        selected: Selected,
        frame: &Frame,
        registers: trapline_core::x64::Registers,
        remembered: &'a mut Vec<Option<Box<[u8]>>>,
    ) -> Option<ThreadMachine<'a>> {
        let process = self.processes.get(&selected.pid)?;
        let thread = process.threads.get(&selected.tid)?;
        let space = self.spaces.get(&process.space)?;
        Some(ThreadMachine {
            target: std::cell::RefCell::new(&mut *self.target),
            space,
            pid: selected.pid,
            thread,
            process_name: &process.name,
            registers,
            frame: (!frame.activation.is_innermost()).then_some(frame.activation),
            passes: 0,
            hits: 0,
            remembered,
            writes: Vec::new(),
        })
    }

    /// Evaluates an expression in the selected frame, or over globals when
    /// nothing runs.
    pub(super) fn value_of(
        &mut self,
        expression: &str,
        purpose: Purpose,
    ) -> Result<Value, CommandError> {
        let Some((selected, frame)) = self.selected_frame() else {
            return self.static_value(expression, purpose);
        };
        let program = self.compile_in(selected, &frame, expression, purpose)?.0;
        let failed = |error: EvalError| evaluation_error(expression, &error);
        if purpose != Purpose::Assignment {
            return self.evaluate_in(selected, &frame, &program).map_err(failed);
        }
        let mut remembered = Vec::new();
        let registers = self.shown_registers(selected.pid, selected.tid).unwrap_or_default();
        let (value, writes) = {
            let mut machine = self
                .machine(selected, &frame, registers, &mut remembered)
                .ok_or_else(|| CommandError::new("the thread is gone"))?;
            let value = trapline_expr::evaluate(&program, &mut machine).map_err(failed)?;
            (value, machine.writes)
        };
        self.carry_out_writes(selected, writes)?;
        Ok(value)
    }

    fn compile_in(
        &mut self,
        selected: Selected,
        frame: &Frame,
        expression: &str,
        purpose: Purpose,
    ) -> Result<(Program, bool), CommandError> {
        let compiled = self.in_scope_of(selected, frame, |scope| {
            let program = trapline_expr::compile(expression, &scope, purpose)
                .map_err(|error| expression_error(expression, &error))?;
            Ok((program, scope.used_frame()))
        });
        compiled.unwrap_or_else(|| Err(CommandError::new("no process")))
    }

    fn carry_out_writes(
        &mut self,
        selected: Selected,
        writes: Vec<super::machine::Write>,
    ) -> Result<(), CommandError> {
        for write in writes {
            match write {
                super::machine::Write::Memory { address, bytes } => {
                    self.write_truth(selected.pid, address, &bytes)?;
                }
                super::machine::Write::Register { view, bytes } => {
                    self.write_register(selected, view, &bytes)?;
                }
            }
        }
        self.refresh_watches();
        Ok(())
    }

    fn write_register(
        &mut self,
        selected: Selected,
        view: RegView,
        bytes: &[u8],
    ) -> Result<(), CommandError> {
        if self.frame(selected).is_none_or(|frame| !frame.activation.is_innermost()) {
            return Err(CommandError::new(
                "registers can be changed in the innermost frame only: select `frame 0`",
            ));
        }
        let (pid, tid) = (selected.pid, selected.tid);
        let gone = || CommandError::new("the thread is gone");
        if let Reg::Xmm(index) = view.reg {
            let process = self.processes.get(&pid).ok_or_else(gone)?;
            let stopped =
                process.threads.get(&tid).and_then(|thread| thread.stopped()).ok_or_else(gone)?;
            let mut state = self.target.vector_state(stopped)?;
            patch(&mut state.xmm[usize::from(index & 15)], view, bytes);
            return Ok(self.target.set_vector_state(stopped, &state)?);
        }
        let mut registers = self.raw_registers(pid, tid).ok_or_else(gone)?;
        let mut word = registers.get(view.reg).ok_or_else(gone)?.to_le_bytes();
        // As the processor does: writing 32 bits clears the upper half.
        if view.size == 4 && view.reg.general_index().is_some() {
            word = [0; 8];
        }
        patch(&mut word, view, bytes);
        registers.set(view.reg, u64::from_le_bytes(word));
        self.put_registers(pid, tid, &registers);
        if view.reg == Reg::Rip
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            thread.counted_at = None;
        }
        Ok(())
    }

    /// Answers `print`.
    pub(super) fn print(
        &mut self,
        expression: &str,
        format: ValueFormat,
    ) -> Result<Reply, CommandError> {
        let (value, text) = self.shown(expression, format)?;
        let number = self.known.values.push(value);
        Ok(Reply::Value { text, number })
    }

    /// Answers `output`.
    pub(super) fn output(
        &mut self,
        expression: &str,
        format: ValueFormat,
    ) -> Result<Reply, CommandError> {
        self.shown(expression, format).map(|(_, text)| Reply::Text(text))
    }

    fn shown(
        &mut self,
        expression: &str,
        format: ValueFormat,
    ) -> Result<(Value, String), CommandError> {
        let ValueFormat { letter, raw } = format;
        let letter = match letter {
            Some(letter) => Some(Letter::parse(letter).ok_or_else(|| {
                CommandError::new(format!("`{letter}` is not a format: one of x d u o t c a f s z"))
            })?),
            None => None,
        };
        let value = self.value_of(expression, Purpose::Assignment)?;
        let pid = self.selected().map(|selected| selected.pid).ok();
        let options = FormatOptions { letter, raw, ..FormatOptions::default() };
        let text = match pid.and_then(|pid| self.as_it_is(pid, &value)) {
            Some(Real { value, prefix }) => prefix + &self.format_with(pid, &value, options),
            None => self.format_with(pid, &value, options),
        };
        Ok((value, text))
    }

    /// A value as text, with the names of the selected process.
    pub(super) fn format(&self, value: &Value, letter: Option<Letter>) -> String {
        let pid = self.selected().map(|selected| selected.pid).ok();
        self.format_in(pid, value, letter)
    }

    fn format_in(&self, pid: Option<Pid>, value: &Value, letter: Option<Letter>) -> String {
        self.format_with(pid, value, FormatOptions { letter, ..FormatOptions::default() })
    }

    pub(super) fn format_with(
        &self,
        pid: Option<Pid>,
        value: &Value,
        options: FormatOptions<'_>,
    ) -> String {
        let alone = self.program_alone();
        let modules = pid.and_then(|pid| self.space_of(pid)).map_or(&alone, |s| &s.modules);
        let symbolize = |addr: VirtAddr| symbolic(modules, addr);
        let options = FormatOptions { symbolize: Some(&symbolize), ..options };
        let scope = CodeScope::at_place_of(modules, None, &self.known);
        match pid.and_then(|pid| self.memory(pid)) {
            Some(memory) => format_value(value, &scope, &memory, &options),
            None => format_value(value, &scope, &StaticMemory(&alone), &options),
        }
    }

    /// Watched bytes as the watched expression's type shows them.
    pub(super) fn format_watched(
        &self,
        pid: Pid,
        ty: Option<&Arc<Type>>,
        range: AddrRange,
        bytes: &[u8],
    ) -> String {
        match ty {
            _ if (bytes.len() as u64) < range.len() => "<unreadable>".to_owned(),
            Some(ty) => {
                let mut value = Value::new(ty.clone(), bytes);
                value.place = Some(ValuePlace::Memory { address: range.start, bits: None });
                self.format_in(Some(pid), &value, None)
            }
            None => {
                let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                hex.join(" ")
            }
        }
    }

    /// Answers `load-views`.
    pub(super) fn add_views(&mut self, name: &str, text: &str) -> Result<Reply, CommandError> {
        let added = self.known.views.add(name, text);
        let count = added.map_err(|error| CommandError::new(error.to_string()))?;
        let views = if count == 1 { "view" } else { "views" };
        Ok(Reply::Text(format!("{count} {views} from {name}.")))
    }

    /// Answers `info views`.
    pub(super) fn list_views(&self) -> Reply {
        let rows = self.known.views.patterns();
        let rows = rows.map(|(pattern, at)| format!("{pattern}  ({at})"));
        Reply::Text(rows.collect::<Vec<_>>().join("\n"))
    }

    /// Answers `whatis` and `ptype`.
    pub(super) fn describe_type(
        &mut self,
        what: &str,
        expand: bool,
    ) -> Result<Reply, CommandError> {
        let described = match self.selected_frame() {
            Some((selected, frame)) => {
                let described =
                    self.in_scope_of(selected, &frame, |scope| described(what, expand, scope));
                described.ok_or_else(|| CommandError::new("no process"))?
            }
            None => {
                let modules = match self.selected() {
                    Ok(selected) => self.space_of(selected.pid).map(|space| space.modules.clone()),
                    Err(_) => Some(self.program_alone()),
                };
                let modules = modules.unwrap_or_default();
                described(what, expand, CodeScope::at_place_of(&modules, None, &self.known))
            }
        };
        let text = described?;
        let real = self.real_type_comment(what);
        Ok(Reply::Text(format!("type = {real}{text}")))
    }

    /// An address that an expression means: its value, or for a function or an
    /// array where it is.
    pub(super) fn address_of(&mut self, expression: &str) -> Result<VirtAddr, CommandError> {
        address_in(expression, &self.value_of(expression, Purpose::Place)?)
    }

    /// What a watch's expression means: bytes, a type, and how long they live.
    pub(super) fn watch_subject(
        &mut self,
        selected: Selected,
        expression: &str,
    ) -> Result<WatchSubject, CommandError> {
        if let Some((address, len)) = raw_range(expression) {
            let start = self.address_of(address)?;
            let len = self.value_of(len, Purpose::Value)?.to_u64().unwrap_or(0);
            let (range, ty, bits, scope) = (AddrRange::sized(start, len), None, None, None);
            return Ok(WatchSubject { range, ty, bits, scope });
        }
        let (_, frame) =
            self.selected_frame().ok_or_else(|| CommandError::new("no frame is selected"))?;
        let (program, local) = self.compile_in(selected, &frame, expression, Purpose::Value)?;
        let value = self
            .evaluate_in(selected, &frame, &program)
            .map_err(|error| evaluation_error(expression, &error))?;
        let range = watched_range(expression, &value)?;
        let scope = if local { self.frame_scope(selected)? } else { None };
        Ok(WatchSubject { range, ty: Some(value.ty), bits: WatchedBits::of(&program), scope })
    }

    /// How long the selected frame lives and where it returns to.
    fn frame_scope(
        &mut self,
        selected: Selected,
    ) -> Result<Option<(WatchScope, Option<VirtAddr>)>, CommandError> {
        let gone = || CommandError::new("the selected thread is gone");
        let Activation { level, cfa, .. } = self.frame(selected).ok_or_else(gone)?.activation;
        let walk = self.stack(selected.pid, selected.tid, level + 2).ok_or_else(gone)?;
        let Some(cfa) = cfa else { return Ok(None) };
        let returns_to = walk.activations.get(level + 1).map(|caller| caller.pc);
        let function = walk.activations.get(level).and_then(|activation| {
            function_start(&self.space_of(selected.pid)?.modules, activation.lookup())
        });
        Ok(Some((WatchScope { tid: selected.tid, cfa, function }, returns_to)))
    }
}

/// The type that an expression has, or that a name is, as text.
fn described(what: &str, expand: bool, scope: CodeScope<'_>) -> Result<String, CommandError> {
    let bare = ["struct ", "class ", "union ", "enum "]
        .iter()
        .find_map(|tag| what.strip_prefix(tag))
        .unwrap_or(what);
    let named = scope.type_named(bare.trim()).map_err(CommandError::new)?;
    let ty = match trapline_expr::compile(what, &scope, Purpose::Place) {
        Ok(program) => program.ty.clone(),
        Err(error) => named.ok_or_else(|| expression_error(what, &error))?,
    };
    // What the value itself is long is known; what it may lead to is not asked.
    let scope = scope.unmeasured();
    if expand {
        trapline_expr::format::describe_type(&ty, &scope).map_err(CommandError::new)
    } else {
        Ok(trapline_expr::format::type_name(&ty, &scope))
    }
}

pub(super) fn address_in(expression: &str, value: &Value) -> Result<VirtAddr, CommandError> {
    let is_place = matches!(value.ty.kind, TypeKind::Function { .. } | TypeKind::Array { .. });
    if is_place && let Some(addr) = value.address() {
        return Ok(addr);
    }
    let bits = 64_u32.saturating_sub(8 * u32::try_from(value.bytes.as_ref().len()).unwrap_or(8));
    let signed = matches!(value.ty.kind, TypeKind::Base(BaseKind::Signed | BaseKind::SignedChar));
    value
        .to_u64()
        // As in C, a negative number is an address near the end.
        .map(
            |word| {
                if signed { ((word << bits).cast_signed() >> bits).cast_unsigned() } else { word }
            },
        )
        .map(VirtAddr::new)
        .ok_or_else(|| CommandError::new(format!("`{expression}` is not an address")))
}

/// `*ADDRESS@LENGTH` with a plain address: bytes, not elements of a type.
pub(super) fn raw_range(expression: &str) -> Option<(&str, &str)> {
    let (address, len) = expression.trim().strip_prefix('*')?.rsplit_once('@')?;
    let address = address.trim();
    let plain = address.starts_with(|first: char| first.is_ascii_digit())
        || address.starts_with('$')
        || address.starts_with('&')
        || address.starts_with('(');
    plain.then_some((address, len.trim()))
}

fn watched_range(expression: &str, value: &Value) -> Result<AddrRange, CommandError> {
    match value.place {
        Some(ValuePlace::Memory { address, .. }) => {
            let len = value.bytes.as_ref().len() as u64;
            Ok(AddrRange::sized(address, len))
        }
        Some(ValuePlace::Register(view)) => Err(CommandError::new(format!(
            "`{expression}` lives in register {} here and debug registers watch memory only; \
             watch it where it is stored, or stop at its assignments",
            view.reg
        ))),
        None => Err(CommandError::new(format!(
            "`{expression}` is a computed value and has no place in memory to watch"
        ))),
    }
}

fn patch(word: &mut [u8], view: RegView, bytes: &[u8]) {
    let start = usize::from(view.offset);
    let len = bytes.len().min(usize::from(view.size));
    if let Some(part) = word.get_mut(start..start + len) {
        part.copy_from_slice(&bytes[..len]);
    }
}

/// `function+offset` for an address.
pub(crate) fn symbolic(modules: &Modules, addr: VirtAddr) -> Option<String> {
    let (name, offset) = symbol_and_offset(modules, addr)?;
    Some(if offset == 0 { name } else { format!("{name}+{offset}") })
}

/// A parse or name error as the front ends show it.
pub(crate) fn expression_error(source: &str, error: &trapline_expr::Error) -> CommandError {
    CommandError {
        // With its help, which is a sentence of its own and no name.
        message: error.to_string(),
        span: Some((source.to_owned(), error.span.clone())),
        candidates: Vec::new(),
    }
}

pub(super) fn evaluation_error(source: &str, error: &EvalError) -> CommandError {
    CommandError {
        message: error.to_string(),
        span: Some((source.to_owned(), error.span.clone())),
        candidates: Vec::new(),
    }
}
