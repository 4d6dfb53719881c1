//! Whether some bytes hold any of a set of numbers, at any place: how debug
//! information refers to strings and entries. What is found may be there by
//! chance; what is not found is not there.

use memchr::arch::all::packedpair::HeuristicFrequencyRank;
use memchr::memmem::{Finder, FinderBuilder};

/// Four-byte numbers that are looked for.
pub(crate) enum Numbers {
    /// Each is looked for by itself.
    Few(Vec<Finder<'static>>),
    /// Every place is looked at once.
    Many {
        /// A bit for each value of the lower half.
        lower: Box<[u64; WORDS]>,
        sorted: Vec<u32>,
    },
}

/// Looking at every place costs about as much as looking for so many.
const FEW: usize = 8;
/// For a bit of every value of 16 bits.
const WORDS: usize = (1 << 16) / 64;

impl Numbers {
    pub(crate) fn new(mut numbers: Vec<u32>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() <= FEW {
            return Self::Few(numbers.into_iter().map(finder).collect());
        }
        let mut lower = Box::new([0; WORDS]);
        for number in &numbers {
            let (word, bit) = place(*number);
            lower[word] |= bit;
        }
        Self::Many { lower, sorted: numbers }
    }

    /// Whether any of them is in `bytes`, in little-endian order.
    pub(crate) fn are_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Few(finders) => finders.iter().any(|finder| finder.find(bytes).is_some()),
            Self::Many { lower, sorted } => bytes.windows(4).any(|four| {
                let number = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                let (word, bit) = place(number);
                lower[word] & bit != 0 && sorted.binary_search(&number).is_ok()
            }),
        }
    }
}

fn place(number: u32) -> (usize, u64) {
    let lower = (number & 0xffff) as usize;
    (lower / 64, 1 << (lower % 64))
}

fn finder(number: u32) -> Finder<'static> {
    let bytes = number.to_le_bytes();
    FinderBuilder::new().build_forward_with_ranker(Common, &bytes).into_owned()
}

/// Bytes of debug information are the commoner the smaller they are.
struct Common;

impl HeuristicFrequencyRank for Common {
    fn rank(&self, byte: u8) -> u8 {
        255 - byte
    }
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
        let others: Vec<u32> = (100..120).collect();
        for (number, expected) in [(0x1234_5678, true), (0, true), (0x5678, false)] {
            check(&[number], &bytes, expected);
            check(&[others.as_slice(), &[number]].concat(), &bytes, expected);
        }
        check(&[0x0700_0000], &bytes, true);
        check(&[7], &bytes[9..], false);
        check(&[], &bytes, false);
    }
}
