//! Starting programs: seized before they execute, so that their first stop is
//! the one of the exec itself, with none of their code run.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use trapline_core::Pid;
use trapline_core::stop::{Signal, StopCause};
use trapline_core::target::{LaunchSpec, Result, Stopped, TargetError, TargetEvent};

use super::sys::{self, ChildPlan, Errno};
use super::threads::{KernelStop, State, Thread};
use super::wait::{self, Status, Stop};
use super::{LinuxTarget, attach, signals, terminal};

/// Where programs are looked for when `PATH` is not set, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl LinuxTarget {
    pub(super) fn launch_program(&mut self, spec: &LaunchSpec) -> Result<Pid> {
        let (go, may_go) = pipe(spec)?;
        let (outcome, report) = pipe(spec)?;
        let plan = self.plan(spec, go, report)?;
        let own_group = plan.own_group;
        let child = sys::fork_child(&plan).map_err(|errno| refused(spec, &errno.to_string()))?;
        drop(plan);
        if let Err(errno) = seize_child(child, attach::options(self.kill_on_exit)) {
            // It waits for our word, which never comes.
            let _gone = sys::kill(child, Signal::KILL.0);
            let _status = sys::wait_for(child);
            let why = "is this debugger itself being traced, children included?";
            return Err(refused(spec, &format!("it cannot be traced ({errno}): {why}")));
        }
        // A child that died already says so in its status.
        let _written = File::from(may_go).write_all(&[1]);
        if !reaches_exec(child) {
            return Err(refused(spec, &explain(spec, outcome)));
        }
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

    fn plan(&self, spec: &LaunchSpec, go: OwnedFd, report: OwnedFd) -> Result<ChildPlan> {
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
            mask: signals::initial_mask(),
            fixed_addresses: !spec.randomize_addresses,
            own_group: sys::owns_terminal(),
            scheduling: self.scheduling,
            go,
            report,
        })
    }
}

/// Seizes a child that was forked just now. A debugger of ours that does not
/// follow children holds it for a moment, so a refusal is not final at once.
fn seize_child(child: i32, options: i32) -> std::result::Result<(), Errno> {
    const TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(2);
    for _ in 1..TRIES {
        match sys::seize(child, options) {
            Err(Errno::PERM) => std::thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
    sys::seize(child, options)
}

fn pipe(spec: &LaunchSpec) -> Result<(OwnedFd, OwnedFd)> {
    sys::pipe().map_err(|errno| refused(spec, &errno.to_string()))
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
    let open = |path: &Option<PathBuf>, options: &OpenOptions| match path {
        None => Ok(None),
        Some(path) => {
            options.open(path).map(|file| Some(file.into())).map_err(|error| TargetError::Refused {
                what: format!("open {}", path.display()),
                why: error.to_string(),
            })
        }
    };
    let mut write = OpenOptions::new();
    write.write(true).create(true).truncate(true);
    let input = open(&spec.stdin, OpenOptions::new().read(true))?;
    Ok([input, open(&spec.stdout, &write)?, open(&spec.stderr, &write)?])
}

/// Waits for the exec; `false` when the child ended instead. Stops before it
/// are those of the child's own preparation.
fn reaches_exec(child: i32) -> bool {
    while let Ok(status) = sys::wait_for(child) {
        let resumed = match wait::decode(status) {
            Status::Stopped(Stop::Exec) => return true,
            Status::Stopped(Stop::Signal(signal)) => sys::cont(child, signal.0),
            Status::Stopped(_) => sys::cont(child, 0),
            Status::Ended(_) | Status::Unknown(_) => return false,
        };
        if resumed.is_err() {
            // Killed meanwhile: the next status is its end.
            continue;
        }
    }
    false
}

/// Puts a child's failure report into words.
fn explain(spec: &LaunchSpec, outcome: OwnedFd) -> String {
    let mut bytes = [0; 5];
    if File::from(outcome).read_exact(&mut bytes).is_err() {
        return "it was killed before it began".to_owned();
    }
    let [step, number @ ..] = bytes;
    let errno = Errno(i32::from_le_bytes(number));
    if step == sys::FAILED_DIRECTORY {
        let directory = spec.directory.as_deref().unwrap_or(Path::new("")).display();
        return format!("its directory {directory} cannot be entered: {errno}");
    }
    if step != sys::FAILED_EXEC {
        return errno.to_string();
    }
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
