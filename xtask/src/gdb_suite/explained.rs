//! The checked-in list of tests that are known to pass less often with our
//! server, each with the reason.

use super::pattern::matches;

const LIST: &str = include_str!("../../data/gdb-suite-explained.txt");

/// One line of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Explanation {
    board: String,
    file: String,
    test: String,
    pub(super) why: String,
}

impl Explanation {
    /// The line as it is in the list.
    pub(super) fn shown(&self) -> String {
        format!("{} {} {}", self.board, self.file, self.test)
    }

    pub(super) fn covers(&self, board: &str, file: &str, test: &str) -> bool {
        self.is_about(board, file) && matches(&self.test, test)
    }

    /// Whether a run of `file` could have shown what is explained.
    pub(super) fn is_about(&self, board: &str, file: &str) -> bool {
        matches(&self.board, board) && matches(&self.file, file)
    }
}

pub(super) fn list() -> Result<Vec<Explanation>, String> {
    parse(LIST)
}

pub(super) fn parse(text: &str) -> Result<Vec<Explanation>, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| explanation(line).ok_or_else(|| format!("not BOARD FILE TEST: WHY: {line}")))
        .collect()
}

fn explanation(line: &str) -> Option<Explanation> {
    let (what, why) = line.rsplit_once(": ")?;
    let mut words = what.splitn(3, ' ').map(str::to_owned);
    let (board, file, test) = (words.next()?, words.next()?, words.next()?);
    Some(Explanation { board, file, test, why: why.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed() {
        assert!(list().unwrap().iter().all(|it| !it.why.is_empty()));
    }

    #[test]
    fn a_line_has_four_parts_and_names_may_have_colons() {
        let all = parse("# no\n\n* gdb.server/a.exp auto: x: y*: no such packet\n").unwrap();
        assert_eq!(all[0].shown(), "* gdb.server/a.exp auto: x: y*");
        assert_eq!(all[0].why, "no such packet");
        assert!(all[0].covers("native-gdbserver", "gdb.server/a.exp", "auto: x: yes"));
        assert!(!all[0].covers("native-gdbserver", "gdb.server/a.exp", "other"));
        assert!(!all[0].is_about("native-gdbserver", "gdb.server/b.exp"));
        assert!(parse("a b c").is_err_and(|why| why.contains("a b c")));
        assert!(parse("a b: c").is_err());
    }
}
