//! What happens when a page of a mapped file is read that the file does not
//! have any more, because somebody cut it short in its place: the kernel sends
//! `SIGBUS` (mmap(2), "SIGBUS"), which would end the debugger and with it the
//! program it is attached to. The handler here puts zeros where the file was,
//! so that the reader goes on with bytes that it distrusts anyway.
//!
//! The handler keeps to what a handler may do (signal-safety(7)): it asks a
//! [`LostAt`], which must do so too, and makes system calls, takes no lock,
//! allocates nothing, contains nothing that can panic, and leaves `errno` as it
//! was. It runs in the thread that reads, in the middle of its access: so
//! whoever reads holds the mapping, and nobody can undo it until the handler
//! returns. Which files are mapped is not known here.
//!
//! Every other `SIGBUS` is what it was without us: it goes to the disposition
//! found when the handler was installed.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::{mem, ptr};

use super::PAGE;

type Handler = extern "C" fn(c_int);
type HandlerWithInfo = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Takes note that an address of a file's mapping is lost and answers where that
/// mapping ends; `None` for any other address. Called in a signal handler.
pub type LostAt = fn(address: usize) -> Option<usize>;

/// Who is asked, and what was to happen at a `SIGBUS` before us. Set before our
/// handler is.
static KNOWN: OnceLock<(LostAt, libc::sigaction)> = OnceLock::new();

/// Makes reading a lost page survivable from now on. The first call counts.
pub fn survive_lost_pages(lost_at: LostAt) {
    let mut is_first = false;
    let (_, former) = KNOWN.get_or_init(|| {
        is_first = true;
        (lost_at, former_action())
    });
    if !is_first {
        return;
    }
    let mut ours = default_action();
    ours.sa_sigaction = (on_bus_error as HandlerWithInfo as *const c_void).expose_provenance();
    // What the former handler may be interrupted by is what it asked for. The
    // alternate stack does no harm where there is none.
    ours.sa_mask = former.sa_mask;
    let inherited = former.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART);
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | inherited;
    set_action(&ours);
}

fn former_action() -> libc::sigaction {
    let mut former = default_action();
    // SAFETY: changes nothing but the action passed. It cannot fail: the
    // signal exists and the pointer is good (sigaction(2), "ERRORS").
    unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut former) };
    former
}

fn default_action() -> libc::sigaction {
    // SAFETY: a sigaction is plain data; all zero is `SIG_DFL` with an empty
    // mask and without flags.
    unsafe { mem::zeroed() }
}

fn set_action(action: &libc::sigaction) {
    // SAFETY: the action is read during the call only; its handler is
    // `SIG_DFL` or one that lives as long as the process. It cannot fail: the
    // signal exists and may be handled.
    unsafe { libc::sigaction(libc::SIGBUS, action, ptr::null_mut()) };
}

extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: for a handler installed with SA_SIGINFO the kernel passes the
    // address of a siginfo_t that lives until the handler returns, and nobody
    // else writes to it.
    let said = unsafe { &*info };
    if !replace_lost_pages(said) {
        pass_on(signal, info, context, said.si_code);
    }
}

/// Puts zeros in the place of a page that was lost, and of all behind it: what
/// is beyond the end of a file is so up to the end of its mapping, and a
/// signal for each page would split the mapping in as many parts, of which the
/// system allows a limited number. `false` when it is none of ours.
fn replace_lost_pages(said: &libc::siginfo_t) -> bool {
    if said.si_code != libc::BUS_ADRERR {
        return false;
    }
    // SAFETY: this code of this signal has an address (sigaction(2)).
    let address = unsafe { said.si_addr() }.addr();
    let Some((lost_at, _)) = KNOWN.get() else { return false };
    // First, so that whoever sees zeros can see why.
    let Some(end) = lost_at(address) else { return false };
    let page = address & !(PAGE as usize - 1);
    put_zeros(page, end.wrapping_sub(page))
}

/// Maps zeros from a page of one of our mappings to its end; `false` when the
/// system refuses. A page already replaced by another thread is replaced by
/// the same again.
fn put_zeros(page: usize, len: usize) -> bool {
    let how = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: gives the address of this thread's own `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: that address is good for as long as the thread.
    let kept = unsafe { errno.read() };
    let at = ptr::with_exposed_provenance_mut(page);
    // SAFETY: the addresses are those of a file's mapping, from a page that is
    // read in this moment to the end: `LostAt` answers what is mapped, and the
    // interrupted reader keeps it so until we return. A mapping starts at a page, as `page` does, and its last page is
    // its own to the end, so nothing else is replaced. No reader relies on
    // what the bytes are, which the owner of the file could change as well.
    let mapped = unsafe { libc::mmap(at, len, libc::PROT_READ, how, -1, 0) };
    // SAFETY: as for reading it.
    unsafe { errno.write(kept) };
    mapped != libc::MAP_FAILED
}

/// Does what would have been done without us.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, code: c_int) {
    match KNOWN.get().map(|(_, former)| former) {
        Some(former) if former.sa_sigaction == libc::SIG_IGN => {
            // A fault cannot be ignored: the kernel ends the process.
            if is_fault(code) {
                set_action(&default_action());
            }
        }
        Some(former) if former.sa_sigaction != libc::SIG_DFL => {
            call(former, signal, info, context);
        }
        _ => die(code),
    }
}

/// Whether the instruction that is returned to would fault again: not after a
/// signal that somebody sent, nor after news of a damaged page that nobody
/// reads.
fn is_fault(code: c_int) -> bool {
    code > 0 && code != libc::BUS_MCEERR_AO
}

fn die(code: c_int) {
    set_action(&default_action());
    if !is_fault(code) {
        // SAFETY: sends this thread a signal, which is taken when we return.
        unsafe { libc::raise(libc::SIGBUS) };
    }
}

fn call(former: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if former.sa_flags & libc::SA_RESETHAND != 0 {
        set_action(&default_action());
    }
    let handler: *const c_void = ptr::with_exposed_provenance(former.sa_sigaction);
    if former.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: neither SIG_DFL nor SIG_IGN, so it is the address of a
        // handler, and with this flag one that takes three arguments.
        let handler = unsafe { mem::transmute::<*const c_void, HandlerWithInfo>(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: as above; without the flag it takes the signal alone.
        let handler = unsafe { mem::transmute::<*const c_void, Handler>(handler) };
        handler(signal);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::hint::black_box;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::process::{Command, ExitStatus};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LEN: usize = 4 * PAGE as usize;

    /// Where files are mapped that are ours to lose. They stay mapped.
    static OURS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];
    static LOST: AtomicUsize = AtomicUsize::new(0);

    fn lost_at(address: usize) -> Option<usize> {
        let starts = OURS.iter().map(|start| start.load(Ordering::SeqCst));
        let start = starts
            .filter(|start| *start != 0)
            .find(|start| (*start..start.wrapping_add(LEN)).contains(&address))?;
        LOST.fetch_add(1, Ordering::SeqCst);
        start.checked_add(LEN)
    }

    /// Names what a process started by a test does; unset in the tests.
    const ROLE: &str = "TRAPLINE_TARGET_BUS_ROLE";
    /// How a former handler ends the process.
    const HANDLED: c_int = 42;

    extern "C" fn end(_: c_int) {
        // SAFETY: ends the process at once, which a handler may do.
        unsafe { libc::_exit(HANDLED) };
    }

    extern "C" fn end_if_told(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        if !info.is_null() && !context.is_null() {
            end(libc::SIGBUS);
        }
    }

    fn action(handler: usize, flags: c_int) -> libc::sigaction {
        libc::sigaction { sa_sigaction: handler, sa_flags: flags, ..default_action() }
    }

    /// A file of four pages without a name, and its mapping.
    fn mapped(name: &str) -> (File, &'static [u8]) {
        let path = std::env::temp_dir().join(format!("trapline-{name}-{}", std::process::id()));
        std::fs::write(&path, [1; LEN]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (nowhere, how) = (ptr::null_mut(), libc::MAP_PRIVATE);
        // SAFETY: makes a new mapping where there was none.
        let at = unsafe { libc::mmap(nowhere, LEN, libc::PROT_READ, how, file.as_raw_fd(), 0) };
        assert_ne!(at, libc::MAP_FAILED);
        // SAFETY: mapped for reading, and never undone.
        (file, unsafe { std::slice::from_raw_parts(at.cast(), LEN) })
    }

    fn mapped_for_us(name: &str) -> (File, &'static [u8]) {
        let (file, bytes) = mapped(name);
        let start = bytes.as_ptr().addr();
        let enter = |place: &&AtomicUsize| {
            place.compare_exchange(0, start, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        OURS.iter().find(enter).expect("there are more places than tests need");
        survive_lost_pages(lost_at);
        (file, bytes)
    }

    /// Reads a lost page of a mapping of ours, which must pass.
    fn lose_ours() {
        let (file, bytes) = mapped_for_us("ours");
        assert!(bytes.iter().all(|&byte| byte == 1));
        file.set_len(PAGE).unwrap();
        let before = LOST.load(Ordering::SeqCst);
        assert_eq!(black_box(bytes)[PAGE as usize - 1], 1);
        assert!(black_box(bytes)[PAGE as usize..].iter().all(|&byte| byte == 0));
        assert!(LOST.load(Ordering::SeqCst) > before);
    }

    /// Reads a lost page of a mapping that is not ours.
    fn lose_foreign() {
        let (file, bytes) = mapped("foreign");
        file.set_len(0).unwrap();
        black_box(black_box(bytes)[0]);
    }

    fn send() {
        // SAFETY: sends a signal to this thread.
        unsafe { libc::raise(libc::SIGBUS) };
    }

    /// Runs the named test again in a process of its own, with a role to play.
    fn play(test: &str, role: &str) -> ExitStatus {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let name = format!("linux::sys::lost_pages::tests::{test}");
        again.args([&name, "--exact", "--nocapture"]).env(ROLE, role).output().unwrap().status
    }

    /// What a process started by a test is to live through.
    struct Role {
        name: &'static str,
        /// What is to happen at a `SIGBUS` before ours is installed.
        before: Option<libc::sigaction>,
        /// What happens after a page of ours was lost.
        then: fn(),
        /// Part of how its end is told.
        end: &'static str,
    }

    fn roles() -> Vec<Role> {
        let plain = action((end as Handler as *const c_void).expose_provenance(), 0);
        let told = (end_if_told as HandlerWithInfo as *const c_void).expose_provenance();
        let told = Some(action(told, libc::SA_SIGINFO));
        let (default, ignored) = (action(libc::SIG_DFL, 0), action(libc::SIG_IGN, 0));
        let (plain, default, ignored) = (Some(plain), Some(default), Some(ignored));
        let role = |name, before, then, end| Role { name, before, then, end };
        vec![
            role("as found, fault", None, lose_foreign, "SIGBUS"),
            role("default, fault", default, lose_foreign, "SIGBUS"),
            role("default, sent", default, send, "SIGBUS"),
            role("ignored, fault", ignored, lose_foreign, "SIGBUS"),
            role("ignored, sent", ignored, send, "exit status: 0"),
            role("handled, fault", plain, lose_foreign, "exit status: 42"),
            role("handled, sent", plain, send, "exit status: 42"),
            role("handled with information, fault", told, lose_foreign, "exit status: 42"),
            role("handled with information, sent", told, send, "exit status: 42"),
        ]
    }

    #[test]
    fn every_other_bus_error_does_what_it_did() {
        const TEST: &str = "every_other_bus_error_does_what_it_did";
        let Ok(playing) = std::env::var(ROLE) else {
            for role in roles() {
                let status = play(TEST, role.name).to_string();
                assert!(status.contains(role.end), "{}: {status}", role.name);
            }
            return;
        };
        let mut all = roles().into_iter();
        let role = all.find(|role| role.name == playing).expect("the role is known");
        role.before.iter().for_each(set_action);
        lose_ours();
        (role.then)();
    }

    #[test]
    fn a_lost_page_is_read_as_zeros_and_leaves_errno_alone() {
        let (file, bytes) = mapped_for_us("errno");
        file.set_len(0).unwrap();
        let error = std::fs::remove_file("/no/such").unwrap_err().raw_os_error();
        assert_eq!(black_box(bytes)[0], 0);
        assert_eq!(io::Error::last_os_error().raw_os_error(), error);
    }

    #[test]
    fn many_threads_may_lose_the_same_pages() {
        for _ in 0..20 {
            let (file, bytes) = mapped_for_us("threads");
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    let read = || (0..LEN).rev().all(|at| black_box(bytes)[at] <= 1);
                    scope.spawn(move || assert!(read()));
                }
                file.set_len(0).unwrap();
            });
            assert_eq!(black_box(bytes)[0], 0);
        }
    }
}
