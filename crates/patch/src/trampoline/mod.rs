//! Trampolines: where a patched jump goes. For every site under the jump the
//! code that decides about a pass, then copies of the displaced instructions,
//! then back into the program.
//!
//! [`build`] makes the bytes. Deciding changes nothing that the program could
//! see: the red zone is skipped, the flags and every register in use are kept
//! on the stack below it and given back before the displaced instruction runs
//! or the debugger is asked. [`Decision::standing`] says, for each place in it
//! where a thread can stand, what has been decided there and how to give the
//! registers back.
//!
//! What is decided is the predicate's ([`trapline_core::predicate`]), where the
//! jump is and where the trampoline goes the caller's.

mod emit;
mod standing;
#[cfg(test)]
mod tests;

use trapline_core::predicate::Predicate;
use trapline_core::{AddrRange, VirtAddr};

use self::emit::Writer;
pub use self::standing::{Decided, FlagsKept, Kept, Standing};
use crate::insn::decode;
use crate::relocate::{Refusal, Slot, relocate_decoded, relocate_flowing_on};

/// One displaced instruction.
#[derive(Clone, Copy, Debug)]
pub struct Displaced<'a> {
    /// Where it lies.
    pub at: VirtAddr,
    /// The program's own bytes from there on, the instruction's at least.
    pub code: &'a [u8],
    /// What is decided before it runs; `None` where no site is.
    pub decides: Option<Decides<'a>>,
}

/// What is decided at a site.
#[derive(Clone, Copy, Debug)]
pub struct Decides<'a> {
    /// Whether a pass is quiet.
    pub predicate: &'a Predicate,
    /// The word of the thread's row that counts its quiet passes, in bytes from
    /// the row's start.
    pub passes: u32,
}

/// How much of a trampoline is wanted. Of very many, few are ever looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// The code, and where its parts are.
    Code,
    /// Also what every place in it means, and comments.
    Meaning,
}

/// Code that a patched jump goes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trampoline {
    /// Where it is to be put, and where the jump goes.
    pub to: VirtAddr,
    /// Its code; it does not run elsewhere.
    pub bytes: Vec<u8>,
    /// The code that decides, one for each site, ascending.
    pub decisions: Vec<Decision>,
    /// The copies of the displaced instructions, ascending.
    pub slots: Vec<Slot>,
}

impl Trampoline {
    /// Where a thread is to go on that stands, exact and counted or with no
    /// site to count, at a displaced instruction.
    pub fn slot_at(&self, at: VirtAddr) -> Option<VirtAddr> {
        self.slots.iter().find(|slot| slot.at == at).map(|slot| slot.to)
    }

    /// Where a thread is to go on that has come to a displaced instruction: to
    /// what is decided there, if anything is.
    pub fn way_in(&self, at: VirtAddr) -> Option<VirtAddr> {
        let decision = self.decisions.iter().find(|decision| decision.site == at);
        decision.map(|decision| decision.front.start).or_else(|| self.slot_at(at))
    }
}

/// The code that decides at one site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The address of the displaced instruction.
    pub site: VirtAddr,
    /// From the first instruction that keeps something to the displaced
    /// instruction's copy.
    pub front: AddrRange,
    /// The way to the debugger, for what is not quiet; its last byte is a trap.
    pub asking: AddrRange,
    standings: Vec<(VirtAddr, Standing)>,
    comments: Vec<(VirtAddr, Box<str>)>,
}

impl Decision {
    /// The `int3` by which it asks.
    pub fn trap(&self) -> VirtAddr {
        self.asking.end.wrapping_sub(1)
    }

    /// Whether an address is in its code.
    pub fn contains(&self, pc: VirtAddr) -> bool {
        self.front.contains(pc) || self.asking.contains(pc)
    }

    /// How a thread stands whose pc is `pc`; `None` outside its code, and
    /// without [`Detail::Meaning`].
    pub fn standing(&self, pc: VirtAddr) -> Option<&Standing> {
        if !self.contains(pc) {
            return None;
        }
        let next = self.standings.partition_point(|(at, _)| *at <= pc);
        self.standings.get(next.checked_sub(1)?).map(|(_, standing)| standing)
    }

    /// What the code at an address is for, where that is worth a word.
    pub fn comment(&self, pc: VirtAddr) -> Option<&str> {
        let found = self.comments.binary_search_by_key(&pc, |(at, _)| *at).ok()?;
        self.comments.get(found).map(|(_, text)| &**text)
    }
}

/// Builds a trampoline at `to` for instructions that follow each other.
///
/// # Errors
/// A [`Refusal`] when one of them cannot run out of its place.
pub fn build(
    displaced: &[Displaced<'_>],
    to: VirtAddr,
    detail: Detail,
) -> Result<Trampoline, Refusal> {
    let mut writer = Writer::new(to, detail);
    let mut decisions = Vec::new();
    let mut slots = Vec::with_capacity(displaced.len());
    for (index, one) in displaced.iter().enumerate() {
        let front = writer.here();
        let half = one.decides.map(|decides| writer.front(&decides));
        let start = writer.here();
        let insn = decode(one.code, one.at).ok_or(Refusal::Undecodable)?;
        let slot = match index + 1 < displaced.len() {
            true => relocate_flowing_on(&insn, one.code, start)?,
            false => relocate_decoded(&insn, one.code, start)?,
        };
        writer.raw(&slot.bytes);
        slots.push(slot);
        if let (Some(half), Some(decides)) = (half, one.decides) {
            decisions.push((one.at, AddrRange::between(front, start), half, decides));
        }
    }
    let decisions = decisions
        .into_iter()
        .map(|(site, front, mut half, decides)| {
            let asking = writer.asking(&decides, &mut half);
            half.finish(site, front, asking)
        })
        .collect();
    Ok(Trampoline { to, bytes: writer.finish(), decisions, slots })
}
