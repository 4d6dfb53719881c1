//! Exact counts: what a breakpoint says it saw is what the program itself
//! counted, with many threads running through one place, with threads that are
//! born and die all the time, and with a thread that single-steps through the
//! place meanwhile.
//!
//! Every case runs ten times in a row (`TRAPLINE_RUNS` changes that).
//! `TRAPLINE_PASSES` is the number of passes of each of the eight threads.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit, setting_or};
use trapline::event::StopReason;
use trapline::{BreakpointId, Command};
use trapline_testkit::{Build, Debuggee, Linkage};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

/// A breakpoint and the name of the count that the program prints for it.
type Expected = Vec<(BreakpointId, Count, &'static str)>;

#[derive(Clone, Copy)]
enum Count {
    Passes,
    Hits,
}

fn many_threads(linkage: Linkage) -> Debuggee {
    Build::new("many_threads_one_function").linkage(linkage).build()
}

/// A trap, a hardware breakpoint and two different conditions on one place,
/// and a trap and a hardware breakpoint each on a place of its own.
fn set_all(driver: &Driver, debuggee: &Debuggee) -> Expected {
    let at = |mark| debuggee.mark(mark).spec();
    let set = |text: String| driver.break_at(&text);
    vec![
        (set(format!("-trap {NEVER} visit")), Count::Passes, "total"),
        (set(format!("-hw {NEVER} visit")), Count::Passes, "total"),
        (set(format!("{NEVER} visit if pass % 2 == 0")), Count::Hits, "even"),
        (
            set(format!("{NEVER} visit if (thread * passes + pass) % 7 == 0")),
            Count::Hits,
            "multiples_of_7",
        ),
        (set(format!("-trap {NEVER} {}", at("even"))), Count::Passes, "even"),
        (set(format!("-hw {NEVER} {}", at("seventh"))), Count::Passes, "multiples_of_7"),
    ]
}

#[track_caller]
fn counts_agree(driver: &Driver, expected: &Expected) {
    for &(id, count, key) in expected {
        let tally = driver.tally(id);
        let counted = match count {
            Count::Passes => tally.passes,
            Count::Hits => tally.hits,
        };
        assert_eq!(counted, driver.said(key), "{id}, {key}: {tally:?}");
        assert_eq!((tally.stops, tally.errors), (0, 0), "{id}: {tally:?}");
    }
}

fn runs(mut once: impl FnMut()) {
    (0..setting_or("TRAPLINE_RUNS", 10)).for_each(|_| once());
}

fn passes(otherwise: u32) -> String {
    setting_or("TRAPLINE_PASSES", otherwise).to_string()
}

/// Eight threads through one place, with everything set on it.
#[track_caller]
fn check_eight_threads(linkage: Linkage, passes: &str) {
    let debuggee = many_threads(linkage);
    let mut driver = Driver::launching(&debuggee, &["8", passes]);
    let expected = set_all(&driver, &debuggee);
    driver.run();
    driver.go_to_end();
    counts_agree(&driver, &expected);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn eight_threads_in_a_position_independent_program() {
    runs(|| check_eight_threads(Linkage::Pie, &passes(20_000)));
}

#[test]
fn eight_threads_in_a_program_at_a_fixed_address() {
    runs(|| check_eight_threads(Linkage::Fixed, &passes(20_000)));
}

#[test]
fn eight_threads_in_a_shared_library() {
    runs(|| check_eight_threads(Linkage::HostedLibrary, &passes(20_000)));
}

/// Threads come and go while all of them run through one place.
#[track_caller]
fn check_born_and_dying(linkage: Linkage, births: &str) {
    let debuggee = Build::new("threads_born_and_die").linkage(linkage).build();
    let mut driver = Driver::launching(&debuggee, &[births, "8", "10"]);
    let trap = driver.break_at(&format!("-trap {NEVER} visit"));
    let hardware = driver.break_at(&format!("-hw {NEVER} {}", debuggee.mark("body").spec()));
    let even = driver.break_at(&format!("{NEVER} visit if pass % 2 == 0"));
    let third = driver.break_at(&format!("{NEVER} visit if pass % 3 == 1"));
    driver.run();
    driver.go_to_end();
    let passes = driver.said("passes");
    assert_eq!(passes, driver.said("births") * 10);
    assert_eq!(driver.tally(trap).passes, passes);
    assert_eq!(driver.tally(hardware).passes, passes);
    assert_eq!(driver.tally(even).hits, passes / 2);
    assert_eq!(driver.tally(third).hits, passes * 3 / 10);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn threads_born_and_dying_in_a_position_independent_program() {
    runs(|| check_born_and_dying(Linkage::Pie, "500"));
}

#[test]
fn threads_born_and_dying_in_a_program_at_a_fixed_address() {
    runs(|| check_born_and_dying(Linkage::Fixed, "200"));
}

#[test]
fn threads_born_and_dying_in_a_shared_library() {
    runs(|| check_born_and_dying(Linkage::HostedLibrary, "200"));
}

/// One thread is stepped, instruction by instruction, through the place that
/// seven others run through, while it and they are counted.
#[track_caller]
fn check_stepping(linkage: Linkage, steps: u32) {
    let debuggee = many_threads(linkage);
    let mut driver = Driver::launching(&debuggee, &["8", "300"]);
    let expected = set_all(&driver, &debuggee);
    let once = driver.break_at("-once many_threads_one_function.c:run");
    driver.run();
    let first = driver.go_to_stop();
    assert_eq!(hit(&first), [once]);
    for _ in 0..steps {
        driver.ask(Command::SelectThread(first.thread));
        driver.ask(Command::StepInstruction { count: 1, over_calls: false });
        let stop = driver.next_stop();
        assert_eq!((stop.tid, &stop.reasons[..]), (first.tid, &[StopReason::Stepped][..]));
    }
    driver.go_to_end();
    counts_agree(&driver, &expected);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_thread_is_stepped_through_the_site_of_seven_others() {
    for linkage in Linkage::RUNNABLE {
        runs(|| check_stepping(linkage, 150));
    }
}
