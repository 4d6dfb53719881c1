//! Letting threads go on: run, step, listen, detach, with the right signal.
//!
//! The kernel takes a signal only from a thread in a signal-delivery stop (a
//! breakpoint's and a step's `SIGTRAP` are such stops). From any other stop,
//! the signal is sent to the thread, and what it says is put right when it
//! arrives. A deferred signal is reported again, without running the thread,
//! when that is next resumed to run and with no other signal.

use trapline_core::stop::{Signal, StopCause};
use trapline_core::target::{Result, Resume, Stopped, TargetError, TargetEvent};
use trapline_core::{Pid, Tid};

use super::attach::options;
use super::sys::{self, Errno, Sys};
use super::threads::{KernelStop, State, Substitute, Thread};
use super::{LinuxTarget, failed, registers};
use crate::layout::siginfo::RawSigInfo;

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
        if how == Resume::RUN
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
        thread.stepping = how.step;
        thread.leaving_call = how.step && thread.at == KernelStop::Event;
        thread.state = if exiting { State::Exiting } else { State::Running };
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
        go(tid, how.step, signal)
    }

    /// Resumes a thread as it was last resumed, delivering nothing.
    pub(super) fn go_on_as_before(&mut self, tid: Tid) -> Sys<()> {
        let stepping = self.books.threads.get(&tid).is_some_and(|thread| thread.stepping);
        go(tid, stepping, None)
    }

    /// Delivers the signal that a thread stopped for and resumes it as it was.
    pub(super) fn deliver_and_go_on(&mut self, tid: Tid, signal: Signal) -> Sys<()> {
        let stepping = self.books.threads.get(&tid).is_some_and(|thread| thread.stepping);
        go(tid, stepping, Some(signal))
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
                sys::interrupt(tid.get()).map_err(|errno| failed("interrupt the thread", errno))
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
        Ok(())
    }

    pub(super) fn detach_thread(&mut self, proof: &Stopped, signal: Option<Signal>) -> Result<()> {
        let thread = self.require(proof)?;
        let done = detach(proof.tid(), thread, signal);
        let (pid, tid) = (proof.pid(), proof.tid());
        if done.is_ok() {
            self.books.remove(tid);
            self.books.processes.entry(pid).and_modify(|process| process.ours = false);
            if self.books.threads_of(pid).is_empty() {
                self.books.processes.remove(&pid);
                self.child_let_go(pid);
            }
        }
        done.map_err(|errno| failed("detach from the thread", errno))
    }
}

fn detach(tid: Tid, thread: &mut Thread, signal: Option<Signal>) -> Sys<()> {
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
    let signal = hand_over_signal(tid, thread, signal)?;
    while let Some(info) = thread.deferred.pop_front() {
        sys::tgkill(thread.pid.get(), tid.get(), info.signal().0)?;
    }
    sys::detach(tid.get(), signal.map_or(0, |signal| signal.0))
}

fn go(tid: Tid, step: bool, signal: Option<Signal>) -> Sys<()> {
    let signal = signal.map_or(0, |signal| signal.0);
    if step { sys::step(tid.get(), signal) } else { sys::cont(tid.get(), signal) }
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
            }
            Ok(Some(signal))
        }
        (KernelStop::Delivery, None) => Ok(Some(signal)),
        (KernelStop::Trap | KernelStop::Event, info) => {
            thread.substitutes.push_back(Substitute { signal, info, report: false });
            sys::tgkill(thread.pid.get(), tid.get(), signal.0)?;
            Ok(None)
        }
    }
}

/// Sends a deferred signal so that it is reported when it arrives.
fn send_again(tid: Tid, thread: &mut Thread, info: &RawSigInfo) -> Sys<()> {
    let signal = info.signal();
    thread.substitutes.push_back(Substitute { signal, info: Some(*info), report: true });
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
    go(tid, false, signal)
}
