//! Call stacks: from a thread's registers to frames that name functions and
//! lines.

use trapline_core::memory::ReadMemory;
use trapline_core::x64::{Reg, Registers};
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_symbols::{FrameRegisters, PcKind, UnwindError, Unwound, unwind_without_cfi};

use super::{Selected, Session};
use crate::command::{CommandError, Reply};
use crate::event::FrameInfo;
use crate::space::Modules;

/// Frames of a stack before they are named.
pub(crate) struct Walk {
    pub(crate) frames: Vec<RawFrame>,
    /// Why there are no more, when that is not the stack's natural end.
    pub(super) ended: Option<String>,
}

/// One frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawFrame {
    pub(super) registers: FrameRegisters,
    pub(crate) pc: VirtAddr,
    pub(super) kind: PcKind,
    pub(super) cfa: Option<u64>,
    pub(super) signal_frame: bool,
    pub(super) guess: bool,
}

impl RawFrame {
    /// The address that decides which function and line the frame is in.
    pub(super) fn lookup(&self) -> VirtAddr {
        match self.kind {
            PcKind::Exact => self.pc,
            PcKind::ReturnAddress => self.pc.wrapping_sub(1),
        }
    }
}

/// The innermost frame's registers.
pub(crate) fn frame_registers(registers: &Registers) -> FrameRegisters {
    let mut frame = FrameRegisters::default();
    for reg in Reg::general().chain([Reg::Rip]) {
        frame.set(reg, registers.get(reg));
    }
    frame
}

/// Walks a stack, at most `limit` frames of it.
pub(crate) fn walk(
    modules: &Modules,
    memory: &dyn ReadMemory,
    innermost: FrameRegisters,
    limit: usize,
) -> Walk {
    let mut walk = Walk { frames: Vec::new(), ended: None };
    let mut next = Some((innermost, PcKind::Exact, false));
    while let Some((registers, kind, guess)) = next.take() {
        let Some(pc) = registers.get(Reg::Rip).map(VirtAddr::new) else { break };
        if pc.get() == 0 || walk.frames.len() >= limit {
            break;
        }
        let mut frame = RawFrame { registers, pc, kind, cfa: None, signal_frame: false, guess };
        match caller(modules, memory, &frame) {
            Ok(Some(up)) => {
                frame.cfa = Some(up.cfa);
                frame.signal_frame = up.signal_frame;
                if moves_up(&walk, up.cfa) {
                    let kind = if up.signal_frame { PcKind::Exact } else { PcKind::ReturnAddress };
                    next = Some((up.registers, kind, up.guess));
                } else {
                    walk.ended =
                        Some("previous frame identical to this frame (corrupt stack?)".to_owned());
                }
            }
            Ok(None) => {}
            Err(why) => walk.ended = Some(why),
        }
        walk.frames.push(frame);
    }
    walk
}

/// A stack that does not grow towards its base is no stack. Signal handlers on
/// a stack of their own may jump either way, once per signal frame.
fn moves_up(walk: &Walk, cfa: u64) -> bool {
    match walk.frames.last() {
        Some(last) => last.signal_frame || last.cfa.is_none_or(|below| cfa > below),
        None => true,
    }
}

fn caller(
    modules: &Modules,
    memory: &dyn ReadMemory,
    frame: &RawFrame,
) -> Result<Option<Unwound>, String> {
    if let Some(module) = modules.at(frame.lookup()) {
        let image_pc = module.to_image(frame.pc);
        match module.image.unwind_frame(image_pc, frame.kind, module.bias, &frame.registers, memory)
        {
            Ok(found) => return Ok(found),
            Err(UnwindError::NoCfi(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    guess(modules, memory, frame)
}

fn guess(
    modules: &Modules,
    memory: &dyn ReadMemory,
    frame: &RawFrame,
) -> Result<Option<Unwound>, String> {
    let start = function_start(modules, frame.lookup());
    match unwind_without_cfi(&frame.registers, frame.kind, start, memory) {
        Ok(Some(up)) if plausible(modules, &up) => Ok(Some(up)),
        Ok(_) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// A guess is believed only when it leads back into known code.
fn plausible(modules: &Modules, up: &Unwound) -> bool {
    up.registers.get(Reg::Rip).is_some_and(|pc| modules.at(VirtAddr::new(pc)).is_some())
}

/// Where the function around an address starts.
pub(crate) fn function_start(modules: &Modules, addr: VirtAddr) -> Option<VirtAddr> {
    let module = modules.at(addr)?;
    let image_addr = module.to_image(addr);
    let start = module
        .image
        .function_at(image_addr)
        .map(|function| function.entry)
        .or_else(|| module.image.symbol_at(image_addr).map(|symbol| symbol.start))?;
    Some(module.bias.to_virt(start))
}

/// The function a frame is in.
pub(crate) fn function_name(modules: &Modules, frame: &RawFrame) -> Option<String> {
    function_and_offset(modules, frame.lookup()).map(|(name, _)| name)
}

/// The function around an address and the distance from its start.
pub(crate) fn function_and_offset(modules: &Modules, addr: VirtAddr) -> Option<(String, u64)> {
    let module = modules.at(addr)?;
    let image_addr = module.to_image(addr);
    if let Some(function) = module.image.function_at(image_addr) {
        let offset = image_addr.checked_sub(function.entry).unwrap_or(0);
        return Some((function.name, offset));
    }
    let symbol = module.image.symbol_at(image_addr)?;
    let offset = image_addr.checked_sub(symbol.start)?;
    Some((symbol.name, offset))
}

/// Puts names to a frame.
pub(super) fn describe(modules: &Modules, frame: &RawFrame, level: usize) -> FrameInfo {
    let module = modules.at(frame.lookup());
    let line = module.and_then(|m| m.image.source_at(m.to_image(frame.lookup())));
    let named = function_and_offset(modules, frame.lookup());
    let offset = named.as_ref().map(|(_, offset)| match frame.kind {
        PcKind::Exact => *offset,
        PcKind::ReturnAddress => offset + 1,
    });
    let mid_line = match (&line, module) {
        (Some(line), Some(module)) => module.bias.to_virt(line.start) != frame.pc,
        _ => true,
    };
    FrameInfo {
        level,
        pc: frame.pc,
        cfa: frame.cfa,
        function: named.map(|(name, _)| name),
        offset,
        arguments: Vec::new(),
        file: line.as_ref().map(|line| std::path::PathBuf::from(&*line.file)),
        line: line.as_ref().map(|line| line.line),
        module: module.map(|module| module.path.clone()),
        guess: frame.guess,
        signal_frame: frame.signal_frame,
        mid_line,
    }
}

impl Session {
    /// A stopped thread's registers as the program would have them: those of
    /// the program's own place when the thread is in a slot of ours.
    pub(super) fn program_registers(&mut self, pid: Pid, tid: Tid) -> Option<Registers> {
        let mut registers = self.raw_registers(pid, tid)?;
        let space = self.space_of(pid)?;
        if space.arena.is_empty() {
            return Some(registers);
        }
        let memory = self.memory(pid)?;
        // What cannot be restored is shown as it is; the pc at least is right.
        if space.arena.restore(&mut registers, &memory).is_err() {
            registers.rip = space.program_pc(VirtAddr::new(registers.rip)).get();
        }
        Some(registers)
    }

    /// The same for eyes: with the segment base that the thread would have.
    pub(super) fn shown_registers(&mut self, pid: Pid, tid: Tid) -> Option<Registers> {
        let mut registers = self.program_registers(pid, tid)?;
        if self.space_of(pid)?.rows.contains(registers.gs_base) {
            registers.gs_base = 0;
        }
        Some(registers)
    }

    /// A thread's stack.
    pub(super) fn stack(&mut self, pid: Pid, tid: Tid, limit: usize) -> Option<Walk> {
        let registers = self.program_registers(pid, tid)?;
        let space = self.space_of(pid)?;
        let memory = self.memory(pid)?;
        Some(walk(&space.modules, &memory, frame_registers(&registers), limit))
    }

    /// The innermost frame, named, with its arguments; an empty one when the
    /// thread is gone.
    pub(super) fn innermost_frame(&mut self, pid: Pid, tid: Tid) -> FrameInfo {
        self.named_frame(pid, tid, 0).unwrap_or_else(|| FrameInfo {
            level: 0,
            pc: VirtAddr::default(),
            cfa: None,
            function: None,
            offset: None,
            arguments: Vec::new(),
            file: None,
            line: None,
            module: None,
            guess: false,
            signal_frame: false,
            mid_line: false,
        })
    }

    fn named_frame(&mut self, pid: Pid, tid: Tid, level: usize) -> Option<FrameInfo> {
        let walk = self.stack(pid, tid, level + 1)?;
        let frame = *walk.frames.get(level)?;
        let mut info = describe(&self.space_of(pid)?.modules, &frame, level);
        info.arguments = self.argument_values(Selected { pid, tid, frame: level }, &frame);
        Some(info)
    }

    /// Answers `backtrace`.
    pub(super) fn backtrace(&mut self, limit: usize) -> Result<Reply, CommandError> {
        let Selected { pid, tid, .. } = self.selected()?;
        let gone = || CommandError::new("the selected thread is gone");
        let walk = self.stack(pid, tid, limit).ok_or_else(gone)?;
        let mut frames = Vec::new();
        for (level, frame) in walk.frames.iter().enumerate() {
            let space = self.space_of(pid).ok_or_else(gone)?;
            let mut info = describe(&space.modules, frame, level);
            info.arguments = self.argument_values(Selected { pid, tid, frame: level }, frame);
            frames.push(info);
        }
        Ok(Reply::Backtrace { frames, ended: walk.ended })
    }

    /// Answers `frame N`, and `frame` with the level selected now.
    pub(super) fn select_frame(&mut self, level: usize) -> Result<Reply, CommandError> {
        let Selected { pid, tid, .. } = self.selected()?;
        let info = self
            .named_frame(pid, tid, level)
            .ok_or_else(|| CommandError::new(format!("the stack has no frame {level}")))?;
        self.selection = Some(Selected { pid, tid, frame: level });
        Ok(Reply::Frame(Box::new(info)))
    }
}
