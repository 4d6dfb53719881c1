//! The command line: gdbserver's, with its messages, and lldb-server's
//! `gdbserver` form.

use std::ffi::OsString;

use trapline_core::Pid;

use super::launch::Launching;

/// What the command line asks for.
pub(super) enum Wish {
    Serve(Box<Options>),
    Say(String),
}

/// How the client is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// Wait for it on an address.
    Listen { host: String, port: u16 },
    /// Go to it.
    Connect { host: String, port: u16 },
    /// Standard input and output.
    StandardStreams,
    /// An open connection.
    File(i32),
}

/// Which program is served first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// The one that is started with the words that follow.
    Program,
    /// A running process.
    Process(Pid),
    /// None, until the client says so.
    None,
}

/// All of it.
pub(super) struct Options {
    pub(super) at: Where,
    pub(super) subject: Subject,
    pub(super) launching: Launching,
    /// Serve one client only.
    pub(super) once: bool,
    /// Outlive programs, and wait for further clients.
    pub(super) multi: bool,
    pub(super) traced: bool,
    /// What is not to be used of the protocol, for tests of clients.
    pub(super) disabled: Disabled,
    /// Where the port that was chosen is written: lldb waits for it.
    pub(super) port_to: Option<PortTo>,
}

/// Packets that the server is to know nothing of, and parts of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Disabled {
    pub(super) resume_actions: bool,
    /// The thread in stop replies.
    pub(super) thread_in_stops: bool,
    /// Stop replies that say more than the signal.
    pub(super) long_stops: bool,
    pub(super) current_thread: bool,
    pub(super) thread_lists: bool,
}

impl Disabled {
    fn add(&mut self, names: &str) -> Result<(), String> {
        for name in names.split(',') {
            match name {
                "vCont" | "vConT" => self.resume_actions = true,
                "Tthread" => self.thread_in_stops = true,
                "T" => self.long_stops = true,
                "qC" => self.current_thread = true,
                "qfThreadInfo" => self.thread_lists = true,
                "threads" => {
                    self.add("vCont,Tthread,qC,qfThreadInfo")?;
                }
                _ => {
                    return Err(format!(
                        "Don't know how to disable \"{name}\".\n\nDisable-able packets: vCont, T, \
                         Tthread, qC, qfThreadInfo, threads (all of these)"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Where a chosen port is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum PortTo {
    /// An open pipe.
    File(i32),
    /// A named one.
    Path(OsString),
}

/// What gdbserver says where it was built without.
const NO_SELFTESTS: &str = "Selftests have been disabled for this build.";

pub(super) const USAGE: &str = "\
Usage:\ttrapline gdbserver [OPTIONS] COMM PROG [ARGS ...]
\ttrapline gdbserver [OPTIONS] --attach COMM PID
\ttrapline gdbserver [OPTIONS] --multi COMM

COMM is HOST:PORT or :PORT to listen there (this machine alone, without a
HOST), - or stdio for standard input and output; or, before anything else,
--fd=N for a connection that is open already.

Operating modes:

  --attach              Attach to running process PID.
  --multi               Start server without a specific program, and
                        only quit when explicitly commanded.
  --once                Exit after the first connection has closed.
  --help                Print this message and then exit.
  --version             Display version information and exit.

Other options:

  --wrapper WRAPPER --  Run WRAPPER to start new programs.
  --disable-randomization
                        Run PROG with address space randomization disabled.
  --no-disable-randomization
                        Don't disable address space randomization when
                        starting PROG.
  --startup-with-shell  Start PROG using a shell (the default).
  --no-startup-with-shell
                        Exec PROG directly instead of using a shell.

Debug options:

  --debug[=OPT1,OPT2,...]
                        Write every packet to standard error.
  --remote-debug        The same.
  --disable-packet=OPT1[,OPT2,...]
                        Know nothing of packets: vCont, T, Tthread, qC,
                        qfThreadInfo, threads (all of these).

As lldb starts it:

  --fd N, --native-regs, --setsid, --reverse-connect, --pipe N,
  --named-pipe PATH, --log-file FILE, --log-channels LIST

For more information: `monitor help` in gdb.";

/// Reads the words behind `gdbserver`.
pub(super) fn read(words: Vec<OsString>) -> Result<Wish, String> {
    let mut reader = Reader::new(words);
    if let Some(said) = reader.options()? {
        return Ok(Wish::Say(said));
    }
    reader.read_address();
    // lldb's platform has options there.
    if let Some(said) = reader.options()? {
        return Ok(Wish::Say(said));
    }
    reader.rest().map(|options| Wish::Serve(Box::new(options)))
}

struct Reader {
    words: std::iter::Peekable<std::vec::IntoIter<OsString>>,
    options: Options,
    attach: bool,
    reverse: bool,
    file: Option<i32>,
    address: Option<String>,
}

impl Reader {
    fn new(words: Vec<OsString>) -> Self {
        let options = Options {
            at: Where::StandardStreams,
            subject: Subject::None,
            launching: Launching::default(),
            once: false,
            multi: false,
            traced: false,
            disabled: Disabled::default(),
            port_to: None,
        };
        let words = words.into_iter().peekable();
        Self { words, options, attach: false, reverse: false, file: None, address: None }
    }

    /// Reads options; the answer is something to say instead of serving.
    fn options(&mut self) -> Result<Option<String>, String> {
        loop {
            let is_option =
                |word: &OsString| word.as_encoded_bytes().starts_with(b"-") && word != "-";
            let Some(word) = self.words.next_if(is_option) else { return Ok(None) };
            let word = word.to_string_lossy().into_owned();
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            };
            if name == "--" {
                return Ok(None);
            }
            if let Some(said) = self.option(&name, value)? {
                return Ok(Some(said));
            }
        }
    }

    // tidy: flat match
    fn option(&mut self, name: &str, value: Option<String>) -> Result<Option<String>, String> {
        let launching = &mut self.options.launching;
        match name {
            "--help" => return Ok(Some(USAGE.to_owned())),
            "--version" => return Ok(Some(format!("trapline {}", env!("CARGO_PKG_VERSION")))),
            "--attach" if value.is_none() => self.attach = true,
            "--attach" => {
                self.options.subject = Subject::Process(process(value.as_deref().unwrap_or(""))?);
            }
            "--multi" => self.options.multi = true,
            "--once" => self.options.once = true,
            "--wrapper" => self.read_wrapper()?,
            "--debug" | "--remote-debug" | "--event-loop-debug" => self.options.traced = true,
            "--debug-format" | "--no-ack" => {}
            "--selftest" => return Ok(Some(NO_SELFTESTS.to_owned())),
            "--disable-packet" => {
                let names = self.value(name, value)?;
                self.options.disabled.add(&names)?;
            }
            "--disable-randomization" => launching.fixed_addresses = true,
            "--no-disable-randomization" => launching.fixed_addresses = false,
            "--startup-with-shell" => launching.with_shell = true,
            "--no-startup-with-shell" => launching.with_shell = false,
            "--fd" => self.file = Some(self.number(name, value)?),
            "--native-regs" | "--setsid" | "-R" => {}
            "--reverse-connect" => self.reverse = true,
            "--pipe" => self.options.port_to = Some(PortTo::File(self.number(name, value)?)),
            "--named-pipe" => {
                self.options.port_to = Some(PortTo::Path(self.value(name, value)?.into()));
            }
            "--log-file" | "--log-channels" => drop(self.value(name, value)?),
            _ => return Err(format!("Unknown argument: {name}\n{USAGE}")),
        }
        Ok(None)
    }

    fn value(&mut self, name: &str, value: Option<String>) -> Result<String, String> {
        let next = || self.words.next().map(|word| word.to_string_lossy().into_owned());
        value.or_else(next).ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
    }

    fn number(&mut self, name: &str, value: Option<String>) -> Result<i32, String> {
        let value = self.value(name, value)?;
        value.parse().map_err(|_| format!("{name}: `{value}` is not a number"))
    }

    fn read_wrapper(&mut self) -> Result<(), String> {
        let mut wrapper = Vec::new();
        loop {
            match self.words.next() {
                Some(word) if word == "--" => break,
                Some(word) => wrapper.push(word),
                None => return Err(format!("--wrapper ends with --\n{USAGE}")),
            }
        }
        self.options.launching.wrapper = wrapper;
        Ok(())
    }

    /// Reads where clients come from, unless an option has said it.
    fn read_address(&mut self) {
        if self.file.is_none() {
            self.address = self.words.next().map(|word| word.to_string_lossy().into_owned());
        }
    }

    /// Reads what is served.
    fn rest(mut self) -> Result<Options, String> {
        self.options.at = match (self.file, &self.address) {
            (Some(file), _) => Where::File(file),
            (None, Some(address)) => connection(address, self.reverse)?,
            (None, None) => return Err(USAGE.to_owned()),
        };
        if self.attach {
            let word = self.words.next().ok_or(USAGE)?;
            self.options.subject = Subject::Process(process(&word.to_string_lossy())?);
        } else if self.words.peek().is_some() {
            self.options.subject = Subject::Program;
        }
        self.options.launching.words = self.words.collect();
        let served = self.options.subject != Subject::None;
        if !served && !self.options.multi && self.file.is_none() && !self.reverse {
            let listens = self.options.port_to.is_some();
            if !listens {
                return Err(USAGE.to_owned());
            }
        }
        Ok(self.options)
    }
}

fn process(word: &str) -> Result<Pid, String> {
    let number = word.parse().ok().filter(|number| *number > 0);
    number.map(Pid::new).ok_or_else(|| format!("`{word}` is not a process number\n{USAGE}"))
}

fn connection(word: &str, reverse: bool) -> Result<Where, String> {
    if matches!(word, "-" | "stdio") {
        return Ok(Where::StandardStreams);
    }
    // `tcp:`, `tcp4:`, `connect://` and their kin say what is the rule anyway.
    let mut address = word;
    for prefix in ["tcp://", "connect://", "listen://", "tcp4:", "tcp6:", "tcp:", "udp:"] {
        address = address.strip_prefix(prefix).unwrap_or(address);
    }
    let wrong = || format!("`{word}` is neither HOST:PORT nor - : no client can come\n{USAGE}");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = port.parse().map_err(|_| wrong())?;
    Ok(match reverse || word.starts_with("connect://") {
        true => Where::Connect { host, port },
        false => Where::Listen { host, port },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        match read(line.split(' ').map(OsString::from).collect())? {
            Wish::Serve(options) => Ok(*options),
            Wish::Say(text) => Err(text),
        }
    }

    fn listen(host: &str, port: u16) -> Where {
        Where::Listen { host: host.to_owned(), port }
    }

    #[test]
    fn the_forms_of_gdbserver() {
        let check = |line: &str, at: Where, subject: Subject, words: &[&str]| {
            let options = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!((options.at, options.subject), (at, subject), "{line}");
            assert_eq!(options.launching.words, words, "{line}");
        };
        check(":2345 ls -l", listen("", 2345), Subject::Program, &["ls", "-l"]);
        check("--once [::1]:0 ls", listen("::1", 0), Subject::Program, &["ls"]);
        let pid = Subject::Process(Pid::new(12));
        check("--attach localhost:1 12", listen("localhost", 1), pid.clone(), &[]);
        check(":1 --attach 12", listen("", 1), pid.clone(), &[]);
        check("--multi :1", listen("", 1), Subject::None, &[]);
        check("- ls", Where::StandardStreams, Subject::Program, &["ls"]);
        check("--wrapper env X=1 -- :1 ls", listen("", 1), Subject::Program, &["ls"]);
        check("--fd=5 --native-regs --setsid", Where::File(5), Subject::None, &[]);
        check("--fd 5 --native-regs -- ls -l", Where::File(5), Subject::Program, &["ls", "-l"]);
        check("--attach=12 :1", listen("", 1), pid, &[]);
        let there = Where::Connect { host: "127.0.0.1".to_owned(), port: 9 };
        check("--reverse-connect 127.0.0.1:9", there, Subject::None, &[]);
        check("--pipe 4 127.0.0.1:0", listen("127.0.0.1", 0), Subject::None, &[]);
        let platforms = "tcp://[127.0.0.1]:0 --native-regs --pipe 5";
        check(platforms, listen("127.0.0.1", 0), Subject::None, &[]);
        check(":1 -- -ls", listen("", 1), Subject::Program, &["-ls"]);
    }

    #[test]
    fn options_are_kept() {
        let options = parse("--no-startup-with-shell --no-disable-randomization :1 ls").unwrap();
        assert!(!options.launching.with_shell && !options.launching.fixed_addresses);
        let options = parse("--once --debug=all --wrapper env X=1 -- :1 ls").unwrap();
        assert!(options.once && options.traced);
        assert_eq!(options.launching.wrapper, ["env", "X=1"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_usage() {
        for line in [
            ":1",
            "",
            "--bogus :1 ls",
            "--attach :1",
            "--attach :1 x",
            "nowhere ls",
            "--wrapper env",
            "--fd=x",
            ":99999 ls",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
