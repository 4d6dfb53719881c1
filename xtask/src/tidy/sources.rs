//! The files that tidy looks at, read once. Rust files come with a second text
//! in which comments and literals are blank.

use std::fs;
use std::path::Path;

use trapline_testkit::skips::{self, Skip};
use trapline_testkit::workspace_root;

use super::lexical;

/// One text file of the checkout.
pub(super) struct Source {
    /// Path from the root, with `/` between its parts.
    pub(super) path: String,
    /// As it is on disk.
    pub(super) text: String,
    /// For Rust files: the same length and lines, with every comment, string
    /// and character literal blanked. Empty for others.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { lexical::blank(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines of `code`, numbered from 1.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.lines())
    }
}

/// What holds no sources of ours. All are folders, but `.git` is a file in a
/// linked worktree.
const PASSED_OVER: &[&str] = &["target", ".git", "corpus", "artifacts", "golden"];

/// Every text file of the checkout, in the order of their paths.
pub(super) fn all() -> Result<Vec<Source>, String> {
    let mut found = Vec::new();
    collect(&workspace_root(), "", &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<Source>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), found)?;
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(Source::new(&path, &text));
        }
    }
    Ok(())
}

/// The skip ledger of the checkout.
pub(super) fn read_ledger() -> Result<Vec<Skip>, String> {
    let text = fs::read_to_string(workspace_root().join("tests").join("skips.toml"))
        .map_err(|why| format!("tests/skips.toml: {why}"))?;
    skips::parse(&text).map_err(|why| format!("tests/skips.toml: {why}"))
}
