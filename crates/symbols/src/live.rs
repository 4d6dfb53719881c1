//! The files that are mapped now and which of them were cut short, in a form
//! that a signal handler may read: no lock, no allocation, only atomics over
//! memory that is never given back. It maps nothing itself: `sys` does.
//!
//! A mapping has a [`Slot`] of a list that only grows; a slot is used again
//! when its mapping is gone. What the handler must never see is half of one
//! mapping's range and half of another's, so each change of a range is
//! enclosed in two changes of the slot's version, which is odd between them:
//! who finds an odd version, or another one after reading than before, has
//! found nothing. Nothing is lost by that: the mapping in which somebody reads
//! right now is neither being entered nor being removed.
//!
//! Every access is sequentially consistent: a file is mapped or cut short far
//! too seldom for weaker orders to be worth their proof.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Head of the list.
static FIRST: Slot = Slot::new();

/// How many mappings that exist now were cut short.
static CUT_SHORT: AtomicUsize = AtomicUsize::new(0);

/// Whether any file that is mapped now was found cut short: one load.
pub(crate) fn any_cut_short() -> bool {
    CUT_SHORT.load(SeqCst) != 0
}

/// Place of one mapping.
#[derive(Debug)]
struct Slot {
    /// Whether a [`Listed`] owns it; the only one to write what follows,
    /// `cut_short` excepted.
    taken: AtomicBool,
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    cut_short: AtomicBool,
    next: OnceLock<Box<Slot>>,
}

impl Slot {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            cut_short: AtomicBool::new(false),
            next: OnceLock::new(),
        }
    }

    fn claim(&self) -> bool {
        self.taken.compare_exchange(false, true, SeqCst, SeqCst).is_ok()
    }

    /// For the owner alone.
    fn set_range(&self, range: Range<usize>) {
        self.version.fetch_add(1, SeqCst);
        self.start.store(range.start, SeqCst);
        self.end.store(range.end, SeqCst);
        self.version.fetch_add(1, SeqCst);
    }

    /// The range, unless it is being changed.
    fn range(&self) -> Option<Range<usize>> {
        let before = self.version.load(SeqCst);
        let range = self.start.load(SeqCst)..self.end.load(SeqCst);
        let after = self.version.load(SeqCst);
        (before == after && before.is_multiple_of(2)).then_some(range)
    }
}

/// A mapping's entry in the list, for as long as this is kept. It must be
/// dropped before the mapping is undone, or the handler would take somebody
/// else's later mapping of the same addresses for ours.
#[derive(Debug)]
pub(crate) struct Listed {
    slot: &'static Slot,
}

impl Listed {
    /// Enters the addresses of a mapping.
    pub(crate) fn new(range: Range<usize>) -> Self {
        let mut slot = &FIRST;
        while !slot.claim() {
            slot = slot.next.get_or_init(|| Box::new(Slot::new()));
        }
        slot.set_range(range);
        Self { slot }
    }

    /// Whether a page of it was found lost.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.slot.cut_short.load(SeqCst)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.slot.set_range(0..0);
        if self.slot.cut_short.swap(false, SeqCst) {
            CUT_SHORT.fetch_sub(1, SeqCst);
        }
        self.slot.taken.store(false, SeqCst);
    }
}

/// Takes note that the mapping in which somebody reads at an address lost the
/// page there, and answers the first address past that mapping; `None` when no
/// file is mapped there. For a signal handler: it takes no lock and allocates
/// nothing.
///
/// Until the reader goes on, somebody has to put memory there that can be read.
pub fn lost_at(address: usize) -> Option<usize> {
    let (slot, end) = find(address)?;
    if !slot.cut_short.swap(true, SeqCst) {
        CUT_SHORT.fetch_add(1, SeqCst);
    }
    Some(end)
}

/// The entry of the mapping around an address, and where that ends.
/// `OnceLock::get` is one load.
fn find(address: usize) -> Option<(&'static Slot, usize)> {
    let mut next = Some(&FIRST);
    while let Some(slot) = next {
        if let Some(range) = slot.range().filter(|range| range.contains(&address)) {
            return Some((slot, range.end));
        }
        next = slot.next.get().map(|next| &**next);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// Where no mapping of a user's program can be.
    const NOWHERE: usize = 1 << 63;

    fn end_around(address: usize) -> Option<usize> {
        find(address).map(|(_, end)| end)
    }

    #[test]
    fn an_entry_is_found_by_its_addresses_while_it_is_kept() {
        let start = NOWHERE;
        let (first, second) = (Listed::new(start..start + 9), Listed::new(start + 9..start + 20));
        assert_eq!(end_around(start), Some(start + 9));
        assert_eq!(end_around(start + 8), Some(start + 9));
        assert_eq!(end_around(start + 9), Some(start + 20));
        assert_eq!(end_around(start + 20), None);
        drop(first);
        assert_eq!(end_around(start), None);
        assert_eq!(end_around(start + 9), Some(start + 20));
        drop(second);
        assert_eq!(end_around(start + 9), None);
    }

    #[test]
    fn a_mark_lasts_as_long_as_its_entry() {
        let start = NOWHERE + 0x1000;
        let kept = Listed::new(start..start + 9);
        assert!(!kept.is_cut_short());
        assert_eq!([lost_at(start), lost_at(start)], [Some(start + 9); 2]);
        assert!(kept.is_cut_short() && any_cut_short());
        drop(kept);
        let again = Listed::new(start..start + 9);
        assert!(!again.is_cut_short());
    }

    /// A slot serves one range after another of two threads, all of one size
    /// and none of which may be found to end elsewhere than its own.
    #[test]
    fn no_range_is_ever_seen_half() {
        let base = NOWHERE + 0x10_0000;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let over = &over;
                scope.spawn(move || {
                    for turn in 0..50_000 {
                        let start = base + ((turn * 2 + thread) % 64) * 0x100;
                        let _listed = Listed::new(start..start + 0x100);
                    }
                    over.store(true, SeqCst);
                });
            }
            while !over.load(SeqCst) {
                for part in 0..64 {
                    let start = base + part * 0x100;
                    assert!(end_around(start + 0x80).is_none_or(|end| end == start + 0x100));
                }
            }
        });
    }
}
