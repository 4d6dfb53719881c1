//! What every manifest of ours says: the workspace's lints hold, and no crate
//! below the program names serde, not even optionally or for tests.

use serde_json::Value;

use super::Finding;
use super::sources::Source;

pub(super) fn check(metadata: &Value, sources: &[Source]) -> Vec<Finding> {
    let lints = sources.iter().filter(|source| is_member(&source.path)).filter_map(check_lints);
    let packages = metadata["packages"].as_array().into_iter().flatten();
    lints.chain(packages.filter_map(check_serde)).collect()
}

fn is_member(path: &str) -> bool {
    path.ends_with("/Cargo.toml") && !path.starts_with("fuzz/")
}

fn check_lints(manifest: &Source) -> Option<Finding> {
    let inherits = manifest.text.contains("[lints]\nworkspace = true");
    let why = "lacks `[lints]` with `workspace = true`";
    (!inherits).then(|| Finding::about(&manifest.path, why))
}

fn check_serde(package: &Value) -> Option<Finding> {
    let name = package["name"].as_str()?;
    let mut dependencies = package["dependencies"].as_array()?.iter();
    let serde =
        dependencies.any(|it| it["name"].as_str().is_some_and(|it| it.starts_with("serde")));
    let refused = serde && !matches!(name, "trapline" | "xtask");
    refused.then(|| Finding::about(name, "names serde: formats belong to the program"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_without_the_lints_is_found() {
        let good = Source::new("crates/a/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n");
        let bad = Source::new("crates/b/Cargo.toml", "[package]\n");
        let root = Source::new("Cargo.toml", "[workspace]\n");
        let found = check(&Value::Null, &[good, bad, root]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "crates/b/Cargo.toml");
    }

    #[test]
    fn serde_is_refused_below_the_program_even_for_tests() {
        let package = |name| {
            let dependencies = json!([{"name": "serde_json", "kind": "dev"}]);
            json!({"packages": [{"name": name, "dependencies": dependencies}]})
        };
        assert_eq!(check(&package("trapline-engine"), &[]).len(), 1);
        assert_eq!(check(&package("trapline"), &[]), []);
    }
}
