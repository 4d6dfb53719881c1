//! Every system call the debugger makes that Rust's library has no safe form
//! of, each behind a typed function. With the modules below it, the only
//! `unsafe` code of this crate.
//!
//! No policy and no state: what to call when is the other modules' matter.
#![expect(clippy::disallowed_methods, reason = "this is the file where they belong")]

mod child;
mod input;
mod lost_pages;
mod pages;

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;
use std::{fmt, io, mem, ptr};

use trapline_core::x64::Component;

use crate::layout::registers::{FXSAVE_SIZE, WORDS};
use crate::layout::siginfo::{RawSigInfo, SIZE as SIGINFO_SIZE};

pub(super) use child::{Child, ChildPlan, Failure};
pub(super) use input::{Readiness, signal_on_input, take_inherited, wait_until_ready};
pub use lost_pages::{LostAt, survive_lost_pages};
pub use pages::give_back_pages;

/// A system call's error number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Errno(pub(super) i32);

impl Errno {
    pub(super) const PERM: Self = Self(libc::EPERM);
    pub(super) const BADF: Self = Self(libc::EBADF);
    pub(super) const SRCH: Self = Self(libc::ESRCH);
    pub(super) const INTR: Self = Self(libc::EINTR);
    pub(super) const CHILD: Self = Self(libc::ECHILD);
    pub(super) const ACCES: Self = Self(libc::EACCES);
    pub(super) const NOENT: Self = Self(libc::ENOENT);
    pub(super) const NOTDIR: Self = Self(libc::ENOTDIR);
    pub(super) const NOEXEC: Self = Self(libc::ENOEXEC);

    /// The same for those who read and write files.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::from_raw_os_error(self.0)
    }

    fn last() -> Self {
        Self(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(text.split(" (os error").next().unwrap_or(&text))
    }
}

/// Result of a system call.
pub(super) type Sys<T> = Result<T, Errno>;

/// The answer of a function of the C library, with the error from `errno`.
fn check(result: c_long) -> Sys<c_long> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// A system call past the C library. It reads and writes no memory but what
/// the call itself does, `errno` included, so a child that shares the memory
/// and the thread pointer of a thread of ours may make it. syscalls(2).
///
/// # Safety
/// The arguments must be what the call wants: where it reads or writes memory
/// of ours, a valid pointer to memory of the size it uses.
unsafe fn raw(number: c_long, [a, b, c, d]: [usize; 4]) -> Sys<usize> {
    let answer: isize;
    // SAFETY: the x86-64 convention, psABI A.2.1: the call changes rax, rcx and
    // r11, and memory only as the caller allows.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    };
    match answer {
        -4095..=-1 => Err(Errno(answer.unsigned_abs() as c_int)),
        _ => Ok(answer.cast_unsigned()),
    }
}

/// A number as the argument of a [`raw`] call, which looks at its low half.
const fn word(number: c_int) -> usize {
    number.cast_unsigned() as usize
}

/// The memory page, in bytes. Fixed on x86-64.
pub(super) const PAGE: u64 = 4096;

/// Where `struct user` holds debug register `index`, for peek and poke.
pub(super) const fn debug_register_offset(index: usize) -> usize {
    mem::offset_of!(libc::user, u_debugreg) + index * 8
}

/// # Safety
/// `addr` and `data` must be what `request` wants: where it reads or writes
/// memory of ours, a valid pointer to memory of the size it uses.
unsafe fn ptrace(request: c_int, tid: i32, addr: usize, data: usize) -> Sys<()> {
    let request = c_long::from(request);
    // SAFETY: passed on to the caller.
    check(unsafe { libc::syscall(libc::SYS_ptrace, request, c_long::from(tid), addr, data) })
        .map(|_| ())
}

macro_rules! plain_requests {
    ($($(#[$doc:meta])* $name:ident($request:expr $(, $data:ident)?);)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(tid: i32 $(, $data: c_int)?) -> Sys<()> {
            #[allow(unused_mut, unused_assignments, reason = "some requests carry no data")]
            let mut data = 0;
            $(data = usize::try_from($data).unwrap_or_default();)?
            // SAFETY: this request takes plain numbers and touches no memory of ours.
            unsafe { ptrace($request, tid, 0, data) }
        }
    )*};
}

plain_requests! {
    /// Becomes the tracer of a thread and leaves it running.
    seize(libc::PTRACE_SEIZE as c_int, options);
    /// Changes what a stopped thread tells and suffers.
    set_options(libc::PTRACE_SETOPTIONS as c_int, options);
    /// Asks a thread to trap.
    interrupt(libc::PTRACE_INTERRUPT as c_int);
    /// Leaves a thread in its group stop and listens for the end of it.
    listen(libc::PTRACE_LISTEN as c_int);
    /// Lets a thread run on, with a signal or 0.
    cont(libc::PTRACE_CONT as c_int, signal);
    /// Lets a thread run on to the next entry or exit of a system call, with a
    /// signal or 0.
    to_call(libc::PTRACE_SYSCALL as c_int, signal);
    /// Lets a thread execute one instruction, with a signal or 0.
    step(libc::PTRACE_SINGLESTEP as c_int, signal);
    /// Lets a thread go, with a signal or 0.
    detach(libc::PTRACE_DETACH as c_int, signal);
}

/// The number that goes with the event a thread stopped for.
pub(super) fn event_message(tid: i32) -> Sys<u64> {
    let mut message: u64 = 0;
    let data = (&raw mut message).expose_provenance();
    // SAFETY: the request writes one unsigned long, and `message` is one.
    unsafe { ptrace(libc::PTRACE_GETEVENTMSG as c_int, tid, 0, data) }?;
    Ok(message)
}

/// The signal that a thread stopped for.
pub(super) fn siginfo(tid: i32) -> Sys<RawSigInfo> {
    let mut bytes = [0u64; SIGINFO_SIZE / 8];
    let data = bytes.as_mut_ptr().expose_provenance();
    // SAFETY: the request writes one siginfo_t, and `bytes` has its size and alignment.
    unsafe { ptrace(libc::PTRACE_GETSIGINFO as c_int, tid, 0, data) }?;
    let mut raw = [0; SIGINFO_SIZE];
    for (to, word) in raw.chunks_exact_mut(8).zip(bytes) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    Ok(RawSigInfo(raw))
}

/// The signal at a place in the queue of those that are pending for a thread
/// itself; `None` past the end.
pub(super) fn pending_siginfo(tid: i32, place: u64) -> Sys<Option<RawSigInfo>> {
    // struct ptrace_peeksiginfo_args: u64 off, u32 flags, s32 nr. ptrace(2).
    let request: [u64; 2] = [place, 1 << 32];
    let mut bytes = [0u64; SIGINFO_SIZE / 8];
    let data = bytes.as_mut_ptr().expose_provenance();
    let addr = request.as_ptr().expose_provenance();
    let number = c_long::from(libc::PTRACE_PEEKSIGINFO as c_int);
    // SAFETY: the request reads the 16 bytes of `request` and writes at most one siginfo_t,
    // for which `bytes` has size and alignment.
    let count =
        check(unsafe { libc::syscall(libc::SYS_ptrace, number, c_long::from(tid), addr, data) })?;
    let mut raw = [0; SIGINFO_SIZE];
    for (to, word) in raw.chunks_exact_mut(8).zip(bytes) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    Ok((count == 1).then_some(RawSigInfo(raw)))
}

/// Changes what the signal that a thread stopped for says.
pub(super) fn set_siginfo(tid: i32, info: &RawSigInfo) -> Sys<()> {
    let data = info.0.as_ptr().expose_provenance();
    // SAFETY: the request reads the 128 bytes of a siginfo_t, which `info` holds.
    unsafe { ptrace(libc::PTRACE_SETSIGINFO as c_int, tid, 0, data) }
}

/// The integer registers.
pub(super) fn registers(tid: i32) -> Sys<[u64; WORDS]> {
    let mut words = [0; WORDS];
    let data = words.as_mut_ptr().expose_provenance();
    // SAFETY: the request writes one user_regs_struct, which is 27 words.
    unsafe { ptrace(libc::PTRACE_GETREGS as c_int, tid, 0, data) }?;
    Ok(words)
}

/// Changes the integer registers.
pub(super) fn set_registers(tid: i32, words: &[u64; WORDS]) -> Sys<()> {
    let data = words.as_ptr().expose_provenance();
    // SAFETY: the request reads one user_regs_struct, which is 27 words.
    unsafe { ptrace(libc::PTRACE_SETREGS as c_int, tid, 0, data) }
}

/// The FXSAVE area.
pub(super) fn fxsave(tid: i32) -> Sys<[u8; FXSAVE_SIZE]> {
    let mut area = [0; FXSAVE_SIZE];
    let data = area.as_mut_ptr().expose_provenance();
    // SAFETY: the request writes one user_fpregs_struct, which is 512 bytes.
    unsafe { ptrace(libc::PTRACE_GETFPREGS as c_int, tid, 0, data) }?;
    Ok(area)
}

/// The XSAVE area: every vector register that the processor has.
pub(super) fn xsave(tid: i32) -> Sys<Vec<u8>> {
    // Room for AVX-512 and tiles; the kernel says how much it used.
    let mut area = vec![0u8; 16 * 1024];
    let mut room = libc::iovec { iov_base: area.as_mut_ptr().cast(), iov_len: area.len() };
    let data = (&raw mut room).expose_provenance();
    let kind = crate::layout::core_notes::XSTATE as usize;
    // SAFETY: the request writes at most `iov_len` bytes to `iov_base`, which has as many.
    unsafe { ptrace(libc::PTRACE_GETREGSET as c_int, tid, kind, data) }?;
    area.truncate(room.iov_len);
    Ok(area)
}

/// Changes the XSAVE area.
pub(super) fn set_xsave(tid: i32, area: &[u8]) -> Sys<()> {
    let mut from = libc::iovec { iov_base: area.as_ptr().cast_mut().cast(), iov_len: area.len() };
    let data = (&raw mut from).expose_provenance();
    let kind = crate::layout::core_notes::XSTATE as usize;
    // SAFETY: the request reads at most `iov_len` bytes from `iov_base`, which has as many.
    unsafe { ptrace(libc::PTRACE_SETREGSET as c_int, tid, kind, data) }
}

/// Where in the XSAVE area this processor keeps a component, if it has that and
/// the system saves it. Intel SDM volume 1, section 13.5.
pub(super) fn xsave_offset(component: Component) -> Option<u32> {
    const XSAVE_LEAF: u32 = 0xd;
    let saved = __cpuid_count(XSAVE_LEAF, 0).eax & (1 << component as u32) != 0;
    saved.then(|| __cpuid_count(XSAVE_LEAF, component as u32).ebx)
}

/// Where a thread that stopped for a system call stands in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CallStop {
    /// Before it, with its number.
    Entry(u64),
    /// Behind it.
    Exit,
    /// In none.
    None,
}

/// Asks where a thread stands in a system call. ptrace(2),
/// `PTRACE_GET_SYSCALL_INFO`: the operation is the first byte, what belongs to
/// it begins at byte 24.
pub(super) fn call_stop(tid: i32) -> Sys<CallStop> {
    const INFO: usize = 88;
    let mut info = [0u8; INFO];
    let data = info.as_mut_ptr().expose_provenance();
    // SAFETY: the request writes at most INFO bytes, which `info` has.
    unsafe { ptrace(libc::PTRACE_GET_SYSCALL_INFO as c_int, tid, INFO, data) }?;
    let mut number = [0; 8];
    number.copy_from_slice(&info[24..32]);
    Ok(match info[0] {
        1 => CallStop::Entry(u64::from_le_bytes(number)),
        2 => CallStop::Exit,
        _ => CallStop::None,
    })
}

/// Changes the FXSAVE area.
pub(super) fn set_fxsave(tid: i32, area: &[u8; FXSAVE_SIZE]) -> Sys<()> {
    let data = area.as_ptr().expose_provenance();
    // SAFETY: the request reads one user_fpregs_struct, which is 512 bytes.
    unsafe { ptrace(libc::PTRACE_SETFPREGS as c_int, tid, 0, data) }
}

const PTRACE_GETSIGMASK: c_int = 0x420a;
const PTRACE_SETSIGMASK: c_int = 0x420b;

/// The signals that a stopped thread blocks; bit 0 is signal 1.
pub(super) fn signal_mask(tid: i32) -> Sys<u64> {
    let mut mask: u64 = 0;
    let data = (&raw mut mask).expose_provenance();
    // SAFETY: the request writes `addr` bytes, 8, into `mask`.
    unsafe { ptrace(PTRACE_GETSIGMASK, tid, 8, data) }?;
    Ok(mask)
}

/// Changes the signals that a stopped thread blocks.
pub(super) fn set_signal_mask(tid: i32, mask: u64) -> Sys<()> {
    let data = (&raw const mask).expose_provenance();
    // SAFETY: the request reads `addr` bytes, 8, from `mask`.
    unsafe { ptrace(PTRACE_SETSIGMASK, tid, 8, data) }
}

/// How large the stack of a process may grow, in bytes: the limit that is in
/// force, and how far it may be raised. getrlimit(2), `RLIMIT_STACK`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StackLimit {
    /// `u64::MAX` for none.
    pub(super) soft: u64,
    pub(super) hard: u64,
}

/// The limit of a process.
pub(super) fn stack_limit(pid: i32) -> Sys<StackLimit> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours; a null changes nothing.
    let done = unsafe { libc::prlimit64(pid, libc::RLIMIT_STACK, ptr::null(), &raw mut limit) };
    check(done.into()).map(|_| StackLimit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// Changes the limit of a process.
pub(super) fn set_stack_limit(pid: i32, limit: StackLimit) -> Sys<()> {
    let limit = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
    // SAFETY: `limit` is ours; nothing is written to a null.
    let done =
        unsafe { libc::prlimit64(pid, libc::RLIMIT_STACK, &raw const limit, ptr::null_mut()) };
    check(done.into()).map(|_| ())
}

/// A word of a thread's `struct user`.
pub(super) fn peek_user(tid: i32, offset: usize) -> Sys<u64> {
    let mut word: u64 = 0;
    let data = (&raw mut word).expose_provenance();
    // SAFETY: the system call (unlike the C function) writes one word to `data`.
    unsafe { ptrace(libc::PTRACE_PEEKUSER as c_int, tid, offset, data) }?;
    Ok(word)
}

/// Changes a word of a thread's `struct user`.
pub(super) fn poke_user(tid: i32, offset: usize, word: u64) -> Sys<()> {
    let data = usize::try_from(word).unwrap_or_default();
    // SAFETY: the request takes the word by value.
    unsafe { ptrace(libc::PTRACE_POKEUSER as c_int, tid, offset, data) }
}

/// The next wait status of any thread that this thread traces, if there is one.
pub(super) fn wait_any() -> Sys<Option<(i32, i32)>> {
    wait(-1, libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG)
}

/// The next wait status of one thread, if there is one.
pub(super) fn poll_for(tid: i32) -> Sys<Option<i32>> {
    let found = wait(tid, libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG)?;
    Ok(found.map(|(_, status)| status))
}

/// The next wait status of one thread, waiting for it. Not for the leader of
/// a process with other threads: were it to exit, nothing would come.
pub(super) fn wait_for(tid: i32) -> Sys<i32> {
    loop {
        match wait(tid, libc::__WALL | libc::__WNOTHREAD) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait(tid: i32, flags: c_int) -> Sys<Option<(i32, i32)>> {
    let mut status = 0;
    // SAFETY: `status` is an int of ours that the call writes.
    let found = unsafe { libc::waitpid(tid, &raw mut status, flags) };
    match check(c_long::from(found))? {
        0 => Ok(None),
        _ => Ok(Some((found, status))),
    }
}

/// Sends a signal to one thread of a process.
pub(super) fn tgkill(pid: i32, tid: i32, signal: i32) -> Sys<()> {
    // SAFETY: the call takes plain numbers.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }).map(|_| ())
}

/// Sends a signal that says `info` to one thread of a process. The kernel
/// takes only what a program may say itself: a negative code, not `SI_TKILL`.
pub(super) fn queue(pid: i32, tid: i32, info: &RawSigInfo) -> Sys<()> {
    let (call, signal) = (libc::SYS_rt_tgsigqueueinfo, info.signal().0);
    // SAFETY: the call reads the 128 bytes of a siginfo_t, which `info` holds.
    check(unsafe { libc::syscall(call, pid, tid, signal, info.0.as_ptr()) }).map(|_| ())
}

/// Sends a signal to a process.
pub(super) fn kill(pid: i32, signal: i32) -> Sys<()> {
    // SAFETY: the call takes plain numbers.
    check(c_long::from(unsafe { libc::kill(pid, signal) })).map(|_| ())
}

/// The number of this thread.
pub(super) fn own_tid() -> i32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// The number of this process.
pub(super) fn own_pid() -> i32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::getpid() }
}

/// Copies another process's memory; how many bytes, from the start.
pub(super) fn read_remote(tid: i32, addr: u64, buf: &mut [u8]) -> Sys<usize> {
    let local = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let base = ptr::with_exposed_provenance_mut(usize::try_from(addr).unwrap_or(usize::MAX));
    let remote = libc::iovec { iov_base: base, iov_len: buf.len() };
    // SAFETY: the call writes only into `buf`; the remote address is not ours.
    let read = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| Errno::last())
}

/// A set of signals of this process.
#[derive(Clone, Copy)]
pub(super) struct SignalSet(libc::sigset_t);

impl SignalSet {
    pub(super) fn of(signals: &[c_int]) -> Self {
        // SAFETY: a sigset_t is plain bits; all zero is one.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: `set` is ours.
        unsafe { libc::sigemptyset(&raw mut set) };
        for signal in signals {
            // SAFETY: `set` is ours; a bad number is refused.
            unsafe { libc::sigaddset(&raw mut set, *signal) };
        }
        Self(set)
    }

    /// Blocks these for the calling thread; returns what was blocked before.
    pub(super) fn block(&self) -> Self {
        self.change_mask(libc::SIG_BLOCK)
    }

    /// Makes this the calling thread's mask.
    pub(super) fn set_as_mask(&self) {
        self.change_mask(libc::SIG_SETMASK);
    }

    /// As the kernel writes it: bit 0 is signal 1.
    pub(super) fn bits(&self) -> u64 {
        // SAFETY: `self` is a valid set; a bad number is refused.
        let blocks = |signal: &c_int| unsafe { libc::sigismember(&raw const self.0, *signal) } == 1;
        (1..=64).filter(blocks).fold(0, |bits, signal| bits | 1 << (signal - 1))
    }

    fn change_mask(&self, how: c_int) -> Self {
        let mut before = Self::of(&[]);
        // SAFETY: both sets are valid for the call.
        unsafe { libc::pthread_sigmask(how, &raw const self.0, &raw mut before.0) };
        before
    }

    /// Waits for one of these, which must be blocked; `None` when so much time
    /// passed or a handler of another signal ran.
    pub(super) fn wait(&self, limit: Option<Duration>) -> Option<Taken> {
        // SAFETY: a siginfo_t is plain data; all zero is one.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: all three pointers are valid, or null where null is allowed.
        let signal = unsafe { libc::sigtimedwait(&raw const self.0, &raw mut info, limit) };
        (signal > 0).then_some(Taken { signal, to_this_thread: info.si_code == libc::SI_TKILL })
    }
}

/// A signal that was waited for.
pub(super) struct Taken {
    pub(super) signal: c_int,
    /// Whether it was sent to this one thread rather than to the process.
    pub(super) to_this_thread: bool,
}

/// The threads that wait for `SIGCHLD`; 0 for a free place.
pub(super) static TRACERS: [AtomicI32; 64] = [const { AtomicI32::new(0) }; 64];

/// Passes `SIGCHLD` to every tracer thread but the calling one.
pub(super) fn forward_child_signal() {
    let (pid, own) = (own_pid(), own_tid());
    for place in &TRACERS {
        let tid = place.load(Ordering::Acquire);
        if tid != 0 && tid != own {
            // A tracer that is just going away needs no signal.
            let _gone = tgkill(pid, tid, libc::SIGCHLD);
        }
    }
}

extern "C" fn on_child_signal(_signal: c_int) {
    // SAFETY: the location is the calling thread's own errno, always valid.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    forward_child_signal();
    // SAFETY: as above.
    unsafe { *errno = saved };
}

/// Whether `SIGCHLD` was ignored before our handler took its place.
static CHILD_SIGNAL_IGNORED: AtomicBool = AtomicBool::new(false);

/// Whether programs find `SIGCHLD` ignored when they are started without us.
pub(super) fn child_signal_ignored() -> bool {
    CHILD_SIGNAL_IGNORED.load(Ordering::Acquire)
}

/// Makes threads that do not block `SIGCHLD` pass it on to the tracers, unless
/// the process has a handler of its own.
pub(super) fn install_child_handler() {
    // SAFETY: a sigaction is plain data; all zero is one.
    let mut now: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: asks only; `now` is ours.
    unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut now) };
    if now.sa_sigaction != libc::SIG_DFL && now.sa_sigaction != libc::SIG_IGN {
        return;
    }
    if now.sa_sigaction == libc::SIG_IGN {
        CHILD_SIGNAL_IGNORED.store(true, Ordering::Release);
    }
    let handler: extern "C" fn(c_int) = on_child_signal;
    now.sa_sigaction = (handler as *const c_void).expose_provenance();
    now.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler only makes system calls and keeps errno: it may run anywhere.
    unsafe { libc::sigaction(libc::SIGCHLD, &raw const now, ptr::null_mut()) };
}

/// A thread's scheduling: policy with its flags, priority, niceness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Scheduling {
    pub(super) policy: c_int,
    pub(super) priority: c_int,
    pub(super) nice: c_int,
    /// How late, in nanoseconds, timers may be to save wake-ups. The kernel
    /// makes it 0 with a real-time policy and lets children have that. prctl(2),
    /// `PR_SET_TIMERSLACK`.
    pub(super) timer_slack: Option<c_ulong>,
}

impl Scheduling {
    /// First in, first out, at the lowest real-time priority; children start
    /// with ordinary scheduling.
    pub(super) const REAL_TIME: Self = Self {
        policy: libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
        priority: 1,
        nice: 0,
        timer_slack: None,
    };

    /// Ordinary scheduling, ahead of everything ordinary.
    pub(super) const AHEAD: Self = Self {
        policy: libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK,
        priority: 0,
        nice: -20,
        timer_slack: None,
    };

    /// The calling thread's.
    pub(super) fn current() -> Self {
        // SAFETY: takes a plain number.
        let policy = unsafe { libc::sched_getscheduler(0) };
        let mut param = libc::sched_param { sched_priority: 0 };
        // SAFETY: `param` is ours.
        unsafe { libc::sched_getparam(0, &raw mut param) };
        // SAFETY: takes plain numbers.
        let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        // SAFETY: takes plain numbers.
        let timer_slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK, 0, 0, 0, 0) };
        let timer_slack = c_ulong::try_from(timer_slack).ok();
        Self { policy: policy.max(0), priority: param.sched_priority, nice, timer_slack }
    }

    /// Makes it the calling thread's; whether the system allowed it. Made of
    /// [`raw`] calls, as a child that shares our memory does it too.
    pub(super) fn apply(self) -> bool {
        let param = libc::sched_param { sched_priority: self.priority };
        let at = (&raw const param).expose_provenance();
        // SAFETY: reads `param`; 0 is the calling thread.
        let done = unsafe { raw(libc::SYS_sched_setscheduler, [0, word(self.policy), at, 0]) };
        if let Some(nanos) = self.timer_slack {
            let option = word(libc::PR_SET_TIMERSLACK);
            // SAFETY: takes plain numbers. It cannot fail: prctl(2).
            let _done = unsafe { raw(libc::SYS_prctl, [option, nanos as usize, 0, 0]) };
        }
        done.is_ok() && set_own_nice(self.nice)
    }
}

/// Changes the calling thread's niceness; whether the system allowed it.
pub(super) fn set_own_nice(nice: c_int) -> bool {
    let which = libc::PRIO_PROCESS as usize;
    // SAFETY: takes plain numbers.
    unsafe { raw(libc::SYS_setpriority, [which, 0, word(nice), 0]) }.is_ok()
}

/// The name of this machine.
pub(super) fn machine_name() -> String {
    // SAFETY: a utsname is plain bytes; all zero is one.
    let mut names: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: `names` is ours.
    unsafe { libc::uname(&raw mut names) };
    names.nodename.iter().take_while(|c| **c != 0).map(|c| char::from(c.cast_unsigned())).collect()
}

/// Whether standard input is a terminal whose foreground group is ours.
pub(super) fn owns_terminal() -> bool {
    // SAFETY: takes a plain number.
    let foreground = unsafe { libc::tcgetpgrp(0) };
    // SAFETY: takes nothing.
    foreground == unsafe { libc::getpgrp() }
}

/// The process group of this process.
pub(super) fn own_group() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getpgrp() }
}

/// Makes a process group the terminal's foreground group.
pub(super) fn set_foreground(group: i32) -> Sys<()> {
    // SAFETY: takes plain numbers.
    check(c_long::from(unsafe { libc::tcsetpgrp(0, group) })).map(|_| ())
}

/// A pipe: (reading end, writing end); `exec` closes both.
pub(super) fn pipe() -> Sys<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the call writes two descriptors into `ends`.
    check(c_long::from(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }))?;
    // SAFETY: the descriptor is new and nobody else's.
    let reading = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: the descriptor is new and nobody else's.
    let writing = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((reading, writing))
}
