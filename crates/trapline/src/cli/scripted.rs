//! A scripted session: the console's requests and text are compared with what
//! a person read once, without any program.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use trapline_core::breakpoint::{BreakpointSpec, Mechanism};
use trapline_core::stop::{ExitStatus, Signal};
use trapline_core::target::LaunchSpec;
use trapline_core::{BreakpointId, Pid, Tid};
use trapline_engine::command::BreakpointInfo;
use trapline_engine::event::{StopReason, StopReport};
use trapline_engine::{Command, CommandError, Event, Reply};

use super::args::Wishes;
use super::batch::{self, Ending, Plan};
use super::console::{Console, Session};
use super::render::tests::{frame, plain};
use super::screen::Screen;
use super::{json, lookup};

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        plain(&String::from_utf8(self.0.lock().unwrap().clone()).unwrap())
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Plays the part of a session: each `continue` brings the next events.
#[derive(Clone)]
struct Script {
    paper: Paper,
    breakpoints: Rc<RefCell<Vec<BreakpointInfo>>>,
    runs: Rc<RefCell<VecDeque<Vec<Event>>>>,
    events: Sender<Event>,
}

impl Script {
    fn note(&self, text: &str) {
        let mut paper = self.paper.clone();
        writeln!(paper, "    > {text}").unwrap();
    }

    fn set(&self, spec: BreakpointSpec) -> BreakpointInfo {
        let mut all = self.breakpoints.borrow_mut();
        let number = u32::try_from(all.len()).unwrap() + 1;
        let mut info = super::render::breakpoints::tests::info(number, spec, 1);
        info.tally = Default::default();
        all.push(info.clone());
        info
    }
}

impl Session for Script {
    fn break_each(
        &self,
        specs: Vec<BreakpointSpec>,
        told: &mut dyn FnMut(Vec<BreakpointInfo>),
    ) -> Result<(), CommandError> {
        self.note("BreakEach");
        told(specs.into_iter().map(|spec| self.set(spec)).collect());
        Ok(())
    }

    fn request(&self, command: Command) -> Result<Reply, CommandError> {
        if !matches!(command, Command::Breakpoints | Command::NeverBound) {
            let text = format!("{command:?}");
            self.note(
                text.split_inclusive(['(', ' ']).next().unwrap().trim_end_matches(['(', ' ']),
            );
        }
        match command {
            Command::Break(spec) => return Ok(Reply::Breakpoint(Box::new(self.set(spec)))),
            Command::Breakpoints => {
                return Ok(Reply::Breakpoints(self.breakpoints.borrow().clone()));
            }
            Command::NeverBound => {
                let all = self.breakpoints.borrow();
                let unbound = all.iter().filter(|info| info.locations.is_empty());
                return Ok(Reply::Breakpoints(unbound.cloned().collect()));
            }
            Command::Run => return Ok(Reply::Started { pid: Pid::new(100) }),
            Command::Attach(pid) => return Ok(Reply::Started { pid }),
            Command::SelectFrame(level) => {
                return Ok(Reply::Frame(Box::new(frame(level, 0x40_1136, "deposit", 12))));
            }
            Command::Continue => {
                for event in self.runs.borrow_mut().pop_front().unwrap_or_default() {
                    self.events.send(event).unwrap();
                }
            }
            Command::Backtrace { .. } => {
                let frames =
                    vec![frame(0, 0x40_1136, "deposit", 12), frame(1, 0x40_1200, "main", 30)];
                return Ok(Reply::Backtrace { frames, ended: None });
            }
            Command::Print { expression, .. } if expression == "bad" => {
                return Err(CommandError::new("no symbol `bad`"));
            }
            Command::Evaluate { .. } => return Ok(Reply::Text("42".to_owned())),
            Command::Print { .. } => {
                return Ok(Reply::Value { text: "42".to_owned(), number: 1 });
            }
            _ => {}
        }
        Ok(Reply::Done)
    }

    fn lend_terminal(&self, to: Pid) {
        self.note(&format!("the terminal goes to {to}"));
    }

    fn take_terminal(&self) {
        self.note("the terminal is taken back");
    }
}

fn stop(commands: &[&str], auto_continue: bool) -> Event {
    Event::Stopped(Box::new(StopReport {
        pid: Pid::new(100),
        tid: Tid::new(100),
        thread: 1,
        thread_name: "bank".to_owned(),
        reasons: vec![StopReason::Breakpoint {
            id: BreakpointId::new(1),
            location: 1,
            mechanism: Mechanism::Trap,
            temporary: false,
        }],
        frame: frame(0, 0x40_1136, "deposit", 12),
        commands: commands.iter().map(|line| (*line).to_owned()).collect(),
        auto_continue,
        hold_nanos: 5,
    }))
}

fn exit(status: ExitStatus) -> Event {
    Event::ProcessExited { pid: Pid::new(100), status, last: true }
}

/// A batch run on a scripted session: its transcript and exit code.
fn batch_run(wishes: &Wishes, attach: &[i32], runs: Vec<Vec<Event>>) -> (String, u8) {
    let paper = Paper::default();
    let (events, receiver) = mpsc::channel();
    let script = Script {
        paper: paper.clone(),
        breakpoints: Rc::default(),
        runs: Rc::new(RefCell::new(runs.into())),
        events,
    };
    let mut console = Console::new(script, receiver, Screen::new(Box::new(paper.clone())));
    console.launch = LaunchSpec { program: "bank".into(), ..LaunchSpec::default() };
    if wishes.json.is_some() {
        console.json = Some(json::Writer::new(Box::new(paper.clone())));
    }
    let attach = attach.iter().copied().map(Pid::new).collect();
    let plan = Plan::new(wishes, attach).unwrap();
    let code = batch::run(&mut console, plan, &Ending::default());
    (paper.text(), code)
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What batch runs asked and said, one after the other.
#[derive(Default)]
struct Transcript(String);

impl Transcript {
    fn check(
        &mut self,
        title: &str,
        wishes: Wishes,
        attach: &[i32],
        runs: Vec<Vec<Event>>,
        code: u8,
    ) {
        let (text, got) = batch_run(&wishes, attach, runs);
        assert_eq!(got, code, "{title}:\n{text}");
        self.0 += &format!("=== {title}: exit code {code}\n{text}");
    }
}

/// A batch run with one breakpoint and these commands.
fn batch(commands: &[&str]) -> Wishes {
    Wishes {
        batch: true,
        breakpoint: words(&["deposit"]),
        commands: words(commands),
        ..Wishes::default()
    }
}

fn ended() -> Vec<Event> {
    vec![exit(ExitStatus::Exited(3))]
}

fn stopped(commands: &[&str]) -> Vec<Event> {
    vec![stop(commands, false)]
}

#[test]
fn batch_runs_do_what_the_command_line_says() {
    let mut runs = Transcript::default();
    runs.check("to the end", batch(&[]), &[], vec![ended()], 3);
    runs.check("stop, then end", batch(&["bt", "continue"]), &[], vec![stopped(&[]), ended()], 3);
    runs.check("a stop ends a run", batch(&[]), &[], vec![stopped(&[])], 0);
    let all = Wishes { auto_continue: true, stats: true, watch: words(&["total"]), ..batch(&[]) };
    let stops = vec![stopped(&[]), stopped(&[]), ended()];
    runs.check("every stop gone through", all, &[], stops, 3);
    let own_commands = stopped(&["silent", "print total", "continue"]);
    let stops = vec![own_commands, vec![stop(&[], true)], ended()];
    runs.check("commands of a breakpoint", batch(&[]), &[], stops, 3);
    let killed = exit(ExitStatus::Signalled { signal: Signal::SEGV, core_dumped: false });
    let told = Wishes { json: Some(None), ..batch(&[]) };
    runs.check("killed", told, &[], vec![vec![killed]], 139);
    runs.check("an error ends a run", batch(&["print bad", "bt"]), &[], vec![stopped(&[])], 1);
    runs.check("behind the prompt", batch(&["run &", "print total"]), &[], vec![ended()], 3);
    runs.check("attach, look, let go", batch(&["bt"]), &[100], Vec::new(), 0);
    trapline_testkit::golden::check("cli/batch.txt", &runs.0);
}

#[test]
fn wrong_specifications_name_the_flag() {
    let wishes = Wishes { watch: words(&["-trap x"]), ..Wishes::default() };
    let message = Plan::new(&wishes, Vec::new()).unwrap_err().message;
    assert!(message.starts_with("-w '-trap x': `-trap` is for code"), "{message}");
    let wishes = Wishes { scripts: vec!["/no/such/script".into()], ..Wishes::default() };
    let message = Plan::new(&wishes, Vec::new()).unwrap_err().message;
    assert!(message.starts_with("cannot read /no/such/script"), "{message}");
}

#[test]
fn lines_read_into_what_they_ask_for() {
    const LINES: &str = include_str!("lines.txt");
    let mut text = String::new();
    for line in LINES.lines().filter(|line| !line.is_empty()) {
        match lookup::read(line) {
            Ok(action) => text += &format!("{line}\n    {action:?}\n"),
            Err(message) => text += &format!("{line}\n    error: {message}\n"),
        }
    }
    trapline_testkit::golden::check("cli/lines.txt", &text);
}
