//! From a line to its row in the command table, by gdb's rules: a name or
//! alias wins, then the one name that the word begins.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use super::action::Action;
use super::table::{REFUSED, ROWS, Row};

/// A row and the text of its arguments.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) row: &'static Row,
    pub(crate) args: &'a str,
}

impl Found<'_> {
    /// Reads the arguments.
    pub(crate) fn action(&self) -> Result<Action, String> {
        (self.row.parse)(self.args)
    }
}

/// Finds the command of a line; `None` for an empty one or a comment.
///
/// # Errors
/// A sentence: unknown, ambiguous, or refused and why.
pub(crate) fn find(line: &str) -> Result<Option<Found<'_>>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (word, rest) = split_word(line);
    if let Some(reason) = refused(word) {
        return Err(reason);
    }
    let Some(row) = select(word, TOP)? else {
        return Err(unknown(line, word));
    };
    Ok(Some(member(row, rest)?.unwrap_or(Found { row, args: rest })))
}

/// Reads a line into what it asks for.
///
/// # Errors
/// As [`find`], or what is wrong with the arguments.
pub(crate) fn read(line: &str) -> Result<Action, String> {
    find(line)?.map_or(Ok(Action::Nothing), |found| found.action())
}

/// The name under which the commands outside of families are a family.
const TOP: &str = "";

/// Commands whose names begin with the same word.
struct Family {
    name: &'static str,
    /// In the table's order.
    rows: Vec<&'static Row>,
    /// By names and aliases.
    by_word: HashMap<&'static str, &'static Row>,
}

impl Family {
    fn new(name: &'static str) -> Self {
        let belongs = |row: &&Row| row.family().unwrap_or(TOP) == name;
        let rows: Vec<&'static Row> = ROWS.iter().filter(belongs).collect();
        let mut by_word = HashMap::new();
        for row in &rows {
            for word in row.aliases.iter().copied().chain([row.word()]) {
                by_word.entry(word).or_insert(*row);
            }
        }
        Self { name, rows, by_word }
    }
}

/// The commands of a family. Put together once: a script may have many lines.
fn family(name: &str) -> Option<&'static Family> {
    static FAMILIES: OnceLock<Vec<Family>> = OnceLock::new();
    let families = FAMILIES.get_or_init(|| {
        let names: BTreeSet<&str> = ROWS.iter().map(|row| row.family().unwrap_or(TOP)).collect();
        names.into_iter().map(Family::new).collect()
    });
    families.iter().find(|family| family.name == name)
}

/// The members of a family.
pub(crate) fn members(name: &str) -> &'static [&'static Row] {
    family(name).map_or(&[], |family| &family.rows)
}

/// The member of `row`'s family that the arguments name, if any.
fn member<'a>(row: &'static Row, args: &'a str) -> Result<Option<Found<'a>>, String> {
    if members(row.name).is_empty() {
        return Ok(None);
    }
    let (word, rest) = split_word(args);
    // `set x = 1` and `set p->next = 0` are assignments, whatever settings begin
    // with an x or a p.
    let assigns = rest.starts_with('=') && !rest.starts_with("==");
    let goes_on = args[word.len()..].starts_with(|c: char| !c.is_whitespace());
    if row.name == "set" && (assigns || goes_on) {
        return Ok(None);
    }
    let found = select(word, row.name)?;
    Ok(found.map(|row| Found { row, args: rest }))
}

/// The leading word and what follows it, trimmed. A command ends where its
/// name cannot go on, so `x/8xb` and `p*head` need no blank.
fn split_word(line: &str) -> (&str, &str) {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    (&line[..end], line[end..].trim())
}

/// The row that a word means among those of a family.
fn select(word: &str, family_name: &str) -> Result<Option<&'static Row>, String> {
    let Some(family) = family(family_name) else { return Ok(None) };
    if word.is_empty() {
        return Ok(None);
    }
    if let Some(row) = family.by_word.get(word) {
        return Ok(Some(row));
    }
    let mut matches: Vec<&'static Row> =
        family.rows.iter().copied().filter(|row| row.word().starts_with(word)).collect();
    if matches.len() > 1 {
        let names: Vec<&str> = matches.iter().map(|row| row.word()).collect();
        let typed = format!("{family_name} {word}");
        return Err(format!("`{}` may be {}", typed.trim(), names.join(", ")));
    }
    Ok(matches.pop())
}

fn refused(word: &str) -> Option<String> {
    let (name, _, reason) =
        REFUSED.iter().find(|(name, aliases, _)| *name == word || aliases.contains(&word))?;
    Some(format!("`{name}`: {reason}"))
}

fn unknown(line: &str, word: &str) -> String {
    if word.is_empty() {
        return format!("`{line}` is not a command; try `help`");
    }
    let near = members(TOP).iter().map(|row| row.name).filter(|name| distance(word, name) <= 2);
    let near: Vec<&str> = near.take(3).collect();
    match near.as_slice() {
        [] => format!("`{word}` is not a command; try `help`"),
        near => format!("`{word}` is not a command; did you mean {}?", near.join(", ")),
    }
}

/// Edits between two words: insertions, deletions, replacements.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_find_what_gdb_finds() {
        let check = |line: &str, name: &str, args: &str| {
            let found = find(line).unwrap().unwrap();
            assert_eq!((found.row.name, found.args), (name, args), "{line}");
        };
        check("b main", "break", "main");
        check("c", "continue", "");
        check("c 3", "continue", "3");
        check("i b", "info breakpoints", "");
        check("info br", "info breakpoints", "");
        check("i r rax", "info registers", "rax");
        check("i th", "info threads", "");
        check("i sh", "info sharedlibrary", "");
        check("i wat", "info watchpoints", "");
        check("i li main", "info line", "main");
        check("p *x", "print", "*x");
        check("p*x", "print", "*x");
        check("p/x y", "print", "/x y");
        check("x/8xb &y", "x", "/8xb &y");
        check("bt", "backtrace", "");
        check("where", "backtrace", "");
        check("r a b", "run", "a b");
        check("si 5", "stepi", "5");
        check("ni", "nexti", "");
        check("d 1", "delete", "1");
        check("dis 1", "disable", "1");
        check("disas", "disassemble", "");
        check("l", "list", "");
        check("tb f", "tbreak", "f");
        check("thr 2", "thread", "2");
        check("t a all bt", "thread apply", "all bt");
        check("wat x", "watch", "x");
        check("h b", "help", "b");
        check("k", "kill", "");
        check("set var x=1", "set variable", "x=1");
        check("set x = 1", "set", "x = 1");
        check("set a = 1", "set", "a = 1");
        check("set listsize 5", "set listsize", "5");
        check("enable once 2", "enable once", "2");
        check("enable 2", "enable", "2");
        check("unset env A", "unset environment", "A");
    }

    #[test]
    fn every_name_and_alias_finds_its_own_row() {
        for row in ROWS {
            let family = row.family().map_or(String::new(), |family| format!("{family} "));
            for word in row.aliases.iter().chain([&row.word()]) {
                let line = format!("{family}{word}");
                let found = find(&line).unwrap().unwrap();
                assert_eq!(found.row.name, row.name, "{line}");
            }
        }
    }

    #[test]
    fn what_cannot_be_found_says_so() {
        let check = |line: &str, expected: &str| {
            let message = find(line).err().unwrap();
            assert!(message.contains(expected), "{line}: {message}");
        };
        check("w", "`w` may be watch, whatis");
        check("info s", "`info s` may be sharedlibrary, signals");
        check("brake main", "did you mean break");
        check("!ls", "`!ls` is not a command");
        check("frobnicate", "`frobnicate` is not a command; try `help`");
        check("j", "`jump`: not there yet");
        check("iobreak 0x80", "CR4");
        assert!(find("  # comment").unwrap().is_none());
        assert!(find("").unwrap().is_none());
    }
}
