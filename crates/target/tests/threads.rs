//! Threads and processes that begin and end: in order, and told apart.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::BTreeSet;

use support::{EXIT_0, KILLED, Running, Seen, Session};
use trapline_core::stop::{ExitStatus, Signal, StopCause};
use trapline_core::target::{Resume, Target};
use trapline_core::{Pid, Tid};

const STORM: &str = r#"
    #include <pthread.h>
    #include <stdio.h>
    #include <unistd.h>
    static void *brief(void *p) { return p; }
    static void *mother(void *p) {
        for (;;) { pthread_t t; if (pthread_create(&t, 0, brief, 0) == 0) pthread_join(t, 0); }
    }
    int main(int argc, char **argv) {
        pthread_t t[3];
        for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, mother, 0);
        puts("ready"); fflush(stdout);
        pause();
    }"#;

#[test]
fn every_thread_is_told_of_once() {
    let source = r#"
        #include <pthread.h>
        static void *brief(void *p) { return p; }
        int main(void) {
            for (int i = 0; i < 50; i++) {
                pthread_t t; pthread_create(&t, 0, brief, 0); pthread_join(t, 0);
            }
        }"#;
    let (mut session, pid) = Session::launch(source);
    let (mut cloned, mut started, mut exiting, mut exited) = (0, 0, 0, 0);
    session.run_until(|seen| {
        match seen {
            Seen::Stop(_, StopCause::Cloned { .. }) => cloned += 1,
            Seen::Stop(_, StopCause::Started) => started += 1,
            Seen::Stop(_, StopCause::Exiting) => exiting += 1,
            Seen::ThreadExited(_) => exited += 1,
            Seen::Stop(..) | Seen::ProcessExited(..) => {}
        }
        *seen == Seen::ProcessExited(pid, EXIT_0)
    });
    assert_eq!((cloned, started, exiting, exited), (50, 50, 51, 50));
}

#[test]
fn attaching_to_a_storm_finds_every_thread_and_detaching_frees_them() {
    for _ in 0..10 {
        let mut program = Running::start(STORM);
        assert_eq!(program.wait_for_line(), "ready");
        let mut session = Session::new();
        let pid = program.pid();
        let mut awaited: BTreeSet<Tid> = session.target.attach(pid).unwrap().into_iter().collect();
        assert!(awaited.len() >= 4);
        while !awaited.is_empty() {
            match session.next() {
                Seen::Stop(tid, StopCause::Started) => {
                    awaited.remove(&tid);
                }
                Seen::Stop(tid, StopCause::Exiting) => session.run(tid),
                Seen::Stop(tid, StopCause::Cloned { child }) => {
                    awaited.insert(child);
                    session.run(tid);
                }
                Seen::ThreadExited(tid) => {
                    awaited.remove(&tid);
                }
                other => panic!("{other:?}"),
            }
        }
        session.run_until(|seen| matches!(seen, Seen::Stop(_, StopCause::Cloned { .. })));
        detach_all(&mut session, pid);
        assert!(support::wait_for_state(pid, "SR") != 't');
    }
}

/// Stops every thread of a process and lets it go.
fn detach_all(session: &mut Session, pid: Pid) {
    loop {
        for tid in session.held.keys().copied().collect::<Vec<_>>() {
            let thread = session.held.remove(&tid).unwrap();
            let _gone = session.target.detach(thread, None);
        }
        let mut left = false;
        for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            let tid = Tid::new(entry.file_name().to_str().unwrap().parse().unwrap());
            left |= session.target.interrupt(pid, tid).is_ok();
        }
        if !left && session.poll(std::time::Duration::from_millis(20)).is_none() {
            return;
        }
        while session.poll(std::time::Duration::from_millis(2)).is_some() {}
    }
}

#[test]
fn exec_by_another_thread_takes_the_leaders_place() {
    let source = r#"
        #include <pthread.h>
        #include <unistd.h>
        static void *wait(void *p) { pause(); }
        static void *go(void *p) { execl("/bin/true", "true", (char *)0); }
        int main(void) {
            pthread_t t;
            for (int i = 0; i < 4; i++) pthread_create(&t, 0, wait, 0);
            pthread_create(&t, 0, go, 0);
            pause();
        }"#;
    let (mut session, pid) = Session::launch(source);
    let mut living = BTreeSet::from([pid.leader()]);
    let mut last = pid.leader();
    let seen = session.run_until(|seen| {
        match seen {
            Seen::Stop(_, StopCause::Cloned { child }) => {
                living.insert(*child);
                last = *child;
            }
            Seen::ThreadExited(tid) => {
                assert!(living.remove(tid), "{tid} ended twice");
            }
            _ => {}
        }
        matches!(seen, Seen::Stop(_, StopCause::Executed { .. }))
    });
    assert_eq!(seen, Seen::Stop(pid.leader(), StopCause::Executed { former: last }));
    assert_eq!(living, BTreeSet::from([pid.leader()]));
    let info = session.target.process_info(pid).unwrap();
    assert!(info.executable_name.ends_with("true"), "{info:?}");
    let entry = info.auxv.iter().find(|(kind, _)| *kind == 9).unwrap().1;
    let mut byte = [0];
    let read = session.target.read_memory(pid, trapline_core::VirtAddr::new(entry), &mut byte);
    assert_eq!(read, 1, "the new program's memory is read");
    assert_eq!(session.finish(pid), EXIT_0);
}

#[test]
fn a_leader_may_exit_first() {
    let source = r#"
        #include <pthread.h>
        #include <unistd.h>
        #include <stdlib.h>
        static int value = 42;
        static void *later(void *p) { usleep(20000); __asm__ volatile("int3"); exit(value); }
        int main(void) { pthread_t t; pthread_create(&t, 0, later, 0); pthread_exit(0); }"#;
    let (mut session, pid) = Session::launch(source);
    let seen = session.run_until(|seen| matches!(seen, Seen::Stop(_, StopCause::Breakpoint)));
    assert!(session.target.interrupt(pid, pid.leader()).is_err(), "the leader cannot stop");
    let Seen::Stop(tid, _) = seen else { unreachable!() };
    let pc = session.registers(tid).rip;
    let at = trapline_core::VirtAddr::new(pc - 1);
    let mut byte = [0];
    assert_eq!(session.target.read_memory(pid, at, &mut byte), 1);
    assert_eq!(byte, [0xcc]);
    session.target.write_memory(pid, at, &[0xcc]).unwrap();
    assert!(!session.target.memory_map(pid).unwrap().is_empty());
    assert_eq!(session.finish(pid), ExitStatus::Exited(42));
}

/// The child made by `call` returns 7 from main; the parent reports it and
/// whether it shares memory.
fn check_child(call: &str, shares: bool, is_vfork: bool) {
    let source = format!(
        r#"
        #include <sched.h>
        #include <signal.h>
        #include <stdlib.h>
        #include <unistd.h>
        #include <sys/wait.h>
        static char stack[65536];
        static int child(void *p) {{ _exit(7); }}
        int main(void) {{
            signal(SIGUSR1, SIG_IGN);
            int status = 0;
            pid_t pid = {call};
            if (pid == 0) _exit(7);
            waitpid(pid, &status, __WALL);
            return WEXITSTATUS(status);
        }}"#
    );
    let (mut session, pid) = Session::launch(&source);
    let seen = session.run_until(|seen| matches!(seen, Seen::Stop(_, StopCause::Forked { .. })));
    let Seen::Stop(_, StopCause::Forked { child, shares_memory, vfork }) = seen else {
        unreachable!()
    };
    assert_eq!((shares_memory, vfork), (shares, is_vfork), "{call}");
    let mut order = Vec::new();
    session.run_until(|seen| {
        order.push(seen.clone());
        *seen == Seen::ProcessExited(pid, ExitStatus::Exited(7))
    });
    assert_eq!(order[0], Seen::Stop(child.leader(), StopCause::Started), "{call}");
    assert!(order.contains(&Seen::ProcessExited(child, ExitStatus::Exited(7))), "{call}");
}

#[test]
fn children_are_what_the_call_made_them() {
    check_child("fork()", false, false);
    check_child("vfork()", true, true);
    check_child("clone(child, stack + sizeof stack, CLONE_VM | SIGCHLD, 0)", true, false);
    check_child("clone(child, stack + sizeof stack, CLONE_VM, 0)", true, false);
    check_child("clone(child, stack + sizeof stack, CLONE_VM | SIGUSR1, 0)", true, false);
    check_child("clone(child, stack + sizeof stack, 0, 0)", false, false);
    check_child(
        "clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, 0)",
        true,
        true,
    );
}

#[test]
fn a_parent_in_vfork_can_be_interrupted_and_waits_for_the_exec() {
    let source = r#"
        #include <unistd.h>
        #include <sys/wait.h>
        int main(void) {
            int status; pid_t pid = vfork();
            if (pid == 0) { execl("/bin/true", "true", (char *)0); _exit(9); }
            waitpid(pid, &status, 0); return status;
        }"#;
    let (mut session, pid) = Session::launch(source);
    let leader = pid.leader();
    session.run_until(|seen| matches!(seen, Seen::Stop(_, StopCause::Forked { .. })));
    session.run(leader);
    assert!(matches!(session.next(), Seen::Stop(_, StopCause::Started)));
    session.interrupt(pid, leader);
    session.run(leader);
    session.run_until(|seen| matches!(seen, Seen::Stop(_, StopCause::Executed { .. })));
    assert_eq!(session.finish(pid), EXIT_0);
}

#[test]
fn a_child_that_is_not_followed_goes_its_way() {
    let source = r#"
        #include <unistd.h>
        #include <sys/wait.h>
        static volatile int exit_code = 1;
        int main(void) {
            int status; pid_t pid = fork();
            if (pid == 0) { usleep(1000); _exit(exit_code); }
            waitpid(pid, &status, 0); return WEXITSTATUS(status) + 10;
        }"#;
    let (mut session, pid) = Session::launch(source);
    let variable = support::address_of(&session, pid, "exit_code");
    let mut child = None;
    let seen = session.run_until(|seen| {
        if let Seen::Stop(_, StopCause::Forked { child: new, .. }) = seen {
            child = Some(*new);
        }
        child.is_some_and(|child| *seen == Seen::Stop(child.leader(), StopCause::Started))
    });
    let Seen::Stop(tid, _) = seen else { unreachable!() };
    session.target.write_memory(child.unwrap(), variable, &[5]).unwrap();
    let thread = session.held.remove(&tid).unwrap();
    session.target.detach(thread, None).unwrap();
    assert_eq!(session.finish(pid), ExitStatus::Exited(15));
}

#[test]
fn death_at_any_moment_is_told_once() {
    for delay in 0..60 {
        let (mut session, pid) = Session::launch(STORM);
        let mut left = delay;
        session.run_until(|_| {
            left -= 1;
            left <= 0
        });
        session.target.kill(pid).unwrap();
        if delay % 2 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        for tid in session.held.keys().copied().collect::<Vec<_>>() {
            session.with(tid, |target, proof| {
                let _gone = target.registers(proof);
                let _gone = target.allocate(
                    proof,
                    trapline_core::VirtAddr::new(0x1_0000_0000),
                    4096,
                    trapline_core::target::Protection::Code,
                );
            });
        }
        assert_eq!(session.finish(pid), KILLED);
        assert!(session.target.next_event(trapline_core::target::Wait::Block).unwrap().is_none());
    }
}

#[test]
fn many_idle_threads_attach_fast() {
    let source = r#"
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *wait(void *p) { pause(); }
        int main(void) {
            pthread_attr_t a; pthread_attr_init(&a); pthread_attr_setstacksize(&a, 65536);
            pthread_t t;
            for (int i = 0; i < 499; i++) pthread_create(&t, &a, wait, 0);
            puts("ready"); fflush(stdout); pause();
        }"#;
    let mut program = Running::start(source);
    program.wait_for_line();
    let mut session = Session::new();
    let begin = std::time::Instant::now();
    let threads = session.target.attach(program.pid()).unwrap();
    let mut stopped = 0;
    while stopped < threads.len() {
        if let Some(Seen::Stop(_, StopCause::Started)) = session.poll(support::PATIENCE) {
            stopped += 1;
        }
    }
    let took = begin.elapsed();
    assert_eq!(threads.len(), 500);
    assert!(took < std::time::Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_signal_passes_through_unless_suppressed() {
    let source = r#"
        #include <signal.h>
        #include <unistd.h>
        static volatile int seen, value;
        static void handler(int s, siginfo_t *i, void *c) { seen++; value = i->si_value.sival_int; }
        int main(void) {
            struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
            sigaction(SIGRTMIN + 2, &a, 0);
            union sigval v = { .sival_int = 7 };
            sigqueue(getpid(), SIGRTMIN + 2, v);
            return seen * 10 + value;
        }"#;
    let check = |deliver: bool, deferred_until: Option<Resume>, expected: i32| {
        let (mut session, pid) = Session::launch(source);
        let leader = pid.leader();
        let seen = session.run_until(|seen| matches!(seen, Seen::Stop(_, StopCause::Signal(_))));
        if let Some(goes_on) = deferred_until {
            session.with(leader, |target, proof| target.defer_signal(proof)).unwrap();
            session.resume(leader, Resume::STEP);
            assert!(matches!(session.next(), Seen::Stop(_, StopCause::Debug(_))));
            session.resume(leader, goes_on);
            assert_eq!(session.next(), seen, "reported again, unchanged");
        }
        let signal = deliver.then_some(Signal(36));
        session.resume(leader, Resume { step: false, signal });
        assert_eq!(session.finish(pid), ExitStatus::Exited(expected));
    };
    check(true, None, 17);
    check(false, None, 0);
    check(true, Some(Resume::RUN), 17);
    check(false, Some(Resume::RUN), 0);
    check(true, Some(Resume::STEP), 17);
    check(false, Some(Resume::STEP), 0);
}
