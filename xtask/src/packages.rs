//! The Debian packages that the checks and tests need: one list, a reason each,
//! and their installation when we may.

use std::process::Command;

use crate::Outcome;
use crate::steps::{call, command, output};

/// A Debian package and what it is for.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

const fn package(name: &'static str, reason: &'static str) -> Package {
    Package { name, reason }
}

/// What `cargo xtask test` and `bench` need.
pub(crate) const FOR_TESTS: &[Package] = &[
    package("build-essential", "compiles the debuggees with gcc and g++, and the corpus"),
    package("clang-19", "compiles the debuggees with a second compiler"),
    package("gdb", "the peer in benches, the second opinion in tests"),
    package("gdbserver", "a remote stub for the remote target; its agent is a peer in benches"),
    package("lldb-19", "the other client of our server, and a peer in benches"),
    package("python3.11-dbg", "a real program as Debian ships it: not PIE, -Og"),
    package("libpython3.11-testsuite", "CPython's own tests, run with a jump at every statement"),
    package("libc6-dbg", "debug information for the C library, found by build-id"),
    package("llvm", "llvm-dwp: packs split debug information of DWARF 5"),
    package("binutils", "readelf and objdump: independent oracles for the readers"),
    package("mount", "mounts tracefs, for the kernel's uprobes in benches"),
    package("procps", "kill, for runs that outlive their limit"),
    package("dpkg-dev", "unpacks the corpus's source packages"),
    package("tcl", "sqlite3 makes its amalgamation with it"),
];

/// What the rest of the corpus needs on top.
pub(crate) const FOR_CORPUS: &[Package] = &[
    package("zlib1g-dev", "git and CPython link it"),
    package("libffi-dev", "CPython's ctypes"),
    package("libsimde-dev", "z3's vector arithmetic"),
];

/// What `cargo xtask gdb-suite` needs on top of [`FOR_TESTS`].
pub(crate) const FOR_GDB_SUITE: &[Package] = &[
    package("dejagnu", "runs gdb's own tests"),
    package("expect", "talks to gdb in them"),
    package("xz-utils", "unpacks gdb's source package"),
];

/// Installs what is missing of `wanted` when we are root; otherwise names it.
pub(crate) fn ensure(wanted: &[Package]) -> Outcome {
    let missing: Vec<&Package> = wanted.iter().filter(|it| !is_installed(it.name)).collect();
    if missing.is_empty() {
        println!("{} packages present", wanted.len());
        return Ok(());
    }
    for package in &missing {
        println!("missing: {} ({})", package.name, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|it| it.name).collect();
    if !is_root()? {
        return Err(format!("install as root: apt-get install {}", names.join(" ")));
    }
    install(&names)
}

fn install(names: &[&str]) -> Outcome {
    call(&mut apt(&["update", "-q"]))?;
    call(apt(&["install", "-y", "-q", "--no-install-recommends"]).args(names))
}

fn apt(words: &[&str]) -> Command {
    let mut apt = command(&["apt-get"]);
    apt.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    apt
}

fn is_installed(name: &str) -> bool {
    output(&mut command(&["dpkg-query", "-W", "-f", "${db:Status-Status}", name]))
        .is_ok_and(|status| status == "installed")
}

fn is_root() -> Result<bool, String> {
    Ok(output(&mut command(&["id", "-u"]))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_listed_once_and_says_why() {
        let all: Vec<&Package> = FOR_TESTS.iter().chain(FOR_CORPUS).chain(FOR_GDB_SUITE).collect();
        for (index, package) in all.iter().enumerate() {
            assert!(!package.reason.is_empty(), "{}", package.name);
            assert!(all[..index].iter().all(|it| it.name != package.name), "{}", package.name);
        }
    }

    #[test]
    fn an_unknown_package_is_not_installed() {
        assert!(!is_installed("no-such-package-anywhere"));
    }
}
