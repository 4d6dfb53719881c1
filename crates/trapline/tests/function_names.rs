//! Functions are found however C++ lets their names be written, and what is
//! said of those that are not found helps.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::Driver;
use trapline::command::BreakpointInfo;
use trapline_testkit::{Build, Linkage};

/// The lines of a breakpoint's locations.
fn lines(info: &BreakpointInfo) -> Vec<u32> {
    info.locations.iter().filter_map(|location| location.line).collect()
}

#[test]
fn operators_tags_and_qualifiers_are_read_as_cpp_reads_them() {
    // With types in units of their own the classes' names are there.
    for build in Build::new("cpp_names").by_each(&["-O0", "-fdebug-types-section"]) {
        let debuggee = build.build();
        let driver = Driver::launching(&debuggee, &[]);
        let check = |place: &str, marks: &[&str]| {
            let info = driver.breakpoint(driver.break_at(place));
            let marked: Vec<u32> = marks.iter().map(|mark| debuggee.mark(mark).line).collect();
            assert_eq!(lines(&info), marked, "{place}: {:?}", info.notes);
        };
        check("M::operator++()", &["before"]);
        check("M::operator++(int)", &["behind"]);
        check("operator++", &["before", "behind"]);
        check("M::name", &["name"]);
        check("M::name[abi:zz]", &["name"]);
        check("M::name[abi:zz]() const", &["name"]);
        check("'Tag[abi:zz]::get'", &["get"]);
        check("M::ov(const char*)", &["ov_const"]);
        check("M::ov(char const *) const", &["ov_const"]);
        check("M::ov(char*)", &["ov"]);
        check("M::ov(char *const)", &[]);
        check("tf<const char*>", &["tf"]);
        check("tf<char const *>", &["tf"]);
        check("tf", &["tf", "tf"]);
        driver.quit();
    }
}

#[test]
fn equal_reasons_are_told_once() {
    let debuggee = Build::new("cpp_names").build();
    let driver = Driver::launching(&debuggee, &[]);
    let info = driver.breakpoint(driver.break_at("many if wanted == 1"));
    assert_eq!(lines(&info), [debuggee.mark("wanted").line]);
    assert_eq!(info.notes, ["not set at 2 places in many: no symbol `wanted` in this context"]);
    driver.quit();
}

#[test]
fn a_name_is_no_hint_for_itself() {
    let debuggee = Build::new("recursion").linkage(Linkage::HostedLibrary).build();
    let driver = Driver::launching(&debuggee, &[]);
    // The program only declares it.
    let info = driver.breakpoint(driver.break_at("debuggee_main"));
    assert_eq!(info.notes, ["pending: Function \"debuggee_main\" not defined."]);
    let info = driver.breakpoint(driver.break_at("debuggee_mian"));
    assert_eq!(info.notes.len(), 2, "{:?}", info.notes);
    driver.quit();
}
