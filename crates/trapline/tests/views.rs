//! Values of library types as their views have them: those of C++ as gdb's
//! printers show them, those of Rust as in golden files, objects that are none
//! with a message, and all of them in conditions that the program decides.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::time::{Duration, Instant};

use support::Driver;
use support::gdb::Gdb;
use trapline::Command;
use trapline::command::{Reply, ValueFormat, VariableKind};
use trapline::event::VariableInfo;
use trapline_testkit::{Build, Compiler, Debuggee, golden};

/// Those whose views say more, or less, than gdb's printers: those number the
/// parts of tuples from one, name what `get` takes; name the types in optionals
/// and variants by their aliases; have nothing for arrays and functions; and show
/// what an iterator may point to.
const SHOWN_OTHERWISE: [&str; 9] = [
    "array",
    "at",
    "tuple",
    "some_text",
    "some_vector",
    "first",
    "second",
    "function",
    "no_function",
];

fn cpp(compiler: Compiler) -> Debuggee {
    Build::new("containers").compiler(compiler).flag("-std=c++20").flag("-Wno-unused").build()
}

fn rust() -> Debuggee {
    Build::new("containers_of_rust").build()
}

fn locals(driver: &Driver) -> Vec<(String, String)> {
    let Reply::Variables(all) = driver.ask(Command::Variables(VariableKind::Local)) else {
        panic!("no variables");
    };
    all.into_iter().map(|VariableInfo { name, value }| (name, value)).collect()
}

/// The locals at each of these marks.
fn ours(debuggee: &Debuggee, marks: &[&str]) -> Vec<Vec<(String, String)>> {
    let mut driver = Driver::launching(debuggee, &[]);
    for mark in marks {
        driver.break_at(&format!("-once {}", debuggee.mark(mark).spec()));
    }
    driver.run();
    let mut stops = Vec::new();
    driver.go_to_end_through(|driver, _| stops.push(locals(driver)));
    driver.quit();
    stops
}

fn gdbs(debuggee: &Debuggee, marks: &[&str]) -> Vec<Vec<(String, String)>> {
    let mut gdb = Gdb::with_printers();
    for mark in marks {
        gdb.say(&format!("tbreak {}", debuggee.mark(mark).spec()));
    }
    gdb.say("run");
    for _ in marks {
        gdb.say("echo ==\\n").say("info locals").say("echo ==end\\n").say("continue");
    }
    let told = gdb.told(debuggee, &[]);
    let stop = |part: &str| {
        let part = part.split("==end").next().unwrap();
        let pair = |line: &str| {
            let (name, value) = line.split_once(" = ")?;
            Some((name.to_owned(), value.to_owned()))
        };
        part.lines().filter_map(pair).collect()
    };
    told.split("==\n").skip(1).map(stop).collect()
}

#[track_caller]
fn check_beside_gdb(compiler: Compiler) {
    let debuggee = cpp(compiler);
    let marks = ["sequences", "lookups", "wrappers", "moved"];
    let (ours, gdbs) = (ours(&debuggee, &marks), gdbs(&debuggee, &marks));
    assert_eq!((ours.len(), gdbs.len()), (marks.len(), marks.len()));
    let mut compared = 0;
    for (ours, gdbs) in ours.iter().zip(&gdbs) {
        let names = |all: &[(String, String)]| -> Vec<String> {
            all.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(ours), names(gdbs));
        for (ours, gdbs) in ours.iter().zip(gdbs) {
            let otherwise = SHOWN_OTHERWISE.contains(&ours.0.as_str());
            assert!(otherwise || ours == gdbs, "{ours:?}\n{gdbs:?}");
            compared += usize::from(!otherwise);
        }
    }
    assert!(compared > 75, "{compared}");
}

#[test]
fn containers_of_gcc_are_shown_as_by_gdbs_printers() {
    check_beside_gdb(Compiler::Gcc);
}

#[test]
fn containers_of_clang_are_shown_as_by_gdbs_printers() {
    check_beside_gdb(Compiler::Clang);
}

/// Text without addresses.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| {
        told + "0x" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit())
    })
}

fn told(stops: Vec<Vec<(String, String)>>) -> String {
    let mut text = String::new();
    for stop in stops {
        for (name, value) in stop {
            text += &format!("{name} = {}\n", without_addresses(&value));
        }
        text.push('\n');
    }
    text
}

#[test]
fn containers_of_rust_are_shown_as_their_authors_think_of_them() {
    let stops = ours(&rust(), &["sequences", "lookups", "wrappers"]);
    golden::check("views/rust.txt", &told(stops));
}

/// What is listed as shown otherwise than by gdb.
#[test]
fn what_gdb_shows_otherwise() {
    let stops = ours(&cpp(Compiler::Gcc), &["sequences", "lookups", "wrappers"]);
    let otherwise = |all: Vec<(String, String)>| -> Vec<_> {
        all.into_iter().filter(|(name, _)| SHOWN_OTHERWISE.contains(&name.as_str())).collect()
    };
    golden::check("views/cpp_otherwise.txt", &told(stops.into_iter().map(otherwise).collect()));
}

/// Garbage has many elements and many texts, and no end: none of it may take
/// long, or show what is not there.
#[test]
fn objects_that_are_none_are_shown_in_no_time() {
    let debuggee = cpp(Compiler::Gcc);
    let mut driver = Driver::launching(&debuggee, &[]);
    for place in ["sequences", "lookups", "wrappers", "moved"] {
        driver.break_at(&format!("-once {place}"));
    }
    driver.break_at(&debuggee.mark("overwritten").spec());
    driver.run();
    let mut stops = 0;
    driver.go_to_end_through(|driver, _| {
        let start = Instant::now();
        let all = locals(driver);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert!(all.iter().all(|(_, value)| !value.is_empty() && value.len() < 1 << 20), "{all:?}");
        stops += 1;
    });
    assert_eq!(stops, 4 + 9);
    driver.quit();
}

#[test]
fn what_is_wrong_with_an_object_is_said() {
    let debuggee = cpp(Compiler::Gcc);
    let mut driver = Driver::launching(&debuggee, &[]);
    driver.break_at(&format!("{} if pattern == 0x41", debuggee.mark("overwritten").spec()));
    driver.run();
    driver.go_to_stop();
    let check = |expression: &str, expected: &str| {
        let told = driver.print(expression);
        assert!(told.starts_with(expected), "{expression}: {told}");
    };
    check("text.object", "<error: Cannot access memory at address 0x4141414141414141>");
    check("vector.object", "std::vector of length 0, capacity 0");
    check(
        "list.object",
        "std::__cxx11::list = {[0] = <error: Cannot access memory at address 0x4141414141414151>}",
    );
    check(
        "map.object",
        "std::map with 4702111234474983745 elements = {<error: Cannot access memory at",
    );
    check("variant.object", "std::variant [index 65]");
    driver.quit();
}

/// Breakpoints with conditions over views, decided by the program and by us.
#[track_caller]
fn check_conditions(debuggee: &Debuggee, rows: &[(&str, &str, &str)]) {
    for mechanism in ["-jump", "-trap"] {
        let mut driver = Driver::launching(debuggee, &[]);
        driver.as_written();
        // Hits are counted and nothing stops.
        let set = |(mark, condition, _): &(&str, &str, &str)| {
            let place = debuggee.mark(mark).spec();
            driver.break_at(&format!("{mechanism} -hits '== 1000000000' {place} if {condition}"))
        };
        let ids: Vec<_> = rows.iter().map(set).collect();
        driver.run();
        driver.go_to_end();
        for (id, (_, condition, key)) in ids.into_iter().zip(rows) {
            let tally = driver.tally(id);
            assert_eq!(tally.passes, 2000, "{condition}");
            assert_eq!(tally.hits, driver.said(key), "{mechanism} {condition}");
        }
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn conditions_over_cpp_containers_run_in_the_program() {
    check_conditions(
        &cpp(Compiler::Gcc),
        &[
            ("greet", "name == \"alice\"", "alices"),
            ("count", "people.size() > 3", "longs"),
            ("count", "people.size() > 1 && people[1].id == 5", "fives"),
            ("share", "person->id == 2 && person->name == \"bob\"", "shared"),
            ("share", "(*person).id == 2 && view == \"bob\"", "shared"),
            (
                "share",
                "person.get()->id == 2 && person->name == view && view.size() == 3",
                "shared",
            ),
            ("count", "people.size() - 1 > 100", "empty"),
            ("share", "person && person->id == 2 && view == \"bob\"", "shared"),
            ("share", "person != nullptr and not (view != \"bob\") && (*person).id == 2", "shared"),
        ],
    );
}

#[test]
fn conditions_over_rust_containers_run_in_the_program() {
    check_conditions(
        &rust(),
        &[
            ("greet", "name == \"alice\"", "alices"),
            ("greet", "name.len() == 5 && short == \"al\"", "alices"),
            ("count", "people.len() > 3 && shared.name == \"bob\"", "longs"),
            ("count", "people.len() > 1 && people[1].id == 5", "fives"),
        ],
    );
}

#[test]
fn what_is_asked_of_special_objects_is_theirs() {
    for compiler in [Compiler::Gcc, Compiler::Clang] {
        let debuggee = cpp(compiler);
        let mut driver = Driver::launching(&debuggee, &[]);
        for mark in ["special", "local_long", "local_short"] {
            driver.break_at(&debuggee.mark(mark).spec());
        }
        driver.run();
        let check = |driver: &Driver, expression: &str, expected: &str| {
            assert_eq!(driver.print(expression), expected, "{expression} {compiler:?}");
        };
        driver.go_to_stop();
        check(&driver, "*maybe", "3");
        check(&driver, "*maybe < 10", "true");
        check(&driver, "owner->id", "5");
        check(&driver, "(*owner).name", "\"five\"");
        check(&driver, "*at", "6");
        check(&driver, "handle", "std::unique_ptr<int> = {get() = {number = 7}}");
        check(&driver, "numbers[1]", "5");
        check(&driver, "shared_numbers[1]", "8");
        check(&driver, "crowd.size()", "1");
        check(&driver, "crowd[0].name", "\"one\"");
        check(&driver, "title == \"sir\"", "true");
        check(&driver, "title.size()", "3");
        check(&driver, "real * 2", "3");
        check(&driver, "no_bits", "std::bitset");
        check(&driver, "short_one[1]", "2");
        check(&driver, "!emptied", "true");
        check(&driver, "owner == nullptr", "false");
        check(&driver, "NULL != owner", "true");
        check(&driver, "emptied ? 1 : 2", "2");
        check(&driver, "owner && *at == 6", "true");
        for (expression, why) in [
            ("short_one[2]", "short_one[2] is not there: there is no element 2: there are 2"),
            ("short_one[-1]", "there is no element -1: there are 2"),
            ("*emptied", "*emptied is not there: it leads nowhere"),
            ("emptied.value()", "emptied.value() is not there: it has no `value`"),
            ("crowd.nothing()", "its view has `size()`"),
            ("crowd._count()", "its view has `size()`"),
        ] {
            let (expression, format) = (expression.to_owned(), ValueFormat::default());
            let told = driver.try_ask(Command::Print { expression, format }).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        driver.go_to_stop();
        check(&driver, "owner->id", "1");
        check(&driver, "at->id", "3");
        driver.go_to_stop();
        check(&driver, "*owner", "{id = 2}");
        check(&driver, "*at", "{id = 4}");
        driver.quit();
    }
}

#[test]
fn records_can_be_shown_as_they_are() {
    let debuggee = cpp(Compiler::Gcc);
    let mut driver = Driver::launching(&debuggee, &[]);
    driver.break_at(&debuggee.mark("wrappers").spec());
    driver.run();
    driver.go_to_stop();
    let show = |expression: &str, letter: Option<char>, raw: bool| {
        let format = ValueFormat { letter, raw };
        let asked = Command::Evaluate { expression: expression.to_owned(), format };
        let Reply::Text(text) = driver.ask(asked) else { panic!("no text") };
        text
    };
    assert_eq!(show("pair.first", Some('x'), true), "0x1");
    assert_eq!(show("*owned", None, false), "7");
    assert_eq!(
        show("some_vector", Some('x'), false),
        show("some_vector", None, false).replace("{1}", "{0x1}")
    );
    assert!(show("some", None, true).contains("_M_engaged = true"));
    driver.quit();
}

#[test]
fn views_of_the_users_own_come_first() {
    let debuggee = cpp(Compiler::Gcc);
    let mut driver = Driver::launching(&debuggee, &[]);
    driver.break_at(&debuggee.mark("count").spec());
    driver.run();
    driver.go_to_stop();
    driver.go_to_stop();
    let load = |text: &str| {
        let (name, text) = ("own.views".to_owned(), text.to_owned());
        driver.try_ask(Command::AddViews { name, text })
    };
    let text = "view Person\n    let twice = id * 2\n    show \"{name} ({twice})\"\n";
    assert!(matches!(load(text), Ok(Reply::Text(told)) if told == "1 view from own.views."));
    assert_eq!(driver.print("people[0]"), "\"alic\" (2)");
    assert_eq!(driver.print("people[0].twice()"), "2");
    assert_eq!(
        load("view Person\n  shwo 1").unwrap_err(),
        "own.views:2: `shwo` is no word of views"
    );
    // Views of what they are views of come to an end.
    for text in ["view Person\n is *this_one\n", "view Person\n let again = name\n is again\n"] {
        assert!(load(text).is_ok());
    }
    assert_eq!(driver.print("people[0]"), "\"alic\"");
    // A view that does not fit says so and leaves the record as it is.
    assert!(load("view Person\n    let old = age\n").is_ok());
    let told = driver.print("people[0]");
    assert_eq!(told, "\"alic\"", "the next view that fits");
    assert!(load("view std::vector<*>\n    let old = age\n").is_ok());
    assert!(driver.print("people").starts_with("std::vector of length 1"));
    driver.quit();
}
