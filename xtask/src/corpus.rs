//! `cargo xtask corpus`: the real programs that are measured and tested on,
//! built outside the checkout: those of C and C++ from Debian's source packages,
//! with `-g -O2` where a recipe says nothing else, those of Rust from crates.io.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trapline_testkit::corpus::{PROGRAMS, Program, Wanted, executable, folder};

use crate::debian::{Apt, create};
use crate::steps::call;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_its_recipe() {
        let programs: Vec<&str> = PROGRAMS.iter().map(|it| it.name).collect();
        let recipes: Vec<&str> = RECIPES.iter().map(|it| it.name).collect();
        assert_eq!(programs, recipes);
    }
}
