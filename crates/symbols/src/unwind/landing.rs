//! Landing pads: where a function continues while an exception is unwound
//! through it, read from its language-specific data area.
//!
//! The layout is that of the C++ ABI's exception handling tables, which g++,
//! clang and rustc share (LLVM's "Itanium ABI zero-cost exception handling").
//! What a pad does is not looked at.

use gimli::{DwEhPe, EndianSlice, LittleEndian, Reader, constants as dw};

use super::cfi::Slice;

/// A place the unwinder enters a function at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LandingPad {
    pub(crate) address: u64,
    /// Whether it may catch the exception; else it cleans up and passes on.
    pub(crate) catches: bool,
}

/// The landing pads of the function that starts at `function` and whose area,
/// at `address`, starts with `bytes`. What is damaged ends the list.
pub(crate) fn landing_pads(bytes: &[u8], address: u64, function: u64) -> Vec<LandingPad> {
    let mut pads = Vec::new();
    let mut area =
        Area { rest: EndianSlice::new(bytes, LittleEndian), whole: bytes.len(), address };
    let _damaged = area.read(function, &mut pads);
    pads.sort_unstable();
    pads.dedup();
    pads
}

/// Where the reading of an area has come to.
struct Area<'d> {
    rest: Slice<'d>,
    whole: usize,
    address: u64,
}

impl Area<'_> {
    fn read(&mut self, function: u64, pads: &mut Vec<LandingPad>) -> Option<()> {
        let base = match self.encoding()? {
            dw::DW_EH_PE_omit => function,
            encoding => self.pointer(encoding)?,
        };
        if self.encoding()? != dw::DW_EH_PE_omit {
            self.rest.read_uleb128().ok()?;
        }
        let encoding = self.encoding()?;
        let length = usize::try_from(self.rest.read_uleb128().ok()?).ok()?;
        let left = self.rest.len().checked_sub(length)?;
        while self.rest.len() > left {
            self.pointer(encoding)?;
            self.pointer(encoding)?;
            let pad = self.pointer(encoding)?;
            let action = self.rest.read_uleb128().ok()?;
            if pad != 0 {
                let address = base.wrapping_add(pad);
                pads.push(LandingPad { address, catches: action != 0 });
            }
        }
        Some(())
    }

    fn encoding(&mut self) -> Option<DwEhPe> {
        self.rest.read_u8().ok().map(DwEhPe)
    }

    /// A value of an encoding; `None` for those that no compiler uses here.
    fn pointer(&mut self, encoding: DwEhPe) -> Option<u64> {
        let here = self.address.wrapping_add((self.whole - self.rest.len()) as u64);
        let value = match encoding.format() {
            dw::DW_EH_PE_absptr | dw::DW_EH_PE_udata8 | dw::DW_EH_PE_sdata8 => {
                self.rest.read_u64().ok()?
            }
            dw::DW_EH_PE_uleb128 => self.rest.read_uleb128().ok()?,
            dw::DW_EH_PE_sleb128 => self.rest.read_sleb128().ok()?.cast_unsigned(),
            dw::DW_EH_PE_udata2 => u64::from(self.rest.read_u16().ok()?),
            dw::DW_EH_PE_sdata2 => i64::from(self.rest.read_i16().ok()?).cast_unsigned(),
            dw::DW_EH_PE_udata4 => u64::from(self.rest.read_u32().ok()?),
            dw::DW_EH_PE_sdata4 => i64::from(self.rest.read_i32().ok()?).cast_unsigned(),
            _ => return None,
        };
        match encoding.application() {
            dw::DW_EH_PE_absptr => Some(value),
            dw::DW_EH_PE_pcrel if !encoding.is_indirect() => Some(here.wrapping_add(value)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OMIT: u8 = 0xff;
    const ULEB: u8 = 0x01;
    const UDATA4: u8 = 0x03;
    const PCREL_SDATA4: u8 = 0x1b;

    fn check(bytes: &[u8], expected: &[(u64, bool)]) {
        let found: Vec<(u64, bool)> = landing_pads(bytes, 0x5000, 0x1000)
            .iter()
            .map(|pad| (pad.address, pad.catches))
            .collect();
        assert_eq!(found, expected, "{bytes:02x?}");
    }

    #[test]
    fn pads_are_read_whatever_the_encoding() {
        let calls = [0, 8, 0x20, 0, 8, 4, 0, 0, 12, 4, 0x30, 1];
        check(&[&[OMIT, OMIT, ULEB, 12][..], &calls].concat(), &[(0x1020, false), (0x1030, true)]);
        check(&[&[OMIT, 0x9b, 40, ULEB, 4][..], &calls[..4]].concat(), &[(0x1020, false)]);
        let four = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0];
        check(&[&[OMIT, OMIT, UDATA4, 13][..], &four].concat(), &[(0x1003, false)]);
        // The base lies 0x100 past the place it is told at, 0x5001.
        let base = [PCREL_SDATA4, 0, 1, 0, 0, OMIT, ULEB, 4];
        check(&[&base[..], &calls[..4]].concat(), &[(0x5121, false)]);
    }

    #[test]
    fn damage_ends_the_list() {
        check(&[], &[]);
        check(&[OMIT, OMIT, ULEB, 200, 0, 8, 0x20, 0], &[]);
        check(&[OMIT, OMIT, ULEB, 7, 0, 8, 0x20, 0, 8, 4, 0x80], &[(0x1020, false)]);
        check(&[OMIT, OMIT, 0x50, 4, 0, 8, 0x20, 0], &[]);
        check(&[OMIT, 0x9b, 0x80, 0x80], &[]);
    }
}
