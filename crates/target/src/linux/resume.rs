//! Letting threads go on: run, step, listen, detach, with the right signal.
//!
//! The kernel takes a signal only from a thread in a signal-delivery stop (a
//! breakpoint's and a step's `SIGTRAP` are such stops). From any other stop,
//! the signal is sent to the thread, and what it says is put right when it
//! arrives. A deferred signal is reported again, without running the thread,
//! when that is next resumed to run, or to step from another stop than the one
//! it was deferred at, and with no other signal.

use trapline_core::stop::{Signal, SignalInfo, StopCause};
use trapline_core::target::{Result, Resume, Stopped, TargetError, TargetEvent};
use trapline_core::x64::debug::DebugStatus;
use trapline_core::{Pid, Tid, VirtAddr};

use super::attach::options;
use super::inject::SYSCALL;
use super::sys::{self, Errno, Sys};
use super::threads::{Calls, KernelStop, State, Substitute, Thread, Way};
use super::{LinuxTarget, failed, registers};
use crate::layout::siginfo::{RawSigInfo, SI_TKILL};

/// The signals that can wait: all but those that an instruction may raise
/// itself, which the kernel would unblock by force, dropping their handlers.
const CAN_WAIT: u64 = !mask_of(&Signal::RAISED);

const fn mask_of(signals: &[Signal]) -> u64 {
    let mut mask = 0;
    let mut index = 0;
    while index < signals.len() {
        mask |= 1 << (signals[index].0 - 1);
        index += 1;
    }
    mask
}

impl LinuxTarget {
    /// The thread that a proof is about.
    pub(super) fn require(&mut self, proof: &Stopped) -> Result<&mut Thread> {
        self.books.stopped(proof).ok_or(TargetError::Gone)
    }

    pub(super) fn resume_thread(&mut self, proof: &Stopped, how: Resume) -> Result<()> {
        let vfork_child = self.require(proof)?.vfork_child;
        let child_lives = vfork_child.is_some_and(|pid| self.books.processes.contains_key(&pid));
        let thread = self.require(proof)?;
        if child_lives {
            thread.state = State::Held(how);
            return Ok(());
        }
        if let Some(cause) = thread.after_start.take() {
            let thread = Stopped::by_target(proof.pid(), proof.tid());
            self.ready.push_back(TargetEvent::Stopped { thread, cause });
            return Ok(());
        }
        if how == Resume::STEP && std::mem::take(&mut thread.step_is_over) {
            let thread = Stopped::by_target(proof.pid(), proof.tid());
            let cause = StopCause::Debug(DebugStatus { single_step: true, ..<_>::default() });
            self.ready.push_back(TargetEvent::Stopped { thread, cause });
            return Ok(());
        }
        if how.signal.is_none()
            && !(how.step && thread.defers_here)
            && thread.at != KernelStop::Exit
            && let Some(info) = thread.deferred.pop_front()
        {
            thread.signal = Some(info);
            thread.signal_lost = true;
            let thread = Stopped::by_target(proof.pid(), proof.tid());
            let cause = StopCause::Signal(info.decode());
            self.ready.push_back(TargetEvent::Stopped { thread, cause });
            return Ok(());
        }
        self.let_go(proof.tid(), how).map_err(|errno| failed("resume the thread", errno))
    }

    fn let_go(&mut self, tid: Tid, how: Resume) -> Sys<()> {
        let Some(thread) = self.books.threads.get_mut(&tid) else { return Err(Errno::SRCH) };
        registers::flush(tid, thread)?;
        let exiting = thread.at == KernelStop::Exit;
        if exiting {
            // A thread that is dead but not yet waited for must not take its
            // process along when we go.
            sys::set_options(tid.get(), options(false))?;
        }
        let in_call = thread.at == KernelStop::Event;
        thread.stepping = how.step;
        if how.step {
            self.steps.begin();
        }
        thread.steps_over_call = if in_call { thread.steps_over_call } else { how.step };
        thread.leaving_call = how.step && in_call && !thread.steps_over_call;
        thread.state = if exiting { State::Exiting } else { State::Running };
        thread.step_is_over = false;
        thread.defers_here = false;
        let mut signal = hand_over_signal(tid, thread, how.signal)?;
        while let Some(info) = (!how.step).then(|| thread.deferred.pop_front()).flatten() {
            send_again(tid, thread, &info)?;
        }
        if let Some(stop) = thread.group_stop.filter(|_| !how.step && !exiting) {
            if how.signal == Some(Signal::CONT) {
                signal = None;
            }
            return stay_in_group_stop(tid, thread, stop, signal);
        }
        go(tid, thread, signal)
    }

    /// Resumes a thread as it was last resumed, delivering nothing.
    pub(super) fn go_on_as_before(&mut self, tid: Tid) -> Sys<()> {
        self.books.threads.get(&tid).map_or(Ok(()), |thread| go(tid, thread, None))
    }

    /// Delivers the signal that a thread stopped for and resumes it as it was.
    pub(super) fn deliver_and_go_on(&mut self, tid: Tid, signal: Signal) -> Sys<()> {
        self.books.threads.get(&tid).map_or(Ok(()), |thread| go(tid, thread, Some(signal)))
    }

    pub(super) fn interrupt_thread(&mut self, pid: Pid, tid: Tid) -> Result<()> {
        let thread = self.books.threads.get_mut(&tid).filter(|thread| thread.pid == pid);
        let thread = thread.ok_or(TargetError::Gone)?;
        match thread.state {
            State::Exiting => Err(TargetError::Gone),
            // Its stop is out or on its way, and spends the request.
            State::Stopped | State::Born { .. } => Ok(()),
            State::Held(_) => {
                thread.state = State::Stopped;
                let thread = Stopped::by_target(pid, tid);
                let cause = StopCause::Interrupted;
                self.ready.push_back(TargetEvent::Stopped { thread, cause });
                Ok(())
            }
            State::Running | State::Listening => {
                thread.interrupt_asked = true;
                let asked = sys::interrupt(tid.get());
                asked.map_err(|errno| failed("interrupt the thread", errno))?;
                self.awaited.push_back(tid);
                Ok(())
            }
        }
    }

    pub(super) fn defer(&mut self, proof: &Stopped) -> Result<()> {
        let thread = self.require(proof)?;
        let info = thread.signal.take().ok_or_else(|| TargetError::Refused {
            what: "defer a signal".to_owned(),
            why: "the thread did not stop for one".to_owned(),
        })?;
        thread.deferred.push_back(info);
        thread.defers_here = true;
        self.hold_back_signals(proof).map_err(|errno| failed("defer a signal", errno))
    }

    pub(super) fn set_origin(
        &mut self,
        proof: &Stopped,
        from: VirtAddr,
        to: VirtAddr,
    ) -> Result<Option<SignalInfo>> {
        let tid = proof.tid().get();
        let thread = self.require(proof)?;
        let refused = |errno| failed("change a signal", errno);
        let info = match thread.signal {
            Some(info) => info,
            None => sys::siginfo(tid).map_err(refused)?,
        };
        let Some(info) = info.with_origin(from.get(), to.get()) else { return Ok(None) };
        thread.signal = thread.signal.and(Some(info));
        if thread.at == KernelStop::Delivery {
            sys::set_siginfo(tid, &info).map_err(refused)?;
        }
        Ok(Some(info.decode()))
    }

    /// Keeps further signals in the kernel's queue, in order, until the thread
    /// stops again. Not when it is about to make a system call, which may ask
    /// for the mask or wait for a signal.
    fn hold_back_signals(&mut self, proof: &Stopped) -> Sys<()> {
        let (pid, tid) = (proof.pid(), proof.tid());
        let pc = registers::read(tid)?.rip;
        let mut code = [0; 2];
        let read = self.read(pid, VirtAddr::new(pc), &mut code);
        let Some(thread) = self.books.stopped(proof) else { return Err(Errno::SRCH) };
        if thread.own_mask.is_some() || read < code.len() || code == SYSCALL {
            return Ok(());
        }
        let mask = sys::signal_mask(tid.get())?;
        sys::set_signal_mask(tid.get(), mask | CAN_WAIT)?;
        thread.own_mask = Some(mask);
        Ok(())
    }

    pub(super) fn detach_thread(&mut self, proof: &Stopped, signal: Option<Signal>) -> Result<()> {
        let thread = self.require(proof)?;
        let done = detach(proof.tid(), thread, signal);
        let (pid, tid) = (proof.pid(), proof.tid());
        if done.is_ok() {
            self.books.remove(tid);
            self.books.processes.entry(pid).and_modify(|process| process.ours = false);
            if !self.books.has_threads(pid) {
                self.books.processes.remove(&pid);
                self.child_let_go(pid);
            }
        }
        done.map_err(|errno| failed("detach from the thread", errno))
    }
}

/// Lets a thread block what it blocks itself.
pub(super) fn take_signals_again(tid: Tid, thread: &mut Thread) -> Sys<()> {
    match thread.own_mask.take() {
        Some(mask) => sys::set_signal_mask(tid.get(), mask),
        None => Ok(()),
    }
}

fn detach(tid: Tid, thread: &mut Thread, signal: Option<Signal>) -> Sys<()> {
    take_signals_again(tid, thread)?;
    registers::disarm(tid, thread)?;
    registers::flush(tid, thread)?;
    let untold = match thread.after_start.take() {
        Some(StopCause::Signal(info)) => Some(info.signal),
        _ => None,
    };
    let signal = signal.or(untold).or_else(|| {
        thread.signal = Some(thread.deferred.pop_front()?);
        thread.signal_lost = true;
        thread.signal.map(|info| info.signal())
    });
    let taken = thread.signal.filter(|info| Some(info.signal()) == signal);
    let signal = match (thread.at, taken) {
        (KernelStop::Trap | KernelStop::Event, Some(info)) => {
            send_for_good(tid, thread, &info)?;
            None
        }
        _ => hand_over_signal(tid, thread, signal)?,
    };
    while let Some(info) = thread.deferred.pop_front() {
        send_for_good(tid, thread, &info)?;
    }
    sys::detach(tid.get(), signal.map_or(0, |signal| signal.0))
}

/// Lets a thread go as it is noted to go.
fn go(tid: Tid, thread: &Thread, signal: Option<Signal>) -> Sys<()> {
    let signal = signal.map_or(0, |signal| signal.0);
    match (thread.stepping, thread.calls) {
        (true, _) => sys::step(tid.get(), signal),
        (false, Calls::Told) => sys::to_call(tid.get(), signal),
        (false, Calls::Quiet) => sys::cont(tid.get(), signal),
    }
}

/// Prepares the delivery of a signal; returns what is to go with the resuming
/// request itself.
fn hand_over_signal(tid: Tid, thread: &mut Thread, signal: Option<Signal>) -> Sys<Option<Signal>> {
    let Some(signal) = signal else { return Ok(None) };
    let info = thread.signal.take().filter(|info| info.signal() == signal);
    match (thread.at, info) {
        (KernelStop::Exit, _) => Ok(None),
        (KernelStop::Delivery, Some(info)) => {
            if thread.signal_lost {
                sys::set_siginfo(tid.get(), &info)?;
                expect_put_back(tid, thread, info)?;
            }
            Ok(Some(signal))
        }
        (KernelStop::Delivery, None) => Ok(Some(signal)),
        (KernelStop::Trap | KernelStop::Event, info) => {
            let substitute = Substitute { signal, way: Way::Sent, info, report: false };
            thread.substitutes.push_back(substitute);
            sys::tgkill(thread.pid.get(), tid.get(), signal.0)?;
            Ok(None)
        }
    }
}

/// Expects a signal back that the thread blocks: the kernel puts it into its
/// queue again (kernel/signal.c, `ptrace_signal`). A thread blocks what it has
/// stopped for when it waited in a call with a mask of its own, `sigsuspend` or
/// `ppoll`, and a system call of ours had the kernel forget that mask. The call
/// starts over, and takes the signal again.
fn expect_put_back(tid: Tid, thread: &mut Thread, info: RawSigInfo) -> Sys<()> {
    let signal = info.signal();
    if sys::signal_mask(tid.get())? & mask_of(&[signal]) != 0 {
        let substitute = Substitute { signal, way: Way::PutBack, info: Some(info), report: false };
        thread.substitutes.push_back(substitute);
    }
    Ok(())
}

/// Sends a signal that we shall not see arrive, with what it says where the
/// kernel lets us say that.
fn send_for_good(tid: Tid, thread: &Thread, info: &RawSigInfo) -> Sys<()> {
    let pid = thread.pid.get();
    if info.code() < 0 && info.code() != SI_TKILL {
        return sys::queue(pid, tid.get(), info);
    }
    sys::tgkill(pid, tid.get(), info.signal().0)
}

/// Sends a deferred signal so that it is reported when it arrives.
fn send_again(tid: Tid, thread: &mut Thread, info: &RawSigInfo) -> Sys<()> {
    let signal = info.signal();
    let substitute = Substitute { signal, way: Way::Sent, info: Some(*info), report: true };
    thread.substitutes.push_back(substitute);
    sys::tgkill(thread.pid.get(), tid.get(), signal.0)
}

/// Leaves a thread in its group stop. Only a thread in a trap stop can listen;
/// from another stop it is first made to trap, and listens when it does.
fn stay_in_group_stop(
    tid: Tid,
    thread: &mut Thread,
    stop: Signal,
    signal: Option<Signal>,
) -> Sys<()> {
    if thread.at == KernelStop::Trap {
        thread.state = State::Listening;
        return sys::listen(tid.get());
    }
    thread.group_stop = Some(stop);
    sys::interrupt(tid.get())?;
    go(tid, thread, signal)
}
