//! The events of a session on their way to a front end, and the measure of how
//! far the front end is behind. What to do about one that falls behind is left
//! to the session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvError, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use crate::event::Event;

/// Events that may wait for a front end before the program has to.
const FAR_BEHIND: usize = 10_000;

/// A stream from a session to its front end.
pub(crate) fn stream() -> (EventSender, Events) {
    let (sender, receiver) = mpsc::channel();
    let unread = Arc::new(AtomicUsize::new(0));
    (EventSender { sender, unread: Arc::clone(&unread) }, Events { receiver, unread })
}

/// The session's end.
#[derive(Clone)]
pub(crate) struct EventSender {
    sender: mpsc::Sender<Event>,
    unread: Arc<AtomicUsize>,
}

impl EventSender {
    /// Tells the front end; with none left there is nobody to tell.
    pub(crate) fn send(&self, event: Event) {
        // Counted before it can be read, so that the count never wraps.
        self.unread.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(event).is_err() {
            self.unread.store(0, Ordering::Relaxed);
        }
    }

    /// Whether so much waits to be read that more would only pile up.
    pub(crate) fn is_far_ahead(&self) -> bool {
        self.unread.load(Ordering::Relaxed) >= FAR_BEHIND
    }
}

/// What happens in a session, in order. It ends when the session has.
///
/// A front end that reads more slowly than breakpoints log slows the program
/// down; nothing is dropped.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    unread: Arc<AtomicUsize>,
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    /// When the session is over and all has been read.
    pub fn recv(&self) -> Result<Event, RecvError> {
        self.receiver.recv().inspect(|_| self.note_read())
    }

    /// Waits for the next event, not longer than `patience`.
    ///
    /// # Errors
    /// When none came in time, or the session is over and all has been read.
    pub fn recv_timeout(&self, patience: Duration) -> Result<Event, RecvTimeoutError> {
        self.receiver.recv_timeout(patience).inspect(|_| self.note_read())
    }

    /// The next event if it is there.
    ///
    /// # Errors
    /// When there is none, or the session is over and all has been read.
    pub fn try_recv(&self) -> Result<Event, TryRecvError> {
        self.receiver.try_recv().inspect(|_| self.note_read())
    }

    fn note_read(&self) {
        self.unread.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news() -> Event {
        Event::Warning("news".to_owned())
    }

    #[test]
    fn what_is_read_no_longer_counts() {
        let (sender, events) = stream();
        (0..FAR_BEHIND).for_each(|_| sender.send(news()));
        assert!(sender.is_far_ahead());
        assert_eq!(events.try_recv(), Ok(news()));
        assert!(!sender.is_far_ahead());
        assert_eq!(events.count_unread(), FAR_BEHIND - 1);
    }

    #[test]
    fn nobody_is_waited_for_when_nobody_reads_any_more() {
        let (sender, events) = stream();
        drop(events);
        (0..=FAR_BEHIND).for_each(|_| sender.send(news()));
        assert!(!sender.is_far_ahead());
    }

    impl Events {
        fn count_unread(&self) -> usize {
            self.unread.load(Ordering::Relaxed)
        }
    }
}
