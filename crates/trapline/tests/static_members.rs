//! Static members and the names of enumerations are shown as gdb shows them.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Debuggee};

#[test]
fn static_members_stand_among_those_of_objects() {
    for build in Build::new("static_members").by_each(&["-O0"]) {
        let debuggee = build.build();
        let shown = [
            "print plan",
            "print Plan::best",
            "print plan.made",
            "print plan.best.made",
            "print &plan.made",
            "print till",
            "print till.all",
            "print few",
            "print shop::Kept<int>::last",
            "print sizeof (shop::Kept<long>)",
            "print shop::Kept<int>::last < shop::Kept<long>::last",
            "print many",
            "print many.last",
            "print few.last + many.last",
            "print plan.limit",
            "print plan.share",
            "print counter",
            "print *(shop::Kept<int> *) &few",
            "print hidden",
            "print listed",
            "print listed.numbers",
            "print listed.numbers[2]",
            "print Listed::numbers",
            "print hidden.unseen",
            "print one",
            "print two",
            "print three",
            "print three.value",
            "print above",
            "print above.value",
            "print above.Below::value",
            "print above.Above::own",
            "print month",
            "print month.all[2].number",
            "print Month::all",
            "print sizeof(Made)",
        ];
        check(&debuggee, "look", &shown);
    }
}

#[test]
fn enumerators_are_named_as_cpp_names_them() {
    for build in Build::new("static_members").by_each(&["-O0"]) {
        let debuggee = build.build();
        let shown = [
            "print size",
            "print grade",
            "print flags",
            "print plain",
            "print closed",
            "print plan.step",
            "print plan.mode",
            "print plan.style",
            "print plans",
            "print size == shop::Large",
            "print shop::Large",
            "print Plan::Finish",
            "print Plan::Mode::Safe",
            "print Plan::Fancy",
            "print/d shop::Blue",
        ];
        check(&debuggee, "look", &shown);
    }
}

#[test]
fn what_gdb_does_not_follow_is_shown() {
    check_ours(
        &Debuggee::build("static_members"),
        "look",
        &[
            // gdb shows the record that the string is, and no text.
            (
                "print lines",
                "$1 = {static number = 3, static text = \"kept\", static own = <thread-local storage>, after = 1}",
            ),
            ("print lines.own", "$1 = 8"),
            ("print lines.text", "$1 = \"kept\""),
            (
                "print plan.nade",
                "`Plan` has no member `nade` (did you mean `made`?)\n  plan.nade\n       ^^^^",
            ),
            (
                "ptype plan",
                "type = struct Plan {\n    Plan::Step step;\n    Plan::Mode mode;\n    static int made;\n    static const int limit;\n    static const double share;\n    int order;\n    static Plan best;\n    enum {Plan::Plain, Plan::Fancy} style;\n}",
            ),
            ("ptype counter", "type = struct shop::Counter {\n    static int all;\n}"),
            ("ptype size", "type = enum shop::Size {shop::Small, shop::Large}"),
        ],
    );
}

#[test]
fn the_program_itself_decides_by_them() {
    check_hits(
        &Debuggee::build("static_members"),
        &[
            ("look", "plan.made == 7 && till.all == 9", 1),
            ("look", "plan.mode == Plan::Mode::Safe", 0),
            ("look", "size == shop::Large && lines.number == 3", 1),
            ("look", "above.value == 77 && three.value == 3 && two.value == 2", 1),
        ],
    );
}

#[test]
fn each_file_has_its_own_of_what_is_in_no_named_namespace() {
    for build in Build::new("static_members").by_each(&["-O0"]) {
        let other = build.clone().flag("-Dmain=other_main").flag("-DUNSEEN=19").flag("-c").build();
        let other = other.path.to_str().expect("a path of ours").to_owned();
        let debuggee = build.flag("-Wl,-z,muldefs").flag(&other).build();
        let rows = [
            ("print hidden", "$1 = {static unseen = 18, seen = 4}"),
            ("print hidden.unseen", "$1 = 18"),
        ];
        check_ours(&debuggee, "look", &rows);
    }
}
