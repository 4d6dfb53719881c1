//! The corpus: real programs built with debug information by `cargo xtask
//! corpus`, kept outside the checkout so that a clean clone does not build them
//! again.
//!
//! This module knows where they are; xtask knows how they are made.

use std::path::{Path, PathBuf};

/// A program of the corpus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Program {
    /// What `--only` takes.
    pub name: &'static str,
    /// The executable, from the program's folder in the corpus.
    pub executable: &'static str,
    /// When it is built.
    pub wanted: Wanted,
}

/// When a program of the corpus is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// With the corpus.
    Always,
    /// Only when it is asked for by name: it takes a quarter of an hour.
    ByName,
}

/// Every program of the corpus.
pub const PROGRAMS: &[Program] = &[
    Program { name: "sqlite3", executable: "src/sqlite3", wanted: Wanted::Always },
    Program { name: "redis", executable: "src/src/redis-server", wanted: Wanted::Always },
    Program { name: "git", executable: "src/git", wanted: Wanted::Always },
    Program { name: "cpython", executable: "src/python", wanted: Wanted::Always },
    Program { name: "ninja", executable: "src/ninja", wanted: Wanted::Always },
    Program { name: "just", executable: "src/bin/just", wanted: Wanted::Always },
    Program { name: "z3", executable: "src/build/z3", wanted: Wanted::ByName },
];

/// Where the corpus is: `TRAPLINE_CORPUS`, else `trapline/corpus` in
/// `XDG_CACHE_HOME` or in `~/.cache`.
pub fn folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set("TRAPLINE_CORPUS").unwrap_or_else(|| {
        cache().unwrap_or_else(std::env::temp_dir).join("trapline").join("corpus")
    })
}

/// The executable of a program that has been built.
///
/// # Panics
/// With the command that builds it, when it has not; or when there is no such
/// program.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let found = PROGRAMS.iter().find(|program| program.name == name);
    let program = found.unwrap_or_else(|| panic!("the corpus has no {name}"));
    let path = executable(&folder(), program);
    assert!(path.exists(), "{} is missing: cargo xtask corpus --only {name}", path.display());
    path
}

/// Where `program` is in the corpus at `folder`, whether built or not.
pub fn executable(folder: &Path, program: &Program) -> PathBuf {
    folder.join(program.name).join(program.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the corpus has no emacs")]
    fn an_unknown_program_is_not_looked_for() {
        program("emacs");
    }
}
