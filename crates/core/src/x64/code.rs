//! A few bytes of code, kept by value: there may be very many at once.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::MAX_INSTRUCTION;

/// At most as many bytes as one instruction has.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct CodeBytes {
    len: u8,
    /// Zero past `len`.
    bytes: [u8; MAX_INSTRUCTION],
}

impl CodeBytes {
    /// All of `bytes`; `None` when no instruction has so many.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= MAX_INSTRUCTION).then(|| Self::first_of(bytes))
    }

    /// The first of `bytes`, as many as an instruction may have.
    pub fn first_of(bytes: &[u8]) -> Self {
        let count = bytes.len().min(MAX_INSTRUCTION);
        let mut kept = Self { len: count as u8, ..Self::default() };
        kept.copy_from_slice(&bytes[..count]);
        kept
    }
}

impl Deref for CodeBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl DerefMut for CodeBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for CodeBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", &**self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_fits_and_no_more() {
        let bytes: [u8; MAX_INSTRUCTION + 1] = std::array::from_fn(|index| index as u8);
        assert_eq!(CodeBytes::new(&bytes), None);
        assert_eq!(&*CodeBytes::first_of(&bytes), &bytes[..MAX_INSTRUCTION]);
        for len in 0..=MAX_INSTRUCTION {
            assert_eq!(CodeBytes::new(&bytes[..len]).as_deref(), Some(&bytes[..len]));
        }
        assert_ne!(CodeBytes::new(&[0]), CodeBytes::new(&[0, 0]));
    }
}
