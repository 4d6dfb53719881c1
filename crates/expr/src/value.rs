//! The value an expression has: a type, bytes, and where they came from.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::location::{NO_ADDRESS, Piece, Place, Pointed};
use trapline_core::types::{BitField, Type};
use trapline_core::x64::RegView;

/// What is said of bytes that are nowhere.
pub const OPTIMIZED_OUT: &str = "optimized out";

/// A value of the debuggee, or one computed from its values.
#[derive(Clone, PartialEq, Debug)]
pub struct Value {
    /// Its type.
    pub ty: Arc<Type>,
    /// Its bytes in memory order, as many as the type has. A bit-field's are
    /// those of the whole number it stands for.
    pub bytes: Bytes,
    /// Which of the bytes are nowhere and mean nothing, ascending: a compiler
    /// may keep parts of a record and drop the others.
    pub missing: Vec<Range<usize>>,
    /// Which of those are pointers to what is known and has no address.
    pub synthetic: Vec<Range<usize>>,
    /// Where it can be written to, if anywhere.
    pub place: Option<ValuePlace>,
}

/// Where a value lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValuePlace {
    /// In memory.
    Memory {
        /// Its first byte.
        address: VirtAddr,
        /// Which bits of the number there, for a bit-field.
        bits: Option<BitField>,
    },
    /// In a register, or a part of one.
    Register(RegView),
}

/// Bytes that live inline while they are at most sixteen.
#[derive(Clone)]
pub enum Bytes {
    /// The first `len` of the array.
    Inline {
        /// How many count.
        len: u8,
        /// The bytes.
        data: [u8; Self::INLINE],
    },
    /// More.
    Heap(Vec<u8>),
}

impl Bytes {
    const INLINE: usize = 16;

    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        match u8::try_from(len) {
            Ok(short) if len <= Self::INLINE => Self::Inline { len: short, data: [0; 16] },
            _ => Self::Heap(vec![0; len]),
        }
    }

    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.as_mut().copy_from_slice(bytes);
        copy
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Inline { len, data } => &data[..usize::from(*len).min(Self::INLINE)],
            Self::Heap(bytes) => bytes,
        }
    }
}

impl AsMut<[u8]> for Bytes {
    fn as_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Inline { len, data } => &mut data[..usize::from(*len).min(Self::INLINE)],
            Self::Heap(bytes) => bytes,
        }
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl Value {
    /// A value that lives nowhere.
    pub fn new(ty: Arc<Type>, bytes: &[u8]) -> Self {
        let (missing, synthetic) = (Vec::new(), Vec::new());
        Self { ty, bytes: Bytes::new(bytes), missing, synthetic, place: None }
    }

    /// Where it is for who asks for it again: its bytes, without those that are
    /// nowhere.
    pub fn kept(&self) -> Place {
        let bytes = self.bytes.as_ref();
        let known = |from: usize, to: usize| {
            let place = Place::Bytes(bytes.get(from..to).unwrap_or_default().to_vec());
            (from < to).then(|| Piece { place, len: (to - from) as u64 })
        };
        if self.missing.is_empty() {
            return Place::Bytes(bytes.to_vec());
        }
        let (mut pieces, mut at) = (Vec::new(), 0);
        for hole in &self.missing {
            pieces.extend(known(at, hole.start));
            let place = if self.synthetic.contains(hole) {
                let place = Place::Unavailable(NO_ADDRESS.to_owned());
                Place::Pointer(Box::new(Pointed { place, offset: 0 }))
            } else {
                Place::Unavailable(OPTIMIZED_OUT.to_owned())
            };
            pieces.push(Piece { place, len: hole.len() as u64 });
            at = hole.end;
        }
        pieces.extend(known(at, bytes.len()));
        Place::Pieces(pieces)
    }

    /// Its bytes as an unsigned number, when there are at most eight.
    pub fn to_u64(&self) -> Option<u64> {
        let bytes = self.bytes.as_ref();
        let mut word = [0; 8];
        word.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    }

    /// The address of its first byte, when it lives in memory at a byte's
    /// boundary.
    pub fn address(&self) -> Option<VirtAddr> {
        match self.place {
            Some(ValuePlace::Memory { address, bits: None }) => Some(address),
            _ => None,
        }
    }
}
