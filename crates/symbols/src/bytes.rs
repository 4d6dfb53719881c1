//! Bytes that stay in place while anything parsed from them lives: a mapped
//! file, or a buffer (a decompressed section, an image read from memory).

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::sys::{self, Mapping};

/// Files up to this many bytes are read instead of mapped.
const SMALL: u64 = 16 * 1024;

/// Files of more bytes are kept open, see [`Bytes::any_piece`].
const LARGE: u64 = 1024 * 1024;

/// Bytes that are read at a time: they stay in the processor's own cache.
const PIECE_SIZE: usize = 256 * 1024;

/// Reads some bytes at a place of a file, as many as one call to the system
/// gives.
pub type ReadAt = fn(&File, u64, &mut [u8]) -> io::Result<usize>;

static READ_AT: OnceLock<ReadAt> = OnceLock::new();

thread_local! {
    static PIECE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Says how to read from a place of a file that others read as well. Until then
/// all files are read where they are mapped.
pub fn read_files_with(read_at: ReadAt) {
    // The same for the whole process, whoever says it first.
    let _first = READ_AT.set(read_at);
}

/// Whether a buffer was filled.
fn read_whole(read_at: ReadAt, file: &File, at: u64, buffer: &mut [u8]) -> bool {
    let mut read = 0;
    while read < buffer.len() {
        match read_at(file, at + read as u64, &mut buffer[read..]) {
            Ok(count) if count > 0 => read += count,
            _ => return false,
        }
    }
    true
}

/// What owns the bytes.
#[derive(Debug)]
pub(crate) enum Backing {
    /// A mapped file, with the file itself if it is large.
    Mapped(Mapping, Option<File>),
    /// A buffer of ours.
    Owned(Box<[u8]>),
}

impl Deref for Backing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map, _) => map,
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
            let mapping = sys::map(&file)?;
            let large = metadata.len() > LARGE;
            return Ok(Self::new(Backing::Mapped(mapping, large.then_some(file))));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(SMALL + 1).read_to_end(&mut bytes)?;
        Ok(Self::owned(bytes))
    }

    /// Whether they are those of a file that has lost some since it was mapped:
    /// zeros stand for what was asked for and not there any more.
    pub(crate) fn are_cut_short(&self) -> bool {
        matches!(&*self.owner, Backing::Mapped(mapping, _) if mapping.is_cut_short())
    }

    /// Whether a slice is of these bytes.
    pub(crate) fn hold(&self, part: &[u8]) -> bool {
        let (all, part) = (self.all.as_ptr_range(), part.as_ptr_range());
        all.start <= part.start && part.end <= all.end
    }

    /// Whether any piece of `part`, a slice of these bytes, is wanted. Pieces
    /// overlap by so many bytes. Those of a large file are read and not looked
    /// at where they are mapped: that takes less time, and no memory.
    pub(crate) fn any_piece(
        &self,
        part: &[u8],
        overlap: usize,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        let (Backing::Mapped(_, Some(file)), Some(read_at)) = (&*self.owner, READ_AT.get()) else {
            return wanted(part);
        };
        let start = part.as_ptr().addr() - self.all.as_ptr().addr();
        PIECE.with_borrow_mut(|buffer| {
            buffer.resize(PIECE_SIZE.max(2 * overlap), 0);
            let mut at = 0;
            while at < part.len() {
                let len = buffer.len().min(part.len() - at);
                let piece = &mut buffer[..len];
                // What the file has lost is read where it is mapped, which
                // takes note of it.
                let whole = read_whole(*read_at, file, (start + at) as u64, piece);
                if wanted(if whole { piece } else { &part[at..at + len] }) {
                    return true;
                }
                if at + len == part.len() {
                    break;
                }
                at += len - overlap;
            }
            false
        })
    }

    /// All the bytes, valid while any clone of `self` lives.
    pub(crate) fn all(&self) -> &'static [u8] {
        self.all
    }
}
