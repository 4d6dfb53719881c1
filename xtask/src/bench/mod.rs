//! `cargo xtask bench`: what Trapline costs beside its peers, measured in the
//! same run on the same machine, and judged by ratio.
//!
//! Samples of the subjects of one item are interleaved, so that a machine that
//! slows down slows all of them; the median counts. What could not be measured
//! is shown with the reason and never passes.

mod conditional;
mod conditions;
mod first_stop;
mod many_breakpoints;
mod many_threads;
mod memory;
mod remote;
mod report;
mod subject;
mod symbols;
mod timing;

use std::fs;
use std::time::{Duration, Instant};

use crate::Outcome;
use report::Figure;
use subject::{Context, Subject};

/// One thing measured.
struct Item {
    name: &'static str,
    what: &'static str,
    unit: &'static str,
    subjects: &'static [Subject],
    goals: &'static [Goal],
    /// One sample.
    measure: fn(&Context, Subject) -> Result<f64, String>,
}

/// What Trapline's median has to reach.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// At most this many times the other subject's.
    Times(f64, Subject),
    /// At most this, in the item's unit.
    AtMost(f64),
}

/// Every item, in the order in which they are measured and shown.
const ITEMS: &[Item] = &[
    conditional::ITEM,
    first_stop::ITEM,
    many_breakpoints::SET,
    many_breakpoints::HIT,
    many_threads::IDLE,
    many_threads::BUSY,
    many_threads::INSTALL_IDLE,
    many_threads::INSTALL_BUSY,
    memory::SMALL,
    memory::LARGE,
];

/// Samples of each subject when nobody says otherwise.
const RUNS: usize = 5;

/// A peer whose sample takes longer than this is not sampled again: it differs
/// by orders of magnitude, not by noise. The table says how many samples count.
const SLOW: Duration = Duration::from_secs(20);

struct Options<'a> {
    only: Option<&'a str>,
    runs: Option<usize>,
    json: Option<&'a str>,
}

pub(crate) fn run(words: &[&str]) -> Outcome {
    if words == ["--list"] {
        ITEMS.iter().for_each(|item| println!("{:<20} {} ({})", item.name, item.what, item.unit));
        println!("{:<20} {} (ns; not an item: bench conditions)", "conditions", conditions::WHAT);
        println!("{:<20} {} (not an item: bench symbols)", "symbols", symbols::WHAT);
        println!("{:<20} {} (not an item: bench remote)", "remote", remote::WHAT);
        return Ok(());
    }
    if let ["conditions", rest @ ..] = words {
        return conditions::run(rest);
    }
    if let ["symbols", rest @ ..] = words {
        return measure_all(symbols::ITEMS, rest);
    }
    if let ["remote", rest @ ..] = words {
        return measure_all(remote::ITEMS, rest);
    }
    measure_all(ITEMS, words)
}

/// Measures items, or the one that is asked for.
fn measure_all(items: &'static [Item], words: &[&str]) -> Outcome {
    let options = parse(items, words)?;
    let runs = options.runs.unwrap_or(RUNS);
    let context = Context::prepare()?;
    let chosen = |item: &&Item| options.only.is_none_or(|name| item.name == name);
    let figures: Vec<Figure> =
        items.iter().filter(chosen).map(|item| measure(item, &context, runs)).collect();
    let machine = report::machine();
    print!("{}", report::table(&machine, runs, &figures));
    match options.json {
        Some(path) => fs::write(path, report::json(&machine, runs, &figures))
            .map_err(|why| format!("{path}: {why}")),
        None => Ok(()),
    }
}

fn parse<'a>(items: &[Item], words: &[&'a str]) -> Result<Options<'a>, String> {
    let mut options = Options { only: None, runs: None, json: None };
    for pair in words.chunks(2) {
        match *pair {
            ["--only", name] if items.iter().any(|item| item.name == name) => {
                options.only = Some(name);
            }
            ["--only", name] => return Err(format!("no bench {name}; see bench --list")),
            ["--runs", text] => {
                let runs: Option<usize> = text.parse().ok().filter(|&runs| runs > 0);
                options.runs = Some(runs.ok_or_else(|| format!("not a number of runs: {text}"))?);
            }
            ["--json", path] => options.json = Some(path),
            _ => return Err(format!("bench does not take {}", pair.join(" "))),
        }
    }
    Ok(options)
}

fn measure(item: &'static Item, context: &Context, runs: usize) -> Figure {
    let mut samples = vec![Ok(Vec::new()); item.subjects.len()];
    let mut slow = vec![false; item.subjects.len()];
    for run in 1..=runs {
        for (index, &subject) in item.subjects.iter().enumerate() {
            if slow[index] {
                continue;
            }
            eprintln!("{}: {} {run}/{runs}", item.name, subject.name());
            let start = Instant::now();
            take_sample(item, context, subject, &mut samples[index]);
            slow[index] = subject != Subject::Trapline && start.elapsed() > SLOW;
        }
    }
    let medians = samples.into_iter().map(|samples| samples.and_then(Median::of));
    Figure { item, medians: item.subjects.iter().copied().zip(medians).collect() }
}

/// The middle of some samples, and how many there were.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Median {
    value: f64,
    samples: usize,
}

impl Median {
    /// # Errors
    /// When it cannot be a cost: differences of two runs may come out so.
    fn of(samples: Vec<f64>) -> Result<Self, String> {
        let (samples, value) = (samples.len(), median(samples));
        if value > 0.0 {
            Ok(Self { samples, value })
        } else {
            Err(format!("the noise drowned the figure: {value}"))
        }
    }
}

/// Adds a sample, unless one failed: a subject that failed once has no figure.
fn take_sample(
    item: &Item,
    context: &Context,
    subject: Subject,
    samples: &mut Result<Vec<f64>, String>,
) {
    let Ok(taken) = samples else { return };
    match (item.measure)(context, subject) {
        Ok(sample) => taken.push(sample),
        Err(why) => *samples = Err(why),
    }
}

/// The middle sample; of an even number the mean of the middle two.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => samples[middle],
        _ => f64::midpoint(samples[middle - 1], samples[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
    }

    #[test]
    fn wrong_options_are_named() {
        assert!(parse(ITEMS, &["--only", "nothing"]).is_err_and(|why| why.contains("nothing")));
        assert!(parse(ITEMS, &["--runs", "0"]).is_err_and(|why| why.contains('0')));
        assert!(parse(ITEMS, &["--fast"]).is_err_and(|why| why.contains("--fast")));
        assert!(
            parse(ITEMS, &["--runs", "3", "--only", "first-stop"])
                .is_ok_and(|it| it.runs == Some(3))
        );
    }

    #[test]
    fn items_have_names_of_their_own_and_goals_about_their_subjects() {
        let items: Vec<&Item> = ITEMS.iter().chain(symbols::ITEMS).chain(remote::ITEMS).collect();
        for (index, item) in items.iter().enumerate() {
            assert!(items[..index].iter().all(|other| other.name != item.name), "{}", item.name);
            for goal in item.goals {
                let Goal::Times(_, peer) = goal else { continue };
                assert!(item.subjects.contains(peer), "{}: {goal:?}", item.name);
            }
        }
    }
}
