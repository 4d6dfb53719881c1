//! For the tests of values: compiles the programs beside this file with the
//! machine's own compilers, runs them, and asks gdb.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use trapline_core::ModuleId;
use trapline_symbols::{Image, LoadOptions};

pub(crate) const MODULE: ModuleId = ModuleId::new(1);

/// Compiles a program of `tests/programs` and returns the executable. Every
/// call builds its own.
pub(crate) fn compile(source: &str, flags: &[&str]) -> PathBuf {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let stem = source.replace('.', "-");
    let output = folder.join(format!("{stem}-{}-{serial}", std::process::id()));
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(source);
    let mut command = Command::new(match input.extension().and_then(|it| it.to_str()) {
        Some("c") => "gcc",
        Some("cpp") => "g++",
        _ => "rustc",
    });
    command.args(flags).arg(&input).arg("-o").arg(&output);
    let result = command.output().expect("the compiler starts");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    output
}

/// What a program prints.
pub(crate) fn run(program: &Path) -> String {
    let result = Command::new(program).output().expect("the program starts");
    String::from_utf8(result.stdout).expect("the program prints text")
}

/// What gdb prints when it runs these commands on a program; a command that
/// fails does not stop the others. It sees no separate debug files: from those
/// it makes up frames for tail calls, which are on no stack.
pub(crate) fn gdb(program: &Path, commands: &[String]) -> String {
    let mut command = Command::new("gdb");
    command.args(["-nx", "-batch", "-ex", "set debuginfod enabled off"]);
    command.args(["-ex", "set debug-file-directory /nonexistent"]);
    for line in commands {
        command.args(["-ex", line]);
    }
    let result = command.arg(program).output().expect("gdb starts");
    String::from_utf8_lossy(&result.stdout).into_owned()
}

/// The image of a program.
pub(crate) fn load(program: &Path) -> Image {
    Image::load(program, MODULE, &LoadOptions::default()).expect("the program loads")
}

/// A number as gdb prints it.
pub(crate) fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
