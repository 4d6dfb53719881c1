//! Every source opens by saying what it is: `//!` in Rust, a comment in debuggees
//! of other languages.

use super::Finding;
use super::sources::Source;

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter_map(check_one).collect()
}

fn check_one(source: &Source) -> Option<Finding> {
    let openings: &[&str] = match source.path.rsplit_once('.')?.1 {
        "rs" => &["//! "],
        "c" | "cpp" | "h" => &["// ", "/* "],
        _ => return None,
    };
    let opens = openings.iter().any(|opening| source.text.starts_with(opening));
    let why = format!("does not open with `{}`", openings.join("` or `"));
    (!opens).then(|| Finding::about(&source.path, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_file(path: &str, text: &str, findings: usize) {
        assert_eq!(check(&[Source::new(path, text)]).len(), findings, "{path}: {text}");
    }

    #[test]
    fn an_opening_is_asked_of_code_and_of_nothing_else() {
        check_file("a.rs", "//! What it is.\n", 0);
        check_file("a.rs", "use std::fmt;\n", 1);
        check_file("a.rs", "#![forbid(unsafe_code)]\n//! Late.\n", 1);
        check_file("a.c", "// What it does.\n", 0);
        check_file("a.c", "/* What it does. */\n", 0);
        check_file("a.c", "#include <stdio.h>\n", 1);
        check_file("a.toml", "[x]\n", 0);
    }
}
