//! What `break`, `watch` and the `-b`, `-w` flags take, read into a
//! [`BreakpointSpec`] and written back as text.
//!
//! ```text
//! [-once] [-jump|-trap|-hw] [-hits 'OP N'] [-filter EXPR] [-changed EXPR]
//! [-log TEMPLATE] [-name NAME]... LOCATION [thread N] [if EXPR]
//! ```
//! A watch takes `[-written]` and, for LOCATION, an expression or
//! `*ADDRESS@LENGTH`. Whether names exist is the engine's business.

use trapline_core::breakpoint::{BreakpointSpec, DataTrigger, HitRule, Mechanism, Subject};
use trapline_core::x64::debug::Access;

use super::words::{Words, outer_words, quote, unquote};

/// The place where the selected frame stands, as gdb's `break` without a
/// location means it.
const HERE: &str = "*$pc";

/// Reads a breakpoint on code.
///
/// # Errors
/// A sentence that names the part of the text that is wrong.
pub fn code(text: &str) -> Result<BreakpointSpec, String> {
    let (flags, rest) = Flags::read(text)?;
    if flags.written {
        return Err("`-written` is for watches: write `watch -written EXPR`".to_owned());
    }
    let tail = Tail::read(rest);
    let location = if tail.subject.is_empty() { HERE.to_owned() } else { dequote(tail.subject) };
    let subject = Subject::Code { location, mechanism: flags.mechanism };
    flags.apply(subject, &tail)
}

/// Reads a breakpoint on data. `access` says which touches are meant; writes
/// stop when they changed the value unless `-written` is there.
///
/// # Errors
/// A sentence that names the part of the text that is wrong.
pub fn data(text: &str, access: Access) -> Result<BreakpointSpec, String> {
    let (flags, rest) = Flags::read(text)?;
    if let Some(mechanism @ (Mechanism::Trap | Mechanism::Jump)) = flags.mechanism {
        return Err(format!("`-{mechanism}` is for code: data is watched by the hardware"));
    }
    if flags.written && access != Access::Write {
        return Err("`-written` goes with `watch`: reads never change the value".to_owned());
    }
    let tail = Tail::read(rest);
    if tail.subject.is_empty() {
        return Err("say what to watch: an expression or `*ADDRESS@LENGTH`".to_owned());
    }
    let trigger = match access {
        Access::Write if !flags.written => DataTrigger::Changed,
        _ => DataTrigger::Touched,
    };
    let subject = Subject::Data { expression: tail.subject.to_owned(), access, trigger };
    flags.apply(subject, &tail)
}

/// Reads a breakpoint on every function that matches a regular expression.
///
/// # Errors
/// When there is no expression.
pub fn functions(text: &str) -> Result<BreakpointSpec, String> {
    let (flags, rest) = Flags::read(text)?;
    if rest.is_empty() {
        return Err("say which functions: `rbreak REGEX`".to_owned());
    }
    let tail = Tail::read(rest);
    let subject = Subject::Functions { regex: unquote(tail.subject) };
    flags.apply(subject, &tail)
}

/// The command that sets a breakpoint like this one: what `save breakpoints`
/// writes and what `info breakpoints` shows. Commands and `ignore` are not in
/// it.
pub fn to_command(spec: &BreakpointSpec) -> String {
    let mut words = vec![command_name(spec).to_owned()];
    write_flags(spec, &mut words);
    words.push(match &spec.subject {
        Subject::Code { location, .. } => quote_location(location),
        Subject::Functions { regex } => quote(regex),
        Subject::Data { expression, .. } => expression.clone(),
    });
    if let Some(condition) = &spec.condition {
        words.push(format!("if {condition}"));
    }
    words.join(" ")
}

fn command_name(spec: &BreakpointSpec) -> &'static str {
    match &spec.subject {
        Subject::Code { .. } => "break",
        Subject::Functions { .. } => "rbreak",
        Subject::Data { access: Access::Write, .. } => "watch",
        Subject::Data { access: Access::Read, .. } => "rwatch",
        Subject::Data { access: Access::ReadWrite, .. } => "awatch",
    }
}

fn write_flags(spec: &BreakpointSpec, words: &mut Vec<String>) {
    if spec.temporary {
        words.push("-once".to_owned());
    }
    match &spec.subject {
        Subject::Code { mechanism: Some(Mechanism::Jump), .. } => words.push("-jump".to_owned()),
        Subject::Code { mechanism: Some(Mechanism::Trap), .. } => words.push("-trap".to_owned()),
        Subject::Code { mechanism: Some(Mechanism::Hardware), .. } => words.push("-hw".to_owned()),
        Subject::Data { access: Access::Write, trigger: DataTrigger::Touched, .. } => {
            words.push("-written".to_owned());
        }
        _ => {}
    }
    let hits = spec.hits.map(|rule| rule.to_string());
    let valued = [
        ("-hits", &hits),
        ("-filter", &spec.filter),
        ("-changed", &spec.changed),
        ("-log", &spec.log),
    ];
    for (flag, value) in valued {
        if let Some(value) = value {
            words.push(format!("{flag} {}", quote(value)));
        }
    }
    words.extend(spec.names.iter().map(|name| format!("-name {}", quote(name))));
}

/// The flags in front of a location.
#[derive(Default)]
struct Flags {
    once: bool,
    written: bool,
    mechanism: Option<Mechanism>,
    hits: Option<HitRule>,
    filter: Option<String>,
    changed: Option<String>,
    log: Option<String>,
    names: Vec<String>,
}

impl Flags {
    fn read(text: &str) -> Result<(Self, &str), String> {
        let mut words = Words::new(text);
        let mut flags = Self::default();
        while words.peek().starts_with('-') {
            let rest = words;
            let Some(flag) = words.bare() else { break };
            if flag == "--" {
                break;
            }
            // A location may begin with a sign (`-5` is five lines back) and
            // with how its name is meant.
            let of_location = ["-qualified", "-q"].contains(&flag);
            if of_location || flag[1..].starts_with(|c: char| c.is_ascii_digit()) {
                words = rest;
                break;
            }
            flags.take(flag, &mut words)?;
        }
        Ok((flags, words.rest()))
    }

    fn take(&mut self, flag: &str, words: &mut Words<'_>) -> Result<(), String> {
        match flag {
            "-once" => self.once = true,
            "-written" => self.written = true,
            "-jump" => self.want(Mechanism::Jump)?,
            "-trap" => self.want(Mechanism::Trap)?,
            "-hw" => self.want(Mechanism::Hardware)?,
            "-hits" => {
                let rule = hit_rule(words)?;
                set_once(&mut self.hits, flag, rule)?;
            }
            "-filter" => set_once(&mut self.filter, flag, value(flag, words)?)?,
            "-changed" => set_once(&mut self.changed, flag, value(flag, words)?)?,
            "-log" => set_once(&mut self.log, flag, value(flag, words)?)?,
            "-name" => self.names.push(value(flag, words)?),
            _ => return Err(unknown_flag(flag)),
        }
        Ok(())
    }

    fn want(&mut self, mechanism: Mechanism) -> Result<(), String> {
        match self.mechanism.replace(mechanism) {
            Some(other) if other != mechanism => {
                Err("`-jump`, `-trap` and `-hw` exclude each other: keep one".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn apply(self, subject: Subject, tail: &Tail<'_>) -> Result<BreakpointSpec, String> {
        let thread = tail.thread.map(thread_filter).transpose()?;
        let filter = match (self.filter, thread) {
            (Some(filter), Some(thread)) => Some(format!("({filter}) && {thread}")),
            (filter, thread) => filter.or(thread),
        };
        Ok(BreakpointSpec {
            condition: tail.condition()?,
            changed: self.changed,
            filter,
            hits: self.hits,
            log: self.log,
            temporary: self.once,
            names: self.names,
            ..BreakpointSpec::at(subject)
        })
    }
}

fn unknown_flag(flag: &str) -> String {
    format!(
        "`{flag}` is not a breakpoint flag: there are -once -jump -trap -hw -written -hits -filter \
         -changed -log -name, and `--` ends them"
    )
}

fn value(flag: &str, words: &mut Words<'_>) -> Result<String, String> {
    let value = words.argument()?.filter(|value| !value.trim().is_empty());
    value.ok_or_else(|| format!("`{flag}` needs a value after it"))
}

/// `'== 5'`, `==5` and `== 5` without quotes all read.
fn hit_rule(words: &mut Words<'_>) -> Result<HitRule, String> {
    let mut text = value("-hits", words)?;
    if text.chars().all(|c| "=%<>!".contains(c)) {
        text = format!("{text} {}", words.argument()?.unwrap_or_default());
    }
    HitRule::parse(&text)
}

fn set_once<T>(slot: &mut Option<T>, flag: &str, value: T) -> Result<(), String> {
    if slot.replace(value).is_some() {
        return Err(format!("`{flag}` is there twice: keep one"));
    }
    Ok(())
}

fn thread_filter(number: &str) -> Result<String, String> {
    let number: u32 = number.parse().map_err(|_| {
        format!("`thread {number}`: a thread is named by its number in `info threads`")
    })?;
    Ok(format!("$_thread == {number}"))
}

/// What follows the flags: `SUBJECT [thread N] [if EXPR]`.
struct Tail<'a> {
    subject: &'a str,
    thread: Option<&'a str>,
    condition: Option<&'a str>,
}

impl<'a> Tail<'a> {
    fn read(text: &'a str) -> Self {
        let (mut head, mut thread_at, mut condition) = (text, None, None);
        for at in outer_words(text) {
            let word = &text[at..];
            if let Some(after) = after_keyword("if", word, |c| c.is_whitespace() || c == '(') {
                (head, condition) = (&text[..at], Some(after.trim()));
                break;
            }
            if after_keyword("thread", word, char::is_whitespace).is_some() {
                thread_at = Some(at);
            }
        }
        let of_thread = thread_at.map(|at| (&head[..at], head[at + "thread".len()..].trim()));
        let (subject, thread) = match of_thread {
            Some((before, number)) if !number.is_empty() => (before, Some(number)),
            // `thread` alone is a name like any other.
            _ => (head, None),
        };
        Self { subject: subject.trim(), thread, condition }
    }

    fn condition(&self) -> Result<Option<String>, String> {
        match self.condition {
            Some("") => Err("`if` needs an expression after it".to_owned()),
            condition => Ok(condition.map(str::to_owned)),
        }
    }
}

/// What follows a keyword that `text` begins with and that one of `ends`, or
/// the text's end, ends.
fn after_keyword<'a>(keyword: &str, text: &'a str, ends: impl Fn(char) -> bool) -> Option<&'a str> {
    text.strip_prefix(keyword).filter(|after| after.chars().next().is_none_or(ends))
}

/// Quotes protect blanks in a file name: `"my file.c":12`.
fn dequote(location: &str) -> String {
    let quote = location.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some((inner, after)) = quote.and_then(|quote| location[1..].split_once(quote)) else {
        return location.to_owned();
    };
    format!("{inner}{after}")
}

fn quote_location(location: &str) -> String {
    let risky = location.starts_with('-') || outer_words(location).nth(1).is_some();
    if risky && !location.starts_with('*') && !location.contains('"') {
        format!("\"{location}\"")
    } else {
        location.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(location: &str) -> BreakpointSpec {
        BreakpointSpec::at(Subject::Code { location: location.to_owned(), mechanism: None })
    }

    fn on(expression: &str, access: Access, trigger: DataTrigger) -> BreakpointSpec {
        BreakpointSpec::at(Subject::Data { expression: expression.to_owned(), access, trigger })
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn code_specs_read_and_write_back() {
        let check = |text: &str, expected: BreakpointSpec| {
            let spec = code(text).unwrap();
            assert_eq!(spec, expected, "{text}");
            let command = to_command(&spec);
            assert_eq!(code(command.strip_prefix("break").unwrap()), Ok(spec), "{command}");
        };
        check("main", at("main"));
        check("", at("*$pc"));
        check("if x > 3", BreakpointSpec { condition: some("x > 3"), ..at("*$pc") });
        check("a.c:12 if(x)", BreakpointSpec { condition: some("(x)"), ..at("a.c:12") });
        check("notify", at("notify"));
        check("f<a if b> if c", BreakpointSpec { condition: some("c"), ..at("f<a if b>") });
        check("-once main", BreakpointSpec { temporary: true, ..at("main") });
        check("\"my file.c\":12", at("my file.c:12"));
        check("*0x1000 + 4", at("*0x1000 + 4"));
        check("-- -5", at("-5"));
        check("-5", at("-5"));
        check("f thread 2", BreakpointSpec { filter: some("$_thread == 2"), ..at("f") });
        check("thread", at("thread"));
        check(
            "-filter '$_pid == 1' f thread 2 if a == b",
            BreakpointSpec {
                filter: some("($_pid == 1) && $_thread == 2"),
                condition: some("a == b"),
                ..at("f")
            },
        );
        check(
            "-log \"x={x} \\\"{$_streq(a, b)}\\\" $TID\" f",
            BreakpointSpec { log: some("x={x} \"{$_streq(a, b)}\" $TID"), ..at("f") },
        );
        check(
            "-hits '% 10' -changed a[i] -name hot -name io f",
            BreakpointSpec {
                hits: Some(HitRule::Multiple(10)),
                changed: some("a[i]"),
                names: vec!["hot".to_owned(), "io".to_owned()],
                ..at("f")
            },
        );
        let hits = |rule| BreakpointSpec { hits: Some(rule), ..at("f") };
        check("-hits == 5 f", hits(HitRule::Equal(5)));
        check("-hits >=5 f", hits(HitRule::AtLeast(5)));
        let hardware =
            Subject::Code { location: "f".to_owned(), mechanism: Some(Mechanism::Hardware) };
        check("-hw f", BreakpointSpec::at(hardware));
    }

    #[test]
    fn data_specs_read_and_write_back() {
        let check = |text: &str, access: Access, expected: BreakpointSpec| {
            let spec = data(text, access).unwrap();
            assert_eq!(spec, expected, "{text}");
            let command = to_command(&spec);
            let (_, rest) = command.split_once(' ').unwrap();
            assert_eq!(data(rest, access), Ok(spec), "{command}");
        };
        use {Access::*, DataTrigger::*};
        check("counter", Write, on("counter", Write, Changed));
        check("-written a.b[3]", Write, on("a.b[3]", Write, Touched));
        check("*0x1000@8", ReadWrite, on("*0x1000@8", ReadWrite, Touched));
        check(
            "a if a < 3",
            Read,
            BreakpointSpec { condition: some("a < 3"), ..on("a", Read, Touched) },
        );
        check("-hw a", Write, on("a", Write, Changed));
    }

    #[test]
    fn wrong_specs_say_what_is_wrong() {
        let check = |read: Result<BreakpointSpec, String>, expected: &str| {
            let message = read.unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        check(code("-fast f"), "`-fast` is not a breakpoint flag");
        check(code("-trap -hw f"), "exclude each other");
        check(code("-hits 'x' f"), "`x` is not a hit count");
        check(code("-hits"), "`-hits` needs a value");
        check(code("-log 'open f"), "never closed");
        check(code("-log a -log b f"), "twice");
        check(code("f if"), "`if` needs an expression");
        check(code("f thread x"), "`thread x`");
        check(code("-written f"), "for watches");
        check(data("", Access::Write), "say what to watch");
        check(data("-trap x", Access::Write), "for code");
        check(data("-written x", Access::Read), "goes with `watch`");
        check(functions(""), "say which functions");
    }
}
