//! The arguments of each command, read into an [`Action`]. Errors are one
//! sentence that names the input; names of the program are not looked up here.

use std::path::PathBuf;

use trapline_core::breakpoint::{BreakpointSpec, HitRule, Mechanism, Subject};
use trapline_core::stop::Signal;
use trapline_core::x64::debug::Access;
use trapline_core::{BreakpointId, LocationId, Pid};
use trapline_engine::command::{Change, CodeRange, LineStep, Selection, ValueFormat, VariableKind};

use super::action::{Action, Info, Lifetime, ListWhat, MemoryFormat};
use super::display::{Display, Manner};
use super::mixed::Order;
use super::spec;
use super::words::{Words, split};

mod settings;

pub(crate) use settings::*;

type Read = Result<Action, String>;

/// Takes a trailing `&` off: gdb's wish for the prompt to come back at once.
fn background(args: &str) -> (&str, bool) {
    args.strip_suffix('&').map_or((args, false), |args| (args.trim_end(), true))
}

fn nothing_after(args: &str, action: Action) -> Read {
    if args.is_empty() { Ok(action) } else { Err(format!("`{args}`: nothing is expected here")) }
}

fn required<'a>(args: &'a str, what: &str) -> Result<&'a str, String> {
    if args.is_empty() { Err(format!("say {what}")) } else { Ok(args) }
}

fn count(args: &str) -> Result<u64, String> {
    if args.is_empty() {
        return Ok(1);
    }
    args.parse().map_err(|_| format!("`{args}` is not a count"))
}

fn path(args: &str, what: &str) -> Result<PathBuf, String> {
    let mut words = split(required(args, what)?)?;
    match (words.pop(), words.is_empty()) {
        (Some(word), true) => Ok(PathBuf::from(word)),
        _ => Err(format!("`{args}` is more than one file: quote blanks")),
    }
}

// Running.

fn start_with(args: &str, at_main: bool) -> Read {
    let (args, background) = background(args);
    let args = if args.is_empty() { None } else { Some(split(args)?) };
    Ok(Action::Run { args, at_main, background })
}

pub(crate) fn run(args: &str) -> Read {
    start_with(args, false)
}

pub(crate) fn start(args: &str) -> Read {
    start_with(args, true)
}

pub(crate) fn resume(args: &str) -> Read {
    let (args, background) = background(args);
    let skip = count(args)?.saturating_sub(1);
    Ok(Action::Continue { skip, background })
}

pub(crate) fn stepi(args: &str) -> Read {
    Ok(Action::Step { count: count(args)?, over_calls: false })
}

pub(crate) fn nexti(args: &str) -> Read {
    Ok(Action::Step { count: count(args)?, over_calls: true })
}

pub(crate) fn step(args: &str) -> Read {
    Ok(Action::StepLine { count: count(args)?, how: LineStep::Into })
}

pub(crate) fn next(args: &str) -> Read {
    Ok(Action::StepLine { count: count(args)?, how: LineStep::Over })
}

pub(crate) fn finish(args: &str) -> Read {
    nothing_after(args, Action::Finish)
}

pub(crate) fn until(args: &str) -> Read {
    Ok(match args.trim() {
        "" => Action::StepLine { count: 1, how: LineStep::Onward },
        location => Action::RunTo { location: location.to_owned(), in_frame: true },
    })
}

pub(crate) fn advance(args: &str) -> Read {
    let location = required(args, "which location")?.to_owned();
    Ok(Action::RunTo { location, in_frame: false })
}

pub(crate) fn interrupt(args: &str) -> Read {
    nothing_after(args, Action::Interrupt)
}

pub(crate) fn signal(args: &str) -> Read {
    match required(args, "which signal, or 0 for none")? {
        "0" => Ok(Action::Signal(None)),
        name => Ok(Action::Signal(Some(signal_named(name)?))),
    }
}

fn signal_named(name: &str) -> Result<Signal, String> {
    Signal::parse(name).ok_or_else(|| format!("`{name}` is not a signal; try `info signals`"))
}

pub(crate) fn kill(args: &str) -> Read {
    nothing_after(args, Action::Kill)
}

fn process(args: &str) -> Result<Pid, String> {
    let number = args.parse::<i32>().ok().filter(|&number| number > 0);
    number.map(Pid::new).ok_or_else(|| format!("`{args}` is not a process number"))
}

pub(crate) fn attach(args: &str) -> Read {
    Ok(Action::Attach(process(required(args, "which process: its number")?)?))
}

pub(crate) fn detach(args: &str) -> Read {
    let which = if args.is_empty() { None } else { Some(process(args)?) };
    Ok(Action::Detach(which))
}

pub(crate) fn file(args: &str) -> Read {
    Ok(Action::File(path(args, "which program")?))
}

// Breakpoints.

fn boxed(spec: BreakpointSpec) -> Action {
    Action::Break(Box::new(spec))
}

fn on_code(args: &str, temporary: bool, hardware: bool) -> Read {
    let mut spec = spec::code(args)?;
    spec.temporary |= temporary;
    if let (Subject::Code { mechanism, .. }, true) = (&mut spec.subject, hardware) {
        *mechanism = Some(Mechanism::Hardware);
    }
    Ok(boxed(spec))
}

pub(crate) fn break_(args: &str) -> Read {
    on_code(args, false, false)
}

pub(crate) fn tbreak(args: &str) -> Read {
    on_code(args, true, false)
}

pub(crate) fn hbreak(args: &str) -> Read {
    on_code(args, false, true)
}

pub(crate) fn thbreak(args: &str) -> Read {
    on_code(args, true, true)
}

pub(crate) fn rbreak(args: &str) -> Read {
    spec::functions(args).map(boxed)
}

pub(crate) fn watch(args: &str) -> Read {
    spec::data(args, Access::Write).map(boxed)
}

pub(crate) fn rwatch(args: &str) -> Read {
    spec::data(args, Access::Read).map(boxed)
}

pub(crate) fn awatch(args: &str) -> Read {
    spec::data(args, Access::ReadWrite).map(boxed)
}

fn breakpoint(word: &str) -> Result<BreakpointId, String> {
    word.parse()
        .map(BreakpointId::new)
        .map_err(|_| format!("`{word}` is not the number of a breakpoint; try `info breakpoints`"))
}

fn breakpoint_first(args: &str) -> Result<(BreakpointId, &str), String> {
    let mut words = Words::new(required(args, "which breakpoint: its number")?);
    let id = breakpoint(words.bare().unwrap_or(""))?;
    Ok((id, words.rest()))
}

pub(crate) fn condition(args: &str) -> Read {
    let (id, rest) = breakpoint_first(args)?;
    let expression = (!rest.is_empty()).then(|| rest.to_owned());
    Ok(Action::Change(id, Change::Condition(expression)))
}

pub(crate) fn ignore(args: &str) -> Read {
    let (id, rest) = breakpoint_first(args)?;
    let count = required(rest, "how many hits to ignore")?;
    let count = count.parse().map_err(|_| format!("`{count}` is not a count"))?;
    Ok(Action::Change(id, Change::Ignore(count)))
}

pub(crate) fn hits(args: &str) -> Read {
    let (id, rest) = breakpoint_first(args)?;
    let rule = if rest.is_empty() { None } else { Some(HitRule::parse(rest)?) };
    Ok(Action::Change(id, Change::Hits(rule)))
}

pub(crate) fn commands(args: &str) -> Read {
    match selection(args)? {
        None => Ok(Action::Commands(None)),
        Some(Selection::Breakpoints(ids)) => Ok(Action::Commands(Some(ids))),
        Some(_) => Err(format!("`{args}`: commands belong to whole breakpoints, by number")),
    }
}

/// Numbers, ranges, one location, or a group's name; `None` for nothing.
fn selection(args: &str) -> Result<Option<Selection>, String> {
    let words = split(args)?;
    let [first, ..] = words.as_slice() else { return Ok(None) };
    if !first.starts_with(|c: char| c.is_ascii_digit()) {
        return match words.as_slice() {
            [name] => Ok(Some(Selection::Named(name.clone()))),
            _ => Err(format!("`{args}`: name one group, or breakpoints by number")),
        };
    }
    if let ([only], Some((number, index))) = (words.as_slice(), first.split_once('.')) {
        let index = index.parse().map_err(|_| format!("`{only}` is not a location"))?;
        let location = LocationId { breakpoint: breakpoint(number)?, index };
        return Ok(Some(Selection::Location(location)));
    }
    let mut ids = Vec::new();
    for word in words.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty()) {
        add_range(word, &mut ids)?;
    }
    Ok(Some(Selection::Breakpoints(ids)))
}

/// More breakpoints than anybody numbers by hand.
const MAX_RANGE: u32 = 100_000;

fn add_range(word: &str, ids: &mut Vec<BreakpointId>) -> Result<(), String> {
    let Some((first, last)) = word.split_once('-') else {
        ids.push(breakpoint(word)?);
        return Ok(());
    };
    let (first, last) = (breakpoint(first)?.get(), breakpoint(last)?.get());
    if last < first || last - first > MAX_RANGE {
        return Err(format!("`{word}` is not a range of breakpoints"));
    }
    ids.extend((first..=last).map(BreakpointId::new));
    Ok(())
}

fn some_selection(args: &str) -> Result<Selection, String> {
    selection(args)?.ok_or_else(|| "say which breakpoints, by number".to_owned())
}

pub(crate) fn enable(args: &str) -> Read {
    Ok(Action::Enable(selection(args)?.unwrap_or(Selection::All), Lifetime::Lasting))
}

pub(crate) fn enable_once(args: &str) -> Read {
    Ok(Action::Enable(some_selection(args)?, Lifetime::Once))
}

pub(crate) fn enable_delete(args: &str) -> Read {
    Ok(Action::Enable(some_selection(args)?, Lifetime::Delete))
}

/// gdb accepts `disable breakpoints 1` too.
fn without_kind(args: &str) -> &str {
    args.strip_prefix("breakpoints").map_or(args, str::trim_start)
}

pub(crate) fn disable(args: &str) -> Read {
    Ok(Action::Disable(selection(without_kind(args))?.unwrap_or(Selection::All)))
}

pub(crate) fn delete(args: &str) -> Read {
    match selection(without_kind(args))?.unwrap_or(Selection::All) {
        Selection::Location(location) => {
            Err(format!("location {location} cannot be deleted alone: disable it"))
        }
        selection => Ok(Action::Delete(selection)),
    }
}

pub(crate) fn clear(args: &str) -> Read {
    Ok(Action::Clear((!args.is_empty()).then(|| args.to_owned())))
}

pub(crate) fn save(args: &str) -> Read {
    Ok(Action::SaveBreakpoints(path(args, "into which file")?))
}

// Looking.

pub(crate) fn backtrace(args: &str) -> Read {
    let (mut limit, mut outermost, mut full) = (usize::MAX, false, false);
    for word in args.split_whitespace() {
        if matches!(word, "full" | "-full") {
            full = true;
            continue;
        }
        let wrong = || format!("`{word}` is not a number of frames");
        let number = word.parse::<i64>().map_err(|_| wrong())?;
        outermost = number < 0;
        limit = usize::try_from(number.unsigned_abs()).map_err(|_| wrong())?;
    }
    Ok(Action::Backtrace { limit, outermost, full })
}

pub(crate) fn frame(args: &str) -> Read {
    if args.is_empty() {
        return Ok(Action::Frame(None));
    }
    let number = args.parse().map_err(|_| format!("`{args}` is not the number of a frame"))?;
    Ok(Action::Frame(Some(number)))
}

fn frames(args: &str) -> Result<i64, String> {
    i64::try_from(count(args)?).map_err(|_| format!("`{args}` is too far"))
}

pub(crate) fn up(args: &str) -> Read {
    frames(args).map(Action::MoveFrame)
}

pub(crate) fn down(args: &str) -> Read {
    frames(args).map(|by| Action::MoveFrame(-by))
}

fn thread_number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("`{word}` is not the number of a thread; try `info threads`"))
}

pub(crate) fn thread(args: &str) -> Read {
    let number = if args.is_empty() { None } else { Some(thread_number(args)?) };
    Ok(Action::Thread(number))
}

pub(crate) fn thread_apply(args: &str) -> Read {
    let mut words = Words::new(args);
    let mut threads = Vec::new();
    let mut all = false;
    while words.peek() == "all" || words.peek().starts_with(|c: char| c.is_ascii_digit()) {
        match words.bare() {
            Some("all") => all = true,
            Some(number) => threads.push(thread_number(number)?),
            None => break,
        }
    }
    if !all && threads.is_empty() {
        return Err("say which threads: `thread apply all COMMAND`".to_owned());
    }
    let line = required(words.rest(), "which command to apply")?.to_owned();
    Ok(Action::ThreadApply { threads: (!all).then_some(threads), line })
}

/// `/FORMAT REST` into its parts.
fn split_format(args: &str) -> (&str, &str) {
    let Some(rest) = args.strip_prefix('/') else { return ("", args) };
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    (&rest[..end], rest[end..].trim_start())
}

pub(crate) fn print(args: &str) -> Read {
    let (format, expression) = formatted(args)?;
    // gdb shows the last value again.
    let expression = if expression.is_empty() { "$" } else { expression };
    Ok(Action::Print { expression: expression.to_owned(), format })
}

pub(crate) fn output(args: &str) -> Read {
    let (format, expression) = formatted(args)?;
    if expression.is_empty() {
        return Err("an expression is missing".to_owned());
    }
    Ok(Action::Output { expression: expression.to_owned(), format })
}

/// An optional `/F` and the expression behind it.
fn formatted(args: &str) -> Result<(ValueFormat, &str), String> {
    let (format, expression) = split_format(args);
    let raw = format.contains('r');
    let mut letters = format.chars().filter(|letter| *letter != 'r');
    let letter = match (letters.next(), letters.next()) {
        (None, _) => None,
        (Some(letter), None) if "xduotacfsz".contains(letter) => Some(letter),
        _ => return Err(format!("`/{format}` is not a format: r and one of x d u o t a c f s z")),
    };
    Ok((ValueFormat { letter, raw }, expression))
}

pub(crate) fn examine(args: &str) -> Read {
    let (format, address) = split_format(args);
    let format = memory_format(format)?;
    Ok(Action::Examine { format, address: (!address.is_empty()).then(|| address.to_owned()) })
}

fn memory_format(text: &str) -> Result<MemoryFormat, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong = || {
        format!(
            "`/{text}` is not a memory format: a count, one of x d u o t a c f s i, one of b h w g"
        )
    };
    let mut format = MemoryFormat::default();
    if digits > 0 {
        format.count = Some(text[..digits].parse().map_err(|_| wrong())?);
    }
    for letter in text[digits..].chars() {
        match letter {
            'b' => format.unit = Some(1),
            'h' => format.unit = Some(2),
            'w' => format.unit = Some(4),
            'g' => format.unit = Some(8),
            'x' | 'd' | 'u' | 'o' | 't' | 'a' | 'c' | 'f' | 's' | 'i' => {
                format.letter = Some(letter);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(format)
}

pub(crate) fn display(args: &str) -> Read {
    if args.is_empty() {
        return Ok(Action::Display(None));
    }
    let (format, expression) = split_format(args);
    if expression.is_empty() {
        return Err("an expression is missing".to_owned());
    }
    let manner = match formatted(args) {
        Ok((format, _)) if format.letter != Some('s') => Manner::Value(format),
        _ => Manner::Memory(memory_format(format)?),
    };
    let (text, expression) = (args.to_owned(), expression.to_owned());
    Ok(Action::Display(Some(Display { text, expression, manner })))
}

pub(crate) fn undisplay(args: &str) -> Read {
    let number =
        |word: &str| word.parse().map_err(|_| format!("`{word}` is not the number of a display"));
    args.split_whitespace().map(number).collect::<Result<_, _>>().map(Action::Undisplay)
}

pub(crate) fn info_display(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Displays))
}

fn describe(args: &str, expand: bool) -> Read {
    let what = required(args, "which expression or type")?.to_owned();
    Ok(Action::Describe { what, expand })
}

pub(crate) fn ptype(args: &str) -> Read {
    describe(args, true)
}

pub(crate) fn whatis(args: &str) -> Read {
    describe(args, false)
}

pub(crate) fn disassemble(args: &str) -> Read {
    let (flags, place) = split_format(args);
    if let Some(wrong) = flags.chars().find(|c| !"rsm".contains(*c)) {
        return Err(format!(
            "`/{wrong}` is not a way to disassemble: /r shows bytes, /s or /m the source"
        ));
    }
    let range = match place.split_once(',') {
        None if place.is_empty() => None,
        None => Some(CodeRange::FunctionAt(place.to_owned())),
        Some((start, end)) => Some(code_between(start.trim(), end.trim())?),
    };
    let order = match (flags.contains('s'), flags.contains('m')) {
        (true, true) => return Err("/s and /m are two orders: write one of them".to_owned()),
        (true, false) => Some(Order::Code),
        (false, true) => Some(Order::Source),
        (false, false) => None,
    };
    Ok(Action::Disassemble { what: range, order, raw: flags.contains('r') })
}

fn code_between(start: &str, end: &str) -> Result<CodeRange, String> {
    if start.is_empty() || end.is_empty() {
        return Err("say START,END or START,+LENGTH".to_owned());
    }
    let end = match end.strip_prefix('+') {
        Some(length) => format!("({start}) + ({length})"),
        None => end.to_owned(),
    };
    Ok(CodeRange::Between(start.to_owned(), end))
}

pub(crate) fn list(args: &str) -> Read {
    Ok(Action::List(match args {
        "" | "+" => ListWhat::Next,
        "-" => ListWhat::Previous,
        _ => match split_range(args) {
            None => ListWhat::Around(args.to_owned()),
            Some(("", "")) => return Err("`list ,`: say a line before or after the comma".into()),
            Some((first, last)) => ListWhat::Range(some(first), some(last)),
        },
    }))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Splits at the comma between two places, which is not one between the
/// parameters of a function or in a quoted name.
fn split_range(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_u32;
    let mut quoted = None;
    let at = text.char_indices().find(|&(_, c)| {
        match (quoted, c) {
            (Some(quote), c) if c == quote => quoted = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quoted = Some(c),
            (None, '(' | '<' | '[') => depth += 1,
            (None, ')' | '>' | ']') => depth = depth.saturating_sub(1),
            (None, ',') => return depth == 0,
            _ => {}
        }
        false
    });
    at.map(|(at, _)| (text[..at].trim(), text[at + 1..].trim()))
}

pub(crate) fn info_breakpoints(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Breakpoints { watches: false }))
}

pub(crate) fn info_watchpoints(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Breakpoints { watches: true }))
}

pub(crate) fn info_threads(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Threads))
}

pub(crate) fn info_registers(args: &str) -> Read {
    let names = args.split_whitespace().map(|name| name.trim_start_matches('$').to_owned());
    Ok(Action::Info(Info::Registers(names.collect())))
}

pub(crate) fn info_frame(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Frame))
}

pub(crate) fn info_libraries(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Libraries))
}

pub(crate) fn info_signals(args: &str) -> Read {
    let one = if args.is_empty() { None } else { Some(signal_named(args)?) };
    Ok(Action::Info(Info::Signals(one)))
}

pub(crate) fn info_process(args: &str) -> Read {
    match args {
        "" => Ok(Action::Info(Info::Process { mappings: false })),
        word if "mappings".starts_with(word) => Ok(Action::Info(Info::Process { mappings: true })),
        _ => Err(format!("`{args}`: only `info proc` and `info proc mappings` are there")),
    }
}

pub(crate) fn info_jump(args: &str) -> Read {
    let number = required(args, "which breakpoint: its number")?;
    let id = number.parse().map_err(|_| format!("`{number}` is not a breakpoint number"))?;
    Ok(Action::Info(Info::Jump(BreakpointId::new(id))))
}

pub(crate) fn info_line(args: &str) -> Read {
    // Without one, the line where the program stands.
    let place = if args.is_empty() { "+0" } else { args };
    Ok(Action::Info(Info::Line(place.to_owned())))
}

pub(crate) fn info_symbol(args: &str) -> Read {
    Ok(Action::Info(Info::Symbol(required(args, "which address")?.to_owned())))
}

pub(crate) fn info_scope(args: &str) -> Read {
    let location = required(args, "which location: a function, FILE:LINE or *ADDRESS")?;
    Ok(Action::Info(Info::Scope(location.to_owned())))
}

pub(crate) fn info_locals(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Variables(VariableKind::Local)))
}

pub(crate) fn info_args(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Variables(VariableKind::Argument)))
}

pub(crate) fn info_source(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Source))
}

pub(crate) fn info_program(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Program))
}

pub(crate) fn time_hold(args: &str) -> Read {
    nothing_after(args, Action::TimeHold)
}

// Families without a meaning of their own.

fn family(name: &str, args: &str) -> Read {
    if args.is_empty() {
        return Ok(Action::Help(name.to_owned()));
    }
    Err(format!("`{name} {args}` is not there; `help {name}` shows what is"))
}

pub(crate) fn family_info(args: &str) -> Read {
    family("info", args)
}

pub(crate) fn family_save(args: &str) -> Read {
    family("save", args)
}

pub(crate) fn family_maintenance(args: &str) -> Read {
    family("maintenance", args)
}

pub(crate) fn family_unset(args: &str) -> Read {
    family("unset", args)
}

// Ourselves.

pub(crate) fn source(args: &str) -> Read {
    Ok(Action::Source(path(args, "which file")?))
}

pub(crate) fn write_core(args: &str) -> Read {
    Ok(Action::WriteCore((!args.is_empty()).then(|| args.into())))
}

pub(crate) fn load_views(args: &str) -> Read {
    Ok(Action::LoadViews(path(args, "which file")?))
}

pub(crate) fn info_views(args: &str) -> Read {
    nothing_after(args, Action::Info(Info::Views))
}

pub(crate) fn echo(args: &str) -> Read {
    let text = args.replace("\\n", "\n").replace("\\t", "\t");
    Ok(Action::Echo(text))
}

pub(crate) fn help(args: &str) -> Read {
    Ok(Action::Help(args.to_owned()))
}

pub(crate) fn apropos(args: &str) -> Read {
    Ok(Action::Apropos(required(args, "which word to look for")?.to_owned()))
}

pub(crate) fn quit(args: &str) -> Read {
    nothing_after(args, Action::Quit)
}
