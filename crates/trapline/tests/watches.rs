//! Watches on data: every size and kind of touch, odd ranges, shared slots,
//! a full house, locals that end with their frame, what the kernel writes.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::process::Command as Process;

use support::{Driver, PATIENCE, hit};
use trapline::breakpoint::Mechanism;
use trapline::command::{Reply, Setting};
use trapline::event::{StopReason, StopReport};
use trapline::{Access, Command, spec};
use trapline_testkit::{Debuggee, run};

const WRITE: Access = Access::Write;
const READ: Access = Access::Read;
const BOTH: Access = Access::ReadWrite;

/// Every reason of a data stop in a few words: kind of touch, old, new.
fn words(stop: &StopReport) -> Vec<String> {
    let word = |reason: &StopReason| match reason {
        StopReason::Data { access, old, new, .. } => {
            let kind = match access {
                Some(Access::Write) => "write",
                Some(Access::Read) => "read",
                Some(Access::ReadWrite) => "either",
                None => "outside",
            };
            let part = |value: &Option<String>| value.clone().unwrap_or_default();
            format!("{kind} {}>{}", part(old), part(new))
        }
        StopReason::ScopeEnded { .. } => "ended".to_owned(),
        other => format!("{other:?}"),
    };
    stop.reasons.iter().map(word).collect()
}

/// Stands at the start of `main` of a debuggee.
fn at_main(debuggee: &Debuggee, args: &[&str]) -> Driver {
    let mut driver = Driver::launching(debuggee, args);
    driver.break_at("-once main");
    driver.run();
    driver.go_to_stop();
    driver
}

/// Runs to the end; everything that the stops say.
fn told(driver: &mut Driver) -> Vec<String> {
    let mut told = Vec::new();
    driver.go_to_end_through(|_, stop| told.extend(words(stop)));
    told
}

#[test]
fn every_size_and_kind_of_touch_is_told() {
    let debuggee = Debuggee::build("watched_globals");
    let check = |what: &str, access: Access, expected: &[&str]| {
        let mut driver = at_main(&debuggee, &[]);
        driver.watch(what, access);
        assert_eq!(told(&mut driver), expected, "{what} {access:?}");
        driver.output_is_as_undebugged();
        driver.quit();
    };
    check("globals.one", WRITE, &["write 0 '\\000'>136 '\\210'", "write 136 '\\210'>0 '\\000'"]);
    check("globals.two", WRITE, &["write 0>30600", "write 30600>65280"]);
    let four = ["write 0>1432778632", "write 1432778632>3723427584"];
    check("globals.four", WRITE, &[four[0], four[1], "write 3723427584>3723427585"]);
    let eight = "write 0>1234605616436508552";
    let again = "write 1234605616436508552>11072869122414935808";
    let (same, seen) = ("write >11072869122414935808", "read >11072869122414935808");
    check("globals.eight", WRITE, &[eight, again]);
    check("-written globals.eight", WRITE, &[eight, again, same]);
    check("globals.eight", READ, &[seen, seen]);
    check("globals.eight", BOTH, &[eight, again, seen, same, seen]);
    check("globals.eight if globals.eight == 0x99aabbccddeeff00", WRITE, &[again]);
    check("-written -hits '== 3' globals.eight", WRITE, &[same]);
    check("-log 'is {globals.eight}' globals.eight", WRITE, &[]);
}

#[test]
fn a_bit_field_is_watched_without_its_neighbours() {
    let debuggee = Debuggee::build("watched_shapes");
    let check = |what: &str, expected: &[&str]| {
        let mut driver = at_main(&debuggee, &["fields"]);
        let id = driver.watch(what, WRITE);
        let notes = driver.breakpoint(id).notes.join("; ");
        assert!(!notes.contains("does not follow"), "{notes}");
        // Where it is told again, it has its place by then.
        for _ in 0..2 {
            assert_eq!(told(&mut driver), expected, "{what}");
            driver.run();
        }
        driver.quit();
    };
    check("fields.low", &["write 0>1", "write 1>2", "write 2>3"]);
    check("fields.high", &["write 0>2", "write 2>4", "write 4>6"]);
    check("fields.wide", &["write 0>-1", "write -1>-2", "write -2>-3"]);
    check("fields.high if fields.high > 4", &["write 4>6"]);
}

#[test]
fn odd_ranges_see_their_bytes_and_no_others() {
    let debuggee = Debuggee::build("watched_shapes");
    let check = |start: u64, len: u64, over_cover: bool| {
        let mut driver = at_main(&debuggee, &["bytes"]);
        driver.set(Setting::OverCover(over_cover));
        let range = format!("*&bytes[{start}]@{len}");
        let written = driver.watch(&format!("-written -hits '== 1000' {range}"), WRITE);
        driver.go_to_end();
        let tally = driver.tally(written);
        assert_eq!(tally.passes, len, "{range} over-cover {over_cover}: {tally:?}");
        driver.quit();
    };
    for over_cover in [false, true] {
        for (start, len) in [(0, 1), (1, 3), (3, 5), (2, 12), (7, 2), (1, 15), (0, 32)] {
            check(start, len, over_cover);
        }
    }
    check(1, 22, true);
}

#[test]
fn accesses_outside_of_an_over_covered_range_are_not_told() {
    let debuggee = Debuggee::build("watched_shapes");
    let check = |access: Access, expected: u64| {
        let mut driver = at_main(&debuggee, &["bytes"]);
        driver.set(Setting::OverCover(true));
        let id = driver.watch("-hits '== 1000' *&bytes[1]@22", access);
        driver.go_to_end();
        assert_eq!(driver.tally(id).passes, expected, "{access:?}");
        driver.quit();
    };
    check(READ, 22);
    check(BOTH, 44);
}

#[test]
fn watches_that_share_bytes_each_keep_their_own() {
    let debuggee = Debuggee::build("watched_shapes");
    let mut driver = at_main(&debuggee, &["bytes"]);
    let wishes = [
        ("-written -hits '== 1000' *&bytes[0]@8", WRITE, 8),
        ("-written -hits '== 1000' bytes[3]", WRITE, 1),
        ("-hits '== 1000' bytes[3]", BOTH, 2),
        ("-hits '== 1000' *&bytes[2]@4", READ, 4),
        ("-hits '== 1000' *&bytes[0]@8", WRITE, 8),
    ];
    let set = wishes.map(|(what, access, passes)| (driver.watch(what, access), what, passes));
    driver.go_to_end();
    for (id, what, passes) in set {
        assert_eq!(driver.tally(id).passes, passes, "{what}");
    }
    driver.quit();
}

#[test]
fn a_read_watch_says_when_it_cannot_tell() {
    let debuggee = Debuggee::build("watched_globals");
    for fillers in 0..=3 {
        let mut driver = at_main(&debuggee, &[]);
        for place in ["read_each_size", "write_wide", "run_threads"].iter().take(fillers) {
            driver.break_at(&format!("-hw -hits '== 1000' {place}"));
        }
        let id = driver.watch("globals.four", READ);
        let why = driver.breakpoint(id).locations[0].why.clone();
        assert_eq!(why.contains("decoding"), fillers == 3, "{fillers}: {why}");
        assert_eq!(why.contains("paired"), fillers < 3, "{fillers}: {why}");
        let told = told(&mut driver);
        let reads = told.iter().filter(|word| word.starts_with("read")).count();
        assert_eq!(reads, 2, "{fillers}: {told:?}");
        driver.quit();
    }
}

#[test]
fn a_full_house_names_the_holders_and_sets_nothing_by_halves() {
    let debuggee = Debuggee::build("watched_globals");
    let driver = at_main(&debuggee, &[]);
    for what in ["globals.one", "globals.two", "globals.four"] {
        driver.watch(what, WRITE);
    }
    driver.break_at("-hw -hits '== 100' read_each_size");
    let before = driver.ask(Command::Breakpoints);
    for request in [spec::data("globals.eight", WRITE), spec::code("-hw write_wide")] {
        let error = driver.try_ask(Command::Break(request.unwrap())).unwrap_err();
        for holder in ["2", "3", "4", "5"] {
            assert!(error.contains(holder), "{holder} in {error}");
        }
        assert!(error.contains("4 of 4 debug registers are in use"), "{error}");
    }
    let (Reply::Breakpoints(before), Reply::Breakpoints(after)) =
        (before, driver.ask(Command::Breakpoints))
    else {
        panic!()
    };
    assert_eq!(before, after);
    driver.delete(after[0].id);
    driver.watch("globals.eight", WRITE);
    driver.quit();
}

#[test]
fn all_threads_are_watched_those_born_later_too() {
    let debuggee = Debuggee::build("watched_globals");
    let mut driver = at_main(&debuggee, &["8"]);
    let watched = [2, 5, 7]
        .map(|index| driver.watch(&format!("-written -hits '== 1000' by_thread[{index}]"), WRITE));
    let entered = driver.break_at("-hw -hits '== 1000' write_in_thread");
    driver.go_to_end();
    for id in watched {
        assert_eq!(driver.tally(id).passes, 100);
    }
    assert_eq!((driver.tally(entered).passes, driver.said("writes_each")), (8, 100));
    assert_eq!(driver.mechanism(entered), Some(Mechanism::Hardware));
    driver.quit();
}

#[test]
fn a_local_is_watched_until_its_frame_ends() {
    let debuggee = Debuggee::build("watched_shapes");
    let check = |args: &[&str], at: &str, expected: &[&str]| {
        let mut driver = at_main(&debuggee, args);
        driver.break_at(&format!("-once {at}"));
        driver.go_to_stop();
        driver.watch("mine", WRITE);
        let told = told(&mut driver);
        let kinds: Vec<&str> = told.iter().map(|word| word.rsplit('>').next().unwrap()).collect();
        assert_eq!(kinds, expected, "{args:?}: {told:?}");
        let left = driver.breakpoints();
        assert!(left.is_empty(), "{left:?}");
        driver.output_is_as_undebugged();
        driver.quit();
    };
    let leaf = debuggee.mark("leaf").spec();
    check(&["frames", "3"], &leaf, &["0", "10", "11", "ended"]);
    check(&["jumps", "2"], &leaf, &["0", "10", "ended"]);
    let recursion = format!("{} if level == 2", debuggee.mark("recurse").spec());
    check(&["recurse", "4"], &recursion, &["2", "3", "ended"]);
}

#[test]
fn what_the_kernel_writes_is_told_at_the_next_stop() {
    let debuggee = Debuggee::build("watched_shapes");
    let mut driver = at_main(&debuggee, &["kernel"]);
    let id = driver.watch("filled", WRITE);
    let notes = driver.breakpoint(id).notes.join("; ");
    assert!(notes.contains("kernel"), "{notes}");
    let looked = driver.break_at("looked");
    assert_eq!(hit(&driver.go_to_stop()), [looked]);
    let stop = driver.go_to_stop();
    assert_eq!(hit(&stop), [looked, id]);
    assert_eq!(words(&stop)[1], "outside 7>0");
    driver.go_to_end();
    driver.quit();
}

#[test]
fn hardware_survives_a_restart() {
    let debuggee = Debuggee::build("watched_shapes");
    let mut driver = at_main(&debuggee, &["bytes"]);
    let code = driver.break_at("-hw -hits '== 1000' read_bytes");
    let data = driver.watch("-written -hits '== 1000' *&bytes[4]@4", WRITE);
    let named = driver.watch("-hits '== 1000' filled", WRITE);
    for round in 1..=3 {
        driver.go_to_end();
        assert_eq!(driver.tally(code).passes, round);
        assert_eq!(driver.tally(data).passes, 4 * round);
        driver.run();
        for id in [code, data, named] {
            assert_eq!(
                driver.mechanism(id),
                Some(Mechanism::Hardware),
                "{:?}",
                driver.breakpoint(id)
            );
        }
    }
    driver.quit();
}

#[test]
fn a_watch_can_be_set_and_removed_while_the_program_runs() {
    let debuggee = Debuggee::build("watched_shapes");
    let mut driver = at_main(&debuggee, &["spin"]);
    driver.go();
    for round in 0..20 {
        let id = driver.watch("-once -hits '== 3' spun", WRITE);
        let stop = driver.next_stop();
        assert_eq!(hit(&stop), [id], "{round}");
        driver.go();
        let id = driver.watch("-hits '== 1000000000' spun", WRITE);
        driver.delete(id);
    }
    driver.quit();
}

#[test]
fn refusals_say_what_cannot_be_watched_and_why() {
    let debuggee = Debuggee::build("watched_globals");
    let driver = at_main(&debuggee, &[]);
    let check = |what: &str, expected: &str| {
        let error = driver.try_ask(Command::Break(spec::data(what, WRITE).unwrap())).unwrap_err();
        assert!(error.contains(expected), "{what}: {error}");
    };
    check("globals.four + 1", "computed value");
    check("globals.nine", "nine");
    check("nosuch", "nosuch");
    check("$rax", "register");
    check("*0x10@4", "0x10");
    check("*&globals@0", "0 bytes");
    check("by_thread", "512 bytes do not fit in 4 debug registers");
    driver.quit();
}

/// The lines at which gdb's `watch` stops on the same program, with the values.
fn gdb_stops(debuggee: &Debuggee, args: &str, what: &str) -> Vec<(String, String)> {
    let mut gdb = Process::new("gdb");
    gdb.args(["-nx", "-batch", "-ex", "set width 0", "-ex", "break main"]);
    gdb.args(["-ex", &format!("run {args} > /dev/null"), "-ex", &format!("watch {what}")]);
    for _ in 0..12 {
        gdb.args(["-ex", "continue"]);
    }
    let said = run(gdb.arg(&debuggee.path), PATIENCE).stdout;
    let value = |line: &str, name: &str| line.strip_prefix(name).map(str::to_owned);
    let olds = said.lines().filter_map(|line| value(line, "Old value = "));
    let news = said.lines().filter_map(|line| value(line, "New value = "));
    olds.zip(news).collect()
}

#[test]
fn a_watch_stops_where_gdbs_does() {
    let check = |name: &str, args: &[&str], what: &str, count: usize| {
        let debuggee = Debuggee::build(name);
        let mut driver = at_main(&debuggee, args);
        driver.watch(what, WRITE);
        let mut ours = Vec::new();
        driver.go_to_end_through(|_, stop| {
            for reason in &stop.reasons {
                if let StopReason::Data { old: Some(old), new: Some(new), .. } = reason {
                    ours.push((old.clone(), new.clone()));
                }
            }
        });
        let theirs = gdb_stops(&debuggee, &args.join(" "), what);
        assert_eq!(ours, theirs, "{name} {what}");
        assert_eq!(ours.len(), count, "{name} {what}");
        driver.quit();
    };
    check("watched_globals", &[], "globals.one", 2);
    check("watched_globals", &[], "globals.four", 3);
    check("watched_globals", &[], "globals.eight", 2);
    check("watched_shapes", &["bytes"], "bytes[7]", 1);
    check("watched_shapes", &["frames", "3"], "writes", 6);
}

#[test]
fn followed_children_are_watched_before_and_after_they_execute() {
    let debuggee = Debuggee::build("executes_itself");
    let mut driver = Driver::launching(&debuggee, &["3"]);
    driver.set(Setting::FollowChildren(true));
    driver.run();
    let id = driver.watch("steps[5000]", Access::Write);
    driver.go_to_end_through(|_, _| {});
    // In the parent, in its child, and in what the child becomes.
    assert_eq!(driver.tally(id).hits, 3 * 3);
    driver.output_is_as_undebugged();
    driver.quit();
}
