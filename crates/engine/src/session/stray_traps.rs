//! Traps of a debugger's that are in no books: copied by the program along with
//! the code they were in, or left behind by a debugger that died. They are no
//! instructions of the program's, so its own byte goes back to their place.

use trapline_core::memory::ReadMemory;
use trapline_core::stop::Signal;
use trapline_core::x64::{INT3, MAX_INSTRUCTION};
use trapline_core::{Pid, VirtAddr};
use trapline_patch::insn;

use super::Session;
use super::code_io::CodeCache;
use crate::process::Origin;
use crate::space::{CodeSite, Space};

/// How a trap that is in no books came to its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stray {
    /// With the code around it, from this site of ours.
    Copied(VirtAddr),
    /// A debugger died.
    LeftBehind,
}

/// Bytes behind the displaced instruction that a copy must share with it: few
/// enough for a short function, too many for chance.
const BEHIND: usize = 8;

impl Session {
    /// Puts the program's byte back where a thread ran into an `int3` that is
    /// neither in our books nor the program's; `false` when it is the
    /// program's.
    pub(super) fn mend_stray_trap(&mut self, pid: Pid, at: VirtAddr) -> bool {
        let Some((original, stray)) = self.stray_trap(pid, at) else { return false };
        if let Err(error) = self.target.write_memory(pid, at, &[original]) {
            self.warn(format!(
                "a trap that is not the program's at {at} cannot be removed: {error}"
            ));
            return false;
        }
        self.tell_of_stray(pid, at, stray);
        true
    }

    /// The code at a place where a site is wanted, when its first byte is a
    /// trap that a debugger left behind.
    pub(super) fn without_leftover(
        &mut self,
        pid: Pid,
        at: VirtAddr,
        code: &[u8],
    ) -> Option<Vec<u8>> {
        if code.first() != Some(&INT3) {
            return None;
        }
        let original = self.byte_left_out(pid, at, code)?;
        self.tell_of_stray(pid, at, Stray::LeftBehind);
        let mut mended = code.to_vec();
        mended[0] = original;
        Some(mended)
    }

    /// Puts the program's byte back where a jump is wanted and a debugger has
    /// left a trap behind; whether it did.
    pub(super) fn take_leftover_out(&mut self, pid: Pid, at: VirtAddr, code: &CodeCache) -> bool {
        let Some(memory) = self.memory(pid) else { return false };
        let mut bytes = [0; MAX_INSTRUCTION];
        let read = code.read(&memory, at, &mut bytes);
        let Some(mended) = self.without_leftover(pid, at, &bytes[..read]) else { return false };
        if let Err(error) = self.target.write_memory(pid, at, &mended[..1]) {
            self.warn(format!("the trap left behind at {at} cannot be removed: {error}"));
        }
        true
    }

    fn tell_of_stray(&mut self, pid: Pid, at: VirtAddr, stray: Stray) {
        if !self.space_of_mut(pid).is_some_and(|space| space.strays.insert(at)) {
            return;
        }
        self.warn(match stray {
            Stray::Copied(from) => format!(
                "the program copied code to {at} with our trap at {from} in it; \
                 the trap is taken out of the copy, which has no breakpoint of its own"
            ),
            Stray::LeftBehind => format!(
                "the int3 at {at} is not the program's own: its file has another instruction \
                 there, so a debugger that died left it behind; the file's byte takes its place"
            ),
        });
    }

    /// The byte that belongs where an `int3` is, when that is not the
    /// program's, and how it came there.
    fn stray_trap(&self, pid: Pid, at: VirtAddr) -> Option<(u8, Stray)> {
        let space = self.space_of(pid)?;
        if space.program_pc(at) != at || in_file(space, at).first() == Some(&INT3) {
            return None;
        }
        let mut code = [0; MAX_INSTRUCTION + BEHIND];
        let read = self.memory(pid)?.read_some(at, &mut code);
        let code = &code[..read];
        let left = self.byte_left_out(pid, at, code).map(|byte| (byte, Stray::LeftBehind));
        left.or_else(|| self.copied_from(pid, space, code))
    }

    /// The first byte of the file's instruction, when the file has the rest of
    /// what is at `at` behind another byte, and nobody but a debugger can have
    /// changed it: we took the process over, and it does not handle traps.
    fn byte_left_out(&self, pid: Pid, at: VirtAddr, code: &[u8]) -> Option<u8> {
        let process = self.processes.get(&pid)?;
        let file = in_file(self.space_of(pid)?, at);
        let &original = file.first()?;
        let len = insn::decode(&file, at)?.len();
        let same = original != INT3 && code.get(1..len)? == file.get(1..len)?;
        let tid = *process.threads.keys().next()?;
        let may_be_left =
            process.origin == Origin::Attached && !self.target.handles(pid, tid, Signal::TRAP);
        (same && may_be_left).then_some(original)
    }

    /// The byte under the site of ours whose copy `code` begins with. Sites
    /// that look alike must agree on it.
    fn copied_from(&self, pid: Pid, space: &Space, code: &[u8]) -> Option<(u8, Stray)> {
        let looks_alike = |(site, trap): &(&VirtAddr, &CodeSite)| {
            self.is_copy(pid, space, **site, trap, code).unwrap_or(false)
        };
        let mut found: Option<(u8, VirtAddr)> = None;
        for (&site, trap) in space.code_sites.iter().filter(looks_alike) {
            let byte = *trap.displaced.first()?;
            match found {
                Some((other, _)) if other != byte => return None,
                Some((_, first)) => found = Some((byte, first.min(site))),
                None => found = Some((byte, site)),
            }
        }
        found.map(|(byte, site)| (byte, Stray::Copied(site)))
    }

    fn is_copy(
        &self,
        pid: Pid,
        space: &Space,
        site: VirtAddr,
        trap: &CodeSite,
        code: &[u8],
    ) -> Option<bool> {
        let len = trap.displaced.len();
        if code.get(1..len)? != trap.displaced.get(1..)? {
            return Some(false);
        }
        let copy = code.get(len..len + BEHIND)?;
        let mut behind = [0; BEHIND];
        let start = site.wrapping_add(len as u64);
        let read = self.memory(pid)?.read_some(start, &mut behind);
        let same = copy.iter().zip(behind).enumerate().all(|(offset, (&copied, own))| {
            let here = start.wrapping_add(offset as u64);
            copied == own || (copied == INT3 && space.code_sites.contains_key(&here))
        });
        Some(read == BEHIND && same)
    }
}

/// The bytes that the file of the image around an address has there; none where
/// there is no image.
fn in_file(space: &Space, at: VirtAddr) -> Vec<u8> {
    let mut bytes = vec![0; MAX_INSTRUCTION];
    let read = space
        .modules
        .at(at)
        .map_or(0, |module| module.image.read_static(module.to_image(at), &mut bytes));
    bytes.truncate(read);
    bytes
}
