//! Why a program file could not be loaded, and what the user can do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why [`crate::Image::load`] failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadError {
    /// The file that was asked for.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: LoadFailure,
}

/// What is wrong with a file that cannot be loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoadFailure {
    /// There is no such file.
    NotFound,
    /// We may not read it.
    Permission,
    /// It is a directory.
    Directory,
    /// The system refused for another reason, in its words.
    Io(String),
    /// It is not an ELF file; the text says what it looks like.
    NotElf(&'static str),
    /// It holds 32-bit code.
    Bits32,
    /// It is for another processor; its ELF machine number.
    Architecture(u16),
    /// It is ELF but neither an executable nor a shared object; what it is.
    NotLoadable(&'static str),
    /// A header does not make sense or lies past the end of the file.
    Corrupt {
        /// Which header.
        header: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl LoadError {
    pub(crate) fn new(path: &Path, reason: LoadFailure) -> Self {
        Self { path: path.to_owned(), reason }
    }

    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => LoadFailure::NotFound,
            io::ErrorKind::PermissionDenied => LoadFailure::Permission,
            io::ErrorKind::IsADirectory => LoadFailure::Directory,
            _ => LoadFailure::Io(error.to_string()),
        };
        Self::new(path, reason)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file; check the path"),
            Self::Permission => {
                f.write_str("not readable by this user; change its permissions or the user")
            }
            Self::Directory => f.write_str("is a directory; name the program inside it"),
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::NotElf(looks) => {
                write!(f, "not an ELF program but {looks}; name the compiled program itself")
            }
            Self::Bits32 => f.write_str("a 32-bit program; rebuild it for x86-64 (-m64)"),
            Self::Architecture(machine) => write!(
                f,
                "built for {}, not x86-64; rebuild it for this machine",
                machine_name(*machine)
            ),
            Self::NotLoadable(what) => {
                write!(f, "{what}, not an executable or shared object; link it first")
            }
            Self::Corrupt { header, detail } => {
                write!(f, "truncated or corrupt ELF {header}: {detail}; rebuild or copy it again")
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// The names people use for the ELF machine numbers they are likely to meet.
fn machine_name(machine: u16) -> String {
    match machine {
        3 => "32-bit x86".into(),
        8 => "MIPS".into(),
        20 | 21 => "PowerPC".into(),
        22 => "s390".into(),
        40 => "32-bit ARM".into(),
        183 => "AArch64".into(),
        243 => "RISC-V".into(),
        247 => "BPF".into(),
        258 => "LoongArch".into(),
        other => format!("ELF machine {other}"),
    }
}
