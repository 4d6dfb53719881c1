//! What clients really send, and what is refused.

use super::examples::{GDB, LLDB};
use super::*;
use crate::ids::{ThreadId, Which};

#[track_caller]
fn check(wire: &str, expected: Request) {
    let found = Request::parse(wire.as_bytes());
    assert_eq!(found, Ok(expected), "{wire}");
    let mut out = Vec::new();
    let request = found.unwrap();
    request.write(&mut out);
    assert_eq!(Request::parse(&out), Ok(request), "{wire} comes back");
}

#[track_caller]
fn check_written(wire: &str) {
    let mut out = Vec::new();
    let request = Request::parse(wire.as_bytes()).unwrap();
    assert!(!matches!(request, Request::Unknown(_)), "{wire} is known");
    request.write(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), wire);
}

#[test]
fn what_gdb_sends() {
    for wire in GDB {
        check_written(wire);
    }
}

#[test]
fn what_lldb_sends() {
    for wire in LLDB {
        check_written(wire);
    }
}

#[test]
fn spellings_that_are_not_ours() {
    let read = MemoryRequest::Read { address: 0xab, length: 16 };
    check("m00AB,10", Request::Memory(read));
    check("qMemoryRegionInfo:", Request::Memory(MemoryRequest::Region { address: None }));
    check("qWatchpointSupportInfo:", Request::Lldb(LldbQuery::WatchpointSupport));
    let speed = LldbQuery::SpeedTest { response_size: 16, data: vec![] };
    check("qSpeedTest:response_size:16;", Request::Lldb(speed));
    check("R", Request::Process(ProcessRequest::Restart));
    let thread = Some(ThreadId::of_thread(0x1f));
    check("g;thread:001f", Request::Registers(RegisterRequest::ReadAll { thread }));
    let restore = RegisterRequest::Restore { id: 1, thread };
    check("QRestoreRegisterState:1;thread:1f", Request::Registers(restore));
    check("QSyncThreadState:1f", {
        Request::Registers(RegisterRequest::Sync { thread: ThreadId::of_thread(0x1f) })
    });
    check("QPassSignals:e;10;", Request::Setting(Setting::PassSignals(vec![14, 16])));
    check("qSupported", Request::Query(Query::Supported { features: vec![] }));
    let all = ThreadId { process: Some(Which::One(1)), thread: Which::All };
    check("Hcp1", {
        Request::Threads(ThreadRequest::Select { purpose: Purpose::Run, thread: all })
    });
}

#[test]
fn conditions_and_commands_in_every_spelling() {
    let point = Point { kind: PointKind::Software, address: 0x1000, size: 1 };
    let insert = |conditions: &[&[u8]], commands: Option<&[&[u8]]>| {
        let list = |codes: &[&[u8]]| codes.iter().map(|code| code.to_vec()).collect();
        let commands = commands.map(|codes| Commands { persist: true, bytecode: list(codes) });
        Request::Point(PointRequest::Insert { point, conditions: list(conditions), commands })
    };
    check("Z0,1000,1;X2,2227X1,27", insert(&[b"\x22\x27", b"\x27"], None));
    check("Z0,1000,1;X2,2227;X1,27", insert(&[b"\x22\x27", b"\x27"], None));
    check("Z0,1000,1;X1,27;cmds:1,X1,34X1,27", insert(&[b"\x27"], Some(&[b"\x34", b"\x27"])));
    check("Z0,1000,1;cmds:1,X1,34;X1,27", insert(&[], Some(&[b"\x34", b"\x27"])));
    check("Z0,1000,1;cmds:1,", insert(&[], Some(&[])));
}

#[test]
fn what_is_not_known() {
    for wire in [
        "",
        "i",
        "I",
        "Z5,0,1",
        "z9,0,1",
        "Hx1",
        "vFoo",
        "vFile:chmod:1",
        "vContinue",
        "qTfV",
        "QTinit",
        "QAgent:1",
        "qCfoo",
        "jFoo:{}",
        "_X",
        "b",
        "qXfer:features:erase::",
        "tFF",
        "QFoo:1",
        "QFoo",
        "\u{7f}",
        "qL1160000000000000000",
        "Z",
        "H",
    ] {
        assert_eq!(Request::parse(wire.as_bytes()), Ok(Request::Unknown(wire.into())), "{wire}");
    }
}

const WRONG: &[&str] = &[
    "m",
    "m1000",
    "m1000,",
    "m10000000000000000,1",
    "mx,1",
    "m1,1,",
    "M1000,2:01",
    "M0,1:012",
    "X0,2:a",
    "X0,ffffffffffffffff:a",
    "M0,ffffffffffffffff:",
    "p",
    "pg",
    "p100000000",
    "P1",
    "P1=0",
    "gfoo",
    "G0",
    "g;thread:x;",
    "Z0",
    "Z0,1",
    "Z0,1,1;",
    "Z0,1,1;X2,27",
    "Z0,1,1;Y",
    "Z0,1,1;X1,zz",
    "Z0,1,1;cmds:2,",
    "Z0,1,1;cmds:1,Y",
    "z0,1,1;X1,27",
    "Hg",
    "Hgx",
    "T",
    "Tp-1.5",
    "vCont",
    "vCont;",
    "vCont;x",
    "vCont;C",
    "vCont;C100",
    "vCont;r1",
    "vCont;c:",
    "vCont;c;",
    "vAttach",
    "vAttach;",
    "vKill;x",
    "vRun",
    "vRun;1",
    "vFile:open:2f",
    "vFile",
    "vFile:close:",
    "qAttached:",
    "qRcmd",
    "qRcmd,1",
    "qXfer",
    "qXfer:features:read:",
    "qXfer:features:read::0",
    "qSearch:memory:1",
    "qSearch",
    "qCRC:1",
    "qSymbol",
    "qSymbol:",
    "qSymbol:1:",
    "qSupported:foo",
    "QNonStop",
    "QNonStop:2",
    "QNonStop:",
    "QPassSignals:100",
    "QPassSignals",
    "QCatchSyscalls:0;1",
    "QSetSTDIN",
    "QSetSTDIN:0",
    "A",
    "A3,0,616",
    "A4,0,61",
    "A4,x,6161",
    "_M",
    "_M1000",
    "_mx",
    "qThreadStopInfo",
    "qRegisterInfo",
    "qUserName:x",
    "qProcessInfoPID:1f",
    "qSpeedTest:",
    "QSyncThreadState:",
    "k1",
];

#[test]
fn what_is_known_and_wrong() {
    for wire in WRONG {
        assert!(Request::parse(wire.as_bytes()).is_err(), "{wire}");
    }
}
