//! Source lines to addresses and back, the way gdb resolves them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use trapline_core::ImageAddr;

use crate::blocks::{Block, Blocks};
use crate::image::Image;
use crate::line_table::{self, Row};
use crate::reach::Reach;
use crate::units::{DieRef, UnitId};

/// The source line of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceLine {
    /// Its file.
    pub file: Arc<str>,
    /// The line, from 1; 0 for code the compiler ascribes to no line.
    pub line: u32,
    /// The column, from 1; 0 when unknown.
    pub column: u32,
    /// Whether a breakpoint for the line may be at `start`.
    pub is_stmt: bool,
    /// First address of the row.
    pub start: ImageAddr,
    /// First address past it.
    pub end: ImageAddr,
}

/// What a file and line resolved to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineMatch {
    /// The files that were meant and have code for the line.
    pub files: Vec<Arc<str>>,
    /// The line asked for.
    pub requested: u32,
    /// The line used: the first at or after the requested one with code.
    pub actual: u32,
    /// One place for each block, of each function and inlined copy, with code
    /// for the line, by address. Code that only an exception leads to counts
    /// where the function or copy has no other for the line.
    pub places: Vec<LinePlace>,
}

/// One address a line resolved to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinePlace {
    /// Where a breakpoint belongs.
    pub address: ImageAddr,
    /// The function, or the inlined function, whose code it is.
    pub function: Option<String>,
    /// Whether that is an inlined copy.
    pub inlined: bool,
    /// The file of the line.
    pub file: Arc<str>,
    /// The line of the code at `address`: another than the one resolved where
    /// that is in a function's prologue.
    pub line: u32,
}

/// Why a file and line resolved to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// The image has no line information at all.
    NoDebugInfo,
    /// No line table names such a file; [`Image::nearest_files`] may know what
    /// was meant.
    UnknownFile,
    /// The file is known, but has no code at or after the line.
    NoCode {
        /// The files that were meant.
        files: Vec<Arc<str>>,
        /// The last lines before it that have code.
        nearest: Vec<u32>,
    },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDebugInfo => f.write_str("no debug information; compile with -g"),
            Self::UnknownFile => f.write_str("no such file"),
            Self::NoCode { nearest, .. } => match nearest.last() {
                Some(line) => write!(f, "no code at or after the line; the last is {line}"),
                None => f.write_str("no code comes from this file"),
            },
        }
    }
}

impl std::error::Error for LineError {}

/// How many similar files are named.
const SUGGESTED: usize = 3;

/// What one unit has for a line: the best rows at or after it, and the lines
/// before.
struct UnitRows {
    unit: UnitId,
    wanted: u32,
    rank: Rank,
    rows: Vec<Found>,
    before: Vec<u32>,
}

/// A row that answers for a line.
#[derive(Clone, Copy)]
struct Found {
    address: u64,
    /// The file's number.
    file: u32,
    line: u32,
    /// Whether it goes on with the statement before it.
    continues: bool,
}

/// How well a row answers for a line: the line itself before a later one, code
/// of its own before a row without any, a near line before a far one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    later: bool,
    empty: bool,
    line: u32,
}

impl Image {
    /// The line an address belongs to.
    pub fn source_at(&self, address: ImageAddr) -> Option<SourceLine> {
        let unit = self.units().unit_containing(address.get())?;
        let table = self.line_table(unit)?;
        let (row, end) = table.at(address.get())?;
        Some(SourceLine {
            file: Arc::clone(table.file(row.file)?),
            line: row.line,
            column: u32::from(row.column),
            is_stmt: row.is_stmt(),
            start: ImageAddr::new(row.address),
            end: ImageAddr::new(end),
        })
    }

    /// Every place of a line of a file named by its path or the end of it. A
    /// line without code means the next one that has some; one that starts a
    /// function means the end of its prologue.
    pub fn line_locations(&self, file: &str, line: u32) -> Result<LineMatch, LineError> {
        if !self.has_lines() {
            return Err(LineError::NoDebugInfo);
        }
        let index = self.files_like(file);
        let files = index.matching(file);
        if files.is_empty() {
            return Err(LineError::UnknownFile);
        }
        let found: Vec<UnitRows> = index
            .units_naming(&files)
            .into_par_iter()
            .map(|(unit, table)| self.unit_rows(unit, table, &files, line))
            .collect();
        let Some(best) = found.iter().filter(|it| !it.rows.is_empty()).map(|it| it.rank).min()
        else {
            return Err(no_code(&files, index.paths(), &found));
        };
        let places = self.places(found.into_iter().filter(|it| it.rank == best), index.paths());
        let mut files: Vec<Arc<str>> = places.iter().map(|place| place.file.clone()).collect();
        files.sort_unstable();
        files.dedup();
        Ok(LineMatch { files, requested: line, actual: best.line, places })
    }

    fn unit_rows(&self, unit: UnitId, table: &[u32], files: &[u32], line: u32) -> UnitRows {
        let mut found = UnitRows::new(unit, line);
        let all = self.units().with_transient(unit, line_table::rows).unwrap_or_default();
        for group in all.chunk_by(|a, b| a.address == b.address) {
            let in_code = group.first().is_some_and(|row| self.is_code(row_address(row)));
            let last = last_file(group);
            for (at, row) in group.iter().enumerate().filter(|(_, row)| row.is_place() && in_code) {
                let Some(&file) = table.get(row.file as usize) else { continue };
                if files.contains(&file) {
                    found.add(row, file, at < last);
                }
            }
        }
        found.keep_last_before();
        found
    }

    /// The lowest place of each block of each function or inlined copy, of
    /// those that are reached in the best way.
    fn places(&self, found: impl Iterator<Item = UnitRows>, paths: &[Arc<str>]) -> Vec<LinePlace> {
        let mut blocks = Blocks::new(self);
        let mut by_code: BTreeMap<(UnitId, Option<DieRef>), Vec<Candidate>> = BTreeMap::new();
        for unit in found {
            for row in unit.rows {
                let (function, block) = blocks.innermost(row.address).unzip();
                let code = (unit.unit, block.map(|block| block.code_of));
                by_code.entry(code).or_default().push(Candidate { row, function, block });
            }
        }
        let mut reach = HashMap::new();
        let chosen = by_code.into_values().flat_map(|mut candidates| {
            self.keep_best_reached(&mut candidates, &mut reach);
            lowest_of_each_block(candidates)
        });
        let mut places: Vec<LinePlace> =
            chosen.filter_map(|candidate| self.place(&candidate, paths)).collect();
        places.sort_by_key(|place| place.address);
        places.dedup_by_key(|place| place.address);
        places
    }

    /// Of one function's or copy's candidates, drops those that only an
    /// exception leads to when there are others.
    fn keep_best_reached(
        &self,
        candidates: &mut Vec<Candidate>,
        known: &mut HashMap<DieRef, Reach>,
    ) {
        let function = candidates.first().and_then(|candidate| candidate.function);
        let Some(function) = function.filter(|_| candidates.len() > 1) else { return };
        let reach = known.entry(function).or_insert_with(|| {
            let read = self.function_of(function);
            read.map(|function| Reach::new(self, &function)).unwrap_or_default()
        });
        let best = candidates.iter().map(|candidate| reach.of(candidate.row.address)).min();
        candidates.retain(|candidate| Some(reach.of(candidate.row.address)) == best);
    }

    fn place(&self, candidate: &Candidate, paths: &[Arc<str>]) -> Option<LinePlace> {
        let address = ImageAddr::new(candidate.row.address);
        let inlined = candidate.block.is_some_and(|block| block.inlined);
        let code = candidate.block.map(|block| block.code_of);
        let function = code.filter(|_| !inlined).and_then(|die| self.function_of(die));
        let moved = function
            .filter(|it| it.entry <= address && address < it.prologue_end)
            .and_then(|it| Some((it.prologue_end, self.source_at(it.prologue_end)?)));
        let function = code.and_then(|die| self.entry_name(die));
        if let Some((address, source)) = moved {
            return Some(LinePlace {
                address,
                function,
                inlined,
                file: source.file,
                line: source.line,
            });
        }
        let file = paths.get(candidate.row.file as usize)?.clone();
        Some(LinePlace { address, function, inlined, file, line: candidate.row.line })
    }

    /// The addresses of all statements in executable code, unit by unit.
    pub fn statement_addresses(&self) -> impl Iterator<Item = ImageAddr> + '_ {
        let units = self.units();
        units.ids().filter(|unit| units.has_code(*unit)).flat_map(move |unit| {
            let rows = units.with_transient(unit, line_table::rows).unwrap_or_default();
            let addresses = rows.into_iter().filter(Row::is_place).map(|row| row_address(&row));
            addresses.filter(|address| self.is_code(*address))
        })
    }
}

/// A row, and the code it is in.
struct Candidate {
    row: Found,
    function: Option<DieRef>,
    block: Option<Block>,
}

/// A line's code can be in many pieces; in one block, or in the blocks of one
/// statement, they are one place.
fn lowest_of_each_block(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    if candidates.iter().any(|candidate| !candidate.row.continues) {
        candidates.retain(|candidate| !candidate.row.continues);
    }
    candidates.sort_by_key(|candidate| (candidate.block, candidate.row.address));
    candidates.dedup_by_key(|candidate| candidate.block);
    candidates
}

impl UnitRows {
    fn new(unit: UnitId, wanted: u32) -> Self {
        let rank = Rank { later: true, empty: true, line: u32::MAX };
        Self { unit, wanted, rank, rows: Vec::new(), before: Vec::new() }
    }

    fn add(&mut self, row: &Row, file: u32, empty: bool) {
        if row.line < self.wanted {
            self.before.push(row.line);
            return;
        }
        let rank = Rank { later: row.line > self.wanted, empty, line: row.line };
        if rank < self.rank {
            self.rank = rank;
            self.rows.clear();
        }
        if rank == self.rank {
            self.rows.push(Found {
                address: row.address,
                file,
                line: row.line,
                continues: row.continues(),
            });
        }
    }

    fn keep_last_before(&mut self) {
        self.before.sort_unstable();
        self.before.dedup();
        self.before.drain(..self.before.len().saturating_sub(SUGGESTED));
    }
}

/// Of the rows at one address, where those of the last file begin. The code
/// there is that file's; the rows before describe code that was optimised away.
fn last_file(group: &[Row]) -> usize {
    let live = |row: &&Row| row.is_place();
    let Some(last) = group.iter().rev().find(live) else { return 0 };
    let other = group.iter().rposition(|row| row.is_place() && row.file != last.file);
    other.map_or(0, |at| at + 1)
}

fn row_address(row: &Row) -> ImageAddr {
    ImageAddr::new(row.address)
}

fn no_code(files: &[u32], paths: &[Arc<str>], found: &[UnitRows]) -> LineError {
    let mut nearest: Vec<u32> = found.iter().flat_map(|unit| unit.before.clone()).collect();
    nearest.sort_unstable();
    nearest.dedup();
    nearest.drain(..nearest.len().saturating_sub(SUGGESTED));
    let files = files.iter().filter_map(|&file| paths.get(file as usize).cloned()).collect();
    LineError::NoCode { files, nearest }
}
