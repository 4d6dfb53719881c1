//! Where, within reach of the code, memory for slots can be had: a pure choice
//! among the holes of an address space.
//!
//! Holes that something will want later are left alone as far as possible:
//! the lowest addresses, the room above the heap into which `brk` grows it,
//! the room below a stack into which it grows.

use trapline_core::target::Region;
use trapline_core::{AddrRange, VirtAddr};

/// How far a `rel32` reaches, less a page at each end for the instructions
/// themselves. Intel SDM volume 2, JMP.
pub(crate) const REACH: u64 = (1 << 31) - PAGE;

/// The smallest page.
pub(crate) const PAGE: u64 = 4096;

/// Room for the heap to grow, wished for and not insisted on.
const HEAP_ROOM: u64 = 1 << 30;

/// Room insisted on between the heap and us.
const LEAST_HEAP_ROOM: u64 = 16 << 20;

/// Lowest address that may be used: Linux refuses lower ones to programs
/// (proc(5), `vm.mmap_min_addr`).
const LOWEST: VirtAddr = VirtAddr::new(0x1_0000);

/// First address past the lower half of the address space, less its last page.
const HIGHEST: VirtAddr = VirtAddr::new((1 << 47) - PAGE);

/// What a mapping will want around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Growth {
    /// Nothing.
    Fixed,
    /// It grows upwards: the heap.
    Up,
    /// It grows downwards by so many bytes at most, its guard included: a
    /// stack.
    Down(u64),
}

/// A range that is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Which addresses.
    pub range: AddrRange,
    /// What it will want.
    pub growth: Growth,
}

/// What is taken of an address space, or will be, a heap that has not begun
/// too: its mappings, and `ours` that are not among them.
pub fn all_taken(
    map: &[Region],
    heap_start: Option<VirtAddr>,
    ours: impl Iterator<Item = AddrRange>,
) -> Vec<Taken> {
    let mut all: Vec<Taken> = map.iter().map(Taken::by).collect();
    all.extend(ours.map(|range| Taken { range, growth: Growth::Fixed }));
    if let Some(start) = heap_start.filter(|_| all.iter().all(|it| it.growth != Growth::Up)) {
        all.push(Taken { range: AddrRange::sized(start, 0), growth: Growth::Up });
    }
    all.sort_unstable_by_key(|taken| taken.range);
    all.dedup_by_key(|taken| taken.range);
    all
}

impl Taken {
    /// By a mapping, with what it will want around it. A stack may grow to the
    /// kernel's limit of 8 MiB and its guard gap of 1 MiB; mmap(2),
    /// `MAP_GROWSDOWN`.
    fn by(region: &Region) -> Self {
        const STACK_ROOM: u64 = 9 << 20;
        let growth = match region.name.to_str() {
            Some("[heap]") => Growth::Up,
            Some("[stack]") => Growth::Down(STACK_ROOM),
            _ => Growth::Fixed,
        };
        Self { range: region.range, growth }
    }
}

/// The start of a free range of `len` bytes, page-aligned, from all of which
/// all of `near` can be reached with a `rel32`, and the other way round: the
/// nearest one that leaves the heap 1 GiB to grow, else the nearest that
/// leaves it 16 MiB.
///
/// `taken` is sorted by address and does not overlap. `None` when there is no
/// such range.
pub fn find_gap(taken: &[Taken], near: AddrRange, len: u64) -> Option<VirtAddr> {
    let len = len.checked_next_multiple_of(PAGE).filter(|&len| len > 0)?;
    let reach = reach(near)?;
    [HEAP_ROOM, LEAST_HEAP_ROOM].into_iter().find_map(|room| {
        holes(taken, room)
            .filter_map(|hole| nearest(hole.intersection(reach)?, near, len))
            .min_by_key(|&start| distance(AddrRange::sized(start, len), near))
    })
}

/// What is free of an address space, but for the room that the heap is left
/// to grow into: the holes that leave it 1 GiB, and those that leave it 16 MiB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Space {
    pub(crate) roomy: Vec<AddrRange>,
    pub(crate) tight: Vec<AddrRange>,
}

impl Space {
    /// `taken` is sorted by address and does not overlap.
    pub fn new(taken: &[Taken]) -> Self {
        let usable = AddrRange::between(LOWEST, HIGHEST);
        let free = |room| {
            holes(taken, room).filter_map(|hole| hole.intersection(usable)).collect::<Vec<_>>()
        };
        Self { roomy: free(HEAP_ROOM), tight: free(LEAST_HEAP_ROOM) }
    }
}

/// Where both ends of `near` are in reach.
fn reach(near: AddrRange) -> Option<AddrRange> {
    let start = near.end.get().saturating_sub(REACH).max(LOWEST.get());
    let end = near.start.get().saturating_add(REACH).min(HIGHEST.get());
    let start = start.checked_next_multiple_of(PAGE)?;
    (start < end)
        .then(|| AddrRange::between(VirtAddr::new(start), VirtAddr::new(end & !(PAGE - 1))))
}

/// The holes between what is taken and will be wanted.
fn holes(taken: &[Taken], heap_room: u64) -> impl Iterator<Item = AddrRange> {
    let starts = std::iter::once(VirtAddr::new(0)).chain(taken.iter().map(move |one| {
        let room = if one.growth == Growth::Up { heap_room } else { 0 };
        VirtAddr::new(one.range.end.get().saturating_add(room))
    }));
    let ends = taken.iter().map(|one| {
        let room = if let Growth::Down(room) = one.growth { room } else { 0 };
        VirtAddr::new(one.range.start.get().saturating_sub(room))
    });
    let ends = ends.chain(std::iter::once(VirtAddr::new(u64::MAX)));
    starts.zip(ends).filter_map(|(start, end)| {
        let start = start.get().checked_next_multiple_of(PAGE)?;
        let end = end.get() & !(PAGE - 1);
        (start < end).then(|| AddrRange::between(VirtAddr::new(start), VirtAddr::new(end)))
    })
}

/// The place in a hole that is nearest.
fn nearest(hole: AddrRange, near: AddrRange, len: u64) -> Option<VirtAddr> {
    if hole.len() < len {
        return None;
    }
    let highest = hole.end.wrapping_sub(len);
    Some(if highest < near.start { highest } else { hole.start })
}

fn distance(one: AddrRange, other: AddrRange) -> u64 {
    let above = one.start.checked_sub(other.end);
    above.or_else(|| other.start.checked_sub(one.end)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn range(start: u64, end: u64) -> AddrRange {
        AddrRange::between(VirtAddr::new(start), VirtAddr::new(end))
    }

    fn fixed(start: u64, end: u64) -> Taken {
        Taken { range: range(start, end), growth: Growth::Fixed }
    }

    fn check(taken: &[Taken], near: AddrRange, len: u64, expected: Option<u64>) {
        let found = find_gap(taken, near, len);
        assert_eq!(found, expected.map(VirtAddr::new), "{taken:x?}");
        let Some(start) = found else { return };
        let gap = AddrRange::sized(start, len);
        assert!(taken.iter().all(|one| !one.range.overlaps(gap)));
        for (from, to) in [(gap.start, near.end), (gap.end, near.start)] {
            let distance = to.get().wrapping_sub(from.get()).cast_signed();
            assert!(i32::try_from(distance).is_ok(), "{distance:#x}");
        }
    }

    #[test]
    fn the_nearest_hole_on_either_side_is_taken() {
        let code = fixed(0x40_0000, 0x40_2000);
        check(&[code], code.range, 1, Some(0x3f_f000));
        check(&[fixed(0x1_0000, 0x40_0000), code], code.range, 0x2000, Some(0x40_2000));
        let crowded = [fixed(0x1_0000, 0x40_0000), code, fixed(0x40_3000, 0x50_0000)];
        check(&crowded, code.range, 0x1000, Some(0x40_2000));
        check(&crowded, code.range, 0x1001, Some(0x50_0000));
    }

    #[test]
    fn the_lowest_and_highest_addresses_are_left_alone() {
        let code = fixed(0x1_0000, 0x2_0000);
        check(&[code], code.range, 0x1000, Some(0x2_0000));
        let top = fixed((1 << 47) - 0x3000, (1 << 47) - PAGE);
        check(&[top], top.range, 0x1000, Some((1 << 47) - 0x4000));
    }

    #[test]
    fn heap_and_stack_keep_their_room() {
        let code = fixed(0x40_0000, 0x50_0000);
        let below = fixed(0x1_0000, 0x40_0000);
        let heap = |end| Taken { range: range(0x50_0000, end), growth: Growth::Up };
        let far = 0x60_0000 + (1 << 30);
        check(&[below, code, heap(0x60_0000)], code.range, 0x1000, Some(far));
        let wall = fixed(0x4000_0000, 0x2_0000_0000);
        let less = [below, code, heap(0x60_0000), wall];
        check(&less, code.range, 0x1000, Some(0x60_0000 + 16 * MIB));
        let stack =
            Taken { range: range(0x400_0000, 0x40_0000_0000), growth: Growth::Down(8 * MIB) };
        let grown = [below, code, stack];
        check(&grown, code.range, 0x1000, Some(0x50_0000));
        check(&grown, code.range, 0x340_0000, None);
        check(&grown, code.range, 0x400_0000 - 8 * MIB - 0x50_0000, Some(0x50_0000));
    }

    #[test]
    fn out_of_reach_is_no_place() {
        let code = fixed(0x1_0000_0000, 0x1_0000_1000);
        let full = fixed(0x1_0000, 0x1_0000_0000);
        let above = fixed(0x1_0000_1000, 0x1_8000_0000);
        check(&[full, code, above], code.range, 0x1000, None);
        let reachable = fixed(0x1_0000_1000, 0x1_7fff_e000);
        check(&[full, code, reachable], code.range, 0x1000, Some(0x1_7fff_e000));
        let wide = range(0x1_0000_0000, 0x2_0000_0000);
        check(&[], wide, 0x1000, None);
        check(&[], code.range, 0, None);
    }
}
