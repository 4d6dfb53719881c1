//! What an image keeps of its types, variables and unwinding rules once they
//! have been read.

use std::sync::OnceLock;

use crate::Image;
use crate::bytes::Bytes;
use crate::types::TypeCache;
use crate::types::scopes::Scopes;
use crate::unwind::{Cfi, CfiSections, SectionBytes};

/// Everything here is filled in on demand.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) types: TypeCache,
    pub(crate) scopes: Scopes,
    cfi: OnceLock<KeptCfi>,
}

#[derive(Debug)]
struct KeptCfi {
    cfi: Cfi<'static>,
    /// Holds the sections that `cfi` reads.
    _keep: Vec<Bytes>,
}

impl Image {
    /// The image's call frame information.
    pub(crate) fn cfi(&self) -> &Cfi<'static> {
        &self.values.cfi.get_or_init(|| self.load_cfi()).cfi
    }

    fn load_cfi(&self) -> KeptCfi {
        let mut keep = Vec::new();
        let mut take = |name: &str| {
            let section = self.section(name)?;
            keep.extend(section.keep);
            Some(SectionBytes { bytes: section.data, address: section.address })
        };
        let sections = CfiSections {
            eh_frame: take(".eh_frame"),
            eh_frame_hdr: take(".eh_frame_hdr"),
            debug_frame: take(".debug_frame"),
            text: take(".text").map(|section| section.address),
            got: take(".got").map(|section| section.address),
        };
        KeptCfi { cfi: Cfi::new(sections), _keep: keep }
    }
}
