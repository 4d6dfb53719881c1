//! Mapping a file, and handing out its bytes for as long as the owner is kept.
//! The only `unsafe` code of this crate; everything else is safe code over
//! slices.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use memmap2::Mmap;

use crate::bytes::Backing;
use crate::live::Listed;

/// A file mapped for reading. Bytes that the file loses meanwhile are read as
/// zeros, and the mapping says so, where the system's way of telling of it is
/// passed on to [`crate::lost_at`].
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Before the mapping, since fields are dropped in their order: what is
    /// listed is mapped.
    listed: Listed,
    map: Mmap,
}

impl Mapping {
    /// Whether bytes were asked for that the file no longer had.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.listed.is_cut_short()
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// Maps a file for reading.
///
/// Linkers and package managers replace program files rather than rewrite
/// them, which leaves a mapping whole; what others do to a file in its place
/// shows in the mapping.
pub(crate) fn map(file: &File) -> io::Result<Mapping> {
    // SAFETY: the mapping is private and never written by this process; every
    // reader treats the bytes as untrusted and re-checks bounds on each use.
    let map = unsafe { Mmap::map(file) }?;
    let start = map.as_ptr().addr();
    Ok(Mapping { listed: Listed::new(start..start.saturating_add(map.len())), map })
}

/// The bytes of `owner` without its lifetime.
///
/// Contract, held by [`crate::bytes::Bytes`] alone (the only caller): the
/// slice is stored beside a clone of `owner`, and no public function of this
/// crate returns it with a lifetime longer than the borrow of an `Image`.
pub(crate) fn unbounded(owner: &Arc<Backing>) -> &'static [u8] {
    let bytes: &[u8] = owner;
    let (start, len) = (bytes.as_ptr(), bytes.len());
    // SAFETY: `Backing` never moves its bytes until the last `Arc` goes, and
    // the caller keeps one beside the slice, as said above. Only the system
    // changes them, as `map` says.
    unsafe { std::slice::from_raw_parts(start, len) }
}
