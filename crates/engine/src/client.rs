//! A session for a client that keeps breakpoints, threads and symbols of its
//! own, such as a debugger at the other end of a wire.
//!
//! It runs on the caller's thread, which thereby becomes the tracer and sleeps
//! with the debuggee: an order costs no hand-off between threads. What the
//! client is told are facts (which thread, why, where), without the names and
//! values that a person wants; images are read when something needs them.
//!
//! The client decides what runs ([`ClientSession::resume`]): every other thread
//! is *parked*. Resuming at a breakpoint reports it again and runs nothing, so
//! the client owns stepping over. How its words are read is left to the front
//! end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use trapline_core::breakpoint::Tally;
use trapline_core::location::Frame;
use trapline_core::stop::Signal;
use trapline_core::target::{LaunchSpec, ProcessInfo, Protection, Region, Target};
use trapline_core::x64::debug::Access;
use trapline_core::x64::{ExtendedState, Registers};
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};
use trapline_expr::Program;

use crate::command::{Command, CommandError, Reply};
use crate::event::Event;
use crate::session::Session;
use crate::stream::{Events, stream};

/// Which rules a session of a client follows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientRules {
    /// Whether a stop of one thread leaves the others running.
    pub non_stop: bool,
    /// Whether a fork stops, with the child, before either goes on.
    pub forks: bool,
    /// Whether a vfork stops, and again when the child has left its parent's
    /// memory.
    pub vforks: bool,
    /// Whether an exec stops.
    pub execs: bool,
    /// Whether a new thread stops before its first instruction.
    pub births: bool,
}

/// A thread of a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadKey {
    /// The process.
    pub pid: Pid,
    /// The thread.
    pub tid: Tid,
}

/// How a thread is to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Which.
    pub thread: ThreadKey,
    /// How far.
    pub stride: Stride,
    /// The signal that it is given; `None` for none, whatever it stopped for.
    pub signal: Option<Signal>,
}

/// How far a thread goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stride {
    /// Until something stops it.
    Run,
    /// One instruction.
    Step,
    /// By single instructions until it stands outside of a range.
    StepWhileIn(AddrRange),
}

/// What a client asks to be stopped at, by which it is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PointKey {
    /// Which kind.
    pub kind: PointKind,
    /// Where.
    pub addr: VirtAddr,
    /// Bytes that are watched; 1 for code.
    pub len: u64,
}

/// The kinds of points.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PointKind {
    /// Code, by what serves it best.
    Code,
    /// Code, by a debug register.
    HardwareCode,
    /// Data that is written.
    Write,
    /// Data that is read.
    Read,
    /// Data that is read or written.
    Access,
}

impl PointKind {
    /// Which touches of data it is about; `None` for code.
    pub fn access(self) -> Option<Access> {
        match self {
            Self::Code | Self::HardwareCode => None,
            Self::Write => Some(Access::Write),
            Self::Read => Some(Access::Read),
            Self::Access => Some(Access::ReadWrite),
        }
    }
}

/// A point with what it says.
#[derive(Clone, Debug)]
pub struct Point {
    /// Where and what.
    pub key: PointKey,
    /// Counts only when this is true.
    pub condition: Option<Arc<Program>>,
    /// What is done at a hit instead of a stop.
    pub commands: Option<Arc<dyn Commands>>,
}

/// What a client has done at every hit of a point instead of a stop.
pub trait Commands: fmt::Debug + Send + Sync {
    /// What was asked for: commands with the same source do the same.
    fn source(&self) -> &[Vec<u8>];

    /// Looks at the thread that hits, and makes the text that is to be told.
    /// What cannot be had shows in the text.
    fn run(&self, frame: &dyn Frame) -> String;
}

/// What became of a point, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PointInfo {
    /// Which.
    pub key: PointKey,
    /// Whose.
    pub pid: Pid,
    /// What it asks, in words.
    pub condition: Option<Arc<str>>,
    /// What serves it, and why; or why nothing does.
    pub service: Result<(trapline_core::breakpoint::Mechanism, String), String>,
    /// What happened there.
    pub tally: Tally,
}

/// How a program is started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The file and arguments that are executed first.
    pub spec: LaunchSpec,
    /// How often it executes another program before it is the one that is
    /// meant: a shell, a wrapper.
    pub execs: u32,
}

/// The session.
pub struct ClientSession {
    session: Session,
    events: Events,
}

impl ClientSession {
    /// Makes a session on a target, which belongs to this thread.
    pub fn new(target: Box<dyn Target>) -> Self {
        let (sender, events) = stream();
        let mut session = Session::new(target, sender);
        session.serve_client(ClientRules::default());
        Self { session, events }
    }

    /// Changes the rules.
    pub fn set_rules(&mut self, rules: ClientRules) {
        self.session.serve_client(rules);
    }

    /// Does what any front end may ask, for what is meant for people.
    ///
    /// # Errors
    /// What went wrong, as a sentence.
    pub fn request(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.session.do_at_once(command)
    }

    /// What has happened, in order.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Sleeps until the debuggee has news or the target is woken, and deals with
    /// that. Returns at once when there is no process.
    pub fn wait(&mut self) {
        self.session.wait_for_news();
    }

    /// Deals with the news that are there.
    pub fn poll(&mut self) {
        self.session.take_news();
    }

    /// Whether a thread runs that has been let go.
    pub fn is_running(&self) -> bool {
        self.session.client_runs()
    }

    /// Starts a program and leaves it parked before its first instruction.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn launch(&mut self, start: &Start) -> Result<Pid, CommandError> {
        self.session.launch_for_client(start)
    }

    /// Takes over a process and leaves it parked.
    ///
    /// # Errors
    /// Why it could not be taken over.
    pub fn attach(&mut self, pid: Pid) -> Result<(), CommandError> {
        self.session.attach_for_client(pid)
    }

    /// Lets go of a process, with everything of ours taken out of it.
    ///
    /// # Errors
    /// There is no such process.
    pub fn detach(&mut self, pid: Pid) -> Result<(), CommandError> {
        self.session.detach_for_client(pid)
    }

    /// Kills a process. Its end comes as an event, too.
    ///
    /// # Errors
    /// There is no such process.
    pub fn kill(&mut self, pid: Pid) -> Result<(), CommandError> {
        self.session.kill_for_client(pid)
    }

    /// Ends the session: kills what was launched, lets go of the rest.
    pub fn end(&mut self) {
        self.session.end();
    }

    /// Processes, ascending.
    pub fn processes(&self) -> Vec<Pid> {
        self.session.client_processes()
    }

    /// Threads of all processes, ascending.
    pub fn threads(&self) -> Vec<ThreadKey> {
        self.session.client_threads()
    }

    /// What a thread is called; empty when it has no name, or has ended.
    pub fn name_of(&self, thread: ThreadKey) -> String {
        self.session.name_for_client(thread)
    }

    /// The processor that a thread ran on last.
    pub fn processor_of(&self, thread: ThreadKey) -> Option<u32> {
        self.session.processor_for_client(thread)
    }

    /// Whether the client has let a thread go.
    pub fn is_let_go(&self, thread: ThreadKey) -> bool {
        self.session.is_let_go(thread)
    }

    /// Facts of a process.
    ///
    /// # Errors
    /// It is gone.
    pub fn process_info(&self, pid: Pid) -> Result<ProcessInfo, CommandError> {
        self.session.info_for_client(pid)
    }

    /// What is mapped in a process, without what is ours.
    ///
    /// # Errors
    /// It is gone.
    pub fn memory_map(&self, pid: Pid) -> Result<Vec<Region>, CommandError> {
        self.session.map_for_client(pid)
    }

    /// Which file a process runs, by the name that it had.
    ///
    /// # Errors
    /// It is gone.
    pub fn executable(&self, pid: Pid) -> Result<PathBuf, CommandError> {
        self.process_info(pid).map(|info| info.executable_name)
    }

    /// Copies bytes of memory, the program's own, from the start of `buf`; or
    /// with `raw` those that are really there. The answer is how many could be
    /// read.
    pub fn read(&self, pid: Pid, addr: VirtAddr, buf: &mut [u8], raw: bool) -> usize {
        self.session.read_for_client(pid, addr, buf, raw)
    }

    /// Changes the program's own bytes.
    ///
    /// # Errors
    /// They are not there, or cannot be changed.
    pub fn write(&mut self, pid: Pid, addr: VirtAddr, bytes: &[u8]) -> Result<(), CommandError> {
        self.session.write_for_client(pid, addr, bytes)
    }

    /// The integer registers of a thread that is stopped.
    ///
    /// # Errors
    /// It is gone, or runs.
    pub fn registers(&mut self, thread: ThreadKey) -> Result<Registers, CommandError> {
        self.session.registers_for_client(thread)
    }

    /// Changes them.
    ///
    /// # Errors
    /// As [`Self::registers`], or the system refuses a value.
    pub fn set_registers(&mut self, thread: ThreadKey, to: &Registers) -> Result<(), CommandError> {
        self.session.set_registers_for_client(thread, to)
    }

    /// All other registers of a thread.
    ///
    /// # Errors
    /// As [`Self::registers`].
    pub fn extended_state(&mut self, thread: ThreadKey) -> Result<ExtendedState, CommandError> {
        self.session.with_stopped(thread, |target, stopped| target.extended_state(stopped))
    }

    /// Changes them.
    ///
    /// # Errors
    /// As [`Self::set_registers`].
    pub fn set_extended_state(
        &mut self,
        thread: ThreadKey,
        to: &ExtendedState,
    ) -> Result<(), CommandError> {
        self.session.with_stopped(thread, |target, stopped| target.set_extended_state(stopped, to))
    }

    /// What the system says of the signal that a thread stopped for.
    ///
    /// # Errors
    /// As [`Self::registers`], or it did not stop for one.
    pub fn signal_details(&mut self, thread: ThreadKey) -> Result<Vec<u8>, CommandError> {
        self.session.with_stopped(thread, |target, stopped| target.signal_details(stopped))
    }

    /// Changes that.
    ///
    /// # Errors
    /// As [`Self::signal_details`], or the bytes are no such details.
    pub fn set_signal_details(&mut self, thread: ThreadKey, to: &[u8]) -> Result<(), CommandError> {
        self.session.with_stopped(thread, |target, stopped| target.set_signal_details(stopped, to))
    }

    /// Where a thread has the thread-local variable at `offset` of the image that
    /// `link_map` describes.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn thread_local(
        &mut self,
        thread: ThreadKey,
        link_map: VirtAddr,
        offset: u64,
    ) -> Result<VirtAddr, CommandError> {
        self.session.thread_local_for_client(thread, link_map, offset)
    }

    /// Sets a point in the memory of a process, or changes what it says.
    ///
    /// # Errors
    /// Why it cannot be served there.
    pub fn insert(&mut self, pid: Pid, point: Point) -> Result<(), CommandError> {
        self.session.insert_point(pid, point)
    }

    /// Takes a point out. What serves it may stay until threads run, saying
    /// nothing: clients take points out at every stop, and set the same again.
    ///
    /// # Errors
    /// There is no such point.
    pub fn remove(&mut self, pid: Pid, key: PointKey) -> Result<(), CommandError> {
        self.session.remove_point(pid, key)
    }

    /// Makes memory in a process, of whole pages, for whoever is the client.
    ///
    /// # Errors
    /// Why there is none.
    pub fn allocate(
        &mut self,
        pid: Pid,
        bytes: u64,
        protection: Protection,
    ) -> Result<VirtAddr, CommandError> {
        self.session.allocate_for_client(pid, bytes, protection)
    }

    /// Gives memory of [`ClientSession::allocate`] back.
    ///
    /// # Errors
    /// None was made there, or the process is gone.
    pub fn release(&mut self, pid: Pid, start: VirtAddr) -> Result<(), CommandError> {
        self.session.release_for_client(pid, start)
    }

    /// The points of all processes.
    pub fn points(&mut self) -> Vec<PointInfo> {
        self.session.list_points()
    }

    /// Lets threads go. All others stay parked; those that are born meanwhile
    /// run.
    ///
    /// # Errors
    /// Threads run and may not (without [`ClientRules::non_stop`]).
    pub fn resume(&mut self, orders: &[Order]) -> Result<(), CommandError> {
        self.session.resume_for_client(orders)
    }

    /// Parks threads that run. Each is reported as
    /// [`Interrupted`](crate::event::StopReason::Interrupted), unless it has
    /// something else to tell.
    pub fn park(&mut self, threads: &[ThreadKey]) {
        self.session.park_for_client(threads);
    }

    /// Stops everything without a report.
    pub fn hold(&mut self) {
        self.session.hold_for_client();
    }

    /// Has the threads of a process stop at the entry and exit of these system
    /// calls; of all when the list is empty, of none without a list.
    ///
    /// # Errors
    /// The process is gone, or the target cannot do it.
    pub fn catch_system_calls(
        &mut self,
        pid: Pid,
        numbers: Option<Vec<u64>>,
    ) -> Result<(), CommandError> {
        self.session.catch_calls_for_client(pid, numbers)
    }

    /// Which signals the program gets without a stop.
    pub fn pass_signals(&mut self, signals: &[Signal]) {
        self.session.pass_signals_for_client(signals);
    }
}
