//! `cargo xtask bench conditions`: what a false condition costs a pass, compiled
//! into the program, served by Trapline and by its peers, all in one run.
//!
//! Every row is sampled once in each run, and goals compare samples of the same
//! run: a machine whose clock drifts by half between runs moves both sides.

mod debuggers;
mod goals;
mod ours;
mod place;
mod row;
mod show;
mod subject;
mod tracepoint;
mod uprobe;

use std::fs;

use super::subject::Context;
use super::{parse, report};
use crate::Outcome;
use row::{Row, Who};
use subject::Sample;

/// How the list of benches describes this one.
pub(super) const WHAT: &str = "a false condition: compiled in, ours, and the peers'";

/// Runs when nobody says otherwise: single nanoseconds need more than the rest.
const RUNS: usize = 15;

/// What was measured of one row.
struct Figure {
    row: Row,
    /// Nanoseconds a pass, one for each run.
    samples: Result<Vec<f64>, String>,
    /// How the condition was served, as Trapline tells it.
    served: Option<String>,
}

pub(super) fn run(words: &[&str]) -> Outcome {
    let options = parse(super::ITEMS, words)?;
    if options.only.is_some() {
        return Err("bench conditions is one comparison: it takes no --only".to_owned());
    }
    let runs = options.runs.unwrap_or(RUNS);
    let context = Context::prepare()?;
    let figures = measure(&context, runs);
    let judged = goals::judge(&figures);
    let machine = report::machine();
    print!("{}", show::table(&machine.headline(runs), &figures, &judged));
    match options.json {
        Some(path) => fs::write(path, show::json(machine.json(runs), &figures, &judged))
            .map_err(|why| format!("{path}: {why}")),
        None => Ok(()),
    }
}

fn measure(context: &Context, runs: usize) -> Vec<Figure> {
    let fresh = |row| Figure { row, samples: Ok(Vec::new()), served: None };
    let mut figures: Vec<Figure> = row::all().into_iter().map(fresh).collect();
    for run in 1..=runs {
        for figure in &mut figures {
            eprintln!("conditions: {} {run}/{runs}", figure.row);
            take_sample(context, figure);
        }
    }
    figures
}

/// Adds a sample, unless one failed: a row that failed once has no figure.
fn take_sample(context: &Context, figure: &mut Figure) {
    let Ok(samples) = &mut figure.samples else { return };
    match sample(context, &figure.row) {
        Ok(sample) => {
            samples.push(sample.ns_per_pass);
            figure.served = sample.served;
        }
        Err(why) => figure.samples = Err(why),
    }
}

fn sample(context: &Context, row: &Row) -> Result<Sample, String> {
    match row.who {
        Who::Bare | Who::CompiledIn => subject::sample(row),
        Who::Trapline => ours::sample(context, row),
        Who::Gdb | Who::Lldb => debuggers::sample(context, row),
        Who::FastTracepoint => tracepoint::sample(context, row),
        Who::Uprobe => uprobe::sample(row),
    }
}
