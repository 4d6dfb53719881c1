//! From wait statuses to events: what each means given what we know of the
//! thread. Decides nothing about what a stop means to the user.

use trapline_core::stop::{ExitStatus, Signal, StopCause};
use trapline_core::target::{Result, Stopped, TargetError, TargetEvent, Wait};
use trapline_core::x64::INT1;
use trapline_core::x64::debug::DebugStatus;
use trapline_core::{Pid, Tid, VirtAddr};

use super::resume::take_signals_again;
use super::sys::{self, CallStop, Errno};
use super::threads::{Calls, KernelStop, State, Substitute, Thread, Way};
use super::wait::{self, Status, Stop, Trap};
use super::{LinuxTarget, failed, processes, registers};
use crate::layout::clone::{self, CloneFlags};
use crate::layout::siginfo::{RawSigInfo, SI_TKILL};

/// What the handling of a stop can come to: an event, nothing to tell, or the
/// discovery that the thread has died.
type Handled = std::result::Result<Option<TargetEvent>, Errno>;

/// From so many on, threads that are about to stop are not waited for singly.
const MANY: usize = 16;

/// Threads without news after which no further one is asked for its own.
const MOST_LATE: usize = 4;

impl LinuxTarget {
    pub(super) fn wait_for_event(&mut self, how: Wait) -> Result<Option<TargetEvent>> {
        let mut paused = false;
        loop {
            if self.sleeper.take_wake() {
                return Ok(Some(TargetEvent::Woken));
            }
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if let Some((tid, status)) = self.statuses.pop_front() {
                self.handle(Tid::new(tid), status)?;
                continue;
            }
            if how == Wait::Block
                && let Some(status) = self.steps.await_end()
            {
                self.statuses.push_back(status);
                continue;
            }
            let quiet = self.sleeper.take_quiet();
            if !(quiet && how == Wait::Block) && self.collect()? {
                continue;
            }
            if how == Wait::Poll || self.books.threads.is_empty() {
                return Ok(None);
            }
            // After a pause that brought nothing, they may take long.
            if !paused && self.awaited.len() >= MANY {
                self.sleeper.pause();
                paused = true;
            } else {
                self.sleeper.sleep();
            }
        }
    }

    /// Takes statuses that are there: those of threads that we asked to stop,
    /// or else all. The kernel looks through threads in a fixed order, so taking
    /// one at a time would let a busy thread starve the others.
    fn collect(&mut self) -> Result<bool> {
        self.collect_awaited();
        if !self.statuses.is_empty() {
            return Ok(true);
        }
        loop {
            match sys::wait_any() {
                Ok(Some(status)) => self.statuses.push_back(status),
                Err(Errno::CHILD) if self.statuses.is_empty() && !self.books.threads.is_empty() => {
                    let why = "the kernel no longer knows the threads that we trace";
                    return Err(TargetError::Broken(why.to_owned()));
                }
                Ok(None) if self.statuses.is_empty() => {
                    self.sleeper.note_quiet();
                    return Ok(false);
                }
                Ok(None) | Err(Errno::CHILD) => return Ok(!self.statuses.is_empty()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(TargetError::Broken(format!("waiting: {errno}"))),
            }
            if self.books.threads.len() == 1 {
                if self.statuses.back().is_some_and(is_plain_stop) {
                    self.sleeper.note_quiet();
                }
                return Ok(true);
            }
        }
    }

    /// Takes the statuses of threads that we asked to stop. They stop roughly
    /// in the order of asking. The kernel finds a thread by its number at once,
    /// and any thread that has news only by looking through all.
    fn collect_awaited(&mut self) {
        let mut late = 0;
        for _ in 0..self.awaited.len() {
            let Some(tid) = self.awaited.pop_front() else { return };
            if !self.books.awaits(tid) {
                continue;
            }
            match sys::poll_for(tid.get()) {
                Ok(Some(status)) => self.statuses.push_back((tid.get(), status)),
                Ok(None) => {
                    self.awaited.push_back(tid);
                    late += 1;
                }
                // It became another, by exec.
                Err(_) => {}
            }
            if late == MOST_LATE {
                return;
            }
        }
    }

    fn handle(&mut self, tid: Tid, status: i32) -> Result<()> {
        if !self.books.threads.contains_key(&tid) {
            self.keep_for_later(tid, status);
            return Ok(());
        }
        let stop = match wait::decode(status) {
            Status::Ended(how) => {
                self.ended(tid, how);
                return Ok(());
            }
            Status::Stopped(stop) => stop,
            Status::Unknown(raw) => {
                return Err(TargetError::Broken(format!("wait status {raw:#x} of thread {tid}")));
            }
        };
        match self.stopped(tid, stop) {
            Ok(Some(event)) => self.ready.push_back(event),
            // A thread that was killed in its stop: its end comes next.
            Ok(None) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(failed("handle a stop", errno)),
        }
        self.release_known();
        Ok(())
    }

    /// A thread may be seen before the parent's event tells of it.
    fn keep_for_later(&mut self, tid: Tid, status: i32) {
        if wait::decode(status) == Status::Stopped(Stop::Exit) {
            // It dies unannounced and may hold up the end of its process.
            let _gone = sys::cont(tid.get(), 0);
        } else {
            self.books.unknown.insert(tid, status);
        }
    }

    /// Takes in the processes whose parent died before it could tell of them,
    /// and forgets the dead. A parent that lives is about to tell.
    fn adopt_orphans(&mut self) {
        let unknown = std::mem::take(&mut self.books.unknown);
        for (tid, status) in unknown {
            let pid = Pid::new(tid.get());
            let orphan = processes::thread_status(pid, tid)
                .is_some_and(|says| says.tgid == tid.get() && !self.may_tell(says.parent));
            let stopped = matches!(wait::decode(status), Status::Stopped(_));
            if stopped && orphan {
                self.add_process(pid, tid, false);
                let born = State::Born { attached: false };
                self.books.threads.insert(tid, Thread::new(pid, born));
                self.statuses.push_back((tid.get(), status));
            } else if stopped {
                self.books.unknown.insert(tid, status);
            }
        }
    }

    /// Whether a process lives whose event tells of a child of `parent`. Our own
    /// children come from programs that we launched: clone(2), `CLONE_PARENT`.
    fn may_tell(&self, parent: i32) -> bool {
        let launched = || self.books.processes.values().any(|process| process.ours);
        self.books.processes.contains_key(&Pid::new(parent))
            || (parent == sys::own_pid() && launched())
    }

    /// Handles the first stops of threads that have become known.
    fn release_known(&mut self) {
        let (books, statuses) = (&mut self.books, &mut self.statuses);
        let known = |tid: &Tid, _: &mut i32| books.threads.contains_key(tid);
        for (tid, status) in books.unknown.extract_if(.., known) {
            statuses.push_front((tid.get(), status));
        }
    }

    fn ended(&mut self, tid: Tid, status: ExitStatus) {
        let Some(pid) = self.books.threads.get(&tid).map(|thread| thread.pid) else { return };
        if tid != pid.leader() {
            self.books.remove(tid);
            self.ready.push_back(TargetEvent::ThreadExited { pid, tid });
            if !self.books.has_threads(pid) {
                // The leader had exited before we attached, so its end is not
                // told to us; the last thread's is that of the process.
                self.process_ended(pid, status);
            }
            return;
        }
        for tid in self.books.remove_process(pid) {
            self.ready.push_back(TargetEvent::ThreadExited { pid, tid });
        }
        self.process_ended(pid, status);
    }

    fn process_ended(&mut self, pid: Pid, status: ExitStatus) {
        self.books.processes.remove(&pid);
        self.ready.push_back(TargetEvent::ProcessExited { pid, status });
        self.adopt_orphans();
        self.child_let_go(pid);
    }

    fn stopped(&mut self, tid: Tid, stop: Stop) -> Handled {
        let Some(thread) = self.books.threads.get_mut(&tid) else { return Ok(None) };
        take_signals_again(tid, thread)?;
        if thread.state == State::Stopped && stop != Stop::Exec {
            // Only death moves a thread that we hold, and the proof of its
            // stop is already out.
            thread.state = State::Exiting;
            return sys::cont(tid.get(), 0).map(|()| None);
        }
        match stop {
            Stop::Signal(signal) => self.signal_stop(tid, signal),
            Stop::Trap => self.trap_stop(tid, None),
            Stop::Group(signal) => self.trap_stop(tid, Some(signal)),
            Stop::NewChild => self.new_child(tid),
            Stop::Exec => self.executed(tid),
            Stop::Exit => Ok(self.report(tid, KernelStop::Exit, StopCause::Exiting)),
            Stop::SystemCall => self.call_stop(tid),
            Stop::OtherEvent(_) => {
                self.books.threads.entry(tid).and_modify(|thread| thread.at = KernelStop::Event);
                self.go_on_as_before(tid).map(|()| None)
            }
        }
    }

    /// The entry or the exit of a system call.
    fn call_stop(&mut self, tid: Tid) -> Handled {
        self.books.threads.entry(tid).and_modify(|thread| thread.at = KernelStop::Event);
        let told = self.books.threads.get(&tid).is_some_and(|it| it.calls == Calls::Told);
        let (entry, number) = match sys::call_stop(tid.get())? {
            CallStop::Entry(number) if told => (true, number),
            CallStop::Exit if told => (false, registers::read(tid)?.orig_rax),
            _ => return self.go_on_as_before(tid).map(|()| None),
        };
        let event = self.report(tid, KernelStop::Event, StopCause::SystemCall { entry, number });
        self.books.threads.entry(tid).and_modify(|thread| thread.before_call = entry);
        Ok(event)
    }

    /// Notes the stop and makes the event. What comes before a thread's first
    /// stop is told after it.
    fn report(&mut self, tid: Tid, at: KernelStop, cause: StopCause) -> Option<TargetEvent> {
        let thread = self.books.threads.get_mut(&tid)?;
        let first = matches!(thread.state, State::Born { .. });
        let begins = matches!(cause, StopCause::Started | StopCause::GroupStop(_));
        thread.stop_at(at);
        let cause = if first && !begins {
            thread.after_start = Some(cause);
            StopCause::Started
        } else {
            cause
        };
        Some(TargetEvent::Stopped { thread: Stopped::by_target(thread.pid, tid), cause })
    }

    /// As `report`, for a stop that may have thrown the thread out of a system
    /// call. Looking for that takes the registers, which are kept.
    fn report_out_of_call(&mut self, tid: Tid, at: KernelStop, cause: StopCause) -> Handled {
        let registers = registers::restart_interrupted_call(tid)?;
        let event = self.report(tid, at, cause);
        self.books.threads.entry(tid).and_modify(|thread| thread.registers = Some(registers));
        Ok(event)
    }

    fn signal_stop(&mut self, tid: Tid, signal: Signal) -> Handled {
        let mut info = sys::siginfo(tid.get())?;
        if info.is_event() || info.signal() != signal {
            // The thread has moved on since the status was taken: it is dying.
            return Ok(None);
        }
        if signal == Signal::TRAP && wait::trap(&info) != Trap::Sent {
            if self.has_just_left_call(tid, &info) {
                return self.go_on_as_before(tid).map(|()| None);
            }
            let cause = self.trap_cause(tid, &info)?;
            let at = match wait::trap(&info) {
                Trap::HandlerBegins => KernelStop::Trap,
                _ => KernelStop::Delivery,
            };
            return Ok(self.report(tid, at, cause));
        }
        if let Some(substitute) = self.take_substitute(tid, &info) {
            if let Some(original) = substitute.info {
                sys::set_siginfo(tid.get(), &original)?;
                info = original;
            }
            if !substitute.report {
                return self.deliver_and_go_on(tid, signal).map(|()| None);
            }
        }
        let cause = StopCause::Signal(info.decode());
        let event = self.report_out_of_call(tid, KernelStop::Delivery, cause)?;
        self.books.threads.entry(tid).and_modify(|thread| thread.signal = Some(info));
        Ok(event)
    }

    fn has_just_left_call(&mut self, tid: Tid, info: &RawSigInfo) -> bool {
        let Some(thread) = self.books.threads.get_mut(&tid) else { return false };
        std::mem::take(&mut thread.leaving_call) && wait::trap(info) == Trap::Int1OrStep
    }

    /// Whether the signal is one that comes in the place of another.
    fn take_substitute(&mut self, tid: Tid, info: &RawSigInfo) -> Option<Substitute> {
        let ours = info.code() == SI_TKILL && info.pid_field() == sys::own_pid();
        let is_it = |substitute: &Substitute| match substitute.way {
            Way::Sent => ours && substitute.signal == info.signal(),
            Way::PutBack => substitute.info == Some(*info),
        };
        let waiting = &mut self.books.threads.get_mut(&tid)?.substitutes;
        let place = waiting.iter().position(is_it)?;
        waiting.remove(place)
    }

    fn trap_cause(&self, tid: Tid, info: &RawSigInfo) -> std::result::Result<StopCause, Errno> {
        let thread = &self.books.threads[&tid];
        Ok(match wait::trap(info) {
            Trap::Breakpoint | Trap::Sent => StopCause::Breakpoint,
            Trap::Int1OrStep if self.stands_after_int1(tid)? => StopCause::Int1,
            Trap::Int1OrStep if !thread.stepping => {
                // No `int1` leaves the pc here, so what is armed here is the cause:
                // the kernel took a debug exception without a status for one.
                let slots = thread.armed.executing(VirtAddr::new(registers::read(tid)?.rip));
                match slots.contains(&true) {
                    true => StopCause::Debug(DebugStatus { slots, ..<_>::default() }),
                    false => StopCause::Int1,
                }
            }
            Trap::Int1OrStep | Trap::HandlerBegins => {
                StopCause::Debug(DebugStatus { single_step: true, ..<_>::default() })
            }
            Trap::Debug => StopCause::Debug(debug_status(tid, thread)?),
        })
    }

    fn stands_after_int1(&self, tid: Tid) -> std::result::Result<bool, Errno> {
        let pc = registers::read(tid)?.rip;
        let mut byte = [0];
        let pid = self.books.threads[&tid].pid;
        let read = self.read(pid, VirtAddr::new(pc.wrapping_sub(1)), &mut byte);
        Ok(read == 1 && byte[0] == INT1)
    }

    /// A trap for an interrupt, for a thread's beginning, or for the beginning
    /// (`group` names the signal) or end of a group stop.
    fn trap_stop(&mut self, tid: Tid, group: Option<Signal>) -> Handled {
        let Some(thread) = self.books.threads.get_mut(&tid) else { return Ok(None) };
        let (state, asked) = (thread.state, thread.interrupt_asked);
        let was_in_group_stop = thread.group_stop.is_some();
        thread.group_stop = group;
        thread.at = KernelStop::Trap;
        let cause = match (state, group) {
            (State::Born { attached: true }, Some(signal)) => StopCause::GroupStop(signal),
            (State::Born { .. }, _) => StopCause::Started,
            _ if asked && group.is_none() && has_raised(tid)? => {
                return self.let_it_arrive(tid).map(|()| None);
            }
            _ if asked => StopCause::Interrupted,
            (_, Some(signal)) if !was_in_group_stop => StopCause::GroupStop(signal),
            (_, Some(_)) => {
                thread.state = State::Listening;
                return sys::listen(tid.get()).map(|()| None);
            }
            // The end of a group stop, or the answer to an interrupt that
            // another stop had overtaken.
            (_, None) => {
                thread.state = State::Running;
                registers::restart_interrupted_call(tid)?;
                return self.go_on_as_before(tid).map(|()| None);
            }
        };
        match cause {
            // A group stop ends such a call without a debugger too.
            StopCause::GroupStop(_) => Ok(self.report(tid, KernelStop::Trap, cause)),
            _ => self.report_out_of_call(tid, KernelStop::Trap, cause),
        }
    }

    /// Lets a thread go on to the trap or fault it has run into already, instead
    /// of telling that it was interrupted: nothing of the program runs before.
    fn let_it_arrive(&mut self, tid: Tid) -> std::result::Result<(), Errno> {
        if let Some(thread) = self.books.threads.get_mut(&tid) {
            thread.state = State::Running;
            thread.interrupt_asked = false;
        }
        self.go_on_as_before(tid)
    }

    fn new_child(&mut self, tid: Tid) -> Handled {
        let child = i32::try_from(sys::event_message(tid.get())?).unwrap_or_default();
        let flags = self.clone_flags(tid)?;
        let parent = self.books.threads[&tid].pid;
        let born = State::Born { attached: false };
        if flags.thread {
            let child = Tid::new(child);
            let calls = self.books.threads[&tid].calls;
            let born = || Thread { calls, ..Thread::new(parent, born) };
            self.books.threads.entry(child).or_insert_with(born);
            return Ok(self.report(tid, KernelStop::Event, StopCause::Cloned { child }));
        }
        let child = Pid::new(child);
        if !self.books.processes.contains_key(&child) {
            let ours = self.books.processes.get(&parent).is_some_and(|process| process.ours);
            self.add_process(child, child.leader(), ours);
            self.books.threads.insert(child.leader(), Thread::new(child, born));
        }
        let CloneFlags { shares_memory, vfork, .. } = flags;
        let cause = StopCause::Forked { child, shares_memory, vfork };
        let event = self.report(tid, KernelStop::Event, cause);
        if vfork {
            self.books.threads.entry(tid).and_modify(|t| t.vfork_child = Some(child));
        }
        Ok(event)
    }

    fn clone_flags(&self, tid: Tid) -> std::result::Result<CloneFlags, Errno> {
        let registers = registers::read(tid)?;
        let pid = self.books.threads[&tid].pid;
        let word = |addr| {
            let mut bytes = [0; 8];
            (self.read(pid, VirtAddr::new(addr), &mut bytes) == 8)
                .then(|| u64::from_le_bytes(bytes))
        };
        // Unreadable flags are those of a process that is being killed.
        clone::flags_of_call(&registers, word).ok_or(Errno::SRCH)
    }

    fn executed(&mut self, tid: Tid) -> Handled {
        let former = Tid::new(i32::try_from(sys::event_message(tid.get())?).unwrap_or_default());
        let pid = self.books.threads[&tid].pid;
        for gone in self.books.threads_of(pid).into_iter().filter(|other| *other != tid) {
            self.books.remove(gone);
            self.statuses.retain(|(raw, _)| *raw != gone.get());
            self.ready.push_back(TargetEvent::ThreadExited { pid, tid: gone });
        }
        let calls = self.books.threads[&tid].calls;
        self.books.threads.insert(tid, Thread { calls, ..Thread::new(pid, State::Running) });
        let ours = self.books.processes.get(&pid).is_some_and(|process| process.ours);
        self.add_process(pid, tid, ours);
        self.child_let_go(pid);
        Ok(self.report(tid, KernelStop::Event, StopCause::Executed { former }))
    }

    /// Lets the parents go on that waited for a process to leave their memory.
    pub(super) fn child_let_go(&mut self, child: Pid) {
        for tid in self.books.vfork_parents(child) {
            let Some(parent) = self.books.threads.get_mut(&tid) else { continue };
            parent.vfork_child = None;
            if let State::Held(how) = parent.state {
                parent.state = State::Stopped;
                let proof = Stopped::by_target(parent.pid, tid);
                // A parent that died meanwhile tells of it itself.
                let _gone = self.resume_thread(&proof, how);
            }
        }
    }
}

/// The debug status register costs two system calls, so it is read only where
/// it can say more than that a step ended.
fn debug_status(tid: Tid, thread: &Thread) -> std::result::Result<DebugStatus, Errno> {
    if thread.armed.slots.iter().all(Option::is_none) {
        return Ok(DebugStatus { single_step: true, ..DebugStatus::default() });
    }
    let mut status = registers::take_debug_status(tid)?;
    for (hit, slot) in status.slots.iter_mut().zip(thread.armed.slots) {
        *hit &= slot.is_some();
    }
    Ok(status)
}

/// Whether a wait status is a stop for a signal and no ptrace event. When the
/// only thread that we know has stopped so, no other can have news: a child
/// comes into the books with its parent's event, before the parent runs on. The
/// next news then raises a `SIGCHLD` of its own.
fn is_plain_stop((_, status): &(i32, i32)) -> bool {
    libc::WIFSTOPPED(*status) && status >> 16 == 0
}

/// Whether an instruction of a thread has raised a signal and the thread has
/// not stopped for it yet: the kernel lets an interrupt overtake it
/// (kernel/signal.c, `get_signal`). After an `int3` the pc is already behind
/// it, and whoever takes the thread for stopped between two instructions would
/// skip the one under the trap; a fault would be taken for that of the place to
/// which the thread is moved meanwhile.
fn has_raised(tid: Tid) -> std::result::Result<bool, Errno> {
    for place in 0.. {
        match sys::pending_siginfo(tid.get(), place)? {
            Some(info) if Signal::RAISED.contains(&info.signal()) && info.code() > 0 => {
                return Ok(true);
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(false)
}
