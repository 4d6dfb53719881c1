//! Where an image's debug information is: in the image, or in a file of its
//! own, found by build id or by `.gnu_debuglink` (gdb's manual, section
//! "Debugging Information in Separate Files"), with the part it shares with
//! others (`dwz`, `.gnu_debugaltlink`).

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use object::Object as _;

use crate::elf::{Elf, SectionInfo};

/// What is known about an image besides its code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DebugInfo {
    /// Neither symbols nor debug information.
    None,
    /// A symbol table, but no lines, types or variables.
    SymbolsOnly,
    /// Debug information inside the image itself.
    Own,
    /// Debug information in this file.
    Separate(PathBuf),
}

/// The debug information of an image, found.
#[derive(Debug)]
pub(crate) struct Source {
    /// What to tell about it.
    pub(crate) what: DebugInfo,
    /// The separate file, if there is one.
    pub(crate) file: Option<Elf>,
    /// The file shared with other images, and where it is.
    shared: Option<(PathBuf, Elf)>,
    /// What was wrong on the way.
    pub(crate) problems: Vec<String>,
}

impl Source {
    /// The file shared with other images.
    pub(crate) fn shared(&self) -> Option<&Elf> {
        self.shared.as_ref().map(|(_, file)| file)
    }

    /// The files besides the image's own.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, &Elf)> {
        let separate = match (&self.what, &self.file) {
            (DebugInfo::Separate(at), Some(file)) => Some((at.as_path(), file)),
            _ => None,
        };
        let shared = self.shared.as_ref().map(|(at, file)| (at.as_path(), file));
        separate.into_iter().chain(shared)
    }
}

/// Finds the debug information of `image`, which lies at `path` (none for an
/// image read from memory).
pub(crate) fn find(image: &Elf, path: Option<&Path>, directories: &[PathBuf]) -> Source {
    let mut problems = Vec::new();
    let mut source = if has_dwarf(image) {
        Source { what: DebugInfo::Own, file: None, shared: None, problems: Vec::new() }
    } else if let Some((at, file)) = find_file(image, path, directories, &mut problems) {
        let what = DebugInfo::Separate(at);
        Source { what, file: Some(file), shared: None, problems: Vec::new() }
    } else {
        let what = if has_symbols(image) { DebugInfo::SymbolsOnly } else { DebugInfo::None };
        Source { what, file: None, shared: None, problems: Vec::new() }
    };
    let (holder, holder_path) = match (&source.file, &source.what) {
        (Some(file), DebugInfo::Separate(at)) => (file, Some(at.as_path())),
        _ => (image, path),
    };
    source.shared = find_shared(holder, holder_path, directories, &mut problems);
    source.problems = problems;
    source
}

fn has_dwarf(elf: &Elf) -> bool {
    let stored = |section: SectionInfo| section.size > 0 && section.file.is_some();
    let has = |name| elf.section_info(name).is_some_and(stored);
    has(".debug_info") || has(".debug_line")
}

fn has_symbols(elf: &Elf) -> bool {
    elf.file.symbols().next().is_some() || elf.file.dynamic_symbols().next().is_some()
}

fn find_file(
    image: &Elf,
    path: Option<&Path>,
    directories: &[PathBuf],
    problems: &mut Vec<String>,
) -> Option<(PathBuf, Elf)> {
    if let Some(found) = by_build_id(image, directories, problems) {
        return Some(found);
    }
    by_link(image, path?, directories, problems)
}

fn by_build_id(
    image: &Elf,
    directories: &[PathBuf],
    problems: &mut Vec<String>,
) -> Option<(PathBuf, Elf)> {
    let id = image.build_id()?;
    let name = build_id_path(id)?;
    directories.iter().find_map(|directory| {
        let at = directory.join(&name);
        let file = open(&at, problems)?;
        if file.build_id() == Some(id) {
            return Some((at, file));
        }
        problems.push(format!("{}: has another build id, not used", at.display()));
        None
    })
}

/// `.build-id/ab/cdef....debug`.
fn build_id_path(id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = id.split_first()?;
    if rest.is_empty() {
        return None;
    }
    let mut name = format!(".build-id/{first:02x}/");
    for byte in rest {
        write!(name, "{byte:02x}").ok()?;
    }
    name.push_str(".debug");
    Some(name.into())
}

fn by_link(
    image: &Elf,
    path: &Path,
    directories: &[PathBuf],
    problems: &mut Vec<String>,
) -> Option<(PathBuf, Elf)> {
    let (name, crc) = image.file.gnu_debuglink().ok()??;
    let name = text_path(name)?;
    // Links are relative to where the image really is.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = real.parent()?;
    let beside = [directory.join(&name), directory.join(".debug").join(&name)];
    let below = directories
        .iter()
        .map(|root| root.join(directory.strip_prefix("/").unwrap_or(directory)).join(&name));
    beside.into_iter().chain(below).filter(|at| *at != real).find_map(|at| {
        let file = open(&at, problems)?;
        if crc32(file.bytes.all()) == crc {
            return Some((at, file));
        }
        problems.push(format!("{}: does not belong to this build, not used", at.display()));
        None
    })
}

/// The file name of a link; one with a directory in it is not followed.
fn text_path(name: &[u8]) -> Option<PathBuf> {
    let name = Path::new(std::str::from_utf8(name).ok()?);
    name.file_name().filter(|only| *only == name.as_os_str()).map(|only: &OsStr| only.into())
}

fn find_shared(
    holder: &Elf,
    path: Option<&Path>,
    directories: &[PathBuf],
    problems: &mut Vec<String>,
) -> Option<(PathBuf, Elf)> {
    let (name, id) = holder.file.gnu_debugaltlink().ok()??;
    let name = Path::new(std::str::from_utf8(name).ok()?);
    let linked = match path.and_then(Path::parent) {
        Some(directory) => directory.join(name),
        None => name.to_owned(),
    };
    let by_id = build_id_path(id);
    let candidates = std::iter::once(linked).chain(directories.iter().flat_map(|root| {
        let dwz = name.file_name().map(|file| root.join(".dwz").join(file));
        by_id.as_ref().map(|by_id| root.join(by_id)).into_iter().chain(dwz)
    }));
    for at in candidates {
        if let Some(file) = open(&at, problems).filter(|file| file.build_id() == Some(id)) {
            return Some((at, file));
        }
    }
    problems.push(format!(
        "shared debug information {} is missing; names and types kept there are unknown",
        name.display()
    ));
    None
}

/// Opens a candidate; one that does not exist is no problem.
fn open(at: &Path, problems: &mut Vec<String>) -> Option<Elf> {
    match Elf::open(at) {
        Ok(file) => Some(file),
        Err(error) if error.reason == crate::LoadFailure::NotFound => None,
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    }
}

/// The checksum of `.gnu_debuglink`: the CRC-32 of zlib.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLES: [[u32; 256]; 8] = crc_tables();
    let mut crc = u32::MAX;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let low = crc ^ u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        let [a, b, c, d] = low.to_le_bytes().map(usize::from);
        let [e, f, g, h] = [chunk[4], chunk[5], chunk[6], chunk[7]].map(usize::from);
        crc = TABLES[7][a] ^ TABLES[6][b] ^ TABLES[5][c] ^ TABLES[4][d];
        crc ^= TABLES[3][e] ^ TABLES[2][f] ^ TABLES[1][g] ^ TABLES[0][h];
    }
    for &byte in chunks.remainder() {
        crc = (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    !crc
}

/// Table `n` advances a byte that is followed by `n` more.
const fn crc_tables() -> [[u32; 256]; 8] {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before: u32 = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_zlibs() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }

    #[test]
    fn a_build_id_names_its_file() {
        assert_eq!(build_id_path(&[0xab, 0xcd, 0x01]), Some(".build-id/ab/cd01.debug".into()));
        assert_eq!(build_id_path(&[0xab]), None);
    }
}
