//! `trapline coverage`: the shares as a table, or as one object.

use std::fmt::Write as _;

use serde::Serialize;
use trapline_engine::CommandError;
use trapline_patch::jump::{Tactic, Tactics};

use super::args::CoverageArgs;
use super::screen::Screen;
use crate::coverage::{Coverage, Fate, Places, Shares, Wish, measure};

/// Measures and prints; returns the exit code.
pub(super) fn run(args: &CoverageArgs) -> Result<u8, CommandError> {
    let places = if args.instructions { Places::Instructions } else { Places::Statements };
    let tactics = match args.tactics.is_empty() {
        true => Tactics::ALL,
        false => args.tactics.iter().copied().collect(),
    };
    let (all_at_once, aslr) = (args.all_at_once, args.aslr);
    let found = measure(&args.binary, Wish { places, all_at_once, aslr, tactics })?;
    let mut screen = Screen::stdout();
    if args.list {
        screen.text(&list(&found));
    } else if args.json {
        let object = Object::new(args, places, &found);
        let text =
            serde_json::to_string(&object).map_err(|error| CommandError::new(error.to_string()))?;
        screen.line(text);
    } else {
        screen.text(&text(args, places, &found));
    }
    Ok(0)
}

fn name(places: Places) -> &'static str {
    match places {
        Places::Statements => "statements",
        Places::Instructions => "instructions",
    }
}

fn text(args: &CoverageArgs, places: Places, found: &Coverage) -> String {
    let mut text = format!(
        "{}: {} {}\n({})\n",
        args.binary.display(),
        found.places,
        name(places),
        found.layout
    );
    let mut part = |title: &str, shares: &Shares| {
        let _takes_all = write!(text, "\n{title}\n{}", table(shares, found.places));
    };
    part("One at a time", &found.alone);
    if let Some(together) = &found.together {
        part("All at once", together);
        let _takes_all = writeln!(
            text,
            "{} windows hold {} places; {} pages in {} mappings",
            together.shared_windows, together.in_shared_windows, together.pages, together.mappings
        );
    }
    text
}

/// A line for each place.
fn list(found: &Coverage) -> String {
    let mut lines = String::new();
    for (at, fate) in &found.each {
        let _takes_all = match fate {
            Fate::Jump(tactic) => writeln!(lines, "{at} {tactic}"),
            Fate::Trap(why) => writeln!(lines, "{at} trap: {why}"),
        };
    }
    lines
}

fn table(shares: &Shares, of: usize) -> String {
    let mut lines = String::new();
    let mut line = |what: &str, count: usize| {
        let share = 100.0 * count as f64 / of as f64;
        let _takes_all = writeln!(lines, "{count:>10} {share:>7.3} %  {what}");
    };
    for tactic in Tactic::ALL {
        line(tactic.name(), shares.served.get(&tactic).copied().unwrap_or(0));
    }
    line("in process", shares.in_process());
    let mut reasons: Vec<_> = shares.unserved.iter().collect();
    reasons.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
    for (why, &count) in reasons {
        line(&format!("trap: {why}"), count);
    }
    lines
}

/// What `--json` prints.
#[derive(Serialize)]
struct Object<'a> {
    binary: String,
    layout: &'a str,
    places: &'static str,
    count: usize,
    one_at_a_time: Part<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all_at_once: Option<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    whole: usize,
    pun: usize,
    window: usize,
    trap: usize,
    in_process: usize,
    reasons: Vec<Reason<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    together: Option<Together>,
}

#[derive(Serialize)]
struct Reason<'a> {
    why: &'a str,
    count: usize,
}

#[derive(Serialize)]
struct Together {
    shared_windows: usize,
    in_shared_windows: usize,
    pages: u64,
    mappings: usize,
}

impl<'a> Object<'a> {
    fn new(args: &CoverageArgs, places: Places, found: &'a Coverage) -> Self {
        let together = found.together.as_ref();
        Self {
            binary: args.binary.display().to_string(),
            layout: &found.layout,
            places: name(places),
            count: found.places,
            one_at_a_time: Part::new(&found.alone, false),
            all_at_once: together.map(|shares| Part::new(shares, true)),
        }
    }
}

impl<'a> Part<'a> {
    fn new(shares: &'a Shares, together: bool) -> Self {
        let of = |tactic| shares.served.get(&tactic).copied().unwrap_or(0);
        let reasons = shares.unserved.iter();
        Self {
            whole: of(Tactic::Whole),
            pun: of(Tactic::Pun),
            window: of(Tactic::Window),
            trap: shares.unserved.values().sum(),
            in_process: shares.in_process(),
            reasons: reasons.map(|(&why, &count)| Reason { why, count }).collect(),
            together: together.then_some(Together {
                shared_windows: shares.shared_windows,
                in_shared_windows: shares.in_shared_windows,
                pages: shares.pages,
                mappings: shares.mappings,
            }),
        }
    }
}
