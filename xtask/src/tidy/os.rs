//! Operating systems are a matter of `crates/target` and of the one module that
//! picks a target for the program.

use super::Finding;
use super::sources::Source;

/// Where the operating system may be named.
const ALLOWED: &[&str] = &[
    "crates/target/",
    "crates/trapline/src/backend.rs",
    "crates/trapline/src/backend/",
    // Scenarios run real programs of this system.
    "crates/trapline/tests/",
    "debuggees/",
];

/// What names one, in code.
const WORDS: &[&str] = &[
    "std::os::",
    "target_os",
    "target_family",
    "cfg(unix",
    "cfg(windows",
    "cfg!(unix",
    "cfg!(windows",
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let bound = |source: &&Source| {
        source.is_rust() && !ALLOWED.iter().any(|place| source.path.starts_with(place))
    };
    sources.iter().filter(bound).flat_map(check_one).collect()
}

fn check_one(source: &Source) -> Vec<Finding> {
    let named = |line: &str| WORDS.iter().copied().find(|word| line.contains(word));
    source
        .code_lines()
        .filter_map(|(number, line)| Some((number, named(line)?)))
        .map(|(line, word)| {
            let why = format!("`{word}` outside crates/target and the program's backend module");
            Finding::at(source, line, why)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_file;
    use super::*;

    #[test]
    fn conditionals_and_extensions_are_found_outside_target() {
        check_file(check, "crates/engine/src/a.rs", "#[cfg(target_os = \"linux\")]\nmod a;", 1);
        check_file(check, "crates/engine/src/a.rs", "use std::os::unix::process::CommandExt;", 1);
        check_file(check, "crates/engine/src/a.rs", "if cfg!(windows) {}", 1);
        check_file(check, "crates/engine/src/a.rs", "// cfg(unix)\n#[cfg(test)]", 0);
        check_file(check, "crates/target/src/linux/mod.rs", "use std::os::fd::OwnedFd;", 0);
        check_file(check, "crates/trapline/src/backend.rs", "#[cfg(unix)]", 0);
    }
}
