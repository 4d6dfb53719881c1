//! Processes on Linux, through ptrace(2).
//!
//! [`LinuxTarget`] puts the parts together: `sys` makes the system calls,
//! `wait` decodes what they say, `threads` keeps the books, `events` turns
//! statuses into events, `resume` lets threads go on, and the rest does what
//! its name says. One target per thread: the thread that makes it is the
//! tracer, and takes the wait statuses of everything that it traces.
//!
//! The child of a vfork borrows its parent's memory, and the parent cannot be
//! interrupted while it waits. Such a parent stays in its stop however it is
//! resumed, and goes on when the child executes or exits. Do not detach such a
//! child before that.

mod attach;
mod core_file;
mod details;
mod events;
mod inject;
pub mod input;
mod launch;
mod memory;
mod processes;
mod registers;
mod requests;
mod resume;
mod signals;
mod steps;
mod sys;
pub mod terminal;
mod threads;
pub mod wait;

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trapline_core::stop::{Signal, SignalInfo};
use trapline_core::target::{
    Capabilities, CoreImage, LaunchSpec, ProcessInfo, Protection, Region, Result, Resume, Stopped,
    Target, TargetError, TargetEvent, Wait, Waker,
};
use trapline_core::x64::debug::{DebugRegisters, DebugStatus, SLOTS};
use trapline_core::x64::{ExtendedState, Registers, VectorState};
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

pub use requests::Requests;
pub use signals::block_signals;
pub use sys::{LostAt, give_back_pages, survive_lost_pages};

use crate::layout::restart;
use signals::Sleeper;
use steps::StepWatch;
use sys::{Errno, Scheduling};
use threads::Books;

/// Everything on this machine that the calling thread debugs.
#[derive(Debug)]
pub struct LinuxTarget {
    books: Books,
    /// Statuses that were waited for and not looked at yet.
    statuses: VecDeque<(i32, i32)>,
    /// Threads that were asked to stop, in that order. Those that have stopped
    /// for another reason are still here.
    awaited: VecDeque<Tid>,
    /// Events that are ready to be handed out.
    ready: VecDeque<TargetEvent>,
    sleeper: Sleeper,
    steps: StepWatch,
    /// The scheduling this thread had, which launched programs get.
    scheduling: Scheduling,
    raised: bool,
    kill_on_exit: bool,
    /// ptrace belongs to a thread.
    _not_send: PhantomData<*const ()>,
}

impl LinuxTarget {
    /// Makes the calling thread a tracer. It blocks `SIGCHLD` and `SIGURG` for
    /// itself, and runs above ordinary threads where the system allows it.
    ///
    /// # Errors
    /// [`TargetError::Refused`] when 64 targets exist in this process.
    pub fn new() -> Result<Self> {
        let scheduling = Scheduling::current();
        Ok(Self {
            books: Books::default(),
            statuses: VecDeque::new(),
            awaited: VecDeque::new(),
            ready: VecDeque::new(),
            sleeper: Sleeper::new()?,
            steps: StepWatch::default(),
            raised: Scheduling::REAL_TIME.apply() || Scheduling::AHEAD.apply(),
            scheduling,
            kill_on_exit: true,
            _not_send: PhantomData,
        })
    }

    /// Whether programs launched from now on die with this thread (the
    /// default), even when it is killed.
    pub fn set_kill_on_exit(&mut self, kill: bool) {
        self.kill_on_exit = kill;
    }
}

impl Drop for LinuxTarget {
    fn drop(&mut self) {
        self.end_all();
        self.scheduling.apply();
    }
}

/// What a failed system call means to the caller of a target.
fn failed(what: &str, errno: Errno) -> TargetError {
    match errno {
        Errno::SRCH => TargetError::Gone,
        _ => TargetError::Refused { what: what.to_owned(), why: errno.to_string() },
    }
}

impl Target for LinuxTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            hardware_slots: u8::try_from(SLOTS).unwrap_or(u8::MAX),
            can_run: true,
            can_allocate: true,
            can_launch: true,
            can_attach: true,
            raised_priority: self.raised,
        }
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.sleeper.waker()
    }

    fn find_program(&self, program: &Path) -> Result<PathBuf> {
        launch::find_program(program)
    }

    fn launch(&mut self, spec: &LaunchSpec) -> Result<Pid> {
        self.launch_program(spec)
    }

    fn attach(&mut self, pid: Pid) -> Result<Vec<Tid>> {
        self.attach_process(pid)
    }

    fn next_event(&mut self, wait: Wait) -> Result<Option<TargetEvent>> {
        self.wait_for_event(wait)
    }

    fn interrupt(&mut self, pid: Pid, tid: Tid) -> Result<()> {
        self.interrupt_thread(pid, tid)
    }

    fn resume(&mut self, thread: Stopped, how: Resume) -> Result<()> {
        self.resume_thread(&thread, how)
    }

    fn detach(&mut self, thread: Stopped, signal: Option<Signal>) -> Result<()> {
        self.detach_thread(&thread, signal)
    }

    fn kill(&mut self, pid: Pid) -> Result<()> {
        if !self.books.processes.contains_key(&pid) {
            return Err(TargetError::Gone);
        }
        sys::kill(pid.get(), Signal::KILL.0).map_err(|errno| failed("kill the process", errno))
    }

    fn registers(&mut self, thread: &Stopped) -> Result<Registers> {
        self.read_registers(thread)
    }

    fn set_registers(&mut self, thread: &Stopped, registers: &Registers) -> Result<()> {
        self.change_registers(thread, registers)
    }

    fn move_to_copy(&mut self, thread: &Stopped, registers: &Registers) -> Result<()> {
        self.keep_registers(thread, registers)
    }

    fn settle_registers(&mut self, thread: &Stopped) -> Result<()> {
        let tid = thread.tid();
        registers::flush(tid, self.require(thread)?)
            .map_err(|errno| failed("set the registers", errno))
    }

    fn starts_over_at(&mut self, thread: &Stopped, signal: Option<Signal>) -> Option<VirtAddr> {
        let handled = |signal| processes::handles(thread.pid(), thread.tid(), signal);
        if signal.is_some_and(handled) {
            return None;
        }
        restart::starts_over_at(&self.registers(thread).ok()?)
    }

    fn handles(&self, pid: Pid, tid: Tid, signal: Signal) -> bool {
        processes::handles(pid, tid, signal)
    }

    fn dumps_core(&self, pid: Pid, tid: Tid, signal: Signal) -> bool {
        processes::dumps_core(pid, tid, signal)
    }

    fn vector_state(&mut self, thread: &Stopped) -> Result<VectorState> {
        self.read_vector_state(thread)
    }

    fn set_vector_state(&mut self, thread: &Stopped, state: &VectorState) -> Result<()> {
        self.change_vector_state(thread, state)
    }

    fn extended_state(&mut self, thread: &Stopped) -> Result<ExtendedState> {
        self.read_extended_state(thread)
    }

    fn set_extended_state(&mut self, thread: &Stopped, state: &ExtendedState) -> Result<()> {
        self.change_extended_state(thread, state)
    }

    fn signal_details(&mut self, thread: &Stopped) -> Result<Vec<u8>> {
        self.read_signal_details(thread)
    }

    fn set_signal_details(&mut self, thread: &Stopped, bytes: &[u8]) -> Result<()> {
        self.change_signal_details(thread, bytes)
    }

    fn catch_system_calls(&mut self, pid: Pid, on: bool) -> Result<()> {
        self.tell_system_calls(pid, on)
    }

    fn processor_of(&self, pid: Pid, tid: Tid) -> Option<u32> {
        details::processor_of(pid, tid)
    }

    fn set_debug_registers(&mut self, thread: &Stopped, to: &DebugRegisters) -> Result<()> {
        self.arm_debug_registers(thread, to)
    }

    fn take_debug_status(&mut self, thread: &Stopped) -> Result<DebugStatus> {
        self.require(thread)?;
        registers::take_debug_status(thread.tid())
            .map_err(|errno| failed("read the debug status", errno))
    }

    fn defer_signal(&mut self, thread: &Stopped) -> Result<()> {
        self.defer(thread)
    }

    fn set_signal_origin(
        &mut self,
        thread: &Stopped,
        from: VirtAddr,
        to: VirtAddr,
    ) -> Result<Option<SignalInfo>> {
        self.set_origin(thread, from, to)
    }

    fn read_memory(&self, pid: Pid, addr: VirtAddr, buf: &mut [u8]) -> usize {
        self.read(pid, addr, buf)
    }

    fn write_memory(&mut self, pid: Pid, addr: VirtAddr, bytes: &[u8]) -> Result<()> {
        self.write(pid, addr, bytes)
    }

    fn memory_map(&self, pid: Pid) -> Result<Vec<Region>> {
        self.read_map(pid)
    }

    fn allocate(
        &mut self,
        thread: &Stopped,
        addr: VirtAddr,
        len: u64,
        protection: Protection,
    ) -> Result<()> {
        self.map_memory(thread, addr, len, protection)
    }

    fn release(&mut self, thread: &Stopped, range: AddrRange) -> Result<()> {
        self.unmap_memory(thread, range)
    }

    fn write_core(&self, image: &CoreImage<'_>, path: &Path) -> Result<u64> {
        self.write_core_file(image, path)
    }

    fn process_info(&self, pid: Pid) -> Result<ProcessInfo> {
        self.read_process_info(pid)
    }

    fn thread_name(&self, pid: Pid, tid: Tid) -> Result<String> {
        processes::thread_name(pid, tid)
    }

    fn machine_name(&self) -> String {
        sys::machine_name()
    }

    fn allocation_hazard(&self, thread: &Stopped) -> Option<String> {
        processes::system_call_filter(thread.pid(), thread.tid())
    }
}
