//! The truth about memory: reads that show the program's own bytes, writes
//! that change them and keep ours armed, and the check that ours still are.

use trapline_core::memory::ReadMemory;
use trapline_core::overlay::Overlay;
use trapline_core::plan::SiteWhat;
use trapline_core::target::Target;
use trapline_core::x64::MAX_INSTRUCTION;
use trapline_core::{AddrRange, Pid, VirtAddr};
use trapline_patch::jump::DEPTH;

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

    /// Arms again what was made for instructions that may have had bytes in
    /// `written`: the copies that threads run in their place are of the old
    /// ones.
    fn displace_anew(&mut self, pid: Pid, written: AddrRange) {
        let Some(id) = self.processes.get(&pid).map(|process| process.space) else { return };
        let Some(space) = self.spaces.get(&id) else { return };
        let first = VirtAddr::new(written.start.get().saturating_sub(DEPTH));
        let reach = AddrRange::between(first, written.end);
        let touched: Vec<VirtAddr> =
            space.overlay.overlapping(reach).map(|armed| armed.addr).collect();
        if touched.is_empty() {
            return;
        }
        for &at in &touched {
            self.disarm(id, pid, at);
            self.forget_site(id, at);
        }
        self.sync_sites();
    }

    /// Writes the program's bytes back under a trap or a jump.
    fn disarm(&mut self, id: SpaceId, pid: Pid, at: VirtAddr) {
        if self.spaces.get(&id).is_some_and(|space| space.patches.contains_key(&at)) {
            self.remove_patch(id, pid, at);
        } else {
            self.disarm_trap(id, pid, at);
        }
    }

    /// Takes a trap that is no longer in memory out of the books, so that the
    /// planner looks at its place again.
    fn forget_site(&mut self, id: SpaceId, addr: VirtAddr) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        space.overlay.disarm(addr);
        let mut gone = space.sites_of_patch(addr);
        gone.push(addr);
        space.forget_patch(addr);
        space.code_sites.remove(&addr);
        space.sites.retain(|site| match site.what {
            SiteWhat::Trap { addr } | SiteWhat::Jump { addr } => !gone.contains(&addr),
            SiteWhat::Slot { .. } => true,
        });
        space.stale = true;
    }

    /// Looks whether every trap is still in the program's memory, and still over
    /// the instruction that it stands for. One that the program (or the kernel)
    /// took away is armed again where that instruction is again, and withdrawn
    /// where it is not; either way the user hears of it.
    pub(super) fn verify_armed(&mut self) {
        let ids: Vec<SpaceId> = self.spaces.keys().copied().collect();
        for id in ids {
            if let Some(pid) = self.representative(id) {
                let altered = self.altered_traps(id, pid);
                if !altered.is_empty() {
                    self.count_in(id);
                }
                for (addr, found) in altered {
                    self.recover_trap(id, pid, addr, found);
                }
            }
        }
    }

    /// Sites that are not as they were armed. Those of a page are read together.
    fn altered_traps(&self, id: SpaceId, pid: Pid) -> Vec<(VirtAddr, Altered)> {
        const PAGE: u64 = 4096;
        let Some(space) = self.spaces.get(&id) else { return Vec::new() };
        let mut altered = Vec::new();
        let (mut raw, mut own) = (Vec::new(), Vec::new());
        let armed: Vec<_> = space.overlay.armed().collect();
        for sites in armed.chunk_by(|one, next| one.addr.get() / PAGE == next.addr.get() / PAGE) {
            let (Some(first), Some(last)) = (sites.first(), sites.last()) else { continue };
            let start = first.addr;
            raw.resize((last.addr.get().saturating_sub(start.get()) + DEPTH) as usize, 0);
            let read = self.target.read_memory(pid, start, &mut raw);
            raw.truncate(read);
            own.clone_from(&raw);
            space.overlay.restore_view(start, &mut own);
            for site in sites {
                let offset = site.addr.checked_sub(start).unwrap_or(0) as usize;
                let (raw, own) = (raw.get(offset..), own.get(offset..));
                let seen = Seen { raw: raw.unwrap_or_default(), own: own.unwrap_or_default() };
                let found = compare(space.made_for(site.addr), site.ours, &seen);
                altered.extend(found.map(|found| (site.addr, found)));
            }
        }
        altered
    }

    /// Whether the instruction that a trap's slot stands in for is still the
    /// one under the trap. In code of an image that is seen at stops, in code
    /// that the program made at every pass.
    pub(super) fn is_displaced_still(&self, pid: Pid, at: VirtAddr) -> bool {
        let Some(space) = self.space_of(pid) else { return true };
        let Some(trap) = space.code_sites.get(&at).filter(|_| space.modules.at(at).is_none())
        else {
            return true;
        };
        let memory = SpaceMemory { target: &*self.target, pid, overlay: &space.overlay };
        let mut own = [0; MAX_INSTRUCTION];
        let own = &mut own[..trap.displaced.len().min(MAX_INSTRUCTION)];
        let read = memory.read_some(at, own);
        trap.displaced.starts_with(&own[..read])
    }

    /// Has a trap stand for the instruction that is under it now.
    pub(super) fn displace_anew_at(&mut self, pid: Pid, at: VirtAddr) {
        self.displace_anew(pid, AddrRange::sized(at, 1));
    }

    fn recover_trap(&mut self, id: SpaceId, pid: Pid, addr: VirtAddr, found: Altered) {
        let changed = match found {
            Altered::Gone | Altered::Back => self.breakpoints.ids_at(id, addr),
            Altered::Behind => Vec::new(),
            Altered::Replaced => self.breakpoints.withdraw_at(id, addr),
        };
        let what = match found {
            Altered::Gone => {
                self.breakpoints.unbind_at(id, addr);
                format!("the memory at {addr} is gone, and its trap with it")
            }
            Altered::Back => {
                format!("its trap at {addr} was overwritten from outside and is armed again")
            }
            Altered::Replaced => {
                if let Some(space) = self.spaces.get_mut(&id) {
                    space.internal.retain(|internal| internal.addr != addr);
                }
                format!(
                    "the code at {addr} was overwritten with other code and its trap with it; \
                     it is not armed again, since an instruction need not begin there any more"
                )
            }
            Altered::Behind => {
                self.disarm(id, pid, addr);
                String::new()
            }
        };
        self.forget_site(id, addr);
        for breakpoint in changed {
            self.emit(Event::BreakpointChanged {
                id: breakpoint,
                what: what.clone(),
                deleted: false,
            });
        }
    }
}

/// What was found where a trap was armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Altered {
    /// No memory.
    Gone,
    /// The whole instruction that the trap was over, without the trap.
    Back,
    /// Other code, without the trap.
    Replaced,
    /// The trap, and another operand behind it.
    Behind,
}

/// Bytes from where something was armed.
struct Seen<'a> {
    /// As they are.
    raw: &'a [u8],
    /// As the program has them.
    own: &'a [u8],
}

/// Compares the code that something was armed for, and what was armed over it,
/// with what is there now.
fn compare(made_for: &[u8], ours: &[u8], seen: &Seen<'_>) -> Option<Altered> {
    let Some(&first) = seen.raw.first() else { return Some(Altered::Gone) };
    // Fewer where memory ends, as when it was armed.
    let behind = seen.own.get(ours.len()..).unwrap_or_default();
    let same = made_for.iter().skip(ours.len()).zip(behind).all(|(before, now)| before == now);
    let armed = seen.raw.iter().zip(ours).all(|(now, ours)| now == ours);
    match (armed, same) {
        (true, true) => None,
        (true, false) => Some(Altered::Behind),
        (false, true) if made_for.first() == Some(&first) => Some(Altered::Back),
        (false, _) => Some(Altered::Replaced),
    }
}
