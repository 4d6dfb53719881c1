//! The front ends' end of a session: a cloneable handle that asks, a stream of
//! events, and the thread behind them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::target::{Target, TargetError, Waker};

use crate::command::{BreakpointInfo, Command, CommandError, Reply};
use crate::session::Session;
use crate::stream::{Events, stream};

/// A request on its way to the tracer thread.
pub(crate) struct Envelope {
    pub(crate) command: Command,
    pub(crate) answer: mpsc::Sender<Result<Reply, CommandError>>,
}

type Answer = mpsc::Receiver<Result<Reply, CommandError>>;

/// Asks a session. Clones ask the same session; it ends in an orderly way when
/// the last one is dropped, or on [`Command::Quit`].
#[derive(Clone)]
pub struct SessionHandle {
    link: Arc<Link>,
}

struct Link {
    requests: Option<mpsc::Sender<Envelope>>,
    waker: Arc<dyn Waker>,
    tracer: Option<thread::JoinHandle<()>>,
}

impl SessionHandle {
    /// Asks and waits for the answer. The program may go on running meanwhile;
    /// most commands hold it for the microseconds that they need.
    ///
    /// # Errors
    /// What went wrong, as one sentence for the user.
    pub fn request(&self, command: Command) -> Result<Reply, CommandError> {
        self.ask(command)?.recv().map_err(|_| over())?
    }

    /// Sets breakpoints and watches in order, up to the first that cannot be
    /// set, in one hold. `told` hears of those that are, some at a time, while
    /// the next are being set.
    ///
    /// # Errors
    /// Why one could not be set, as one sentence for the user; those after it
    /// were not tried.
    pub fn break_each(
        &self,
        specs: Vec<BreakpointSpec>,
        told: impl FnMut(Vec<BreakpointInfo>),
    ) -> Result<(), CommandError> {
        let (set, infos) = mpsc::channel();
        let reply = self.ask(Command::BreakEach { specs, set })?;
        infos.into_iter().for_each(told);
        reply.recv().map_err(|_| over())?.map(drop)
    }

    /// Asks; the answer comes through the channel.
    fn ask(&self, command: Command) -> Result<Answer, CommandError> {
        let (answer, reply) = mpsc::channel();
        let requests = self.link.requests.as_ref().ok_or_else(over)?;
        requests.send(Envelope { command, answer }).map_err(|_| over())?;
        self.link.waker.wake();
        Ok(reply)
    }
}

fn over() -> CommandError {
    CommandError::new("the session is over")
}

impl Drop for Link {
    fn drop(&mut self) {
        // Closing the channel is the request to end; the tracer thread sees it
        // when it next drains its requests.
        self.requests = None;
        self.waker.wake();
        if let Some(tracer) = self.tracer.take()
            && tracer.thread().id() != thread::current().id()
        {
            // It catches its own panics and says so through its events.
            let _ = tracer.join();
        }
    }
}

/// Serves until the session is over, and then ends it in an orderly way even
/// when a defect of ours made it panic: no program is left with our traps.
fn serve_to_the_end(session: &mut Session, requests: &mpsc::Receiver<Envelope>) {
    let served = catch_unwind(AssertUnwindSafe(|| session.serve(requests)));
    if served.is_err() {
        session.report_defect();
    }
    // A second panic leaves the end to the target, which lets go of all it
    // holds when it is dropped.
    let _ = catch_unwind(AssertUnwindSafe(|| session.end()));
}

/// Starts a session on a tracer thread of its own, which makes the target and
/// is the only thread that ever touches it.
///
/// # Errors
/// Why the target could not be made, or the thread not started.
pub fn spawn(
    make_target: impl FnOnce() -> Result<Box<dyn Target>, TargetError> + Send + 'static,
) -> Result<(SessionHandle, Events), CommandError> {
    let (request_sender, requests) = mpsc::channel();
    let (event_sender, events) = stream();
    let (ready_sender, ready) = mpsc::channel();
    let tracer = thread::Builder::new()
        .name("tracer".to_owned())
        .spawn(move || match make_target() {
            Ok(target) => {
                // The receiver waits for exactly this message.
                let _ = ready_sender.send(Ok(target.waker()));
                let mut session = Session::new(target, event_sender);
                serve_to_the_end(&mut session, &requests);
                // Whoever still asks hears at once that it is over; taking a
                // large session apart takes a while.
                drop(requests);
            }
            Err(error) => {
                let _ = ready_sender.send(Err(error));
            }
        })
        .map_err(|error| CommandError::new(format!("cannot start the tracer thread: {error}")))?;
    let waker = ready
        .recv()
        .map_err(|_| CommandError::new("the tracer thread ended before it began"))??;
    let link = Link { requests: Some(request_sender), waker, tracer: Some(tracer) };
    Ok((SessionHandle { link: Arc::new(link) }, events))
}
