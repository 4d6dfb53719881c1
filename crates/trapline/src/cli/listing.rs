//! `list`: which lines of which source file, as gdb counts them.

use std::path::{Path, PathBuf};

use trapline_engine::event::FrameInfo;
use trapline_engine::{Command, CommandError, Reply};

use super::action::ListWhat;
use super::console::{Console, Session};
use super::render::code;

/// Lines of a file that were shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    file: PathBuf,
    first: u32,
    /// The line after the last.
    next: u32,
}

/// Lines of a file to show.
struct Part {
    file: PathBuf,
    first: u32,
    count: u32,
    /// The line where the program stands.
    current: Option<u32>,
}

impl<S: Session> Console<S> {
    pub(super) fn list(&mut self, what: ListWhat) -> Result<(), CommandError> {
        let part = self.part_to_list(what)?;
        let source = self.sources.file(&part.file);
        let source = source.as_ref().as_ref().map_err(CommandError::new)?;
        let total = source.len();
        if part.first > total {
            return Err(CommandError::new(format!(
                "Line number {} out of range; {} has {total} lines.",
                part.first,
                part.file.display()
            )));
        }
        let lines = self.sources.lines(source, part.first, part.count);
        self.screen.line(code::listing(&lines, part.first, part.current));
        let next = part.first.saturating_add(part.count).min(total.saturating_add(1));
        self.cursor.listed = Some(Listed { file: part.file, first: part.first, next });
        Ok(())
    }

    fn part_to_list(&mut self, what: ListWhat) -> Result<Part, CommandError> {
        let size = self.settings.list_size;
        let part = |file, first, count| Part { file, first, count, current: None };
        let around = |line: u32| line.saturating_sub(size / 2).max(1);
        Ok(match (what, self.cursor.listed.clone()) {
            (ListWhat::Next, Some(shown)) => part(shown.file, shown.next, size),
            (ListWhat::Previous, Some(shown)) => {
                if shown.first <= 1 {
                    let file = shown.file.display();
                    return Err(CommandError::new(format!("Already at the start of {file}.")));
                }
                let first = shown.first.saturating_sub(size).max(1);
                part(shown.file, first, shown.first - first)
            }
            (ListWhat::Next | ListWhat::Previous, None) => {
                let (file, line) = self.place_in_source(None)?;
                Part { current: Some(line), ..part(file, around(line), size) }
            }
            (ListWhat::Around(place), _) => {
                let (file, line) = self.line_meant(&place)?;
                part(file, around(line), size)
            }
            (ListWhat::Range(Some(first), last), _) => {
                let (file, first) = self.line_meant(&first)?;
                let last = last.map(|last| self.last_line(&file, first, &last)).transpose()?;
                part(file, first, last.map_or(size, |last| last - first + 1))
            }
            (ListWhat::Range(None, last), _) => {
                let (file, last) = self.line_meant(&last.unwrap_or_default())?;
                let first = last.saturating_sub(size.saturating_sub(1)).max(1);
                part(file, first, last - first + 1)
            }
        })
    }

    /// The line that ends a range: `+N` counts from its first.
    fn last_line(&mut self, file: &PathBuf, first: u32, last: &str) -> Result<u32, CommandError> {
        let distance = last.strip_prefix('+').and_then(|distance| distance.parse::<u32>().ok());
        let (end, line) = match distance {
            Some(distance) => (file.clone(), first.saturating_add(distance)),
            None => self.line_meant(last)?,
        };
        if end != *file {
            return Err(CommandError::new("the first and the last line are in different files"));
        }
        if line < first {
            return Err(CommandError::new(format!("line {line} is before line {first}")));
        }
        Ok(line)
    }

    /// A bare line is one of the file shown last.
    fn line_meant(&mut self, place: &str) -> Result<(PathBuf, u32), CommandError> {
        match (place.parse(), &self.cursor.listed) {
            (Ok(line), Some(shown)) if line > 0 && !place.starts_with('+') => {
                Ok((shown.file.clone(), line))
            }
            _ => self.place_in_source(Some(place.to_owned())),
        }
    }

    pub(super) fn place_in_source(
        &mut self,
        location: Option<String>,
    ) -> Result<(PathBuf, u32), CommandError> {
        match self.session.request(Command::Source { location })? {
            Reply::Source { file, line, image } => {
                self.warn_if_newer(&file, Some(&image));
                Ok((file, line))
            }
            _ => Err(CommandError::new("no source is known there")),
        }
    }

    /// The line at which a frame stands, when it can be shown.
    pub(super) fn line_of_frame(&mut self, frame: &FrameInfo) -> Option<String> {
        let (file, line) = (frame.file.as_ref()?, frame.line?);
        self.warn_if_newer(file, frame.module.as_deref());
        self.sources.line(file, line)
    }

    /// Says once of a source file that it may be another than was compiled.
    pub(super) fn warn_if_newer(&mut self, file: &Path, image: Option<&Path>) {
        if let Some(found) = image.and_then(|image| self.sources.newly_newer(file, image)) {
            self.screen.line(code::stale(&found));
        }
    }
}
