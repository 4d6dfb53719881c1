//! Builds the programs of the lookup tests and asks the system's tools about
//! them.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use trapline_core::ModuleId;
use trapline_symbols::{Image, LoadOptions};

/// What a tool prints.
pub(crate) fn capture(tool: &str, arguments: &[&str]) -> String {
    let result = Command::new(tool).args(arguments).output().expect("the tool starts");
    let error = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{tool} {arguments:?}: {error}");
    String::from_utf8(result.stdout).expect("the tool prints text")
}

/// A program built for one test.
pub(crate) struct Program {
    source: PathBuf,
    built: PathBuf,
}

impl Program {
    /// Compiles a program of `tests/programs` into a folder of its own.
    pub(crate) fn build(source: &str, flags: &[&str]) -> Self {
        let compiler = match Path::new(source).extension().and_then(|it| it.to_str()) {
            Some("c") => "gcc",
            Some("cpp") => "g++",
            _ => "rustc",
        };
        Self::build_with(compiler, source, flags)
    }

    /// The same with another compiler.
    pub(crate) fn build_with(compiler: &str, source: &str, flags: &[&str]) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.join(format!("lookups-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let built = folder.join("program");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(source);
        let mut arguments = flags.to_vec();
        let (input, output) = (text(&source), text(&built));
        arguments.extend([input.as_str(), "-o", output.as_str()]);
        capture(compiler, &arguments);
        Self { source, built }
    }

    /// The executable.
    pub(crate) fn path(&self) -> &str {
        self.built.to_str().expect("the build folder is text")
    }

    /// The folder that holds nothing but the executable.
    pub(crate) fn folder(&self) -> &Path {
        self.built.parent().expect("the executable is in a folder")
    }

    pub(crate) fn load(&self) -> Image {
        self.load_with(&LoadOptions::default())
    }

    pub(crate) fn load_with(&self, options: &LoadOptions) -> Image {
        Image::load(&self.built, ModuleId::new(0), options).expect("the program loads")
    }

    /// The line of a mark in the source.
    pub(crate) fn mark(&self, name: &str) -> u32 {
        let text = std::fs::read_to_string(&self.source).expect("the source can be read");
        let wanted = format!("@mark {name}");
        let is_mark = |line: &str| {
            line.split_once(&wanted)
                .is_some_and(|(_, rest)| !rest.starts_with(char::is_alphanumeric))
        };
        let at = text.lines().position(is_mark).expect("the mark is there");
        u32::try_from(at + 1).expect("the source is short")
    }

    /// How often a run of the program passes any of each set of addresses, by
    /// gdb's count.
    pub(crate) fn gdb_passes(&self, places: impl Iterator<Item = BTreeSet<u64>>) -> Vec<u64> {
        let places: Vec<BTreeSet<u64>> = places.collect();
        // A position-independent program is put there when not randomised.
        const BASE: u64 = 0x5555_5555_4000;
        let mut commands = vec!["starti".to_owned()];
        for address in places.iter().flatten() {
            commands.push(format!("break *{:#x}", BASE + address));
            commands.push("ignore $bpnum 1000000".to_owned());
        }
        commands.extend(["continue".to_owned(), "info breakpoints".to_owned()]);
        let mut arguments = vec!["-nx", "-batch"];
        commands.iter().for_each(|command| arguments.extend(["-ex", command]));
        arguments.push(self.path());
        let printed = capture("gdb", &arguments);
        let table = printed.split_once("Num ").expect("gdb lists the breakpoints").1;
        let mut counts = BTreeMap::new();
        let mut last = 0;
        for line in table.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Some(number) = words.first().and_then(|word| word.parse::<usize>().ok()) {
                last = number;
            }
            if let ["breakpoint", "already", "hit", count, ..] = words[..] {
                counts.insert(last, count.parse::<u64>().expect("a count"));
            }
        }
        let mut numbers = 1..;
        let mut passes = |_: &u64| counts.get(&numbers.next()?).copied();
        places.iter().map(|set| set.iter().filter_map(&mut passes).sum()).collect()
    }

    /// Where gdb puts the breakpoints of a location.
    pub(crate) fn gdb_break(&self, location: &str) -> BTreeSet<u64> {
        let command = format!("break {location}");
        let printed = capture(
            "gdb",
            &["-nx", "-batch", "-ex", &command, "-ex", "info breakpoints", self.path()],
        );
        let table = printed.split_once("Num ").expect("gdb made the breakpoint").1;
        let words = table.split_whitespace().collect::<Vec<_>>();
        words
            .windows(2)
            .filter(|pair| pair[1] == "in")
            .filter_map(|pair| u64::from_str_radix(pair[0].strip_prefix("0x")?, 16).ok())
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(self.folder());
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths of the build are text").to_owned()
}
