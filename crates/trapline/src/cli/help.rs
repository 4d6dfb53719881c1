//! `help`, `apropos` and the page `docs/commands.md`, all from the table.

use std::path::Path;

use trapline_core::breakpoint::Subject;
use trapline_engine::command::BreakpointInfo;

use super::lookup::{find, members};
use super::table::{ROWS, Row};

/// What there is (an empty topic), or how to use a command.
///
/// # Errors
/// When there is no such command.
pub(crate) fn help(topic: &str) -> Result<String, String> {
    if topic.is_empty() {
        return Ok(overview());
    }
    let found = find(topic)?.ok_or_else(overview)?;
    let family = members(found.row.name);
    let mut text = details(found.row);
    if !family.is_empty() {
        text += &format!("\n\n{}", one_liners(family));
    }
    Ok(text)
}

fn overview() -> String {
    let top: Vec<&Row> = ROWS.iter().filter(|row| row.family().is_none()).collect();
    format!(
        "{}\n\n`help COMMAND` says more. Any unambiguous beginning of a name will do.",
        one_liners(&top)
    )
}

fn one_liners(rows: &[&Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let lines: Vec<String> =
        rows.iter().map(|row| format!("{:width$}  {}", row.name, row.help)).collect();
    lines.join("\n")
}

fn details(row: &Row) -> String {
    let mut text = format!("{}\n{}.", usage(row), row.help);
    if !row.aliases.is_empty() {
        text += &format!("\nAlso: {}.", names(row).join(", "));
    }
    if !row.long.is_empty() {
        text += &format!("\n\n{}", row.long);
    }
    text
}

fn usage(row: &Row) -> String {
    format!("{} {}", row.name, row.usage).trim_end().to_owned()
}

fn names(row: &Row) -> Vec<String> {
    let family = row.family().map(|family| format!("{family} ")).unwrap_or_default();
    row.aliases.iter().map(|alias| format!("{family}{alias}")).collect()
}

/// The commands whose name or help holds a word, in any case.
pub(crate) fn apropos(word: &str) -> String {
    let word = word.to_lowercase();
    let speaks = |row: &&Row| {
        [row.name, row.help, row.long].iter().any(|text| text.to_lowercase().contains(&word))
    };
    let rows: Vec<&Row> = ROWS.iter().filter(speaks).collect();
    if rows.is_empty() {
        return format!("No command speaks of `{word}`.");
    }
    one_liners(&rows)
}

/// The page that describes every command, in Markdown.
#[cfg(test)]
pub(crate) fn page() -> String {
    let mut text = String::from(
        "# Commands\n\n\
         Made from the command table of the program; `BLESS=1 cargo xtask test` rewrites it.\n\
         Names and abbreviations are gdb's wherever gdb has the command, and any unambiguous\n\
         beginning of a name will do. An empty line repeats commands marked with a star.\n",
    );
    for row in ROWS {
        let star = if row.repeats { " ★" } else { "" };
        text += &format!("\n## `{}`{star}\n\n{}.\n", usage(row), row.help);
        if !row.aliases.is_empty() {
            let names: Vec<String> = names(row).iter().map(|name| format!("`{name}`")).collect();
            text += &format!("\nAlso: {}.\n", names.join(", "));
        }
        if !row.long.is_empty() {
            text += &format!("\n```text\n{}\n```\n", row.long);
        }
    }
    text
}

/// Whether a breakpoint is the one that `clear PLACE` means: by what was asked
/// for, by function, or by file and line.
pub(crate) fn is_at(info: &BreakpointInfo, place: &str) -> bool {
    if matches!(&info.spec.subject, Subject::Code { location, .. } if location == place) {
        return true;
    }
    let line = place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
    info.locations.iter().any(|location| {
        let at_line = line.is_some_and(|(file, line): (&str, u32)| {
            location.line == Some(line)
                && location.file.as_ref().is_some_and(|known| Path::new(&**known).ends_with(file))
        });
        at_line || (location.function.as_deref() == Some(place) && !is_watch(info))
    })
}

/// Whether it watches data.
pub(crate) fn is_watch(info: &BreakpointInfo) -> bool {
    matches!(info.spec.subject, Subject::Data { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_fresh() {
        trapline_testkit::golden::check("../../docs/commands.md", &page());
    }

    #[test]
    fn help_knows_every_command() {
        for row in ROWS {
            let text = help(row.name).unwrap();
            assert!(text.contains(row.help), "{text}");
        }
        assert!(help("").unwrap().contains("backtrace"));
        assert!(help("info").unwrap().contains("info sharedlibrary"));
        assert!(help("b").unwrap().contains("-hits 'OP N'"));
        assert!(help("nosuch").is_err());
        assert!(apropos("stack").contains("backtrace"));
        assert!(apropos("zebra").starts_with("No command"));
    }
}
