//! Programs run by the command line beside an undebugged run and beside gdb:
//! what each printed, and how often each place was hit.
//!
//! Addresses, hash seeds and the environment are the same in every run, so that
//! a program does the same work each time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use trapline_testkit::{Finished, run};

/// gdb stops at each pass of a conditional breakpoint and is slow at it.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A program, how it is run, and where.
#[derive(Clone)]
pub struct Subject {
    pub path: PathBuf,
    pub args: Vec<String>,
    pub stdin: PathBuf,
    pub folder: PathBuf,
    /// What its environment has on top.
    pub environment: Vec<(&'static str, String)>,
    /// Flags of `trapline run`.
    pub flags: Vec<&'static str>,
}

/// A place, as `break` or `watch` takes it. Watches are numbered after all
/// others, so they come last.
pub struct Point {
    pub flag: &'static str,
    /// Flags that gdb does not have.
    pub ours: &'static str,
    pub place: String,
}

pub fn code(place: impl Into<String>) -> Point {
    Point { flag: "-b", ours: "", place: place.into() }
}

pub fn log(template: &'static str, place: impl Into<String>) -> Point {
    Point { flag: "-b", ours: template, place: place.into() }
}

pub fn watch(place: impl Into<String>) -> Point {
    Point { flag: "-w", ours: "", place: place.into() }
}

/// What one run under Trapline told.
pub struct Told {
    pub finished: Finished,
    pub lines: Vec<Value>,
}

impl Told {
    pub fn number(line: &Value, key: &str) -> u64 {
        line[key].as_u64().unwrap_or_else(|| panic!("no {key} in {line}"))
    }

    pub fn events(&self, event: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["event"] == event).collect()
    }

    /// The closing line of a breakpoint, by its place on the command line.
    pub fn closing(&self, index: usize) -> &Value {
        let all = self.events("breakpoint");
        all.into_iter().find(|line| line["id"] == index + 1).expect("each breakpoint has its line")
    }

    pub fn hits(&self, index: usize) -> u64 {
        Self::number(self.closing(index), "hits")
    }

    pub fn passes(&self, index: usize) -> u64 {
        Self::number(self.closing(index), "passes")
    }

    /// Nothing failed, and the program did what it does with nobody watching.
    #[track_caller]
    pub fn is_as(&self, alone: &Finished) {
        assert_eq!(self.finished.stdout, alone.stdout, "{}", self.finished.stderr);
        assert_eq!(self.finished.status.code(), alone.status.code());
        assert!(self.events("error").is_empty(), "{:?}", self.events("error"));
    }

    pub fn messages(&self) -> Vec<&str> {
        self.events("log").iter().map(|line| line["message"].as_str().unwrap()).collect()
    }
}

pub fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real_programs");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

impl Subject {
    /// A program that is told nothing, run here.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        let (stdin, folder) = ("/dev/null".into(), ".".into());
        let (args, environment, flags) = (Vec::new(), Vec::new(), Vec::new());
        Self { path: path.into(), args, stdin, folder, environment, flags }
    }

    /// The same program with other arguments.
    pub fn with(&self, args: &[&str]) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        Self { args, ..self.clone() }
    }

    /// Nothing of ours, and what makes an interpreter do the same twice.
    fn settled(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.folder);
        command.envs([("PATH", "/usr/bin:/bin"), ("PYTHONHASHSEED", "0"), ("LC_ALL", "C")]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn alone(&self) -> Finished {
        self.alone_within(PATIENCE)
    }

    pub fn alone_within(&self, limit: Duration) -> Finished {
        let mut command = self.settled("sh");
        command.args(["-c", "exec \"$@\" < \"$0\""]).arg(&self.stdin).arg(&self.path);
        run(command.args(&self.args), limit)
    }

    /// Goes through every stop to the end.
    pub fn debugged(&self, name: &str, points: &[Point]) -> Told {
        let mut command = self.trapline(name);
        command.arg("--auto-continue");
        for point in points {
            command.arg(point.flag).arg(format!("{} {}", point.ours, point.place));
        }
        self.told(name, command)
    }

    /// Follows a script of commands; the breakpoints in it are numbered as they
    /// are set.
    pub fn scripted(&self, name: &str, commands: &[&str]) -> Told {
        let mut command = self.trapline(name);
        for line in commands {
            command.arg("-e").arg(line);
        }
        self.told(name, command)
    }

    pub fn trapline(&self, name: &str) -> Command {
        let mut command = self.settled(env!("CARGO_BIN_EXE_trapline"));
        command.args(["run", "--batch"]).args(&self.flags);
        command.arg(format!("--json={}", json(name).display())).arg("--stdin").arg(&self.stdin);
        command
    }

    fn told(&self, name: &str, command: Command) -> Told {
        self.told_within(name, command, PATIENCE)
    }

    pub fn told_within(&self, name: &str, mut command: Command, limit: Duration) -> Told {
        let finished = run(command.arg("--").arg(&self.path).args(&self.args), limit);
        let text = fs::read_to_string(json(name)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        Told { finished, lines }
    }

    /// How often gdb finds each place hit, by its number.
    pub fn counted_by_gdb(&self, points: &[Point]) -> BTreeMap<usize, u64> {
        let mut commands = Vec::new();
        for (point, number) in points.iter().zip(1..) {
            let verb = if point.flag == "-w" { "watch" } else { "break" };
            commands.push(format!("{verb} {}", point.place));
            commands.push(format!("ignore {number} 1000000000"));
        }
        commands.push("run".to_owned());
        self.gdb(&commands)
    }

    /// What gdb has counted at each breakpoint after these commands; a `run`
    /// among them is given the program's arguments.
    pub fn gdb(&self, commands: &[String]) -> BTreeMap<usize, u64> {
        let mut command = self.settled("gdb");
        command.args(["-nx", "--batch"]);
        let mut say = |line: &str| {
            command.arg("-ex").arg(line);
        };
        for line in ["pagination off", "width 0", "startup-with-shell on", "confirm off"] {
            say(&format!("set {line}"));
        }
        say("unset environment LINES");
        say("unset environment COLUMNS");
        let quoted: Vec<_> = self.args.iter().map(|word| format!("'{word}'")).collect();
        // A redirection drops arguments that gdb was given elsewhere.
        let run_it = format!("run {} < {} > /dev/null", quoted.join(" "), self.stdin.display());
        for line in commands {
            say(if line == "run" { &run_it } else { line });
        }
        say("info breakpoints");
        command.arg(&self.path);
        hit_counts(&run(&mut command, PATIENCE).expect_success().stdout)
    }
}

fn json(name: &str) -> PathBuf {
    scratch(&format!("{name}.json"))
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
pub fn check(name: &str, subject: &Subject, points: &[Point]) -> Told {
    let alone = subject.alone().expect_success();
    let told = subject.debugged(name, points);
    told.is_as(&alone);
    let expected = subject.counted_by_gdb(points);
    let ours = (0..points.len()).map(|index| (index + 1, told.hits(index))).collect();
    assert_eq!(expected, ours, "gdb's hits and ours");
    told
}

/// The place `FILE:LINE` of the line that is exactly `text` but for its margins,
/// in a file beside a program.
pub fn line_of(program: &Path, file: &str, text: &str) -> String {
    let source = fs::read(program.with_file_name(file)).unwrap();
    let source = String::from_utf8_lossy(&source);
    let found = (1..).zip(source.lines()).find(|(_, line)| line.trim() == text);
    format!("{file}:{}", found.unwrap_or_else(|| panic!("no line {text} in {file}")).0)
}
