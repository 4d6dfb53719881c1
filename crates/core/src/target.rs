//! The seam between the debugger and whatever runs the debuggee.
//!
//! A [`Target`] holds any number of processes and turns what the system says
//! into [`TargetEvent`]s. It keeps the system's books (which thread belongs to
//! which process, which wait status means what) and no policy: it never
//! decides what a stop means to the user, and knows no breakpoints.
//!
//! A thread that is stopped is represented by one [`Stopped`] value. What may
//! only be done to a stopped thread takes that value; resuming consumes it.
//!
//! A thread can die at any moment (`SIGKILL`). Every operation then fails with
//! [`TargetError::Gone`], which is a normal outcome, and the death itself
//! comes as an event.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::addr::{AddrRange, VirtAddr};
use crate::ids::{Pid, Tid};
use crate::memory::ReadMemory;
use crate::stop::{ExitStatus, Signal, SignalInfo, StopCause};
use crate::x64::debug::{DebugRegisters, DebugStatus};
use crate::x64::{ExtendedState, Registers, VectorState};

/// Proof that a thread is stopped and waits for us. Neither `Clone` nor
/// `Copy`: resuming the thread takes it away. Made by targets only.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "a stopped thread stays stopped until it is resumed or detached"]
pub struct Stopped {
    pid: Pid,
    tid: Tid,
}

impl Stopped {
    /// For implementors of [`Target`]: states that the thread has stopped.
    pub fn by_target(pid: Pid, tid: Tid) -> Self {
        Self { pid, tid }
    }

    /// The process it belongs to.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The thread.
    pub fn tid(&self) -> Tid {
        self.tid
    }
}

/// Something happened in the debuggee.
#[derive(PartialEq, Eq, Debug)]
pub enum TargetEvent {
    /// A thread stopped.
    Stopped {
        /// The proof, with which it can be looked at and resumed.
        thread: Stopped,
        /// Why.
        cause: StopCause,
    },
    /// A thread is gone (its process may live on).
    ThreadExited {
        /// Its process.
        pid: Pid,
        /// The thread.
        tid: Tid,
    },
    /// A process is gone, all its threads with it.
    ProcessExited {
        /// The process.
        pid: Pid,
        /// How it ended.
        status: ExitStatus,
    },
    /// Somebody called [`Waker::wake`].
    Woken,
}

/// Whether to wait for an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Until there is one.
    Block,
    /// Only take what is there.
    Poll,
}

/// How a stopped thread goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    /// Run, or execute one instruction.
    pub step: bool,
    /// The signal to deliver; `None` suppresses the one it stopped for.
    pub signal: Option<Signal>,
}

impl Resume {
    /// Run on, delivering nothing.
    pub const RUN: Self = Self { step: false, signal: None };
    /// Execute one instruction, delivering nothing.
    pub const STEP: Self = Self { step: true, signal: None };
}

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct LaunchSpec {
    /// The program; a name without a slash is looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// Changes to our environment: `None` removes a variable.
    pub environment: BTreeMap<OsString, Option<OsString>>,
    /// Its working directory; ours when `None`.
    pub directory: Option<PathBuf>,
    /// Whether addresses are randomised (gdb's default: they are not).
    pub randomize_addresses: bool,
    /// Where its standard output goes; ours when `None`.
    pub stdout: Option<PathBuf>,
    /// Where its standard error goes; ours when `None`.
    pub stderr: Option<PathBuf>,
    /// Where its standard input comes from; ours when `None`.
    pub stdin: Option<PathBuf>,
}

/// What a target can do. Asked once; the planner and the engine choose by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Debug registers per thread.
    pub hardware_slots: u8,
    /// Whether threads go on when they are let, and memory can be changed.
    pub can_run: bool,
    /// Whether memory can be allocated in the debuggee, which out-of-line
    /// slots need.
    pub can_allocate: bool,
    /// Whether processes can be started.
    pub can_launch: bool,
    /// Whether running processes can be taken over.
    pub can_attach: bool,
    /// Whether the tracer runs above the debuggee's threads, so that stopping
    /// many busy ones does not starve it; `false` is worth telling the user.
    pub raised_priority: bool,
}

/// A mapping of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Where.
    pub range: AddrRange,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
    /// Shared rather than private.
    pub shared: bool,
    /// Offset into the file.
    pub file_offset: u64,
    /// Device and inode of the file; inode 0 for none.
    pub inode: (u64, u64),
    /// The file, or a name in brackets (`[stack]`); empty for anonymous
    /// memory. A file deleted since ends in ` (deleted)`, as the kernel says it.
    pub name: OsString,
}

/// Facts of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: Pid,
    /// The file it runs, openable even when it was deleted or replaced.
    pub executable: PathBuf,
    /// The same file by the name it had; for display.
    pub executable_name: PathBuf,
    /// Its command line.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub directory: Option<PathBuf>,
    /// The auxiliary vector as (type, value) pairs. getauxval(3).
    pub auxv: Vec<(u64, u64)>,
    /// Where its heap begins, though it may have none yet; `None` when that is
    /// not known. brk(2).
    pub heap_start: Option<VirtAddr>,
    /// For a process that cannot go on: how it came to that.
    pub death: Option<Death>,
}

/// How a process became a core file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Death {
    /// The thread that it died of, or that somebody looked at when the file was
    /// written.
    pub tid: Tid,
    /// The signal that the thread stopped for.
    pub signal: Option<SignalInfo>,
}

/// What a core file of a living process is to hold.
pub struct CoreImage<'a> {
    /// The process.
    pub pid: Pid,
    /// Its threads with the registers that the program itself has, the one that
    /// the user looks at first.
    pub threads: &'a [(&'a Stopped, Registers)],
    /// The signal that the first of them stopped for.
    pub signal: Option<Signal>,
    /// Its memory as the program itself has it.
    pub memory: &'a dyn ReadMemory,
    /// What is in it and not the program's.
    pub left_out: &'a [AddrRange],
}

/// Why a target did not do it, by what the caller can do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetError {
    /// The thread or process died or was never there. Normal: its exit event
    /// says the rest.
    Gone,
    /// The system refused. The target is still usable.
    Refused {
        /// What was asked, in words ("attach to process 12").
        what: String,
        /// The system's reason, and what it wants where we know.
        why: String,
    },
    /// Memory that is not there or not accessible.
    Unmapped {
        /// The first such address.
        addr: VirtAddr,
    },
    /// This target has no such ability.
    Unsupported(&'static str),
    /// The target broke: nothing more can be done with it. A defect of ours or
    /// a lost connection.
    Broken(String),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the thread or process is gone"),
            Self::Refused { what, why } => write!(f, "cannot {what}: {why}"),
            Self::Unmapped { addr } => write!(f, "Cannot access memory at address {addr}"),
            Self::Unsupported(what) => write!(f, "this target cannot {what}"),
            Self::Broken(why) => write!(f, "the target is lost: {why}"),
        }
    }
}

impl std::error::Error for TargetError {}

/// Result of a target operation.
pub type Result<T> = std::result::Result<T, TargetError>;

/// Ends a wait in [`Target::next_event`] from another thread.
pub trait Waker: Send + Sync {
    /// Makes the present or next wait return [`TargetEvent::Woken`]. Several
    /// calls may be answered by one event.
    fn wake(&self);
}

/// Protection of memory that we allocate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Read and execute.
    Code,
    /// Read and write.
    Data,
    /// Read, write and execute: for clients that ask for it.
    All,
}

/// Everything the debugger asks of an operating system or a remote stub.
///
/// All calls come from the one thread that made the target; an implementation
/// is not `Send`.
pub trait Target {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Ends waits from other threads.
    fn waker(&self) -> Arc<dyn Waker>;

    /// The file that launching `program` would run: found in `PATH` when it has
    /// no slash. It need not be executable.
    fn find_program(&self, program: &Path) -> Result<PathBuf>;

    /// Starts a program. On success the first event of the process is the
    /// [`StopCause::Started`] of its leader, with the program loaded and none
    /// of its code run.
    fn launch(&mut self, spec: &LaunchSpec) -> Result<Pid>;

    /// Takes over a running process. Every thread of it, those created
    /// meanwhile included, reports a [`StopCause::Started`] (or the
    /// [`StopCause::GroupStop`] it was in) as an event; returns the threads
    /// known so far.
    fn attach(&mut self, pid: Pid) -> Result<Vec<Tid>>;

    /// The next event. `None` only with [`Wait::Poll`], or when no process is
    /// left to wait for.
    fn next_event(&mut self, wait: Wait) -> Result<Option<TargetEvent>>;

    /// Asks a running thread to stop; it reports [`StopCause::Interrupted`]
    /// unless it stops for another reason first, in which case the request is
    /// spent and no second stop follows.
    fn interrupt(&mut self, pid: Pid, tid: Tid) -> Result<()>;

    /// Lets a stopped thread go on.
    ///
    /// A thread in a [`StopCause::GroupStop`] that is resumed without a signal
    /// stays in its group stop (as without a debugger) until `SIGCONT`.
    fn resume(&mut self, thread: Stopped, how: Resume) -> Result<()>;

    /// Lets a thread go for good, delivering `signal`. The last thread of a
    /// process ends the target's hold on it.
    fn detach(&mut self, thread: Stopped, signal: Option<Signal>) -> Result<()>;

    /// Kills a process; its exit comes as an event.
    fn kill(&mut self, pid: Pid) -> Result<()>;

    /// The integer registers.
    fn registers(&mut self, thread: &Stopped) -> Result<Registers>;

    /// Changes the integer registers.
    fn set_registers(&mut self, thread: &Stopped, registers: &Registers) -> Result<()>;

    /// Sets the registers of a thread that goes on in another copy of the
    /// instructions it is at. As [`Target::set_registers`], but a system call
    /// that the stop interrupted starts over in that copy, if it would have
    /// done so in the first.
    ///
    /// # Errors
    /// As [`Target::set_registers`].
    fn move_to_copy(&mut self, thread: &Stopped, registers: &Registers) -> Result<()> {
        self.set_registers(thread, registers)
    }

    /// Gives the system the registers that were set, which may wait for that
    /// until the thread is resumed: others are about to read them.
    ///
    /// # Errors
    /// As [`Target::set_registers`].
    fn settle_registers(&mut self, _: &Stopped) -> Result<()> {
        Ok(())
    }

    /// Where the system call that a stop interrupted starts over once the
    /// thread is resumed with `signal`; `None` when none was interrupted, or
    /// when a handler of the program's decides.
    fn starts_over_at(&mut self, _: &Stopped, _signal: Option<Signal>) -> Option<VirtAddr> {
        None
    }

    /// Has the signal that a thread stopped for say that the instruction at `to`
    /// raised it, if it says so of `from`: a copy of that instruction. Answers
    /// with what it says then; `None` when it did not say so.
    ///
    /// # Errors
    /// The thread died, or the system refused.
    fn set_signal_origin(
        &mut self,
        _: &Stopped,
        _from: VirtAddr,
        _to: VirtAddr,
    ) -> Result<Option<SignalInfo>> {
        Ok(None)
    }

    /// Whether the program has a handler for a signal.
    fn handles(&self, _: Pid, _: Tid, _signal: Signal) -> bool {
        false
    }

    /// Whether a signal, delivered to a thread now, ends its process and may
    /// have the system write a core file of it.
    fn dumps_core(&self, _: Pid, _: Tid, _signal: Signal) -> bool {
        false
    }

    /// The SSE registers.
    fn vector_state(&mut self, thread: &Stopped) -> Result<VectorState>;

    /// Changes the SSE registers.
    fn set_vector_state(&mut self, thread: &Stopped, state: &VectorState) -> Result<()>;

    /// Every register beside the integer ones that the processor has.
    ///
    /// # Errors
    /// The thread died, or the target has no such registers.
    fn extended_state(&mut self, _: &Stopped) -> Result<ExtendedState> {
        Err(TargetError::Unsupported("read the vector registers"))
    }

    /// Changes them.
    ///
    /// # Errors
    /// As [`Target::extended_state`], or the system refuses a value.
    fn set_extended_state(&mut self, _: &Stopped, _: &ExtendedState) -> Result<()> {
        Err(TargetError::Unsupported("change the vector registers"))
    }

    /// Everything that the system says of the signal that a thread stopped for,
    /// in its own format (`siginfo_t` on Linux).
    ///
    /// # Errors
    /// The thread died, or did not stop for a signal.
    fn signal_details(&mut self, _: &Stopped) -> Result<Vec<u8>> {
        Err(TargetError::Unsupported("tell what it knows of signals"))
    }

    /// Changes what that signal will say when it is delivered.
    ///
    /// # Errors
    /// As [`Target::signal_details`], or the bytes are not of that format.
    fn set_signal_details(&mut self, _: &Stopped, _: &[u8]) -> Result<()> {
        Err(TargetError::Unsupported("change what signals say"))
    }

    /// Whether the threads of a process stop at the entry and at the exit of
    /// every system call from when they are resumed next:
    /// [`StopCause::SystemCall`].
    ///
    /// # Errors
    /// The process is gone, or the target cannot do it.
    fn catch_system_calls(&mut self, _: Pid, _on: bool) -> Result<()> {
        Err(TargetError::Unsupported("stop at system calls"))
    }

    /// The processor that a thread ran on last; `None` where that is not known.
    fn processor_of(&self, _: Pid, _: Tid) -> Option<u32> {
        None
    }

    /// Arms the thread's debug registers.
    fn set_debug_registers(&mut self, thread: &Stopped, to: &DebugRegisters) -> Result<()>;

    /// Reads and clears the thread's debug status (what matched since the last
    /// call).
    fn take_debug_status(&mut self, thread: &Stopped) -> Result<DebugStatus>;

    /// Details of the signal that a thread stopped for may be changed by
    /// [`Self::resume`]; this keeps a signal for later: the thread will stop
    /// for it again, unchanged, as soon as it is resumed without it; from where
    /// it was deferred, one step goes first.
    ///
    /// Used when a signal arrives while a thread must first leave code of ours.
    fn defer_signal(&mut self, thread: &Stopped) -> Result<()>;

    /// Copies bytes of a process's memory, from the start of `buf`; returns
    /// how many could be read. These are the raw bytes, ours included.
    fn read_memory(&self, pid: Pid, addr: VirtAddr, buf: &mut [u8]) -> usize;

    /// Writes bytes into a process, whatever the protection of its pages.
    /// All or nothing as far as the system allows; the error names the address.
    fn write_memory(&mut self, pid: Pid, addr: VirtAddr, bytes: &[u8]) -> Result<()>;

    /// The mappings of a process, ascending.
    fn memory_map(&self, pid: Pid) -> Result<Vec<Region>>;

    /// Allocates `len` bytes (whole pages) at exactly `addr` in the process of
    /// a stopped thread, never over an existing mapping. The thread's
    /// registers, signals and interrupted system call are as before.
    ///
    /// All other threads of the process should be stopped too.
    fn allocate(
        &mut self,
        thread: &Stopped,
        addr: VirtAddr,
        len: u64,
        protection: Protection,
    ) -> Result<()>;

    /// Gives memory from [`Self::allocate`] back.
    fn release(&mut self, thread: &Stopped, range: AddrRange) -> Result<()>;

    /// Writes a core file of a process whose threads are stopped, as the system
    /// would, and answers with its length.
    fn write_core(&self, _: &CoreImage<'_>, _path: &Path) -> Result<u64> {
        Err(TargetError::Unsupported("write core files"))
    }

    /// Facts of a process.
    fn process_info(&self, pid: Pid) -> Result<ProcessInfo>;

    /// A thread's name.
    fn thread_name(&self, pid: Pid, tid: Tid) -> Result<String>;

    /// Name of the machine that the debuggee runs on.
    fn machine_name(&self) -> String;

    /// Why [`Self::allocate`] must not be asked of this thread (a system call
    /// filter, say, that might kill the program for it); `None` when it is safe.
    fn allocation_hazard(&self, thread: &Stopped) -> Option<String>;
}
