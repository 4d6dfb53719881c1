//! Going through programs line by line while other things happen: threads run
//! through the same code, signals come, processes fork, become others and end.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit, loops};
use trapline::command::{LineStep, Reply};
use trapline::event::{StopReason, StopReport};
use trapline::{Command, Event, ExitStatus};
use trapline_testkit::{Build, Debuggee};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

/// A program that stands at a place, which it comes to for the first time, and
/// in which signals stop nobody.
fn standing_at(debuggee: &Debuggee, arguments: &[&str], place: &str) -> Driver {
    let mut driver = Driver::launching(debuggee, arguments);
    driver.let_pass(&[]);
    driver.break_at(&format!("-once {place}"));
    driver.run();
    driver.go_to_stop();
    driver
}

fn go(driver: &mut Driver, how: LineStep) -> StopReport {
    driver.ask(Command::StepLine { count: 1, how });
    driver.next_stop()
}

/// The functions on the stack, innermost first.
fn functions(driver: &Driver) -> Vec<String> {
    let Reply::Backtrace { frames, .. } = driver.ask(Command::Backtrace { limit: 5, full: false })
    else {
        panic!("no frames")
    };
    frames.into_iter().filter_map(|frame| frame.function).collect()
}

fn line(stop: &StopReport) -> u32 {
    stop.frame.line.unwrap()
}

#[test]
fn a_line_of_a_hundred_million_instructions_is_crossed_at_once() {
    let debuggee = Build::new("long_line").flag("-O1").build();
    let mut driver = standing_at(&debuggee, &[], &debuggee.mark("long").spec());
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(line(&go(&mut driver, LineStep::Over)));
        if seen.last() == Some(&debuggee.mark("end").line) {
            break;
        }
    }
    assert!(seen.ends_with(&[debuggee.mark("end").line]), "{seen:?}");
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn conditions_compiled_in_do_not_change_where_steps_lead() {
    for level in ["-O0", "-O2"] {
        let debuggee = Build::new("walks").flag(level).build();
        let walk = |everywhere: bool, how: LineStep| {
            let mut driver = Driver::launching(&debuggee, &[]);
            driver.break_at("-once main");
            let count = std::fs::read_to_string(&debuggee.source).unwrap().lines().count();
            let file = debuggee.source.file_name().unwrap().to_str().unwrap().to_owned();
            for line in (1..count).filter(|_| everywhere) {
                driver.break_at(&format!("{file}:{line} if $rip == 1"));
            }
            driver.run();
            driver.go_to_stop();
            let mut seen = Vec::new();
            for _ in 0..60 {
                let stop = go(&mut driver, how);
                let frame = stop.frame;
                if frame.file.as_ref().is_none_or(|path| !path.ends_with(&file)) {
                    break;
                }
                seen.push((frame.function, frame.line, frame.pc));
            }
            driver.go_to_end();
            driver.output_is_as_undebugged();
            driver.quit();
            seen
        };
        for how in [LineStep::Into, LineStep::Over] {
            let alone = walk(false, how);
            assert!(alone.len() > 10, "{level} {how:?}: {alone:?}");
            assert_eq!(walk(true, how), alone, "{level} {how:?}");
        }
    }
}

#[test]
fn threads_in_the_same_code_lose_no_hit_and_stop_nobody() {
    let debuggee = Debuggee::build("many_threads_one_function");
    for how in [LineStep::Over, LineStep::Into] {
        let mut driver = Driver::launching(&debuggee, &["6", "4000"]);
        let counted = driver.break_at(&format!("{NEVER} {}", debuggee.mark("body").spec()));
        driver.break_at(&format!("-once {} if pass == 50", debuggee.mark("visit").spec()));
        driver.run();
        let stepping = driver.go_to_stop().tid;
        for _ in 0..loops(150) {
            let stop = go(&mut driver, how);
            assert_eq!(stop.tid, stepping);
            assert!(matches!(stop.reasons[..], [StopReason::Line { .. }]), "{:?}", stop.reasons);
        }
        driver.go_to_end();
        assert_eq!(driver.tally(counted).passes, driver.said("total"));
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn signals_that_come_meanwhile_are_handled_and_lead_nowhere_else() {
    let debuggee = Debuggee::build("signal_storm");
    for how in [LineStep::Into, LineStep::Over] {
        let mut driver = standing_at(&debuggee, &["20000"], &debuggee.mark("loop").spec());
        let loop_lines = debuggee.mark("loop").line..debuggee.mark("loop").line + 2;
        for _ in 0..loops(60) {
            let stop = go(&mut driver, how);
            let functions = functions(&driver);
            if functions[0] == "main" && !loop_lines.contains(&line(&stop)) {
                break;
            }
            let outer = functions.iter().find(|name| *name != "visit");
            assert_eq!(outer.map(String::as_str), Some("main"), "{functions:?}");
        }
        driver.go_to_end();
        assert_eq!((driver.said("in_order"), driver.said("handled")), (1, 20000));
        driver.quit();
    }
}

#[test]
fn a_fork_is_stepped_over_in_the_parent() {
    let debuggee = Debuggee::build("forks");
    let mut driver = Driver::launching(&debuggee, &["6", "10"]);
    let fork = debuggee.mark("fork").spec();
    driver.break_at(&fork);
    driver.run();
    for _ in 0..6 {
        let at = line(&driver.go_to_stop());
        let stop = go(&mut driver, LineStep::Over);
        assert_eq!(line(&stop), at + 1);
    }
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_step_ends_with_its_program() {
    let debuggee = Debuggee::build("exec_from_thread");
    let mut driver = standing_at(&debuggee, &["2"], &debuggee.mark("exec").spec());
    driver.ask(Command::StepLine { count: 1, how: LineStep::Over });
    let status = driver.wait_for(|event| match event {
        Event::ProcessExited { status, .. } => Some(*status),
        Event::Stopped(stop) => panic!("{stop:?}"),
        _ => None,
    });
    assert_eq!(status, ExitStatus::Exited(0));
    driver.quit();
}

#[test]
fn a_breakpoint_in_a_call_that_is_stepped_over_stops_there() {
    let debuggee = Debuggee::build("recursion");
    let mut driver = standing_at(&debuggee, &["4"], "main");
    let bottom = driver.break_at(&debuggee.mark("bottom").spec());
    let mut stop = go(&mut driver, LineStep::Over);
    while hit(&stop).is_empty() {
        stop = go(&mut driver, LineStep::Over);
    }
    assert_eq!(hit(&stop), [bottom]);
    let mut returned = Vec::new();
    while functions(&driver)[0] != "main" {
        driver.ask(Command::Finish);
        match &driver.next_stop().reasons[..] {
            [StopReason::Returned { value: Some((_, value)) }] => returned.push(value.clone()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(returned, ["0", "1", "3", "6", "10"]);
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn the_frame_that_finish_and_advance_are_about_is_the_selected_one() {
    let debuggee = Debuggee::build("recursion");
    let mut driver = standing_at(&debuggee, &["4"], &debuggee.mark("bottom").spec());
    let run_to = |driver: &mut Driver, mark: &str, in_frame| {
        let location = debuggee.mark(mark).spec();
        driver.ask(Command::RunTo { location, in_frame });
        let stop = driver.next_stop();
        assert_eq!(stop.reasons, [StopReason::Place]);
        driver.print("level")
    };
    // The frame of level 2, which has called two others.
    driver.ask(Command::SelectFrame(2));
    assert_eq!(run_to(&mut driver, "unwind", true), "2");
    assert_eq!(run_to(&mut driver, "unwind", false), "3");
    driver.ask(Command::SelectFrame(1));
    driver.ask(Command::Finish);
    let stop = driver.next_stop();
    assert_eq!(stop.frame.function.as_deref(), Some("main"));
    assert!(
        matches!(&stop.reasons[..], [StopReason::Returned { value: Some((_, text)) }] if text == "10")
    );
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn next_over_what_throws_stops_where_the_exception_is_caught() {
    for level in ["-O0", "-O1"] {
        let debuggee = Build::new("throws").flag(level).build();
        let handler = debuggee.mark("handler").line;
        let mut driver = Driver::launching(&debuggee, &[]);
        driver.break_at(&format!("-once {} if number == 1", debuggee.mark("here").spec()));
        driver.run();
        driver.go_to_stop();
        let mut seen = vec![line(&go(&mut driver, LineStep::Over))];
        while seen.len() < 4 && !seen.contains(&handler) {
            seen.push(line(&go(&mut driver, LineStep::Over)));
        }
        assert!(seen.contains(&handler), "{level}: {seen:?}");
        assert!(!seen.contains(&debuggee.mark("not_reached").line), "{level}: {seen:?}");
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn an_exception_that_leaves_frames_does_not_lose_the_thread() {
    let debuggee = Debuggee::build("throws");
    for command in [Command::StepLine { count: 1, how: LineStep::Over }, Command::Finish] {
        let mut driver = standing_at(&debuggee, &[], &debuggee.mark("passes").spec());
        driver.ask(command);
        let stop = driver.next_stop();
        assert_eq!(stop.frame.function.as_deref(), Some("outer"), "{stop:?}");
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn next_over_a_longjmp_stops_where_that_leads() {
    let debuggee = Debuggee::build("walks");
    let mut driver = standing_at(&debuggee, &[], &debuggee.mark("jump_back").spec());
    let stop = go(&mut driver, LineStep::Over);
    assert_eq!(line(&stop), debuggee.mark("jumped_back").line, "{stop:?}");
    assert_eq!(stop.reasons, [StopReason::Line { same_frame: true }]);
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_timer_does_not_lose_a_thread_at_jumps_and_calls_through_pointers() {
    let debuggee = Debuggee::build("alarmed_switch");
    let callee = debuggee.mark("callee").line;
    for how in [LineStep::Over, LineStep::Into] {
        let mut driver = standing_at(&debuggee, &[], &debuggee.mark("choose").spec());
        let (mut calls, mut entered) = (0, 0);
        for _ in 0..loops(300) {
            let stop = go(&mut driver, how);
            let function = stop.frame.function.as_deref().unwrap();
            assert!(["choose", "more", "less"].contains(&function), "{stop:?}");
            calls += u32::from(line(&stop) == debuggee.mark("call").line && function == "choose");
            entered += u32::from(line(&stop) == callee || function == "less");
        }
        assert!(calls > 5, "{calls}");
        assert_eq!(entered > 0, how == LineStep::Into);
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn runs_of_a_function_on_stacks_above_are_not_taken_for_the_callers() {
    let debuggee = Debuggee::build("other_stacks");
    let mut driver = standing_at(&debuggee, &[], "sum if number == 3");
    driver.ask(Command::Finish);
    let stop = driver.next_stop();
    assert_eq!(driver.print("number"), "4", "{stop:?}");
    assert!(
        matches!(&stop.reasons[..], [StopReason::Returned { value: Some((_, text)) }] if text == "6"),
        "{:?}",
        stop.reasons
    );
    let swap = driver.break_at(&debuggee.mark("swap").spec());
    for _ in 0..2 {
        let stop = driver.go_to_stop();
        assert_eq!(hit(&stop), [swap]);
    }
    driver.delete(swap);
    let from = driver.print("from");
    let stop = go(&mut driver, LineStep::Over);
    assert_eq!(line(&stop), debuggee.mark("swapped").line, "{stop:?}");
    assert_eq!(driver.print("from"), from);
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_stack_is_followed_from_a_handlers_own_to_one_below() {
    let debuggee = Debuggee::build("other_stacks");
    let mut driver = standing_at(&debuggee, &[], "on_signal");
    let request = Command::Backtrace { limit: 20, full: false };
    let Reply::Backtrace { frames, .. } = driver.ask(request) else { panic!("no frames") };
    let names: Vec<_> = frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
    assert!(names.contains(&"main") && names.contains(&"sum"), "{names:?}");
    driver.go_to_end();
    driver.quit();
}

#[test]
fn step_goes_through_a_thunk_into_what_it_calls() {
    let debuggee = Debuggee::build("thunks");
    let mut driver = standing_at(&debuggee, &[], &debuggee.mark("call").spec());
    let stop = go(&mut driver, LineStep::Into);
    assert_eq!(line(&stop), debuggee.mark("body").line, "{stop:?}");
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}
