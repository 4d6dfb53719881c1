//! The console: a session, what it showed last, and where its text goes. It
//! does actions; looking at the program is in `inspect`, letting it run and
//! waiting for it in `control`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::stop::ExitStatus;
use trapline_core::target::LaunchSpec;
use trapline_core::{BreakpointId, Pid};
use trapline_engine::command::{BreakpointInfo, Change, Selection};
use trapline_engine::event::StopReport;
use trapline_engine::{Command, CommandError, Event, Reply};

use super::action::{Action, Lifetime, SetWhat};
use super::display::Displays;
use super::inspect::Cursor;
use super::screen::Screen;
use super::script::{self, Script};
use super::source::Sources;
use super::{help, json, lookup, render, spec};

/// Whoever answers commands: a session, or a script in tests.
pub(crate) trait Session {
    /// Asks and waits for the answer.
    fn request(&self, command: Command) -> Result<Reply, CommandError>;

    /// Sets breakpoints up to the first that cannot be; `told` hears of those
    /// that are.
    fn break_each(
        &self,
        specs: Vec<BreakpointSpec>,
        told: &mut dyn FnMut(Vec<BreakpointInfo>),
    ) -> Result<(), CommandError>;

    /// Gives the terminal to a program that is about to run.
    fn lend_terminal(&self, _to: Pid) {}

    /// Takes the terminal back from a program that has stopped.
    fn take_terminal(&self) {}
}

/// Where further lines come from: the prompt, a file, the command line.
pub(crate) trait Lines {
    /// The next line; `None` at the end.
    fn next_line(&mut self, prompt: &str) -> Option<String>;

    /// Asks before something is lost. Whoever is no person agrees.
    fn confirm(&mut self, _question: &str) -> bool {
        true
    }
}

impl<I: Iterator<Item = String>> Lines for I {
    fn next_line(&mut self, _prompt: &str) -> Option<String> {
        self.next()
    }
}

/// How the program is after a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// As before.
    Stay,
    /// It runs, and the prompt waits for it.
    Running,
    /// It runs, and the prompt is back.
    Background,
    /// The user wants to end.
    Quit,
}

/// What the console itself can be told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) list_size: u32,
    pub(crate) confirm: bool,
    pub(crate) intel: bool,
}

/// What is known of the program from events.
#[derive(Default)]
pub(crate) struct Known {
    /// Processes that are there.
    pub(crate) pids: BTreeSet<Pid>,
    /// The process we launched last.
    pub(crate) launched: Option<Pid>,
    /// The process whose end is the run's: launched or attached to first.
    pub(crate) main: Option<Pid>,
    /// Whether its threads run.
    pub(crate) running: bool,
    /// Whether it ever had threads to tell apart.
    pub(crate) many: bool,
    /// The stop seen last; `None` while it runs.
    pub(crate) stop: Option<StopReport>,
    /// How the main process ended.
    pub(crate) exit: Option<ExitStatus>,
    /// Whether it was ever let run.
    pub(crate) went: bool,
    /// The session is over.
    pub(crate) over: bool,
    /// The selected frame; 0 is the innermost.
    pub(crate) frame: usize,
}

/// A console on a session.
pub(crate) struct Console<S> {
    pub(crate) session: S,
    pub(crate) events: Receiver<Event>,
    pub(crate) screen: Screen,
    pub(crate) json: Option<json::Writer>,
    pub(crate) settings: Settings,
    pub(crate) launch: LaunchSpec,
    /// Whether the session knows the program as `launch` says it.
    pub(crate) launch_told: bool,
    pub(crate) known: Known,
    pub(crate) sources: Sources,
    pub(crate) cursor: Cursor,
    pub(crate) displays: Displays,
    pub(crate) last_breakpoint: Option<BreakpointId>,
    /// Breakpoints to turn off at their next stop.
    pub(crate) once: BTreeSet<BreakpointId>,
    /// Watches to set as soon as there is a process: data needs one.
    pub(crate) watches: Vec<BreakpointSpec>,
    /// How deep `source` and stop commands are nested.
    depth: u32,
}

/// Files that source files that source files, and commands that run commands,
/// end here.
const DEEPEST: u32 = 16;

impl<S: Session> Console<S> {
    /// A console that shows its text on `screen`.
    pub(crate) fn new(session: S, events: Receiver<Event>, screen: Screen) -> Self {
        Self {
            session,
            events,
            screen,
            json: None,
            settings: Settings { list_size: 10, confirm: true, intel: false },
            launch: LaunchSpec::default(),
            launch_told: false,
            known: Known::default(),
            sources: Sources::default(),
            cursor: Cursor::default(),
            displays: Displays::default(),
            last_breakpoint: None,
            once: BTreeSet::new(),
            watches: Vec::new(),
            depth: 0,
        }
    }

    /// Does what a line says and waits for the program if that made it run.
    ///
    /// # Errors
    /// Why it was not done.
    pub(crate) fn run_line(
        &mut self,
        line: &str,
        lines: &mut dyn Lines,
    ) -> Result<Flow, CommandError> {
        let action = lookup::read(&self.numbered(line)).map_err(CommandError::new)?;
        match self.execute(action, lines)? {
            Flow::Running => self.wait(),
            flow => Ok(flow),
        }
    }

    /// A line with the number of the newest breakpoint for gdb's `$bpnum`.
    fn numbered<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match self.last_breakpoint {
            Some(id) if line.contains("$bpnum") => line.replace("$bpnum", &id.to_string()).into(),
            _ => line.into(),
        }
    }

    /// Shows an error to the user, and to `--json`.
    pub(crate) fn report(&mut self, error: &CommandError) {
        self.screen.line(render::error(error));
        self.emit(&json::error(error));
    }

    /// Writes a line for `--json`, if that is wanted.
    pub(crate) fn emit(&mut self, line: &json::Line) {
        if let Some(writer) = &mut self.json
            && let Err(error) = writer.write(line)
        {
            self.json = None;
            self.screen.line(format!("cannot write the JSON lines any more: {error}"));
        }
    }

    /// Does one action; the program may run afterwards, nobody waits for it.
    ///
    /// # Errors
    /// Why it was not done.
    pub(crate) fn execute(
        &mut self,
        action: Action,
        lines: &mut dyn Lines,
    ) -> Result<Flow, CommandError> {
        match action {
            Action::Nothing => Ok(Flow::Stay),
            Action::Run { .. }
            | Action::Continue { .. }
            | Action::Step { .. }
            | Action::StepLine { .. }
            | Action::Finish
            | Action::RunTo { .. }
            | Action::Interrupt
            | Action::Signal(_)
            | Action::Kill
            | Action::Detach(_)
            | Action::Attach(_)
            | Action::File(_) => self.control(action, lines),
            Action::Break(_)
            | Action::Change(..)
            | Action::Commands(_)
            | Action::Enable(..)
            | Action::Disable(_)
            | Action::Delete(_)
            | Action::Clear(_) => self.change_breakpoints(action, lines).map(|()| Flow::Stay),
            Action::SaveBreakpoints(file) => self.save(&file).map(|()| Flow::Stay),
            Action::Source(file) => self.source(&file),
            Action::LoadViews(file) => self.load_views(&file).map(|()| Flow::Stay),
            Action::ThreadApply { threads, line } => self.thread_apply(threads, &line, lines),
            Action::Set(what) => self.set(what).map(|()| Flow::Stay),
            Action::Quit => Ok(if self.may_quit(lines) { Flow::Quit } else { Flow::Stay }),
            Action::Help(topic) => self.say(&help::help(&topic).map_err(CommandError::new)?),
            Action::Apropos(word) => self.say(&help::apropos(&word)),
            Action::Echo(text) => {
                self.screen.text(&text);
                Ok(Flow::Stay)
            }
            looking => self.inspect(looking).map(|()| Flow::Stay),
        }
    }

    fn say(&mut self, text: &str) -> Result<Flow, CommandError> {
        self.screen.line(text);
        Ok(Flow::Stay)
    }

    fn may_quit(&mut self, lines: &mut dyn Lines) -> bool {
        !self.settings.confirm
            || self.known.pids.is_empty()
            || lines.confirm("The program is still there. Quit anyway?")
    }

    fn change_breakpoints(
        &mut self,
        action: Action,
        lines: &mut dyn Lines,
    ) -> Result<(), CommandError> {
        match action {
            Action::Break(spec) => self.set_breakpoint(*spec),
            Action::Change(id, change) => self.change(id, change),
            Action::Commands(targets) => self.commands(targets, lines),
            Action::Enable(what, lifetime) => self.enable(what, lifetime),
            Action::Disable(what) => {
                self.session.request(Command::Enable { what, enabled: false }).map(drop)
            }
            Action::Delete(what) => {
                let all = what == Selection::All && self.settings.confirm;
                if all && !lines.confirm("Delete all breakpoints?") {
                    return Ok(());
                }
                self.session.request(Command::Delete(what)).map(drop)
            }
            Action::Clear(place) => self.clear(place.as_deref()),
            _ => Ok(()),
        }
    }

    /// Sets a breakpoint and says so.
    ///
    /// # Errors
    /// Why it cannot be set.
    pub(crate) fn set_breakpoint(&mut self, spec: BreakpointSpec) -> Result<(), CommandError> {
        if let Reply::Breakpoint(info) = self.session.request(Command::Break(spec))? {
            self.last_breakpoint = Some(info.id);
            self.screen.line(render::breakpoints::set(&info));
        }
        Ok(())
    }

    /// Sets breakpoints with one request and says so; the answer is how many
    /// were set.
    ///
    /// # Errors
    /// Why the one after them cannot be set; the rest was not tried.
    pub(crate) fn set_breakpoints(
        &mut self,
        specs: Vec<BreakpointSpec>,
    ) -> Result<(), (usize, CommandError)> {
        let Self { session, screen, last_breakpoint, .. } = self;
        let mut count = 0;
        let done = session.break_each(specs, &mut |set| {
            count += set.len();
            *last_breakpoint = set.last().map(|info| info.id).or(*last_breakpoint);
            screen.lines(set.iter().map(render::breakpoints::set));
        });
        done.map_err(|why| (count, why))
    }

    fn change(&mut self, id: BreakpointId, change: Change) -> Result<(), CommandError> {
        let said = match &change {
            Change::Condition(None) => format!("Breakpoint {id} now unconditional."),
            Change::Ignore(0) => format!("Will stop next time breakpoint {id} is reached."),
            Change::Ignore(count) => format!("Will ignore next {count} hits of breakpoint {id}."),
            _ => String::new(),
        };
        self.session.request(Command::Change(id, change))?;
        if !said.is_empty() {
            self.screen.line(said);
        }
        Ok(())
    }

    fn commands(
        &mut self,
        targets: Option<Vec<BreakpointId>>,
        lines: &mut dyn Lines,
    ) -> Result<(), CommandError> {
        let none = || CommandError::new("there is no breakpoint to give commands to");
        let targets = match targets {
            Some(targets) => targets,
            None => vec![self.last_breakpoint.ok_or_else(none)?],
        };
        let mut body = Vec::new();
        while let Some(line) = lines.next_line("> ") {
            let line = line.trim();
            if line == "end" {
                break;
            }
            if line != "silent" {
                lookup::find(line).map_err(CommandError::new)?;
            }
            body.push(line.to_owned());
        }
        for id in targets {
            self.change(id, Change::Commands(body.clone()))?;
        }
        Ok(())
    }

    fn enable(&mut self, what: Selection, lifetime: Lifetime) -> Result<(), CommandError> {
        self.session.request(Command::Enable { what: what.clone(), enabled: true })?;
        if lifetime == Lifetime::Lasting {
            return Ok(());
        }
        for id in self.selected(&what)? {
            if lifetime == Lifetime::Once {
                self.once.insert(id);
            } else {
                self.change(id, Change::Temporary(true))?;
            }
        }
        Ok(())
    }

    fn selected(&self, what: &Selection) -> Result<Vec<BreakpointId>, CommandError> {
        let all = self.breakpoints()?;
        let is_meant = |info: &&BreakpointInfo| match what {
            Selection::All => true,
            Selection::Breakpoints(ids) => ids.contains(&info.id),
            Selection::Location(location) => location.breakpoint == info.id,
            Selection::Named(name) => info.spec.names.contains(name),
        };
        Ok(all.iter().filter(is_meant).map(|info| info.id).collect())
    }

    /// All breakpoints.
    pub(crate) fn breakpoints(&self) -> Result<Vec<BreakpointInfo>, CommandError> {
        match self.session.request(Command::Breakpoints)? {
            Reply::Breakpoints(all) => Ok(all),
            _ => Ok(Vec::new()),
        }
    }

    fn clear(&mut self, place: Option<&str>) -> Result<(), CommandError> {
        let here = self.known.stop.as_ref().map(|stop| stop.frame.pc);
        let is_there = |info: &&BreakpointInfo| match place {
            None => info.locations.iter().any(|location| Some(location.address) == here),
            Some(place) => help::is_at(info, place),
        };
        let ids: Vec<BreakpointId> =
            self.breakpoints()?.iter().filter(is_there).map(|info| info.id).collect();
        if ids.is_empty() {
            let place = place.unwrap_or("the place where the program stands");
            return Err(CommandError::new(format!(
                "no breakpoint at {place}; `info breakpoints` shows those there are"
            )));
        }
        let names: Vec<String> = ids.iter().map(BreakpointId::to_string).collect();
        self.screen.line(format!("Deleted breakpoint {}", names.join(" ")));
        self.session.request(Command::Delete(Selection::Breakpoints(ids))).map(drop)
    }

    fn save(&mut self, file: &PathBuf) -> Result<(), CommandError> {
        let mut text = String::new();
        let all = self.breakpoints()?;
        for info in &all {
            text += &format!("{}\n", spec::to_command(&info.spec));
            if info.spec.ignore > 0 {
                text += &format!("ignore $bpnum {}\n", info.spec.ignore);
            }
            if !info.spec.enabled {
                text += "disable $bpnum\n";
            }
            if !info.spec.commands.is_empty() {
                text += &format!("commands\n{}\nend\n", info.spec.commands.join("\n"));
            }
        }
        fs::write(file, text).map_err(|error| cannot("write", file, &error))?;
        self.screen.line(format!("Saved {} breakpoints to {}.", all.len(), file.display()));
        Ok(())
    }

    /// Reads views of types.
    fn load_views(&mut self, file: &Path) -> Result<(), CommandError> {
        let text = fs::read_to_string(file).map_err(|error| cannot("read", file, &error))?;
        let name = file.display().to_string();
        if let Reply::Text(told) = self.session.request(Command::AddViews { name, text })? {
            self.screen.line(told);
        }
        Ok(())
    }

    /// Runs the commands of a file, until one fails.
    ///
    /// # Errors
    /// The failure, with file and line in front.
    pub(crate) fn source(&mut self, file: &Path) -> Result<Flow, CommandError> {
        let mut script = Script::default();
        script.add_file(file)?;
        let mut result = Ok(Flow::Stay);
        self.nested(|console| {
            while matches!(result, Ok(Flow::Stay))
                && let Some(step) = script.next_step()
            {
                result = console.run_step(step, &mut script);
            }
        })?;
        result.map_err(|error| script.placed(error))
    }

    /// Does a step of a script and waits for the program if that made it run.
    ///
    /// # Errors
    /// Why it was not done; the script stands at the line to blame.
    pub(crate) fn run_step(
        &mut self,
        step: script::Step,
        script: &mut Script,
    ) -> Result<Flow, CommandError> {
        match step {
            script::Step::Line(line) => self.run_line(&line, script),
            script::Step::Breakpoints(specs) => {
                let all = specs.len();
                let done = self.set_breakpoints(specs);
                done.map(|()| Flow::Stay).map_err(|(set, error)| {
                    script.blame(all - set);
                    error
                })
            }
        }
    }

    /// Runs something that may run commands in turn.
    pub(crate) fn nested(&mut self, run: impl FnOnce(&mut Self)) -> Result<(), CommandError> {
        if self.depth >= DEEPEST {
            return Err(CommandError::new("commands that run commands are nested too deeply"));
        }
        self.depth += 1;
        run(self);
        self.depth -= 1;
        Ok(())
    }

    fn set(&mut self, what: SetWhat) -> Result<(), CommandError> {
        self.launch_told = false;
        match what {
            SetWhat::Session(setting) => {
                return self.session.request(Command::Set(setting)).map(drop);
            }
            SetWhat::Args(args) => {
                self.launch.args = args.into_iter().map(Into::into).collect();
            }
            SetWhat::Environment(name, value) => {
                self.launch.environment.insert(name.into(), value.map(Into::into));
            }
            SetWhat::Directory(directory) => self.launch.directory = directory,
            SetWhat::Randomize(randomize) => self.launch.randomize_addresses = randomize,
            SetWhat::ListSize(lines) => self.settings.list_size = lines,
            SetWhat::Confirm(on) => self.settings.confirm = on,
            SetWhat::Intel(intel) => self.settings.intel = intel,
            SetWhat::StyleSources(on) => self.sources.set_styled(on),
            SetWhat::Substitute(from, to) => self.sources.substitute(from, to),
            SetWhat::NoSubstitutes => self.sources.forget_substitutes(),
        }
        Ok(())
    }
}

pub(crate) fn cannot(what: &str, file: &std::path::Path, error: &std::io::Error) -> CommandError {
    CommandError::new(format!("cannot {what} {}: {error}", file.display()))
}
