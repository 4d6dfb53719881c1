//! Finding a frame's caller: what its registers were when it made the call.
//!
//! [`Cfi`] reads a program's call frame information and unwinds one frame with
//! it; [`unwind_without_cfi`] guesses where there is none. Walking the whole
//! stack, choosing the image of each frame and inline frames belong to others.

mod cfi;
mod evaluate;
mod guess;
mod landing;
mod search;
mod step;

use std::fmt;

use trapline_core::memory::{ReadMemory, Unreadable};
use trapline_core::x64::{Reg, Registers};
use trapline_core::{ImageAddr, LoadBias, VirtAddr};

use crate::Image;

pub use guess::unwind_without_cfi;

pub(crate) use cfi::{Cfi, CfiSections, SectionBytes};
pub(crate) use landing::LandingPad;
pub(crate) use step::cfa_program;

/// The registers of one frame. A register that nobody saved on the way down
/// is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameRegisters {
    general: [Option<u64>; 16],
    /// What those that are not known hold, if nobody called from here has
    /// touched them.
    untouched: [Option<u64>; 16],
    rip: Option<u64>,
}

impl FrameRegisters {
    /// The value of a general register or `rip`; `None` where it is not known
    /// and for every other register.
    pub fn get(&self, reg: Reg) -> Option<u64> {
        match reg.general_index() {
            Some(index) => self.general[index],
            None if reg == Reg::Rip => self.rip,
            None => None,
        }
    }

    /// Changes a general register or `rip`; any other is not kept.
    pub fn set(&mut self, reg: Reg, value: Option<u64>) {
        match reg.general_index() {
            Some(index) => self.general[index] = value,
            None if reg == Reg::Rip => self.rip = value,
            None => {}
        }
    }

    /// The value of a general register that nobody called from this frame has
    /// touched; who knows that it is so is the compiler.
    pub fn if_untouched(&self, reg: Reg) -> Option<u64> {
        self.get(reg).or_else(|| self.untouched[reg.general_index()?])
    }

    /// The same for a frame that somebody else's code has run in since.
    pub fn known_alone(self) -> Self {
        Self { untouched: [None; 16], ..self }
    }

    fn known(&self, reg: Reg) -> Result<u64, UnwindError> {
        self.get(reg).ok_or(UnwindError::RegisterUnknown(reg))
    }
}

impl From<&Registers> for FrameRegisters {
    fn from(registers: &Registers) -> Self {
        let general = registers.general.map(Some);
        Self { general, untouched: [None; 16], rip: Some(registers.rip) }
    }
}

/// How a frame's `rip` relates to the code it stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PcKind {
    /// The next instruction to run: the innermost frame, and a frame that a
    /// signal interrupted.
    Exact,
    /// The place a call returns to. The call may have been the last
    /// instruction of its function, or of a block, so that what holds at the
    /// call is looked up one byte before.
    ReturnAddress,
}

impl PcKind {
    /// The address to look a frame's code up by.
    pub fn lookup(self, pc: ImageAddr) -> ImageAddr {
        match self {
            Self::Exact => pc,
            Self::ReturnAddress => pc.wrapping_sub(1),
        }
    }
}

/// A frame's caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unwound {
    /// The caller's registers at the call.
    pub registers: FrameRegisters,
    /// The canonical frame address of the frame that was left: the stack
    /// pointer just before the call that made it.
    pub cfa: u64,
    /// Whether the frame that was left is a signal trampoline. What is above
    /// it was interrupted: its pc is [`PcKind::Exact`].
    pub signal_frame: bool,
    /// Whether this rests on conventions, not on debug information.
    pub guess: bool,
}

/// Why a frame's caller was not found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnwindError {
    /// No call frame information covers the code.
    NoCfi(ImageAddr),
    /// The rules want a register that the frame does not have.
    RegisterUnknown(Reg),
    /// The rules want memory that cannot be read (a damaged stack).
    Unreadable(Unreadable),
    /// The call frame information is damaged or beyond this reader; says how.
    Malformed(String),
    /// The caller would be the frame itself: a damaged stack.
    Stuck,
    /// No convention gives a believable caller.
    NoGuess,
}

impl From<Unreadable> for UnwindError {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl From<gimli::Error> for UnwindError {
    fn from(error: gimli::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl fmt::Display for UnwindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCfi(pc) => write!(f, "no unwind information for {pc}"),
            Self::RegisterUnknown(reg) => write!(f, "the frame's {reg} is not known"),
            Self::Unreadable(error) => error.fmt(f),
            Self::Malformed(what) => write!(f, "bad unwind information: {what}"),
            Self::Stuck => f.write_str("previous frame identical to this frame (corrupt stack?)"),
            Self::NoGuess => f.write_str("no unwind information and no believable frame pointer"),
        }
    }
}

impl std::error::Error for UnwindError {}

impl Image {
    /// The caller of a frame of this image, by call frame information; `None`
    /// when the frame is the outermost.
    ///
    /// `pc` is the frame's `rip` in the image's terms, `bias` where the image
    /// was loaded. [`UnwindError::NoCfi`] leaves [`unwind_without_cfi`].
    pub fn unwind_frame(
        &self,
        pc: ImageAddr,
        kind: PcKind,
        bias: LoadBias,
        registers: &FrameRegisters,
        memory: &dyn ReadMemory,
    ) -> Result<Option<Unwound>, UnwindError> {
        self.cfi().unwind(pc, kind, bias, registers, memory)
    }

    /// Where the function around an address continues when an exception is
    /// caught there or passes through.
    pub fn continues_after_exception(&self, pc: ImageAddr) -> Vec<ImageAddr> {
        let pads = self.landing_pads(pc).into_iter();
        pads.map(|pad| ImageAddr::new(pad.address)).collect()
    }

    /// Where the function around an address continues when an exception
    /// passes through.
    pub(crate) fn landing_pads(&self, pc: ImageAddr) -> Vec<LandingPad> {
        let Some((function, area)) = self.cfi().language_data(pc) else { return Vec::new() };
        let bytes = self.elf.loaded_bytes(area).unwrap_or(&[]);
        landing::landing_pads(bytes, area, function)
    }
}

/// Ends an unwinding step: the caller, or `None` at the outermost frame, whose
/// return address is zero by the ABI's convention for a thread's first frame.
fn finish(from: &FrameRegisters, unwound: Unwound) -> Result<Option<Unwound>, UnwindError> {
    let same = |reg| from.get(reg) == unwound.registers.get(reg);
    match unwound.registers.get(Reg::Rip) {
        Some(0) => Ok(None),
        _ if same(Reg::Rip) && same(Reg::Rsp) => Err(UnwindError::Stuck),
        _ => Ok(Some(unwound)),
    }
}

/// A word of the debuggee's memory.
fn word(memory: &dyn ReadMemory, address: u64) -> Result<u64, UnwindError> {
    Ok(memory.read_u64(VirtAddr::new(address))?)
}
