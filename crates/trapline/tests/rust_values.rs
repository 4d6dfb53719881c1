//! Values of Rust's own shapes are followed and shown as Rust has them.

mod support;

use support::said::{check_hits, check_ours};
use trapline_testkit::Debuggee;

fn debuggee() -> Debuggee {
    Debuggee::build("values_of_rust")
}

#[test]
fn each_star_follows_one_reference() {
    check_ours(
        &debuggee(),
        "follow",
        &[
            ("whatis *point", "type = &values_of_rust::Point"),
            ("print **point", "$1 = Point {x: 0, y: 2}"),
            ("print (**point).y", "$1 = 2"),
            ("print (*point).y", "$1 = 2"),
            ("print point.y", "$1 = 2"),
            ("whatis *number", "type = &i32"),
            ("print **number", "$1 = 0"),
            ("whatis **deep", "type = &i32"),
            ("print ***deep", "$1 = 7"),
            ("print *text", "$1 = \"text\""),
            ("whatis **to_raw", "type = i32"),
            ("print **to_raw", "$1 = 7"),
            ("whatis *to_raw", "type = *const i32"),
            ("print **pair", "$1 = [1, 2]"),
            ("print (**pair)[1]", "$1 = 2"),
        ],
    );
}

#[test]
fn the_program_itself_follows_as_many() {
    check_hits(
        &debuggee(),
        &[
            ("follow", "**number == 5", 1),
            ("follow", "*number == 5", 1),
            ("follow", "number == 5", 1),
            ("follow", "(**point).x > 6 && point.x > 7", 2),
            ("follow", "***deep == 7", 10),
            ("follow", "*text == \"text\"", 10),
            ("follow", "**pair == 1", 0),
        ],
    );
}

#[test]
fn what_has_no_size_is_counted() {
    check_ours(
        &debuggee(),
        "shapes",
        &[("print units", "$1 = [(), ()]"), ("print many_units", "$1 = [() <repeats 1000 times>]")],
    );
}

#[test]
fn variants_and_tuples_go_by_their_own_names() {
    check_ours(
        &debuggee(),
        "shapes",
        &[
            ("print both", "$1 = Some(Some(2))"),
            ("print both.Some", "$1 = Some(Some(2))"),
            ("print both.Some.0.Some", "$1 = Some(2)"),
            ("print neither.None", "$1 = None"),
            ("print tuple", "$1 = (1, \"one\", 2.5)"),
            ("ptype tuple", "type = (i32, &str, f64)"),
            ("whatis tuple", "type = (i32, &str, f64)"),
        ],
    );
}

#[test]
fn futures_show_the_names_of_their_states() {
    for (mark, shown) in [
        ("unresumed", "Unresumed {number: 3}"),
        ("suspended", "Suspend0 {__0: 3, __awaitee: Later(true), number: 3}"),
        ("returned", "Returned {number: 3}"),
    ] {
        check_ours(&debuggee(), mark, &[("print *future.pointer", &format!("$1 = {shown}"))]);
    }
}
