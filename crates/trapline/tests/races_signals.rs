//! Signals that arrive at any moment of a pass: real-time ones, queued and in
//! order, in handlers that run through the same site, and restarted calls.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit, loops};
use trapline::event::StopReason;
use trapline::{Command, Event, Signal};
use trapline_testkit::{Build, Debuggee, Linkage};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

#[test]
fn real_time_signals_keep_their_number_and_order() {
    let debuggee = Debuggee::build("signals");
    let mut driver = Driver::launching(&debuggee, &[&loops(100).to_string()]);
    driver.let_pass(&[]);
    let usr1 = driver.break_at(&format!("{NEVER} on_usr1"));
    let real_time = driver.break_at(&format!("{NEVER} on_rt"));
    let hardware = driver.break_at(&format!("-hw {NEVER} on_nudge"));
    for place in ["raise", "queue", "read", "sleep"] {
        driver.break_at(&format!("{NEVER} {}", debuggee.mark(place).spec()));
    }
    driver.run();
    driver.go_to_end();
    assert_eq!(driver.tally(usr1).passes, driver.said("usr1"));
    assert_eq!(driver.tally(real_time).passes, driver.said("rt"));
    let nudges = driver.said("restarted_reads") + driver.said("interrupted_sleeps");
    assert_eq!(driver.tally(hardware).passes, nudges);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_storm_of_signals_in_and_around_displaced_instructions() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("signal_storm").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &[&(20 * loops(100)).to_string()]);
        driver.let_pass(&[]);
        let trap = driver.break_at(&format!("-trap {NEVER} visit"));
        let body = driver.break_at(&format!("-trap {NEVER} {}", debuggee.mark("also").spec()));
        let hardware = driver.break_at(&format!("-hw {NEVER} {}", debuggee.mark("body").spec()));
        driver.run();
        driver.go_to_end();
        assert_eq!(driver.said("in_order"), 1);
        assert_eq!(driver.said("handled"), driver.said("signals"));
        let passes = driver.said("in_handler") + driver.said("main_passes");
        assert_eq!(driver.said("passes"), passes);
        for id in [trap, body, hardware] {
            assert_eq!(driver.tally(id).passes, passes, "{id}");
        }
        driver.quit();
    }
}

#[test]
fn detach_in_a_storm_of_signals() {
    let debuggee = Debuggee::build("signal_storm");
    let mut looked = 0;
    for turn in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["20000"]);
        driver.let_pass(&[]);
        driver.break_at("-log 'pass' visit");
        driver.run();
        driver.go();
        for _ in 0..=turn % 10 {
            driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
        }
        looked += driver.detach();
        driver.ends_by_itself("main_passes");
        let output = driver.output();
        assert!(
            output.contains("handled=20000 in_order=1 sum=199990000 in_handler=20000"),
            "{output}"
        );
        driver.quit();
    }
    assert!(looked > 0, "it always ended too early to be looked at");
}

/// Each change takes a system call of ours in the waiting thread, at which the
/// kernel forgets the mask of the call it waits in.
#[test]
fn a_signal_that_a_call_waited_for_is_told_once_whatever_is_set_at_its_stop() {
    const ROUNDS: u32 = 6;
    let debuggee = Debuggee::build("waits_for_signals");
    for call in ["sigsuspend", "ppoll", "pselect", "epoll_pwait"] {
        for mechanism in ["-jump", "-trap"] {
            let mut driver = Driver::launching(&debuggee, &[call, &ROUNDS.to_string()]);
            let spec = format!("{mechanism} turn if result == 7");
            driver.run();
            let (mut stops, mut set) = (0, None);
            driver.go_to_end_through(|driver, stop| {
                let &[StopReason::Signal(info)] = &stop.reasons[..] else { panic!("{stop:?}") };
                assert_eq!(info.signal, Signal::USR1, "{call}");
                stops += 1;
                assert!(stops <= ROUNDS, "{call} {mechanism}");
                set = match set {
                    Some(id) => {
                        driver.delete(id);
                        None
                    }
                    None => Some(driver.break_at(&spec)),
                };
            });
            assert_eq!(stops, ROUNDS, "{call} {mechanism}");
            driver.output_is_as_undebugged();
            driver.quit();
        }
    }
}

#[test]
fn a_handler_finds_the_place_of_the_program_and_a_long_fill_does_not_wait() {
    let debuggee = Debuggee::build("interrupted_places");
    let mut driver = Driver::launching(&debuggee, &["200", "512"]);
    driver.let_pass(&[]);
    let turn = driver.break_at(&format!("-trap {NEVER} {}", debuggee.mark("turn").spec()));
    let fill = driver.break_at(&format!("-trap {NEVER} filled"));
    driver.run();
    driver.go_to_end();
    assert!(driver.tally(turn).passes > 0);
    assert_eq!(driver.tally(fill).passes, 1);
    assert_eq!(driver.output(), "elsewhere=0 filled=1\n");
    driver.quit();
}

#[test]
fn a_handler_that_comes_before_a_counted_instruction_finds_it_there_and_counts_it_once() {
    let debuggee = Debuggee::build("interrupted_places");
    let mut driver = Driver::launching(&debuggee, &["40", "1"]);
    driver.let_pass(&[]);
    let turn = driver.break_at(&format!("-trap {}", debuggee.mark("turn").spec()));
    let handler = driver.break_at("-trap on_alarm");
    driver.run();
    let mut sums = Vec::new();
    let mut in_handler = 0;
    driver.go_to_end_through(|driver, stop| {
        if hit(stop) == [turn] {
            sums.push(driver.print("sum"));
            driver.ask(Command::NextSignal(Some(Signal::ALRM)));
        } else {
            assert_eq!(hit(stop), [handler]);
            in_handler += 1;
        }
        // The timer is faster than stops are: the program would get no further.
        if in_handler == 3 {
            driver.delete(handler);
            in_handler += 1;
        }
    });
    assert!(sums.len() > 1 && sums.windows(2).all(|pair| pair[0] != pair[1]), "{sums:?}");
    assert_eq!(driver.tally(turn).passes, sums.len() as u64);
    assert_eq!(driver.output(), "elsewhere=0 filled=1\n");
    driver.quit();
}
