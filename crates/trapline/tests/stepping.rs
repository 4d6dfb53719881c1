//! Going through programs line by line: every stop is where gdb's is, whatever
//! the sequence of commands.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::path::Path;

use support::gdb::Gdb;
use support::{Driver, loops};
use trapline::command::LineStep;
use trapline::event::FrameInfo;
use trapline::{Command, Event};
use trapline_testkit::{Build, Compiler, Debuggee};

/// `function file:line`, without scopes and template arguments. Lambdas are in
/// scopes of many names.
fn place(function: &str, file: &Path, line: u32) -> String {
    let bare = function.split(['<', '(']).next().unwrap();
    let bare = bare.rsplit("::").next().unwrap();
    let bare = if function.contains("::operator()") { "operator" } else { bare };
    format!("{bare} {}:{line}", file.file_name().unwrap_or_default().display())
}

fn our_place(frame: &FrameInfo) -> String {
    let function = frame.function.as_deref().unwrap_or("??");
    let file = frame.file.as_deref().unwrap_or(Path::new("??"));
    place(function, file, frame.line.unwrap_or(0))
}

fn command(word: &str) -> Command {
    let line = |how| Command::StepLine { count: 1, how };
    match word {
        "step" => line(LineStep::Into),
        "next" => line(LineStep::Over),
        "until" => line(LineStep::Onward),
        "finish" => Command::Finish,
        other => panic!("{other}"),
    }
}

/// A command, or another where gdb's leads elsewhere by design or by mistake.
fn comparable<'a>(word: &'a str, at: &FrameInfo) -> &'a str {
    let function = at.function.as_deref().unwrap_or_default();
    let is = |name: &str| function.rsplit("::").next() == Some(name);
    match word {
        // To gdb it is the outermost frame.
        "finish" if is("main") => "next",
        // It runs on to the end of a line of the caller's.
        "finish" if at.inlined => "next",
        // It ends in deeper runs of the function as well.
        "until" if is("factorial") || is("recursive") => "next",
        // It enters what a jump at the end calls.
        "next" | "until" if is("ends_in_call") => "finish",
        _ => word,
    }
}

/// The commands that were given, and where each led from the first stop in
/// `main`, until the program is left.
fn ours<'a>(debuggee: &Debuggee, main: &str, words: &[&'a str]) -> (Vec<&'a str>, Vec<String>) {
    let mut driver = Driver::launching(debuggee, &[]);
    driver.break_at(&format!("-once {main}"));
    driver.run();
    let mut at = driver.go_to_stop().frame;
    let (mut given, mut places) = (Vec::new(), vec![our_place(&at)]);
    for word in words {
        let word = comparable(word, &at);
        given.push(word);
        driver.ask(command(word));
        let next = driver.wait_for(|event| match event {
            Event::Stopped(stop) => Some(Some(stop.frame.clone())),
            Event::ProcessExited { .. } => Some(None),
            _ => None,
        });
        let Some(frame) = next else { break };
        places.push(our_place(&frame));
        at = frame;
    }
    driver.quit();
    (given, places)
}

fn gdbs(debuggee: &Debuggee, main: &str, words: &[&str]) -> Vec<String> {
    let mut gdb = Gdb::new();
    gdb.say(&format!("tbreak {main}")).say("run");
    let note = "python f = gdb.selected_frame(); s = f.find_sal(); print('==', f.name(), s.symtab.filename if s.symtab else '??', s.line, sep='|')";
    gdb.say(note);
    for word in words {
        gdb.say(word).say(note);
    }
    let told = gdb.told(debuggee, &[]);
    let of_line = |line: &str| {
        let mut parts = line.strip_prefix("==|")?.split('|');
        let (function, file, line) = (parts.next()?, parts.next()?, parts.next()?);
        Some(place(function, Path::new(file), line.parse().ok()?))
    };
    told.lines().filter_map(of_line).collect()
}

/// Runs the same commands in both and compares as far as the program's own file.
fn check(build: &Build, main: &str, words: &[&str]) {
    let debuggee = build.build();
    let file = debuggee.source.file_name().unwrap().to_str().unwrap().to_owned();
    let inside = |places: Vec<String>| -> Vec<String> {
        // Where a jump out of calls leads is a matter of its own.
        let ends = |place: &&String| !place.contains(&file) || place.starts_with("jump_back");
        places.iter().take_while(|place| !ends(place)).cloned().collect()
    };
    let (words, ours) = ours(&debuggee, main, words);
    let ours = inside(ours);
    let gdbs = inside(gdbs(&debuggee, main, &words));
    let same = ours.iter().zip(&gdbs).take_while(|(ours, gdbs)| ours == gdbs).count();
    let until = words.get(..same.min(words.len())).unwrap().join(" ");
    assert!(
        ours == gdbs,
        "{build:?} after `{until}`\n  ours {:?}\n  gdb's {:?}\n  before {:?}",
        ours.get(same),
        gdbs.get(same),
        &ours[same.saturating_sub(4)..same],
    );
}

/// Commands in an order that a seed says.
fn mixed(seed: u64, count: usize) -> Vec<&'static str> {
    const WORDS: [&str; 8] = ["step", "step", "step", "step", "next", "next", "until", "finish"];
    let mut state = seed;
    let next = || {
        // Knuth's MMIX generator: its high bits are as good as any.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WORDS[(state >> 61) as usize]
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Of what clang and rustc optimise, what `step` does at function entries is not
/// compared: it stops where `break FUNCTION` does, and gdb's does not always.
fn check_over_calls(build: &Build, main: &str) {
    check(build, main, &["next"; 80]);
    let words = mixed(7, 60).into_iter().map(|word| if word == "step" { "next" } else { word });
    check(build, main, &words.collect::<Vec<_>>());
}

fn check_all(build: &Build, main: &str) {
    check(build, main, &["next"; 80]);
    check(build, main, &["step"; 160]);
    for seed in 0..u64::from(loops(3)) {
        check(build, main, &mixed(seed, 60));
    }
}

#[test]
fn many_instructions_at_once_lead_where_single_ones_do() {
    let debuggee = Debuggee::build("walks");
    let walk = |counts: &[u64]| {
        let mut driver = Driver::launching(&debuggee, &[]);
        driver.break_at("-once main");
        driver.run();
        driver.go_to_stop();
        let step = |count| Command::StepInstruction { count, over_calls: true };
        counts.iter().for_each(|&count| {
            driver.ask(step(count));
            driver.next_stop();
        });
        let at = driver.print("$pc");
        driver.quit();
        at
    };
    assert_eq!(walk(&[60]), walk(&[1; 60]));
}

#[test]
fn in_c_every_command_goes_where_gdb_goes() {
    for level in ["-O0", "-O1", "-O2"] {
        check_all(&Build::new("walks").flag(level), "main");
    }
}

#[test]
fn through_inlined_calls_every_command_goes_where_gdb_goes() {
    for level in ["-O0", "-O1", "-O2"] {
        check_all(&Build::new("inlined_calls").flag(level), "main");
    }
}

/// `next` and `until` are not compared: gdb takes a jump to another function for
/// a way to another line, and we for a call.
#[test]
fn through_tail_calls_steps_and_returns_lead_where_gdbs_do() {
    let build = Build::new("tail_calls").flag("-O2");
    check(&build, "main", &["step"; 160]);
    for seed in 0..u64::from(loops(3)) {
        let of_mixed = |word| if word == "finish" { word } else { "step" };
        check(&build, "main", &mixed(seed, 60).into_iter().map(of_mixed).collect::<Vec<_>>());
    }
}

#[test]
fn in_cpp_every_command_goes_where_gdb_goes() {
    for level in ["-O0", "-O2"] {
        check_all(&Build::new("inlined_methods").flag(level), "main");
    }
    check_over_calls(&Build::new("throws"), "main");
}

#[test]
fn in_rust_every_command_goes_where_gdb_goes() {
    let build = |level| Build::new("inlined_closures").flag(level);
    check_all(&build("-Copt-level=0"), "inlined_closures::main");
    check_over_calls(&build("-Copt-level=2"), "inlined_closures::total");
}

#[test]
fn in_programs_of_clang_every_command_goes_where_gdb_goes() {
    let build = |name, level| Build::new(name).compiler(Compiler::Clang).flag(level);
    check_all(&build("walks", "-O0"), "main");
    check_over_calls(&build("walks", "-O2"), "main");
    check_over_calls(&build("inlined_calls", "-O2"), "main");
    check_all(&build("inlined_methods", "-O0"), "main");
    check_over_calls(&build("inlined_methods", "-O2"), "main");
    check_over_calls(&build("throws", "-O0"), "main");
}
