//! The books on rows: memory of ours in a debuggee, one row for each thread,
//! to which the thread's `gs` leads. What a row holds is
//! [`trapline_core::predicate::row`]'s; allocating, reading and writing are
//! the session's.
//!
//! A row's counts only grow, whoever has it, so their sum over all rows is
//! what all threads that ever had one counted.

use std::collections::{BTreeMap, BTreeSet};

use trapline_core::predicate::row;
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

/// Bytes of one counting word.
const WORD: u32 = 8;

/// Rows that are allocated together.
const AT_ONCE: u64 = 16;

/// The rows of an address space.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    slabs: Vec<AddrRange>,
    /// Memory of ours beside them.
    others: Vec<AddrRange>,
    /// Bytes of one row; 0 before there are any.
    len: u64,
    free: BTreeSet<VirtAddr>,
    taken: BTreeMap<VirtAddr, Tid>,
    /// The row of all threads that nobody counts.
    outsiders: Option<VirtAddr>,
    next_word: u32,
    free_words: Vec<u32>,
    /// What each row's words held when they were last counted.
    seen: BTreeMap<VirtAddr, Vec<u64>>,
    /// What all rows together counted in each word, as far as it was seen.
    totals: Vec<u64>,
}

/// How a thread stands to rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Seat {
    /// It has not been given one.
    #[default]
    None,
    /// It has this row.
    Row(VirtAddr),
    /// It uses `gs` itself, so that its passes are decided by us.
    OwnSegment,
}

impl Rows {
    /// Whether there is anything for threads to count in.
    pub(crate) fn are_in_use(&self) -> bool {
        self.len > 0
    }

    /// All their memory.
    pub(crate) fn slabs(&self) -> impl Iterator<Item = AddrRange> {
        self.slabs.iter().chain(&self.others).copied()
    }

    /// Notes memory that goes when the rows go.
    pub(crate) fn add_other_memory(&mut self, range: AddrRange) {
        self.others.push(range);
    }

    /// Bytes to allocate for more rows, each with room for so many words.
    pub(crate) fn slab_len(&mut self, words: usize) -> u64 {
        const LEAST: u64 = 16 << 10;
        if self.len == 0 {
            let need = u64::from(row::FIRST_WORD) + words as u64 * u64::from(WORD);
            self.len = (2 * need).next_power_of_two().max(LEAST);
        }
        self.len * AT_ONCE
    }

    /// Rows in newly allocated memory.
    pub(crate) fn add_slab(&mut self, slab: AddrRange) {
        self.slabs.push(slab);
        let rows = (0..AT_ONCE).map(|index| slab.start.wrapping_add(index * self.len));
        self.free.extend(rows);
    }

    /// Whether `gs` leads to a row of ours.
    pub(crate) fn contains(&self, gs: u64) -> bool {
        self.slabs.iter().any(|slab| slab.contains(VirtAddr::new(gs)))
    }

    /// Whether a row can be given without allocating.
    pub(crate) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Gives a thread a row.
    pub(crate) fn take(&mut self, tid: Tid) -> Option<VirtAddr> {
        let row = self.free.pop_first()?;
        self.taken.insert(row, tid);
        Some(row)
    }

    /// The row of the threads that nobody counts.
    pub(crate) fn outsiders(&mut self) -> Option<VirtAddr> {
        if self.outsiders.is_none() {
            self.outsiders = self.free.pop_first();
        }
        self.outsiders
    }

    /// Takes the row of a thread that is gone.
    pub(crate) fn give_back(&mut self, tid: Tid) {
        let rows: Vec<VirtAddr> =
            self.taken.iter().filter(|(_, holder)| **holder == tid).map(|(&row, _)| row).collect();
        for row in rows {
            self.taken.remove(&row);
            self.free.insert(row);
        }
    }

    /// In a copy of the memory nobody has a row yet.
    pub(crate) fn vacate(&mut self) {
        let all = std::mem::take(&mut self.taken);
        self.free.extend(all.into_keys());
        self.free.extend(self.outsiders.take());
    }

    /// A word to count in; `None` when the rows are full. Its total so far is
    /// [`Self::total`].
    pub(crate) fn new_word(&mut self) -> Option<u32> {
        if let Some(word) = self.free_words.pop() {
            return Some(word);
        }
        let word = row::FIRST_WORD + self.next_word * WORD;
        if u64::from(word + WORD) > self.len {
            return None;
        }
        self.next_word += 1;
        self.totals.push(0);
        Some(word)
    }

    /// Takes a word back that is in no code any more.
    pub(crate) fn free_word(&mut self, word: u32) {
        self.free_words.push(word);
    }

    /// The bytes of a row that hold words given out.
    pub(crate) fn words_len(&self) -> usize {
        self.next_word as usize * WORD as usize
    }

    /// Every row that anybody may have counted in.
    pub(crate) fn all(&self) -> Vec<VirtAddr> {
        let counted = self.seen.keys().copied();
        let mut rows: Vec<VirtAddr> = counted.chain(self.taken.keys().copied()).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Counts what is new in the words of a row, whose bytes are `words`.
    pub(crate) fn count(&mut self, row: VirtAddr, words: &[u8]) {
        self.look(row, words, true);
    }

    /// Takes the words of a row as they are, as counted elsewhere.
    pub(crate) fn begin(&mut self, row: VirtAddr, words: &[u8]) {
        self.look(row, words, false);
    }

    fn look(&mut self, row: VirtAddr, words: &[u8], counts: bool) {
        let seen = self.seen.entry(row).or_default();
        seen.resize(self.totals.len(), 0);
        let words = words.chunks_exact(WORD as usize);
        for ((seen, total), now) in seen.iter_mut().zip(&mut self.totals).zip(words) {
            let now = now.try_into().map_or(0, u64::from_le_bytes);
            if counts {
                *total = total.wrapping_add(now.wrapping_sub(*seen));
            }
            *seen = now;
        }
    }

    /// What was counted in a word, as far as it was seen.
    pub(crate) fn total(&self, word: u32) -> u64 {
        let index = word.saturating_sub(row::FIRST_WORD) / WORD;
        self.totals.get(index as usize).copied().unwrap_or(0)
    }
}

/// The beginning of a row.
pub(crate) fn header(pid: Pid, tid: Tid, thread: u32) -> [u8; 16] {
    let mut header = [0; 16];
    let mut put = |at: u32, value: [u8; 4]| {
        let at = at as usize;
        header[at..at + 4].copy_from_slice(&value);
    };
    put(row::MAGIC_AT, row::MAGIC.to_le_bytes());
    put(row::TID_AT, tid.get().to_le_bytes());
    put(row::PID_AT, pid.get().to_le_bytes());
    put(row::THREAD_AT, thread.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn counts_outlive_the_threads_that_made_them() {
        let mut rows = Rows::default();
        let len = rows.slab_len(1);
        rows.add_slab(AddrRange::sized(VirtAddr::new(0x10000), len));
        let word = rows.new_word().unwrap();
        let row = rows.take(Tid::new(1)).unwrap();
        rows.count(row, &bytes(&[7]));
        rows.give_back(Tid::new(1));
        assert_eq!(rows.take(Tid::new(2)), Some(row));
        rows.count(row, &bytes(&[9]));
        let other = rows.take(Tid::new(3)).unwrap();
        rows.count(other, &bytes(&[1]));
        assert_eq!(rows.total(word), 10);

        let mut copy = rows.clone();
        copy.vacate();
        copy.begin(row, &bytes(&[12]));
        copy.count(row, &bytes(&[13]));
        assert_eq!(copy.total(word), 11);
    }

    #[test]
    fn words_are_given_out_once_until_they_come_back() {
        let mut rows = Rows::default();
        let len = rows.slab_len(1);
        rows.add_slab(AddrRange::sized(VirtAddr::new(0x10000), len));
        let (first, second) = (rows.new_word().unwrap(), rows.new_word().unwrap());
        assert_eq!((first, second), (row::FIRST_WORD, row::FIRST_WORD + 8));
        rows.free_word(first);
        assert_eq!(rows.new_word(), Some(first));
        while rows.new_word().is_some() {}
        assert_eq!(rows.words_len() as u64 + u64::from(row::FIRST_WORD), len / AT_ONCE);
    }
}
