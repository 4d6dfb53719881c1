//! Bytes of variables that live in registers, in pieces, or nowhere.

use std::ops::Range;

use trapline_core::VirtAddr;
use trapline_core::location::{self, NO_ADDRESS, Piece, Place};
use trapline_core::x64::{Reg, RegClass};

use super::{Fault, Machine};
use crate::value::OPTIMIZED_OUT;

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
        Place::Pointer(_) => Err(Fault::Unavailable(NO_ADDRESS.to_owned())),
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
    each_piece(pieces, offset, out, &mut |place, skip, part, _| fetch(place, skip, part, machine))
}

/// Which bytes of a value are nowhere.
#[derive(Default)]
pub(super) struct Holes {
    pub(super) missing: Vec<Range<usize>>,
    pub(super) synthetic: Vec<Range<usize>>,
}

/// The same; what is nowhere is the answer, unless it is everything.
pub(super) fn known_pieces(
    pieces: &[Piece],
    offset: u64,
    out: &mut [u8],
    machine: &dyn Machine,
) -> Result<Holes, Fault> {
    let len = out.len();
    let (mut holes, mut known, mut why) = (Holes::default(), 0, None);
    each_piece(pieces, offset, out, &mut |place, skip, part, at| {
        let range = at..at + part.len();
        match fetch(place, skip, part, machine) {
            Ok(()) => known += part.len(),
            Err(_) if matches!(place, Place::Pointer(_)) => {
                known += part.len();
                holes.missing.push(range.clone());
                holes.synthetic.push(range);
            }
            Err(fault @ (Fault::Unavailable(_) | Fault::Unknown(_))) => {
                holes.missing.push(range);
                why.get_or_insert(fault);
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    })?;
    match why.filter(|_| known == 0 && len > 0) {
        Some(fault) => Err(fault),
        None => Ok(holes),
    }
}

/// What is done with a part of a value: its place, the offset in that, the
/// bytes, and where those are in the value.
type OfPiece<'a> = &'a mut dyn FnMut(&Place, u64, &mut [u8], usize) -> Result<(), Fault>;

fn each_piece(
    pieces: &[Piece],
    offset: u64,
    out: &mut [u8],
    work: OfPiece<'_>,
) -> Result<(), Fault> {
    let mut skip = offset;
    let mut at = 0;
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
        work(&piece.place, skip, now, at)?;
        skip = 0;
        at += here;
        rest = later;
    }
    if rest.is_empty() {
        return Ok(());
    }
    // What no piece is for is nowhere.
    work(&Place::Unavailable(OPTIMIZED_OUT.to_owned()), 0, rest, at)
}
