//! Files of this machine, read and written for the client: `vFile` (GDB manual,
//! Host I/O Packets). Errors are numbered as the protocol numbers them.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::PathBuf;

use trapline_rsp::frame;
use trapline_rsp::request::FileRequest;

use super::link::MAX_PACKET;
use super::server::{Answer, Server};
use crate::backend::files::{self, Opening};

/// The most that one request reads of a file. gdb asks for much and wants a
/// little of it, now here, now there: it takes longer to receive than we to read.
const MOST_READ: usize = 8 * 1024;

// Escaped, each byte may take two.
const _: () = assert!(2 * MOST_READ + 32 < MAX_PACKET);

/// The files that the client has open.
#[derive(Default)]
pub(super) struct HostFiles {
    open: BTreeMap<u32, File>,
    /// The process as which paths are seen; 0 for ourselves.
    seen_as: u64,
}

/// What an operation came to: a number, and bytes where it yields some.
type Outcome = Result<(u64, Option<Vec<u8>>), io::Error>;

impl Server {
    pub(super) fn answer_file(&mut self, request: FileRequest) -> Answer {
        let outcome = match self.files.lldb(&request) {
            Some(answer) => return Answer::Payload(answer.into_bytes()),
            None => self.files.carry_out(request),
        };
        let mut payload = b"F".to_vec();
        match outcome {
            Ok((number, bytes)) => {
                payload.extend(format!("{number:x}").bytes());
                if let Some(bytes) = bytes {
                    payload.push(b';');
                    frame::escape_into(&bytes, &mut payload);
                }
            }
            Err(error) => payload.extend(format!("-1,{:x}", number_of(&error)).bytes()),
        }
        Answer::Payload(payload)
    }
}

impl HostFiles {
    // tidy: flat match
    fn carry_out(&mut self, request: FileRequest) -> Outcome {
        match request {
            FileRequest::Open { path, flags, mode } => self.open(&path, flags, mode),
            FileRequest::Close { file } => {
                self.open.remove(&file).map(|_| (0, None)).ok_or_else(bad_file)
            }
            FileRequest::Read { file, count, offset } => self.read(file, count, offset),
            FileRequest::Write { file, offset, data } => {
                let written = files::write_at(self.file(file)?, &data, offset)?;
                Ok((written as u64, None))
            }
            FileRequest::StatOpen { file } => Ok(stat(&self.file(file)?.metadata()?)),
            FileRequest::Stat { path } => Ok(stat(&fs::metadata(self.path(&path))?)),
            FileRequest::StatLink { path } => Ok(stat(&fs::symlink_metadata(self.path(&path))?)),
            FileRequest::Remove { path } => fs::remove_file(self.path(&path)).map(|()| (0, None)),
            FileRequest::ReadLink { path } => {
                let target = files::read_link(&self.path(&path))?;
                Ok((target.len() as u64, Some(target)))
            }
            FileRequest::SetFilesystem { process } => {
                self.seen_as = process;
                Ok((0, None))
            }
            FileRequest::MakeLink { path, at } => {
                let made = files::make_link(&self.path(&path), &self.path(&at));
                made.map(|()| (0, None))
            }
            FileRequest::Size { .. }
            | FileRequest::Mode { .. }
            | FileRequest::Exists { .. }
            | FileRequest::Md5 { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// lldb's own requests, whose answers have other forms.
    fn lldb(&self, request: &FileRequest) -> Option<String> {
        let metadata = |path: &[u8]| fs::metadata(self.path(path));
        Some(match request {
            FileRequest::Size { path } => match metadata(path) {
                Ok(metadata) => format!("F{:x}", metadata.len()),
                Err(error) => format!("F-1,{:x}", number_of(&error)),
            },
            FileRequest::Mode { path } => match metadata(path) {
                Ok(metadata) => format!("F{:x}", files::permissions(&metadata)),
                Err(error) => format!("F-1,{:x}", number_of(&error)),
            },
            FileRequest::Exists { path } => {
                format!("F,{}", u8::from(metadata(path).is_ok()))
            }
            // Without a sum the client compares the files themselves.
            FileRequest::Md5 { .. } => "F,x".to_owned(),
            _ => return None,
        })
    }

    fn file(&self, number: u32) -> io::Result<&File> {
        self.open.get(&number).ok_or_else(bad_file)
    }

    fn open(&mut self, path: &[u8], flags: u32, mode: u32) -> Outcome {
        let file = opening(flags, mode)?.open(&self.path(path))?;
        let number = (3..).find(|number| !self.open.contains_key(number)).unwrap_or(u32::MAX);
        self.open.insert(number, file);
        Ok((number.into(), None))
    }

    fn read(&self, file: u32, count: u64, offset: u64) -> Outcome {
        let most = MOST_READ;
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(most).min(most)];
        let read = files::read_at(self.file(file)?, &mut bytes, offset)?;
        bytes.truncate(read);
        Ok((read as u64, Some(bytes)))
    }

    /// A path, as the process sees it whose view was asked for.
    fn path(&self, path: &[u8]) -> PathBuf {
        files::path_as_seen(path, self.seen_as)
    }
}

fn bad_file() -> io::Error {
    io::Error::from_raw_os_error(9)
}

/// The facts of a file, with how many bytes they are.
fn stat(metadata: &Metadata) -> (u64, Option<Vec<u8>>) {
    let bytes = files::stat(metadata);
    (bytes.len() as u64, Some(bytes))
}

/// The protocol's flags of `open`. GDB manual, "Open Flags".
fn opening(flags: u32, mode: u32) -> io::Result<Opening> {
    const WRITE: u32 = 1;
    const READ_WRITE: u32 = 2;
    const APPEND: u32 = 8;
    const CREATE: u32 = 0x200;
    const TRUNCATE: u32 = 0x400;
    const EXCLUSIVE: u32 = 0x800;
    const KNOWN: u32 = 3 | APPEND | CREATE | TRUNCATE | EXCLUSIVE;
    if flags & !KNOWN != 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(Opening {
        read: flags & WRITE == 0,
        write: flags & (WRITE | READ_WRITE) != 0,
        append: flags & APPEND != 0,
        truncate: flags & TRUNCATE != 0,
        create: flags & CREATE != 0,
        exclusive: flags & EXCLUSIVE != 0,
        mode,
    })
}

/// The protocol's number of an error. GDB manual, "Errno Values".
fn number_of(error: &io::Error) -> u32 {
    const ENAMETOOLONG: i32 = 36;
    const UNKNOWN: u32 = 9999;
    const SAME: [i32; 18] = [1, 2, 4, 9, 13, 14, 16, 17, 19, 20, 21, 22, 23, 24, 27, 28, 29, 30];
    match error.raw_os_error() {
        Some(ENAMETOOLONG) => 91,
        Some(number) if SAME.contains(&number) => number.cast_unsigned(),
        None if error.kind() == io::ErrorKind::InvalidInput => 22,
        _ => UNKNOWN,
    }
}
