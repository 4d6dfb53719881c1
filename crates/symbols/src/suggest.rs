//! Names close to one that was not found, for "did you mean".

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::image::Image;
use crate::index::NameKind;
use crate::names;

impl Image {
    /// Up to `count` qualified names of functions nearest to a misspelt one,
    /// nearest first. What is only declared here has the very name.
    pub fn nearest_functions(&self, name: &str, count: usize) -> Vec<String> {
        let name = name.trim();
        let (path, _) = names::split_parameters(name);
        let scoped = path.contains("::");
        let last = names::components(path).last().unwrap_or(path);
        let mut search = Search::new(if scoped { path } else { last }, count).but_not(name);
        for candidate in self.all_named(NameKind::Function) {
            if scoped {
                let path = candidate.path();
                search.offer(&path.join("::"), || path.join("::"));
            } else {
                let text = names::base(candidate.text());
                search.offer(text, || candidate.qualified());
            }
        }
        for hit in self.all_function_symbols().filter_map(|symbol| self.symbol_hit(symbol)) {
            let path = names::demangled_path(&hit.name);
            let last = names::components(path).last().unwrap_or(path);
            search.offer(if scoped { path } else { names::base(last) }, || path.to_owned());
        }
        search.finish()
    }

    /// Up to `count` source files whose name is nearest to a misspelt one.
    pub fn nearest_files(&self, name: &str, count: usize) -> Vec<Arc<str>> {
        let wanted = name.rsplit('/').next().unwrap_or(name);
        let mut search = Search::new(wanted, count);
        for path in self.files() {
            let file = path.rsplit('/').next().unwrap_or(path);
            search.offer(file, || path.to_string());
        }
        search.finish().into_iter().map(Arc::from).collect()
    }
}

/// The nearest texts so far.
struct Search {
    wanted: Vec<char>,
    /// What is no hint, as it was asked for.
    refused: String,
    letters: u64,
    count: usize,
    limit: usize,
    /// Furthest on top.
    best: BinaryHeap<(usize, Reverse<usize>, String)>,
}

impl Search {
    fn new(wanted: &str, count: usize) -> Self {
        // Longer texts are no names a person mistyped.
        const MAX_WANTED: usize = 128;
        let wanted: Vec<char> = lower(wanted).take(MAX_WANTED).collect();
        let limit = wanted.len() / 3 + 1;
        let (letters, best) = (letters(&wanted), BinaryHeap::new());
        Self { letters, wanted, refused: String::new(), count, limit, best }
    }

    fn but_not(self, refused: &str) -> Self {
        Self { refused: refused.to_owned(), ..self }
    }

    /// Considers a candidate; what it stands for is computed only if it is
    /// near enough.
    fn offer(&mut self, text: &str, shown: impl FnOnce() -> String) {
        if text.len().abs_diff(self.wanted.len()) > self.limit + text.len() / 2 {
            return;
        }
        let candidate: Vec<char> = lower(text).collect();
        let Some(distance) = self.distance(&candidate) else { return };
        let shared = shared_start(&candidate, &self.wanted);
        let entry = (distance, Reverse(shared), shown());
        if entry.2 == self.refused || self.best.iter().any(|known| known.2 == entry.2) {
            return;
        }
        self.best.push(entry);
        if self.best.len() > self.count {
            self.best.pop();
            if let Some(furthest) = self.best.peek() {
                self.limit = self.limit.min(furthest.0);
            }
        }
    }

    /// The edit distance, or `None` when it is past the limit. Letters that
    /// only one of the two has each cost an edit, which rules most out.
    fn distance(&self, candidate: &[char]) -> Option<usize> {
        let different = (letters(candidate) ^ self.letters).count_ones() as usize;
        let lengths = candidate.len().abs_diff(self.wanted.len());
        if lengths > self.limit || different > 2 * self.limit {
            return None;
        }
        Some(edit_distance(&self.wanted, candidate)).filter(|distance| *distance <= self.limit)
    }

    fn finish(self) -> Vec<String> {
        self.best.into_sorted_vec().into_iter().map(|(_, _, text)| text).collect()
    }
}

fn lower(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|letter| letter.to_ascii_lowercase())
}

fn letters(text: &[char]) -> u64 {
    text.iter().fold(0, |set, &letter| set | 1 << (u32::from(letter) % 64))
}

fn shared_start(a: &[char], b: &[char]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Insertions, deletions, replacements and swaps of neighbours.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, &left) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(b.len() + 1);
        current.push(row + 1);
        for (column, &top) in b.iter().enumerate() {
            let replaced = above[column] + usize::from(left != top);
            let mut cost = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && left == b[column - 1] && a[row - 1] == top {
                cost = cost.min(before[column - 1] + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, candidates: &[&str], expected: &[&str]) {
        let mut search = Search::new(wanted, 2);
        for candidate in candidates {
            search.offer(candidate, || (*candidate).to_owned());
        }
        assert_eq!(search.finish(), expected, "{wanted}");
    }

    #[test]
    fn the_nearest_come_first() {
        let names = ["parse_line", "parse_file", "print_line", "main", "parse_lines"];
        check("parse_lien", &names, &["parse_line", "parse_lines"]);
        check("mian", &names, &["main"]);
        check("Main", &names, &["main"]);
        check("zzzzzz", &names, &[]);
    }

    #[test]
    fn what_was_asked_for_is_no_hint() {
        let mut search = Search::new("libf", 2).but_not("libf");
        for candidate in ["libf", "libg"] {
            search.offer(candidate, || candidate.to_owned());
        }
        assert_eq!(search.finish(), ["libg"]);
    }
}
