//! No test is skipped in silence: every `#[ignore]` has an entry in the ledger,
//! and every entry has its test.

use std::collections::BTreeMap;

use trapline_testkit::skips::Skip;

use super::Finding;
use super::sources::Source;

pub(super) fn check(sources: &[Source], ledger: &[Skip]) -> Vec<Finding> {
    let mut ignored: BTreeMap<String, Finding> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        for (line, name) in ignored_tests(&source.code) {
            let why = format!("`{name}` is ignored without an entry in tests/skips.toml");
            ignored.insert(name, Finding::at(source, line, why));
        }
    }
    let stale = ledger
        .iter()
        .filter(|skip| !ignored.contains_key(&skip.test))
        .map(|skip| Finding::about("tests/skips.toml", format!("no ignored test `{}`", skip.test)));
    let mut findings: Vec<Finding> = stale.collect();
    ignored.retain(|name, _| !ledger.iter().any(|skip| skip.test == *name));
    findings.extend(ignored.into_values());
    findings
}

/// The line of each `#[ignore]` and the function that follows it.
fn ignored_tests(code: &str) -> Vec<(usize, String)> {
    code.match_indices("#[ignore")
        .map(|(at, _)| {
            let line = 1 + code[..at].matches('\n').count();
            let after = code[at..].split_once("fn ").map_or("", |(_, rest)| rest);
            let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            (line, name.unwrap_or_default().to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, ledger: &[&str], expected: &[&str]) {
        let entry = |test: &&str| Skip { test: (*test).to_owned(), reason: "r".to_owned() };
        let ledger: Vec<Skip> = ledger.iter().map(entry).collect();
        let found = check(&[Source::new("a.rs", text)], &ledger);
        let whys: Vec<String> = found.into_iter().map(|it| it.why).collect();
        assert_eq!(whys, expected);
    }

    #[test]
    fn an_ignored_test_needs_its_entry_and_an_entry_its_test() {
        let text = "#[test]\n#[ignore = \"why\"]\nfn slow_one() {}\n";
        check_text(text, &["slow_one"], &[]);
        check_text(text, &[], &["`slow_one` is ignored without an entry in tests/skips.toml"]);
        check_text("", &["gone"], &["no ignored test `gone`"]);
    }

    #[test]
    fn the_word_in_a_comment_is_no_skip() {
        check_text("// #[ignore]\nfn f() {}\n", &[], &[]);
    }
}
