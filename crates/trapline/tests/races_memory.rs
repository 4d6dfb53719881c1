//! Memory that changes under a site, instructions that see the debugger, and
//! a sandbox that forbids what the debugger would like to do.
//!
//! Every test makes `TRAPLINE_LOOPS` rounds, by default a hundred; most of them
//! within one run of the program.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use support::{Driver, hit, loops, running};
use trapline::command::{ResumePolicy, Setting};
use trapline::event::StopReason;
use trapline::{Command, Event, ExitStatus, Pid, Signal};
use trapline_testkit::{Build, Debuggee, Linkage};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

fn rounds() -> String {
    loops(100).to_string()
}

/// The program takes its code away and brings it back, and stops at
/// `@mark after` in between: there the loss is found, told and made good.
#[track_caller]
fn check_lost_and_armed_again(kind: &str, place: impl Fn(&mut Driver) -> String) {
    let debuggee = Debuggee::build("discards_text");
    let mut driver = Driver::started(&debuggee, &[kind, &rounds()]);
    let place = place(&mut driver);
    let trap = driver.break_at(&format!("{NEVER} {place}"));
    let between = driver.break_at(&debuggee.mark("after").spec());
    let status = driver.go_to_end_through(|_, stop| assert_eq!(hit(stop), [between]));
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(driver.tally(trap).passes, driver.said("passes"));
    let told = driver.seen.iter().filter(|event| {
        matches!(event, Event::BreakpointChanged { id, what, deleted: false }
            if *id == trap && what.contains("armed again"))
    });
    assert_eq!(told.count() as u64, driver.said("rounds"));
    driver.output_is_as_undebugged();
    driver.quit();
}

/// Runs until the program has mapped its copy of `visit`; the copy's place.
fn mapped_copy(driver: &mut Driver) -> String {
    let mapped = driver.break_at("-once mapped");
    assert_eq!(hit(&driver.go_to_stop()), [mapped]);
    format!("*{}", driver.print("(long)at"))
}

#[test]
fn discarded_text_is_armed_again() {
    check_lost_and_armed_again("dontneed", |_| "visit".to_owned());
}

#[test]
fn overwritten_text_is_armed_again() {
    check_lost_and_armed_again("overwrite", mapped_copy);
}

#[test]
fn unmapped_text_takes_its_breakpoint_along() {
    let debuggee = Debuggee::build("discards_text");
    let mut driver = Driver::started(&debuggee, &["unmap", &rounds()]);
    let place = mapped_copy(&mut driver);
    let gone = driver.break_at("discarded");
    let back = driver.break_at(&debuggee.mark("after").spec());
    let mut trap = driver.break_at(&format!("{NEVER} {place}"));
    let mut passes = 1;
    for _ in 0..loops(100) {
        assert_eq!(hit(&driver.go_to_stop()), [gone]);
        let lost = driver.breakpoint(trap);
        assert_eq!((lost.locations.len(), lost.tally.passes), (0, passes), "{lost:?}");
        assert_eq!(hit(&driver.go_to_stop()), [back]);
        driver.delete(trap);
        trap = driver.break_at(&format!("{NEVER} {place}"));
        // From here on it sees the second call of this round and the first of
        // the next.
        passes = 2;
    }
    driver.go_to_end();
    assert_eq!(driver.tally(trap).passes, 1);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn code_that_the_program_writes_anew_is_never_cut_by_a_trap() {
    let debuggee = Debuggee::build("rewrites_code");
    let (back, gone) = ("overwritten from outside and is armed again", "not armed again");
    // What becomes of a breakpoint at the `mov` and of one at the `ret`.
    let check = |kind: &str, expected: [&str; 2]| {
        let mut driver = Driver::started(&debuggee, &[kind, "4"]);
        let ready = driver.break_at("ready");
        assert_eq!(hit(&driver.go_to_stop()), [ready]);
        let page: u64 = driver.print("(unsigned long)page").parse().unwrap();
        let traps = [page, page + 5].map(|at| driver.break_at(&format!("{NEVER} *{at}")));
        let status = driver.go_to_end_through(|_, stop| assert_eq!(hit(stop), [ready]));
        assert_eq!(status, ExitStatus::Exited(0));
        driver.output_is_as_undebugged();
        for (trap, expected) in traps.into_iter().zip(expected) {
            let mut told = driver.seen.iter().filter_map(|event| match event {
                Event::BreakpointChanged { id, what, .. } if *id == trap => Some(what),
                _ => None,
            });
            match expected {
                "kept" => {
                    assert_eq!(told.next(), None, "{kind}");
                    assert_eq!(driver.tally(trap).passes, 3 + 4 * 6, "{kind}");
                }
                what => assert!(told.any(|told| told.contains(what)), "{kind} {what}"),
            }
        }
        driver.quit();
    };
    check("same", [back, back]);
    check("value", [gone, back]);
    check("operand", ["kept", "kept"]);
    check("longer", [gone, gone]);
}

#[test]
fn a_library_that_is_unloaded_and_loaded_again_keeps_its_breakpoints() {
    let plugin = Build::new("plugin").linkage(Linkage::Library).build();
    let debuggee = Debuggee::build("dlopen_plugin");
    let library = plugin.path.to_string_lossy().into_owned();
    let mut driver = Driver::launching(&debuggee, &[&library, &rounds(), "3"]);
    let trap = driver.break_at(&format!("-trap {NEVER} plugin_entry"));
    let hardware = driver.break_at(&format!("-hw {NEVER} helper"));
    driver.run();
    driver.go_to_end();
    let calls = driver.said("calls");
    assert_eq!((driver.tally(trap).passes, driver.tally(hardware).passes), (calls, calls));
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_stepped_pushf_does_not_leak_the_trap_flag() {
    let debuggee = Debuggee::build("pushf_step");
    let mut driver = Driver::started(&debuggee, &[&rounds()]);
    let pushed = driver.break_at("*&flags_pushed");
    let popped = driver.break_at(&format!("{NEVER} *&flags_popped"));
    for _ in 0..loops(100) {
        assert_eq!(hit(&driver.go_to_stop()), [pushed]);
        for _ in 0..4 {
            driver.ask(Command::StepInstruction { count: 1, over_calls: false });
            assert_eq!(driver.next_stop().reasons, [StopReason::Stepped]);
        }
    }
    driver.go_to_end();
    assert_eq!(driver.said("trap_flags_seen"), 0);
    assert_eq!(driver.tally(popped).passes, driver.said("times"));
    driver.output_is_as_undebugged();
    driver.quit();
}

/// A sandbox entered after the out-of-line code is in place does not care.
#[test]
fn a_program_that_enters_a_sandbox_later_is_counted() {
    let debuggee = Debuggee::build("seccomp_kill");
    for _ in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["50"]);
        let trap = driver.break_at(&format!("{NEVER} visit"));
        driver.run();
        driver.go_to_end();
        assert_eq!(driver.tally(trap).passes, 50);
        assert_eq!(driver.output(), "passes=50\n");
        driver.quit();
    }
}

/// Inside a sandbox nothing may be allocated: sites are stepped, and say so.
#[test]
fn a_program_in_a_sandbox_is_stepped_past_its_sites() {
    let debuggee = Debuggee::build("seccomp_kill");
    for _ in 0..loops(100) {
        let mut driver = Driver::started(&debuggee, &["50"]);
        let first = driver.break_at("-once -hw visit");
        assert_eq!(hit(&driver.go_to_stop()), [first]);
        let trap = driver.break_at(&format!("-trap {NEVER} {}", debuggee.mark("body").spec()));
        driver.go_to_end();
        let info = driver.breakpoint(trap);
        assert!(driver.warnings.iter().any(|text| text.contains("seccomp")), "{info:?}");
        assert!((49..=50).contains(&info.tally.passes), "{info:?}");
        assert_eq!(driver.output(), "passes=50\n");
        driver.quit();
    }
}

/// Stepping in place leaves no trace of itself in the program's flags.
#[test]
fn what_is_stepped_in_a_sandbox_sees_no_trap_flag() {
    let debuggee = Debuggee::build("sandboxed_flags");
    let mut driver = Driver::started(&debuggee, &["20"]);
    let ready = driver.break_at("-once -hw ready");
    assert_eq!(hit(&driver.go_to_stop()), [ready]);
    let sites =
        ["flags_pushed", "call_made"].map(|at| driver.break_at(&format!("-trap {NEVER} {at}")));
    driver.go_to_end();
    for site in sites {
        assert_eq!(driver.tally(site).passes, 20);
    }
    assert_eq!(driver.output(), "times=20 pushed=0 left=0\n");
    driver.quit();
}

#[test]
fn a_filter_that_kills_is_told_as_the_signal_it_sends() {
    let debuggee = Debuggee::build("seccomp_kill");
    for _ in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["5", "break"]);
        let trap = driver.break_at(&format!("{NEVER} visit"));
        driver.run();
        match driver.go_to_end_through(|_, stop| panic!("{:?}", stop.reasons)) {
            ExitStatus::Signalled { signal: Signal(31), .. } => {}
            other => panic!("{other}"),
        }
        assert_eq!(driver.tally(trap).passes, 5);
        driver.quit();
    }
}

#[test]
fn the_driver_policy_reports_a_place_again_and_runs_nothing() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let mut driver = Driver::started(&debuggee, &["1", &rounds()]);
    let trap = driver.break_at("visit");
    let mut turns = 0;
    let status = driver.go_to_end_through(|driver, stop| {
        assert_eq!(hit(stop), [trap]);
        let before = (stop.frame.pc, driver.print("total"));
        assert_eq!(before.1, turns.to_string());
        turns += 1;
        driver.set(Setting::ResumePolicy(ResumePolicy::Driver));
        for _ in 0..3 {
            let again = driver.go_to_stop();
            assert_eq!(hit(&again), [trap]);
            assert_eq!((again.frame.pc, driver.print("total")), before);
        }
        driver.set(Setting::ResumePolicy(ResumePolicy::Debugger));
    });
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(turns, driver.said("total"));
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_copy_of_a_trap_does_what_a_copy_of_the_code_would() {
    let debuggee = Debuggee::build("copies_code");
    let check = |places: &[&str]| {
        let mut driver = Driver::started(&debuggee, &[&rounds()]);
        // A copied jump leads elsewhere.
        driver.as_written();
        let traps: Vec<_> =
            places.iter().map(|place| driver.break_at(&format!("-trap {NEVER} {place}"))).collect();
        driver.go_to_end();
        driver.output_is_as_undebugged();
        for trap in traps {
            assert_eq!(driver.tally(trap).passes, driver.said("rounds"), "{places:?}");
        }
        let told = driver.warnings.iter().filter(|told| told.contains("copied"));
        let each: BTreeSet<&String> = told.clone().collect();
        assert!(!each.is_empty() && told.count() == each.len(), "{:?}", driver.warnings);
        driver.quit();
    };
    let (body, copy) = (debuggee.mark("body").spec(), debuggee.mark("copy").spec());
    check(&["work"]);
    check(&["*&work"]);
    check(&["*&work", &body, &copy]);
}

/// What a debugger that dies leaves in a process.
fn leave_trap(pid: Pid, at: u64) {
    let mut memory = File::options().write(true).open(format!("/proc/{pid}/mem")).unwrap();
    memory.seek(SeekFrom::Start(at)).unwrap();
    memory.write_all(&[0xcc]).unwrap();
}

fn address_of(driver: &Driver, name: &str) -> u64 {
    driver.print(&format!("(unsigned long)&{name}")).parse().unwrap()
}

#[test]
fn a_trap_that_a_dead_debugger_left_is_taken_out() {
    let program = running(&Debuggee::build("threads_born_and_die"), &["0", "8"]);
    let mut driver = Driver::attached(program.pid());
    for set_a_breakpoint in [false, true] {
        let at = address_of(&driver, "visit");
        leave_trap(program.pid(), at);
        let trap = set_a_breakpoint.then(|| driver.break_at(&format!("*{at}")));
        driver.go();
        if let Some(trap) = trap {
            assert_eq!(hit(&driver.next_stop()), [trap]);
        } else {
            driver.wait_for(|event| matches!(event, Event::Warning(_)).then_some(()));
        }
        let told = |warning: &&String| warning.contains("left it behind");
        assert_eq!(driver.warnings.iter().filter(told).count(), 1, "{:?}", driver.warnings);
        assert_eq!(driver.detach(), 1);
        if let Some(trap) = trap {
            driver.delete(trap);
        }
        driver.warnings.clear();
        driver.attach(program.pid());
    }
    driver.quit();
}

#[test]
fn a_trap_that_a_program_wrote_itself_is_its_own() {
    let debuggee = Debuggee::build("tight_loop");
    let mut driver = Driver::started(&debuggee, &["3"]);
    driver.rewrites_text = true;
    let at = address_of(&driver, "body");
    leave_trap(driver.pid.unwrap(), at);
    let stop = driver.go_to_stop();
    assert!(matches!(stop.reasons[..], [StopReason::OwnTrap { .. }]), "{:?}", stop.reasons);
    assert!(driver.warnings.is_empty(), "{:?}", driver.warnings);
    driver.quit();
}
