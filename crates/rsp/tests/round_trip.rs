//! What is written is read again as the same, through frames too, and no bytes
//! make the readers panic.

mod any;

use proptest::prelude::*;
use trapline_rsp::frame::{Decoder, Incoming, Side, compress, encode_packet, encode_unescaped};
use trapline_rsp::{Request, StopReply, ThreadId};

/// Beginnings of packets, so that what follows is looked at.
const BEGINNINGS: &[&str] = &[
    "",
    "g",
    "G",
    "p",
    "P",
    "m",
    "M",
    "x",
    "X",
    "Z0,1,1",
    "Z",
    "z",
    "H",
    "T",
    "c",
    "C",
    "s",
    "S",
    "D",
    "R",
    "A",
    "vCont",
    "vCont;",
    "vRun",
    "vAttach",
    "vFile:",
    "vFile:open:",
    "vFile:pwrite:",
    "qSupported:",
    "qXfer:",
    "qXfer:features:read:",
    "qSymbol:",
    "qRcmd,",
    "qSearch:memory:",
    "qGetTLSAddr:",
    "QPassSignals:",
    "QCatchSyscalls:",
    "QSetSTDIN:",
    "qRegisterInfo",
    "qThreadStopInfo",
    "qModuleInfo:",
    "qSpeedTest:response_size:",
    "_M",
    "_m",
    "W",
    "w",
    "T05",
    "T05thread:",
    "O",
];

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let rest =
        prop_oneof![any::<Vec<u8>>(), "[0-9a-fpX.,:;=-]{0,30}".prop_map(String::into_bytes),];
    (prop::sample::select(BEGINNINGS), rest)
        .prop_map(|(beginning, rest)| [beginning.as_bytes(), &rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn requests_come_back(request in any::requests::request()) {
        let (mut payload, mut stream) = (Vec::new(), Vec::new());
        request.write(&mut payload);
        let text = String::from_utf8_lossy(&payload).into_owned();
        prop_assert_eq!(Request::parse(&payload), Ok(request), "{}", text);
        encode_unescaped(&payload, &mut stream);
        let mut decoder = Decoder::new(1 << 14);
        decoder.feed(&stream);
        prop_assert_eq!(decoder.next(), Some(Incoming::Packet(payload)));
    }

    #[test]
    fn stop_replies_come_back(reply in any::stop_reply()) {
        let (mut payload, mut stream) = (Vec::new(), Vec::new());
        reply.write(&mut payload);
        let text = String::from_utf8_lossy(&payload).into_owned();
        prop_assert_eq!(StopReply::parse(&payload), Ok(reply), "{}", text);
        if !payload.iter().any(|byte| b"#$}*".contains(byte)) {
            encode_packet(&compress(&payload), &mut stream);
            let mut decoder = Decoder::for_side(Side::Client, 1 << 14);
            decoder.feed(&stream);
            prop_assert_eq!(decoder.next(), Some(Incoming::Packet(payload)));
        }
    }

    /// What is read of any packet is written so that it is read as the same.
    #[test]
    fn any_packet_is_read_or_refused(packet in packet()) {
        if let Ok(request) = Request::parse(&packet) {
            let mut written = Vec::new();
            request.write(&mut written);
            prop_assert_eq!(Request::parse(&written), Ok(request));
        }
    }

    #[test]
    fn any_stop_reply_is_read_or_refused(packet in packet()) {
        if let Ok(reply) = StopReply::parse(&packet) {
            let mut written = Vec::new();
            reply.write(&mut written);
            prop_assert_eq!(StopReply::parse(&written), Ok(reply));
        }
    }

    #[test]
    fn thread_ids_come_back(id in any::thread()) {
        let mut written = Vec::new();
        id.write(&mut written);
        prop_assert_eq!(ThreadId::parse(&written), Some(id));
    }
}
