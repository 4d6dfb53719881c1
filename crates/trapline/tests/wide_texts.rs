//! Texts of wide characters are shown as texts, and types of several words in
//! gdb's order.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Debuggee};

#[test]
fn texts_of_wide_characters_are_shown_as_gdb_shows_them() {
    for build in Build::new("wide_texts").by_each(&["-O0"]) {
        let lines = [
            "print wide",
            "print cut",
            "print filled",
            "print sixteen",
            "print thirty_two",
            "print letter",
            "print same",
            "print no_text",
            "print to_wide",
            "print to_short",
            "print to_long",
            "print *to_wide",
            "print to_wide[1]",
            "print sixteen[0]",
            "print wide[0]@2",
            "print *&wide",
            "print /x wide",
            "print /s wide",
            "whatis wide",
            "info args",
        ];
        check(&build.build(), "look", &lines);
    }
}

#[test]
fn wide_characters_are_read() {
    let lines = ["print L'x'", "print u'x'", "print U'x'", "print sizeof(u'x')", "whatis L'x'"];
    check(&Debuggee::build("wide_texts"), "look", &lines);
    check_ours(
        &Debuggee::build("wide_texts"),
        "look",
        &[
            ("print L'\\n'", "$1 = 10 L'\\n'"),
            ("print U'😀'", "$1 = 128512 U'😀'"),
            ("print u'😀'", "`😀` is more than one `char16_t`\n  u'😀'\n  ^^^^"),
        ],
    );
    check_hits(
        &Debuggee::build("wide_texts"),
        &[("look", "letter == L'x' && sixteen[0] == u's' && *to_long == U't'", 1)],
    );
}

#[test]
fn words_of_types_are_in_gdbs_order() {
    for build in Build::new("wide_texts").by_each(&["-O0"]) {
        let lines = [
            "ptype functions",
            "whatis functions",
            "whatis functions[0]",
            "whatis prints",
            "ptype typed",
            "whatis texts",
            "whatis to_texts",
            "ptype to_texts",
            "whatis dims",
            "ptype dims",
            "whatis dims[0]",
            "whatis &dims",
            "whatis last",
            "whatis number",
        ];
        check(&build.build(), "look", &lines);
    }
}

#[test]
fn characters_of_cpp_are_shown_by_their_own_types() {
    for build in Build::new("utf_characters").flag("-fchar8_t").by_each(&["-O0"]) {
        let lines = [
            "print eight",
            "print letter",
            "print *to_eight",
            "print to_sixteen",
            "print to_wide",
            "print texts",
            "print lone",
            "print wide",
            "print quote",
            "print thirty_two",
            "print none",
            "whatis eight",
        ];
        check(&build.build(), "look", &lines);
    }
}
