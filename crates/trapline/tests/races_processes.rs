//! Processes that come and become others while breakpoints are set: exec from
//! any thread, vfork, clone with shared memory, forks in storms.
//!
//! Where one run of the program makes a round many times, the loop is in the
//! program: a hundred rounds of one process meet more states than a hundred
//! processes.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, eventually, hit, loops};
use trapline::command::Setting;
use trapline::{Command, Event, ExitStatus, Signal};
use trapline_testkit::{Debuggee, leaks};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

fn rounds() -> String {
    loops(100).to_string()
}

#[test]
fn exec_from_a_thread_that_is_not_the_leader() {
    let debuggee = Debuggee::build("exec_from_thread");
    let generations = loops(100);
    let mut driver = Driver::launching(&debuggee, &[&generations.to_string()]);
    let trap = driver.break_at(&format!("{NEVER} visit"));
    let hardware = driver.break_at(&format!("-hw {NEVER} visit"));
    let pid = driver.run();
    driver.go_to_end();
    let execs = driver.seen.iter().filter(|event| matches!(event, Event::Executed { .. })).count();
    assert_eq!(execs, generations as usize);
    for id in [trap, hardware] {
        assert_eq!(driver.tally(id).passes, u64::from(generations) + 1, "{id}");
    }
    assert_eq!(driver.said("pid"), u64::try_from(pid.get()).unwrap());
    driver.quit();
}

/// Runs a program whose children share its memory, with a trap in the function
/// that both run through; the trap sees the parent alone, or both.
#[track_caller]
fn check_shared_memory(name: &str, args: &[&str], follow: bool) {
    let debuggee = Debuggee::build(name);
    let mut driver = Driver::launching(&debuggee, args);
    driver.set(Setting::FollowChildren(follow));
    let pass =
        Command::Handle { signals: vec![], stop: Some(false), print: None, pass: Some(true) };
    driver.ask(pass);
    let trap = driver.break_at(&format!("{NEVER} visit"));
    driver.run();
    driver.go_to_end();
    let children = if follow { driver.said("child_passes") } else { 0 };
    assert_eq!(driver.tally(trap).passes, driver.said("parent_passes") + children);
    assert_eq!(driver.said("bad_exits"), 0);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_vfork_child_runs_through_a_trap() {
    check_shared_memory("vfork_through_site", &[&rounds()], false);
    check_shared_memory("vfork_through_site", &[&rounds(), "exec"], false);
}

#[test]
fn a_followed_vfork_child_runs_through_a_trap() {
    check_shared_memory("vfork_through_site", &[&rounds()], true);
    check_shared_memory("vfork_through_site", &[&rounds(), "exec"], true);
}

/// Lets go of a parent whose vfork child runs in its memory.
#[track_caller]
fn check_detach_in_vfork(follow: bool) {
    let debuggee = Debuggee::build("vfork_through_site");
    let mut looked = 0;
    for turn in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["100", "linger"]);
        driver.set(Setting::FollowChildren(follow));
        driver.break_at(&format!("-trap -log 'pass' {}", debuggee.mark("body").spec()));
        driver.break_at(&format!("-hw {NEVER} visit"));
        let pid = driver.run();
        driver.go();
        for _ in 0..=turn % 5 {
            driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
        }
        if turn % 2 == 0 {
            let is_over = || leaks::state(pid).is_none_or(|state| state == 'Z');
            eventually("a child, or the end", || {
                (!leaks::children(pid).is_empty() || is_over()).then_some(())
            });
        }
        looked += driver.detach();
        driver.ends_by_itself("bad_exits");
        driver.output_is_as_undebugged();
        driver.quit();
    }
    assert!(looked >= loops(100) as usize, "{looked} processes lived long enough");
}

#[test]
fn detach_while_a_vfork_child_borrows_the_memory() {
    check_detach_in_vfork(false);
}

#[test]
fn detach_while_a_followed_vfork_child_borrows_the_memory() {
    check_detach_in_vfork(true);
}

#[test]
fn clone_with_shared_memory_and_odd_exit_signals() {
    let signals = [Signal(0), Signal(10), Signal(17), Signal(34), Signal(64)];
    for signal in signals.map(|signal| signal.0.to_string()) {
        for follow in [false, true] {
            check_shared_memory("clone_shared_memory", &[&rounds(), &signal], follow);
        }
    }
}

/// Sets the trap once the program has looked at its own text.
fn set_after_start(driver: &mut Driver) -> trapline::BreakpointId {
    driver.break_at("-once main");
    driver.go_to_stop();
    driver.break_at(&format!("{NEVER} visit"))
}

#[test]
fn forks_that_are_not_followed_have_clean_text() {
    let debuggee = Debuggee::build("forks");
    let mut driver = Driver::started(&debuggee, &[&rounds(), "10"]);
    let trap = set_after_start(&mut driver);
    driver.go_to_end();
    assert_eq!(driver.tally(trap).passes, driver.said("parent_passes"));
    assert_eq!(driver.said("clean_children"), u64::from(loops(100)));
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn forks_that_are_followed_have_the_breakpoints() {
    let debuggee = Debuggee::build("forks");
    let mut driver = Driver::started(&debuggee, &[&rounds(), "10"]);
    driver.set(Setting::FollowChildren(true));
    let trap = set_after_start(&mut driver);
    driver.go_to_end();
    let children = driver.said("children");
    assert_eq!(driver.tally(trap).passes, driver.said("parent_passes") + 10 * children);
    // Each child finds our trap in its own text and says so.
    assert_eq!(driver.said("clean_children"), 0);
    driver.quit();
}

#[test]
fn a_followed_child_stops_and_is_looked_at_by_itself() {
    let debuggee = Debuggee::build("forks");
    let mut driver = Driver::launching(&debuggee, &[&rounds(), "10"]);
    driver.set(Setting::FollowChildren(true));
    let child = driver.break_at(&debuggee.mark("child").spec());
    let parent = driver.run();
    let mut forks = 0;
    let status = driver.go_to_end_through(|driver, stop| {
        forks += 1;
        assert_eq!(hit(stop), [child]);
        assert_ne!(stop.pid, parent);
        assert_eq!(driver.print("passes"), forks.to_string());
        assert_eq!(driver.print("$_pid"), stop.pid.to_string());
    });
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(forks, driver.said("children"));
    assert_eq!(driver.tally(child).stops, forks);
    driver.quit();
}

/// Eight threads fork children that fork again, all at the same time.
#[track_caller]
fn check_fork_storm(follow: bool, key: &str) {
    let debuggee = Debuggee::build("fork_storm");
    for _ in 0..loops(100).div_ceil(10) {
        let mut driver = Driver::launching(&debuggee, &["8", "10"]);
        driver.set(Setting::FollowChildren(follow));
        let trap = driver.break_at(&format!("{NEVER} visit"));
        driver.run();
        driver.go_to_end();
        assert_eq!(driver.tally(trap).passes, driver.said(key));
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn a_fork_storm_that_is_not_followed() {
    check_fork_storm(false, "own");
}

#[test]
fn a_fork_storm_that_is_followed() {
    check_fork_storm(true, "all");
}
