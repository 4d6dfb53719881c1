//! Which bytes of a debuggee's memory are ours, and what the program's own
//! bytes under them are.
//!
//! One [`Overlay`] stands for one address space. It is pure bookkeeping: it
//! says what to write and patches what was read; reading, writing and deciding
//! what to arm are left to the caller.
//!
//! An entry is a range of a few bytes, and entries never overlap, so a query costs
//! O(log n) and the number of entries it finds.

use std::collections::BTreeMap;
use std::fmt;

use crate::addr::{AddrRange, VirtAddr};
use crate::x64::CodeBytes;

/// Our bytes in one address space, and the program's bytes under them.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    entries: BTreeMap<VirtAddr, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    original: CodeBytes,
    ours: CodeBytes,
}

/// One armed range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Armed<'a> {
    /// Its first byte.
    pub addr: VirtAddr,
    /// The program's own bytes, as the user sees them.
    pub original: &'a [u8],
    /// What is in the memory instead.
    pub ours: &'a [u8],
}

impl Armed<'_> {
    /// The bytes it occupies.
    pub fn range(&self) -> AddrRange {
        AddrRange::sized(self.addr, self.ours.len() as u64)
    }
}

/// An armed range whose bytes are no longer ours: the memory was discarded,
/// mapped anew or written by the program.
///
/// To arm it again, [`Overlay::commit_write`] `found` at `at` (they are the
/// program's bytes now) and write the entry's own bytes; to give it up,
/// [`Overlay::disarm`] it and write nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The address the entry was armed at.
    pub addr: VirtAddr,
    /// The first byte that was compared; differs from `addr` only when the
    /// memory looked at began inside the entry.
    pub at: VirtAddr,
    /// The bytes found at `at`.
    pub found: Vec<u8>,
}

/// Why a range cannot be armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArmError {
    /// Some of its bytes belong to the entry at this address.
    Occupied {
        /// Where that entry begins.
        by: VirtAddr,
    },
    /// No bytes or more than an instruction has, a different number of original
    /// bytes than of ours, or past the end of the address space.
    Malformed,
}

impl fmt::Display for ArmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied { by } => write!(f, "the bytes armed at {by} are in the way"),
            Self::Malformed => f.write_str("not a range of bytes that can be armed"),
        }
    }
}

impl std::error::Error for ArmError {}

impl Overlay {
    /// Records that the program's bytes `original` at `addr` are replaced by
    /// `ours`. The caller writes `ours`.
    ///
    /// # Errors
    /// When a byte is armed already or the two differ in length; nothing is
    /// recorded then.
    pub fn arm(&mut self, addr: VirtAddr, original: &[u8], ours: &[u8]) -> Result<(), ArmError> {
        let entry = Entry::new(original, ours).ok_or(ArmError::Malformed)?;
        let end = addr.checked_add(ours.len() as u64).ok_or(ArmError::Malformed)?;
        // Entries do not overlap each other, so the last that begins below the
        // end is the one in the way if any is.
        let last = self.entries.range(..end).next_back();
        let last = last.map(|(&addr, entry)| entry.armed(addr).range());
        if let Some(other) = last.filter(|range| range.end > addr) {
            return Err(ArmError::Occupied { by: other.start });
        }
        self.entries.insert(addr, entry);
        Ok(())
    }

    /// Forgets the entry that begins at `addr` and returns the program's bytes,
    /// which the caller writes back; `None` when nothing is armed there.
    pub fn disarm(&mut self, addr: VirtAddr) -> Option<CodeBytes> {
        self.entries.remove(&addr).map(|entry| entry.original)
    }

    /// Forgets every entry with a byte in `range`, for memory that is gone, and
    /// returns where they began.
    pub fn forget(&mut self, range: AddrRange) -> Vec<VirtAddr> {
        let gone: Vec<VirtAddr> = self.overlapping(range).map(|armed| armed.addr).collect();
        for addr in &gone {
            self.entries.remove(addr);
        }
        gone
    }

    /// The entry that begins at `addr`.
    pub fn get(&self, addr: VirtAddr) -> Option<Armed<'_>> {
        self.entries.get(&addr).map(|entry| entry.armed(addr))
    }

    /// All entries, lowest address first.
    pub fn armed(&self) -> impl Iterator<Item = Armed<'_>> {
        self.entries.iter().map(|(&addr, entry)| entry.armed(addr))
    }

    /// The entries that share a byte with `range`, lowest address first.
    pub fn overlapping(&self, range: AddrRange) -> impl Iterator<Item = Armed<'_>> {
        // Entries do not overlap each other, so at most one begins below the
        // range and reaches into it.
        let reaching = self
            .entries
            .range(..range.start)
            .next_back()
            .map(|(&addr, entry)| entry.armed(addr))
            .filter(|armed| armed.range().overlaps(range));
        let inside = self.entries.range(range.start..range.end.max(range.start));
        reaching.into_iter().chain(inside.map(|(&addr, entry)| entry.armed(addr)))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Turns bytes read raw at `addr` into what the user is to see: the
    /// program's own bytes.
    pub fn restore_view(&self, addr: VirtAddr, buf: &mut [u8]) {
        let view = AddrRange::sized(addr, buf.len() as u64);
        for armed in self.overlapping(view) {
            if let Some((at, part)) = shared(view, armed.range()) {
                buf[at].copy_from_slice(&armed.original[part]);
            }
        }
    }

    /// The raw writes that carry out a user's write of `data` at `addr` while
    /// our bytes stay armed. Changes nothing itself; call
    /// [`Self::commit_write`] with as much of `data` as was written.
    pub fn split_write(&self, addr: VirtAddr, data: &[u8]) -> Vec<(VirtAddr, Vec<u8>)> {
        let whole = AddrRange::sized(addr, data.len() as u64);
        let mut writes = Vec::new();
        let mut next = addr;
        for armed in self.overlapping(whole) {
            push_part(&mut writes, whole, AddrRange::between(next, armed.addr), data);
            next = armed.range().end;
        }
        push_part(&mut writes, whole, AddrRange::between(next, whole.end), data);
        writes
    }

    /// Takes `data` at `addr` as the program's own bytes from now on.
    pub fn commit_write(&mut self, addr: VirtAddr, data: &[u8]) {
        let whole = AddrRange::sized(addr, data.len() as u64);
        let touched: Vec<VirtAddr> = self.overlapping(whole).map(|armed| armed.addr).collect();
        for begin in touched {
            let Some(entry) = self.entries.get_mut(&begin) else { continue };
            let range = AddrRange::sized(begin, entry.ours.len() as u64);
            if let Some((at, part)) = shared(whole, range) {
                entry.original[part].copy_from_slice(&data[at]);
            }
        }
    }

    /// Compares bytes read raw at `addr` with what should be armed there.
    pub fn check(&self, addr: VirtAddr, raw: &[u8]) -> Vec<Lost> {
        let seen = AddrRange::sized(addr, raw.len() as u64);
        let lost = |armed: Armed<'_>| {
            let (at, part) = shared(seen, armed.range())?;
            let found = &raw[at];
            (found != &armed.ours[part]).then(|| Lost {
                addr: armed.addr,
                at: armed.addr.max(addr),
                found: found.to_vec(),
            })
        };
        self.overlapping(seen).filter_map(lost).collect()
    }
}

impl Entry {
    fn new(original: &[u8], ours: &[u8]) -> Option<Self> {
        let sound = !ours.is_empty() && original.len() == ours.len();
        let (original, ours) = (CodeBytes::new(original)?, CodeBytes::new(ours)?);
        sound.then_some(Self { original, ours })
    }

    fn armed(&self, addr: VirtAddr) -> Armed<'_> {
        Armed { addr, original: &self.original, ours: &self.ours }
    }
}

type Span = std::ops::Range<usize>;

/// The bytes two ranges share, as offsets into the one and into the other.
fn shared(one: AddrRange, other: AddrRange) -> Option<(Span, Span)> {
    let both = one.intersection(other)?;
    Some((offsets(one, both)?, offsets(other, both)?))
}

fn offsets(of: AddrRange, part: AddrRange) -> Option<Span> {
    let start = usize::try_from(part.start.checked_sub(of.start)?).ok()?;
    Some(start..start + usize::try_from(part.len()).ok()?)
}

fn push_part(
    writes: &mut Vec<(VirtAddr, Vec<u8>)>,
    whole: AddrRange,
    part: AddrRange,
    data: &[u8],
) {
    if let Some((at, _)) = shared(whole, part) {
        writes.push((part.start.max(whole.start), data[at].to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: u64 = 0x40_0000;
    const SIZE: usize = 256;

    /// Raw memory with our bytes in it, beside a twin that was never touched.
    struct World {
        raw: Vec<u8>,
        twin: Vec<u8>,
        overlay: Overlay,
    }

    #[derive(Clone, Debug)]
    enum Act {
        Arm(usize, Vec<u8>),
        Disarm(usize),
        Write(usize, Vec<u8>),
        Read(usize, usize),
        /// The program itself overwrites memory, ours included.
        Clobber(usize, Vec<u8>),
    }

    fn at(offset: usize) -> VirtAddr {
        VirtAddr::new(BASE + offset as u64)
    }

    fn offset(addr: VirtAddr) -> usize {
        (addr.get() - BASE) as usize
    }

    impl World {
        fn new() -> Self {
            let twin: Vec<u8> = (0..SIZE).map(|i| (i * 7) as u8).collect();
            Self { raw: twin.clone(), twin, overlay: Overlay::default() }
        }

        fn poke(&mut self, addr: VirtAddr, bytes: &[u8]) {
            self.raw[offset(addr)..][..bytes.len()].copy_from_slice(bytes);
        }

        fn act(&mut self, act: &Act) {
            match act {
                Act::Arm(start, ours) => self.arm(*start, ours),
                Act::Disarm(nth) => self.disarm(*nth),
                Act::Write(start, data) => {
                    let data = &data[..data.len().min(SIZE - start)];
                    let writes = self.overlay.split_write(at(*start), data);
                    assert_eq!(writes, self.overlay.split_write(at(*start), data));
                    for (addr, bytes) in writes {
                        self.poke(addr, &bytes);
                    }
                    self.overlay.commit_write(at(*start), data);
                    self.twin[*start..][..data.len()].copy_from_slice(data);
                }
                Act::Read(start, len) => self.check_view(*start, (*len).min(SIZE - start)),
                Act::Clobber(start, data) => {
                    let data = &data[..data.len().min(SIZE - start)];
                    self.clobber(*start, data);
                }
            }
        }

        fn arm(&mut self, start: usize, ours: &[u8]) {
            let ours = &ours[..ours.len().min(SIZE - start)];
            let mut original = self.raw[start..][..ours.len()].to_vec();
            self.overlay.restore_view(at(start), &mut original);
            let free = self.overlay.armed().all(|armed| {
                !armed.range().overlaps(AddrRange::sized(at(start), ours.len() as u64))
            });
            let armed = self.overlay.arm(at(start), &original, ours);
            assert_eq!(armed.is_ok(), free && !ours.is_empty(), "{armed:?}");
            if armed.is_ok() {
                self.poke(at(start), ours);
            }
        }

        fn disarm(&mut self, nth: usize) {
            let Some(addr) =
                self.overlay.armed().nth(nth % self.overlay.len().max(1)).map(|armed| armed.addr)
            else {
                return;
            };
            let original = self.overlay.disarm(addr).unwrap();
            self.poke(addr, &original);
        }

        fn clobber(&mut self, start: usize, data: &[u8]) {
            self.poke(at(start), data);
            self.twin[start..][..data.len()].copy_from_slice(data);
            for lost in self.overlay.check(at(0), &self.raw) {
                // Only what differs from ours is known to have been written.
                let armed = self.overlay.get(lost.addr).unwrap();
                let ours = armed.ours.to_vec();
                self.overlay.commit_write(lost.at, &lost.found);
                self.poke(lost.addr, &ours);
            }
            // Bytes which the program wrote equal to ours, or entries hit in
            // part, are not seen by a check: the twin follows the view.
            let mut view = self.raw.clone();
            self.overlay.restore_view(at(0), &mut view);
            self.twin = view;
        }

        fn check_view(&self, start: usize, len: usize) {
            let mut view = self.raw[start..][..len].to_vec();
            self.overlay.restore_view(at(start), &mut view);
            assert_eq!(view, self.twin[start..][..len]);
        }

        fn check_all(&self) {
            self.check_view(0, SIZE);
            assert_eq!(self.overlay.check(at(0), &self.raw), []);
            for armed in self.overlay.armed() {
                assert_eq!(&self.raw[offset(armed.addr)..][..armed.ours.len()], armed.ours);
            }
        }
    }

    fn acts() -> impl Strategy<Value = Act> {
        let bytes = |max| prop::collection::vec(any::<u8>(), 0..max);
        prop_oneof![
            4 => (0..SIZE).prop_map(|start| Act::Arm(start, vec![crate::x64::INT3])),
            2 => (0..SIZE, bytes(9)).prop_map(|(start, ours)| Act::Arm(start, ours)),
            3 => any::<usize>().prop_map(Act::Disarm),
            4 => (0..SIZE, bytes(64)).prop_map(|(start, data)| Act::Write(start, data)),
            4 => (0..SIZE, 0..SIZE).prop_map(|(start, len)| Act::Read(start, len)),
            1 => (0..SIZE, bytes(16)).prop_map(|(start, data)| Act::Clobber(start, data)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_user_sees_the_program_and_the_memory_keeps_ours(
            acts in prop::collection::vec(acts(), 1..60),
        ) {
            let mut world = World::new();
            for act in &acts {
                world.act(act);
                world.check_all();
            }
        }
    }

    #[test]
    fn a_write_goes_around_our_bytes() {
        let mut overlay = Overlay::default();
        overlay.arm(at(2), &[0x55], &[0xcc]).unwrap();
        overlay.arm(at(4), &[0x66, 0x77], &[0xeb, 0xfe]).unwrap();
        let writes = overlay.split_write(at(1), &[1, 2, 3, 4]);
        assert_eq!(writes, [(at(1), vec![1]), (at(3), vec![3])]);
        overlay.commit_write(at(1), &[1, 2, 3, 4]);
        assert_eq!(overlay.disarm(at(2)).as_deref(), Some(&[2][..]));
        assert_eq!(overlay.disarm(at(4)).as_deref(), Some(&[4, 0x77][..]));
    }

    #[test]
    fn lost_bytes_are_found_even_when_seen_in_part() {
        let mut overlay = Overlay::default();
        overlay.arm(at(0), &[1, 2, 3], &[7, 8, 9]).unwrap();
        assert_eq!(overlay.check(at(1), &[8]), []);
        let lost = Lost { addr: at(0), at: at(1), found: vec![8, 0] };
        assert_eq!(overlay.check(at(1), &[8, 0, 5]), [lost]);
        assert_eq!(overlay.forget(AddrRange::sized(at(2), 100)), [at(0)]);
        assert!(overlay.is_empty());
    }

    #[test]
    fn nothing_is_armed_twice_or_malformed() {
        let mut overlay = Overlay::default();
        overlay.arm(at(8), &[1, 2], &[3, 4]).unwrap();
        let check = |overlay: &mut Overlay, start, original: &[u8], ours: &[u8], expected| {
            assert_eq!(overlay.arm(start, original, ours), Err(expected));
        };
        check(&mut overlay, at(9), &[0], &[0], ArmError::Occupied { by: at(8) });
        check(&mut overlay, at(7), &[0, 0], &[0, 0], ArmError::Occupied { by: at(8) });
        check(&mut overlay, at(0), &[], &[], ArmError::Malformed);
        check(&mut overlay, at(0), &[0], &[0, 0], ArmError::Malformed);
        check(&mut overlay, at(0), &[0; 16], &[0; 16], ArmError::Malformed);
        check(&mut overlay, VirtAddr::new(u64::MAX), &[0], &[0], ArmError::Malformed);
    }

    #[test]
    fn ten_thousand_entries_are_cheap() {
        let mut overlay = Overlay::default();
        for i in 0..10_000 {
            overlay.arm(at(i * 3), &[0x90], &[0xcc]).unwrap();
        }
        for i in 0..100_000 {
            let mut byte = [0xcc];
            overlay.restore_view(at(i % 30_000), &mut byte);
            assert_eq!(byte[0], if i % 30_000 % 3 == 0 { 0x90 } else { 0xcc });
        }
    }
}
