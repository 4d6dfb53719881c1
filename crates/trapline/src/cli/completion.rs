//! What the Tab key offers: commands from the table, names from the session,
//! files from this machine.

use std::fs;

use trapline_core::stop::Signal;
use trapline_engine::command::CompletionKind;
use trapline_engine::{Command, Reply};

use super::console::Session;
use super::lookup::{find, members};
use super::table::{Complete, ROWS};

/// How many names are offered at most.
const MOST: usize = 200;

/// Where the word under the cursor begins, and what it may become.
pub(crate) fn complete(line: &str, session: &dyn Session) -> (usize, Vec<String>) {
    if let Some(offer) = command_word(line, 0) {
        return offer;
    }
    if let Some(offer) = member_word(line) {
        return offer;
    }
    let Ok(Some(found)) = find(line) else { return (line.len(), Vec::new()) };
    let args_at = line.len() - found.args.len();
    if found.row.complete == Complete::Command {
        return nested(line, found.args);
    }
    let start = word_start(line, found.row.complete).max(args_at);
    let word = &line[start..];
    (start, names(found.row.complete, word, session))
}

/// The first word of a command: nothing has ended it yet.
fn command_word(text: &str, at: usize) -> Option<(usize, Vec<String>)> {
    let word = &text[at..];
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    if !word.chars().all(is_name) {
        return None;
    }
    let names = ROWS.iter().filter(|row| row.family().is_none()).map(|row| row.name);
    Some((at, matching(names, word)))
}

/// The second word of a family: `info th`.
fn member_word(line: &str) -> Option<(usize, Vec<String>)> {
    let (first, rest) = line.split_once(' ')?;
    let word = rest.trim_start();
    let family = members(find(first).ok()??.row.name);
    if family.is_empty() || word.contains(char::is_whitespace) {
        return None;
    }
    let names = matching(family.iter().map(|row| row.word()), word);
    // `enable 3` and `set x` are no members: let the rest be completed.
    (!names.is_empty()).then_some((line.len() - word.len(), names))
}

/// A command after `help` or `thread apply all`.
fn nested(line: &str, args: &str) -> (usize, Vec<String>) {
    let word = args.rsplit(' ').next().unwrap_or(args);
    let at = line.len() - word.len();
    command_word(line, at).unwrap_or((line.len(), Vec::new()))
}

fn word_start(line: &str, kind: Complete) -> usize {
    let is_part = |c: char| match kind {
        Complete::Path => !c.is_whitespace(),
        Complete::Location => c.is_alphanumeric() || "_:.~/-<>".contains(c),
        _ => c.is_alphanumeric() || "_$:".contains(c),
    };
    line.rfind(|c: char| !is_part(c))
        .map_or(0, |at| at + line[at..].chars().next().map_or(0, char::len_utf8))
}

fn names(kind: Complete, word: &str, session: &dyn Session) -> Vec<String> {
    match kind {
        Complete::Nothing | Complete::Command => Vec::new(),
        Complete::Location => {
            let mut names = ask(session, CompletionKind::Function, word);
            names.extend(ask(session, CompletionKind::File, word));
            names
        }
        Complete::Expression => ask(session, CompletionKind::Expression, word),
        Complete::Signal => {
            let all: Vec<String> = (1..=31).map(|number| Signal(number).to_string()).collect();
            matching(all.iter().map(String::as_str), word)
        }
        Complete::Path => paths(word),
    }
}

fn ask(session: &dyn Session, kind: CompletionKind, word: &str) -> Vec<String> {
    let prefix = word.to_owned();
    match session.request(Command::Complete { kind, prefix, limit: MOST }) {
        Ok(Reply::Names(names)) => names,
        _ => Vec::new(),
    }
}

fn matching<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> Vec<String> {
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with(word)).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn paths(word: &str) -> Vec<String> {
    let (folder, beginning) =
        word.rsplit_once('/').map_or(("", word), |(folder, name)| (&word[..=folder.len()], name));
    let Ok(entries) = fs::read_dir(if folder.is_empty() { "." } else { folder }) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let slash = if entry.path().is_dir() { "/" } else { "" };
            name.starts_with(beginning).then(|| format!("{folder}{name}{slash}"))
        })
        .take(MOST)
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use trapline_core::breakpoint::BreakpointSpec;
    use trapline_engine::CommandError;
    use trapline_engine::command::BreakpointInfo;

    use super::*;

    struct Names;

    impl Session for Names {
        fn break_each(
            &self,
            _specs: Vec<BreakpointSpec>,
            _told: &mut dyn FnMut(Vec<BreakpointInfo>),
        ) -> Result<(), CommandError> {
            Err(CommandError::new("only completion"))
        }

        fn request(&self, command: Command) -> Result<Reply, CommandError> {
            let Command::Complete { kind, prefix, .. } = command else {
                return Err(CommandError::new("only completion"));
            };
            let all = match kind {
                CompletionKind::Function => ["deposit", "bank::withdraw"],
                CompletionKind::File => ["demo_bank.c", "bank.c"],
                CompletionKind::Expression => ["deposits", "largest_deposit"],
            };
            Ok(Reply::Names(matching(all.iter().copied(), &prefix)))
        }
    }

    #[test]
    fn the_word_under_the_cursor_is_completed() {
        let check = |line: &str, start: usize, expected: &[&str]| {
            assert_eq!(
                complete(line, &Names),
                (start, expected.iter().map(|name| (*name).to_owned()).collect()),
                "{line}"
            );
        };
        check("bac", 0, &["backtrace"]);
        check("info sh", 5, &["sharedlibrary"]);
        check("i b", 2, &["breakpoints"]);
        check("info s", 5, &["scope", "sharedlibrary", "signals", "source", "symbol"]);
        check("set var dep", 8, &["deposits"]);
        check("b de", 2, &["deposit", "demo_bank.c"]);
        check("break -once bank", 12, &["bank::withdraw", "bank.c"]);
        check("p dep", 2, &["deposits"]);
        check("p 1+dep", 4, &["deposits"]);
        check("p *lar", 3, &["largest_deposit"]);
        check("help wat", 5, &["watch"]);
        check("thread apply all bac", 17, &["backtrace"]);
        check("handle SIGUSR", 7, &["SIGUSR1", "SIGUSR2"]);
        check("nosuch x", 8, &[]);
        assert!(complete("", &Names).1.len() > 40);
    }
}
