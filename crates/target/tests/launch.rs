//! Starting programs, their ends, and the traps they contain.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::path::PathBuf;

use support::{EXIT_0, Seen, Session, build, expect_stop};
use trapline_core::stop::{ExitStatus, Signal, StopCause};
use trapline_core::target::{LaunchSpec, Resume, Target, TargetError};

fn check_end(body: &str, expected: ExitStatus) {
    let (mut session, pid) = Session::launch(&format!(
        "#include <signal.h>\n#include <unistd.h>\n#include <stdlib.h>\nint main(void) {{ {body} }}"
    ));
    assert_eq!(session.finish(pid), expected);
}

#[test]
fn programs_end_as_they_would_alone() {
    let killed = |signal| ExitStatus::Signalled { signal: Signal(signal), core_dumped: false };
    check_end("return 0;", EXIT_0);
    check_end("return 77;", ExitStatus::Exited(77));
    check_end("_exit(300);", ExitStatus::Exited(300 & 0xff));
    check_end("raise(SIGTERM); return 1;", killed(15));
    check_end("raise(SIGRTMIN + 3); return 1;", killed(37));
    check_end("kill(getpid(), SIGKILL); pause();", killed(9));
}

#[test]
fn the_first_stop_is_before_any_user_code() {
    let (mut session, pid) = Session::launch("int main(void) { return 0; }");
    let registers = session.registers(pid.leader());
    let map = session.target.memory_map(pid).unwrap();
    let here = map.iter().find(|r| r.range.contains(trapline_core::VirtAddr::new(registers.rip)));
    assert!(here.unwrap().name.to_string_lossy().contains("ld-linux"));
    let info = session.target.process_info(pid).unwrap();
    assert!(info.auxv.iter().any(|(kind, value)| *kind == 9 && *value != 0), "AT_ENTRY");
    assert_eq!(session.finish(pid), EXIT_0);
}

#[test]
fn a_jump_over_the_libraries_finds_free_memory() {
    let limits = |process: &str| {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        limits.lines().find(|line| line.starts_with("Max stack size")).unwrap().to_owned()
    };
    let (mut session, pid) = Session::launch("int main(void) { return 0; }");
    assert_eq!(limits(&pid.to_string()), limits("self"));
    let map = session.target.memory_map(pid).unwrap();
    let named = |wanted: &str| {
        let found = map.iter().rfind(|region| region.name.to_string_lossy().contains(wanted));
        found.unwrap().range
    };
    assert!(named("[stack]").start.get() - named("ld-linux").end.get() > 1 << 31);
    assert_eq!(session.finish(pid), EXIT_0);
}

/// Each program executes one trap and then exits with 5.
fn check_trap(body: &str, expected: &StopCause) {
    let source = format!("#include <signal.h>\nint main(void) {{ {body}; return 5; }}");
    let (mut session, pid) = Session::launch(&source);
    session.run(pid.leader());
    match session.next() {
        Seen::Stop(_, cause) if cause == *expected => {}
        Seen::Stop(_, StopCause::Signal(info)) => match expected {
            StopCause::Signal(wanted) => {
                assert_eq!((info.signal, info.code), (wanted.signal, wanted.code));
            }
            other => panic!("{info:?} instead of {other:?}"),
        },
        other => panic!("{other:?}"),
    }
    assert_eq!(session.finish(pid), ExitStatus::Exited(5));
}

#[test]
fn the_programs_own_traps_are_told_apart() {
    let sent = StopCause::Signal(trapline_core::stop::SignalInfo {
        signal: Signal::TRAP,
        code: -6,
        address: None,
        sender: None,
    });
    check_trap("__asm__ volatile(\".byte 0xcc\")", &StopCause::Breakpoint);
    check_trap("__asm__ volatile(\".byte 0xcd, 0x03\")", &StopCause::Breakpoint);
    check_trap("__asm__ volatile(\".byte 0xf1\")", &StopCause::Int1);
    check_trap("raise(SIGTRAP)", &sent);
}

#[test]
fn a_launch_that_fails_says_why() {
    let check = |program: &str, why: &str| {
        let spec = LaunchSpec { program: PathBuf::from(program), ..LaunchSpec::default() };
        let mut session = Session::new();
        match session.target.launch(&spec) {
            Err(TargetError::Refused { why: said, .. }) => {
                assert!(said.contains(why), "{program}: {said}");
            }
            other => panic!("{program}: {other:?}"),
        }
    };
    check("no-such-program-anywhere", "no such program");
    check("/no/such/file", "no such program");
    check("/etc/passwd", "not an executable file");
    check("/tmp", "it is a directory");
}

#[test]
fn a_directory_that_cannot_be_entered_is_named_with_the_reason() {
    let check = |directory: &str, why: &str| {
        let directory = Some(PathBuf::from(directory));
        let spec = LaunchSpec { program: "/bin/true".into(), directory, ..LaunchSpec::default() };
        let refused = Session::new().target.launch(&spec).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    };
    check("/no/such", "its directory /no/such cannot be entered: No such file or directory");
    check("/etc/passwd", "its directory /etc/passwd cannot be entered: Not a directory");
}

/// The signal sets of a process by their name in /proc, lowest signal in bit 0.
fn signal_set(process: &str, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(line.trim_start_matches([':', '\t']), 16).unwrap()
}

#[test]
fn signals_are_as_without_a_debugger_before_the_first_instruction() {
    let [blocked, ignored] = ["SigBlk", "SigIgn"].map(|set| signal_set("thread-self", set));
    let pipe = 1 << (13 - 1);
    let (mut session, pid) = Session::launch("int main(void) { return 0; }");
    let found = ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"];
    let found = found.map(|set| signal_set(&pid.to_string(), set));
    assert_eq!(found, [blocked, ignored & !pipe, 0, 0, 0]);
    assert_eq!(session.finish(pid), EXIT_0);
}

#[test]
fn launches_leave_neither_memory_nor_descriptors_nor_children() {
    let ours = || {
        let mappings = fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        [mappings, fs::read_dir("/proc/self/fd").unwrap().count()]
    };
    let mut session = Session::new();
    let mut launch = |program: &str| {
        let spec = LaunchSpec { program: program.into(), ..LaunchSpec::default() };
        let launched = session.target.launch(&spec);
        launched.is_ok_and(|pid| session.finish(pid) == EXIT_0)
    };
    assert!(launch("/bin/true"));
    let before = ours();
    for _ in 0..100 {
        assert!(launch("/bin/true"));
        assert!(!launch("/no/such"));
    }
    let after = ours();
    // Other tests of this process have some of both.
    assert!(after.iter().zip(before).all(|(after, before)| *after < before + 50), "{after:?}");
    let tid = fs::read_link("/proc/thread-self").unwrap();
    let children = fs::read_to_string(format!("/proc/{}/children", tid.display())).unwrap();
    assert_eq!(children, "");
}

#[test]
fn the_program_gets_what_was_asked() {
    let source = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        #include <signal.h>
        #include <sched.h>
        #include <sys/resource.h>
        int main(int argc, char **argv) {
            char dir[256], text[256] = "";
            fgets(text, sizeof text, stdin);
            sigset_t mask; sigprocmask(SIG_BLOCK, 0, &mask);
            struct sigaction pipe, chld;
            sigaction(SIGPIPE, 0, &pipe); sigaction(SIGCHLD, 0, &chld);
            printf("%d %s %s %s %s %d %d %d %d %d\n", argc, argv[1], getenv("TRAPLINE_TEST"),
                   getcwd(dir, sizeof dir), text, sigisemptyset(&mask) != 0,
                   pipe.sa_handler == SIG_DFL, chld.sa_handler == SIG_DFL,
                   sched_getscheduler(0), getpriority(PRIO_PROCESS, 0));
            return 0;
        }"#;
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (input, output) = (directory.join("launch-in"), directory.join("launch-out"));
    fs::write(&input, "typed").unwrap();
    let spec = LaunchSpec {
        program: build(source),
        args: vec!["ä b".into()],
        environment: [("TRAPLINE_TEST".into(), Some("set".into()))].into(),
        directory: Some("/usr".into()),
        stdin: Some(input),
        stdout: Some(output.clone()),
        ..LaunchSpec::default()
    };
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let nice = stat.rsplit(')').next().unwrap().split(' ').nth(17).unwrap();
    let mut session = Session::new();
    let pid = session.target.launch(&spec).unwrap();
    assert_eq!(session.finish(pid), EXIT_0);
    let said = fs::read_to_string(output).unwrap();
    assert_eq!(said, format!("2 ä b set /usr typed 1 1 1 0 {nice}\n"));
}

#[test]
fn a_step_executes_one_instruction() {
    let (mut session, pid) = Session::launch("int main(void) { return 3; }");
    let leader = pid.leader();
    let mut last = session.registers(leader).rip;
    for _ in 0..200 {
        session.resume(leader, Resume::STEP);
        let step =
            trapline_core::x64::debug::DebugStatus { single_step: true, ..Default::default() };
        expect_stop(&mut session, leader, StopCause::Debug(step));
        let now = session.registers(leader).rip;
        assert_ne!(now, last);
        last = now;
    }
    assert_eq!(session.finish(pid), ExitStatus::Exited(3));
}
