//! What a session tells its front ends without being asked.

use std::path::PathBuf;

use trapline_core::breakpoint::Mechanism;
use trapline_core::stop::{ExitStatus, SignalInfo};
use trapline_core::x64::debug::Access;
use trapline_core::{BreakpointId, Pid, Tid, VirtAddr};

/// Something happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The program stopped, and every thread of it with it.
    Stopped(Box<StopReport>),
    /// A breakpoint logged a message; the program goes on.
    Log(LogRecord),
    /// A process is there now.
    ProcessStarted {
        /// Which.
        pid: Pid,
        /// Its executable.
        executable: PathBuf,
        /// Its parent, when it was forked by a debuggee.
        parent: Option<Pid>,
    },
    /// A process became another program.
    Executed {
        /// Which.
        pid: Pid,
        /// The new executable.
        executable: PathBuf,
    },
    /// A process ended.
    ProcessExited {
        /// Which.
        pid: Pid,
        /// How.
        status: ExitStatus,
        /// Whether any other process is left in the session.
        last: bool,
    },
    /// A thread is there now.
    ThreadCreated {
        /// Its process.
        pid: Pid,
        /// Which.
        tid: Tid,
        /// Its session number.
        number: u32,
    },
    /// A thread ended.
    ThreadExited {
        /// Its process.
        pid: Pid,
        /// Which.
        tid: Tid,
        /// Its session number.
        number: u32,
    },
    /// An image was loaded or found.
    LibraryLoaded {
        /// Whose process.
        pid: Pid,
        /// The file.
        path: PathBuf,
        /// Where its first byte is.
        address: VirtAddr,
    },
    /// An image was unloaded.
    LibraryUnloaded {
        /// Whose process.
        pid: Pid,
        /// The file.
        path: PathBuf,
    },
    /// A signal arrived that is printed but does not stop.
    SignalSeen {
        /// In which thread.
        tid: Tid,
        /// Which.
        info: SignalInfo,
    },
    /// A breakpoint bound, lost or moved its locations or its mechanism, or
    /// was deleted (a temporary one that stopped).
    BreakpointChanged {
        /// Which.
        id: BreakpointId,
        /// What happened, a sentence.
        what: String,
        /// Whether it is gone.
        deleted: bool,
    },
    /// The program was held for a change that the user made, and runs again.
    Held {
        /// From the first thread asked to stop to the last one resumed, in
        /// nanoseconds.
        nanos: u64,
    },
    /// Something the user should know that belongs to no command: a fallback
    /// was taken, a site was lost and re-armed, a condition failed.
    Warning(String),
    /// Symbols are being read.
    Progress {
        /// What of.
        what: String,
        /// Units read.
        done: u64,
        /// Units in all.
        total: u64,
    },
    /// The session is over: no process is left in it, every site is gone.
    SessionEnded,
}

/// A stop that the user sees.
#[derive(Clone, PartialEq, Debug)]
pub struct StopReport {
    /// The process.
    pub pid: Pid,
    /// The thread that stopped it.
    pub tid: Tid,
    /// That thread's session number.
    pub thread: u32,
    /// That thread's name.
    pub thread_name: String,
    /// Why; several may hold at once.
    pub reasons: Vec<StopReason>,
    /// Where the thread is.
    pub frame: FrameInfo,
    /// Commands of the breakpoints that were hit, in order.
    pub commands: Vec<String>,
    /// Whether every breakpoint that stopped it wants to go on at once.
    pub auto_continue: bool,
    /// From the first stop of a thread to the last thread held, in
    /// nanoseconds.
    pub hold_nanos: u64,
}

/// Why the program stopped.
#[derive(Clone, PartialEq, Debug)]
pub enum StopReason {
    /// It reached a breakpoint whose say was "stop".
    Breakpoint {
        /// Which.
        id: BreakpointId,
        /// Which location of it.
        location: u32,
        /// What served it.
        mechanism: Mechanism,
        /// Whether it was temporary and is gone now.
        temporary: bool,
    },
    /// Watched data was touched, or was found changed.
    Data {
        /// Which watch.
        id: BreakpointId,
        /// The expression watched.
        expression: String,
        /// How it was touched; `None` when it was found changed from outside
        /// the program's own instructions (the kernel, another process, us).
        access: Option<Access>,
        /// The value before, when it is known.
        old: Option<String>,
        /// The value now.
        new: Option<String>,
        /// Bytes touched.
        address: VirtAddr,
        /// Oddities: the instruction made two accesses, reads cannot be told
        /// from writes here.
        note: Option<String>,
    },
    /// A watch ended because its frame did.
    ScopeEnded {
        /// Which watch.
        id: BreakpointId,
        /// The expression watched.
        expression: String,
    },
    /// The condition of a breakpoint could not be evaluated.
    ConditionError {
        /// Which.
        id: BreakpointId,
        /// What went wrong; names the expression.
        message: String,
    },
    /// The program's own breakpoint instruction ran.
    OwnTrap {
        /// `int3`, `int 3`, `int1`.
        instruction: String,
        /// What it means and how to go on, a sentence.
        explanation: String,
    },
    /// A signal that stops arrived.
    Signal(SignalInfo),
    /// Requested instruction steps are done.
    Stepped,
    /// The line that was asked for is reached.
    Line {
        /// Whether it is in the frame in which the step began.
        same_frame: bool,
    },
    /// The place that was asked for is reached, or the frame has returned.
    Place,
    /// The frame that was to be finished has returned.
    Returned {
        /// The value, when it is known: its number in the history, and text.
        value: Option<(u32, String)>,
    },
    /// The user asked for it.
    Interrupted,
    /// The thread that ran alone has ended, and the others are locked.
    RunnerEnded,
    /// Commands or a front end want to look before the first instruction.
    Started,
    /// The process became another program and breakpoints were set anew.
    Executed,
    /// The thread has made a process, and neither has gone on.
    Forked {
        /// The new process.
        child: Pid,
        /// Whether the thread waits until that has left its memory.
        vfork: bool,
    },
    /// The process that the thread made has left its memory.
    VforkDone,
    /// The thread stands at a system call that is caught.
    SystemCall {
        /// Before it; else behind it.
        entry: bool,
        /// Its number.
        number: u64,
    },
    /// The thread is new and has not run.
    Born,
}

/// A frame of a call stack.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FrameInfo {
    /// 0 for the innermost.
    pub level: usize,
    /// The program's own address there.
    pub pc: VirtAddr,
    /// The canonical frame address.
    pub cfa: Option<u64>,
    /// The function.
    pub function: Option<String>,
    /// Bytes from the function's start.
    pub offset: Option<u64>,
    /// Arguments and their values, formatted.
    pub arguments: Vec<(String, String)>,
    /// The other variables, innermost block first; `None` where nobody asked or
    /// nothing is known of them.
    pub locals: Option<Vec<VariableInfo>>,
    /// The source file.
    pub file: Option<PathBuf>,
    /// The line.
    pub line: Option<u32>,
    /// The image.
    pub module: Option<PathBuf>,
    /// Whether it was found by guessing rather than by call-frame information.
    pub guess: bool,
    /// Whether the kernel made it to deliver a signal.
    pub signal_frame: bool,
    /// Whether it is a call that the compiler put inline.
    pub inlined: bool,
    /// Whether its function has ended in a jump to the one of the frame below: a
    /// tail call. What it kept on the stack is gone.
    pub tail_call: bool,
    /// Whether the pc is in the middle of a line (shown with its address).
    pub mid_line: bool,
}

/// A variable of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VariableInfo {
    /// Its name.
    pub name: String,
    /// Its value, formatted, or why it has none, in angle brackets.
    pub value: String,
}

/// A message of a log breakpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// Which breakpoint.
    pub id: BreakpointId,
    /// Which process.
    pub pid: Pid,
    /// Which thread.
    pub tid: Tid,
    /// Its name.
    pub thread_name: String,
    /// Where.
    pub pc: VirtAddr,
    /// The text.
    pub message: String,
    /// Milliseconds since the session began.
    pub tick_millis: u64,
}
