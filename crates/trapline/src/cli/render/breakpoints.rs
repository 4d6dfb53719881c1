//! The table of breakpoints: what each says, what happened at it, what serves
//! it and why.

use std::borrow::Cow;
use std::fmt;

use trapline_core::breakpoint::{BreakpointSpec, Subject};
use trapline_core::x64::debug::Access;
use trapline_engine::command::{BreakpointInfo, LocationInfo};

use super::{finish, padded, table};
use crate::cli::screen::paint;

/// `info breakpoints`.
pub(crate) fn breakpoints(all: &[BreakpointInfo]) -> String {
    if all.is_empty() {
        return "No breakpoints or watchpoints.".to_owned();
    }
    let header = ["Num", "Type", "Disp", "Enb", "Address", "Hits", "Stops", "Mechanism", "What"];
    let mut rows = table(&header);
    let mut below = vec![Vec::new()];
    for info in all {
        rows.add_row(summary(info));
        below.push(says(info));
        if info.locations.len() > 1 {
            for location in &info.locations {
                rows.add_row(location_row(location));
                below.push(Vec::new());
            }
        }
    }
    // What a breakpoint says stands below its row, free of the columns.
    let lines = rows.lines().zip(below).flat_map(|(row, notes)| {
        let notes = notes.into_iter().map(|note| format!("\t{note}"));
        std::iter::once(row.trim_end().to_owned()).chain(notes)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn summary(info: &BreakpointInfo) -> Vec<String> {
    let (address, mechanism) = match info.locations.as_slice() {
        [] => ("<PENDING>".to_owned(), String::new()),
        [one] => (padded(one.address), mechanism(one)),
        _ => ("<MULTIPLE>".to_owned(), mechanisms(info)),
    };
    vec![
        info.id.to_string(),
        kind(&info.spec).to_owned(),
        if info.spec.temporary { "del" } else { "keep" }.to_owned(),
        if info.spec.enabled { "y" } else { "n" }.to_owned(),
        address,
        info.tally.hits.to_string(),
        info.tally.stops.to_string(),
        mechanism,
        what(info),
    ]
}

fn location_row(location: &LocationInfo) -> Vec<String> {
    vec![
        location.id.to_string(),
        String::new(),
        String::new(),
        if location.enabled { "y" } else { "n" }.to_owned(),
        padded(location.address),
        String::new(),
        String::new(),
        mechanism(location),
        place(location).unwrap_or_default(),
    ]
}

fn mechanism(location: &LocationInfo) -> String {
    location.mechanism.map_or_else(|| "-".to_owned(), |mechanism| mechanism.to_string())
}

/// The mechanisms of all locations, each once.
pub(crate) fn mechanisms(info: &BreakpointInfo) -> String {
    let mut names: Vec<String> = info.locations.iter().map(mechanism).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

/// gdb's word for the type of a breakpoint.
fn kind(spec: &BreakpointSpec) -> &'static str {
    use trapline_core::breakpoint::Mechanism::Hardware;
    match &spec.subject {
        _ if spec.log.is_some() && !matches!(spec.subject, Subject::Data { .. }) => "log",
        Subject::Code { mechanism: Some(Hardware), .. } => "hw breakpoint",
        Subject::Code { .. } | Subject::Functions { .. } => "breakpoint",
        Subject::Data { access: Access::Write, .. } => "hw watchpoint",
        Subject::Data { access: Access::Read, .. } => "read watchpoint",
        Subject::Data { access: Access::ReadWrite, .. } => "acc watchpoint",
    }
}

fn what(info: &BreakpointInfo) -> String {
    match (&info.spec.subject, info.locations.as_slice()) {
        (Subject::Data { expression, .. }, _) => expression.clone(),
        (Subject::Code { .. }, [one]) => place(one).unwrap_or_else(|| asked(info).into_owned()),
        _ => asked(info).into_owned(),
    }
}

fn asked(info: &BreakpointInfo) -> Cow<'_, str> {
    match &info.spec.subject {
        Subject::Code { location, .. } => location.into(),
        Subject::Functions { regex } => format!("functions matching {regex}").into(),
        Subject::Data { expression, .. } => expression.into(),
    }
}

fn place(location: &LocationInfo) -> Option<String> {
    let function = location.function.as_ref().map(|function| format!("in {function}"));
    let line = match (&location.file, location.line) {
        (Some(file), Some(line)) => Some(format!("at {file}:{line}")),
        _ => None,
    };
    match (function, line) {
        (Some(function), Some(line)) => Some(format!("{function} {line}")),
        (function, line) => function.or(line),
    }
}

/// What a breakpoint says beside its place, one line each.
fn says(info: &BreakpointInfo) -> Vec<String> {
    let spec = &info.spec;
    let mut lines = Vec::new();
    let mut say = |what: &str, value: &Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{what} {value}"));
        }
    };
    say("stop only if", &spec.condition);
    say("stop only if changed:", &spec.changed);
    say("only where", &spec.filter);
    say("only hits", &spec.hits.map(|rule| rule.to_string()));
    say("log", &spec.log);
    say("group", &(!spec.names.is_empty()).then(|| spec.names.join(", ")));
    if spec.ignore > 0 {
        lines.push(format!("ignore next {} hits", spec.ignore));
    }
    if spec.auto_continue {
        lines.push("continues by itself".to_owned());
    }
    let tally = info.tally;
    if tally.passes != tally.hits {
        lines.push(format!("passed {} times", tally.passes));
    }
    if tally.errors > 0 {
        lines.push(format!("condition failed {} times", tally.errors));
    }
    lines.extend(why(info).iter().map(|why| format!("why: {why}")));
    lines.extend(info.notes.iter().cloned());
    lines.extend(spec.commands.iter().map(|command| format!("        {command}")));
    lines
}

/// The reasons for the mechanisms, each once.
pub(crate) fn why(info: &BreakpointInfo) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for location in &info.locations {
        if !location.why.is_empty() && !reasons.contains(&location.why) {
            reasons.push(location.why.clone());
        }
    }
    reasons
}

/// What is said when a breakpoint has been set.
pub(crate) fn set(info: &BreakpointInfo) -> impl fmt::Display {
    fmt::from_fn(|f| {
        write!(f, "{} {}", full_kind(&info.spec), info.id)?;
        match (&info.spec.subject, info.locations.as_slice()) {
            (Subject::Data { expression, .. }, _) => write!(f, ": {expression}")?,
            (_, []) => write!(f, " ({}) pending.", asked(info))?,
            (_, [one]) => write_place(f, one)?,
            (_, many) => write!(f, ": {}. ({} locations)", asked(info), many.len())?,
        }
        let head = paint::WARNING;
        info.notes.iter().try_for_each(|note| write!(f, "\n{head}note:{head:#} {note}"))
    })
}

/// gdb's words for a breakpoint when it is set.
fn full_kind(spec: &BreakpointSpec) -> &'static str {
    match (&spec.subject, spec.temporary) {
        (Subject::Data { access: Access::Write, .. }, _) => "Hardware watchpoint",
        (Subject::Data { access: Access::Read, .. }, _) => "Hardware read watchpoint",
        (Subject::Data { .. }, _) => "Hardware access (read/write) watchpoint",
        (_, true) => "Temporary breakpoint",
        _ => "Breakpoint",
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, location: &LocationInfo) -> fmt::Result {
    write!(f, " at {}", location.address)?;
    match (&location.file, location.line) {
        (Some(file), Some(line)) => write!(f, ": file {file}, line {line}."),
        _ => Ok(()),
    }
}

/// What is said at the end of a run of a breakpoint that never had a place.
pub(crate) fn never_bound(info: &BreakpointInfo) -> String {
    let reasons: Vec<&str> = info
        .notes
        .iter()
        .map(|note| note.strip_prefix("pending: ").unwrap_or(note).trim_end_matches('.'))
        .collect();
    let why = if reasons.is_empty() { "no place was found" } else { &reasons.join("; ") };
    format!("breakpoint {} ({}) never bound: {why}", info.id, asked(info))
}

/// The statistics at the end of a run.
pub(crate) fn statistics(all: &[BreakpointInfo]) -> String {
    if all.is_empty() {
        return "No breakpoints or watchpoints.".to_owned();
    }
    let mut rows = table(&["Num", "What", "Passes", "Hits", "Stops", "Errors", "Mechanism", "Why"]);
    for info in all {
        let tally = info.tally;
        rows.add_row([
            info.id.to_string(),
            what(info),
            tally.passes.to_string(),
            tally.hits.to_string(),
            tally.stops.to_string(),
            tally.errors.to_string(),
            mechanisms(info),
            why(info).join("; "),
        ]);
    }
    finish(&rows)
}

#[cfg(test)]
pub(crate) mod tests {

    use trapline_core::breakpoint::{HitRule, Mechanism, Tally};
    use trapline_core::{BreakpointId, LocationId, VirtAddr};

    use super::*;
    use crate::cli::render::tests::plain;
    use crate::cli::spec;

    /// A breakpoint with `places` locations.
    pub(crate) fn info(number: u32, spec: BreakpointSpec, places: u32) -> BreakpointInfo {
        let id = BreakpointId::new(number);
        let location = |index: u32| LocationInfo {
            id: LocationId { breakpoint: id, index },
            pid: None,
            address: VirtAddr::new(0x40_1130 + u64::from(index) * 16),
            len: None,
            function: Some("deposit".into()),
            file: Some("bank.c".into()),
            line: Some(12),
            enabled: true,
            mechanism: Some(Mechanism::Trap),
            why: "any instruction can hold a trap".to_owned(),
            jump: None,
        };
        let tally = Tally { passes: 9, hits: 7, stops: 2, errors: 0 };
        let locations = (1..=places).map(location).collect();
        BreakpointInfo { id, spec: spec.into(), tally, locations, notes: Vec::new() }
    }

    fn examples() -> Vec<BreakpointInfo> {
        let mut full = spec::code("-once -hits '% 2' -filter $_tid==5 -name io bank.c:12").unwrap();
        full.ignore = 3;
        full.commands = vec!["silent".to_owned(), "bt".to_owned()];
        full.hits = Some(HitRule::Multiple(2));
        let mut pending = info(2, spec::code("later if x > 1").unwrap(), 0);
        pending.notes.push("no function `later`; will bind when a library has it".to_owned());
        let mut watch = info(4, spec::data("-written balance", Access::Write).unwrap(), 1);
        watch.locations[0].mechanism = Some(Mechanism::Hardware);
        watch.locations[0].why = "8 bytes fit one debug register".to_owned();
        let log = info(5, spec::code("-log 'in {amount}' deposit").unwrap(), 1);
        vec![info(1, full, 1), pending, info(3, spec::functions("^dep").unwrap(), 2), watch, log]
    }

    #[test]
    fn tables_and_announcements() {
        let all = examples();
        let set: Vec<String> = all.iter().map(|info| plain(&set(info).to_string())).collect();
        let text =
            format!("{}\n---\n{}\n---\n{}\n", breakpoints(&all), statistics(&all), set.join("\n"));
        trapline_testkit::golden::check("cli/breakpoints.txt", &text);
        assert_eq!(breakpoints(&[]), "No breakpoints or watchpoints.");
    }
}
