//! Any bytes as what comes over a connection, on both sides of the protocol:
//! whatever they are, packets are found or refused, what is read is written
//! and read again the same, and agent expressions end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trapline_rsp::agent::{Limits, Machine, Program};
use trapline_rsp::frame::{Decoder, Incoming, compress, escape_into, expand, unescape};
use trapline_rsp::request::PointRequest;
use trapline_rsp::request::examples::{GDB, LLDB};
use trapline_rsp::xfer::Transfer;
use trapline_rsp::{Request, StopReply};

/// The longest packet, and the longest answer in parts.
const LIMIT: usize = 0x4000;

/// Memory that says where it is, with holes.
struct Ramp {
    printed: usize,
}

impl Machine for Ramp {
    fn register(&mut self, number: u16) -> Option<u64> {
        (number < 200).then_some(u64::from(number) << 4)
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = address.wrapping_add(place as u64) as u8;
        }
        address & 0xf000 != 0xf000
    }

    fn print(&mut self, text: &str) {
        self.printed += text.len();
    }
}

fn run(code: &[u8]) {
    let Ok(program) = Program::decode(code) else { return };
    let limits = Limits { steps: 1000, ..Limits::default() };
    let mut machine = Ramp { printed: 0 };
    let _any = program.run(&mut machine, limits);
    assert!(machine.printed <= limits.text, "{program}: {} bytes", machine.printed);
}

fn ask(payload: &[u8]) {
    let Ok(request) = Request::parse(payload) else { return };
    if let Request::Point(PointRequest::Insert { conditions, commands, .. }) = &request {
        let commands = commands.iter().flat_map(|commands| &commands.bytecode);
        conditions.iter().chain(commands).for_each(|code| run(code));
    }
    let mut written = Vec::new();
    request.write(&mut written);
    assert_eq!(Request::parse(&written), Ok(request), "{}", payload.escape_ascii());
}

fn answer(payload: &[u8]) {
    if let Ok(stop) = StopReply::parse(payload) {
        let mut written = Vec::new();
        stop.write(&mut written);
        assert_eq!(StopReply::parse(&written), Ok(stop), "{}", payload.escape_ascii());
    }
    let _ends = Transfer::new(LIMIT).accept(payload);
    if let Ok(all) = expand(payload, LIMIT) {
        assert!(all.len() <= LIMIT);
    }
    let mut escaped = Vec::new();
    escape_into(payload, &mut escaped);
    let expanded = expand(&compress(&escaped), escaped.len());
    assert_eq!(expanded.as_ref(), Ok(&escaped));
    assert_eq!(unescape(&escaped), payload);
}

/// A packet of a client's with any bytes in the place of its end.
fn damaged(which: u8, at: u8, bytes: &[u8]) -> Vec<u8> {
    let all = GDB.len() + LLDB.len();
    let sound = GDB.iter().chain(LLDB).nth(usize::from(which) % all).expect("one of them");
    let kept = usize::from(at) % (sound.len() + 1);
    [&sound.as_bytes()[..kept], bytes].concat()
}

fuzz_target!(|input: (u8, u8, Vec<u8>)| {
    let (which, chunk, bytes) = input;
    ask(&damaged(which, chunk, &bytes));
    for payload in bytes.split(|byte| *byte == b'\n') {
        ask(payload);
        answer(payload);
        run(payload);
    }
    let mut decoder = Decoder::new(LIMIT);
    decoder.set_check(chunk & 1 == 0);
    for part in bytes.chunks(usize::from(chunk).max(1)) {
        decoder.feed(part);
        while let Some(incoming) = decoder.next() {
            if let Incoming::Packet(payload) = incoming {
                ask(&payload);
            }
        }
    }
});
