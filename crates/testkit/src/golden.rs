//! Golden files: what a feature printed when a person last read it, kept in
//! `tests/golden`. `BLESS=1` rewrites them; the change then shows in review.

use std::fs;
use std::path::Path;

use crate::workspace_root;

/// Compares `actual` with `tests/golden/NAME`; with `BLESS=1` in the
/// environment writes it instead.
///
/// # Panics
/// With the differing lines and the command to bless, when they differ or the
/// file does not exist.
#[track_caller]
pub fn check(name: &str, actual: &str) {
    let path = workspace_root().join("tests").join("golden").join(name);
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    if let Err(why) = compare(&path, actual, bless) {
        panic!("{why}\nIf the new text is right: BLESS=1 cargo xtask test --quick");
    }
}

fn compare(path: &Path, actual: &str, bless: bool) -> Result<(), String> {
    if bless {
        return write(path, actual);
    }
    match fs::read_to_string(path) {
        Ok(expected) if expected == actual => Ok(()),
        Ok(expected) => Err(format!("{} differs:\n{}", path.display(), diff(&expected, actual))),
        Err(why) => Err(format!("{}: {why}; the actual text is:\n{actual}", path.display())),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|why| format!("{}: {why}", path.display()))
}

/// The lines between the first and the last difference, old (`-`) before new
/// (`+`), with the line number where they start.
pub fn diff(expected: &str, actual: &str) -> String {
    let old: Vec<&str> = expected.split('\n').collect();
    let new: Vec<&str> = actual.split('\n').collect();
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let longest_tail = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(longest_tail)
        .take_while(|(a, b)| a == b)
        .count();
    let mut text = format!("@ line {}\n", head + 1);
    for (sign, lines) in [('-', &old[head..old.len() - tail]), ('+', &new[head..new.len() - tail])]
    {
        lines.iter().for_each(|line| text.push_str(&format!("{sign}{line}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_only_what_lies_between_the_differences() {
        assert_eq!(diff("a\nb\nc\n", "a\nx\nc\n"), "@ line 2\n-b\n+x\n");
        assert_eq!(diff("a\na\n", "a\na\na\n"), "@ line 3\n+a\n");
        assert_eq!(diff("", "new"), "@ line 1\n-\n+new\n");
    }

    #[test]
    fn blessing_writes_and_a_missing_or_different_file_fails() {
        let path = std::env::temp_dir().join(format!("golden-{}/a/b.txt", std::process::id()));
        assert!(compare(&path, "text\n", false).unwrap_err().contains("the actual text is"));
        compare(&path, "text\n", true).unwrap();
        compare(&path, "text\n", false).unwrap();
        assert!(compare(&path, "other\n", false).unwrap_err().contains("-text\n+other"));
        fs::remove_dir_all(path.ancestors().nth(2).unwrap()).unwrap();
    }
}
