//! Lines to be run one after the other: of files, of the command line. Lines in
//! a row that set breakpoints make one step, so that a thousand of them cost
//! one request. Running a step is left to the console.

use std::collections::VecDeque;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use trapline_core::breakpoint::BreakpointSpec;
use trapline_engine::CommandError;

use super::action::Action;
use super::console::cannot;
use super::lookup;
use super::table::Needs;

/// Lines still to be run.
#[derive(Default, Debug)]
pub(crate) struct Script {
    /// What the lines are cut from.
    text: String,
    lines: VecDeque<Range<usize>>,
    /// Of the line taken last; the first is 1.
    number: usize,
    files: Vec<FileLines>,
}

/// Lines that came from a file.
#[derive(Debug)]
struct FileLines {
    name: PathBuf,
    /// The number before that of its first line.
    before: usize,
    count: usize,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line as if typed.
    Line(String),
    /// The breakpoints of as many lines.
    Breakpoints(Vec<BreakpointSpec>),
}

impl Script {
    /// Adds the lines of a file.
    ///
    /// # Errors
    /// That it cannot be read.
    pub(crate) fn add_file(&mut self, file: &Path) -> Result<(), CommandError> {
        let text = fs::read_to_string(file).map_err(|error| cannot("read", file, &error))?;
        self.text.reserve(text.len());
        let before = self.number + self.lines.len();
        self.extend(text.lines());
        let count = self.number + self.lines.len() - before;
        self.files.push(FileLines { name: file.to_owned(), before, count });
        Ok(())
    }

    /// Whether no line is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// An error of the line taken last, with its file and line in front; lines
    /// that came from no file are known by what they say.
    pub(crate) fn placed(&self, error: CommandError) -> CommandError {
        let number = self.number;
        let holds =
            |file: &&FileLines| (file.before + 1..=file.before + file.count).contains(&number);
        let Some(file) = self.files.iter().find(holds) else { return error };
        let (name, line) = (file.name.display(), number - file.before);
        CommandError { message: format!("{name}:{line}: {}", error.message), ..error }
    }

    /// Counts back over lines that were taken and not run, but for the first of
    /// them: that one is to blame.
    pub(crate) fn blame(&mut self, not_run: usize) {
        self.number -= not_run.saturating_sub(1).min(self.number);
    }

    /// Takes the next step.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        let mut specs = Vec::new();
        while let Some(spec) = self.front().and_then(breakpoint) {
            specs.push(spec);
            self.advance();
        }
        if specs.is_empty() { self.next().map(Step::Line) } else { Some(Step::Breakpoints(specs)) }
    }

    /// The line to be taken next.
    fn front(&self) -> Option<&str> {
        self.lines.front().map(|line| &self.text[line.clone()])
    }

    fn advance(&mut self) {
        self.number += usize::from(self.lines.pop_front().is_some());
    }
}

/// The breakpoint that a line sets and that needs no process.
fn breakpoint(line: &str) -> Option<BreakpointSpec> {
    let found = lookup::find(line).ok()??;
    if found.row.needs != Needs::Nothing {
        return None;
    }
    match found.action() {
        Ok(Action::Break(spec)) => Some(*spec),
        _ => None,
    }
}

impl Iterator for Script {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let line = self.front()?.to_owned();
        self.advance();
        Some(line)
    }
}

impl<L: AsRef<str>> Extend<L> for Script {
    fn extend<I: IntoIterator<Item = L>>(&mut self, lines: I) {
        for line in lines {
            let start = self.text.len();
            self.text += line.as_ref();
            self.lines.push_back(start..self.text.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step as the number of its breakpoints, or its line.
    fn check(lines: &[&str], expected: &[&str]) {
        let mut script = Script::default();
        script.extend(lines);
        let mut steps = Vec::new();
        while let Some(step) = script.next_step() {
            steps.push(match step {
                Step::Line(line) => line,
                Step::Breakpoints(specs) => format!("{} breakpoints", specs.len()),
            });
        }
        assert_eq!(steps, expected, "{lines:?}");
        assert_eq!(script.number, lines.len());
    }

    #[test]
    fn breakpoints_in_a_row_are_one_step() {
        check(&[], &[]);
        check(&["break f"], &["1 breakpoints"]);
        check(&["b f", "tbreak g if x", "hb h", "bt"], &["3 breakpoints", "bt"]);
        check(
            &["b f", "commands", "print x", "end", "b g"],
            &["1 breakpoints", "commands", "print x", "end", "1 breakpoints"],
        );
        check(&["b f", "", "b g"], &["1 breakpoints", "", "1 breakpoints"]);
        check(&["echo a\nb f", "b f\nb g"], &["echo a\nb f", "1 breakpoints"]);
        check(&["b f", "break -nonsense"], &["1 breakpoints", "break -nonsense"]);
    }

    #[test]
    fn the_line_to_blame_is_the_first_not_run() {
        let mut script = Script::default();
        script.extend((0..5).map(|index| format!("break f{index}")));
        assert!(matches!(script.next_step(), Some(Step::Breakpoints(specs)) if specs.len() == 5));
        script.blame(3);
        assert_eq!(script.number, 3);
    }
}
