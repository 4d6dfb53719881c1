//! Which method answers which command. A flat table and nothing else.

use std::time::{Duration, Instant};

use trapline_core::Pid;
use trapline_core::stop::Signal;
use trapline_core::target::Wait;

use super::locking::{Leave, Runners};
use super::{Goal, Motion, Session};
use crate::command::{Command, CommandError, LineStep, Reply, ResumePolicy};
use crate::event::StopReason;

impl Session {
    // tidy: flat match
    pub(super) fn dispatch(&mut self, command: Command) -> Result<Reply, CommandError> {
        match command {
            Command::Program(spec) => self.set_program(spec),
            Command::Run => self.run_program(),
            Command::Attach(pid) => self.attach(pid),
            Command::Detach(pid) => self.detach(pid),
            Command::Kill => self.kill(),
            Command::Continue => self.resume_all(),
            Command::StepInstruction { count, over_calls } => self.step(count, over_calls),
            Command::StepLine { count, how } => self.step_line(count, how),
            Command::Finish => self.must_be_held().and_then(|()| self.finish()).map(done),
            Command::RunTo { location, in_frame } => self.run_to_location(&location, in_frame),
            Command::Interrupt => self.interrupt(),
            Command::Break(spec) => self.set_breakpoint(spec),
            Command::BreakEach { specs, set } => self.set_breakpoints(specs, &set),
            Command::Change(id, change) => self.change_breakpoint(id, change),
            Command::Delete(what) => self.delete(&what),
            Command::Enable { what, enabled } => self.enable(&what, enabled),
            Command::Breakpoints => Ok(self.breakpoint_table()),
            Command::Jump(id) => self.info_jump(id),
            Command::NeverBound => Ok(self.never_bound()),
            Command::Threads => Ok(self.thread_table()),
            Command::SelectThread(number) => self.select_thread(number),
            Command::SelectFrame(level) => self.select_frame(level),
            Command::Backtrace { limit, full } => self.backtrace(limit, full),
            Command::Print { expression, format } => self.print(&expression, format),
            Command::Evaluate { expression, format } => self.output(&expression, format),
            Command::Describe { what, expand } => self.describe_type(&what, expand),
            Command::WriteCore(path) => self.write_core(path),
            Command::AddViews { name, text } => self.add_views(&name, &text),
            Command::Views => Ok(self.list_views()),
            Command::Variables(kind) => self.variables(kind),
            Command::Registers(names) => self.registers(&names),
            Command::ReadMemory { address, len, raw } => self.read_memory(&address, len, raw),
            Command::WriteMemory { address, bytes } => {
                let selected = self.selected()?;
                self.write_truth(selected.pid, address, &bytes)?;
                self.refresh_watches();
                Ok(Reply::Done)
            }
            Command::Disassemble { what, intel } => self.disassemble(what, intel),
            Command::Source { location } => self.source(location),
            Command::InfoLine(location) => self.info_line(&location),
            Command::InfoScope(location) => self.info_scope(&location),
            Command::InfoSymbol(expression) => self.info_symbol(&expression),
            Command::Libraries => Ok(self.libraries()),
            Command::Process => self.process_facts(),
            Command::Signals => Ok(Reply::Signals(self.signals.rows())),
            Command::Handle { signals, stop, print, pass } => {
                Ok(self.handle_signals(&signals, stop, print, pass))
            }
            Command::NextSignal(signal) => self.next_signal(signal),
            Command::Set(setting) => {
                self.settings.apply(&setting);
                self.replan();
                Ok(Reply::Done)
            }
            Command::Settings => Ok(self.show_settings()),
            Command::Complete { kind, prefix, limit } => Ok(self.complete(kind, &prefix, limit)),
            Command::TimeHold { run_millis } => self.time_hold(run_millis),
            Command::Quit => {
                // Answered when all is done: whoever asked may end the process.
                self.end();
                Ok(Reply::Done)
            }
        }
    }

    fn must_be_held(&self) -> Result<(), CommandError> {
        if !self.processes.values().any(|process| process.is_debuggee()) {
            return Err(CommandError::new("The program is not being run."));
        }
        if self.motion != Motion::Held {
            return Err(CommandError::new("The program is running; interrupt it first."));
        }
        Ok(())
    }

    fn resume_all(&mut self) -> Result<Reply, CommandError> {
        self.must_be_held()?;
        self.choose_runners(Leave::Freely);
        self.continue_for_user();
        Ok(Reply::Done)
    }

    fn step(&mut self, count: u64, over_calls: bool) -> Result<Reply, CommandError> {
        self.must_be_held()?;
        self.start_step(count, over_calls)?;
        Ok(Reply::Done)
    }

    fn step_line(&mut self, count: u64, how: LineStep) -> Result<Reply, CommandError> {
        self.must_be_held()?;
        let goal = match how {
            LineStep::Into => Goal::Into,
            LineStep::Over => Goal::Over,
            LineStep::Onward => Goal::Onward,
        };
        self.step_lines(goal, count).map(done)
    }

    fn run_to_location(&mut self, location: &str, in_frame: bool) -> Result<Reply, CommandError> {
        self.must_be_held()?;
        let places = self.addresses_of(location)?;
        self.run_to(places, in_frame).map(done)
    }

    /// Stops everything on the user's behalf.
    fn interrupt(&mut self) -> Result<Reply, CommandError> {
        if self.motion != Motion::Running {
            return Ok(Reply::Done);
        }
        self.hold();
        self.warn_of_locked();
        if !self.has_reports()
            && let Some((pid, tid)) = self.thread_to_show()
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            thread.pending.push(StopReason::Interrupted);
            self.report_queue.push((pid, tid));
        }
        if !self.deliver() && !self.processes.is_empty() {
            self.let_run();
        }
        Ok(Reply::Done)
    }

    /// Measures one stop and resumption of everything. Events that arrive while
    /// it runs are taken as always; a stop of the user's ends it early.
    fn time_hold(&mut self, run_millis: u64) -> Result<Reply, CommandError> {
        self.must_be_held()?;
        self.runners = Runners::All;
        self.let_run();
        let until = Instant::now() + Duration::from_millis(run_millis);
        while Instant::now() < until && self.motion == Motion::Running {
            match self.target.next_event(Wait::Poll)? {
                Some(event) => self.take(event),
                None => std::thread::sleep(Duration::from_micros(200)),
            }
            self.report_if_due();
        }
        let began = Instant::now();
        self.hold();
        self.let_run();
        let took = began.elapsed();
        self.hold();
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        Ok(Reply::Duration { nanos })
    }

    /// What the program waits for may be locked: that is not to be puzzled over.
    fn warn_of_locked(&self) {
        let runner = self.lone_runner().and_then(|(pid, tid)| self.thread(pid, tid));
        if let Some(runner) = runner {
            self.warn(format!(
                "only thread {} ran (scheduler-locking): what it waits for may be held by another",
                runner.number
            ));
        }
    }

    /// The thread an interrupt shows: the one that runs alone, else the selected
    /// one, else a leader.
    fn thread_to_show(&self) -> Option<(Pid, trapline_core::Tid)> {
        let selected = self.selection.map(|selected| (selected.pid, selected.tid));
        let selected = self.lone_runner().or(selected);
        selected.filter(|(pid, tid)| self.thread(*pid, *tid).is_some()).or_else(|| {
            self.processes
                .values()
                .filter(|process| process.is_debuggee())
                .find_map(|process| process.threads.keys().next().map(|tid| (process.pid, *tid)))
        })
    }

    fn handle_signals(
        &mut self,
        signals: &[Signal],
        stop: Option<bool>,
        print: Option<bool>,
        pass: Option<bool>,
    ) -> Reply {
        let all: Vec<Signal> = if signals.is_empty() {
            // As gdb's `handle all`: not those the debugger itself lives by.
            let rows = self.signals.rows().into_iter().map(|(signal, _)| signal);
            rows.filter(|signal| *signal != Signal::TRAP && *signal != Signal::INT).collect()
        } else {
            signals.to_vec()
        };
        for &signal in &all {
            self.signals.change(signal, stop, print, pass);
        }
        Reply::Signals(all.iter().map(|&signal| (signal, self.signals.get(signal))).collect())
    }

    fn next_signal(&mut self, signal: Option<Signal>) -> Result<Reply, CommandError> {
        let selected = self.selected()?;
        if let Some(thread) = self.thread_mut(selected.pid, selected.tid) {
            thread.signal = signal;
        }
        Ok(Reply::Done)
    }

    fn show_settings(&self) -> Reply {
        let on = |flag: bool| if flag { "on" } else { "off" }.to_owned();
        let policy = match self.settings.resume_policy {
            ResumePolicy::Debugger => "debugger",
            ResumePolicy::Driver => "driver",
        };
        Reply::Settings(vec![
            ("resume-policy".to_owned(), policy.to_owned()),
            ("over-cover".to_owned(), on(self.settings.over_cover)),
            ("follow-children".to_owned(), on(self.settings.follow_children)),
            ("leave-running".to_owned(), on(self.settings.leave_running)),
            ("mechanism".to_owned(), self.settings.mechanism_name()),
            ("jump-tactics".to_owned(), self.settings.tactics.to_string()),
            ("scheduler-locking".to_owned(), self.settings.scheduler_locking.to_string()),
            ("print object".to_owned(), on(self.settings.print_object)),
        ])
    }
}

fn done((): ()) -> Reply {
    Reply::Done
}
