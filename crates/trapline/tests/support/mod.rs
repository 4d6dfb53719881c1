//! Drives sessions over real programs for the scenario tests, and checks after
//! each that nothing of ours was left behind.
//!
//! A [`Driver`] owns one session, the output files of the program it launches
//! and everything that was told meanwhile. No wait is without a limit, and none
//! is a sleep: a test waits for an event, for an answer or for what the program
//! prints.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use trapline::breakpoint::{BreakpointSpec, Mechanism, Subject, Tally};
use trapline::command::{
    BreakpointInfo, CodeRange, InstructionInfo, Reply, Selection, Setting, ThreadInfo, ValueFormat,
};
use trapline::event::{LogRecord, StopReason, StopReport};
use trapline::{
    Access, BreakpointId, Command, Event, Events, ExitStatus, LaunchSpec, Pid, SessionHandle,
    Signal, spec,
};
use trapline_testkit::run::{MARKER, fresh_marker};
use trapline_testkit::{Debuggee, leaks, run};

pub mod alike;
pub mod beside;
pub mod bystander;
pub mod everywhere;
pub mod gdb;
pub mod remote;
pub mod said;

use bystander::Bystander;

/// How long anything may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a race is run: `TRAPLINE_LOOPS`, else `otherwise`.
pub fn loops(otherwise: u32) -> u32 {
    setting_or("TRAPLINE_LOOPS", otherwise)
}

/// A number from the environment, else `otherwise`.
pub fn setting_or(name: &str, otherwise: u32) -> u32 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|why| panic!("{name}={text}: {why}")),
        Err(_) => otherwise,
    }
}

/// What serves every breakpoint on code that does not name a debug register, in
/// place of what would: `TRAPLINE_TEST_MECHANISM`, `trap` or `jump`. So tests
/// that were written for traps are tests of jumps too.
pub fn forced_mechanism() -> Option<Mechanism> {
    match std::env::var("TRAPLINE_TEST_MECHANISM").as_deref() {
        Ok("trap") => Some(Mechanism::Trap),
        Ok("jump") => Some(Mechanism::Jump),
        Ok(other) => panic!("TRAPLINE_TEST_MECHANISM={other} is neither `trap` nor `jump`"),
        Err(_) => None,
    }
}

/// How a process came to the session, and what it had mapped then.
struct Found {
    launched: bool,
    mappings: Vec<leaks::Mapping>,
}

/// One session and what it told.
pub struct Driver {
    session: Option<SessionHandle>,
    events: Events,
    folder: PathBuf,
    marker: String,
    launched: Option<(Debuggee, Vec<String>)>,
    /// What each process had mapped when it came to the session.
    found: BTreeMap<Pid, Found>,
    leaves_running: Cell<bool>,
    forced: Cell<Option<Mechanism>>,
    /// Whether the text of the program is not that of its files, because the
    /// test or the program writes into it.
    pub rewrites_text: bool,
    /// The process last started or attached to.
    pub pid: Option<Pid>,
    /// Messages of log breakpoints, in order.
    pub logs: Vec<LogRecord>,
    /// Warnings, in order.
    pub warnings: Vec<String>,
    /// Every other event that no wait took, in order.
    pub seen: Vec<Event>,
}

impl Driver {
    /// A session with nothing in it.
    pub fn new() -> Self {
        // Without `prepare_process`: what the test starts beside the session
        // would inherit the signals that it blocks.
        let (session, events) = trapline::local_session().expect("a session starts");
        let driver = Self::with(session, events);
        if let Some(mechanism) = driver.forced.get() {
            driver.set(Setting::Mechanism(Some(mechanism)));
        }
        driver
    }

    /// A session on a core file.
    pub fn of_core(core: &Path, program: Option<&Path>) -> Self {
        let opened = trapline::core_session(core, program);
        let (session, events, pid) = opened.unwrap_or_else(|why| panic!("{why}"));
        let driver = Self::with(session, events);
        driver.ask(Command::Attach(pid));
        driver
    }

    fn with(session: SessionHandle, events: Events) -> Self {
        let (marker, folder) = fresh_folder();
        Self {
            session: Some(session),
            events,
            folder,
            marker,
            launched: None,
            found: BTreeMap::new(),
            leaves_running: Cell::new(false),
            forced: Cell::new(forced_mechanism()),
            rewrites_text: false,
            pid: None,
            logs: Vec::new(),
            warnings: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// A session whose program is named but not started, so that breakpoints
    /// can be set first.
    pub fn launching(debuggee: &Debuggee, args: &[&str]) -> Self {
        let mut driver = Self::new();
        let mut program = driver.launch_spec(debuggee);
        program.args = args.iter().map(Into::into).collect();
        driver.ask(Command::Program(program));
        driver.launched = Some((debuggee.clone(), args.iter().map(ToString::to_string).collect()));
        driver
    }

    /// A session with a program stopped before its first instruction.
    pub fn started(debuggee: &Debuggee, args: &[&str]) -> Self {
        let mut driver = Self::launching(debuggee, args);
        driver.run();
        driver
    }

    /// A session with a running program taken over; it is stopped.
    pub fn attached(pid: Pid) -> Self {
        let mut driver = Self::new();
        driver.attach(pid);
        driver
    }

    /// Has breakpoints served as they are written, whatever the environment
    /// forces: what follows is about one mechanism.
    pub fn as_written(&self) {
        if self.forced.take().is_some() {
            self.set(Setting::Mechanism(None));
        }
    }

    /// A folder of this session's own, gone with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How a debuggee is started without arguments.
    pub fn launch_spec(&self, debuggee: &Debuggee) -> LaunchSpec {
        LaunchSpec {
            program: debuggee.path.clone(),
            environment: gdb::environment(&self.marker).collect(),
            stdout: Some(self.folder.join("stdout")),
            stderr: Some(self.folder.join("stderr")),
            stdin: Some("/dev/null".into()),
            ..LaunchSpec::default()
        }
    }

    /// A handle that asks the same session, for other threads.
    pub fn handle(&self) -> SessionHandle {
        self.session.clone().expect("the session was not dropped")
    }

    /// Asks, and expects it to be done.
    #[track_caller]
    pub fn ask(&self, command: Command) -> Reply {
        let what = format!("{command:?}");
        self.try_ask(command).unwrap_or_else(|why| panic!("{what}: {why}"))
    }

    /// Asks.
    pub fn try_ask(&self, command: Command) -> Result<Reply, String> {
        let session = self.session.as_ref().expect("the session was not dropped");
        session.request(command).map_err(|error| error.message)
    }

    /// Starts the program; it stands before its first instruction.
    #[track_caller]
    pub fn run(&mut self) -> Pid {
        let pid = self.started_by(Command::Run);
        self.found.insert(pid, Found { launched: true, mappings: leaks::mappings(pid) });
        pid
    }

    /// Takes over a process; it is stopped.
    #[track_caller]
    pub fn attach(&mut self, pid: Pid) -> Pid {
        self.found.insert(pid, Found { launched: false, mappings: leaks::mappings(pid) });
        self.started_by(Command::Attach(pid))
    }

    #[track_caller]
    fn started_by(&mut self, command: Command) -> Pid {
        let Reply::Started { pid } = self.ask(command) else { panic!("not started") };
        self.pid = Some(pid);
        pid
    }

    /// Changes a setting.
    #[track_caller]
    pub fn set(&self, setting: Setting) {
        if let Setting::LeaveRunning(on) = setting {
            self.leaves_running.set(on);
        }
        self.ask(Command::Set(setting));
    }

    /// Sets a breakpoint on code, written as `break` takes it.
    #[track_caller]
    pub fn break_at(&self, text: &str) -> BreakpointId {
        self.add(spec::code(text).unwrap_or_else(|why| panic!("{text}: {why}")))
    }

    /// Sets a watch, written as `watch` takes it.
    #[track_caller]
    pub fn watch(&self, text: &str, access: Access) -> BreakpointId {
        self.add(spec::data(text, access).unwrap_or_else(|why| panic!("{text}: {why}")))
    }

    #[track_caller]
    fn add(&self, mut spec: BreakpointSpec) -> BreakpointId {
        if let Subject::Code { mechanism: asked @ Some(Mechanism::Trap), .. } = &mut spec.subject {
            *asked = self.forced.get().or(*asked);
        }
        let Reply::Breakpoint(info) = self.ask(Command::Break(spec)) else {
            panic!("not a breakpoint")
        };
        info.id
    }

    /// Removes a breakpoint.
    #[track_caller]
    pub fn delete(&self, id: BreakpointId) {
        self.ask(Command::Delete(Selection::Breakpoints(vec![id])));
    }

    /// Lets signals pass without a stop or a word; none are all.
    #[track_caller]
    pub fn let_pass(&self, signals: &[Signal]) {
        let (off, on) = (Some(false), Some(true));
        self.ask(Command::Handle { signals: signals.to_vec(), stop: off, print: off, pass: on });
    }

    /// All breakpoints as they stand.
    #[track_caller]
    pub fn breakpoints(&self) -> Vec<BreakpointInfo> {
        let Reply::Breakpoints(all) = self.ask(Command::Breakpoints) else {
            panic!("not breakpoints")
        };
        all
    }

    /// A breakpoint as it stands.
    #[track_caller]
    pub fn breakpoint(&self, id: BreakpointId) -> BreakpointInfo {
        let found = self.breakpoints().into_iter().find(|info| info.id == id);
        found.unwrap_or_else(|| panic!("no breakpoint {id}"))
    }

    /// What happened at a breakpoint.
    #[track_caller]
    pub fn tally(&self, id: BreakpointId) -> Tally {
        self.breakpoint(id).tally
    }

    /// What serves the breakpoint's first location.
    #[track_caller]
    pub fn mechanism(&self, id: BreakpointId) -> Option<Mechanism> {
        self.breakpoint(id).locations.first()?.mechanism
    }

    /// A breakpoint's first location is served by a jump.
    #[track_caller]
    pub fn is_jump(&self, id: BreakpointId) {
        let served = &self.breakpoint(id).locations[0];
        assert_eq!(served.mechanism, Some(Mechanism::Jump), "{}", served.why);
    }

    /// All threads.
    #[track_caller]
    pub fn threads(&self) -> Vec<ThreadInfo> {
        let Reply::Threads(threads) = self.ask(Command::Threads) else { panic!("not threads") };
        threads
    }

    /// The instructions of some code.
    #[track_caller]
    pub fn code(&self, what: CodeRange) -> Vec<InstructionInfo> {
        match self.ask(Command::Disassemble { what: Some(what), intel: true }) {
            Reply::Disassembly(code) => code,
            other => panic!("no code: {other:?}"),
        }
    }

    /// The value of an expression in the selected frame, as printed.
    #[track_caller]
    pub fn print(&self, expression: &str) -> String {
        let command =
            Command::Print { expression: expression.to_owned(), format: ValueFormat::default() };
        let Reply::Value { text, .. } = self.ask(command) else { panic!("not a value") };
        text
    }

    /// The next event; logs and warnings are also kept.
    #[track_caller]
    pub fn next_event(&mut self) -> Event {
        let event = self
            .events
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|why| panic!("{why} waiting for an event; warned {:?}", self.warnings));
        match &event {
            Event::Log(record) => self.logs.push(record.clone()),
            Event::Warning(text) => self.warnings.push(text.clone()),
            _ => {}
        }
        event
    }

    /// Waits for the first event that `pick` wants; the others go to `seen`.
    #[track_caller]
    pub fn wait_for<T>(&mut self, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = self.next_event();
            if let Some(found) = pick(&event) {
                return found;
            }
            self.seen.push(event);
        }
    }

    /// Lets the program run.
    #[track_caller]
    pub fn go(&self) {
        self.ask(Command::Continue);
    }

    /// Lets the program run until it stops.
    ///
    /// # Panics
    /// When it ends instead.
    #[track_caller]
    pub fn go_to_stop(&mut self) -> StopReport {
        self.go();
        self.next_stop()
    }

    /// The next stop.
    ///
    /// # Panics
    /// When the program ends first.
    #[track_caller]
    pub fn next_stop(&mut self) -> StopReport {
        match self.stop_or_end() {
            Ok(stop) => stop,
            Err(status) => panic!("ended ({status}) instead of stopping: {}", self.output()),
        }
    }

    /// The next stop, or how the last process ended.
    #[track_caller]
    pub fn stop_or_end(&mut self) -> Result<StopReport, ExitStatus> {
        let stop = self.stop_or_end_while_dying();
        if let Ok(stop) = &stop {
            self.text_reads_as_the_files(stop.pid);
        }
        stop
    }

    /// The next stop, or how the last process ended, of a program that
    /// somebody kills meanwhile: its memory may be gone before it is read.
    #[track_caller]
    pub fn stop_or_end_while_dying(&mut self) -> Result<StopReport, ExitStatus> {
        self.wait_for(|event| match event {
            Event::Stopped(stop) => Some(Ok((**stop).clone())),
            Event::ProcessExited { status, last: true, .. } => Some(Err(*status)),
            _ => None,
        })
    }

    /// Lets the program run to its end.
    ///
    /// # Panics
    /// When it stops, or ends otherwise than with code 0.
    #[track_caller]
    pub fn go_to_end(&mut self) {
        let status = self.go_to_end_through(|_, stop| panic!("stopped: {:?}", stop.reasons));
        assert_eq!(status, ExitStatus::Exited(0), "{}", self.output());
    }

    /// Lets the program run to its end, going on after each stop once
    /// `at_stop` has seen it.
    #[track_caller]
    pub fn go_to_end_through(
        &mut self,
        mut at_stop: impl FnMut(&mut Self, &StopReport),
    ) -> ExitStatus {
        loop {
            self.go();
            match self.stop_or_end() {
                Ok(stop) => at_stop(self, &stop),
                Err(status) => return status,
            }
        }
    }

    /// What the launched program wrote to standard output so far.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.join("stdout")).unwrap_or_default()
    }

    /// The number that the program printed as `key=`.
    #[track_caller]
    pub fn said(&self, key: &str) -> u64 {
        number_in(&self.output(), key)
    }

    /// Checks that the launched program wrote what it writes with nobody
    /// watching.
    #[track_caller]
    pub fn output_is_as_undebugged(&self) {
        let (debuggee, args) = self.launched.as_ref().expect("a program was launched");
        let alone = run(debuggee.command().args(args), PATIENCE);
        assert_eq!(self.output(), alone.stdout);
    }

    /// Checks that the user sees the program's text as it is in its files,
    /// whatever of ours is in it. The program is stopped.
    #[track_caller]
    fn text_reads_as_the_files(&self, pid: Pid) {
        if self.rewrites_text {
            return;
        }
        for mapping in leaks::mappings(pid).iter().filter(|mapping| mapping.is_text()) {
            let address = format!("{:#x}", mapping.range.start.get());
            let request = Command::ReadMemory { address, len: mapping.range.len(), raw: false };
            let Reply::Memory { bytes, missing, .. } = self.ask(request) else {
                panic!("not memory")
            };
            assert_eq!(missing, 0, "{mapping:?}");
            mapping.holds(&bytes, "for the user");
        }
    }

    /// Lets go of everything, and checks that it is as if nobody had been
    /// there. How many processes lived long enough to be looked at.
    #[track_caller]
    pub fn detach(&self) -> usize {
        self.ask(Command::Detach(None));
        self.all_are_untouched(|_| true)
    }

    /// Waits until what was let go has printed a line with `key` and has ended.
    #[track_caller]
    pub fn ends_by_itself(&self, key: &str) {
        let key = format!("{key}=");
        eventually("its last line", || self.output().contains(&key).then_some(()));
        eventually("its end", || leaks::carriers(MARKER, &self.marker).is_empty().then_some(()));
    }

    /// Checks what lives on after a detach or an end: the processes found at
    /// first for which `lives_on`, and the children of those launched.
    #[track_caller]
    fn all_are_untouched(&self, lives_on: impl Fn(&Found) -> bool) -> usize {
        let found = self.found.iter().filter(|(_, found)| lives_on(found));
        let mut looked: Vec<(Pid, &[leaks::Mapping])> =
            found.map(|(pid, found)| (*pid, &found.mappings[..])).collect();
        let children = leaks::carriers(MARKER, &self.marker);
        looked.extend(
            children
                .into_iter()
                .filter(|pid| !self.found.contains_key(pid))
                .map(|pid| -> (Pid, &[leaks::Mapping]) { (pid, &[]) }),
        );
        let clean = looked.iter().filter(|(pid, before)| self.is_untouched(*pid, before));
        clean.count()
    }

    /// Whether a process could be looked at; it is as if nobody had been there.
    #[track_caller]
    fn is_untouched(&self, pid: Pid, before: &[leaks::Mapping]) -> bool {
        if self.rewrites_text {
            leaks::nobody_traces(pid);
            leaks::no_new_code(pid, &leaks::mappings(pid), before);
            return true;
        }
        leaks::is_untouched(pid, before) == leaks::Looked::Clean
    }

    /// Checks after the session's end that nothing it launched lives, and that
    /// what lives on is as if nobody had been there; how many were looked at.
    #[track_caller]
    pub fn is_over(&self) -> usize {
        let leaves_running = self.leaves_running.get();
        if !leaves_running {
            leaks::no_stray_processes(&self.marker);
        }
        self.all_are_untouched(|found| leaves_running || !found.launched)
    }

    /// Ends the session by request and checks what it leaves.
    #[track_caller]
    pub fn quit(mut self) {
        self.ask(Command::Quit);
        self.wait_for(|event| matches!(event, Event::SessionEnded).then_some(()));
        self.session = None;
        self.is_over();
    }

    /// Ends the session by dropping its last handle, and checks what it leaves.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn abandon(mut self) {
        self.session = None;
        self.wait_for(|event| matches!(event, Event::SessionEnded).then_some(()));
        self.is_over();
    }

    /// What the processes that this session launched carry in their
    /// environment as [`MARKER`].
    pub fn marker(&self) -> &str {
        &self.marker
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Ends the session first: what it launched writes into the folder.
        let unfinished = self.session.take().is_some();
        if unfinished && !std::thread::panicking() {
            self.is_over();
        }
        // Litter in the temporary folder is no reason to fail a test.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn fresh_folder() -> (String, PathBuf) {
    let marker = fresh_marker();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("scenario-{marker}"));
    fs::create_dir_all(&folder).expect("the folder for test files is writable");
    (marker, folder)
}

/// The number that a program printed last as `key=`: totals come after parts.
#[track_caller]
pub fn number_in(output: &str, key: &str) -> u64 {
    let wanted = format!("{key}=");
    output
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(&wanted)?.parse().ok())
        .next_back()
        .unwrap_or_else(|| panic!("no number {key} in:\n{output}"))
}

/// The breakpoints that a stop names.
pub fn hit(stop: &StopReport) -> Vec<BreakpointId> {
    let id = |reason: &StopReason| match reason {
        StopReason::Breakpoint { id, .. } | StopReason::Data { id, .. } => Some(*id),
        _ => None,
    };
    stop.reasons.iter().filter_map(id).collect()
}

/// Checks that a process which was let go, and lives, is as if nobody had been
/// there.
#[track_caller]
pub fn is_untouched(pid: Pid, before: &[leaks::Mapping]) {
    assert_eq!(leaks::is_untouched(pid, before), leaks::Looked::Clean, "{pid} is gone");
}

/// Starts a program that nobody debugs yet and waits until it says `ready`.
#[track_caller]
pub fn running(debuggee: &Debuggee, args: &[&str]) -> Bystander {
    let program = Bystander::start(debuggee, args);
    program.wait_for("ready");
    program
}

/// Waits for what another process does; there is no event to wait for.
#[track_caller]
pub fn eventually<T: Debug>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "still not: {what}");
        std::thread::yield_now();
    }
}

/// Sends a signal with kill(1).
#[track_caller]
pub fn send(signal: &str, pid: Pid) {
    let sent = std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "kill {signal} {pid}");
}
