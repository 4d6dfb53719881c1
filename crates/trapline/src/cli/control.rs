//! Letting the program run, and everything that happens until it stops.

use std::time::Instant;

use trapline_core::breakpoint::{BreakpointSpec, Subject};
use trapline_core::stop::ExitStatus;
use trapline_core::target::LaunchSpec;
use trapline_core::{BreakpointId, Pid};
use trapline_engine::command::{Change, Selection};
use trapline_engine::event::{StopReason, StopReport};
use trapline_engine::{Command, CommandError, Event, Reply};

use super::action::Action;
use super::console::{Console, Flow, Lines, Session};
use super::inspect::Cursor;
use super::json::{self, Timed};
use super::render;

/// What an event means to whoever waits for the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Happened {
    /// It goes on.
    Going,
    /// It stands.
    Stopped,
    /// No process is left.
    Ended,
}

impl<S: Session> Console<S> {
    pub(super) fn control(
        &mut self,
        action: Action,
        lines: &mut dyn Lines,
    ) -> Result<Flow, CommandError> {
        match action {
            Action::Run { args, at_main, background } => {
                self.run_program(args, at_main, lines)?;
                self.go_on(background)
            }
            Action::Continue { skip, background } => {
                self.skip_hits(skip)?;
                self.go_on(background)
            }
            Action::Step { count, over_calls } => {
                self.resume(Command::StepInstruction { count, over_calls })?;
                Ok(Flow::Running)
            }
            Action::StepLine { count, how } => {
                self.resume(Command::StepLine { count, how })?;
                Ok(Flow::Running)
            }
            Action::Finish => self.finish(),
            Action::RunTo { location, in_frame } => {
                self.resume(Command::RunTo { location, in_frame })?;
                Ok(Flow::Running)
            }
            Action::Signal(signal) => {
                self.session.request(Command::NextSignal(signal))?;
                self.resume(Command::Continue)?;
                Ok(Flow::Running)
            }
            Action::Interrupt => {
                self.session.request(Command::Interrupt)?;
                Ok(if self.known.running { Flow::Running } else { Flow::Stay })
            }
            Action::Kill => self.kill(lines).map(|()| Flow::Stay),
            Action::Detach(pid) => self.detach(pid).map(|()| Flow::Stay),
            Action::Attach(pid) => self.attach(pid).map(|()| Flow::Stay),
            Action::File(program) => {
                let launch = LaunchSpec { program, ..self.launch.clone() };
                self.tell_launch(launch).map(|()| Flow::Stay)
            }
            _ => Ok(Flow::Stay),
        }
    }

    fn finish(&mut self) -> Result<Flow, CommandError> {
        let frame = self.session.request(Command::SelectFrame(self.known.frame))?;
        self.resume(Command::Finish)?;
        if let Reply::Frame(frame) = frame {
            self.screen
                .line(format!("Run till exit from {}", render::code::numbered_frame(&frame)));
        }
        Ok(Flow::Running)
    }

    fn run_program(
        &mut self,
        args: Option<Vec<String>>,
        at_main: bool,
        lines: &mut dyn Lines,
    ) -> Result<(), CommandError> {
        let alive = !self.known.pids.is_empty() && self.settings.confirm;
        if alive && !lines.confirm("The program runs already. Start it from the beginning?") {
            return Err(CommandError::new("the program was not started anew"));
        }
        if let Some(args) = args {
            self.launch.args = args.into_iter().map(Into::into).collect();
            self.launch_told = false;
        }
        if at_main {
            let main = Subject::Code { location: "main".to_owned(), mechanism: None };
            let spec = BreakpointSpec { temporary: true, ..BreakpointSpec::at(main) };
            self.set_breakpoint(spec)?;
        }
        self.begin()
    }

    /// Names the program to the session, which loads its symbols.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(crate) fn tell_program(&mut self) -> Result<(), CommandError> {
        if self.launch_told { Ok(()) } else { self.tell_launch(self.launch.clone()) }
    }

    /// Makes this what is launched, unless the session refuses it.
    fn tell_launch(&mut self, launch: LaunchSpec) -> Result<(), CommandError> {
        if launch.program.as_os_str().is_empty() {
            return Err(CommandError::new("no program: say which with `file PROGRAM`"));
        }
        self.session.request(Command::Program(launch.clone()))?;
        self.launch = launch;
        self.launch_told = true;
        Ok(())
    }

    /// Starts the program and leaves it before its first instruction.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub(crate) fn begin(&mut self) -> Result<(), CommandError> {
        // Why there is none to run is the session's to say: it may be dead.
        if !self.launch.program.as_os_str().is_empty() {
            self.tell_program()?;
        }
        let started = self.session.request(Command::Run);
        // A launched program has the terminal; it stands, and the prompt reads.
        self.session.take_terminal();
        if let Reply::Started { pid } = started? {
            self.known.pids.clear();
            self.known.many = false;
            self.known.launched = Some(pid);
            self.known.main = Some(pid);
            self.is_there(pid);
        }
        self.set_watches()
    }

    /// Sets the watches that waited for a process.
    ///
    /// # Errors
    /// Why one of them cannot be set.
    pub(crate) fn set_watches(&mut self) -> Result<(), CommandError> {
        std::mem::take(&mut self.watches).into_iter().try_for_each(|spec| self.set_breakpoint(spec))
    }

    /// Takes over a process and leaves it stopped.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn attach(&mut self, pid: Pid) -> Result<(), CommandError> {
        self.take_over(pid)?;
        self.screen.line(format!("Attached to process {pid}."));
        self.show_where_it_stands();
        Ok(())
    }

    /// Shows a process that is dead.
    ///
    /// # Errors
    /// Why it cannot be shown.
    pub(crate) fn show_dead(&mut self, pid: Pid) -> Result<(), CommandError> {
        self.take_over(pid)?;
        if let Reply::Process { death: Some(death), args, .. } =
            self.session.request(Command::Process)?
        {
            self.screen.line(render::stop::death(&args, death));
        }
        self.show_where_it_stands();
        Ok(())
    }

    fn take_over(&mut self, pid: Pid) -> Result<(), CommandError> {
        let began = Instant::now();
        self.session.request(Command::Attach(pid))?;
        let nanos = nanos_since(began);
        self.known.main.get_or_insert(pid);
        self.is_there(pid);
        self.emit(&json::timing(Timed::Attach, nanos));
        Ok(())
    }

    fn show_where_it_stands(&mut self) {
        if let Ok(Reply::Frame(frame)) = self.session.request(Command::SelectFrame(0)) {
            self.screen.line(render::frame_text(&frame, false));
        }
    }

    fn is_there(&mut self, pid: Pid) {
        self.known.pids.insert(pid);
        self.known.running = false;
        self.known.stop = None;
        self.known.exit = None;
        self.cursor = Cursor::default();
        self.known.frame = 0;
    }

    /// Lets go of one process or of all.
    ///
    /// # Errors
    /// Why it was not done.
    pub(crate) fn detach(&mut self, pid: Option<Pid>) -> Result<(), CommandError> {
        let began = Instant::now();
        self.session.request(Command::Detach(pid))?;
        let nanos = nanos_since(began);
        match pid {
            Some(pid) => {
                self.known.pids.remove(&pid);
            }
            None => self.known.pids.clear(),
        }
        self.known.running &= !self.known.pids.is_empty();
        self.emit(&json::timing(Timed::Detach, nanos));
        let whom = pid.map_or_else(|| "all processes".to_owned(), |pid| format!("process {pid}"));
        self.screen.line(format!("Detached from {whom}."));
        Ok(())
    }

    fn kill(&mut self, lines: &mut dyn Lines) -> Result<(), CommandError> {
        if self.settings.confirm && !lines.confirm("Kill the program?") {
            return Ok(());
        }
        self.session.request(Command::Kill)?;
        self.known.pids.clear();
        self.known.running = false;
        self.screen.line("[The program was killed]");
        Ok(())
    }

    /// `continue N`: the breakpoint of the last stop lets N - 1 hits through.
    fn skip_hits(&mut self, skip: u64) -> Result<(), CommandError> {
        if skip == 0 {
            return Ok(());
        }
        let reasons = self.known.stop.iter().flat_map(|stop| &stop.reasons);
        let mut ids = reasons.filter_map(stopped_by);
        let id = ids.next().ok_or_else(|| {
            CommandError::new("`continue N` needs a breakpoint that the program stands at")
        })?;
        self.session.request(Command::Change(id, Change::Ignore(skip))).map(drop)
    }

    fn go_on(&mut self, background: bool) -> Result<Flow, CommandError> {
        if background {
            // The prompt keeps the terminal.
            self.let_run(Command::Continue)?;
            return Ok(Flow::Background);
        }
        self.resume(Command::Continue)?;
        Ok(Flow::Running)
    }

    /// Lets the program run, with the terminal.
    ///
    /// # Errors
    /// Why it cannot; it still stands.
    pub(crate) fn resume(&mut self, command: Command) -> Result<(), CommandError> {
        if let Some(pid) = self.known.launched {
            self.session.lend_terminal(pid);
        }
        let done = self.let_run(command);
        if done.is_err() {
            self.session.take_terminal();
        }
        done
    }

    fn let_run(&mut self, command: Command) -> Result<(), CommandError> {
        self.session.request(command)?;
        self.known.running = true;
        self.known.went = true;
        self.known.stop = None;
        Ok(())
    }

    /// Waits until the program stops for good: stops whose commands resume it
    /// and stops that want to go on by themselves are gone through.
    pub(crate) fn wait(&mut self) -> Result<Flow, CommandError> {
        loop {
            match self.await_stop() {
                Happened::Going => {}
                Happened::Ended => return Ok(Flow::Stay),
                Happened::Stopped => match self.after_stop()? {
                    Flow::Running => {}
                    flow => return Ok(flow),
                },
            }
        }
    }

    /// Waits for the next stop or the end and shows what happens meanwhile.
    pub(crate) fn await_stop(&mut self) -> Happened {
        while let Ok(event) = self.events.recv() {
            let happened = self.on_event(&event);
            if happened != Happened::Going {
                self.session.take_terminal();
                return happened;
            }
        }
        self.known.over = true;
        self.known.running = false;
        self.session.take_terminal();
        Happened::Ended
    }

    /// Shows what has happened in a program that runs in the background.
    pub(crate) fn show_news(&mut self) -> Result<(), CommandError> {
        while let Ok(event) = self.events.try_recv() {
            if self.on_event(&event) == Happened::Stopped {
                self.after_stop()?;
            }
        }
        Ok(())
    }

    /// Runs the commands of the breakpoints that stopped the program, and goes
    /// on if they wish.
    pub(crate) fn after_stop(&mut self) -> Result<Flow, CommandError> {
        let Some(report) = self.known.stop.clone() else { return Ok(Flow::Stay) };
        let commands = report.commands.iter().filter(|line| line.trim() != "silent").cloned();
        let mut lines: Vec<String> = commands.collect();
        lines.reverse();
        let mut lines = std::iter::from_fn(move || lines.pop());
        while let Some(line) = lines.next() {
            let action = super::lookup::read(&line).map_err(CommandError::new)?;
            match self.execute(action, &mut lines)? {
                Flow::Stay => {}
                flow => return Ok(flow),
            }
        }
        if report.auto_continue {
            self.resume(Command::Continue)?;
            return Ok(Flow::Running);
        }
        Ok(Flow::Stay)
    }

    /// Shows an event and keeps what it says.
    pub(crate) fn on_event(&mut self, event: &Event) -> Happened {
        if let Some(line) = json::event(event) {
            self.emit(&line);
        }
        match event {
            Event::Stopped(report) => self.on_stop(report),
            Event::Log(record) => self.screen.line(render::stop::log(record)),
            Event::ProcessStarted { pid, .. } => {
                self.known.pids.insert(*pid);
            }
            Event::ThreadCreated { number, .. } => self.known.many |= *number > 1,
            Event::ProcessExited { pid, status, .. } => return self.on_exit(*pid, *status),
            Event::BreakpointChanged { id, deleted: true, .. } => {
                self.once.remove(id);
            }
            Event::SessionEnded => {
                self.known.over = true;
                return Happened::Ended;
            }
            _ => {}
        }
        if let Some(text) = render::stop::notice(event) {
            self.screen.line(text);
        }
        match event {
            Event::Stopped(report) if !is_start(report) => Happened::Stopped,
            _ => Happened::Going,
        }
    }

    fn on_stop(&mut self, report: &StopReport) {
        if is_start(report) {
            return;
        }
        self.known.running = false;
        self.known.many |= report.thread > 1;
        self.known.stop = Some(report.clone());
        self.cursor = Cursor::default();
        self.known.frame = 0;
        self.turn_off_once(report);
        if report.commands.first().is_some_and(|first| first.trim() == "silent") {
            return;
        }
        let source = self.line_of_frame(&report.frame);
        self.screen.line(render::stop::stop(report, source.as_deref(), self.known.many));
        self.show_displays();
    }

    fn turn_off_once(&mut self, report: &StopReport) {
        let hit: Vec<BreakpointId> = report.reasons.iter().filter_map(stopped_by).collect();
        let off: Vec<BreakpointId> = hit.into_iter().filter(|id| self.once.remove(id)).collect();
        if off.is_empty() {
            return;
        }
        let what = Selection::Breakpoints(off);
        if let Err(error) = self.session.request(Command::Enable { what, enabled: false }) {
            self.report(&error);
        }
    }

    fn on_exit(&mut self, pid: Pid, status: ExitStatus) -> Happened {
        // One that we killed or let go of has been spoken of.
        if !self.known.pids.remove(&pid) {
            return Happened::Going;
        }
        self.screen.line(render::stop::exit(pid, status));
        if self.known.main == Some(pid) {
            self.known.exit = Some(status);
        }
        if !self.known.pids.is_empty() {
            return Happened::Going;
        }
        self.known.running = false;
        self.known.stop = None;
        Happened::Ended
    }
}

fn is_start(report: &StopReport) -> bool {
    report.reasons.iter().all(|reason| *reason == StopReason::Started)
}

/// The breakpoint behind a reason.
pub(crate) fn stopped_by(reason: &StopReason) -> Option<BreakpointId> {
    match reason {
        StopReason::Breakpoint { id, .. }
        | StopReason::Data { id, .. }
        | StopReason::ConditionError { id, .. } => Some(*id),
        _ => None,
    }
}

fn nanos_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
