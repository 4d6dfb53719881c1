//! `monitor` commands: gdbserver's, and those that show what only this server
//! knows.

use std::fmt::Write;
use std::path::Path;

use trapline_core::VirtAddr;
use trapline_core::breakpoint::Mechanism;
use trapline_engine::Command;
use trapline_engine::client::{PointInfo, PointKind};
use trapline_engine::command::Setting;
use trapline_rsp::hex;

use super::server::{Answer, Answered, Ending, Refusal, Server};

const HELP: &str = "\
The following monitor commands are supported:
  set debug on|off, set debug 0|1
    Has every packet written to the server's standard error.
  set remote-debug 0|1
    The same.
  set mechanism auto|jump|trap|hardware
    What serves breakpoints from now on.
  breakpoints
    Every breakpoint: what serves it and why, what it asks, and how often the
    place was passed, the condition held and the program stopped.
  raw ADDRESS LENGTH
    Bytes as they really are in memory, ours among them.
  exit
    Quit the server.
";

impl Server {
    pub(super) fn monitor(&mut self, command: &[u8]) -> Answered {
        let command = String::from_utf8_lossy(command).into_owned();
        let words: Vec<&str> = command.split_whitespace().collect();
        let text = match words.as_slice() {
            ["help"] => HELP.to_owned(),
            ["exit"] => {
                self.ending = Some(Ending::Asked);
                self.link.send(b"OK");
                return Ok(Answer::Later);
            }
            ["set", "debug", value] => self.set_traced(value, "Debug"),
            ["set", "remote-debug", value] => self.set_traced(value, "Protocol debug"),
            ["set", "debug-format", "all"] => format(true),
            ["set", "debug-format", "none"] => format(false),
            ["set", "libthread-db-search-path", path] => self.set_thread_library(path),
            ["set", "mechanism", name] => self.set_mechanism(name),
            ["breakpoints"] => self.list_points(),
            ["raw", address, length] => self.raw(address, length),
            _ => {
                self.print(&format!("Unknown monitor command.\n\n{HELP}"));
                return Err(Refusal::new("this is no monitor command"));
            }
        };
        self.print(&text);
        Ok(Answer::Done)
    }

    /// Has the client show a text at once.
    fn print(&mut self, text: &str) {
        /// Characters of a packet of gdb's that is sure to be taken.
        const PIECE: usize = 1000;
        for piece in text.as_bytes().chunks(PIECE) {
            self.link.send(format!("O{}", hex::encode(piece)).as_bytes());
        }
    }

    fn set_traced(&mut self, value: &str, what: &str) -> String {
        match value {
            "1" | "on" => {
                self.link.traced = true;
                format!("{what} output enabled.\n")
            }
            "0" | "off" => {
                self.link.traced = false;
                format!("{what} output disabled.\n")
            }
            _ => "Could not parse that: on or off is expected.\n".to_owned(),
        }
    }

    /// Thread-local variables are looked up without that library. Where it is
    /// said to be and is not, they are not to be found, as with gdbserver.
    fn set_thread_library(&mut self, path: &str) -> String {
        let holds = |folder: &str| Path::new(folder).join("libthread_db.so.1").exists();
        let named = |folder: &str| folder == "$sdir" || folder == "$pdir" || holds(folder);
        self.no_thread_locals =
            (!path.split(':').any(named)).then(|| format!("no libthread_db is in {path}"));
        format!("libthread-db-search-path set to `{path}'\n")
    }

    fn set_mechanism(&mut self, name: &str) -> String {
        let mechanism = match name {
            "auto" => None,
            "jump" => Some(Mechanism::Jump),
            "trap" => Some(Mechanism::Trap),
            "hardware" => Some(Mechanism::Hardware),
            _ => return format!("`{name}` is not one of auto, jump, trap, hardware.\n"),
        };
        match self.session.request(Command::Set(Setting::Mechanism(mechanism))) {
            Ok(_) => format!("Breakpoints are served by: {name}.\n"),
            Err(error) => format!("{error}\n"),
        }
    }

    fn list_points(&mut self) -> String {
        let points = self.session.points();
        if points.is_empty() {
            return "No breakpoints are in the program now; gdb takes them out at every stop \
                    (`set breakpoint always-inserted on` keeps them).\n"
                .to_owned();
        }
        points.iter().map(line).collect()
    }

    fn raw(&mut self, address: &str, length: &str) -> String {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let (Some(address), Some(length)) = (number(address), number(length)) else {
            return "An address and a length are expected: raw 0x401000 16\n".to_owned();
        };
        let Ok(pid) = self.current_process() else { return "There is no program.\n".to_owned() };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0).min(4096)];
        let read = self.session.read(pid, VirtAddr::new(address), &mut bytes, true);
        bytes.truncate(read);
        let mut text = String::new();
        for (row, bytes) in bytes.chunks(16).enumerate() {
            let at = address.wrapping_add(16 * row as u64);
            let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            // Writing to a string does not fail.
            let _ = writeln!(text, "{at:#x}: {}", words.join(" "));
        }
        if read == 0 {
            let _ = writeln!(text, "Cannot access memory at address {address:#x}");
        }
        text
    }
}

/// Packets are traced in one form only.
fn format(all: bool) -> String {
    let how = if all { "enabled" } else { "disabled" };
    format!("All extra debug format options {how}.\n")
}

/// A point in a line or two.
fn line(point: &PointInfo) -> String {
    let PointInfo { key, pid, condition, service, tally } = point;
    let kind = match key.kind {
        PointKind::Code => "breakpoint".to_owned(),
        PointKind::HardwareCode => "hardware breakpoint".to_owned(),
        PointKind::Write => format!("watch of {} bytes", key.len),
        PointKind::Read => format!("read watch of {} bytes", key.len),
        PointKind::Access => format!("access watch of {} bytes", key.len),
    };
    let served = match service {
        Ok((mechanism, why)) => format!("{mechanism} ({why})"),
        Err(why) => format!("not served: {why}"),
    };
    let condition =
        condition.as_ref().map_or(String::new(), |condition| format!("\n  if {condition}"));
    format!(
        "{} process {pid}: {kind}: {served}; {} passes, {} hits, {} stops{condition}\n",
        key.addr, tally.passes, tally.hits, tally.stops
    )
}
