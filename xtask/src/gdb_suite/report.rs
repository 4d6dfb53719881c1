//! What a board's runs come to, for a reader.

use std::fmt::Write as _;

use super::compare::Difference;
use super::explained::Explanation;
use super::sum::Counts;
use super::{Board, Server, against_first};

/// A board's table and lists, and how many differences nobody has explained.
pub(super) struct Report {
    pub(super) text: String,
    pub(super) unexplained: usize,
}

pub(super) fn of(
    board: &str,
    servers: &[Server],
    files: &[String],
    results: &Board,
    explanations: &[Explanation],
) -> Report {
    let mut text = format!("\n== {board}\n{}", table(servers, files, results));
    text.push_str(&flaky(servers, files, results));
    let mut unexplained = 0;
    for place in 1..servers.len() {
        let compared = Compared { board, first: &servers[0].label, other: &servers[place].label };
        let found: Vec<(&str, Difference)> = files
            .iter()
            .flat_map(|file| {
                against_first(results, file, place).into_iter().map(move |it| (file.as_str(), it))
            })
            .collect();
        let part = compared.report(&found, files, explanations);
        text.push_str(&part.text);
        unexplained += part.unexplained;
    }
    Report { text, unexplained }
}

/// A row per file with the counts of each server's first run, and their sums.
fn table(servers: &[Server], files: &[String], results: &Board) -> String {
    let counts = |file: &String, server: usize| {
        results.get(&(file.clone(), server)).map(|tally| tally.counts()).unwrap_or_default()
    };
    let mut sums = vec![Counts::default(); servers.len()];
    let mut rows = vec![
        std::iter::once(String::new()).chain(servers.iter().map(|it| it.label.clone())).collect(),
    ];
    for file in files {
        let mut row = vec![file.clone()];
        for (server, sum) in sums.iter_mut().enumerate() {
            let counts = counts(file, server);
            sum.merge(&counts);
            row.push(counts.to_string());
        }
        rows.push(row);
    }
    // Below the table: they are wider than any of its cells.
    let sum = |(server, sum): (&Server, &Counts)| format!("with {}: {sum}\n", server.label);
    let sums = servers.iter().zip(&sums).map(sum).collect::<String>();
    format!("{}{} files\n{sums}", aligned(&rows), files.len())
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The tests whose runs with one server differ among themselves.
fn flaky(servers: &[Server], files: &[String], results: &Board) -> String {
    let mut text = String::new();
    for file in files {
        for (place, server) in servers.iter().enumerate() {
            let Some(tally) = results.get(&(file.clone(), place)) else { continue };
            for test in tally.flaky() {
                let _ = writeln!(
                    text,
                    "flaky in {} runs with {}: {file}: {test}",
                    tally.runs(),
                    server.label
                );
            }
        }
    }
    text
}

/// A server and what it is measured by.
struct Compared<'a> {
    board: &'a str,
    first: &'a str,
    other: &'a str,
}

impl Compared<'_> {
    fn report(
        &self,
        found: &[(&str, Difference)],
        files: &[String],
        explanations: &[Explanation],
    ) -> Report {
        let (worse, better): (Vec<_>, Vec<_>) = found.iter().partition(|(_, it)| it.is_worse());
        let mut text = String::new();
        if !worse.is_empty() {
            text = format!("passes with {}, not (as often) with {}:\n", self.first, self.other);
        }
        let mut unexplained = 0;
        for (file, it) in &worse {
            let why = explanations.iter().find(|why| why.covers(self.board, file, &it.test));
            unexplained += usize::from(why.is_none());
            let why = why.map(|why| format!("; explained: {}", why.why)).unwrap_or_default();
            let counts = format!("{} against {}{why}", it.measure, it.measured);
            let _ = writeln!(text, "  {file}: {} ({counts})", it.test);
        }
        let _ = writeln!(
            text,
            "{}: {} tests pass less often with {} than with {}, {} of them explained; {} more often",
            self.board,
            worse.len(),
            self.other,
            self.first,
            worse.len() - unexplained,
            better.len()
        );
        for stale in explanations.iter().filter(|why| self.is_stale(why, &worse, files)) {
            let _ = writeln!(text, "note: explained, and not seen: {}", stale.shown());
        }
        Report { text, unexplained }
    }

    /// Whether the files that `why` is about were run and gave no cause for it.
    fn is_stale(&self, why: &Explanation, worse: &[&(&str, Difference)], files: &[String]) -> bool {
        files.iter().any(|file| why.is_about(self.board, file))
            && !worse.iter().any(|(file, it)| why.covers(self.board, file, &it.test))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::explained;
    use super::super::sum::Results;
    use super::*;

    const FILE: &str = "gdb.base/a.exp";

    /// A report on a file with one run per server.
    fn report(sums: &[&str], explanations: &str) -> Report {
        let mut results = Board::new();
        let servers: Vec<Server> = (0..sums.len())
            .map(|n| Server { label: format!("server-{n}"), program: PathBuf::new() })
            .collect();
        for (n, sum) in sums.iter().enumerate() {
            let sum: String = sum
                .lines()
                .map(|line| line.replacen(' ', &format!(" {FILE}: "), 1) + "\n")
                .collect();
            let results = results.entry((FILE.to_owned(), n)).or_default();
            results.add(Results::parse(&sum, false, Duration::ZERO));
        }
        let explanations = explained::parse(explanations).unwrap();
        of("board", &servers, &[FILE.to_owned()], &results, &explanations)
    }

    #[test]
    fn one_server_is_shown_and_not_compared() {
        let report = report(&["PASS: x\nFAIL: y"], "");
        let wanted = "\n== board\n                server-0\n\
                      gdb.base/a.exp  1 PASS, 1 FAIL\n1 files\nwith server-0: 1 PASS, 1 FAIL\n";
        assert_eq!((report.text.as_str(), report.unexplained), (wanted, 0));
    }

    #[test]
    fn what_passes_less_often_is_listed_until_it_is_explained() {
        let sums = ["PASS: x\nPASS: y", "PASS: x\nFAIL: y\nPASS: z"];
        let bare = report(&sums, "");
        assert_eq!(bare.unexplained, 1);
        assert!(bare.text.contains("  gdb.base/a.exp: y (1 against 0)\n"), "{}", bare.text);
        let summary = "1 tests pass less often with server-1 than with server-0, \
                       0 of them explained; 1 more often";
        assert!(bare.text.contains(summary), "{}", bare.text);
        let explained = report(&sums, "board gdb.base/a.exp y: because");
        assert_eq!(explained.unexplained, 0);
        assert!(explained.text.contains("explained: because"), "{}", explained.text);
    }

    #[test]
    fn an_explanation_of_nothing_is_noted_when_its_file_was_run() {
        let seen = |list: &str| report(&["PASS: x", "PASS: x"], list).text.contains("not seen");
        assert!(seen("* gdb.base/a.exp x: because"));
        assert!(!seen("* gdb.base/b.exp x: because"));
    }
}
