//! Whether some bytes hold any of a set of numbers, or a text, at any place: how
//! debug information refers to strings and entries, and spells them. What is found
//! may be there by chance; what is not found is not there.

use aho_corasick::packed;
use memchr::arch::all::packedpair::HeuristicFrequencyRank;
use memchr::memmem::{Finder, FinderBuilder};

/// Four-byte numbers that are looked for, and a text.
pub(crate) struct Numbers {
    numbers: Kind,
    text: Option<Finder<'static>>,
}

enum Kind {
    /// Each is looked for by itself.
    Few(Vec<Finder<'static>>),
    /// Many bytes are looked at at once, for all of them.
    Several(packed::Searcher),
    /// Every place is looked at once.
    Many {
        /// A bit for each value of the lower half of a number.
        lower: Box<[u64; WORDS]>,
        sorted: Vec<u32>,
    },
}

/// Up to so many, looking for each by itself costs no more than for all at once.
const FEW: usize = 8;
/// Up to so many, looking for all at once costs half of looking at every place.
const SEVERAL: usize = 64;
/// For a bit of every value of 16 bits.
const WORDS: usize = (1 << 16) / 64;

impl Numbers {
    pub(crate) fn new(numbers: Vec<u32>) -> Self {
        Self::and_text(numbers, b"")
    }

    /// Numbers, and a text unless it is empty.
    pub(crate) fn and_text(numbers: Vec<u32>, text: &[u8]) -> Self {
        let text = Some(text).filter(|text| !text.is_empty());
        let text = text.map(|text| Finder::new(text).into_owned());
        Self { numbers: Kind::of(numbers), text }
    }

    /// Whether any of the numbers is in `bytes`, in little-endian order.
    pub(crate) fn are_in(&self, bytes: &[u8]) -> bool {
        match &self.numbers {
            Kind::Few(finders) => finders.iter().any(|finder| finder.find(bytes).is_some()),
            Kind::Several(searcher) => searcher.find(bytes).is_some(),
            Kind::Many { lower, sorted } => bytes.windows(NUMBER).any(|four| {
                let number = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                let (word, bit) = place(number);
                lower[word] & bit != 0 && sorted.binary_search(&number).is_ok()
            }),
        }
    }

    /// The same, or the text at a place that is meant.
    pub(crate) fn or_text_in(&self, bytes: &[u8], is_meant: impl Fn(usize) -> bool) -> bool {
        /// Bytes that stay in the first cache between two searches.
        const BLOCK: usize = 16 << 10;
        let overlap = NUMBER.max(self.text.as_ref().map_or(0, |text| text.needle().len())) - 1;
        (0..bytes.len()).step_by(BLOCK).any(|start| {
            let end = bytes.len().min(start + BLOCK + overlap);
            let block = &bytes[start..end];
            let mut texts = self.text.iter().flat_map(|text| text.find_iter(block));
            self.are_in(block) || texts.any(|at| is_meant(start + at))
        })
    }
}

impl Kind {
    fn of(mut numbers: Vec<u32>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() <= FEW {
            return Self::Few(numbers.into_iter().map(finder).collect());
        }
        if let Some(searcher) = searcher(&numbers) {
            return Self::Several(searcher);
        }
        let mut lower = Box::new([0; WORDS]);
        for number in &numbers {
            let (word, bit) = place(*number);
            lower[word] |= bit;
        }
        Self::Many { lower, sorted: numbers }
    }
}

fn finder(number: u32) -> Finder<'static> {
    let bytes = number.to_le_bytes();
    FinderBuilder::new().build_forward_with_ranker(Common, &bytes).into_owned()
}

/// `None` for too many, and where the processor has no instructions for it.
fn searcher(numbers: &[u32]) -> Option<packed::Searcher> {
    let few_enough = numbers.len() <= SEVERAL;
    few_enough.then(|| packed::Searcher::new(numbers.iter().map(|it| it.to_le_bytes())))?
}

/// Bytes of debug information are the commoner the smaller they are.
struct Common;

impl HeuristicFrequencyRank for Common {
    fn rank(&self, byte: u8) -> u8 {
        255 - byte
    }
}

/// Bytes of a number.
const NUMBER: usize = 4;

fn place(number: u32) -> (usize, u64) {
    let lower = (number & 0xffff) as usize;
    (lower / 64, 1 << (lower % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[u32], bytes: &[u8], expected: bool) {
        assert_eq!(Numbers::new(numbers.to_vec()).are_in(bytes), expected, "{numbers:?}");
    }

    #[test]
    fn numbers_are_found_at_any_place() {
        let bytes = [9, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0, 7];
        for (number, expected) in [(0x1234_5678, true), (0, true), (0x5678, false)] {
            for others in [0, FEW, SEVERAL] {
                let others: Vec<u32> = (100..).take(others).collect();
                check(&[others.as_slice(), &[number]].concat(), &bytes, expected);
            }
        }
        check(&[0x0700_0000], &bytes, true);
        check(&[7], &bytes[9..], false);
        check(&[], &bytes, false);
    }

    #[test]
    fn a_text_is_found_where_it_is_meant() {
        let bytes = b"remain\0main\0";
        for numbers in [vec![], vec![0x1234_5678], (1000..1100).collect()] {
            let numbers = Numbers::and_text(numbers, b"main");
            assert!(numbers.or_text_in(bytes, |at| at == 7));
            assert!(!numbers.or_text_in(bytes, |at| at == 0));
            assert!(!numbers.are_in(bytes));
        }
        let within = u32::from_le_bytes(*b"inma");
        assert!(Numbers::and_text(vec![within], b"main").or_text_in(b"mainmain", |_| false));
    }
}
