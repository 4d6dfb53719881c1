//! How figures are shown: a table for people, JSON for the README and for
//! comparing runs. No measuring here.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::subject::Subject;
use super::{Goal, Item, Median};
use crate::steps::{command, output};

/// The medians of one item.
pub(super) struct Figure {
    pub(super) item: &'static Item,
    pub(super) medians: Vec<(Subject, Result<Median, String>)>,
}

/// Whether a goal was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Pass,
    Miss,
    /// One of the figures it needs is missing.
    Unknown,
}

impl Verdict {
    /// Of whether a goal was reached, where that is known.
    pub(super) const fn of(reached: Option<bool>) -> Self {
        match reached {
            None => Self::Unknown,
            Some(true) => Self::Pass,
            Some(false) => Self::Miss,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Miss => "MISS",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Figure {
    fn median(&self, subject: Subject) -> Option<f64> {
        self.medians
            .iter()
            .find(|(it, _)| *it == subject)?
            .1
            .as_ref()
            .ok()
            .map(|median| median.value)
    }

    /// What was reached, in the goal's own terms, and the verdict.
    fn judge(&self, goal: Goal) -> (Option<f64>, Verdict) {
        let (reached, limit) = match goal {
            Goal::AtMost(limit) => (self.median(Subject::Trapline), limit),
            Goal::Times(limit, peer) => {
                let ours = self.median(Subject::Trapline);
                (ours.zip(self.median(peer)).map(|(ours, theirs)| ours / theirs), limit)
            }
        };
        (reached, Verdict::of(reached.map(|value| value <= limit)))
    }

    fn goal_text(&self, goal: Goal) -> String {
        match goal {
            Goal::AtMost(limit) => format!("at most {limit} {}", self.item.unit),
            Goal::Times(limit, peer) => format!("at most {limit} x {}", peer.name()),
        }
    }
}

/// What was measured on, and when.
pub(super) struct Machine {
    date: String,
    cpu: String,
    cores: usize,
    kernel: String,
}

impl Machine {
    /// The line above every table.
    pub(super) fn headline(&self, runs: usize) -> String {
        let Self { date, cpu, cores, kernel } = self;
        format!("{date}: {cpu}, {cores} cores, Linux {kernel}; medians of {runs} interleaved runs")
    }

    /// The object that figures are added to.
    pub(super) fn json(&self, runs: usize) -> Value {
        json!({
            "date": self.date,
            "cpu": self.cpu,
            "cores": self.cores,
            "kernel": self.kernel,
            "runs": runs,
        })
    }
}

/// Facts about this machine; `unknown` for what it does not tell.
pub(super) fn machine() -> Machine {
    let ask = |words: &[&str]| output(&mut command(words)).map(|text| text.trim().to_owned());
    let unknown = || "unknown".to_owned();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    Machine {
        date: ask(&["date", "-u", "+%Y-%m-%d"]).unwrap_or_else(|_| unknown()),
        cpu: model.map_or_else(unknown, |it| it.trim_start_matches(['\t', ' ', ':']).to_owned()),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        kernel: ask(&["uname", "-r"]).unwrap_or_else(|_| unknown()),
    }
}

pub(super) fn table(machine: &Machine, runs: usize, figures: &[Figure]) -> String {
    let mut text = format!("\n{}\n", machine.headline(runs));
    for figure in figures {
        let _ = writeln!(text, "\n{}: {}", figure.item.name, figure.item.what);
        for (subject, median) in &figure.medians {
            let _ = match median {
                Ok(Median { value, samples }) => {
                    let ratio = ratio_text(figure, *subject, *value);
                    let few = if *samples == runs { "" } else { "  (one sample: slow)" };
                    writeln!(
                        text,
                        "  {:<12} {value:>12.3} {}{ratio}{few}",
                        subject.name(),
                        figure.item.unit
                    )
                }
                Err(why) => writeln!(text, "  {:<12} not measured: {why}", subject.name()),
            };
        }
        for &goal in figure.item.goals {
            let (reached, verdict) = figure.judge(goal);
            let reached = reached.map_or("-".to_owned(), |value| format!("{value:.3}"));
            let _ =
                writeln!(text, "  {:<7} {} ({reached})", verdict.word(), figure.goal_text(goal));
        }
    }
    text
}

/// How many times Trapline's figure a peer's is.
fn ratio_text(figure: &Figure, subject: Subject, value: f64) -> String {
    match figure.median(Subject::Trapline) {
        Some(ours) if subject != Subject::Trapline => format!("  {:.2} x trapline", value / ours),
        _ => String::new(),
    }
}

pub(super) fn json(machine: &Machine, runs: usize, figures: &[Figure]) -> String {
    let mut value = machine.json(runs);
    value["items"] = figures.iter().map(figure_json).collect();
    format!("{value:#}\n")
}

fn figure_json(figure: &Figure) -> Value {
    let medians = figure.medians.iter().map(|(subject, median)| match median {
        Ok(Median { value, samples }) => {
            json!({"subject": subject.name(), "median": value, "samples": samples})
        }
        Err(why) => json!({"subject": subject.name(), "not_measured": why}),
    });
    let goals = figure.item.goals.iter().map(|&goal| {
        let (reached, verdict) = figure.judge(goal);
        json!({"goal": figure.goal_text(goal), "reached": reached, "verdict": verdict.word()})
    });
    json!({
        "name": figure.item.name,
        "what": figure.item.what,
        "unit": figure.item.unit,
        "medians": medians.collect::<Vec<Value>>(),
        "goals": goals.collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: Result<f64, String>, floor: f64) -> Figure {
        let one = |value| Median { value, samples: 1 };
        let medians = vec![(Subject::Trapline, ours.map(one)), (Subject::Floor, Ok(one(floor)))];
        Figure { item: &super::super::conditional::ITEM, medians }
    }

    #[track_caller]
    fn check(figure: &Figure, goal: Goal, expected: Verdict) {
        assert_eq!(figure.judge(goal).1, expected);
    }

    #[test]
    fn a_goal_is_judged_by_ratio_or_by_value() {
        check(&figure(Ok(13.0), 10.0), Goal::Times(1.3, Subject::Floor), Verdict::Pass);
        check(&figure(Ok(13.1), 10.0), Goal::Times(1.3, Subject::Floor), Verdict::Miss);
        check(&figure(Ok(13.0), 10.0), Goal::AtMost(12.0), Verdict::Miss);
    }

    #[test]
    fn what_was_not_measured_never_passes() {
        let missing = figure(Err("absent".to_owned()), 10.0);
        check(&missing, Goal::Times(1.3, Subject::Floor), Verdict::Unknown);
        check(&figure(Ok(1.0), 10.0), Goal::Times(1.0, Subject::Gdb), Verdict::Unknown);
        let machine =
            Machine { date: String::new(), cpu: String::new(), cores: 2, kernel: String::new() };
        let shown = table(&machine, 1, &[missing]);
        assert!(shown.contains("not measured: absent") && shown.contains("UNKNOWN"), "{shown}");
    }
}
