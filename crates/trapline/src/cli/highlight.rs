//! Colours of source text: which parts of a line of C, C++ or Rust are keywords,
//! strings, numbers and comments. A line at a time, from what the one before it
//! left open. It is for eyes, so what is not valid is coloured somehow.

use std::ops::Range;
use std::path::Path;

use anstyle::Style;

use super::screen::{paint, styled};

/// A language that is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Language {
    C,
    Cpp,
    Rust,
}

/// What a part of a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Keyword,
    Text,
    Number,
    Comment,
}

/// What is open where a line begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Inside {
    #[default]
    Code,
    /// A comment; Rust's are within one another, so deep.
    Comment(u32),
    /// A string that ends with a quote.
    Text,
    /// A string without escapes, up to this.
    Raw(String),
}

const C: &str = "auto break case char const continue default do double else enum extern float for \
    goto if inline int long register restrict return short signed sizeof static struct switch \
    typedef union unsigned void volatile while _Alignas _Alignof _Atomic _Bool _Generic _Noreturn \
    _Static_assert _Thread_local bool true false nullptr static_assert thread_local typeof";

const CPP: &str = "alignas alignof and catch class co_await co_return co_yield concept const_cast \
    consteval constexpr constinit decltype delete dynamic_cast explicit export final friend \
    mutable namespace new noexcept not operator or override private protected public \
    reinterpret_cast requires static_cast template this throw try typeid typename using virtual \
    wchar_t char8_t char16_t char32_t xor";

const RUST: &str = "as async await break const continue crate dyn else enum extern false fn for if \
    impl in let loop match mod move mut pub ref return self Self static struct super trait true \
    type union unsafe use where while bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 \
    u64 u128 usize";

impl Language {
    /// That of a file, by its name.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "c" => Some(Self::C),
            "h" | "hh" | "hpp" | "hxx" | "cc" | "cpp" | "cxx" | "C" | "ipp" | "tcc" => {
                Some(Self::Cpp)
            }
            "rs" => Some(Self::Rust),
            _ => None,
        }
    }

    fn is_keyword(self, word: &str) -> bool {
        let has = |words: &str| words.split_whitespace().any(|keyword| keyword == word);
        match self {
            Self::C => has(C),
            Self::Cpp => has(C) || has(CPP),
            Self::Rust => has(RUST),
        }
    }
}

/// A line with its colours.
pub(crate) fn coloured(language: Language, line: &str, inside: &Inside) -> String {
    let mut text = String::new();
    let mut shown = 0;
    for (range, kind) in Lexer::new(language, line, inside.clone()).parts() {
        text += &line[shown..range.start];
        text += &styled(style(kind), &line[range.clone()]);
        shown = range.end;
    }
    text + &line[shown..]
}

/// What is open behind a line.
pub(crate) fn after(language: Language, line: &str, inside: Inside) -> Inside {
    let mut lexer = Lexer { parts: None, ..Lexer::new(language, line, inside) };
    lexer.run();
    lexer.inside
}

fn style(kind: Kind) -> Style {
    match kind {
        Kind::Keyword => paint::KEYWORD,
        Kind::Text => paint::TEXT,
        Kind::Number => paint::NUMBER,
        Kind::Comment => paint::COMMENT,
    }
}

struct Lexer<'a> {
    language: Language,
    line: &'a str,
    at: usize,
    inside: Inside,
    /// What was found; `None` when only what stays open is asked for.
    parts: Option<Vec<(Range<usize>, Kind)>>,
}

impl<'a> Lexer<'a> {
    fn new(language: Language, line: &'a str, inside: Inside) -> Self {
        Self { language, line, at: 0, inside, parts: Some(Vec::new()) }
    }

    fn parts(mut self) -> Vec<(Range<usize>, Kind)> {
        self.run();
        self.parts.unwrap_or_default()
    }

    fn run(&mut self) {
        while self.at < self.line.len() {
            match std::mem::take(&mut self.inside) {
                Inside::Code => self.code(),
                Inside::Comment(depth) => self.comment(self.at, depth),
                Inside::Text => self.text(self.at),
                Inside::Raw(end) => self.raw(self.at, end),
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn part(&mut self, start: usize, kind: Kind) {
        if let Some(parts) = &mut self.parts {
            parts.push((start..self.at, kind));
        }
    }

    fn code(&mut self) {
        let (start, rest) = (self.at, self.rest());
        let Some(first) = rest.chars().next() else { return };
        if rest.starts_with("//") {
            self.at = self.line.len();
            self.part(start, Kind::Comment);
        } else if rest.starts_with("/*") {
            self.at += 2;
            self.comment(start, 1);
        } else if first == '"' {
            self.at += 1;
            self.text(start);
        } else if first == '\'' {
            self.character(start);
        } else if first.is_ascii_digit() {
            self.number(start);
        } else if is_word(first) {
            self.word(start);
        } else if first == '#' && self.is_directive() {
            self.at += 1 + length_of(&rest[1..], |c| c == ' ');
            self.at += length_of(self.rest(), is_word);
            self.part(start, Kind::Keyword);
        } else {
            self.at += first.len_utf8();
        }
    }

    /// Whether a `#` begins a line for the preprocessor.
    fn is_directive(&self) -> bool {
        self.language != Language::Rust && self.line[..self.at].trim().is_empty()
    }

    /// From within a comment to its end, or that of the line.
    fn comment(&mut self, start: usize, mut depth: u32) {
        while depth > 0 && self.at < self.line.len() {
            let rest = self.rest();
            if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
            } else if rest.starts_with("/*") && self.language == Language::Rust {
                depth += 1;
                self.at += 2;
            } else {
                self.at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        self.part(start, Kind::Comment);
        if depth > 0 {
            self.inside = Inside::Comment(depth);
        }
    }

    /// From within a string to its end. Rust's go on in the next line, C's where
    /// a backslash ends the line.
    fn text(&mut self, start: usize) {
        let mut chars = self.rest().char_indices();
        let base = self.at;
        let mut open = self.language == Language::Rust;
        self.at = self.line.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => open |= chars.next().is_none(),
                '"' => {
                    self.at = base + at + 1;
                    return self.part(start, Kind::Text);
                }
                _ => {}
            }
        }
        self.part(start, Kind::Text);
        if open {
            self.inside = Inside::Text;
        }
    }

    fn raw(&mut self, start: usize, end: String) {
        match self.rest().find(&end) {
            Some(at) => {
                self.at += at + end.len();
                self.part(start, Kind::Text);
            }
            None => {
                self.at = self.line.len();
                self.part(start, Kind::Text);
                self.inside = Inside::Raw(end);
            }
        }
    }

    /// A character, or what only begins like one: a lifetime, a loop's label.
    fn character(&mut self, start: usize) {
        let body = &self.rest()[1..];
        let first = body.chars().next();
        let end = match first {
            Some('\\') => {
                let escaped = body.chars().nth(1).map_or(0, char::len_utf8);
                body[1 + escaped..].find('\'').map(|at| 1 + escaped + at)
            }
            Some(c) if self.language == Language::Rust => {
                body[c.len_utf8()..].starts_with('\'').then(|| c.len_utf8())
            }
            _ => body.find('\''),
        };
        match end {
            Some(end) => {
                self.at += end + 2;
                self.part(start, Kind::Text);
            }
            None => self.at += 1,
        }
    }

    fn number(&mut self, start: usize) {
        let bytes = self.line.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let next = bytes.get(self.at + 1);
            let digit_next = next.is_some_and(u8::is_ascii_alphanumeric);
            let before = bytes[self.at.saturating_sub(1)];
            let goes_on = match byte {
                b'.' => next.is_none_or(|next| *next != b'.' && !next.is_ascii_alphabetic()),
                b'\'' => self.language != Language::Rust && digit_next,
                b'+' | b'-' => {
                    let hex = bytes[start..].starts_with(b"0x");
                    matches!((before, hex), (b'e' | b'E', false) | (b'p' | b'P', true))
                }
                _ => byte.is_ascii_alphanumeric() || byte == b'_',
            };
            if !goes_on {
                break;
            }
            self.at += 1;
        }
        self.part(start, Kind::Number);
    }

    /// A name, a keyword, or what stands before a string and belongs to it.
    fn word(&mut self, start: usize) {
        self.at += length_of(self.rest(), is_word);
        let word = &self.line[start..self.at];
        let rest = self.rest();
        match (self.language, word) {
            (Language::Rust, "r" | "br" | "cr") => {
                let hashes = length_of(rest, |c| c == '#');
                if rest[hashes..].starts_with('"') {
                    self.at += hashes + 1;
                    return self.raw(start, format!("\"{}", "#".repeat(hashes)));
                }
            }
            (Language::Cpp, "R" | "LR" | "uR" | "UR" | "u8R") if rest.starts_with('"') => {
                if let Some(open) = rest.find('(') {
                    self.at += open + 1;
                    return self.raw(start, format!("){}\"", &rest[1..open]));
                }
            }
            (_, "b" | "c" | "L" | "u" | "U" | "u8") if rest.starts_with('"') => {
                self.at += 1;
                return self.text(start);
            }
            _ => {}
        }
        if self.parts.is_some() && self.language.is_keyword(word) {
            self.part(start, Kind::Keyword);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn length_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines with what is coloured in brackets: `<k:int>`.
    fn marked(language: Language, lines: &[&str]) -> String {
        let mut inside = Inside::Code;
        let mut told = Vec::new();
        for line in lines {
            let (mut text, mut shown) = (String::new(), 0);
            for (range, kind) in Lexer::new(language, line, inside.clone()).parts() {
                let letter = match kind {
                    Kind::Keyword => 'k',
                    Kind::Text => 't',
                    Kind::Number => 'n',
                    Kind::Comment => 'c',
                };
                text +=
                    &format!("{}<{letter}:{}>", &line[shown..range.start], &line[range.clone()]);
                shown = range.end;
            }
            told.push(text + &line[shown..]);
            inside = after(language, line, inside);
        }
        told.join("\n")
    }

    #[test]
    fn parts_of_lines_are_told_apart() {
        use Language::{C, Cpp, Rust};
        let check = |language, lines: &[&str], expected: &str| {
            assert_eq!(marked(language, lines), expected);
        };
        check(C, &["int x = 0x1Ful; // one"], "<k:int> x = <n:0x1Ful>; <c:// one>");
        check(C, &["a /* b", "c */ d"], "a <c:/* b>\n<c:c */> d");
        check(C, &["#include <a.h>", "  # if X"], "<k:#include> <a.h>\n  <k:# if> X");
        check(C, &[r#"f("a\"b", '\'', 'x');"#], r#"f(<t:"a\"b">, <t:'\''>, <t:'x'>);"#);
        check(C, &[r#"s = "a\"#, r#"b";"#], "s = <t:\"a\\>\n<t:b\">;");
        check(C, &["s = \"never ended", "int"], "s = <t:\"never ended>\n<k:int>");
        check(C, &["1.5e-3 + x1 - 0xep+1"], "<n:1.5e-3> + x1 - <n:0xep+1>");
        check(Cpp, &["auto s = R\"x(a", "b)\" )x\";"], "<k:auto> s = <t:R\"x(a>\n<t:b)\" )x\">;");
        check(Cpp, &["1'000'000, L\"w\""], "<n:1'000'000>, <t:L\"w\">");
        check(Rust, &["fn f<'a>(c: &'a str)"], "<k:fn> f<'a>(c: &'a <k:str>)");
        check(Rust, &["'x' '\\n' 'l: loop"], "<t:'x'> <t:'\\n'> 'l: <k:loop>");
        check(
            Rust,
            &["/* a /* b */ c */ 0..1_0.max(2)"],
            "<c:/* a /* b */ c */> <n:0>..<n:1_0>.max(<n:2>)",
        );
        check(Rust, &["r#\"a\"", "\"# b\"c\""], "<t:r#\"a\">\n<t:\"#> <t:b\"c\">");
        check(Rust, &["\"two", "lines\" é_x"], "<t:\"two>\n<t:lines\"> é_x");
    }

    #[test]
    fn every_text_is_shown_whole() {
        const PIECES: [&str; 16] = [
            "'", "\"", "/*", "*/", "//", "#", "\\", "r#\"", "R\"x(", ")x\"", "é", "if", "1.", " ",
            "(", "",
        ];
        let mut state = 1_u64;
        let mut piece = || {
            // Knuth's MMIX generator: its high bits are as good as any.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            PIECES[(state >> 60) as usize]
        };
        for language in [Language::C, Language::Cpp, Language::Rust] {
            let mut inside = Inside::Code;
            for _ in 0..5_000 {
                let line: String = std::iter::repeat_with(&mut piece).take(6).collect();
                let shown = coloured(language, &line, &inside);
                assert_eq!(anstream::adapter::strip_str(&shown).to_string(), line);
                inside = after(language, &line, inside);
            }
        }
    }
}
