//! Functions are found however C++ lets their names be written..
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::Driver;
use trapline::command::BreakpointInfo;
use trapline_testkit::Build;

/// The lines of a breakpoint's locations.
fn lines(info: &BreakpointInfo) -> Vec<u32> {
    info.locations.iter().filter_map(|location| location.line).collect()
}

#[test]
fn operators_tags_and_qualifiers_are_read_as_cpp_reads_them() {
    for build in Build::new("cpp_names").by_each(&["-O0"]) {
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
