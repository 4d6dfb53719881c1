//! The table for people and the JSON for comparing runs. No measuring here.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Figure;
use super::goals::{Judged, added};
use super::row::Who;
use crate::bench::median;

pub(super) fn table(headline: &str, figures: &[Figure], judged: &[Judged]) -> String {
    let mut text = format!(
        "\n{headline}; quartiles in brackets; what is added is the median of the differences\n"
    );
    for figure in figures {
        let name = figure.row.to_string();
        let _ = match &figure.samples {
            Ok(samples) => writeln!(text, "  {name:<52} {}", measured(figures, figure, samples)),
            Err(why) => {
                let why = why.lines().next().unwrap_or_default();
                writeln!(text, "  {name:<52} not measured: {why}")
            }
        };
    }
    text.push('\n');
    for Judged { goal, reached, verdict } in judged {
        let reached = reached.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let _ = writeln!(text, "  {:<7} {goal} ({reached})", verdict.word());
    }
    text
}

fn measured(figures: &[Figure], figure: &Figure, samples: &[f64]) -> String {
    let (low, high) = quartiles(samples);
    let middle = median(samples.to_vec());
    let mut text = format!("{middle:>12.3} ns [{low:.3} {high:.3}]");
    let others = figure.row.who != Who::Bare && figure.row.threads == 1;
    if let Some(added) = added(figures, figure.row).filter(|_| others) {
        let _ = write!(text, "  {added:+.3}");
    }
    if let Some(served) = &figure.served {
        let _ = write!(text, "  {served}");
    }
    text
}

/// The samples a quarter from either end.
fn quartiles(samples: &[f64]) -> (f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarter = sorted.len() / 4;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(quarter), at(sorted.len().saturating_sub(quarter + 1)))
}

/// `machine` is the object that the rows and goals are added to.
pub(super) fn json(mut machine: Value, figures: &[Figure], judged: &[Judged]) -> String {
    machine["unit"] = json!("ns");
    machine["rows"] = figures.iter().map(|figure| row_json(figures, figure)).collect();
    machine["goals"] = judged.iter().map(goal_json).collect();
    format!("{machine:#}\n")
}

fn row_json(figures: &[Figure], figure: &Figure) -> Value {
    let row = figure.row;
    let mut value = json!({
        "who": row.who.name(),
        "function": row.function.name(),
        "threads": row.threads,
    });
    if row.who != Who::Bare {
        value["place"] = json!(row.place.name());
        value["condition"] = json!(row.condition.name());
        value["added"] = json!(added(figures, row));
    }
    if let Some(served) = &figure.served {
        value["served"] = json!(served);
    }
    match &figure.samples {
        Ok(samples) => {
            value["median"] = json!(median(samples.clone()));
            value["samples"] = json!(samples);
        }
        Err(why) => value["not_measured"] = json!(why),
    }
    value
}

fn goal_json(judged: &Judged) -> Value {
    json!({"goal": judged.goal, "reached": judged.reached, "verdict": judged.verdict.word()})
}

#[cfg(test)]
mod tests {
    use super::super::goals::judge;
    use super::super::place::{Condition, Function, Place};
    use super::super::row::Row;
    use super::*;

    fn figures() -> Vec<Figure> {
        let row = Row::new(Who::Trapline, Function::Short, Place::Middle, Condition::Text);
        let failed = Row::new(Who::Uprobe, Function::Short, Place::Entry, Condition::One);
        let of = |row, samples, served: Option<&str>| Figure {
            row,
            samples,
            served: served.map(str::to_owned),
        };
        vec![
            of(Row::bare(Function::Short), Ok(vec![2.0, 2.1, 2.3]), None),
            of(row, Ok(vec![2.5, 2.6, 2.9]), Some("jump (pun)")),
            of(failed, Err("not root\nand more".to_owned()), None),
        ]
    }

    #[test]
    fn a_row_shows_its_median_what_it_adds_and_what_served_it() {
        let figures = figures();
        let shown = table("today", &figures, &judge(&figures));
        let row = shown.lines().find(|line| line.contains("string compare")).unwrap();
        assert!(row.contains("2.600 ns") && row.ends_with("+0.500  jump (pun)"), "{row}");
        assert!(shown.contains("not measured: not root\n") && shown.contains("UNKNOWN"), "{shown}");
    }

    #[test]
    fn json_has_every_sample() {
        let figures = figures();
        let text = json(json!({"runs": 3}), &figures, &judge(&figures));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rows"][1]["samples"], json!([2.5, 2.6, 2.9]));
        assert_eq!(value["rows"][2]["not_measured"], "not root\nand more");
        assert_eq!(value["goals"][0]["verdict"], "UNKNOWN");
    }

    #[test]
    fn quartiles_leave_the_outer_quarters_out() {
        assert_eq!(quartiles(&[9.0, 1.0, 3.0, 2.0, 4.0, 5.0, 6.0, 8.0]), (3.0, 6.0));
        assert_eq!(quartiles(&[1.0]), (1.0, 1.0));
    }
}
