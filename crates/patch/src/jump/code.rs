//! What is known of a program's code: its bytes, where functions are, and
//! which places direct branches go to.
//!
//! [`ProgramCode`] is what the caller knows; [`Functions`] decodes each
//! function once and keeps what it found.

use std::collections::BTreeMap;
use std::rc::Rc;

use iced_x86::OpKind;
use trapline_core::{AddrRange, VirtAddr};

use crate::insn::{Insn, decode};

/// A program's own code, as it would be without us.
pub trait ProgramCode {
    /// Copies the program's own bytes at an address; how many there were.
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> usize;

    /// The function whose code is at an address; `None` when that is unknown.
    fn function(&self, addr: VirtAddr) -> Option<Function>;

    /// Why code in a range may not be changed or moved; `None` when it may.
    fn protected(&self, range: AddrRange) -> Option<Protected>;
}

/// Where a function's code is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// The part that holds the address that was asked for.
    pub part: AddrRange,
    /// Its other parts, which may branch into this one.
    pub others: Vec<AddrRange>,
}

/// Why code may not be changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protected {
    /// It is not in executable memory that belongs to a file.
    NotCode,
    /// It is in a restartable sequence, whose abort is bound to its addresses.
    /// rseq(2).
    Restartable,
    /// The caller keeps it for other uses.
    Reserved,
}

impl Protected {
    /// The reason as a clause.
    pub fn summary(self) -> &'static str {
        match self {
            Self::NotCode => "the memory there is not a file's code",
            Self::Restartable => "the code belongs to a restartable sequence",
            Self::Reserved => "the code there is not to be changed",
        }
    }
}

/// Functions that have been decoded, by address. Whoever keeps it forgets
/// what has been unloaded or rewritten.
#[derive(Clone, Debug, Default)]
pub struct Functions {
    known: BTreeMap<VirtAddr, Rc<Facts>>,
}

/// What a linear sweep found in one part of a function.
#[derive(Debug)]
pub(super) struct Facts {
    /// The part.
    pub(super) part: AddrRange,
    /// Offsets of its instructions, ascending.
    starts: Vec<u32>,
    /// Where direct branches of the whole function go within the part,
    /// ascending.
    targets: Vec<VirtAddr>,
}

impl Functions {
    /// Forgets every function with code in a range.
    pub fn forget(&mut self, range: AddrRange) {
        self.known.retain(|_, facts| !facts.part.overlaps(range));
    }

    /// The facts of the function at an address.
    pub(super) fn at(&mut self, code: &dyn ProgramCode, addr: VirtAddr) -> Option<Rc<Facts>> {
        let below = self.known.range(..=addr).next_back();
        if let Some((_, facts)) = below.filter(|(_, facts)| facts.part.contains(addr)) {
            return Some(Rc::clone(facts));
        }
        let function = code.function(addr).filter(|function| function.part.contains(addr))?;
        let facts = Rc::new(Facts::read(code, &function));
        self.known.insert(facts.part.start, Rc::clone(&facts));
        Some(facts)
    }
}

impl Facts {
    fn read(code: &dyn ProgramCode, function: &Function) -> Self {
        let (mut starts, mut targets) = (Vec::new(), Vec::new());
        let part = function.part;
        sweep(code, part, |insn| {
            starts.extend(insn.addr().checked_sub(part.start).map(|offset| offset as u32));
            targets.extend(direct_target(insn));
        });
        for &other in &function.others {
            sweep(code, other, |insn| targets.extend(direct_target(insn)));
        }
        targets.retain(|&target| part.contains(target));
        targets.sort_unstable();
        targets.dedup();
        Self { part, starts, targets }
    }

    /// Where a direct branch goes in the range, if any does; the lowest.
    pub(super) fn entered(&self, range: AddrRange) -> Option<VirtAddr> {
        let first = self.targets.partition_point(|&target| target < range.start);
        self.targets.get(first).copied().filter(|&target| target < range.end)
    }

    /// The instructions that begin in the range, the last first.
    pub(super) fn starts_in(&self, range: AddrRange) -> impl Iterator<Item = VirtAddr> + '_ {
        let offset = |addr: VirtAddr| addr.checked_sub(self.part.start).unwrap_or(0) as u32;
        let first = self.starts.partition_point(|&start| start < offset(range.start));
        let last = self.starts.partition_point(|&start| start < offset(range.end)).max(first);
        let inside = self.starts[first..last].iter().rev();
        inside.map(|&start| self.part.start.wrapping_add(u64::from(start)))
    }
}

/// Where a branch, call or aborted transaction goes that names the place.
fn direct_target(insn: &Insn) -> Option<VirtAddr> {
    let raw = &insn.raw;
    matches!(raw.op0_kind(), OpKind::NearBranch64).then(|| VirtAddr::new(raw.near_branch_target()))
}

/// No function's code is longer, in bytes: offsets have 32 bits, and what says
/// otherwise is damaged.
const LONGEST: u64 = 64 << 20;

/// Decodes instruction after instruction; a byte that begins none is skipped.
fn sweep(code: &dyn ProgramCode, part: AddrRange, mut each: impl FnMut(&Insn)) {
    let mut bytes = vec![0; part.len().min(LONGEST) as usize];
    let read = code.read(part.start, &mut bytes);
    let mut skip = 0;
    while skip < read {
        let insn = decode(&bytes[skip..read], part.start.wrapping_add(skip as u64));
        skip += insn.map_or(1, |insn| {
            each(&insn);
            insn.len()
        });
    }
}
