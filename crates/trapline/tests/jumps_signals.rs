//! Signals that land anywhere in a trampoline: what the handler sees is the
//! program's, and however it leaves, every pass counts once.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, loops};
use trapline_testkit::{Build, Debuggee, Linkage};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

const SITES: [(&str, &str); 3] =
    [("*&counted", "passes"), ("*&counted_next", "next"), ("*&counted_long", "long")];

/// Sets one breakpoint at each site and runs the program through a storm of
/// signals; every count is the program's own.
#[track_caller]
fn check_storm(linkage: Linkage, args: &[&str], breakpoint: &str, condition: &str) -> Driver {
    let debuggee = Build::new("alarmed_everywhere").linkage(linkage).build();
    let mut driver = Driver::launching(&debuggee, args);
    driver.let_pass(&[]);
    let set = |site: &str| driver.break_at(&format!("-jump {breakpoint} {site} {condition}"));
    let all = SITES.map(|(site, key)| (set(site), key));
    driver.run();
    driver.go_to_end_through(|_, _| ());
    all.iter().for_each(|&(id, _)| driver.is_jump(id));
    let what = format!("{linkage:?} {args:?} {condition}: {}", driver.output());
    for key in ["elsewhere", "spoilt"] {
        assert_eq!(driver.said(key), 0, "{key} {what}");
    }
    for (id, key) in all {
        assert_eq!(driver.tally(id).passes, driver.said(key), "{key} {what}");
    }
    driver
}

fn signals() -> String {
    (20 * loops(100)).to_string()
}

/// In one thread and in four, with a handler that leaves in each way.
#[track_caller]
fn check_storms(breakpoint: &str, condition: &str) {
    for linkage in Linkage::RUNNABLE {
        for mode in ["return", "jump", "visit"] {
            check_storm(linkage, &["1", &signals(), mode], breakpoint, condition).quit();
            check_storm(linkage, &["4", &signals(), mode], breakpoint, condition).quit();
        }
    }
}

#[test]
fn signals_anywhere_while_the_condition_is_false() {
    check_storms("", "if $rax == 1");
}

#[test]
fn signals_anywhere_in_a_long_condition() {
    check_storms("", "if $rcx != 0x3c0c || signals_each * 3 == 7 || (double)place_count > 1e9");
}

#[test]
fn signals_anywhere_while_hits_are_counted() {
    check_storms(NEVER, "");
}

#[test]
fn signals_anywhere_while_the_condition_is_sometimes_true() {
    check_storms(NEVER, "if counters->passes % 64 == 0");
}

#[test]
fn signals_anywhere_with_stops_among_them() {
    for linkage in Linkage::RUNNABLE {
        for mode in ["return", "jump", "visit"] {
            let args = ["2", &signals(), mode];
            check_storm(linkage, &args, "-hits '% 1000'", "if counters->passes % 64 == 0").quit();
        }
    }
}

#[test]
fn an_exception_is_thrown_out_of_the_handler() {
    for linkage in [Linkage::Pie, Linkage::Fixed] {
        for (breakpoint, condition) in
            [("", "if $rsi == 0"), (NEVER, ""), (NEVER, "if *(long*)$rdi % 64 == 0")]
        {
            let debuggee = Build::new("throws_from_handler").linkage(linkage).build();
            let mut driver = Driver::launching(&debuggee, &[&(3 * loops(100)).to_string()]);
            driver.let_pass(&[]);
            let set = |site| driver.break_at(&format!("-jump {breakpoint} *&{site} {condition}"));
            let all = [("thrown_from", "passes"), ("thrown_next", "next")]
                .map(|(site, key)| (set(site), key));
            driver.run();
            all.iter().for_each(|&(id, _)| driver.is_jump(id));
            driver.go_to_end();
            assert_eq!(driver.said("caught"), driver.said("thrown"));
            for (id, key) in all {
                assert_eq!(driver.tally(id).passes, driver.said(key), "{linkage:?} {condition}");
            }
            driver.quit();
        }
    }
}

#[test]
fn detach_in_a_storm_with_threads_inside() {
    let debuggee = Debuggee::build("alarmed_everywhere");
    let mut looked = 0;
    for turn in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["2", "3000"]);
        driver.let_pass(&[]);
        for (site, _) in SITES {
            driver.break_at(&format!("-jump {site} if counters->passes == {}", 100 * turn + 1));
        }
        driver.run();
        driver.go_to_stop();
        driver.go();
        looked += driver.detach();
        driver.ends_by_itself("long");
        let found = ["elsewhere", "spoilt", "uneven"].map(|key| driver.said(key));
        assert_eq!(found, [0; 3], "{}", driver.output());
        driver.quit();
    }
    assert!(looked > 0, "it always ended too early to be looked at");
}
