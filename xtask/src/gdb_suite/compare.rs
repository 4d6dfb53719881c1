//! How the runs of one file with one server compare with those with another.

use std::collections::{BTreeMap, BTreeSet};

use super::sum::{Counts, Results};

/// Every run of one file with one server.
#[derive(Default, Debug)]
pub(super) struct Tally {
    runs: Vec<Results>,
}

impl Tally {
    pub(super) fn add(&mut self, results: Results) {
        self.runs.push(results);
    }

    /// The counts of the first run, the only one that every file has.
    pub(super) fn counts(&self) -> Counts {
        self.runs.first().map(Results::counts).unwrap_or_default()
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// How often each test passed, over the first `runs` runs.
    fn passes(&self, runs: usize) -> BTreeMap<String, usize> {
        let mut passes = BTreeMap::new();
        for (name, count) in self.runs.iter().take(runs).flat_map(Results::passes) {
            *passes.entry(name).or_default() += count;
        }
        passes
    }

    /// The tests that did not pass equally often in every run.
    pub(super) fn flaky(&self) -> BTreeSet<String> {
        let each: Vec<_> = self.runs.iter().map(Results::passes).collect();
        let names: BTreeSet<&String> = each.iter().flat_map(BTreeMap::keys).collect();
        let varies =
            |name: &&&String| each.windows(2).any(|it| it[0].get(**name) != it[1].get(**name));
        names.iter().filter(varies).map(|name| (*name).clone()).collect()
    }
}

/// A test that passes with one server more often than with the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    pub(super) test: String,
    /// How often it passed with the server that is the measure.
    pub(super) measure: usize,
    /// How often with the one that is measured.
    pub(super) measured: usize,
}

impl Difference {
    pub(super) const fn is_worse(&self) -> bool {
        self.measured < self.measure
    }
}

/// Over as many runs as both have.
pub(super) fn differences(measure: &Tally, measured: &Tally) -> Vec<Difference> {
    let runs = measure.runs().min(measured.runs());
    let (left, right) = (measure.passes(runs), measured.passes(runs));
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let count = |of: &BTreeMap<String, usize>, name| of.get(name).copied().unwrap_or_default();
    names
        .into_iter()
        .map(|name| Difference {
            test: name.clone(),
            measure: count(&left, name),
            measured: count(&right, name),
        })
        .filter(|it| it.measure != it.measured)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sum::ENDED;
    use super::*;

    fn tally(runs: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for run in runs {
            let (passed, hung) = run.strip_suffix('!').map_or((*run, false), |it| (it, true));
            let line = |name| format!("PASS: gdb.base/a.exp: {name}\n");
            let sum: String = passed.split_whitespace().map(line).collect();
            tally.add(Results::parse(&sum, hung, Duration::ZERO));
        }
        tally
    }

    #[track_caller]
    fn check(measure: &[&str], measured: &[&str], wanted: &[(&str, usize, usize)]) {
        let found = differences(&tally(measure), &tally(measured));
        let found: Vec<_> =
            found.iter().map(|it| (it.test.as_str(), it.measure, it.measured)).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn equal_runs_have_no_differences() {
        check(&["a b"], &["b a"], &[]);
        check(&[""], &[""], &[]);
    }

    #[test]
    fn what_fails_or_is_not_reached_differs() {
        check(&["a b"], &["a"], &[("b", 1, 0)]);
        check(&["a"], &["a b"], &[("b", 0, 1)]);
        check(&["a a"], &["a"], &[("a", 2, 1)]);
        check(&["a"], &["a!"], &[(ENDED, 1, 0)]);
    }

    #[test]
    fn flaky_tests_are_counted_over_the_runs_that_both_have() {
        check(&["a", "", "a"], &["", "a", "a"], &[]);
        check(&["a", "a", "a"], &["", "a", "a"], &[("a", 3, 2)]);
        check(&["a"], &["a", "", ""], &[]);
        let flaky = tally(&["a b", "b", "a b"]).flaky();
        assert_eq!(flaky.into_iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn only_fewer_passes_are_worse() {
        let found = differences(&tally(&["a"]), &tally(&["b"]));
        assert_eq!(found.iter().map(Difference::is_worse).collect::<Vec<_>>(), [true, false]);
    }
}
