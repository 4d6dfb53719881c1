//! A name that stands alone means what it means to the compiler there: what the
//! innermost scope around has under it.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Compiler, Debuggee};

const VARIABLES: [&str; 4] = ["print depth", "print count", "print ::depth", "print outer::depth"];
const TYPES: [&str; 4] = [
    "print (int) Red",
    "print sizeof (Part)",
    "print (int) outer::inner::Red",
    "print sizeof (outer::Part)",
];

#[test]
fn names_of_cpp_mean_what_the_innermost_scope_has() {
    for build in Build::new("scoped_names").by_each(&["-O0"]) {
        let debuggee = build.build();
        for mark in ["method", "still", "inside", "between", "derived", "local", "main"] {
            check(&debuggee, mark, &VARIABLES);
        }
        // Elsewhere gdb does not find what the code does not mention.
        for mark in ["method", "inside", "derived", "local"] {
            check(&debuggee, mark, &TYPES);
        }
    }
}

/// To gdb a lambda is in no class, and a class not within the one around it.
#[test]
fn what_is_nested_sees_what_is_around_it() {
    for mark in ["lambda", "nested"] {
        check_ours(
            &Debuggee::build("scoped_names"),
            mark,
            &[
                ("print depth", "$1 = 30"),
                ("print count", "$1 = 20"),
                ("print (int) Red", "$1 = 1111"),
                ("print sizeof (Part)", "$1 = 32"),
            ],
        );
    }
}

#[test]
fn what_a_function_declares_hides_what_its_class_has() {
    for build in Build::new("scoped_names").by_each(&["-O0"]) {
        let debuggee = build.build();
        for (mark, part, red) in [("hides", 7, 99), ("closure", 5, 97), ("method", 32, 1111)] {
            let (part, red) = (format!("$1 = {part}"), format!("$1 = {red}"));
            let rows = [("print sizeof(Part)", part.as_str()), ("print (int) Red", &red)];
            check_ours(&debuggee, mark, &rows);
        }
        check_ours(&debuggee, "hides", &[("print sizeof(::Part)", "$1 = 4")]);
    }
}

#[test]
fn what_a_block_declares_means_nothing_behind_it() {
    let debuggee = Debuggee::build("namesakes");
    let nothing = "no symbol `blue` in this context\n  blue\n  ^^^^";
    for (mark, size, blue) in [("block", 8, "$1 = blue"), ("hot", 1, nothing)] {
        let size = format!("$1 = {size}");
        check_ours(&debuggee, mark, &[("print sizeof(size)", &size), ("print blue", blue)]);
    }
    check_hits(&debuggee, &[("block", "blue == 9 && wide == blue", 1)]);
}

#[test]
fn a_templates_parameters_are_names_in_it() {
    for build in Build::new("scoped_names").by_each(&["-O0"]) {
        let lines = ["print sizeof (T)", "print (T) 300", "print sizeof (U)", "print N + 1"];
        check(&build.build(), "template", &lines);
        check_ours(&build.build(), "template", &[("ptype T", "type = char")]);
    }
}

#[test]
fn what_is_asked_for_outside_of_all_scopes_is_there_or_nowhere() {
    check_ours(
        &Debuggee::build("scoped_names"),
        "inside",
        &[
            ("print ::depth", "$1 = 1"),
            ("print ::method", "no symbol `::method` in this context\n  ::method\n  ^^^^^^^^"),
            ("print ::made == &outer::made", "$1 = false"),
        ],
    );
}

#[test]
fn functions_are_those_of_the_scope() {
    for (mark, function) in [("between", "outer::made"), ("main", "made")] {
        let debuggee = Debuggee::build("scoped_names");
        check_ours(&debuggee, mark, &[(&format!("print made == &{function}"), "$1 = true")]);
    }
}

#[test]
fn conditions_ask_for_what_is_around_them() {
    check_hits(
        &Debuggee::build("scoped_names"),
        &[
            ("method", "depth == 30 && count == 20 && kind == Red", 1),
            ("between", "depth == 10 && sizeof(Part) == 16", 1),
            ("local", "depth == 7 && kind == Red", 1),
            ("main", "depth == 1", 1),
        ],
    );
}

#[test]
fn names_of_rust_mean_what_their_module_has() {
    let debuggee = Debuggee::build("scoped_modules");
    for (mark, count, size) in [("first", 1, 1), ("second", 2, 40)] {
        check_ours(
            &debuggee,
            mark,
            &[
                ("print COUNT", &format!("$1 = {count}")),
                ("print sizeof(Part)", &format!("$1 = {size}")),
                ("print first::COUNT", "$1 = 1"),
            ],
        );
    }
    check_hits(&debuggee, &[("first", "COUNT == 1", 1), ("second", "COUNT == 2", 1)]);
    check_ours(
        &debuggee,
        "inner",
        &[
            ("print COUNT", "$1 = 4"),
            ("print self::COUNT", "$1 = 4"),
            ("print super::COUNT", "$1 = 2"),
            ("print super::super::COUNT", "$1 = 3"),
            ("print crate::COUNT", "$1 = 3"),
            ("print crate::first::COUNT", "$1 = 1"),
            ("print sizeof(super::Part)", "$1 = 40"),
            ("print sizeof(crate::first::Part)", "$1 = 1"),
            ("print self.0", "$1 = 3"),
        ],
    );
}

/// A program of several files, of which the first's statics are optimised away.
fn namesakes(build: &Build, others: &[&[&str]]) -> Debuggee {
    let mut whole = build.clone();
    for flags in others {
        let object = flags.iter().fold(build.clone().flag("-c"), |build, flag| build.flag(flag));
        whole = whole.flag(object.build().path.to_str().expect("a path of ours"));
    }
    whole.build()
}

fn optimised(compiler: Compiler) -> Build {
    Build::new("namesakes").compiler(compiler).flag("-O2")
}

#[test]
fn what_is_optimised_away_is_not_what_another_file_has() {
    const GONE: &str = "is not available: optimized out";
    for (compiler, limit) in [(Compiler::Gcc, None), (Compiler::Clang, Some("$1 = 10"))] {
        let debuggee = namesakes(&optimised(compiler), &[&["-DOTHER"]]);
        let gone = |name: &str| format!("{name} {GONE}\n  {name}\n  {}", "^".repeat(name.len()));
        let limit = limit.map_or_else(|| gone("limit"), str::to_owned);
        check_ours(
            &debuggee,
            "hot",
            &[("print limit", &limit), ("print mode", &gone("mode")), ("print shared", "$1 = 7")],
        );
        check_ours(&debuggee, "other", &[("print limit", "$1 = 99"), ("print shared", "$1 = 7")]);
    }
}

#[test]
fn what_is_declared_here_is_found_where_only_its_symbol_is() {
    // clang does not describe what is only declared.
    let debuggee = namesakes(&optimised(Compiler::Gcc), &[&["-DOTHER", "-g0"]]);
    check_ours(&debuggee, "hot", &[("print shared", "$1 = 7"), ("whatis shared", "type = int")]);
}

#[test]
fn what_files_share_comes_before_what_one_keeps_to_itself() {
    let (other, third) = (&["-DOTHER"][..], &["-DTHIRD"][..]);
    for others in [[other, third], [third, other]] {
        for build in Build::new("namesakes").by_each(&["-O0"]) {
            let debuggee = namesakes(&build, &others);
            check_ours(
                &debuggee,
                "hot",
                &[
                    ("print shared", "$1 = 7"),
                    ("print &shared == &::shared", "$1 = true"),
                    ("print sizeof(tick)", "$1 = 1"),
                    ("print sizeof(item)", "$1 = 40"),
                ],
            );
            check_hits(&debuggee, &[("hot", "shared == 7", 100), ("hot", "limit == 10", 100)]);
        }
    }
}

#[test]
fn a_text_that_is_known_has_its_end() {
    let debuggee = Build::new("namesakes").flag("-O2").flag("-xc++").build();
    check_ours(
        &debuggee,
        "hot",
        &[("print kept", "$1 = \"kept\""), ("print kept[4]", "$1 = 0 '\\000'")],
    );
}

#[test]
fn what_the_linker_left_out_has_no_place() {
    let build = Build::new("namesakes").flag("-DALONE");
    let flags = ["-fdata-sections", "-ffunction-sections", "-Wl,--gc-sections"];
    let debuggee = flags.iter().fold(build, |build, flag| build.flag(flag)).build();
    let why = "shared is not available: the linker left it out of the program";
    check_ours(&debuggee, "main", &[("print shared", &format!("{why}\n  shared\n  ^^^^^^"))]);
}
