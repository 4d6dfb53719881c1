//! Faults in conditions that are decided in the program: told once, counted,
//! and neither the program nor what it set for such faults knows of them.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit};
use trapline::Signal;
use trapline::breakpoint::Mechanism;
use trapline::event::StopReason;
use trapline_testkit::{Build, Linkage};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

/// Runs `bad_pointers` with a breakpoint; what was told of its condition, and
/// how often.
#[track_caller]
fn check_faults(
    mode: &str,
    condition: &str,
    mechanism: &str,
    hits: &str,
    errors: &str,
) -> Vec<String> {
    let mut told = Vec::new();
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("bad_pointers").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["1000", mode]);
        driver.let_pass(&[Signal::SEGV, Signal::FPE]);
        let visit = driver.break_at(&format!("{mechanism} {NEVER} visit if {condition}"));
        driver.run();
        told.clear();
        driver.go_to_end_through(|_, stop| match &stop.reasons[..] {
            [StopReason::ConditionError { id, message }] if *id == visit => {
                told.push(message.clone());
            }
            other => panic!("{other:?}"),
        });
        let tally = driver.tally(visit);
        let what = format!("{linkage:?} {mode} {condition}: {tally:?} {}", driver.output());
        assert_eq!(tally.passes, driver.said("passes"), "{what}");
        assert_eq!(tally.hits, driver.said(hits), "{what}");
        assert_eq!(tally.errors, driver.said(errors), "{what}");
        assert_eq!(told.len(), 1, "{what}: {told:?}");
        // Where the program blocks or ignores such a signal, the kernel takes
        // that back before a tracer hears of the fault.
        if matches!(mode, "default" | "handled") {
            assert_eq!(driver.said("spoilt"), 0, "{what}");
            driver.output_is_as_undebugged();
        }
        driver.quit();
    }
    told
}

/// The same as a jump and as a trap.
#[track_caller]
fn check_faults_as_at_a_trap(mode: &str, condition: &str, hits: &str, errors: &str) {
    let jump = check_faults(mode, condition, "-jump", hits, errors);
    assert_eq!(jump, check_faults(mode, condition, "-trap", hits, errors));
}

#[test]
fn a_bad_pointer_is_told_once_and_counted() {
    check_faults_as_at_a_trap("default", "item->value == 7", "sevens", "bad");
}

#[test]
fn a_bad_pointer_is_ours_though_the_program_handles_such_faults() {
    check_faults_as_at_a_trap("handled", "item->value == 7", "sevens", "bad");
}

#[test]
fn a_bad_pointer_is_ours_though_the_program_blocks_such_faults() {
    check_faults_as_at_a_trap("blocked", "item->value == 7", "sevens", "bad");
}

#[test]
fn a_bad_pointer_is_ours_though_the_program_ignores_such_faults() {
    check_faults_as_at_a_trap("ignored", "item->value == 7", "sevens", "bad");
}

#[test]
fn a_division_by_zero_is_told_once_and_counted() {
    for mode in ["default", "handled", "blocked", "ignored"] {
        check_faults_as_at_a_trap(mode, "6 / divisor == 1234", "never", "zero");
    }
}

#[test]
fn the_programs_own_faults_beside_a_condition_are_its_own() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("bad_pointers").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["100", "handled"]);
        let fault =
            driver.break_at(&format!("-jump {} if zero == 5", debuggee.mark("own_fault").spec()));
        driver.run();
        let mut signals = Vec::new();
        driver.go_to_end_through(|_, stop| match &stop.reasons[..] {
            [StopReason::Signal(info)] => signals.push(info.signal),
            other => panic!("{other:?} {:?}", hit(stop)),
        });
        assert_eq!(signals, [Signal::SEGV, Signal(8)]);
        assert_eq!(driver.tally(fault).passes, 1);
        assert_eq!(driver.mechanism(fault), Some(Mechanism::Jump));
        assert_eq!(driver.said("handled"), 2);
        driver.quit();
    }
}
