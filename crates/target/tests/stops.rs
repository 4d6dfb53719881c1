//! Stops that are asked for or come from job control; system calls that we
//! interrupt or run ourselves; debug registers.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use support::{EXIT_0, Running, Seen, Session, address_of, expect_stop, wait_for_state};
use trapline_core::stop::{ExitStatus, Signal, StopCause};
use trapline_core::target::{Protection, Resume, Target, TargetError};
use trapline_core::x64::debug::{DebugRegisters, DebugStatus, Slot, SlotKind};
use trapline_core::{AddrRange, Pid, VirtAddr};

const HEAD: &str = r#"
    #include <errno.h>
    #include <linux/futex.h>
    #include <poll.h>
    #include <pthread.h>
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/ipc.h>
    #include <sys/sem.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>
"#;

/// Runs `body` in main and calls `disturb` until the program ends; main's
/// result must be 0.
fn check_undisturbed(body: &str, mut disturb: impl FnMut(&mut Session, Pid)) {
    let source = format!("{HEAD}\nint main(void) {{ {body} }}");
    let (mut session, pid) = Session::launch(&source);
    let leader = pid.leader();
    session.run(leader);
    std::thread::sleep(Duration::from_millis(5));
    for _ in 0..40 {
        if session.target.interrupt(pid, leader).is_err() {
            break;
        }
        if session.next() != Seen::Stop(leader, StopCause::Interrupted) {
            break;
        }
        disturb(&mut session, pid);
        session.run(leader);
        std::thread::sleep(Duration::from_micros(300));
    }
    assert_eq!(session.finish(pid), EXIT_0, "{body}");
}

/// Calls that last longer than the disturbance, each followed by the check of
/// an exact result.
const CALLS: [&str; 8] = [
    "struct timespec t = {0, 300000000}, left = {7, 7}; \
     return nanosleep(&t, &left) != 0;",
    "int w = 1; struct timespec t = {0, 300000000}; \
     long r = syscall(SYS_futex, &w, FUTEX_WAIT_PRIVATE, 1, &t, 0, 0); \
     return !(r == -1 && errno == ETIMEDOUT);",
    "struct pollfd p = {0}; return poll(&p, 0, 300) != 0;",
    "int p[2]; pipe(p); if (fork() == 0) { usleep(300000); write(p[1], \"abc\", 3); _exit(0); } \
     char b[8]; return read(p[0], b, 8) != 3;",
    "int e = epoll_create1(0); int p[2]; pipe(p); struct epoll_event v = {EPOLLIN}; \
     epoll_ctl(e, EPOLL_CTL_ADD, p[0], &v); \
     if (fork() == 0) { usleep(300000); write(p[1], \"abc\", 3); _exit(0); } \
     return epoll_wait(e, &v, 1, -1) != 1;",
    "int s[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, s); struct timeval t = {5, 0}; \
     setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t); \
     if (fork() == 0) { usleep(300000); write(s[1], \"abc\", 3); _exit(0); } \
     char b[8]; return recv(s[0], b, 8, 0) != 3;",
    "int id = semget(IPC_PRIVATE, 1, 0600); struct sembuf up = {0, 1, 0}, down = {0, -1, 0}; \
     if (fork() == 0) { usleep(300000); semop(id, &up, 1); _exit(0); } \
     int r = semop(id, &down, 1); semctl(id, 0, IPC_RMID); return r != 0;",
    "sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR1); sigprocmask(SIG_BLOCK, &s, 0); \
     pid_t me = getpid(); \
     if (fork() == 0) { usleep(300000); kill(me, SIGUSR1); _exit(0); } \
     struct timespec t = {5, 0}; return sigtimedwait(&s, 0, &t) != SIGUSR1;",
];

/// Starts a body that may fork, and lets the child go.
fn check_call(body: &str, disturb: impl Fn(&mut Session, Pid)) {
    let source = format!("{HEAD}\nint main(void) {{ {body} }}");
    let (mut session, pid) = Session::launch(&source);
    let leader = pid.leader();
    if body.contains("fork()") {
        session.run_until(|seen| matches!(seen, Seen::Stop(_, StopCause::Forked { .. })));
        session.run(leader);
        let Seen::Stop(child, StopCause::Started) = session.next() else { panic!("no child") };
        let thread = session.held.remove(&child).unwrap();
        session.target.detach(thread, None).unwrap();
    } else {
        session.run(leader);
    }
    std::thread::sleep(Duration::from_millis(5));
    let mut disturbed = 0;
    while session.target.interrupt(pid, leader).is_ok() {
        if session.next() != Seen::Stop(leader, StopCause::Interrupted) {
            break;
        }
        disturb(&mut session, pid);
        disturbed += 1;
        session.run(leader);
        std::thread::sleep(Duration::from_micros(500));
    }
    assert!(disturbed > 10, "{disturbed}: {body}");
    assert_eq!(session.finish(pid), EXIT_0, "{body}");
}

#[test]
fn interrupts_never_change_a_calls_result() {
    for body in CALLS {
        check_call(body, |_, _| {});
    }
}

#[test]
fn calls_that_we_run_never_change_a_calls_result() {
    let place = VirtAddr::new(0x1_2345_0000);
    for body in CALLS {
        check_call(body, |session, pid| {
            let leader = pid.leader();
            let before = session.registers(leader);
            session.with(leader, |target, proof| {
                target.allocate(proof, place, 8192, Protection::Code).unwrap();
                target.write_memory(pid, place, &[0xcc; 8192]).unwrap();
                let mut back = [0; 8192];
                assert_eq!(target.read_memory(pid, place, &mut back), 8192);
                assert_eq!(back, [0xcc; 8192]);
                // Nothing is written where something is missing.
                let end = place.wrapping_add(8192);
                for at in [end, end.wrapping_sub(1)] {
                    let refused = target.write_memory(pid, at, &[0x90; 2]);
                    assert_eq!(refused, Err(TargetError::Unmapped { addr: end }));
                }
                assert_eq!(target.read_memory(pid, place, &mut back), 8192);
                assert_eq!(back, [0xcc; 8192]);
                let taken = target.allocate(proof, place, 4096, Protection::Data);
                assert!(matches!(taken, Err(TargetError::Refused { .. })), "{taken:?}");
                target.release(proof, AddrRange::sized(place, 8192)).unwrap();
                assert_eq!(target.read_memory(pid, place, &mut back), 0);
            });
            assert_eq!(session.registers(leader), before);
        });
    }
}

#[test]
fn memory_can_be_allocated_at_every_kind_of_stop() {
    let source = format!(
        "{HEAD}
        static void handler(int s) {{ _exit(s == SIGUSR1 ? 0 : 2); }}
        static void *thread(void *p) {{ return p; }}
        int main(void) {{
            pthread_t t; pthread_create(&t, 0, thread, 0); pthread_join(t, 0);
            if (fork() == 0) _exit(0);
            __asm__ volatile(\"int3\");
            signal(SIGUSR1, handler);
            raise(SIGUSR1);
            return 3;
        }}"
    );
    let (mut session, pid) = Session::launch(&source);
    let mut place = 0x2_0000_0000;
    let mut stopped_for = BTreeMap::from([(pid.leader(), "Started")]);
    let mut allocated = BTreeSet::new();
    let mut raised = false;
    loop {
        for (tid, thread) in std::mem::take(&mut session.held) {
            place += 0x1_0000;
            let at = VirtAddr::new(place);
            match session.target.allocate(&thread, at, 4096, Protection::Data) {
                Ok(()) => {
                    allocated.insert(stopped_for[&tid]);
                    session.target.write_memory(thread.pid(), at, b"x").unwrap();
                }
                Err(TargetError::Gone) => {}
                Err(other) => panic!("{other}"),
            }
            session.held.insert(tid, thread);
        }
        for tid in session.held.keys().copied().collect::<Vec<_>>() {
            let deliver = raised.then_some(Signal::USR1);
            session.resume(tid, Resume { step: false, signal: deliver });
        }
        raised = false;
        let seen = session.next();
        if let Seen::Stop(tid, cause) = &seen {
            stopped_for.insert(*tid, kind(cause));
        }
        match seen {
            Seen::Stop(_, StopCause::Signal(info)) if info.signal == Signal::USR1 => {
                raised = true;
            }
            Seen::ProcessExited(ended, status) if ended == pid => {
                assert_eq!(status, EXIT_0);
                break;
            }
            _ => {}
        }
    }
    for expected in ["Started", "Cloned", "Forked", "Breakpoint", "Signal"] {
        assert!(allocated.contains(expected), "{expected}: {allocated:?}");
    }
}

/// Goes from the end of a step in the middle of something to the next step;
/// whether memory is allocated in between makes no difference.
#[track_caller]
fn check_steps_on(body: &str, is_there: fn(&StopCause) -> bool, executes: bool) {
    let source = format!(
        "{HEAD}
        static void handler(int s) {{ (void)s; }}
        int main(void) {{ signal(SIGUSR1, handler); {body} return 0; }}"
    );
    for allocates in [false, true] {
        let (mut session, pid) = Session::launch(&source);
        let leader = pid.leader();
        let seen = session.run_until(
            |seen| matches!(seen, Seen::Stop(_, cause) if !matches!(cause, StopCause::Started)),
        );
        let signal = match seen {
            Seen::Stop(_, StopCause::Signal(info)) => Some(info.signal),
            _ => None,
        };
        session.resume(leader, Resume { step: true, signal });
        let seen = session.next();
        assert!(matches!(&seen, Seen::Stop(_, cause) if is_there(cause)), "{body}: {seen:?}");
        let there = session.registers(leader);
        if allocates {
            let place = VirtAddr::new(0x2_0000_0000);
            session
                .with(leader, |target, proof| target.allocate(proof, place, 4096, Protection::Data))
                .unwrap();
            assert_eq!(session.registers(leader).rip, there.rip, "{body}");
        }
        session.resume(leader, Resume::STEP);
        let mut seen = session.next();
        while matches!(seen, Seen::Stop(tid, _) if tid != leader) {
            seen = session.next();
        }
        assert!(matches!(seen, Seen::Stop(_, StopCause::Debug(_))), "{body}: {seen:?}");
        let moved = session.registers(leader).rip != there.rip;
        assert_eq!(moved, executes, "{body}, allocates: {allocates}");
    }
}

#[test]
fn calls_that_we_run_neither_take_nor_add_a_step() {
    let fork = |cause: &StopCause| matches!(cause, StopCause::Forked { .. });
    let step = |cause: &StopCause| matches!(cause, StopCause::Debug(_));
    check_steps_on("raise(SIGUSR1);", step, true);
    check_steps_on("__asm__ volatile(\"int3; nop; nop\");", step, true);
    let call =
        "long r; __asm__ volatile(\"int3; syscall\" : \"=a\"(r) : \"a\"(57) : \"rcx\", \"r11\");";
    check_steps_on(call, fork, false);
}

fn kind(cause: &StopCause) -> &'static str {
    match cause {
        StopCause::Started => "Started",
        StopCause::Cloned { .. } => "Cloned",
        StopCause::Forked { .. } => "Forked",
        StopCause::Breakpoint => "Breakpoint",
        StopCause::Signal(_) => "Signal",
        _ => "another",
    }
}

#[test]
fn a_busy_thread_is_interrupted_and_not_changed() {
    let body = "volatile unsigned long n = 0; for (int i = 0; i < 30000000; i++) n += i; \
                return n != 449999985000000ul;";
    check_undisturbed(body, |session, pid| {
        let leader = pid.leader();
        let registers = session.registers(leader);
        let vectors = session.with(leader, |t, proof| t.vector_state(proof)).unwrap();
        session.with(leader, |t, proof| t.set_registers(proof, &registers)).unwrap();
        session.with(leader, |t, proof| t.set_vector_state(proof, &vectors)).unwrap();
    });
}

#[test]
fn a_stopped_process_is_left_stopped() {
    let mut program = Running::start(&format!(
        "{HEAD} static void *w(void *p) {{ pause(); }}
        int main(void) {{ pthread_t t; pthread_create(&t, 0, w, 0);
            puts(\"ready\"); fflush(stdout); pause(); }}"
    ));
    program.wait_for_line();
    let pid = program.pid();
    let kill = |signal: &str| {
        let done =
            std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
        assert!(done.success());
    };
    kill("-STOP");
    wait_for_state(pid, "T");
    for _ in 0..5 {
        let mut session = Session::new();
        let threads = session.target.attach(pid).unwrap();
        assert_eq!(threads.len(), 2);
        for _ in 0..2 {
            let seen = session.next();
            assert!(matches!(seen, Seen::Stop(_, StopCause::GroupStop(Signal::STOP))), "{seen:?}");
        }
        for tid in &threads {
            session.run(*tid);
        }
        assert_eq!(session.poll(Duration::from_millis(20)), None, "they stay stopped");
        for tid in &threads {
            session.interrupt(pid, *tid);
            let thread = session.held.remove(tid).unwrap();
            session.target.detach(thread, None).unwrap();
        }
        drop(session);
        wait_for_state(pid, "T");
    }
    let mut session = Session::new();
    let threads = session.target.attach(pid).unwrap();
    for _ in &threads {
        session.next();
    }
    for tid in &threads {
        session.run(*tid);
    }
    kill("-CONT");
    let seen = session.next();
    assert!(matches!(&seen, Seen::Stop(_, StopCause::Signal(i)) if i.signal == Signal::CONT));
    session.run_until_quiet();
    wait_for_state(pid, "S");
}

#[test]
fn a_stop_signal_stops_every_thread_once() {
    let (mut session, pid) = Session::launch(&format!(
        "{HEAD} static volatile int runs;
        static void *w(void *p) {{ runs = 1; pause(); }}
        int main(void) {{ pthread_t t; pthread_create(&t, 0, w, 0); while (!runs) usleep(100);
            raise(SIGSTOP); return 4; }}"
    ));
    let mut stopped = 0;
    session.run_until(|seen| {
        stopped += usize::from(matches!(seen, Seen::Stop(_, StopCause::GroupStop(Signal::STOP))));
        stopped == 2
    });
    for tid in session.held.keys().copied().collect::<Vec<_>>() {
        session.run(tid);
    }
    assert_eq!(session.poll(Duration::from_millis(20)), None);
    let done = std::process::Command::new("kill").args(["-CONT", &pid.to_string()]).status();
    assert!(done.unwrap().success());
    assert_eq!(session.finish(pid), ExitStatus::Exited(4));
}

#[test]
fn debug_registers_hit_and_say_which() {
    let source = format!(
        "{HEAD} volatile long watched; volatile long other;
        __attribute__((noinline)) void place(void) {{ __asm__ volatile(\"\"); }}
        int main(void) {{ other = 1; watched = 2; place(); return watched + other; }}"
    );
    let (mut session, pid) = Session::launch(&source);
    let leader = pid.leader();
    let slot =
        |kind, symbol, len| Some(Slot { kind, addr: address_of(&session, pid, symbol), len });
    let slots =
        [None, slot(SlotKind::Write, "watched", 8), None, slot(SlotKind::Execute, "place", 1)];
    let place = address_of(&session, pid, "place");
    session
        .with(leader, |t, proof| t.set_debug_registers(proof, &DebugRegisters { slots }))
        .unwrap();
    let hit = |index: usize| {
        let mut status = DebugStatus::default();
        status.slots[index] = true;
        StopCause::Debug(status)
    };
    session.run(leader);
    expect_stop(&mut session, leader, hit(1));
    session.run(leader);
    expect_stop(&mut session, leader, hit(3));
    let mut registers = session.registers(leader);
    assert_eq!(registers.rip, place.get(), "an execute match is a fault");
    registers.rflags |= trapline_core::x64::flags::RF;
    session.with(leader, |t, proof| t.set_registers(proof, &registers)).unwrap();
    assert_eq!(session.finish(pid), ExitStatus::Exited(3));
}

#[test]
fn a_debug_register_that_the_kernel_refuses_is_explained() {
    let (mut session, pid) = Session::launch("int main(void) { return 0; }");
    let kernel = Slot { kind: SlotKind::Write, addr: VirtAddr::new(0xffff_ffff_8000_0000), len: 8 };
    let slots = [Some(kernel), None, None, None];
    let refusal = session.with(pid.leader(), |target, proof| {
        target.set_debug_registers(proof, &DebugRegisters { slots })
    });
    let Err(TargetError::Refused { why, .. }) = refusal else { panic!("{refusal:?}") };
    assert!(why.contains("0xffffffff80000000"), "{why}");
    assert_eq!(session.finish(pid), EXIT_0);
}

#[test]
fn attach_is_refused_with_the_reason() {
    let check = |pid: i32, expected: &str| {
        let mut session = Session::new();
        match session.target.attach(Pid::new(pid)) {
            Err(TargetError::Refused { why, .. }) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
    };
    check(i32::try_from(std::process::id()).unwrap(), "this debugger itself");
    check(0x3fff_fff0, "no such process");
    check(2, "kernel");
    let (_session, pid) = Session::launch("int main(void) { return 0; }");
    let other = std::thread::spawn(move || check(pid.get(), "traces it already"));
    other.join().unwrap();
}

#[test]
fn a_system_call_filter_is_a_hazard() {
    let source = format!(
        "#include <sys/prctl.h>\n#include <linux/seccomp.h>\n{HEAD}
        int main(void) {{ prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
            __asm__ volatile(\"int3\"); syscall(SYS_exit, 0); }}"
    );
    let (mut session, pid) = Session::launch(&source);
    let hazard = |session: &mut Session| {
        session.with(pid.leader(), |target, proof| target.allocation_hazard(proof))
    };
    assert_eq!(hazard(&mut session), None);
    session.run(pid.leader());
    expect_stop(&mut session, pid.leader(), StopCause::Breakpoint);
    let hazard = hazard(&mut session).unwrap();
    assert!(hazard.contains("seccomp"), "{hazard}");
    let refused = session.with(pid.leader(), |target, proof| {
        target.allocate(proof, VirtAddr::new(0x1_0000_0000), 4096, Protection::Data)
    });
    assert!(matches!(refused, Err(TargetError::Refused { .. })), "{refused:?}");
    assert_eq!(session.finish(pid), EXIT_0);
}
