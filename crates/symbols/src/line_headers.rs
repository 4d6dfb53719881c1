//! Which line tables name a source file of some name, told by their headers
//! alone: no unit is read, and no path is put together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gimli::{DebugLineOffset, Section as _};
use rayon::prelude::*;

use crate::units::Slice;

/// Where tables begin, in their section; `None` when one cannot be read, so that
/// nothing can be ruled out.
pub(crate) type Tables = Option<Arc<[usize]>>;

/// What has been asked: by the last component of a path, the tables that name
/// such a file.
#[derive(Debug, Default)]
pub(crate) struct LineHeaders {
    known: Mutex<HashMap<Box<[u8]>, Tables>>,
}

/// Bytes of an address in the line tables of 64-bit programs.
const ADDRESS_SIZE: u8 = 8;

impl LineHeaders {
    /// The tables that name a file whose last component is `name`. `sections`
    /// gives those with line tables and their strings, when they are needed.
    pub(crate) fn naming(
        &self,
        name: &[u8],
        sections: impl FnOnce() -> Option<gimli::Dwarf<Slice>>,
    ) -> Tables {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(name) {
            return found.clone();
        }
        let found = sections().and_then(|dwarf| find(&dwarf, name));
        known().insert(name.into(), found.clone());
        found
    }
}

fn find(dwarf: &gimli::Dwarf<Slice>, name: &[u8]) -> Tables {
    let offsets = starts(dwarf.debug_line.reader().slice())?;
    let named = offsets.par_iter().map(|at| names(dwarf, *at, name));
    let named: Vec<bool> = named.collect::<Option<_>>()?;
    Some(offsets.iter().zip(named).filter(|(_, named)| *named).map(|(at, _)| *at).collect())
}

/// Where tables begin, by the length that each begins with (DWARF 5 sections
/// 6.2.4 and 7.4).
fn starts(section: &[u8]) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < section.len() {
        found.push(at);
        let rest = &section[at..];
        let short = u32::from_le_bytes(*rest.first_chunk()?);
        let (len, size) = match short {
            u32::MAX => (u64::from_le_bytes(*rest.get(4..)?.first_chunk()?), 12),
            short => (u64::from(short), 4),
        };
        at = at.checked_add(size)?.checked_add(usize::try_from(len).ok()?)?;
    }
    Some(found)
}

/// Whether the table at an offset names such a file.
fn names(dwarf: &gimli::Dwarf<Slice>, at: usize, name: &[u8]) -> Option<bool> {
    let program = dwarf.debug_line.program(DebugLineOffset(at), ADDRESS_SIZE, None, None).ok()?;
    for file in program.header().file_names() {
        // A string of a file shared with other images is not at hand here.
        let path = dwarf.attr_line_string(file.path_name()).ok()?;
        if last_component(path.slice()) == name {
            return Some(true);
        }
    }
    Some(false)
}

/// The name of a file without the folders it is in.
pub(crate) fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_follow_each_other_by_their_lengths() {
        let mut section = vec![3, 0, 0, 0, 1, 2, 3];
        section.extend([0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 9]);
        section.extend([0, 0, 0, 0]);
        assert_eq!(starts(&section), Some(vec![0, 7, 20]));
        assert_eq!(starts(&section[..22]), None);
        assert_eq!(starts(&[]), Some(Vec::new()));
    }
}
