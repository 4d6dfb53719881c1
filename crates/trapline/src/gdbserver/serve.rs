//! Waiting for clients, one after the other, and the ways the server ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};

use trapline_core::Pid;
use trapline_engine::ClientSession;

use super::args::{Disabled, Options, PortTo, Subject, Where};
use super::launch::{Launching, cannot_attach};
use super::link::Link;
use super::lldb::Lldb;
use super::server::{Client, Ending, Server};
use super::stops::Stops;
use super::{Printed, say};
use crate::backend::{self, WakingStream};

/// Where connections come from.
enum Door {
    /// Clients come to us.
    Listener(TcpListener),
    /// There is one connection.
    Open(Option<WakingStream>),
}

impl Door {
    /// Says where clients can come to.
    fn announce(&self) {
        if let Self::Listener(listener) = self
            && let Ok(address) = listener.local_addr()
        {
            say(&format!("Listening on port {}", address.port()));
        }
    }
}

/// Serves; the answer is the exit code.
pub(super) fn run(options: Options) -> u8 {
    match serve(options) {
        Ok(()) => 0,
        Err(error) => {
            say(&error);
            1
        }
    }
}

fn serve(mut options: Options) -> Result<(), String> {
    let target = backend::local_target().map_err(|error| error.to_string())?;
    let session = ClientSession::new(target);
    let (once, multi) = (options.once, options.multi);
    let manner = (options.traced, options.disabled);
    let uses_streams = options.at == Where::StandardStreams;
    if uses_streams {
        // The client speaks through ours: programs get neither.
        say("stdin/stdout redirected");
        options.launching.input.get_or_insert_with(|| "/dev/null".into());
        options.launching.output.get_or_insert_with(|| "/dev/stderr".into());
    }
    let printed = if uses_streams { Printed::ToError } else { Printed::ToOutput };
    let mut parts = Parts::new(session, options.launching, printed);
    let mut door = None;
    // gdbserver has the program before it listens.
    if options.subject != Subject::None {
        let mut server = parts.server(None, manner)?;
        let come = match options.subject {
            Subject::Process(pid) => {
                server.attach(pid).map_err(|error| cannot_attach(pid, &error).why)
            }
            _ => server.launch().map(drop).map_err(|error| format!("{}\nExiting", error.why)),
        };
        parts = server.apart();
        come?;
    }
    let mut extended = multi;
    loop {
        let door = match &mut door {
            Some(door) => door,
            None => door.insert(open(&options.at, options.port_to.as_ref())?),
        };
        let Some(stream) = next_client(door)? else { break };
        let mut server = parts.server(Some(stream), manner)?;
        server.client.extended = extended;
        let ending = server.converse();
        extended = server.client.extended && multi;
        let running = !server.session.processes().is_empty();
        server.close();
        parts = server.apart();
        match ending {
            Ending::Asked | Ending::NothingLeft => break,
            Ending::ConnectionLost if once || !(running || multi) => break,
            Ending::ConnectionLost if matches!(door, Door::Open(_)) => break,
            Ending::ConnectionLost => {
                say(
                    "Remote side has terminated connection.  GDBserver will reopen the connection.",
                );
                door.announce();
            }
        }
    }
    parts.session.end();
    if !uses_streams {
        say("GDBserver exiting");
    }
    Ok(())
}

/// What outlives a client.
struct Parts {
    session: ClientSession,
    launching: Launching,
    origins: BTreeMap<Pid, bool>,
    stops: Stops,
    printed: Printed,
}

impl Parts {
    fn new(session: ClientSession, launching: Launching, printed: Printed) -> Self {
        Self { session, launching, origins: BTreeMap::new(), stops: Stops::default(), printed }
    }

    fn server(
        self,
        stream: Option<WakingStream>,
        (traced, disabled): (bool, Disabled),
    ) -> Result<Server, String> {
        let stream = match stream {
            Some(stream) => stream,
            None => backend::unused_stream().map_err(|error| error.to_string())?,
        };
        let mut link = Link::new(stream);
        link.traced = traced;
        Ok(Server {
            session: self.session,
            link,
            client: Client::default(),
            lldb: Lldb::default(),
            current: None,
            to_run: None,
            stops: self.stops,
            printed: self.printed,
            registers: None,
            files: super::files::HostFiles::default(),
            launching: self.launching,
            origins: self.origins,
            unlisted: Vec::new(),
            saved: BTreeMap::new(),
            disabled,
            no_thread_locals: None,
            ending: None,
        })
    }
}

impl Server {
    fn apart(self) -> Parts {
        let Self { session, launching, origins, stops, printed, .. } = self;
        Parts { session, launching, origins, stops, printed }
    }

    /// The client has gone: everything stands as it is for the next one.
    fn close(&mut self) {
        self.session.hold();
        for point in self.session.points() {
            // A process that is gone has none.
            let _gone = self.session.remove(point.pid, point.key);
        }
        self.client.non_stop = false;
        self.stops.forget_events();
        self.set_rules();
        self.tell_news();
    }
}

fn open(at: &Where, port_to: Option<&PortTo>) -> Result<Door, String> {
    match at {
        Where::StandardStreams => {
            let stream = backend::standard_streams()
                .map_err(|error| format!("Cannot use the standard streams: {error}"))?;
            say("Remote debugging using stdio");
            Ok(Door::Open(Some(stream)))
        }
        Where::File(number) => {
            let stream = backend::inherited_stream(*number)
                .map_err(|error| format!("Cannot use file {number}: {error}"))?;
            Ok(Door::Open(Some(stream)))
        }
        Where::Connect { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port))
                .map_err(|error| format!("Cannot connect to {host}:{port}: {error}"))?;
            Ok(Door::Open(Some(of_client(stream)?)))
        }
        Where::Listen { host, port } => listen(host, *port, port_to).map(Door::Listener),
    }
}

fn of_client(stream: TcpStream) -> Result<WakingStream, String> {
    // Answers are waited for: none is worth holding back.
    let _slower = stream.set_nodelay(true);
    backend::socket(stream).map_err(|error| format!("Cannot use the connection: {error}"))
}

/// Listens on an address; on this machine alone without one.
fn listen(host: &str, port: u16, port_to: Option<&PortTo>) -> Result<TcpListener, String> {
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let cannot = |error: io::Error| format!("Can't bind address: {error}.");
    let unknown = |error: io::Error| format!("{host}:{port}: cannot resolve name: {error}");
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(unknown)?.collect();
    let listener = TcpListener::bind(addresses.as_slice()).map_err(cannot)?;
    let port = listener.local_addr().map_err(cannot)?.port();
    if let Some(to) = port_to {
        tell_port(to, port).map_err(|error| format!("Cannot tell the port: {error}"))?;
    }
    say(&format!("Listening on port {port}"));
    Ok(listener)
}

/// Writes the port, as a string of C, to whoever waits for it.
fn tell_port(to: &PortTo, port: u16) -> io::Result<()> {
    let mut file: File = match to {
        PortTo::File(number) => backend::inherited_file(*number)?,
        PortTo::Path(path) => File::options().write(true).open(path)?,
    };
    file.write_all(format!("{port}\0").as_bytes())
}

/// Waits for the next client; `None` when none can come any more.
fn next_client(door: &mut Door) -> Result<Option<WakingStream>, String> {
    match door {
        Door::Open(stream) => Ok(stream.take()),
        Door::Listener(listener) => {
            let (stream, from) =
                listener.accept().map_err(|error| format!("Accept failed: {error}"))?;
            say(&format!("Remote debugging from host {}, port {}", from.ip(), from.port()));
            of_client(stream).map(Some)
        }
    }
}
