//! Arrays whose lengths only a frame knows are what gdb shows.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Compiler, Debuggee};

/// Of clang's programs nothing says how long an array is that has the name of a
/// type.
fn builds() -> [(Debuggee, bool); 3] {
    let build = |compiler, level: &str| {
        Build::new("variable_lengths").compiler(compiler).flag(level).build()
    };
    [
        (build(Compiler::Gcc, "-O0"), true),
        (build(Compiler::Clang, "-O0"), false),
        (Build::new("variable_lengths").flag("-gdwarf-4").build(), true),
    ]
}

#[test]
fn they_are_shown_in_the_frame_that_has_them() {
    for (debuggee, named) in builds() {
        let mut lines = vec![
            "print numbers",
            "print table",
            "print text",
            "print mixed",
            "print records",
            "print numbers[1]",
            "print table[1][2]",
            "print table[1]",
            "print *table",
            "print &table",
            "print &table[1]",
            "print &numbers",
            "print table[0]@2",
            "print *numbers@2",
            "print numbers+1",
            "print /x numbers",
            "print sizeof numbers",
            "print sizeof table",
            "print sizeof table[0]",
            "print sizeof mixed",
            "print sizeof records",
            "print sizeof numbers / sizeof numbers[0]",
            "whatis numbers",
            "whatis table",
            "whatis mixed",
            "whatis records",
            "whatis table[0]",
            "ptype table",
            "ptype numbers",
            "ptype records",
            "info args",
        ];
        let of_names = [
            "print named",
            "print *to_named",
            "print to_named",
            "print to_numbers",
            "print sizeof(named)",
            "print sizeof *to_named",
            "whatis named",
            "ptype named",
            "whatis to_named",
            "whatis to_numbers",
            "whatis *to_numbers",
        ];
        if named {
            lines.extend(of_names);
            lines.push("info locals");
        }
        check(&debuggee, "filled", &lines);
    }
}

#[test]
fn where_lengths_are_in_registers_they_are_read_there() {
    let debuggee = Build::new("variable_lengths").flag("-O1").build();
    let lines = [
        "print numbers",
        "print table",
        "print text",
        "print mixed",
        "print sizeof table",
        "whatis table",
        "whatis numbers",
    ];
    check(&debuggee, "filled", &lines);
}

#[test]
fn as_parameters_they_are_pointers_to_rows() {
    for (debuggee, named) in builds() {
        check(&debuggee, "adding", &["print numbers", "whatis numbers", "print *numbers@count"]);
        if named {
            let lines = [
                "print table",
                "whatis table",
                "ptype table",
                "print *table",
                "print sizeof *table",
                "print *table@rows",
                "print sizeof table",
                "info args",
            ];
            check(&debuggee, "traced", &lines);
        }
    }
}

#[test]
fn rows_are_counted_where_gdb_cannot() {
    check_ours(
        &Debuggee::build("variable_lengths"),
        "traced",
        &[("print table[1][1]", "$1 = 101"), ("print *(table+1)", "$1 = {100, 101, 102}")],
    );
}

#[test]
fn the_program_itself_counts_by_them() {
    check_hits(
        &Debuggee::build("variable_lengths"),
        &[
            ("filled", "sizeof numbers == 24", 1),
            ("filled", "sizeof table / sizeof table[0] > 3", 2),
            ("filled", "table[1][2] == 102 && table[count - 1][1] > 300", 2),
            ("filled", "numbers[count - 1] >= 30", 2),
            ("filled", "mixed[1][1] == -1", 4),
            ("traced", "table[1][1] == 101", 4),
        ],
    );
}
