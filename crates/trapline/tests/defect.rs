//! A defect of our own in the middle of a session: the debugger's thread
//! panics, and a program it was attached to goes on with clean text.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use support::{PATIENCE, eventually, is_untouched, loops, running};
use trapline::command::ValueFormat;
use trapline::{Command, Event, SessionHandle};
use trapline_core::stop::{Signal, SignalInfo};
use trapline_core::target::*;
use trapline_core::x64::debug::{DebugRegisters, DebugStatus};
use trapline_core::x64::{Registers, VectorState};
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};
use trapline_target::linux::{LinuxTarget, block_signals};
use trapline_testkit::{Debuggee, leaks};

/// A target that panics when asked for the machine's name.
struct Faulty(LinuxTarget);

macro_rules! delegate {
    ($(fn $name:ident(&self $(, $arg:ident: $ty:ty)*) $(-> $out:ty)?;)*) => {
        $(fn $name(&self $(, $arg: $ty)*) $(-> $out)? { self.0.$name($($arg),*) })*
    };
}

macro_rules! delegate_mut {
    ($(fn $name:ident(&mut self $(, $arg:ident: $ty:ty)*) $(-> $out:ty)?;)*) => {
        $(fn $name(&mut self $(, $arg: $ty)*) $(-> $out)? { self.0.$name($($arg),*) })*
    };
}

impl Target for Faulty {
    fn machine_name(&self) -> String {
        panic!("a defect, on purpose");
    }

    delegate! {
        fn capabilities(&self) -> Capabilities;
        fn waker(&self) -> Arc<dyn Waker>;
        fn find_program(&self, program: &Path) -> Result<PathBuf>;
        fn read_memory(&self, pid: Pid, addr: VirtAddr, buf: &mut [u8]) -> usize;
        fn memory_map(&self, pid: Pid) -> Result<Vec<Region>>;
        fn process_info(&self, pid: Pid) -> Result<ProcessInfo>;
        fn thread_name(&self, pid: Pid, tid: Tid) -> Result<String>;
        fn allocation_hazard(&self, thread: &Stopped) -> Option<String>;
    }

    delegate_mut! {
        fn launch(&mut self, spec: &LaunchSpec) -> Result<Pid>;
        fn attach(&mut self, pid: Pid) -> Result<Vec<Tid>>;
        fn next_event(&mut self, wait: Wait) -> Result<Option<TargetEvent>>;
        fn interrupt(&mut self, pid: Pid, tid: Tid) -> Result<()>;
        fn resume(&mut self, thread: Stopped, how: Resume) -> Result<()>;
        fn detach(&mut self, thread: Stopped, signal: Option<Signal>) -> Result<()>;
        fn kill(&mut self, pid: Pid) -> Result<()>;
        fn registers(&mut self, thread: &Stopped) -> Result<Registers>;
        fn set_registers(&mut self, thread: &Stopped, registers: &Registers) -> Result<()>;
        fn vector_state(&mut self, thread: &Stopped) -> Result<VectorState>;
        fn set_vector_state(&mut self, thread: &Stopped, state: &VectorState) -> Result<()>;
        fn set_debug_registers(&mut self, thread: &Stopped, to: &DebugRegisters) -> Result<()>;
        fn starts_over_at(&mut self, thread: &Stopped, signal: Option<Signal>) -> Option<VirtAddr>;
        fn move_to_copy(&mut self, thread: &Stopped, registers: &Registers) -> Result<()>;
        fn set_signal_origin(
            &mut self,
            thread: &Stopped,
            from: VirtAddr,
            to: VirtAddr
        ) -> Result<Option<SignalInfo>>;
        fn take_debug_status(&mut self, thread: &Stopped) -> Result<DebugStatus>;
        fn defer_signal(&mut self, thread: &Stopped) -> Result<()>;
        fn write_memory(&mut self, pid: Pid, addr: VirtAddr, bytes: &[u8]) -> Result<()>;
        fn allocate(
            &mut self,
            thread: &Stopped,
            addr: VirtAddr,
            len: u64,
            protection: Protection
        ) -> Result<()>;
        fn release(&mut self, thread: &Stopped, range: AddrRange) -> Result<()>;
    }
}

/// Attaches with a breakpoint in the way of running threads and provokes the
/// defect, again and again.
#[track_caller]
fn check(provoke: impl Fn(&SessionHandle, &Debuggee)) {
    block_signals();
    let debuggee = Debuggee::build("idle_threads");
    let program = running(&debuggee, &["4", "busy", "600"]);
    let pid = program.pid();
    let before = leaks::mappings(pid);
    for _ in 0..loops(100) {
        let (session, events) =
            trapline_engine::spawn(|| Ok(Box::new(Faulty(LinuxTarget::new()?)))).unwrap();
        session.request(Command::Attach(pid)).unwrap();
        set(&session, &format!("-hits '== 1000000000' {}", debuggee.mark("busy").spec()));
        provoke(&session, &debuggee);
        let told = std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok())
            .any(|event| matches!(event, Event::Warning(text) if text.contains("defect")));
        assert!(told);
        drop(session);
        eventually("no tracer", || leaks::tracer(pid).is_none().then_some(()));
        is_untouched(pid, &before);
    }
}

fn set(session: &SessionHandle, place: &str) {
    session.request(Command::Break(trapline::spec::code(place).unwrap())).unwrap();
}

#[test]
fn a_panic_of_ours_leaves_an_attached_program_clean() {
    check(|session, _| {
        session.request(Command::Continue).unwrap();
        session.request(Command::Interrupt).unwrap();
        let asked =
            Command::Print { expression: "$_machine".to_owned(), format: ValueFormat::default() };
        let failed = session.request(asked);
        assert!(failed.is_err(), "{failed:?}");
    });
}

#[test]
fn a_panic_of_ours_in_the_middle_of_a_hit_leaves_an_attached_program_clean() {
    check(|session, debuggee| {
        set(session, &format!("-log '$MACHINE' {}", debuggee.mark("busy").spec()));
        session.request(Command::Continue).unwrap();
    });
}
