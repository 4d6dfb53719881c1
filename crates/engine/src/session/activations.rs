//! Activations: the runs of functions that have a place on the stack of their
//! own, from a thread's registers outwards. What a user takes for frames, calls
//! that the compiler put inline among them, is left to `frames`, and functions
//! that have given their place to another to `tail_calls`.

use trapline_core::memory::ReadMemory;
use trapline_core::x64::{Reg, Registers};
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_symbols::{FrameRegisters, PcKind, UnwindError, Unwound, unwind_without_cfi};

use super::Session;
use super::scope::CodePlace;
use crate::space::Modules;

/// A stack, innermost first.
pub(crate) struct Walk {
    pub(crate) activations: Vec<Activation>,
    /// Why there are no more, when that is not the stack's natural end.
    pub(super) ended: Option<String>,
}

/// One run of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activation {
    /// 0 for the innermost.
    pub(super) level: usize,
    pub(super) registers: FrameRegisters,
    pub(crate) pc: VirtAddr,
    pub(super) kind: PcKind,
    pub(super) cfa: Option<u64>,
    pub(super) signal_frame: bool,
    pub(super) guess: bool,
    pub(super) fate: Fate,
}

/// What has become of a run of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It has its place on the stack.
    OnStack,
    /// It ended in a jump to another function, which has its place now. Of its
    /// registers those are known that it had to leave as it found them.
    Jumped {
        /// Where in its caller the others return to.
        returns_to: VirtAddr,
    },
}

impl Activation {
    /// That of a thread that stands at its registers.
    pub(super) fn innermost(registers: &Registers) -> Self {
        let pc = VirtAddr::new(registers.rip);
        let (kind, registers) = (PcKind::Exact, frame_registers(registers));
        let fate = Fate::OnStack;
        Self { level: 0, registers, pc, kind, cfa: None, signal_frame: false, guess: false, fate }
    }

    /// Whether the registers of its thread are its own.
    pub(super) fn is_innermost(&self) -> bool {
        self.level == 0 && self.fate == Fate::OnStack
    }

    /// Who called it; `None` at the end of the stack.
    pub(super) fn caller(
        &self,
        modules: &Modules,
        memory: &dyn ReadMemory,
    ) -> Result<Option<Self>, String> {
        match self.fate {
            Fate::OnStack => Ok(caller(modules, memory, self)?.and_then(|up| self.above(&up))),
            Fate::Jumped { returns_to } => Ok(Some(self.returned(returns_to))),
        }
    }

    /// The caller of one that has ended, once the others return.
    fn returned(&self, to: VirtAddr) -> Self {
        let (level, kind, fate) = (self.level + 1, PcKind::ReturnAddress, Fate::OnStack);
        let mut registers = self.registers;
        registers.set(Reg::Rip, Some(to.get()));
        Self { level, registers, pc: to, kind, cfa: None, fate, ..*self }
    }

    /// The activation that unwinding this one leads to.
    fn above(&self, up: &Unwound) -> Option<Self> {
        let pc = VirtAddr::new(up.registers.get(Reg::Rip).filter(|pc| *pc != 0)?);
        let kind = if up.signal_frame { PcKind::Exact } else { PcKind::ReturnAddress };
        let (level, registers, guess) = (self.level + 1, up.registers, up.guess);
        let fate = Fate::OnStack;
        Some(Self { level, registers, pc, kind, cfa: None, signal_frame: false, guess, fate })
    }

    /// The address that decides which function and line it is in.
    pub(super) fn lookup(&self) -> VirtAddr {
        let Self { pc, kind, fate, .. } = *self;
        CodePlace { pc, kind, depth: None, fate }.lookup()
    }
}

fn frame_registers(registers: &Registers) -> FrameRegisters {
    let mut frame = FrameRegisters::default();
    for reg in Reg::general().chain([Reg::Rip]) {
        frame.set(reg, registers.get(reg));
    }
    frame
}

/// Walks a stack, at most `limit` activations of it.
pub(crate) fn walk(
    modules: &Modules,
    memory: &dyn ReadMemory,
    registers: &Registers,
    limit: usize,
) -> Walk {
    let mut walk = Walk { activations: Vec::new(), ended: None };
    // A call through a null pointer is a place, too; a thread of whose registers
    // nothing is known has no stack.
    let known = registers.rip != 0 || registers.rsp() != 0;
    let mut next = known.then(|| Activation::innermost(registers));
    while let Some(mut activation) = next.take().filter(|_| walk.activations.len() < limit) {
        match caller(modules, memory, &activation) {
            Ok(Some(up)) => {
                activation.cfa = Some(up.cfa);
                activation.signal_frame = up.signal_frame;
                if up.signal_frame || moves_up(&walk, up.cfa) {
                    next = activation.above(&up);
                } else {
                    walk.ended =
                        Some("previous frame identical to this frame (corrupt stack?)".to_owned());
                }
            }
            Ok(None) => {}
            Err(why) => walk.ended = Some(why),
        }
        walk.activations.push(activation);
    }
    walk
}

/// A stack that does not grow towards its base is no stack. Signal handlers on
/// a stack of their own may jump either way, once per signal frame.
fn moves_up(walk: &Walk, cfa: u64) -> bool {
    match walk.activations.last() {
        Some(last) => last.signal_frame || last.cfa.is_none_or(|below| cfa > below),
        None => true,
    }
}

fn caller(
    modules: &Modules,
    memory: &dyn ReadMemory,
    frame: &Activation,
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
    frame: &Activation,
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

/// The function that an activation is of.
pub(crate) fn function_name(modules: &Modules, frame: &Activation) -> Option<String> {
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

/// What an address is called, and its distance from that. Code of a function
/// that lies apart from its beginning has a symbol of its own.
pub(crate) fn symbol_and_offset(modules: &Modules, addr: VirtAddr) -> Option<(String, u64)> {
    let module = modules.at(addr)?;
    let image_addr = module.to_image(addr);
    let function = module.image.function_at(image_addr);
    let apart = function.as_ref().is_some_and(|function| {
        let beginning =
            function.ranges.iter().find(|(from, to)| (*from..*to).contains(&function.entry));
        beginning.is_none_or(|(from, to)| !(*from..*to).contains(&image_addr))
    });
    let symbol = module.image.symbol_at(image_addr).filter(|_| apart);
    match symbol.and_then(|it| Some((image_addr.checked_sub(it.start)?, it.name))) {
        Some((offset, name)) => Some((name, offset)),
        None => match function {
            Some(function) => {
                let offset = image_addr.checked_sub(function.entry).unwrap_or(0);
                Some((module.image.signature(&function), offset))
            }
            None => function_and_offset(modules, addr),
        },
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
        Some(walk(&space.modules, &memory, &registers, limit))
    }
}
