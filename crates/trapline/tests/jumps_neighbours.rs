//! Jumps at neighbouring instructions that come and go in every order: counts
//! are exact and the text is whole again, whatever was planned anew.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit, loops};
use trapline::command::{Reply, Setting};
use trapline::{BreakpointId, Command};
use trapline_patch::jump::{Tactic, Tactics};
use trapline_testkit::{Build, Linkage, leaks};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

/// Offsets of four neighbouring instructions of two, four, two and one bytes in
/// `mix`.
const NEIGHBOURS: [u64; 4] = [3, 5, 9, 11];

const PASSES: u64 = 20;

/// All orders of four.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256_usize).map(|code| [code % 4, code / 4 % 4, code / 16 % 4, code / 64]);
    let differ = |it: &[usize; 4]| (0..4).all(|one| it.contains(&one));
    all.filter(differ).collect()
}

/// Neighbours that are there, with the passes that each ought to have seen.
#[derive(Default)]
struct There(Vec<(usize, BreakpointId, u64)>);

impl There {
    /// Lets the program run to the next round, and looks at every count.
    #[track_caller]
    fn run_round(&mut self, driver: &mut Driver, round: BreakpointId, what: &str) {
        assert_eq!(hit(&driver.go_to_stop()), [round]);
        for (at, id, passes) in &mut self.0 {
            *passes += PASSES;
            let tally = driver.tally(*id);
            assert_eq!((tally.passes, tally.hits), (*passes, *passes), "{at} {what}");
        }
    }
}

#[track_caller]
fn check_orders(linkage: Linkage, tactics: Tactics, flags: [&str; 4]) {
    let debuggee = Build::new("neighbours").linkage(linkage).build();
    let orders = orders();
    let rounds = 8 * orders.len() + 2;
    let args = [rounds.to_string(), PASSES.to_string()];
    let mut driver = Driver::launching(&debuggee, &[&args[0], &args[1]]);
    driver.set(Setting::JumpTactics(tactics));
    let round = driver.break_at(&format!("-trap {}", debuggee.mark("round").spec()));
    let pid = driver.run();
    driver.go_to_stop();
    for (index, order) in orders.iter().enumerate() {
        let clear = orders[(index * 7 + 5) % orders.len()];
        let what = format!("{linkage:?} {order:?} {clear:?} {flags:?}");
        let mut there = There::default();
        for &at in order {
            let place = format!("{} {NEVER} mix+{}", flags[at], NEIGHBOURS[at]);
            there.0.push((at, driver.break_at(&place), 0));
            there.run_round(&mut driver, round, &what);
        }
        for at in clear {
            let index = there.0.iter().position(|it| it.0 == at).unwrap();
            driver.delete(there.0.remove(index).1);
            there.run_round(&mut driver, round, &what);
        }
        assert!(is_restored(&driver, &debuggee.image, pid), "{what}");
    }
    driver.delete(round);
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

/// Whether the raw bytes of `mix` are those that the user sees.
fn is_restored(driver: &Driver, _image: &std::path::Path, pid: trapline::Pid) -> bool {
    let read = |raw| {
        let request = Command::ReadMemory { address: "&mix".into(), len: 18, raw };
        let Reply::Memory { bytes, .. } = driver.ask(request) else { panic!("not memory") };
        bytes
    };
    leaks::tracer(pid).is_some() && read(true) == read(false)
}

#[test]
fn neighbours_come_and_go_in_every_order() {
    for linkage in Linkage::RUNNABLE {
        check_orders(linkage, Tactics::ALL, ["-jump"; 4]);
    }
}

#[test]
fn neighbours_in_windows_come_and_go_in_every_order() {
    for linkage in Linkage::RUNNABLE {
        check_orders(linkage, Tactics::NONE.with(Tactic::Window), ["-jump"; 4]);
    }
}

#[test]
fn neighbours_of_every_mechanism_come_and_go_in_every_order() {
    for linkage in Linkage::RUNNABLE {
        check_orders(linkage, Tactics::ALL, ["-jump", "-trap", "-jump", "-hw"]);
        check_orders(linkage, Tactics::ALL, ["-trap", "-jump", "-trap", "-jump"]);
    }
}

#[test]
fn neighbours_come_and_go_while_eight_threads_run_through_them() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("neighbours").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["1", "1", "8"]);
        let first = driver.break_at(&format!("-jump {NEVER} mix"));
        driver.run();
        driver.break_at("-once main");
        driver.go_to_stop();
        driver.go();
        let orders = orders();
        for turn in 0..loops(100).div_ceil(2) as usize {
            let order = orders[turn % orders.len()];
            let set =
                |&at: &usize| driver.break_at(&format!("-jump {NEVER} mix+{}", NEIGHBOURS[at]));
            let there: Vec<BreakpointId> = order.iter().map(set).collect();
            orders[turn * 5 % orders.len()].iter().for_each(|&at| driver.delete(there[at]));
        }
        driver.ask(Command::Interrupt);
        driver.next_stop();
        driver.print("enough = 1");
        driver.go_to_end();
        let tally = driver.tally(first);
        assert_eq!((tally.passes, tally.hits), (driver.said("passes"), driver.said("passes")));
        driver.quit();
    }
}
