//! What outlives a process: breakpoints on addresses and lines, watches on
//! every kind of memory, the numbers of threads; and what is said of that which
//! does not. gdb's behaviour is the measure.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, hit};
use trapline::command::{Selection, Setting};
use trapline::event::{Event, StopReason};
use trapline::{Access, BreakpointId, Command, LaunchSpec, LocationId, spec};
use trapline_testkit::{Build, Debuggee, Linkage};

const WRITE: Access = Access::Write;

/// Stands at a mark of the debuggee.
fn at_mark(debuggee: &Debuggee, mark: &str) -> (Driver, BreakpointId) {
    let mut driver = Driver::launching(debuggee, &[]);
    let place = driver.break_at(&debuggee.mark(mark).spec());
    driver.run();
    assert_eq!(hit(&driver.go_to_stop()), [place]);
    (driver, place)
}

/// Starts the program anew; the process before is killed.
fn again(driver: &mut Driver) {
    let before = driver.pid.unwrap();
    driver.run();
    driver.wait_for(|event| match event {
        Event::ProcessExited { pid, .. } if *pid == before => Some(()),
        _ => None,
    });
}

/// What was said of a breakpoint since the last time, in order.
fn told(driver: &mut Driver, id: BreakpointId) -> Vec<String> {
    let is_told =
        |event: &Event| matches!(event, Event::BreakpointChanged { id: of, .. } if *of == id);
    let (told, rest) = std::mem::take(&mut driver.seen).into_iter().partition(is_told);
    driver.seen = rest;
    let what = |event| match event {
        Event::BreakpointChanged { what, .. } => what,
        other => panic!("{other:?}"),
    };
    Vec::into_iter(told).map(what).collect()
}

#[track_caller]
fn contains(texts: &[String], wanted: &[&str]) {
    let all = texts.len() == wanted.len() && texts.iter().zip(wanted).all(|(t, w)| t.contains(w));
    assert!(all, "{texts:?} instead of {wanted:?}");
}

/// The old and new values of a stop.
fn values(stop: &trapline::event::StopReport) -> Vec<(Option<String>, Option<String>)> {
    let of = |reason: &StopReason| match reason {
        StopReason::Data { old, new, .. } => Some((old.clone(), new.clone())),
        _ => None,
    };
    stop.reasons.iter().filter_map(of).collect()
}

fn some(old: &str, new: &str) -> (Option<String>, Option<String>) {
    (Some(old.to_owned()), Some(new.to_owned()))
}

#[test]
fn conditions_read_the_memory_of_the_process_at_hand_wherever_it_lies() {
    let debuggee = Debuggee::build("restarted");
    let mut driver = Driver::new();
    let randomize_addresses = true;
    let program = LaunchSpec { randomize_addresses, ..driver.launch_spec(&debuggee) };
    driver.ask(Command::Program(program));
    let first = debuggee.mark("first").spec();
    let conditions = ["local == 1", "fixed == 1", "own == 1", "*&fixed == local", "fill == &fill"];
    let set = conditions.map(|condition| driver.break_at(&format!("{first} if {condition}")));
    let [local, fixed, own, joined, function] = set;
    driver.run();
    for _ in 0..3 {
        assert_eq!(hit(&driver.go_to_stop()), [joined, function]);
        assert_eq!(hit(&driver.go_to_stop()), [local, fixed, own, joined, function]);
        again(&mut driver);
    }
    driver.quit();
}

#[test]
fn a_watch_through_a_pointer_is_found_again_once_the_pointer_is_set() {
    let debuggee = Debuggee::build("restarted");
    let (mut driver, place) = at_mark(&debuggee, "filled");
    let watch = driver.watch("shared->first", WRITE);
    let notes = driver.breakpoint(watch).notes.join("; ");
    assert!(notes.contains("does not follow it"), "{notes}");
    assert_eq!(values(&driver.go_to_stop()), [some("0", "1")]);
    again(&mut driver);
    assert_eq!(hit(&driver.go_to_stop()), [place]);
    contains(
        &told(&mut driver, watch),
        &["pending: `shared->first` would be at 0x0", "watches 0x"],
    );
    assert_eq!(values(&driver.go_to_stop()), [some("0", "1")]);
    driver.delete(watch);
    driver.go_to_end();
    driver.quit();
}

#[test]
fn a_watch_on_a_plain_address_is_armed_before_there_is_memory() {
    let debuggee = Debuggee::build("restarted");
    let (mut driver, place) = at_mark(&debuggee, "filled");
    let heap = driver.print("(long)shared");
    let typed = driver.watch(&format!("*(int *){heap}"), WRITE);
    again(&mut driver);
    // The allocator may write there before the program does.
    while hit(&driver.go_to_stop()) != [place] {}
    contains(&told(&mut driver, typed), &["watches 0x"]);
    assert_eq!(values(&driver.go_to_stop()), [some("0", "1")]);
    driver.delete(typed);
    driver.go_to_end();
    driver.quit();
}

#[test]
fn a_watch_on_a_frame_ends_with_its_process_and_says_so() {
    let debuggee = Debuggee::build("restarted");
    let (mut driver, place) = at_mark(&debuggee, "first");
    let local = driver.watch("local", WRITE);
    let through = driver.watch("pair->second", WRITE);
    let global = driver.watch("fixed", WRITE);
    again(&mut driver);
    for (watch, what) in [(local, "`local`"), (through, "`pair->second`")] {
        contains(&told(&mut driver, watch), &["the frame it watched a variable of has ended"]);
        assert!(driver.warnings.iter().any(|text| text.contains(what)), "{:?}", driver.warnings);
    }
    let left = driver.breakpoints();
    assert_eq!(left.iter().map(|info| info.id).collect::<Vec<_>>(), [place, global]);
    driver.delete(place);
    assert_eq!(values(&driver.go_to_stop()), [some("0", "1")]);
    driver.ask(Command::Kill);
    driver.quit();
}

#[test]
fn a_watch_on_thread_local_data_is_of_the_thread_it_was_set_in() {
    let debuggee = Debuggee::build("restarted");
    let (mut driver, place) = at_mark(&debuggee, "work");
    assert_eq!(driver.print("own"), "0");
    let own = driver.watch("own", WRITE);
    assert_eq!(values(&driver.go_to_stop()), [some("0", "100")]);
    assert_eq!(values(&driver.go_to_stop()), [some("100", "200")]);
    driver.delete(place);
    driver.delete(own);
    let first = driver.break_at(&debuggee.mark("first").spec());
    again(&mut driver);
    assert_eq!(hit(&driver.go_to_stop()), [first]);
    driver.watch("own", WRITE);
    driver.delete(first);
    let changes = [some("0", "1"), some("1", "3"), some("3", "6")];
    for change in changes {
        assert_eq!(values(&driver.go_to_stop()), [change], "the other thread has its own");
    }
    driver.go_to_end();
    driver.quit();
}

#[test]
fn global_data_can_be_watched_before_the_program_runs() {
    let debuggee = Debuggee::build("restarted");
    let mut driver = Driver::launching(&debuggee, &[]);
    let watch = driver.watch("fixed", WRITE);
    contains(&driver.breakpoint(watch).notes, &["pending: no program runs"]);
    driver.run();
    assert_eq!(values(&driver.go_to_stop()), [some("0", "1")]);
    driver.delete(watch);
    driver.go_to_end();
    let local = Command::Break(spec::data("local", WRITE).unwrap());
    let why = driver.try_ask(local).unwrap_err();
    assert!(why.contains("no symbol `local`") && why.contains("while no program runs"), "{why}");
    driver.quit();
}

#[test]
fn watches_follow_into_children_and_those_on_frames_say_that_they_do_not() {
    let debuggee = Debuggee::build("forks");
    let mut driver = Driver::launching(&debuggee, &["5", "10"]);
    driver.set(Setting::FollowChildren(true));
    driver.break_at("-once main");
    driver.run();
    driver.go_to_stop();
    let global = driver.watch("-written -hits '== 100000' passes", WRITE);
    let framed = driver.watch("-written -hits '== 100000' argc", WRITE);
    driver.go_to_end_through(|_, stop| {
        assert!(matches!(stop.reasons[..], [StopReason::ScopeEnded { .. }]), "{:?}", stop.reasons);
    });
    let (parent, children) = (driver.said("parent_passes"), driver.said("children"));
    assert_eq!(driver.tally(global).passes, parent + 10 * children);
    let said = format!("watch {framed} on `argc` does not follow");
    let times = driver.warnings.iter().filter(|text| text.starts_with(&said)).count();
    assert_eq!(times, 1, "{:?}", driver.warnings);
    driver.quit();
}

#[test]
fn threads_are_numbered_from_1_in_every_run() {
    let debuggee = Debuggee::build("restarted");
    let (mut driver, place) = at_mark(&debuggee, "work");
    for _ in 0..3 {
        let numbers: Vec<u32> = driver.threads().iter().map(|thread| thread.number).collect();
        assert_eq!(numbers, [1, 2]);
        again(&mut driver);
        let stop = driver.go_to_stop();
        assert_eq!((hit(&stop), stop.thread), (vec![place], 2));
    }
    driver.ask(Command::Kill);
    driver.quit();
}

#[test]
fn addresses_are_found_before_the_program_runs_or_say_why_not() {
    let debuggee = Debuggee::build("restarted");
    let mut driver = Driver::launching(&debuggee, &[]);
    let check = |text: &str, bound: usize, note: &str| {
        let id = driver.break_at(text);
        let info = driver.breakpoint(id);
        let notes = info.notes.join("; ");
        assert!(info.locations.len() == bound && notes.contains(note), "{text}: {info:?}");
        id
    };
    let address = check("*&fill", 1, "");
    let library = check("*&puts", 0, "pending: no symbol `puts`");
    let register = check("*$rip", 0, "pending: cannot evaluate $rip: the program is not running");
    let unknown = check("*nosuch", 0, "pending: no symbol `nosuch`");
    let number = check("*0x1000", 0, "pending: the program may be loaded anywhere");
    let why = driver.try_ask(Command::Break(spec::code("").unwrap())).unwrap_err();
    assert!(why.contains("no program stands anywhere yet"), "{why}");
    driver.run();
    for _ in 0..2 {
        assert_eq!(hit(&driver.go_to_stop()), [address]);
        assert_eq!(driver.breakpoint(library).locations.len(), 1);
        for id in [register, unknown] {
            let info = driver.breakpoint(id);
            assert!(info.locations.is_empty() && info.notes[0].contains("pending: "), "{info:?}");
        }
        contains(&driver.warnings, &["Cannot access memory at address 0x1000"]);
        driver.warnings.clear();
        again(&mut driver);
    }
    driver.delete(number);
    driver.ask(Command::Kill);
    driver.quit();
}

#[test]
fn a_place_where_the_program_stood_stays_the_same_place() {
    let debuggee = Debuggee::build("restarted");
    let (mut driver, place) = at_mark(&debuggee, "first");
    let line = debuggee.mark("first").line;
    let location = |driver: &Driver, text: &str| {
        let info = driver.breakpoint(driver.break_at(text));
        (info.id, info.locations[0].line.unwrap())
    };
    let (bare, at) = location(&driver, &(line + 1).to_string());
    assert_eq!(at, line + 1);
    assert_eq!(location(&driver, "+2").1, line + 2);
    assert_eq!(location(&driver, "-2").1, line - 2);
    let (here, at) = location(&driver, "");
    assert_eq!(at, line);
    let outside = spec::code("-100000").unwrap();
    let why = driver.try_ask(Command::Break(outside)).unwrap_err();
    assert!(why.contains("is no line of"), "{why}");
    again(&mut driver);
    assert_eq!(driver.go_to_stop().frame.line, Some(line - 2));
    let mut both = hit(&driver.go_to_stop());
    both.sort_unstable();
    assert_eq!(both, [place, here]);
    assert_eq!(hit(&driver.go_to_stop()), [bare]);
    driver.ask(Command::Kill);
    driver.quit();
}

/// Two builds of a program with a global at different places.
fn two_builds() -> [Debuggee; 2] {
    let build = |padding| Build::new("becomes_another").flag(padding).build();
    [build("-DPADDING=1"), build("-DPADDING=5000")]
}

#[test]
fn a_watch_follows_its_name_into_another_program() {
    let [one, other] = two_builds();
    let mut driver = Driver::launching(&one, &[other.path.to_str().unwrap()]);
    let id = driver.watch("state", WRITE);
    driver.run();
    let mut places = Vec::new();
    driver.go_to_end_through(|driver, stop| {
        assert_eq!(values(stop), [some("1", "2")]);
        let locations = driver.breakpoint(id).locations;
        assert_eq!(locations.len(), 1, "{locations:#?}");
        places.push(locations[0].address);
    });
    assert!(places.len() == 2 && places[0] != places[1], "{places:?}");
    // Where it was is another place in a program that is named later.
    let next = driver.launch_spec(&other);
    driver.ask(Command::Program(next));
    driver.run();
    assert_eq!(values(&driver.go_to_stop()), [some("1", "2")]);
    assert_eq!(driver.breakpoint(id).locations[0].address, places[1]);
    driver.go_to_end();
    driver.quit();
}

#[test]
fn a_watch_follows_its_library_to_another_address() {
    let plugin = Build::new("plugin").linkage(Linkage::Library).build();
    let program = Debuggee::build("dlopen_plugin");
    let mut driver = Driver::launching(&program, &[plugin.path.to_str().unwrap(), "4", "3"]);
    let loaded = driver.break_at("-once loaded");
    driver.run();
    assert_eq!(hit(&driver.go_to_stop()), [loaded]);
    let id = driver.watch("plugin_state", WRITE);
    let notes = driver.breakpoint(id).notes.join("; ");
    assert!(!notes.contains("does not follow it"), "{notes}");
    let mut seen = Vec::new();
    driver.go_to_end_through(|_, stop| seen.extend(values(stop)));
    let round = [some("40", "41"), some("41", "43"), some("43", "46")];
    assert_eq!(seen, [round.clone(), round.clone(), round.clone(), round].concat());
    assert_eq!(driver.tally(id).hits, 12);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn a_location_disabled_in_a_library_stays_so_when_it_is_loaded_again() {
    let plugin = Build::new("plugin").linkage(Linkage::Library).build();
    let program = Debuggee::build("dlopen_plugin");
    let mut driver = Driver::launching(&program, &[plugin.path.to_str().unwrap(), "3", "5"]);
    let id = driver.break_at("-hits '== 1000' plugin_entry");
    let loaded = driver.break_at("loaded");
    driver.run();
    let mut states = Vec::new();
    driver.go_to_end_through(|driver, stop| {
        assert_eq!(hit(stop), [loaded]);
        let location = driver.breakpoint(id).locations[0].clone();
        states.push(location.enabled);
        let what = Selection::Location(location.id);
        match states.len() {
            1 => drop(driver.ask(Command::Enable { what, enabled: false })),
            2 => drop(driver.ask(Command::Enable { what, enabled: true })),
            _ => {}
        }
    });
    assert_eq!(states, [true, false, true]);
    assert_eq!(driver.tally(id).passes, 5 + 5);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn another_program_is_for_the_next_run() {
    let [one, other] = two_builds();
    let mut driver = Driver::launching(&one, &[]);
    let main = driver.break_at("main");
    let end = driver.break_at(&one.mark("end").spec());
    driver.run();
    assert_eq!(hit(&driver.go_to_stop()), [main]);
    let next = driver.launch_spec(&other);
    driver.ask(Command::Program(next));
    assert_eq!(hit(&driver.go_to_stop()), [end]);
    driver.go_to_end();
    driver.run();
    assert_eq!(hit(&driver.go_to_stop()), [main]);
    assert_eq!(driver.print("sizeof padding"), "5000");
    assert_eq!(hit(&driver.go_to_stop()), [end]);
    driver.go_to_end();
    driver.quit();
}

#[test]
fn what_is_said_of_locations_outlives_a_change_of_how_the_program_starts() {
    let debuggee = Debuggee::build("cpp_templates");
    let mut driver = Driver::launching(&debuggee, &["20"]);
    let id = driver.break_at("geometry::scale");
    let numbers = |driver: &Driver| -> Vec<(u32, bool)> {
        let locations = driver.breakpoint(id).locations;
        locations.iter().map(|location| (location.id.index, location.enabled)).collect()
    };
    let disabled = LocationId { breakpoint: id, index: 1 };
    driver.ask(Command::Enable { what: Selection::Location(disabled), enabled: false });
    let before = numbers(&driver);
    assert!(before.len() > 1 && !before[0].1, "{before:?}");
    for args in ["1", "2"] {
        let spec = LaunchSpec { args: vec![args.into()], ..driver.launch_spec(&debuggee) };
        driver.ask(Command::Program(spec));
        driver.run();
        assert_eq!(numbers(&driver), before);
    }
    driver.quit();
}

#[test]
fn a_program_that_becomes_shorter_is_told_and_is_whole_when_named_again() {
    let debuggee = Debuggee::build("restarted");
    let mut driver = Driver::new();
    let program = driver.folder().join("program");
    std::fs::copy(&debuggee.path, &program).unwrap();
    let named = LaunchSpec { program: program.clone(), ..driver.launch_spec(&debuggee) };
    driver.ask(Command::Program(named.clone()));
    std::fs::write(&program, []).unwrap();
    let place = driver.break_at("main");
    let told = driver.wait_for(|event| match event {
        Event::Warning(text) => Some(text.clone()),
        _ => None,
    });
    let start = format!("{} became shorter while it was in use", program.display());
    assert!(told.starts_with(&start), "{told}");

    std::fs::copy(&debuggee.path, &program).unwrap();
    driver.ask(Command::Program(named));
    assert_eq!(driver.breakpoint(place).locations.len(), 1);
    driver.run();
    assert_eq!(hit(&driver.go_to_stop()), [place]);
    driver.ask(Command::Kill);
    driver.quit();
}
