//! gdb as an oracle of what the program holds: the same program as a session's,
//! in the same surroundings, so that the stack and the heap lie at the same
//! addresses. Counts of hits are compared in `beside`.

use std::ffi::OsString;
use std::process::Command;

use trapline_testkit::Debuggee;
use trapline_testkit::run::{MARKER, run};

use super::beside::PATIENCE;

/// Everything in the environment of a program but its [`MARKER`].
const ENVIRONMENT: [(&str, &str); 2] = [("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8")];

/// What a launched program's environment must change to be [`ENVIRONMENT`] and
/// a marker.
pub fn environment(marker: &str) -> impl Iterator<Item = (OsString, Option<OsString>)> {
    let inherited = std::env::vars_os().map(|(name, _)| (name, None));
    let marker = (MARKER.into(), Some(marker.into()));
    inherited
        .chain(ENVIRONMENT.map(|(name, value)| (name.into(), Some(value.into()))))
        .chain([marker])
}

/// A gdb that is told what to do before it runs.
pub struct Gdb(Command);

impl Gdb {
    /// One that shows records as they are.
    pub fn new() -> Self {
        Self::with(&["-iex", "set auto-load no"])
    }

    /// One with the printers of GNU's C++ library, which gdb loads by itself only
    /// for programs that share the library.
    pub fn with_printers() -> Self {
        let mut gdb = Self::with(&[]);
        gdb.say("python sys.path.insert(0, '/usr/share/gcc/python')");
        gdb.say("python from libstdcxx.v6.printers import register_libstdcxx_printers");
        gdb.say("python register_libstdcxx_printers(None)");
        gdb
    }

    /// One with the printers that come with Rust.
    pub fn with_rust_printers() -> Self {
        let told = Command::new("rustc").args(["--print", "sysroot"]).output();
        let root = String::from_utf8(told.expect("rustc runs").stdout).expect("a path");
        let folder = format!("{}/lib/rustlib/etc", root.trim());
        let mut gdb = Self::new();
        gdb.say(&format!("python sys.path.insert(0, '{folder}')"));
        gdb.say(&format!("source {folder}/gdb_load_rust_pretty_printers.py"));
        gdb
    }

    fn with(options: &[&str]) -> Self {
        let mut command = Command::new("gdb");
        command.env_clear().envs(ENVIRONMENT);
        command.args(["--quiet", "--batch", "--nx"]).args(options);
        let mut gdb = Self(command);
        gdb.say("set debuginfod enabled off").say("set width 0");
        // The shell that reads the arguments and gdb itself add variables.
        gdb.say("set exec-wrapper env -u PWD");
        gdb.say("unset environment LINES").say("unset environment COLUMNS");
        gdb
    }

    pub fn say(&mut self, line: &str) -> &mut Self {
        self.0.args(["-ex", line]);
        self
    }

    /// What it prints to its output when it has done all that it was told.
    #[track_caller]
    pub fn told(mut self, debuggee: &Debuggee, arguments: &[&str]) -> String {
        self.0.arg("--args").arg(&debuggee.path).args(arguments);
        run(&mut self.0, PATIENCE).stdout
    }
}
