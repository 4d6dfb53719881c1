//! Counting hits in the program: a thread pays for hits that nobody has to hear
//! of from a credit of its own, and asks when that is spent.
//!
//! All credits of a breakpoint together are never more than the hits until the
//! next that somebody has to hear of, so that one is never paid for. What they
//! are is read while threads run: what one pays meanwhile is covered by what was
//! read. When nothing is left to give and a thread asks, everything is held,
//! the credits are taken back and the hits are exact.

use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::plan::Owner;
use trapline_core::{BreakpointId, Pid, Tid, VirtAddr};

use super::Session;
use super::resume::Chore;
use super::run::Verdict;
use crate::space::{CodeSite, Credit, SpaceId};

/// More hits than any program has.
const ENDLESS: u64 = 1 << 62;

impl Session {
    /// Judges a pass of a site whose hits are counted in the program: when its
    /// number is certain, and else as soon as everything is held.
    pub(super) fn count_paid_pass(
        &mut self,
        pid: Pid,
        tid: Tid,
        at: VirtAddr,
        id: BreakpointId,
    ) -> Option<Verdict> {
        self.collect_credits(id);
        let left = self.left_to_give(id);
        let loud = self.quiet_ahead(id) == 0;
        if left == 0 && !loud && self.any_credit(id) {
            self.chores.push(Chore::CountPaid { pid, tid, at });
            return Some(Verdict::Stay);
        }
        None
    }

    /// Gives a thread credit after its pass was judged.
    pub(super) fn extend_credit(&mut self, pid: Pid, tid: Tid, at: VirtAddr, id: BreakpointId) {
        let left = self.left_to_give(id);
        let alone = self.all_threads().len() == 1;
        let amount = if alone { left } else { left.div_ceil(2) };
        if amount == 0 {
            return;
        }
        let Some(crate::rows::Seat::Row(row)) = self.thread(pid, tid).map(|it| it.seat) else {
            return;
        };
        let Some(space) = self.processes.get(&pid).map(|process| process.space) else { return };
        let Some(word) = self.credit_mut(space, at).map(|credit| credit.word) else { return };
        if self.put_credit(pid, row, word, amount)
            && let Some(credit) = self.credit_mut(space, at)
        {
            credit.given.insert(row, amount);
        }
    }

    /// Judges, with everything held, a pass whose number was not certain.
    pub(super) fn count_held(&mut self, pid: Pid, tid: Tid, at: VirtAddr) {
        let Some(space) = self.processes.get(&pid).map(|process| process.space) else { return };
        let Some(id) = self.paying(space, at) else { return };
        self.take_credits_back(id);
        let Some(registers) = self.raw_registers(pid, tid) else { return };
        if registers.rip != at.get() {
            return;
        }
        let verdict = self.count_pass(pid, tid, at, &registers);
        self.act(pid, tid, verdict);
    }

    /// The breakpoint whose hits are counted at a site in the program.
    pub(super) fn paying(&self, space: SpaceId, at: VirtAddr) -> Option<BreakpointId> {
        paid_at(self.spaces.get(&space)?.code_sites.get(&at)?)
    }

    /// The breakpoints whose hits are counted in a space.
    pub(super) fn paying_in(&self, id: SpaceId) -> Vec<BreakpointId> {
        let Some(space) = self.spaces.get(&id) else { return Vec::new() };
        let mut ids: Vec<BreakpointId> = space.code_sites.values().filter_map(paid_at).collect();
        ids.dedup();
        ids
    }

    /// Hits that nobody has to hear of, until the next that somebody may.
    fn quiet_ahead(&self, id: BreakpointId) -> u64 {
        let breakpoint = self.breakpoints.get(id);
        breakpoint.map_or(0, |it| quiet_ahead(&it.spec, it.tally.hits))
    }

    fn left_to_give(&self, id: BreakpointId) -> u64 {
        let sites = self.paying_sites(id);
        let given = sites.iter().filter_map(|&(space, at)| {
            self.spaces.get(&space)?.code_sites.get(&at)?.jump()?.credit.as_ref()
        });
        let given: u64 = given.flat_map(|credit| credit.given.values()).sum();
        self.quiet_ahead(id).saturating_sub(given)
    }

    fn any_credit(&self, id: BreakpointId) -> bool {
        self.left_to_give(id) < self.quiet_ahead(id)
    }

    /// The sites at which a breakpoint's hits are paid for.
    fn paying_sites(&self, id: BreakpointId) -> Vec<(SpaceId, VirtAddr)> {
        let locations = self.breakpoints.get(id).map(|it| &it.locations[..]).unwrap_or_default();
        let places = locations.iter().filter_map(|location| Some((location.space?, location.addr)));
        places.filter(|&(space, at)| self.paying(space, at) == Some(id)).collect()
    }

    fn credit_mut(&mut self, space: SpaceId, at: VirtAddr) -> Option<&mut Credit> {
        let site = self.spaces.get_mut(&space)?.code_sites.get_mut(&at)?;
        site.jump_mut()?.credit.as_mut()
    }

    /// Counts the hits that were paid for at all sites of a breakpoint.
    pub(super) fn collect_credits(&mut self, id: BreakpointId) {
        for (space, at) in self.paying_sites(id) {
            self.collect_at(space, at, id, false);
        }
    }

    /// The same, and takes the rest back. Everything is held.
    pub(super) fn take_credits_back(&mut self, id: BreakpointId) {
        for (space, at) in self.paying_sites(id) {
            self.collect_at(space, at, id, true);
        }
    }

    fn collect_at(&mut self, space: SpaceId, at: VirtAddr, id: BreakpointId, back: bool) {
        let user = self.processes.values().find(|process| process.space == space);
        let Some(pid) = user.map(|process| process.pid) else { return };
        let Some(credit) = self.credit_mut(space, at) else { return };
        let (word, given) = (credit.word, std::mem::take(&mut credit.given));
        let mut paid = 0;
        let mut still = std::collections::BTreeMap::new();
        for (row, before) in given {
            // Memory that is gone says nothing any more.
            let now = self.read_credit(pid, row, word).unwrap_or(before).min(before);
            paid += before - now;
            if now > 0 && !(back && self.put_credit(pid, row, word, 0)) {
                still.insert(row, now);
            }
        }
        if let Some(credit) = self.credit_mut(space, at) {
            credit.given = still;
        }
        if let Some(breakpoint) = self.breakpoints.get_mut(id) {
            breakpoint.tally.hits += paid;
            if breakpoint.spec.ignore > 0 && paid > 0 {
                let spec = std::sync::Arc::make_mut(&mut breakpoint.spec);
                spec.ignore = spec.ignore.saturating_sub(paid);
            }
        }
    }

    /// What is left in a row; nothing when it is overdrawn.
    fn read_credit(&self, pid: Pid, row: VirtAddr, word: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let at = row.wrapping_add(u64::from(word));
        let read = self.target.read_memory(pid, at, &mut bytes);
        (read == bytes.len()).then(|| u64::try_from(i64::from_le_bytes(bytes)).unwrap_or(0))
    }

    fn put_credit(&mut self, pid: Pid, row: VirtAddr, word: u32, amount: u64) -> bool {
        let at = row.wrapping_add(u64::from(word));
        self.target.write_memory(pid, at, &amount.to_le_bytes()).is_ok()
    }

    /// Takes from every row what a word held for those who had it before, which
    /// nobody may pay with.
    pub(super) fn clear_word(&mut self, id: SpaceId, word: u32) {
        let user = self.processes.values().find(|process| process.space == id);
        let Some(pid) = user.map(|process| process.pid) else { return };
        let Some(space) = self.spaces.get_mut(&id) else { return };
        space.rows.zeroed(word);
        for row in space.rows.all() {
            self.put_credit(pid, row, word, 0);
        }
    }

    /// In a copy of a memory nobody has credit yet: its hits are counted beside
    /// those of the memory it came from.
    pub(super) fn begin_without_credit(&mut self, space: SpaceId, pid: Pid) {
        let sites: Vec<VirtAddr> = match self.spaces.get(&space) {
            Some(space) => space.code_sites.keys().copied().collect(),
            None => return,
        };
        for at in sites {
            let Some(credit) = self.credit_mut(space, at) else { continue };
            let (word, given) = (credit.word, std::mem::take(&mut credit.given));
            for row in given.into_keys() {
                self.put_credit(pid, row, word, 0);
            }
        }
    }
}

/// The breakpoint whose hits are counted at a site.
fn paid_at(site: &CodeSite) -> Option<BreakpointId> {
    site.jump()?.credit.as_ref()?;
    match *site.owners.first()? {
        Owner::Location(location) => Some(location.breakpoint),
        Owner::Internal(_) => None,
    }
}

/// How many of the hits after so many are sure to be let through in silence.
fn quiet_ahead(spec: &BreakpointSpec, hits: u64) -> u64 {
    use trapline_core::breakpoint::HitRule::{AtLeast, Equal, Multiple};
    let (ignored, after) = (spec.ignore, hits.saturating_add(spec.ignore));
    let more = match spec.hits {
        None => 0,
        Some(Equal(count)) if after < count => count - 1 - after,
        Some(Equal(_)) => ENDLESS,
        Some(Multiple(count)) => count - 1 - after % count,
        Some(AtLeast(count)) => (count - 1).saturating_sub(after),
    };
    ignored.saturating_add(more).min(ENDLESS)
}

#[cfg(test)]
mod tests {
    use trapline_core::breakpoint::{HitRule, Subject};

    use super::*;

    #[test]
    fn silence_ends_right_before_the_hit_that_counts() {
        let subject = Subject::Functions { regex: String::new() };
        let check = |rule, ignore, hits| {
            let mut spec = BreakpointSpec::at(subject.clone());
            (spec.hits, spec.ignore) = (rule, ignore);
            let quiet = quiet_ahead(&spec, hits);
            if quiet == ENDLESS {
                assert!(matches!(rule, Some(HitRule::Equal(count)) if count <= hits + ignore));
                return;
            }
            // What `consider` does with each hit.
            let loud = (hits + 1..).find(|&hit| {
                hit > hits + ignore && rule.is_none_or(|rule: HitRule| rule.accepts(hit))
            });
            assert_eq!(loud, Some(hits + 1 + quiet), "{rule:?} {ignore} {hits}");
        };
        let rules = [HitRule::Equal(7), HitRule::Multiple(3), HitRule::AtLeast(5)];
        for rule in rules.into_iter().map(Some).chain([None]) {
            for (ignore, hits) in (0..12).flat_map(|ignore| (0..12).map(move |hits| (ignore, hits)))
            {
                check(rule, ignore, hits);
            }
        }
    }
}
