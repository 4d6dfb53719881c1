//! The conversation with one client: which request is answered where, and when
//! the debuggee is waited for.

use std::collections::BTreeMap;

use trapline_core::Pid;
use trapline_engine::ClientSession;
use trapline_engine::client::{ClientRules, ThreadKey};
use trapline_rsp::Request;
use trapline_rsp::request::{
    FeatureValue, ProcessRequest, Query, Setting, TransferObject, TransferRequest,
};

use super::Printed;
use super::files::HostFiles;
use super::launch::Launching;
use super::link::{Link, MAX_PACKET, Received};
use super::lldb::Lldb;
use super::registers::RegisterFile;
use super::stops::Stops;

/// What a request is answered with.
pub(super) enum Answer {
    /// `OK`.
    Done,
    /// Nothing: the request is not known here.
    Unsupported,
    /// A payload, escaped where it has to be.
    Payload(Vec<u8>),
    /// What comes of it is told when it happens.
    Later,
}

/// Why a request was not done: the number that the client is sent, and a
/// sentence for those that take one.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u8,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { code: 1, why: why.into() }
    }

    /// Says it on standard error too, since few clients show it.
    pub(super) fn say(&self) {
        super::say(&format!("gdbserver: {}", self.why));
    }
}

impl From<trapline_engine::CommandError> for Refusal {
    fn from(error: trapline_engine::CommandError) -> Self {
        Self::new(error.message)
    }
}

/// The outcome of a request.
pub(super) type Answered = Result<Answer, Refusal>;

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::Payload(text.into_bytes())
    }
}

/// What this client can do and wants.
#[derive(Default)]
pub(super) struct Client {
    pub(super) multiprocess: bool,
    pub(super) software_breaks: bool,
    pub(super) hardware_breaks: bool,
    pub(super) none_resumed: bool,
    pub(super) fork_events: bool,
    pub(super) vfork_events: bool,
    pub(super) exec_events: bool,
    pub(super) thread_events: bool,
    pub(super) non_stop: bool,
    /// Whether the server outlives its programs.
    pub(super) extended: bool,
}

/// How a conversation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// The connection did.
    ConnectionLost,
    /// The last program did, or was let go: there is nothing left to serve.
    NothingLeft,
    /// The client had everything killed, or said that it is done.
    Asked,
}

/// The server while a client is there.
pub(super) struct Server {
    pub(super) session: ClientSession,
    pub(super) link: Link,
    pub(super) client: Client,
    pub(super) lldb: Lldb,
    /// The thread that requests about registers and memory are about.
    pub(super) current: Option<ThreadKey>,
    /// The thread that `s` and `c` are about; all when there is none.
    pub(super) to_run: Option<ThreadKey>,
    pub(super) stops: Stops,
    pub(super) printed: Printed,
    pub(super) registers: Option<RegisterFile>,
    pub(super) files: HostFiles,
    pub(super) launching: Launching,
    /// Processes, and whether they were attached to.
    pub(super) origins: BTreeMap<Pid, bool>,
    /// Threads still to be listed by `qsThreadInfo`.
    pub(super) unlisted: Vec<ThreadKey>,
    /// Saved registers of `QSaveRegisterState`.
    pub(super) saved: BTreeMap<u64, super::registers::State>,
    pub(super) disabled: super::args::Disabled,
    /// Why thread-local variables are not looked up, if so.
    pub(super) no_thread_locals: Option<String>,
    /// How the conversation is to end after the answer under way.
    pub(super) ending: Option<Ending>,
}

impl Server {
    /// Speaks with the client until one side has enough.
    pub(super) fn converse(&mut self) -> Ending {
        loop {
            while let Some(received) = self.link.receive() {
                self.take(received);
                if let Some(ending) = self.ending.take() {
                    return ending;
                }
            }
            if self.link.has_ended() {
                return Ending::ConnectionLost;
            }
            self.tell_news();
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            self.wait();
        }
    }

    /// Sleeps until the client or the debuggee has news.
    fn wait(&mut self) {
        if self.session.is_running() && !self.session.processes().is_empty() {
            self.session.wait();
            self.tell_news();
        } else {
            self.link.wait();
        }
    }

    fn take(&mut self, received: Received) {
        let answered = match received {
            Received::Packet(payload) => match Request::parse(&payload) {
                Ok(request) => self.answer(request),
                Err(malformed) => {
                    Err(Refusal::new(format!("malformed packet: {} expected", malformed.expected)))
                }
            },
            Received::TooLong => Err(Refusal::new("the packet is longer than PacketSize")),
            Received::Interrupt => return self.interrupt(),
        };
        self.reply(answered);
    }

    pub(super) fn reply(&mut self, answered: Answered) {
        match answered {
            Ok(Answer::Done) => self.link.send(b"OK"),
            Ok(Answer::Unsupported) => self.link.send(b""),
            Ok(Answer::Payload(payload)) => self.link.send(&payload),
            Ok(Answer::Later) => {}
            Err(Refusal { code, why }) => {
                let mut text = format!("E{code:02x}");
                if self.lldb.error_strings {
                    text.push(';');
                    text.push_str(&trapline_rsp::hex::encode(why.as_bytes()));
                }
                self.link.send(text.as_bytes());
            }
        }
    }

    // tidy: flat match
    fn answer(&mut self, request: Request) -> Answered {
        match request {
            Request::Registers(request) => self.answer_registers(request),
            Request::Memory(request) => self.answer_memory(request),
            Request::Point(request) => self.answer_point(request),
            Request::Run(request) => self.answer_run(request),
            Request::Threads(request) => self.answer_threads(request),
            Request::Process(request) => self.answer_process(request),
            Request::File(request) => Ok(self.answer_file(request)),
            Request::Transfer(request) => self.answer_transfer(request),
            Request::Query(query) => self.answer_query(query),
            Request::Setting(setting) => self.answer_setting(setting),
            Request::Lldb(query) => self.answer_lldb(query),
            Request::Unknown(_) => Ok(Answer::Unsupported),
        }
    }

    fn answer_query(&mut self, query: Query) -> Answered {
        match query {
            Query::Supported { features } => {
                for feature in features {
                    self.note_feature(&feature.name, &feature.value);
                }
                self.set_rules();
                Ok(supported().into())
            }
            Query::SymbolsWanted | Query::Symbol { .. } => Ok(Answer::Done),
            Query::Monitor { command } => self.monitor(&command),
            Query::Offsets | Query::TraceStatus | Query::MustReplyEmpty => Ok(Answer::Unsupported),
        }
    }

    fn note_feature(&mut self, name: &str, value: &FeatureValue) {
        let on = *value == FeatureValue::Yes;
        let client = &mut self.client;
        match name {
            "multiprocess" => client.multiprocess = on,
            "swbreak" => client.software_breaks = on,
            "hwbreak" => client.hardware_breaks = on,
            "fork-events" => client.fork_events = on,
            "vfork-events" => client.vfork_events = on,
            "exec-events" => client.exec_events = on,
            "no-resumed" => client.none_resumed = on,
            _ => {}
        }
    }

    /// Tells the session what this client wants to hear.
    pub(super) fn set_rules(&mut self) {
        let client = &self.client;
        self.session.set_rules(ClientRules {
            non_stop: client.non_stop,
            forks: client.fork_events,
            vforks: client.vfork_events,
            execs: client.exec_events,
            births: client.thread_events,
        });
    }

    fn answer_setting(&mut self, setting: Setting) -> Answered {
        match setting {
            Setting::NoAcks => {
                self.link.send(b"OK");
                self.link.stop_acknowledging();
                return Ok(Answer::Later);
            }
            Setting::NonStop(on) => {
                self.client.non_stop = on;
                self.set_rules();
            }
            Setting::ThreadEvents(on) => {
                self.client.thread_events = on;
                self.set_rules();
            }
            Setting::PassSignals(signals) => self.pass_signals(&signals),
            // At a detach the program gets the signals that its threads stopped
            // for; there is no need to be told which it handles.
            Setting::ProgramSignals(_) => {}
            Setting::CatchSyscalls(numbers) => return self.catch_system_calls(numbers),
            Setting::ThreadSuffix => {
                self.lldb.thread_suffix = true;
                // lldb does not ask for it, and its servers tell it.
                self.client.exec_events = true;
                self.set_rules();
            }
            Setting::ThreadsInStopReply => self.lldb.threads_in_stops = true,
            Setting::ErrorStrings => self.lldb.error_strings = true,
            Setting::DetachOnError(_) => {}
            other => return self.launching.set(other),
        }
        Ok(Answer::Done)
    }

    fn catch_system_calls(&mut self, numbers: Option<Vec<u32>>) -> Answered {
        let pid = self.current_process()?;
        let numbers = numbers.map(|numbers| numbers.into_iter().map(u64::from).collect());
        self.session.catch_system_calls(pid, numbers)?;
        Ok(Answer::Done)
    }

    fn answer_transfer(&mut self, request: TransferRequest) -> Answered {
        match request {
            TransferRequest::Read { object, annex, offset, length } => {
                let Some(bytes) = self.object(&object, &annex)? else {
                    return Ok(Answer::Unsupported);
                };
                let part = trapline_rsp::xfer::reply(&bytes, offset, length, MAX_PACKET - 4);
                Ok(Answer::Payload(part))
            }
            TransferRequest::Write { object: TransferObject::Siginfo, offset, data, .. } => {
                self.write_signal_details(offset, &data)
            }
            TransferRequest::Write { .. } => Ok(Answer::Unsupported),
        }
    }

    fn answer_process(&mut self, request: ProcessRequest) -> Answered {
        match request {
            ProcessRequest::Extended => {
                self.client.extended = true;
                Ok(Answer::Done)
            }
            ProcessRequest::StopReason => self.stop_reason(),
            ProcessRequest::NextStop => Ok(self.next_stop()),
            ProcessRequest::WasAttached { process } => self.was_attached(process),
            other => self.answer_comings_and_goings(other),
        }
    }

    fn was_attached(&mut self, process: Option<u64>) -> Answered {
        let pid = match process {
            Some(number) => pid_of(number)?,
            None => self.current_process()?,
        };
        let attached = self.origins.get(&pid).ok_or_else(|| Refusal::new("no such process"))?;
        Ok(Answer::Payload(if *attached { b"1".to_vec() } else { b"0".to_vec() }))
    }

    /// The thread that requests are about.
    pub(super) fn current_thread(&mut self) -> Result<ThreadKey, Refusal> {
        let threads = self.session.threads();
        let current = self.current.filter(|thread| threads.contains(thread));
        let thread = current.or_else(|| threads.first().copied());
        self.current = thread;
        thread.ok_or_else(|| Refusal::new("there is no program"))
    }

    /// The process that requests are about.
    pub(super) fn current_process(&mut self) -> Result<Pid, Refusal> {
        self.current_thread().map(|thread| thread.pid)
    }
}

/// A process by its number on the wire.
pub(super) fn pid_of(number: u64) -> Result<Pid, Refusal> {
    let number = i32::try_from(number).ok().filter(|number| *number > 0);
    number.map(Pid::new).ok_or_else(|| Refusal::new("no process can have this number"))
}

/// What this server can do.
fn supported() -> String {
    const FEATURES: [&str; 28] = [
        "QPassSignals+",
        "QProgramSignals+",
        "QStartupWithShell+",
        "QEnvironmentHexEncoded+",
        "QEnvironmentReset+",
        "QEnvironmentUnset+",
        "QSetWorkingDir+",
        "QCatchSyscalls+",
        "qXfer:libraries-svr4:read+",
        "augmented-libraries-svr4-read+",
        "qXfer:auxv:read+",
        "qXfer:siginfo:read+",
        "qXfer:siginfo:write+",
        "qXfer:features:read+",
        "QStartNoAckMode+",
        "qXfer:osdata:read+",
        "multiprocess+",
        "fork-events+",
        "vfork-events+",
        "exec-events+",
        "QNonStop+",
        "QDisableRandomization+",
        "qXfer:threads:read+",
        "ConditionalBreakpoints+",
        "BreakpointCommands+",
        "swbreak+;hwbreak+",
        "qXfer:exec-file:read+",
        "vContSupported+;QThreadEvents+;no-resumed+",
    ];
    format!("PacketSize={MAX_PACKET:x};{}", FEATURES.join(";"))
}
