//! Memory that a client has made in a debuggee for itself: code that it
//! compiles, values that it keeps there. It is the client's to give back.

use std::collections::BTreeMap;

use trapline_core::target::Protection;
use trapline_core::{AddrRange, Pid, VirtAddr};
use trapline_patch::near;

use super::Session;
use super::arming::all_taken;
use super::sites::who_can_be_asked;
use crate::command::CommandError;
use crate::space::SpaceId;

/// The system gives and takes memory in pages.
const PAGE: u64 = 4096;

/// The most memory made at once, in bytes.
const MOST: u64 = 1 << 30;

/// What was made, by where.
pub(super) type Allocations = BTreeMap<(SpaceId, VirtAddr), u64>;

impl Session {
    pub(crate) fn allocate_for_client(
        &mut self,
        pid: Pid,
        bytes: u64,
        protection: Protection,
    ) -> Result<VirtAddr, CommandError> {
        if bytes == 0 || bytes > MOST {
            return Err(CommandError::new(format!("{bytes} bytes cannot be made at once")));
        }
        let len = bytes.next_multiple_of(PAGE);
        let space = self.space_id(pid)?;
        let start = self.while_held(|session| session.allocate_anywhere(space, len, protection))?;
        if let Some(client) = &mut self.client {
            client.allocations.retain(|(space, _), _| self.spaces.contains_key(space));
            client.allocations.insert((space, start), len);
        }
        Ok(start)
    }

    /// Near the program, so that code made there reaches it.
    fn allocate_anywhere(
        &mut self,
        id: SpaceId,
        len: u64,
        protection: Protection,
    ) -> Result<VirtAddr, CommandError> {
        let failed = |why: &str| CommandError::new(format!("no memory was made: {why}"));
        let pid = self.representative(id).ok_or_else(|| failed("the process is gone"))?;
        let map = self.target.memory_map(pid)?;
        let heap_start = self.target.process_info(pid)?.heap_start;
        let first = map.first().map_or_else(AddrRange::default, |region| region.range);
        let taken = all_taken(&map, heap_start, std::iter::empty());
        let start = near::find_gap(&taken, AddrRange::sized(first.start, 1), len)
            .ok_or_else(|| failed("there is no room"))?;
        let asked = who_can_be_asked(&self.processes, id).next();
        let asked = asked.ok_or_else(|| failed("no thread can be asked"))?;
        if let Some(hazard) = self.target.allocation_hazard(asked) {
            return Err(failed(&hazard));
        }
        self.ask_a_thread(id, |target, stopped| target.allocate(stopped, start, len, protection))?;
        Ok(start)
    }

    pub(crate) fn release_for_client(
        &mut self,
        pid: Pid,
        start: VirtAddr,
    ) -> Result<(), CommandError> {
        let space = self.space_id(pid)?;
        let client = self.client.as_mut();
        let len = client.and_then(|client| client.allocations.remove(&(space, start)));
        let len = len.ok_or_else(|| CommandError::new(format!("no memory was made at {start}")))?;
        self.while_held(|session| {
            let range = AddrRange::sized(start, len);
            session.ask_a_thread(space, |target, stopped| target.release(stopped, range))
        })?;
        Ok(())
    }
}
