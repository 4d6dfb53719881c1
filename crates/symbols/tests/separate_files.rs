//! Debug information in files of its own, programs without any, files that
//! are no programs, and files that lie.

mod lookups_support;

use std::path::{Path, PathBuf};

use lookups_support::{Program, capture};
use trapline_core::ModuleId;
use trapline_symbols::fuzz::fuzz_everything;
use trapline_symbols::{DebugInfo, Image, LoadError, LoadFailure, LoadOptions};

const SOURCE: &str = "lookups.c";

/// A program whose debug information was moved to `debug`.
fn split(flags: &[&str], debug: impl Fn(&Program) -> PathBuf) -> (Program, PathBuf) {
    let program = Program::build(SOURCE, flags);
    let at = debug(&program);
    std::fs::create_dir_all(at.parent().expect("it is in a folder")).expect("a folder is made");
    let to = at.to_str().expect("the build folder is text");
    capture("objcopy", &["--only-keep-debug", program.path(), to]);
    capture("objcopy", &["--strip-all", program.path()]);
    (program, at)
}

fn link(program: &Program, debug: &Path) {
    let option = format!("--add-gnu-debuglink={}", debug.display());
    capture("objcopy", &[&option, program.path()]);
}

fn check_complete(image: &Image, debug: &Path) {
    assert_eq!(*image.debug_info(), DebugInfo::Separate(debug.to_owned()));
    let helper = image.functions_named("helper", false).remove(0);
    assert!(helper.has_debug && helper.prologue_end > helper.entry);
    let line = image.source_at(helper.entry).expect("the function has lines");
    assert!(line.file.ends_with("lookups.c"));
    let symbol = image.symbol_at(helper.entry).expect("the function has a symbol");
    assert_eq!(symbol.name, "helper");
    assert!(image.problems().is_empty(), "{:?}", image.problems());
}

#[test]
fn a_debug_link_is_followed_beside_the_program_and_below() {
    for place in ["program.debug", ".debug/program.debug"] {
        let (program, debug) =
            split(&["-g", "-O0", "-Wl,--build-id=none"], |it| it.folder().join(place));
        link(&program, &debug);
        let real = program.folder().canonicalize().unwrap().join(place);
        check_complete(&program.load(), &real);
    }
}

#[test]
fn a_debug_link_to_another_build_is_refused() {
    let (program, debug) =
        split(&["-g", "-O0", "-Wl,--build-id=none"], |it| it.folder().join("program.debug"));
    link(&program, &debug);
    let mut bytes = std::fs::read(&debug).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&debug, bytes).unwrap();
    let image = program.load();
    assert_eq!(*image.debug_info(), DebugInfo::SymbolsOnly);
    assert!(image.problems()[0].contains("does not belong to this build"));
}

#[test]
fn a_build_id_finds_the_debug_file() {
    for compress in [&[][..], &["-gz"]] {
        let id = "00112233445566778899";
        let build_id = format!("-Wl,--build-id=0x{id}");
        let flags = [&["-g", "-O0", &build_id][..], compress].concat();
        let (program, debug) = split(&flags, |program| {
            program.folder().join(format!("root/.build-id/00/{}.debug", &id[2..]))
        });
        let options = LoadOptions {
            debug_directories: vec![program.folder().join("root")],
            ..LoadOptions::default()
        };
        check_complete(&program.load_with(&options), &debug);
        assert_eq!(*program.load().debug_info(), DebugInfo::SymbolsOnly);
    }
}

#[test]
fn a_stripped_program_has_the_functions_its_dynamic_symbols_name() {
    let program = Program::build(SOURCE, &["-O0", "-rdynamic"]);
    capture("strip", &[program.path()]);
    let image = program.load();
    let found = image.functions_named("helper", false);
    assert_eq!(found.len(), 1);
    assert!(!found[0].has_debug);
    assert_eq!(image.function_at(found[0].entry).unwrap().name, "helper");
    assert_eq!(image.source_at(found[0].entry), None);
}

#[test]
fn what_is_no_program_is_refused_with_the_reason() {
    let program = Program::build(SOURCE, &["-c"]);
    let folder = program.folder().to_owned();
    let object = std::fs::read(program.path()).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = object.clone();
        bytes[at] = byte;
        bytes
    };
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("empty", Vec::new(), "an empty file"),
        ("script", b"#!/bin/sh\n".to_vec(), "a script"),
        ("short", b"\x7fELF\x02\x01".to_vec(), "file header"),
        ("bits32", with(4, 1), "32-bit"),
        ("arm", with(18, 183), "AArch64"),
        ("object", object.clone(), "an object file"),
        ("cut", object[..object.len() / 2].to_vec(), "section headers"),
    ];
    for (name, bytes, expected) in cases {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(name), "{error}");
    }
    assert_eq!(load(&folder.join("none")).unwrap_err().reason, LoadFailure::NotFound);
    assert_eq!(load(&folder).unwrap_err().reason, LoadFailure::Directory);
}

fn load(path: &Path) -> Result<Image, LoadError> {
    Image::load(path, ModuleId::new(0), &LoadOptions::default())
}

/// A program whose debug information is split, and the file beside it.
fn build_split(compiler: &str, flag: &str) -> (Program, PathBuf) {
    let flags = ["-g", "-O0", "-gsplit-dwarf", flag];
    let program = Program::build_with(compiler, SOURCE, &flags);
    let beside = program.folder().join("program-lookups.dwo");
    assert!(beside.exists());
    (program, beside)
}

fn check_split(image: &Image) {
    let helper = image.functions_named("helper", false).remove(0);
    assert!(helper.has_debug && helper.prologue_end > helper.entry);
    assert!(image.problems().is_empty(), "{:?}", image.problems());
}

fn check_only_lines(image: &Image, problem: &str) {
    assert!(!image.functions_named("helper", true)[0].has_debug);
    assert!(image.line_locations("lookups.c", 1).is_ok());
    assert!(image.problems()[0].contains(problem), "{:?}", image.problems());
}

#[test]
fn split_debug_information_is_found_where_it_was_made_and_beside_the_program() {
    let (program, beside) = build_split("gcc", "-gdwarf-5");
    check_split(&program.load());
    let elsewhere = program.folder().join("moved");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(program.path(), elsewhere.join("program")).unwrap();
    std::fs::rename(&beside, elsewhere.join("program-lookups.dwo")).unwrap();
    check_split(&load(&elsewhere.join("program")).unwrap());
}

#[test]
fn split_debug_information_that_is_missing_or_of_another_build_is_said() {
    let (program, beside) = build_split("gcc", "-gdwarf-5");
    let (_other, others) = build_split("gcc", "-O2");
    std::fs::copy(others, &beside).unwrap();
    check_only_lines(&program.load(), "was made by another compilation");
    std::fs::remove_file(&beside).unwrap();
    check_only_lines(&program.load(), "program-lookups.dwo is missing");
}

#[test]
fn a_package_that_cannot_be_read_is_said_and_passed_over() {
    let (program, _beside) = build_split("gcc", "-gdwarf-5");
    std::fs::write(format!("{}.dwp", program.path()), "no package").unwrap();
    let image = program.load();
    assert!(image.functions_named("helper", false)[0].has_debug);
    assert!(image.problems()[0].contains("program.dwp"), "{:?}", image.problems());
}

#[test]
fn split_debug_information_is_read_from_a_package() {
    for (compiler, flag, packer) in
        [("gcc", "-gdwarf-4", "dwp"), ("clang-19", "-gdwarf-5", "llvm-dwp")]
    {
        let (program, beside) = build_split(compiler, flag);
        let package = format!("{}.dwp", program.path());
        capture(packer, &["-e", program.path(), "-o", &package]);
        std::fs::remove_file(&beside).unwrap();
        check_split(&program.load());
    }
}

#[test]
fn damaged_programs_never_panic() {
    for (source, flags) in [
        (SOURCE, &["-g", "-O2"][..]),
        (SOURCE, &["-g", "-O2", "-gsplit-dwarf"]),
        ("lookups.cpp", &["-g", "-O2"]),
    ] {
        let program = Program::build(source, flags);
        let whole = std::fs::read(program.path()).unwrap();
        fuzz_everything(&whole);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=round {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 17) as usize % bytes.len();
                bytes[at] = (state >> 56) as u8;
            }
            if round % 4 == 0 {
                bytes.truncate((state >> 20) as usize % bytes.len());
            }
            fuzz_everything(&bytes);
        }
    }
}
