//! The frames of stopped programs, calls that the compiler put inline among
//! them: names, arguments and lines are those that gdb finds.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::path::Path;

use support::Driver;
use support::gdb::Gdb;
use trapline::Command;
use trapline::command::Reply;
use trapline::event::FrameInfo;
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
}

const OPTIMIZED_OUT: &str = "<optimized out>";

impl Frame {
    fn new(function: &str, arguments: Vec<(String, String)>, file: &Path, line: &str) -> Self {
        let bare = function.split('<').next().unwrap();
        let bare = if function.contains("operator()") { "operator()" } else { bare };
        let function = bare.rsplit("::").next().unwrap().to_owned();
        let file = file.file_name().unwrap_or_default().display();
        Self { function, arguments, place: format!("{file}:{line}") }
    }

    /// From `function (name=value, ...) at path:line`.
    fn parse(text: &str) -> Self {
        let (call, place) = text.rsplit_once(" at ").unwrap();
        let (function, arguments) = call.rsplit_once(" (").unwrap();
        let arguments = arguments.trim_end_matches(')').split(", ");
        let arguments = arguments.filter_map(|argument| {
            let (name, value) = argument.split_once('=')?;
            // What has no address, of a thing that is in registers alone.
            let value = if value == "<synthetic pointer>" { OPTIMIZED_OUT } else { value };
            Some((name.to_owned(), value.to_owned()))
        });
        let (file, line) = place.rsplit_once(':').unwrap();
        Self::new(function, arguments.collect(), Path::new(file), line)
    }

    /// Whether it is what gdb says. Of clang's programs gdb takes what is said
    /// of a register before a call for true after it, whatever the callee did.
    fn is(&self, gdbs: &Self, compiler: Compiler) -> bool {
        let unsure = |(ours, theirs): (&(String, String), &(String, String))| {
            let lost = compiler == Compiler::Clang && ours.1 == OPTIMIZED_OUT;
            ours == theirs || (lost && ours.0 == theirs.0)
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
        Self::new(function, frame.arguments.clone(), frame.file.as_deref().unwrap(), &line)
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
