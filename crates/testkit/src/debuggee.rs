//! Debuggees compiled on demand by real compilers and kept in
//! `target/debuggees`, by a hash of everything that shapes the result.
//!
//! Many test processes may ask for the same program at once: each compiles
//! into a folder of its own and renames it into place, so a reader sees a whole
//! program or none, and the losers of the race use the winner's.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::marks::{Mark, find_mark};
use crate::{target_dir, workspace_root};

/// The compilers that debuggees are built with. `Gcc` and `Clang` compile C++
/// too: the file's extension picks the driver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compiler {
    /// GNU C and C++.
    Gcc,
    /// LLVM's C and C++, Debian's version 19.
    Clang,
    /// The Rust compiler that builds the project.
    Rustc,
}

impl Compiler {
    /// The one that a source file is compiled with when nobody chose.
    fn of(source: &Path) -> Self {
        if is(source, "rs") { Self::Rustc } else { Self::Gcc }
    }

    fn program(self, source: &Path) -> &'static str {
        match (self, is(source, "cpp")) {
            (Self::Gcc, false) => "gcc",
            (Self::Gcc, true) => "g++",
            (Self::Clang, false) => "clang-19",
            (Self::Clang, true) => "clang++-19",
            (Self::Rustc, _) => "rustc",
        }
    }
}

/// Where the debuggee's own code ends up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Linkage {
    /// A position-independent executable.
    Pie,
    /// An executable at the address the linker chose.
    Fixed,
    /// A shared library, to be loaded by another debuggee.
    Library,
    /// A whole C or C++ program moved into a shared library, with an executable
    /// that only calls its `main`: the same scenario, its code in a library.
    HostedLibrary,
}

impl Linkage {
    /// The linkages that one program can be run under: an axis of the scenario
    /// matrix.
    pub const RUNNABLE: [Self; 3] = [Self::Pie, Self::Fixed, Self::HostedLibrary];

    fn flags(self, compiler: Compiler) -> &'static [&'static str] {
        match (self, compiler == Compiler::Rustc) {
            (Self::Pie, false) => &["-fPIE", "-pie"],
            (Self::Fixed, false) => &["-fno-pie", "-no-pie"],
            (Self::Library, false) => &["-fPIC", "-shared"],
            (Self::HostedLibrary, false) => &["-fPIC", "-shared", "-Dmain=debuggee_main"],
            (Self::Pie, true) => &["-Crelocation-model=pie"],
            (Self::Fixed, true) => &["-Crelocation-model=static"],
            (Self::Library | Self::HostedLibrary, true) => &["--crate-type=cdylib"],
        }
    }

    const fn is_library(self) -> bool {
        matches!(self, Self::Library | Self::HostedLibrary)
    }
}

/// A compiled debuggee.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Debuggee {
    /// What to start (or, for [`Linkage::Library`], to load).
    pub path: PathBuf,
    /// The file that holds the debuggee's own code: `path`, or the library
    /// behind it.
    pub image: PathBuf,
    /// Its source.
    pub source: PathBuf,
}

impl Debuggee {
    /// Compiles `debuggees/NAME` (the extension found by looking) with debug
    /// information, unoptimised, position-independent.
    ///
    /// # Panics
    /// When there is no such source or the compiler refuses it.
    #[track_caller]
    pub fn build(name: &str) -> Self {
        Build::new(name).build()
    }

    /// The line that bears the comment `// @mark NAME`.
    ///
    /// # Panics
    /// When no line, or more than one, bears it.
    #[track_caller]
    pub fn mark(&self, name: &str) -> Mark {
        find_mark(&self.source, name).unwrap_or_else(|why| panic!("{why}"))
    }

    /// A command that runs it.
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

/// How to compile one debuggee.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    name: String,
    compiler: Option<Compiler>,
    flags: Vec<String>,
    linkage: Linkage,
}

impl Build {
    /// `debuggees/NAME.c`, `.cpp` or `.rs`: `-g -O0`, position-independent.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), compiler: None, flags: Vec::new(), linkage: Linkage::Pie }
    }

    /// Picks the compiler.
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = Some(compiler);
        self
    }

    /// Adds a flag after the defaults, so that `-O2` or `-gdwarf-4` overrides.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Picks where the code ends up.
    #[must_use]
    pub fn linkage(mut self, linkage: Linkage) -> Self {
        self.linkage = linkage;
        self
    }

    /// The same by gcc and by clang, at each of some levels of optimisation.
    pub fn by_each(&self, levels: &[&str]) -> impl Iterator<Item = Self> {
        let compilers = [Compiler::Gcc, Compiler::Clang].into_iter();
        compilers.flat_map(move |compiler| {
            levels.iter().map(move |level| self.clone().compiler(compiler).flag(level))
        })
    }

    /// Compiles, or finds the result of an equal earlier build.
    ///
    /// # Panics
    /// When there is no such source or the compiler refuses it.
    #[track_caller]
    pub fn build(&self) -> Debuggee {
        self.try_build().unwrap_or_else(|why| panic!("cannot build {}: {why}", self.name))
    }

    fn try_build(&self) -> Result<Debuggee, String> {
        let source = find_source(&self.name)?;
        let compiler = self.compiler.unwrap_or_else(|| Compiler::of(&source));
        let folder = target_dir().join("debuggees").join(format!(
            "{}-{:016x}",
            self.name,
            self.fingerprint(&source, compiler)?
        ));
        if !folder.exists() {
            self.compile_into(&folder, &source, compiler)?;
        }
        let file = |name: String| folder.join(name);
        let image = file(self.image_name());
        let path = match self.linkage {
            Linkage::HostedLibrary => file(self.name.clone()),
            _ => image.clone(),
        };
        Ok(Debuggee { path, image, source })
    }

    fn image_name(&self) -> String {
        if self.linkage.is_library() { format!("lib{}.so", self.name) } else { self.name.clone() }
    }

    /// Everything that shapes the result, as one number.
    fn fingerprint(&self, source: &Path, compiler: Compiler) -> Result<u64, String> {
        let mut hasher = DefaultHasher::new();
        read(source)?.hash(&mut hasher);
        if self.linkage == Linkage::HostedLibrary {
            read(&find_source(HOST)?)?.hash(&mut hasher);
        }
        let lines = self.arguments(source, Path::new("OUT"), compiler);
        lines.hash(&mut hasher);
        compiler_version(compiler.program(source))?.hash(&mut hasher);
        Ok(hasher.finish())
    }

    fn arguments(&self, source: &Path, out: &Path, compiler: Compiler) -> Vec<String> {
        let fixed: &[&str] = match compiler {
            Compiler::Rustc => &["--edition=2024", "-Cdebuginfo=2", "-Copt-level=0"],
            _ => &["-g", "-O0", "-Wall", "-pthread"],
        };
        let mut all: Vec<String> = fixed.iter().map(ToString::to_string).collect();
        all.extend(self.linkage.flags(compiler).iter().map(ToString::to_string));
        if self.linkage == Linkage::HostedLibrary {
            // Without a name of its own the host would record the path of the
            // scratch folder.
            all.push(format!("-Wl,-soname,{}", self.image_name()));
        }
        all.extend(self.flags.iter().cloned());
        all.extend(["-o", &out.to_string_lossy(), &source.to_string_lossy()].map(str::to_owned));
        all
    }

    fn compile_into(&self, folder: &Path, source: &Path, compiler: Compiler) -> Result<(), String> {
        let scratch = scratch_folder(folder)?;
        let result = self.compile_all(&scratch, source, compiler).and_then(|()| {
            match fs::rename(&scratch, folder) {
                // Another process finished the same build first; its result is
                // as good as ours.
                Err(_) if folder.exists() => Ok(()),
                other => other.map_err(|why| format!("{}: {why}", folder.display())),
            }
        });
        // Absent after a rename; after a failure or a lost race it is litter.
        let _ = fs::remove_dir_all(&scratch);
        result
    }

    fn compile_all(&self, into: &Path, source: &Path, compiler: Compiler) -> Result<(), String> {
        let image = into.join(self.image_name());
        compile(compiler.program(source), &self.arguments(source, &image, compiler))?;
        if self.linkage != Linkage::HostedLibrary {
            return Ok(());
        }
        let (host, program) = (find_source(HOST)?, into.join(&self.name));
        let own = ["-g", "-Wl,-rpath,$ORIGIN", "-o"].map(str::to_owned);
        let files = [&program, &host, &image].map(|path| path.to_string_lossy().into_owned());
        compile("gcc", &[&own[..], &files[..]].concat())
    }
}

/// The program that calls the `main` of a [`Linkage::HostedLibrary`].
const HOST: &str = "library_host";

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn find_source(name: &str) -> Result<PathBuf, String> {
    let folder = workspace_root().join("debuggees");
    ["c", "cpp", "rs"]
        .iter()
        .map(|extension| folder.join(format!("{name}.{extension}")))
        .find(|path| path.exists())
        .ok_or_else(|| format!("no {name}.c, .cpp or .rs in {}", folder.display()))
}

fn scratch_folder(beside: &Path) -> Result<PathBuf, String> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let serial = COUNTER.fetch_add(1, Ordering::Relaxed);
    let scratch = beside.with_extension(format!("tmp-{}-{serial}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|why| format!("{}: {why}", scratch.display()))?;
    Ok(scratch)
}

fn compile(program: &str, arguments: &[String]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|why| format!("{program} does not start: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {} failed:\n{said}", arguments.join(" ")))
}

/// What `PROGRAM --version` prints, asked once per process.
fn compiler_version(program: &str) -> Result<String, String> {
    static KNOWN: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(version) = known.get(program) {
        return Ok(version.clone());
    }
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|why| format!("{program} does not start: {why}"))?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    known.insert(program.to_owned(), version.clone());
    Ok(version)
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::run;

    #[test]
    fn one_program_runs_the_same_under_every_linkage() {
        for linkage in Linkage::RUNNABLE {
            let built = Build::new("recursion").linkage(linkage).build();
            let out = run(built.command().arg("5"), Duration::from_secs(10));
            assert_eq!(out.stdout, "depth=5 sum=15\n", "{linkage:?}");
        }
    }

    #[test]
    fn builds_that_race_all_get_a_whole_program() {
        let build = Build::new("recursion").flag("-DRACE");
        let build_and_run = || {
            let out = run(build.build().command().arg("1"), Duration::from_secs(10));
            assert_eq!(out.stdout, "depth=1 sum=1\n");
        };
        thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(build_and_run))));
    }

    #[test]
    fn a_different_flag_is_a_different_file() {
        let plain = Build::new("recursion").build();
        assert_ne!(plain.path, Build::new("recursion").flag("-O2").build().path);
        assert_eq!(plain, Debuggee::build("recursion"));
    }

    #[test]
    fn every_debuggee_compiles_under_its_default_flags() {
        let folder = workspace_root().join("debuggees");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if !["library_host", "plugin"].contains(&name) {
                Debuggee::build(name);
            }
        }
    }

    #[test]
    #[should_panic(expected = "no no_such_program.c")]
    fn an_unknown_name_says_where_it_looked() {
        Debuggee::build("no_such_program");
    }
}
