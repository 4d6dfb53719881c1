//! The frames of stopped programs, calls that the compiler put inline among
//! them: names, arguments and lines are those that gdb finds.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::path::Path;

use support::Driver;
use support::gdb::Gdb;
use trapline::Command;
use trapline::command::{Reply, ValueFormat};
use trapline::event::{FrameInfo, StopReason};
use trapline_testkit::{Build, Compiler, Debuggee};

/// A frame as far as two debuggers may be expected to agree on it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Frame {
    /// The function, without scopes and template arguments: gdb names lambdas
    /// otherwise, and some functions by their linkage names.
    function: String,
    arguments: Vec<(String, String)>,
    /// `file:line`.
    place: String,
    /// Whether it is known to have ended in a tail call.
    tail_call: bool,
}

const OPTIMIZED_OUT: &str = "<optimized out>";

impl Frame {
    fn new(function: &str, arguments: Vec<(String, String)>, file: &Path, line: &str) -> Self {
        let bare = function.split('<').next().unwrap();
        let bare = if function.contains("operator()") { "operator()" } else { bare };
        let function = bare.rsplit("::").next().unwrap().to_owned();
        let file = file.file_name().unwrap_or_default().display();
        Self { function, arguments, place: format!("{file}:{line}"), tail_call: false }
    }

    /// From `function (name=value, ...) at path:line`.
    fn parse(text: &str) -> Self {
        let (call, place) = text.rsplit_once(" at ").unwrap();
        let (function, arguments) = call.rsplit_once(" (").unwrap();
        let arguments = arguments.trim_end_matches(')').split(", ");
        let arguments = arguments.filter_map(|argument| {
            let (name, value) = argument.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let (file, line) = place.rsplit_once(':').unwrap();
        Self::new(function, arguments.collect(), Path::new(file), line)
    }

    /// Whether it is what gdb says. Of clang's programs, and where a function has
    /// ended in a jump to another, gdb takes what is said of a register before
    /// for true after it, whatever the callee did.
    fn is(&self, gdbs: &Self, compiler: Compiler) -> bool {
        let unsure = |(ours, theirs): (&(String, String), &(String, String))| {
            let unsure = compiler == Compiler::Clang || self.tail_call;
            ours == theirs || (unsure && ours.1 == OPTIMIZED_OUT && ours.0 == theirs.0)
        };
        self.function == gdbs.function
            && self.place == gdbs.place
            && self.arguments.len() == gdbs.arguments.len()
            && self.arguments.iter().zip(&gdbs.arguments).all(unsure)
    }
}

impl From<&FrameInfo> for Frame {
    fn from(frame: &FrameInfo) -> Self {
        let function = frame.function.as_deref().unwrap_or("??");
        let line = frame.line.unwrap_or(0).to_string();
        let file = frame.file.as_deref().unwrap();
        let tail_call = frame.tail_call;
        Self { tail_call, ..Self::new(function, frame.arguments.clone(), file, &line) }
    }
}

/// The frames at the first stop at a place, as far as `main`.
fn ours(debuggee: &Debuggee, spec: &str) -> Vec<Frame> {
    let mut driver = Driver::launching(debuggee, &[]);
    driver.break_at(spec);
    driver.run();
    driver.go_to_stop();
    let Reply::Backtrace { frames, .. } =
        driver.ask(Command::Backtrace { limit: 100, full: false })
    else {
        panic!("no frames")
    };
    driver.ask(Command::Kill);
    driver.quit();
    let is_main = |frame: &FrameInfo| {
        frame.function.as_ref().is_some_and(|name| name.rsplit("::").next() == Some("main"))
    };
    let last = frames.iter().position(is_main).unwrap();
    frames[..=last].iter().map(Frame::from).collect()
}

/// gdb's frames at the first stop at each place.
fn gdbs(debuggee: &Debuggee, specs: &[String]) -> Vec<Vec<Frame>> {
    let mut gdb = Gdb::new();
    gdb.say("set print entry-values no");
    for spec in specs {
        gdb.say(&format!("tbreak {spec}")).say("run").say("echo ==\\n");
        gdb.say("backtrace").say("kill").say("delete");
    }
    let told = gdb.told(debuggee, &[]);
    let of_stop = |part: &str| -> Vec<Frame> {
        let lines = part.lines().filter_map(|line| line.strip_prefix('#')?.split_once("  "));
        let frames = lines.map(|(_, text)| match text.split_once(" in ") {
            Some((pc, frame)) if pc.starts_with("0x") => Frame::parse(frame),
            _ => Frame::parse(text),
        });
        frames.collect()
    };
    told.split("==\n").skip(1).map(of_stop).collect()
}

fn check(build: &Build, compiler: Compiler, marks: &[&str], functions: &[&str]) {
    let build = build.clone().compiler(compiler);
    let debuggee = build.build();
    let lines = marks.iter().map(|mark| debuggee.mark(mark).spec());
    let specs: Vec<String> = lines.chain(functions.iter().map(|&name| name.to_owned())).collect();
    let gdbs = gdbs(&debuggee, &specs);
    assert_eq!(gdbs.len(), specs.len(), "{build:?}");
    let differ = specs.iter().zip(gdbs).filter_map(|(spec, gdbs)| {
        let ours = ours(&debuggee, spec);
        let same = ours.len() == gdbs.len()
            && ours.iter().zip(&gdbs).all(|(ours, gdbs)| ours.is(gdbs, compiler));
        (!same).then(|| format!("{spec}\n  ours {ours:#?}\n  gdb's {gdbs:#?}\n"))
    });
    let differ: String = differ.collect();
    assert!(differ.is_empty(), "{build:?}: {differ}");
}

#[test]
fn calls_inlined_in_c_are_frames() {
    let marks = ["deepest", "inner", "calls", "middle", "through", "outer", "after", "bottom"];
    let functions = ["deepest", "outer", "begins_inline", "recursive"];
    for (compiler, level) in [
        (Compiler::Gcc, "-O0"),
        (Compiler::Gcc, "-O1"),
        (Compiler::Gcc, "-O2"),
        (Compiler::Clang, "-O2"),
    ] {
        check(&Build::new("inlined_calls").flag(level), compiler, &marks, &functions);
    }
}

/// Stops with functions on the stack that have ended in tail calls: by one way,
/// by two, through a pointer, with a variable.
const TAIL_CALLS: [&str; 5] = [
    "bottom if value == 16",
    "bottom if value == 17",
    "bottom if value == 7",
    "bottom if value == 13",
    "bottom if value == 14",
];

#[test]
fn functions_that_ended_in_tail_calls_are_frames() {
    for (compiler, flags) in [
        (Compiler::Gcc, &["-O2"][..]),
        (Compiler::Gcc, &["-O2", "-gdwarf-4"]),
        (Compiler::Gcc, &["-O1", "-foptimize-sibling-calls", "-fno-omit-frame-pointer"]),
        (Compiler::Clang, &["-O2", "-gdwarf-4", "-ggdb"]),
    ] {
        let flagged = |build: Build, flag: &&str| build.flag(flag);
        let build = flags.iter().fold(Build::new("tail_calls"), flagged);
        check(&build, compiler, &[], &TAIL_CALLS);
    }
}

fn names(debuggee: &Debuggee, spec: &str) -> Vec<String> {
    ours(debuggee, spec).into_iter().map(|frame| frame.function).collect()
}

/// gdb 13 shows a tail call out of an inlined call without the function that
/// that is in, and no tail call of clang's DWARF 5.
#[test]
fn tail_calls_that_gdb_does_not_show_are_frames_too() {
    for compiler in [Compiler::Gcc, Compiler::Clang] {
        let debuggee = Build::new("tail_calls").flag("-O2").compiler(compiler).build();
        let check = |spec: &str, expected: &[&str]| {
            let expected = [&["bottom"], expected, &["calls_all", "main"]].concat();
            assert_eq!(names(&debuggee, spec), expected, "{compiler:?} {spec}");
        };
        check("bottom if value == 16", &["inner", "middle"]);
        check("bottom if value == 17", &["joined", "before"]);
        check("bottom if value == 10", &["last", "through_inline"]);
        check("bottom if value == 7", &[]);
    }
}

#[test]
fn a_frame_that_ended_in_a_tail_call_knows_what_is_left_of_it() {
    let debuggee = Build::new("tail_calls").flag("-O2").build();
    let mut driver = Driver::launching(&debuggee, &[]);
    driver.break_at("bottom if value == 13");
    driver.run();
    driver.go_to_stop();
    let select = |driver: &Driver, level| match driver.ask(Command::SelectFrame(level)) {
        Reply::Frame(frame) => *frame,
        other => panic!("{other:?}"),
    };
    let kept = |driver: &Driver| ["$rbx", "$rbp", "$rsp"].map(|name| driver.print(name));
    let (tail, caller) = (select(&driver, 1), select(&driver, 2));
    assert_eq!((tail.tail_call, caller.tail_call), (true, false));
    assert_eq!(tail.function.as_deref(), Some("keeps"));
    let of_caller = kept(&driver);
    select(&driver, 1);
    assert_eq!(kept(&driver), of_caller);
    let print = |expression: &str| {
        let (expression, format) = (expression.to_owned(), ValueFormat::default());
        driver.try_ask(Command::Print { expression, format }).unwrap_err()
    };
    assert!(print("kept").contains("it ended in a jump"), "{}", print("kept"));
    assert!(print("$rdi").contains("not known in this frame"), "{}", print("$rdi"));
    assert!(print("value").contains("not known in this frame"), "{}", print("value"));
    assert!(print("$rbx = 1").contains("innermost frame only"), "{}", print("$rbx = 1"));
    driver.ask(Command::Finish);
    let stop = driver.next_stop();
    assert_eq!((stop.frame.pc, stop.frame.function.as_deref()), (caller.pc, Some("calls_all")));
    let [StopReason::Returned { value: Some((_, value)) }] = &stop.reasons[..] else {
        panic!("{:?}", stop.reasons)
    };
    assert_eq!(*value, driver.print("seen"));
    driver.go_to_end();
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn arguments_of_functions_that_jump_to_each_other_are_not_their_first_callers() {
    let debuggee = Build::new("tail_cycle").flag("-O2").build();
    let mut driver = Driver::launching(&debuggee, &[]);
    driver.break_at(&format!("{} if value == 7", debuggee.mark("see").spec()));
    driver.run();
    let mut seen = Vec::new();
    driver.go_to_end_through(|driver, _| {
        let request = Command::Backtrace { limit: 2, full: false };
        let Reply::Backtrace { frames, .. } = driver.ask(request) else { panic!("no frames") };
        seen.extend(frames[1].arguments.iter().find(|(name, _)| name == "id").cloned());
    });
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(_, value)| value == OPTIMIZED_OUT), "{seen:?}");
    driver.quit();
}

#[test]
fn methods_and_lambdas_inlined_in_cpp_are_frames() {
    let marks = ["constructor", "operator", "value", "applied", "lambda", "added"];
    for compiler in [Compiler::Gcc, Compiler::Clang] {
        for level in ["-O0", "-O2"] {
            check(&Build::new("inlined_methods").flag(level), compiler, &marks, &["total"]);
        }
    }
}

#[test]
fn methods_and_closures_inlined_in_rust_are_frames() {
    let marks = ["new", "add", "value", "applied", "closure", "added"];
    for level in ["-Copt-level=0", "-Copt-level=2"] {
        let build = Build::new("inlined_closures").flag(level);
        check(&build, Compiler::Rustc, &marks, &["inlined_closures::total"]);
    }
}

#[test]
fn a_call_through_a_wild_pointer_has_a_stack() {
    for build in Build::new("wild_call").by_each(&["-O0", "-O2"]) {
        let debuggee = build.build();
        for address in ["0", "123456"] {
            let mut driver = Driver::launching(&debuggee, &[address]);
            driver.run();
            let stop = driver.go_to_stop();
            assert!(matches!(stop.reasons[..], [StopReason::Signal(_)]), "{stop:?}");
            let command = Command::Backtrace { limit: 2, full: false };
            let Reply::Backtrace { frames, .. } = driver.ask(command) else { panic!("no frames") };
            let names: Vec<_> = frames.iter().map(|frame| frame.function.as_deref()).collect();
            // Optimised, `main` ends in a jump.
            assert_eq!(names[..2], [None, Some("call")], "{address}");
            assert_eq!(frames[1].line, Some(debuggee.mark("call").line));
            driver.ask(Command::SelectFrame(1));
            driver.ask(Command::Kill);
            driver.quit();
        }
    }
}
