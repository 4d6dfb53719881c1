//! Where a thread can leave a piece of a function: found by following its
//! code, so that a debugger need not be there at every instruction.

use std::collections::BTreeSet;

use trapline_core::memory::ReadMemory;
use trapline_core::x64::MAX_INSTRUCTION;
use trapline_core::{AddrRange, VirtAddr};

use crate::insn::{Insn, InsnKind, decode};

/// Instructions that are followed at most; a function of more is left by
/// looking at where it got to.
const MAX_INSTRUCTIONS: usize = 200_000;

/// The ways out of a piece of code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exits {
    /// Places that were said to end it, and can be reached.
    pub ends: BTreeSet<VirtAddr>,
    /// Calls, which come back.
    pub calls: Vec<Call>,
    /// Instructions after which nobody knows where the thread is: jumps through
    /// registers or out of the function, and what cannot be decoded.
    pub unknown: BTreeSet<VirtAddr>,
}

/// A call instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// Where it is.
    pub at: VirtAddr,
    /// Where it comes back to.
    pub next: VirtAddr,
    /// Whom it calls, when the instruction says so.
    pub target: Option<VirtAddr>,
}

/// Every direct call within a function whose code is instructions throughout,
/// as compilers make it.
pub fn direct_calls(memory: &dyn ReadMemory, function: &[AddrRange]) -> Vec<Call> {
    let mut found = Vec::new();
    for part in function {
        let mut at = part.start;
        while part.contains(at) {
            let mut bytes = [0; MAX_INSTRUCTION];
            let read = memory.read_some(at, &mut bytes);
            let Some(insn) = decode(&bytes[..read], at) else { break };
            if insn.kind() == InsnKind::Call && insn.branch_target().is_some() {
                found.push(Call { at, next: insn.next(), target: insn.branch_target() });
            }
            at = insn.next();
        }
    }
    found
}

/// Follows the code from `start` within a function until `ends` says so of a
/// place; `start` itself is not asked about. A thread may also come back at
/// `others`, where an exception or a `longjmp` leads. Returns end a way: they
/// are known to whoever knows the stack.
pub fn exits(
    memory: &dyn ReadMemory,
    start: VirtAddr,
    others: &[VirtAddr],
    function: &[AddrRange],
    ends: &dyn Fn(VirtAddr) -> bool,
) -> Exits {
    let mut search = Search { function, ends, found: Exits::default(), open: vec![start] };
    for &other in others {
        match ends(other) {
            true => drop(search.found.ends.insert(other)),
            false if search.is_inside(other) => search.open.push(other),
            false => {}
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(at) = search.open.pop() {
        if !seen.insert(at) {
            continue;
        }
        let mut bytes = [0; MAX_INSTRUCTION];
        let read = memory.read_some(at, &mut bytes);
        match decode(&bytes[..read], at) {
            Some(insn) if seen.len() <= MAX_INSTRUCTIONS => search.follow(&insn),
            _ => drop(search.found.unknown.insert(at)),
        }
    }
    search.found
}

struct Search<'a> {
    function: &'a [AddrRange],
    ends: &'a dyn Fn(VirtAddr) -> bool,
    found: Exits,
    open: Vec<VirtAddr>,
}

impl Search<'_> {
    fn follow(&mut self, insn: &Insn) {
        match insn.kind() {
            InsnKind::Ret | InsnKind::Far => {}
            InsnKind::Jump => self.jump(insn),
            InsnKind::ConditionalJump | InsnKind::Loop => {
                self.jump(insn);
                self.go_to(insn.next(), insn);
            }
            InsnKind::Call => {
                let (at, next) = (insn.addr(), insn.next());
                self.found.calls.push(Call { at, next, target: insn.branch_target() });
                // One at the end of the function does not come back.
                if self.is_inside(next) {
                    self.go_to(next, insn);
                }
            }
            _ => self.go_to(insn.next(), insn),
        }
    }

    fn is_inside(&self, at: VirtAddr) -> bool {
        self.function.iter().any(|part| part.contains(at))
    }

    fn jump(&mut self, insn: &Insn) {
        match insn.branch_target() {
            Some(target) => self.go_to(target, insn),
            None => drop(self.found.unknown.insert(insn.addr())),
        }
    }

    fn go_to(&mut self, to: VirtAddr, from: &Insn) {
        if !self.is_inside(to) {
            self.found.unknown.insert(from.addr());
        } else if (self.ends)(to) {
            self.found.ends.insert(to);
        } else {
            self.open.push(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use trapline_core::memory::Bytes;

    use super::*;

    const START: u64 = 0x1000;

    fn check(code: &[u8], ends: &[u64], expected: (&[u64], &[u64], &[u64])) {
        check_from(code, None, ends, expected);
    }

    fn check_from(
        code: &[u8],
        others: Option<u64>,
        ends: &[u64],
        expected: (&[u64], &[u64], &[u64]),
    ) {
        let start = VirtAddr::new(START);
        let memory = Bytes { start, data: code.to_vec() };
        let function = [AddrRange::sized(start, code.len() as u64)];
        let is_end = |at: VirtAddr| ends.contains(&(at.get() - START));
        let others = others.map(|offset| VirtAddr::new(START + offset));
        let found = exits(&memory, start, others.as_slice(), &function, &is_end);
        let offsets = |all: &BTreeSet<VirtAddr>| -> Vec<u64> {
            all.iter().map(|at| at.get() - START).collect()
        };
        let calls: Vec<u64> = found.calls.iter().map(|call| call.at.get() - START).collect();
        let found = (offsets(&found.ends), calls, offsets(&found.unknown));
        assert_eq!((&found.0[..], &found.1[..], &found.2[..]), expected, "{code:02x?}");
    }

    #[test]
    fn every_way_out_is_found() {
        // nop; nop; nop
        check(&[0x90, 0x90, 0x90], &[2], (&[2], &[], &[]));
        // A loop: dec ecx; jnz 0; nop
        check(&[0xff, 0xc9, 0x75, 0xfc, 0x90], &[4], (&[4], &[], &[]));
        check(&[0xff, 0xc9, 0x75, 0xfc, 0x90], &[0, 4], (&[0, 4], &[], &[]));
        // je 3; ret; nop: what is behind an end is not asked about.
        check(&[0x74, 0x01, 0xc3, 0x90, 0x90], &[3, 4], (&[3], &[], &[]));
        // call +0; call rax; ret
        check(&[0xe8, 0, 0, 0, 0, 0xff, 0xd0, 0xc3], &[], (&[], &[0, 5], &[]));
        // jmp rax; jmp out of the function; what is no instruction
        check(&[0xff, 0xe0], &[], (&[], &[], &[0]));
        check(&[0x90, 0xeb, 0x40], &[], (&[], &[], &[1]));
        check(&[0x06], &[], (&[], &[], &[0]));
        // ret; nop; ret: where an exception leads.
        check_from(&[0xc3, 0x90, 0xc3], Some(1), &[2], (&[2], &[], &[]));
        check_from(&[0xc3, 0x90, 0xc3], Some(1), &[1, 2], (&[1], &[], &[]));
        // A call that does not return; code that ends at its end.
        check(&[0x90, 0xe8, 0, 0, 0, 0], &[], (&[], &[1], &[]));
        check(&[0x90], &[], (&[], &[], &[0]));
    }
}
