//! Places in code as users write them (`function`, `file:line`, `*expression`,
//! `function+offset`) and what they mean in one image. gdb's spellings
//! wherever gdb has one.

use std::sync::Arc;

use regex::Regex;
use trapline_core::ImageAddr;
use trapline_core::breakpoint::Subject;
use trapline_symbols::{Function, Image, LineError};

use crate::command::CommandError;

/// What a breakpoint's subject asks to be found.
#[derive(Clone, Debug)]
pub(crate) enum Sought {
    /// A place in code.
    Place(PlaceText),
    /// Every function whose name the pattern finds.
    Functions(Regex),
    /// Data, whose expression is read where it is watched.
    Data,
    /// Nothing: its locations are given.
    Given,
}

/// A place, read but not yet looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PlaceText {
    /// `*EXPRESSION`.
    Address(String),
    /// `FILE:LINE`, or a bare line of the file at hand.
    Line { file: Option<String>, line: u32 },
    /// `+LINES` or `-LINES` from the line where the program stands.
    Relative(i64),
    /// `FUNCTION`, `FILE:FUNCTION`, `FUNCTION+BYTES`, `FUNCTION:+LINES`,
    /// `-qualified FUNCTION`.
    Function { name: String, file: Option<String>, qualified: bool, offset: Offset },
}

/// Distance from a function's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Offset {
    /// The place for a breakpoint on the function: past its prologue.
    Body,
    /// This many bytes from its first instruction.
    Bytes(u64),
    /// This many lines from its first.
    Lines(u32),
}

/// A place found in an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FoundPlace {
    pub(crate) address: ImageAddr,
    pub(crate) function: Option<Arc<str>>,
    pub(crate) file: Option<Arc<str>>,
    pub(crate) line: Option<u32>,
}

/// What looking a place up in one image gave.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lookup {
    pub(crate) places: Vec<FoundPlace>,
    /// Worth telling although it was found: moved to another line.
    pub(crate) notes: Vec<String>,
    /// Why nothing was found here.
    pub(crate) reason: Option<String>,
}

impl Sought {
    /// Reads a subject, and refuses one that cannot be read.
    pub(crate) fn of(subject: &Subject) -> Result<Self, CommandError> {
        match subject {
            Subject::Code { location, .. } => {
                PlaceText::parse(location).map(Self::Place).map_err(CommandError::new)
            }
            Subject::Functions { regex } => compile_regex(regex).map(Self::Functions),
            Subject::Data { expression, .. } if expression.trim().is_empty() => {
                Err(CommandError::new("what should be watched? Name an expression"))
            }
            Subject::Data { .. } => Ok(Self::Data),
        }
    }
}

fn compile_regex(regex: &str) -> Result<Regex, CommandError> {
    Regex::new(regex).map_err(|error| {
        // The last line says what is wrong; those before it draw where.
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        CommandError::new(format!("`{regex}` is not a regular expression: {why}"))
    })
}

impl PlaceText {
    /// Reads a place.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("a place is missing: a function, FILE:LINE or *ADDRESS".to_owned());
        }
        if let Some(expression) = text.strip_prefix('*') {
            return Ok(Self::Address(expression.trim().to_owned()));
        }
        if let Some(name) = text.strip_prefix("-qualified ").or(text.strip_prefix("-q ")) {
            return Ok(match Self::parse(name)? {
                Self::Function { name, file, offset, .. } => {
                    Self::Function { name, file, offset, qualified: true }
                }
                other => other,
            });
        }
        if is_number(text) {
            return line_number(None, text);
        }
        if text.strip_prefix(['+', '-']).is_some_and(is_number) {
            return Ok(Self::Relative(text.parse().map_err(|_| format!("`{text}` is too far"))?));
        }
        let (file, rest) = match split_file(text) {
            Some((file, rest)) => (Some(file.to_owned()), rest),
            None => (None, text),
        };
        if file.is_some() && is_number(rest.trim()) {
            return line_number(file, rest.trim());
        }
        if rest.trim().is_empty() {
            return Err(format!("`{text}` names no function or line after its colon"));
        }
        function(file, rest.trim())
    }
}

impl PlaceText {
    /// Whether it means the same wherever the program stands.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self, Self::Relative(_) | Self::Line { file: None, .. })
    }
}

/// A number without a sign: with one it would be a distance.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn line_number(file: Option<String>, line: &str) -> Result<PlaceText, String> {
    match line.parse() {
        Ok(0) => Err("lines are counted from 1".to_owned()),
        Ok(line) => Ok(PlaceText::Line { file, line }),
        Err(_) => Err(format!("`{line}` is not a line number: files are not that long")),
    }
}

fn function(file: Option<String>, text: &str) -> Result<PlaceText, String> {
    let (name, offset) = if let Some((name, lines)) = text.rsplit_once(":+") {
        let lines = lines.trim().parse().map_err(|_| format!("`{lines}` is not a line count"))?;
        (name, Offset::Lines(lines))
    } else {
        match text.rsplit_once('+') {
            Some((name, bytes)) if !is_operator(name, bytes) => {
                (name, Offset::Bytes(number(bytes)?))
            }
            _ => (text, Offset::Body),
        }
    };
    let name = name.trim();
    if name.is_empty() || name == "+" {
        return Err(format!("`{text}` names no function"));
    }
    Ok(PlaceText::Function { name: name.to_owned(), file, qualified: false, offset })
}

/// Whether the plus between the two is one of an operator's name.
fn is_operator(before: &str, behind: &str) -> bool {
    let behind = behind.trim_start();
    let is_second = || before.ends_with("operator+") && !behind.starts_with(char::is_numeric);
    behind.is_empty() || before.trim_end().ends_with("operator") || is_second()
}

fn number(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is not an offset in bytes"))
}

/// Splits `FILE:REST` at the one colon that is not part of `::`. The colons of a
/// Windows drive and of a tag as in `f[abi:cxx11]` are not separators either.
fn split_file(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' => depth += 1,
            b'>' | b')' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                let double =
                    bytes.get(index + 1) == Some(&b':') || (index > 0 && bytes[index - 1] == b':');
                let drive = index == 1 && matches!(bytes.get(2), Some(b'\\' | b'/'));
                let lines = bytes.get(index + 1) == Some(&b'+');
                let tag = text[..index].ends_with("[abi");
                if !double && !drive && !lines && !tag {
                    return Some((&text[..index], &text[index + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

/// How far a search goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Effort {
    /// Leaves separate debug files unread as long as nothing says that the
    /// place is in them: what is only inlined in them is not found.
    Likely,
    /// Reads everything.
    Everything,
}

/// Looks a line or function up in an image. `default_file` serves bare lines.
pub(crate) fn look_up(
    image: &Image,
    place: &PlaceText,
    default_file: Option<&str>,
    effort: Effort,
) -> Lookup {
    if effort == Effort::Likely && is_unlikely(image, place, default_file) {
        return Lookup::default();
    }
    match place {
        PlaceText::Address(_) | PlaceText::Relative(_) => Lookup::default(),
        PlaceText::Line { file, line } => match file.as_deref().or(default_file) {
            Some(file) => look_up_line(image, file, *line),
            None => Lookup {
                reason: Some("no source file is at hand: write FILE:LINE".to_owned()),
                ..Lookup::default()
            },
        },
        PlaceText::Function { name, file, qualified, offset } => {
            look_up_function(image, name, file.as_deref(), *qualified, *offset)
        }
    }
}

fn look_up_line(image: &Image, file: &str, line: u32) -> Lookup {
    match image.line_locations(file, line) {
        Ok(found) => {
            let notes = if found.actual == found.requested {
                Vec::new()
            } else {
                vec![format!("line {} has no code; moved to line {}", line, found.actual)]
            };
            let places = found.places.iter().map(|place| FoundPlace {
                address: place.address,
                function: place.function.as_deref().map(Arc::from),
                file: Some(place.file.clone()),
                line: Some(place.line).filter(|line| *line != 0),
            });
            Lookup { places: places.collect(), notes, ..Lookup::default() }
        }
        Err(LineError::NoDebugInfo) => Lookup {
            reason: Some(format!(
                "{} has no line information: compile with -g, or install its debug symbols",
                image.path().display()
            )),
            ..Lookup::default()
        },
        Err(LineError::UnknownFile) => {
            Lookup { reason: Some(format!("No source file named {file}.")), ..Lookup::default() }
        }
        Err(LineError::NoCode { files, .. }) => {
            let name = files.first().map_or_else(|| file.to_owned(), ToString::to_string);
            Lookup {
                reason: Some(format!("no code at line {line} of {name} or after it")),
                ..Lookup::default()
            }
        }
    }
}

fn look_up_function(
    image: &Image,
    name: &str,
    file: Option<&str>,
    qualified: bool,
    offset: Offset,
) -> Lookup {
    let mut functions = image.functions_named(name, qualified);
    if let Some(file) = file {
        functions.retain(|function| {
            function.decl.as_ref().is_some_and(|(path, _)| path_ends_with(path, file))
        });
    }
    if functions.is_empty() {
        return Lookup {
            reason: Some(format!("Function \"{name}\" not defined.")),
            ..Lookup::default()
        };
    }
    let mut lookup = Lookup::default();
    for function in &functions {
        match place_in(image, function, offset) {
            Ok(place) => lookup.places.push(place),
            Err(why) => lookup.reason = Some(why),
        }
    }
    lookup.places.sort_by_key(|place| place.address);
    lookup.places.dedup_by_key(|place| place.address);
    lookup
}

fn is_unlikely(image: &Image, place: &PlaceText, default_file: Option<&str>) -> bool {
    match place {
        PlaceText::Address(_) | PlaceText::Relative(_) => true,
        PlaceText::Line { file, .. } => {
            file.as_deref().or(default_file).is_none_or(|file| image.lacks_file(file))
        }
        PlaceText::Function { name, qualified, .. } => image.could_only_inline(name, *qualified),
    }
}

/// What may have been meant by a place that an image does not have. Costly:
/// every name is looked at.
pub(crate) fn candidates(
    image: &Image,
    place: &PlaceText,
    default_file: Option<&str>,
) -> Vec<String> {
    match place {
        PlaceText::Address(_) | PlaceText::Relative(_) => Vec::new(),
        PlaceText::Function { name, .. } => image.nearest_functions(name, 3),
        PlaceText::Line { file, line } => {
            let Some(file) = file.as_deref().or(default_file) else { return Vec::new() };
            match image.line_locations(file, *line) {
                Err(LineError::UnknownFile) => {
                    let nearest = image.nearest_files(file, 3);
                    nearest.iter().map(|name| format!("{name}:{line}")).collect()
                }
                Err(LineError::NoCode { files, nearest }) => {
                    let name = files.first().map_or(file, |name| name);
                    nearest.iter().map(|near| format!("{name}:{near}")).collect()
                }
                Ok(_) | Err(LineError::NoDebugInfo) => Vec::new(),
            }
        }
    }
}

fn path_ends_with(path: &Arc<str>, suffix: &str) -> bool {
    std::path::Path::new(&**path).ends_with(suffix)
}

fn place_in(image: &Image, function: &Function, offset: Offset) -> Result<FoundPlace, String> {
    let address = match offset {
        Offset::Body => function.prologue_end,
        Offset::Bytes(bytes) => within(function, bytes)?,
        Offset::Lines(lines) => {
            let first = function.decl.as_ref().map(|(_, line)| *line);
            let wanted = first
                .and_then(|line| line.checked_add(lines))
                .ok_or_else(|| format!("the first line of {} is not known", function.name))?;
            image
                .lines_of_function(function)
                .into_iter()
                .filter(|(line, _)| *line >= wanted)
                .min()
                .map(|(_, address)| address)
                .ok_or_else(|| format!("{} has no line {wanted}", function.name))?
        }
    };
    Ok(found_at(image, address, Some(&function.name)))
}

fn within(function: &Function, bytes: u64) -> Result<ImageAddr, String> {
    let address = function.entry.wrapping_add(bytes);
    // Without a known size (a bare symbol) any offset is the user's business.
    if function.has_debug && !function.contains(address) {
        return Err(format!("{}+{bytes} is outside of the function", function.name));
    }
    Ok(address)
}

/// Puts names to an address of an image.
pub(crate) fn found_at(image: &Image, address: ImageAddr, function: Option<&str>) -> FoundPlace {
    let source = image.source_at(address).filter(|line| line.line != 0);
    FoundPlace {
        address,
        function: match function {
            Some(name) => Some(name.into()),
            None => {
                let inlined = image.inline_chain_at(address).into_iter().next();
                let name = inlined.map(|call| call.name);
                name.or_else(|| Some(image.function_at(address)?.name)).map(Arc::from)
            }
        },
        line: source.as_ref().map(|line| line.line),
        file: source.map(|line| line.file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_place(
        name: &str,
        file: Option<&str>,
        qualified: bool,
        offset: Offset,
    ) -> PlaceText {
        PlaceText::Function {
            name: name.to_owned(),
            file: file.map(str::to_owned),
            qualified,
            offset,
        }
    }

    #[test]
    fn places_read_as_gdb_reads_them() {
        let check = |text: &str, expected: PlaceText| {
            assert_eq!(PlaceText::parse(text), Ok(expected), "{text}");
        };
        let line =
            |file: Option<&str>, line| PlaceText::Line { file: file.map(str::to_owned), line };
        check("main", function_place("main", None, false, Offset::Body));
        check("ns::Class::method", function_place("ns::Class::method", None, false, Offset::Body));
        check("f(a::b, int)", function_place("f(a::b, int)", None, false, Offset::Body));
        check("main+0x10", function_place("main", None, false, Offset::Bytes(16)));
        check("main+4", function_place("main", None, false, Offset::Bytes(4)));
        check("main:+3", function_place("main", None, false, Offset::Lines(3)));
        check("a.c:main", function_place("main", Some("a.c"), false, Offset::Body));
        check("a.c:ns::f", function_place("ns::f", Some("a.c"), false, Offset::Body));
        check("-qualified f", function_place("f", None, true, Offset::Body));
        check("operator+", function_place("operator+", None, false, Offset::Body));
        for name in ["M::operator++()", "M::operator++(int)", "operator+(M, M)", "f[abi:cxx11]"] {
            check(name, function_place(name, None, false, Offset::Body));
        }
        check(
            "operator++(int)+4",
            function_place("operator++(int)", None, false, Offset::Bytes(4)),
        );
        check("a.c:f[abi:v1]", function_place("f[abi:v1]", Some("a.c"), false, Offset::Body));
        check("a.c:12", line(Some("a.c"), 12));
        check("/src/dir/a.c:12", line(Some("/src/dir/a.c"), 12));
        check("C:\\src\\a.c:7", line(Some("C:\\src\\a.c"), 7));
        check("42", line(None, 42));
        check("*0x1234", PlaceText::Address("0x1234".to_owned()));
        check("* main + 4", PlaceText::Address("main + 4".to_owned()));
        check("+3", PlaceText::Relative(3));
        check("-12", PlaceText::Relative(-12));
    }

    #[test]
    fn wrong_places_say_what_is_wrong() {
        for wrong in
            ["", "  ", "a.c:0", "main+x", "+x", "+", "main:+x", "99999999999", "a.c:99999999999"]
        {
            assert!(PlaceText::parse(wrong).is_err(), "{wrong}");
        }
    }
}
