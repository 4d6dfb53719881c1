//! What is shown of C++'s objects behind pointers and references to their base
//! classes is what gdb shows.

mod support;

use support::said::check;
use trapline_testkit::{Build, Compiler, Debuggee};

fn each_compiler(work: impl Fn(&Debuggee)) {
    for compiler in [Compiler::Gcc, Compiler::Clang] {
        work(&Build::new("dynamic_types").compiler(compiler).build());
    }
}

const POINTERS: [&str; 13] = [
    "to_square",
    "to_const",
    "to_label",
    "to_named",
    "to_middle",
    "to_shape",
    "to_holder",
    "to_top",
    "to_right",
    "to_plain",
    "to_garbage",
    "to_misled",
    "to_pointer",
];

const OTHERS: [&str; 13] = [
    "to_none",
    "untyped",
    "*to_pointer",
    "**to_pointer",
    "shapes",
    "shapes[1]",
    "*shapes[1]",
    "same_label",
    "same_named",
    "same_top",
    "wraps",
    "*wraps.inside",
    "square",
];

fn prints() -> Vec<String> {
    let through =
        POINTERS.iter().flat_map(|name| [format!("print {name}"), format!("print *{name}")]);
    through.chain(OTHERS.iter().map(|each| format!("print {each}"))).collect()
}

#[track_caller]
fn check_with(setting: &[&str], lines: &[String]) {
    let lines: Vec<&str> =
        setting.iter().copied().chain(lines.iter().map(String::as_str)).collect();
    each_compiler(|debuggee| check(debuggee, "look", &lines));
}

#[test]
fn objects_are_shown_as_declared_unless_asked_otherwise() {
    check_with(&[], &prints());
}

#[test]
fn objects_are_shown_as_what_their_tables_say_when_asked() {
    check_with(&["set print object on"], &prints());
}

#[test]
fn the_class_of_a_variables_object_is_named_beside_its_type() {
    let names =
        POINTERS.iter().chain(["square", "same_label", "same_named", "same_top", "shapes"].iter());
    let lines: Vec<String> = names.map(|name| format!("whatis {name}")).collect();
    check_with(&["set print object on"], &lines);
    let through = ["whatis *to_label", "whatis shapes[1]"].map(str::to_owned);
    check_with(&["set print object on"], &through);
}
