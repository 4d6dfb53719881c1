//! Scheduler-locking: the selected thread runs alone, and the others do nothing
//! and lose nothing.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::BTreeMap;

use support::{Driver, hit, loops};
use trapline::command::{LineStep, SchedulerLocking, Setting};
use trapline::event::StopReason;
use trapline::{Command, ExitStatus, Signal, Tid, VirtAddr};
use trapline_testkit::Debuggee;

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

fn lock(driver: &Driver, locking: SchedulerLocking) {
    driver.set(Setting::SchedulerLocking(locking));
}

/// A program at a place that one of its threads has come to.
fn standing_at(debuggee: &Debuggee, arguments: &[&str], place: &str) -> (Driver, Tid) {
    let mut driver = Driver::launching(debuggee, arguments);
    driver.break_at(&format!("-once {place}"));
    driver.run();
    let tid = driver.go_to_stop().tid;
    (driver, tid)
}

/// Where all threads but one stand.
fn others(driver: &Driver, but: Tid) -> BTreeMap<Tid, VirtAddr> {
    let others = driver.threads().into_iter().filter(|thread| thread.tid != but);
    others.map(|thread| (thread.tid, thread.frame.unwrap().pc)).collect()
}

#[test]
fn locked_threads_stand_still_and_lose_no_hit() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let body = debuggee.mark("body").spec();
    let visit = format!("{} if pass == 50", debuggee.mark("visit").spec());
    let step = |count| Command::StepInstruction { count, over_calls: false };
    let over = Command::StepLine { count: 1, how: LineStep::Over };
    for (locking, commands) in [
        (SchedulerLocking::Step, [step(1), step(20), over.clone()]),
        (SchedulerLocking::On, [step(3), over, Command::Continue]),
    ] {
        let mut driver = Driver::launching(&debuggee, &["6", "4000"]);
        let counted = driver.break_at(&format!("{NEVER} {body}"));
        driver.break_at(&format!("-once {visit}"));
        driver.run();
        let tid = driver.go_to_stop().tid;
        let stops = driver.break_at(&body);
        lock(&driver, locking);
        let locked = others(&driver, tid);
        assert!(!locked.is_empty());
        for command in commands.iter().cycle().take(usize::try_from(loops(60)).unwrap()) {
            driver.ask(command.clone());
            assert_eq!(driver.next_stop().tid, tid, "{locking} {command:?}");
            assert_eq!(others(&driver, tid), locked, "{locking} {command:?}");
        }
        driver.delete(stops);
        lock(&driver, SchedulerLocking::Off);
        driver.go_to_end();
        assert_eq!(driver.tally(counted).passes, driver.said("total"), "{locking}");
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn what_runs_freely_is_not_locked_by_step() {
    let debuggee = Debuggee::build("held_lock");
    let (mut driver, tid) = standing_at(&debuggee, &[], &debuggee.mark("lock").spec());
    lock(&driver, SchedulerLocking::Step);
    driver.ask(Command::Finish);
    let stop = driver.next_stop();
    assert_eq!((stop.tid, stop.frame.function.as_deref()), (tid, Some("main")));
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_thread_that_waits_for_a_locked_one_can_be_interrupted() {
    let debuggee = Debuggee::build("held_lock");
    for locking in [SchedulerLocking::Step, SchedulerLocking::On] {
        let (mut driver, tid) = standing_at(&debuggee, &[], &debuggee.mark("want").spec());
        lock(&driver, locking);
        driver.ask(Command::StepLine { count: 1, how: LineStep::Over });
        let states: Vec<String> = driver.threads().into_iter().map(|it| it.state).collect();
        assert_eq!(states, ["running", "locked"]);
        driver.ask(Command::Interrupt);
        let stop = driver.next_stop();
        assert_eq!((stop.tid, &stop.reasons[..]), (tid, &[StopReason::Interrupted][..]));
        assert_eq!(driver.print("work"), "0");
        let told = driver.warnings.iter().filter(|it| it.contains("scheduler-locking")).count();
        assert_eq!(told, 1, "{:?}", driver.warnings);
        lock(&driver, SchedulerLocking::Replay);
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn threads_that_are_born_meanwhile_are_locked_too() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let (mut driver, tid) = standing_at(&debuggee, &["5", "300"], "main");
    let counted = driver.break_at(&format!("{NEVER} {}", debuggee.mark("body").spec()));
    lock(&driver, SchedulerLocking::On);
    while driver.threads().len() < 6 {
        driver.ask(Command::StepLine { count: 1, how: LineStep::Over });
        assert_eq!(driver.next_stop().tid, tid);
    }
    assert_eq!(driver.print("total"), "0");
    lock(&driver, SchedulerLocking::Off);
    driver.go_to_end();
    assert_eq!(driver.tally(counted).passes, driver.said("total"));
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn the_end_of_the_thread_that_ran_alone_is_told() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let visit = format!("{} if pass == 50", debuggee.mark("visit").spec());
    for _ in 0..loops(5) {
        let (mut driver, tid) = standing_at(&debuggee, &["4", "400"], &visit);
        lock(&driver, SchedulerLocking::On);
        let stop = driver.go_to_stop();
        assert_eq!(stop.reasons, [StopReason::RunnerEnded]);
        assert_ne!(stop.tid, tid);
        lock(&driver, SchedulerLocking::Off);
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn a_program_ends_and_becomes_another_with_threads_locked() {
    let leaves = Debuggee::build("held_lock");
    let becomes = Debuggee::build("exec_from_thread");
    for (debuggee, argument, mark) in [(&leaves, "leave", "leave"), (&becomes, "1", "exec")] {
        for _ in 0..loops(10) {
            let place = debuggee.mark(mark).spec();
            let (mut driver, _) = standing_at(debuggee, &[argument], &place);
            lock(&driver, SchedulerLocking::On);
            driver.go_to_end();
            driver.quit();
        }
    }
}

#[test]
fn a_deadly_signal_waits_with_its_thread() {
    let debuggee = Debuggee::build("held_lock");
    let (mut driver, main) = standing_at(&debuggee, &["crash"], "main");
    let crash = driver.break_at(&debuggee.mark("crash").spec());
    let stop = driver.go_to_stop();
    assert_eq!(hit(&stop), [crash]);
    let stop = driver.go_to_stop();
    assert!(matches!(stop.reasons[..], [StopReason::Signal(info)] if info.signal == Signal::SEGV));
    let number = driver.threads().iter().find(|thread| thread.tid == main).unwrap().number;
    driver.ask(Command::SelectThread(number));
    lock(&driver, SchedulerLocking::On);
    driver.go();
    driver.ask(Command::Interrupt);
    let stop = driver.next_stop();
    assert_eq!((stop.tid, &stop.reasons[..]), (main, &[StopReason::Interrupted][..]));
    lock(&driver, SchedulerLocking::Off);
    let status = driver.go_to_end_through(|_, stop| panic!("{:?}", stop.reasons));
    assert!(matches!(status, ExitStatus::Signalled { signal: Signal::SEGV, .. }), "{status}");
    driver.quit();
}

#[test]
fn children_of_the_thread_that_runs_alone_do_not_keep_it() {
    for (name, arguments) in [("forks", &["6", "10"][..]), ("vfork_through_site", &[])] {
        let debuggee = Debuggee::build(name);
        let (mut driver, tid) = standing_at(&debuggee, arguments, "main");
        lock(&driver, SchedulerLocking::On);
        for _ in 0..12 {
            driver.ask(Command::StepLine { count: 1, how: LineStep::Over });
            assert_eq!(driver.next_stop().tid, tid, "{name}");
        }
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    }
}
