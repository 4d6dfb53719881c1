//! `cargo xtask corpus`: the real programs that are measured and tested on,
//! built outside the checkout: those of C and C++ from Debian's source packages,
//! with `-g -O2` where a recipe says nothing else, those of Rust from crates.io.
//!
//! Debian's sources come from whatever mirror this machine's apt is configured with: its
//! entries are copied as source entries into a folder of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trapline_testkit::corpus::{PROGRAMS, Program, Wanted, executable, folder};

use crate::steps::{call, output};
use crate::{Outcome, packages};

/// How one program is made. The script runs in the folder of its source, under
/// `sh -e`, with the number of jobs in `JOBS`.
struct Recipe {
    name: &'static str,
    source: Source,
    script: &'static str,
}

enum Source {
    /// Of this source package of Debian.
    Debian(&'static str),
    /// The script has cargo get it.
    Cargo,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "sqlite3",
        source: Source::Debian("sqlite3"),
        script: "./configure --quiet\n\
                 make -s sqlite3.c shell.c\n\
                 gcc -g -O2 -DSQLITE_THREADSAFE=1 shell.c sqlite3.c -o sqlite3 -lpthread -ldl -lm\n",
    },
    Recipe {
        name: "redis",
        source: Source::Debian("redis"),
        script: "make -s -j$JOBS MALLOC=libc OPTIMIZATION=-O2 redis-server\n",
    },
    Recipe {
        name: "git",
        source: Source::Debian("git"),
        script: "make -s -j$JOBS CFLAGS='-g -O2' NO_OPENSSL=1 NO_CURL=1 NO_EXPAT=1 NO_GETTEXT=1 \
                 NO_TCLTK=1 NO_PERL=1 NO_PYTHON=1 git\n",
    },
    Recipe {
        name: "cpython",
        source: Source::Debian("python3.11"),
        // Debian's gcc makes position-independent programs by itself. Told to, it
        // would make its libraries so too, which does not do for them.
        script: "./configure --quiet OPT='-DNDEBUG -g -O2 -Wall' CFLAGS='-g -O2' \
                 LINKFORSHARED='-pie -Xlinker -export-dynamic'\n\
                 make -s -j$JOBS LINKFORSHARED='-pie -Xlinker -export-dynamic'\n",
    },
    Recipe {
        name: "ninja",
        source: Source::Debian("ninja-build"),
        // All of its variables are there to be compared.
        script: "CXXFLAGS='-g -O0' python3 configure.py --bootstrap\n",
    },
    Recipe {
        name: "just",
        source: Source::Cargo,
        script: "cargo install just --version 1.36.0 --locked --debug --quiet --root . \
                 --target-dir target\n",
    },
    Recipe {
        name: "z3",
        source: Source::Debian("z3"),
        // Not optimised as far as it asks for: that takes an hour.
        script: "CXXFLAGS='-g -Og' python3 scripts/mk_make.py --staticbin\n\
                 sed -i 's/ -O3 / /' build/config.mk\n\
                 make -s -C build -j$JOBS z3\n",
    },
];

pub(crate) fn run(words: &[&str]) -> Outcome {
    match words {
        ["--list"] => list(),
        ["--only", name] => build(name).map(show),
        [] => {
            let all = PROGRAMS.iter().filter(|program| program.wanted == Wanted::Always);
            all.map(|program| program.name).try_for_each(|name| build(name).map(show))
        }
        _ => Err("corpus takes --list or --only NAME".to_owned()),
    }
}

fn show(path: PathBuf) {
    println!("{}", path.display());
}

fn list() -> Outcome {
    for program in PROGRAMS {
        let path = executable(&folder(), program);
        let state = if path.exists() { "built" } else { "not built" };
        println!("{:<10} {state:<10} {}", program.name, path.display());
    }
    Ok(())
}

/// Builds a program unless an equal recipe has built it before; its executable.
pub(crate) fn build(name: &str) -> Result<PathBuf, String> {
    let known = |program: &&Program| program.name == name;
    let names = || PROGRAMS.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    let program = PROGRAMS
        .iter()
        .find(known)
        .ok_or_else(|| format!("no {name} in the corpus; there are {}", names()))?;
    let recipe = RECIPES.iter().find(|recipe| recipe.name == name);
    let recipe = recipe.ok_or_else(|| format!("no recipe for {name}"))?;
    let home = folder().join(name);
    let path = executable(&folder(), program);
    let stamp = home.join("stamp");
    if !(path.exists() && fs::read_to_string(&stamp).is_ok_and(|text| text == recipe.script)) {
        make(recipe, &home)?;
        fs::write(&stamp, recipe.script).map_err(|why| format!("{}: {why}", stamp.display()))?;
    }
    if path.exists() { Ok(path) } else { Err(format!("no {} was made", path.display())) }
}

fn make(recipe: &Recipe, home: &Path) -> Outcome {
    packages::ensure(packages::FOR_TESTS)?;
    packages::ensure(packages::FOR_CORPUS)?;
    // What an interrupted or older build left is no base for this one.
    if home.exists() {
        fs::remove_dir_all(home).map_err(|why| format!("{}: {why}", home.display()))?;
    }
    create(home)?;
    let source = match recipe.source {
        Source::Debian(package) => Apt::prepare(&folder().join("apt"))?.source(package, home)?,
        Source::Cargo => home.join("src"),
    };
    create(&source)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shell = Command::new("sh");
    let log = home.join("build.log");
    let file = fs::File::create(&log).map_err(|why| format!("{}: {why}", log.display()))?;
    let errors = file.try_clone().map_err(|why| format!("{}: {why}", log.display()))?;
    shell.args(["-e", "-c", recipe.script]).env("JOBS", jobs.to_string());
    shell.current_dir(source).stdin(std::process::Stdio::null()).stdout(file).stderr(errors);
    call(&mut shell).map_err(|why| format!("{why}; see {}", log.display()))
}

/// apt with source entries, lists and caches in a folder of ours: the machine's
/// own configuration is read and left alone.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn prepare(home: &Path) -> Result<Self, String> {
        for part in ["parts", "lists/partial", "cache/archives/partial"] {
            create(&home.join(part))?;
        }
        copy_entries(Path::new("/etc/apt"), &home.join("parts"))?;
        let option = |key: &str, value: &Path| format!("-oDir::{key}={}", value.display());
        let apt = Self {
            options: vec![
                option("Etc::sourcelist", Path::new("/dev/null")),
                option("Etc::sourceparts", &home.join("parts")),
                option("State::lists", &home.join("lists")),
                option("Cache", &home.join("cache")),
            ],
        };
        output(&mut apt.command("apt-get", &["update", "-q"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).args(words).stdin(std::process::Stdio::null());
        command
    }

    /// Downloads and unpacks a source package into `home/src`. A mirror may list
    /// a version that it no longer holds, so each listed one is tried.
    fn source(&self, package: &str, home: &Path) -> Result<PathBuf, String> {
        let versions = self.versions(package)?;
        let mut failures = Vec::new();
        for version in &versions {
            let download = home.join("download");
            create(&download)?;
            let wanted = format!("{package}={version}");
            let words = ["source", "-q", "--only-source", "--download-only", &wanted];
            let mut get = self.command("apt-get", &words);
            match output(get.current_dir(&download)) {
                Ok(_) => return unpack(&download, &home.join("src")),
                Err(why) => failures.push(why),
            }
            let _ = fs::remove_dir_all(&download);
        }
        Err(format!("no source of {package} (of {versions:?}):\n{}", failures.join("\n")))
    }

    /// Every version that the mirrors list, newest first.
    fn versions(&self, package: &str) -> Result<Vec<String>, String> {
        let words = ["showsrc", "--only-source", package];
        Ok(listed_versions(&output(&mut self.command("apt-cache", &words))?))
    }
}

/// The `Version:` fields of `apt-cache showsrc`, in order, each once.
fn listed_versions(text: &str) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for version in text.lines().filter_map(|line| line.strip_prefix("Version: ")) {
        if !versions.iter().any(|known| known == version) {
            versions.push(version.to_owned());
        }
    }
    versions
}

fn unpack(download: &Path, into: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(download).map_err(|why| format!("{}: {why}", download.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let description = paths
        .find(|path| path.extension().is_some_and(|extension| extension == "dsc"))
        .ok_or_else(|| format!("no .dsc in {}", download.display()))?;
    let mut extract = Command::new("dpkg-source");
    output(extract.arg("-x").arg(description).arg(into))?;
    Ok(into.to_path_buf())
}

/// Copies every package entry below `from` as a source entry.
fn copy_entries(from: &Path, into: &Path) -> Outcome {
    let parts = fs::read_dir(from.join("sources.list.d")).into_iter().flatten().flatten();
    let files = parts.map(|entry| entry.path()).chain([from.join("sources.list")]);
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(&file) else { continue };
        if let Some(entries) = as_source_entries(&name, &text) {
            let path = into.join(&name);
            fs::write(&path, entries).map_err(|why| format!("{}: {why}", path.display()))?;
        }
    }
    Ok(())
}

/// sources.list(5): `.sources` files name their types in a field, `.list` files
/// in the first word. `None` for a file of another kind, which apt ignores too.
fn as_source_entries(name: &str, text: &str) -> Option<String> {
    let line = |line: &str| match name.rsplit_once('.')?.1 {
        "sources" if line.starts_with("Types:") => Some("Types: deb-src".to_owned()),
        "sources" => Some(line.to_owned()),
        "list" => {
            Some(line.strip_prefix("deb ").map_or(String::new(), |it| format!("deb-src {it}")))
        }
        _ => None,
    };
    let lines: Option<Vec<String>> = text.lines().map(line).collect();
    Some(lines?.join("\n") + "\n")
}

fn create(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_its_recipe() {
        let programs: Vec<&str> = PROGRAMS.iter().map(|it| it.name).collect();
        let recipes: Vec<&str> = RECIPES.iter().map(|it| it.name).collect();
        assert_eq!(programs, recipes);
    }

    #[test]
    fn both_kinds_of_entries_become_source_entries() {
        let modern = as_source_entries("a.sources", "Types: deb\nURIs: u\n").unwrap();
        assert_eq!(modern, "Types: deb-src\nURIs: u\n");
        let old = as_source_entries("a.list", "# c\ndeb u s main\ndeb-src u s\n").unwrap();
        assert_eq!(old, "\ndeb-src u s main\n\n");
        assert_eq!(as_source_entries("a.list.disabled", "deb u s main\n"), None);
    }

    #[test]
    fn listed_versions_keep_their_order() {
        let text = "Package: a\nVersion: 2\n\nPackage: a\nVersion: 1\n\nVersion: 2\n";
        assert_eq!(listed_versions(text), ["2", "1"]);
    }
}
