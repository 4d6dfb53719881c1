//! Bytes of variables that live in registers, in pieces, or nowhere.

use trapline_core::VirtAddr;
use trapline_core::location::{self, Piece, Place};
use trapline_core::x64::{Reg, RegClass};

use super::{Fault, Machine};

const PAST_END: Fault = Fault::Malformed("the value is larger than its place");

/// Fills `out` with the bytes of a place from `offset` on.
pub(super) fn fetch(
    place: &Place,
    offset: u64,
    out: &mut [u8],
    machine: &dyn Machine,
) -> Result<(), Fault> {
    match place {
        Place::Memory(program) => {
            let start = location::run(program, machine)?;
            machine.read_exact(VirtAddr::new(start.wrapping_add(offset)), out)?;
            Ok(())
        }
        Place::Register(reg) => register(*reg, offset, out, machine),
        Place::Value(program) => copy(&location::run(program, machine)?.to_le_bytes(), offset, out),
        Place::Bytes(bytes) => copy(bytes, offset, out),
        Place::Pieces(all) => pieces(all, offset, out, machine),
        Place::Unavailable(why) => Err(Fault::Unavailable(why.clone())),
    }
}

fn register(reg: Reg, offset: u64, out: &mut [u8], machine: &dyn Machine) -> Result<(), Fault> {
    if let (RegClass::Vector, Reg::Xmm(index)) = (reg.class(), reg) {
        let bytes = machine.vector_register(index).map_err(Fault::Unknown)?;
        return copy(&bytes, offset, out);
    }
    let word = machine.register(reg).map_err(Fault::Unknown)?;
    copy(&word.to_le_bytes(), offset, out)
}

fn copy(bytes: &[u8], offset: u64, out: &mut [u8]) -> Result<(), Fault> {
    let start = usize::try_from(offset).map_err(|_| PAST_END)?;
    let end = start.checked_add(out.len()).ok_or(PAST_END)?;
    out.copy_from_slice(bytes.get(start..end).ok_or(PAST_END)?);
    Ok(())
}

/// Takes from each piece what of `out` lies in it.
fn pieces(
    pieces: &[Piece],
    offset: u64,
    out: &mut [u8],
    machine: &dyn Machine,
) -> Result<(), Fault> {
    let mut skip = offset;
    let mut rest = out;
    for piece in pieces {
        if rest.is_empty() {
            break;
        }
        if skip >= piece.len {
            skip -= piece.len;
            continue;
        }
        let here = usize::try_from(piece.len - skip).unwrap_or(usize::MAX).min(rest.len());
        let (now, later) = rest.split_at_mut(here);
        fetch(&piece.place, skip, now, machine)?;
        skip = 0;
        rest = later;
    }
    if rest.is_empty() { Ok(()) } else { Err(PAST_END) }
}
