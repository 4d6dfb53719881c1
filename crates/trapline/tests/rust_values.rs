//! Values of Rust's own shapes are followed and shown as Rust has them.

mod support;

use support::Driver;
use support::said::{check_hits, check_ours};
use trapline::Command;
use trapline::command::{Reply, ValueFormat};
use trapline_testkit::{Build, Debuggee};

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
            ("print !***deep", "$1 = -8"),
            ("print ***deep & 4 == 4", "$1 = true"),
            ("print 250u8 << 4", "$1 = 160"),
            ("print !250u8", "$1 = 5"),
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
            ("follow", "**number & 4 == 4", 4),
            ("follow", "**number ^ 2 < 3", 3),
            ("follow", "!**number & 1 == 1", 5),
            ("follow", "(**number as f64 * -1e10) as i32 == -2147483648", 9),
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

#[test]
fn a_variant_that_is_not_live_is_not_there() {
    let not = |line: &str, part: &str, variant: &str| {
        let expression = line.trim_start_matches("print ");
        let before = " ".repeat(expression.find(part).unwrap());
        let carets = "^".repeat(part.len());
        let why = format!("{part} is not there: the live variant is not `{variant}`");
        (line.to_owned(), format!("{why}\n  {expression}\n  {before}{carets}"))
    };
    let is = |line: &str, said: &str| (line.to_owned(), said.to_owned());
    let rows = [
        not("print dot.Disc", "dot.Disc", "Disc"),
        not("print dot.Oblong.width", "dot.Oblong", "Oblong"),
        not("print oblong.Disc.0", "oblong.Disc", "Disc"),
        is("print oblong.Oblong.width", "$1 = 2"),
        not("print some.None", "some.None", "None"),
        not("print none.Some.0", "none.Some", "Some"),
        not("print both.Some.0.None", "both.Some.0.None", "None"),
        not("print &none.Some", "none.Some", "Some"),
        not("print none.Some.0 = 3", "none.Some", "Some"),
        is("whatis none.Some.0", "type = i32"),
        is("print dot.is_dot()", "$1 = true"),
        is("print dot.is_disc()", "$1 = false"),
    ];
    let rows: Vec<(&str, &str)> =
        rows.iter().map(|(line, said)| (line.as_str(), said.as_str())).collect();
    check_ours(&debuggee(), "shapes", &rows);
}

#[test]
fn conditions_hold_only_of_live_variants() {
    check_hits(
        &debuggee(),
        &[
            ("turn", "shape.is_disc() && shape.Disc.0 >= 4", 2),
            ("turn", "(*shape).is_dot()", 3),
            ("turn", "shape.is_oblong() ? shape.Oblong.width > 2 : found.is_some()", 5),
            ("turn", "found.is_some() && found.Some.0 >= 4", 3),
            ("turn", "found.is_none()", 4),
            ("turn", "wide.is_none()", 3),
            ("turn", "wide.is_some()", 6),
            ("turn", "nested.is_some() && nested.Some.0.is_none()", 3),
            ("turn", "nested.is_some() && nested.Some.0.is_some()", 3),
        ],
    );
}

#[test]
fn variants_in_registers_are_there_while_they_live() {
    let debuggee = Build::new("values_of_rust").flag("-O").build();
    let mut driver = Driver::launching(&debuggee, &[]);
    let hits = |driver: &mut Driver, condition: &str| {
        driver.break_at(&format!("-hits '== 1000000000' values_of_rust::finds if {condition}"))
    };
    let live = hits(&mut driver, "found.is_some() && found.Some.0 >= 4");
    let no_pointer = hits(&mut driver, "other.is_none() && found.is_none()");
    driver.break_at("-once values_of_rust::finds if found.is_none()");
    driver.run();
    driver.go_to_stop();
    for (expression, said) in [
        ("found.Some.0", Err("found.Some is not there: the live variant is not `Some`")),
        ("found.Some", Err("found.Some is not there: the live variant is not `Some`")),
        ("other.Some.0", Err("other.Some is not there: the live variant is not `Some`")),
        ("found.None", Ok("None")),
        ("found.is_none()", Ok("true")),
    ] {
        let format = ValueFormat::default();
        let command = Command::Print { expression: expression.to_owned(), format };
        match (driver.try_ask(command), said) {
            (Ok(Reply::Value { text, .. }), Ok(said)) => assert_eq!(text, said, "{expression}"),
            (Err(told), Err(said)) => assert!(told.contains(said), "{told}"),
            (told, said) => panic!("{expression}: {told:?}, not {said:?}"),
        }
    }
    driver.go_to_end();
    assert_eq!((driver.tally(live).hits, driver.tally(live).errors), (3, 0));
    assert_eq!((driver.tally(no_pointer).hits, driver.tally(no_pointer).errors), (4, 0));
    driver.quit();
}
