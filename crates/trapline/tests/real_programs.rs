//! Programs that nobody here wrote, debugged by the command line as their users
//! would: what each prints stays as it is with nobody watching, and what each
//! breakpoint counts is what gdb counts at the same place.
//!
//! Addresses, hash seeds and the environment are the same in every run, so that
//! an interpreter does the same work each time.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use trapline_testkit::{Debuggee, Finished, corpus, run};

/// gdb stops at each pass of a conditional breakpoint and is slow at it.
const PATIENCE: Duration = Duration::from_secs(240);

/// A program, how it is run, and where.
struct Subject {
    path: PathBuf,
    args: Vec<String>,
    stdin: PathBuf,
}

/// A place, as `break` or `watch` takes it.
struct Point {
    flag: &'static str,
    /// Flags that gdb does not have.
    ours: &'static str,
    place: String,
}

fn code(place: impl Into<String>) -> Point {
    Point { flag: "-b", ours: "", place: place.into() }
}

fn log(template: &'static str, place: impl Into<String>) -> Point {
    Point { flag: "-b", ours: template, place: place.into() }
}

fn watch(place: impl Into<String>) -> Point {
    Point { flag: "-w", ours: "", place: place.into() }
}

/// What one run under Trapline told.
struct Told {
    finished: Finished,
    lines: Vec<Value>,
}

impl Told {
    fn number(line: &Value, key: &str) -> u64 {
        line[key].as_u64().unwrap_or_else(|| panic!("no {key} in {line}"))
    }

    fn events(&self, event: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["event"] == event).collect()
    }

    /// The closing line of a breakpoint, by its place on the command line.
    fn closing(&self, index: usize) -> &Value {
        let all = self.events("breakpoint");
        all.into_iter().find(|line| line["id"] == index + 1).expect("each breakpoint has its line")
    }

    fn hits(&self, index: usize) -> u64 {
        Self::number(self.closing(index), "hits")
    }

    fn passes(&self, index: usize) -> u64 {
        Self::number(self.closing(index), "passes")
    }

    fn messages(&self) -> Vec<&str> {
        self.events("log").iter().map(|line| line["message"].as_str().unwrap()).collect()
    }
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real_programs");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Nothing of ours, and what makes an interpreter do the same twice.
fn settled(command: &mut Command) -> &mut Command {
    command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("PYTHONHASHSEED", "0"), ("LC_ALL", "C")])
}

impl Subject {
    fn alone(&self) -> Finished {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" < \"$0\""]).arg(&self.stdin).arg(&self.path);
        run(settled(&mut command).args(&self.args), PATIENCE)
    }

    /// Goes through every stop to the end.
    fn debugged(&self, name: &str, points: &[Point]) -> Told {
        let json = scratch(&format!("{name}.json"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_trapline"));
        command.args(["run", "--batch", "--auto-continue"]);
        command.arg(format!("--json={}", json.display())).arg("--stdin").arg(&self.stdin);
        for point in points {
            command.arg(point.flag).arg(format!("{} {}", point.ours, point.place));
        }
        let finished =
            run(settled(&mut command).arg("--").arg(&self.path).args(&self.args), PATIENCE);
        let text = fs::read_to_string(json).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        Told { finished, lines }
    }

    /// How often gdb finds each place hit, by its number.
    fn counted_by_gdb(&self, points: &[Point]) -> BTreeMap<usize, u64> {
        let mut command = Command::new("gdb");
        command.args(["-nx", "--batch"]);
        let mut say = |line: String| {
            command.arg("-ex").arg(line);
        };
        for line in ["pagination off", "width 0", "startup-with-shell on", "confirm off"] {
            say(format!("set {line}"));
        }
        say("unset environment LINES".to_owned());
        say("unset environment COLUMNS".to_owned());
        for (point, number) in points.iter().zip(1..) {
            let verb = if point.flag == "-w" { "watch" } else { "break" };
            say(format!("{verb} {}", point.place));
            say(format!("ignore {number} 1000000000"));
        }
        say(format!("run < {} > /dev/null", self.stdin.display()));
        say("info breakpoints".to_owned());
        // gdb's `run` with a redirection drops arguments given elsewhere.
        assert!(self.args.is_empty(), "write the program's input to its standard input");
        command.arg(&self.path);
        let told = run(settled(&mut command), PATIENCE).expect_success();
        hit_counts(&told.stdout)
    }
}

/// Reads `info breakpoints`: a row by number, and below it its count.
fn hit_counts(text: &str) -> BTreeMap<usize, u64> {
    let mut counts = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if let (Ok(number), true) = (first.parse::<usize>(), line.contains("keep")) {
            counts.insert(number, 0);
            current = Some(number);
        }
        let already = line.trim().strip_prefix("breakpoint already hit ");
        if let (Some(rest), Some(number)) = (already, current) {
            let count = rest.split_whitespace().next().and_then(|word| word.parse().ok());
            counts.insert(number, count.expect("gdb counts in numbers"));
        }
    }
    counts
}

/// Runs a program with and without us and compares all there is to compare.
#[track_caller]
fn check(name: &str, subject: &Subject, points: &[Point]) -> Told {
    let alone = subject.alone().expect_success();
    let told = subject.debugged(name, points);
    assert_eq!(told.finished.stdout, alone.stdout, "{}", told.finished.stderr);
    assert_eq!(told.finished.status.code(), alone.status.code());
    assert!(told.events("error").is_empty(), "{:?}", told.events("error"));
    let expected = subject.counted_by_gdb(points);
    let ours = (0..points.len()).map(|index| (index + 1, told.hits(index))).collect();
    assert_eq!(expected, ours, "gdb's hits and ours");
    told
}

#[test]
fn python_counts_as_gdb_does() {
    let script = scratch("sum.py");
    fs::write(&script, "print(sum(len(str(i)) for i in range(700, 900)))\n").unwrap();
    let path = fs::canonicalize("/usr/bin/python3.11-dbg").unwrap();
    let subject = Subject { path, args: vec![], stdin: script };
    let told = check(
        "python",
        &subject,
        &[
            code("PyLong_FromLong if ival == 777"),
            code("ceval.c:1700"),
            log("-log 'n={nbytes} in $FUNCTION'", "_PyObject_Malloc if nbytes > 30000"),
            watch("_PyRuntime.initialized"),
        ],
    );
    assert!(told.passes(0) > told.hits(0), "the condition chose");
    let expected = |message: &&str| {
        let number = message.strip_prefix("n=").and_then(|rest| rest.split(' ').next());
        number.unwrap().parse::<u64>().unwrap() > 30_000 && message.ends_with("_PyObject_Malloc")
    };
    assert_eq!(told.messages().len() as u64, told.hits(2));
    assert!(told.messages().iter().all(expected), "{:?}", told.messages());
    let changes: Vec<_> = told.events("stopped").into_iter().filter(|it| it["id"] == 4).collect();
    let values: Vec<_> = changes.iter().map(|it| (&it["old"], &it["new"])).collect();
    assert_eq!(values, [(&"0".into(), &"1".into()), (&"1".into(), &"0".into())]);
}

#[test]
fn sqlite_counts_as_gdb_does_and_as_its_own_rows() {
    let statements = [
        "create table t(a integer primary key, b text);",
        "insert into t values (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four');",
        "select b from t where a > 1 order by b;",
    ];
    let script = scratch("rows.sql");
    fs::write(&script, statements.join("\n") + "\n").unwrap();
    let path = corpus::program("sqlite3");
    let row = line_of(&path.with_file_name("sqlite3.c"), "case OP_ResultRow: {");
    let subject = Subject { path, args: vec![], stdin: script };
    let told = check(
        "sqlite",
        &subject,
        &[
            code("sqlite3VdbeExec"),
            code(format!("sqlite3.c:{row}")),
            code("sqlite3BtreeInsert if flags != 0"),
            log("-log '{zSql}'", "runOneSqlLine"),
            watch("sqlite3Config.isInit"),
        ],
    );
    let rows = told.finished.stdout.lines().count() as u64;
    assert_eq!((rows, told.finished.stdout.as_str()), (3, "four\nthree\ntwo\n"));
    let at_row = told.events("stopped").iter().filter(|it| it["id"] == 2).count() as u64;
    assert_eq!(at_row, told.hits(1));
    assert!(told.hits(1) >= rows);
    let logged: Vec<_> = told.messages();
    assert_eq!(logged.len(), statements.len());
    for (message, statement) in logged.iter().zip(statements) {
        assert!(message.contains(statement), "{message}");
    }
}

/// The line of a file that is exactly `text` but for its margins.
fn line_of(file: &Path, text: &str) -> usize {
    let source = fs::read(file).unwrap();
    let source = String::from_utf8_lossy(&source);
    let found = (1..).zip(source.lines()).find(|(_, line)| line.trim() == text);
    found.unwrap_or_else(|| panic!("no line {text} in {}", file.display())).0
}

#[test]
fn a_rust_program_with_threads_counts_as_it_says_itself() {
    let program = Debuggee::build("rust_threads");
    let record = program.mark("record").spec();
    let subject = Subject {
        path: program.path.clone(),
        args: vec!["4".to_owned(), "250".to_owned()],
        stdin: "/dev/null".into(),
    };
    let alone = subject.alone().expect_success();
    let told = subject.debugged(
        "rust",
        &[
            code("counting::visit if pass == 7"),
            code(record),
            log("-log '$TNAME {pass}' -hits '% 100'", "rust_threads::counting::visit"),
            // Threads change it at once, so that by the time one is asked the
            // value may be another's: each write counts, seen to change or not.
            Point { ours: "-written", ..watch("rust_threads::counting::PASSES") },
        ],
    );
    assert_eq!(told.finished.stdout, alone.stdout, "{}", told.finished.stderr);
    let said = |key: &str| {
        let wanted = format!("{key}=");
        let word = alone.stdout.split_whitespace().find_map(|word| word.strip_prefix(&wanted));
        word.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((told.passes(0), told.hits(0)), (said("passes"), said("threads")));
    assert_eq!(told.hits(1), said("circles") + said("squares"));
    assert_eq!(told.messages().len() as u64, said("passes") / 100);
    assert!(told.messages().iter().all(|message| message.starts_with("worker-")));
    assert_eq!(told.hits(3), said("passes"), "each pass writes the watched counter");
}

#[test]
fn trapline_can_debug_trapline() {
    let subject = Subject {
        path: env!("CARGO_BIN_EXE_trapline").into(),
        args: vec!["completions".to_owned(), "bash".to_owned()],
        stdin: "/dev/null".into(),
    };
    let alone = subject.alone().expect_success();
    let told = subject.debugged("ourselves", &[code("trapline::main"), code("cli::main")]);
    assert_eq!(told.finished.stdout, alone.stdout, "{}", told.finished.stderr);
    assert_eq!((told.hits(0), told.hits(1)), (1, 1));
}
