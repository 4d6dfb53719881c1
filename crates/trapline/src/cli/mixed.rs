//! Source lines among instructions, `disassemble /s` and `/m`: which lines stand
//! before which instructions, as gdb has it. How either looks is left to
//! `render::code`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use trapline_engine::command::InstructionInfo;

use super::console::{Console, Session};
use super::render::code;

/// Lines without code that are shown before one with code, at most: more are no
/// part of it.
const MOST_LINES: u32 = 100;

/// What decides what comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Addresses.
    Code,
    /// Lines.
    Source,
}

/// A part of what is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part<'a> {
    /// An empty line.
    Gap,
    /// The name of a file.
    File(&'a str),
    /// A line of a file.
    Line(&'a str, u32),
    Instruction(&'a InstructionInfo),
}

/// Instructions in a row that are of one line.
type Group<'a> = (&'a Option<(Arc<str>, u32)>, Vec<&'a InstructionInfo>);

fn groups(all: &[InstructionInfo]) -> Vec<Group<'_>> {
    let same = |one: &InstructionInfo, next: &InstructionInfo| one.source == next.source;
    let groups = all.chunk_by(same);
    groups.filter_map(|group| Some((&group.first()?.source, group.iter().collect()))).collect()
}

/// In the order of the code: before each line the ones that lead up to it and
/// have no code of their own.
fn by_code(all: &[InstructionInfo]) -> Vec<Part<'_>> {
    let groups = groups(all);
    let with_code: HashSet<_> = groups.iter().filter_map(|(source, _)| source.as_ref()).collect();
    let mut parts = Vec::new();
    let mut last: Option<&(Arc<str>, u32)> = None;
    for (index, (source, instructions)) in groups.iter().enumerate() {
        parts.extend((index > 0).then_some(Part::Gap));
        if let Some((file, line)) = source {
            match last.filter(|(known, _)| known == file) {
                None => parts.push(Part::File(file)),
                Some(&(_, shown)) => {
                    let bare = |line: &u32| !with_code.contains(&(file.clone(), *line));
                    let from = line.saturating_sub(MOST_LINES).max(shown + 1);
                    let before = (from..*line).rev().take_while(bare).count();
                    let first = line - u32::try_from(before).unwrap_or(0);
                    parts.extend((first..*line).map(|line| Part::Line(file, line)));
                }
            }
            parts.push(Part::Line(file, *line));
        }
        parts.extend(instructions.iter().map(|one| Part::Instruction(one)));
        last = source.as_ref();
    }
    parts
}

/// In the order of the source: each line once, with all of its code, and between
/// them those that have none. The file that the code begins in comes first.
fn by_source(all: &[InstructionInfo]) -> Vec<Part<'_>> {
    let mut groups = groups(all);
    let main = groups.iter().find_map(|(source, _)| source.as_ref()).map(|(file, _)| file.clone());
    groups.sort_by_key(|(source, _)| {
        let other = source.as_ref().map(|(file, line)| (Some(file) != main.as_ref(), file, *line));
        (other.is_none(), other)
    });
    let mut parts = Vec::new();
    let mut last: Option<&(Arc<str>, u32)> = None;
    for (source, instructions) in &groups {
        let goes_on = !parts.is_empty() && source.is_some() && source.as_ref() == last;
        parts.extend((!goes_on && !parts.is_empty()).then_some(Part::Gap));
        if let Some((file, line)) = source
            && !goes_on
        {
            let before = last.filter(|(known, _)| known == file).map(|&(_, line)| line + 1);
            if before.is_none() && Some(file) != main.as_ref() {
                parts.push(Part::File(file));
            }
            let first = before.unwrap_or(*line).max(line.saturating_sub(MOST_LINES));
            parts.extend((first..=*line).map(|line| Part::Line(file, line)));
        }
        parts.extend(instructions.iter().map(|one| Part::Instruction(one)));
        last = source.as_ref();
    }
    parts
}

impl<S: Session> Console<S> {
    /// Shows instructions with the source lines that they are of.
    pub(super) fn disassemble_among_source(
        &mut self,
        all: &[InstructionInfo],
        order: Order,
        raw: bool,
    ) {
        let parts = match order {
            Order::Code => by_code(all),
            Order::Source => by_source(all),
        };
        if let Some(first) = all.iter().find(|one| one.source.is_some()) {
            // Which tells of source that is newer than the program.
            let _known = self.place_in_source(Some(format!("*{}", first.address)));
        }
        let lines: Vec<String> = parts.into_iter().map(|part| self.shown_part(part, raw)).collect();
        self.screen.lines(lines);
    }

    fn shown_part(&mut self, part: Part<'_>, raw: bool) -> String {
        match part {
            Part::Gap => String::new(),
            Part::File(file) => format!("{file}:"),
            Part::Line(file, line) => match self.sources.line(Path::new(file), line) {
                Some(text) => format!("{line}\t{text}"),
                None => format!("{line}\tin {file}"),
            },
            Part::Instruction(one) => code::instruction(one, raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use trapline_core::VirtAddr;

    use super::*;

    /// Instructions of lines, and the lines and addresses they are shown in.
    fn check(
        lines: &[(&str, u32)],
        shown: fn(&[InstructionInfo]) -> Vec<Part<'_>>,
        expected: &str,
    ) {
        let one = |(at, (file, line)): (u64, &(&str, u32))| InstructionInfo {
            address: VirtAddr::new(at),
            bytes: vec![0x90],
            text: "nop".to_owned(),
            symbol: None,
            current: false,
            source: (*line > 0).then(|| ((*file).into(), *line)),
            breakpoints: Vec::new(),
        };
        let all: Vec<InstructionInfo> = (0..).zip(lines).map(one).collect();
        let told = shown(&all).into_iter().map(|part| match part {
            Part::Gap => "|".to_owned(),
            Part::File(file) => format!("{file}:"),
            Part::Line(_, line) => line.to_string(),
            Part::Instruction(one) => format!("@{:x}", one.address.get()),
        });
        assert_eq!(told.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn lines_stand_before_their_code() {
        let loops = [("a", 3), ("a", 3), ("a", 8), ("a", 5), ("a", 9), ("a", 8)];
        check(&loops, by_code, "a: 3 @0 @1 | 6 7 8 @2 | 5 @3 | 9 @4 | 8 @5");
        check(&loops, by_source, "3 @0 @1 | 4 5 @3 | 6 7 8 @2 @5 | 9 @4");
        let inlined = [("a", 3), ("b", 1), ("", 0), ("a", 4)];
        check(&inlined, by_code, "a: 3 @0 | b: 1 @1 | @2 | a: 4 @3");
        check(&inlined, by_source, "3 @0 | 4 @3 | b: 1 @1 | @2");
        check(&[], by_code, "");
        check(&[], by_source, "");
    }
}
