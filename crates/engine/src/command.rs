//! What front ends ask of a session, and what it answers.
//!
//! Closed enums of plain data: every front end (command line, wire protocols,
//! library users) translates to these at its edge.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use trapline_core::breakpoint::{BreakpointSpec, HitRule, Mechanism, Tally};
use trapline_core::stop::Signal;
use trapline_core::target::{Death, LaunchSpec, Region};
use trapline_core::{BreakpointId, LocationId, Pid, Tid, VirtAddr};
use trapline_patch::jump::{Tactic, Tactics};
pub use trapline_symbols::VariableKind;

use crate::event::{FrameInfo, VariableInfo};

/// A request to a session.
#[derive(Clone, Debug)]
pub enum Command {
    /// Says which program [`Command::Run`] starts, and loads its symbols so
    /// that breakpoints can be set before. Answer: [`Reply::Done`].
    Program(LaunchSpec),
    /// Starts the program and stops it before its first instruction, with all
    /// breakpoints in place; a process of it that still runs is killed first.
    /// Answer: [`Reply::Started`]; follow with [`Command::Continue`].
    Run,
    /// Takes over a process and leaves it stopped. Answer: [`Reply::Started`].
    Attach(Pid),
    /// Lets go of a process (of all when `None`), leaving it as it was found.
    Detach(Option<Pid>),
    /// Kills the processes that were launched or attached to.
    Kill,
    /// Lets every stopped thread run, or, by [`Setting::SchedulerLocking`], the
    /// selected one. The answer comes at once; how it ends comes as an event.
    Continue,
    /// Executes instructions of the selected thread, the others running
    /// meanwhile. The stop comes as an event.
    StepInstruction {
        /// How many.
        count: u64,
        /// Whether a call counts as one instruction.
        over_calls: bool,
    },
    /// Sends the selected thread to another line. The stop comes as an event.
    StepLine {
        /// How many times.
        count: u64,
        /// What counts as another line.
        how: LineStep,
    },
    /// Runs until the selected frame returns. The stop comes as an event.
    Finish,
    /// Runs until the selected thread comes to a location or its selected frame
    /// returns. The stop comes as an event.
    RunTo {
        /// As `break` takes it.
        location: String,
        /// Whether the location counts in the selected frame alone.
        in_frame: bool,
    },
    /// Stops everything; the stop comes as an event. No-op when stopped.
    Interrupt,

    /// Sets a breakpoint or watch. Answer: [`Reply::Breakpoint`].
    Break(BreakpointSpec),
    /// Sets breakpoints and watches in order, up to the first that cannot be
    /// set, with one request and one hold for all. Asked for through
    /// [`SessionHandle::break_each`](crate::SessionHandle::break_each).
    BreakEach {
        /// What is to be set.
        specs: Vec<BreakpointSpec>,
        /// Hears of those that are set, in order and some at a time.
        set: mpsc::Sender<Vec<BreakpointInfo>>,
    },
    /// Changes one aspect of a breakpoint. Answer: [`Reply::Breakpoint`].
    Change(BreakpointId, Change),
    /// Removes breakpoints. Answer: [`Reply::Done`].
    Delete(Selection),
    /// Enables or disables breakpoints or single locations of them.
    Enable {
        /// Which.
        what: Selection,
        /// On or off.
        enabled: bool,
    },
    /// All breakpoints. Answer: [`Reply::Breakpoints`].
    Breakpoints,
    /// The breakpoints that never had a location. Answer:
    /// [`Reply::Breakpoints`].
    NeverBound,

    /// All threads. Answer: [`Reply::Threads`].
    Threads,
    /// Makes a thread (by session number) the one that commands are about.
    /// Answer: [`Reply::Frame`].
    SelectThread(u32),
    /// Makes a frame (0 is the innermost) the one that expressions are about.
    /// Answer: [`Reply::Frame`].
    SelectFrame(usize),
    /// The selected thread's call stack. Answer: [`Reply::Backtrace`].
    Backtrace {
        /// At most this many frames.
        limit: usize,
        /// Whether with the variables of each.
        full: bool,
    },
    /// Evaluates an expression in the selected frame. Answer: [`Reply::Value`].
    Print {
        /// The expression; assignments are allowed (`x = 1`).
        expression: String,
        /// How the value is shown.
        format: ValueFormat,
    },
    /// Evaluates as [`Command::Print`] does, and remembers no value. Answer:
    /// [`Reply::Text`].
    Evaluate {
        /// The expression; assignments are allowed.
        expression: String,
        /// How the value is shown.
        format: ValueFormat,
    },
    /// The type of an expression or the definition of a named type. Answer:
    /// [`Reply::Text`].
    Describe {
        /// The expression or type name.
        what: String,
        /// Expand the definition (`ptype`) or only name it (`whatis`).
        expand: bool,
    },
    /// The arguments of the selected frame, or its other variables. Answer:
    /// [`Reply::Variables`].
    Variables(VariableKind),
    /// Registers of the selected frame: named ones, or all integer ones.
    /// Answer: [`Reply::Registers`].
    Registers(Vec<String>),
    /// Bytes of memory, the program's own. Answer: [`Reply::Memory`].
    ReadMemory {
        /// An expression for the first address.
        address: String,
        /// How many bytes.
        len: u64,
        /// Show the raw bytes, ours included.
        raw: bool,
    },
    /// Changes bytes of memory; breakpoints under them stay armed.
    WriteMemory {
        /// The first address.
        address: VirtAddr,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Instructions. Answer: [`Reply::Disassembly`].
    Disassemble {
        /// What to show; the selected frame's function when `None`.
        what: Option<CodeRange>,
        /// Intel syntax rather than AT&T.
        intel: bool,
    },
    /// Source around a place. Answer: [`Reply::Source`].
    Source {
        /// A location as `break` takes it; the selected frame when `None`.
        location: Option<String>,
    },
    /// Where the code of a line is. Answer: [`Reply::Text`].
    InfoLine(String),
    /// Which variables the scopes at a location have, and where each is. Answer:
    /// [`Reply::Text`].
    InfoScope(String),
    /// Which symbol an address belongs to. Answer: [`Reply::Text`].
    InfoSymbol(String),
    /// The jumps that serve a breakpoint, seen from inside. Answer:
    /// [`Reply::Text`].
    Jump(BreakpointId),
    /// Loaded images. Answer: [`Reply::Libraries`].
    Libraries,
    /// Facts of the selected process. Answer: [`Reply::Process`].
    Process,
    /// How signals are treated. Answer: [`Reply::Signals`].
    Signals,
    /// Changes how signals are treated; `None` leaves an aspect as it is.
    /// Answer: [`Reply::Signals`] with the changed ones.
    Handle {
        /// Which; all when empty.
        signals: Vec<Signal>,
        /// Stop the program.
        stop: Option<bool>,
        /// Tell the user.
        print: Option<bool>,
        /// Let the program have it.
        pass: Option<bool>,
    },
    /// Sends a signal to the selected thread when it next runs, in place of
    /// the one it stopped for (`None`: nothing).
    NextSignal(Option<Signal>),
    /// Adds views of types from the text of a file, to be tried before those
    /// that are there. Answer: [`Reply::Text`].
    AddViews {
        /// What the file is called in messages.
        name: String,
        /// What is in it.
        text: String,
    },
    /// The types that there are views for. Answer: [`Reply::Text`].
    Views,
    /// Writes a core file of the selected process; named `core.PID` without a
    /// name. Answer: [`Reply::Text`].
    WriteCore(Option<PathBuf>),
    /// Changes a setting. Answer: [`Reply::Done`].
    Set(Setting),
    /// The settings. Answer: [`Reply::Settings`].
    Settings,
    /// Names for completion. Answer: [`Reply::Names`].
    Complete {
        /// Of what kind.
        kind: CompletionKind,
        /// What they start with.
        prefix: String,
        /// At most this many.
        limit: usize,
    },
    /// Runs everything for `run_millis`, then stops and resumes it once, and
    /// leaves it stopped: what a hold costs here. Answer: [`Reply::Duration`],
    /// from the first request to stop to the last resumption.
    TimeHold {
        /// How long the threads run before.
        run_millis: u64,
    },
    /// Ends the session: removes every site, then lets go of attached
    /// processes and kills launched ones (or lets them go, by setting). The
    /// answer comes when that is done.
    Quit,
}

/// What counts as another line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineStep {
    /// Any with code, in functions that are called as well.
    Into,
    /// One of the same frame, or of the caller's after a return.
    Over,
    /// The same, unless it lies before.
    Onward,
}

/// One aspect of a breakpoint to change.
#[derive(Clone, Debug)]
pub enum Change {
    /// `condition N EXPR`; `None` removes it.
    Condition(Option<String>),
    /// Stop when the value of an expression changed.
    Changed(Option<String>),
    /// Which processes and threads.
    Filter(Option<String>),
    /// Which hits count.
    Hits(Option<HitRule>),
    /// `ignore N COUNT`.
    Ignore(u64),
    /// The message of a log breakpoint.
    Log(Option<String>),
    /// `commands N`.
    Commands(Vec<String>),
    /// Names of the groups it belongs to.
    Names(Vec<String>),
    /// `enable once`, `tbreak`.
    Temporary(bool),
    /// Go on after each stop.
    AutoContinue(bool),
    /// Set the counts back to zero.
    ResetTally,
}

/// Which breakpoints a command is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// Every one.
    All,
    /// These.
    Breakpoints(Vec<BreakpointId>),
    /// One location.
    Location(LocationId),
    /// Those of a group.
    Named(String),
}

/// A range of code to disassemble.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodeRange {
    /// The function that contains the value of an expression.
    FunctionAt(String),
    /// From one address expression to another.
    Between(String, String),
    /// This many instructions from an address expression.
    Count(String, usize),
}

/// What can be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// Who steps over a breakpoint on resuming.
    ResumePolicy(ResumePolicy),
    /// Whether the planner may cover more bytes than asked to save slots.
    OverCover(bool),
    /// Whether children are followed.
    FollowChildren(bool),
    /// Whether launched programs go on when the session ends.
    LeaveRunning(bool),
    /// What serves breakpoints on code that name no mechanism; `None`: what
    /// costs least.
    Mechanism(Option<Mechanism>),
    /// How jumps may be placed.
    JumpTactics(Tactics),
    /// Whether the other threads run with the selected one.
    SchedulerLocking(SchedulerLocking),
    /// Whether objects of C++ are shown as what they are, and not as what the
    /// pointer or reference to them is declared to lead to.
    PrintObject(bool),
}

/// When the selected thread runs alone, the others being locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SchedulerLocking {
    /// Never.
    Off,
    /// Whenever it runs.
    On,
    /// While it executes instructions or lines.
    Step,
    /// While a recording is replayed, of which there is none: never.
    #[default]
    Replay,
}

impl SchedulerLocking {
    /// All of them, as gdb lists them.
    pub const ALL: [Self; 4] = [Self::Off, Self::On, Self::Step, Self::Replay];
}

impl fmt::Display for SchedulerLocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Step => "step",
            Self::Replay => "replay",
        })
    }
}

/// Who steps over a breakpoint when its thread is resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ResumePolicy {
    /// We do.
    #[default]
    Debugger,
    /// The client does: resuming at a breakpoint reports it again and runs
    /// nothing.
    Driver,
}

/// How `print` shows a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ValueFormat {
    /// gdb's format letter.
    pub letter: Option<char>,
    /// Whether views of library types are left out, as with gdb's `/r`.
    pub raw: bool,
}

/// What to complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompletionKind {
    /// Functions.
    Function,
    /// Source files.
    File,
    /// Variables and functions.
    Expression,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug)]
pub enum Reply {
    /// Done, nothing to say.
    Done,
    /// A process is there and stopped.
    Started {
        /// Which.
        pid: Pid,
    },
    /// The breakpoint after the command.
    Breakpoint(Box<BreakpointInfo>),
    /// The breakpoints asked for, by number.
    Breakpoints(Vec<BreakpointInfo>),
    /// All threads, by session number.
    Threads(Vec<ThreadInfo>),
    /// The frame now selected.
    Frame(Box<FrameInfo>),
    /// Frames, innermost first; `ended` says why there are no more when that
    /// is not the natural end of the stack.
    Backtrace {
        /// The frames.
        frames: Vec<FrameInfo>,
        /// Why it ended early.
        ended: Option<String>,
    },
    /// A value, formatted.
    Value {
        /// Text as gdb would print it.
        text: String,
        /// Number under which it is remembered (`$1`).
        number: u32,
    },
    /// Text for the user.
    Text(String),
    /// Variables of a frame, those of the innermost block first.
    Variables(Vec<VariableInfo>),
    /// Names and values, in the processor's order.
    Registers(Vec<RegisterInfo>),
    /// Bytes of memory and what is not readable.
    Memory {
        /// First address.
        address: VirtAddr,
        /// The bytes read.
        bytes: Vec<u8>,
        /// How many bytes could not be read after them.
        missing: u64,
    },
    /// Instructions.
    Disassembly(Vec<InstructionInfo>),
    /// Lines of a source file.
    Source {
        /// The file.
        file: PathBuf,
        /// The line in question.
        line: u32,
        /// The image that was built from it.
        image: PathBuf,
    },
    /// Loaded images, in load order.
    Libraries(Vec<LibraryInfo>),
    /// Facts of a process.
    Process {
        /// Its number.
        pid: Pid,
        /// Its executable.
        executable: PathBuf,
        /// Its command line.
        args: Vec<String>,
        /// Its working directory.
        directory: Option<PathBuf>,
        /// For one that cannot go on: how it came to that.
        death: Option<Death>,
        /// Its mappings.
        mappings: Vec<Region>,
    },
    /// The signal table.
    Signals(Vec<(Signal, SignalPolicy)>),
    /// The settings in force, as name and value.
    Settings(Vec<(String, String)>),
    /// Names for completion.
    Names(Vec<String>),
    /// How long something took.
    Duration {
        /// In nanoseconds.
        nanos: u64,
    },
}

/// How a signal is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalPolicy {
    /// Stop the program.
    pub stop: bool,
    /// Tell the user.
    pub print: bool,
    /// Let the program have it.
    pub pass: bool,
}

/// A breakpoint as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakpointInfo {
    /// Its number.
    pub id: BreakpointId,
    /// What was asked for, with later changes.
    pub spec: Arc<BreakpointSpec>,
    /// What happened at it.
    pub tally: Tally,
    /// Where it is; empty when it is pending.
    pub locations: Vec<LocationInfo>,
    /// Why it has no location, or another thing worth knowing (moved to the
    /// nearest line, source newer than the program); one sentence each.
    pub notes: Vec<String>,
}

/// One location of a breakpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocationInfo {
    /// Its number.
    pub id: LocationId,
    /// Whose process.
    pub pid: Option<Pid>,
    /// Where.
    pub address: VirtAddr,
    /// Bytes watched; `None` for code.
    pub len: Option<u64>,
    /// The function there.
    pub function: Option<Arc<str>>,
    /// The source file there.
    pub file: Option<Arc<str>>,
    /// The line there.
    pub line: Option<u32>,
    /// Whether it is armed on its own account.
    pub enabled: bool,
    /// What serves it, or served it last when the program has ended; `None`
    /// before it runs, and while it is off.
    pub mechanism: Option<Mechanism>,
    /// Why that mechanism, or why nothing serves it.
    pub why: String,
    /// How a jump is placed, and what it takes.
    pub jump: Option<JumpInfo>,
}

/// A jump that serves a location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JumpInfo {
    /// How it is placed.
    pub tactic: Tactic,
    /// Bytes of our code that it leads to.
    pub bytes: u64,
}

/// A thread as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadInfo {
    /// Session number: 1, 2, 3, ...
    pub number: u32,
    /// Its process.
    pub pid: Pid,
    /// The system's number.
    pub tid: Tid,
    /// Its name.
    pub name: String,
    /// Whether it is the selected one.
    pub selected: bool,
    /// Where it is; `None` while it runs.
    pub frame: Option<FrameInfo>,
    /// What it is doing, in words ("stopped at breakpoint 2", "running",
    /// "waiting in vfork").
    pub state: String,
}

/// A register's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterInfo {
    /// gdb's name.
    pub name: String,
    /// The bytes, little-endian; `None` when not known in this frame.
    pub bytes: Option<Vec<u8>>,
    /// gdb's second column: decimal, symbol or flags.
    pub natural: String,
}

/// One instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstructionInfo {
    /// Where.
    pub address: VirtAddr,
    /// Its bytes, the program's own.
    pub bytes: Vec<u8>,
    /// Its text.
    pub text: String,
    /// `<function+offset>`.
    pub symbol: Option<String>,
    /// Whether the selected frame stands here.
    pub current: bool,
    /// The source file and line that it is of.
    pub source: Option<(Arc<str>, u32)>,
    /// Numbers of the breakpoints here.
    pub breakpoints: Vec<BreakpointId>,
}

/// A loaded image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LibraryInfo {
    /// Whose process.
    pub pid: Pid,
    /// The file.
    pub path: PathBuf,
    /// First and one past the last loaded address.
    pub range: trapline_core::AddrRange,
    /// What is known of it: "debug information", "debug information in ...",
    /// "symbol table only", "nothing".
    pub symbols: String,
    /// What went wrong while reading it.
    pub problems: Vec<String>,
}

/// Why a command was not done. The text is one clear line that names the
/// input and what to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandError {
    /// The sentence.
    pub message: String,
    /// Which part of the user's expression it is about, with that expression.
    pub span: Option<(String, Range<usize>)>,
    /// What the user may have meant; one suggestion each.
    pub candidates: Vec<String>,
}

impl CommandError {
    /// An error that is only a sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, candidates: Vec::new() }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

impl From<trapline_core::target::TargetError> for CommandError {
    fn from(error: trapline_core::target::TargetError) -> Self {
        Self::new(error.to_string())
    }
}
