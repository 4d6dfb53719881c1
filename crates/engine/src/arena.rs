//! Our memory in a debuggee: chunks of out-of-line slots and trampolines, and
//! which of them stands for which instruction of the program.
//!
//! Allocating and writing are the caller's; this keeps the books. A slot is
//! never reused for another instruction while the session lives, since a
//! signal frame or a thread blocked in the kernel may still come back to it;
//! the same instruction gets its old slot again.

mod trampolines;

use std::collections::BTreeMap;
use std::sync::Arc;

use trapline_core::memory::{ReadMemory, Unreadable};
use trapline_core::x64::{CodeBytes, Registers};
use trapline_core::{AddrRange, VirtAddr};
use trapline_patch::insn::{InsnKind, decode};
use trapline_patch::relocate::{Boundary, Slot, relocate};
use trapline_patch::trampoline::Trampoline;

use self::trampolines::Trampolines;
pub(crate) use self::trampolines::{Deciding, InDecision, Ingredient, made_from};

/// Bytes of one chunk; a multiple of the page size.
pub(crate) const CHUNK: u64 = 256 * 1024;

/// Room that any slot fits in. Slots are a few dozen bytes; the far forms are
/// the longest.
pub(crate) const SLOT_ROOM: u64 = 128;

/// The arena of one address space.
#[derive(Clone, Default)]
pub(crate) struct Arena {
    chunks: Vec<Chunk>,
    /// The start of the slot of each instruction that ever had one.
    by_site: BTreeMap<VirtAddr, VirtAddr>,
    trampolines: Trampolines,
    /// Pages for jumps on the way to trampolines.
    hop_pages: Vec<AddrRange>,
    /// Whether a signal was ever delivered to a thread in a displaced system
    /// call or repeated string instruction.
    interrupted_calls: bool,
}

#[derive(Clone, Debug)]
struct Chunk {
    range: AddrRange,
    next: VirtAddr,
    /// What is in it, ascending.
    slots: Vec<Placed>,
}

/// What a slot was made from, and so all that is to know of it: very many are
/// made, and few are ever asked about.
#[derive(Clone, Copy, Debug)]
struct Placed {
    start: VirtAddr,
    len: u16,
    site: VirtAddr,
    original: CodeBytes,
}

impl Placed {
    fn contains(&self, raw: VirtAddr) -> bool {
        raw.checked_sub(self.start).is_some_and(|offset| offset < u64::from(self.len))
    }

    /// The slot as it was when it was placed.
    fn slot(&self) -> Option<Slot> {
        relocate(&self.original, self.site, self.start).ok()
    }
}

/// Where a raw pc stands in a slot.
#[derive(Clone, Debug)]
pub(crate) struct InSlot {
    /// The slot.
    pub(crate) slot: Slot,
    /// What the pc stands for there.
    pub(crate) boundary: Boundary,
}

impl InSlot {
    /// Whether the displaced instruction has not run yet.
    pub(crate) fn is_before(&self) -> bool {
        self.boundary.original == self.slot.at
    }

    /// Whether the slot holds a string instruction that may run many times.
    pub(crate) fn is_repeated(&self) -> bool {
        decode(&self.slot.bytes, self.slot.to).is_some_and(|copy| copy.is_repeated())
    }

    /// Whether the thread stands right after a displaced system call. If a
    /// signal or a stop interrupted it, the kernel goes back to the slot's own
    /// `syscall` to restart it.
    pub(crate) fn is_after_system_call(&self) -> bool {
        self.slot.kind == InsnKind::Syscall && !self.is_before()
    }
}

impl Arena {
    /// All our memory here.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = AddrRange> {
        self.chunks.iter().map(|chunk| chunk.range).chain(self.hop_pages.iter().copied())
    }

    pub(crate) fn add_hop_pages(&mut self, range: AddrRange) {
        self.hop_pages.push(range);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(crate) fn add_chunk(&mut self, range: AddrRange) {
        self.chunks.push(Chunk { range, next: range.start, slots: Vec::new() });
    }

    /// A signal is delivered to a thread whose pc is in a slot: its frame will
    /// hold an address of ours until the handler returns.
    pub(crate) fn note_interrupted_call(&mut self) {
        self.interrupted_calls = true;
    }

    /// Whether a signal frame may hold an address of ours.
    pub(crate) fn has_interrupted_calls(&self) -> bool {
        self.interrupted_calls
    }

    /// Forgets what was in a chunk or in pages for hops: the memory is gone.
    pub(crate) fn forget(&mut self, range: AddrRange) {
        self.chunks.retain(|chunk| chunk.range != range);
        self.hop_pages.retain(|pages| *pages != range);
        self.by_site.retain(|_, slot| !range.contains(*slot));
        self.trampolines.forget(range);
    }

    /// Forgets everything: the memory is gone.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The slot that already stands for these bytes at this place.
    pub(crate) fn existing(&self, site: VirtAddr, original: &[u8]) -> Option<VirtAddr> {
        let start = *self.by_site.get(&site)?;
        let placed = self.placed_around(start)?;
        original.starts_with(&placed.original).then_some(start)
    }

    /// Where the next piece of so many bytes near `site` would go: in a chunk
    /// that `jmp rel32` reaches from there and back.
    pub(crate) fn room_near(&self, site: VirtAddr, room: u64) -> Option<VirtAddr> {
        const REACH: u64 = 0x7fff_0000 - CHUNK;
        self.chunks.iter().rev().find_map(|chunk| {
            let fits = chunk.next.checked_add(room)? <= chunk.range.end;
            let near = chunk.range.start.get().abs_diff(site.get()) < REACH;
            (fits && near).then_some(chunk.next)
        })
    }

    /// Books a slot at the place [`Self::room_near`] gave, made from the code
    /// `original`.
    pub(crate) fn place(&mut self, original: &[u8], slot: &Slot) {
        let len = u16::try_from(slot.bytes.len()).unwrap_or(u16::MAX);
        let Some(chunk) = self.take_room(slot.to, u64::from(len)) else { return };
        let displaced = original.get(..usize::from(slot.len)).unwrap_or(original);
        let original = CodeBytes::first_of(displaced);
        chunk.slots.push(Placed { start: slot.to, len, site: slot.at, original });
        self.by_site.insert(slot.at, slot.to);
    }

    /// Books a trampoline at the place [`Self::room_near`] gave.
    pub(crate) fn place_trampoline(
        &mut self,
        trampoline: &Trampoline,
        ingredients: Arc<[Ingredient]>,
    ) {
        if self.take_room(trampoline.to, trampoline.bytes.len() as u64).is_some() {
            self.trampolines.place(trampoline, ingredients);
        }
    }

    /// Books a jump of ours that stands between a patch and its trampoline.
    pub(crate) fn place_hop(&mut self, at: VirtAddr, stands_for: VirtAddr) {
        self.trampolines.place_hop(at, stands_for);
    }

    fn take_room(&mut self, at: VirtAddr, len: u64) -> Option<&mut Chunk> {
        let chunk = self.chunks.iter_mut().find(|chunk| chunk.range.contains(at))?;
        chunk.next = at.wrapping_add(len.next_multiple_of(16));
        Some(chunk)
    }

    /// The site for which the trap at an address asks.
    pub(crate) fn asked(&self, trap: VirtAddr) -> Option<VirtAddr> {
        self.trampolines.asked(trap)
    }

    /// The trampoline around an address of ours.
    pub(crate) fn trampoline_around(&self, raw: VirtAddr) -> Option<Trampoline> {
        self.trampolines.around(raw)
    }

    /// The program's place that a jump on the way to a trampoline stands for.
    pub(crate) fn hop_to(&self, raw: VirtAddr) -> Option<VirtAddr> {
        self.trampolines.hop_to(raw)
    }

    /// What a raw pc means, when it is in code that decides.
    pub(crate) fn decision(&self, raw: VirtAddr) -> Option<InDecision> {
        self.trampolines.decision(raw)
    }

    fn placed_around(&self, raw: VirtAddr) -> Option<&Placed> {
        let chunk = self.chunks.iter().find(|chunk| chunk.range.contains(raw))?;
        let next = chunk.slots.partition_point(|placed| placed.start <= raw);
        chunk.slots.get(next.checked_sub(1)?).filter(|placed| placed.contains(raw))
    }

    /// What a raw pc means, when it is in a slot.
    pub(crate) fn locate(&self, raw: VirtAddr) -> Option<InSlot> {
        let slot = match self.placed_around(raw) {
            Some(placed) => placed.slot()?,
            None => {
                let slots = self.trampoline_around(raw)?.slots;
                slots.into_iter().find(|slot| slot.contains(raw))?
            }
        };
        let boundary = *slot.boundary(raw)?;
        Some(InSlot { slot, boundary })
    }

    /// Turns a thread's registers into the program's own when its pc is in code
    /// of ours.
    ///
    /// # Errors
    /// The stack, where the slot keeps registers for a moment, is not readable.
    pub(crate) fn restore(
        &self,
        registers: &mut Registers,
        memory: &impl ReadMemory,
    ) -> Result<(), Unreadable> {
        let raw = VirtAddr::new(registers.rip);
        if let Some(at) = self.decision(raw) {
            at.standing.kept.restore(registers, memory)?;
            registers.rip = at.site.get();
            return Ok(());
        }
        match self.locate(raw) {
            Some(at) => at.boundary.restore(registers, memory),
            None => Ok(()),
        }
    }

    /// The program's own pc for a raw one in code of ours.
    pub(crate) fn program_pc(&self, raw: VirtAddr) -> Option<VirtAddr> {
        let decided = self.decision(raw).map(|at| at.site);
        decided.or_else(|| self.locate(raw).map(|at| at.boundary.original))
    }
}
