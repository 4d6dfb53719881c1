//! The command line front end: arguments, the prompt, batch runs, and the
//! text that people and programs read.
//!
//! A line goes from `lookup` (which row of `table`) through `parse` (which
//! `action`) to the `console`, which asks the session and shows its answers
//! through `render`.

mod action;
mod args;
mod batch;
mod completion;
mod console;
mod control;
mod coverage;
mod demo;
mod display;
mod help;
mod highlight;
mod inspect;
mod json;
mod listing;
mod lookup;
mod mixed;
mod parse;
mod prompt;
mod pump;
mod render;
mod screen;
mod script;
mod source;
pub(crate) mod spec;
mod table;
mod words;

#[cfg(test)]
mod scripted;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use trapline_core::Pid;
use trapline_core::stop::ExitStatus;
use trapline_core::target::LaunchSpec;
use trapline_engine::{Command, CommandError, Events, SessionHandle};

use crate::backend;
use crate::gdbserver;

use args::{CommandLine, CoreArgs, RunArgs, What, Wishes};
use batch::{Ending, Plan};
pub(crate) use console::Session;
use console::{Console, cannot};
use pump::Pump;
use screen::Screen;

/// The program `trapline`.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    backend::prepare_process();
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Nobody is left to tell when even this cannot be printed.
            let _unread = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match line.what {
        What::Run(run) => debug(&run.wishes, launch_spec(&run), Vec::new()),
        What::Attach(attach) => {
            let pids = attach.pid.iter().copied().map(Pid::new).collect();
            debug(&attach.wishes, LaunchSpec::default(), pids)
        }
        What::Core(dead) => core(&dead),
        What::Gdbserver(args) => Ok(gdbserver::main(args.words)),
        What::Demo => demo::run(),
        What::Coverage(coverage) => coverage::run(&coverage),
        What::Completions { shell } => {
            let mut command = CommandLine::command();
            clap_complete::generate(shell, &mut command, "trapline", &mut io::stdout());
            Ok(0)
        }
    };
    done.map_or_else(
        |error| {
            Screen::stderr().line(inspect::plain_error(&error));
            ExitCode::from(1)
        },
        ExitCode::from,
    )
}

fn launch_spec(run: &RunArgs) -> LaunchSpec {
    let mut words = run.program.iter().cloned();
    let environment = run.env.iter().map(|(name, value)| (name.into(), Some(value.into())));
    LaunchSpec {
        program: words.next().unwrap_or_default().into(),
        args: words.collect(),
        environment: environment.collect(),
        directory: run.cd.clone(),
        randomize_addresses: run.aslr,
        stdout: run.stdout.clone(),
        stderr: run.stderr.clone(),
        stdin: run.stdin.clone(),
    }
}

fn debug(wishes: &Wishes, launch: LaunchSpec, pids: Vec<Pid>) -> Result<u8, CommandError> {
    let plan = Plan::new(wishes, pids)?;
    let opened = open(screen_for(wishes), backend::local_session)?;
    talk(wishes, plan, launch, opened)
}

/// Looks at a dead program.
fn core(args: &CoreArgs) -> Result<u8, CommandError> {
    let plan = Plan::new(&args.wishes, Vec::new())?;
    let mut dead = Vec::new();
    let opened = open(screen_for(&args.wishes), || {
        let program = args.program.as_deref();
        let (session, events, pid) = backend::core_session(&args.core, program)?;
        dead.push(pid);
        Ok((session, events))
    })?;
    talk(&args.wishes, plan.of_the_dead(dead), LaunchSpec::default(), opened)
}

fn talk(
    wishes: &Wishes,
    plan: Plan,
    launch: LaunchSpec,
    opened: Opened,
) -> Result<u8, CommandError> {
    let Opened { mut console, pump, ending, _end } = opened;
    console.launch = launch;
    // A batch run is read by programs, or later.
    console.sources.set_styled(!wishes.batch);
    console.json = json_writer(wishes)?;
    if wishes.batch {
        return Ok(batch::run(&mut console, plan, &ending));
    }
    Ok(prompt::run(&mut console, plan, &ending, &pump))
}

/// A session with a console on it, and the threads that carry
/// its events and our signals.
fn open(
    screen: Screen,
    session: impl FnOnce() -> Result<(SessionHandle, Events), CommandError>,
) -> Result<Opened, CommandError> {
    let requests = backend::Requests::keep();
    let (session, events) = session()?;
    let end = OrderlyEnd(session.clone());
    let (pump, events) = Pump::start(events)?;
    let ending = Arc::new(Ending::default());
    pump::obey_signals(requests, session.clone(), Arc::clone(&ending), pump.clone())?;
    Ok(Opened { console: Console::new(session, events, screen), pump, ending, _end: end })
}

/// A console and what belongs to it.
struct Opened {
    console: Console<SessionHandle>,
    pump: Pump,
    ending: Arc<Ending>,
    _end: OrderlyEnd,
}

/// Ends the session when we leave, be it by a panic: other threads hold
/// handles, so dropping ours is not enough.
struct OrderlyEnd(SessionHandle);

impl Drop for OrderlyEnd {
    fn drop(&mut self) {
        // Usually the session is over by now.
        let _over = self.0.request(Command::Quit);
    }
}

/// Text goes to standard output at the prompt; in a batch run to standard
/// error, unless `--json` took that.
fn screen_for(wishes: &Wishes) -> Screen {
    match (&wishes.json, wishes.batch) {
        (Some(None), true) => Screen::new(Box::new(io::sink())),
        (_, true) => Screen::stderr(),
        _ => Screen::stdout(),
    }
}

fn json_writer(wishes: &Wishes) -> Result<Option<json::Writer>, CommandError> {
    let Some(wanted) = &wishes.json else { return Ok(None) };
    let to: Box<dyn io::Write + Send> = match wanted {
        None => Box::new(io::stderr()),
        Some(file) if file == Path::new("-") => Box::new(io::stdout()),
        Some(file) => Box::new(File::create(file).map_err(|error| cannot("create", file, &error))?),
    };
    Ok(Some(json::Writer::new(to)))
}

/// What a shell would say of a process that ended so.
fn exit_code(status: ExitStatus) -> i32 {
    match status {
        ExitStatus::Exited(code) => code,
        ExitStatus::Signalled { signal, .. } => 128 + signal.0,
    }
}

/// Whether a person sits at both ends.
fn at_a_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}
