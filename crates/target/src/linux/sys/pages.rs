//! Giving memory back to the kernel that mapped files take.

/// Gives back the pages of a mapping (madvise(2), `MADV_DONTNEED`).
///
/// # Safety
/// `mapped` is all of a private mapping of a file, or of several beside each
/// other, and was never written: its pages are read from the file again when
/// they are next looked at.
pub unsafe fn give_back_pages(mapped: &[u8]) {
    // SAFETY: what becomes of the pages is the caller's to promise; no memory
    // is unmapped, and a mapping begins at a page's start.
    unsafe { libc::madvise(mapped.as_ptr().cast_mut().cast(), mapped.len(), libc::MADV_DONTNEED) };
}
