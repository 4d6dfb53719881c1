//! What a breakpoint can say: conditions, changes, hit rules, filters, logs,
//! commands, groups; each counted against what the program did, all of it set
//! before the run, at a stop or while the program runs.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit};
use trapline::breakpoint::Mechanism;
use trapline::command::{Change, Selection};
use trapline::event::StopReason;
use trapline::{Command, LocationId, spec};
use trapline_testkit::{Build, Debuggee, Linkage};

/// One thread that passes `visit` 200 times, with `pass` from 0.
const PASSES: u64 = 200;

fn visits(linkage: Linkage) -> (Debuggee, [&'static str; 2]) {
    (Build::new("many_threads_one_function").linkage(linkage).build(), ["1", "200"])
}

/// Hits of a breakpoint that never stops.
#[track_caller]
fn check_hits(linkage: Linkage, rows: &[(&str, u64)]) {
    let (debuggee, args) = visits(linkage);
    let mut driver = Driver::launching(&debuggee, &args);
    let set: Vec<_> =
        rows.iter().map(|row| driver.break_at(&format!("-hits '== 100000' {}", row.0))).collect();
    driver.run();
    driver.go_to_end();
    for (id, (text, hits)) in set.into_iter().zip(rows) {
        let tally = driver.tally(id);
        assert_eq!((tally.passes, tally.hits, tally.errors), (PASSES, *hits, 0), "{text}");
        assert_eq!(tally.stops, 0, "{text}");
    }
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn conditions_of_every_kind_hold_as_often_as_they_are_true() {
    let rows = [
        ("visit if pass == 7", 1),
        ("visit if thread == 0 && pass < 10", 10),
        ("visit if pass == 3 || pass == 5", 2),
        ("visit if !(pass > 4)", 5),
        ("visit if (pass & 3) == 3", 50),
        ("visit if ~pass == -8", 1),
        ("visit if pass >> 2 == 4", 4),
        ("visit if -pass == -9", 1),
        ("visit if passes == 200", 200),
        ("visit if even_of[0] == 3", 2),
        ("visit if even_of[thread] as int == 3", 2),
        ("visit if *(even_of + 0) == 3", 2),
        ("visit if *&pass == 5", 1),
        ("visit if &passes != 0", 200),
        ("visit if (int)$rsi % 10 == 3", 20),
        ("visit if $esi == 17", 1),
        ("visit if (double)pass / 2 > 98.9", 2),
        ("visit if (float)pass * 0.5 == 2.5", 1),
        ("visit if 'a' + pass == 'k'", 1),
        ("visit if (unsigned char)pass == 0", 1),
        ("visit if (signed char)pass < 0", 72),
        ("visit if sizeof(int) == 4 && pass == 3", 1),
        ("visit if (pass > 5 ? pass : 0) == 6", 1),
        ("-trap visit if pass > 100", 99),
        ("-hw visit if pass > 100", 99),
    ];
    for linkage in Linkage::RUNNABLE {
        check_hits(linkage, &rows);
    }
}

#[test]
fn changes_are_seen_from_one_visit_to_the_next() {
    let rows = [
        ("-changed even_of[0] visit", 100),
        ("-changed pass/10 visit", 19),
        ("-changed passes visit", 0),
        ("-changed pass visit", 199),
        ("-changed pass visit if pass % 2 == 0", 99),
    ];
    check_hits(Linkage::Pie, &rows);
}

#[test]
fn filters_choose_processes_and_threads() {
    let rows = [
        ("-filter '$_streq($_thread_name, \"many_threads_on\")' visit", 200),
        ("-filter '$_streq($_thread_name, \"other\")' visit", 0),
        ("-filter '$_tid != $_pid' visit", 200),
        ("-filter '$_tid == $_pid' visit", 0),
        ("-filter '$_pid > 0 && !($_tid == 1)' visit if pass < 5", 5),
        ("-filter '$_streq($_machine, \"no such machine\") || $_pid == 1' visit", 0),
        ("-filter '!$_streq($_machine, \"no such machine\")' visit", 200),
        ("-filter '$_streq($_process_name, \"many_threads_one_function\")' visit", 200),
    ];
    check_hits(Linkage::Pie, &rows);
}

#[test]
fn hit_rules_and_ignore_counts_choose_the_stops() {
    let (debuggee, args) = visits(Linkage::Pie);
    let check = |text: &str, ignore: u64, expected: &[u64]| {
        let mut driver = Driver::launching(&debuggee, &args);
        let id = driver.break_at(text);
        driver.ask(Command::Change(id, Change::Ignore(ignore)));
        driver.run();
        let mut stops = Vec::new();
        driver.go_to_end_through(|driver, stop| {
            assert_eq!(hit(stop), [id]);
            stops.push(driver.print("pass").parse::<u64>().unwrap());
        });
        assert_eq!(stops, expected, "{text} ignore {ignore}");
        driver.quit();
    };
    check("-hits '== 5' visit", 0, &[4]);
    check("-hits '% 50' visit", 0, &[49, 99, 149, 199]);
    check("-hits '>= 198' visit", 0, &[197, 198, 199]);
    check("-hits '% 10' visit if pass % 10 == 3", 0, &[93, 193]);
    check("visit", 198, &[198, 199]);
    check("visit if pass >= 190", 8, &[198, 199]);
    check("-once visit", 0, &[0]);
    check("-once visit if pass == 7", 0, &[7]);
    check("-once -hits '% 40' visit", 0, &[39]);
    check("-hw -once -hits '% 40' visit", 0, &[39]);
}

#[test]
fn logs_show_values_and_every_macro() {
    let (debuggee, args) = visits(Linkage::Pie);
    let check = |log: &str, expected: &dyn Fn(&Driver) -> String| {
        let mut driver = Driver::launching(&debuggee, &args);
        let id = driver.break_at(&format!("-hits '== 4' -log '{log}' visit"));
        driver.run();
        driver.go_to_end();
        let messages: Vec<&str> = driver.logs.iter().map(|log| log.message.as_str()).collect();
        assert_eq!(messages, [expected(&driver)], "{log}");
        assert_eq!(driver.tally(id).stops, 0);
        driver.quit();
    };
    let plain = |text: &'static str| move |_: &Driver| text.to_owned();
    check("pass={pass} of {passes}", &plain("pass=3 of 200"));
    check("{pass * 2 + 1} {even_of[0]}", &plain("7 2"));
    check("$FUNCTION", &plain("visit"));
    check("$PNAME", &plain("many_threads_one_function"));
    check("$TNAME", &plain("many_threads_on"));
    check("$CALLER", &|driver| {
        let said = &driver.logs[0].message;
        assert!(said.contains("run"), "{said}");
        said.clone()
    });
    check("$CALLSTACK", &|driver| {
        let said = &driver.logs[0].message;
        let at = |name| said.find(name).unwrap_or_else(|| panic!("{name} in {said}"));
        assert!(at("visit") < at("run"), "{said}");
        said.clone()
    });
    check("$FILEPOS", &|driver| {
        let said = &driver.logs[0].message;
        assert!(said.contains("many_threads_one_function.c:"), "{said}");
        said.clone()
    });
    check("$PID $TID", &|driver| format!("{} {}", driver.pid.unwrap(), driver.logs[0].tid));
    check("$ADDRESS", &|driver| format!("{:#x}", driver.logs[0].pc.get()));
    check("$TICK", &|driver| driver.logs[0].tick_millis.to_string());
    check("$MACHINE", &|driver| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert!(!driver.logs[0].message.is_empty());
        host.trim().to_owned()
    });
    check("{*(int *)8}", &|driver| {
        let said = &driver.logs[0].message;
        assert!(said.starts_with('<') && said.contains("0x8"), "{said}");
        said.clone()
    });
}

#[test]
fn a_condition_that_fails_stops_once_and_counts_the_rest() {
    let (debuggee, args) = visits(Linkage::Pie);
    let mut driver = Driver::launching(&debuggee, &args);
    let id = driver.break_at("visit if *(int *)(long)pass == 1");
    let good = driver.break_at("-hits '== 100000' visit if pass > 9");
    driver.run();
    let mut errors = Vec::new();
    driver.go_to_end_through(|_, stop| {
        for reason in &stop.reasons {
            let StopReason::ConditionError { id, message } = reason else { panic!("{reason:?}") };
            errors.push((*id, message.clone()));
        }
    });
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].0 == id && errors[0].1.contains("0x0"), "{errors:?}");
    let tally = driver.tally(id);
    assert_eq!((tally.passes, tally.hits, tally.errors, tally.stops), (PASSES, 0, PASSES, 1));
    assert_eq!(driver.tally(good).hits, 190);
    driver.quit();
}

#[test]
fn many_at_one_place_each_keep_their_own_say() {
    let (debuggee, args) = visits(Linkage::Pie);
    let mut driver = Driver::launching(&debuggee, &args);
    let third = driver.break_at("visit if pass % 3 == 0");
    let fifth = driver.break_at("-hw visit if pass % 5 == 0");
    let logged = driver.break_at("-log '{pass}' visit if pass % 7 == 0");
    let once = driver.break_at("-once visit if pass == 30");
    let off = driver.break_at("visit");
    driver.ask(Command::Enable { what: Selection::Breakpoints(vec![off]), enabled: false });
    driver.run();
    let mut stops = 0;
    driver.go_to_end_through(|driver, stop| {
        let pass: u64 = driver.print("pass").parse().unwrap();
        let mut expected = Vec::new();
        expected.extend(pass.is_multiple_of(3).then_some(third));
        expected.extend(pass.is_multiple_of(5).then_some(fifth));
        expected.extend((pass == 30).then_some(once));
        let mut ids = hit(stop);
        ids.sort_unstable();
        assert_eq!(ids, expected, "pass {pass}");
        stops += 1;
    });
    assert_eq!(stops, (0..PASSES).filter(|pass| pass % 3 == 0 || pass % 5 == 0).count());
    assert_eq!(driver.tally(third).hits, 67);
    assert_eq!((driver.tally(fifth).hits, driver.tally(logged).hits), (40, 29));
    assert_eq!(driver.logs.len(), 29);
    assert_eq!(driver.tally(off).passes, 0);
    driver.quit();
}

#[test]
fn commands_names_and_going_on_are_kept_with_the_breakpoint() {
    let (debuggee, args) = visits(Linkage::Pie);
    let mut driver = Driver::launching(&debuggee, &args);
    let first = driver.break_at("-name group visit if pass == 1");
    let second = driver.break_at("-name group -name other visit if pass == 2");
    let third = driver.break_at("visit if pass == 3");
    let commands = vec!["print pass".to_owned(), "continue".to_owned()];
    driver.ask(Command::Change(first, Change::Commands(commands.clone())));
    driver.ask(Command::Change(second, Change::AutoContinue(true)));
    driver.run();
    let stop = driver.go_to_stop();
    assert_eq!((hit(&stop), stop.commands, stop.auto_continue), (vec![first], commands, false));
    let stop = driver.go_to_stop();
    assert_eq!((hit(&stop), stop.auto_continue), (vec![second], true));
    driver.ask(Command::Enable { what: Selection::Named("group".to_owned()), enabled: false });
    assert_eq!(driver.mechanism(second), None);
    assert_eq!(hit(&driver.go_to_stop()), [third]);
    driver.ask(Command::Delete(Selection::Named("group".to_owned())));
    let missing = Command::Delete(Selection::Named("group".to_owned()));
    assert!(driver.try_ask(missing).unwrap_err().contains("`group`"));
    driver.go_to_end();
    driver.quit();
}

#[test]
fn one_location_of_several_can_be_disabled() {
    let debuggee = Debuggee::build("cpp_templates");
    let mut driver = Driver::launching(&debuggee, &["20"]);
    let id = driver.break_at("-hits '== 100000' Ring::push");
    let info = driver.breakpoint(id);
    assert_eq!(info.locations.len(), 2, "{info:?}");
    let location = LocationId { breakpoint: id, index: 1 };
    driver.ask(Command::Enable { what: Selection::Location(location), enabled: false });
    driver.run();
    driver.go_to_end();
    assert_eq!(driver.tally(id).passes, driver.said("int_pushes"));
    driver.ask(Command::Enable { what: Selection::Location(location), enabled: true });
    driver.run();
    driver.go_to_end();
    assert_eq!(driver.tally(id).passes, 3 * driver.said("int_pushes"));
    driver.quit();
}

#[test]
fn everything_can_be_changed_while_the_program_runs() {
    let debuggee = Debuggee::build("watched_shapes");
    let mut driver = Driver::launching(&debuggee, &["spin"]);
    driver.run();
    driver.go();
    let place = debuggee.mark("spin").spec();
    for round in 0..10_u64 {
        let mechanism = if round % 2 == 0 { Mechanism::Trap } else { Mechanism::Hardware };
        let flag = if round % 2 == 0 { "-trap" } else { "-hw" };
        let id = driver.break_at(&format!("{flag} -hits '== 100000000' {place}"));
        assert_eq!(driver.mechanism(id), Some(mechanism));
        let changes = [
            Change::Condition(Some("spun == 0".to_owned())),
            Change::Filter(Some("$_pid > 0".to_owned())),
            Change::Log(Some("{spun}".to_owned())),
            Change::Names(vec!["loop".to_owned()]),
            Change::Log(None),
            Change::Condition(Some("spun % 2 == 1".to_owned())),
            Change::ResetTally,
            Change::Ignore(3),
            Change::Hits(None),
        ];
        for change in changes {
            driver.ask(Command::Change(id, change));
        }
        let stop = driver.next_stop();
        assert_eq!(hit(&stop), [id], "{round}");
        assert_eq!(driver.print("spun % 2"), "1");
        let wrong = Command::Change(id, Change::Condition(Some("nosuch == 1".to_owned())));
        assert!(driver.try_ask(wrong).unwrap_err().contains("nosuch"));
        assert_eq!(driver.breakpoint(id).spec.condition.as_deref(), Some("spun % 2 == 1"));
        driver.delete(id);
        driver.go();
    }
    driver.ask(Command::Kill);
    driver.quit();
}

#[test]
fn words_that_cannot_be_read_are_refused_with_the_reason() {
    let (debuggee, args) = visits(Linkage::Pie);
    let driver = Driver::launching(&debuggee, &args);
    let check = |text: &str, expected: &str| {
        let error = match spec::code(text) {
            Ok(spec) => driver.try_ask(Command::Break(spec)).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("visit if pass ==", "expected an expression");
    check("visit if nosuch == 1", "nosuch");
    check("visit if pass.member == 1", "member");
    check("-log '{pass' visit", "}");
    check("-log '{nosuch}' visit", "nosuch");
    check("-hits '< 3' visit", "`< 3` is not a hit count");
    check("-filter 'pass == 1' visit", "a filter may not look at the program");
    let none = driver.breakpoints();
    assert_eq!(none, []);
    driver.quit();
}

#[test]
fn a_front_end_that_does_not_read_slows_the_program_and_loses_nothing() {
    const PASSES: u64 = 30_000;
    let debuggee = Debuggee::build("tight_loop");
    let mut driver = Driver::launching(&debuggee, &[&PASSES.to_string()]);
    let id = driver.break_at("-log 'i={i}' body");
    driver.run();
    driver.go();
    // Long enough for every pass, if nobody waited for us.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let behind = driver.tally(id).passes;
    assert!((10_000..12_000).contains(&behind), "{behind}");
    assert_eq!(driver.stop_or_end().unwrap_err(), trapline::ExitStatus::Exited(0));
    assert_eq!(driver.logs.len() as u64, PASSES);
    driver.quit();
}
