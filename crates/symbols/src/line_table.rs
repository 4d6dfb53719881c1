//! One unit's line table, decoded: rows sorted by address, and the paths of
//! its files.

use std::sync::Arc;

use gimli::{ColumnType, LineProgramHeader};

use crate::units::{Slice, UnitRef};

/// One row: the line of the instructions from its address to the next row's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// First instruction.
    pub(crate) address: u64,
    /// Source line; 0 for code of no line, and in the row that ends a sequence.
    pub(crate) line: u32,
    /// Index into [`LineTable::files`].
    pub(crate) file: u32,
    /// Source column from 1; 0 when unknown.
    pub(crate) column: u16,
    flags: u8,
}

const STATEMENT: u8 = 1;
const PROLOGUE_END: u8 = 2;
const END_SEQUENCE: u8 = 4;
const CONTINUES: u8 = 8;

impl Row {
    /// Whether a breakpoint for the line may be here.
    pub(crate) fn is_stmt(&self) -> bool {
        self.flags & STATEMENT != 0
    }

    /// Whether the compiler says that the prologue ends here.
    pub(crate) fn is_prologue_end(&self) -> bool {
        self.flags & PROLOGUE_END != 0
    }

    /// Whether it only marks where the previous row ends.
    pub(crate) fn ends_sequence(&self) -> bool {
        self.flags & END_SEQUENCE != 0
    }

    /// Whether it is another piece of the statement before it, which the
    /// compiler tells apart by discriminators (DWARF 5 section 6.2.2): the
    /// head and the body of a loop on one line.
    pub(crate) fn continues(&self) -> bool {
        self.flags & CONTINUES != 0
    }

    /// Whether it is a statement of a real line.
    pub(crate) fn is_place(&self) -> bool {
        self.is_stmt() && self.line != 0 && !self.ends_sequence()
    }
}

/// The rows and files of one unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineTable {
    /// By address; within one address in the order of the line program.
    pub(crate) rows: Vec<Row>,
    /// Normalised paths; an index that names no file is an empty path.
    pub(crate) files: Vec<Arc<str>>,
}

impl LineTable {
    /// Decodes a unit's table; what is malformed ends it early.
    pub(crate) fn read(unit: UnitRef<'_>) -> Self {
        Self { rows: rows(unit), files: files(unit) }
    }

    /// The path a row's file index means.
    pub(crate) fn file(&self, index: u32) -> Option<&Arc<str>> {
        self.files.get(index as usize).filter(|path| !path.is_empty())
    }

    /// The rows from `start` up to `end`.
    pub(crate) fn between(&self, start: u64, end: u64) -> &[Row] {
        let first = self.rows.partition_point(|row| row.address < start);
        let last = self.rows.partition_point(|row| row.address < end);
        self.rows.get(first..last).unwrap_or(&[])
    }

    /// The row that covers an address, and where its code ends. Of several at
    /// one address the last statement counts, as it is what is executed.
    pub(crate) fn at(&self, address: u64) -> Option<(Row, u64)> {
        let after = self.rows.partition_point(|row| row.address <= address);
        let last = self.rows.get(after.checked_sub(1)?)?;
        let same = self.rows[..after].iter().rev().take_while(|row| row.address == last.address);
        let live = || same.clone().filter(|row| !row.ends_sequence());
        let row = live().find(|row| row.is_stmt()).or_else(|| live().next())?;
        let end = self.rows.get(after).map_or(row.address, |next| next.address);
        Some((*row, end))
    }
}

/// The sequences of a line program, sorted and joined. Sequences at address
/// zero are code the linker dropped; one that overlaps another is corrupt.
pub(crate) fn rows(unit: UnitRef<'_>) -> Vec<Row> {
    let mut sequences: Vec<(u64, Vec<Row>)> = Vec::new();
    let mut current: Vec<Row> = Vec::new();
    let Some(program) = unit.line_program.clone() else { return Vec::new() };
    let mut rows = program.rows();
    let mut discriminated = false;
    while let Ok(Some((_, row))) = rows.next_row() {
        let mut read = read_row(row);
        let same = |last: &Row| (last.file, last.line) == (read.file, read.line);
        let same_line = current.last().is_some_and(same);
        discriminated = row.discriminator() != 0 || (same_line && discriminated);
        if same_line && discriminated {
            read.flags |= CONTINUES;
        }
        current.push(read);
        if row.end_sequence() {
            let whole = std::mem::take(&mut current);
            let first = whole.first().map_or(0, |row| row.address);
            let sorted = whole.is_sorted_by_key(|row| row.address);
            if first != 0 && sorted && row.address() > first {
                sequences.push((first, whole));
            }
        }
    }
    sequences.sort_by_key(|(first, _)| *first);
    join(sequences)
}

fn join(sequences: Vec<(u64, Vec<Row>)>) -> Vec<Row> {
    let mut joined: Vec<Row> = Vec::with_capacity(sequences.iter().map(|it| it.1.len()).sum());
    for (first, rows) in sequences {
        if joined.last().is_none_or(|row| row.address <= first) {
            joined.extend(rows);
        }
    }
    joined
}

fn read_row(row: &gimli::LineRow) -> Row {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let line = row.line().and_then(|line| u32::try_from(line.get()).ok()).unwrap_or(0);
    Row {
        address: row.address(),
        line: if row.end_sequence() { 0 } else { line },
        file: u32::try_from(row.file_index()).unwrap_or(u32::MAX),
        column: match row.column() {
            ColumnType::LeftEdge => 0,
            ColumnType::Column(column) => u16::try_from(column.get()).unwrap_or(u16::MAX),
        },
        flags: flag(row.is_stmt(), STATEMENT)
            | flag(row.prologue_end(), PROLOGUE_END)
            | flag(row.end_sequence(), END_SEQUENCE),
    }
}

/// The paths of a unit's file table by file index (from 1 before DWARF 5,
/// from 0 since; the other end of the table is then an empty path).
pub(crate) fn files(unit: UnitRef<'_>) -> Vec<Arc<str>> {
    let Some(program) = unit.line_program.as_ref() else { return Vec::new() };
    let header = program.header();
    let count = header.file_names().len() as u64;
    (0..=count).map(|index| path(unit, header, index).unwrap_or_default().into()).collect()
}

/// One path of a file table.
pub(crate) fn file(unit: UnitRef<'_>, index: u64) -> Option<Arc<str>> {
    let program = unit.line_program.as_ref()?;
    path(unit, program.header(), index).map(Into::into)
}

fn path(unit: UnitRef<'_>, header: &LineProgramHeader<Slice>, index: u64) -> Option<String> {
    if index == 0 && header.version() < 5 {
        return None;
    }
    let file = header.file(index)?;
    let text = |value| unit.attr_string(value).ok().map(|text| text.to_string_lossy());
    let name = text(file.path_name())?;
    let mut path = unit.comp_dir.map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    // Directory 0 is the one the compiler ran in, which may be relative to what
    // nobody knows: it is not joined to itself. DWARF 5 states it.
    let stated = file.directory_index() != 0 || (header.version() >= 5 && path.is_empty());
    if let Some(directory) = file.directory(header).filter(|_| stated).and_then(text) {
        join_path(&mut path, &directory);
    }
    join_path(&mut path, &name);
    Some(normalise(&path))
}

fn join_path(path: &mut String, next: &str) {
    let windows = next.as_bytes().get(1) == Some(&b':');
    if next.starts_with('/') || windows {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(next);
}

/// A path without `.` and `..` where these can be resolved by its text alone.
/// Links are not looked at: the machine that built the program is not here.
pub(crate) fn normalise(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if path.starts_with('/') => {}
            other => kept.push(other),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_detours() {
        for (path, expected) in [
            ("/a/./b/../c.c", "/a/c.c"),
            ("a//b.c", "a/b.c"),
            ("../x/../y.c", "../y.c"),
            ("/../y.c", "/y.c"),
        ] {
            assert_eq!(normalise(path), expected);
        }
    }
}
