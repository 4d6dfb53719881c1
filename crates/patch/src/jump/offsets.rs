//! Which offsets a jump may have, byte by byte: some bytes are ours to choose,
//! some are given by what follows in memory, some must be bytes that trap.
//!
//! The sets are small and fixed in size, so the search for the lowest allowed
//! offset above another costs a few bit operations.

/// A set of byte values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Every value.
    pub(super) const ANY: Self = Self([u64::MAX; 4]);
    const NONE: Self = Self([0; 4]);

    /// One value.
    pub(super) const fn one(byte: u8) -> Self {
        Self::NONE.with(byte)
    }

    /// Some values.
    pub(super) const fn of(bytes: &[u8]) -> Self {
        let (mut set, mut index) = (Self::NONE, 0);
        while index < bytes.len() {
            set = set.with(bytes[index]);
            index += 1;
        }
        set
    }

    const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
        self
    }

    /// Leaves a value out.
    pub(super) fn remove(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] &= !(1 << (byte & 63));
    }

    /// Whether a value is in it.
    pub(super) fn contains(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// Whether there is a choice.
    pub(super) fn is_open(self) -> bool {
        self.0.iter().map(|word| word.count_ones()).sum::<u32>() > 1
    }

    /// The lowest value that is not below `from`; nothing is at or above 256.
    fn at_least(self, from: u32) -> Option<u8> {
        let first = usize::try_from(from / 64).ok().filter(|&word| word < 4)?;
        (first..4).find_map(|word| {
            let below = if word == first { from % 64 } else { 0 };
            let left = self.0[word] & (u64::MAX << below);
            (left != 0).then(|| (64 * word as u32 + left.trailing_zeros()) as u8)
        })
    }

    /// The values in the order of signed bytes: -128 becomes 0.
    const fn in_signed_order(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([c, d, a, b])
    }
}

/// The offsets a jump may have: a set for each of its four bytes, the lowest
/// first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offsets(pub(super) [ByteSet; 4]);

impl Offsets {
    /// Any offset.
    pub(super) const ANY: Self = Self([ByteSet::ANY; 4]);

    /// Whether an offset is allowed.
    #[cfg(test)]
    pub(super) fn allows(&self, offset: i32) -> bool {
        self.0.iter().zip(offset.to_le_bytes()).all(|(set, byte)| set.contains(byte))
    }

    /// The lowest allowed offset that is not below `from`.
    pub(super) fn at_least(&self, from: i32) -> Option<i32> {
        let [low, second, third, high] = self.0;
        let sets = [low, second, third, high.in_signed_order()];
        let found = lowest(&sets, from.cast_unsigned() ^ SIGN)?;
        Some((found ^ SIGN).cast_signed())
    }
}

const SIGN: u32 = 1 << 31;

/// The lowest number that is not below `from` and whose bytes are in the sets,
/// the last of which is the most significant.
fn lowest(sets: &[ByteSet], from: u32) -> Option<u32> {
    let Some((high, rest)) = sets.split_last() else { return Some(0) };
    let shift = 8 * rest.len() as u32;
    let (byte, below) = (from >> shift, from & ((1 << shift) - 1));
    let same = |byte: u8| high.contains(byte).then(|| lowest(rest, below)).flatten();
    if let Some(tail) = u8::try_from(byte).ok().and_then(same) {
        return Some(byte << shift | tail);
    }
    let next = high.at_least(byte + 1)?;
    Some(u32::from(next) << shift | lowest(rest, 0)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = ByteSet> {
        prop_oneof![
            Just(ByteSet::ANY),
            any::<u8>().prop_map(ByteSet::one),
            prop::collection::vec(any::<u8>(), 1..4).prop_map(|bytes| ByteSet::of(&bytes)),
        ]
    }

    proptest! {
        #[test]
        fn the_lowest_is_allowed_and_none_is_below(
            sets in [set(), set(), set(), set()],
            from: i32,
            probes in prop::collection::vec(any::<u32>(), 64),
        ) {
            let offsets = Offsets(sets);
            let found = offsets.at_least(from);
            if let Some(found) = found {
                prop_assert!(found >= from && offsets.allows(found));
            }
            let end = found.map_or(i64::from(i32::MAX) + 1, i64::from);
            for probe in probes {
                let span = end - i64::from(from);
                if span > 0 {
                    let between = i64::from(from) + i64::from(probe) % span;
                    prop_assert!(!offsets.allows(between as i32), "{between:#x}");
                }
            }
        }
    }

    #[test]
    fn negative_offsets_come_first() {
        let trap = Offsets([ByteSet::ANY, ByteSet::ANY, ByteSet::ANY, ByteSet::of(&[0xcc, 0x06])]);
        assert_eq!(trap.at_least(i32::MIN), Some(0xcc00_0000_u32.cast_signed()));
        assert_eq!(trap.at_least(-1), Some(0x0600_0000));
        assert_eq!(trap.at_least(0x0700_0000), None);
        assert_eq!(Offsets::ANY.at_least(7), Some(7));
    }

    #[test]
    fn a_set_without_a_value_is_smaller() {
        let mut two = ByteSet::of(&[3, 200]);
        assert!(two.is_open() && two.contains(200));
        two.remove(200);
        assert!(!two.is_open() && two.contains(3) && !two.contains(200));
    }
}
