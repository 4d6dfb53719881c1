//! Thread-local variables are each thread's own, wherever the linker put them:
//! in the program, in a library loaded with it, in one that it loaded later.

mod support;

use support::Driver;
use trapline::Command;
use trapline::command::{Reply, ValueFormat};
use trapline_testkit::{Build, Debuggee, Linkage};

const NAMES: [&str; 3] = ["plain", "kept", "wide[0]"];

/// What the variables are at a mark, for each thread that comes there.
#[track_caller]
fn check(debuggee: &Debuggee, args: &[&str], mark: &str, expected: &[[&str; 3]]) {
    let mut driver = Driver::launching(debuggee, args);
    driver.break_at(&debuggee.mark(mark).spec());
    driver.run();
    let mut told = Vec::new();
    driver.go_to_end_through(|driver, _| told.push(NAMES.map(|name| said(driver, name))));
    assert_eq!(told, expected, "{mark}");
    driver.quit();
}

fn said(driver: &Driver, name: &str) -> String {
    let format = ValueFormat::default();
    match driver.try_ask(Command::Evaluate { expression: name.to_owned(), format }) {
        Ok(Reply::Text(text)) => text,
        Ok(other) => panic!("{other:?}"),
        Err(why) => why,
    }
}

#[test]
fn those_of_the_program_and_of_its_libraries_are_found() {
    for linkage in Linkage::RUNNABLE {
        for flags in [&[][..], &["-gsplit-dwarf"], &["-gsplit-dwarf", "-gdwarf-4"]] {
            let build = Build::new("thread_locals").linkage(linkage);
            let debuggee = flags.iter().fold(build, |build, flag| build.flag(flag)).build();
            let expected = [["45", "46", "119 'w'"], ["145", "46", "119 'w'"]];
            check(&debuggee, &[], "touched", &expected);
        }
    }
}

#[test]
fn a_library_loaded_later_has_them_where_they_are_used() {
    let library = Build::new("thread_locals").linkage(Linkage::Library).build();
    let library = library.path.to_str().expect("a path of ours");
    let debuggee = Debuggee::build("thread_locals");
    let expected = [["45", "46", "119 'w'"], ["145", "46", "119 'w'"]];
    check(&debuggee, &[library], "touched", &expected);
    let none = "this thread has no copy of it yet: one is made when the thread first uses it";
    let none = ["plain", "kept", "wide"].map(|name| format!("cannot evaluate {name}: {none}"));
    let none = none.each_ref().map(String::as_str);
    check(&debuggee, &[library], "untouched", &[none, none]);
}
