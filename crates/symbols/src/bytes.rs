//! Bytes that stay in place while anything parsed from them lives: a mapped
//! file, or a buffer (a decompressed section, an image read from memory).

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::sys::{self, Mapping};

/// Files up to this many bytes are read instead of mapped.
const SMALL: u64 = 16 * 1024;

/// What owns the bytes.
#[derive(Debug)]
pub(crate) enum Backing {
    /// A mapped file.
    Mapped(Mapping),
    /// A buffer of ours.
    Owned(Box<[u8]>),
}

impl Deref for Backing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A slice together with what keeps it alive. Whoever copies [`Bytes::all`]
/// into a parsed structure stores a clone of these `Bytes` in the same one.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    all: &'static [u8],
    owner: Arc<Backing>,
}

impl Bytes {
    fn new(backing: Backing) -> Self {
        let owner = Arc::new(backing);
        Self { all: sys::unbounded(&owner), owner }
    }

    /// Takes a buffer.
    pub(crate) fn owned(bytes: Vec<u8>) -> Self {
        Self::new(Backing::Owned(bytes.into_boxed_slice()))
    }

    /// Opens a file, mapping it unless it is small.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.is_file() && metadata.len() > SMALL {
            return Ok(Self::new(Backing::Mapped(sys::map(&file)?)));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(SMALL + 1).read_to_end(&mut bytes)?;
        Ok(Self::owned(bytes))
    }

    /// Whether they are those of a file that has lost some since it was mapped:
    /// zeros stand for what was asked for and not there any more.
    pub(crate) fn are_cut_short(&self) -> bool {
        matches!(&*self.owner, Backing::Mapped(mapping) if mapping.is_cut_short())
    }

    /// Lets go of the memory that reading a mapped file took.
    pub(crate) fn give_back(&self) {
        if let Backing::Mapped(mapping) = &*self.owner {
            mapping.give_back();
        }
    }

    /// All the bytes, valid while any clone of `self` lives.
    pub(crate) fn all(&self) -> &'static [u8] {
        self.all
    }
}
