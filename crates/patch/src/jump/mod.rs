//! Which jumps, written over a program's code, lead from given places (sites)
//! to code of ours: a pure plan for one address space.
//!
//! A jump has five bytes, `E9` and an offset of four. No control-flow graph is
//! needed to place it; the tactics, in the order in which they are tried:
//! - *whole*: the site's instruction has five bytes or more.
//! - *pun*: it has fewer. Only its own bytes are changed, so the end of the
//!   offset is whatever follows in memory, and the jump leads where that says:
//!   to a *hop* of ours that jumps on. Prefixes without a meaning before the
//!   opcode let it end with other bytes.
//! - *window*: several instructions make room, and wherever one but the first
//!   began, the offset has a byte that traps. A thread that comes there all
//!   the same, by a way that nobody knew of, is moved to the copy. A window
//!   may hold several sites.
//!
//! What a pun leads to depends on the bytes behind it, which may be changed by
//! other sites. Those that can depend on each other are planned together:
//! [`dependents`] says which. Everything is planned from the highest address
//! down, so what a jump relies on is known when it is its turn.
//!
//! An `endbr64` stays what an indirect branch finds (Intel CET): a site on one
//! has its jump right behind.
//!
//! The plan says what to write and which pages to map. Writing, mapping,
//! building trampolines and moving threads are left to the caller.

mod cluster;
mod code;
mod offsets;
mod reason;
mod room;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use trapline_core::x64::{CodeBytes, MAX_INSTRUCTION};
use trapline_core::{AddrRange, VirtAddr};

pub use self::code::{Function, Functions, ProgramCode, Protected};
pub use self::reason::{Reason, Rejected};
pub use self::room::HopPages;
use crate::near::Space;

/// The bytes of a jump. Intel SDM volume 2, JMP: `E9 cd`.
pub const JUMP_LEN: u64 = 5;

const OPCODE: u8 = 0xe9;

/// A prefix that means nothing to a jump with an offset: the address size.
/// Linkers pad calls with it. Intel SDM volume 2, section 2.1.1.
const PREFIX: u8 = 0x67;

/// How far below a site a byte may be that is changed for it: a window that
/// holds the site may begin there.
const BELOW: u64 = JUMP_LEN - 1;

/// How far above it the first byte is that is neither changed nor relied on
/// for it: the jump may begin behind an `endbr64` of 4 bytes, and may have 3
/// prefixes.
const ABOVE: u64 = 4 + 3 + JUMP_LEN;

/// No jump depends on a byte that is farther behind its first one: the last
/// instruction that is copied may begin right before its end.
pub const DEPTH: u64 = 3 + JUMP_LEN - 1 + MAX_INSTRUCTION as u64;

/// A way to place a jump.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tactic {
    /// Over one instruction that is long enough.
    Whole,
    /// Over one that is shorter, the end of the offset being what follows.
    Pun,
    /// Over several.
    Window,
}

impl Tactic {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Pun, Self::Window];

    /// Its name, as users read and write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Pun => "pun",
            Self::Window => "window",
        }
    }

    /// What it is, in words.
    pub fn described(self) -> &'static str {
        match self {
            Self::Whole => "a jump over one instruction",
            Self::Pun => "a punned jump over one short instruction",
            Self::Window => "a jump over several instructions",
        }
    }

    /// The one of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tactic| tactic.name() == name)
    }
}

impl fmt::Display for Tactic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of tactics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tactics(u8);

impl Tactics {
    /// Every tactic.
    pub const ALL: Self = Self(0b111);
    /// No tactic.
    pub const NONE: Self = Self(0);

    /// This set and one more.
    #[must_use]
    pub fn with(self, tactic: Tactic) -> Self {
        Self(self.0 | 1 << tactic as u8)
    }

    /// Whether it is in the set.
    pub fn contains(self, tactic: Tactic) -> bool {
        self.0 >> (tactic as u8) & 1 == 1
    }

    /// Those in the set, in the order in which they are tried.
    pub fn iter(self) -> impl Iterator<Item = Tactic> {
        Tactic::ALL.into_iter().filter(move |&tactic| self.contains(tactic))
    }
}

impl fmt::Display for Tactics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Tactic::name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(" "))
    }
}

impl FromIterator<Tactic> for Tactics {
    fn from_iter<I: IntoIterator<Item = Tactic>>(tactics: I) -> Self {
        tactics.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What to plan, and what is known.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The addresses of instructions that jumps are wanted at, ascending.
    /// All [`dependents`] of each are among them.
    pub sites: &'a [VirtAddr],
    /// Where the first byte of an instruction is, and stays, a trap of ours.
    pub traps: &'a BTreeSet<VirtAddr>,
    /// Where a debug register matches an instruction: a jump may begin there,
    /// but not take the instruction away from there.
    pub matched: &'a BTreeSet<VirtAddr>,
    /// The program's code.
    pub code: &'a dyn ProgramCode,
    /// What is free.
    pub space: &'a Space,
    /// Pages of ours for hops.
    pub pages: &'a HopPages,
    /// Where trampolines are or will be. From within reach of all of it, hops
    /// are shorter.
    pub trampolines: AddrRange,
    /// The tactics that may be used.
    pub tactics: Tactics,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// The jumps, ascending.
    pub jumps: Vec<Jump>,
    /// The sites without a jump, ascending.
    pub unserved: Vec<Unserved>,
    /// What to map for hops before anything is written, neighbours joined.
    pub new_pages: Vec<AddrRange>,
    /// For each site the tactics that come before the one that was taken.
    pub rejected: BTreeMap<VirtAddr, Vec<Rejected>>,
}

/// A jump that serves one site or, in a window, several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jump {
    /// How it is placed.
    pub tactic: Tactic,
    /// Its first byte.
    pub at: VirtAddr,
    /// The sites it serves, ascending. A window may begin with an instruction
    /// that is none.
    pub sites: Vec<VirtAddr>,
    /// The instructions that it stands for, in order. The first is at [`Self::at`], or it is an `endbr64` right
    /// before, which stays in place and may run twice.
    pub displaced: Vec<Displaced>,
    /// The instructions behind them, in order, that stay in place and are to be
    /// copied all the same: execution goes on behind the last of these. A
    /// processor that comes back to code inside the jump's own bytes takes it
    /// for the jump again, which costs more than most conditions.
    pub carried: Vec<Displaced>,
    /// How many of its bytes are written; the rest is there already.
    pub written: u8,
    /// How many bytes that mean nothing come before its opcode, so that its
    /// offset ends with other bytes.
    pub prefixes: u8,
    /// Where it leads.
    pub entry: Entry,
}

/// An instruction under a jump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Displaced {
    /// Its address.
    pub at: VirtAddr,
    /// Its length in bytes.
    pub len: u8,
}

/// Where a jump leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Wherever it is told to, within reach.
    Anywhere,
    /// To these bytes, which are reserved for a hop in [`HopPages`] or in a
    /// new page.
    At(AddrRange),
}

/// A site without a jump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unserved {
    /// The site.
    pub site: VirtAddr,
    /// Why: what the last tactic failed for, or what rules out every one.
    pub why: Reason,
}

impl Jump {
    /// The bytes that are changed.
    pub fn changes(&self) -> AddrRange {
        AddrRange::sized(self.at, u64::from(self.written))
    }

    /// The bytes behind them that must stay what they are when it was
    /// planned, since the offset ends with them.
    pub fn relies_on(&self) -> AddrRange {
        AddrRange::between(self.changes().end, self.opcode().wrapping_add(JUMP_LEN))
    }

    /// The program's bytes that it is made for: those that are changed or
    /// copied and those that its offset ends with.
    pub fn made_for(&self) -> AddrRange {
        let first = self.copied().next().map_or(self.at, |first| first.at);
        let copied = self.copied().last().map_or(self.at, |last| last.end());
        AddrRange::between(first, copied.max(self.relies_on().end))
    }

    /// All bytes of the instructions that it stands for.
    pub fn displaces(&self) -> AddrRange {
        let first = self.displaced.first().map_or(self.at, |first| first.at);
        let last = self.displaced.last().map_or(self.at, Displaced::end);
        AddrRange::between(first, last)
    }

    /// The instructions to copy, in order. Execution goes on behind the last.
    pub fn copied(&self) -> impl Iterator<Item = Displaced> + '_ {
        self.displaced.iter().chain(&self.carried).copied()
    }

    /// What to write at [`Self::at`] so that it leads to `trampoline`, or to
    /// the hop that does; `None` when that is out of reach.
    pub fn patch(&self, trampoline: VirtAddr) -> Option<CodeBytes> {
        let entry = match self.entry {
            Entry::Anywhere => trampoline,
            Entry::At(hop) => hop.start,
        };
        let mut bytes = vec![PREFIX; self.prefixes.into()];
        bytes.extend(near_jump(self.opcode(), entry)?);
        bytes.truncate(self.written.into());
        CodeBytes::new(&bytes)
    }

    fn opcode(&self) -> VirtAddr {
        self.at.wrapping_add(u64::from(self.prefixes))
    }

    /// What to write at the jump's entry so that it goes on to `trampoline`;
    /// nothing when the jump leads there itself, `None` when the bytes that
    /// are reserved do not reach.
    pub fn hop(&self, trampoline: VirtAddr) -> Option<CodeBytes> {
        let Entry::At(hop) = self.entry else { return Some(CodeBytes::default()) };
        if let Some(near) = near_jump(hop.start, trampoline) {
            return CodeBytes::new(&near);
        }
        // jmp [rip+0], and the address.
        let mut far = [0xff, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        far[6..].copy_from_slice(&trampoline.get().to_le_bytes());
        (hop.len() >= far.len() as u64).then(|| CodeBytes::first_of(&far))
    }
}

impl Displaced {
    /// The address behind it.
    pub fn end(&self) -> VirtAddr {
        self.at.wrapping_add(u64::from(self.len))
    }
}

/// `jmp rel32`.
fn near_jump(at: VirtAddr, to: VirtAddr) -> Option<[u8; JUMP_LEN as usize]> {
    let distance = to.get().wrapping_sub(at.wrapping_add(JUMP_LEN).get()).cast_signed();
    let [a, b, c, d] = i32::try_from(distance).ok()?.to_le_bytes();
    Some([OPCODE, a, b, c, d])
}

/// The sites, out of all wanted ones, whose jumps may depend on a change of
/// the bytes in a range, be it a site that comes or goes, a trap, or code that
/// was rewritten; `sites` is ascending. What is planned anew is all of them or
/// none.
pub fn dependents(sites: &[VirtAddr], changed: AddrRange) -> &[VirtAddr] {
    let first = sites.partition_point(|site| site.wrapping_add(ABOVE) <= changed.start);
    let behind = |site: &VirtAddr| site.get().saturating_sub(BELOW) < changed.end.get();
    let last = sites.partition_point(behind).max(first);
    let together = |pair: [VirtAddr; 2]| depend(pair[0], pair[1]);
    let joined = |index: usize| {
        index.checked_sub(1).is_some_and(|below| {
            sites.get(index).is_some_and(|&site| together([sites[below], site]))
        })
    };
    let (mut first, mut last) = (first, last);
    while first < last && joined(first) {
        first -= 1;
    }
    while first < last && joined(last) {
        last += 1;
    }
    &sites[first..last]
}

/// Whether the jumps of two sites, the lower one first, may touch the same
/// bytes.
fn depend(lower: VirtAddr, upper: VirtAddr) -> bool {
    upper.get() - lower.get() < ABOVE + BELOW
}

/// Plans a jump for every site.
///
/// The same request gives the same plan. Groups of sites that do not depend on
/// each other share nothing but the room for hops.
pub fn plan(request: &Request<'_>, functions: &mut Functions) -> Plan {
    cluster::plan(request, functions)
}
