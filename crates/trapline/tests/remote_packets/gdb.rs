//! gdb's packets, in the order of its manual: Packets, General Query Packets,
//! Host I/O Packets, tracing.

use crate::rows::{Row, no, no_as, yes};

/// To `main`, where the libraries are loaded.
const IN_MAIN: &[&str] = &["Z0,{main},1", "c", "z0,{main},1"];
const TRACING: &str = "trace experiments are not offered";
const BRANCHES: &str = "the processor's branch traces are not offered";
const OTHER_SYSTEMS: &str = "there is nothing of the kind on Linux";

/// Packets of one letter.
pub(crate) const PLAIN: &[Row] = &[
    yes("!", "stay when the program has gone", "!", "OK")
        .seen_in(&["remote_lifetime::clients_come_and_go"]),
    yes("?", "why the program stands", "?", "T05.*10:{pc_bytes};.*thread:{pid};.*"),
    yes("A", "start a program with these arguments", "A{program_length},0,{program}", "OK")
        .after(&["!", "vKill;{pid}"])
        .seen_in(&["remote_lldb::programs_are_started_through_a_platform"]),
    no("b", "change the speed of the line", "obsolete"),
    no("B", "set or clear a breakpoint", "obsolete"),
    no("bc", "run backwards", "nothing is recorded yet"),
    no("bs", "one instruction backwards", "nothing is recorded yet"),
    yes("c", "run", "c", "W00").seen_in(&["remote_gdb::breakpoints_and_conditions"]),
    yes("C", "run with a signal", "C0f", "X0f").seen_in(&["remote_gdb::signals"]),
    no("d", "turn debug output on or off", "obsolete; `monitor set debug 1` does it"),
    yes("D", "let the program go", "D", "OK").seen_in(&["remote_lifetime::clients_come_and_go"]),
    no("F", "the reply to a call of the program on the client's files", OTHER_SYSTEMS),
    yes("g", "all registers", "g", "([0-9a-f]{2}|xx){600,}")
        .seen_in(&["remote_gdb::registers_and_memory"]),
    yes("G", "write all registers", "G{registers}", "OK")
        .seen_in(&["remote_gdb::vector_registers_are_written_and_functions_called"]),
    yes("H", "which thread the next packets are about", "Hg{pid}", "OK")
        .seen_in(&["remote_gdb::threads"]),
    no("i", "step by cycles", "no processor of ours can"),
    no("I", "step by cycles with a signal", "no processor of ours can"),
    yes("k", "kill everything", "k", "END").seen_in(&["remote_gdb::threads"]),
    yes("m", "read memory", "m{pc},3", "4889e7").seen_in(&["remote_gdb::registers_and_memory"]),
    yes("M", "write memory", "M{sink},2:0102", "OK")
        .after(IN_MAIN)
        .seen_in(&["remote_gdb::registers_and_memory"]),
    yes("p", "one register", "p10", "{pc_bytes}").seen_in(&["remote_gdb::registers_and_memory"]),
    yes("P", "write one register", "P0=1122334455667788", "OK")
        .seen_in(&["remote_gdb::registers_and_memory"]),
    yes("QCatchSyscalls", "which system calls are to stop", "c", "T05syscall_entry:e7;.*")
        .after(&["QCatchSyscalls:1;e7"])
        .seen_in(&["remote_gdb::system_calls_and_exec_are_caught"]),
    yes(
        "QDisableRandomization",
        "whether programs are at the same addresses every time",
        "QDisableRandomization:0",
        "OK",
    )
    .seen_in(&["remote_lifetime::programs_are_started_by_the_client"]),
    yes("QEnvironmentHexEncoded", "a variable for programs", "QEnvironmentHexEncoded:413d42", "OK")
        .seen_in(&["remote_lifetime::programs_are_started_by_the_client"]),
    yes("QEnvironmentReset", "variables as the server has them", "QEnvironmentReset", "OK")
        .seen_in(&["remote_lifetime::programs_are_started_by_the_client"]),
    yes("QEnvironmentUnset", "a variable less", "QEnvironmentUnset:41", "OK")
        .seen_in(&["remote_lifetime::programs_are_started_by_the_client"]),
    yes("QNonStop", "whether the other threads run on when one stops", "QNonStop:1", "OK")
        .seen_in(&["remote_non_stop::threads_run_on"]),
    yes("QPassSignals", "signals that stop nothing", "QPassSignals:e;14", "OK")
        .seen_in(&["remote_gdb::signals"]),
    yes(
        "QProgramSignals",
        "signals that the program may see at a detach",
        "QProgramSignals:0;1;2",
        "OK",
    )
    .seen_in(&["remote_gdb::signals"]),
    yes("QSetWorkingDir", "where programs start", "QSetWorkingDir:2f", "OK")
        .seen_in(&["remote_lifetime::programs_are_started_by_the_client"]),
    yes("QStartNoAckMode", "nothing is acknowledged any more", "QStartNoAckMode", "OK")
        .seen_in(&["remote_gdb::breakpoints_and_conditions"]),
    yes("QStartupWithShell", "whether a shell starts programs", "QStartupWithShell:0", "OK")
        .seen_in(&["remote_lifetime::programs_are_started_by_the_client"]),
    yes("QThreadEvents", "whether births and ends of threads are told", "QThreadEvents:1", "OK"),
    yes("R", "start the program anew", "?", "T05.*").after(&["!", "R00"]),
    yes("s", "one instruction", "s", "T05.*10:{next_pc_bytes};.*")
        .seen_in(&["remote_gdb::steps_of_every_kind"]),
    yes("S", "one instruction with a signal", "S0f", "X0f").seen_in(&["remote_gdb::signals"]),
    yes("T", "whether a thread is alive", "T{pid}", "OK").seen_in(&["remote_gdb::threads"]),
    yes("vAttach", "take over a process", "vAttach;{sleeper}", "T00.*")
        .after(&["!", "vKill;{pid}"])
        .seen_in(&["remote_lifetime::a_process_is_attached_to"]),
    yes("vCont?", "which actions vCont knows", "vCont?", "vCont;c;C;t;s;S;r"),
    yes("vCont", "what each thread is to do", "vCont;r{pc},{pc+8}:{pid};c", "T05.*")
        .seen_in(&["remote_gdb::steps_of_every_kind", "remote_non_stop::threads_run_on"]),
    yes("vCtrlC", "stop, as Ctrl-C does", "vCtrlC", "OK")
        .after(&["QNonStop:1"])
        .seen_in(&["remote_non_stop::threads_run_on"]),
    no("vFlashErase", "erase flash memory", OTHER_SYSTEMS),
    no("vFlashWrite", "write flash memory", OTHER_SYSTEMS),
    no("vFlashDone", "end writing flash memory", OTHER_SYSTEMS),
    yes("vKill", "kill one process", "vKill;{pid}", "OK")
        .seen_in(&["remote_gdb::both_sides_of_a_fork_are_kept"]),
    yes("vMustReplyEmpty", "how unknown packets are answered", "vMustReplyEmpty", ""),
    yes("vRun", "start a program", "vRun;{program}", "T05.*")
        .after(&["!", "vKill;{pid}"])
        .seen_in(&["remote_lifetime::programs_are_started_by_the_client"]),
    yes("vStopped", "the next stop, in non-stop", "vStopped", "OK")
        .after(&["QNonStop:1", "?"])
        .seen_in(&["remote_non_stop::threads_run_on"]),
    yes("X", "write memory, sent in binary", "X{sink},1:a", "OK")
        .after(IN_MAIN)
        .seen_in(&["remote_gdb::registers_and_memory"]),
    yes("x", "read memory, sent in binary", "x{pc},1", "H"),
    yes("Z0", "a breakpoint", "c", "T05swbreak:;.*10:{main_bytes};.*")
        .after(&["qSupported:swbreak+", "Z0,{main},1"])
        .seen_in(&["remote_gdb::breakpoints_and_conditions"]),
    yes("Z0;X", "a breakpoint with conditions", "c", "T05swbreak:;.*10:{main_bytes};.*")
        .after(&["qSupported:swbreak+", "Z0,{main},1;X3,220127;X3,220027"])
        .seen_in(&["remote_gdb::breakpoints_and_conditions"]),
    yes("Z0;cmds", "a breakpoint with commands", "c", "W00")
        .after(&["Z0,{main},1;cmds:0,X1,27"])
        .seen_in(&["remote_gdb::what_the_server_prints_at_hits"]),
    yes("Z1", "a breakpoint of the processor's", "c", "T05hwbreak:;.*")
        .after(&["qSupported:hwbreak+", "Z1,{main},1"])
        .seen_in(&["remote_gdb::breakpoints_and_conditions"]),
    yes("Z2", "stop when data is written", "c", "T05watch:0*{sink};.*")
        .after(&["Z2,{sink},4"])
        .seen_in(&["remote_gdb::watchpoints"]),
    yes("Z3", "stop when data is read", "c", "T05rwatch:0*{sink};.*")
        .after(&["Z3,{sink},4"])
        .seen_in(&["remote_gdb::watchpoints"]),
    yes("Z4", "stop when data is touched", "c", "T05watch:0*{sink};.*")
        .after(&["Z4,{sink},4"])
        .seen_in(&["remote_gdb::watchpoints"]),
    yes("z0", "take a breakpoint away", "z0,{main},1", "OK")
        .after(&["Z0,{main},1"])
        .seen_in(&["remote_gdb::breakpoints_and_conditions"]),
    yes("z1", "take a breakpoint of the processor's away", "z1,{main},1", "OK")
        .after(&["Z1,{main},1"])
        .seen_in(&["remote_gdb::breakpoints_and_conditions"]),
    yes("z2", "take a watch away", "c", "W00")
        .after(&["Z2,{sink},4", "z2,{sink},4"])
        .seen_in(&["remote_gdb::watchpoints"]),
    yes("z3", "take a watch away", "c", "W00")
        .after(&["Z3,{sink},4", "z3,{sink},4"])
        .seen_in(&["remote_gdb::watchpoints"]),
    yes("z4", "take a watch away", "c", "W00")
        .after(&["Z4,{sink},4", "z4,{sink},4"])
        .seen_in(&["remote_gdb::watchpoints"]),
];

/// Questions, and objects that travel in parts.
pub(crate) const QUERIES: &[Row] = &[
    no(
        "QAgent",
        "whether an agent in the program is used",
        "what we have in the program needs no switch",
    ),
    no("QAllow", "what the client may do", "every client may do everything"),
    yes("qC", "the current thread", "qC", "QC{pid}"),
    yes("qCRC", "the checksum of memory", "qCRC:{pc},3", "C[0-9a-f]+")
        .seen_in(&["remote_gdb::registers_and_memory"]),
    yes("qfThreadInfo", "the threads", "qfThreadInfo", "m{pid}"),
    yes("qsThreadInfo", "more threads", "qsThreadInfo", "l").after(&["qfThreadInfo"]),
    no_as("qGetTIBAddr", "qGetTIBAddr:1", "the thread information block", OTHER_SYSTEMS),
    yes("qGetTLSAddr", "where a thread-local variable is", "qGetTLSAddr:{pid},0,1", "E01")
        .seen_in(&["remote_gdb::thread_local_variables"]),
    no("qL", "threads, in an old form", "obsolete"),
    no("qP", "a thread's facts, in an old form", "obsolete"),
    no("qMemTags", "memory tags", "this processor has none"),
    no("QMemTags", "write memory tags", "this processor has none"),
    no(
        "qOffsets",
        "by how much sections were moved",
        "the client reads that from the auxiliary vector, as with gdbserver",
    ),
    yes("qRcmd", "a `monitor` command", "qRcmd,68656c70", "O.*")
        .seen_in(&["remote_lifetime::monitor_commands"]),
    yes(
        "qSearch:memory",
        "the first place of a pattern",
        "qSearch:memory:{pc};100;\u{89}",
        "1,{pc+1}",
    )
    .seen_in(&["remote_gdb::registers_and_memory"]),
    yes(
        "qSupported",
        "what both sides can do",
        "qSupported:swbreak+;hwbreak+",
        "PacketSize=20000;.*",
    ),
    yes("qSymbol", "symbols that the client offers", "qSymbol::", "OK"),
    yes("qThreadExtraInfo", "a thread's name", "qThreadExtraInfo,{pid}", "77616c6b73"),
    yes("qAttached", "whether the process was attached to", "qAttached:{pid}", "0")
        .seen_in(&["remote_lifetime::a_process_is_attached_to"]),
    yes("qXfer:auxv:read", "the auxiliary vector", "qXfer:auxv:read::0,1000", "l.*")
        .seen_in(&["remote_gdb::libraries_that_come_and_go"]),
    no_as("qXfer", "qXfer:strange:read::0,1", "any object that is not named here", "there is none"),
    no_as("qXfer:btrace:read", "qXfer:btrace:read::0,1", "a branch trace", BRANCHES),
    no_as(
        "qXfer:btrace-conf:read",
        "qXfer:btrace-conf:read::0,1",
        "how branches are traced",
        BRANCHES,
    ),
    yes(
        "qXfer:exec-file:read",
        "the path of the program",
        "qXfer:exec-file:read:{pid}:0,1000",
        "l/.*walks",
    ),
    yes(
        "qXfer:features:read",
        "the registers",
        "qXfer:features:read:target.xml:0,ffb",
        "m<\\?xml.*",
    )
    .seen_in(&["remote_gdb::registers_and_memory"]),
    no_as(
        "qXfer:libraries:read",
        "qXfer:libraries:read::0,1",
        "libraries, in the form of other systems",
        "see libraries-svr4",
    ),
    yes(
        "qXfer:libraries-svr4:read",
        "the linker's list of libraries",
        "qXfer:libraries-svr4:read::0,10000",
        "l<library-list-svr4.*libc.so.*",
    )
    .after(IN_MAIN)
    .seen_in(&["remote_gdb::libraries_that_come_and_go"]),
    no_as("qXfer:memory-map:read", "qXfer:memory-map:read::0,1", "kinds of memory", OTHER_SYSTEMS),
    no_as(
        "qXfer:fdpic:read",
        "qXfer:fdpic:read::0,1",
        "load maps of machines without virtual memory",
        OTHER_SYSTEMS,
    ),
    no_as(
        "qXfer:uib:read",
        "qXfer:uib:read::0,1",
        "unwind information of another system",
        OTHER_SYSTEMS,
    ),
    no_as("qXfer:sdata:read", "qXfer:sdata:read::0,1", "data of static tracepoints", TRACING),
    no_as(
        "qXfer:statictrace:read",
        "qXfer:statictrace:read::0,1",
        "static tracepoint markers",
        TRACING,
    ),
    no_as(
        "qXfer:traceframe-info:read",
        "qXfer:traceframe-info:read::0,1",
        "a trace frame",
        TRACING,
    ),
    yes(
        "qXfer:siginfo:read",
        "details of the signal a thread stopped for",
        "qXfer:siginfo:read::0,80",
        "l.*",
    )
    .after(&["s"])
    .seen_in(&["remote_gdb::signals"]),
    yes("qXfer:siginfo:write", "change them", "qXfer:siginfo:write::0:\u{5}", "1").after(&["s"]),
    yes(
        "qXfer:threads:read",
        "the threads, with names and processors",
        "qXfer:threads:read::0,1000",
        "l<threads>.*<thread id=\"{pid}\".*",
    )
    .seen_in(&["remote_gdb::threads"]),
    yes(
        "qXfer:osdata:read",
        "tables of the system",
        "qXfer:osdata:read:processes:0,1000",
        "m<\\?xml.*<osdata type=\"processes\">.*",
    )
    .seen_in(&["remote_lifetime::monitor_commands"]),
    no("Qbtrace", "trace branches", BRANCHES),
    no("Qbtrace-conf", "how branches are to be traced", BRANCHES),
    no("qTStatus", "whether a trace experiment runs", TRACING),
    no("qTP", "a tracepoint's count", TRACING),
    no("qTV", "a trace variable", TRACING),
    no("qTBuffer", "the trace buffer", TRACING),
    no("qTMinFTPILen", "the shortest instruction for fast tracepoints", TRACING),
    no("qTfP", "the tracepoints", TRACING),
    no("qTfV", "the trace variables", TRACING),
    no("qTfSTM", "the static tracepoint markers", TRACING),
    no("qTSTMat", "the static tracepoint marker at an address", TRACING),
    no("QTDP", "define a tracepoint", TRACING),
    no("QTDV", "define a trace variable", TRACING),
    no("QTFrame", "choose a trace frame", TRACING),
    no("QTinit", "forget all tracepoints", TRACING),
    no("QTStart", "start tracing", TRACING),
    no("QTStop", "stop tracing", TRACING),
    no("QTEnable", "enable a tracepoint", TRACING),
    no("QTDisable", "disable a tracepoint", TRACING),
    no("QTro", "read-only memory for traces", TRACING),
    no("QTDisconnected", "whether tracing outlives the client", TRACING),
    no("QTBuffer", "the trace buffer's size and form", TRACING),
    no("QTNotes", "notes about a trace", TRACING),
    no("QTSave", "save a trace", TRACING),
];

/// Files of the server's machine.
pub(crate) const FILES: &[Row] = &[
    yes("vFile:open", "open a file", "vFile:open:{program},0,0", "F3")
        .seen_in(&["remote_gdb::libraries_that_come_and_go"]),
    yes("vFile:close", "close it", "vFile:close:3", "F0")
        .after(&["vFile:open:{program},0,0"])
        .seen_in(&["remote_gdb::libraries_that_come_and_go"]),
    yes("vFile:pread", "read of it", "vFile:pread:3,4,0", "F4;\u{7f}ELF")
        .after(&["vFile:open:{program},0,0"])
        .seen_in(&["remote_gdb::libraries_that_come_and_go"]),
    yes("vFile:pwrite", "write to it", "vFile:pwrite:3,0,abc", "F3")
        .after(&["vFile:open:{scratch},601,1b6"])
        .seen_in(&["remote_lifetime::files_are_sent_and_fetched"]),
    yes("vFile:fstat", "facts of an open file", "vFile:fstat:3", "F40;.*")
        .after(&["vFile:open:{program},0,0"])
        .seen_in(&["remote_gdb::libraries_that_come_and_go"]),
    yes("vFile:stat", "facts of a file", "vFile:stat:{program}", "F40;.*"),
    yes("vFile:lstat", "facts of a file or link", "vFile:lstat:{program}", "F40;.*"),
    yes("vFile:unlink", "remove a file", "vFile:unlink:{scratch}", "F0")
        .after(&["vFile:open:{scratch},601,1b6"])
        .seen_in(&["remote_lifetime::files_are_sent_and_fetched"]),
    yes(
        "vFile:readlink",
        "where a link leads",
        "vFile:readlink:2f70726f632f73656c662f657865",
        "F[0-9a-f]+;/.*trapline",
    ),
    yes("vFile:setfs", "as which process paths are seen", "vFile:setfs:{pid}", "F0")
        .seen_in(&["remote_gdb::libraries_that_come_and_go"]),
];
