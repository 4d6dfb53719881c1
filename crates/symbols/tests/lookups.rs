//! Functions, lines and symbols of real programs, against what gdb, nm,
//! addr2line and readelf say of them.

mod lookups_support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use lookups_support::{Program, capture};
use trapline_core::ImageAddr;
use trapline_symbols::fuzz::missed_by_search;
use trapline_symbols::{DebugInfo, Image, ImageKind, LineError, LoadOptions, Progress, SymbolKind};

const C: &str = "lookups.c";
const CPP: &str = "lookups.cpp";
const RUST: &str = "lookups.rs";

/// The ways a program is built where gdb must agree on every address.
const BUILDS: [&[&str]; 7] = [
    &["-g", "-O0", "-gdwarf-4"],
    &["-g", "-O0", "-gdwarf-5"],
    &["-g", "-O2"],
    &["-g", "-O1", "-fno-omit-frame-pointer"],
    &["-g", "-O0", "-gz"],
    &["-g", "-O0", "-gsplit-dwarf"],
    &["-g", "-O2", "-gsplit-dwarf", "-gdwarf-4"],
];

fn breakpoints(image: &Image, name: &str) -> BTreeSet<u64> {
    image.functions_named(name, false).iter().map(|it| it.prologue_end.get()).collect()
}

fn line_addresses(image: &Image, file: &str, line: u32) -> BTreeSet<u64> {
    let found = image.line_locations(file, line).expect("the line has code");
    found.places.iter().map(|place| place.address.get()).collect()
}

#[test]
fn functions_are_where_gdb_breaks_on_them() {
    let names = [
        (C, vec!["helper", "main"]),
        (
            CPP,
            vec![
                "ns::add",
                "add",
                "add<int>",
                "ns::add<double>",
                "area",
                "Square::area",
                "ns::over",
                "over(int)",
                "ns::over(double)",
                "main",
            ],
        ),
    ];
    for flags in BUILDS {
        for (source, names) in &names {
            let program = Program::build(source, flags);
            let image = program.load();
            for name in names {
                let ours = breakpoints(&image, name);
                assert_eq!(ours, program.gdb_break(name), "{name} of {source} {flags:?}");
            }
        }
    }
}

#[track_caller]
fn check_search(program: &Program, least: usize) {
    let image = program.load();
    let (count, missed) = missed_by_search(&image);
    assert!(count >= least, "only {count} names in {}", program.path());
    assert!(missed.is_empty(), "{}: {missed:?}", program.path());
}

#[test]
fn no_name_is_missed_by_searching_for_it() {
    for flags in BUILDS {
        check_search(&Program::build(C, flags), 10);
        check_search(&Program::build(CPP, flags), 20);
    }
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        check_search(&Program::build_with("clang-19", C, &["-O1", version]), 5);
        let split = ["-O1", version, "-gsplit-dwarf"];
        check_search(&Program::build_with("clang++-19", CPP, &split), 20);
        let types = ["-O0", version, "-fdebug-types-section"];
        check_search(&Program::build(CPP, &types), 20);
        let whole = ["-O2", version, "-flto"];
        check_search(&Program::build(CPP, &whole), 20);
    }
    check_search(&Program::build(RUST, &["-g"]), 1000);
    check_search(&Program::build(RUST, &["-g", "-Cdwarf-version=5", "-Clto"]), 1000);
}

#[test]
fn lines_are_where_gdb_breaks_on_them() {
    for flags in BUILDS {
        let program = Program::build(C, flags);
        let image = program.load();
        for mark in ["inlined", "helper", "first", "loop", "last", "comment"] {
            let line = program.mark(mark);
            let ours = line_addresses(&image, "programs/lookups.c", line);
            let theirs = program.gdb_break(&format!("lookups.c:{line}"));
            assert_eq!(ours, theirs, "{mark} {flags:?}");
        }
    }
}

#[test]
fn a_line_in_several_blocks_is_in_each_as_gdb_has_it() {
    let program = Program::build("blocks.c", &["-g", "-O0"]);
    let image = program.load();
    for (mark, blocks) in [("siblings", 5), ("condition", 1), ("loop", 1)] {
        let line = program.mark(mark);
        let ours = line_addresses(&image, "blocks.c", line);
        assert_eq!(ours, program.gdb_break(&format!("blocks.c:{line}")), "{mark}");
        assert_eq!(ours.len(), blocks, "{mark}");
    }
}

/// Every line of a Rust program that runs is run through one of its places:
/// gdb puts some of these on the cleanup of an unwinding that never is.
#[test]
fn lines_are_bound_where_they_run_and_not_where_an_exception_would_pass() {
    let program = Program::build("unwinding.rs", &["-g"]);
    let image = program.load();
    let marks = ["drops", "loop end", "main end"];
    let stops = program.gdb_passes(marks.iter().map(|mark| {
        let line = program.mark(mark);
        line_addresses(&image, "unwinding.rs", line)
    }));
    assert_eq!(stops, [1, 3, 1], "{marks:?}");
}

#[test]
fn lines_of_catch_blocks_are_bound_in_them() {
    for level in ["-O0", "-O2"] {
        let program = Program::build("catching.cpp", &["-g", level]);
        let image = program.load();
        let marks = ["caught", "guard in catch", "after", "rethrown"];
        let stops = program.gdb_passes(marks.iter().map(|mark| {
            let line = program.mark(mark);
            line_addresses(&image, "catching.cpp", line)
        }));
        assert_eq!(stops, [2, 2, 3, 1], "{marks:?} {level}");
    }
}

#[test]
fn a_place_moved_past_a_prologue_is_of_the_line_it_moved_to() {
    let program = Program::build("lookups.c", &["-g", "-O0"]);
    let image = program.load();
    let entry = program.mark("helper") + 1;
    let found = image.line_locations("lookups.c", entry).unwrap();
    let place = &found.places[0];
    let there = image.source_at(place.address).unwrap();
    assert_eq!((found.actual, place.line), (entry, there.line));
    assert!(place.line > entry, "{place:?}");
}

#[test]
fn type_units_add_no_places() {
    for format in
        [&["-gdwarf-4", "-fdebug-types-section"][..], &["-gdwarf-5", "-fdebug-types-section"]]
    {
        let program = Program::build(CPP, &[&["-g", "-O0"][..], format].concat());
        let image = program.load();
        for mark in ["generic", "area"] {
            let line = program.mark(mark);
            let ours = line_addresses(&image, "lookups.cpp", line);
            assert_eq!(ours, program.gdb_break(&format!("lookups.cpp:{line}")), "{mark}");
        }
        let mut statements: Vec<ImageAddr> = image.statement_addresses().collect();
        let all = statements.len();
        statements.sort_unstable();
        statements.dedup_by(|a, b| a == b && image.source_at(*a) == image.source_at(*b));
        assert!(all > 20 && statements.len() * 3 > all * 2, "{} of {all}", statements.len());
        let area = image.functions_named("ns::Square::area", true);
        assert_eq!((area.len(), area[0].name.as_str()), (1, "ns::Square::area"));
    }
}

#[test]
fn a_line_without_code_moves_on_and_says_so() {
    let program = Program::build(C, &["-g", "-O0"]);
    let image = program.load();
    let (comment, helper) = (program.mark("comment"), program.mark("helper"));
    let found = image.line_locations("lookups.c", comment).unwrap();
    // Code starts at the brace below the function's name.
    assert_eq!((found.requested, found.actual), (comment, helper + 1));
    assert_eq!(found.places[0].function.as_deref(), Some("helper"));
    assert_eq!(found.places[0].address, image.functions_named("helper", true)[0].prologue_end);
}

#[test]
fn an_inlined_line_has_a_place_in_every_copy() {
    let program = Program::build(C, &["-g", "-O0"]);
    let image = program.load();
    let found = image.line_locations("lookups.c", program.mark("inlined")).unwrap();
    assert_eq!(found.places.len(), 2);
    for place in &found.places {
        assert!(place.inlined);
        assert_eq!(place.function.as_deref(), Some("twice"));
        let chain = image.inline_chain_at(place.address);
        assert_eq!(chain.len(), 1);
        assert_eq!(chain[0].name, "twice");
        let outer = image.function_at(place.address).unwrap();
        let expected = capture(
            "addr2line",
            &["-ifs", "-e", program.path(), &format!("{:#x}", place.address.get())],
        );
        let lines: Vec<&str> = expected.lines().collect();
        let call = format!("lookups.c:{}", chain[0].call_line);
        assert_eq!(lines[0], "twice");
        assert_eq!(lines[2], outer.name);
        assert!(lines[3].starts_with(&call), "{expected}");
    }
    let copies = image.functions_named("twice", false);
    assert!(copies.len() == 2 && copies.iter().all(|copy| copy.inlined));
}

#[test]
fn what_cannot_be_found_is_explained() {
    let program = Program::build(C, &["-g", "-O0"]);
    let image = program.load();
    let end = program.mark("nothing");
    match image.line_locations("lookups.c", end) {
        // `main`'s closing brace is the line before the mark.
        Err(LineError::NoCode { nearest, .. }) => assert_eq!(nearest.last(), Some(&(end - 1))),
        other => panic!("{other:?}"),
    }
    assert_eq!(image.line_locations("lokups.c", 1), Err(LineError::UnknownFile));
    assert!(image.nearest_files("lokups.c", 1)[0].ends_with("lookups.c"));
    assert_eq!(image.nearest_functions("hepler", 1), ["helper"]);
    assert!(image.functions_named("hepler", false).is_empty());
    let plain = Program::build(C, &["-O0"]).load();
    assert_eq!(plain.line_locations("lookups.c", 1), Err(LineError::NoDebugInfo));
    assert_eq!(*plain.debug_info(), DebugInfo::SymbolsOnly);
}

#[test]
fn every_statement_is_on_the_line_that_addr2line_says() {
    for flags in [["-g", "-O0", "-gdwarf-4"], ["-g", "-O0", "-gdwarf-5"]] {
        let program = Program::build(C, &flags);
        let image = program.load();
        let addresses: Vec<ImageAddr> = image.statement_addresses().collect();
        assert!(addresses.len() > 10);
        let mut arguments = vec!["-s".to_owned(), "-e".into(), program.path().into()];
        arguments.extend(addresses.iter().map(|address| address.to_string()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for (address, theirs) in addresses.iter().zip(capture("addr2line", &arguments).lines()) {
            let ours = image.source_at(*address).unwrap();
            let theirs = theirs.split(' ').next().unwrap();
            assert_eq!(format!("lookups.c:{}", ours.line), theirs, "{address}");
        }
    }
}

#[test]
fn symbols_are_those_that_nm_lists() {
    let program = Program::build(CPP, &["-g", "-O0"]);
    let image = program.load();
    let listing = capture("nm", &["--defined-only", "-S", program.path()]);
    let mut seen = 0;
    for line in listing.lines() {
        let [address, size, kind, name] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        if !"TtWwDB".contains(kind) {
            continue;
        }
        let address = ImageAddr::new(u64::from_str_radix(address, 16).unwrap());
        let size = u64::from_str_radix(size, 16).unwrap();
        let named = image.symbols_named(name);
        assert!(named.iter().any(|hit| hit.start == address && hit.size == size), "{name}");
        let inside = address.wrapping_add(size - 1);
        assert_eq!(image.symbol_at(inside).map(|hit| hit.start), Some(address), "{name}");
        seen += 1;
    }
    assert!(seen > 10);
    let hits = image.symbols_named("ns::Shape::count");
    assert_eq!((hits.len(), hits[0].kind), (1, SymbolKind::Data));
}

#[test]
fn rust_functions_have_the_names_people_write() {
    for flags in [&["-g"][..], &["-g", "-O"], &["-g", "-Csplit-debuginfo=unpacked"]] {
        let program = Program::build(RUST, flags);
        let image = program.load();
        for (name, expected) in [
            ("main", vec!["lookups::main"]),
            ("Point::new", vec!["lookups::Point::new"]),
            ("Point::fmt", vec!["<lookups::Point as core::fmt::Display>::fmt"]),
            ("generic", vec!["lookups::inner::generic<i32>", "lookups::inner::generic<u8>"]),
            ("inner::generic<u8>", vec!["lookups::inner::generic<u8>"]),
            ("generic<u16>", vec![]),
        ] {
            let found: BTreeSet<String> =
                image.functions_named(name, false).into_iter().map(|it| it.name).collect();
            assert_eq!(found, expected.into_iter().map(str::to_owned).collect(), "{name}");
        }
        let mains = image.functions_named("lookups::main", true);
        assert!(mains.len() == 1 && mains[0].has_debug);
    }
}

#[test]
fn names_complete_at_any_scope() {
    let image = Program::build(CPP, &["-g", "-O0"]).load();
    for (prefix, expected) in [
        ("hel", vec![]),
        ("over", vec!["over"]),
        ("ns::Sq", vec!["ns::Square::Square", "ns::Square::area", "ns::Square::operator<"]),
    ] {
        let found = image.function_names(prefix, 3);
        assert!(expected.iter().all(|name| found.iter().any(|it| it == name)), "{found:?}");
    }
}

#[test]
fn images_say_what_they_are() {
    for (flags, kind) in [
        (&["-no-pie"][..], ImageKind::FixedExecutable),
        (&["-pie"], ImageKind::PieExecutable),
        (&["-static-pie"], ImageKind::PieExecutable),
        (&["-shared", "-fPIC", "-Wl,-soname,libx.so.1"], ImageKind::SharedObject),
    ] {
        let program = Program::build(C, flags);
        let image = program.load();
        assert_eq!(image.kind(), kind, "{flags:?}");
        let shared = kind == ImageKind::SharedObject;
        assert_eq!(image.soname().as_deref(), shared.then_some("libx.so.1"));
        let dynamic = flags[0] == "-no-pie" || flags[0] == "-pie";
        assert_eq!(image.interpreter().is_some(), dynamic, "{flags:?}");
        let notes = capture("readelf", &["-n", program.path()]);
        let id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
        let ours: Option<String> =
            image.build_id().map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
        assert_eq!(ours.as_deref(), id);
    }
}

#[test]
fn static_bytes_are_the_programs_code() {
    let program = Program::build(C, &["-g", "-O0"]);
    let image = program.load();
    let helper = image.functions_named("helper", true).remove(0);
    let mut code = [0; 4];
    assert_eq!(image.read_static(helper.entry, &mut code), 4);
    // push %rbp; mov %rsp,%rbp
    assert_eq!(code, [0x55, 0x48, 0x89, 0xe5]);
    assert!(image.is_code(helper.entry));
    assert_eq!(image.read_static(ImageAddr::new(u64::MAX), &mut code), 0);
}

#[test]
fn stubs_bear_the_name_of_what_they_call() {
    let program = Program::build(C, &["-g", "-O0"]);
    let image = program.load();
    let listing = capture("objdump", &["-d", "--no-show-raw-insn", program.path()]);
    let stub = listing.lines().find_map(|line| line.strip_suffix(" <printf@plt>:")).unwrap();
    let address = ImageAddr::new(u64::from_str_radix(stub, 16).unwrap());
    let hit = image.symbol_at(address).unwrap();
    assert_eq!((hit.name.as_str(), hit.kind), ("printf@plt", SymbolKind::Stub));
}

#[test]
fn indexing_reports_progress_and_images_are_shared_between_threads() {
    fn shareable<T: Send + Sync>(_: &T) {}
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let options = LoadOptions {
        progress: Some(Arc::new(move |progress| kept.lock().unwrap().push(progress))),
        ..LoadOptions::default()
    };
    let image = Program::build(RUST, &["-g"]).load_with(&options);
    shareable(&image);
    assert!(seen.lock().unwrap().is_empty(), "loading reads no debug information");
    image.prepare();
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_by_key(|progress| progress.done);
    assert_eq!(seen.len(), seen[0].total);
    assert_eq!(seen.last(), Some(&Progress { done: seen.len(), total: seen.len() }));
}
