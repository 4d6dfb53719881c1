//! Trapline in batch mode: the breakpoint's own account at the end says what
//! served it, and has to agree with the program about passes and hits.

use serde_json::Value;
use trapline_testkit::Linkage;

use super::place::Condition;
use super::row::Row;
use super::subject::{self, PROOF, Sample, with_arguments};
use crate::bench::subject::{Context, Subject, timed};

pub(super) fn sample(context: &Context, row: &Row) -> Result<Sample, String> {
    let built = subject::bare(Linkage::Pie);
    let mark = built.mark(&format!("{}_{}", row.function.name(), row.place.name()));
    let spec = row.condition.spec(row.place, &mark.spec());
    let mut command = context.debugger(Subject::Trapline)?;
    command.args(["run", "--batch", "--json", "-b", &spec, "--"]).arg(&built.path);
    let finished = timed(with_arguments(&mut command, row), PROOF)?;
    let account = account(&finished.stderr)?;
    let sample = subject::read(&finished.stdout)?;
    let hits = if row.condition == Condition::Hits { sample.calls } else { 0 };
    if (account.passes, account.hits) != (Some(sample.calls), Some(hits)) {
        return Err(format!("{account:?}, but {} calls and {hits} hits", sample.calls));
    }
    Ok(Sample { served: Some(account.served), ..sample })
}

/// What a breakpoint says of itself at the end.
#[derive(PartialEq, Eq, Debug)]
struct Account {
    passes: Option<u64>,
    /// Passes whose filter and condition held.
    hits: Option<u64>,
    served: String,
}

fn account(output: &str) -> Result<Account, String> {
    let mut events = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let event = events
        .find(|event| event["event"] == "breakpoint")
        .ok_or_else(|| format!("no account of the breakpoint: {output:?}"))?;
    let told = |name: &str| event[name].as_str();
    let mechanism = told("mechanism").ok_or("the breakpoint does not say what serves it")?;
    let served = match (told("tactic"), told("why")) {
        (Some(tactic), _) => format!("{mechanism} ({tactic})"),
        (None, Some(why)) => format!("{mechanism} ({why})"),
        (None, None) => mechanism.to_owned(),
    };
    let count = |name: &str| event[name].as_u64();
    Ok(Account { passes: count("passes"), hits: count("hits"), served })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &str, expected: &str) {
        let output = format!("{{\"event\":\"exited\",\"code\":0}}\n{event}\n");
        let expected = Account { passes: Some(7), hits: Some(0), served: expected.to_owned() };
        assert_eq!(account(&output), Ok(expected));
    }

    #[test]
    fn what_served_the_breakpoint_is_told_as_closely_as_it_is_known() {
        check(
            r#"{"event":"breakpoint","passes":7,"hits":0,"mechanism":"trap","why":"x"}"#,
            "trap (x)",
        );
        check(
            r#"{"event":"breakpoint","passes":7,"hits":0,"mechanism":"jump","tactic":"pun","why":"x"}"#,
            "jump (pun)",
        );
        check(r#"{"event":"breakpoint","passes":7,"hits":0,"mechanism":"jump"}"#, "jump");
    }

    #[test]
    fn an_output_without_the_account_is_refused() {
        assert!(account("{\"event\":\"exited\"}\nnoise\n").is_err());
    }
}
