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

/// Rows are allocated by so many.
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

/// What became of rows that were left for longer ones.
pub(crate) struct Moved {
    /// From where to where.
    pub(crate) rows: BTreeMap<VirtAddr, VirtAddr>,
    /// The memory that nobody has a row in any more.
    pub(crate) left: Vec<AddrRange>,
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

    /// Whether every row has room for so many words more.
    pub(crate) fn have_room(&self, words: usize) -> bool {
        let fresh = words.saturating_sub(self.free_words.len());
        row_need(self.next_word as usize + fresh) <= self.len
    }

    /// Bytes of a row with room for so many words more, and to spare.
    pub(crate) fn roomy_len(&self, words: usize) -> u64 {
        const LEAST: u64 = 16 << 10;
        (2 * row_need(self.next_word as usize + words)).next_power_of_two().max(LEAST)
    }

    /// Bytes of one row.
    pub(crate) fn row_len(&self) -> u64 {
        self.len
    }

    /// Bytes to allocate for rows of so many bytes each: one for each of so
    /// many threads that have none, some to spare, and, where they are to be
    /// longer, one for everybody who has one.
    pub(crate) fn slab_len(&self, row_len: u64, unseated: u64) -> u64 {
        let everybody = self.all().len() as u64 + u64::from(self.outsiders.is_some());
        let moving = if row_len == self.len { 0 } else { everybody };
        row_len * (moving + unseated + 1).next_multiple_of(AT_ONCE)
    }

    /// Rows in newly allocated memory.
    pub(crate) fn add_slab(&mut self, slab: AddrRange, row_len: u64) {
        self.slabs.push(slab);
        self.len = row_len;
        let rows = (0..slab.len() / row_len).map(|index| slab.start.wrapping_add(index * row_len));
        self.free.extend(rows);
    }

    /// Leaves all rows for longer ones in newly allocated memory. The answer is
    /// where each has moved, and the memory that is left; what was counted in
    /// the rows has to be copied.
    pub(crate) fn move_to(&mut self, slab: AddrRange, row_len: u64) -> Moved {
        let left = std::mem::take(&mut self.slabs);
        let everybody = self.all().into_iter().chain(self.outsiders);
        let old: BTreeSet<VirtAddr> = everybody.collect();
        self.free.clear();
        self.add_slab(slab, row_len);
        let rows: BTreeMap<VirtAddr, VirtAddr> =
            old.into_iter().zip(std::iter::from_fn(|| self.free.pop_first())).collect();
        let to = |row: VirtAddr| rows.get(&row).copied().unwrap_or(row);
        self.taken =
            std::mem::take(&mut self.taken).into_iter().map(|(row, tid)| (to(row), tid)).collect();
        self.seen =
            std::mem::take(&mut self.seen).into_iter().map(|(row, seen)| (to(row), seen)).collect();
        self.outsiders = self.outsiders.map(to);
        let held = |row: &&VirtAddr| {
            self.taken.contains_key(row) || self.outsiders.is_some_and(|it| it == **row)
        };
        let given_back: Vec<VirtAddr> = rows.values().filter(|row| !held(row)).copied().collect();
        self.free.extend(given_back);
        Moved { rows, left }
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

    /// Notes that a word is zero in every row.
    pub(crate) fn zeroed(&mut self, word: u32) {
        let index = word.saturating_sub(row::FIRST_WORD) / WORD;
        for seen in self.seen.values_mut() {
            seen.get_mut(index as usize).into_iter().for_each(|seen| *seen = 0);
        }
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

/// Bytes of a row with so many words.
fn row_need(words: usize) -> u64 {
    u64::from(row::FIRST_WORD) + words as u64 * u64::from(WORD)
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
        add_slab(&mut rows);
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
        let len = add_slab(&mut rows);
        let (first, second) = (rows.new_word().unwrap(), rows.new_word().unwrap());
        assert_eq!((first, second), (row::FIRST_WORD, row::FIRST_WORD + 8));
        rows.free_word(first);
        assert_eq!(rows.new_word(), Some(first));
        while rows.new_word().is_some() {}
        assert_eq!(rows.words_len() as u64 + u64::from(row::FIRST_WORD), len);
    }

    #[test]
    fn counts_go_along_when_rows_become_longer() {
        let mut rows = Rows::default();
        add_slab(&mut rows);
        let word = rows.new_word().unwrap();
        let [gone, stays] = [1, 2].map(|tid| rows.take(Tid::new(tid)).unwrap());
        let outsiders = rows.outsiders().unwrap();
        rows.count(gone, &bytes(&[7]));
        rows.count(stays, &bytes(&[1]));
        rows.give_back(Tid::new(1));
        while rows.new_word().is_some() {}
        assert!(rows.have_room(0) && !rows.have_room(1));
        rows.free_word(word);
        assert!(rows.have_room(1) && !rows.have_room(2));
        let word = rows.new_word().unwrap();

        let (before, len) = (rows.row_len(), rows.roomy_len(1));
        assert!(len >= 2 * before);
        let slab = AddrRange::sized(VirtAddr::new(0x1000_0000), rows.slab_len(len, 0));
        let moved = rows.move_to(slab, len);
        assert_eq!(moved.left, [AddrRange::sized(VirtAddr::new(0x10000), 16 * before)]);
        let new: Vec<VirtAddr> = moved.rows.values().copied().collect();
        assert!(new.iter().all(|&row| rows.contains(row.get())));
        assert!(!rows.contains(stays.get()));
        assert_eq!(rows.outsiders(), Some(moved.rows[&outsiders]));
        rows.count(moved.rows[&stays], &bytes(&[3]));
        assert_eq!(rows.total(word), 10);
        assert_eq!(rows.take(Tid::new(3)), Some(moved.rows[&gone]));
        rows.count(moved.rows[&gone], &bytes(&[8]));
        assert_eq!(rows.total(word), 11);
        assert!(rows.have_room(1));
    }

    /// Bytes of one of its rows.
    fn add_slab(rows: &mut Rows) -> u64 {
        let len = rows.roomy_len(1);
        let slab = AddrRange::sized(VirtAddr::new(0x10000), rows.slab_len(len, 0));
        rows.add_slab(slab, len);
        len
    }
}
