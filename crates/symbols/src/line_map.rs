//! The lines and inlined calls of one function, for whoever moves through it
//! line by line. What a step is, is left to the engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gimli::constants as dw;
use trapline_core::ImageAddr;

use crate::image::Image;
use crate::line_table::{self, LineTable, Row};
use crate::ranges::RangeMap;
use crate::units::{DieRef, Entry};
use crate::{Function, dies};

/// A line of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub number: u32,
}

/// A call that the compiler put inline, by its place in
/// [`InlinedCalls::calls`].
pub type CallIndex = usize;

/// An inlined call.
#[derive(Clone, Debug)]
pub struct MappedCall {
    /// The inlined call around it.
    pub around: Option<CallIndex>,
    /// Where it is entered.
    pub entry: ImageAddr,
    /// Where it was made.
    pub line: Option<Line>,
    pub(crate) die: DieRef,
}

/// The inlined calls of a function.
#[derive(Debug)]
pub struct InlinedCalls {
    /// Outer ones before those in them.
    pub calls: Vec<MappedCall>,
    /// Where their code begins and ends, in any order.
    pub edges: Vec<ImageAddr>,
    /// The innermost call at each address.
    around: RangeMap<CallIndex>,
}

/// Functions whose inlined calls are kept: those that the program stops in, and
/// those on its stacks.
const MOST_KEPT: usize = 256;

/// Inlined calls that have been read, by function.
#[derive(Debug, Default)]
pub(crate) struct KeptCalls(Mutex<HashMap<DieRef, Arc<InlinedCalls>>>);

impl KeptCalls {
    fn get(&self, function: DieRef, read: impl FnOnce() -> InlinedCalls) -> Arc<InlinedCalls> {
        // What another thread left half done is still whole: entries are.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&function) {
            return known.clone();
        }
        let calls = Arc::new(read());
        let mut kept = lock();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(function, calls.clone());
        calls
    }
}

/// The code of a line, as far as it lies together.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// First instruction.
    pub start: ImageAddr,
    /// First address past it.
    pub end: ImageAddr,
    /// `None` for code of no line.
    pub line: Option<Line>,
    /// Whether a statement begins at `start`.
    pub is_statement: bool,
}

/// The lines and inlined calls of a function.
#[derive(Clone, Debug)]
pub struct LineMap {
    /// The function.
    pub function: Function,
    /// By address.
    pub stretches: Vec<Stretch>,
    /// Its inlined calls.
    pub inlined: Arc<InlinedCalls>,
}

impl LineMap {
    /// The stretch that holds an address.
    pub fn stretch_at(&self, address: ImageAddr) -> Option<&Stretch> {
        let after = self.stretches.partition_point(|stretch| stretch.start <= address);
        self.stretches[..after].last().filter(|stretch| address < stretch.end)
    }
}

impl InlinedCalls {
    /// Whether an address within an inlined call is one where that begins: where
    /// it is entered, or where its code goes on behind other code.
    pub fn begins_at(&self, call: CallIndex, address: ImageAddr) -> bool {
        let before = address.wrapping_sub(1);
        self.calls[call].entry == address || !self.around(before).contains(&call)
    }

    /// The inlined calls around an address, outermost first.
    pub fn around(&self, address: ImageAddr) -> Vec<CallIndex> {
        let mut found = Vec::new();
        let mut next = self.around.find(address.get()).copied();
        while let Some(call) = next {
            found.push(call);
            next = self.calls[call].around;
        }
        found.reverse();
        found
    }
}

impl Image {
    /// The lines of the function around an address; `None` where no line table
    /// covers it.
    pub fn line_map_at(&self, address: ImageAddr) -> Option<LineMap> {
        let die = self.function_die_at(address.get())?;
        let function = self.function_of(die)?;
        let table = self.line_table(die.unit)?;
        let mut stretches: Vec<Stretch> = function
            .ranges
            .iter()
            .flat_map(|&(start, end)| stretches(table, start.get(), end.get()))
            .collect();
        stretches.sort_by_key(|stretch| stretch.start);
        if stretches.is_empty() {
            return None;
        }
        Some(LineMap { function, stretches, inlined: self.inlined_calls(die) })
    }

    /// The inlined calls of a function, kept once read.
    pub(crate) fn inlined_calls(&self, function: DieRef) -> Arc<InlinedCalls> {
        self.inlined.get(function, || self.read_inlined_calls(function))
    }

    fn read_inlined_calls(&self, function: DieRef) -> InlinedCalls {
        let mut calls: Vec<MappedCall> = Vec::new();
        let mut ranges = Vec::new();
        let mut open: Vec<(isize, CallIndex)> = Vec::new();
        self.visit_within(function, |depth, offset, entry| {
            while open.last().is_some_and(|(last, _)| *last >= depth) {
                open.pop();
            }
            if entry.tag() != dw::DW_TAG_inlined_subroutine {
                return;
            }
            let around = open.last().map(|(_, call)| *call);
            let die = DieRef { unit: function.unit, offset };
            let Some((call, code)) = self.mapped_call(die, entry, around) else { return };
            let index = calls.len();
            calls.push(call);
            ranges.extend(code.into_iter().map(|(start, end)| (start, end, index)));
            open.push((depth, index));
        });
        let edges = ranges.iter().flat_map(|&(start, end, _)| [start, end]);
        let edges = edges.map(ImageAddr::new).collect();
        InlinedCalls { calls, edges, around: RangeMap::new(ranges) }
    }

    fn mapped_call(
        &self,
        die: DieRef,
        entry: &Entry,
        around: Option<CallIndex>,
    ) -> Option<(MappedCall, Vec<(u64, u64)>)> {
        let unit = self.units().unit(die.unit)?;
        let code = dies::ranges(unit, entry);
        let at = dies::entry_pc(unit, entry, &code)?;
        let line = || {
            let file = line_table::file(unit, dies::number(entry, dw::DW_AT_call_file)?)?;
            let number = u32::try_from(dies::number(entry, dw::DW_AT_call_line)?).ok()?;
            Some(Line { file, number })
        };
        Some((MappedCall { around, entry: ImageAddr::new(at), line: line(), die }, code))
    }
}

/// Whether a statement of a row's line begins at an address: what goes on with
/// the statement before, as gdb has it, does not begin one.
fn begins_statement(table: &LineTable, row: &Row, at: u64) -> bool {
    table.between(at, at + 1).iter().any(|other| {
        let same_line = (other.file, other.line) == (row.file, row.line);
        same_line && other.is_stmt() && !other.continues()
    })
}

/// Whether the code at an address goes on with the statement before it.
fn goes_on(table: &LineTable, at: u64) -> bool {
    let rows = table.between(at, at + 1);
    !rows.is_empty() && rows.iter().all(Row::continues)
}

/// The stretches of a range of code.
fn stretches(table: &LineTable, start: u64, end: u64) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut at = start;
    while at < end {
        let Some((row, row_end)) = table.at(at) else { break };
        let next = row_end.min(end);
        if next <= at {
            break;
        }
        let file = table.file(row.file).filter(|_| row.line != 0);
        if let Some(last) = found.last_mut().filter(|_| goes_on(table, at)) {
            last.end = ImageAddr::new(next);
            at = next;
            continue;
        }
        found.push(Stretch {
            start: ImageAddr::new(at),
            end: ImageAddr::new(next),
            line: file.map(|file| Line { file: file.clone(), number: row.line }),
            is_statement: begins_statement(table, &row, at),
        });
        at = next;
    }
    found
}
