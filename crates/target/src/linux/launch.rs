//! Starting programs: seized before they execute, so that their first stop is
//! the one of the exec itself, with none of their code run.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{env, io};

use trapline_core::Pid;
use trapline_core::stop::StopCause;
use trapline_core::target::{LaunchSpec, Result, Stopped, TargetError, TargetEvent};

use super::sys::{self, Child, ChildPlan, Errno, Failure, StackLimit};
use super::threads::{KernelStop, State, Thread};
use super::{LinuxTarget, attach, signals, terminal};

/// How far below the stack the kernel is to put the libraries of a program whose
/// addresses are not random: farther than any jump with an offset of 4 bytes
/// leads, so that what it jumps over is free.
const ROOM_ABOVE_LIBRARIES: u64 = (1 << 31) + (256 << 20);

/// Where programs are looked for when `PATH` is not set, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl LinuxTarget {
    pub(super) fn launch_program(&mut self, spec: &LaunchSpec) -> Result<Pid> {
        let plan = self.plan(spec)?;
        let (own_group, fixed_addresses) = (plan.own_group, plan.fixed_addresses);
        let child = Child::start(plan).map_err(|errno| refused(spec, &errno.to_string()))?;
        // Left alone before it has its own signal mask, it would run with all blocked:
        // until then it dies with us in any case.
        if let Err(errno) = sys::seize(child.pid(), attach::options(true)) {
            let why = "does this system allow ptrace (see /proc/sys/kernel/yama/ptrace_scope)?";
            return Err(refused(spec, &format!("it cannot be traced ({errno}): {why}")));
        }
        let changed = if fixed_addresses { make_room_above(child.pid()) } else { None };
        let child = child.execute().map_err(|failure| refused(spec, &explain(spec, failure)))?;
        if let Some(limit) = changed {
            let _gone = sys::set_stack_limit(child, limit);
        }
        self.hand_over(child);
        let pid = Pid::new(child);
        self.add_process(pid, pid.leader(), self.kill_on_exit);
        let mut thread = Thread::new(pid, State::Running);
        thread.stop_at(KernelStop::Event);
        self.books.threads.insert(pid.leader(), thread);
        if own_group {
            // Without the terminal the program still runs, in the background.
            let _kept = terminal::give(pid);
        }
        let thread = Stopped::by_target(pid, pid.leader());
        self.ready.push_back(TargetEvent::Stopped { thread, cause: StopCause::Started });
        Ok(pid)
    }

    /// Gives a program that is stopped at its exec the signal mask it starts
    /// with, and the end that is wanted for it. Refused only to one that was
    /// killed meanwhile: its end is the next that is told.
    fn hand_over(&self, child: i32) {
        let _gone = sys::set_signal_mask(child, signals::initial_mask().bits());
        if !self.kill_on_exit {
            let _gone = sys::set_options(child, attach::options(false));
        }
    }

    fn plan(&self, spec: &LaunchSpec) -> Result<ChildPlan> {
        let environment = environment(&spec.environment);
        let search = environment.get(OsStr::new("PATH")).cloned();
        let text = |bytes: Vec<u8>| {
            CString::new(bytes).map_err(|_| refused(spec, "a string of it contains a zero byte"))
        };
        let arguments = [spec.program.as_os_str()].into_iter();
        let arguments = arguments.chain(spec.args.iter().map(OsString::as_os_str));
        let variable =
            |(name, value): (OsString, OsString)| [name.into_vec(), value.into_vec()].join(&b'=');
        Ok(ChildPlan {
            candidates: candidates(&spec.program, search.as_deref())
                .into_iter()
                .map(|path| text(path.into_os_string().into_vec()))
                .collect::<Result<_>>()?,
            args: arguments.map(|arg| text(arg.as_bytes().to_vec())).collect::<Result<_>>()?,
            environment: environment
                .into_iter()
                .map(|v| text(variable(v)))
                .collect::<Result<_>>()?,
            directory: match &spec.directory {
                Some(directory) => Some(text(directory.as_os_str().as_bytes().to_vec())?),
                None => None,
            },
            streams: streams(spec)?,
            fixed_addresses: !spec.randomize_addresses,
            own_group: sys::owns_terminal(),
            scheduling: self.scheduling,
            ignores_children: sys::child_signal_ignored(),
        })
    }
}

/// Has the kernel leave room above the libraries of the program that a child
/// will execute: it keeps them clear of the largest stack that the program may
/// have (Linux, `mmap_base`). The answer is the limit to give back before the
/// program runs. Without one there is room already.
fn make_room_above(child: i32) -> Option<StackLimit> {
    let limit = sys::stack_limit(child).ok()?;
    let soft = ROOM_ABOVE_LIBRARIES.min(limit.hard);
    if limit.soft >= soft {
        return None;
    }
    let raised = sys::set_stack_limit(child, StackLimit { soft, ..limit });
    raised.is_ok().then_some(limit)
}

fn refused(spec: &LaunchSpec, why: &str) -> TargetError {
    TargetError::Refused { what: format!("start {}", spec.program.display()), why: why.to_owned() }
}

fn environment(changes: &BTreeMap<OsString, Option<OsString>>) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> = env::vars_os().collect();
    for (name, value) in changes {
        match value {
            Some(value) => environment.insert(name.clone(), value.clone()),
            None => environment.remove(name),
        };
    }
    environment
}

/// The first existing file that a program's name may mean.
pub(super) fn find_program(program: &Path) -> Result<PathBuf> {
    let search = env::var_os("PATH");
    let candidates = candidates(program, search.as_deref());
    let why = if program.is_dir() {
        "it is a directory; name the program in it"
    } else {
        "no such file; check the path, or that its directory is in PATH"
    };
    candidates.into_iter().find(|candidate| candidate.is_file()).ok_or_else(|| {
        let what = format!("find the program `{}`", program.display());
        TargetError::Refused { what, why: why.to_owned() }
    })
}

/// The files that a program's name may mean.
fn candidates(program: &Path, search: Option<&OsStr>) -> Vec<PathBuf> {
    if program.as_os_str().as_bytes().contains(&b'/') {
        return vec![program.to_owned()];
    }
    env::split_paths(search.unwrap_or(OsStr::new(DEFAULT_PATH)))
        .map(|directory| if directory.as_os_str().is_empty() { ".".into() } else { directory })
        .map(|directory| directory.join(program))
        .collect()
}

fn streams(spec: &LaunchSpec) -> Result<[Option<OwnedFd>; 3]> {
    let open = |path: &Option<PathBuf>, options: &OpenOptions| {
        let Some(path) = path else { return Ok(None) };
        let opened = own_stream(path).unwrap_or_else(|| options.open(path).map(OwnedFd::from));
        opened.map(Some).map_err(|error| TargetError::Refused {
            what: format!("open {}", path.display()),
            why: error.to_string(),
        })
    };
    let mut write = OpenOptions::new();
    write.write(true).create(true).truncate(true);
    let input = open(&spec.stdin, OpenOptions::new().read(true))?;
    Ok([input, open(&spec.stdout, &write)?, open(&spec.stderr, &write)?])
}

/// A stream of ours by the name that it has everywhere: one that is a socket
/// cannot be opened by it.
fn own_stream(path: &Path) -> Option<io::Result<OwnedFd>> {
    match path.to_str()? {
        "/dev/stdin" => Some(io::stdin().as_fd().try_clone_to_owned()),
        "/dev/stdout" => Some(io::stdout().as_fd().try_clone_to_owned()),
        "/dev/stderr" => Some(io::stderr().as_fd().try_clone_to_owned()),
        _ => None,
    }
}

/// Puts a child's failure into words.
fn explain(spec: &LaunchSpec, failure: Failure) -> String {
    let errno = match failure {
        Failure::Killed => return "it was killed before it began".to_owned(),
        Failure::Directory(errno) => {
            let directory = spec.directory.as_deref().unwrap_or(Path::new("")).display();
            return format!("its directory {directory} cannot be entered: {errno}");
        }
        Failure::Other(errno) => return errno.to_string(),
        Failure::Exec(errno) => errno,
    };
    match errno {
        Errno::NOENT if spec.program.exists() => {
            "the program is there, but not the interpreter that it names".to_owned()
        }
        Errno::NOENT | Errno::NOTDIR => "there is no such program".to_owned(),
        Errno::ACCES if spec.program.is_dir() => "it is a directory".to_owned(),
        Errno::ACCES => "permission denied: it is not an executable file".to_owned(),
        Errno::NOEXEC => "it is not a program this system can run".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_name_is_looked_up() {
        let check = |program: &str, search: Option<&str>, expected: &[&str]| {
            let found = candidates(Path::new(program), search.map(OsStr::new));
            assert_eq!(found, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        };
        check("./a", Some("/x:/y"), &["./a"]);
        check("a", Some("/x:/y"), &["/x/a", "/y/a"]);
        check("a", Some("/x::/y"), &["/x/a", "./a", "/y/a"]);
        check("a", None, &["/bin/a", "/usr/bin/a"]);
    }
}
