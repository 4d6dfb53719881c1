//! Places in debuggees by name: `// @mark NAME` at the end of a line, so that
//! no test speaks of line numbers.

use std::fs;
use std::path::{Path, PathBuf};

/// A marked line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The source file, as an absolute path.
    pub file: PathBuf,
    /// Its line, counted from 1.
    pub line: u32,
}

impl Mark {
    /// `FILE:LINE` with the file's last component, as a user types a place.
    pub fn spec(&self) -> String {
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        format!("{}:{}", name.to_string_lossy(), self.line)
    }
}

/// The one line of `file` that is marked `name`; an explanation when there is
/// none or more than one.
pub fn find_mark(file: &Path, name: &str) -> Result<Mark, String> {
    let text = fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
    let lines = lines_marked(&text, name);
    match lines[..] {
        [line] => Ok(Mark { file: file.to_path_buf(), line }),
        [] => Err(format!("no `// @mark {name}` in {}", file.display())),
        _ => Err(format!("`// @mark {name}` is on lines {lines:?} of {}", file.display())),
    }
}

fn lines_marked(text: &str, name: &str) -> Vec<u32> {
    let marks = |line: &str| {
        line.split_once("// @mark ")
            .is_some_and(|(_, rest)| rest.split_whitespace().any(|n| n == name))
    };
    (1..).zip(text.lines()).filter(|(_, line)| marks(line)).map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, expected: &[u32]) {
        assert_eq!(lines_marked(text, name), expected);
    }

    #[test]
    fn a_mark_is_a_whole_word_and_a_line_may_bear_several() {
        let text = "a;\nb; // @mark here\nc; // @mark here_too also\n";
        check(text, "here", &[2]);
        check(text, "also", &[3]);
        check(text, "her", &[]);
        check("x; // @mark a\ny; // @mark a\n", "a", &[1, 2]);
    }
}
