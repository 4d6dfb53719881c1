//! Damaged programs: whatever is wrong in the sections of a program with debug
//! information, or with a file as a whole, nothing that reads ELF or DWARF may
//! panic, hang or read out of bounds.

#![no_main]

use std::path::Path;
use std::process::Command as Process;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use object::{Object as _, ObjectSection as _};

#[derive(Arbitrary, Debug)]
enum Input {
    /// Any bytes at all.
    File(Vec<u8>),
    /// A sound program of this number, damaged.
    Program(u8, Vec<Damage>),
}

/// Something that is wrong in a section, by its number.
#[derive(Arbitrary, Debug)]
enum Damage {
    Byte { section: u8, at: u32, byte: u8 },
    Word { section: u8, at: u32, word: u32 },
    /// Bytes of one place at another.
    Copy { section: u8, from: u32, to: u32, len: u8 },
    /// The end of the file is missing.
    Cut { len: u32 },
}

/// A program, and where its sections are in the file.
struct Base {
    bytes: Vec<u8>,
    sections: Vec<(usize, usize)>,
}

/// The same sources by different compilers, as different formats.
const BUILDS: [(&str, &str, &[&str]); 6] = [
    ("gcc", "lookups.c", &["-g", "-O2"]),
    ("g++", "layout.cpp", &["-gdwarf-4", "-O1", "-fdebug-types-section"]),
    ("g++", "objects.cpp", &["-gdwarf-5", "-O2"]),
    ("gcc", "locals.c", &["-gdwarf-2", "-gstrict-dwarf", "-O1"]),
    ("clang++-19", "lookups.cpp", &["-g", "-O2"]),
    ("clang-19", "blocks.c", &["-gdwarf-4", "-O0"]),
];

fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| BUILDS.iter().enumerate().map(|(at, build)| base(at, *build)).collect())
}

fn base(number: usize, (compiler, source, flags): (&str, &str, &[&str])) -> Base {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let folder = root.join("target").join("fuzz-elf");
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join(format!("{number}-{}", std::process::id()));
    let source = root.join("crates/symbols/tests/programs").join(source);
    let mut compile = Process::new(compiler);
    compile.args(flags).arg("-w").arg(source).arg("-o").arg(&program);
    assert!(compile.status().expect("the compiler starts").success(), "{compile:?}");
    let bytes = std::fs::read(&program).expect("the program was made");
    std::fs::remove_file(&program).expect("it is ours");
    let file = object::File::parse(&*bytes).expect("an object file");
    // What a debugger reads, the more often the likelier it is wrong.
    let read = |name: &str| {
        name.starts_with(".debug_") || [".eh_frame", ".symtab", ".dynsym", ".strtab"].contains(&name)
    };
    let sections = file.sections().filter(|section| section.name().is_ok_and(read));
    let ranges = sections.filter_map(|section| section.file_range());
    let mut sections: Vec<(usize, usize)> =
        ranges.map(|(at, len)| (at as usize, len as usize)).filter(|it| it.1 >= 4).collect();
    // The headers.
    sections.push((0, 1024));
    Base { bytes, sections }
}

impl Base {
    /// A place in a section at which so many bytes fit.
    fn place(&self, section: u8, at: u32, len: usize) -> usize {
        let (start, size) = self.sections[usize::from(section) % self.sections.len()];
        start + at as usize % (size.saturating_sub(len) + 1)
    }

    fn damaged(&self, damages: &[Damage]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let mut end = bytes.len();
        for damage in damages {
            match *damage {
                Damage::Byte { section, at, byte } => bytes[self.place(section, at, 1)] = byte,
                Damage::Word { section, at, word } => {
                    let at = self.place(section, at, 4);
                    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
                }
                Damage::Copy { section, from, to, len } => {
                    let len = usize::from(len % 4 + 1);
                    let from = self.place(section, from, len);
                    let to = self.place(section, to, len);
                    bytes.copy_within(from..from + len, to);
                }
                Damage::Cut { len } => end = len as usize % bytes.len(),
            }
        }
        bytes.truncate(end);
        bytes
    }
}

fuzz_target!(|input: Input| {
    match input {
        Input::File(bytes) => trapline_symbols::fuzz::fuzz_everything(&bytes),
        Input::Program(number, damages) => {
            let base = &bases()[usize::from(number) % BUILDS.len()];
            trapline_symbols::fuzz::fuzz_everything(&base.damaged(&damages));
        }
    }
});
