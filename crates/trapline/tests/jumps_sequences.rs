//! The same script by traps and by jumps: the stops are the same, in the same
//! order, with the same values and counts. And counts of many passes are exact.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, setting_or};
use trapline::breakpoint::{Mechanism, Tally};
use trapline::command::{Change, Setting};
use trapline::event::StopReason;
use trapline::{BreakpointId, Command};
use trapline_testkit::{Build, Debuggee, Linkage};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

/// What a run of a script came to.
#[derive(PartialEq, Eq, Debug, Default)]
struct Course {
    /// For each stop the breakpoints, the thread, and what the program was at.
    stops: Vec<(Vec<u32>, u32, String)>,
    logs: Vec<String>,
    tallies: Vec<Tally>,
}

/// Runs `many_threads_one_function` with breakpoints and what is ignored of
/// them, all at `visit`.
#[track_caller]
fn run_script(
    debuggee: &Debuggee,
    args: &[&str],
    script: &[&str],
    ignored: u64,
    mechanism: Mechanism,
) -> Course {
    let mut driver = Driver::launching(debuggee, args);
    driver.set(Setting::Mechanism(Some(mechanism)));
    let all: Vec<BreakpointId> = script.iter().map(|text| driver.break_at(text)).collect();
    if ignored > 0 {
        driver.ask(Command::Change(all[0], Change::Ignore(ignored)));
    }
    driver.run();
    let mut course = Course::default();
    driver.go_to_end_through(|driver, stop| {
        let number = |reason: &StopReason| match reason {
            StopReason::Breakpoint { id, .. } => id.get(),
            other => panic!("{other:?}"),
        };
        let at = format!("{} {}", driver.print("thread"), driver.print("pass"));
        course.stops.push((stop.reasons.iter().map(number).collect(), stop.thread, at));
    });
    course.logs = driver.logs.iter().map(|log| log.message.clone()).collect();
    for &id in &all {
        // A temporary one is gone.
        if script[id.get() as usize - 1].contains("-once") {
            continue;
        }
        assert_eq!(driver.mechanism(id), Some(mechanism), "{script:?}");
        course.tallies.push(driver.tally(id));
    }
    driver.output_is_as_undebugged();
    driver.quit();
    course
}

/// Runs a script by traps and by jumps, in every linkage; the course.
#[track_caller]
fn check_same(args: &[&str], script: &[&str], ignored: u64) -> Course {
    let mut last = None;
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("many_threads_one_function").linkage(linkage).build();
        let run = |mechanism| run_script(&debuggee, args, script, ignored, mechanism);
        let (trap, jump) = (run(Mechanism::Trap), run(Mechanism::Jump));
        assert_eq!(trap, jump, "{linkage:?} {script:?} ignoring {ignored}");
        last = Some(jump);
    }
    last.unwrap()
}

/// A single thread, whose course is the same in every run.
#[track_caller]
fn check_alone(script: &[&str], stops: usize) {
    check_alone_ignoring(script, 0, stops);
}

#[track_caller]
fn check_alone_ignoring(script: &[&str], ignored: u64, stops: usize) {
    let course = check_same(&["1", "200"], script, ignored);
    assert_eq!(course.stops.len(), stops, "{script:?} {:?}", course.stops);
    assert!(course.tallies.iter().all(|tally| tally.passes == 200), "{:?}", course.tallies);
}

#[test]
fn conditions_stop_at_the_same_passes() {
    check_alone(&["visit if pass % 7 == 3"], 29);
    check_alone(&["visit if pass > 195 || pass == 3"], 5);
    check_alone(&["visit if pass % 2 == 0 && pass % 3 == 0 && pass > 100"], 17);
}

#[test]
fn hit_rules_stop_at_the_same_passes() {
    check_alone(&["-hits '== 50' visit"], 1);
    check_alone(&["-hits '% 13' visit"], 15);
    check_alone(&["-hits '>= 190' visit"], 11);
    check_alone(&["-hits '== 50' visit if pass % 2 == 0"], 1);
    check_alone(&["-hits '% 13' visit if pass % 2 == 0"], 7);
    check_alone(&["-hits '>= 95' visit if pass % 2 == 0"], 6);
}

#[test]
fn ignored_hits_are_the_same() {
    check_alone_ignoring(&["visit"], 190, 10);
    check_alone_ignoring(&["visit if pass % 2 == 0"], 95, 5);
    check_alone_ignoring(&["-hits '% 10' visit"], 155, 5);
    check_alone_ignoring(&["-hits '== 50' visit if pass % 2 == 0"], 60, 0);
}

#[test]
fn changes_stop_at_the_same_passes() {
    check_alone(&["-changed 'pass / 20' visit"], 9);
    check_alone(&["-changed 'pass / 20' visit if pass % 3 == 0"], 9);
    check_alone(&["visit if $_changed(pass / 25)"], 7);
    check_alone(&["-hits '% 2' -changed 'pass / 20' visit"], 4);
}

#[test]
fn breakpoints_that_share_a_place_stop_at_the_same_passes() {
    check_alone(&["visit if pass % 31 == 3", "visit if pass % 7 == 3"], 35);
    check_alone(&["-hits '% 50' visit", "visit if pass % 50 == 10"], 8);
    check_alone(&["visit if pass == 3", "-hits '== 4' visit", "-changed 'pass / 100' visit"], 2);
}

#[test]
fn logs_are_the_same() {
    let course = check_same(&["1", "200"], &["-log 'at {pass}' visit if pass % 40 == 1"], 0);
    assert_eq!(course.logs, ["at 1", "at 41", "at 81", "at 121", "at 161"]);
    check_same(&["1", "200"], &["-log 'at {pass} {$_hits}' -hits '% 60' visit"], 0);
}

#[test]
fn a_temporary_breakpoint_beside_others_stops_once() {
    let course =
        check_same(&["1", "200"], &["visit if pass % 50 == 10", "-once visit if pass == 12"], 0);
    let ids: Vec<&[u32]> = course.stops.iter().map(|stop| &stop.0[..]).collect();
    assert_eq!(ids, [&[1][..], &[2], &[1], &[1], &[1]]);
}

#[test]
fn filters_on_threads_stop_the_same_threads() {
    // The threads are born in order, and their numbers are the session's.
    for script in [
        &["visit thread 3 if pass % 50 == 1"][..],
        &["-filter '$_thread == 4' visit if pass % 50 == 1"],
        &["-filter '$_thread == 4' -hits '% 50' visit"],
        &["-filter '$_thread == 4' -hits '>= 199' visit", "visit if thread == 9"],
    ] {
        let course = check_same(&["8", "200"], script, 0);
        assert!(!course.stops.is_empty(), "{script:?}");
        assert!(course.tallies.iter().all(|tally| tally.passes == 1600), "{:?}", course.tallies);
    }
}

/// Eight threads: which of them makes a hit is chance, how many there are is
/// not.
#[track_caller]
fn check_eight(breakpoint: &str, ignored: u64, hits: u64, stops: u64) {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("many_threads_one_function").linkage(linkage).build();
        for mechanism in [Mechanism::Trap, Mechanism::Jump] {
            let course = run_script(&debuggee, &["8", "500"], &[breakpoint], ignored, mechanism);
            let expected = Tally { passes: 4000, hits, stops, errors: 0 };
            assert_eq!(course.tallies, [expected], "{linkage:?} {mechanism} {breakpoint}");
            assert_eq!(course.stops.len() as u64, stops, "{linkage:?} {mechanism} {breakpoint}");
        }
    }
}

#[test]
fn eight_threads_stop_as_often_as_the_hits_say() {
    check_eight("-hits '== 1999' visit", 0, 4000, 1);
    check_eight("-hits '% 100' visit", 0, 4000, 40);
    check_eight("-hits '>= 3990' visit", 0, 4000, 11);
    check_eight("-hits '% 100' visit if pass % 5 == 0", 0, 800, 8);
    check_eight("-hits '== 700' visit if pass % 5 == 0", 0, 800, 1);
    check_eight("visit", 3980, 4000, 20);
    check_eight("-hits '% 100' visit", 3001, 4000, 10);
}

#[test]
fn eight_threads_of_many_passes_are_counted_exactly() {
    let passes = setting_or("TRAPLINE_PASSES", 20_000);
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("many_threads_one_function").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["8", &passes.to_string()]);
        let places = ["body", "even", "seventh"].map(|mark| debuggee.mark(mark).spec());
        let plain = driver.break_at(&format!("-jump {NEVER} visit"));
        let quiet = driver.break_at("-jump many_threads_one_function.c:visit if pass == -1");
        let [body, even, seventh] =
            places.map(|place| driver.break_at(&format!("-jump {NEVER} {place}")));
        driver.run();
        driver.go_to_end();
        let total = 8 * u64::from(passes);
        assert_eq!(driver.said("total"), total);
        for (id, key, hits) in [
            (plain, "total", true),
            (quiet, "total", false),
            (body, "total", true),
            (even, "even", true),
            (seventh, "multiples_of_7", true),
        ] {
            let (tally, said) = (driver.tally(id), driver.said(key));
            let hits = if hits { said } else { 0 };
            assert_eq!((tally.passes, tally.hits), (said, hits), "{linkage:?} {id} {key}");
            assert_eq!(driver.mechanism(id), Some(Mechanism::Jump), "{linkage:?} {id}");
        }
        driver.output_is_as_undebugged();
        driver.quit();
    }
}
