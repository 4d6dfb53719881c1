//! Plans the sites that depend on each other, from the highest down.
//!
//! For every site the best plan of it and all above is kept: either a jump of
//! its own before the best plan of the rest, or a window, which may hold the
//! next sites too, before the best plan of what lies above it. Plans share
//! their tails, so nothing is computed twice.

use std::ops::Range;

use trapline_core::{AddrRange, VirtAddr};

use super::offsets::{ByteSet, Offsets};
use super::reason::{Reason, Rejected};
use super::room::Room;
use super::shape::{ENDBR64, Guard, Looker, Shape};
use super::{
    Displaced, Entry, Functions, JUMP_LEN, Jump, OPCODE, PREFIX, Plan, Request, Tactic, Unserved,
    depend,
};

/// How many values of shared bytes are tried to make a jump and the next one
/// fit together.
const MOST_TRIES: usize = 24;

pub(super) fn plan(request: &Request<'_>, functions: &mut Functions) -> Plan {
    let mut room = Room::new(request.space, request.pages, request.trampolines);
    let mut plan = Plan::default();
    let mut looker = Looker { request, functions };
    let mut rest = request.sites;
    while let Some((below, sites)) = highest_group(rest) {
        rest = below;
        if let Some(jump) = lone(sites, &mut looker) {
            plan.jumps.push(jump);
            continue;
        }
        let spots = spots(sites, &mut looker, &mut plan.unserved);
        Cluster::new(&spots, &mut looker, &mut room).plan(&mut plan);
    }
    plan.jumps.reverse();
    plan.unserved.sort_unstable_by_key(|unserved| unserved.site);
    plan.new_pages = room.new_pages();
    plan
}

/// The jump of a site that no other depends on, where the simplest tactic will
/// do: most of very many are so.
fn lone(sites: &[VirtAddr], looker: &mut Looker<'_, '_>) -> Option<Jump> {
    let &[site] = sites else { return None };
    let insn = looker.instruction(site).ok()?;
    let shape = Shape::single(insn);
    let whole = shape.tactic == Tactic::Whole && looker.request.tactics.contains(Tactic::Whole);
    whole.then(|| Jump {
        tactic: Tactic::Whole,
        at: site,
        sites: vec![site],
        displaced: shape.displaced,
        carried: Vec::new(),
        written: shape.written,
        prefixes: 0,
        entry: Entry::Anywhere,
    })
}

/// The sites at the end that depend on each other, and those before.
fn highest_group(sites: &[VirtAddr]) -> Option<(&[VirtAddr], &[VirtAddr])> {
    let pairs = sites.windows(2).rev();
    let joined = pairs.take_while(|pair| depend(pair[0], pair[1])).count();
    sites.len().checked_sub(joined + 1).map(|first| sites.split_at(first))
}

/// A place where a jump is wanted.
struct Spot {
    /// The instruction that a jump may be written over.
    at: VirtAddr,
    /// The sites that it would serve there: one, or also the `endbr64` before.
    sites: Vec<VirtAddr>,
    /// That `endbr64`.
    pad: Option<Displaced>,
}

/// Where jumps are wanted for some sites, ascending.
fn spots(
    sites: &[VirtAddr],
    looker: &mut Looker<'_, '_>,
    unserved: &mut Vec<Unserved>,
) -> Vec<Spot> {
    let mut spots: Vec<Spot> = Vec::new();
    for &site in sites {
        let (at, pad) = match looker.pad(site) {
            Ok(None) => (site, None),
            Ok(Some(pad)) => (pad.end(), Some(pad)),
            Err(why) => {
                unserved.push(Unserved { site, why });
                continue;
            }
        };
        let mut near = spots.iter_mut().rev().take(ENDBR64.len());
        match near.find(|spot| spot.at == at) {
            Some(spot) => spot.sites.push(site),
            None => spots.push(Spot { at, sites: vec![site], pad }),
        }
    }
    spots.sort_unstable_by_key(|spot| spot.at);
    spots
}

/// What a plan costs, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Cost {
    unserved: usize,
    windows: usize,
}

/// One jump, or one site without, and the plan of what lies above.
#[derive(Clone, Debug)]
struct Link {
    what: What,
    /// The next link; the first of all, which is its own, ends every plan.
    next: usize,
    cost: Cost,
}

#[derive(Clone, Debug)]
enum What {
    End,
    Jump(Placed),
    Unserved { spot: usize, why: Reason },
}

/// A jump that has a place.
#[derive(Clone, Debug)]
struct Placed {
    shape: Shape,
    /// The spots it serves, as indices into the cluster's.
    spots: Range<usize>,
    /// The offsets it may have.
    offsets: Offsets,
    /// Its hop; `None` while it may lead anywhere.
    hop: Option<AddrRange>,
}

impl Placed {
    fn next(&self) -> VirtAddr {
        self.shape.next()
    }

    /// The offset of its hop.
    fn offset(&self) -> Option<[u8; 4]> {
        let distance = self.hop?.start.get().wrapping_sub(self.next().get()).cast_signed();
        i32::try_from(distance).ok().map(i32::to_le_bytes)
    }
}

/// A byte as it will be in memory.
#[derive(Clone, Copy, Debug)]
enum Byte {
    /// It is this.
    Is(u8),
    /// It belongs to the jump next above, which could have any of these there.
    Open(ByteSet),
}

struct Cluster<'r, 'm, 'a> {
    spots: &'r [Spot],
    looker: &'r mut Looker<'m, 'a>,
    room: &'r mut Room<'a>,
    links: Vec<Link>,
    /// The best plan of the spots from an index on.
    best: Vec<usize>,
    rejected: Vec<Vec<Rejected>>,
    /// Whether a plan is made a second time, to be clear of another.
    making_anew: bool,
}

impl<'r, 'm, 'a> Cluster<'r, 'm, 'a> {
    fn new(spots: &'r [Spot], looker: &'r mut Looker<'m, 'a>, room: &'r mut Room<'a>) -> Self {
        let end = Link { what: What::End, next: 0, cost: Cost::default() };
        let rejected = vec![Vec::new(); spots.len()];
        let best = vec![0; spots.len() + 1];
        Self { spots, looker, room, links: vec![end], best, rejected, making_anew: false }
    }

    /// Adds the plan of these spots, the highest first.
    fn plan(mut self, plan: &mut Plan) {
        for index in (0..self.spots.len()).rev() {
            let below = index.checked_sub(1).map(|below| self.spots[below].at.wrapping_add(1));
            self.best[index] = self.best_from(index, below.unwrap_or_default());
        }
        let chosen = self.chosen();
        self.give_back_unused(&chosen);
        for &link in chosen.iter().rev() {
            match &self.links[link].what {
                What::Jump(placed) => plan.jumps.push(self.jump(placed, link)),
                What::Unserved { spot, why } => {
                    let sites = self.spots[*spot].sites.iter();
                    plan.unserved.extend(sites.map(|&site| Unserved { site, why: *why }));
                }
                What::End => {}
            }
        }
        for (spot, rejected) in self.spots.iter().zip(self.rejected) {
            if !rejected.is_empty() {
                let of_site = |&site: &VirtAddr| (site, rejected.clone());
                plan.rejected.extend(spot.sites.iter().map(of_site));
            }
        }
    }

    /// The links of the best plan, ascending by address: each was made before
    /// the one below it.
    fn chosen(&mut self) -> Vec<usize> {
        let mut chosen = Vec::new();
        let mut link = self.best[0];
        while link != 0 {
            chosen.push(link);
            if let What::Jump(placed) = &self.links[link].what {
                let with = placed.shape.at;
                for index in placed.spots.clone() {
                    say_shared(&mut self.rejected[index], placed.shape.tactic, with);
                }
            }
            link = self.links[link].next;
        }
        chosen
    }

    /// The jump of a link.
    fn jump(&self, placed: &Placed, link: usize) -> Jump {
        let served = self.spots[placed.spots.clone()].iter();
        let shape = &placed.shape;
        Jump {
            tactic: shape.tactic,
            at: shape.at,
            sites: served.flat_map(|spot| spot.sites.iter().copied()).collect(),
            displaced: shape.displaced.clone(),
            carried: self.looker.carried(shape, self.lowest(self.links[link].next)),
            written: shape.written,
            prefixes: shape.prefixes,
            entry: placed.hop.map_or(Entry::Anywhere, Entry::At),
        }
    }

    /// Where the first of a plan's jumps and sites begins.
    fn lowest(&self, plan: usize) -> VirtAddr {
        let first = match &self.links[plan].what {
            What::Jump(placed) => placed.shape.displaced.first().map(|insn| insn.at),
            What::Unserved { spot, .. } => self.spots[*spot].sites.first().copied(),
            What::End => None,
        };
        first.unwrap_or(VirtAddr::new(u64::MAX))
    }

    fn give_back_unused(&mut self, chosen: &[usize]) {
        let mut kept = chosen.iter().rev().peekable();
        for (index, link) in self.links.iter().enumerate() {
            let is_kept = kept.next_if_eq(&&index).is_some();
            let What::Jump(Placed { hop: Some(hop), .. }) = link.what else { continue };
            if !is_kept {
                self.room.give_back(hop);
            }
        }
    }

    /// The best plan of the sites from an index on that changes nothing below
    /// `lowest`.
    fn best_from(&mut self, index: usize, lowest: VirtAddr) -> usize {
        let site = self.spots[index].at;
        let mut best = match self.looker.instruction(site) {
            Ok(insn) => self.alone(index, insn),
            Err(why) => return self.unserved(index, why),
        };
        let end = site.wrapping_add(JUMP_LEN);
        let inside = self.spots.partition_point(|other| other.at < end);
        if self.cost(best).unserved > self.cost(self.best[inside]).unserved {
            best = self.or_window(index, lowest, best);
        }
        best
    }

    /// Whether a plan begins by not serving a spot.
    fn leaves_out(&self, link: usize, index: usize) -> bool {
        matches!(self.links[link].what, What::Unserved { spot, .. } if spot == index)
    }

    fn cost(&self, link: usize) -> Cost {
        self.links[link].cost
    }

    /// The plan in which the spot has a jump of its own, or none.
    fn alone(&mut self, index: usize, insn: Displaced) -> usize {
        let shape = Shape::single(insn).behind(self.spots[index].pad);
        for tactic in [Tactic::Whole, Tactic::Pun] {
            let tried = self.try_alone(index, tactic, &shape);
            match tried {
                Ok(link) => return link,
                Err(why) => self.rejected[index].push(Rejected { tactic, why }),
            }
        }
        self.unserved(index, Reason::NoRoom)
    }

    fn try_alone(&mut self, index: usize, tactic: Tactic, shape: &Shape) -> Result<usize, Reason> {
        self.allowed(tactic)?;
        if tactic != shape.tactic {
            let len = shape.displaced.last().map_or(0, |insn| insn.len);
            return Err(Reason::Short { len });
        }
        let next = self.best[index + 1];
        let mut all = shape.prefixed();
        let placed = all.find_map(|it| self.place(index..index + 1, &it, Guard::Trap, next));
        placed.ok_or(Reason::NoRoom)
    }

    fn allowed(&self, tactic: Tactic) -> Result<(), Reason> {
        let allowed = self.looker.request.tactics.contains(tactic);
        if allowed { Ok(()) } else { Err(Reason::NotAllowed) }
    }

    /// A better plan with a window that begins at the site or just before it,
    /// or the one there is.
    fn or_window(&mut self, index: usize, lowest: VirtAddr, mut best: usize) -> usize {
        if let Err(why) = self.allowed(Tactic::Window) {
            return self.without_window(index, best, why);
        }
        let site = self.spots[index].at;
        let mut why = None;
        let mut starts = vec![site];
        starts.extend(self.looker.before(site, lowest));
        for start in starts {
            let (shapes, reason) = self.looker.windows(start, site);
            why = why.or(reason);
            for shape in shapes {
                let Some(link) = self.window(index, &shape) else { continue };
                if self.cost(link) < self.cost(best) {
                    best = link;
                }
                if self.cost(best).unserved == 0 {
                    return best;
                }
            }
        }
        self.without_window(index, best, why.unwrap_or(Reason::NoRoom))
    }

    /// Says why a site that is still without a jump has no window.
    fn without_window(&mut self, index: usize, best: usize, why: Reason) -> usize {
        if self.leaves_out(best, index) {
            self.links[best].what = What::Unserved { spot: index, why };
            self.rejected[index].push(Rejected { tactic: Tactic::Window, why });
        }
        best
    }

    /// Places a window that holds all sites from an index on that are in it.
    fn window(&mut self, index: usize, shape: &Shape) -> Option<usize> {
        let end = shape.end();
        let inside = self.spots[index..].partition_point(|spot| spot.at < end);
        let spots = index..index + inside;
        if !self.spots[spots.clone()].iter().all(|spot| shape.starts_at(spot.at)) {
            return None;
        }
        let pad = self.spots[index].pad.filter(|pad| pad.end() == shape.at);
        let shape = shape.clone().behind(pad);
        let next = self.clear_of(spots.end, end)?;
        let placed = self.place(spots.clone(), &shape, Guard::Trap, next);
        placed.or_else(|| self.place(spots, &shape, Guard::Fault, next))
    }

    /// The best plan of the spots from an index on that leaves everything below
    /// an address alone, where a window may reach that begins before its site.
    /// Only one such plan is made anew at a time.
    fn clear_of(&mut self, index: usize, lowest: VirtAddr) -> Option<usize> {
        let best = self.best[index];
        match &self.links[best].what {
            What::Jump(placed) if placed.shape.at < lowest => {}
            _ => return Some(best),
        }
        if self.making_anew {
            return None;
        }
        self.making_anew = true;
        let said = self.rejected[index].clone();
        let anew = self.best_from(index, lowest);
        self.rejected[index] = said;
        self.making_anew = false;
        Some(anew)
    }

    fn unserved(&mut self, index: usize, why: Reason) -> usize {
        let next = self.best[index + 1];
        let cost = self.cost(next);
        let cost = Cost { unserved: cost.unserved + 1, ..cost };
        let what = What::Unserved { spot: index, why };
        self.link(what, next, cost)
    }

    fn link(&mut self, what: What, next: usize, cost: Cost) -> usize {
        self.links.push(Link { what, next, cost });
        self.links.len() - 1
    }

    /// Finds a hop for a jump before the plan `next` of what is above it; first
    /// with that plan as it is, then with its first jump led elsewhere.
    fn place(
        &mut self,
        spots: Range<usize>,
        shape: &Shape,
        guard: Guard,
        next: usize,
    ) -> Option<usize> {
        if shape.tactic == Tactic::Whole {
            return Some(self.add(shape, spots, shape.offsets(guard), None, next));
        }
        [false, true].into_iter().find_map(|reopen| {
            let (offsets, shared) = self.offsets(shape, guard, next, reopen)?;
            if shared.is_empty() {
                // There is nothing to reopen that has not been tried.
                let hop = if reopen { None } else { self.room.find(&offsets, shape.next()) }?;
                self.room.take(hop);
                return Some(self.add(shape, spots.clone(), offsets, Some(hop), next));
            }
            self.place_both(shape, &spots, offsets, &shared, next)
        })
    }

    fn add(
        &mut self,
        shape: &Shape,
        spots: Range<usize>,
        offsets: Offsets,
        hop: Option<AddrRange>,
        next: usize,
    ) -> usize {
        let mut cost = self.cost(next);
        cost.windows += usize::from(shape.is_guarded());
        let placed = Placed { shape: shape.clone(), spots, offsets, hop };
        self.link(What::Jump(placed), next, cost)
    }

    /// The offsets a jump may have before the plan `next`, and which of their
    /// bytes are the next jump's own, as pairs of indices into both offsets.
    fn offsets(
        &self,
        shape: &Shape,
        guard: Guard,
        next: usize,
        reopen: bool,
    ) -> Option<(Offsets, Vec<(usize, usize)>)> {
        let mut offsets = shape.offsets(guard);
        let mut shared = Vec::new();
        let before = u64::from(shape.prefixes) + 1;
        for skip in u64::from(shape.written)..before + offsets.0.len() as u64 {
            let at = shape.at.wrapping_add(skip);
            let mine = (skip - before) as usize;
            offsets.0[mine] = match self.byte(at, next, reopen)? {
                Byte::Is(byte) => ByteSet::one(byte),
                Byte::Open(set) => {
                    let What::Jump(above) = &self.links[next].what else { return None };
                    let opcode = above.shape.at.get() + u64::from(above.shape.prefixes);
                    shared.push((mine, (at.get() - opcode) as usize - 1));
                    set
                }
            };
        }
        Some((offsets, shared))
    }

    /// What will be in memory at an address when a plan is carried out; `None`
    /// where nothing is.
    fn byte(&self, addr: VirtAddr, plan: usize, reopen: bool) -> Option<Byte> {
        let mut link = plan;
        while link != 0 {
            let Link { what, next, .. } = &self.links[link];
            if let What::Jump(placed) = what {
                let above = addr.checked_sub(placed.shape.at);
                if let Some(skip) = above.filter(|&skip| skip < u64::from(placed.shape.written)) {
                    let byte = byte_of(placed, skip as usize, reopen && link == plan);
                    // Only the first jump can still be led elsewhere.
                    let settled = link == plan || matches!(byte, Byte::Is(_));
                    return settled.then_some(byte);
                }
                if above.is_none() {
                    break;
                }
            }
            link = *next;
        }
        if self.looker.request.traps.contains(&addr) {
            return Some(Byte::Is(0xcc));
        }
        let mut byte = [0];
        (self.looker.request.code.read(addr, &mut byte) == 1).then_some(Byte::Is(byte[0]))
    }

    /// Places a jump together with the next one, some of whose bytes end its
    /// offset.
    fn place_both(
        &mut self,
        shape: &Shape,
        spots: &Range<usize>,
        mut offsets: Offsets,
        shared: &[(usize, usize)],
        next: usize,
    ) -> Option<usize> {
        let end = shape.next();
        let &(highest, _) = shared.last()?;
        for _ in 0..MOST_TRIES {
            let hop = self.room.find(&offsets, end)?;
            let distance = hop.start.get().wrapping_sub(end.get()).cast_signed();
            let chosen = i32::try_from(distance).ok()?.to_le_bytes();
            self.room.take(hop);
            if let Some(above) = self.lead_elsewhere(next, shared, chosen) {
                let mut fixed = offsets;
                for &(mine, _) in shared {
                    fixed.0[mine] = ByteSet::one(chosen[mine]);
                }
                return Some(self.add(shape, spots.clone(), fixed, Some(hop), above));
            }
            self.room.give_back(hop);
            offsets.0[highest].remove(chosen[highest]);
        }
        None
    }

    /// The plan `plan` with its first jump led to where the shared bytes of
    /// its offset are as chosen for the jump below.
    fn lead_elsewhere(
        &mut self,
        plan: usize,
        shared: &[(usize, usize)],
        chosen: [u8; 4],
    ) -> Option<usize> {
        let Link { what: What::Jump(mut placed), next, cost } = self.links[plan].clone() else {
            return None;
        };
        for &(mine, theirs) in shared {
            placed.offsets.0[theirs] = ByteSet::one(chosen[mine]);
        }
        let hop = self.room.find(&placed.offsets, placed.next())?;
        self.room.take(hop);
        placed.hop = Some(hop);
        Some(self.link(What::Jump(placed), next, cost))
    }
}

/// A byte of a jump; any that its offset may have there when it has no place
/// yet or is to be led elsewhere.
fn byte_of(placed: &Placed, skip: usize, reopen: bool) -> Byte {
    let Some(skip) = skip.checked_sub(usize::from(placed.shape.prefixes)) else {
        return Byte::Is(PREFIX);
    };
    let Some(index) = skip.checked_sub(1) else { return Byte::Is(OPCODE) };
    let set = placed.offsets.0[index];
    match placed.offset() {
        Some(offset) if !(reopen && set.is_open()) => Byte::Is(offset[index]),
        _ => Byte::Open(set),
    }
}

/// Says of a site that it shares a jump which is not of its own kind.
fn say_shared(rejected: &mut Vec<Rejected>, tactic: Tactic, with: VirtAddr) {
    for earlier in Tactic::ALL.into_iter().take_while(|&earlier| earlier != tactic) {
        if !rejected.iter().any(|one| one.tactic == earlier) {
            rejected.push(Rejected { tactic: earlier, why: Reason::Shared { with } });
        }
    }
    rejected.retain(|one| one.tactic < tactic);
    rejected.sort_by_key(|one| one.tactic);
}
