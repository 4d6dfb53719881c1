//! lldb's own packets, in the order of its document "GDB Remote Protocol
//! Extensions", and those that it sends beside.

use crate::rows::{Row, elsewhere, no, no_as, yes};

const IN_MAIN: &[&str] = &["Z0,{main},1", "c", "z0,{main},1"];
const BREAKS: &[&str] = &["remote_lldb::breakpoints_steps_and_frames"];
const LOOKS: &[&str] = &["remote_lldb::registers_memory_and_images"];
const PLATFORM: &str = "lldb's own platform server answers it, and starts us";
const ELSEWHERE: &str = "only other systems have it";

pub(crate) const EXTENSIONS: &[Row] = &[
    yes("qLaunchSuccess", "whether it has started", "qLaunchSuccess", "OK")
        .seen_in(&["remote_lldb::programs_are_started_through_a_platform"]),
    yes("D1", "let the program go, stopped", "D1", "E01"),
    no("qSupportsDetachAndStayStopped", "whether it can be let go stopped", "it cannot"),
    yes("g;thread", "a thread's registers", "g;thread:{pid};", "([0-9a-f]{2}|xx){600,}")
        .after(&["QThreadSuffixSupported"])
        .seen_in(LOOKS),
    yes("p;thread", "one of them", "p10;thread:{pid};", "{pc_bytes}")
        .after(&["QThreadSuffixSupported"])
        .seen_in(LOOKS),
    yes("P;thread", "write one of them", "P0=1122334455667788;thread:{pid};", "OK")
        .after(&["QThreadSuffixSupported"])
        .seen_in(LOOKS),
    yes("G;thread", "write all of them", "G{registers};thread:{pid};", "OK")
        .after(&["QThreadSuffixSupported"]),
    yes("QSaveRegisterState", "keep a thread's registers", "QSaveRegisterState;thread:{pid};", "1")
        .seen_in(&["remote_lldb::functions_are_called"]),
    yes("QRestoreRegisterState", "put them back", "QRestoreRegisterState:1;thread:{pid};", "OK")
        .after(&["QSaveRegisterState;thread:{pid};"])
        .seen_in(&["remote_lldb::functions_are_called"]),
    yes("QSyncThreadState", "forget what was read of a thread", "QSyncThreadState:{pid};", "OK"),
    yes("QStartNoAckMode", "nothing is acknowledged any more", "QStartNoAckMode", "OK")
        .seen_in(BREAKS),
    yes(
        "QThreadSuffixSupported",
        "packets about registers may name the thread",
        "QThreadSuffixSupported",
        "OK",
    )
    .seen_in(BREAKS),
    yes(
        "QListThreadsInStopReply",
        "stop replies list all threads",
        "?",
        "T05.*threads:{pid};thread-pcs:{pc};.*",
    )
    .after(&["QListThreadsInStopReply"])
    .seen_in(BREAKS),
    yes("QEnableErrorStrings", "errors come with words", "m0,1", "E01;[0-9a-f]+")
        .after(&["QEnableErrorStrings"])
        .seen_in(BREAKS),
    yes("QSetDetachOnError", "let go when the connection is lost", "QSetDetachOnError:1", "OK")
        .seen_in(BREAKS),
    yes("QSetDisableASLR", "the same addresses every time", "QSetDisableASLR:1", "OK")
        .seen_in(BREAKS),
    yes("QSetSTDIN", "where standard input comes from", "QSetSTDIN:2f6465762f6e756c6c", "OK")
        .seen_in(BREAKS),
    yes("QSetSTDOUT", "where standard output goes", "QSetSTDOUT:2f6465762f6e756c6c", "OK")
        .seen_in(BREAKS),
    yes("QSetSTDERR", "where standard error goes", "QSetSTDERR:2f6465762f6e756c6c", "OK")
        .seen_in(BREAKS),
    yes("QSetWorkingDir", "where programs start", "QSetWorkingDir:2f", "OK").seen_in(BREAKS),
    yes("QEnvironment", "a variable for programs", "QEnvironment:NAME=VALUE", "OK"),
    yes("QEnvironmentHexEncoded", "the same, for any text", "QEnvironmentHexEncoded:413d42", "OK")
        .seen_in(BREAKS),
    yes("QLaunchArch", "which part of a program for several machines", "QLaunchArch:x86_64", "OK")
        .seen_in(BREAKS),
    yes("qHostInfo", "the server's machine", "qHostInfo", "triple:[0-9a-f]+;ptrsize:8;.*")
        .seen_in(BREAKS),
    yes("qProcessInfo", "the process", "qProcessInfo", "pid:{pid};.*triple:[0-9a-f]+;.*")
        .seen_in(BREAKS),
    yes("qProcessInfoPID", "any process", "qProcessInfoPID:{pid_decimal}", "pid:{pid};.*"),
    no("qfProcessInfo", "the first process that fits", PLATFORM),
    no("qsProcessInfo", "the next", PLATFORM),
    yes(
        "qMemoryRegionInfo",
        "what is mapped at an address",
        "qMemoryRegionInfo:{pc}",
        "start:[0-9a-f]+;size:[0-9a-f]+;permissions:rx;name:[0-9a-f]+;",
    )
    .seen_in(LOOKS),
    yes(
        "jThreadsInfo",
        "every thread, and why it stands",
        "jThreadsInfo",
        "\\[\\{.*\"tid\":{pid_decimal}.*",
    )
    .seen_in(BREAKS),
    no_as(
        "jThreadExtendedInfo",
        "jThreadExtendedInfo:{\"thread\":1}",
        "more of a thread",
        ELSEWHERE,
    ),
    yes("qThreadStopInfo", "why a thread stands", "qThreadStopInfo{pid}", "T05.*").seen_in(BREAKS),
    no_as(
        "qRegisterInfo",
        "qRegisterInfo0",
        "a register by its number",
        "qXfer:features:read tells of all",
    ),
    yes("qShlibInfoAddr", "where the linker's list is", "qShlibInfoAddr", "[0-9a-f]+")
        .after(IN_MAIN),
    yes(
        "qWatchpointSupportInfo",
        "how many watchpoints there can be",
        "qWatchpointSupportInfo:",
        "num:4;",
    )
    .seen_in(&["remote_lldb::watchpoints"]),
    yes(
        "qVAttachOrWaitSupported",
        "whether vAttachOrWait is known",
        "qVAttachOrWaitSupported",
        "OK",
    )
    .seen_in(BREAKS),
    yes("vAttachName", "take over a process by its name", "vAttachName;736c656570", "T00.*")
        .after(&["!", "vKill;{pid}"]),
    elsewhere(
        "vAttachWait",
        "take over the next process of a name",
        &["remote_lldb::a_process_is_awaited"],
    ),
    yes(
        "vAttachOrWait",
        "take over a process of a name, or wait for it",
        "vAttachOrWait;736c656570",
        "T00.*",
    )
    .after(&["!", "vKill;{pid}"]),
    yes(
        "qStructuredDataPlugins",
        "what else the server tells of",
        "qStructuredDataPlugins",
        "\\[\\]",
    )
    .seen_in(BREAKS),
    yes("qGetWorkingDir", "where programs start", "qGetWorkingDir", "2f[0-9a-f]+"),
    yes("qGetPid", "the server's process", "qGetPid", "[0-9a-f]+"),
    yes(
        "qGDBServerVersion",
        "the server's name and version",
        "qGDBServerVersion",
        "name:trapline;version:.*",
    )
    .seen_in(BREAKS),
    yes("qStepPacketSupported", "whether `s` is known", "qStepPacketSupported", "OK"),
    yes("qEcho", "the same again", "qEcho:12", "qEcho:12"),
    yes("qSpeedTest", "so many bytes", "qSpeedTest:response_size:4;data:ab", "data:aaaa"),
    yes("qFileLoadAddress", "where a file is loaded", "qFileLoadAddress:{program}", "[0-9a-f]+")
        .seen_in(LOOKS),
    yes("qUserName", "a user's name", "qUserName:0", "726f6f74"),
    yes("qGroupName", "a group's name", "qGroupName:0", "726f6f74"),
    no_as(
        "qModuleInfo",
        "qModuleInfo:2f6c73;7838365f3634",
        "a file's identity",
        "the client reads the file itself",
    ),
    no_as(
        "jModulesInfo",
        "jModulesInfo:[{\"file\":\"/ls\"}]",
        "several files' identities",
        "the client reads the files itself",
    ),
    no("qPlatform_shell", "run a command", PLATFORM),
    no("qPlatform_mkdir", "make a folder", PLATFORM),
    no("qPlatform_chmod", "change a file's mode", PLATFORM),
    no("qLaunchGDBServer", "start another server", PLATFORM),
    no("qPathComplete", "complete a path", PLATFORM),
    yes("_M", "memory in the program", "_M1000,rwx", "[0-9a-f]+")
        .seen_in(&["remote_lldb::functions_are_called"]),
    yes("_m", "give such memory back", "_m1000", "E01")
        .seen_in(&["remote_lldb::functions_are_called"]),
    no("jTraceSupported", "which traces can be made", "the processor's traces are not offered"),
    no("jSignalsInfo", "the signals there are", ELSEWHERE),
    no("jGetSharedCacheInfo", "the libraries that all processes share", ELSEWHERE),
    no(
        "jGetLoadedDynamicLibrariesInfos",
        "libraries, in the form of another system",
        "see qXfer:libraries-svr4:read",
    ),
    yes("vFile:size", "a file's size", "vFile:size:{program}", "F[0-9a-f]+").seen_in(LOOKS),
    yes("vFile:mode", "a file's mode", "vFile:mode:{program}", "F[0-9a-f]+"),
    yes("vFile:exists", "whether there is a file", "vFile:exists:{program}", "F,1"),
    yes("vFile:MD5", "a file's checksum", "vFile:MD5:{program}", "F,x"),
    yes("vFile:symlink", "make a link", "vFile:symlink:2f,{scratch}", "F0"),
];
