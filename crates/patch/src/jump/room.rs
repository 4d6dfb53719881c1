//! Where jumps may lead: free memory, and the bytes that are left of pages
//! which are ours already.
//!
//! A jump whose offset is given in part leads where it must. There it finds a
//! *hop*, a few bytes that jump on to the trampoline. Hops share pages, and
//! pages that are there are filled before new ones are taken.

use std::collections::BTreeMap;

use trapline_core::{AddrRange, VirtAddr};

use super::JUMP_LEN;
use super::offsets::Offsets;
use crate::near::{PAGE, REACH, Space};

/// Bytes of a hop that reaches its trampoline with a `rel32`.
const NEAR_HOP: u64 = 5;

/// Bytes of any other: `jmp [rip]` and an address.
const FAR_HOP: u64 = 14;

/// How many of our pages are looked at for one jump.
const MOST_PAGES: usize = 512;

/// How many places are tried in one page or hole.
const MOST_TRIES: usize = 256;

/// Pages of ours for hops, and which of their bytes are in use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HopPages {
    pages: BTreeMap<u64, Used>,
}

impl HopPages {
    /// Adds the pages of a range, empty.
    pub fn add(&mut self, range: AddrRange) {
        for page in page_of(range.start)..page_of(range.end) {
            self.pages.entry(page).or_default();
        }
    }

    /// Takes the pages of a range out.
    pub fn remove(&mut self, range: AddrRange) {
        for page in page_of(range.start)..page_of(range.end) {
            self.pages.remove(&page);
        }
    }

    /// Marks bytes as in use. Bytes outside our pages are left alone.
    pub fn take(&mut self, range: AddrRange) {
        for (page, from, to) in pieces(range) {
            if let Some(used) = self.pages.get_mut(&page) {
                used.take(from, to);
            }
        }
    }

    /// Marks bytes as free again.
    pub fn give_back(&mut self, range: AddrRange) {
        for (page, from, to) in pieces(range) {
            if let Some(used) = self.pages.get_mut(&page) {
                used.give_back(from, to);
            }
        }
    }

    /// The pages in which nothing is in use, ascending.
    pub fn empty_pages(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        let empty = self.pages.iter().filter(|(_, used)| used.0.is_empty());
        empty.map(|(&page, _)| VirtAddr::new(page * PAGE))
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }
}

/// The bytes in use of one page: ranges, ascending, with gaps between them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Used(Vec<(u16, u16)>);

impl Used {
    fn take(&mut self, from: u16, to: u16) {
        let first = self.0.partition_point(|&(_, end)| end < from);
        let last = self.0.partition_point(|&(start, _)| start <= to);
        let touched = &self.0[first..last.max(first)];
        let start = touched.first().map_or(from, |&(start, _)| start.min(from));
        let end = touched.last().map_or(to, |&(_, end)| end.max(to));
        self.0.splice(first..last.max(first), [(start, end)]);
    }

    fn give_back(&mut self, from: u16, to: u16) {
        let kept = self.0.iter().flat_map(|&(start, end)| {
            [(start, end.min(from)), (start.max(to), end)].into_iter().filter(|(a, b)| a < b)
        });
        self.0 = kept.collect();
    }

    /// The first range in use that shares a byte with another.
    fn in_the_way(&self, from: u16, to: u16) -> Option<(u16, u16)> {
        let next = self.0.partition_point(|&(_, end)| end <= from);
        self.0.get(next).copied().filter(|&(start, _)| start < to)
    }
}

/// The room there is while a plan is made: nothing is changed but in here.
pub(super) struct Room<'a> {
    space: &'a Space,
    pages: &'a HopPages,
    trampolines: AddrRange,
    /// Pages that differ from `pages`, new ones among them.
    changed: BTreeMap<u64, Used>,
}

impl<'a> Room<'a> {
    pub(super) fn new(space: &'a Space, pages: &'a HopPages, trampolines: AddrRange) -> Self {
        Self { space, pages, trampolines, changed: BTreeMap::new() }
    }

    /// The place where a jump that ends at `next` can lead to, of those that
    /// its offsets allow: in pages of ours if there is one, else as low as
    /// possible, so that the jumps planned after it, which lie below, reach its
    /// page too. Where there is a choice, the processor tells the hop from the
    /// code around the jump, or at least from the jump.
    pub(super) fn find(&self, offsets: &Offsets, next: VirtAddr) -> Option<AddrRange> {
        let wishes = TOLD_FROM.into_iter().map(Some).chain([None]);
        let mut found = wishes
            .filter_map(|told_from| self.find_among(&Candidates { offsets, next, told_from }));
        let found = found.next()?;
        Some(AddrRange::sized(found, self.hop_len(found)))
    }

    fn find_among(&self, all: &Candidates<'_>) -> Option<VirtAddr> {
        let [roomy, tight] = [&self.space.roomy, &self.space.tight];
        self.in_pages(all)
            .or_else(|| self.in_holes(all, roomy, self.near()))
            .or_else(|| self.in_holes(all, roomy, EVERYWHERE))
            .or_else(|| self.in_holes(all, tight, EVERYWHERE))
    }

    pub(super) fn take(&mut self, hop: AddrRange) {
        for (page, from, to) in pieces(hop) {
            self.change(page).take(from, to);
        }
    }

    pub(super) fn give_back(&mut self, hop: AddrRange) {
        for (page, from, to) in pieces(hop) {
            self.change(page).give_back(from, to);
        }
    }

    /// The pages that have to be mapped, neighbours joined.
    pub(super) fn new_pages(&self) -> Vec<AddrRange> {
        let used = self.changed.iter().filter(|(_, used)| !used.0.is_empty());
        let new = used.filter(|(page, _)| !self.pages.pages.contains_key(page));
        let mut runs: Vec<AddrRange> = Vec::new();
        for (&page, _) in new {
            let range = AddrRange::sized(VirtAddr::new(page * PAGE), PAGE);
            match runs.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => runs.push(range),
            }
        }
        runs
    }

    fn change(&mut self, page: u64) -> &mut Used {
        let now = || self.pages.pages.get(&page).cloned().unwrap_or_default();
        self.changed.entry(page).or_insert_with(now)
    }

    fn page(&self, page: u64) -> Option<&Used> {
        self.changed.get(&page).or_else(|| self.pages.pages.get(&page))
    }

    /// The first page of ours that is not below.
    fn page_from(&self, page: u64) -> Option<u64> {
        let kept = self.pages.pages.range(page..).next().map(|(&page, _)| page);
        let changed = self.changed.range(page..).next().map(|(&page, _)| page);
        kept.into_iter().chain(changed).min()
    }

    /// From where every trampoline is in reach.
    fn near(&self) -> AddrRange {
        let start = self.trampolines.end.get().saturating_sub(REACH);
        let end = self.trampolines.start.get().saturating_add(REACH);
        AddrRange::between(VirtAddr::new(start), VirtAddr::new(end))
    }

    fn hop_len(&self, at: VirtAddr) -> u64 {
        if self.near().contains(at) { NEAR_HOP } else { FAR_HOP }
    }

    fn in_pages(&self, all: &Candidates<'_>) -> Option<VirtAddr> {
        let mut from = VirtAddr::new(0);
        for _ in 0..MOST_PAGES {
            let candidate = all.at_least(from)?;
            let page = self.page_from(page_of(candidate))?;
            if page == page_of(candidate)
                && let Some(found) = self.in_page(page, all)
            {
                return Some(found);
            }
            let next = if page == page_of(candidate) { page + 1 } else { page };
            from = VirtAddr::new(next * PAGE);
        }
        None
    }

    fn in_page(&self, page: u64, all: &Candidates<'_>) -> Option<VirtAddr> {
        let start = VirtAddr::new(page * PAGE);
        self.within(AddrRange::sized(start, PAGE), all)
    }

    fn in_holes(
        &self,
        all: &Candidates<'_>,
        holes: &[AddrRange],
        within: AddrRange,
    ) -> Option<VirtAddr> {
        let first = all.at_least(within.start)?;
        let from = holes.partition_point(|hole| hole.end <= first);
        holes[from..].iter().find_map(|hole| self.within(hole.intersection(within)?, all))
    }

    /// The first candidate in a range at which there is room.
    fn within(&self, range: AddrRange, all: &Candidates<'_>) -> Option<VirtAddr> {
        let mut from = range.start;
        for _ in 0..MOST_TRIES {
            let candidate = all.at_least(from).filter(|&found| found < range.end)?;
            let hop = AddrRange::sized(candidate, self.hop_len(candidate));
            from = match self.in_the_way(hop) {
                Some(taken) => taken.end,
                None => match all.alike_up_to(hop) {
                    Some(end) => end,
                    None => return Some(candidate),
                },
            };
        }
        None
    }

    /// The first bytes that are not free and share one with a range; what they
    /// have below the range does not count.
    fn in_the_way(&self, range: AddrRange) -> Option<AddrRange> {
        pieces(range).find_map(|(page, from, to)| {
            let start = VirtAddr::new(page * PAGE);
            match self.page(page) {
                Some(used) => used.in_the_way(from, to).map(|(from, to)| {
                    let at = |offset: u16| start.wrapping_add(u64::from(offset));
                    AddrRange::between(at(from), at(to))
                }),
                None if self.is_hole(start) => None,
                None => Some(AddrRange::sized(start, PAGE)),
            }
        })
    }

    fn is_hole(&self, page: VirtAddr) -> bool {
        let holes = &self.space.tight;
        let next = holes.partition_point(|hole| hole.end <= page);
        holes.get(next).is_some_and(|hole| hole.contains(page))
    }
}

const EVERYWHERE: AddrRange = AddrRange::between(VirtAddr::new(0), VirtAddr::new(u64::MAX));

/// Code that a processor predicts branches of together.
const LINE: u64 = 64;

/// A processor predicts branches before it has decoded them, by these bits of
/// their addresses: where they are those of a hop it takes any code for the
/// hop, jump and plain instructions alike, until it has decoded it. That costs
/// both a misprediction at every pass. Measured on Intel, with differences in
/// one bit: in 12 to 23 each tells two addresses apart, above none does.
const TOLD_APART_BY: u64 = (1 << 24) - 1;

/// How much code on either side of a jump no hop of it should be taken for, the
/// best first: what is likely to run at every pass too, about a function, and
/// at least the jump itself.
const TOLD_FROM: [u64; 3] = [1 << 20, 1 << 12, 0];

/// The places a jump can lead to, were all memory free.
struct Candidates<'a> {
    offsets: &'a Offsets,
    /// The end of the jump.
    next: VirtAddr,
    /// How much code around the jump its hop must be told from.
    told_from: Option<u64>,
}

impl Candidates<'_> {
    /// For a hop that would be taken for code which it must be told from: where
    /// the first one could be that is not.
    fn alike_up_to(&self, hop: AddrRange) -> Option<VirtAddr> {
        let around = self.told_from?;
        let jump = self.next.get().saturating_sub(JUMP_LEN);
        let first = jump.saturating_sub(around) & !(LINE - 1);
        let end = self.next.get().saturating_add(around).next_multiple_of(LINE);
        let behind = hop.end.get().wrapping_sub(1).wrapping_sub(first) & TOLD_APART_BY;
        let alike = end - first + hop.len() - 1;
        (behind < alike).then(|| hop.start.wrapping_add(alike - behind))
    }

    /// The lowest one that is not below an address.
    fn at_least(&self, from: VirtAddr) -> Option<VirtAddr> {
        const BELOW: u64 = 1 << 31;
        let lowest = VirtAddr::new(self.next.get().saturating_sub(BELOW));
        let distance = from.max(lowest).get().wrapping_sub(self.next.get()).cast_signed();
        let offset = self.offsets.at_least(i32::try_from(distance).ok()?)?;
        // Past the end of the address space it would wrap, and mean another.
        let found = self.next.get().checked_add_signed(i64::from(offset))?;
        Some(VirtAddr::new(found))
    }
}

fn page_of(addr: VirtAddr) -> u64 {
    addr.get() / PAGE
}

/// A range cut at page boundaries: page, first and last byte of it.
fn pieces(range: AddrRange) -> impl Iterator<Item = (u64, u16, u16)> {
    let pages = page_of(range.start)..range.end.get().div_ceil(PAGE);
    pages.map(move |page| {
        let inside = |addr: VirtAddr| addr.get().saturating_sub(page * PAGE).min(PAGE) as u16;
        (page, inside(range.start), inside(range.end))
    })
}

#[cfg(test)]
mod tests {
    use super::super::offsets::ByteSet;
    use super::*;
    use crate::near::{Growth, Taken};

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::between(VirtAddr::new(start), VirtAddr::new(end))
    }

    const CODE: AddrRange = AddrRange::between(VirtAddr::new(0x40_0000), VirtAddr::new(0x50_0000));

    fn space() -> Space {
        Space::new(&[Taken { range: CODE, growth: Growth::Fixed }])
    }

    fn given(bytes: [Option<u8>; 4]) -> Offsets {
        Offsets(bytes.map(|byte| byte.map_or(ByteSet::ANY, ByteSet::one)))
    }

    #[test]
    fn hops_fill_a_page_without_a_gap() {
        let (space, pages) = (space(), HopPages::default());
        let mut room = Room::new(&space, &pages, CODE);
        let offsets = given([None, None, Some(0x12), Some(0x03)]);
        let next = VirtAddr::new(0x40_1000);
        for index in 0..1000 {
            let hop = room.find(&offsets, next).unwrap();
            assert_eq!(hop, AddrRange::sized(VirtAddr::new(0x0352_1000 + 5 * index), 5));
            room.take(hop);
        }
        assert_eq!(room.new_pages(), [range(0x0352_1000, 0x0352_3000)]);
        room.give_back(range(0x0352_1000, 0x0352_1005));
        assert_eq!(room.find(&offsets, next), Some(range(0x0352_1000, 0x0352_1005)));
    }

    #[test]
    fn one_place_is_taken_or_not() {
        let (space, pages) = (space(), HopPages::default());
        let mut room = Room::new(&space, &pages, CODE);
        let next = VirtAddr::new(0x40_1000);
        let exact = given([Some(0xfd), Some(0x0f), Some(0x20), Some(0x01)]);
        let hop = range(0x0160_1ffd, 0x0160_2002);
        assert_eq!(room.find(&exact, next), Some(hop));
        room.take(hop);
        assert_eq!(room.new_pages(), [range(0x0160_1000, 0x0160_3000)]);
        assert_eq!(room.find(&exact, next), None);
        // Below nothing, in the code itself.
        assert_eq!(room.find(&given([None, None, None, Some(0xcc)]), next), None);
        assert_eq!(room.find(&given([None, None, Some(0x00), Some(0x00)]), next), None);
    }

    #[test]
    fn pages_that_are_there_come_first() {
        let (space, mut pages) = (space(), HopPages::default());
        let ours = range(0x7000_0000, 0x7000_1000);
        pages.add(ours);
        pages.take(ours);
        let next = VirtAddr::new(0x40_1000);
        let room = Room::new(&space, &pages, CODE);
        assert!(room.find(&Offsets::ANY, next).is_some_and(|hop| hop.end <= CODE.start));
        pages.give_back(range(0x7000_0100, 0x7000_0106));
        let mut room = Room::new(&space, &pages, CODE);
        let hop = room.find(&Offsets::ANY, next).unwrap();
        assert_eq!(hop, range(0x7000_0100, 0x7000_0105));
        room.take(hop);
        assert_eq!(room.new_pages(), []);
    }

    #[test]
    fn a_hop_can_be_told_from_other_code_where_there_is_a_choice() {
        let (space, pages) = (space(), HopPages::default());
        let room = Room::new(&space, &pages, CODE);
        let check = |offsets, next, hop| {
            let found = room.find(&offsets, VirtAddr::new(next));
            assert_eq!(found, Some(AddrRange::sized(VirtAddr::new(hop), 5)), "{next:#x}");
        };
        // From a MiB of code around the jump.
        check(given([None, None, None, Some(0x48)]), 0x40_1085, 0x4850_10c0);
        // From its function.
        check(given([None, None, Some(0), Some(0x48)]), 0x40_1085, 0x4840_20c0);
        check(given([None, None, Some(0xff), Some(0x48)]), 0x40_1085, 0x493f_1085);
        // From the jump itself.
        check(given([None, Some(0), Some(0), Some(0x48)]), 0x40_1085, 0x4840_10c0);
        check(given([None, Some(0), Some(0), Some(0x48)]), 0x40_1082, 0x4840_10c0);
        // From nothing.
        check(given([Some(0), Some(0), Some(0), Some(0x48)]), 0x40_1085, 0x4840_1085);
    }

    #[test]
    fn far_from_the_trampolines_a_hop_is_longer() {
        let (space, pages) = (space(), HopPages::default());
        let far = range(0x7000_0000_0000, 0x7000_0010_0000);
        let room = Room::new(&space, &pages, far);
        let hop = room.find(&Offsets::ANY, VirtAddr::new(0x40_1000)).unwrap();
        assert_eq!(hop.len(), 14);
    }
}
