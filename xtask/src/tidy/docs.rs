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
    use super::super::tests::check_file;
    use super::*;

    #[test]
    fn an_opening_is_asked_of_code_and_of_nothing_else() {
        check_file(check, "a.rs", "//! What it is.\n", 0);
        check_file(check, "a.rs", "use std::fmt;\n", 1);
        check_file(check, "a.rs", "#![forbid(unsafe_code)]\n//! Late.\n", 1);
        check_file(check, "a.c", "// What it does.\n", 0);
        check_file(check, "a.c", "/* What it does. */\n", 0);
        check_file(check, "a.c", "#include <stdio.h>\n", 1);
        check_file(check, "a.toml", "[x]\n", 0);
    }
}
