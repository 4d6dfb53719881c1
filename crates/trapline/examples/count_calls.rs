//! Counts the calls of a function, per thread, for a second, in a process that
//! runs already; then lets it go as it was.
//!
//! ```text
//! cargo run --example count_calls -- PID FUNCTION
//! ```
//! A log breakpoint does the counting: it never stops the program.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use trapline::breakpoint::{BreakpointSpec, Subject};
use trapline::{Command, Event, Pid, Tid};

fn main() -> Result<(), Box<dyn Error>> {
    trapline::prepare_process();
    let mut arguments = std::env::args().skip(1);
    let (Some(pid), Some(function)) = (arguments.next(), arguments.next()) else {
        return Err("usage: count_calls PID FUNCTION".into());
    };

    let (session, events) = trapline::local_session()?;
    session.request(Command::Attach(Pid::new(pid.parse()?)))?;
    let place = Subject::Code { location: function.clone(), mechanism: None };
    let log = Some("called".to_owned());
    session.request(Command::Break(BreakpointSpec { log, ..BreakpointSpec::at(place) }))?;
    session.request(Command::Continue)?;

    let mut calls: BTreeMap<(Tid, String), u64> = BTreeMap::new();
    let end = Instant::now() + Duration::from_secs(1);
    while let Ok(event) = events.recv_timeout(end.saturating_duration_since(Instant::now())) {
        match event {
            Event::Log(record) => *calls.entry((record.tid, record.thread_name)).or_default() += 1,
            Event::ProcessExited { last: true, .. } => break,
            _ => {}
        }
    }
    session.request(Command::Detach(None))?;

    for ((tid, name), count) in &calls {
        print(&format!("{count:>8} calls of {function} by thread {tid} ({name})"))?;
    }
    session.request(Command::Quit)?;
    Ok(())
}

fn print(line: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}")
}
