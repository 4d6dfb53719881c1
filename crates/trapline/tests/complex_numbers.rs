//! Complex numbers are shown as gdb shows them.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Debuggee};

#[test]
fn complex_numbers_are_shown_as_sums() {
    for build in Build::new("complex_numbers").by_each(&["-O0", "-O1"]) {
        let debuggee = build.build();
        let shown = [
            "print doubled",
            "print single",
            "print extended",
            "print none",
            "print several",
            "print wave",
            "print to_doubled",
            "print *to_doubled",
            "info args",
            "whatis doubled",
            "whatis wave.phase",
            "ptype single",
            "ptype extended",
            "print sizeof doubled",
            "print $_creal(doubled)",
            "print $_cimag(doubled)",
            "print $_creal(wave.phase) + 1",
            "print $_cimag(extended)",
        ];
        check(&debuggee, "look", &shown);
    }
}

#[test]
fn what_gdb_does_not_know_of_them_is_known() {
    check_ours(
        &Debuggee::build("complex_numbers"),
        "look",
        &[
            ("print whole", "$1 = 3 + -4i"),
            ("print $_cimag(whole)", "$1 = -4"),
            ("print __real__ doubled", "$1 = 1.5"),
            ("print -__imag__ doubled * 2", "$1 = 4.5"),
            ("print __imag several[1]", "$1 = 4"),
            ("whatis __real__ single", "type = float"),
            (
                "print $_creal(wave.order)",
                "`int` is no complex number\n  $_creal(wave.order)\n          ^^^^^^^^^^",
            ),
            (
                "print doubled + 1",
                "a value of type `complex double` cannot be computed with\n  doubled + 1\n  ^^^^^^^",
            ),
        ],
    );
}

#[test]
fn the_program_itself_decides_by_their_parts() {
    check_hits(
        &Debuggee::build("complex_numbers"),
        &[
            ("look", "__real__ by == 1.5 && $_cimag(by) < -2", 1),
            ("look", "$_creal(single) > 0", 0),
            ("look", "__imag__ whole == -4 && $_cimag(wave.phase) == 8", 1),
        ],
    );
}

#[test]
fn finish_shows_those_that_are_returned() {
    for build in Build::new("complex_numbers").by_each(&["-O0"]) {
        let debuggee = build.build();
        for (mark, shown) in [("look", "2.25 + 1.5i"), ("single", "-1 + 6i"), ("whole", "4 + -3i")]
        {
            let told = support::said::last_of(&debuggee, mark, "finish");
            assert_eq!(told, format!("Value returned is $1 = {shown}"), "{mark}");
        }
    }
}
