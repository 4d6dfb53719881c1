//! What Trapline has to reach, judged from samples of the same run. No
//! measuring here.

use super::Figure;
use super::place::{Condition, Function, Place};
use super::row::{Row, Who};
use crate::bench::median;
use crate::bench::report::Verdict;

/// A goal and what was reached.
pub(super) struct Judged {
    /// Of which row, and what.
    pub(super) goal: String,
    /// The median over all runs; none when a row it needs has no figure.
    pub(super) reached: Option<f64>,
    pub(super) verdict: Verdict,
}

/// The least cost, in nanoseconds a pass, that these clocks and medians tell
/// from none: what is cheaper counts as this when it divides.
const RESOLUTION: f64 = 0.1;

pub(super) fn judge(figures: &[Figure]) -> Vec<Judged> {
    let mut all = Vec::new();
    all.extend(places().map(|at| one_comparison(figures, at)));
    all.extend(Place::BOTH.map(|place| long_ratio(figures, (Function::Long, place))));
    all.extend(places().map(|at| more_than_bare(figures, at, Condition::Three, 8.0)));
    all.extend(places().map(|at| more_than_bare(figures, at, Condition::Hits, 4.0)));
    all.extend(places().map(|at| scaling(figures, at)));
    all.push(cheaper(figures, (Function::Short, Place::Entry), Who::Gdb, 10_000.0));
    all.push(cheaper(figures, (Function::Short, Place::Middle), Who::FastTracepoint, 10.0));
    all
}

/// A place in the subject.
type At = (Function, Place);

fn places() -> impl Iterator<Item = At> {
    Function::BOTH.into_iter().flat_map(|function| Place::BOTH.map(|place| (function, place)))
}

const fn ours((function, place): At, condition: Condition) -> Row {
    Row::new(Who::Trapline, function, place, condition)
}

const fn compiled_in((function, place): At) -> Row {
    Row::new(Who::CompiledIn, function, place, Condition::One)
}

fn one_comparison(figures: &[Figure], at: At) -> Judged {
    let limit = match at.1 {
        Place::Entry => 1.0,
        Place::Middle => 1.5,
    };
    let row = ours(at, Condition::One);
    let reached = per_run(figures, [row, compiled_in(at)], |[ours, theirs]| ours - theirs);
    at_most(row, format!("at most {limit} ns more than compiled in"), reached, limit)
}

fn long_ratio(figures: &[Figure], at: At) -> Judged {
    let row = ours(at, Condition::One);
    let reached = per_run(figures, [row, compiled_in(at)], |[ours, theirs]| ours / theirs);
    at_most(row, "at most 1.15 x compiled in".to_owned(), reached, 1.15)
}

/// Compared with the bare program, which asks more than to compare with what is
/// compiled in: that is not free either.
fn more_than_bare(figures: &[Figure], at: At, condition: Condition, limit: f64) -> Judged {
    let row = ours(at, condition);
    at_most(row, format!("at most {limit} ns more than bare"), added(figures, row), limit)
}

/// Throughput with two threads by that with one, ours by the compiled-in `if`'s.
fn scaling(figures: &[Figure], at: At) -> Judged {
    let (row, theirs) = (ours(at, Condition::One), compiled_in(at));
    let rows = [row, row.threads(2), theirs, theirs.threads(2)];
    let reached =
        per_run(figures, rows, |[one, two, one_in, two_in]| one / two / (one_in / two_in));
    at_least(row, "two threads scale at least 0.95 x compiled in".to_owned(), reached, 0.95)
}

/// What a peer adds to the bare program, by what ours adds at the same place.
fn cheaper(figures: &[Figure], at: At, who: Who, limit: f64) -> Judged {
    let row = ours(at, Condition::One);
    let rows = [Row { who, ..row }, row, Row::bare(at.0)];
    let reached = per_run(figures, rows, |[peer, ours, bare]| {
        (peer - bare) / f64::max(ours - bare, RESOLUTION)
    });
    at_least(row, format!("at least {limit} x cheaper than {}", who.name()), reached, limit)
}

/// What a row adds to the bare program, in nanoseconds.
pub(super) fn added(figures: &[Figure], row: Row) -> Option<f64> {
    per_run(figures, [row, Row::bare(row.function)], |[row, bare]| row - bare)
}

/// The median over all runs of something computed within each.
fn per_run<const N: usize>(
    figures: &[Figure],
    rows: [Row; N],
    compute: impl Fn([f64; N]) -> f64,
) -> Option<f64> {
    let samples: Vec<&[f64]> =
        rows.iter().map(|row| samples(figures, row)).collect::<Option<_>>()?;
    let runs = samples.iter().map(|it| it.len()).min()?;
    let computed = (0..runs).map(|run| compute(std::array::from_fn(|row| samples[row][run])));
    (runs > 0).then(|| median(computed.collect()))
}

fn samples<'a>(figures: &'a [Figure], row: &Row) -> Option<&'a [f64]> {
    let figure = figures.iter().find(|figure| figure.row == *row)?;
    figure.samples.as_deref().ok()
}

fn at_most(row: Row, goal: String, reached: Option<f64>, limit: f64) -> Judged {
    judged(row, &goal, reached, |value| value <= limit)
}

fn at_least(row: Row, goal: String, reached: Option<f64>, limit: f64) -> Judged {
    judged(row, &goal, reached, |value| value >= limit)
}

fn judged(row: Row, goal: &str, reached: Option<f64>, passes: impl Fn(f64) -> bool) -> Judged {
    let goal = format!("{}: {goal}", row.question());
    Judged { goal, reached, verdict: Verdict::of(reached.map(passes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(row: Row, samples: &[f64]) -> Figure {
        Figure { row, samples: Ok(samples.to_vec()), served: None }
    }

    fn with_ours(bare: &[f64], compiled: &[f64], trapline: &[f64]) -> Vec<Figure> {
        let at = (Function::Short, Place::Entry);
        vec![
            figure(Row::bare(at.0), bare),
            figure(compiled_in(at), compiled),
            figure(ours(at, Condition::One), trapline),
        ]
    }

    #[track_caller]
    fn check(figures: &[Figure], goal: &str, reached: Option<f64>, verdict: Verdict) {
        let all = judge(figures);
        let found = all.iter().find(|it| it.goal.starts_with(goal)).unwrap();
        let equal = found.reached.zip(reached).map(|(a, b)| (a - b).abs() < 1e-9);
        assert_eq!(equal, reached.map(|_| true), "{:?}", found.reached);
        assert_eq!(found.verdict, verdict);
    }

    const ADDED: &str = "short entry, one comparison: at most 1 ns";

    #[test]
    fn a_cost_is_the_difference_within_each_run() {
        let drifting = with_ours(&[2.0, 4.0, 3.0], &[2.1, 4.1, 3.1], &[2.9, 4.9, 3.9]);
        check(&drifting, ADDED, Some(0.8), Verdict::Pass);
        let dear = with_ours(&[2.0], &[2.1], &[3.2]);
        check(&dear, ADDED, Some(1.1), Verdict::Miss);
    }

    #[test]
    fn a_peer_is_compared_by_what_it_adds() {
        let mut figures = with_ours(&[2.0], &[2.1], &[3.0]);
        let peer = Row::new(Who::Gdb, Function::Short, Place::Entry, Condition::One);
        figures.push(figure(peer, &[100_002.0]));
        check(
            &figures,
            "short entry, one comparison: at least 10000 x",
            Some(100_000.0),
            Verdict::Pass,
        );
        // What costs nothing that can be measured is not infinitely cheaper.
        figures[2] = figure(figures[2].row, &[1.9]);
        check(
            &figures,
            "short entry, one comparison: at least 10000 x",
            Some(1_000_000.0),
            Verdict::Pass,
        );
    }

    #[test]
    fn scaling_is_compared_with_scaling() {
        let mut figures = with_ours(&[2.0], &[2.0], &[3.0]);
        let (compiled, trapline) = (figures[1].row, figures[2].row);
        figures.push(figure(compiled.threads(2), &[2.5]));
        figures.push(figure(trapline.threads(2), &[6.0]));
        let goal = "short entry, one comparison: two threads";
        check(&figures, goal, Some(0.5 / 0.8), Verdict::Miss);
    }

    #[test]
    fn what_was_not_measured_never_passes() {
        let mut figures = with_ours(&[2.0], &[2.1], &[2.2]);
        figures[1].samples = Err("absent".to_owned());
        check(&figures, ADDED, None, Verdict::Unknown);
        check(&[], "long middle, one comparison: two threads", None, Verdict::Unknown);
    }
}
