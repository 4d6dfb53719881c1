//! Lines of source files of this machine, read once.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Source files larger than this are not shown, in bytes.
const LARGEST: u64 = 64 << 20;

/// Source files that were shown.
#[derive(Default)]
pub(crate) struct Sources {
    files: HashMap<PathBuf, Rc<Result<Vec<String>, String>>>,
    /// Folders that are elsewhere than debug information says, with where they
    /// are, in the order in which they were named.
    substitutes: Vec<(PathBuf, PathBuf)>,
}

impl Sources {
    /// The lines of a file.
    ///
    /// # Errors
    /// Why it cannot be shown, as a sentence.
    pub(crate) fn lines(&mut self, file: &Path) -> Rc<Result<Vec<String>, String>> {
        if let Some(known) = self.files.get(file) {
            return Rc::clone(known);
        }
        let read = Rc::new(read(&self.place_of(file)));
        self.files.insert(file.to_path_buf(), Rc::clone(&read));
        read
    }

    /// Has files below a folder be looked for below another; `None`: where they
    /// are said to be.
    pub(crate) fn substitute(&mut self, from: PathBuf, to: Option<PathBuf>) {
        self.files.clear();
        self.substitutes.retain(|(known, _)| *known != from);
        self.substitutes.extend(to.map(|to| (from, to)));
    }

    /// Has all files be where they are said to be.
    pub(crate) fn forget_substitutes(&mut self) {
        self.files.clear();
        self.substitutes.clear();
    }

    /// The folders that are elsewhere.
    pub(crate) fn substitutes(&self) -> &[(PathBuf, PathBuf)] {
        &self.substitutes
    }

    /// Where a file is: by the first rule for a folder that it is in, as gdb has
    /// it.
    fn place_of(&self, file: &Path) -> PathBuf {
        let elsewhere = self.substitutes.iter().find_map(|(from, to)| {
            let rest = file.strip_prefix(from).ok()?;
            Some(to.join(rest))
        });
        elsewhere.unwrap_or_else(|| file.to_owned())
    }

    /// One line, counted from 1, if the file is there and long enough.
    pub(crate) fn line(&mut self, file: &Path, number: u32) -> Option<String> {
        let lines = self.lines(file);
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        lines.as_ref().as_ref().ok()?.get(index).cloned()
    }
}

fn read(file: &Path) -> Result<Vec<String>, String> {
    let describe = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let facts = fs::metadata(file).map_err(|error| describe(&error))?;
    if !facts.is_file() {
        return Err(describe(&"not a file"));
    }
    if facts.len() > LARGEST {
        return Err(describe(&"too large to show"));
    }
    let bytes = fs::read(file).map_err(|error| describe(&error))?;
    let lines = String::from_utf8_lossy(&bytes);
    Ok(lines.lines().map(printable).collect())
}

/// Control characters in a source file must not reach the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one_and_hold_no_control_characters() {
        let file = std::env::temp_dir().join(format!("trapline-lines-{}", std::process::id()));
        fs::write(&file, b"one\n\ttwo\x1b[31m\xff\n").unwrap();
        let mut sources = Sources::default();
        assert_eq!(sources.line(&file, 1).as_deref(), Some("one"));
        assert_eq!(sources.line(&file, 2).as_deref(), Some("\ttwo\u{fffd}[31m\u{fffd}"));
        assert_eq!((sources.line(&file, 0), sources.line(&file, 3)), (None, None));
        let folder = file.parent().unwrap().to_owned();
        sources.substitute("/built/here".into(), Some(folder));
        let built = Path::new("/built/here").join(file.file_name().unwrap());
        fs::write(&file, b"two\n").unwrap();
        assert_eq!(sources.line(&built, 1).as_deref(), Some("two"));
        assert_eq!(sources.line(Path::new("/built/hereabouts/x"), 1), None);
        sources.substitute("/built/here".into(), None);
        assert_eq!(sources.line(&built, 1), None);
        fs::remove_file(&file).unwrap();
        let missing = sources.lines(Path::new("/no/such/file"));
        assert!(missing.as_ref().as_ref().unwrap_err().starts_with("/no/such/file: "));
    }
}
