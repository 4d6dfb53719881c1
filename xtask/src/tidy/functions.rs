//! Function lengths: over 60 lines is noted, over 100 refused, except for a
//! flat match that says so with a comment `// tidy: flat match` in its body.

use super::Finding;
use super::sources::Source;

/// Lines from `fn` to the closing brace that are noted.
const NOTED: usize = 60;
/// Lines that are refused.
const REFUSED: usize = 100;
/// What a long flat match says in its body.
const FLAT: &str = "// tidy: flat match";

/// A function with a body.
struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
    flat: bool,
}

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    report(sources, |function| function.lines > REFUSED && !function.flat)
}

/// Functions worth a second look; no failure.
pub(super) fn long_ones(sources: &[Source]) -> Vec<Finding> {
    report(sources, |function| (NOTED + 1..=REFUSED).contains(&function.lines) && !function.flat)
}

fn report(sources: &[Source], keep: impl Fn(&Function) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        for function in functions(source).into_iter().filter(&keep) {
            let why = format!("`{}` has {} lines", function.name, function.lines);
            findings.push(Finding::at(source, function.line, why));
        }
    }
    findings
}

fn functions(source: &Source) -> Vec<Function<'_>> {
    let code = &source.code;
    code.match_indices("fn ")
        .filter(|&(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .filter_map(|(at, _)| function_at(source, at))
        .collect()
}

/// The function whose `fn` is at `at`; `None` when it has no name (a type) or no
/// body (a trait's).
fn function_at(source: &Source, at: usize) -> Option<Function<'_>> {
    let code = &source.code;
    let after = &code[at + 3..];
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
    let name = &after[..end];
    if name.is_empty() {
        return None;
    }
    let open = at + body_start(&code[at..])?;
    let close = open + body_length(&code[open..]);
    let line = 1 + code[..at].matches('\n').count();
    let lines = 1 + code[at..close].matches('\n').count();
    // Blanking keeps characters, not bytes, so the body is found by its lines.
    let flat = source.text.lines().skip(line - 1).take(lines).any(|text| text.contains(FLAT));
    Some(Function { name, line, lines, flat })
}

/// Where the body's brace is; `None` when a `;` ends the signature first.
fn body_start(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// Bytes up to the brace that closes the first one.
fn body_length(code: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize, inside: &str) -> Source {
        let body = "    step();\n".repeat(lines - 3);
        Source::new("a.rs", &format!("//! x\nfn long() {{\n    {inside}\n{body}}}\n"))
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        assert_eq!(check(&[function_of(REFUSED, "")]), []);
        let found = check(&[function_of(REFUSED + 1, "")]);
        assert_eq!(found[0].why, format!("`long` has {} lines", REFUSED + 1));
        assert_eq!(found[0].line, 2);
        assert_eq!(long_ones(&[function_of(NOTED, "")]), []);
        assert_eq!(long_ones(&[function_of(NOTED + 1, "")]).len(), 1);
    }

    #[test]
    fn a_flat_match_may_be_long() {
        assert_eq!(check(&[function_of(REFUSED + 50, FLAT)]), []);
    }

    #[test]
    fn types_traits_and_braces_in_literals_do_not_confuse() {
        let text = "fn a(f: fn(u8) -> [u8; 2]);\nfn b() { f('{'); g(\"{{{\"); }\nfn c() {}\n";
        let source = Source::new("a.rs", text);
        let found: Vec<_> = functions(&source).iter().map(|it| (it.name, it.lines)).collect();
        assert_eq!(found, [("b", 1), ("c", 1)]);
    }
}
