//! Which instructions a jump could stand for, before it is known where it
//! could lead.

use std::rc::Rc;

use iced_x86::Mnemonic;
use trapline_core::x64::MAX_INSTRUCTION;
use trapline_core::{AddrRange, VirtAddr};

use super::code::{Facts, Functions};
use super::offsets::{ByteSet, Offsets};
use super::reason::Reason;
use super::{BELOW, Displaced, JUMP_LEN, Request, Tactic};
use crate::insn::{Insn, InsnKind, decode};
use crate::relocate::can_move;

/// A jump without an entry.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) tactic: Tactic,
    pub(super) at: VirtAddr,
    pub(super) displaced: Vec<Displaced>,
    /// How many of its bytes are ours to choose, the opcode included.
    pub(super) written: u8,
    /// How many prefixes without a meaning come before the opcode.
    pub(super) prefixes: u8,
}

/// Which bytes stand where an instruction began that is inside a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Guard {
    /// `int3`.
    Trap,
    /// Any opcode that faults in 64-bit mode (Intel SDM volume 2, table A-2),
    /// and `int3`. With `int3` in the highest byte, offsets are negative.
    Fault,
}

impl Guard {
    fn bytes(self) -> ByteSet {
        const FAULTS: ByteSet = ByteSet::of(&[
            0xcc, 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61,
        ]);
        match self {
            Self::Trap => ByteSet::one(0xcc),
            Self::Fault => FAULTS,
        }
    }
}

impl Shape {
    /// Over one instruction.
    pub(super) fn single(insn: Displaced) -> Self {
        let long = u64::from(insn.len) >= JUMP_LEN;
        Self {
            tactic: if long { Tactic::Whole } else { Tactic::Pun },
            at: insn.at,
            displaced: vec![insn],
            written: insn.len.min(JUMP_LEN as u8),
            prefixes: 0,
        }
    }

    fn window(displaced: &[Displaced]) -> Self {
        let len: u64 = displaced.iter().map(|insn| u64::from(insn.len)).sum();
        Self {
            tactic: Tactic::Window,
            at: displaced.first().map_or(VirtAddr::new(0), |first| first.at),
            displaced: displaced.to_vec(),
            written: len.min(JUMP_LEN) as u8,
            prefixes: 0,
        }
    }

    /// The same with each number of prefixes that leave room for the opcode.
    pub(super) fn prefixed(&self) -> impl Iterator<Item = Self> + '_ {
        (0..self.written).map(|prefixes| Self { prefixes, ..self.clone() })
    }

    /// The address behind the jump.
    pub(super) fn next(&self) -> VirtAddr {
        self.at.wrapping_add(u64::from(self.prefixes) + JUMP_LEN)
    }

    /// The offsets it may have for all that is known of its own bytes.
    pub(super) fn offsets(&self, guard: Guard) -> Offsets {
        let mut offsets = Offsets::ANY;
        for insn in &self.displaced {
            let skip = insn.at.get().checked_sub(self.at.get() + 1);
            if let Some(set) = skip.and_then(|skip| offsets.0.get_mut(skip as usize)) {
                *set = guard.bytes();
            }
        }
        offsets
    }

    /// Whether it has a byte that must trap.
    pub(super) fn is_guarded(&self) -> bool {
        self.displaced.last().is_some_and(|last| last.at > self.at)
    }

    /// The same, standing for the `endbr64` before it too, which stays.
    pub(super) fn behind(mut self, pad: Option<Displaced>) -> Self {
        self.displaced.splice(0..0, pad);
        self
    }

    pub(super) fn end(&self) -> VirtAddr {
        self.displaced.last().map_or(self.at, Displaced::end)
    }

    pub(super) fn starts_at(&self, addr: VirtAddr) -> bool {
        self.displaced.iter().any(|insn| insn.at == addr)
    }
}

/// `endbr64`. Intel SDM volume 2, ENDBR64.
pub(super) const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// Looks at code for what can be displaced.
pub(super) struct Looker<'r, 'a> {
    pub(super) request: &'r Request<'a>,
    pub(super) functions: &'r mut Functions,
}

impl Looker<'_, '_> {
    /// The instruction at an address, if it can be displaced at all.
    pub(super) fn instruction(&mut self, addr: VirtAddr) -> Result<Displaced, Reason> {
        let (_, insn) = self.movable(addr)?;
        let bytes = AddrRange::sized(insn.at, u64::from(insn.len));
        self.free_of_traps(AddrRange::sized(addr, bytes.len().min(JUMP_LEN)))?;
        let within = AddrRange::between(addr.wrapping_add(1), bytes.end);
        match self.facts(addr).and_then(|facts| facts.entered(within)) {
            Some(at) => Err(Reason::Entered { at }),
            None => Ok(insn),
        }
    }

    fn facts(&mut self, addr: VirtAddr) -> Option<Rc<Facts>> {
        self.functions.at(self.request.code, addr)
    }

    /// The `endbr64` at a site, behind which the site's jump can be: whoever
    /// comes there has run it. An error when others may come there too.
    pub(super) fn pad(&mut self, site: VirtAddr) -> Result<Option<Displaced>, Reason> {
        let mut bytes = [0; ENDBR64.len()];
        let read = self.request.code.read(site, &mut bytes);
        if bytes[..read] != ENDBR64 {
            return Ok(None);
        }
        let pad = Displaced { at: site, len: ENDBR64.len() as u8 };
        let facts = self.facts(site).ok_or(Reason::LandingPad)?;
        match facts.entered(AddrRange::sized(pad.end(), 1)) {
            Some(at) => Err(Reason::Entered { at }),
            None => Ok(Some(pad)),
        }
    }

    /// The windows that begin at an address and hold the instruction at
    /// `holds`, the longest first, and why there is no longer one.
    pub(super) fn windows(
        &mut self,
        addr: VirtAddr,
        holds: VirtAddr,
    ) -> (Vec<Shape>, Option<Reason>) {
        let Some(facts) = self.facts(addr) else {
            return (Vec::new(), Some(Reason::UnknownFunction));
        };
        let mut run = Run::new(addr);
        let mut why = None;
        while run.len() < JUMP_LEN {
            if let Err(reason) = self.extend(&mut run, &facts) {
                why = Some(reason);
                break;
            }
        }
        let shapes = (2..=run.displaced.len()).rev().map(|count| &run.displaced[..count]);
        let holding = shapes.filter(|insns| insns.iter().any(|insn| insn.at == holds));
        (holding.map(Shape::window).collect(), why)
    }

    /// The instructions before a site at which a window may begin that holds
    /// it, the nearest first; none is below `lowest`.
    pub(super) fn before(&mut self, site: VirtAddr, lowest: VirtAddr) -> Vec<VirtAddr> {
        let Some(facts) = self.facts(site) else { return Vec::new() };
        let lowest = lowest.max(VirtAddr::new(site.get().saturating_sub(BELOW)));
        // The sweep must have found the site too, else it is out of step.
        let known = facts.starts_in(AddrRange::sized(site, 1)).next().is_some();
        if !known {
            return Vec::new();
        }
        facts.starts_in(AddrRange::between(lowest, site)).collect()
    }

    /// Adds the next instruction to a run.
    fn extend(&mut self, run: &mut Run, facts: &Facts) -> Result<(), Reason> {
        let at = run.end;
        run.may_go_on()?;
        if !facts.part.contains(at) && self.request.code.function(at).is_some() {
            return Err(Reason::LeavesFunction);
        }
        let (decoded, insn) = self.movable(at).map_err(|why| run.reason_behind(why))?;
        let is_padding = is_padding(&decoded);
        if let Some(jump) = run.behind.filter(|_| !is_padding) {
            return Err(Reason::BehindJump { at: jump });
        }
        if !facts.part.contains(at) && !is_padding {
            return Err(Reason::LeavesFunction);
        }
        let moves = !run.displaced.is_empty();
        if moves && self.request.matched.contains(&at) {
            return Err(Reason::Occupied { by: at });
        }
        let first = if moves { at } else { at.wrapping_add(1) };
        if let Some(at) = facts.entered(AddrRange::between(first, insn.end())) {
            return Err(Reason::Entered { at });
        }
        let limit = run.start.wrapping_add(JUMP_LEN).min(insn.end());
        self.free_of_traps(AddrRange::between(at, limit))?;
        run.push(&decoded, insn, is_padding);
        Ok(())
    }

    /// The instructions between the end of a jump's own and the end of its
    /// bytes that can be copied along, where nothing of ours begins below
    /// `limit`: what is asked at a place is asked in that place.
    pub(super) fn carried(&self, shape: &Shape, limit: VirtAddr) -> Vec<Displaced> {
        let mut carried = Vec::new();
        let mut at = shape.end();
        while at < shape.next() {
            let Ok((decoded, insn)) = self.movable(at) else { break };
            let whole = AddrRange::between(at, insn.end());
            let is_asked = self.request.matched.contains(&at) || self.free_of_traps(whole).is_err();
            if insn.end() > limit || is_asked || waits(&decoded) {
                break;
            }
            carried.push(insn);
            at = insn.end();
            if matches!(decoded.kind(), InsnKind::Jump | InsnKind::Ret) {
                break;
            }
        }
        carried
    }

    fn free_of_traps(&self, bytes: AddrRange) -> Result<(), Reason> {
        match self.request.traps.range(bytes.start..bytes.end).next() {
            Some(&by) => Err(Reason::Occupied { by }),
            None => Ok(()),
        }
    }

    /// Decodes an instruction that can run elsewhere and may be changed.
    fn movable(&self, addr: VirtAddr) -> Result<(Insn, Displaced), Reason> {
        let mut bytes = [0; MAX_INSTRUCTION];
        let read = self.request.code.read(addr, &mut bytes);
        if read == 0 {
            return Err(Reason::Unreadable);
        }
        let refused = Reason::Relocation(crate::relocate::Refusal::Undecodable);
        let insn = decode(&bytes[..read], addr).ok_or(refused)?;
        if matches!(insn.raw.mnemonic(), Mnemonic::Endbr64 | Mnemonic::Endbr32) {
            return Err(Reason::LandingPad);
        }
        can_move(&insn, &bytes).map_err(Reason::Relocation)?;
        let displaced = Displaced { at: addr, len: insn.len() as u8 };
        let range = AddrRange::between(addr, displaced.end());
        match self.request.code.protected(range) {
            Some(protected) => Err(Reason::Protected(protected)),
            None => Ok((insn, displaced)),
        }
    }
}

/// Instructions in a row that a window might displace.
struct Run {
    start: VirtAddr,
    end: VirtAddr,
    displaced: Vec<Displaced>,
    /// The jump or return behind which only padding may follow.
    behind: Option<VirtAddr>,
    /// The instruction in which a thread may wait while the next is changed.
    waits: Option<VirtAddr>,
}

impl Run {
    fn new(start: VirtAddr) -> Self {
        Self { start, end: start, displaced: Vec::new(), behind: None, waits: None }
    }

    fn len(&self) -> u64 {
        self.end.get() - self.start.get()
    }

    fn may_go_on(&self) -> Result<(), Reason> {
        self.waits.map_or(Ok(()), |at| Err(Reason::WaitsInside { at }))
    }

    /// What follows a jump need not be code at all.
    fn reason_behind(&self, why: Reason) -> Reason {
        self.behind.map_or(why, |at| Reason::BehindJump { at })
    }

    fn push(&mut self, decoded: &Insn, insn: Displaced, is_padding: bool) {
        self.displaced.push(insn);
        self.end = insn.end();
        match decoded.kind() {
            InsnKind::Jump | InsnKind::Ret => self.behind = Some(insn.at),
            _ if waits(decoded) && !is_padding => self.waits = Some(insn.at),
            _ => {}
        }
    }
}

/// Whether a thread may be in an instruction for long, with a way back to the
/// next one that somebody else keeps.
fn waits(insn: &Insn) -> bool {
    use InsnKind::{Call, Int1, Int3, IntN, Syscall};
    matches!(insn.kind(), Call | Syscall | IntN | Int3 | Int1)
}

/// What compilers and linkers fill gaps with.
fn is_padding(insn: &Insn) -> bool {
    matches!(insn.raw.mnemonic(), Mnemonic::Nop) || insn.kind() == InsnKind::Int3
}
