//! Starting a child that shares our memory until it executes its program, so
//! that a start costs the same however much memory the debugger holds.
//!
//! The child is a process made by clone(2) with `CLONE_VM` and nothing else
//! shared: its descriptors, working directory and signal handlers are copies.
//! It runs on a stack of its own, at the same time as every thread of ours,
//! and with the thread pointer of the one that started it. Three rules make
//! this sound, and everything below the line in this file keeps them:
//!
//! 1. **It touches no thread-local memory and takes no lock.** All it does are
//!    [`raw`] system calls, which leave `errno` alone, on data prepared before.
//!    It allocates nothing, formats nothing, and contains nothing that can
//!    panic: no indexing, no arithmetic, no `expect`. What it writes is its
//!    stack and [`Shared::failure`].
//! 2. **No signal handler runs in it.** It begins with every signal blocked,
//!    those of the C library too, and unblocks none: exec sets what is handled
//!    back to the default and keeps the mask, and the tracer gives the program
//!    its own mask at the stop of the exec, by `PTRACE_SETSIGMASK`.
//! 3. **What it uses outlives it.** [`Child`] owns the stack and all that the
//!    child reads, and lets go of them only when a wait status has said that
//!    the child executed (its stop is after the change of memory: execve(2),
//!    ptrace(2)) or ended. Dropped before that, it kills and reaps first.
//!
//! `CLONE_UNTRACED` keeps a debugger of this debugger from tracing the child,
//! which is to be traced by us, or from cleaning its own traps out of memory
//! that it takes for a copy. When and why a program is started is not decided
//! here.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::rc::Rc;

use super::{Errno, Scheduling, Sys, check, cont, kill, pipe, raw, wait_for, word};
use crate::linux::wait::{self, Status, Stop};

/// Everything a child does before it executes its program, prepared so that it
/// needs no memory allocation there.
pub(in crate::linux) struct ChildPlan {
    /// Files to try, in order.
    pub(in crate::linux) candidates: Vec<CString>,
    pub(in crate::linux) args: Vec<CString>,
    pub(in crate::linux) environment: Vec<CString>,
    pub(in crate::linux) directory: Option<CString>,
    /// Replacements for descriptors 0, 1 and 2.
    pub(in crate::linux) streams: [Option<OwnedFd>; 3],
    pub(in crate::linux) fixed_addresses: bool,
    pub(in crate::linux) own_group: bool,
    pub(in crate::linux) scheduling: Scheduling,
    /// Whether the program starts with `SIGCHLD` ignored.
    pub(in crate::linux) ignores_children: bool,
}

/// Why a child did not become its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::linux) enum Failure {
    /// It ended without a word.
    Killed,
    /// Its directory cannot be entered.
    Directory(Errno),
    /// No candidate can be executed.
    Exec(Errno),
    /// Another step failed.
    Other(Errno),
}

/// What a child reads, and where it writes why it failed.
struct Shared {
    plan: ChildPlan,
    /// Pointers into the plan, with a null at the end.
    args: Vec<*const c_char>,
    /// Likewise.
    environment: Vec<*const c_char>,
    /// One byte arrives here when the child may go on.
    go: OwnedFd,
    /// Where that byte is written: a descriptor which the child closes in its
    /// own table, so that it sees the end of the pipe should we die.
    starter: c_int,
    /// Written by the child alone while it lives, read by us once it is gone.
    failure: Cell<Failure>,
}

/// A child that waits for our word, in our memory.
pub(in crate::linux) struct Child {
    pid: c_int,
    /// Whether a wait status has said that it left our memory.
    left: bool,
    starter: OwnedFd,
    /// An `Rc` because its contents stay where they are, aliased by the child,
    /// wherever this value is moved.
    shared: Rc<Shared>,
    /// Unmapped when dropped, which is after `left`.
    _stack: Stack,
}

impl Child {
    /// Starts a child of the calling thread. It waits for [`Self::execute`]
    /// before it does what the plan says, so that it can be seized.
    pub(in crate::linux) fn start(plan: ChildPlan) -> Sys<Self> {
        let (go, starter) = pipe()?;
        let (args, environment) = (pointers(&plan.args), pointers(&plan.environment));
        let failure = Cell::new(Failure::Killed);
        let starter_number = starter.as_raw_fd();
        let shared =
            Rc::new(Shared { plan, args, environment, go, starter: starter_number, failure });
        let stack = Stack::new()?;
        let pid = start_on(&stack, &shared)?;
        Ok(Self { pid, left: false, starter, shared, _stack: stack })
    }

    /// The child's process number. It stays the child's until this is dropped.
    pub(in crate::linux) fn pid(&self) -> i32 {
        self.pid
    }

    /// Lets a seized child go on, and waits until it stops at its exec, with
    /// every signal blocked. Returns its number.
    pub(in crate::linux) fn execute(mut self) -> Result<i32, Failure> {
        let (to, byte) = (word(self.starter.as_raw_fd()), [1u8]);
        let at = byte.as_ptr().expose_provenance();
        // SAFETY: reads one byte of ours. The pipe's other end is open in `shared`.
        unsafe { raw(libc::SYS_write, [to, at, 1, 0]) }.map_err(Failure::Other)?;
        if self.wait_until_left() { Ok(self.pid) } else { Err(self.shared.failure.get()) }
    }

    /// Waits until the child has left our memory: `true` at its exec, `false`
    /// when it ended. Stops before that are those of its preparation: the
    /// signals that nothing blocks, and its exit.
    fn wait_until_left(&mut self) -> bool {
        // An error can only be ECHILD: somebody else has reaped it.
        while let Ok(status) = wait_for(self.pid) {
            let signal = match wait::decode(status) {
                Status::Stopped(Stop::Exec) => {
                    self.left = true;
                    return true;
                }
                Status::Ended(_) => break,
                Status::Stopped(Stop::Signal(signal)) => signal.0,
                Status::Stopped(_) => 0,
                Status::Unknown(_) => continue,
            };
            // One that was killed meanwhile tells its end next.
            let _gone = cont(self.pid, signal);
        }
        self.left = true;
        false
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.left {
            // It is not reaped yet, so the number is its own.
            let _gone = kill(self.pid, libc::SIGKILL);
            // Were it on its way into the program, its end would come after that.
            while self.wait_until_left() {}
        }
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Starts a child of the calling thread in [`run_child`], with every signal
/// blocked.
fn start_on(stack: &Stack, shared: &Rc<Shared>) -> Sys<c_int> {
    let _blocked = AllBlocked::new()?;
    let flags = libc::CLONE_VM | libc::CLONE_UNTRACED | libc::SIGCHLD;
    let shared = Rc::as_ptr(shared).cast_mut().cast();
    // SAFETY: the stack is mapped and nobody else's, and it and `shared` live
    // until the child has left our memory (`Child`); `run_child` is made to
    // share memory and thread pointer with us.
    let pid = unsafe { libc::clone(run_child, stack.top(), flags, shared) };
    check(c_long::from(pid))?;
    Ok(pid)
}

/// While one lives, the calling thread takes no signal, not even one by which
/// the C library speaks to its threads.
struct AllBlocked {
    before: u64,
}

impl AllBlocked {
    fn new() -> Sys<Self> {
        Ok(Self { before: Self::swap(u64::MAX)? })
    }

    /// Sets the calling thread's mask; returns the one before.
    fn swap(mask: u64) -> Sys<u64> {
        let mut before = 0u64;
        let from = (&raw const mask).expose_provenance();
        let to = (&raw mut before).expose_provenance();
        let call = [word(libc::SIG_SETMASK), from, to, size_of::<u64>()];
        // SAFETY: reads and writes one kernel signal set each, which is 8 bytes.
        unsafe { raw(libc::SYS_rt_sigprocmask, call) }?;
        Ok(before)
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // It fails only for a bad pointer or size. sigprocmask(2).
        let _all = Self::swap(self.before);
    }
}

/// A stack for one child, with a page below it that cannot be touched.
struct Stack {
    base: *mut c_void,
}

impl Stack {
    /// The deepest call in the child is a few hundred bytes below its first
    /// frame, a few thousand in a build without optimisation; no signal frame
    /// is added, and execve(2) copies its arguments without it. Only touched
    /// pages cost memory.
    const SIZE: usize = 64 << 10;
    /// One page. Every frame in the child is smaller.
    const GUARD: usize = super::PAGE as usize;

    fn new() -> Sys<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        let (length, none) = (Self::GUARD + Self::SIZE, libc::PROT_NONE);
        // SAFETY: makes a new mapping where there was none.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, none, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Self { base };
        let (usable, both) =
            (base.wrapping_byte_add(Self::GUARD), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the range is the upper part of our mapping.
        check(c_long::from(unsafe { libc::mprotect(usable, Self::SIZE, both) }))?;
        Ok(stack)
    }

    /// Its end, from where it grows down; aligned to a page.
    fn top(&self) -> *mut c_void {
        self.base.wrapping_byte_add(Self::GUARD + Self::SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and who ran on it has left our memory.
        unsafe { libc::munmap(self.base, Self::GUARD + Self::SIZE) };
    }
}

// From here on everything runs in the child: see the rules at the top.

/// The child's first function. Returning ends the child with that status, by a
/// system call and nothing else. clone(2).
extern "C" fn run_child(shared: *mut c_void) -> c_int {
    // SAFETY: `start_on` passes a `Shared` that lives as long as we are in this memory.
    let shared = unsafe { &*shared.cast::<Shared>() };
    let failure = match prepare(shared) {
        Ok(()) => execute(shared),
        Err(failure) => failure,
    };
    shared.failure.set(failure);
    127
}

fn prepare(shared: &Shared) -> Result<(), Failure> {
    let plan = &shared.plan;
    if plan.own_group {
        // SAFETY: takes plain numbers.
        unsafe { raw(libc::SYS_setpgid, [0; 4]) }.map_err(Failure::Other)?;
    }
    wait_for_word(shared)?;
    if let Some(directory) = &plan.directory {
        let at = directory.as_ptr().expose_provenance();
        // SAFETY: the string is terminated.
        unsafe { raw(libc::SYS_chdir, [at, 0, 0, 0]) }.map_err(Failure::Directory)?;
    }
    let [input, output, errors] = &plan.streams;
    replace(input.as_ref(), libc::STDIN_FILENO)?;
    replace(output.as_ref(), libc::STDOUT_FILENO)?;
    replace(errors.as_ref(), libc::STDERR_FILENO)?;
    if plan.fixed_addresses {
        let persona = word(libc::ADDR_NO_RANDOMIZE);
        // Where it is forbidden, addresses stay random.
        // SAFETY: takes a plain number.
        let _fixed = unsafe { raw(libc::SYS_personality, [persona, 0, 0, 0]) };
    }
    // The program gets the scheduling it would have had; real-time policies do
    // not pass to a child, and were then not ours to give.
    plan.scheduling.apply();
    // Rust's runtime ignores SIGPIPE, and what is ignored stays so over exec.
    set_action(libc::SIGPIPE, libc::SIG_DFL)?;
    if plan.ignores_children {
        set_action(libc::SIGCHLD, libc::SIG_IGN)?;
    }
    Ok(())
}

/// Waits until the parent says that it traces us, or is no more.
fn wait_for_word(shared: &Shared) -> Result<(), Failure> {
    // SAFETY: takes a plain number, of a descriptor in our own table.
    unsafe { raw(libc::SYS_close, [word(shared.starter), 0, 0, 0]) }.map_err(Failure::Other)?;
    let mut byte = 0u8;
    let at = (&raw mut byte).expose_provenance();
    // SAFETY: reads one byte into a byte of ours.
    match unsafe { raw(libc::SYS_read, [word(shared.go.as_raw_fd()), at, 1, 0]) } {
        Ok(1) => Ok(()),
        Ok(_) => Err(Failure::Other(Errno(libc::ECANCELED))),
        Err(errno) => Err(Failure::Other(errno)),
    }
}

fn replace(stream: Option<&OwnedFd>, number: c_int) -> Result<(), Failure> {
    let Some(stream) = stream else { return Ok(()) };
    let numbers = [word(stream.as_raw_fd()), word(number), 0, 0];
    // SAFETY: takes plain numbers, of descriptors in our own table.
    unsafe { raw(libc::SYS_dup2, numbers) }.map(|_| ()).map_err(Failure::Other)
}

/// Sets what a signal does to `SIG_DFL` or `SIG_IGN`.
fn set_action(signal: c_int, action: libc::sighandler_t) -> Result<(), Failure> {
    // The kernel's struct sigaction: handler, flags, restorer, mask.
    let action: [usize; 4] = [action, 0, 0, 0];
    let at = action.as_ptr().expose_provenance();
    let call = [word(signal), at, 0, size_of::<u64>()];
    // SAFETY: reads the 32 bytes of `action`, and writes nothing for a null.
    unsafe { raw(libc::SYS_rt_sigaction, call) }.map(|_| ()).map_err(Failure::Other)
}

/// Tries each file as execvp(3) does: a missing one is passed over, and a
/// forbidden one is remembered.
fn execute(shared: &Shared) -> Failure {
    let args = shared.args.as_ptr().expose_provenance();
    let environment = shared.environment.as_ptr().expose_provenance();
    let mut reason = Errno::NOENT;
    for file in &shared.plan.candidates {
        let file = file.as_ptr().expose_provenance();
        // SAFETY: the string is terminated, and both arrays end in null and
        // point at strings that outlive the call.
        match unsafe { raw(libc::SYS_execve, [file, args, environment, 0]) } {
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(Errno::ACCES) => reason = Errno::ACCES,
            Err(errno) => return Failure::Exec(errno),
        }
    }
    Failure::Exec(reason)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

    use super::super::{
        Duration, SignalSet, install_child_handler, own_pid, poll_for, seize, set_signal_mask,
        signal_mask, wait_any,
    };
    use super::*;

    fn plan(candidates: &[&str]) -> ChildPlan {
        let text = |text: &&str| CString::new(*text).unwrap();
        ChildPlan {
            candidates: candidates.iter().map(text).collect(),
            args: vec![c"program".to_owned()],
            environment: vec![],
            directory: None,
            streams: [None, None, None],
            fixed_addresses: true,
            own_group: false,
            scheduling: Scheduling::current(),
            ignores_children: false,
        }
    }

    fn start_seized(plan: ChildPlan) -> Child {
        let child = Child::start(plan).unwrap();
        seize(child.pid(), libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL).unwrap();
        child
    }

    /// Kills and reaps a child that executed.
    fn end(child: i32) {
        kill(child, libc::SIGKILL).unwrap();
        while !matches!(wait::decode(wait_for(child).unwrap()), Status::Ended(_)) {}
    }

    #[track_caller]
    fn no_child_is_left() {
        assert_eq!(wait_any(), Err(Errno::CHILD));
    }

    fn mappings() -> usize {
        std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
    }

    /// Does something often, and looks that memory is not mapped each time.
    #[track_caller]
    fn maps_nothing(times: usize, mut act: impl FnMut()) {
        act();
        let before = mappings();
        for _ in 0..times {
            act();
        }
        // Other tests of this process may start threads meanwhile.
        assert!(mappings() < before + times / 2, "{} after {before}", mappings());
    }

    #[test]
    fn a_failure_is_told_with_its_step_and_its_number() {
        let check = |plan, expected| {
            assert_eq!(start_seized(plan).execute(), Err(expected));
            no_child_is_left();
        };
        check(plan(&["/no/such", "/etc/passwd/x"]), Failure::Exec(Errno::NOENT));
        check(plan(&["/etc/passwd", "/no/such"]), Failure::Exec(Errno::ACCES));
        check(plan(&["/dev/null/x"]), Failure::Exec(Errno::NOENT));
        let name = "x".repeat(300);
        check(plan(&[&name]), Failure::Exec(Errno(libc::ENAMETOOLONG)));
        check(plan(&[]), Failure::Exec(Errno::NOENT));
        let in_directory = |name: &std::ffi::CStr| ChildPlan {
            directory: Some(name.to_owned()),
            ..plan(&["/bin/true"])
        };
        check(in_directory(c"/no/such"), Failure::Directory(Errno::NOENT));
        check(in_directory(c"/etc/passwd"), Failure::Directory(Errno::NOTDIR));
        let long = CString::new(vec![b'x'; 1 << 20]).unwrap();
        let too_much = ChildPlan { args: vec![long], ..plan(&["/bin/true"]) };
        check(too_much, Failure::Exec(Errno(libc::E2BIG)));
    }

    #[test]
    fn a_failing_child_leaves_our_errno_alone() {
        let mut child = Child::start(plan(&["/no/such"; 100])).unwrap();
        // SAFETY: the location is the calling thread's own errno, always valid.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        unsafe { *errno = 4242 };
        let (to, at) = (word(child.starter.as_raw_fd()), c"y".as_ptr().expose_provenance());
        // SAFETY: reads one byte of ours.
        let sent = unsafe { raw(libc::SYS_write, [to, at, 1, 0]) };
        let mut status: c_int = 0;
        let (pid, at) = (word(child.pid), (&raw mut status).expose_provenance());
        // SAFETY: writes one int of ours.
        let ended = unsafe { raw(libc::SYS_wait4, [pid, at, 0, 0]) };
        // SAFETY: as above.
        let now = unsafe { *errno };
        child.left = true;
        assert_eq!((sent, ended, now), (Ok(1), Ok(pid), 4242));
        assert_eq!((status, child.shared.failure.get()), (127 << 8, Failure::Exec(Errno::NOENT)));
    }

    static HANDLED: AtomicU32 = AtomicU32::new(0);

    extern "C" fn on_signal(_signal: c_int) {
        HANDLED.fetch_add(1, Ordering::AcqRel);
    }

    #[test]
    fn no_handler_of_ours_runs_in_the_child_and_the_program_gets_the_signal() {
        let handler: extern "C" fn(c_int) = on_signal;
        // SAFETY: the handler only counts: it may run anywhere.
        unsafe { libc::signal(libc::SIGUSR2, (handler as *const c_void).expose_provenance()) };
        let child = start_seized(plan(&["/no/such", "/bin/true"]));
        for _ in 0..100 {
            kill(child.pid(), libc::SIGUSR2).unwrap();
        }
        let pid = child.execute().unwrap();
        assert_eq!(HANDLED.load(Ordering::Acquire), 0);
        let stopping = SignalSet::of(&[libc::SIGKILL, libc::SIGSTOP]).bits();
        assert_eq!(signal_mask(pid), Ok(!stopping));
        set_signal_mask(pid, 0).unwrap();
        cont(pid, 0).unwrap();
        let delivered = wait::decode(wait_for(pid).unwrap());
        let expected = trapline_core::stop::Signal(libc::SIGUSR2);
        assert_eq!(delivered, Status::Stopped(Stop::Signal(expected)));
        end(pid);
    }

    #[test]
    fn our_own_mask_is_as_before() {
        let before = SignalSet::of(&[libc::SIGUSR1]).block().bits();
        drop(Child::start(plan(&["/bin/true"])).unwrap());
        assert_eq!(SignalSet::of(&[]).block().bits(), before | 1 << (libc::SIGUSR1 - 1));
    }

    #[test]
    fn a_start_given_up_leaves_neither_child_nor_memory() {
        maps_nothing(100, || drop(Child::start(plan(&["/bin/true"])).unwrap()));
        maps_nothing(100, || drop(start_seized(plan(&["/bin/true"]))));
        maps_nothing(100, || {
            let child = start_seized(plan(&["/bin/true"]));
            kill(child.pid(), libc::SIGKILL).unwrap();
            assert_eq!(child.execute(), Err(Failure::Killed));
        });
        maps_nothing(100, || {
            let child = start_seized(plan(&["/bin/true"]));
            kill(child.pid(), libc::SIGSTOP).unwrap();
            end(child.execute().unwrap());
        });
        no_child_is_left();
    }

    #[test]
    fn a_child_whose_parent_is_gone_ends() {
        let mut child = Child::start(plan(&["/bin/true"])).unwrap();
        let (reading, _) = pipe().unwrap();
        // The end that we write to is closed, as by our death.
        drop(std::mem::replace(&mut child.starter, reading));
        let ended = (0..2000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            poll_for(child.pid).unwrap()
        });
        child.left = ended.is_some();
        assert_eq!(ended, Some(127 << 8));
        assert_eq!(child.shared.failure.get(), Failure::Other(Errno(libc::ECANCELED)));
    }

    static RAN_IN_A_CHILD: AtomicU32 = AtomicU32::new(0);
    static OWNER: AtomicI32 = AtomicI32::new(0);

    extern "C" fn on_storm(_signal: c_int) {
        if own_pid() != OWNER.load(Ordering::Acquire) {
            RAN_IN_A_CHILD.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Ends the threads even when the test fails.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    /// Fills memory and fails system calls; whether all was as it should be.
    fn busy(round: usize) -> bool {
        let texts: Vec<String> = (0..50).map(|n| format!("{round} {n}").repeat(n)).collect();
        let missing = std::fs::metadata("/no/such").unwrap_err().kind();
        let intact = (0..50).all(|n| texts[n] == format!("{round} {n}").repeat(n));
        intact && missing == std::io::ErrorKind::NotFound
    }

    #[test]
    fn starts_amid_busy_threads_and_signals_corrupt_nothing() {
        let handler: extern "C" fn(c_int) = on_storm;
        OWNER.store(own_pid(), Ordering::Release);
        // SAFETY: the handler makes one system call and counts: it may run anywhere.
        unsafe { libc::signal(libc::SIGUSR1, (handler as *const c_void).expose_provenance()) };
        install_child_handler();
        let over = AtomicBool::new(false);
        let rounds = |act: &dyn Fn(usize) -> bool| {
            (0..).take_while(|_| !over.load(Ordering::Acquire)).all(act)
        };
        let signal = |_| {
            let done = [libc::SIGUSR1, libc::SIGCHLD].map(|it| kill(own_pid(), it));
            std::thread::yield_now();
            done == [Ok(()); 2]
        };
        std::thread::scope(|scope| {
            let threads = [
                scope.spawn(|| rounds(&busy)),
                scope.spawn(|| rounds(&busy)),
                scope.spawn(|| rounds(&signal)),
            ];
            let end_of_storm = End(&over);
            maps_nothing(200, || {
                end(start_seized(plan(&["/no/such", "/bin/true"])).execute().unwrap());
                let failed = start_seized(plan(&["/etc/passwd"])).execute();
                assert_eq!(failed, Err(Failure::Exec(Errno::ACCES)));
            });
            drop(end_of_storm);
            assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        });
        assert_eq!(RAN_IN_A_CHILD.load(Ordering::Acquire), 0);
        no_child_is_left();
    }
}
