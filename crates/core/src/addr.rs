//! Address spaces as types: an address of a process, of an image and of a
//! file never mix without a named conversion.
//!
//! All are `u64`, never the host's `usize`, so that a 64-bit debuggee can be
//! described anywhere.

use std::fmt;

macro_rules! address_space {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a raw number that is already known to belong to this space.
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The raw number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// `self + bytes`, or `None` past the end of the space.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }

            /// `self + bytes`, wrapping as the processor's own address
            /// arithmetic does.
            pub const fn wrapping_add(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }

            /// `self - bytes`, wrapping as the processor's own address
            /// arithmetic does.
            pub const fn wrapping_sub(self, bytes: u64) -> Self {
                Self(self.0.wrapping_sub(bytes))
            }

            /// `self + bytes` for a signed displacement, wrapping.
            pub const fn wrapping_offset(self, bytes: i64) -> Self {
                Self(self.0.wrapping_add_signed(bytes))
            }

            /// Bytes from `start` to `self`, or `None` when `self` lies below.
            pub const fn checked_sub(self, start: Self) -> Option<u64> {
                self.0.checked_sub(start.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

address_space! {
    /// An address in the virtual memory of a running process.
    VirtAddr
}
address_space! {
    /// An address as the linker wrote it into an image (ELF `p_vaddr`, PE RVA
    /// plus preferred base), before any load bias.
    ImageAddr
}
address_space! {
    /// An offset into a file on disk.
    FileOff
}

/// What is added to an [`ImageAddr`] to get the [`VirtAddr`] where it was
/// loaded (zero for a fixed-address executable).
///
/// The addition wraps: a shared object prelinked high and loaded low has a
/// "negative" bias.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LoadBias(u64);

impl LoadBias {
    /// A bias known as a number.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The bias that puts `image` at `loaded`.
    pub const fn between(image: ImageAddr, loaded: VirtAddr) -> Self {
        Self(loaded.0.wrapping_sub(image.0))
    }

    /// The raw number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Where an image address was loaded.
    pub const fn to_virt(self, addr: ImageAddr) -> VirtAddr {
        VirtAddr(addr.0.wrapping_add(self.0))
    }

    /// Which image address a loaded address came from.
    pub const fn to_image(self, addr: VirtAddr) -> ImageAddr {
        ImageAddr(addr.0.wrapping_sub(self.0))
    }
}

/// A half-open range of process addresses, `start <= end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AddrRange {
    /// First address inside.
    pub start: VirtAddr,
    /// First address past the end.
    pub end: VirtAddr,
}

impl AddrRange {
    /// The range of `len` bytes at `start`, cut at the end of the address space.
    pub const fn sized(start: VirtAddr, len: u64) -> Self {
        Self { start, end: VirtAddr(start.0.saturating_add(len)) }
    }

    /// The range between two addresses; empty at `start` when `end` is below.
    pub const fn between(start: VirtAddr, end: VirtAddr) -> Self {
        if end.0 < start.0 { Self { start, end: start } } else { Self { start, end } }
    }

    /// Length in bytes.
    pub const fn len(self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Whether nothing is inside.
    pub const fn is_empty(self) -> bool {
        self.end.0 == self.start.0
    }

    /// Whether `addr` lies inside.
    pub const fn contains(self, addr: VirtAddr) -> bool {
        self.start.0 <= addr.0 && addr.0 < self.end.0
    }

    /// Whether all of `other` lies inside.
    pub const fn covers(self, other: Self) -> bool {
        self.start.0 <= other.start.0 && other.end.0 <= self.end.0
    }

    /// Whether the two ranges share a byte.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start.0 < other.end.0 && other.start.0 < self.end.0
    }

    /// The shared bytes, or `None`.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let both = Self { start: self.start.max(other.start), end: self.end.min(other.end) };
        (both.start < both.end).then_some(both)
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bias_converts_both_ways_even_when_it_wraps() {
        let bias = LoadBias::between(ImageAddr::new(0x7000_0000), VirtAddr::new(0x1000));
        let image = ImageAddr::new(0x7000_0040);
        assert_eq!(bias.to_virt(image), VirtAddr::new(0x1040));
        assert_eq!(bias.to_image(VirtAddr::new(0x1040)), image);
    }

    #[test]
    fn ranges_are_half_open() {
        let range = AddrRange::sized(VirtAddr::new(0x10), 4);
        assert!(range.contains(VirtAddr::new(0x13)));
        assert!(!range.contains(VirtAddr::new(0x14)));
        assert!(!range.overlaps(AddrRange::sized(VirtAddr::new(0x14), 1)));
        assert_eq!(
            range.intersection(AddrRange::sized(VirtAddr::new(0x12), 8)),
            Some(AddrRange::sized(VirtAddr::new(0x12), 2))
        );
        assert_eq!(AddrRange::sized(VirtAddr::new(u64::MAX - 1), 8).len(), 1);
    }
}
