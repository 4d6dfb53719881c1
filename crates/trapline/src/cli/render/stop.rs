//! Stops, exits, and the other things that happen by themselves.

use trapline_core::stop::{ExitStatus, Signal, SignalInfo};
use trapline_core::target::Death;
use trapline_core::x64::debug::Access;
use trapline_engine::event::{Event, LogRecord, StopReason, StopReport};

use super::frame_text;
use crate::cli::screen::{paint, styled};

/// A stop: why, then where. `source` is the line's text when it can be shown;
/// `many` says whether the program has threads to tell apart.
pub(crate) fn stop(report: &StopReport, source: Option<&str>, many: bool) -> String {
    let who = if many {
        format!("Thread {} \"{}\"", report.thread, report.thread_name)
    } else {
        String::new()
    };
    let reasons: Vec<String> =
        report.reasons.iter().filter_map(|reason| reason_text(reason, &who)).collect();
    let mut text = String::new();
    // A breakpoint shares its line with the place, as gdb has it.
    let joined = matches!(report.reasons.last(), Some(StopReason::Breakpoint { .. }));
    if !reasons.is_empty() {
        text += &format!("\n{}{}", reasons.join("\n\n"), if joined { ", " } else { "\n" });
    }
    text += &place(report, source);
    for reason in &report.reasons {
        if let StopReason::Returned { value: Some((number, value)) } = reason {
            text += &format!("\nValue returned is ${number} = {value}");
        }
    }
    text
}

fn place(report: &StopReport, source: Option<&str>) -> String {
    let same_frame = matches!(report.reasons[..], [StopReason::Line { same_frame: true }]);
    let stepped = same_frame || matches!(report.reasons[..], [StopReason::Stepped]);
    let line = match (report.frame.line, source) {
        (Some(line), Some(source)) => format!("{line}\t{source}"),
        (Some(line), None) if report.frame.file.is_some() => {
            let file = report.frame.file.as_ref().map(|file| file.display().to_string());
            format!("{line}\tin {}", file.unwrap_or_default())
        }
        _ => return frame_text(&report.frame, false),
    };
    if stepped && report.frame.mid_line {
        return format!("{}\t{line}", styled(paint::ADDRESS, super::padded(report.frame.pc)));
    }
    if same_frame {
        return line;
    }
    format!("{}\n{line}", frame_text(&report.frame, false))
}

/// One reason, or nothing for those that the user asked for.
fn reason_text(reason: &StopReason, who: &str) -> Option<String> {
    let subject =
        |verb: &str| if who.is_empty() { String::new() } else { format!("{who} {verb} ") };
    Some(match reason {
        StopReason::Breakpoint { id, temporary, .. } => {
            let kind = if *temporary { "Temporary breakpoint" } else { "Breakpoint" };
            format!("{}{kind} {id}", subject("hit"))
        }
        StopReason::Data { .. } => format!("{}{}", subject("hit"), data(reason)?),
        StopReason::ScopeEnded { id, expression } => format!(
            "Watchpoint {id} deleted because the program has left the block in\n\
             which its expression is valid: {expression}"
        ),
        StopReason::ConditionError { id, message } => format!(
            "{}Breakpoint {id}, whose condition cannot be evaluated: {}",
            subject("hit"),
            styled(paint::ERROR, message)
        ),
        StopReason::OwnTrap { instruction, explanation } => {
            let who = if who.is_empty() { "Program" } else { who };
            format!("{who} ran a breakpoint instruction of its own, {instruction}: {explanation}")
        }
        StopReason::Signal(info) => {
            let who = if who.is_empty() { "Program" } else { who };
            format!("{who} received signal {}", signal(info))
        }
        StopReason::Interrupted => {
            let who = if who.is_empty() { "Program" } else { who };
            format!("{who} interrupted.")
        }
        StopReason::RunnerEnded => "The thread that ran alone has ended; the others are still \
                                    locked (`set scheduler-locking off` lets them run)."
            .to_owned(),
        StopReason::Executed => "The program became another one.".to_owned(),
        StopReason::Forked { child, vfork } => {
            format!(
                "{}{} of process {child}",
                subject("made a"),
                if *vfork { "vfork" } else { "fork" }
            )
        }
        StopReason::VforkDone => "The vfork child has left the memory of its parent.".to_owned(),
        StopReason::SystemCall { entry, number } => {
            let side = if *entry { "entry to" } else { "return from" };
            format!("{}{side} system call {number}", subject("reached"))
        }
        StopReason::Born => "A new thread stands before its first instruction.".to_owned(),
        StopReason::Stepped
        | StopReason::Line { .. }
        | StopReason::Place
        | StopReason::Returned { .. }
        | StopReason::Started => return None,
    })
}

fn data(reason: &StopReason) -> Option<String> {
    let StopReason::Data { id, expression, access, old, new, address, note } = reason else {
        return None;
    };
    let kind = match access {
        Some(Access::Write) => "Hardware watchpoint",
        Some(Access::Read) => "Hardware read watchpoint",
        Some(Access::ReadWrite) => "Hardware access (read/write) watchpoint",
        None => "Watchpoint",
    };
    let mut text = format!("{kind} {id}: {expression}");
    if access.is_none() {
        text += "\nChanged from outside the program's own instructions.";
    }
    text += "\n";
    text += &match (old, new) {
        (Some(old), Some(new)) if old != new => format!("\nOld value = {old}\nNew value = {new}"),
        (_, Some(value)) => format!("\nValue = {value}"),
        _ => format!("\nAddress = {address}"),
    };
    if let Some(note) = note {
        text += &format!("\n({note})");
    }
    Some(text)
}

/// What a program was that left a core file, and what it died of.
pub(crate) fn death(args: &[String], death: Death) -> String {
    let mut text = format!("Core was generated by `{}'.", args.join(" "));
    if let Some(info) = death.signal {
        text += &format!("\nProgram terminated with signal {}", signal(&info));
    }
    text
}

/// `SIGSEGV, Segmentation fault at 0x10.`
fn signal(info: &SignalInfo) -> String {
    let mut text = format!("{}, {}", info.signal, meaning(info.signal));
    let faults = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE];
    if let (Some(address), true) = (info.address, faults.contains(&info.signal) && info.code > 0) {
        text += &format!(" at {address:#x}");
    }
    if let Some(sender) = info.sender {
        text += &format!(", sent by process {sender}");
    }
    text + "."
}

/// What a signal means, as signal(7) and strsignal(3) put it.
pub(crate) fn meaning(signal: Signal) -> &'static str {
    const MEANINGS: [&str; 31] = [
        "Hangup",
        "Interrupt",
        "Quit",
        "Illegal instruction",
        "Trace/breakpoint trap",
        "Aborted",
        "Bus error",
        "Arithmetic exception",
        "Killed",
        "User defined signal 1",
        "Segmentation fault",
        "User defined signal 2",
        "Broken pipe",
        "Alarm clock",
        "Terminated",
        "Stack fault",
        "Child status changed",
        "Continued",
        "Stopped (signal)",
        "Stopped (user)",
        "Stopped (tty input)",
        "Stopped (tty output)",
        "Urgent I/O condition",
        "CPU time limit exceeded",
        "File size limit exceeded",
        "Virtual timer expired",
        "Profiling timer expired",
        "Window size changed",
        "I/O possible",
        "Power fail/restart",
        "Bad system call",
    ];
    let index = usize::try_from(signal.0).ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| MEANINGS.get(index)).copied().unwrap_or("Real-time event")
}

/// How a process ended.
pub(crate) fn exit(pid: trapline_core::Pid, status: ExitStatus) -> String {
    match status {
        ExitStatus::Exited(0) => format!("[Process {pid} exited normally]"),
        ExitStatus::Exited(code) => format!("[Process {pid} exited with code {code}]"),
        ExitStatus::Signalled { signal, core_dumped } => format!(
            "\nProgram terminated with signal {signal}, {}.{}\n[Process {pid} no longer exists]",
            meaning(signal),
            if core_dumped { " Core dumped." } else { "" }
        ),
    }
}

/// A log breakpoint's message: the text alone, as its author wrote it.
pub(crate) fn log(record: &LogRecord) -> String {
    record.message.clone()
}

/// What else happens, for those events that are told in one line.
pub(crate) fn notice(event: &Event) -> Option<String> {
    Some(match event {
        Event::ProcessStarted { pid, executable, parent: Some(parent) } => {
            format!("[New process {pid} of {parent}: {}]", executable.display())
        }
        Event::Executed { pid, executable } => {
            format!("process {pid} is executing new program: {}", executable.display())
        }
        Event::ThreadCreated { tid, number, .. } => format!("[New Thread {number} (LWP {tid})]"),
        Event::ThreadExited { tid, number, .. } => format!("[Thread {number} (LWP {tid}) exited]"),
        Event::SignalSeen { tid, info } => {
            format!("[Thread {tid} received signal {}]", signal(info).trim_end_matches('.'))
        }
        // One that is gone said so at its stop.
        Event::BreakpointChanged { id, what, deleted: false } => format!("Breakpoint {id}: {what}"),
        Event::Warning(text) => format!("{} {text}", styled(paint::WARNING, "warning:")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use trapline_core::breakpoint::Mechanism;
    use trapline_core::{BreakpointId, Pid, Tid, VirtAddr};

    use super::*;
    use crate::cli::render::tests::{frame, plain};

    fn report(reasons: Vec<StopReason>) -> StopReport {
        StopReport {
            pid: Pid::new(100),
            tid: Tid::new(102),
            thread: 2,
            thread_name: "teller".to_owned(),
            reasons,
            frame: frame(0, 0x40_1136, "deposit", 12),
            commands: Vec::new(),
            auto_continue: false,
            hold_nanos: 41_000,
        }
    }

    fn watch(access: Option<Access>, old: Option<&str>, new: Option<&str>) -> StopReason {
        StopReason::Data {
            id: BreakpointId::new(3),
            expression: "counter".to_owned(),
            access,
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            address: VirtAddr::new(0x40_4040),
            note: None,
        }
    }

    fn breakpoint(temporary: bool) -> StopReason {
        let (id, mechanism) = (BreakpointId::new(1), Mechanism::Trap);
        StopReason::Breakpoint { id, location: 1, mechanism, temporary }
    }

    #[test]
    fn stops_read_as_gdb_writes_them() {
        let segv = SignalInfo { signal: Signal::SEGV, code: 1, address: Some(0x10), sender: None };
        let usr1 =
            SignalInfo { signal: Signal::USR1, code: 0, address: None, sender: Some(Pid::new(7)) };
        let own = StopReason::OwnTrap {
            instruction: "int3".to_owned(),
            explanation: "`continue` goes on after it".to_owned(),
        };
        let failed = StopReason::ConditionError {
            id: BreakpointId::new(4),
            message: "`p->x`: cannot access memory at address 0x0".to_owned(),
        };
        let cases = [
            vec![breakpoint(false)],
            vec![breakpoint(true)],
            vec![watch(Some(Access::Write), Some("1"), Some("2")), breakpoint(false)],
            vec![watch(Some(Access::Write), Some("1"), Some("2"))],
            vec![watch(Some(Access::Read), None, Some("2"))],
            vec![watch(None, Some("2"), Some("5"))],
            vec![watch(Some(Access::ReadWrite), None, None)],
            vec![StopReason::Signal(segv)],
            vec![StopReason::Signal(usr1)],
            vec![own],
            vec![failed],
            vec![StopReason::Interrupted],
            vec![StopReason::RunnerEnded],
            vec![StopReason::Stepped],
            vec![StopReason::Line { same_frame: true }],
            vec![StopReason::Line { same_frame: false }],
            vec![StopReason::Returned { value: Some((3, "12".to_owned())) }],
        ];
        let mut text = String::new();
        for reasons in cases {
            let report = report(reasons);
            text +=
                &format!("---\n{}\n", plain(&stop(&report, Some("    balance += amount;"), false)));
            text += &format!("--- one of many\n{}\n", plain(&stop(&report, None, true)));
        }
        trapline_testkit::golden::check("cli/stops.txt", &text);
    }

    #[test]
    fn exits_name_the_process_and_the_code() {
        let check = |status, expected: &str| assert_eq!(exit(Pid::new(9), status), expected);
        check(ExitStatus::Exited(0), "[Process 9 exited normally]");
        check(ExitStatus::Exited(3), "[Process 9 exited with code 3]");
        check(
            ExitStatus::Signalled { signal: Signal::SEGV, core_dumped: true },
            "\nProgram terminated with signal SIGSEGV, Segmentation fault. Core dumped.\n\
             [Process 9 no longer exists]",
        );
        assert_eq!(meaning(Signal(31)), "Bad system call");
        assert_eq!(meaning(Signal(34)), "Real-time event");
    }
}
