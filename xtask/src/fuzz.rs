//! `cargo xtask fuzz NAME SECONDS`: one fuzz target for a while. The targets are
//! thin; generators and oracles live beside the code that they try.

use crate::Outcome;
use crate::steps::{call, command, output};

/// What some targets need: conversations are long from the beginning, and one
/// of them takes no longer than this many seconds.
const OPTIONS: &[(&str, &[&str])] = &[
    ("packets", &["-timeout=10"]),
    ("server", &["-len_control=0", "-max_len=400", "-timeout=60"]),
];

pub(crate) fn run(name: &str, seconds: &str) -> Outcome {
    let seconds: u32 =
        seconds.parse().map_err(|_| format!("not a number of seconds: {seconds}"))?;
    if output(&mut command(&["cargo", "fuzz", "--version"])).is_err() {
        call(&mut command(&["cargo", "install", "cargo-fuzz", "--locked", "--quiet"]))?;
    }
    let limit = format!("-max_total_time={seconds}");
    let more = OPTIONS.iter().filter(|(target, _)| *target == name).flat_map(|(_, more)| *more);
    // rustup sets the toolchain for children; `+nightly` must win.
    let mut fuzz = command(&["cargo", "+nightly", "fuzz", "run", name, "--", &limit]);
    fuzz.args(more);
    call(fuzz.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO"))
}
