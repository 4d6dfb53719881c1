//! Places in source: what `list` and `info line` are about, and what a line
//! without a file, or a distance in lines, means where the program stands.

use std::path::PathBuf;
use std::sync::Arc;

use trapline_core::breakpoint::Subject;
use trapline_core::{ImageAddr, VirtAddr};
use trapline_symbols::{Image, LineError};

use super::Session;
use super::binding::Asked;
use super::frames::line_at;
use super::scope::CodePlace;
use super::values::symbolic;
use crate::command::{CommandError, Reply};
use crate::place::{self, Effort, Lookup, Offset, PlaceText, Sought};
use crate::process::Process;
use crate::space::{Module, Modules};

/// Most rows of the line table that are joined to one line.
const MAX_ROWS: usize = 1000;

const NO_LINES: &str =
    "no line information there: name FILE:LINE or a function with debug information";

/// A line of a source file, and the image that was built from it.
struct SourceLine<'a> {
    file: Arc<str>,
    line: u32,
    image: &'a Image,
}

impl Session {
    /// What a place means from now on, wherever the program stands later: a
    /// bare line gets its file, a distance becomes a line.
    pub(super) fn settled_place(&mut self, text: &str) -> Result<PlaceText, CommandError> {
        self.settle(PlaceText::parse(text).map_err(CommandError::new)?)
    }

    fn settle(&mut self, place: PlaceText) -> Result<PlaceText, CommandError> {
        match place {
            PlaceText::Relative(distance) => self.line_at_distance(distance),
            PlaceText::Line { file: None, line } => {
                let place = self.selected_place();
                let file = default_file(&self.visible_modules(), place);
                Ok(PlaceText::Line { file, line })
            }
            other => Ok(other),
        }
    }

    fn line_at_distance(&mut self, distance: i64) -> Result<PlaceText, CommandError> {
        let place = self.selected_place();
        let modules = self.visible_modules();
        let here = place.and_then(|place| line_of(&modules, place)).ok_or_else(|| {
            CommandError::new(format!(
                "`{distance:+}` counts from the line where the program stands, and it stands at \
                 none: write FILE:LINE"
            ))
        })?;
        let line = i64::from(here.line).checked_add(distance).filter(|line| *line > 0);
        let line = line.and_then(|line| u32::try_from(line).ok()).ok_or_else(|| {
            CommandError::new(format!(
                "`{distance:+}` from line {} is no line of {}",
                here.line, here.file
            ))
        })?;
        Ok(PlaceText::Line { file: Some(here.file.as_ref().to_owned()), line })
    }

    /// The same breakpoint with its place settled.
    pub(super) fn settled(&mut self, asked: Asked) -> Result<Asked, CommandError> {
        let Asked { mut spec, sought } = asked;
        let (Subject::Code { location, .. }, Sought::Place(place)) = (&mut spec.subject, &sought)
        else {
            return Ok(Asked { spec, sought });
        };
        let runs = self.processes.values().any(Process::is_debuggee);
        if !runs && location.trim() == "*$pc" {
            return Err(CommandError::new(
                "no program stands anywhere yet: say where, by FUNCTION, FILE:LINE or *ADDRESS",
            ));
        }
        if place.is_settled() {
            return Ok(Asked { spec, sought });
        }
        let place = self.settle(place.clone())?;
        if let PlaceText::Line { file: Some(file), line } = &place {
            *location = format!("{file}:{line}");
        }
        Ok(Asked { spec, sought: Sought::Place(place) })
    }

    /// Answers `list`: which file and line; the front end shows the text.
    pub(super) fn source(&mut self, location: Option<String>) -> Result<Reply, CommandError> {
        let here = self.selected_place();
        let text = location.map(|text| self.settled_place(&text)).transpose()?;
        let at = match &text {
            Some(PlaceText::Address(expression)) => Some(self.address_of(expression)?.into()),
            _ => here,
        };
        let modules = self.visible_modules();
        let found = match &text {
            None => at.and_then(|at| line_of(&modules, at)).or_else(|| line_of_main(&modules)),
            Some(PlaceText::Address(_)) => at.and_then(|at| line_of(&modules, at)),
            Some(text) => Some(line_of_place(&modules, text)?),
        };
        let SourceLine { file, line, image } = found.ok_or_else(|| CommandError::new(NO_LINES))?;
        let image = image.path().to_owned();
        Ok(Reply::Source { file: PathBuf::from(&*file), line, image })
    }

    pub(super) fn visible_modules(&self) -> Modules {
        let running = self
            .selected()
            .ok()
            .and_then(|selected| self.space_of(selected.pid))
            .map(|space| space.modules.clone());
        running.unwrap_or_else(|| self.program_alone())
    }

    /// Every address that a location means in the selected process.
    pub(super) fn addresses_of(&mut self, location: &str) -> Result<Vec<VirtAddr>, CommandError> {
        let text = self.settled_place(location)?;
        if let PlaceText::Address(expression) = &text {
            return Ok(vec![self.address_of(expression)?]);
        }
        let modules = self.visible_modules();
        let mut reason = None;
        let mut found = Vec::new();
        for module in modules.in_load_order() {
            let lookup = place::look_up(&module.image, &text, None, Effort::Everything);
            reason = reason.or(lookup.reason);
            found.extend(lookup.places.iter().map(|place| module.bias.to_virt(place.address)));
        }
        match found.is_empty() {
            true => Err(CommandError::new(reason.unwrap_or_else(|| NO_LINES.to_owned()))),
            false => Ok(found),
        }
    }

    /// Answers `info line`.
    pub(super) fn info_line(&mut self, location: &str) -> Result<Reply, CommandError> {
        let mut text = self.settled_place(location)?;
        // The line that a function begins at, rather than that of its body.
        if let PlaceText::Function { offset: offset @ Offset::Body, .. } = &mut text {
            *offset = Offset::Bytes(0);
        }
        let modules = self.visible_modules();
        let addr = match &text {
            PlaceText::Address(expression) => Some(self.address_of(expression)?),
            _ => None,
        };
        let mut lines = Vec::new();
        let mut reason = None;
        for module in modules.in_load_order() {
            let lookup = match addr {
                Some(addr) if module.range.contains(addr) => at_address(module, addr),
                Some(_) => Lookup::default(),
                None => place::look_up(&module.image, &text, None, Effort::Everything),
            };
            reason = reason.or(lookup.reason);
            let places = lookup.places.iter();
            lines.extend(places.filter_map(|place| extent(&modules, module, &text, place.address)));
        }
        if lines.is_empty() {
            let reason = reason.unwrap_or_else(|| format!("no line information for {location}"));
            return Err(CommandError::new(reason));
        }
        Ok(Reply::Text(lines.join("\n")))
    }
}

/// The file that a bare line number is about: that of a place in code, else
/// that of `main`.
pub(super) fn default_file(modules: &Modules, place: Option<CodePlace>) -> Option<String> {
    let found = place.and_then(|at| line_of(modules, at)).or_else(|| line_of_main(modules))?;
    Some(found.file.as_ref().to_owned())
}

fn at_address(module: &Module, addr: VirtAddr) -> Lookup {
    let place = place::found_at(&module.image, module.to_image(addr), None);
    Lookup { places: vec![place], ..Lookup::default() }
}

fn line_of(modules: &Modules, place: CodePlace) -> Option<SourceLine<'_>> {
    let image = &*modules.at(place.lookup())?.image;
    let (file, line) = line_at(modules, place)?;
    Some(SourceLine { file, line, image })
}

fn line_in(image: &Image, address: ImageAddr) -> Option<SourceLine<'_>> {
    let found = place::found_at(image, address, None);
    Some(SourceLine { file: found.file?, line: found.line?, image })
}

fn line_of_main(modules: &Modules) -> Option<SourceLine<'_>> {
    let first = modules.in_load_order().next()?;
    let main = first.image.functions_named("main", true).into_iter().next()?;
    line_in(&first.image, main.prologue_end)
}

/// The line that a place names, whether it has code or not.
fn line_of_place<'a>(
    modules: &'a Modules,
    text: &PlaceText,
) -> Result<SourceLine<'a>, CommandError> {
    let mut reason = None;
    for module in modules.in_load_order() {
        let image = &*module.image;
        if let Some((file, line)) = named_line(image, text) {
            return Ok(SourceLine { file, line, image });
        }
        let lookup = place::look_up(image, text, None, Effort::Everything);
        if let Some(place) = lookup.places.into_iter().next()
            && let (Some(file), Some(line)) = (place.file, place.line)
        {
            return Ok(SourceLine { file, line, image });
        }
        reason = reason.or(lookup.reason);
    }
    Err(CommandError::new(reason.unwrap_or_else(|| NO_LINES.to_owned())))
}

/// A line by its own number, and a function by the line that declares it.
fn named_line(image: &Image, text: &PlaceText) -> Option<(Arc<str>, u32)> {
    match text {
        PlaceText::Line { file: Some(file), line } => {
            let known = match image.line_locations(file, *line) {
                Ok(found) => found.places.first()?.file.clone(),
                Err(LineError::NoCode { files, .. }) => files.into_iter().next()?,
                Err(LineError::NoDebugInfo | LineError::UnknownFile) => return None,
            };
            Some((known, *line))
        }
        PlaceText::Function { name, file: None, qualified, offset: Offset::Body } => {
            let mut functions = image.functions_named(name, *qualified).into_iter();
            functions.find_map(|function| function.decl)
        }
        _ => None,
    }
}

/// Where the code of the line at an address begins and ends, as gdb says it.
fn extent(
    modules: &Modules,
    module: &Module,
    text: &PlaceText,
    address: ImageAddr,
) -> Option<String> {
    let row = module.image.source_at(address)?;
    let mut end = row.end;
    // Rows that begin no statement belong to the one before.
    for _ in 0..MAX_ROWS {
        match module.image.source_at(end) {
            Some(next) if !next.is_stmt && next.file == row.file && next.end > end => {
                end = next.end;
            }
            _ => break,
        }
    }
    let spot = |address: ImageAddr| {
        let addr = module.bias.to_virt(address);
        let name = symbolic(modules, addr).map(|name| format!(" <{name}>"));
        format!("{addr}{}", name.unwrap_or_default())
    };
    Some(match text {
        PlaceText::Line { line, .. } if *line != row.line => format!(
            "Line {line} of \"{}\" is at address {} but contains no code.",
            row.file,
            spot(row.start)
        ),
        _ => format!(
            "Line {} of \"{}\" starts at address {} and ends at {}.",
            row.line,
            row.file,
            spot(row.start),
            spot(end)
        ),
    })
}
