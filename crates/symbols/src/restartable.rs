//! Restartable sequences: code that the kernel sends back to its beginning
//! when anything interrupts it (rseq(2), `linux/rseq.h`). Its descriptors are
//! what `__rseq_cs` sections hold, as librseq and tcmalloc write them. What
//! they mean for breakpoints is left to the engine.

use std::collections::HashMap;

use object::{Object as _, RelocationTarget};
use trapline_core::ImageAddr;

use crate::image::Image;

/// Bytes of one `struct rseq_cs`: version and flags, then three words.
const DESCRIPTOR: usize = 32;
const START: usize = 8;
const LENGTH: usize = 16;

impl Image {
    /// Whether a thread may be at an address within a restartable sequence,
    /// whose beginning has been passed and whose last instruction has not.
    pub fn is_restartable(&self, address: ImageAddr) -> bool {
        let sequences = self.restartable.get_or_init(|| self.read_sequences());
        sequences.iter().any(|&(start, length)| {
            address.get().checked_sub(start).is_some_and(|skip| skip < length)
        })
    }

    /// Starts and lengths.
    fn read_sequences(&self) -> Vec<(u64, u64)> {
        let Some(section) = self.section_named("__rseq_cs") else { return Vec::new() };
        let mut bytes = vec![0; usize::try_from(section.size).unwrap_or(0).min(1 << 20)];
        let read = self.read_static(section.address, &mut bytes);
        // In code that can be placed anywhere, the start is only in the relocation.
        let relocations = self.elf.file.dynamic_relocations().into_iter().flatten();
        let moved: HashMap<u64, u64> = relocations
            .filter(|(_, relocation)| relocation.target() == RelocationTarget::Absolute)
            .map(|(at, relocation)| (at, relocation.addend().cast_unsigned()))
            .collect();
        let word = |descriptor: &[u8], at: usize| {
            descriptor.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
        };
        let descriptors = (0..).step_by(DESCRIPTOR).zip(bytes[..read].chunks_exact(DESCRIPTOR));
        descriptors
            .filter_map(|(skip, descriptor)| {
                let at = section.address.get().checked_add(skip + START as u64)?;
                let start = moved.get(&at).copied().or_else(|| word(descriptor, START))?;
                Some((start, word(descriptor, LENGTH)?))
            })
            .collect()
    }
}
