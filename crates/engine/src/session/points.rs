//! The points of a client: places in memory at which it wants threads stopped.
//! Each is a breakpoint whose locations are given, one for each memory that it
//! is in.
//!
//! Clients take all their points out at every stop and set the same again
//! before the program goes on. So a point that is taken out is only *leaving*:
//! it says nothing any more, but what serves it stays until threads run, or for
//! good when it is set again.

use std::collections::BTreeMap;
use std::sync::Arc;

use trapline_core::breakpoint::{BreakpointSpec, DataTrigger, Mechanism, Subject};
use trapline_core::{AddrRange, BreakpointId, LocationId, Pid, Tid, VirtAddr};
use trapline_expr::Program;

use super::arming::region_at;
use super::{Motion, Session};
use crate::breakpoints::{Anchor, Location, Say, Watch};
use crate::client::{Point, PointInfo, PointKey, PointKind};
use crate::command::CommandError;
use crate::log::Log;
use crate::place::Sought;
use crate::space::SpaceId;

/// The points of a client, by where they are.
#[derive(Default)]
pub(super) struct Points {
    ids: BTreeMap<PointKey, BreakpointId>,
}

impl Session {
    pub(crate) fn insert_point(&mut self, pid: Pid, point: Point) -> Result<(), CommandError> {
        let space = self.space_id(pid)?;
        if self.is_as_wanted(space, &point) {
            return Ok(());
        }
        if point.condition.is_some() && point.key.kind.access().is_none() {
            self.know_image_at(pid, point.key.addr);
        }
        self.while_held(|session| session.insert_held(space, pid, point))
    }

    pub(super) fn space_id(&self, pid: Pid) -> Result<SpaceId, CommandError> {
        let process = self.processes.get(&pid);
        process.map(|it| it.space).ok_or_else(|| CommandError::new(format!("no process {pid}")))
    }

    /// Whether a point is there and says what is wanted, or is leaving and stays.
    fn is_as_wanted(&mut self, space: SpaceId, point: &Point) -> bool {
        let Some(location) = self.point_location(space, point.key) else { return false };
        let condition = |it: &Option<Arc<Program>>| it.as_ref().map(|it| it.source.clone());
        let now = match &location.say.log {
            Some(Log::Commands(commands)) => Some(commands.source()),
            _ => None,
        };
        let same = condition(&location.say.condition) == condition(&point.condition)
            && now == point.commands.as_ref().map(|wanted| wanted.source());
        if same {
            location.leaving = false;
        }
        same
    }

    fn point_location(&mut self, space: SpaceId, key: PointKey) -> Option<&mut Location> {
        let &id = self.client.as_ref()?.points.ids.get(&key)?;
        let locations = &mut self.breakpoints.get_mut(id)?.locations;
        locations.iter_mut().find(|location| location.space == Some(space))
    }

    /// Code that decides in the program needs to know the code around it.
    fn know_image_at(&mut self, pid: Pid, addr: VirtAddr) {
        if self.space_of(pid).is_some_and(|space| space.modules.at(addr).is_none()) {
            self.update_libraries(pid);
        }
    }

    fn insert_held(&mut self, space: SpaceId, pid: Pid, point: Point) -> Result<(), CommandError> {
        let id = self.breakpoint_for(point.key);
        let changed = self.point_location(space, point.key).is_some();
        if changed {
            self.count_in(space);
        }
        self.drop_location(id, space);
        let watch = self.watch_for(pid, point.key);
        let gone = || CommandError::new("the breakpoint is gone");
        let breakpoint = self.breakpoints.get_mut(id).ok_or_else(gone)?;
        let spec = Arc::make_mut(&mut breakpoint.spec);
        spec.condition = point.condition.as_ref().map(|program| program.source.to_string());
        let location = Location {
            id: breakpoint.next_location(),
            space: Some(space),
            anchor: Anchor::Address(point.key.addr),
            addr: point.key.addr,
            function: None,
            file: None,
            line: None,
            enabled: true,
            leaving: false,
            say: Say {
                condition: point.condition,
                log: point.commands.map(Log::Commands),
                ..Say::default()
            },
            watch,
            service: Err("not armed yet".into()),
        };
        let location_id = location.id;
        breakpoint.locations.push(location);
        self.mark_stale(space);
        self.arm_point(id, location_id, space, point.key)
    }

    /// Arms a point while the client waits, or takes it back.
    fn arm_point(
        &mut self,
        id: BreakpointId,
        location: LocationId,
        space: SpaceId,
        key: PointKey,
    ) -> Result<(), CommandError> {
        // What is refused is told to the client as the answer.
        let _refused = self.sync_quietly();
        let service = self.breakpoints.get(id).and_then(|it| it.location(location));
        let Some(Err(why)) = service.map(|it| it.service.clone()) else { return Ok(()) };
        if self.faults_instead(space, key) {
            return self.leave_unarmed(id, location);
        }
        self.drop_location(id, space);
        self.drop_if_empty(id, key);
        self.mark_stale(space);
        self.sync_sites();
        Err(CommandError::new(&*why))
    }

    /// Whether a thread that comes to a point faults there, since it is on data,
    /// such as a stack. Clients that have calls return there take the fault for
    /// the hit.
    fn faults_instead(&self, space: SpaceId, key: PointKey) -> bool {
        let Some(pid) = self.representative(space) else { return false };
        let map = self.target.memory_map(pid).unwrap_or_default();
        let region = region_at(&map, key.addr);
        key.kind == PointKind::Code && region.is_some_and(|region| !region.execute)
    }

    fn leave_unarmed(
        &mut self,
        id: BreakpointId,
        location: LocationId,
    ) -> Result<(), CommandError> {
        let gone = || CommandError::new("the breakpoint is gone");
        let (.., location) = self.breakpoints.location_mut(location).ok_or_else(gone)?;
        location.enabled = false;
        location.service = Err("the memory cannot be executed: who comes here faults".into());
        self.replan_for(id);
        Ok(())
    }

    fn mark_stale(&mut self, space: SpaceId) {
        if let Some(space) = self.spaces.get_mut(&space) {
            space.stale = true;
        }
    }

    /// The breakpoint that a point's locations belong to.
    fn breakpoint_for(&mut self, key: PointKey) -> BreakpointId {
        let known = self.client.as_ref().and_then(|client| client.points.ids.get(&key).copied());
        if let Some(id) = known.filter(|id| self.breakpoints.get(*id).is_some()) {
            return id;
        }
        let id = self.breakpoints.add(BreakpointSpec::at(subject(key)), Sought::Given);
        if let Some(client) = &mut self.client {
            client.points.ids.insert(key, id);
        }
        id
    }

    fn watch_for(&self, pid: Pid, key: PointKey) -> Option<Box<Watch>> {
        let access = key.kind.access()?;
        let range = AddrRange::sized(key.addr, key.len);
        let mut last = vec![0; usize::try_from(key.len).unwrap_or(0)];
        let read = self.read_for_client(pid, key.addr, &mut last, false);
        last.truncate(read);
        Some(Box::new(Watch {
            range,
            access,
            ty: None,
            bits: None,
            last,
            scope: None,
            paired: Vec::new(),
        }))
    }

    pub(crate) fn remove_point(&mut self, pid: Pid, key: PointKey) -> Result<(), CommandError> {
        let space = self.space_id(pid)?;
        let running = self.motion == Motion::Running;
        let location = self.point_location(space, key).filter(|location| !location.leaving);
        let Some(location) = location else {
            return Err(CommandError::new(format!("there is no such point at {}", key.addr)));
        };
        location.leaving = true;
        if running {
            self.while_held(Self::drop_leaving_points);
        }
        Ok(())
    }

    /// Takes out for good what is leaving; what serves it goes when what is
    /// wanted is armed.
    pub(super) fn drop_leaving_points(&mut self) {
        let Some(client) = &self.client else { return };
        let all: Vec<(PointKey, BreakpointId)> =
            client.points.ids.iter().map(|(&key, &id)| (key, id)).collect();
        for (key, id) in all {
            let Some(breakpoint) = self.breakpoints.get(id) else { continue };
            let leaving = breakpoint.locations.iter().filter(|location| location.leaving);
            let spaces: Vec<SpaceId> = leaving.filter_map(|location| location.space).collect();
            for space in spaces {
                self.count_in(space);
                self.drop_location(id, space);
                self.mark_stale(space);
            }
            self.drop_if_empty(id, key);
        }
    }

    fn drop_location(&mut self, id: BreakpointId, space: SpaceId) {
        if let Some(breakpoint) = self.breakpoints.get_mut(id) {
            breakpoint.locations.retain(|location| location.space != Some(space));
        }
    }

    fn drop_if_empty(&mut self, id: BreakpointId, key: PointKey) {
        if self.breakpoints.get(id).is_none_or(|it| it.locations.is_empty()) {
            self.breakpoints.unmake(id);
            if let Some(client) = &mut self.client {
                client.points.ids.remove(&key);
            }
        }
    }

    /// Forgets points in memories that are no more.
    pub(super) fn forget_points_of_dead_spaces(&mut self) {
        let Some(client) = &self.client else { return };
        let all: Vec<(PointKey, BreakpointId)> =
            client.points.ids.iter().map(|(&key, &id)| (key, id)).collect();
        for (key, id) in all {
            if let Some(breakpoint) = self.breakpoints.get_mut(id) {
                let spaces = &self.spaces;
                let lives = |id: SpaceId| spaces.contains_key(&id);
                breakpoint.locations.retain(|location| location.space.is_some_and(lives));
            }
            self.drop_if_empty(id, key);
        }
    }

    /// The place of a thread, if a point there is leaving.
    pub(super) fn stands_at_leaving(&mut self, pid: Pid, tid: Tid) -> Option<VirtAddr> {
        let pc = VirtAddr::new(self.program_registers(pid, tid)?.rip);
        let space = self.processes.get(&pid)?.space;
        [PointKind::Code, PointKind::HardwareCode].into_iter().find_map(|kind| {
            let key = PointKey { kind, addr: pc, len: 1 };
            self.point_location(space, key).filter(|it| it.leaving).map(|_| pc)
        })
    }

    pub(crate) fn list_points(&mut self) -> Vec<PointInfo> {
        self.count_everywhere();
        let Some(client) = &self.client else { return Vec::new() };
        let mut list = Vec::new();
        for (&key, &id) in &client.points.ids {
            let Some(breakpoint) = self.breakpoints.get(id) else { continue };
            for location in breakpoint.locations.iter().filter(|location| !location.leaving) {
                let here = self.processes.values().find(|it| Some(it.space) == location.space);
                let Some(process) = here else { continue };
                let service = match &location.service {
                    Ok(served) => Ok((served.mechanism, served.to_string())),
                    Err(why) => Err(why.to_string()),
                };
                list.push(PointInfo {
                    key,
                    pid: process.pid,
                    condition: location.say.condition.as_ref().map(|it| it.source.clone()),
                    service,
                    tally: breakpoint.tally,
                });
            }
        }
        list
    }
}

/// What a point is about, in the words of breakpoints.
fn subject(key: PointKey) -> Subject {
    let mechanism = match key.kind {
        PointKind::HardwareCode => Some(Mechanism::Hardware),
        _ => None,
    };
    match key.kind.access() {
        None => Subject::Code { location: format!("*{}", key.addr), mechanism },
        Some(access) => Subject::Data {
            expression: format!("*{}@{}", key.addr, key.len),
            access,
            trigger: DataTrigger::Touched,
        },
    }
}
