//! Running the steps of a long command: a heading, the step, its seconds; every
//! step runs even when an earlier one failed, and the end names all failures.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Outcome;

/// What has been run so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Done>,
}

struct Done {
    name: String,
    took: Duration,
    failure: Option<String>,
}

impl Steps {
    /// Runs one step under a heading.
    pub(crate) fn step(&mut self, name: &str, body: impl FnOnce() -> Outcome) {
        println!("\n== {name}");
        let start = Instant::now();
        let failure = body().err();
        let took = start.elapsed();
        if let Some(why) = &failure {
            println!("{why}");
        }
        let verdict = if failure.is_some() { "FAILED" } else { "ok" };
        println!("== {name}: {verdict}, {:.1} s", took.as_secs_f64());
        self.done.push(Done { name: name.to_owned(), took, failure });
    }

    /// Prints every step with its seconds; fails when one of them did.
    pub(crate) fn finish(self) -> Outcome {
        println!();
        for done in &self.done {
            let verdict = if done.failure.is_some() { "FAILED" } else { "ok" };
            println!("{:>8.1} s  {verdict:<6}  {}", done.took.as_secs_f64(), done.name);
        }
        let failed: Vec<&str> =
            self.done.iter().filter(|it| it.failure.is_some()).map(|it| it.name.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }
}

/// Runs a command with our own input and output; its failure names it.
pub(crate) fn call(command: &mut Command) -> Outcome {
    let shown = show(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}`: {status}")),
        Err(why) => Err(format!("`{shown}` does not start: {why}")),
    }
}

/// What a command prints on standard output; its failure carries what it said
/// on standard error.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = show(command);
    let output = command.output().map_err(|why| format!("`{shown}` does not start: {why}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{shown}`: {}\n{said}", output.status))
    }
}

/// A command at the root of the checkout, from its words.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words.first().copied().unwrap_or_default());
    command.args(words.get(1..).unwrap_or_default());
    command.current_dir(trapline_testkit::workspace_root());
    command
}

/// The release build of the program.
pub(crate) fn build_trapline() -> Result<PathBuf, String> {
    let words = ["cargo", "build", "--release", "--package", "trapline", "--bins", "--quiet"];
    output(&mut command(&words))?;
    let path = trapline_testkit::target_dir().join("release").join("trapline");
    if path.exists() { Ok(path) } else { Err(format!("there is no {}", path.display())) }
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_stop_the_next_and_is_named_at_the_end() {
        let mut steps = Steps::default();
        let mut ran = false;
        steps.step("first", || Err("no".to_owned()));
        steps.step("second", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert_eq!(steps.finish(), Err("failed: first".to_owned()));
    }

    #[test]
    fn a_failing_command_is_named_with_what_it_said() {
        let why = output(&mut command(&["sh", "-c", "echo broken >&2; exit 3"])).unwrap_err();
        assert!(why.contains("sh -c") && why.contains("broken"), "{why}");
        assert!(call(&mut command(&["no-such-program"])).unwrap_err().contains("does not start"));
        assert_eq!(output(&mut command(&["echo", "a"])), Ok("a\n".to_owned()));
    }
}
