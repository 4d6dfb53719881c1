//! Pointers that compilers left out lead where they would lead, as with gdb.

mod support;

use support::said::{check, check_hits, check_ours};
use trapline_testkit::{Build, Debuggee};

fn at_level(level: &str) -> Debuggee {
    Build::new("implicit_pointers").flag(level).build()
}

#[test]
fn they_are_shown_and_followed() {
    for level in ["-O1", "-O2"] {
        let lines = [
            "info args",
            "print from",
            "print *from",
            "print from->first",
            "print from->more",
            "print from->more[1]",
            "print to",
            "print *to",
            "print *to + 1",
            "print from->second",
            "print from[0]",
            "print to[0]",
            "whatis from",
            "whatis *from",
            "print $",
            "print from",
            "print $",
        ];
        check(&at_level(level), "total", &lines);
        // Of the rest, gdb takes for true at -O2 what a callee may have changed.
        let of_registers: &[&str] = match level {
            "-O1" => &["print **twice", "print (*twice)->first"],
            _ => &[],
        };
        let lines = [
            "info args",
            "print second",
            "print *second",
            "print twice",
            "print *twice",
            "print (*twice)->second",
            "print (*twice)->more",
        ];
        check(&at_level(level), "inside", &[&lines, of_registers].concat());
    }
}

#[test]
fn what_needs_an_address_says_why_there_is_none() {
    let why =
        "from is not available: the pointer is optimized out; what it points to has no address";
    let refused = |line: &str, carets: &str| format!("{why}\n  {line}\n  {carets}");
    check_ours(
        &at_level("-O2"),
        "total",
        &[
            // Where gdb has 1 and 0: a null pointer.
            ("print from == 0", &refused("from == 0", "^^^^")),
            ("print (long)from", &refused("(long)from", "      ^^^^")),
            (
                "print &from->second",
                "it has no address: it is not in memory\n  &from->second\n  ^^^^^^^^^^^^^",
            ),
        ],
    );
}

#[test]
fn the_program_itself_decides_by_what_they_lead_to() {
    check_hits(
        &at_level("-O1"),
        &[
            ("total", "from->first == 4 && *to == 12", 1),
            ("total", "from->second != 5 || from->more[2] != 3", 0),
            ("inside", "*second == 5 && (*twice)->more[1] == 2", 1),
        ],
    );
}
