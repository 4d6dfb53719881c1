//! Compiles the demonstration debuggee, which travels inside the program.

use std::path::PathBuf;
use std::process::Command;
use std::{env, io};

fn main() -> io::Result<()> {
    let folder = |name: &str| {
        env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("no {name}")))
    };
    let source = folder("CARGO_MANIFEST_DIR")?.join("../../debuggees/demo_bank.c");
    let program = folder("OUT_DIR")?.join("demo_bank");
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    for change in ["build.rs", &source.display().to_string()] {
        writeln(&format!("cargo::rerun-if-changed={change}"))?;
    }
    writeln("cargo::rerun-if-env-changed=CC")?;
    // Not inlined, so that every breakpoint of the demonstration has one place.
    let flags = ["-g", "-O1", "-fno-inline", "-fcf-protection=none", "-pthread", "-o"];
    let mut command = Command::new(&compiler);
    command.args(flags).arg(&program).arg(&source);
    let name = compiler.display();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(io::Error::other(format!("`{name}` could not compile the demo: {status}")))
        }
        Err(error) => Err(io::Error::other(format!(
            "the demonstration program needs a C compiler, and `{name}` does not start ({error}): \
             install one (Debian: gcc and libc6-dev), or name it in the variable CC"
        ))),
    }
}

fn writeln(line: &str) -> io::Result<()> {
    use io::Write;
    writeln!(io::stdout(), "{line}")
}
