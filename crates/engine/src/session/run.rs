//! The run loop's policy: what becomes of each event, how everything is
//! brought to a stop, and how a stop is told.
//!
//! An event first goes into the books, then [`Session::judge`] says what it
//! means, then [`Session::act`] does it. While everything is being held the
//! judgement is the same and only the acting differs: nothing is resumed, and
//! what is to be told waits. So a hit that arrives during somebody else's stop
//! is counted once, kept, and delivered.

use std::time::Instant;

use trapline_core::stop::StopCause;
use trapline_core::target::{Stopped, TargetEvent, Wait};
use trapline_core::{Pid, Tid};

use super::{Motion, Selected, Session};
use crate::event::{Event, StopReason, StopReport};
use crate::process::RunState;

/// What a stop of one thread means.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing to the user: the thread goes on.
    GoOn,
    /// The thread stays as it is; somebody else resumes it.
    Stay,
    /// The user wants to know.
    Report(Vec<StopReason>),
}

impl Verdict {
    /// What two causes of one stop mean together.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Report(mut reasons), Self::Report(more)) => {
                reasons.extend(more);
                Self::Report(reasons)
            }
            (Self::Report(reasons), _) | (_, Self::Report(reasons)) => Self::Report(reasons),
            (Self::Stay, _) | (_, Self::Stay) => Self::Stay,
            (Self::GoOn, Self::GoOn) => Self::GoOn,
        }
    }

    /// A report, when there is something to report.
    pub(super) fn about(reasons: Vec<StopReason>) -> Self {
        if reasons.is_empty() { Self::GoOn } else { Self::Report(reasons) }
    }
}

impl Session {
    /// Puts an event into the books and lets its consequences happen.
    pub(super) fn take(&mut self, event: TargetEvent) {
        match event {
            TargetEvent::Woken => {}
            TargetEvent::ThreadExited { pid, tid } => self.thread_exited(pid, tid),
            TargetEvent::ProcessExited { pid, status } => self.process_exited(pid, status),
            TargetEvent::Stopped { thread, cause } => self.arrived(thread, &cause),
        }
    }

    fn arrived(&mut self, stopped: Stopped, cause: &StopCause) {
        let (pid, tid) = (stopped.pid(), stopped.tid());
        if !self.adopt(pid, tid) {
            self.release_stranger(stopped);
            return;
        }
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.run = RunState::Stopped(stopped);
        }
        let verdict = self.judge(pid, tid, cause);
        self.act(pid, tid, verdict);
    }

    /// Makes sure the books know a thread of a known process; `false` for a
    /// process nobody told us about.
    fn adopt(&mut self, pid: Pid, tid: Tid) -> bool {
        if self.thread(pid, tid).is_some() {
            return true;
        }
        if !self.processes.contains_key(&pid) {
            return false;
        }
        let thread = self.new_thread(tid);
        let number = thread.number;
        let debuggee = match self.processes.get_mut(&pid) {
            Some(process) => {
                process.threads.insert(tid, thread);
                process.is_debuggee()
            }
            None => false,
        };
        if debuggee {
            self.emit(Event::ThreadCreated { pid, tid, number });
        }
        true
    }

    fn release_stranger(&mut self, stopped: Stopped) {
        let pid = stopped.pid();
        // It may already be dead, which is as good as gone.
        let _ = self.target.detach(stopped, None);
        self.warn(format!("process {pid} stopped for us but is not of this session; let go"));
    }

    /// What a stop means. A flat table; each row is decided elsewhere.
    // tidy: flat match
    fn judge(&mut self, pid: Pid, tid: Tid, cause: &StopCause) -> Verdict {
        self.describe_stop(pid, tid, cause);
        match cause {
            StopCause::Breakpoint => self.judge_breakpoint(pid, tid),
            StopCause::Int1 => self.judge_int1(pid, tid),
            StopCause::Debug(status) => self.judge_debug(pid, tid, *status),
            StopCause::Signal(info) => self.judge_signal(pid, tid, *info),
            StopCause::Started => self.judge_started(pid, tid),
            StopCause::Cloned { child } => {
                self.adopt(pid, *child);
                Verdict::GoOn
            }
            StopCause::Forked { child, shares_memory, vfork } => {
                self.judge_fork(pid, tid, *child, *shares_memory, *vfork)
            }
            StopCause::Executed { former } => self.judge_exec(pid, tid, *former),
            StopCause::Exiting => {
                self.count_last(pid, tid);
                if let Some(thread) = self.thread_mut(pid, tid) {
                    thread.exiting = true;
                }
                Verdict::GoOn
            }
            StopCause::SystemCall { entry, number } => self.judge_call(pid, *entry, *number),
            StopCause::GroupStop(_) | StopCause::Interrupted => Verdict::GoOn,
        }
    }

    fn describe_stop(&mut self, pid: Pid, tid: Tid, cause: &StopCause) {
        let words = match cause {
            StopCause::Signal(info) => format!("stopped by {}", info.signal),
            StopCause::GroupStop(signal) => format!("stopped by job control ({signal})"),
            StopCause::Forked { vfork: true, .. } => "waiting in vfork".to_owned(),
            StopCause::Exiting => "exiting".to_owned(),
            _ => return,
        };
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.stopped_for = words;
        }
    }

    pub(super) fn act(&mut self, pid: Pid, tid: Tid, verdict: Verdict) {
        match verdict {
            Verdict::Stay => {}
            Verdict::GoOn => {
                if self.motion == Motion::Running {
                    self.resume_thread(pid, tid);
                }
            }
            Verdict::Report(reasons) => {
                self.hold_began.get_or_insert_with(Instant::now);
                if let Some(thread) = self.thread_mut(pid, tid) {
                    thread.pending.extend(reasons);
                    self.report_queue.push((pid, tid));
                }
            }
        }
    }

    /// Brings everything to a stop and tells the user, when somebody has
    /// something to tell and the debuggee moves.
    pub(super) fn report_if_due(&mut self) {
        self.tell_if_nobody_runs();
        if self.is_non_stop() {
            return self.report_singly();
        }
        while self.motion == Motion::Running && (self.has_reports() || !self.chores.is_empty()) {
            self.hold();
            if !self.deliver() {
                // What was to be told is void by now (its process died).
                self.let_run();
            }
        }
    }

    /// Brings every thread to a stop. Counts the hits that arrive meanwhile.
    pub(super) fn hold(&mut self) {
        if self.motion == Motion::Held {
            return;
        }
        self.hold_began.get_or_insert_with(Instant::now);
        self.motion = Motion::Holding;
        loop {
            self.interrupt_running();
            if !self.any_running() {
                break;
            }
            if !self.take_all_there_is() {
                break;
            }
        }
        self.settle_slots();
        self.motion = Motion::Held;
        self.do_chores();
    }

    /// Waits for an event, then takes all that have come. `false` when nothing
    /// can come any more. Looking at every thread once per batch rather than
    /// once per event keeps a hold of many threads linear.
    pub(super) fn take_all_there_is(&mut self) -> bool {
        let mut wait = Wait::Block;
        loop {
            match self.target.next_event(wait) {
                Ok(Some(event)) => self.take(event),
                Ok(None) => return wait == Wait::Poll,
                Err(error) => {
                    self.lose_everything(&error.to_string());
                    return false;
                }
            }
            wait = Wait::Poll;
        }
    }

    fn any_running(&self) -> bool {
        self.processes
            .values()
            .any(|process| process.threads.values().any(crate::process::Thread::is_running))
    }

    /// Asks every thread that runs and has not been asked yet.
    fn interrupt_running(&mut self) {
        for (pid, tid) in self.all_threads() {
            let Some(thread) = self.thread_mut(pid, tid) else { continue };
            let RunState::Running { interrupted } = &mut thread.run else { continue };
            if std::mem::replace(interrupted, true) {
                continue;
            }
            if self.target.interrupt(pid, tid).is_err() {
                // It is dying: its exit is on the way, or, for a leader that
                // went before its threads, comes with the process's end.
                self.forget_unwaitable(pid, tid);
            }
        }
    }

    /// Tells the user about the first thread in the queue that still has
    /// something to tell, and is not locked. `false` when there is none.
    pub(super) fn deliver(&mut self) -> bool {
        if self.is_non_stop() {
            self.tell_each();
            return false;
        }
        while let Some((pid, tid)) = self.take_report() {
            let Some(thread) = self.thread_mut(pid, tid) else { continue };
            let mut reasons = std::mem::take(&mut thread.pending);
            let breakpoints = &self.breakpoints;
            reasons.retain(|reason| breakpoints.still_wants(reason));
            if reasons.is_empty() {
                continue;
            }
            self.cancel_steps();
            self.verify_armed();
            if self.client.is_none() {
                reasons.extend(self.data_changed_from_outside(&reasons));
                self.find_lost_watches(pid, tid);
            }
            self.park_all();
            self.selection = Some(Selected { pid, tid, frame: 0 });
            self.note_calls_not_entered(pid, tid, &reasons);
            self.emit_stop(pid, tid, reasons);
            return true;
        }
        false
    }

    pub(super) fn emit_stop(&mut self, pid: Pid, tid: Tid, reasons: Vec<StopReason>) {
        let (commands, auto_continue) = self.finish_stops(&reasons);
        let frame = match &self.client {
            Some(_) => self.bare_frame(pid, tid),
            None => self.innermost_frame(pid, tid),
        };
        let words = crate::breakpoints::describe_reasons(&reasons);
        // A site that is already there and has not been counted is still to be
        // passed; one that the user sets here from now on is not, as in gdb.
        let due = self.space_of(pid).is_some_and(|space| space.has_site(tid, frame.pc));
        let due = due || self.client.is_some();
        let number = match self.thread_mut(pid, tid) {
            Some(thread) => {
                thread.stopped_for = words;
                if thread.counted_at.is_none() && !due {
                    thread.counted_at = Some(frame.pc);
                }
                thread.number
            }
            None => 0,
        };
        let hold_nanos = self
            .hold_began
            .take()
            .map_or(0, |began| u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        // Clients ask for it when they want to know.
        let thread_name = match &self.client {
            Some(_) => String::new(),
            None => self.target.thread_name(pid, tid).unwrap_or_default(),
        };
        self.emit(Event::Stopped(Box::new(StopReport {
            pid,
            tid,
            thread: number,
            thread_name,
            reasons,
            frame,
            commands,
            auto_continue,
            hold_nanos,
        })));
    }

    /// A stop ends every walk: the user starts a new one from where things are.
    fn cancel_steps(&mut self) {
        for process in self.processes.values_mut() {
            for thread in process.threads.values_mut() {
                thread.step = None;
            }
        }
        self.drop_courses();
        self.drop_return_points();
    }
}
