//! Rust files that no `mod` reaches: they look like code and are compiled by
//! nobody.

use std::collections::BTreeSet;

use super::Finding;
use super::sources::Source;

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let files: Vec<&Source> = sources.iter().filter(|source| source.is_rust()).collect();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<&Source> = files.iter().copied().filter(|it| is_root(&it.path)).collect();
    while let Some(source) = waiting.pop() {
        if reached.insert(source.path.clone()) {
            let children = children(source);
            waiting.extend(files.iter().copied().filter(|it| children.contains(&it.path)));
        }
    }
    files
        .iter()
        .filter(|source| !reached.contains(&source.path))
        .map(|source| Finding::about(&source.path, "no `mod` reaches this file"))
        .collect()
}

/// Files that cargo or a script compiles by their place.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let by_cargo = matches!(
        parts[..],
        [.., "src", "lib.rs" | "main.rs"] | [.., "build.rs"] | [.., "src", "bin", _]
    );
    let alone = matches!(
        parts[..],
        [.., "tests" | "examples" | "benches", _]
            | [.., "tests" | "examples" | "benches", _, "main.rs"]
            | [.., "tests", "programs", _]
            | [.., "fuzz_targets", _]
            | ["debuggees", _]
    );
    by_cargo || alone
}

/// The two places where each `mod name;` of a file may live.
fn children(source: &Source) -> BTreeSet<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let base = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ if is_root(&source.path) => folder.to_owned(),
        _ => source.path.trim_end_matches(".rs").to_owned(),
    };
    let names = source.code.lines().filter_map(declared);
    names.flat_map(|name| [format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")]).collect()
}

/// The name in `mod name;`, `pub(crate) mod name;`, with attributes before it.
fn declared(line: &str) -> Option<&str> {
    let before = line.trim().strip_suffix(';')?;
    let (head, name) = before.rsplit_once(' ')?;
    (head.split_whitespace().next_back() == Some("mod")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_files(files: &[(&str, &str)], orphans: &[&str]) {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(path, text)).collect();
        let found: Vec<String> = check(&sources).into_iter().map(|it| it.path).collect();
        assert_eq!(found, orphans);
    }

    #[test]
    fn modules_are_followed_through_both_layouts() {
        check_files(
            &[
                ("a/src/lib.rs", "mod one;\n#[cfg(test)] mod four;\npub(crate) mod two;"),
                ("a/src/one.rs", "mod deep;"),
                ("a/src/one/deep.rs", ""),
                ("a/src/two/mod.rs", "mod three;"),
                ("a/src/two/three.rs", ""),
                ("a/src/four.rs", ""),
            ],
            &[],
        );
    }

    #[test]
    fn a_file_behind_a_comment_or_nothing_is_an_orphan() {
        check_files(
            &[("a/src/main.rs", "// mod lost;\n"), ("a/src/lost.rs", ""), ("a/src/x/y.rs", "")],
            &["a/src/lost.rs", "a/src/x/y.rs"],
        );
    }

    #[test]
    fn tests_examples_and_debuggees_stand_alone() {
        check_files(
            &[
                ("a/tests/it.rs", "mod common;"),
                ("a/tests/common/mod.rs", ""),
                ("a/examples/e.rs", ""),
                ("a/tests/programs/p.rs", ""),
                ("debuggees/d.rs", ""),
                ("fuzz/fuzz_targets/f.rs", ""),
            ],
            &[],
        );
    }
}
