//! Finding packets in a stream that may start anywhere, break off anywhere and
//! hold anything.

use super::{BadRuns, checksum, expand, unescape};
use crate::hex;

/// The byte that asks for a stop when it comes outside of a packet.
const INTERRUPT: u8 = 3;

/// What was found in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// A packet's payload, escapes undone.
    Packet(Vec<u8>),
    /// A notification's payload, escapes undone. It is never acknowledged.
    Notification(Vec<u8>),
    /// `+`: the last packet arrived.
    Ack,
    /// `-`: the last packet is to be sent again.
    Nack,
    /// Ctrl-C outside of a packet.
    Interrupt,
    /// A packet whose checksum or runs are wrong, to be answered with `-`.
    Corrupt,
    /// A packet that is longer than was agreed; its contents are lost. Sent
    /// again it would be no shorter.
    Oversized,
}

/// Whose packets a decoder reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// A server's: requests, which have no runs.
    Server,
    /// A client's: replies, in which runs may be shortened.
    Client,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Packet,
    Notification,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Between,
    Payload(Kind),
    /// Past `#`, with the checksum's first character when it is there.
    Sum(Kind, Option<u8>),
}

/// Finds packets in a stream of bytes. Feed it what arrived, then take from it,
/// as from any iterator, until there is nothing more; that is the moment to
/// feed it again.
///
/// What is no packet is skipped; a `$` within a packet starts a new one, since
/// the first must have broken off. It keeps what it was fed and has not given
/// out yet, and no more than the limit of a packet that is not complete.
#[derive(Debug)]
pub struct Decoder {
    side: Side,
    max_packet: usize,
    check: bool,
    state: State,
    payload: Vec<u8>,
    oversized: bool,
    fed: Vec<u8>,
    at: usize,
}

impl Decoder {
    /// A decoder for a server. `max_packet` is the longest payload it takes, in
    /// bytes as they travel: what `PacketSize` announces.
    pub fn new(max_packet: usize) -> Self {
        Self::for_side(Side::Server, max_packet)
    }

    /// A decoder for one side. For a client the limit holds for payloads with
    /// their runs written out too.
    pub fn for_side(side: Side, max_packet: usize) -> Self {
        Self {
            side,
            max_packet,
            check: true,
            state: State::Between,
            payload: Vec::new(),
            oversized: false,
            fed: Vec::new(),
            at: 0,
        }
    }

    /// Whether checksums are verified: not any more once both sides agreed on
    /// `QStartNoAckMode`.
    pub fn set_check(&mut self, check: bool) {
        self.check = check;
    }

    /// Takes bytes as they arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at == self.fed.len() {
            self.fed.clear();
        } else {
            self.fed.drain(..self.at);
        }
        self.at = 0;
        self.fed.extend_from_slice(bytes);
    }

    fn step(&mut self, byte: u8) -> Option<Incoming> {
        match (self.state, byte) {
            (_, b'$') => self.start(Kind::Packet),
            (State::Between, _) => self.between(byte),
            (State::Payload(kind), b'#') => self.go(State::Sum(kind, None)),
            (State::Payload(_), _) => self.keep(byte),
            (State::Sum(kind, None), _) => self.go(State::Sum(kind, Some(byte))),
            (State::Sum(kind, Some(first)), _) => self.finish(kind, first, byte),
        }
    }

    fn go(&mut self, state: State) -> Option<Incoming> {
        self.state = state;
        None
    }

    fn start(&mut self, kind: Kind) -> Option<Incoming> {
        self.payload.clear();
        self.oversized = false;
        self.go(State::Payload(kind))
    }

    fn between(&mut self, byte: u8) -> Option<Incoming> {
        match byte {
            b'%' => self.start(Kind::Notification),
            b'+' => Some(Incoming::Ack),
            b'-' => Some(Incoming::Nack),
            INTERRUPT => Some(Incoming::Interrupt),
            _ => None,
        }
    }

    fn keep(&mut self, byte: u8) -> Option<Incoming> {
        if self.payload.len() < self.max_packet {
            self.payload.push(byte);
        } else {
            self.oversized = true;
        }
        None
    }

    fn finish(&mut self, kind: Kind, first: u8, second: u8) -> Option<Incoming> {
        self.state = State::Between;
        let payload = std::mem::take(&mut self.payload);
        let found = match self.open(&payload, [first, second]) {
            Ok(payload) if kind == Kind::Packet => Incoming::Packet(payload),
            Ok(payload) => Incoming::Notification(payload),
            Err(why) => why,
        };
        // Nobody waits for the answer to a notification: a bad one is lost.
        let answered = kind == Kind::Packet;
        (answered || matches!(found, Incoming::Notification(_))).then_some(found)
    }

    /// The payload without what is only for travelling.
    fn open(&self, payload: &[u8], sum: [u8; 2]) -> Result<Vec<u8>, Incoming> {
        if self.oversized {
            return Err(Incoming::Oversized);
        }
        if self.check && hex::decode(&sum) != Some(vec![checksum(payload)]) {
            return Err(Incoming::Corrupt);
        }
        match self.side {
            Side::Server => Ok(unescape(payload)),
            Side::Client => match expand(payload, self.max_packet) {
                Ok(expanded) => Ok(unescape(&expanded)),
                Err(BadRuns::Malformed) => Err(Incoming::Corrupt),
                Err(BadRuns::TooLong) => Err(Incoming::Oversized),
            },
        }
    }
}

impl Iterator for Decoder {
    type Item = Incoming;

    fn next(&mut self) -> Option<Incoming> {
        while let Some(&byte) = self.fed.get(self.at) {
            self.at += 1;
            if let Some(found) = self.step(byte) {
                return Some(found);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{compress, encode_packet, encode_unescaped, escape_into};
    use super::Incoming::{Ack, Corrupt, Interrupt, Nack, Oversized};
    use super::*;

    fn packet(payload: &[u8]) -> Incoming {
        Incoming::Packet(payload.to_vec())
    }

    #[track_caller]
    fn check_with(mut decoder: Decoder, stream: &[u8], expected: &[Incoming]) {
        let mut found = Vec::new();
        for byte in stream {
            decoder.feed(&[*byte]);
            found.extend(decoder.by_ref());
        }
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(stream));
    }

    #[track_caller]
    fn check(stream: &[u8], expected: &[Incoming]) {
        check_with(Decoder::new(16), stream, expected);
        let mut whole = Decoder::new(16);
        whole.feed(stream);
        assert_eq!(whole.collect::<Vec<_>>(), expected, "fed at once");
    }

    #[test]
    fn what_a_stream_holds() {
        check(b"", &[]);
        check(b"+$?#3f-", &[Ack, packet(b"?"), Nack]);
        check(b"\x03", &[Interrupt]);
        check(b"$a\x03#64", &[packet(b"a\x03")]);
        check(b"junk#00$OK#9Ajunk", &[packet(b"OK")]);
        check(b"$OK#9b$OK#9a", &[Corrupt, packet(b"OK")]);
        check(b"$OK#x", &[]);
        check(b"$OK#xx", &[Corrupt]);
        check(b"$a}]#1", &[]);
        check(b"$a}]}\x03#bb", &[packet(b"a}#")]);
        check(b"%Stop:#e0", &[Incoming::Notification(b"Stop:".to_vec())]);
    }

    #[test]
    fn a_packet_that_broke_off_is_given_up_for_the_next() {
        check(b"$m0,$OK#9a", &[packet(b"OK")]);
        check(b"$m0#$OK#9a", &[packet(b"OK")]);
        check(b"$m0#9$OK#9a", &[packet(b"OK")]);
        check(b"%Stop:$OK#9a", &[packet(b"OK")]);
    }

    #[test]
    fn a_bad_notification_is_lost() {
        check(b"%Stop:#00+", &[Ack]);
    }

    #[test]
    fn what_is_too_long_is_told_once_it_is_over() {
        check(b"$01234567890123456", &[]);
        check(b"$01234567890123456#00+", &[Oversized, Ack]);
        check(b"$0123456789012345#3c", &[packet(b"0123456789012345")]);
        check(b"$01234567890123456$OK#9a", &[packet(b"OK")]);
    }

    #[test]
    fn checksums_are_passed_over_when_asked() {
        let mut decoder = Decoder::new(16);
        decoder.set_check(false);
        check_with(decoder, b"$OK#00$OK#zz", &[packet(b"OK"), packet(b"OK")]);
    }

    #[test]
    fn only_a_client_writes_runs_out() {
        check(b"$0* #7a", &[packet(b"0* ")]);
        check_with(Decoder::for_side(Side::Client, 16), b"$0* #7a", &[packet(b"0000")]);
        check_with(Decoder::for_side(Side::Client, 16), b"$0*~#d8", &[Oversized]);
        check_with(Decoder::for_side(Side::Client, 16), b"$0*\x1d#77", &[Corrupt]);
    }

    proptest! {
        #[test]
        fn packets_come_back(payloads: Vec<Vec<u8>>, cut in 1_usize..20) {
            let mut stream = Vec::new();
            for payload in &payloads {
                encode_unescaped(payload, &mut stream);
            }
            let mut decoder = Decoder::new(1 << 16);
            let mut found = Vec::new();
            for part in stream.chunks(cut) {
                decoder.feed(part);
                found.extend(decoder.by_ref());
            }
            let expected: Vec<_> = payloads.into_iter().map(Incoming::Packet).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn compressed_packets_come_back(bytes in prop::collection::vec(40_u8..45, 0..400)) {
            let (mut escaped, mut stream) = (Vec::new(), Vec::new());
            escape_into(&bytes, &mut escaped);
            encode_packet(&compress(&escaped), &mut stream);
            let mut decoder = Decoder::for_side(Side::Client, 1 << 16);
            decoder.feed(&stream);
            prop_assert_eq!(decoder.next(), Some(Incoming::Packet(bytes)));
        }

        #[test]
        fn anything_can_be_fed(bytes: Vec<u8>, limit in 0_usize..40) {
            for side in [Side::Server, Side::Client] {
                let mut decoder = Decoder::for_side(side, limit);
                decoder.set_check(bytes.len() % 2 == 0);
                decoder.feed(&bytes);
                prop_assert!(decoder.by_ref().count() <= bytes.len());
            }
        }
    }
}
