//! What clients really send, and what is refused.

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

const GDB: &[&str] = &[
    "!",
    "?",
    "g",
    "G00ff",
    "p10",
    "P10=efbeadde",
    "m7fff0000,40",
    "M1000,2:0102",
    "X1000,0:",
    "X1000,2:a}",
    "x1000,10",
    "Z0,401000,1",
    "Z1,401000,1;X3,220127",
    "Z2,1000,8",
    "z4,1000,8",
    "Hg0",
    "Hc-1",
    "Hgp1f.2a",
    "Tp1f.2a",
    "c",
    "c1000",
    "C05",
    "C05;1000",
    "s",
    "S0b",
    "k",
    "D",
    "D;1f",
    "R00",
    "bc",
    "bs",
    "vCont?",
    "vCont;c",
    "vCont;s:p1.2;c",
    "vCont;r401000,401010:p1.2;C0b:p1.-1;S05:1;t",
    "vCtrlC",
    "vStopped",
    "vAttach;1f",
    "vRun;2f62696e2f6c73;2d6c;",
    "vRun;",
    "vKill;1f",
    "vMustReplyEmpty",
    "vFile:setfs:0",
    "vFile:open:6a7573742070726f62696e67,0,1c0",
    "vFile:pread:5,3fff,0",
    "vFile:pwrite:5,0,abc",
    "vFile:fstat:5",
    "vFile:stat:2f",
    "vFile:lstat:2f",
    "vFile:close:5",
    "vFile:readlink:2f70",
    "vFile:unlink:2f70",
    "qSupported:multiprocess+;swbreak+;xmlRegisters=i386;qRelocInsn-;vContSupported?",
    "QStartNoAckMode",
    "qC",
    "qfThreadInfo",
    "qsThreadInfo",
    "qThreadExtraInfo,p1.2",
    "qAttached",
    "qAttached:1f",
    "qOffsets",
    "qSymbol::",
    "qSymbol::6e6f",
    "qSymbol:1000:6d61696e",
    "qRcmd,68656c70",
    "qXfer:features:read:target.xml:0,ffb",
    "qXfer:libraries-svr4:read:start=1;prev=2:0,1000",
    "qXfer:siginfo:write::0:abc",
    "qXfer:strange:read::0,1",
    "qSearch:memory:1000;100;ab;c",
    "qCRC:1000,10",
    "qGetTLSAddr:p1.2,10,7ffff0",
    "qGetTIBAddr:p1.2",
    "qTStatus",
    "QNonStop:1",
    "QPassSignals:e;10;14",
    "QPassSignals:",
    "QProgramSignals:0;1",
    "QCatchSyscalls:0",
    "QCatchSyscalls:1",
    "QCatchSyscalls:1;3b;e7",
    "QThreadEvents:1",
    "QDisableRandomization:1",
    "QStartupWithShell:0",
    "QEnvironmentHexEncoded:413d42",
    "QEnvironmentUnset:41",
    "QEnvironmentReset",
    "QSetWorkingDir:2f",
    "QSetWorkingDir:",
];

#[test]
fn what_gdb_sends() {
    for wire in GDB {
        check_written(wire);
    }
}

const LLDB: &[&str] = &[
    "g;thread:1f;",
    "p10;thread:1f;",
    "P10=01;thread:1f;",
    "G00;thread:1f;",
    "D1",
    "QSaveRegisterState;thread:1f;",
    "QSaveRegisterState",
    "QRestoreRegisterState:12;thread:1f;",
    "QSyncThreadState:1f;",
    "vFile:size:2f",
    "vFile:mode:2f",
    "vFile:exists:2f",
    "vFile:MD5:2f",
    "vFile:symlink:2f,2f61",
    "vAttachWait;6c73",
    "vAttachOrWait;6c73",
    "vAttachName;6c73",
    "QEnvironment:NAME=VALUE",
    "qHostInfo",
    "qProcessInfo",
    "qProcessInfoPID:1234",
    "qfProcessInfo",
    "qfProcessInfo:name_match:equals;name:61;",
    "qsProcessInfo",
    "qMemoryRegionInfo",
    "qMemoryRegionInfo:7fff00",
    "jThreadsInfo",
    "jThreadExtendedInfo:{\"thread\":1}",
    "qThreadStopInfo1f",
    "qRegisterInfo1f",
    "qShlibInfoAddr",
    "qWatchpointSupportInfo",
    "qVAttachOrWaitSupported",
    "qStructuredDataPlugins",
    "qGetWorkingDir",
    "qGetPid",
    "qLaunchSuccess",
    "qModuleInfo:2f6c73;7838365f3634",
    "jModulesInfo:[{\"file\":\"/ls\"}]",
    "qEcho:12",
    "qGDBServerVersion",
    "qStepPacketSupported",
    "qSpeedTest:response_size:10;data:abc",
    "qFileLoadAddress:2f6c73",
    "qUserName:1000",
    "qGroupName:1000",
    "qPlatform_shell:6c73,0000000a",
    "qLaunchGDBServer;host:a;",
    "QThreadSuffixSupported",
    "QListThreadsInStopReply",
    "QEnableErrorStrings",
    "QSetDetachOnError:1",
    "QSetDisableASLR:1",
    "QSetSTDIN:2f",
    "QSetSTDOUT:2f",
    "QSetSTDERR:2f",
    "QLaunchArch:x86_64",
    "A4,0,6c73,4,1,2d6c",
    "_M1000,rwx",
    "_m1000",
];

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
