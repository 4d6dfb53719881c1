//! Pointers to members of C++ are shown, and lead to what they lead to, as with
//! gdb.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Debuggee};

#[track_caller]
fn check_each(lines: &[&str]) {
    for build in Build::new("member_pointers").by_each(&["-O0"]) {
        check(&build.build(), "look", lines);
    }
}

#[test]
fn they_are_shown_by_the_names_of_what_they_lead_to() {
    check_each(&[
        "print width",
        "print height",
        "print sizes",
        "print name",
        "print no_member",
        "print in_derived",
        "print in_base",
        "print alias",
        "print each",
        "print open",
        "print look",
        "print shut",
        "print no_function",
        "print call",
        "print other",
        "print derived_call",
        "print adjusted",
        "print opens",
        "print /x width",
        "print /d height",
        "print /x open",
    ]);
}

#[test]
fn they_lead_into_objects() {
    check_each(&[
        "print gate.*width",
        "print to_gate->*height",
        "print gate.*sizes",
        "print (gate.*sizes)[1]",
        "print gate.*name",
        "print same_gate.*alias",
        "print derived.*in_derived",
        "print derived.*in_base",
        "print derived.*width",
        "print gate.*each[1]",
        "print gate.*&Gate::height",
        "print &(derived.*in_base)",
        "print /x gate.*height + 1",
        "print gate.*open",
        "print to_gate->*look",
        "print derived.*call",
        "print derived.*derived_call",
        "print derived.*adjusted",
        "whatis gate.*width",
        "whatis gate.*open",
    ]);
}

#[test]
fn their_types_are_spelled_as_gdb_spells_them() {
    check_each(&[
        "whatis width",
        "ptype width",
        "whatis sizes",
        "whatis name",
        "whatis each",
        "whatis open",
        "whatis look",
        "ptype look",
        "whatis alias",
        "ptype alias",
        "whatis opens",
        "ptype opens",
        "whatis &Gate::width",
        "whatis &Gate::open",
        "print sizeof(width)",
        "print sizeof(open)",
    ]);
}

#[test]
fn members_have_such_addresses() {
    check_each(&[
        "print &Gate::width",
        "print &Gate::sizes",
        "print &Gate::open",
        "print &Gate::look",
        "print &Gate::made",
        "print Gate::made",
        "print &Derived::height",
        "print &Derived::own",
        "print width == height",
        "print width == &Gate::width",
        "print (int)height",
    ]);
}

#[test]
fn what_leads_nowhere_says_so() {
    let debuggee = Debuggee::build("member_pointers");
    check_ours(
        &debuggee,
        "look",
        &[
            // Where gdb has an offset in a table, or another function's name.
            ("print &Base::call", "$1 = &virtual Base::call(long)"),
            (
                "print gate.*no_member",
                "gate.*no_member is not there: the pointer is to no member\n  gate.*no_member\n  ^^^^^^^^^^^^^^^",
            ),
            (
                "print gate.*in_base",
                "`Gate` is no `Derived`, whose member is pointed to\n  gate.*in_base\n  ^^^^^^^^^^^^^",
            ),
            (
                "print &gate.*width",
                "`Gate *` is a pointer (write `p->*m`; `*p.*m` means `(*p).*m`, and `&o.*m` \
                 `(&o).*m`)\n  &gate.*width\n  ^^^^^",
            ),
            ("print gate.*5", "`int` is no pointer to a member\n  gate.*5\n        ^"),
        ],
    );
}

#[test]
fn the_program_itself_decides_by_them() {
    check_hits(
        &Debuggee::build("member_pointers"),
        &[
            ("look", "gate.*width == 2 && to_gate->*alias == 2", 1),
            ("look", "derived.*in_base != 7", 0),
            ("look", "derived.*in_base == 7 && gate.*each[1] == 2", 1),
            ("look", "gate.*&Gate::width == 3", 0),
        ],
    );
}
