//! Signals that an instruction raises which a breakpoint has displaced: handlers
//! and users are told the program's own place, and a death is the same death.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit};
use trapline::event::StopReason;
use trapline::{Command, ExitStatus, Signal};
use trapline_testkit::Debuggee;

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

/// Where breakpoints are set, from the start of the function on: at the
/// instruction that raises, at the one before, and at both.
const PLACES: [&[&str]; 3] = [&["raises"], &["run"], &["raises", "run"]];

const MECHANISMS: [&str; 3] = ["-jump", "-trap", "-hw"];

struct Kind {
    name: &'static str,
    signal: Signal,
    /// Where its signal says that it was raised, from the instruction on.
    address: u64,
}

const KINDS: [Kind; 5] = [
    Kind { name: "ud2", signal: Signal::ILL, address: 0 },
    Kind { name: "unknown", signal: Signal::ILL, address: 0 },
    Kind { name: "divide", signal: Signal::FPE, address: 0 },
    Kind { name: "int1", signal: Signal::TRAP, address: 1 },
    Kind { name: "sys", signal: Signal::SYS, address: 2 },
];

impl Kind {
    /// A program that raises, with a breakpoint that never stops at the places.
    fn launch(&self, mechanism: &str, places: &[&str], args: &[&str]) -> Driver {
        let debuggee = Debuggee::build("raises");
        let mut driver = Driver::launching(&debuggee, &[&[self.name], args].concat());
        for at in places {
            driver.break_at(&format!("{mechanism} {NEVER} *&{at}_{}", self.name));
        }
        driver.run();
        driver
    }
}

/// Every kind, under every mechanism, with breakpoints at these places.
#[track_caller]
fn check_all(places: &[&[&str]], check: impl Fn(&Kind, &str, &[&str])) {
    for kind in &KINDS {
        for mechanism in MECHANISMS {
            places.iter().for_each(|places| check(kind, mechanism, places));
        }
    }
}

#[test]
fn a_handler_is_told_the_programs_own_place() {
    check_all(&PLACES, |kind, mechanism, places| {
        let mut driver = kind.launch(mechanism, places, &["20"]);
        driver.let_pass(&[kind.signal]);
        driver.go_to_end();
        for info in driver.breakpoints() {
            assert_eq!(info.tally.passes, 20, "{} {mechanism} {places:?}", kind.name);
        }
        driver.output_is_as_undebugged();
        driver.quit();
    });
}

#[test]
fn the_user_is_told_the_programs_own_place() {
    check_all(&PLACES[2..], |kind, mechanism, places| {
        if kind.signal == Signal::TRAP {
            // It stops as a trap of the program's own, which has no signal.
            return;
        }
        let mut driver = kind.launch(mechanism, places, &["1"]);
        let stop = driver.go_to_stop();
        let [StopReason::Signal(info)] = &stop.reasons[..] else { panic!("{:?}", stop.reasons) };
        let what = format!("{} {mechanism} {places:?}", kind.name);
        let raised = format!("(long)&raises_{} + {}", kind.name, kind.address);
        let raised: u64 = driver.print(&raised).parse().unwrap();
        assert_eq!((info.signal, stop.frame.pc.get()), (kind.signal, raised), "{what}");
        if kind.signal != Signal::SYS {
            assert_eq!(info.address, Some(raised), "{what}");
        }
        assert!(hit(&stop).is_empty());
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    });
}

/// A breakpoint needs memory, for which the program runs a system call of ours.
#[test]
fn a_breakpoint_set_at_a_trap_of_the_programs_own_leaves_what_the_trap_says() {
    for mechanism in ["-jump", "-trap"] {
        let debuggee = Debuggee::build("raises");
        let mut driver = Driver::launching(&debuggee, &["int1", "3"]);
        let (signals, on) = (vec![Signal::TRAP], Some(true));
        driver.ask(Command::Handle { signals, stop: on, print: on, pass: on });
        driver.run();
        for place in ["run_ud2", "run_divide", "run_sys"] {
            driver.go_to_stop();
            driver.break_at(&format!("{mechanism} {place} if $rsp == 1"));
        }
        driver.go_to_end();
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn without_a_handler_it_is_the_end() {
    check_all(&PLACES[2..], |kind, mechanism, places| {
        let mut driver = kind.launch(mechanism, places, &["1", "fatal"]);
        driver.let_pass(&[kind.signal]);
        let status = driver.go_to_end_through(|_, stop| panic!("{:?}", stop.reasons));
        let what = format!("{} {mechanism} {places:?}", kind.name);
        let ExitStatus::Signalled { signal, .. } = status else { panic!("{what}: {status}") };
        assert_eq!(signal, kind.signal, "{what}");
        driver.quit();
    });
}
