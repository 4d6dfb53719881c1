//! What a run started and left behind. Expect gives every program a session of
//! its own, so no process group holds them all; a mark in the environment does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Outcome;

/// The variable that names the folder of the run that a process belongs to.
pub(super) const MARK: &str = "TRAPLINE_GDB_SUITE_RUN";

/// How often what does not end at once is killed again.
const TIMES: usize = 50;

/// Kills every process that the run in `folder` started and waits for their end.
pub(super) fn kill(folder: &Path) -> Outcome {
    let mark = format!("{MARK}={}", folder.display());
    for _ in 0..TIMES {
        let found = marked(&mark);
        if found.is_empty() {
            return Ok(());
        }
        // One that has just ended by itself is no failure.
        let mut kill = Command::new("kill");
        let _ = kill.arg("-KILL").args(&found).stderr(Stdio::null()).status();
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("processes of {} do not end: {}", folder.display(), marked(&mark).join(" ")))
}

/// The processes with that entry in their environment. Those of others cannot
/// be read and are not ours.
fn marked(mark: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let processes = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let is_marked = |process: &String| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    processes.filter(is_marked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_in_a_session_of_its_own_is_found_and_killed() {
        let folder = std::env::temp_dir().join(format!("strays-{}", std::process::id()));
        let mut child =
            Command::new("setsid").args(["-w", "sleep", "60"]).env(MARK, &folder).spawn().unwrap();
        // For a moment of its exec a process has no environment.
        let mark = format!("{MARK}={}", folder.display());
        while marked(&mark).is_empty() {
            std::thread::yield_now();
        }
        kill(&folder).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(marked(&mark), [""; 0]);
    }
}
