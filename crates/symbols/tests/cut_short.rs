//! Files that become shorter while they are read: nothing crashes, every
//! question is answered, and the image says that it lost something.

mod lookups_support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use lookups_support::{Program, capture};
use trapline_core::ModuleId;
use trapline_symbols::fuzz::ask_everything;
use trapline_symbols::{DebugInfo, Image, LoadOptions};

/// A program that is large enough, as is its debug information, to be mapped
/// rather than read.
fn build() -> Program {
    trapline_target::linux::survive_lost_pages(trapline_symbols::lost_at);
    Program::build("catching.cpp", &["-g"])
}

/// Copies a program beside itself, over what was there.
fn copy(program: &Program) -> PathBuf {
    let copy = program.folder().canonicalize().expect("the folder is there").join("copy");
    std::fs::copy(program.path(), &copy).expect("the program can be copied");
    copy
}

fn load(path: &Path) -> Image {
    Image::load(path, ModuleId::new(0), &LoadOptions::default()).expect("the program loads")
}

/// How much of a file is left.
#[derive(Clone, Copy, Debug)]
enum Left {
    Nothing,
    Page,
    Half,
}

const ALL: [Left; 3] = [Left::Nothing, Left::Page, Left::Half];

fn cut(path: &Path, left: Left) {
    let file = File::options().write(true).open(path).expect("the program can be written");
    let len = match left {
        Left::Nothing => 0,
        Left::Page => 4096,
        Left::Half => file.metadata().expect("the program is there").len() / 2,
    };
    file.set_len(len).expect("the program can be cut short");
}

fn check_says_so(image: &Image, file: &Path, case: &str) {
    assert!(image.is_cut_short(), "{case}");
    assert!(trapline_symbols::any_cut_short(), "{case}");
    assert_eq!(image.files_cut_short(), [file], "{case}");
    let start = format!("{} became shorter", file.display());
    assert!(
        image.problems().iter().any(|it| it.starts_with(&start)),
        "{case}: {:?}",
        image.problems()
    );
}

/// Cuts a program short after `before` was asked of its image, then asks
/// everything.
#[track_caller]
fn check(before: fn(&Image)) {
    let built = build();
    for left in ALL {
        let program = copy(&built);
        let image = load(&program);
        before(&image);
        assert!(!image.is_cut_short() && image.problems().is_empty(), "{left:?}");
        cut(&program, left);
        ask_everything(&image);
        check_says_so(&image, &program, &format!("{left:?}"));
    }
}

#[test]
fn a_program_may_be_cut_short_before_it_is_read() {
    check(|_| {});
}

#[test]
fn a_program_may_be_cut_short_once_its_names_are_known() {
    check(Image::prepare);
}

#[test]
fn a_program_may_be_cut_short_after_everything_was_asked() {
    check(ask_everything);
}

#[test]
fn a_program_may_be_cut_short_while_threads_read_it() {
    let built = build();
    for left in ALL {
        for wait in [0, 1, 5, 20, 60] {
            let program = copy(&built);
            let image = load(&program);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| ask_everything(&image));
                }
                thread::sleep(Duration::from_millis(wait));
                cut(&program, left);
            });
            ask_everything(&image);
            check_says_so(&image, &program, &format!("{left:?} after {wait} ms"));
        }
    }
}

#[test]
fn a_separate_debug_file_may_be_cut_short() {
    let built = build();
    for left in ALL {
        let program = copy(&built);
        let debug = program.with_extension("debug");
        let [at, to] = [&program, &debug].map(|it| it.to_str().expect("the folder is text"));
        capture("objcopy", &["--only-keep-debug", at, to]);
        let link = format!("--add-gnu-debuglink={to}");
        capture("objcopy", &["--strip-all", &link, at]);
        let image = load(&program);
        assert_eq!(*image.debug_info(), DebugInfo::Separate(debug.clone()));
        cut(&debug, left);
        ask_everything(&image);
        check_says_so(&image, &debug, &format!("{left:?}"));
    }
}

#[test]
fn a_file_loaded_again_is_whole() {
    let built = build();
    let program = copy(&built);
    let bytes = std::fs::read(&program).expect("the program can be read");
    let image = load(&program);
    cut(&program, Left::Nothing);
    ask_everything(&image);
    std::fs::write(&program, bytes).expect("the program can be written");
    let again = load(&program);
    ask_everything(&again);
    assert!(!again.is_cut_short() && again.problems().is_empty());
    assert!(!again.functions_named("main", false).is_empty());
    check_says_so(&image, &program, "the first image");
}
