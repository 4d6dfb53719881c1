//! Programs that nobody here wrote, debugged by the command line as their users
//! would: what each prints stays as it is with nobody watching, and what each
//! breakpoint counts is what gdb counts at the same place.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fs;

use support::beside::{Point, Subject, check, code, line_of, log, scratch, watch};
use trapline_testkit::{Debuggee, corpus};

#[test]
fn python_counts_as_gdb_does() {
    let script = scratch("sum.py");
    fs::write(&script, "print(sum(len(str(i)) for i in range(700, 900)))\n").unwrap();
    let path = fs::canonicalize("/usr/bin/python3.11-dbg").unwrap();
    let subject = Subject { stdin: script, ..Subject::of(path) };
    let told = check(
        "python",
        &subject,
        &[
            code("PyLong_FromLong if ival == 777"),
            code("ceval.c:1700"),
            log("-log 'n={nbytes} in $FUNCTION'", "_PyObject_Malloc if nbytes > 30000"),
            watch("_PyRuntime.initialized"),
        ],
    );
    assert!(told.passes(0) > told.hits(0), "the condition chose");
    let expected = |message: &&str| {
        let number = message.strip_prefix("n=").and_then(|rest| rest.split(' ').next());
        number.unwrap().parse::<u64>().unwrap() > 30_000 && message.ends_with("_PyObject_Malloc")
    };
    assert_eq!(told.messages().len() as u64, told.hits(2));
    assert!(told.messages().iter().all(expected), "{:?}", told.messages());
    let changes: Vec<_> = told.events("stopped").into_iter().filter(|it| it["id"] == 4).collect();
    let values: Vec<_> = changes.iter().map(|it| (&it["old"], &it["new"])).collect();
    assert_eq!(values, [(&"0".into(), &"1".into()), (&"1".into(), &"0".into())]);
}

#[test]
fn sqlite_counts_as_gdb_does_and_as_its_own_rows() {
    let statements = [
        "create table t(a integer primary key, b text);",
        "insert into t values (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four');",
        "select b from t where a > 1 order by b;",
    ];
    let script = scratch("rows.sql");
    fs::write(&script, statements.join("\n") + "\n").unwrap();
    let path = corpus::program("sqlite3");
    let row = line_of(&path, "sqlite3.c", "case OP_ResultRow: {");
    let subject = Subject { stdin: script, ..Subject::of(path) };
    let told = check(
        "sqlite",
        &subject,
        &[
            code("sqlite3VdbeExec"),
            code(row),
            code("sqlite3BtreeInsert if flags != 0"),
            log("-log '{zSql}'", "runOneSqlLine"),
            watch("sqlite3Config.isInit"),
        ],
    );
    let rows = told.finished.stdout.lines().count() as u64;
    assert_eq!((rows, told.finished.stdout.as_str()), (3, "four\nthree\ntwo\n"));
    let at_row = told.events("stopped").iter().filter(|it| it["id"] == 2).count() as u64;
    assert_eq!(at_row, told.hits(1));
    assert!(told.hits(1) >= rows);
    let logged: Vec<_> = told.messages();
    assert_eq!(logged.len(), statements.len());
    for (message, statement) in logged.iter().zip(statements) {
        assert!(message.contains(statement), "{message}");
    }
}

#[test]
fn a_rust_program_with_threads_counts_as_it_says_itself() {
    let program = Debuggee::build("rust_threads");
    let record = program.mark("record").spec();
    let subject = Subject::of(&program.path).with(&["4", "250"]);
    let alone = subject.alone().expect_success();
    let told = subject.debugged(
        "rust",
        &[
            code("counting::visit if pass == 7"),
            code(record),
            log("-log '$TNAME {pass}' -hits '% 100'", "rust_threads::counting::visit"),
            // Threads change it at once, so that by the time one is asked the
            // value may be another's: each write counts, seen to change or not.
            Point { ours: "-written", ..watch("rust_threads::counting::PASSES") },
        ],
    );
    assert_eq!(told.finished.stdout, alone.stdout, "{}", told.finished.stderr);
    let said = |key: &str| {
        let wanted = format!("{key}=");
        let word = alone.stdout.split_whitespace().find_map(|word| word.strip_prefix(&wanted));
        word.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((told.passes(0), told.hits(0)), (said("passes"), said("threads")));
    assert_eq!(told.hits(1), said("circles") + said("squares"));
    assert_eq!(told.messages().len() as u64, said("passes") / 100);
    assert!(told.messages().iter().all(|message| message.starts_with("worker-")));
    assert_eq!(told.hits(3), said("passes"), "each pass writes the watched counter");
}

#[test]
fn trapline_can_debug_trapline() {
    let subject = Subject::of(env!("CARGO_BIN_EXE_trapline")).with(&["completions", "bash"]);
    let alone = subject.alone().expect_success();
    let told = subject.debugged("ourselves", &[code("trapline::main"), code("cli::main")]);
    assert_eq!(told.finished.stdout, alone.stdout, "{}", told.finished.stderr);
    assert_eq!((told.hits(0), told.hits(1)), (1, 1));
}
