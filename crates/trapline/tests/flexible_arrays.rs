//! Arrays at the end of structures, whose length nothing says, are where they
//! begin.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Debuggee};

#[test]
fn they_are_shown_as_gdb_shows_them() {
    for build in Build::new("flexible_arrays").by_each(&["-O0"]) {
        let lines = [
            "print *p",
            "print p->name",
            "print p->name[1]",
            "print &p->name",
            "print *q",
            "print q->v",
            "print q->v[2]",
            "print *q->v",
            "print *q->v@3",
            "print &q->v",
            "print &q->v[1]",
            "print *o",
            "print o->v[1]",
            "print sizeof(*q)",
            "print /x *q",
            "print /x p->name",
            "whatis q->v",
            "whatis p->name",
        ];
        check(&build.build(), "look", &lines);
    }
}

#[test]
fn conditions_look_into_them() {
    check_hits(
        &Debuggee::build("flexible_arrays"),
        &[
            ("look", "p->name[1] == 'b' && q->v[2] == 20 && o->v[1] == 10", 1),
            ("look", "p->name == \"abc\"", 1),
            ("look", "p->name == \"ab\"", 0),
        ],
    );
}

#[test]
fn whether_all_of_one_changed_is_refused() {
    check_ours(
        &Debuggee::build("flexible_arrays"),
        "look",
        &[(
            "print $_changed(q->v)",
            "`$_changed` needs a value of a known size (name a part of it, with `[index]` or \
             `[first]@count`)\n  $_changed(q->v)\n            ^^^^",
        )],
    );
}
