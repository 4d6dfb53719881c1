//! The registers beside the integer ones, in the format in which the processor
//! itself saves them: x87, SSE, AVX, AVX-512 and protection keys. How the
//! system hands that format out is left to targets.

use std::ops::Range;

/// Bytes of the part of the area that every processor has: x87 and SSE. Intel
/// SDM volume 1, section 10.5.1.
const LEGACY: usize = 512;
/// Where the processor notes which components are not in their initial state.
/// Intel SDM volume 1, section 13.4.2.
const PRESENT: usize = 512;

/// A component of the area that not every processor has. Intel SDM volume 1,
/// section 13.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Component {
    /// Bytes 16 to 31 of `ymm0` to `ymm15`.
    Avx = 2,
    /// `k0` to `k7`.
    Mask = 5,
    /// Bytes 32 to 63 of `zmm0` to `zmm15`.
    ZmmHigh = 6,
    /// `zmm16` to `zmm31`.
    Zmm16 = 7,
    /// The rights of protection keys.
    Pkru = 9,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Avx, Self::Mask, Self::ZmmHigh, Self::Zmm16, Self::Pkru];

    /// Bytes of the component.
    pub const fn size(self) -> usize {
        match self {
            Self::Avx => 16 * 16,
            Self::Mask => 8 * 8,
            Self::ZmmHigh => 16 * 32,
            Self::Zmm16 => 16 * 64,
            Self::Pkru => 8,
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|one| *one == self).unwrap_or(0)
    }
}

/// Where each component is in the area of one processor.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ExtendedLayout {
    offsets: [Option<u32>; Component::ALL.len()],
}

impl ExtendedLayout {
    /// Notes where a component is.
    #[must_use]
    pub fn with(mut self, component: Component, offset: u32) -> Self {
        self.offsets[component.index()] = Some(offset);
        self
    }

    /// Whether the processor has a component.
    pub fn has(&self, component: Component) -> bool {
        self.offsets[component.index()].is_some()
    }

    fn range(&self, component: Component) -> Option<Range<usize>> {
        let start = self.offsets[component.index()]? as usize;
        Some(start..start + component.size())
    }
}

/// A register, or the part of one, that has a place of its own in the area.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the processor's own")]
pub enum ExtendedReg {
    /// `st(0)` to `st(7)`, 10 bytes.
    St(u8),
    /// x87 control and status, of which each is shown as 4 bytes.
    Fctrl,
    Fstat,
    /// Two bits for each register, as the processor itself has them.
    Ftag,
    Fiseg,
    Fioff,
    Foseg,
    Fooff,
    Fop,
    Mxcsr,
    /// 16 bytes; those from 16 on belong to AVX-512.
    Xmm(u8),
    /// Bytes 16 to 31, of registers from 16 on too.
    YmmHigh(u8),
    /// Bytes 32 to 63, of registers from 16 on too.
    ZmmHigh(u8),
    /// 8 bytes.
    K(u8),
    /// 4 bytes.
    Pkru,
}

/// The area of a stopped thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtendedState {
    area: Vec<u8>,
    layout: ExtendedLayout,
}

impl ExtendedState {
    /// An area in the processor's standard (not compacted) format, at least the
    /// part that every processor has; `None` for one that is too short for its
    /// layout.
    pub fn new(area: Vec<u8>, layout: ExtendedLayout) -> Option<Self> {
        let held = |component: &Component| layout.range(*component).map(|range| range.end);
        let needed = Component::ALL.iter().filter_map(held).max().unwrap_or(LEGACY);
        (area.len() >= needed.max(LEGACY)).then_some(Self { area, layout })
    }

    /// The bytes of the whole area.
    pub fn area(&self) -> &[u8] {
        &self.area
    }

    /// Which components there are.
    pub fn layout(&self) -> &ExtendedLayout {
        &self.layout
    }

    /// The value of a register, little-endian; `None` where the processor has no
    /// such register.
    pub fn get(&self, reg: ExtendedReg) -> Option<Vec<u8>> {
        if reg == ExtendedReg::Ftag {
            return Some(u32::from(self.full_tags()).to_le_bytes().to_vec());
        }
        let place = self.place(reg)?;
        let mut bytes = self.area.get(place.bytes)?.to_vec();
        bytes.resize(place.shown, 0);
        Some(bytes)
    }

    /// Changes a register; `false` (and no change) where there is no such
    /// register or `value` has another size.
    pub fn set(&mut self, reg: ExtendedReg, value: &[u8]) -> bool {
        if reg == ExtendedReg::Ftag {
            return self.set_full_tags(value);
        }
        let Some(place) = self.place(reg) else { return false };
        let Some(value) = value.get(..place.bytes.len()).filter(|_| value.len() == place.shown)
        else {
            return false;
        };
        self.area[place.bytes].copy_from_slice(value);
        self.note_present(place.component);
        true
    }

    /// Notes that a component is no longer in its initial state.
    fn note_present(&mut self, component: u8) {
        if let Some(present) = self.area.get_mut(PRESENT..PRESENT + 8) {
            present[usize::from(component / 8)] |= 1 << (component % 8);
        }
    }

    fn place(&self, reg: ExtendedReg) -> Option<Place> {
        const X87: u8 = 0;
        const SSE: u8 = 1;
        let legacy = |start: usize, len: usize, shown: usize, component: u8| {
            Some(Place { bytes: start..start + len, shown, component })
        };
        match reg {
            ExtendedReg::St(index) if index < 8 => {
                legacy(32 + 16 * usize::from(index), 10, 10, X87)
            }
            ExtendedReg::Fctrl => legacy(0, 2, 4, X87),
            ExtendedReg::Fstat => legacy(2, 2, 4, X87),
            ExtendedReg::Ftag => legacy(4, 1, 4, X87),
            ExtendedReg::Fop => legacy(6, 2, 4, X87),
            ExtendedReg::Fioff => legacy(8, 4, 4, X87),
            ExtendedReg::Fiseg => legacy(12, 2, 4, X87),
            ExtendedReg::Fooff => legacy(16, 4, 4, X87),
            ExtendedReg::Foseg => legacy(20, 2, 4, X87),
            ExtendedReg::Mxcsr => legacy(24, 4, 4, SSE),
            ExtendedReg::Xmm(index) if index < 16 => {
                legacy(160 + 16 * usize::from(index), 16, 16, SSE)
            }
            ExtendedReg::Xmm(index) => self.high_bank(index, 0, 16),
            ExtendedReg::YmmHigh(index) if index < 16 => {
                self.part(Component::Avx, 16 * usize::from(index), 16)
            }
            ExtendedReg::YmmHigh(index) => self.high_bank(index, 16, 16),
            ExtendedReg::ZmmHigh(index) if index < 16 => {
                self.part(Component::ZmmHigh, 32 * usize::from(index), 32)
            }
            ExtendedReg::ZmmHigh(index) => self.high_bank(index, 32, 32),
            ExtendedReg::K(index) if index < 8 => {
                self.part(Component::Mask, 8 * usize::from(index), 8)
            }
            ExtendedReg::Pkru => self.part(Component::Pkru, 0, 4),
            ExtendedReg::St(_) | ExtendedReg::K(_) => None,
        }
    }

    fn part(&self, component: Component, offset: usize, len: usize) -> Option<Place> {
        let start = self.layout.range(component)?.start + offset;
        Some(Place { bytes: start..start + len, shown: len, component: component as u8 })
    }

    /// A part of a vector register from 16 on.
    fn high_bank(&self, index: u8, offset: usize, len: usize) -> Option<Place> {
        let bank = usize::from(index).checked_sub(16).filter(|bank| *bank < 16)?;
        self.part(Component::Zmm16, 64 * bank + offset, len)
    }

    /// The tag word as the processor has it, from the short form in the area:
    /// valid 0, zero 1, special 2, empty 3. Intel SDM volume 1, sections 8.1.7
    /// and 10.5.1.1.
    fn full_tags(&self) -> u16 {
        let in_use = self.area[4];
        let top = (self.area[3] >> 3) & 7;
        (0..8u8).fold(0, |tags, physical| {
            let tag = match in_use & (1 << physical) {
                0 => 3,
                _ => self.tag_of(physical.wrapping_sub(top) & 7),
            };
            tags | tag << (2 * physical)
        })
    }

    fn tag_of(&self, stack: u8) -> u16 {
        let start = 32 + 16 * usize::from(stack);
        let (fraction, exponent) = self.area[start..start + 10].split_at(8);
        let exponent = u16::from_le_bytes([exponent[0], exponent[1]]) & 0x7fff;
        let integer_bit = fraction[7] & 0x80 != 0;
        let is_zero = fraction.iter().all(|byte| *byte == 0);
        match exponent {
            0 if is_zero => 1,
            0 | 0x7fff => 2,
            _ if !integer_bit => 2,
            _ => 0,
        }
    }

    fn set_full_tags(&mut self, value: &[u8]) -> bool {
        let &[low, high, _, _] = value else { return false };
        let tags = u16::from_le_bytes([low, high]);
        let used = |physical: &u8| (tags >> (2 * physical)) & 3 != 3;
        self.area[4] = (0..8u8).filter(used).fold(0, |bits, physical| bits | 1 << physical);
        self.note_present(0);
        true
    }
}

/// Where a register is in the area.
struct Place {
    bytes: Range<usize>,
    /// Bytes that it is shown as, the rest being zero.
    shown: usize,
    component: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a processor with AVX-512 has it.
    fn state() -> ExtendedState {
        let layout = ExtendedLayout::default()
            .with(Component::Avx, 576)
            .with(Component::Mask, 1088)
            .with(Component::ZmmHigh, 1152)
            .with(Component::Zmm16, 1664)
            .with(Component::Pkru, 2688);
        ExtendedState::new(vec![0; 2696], layout).unwrap()
    }

    fn all() -> Vec<ExtendedReg> {
        use ExtendedReg::{
            Fctrl, Fioff, Fiseg, Fooff, Fop, Foseg, Fstat, K, Mxcsr, Pkru, St, Xmm, YmmHigh,
            ZmmHigh,
        };
        let mut all = vec![Fctrl, Fstat, Fiseg, Fioff, Foseg, Fooff, Fop, Mxcsr, Pkru];
        all.extend((0..8).flat_map(|index| [St(index), K(index)]));
        all.extend((0..32).flat_map(|index| [Xmm(index), YmmHigh(index), ZmmHigh(index)]));
        all
    }

    #[test]
    fn every_register_has_a_place_of_its_own() {
        for reg in all() {
            let mut state = state();
            let before: Vec<_> = all().into_iter().map(|other| state.get(other)).collect();
            let len = state.get(reg).unwrap().len();
            let mut value = vec![0xa5; len];
            if matches!(
                reg,
                ExtendedReg::Fctrl
                    | ExtendedReg::Fstat
                    | ExtendedReg::Fop
                    | ExtendedReg::Fiseg
                    | ExtendedReg::Foseg
            ) {
                value[2..].fill(0);
            }
            assert!(state.set(reg, &value), "{reg:?}");
            assert_eq!(state.get(reg).as_deref(), Some(&value[..]), "{reg:?}");
            assert!(!state.set(reg, &value[1..]), "{reg:?}");
            let others = all().into_iter().zip(before).filter(|(other, _)| *other != reg);
            for (other, value) in others {
                assert_eq!(state.get(other), value, "{reg:?} changed {other:?}");
            }
        }
    }

    #[test]
    fn what_is_set_is_noted_as_present() {
        let mut state = state();
        state.set(ExtendedReg::YmmHigh(3), &[1; 16]);
        state.set(ExtendedReg::Pkru, &[1; 4]);
        assert_eq!(state.area()[PRESENT..PRESENT + 2], [1 << 2, 1 << 1]);
    }

    #[test]
    fn what_the_processor_lacks_is_not_there() {
        let mut state = ExtendedState::new(vec![0; 576], ExtendedLayout::default()).unwrap();
        assert!(state.get(ExtendedReg::Xmm(15)).is_some());
        for reg in [ExtendedReg::Xmm(16), ExtendedReg::YmmHigh(0), ExtendedReg::K(1)] {
            assert_eq!(state.get(reg), None);
            assert!(!state.set(reg, &[0; 16]));
        }
        assert_eq!(state.get(ExtendedReg::St(8)), None);
        assert!(ExtendedState::new(vec![0; 100], ExtendedLayout::default()).is_none());
        let avx = ExtendedLayout::default().with(Component::Avx, 576);
        assert!(ExtendedState::new(vec![0; 600], avx).is_none());
    }

    #[test]
    fn tags_say_what_the_registers_hold() {
        let mut state = state();
        assert_eq!(state.get(ExtendedReg::Ftag), Some(vec![0xff, 0xff, 0, 0]));
        // Two numbers were pushed: 1.0 on a zero.
        state.set(ExtendedReg::Fstat, &[0, 6 << 3, 0, 0]);
        let one = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
        state.set(ExtendedReg::St(0), &one);
        let tags = [0xff, 0x4f, 0, 0];
        state.set(ExtendedReg::Ftag, &tags);
        assert_eq!(state.area()[4], 0b1100_0000);
        assert_eq!(state.get(ExtendedReg::Ftag).as_deref(), Some(&tags[..]));
        // An infinity is special.
        state.set(ExtendedReg::St(1), &[0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f]);
        assert_eq!(state.get(ExtendedReg::Ftag), Some(vec![0xff, 0x8f, 0, 0]));
    }
}
