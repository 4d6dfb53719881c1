//! Who may depend on whom: the edges between the crates, and the crates from
//! outside that only one of ours may touch. Dev-dependencies are free.

use serde_json::Value;

use super::Finding;

/// Each crate with the crates of ours that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("trapline-core", &[]),
    ("trapline-rsp", &[]),
    ("trapline-symbols", &["trapline-core"]),
    ("trapline-expr", &["trapline-core"]),
    ("trapline-patch", &["trapline-core"]),
    ("trapline-target", &["trapline-core", "trapline-rsp"]),
    ("trapline-engine", &["trapline-core", "trapline-symbols", "trapline-expr", "trapline-patch"]),
    (
        "trapline",
        &[
            "trapline-core",
            "trapline-rsp",
            "trapline-symbols",
            "trapline-expr",
            "trapline-patch",
            "trapline-target",
            "trapline-engine",
        ],
    ),
    ("trapline-testkit", &["trapline-core"]),
    ("xtask", &["trapline-core", "trapline-testkit"]),
];

/// Weight from outside, with the crates of ours that may carry it. What is not
/// named is judged by review.
const WEIGHT: &[(&str, &[&str])] = &[
    ("libc", &["trapline-target"]),
    ("gimli", &["trapline-symbols"]),
    ("object", &["trapline-symbols", "trapline-target"]),
    ("memmap2", &["trapline-symbols"]),
    ("iced-x86", &["trapline-patch", "trapline-expr", "trapline-symbols"]),
    ("clap", &["trapline"]),
    ("reedline", &["trapline"]),
    ("serde", &["trapline"]),
    ("serde_json", &["trapline", "xtask"]),
];

pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    packages(metadata).flat_map(check_package).collect()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn check_package(package: &Value) -> Vec<Finding> {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
        return vec![Finding::about(name, "this crate is not in the table of allowed edges")];
    };
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies
        .filter(|dependency| dependency["kind"] != "dev")
        .filter_map(|dependency| refusal(name, allowed, dependency))
        .map(|why| Finding::about(name, why))
        .collect()
}

fn refusal(name: &str, allowed: &[&str], dependency: &Value) -> Option<String> {
    let other = dependency["name"].as_str()?;
    let ours = dependency["path"].is_string();
    let heavy = WEIGHT.iter().find(|(known, _)| *known == other);
    if ours && !allowed.contains(&other) {
        Some(format!("must not depend on {other}"))
    } else if heavy.is_some_and(|(_, carriers)| !carriers.contains(&name)) {
        Some(format!("must not carry {other}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_edge(from: &str, dependency: Value, expected: &[&str]) {
        let metadata = json!({"packages": [{"name": from, "dependencies": [dependency]}]});
        let found: Vec<String> = check(&metadata).into_iter().map(|it| it.why).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_allowed_edge_passes_and_a_forbidden_one_is_named() {
        check_edge("trapline-expr", json!({"name": "trapline-core", "path": "/c"}), &[]);
        check_edge(
            "trapline-engine",
            json!({"name": "trapline-target", "path": "/t"}),
            &["must not depend on trapline-target"],
        );
    }

    #[test]
    fn dev_dependencies_are_free() {
        let kit = json!({"name": "trapline-testkit", "path": "/t", "kind": "dev"});
        check_edge("trapline-core", kit, &[]);
    }

    #[test]
    fn weight_stays_where_it_belongs() {
        check_edge("trapline-target", json!({"name": "libc"}), &[]);
        check_edge("trapline-engine", json!({"name": "libc"}), &["must not carry libc"]);
        check_edge("trapline-core", json!({"name": "serde"}), &["must not carry serde"]);
    }

    #[test]
    fn a_new_crate_must_be_entered() {
        let why = "this crate is not in the table of allowed edges";
        check_edge("trapline-agent", json!({"name": "x"}), &[why]);
    }
}
