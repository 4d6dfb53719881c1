//! `vFile`: files of the server's machine (GDB manual, Host I/O Packets; lldb's
//! additions). Flags and modes are gdb's own numbers (File-I/O Remote Protocol
//! Extension, Constants); who may open what is for the server.

use super::Parsed;
use crate::cursor::{Cursor, Malformed};
use crate::put::Put;

/// A path as the server's system has it; hexadecimal on the wire.
pub type HostPath = Vec<u8>;

/// A request about files. `file` is what `open` answered.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "paths, files, offsets and counts need no more words")]
pub enum FileRequest {
    /// `open`.
    Open {
        path: HostPath,
        /// gdb's: 0 read, 1 write, 2 both, 8 append, 200 create, 400 truncate,
        /// 800 exclusively, all hexadecimal.
        flags: u32,
        /// Permissions of a file that is created.
        mode: u32,
    },
    /// `close`.
    Close { file: u32 },
    /// `pread`: at most `count` bytes.
    Read { file: u32, count: u64, offset: u64 },
    /// `pwrite`.
    Write { file: u32, offset: u64, data: Vec<u8> },
    /// `fstat`: gdb's `struct stat` of an open file.
    StatOpen { file: u32 },
    /// `stat`: of what a path leads to.
    Stat { path: HostPath },
    /// `lstat`: of a path itself.
    StatLink { path: HostPath },
    /// `unlink`.
    Remove { path: HostPath },
    /// `readlink`.
    ReadLink { path: HostPath },
    /// `setfs`: paths are as this process sees them from now on; as the server
    /// does for 0.
    SetFilesystem { process: u64 },
    /// lldb's `size`.
    Size { path: HostPath },
    /// lldb's `mode`.
    Mode { path: HostPath },
    /// lldb's `exists`.
    Exists { path: HostPath },
    /// lldb's `MD5`.
    Md5 { path: HostPath },
    /// lldb's `symlink`: `at` shall lead to `path`.
    MakeLink { path: HostPath, at: HostPath },
}

impl FileRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        if name != b"vFile" {
            return Ok(None);
        }
        args.expect(":")?;
        let operation = args.until(b':');
        let Some(found) = Self::operation(operation, &mut args)? else { return Ok(None) };
        args.end()?;
        Ok(Some(found))
    }

    fn operation(operation: &[u8], args: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(Some(match operation {
            b"open" => {
                let path = comma(args.bytes(), args)?;
                let flags = comma(args.number(), args)?;
                Self::Open { path, flags, mode: args.number()? }
            }
            b"close" => Self::Close { file: args.number()? },
            b"pread" => {
                let file = comma(args.number(), args)?;
                let (count, offset) = args.pair()?;
                Self::Read { file, count, offset }
            }
            b"pwrite" => {
                let file = comma(args.number(), args)?;
                let offset = comma(args.number(), args)?;
                Self::Write { file, offset, data: args.all().to_vec() }
            }
            b"fstat" => Self::StatOpen { file: args.number()? },
            b"stat" => Self::Stat { path: args.bytes()? },
            b"lstat" => Self::StatLink { path: args.bytes()? },
            b"unlink" => Self::Remove { path: args.bytes()? },
            b"readlink" => Self::ReadLink { path: args.bytes()? },
            b"setfs" => Self::SetFilesystem { process: args.number()? },
            b"size" => Self::Size { path: args.bytes()? },
            b"mode" => Self::Mode { path: args.bytes()? },
            b"exists" => Self::Exists { path: args.bytes()? },
            b"MD5" => Self::Md5 { path: args.bytes()? },
            b"symlink" => {
                let path = comma(args.bytes(), args)?;
                Self::MakeLink { path, at: args.bytes()? }
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.text("vFile:");
        match self {
            Self::Open { path, flags, mode } => {
                out.text("open:").hex(path).text(",").number(*flags).text(",").number(*mode)
            }
            Self::Close { file } => out.text("close:").number(*file),
            Self::Read { file, count, offset } => {
                let start = out.text("pread:").number(*file).text(",");
                start.number(*count).text(",").number(*offset)
            }
            Self::Write { file, offset, data } => {
                let start = out.text("pwrite:").number(*file).text(",");
                start.number(*offset).text(",").raw(data)
            }
            Self::StatOpen { file } => out.text("fstat:").number(*file),
            Self::Stat { path } => out.text("stat:").hex(path),
            Self::StatLink { path } => out.text("lstat:").hex(path),
            Self::Remove { path } => out.text("unlink:").hex(path),
            Self::ReadLink { path } => out.text("readlink:").hex(path),
            Self::SetFilesystem { process } => out.text("setfs:").number(*process),
            Self::Size { path } => out.text("size:").hex(path),
            Self::Mode { path } => out.text("mode:").hex(path),
            Self::Exists { path } => out.text("exists:").hex(path),
            Self::Md5 { path } => out.text("MD5:").hex(path),
            Self::MakeLink { path, at } => out.text("symlink:").hex(path).text(",").hex(at),
        };
    }
}

/// What was read, with the comma behind it stepped over.
fn comma<T>(read: Result<T, Malformed>, args: &mut Cursor<'_>) -> Result<T, Malformed> {
    let value = read?;
    args.expect(",")?;
    Ok(value)
}
