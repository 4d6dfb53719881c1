//! The interactive prompt: history, completion, Ctrl-C and Ctrl-D, and events
//! that arrive while a line is half typed (they are shown above it).

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use reedline::{
    ColumnarMenu, Completer, CompletionResult, Emacs, FileBackedHistory, KeyCode, KeyModifiers,
    MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, Span, Suggestion, default_emacs_keybindings,
};
use trapline_engine::{Command, CommandError, SessionHandle};

use super::batch::{self, Ending, Plan};
use super::completion;
use super::console::{Console, Flow, Lines};
use super::lookup;
use super::pump::Pump;

/// Lines of history that are kept.
const HISTORY: usize = 10_000;

/// Runs what the command line asks for and then the prompt; returns the exit
/// code.
pub(crate) fn run(
    console: &mut Console<SessionHandle>,
    mut plan: Plan,
    ending: &Ending,
    pump: &Pump,
) -> u8 {
    let mut input = Input::new(&console.session, pump);
    let flow = batch::before_prompt(console, &mut plan);
    if !matches!(flow, Ok(Flow::Quit)) {
        report(console, flow);
        converse(console, &mut input, ending, pump);
    }
    let told = batch::finish(console, plan.wants_stats(), false);
    let failed = told.is_err();
    report(console, told.map(|()| Flow::Stay));
    match ending.asked() {
        Some(signal) => u8::try_from(128 + signal).unwrap_or(1),
        None => u8::from(failed),
    }
}

fn report(console: &mut Console<SessionHandle>, flow: Result<Flow, CommandError>) {
    if let Err(error) = flow {
        console.report(&error);
    }
}

fn converse(console: &mut Console<SessionHandle>, input: &mut Input, ending: &Ending, pump: &Pump) {
    let mut last = String::new();
    loop {
        let shown = console.show_news();
        report(console, shown.map(|()| Flow::Stay));
        if ending.asked().is_some() || console.known.over || console.screen.is_broken() {
            return;
        }
        let line = match pump.while_editing(|| input.read("(trapline) ")) {
            Typed::Line(line) => line,
            Typed::News => continue,
            Typed::Interrupt => {
                if console.known.running {
                    let done = console.session.request(Command::Interrupt);
                    report(console, done.map(|_| Flow::Stay));
                }
                continue;
            }
            Typed::End => "quit".to_owned(),
            Typed::Gone => return,
        };
        let line = if line.trim().is_empty() { last.clone() } else { line };
        last = repeated(&line);
        match console.run_line(&line, input) {
            Ok(Flow::Quit) => return,
            flow => report(console, flow),
        }
    }
}

/// What an empty line after this one means.
fn repeated(line: &str) -> String {
    let Ok(Some(found)) = lookup::find(line) else { return String::new() };
    match found.row.name {
        _ if !found.row.repeats => String::new(),
        "list" if found.args != "-" => "list".to_owned(),
        // On from where the last one ended, in the same amounts.
        "x" => {
            let format = found.args.split_whitespace().next();
            format!("x{}", format.filter(|word| word.starts_with('/')).unwrap_or(""))
        }
        _ => line.to_owned(),
    }
}

/// What came from the user.
enum Typed {
    Line(String),
    News,
    Interrupt,
    End,
    /// The terminal is gone; nobody can be asked.
    Gone,
}

/// A line editor, or plain lines when standard input is no terminal.
enum Input {
    Editor(Box<Reedline>),
    Plain,
}

impl Input {
    fn new(session: &SessionHandle, pump: &Pump) -> Self {
        if super::at_a_terminal() {
            Self::Editor(Box::new(editor(session, pump)))
        } else {
            Self::Plain
        }
    }

    fn read(&mut self, prompt: &str) -> Typed {
        match self {
            Self::Plain => plain_line(),
            Self::Editor(editor) => match editor.read_line(&Words(prompt.to_owned())) {
                Ok(Signal::Success(line) | Signal::HostCommand(line)) => Typed::Line(line),
                Ok(Signal::CtrlC) => Typed::Interrupt,
                Ok(Signal::ExternalBreak(_)) => Typed::News,
                Ok(_) => Typed::End,
                Err(_) => Typed::Gone,
            },
        }
    }
}

impl Lines for Input {
    fn next_line(&mut self, prompt: &str) -> Option<String> {
        loop {
            match self.read(prompt) {
                Typed::Line(line) => return Some(line),
                // It will be shown when the prompt is back.
                Typed::News => {}
                Typed::Interrupt | Typed::End | Typed::Gone => return None,
            }
        }
    }

    fn confirm(&mut self, question: &str) -> bool {
        if matches!(self, Self::Plain) {
            return true;
        }
        let prompt = format!("{question} (y or n) ");
        loop {
            let answer = self.next_line(&prompt).map(|answer| answer.trim().to_lowercase());
            match answer.as_deref() {
                Some("y" | "yes") => return true,
                None | Some("n" | "no") => return false,
                Some(_) => {}
            }
        }
    }
}

fn plain_line() -> Typed {
    let mut line = String::new();
    // Whatever went out before must be seen before we wait.
    let _broken = io::stdout().flush();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => Typed::End,
        Ok(_) => Typed::Line(line),
    }
}

fn editor(session: &SessionHandle, pump: &Pump) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let complete = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu("completions".to_owned()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    let menu =
        ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name("completions")));
    let editor = Reedline::create()
        .with_ansi_colors(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .with_completer(Box::new(Names(session.clone())))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_menu(menu)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_break_signal(pump.news());
    let history = history_file().and_then(|file| FileBackedHistory::with_file(HISTORY, file).ok());
    match history {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

/// `$XDG_STATE_HOME/trapline/history`, by the XDG base directory
/// specification.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("trapline/history"))
}

struct Names(SessionHandle);

impl Completer for Names {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let before = line.get(..pos).unwrap_or(line);
        let (start, names) = completion::complete(before, &self.0);
        let offers: Vec<Suggestion> = names
            .into_iter()
            .map(|value| Suggestion {
                append_whitespace: !value.ends_with('/'),
                span: Span::new(start, before.len()),
                value,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(offers)
    }
}

/// A prompt of plain words.
struct Words(String);

impl Prompt for Words {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}

#[cfg(test)]
mod tests {
    use super::repeated;

    #[test]
    fn an_empty_line_repeats_what_moves_on() {
        let check = |line: &str, again: &str| assert_eq!(repeated(line), again, "{line}");
        check("si 3", "si 3");
        check("c", "c");
        check("list main", "list");
        check("l -", "l -");
        check("x/4xb &y", "x/4xb");
        check("x &y", "x");
        check("break main", "");
        check("", "");
    }
}
