//! Why a place is not served by a jump, or by one tactic: what users read.

use std::fmt;

use trapline_core::VirtAddr;

use super::Tactic;
use super::code::Protected;
use crate::relocate::Refusal;

/// Why a tactic, or every one, is out of the question for a site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The tactic is not among the allowed ones.
    NotAllowed,
    /// The code there cannot be read.
    Unreadable,
    /// The instruction cannot run out of its place.
    Relocation(Refusal),
    /// `endbr64` must stay what an indirect branch finds (Intel CET).
    LandingPad,
    /// The code may not be changed.
    Protected(Protected),
    /// A byte of it is somebody else's.
    Occupied {
        /// Which.
        by: VirtAddr,
    },
    /// A direct branch goes into the middle of it.
    Entered {
        /// Where to.
        at: VirtAddr,
    },
    /// The instruction is shorter than a jump.
    Short {
        /// Its length.
        len: u8,
    },
    /// No free memory is where the jump could lead.
    NoRoom,
    /// Which function the code belongs to is not known, so neither is what
    /// branches into it.
    UnknownFunction,
    /// It would change code behind the function's end.
    LeavesFunction,
    /// A call, whose return address lies within, or an instruction that waits
    /// in the system is not its last.
    WaitsInside {
        /// Which.
        at: VirtAddr,
    },
    /// Code behind a jump or return is entered from elsewhere.
    BehindJump {
        /// The jump.
        at: VirtAddr,
    },
    /// The site shares the jump of another, which could not be served alone.
    Shared {
        /// That jump.
        with: VirtAddr,
    },
}

impl Reason {
    /// The reason without its particulars, by which like ones are counted.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::NotAllowed => "it is switched off by `set jump-tactics`",
            Self::Unreadable => "the code there cannot be read",
            Self::Relocation(refusal) => refusal.summary(),
            Self::LandingPad => "`endbr64` has to stay what an indirect branch finds there",
            Self::Protected(protected) => protected.summary(),
            Self::Occupied { .. } => "other bytes of ours are in the way",
            Self::Entered { .. } => "a branch goes into the middle of it",
            Self::Short { .. } => "the instruction is shorter than a jump",
            Self::NoRoom => "no free memory is where the jump could lead",
            Self::UnknownFunction => "it is not known what branches into the code",
            Self::LeavesFunction => "the function ends too early",
            Self::WaitsInside { .. } => "a thread that waits for a call would return into it",
            Self::BehindJump { .. } => "the code behind a jump is entered from elsewhere",
            Self::Shared { .. } => "it shares the jump of another place",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied { by } => write!(f, "what is armed at {by} is in the way"),
            Self::Entered { at } => write!(f, "a branch goes to {at}, into the middle of it"),
            Self::Short { len: 1 } => f.write_str("the instruction has 1 byte, a jump has 5"),
            Self::Short { len } => write!(f, "the instruction has {len} bytes, a jump has 5"),
            Self::WaitsInside { at } => {
                write!(f, "a thread that waits for the call at {at} would return into it")
            }
            Self::BehindJump { at } => {
                write!(f, "the code behind the jump at {at} is entered from elsewhere")
            }
            Self::Shared { with } => write!(f, "it shares the jump at {with}"),
            _ => f.write_str(self.summary()),
        }
    }
}

/// A tactic that was not taken, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// Which.
    pub tactic: Tactic,
    /// Why.
    pub why: Reason,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tactic, self.why)
    }
}
