//! Who gets debug registers, and which.
//!
//! Wants are admitted in order while a packing exists for all threads; then
//! each slot is given a register, keeping those that are set, and registers
//! left over tell reads from writes.

use std::collections::BTreeMap;

use super::pack::{Needs, Packing, Score, Terms, pack};
use super::{
    Owner, PairedWrite, Plan, PlanCapabilities, PlanSettings, Reason, Served, ServedBy, Site,
    SiteWhat, Want, WantWhat,
};
use crate::ids::Tid;
use crate::x64::debug::{Access, SLOTS, Slot, SlotKind};

type Thread = Option<Tid>;

/// The needs of all threads together (`None`) and of single threads.
type Groups = BTreeMap<Thread, Needs>;

/// The slots for each group.
type Layout = BTreeMap<Thread, Packing>;

/// Slots of each group, whichever registers they are in.
type Slots = BTreeMap<Thread, Vec<Slot>>;

/// The slots that are set now.
type Kept = BTreeMap<Thread, Vec<(u8, Slot)>>;

/// Admits wants while they fit.
pub(super) struct Admission<'a> {
    wanted: &'a [Want],
    room: usize,
    over_cover: bool,
    kept: Kept,
    groups: Groups,
    layout: Layout,
    admitted: Vec<(usize, Reason)>,
}

impl<'a> Admission<'a> {
    /// Nothing admitted yet.
    pub(super) fn new(
        now: &[Site],
        wanted: &'a [Want],
        capabilities: &PlanCapabilities,
        settings: &PlanSettings,
    ) -> Self {
        let mut kept = Kept::new();
        for site in now {
            if let SiteWhat::Slot { index, slot, thread } = site.what {
                kept.entry(thread).or_default().push((index, slot));
            }
        }
        Self {
            wanted,
            room: usize::from(capabilities.hardware_slots).min(SLOTS),
            over_cover: settings.over_cover,
            kept,
            groups: Groups::new(),
            layout: Layout::new(),
            admitted: Vec::new(),
        }
    }

    /// Admits the want at `index` if it fits beside those admitted before it;
    /// else says why not.
    pub(super) fn admit(&mut self, index: usize, reason: Reason) -> Result<(), String> {
        let want = &self.wanted[index];
        let mut needs = self.groups.get(&want.thread).cloned().unwrap_or_default();
        self.add(&mut needs, want)?;
        if self.groups.get(&want.thread) != Some(&needs) {
            let mut groups = self.groups.clone();
            groups.insert(want.thread, needs);
            let Some(layout) = self.lay_out(&groups) else { return Err(self.explain(want)) };
            (self.groups, self.layout) = (groups, layout);
        }
        self.admitted.push((index, reason));
        Ok(())
    }

    fn add(&self, needs: &mut Needs, want: &Want) -> Result<(), String> {
        if self.room == 0 {
            return Err("the target has no debug registers".to_owned());
        }
        match want.what {
            WantWhat::Execute { addr, .. } => needs.add_execute(addr),
            WantWhat::Data { range, .. } if range.is_empty() => {
                return Err("there are no bytes to watch".to_owned());
            }
            WantWhat::Data { range, access } => {
                if !needs.add_data(range, access) {
                    return Err(self.too_wide(range.len()));
                }
            }
        }
        Ok(())
    }

    /// The best slots for all groups.
    ///
    /// What is best for all threads together is found without a look at single
    /// ones, so among equals the slots set now can decide how well those fare.
    /// Improving on the outcome until it stays makes it one that a later plan
    /// keeps; each round is strictly better, so there are few.
    fn lay_out(&self, groups: &Groups) -> Option<Layout> {
        const ROUNDS: usize = 8;
        let mut kept: Slots =
            self.kept.iter().map(|(&thread, kept)| (thread, primary(kept))).collect();
        let mut layout = self.best_division(groups, &kept)?;
        for _ in 0..ROUNDS {
            let slots: Slots =
                layout.iter().map(|(&thread, packing)| (thread, packing.slots.clone())).collect();
            if groups.keys().all(Option::is_none) || slots == kept {
                break;
            }
            kept = slots;
            layout = self.best_division(groups, &kept)?;
        }
        Some(layout)
    }

    /// Tries every division of the registers between all threads and single
    /// ones.
    fn best_division(&self, groups: &Groups, kept: &Slots) -> Option<Layout> {
        let single = groups.keys().any(Option::is_some);
        let divisions = if single { 0..=self.room } else { self.room..=self.room };
        let layouts = divisions.filter_map(|room| self.divide(groups, kept, room));
        layouts.min_by_key(|(score, _)| *score).map(|(_, layout)| layout)
    }

    fn divide(
        &self,
        groups: &Groups,
        kept: &Slots,
        room_for_all: usize,
    ) -> Option<(Score, Layout)> {
        let over_cover = self.over_cover;
        let kept = |thread| kept.get(&thread).map_or(&[][..], Vec::as_slice);
        let none = Needs::default();
        let terms = Terms { room: room_for_all, over_cover, given: &[], kept: kept(None) };
        let all = pack(groups.get(&None).unwrap_or(&none), terms)?;
        let room = self.room - all.slots.len();
        let mut score = all.score;
        let mut layout = Layout::new();
        for (&thread, needs) in groups.range(Some(Tid::new(i32::MIN))..) {
            let terms = Terms { room, over_cover, given: &all.slots, kept: kept(thread) };
            let packing = pack(needs, terms)?;
            score = score.plus(packing.score);
            layout.insert(thread, packing);
        }
        layout.insert(None, all);
        Some((score, layout))
    }

    fn kept(&self, thread: Thread) -> &[(u8, Slot)] {
        self.kept.get(&thread).map_or(&[], Vec::as_slice)
    }

    fn too_wide(&self, bytes: u64) -> String {
        let room = self.room;
        format!("{bytes} bytes do not fit in {room} debug registers of at most 8 aligned bytes")
    }

    /// Why a want does not fit, with the holders of what it lacks.
    fn explain(&self, want: &Want) -> String {
        let mut alone = Needs::default();
        let _fits = self.add(&mut alone, want);
        let terms = Terms { room: self.room, over_cover: self.over_cover, given: &[], kept: &[] };
        let Some(packing) = pack(&alone, terms) else {
            return match want.what {
                WantWhat::Data { range, .. } => self.too_wide(range.len()),
                WantWhat::Execute { .. } => "the target has no debug registers".to_owned(),
            };
        };
        let concerns = |other: &&Want| {
            want.thread.is_none() || other.thread.is_none() || other.thread == want.thread
        };
        let admitted = self.admitted.iter().map(|&(index, _)| &self.wanted[index]);
        let holders = name_all(admitted.filter(concerns).map(describe));
        let used = self.used(want.thread);
        let room = self.room;
        let needs = match packing.slots.len() {
            1 => String::new(),
            count => format!("{count} debug registers are needed; "),
        };
        format!("{needs}{used} of {room} debug registers are in use: {holders}")
    }

    fn used(&self, thread: Thread) -> usize {
        let count = |thread| self.layout.get(&thread).map_or(0, |packing| packing.slots.len());
        let single = match thread {
            Some(_) => count(thread),
            None => self
                .layout
                .keys()
                .filter(|key| key.is_some())
                .map(|&key| count(key))
                .max()
                .unwrap_or(0),
        };
        count(None) + single
    }

    /// Adds the sites, and how the admitted are served, to the plan.
    pub(super) fn finish(self, plan: &mut Plan) {
        let mut registers = Registers::default();
        for thread in self.layout.keys() {
            self.give_registers(*thread, &mut registers);
        }
        let pairs = self.pair(&mut registers);
        let first = plan.sites.len();
        let mut owners: Vec<Vec<Owner>> = vec![Vec::new(); registers.taken.len()];
        for &(want, reason) in &self.admitted {
            let owner = self.wanted[want].owner;
            let (mut sites, paired_writes) = self.serve(want, &registers, &pairs);
            for site in &mut sites {
                owners[*site].push(owner);
                *site += first;
            }
            let by = ServedBy::Slots { sites, paired_writes };
            plan.served.push(Served { want, owner, by, reason });
        }
        for (&both, &write) in &pairs {
            if let (Some(both), Some(write)) = (registers.position(both), registers.position(write))
            {
                owners[write] = owners[both].clone();
            }
        }
        let taken = registers.taken.iter().zip(owners);
        plan.sites.extend(taken.map(|((&(thread, index), &slot), owners)| Site {
            what: SiteWhat::Slot { index, slot, thread },
            owners: owners.into_iter().collect(),
        }));
    }

    /// Gives the slots of one group their registers: those that are set stay.
    fn give_registers(&self, thread: Thread, registers: &mut Registers) {
        let Some(packing) = self.layout.get(&thread) else { return };
        let mut homeless = Vec::new();
        for &slot in &packing.slots {
            let set = self
                .kept(thread)
                .iter()
                .find(|&&(index, kept)| kept == slot && registers.is_free(thread, index));
            match set {
                Some(&(index, _)) => registers.take(thread, index, slot),
                None => homeless.push(slot),
            }
        }
        for slot in homeless {
            let free = self.indices().filter(|&index| registers.is_free(thread, index));
            if let Some(index) = free.min_by_key(|&index| self.disturbs(thread, index)) {
                registers.take(thread, index, slot);
            }
        }
    }

    fn indices(&self) -> impl Iterator<Item = u8> + use<> {
        (0..SLOTS as u8).take(self.room)
    }

    /// How many slots that are set would have to make room at this index.
    fn disturbs(&self, thread: Thread, index: u8) -> usize {
        let concerned = |other: Thread| thread.is_none() || other == thread;
        let groups = self.kept.iter().filter(|(other, _)| concerned(**other));
        groups.flat_map(|(_, kept)| kept).filter(|kept| kept.0 == index).count()
    }

    /// Puts a write slot beside slots that match reads too, while registers
    /// are left: first where one is set already.
    fn pair(&self, registers: &mut Registers) -> BTreeMap<Register, Register> {
        let singles: Vec<(Register, Slot)> = registers
            .taken
            .iter()
            .map(|(&register, &slot)| (register, slot))
            .filter(|&((thread, _), slot)| self.wants_pair(thread, slot))
            .collect();
        let mut pairs = BTreeMap::new();
        for only_kept in [true, false] {
            for &((thread, both), slot) in &singles {
                if pairs.contains_key(&(thread, both)) {
                    continue;
                }
                let write = Slot { kind: SlotKind::Write, ..slot };
                let index = if only_kept {
                    let kept = self.kept(thread).iter().filter(|kept| kept.1 == write);
                    kept.map(|kept| kept.0).find(|&index| registers.is_free(thread, index))
                } else {
                    self.indices().find(|&index| registers.is_free(thread, index))
                };
                if let Some(index) = index {
                    registers.take(thread, index, write);
                    pairs.insert((thread, both), (thread, index));
                }
            }
        }
        pairs
    }

    /// Whether some owner of a slot that matches reads and writes must know
    /// which it was.
    fn wants_pair(&self, thread: Thread, slot: Slot) -> bool {
        slot.kind == SlotKind::ReadWrite
            && self.admitted.iter().map(|&(index, _)| &self.wanted[index]).any(|want| {
                let particular = |access| access != Access::ReadWrite;
                matches!(want.what, WantWhat::Data { access, .. } if particular(access))
                    && serves(thread, slot, want)
            })
    }

    /// The registers that serve a want, by their places among those taken, and
    /// the pairs among them.
    fn serve(
        &self,
        index: usize,
        registers: &Registers,
        pairs: &BTreeMap<Register, Register>,
    ) -> (Vec<usize>, Vec<PairedWrite>) {
        let want = &self.wanted[index];
        let writes: Vec<Register> = pairs.values().copied().collect();
        let (mut sites, mut paired_writes) = (Vec::new(), Vec::new());
        for (site, (register, &slot)) in registers.taken.iter().enumerate() {
            if writes.contains(register) || !serves(register.0, slot, want) {
                continue;
            }
            sites.push(site);
            if let Some(write) = pairs.get(register) {
                paired_writes.push(PairedWrite { both: register.1, write: write.1 });
            }
        }
        (sites, paired_writes)
    }
}

/// The slots that are not there just to tell reads from writes: only these are
/// worth keeping for their own sake.
fn primary(kept: &[(u8, Slot)]) -> Vec<Slot> {
    let slots: Vec<Slot> = kept.iter().map(|&(_, slot)| slot).collect();
    let paired = |slot: &Slot| {
        slot.kind == SlotKind::Write && slots.contains(&Slot { kind: SlotKind::ReadWrite, ..*slot })
    };
    slots.iter().filter(|slot| !paired(slot)).copied().collect()
}

/// A debug register of a thread, or of all.
type Register = (Thread, u8);

/// Which debug registers are taken, by what.
#[derive(Default)]
struct Registers {
    taken: BTreeMap<Register, Slot>,
}

impl Registers {
    /// A register of all threads is free only if it is so on every thread.
    fn is_free(&self, thread: Thread, index: u8) -> bool {
        let clashes = |other: Thread| other.is_none() || thread.is_none() || other == thread;
        !self.taken.keys().any(|&(other, taken)| taken == index && clashes(other))
    }

    fn take(&mut self, thread: Thread, index: u8, slot: Slot) {
        self.taken.insert((thread, index), slot);
    }

    fn position(&self, register: Register) -> Option<usize> {
        self.taken.keys().position(|taken| *taken == register)
    }
}

/// Whether a hit of the slot can be meant for the want.
fn serves(thread: Thread, slot: Slot, want: &Want) -> bool {
    if thread.is_some() && thread != want.thread {
        return false;
    }
    match (want.what, slot.kind) {
        (WantWhat::Execute { addr, .. }, SlotKind::Execute) => slot.addr == addr,
        (WantWhat::Data { range, access }, SlotKind::Write) => {
            access != Access::Read && slot.range().overlaps(range)
        }
        (WantWhat::Data { range, .. }, SlotKind::ReadWrite) => slot.range().overlaps(range),
        _ => false,
    }
}

/// A want as its holder is named to the user.
fn describe(want: &Want) -> String {
    let owner = want.owner;
    match want.what {
        WantWhat::Execute { addr, .. } => format!("hbreak {owner} (at {addr})"),
        WantWhat::Data { range, access } => {
            let command = match access {
                Access::Write => "watch",
                Access::Read => "rwatch",
                Access::ReadWrite => "awatch",
            };
            let bytes = if range.len() == 1 { "byte" } else { "bytes" };
            format!("{command} {owner} ({} {bytes} at {})", range.len(), range.start)
        }
    }
}

/// A list for the user, not longer than can be read.
fn name_all(holders: impl Iterator<Item = String>) -> String {
    const MOST: usize = 8;
    let mut named: Vec<String> = Vec::new();
    let mut others = 0;
    for holder in holders {
        if named.len() < MOST { named.push(holder) } else { others += 1 }
    }
    match others {
        0 => named.join(", "),
        _ => format!("{} and {others} more", named.join(", ")),
    }
}
