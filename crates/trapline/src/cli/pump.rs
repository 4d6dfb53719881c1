//! The two threads beside the console: one carries events to it (and shows a
//! bar while symbols load, since the console waits for that), one obeys the
//! signals that ask us to interrupt the program or to end.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use trapline_core::stop::Signal;
use trapline_engine::{Command, CommandError, Event, Events, SessionHandle};

use super::batch::Ending;
use crate::backend::Requests;

/// Loading that takes longer is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// Events that are taken from the session before the console has shown them:
/// the session is to know how far behind we are.
const IN_HAND: usize = 256;

/// How long the console may take to end in order before we end without it.
const GRACE: Duration = Duration::from_secs(2);

/// Tells a waiting prompt that something happened.
#[derive(Clone, Default, Debug)]
pub(crate) struct Pump {
    news: Arc<AtomicBool>,
    /// Whether somebody types, and is not to be written over.
    editing: Arc<AtomicBool>,
}

impl Pump {
    /// Carries events from the session to the receiver that it returns.
    ///
    /// # Errors
    /// There can be no more threads.
    pub(crate) fn start(events: Events) -> Result<(Self, Receiver<Event>), CommandError> {
        let pump = Self::default();
        let (sender, receiver) = mpsc::sync_channel(IN_HAND);
        let mine = pump.clone();
        start_thread("events", move || {
            let mut progress = Progress::default();
            for event in events {
                if let Event::Progress { what, done, total } = &event {
                    if mine.editing.load(Ordering::Acquire) {
                        progress.end();
                    } else {
                        progress.show(what, *done, *total);
                    }
                    continue;
                }
                progress.end();
                if sender.send(event).is_err() {
                    return;
                }
                mine.ring();
            }
        })?;
        Ok((pump, receiver))
    }

    /// The flag that a line editor looks at.
    pub(crate) fn news(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.news)
    }

    /// Reads a line from the user.
    pub(crate) fn while_editing<T>(&self, read: impl FnOnce() -> T) -> T {
        self.editing.store(true, Ordering::Release);
        let read = read();
        self.editing.store(false, Ordering::Release);
        read
    }

    fn ring(&self) {
        self.news.store(true, Ordering::Release);
    }
}

/// A bar on standard error, if that is a terminal.
#[derive(Default)]
struct Progress {
    began: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn show(&mut self, what: &str, done: u64, total: u64) {
        if done >= total {
            self.end();
            return;
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        if began.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
            ProgressBar::new(total)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_length(total);
        bar.set_message(format!("Reading symbols from {what}"));
        bar.set_position(done);
    }

    fn end(&mut self) {
        self.began = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Turns Ctrl-C into an interruption of the program, and every other request
/// to end into an orderly end.
///
/// # Errors
/// There can be no more threads.
pub(crate) fn obey_signals(
    requests: Requests,
    session: SessionHandle,
    ending: Arc<Ending>,
    pump: Pump,
) -> Result<(), CommandError> {
    start_thread("signals", move || {
        for signal in requests.wait() {
            if signal == Signal::INT {
                ending.interrupt();
            } else {
                ending.ask(signal.0);
                pump.ring();
                end_soon(session.clone(), signal);
            }
            // A session that is over needs no interruption.
            let _over = session.request(Command::Interrupt);
        }
    })
}

fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), CommandError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    let cannot = |error| CommandError::new(format!("cannot start the thread for {name}: {error}"));
    started.map(drop).map_err(cannot)
}

/// Ends even when the console does not get to it: it may wait for a command
/// that takes long.
#[expect(clippy::disallowed_methods, reason = "the session has ended in order before")]
fn end_soon(session: SessionHandle, signal: Signal) {
    let end = move || {
        thread::sleep(GRACE);
        let _over = session.request(Command::Quit);
        process::exit(128 + signal.0);
    };
    // Without a thread for it, the console ends when it gets to it.
    let _alone = start_thread("the end", end);
}
