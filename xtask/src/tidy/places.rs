//! No file names a particular machine's folders or a package host: what is in
//! the checkout works from any clone, with whatever mirrors are configured.

use super::Finding;
use super::sources::Source;

/// Folders of a particular machine, as they start a path. Spelt in two halves
/// so that this file passes its own check.
const FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/fa", "rm/")];
/// Package hosts.
const HOSTS: &[&str] = &[
    concat!("deb.deb", "ian.org"),
    concat!("static.crat", "es.io"),
    concat!("index.crat", "es.io"),
    concat!("pyp", "i.org"),
    concat!("npm", "js.org"),
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let generated = |source: &&Source| !source.path.ends_with("Cargo.lock");
    sources.iter().filter(generated).flat_map(check_one).collect()
}

fn check_one(source: &Source) -> Vec<Finding> {
    (1..)
        .zip(source.text.lines())
        .filter_map(|(number, line)| Some((number, named(line)?)))
        .map(|(line, place)| Finding::at(source, line, format!("names `{place}`")))
        .collect()
}

fn named(line: &str) -> Option<&'static str> {
    let folder = FOLDERS.iter().copied().find(|folder| starts_a_path(line, folder));
    folder.or_else(|| HOSTS.iter().copied().find(|host| line.contains(host)))
}

/// Whether `folder` occurs as the start of a path, not in its middle.
fn starts_a_path(line: &str, folder: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | '/');
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, findings: usize) {
        assert_eq!(check(&[Source::new("a.md", text)]).len(), findings, "{text}");
    }

    #[test]
    fn a_machines_folder_is_found_at_the_start_of_a_path_only() {
        check_text(&format!("see {}main", FOLDERS[0]), 1);
        check_text(&format!("\"{}x\"", FOLDERS[1]), 1);
        check_text(&format!("src{}x.c", FOLDERS[0]), 0);
        check_text("target/debuggees/x", 0);
    }

    #[test]
    fn a_package_host_is_found_anywhere() {
        check_text(&format!("https://{}/debian", HOSTS[0]), 1);
    }
}
