//! The truth about memory: reads that show the program's own bytes, writes
//! that change them and keep ours armed, and the check that ours still are.

use trapline_core::memory::ReadMemory;
use trapline_core::overlay::Overlay;
use trapline_core::plan::SiteWhat;
use trapline_core::target::Target;
use trapline_core::x64::{INT3, MAX_INSTRUCTION};
use trapline_core::{AddrRange, Pid, VirtAddr};

use super::Session;
use crate::command::CommandError;
use crate::event::Event;
use crate::space::SpaceId;

/// A process's memory as the program itself wrote it.
pub(super) struct SpaceMemory<'a> {
    pub(super) target: &'a dyn Target,
    pub(super) pid: Pid,
    pub(super) overlay: &'a Overlay,
}

impl ReadMemory for SpaceMemory<'_> {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let read = self.target.read_memory(self.pid, addr, buf);
        self.overlay.restore_view(addr, &mut buf[..read]);
        read
    }
}

impl Session {
    /// The memory of a process as its program wrote it.
    pub(super) fn memory(&self, pid: Pid) -> Option<SpaceMemory<'_>> {
        let overlay = &self.space_of(pid)?.overlay;
        Some(SpaceMemory { target: &*self.target, pid, overlay })
    }

    /// Changes the program's own bytes; sites under them stay armed.
    pub(super) fn write_truth(
        &mut self,
        pid: Pid,
        addr: VirtAddr,
        bytes: &[u8],
    ) -> Result<(), CommandError> {
        let space = self.space_of(pid).ok_or_else(|| CommandError::new("no process"))?;
        for (start, raw) in space.overlay.split_write(addr, bytes) {
            self.target.write_memory(pid, start, &raw)?;
        }
        if let Some(space) = self.space_of_mut(pid) {
            space.overlay.commit_write(addr, bytes);
        }
        self.displace_anew(pid, AddrRange::sized(addr, bytes.len() as u64));
        Ok(())
    }

    /// Arms again the traps whose displaced instruction may have had bytes in
    /// `written`: the copy that threads run in its place is of the old one.
    fn displace_anew(&mut self, pid: Pid, written: AddrRange) {
        let Some(id) = self.processes.get(&pid).map(|process| process.space) else { return };
        let Some(space) = self.spaces.get(&id) else { return };
        let first = VirtAddr::new(written.start.get().saturating_sub(MAX_INSTRUCTION as u64 - 1));
        let reach = AddrRange::between(first, written.end);
        let touched: Vec<VirtAddr> =
            space.overlay.overlapping(reach).map(|armed| armed.addr).collect();
        if touched.is_empty() {
            return;
        }
        for &trap in &touched {
            self.disarm_trap(id, pid, trap);
            self.forget_trap(id, trap);
        }
        self.sync_sites();
    }

    /// Takes a trap that is no longer in memory out of the books, so that the
    /// planner looks at its place again.
    fn forget_trap(&mut self, id: SpaceId, addr: VirtAddr) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        space.overlay.disarm(addr);
        space.traps.remove(&addr);
        space.sites.retain(|site| site.what != SiteWhat::Trap { addr });
        space.stale = true;
    }

    /// Looks whether every trap is still in the program's memory. One that the
    /// program (or the kernel) took away is armed again where code still is,
    /// and withdrawn where it is not; either way the user hears of it.
    pub(super) fn verify_armed(&mut self) {
        let ids: Vec<SpaceId> = self.spaces.keys().copied().collect();
        for id in ids {
            if let Some(pid) = self.representative(id) {
                for addr in self.lost_traps(id, pid) {
                    self.recover_trap(id, pid, addr);
                }
            }
        }
    }

    /// Traps whose byte is not ours any more, read page by page.
    fn lost_traps(&self, id: SpaceId, pid: Pid) -> Vec<VirtAddr> {
        const PAGE: u64 = 4096;
        let Some(space) = self.spaces.get(&id) else { return Vec::new() };
        let mut lost = Vec::new();
        let mut page = AddrRange::default();
        let mut bytes = vec![0; PAGE as usize];
        let mut read = 0;
        for armed in space.overlay.armed() {
            if !page.contains(armed.addr) {
                page = AddrRange::sized(VirtAddr::new(armed.addr.get() & !(PAGE - 1)), PAGE);
                read = self.target.read_memory(pid, page.start, &mut bytes);
            }
            let offset = armed.addr.checked_sub(page.start).unwrap_or(0) as usize;
            if offset >= read || bytes[offset] != INT3 {
                lost.push(armed.addr);
            }
        }
        lost
    }

    fn recover_trap(&mut self, id: SpaceId, pid: Pid, addr: VirtAddr) {
        let mut found = [0];
        let readable = self.target.read_memory(pid, addr, &mut found) == 1;
        let ids = self.breakpoints.ids_at(id, addr);
        self.forget_trap(id, addr);
        let what = if readable {
            format!("its trap at {addr} was overwritten from outside and is armed again")
        } else {
            format!("the memory at {addr} is gone, and its trap with it")
        };
        if !readable {
            self.breakpoints.unbind_at(id, addr);
        }
        for breakpoint in ids {
            self.emit(Event::BreakpointChanged {
                id: breakpoint,
                what: what.clone(),
                deleted: false,
            });
        }
    }
}
