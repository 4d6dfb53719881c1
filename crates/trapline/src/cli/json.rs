//! `--json`: one object a line. The names and their meaning are described in
//! `docs/json.md` and do not change.

use std::io::Write;

use serde::Serialize;
use trapline_core::stop::ExitStatus;
use trapline_core::{BreakpointId, VirtAddr};
use trapline_engine::CommandError;
use trapline_engine::command::BreakpointInfo;
use trapline_engine::event::{Event, FrameInfo, LogRecord, StopReason, StopReport};

use super::render::breakpoints::{mechanisms, why};

/// One line. Fields that do not apply are left out.
#[derive(Serialize, Default, Clone, Debug)]
pub(crate) struct Line {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ids: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stops: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mechanism: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tactic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<u64>,
}

/// What takes time that somebody may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timed {
    /// From the wish to attach to every thread held.
    Attach,
    /// From the wish to detach to every thread gone on.
    Detach,
    /// From the wish to stop everything to the last thread resumed.
    StopResume,
    /// The same, with a change of the user's made in between.
    Hold,
}

/// The line of an event; some are for people alone.
pub(crate) fn event(event: &Event) -> Option<Line> {
    Some(match event {
        Event::Stopped(report) => return stopped(report),
        Event::Log(record) => log(record),
        Event::ProcessExited { pid, status, .. } => ended(pid.get(), *status),
        Event::ThreadCreated { pid, tid, .. } => thread("thread-created", pid.get(), tid.get()),
        Event::ThreadExited { pid, tid, .. } => thread("thread-exited", pid.get(), tid.get()),
        Event::LibraryLoaded { pid, path, address } => Line {
            event: "library-loaded",
            pid: Some(pid.get()),
            pc: Some(hex(*address)),
            file: Some(path.display().to_string()),
            ..Line::default()
        },
        Event::Held { nanos } => timing(Timed::Hold, *nanos),
        Event::Warning(text) => message("error", text),
        _ => return None,
    })
}

fn thread(event: &'static str, pid: i32, tid: i32) -> Line {
    Line { event, pid: Some(pid), tid: Some(tid), ..Line::default() }
}

fn message(event: &'static str, text: &str) -> Line {
    Line { event, message: Some(text.to_owned()), ..Line::default() }
}

/// An error of a command.
pub(crate) fn error(error: &CommandError) -> Line {
    let mut text = error.message.clone();
    if !error.candidates.is_empty() {
        text += &format!("; did you mean {}?", error.candidates.join(", "));
    }
    message("error", &text)
}

/// How long something took.
pub(crate) fn timing(what: Timed, nanoseconds: u64) -> Line {
    let what = match what {
        Timed::Attach => "attach",
        Timed::Detach => "detach",
        Timed::StopResume => "stop-resume",
        Timed::Hold => "hold",
    };
    Line { event: "timing", what: Some(what), nanoseconds: Some(nanoseconds), ..Line::default() }
}

/// What became of a breakpoint, for the end of a run.
pub(crate) fn breakpoint(info: &BreakpointInfo) -> Line {
    let first = info.locations.first();
    let served = info.locations.iter().any(|location| location.mechanism.is_some());
    Line {
        event: "breakpoint",
        id: Some(info.id.get()),
        pc: first.map(|location| hex(location.address)),
        function: first.and_then(|location| location.function.as_deref().map(str::to_owned)),
        file: first.and_then(|location| Some(location.file.as_ref()?.to_string())),
        line: first.and_then(|location| location.line),
        passes: Some(info.tally.passes),
        hits: Some(info.tally.hits),
        stops: Some(info.tally.stops),
        mechanism: served.then(|| mechanisms(info)),
        tactic: tactics(info),
        bytes: bytes(info),
        why: Some(why(info).join("; ")).filter(|why| !why.is_empty()),
        message: Some(info.notes.join("; ")).filter(|notes| !notes.is_empty()),
        ..Line::default()
    }
}

/// How the jumps of all locations are placed, each way once.
fn tactics(info: &BreakpointInfo) -> Option<String> {
    let jumps = info.locations.iter().filter_map(|location| location.jump);
    let mut names: Vec<&str> = jumps.map(|jump| jump.tactic.name()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What the jumps of all locations take of the program's memory.
fn bytes(info: &BreakpointInfo) -> Option<u64> {
    let jumps = info.locations.iter().filter_map(|location| location.jump);
    jumps.map(|jump| jump.bytes).reduce(|one, other| one + other)
}

fn ended(pid: i32, status: ExitStatus) -> Line {
    let code = Some(super::exit_code(status));
    match status {
        ExitStatus::Exited(_) => Line { event: "exited", pid: Some(pid), code, ..Line::default() },
        ExitStatus::Signalled { signal, .. } => {
            Line { pid: Some(pid), code, ..message("signalled", &signal.to_string()) }
        }
    }
}

fn log(record: &LogRecord) -> Line {
    Line {
        id: Some(record.id.get()),
        pid: Some(record.pid.get()),
        tid: Some(record.tid.get()),
        thread_name: Some(record.thread_name.clone()),
        pc: Some(hex(record.pc)),
        ..message("log", &record.message)
    }
}

/// The stop before the first instruction is nobody's stop and has no line.
fn stopped(report: &StopReport) -> Option<Line> {
    let main = report.reasons.iter().find(|reason| **reason != StopReason::Started)?;
    let ids: Vec<u32> =
        report.reasons.iter().filter_map(breakpoint_of).map(BreakpointId::get).collect();
    let mut line = Line {
        event: "stopped",
        id: ids.first().copied(),
        ids,
        pid: Some(report.pid.get()),
        tid: Some(report.tid.get()),
        thread_name: Some(report.thread_name.clone()),
        hold_ns: Some(report.hold_nanos),
        ..Line::default()
    };
    line.stands_at(&report.frame);
    line.stopped_for(main);
    Some(line)
}

fn breakpoint_of(reason: &StopReason) -> Option<BreakpointId> {
    match reason {
        StopReason::Breakpoint { id, .. }
        | StopReason::Data { id, .. }
        | StopReason::ScopeEnded { id, .. }
        | StopReason::ConditionError { id, .. } => Some(*id),
        _ => None,
    }
}

impl Line {
    fn stands_at(&mut self, frame: &FrameInfo) {
        self.pc = Some(hex(frame.pc));
        self.function.clone_from(&frame.function);
        self.file = frame.file.as_ref().map(|file| file.display().to_string());
        self.line = frame.line;
    }

    fn stopped_for(&mut self, reason: &StopReason) {
        self.reason = Some(match reason {
            StopReason::Breakpoint { mechanism, .. } => {
                self.mechanism = Some(mechanism.to_string());
                "breakpoint"
            }
            StopReason::Data { access, old, new, note, .. } => {
                (self.old, self.new) = (old.clone(), new.clone());
                self.message.clone_from(note);
                if access.is_some() { "watch" } else { "changed-outside" }
            }
            StopReason::ScopeEnded { .. } => "scope-ended",
            StopReason::ConditionError { message, .. } => {
                self.message = Some(message.clone());
                "condition-error"
            }
            StopReason::OwnTrap { explanation, .. } => {
                self.message = Some(explanation.clone());
                "own-trap"
            }
            StopReason::Signal(info) => {
                self.message = Some(info.signal.to_string());
                self.code = Some(info.signal.0);
                "signal"
            }
            StopReason::Stepped | StopReason::Line { .. } | StopReason::Place => "stepped",
            StopReason::Returned { value } => {
                self.new = value.as_ref().map(|(_, value)| value.clone());
                "returned"
            }
            StopReason::Interrupted => "interrupted",
            StopReason::RunnerEnded => "runner-ended",
            StopReason::Started => "started",
            StopReason::Executed => "executed",
            StopReason::Forked { .. } => "forked",
            StopReason::VforkDone => "vfork-done",
            StopReason::SystemCall { .. } => "system-call",
            StopReason::Born => "born",
        });
    }
}

fn hex(address: VirtAddr) -> String {
    format!("{:#x}", address.get())
}

/// Writes lines.
pub(crate) struct Writer {
    to: Box<dyn Write + Send>,
}

impl Writer {
    /// Writes to `to`, each line at once.
    pub(crate) fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When the file or pipe refuses it.
    pub(crate) fn write(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.to.write_all(&text)?;
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use trapline_core::breakpoint::Mechanism;
    use trapline_core::stop::{Signal, SignalInfo};
    use trapline_core::x64::debug::Access;
    use trapline_core::{Pid, Tid};

    use super::*;
    use crate::cli::render::{breakpoints::tests::info, tests::frame};
    use crate::cli::spec;

    fn stop(reasons: Vec<StopReason>) -> Event {
        Event::Stopped(Box::new(StopReport {
            pid: Pid::new(100),
            tid: Tid::new(102),
            thread: 2,
            thread_name: "teller \"2\"".to_owned(),
            reasons,
            frame: frame(0, 0x40_1136, "deposit", 12),
            commands: Vec::new(),
            auto_continue: false,
            hold_nanos: 41_000,
        }))
    }

    fn events() -> Vec<Event> {
        let (pid, tid) = (Pid::new(100), Tid::new(102));
        let breakpoint = |number: u32| StopReason::Breakpoint {
            id: BreakpointId::new(number),
            location: 1,
            mechanism: Mechanism::Trap,
            temporary: false,
        };
        let watch = StopReason::Data {
            id: BreakpointId::new(3),
            expression: "counter".to_owned(),
            access: Some(Access::Write),
            old: Some("1".to_owned()),
            new: Some("2".to_owned()),
            address: VirtAddr::new(0x40_4040),
            note: None,
        };
        let signal = SignalInfo { signal: Signal::SEGV, code: 1, address: Some(0), sender: None };
        let killed = ExitStatus::Signalled { signal: Signal::KILL, core_dumped: false };
        vec![
            stop(vec![breakpoint(1), breakpoint(2)]),
            stop(vec![watch]),
            stop(vec![StopReason::Signal(signal)]),
            stop(vec![StopReason::Interrupted]),
            Event::Log(LogRecord {
                id: BreakpointId::new(4),
                pid,
                tid,
                thread_name: "teller".to_owned(),
                pc: VirtAddr::new(0x40_1136),
                message: "tab\tquote\" newline\n".to_owned(),
                tick_millis: 12,
            }),
            Event::ThreadCreated { pid, tid, number: 2 },
            Event::ThreadExited { pid, tid, number: 2 },
            Event::LibraryLoaded {
                pid,
                path: PathBuf::from("/lib/libc.so.6"),
                address: VirtAddr::new(0x7fff_f7a0_0000),
            },
            Event::Held { nanos: 900_000 },
            Event::Warning("breakpoint 2 was overwritten and armed again".to_owned()),
            Event::ProcessExited { pid, status: ExitStatus::Exited(3), last: false },
            Event::ProcessExited { pid, status: killed, last: true },
        ]
    }

    #[test]
    fn lines_are_stable() {
        let mut lines: Vec<Line> = events().iter().filter_map(event).collect();
        let failed = CommandError {
            candidates: vec!["deposit".to_owned()],
            ..CommandError::new("no function `depsit`")
        };
        lines.push(error(&failed));
        lines.push(timing(Timed::Attach, 20));
        lines.push(timing(Timed::StopResume, 30));
        lines.push(breakpoint(&info(1, spec::code("deposit").unwrap(), 1)));
        lines.push(breakpoint(&info(2, spec::code("later").unwrap(), 0)));
        let text: Vec<String> =
            lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
        trapline_testkit::golden::check("cli/events.jsonl", &format!("{}\n", text.join("\n")));
    }

    #[test]
    fn the_stop_before_the_first_instruction_has_no_line() {
        assert!(event(&stop(vec![StopReason::Started])).is_none());
    }
}
