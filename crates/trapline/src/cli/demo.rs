//! `trapline demo`: every kind of breakpoint on a small bank whose tellers are
//! threads. The program travels inside this one, and both run by themselves.

use std::fs;
use std::path::{Path, PathBuf};

use trapline_core::stop::ExitStatus;
use trapline_core::target::LaunchSpec;
use trapline_core::x64::debug::Access;
use trapline_engine::event::FrameInfo;
use trapline_engine::{Command, CommandError, Reply, SessionHandle};

use super::console::{Console, cannot};
use super::render::{breakpoints::statistics, memory};
use super::screen::Screen;
use super::{open, spec};

const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo_bank"));

/// What is set on code, and what it shows.
const ON_CODE: [(&str, &str); 4] = [
    ("a plain breakpoint, at the end", "print_own_code"),
    ("a conditional one, for its fifth hit", "-hits '== 5' withdraw if amount > 41"),
    ("a hardware one, for every 500th hit", "-hw -hits '% 500' deposit"),
    (
        "a log breakpoint, which never stops, by a trap",
        "-trap -log '$TNAME brings {amount} to {account->owner}' -hits '% 400' *deposit",
    ),
];

/// What is watched.
const ON_DATA: (&str, &str) = ("a data breakpoint", "largest_deposit");

/// The function whose code is looked at from both sides, and how many bytes
/// of it the program prints.
const LOOKED_AT: (&str, u64) = ("&deposit", 8);

/// Runs the demonstration; returns the exit code.
pub(crate) fn run() -> Result<u8, CommandError> {
    let folder = Folder::new()?;
    let program = folder.unpack()?;
    let output = folder.0.join("output");
    let mut opened = open(Screen::stdout(), crate::backend::local_session)?;
    let console = &mut opened.console;
    console.settings.confirm = false;
    console.launch = LaunchSpec { program, stdout: Some(output.clone()), ..LaunchSpec::default() };
    let bytes = show(console)?;
    compare(console, bytes.as_deref(), &output)?;
    let all = console.breakpoints()?;
    console.screen.line(format!("\nWhat happened:\n{}", statistics(&all)));
    console.session.request(Command::Quit)?;
    Ok(u8::from(console.known.exit != Some(ExitStatus::Exited(0)) || bytes.is_none()))
}

/// Sets everything and runs the program to its end; returns the bytes seen at
/// its last stop.
fn show(console: &mut Console<SessionHandle>) -> Result<Option<Vec<u8>>, CommandError> {
    console.screen.line("A bank whose four tellers are threads. It gets:\n");
    console.tell_program()?;
    for (what, text) in ON_CODE {
        console.screen.line(format!("{what}: break {text}"));
        console.set_breakpoint(spec::code(text).map_err(CommandError::new)?)?;
    }
    console.begin()?;
    console.screen.line(format!("{}: watch {}", ON_DATA.0, ON_DATA.1));
    console.set_breakpoint(spec::data(ON_DATA.1, Access::Write).map_err(CommandError::new)?)?;
    let mut bytes = None;
    while !console.known.pids.is_empty() {
        console.resume(Command::Continue)?;
        console.wait()?;
        if console.known.stop.as_ref().is_some_and(|stop| is_last(&stop.frame)) {
            bytes = Some(read_code(console)?);
        }
    }
    Ok(bytes)
}

fn is_last(frame: &FrameInfo) -> bool {
    frame.function.as_deref() == Some(ON_CODE[0].1)
}

fn read_code(console: &Console<SessionHandle>) -> Result<Vec<u8>, CommandError> {
    let (address, len) = (LOOKED_AT.0.to_owned(), LOOKED_AT.1);
    match console.session.request(Command::ReadMemory { address, len, raw: false })? {
        Reply::Memory { bytes, .. } => Ok(bytes),
        _ => Err(CommandError::new("no memory was read")),
    }
}

/// The debugger's view of the code beside the program's own.
fn compare(
    console: &mut Console<SessionHandle>,
    bytes: Option<&[u8]>,
    output: &Path,
) -> Result<(), CommandError> {
    let said = fs::read_to_string(output).map_err(|error| cannot("read", output, &error))?;
    console.screen.line(format!("\nThe program printed:\n{said}"));
    let own = said.lines().find_map(|line| line.strip_prefix("own_code_at_deposit="));
    console.screen.line("The code of `deposit`, whose first byte is our trap while it runs:");
    console
        .screen
        .line(format!("  seen by the debugger  {}", bytes.map_or_else(String::new, memory::hex)));
    console.screen.line(format!("  seen by the program   {}", own.unwrap_or("")));
    Ok(())
}

/// A folder that goes when the demonstration ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, CommandError> {
        let folder = std::env::temp_dir().join(format!("trapline-demo-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| cannot("create", &folder, &error))?;
        Ok(Self(folder))
    }

    fn unpack(&self) -> Result<PathBuf, CommandError> {
        let program = self.0.join("demo_bank");
        crate::backend::write_program(&program, PROGRAM)
            .map_err(|error| cannot("write", &program, &error))?;
        Ok(program)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A temporary folder that stays behind does no harm.
        let _kept = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_read() {
        for (_, text) in ON_CODE {
            spec::code(text).unwrap();
        }
        spec::data(ON_DATA.1, Access::Write).unwrap();
    }

    #[test]
    fn the_program_travels_with_us_and_runs() {
        let folder = Folder::new().unwrap();
        let run = std::process::Command::new(folder.unpack().unwrap()).output().unwrap();
        assert!(run.status.success());
        let said = String::from_utf8(run.stdout).unwrap();
        assert!(said.contains("tellers=4 deposits=2000"), "{said}");
        let code = said.lines().find_map(|line| line.strip_prefix("own_code_at_deposit=")).unwrap();
        assert_eq!(code.split(' ').count() as u64, LOOKED_AT.1);
    }
}
