//! No file that cannot be read in one sitting.

use super::Finding;
use super::sources::Source;

/// Lines, tests included.
const MOST_LINES: usize = 800;

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|source| source.is_rust()).filter_map(check_one).collect()
}

fn check_one(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    let why = format!("{lines} lines; at most {MOST_LINES}");
    (lines > MOST_LINES).then(|| Finding::about(&source.path, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let file = |lines: usize| Source::new("a.rs", &"x\n".repeat(lines));
        assert_eq!(check(&[file(MOST_LINES)]), []);
        assert_eq!(check(&[file(MOST_LINES + 1)]).len(), 1);
    }
}
