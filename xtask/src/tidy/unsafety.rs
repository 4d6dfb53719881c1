//! `unsafe` lives in the `sys.rs` files that the design names, and nowhere else;
//! every other crate forbids it outright.

use super::Finding;
use super::sources::Source;

/// The files that may contain `unsafe`.
const ALLOWED: &[&str] = &[
    "crates/symbols/src/sys.rs",
    "crates/target/src/linux/sys.rs",
    "crates/target/src/linux/sys/child.rs",
    "crates/target/src/linux/sys/lost_pages.rs",
];
/// Crates whose root cannot forbid it, because one of those files is in them.
const HOSTS: &[&str] = &["crates/symbols/", "crates/target/"];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let ours = |source: &&Source| source.is_rust() && !is_debuggee(&source.path);
    sources.iter().filter(ours).flat_map(check_one).collect()
}

/// Programs that are debugged, never linked.
fn is_debuggee(path: &str) -> bool {
    path.starts_with("debuggees/") || path.contains("/tests/programs/")
}

fn check_one(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !ALLOWED.contains(&source.path.as_str()) {
        let lines = source.code_lines().filter(|(_, line)| uses_unsafe(line));
        findings
            .extend(lines.map(|(line, _)| Finding::at(source, line, "`unsafe` outside sys.rs")));
    }
    if is_crate_root(&source.path) && !source.code.contains("#![forbid(unsafe_code)]") {
        findings.push(Finding::about(&source.path, "lacks `#![forbid(unsafe_code)]`"));
    }
    findings
}

fn is_crate_root(path: &str) -> bool {
    let root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    root && !HOSTS.iter().any(|host| path.starts_with(host))
}

fn uses_unsafe(line: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_file;
    use super::*;

    #[test]
    fn unsafe_is_code_not_words_about_it() {
        check_file(check, "crates/core/src/a.rs", "fn f() { unsafe { g() } }", 1);
        check_file(check, "crates/core/src/a.rs", "// unsafe\nfn f(unsafe_code: &str) {}", 0);
        check_file(check, "crates/target/src/linux/sys.rs", "unsafe fn f() {}", 0);
        check_file(check, "debuggees/a.rs", "unsafe fn f() {}", 0);
    }

    #[test]
    fn a_crate_root_forbids_it_unless_the_crate_hosts_some() {
        check_file(check, "crates/core/src/lib.rs", "#![forbid(unsafe_code)]", 0);
        check_file(check, "crates/core/src/lib.rs", "pub mod a;", 1);
        check_file(check, "crates/target/src/lib.rs", "pub mod linux;", 0);
    }
}
