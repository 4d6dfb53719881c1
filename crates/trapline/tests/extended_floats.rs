//! Floats of ten bytes are shown to their last bit, and compared by all of them.

mod support;

use support::said::{check, check_hits, check_ours, last_of};
use trapline_testkit::{Build, Debuggee};

#[test]
fn they_are_shown_as_the_shortest_text_that_means_them() {
    for build in Build::new("extended_floats").by_each(&["-O0"]) {
        check_ours(
            &build.build(),
            "look",
            &[
                ("print big", "$1 = 1e+4000"),
                ("print tiny", "$1 = 1e-4940"),
                ("print pi", "$1 = 3.1415926535897932385"),
                (
                    "print several",
                    "$1 = {1, -0.1, 100000000000000000000, 1e+21, 0.0001, 1e-05, \
                     0.33333333333333333334}",
                ),
                ("print both", "$1 = {first = 3.1415926535897932385, second = 3.5}"),
                ("print most", "$1 = 1.189731495357231765e+4932"),
                ("print least", "$1 = 4e-4951"),
            ],
        );
    }
}

#[test]
fn what_is_no_usual_number_is_shown_as_gdb_shows_it() {
    let lines = [
        "print endless",
        "print none",
        "print zero",
        "print several[0]",
        "print several[2]@2",
        "print /x pi",
        "whatis pi",
        "print (int)*to_pi",
    ];
    check(&Debuggee::build("extended_floats"), "look", &lines);
}

#[test]
fn floats_of_other_sizes_are_shown() {
    check_ours(
        &Build::new("extended_floats").build(),
        "look",
        &[
            ("print half", "$1 = 1.5"),
            ("print tenth", "$1 = 0.1"),
            ("print quad", "$1 = 0.5"),
            ("print third", "$1 = 0.3333333333333333333333333333333333"),
        ],
    );
}

#[test]
fn conditions_compare_every_bit() {
    check_hits(
        &Debuggee::build("extended_floats"),
        &[
            ("look", "tiny != 0", 3),
            ("look", "tiny", 3),
            ("look", "!tiny", 0),
            ("look", "tiny > 0 && -1 < tiny", 3),
            ("look", "big < 1.0/0", 3),
            ("look", "big == endless", 0),
            ("look", "pi > 3.1415926535897931", 3),
            ("look", "pi == 3.1415926535897931", 0),
            ("look", "*to_pi == pi && both.first == pi", 3),
            ("look", "none == none", 0),
            ("look", "none != none && zero == 0", 3),
        ],
    );
}

#[test]
fn what_is_out_of_the_range_of_doubles_is_not_computed_with() {
    check_ours(
        &Debuggee::build("extended_floats"),
        "look",
        &[
            (
                "print tiny * 2",
                "cannot evaluate tiny: the number is out of the range of `double`, in which is \
                 computed; it can be printed and compared as it is\n  tiny * 2\n  ^^^^",
            ),
            ("print pi * 2", "$1 = 6.283185307179586"),
        ],
    );
}

#[test]
fn finish_shows_those_that_are_returned() {
    for build in Build::new("extended_floats").by_each(&["-O0"]) {
        let told = last_of(&build.build(), "halved", "finish");
        assert_eq!(told, "Value returned is $1 = 1.5707963267948966193");
    }
}
