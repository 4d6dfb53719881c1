//! The program's code read, and ours written, many places at a time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use trapline_core::memory::ReadMemory;
use trapline_core::x64::INT3;
use trapline_core::{AddrRange, VirtAddr};

const PAGE: u64 = 4096;

/// The program's code near sites: a page a read when there are many, since
/// they come in crowds.
pub(super) struct CodeWindow {
    start: VirtAddr,
    bytes: Vec<u8>,
    size: usize,
    need: usize,
}

impl CodeWindow {
    /// For as many sites, at each of which `need` bytes are looked at.
    pub(super) fn for_sites(count: usize, need: usize) -> Self {
        let size = if count == 1 { need } else { PAGE as usize };
        Self { start: VirtAddr::new(0), bytes: Vec::new(), size, need }
    }

    /// The bytes from an address on, as many as are needed; fewer where memory
    /// ends.
    pub(super) fn at(
        &mut self,
        addr: VirtAddr,
        read: impl Fn(VirtAddr, &mut [u8]) -> usize,
    ) -> &[u8] {
        let skip = self.inside(addr).unwrap_or_else(|| {
            self.bytes.resize(self.size, 0);
            let read = read(addr, &mut self.bytes);
            self.bytes.truncate(read);
            self.start = addr;
            0
        });
        let end = self.bytes.len().min(skip + self.need);
        &self.bytes[skip..end]
    }

    fn inside(&self, addr: VirtAddr) -> Option<usize> {
        let skip = usize::try_from(addr.checked_sub(self.start)?).ok()?;
        (skip.checked_add(self.need)? <= self.bytes.len()).then_some(skip)
    }
}

/// The program's own code as it is while nothing changes it: every page of it is
/// read once.
#[derive(Default)]
pub(super) struct CodeCache {
    pages: RefCell<HashMap<u64, Box<[u8]>>>,
}

impl CodeCache {
    /// Reads from the cache, or from `memory` into it; how many bytes.
    pub(super) fn read(&self, memory: &impl ReadMemory, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let at = addr.wrapping_add(done as u64);
            let copied = self.copy(memory, at, &mut buf[done..]);
            if copied == 0 {
                break;
            }
            done += copied;
        }
        done
    }

    /// The bytes of a range.
    pub(super) fn bytes(
        &self,
        memory: &impl ReadMemory,
        range: AddrRange,
    ) -> Result<ProgramBytes, Arc<str>> {
        let mut bytes = vec![0; range.len() as usize];
        let read = self.read(memory, range.start, &mut bytes);
        if read < bytes.len() {
            let at = range.start.wrapping_add(read as u64);
            return Err(format!("the code at {at} cannot be read").into());
        }
        Ok(ProgramBytes { range, bytes: bytes.into() })
    }

    /// Copies what there is of one page from an address on.
    fn copy(&self, memory: &impl ReadMemory, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let mut pages = self.pages.borrow_mut();
        let page = pages.entry(addr.get() / PAGE).or_insert_with(|| {
            let mut page = vec![0; PAGE as usize];
            let read = memory.read_some(VirtAddr::new(addr.get() / PAGE * PAGE), &mut page);
            page.truncate(read);
            page.into()
        });
        let rest = page.get((addr.get() % PAGE) as usize..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        count
    }
}

/// The program's own bytes of a range.
pub(super) struct ProgramBytes {
    range: AddrRange,
    bytes: Box<[u8]>,
}

impl ProgramBytes {
    /// So many of them from an address on.
    pub(super) fn at(&self, addr: VirtAddr, len: usize) -> &[u8] {
        self.from(addr).get(..len).unwrap_or_default()
    }

    /// All of them from an address on.
    pub(super) fn from(&self, addr: VirtAddr) -> &[u8] {
        let skip = addr.checked_sub(self.range.start).unwrap_or(u64::MAX);
        usize::try_from(skip).ok().and_then(|skip| self.bytes.get(skip..)).unwrap_or_default()
    }
}

/// Code of ours to be written, neighbours joined so that many pieces cost one
/// write.
#[derive(Default)]
pub(super) struct OurCode {
    runs: Vec<(VirtAddr, Vec<u8>)>,
}

impl OurCode {
    /// Adds a piece that is aligned in its chunk. Pieces come in the order in
    /// which they are there.
    pub(super) fn add(&mut self, at: VirtAddr, bytes: &[u8]) {
        const ALIGNMENT: usize = 16;
        if let Some((start, run)) = self.runs.last_mut()
            && let Some(offset) = at.checked_sub(*start).and_then(|it| usize::try_from(it).ok())
            && (run.len()..run.len() + ALIGNMENT).contains(&offset)
        {
            run.resize(offset, INT3);
            run.extend_from_slice(bytes);
            return;
        }
        self.runs.push((at, bytes.to_vec()));
    }

    /// Adds a piece with others of ours right beside it, in any order.
    pub(super) fn add_alone(&mut self, at: VirtAddr, bytes: &[u8]) {
        self.runs.push((at, bytes.to_vec()));
    }

    /// What to write where.
    pub(super) fn runs(mut self) -> Vec<(VirtAddr, Vec<u8>)> {
        self.runs.sort_by_key(|(at, _)| *at);
        let mut joined: Vec<(VirtAddr, Vec<u8>)> = Vec::with_capacity(self.runs.len());
        for (at, bytes) in self.runs {
            match joined.last_mut() {
                Some((start, run)) if start.wrapping_add(run.len() as u64) == at => {
                    run.extend_from_slice(&bytes);
                }
                _ => joined.push((at, bytes)),
            }
        }
        joined
    }
}
