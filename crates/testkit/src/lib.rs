//! What every test of Trapline needs and no user does: debuggees compiled on
//! demand, places in them found by name, golden files, checks that nothing of
//! ours was left behind, and runs that cannot hang.
//!
//! It knows no debugger: it compiles, starts and inspects programs with the
//! standard library and `/proc` alone, so that it can judge the crates that do
//! more. A helper that fails panics with the reason, since its callers are
//! tests.

#![forbid(unsafe_code)]

pub mod corpus;
pub mod debuggee;
pub mod golden;
pub mod leaks;
pub mod marks;
pub mod run;
pub mod skips;

use std::path::{Path, PathBuf};

pub use debuggee::{Build, Compiler, Debuggee, Linkage};
pub use marks::Mark;
pub use run::{Background, Finished, run};

/// The root of the checkout: the folder that holds `debuggees/` and `tests/`.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The folder that cargo builds into: `CARGO_TARGET_DIR`, else `target/`.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace_root().join("target"), PathBuf::from)
}
