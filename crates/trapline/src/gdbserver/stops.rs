//! What the client is told of what happened: stops and ends, one at a time and
//! none lost.
//!
//! In all-stop mode a report answers the request that let threads go; what
//! happens besides waits for the next such request. In non-stop mode the first
//! of a series is a notification, and the client fetches the rest.

use std::collections::{BTreeMap, VecDeque};

use trapline_core::breakpoint::Mechanism;
use trapline_core::stop::{ExitStatus, Signal};
use trapline_core::x64::debug::Access;
use trapline_core::{Pid, Tid};
use trapline_engine::Event;
use trapline_engine::client::ThreadKey;
use trapline_engine::event::{StopReason, StopReport};
use trapline_rsp::StopReply;
use trapline_rsp::stop::{Stop, StopNote};

use super::say;
use super::server::{Answer, Answered, Ending, Server};
use super::threads::number;

/// Registers that clients want at every stop: the frame pointer, the stack
/// pointer and the program counter.
const EXPEDITED: [u32; 3] = [6, 7, 16];

/// Something to be told.
#[derive(Clone, Debug)]
enum Report {
    /// Of a thread, which stands.
    Thread(ThreadKey, Box<Told>),
    /// Of a process that has ended.
    Ended(Pid, ExitStatus),
    /// Of a thread that has ended.
    ThreadEnded(ThreadKey),
    /// All that was let go has ended.
    NoneResumed,
}

/// What is told of a thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) signal: i32,
    pub(super) note: Note,
}

/// Why a thread stands, in the session's words.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Note {
    #[default]
    None,
    /// It has been started or attached to.
    Arrived,
    SoftwareBreak,
    HardwareBreak,
    Watch(Access, u64),
    Fork(Pid),
    Vfork(Pid),
    VforkDone,
    Exec,
    Call {
        entry: bool,
        number: u64,
    },
    Born,
}

/// Reports, told and untold.
#[derive(Default)]
pub(super) struct Stops {
    untold: VecDeque<Report>,
    /// What was told of each thread that stands.
    told: BTreeMap<ThreadKey, Told>,
    /// Whether the client waits for a report.
    awaited: bool,
    /// Whether the client has sent Ctrl-C and not been told of a stop since.
    interrupted: bool,
    /// Whether a notification is out that the client has not fetched all of.
    notified: bool,
    /// What is told when there is nobody left to tell of.
    last_end: Option<(Pid, ExitStatus)>,
}

impl Stops {
    pub(super) fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    pub(super) fn await_report(&mut self) {
        self.awaited = true;
    }

    /// Notes that the client wants the program to stop, whichever thread that is.
    pub(super) fn note_interrupt(&mut self) {
        self.interrupted = true;
    }

    fn take_interrupt(&mut self) -> bool {
        std::mem::take(&mut self.interrupted)
    }

    fn tells_of_an_end(&self) -> bool {
        self.untold.iter().any(|report| matches!(report, Report::Ended(..)))
    }

    /// Whether a thread has nothing untold.
    pub(super) fn may_go(&self, thread: ThreadKey) -> bool {
        !self.untold.iter().any(|report| matches!(report, Report::Thread(it, _) if *it == thread))
    }

    /// Forgets what was told of threads that go on.
    pub(super) fn forget(&mut self, threads: impl Iterator<Item = ThreadKey>) {
        threads.for_each(|thread| {
            self.told.remove(&thread);
        });
    }

    /// Forgets a process that the client has let go.
    pub(super) fn forget_process(&mut self, pid: Pid) {
        self.told.retain(|thread, _| thread.pid != pid);
        self.untold.retain(|report| match report {
            Report::Thread(thread, _) | Report::ThreadEnded(thread) => thread.pid != pid,
            Report::Ended(ended, _) => *ended != pid,
            Report::NoneResumed => true,
        });
    }

    /// The next client is told where threads stand, and not of events that this
    /// one has dealt with.
    pub(super) fn forget_events(&mut self) {
        let is_place = |note: &Note| {
            matches!(note, Note::SoftwareBreak | Note::HardwareBreak | Note::Watch(..))
        };
        for told in self.told.values_mut().filter(|told| !is_place(&told.note)) {
            told.note = Note::None;
        }
        (self.awaited, self.notified) = (false, false);
    }

    /// What is known of a thread that stands.
    pub(super) fn told_of(&self, thread: ThreadKey) -> Told {
        self.told.get(&thread).cloned().unwrap_or_default()
    }

    /// Notes that a thread stands for a signal, without telling.
    pub(super) fn note(&mut self, thread: ThreadKey, told: Told) {
        self.told.insert(thread, told);
    }
}

impl Server {
    /// Takes in what has happened, and tells what is due.
    pub(super) fn tell_news(&mut self) {
        while let Some(event) = self.session.next_event() {
            self.take_event(event);
        }
        if self.client.non_stop {
            self.notify();
        } else if self.stops.awaited && self.stops.has_untold() {
            self.tell_next();
        }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Stopped(report) => {
                let thread = ThreadKey { pid: report.pid, tid: report.tid };
                let report = match told(&report) {
                    Some(mut told) => {
                        let parked = report.reasons.contains(&StopReason::Interrupted);
                        if parked && !self.stops.take_interrupt() && self.client.non_stop {
                            // Asked for by name, it stops for no signal.
                            told.signal = 0;
                        }
                        Report::Thread(thread, Box::new(told))
                    }
                    // The end of a process says that nothing of it runs.
                    None if self.stops.tells_of_an_end() => return,
                    None => Report::NoneResumed,
                };
                self.stops.untold.push_back(report);
            }
            Event::ProcessStarted { pid, parent, .. } => {
                let attached = parent.and_then(|parent| self.origins.get(&parent).copied());
                self.origins.entry(pid).or_insert(attached.unwrap_or(false));
            }
            Event::ProcessExited { pid, status, .. } => self.process_ended(pid, status),
            Event::ThreadExited { pid, tid, .. } => self.thread_ended(ThreadKey { pid, tid }),
            Event::Log(record) => self.printed.print(&record.message),
            Event::Warning(text) => say(&text),
            _ => {}
        }
    }

    fn process_ended(&mut self, pid: Pid, status: ExitStatus) {
        self.stops.told.retain(|thread, _| thread.pid != pid);
        if self.origins.remove(&pid).is_none() {
            return;
        }
        if !self.client.non_stop {
            self.session.hold();
        }
        match status {
            ExitStatus::Exited(code) => say(&format!("\nChild exited with status {code}")),
            ExitStatus::Signalled { signal, .. } => {
                say(&format!("\nChild terminated with signal = 0x{:x} ({signal})", signal.0));
            }
        }
        self.stops.untold.push_back(Report::Ended(pid, status));
    }

    fn thread_ended(&mut self, thread: ThreadKey) {
        self.stops.told.remove(&thread);
        if self.client.thread_events && self.origins.contains_key(&thread.pid) {
            self.stops.untold.push_back(Report::ThreadEnded(thread));
        }
    }

    /// Tells the first untold report as the answer that is awaited.
    pub(super) fn tell_next(&mut self) {
        let Some(report) = self.stops.untold.pop_front() else { return };
        self.stops.awaited = false;
        if matches!(report, Report::NoneResumed) && !self.client.none_resumed {
            // As gdbserver does: the client knows no word for it, and waits.
            self.link.send(b"E.No unwaited-for children left.");
            return;
        }
        let reply = self.reply_for(report);
        let payload = self.payload_of(&reply);
        self.link.send(&payload);
        self.end_if_nothing_is_left();
    }

    /// Without programs a server that is not extended has nothing left to do.
    pub(super) fn end_if_nothing_is_left(&mut self) {
        let nothing = self.session.processes().is_empty() && !self.stops.has_untold();
        if nothing && !self.client.extended && self.launching.has_run {
            self.ending = Some(Ending::NothingLeft);
        }
    }

    /// Has it told of threads that stand and nobody was told of.
    pub(super) fn tell_of_untold(&mut self, threads: impl IntoIterator<Item = ThreadKey>) {
        for thread in threads {
            if !self.stops.told.contains_key(&thread) && self.stops.may_go(thread) {
                self.stops.untold.push_back(Report::Thread(thread, Box::default()));
            }
        }
    }

    /// Notifies of the first untold report, unless the client still fetches.
    fn notify(&mut self) {
        if self.stops.notified {
            return;
        }
        let Some(report) = self.stops.untold.front().cloned() else { return };
        self.stops.notified = true;
        let reply = self.reply_for(report);
        let mut payload = b"Stop:".to_vec();
        payload.extend(self.payload_of(&reply));
        self.link.notify(&payload);
    }

    /// `vStopped`: the client has taken a report, and wants the next.
    pub(super) fn next_stop(&mut self) -> Answer {
        if self.stops.notified {
            self.stops.untold.pop_front();
        }
        match self.stops.untold.front().cloned() {
            Some(report) => {
                let reply = self.reply_for(report);
                Answer::Payload(self.payload_of(&reply))
            }
            None => {
                self.stops.notified = false;
                self.end_if_nothing_is_left();
                Answer::Done
            }
        }
    }

    /// `?`: why the program stands.
    pub(super) fn stop_reason(&mut self) -> Answered {
        if self.client.non_stop {
            return Ok(self.all_that_stand());
        }
        match self.current_thread() {
            Ok(thread) => Ok(self.stop_of(thread)),
            Err(_) => Ok(match self.stops.last_end {
                Some((pid, status)) => {
                    Answer::Payload(self.payload_of(&self.end_reply(pid, status)))
                }
                None => Answer::Payload(b"W00".to_vec()),
            }),
        }
    }

    /// Begins anew to tell of the threads that stand and were told of. gdb asks
    /// the others to stop itself, and counts on that.
    fn all_that_stand(&mut self) -> Answer {
        self.tell_news();
        for thread in self.session.threads() {
            // What is untold is told in any case.
            if let Some(told) = self.stops.told.get(&thread).cloned()
                && self.stops.may_go(thread)
            {
                self.stops.untold.push_back(Report::Thread(thread, Box::new(told)));
            }
        }
        match self.stops.untold.front().cloned() {
            Some(report) => {
                self.stops.notified = true;
                let reply = self.reply_for(report);
                Answer::Payload(self.payload_of(&reply))
            }
            None => {
                self.stops.notified = false;
                Answer::Done
            }
        }
    }

    /// What is known of a thread, as a report.
    pub(super) fn stop_of(&mut self, thread: ThreadKey) -> Answer {
        let told = self.stops.told_of(thread);
        let reply = self.reply_for(Report::Thread(thread, Box::new(told)));
        Answer::Payload(self.payload_of(&reply))
    }

    fn payload_of(&self, reply: &StopReply) -> Vec<u8> {
        if let StopReply::Stopped(stop) = reply
            && self.disabled.long_stops
        {
            return format!("S{:02x}", stop.signal).into_bytes();
        }
        let mut payload = Vec::new();
        reply.write(&mut payload);
        payload
    }

    fn end_reply(&self, pid: Pid, status: ExitStatus) -> StopReply {
        let process = self.client.multiprocess.then(|| number(pid.get()));
        match status {
            ExitStatus::Exited(code) => StopReply::Exited { code: code.cast_unsigned(), process },
            ExitStatus::Signalled { signal, .. } => {
                StopReply::Signalled { signal: self.lldb.wire_signal(signal), process }
            }
        }
    }

    fn reply_for(&mut self, report: Report) -> StopReply {
        match report {
            Report::Thread(thread, told) => {
                self.current = Some(thread);
                self.stops.told.insert(thread, (*told).clone());
                StopReply::Stopped(self.stop_reply(thread, &told))
            }
            Report::Ended(pid, status) => {
                self.stops.last_end = Some((pid, status));
                self.end_reply(pid, status)
            }
            Report::ThreadEnded(thread) => {
                StopReply::ThreadExited { code: 0, thread: self.id_of(thread) }
            }
            Report::NoneResumed => StopReply::NoneResumed,
        }
    }

    fn stop_reply(&mut self, thread: ThreadKey, told: &Told) -> Stop {
        let notes = self.note_on_the_wire(thread, &told.note).into_iter().collect();
        let registers = EXPEDITED
            .into_iter()
            .filter_map(|number| Some((number, self.register(thread, number).ok()?)))
            .collect();
        Stop {
            signal: self.lldb.wire_signal(self.lldb.signal_told(told)),
            thread: (!self.disabled.thread_in_stops).then(|| self.id_of(thread)),
            core: self.session.processor_of(thread),
            registers,
            notes,
            extra: self.lldb_pairs(thread, told),
        }
    }

    fn note_on_the_wire(&mut self, thread: ThreadKey, note: &Note) -> Option<StopNote> {
        let leader = |pid: Pid| self.id_of(ThreadKey { pid, tid: pid.leader() });
        Some(match *note {
            Note::None | Note::Arrived => return None,
            Note::SoftwareBreak => {
                return self.client.software_breaks.then_some(StopNote::SoftwareBreak);
            }
            Note::HardwareBreak => {
                return self.client.hardware_breaks.then_some(StopNote::HardwareBreak);
            }
            Note::Watch(Access::Write, at) => StopNote::Watch(at),
            Note::Watch(Access::Read, at) => StopNote::ReadWatch(at),
            Note::Watch(Access::ReadWrite, at) => StopNote::AccessWatch(at),
            Note::Fork(child) => StopNote::Fork(leader(child)),
            Note::Vfork(child) => StopNote::Vfork(leader(child)),
            Note::VforkDone => StopNote::VforkDone,
            Note::Exec => {
                let path = self.session.executable(thread.pid).unwrap_or_default();
                StopNote::Exec(path.into_os_string().into_encoded_bytes())
            }
            Note::Call { entry: true, number } => StopNote::SyscallEntry(number),
            Note::Call { entry: false, number } => StopNote::SyscallReturn(number),
            Note::Born => StopNote::Create,
        })
    }
}

/// What a client hears of a stop: one thing. `None` when nothing that was let go
/// is left.
fn told(report: &StopReport) -> Option<Told> {
    let mut best = Told { signal: Signal::TRAP.0, note: Note::None };
    if report.reasons.contains(&StopReason::RunnerEnded) {
        return None;
    }
    for reason in &report.reasons {
        let note = match reason {
            StopReason::Signal(info) => return Some(Told { signal: info.signal.0, ..best }),
            StopReason::Interrupted => {
                best.signal = Signal::INT.0;
                continue;
            }
            StopReason::Breakpoint { mechanism: Mechanism::Hardware, .. } => Note::HardwareBreak,
            StopReason::Breakpoint { .. } | StopReason::ConditionError { .. } => {
                Note::SoftwareBreak
            }
            StopReason::Data { access: Some(access), address, .. } => {
                Note::Watch(*access, address.get())
            }
            StopReason::Forked { child, vfork: false } => Note::Fork(*child),
            StopReason::Forked { child, vfork: true } => Note::Vfork(*child),
            StopReason::VforkDone => Note::VforkDone,
            StopReason::Executed => Note::Exec,
            StopReason::SystemCall { entry, number } => {
                Note::Call { entry: *entry, number: *number }
            }
            StopReason::Born => Note::Born,
            _ => continue,
        };
        // Data and events are told rather than a place that is reached as well:
        // a client looks itself where a thread stands.
        if matches!(best.note, Note::None | Note::SoftwareBreak | Note::HardwareBreak) {
            best.note = note;
        }
    }
    Some(best)
}

/// The thread that leads a process.
pub(super) fn leader(pid: Pid) -> ThreadKey {
    let tid: Tid = pid.leader();
    ThreadKey { pid, tid }
}
