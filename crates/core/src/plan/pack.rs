//! Packing needs into debug registers: the best set of slots for one group of
//! threads.
//!
//! Which slots, not which registers: indices are given out by the caller. The
//! search is exhaustive; with at most four slots of eight bytes it is small.

use crate::addr::{AddrRange, VirtAddr};
use crate::x64::debug::{Access, SLOTS, Slot, SlotKind};

/// Most bytes that the debug registers of a thread can match.
const MOST_BYTES: usize = 8 * SLOTS;

/// What a group of wants needs to have matched.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Needs {
    /// Addresses that execute, sorted.
    execute: Vec<VirtAddr>,
    /// Bytes, sorted, each with whether reads of it matter.
    bytes: Vec<(VirtAddr, bool)>,
}

impl Needs {
    /// Adds an address that executes.
    pub(super) fn add_execute(&mut self, addr: VirtAddr) {
        if let Err(at) = self.execute.binary_search(&addr) {
            self.execute.insert(at, addr);
        }
    }

    /// Adds a range of data; `false`, and nothing added, when no set of debug
    /// registers could match it all.
    pub(super) fn add_data(&mut self, range: AddrRange, access: Access) -> bool {
        if range.len() > MOST_BYTES as u64 {
            return false;
        }
        let reads = access != Access::Write;
        for offset in 0..range.len() {
            let addr = range.start.wrapping_add(offset);
            match self.bytes.binary_search_by_key(&addr, |byte| byte.0) {
                Ok(at) => self.bytes[at].1 |= reads,
                Err(at) => self.bytes.insert(at, (addr, reads)),
            }
        }
        true
    }
}

/// How good a packing is; less is better. Stops that nobody wants count
/// before slots, and slots before changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Score {
    waste: u32,
    slots: usize,
    new: usize,
}

impl Score {
    /// The score of two packings together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            waste: self.waste + other.waste,
            slots: self.slots + other.slots,
            new: self.new + other.new,
        }
    }
}

/// Slots that meet a group's needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Packing {
    /// The slots, sorted by address, then as [`Slot`] sorts.
    pub(super) slots: Vec<Slot>,
    /// How good it is.
    pub(super) score: Score,
}

/// The circumstances of a packing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    /// Debug registers there are for it.
    pub(super) room: usize,
    /// Whether slots may cover bytes that nobody needs.
    pub(super) over_cover: bool,
    /// Slots that are there anyway and cost nothing.
    pub(super) given: &'a [Slot],
    /// Slots that are set already: preferred among equals.
    pub(super) kept: &'a [Slot],
}

/// The best packing, or `None` when the needs do not fit.
pub(super) fn pack(needs: &Needs, terms: Terms<'_>) -> Option<Packing> {
    let wanted = |addr: &VirtAddr| Slot { kind: SlotKind::Execute, addr: *addr, len: 1 };
    let execute: Vec<Slot> =
        needs.execute.iter().map(wanted).filter(|slot| !terms.given.contains(slot)).collect();
    let room = terms.room.checked_sub(execute.len())?;
    if needs.bytes.len() > 8 * (room + terms.given.len()) {
        return None;
    }
    let start = Score {
        waste: 0,
        slots: execute.len(),
        new: execute.iter().filter(|slot| !terms.kept.contains(slot)).count(),
    };
    let mut search = Search { bytes: &needs.bytes, terms, best: None, chosen: execute };
    let uncovered = search.uncovered_by_given();
    search.run(uncovered, room, start);
    search.best.map(|mut packing| {
        packing.slots.sort_by_key(|slot| (slot.addr, *slot));
        packing
    })
}

struct Search<'a> {
    bytes: &'a [(VirtAddr, bool)],
    terms: Terms<'a>,
    chosen: Vec<Slot>,
    best: Option<Packing>,
}

/// One bit for each needed byte.
type Mask = u64;

impl Search<'_> {
    fn uncovered_by_given(&self) -> Mask {
        let all = (1 << self.bytes.len()) - 1;
        self.terms.given.iter().fold(all, |left, slot| left & !self.cover(*slot).0)
    }

    /// Tries every slot for the lowest byte that is not covered yet.
    fn run(&mut self, uncovered: Mask, room: usize, score: Score) {
        if self.best.as_ref().is_some_and(|best| best.score <= score) {
            return;
        }
        if uncovered == 0 {
            self.best = Some(Packing { slots: self.chosen.clone(), score });
            return;
        }
        if uncovered.count_ones() as usize > 8 * room {
            return;
        }
        let (addr, reads) = self.bytes[uncovered.trailing_zeros() as usize];
        let kinds: &[SlotKind] =
            if reads { &[SlotKind::ReadWrite] } else { &[SlotKind::Write, SlotKind::ReadWrite] };
        for len in [8u8, 4, 2, 1] {
            for &kind in kinds {
                let aligned = VirtAddr::new(addr.get() & !u64::from(len - 1));
                self.attempt(Slot { kind, addr: aligned, len }, uncovered, room, score);
            }
        }
    }

    fn attempt(&mut self, slot: Slot, uncovered: Mask, room: usize, score: Score) {
        let (covered, waste, unwanted) = self.cover(slot);
        if unwanted && !self.terms.over_cover {
            return;
        }
        let new = usize::from(!self.terms.kept.contains(&slot));
        let score = score.plus(Score { waste, slots: 1, new });
        self.chosen.push(slot);
        self.run(uncovered & !covered, room - 1, score);
        self.chosen.pop();
    }

    /// Which needed bytes a slot serves, what it matches in vain, and whether
    /// some of its bytes are needed by nobody.
    fn cover(&self, slot: Slot) -> (Mask, u32, bool) {
        /// A byte that nobody needs costs more than any number of bytes whose
        /// writes alone are needed.
        const UNWANTED: u32 = 64;
        if slot.kind == SlotKind::Execute {
            return (0, 0, false);
        }
        let both = slot.kind == SlotKind::ReadWrite;
        let first = self.bytes.partition_point(|byte| byte.0 < slot.addr);
        let inside = self.bytes[first..].iter().take_while(|byte| slot.range().contains(byte.0));
        let (mut covered, mut found, mut waste) = (0, 0, 0);
        for (index, &(_, reads)) in inside.enumerate() {
            found += 1;
            if both || !reads {
                covered |= 1 << (first + index);
            }
            waste += u32::from(both && !reads);
        }
        let unwanted = u32::from(slot.len) - found;
        let weight = if both { 2 * UNWANTED } else { UNWANTED };
        (covered, waste + unwanted * weight, unwanted > 0)
    }
}
