//! What a jump leaves alone: registers, flags, vector registers, the red zone,
//! restartable sequences, and the way into the middle of what it displaces.
//! The programs compare for themselves and print what they found.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit};
use trapline::breakpoint::Mechanism;
use trapline::command::Setting;
use trapline::{BreakpointId, Command, spec};
use trapline_patch::jump::{Tactic, Tactics};
use trapline_testkit::{Build, Linkage};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

/// How many sites the program has.
const SITES: usize = 5;

/// Runs a program that compares for itself with a breakpoint at each of its
/// sites, all of which are served by jumps; how often it stopped, and what each
/// saw.
#[track_caller]
fn run_compared(
    linkage: Linkage,
    tactics: Tactics,
    breakpoint: &str,
    condition: &str,
) -> (u64, Vec<(u64, u64)>) {
    let debuggee = Build::new("keeps_everything").linkage(linkage).build();
    let mut driver = Driver::started(&debuggee, &["1000"]);
    driver.set(Setting::JumpTactics(tactics));
    driver.break_at("-once main");
    driver.go_to_stop();
    let set = |site| {
        driver.break_at(&format!("-jump {breakpoint} *(long)kept_sites[{site}] {condition}"))
    };
    let all: Vec<BreakpointId> = (0..SITES).map(set).collect();
    let mut stops = 0;
    driver.go_to_end_through(|_, _| stops += 1);
    for &id in &all {
        let served = &driver.breakpoint(id).locations[0];
        let what = format!("{linkage:?} {tactics} {id}: {}", served.why);
        assert_eq!(served.mechanism, Some(Mechanism::Jump), "{what}");
    }
    let output = driver.output();
    assert!(output.contains("rounds=1000 kept=1000 jumped=1000 "), "{condition}: {output}");
    driver.output_is_as_undebugged();
    let seen = all.iter().map(|&id| driver.tally(id)).map(|it| (it.passes, it.hits)).collect();
    driver.quit();
    (stops, seen)
}

/// The same in every linkage, with every tactic and with windows only.
#[track_caller]
fn check_kept(breakpoint: &str, condition: &str, stops: u64, hits: u64) {
    for linkage in Linkage::RUNNABLE {
        for tactics in [Tactics::ALL, Tactics::NONE.with(Tactic::Window)] {
            let seen = run_compared(linkage, tactics, breakpoint, condition);
            let expected = (stops, vec![(1000, hits); SITES]);
            assert_eq!(seen, expected, "{linkage:?} {tactics} {condition}");
        }
    }
}

#[test]
fn all_state_is_kept_by_a_false_comparison() {
    check_kept("", "if round_number == -1", 0, 0);
}

#[test]
fn all_state_is_kept_by_a_comparison_of_registers() {
    check_kept("", "if $rsp == 1 || $rbx == $rsp", 0, 0);
}

#[test]
fn all_state_and_mxcsr_are_kept_by_a_condition_on_floats() {
    check_kept("", "if ratio * 3.5 + 0.1 > 1e9", 0, 0);
}

#[test]
fn all_state_is_kept_by_a_comparison_of_strings() {
    check_kept("", "if name == \"nobody\"", 0, 0);
}

#[test]
fn all_state_is_kept_by_many_terms() {
    let condition = "if round_number >= 0 && (ratio < 0.0 || $_thread == 7 || name == \"some\")";
    check_kept("", condition, 0, 0);
}

#[test]
fn all_state_is_kept_by_a_count_of_hits() {
    check_kept(NEVER, "", 0, 1000);
}

#[test]
fn all_state_is_exact_where_the_debugger_is_asked() {
    check_kept(NEVER, "if round_number % 8 == 3", 0, 125);
}

#[test]
fn all_state_is_exact_over_a_stop() {
    check_kept("", "if round_number % 100 == 42", 50, 10);
}

#[test]
fn all_state_is_exact_over_a_stop_in_a_condition_on_floats() {
    check_kept("", "if ratio * 4.0 == 1.0 && round_number % 100 == 42", 50, 10);
}

/// Where the first way into `enter` is; each has two bytes.
const FIRST_WAY: usize = 5;

/// Breakpoints at instructions of a window that is entered in its midst.
#[track_caller]
fn check_entered(linkage: Linkage, tactics: Tactics, rounds: u64, breakpoint: &str, at: &[usize]) {
    let debuggee = Build::new("enters_midway").linkage(linkage).build();
    let mut driver = Driver::launching(&debuggee, &[&rounds.to_string()]);
    driver.set(Setting::JumpTactics(tactics));
    let set =
        |way: &usize| driver.break_at(&format!("-jump {breakpoint} enter+{}", FIRST_WAY + 2 * way));
    let all: Vec<BreakpointId> = at.iter().map(set).collect();
    driver.run();
    driver.go_to_end_through(|_, stop| assert!(!hit(stop).is_empty(), "{:?}", stop.reasons));
    for (id, way) in all.into_iter().zip(at) {
        let served = &driver.breakpoint(id).locations[0];
        let what = format!("{linkage:?} way {way} of {at:?}: {}", served.why);
        assert_eq!(served.mechanism, Some(Mechanism::Jump), "{what}");
        assert_eq!(driver.tally(id).passes, driver.said(&format!("x{way}")), "{what}");
    }
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_window_is_entered_at_each_of_its_instructions() {
    let windows = Tactics::NONE.with(Tactic::Window);
    for linkage in Linkage::RUNNABLE {
        check_entered(linkage, windows, 2000, NEVER, &[0]);
        check_entered(linkage, windows, 2000, NEVER, &[1]);
        check_entered(linkage, windows, 2000, NEVER, &[0, 2]);
        check_entered(linkage, windows, 40, "", &[0, 1]);
    }
}

#[test]
fn every_tactic_lets_computed_jumps_into_the_midst() {
    for linkage in Linkage::RUNNABLE {
        for site in 0..4 {
            check_entered(linkage, Tactics::ALL, 2000, NEVER, &[site]);
        }
    }
}

#[test]
fn a_restartable_sequence_is_left_alone_and_one_beside_it_is_not() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("restartable_sequence").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["4", "20000"]);
        let never = "if $rip == 1";
        let outside = ["*&before", "*&committed"]
            .map(|place| driver.break_at(&format!("-jump {place} {never}")));
        driver.run();
        driver.go_to_end();
        assert_eq!(driver.said("counted"), 80_000);
        let [before, committed] = outside.map(|id| driver.tally(id).passes);
        assert!(before >= 80_000, "{before}");
        assert_eq!(committed, 80_000, "{linkage:?}");
        driver.quit();
    }
}

#[test]
fn a_site_within_a_restartable_sequence_is_refused_as_a_jump_too() {
    let debuggee = Build::new("restartable_sequence").build();
    let driver = Driver::launching(&debuggee, &["1", "1000"]);
    for (place, why) in [("told", "begins"), ("within", "is within"), ("last", "is within")] {
        let spec = spec::code(&format!("-jump *&{place} if $rip == 1")).unwrap();
        let refused = driver.try_ask(Command::Break(spec)).unwrap_err();
        assert!(refused.contains(&format!("{why} a restartable sequence")), "{refused}");
    }
    driver.quit();
}
