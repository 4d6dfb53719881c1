//! Random statements of real programs with random conditions and hit rules,
//! served by jumps and by traps: the same sequence of stops, and the same counts
//! of passes and hits.
//!
//! `TRAPLINE_CASES` sets how many passes are judged at least, `TRAPLINE_SEED`
//! where the rounds begin. Each round prints its seed.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::print_stderr, reason = "figures, for who runs it")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use support::beside::{Subject, Told, scratch};
use support::everywhere::{Everywhere, Places};
use support::setting_or;
use trapline_testkit::{Debuggee, corpus};

/// Breakpoints of a round.
const AT_ONCE: usize = 60;

/// Every how many-th statement may be chosen; setting one takes time.
const EVERY: usize = 13;

/// Hits of one breakpoint between two stops, on average, make so many stops.
const STOPS_EACH: u64 = 12;

/// Passes of one place above which it is left out: a trap takes microseconds.
const MOST_PASSES: u64 = 20_000;

/// What is the same at each run of a program: where its stack is. What is on it
/// is not, where the program has not written yet.
const CONDITIONS: [&str; 6] = [
    "",
    "if ((long)$rsp & 16) == 0",
    "if ((long)$rsp & 32) == 0",
    "if ((long)$rsp >> 4) % 3 == 1 || $rsp == 1",
    "if ((long)$rsp & 64) && ((long)$rsp & 16) == 0",
    "if (int)((long)$rsp >> 3) % 5 == 2 && (double)((long)$rsp & 48) < 40.5",
];

/// Numbers that look random: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// A program, and how often some of its statements that can have a jump are
/// passed.
struct Passed {
    name: &'static str,
    subject: Subject,
    places: Vec<(String, u64)>,
}

impl Passed {
    fn new(name: &'static str, subject: Subject) -> Self {
        let places: Vec<String> =
            Places::of(&subject.path).in_process.into_iter().step_by(EVERY).collect();
        let ran = subject.with_each(&format!("{name}-passed"), "-jump", &places, "if $rsp == 1");
        ran.is_unharmed();
        let counts = ran.counts();
        let passed = counts.into_iter().map(|(place, (passes, _))| (place.to_owned(), passes));
        let few = |(_, passes): &(String, u64)| (1..MOST_PASSES).contains(passes);
        Self { name, subject, places: passed.filter(few).collect() }
    }

    /// The breakpoints of a round; `MECHANISM` is to be replaced.
    fn script(&self, random: &mut Random) -> String {
        let mut script = String::new();
        let mut number = 0;
        for _ in 0..AT_ONCE {
            let (place, passes) = random.choose(&self.places);
            let condition = random.choose(&CONDITIONS);
            let some = random.below(*passes) + 1;
            let all_but_some = passes.saturating_sub(STOPS_EACH);
            let (rule, ignored) = match random.below(5) {
                0 => (format!("-hits '== {}'", some.div_ceil(2)), 0),
                1 => (format!("-hits '>= {}'", all_but_some + 1), 0),
                2 => (String::new(), all_but_some),
                _ => (format!("-hits '% {}'", some / STOPS_EACH + 1), 0),
            };
            // Now and then two that stop at the same place.
            let twice = 1 + usize::from(random.below(10) == 0);
            for _ in 0..twice {
                number += 1;
                writeln!(script, "break MECHANISM {rule} *{place} {condition}").unwrap();
                writeln!(script, "ignore {number} {ignored}").unwrap();
            }
        }
        script
    }

    fn run(&self, mechanism: &str, script: &str) -> Everywhere {
        let subject = Subject { flags: vec!["--auto-continue"], ..self.subject.clone() };
        let name = format!("{}{mechanism}", self.name);
        subject.follows(&name, &script.replace("MECHANISM", mechanism))
    }

    /// One round; how many passes were judged, and how many stops were the same.
    #[track_caller]
    fn check(&self, seed: u64) -> (u64, usize) {
        let script = self.script(&mut Random(seed));
        let [jumps, traps] = ["-jump", "-trap"].map(|mechanism| self.run(mechanism, &script));
        let what = format!("{} TRAPLINE_SEED={seed} TRAPLINE_CASES=1 repeats it", self.name);
        assert!(jumps.by("jump").0 * 10 > AT_ONCE * 9, "{:?} {what}", jumps.by("jump"));
        assert_eq!(traps.by("jump").0, 0, "{what}");
        assert_eq!(stops(&jumps.told), stops(&traps.told), "{what}");
        assert_eq!(tallies(&jumps.told), tallies(&traps.told), "{what}");
        assert_eq!(jumps.finished().status, traps.finished().status, "{what}");
        (jumps.by("jump").1, stops(&jumps.told).len())
    }
}

/// Who stopped where, in order.
fn stops(told: &Told) -> Vec<String> {
    let stopped = told.events("stopped").into_iter();
    stopped.map(|line| format!("{} {}", line["pc"], line["ids"])).collect()
}

/// Passes, hits and stops of each breakpoint.
fn tallies(told: &Told) -> BTreeMap<u64, [u64; 3]> {
    let of = |line| ["passes", "hits", "stops"].map(|key| Told::number(line, key));
    let lines = told.events("breakpoint").into_iter();
    lines.map(|line| (Told::number(line, "id"), of(line))).collect()
}

/// Rounds until enough passes were judged.
fn check(name: &'static str, subject: Subject) {
    let program = Passed::new(name, subject);
    let enough = u64::from(setting_or("TRAPLINE_CASES", 1));
    let mut seed = u64::from(setting_or("TRAPLINE_SEED", 1));
    let (mut judged, mut same) = (0, 0);
    while judged < enough {
        let (passes, stops) = program.check(seed);
        judged += passes;
        same += stops;
        eprintln!("{name}: seed {seed}, {judged} passes judged the same, {same} stops");
        seed += 1;
    }
    assert!(same > 0, "nothing stopped");
}

#[test]
fn sqlite_stops_the_same() {
    let script = scratch("random.sql");
    let statements = "create table t(a integer primary key, b text);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)
        insert into t select i, printf('%08x', i * 7919 % 100) from n;
        select b, count(*) from t group by b having count(*) > 2 order by 2, 1;
        update t set b = upper(b) where a % 5 = 0; delete from t where a > 250;
        select x.a, y.a from t x join t y on x.b = y.b and x.a < y.a order by 1, 2 limit 50;";
    fs::write(&script, statements).unwrap();
    check("random-sqlite", Subject { stdin: script, ..Subject::of(corpus::program("sqlite3")) });
}

#[test]
fn cpython_stops_the_same() {
    let python = fs::canonicalize("/usr/bin/python3.11-dbg").unwrap();
    let work = "print(sorted(str(i * 7919 % 1000) for i in range(300))[:20])";
    check("random-cpython", Subject::of(python).with(&["-S", "-c", work]));
}

#[test]
fn a_program_in_cpp_stops_the_same() {
    check("random-cpp", Subject::of(Debuggee::build("cpp_classes").path));
}
