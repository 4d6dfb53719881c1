//! Jumps at every statement of real programs at once, each with a condition
//! that never holds: the programs do and say what they do with nobody watching,
//! CPython by its own tests. Most are run by `cargo xtask soundness`, which
//! shows the figures.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::print_stderr, reason = "the figures are for who runs it")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::beside::{Subject, scratch};
use support::everywhere::{LIMIT, NEVER, Places, each};
use trapline_testkit::{Debuggee, Finished, corpus};

/// CPython's own tests. `test_str` is called `test_unicode` there.
const MODULES: [&str; 34] = [
    "test_int",
    "test_float",
    "test_list",
    "test_dict",
    "test_set",
    "test_tuple",
    "test_unicode",
    "test_bytes",
    "test_re",
    "test_json",
    "test_struct",
    "test_generators",
    "test_coroutines",
    "test_threading",
    "test_signal",
    "test_exceptions",
    "test_descr",
    "test_iter",
    "test_itertools",
    "test_functools",
    "test_collections",
    "test_math",
    "test_random",
    "test_sort",
    "test_zlib",
    "test_hashlib",
    "test_pickle",
    "test_weakref",
    "test_gc",
    "test_heapq",
    "test_bisect",
    "test_array",
    "test_deque",
    "test_enumerate",
];

/// Those that are run everywhere: quick, and between them generators, floats
/// and every kind of iteration.
const FEW: [&str; 3] = ["test_iter", "test_float", "test_generators"];

const SUM: &str = "print(sum(len(str(i)) for i in range(700, 900)))";

fn debian_python() -> Subject {
    Subject::of(fs::canonicalize("/usr/bin/python3.11-dbg").unwrap())
}

/// A folder of its own, empty.
fn own_folder(name: &str) -> PathBuf {
    let folder = scratch(name);
    let _none_yet = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a program with a jump at every statement that can have one.
#[track_caller]
fn check(name: &str, subject: &Subject, works: impl Fn(&Finished)) {
    let places = Places::of(&subject.path);
    let alone = subject.alone_within(LIMIT);
    works(&alone);
    let ran = subject.with_each(name, "-jump", &places.in_process, NEVER);
    ran.is_unharmed();
    works(ran.finished());
    ran.show(name, &places, &alone);
}

#[track_caller]
fn check_modules(name: &str, path: &Path, modules: &[&str]) {
    let mut python = Subject::of(path).with(&[&["-m", "test"], modules].concat());
    python.folder = own_folder(name);
    let all_passed = format!("All {} tests OK.", modules.len());
    check(name, &python, |finished| {
        let said = &finished.stdout;
        assert!(said.contains(&all_passed), "{said}\n{}", finished.status);
    });
}

#[test]
fn cpython_passes_its_tests() {
    check_modules("cpython-few", &debian_python().path, &FEW);
}

#[test]
#[ignore = "takes long: cargo xtask soundness"]
fn cpython_at_a_fixed_address_passes_all_of_its_tests() {
    check_modules("cpython-fixed", &debian_python().path, &MODULES);
}

#[test]
#[ignore = "needs CPython from the corpus: cargo xtask soundness"]
fn position_independent_cpython_passes_all_of_its_tests() {
    check_modules("cpython-pie", &corpus::program("cpython"), &MODULES);
}

#[test]
#[ignore = "takes long: cargo xtask soundness"]
fn cpython_works_with_traps_where_no_jump_can_be() {
    let python = debian_python().with(&["-c", SUM]);
    let (places, alone) = (Places::of(&python.path), python.alone().expect_success());
    let ran = python.with_each("cpython-left", "-jump", &places.left, NEVER);
    ran.is_unharmed();
    assert_eq!(ran.finished().stdout, alone.stdout);
    let (traps, asked) = ran.by("trap");
    eprintln!("left over: {traps} traps and {asked} passes, {:?}", ran.finished().elapsed);
    assert!(traps > 0 && asked > 0);
}

/// Every how many-th place is counted at.
const EVERY: usize = 97;

#[test]
fn jumps_count_what_traps_count() {
    let python = debian_python().with(&["-c", SUM]);
    let places: Vec<String> =
        Places::of(&python.path).in_process.into_iter().step_by(EVERY).collect();
    // What a register holds by chance, or by the clock, would differ each time.
    // Silent at every hit: only the end says how many there were.
    let count = |name, mechanism: &str| {
        let flags = format!("{mechanism} -hits '== 1000000000'");
        let ran = python.with_each(name, &flags, &places, "if ((long)$rsp & 32) == 0");
        ran.is_unharmed();
        ran
    };
    let (jumps, traps) = (count("count-jumps", "-jump"), count("count-traps", "-trap"));
    assert!(jumps.by("jump").0 * 100 > places.len() * 95, "{:?}", jumps.by("jump"));
    assert_eq!(traps.by("jump").0, 0);
    assert_eq!(jumps.counts(), traps.counts());
    let hits: u64 = jumps.counts().values().map(|(_, hits)| hits).sum();
    assert!(hits > 0 && hits < jumps.by("jump").1, "the condition chose");
}

/// sqlite at work on a table.
fn sqlite() -> Subject {
    let script = scratch("everywhere.sql");
    let statements = [
        "create table t(a integer primary key, b text, c real);",
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)",
        "insert into t select i, printf('%08x', i * 7919 % 1000), i / 3.0 from n;",
        "create index by_text on t(b, c);",
        "select b, count(*), sum(c) from t group by b having count(*) > 2 order by 2, 1;",
        "update t set b = upper(b) where a % 5 = 0; delete from t where c > 600;",
        "select x.a, y.a from t x join t y on x.b = y.b and x.a < y.a order by 1, 2 limit 50;",
        "select group_concat(b, ',') from (select b from t where b like '%A%' limit 40);",
        "pragma integrity_check;",
    ];
    fs::write(&script, statements.join("\n") + "\n").unwrap();
    Subject { stdin: script, ..Subject::of(corpus::program("sqlite3")) }
}

#[test]
fn sqlite_works() {
    check_same("sqlite", &sqlite());
}

#[test]
fn what_was_counted_stays_when_there_is_more_to_count() {
    let sqlite = sqlite();
    let first = "break -jump -hits '== 1000000000' sqlite3Malloc if n > 64\n";
    let stop = "tbreak sqlite3VdbeExec\nrun\n";
    let few = sqlite.follows("grow-few", first);
    let places: Vec<String> = Places::of(&sqlite.path).in_process.into_iter().step_by(17).collect();
    let more = each("-jump", &places, NEVER);
    let many = sqlite.follows("grow-many", &format!("{first}{stop}{more}continue\n"));
    assert!(many.by("jump").0 > 3000, "{:?}", many.by("jump"));
    assert!(few.told.hits(0) > 0 && few.told.hits(0) < few.told.passes(0), "the condition chose");
    let counted = [&few, &many].map(|ran| (ran.told.passes(0), ran.told.hits(0)));
    assert_eq!(counted[0], counted[1]);
    assert_eq!(few.finished().stdout, many.finished().stdout);
}

#[test]
fn nobody_pays_with_what_was_counted_before() {
    let sqlite = sqlite();
    let hits = |mechanism: &str| {
        let first = "break -jump sqlite3Malloc if n == 0\ntbreak sqlite3VdbeExec\nrun\n";
        let second = format!("break {mechanism} -hits '== 1000000000' sqlite3Malloc if n > 64\n");
        let script = format!("{first}delete 1\n{second}continue\n");
        let ran = sqlite.follows(&format!("pay{mechanism}"), &script);
        (ran.told.passes(2), ran.told.hits(2))
    };
    let (jumps, traps) = (hits("-jump"), hits("-trap"));
    assert!(traps.1 > 0);
    assert_eq!(jumps, traps);
}

#[test]
fn a_rust_program_with_threads_works() {
    check_same("rust", &Subject::of(Debuggee::build("rust_threads").path).with(&["4", "2000"]));
}

/// The same output as with nobody watching.
#[track_caller]
fn check_same(name: &str, subject: &Subject) {
    let alone = subject.alone().expect_success();
    check(name, subject, |finished| assert_eq!(finished.stdout, alone.stdout));
}
