//! What a jump looks like inside, for `info jump`: the program's bytes, ours,
//! the code that decides with a word on each step, and why the jump is placed
//! as it is.

use std::fmt::Write;

use trapline_core::{AddrRange, BreakpointId, Pid, VirtAddr};
use trapline_patch::disassembly::{self, Syntax};
use trapline_patch::trampoline::Trampoline;

use super::Session;
use super::values::symbolic;
use crate::command::{CommandError, Reply};
use crate::space::{Modules, Patch, Space};

impl Session {
    /// Answers `info jump`.
    pub(super) fn info_jump(&mut self, id: BreakpointId) -> Result<Reply, CommandError> {
        if self.motion == super::Motion::Held {
            self.sync_sites();
        }
        let missing = self.breakpoints.missing(id);
        let breakpoint = self.breakpoints.get(id).ok_or_else(|| CommandError::new(missing))?;
        let mut text = String::new();
        for location in &breakpoint.locations {
            let pid = location.space.and_then(|space| self.representative(space));
            let served = match &location.service {
                Ok(served) => format!("{}: {served}", served.mechanism),
                Err(why) => why.to_string(),
            };
            let name = self.place_name(location.space, location.addr);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} at {name}: {served}", location.id);
            if let (Some(pid), Some(space)) = (pid, self.jump_space(location.space)) {
                self.describe_jump(pid, space, location.addr, &mut text);
            }
        }
        if text.is_empty() {
            text = format!("Breakpoint {id} has no place yet.");
        }
        Ok(Reply::Text(text.trim_end().to_owned()))
    }

    fn jump_space(&self, id: Option<crate::space::SpaceId>) -> Option<&Space> {
        self.spaces.get(&id?)
    }

    fn place_name(&self, id: Option<crate::space::SpaceId>, at: VirtAddr) -> String {
        self.jump_space(id)
            .and_then(|space| symbolic(&space.modules, at))
            .map_or_else(|| at.to_string(), |name| format!("{at} <{name}>"))
    }

    fn describe_jump(&self, pid: Pid, space: &Space, at: VirtAddr, text: &mut String) {
        let Some((_, patch)) = space.jump_at(at) else { return };
        let patched = patch.range;
        for (whose, ours) in [("the program's", false), ("our", true)] {
            let bytes = self.bytes(pid, space, around(patch), ours);
            let _ = writeln!(text, "  {whose} bytes at {}: {}", patched.start, hex(&bytes));
        }
        if !patch.relies_on.is_empty() {
            let count = patch.relies_on.len();
            let _ = writeln!(text, "  the last {count} of the jump's 5 bytes are the program's");
        }
        if let Some(hop) = patch.hop {
            let _ = writeln!(text, "  on the way: a jump at {}", hop.start);
        }
        for rejected in space.trails.get(&at).into_iter().flatten() {
            let _ = writeln!(text, "  not {rejected}");
        }
        let Some(trampoline) = space.arena.trampoline_around(patch.trampoline) else { return };
        let size = patch.len;
        let _ = writeln!(text, "  code at {} ({size} bytes):", patch.trampoline);
        list(&trampoline, &space.modules, text);
    }

    fn bytes(&self, pid: Pid, space: &Space, range: AddrRange, ours: bool) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(range.len()).unwrap_or(0)];
        let read = self.target.read_memory(pid, range.start, &mut bytes);
        bytes.truncate(read);
        if !ours {
            space.overlay.restore_view(range.start, &mut bytes);
        }
        bytes
    }
}

/// The bytes of a jump, those it shares with the program included.
fn around(patch: &Patch) -> AddrRange {
    AddrRange::between(patch.range.start, patch.range.end.max(patch.relies_on.end))
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// The code of a trampoline, with what each part is for.
fn list(trampoline: &Trampoline, modules: &Modules, text: &mut String) {
    let name = |at: VirtAddr| symbolic(modules, at);
    for line in disassembly::print(&trampoline.bytes, trampoline.to, Syntax::Att, &name) {
        let comment = trampoline.decisions.iter().find_map(|it| it.comment(line.addr));
        let copied = trampoline.slots.iter().find(|slot| slot.to == line.addr);
        if let Some(slot) = copied {
            let _ = writeln!(text, "    ; the instruction of {}", slot.at);
        }
        if let Some(comment) = comment {
            let _ = writeln!(text, "    ; {comment}");
        }
        let _ = writeln!(text, "    {}  {}", line.addr, line.text);
    }
}
