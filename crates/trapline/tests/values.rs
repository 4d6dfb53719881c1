//! What `print` shows of the values of C++ is what gdb shows.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::process::Command;

use support::Driver;
use trapline::command::{Reply, ValueFormat};
use trapline_testkit::Debuggee;

/// What a debugger prints of each expression in `main`, or why it does not.
fn printed(debugger: &mut Command, flag: &str, prints: &[&str]) -> Vec<String> {
    for line in ["break look", "run", "up"] {
        debugger.args([flag, line]);
    }
    for print in prints {
        debugger.args([flag, "echo ==", flag, &format!("print{print}")]);
    }
    let program = &Debuggee::build("cpp_classes").path;
    let ran = debugger.arg(program).output().expect("the debugger is installed");
    let said =
        format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    // C++ may leave a type's tag out or not.
    let shown = said.split("==").skip(1).map(|part| part.lines().next().unwrap_or_default());
    shown.map(|line| line.replace("struct ", "").replace("enum ", "")).collect()
}

/// Stack addresses, which depend on the environment, as one word.
fn without_stack_addresses(line: &str) -> String {
    let mut parts = line.split("0x7ff");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("STACK");
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    text
}

/// Checks what is printed where the classes are used.
#[track_caller]
fn check(prints: &[&str]) {
    let ours = &mut Command::new(env!("CARGO_BIN_EXE_trapline"));
    let ours = printed(ours.args(["run", "--batch"]), "-e", prints);
    let gdb = &mut Command::new("gdb");
    let theirs = printed(gdb.args(["-nx", "-q", "-batch"]), "-ex", prints);
    assert_eq!((ours.len(), theirs.len()), (prints.len(), prints.len()), "{ours:?} {theirs:?}");
    for ((print, ours), theirs) in prints.iter().zip(&ours).zip(&theirs) {
        assert!(theirs.starts_with('$'), "print{print}: {theirs}");
        assert_eq!(without_stack_addresses(ours), without_stack_addresses(theirs), "print{print}");
    }
}

#[test]
fn casts_go_to_base_classes_and_back() {
    check(&[
        " *(Placed *)&crate",
        " ((Placed *)to_crate)->place",
        " *(Placed *)to_sized",
        " *(Named *)to_crate",
        " *(Sized *)to_placed",
        " *(Crate *)to_placed",
        " &(Placed &)crate",
        " ((Crate &)placed).load",
        " (Placed)crate",
        " (Sized)crate",
        " (Placed *)to_none",
        " (Crate *)to_none",
        " *(Left *)to_crate",
        " *(Apart *)to_placed",
        " *(Right *)&both",
        " ((Right *)&both)->name",
        " *(Placed *)(void *)to_crate",
        " (long)(Placed *)to_crate - (long)to_crate",
        " (Placed *)to_crate == to_placed",
        " ((Sharing *)&sharing)->sharing",
        " to_placed = to_crate",
        " *to_placed",
        " sharing.shared",
        " *(Shared *)&sharing",
        " (long)(Shared *)&sharing - (long)&sharing",
    ]);
}

#[test]
fn what_has_no_one_place_is_refused_with_the_reason() {
    let check = |print: &str, expected: &str| {
        let ours = &mut Command::new(env!("CARGO_BIN_EXE_trapline"));
        let ours = printed(ours.args(["run", "--batch"]), "-e", &[print]);
        assert_eq!(ours, [expected], "print{print}");
    };
    check(
        " (Named *)&both",
        "`shapes::Named` is an ambiguous base of `shapes::Both` \
         (cast to the class between the two first)",
    );
    check(" 'nosuch.c'::total", "no source file is named `nosuch.c`");
    check(
        " 'cpp_clases.cpp'::main",
        "no source file is named `cpp_clases.cpp` (did you mean `cpp_classes.cpp`?)",
    );
    check(" 'cpp_classes.cpp'::printf", "no symbol `'cpp_classes.cpp'::printf` in this context");
    check(" 'cpp_classes.cpp'::total", "$1 = 42");
}

#[test]
fn formats_apply_to_what_a_reference_refers_to() {
    let names = ["number", "letter", "colour", "numbers"];
    let formats = ["x", "d", "u", "o", "t", "c", "z", "a"];
    let prints: Vec<String> = formats
        .iter()
        .flat_map(|format| names.map(|name| format!("/{format} same_{name}")))
        .chain(formats.map(|format| format!("/{format} number")))
        .chain(
            ["/x sized", "/d placed", "/x same_real", "/c same_real", "/f same_real"]
                .map(str::to_owned),
        )
        .collect();
    check(&prints.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn static_data_is_there_before_the_program_runs() {
    let driver = Driver::launching(&Debuggee::build("structs_and_arrays"), &[]);
    for (expression, expected) in [
        ("text", "\"trapline\\000\\000\\000\\000\\000\\000\\000\""),
        ("grid", "{{1, 2, 3}, {4, 5, 6}}"),
        ("grid[1]", "{4, 5, 6}"),
        ("ratio", "0.75"),
        ("constants", "{10, 20, 30, 40}"),
        ("dword == 0xee6b2800", "true"),
        ("unset", "{{x = 0, y = 0}, {x = 0, y = 0}}"),
        ("unset[1].y", "0"),
        ("letter", "84 'T'"),
    ] {
        let format = ValueFormat::default();
        let expression = expression.to_owned();
        let told = driver.ask(trapline::Command::Evaluate { expression, format });
        let Reply::Text(text) = told else { panic!("{told:?}") };
        assert_eq!(text, expected);
    }
    driver.quit();
}
