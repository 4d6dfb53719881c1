//! What the command line asks for: breakpoints, commands, a run to the end.
//!
//! Commands run as if typed. A launched program is started before the first
//! command that needs a process, and let run to its first stop before the
//! first command that needs a stop; after the last command it runs on when
//! every stop is to be gone through, or when it never ran. Then a launched
//! program is killed and an attached one let go.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use trapline_core::Pid;
use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::stop::Signal;
use trapline_core::x64::debug::Access;
use trapline_engine::command::Setting;
use trapline_engine::event::StopReason;
use trapline_engine::{Command, CommandError, Event, Reply};

use super::args::Wishes;
use super::console::{Console, Flow, Session};
use super::lookup;
use super::render::breakpoints::{never_bound, statistics};
use super::script::{Script, Step};
use super::table::Needs;
use super::{exit_code, json, spec};

/// What signals asked of us.
#[derive(Default, Debug)]
pub(crate) struct Ending {
    /// The number of the one that asked us to end; 0 while none did.
    signal: AtomicI32,
    /// Whether Ctrl-C was ever pressed.
    interrupted: AtomicBool,
}

impl Ending {
    /// Asks for the end.
    pub(crate) fn ask(&self, signal: i32) {
        self.signal.store(signal, Ordering::Release);
    }

    /// The signal that asked.
    pub(crate) fn asked(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Acquire)).filter(|&signal| signal != 0)
    }

    /// Ctrl-C was pressed, which ends a batch run: there is no prompt to come
    /// back to.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    /// Whether a batch run is to end.
    fn ends_batch(&self) -> bool {
        if self.interrupted.load(Ordering::Acquire) && self.asked().is_none() {
            self.ask(Signal::INT.0);
        }
        self.asked().is_some()
    }
}

/// Everything asked for on the command line.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Processes to attach to; the console's program is launched when empty.
    attach: Vec<Pid>,
    breakpoints: Vec<BreakpointSpec>,
    watches: Vec<BreakpointSpec>,
    script: Script,
    auto_continue: bool,
    stats: bool,
    follow_children: bool,
    /// Whether the processes are dead: nothing can go on.
    dead: bool,
}

impl Plan {
    /// The same for processes that are dead.
    pub(crate) fn of_the_dead(self, attach: Vec<Pid>) -> Self {
        Self { dead: true, attach, ..self }
    }

    /// Reads specifications and script files, before anything is started.
    ///
    /// # Errors
    /// The first of them that is wrong.
    pub(crate) fn new(wishes: &Wishes, attach: Vec<Pid>) -> Result<Self, CommandError> {
        let code = wishes.breakpoint.iter().map(|text| read("-b", text, spec::code(text)));
        let data = [
            ("-w", &wishes.watch, Access::Write),
            ("--rwatch", &wishes.rwatch, Access::Read),
            ("--awatch", &wishes.awatch, Access::ReadWrite),
        ];
        let data = data.iter().flat_map(|(flag, texts, access)| {
            texts.iter().map(|text| read(flag, text, spec::data(text, *access)))
        });
        let mut script = Script::default();
        for file in &wishes.scripts {
            script.add_file(file)?;
        }
        script.extend(&wishes.commands);
        Ok(Self {
            attach,
            breakpoints: code.collect::<Result<_, _>>()?,
            watches: data.collect::<Result<_, _>>()?,
            script,
            auto_continue: wishes.auto_continue,
            stats: wishes.stats,
            follow_children: wishes.follow_children,
            dead: false,
        })
    }

    /// Whether there is something to stop for, so that an interactive program
    /// is started at once.
    fn stops_somewhere(&self) -> bool {
        !self.breakpoints.is_empty() || !self.watches.is_empty()
    }

    /// Whether the table is to be shown at the end.
    pub(crate) fn wants_stats(&self) -> bool {
        self.stats
    }

    /// Loads the program or attaches, and sets the breakpoints.
    fn prepare<S: Session>(&mut self, console: &mut Console<S>) -> Result<(), CommandError> {
        if self.follow_children {
            console.session.request(Command::Set(Setting::FollowChildren(true)))?;
        }
        if self.attach.is_empty() {
            console.tell_program()?;
        }
        for pid in &self.attach {
            match self.dead {
                true => console.show_dead(*pid)?,
                false => console.attach(*pid)?,
            }
        }
        if !self.breakpoints.is_empty() {
            let specs = std::mem::take(&mut self.breakpoints);
            console.set_breakpoints(specs).map_err(|(_, error)| error)?;
        }
        console.watches = std::mem::take(&mut self.watches);
        if self.attach.is_empty() { Ok(()) } else { console.set_watches() }
    }

    /// Runs the commands, starting the program when one needs it.
    fn commands<S: Session>(&mut self, console: &mut Console<S>) -> Result<Flow, CommandError> {
        while let Some(step) = self.script.next_step() {
            let done = run_step(console, step, &mut self.script);
            let flow = done.map_err(|error| self.script.placed(error))?;
            console.show_news()?;
            if flow == Flow::Quit || console.known.over {
                return Ok(Flow::Quit);
            }
        }
        Ok(Flow::Stay)
    }
}

fn read(
    flag: &str,
    text: &str,
    spec: Result<BreakpointSpec, String>,
) -> Result<BreakpointSpec, CommandError> {
    spec.map_err(|why| CommandError::new(format!("{flag} '{text}': {why}")))
}

/// Does a step of a script, once the program is as far as it needs.
fn run_step<S: Session>(
    console: &mut Console<S>,
    step: Step,
    script: &mut Script,
) -> Result<Flow, CommandError> {
    if let Step::Line(line) = &step {
        let found = lookup::find(line).map_err(CommandError::new)?;
        reach(console, found.map_or(Needs::Nothing, |found| found.row.needs))?;
    }
    console.run_step(step, script)
}

/// Brings a launched program as far as a command needs it, if it was never
/// there.
fn reach<S: Session>(console: &mut Console<S>, needs: Needs) -> Result<(), CommandError> {
    if needs >= Needs::Process && console.known.main.is_none() {
        console.begin()?;
        if needs == Needs::Stop {
            console.resume(Command::Continue)?;
            console.wait()?;
        }
    } else if needs == Needs::Stop && !console.known.went && console.known.launched.is_some() {
        console.resume(Command::Continue)?;
        console.wait()?;
    }
    Ok(())
}

/// Does what the command line asks before the prompt appears.
///
/// # Errors
/// The first thing that could not be done.
pub(crate) fn before_prompt<S: Session>(
    console: &mut Console<S>,
    plan: &mut Plan,
) -> Result<Flow, CommandError> {
    let go = plan.stops_somewhere() && plan.script.is_empty() && plan.attach.is_empty();
    plan.prepare(console)?;
    if go {
        reach(console, Needs::Stop)?;
    }
    plan.commands(console)
}

/// The whole batch run; returns the exit code.
pub(crate) fn run<S: Session>(console: &mut Console<S>, mut plan: Plan, ending: &Ending) -> u8 {
    console.settings.confirm = false;
    let done = to_the_end(console, &mut plan, ending);
    if let Err(error) = &done {
        console.report(error);
    }
    tell_unbound(console);
    let killing = signal_at_hand(console);
    let attached = !plan.attach.is_empty() && !plan.dead;
    let told = finish(console, plan.stats, attached);
    if let Err(error) = &told {
        console.report(error);
    }
    let code = match (ending.asked(), &console.known.exit) {
        _ if done.is_err() || told.is_err() => 1,
        (Some(signal), _) => 128 + signal,
        (None, Some(status)) => exit_code(*status),
        (None, None) => killing.map_or(0, |signal| 128 + signal.0),
    };
    u8::try_from(code).unwrap_or(1)
}

/// The signal at which a launched program stands: it is not let go on to be
/// killed by it, and the run did not end as one that did all it should.
fn signal_at_hand<S: Session>(console: &Console<S>) -> Option<Signal> {
    let stop =
        console.known.stop.as_ref().filter(|stop| console.known.launched == Some(stop.pid))?;
    stop.reasons.iter().find_map(|reason| match reason {
        StopReason::Signal(info) => Some(info.signal),
        _ => None,
    })
}

fn to_the_end<S: Session>(
    console: &mut Console<S>,
    plan: &mut Plan,
    ending: &Ending,
) -> Result<(), CommandError> {
    plan.prepare(console)?;
    let commanded = !plan.script.is_empty();
    if plan.commands(console)? == Flow::Quit {
        return Ok(());
    }
    let attached = !plan.attach.is_empty();
    if console.known.main.is_none() {
        console.begin()?;
    }
    let goes_by_itself = plan.auto_continue || !(console.known.went || attached && commanded);
    let mut go = goes_by_itself && !plan.dead;
    if console.known.running {
        console.wait()?;
    }
    while go && !console.known.pids.is_empty() && !ending.ends_batch() {
        console.resume(Command::Continue)?;
        if ending.ends_batch() {
            // It came just before, when there was nothing to interrupt.
            console.session.request(Command::Interrupt)?;
        }
        console.wait()?;
        go = plan.auto_continue && !was_interrupted(console, ending);
    }
    Ok(())
}

/// Says which breakpoints never had a place, and why: a run that ends as if
/// nothing had been asked for looks like one where nothing happened.
fn tell_unbound<S: Session>(console: &mut Console<S>) {
    // A session that cannot answer says so where it matters.
    let Ok(Reply::Breakpoints(all)) = console.session.request(Command::NeverBound) else { return };
    for info in &all {
        console.on_event(&Event::Warning(never_bound(info)));
    }
}

fn was_interrupted<S: Session>(console: &Console<S>, ending: &Ending) -> bool {
    let by_user = |reason: &StopReason| *reason == StopReason::Interrupted;
    let stop = console.known.stop.as_ref();
    if stop.is_some_and(|stop| stop.reasons.iter().any(by_user)) {
        ending.interrupt();
    }
    ending.ends_batch() || console.known.over
}

/// Tells what became of the breakpoints and ends the session.
///
/// # Errors
/// What kept us from it.
pub(crate) fn finish<S: Session>(
    console: &mut Console<S>,
    stats: bool,
    attached: bool,
) -> Result<(), CommandError> {
    if console.known.over {
        return Ok(());
    }
    if stats || console.json.is_some() {
        let all = console.breakpoints()?;
        if stats {
            console.screen.line(statistics(&all));
        }
        for info in &all {
            console.emit(&json::breakpoint(info));
        }
    }
    if attached && !console.known.pids.is_empty() {
        console.detach(None)?;
    }
    // What was on its way is not lost.
    while let Ok(event) = console.events.try_recv() {
        console.on_event(&event);
    }
    console.session.request(Command::Quit).map(drop)
}
