//! A session: the target, the books, the breakpoints, and the one loop that
//! moves between the front ends' requests and the debuggee's events.
//!
//! What each part does lives in a module of its own, as methods of
//! [`Session`]: `run` holds the run loop's policy, `hits` decides what a pass
//! means, `sites` arms and disarms, and so on.

pub(crate) mod activations;
mod allocations;
mod arming;
mod attach;
mod binding;
mod children;
mod client;
mod code_io;
mod core_file;
mod course;
mod credit;
mod data;
mod deciding;
mod dispatch;
mod dying;
mod dynamic;
mod entry_values;
mod frameless;
mod frames;
mod hits;
mod inspect;
mod jump_report;
mod jumps;
mod lengths;
mod libraries;
mod line_steps;
mod located;
mod locking;
mod machine;
mod manage;
mod own_traps;
mod points;
mod predicates;
mod release;
mod resume;
mod returned;
mod run;
mod scope;
mod search;
mod seats;
mod sites;
mod source;
mod stepping;
mod stray_traps;
mod tail_calls;
mod truth;
mod values;
mod variables;
mod watching;
mod ways;

pub(crate) use hits::PassContext;
pub(crate) use line_steps::{Departure, Goal};
pub(crate) use scope::CodeScope;
pub(crate) use stepping::Residue;
pub(crate) use values::{Known, symbolic};

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use trapline_core::breakpoint::Mechanism;
use trapline_core::target::{LaunchSpec, Target, Wait};
use trapline_core::{ModuleId, Pid, Tid};
use trapline_patch::jump::Tactics;

use crate::breakpoints::Breakpoints;
use crate::command::{Command, CommandError, Reply, ResumePolicy, SchedulerLocking, Setting};
use crate::event::Event;
use crate::handle::Envelope;
use crate::images::{Images, SourceAges};
use crate::process::{Process, Thread};
use crate::signals::SignalTable;
use crate::space::{Modules, Space, SpaceId};
use crate::stream::EventSender;

/// What is said to whoever wants the program of a core file to move.
const DEAD: &str = "The program is not being run: this is the core file that it left.";

/// Everything the tracer thread owns.
pub(crate) struct Session {
    target: Box<dyn Target>,
    events: EventSender,
    processes: BTreeMap<Pid, Process>,
    spaces: BTreeMap<SpaceId, Space>,
    images: Images,
    breakpoints: Breakpoints,
    signals: SignalTable,
    settings: Settings,
    program: Option<Program>,
    /// The program that breakpoints were bound in before it ran.
    bound_in: Option<ModuleId>,
    selection: Option<Selected>,
    motion: Motion,
    /// What waits for everything to be stopped.
    chores: Vec<resume::Chore>,
    /// Threads with something to report, in the order in which it happened.
    report_queue: Vec<(Pid, Tid)>,
    runners: locking::Runners,
    next_thread: u32,
    next_space: u32,
    next_load_order: u32,
    known: values::Known,
    source_ages: SourceAges,
    /// The books of the client whose session this is.
    client: Option<client::Client>,
    began: Instant,
    /// First stop of the hold under way, for its duration.
    hold_began: Option<Instant>,
    over: bool,
}

/// The program that `run` starts.
pub(crate) struct Program {
    spec: LaunchSpec,
    image: Arc<trapline_symbols::Image>,
    /// Its image alone, as if it were loaded where it was linked.
    alone: Modules,
}

impl Program {
    fn new(spec: LaunchSpec, image: Arc<trapline_symbols::Image>) -> Self {
        Self { spec, alone: Modules::alone(image.clone()), image }
    }
}

/// What commands are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Selected {
    pid: Pid,
    tid: Tid,
    frame: usize,
}

/// Whether the debuggee moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Motion {
    /// Everything is stopped and the user may look.
    Held,
    /// It runs; what stops for nothing is resumed at once.
    Running,
    /// Being brought to a stop: what stops stays stopped.
    Holding,
}

/// What the user can set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    resume_policy: ResumePolicy,
    over_cover: bool,
    follow_children: bool,
    leave_running: bool,
    /// What serves breakpoints on code that ask for nothing else.
    mechanism: Option<Mechanism>,
    tactics: Tactics,
    scheduler_locking: SchedulerLocking,
    /// Whether objects are shown as what they are.
    print_object: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resume_policy: ResumePolicy::default(),
            over_cover: true,
            follow_children: false,
            leave_running: false,
            mechanism: None,
            tactics: Tactics::ALL,
            scheduler_locking: SchedulerLocking::default(),
            print_object: false,
        }
    }
}

impl Settings {
    fn apply(&mut self, setting: &Setting) {
        match *setting {
            Setting::ResumePolicy(policy) => self.resume_policy = policy,
            Setting::OverCover(on) => self.over_cover = on,
            Setting::FollowChildren(on) => self.follow_children = on,
            Setting::LeaveRunning(on) => self.leave_running = on,
            Setting::Mechanism(mechanism) => self.mechanism = mechanism,
            Setting::JumpTactics(tactics) => self.tactics = tactics,
            Setting::SchedulerLocking(locking) => self.scheduler_locking = locking,
            Setting::PrintObject(on) => self.print_object = on,
        }
    }

    fn mechanism_name(&self) -> String {
        self.mechanism.map_or_else(|| "auto".to_owned(), |mechanism| mechanism.to_string())
    }
}

impl Session {
    pub(crate) fn new(target: Box<dyn Target>, events: EventSender) -> Self {
        let images = Images::reporting_to(events.clone());
        Self {
            target,
            events,
            processes: BTreeMap::new(),
            spaces: BTreeMap::new(),
            images,
            breakpoints: Breakpoints::default(),
            signals: SignalTable::default(),
            settings: Settings::default(),
            program: None,
            bound_in: None,
            selection: None,
            motion: Motion::Held,
            chores: Vec::new(),
            report_queue: Vec::new(),
            runners: locking::Runners::All,
            next_thread: 1,
            next_space: 1,
            next_load_order: 1,
            known: values::Known::default(),
            source_ages: SourceAges::default(),
            client: None,
            began: Instant::now(),
            hold_began: None,
            over: false,
        }
    }

    /// Serves requests and events until the session is over: on `Quit`, or when
    /// the last front end has gone.
    pub(crate) fn serve(&mut self, requests: &mpsc::Receiver<Envelope>) {
        while !self.over {
            if !self.drain_requests(requests) {
                break;
            }
            if self.over {
                break;
            }
            if !self.processes.is_empty() {
                self.turn();
            } else if !self.see_off_the_dying() {
                match requests.recv() {
                    Ok(envelope) => self.answer(envelope),
                    Err(mpsc::RecvError) => break,
                }
            }
        }
    }

    /// Takes an event of a thread that was dying when its process was let go:
    /// until we have seen its end, the process's own end waits for us. `false`
    /// when there is none left.
    fn see_off_the_dying(&mut self) -> bool {
        match self.target.next_event(Wait::Block) {
            Ok(Some(event)) => {
                self.take(event);
                true
            }
            // A target that cannot be asked has nobody left either.
            Ok(None) | Err(_) => false,
        }
    }

    /// Says that the session ends because of a defect of ours.
    pub(crate) fn report_defect(&mut self) {
        self.motion = Motion::Running;
        self.warn(
            "Trapline met a defect of its own and ends the session; the panic above names the \
             place. Attached programs go on without breakpoints.",
        );
    }

    /// Takes one event and lets its consequences happen.
    fn turn(&mut self) {
        match self.target.next_event(Wait::Block) {
            Ok(Some(event)) => self.take(event),
            Ok(None) => self.lose_everything("the target has no process left"),
            Err(error) => self.lose_everything(&error.to_string()),
        }
        self.report_if_due();
        self.warn_of_cut_files();
    }

    /// Answers what is waiting; `false` when nobody can ask any more.
    fn drain_requests(&mut self, requests: &mpsc::Receiver<Envelope>) -> bool {
        loop {
            match requests.try_recv() {
                Ok(envelope) => self.answer(envelope),
                Err(mpsc::TryRecvError::Empty) => return true,
                Err(mpsc::TryRecvError::Disconnected) => return false,
            }
            if self.over {
                return true;
            }
        }
    }

    fn answer(&mut self, envelope: Envelope) {
        let reply = self.do_command(envelope.command);
        // A front end that went away does not want its answer any more.
        let _ = envelope.answer.send(reply);
        self.report_if_due();
    }

    fn do_command(&mut self, command: Command) -> Result<Reply, CommandError> {
        let reply = match self.needs_life(&command) {
            true => Err(CommandError::new(DEAD)),
            false => self.dispatch(command),
        };
        // Before the answer that may be incomplete, and so before the front end
        // goes on, perhaps to its end.
        self.warn_of_cut_files();
        reply
    }

    /// Whether a command would have a dead program do something.
    fn needs_life(&self, command: &Command) -> bool {
        !self.target.capabilities().can_run
            && matches!(
                command,
                Command::Run
                    | Command::Kill
                    | Command::Continue
                    | Command::StepInstruction { .. }
                    | Command::StepLine { .. }
                    | Command::Finish
                    | Command::RunTo { .. }
                    | Command::Break(_)
                    | Command::BreakEach { .. }
                    | Command::WriteMemory { .. }
                    | Command::NextSignal(_)
                    | Command::TimeHold { .. }
            )
    }

    /// Says once of each file that became shorter while we read it.
    fn warn_of_cut_files(&mut self) {
        for file in self.images.forget_cut_short() {
            self.warn(format!(
                "{} became shorter while it was in use; what is known of it may be incomplete: \
                 restart the program or name it again",
                file.display()
            ));
        }
    }

    /// Tells the front ends; with none left there is nobody to tell.
    fn emit(&self, event: Event) {
        self.events.send(event);
    }

    fn warn(&self, message: impl Into<String>) {
        self.emit(Event::Warning(message.into()));
    }

    fn thread(&self, pid: Pid, tid: Tid) -> Option<&Thread> {
        self.processes.get(&pid)?.threads.get(&tid)
    }

    fn thread_mut(&mut self, pid: Pid, tid: Tid) -> Option<&mut Thread> {
        self.processes.get_mut(&pid)?.threads.get_mut(&tid)
    }

    fn space_of(&self, pid: Pid) -> Option<&Space> {
        self.spaces.get(&self.processes.get(&pid)?.space)
    }

    fn space_of_mut(&mut self, pid: Pid) -> Option<&mut Space> {
        self.spaces.get_mut(&self.processes.get(&pid)?.space)
    }

    /// Every thread of the session.
    fn all_threads(&self) -> Vec<(Pid, Tid)> {
        self.processes
            .values()
            .flat_map(|process| process.threads.keys().map(|&tid| (process.pid, tid)))
            .collect()
    }

    /// Every thread that runs in a space.
    fn threads_of(&self, id: SpaceId) -> Vec<(Pid, Tid)> {
        let here = self.processes.values().filter(|process| process.space == id);
        here.flat_map(|process| process.threads.keys().map(|&tid| (process.pid, tid))).collect()
    }

    fn new_space(&mut self) -> SpaceId {
        let id = SpaceId::new(self.next_space);
        self.next_space += 1;
        id
    }

    fn new_thread(&mut self, tid: Tid) -> Thread {
        let number = self.next_thread;
        self.next_thread += 1;
        Thread::new(tid, number)
    }
}
