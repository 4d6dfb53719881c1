//! Choices: from a seed, or from bytes that a fuzzer makes up.

/// xorshift64*, after the given bytes are used up.
pub(crate) struct Random {
    bytes: std::vec::IntoIter<u8>,
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self::from_bytes(seed, Vec::new())
    }

    pub(crate) fn from_bytes(seed: u64, bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into_iter(), state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        match self.bytes.next() {
            Some(byte) if limit <= 256 => u64::from(byte) % limit,
            _ => (self.next() >> 11) % limit,
        }
    }

    pub(crate) fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}
