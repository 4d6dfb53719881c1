//! Programs and processes that come and go: what is started and how, attached
//! to, let go and killed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use trapline_core::Pid;
use trapline_core::stop::{ExitStatus, Signal};
use trapline_core::target::LaunchSpec;
use trapline_engine::client::Start;
use trapline_engine::{CommandError, Event};
use trapline_rsp::request::{AttachTo, ProcessRequest, Setting, Stream};

use super::say;
use super::server::{Answer, Answered, Ending, Refusal, Server, pid_of};
use super::stops::{Note, Told, leader};
use crate::backend::files::os_string as os;
use crate::backend::system;

/// How programs are started.
pub(super) struct Launching {
    /// The program and its arguments.
    pub(super) words: Vec<OsString>,
    /// What the program is started through.
    pub(super) wrapper: Vec<OsString>,
    pub(super) with_shell: bool,
    pub(super) fixed_addresses: bool,
    environment: BTreeMap<OsString, Option<OsString>>,
    directory: Option<PathBuf>,
    pub(super) input: Option<PathBuf>,
    pub(super) output: Option<PathBuf>,
    error: Option<PathBuf>,
    /// Whether there ever was a program.
    pub(super) has_run: bool,
}

impl Default for Launching {
    fn default() -> Self {
        Self {
            words: Vec::new(),
            wrapper: Vec::new(),
            with_shell: true,
            fixed_addresses: true,
            environment: BTreeMap::new(),
            directory: None,
            input: None,
            output: None,
            error: None,
            has_run: false,
        }
    }
}

impl Launching {
    // tidy: flat match
    pub(super) fn set(&mut self, setting: Setting) -> Answered {
        match setting {
            Setting::FixedAddresses(on) | Setting::FixedAddressesLldb(on) => {
                self.fixed_addresses = on;
            }
            Setting::StartWithShell(on) => self.with_shell = on,
            Setting::Environment(pair) | Setting::EnvironmentPlain(pair) => {
                let at = pair.iter().position(|byte| *byte == b'=');
                let at = at.ok_or_else(|| Refusal::new("NAME=VALUE is expected"))?;
                let (name, value) = (pair[..at].to_vec(), pair[at + 1..].to_vec());
                self.environment.insert(os(name), Some(os(value)));
            }
            Setting::EnvironmentUnset(name) => {
                self.environment.insert(os(name), None);
            }
            Setting::EnvironmentReset => self.environment.clear(),
            Setting::WorkingDir(path) => {
                self.directory = (!path.is_empty()).then(|| PathBuf::from(os(path)));
            }
            Setting::Redirect(stream, path) => {
                let path = Some(PathBuf::from(os(path)));
                match stream {
                    Stream::Input => self.input = path,
                    Stream::Output => self.output = path,
                    Stream::Error => self.error = path,
                }
            }
            Setting::LaunchArch(_) => {}
            _ => return Ok(Answer::Unsupported),
        }
        Ok(Answer::Done)
    }

    /// The working directory for programs.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        self.directory.clone().or_else(|| std::env::current_dir().ok())
    }

    /// The words that are executed first, and how many programs they execute
    /// before the one that is meant: a shell, a wrapper.
    fn start(&self) -> Option<Start> {
        let (program, args) = self.words.split_first()?;
        let program = [found_here(program)];
        let all = self.wrapper.iter().chain(&program).chain(args);
        let mut words: Vec<OsString> = all.cloned().collect();
        let mut execs = u32::from(!self.wrapper.is_empty());
        if self.with_shell {
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            let line: Vec<OsString> = words.iter().map(|word| quoted(word)).collect();
            let line = line.join(OsStr::new(" "));
            words = vec![shell, "-c".into(), [OsStr::new("exec"), &line].join(OsStr::new(" "))];
            execs += 1;
        }
        let mut words = words.into_iter();
        let spec = LaunchSpec {
            program: words.next()?.into(),
            args: words.collect(),
            environment: self.environment.clone(),
            directory: self.directory.clone(),
            randomize_addresses: !self.fixed_addresses,
            stdout: self.output.clone(),
            stderr: self.error.clone(),
            stdin: self.input.clone(),
        };
        Some(Start { spec, execs })
    }
}

/// That a process was not attached to, in gdbserver's words.
pub(super) fn cannot_attach(pid: Pid, error: &Refusal) -> Refusal {
    let said = format!("cannot attach to process {pid}: ");
    let why = error.why.strip_prefix(&said).unwrap_or(&error.why);
    Refusal::new(format!("Cannot attach to process {pid}: {why}"))
}

/// A program named without a folder is the one of that name here, where there
/// is one.
fn found_here(program: &OsStr) -> OsString {
    let here = std::env::current_dir().unwrap_or_default().join(program);
    let bare = !program.as_encoded_bytes().contains(&b'/');
    if bare && here.is_file() { here.into() } else { program.to_owned() }
}

/// A word as a shell reads it back.
fn quoted(word: &OsStr) -> OsString {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./+,:=@%^".contains(byte);
    if !word.is_empty() && word.as_encoded_bytes().iter().all(plain) {
        return word.to_owned();
    }
    let mut quoted = b"'".to_vec();
    for byte in word.as_encoded_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    os(quoted)
}

impl Server {
    // tidy: flat match
    pub(super) fn answer_comings_and_goings(&mut self, request: ProcessRequest) -> Answered {
        match request {
            ProcessRequest::Run { program, arguments } => {
                if !program.is_empty() {
                    let words = std::iter::once(program).chain(arguments);
                    self.launching.words = words.map(os).collect();
                } else if !arguments.is_empty() || self.launching.words.len() > 1 {
                    self.launching.words.truncate(1);
                    self.launching.words.extend(arguments.into_iter().map(os));
                }
                let pid = self.launch().inspect_err(Refusal::say)?;
                Ok(self.stop_of(leader(pid)))
            }
            ProcessRequest::Launch { arguments } => {
                self.launching.words = arguments.into_iter().map(|(_, word)| os(word)).collect();
                self.launching.with_shell = false;
                self.launch()?;
                Ok(Answer::Done)
            }
            ProcessRequest::LaunchSucceeded => match self.session.processes().is_empty() {
                true => Err(Refusal::new("no program was started")),
                false => Ok(Answer::Done),
            },
            ProcessRequest::Attach(AttachTo::Process(number)) => {
                let pid = pid_of(number)?;
                self.attach(pid)
                    .map_err(|error| cannot_attach(pid, &error))
                    .inspect_err(Refusal::say)?;
                Ok(self.attached_stop(pid))
            }
            ProcessRequest::Attach(to) => self.attach_by_name(&to),
            ProcessRequest::Detach { stay_stopped: true, .. } => {
                Err(Refusal::new("a process that is let go runs"))
            }
            ProcessRequest::Detach { process, .. } => self.detach(process),
            ProcessRequest::KillOne { process } => {
                self.kill(pid_of(process)?)?;
                Ok(Answer::Done)
            }
            ProcessRequest::Kill => {
                self.kill_all();
                if !self.client.extended {
                    self.ending = Some(Ending::Asked);
                }
                // gdb waits for nothing, lldb for the end.
                match self.lldb.thread_suffix {
                    true => Ok(String::from("X09").into()),
                    false => Ok(Answer::Later),
                }
            }
            ProcessRequest::Restart => {
                self.kill_all();
                self.launch()?;
                Ok(Answer::Later)
            }
            _ => Ok(Answer::Unsupported),
        }
    }

    /// What is said of a process that was attached to. In non-stop mode its
    /// threads' stops come as any others.
    fn attached_stop(&mut self, pid: Pid) -> Answer {
        if !self.client.non_stop {
            return self.stop_of(leader(pid));
        }
        self.stops.forget_process(pid);
        let threads = self.session.threads();
        self.tell_of_untold(threads.into_iter().filter(|thread| thread.pid == pid));
        Answer::Done
    }

    /// Starts the program.
    pub(super) fn launch(&mut self) -> Result<Pid, Refusal> {
        let start = self.launching.start();
        let start = start.ok_or_else(|| Refusal::new("there is no program to start"))?;
        let launched = self.session.launch(&start);
        let pid = launched.map_err(|error| self.not_launched(error))?;
        self.origins.insert(pid, false);
        self.arrived(pid, Signal::TRAP);
        let program = self.launching.words[0].to_string_lossy().into_owned();
        say(&format!("Process {program} created; pid = {pid}"));
        Ok(pid)
    }

    /// Why there is no program: what started it may have ended instead.
    fn not_launched(&mut self, error: CommandError) -> Refusal {
        let mut why = error.message;
        while let Some(event) = self.session.next_event() {
            why = match event {
                Event::ProcessExited { status: ExitStatus::Exited(code), .. } => {
                    format!("During startup program exited with code {code}.")
                }
                Event::ProcessExited { status: ExitStatus::Signalled { signal, .. }, .. } => {
                    format!("During startup program terminated with signal {signal}.")
                }
                _ => continue,
            };
        }
        Refusal::new(why)
    }

    /// Takes over a process.
    pub(super) fn attach(&mut self, pid: Pid) -> Result<(), Refusal> {
        self.session.attach(pid)?;
        self.origins.insert(pid, true);
        self.arrived(pid, Signal(0));
        say(&format!("Attached; pid = {pid}"));
        Ok(())
    }

    fn arrived(&mut self, pid: Pid, signal: Signal) {
        self.launching.has_run = true;
        for thread in self.session.threads().into_iter().filter(|thread| thread.pid == pid) {
            self.stops.note(thread, Told { signal: signal.0, note: Note::Arrived });
        }
        self.current = Some(leader(pid));
    }

    fn attach_by_name(&mut self, to: &AttachTo) -> Answered {
        let (AttachTo::Name(name) | AttachTo::NameOrNext(name) | AttachTo::Next(name)) = to else {
            return Ok(Answer::Unsupported);
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let before = system::processes_named(&name);
        let there = before.last().copied().filter(|_| !matches!(to, AttachTo::Next(_)));
        let pid = match there {
            Some(pid) => pid,
            None if matches!(to, AttachTo::Name(_)) => {
                return Err(Refusal::new(format!("no process runs {name}")));
            }
            None => self.await_process(&name, &before)?,
        };
        self.attach(pid)?;
        Ok(self.attached_stop(pid))
    }

    /// Waits for a process that runs a program of this name and is not one of
    /// those before, for as long as the client waits too.
    fn await_process(&mut self, name: &str, before: &[Pid]) -> Result<Pid, Refusal> {
        loop {
            let all = system::processes_named(name);
            if let Some(new) = all.into_iter().find(|pid| !before.contains(pid)) {
                return Ok(new);
            }
            if self.link.receive().is_some() || self.link.has_ended() {
                return Err(Refusal::new("the wait was given up"));
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn detach(&mut self, process: Option<u64>) -> Answered {
        let pid = match process {
            Some(number) => pid_of(number)?,
            None => self.current_process()?,
        };
        say(&format!("Detaching from process {pid}"));
        self.session.detach(pid)?;
        self.tell_news();
        let launched = self.origins.remove(&pid) == Some(false);
        self.stops.forget_process(pid);
        if self.session.processes().is_empty() && !self.client.extended {
            self.link.send(b"OK");
            self.ending = Some(Ending::NothingLeft);
            if launched {
                await_end(pid);
            }
            return Ok(Answer::Later);
        }
        Ok(Answer::Done)
    }

    fn kill(&mut self, pid: Pid) -> Result<(), Refusal> {
        // Its end is no news to the client.
        let known = self.origins.remove(&pid);
        self.session.kill(pid).inspect_err(|_| {
            self.origins.extend(known.map(|attached| (pid, attached)));
        })?;
        self.stops.forget_process(pid);
        self.tell_news();
        Ok(())
    }

    pub(super) fn kill_all(&mut self) {
        let pids = self.session.processes();
        let words: Vec<String> = pids.iter().map(ToString::to_string).collect();
        say(&format!("Killing process(es): {}", words.join(" ")));
        for pid in pids {
            // One that is gone already needs no killing.
            let _gone = self.kill(pid);
        }
    }
}

/// Waits until a process that was let go has ended.
fn await_end(pid: Pid) {
    while system::is_running(pid) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
