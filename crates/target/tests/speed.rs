//! What a hit costs the target alone: measured, printed, and held to a bound
//! that only a broken loop exceeds.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::print_stdout, reason = "the figures are what one runs this for")]

mod support;

use std::time::{Duration, Instant};

use support::{EXIT_0, Seen, Session};
use trapline_core::stop::StopCause;
use trapline_core::target::{Resume, Target, TargetEvent, Wait};

#[test]
fn a_hit_costs_microseconds() {
    const HITS: u32 = 50_000;
    let source = format!(
        "int main(void) {{ for (int i = 0; i < {HITS}; i++) __asm__ volatile(\"int3\"); }}"
    );
    let (mut session, pid) = Session::launch(&source);
    session.run(pid.leader());
    let begin = Instant::now();
    let mut hits = 0;
    while let Some(event) = session.target.next_event(Wait::Block).unwrap() {
        match event {
            TargetEvent::Stopped { thread, cause } => {
                if cause == StopCause::Breakpoint {
                    hits += 1;
                    let registers = session.target.registers(&thread).unwrap();
                    session.target.set_registers(&thread, &registers).unwrap();
                }
                session.target.resume(thread, Resume::RUN).unwrap();
            }
            TargetEvent::ProcessExited { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    let each = begin.elapsed() / HITS;
    assert_eq!(hits, HITS);
    println!("{each:?} a hit");
    assert!(each < Duration::from_micros(500), "{each:?}");
}

#[test]
fn busy_threads_stop_in_milliseconds() {
    const THREADS: usize = 100;
    let source = format!(
        "#include <pthread.h>
        static void *spin(void *p) {{ for (volatile long n = 0;; n++); }}
        int main(void) {{
            pthread_t t;
            for (int i = 1; i < {THREADS}; i++) pthread_create(&t, 0, spin, 0);
            __asm__ volatile(\"int3\");
            spin(0);
        }}"
    );
    let (mut session, pid) = Session::launch(&source);
    let mut threads = vec![pid.leader()];
    session.run_until(|seen| {
        if let Seen::Stop(_, StopCause::Cloned { child }) = seen {
            threads.push(*child);
        }
        *seen == Seen::Stop(pid.leader(), StopCause::Breakpoint)
    });
    session.run_until_quiet();
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let begin = Instant::now();
        for tid in &threads {
            session.target.interrupt(pid, *tid).unwrap();
        }
        while session.held.len() < threads.len() {
            session.poll(support::PATIENCE);
        }
        best = best.min(begin.elapsed());
        for tid in &threads {
            session.run(*tid);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    println!("{} busy threads stop in {best:?}", threads.len());
    assert!(best < Duration::from_millis(500), "{best:?}");
    session.target.kill(pid).unwrap();
    assert_ne!(session.finish(pid), EXIT_0);
}
