//! gdb's own tests: fetched as Debian's source package of the installed gdb, and
//! which of them are run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::{Apt, create};
use crate::steps::output;

/// What is unpacked: the tests, and what a few of them read.
const PARTS: &[&str] = &["gdb/testsuite", "gdb/features", "gdb/contrib", "include"];

/// The beginnings of the names of the files in `gdb.base` that are run: of all
/// of them, those that lean on the server most.
const BASE: &[&str] = &[
    "advance", "break", "call", "cond", "display", "ena-dis", "finish", "recurse", "sig", "step",
    "until",
];

/// The folder of the tests of the installed gdb, in `home`; fetched once.
pub(super) fn tests(home: &Path) -> Result<PathBuf, String> {
    let query = ["-W", "-f", "${source:Version}", "gdb"];
    let version = output(Command::new("dpkg-query").args(query))?;
    let unpacked = home.join(format!("gdb-{}", version.trim()));
    if !unpacked.exists() {
        fetch(home, version.trim(), &unpacked)?;
    }
    Ok(unpacked.join("gdb").join("testsuite"))
}

fn fetch(home: &Path, version: &str, into: &Path) -> Result<(), String> {
    println!("fetching the source package of gdb {version}");
    let download = home.join("download");
    let _ = fs::remove_dir_all(&download);
    Apt::prepare(&home.join("apt"))?.download("gdb", version, &download)?;
    let archive = original(&download)?;
    // Renamed when complete, so that what an interrupted run left is no source.
    let partial = home.join("unpacking");
    let _ = fs::remove_dir_all(&partial);
    create(&partial)?;
    let mut unpack = Command::new("tar");
    unpack.arg("-C").arg(&partial).arg("-xf").arg(&archive).arg("--strip-components=1");
    unpack.arg("--wildcards").args(PARTS.iter().map(|part| format!("*/{part}")));
    output(&mut unpack)?;
    fs::rename(&partial, into).map_err(|why| format!("{}: {why}", into.display()))?;
    let _ = fs::remove_dir_all(&download);
    Ok(())
}

/// gdb's own archive, beside Debian's changes: they leave these tests alone.
fn original(download: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(download).map_err(|why| format!("{}: {why}", download.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let is_original = |path: &PathBuf| path.to_string_lossy().ends_with(".orig.tar.xz");
    paths.find(is_original).ok_or_else(|| format!("no .orig.tar.xz in {}", download.display()))
}

/// The files to run, from the folder of the tests, in order.
pub(super) fn files(tests: &Path) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for folder in ["gdb.base", "gdb.server"] {
        let path = tests.join(folder);
        let entries = fs::read_dir(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".exp") && (folder == "gdb.server" || is_wanted(&name)) {
                files.push(format!("{folder}/{name}"));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_wanted(name: &str) -> bool {
    BASE.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_picked_by_the_beginnings_of_their_names() {
        assert!(is_wanted("break.exp") && is_wanted("ena-dis-br.exp") && is_wanted("sigall.exp"));
        assert!(!is_wanted("hbreak.exp") && !is_wanted("longjmp.exp"));
    }
}
