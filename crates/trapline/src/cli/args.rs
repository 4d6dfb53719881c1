//! The command line. Exit codes: the program's own in a batch run (128 and the
//! signal's number when it was killed), 1 for errors of ours, 2 for a wrong
//! command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use trapline_patch::jump::Tactic;

/// A native debugger whose breakpoints cost nothing until they hit.
#[derive(Parser, Debug)]
#[command(name = "trapline", version, about, propagate_version = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Debug a program from its start.
    Run(RunArgs),
    /// Debug running processes, and leave them as they were.
    Attach(AttachArgs),
    /// Look at the core file that a program left when it died.
    Core(CoreArgs),
    /// Serve a program to gdb or lldb, as gdbserver does.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Gdbserver(GdbserverArgs),
    /// Show everything on a small program that travels inside this one.
    Demo,
    /// Show how many places of a program could decide in the program itself.
    Coverage(CoverageArgs),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// What to set and what to do.
#[derive(Args, Debug, Default)]
pub(crate) struct Wishes {
    /// Set a breakpoint: what `break` takes.
    #[arg(short, long = "break", value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) breakpoint: Vec<String>,
    /// Watch writes: what `watch` takes.
    #[arg(short, long, value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) watch: Vec<String>,
    /// Watch reads: what `rwatch` takes.
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) rwatch: Vec<String>,
    /// Watch reads and writes: what `awatch` takes.
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) awatch: Vec<String>,
    /// Run a command, after those of `-x`.
    #[arg(short = 'e', long = "command", value_name = "CMD")]
    pub(crate) commands: Vec<String>,
    /// Run the commands of a file.
    #[arg(short = 'x', long = "script", value_name = "FILE")]
    pub(crate) scripts: Vec<PathBuf>,
    /// Ask nothing, run to the end, and exit as the program does.
    #[arg(long)]
    pub(crate) batch: bool,
    /// In a batch run, go on after each stop.
    #[arg(long, requires = "batch")]
    pub(crate) auto_continue: bool,
    /// Show what happened at each breakpoint at the end.
    #[arg(long)]
    pub(crate) stats: bool,
    /// Write an object a line for each event, to FILE (`-`: standard output)
    /// or, instead of text for people, to standard error.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) json: Option<Option<PathBuf>>,
    /// Debug forked children too.
    #[arg(long)]
    pub(crate) follow_children: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) wishes: Wishes,
    /// Let the system randomise addresses.
    #[arg(long)]
    pub(crate) aslr: bool,
    /// The program's working directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) cd: Option<PathBuf>,
    /// Set a variable of its environment.
    #[arg(long, value_name = "K=V", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Send its standard output to a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) stdout: Option<PathBuf>,
    /// Send its standard error to a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) stderr: Option<PathBuf>,
    /// Take its standard input from a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    pub(crate) wishes: Wishes,
    /// The processes.
    #[arg(required = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: Vec<i32>,
}

#[derive(Args, Debug)]
pub(crate) struct CoreArgs {
    #[command(flatten)]
    pub(crate) wishes: Wishes,
    /// The core file.
    #[arg(value_name = "CORE")]
    pub(crate) core: PathBuf,
    /// The program, where it is not where it was.
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct GdbserverArgs {
    /// gdbserver's own command line; `--help` shows it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) words: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct CoverageArgs {
    /// Look at the address of every statement (the default).
    #[arg(long, conflicts_with = "instructions")]
    pub(crate) statements: bool,
    /// Look at every instruction of every function.
    #[arg(long)]
    pub(crate) instructions: bool,
    /// Plan all places together too, as if each had a breakpoint.
    #[arg(long)]
    pub(crate) all_at_once: bool,
    /// Use these ways to place a jump only: what `set jump-tactics` takes.
    #[arg(long, value_delimiter = ',', value_parser = tactic)]
    pub(crate) tactics: Vec<Tactic>,
    /// Let the system randomise addresses.
    #[arg(long)]
    pub(crate) aslr: bool,
    /// Write one object for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a line for each place: its address, and what would serve it.
    #[arg(long, conflicts_with = "json")]
    pub(crate) list: bool,
    /// The program, or a shared object.
    #[arg(value_name = "BINARY")]
    pub(crate) binary: PathBuf,
}

fn tactic(text: &str) -> Result<Tactic, String> {
    Tactic::from_name(text).ok_or_else(|| format!("there is no tactic `{text}`"))
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(super::super::words::split(line).unwrap())
    }

    fn run(line: &str) -> RunArgs {
        match parse(line).unwrap().what {
            What::Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_program_keeps_its_own_flags() {
        let args =
            run("trapline run -b main -b '-once f if x' -w '-written g' -e bt --batch -- ls -b -l");
        assert_eq!(args.wishes.breakpoint, ["main", "-once f if x"]);
        assert_eq!(args.wishes.watch, ["-written g"]);
        assert_eq!(args.wishes.commands, ["bt"]);
        assert_eq!(args.program, ["ls", "-b", "-l"]);
        assert_eq!(run("trapline run ls -b").program, ["ls", "-b"]);
        assert_eq!(run("trapline run --env A=b=c x").env, [("A".to_owned(), "b=c".to_owned())]);
    }

    #[test]
    fn json_takes_a_file_only_with_an_equals_sign() {
        assert_eq!(run("trapline run --json ls").wishes.json, Some(None));
        let file = Some(Some(PathBuf::from("out.jsonl")));
        assert_eq!(run("trapline run --json=out.jsonl ls").wishes.json, file);
        assert_eq!(run("trapline run ls --json").wishes.json, None);
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        let check = |line: &str, kind: ErrorKind| {
            let error = parse(line).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
        };
        check("trapline run", ErrorKind::MissingRequiredArgument);
        check("trapline run --auto-continue ls", ErrorKind::MissingRequiredArgument);
        check("trapline run --env A ls", ErrorKind::ValueValidation);
        check("trapline attach 0", ErrorKind::ValueValidation);
        check("trapline attach x", ErrorKind::ValueValidation);
        check("trapline attach", ErrorKind::MissingRequiredArgument);
        check("trapline run --bogus ls", ErrorKind::UnknownArgument);
        check("trapline walk", ErrorKind::InvalidSubcommand);
    }
}
