//! The planner against a naive model of what it promises, and by example.
//!
//! `TRAPLINE_CASES` sets how many random cases are tried, `TRAPLINE_SEED`
//! where they begin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::*;
use crate::ids::BreakpointId;
use crate::x64::debug::SlotKind;

const CAPABLE: PlanCapabilities = PlanCapabilities { hardware_slots: 4, traps: true };
const EXACT: PlanSettings = PlanSettings { over_cover: false };

fn owner(number: u32) -> Owner {
    Owner::Location(LocationId { breakpoint: BreakpointId::new(number), index: 1 })
}

fn data(number: u32, start: u64, len: u64, access: Access) -> Want {
    let range = AddrRange::sized(VirtAddr::new(start), len);
    Want { owner: owner(number), what: WantWhat::Data { range, access }, thread: None }
}

fn execute(number: u32, addr: u64, mechanism: Option<Mechanism>) -> Want {
    let addr = VirtAddr::new(addr);
    let in_process = InProcess::No;
    let what = WantWhat::Execute { addr, mechanism, writable_code: true, in_process };
    Want { owner: owner(number), what, thread: None }
}

fn hbreak(number: u32, addr: u64) -> Want {
    execute(number, addr, Some(Mechanism::Hardware))
}

fn on(thread: i32, want: Want) -> Want {
    Want { thread: Some(Tid::new(thread)), ..want }
}

/// The slots of a plan as `index kind addr len`, with `@thread`.
fn slots(plan: &Plan) -> Vec<String> {
    let text = |site: &Site| match site.what {
        SiteWhat::Trap { .. } | SiteWhat::Jump { .. } => None,
        SiteWhat::Slot { index, slot, thread } => {
            let kind = match slot.kind {
                SlotKind::Execute => "x",
                SlotKind::Write => "w",
                SlotKind::ReadWrite => "rw",
            };
            let thread = thread.map_or(String::new(), |tid| format!("@{tid}"));
            Some(format!("{index} {kind} {:#x} {}{thread}", slot.addr, slot.len))
        }
    };
    plan.sites.iter().filter_map(text).collect()
}

use Access::{Read, ReadWrite, Write};

#[test]
fn ranges_are_packed_into_aligned_slots() {
    let check = |wanted: &[Want], expected: &[&str]| {
        let plan = plan(&[], wanted, &CAPABLE, &EXACT);
        assert_eq!(slots(&plan), expected, "{wanted:?}");
        assert_eq!(plan.refused, []);
    };
    check(&[data(1, 0x1001, 3, Write)], &["0 w 0x1001 1", "1 w 0x1002 2"]);
    check(&[data(1, 0x1000, 12, Write)], &["0 w 0x1000 8", "1 w 0x1008 4"]);
    check(&[data(1, 0x1000, 16, Write)], &["0 w 0x1000 8", "1 w 0x1008 8"]);
    check(
        &[data(1, 0x1000, 32, ReadWrite)].map(|want| want),
        &["0 rw 0x1000 8", "1 rw 0x1008 8", "2 rw 0x1010 8", "3 rw 0x1018 8"],
    );
    let adjacent = [data(1, 0x1000, 4, Write), data(2, 0x1004, 4, Write)];
    check(&adjacent, &["0 w 0x1000 8"]);
    let overlapping = [data(1, 0x1000, 6, Write), data(2, 0x1002, 6, Write)];
    check(&overlapping, &["0 w 0x1000 8"]);
    let same_place = [data(1, 0x1000, 8, Write), data(2, 0x1000, 8, Read)];
    check(&same_place, &["0 rw 0x1000 8", "1 w 0x1000 8"]);
    check(&[hbreak(1, 0x1003), hbreak(2, 0x1003)], &["0 x 0x1003 1"]);
}

#[test]
fn more_is_covered_only_when_allowed_and_needed() {
    let scattered: Vec<Want> =
        (0..3).map(|i| data(i, 0x1000 + 16 * u64::from(i), 8, Write)).collect();
    let with_odd = |odd: Want| [scattered.clone(), vec![odd]].concat();
    let odd = with_odd(data(9, 0x2001, 3, Write));
    let loose = PlanSettings { over_cover: true };
    assert_eq!(plan(&[], &odd, &CAPABLE, &EXACT).refused.len(), 1);
    let fitted = plan(&[], &odd, &CAPABLE, &loose);
    assert_eq!(fitted.refused, []);
    assert_eq!(slots(&fitted)[3], "3 w 0x2000 4");
    let alone = plan(&[], &odd[3..], &CAPABLE, &loose);
    assert_eq!(slots(&alone), ["0 w 0x2001 1", "1 w 0x2002 2"]);
}

#[test]
fn reads_are_told_from_writes_while_a_slot_is_free() {
    let rwatch = data(1, 0x1000, 4, Read);
    let first = plan(&[], &[rwatch], &CAPABLE, &EXACT);
    assert_eq!(slots(&first), ["0 rw 0x1000 4", "1 w 0x1000 4"]);
    let pair = PairedWrite { both: 0, write: 1 };
    let by = ServedBy::Slots { sites: vec![0], paired_writes: vec![pair] };
    assert_eq!(first.served[0].by, by);
    assert!(plan(&[], &[data(1, 0x1000, 4, ReadWrite)], &CAPABLE, &EXACT).sites.len() == 1);
    let wanted = [rwatch, hbreak(2, 0x10), hbreak(3, 0x20), hbreak(4, 0x30)];
    let crowded = plan(&first.sites, &wanted, &CAPABLE, &EXACT);
    assert_eq!(crowded.refused, []);
    let by = ServedBy::Slots { sites: vec![0], paired_writes: Vec::new() };
    assert_eq!(crowded.served[0].by, by);
    assert_eq!(slots(&crowded)[0], "0 rw 0x1000 4");
}

#[test]
fn what_is_set_stays_where_it_is() {
    let wanted = [hbreak(1, 0x10), data(2, 0x1000, 8, Write), hbreak(3, 0x30)];
    let before = plan(&[], &wanted, &CAPABLE, &EXACT);
    let fewer = plan(&before.sites, &wanted[1..], &CAPABLE, &EXACT);
    let index = |plan: &Plan, text: &str| {
        slots(plan).iter().find(|slot| slot.contains(text)).map(|slot| slot[..1].to_owned())
    };
    for text in ["0x1000", "0x30"] {
        assert_eq!(index(&before, text), index(&fewer, text));
    }
    assert!(matches!(fewer.edits[..], [Edit::ClearSlot { .. }]), "{:?}", fewer.edits);
    let more = [wanted[1], wanted[2], data(4, 0x2000, 4, Write)];
    let after = plan(&fewer.sites, &more, &CAPABLE, &EXACT);
    assert!(matches!(after.edits[..], [Edit::SetSlot { .. }]), "{:?}", after.edits);
}

#[test]
fn a_refusal_names_the_holders() {
    let check = |wanted: &[Want], expected: &str| {
        let plan = plan(&[], wanted, &CAPABLE, &EXACT);
        let last = wanted.last().unwrap();
        assert_eq!(plan.refused.len(), 1);
        assert_eq!(plan.refused[0].owner, last.owner);
        assert_eq!(plan.refused[0].why, expected);
    };
    let wanted = [
        data(2, 0x1000, 8, Write),
        hbreak(3, 0x10),
        data(5, 0x2001, 3, Read),
        data(7, 0x3000, 1, Write),
    ];
    check(
        &wanted,
        "4 of 4 debug registers are in use: watch 2 (8 bytes at 0x1000), hbreak 3 (at 0x10), \
         rwatch 5 (3 bytes at 0x2001)",
    );
    check(
        &[hbreak(1, 1), hbreak(2, 2), hbreak(3, 3), data(4, 0x1000, 12, Write)],
        "2 debug registers are needed; 3 of 4 debug registers are in use: hbreak 1 (at 0x1), \
         hbreak 2 (at 0x2), hbreak 3 (at 0x3)",
    );
    let too_wide = "40 bytes do not fit in 4 debug registers of at most 8 aligned bytes";
    check(&[data(1, 0x1000, 40, Write)], too_wide);
    let unaligned = "32 bytes do not fit in 4 debug registers of at most 8 aligned bytes";
    check(&[data(1, 0x1001, 32, Write)], unaligned);
    check(&[data(1, 0x1000, 0, Write)], "there are no bytes to watch");
}

#[test]
fn execution_takes_the_mechanism_that_can_serve_it() {
    use InProcess::{Impossible, No, Possible};
    type Asked = (Option<Mechanism>, InProcess);
    let check = |asked: &[Asked], writable_code, expected: Result<(Mechanism, Reason), &str>| {
        let want = |&(mechanism, in_process): &Asked| {
            let addr = VirtAddr::new(0x10);
            let what = WantWhat::Execute { addr, mechanism, writable_code, in_process };
            Want { owner: Owner::Internal(1), what, thread: None }
        };
        let wanted: Vec<Want> = asked.iter().map(want).collect();
        let plan = plan(&[], &wanted, &CAPABLE, &EXACT);
        let served = plan.served.first().map(|served| (served.by.mechanism(), served.reason));
        match expected {
            Ok(expected) => assert_eq!(served, Some(expected)),
            Err(why) => assert_eq!(plan.refused[0].why, why),
        }
    };
    let (hardware, trap, jump) =
        (Some(Mechanism::Hardware), Some(Mechanism::Trap), Some(Mechanism::Jump));
    check(&[(None, No)], true, Ok((Mechanism::Trap, Reason::Usual)));
    check(&[(None, Possible)], true, Ok((Mechanism::Jump, Reason::Decides)));
    check(&[(None, Impossible)], true, Ok((Mechanism::Trap, Reason::NoJump)));
    check(&[(None, Possible)], false, Ok((Mechanism::Hardware, Reason::CodeNotWritable)));
    check(&[(hardware, Possible)], true, Ok((Mechanism::Hardware, Reason::Asked)));
    check(&[(trap, Possible)], true, Ok((Mechanism::Trap, Reason::Asked)));
    check(&[(jump, No)], true, Ok((Mechanism::Jump, Reason::Asked)));
    check(&[(jump, Impossible)], true, Ok((Mechanism::Trap, Reason::NoJump)));
    check(&[(None, Possible), (None, No)], true, Ok((Mechanism::Trap, Reason::Shared)));
    check(&[(None, Possible), (jump, No)], true, Ok((Mechanism::Jump, Reason::Decides)));
    check(&[(None, Possible), (hardware, No)], true, Ok((Mechanism::Jump, Reason::Decides)));
    let why = "no trap or jump can be written at 0x10: the code there cannot be changed";
    check(&[(trap, No)], false, Err(why));
}

#[test]
fn ten_thousand_traps_are_planned_and_changed_cheaply() {
    let mut wanted: Vec<Want> =
        (0..10_000).map(|i| execute(i, 0x1000 + 3 * u64::from(i % 9_000), None)).collect();
    let first = plan(&[], &wanted, &CAPABLE, &EXACT);
    assert_eq!((first.sites.len(), first.edits.len()), (9_000, 9_000));
    assert_eq!(plan(&first.sites, &wanted, &CAPABLE, &EXACT).edits, []);
    wanted.push(execute(10_001, 0x1000, None));
    wanted.push(execute(10_002, 0x1001, None));
    let more = plan(&first.sites, &wanted, &CAPABLE, &EXACT);
    let trap = |addr| SiteWhat::Trap { addr: VirtAddr::new(addr) };
    let added = Edit::AddTrap { addr: VirtAddr::new(0x1001) };
    assert_eq!(more.edits, [Edit::ChangeOwners { site: trap(0x1000) }, added]);
}

/// xorshift64*: reproducible from its seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn want(&mut self, number: u32) -> Want {
        let start = 0x1000 + self.below(40);
        let want = match self.below(8) {
            0 => {
                let mut want = execute(number, start, self.pick(&[None, Some(Mechanism::Jump)]));
                if let WantWhat::Execute { in_process, .. } = &mut want.what {
                    *in_process =
                        self.pick(&[InProcess::No, InProcess::Possible, InProcess::Impossible]);
                }
                want
            }
            1 => hbreak(number, 0x1000 + self.below(4)),
            _ => {
                let len = self.pick(&[1, 1, 2, 3, 4, 4, 8, 8, 9, 12, 16]);
                data(number, start, len, self.pick(&[Write, Write, Read, ReadWrite]))
            }
        };
        if self.below(4) == 0 { on(self.pick(&[1, 2]), want) } else { want }
    }
}

/// Something the program does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Run(VirtAddr),
    Touch(AddrRange, bool),
}

/// What the user means by a want, said without any site.
fn is_meant(want: &Want, thread: Tid, deed: Deed) -> bool {
    if want.thread.is_some_and(|only| only != thread) {
        return false;
    }
    match (want.what, deed) {
        (WantWhat::Execute { addr, .. }, Deed::Run(pc)) => addr == pc,
        (WantWhat::Data { range, access }, Deed::Touch(bytes, write)) => {
            range.overlaps(bytes) && (access == ReadWrite || (access == Write) == write)
        }
        _ => false,
    }
}

/// What the processor does.
fn hits(site: &Site, thread: Tid, deed: Deed) -> bool {
    match (site.what, deed) {
        (SiteWhat::Trap { addr } | SiteWhat::Jump { addr }, Deed::Run(pc)) => addr == pc,
        (SiteWhat::Slot { slot, thread: only, .. }, deed) => {
            only.is_none_or(|only| only == thread)
                && match (slot.kind, deed) {
                    (SlotKind::Execute, Deed::Run(pc)) => slot.addr == pc,
                    (SlotKind::Write, Deed::Touch(bytes, write)) => {
                        write && slot.range().overlaps(bytes)
                    }
                    (SlotKind::ReadWrite, Deed::Touch(bytes, _)) => slot.range().overlaps(bytes),
                    _ => false,
                }
        }
        _ => false,
    }
}

fn check_hits(plan: &Plan, wanted: &[Want], random: &mut Random) {
    let refused: BTreeSet<usize> = plan.refused.iter().map(|refusal| refusal.want).collect();
    for _ in 0..8 {
        let thread = Tid::new(random.pick(&[1, 2, 3]));
        let at = VirtAddr::new(0x0ff8 + random.below(64));
        let deed = match random.below(3) {
            0 => Deed::Run(at),
            kind => Deed::Touch(AddrRange::sized(at, random.pick(&[1, 2, 4, 8])), kind == 1),
        };
        let meant: BTreeSet<Owner> = wanted
            .iter()
            .enumerate()
            .filter(|(index, want)| !refused.contains(index) && is_meant(want, thread, deed))
            .map(|(_, want)| want.owner)
            .collect();
        let of =
            |owner: &Owner| wanted.iter().filter(|want| want.owner == *owner).collect::<Vec<_>>();
        let found: BTreeSet<Owner> = plan
            .sites
            .iter()
            .filter(|site| hits(site, thread, deed))
            .flat_map(|site| site.owners.iter().copied())
            .filter(|owner| of(owner).iter().any(|want| is_meant(want, thread, deed)))
            .collect();
        assert_eq!(found, meant, "{thread} {deed:?}");
    }
}

/// What holds for every plan, whatever was wanted.
fn check_shape(plan: &Plan, wanted: &[Want], settings: &PlanSettings) {
    assert_eq!(plan.served.len() + plan.refused.len(), wanted.len());
    let mut taken: BTreeMap<u8, Vec<Option<Tid>>> = BTreeMap::new();
    for site in &plan.sites {
        assert!(!site.owners.is_empty() && site.owners.is_sorted(), "{site:?}");
        let SiteWhat::Slot { index, slot, thread } = site.what else { continue };
        assert!(index < 4 && slot.addr.get().is_multiple_of(u64::from(slot.len)));
        let others = taken.entry(index).or_default();
        assert!(others.iter().all(|other| thread.is_some() && other.is_some() && *other != thread));
        others.push(thread);
        let needed = |addr| {
            wanted.iter().any(|want| match want.what {
                WantWhat::Data { range, .. } => range.contains(addr),
                WantWhat::Execute { addr: pc, .. } => pc == addr,
            })
        };
        let bytes = (0..u64::from(slot.len)).map(|offset| slot.addr.wrapping_add(offset));
        assert!(settings.over_cover || bytes.into_iter().all(needed), "{site:?}");
    }
    let at = |want: &WantWhat| match *want {
        WantWhat::Execute { addr, .. } => Some(addr),
        WantWhat::Data { .. } => None,
    };
    for site in &plan.sites {
        // One instruction has one patch.
        let SiteWhat::Jump { addr } = site.what else { continue };
        assert!(!plan.sites.iter().any(|site| site.what == SiteWhat::Trap { addr }));
        let here = plan.served.iter().filter(|served| at(&wanted[served.want].what) == Some(addr));
        assert!(here.clone().all(|served| served.by.mechanism() != Mechanism::Trap));
    }
    for served in &plan.served {
        let sites = match &served.by {
            ServedBy::Trap { site } | ServedBy::Jump { site } => std::slice::from_ref(site),
            ServedBy::Slots { sites, .. } => sites,
        };
        assert!(!sites.is_empty());
        for &site in sites {
            assert!(plan.sites[site].owners.contains(&served.owner), "{served:?}");
        }
    }
}

/// Carries the edits out on the sites there were.
fn carry_out(now: &[Site], edits: &[Edit]) -> BTreeSet<SiteWhat> {
    let mut there: BTreeSet<SiteWhat> = now.iter().map(|site| site.what).collect();
    let clear = |there: &mut BTreeSet<SiteWhat>, at: u8, on: Option<Tid>| {
        there.retain(|what| !matches!(*what, SiteWhat::Slot { index, thread, .. } if (index, thread) == (at, on)));
    };
    for &edit in edits {
        match edit {
            Edit::RemoveTrap { addr } => assert!(there.remove(&SiteWhat::Trap { addr })),
            Edit::AddTrap { addr } => assert!(there.insert(SiteWhat::Trap { addr })),
            Edit::RemoveJump { addr } => assert!(there.remove(&SiteWhat::Jump { addr })),
            Edit::AddJump { addr } => assert!(there.insert(SiteWhat::Jump { addr })),
            Edit::ClearSlot { index, thread } => clear(&mut there, index, thread),
            Edit::SetSlot { index, slot, thread } => {
                clear(&mut there, index, thread);
                there.insert(SiteWhat::Slot { index, slot, thread });
            }
            Edit::ChangeOwners { site } => assert!(there.contains(&site)),
        }
    }
    there
}

/// The fewest slots that cover what some wants need of one block of eight
/// aligned bytes; slots never cross such blocks.
///
/// A slot that matches reads covers writes as well, so which touches matter
/// makes no difference to how many are needed.
fn fewest_in_block(wants: &[&Want], block: u64, over_cover: bool) -> usize {
    let block = AddrRange::sized(VirtAddr::new(block), 8);
    let mut touched = 0;
    for want in wants {
        let WantWhat::Data { range, .. } = want.what else { continue };
        let Some(inside) = range.intersection(block) else { continue };
        let first = inside.start.checked_sub(block.start).unwrap();
        touched |= ((1usize << inside.len()) - 1) << first;
    }
    if over_cover { usize::from(touched != 0) } else { fewest_exact()[touched] }
}

/// For every set of bytes of a block, the fewest aligned slots that cover just
/// them, by trying all sets of slots in order of their number.
fn fewest_exact() -> &'static [usize; 256] {
    static TABLE: OnceLock<[usize; 256]> = OnceLock::new();
    TABLE.get_or_init(|| {
        let slots = [1u32, 2, 4, 8].into_iter().flat_map(|len| {
            (0..8).step_by(len as usize).map(move |first| ((1usize << len) - 1) << first)
        });
        let slots: Vec<usize> = slots.collect();
        let mut fewest = [usize::MAX; 256];
        let mut reached = BTreeSet::from([0]);
        for count in 0..=8 {
            for &bytes in &reached {
                fewest[bytes] = fewest[bytes].min(count);
            }
            reached = reached
                .iter()
                .flat_map(|bytes| slots.iter().map(move |slot| bytes | slot))
                .collect();
        }
        fewest
    })
}

/// Whether wants for all threads fit in the debug registers.
fn fits(wants: &[&Want], over_cover: bool) -> bool {
    let execute: BTreeSet<VirtAddr> = wants
        .iter()
        .filter_map(|want| match want.what {
            WantWhat::Execute { addr, .. } => Some(addr),
            WantWhat::Data { .. } => None,
        })
        .collect();
    let blocks = (0x0ff8..0x1048).step_by(8);
    let data: usize = blocks.map(|block| fewest_in_block(wants, block, over_cover)).sum();
    execute.len() + data <= 4
}

/// Without threads of their own, a want is refused exactly when it does not
/// fit beside those before it.
fn check_refusals(plan: &Plan, wanted: &[Want], settings: &PlanSettings) {
    if wanted.iter().any(|want| want.thread.is_some()) {
        return;
    }
    let patch = [None, Some(Mechanism::Jump)];
    let hardware = |want: &&Want| !matches!(want.what, WantWhat::Execute { mechanism, .. } if patch.contains(&mechanism));
    let refused: BTreeSet<usize> = plan.refused.iter().map(|refusal| refusal.want).collect();
    for (index, want) in wanted.iter().enumerate().filter(|(_, want)| hardware(want)) {
        let before = wanted[..index].iter().enumerate();
        let mut held: Vec<&Want> = before
            .filter(|(index, want)| hardware(want) && !refused.contains(index))
            .map(|(_, want)| want)
            .collect();
        held.push(want);
        assert_eq!(!refused.contains(&index), fits(&held, settings.over_cover), "{want:?}");
    }
}

fn check_case(seed: u64) {
    let mut random = Random::new(seed);
    let settings = PlanSettings { over_cover: random.below(3) == 0 };
    let threads = random.below(2) == 0;
    let mut wanted: Vec<Want> = (0..1 + random.below(6) as u32).map(|n| random.want(n)).collect();
    if !threads {
        wanted.iter_mut().for_each(|want| want.thread = None);
    }
    let first = plan(&[], &wanted, &CAPABLE, &settings);
    check_plan(&[], &first, &wanted, &settings, &mut random);
    if random.below(2) == 0 {
        wanted.remove(random.below(wanted.len() as u64) as usize);
    }
    wanted.push(random.want(99));
    let second = plan(&first.sites, &wanted, &CAPABLE, &settings);
    check_plan(&first.sites, &second, &wanted, &settings, &mut random);
}

fn check_plan(
    now: &[Site],
    made: &Plan,
    wanted: &[Want],
    settings: &PlanSettings,
    random: &mut Random,
) {
    check_shape(made, wanted, settings);
    check_hits(made, wanted, random);
    check_refusals(made, wanted, settings);
    let there: BTreeSet<SiteWhat> = made.sites.iter().map(|site| site.what).collect();
    assert_eq!(carry_out(now, &made.edits), there);
    let again = plan(&made.sites, wanted, &CAPABLE, settings);
    assert_eq!(again.edits, [], "planning again changes nothing: {wanted:?} {:?}", made.sites);
    assert_eq!(again.served, made.served);
}

#[test]
fn random_plans_keep_every_promise() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = (number("TRAPLINE_SEED").unwrap_or(0), number("TRAPLINE_CASES"));
    for seed in first..first + count.unwrap_or(5_000) {
        let outcome = std::panic::catch_unwind(|| check_case(seed));
        assert!(outcome.is_ok(), "TRAPLINE_SEED={seed} TRAPLINE_CASES=1 repeats it");
    }
}
