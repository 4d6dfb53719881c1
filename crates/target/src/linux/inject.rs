//! System calls run by a stopped thread of the debuggee, after which it is as
//! it was: registers, interrupted call, signals.
//!
//! The thread executes one `syscall` instruction by a single step, with all
//! signals blocked but the step's own `SIGTRAP`. It ends in the signal-delivery
//! stop of that step, whatever stop it was in.

use trapline_core::stop::Signal;
use trapline_core::target::{Protection, Result, Stopped, TargetError};
use trapline_core::x64::Registers;
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

use super::processes;
use super::signals::Sleeper;
use super::sys::{self, Errno, PAGE, Sys};
use super::threads::{KernelStop, State, Thread};
use super::wait::{self, Status, Stop, Trap};
use super::{LinuxTarget, failed, registers};
use crate::layout::registers as layout;

const SYS_MMAP: u64 = 9;
const SYS_MUNMAP: u64 = 11;
/// The `syscall` instruction.
pub(super) const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Results from here up are negated error numbers.
const FIRST_ERROR: u64 = -4095_i64 as u64;
/// `orig_rax` of a thread that is in no system call.
const NO_CALL: u64 = u64::MAX;
/// Every signal but `SIGTRAP`, which the kernel would unblock by force,
/// dropping the program's own handler for it.
const ALL_BUT_TRAP: u64 = !(1 << (Signal::TRAP.0 - 1));

impl LinuxTarget {
    pub(super) fn map_memory(
        &mut self,
        proof: &Stopped,
        addr: VirtAddr,
        len: u64,
        protection: Protection,
    ) -> Result<()> {
        let what = format!("allocate {len} bytes at {addr}");
        let refuse = |why: String| TargetError::Refused { what: what.clone(), why };
        let whole_pages = addr.get().is_multiple_of(PAGE) && len.is_multiple_of(PAGE);
        if !whole_pages || len == 0 {
            return Err(refuse("it is not made of whole pages".to_owned()));
        }
        if let Some(hazard) = processes::system_call_filter(proof.pid(), proof.tid()) {
            return Err(refuse(hazard));
        }
        let protection = match protection {
            Protection::Code => libc::PROT_READ | libc::PROT_EXEC,
            Protection::Data => libc::PROT_READ | libc::PROT_WRITE,
            Protection::All => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let [protection, flags] = [protection, flags].map(|bits| u64::from(bits.cast_unsigned()));
        let arguments = [addr.get(), len, protection, flags, u64::MAX, 0];
        let got = self.remote_call(proof, SYS_MMAP, arguments, &what)?;
        if got == addr.get() {
            return Ok(());
        }
        // A kernel before 4.17 takes the address for a hint.
        self.remote_call(proof, SYS_MUNMAP, [got, len, 0, 0, 0, 0], &what)?;
        Err(refuse("the place is taken".to_owned()))
    }

    pub(super) fn unmap_memory(&mut self, proof: &Stopped, range: AddrRange) -> Result<()> {
        let what = format!("release {range}");
        if let Some(why) = processes::system_call_filter(proof.pid(), proof.tid()) {
            return Err(TargetError::Refused { what, why });
        }
        let arguments = [range.start.get(), range.len(), 0, 0, 0, 0];
        self.remote_call(proof, SYS_MUNMAP, arguments, &what).map(|_| ())
    }

    /// Runs one system call; an error of the call itself is a refusal.
    fn remote_call(
        &mut self,
        proof: &Stopped,
        number: u64,
        arguments: [u64; 6],
        what: &str,
    ) -> Result<u64> {
        let instruction = self.syscall_instruction(proof.pid())?;
        let tid = proof.tid();
        let thread = self.books.stopped(proof).ok_or(TargetError::Gone)?;
        if thread.at == KernelStop::Exit || thread.before_call {
            return Err(TargetError::Gone);
        }
        if let Some(child) = thread.vfork_child {
            let why = format!("thread {tid} waits for process {child}, which borrows its memory");
            return Err(TargetError::Refused { what: what.to_owned(), why });
        }
        let call = Call { instruction, number, arguments };
        let sleeper = &self.sleeper;
        let outcome = run_and_restore(sleeper, tid, thread, &call);
        let result = match outcome {
            Ok(result) => result,
            Err(Failure::System(errno)) => {
                if errno == Errno::SRCH {
                    thread.state = State::Exiting;
                }
                return Err(failed(what, errno));
            }
            Err(Failure::Dying) => {
                thread.state = State::Exiting;
                // It may have left its exit stop already.
                let _gone = sys::cont(tid.get(), 0);
                return Err(TargetError::Gone);
            }
            Err(Failure::Ended(status)) => {
                thread.state = State::Exiting;
                self.statuses.push_back((tid.get(), status));
                return Err(TargetError::Gone);
            }
            Err(Failure::Strange(how)) => {
                return Err(TargetError::Broken(format!("thread {tid}: {how}")));
            }
        };
        if result >= FIRST_ERROR {
            let errno = Errno(i32::try_from(result.wrapping_neg()).unwrap_or_default());
            return Err(TargetError::Refused { what: what.to_owned(), why: errno.to_string() });
        }
        Ok(result)
    }

    /// A `syscall` instruction that the process has: the kernel's own shared
    /// page always contains one.
    fn syscall_instruction(&mut self, pid: Pid) -> Result<u64> {
        let process = self.books.processes.get(&pid).ok_or(TargetError::Gone)?;
        if let Some(known) = process.syscall_instruction {
            return Ok(known);
        }
        let regions = self.read_map(pid)?;
        let vdso = regions.iter().filter(|region| region.name == "[vdso]");
        let code = regions.iter().filter(|region| region.execute && region.name != "[vdso]");
        let found = vdso.chain(code).find_map(|region| self.find_syscall(pid, region.range));
        let found = found.ok_or_else(|| TargetError::Refused {
            what: "run a system call in the program".to_owned(),
            why: "its memory holds no syscall instruction".to_owned(),
        })?;
        self.books.processes.entry(pid).and_modify(|p| p.syscall_instruction = Some(found));
        Ok(found)
    }

    fn find_syscall(&self, pid: Pid, range: AddrRange) -> Option<u64> {
        /// A program's own code may be large, and has the bytes early or never.
        const LIMIT: u64 = 1 << 20;
        let len = usize::try_from(range.len().min(LIMIT)).ok()?;
        let mut code = vec![0; len];
        let read = self.read(pid, range.start, &mut code);
        let offset = code[..read].windows(2).position(|bytes| bytes == SYSCALL)?;
        Some(range.start.get() + offset as u64)
    }
}

struct Call {
    instruction: u64,
    number: u64,
    arguments: [u64; 6],
}

enum Failure {
    System(Errno),
    /// The thread is in the stop of its exit.
    Dying,
    /// The thread is gone; its status is still to be handled.
    Ended(i32),
    Strange(String),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

fn run_and_restore(
    sleeper: &Sleeper,
    tid: Tid,
    thread: &mut Thread,
    call: &Call,
) -> CallResult<u64> {
    let mask = sys::signal_mask(tid.get())?;
    sys::set_signal_mask(tid.get(), ALL_BUT_TRAP)?;
    // What a trap of the program's own says is in no books, but in its stop.
    let told = match (thread.at, thread.signal) {
        (KernelStop::Delivery, None) => Some(sys::siginfo(tid.get())?),
        _ => None,
    };
    let before = settled_registers(sleeper, tid, thread)?;
    let result = write_call(tid, &before, call).map_err(Failure::from).and_then(|()| {
        step_over(sleeper, tid, thread)?;
        check_end(tid, call)
    });
    sys::set_signal_mask(tid.get(), mask)?;
    sys::set_registers(tid.get(), &layout::to_words(&before))?;
    thread.registers = Some(before);
    thread.registers_changed = false;
    thread.at = KernelStop::Delivery;
    thread.signal_lost = true;
    if let Some(told) = told.filter(|_| result.is_ok()) {
        sys::set_siginfo(tid.get(), &told)?;
    }
    result
}

/// The registers to come back to. An event stop lies inside a system call,
/// whose result the kernel writes over `rax` when the thread goes on; so that
/// call is brought to its end first, which executes no instruction.
fn settled_registers(sleeper: &Sleeper, tid: Tid, thread: &mut Thread) -> CallResult<Registers> {
    if thread.at == KernelStop::Event {
        registers::flush(tid, thread)?;
        step_over(sleeper, tid, thread)?;
        thread.at = KernelStop::Delivery;
        thread.step_is_over = thread.steps_over_call;
    }
    Ok(registers::cached(tid, thread)?)
}

type CallResult<T> = std::result::Result<T, Failure>;

fn write_call(tid: Tid, before: &Registers, call: &Call) -> Sys<()> {
    let mut registers = *before;
    let [rdi, rsi, rdx, r10, r8, r9] = call.arguments;
    registers.general[0] = call.number;
    registers.general[2] = rdx;
    registers.general[6] = rsi;
    registers.general[7] = rdi;
    registers.general[8] = r8;
    registers.general[9] = r9;
    registers.general[10] = r10;
    registers.rip = call.instruction;
    registers.orig_rax = NO_CALL;
    sys::set_registers(tid.get(), &layout::to_words(&registers))
}

/// Steps until the step's own trap. What else stops the thread meanwhile is an
/// interrupt that another stop had overtaken, or a signal that cannot be
/// blocked, which is kept for later.
fn step_over(sleeper: &Sleeper, tid: Tid, thread: &mut Thread) -> CallResult<()> {
    loop {
        sys::step(tid.get(), 0)?;
        let status = sleeper.wait_for(thread.pid, tid)?;
        match wait::decode(status) {
            Status::Stopped(Stop::Trap) => thread.group_stop = None,
            Status::Stopped(Stop::Group(signal)) => thread.group_stop = Some(signal),
            Status::Stopped(Stop::Signal(signal)) => {
                let info = sys::siginfo(tid.get())?;
                if signal == Signal::TRAP && wait::trap(&info) != Trap::Sent {
                    return Ok(());
                }
                thread.deferred.push_back(info);
            }
            Status::Stopped(Stop::Exit) => return Err(Failure::Dying),
            Status::Ended(_) => return Err(Failure::Ended(status)),
            other => return Err(Failure::Strange(format!("{other:?} in a call of ours"))),
        }
    }
}

fn check_end(tid: Tid, call: &Call) -> CallResult<u64> {
    let after = registers::read(tid)?;
    if after.rip == call.instruction + SYSCALL.len() as u64 {
        return Ok(after.rax());
    }
    Err(Failure::Strange(format!("at {:#x} after a call at {:#x}", after.rip, call.instruction)))
}
