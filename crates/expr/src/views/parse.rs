//! Reads files of views: a word at the start of each line says what it is. A
//! word with parts is followed by a line for each of them.

use super::pattern::Pattern;
use super::{Container, Items, Labels, Let, Show, TextOf, View, ViewError, Walk};
use crate::ast::Ast;
use crate::limits;
use crate::template::{self, Segment};

/// Words that parts follow.
const BLOCKS: [(&str, &[&str]); 7] = [
    ("text", &["data", "count"]),
    ("array", &["first", "count", "key", "labelled"]),
    ("indexed", &["count", "value", "when", "key", "labelled"]),
    ("list", &["first", "next", "end", "count", "value", "key", "labelled"]),
    ("tree", &["root", "left", "right", "count", "value", "key", "labelled"]),
    ("btree", &["root", "height", "length", "child", "count", "value", "key", "labelled"]),
    ("chosen", &["index", "data"]),
];

pub(super) fn parse(file: &str, text: &str) -> Result<Vec<View>, ViewError> {
    let mut reader = Reader { views: Vec::new(), block: None };
    let located = |line: usize| format!("{file}:{line}");
    for family in families(text) {
        let read = reader.family(&family, &located);
        read.map_err(|(line, message)| ViewError { at: located(line), message })?;
    }
    Ok(reader.views)
}

/// Lines that begin views, one right after the other, and what is said of all
/// of these. Lines have their numbers.
#[derive(Default)]
struct Family<'a> {
    heads: Vec<(usize, &'a str)>,
    lines: Vec<(usize, &'a str)>,
}

/// What stands for the name of the types of a view, without arguments.
const HEAD: &str = "{Head}";

fn families(text: &str) -> Vec<Family<'_>> {
    let mut found = vec![Family::default()];
    let mut in_heads = false;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        let is_head = line.split_whitespace().next() == Some("view");
        if is_head && !in_heads {
            found.push(Family::default());
        }
        in_heads = is_head;
        let says_something = !line.is_empty() && !line.starts_with('#');
        if let Some(family) = found.last_mut().filter(|_| says_something) {
            let part = if is_head { &mut family.heads } else { &mut family.lines };
            part.push((number, line));
        }
    }
    found
}

/// The line that is wrong, and why.
type Wrong = (usize, String);

struct Reader {
    views: Vec<View>,
    block: Option<Block>,
}

/// A word with the parts read so far.
struct Block {
    word: &'static str,
    allowed: &'static [&'static str],
    line: usize,
    parts: Vec<(String, Ast)>,
    labelled: bool,
}

impl Reader {
    fn family(
        &mut self,
        family: &Family<'_>,
        located: &dyn Fn(usize) -> String,
    ) -> Result<(), Wrong> {
        if family.heads.is_empty() {
            family.lines.iter().try_for_each(|(number, line)| self.line(line, *number))?;
        }
        for &(number, head) in &family.heads {
            let text = head.trim_start_matches("view").trim();
            let pattern = Pattern::parse(text).map_err(|message| (number, message))?;
            self.views.push(View::new(located(number), pattern));
            let name = text.split('<').next().unwrap_or_default();
            for (number, line) in &family.lines {
                self.line(&line.replace(HEAD, name), *number)?;
            }
            self.close()?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, number: usize) -> Result<(), Wrong> {
        let here = |message: String| (number, message);
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if let Some(block) = &mut self.block
            && is_part(word)
        {
            return block.part(word, rest).map_err(here);
        }
        self.close()?;
        if let Some((word, allowed)) = BLOCKS.iter().find(|block| block.0 == word) {
            self.view(word).map_err(here)?;
            let (parts, labelled) = (Vec::new(), false);
            self.block = Some(Block { word, allowed, line: number, parts, labelled });
            return Ok(());
        }
        if is_part(word) {
            return Err(here(format!("`{word}` is not of `view`")));
        }
        self.statement(word, rest).map_err(here)
    }

    fn view(&mut self, word: &str) -> Result<&mut View, String> {
        self.views.last_mut().ok_or_else(|| format!("`{word}` stands before the first `view`"))
    }

    fn statement(&mut self, word: &str, rest: &str) -> Result<(), String> {
        match word {
            "let" => {
                let (name, value) = named(rest).ok_or("expected `let NAME = EXPRESSION`")?;
                let (value, base) = match base_of(value) {
                    Some((value, base)) => (value, Some(Pattern::parse(base)?)),
                    None => (value, None),
                };
                let (value, when) = conditional(value)?;
                self.view(word)?.lets.push(Let { name, value, base, when });
            }
            "match" => {
                let (part, pattern) =
                    rest.rsplit_once(" as ").ok_or("expected `match EXPRESSION as PATTERN`")?;
                let matched = (expression(part)?, Pattern::parse(pattern)?);
                self.view(word)?.matches.push(matched);
            }
            "valid" => {
                let (condition, otherwise) =
                    rest.rsplit_once(" else ").ok_or("expected `valid CONDITION else \"TEXT\"`")?;
                let (text, _) = quoted(otherwise)?;
                let valid = (expression(condition)?, text.to_owned());
                self.view(word)?.valid.push(valid);
            }
            "show" => {
                let (text, rest) = quoted(rest)?;
                let show = Show { message: message(text)?, when: when(rest)? };
                self.view(word)?.shows.push(show);
            }
            "is" => self.view(word)?.is = Some(expression(rest)?),
            "truth" => self.view(word)?.truth = Some(expression(rest)?),
            "target" => {
                let (target, condition) = conditional(rest)?;
                self.view(word)?.target = Some((target, condition));
            }
            "item" => {
                let (name, rest) = quoted(rest)?;
                let rest = rest.strip_prefix('=').ok_or("expected `item \"NAME\" = EXPRESSION`")?;
                let (value, when) = conditional(rest)?;
                let name = name.to_owned();
                self.view(word)?.items.push(Items::One { name, value, when });
            }
            "every" => self.view(word)?.items.push(Items::Every(rest.to_owned())),
            _ => return Err(format!("`{word}` is no word of views")),
        }
        Ok(())
    }

    /// Ends the word at hand.
    fn close(&mut self) -> Result<(), Wrong> {
        let Some(mut block) = self.block.take() else { return Ok(()) };
        let line = block.line;
        let built = block.build().map_err(|message| (line, message))?;
        let view = self.view(block.word).map_err(|message| (line, message))?;
        match built {
            Built::Text(text) => view.text = Some(*text),
            Built::Items(items) => view.items.push(*items),
        }
        Ok(())
    }
}

enum Built {
    Text(Box<TextOf>),
    Items(Box<Items>),
}

impl Block {
    fn part(&mut self, word: &str, rest: &str) -> Result<(), String> {
        if !self.allowed.contains(&word) {
            return Err(format!("`{word}` is not of `{}`", self.word));
        }
        if word == "labelled" {
            self.labelled = true;
            return Ok(());
        }
        if self.parts.iter().any(|part| part.0 == word) {
            return Err(format!("a second `{word}`"));
        }
        self.parts.push((word.to_owned(), expression(rest)?));
        Ok(())
    }

    fn maybe(&mut self, word: &str) -> Option<Ast> {
        let index = self.parts.iter().position(|part| part.0 == word)?;
        Some(self.parts.swap_remove(index).1)
    }

    fn take(&mut self, word: &str) -> Result<Ast, String> {
        self.maybe(word).ok_or_else(|| format!("`{}` needs `{word}`", self.word))
    }

    fn build(&mut self) -> Result<Built, String> {
        let items = match self.word {
            "text" => {
                let text = TextOf { data: self.take("data")?, count: self.maybe("count") };
                return Ok(Built::Text(Box::new(text)));
            }
            "chosen" => Items::Chosen { index: self.take("index")?, data: self.take("data")? },
            _ => {
                let key = self.maybe("key");
                let labels = if self.labelled { Labels::Numbers } else { Labels::None };
                Items::Elements(Box::new(Container { walk: self.walk()?, key, labels }))
            }
        };
        Ok(Built::Items(Box::new(items)))
    }

    fn walk(&mut self) -> Result<Walk, String> {
        Ok(match self.word {
            "array" => Walk::Array { first: self.take("first")?, count: self.take("count")? },
            "indexed" => Walk::Indexed {
                count: self.take("count")?,
                value: self.take("value")?,
                when: self.maybe("when"),
            },
            "list" => Walk::List {
                first: self.take("first")?,
                next: self.take("next")?,
                end: self.maybe("end"),
                count: self.maybe("count"),
                value: self.take("value")?,
            },
            "tree" => Walk::Tree {
                root: self.take("root")?,
                left: self.take("left")?,
                right: self.take("right")?,
                count: self.take("count")?,
                value: self.take("value")?,
            },
            _ => Walk::Multiway {
                root: self.take("root")?,
                height: self.take("height")?,
                length: self.take("length")?,
                child: self.take("child")?,
                count: self.take("count")?,
                value: self.take("value")?,
            },
        })
    }
}

/// The parts of `base of EXPRESSION as PATTERN`.
fn base_of(text: &str) -> Option<(&str, &str)> {
    text.trim().strip_prefix("base of ")?.rsplit_once(" as ")
}

/// Whether a word is a part of some other.
fn is_part(word: &str) -> bool {
    BLOCKS.iter().any(|(_, parts)| parts.contains(&word))
}

fn named(text: &str) -> Option<(String, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| (name.to_owned(), value))
}

fn expression(text: &str) -> Result<Ast, String> {
    if text.len() > limits::MAX_SOURCE {
        return Err("the expression is too long".to_owned());
    }
    crate::parse::parse(text.trim()).map_err(|error| error.message)
}

/// A text in quotes and what follows it.
fn quoted(text: &str) -> Result<(&str, &str), String> {
    let wrong = || "expected a text in quotes".to_owned();
    let inner = text.trim().strip_prefix('"').ok_or_else(wrong)?;
    let (text, rest) = inner.split_once('"').ok_or_else(wrong)?;
    Ok((text, rest.trim()))
}

/// `EXPRESSION [when CONDITION]`.
fn conditional(text: &str) -> Result<(Ast, Option<Ast>), String> {
    match text.rsplit_once(" when ") {
        Some((value, condition)) => Ok((expression(value)?, Some(expression(condition)?))),
        None => Ok((expression(text)?, None)),
    }
}

fn when(text: &str) -> Result<Option<Ast>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let condition = text.strip_prefix("when ").ok_or("expected `when CONDITION`")?;
    expression(condition).map(Some)
}

fn message(text: &str) -> Result<Vec<Segment>, String> {
    let segments = template::parse(text).map_err(|error| error.message)?;
    let has_macro = segments.iter().any(|segment| matches!(segment, Segment::Macro(_)));
    if has_macro {
        return Err("a summary has no macros: write `$$` for the character itself".to_owned());
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_right_after_one_another_share_what_follows() {
        let text = "view a::A<T>\nview B\n    show \"{Head}!\"\n\nview C\n\nview D\n";
        let views = parse("f", text).unwrap();
        let shown = |view: &View| match view.shows.first().map(|show| &show.message[..]) {
            Some([Segment::Text(text)]) => text.clone(),
            other => format!("{other:?}"),
        };
        let shown: Vec<String> = views.iter().map(shown).collect();
        assert_eq!(shown, ["a::A!", "B!", "None", "None"]);
    }

    #[test]
    fn a_wrong_line_is_told_where_it_stands() {
        let wrong = |text| parse("f", text).unwrap_err().to_string();
        assert!(wrong("\n    show \"early\"\nview A\n").starts_with("f:2"));
        assert!(wrong("view A\nview B\n    shout\n").starts_with("f:3"));
        assert!(wrong("view A\n    text\n    show \"x\"\n").starts_with("f:2"));
    }
}
