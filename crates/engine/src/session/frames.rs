//! Frames as a user takes them: an activation, a call that the compiler put
//! inline into the code of one, or a function that ended in a tail call.

use std::path::PathBuf;
use std::sync::Arc;

use trapline_core::{BreakpointId, Pid, Tid, VirtAddr};
use trapline_symbols::{InlinedCall, PcKind, SourceLine, VariableKind};

use super::activations::{Activation, Fate, function_and_offset};
use super::scope::CodePlace;
use super::tail_calls::KnownWays;
use super::{Selected, Session};
use crate::command::{CommandError, Reply};
use crate::event::{FrameInfo, StopReason};
use crate::space::{Module, Modules};

/// A frame of a stack.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) activation: Activation,
    /// The inlined calls around the activation's place, outermost first.
    calls: Arc<[InlinedCall]>,
    /// How many of them the frame is within; 0 for the activation's own
    /// function.
    depth: usize,
}

/// Frames of a stack, innermost first.
pub(super) struct Stack {
    pub(super) frames: Vec<Frame>,
    /// Why there are no more, when that is not the stack's natural end.
    ended: Option<String>,
}

impl Frame {
    /// The frames of an activation, innermost first, but for those of the
    /// `not_entered` innermost calls.
    fn unfold(
        modules: &Modules,
        activation: Activation,
        not_entered: usize,
    ) -> impl Iterator<Item = Self> {
        let mut calls = inlined_calls(modules, activation.lookup());
        calls.reverse();
        let calls: Arc<[InlinedCall]> = calls.into();
        let innermost = calls.len().saturating_sub(not_entered);
        (0..=innermost).rev().map(move |depth| Self { activation, calls: calls.clone(), depth })
    }

    /// The place whose scopes the frame sees.
    pub(super) fn place(&self) -> CodePlace {
        let Activation { pc, kind, fate, .. } = self.activation;
        CodePlace { pc, kind, depth: u32::try_from(self.depth).ok(), fate }
    }

    /// The call that the frame is, when that is an inlined one.
    fn call(&self) -> Option<&InlinedCall> {
        self.calls.get(self.depth.checked_sub(1)?)
    }

    /// The inlined call that the frame has made.
    fn callee(&self) -> Option<&InlinedCall> {
        self.calls.get(self.depth)
    }

    /// Puts names to it.
    fn describe(&self, modules: &Modules, level: usize) -> FrameInfo {
        let activation = &self.activation;
        let lookup = activation.lookup();
        let module = modules.at(lookup);
        let row = module.and_then(|m| m.image.source_at(m.to_image(lookup)));
        let (function, offset) = self.function(modules);
        let (file, line) = self.source(row.as_ref());
        FrameInfo {
            level,
            pc: activation.pc,
            cfa: activation.cfa,
            function,
            offset,
            arguments: Vec::new(),
            locals: None,
            file,
            line,
            module: module.map(|module| module.path.clone()),
            guess: activation.guess,
            signal_frame: activation.signal_frame,
            inlined: self.call().is_some(),
            tail_call: activation.fate != Fate::OnStack && self.call().is_none(),
            mid_line: self.callee().is_none() && !begins(module, row.as_ref(), activation.pc),
        }
    }

    /// The function's name and how far into its code the pc is, which has no
    /// meaning for an inlined call.
    fn function(&self, modules: &Modules) -> (Option<String>, Option<u64>) {
        if let Some(call) = self.call() {
            return (Some(call.name.clone()), None);
        }
        let activation = &self.activation;
        let (name, offset) = function_and_offset(modules, activation.lookup()).unzip();
        let offset = offset.map(|offset| match activation.kind {
            PcKind::Exact => offset,
            PcKind::ReturnAddress => offset + 1,
        });
        (name, offset)
    }

    /// The line that the frame is at. `row` is of the activation's place.
    fn source(&self, row: Option<&SourceLine>) -> (Option<PathBuf>, Option<u32>) {
        let (file, line) = match self.callee() {
            Some(call) => call_line(call).unzip(),
            None => row.map(|row| (row.file.clone(), row.line)).unzip(),
        };
        (file.map(|file| PathBuf::from(&*file)), line)
    }
}

/// The line that a frame at a place is at: that of the call it has made, when
/// that is an inlined one.
pub(super) fn line_at(modules: &Modules, place: CodePlace) -> Option<(Arc<str>, u32)> {
    if let Some(depth) = place.depth.and_then(|depth| usize::try_from(depth).ok())
        && let Some(call) = inlined_calls(modules, place.lookup()).iter().rev().nth(depth)
    {
        return call_line(call);
    }
    let lookup = place.lookup();
    let module = modules.at(lookup)?;
    let row = module.image.source_at(module.to_image(lookup)).filter(|row| row.line != 0)?;
    Some((row.file, row.line))
}

/// Where an inlined call was made.
fn call_line(call: &InlinedCall) -> Option<(Arc<str>, u32)> {
    let file = call.call_file.clone()?;
    (call.call_line != 0).then_some((file, call.call_line))
}

/// Whether a pc is where a row of the line table begins.
fn begins(module: Option<&Module>, row: Option<&SourceLine>, pc: VirtAddr) -> bool {
    module.zip(row).is_some_and(|(module, row)| module.bias.to_virt(row.start) == pc)
}

/// The inlined calls around an address, innermost first.
fn inlined_calls(modules: &Modules, addr: VirtAddr) -> Vec<InlinedCall> {
    modules
        .at(addr)
        .map_or(Vec::new(), |module| module.image.inline_chain_at(module.to_image(addr)))
}

impl Session {
    /// A thread's stack, at most `limit` frames of it.
    pub(super) fn frames(&mut self, pid: Pid, tid: Tid, limit: usize) -> Option<Stack> {
        let walk = self.stack(pid, tid, limit)?;
        let not_entered = self.thread(pid, tid)?.not_entered;
        let modules = &self.space_of(pid)?.modules;
        let mut frames = Vec::new();
        let mut ended = walk.ended;
        let mut ways = KnownWays::default();
        for (index, activation) in walk.activations.iter().enumerate() {
            let hidden = if activation.level == 0 { not_entered } else { 0 };
            frames.extend(Frame::unfold(modules, *activation, hidden));
            if let Some(caller) = walk.activations.get(index + 1) {
                let jumped = ways.jumped(modules, activation, caller);
                frames.extend(jumped.into_iter().flat_map(|it| Frame::unfold(modules, it, 0)));
            }
            if frames.len() > limit {
                frames.truncate(limit);
                ended = None;
                break;
            }
        }
        Some(Stack { frames, ended })
    }

    /// A frame of a thread.
    pub(super) fn frame(&mut self, selected: Selected) -> Option<Frame> {
        let Selected { pid, tid, frame } = selected;
        self.frames(pid, tid, frame.saturating_add(1))?.frames.into_iter().nth(frame)
    }

    /// The innermost frame, named, with its arguments; an empty one when the
    /// thread is gone.
    pub(super) fn innermost_frame(&mut self, pid: Pid, tid: Tid) -> FrameInfo {
        self.named_frame(Selected { pid, tid, frame: 0 }).unwrap_or_default()
    }

    fn named_frame(&mut self, selected: Selected) -> Option<FrameInfo> {
        let frame = self.frame(selected)?;
        self.named(selected, &frame)
    }

    fn named(&mut self, selected: Selected, frame: &Frame) -> Option<FrameInfo> {
        let mut info = frame.describe(&self.space_of(selected.pid)?.modules, selected.frame);
        info.arguments = self.argument_values(selected, frame);
        Some(info)
    }

    /// Answers `backtrace`.
    pub(super) fn backtrace(&mut self, limit: usize, full: bool) -> Result<Reply, CommandError> {
        let Selected { pid, tid, .. } = self.selected()?;
        let gone = || CommandError::new("the selected thread is gone");
        let Stack { frames, ended } = self.frames(pid, tid, limit).ok_or_else(gone)?;
        let named = frames.iter().enumerate().map(|(level, frame)| {
            let selected = Selected { pid, tid, frame: level };
            let mut info = self.named(selected, frame)?;
            if full {
                info.locals = self.frame_variables(selected, frame, VariableKind::Local);
            }
            Some(info)
        });
        let frames = named.collect::<Option<Vec<_>>>().ok_or_else(gone)?;
        Ok(Reply::Backtrace { frames, ended })
    }

    /// Answers `frame N`, and `frame` with the level selected now.
    pub(super) fn select_frame(&mut self, level: usize) -> Result<Reply, CommandError> {
        let selected = Selected { frame: level, ..self.selected()? };
        let info = self
            .named_frame(selected)
            .ok_or_else(|| CommandError::new(format!("the stack has no frame {level}")))?;
        self.selection = Some(selected);
        Ok(Reply::Frame(Box::new(info)))
    }

    /// Notes, at a stop, which of the inlined calls that begin just there the
    /// user has not entered: all but those that a breakpoint is on or in.
    /// After a step that is known: single instructions lead into them, and a
    /// course says.
    pub(super) fn note_calls_not_entered(&mut self, pid: Pid, tid: Tid, reasons: &[StopReason]) {
        let of_step = |reason: &StopReason| {
            use StopReason::{Line, Place, Returned, Stepped};
            matches!(reason, Stepped | Line { .. } | Place | Returned { .. })
        };
        if reasons.iter().all(of_step) {
            return;
        }
        let not_entered = self.calls_not_entered(pid, tid, reasons).unwrap_or(0);
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.not_entered = not_entered;
        }
    }

    /// How many inlined calls begin where a thread stands and none of these
    /// reasons is in.
    pub(super) fn calls_not_entered(
        &mut self,
        pid: Pid,
        tid: Tid,
        reasons: &[StopReason],
    ) -> Option<usize> {
        let pc = VirtAddr::new(self.program_registers(pid, tid)?.rip);
        let modules = &self.space_of(pid)?.modules;
        let at = modules.at(pc)?.to_image(pc);
        let calls = inlined_calls(modules, pc);
        let beginning = calls.iter().take_while(|call| call.begins_at(at)).count();
        let meant: Vec<Arc<str>> =
            reasons.iter().filter_map(|reason| self.function_stopped_in(reason)).collect();
        let is_meant = |call: &InlinedCall| meant.iter().any(|name| **name == *call.name);
        Some(calls[..beginning].iter().position(is_meant).unwrap_or(beginning))
    }

    /// The function that the location of a breakpoint is in.
    fn function_stopped_in(&self, reason: &StopReason) -> Option<Arc<str>> {
        let &StopReason::Breakpoint { id, location, .. } = reason else { return None };
        self.breakpoint_function(id, location)
    }

    fn breakpoint_function(&self, id: BreakpointId, index: u32) -> Option<Arc<str>> {
        let mut locations = self.breakpoints.get(id)?.locations.iter();
        locations.find(|location| location.id.index == index)?.function.clone()
    }
}
