//! The crate's only `unsafe`: mapping a file, and handing out its bytes for as
//! long as the owner is kept. Everything else is safe code over slices.

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::Mmap;

use crate::bytes::Backing;

/// Maps a file for reading.
///
/// A file that is cut short by someone else while mapped makes the system kill
/// whoever reads the lost pages; linkers and package managers replace program
/// files rather than rewrite them, which leaves the mapping whole.
pub(crate) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private and never written by this process; every
    // reader treats the bytes as untrusted and re-checks bounds on each use.
    unsafe { Mmap::map(file) }
}

/// The bytes of `owner` without its lifetime.
///
/// Contract, held by [`crate::bytes::Bytes`] alone (the only caller): the
/// slice is stored beside a clone of `owner`, and no public function of this
/// crate returns it with a lifetime longer than the borrow of an `Image`.
pub(crate) fn unbounded(owner: &Arc<Backing>) -> &'static [u8] {
    let bytes: &[u8] = owner;
    let (start, len) = (bytes.as_ptr(), bytes.len());
    // SAFETY: `Backing` never changes or moves its bytes until the last `Arc`
    // goes, and the caller keeps one beside the slice, as said above.
    unsafe { std::slice::from_raw_parts(start, len) }
}
