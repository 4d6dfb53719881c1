//! What lldb asks beside gdb's packets (lldb, "GDB Remote Protocol
//! Extensions").

use std::fmt::Write;

use serde_json::{Value, json};
use trapline_core::stop::Signal;
use trapline_core::target::Region;
use trapline_core::x64::debug::SLOTS;
use trapline_engine::client::ThreadKey;
use trapline_rsp::request::{LldbQuery, UserKind};
use trapline_rsp::{frame, hex, signals};

use super::libraries;
use super::link::MAX_PACKET;
use super::server::{Answer, Answered, Refusal, Server, pid_of};
use super::stops::{Note, Told};
use super::threads::number;
use crate::backend::system;

/// What lldb has asked for, and gdb does not. That it names threads behind its
/// requests is how the client is known for lldb.
#[derive(Default)]
pub(super) struct Lldb {
    pub(super) thread_suffix: bool,
    pub(super) threads_in_stops: bool,
    pub(super) error_strings: bool,
}

impl Lldb {
    /// A signal's number on the wire. A server that takes threads behind
    /// requests is one of lldb's to it, and those have the system's numbers.
    pub(super) fn wire_signal(&self, signal: Signal) -> u8 {
        let number = u8::try_from(signal.0);
        match self.thread_suffix {
            true => number.unwrap_or(signals::UNKNOWN),
            false => number.map_or(signals::UNKNOWN, signals::from_linux),
        }
    }

    /// The signal that a client is told. To lldb a process that arrives has been
    /// stopped.
    pub(super) fn signal_told(&self, told: &Told) -> Signal {
        match told.note {
            Note::Arrived if self.thread_suffix => Signal::STOP,
            _ => Signal(told.signal),
        }
    }

    /// The signal that a number on the wire means; `None` for none.
    pub(super) fn signal(&self, number: u8) -> Option<Signal> {
        let number = match self.thread_suffix {
            true => Some(number),
            false => signals::to_linux(number),
        };
        number.filter(|number| *number > 0).map(|number| Signal(number.into()))
    }
}

/// The triple of this machine.
const TRIPLE: &str = "x86_64-pc-linux-gnu";

impl Server {
    // tidy: flat match
    pub(super) fn answer_lldb(&mut self, query: LldbQuery) -> Answered {
        match query {
            LldbQuery::HostInfo => Ok(host_info().into()),
            LldbQuery::ProcessInfo => {
                let pid = self.current_process()?;
                self.process_info(pid)
            }
            LldbQuery::ProcessInfoOf { process } => self.process_info(pid_of(process)?),
            LldbQuery::LibrariesAddress => {
                let pid = self.current_process()?;
                let auxv = self.session.process_info(pid)?.auxv;
                let place = libraries::place(&self.session, pid, &auxv);
                let place = place.ok_or_else(|| Refusal::new("nothing links the program"))?;
                Ok(format!("{place:x}").into())
            }
            LldbQuery::WatchpointSupport => Ok(format!("num:{SLOTS};").into()),
            LldbQuery::AttachOrWaitSupported | LldbQuery::StepSupported => Ok(Answer::Done),
            LldbQuery::WorkingDir => {
                let directory = self.launching.directory().unwrap_or_default();
                Ok(hex::encode(directory.as_os_str().as_encoded_bytes()).into())
            }
            LldbQuery::ServerVersion => {
                Ok(format!("name:trapline;version:{};", env!("CARGO_PKG_VERSION")).into())
            }
            LldbQuery::ServerPid => Ok(format!("{:x}", std::process::id()).into()),
            LldbQuery::SpeedTest { response_size, .. } => {
                let size = usize::try_from(response_size).unwrap_or(MAX_PACKET);
                Ok(format!("data:{}", "a".repeat(size.min(MAX_PACKET - 16))).into())
            }
            LldbQuery::Echo { words } => {
                Ok(Answer::Payload([b"qEcho:".as_slice(), &words].concat()))
            }
            LldbQuery::NameOf { kind, id } => {
                let list = match kind {
                    UserKind::User => "/etc/passwd",
                    UserKind::Group => "/etc/group",
                };
                let name = system::name_of(list, id);
                let name = name.ok_or_else(|| Refusal::new("nobody has this number"))?;
                Ok(hex::encode(name.as_bytes()).into())
            }
            LldbQuery::LoadAddress { path } => self.load_address(&path),
            LldbQuery::StructuredData => Ok(json_answer(&json!([]))),
            _ => Ok(Answer::Unsupported),
        }
    }

    fn process_info(&self, pid: trapline_core::Pid) -> Answered {
        let info = self.session.process_info(pid)?;
        let parent = system::parent_of(pid).unwrap_or(0);
        let name = hex::encode(info.executable_name.as_os_str().as_encoded_bytes());
        let owner = system::owner_of(pid).unwrap_or_default();
        Ok(format!(
            "pid:{:x};parent-pid:{parent:x};real-uid:{:x};real-gid:{:x};effective-uid:{:x};\
             effective-gid:{:x};triple:{};ostype:linux;endian:little;ptrsize:8;name:{name};",
            pid.get(),
            owner.0,
            owner.1,
            owner.0,
            owner.1,
            hex::encode(TRIPLE.as_bytes()),
        )
        .into())
    }

    /// Where the first byte of a file is in memory.
    fn load_address(&mut self, path: &[u8]) -> Answered {
        let pid = self.current_process()?;
        let map = self.session.memory_map(pid)?;
        let is_it =
            |region: &&Region| region.name.as_encoded_bytes() == path && region.file_offset == 0;
        let region = map.iter().find(is_it);
        let region = region.ok_or_else(|| Refusal::new("the file is not loaded"))?;
        Ok(format!("{:x}", region.range.start.get()).into())
    }

    /// What is mapped at an address; where nothing is, how far that goes.
    pub(super) fn region(&mut self, address: Option<u64>) -> Answered {
        let Some(address) = address else { return Ok(Answer::Done) };
        let pid = self.current_process()?;
        let map = self.session.memory_map(pid)?;
        let behind = |region: &&Region| region.range.end.get() > address;
        let Some(region) = map.iter().find(behind) else {
            let start = map.last().map_or(0, |region| region.range.end.get());
            return Ok(format!("start:{start:x};size:{:x};", start.wrapping_neg()).into());
        };
        if region.range.start.get() > address {
            let before = |region: &&Region| region.range.end.get() <= address;
            let start = map.iter().rev().find(before).map_or(0, |it| it.range.end.get());
            let size = region.range.start.get() - start;
            return Ok(format!("start:{start:x};size:{size:x};").into());
        }
        let mut text = format!(
            "start:{:x};size:{:x};permissions:",
            region.range.start.get(),
            region.range.len()
        );
        for (letter, has) in [('r', region.read), ('w', region.write), ('x', region.execute)] {
            if has {
                text.push(letter);
            }
        }
        text.push(';');
        if !region.name.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(text, "name:{};", hex::encode(region.name.as_encoded_bytes()));
        }
        Ok(text.into())
    }

    /// `jThreadsInfo`: every thread that stands, with what lldb asks next.
    pub(super) fn all_stop_reasons(&mut self) -> Answered {
        let mut all = Vec::new();
        for thread in self.session.threads() {
            all.push(self.thread_json(thread));
        }
        Ok(json_answer(&Value::Array(all)))
    }

    fn thread_json(&mut self, thread: ThreadKey) -> Value {
        let told = self.stops.told_of(thread);
        let mut registers = serde_json::Map::new();
        for register in [6u32, 7, 16] {
            if let Ok(value) = self.register(thread, register) {
                registers.insert(register.to_string(), hex::encode(&value).into());
            }
        }
        let name = self.session.name_of(thread);
        json!({
            "tid": number(thread.tid.get()),
            "name": name,
            "reason": reason(&told),
            "signal": self.lldb.signal_told(&told).0,
            "registers": registers,
        })
    }

    /// What lldb wants to read in a stop reply.
    pub(super) fn lldb_pairs(&mut self, thread: ThreadKey, told: &Told) -> Vec<(String, String)> {
        if !self.lldb.threads_in_stops {
            return Vec::new();
        }
        let mut pairs = Vec::new();
        let name = self.session.name_of(thread);
        if !name.is_empty() {
            pairs.push(("hexname".to_owned(), hex::encode(name.as_bytes())));
        }
        let of_process: Vec<ThreadKey> =
            self.session.threads().into_iter().filter(|it| it.pid == thread.pid).collect();
        let ids: Vec<String> = of_process.iter().map(|it| format!("{:x}", it.tid.get())).collect();
        pairs.push(("threads".to_owned(), ids.join(",")));
        let mut pcs = Vec::with_capacity(of_process.len());
        for thread in of_process {
            let pc = self.session.registers(thread).map_or(0, |registers| registers.rip);
            pcs.push(format!("{pc:x}"));
        }
        pairs.push(("thread-pcs".to_owned(), pcs.join(",")));
        let reason = reason(told);
        if reason != "none" {
            pairs.push(("reason".to_owned(), reason.to_owned()));
        }
        if let Note::Watch(_, at) = told.note {
            pairs.push(("description".to_owned(), hex::encode(at.to_string().as_bytes())));
        }
        pairs
    }
}

/// Why a thread stands, in lldb's words.
fn reason(told: &Told) -> &'static str {
    match told.note {
        Note::SoftwareBreak | Note::HardwareBreak => "breakpoint",
        Note::Watch(..) => "watchpoint",
        Note::Exec => "exec",
        Note::Fork(_) => "fork",
        Note::Vfork(_) => "vfork",
        Note::VforkDone => "vforkdone",
        Note::Arrived => "signal",
        _ if told.signal == 0 => "none",
        _ if told.signal == Signal::TRAP.0 => "trace",
        _ => "signal",
    }
}

fn host_info() -> String {
    format!(
        "triple:{};ptrsize:8;watchpoint_exceptions_received:after;endian:little;hostname:{};",
        hex::encode(TRIPLE.as_bytes()),
        hex::encode(system::host_name().as_bytes())
    )
}

/// JSON in a packet.
fn json_answer(value: &Value) -> Answer {
    let mut payload = Vec::new();
    frame::escape_into(value.to_string().as_bytes(), &mut payload);
    Answer::Payload(payload)
}
