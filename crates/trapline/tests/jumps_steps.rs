//! Steps over code that jumps are written over, by the user and by the program
//! itself: each goes from one instruction of the program's to the next, and does
//! what it would do undebugged.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit};
use trapline::command::{CodeRange, Setting};
use trapline::event::StopReason;
use trapline::{Command, Signal};
use trapline_patch::jump::{Tactic, Tactics};
use trapline_testkit::{Build, Linkage};

/// The places that a jump can reach only over the instruction in front.
const LED_INTO: [&str; 2] = ["led_into+6", "led_into+15"];

const FALSE: &str = "if $rip == 1";

/// What a walk is to see at each step.
const SEEN: [&str; 7] = ["$rax", "$rcx", "$r10", "$rdi", "$rsi", "$rsp", "$eflags"];

/// Walks through the function once, with jumps in it or without.
#[track_caller]
fn walk(linkage: Linkage, jumps: bool, over_calls: bool) -> Vec<(u64, Vec<String>)> {
    let debuggee = Build::new("led_into").linkage(linkage).build();
    let mut driver = Driver::launching(&debuggee, &["3"]);
    driver.set(Setting::JumpTactics(Tactics::NONE.with(Tactic::Window)));
    let start = driver.break_at("-hw *led_into");
    let sites = LED_INTO.map(|place| jumps.then(|| driver.break_at(&format!("{place} {FALSE}"))));
    driver.run();
    assert_eq!(hit(&driver.go_to_stop()), [start]);
    driver.delete(start);
    let mut seen = Vec::new();
    // The first pass is the shortest: its test leads past the second place.
    driver.print("$rsi = 7");
    for _ in 0..11 {
        driver.ask(Command::StepInstruction { count: 1, over_calls });
        let stop = driver.next_stop();
        assert_eq!(stop.reasons, [StopReason::Stepped]);
        seen.push((stop.frame.pc.get(), SEEN.map(|name| driver.print(name)).to_vec()));
    }
    for site in sites.into_iter().flatten() {
        driver.is_jump(site);
        assert_eq!(driver.tally(site).passes, 1, "{linkage:?}");
    }
    driver.quit();
    seen
}

#[test]
fn steps_go_through_a_jump_that_begins_before_its_site() {
    for linkage in Linkage::RUNNABLE {
        for over_calls in [false, true] {
            assert_eq!(walk(linkage, true, over_calls), walk(linkage, false, over_calls));
        }
    }
}

#[test]
fn a_program_that_steps_itself_goes_through_a_jump_that_begins_before_its_site() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("led_into").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["90", "itself"]);
        driver.let_pass(&[Signal::TRAP]);
        driver.set(Setting::JumpTactics(Tactics::NONE.with(Tactic::Window)));
        let sites = LED_INTO.map(|place| driver.break_at(&format!("{place} {FALSE}")));
        driver.run();
        driver.go_to_end();
        for (site, passes) in sites.into_iter().zip([90, 60]) {
            driver.is_jump(site);
            assert_eq!(driver.tally(site).passes, passes, "{linkage:?}");
        }
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn code_is_shown_as_whole_instructions_of_the_programs() {
    let debuggee = Build::new("led_into").build();
    let mut driver = Driver::launching(&debuggee, &["1"]);
    for place in LED_INTO {
        driver.break_at(&format!("-jump {place} {FALSE}"));
    }
    driver.break_at("-once main");
    driver.run();
    driver.go_to_stop();
    let whole = driver.code(CodeRange::FunctionAt("led_into".to_owned()));
    assert_eq!(whole.len(), 11);
    let start = whole[0].address;
    for len in 0..=24 {
        let (from, to) = (start.to_string(), start.wrapping_add(len).to_string());
        let begun = whole.iter().filter(|it| it.address < start.wrapping_add(len));
        assert_eq!(driver.code(CodeRange::Between(from, to)), begun.cloned().collect::<Vec<_>>());
    }
    driver.quit();
}
