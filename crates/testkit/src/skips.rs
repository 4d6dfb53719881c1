//! The skip ledger, `tests/skips.toml`: every test that does not run
//! everywhere, with the reason. What is not in it must run.
//!
//! The format is the part of TOML that it needs: `[[skip]]` tables with the
//! string keys `test` and `reason`. Anything else is an error, so that a typing
//! mistake cannot hide an entry.

/// One ledger entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Skip {
    /// The test function's name.
    pub test: String,
    /// Why it does not run, and where it does.
    pub reason: String,
}

/// Reads the ledger's text; the error names the line.
pub fn parse(text: &str) -> Result<Vec<Skip>, String> {
    let mut skips: Vec<Skip> = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        parse_line(line, &mut skips).ok_or_else(|| format!("line {number}: {line}"))?;
    }
    match skips.iter().find(|skip| skip.test.is_empty() || skip.reason.is_empty()) {
        Some(half) => Err(format!("an entry lacks its test or its reason: {half:?}")),
        None => Ok(skips),
    }
}

fn parse_line(line: &str, skips: &mut Vec<Skip>) -> Option<()> {
    if line == "[[skip]]" {
        skips.push(Skip::default());
        return Some(());
    }
    let (key, value) = line.split_once('=')?;
    let value = value.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned();
    let skip = skips.last_mut()?;
    match key.trim() {
        "test" => skip.test = value,
        "reason" => skip.reason = value,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_comments_passed_over() {
        let text = "# why\n[[skip]]\ntest = \"a\"\nreason = \"needs b\"\n";
        let skip = Skip { test: "a".to_owned(), reason: "needs b".to_owned() };
        assert_eq!(parse(text), Ok(vec![skip]));
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn a_mistake_names_its_line() {
        assert_eq!(parse("test = \"a\"").unwrap_err(), "line 1: test = \"a\"");
        assert_eq!(parse("[[skip]]\nraeson = \"a\"").unwrap_err(), "line 2: raeson = \"a\"");
        assert!(parse("[[skip]]\ntest = \"a\"").unwrap_err().contains("lacks"));
    }
}
