//! The connection to a client: packets in and out, acknowledged and sent again
//! until both sides agree to trust the wire. What packets mean is left to
//! others.

use std::io::{self, Write};

use trapline_rsp::frame::{Decoder, Incoming, encode_notification, encode_packet};

use crate::backend::{Taken, WakingStream};

/// The longest packet that clients may send, as they travel.
pub(super) const MAX_PACKET: usize = 0x20000;

/// A connection.
pub(super) struct Link {
    stream: WakingStream,
    decoder: Decoder,
    /// Room for what is read.
    bytes: Box<[u8]>,
    acknowledges: bool,
    /// The last packet sent, to be sent again.
    last: Vec<u8>,
    /// Whether every packet is written to standard error.
    pub(super) traced: bool,
    ended: bool,
}

/// What a client sent.
pub(super) enum Received {
    /// A packet's payload.
    Packet(Vec<u8>),
    /// One that is too long to be read.
    TooLong,
    /// Ctrl-C.
    Interrupt,
}

impl Link {
    pub(super) fn new(stream: WakingStream) -> Self {
        Self {
            stream,
            decoder: Decoder::new(MAX_PACKET),
            bytes: vec![0; 16 * 1024].into(),
            acknowledges: true,
            last: Vec::new(),
            traced: false,
            ended: false,
        }
    }

    /// From now on both sides trust the wire.
    pub(super) fn stop_acknowledging(&mut self) {
        self.acknowledges = false;
        self.decoder.set_check(false);
    }

    /// Whether the client has gone.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Waits until the client has sent something, or has gone.
    pub(super) fn wait(&self) {
        self.stream.wait();
    }

    /// The next of what the client sent, if it is there.
    pub(super) fn receive(&mut self) -> Option<Received> {
        loop {
            while let Some(incoming) = self.decoder.next() {
                if let Some(received) = self.take(incoming) {
                    return Some(received);
                }
            }
            match self.stream.take(&mut self.bytes) {
                Taken::Some(count) => self.decoder.feed(&self.bytes[..count]),
                Taken::Nothing => return None,
                Taken::End => {
                    self.ended = true;
                    return None;
                }
            }
        }
    }

    fn take(&mut self, incoming: Incoming) -> Option<Received> {
        match incoming {
            Incoming::Packet(payload) => {
                self.acknowledge(b"+");
                self.trace("<-", &payload);
                Some(Received::Packet(payload))
            }
            Incoming::Oversized => {
                self.acknowledge(b"+");
                Some(Received::TooLong)
            }
            Incoming::Corrupt => {
                self.acknowledge(b"-");
                None
            }
            Incoming::Interrupt => Some(Received::Interrupt),
            Incoming::Nack => {
                let last = std::mem::take(&mut self.last);
                self.write(&last);
                self.last = last;
                None
            }
            Incoming::Ack | Incoming::Notification(_) => None,
        }
    }

    fn acknowledge(&mut self, sign: &[u8]) {
        if self.acknowledges {
            self.write(sign);
        }
    }

    /// Sends a payload, escaped already where it has to be.
    pub(super) fn send(&mut self, payload: &[u8]) {
        self.trace("->", payload);
        let mut packet = Vec::with_capacity(payload.len() + 4);
        encode_packet(payload, &mut packet);
        self.write(&packet);
        self.last = packet;
    }

    /// Sends a notification.
    pub(super) fn notify(&mut self, payload: &[u8]) {
        self.trace("=>", payload);
        let mut packet = Vec::with_capacity(payload.len() + 4);
        encode_notification(payload, &mut packet);
        self.write(&packet);
    }

    /// What cannot be sent has nobody to read it.
    fn write(&mut self, bytes: &[u8]) {
        self.ended |= self.stream.send(bytes).is_err();
    }

    fn trace(&self, way: &str, payload: &[u8]) {
        if self.traced {
            // Without a standard error there is nobody to tell.
            let _ = writeln!(io::stderr(), "{way} {}", payload.escape_ascii());
        }
    }
}
