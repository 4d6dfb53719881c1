//! What is to be armed in one address space while none of its threads runs,
//! and what serves each location then. Writing traps is left to
//! `session::arming`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use trapline_core::breakpoint::Mechanism;
use trapline_core::plan::{
    self, InProcess, Owner, Plan, PlanCapabilities, PlanSettings, ServedBy, Site, SiteWhat, Want,
    WantWhat, plan,
};
use trapline_core::target::{Stopped, Target, TargetError};
use trapline_core::x64::debug::Access;
use trapline_core::{LocationId, Pid, Tid, VirtAddr};

use super::Session;
use super::arming::Arming;
use crate::breakpoints::Deciding;
use crate::process::{Process, Thread};
use crate::service::{Manner, Served, Service};
use crate::space::{CodeSite, Detour, Internal, Purpose, Space, SpaceId};

impl Session {
    /// Marks every space so that the planner looks again before anything runs.
    pub(super) fn replan(&mut self) {
        for space in self.spaces.values_mut() {
            space.stale = true;
        }
    }

    /// Brings the sites of every space in line with what is wanted. All
    /// threads must be stopped.
    pub(super) fn sync_sites(&mut self) {
        for (location, why) in self.sync_quietly() {
            self.warn(format!("breakpoint {}: {why}", location.breakpoint));
        }
    }

    /// The same; what cannot be served that could be or was not known before
    /// is the answer, for the caller to tell.
    pub(super) fn sync_quietly(&mut self) -> Vec<(LocationId, Arc<str>)> {
        let stale: Vec<SpaceId> =
            self.spaces.iter().filter(|(_, space)| space.stale).map(|(&id, _)| id).collect();
        stale.into_iter().flat_map(|id| self.sync_space(id)).collect()
    }

    /// The same for one space.
    pub(super) fn sync_space(&mut self, id: SpaceId) -> Vec<(LocationId, Arc<str>)> {
        let Some(pid) = self.representative(id) else { return Vec::new() };
        self.count_in(id);
        if let Some(space) = self.spaces.get_mut(&id) {
            space.jumpless.clear();
        }
        loop {
            let (wants, planned, arming) = match self.plan_and_arm(id, pid) {
                Some(armed) => armed,
                None => return Vec::new(),
            };
            // A place where there can be no jump is planned again without.
            let Some(space) = self.spaces.get_mut(&id) else { return Vec::new() };
            let known = space.jumpless.len();
            space.jumpless.extend(arming.jumpless);
            if space.jumpless.len() == known {
                self.release_unused(id);
                return self.record_service(&wants, &planned, &arming.refused, id);
            }
        }
    }

    fn plan_and_arm(&mut self, id: SpaceId, pid: Pid) -> Option<(Vec<Want>, Plan, Arming)> {
        let wants = self.wants(id);
        let capabilities = PlanCapabilities {
            hardware_slots: self.target.capabilities().hardware_slots,
            traps: true,
        };
        let settings = PlanSettings { over_cover: self.settings.over_cover };
        let space = self.spaces.get_mut(&id)?;
        space.stale = false;
        let mut planned = plan(&space.sites, &wants, &capabilities, &settings);
        let arming = self.carry_out(id, pid, &planned);
        self.keep_sites(id, std::mem::take(&mut planned.sites), &arming);
        Some((wants, planned, arming))
    }

    /// A process that runs in a space and can be asked to do things there.
    pub(super) fn representative(&self, id: SpaceId) -> Option<Pid> {
        let mut pids = self.processes.values().filter(|process| process.space == id);
        pids.find(|process| process.threads.values().any(|thread| thread.stopped().is_some()))
            .map(|process| process.pid)
    }

    fn wants(&self, id: SpaceId) -> Vec<Want> {
        let mut wants = Vec::new();
        if let Some(space) = self.spaces.get(&id) {
            wants.extend(space.internal.iter().map(|internal| Want {
                owner: Owner::Internal(internal.number),
                what: WantWhat::Execute {
                    addr: internal.addr,
                    mechanism: Some(Mechanism::Trap),
                    writable_code: true,
                    in_process: InProcess::No,
                },
                thread: None,
            }));
        }
        if let Some(space) = self.spaces.get(&id) {
            let mechanism = self.settings.mechanism;
            let deciding = Deciding { mechanism, jumpless: &space.jumpless };
            wants.extend(self.breakpoints.wants(id, deciding));
        }
        wants
    }

    /// Makes the sites planned those there are, but for traps that were
    /// refused.
    fn keep_sites(&mut self, id: SpaceId, sites: Vec<Site>, arming: &Arming) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        space.sites = sites;
        space.sites.retain(|site| match site.what {
            SiteWhat::Trap { addr } => !arming.refused.contains_key(&addr),
            SiteWhat::Jump { addr } => !arming.jumpless.contains_key(&addr),
            SiteWhat::Slot { .. } => true,
        });
        for site in &space.sites {
            if let SiteWhat::Trap { addr } = site.what
                && let Some(trap) = space.code_sites.get_mut(&addr)
                && trap.owners != site.owners
            {
                trap.owners.clone_from(&site.owners);
            }
        }
        if arming.hardware {
            self.arm_slots(id);
        }
    }

    /// Sets the debug registers of every thread of a space.
    fn arm_slots(&mut self, id: SpaceId) {
        let threads: Vec<(Pid, Tid)> = self
            .processes
            .values()
            .filter(|process| process.space == id && process.is_debuggee())
            .flat_map(|process| process.threads.keys().map(|&tid| (process.pid, tid)))
            .collect();
        for (pid, tid) in threads {
            self.arm_slots_of(pid, tid);
        }
    }

    /// Sets the debug registers of one thread to what its space wants.
    pub(super) fn arm_slots_of(&mut self, pid: Pid, tid: Tid) {
        let Some(space) = self.space_of(pid) else { return };
        let registers = space.debug_registers_for(tid);
        let Some(thread) = self.processes.get(&pid).and_then(|p| p.threads.get(&tid)) else {
            return;
        };
        let Some(stopped) = thread.stopped() else { return };
        if let Err(error) = self.target.set_debug_registers(stopped, &registers)
            && error != trapline_core::target::TargetError::Gone
        {
            self.warn(format!("debug registers of thread {tid}: {error}"));
        }
    }

    /// Whether somebody in a space can be asked to give our memory back.
    pub(super) fn can_ask(&self, id: SpaceId) -> bool {
        who_can_be_asked(&self.processes, id).next().is_some()
    }

    /// Whether a thread waits in vfork: it will run on in this space.
    pub(super) fn outlives_its_child(&self, id: SpaceId) -> bool {
        let here = self.processes.values().filter(|process| process.space == id);
        here.flat_map(|process| process.threads.values()).any(|thread| thread.waits_for.is_some())
    }

    /// Asks one thread of a space after the other, since any of them may turn
    /// out to be dying.
    pub(super) fn ask_a_thread(
        &mut self,
        id: SpaceId,
        ask: impl Fn(&mut dyn Target, &Stopped) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        for stopped in who_can_be_asked(&self.processes, id) {
            let answer = ask(&mut *self.target, stopped);
            if answer != Err(TargetError::Gone) {
                return answer;
            }
        }
        Err(TargetError::Gone)
    }

    /// Tells each location what serves it. The answer is what is refused and
    /// was not refused for the same reason before.
    fn record_service(
        &mut self,
        wants: &[Want],
        planned: &Plan,
        refused: &BTreeMap<VirtAddr, String>,
        id: SpaceId,
    ) -> Vec<(LocationId, Arc<str>)> {
        let mut news = Vec::new();
        let space = self.spaces.get(&id);
        for served in &planned.served {
            let Owner::Location(location) = served.owner else { continue };
            let service = service(served, wants[served.want].what, refused, space);
            news.extend(self.breakpoints.set_service(location, service));
            if let ServedBy::Slots { paired_writes, .. } = &served.by {
                self.breakpoints.set_paired(location, paired_writes);
            }
        }
        for refusal in &planned.refused {
            if let Owner::Location(location) = refusal.owner {
                let why = refusal.why.as_str().into();
                news.extend(self.breakpoints.set_service(location, Err(why)));
            }
        }
        news
    }

    /// Adds a place of our own to stop at; the planner arms it before anything
    /// runs.
    pub(super) fn add_internal(&mut self, id: SpaceId, addr: VirtAddr, purpose: Purpose) {
        if let Some(space) = self.spaces.get_mut(&id) {
            let used: HashSet<u32> = space.internal.iter().map(|one| one.number).collect();
            let number = (0..).find(|number| !used.contains(number)).unwrap_or(u32::MAX);
            space.internal.push(Internal { number, addr, purpose });
            space.stale = true;
        }
    }

    /// Drops the places of our own that `gone` says are over.
    pub(super) fn drop_internal(&mut self, gone: impl Fn(&Internal) -> bool) {
        for space in self.spaces.values_mut() {
            let before = space.internal.len();
            space.internal.retain(|internal| !gone(internal));
            space.stale |= space.internal.len() != before;
        }
    }

    /// Takes everything of ours out of a space: traps, debug registers and
    /// arena. All its threads must be stopped.
    pub(super) fn clear_space(&mut self, id: SpaceId) {
        self.take_out_of(id);
        self.release_arena(id);
    }

    /// The same, but our memory stays, with nothing that leads there: no thread
    /// has to run for it.
    pub(super) fn take_out_of(&mut self, id: SpaceId) {
        let Some(pid) = self.representative(id) else { return };
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let armed: Vec<VirtAddr> = space.overlay.armed().map(|armed| armed.addr).collect();
        space.sites.clear();
        space.internal.clear();
        let patches: Vec<VirtAddr> = space.patches.keys().copied().collect();
        self.count_in(id);
        self.remove_patches(id, pid, patches.into_iter());
        self.disarm_traps(id, pid, &armed);
        self.arm_slots(id);
        self.leave_slots(id);
        self.unseat(id);
    }
}

/// The threads that can be made to allocate in their space: while a parent
/// waits in vfork, only the child can.
pub(super) fn who_can_be_asked(
    processes: &BTreeMap<Pid, Process>,
    id: SpaceId,
) -> impl Iterator<Item = &Stopped> {
    processes
        .values()
        .filter(move |process| process.space == id)
        .flat_map(|process| process.threads.values())
        .filter(|thread| !thread.exiting && thread.waits_for.is_none())
        .filter_map(Thread::stopped)
}

/// What serves a want after its site was armed or refused.
fn service(
    served: &plan::Served,
    what: WantWhat,
    refused: &BTreeMap<VirtAddr, String>,
    space: Option<&Space>,
) -> Service {
    let manner = match (&served.by, what) {
        (ServedBy::Trap { .. }, WantWhat::Execute { addr, .. }) => {
            if let Some(why) = refused.get(&addr) {
                return Err(why.as_str().into());
            }
            let jumpless = space.and_then(|space| space.jumpless.get(&addr));
            match space.and_then(|space| space.code_sites.get(&addr)) {
                Some(CodeSite { detour: Detour::Lift(why), .. }) => Manner::Held(why.clone()),
                _ if served.reason == plan::Reason::NoJump => {
                    jumpless.map_or(Manner::Usual, |why| Manner::Jumpless(why.clone()))
                }
                _ => Manner::Usual,
            }
        }
        (ServedBy::Jump { .. }, WantWhat::Execute { addr, .. }) => {
            let jump = space.and_then(|space| space.jump_at(addr));
            jump.map_or(Manner::Usual, |(_, patch)| Manner::Jump(patch.tactic))
        }
        (ServedBy::Slots { sites, paired_writes }, WantWhat::Data { access: Access::Read, .. }) => {
            match sites.len() == paired_writes.len() {
                true => Manner::Paired,
                false => Manner::Unpaired,
            }
        }
        _ => Manner::Usual,
    };
    Ok(Served { mechanism: served.by.mechanism(), reason: served.reason, manner })
}
