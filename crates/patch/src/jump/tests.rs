//! Plans for random code, looked at as what they make of memory.

use std::collections::BTreeSet;

use proptest::prelude::*;
use trapline_core::{AddrRange, VirtAddr};

use super::*;
use crate::insn::{InsnKind, decode};
use crate::near::{Growth, Taken};

/// A program with one function, and nothing else in its address space but what
/// programs of its kind have.
#[derive(Clone, Debug)]
struct World {
    start: VirtAddr,
    bytes: Vec<u8>,
    /// Offsets of its instructions.
    insns: Vec<usize>,
    space: Space,
}

impl ProgramCode for World {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let skip = addr.checked_sub(self.start).and_then(|it| usize::try_from(it).ok());
        let rest = skip.and_then(|skip| self.bytes.get(skip..)).unwrap_or(&[]);
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        count
    }

    fn function(&self, addr: VirtAddr) -> Option<Function> {
        let part = self.range();
        part.contains(addr).then(|| Function { part, others: Vec::new() })
    }

    fn protected(&self, _: AddrRange) -> Option<Protected> {
        None
    }
}

/// Where programs are: fixed, position-independent, a library below the stack.
const BASES: [u64; 3] = [0x40_1000, 0x5555_5555_5000, 0x7fff_f7dd_0000];

impl World {
    fn new(base: u64, insns: &[Vec<u8>]) -> Self {
        let start = VirtAddr::new(base);
        let bytes: Vec<u8> = insns.concat();
        let starts = insns.iter().scan(0, |next, insn| {
            let here = *next;
            *next += insn.len();
            Some(here)
        });
        let code = AddrRange::sized(VirtAddr::new(base & !0xfff), 0x10_0000);
        let stack = AddrRange::between(VirtAddr::new(0x7fff_fffd_e000), VirtAddr::new(1 << 47));
        let heap = AddrRange::sized(code.end.wrapping_add(0x2000), 0x2_1000);
        let taken = [
            Taken { range: code, growth: Growth::Fixed },
            Taken { range: heap, growth: Growth::Up },
            Taken { range: stack, growth: Growth::Down(9 << 20) },
        ];
        let insns = starts.collect();
        Self { start, bytes, insns, space: Space::new(&taken) }
    }

    fn range(&self) -> AddrRange {
        AddrRange::sized(self.start, self.bytes.len() as u64)
    }

    fn boundary(&self, index: usize) -> VirtAddr {
        self.start.wrapping_add(self.insns[index] as u64)
    }

    fn boundaries(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        (0..self.insns.len()).map(|index| self.boundary(index))
    }

    fn plan(&self, sites: &[VirtAddr], traps: &BTreeSet<VirtAddr>, pages: &HopPages) -> Plan {
        let request = Request {
            sites,
            traps,
            matched: &BTreeSet::new(),
            code: self,
            space: &self.space,
            pages,
            trampolines: AddrRange::sized(self.start, 1 << 20),
            tactics: Tactics::ALL,
        };
        plan(&request, &mut Functions::default())
    }
}

/// Memory as it is when jumps and traps are in it.
fn memory(world: &World, jumps: &[Jump], traps: &BTreeSet<VirtAddr>) -> Vec<u8> {
    let mut bytes = world.bytes.clone();
    let mut owned = vec![false; bytes.len()];
    let patches = jumps.iter().map(|jump| (jump.at, jump.patch(trampoline(world)).unwrap()));
    let traps = traps.iter().map(|&at| (at, CodeBytes::new(&[0xcc]).unwrap()));
    for (at, patch) in patches.chain(traps) {
        let skip = (at.get() - world.start.get()) as usize;
        for (index, &byte) in patch.iter().enumerate() {
            assert!(!owned[skip + index], "two owners of {at}+{index}");
            owned[skip + index] = true;
            bytes[skip + index] = byte;
        }
    }
    bytes
}

fn trampoline(world: &World) -> VirtAddr {
    world.start.wrapping_add(0x20_0000)
}

/// Whether every jump goes where it says, and every other instruction is what
/// it was, or traps.
fn check_sound(world: &World, jumps: &[Jump], traps: &BTreeSet<VirtAddr>) {
    let bytes = memory(world, jumps, traps);
    let at = |addr: VirtAddr| &bytes[(addr.get() - world.start.get()) as usize..];
    for jump in jumps {
        let insn = decode(at(jump.at), jump.at).unwrap();
        let expected = match jump.entry {
            Entry::Anywhere => trampoline(world),
            Entry::At(hop) => hop.start,
        };
        let len = 5 + usize::from(jump.prefixes);
        assert_eq!((insn.kind(), insn.len()), (InsnKind::Jump, len), "{jump:x?}");
        assert_eq!(insn.branch_target(), Some(expected), "{jump:x?}");
        assert!(jump.sites.iter().all(|site| jump.displaced.iter().any(|it| it.at == *site)));
        let first = jump.displaced[0];
        let pad = [0xf3, 0x0f, 0x1e, 0xfa];
        assert!(first.at == jump.at || first.end() == jump.at && at(first.at)[..4] == pad);
        check_carried(world, jump, &bytes);
    }
    let asked: BTreeSet<VirtAddr> = jumps.iter().flat_map(|jump| jump.sites.clone()).collect();
    let mut carried = jumps.iter().flat_map(|jump| &jump.carried);
    assert!(carried.all(|insn| !asked.contains(&insn.at) && !traps.contains(&insn.at)));
    for addr in world.boundaries() {
        let jump = jumps.iter().find(|jump| jump.displaces().contains(addr));
        let is_before = |jump: &Jump| addr < jump.at;
        if let Some(jump) = jump.filter(|jump| addr > jump.at) {
            let trapping = [0xcc, 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37];
            let found = at(addr)[0];
            assert!(trapping.contains(&found) || [0x3f, 0x60, 0x61].contains(&found));
            assert!(jump.displaced.iter().any(|insn| insn.at == addr));
        } else if jump.is_none_or(is_before) && !traps.contains(&addr) {
            let own = |bytes| decode(bytes, addr).map(|insn| insn.raw);
            let skip = (addr.get() - world.start.get()) as usize;
            assert_eq!(own(at(addr)), own(&world.bytes[skip..]), "{addr}");
        }
    }
}

/// Whether what is copied along follows what is displaced, is the program's
/// own, and begins in the jump's bytes.
fn check_carried(world: &World, jump: &Jump, bytes: &[u8]) {
    let mut next = jump.displaces().end;
    for insn in &jump.carried {
        assert_eq!(insn.at, next, "{jump:x?}");
        assert!(insn.at < jump.opcode().wrapping_add(JUMP_LEN), "{jump:x?}");
        let skip = (insn.at.get() - world.start.get()) as usize;
        let own = skip..skip + usize::from(insn.len);
        assert_eq!(bytes[own.clone()], world.bytes[own], "{jump:x?}");
        next = insn.end();
    }
}

/// Whether the plan speaks of every site once, and of memory that is free.
fn check_complete(world: &World, sites: &[VirtAddr], plan: &Plan) {
    let mut served: Vec<VirtAddr> = plan.jumps.iter().flat_map(|it| it.sites.clone()).collect();
    served.extend(plan.unserved.iter().map(|unserved| unserved.site));
    served.sort_unstable();
    assert_eq!(served, sites);
    let mut hops: Vec<AddrRange> = plan.jumps.iter().filter_map(hop).collect();
    hops.sort_unstable();
    assert!(hops.is_sorted_by(|one, next| one.end <= next.start), "{hops:x?}");
    for hop in hops {
        assert!(plan.new_pages.iter().any(|pages| pages.covers(hop)), "{hop} is not mapped");
    }
    for pages in &plan.new_pages {
        assert!(world.space.tight.iter().any(|hole| hole.covers(*pages)), "{pages} is not free");
    }
}

fn hop(jump: &Jump) -> Option<AddrRange> {
    match jump.entry {
        Entry::Anywhere => None,
        Entry::At(hop) => Some(hop),
    }
}

/// What functions are made of, one to seven bytes each.
fn insn() -> impl Strategy<Value = Vec<u8>> {
    let plain: &[&[u8]] = &[
        &[0x55],
        &[0x5d],
        &[0xc9],
        &[0x90],
        &[0x31, 0xc0],
        &[0x89, 0xf8],
        &[0x48, 0x89, 0xe5],
        &[0x48, 0x85, 0xc0],
        &[0x83, 0xc0, 0x01],
        &[0x48, 0x83, 0xec, 0x10],
        &[0x48, 0x8b, 0x45, 0xf8],
        &[0x8b, 0x44, 0x24, 0x0c],
        &[0xb8, 5, 0, 0, 0],
        &[0x48, 0x8b, 0x44, 0x24, 0x08],
        &[0xc7, 0x45, 0xfc, 0, 0, 0, 0],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0xff, 0xd0],
        &[0x0f, 0x05],
        &[0xc3],
        &[0xf3, 0x0f, 0x1e, 0xfa],
    ];
    let plain: Vec<Vec<u8>> = plain.iter().map(|bytes| bytes.to_vec()).collect();
    prop_oneof![
        8 => prop::sample::select(plain),
        1 => (-30_i8..30).prop_map(|by| vec![0x74, by.cast_unsigned()]),
        1 => any::<[u8; 2]>().prop_map(|[low, high]| vec![0xe8, low, high, 0, 0]),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let base = prop::sample::select(&BASES[..]);
    (base, prop::collection::vec(insn(), 4..40)).prop_map(|(base, insns)| World::new(base, &insns))
}

/// A world, sites, and traps elsewhere.
fn wanted() -> impl Strategy<Value = (World, Vec<VirtAddr>, BTreeSet<VirtAddr>)> {
    world().prop_flat_map(|world| {
        let count = world.insns.len();
        let kinds = prop::collection::vec(0_u8..8, count);
        kinds.prop_map(move |kinds| {
            let of = |wanted: std::ops::Range<u8>| {
                let chosen = world.boundaries().zip(&kinds);
                chosen.filter(move |(_, kind)| wanted.contains(kind)).map(|(at, _)| at)
            };
            (world.clone(), of(0..4).collect(), of(7..8).collect())
        })
    })
}

proptest! {
    #[test]
    fn plans_are_sound((world, sites, traps) in wanted()) {
        let plan = world.plan(&sites, &traps, &HopPages::default());
        check_complete(&world, &sites, &plan);
        check_sound(&world, &plan.jumps, &traps);
    }

    #[test]
    fn one_request_has_one_plan((world, sites, traps) in wanted()) {
        let pages = HopPages::default();
        prop_assert_eq!(world.plan(&sites, &traps, &pages), world.plan(&sites, &traps, &pages));
    }

    #[test]
    fn what_depends_on_a_site_can_be_planned_without_it(
        (world, sites, traps) in wanted(),
        which: prop::sample::Index,
    ) {
        prop_assume!(!sites.is_empty());
        let plan = world.plan(&sites, &traps, &HopPages::default());
        let gone = sites[which.index(sites.len())];
        let together = dependents(&sites, AddrRange::sized(gone, 1));
        let anew: Vec<VirtAddr> = together.iter().copied().filter(|&site| site != gone).collect();
        let stays = |jump: &&Jump| jump.sites.iter().all(|site| !together.contains(site));
        let mut pages = HopPages::default();
        plan.new_pages.iter().for_each(|&range| pages.add(range));
        let mut jumps: Vec<Jump> = plan.jumps.iter().filter(stays).cloned().collect();
        jumps.iter().filter_map(hop).for_each(|hop| pages.take(hop));
        let again = world.plan(&anew, &traps, &pages);
        jumps.extend(again.jumps);
        check_sound(&world, &jumps, &traps);
        let mut hops: Vec<AddrRange> = jumps.iter().filter_map(hop).collect();
        hops.sort_unstable();
        prop_assert!(hops.is_sorted_by(|one, next| one.end <= next.start));
    }

}

proptest! {
    // Each tries up to half a million jumps.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_pun_fails_only_where_no_byte_of_it_would_do(world in world(), which: prop::sample::Index) {
        let site = world.boundary(which.index(world.insns.len()));
        let mut first = [0; 4];
        world.read(site, &mut first);
        prop_assume!(first != [0xf3, 0x0f, 0x1e, 0xfa]);
        let plan = world.plan(&[site], &BTreeSet::new(), &HopPages::default());
        let rejected = plan.rejected.get(&site).into_iter().flatten();
        let failed = rejected.filter(|one| one.tactic == Tactic::Pun && one.why == Reason::NoRoom);
        let punned = plan.jumps.iter().any(|jump| jump.tactic == Tactic::Pun);
        if failed.count() == 1 {
            prop_assert!(!any_pun(&world, site));
        } else if punned {
            prop_assert!(any_pun(&world, site));
        }
    }
}

/// Tries every pun there is over the instruction at a site, in steps that no
/// page falls through.
fn any_pun(world: &World, site: VirtAddr) -> bool {
    let skip = (site.get() - world.start.get()) as usize;
    let own = decode(&world.bytes[skip..], site).unwrap().len();
    (0..own).any(|prefixes| {
        let Some(given) = world.bytes.get(skip + own..skip + 5 + prefixes) else { return false };
        let given = given.iter().rev().fold(0, |sum: u32, &byte| sum << 8 | u32::from(byte));
        let free = 8 * (own - 1 - prefixes) as u32;
        let step = if free == 24 { 64 } else { 1 };
        (0..1_u32 << free).step_by(step).any(|chosen| {
            let offset = (given.checked_shl(free).unwrap_or(0) | chosen).cast_signed();
            let end = site.wrapping_add(5 + prefixes as u64);
            let entry = end.wrapping_offset(i64::from(offset));
            let near = entry.get().abs_diff(world.start.get()) < (1 << 31) - (1 << 21);
            let room = AddrRange::sized(entry, if near { 5 } else { 14 });
            world.space.tight.iter().any(|hole| hole.covers(room))
        })
    })
}

fn at(base: u64, offset: u64) -> VirtAddr {
    VirtAddr::new(base + offset)
}

/// The tactic for each site, by its offset, of a fixed program.
fn check(insns: &[&[u8]], sites: &[u64], expected: &[(u64, Result<Tactic, Reason>)]) {
    let insns: Vec<Vec<u8>> = insns.iter().map(|bytes| bytes.to_vec()).collect();
    let world = World::new(BASES[0], &insns);
    let sites: Vec<VirtAddr> = sites.iter().map(|&offset| at(BASES[0], offset)).collect();
    let plan = world.plan(&sites, &BTreeSet::new(), &HopPages::default());
    check_complete(&world, &sites, &plan);
    check_sound(&world, &plan.jumps, &BTreeSet::new());
    let served = plan
        .jumps
        .iter()
        .flat_map(|jump| jump.sites.iter().map(|site| (site.get() - BASES[0], Ok(jump.tactic))));
    let unserved = plan.unserved.iter().map(|it| (it.site.get() - BASES[0], Err(it.why)));
    let mut found: Vec<_> = served.chain(unserved).collect();
    found.sort_unstable_by_key(|&(offset, _)| offset);
    assert_eq!(found, expected);
}

#[test]
fn the_simplest_tactic_that_fits_is_taken() {
    use Tactic::*;
    let mov5: &[u8] = &[0xb8, 5, 0, 0, 0];
    let mov3: &[u8] = &[0x48, 0x89, 0xe5];
    let mov2: &[u8] = &[0x89, 0xf8];
    let push: &[u8] = &[0x55];
    let ret: &[u8] = &[0xc3];
    let padding: &[u8] = &[0x0f, 0x1f, 0x40, 0x00];
    check(&[mov5, ret], &[0], &[(0, Ok(Whole))]);
    // It leads somewhere between 0x5040000 and 0x504ffff above.
    check(&[mov3, &[0x04, 0x05], &[0x31, 0xc0], ret], &[0], &[(0, Ok(Pun))]);
    // A pun would have a negative offset and lead below nothing.
    check(&[push, mov2, mov2, ret], &[0], &[(0, Ok(Window))]);
    // The window above is led to where its first bytes suit the pun.
    check(&[push, mov2, mov2, ret], &[0, 1, 3], &[(0, Ok(Pun)), (1, Ok(Window)), (3, Ok(Window))]);
    // The last instruction shares the window that begins with the one before.
    check(&[mov3, mov3, ret, padding], &[6], &[(6, Ok(Window))]);
}

/// The offsets of what the jump over the first instruction carries along.
fn check_carries(insns: &[&[u8]], traps: &[u64], expected: &[u64]) {
    let insns: Vec<Vec<u8>> = insns.iter().map(|bytes| bytes.to_vec()).collect();
    let world = World::new(BASES[1], &insns);
    let traps = traps.iter().map(|&offset| at(BASES[1], offset)).collect();
    let plan = world.plan(&[world.start], &traps, &HopPages::default());
    check_sound(&world, &plan.jumps, &traps);
    let carried = plan.jumps.iter().flat_map(|jump| &jump.carried);
    let found: Vec<u64> = carried.map(|insn| insn.at.get() - BASES[1]).collect();
    assert_eq!(found, expected);
}

#[test]
fn nothing_comes_back_into_the_bytes_of_a_jump() {
    let xor4: &[u8] = &[0x48, 0x33, 0x57, 0x10];
    let mov3: &[u8] = &[0x48, 0x89, 0xd0];
    let mov2: &[u8] = &[0x89, 0xf8];
    let mov5: &[u8] = &[0xb8, 5, 0, 0, 0];
    let syscall: &[u8] = &[0x0f, 0x05];
    let ret: &[u8] = &[0xc3];
    check_carries(&[xor4, mov3, mov3, ret], &[], &[4]);
    check_carries(&[mov3, mov2, ret], &[], &[3]);
    check_carries(&[mov2, mov2, ret, ret, ret], &[], &[2, 4]);
    check_carries(&[mov5, ret], &[], &[]);
    // Whoever waits for the kernel, or is asked for, is in the program.
    check_carries(&[mov3, syscall, ret], &[], &[]);
    check_carries(&[mov3, mov2, ret], &[3], &[]);
}

#[test]
fn a_landing_pad_stays_and_its_jump_is_behind_it() {
    let endbr: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
    let mov5: &[u8] = &[0xb8, 5, 0, 0, 0];
    check(&[endbr, mov5], &[0], &[(0, Ok(Tactic::Whole))]);
    check(&[endbr, mov5], &[0, 4], &[(0, Ok(Tactic::Whole)), (4, Ok(Tactic::Whole))]);
    let entered = Err(Reason::Entered { at: at(BASES[0], 4) });
    check(&[endbr, mov5, &[0x74, 0xf9]], &[0], &[(0, entered)]);
}

#[test]
fn what_rules_a_place_out_is_said() {
    let mov3: &[u8] = &[0x48, 0x89, 0xe5];
    let back = |by: i8| [0x74, by.cast_unsigned()];
    // A branch that skips the `lock` of the instruction before it.
    check(
        &[&[0xf0, 0x48, 0xff, 0x80, 0, 1, 0, 0], &back(-9)],
        &[0],
        &[(0, Err(Reason::Entered { at: at(BASES[0], 1) }))],
    );
    // call rax; mov; mov: the window would hold a return address.
    check(
        &[&[0xff, 0xd0], mov3, &[0xe9, 0, 0, 0, 0xf0]],
        &[0],
        &[(0, Err(Reason::WaitsInside { at: at(BASES[0], 0) }))],
    );
}

#[test]
fn sites_near_each_other_depend_on_each_other() {
    let sites: Vec<VirtAddr> = [0, 3, 30, 38, 80].iter().map(|&it| at(0x1000, it)).collect();
    let check = |from: u64, to: u64, expected: std::ops::Range<usize>| {
        let changed = AddrRange::between(at(0x1000, from), at(0x1000, to));
        assert_eq!(dependents(&sites, changed), &sites[expected], "{from}..{to}");
    };
    check(0, 1, 0..2);
    check(14, 15, 0..2);
    check(15, 26, 2..2);
    check(26, 27, 2..4);
    check(49, 50, 2..4);
    check(50, 76, 4..4);
    check(76, 77, 4..5);
    check(0, 90, 0..5);
}
