//! Patterns in which `*` stands for anything, as a shell has them.

pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    // What follows the last star ends the text; what is between two is next.
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, matched: bool) {
        assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
    }

    #[test]
    fn a_star_stands_for_anything() {
        check("a", "a", true);
        check("a", "ab", false);
        check("*", "", true);
        check("a*", "ab", true);
        check("*b", "ab", true);
        check("a*c*e", "abcde", true);
        check("a*c*e", "abde", false);
    }

    #[test]
    fn no_character_counts_twice() {
        check("ab*ba", "aba", false);
        check("ab*ba", "abba", true);
        check("a*b*b", "ab", false);
    }
}
