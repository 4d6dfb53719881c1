//! Files of this machine, opened, read and written for a client of the remote
//! protocol, who names them by bytes and sees them as a process does.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of the system's as a string of its own.
pub(crate) fn os_string(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// A path by its bytes, as a process sees it; as we do for 0.
pub(crate) fn path_as_seen(path: &[u8], process: u64) -> PathBuf {
    let path = Path::new(OsStr::from_bytes(path));
    if process == 0 {
        return path.to_owned();
    }
    let here = fs::read_link("/proc/self/ns/mnt").ok();
    let there = fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    match path.strip_prefix("/") {
        Ok(inside) if there.is_some() && here != there => {
            PathBuf::from(format!("/proc/{process}/root")).join(inside)
        }
        _ => path.to_owned(),
    }
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Opening {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) truncate: bool,
    pub(crate) create: bool,
    /// Only where there is none.
    pub(crate) exclusive: bool,
    /// Permissions of one that is created.
    pub(crate) mode: u32,
}

impl Opening {
    pub(crate) fn open(self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(self.read).write(self.write).mode(self.mode);
        options.append(self.append).truncate(self.truncate);
        options.create(self.create && !self.exclusive);
        options.create_new(self.create && self.exclusive);
        options.open(path)
    }
}

/// Reads at a place.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

/// Writes at a place.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

/// Where a link leads.
pub(crate) fn read_link(path: &Path) -> io::Result<Vec<u8>> {
    Ok(fs::read_link(path)?.into_os_string().into_vec())
}

/// Makes a link at a place.
pub(crate) fn make_link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

/// Permissions of a file.
pub(crate) fn permissions(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// What the protocol says of a file: big-endian, times in seconds. GDB manual,
/// "struct stat".
pub(crate) fn stat(metadata: &Metadata) -> Vec<u8> {
    let half = |value: u64| (value as u32).to_be_bytes();
    let mut bytes = Vec::with_capacity(64);
    for value in [
        metadata.dev(),
        metadata.ino(),
        metadata.mode().into(),
        metadata.nlink(),
        metadata.uid().into(),
        metadata.gid().into(),
        metadata.rdev(),
    ] {
        bytes.extend(half(value));
    }
    for value in [metadata.size(), metadata.blksize(), metadata.blocks()] {
        bytes.extend(value.to_be_bytes());
    }
    for value in [metadata.atime(), metadata.mtime(), metadata.ctime()] {
        bytes.extend(half(value.cast_unsigned()));
    }
    bytes
}
