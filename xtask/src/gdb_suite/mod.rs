//! `cargo xtask gdb-suite`: gdb's own tests, of Debian's source package of the
//! installed gdb, with the stock gdbserver and with ours. What passes with the
//! first server has to pass at least as often with the others.
//!
//! A file in which a test passes with the first and not with another is run
//! twice more with both: tests that fail now and then are in every such suite.

mod compare;
mod explained;
mod pattern;
mod report;
mod runtest;
mod source;
mod strays;
mod sum;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use compare::{Difference, Tally, differences};
use runtest::Case;
use sum::Results;

use crate::debian::create;
use crate::steps::{build_trapline, call, command, output};
use crate::{Outcome, packages};

/// gdb talks to the one with `target remote`, a server per program, and to the
/// other with `target extended-remote`, a server for all of a file's programs.
const BOARDS: &[&str] = &["native-gdbserver", "native-extended-gdbserver"];

/// What the others are compared with when nobody says otherwise.
const STOCK: &str = "/usr/bin/gdbserver";

/// How often a file that differs is run in all.
const ATTEMPTS: usize = 3;

/// How many files are run at once when nobody says otherwise.
const JOBS: usize = 2;

/// A program that takes gdbserver's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Server {
    /// What it is called in tables and folders.
    label: String,
    program: PathBuf,
}

#[derive(Debug)]
struct Options<'a> {
    servers: Vec<&'a str>,
    boards: Vec<&'static str>,
    only: Option<&'a str>,
    jobs: usize,
}

/// The runs of every file with every server on one board, by file and by the
/// place of the server.
type Board = BTreeMap<(String, usize), Tally>;

pub(crate) fn run(words: &[&str]) -> Outcome {
    let options = parse(words)?;
    packages::ensure(packages::FOR_TESTS)?;
    packages::ensure(packages::FOR_GDB_SUITE)?;
    let home = trapline_testkit::target_dir().join("gdb-suite");
    create(&home)?;
    let home = home.canonicalize().map_err(|why| format!("{}: {why}", home.display()))?;
    let tests = source::tests(&home)?;
    let files = chosen(source::files(&tests)?, options.only)?;
    let suite = Suite { servers: servers(&options.servers, &home)?, home, tests, files };
    let explanations = explained::list()?;
    let mut unexplained = 0;
    for board in &options.boards {
        let results = suite.run(board, options.jobs)?;
        let report = report::of(board, &suite.servers, &suite.files, &results, &explanations);
        print!("{}", report.text);
        unexplained += report.unexplained;
    }
    match unexplained {
        0 => Ok(()),
        count => Err(format!("{count} unexplained differences")),
    }
}

fn parse<'a>(words: &[&'a str]) -> Result<Options<'a>, String> {
    let mut options = Options { servers: Vec::new(), boards: Vec::new(), only: None, jobs: JOBS };
    for pair in words.chunks(2) {
        match *pair {
            ["--server", path] => options.servers.push(path),
            ["--board", name] => {
                let known = BOARDS.iter().find(|board| **board == name);
                let names = || BOARDS.join(" and ");
                options.boards.push(known.ok_or_else(|| format!("not among {}: {name}", names()))?);
            }
            ["--only", pattern] => options.only = Some(pattern),
            ["--jobs", text] => {
                let jobs = text.parse().ok().filter(|jobs| (1..=10).contains(jobs));
                options.jobs = jobs.ok_or_else(|| format!("not between 1 and 10 jobs: {text}"))?;
            }
            _ => return Err(format!("gdb-suite does not take {}", pair.join(" "))),
        }
    }
    if options.boards.is_empty() {
        options.boards = BOARDS.to_vec();
    }
    Ok(options)
}

/// The files that `only` names, with or without their folder and ending.
fn chosen(files: Vec<String>, only: Option<&str>) -> Result<Vec<String>, String> {
    let Some(only) = only else { return Ok(files) };
    let is_chosen = |file: &String| {
        let (_, name) = file.split_once('/').unwrap_or_default();
        let names = [file, name, file.trim_end_matches(".exp"), name.trim_end_matches(".exp")];
        names.iter().any(|name| pattern::matches(only, name))
    };
    let chosen: Vec<String> = files.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() { Err(format!("no file of tests is called {only}")) } else { Ok(chosen) }
}

/// The servers of those paths; the stock one and ours when there are none.
fn servers(paths: &[&str], home: &Path) -> Result<Vec<Server>, String> {
    let paths: Vec<PathBuf> = match paths {
        [] => vec![PathBuf::from(STOCK), build_trapline()?],
        paths => paths.iter().map(PathBuf::from).collect(),
    };
    let mut servers: Vec<Server> = Vec::new();
    for path in paths {
        let program = path.canonicalize().map_err(|why| format!("{}: {why}", path.display()))?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let label = label(&name, &servers);
        let program = if name == "trapline" { wrapped(&program, &label, home)? } else { program };
        // A server that does not start at all costs every test its patience.
        output(std::process::Command::new(&program).arg("--version"))
            .map_err(|why| format!("{label} is no gdbserver: {why}"))?;
        servers.push(Server { label, program });
    }
    Ok(servers)
}

/// A name that none of the others has.
fn label(name: &str, others: &[Server]) -> String {
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
    let is_new = |name: &String| others.iter().all(|other| other.label != *name);
    names.find(is_new).unwrap_or_default()
}

/// A script that starts our server: the tests want the name of one program.
fn wrapped(trapline: &Path, label: &str, home: &Path) -> Result<PathBuf, String> {
    let folder = home.join("servers").join(label);
    create(&folder)?;
    let script = folder.join("gdbserver");
    let text = format!("#!/bin/sh\nexec '{}' gdbserver \"$@\"\n", trapline.display());
    fs::write(&script, text).map_err(|why| format!("{}: {why}", script.display()))?;
    call(command(&["chmod", "+x"]).arg(&script))?;
    Ok(script)
}

/// What is run with what.
struct Suite {
    servers: Vec<Server>,
    home: PathBuf,
    tests: PathBuf,
    files: Vec<String>,
}

impl Suite {
    fn run(&self, board: &'static str, jobs: usize) -> Result<Board, String> {
        let case = |file, server| Case { board, server, file, attempt: 1 };
        let pairs =
            self.files.iter().flat_map(|file| (0..self.servers.len()).map(move |n| (file, n)));
        let cases = pairs.map(|(file, n)| (n, case(file, &self.servers[n]))).collect();
        let mut results = Board::new();
        self.run_cases(cases, jobs, &mut results)?;
        let again = self.again(board, &results);
        self.run_cases(again, jobs, &mut results)?;
        Ok(results)
    }

    /// The first server, and each in whose runs something is worse, once more
    /// for each attempt that is left.
    fn again(&self, board: &'static str, results: &Board) -> Vec<(usize, Case<'_>)> {
        let mut again = Vec::new();
        for file in &self.files {
            let differs =
                |n: &usize| against_first(results, file, *n).iter().any(Difference::is_worse);
            let worse: Vec<usize> = (1..self.servers.len()).filter(differs).collect();
            if worse.is_empty() {
                continue;
            }
            for attempt in 2..=ATTEMPTS {
                for n in std::iter::once(0).chain(worse.iter().copied()) {
                    again.push((n, Case { board, server: &self.servers[n], file, attempt }));
                }
            }
        }
        again
    }

    /// Runs cases with `jobs` workers and adds their results.
    fn run_cases(&self, cases: Vec<(usize, Case)>, jobs: usize, into: &mut Board) -> Outcome {
        let total = cases.len();
        let (queue, done) = (Mutex::new(cases.into_iter()), AtomicUsize::new(0));
        let worker = |number: usize| -> Result<Vec<_>, String> {
            let mut finished = Vec::new();
            loop {
                let next = queue.lock().map_err(|_| "a worker failed".to_owned())?.next();
                let Some((server, case)) = next else { return Ok(finished) };
                let number = u32::try_from(number).map_err(|why| why.to_string())?;
                let results = case.run(&self.home, &self.tests, number)?;
                progress(&case, &results, done.fetch_add(1, Ordering::Relaxed) + 1, total);
                finished.push(((case.file.to_owned(), server), case.attempt, results));
            }
        };
        let mut all = std::thread::scope(|scope| {
            let worker = &worker;
            let start = |number| scope.spawn(move || worker(number));
            let threads: Vec<_> = (0..jobs).map(start).collect();
            let join = |thread: std::thread::ScopedJoinHandle<_>| {
                thread.join().unwrap_or_else(|_| Err("a worker failed".to_owned()))
            };
            let lists: Result<Vec<Vec<_>>, String> = threads.into_iter().map(join).collect();
            lists.map(|lists| lists.concat())
        })?;
        all.sort_by_key(|(_, attempt, _)| *attempt);
        for (key, _, results) in all {
            into.entry(key).or_default().add(results);
        }
        Ok(())
    }
}

fn progress(case: &Case, results: &Results, done: usize, total: usize) {
    let (label, seconds) = (&case.server.label, results.took.as_secs_f64());
    let counts = results.counts();
    eprintln!("{done}/{total} {} {label} {}: {counts} ({seconds:.1} s)", case.board, case.file);
}

/// How the runs of `file` with a server compare with those with the first.
fn against_first(results: &Board, file: &str, server: usize) -> Vec<Difference> {
    let tally = |server| results.get(&(file.to_owned(), server));
    match (tally(0), tally(server)) {
        (Some(first), Some(other)) => differences(first, other),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_what_is_run() {
        let options = parse(&["--server", "a", "--server", "b", "--jobs", "4"]).unwrap();
        assert_eq!((options.servers, options.jobs), (vec!["a", "b"], 4));
        assert_eq!(options.boards, BOARDS);
        let options = parse(&["--board", "native-gdbserver", "--only", "sig*"]).unwrap();
        assert_eq!((options.boards, options.only), (vec!["native-gdbserver"], Some("sig*")));
    }

    #[test]
    fn wrong_options_are_named() {
        assert!(parse(&["--board", "sim"]).unwrap_err().contains("sim"));
        assert!(parse(&["--jobs", "0"]).unwrap_err().contains('0'));
        assert!(parse(&["--server"]).unwrap_err().contains("--server"));
    }

    #[test]
    fn files_are_chosen_with_or_without_folder_and_ending() {
        let files = || ["gdb.base/break.exp", "gdb.server/abspath.exp"].map(str::to_owned).to_vec();
        assert_eq!(chosen(files(), None).unwrap(), files());
        for only in ["gdb.base/*", "break", "break.exp", "br*", "gdb.base/break"] {
            assert_eq!(chosen(files(), Some(only)).unwrap(), ["gdb.base/break.exp"], "{only}");
        }
        assert!(chosen(files(), Some("nothing")).unwrap_err().contains("nothing"));
    }

    #[test]
    fn servers_of_one_name_are_told_apart() {
        let server = |label: String| Server { label, program: PathBuf::new() };
        let mut servers = Vec::new();
        for wanted in ["gdbserver", "gdbserver-2", "gdbserver-3"] {
            servers.push(server(label("gdbserver", &servers)));
            assert_eq!(servers.last().unwrap().label, wanted);
        }
    }
}
