//! Mapping a file, and handing out its bytes for as long as the owner is kept.
//! The only `unsafe` code of this crate; everything else is safe code over
//! slices.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

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

    /// Gives the pages that were read back to the system, which keeps them as
    /// long as it has room: whoever reads them again finds them there.
    pub(crate) fn give_back(&self) {
        let Some(give_back) = GIVE_BACK.get() else { return };
        // SAFETY: the mapping is private and never written, so that no page has
        // anything that the file has not; what stands for a lost page is zeros,
        // and stays so.
        unsafe { give_back(&self.map) }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// Gives pages of a mapping back to the system.
///
/// # Safety
/// The caller has bytes of whole private mappings of files, never written: their
/// pages are read from the file again when they are next looked at.
pub type GiveBack = unsafe fn(&[u8]);

static GIVE_BACK: OnceLock<GiveBack> = OnceLock::new();

/// Says how pages are given back on this system. Until then none are.
pub fn give_back_with(give_back: GiveBack) {
    // The same for the whole process, whoever says it first.
    let _first = GIVE_BACK.set(give_back);
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
