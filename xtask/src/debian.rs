//! Debian's source packages, from whatever mirror this machine's apt is
//! configured with: its entries are copied as source entries into a folder of
//! our own, and its own configuration is left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::steps::output;

/// apt with source entries, lists and caches in a folder of ours: the machine's
/// own configuration is read and left alone.
pub(crate) struct Apt {
    options: Vec<String>,
}

impl Apt {
    pub(crate) fn prepare(home: &Path) -> Result<Self, String> {
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
    pub(crate) fn source(&self, package: &str, home: &Path) -> Result<PathBuf, String> {
        let versions = self.versions(package)?;
        let mut failures = Vec::new();
        for version in &versions {
            let download = home.join("download");
            match self.download(package, version, &download) {
                Ok(()) => return unpack(&download, &home.join("src")),
                Err(why) => failures.push(why),
            }
            let _ = fs::remove_dir_all(&download);
        }
        Err(format!("no source of {package} (of {versions:?}):\n{}", failures.join("\n")))
    }

    /// Downloads one version of a source package, packed as it is.
    pub(crate) fn download(&self, package: &str, version: &str, into: &Path) -> Outcome {
        create(into)?;
        let wanted = format!("{package}={version}");
        let words = ["source", "-q", "--only-source", "--download-only", &wanted];
        output(self.command("apt-get", &words).current_dir(into)).map(drop)
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

/// A folder, with those above it.
pub(crate) fn create(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
