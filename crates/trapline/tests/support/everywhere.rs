//! Programs run with a breakpoint at each of very many places: what is said
//! about the places, and how the program fares.
#![allow(clippy::print_stderr, clippy::len_without_is_empty, reason = "figures, for who runs it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use trapline_testkit::{Finished, run};

use super::beside::{Subject, Told, scratch};

/// Never true: a stack is not there.
pub const NEVER: &str = "if $rsp == 1";

/// No program sets more breakpoints, or works longer under them.
pub const LIMIT: Duration = Duration::from_secs(3600);

/// The statements of a program, by what serves them when all have a
/// breakpoint.
pub struct Places {
    pub in_process: Vec<String>,
    pub left: Vec<String>,
}

impl Places {
    /// Those of a program as it lies in memory when addresses are not
    /// randomised.
    pub fn of(path: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trapline"));
        command.args(["coverage", "--list", "--all-at-once"]).arg(path);
        let listed = run(&mut command, LIMIT).expect_success().stdout;
        let (mut in_process, mut left) = (Vec::new(), Vec::new());
        for line in listed.lines() {
            let (at, fate) = line.split_once(' ').unwrap();
            let places = if fate.starts_with("trap") { &mut left } else { &mut in_process };
            places.push(at.to_owned());
        }
        assert!(!in_process.is_empty(), "{listed}");
        Self { in_process, left }
    }

    pub fn len(&self) -> usize {
        self.in_process.len() + self.left.len()
    }
}

impl Subject {
    /// Runs to the end with a breakpoint, as `break` takes it, at each place.
    pub fn with_each(&self, name: &str, flags: &str, places: &[String], asked: &str) -> Everywhere {
        self.follows(name, &each(flags, places, asked))
    }

    /// Follows a script of very many commands.
    pub fn follows(&self, name: &str, script: &str) -> Everywhere {
        let path = scratch(&format!("{name}.everywhere"));
        fs::write(&path, script).unwrap();
        let mut command = self.trapline(name);
        command.arg("-x").arg(path);
        for signals in ["all", "SIGINT"] {
            command.args(["-e", &format!("handle {signals} nostop noprint pass")]);
        }
        Everywhere { told: self.told_within(name, command, LIMIT) }
    }
}

/// A line for each place that sets a breakpoint there.
pub fn each(flags: &str, places: &[String], asked: &str) -> String {
    places.iter().map(|place| format!("break {flags} *{place} {asked}\n")).collect()
}

/// What came of a run with very many breakpoints.
pub struct Everywhere {
    pub told: Told,
}

impl Everywhere {
    pub fn finished(&self) -> &Finished {
        &self.told.finished
    }

    /// Passes and hits of each place.
    pub fn counts(&self) -> BTreeMap<&str, (u64, u64)> {
        let number = |line, key| Told::number(line, key);
        let counts = self.told.events("breakpoint").into_iter();
        counts
            .map(|line| {
                (line["pc"].as_str().unwrap(), (number(line, "passes"), number(line, "hits")))
            })
            .collect()
    }

    /// How many places a mechanism serves, and the passes there.
    pub fn by(&self, mechanism: &str) -> (usize, u64) {
        let lines = self.told.events("breakpoint").into_iter();
        let served = lines.filter(|line| line["mechanism"] == mechanism);
        served.fold((0, 0), |(places, passes), line| {
            (places + 1, passes + Told::number(line, "passes"))
        })
    }

    /// Nothing stopped, failed or came to other than it does with nobody
    /// watching.
    #[track_caller]
    pub fn is_unharmed(&self) {
        let harm = ["stopped", "error"].map(|event| self.told.events(event));
        assert!(harm.iter().all(Vec::is_empty), "{harm:?}");
        assert!(self.finished().status.success(), "{}", self.last_words());
    }

    /// Says what serves how many places, what they counted, and the time beside
    /// a run with nobody watching; few places were to have jumps and have none.
    #[track_caller]
    pub fn show(&self, name: &str, places: &Places, alone: &Finished) {
        let ((jumps, passes), (traps, _)) = (self.by("jump"), self.by("trap"));
        eprintln!("{}", self.figures(name, places.len(), alone));
        assert!(passes > 0, "nothing was passed");
        assert!(traps * 100 < jumps, "{traps} places that were to have jumps have traps");
    }

    fn figures(&self, name: &str, all: usize, alone: &Finished) -> String {
        let ((jumps, quiet), (traps, asked)) = (self.by("jump"), self.by("trap"));
        let share = 100.0 * jumps as f64 / all as f64;
        let (took, alone_took) =
            (self.finished().elapsed.as_secs_f64(), alone.elapsed.as_secs_f64());
        let mut text = format!(
            "{name}: of {all} statements {jumps} ({share:.3} %) decide in the program with {quiet} \
             passes, {traps} by a trap with {asked}; {took:.2} s with setting them up, alone \
             {alone_took:.2} s"
        );
        if let [Some(under), Some(alone)] = [self.finished(), alone].map(own_duration) {
            write!(text, "; by its own clock {under:.1} s, {:.1} times as long", under / alone)
                .unwrap();
        }
        text
    }

    /// The end of what was written, for a message: before it there is a line for
    /// each place.
    pub fn last_words(&self) -> String {
        let tail = |text: &str| -> String {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(60)..].join("\n")
        };
        let Finished { stdout, stderr, status, .. } = self.finished();
        format!("{status}\n--- stdout\n{}\n--- stderr\n{}", tail(stdout), tail(stderr))
    }
}

/// The seconds that CPython's test runner says it took: `Total duration: 1 min
/// 3 sec`.
fn own_duration(finished: &Finished) -> Option<f64> {
    let line = finished.stdout.lines().find_map(|it| it.strip_prefix("Total duration: "))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    words.chunks_exact(2).try_fold(0.0, |sum, pair| {
        let unit = match pair[1] {
            "ms" => 0.001,
            "sec" => 1.0,
            "min" => 60.0,
            "hour" => 3600.0,
            _ => return None,
        };
        Some(sum + unit * pair[0].parse::<f64>().ok()?)
    })
}
