//! From what the user names to places in running programs: functions in every
//! spelling, lines, addresses, libraries that come and go, programs with little
//! or no debug information; and what is said when nothing is found.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command as Process;

use support::Driver;
use trapline::breakpoint::Subject;
use trapline::command::{BreakpointInfo, Reply};
use trapline::{Command, spec};
use trapline_testkit::{Build, Compiler, Debuggee, Linkage};

const NEVER: &str = "-hits '== 100000000'";

/// Sets each place, runs the program once and compares how many locations it
/// has and how often it was hit.
#[track_caller]
fn check(debuggee: &Debuggee, args: &[&str], rows: &[(&str, usize, u64)]) {
    let mut driver = Driver::launching(debuggee, args);
    let set: Vec<_> =
        rows.iter().map(|row| driver.break_at(&format!("{NEVER} {}", row.0))).collect();
    driver.run();
    driver.go_to_end();
    for (id, (place, locations, hits)) in set.into_iter().zip(rows) {
        let info = driver.breakpoint(id);
        assert_eq!(info.locations.len(), *locations, "{place}: {info:#?}");
        assert_eq!(info.tally.hits, *hits, "{place}: {info:#?}");
    }
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn cpp_functions_bind_by_any_of_their_names() {
    let rows = [
        ("main", 1, 1),
        ("scale", 3, 80),
        ("geometry::scale", 3, 80),
        ("geometry::scale(int)", 1, 20),
        ("geometry::scale(double)", 1, 20),
        ("geometry::scale(geometry::Shape const&)", 1, 40),
        ("Square::area", 1, 20),
        ("geometry::Circle::area", 1, 20),
        ("area", 2, 40),
        ("Ring::push", 2, 40),
        ("push", 2, 40),
        ("Ring<int, 8>::push", 1, 20),
        ("Ring<double, 4>::push", 1, 20),
        ("checked", 1, 20),
        ("geometry::detail::clamp", 2, 60),
        ("cpp_templates.cpp:scale", 3, 80),
        ("-qualified geometry::scale", 3, 80),
    ];
    for linkage in [Linkage::Pie, Linkage::Fixed] {
        for compiler in [Compiler::Gcc, Compiler::Clang] {
            let build = Build::new("cpp_templates").linkage(linkage).compiler(compiler);
            check(&build.build(), &["20"], &rows);
        }
    }
}

#[test]
fn rust_functions_bind_by_any_of_their_names() {
    let debuggee = Debuggee::build("rust_threads");
    let rows = [
        ("rust_threads::main", 1, 1),
        ("visit", 1, 400),
        ("counting::visit", 1, 400),
        ("rust_threads::counting::visit", 1, 400),
        ("record", 2, 200),
        ("Tally::record", 2, 200),
        ("shape_of", 1, 400),
        ("largest", 1, 1),
    ];
    check(&debuggee, &["4", "100"], &rows);
}

#[test]
fn lines_bind_in_all_their_copies() {
    let debuggee = Debuggee::build("cpp_templates");
    let at = |mark: &str| debuggee.mark(mark).spec();
    let places = [
        (at("inlined"), 2, 60),
        (at("push"), 2, 40),
        (at("scale_int"), 1, 20),
        (format!("debuggees/{}", at("push")), 2, 40),
        (
            format!("{}:{}", debuggee.source.display(), at("push").rsplit_once(':').unwrap().1),
            2,
            40,
        ),
        (at("throw"), 1, 4),
    ];
    let rows: Vec<_> = places.iter().map(|row| (row.0.as_str(), row.1, row.2)).collect();
    check(&debuggee, &["20"], &rows);
}

#[test]
fn offsets_and_addresses_bind() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let rows = [
        ("visit+0", 1, 50),
        ("visit:+2", 1, 50),
        ("*visit", 1, 50),
        ("*&visit", 1, 50),
        ("*visit+4", 1, 50),
        ("visit+4", 1, 50),
    ];
    check(&debuggee, &["1", "50"], &rows);
}

#[test]
fn a_line_without_code_moves_and_says_so() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let driver = Driver::launching(&debuggee, &["1", "50"]);
    let line: u32 = debuggee.mark("visit").spec().rsplit_once(':').unwrap().1.parse().unwrap();
    let id = driver.break_at(&format!("{NEVER} many_threads_one_function.c:{}", line - 1));
    let info = driver.breakpoint(id);
    // The function's line leads past its prologue, to its first statement.
    assert_eq!(info.locations[0].line, Some(line + 1), "{info:#?}");
    let notes = info.notes.join("; ");
    assert!(notes.contains(&(line - 1).to_string()), "{notes:?}");
    driver.quit();
}

#[test]
fn a_regular_expression_binds_every_function_it_matches() {
    let debuggee = Debuggee::build("cpp_templates");
    let mut driver = Driver::launching(&debuggee, &["20"]);
    let mut all = spec::functions("^geometry::scale").unwrap();
    all.hits = Some(trapline::breakpoint::HitRule::Equal(1 << 40));
    assert!(matches!(all.subject, Subject::Functions { .. }));
    let Reply::Breakpoint(info) = driver.ask(Command::Break(all)) else { panic!() };
    driver.run();
    driver.go_to_end();
    assert_eq!(driver.tally(info.id).passes, 80);
    let wrong = driver.try_ask(Command::Break(spec::functions("(").unwrap())).unwrap_err();
    assert!(wrong.contains("`(` is not a regular expression"), "{wrong}");
    driver.quit();
}

#[test]
fn places_in_a_library_come_and_go_with_it() {
    let plugin = Build::new("plugin").linkage(Linkage::Library).build();
    let program = Debuggee::build("dlopen_plugin");
    let mut driver = Driver::launching(&program, &[plugin.path.to_str().unwrap(), "4", "25"]);
    let entry = driver.break_at(&format!("{NEVER} plugin_entry"));
    let helper = driver.break_at(&format!("{NEVER} {}", plugin.mark("helper").spec()));
    let hardware = driver.break_at(&format!("-hw {NEVER} helper if value > 20"));
    let gone = driver.break_at("unloaded");
    let loaded = driver.break_at("loaded");
    driver.run();
    let bound =
        |driver: &Driver| [entry, helper, hardware].map(|id| driver.breakpoint(id).locations.len());
    assert_eq!(bound(&driver), [0; 3]);
    driver.go_to_end_through(|driver, stop| {
        let inside = support::hit(stop) == [loaded];
        assert!(inside || support::hit(stop) == [gone]);
        assert_eq!(bound(driver), [usize::from(inside); 3]);
        assert_eq!(driver.print("sizeof(calls)"), "24");
    });
    let passes = [entry, helper, hardware].map(|id| driver.tally(id).passes);
    assert_eq!(passes, [driver.said("calls"); 3]);
    assert_eq!(driver.tally(hardware).hits, 20);
    driver.output_is_as_undebugged();
    driver.quit();
}

/// What came of setting places together: the breakpoints, and what was said of
/// the first that cannot be.
fn set_together(driver: &Driver, places: &[&str]) -> (Vec<BreakpointInfo>, Option<String>) {
    let specs = places.iter().map(|place| spec::code(place).unwrap()).collect();
    let mut set = Vec::new();
    let done = driver.handle().break_each(specs, |infos| set.extend(infos));
    (set, done.err().map(|error| error.message))
}

/// The same, asked for one after the other.
fn set_singly(driver: &Driver, places: &[&str]) -> (Vec<BreakpointInfo>, Option<String>) {
    let mut set = Vec::new();
    for place in places {
        match driver.try_ask(Command::Break(spec::code(place).unwrap())) {
            Ok(Reply::Breakpoint(info)) => set.push(*info),
            Ok(other) => panic!("{other:?}"),
            Err(why) => return (set, Some(why)),
        }
    }
    (set, None)
}

#[test]
fn breakpoints_set_together_are_what_each_would_be_alone() {
    let debuggee = Debuggee::build("cpp_templates");
    let line = debuggee.mark("main").spec();
    let bare = line.rsplit_once(':').unwrap().1;
    let places = [
        "main",
        &line,
        bare,
        "mian",
        "-qualified main",
        "main+1",
        "main:+1",
        "*&main",
        "-hw main",
        "main if 1 == 2",
        "cpp_templates.cpp:1",
        "nowhere.cpp:3",
        "operator+",
        "-once main",
    ];
    // So many that several threads look for them.
    let places = places.repeat(8);
    let wrong = ["main", "mian", "main if nobody == 1", "main"];
    for runs in [false, true] {
        let all = [set_together, set_singly].map(|set| {
            let mut driver = Driver::launching(&debuggee, &[]);
            if runs {
                driver.break_at("-once main");
                driver.run();
                driver.go_to_stop();
            }
            let told = (set(&driver, &places), set(&driver, &wrong), set(&driver, &["main"]));
            driver.quit();
            told
        });
        let [(good, bad, next), singly] = &all;
        assert_eq!(good.0.len(), places.len(), "{:?}", good.1);
        assert!(bad.1.as_ref().unwrap().contains("nobody"), "{:?}", bad.1);
        // Neither the one refused nor those after it take a number.
        assert_eq!(next.0[0].id.get() as usize, usize::from(runs) + places.len() + 3);
        assert_eq!((good, bad, next), (&singly.0, &singly.1, &singly.2));
    }
}

/// What is said of a place that is not there.
#[track_caller]
fn check_unbound(info: &BreakpointInfo, place: &str, expected: &[&str]) {
    assert_eq!(info.locations, [], "{place}");
    let notes = info.notes.join("; ");
    for part in expected {
        assert!(notes.contains(part), "{place}: {part} in {notes}");
    }
}

#[test]
fn what_does_not_bind_says_why_and_offers_the_nearest() {
    let debuggee = Debuggee::build("cpp_templates");
    let driver = Driver::launching(&debuggee, &[]);
    let check = |place: &str, expected: &[&str]| {
        let info = driver.breakpoint(driver.break_at(place));
        check_unbound(&info, place, expected);
    };
    check("chekced", &["\"chekced\" not defined", "did you mean", "checked"]);
    check("geometry::scael", &["did you mean", "scale"]);
    check("-qualified scale", &["\"scale\" not defined", "geometry::scale"]);
    check("cpp_templates.cpp:99999", &["99999", "cpp_templates.cpp"]);
    check("cpp_template.cpp:10", &["cpp_template.cpp", "did you mean", "cpp_templates.cpp"]);
    check("elsewhere/cpp_templates.cpp:10", &["elsewhere/cpp_templates.cpp", "did you mean"]);
    check("cpp_templates.cpp:main:+5000", &["main"]);
    driver.quit();
}

/// A folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[track_caller]
fn tool(program: &str, args: &[&str], folder: &Path) {
    let done = Process::new(program).args(args).current_dir(folder).status().unwrap();
    assert!(done.success(), "{program} {args:?}");
}

/// A copy of a debuggee that a tool may change.
fn copy_of(name: &str, folder: &Path) -> Debuggee {
    let built = Debuggee::build(name);
    let path = folder.join(name);
    std::fs::copy(&built.path, &path).unwrap();
    Debuggee { image: path.clone(), path, source: built.source }
}

#[test]
fn a_symbol_table_alone_is_enough_for_functions() {
    let folder = scratch("symbols-only");
    let program = copy_of("many_threads_one_function", &folder);
    tool("objcopy", &["--strip-debug", "many_threads_one_function"], &folder);
    check(&program, &["2", "50"], &[("visit", 1, 100), ("visit+4", 1, 100), ("*visit", 1, 100)]);
    let rows = [
        ("visit if (int)passes == 50", 1, 100),
        ("visit if *(int *)&passes == 51", 1, 0),
        ("visit if $rdi == 1 && &passes != &total", 1, 50),
    ];
    check(&program, &["2", "50"], &rows);
    let driver = Driver::launching(&program, &[]);
    let place = program.mark("body").spec();
    let info = driver.breakpoint(driver.break_at(&place));
    check_unbound(&info, &place, &["no line information", "compile with -g"]);
    driver.quit();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_separate_debug_file_is_found_by_its_link() {
    let folder = scratch("debuglink");
    let program = copy_of("many_threads_one_function", &folder);
    let name = "many_threads_one_function";
    tool("objcopy", &["--only-keep-debug", name, "the.debug"], &folder);
    tool("objcopy", &["--strip-all", "--remove-section=.note.gnu.build-id", name], &folder);
    tool("objcopy", &["--add-gnu-debuglink=the.debug", name], &folder);
    let body = program.mark("body").spec();
    let even = format!("{} if pass % 2 == 0 && total >= 0", program.mark("even").spec());
    check(&program, &["2", "50"], &[("visit", 1, 100), (&body, 1, 100), (&even, 1, 50)]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_relative_folder_of_compilation_is_named_once() {
    let name = "many_threads_one_function";
    let source = Debuggee::build(name).source;
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let folder = scratch("relative-folder");
        std::fs::copy(&source, folder.join("copy.c")).unwrap();
        let here = format!("-fdebug-prefix-map={}=built", folder.display());
        tool("gcc", &["-g", version, &here, "copy.c", "-o", name, "-pthread"], &folder);
        let path = folder.join(name);
        let program = Debuggee { image: path.clone(), path, source: source.clone() };
        let driver = Driver::launching(&program, &[]);
        let info = driver.breakpoint(driver.break_at("visit"));
        assert_eq!(info.locations[0].file.as_deref(), Some("built/copy.c"), "{version}");
        driver.quit();
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_functions_arguments_are_its_own_whatever_hides_their_names() {
    for flag in ["-O0", "-O2"] {
        let debuggee = Build::new("hidden_arguments").flag(flag).build();
        let mut driver = Driver::launching(&debuggee, &[]);
        let block = debuggee.mark("block").spec();
        let call = driver.break_at("hidden_by_a_call if value == 1");
        driver.break_at(&format!("-once {block}"));
        driver.run();
        let mut told = Vec::new();
        driver.go_to_end_through(|driver, _| {
            let request = Command::Backtrace { limit: 1, full: false };
            let Reply::Backtrace { frames, .. } = driver.ask(request) else { panic!() };
            told.push((frames[0].arguments[0].1.clone(), driver.print("value")));
        });
        let expected = [("1", "1"), ("3", "50")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(told, expected, "{flag}");
        assert_eq!(driver.tally(call).hits, 1);
        driver.quit();
    }
}

#[test]
fn code_moved_out_of_an_inlined_call_is_not_yet_in_it() {
    let debuggee = Build::new("hoisted_from_a_call").flag("-O2").build();
    let mut driver = Driver::launching(&debuggee, &[]);
    let taken = driver.break_at("take if size == 30");
    driver.run();
    driver.go_to_stop();
    assert_eq!(driver.print("size"), "30");
    driver.go_to_end();
    assert_eq!(driver.tally(taken).hits, 1);
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn several_files_of_one_name_are_told_apart_by_their_path() {
    let folder = scratch("same-names");
    let side = |name: &str, calls: u32| {
        let text = format!("int n;\nvoid {name}(void) {{\n    n += {calls};\n}}\n");
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("same.c"), text).unwrap();
    };
    side("left", 1);
    side("right", 2);
    let main = "void left(void), right(void);\nint main(void) {\n    \
                left(); right(); right();\n    return 0;\n}\n";
    std::fs::write(folder.join("main.c"), main).unwrap();
    let args = ["-g", "-fcommon", "-o", "same", "main.c", "left/same.c", "right/same.c"];
    tool("gcc", &args, &folder);
    let path = folder.join("same");
    let program = Debuggee { image: path.clone(), path, source: folder.join("main.c") };
    let rows = [
        ("same.c:3", 2, 3),
        ("left/same.c:3", 1, 1),
        ("right/same.c:3", 1, 2),
        ("right/same.c:right", 1, 2),
    ];
    check(&program, &[], &rows);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_program_built_anew_is_read_anew() {
    let build = |compiler| Build::new("tight_loop").compiler(compiler).build();
    let (first, second) = (build(Compiler::Gcc), build(Compiler::Clang));
    let mut driver = Driver::new();
    let program = driver.folder().join("program");
    let replace_by = |debuggee: &Debuggee| {
        // A new file, as a linker makes it.
        let fresh = program.with_extension("new");
        std::fs::copy(&debuggee.path, &fresh).unwrap();
        std::fs::rename(&fresh, &program).unwrap();
    };
    replace_by(&first);
    driver.ask(Command::Program(trapline::LaunchSpec {
        program: program.clone(),
        args: vec!["50".into()],
        stdout: Some("/dev/null".into()),
        ..Default::default()
    }));
    let id = driver.break_at(&format!("{NEVER} body"));
    for runs in 1..=2 {
        driver.run();
        driver.go_to_end();
        assert_eq!(driver.tally(id).passes, 50 * runs, "run {runs}");
        assert_eq!(driver.breakpoint(id).locations.len(), 1);
        replace_by(&second);
    }
    let told = driver.warnings.iter().any(|text| text.contains("re-reading symbols"));
    assert!(told, "{:?}", driver.warnings);
    driver.quit();
}
