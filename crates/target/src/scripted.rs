//! A target without a system: it hands out the events of a script, keeps fake
//! memory and registers, and writes down what it was asked to do. For tests of
//! what stands above a target.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trapline_core::stop::{ExitStatus, Signal, StopCause};
use trapline_core::target::{
    Capabilities, LaunchSpec, ProcessInfo, Protection, Region, Result, Resume, Stopped, Target,
    TargetError, TargetEvent, Wait, Waker,
};
use trapline_core::x64::debug::{DebugRegisters, DebugStatus};
use trapline_core::x64::{Registers, VectorState};
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

/// What comes next in a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A thread stops, with these registers.
    Stop {
        /// Its process.
        pid: Pid,
        /// The thread, which must not be stopped already.
        tid: Tid,
        /// Why.
        cause: StopCause,
        /// What its registers are then; boxed because they are large.
        registers: Box<Registers>,
    },
    /// A thread exits.
    ThreadExit(Pid, Tid),
    /// A process exits.
    ProcessExit(Pid, ExitStatus),
}

/// Something that a target was asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is the call of Target by that name")]
pub enum Call {
    Launch(PathBuf),
    Attach(Pid),
    Interrupt(Tid),
    Resume(Tid, Resume),
    Detach(Tid, Option<Signal>),
    Kill(Pid),
    SetRegisters(Tid, Box<Registers>),
    SetDebugRegisters(Tid, DebugRegisters),
    DeferSignal(Tid),
    Write(Pid, VirtAddr, Vec<u8>),
    Allocate(Pid, VirtAddr, u64, Protection),
    Release(Pid, AddrRange),
}

/// The target. Everything is public that a test may want to arrange or see.
#[derive(Debug, Default)]
pub struct ScriptedTarget {
    /// The events to come.
    pub script: VecDeque<Step>,
    /// What was asked, in order.
    pub calls: Vec<Call>,
    /// The bytes at each mapped address of each process.
    pub memory: BTreeMap<Pid, BTreeMap<u64, u8>>,
    /// The registers of each thread.
    pub registers: BTreeMap<Tid, Registers>,
    /// What [`Target::process_info`] says.
    pub processes: BTreeMap<Pid, ProcessInfo>,
    /// What [`Target::memory_map`] says.
    pub maps: BTreeMap<Pid, Vec<Region>>,
    stopped: BTreeSet<Tid>,
}

struct NoWaker;

impl Waker for NoWaker {
    fn wake(&self) {}
}

impl ScriptedTarget {
    /// Adds a stop to the script.
    pub fn then_stop(&mut self, pid: Pid, tid: Tid, cause: StopCause, registers: Registers) {
        self.script.push_back(Step::Stop { pid, tid, cause, registers: Box::new(registers) });
    }

    /// Adds a process's exit to the script.
    pub fn then_exit(&mut self, pid: Pid, status: ExitStatus) {
        self.script.push_back(Step::ProcessExit(pid, status));
    }

    /// Maps bytes into a process.
    pub fn map(&mut self, pid: Pid, addr: VirtAddr, bytes: &[u8]) {
        let memory = self.memory.entry(pid).or_default();
        memory.extend((addr.get()..).zip(bytes.iter().copied()));
    }

    fn require(&self, thread: &Stopped) -> Result<Tid> {
        self.stopped.contains(&thread.tid()).then_some(thread.tid()).ok_or(TargetError::Gone)
    }
}

impl Target for ScriptedTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            hardware_slots: 4,
            can_run: true,
            can_allocate: true,
            can_launch: true,
            can_attach: true,
            raised_priority: true,
        }
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::new(NoWaker)
    }

    fn find_program(&self, program: &Path) -> Result<PathBuf> {
        Ok(program.to_owned())
    }

    fn launch(&mut self, spec: &LaunchSpec) -> Result<Pid> {
        self.calls.push(Call::Launch(spec.program.clone()));
        match self.script.front() {
            Some(Step::Stop { pid, .. }) => Ok(*pid),
            _ => Err(TargetError::Broken("the script does not begin with a stop".to_owned())),
        }
    }

    fn attach(&mut self, pid: Pid) -> Result<Vec<Tid>> {
        self.calls.push(Call::Attach(pid));
        let of = |step: &Step| match step {
            Step::Stop { pid: of, tid, cause: StopCause::Started, .. } if *of == pid => Some(*tid),
            _ => None,
        };
        Ok(self.script.iter().map_while(of).collect())
    }

    fn next_event(&mut self, _wait: Wait) -> Result<Option<TargetEvent>> {
        Ok(match self.script.pop_front() {
            None => None,
            Some(Step::Stop { pid, tid, cause, registers }) => {
                if !self.stopped.insert(tid) {
                    return Err(TargetError::Broken(format!("thread {tid} is stopped already")));
                }
                self.registers.insert(tid, *registers);
                Some(TargetEvent::Stopped { thread: Stopped::by_target(pid, tid), cause })
            }
            Some(Step::ThreadExit(pid, tid)) => {
                self.stopped.remove(&tid);
                Some(TargetEvent::ThreadExited { pid, tid })
            }
            Some(Step::ProcessExit(pid, status)) => {
                self.stopped.remove(&pid.leader());
                self.memory.remove(&pid);
                Some(TargetEvent::ProcessExited { pid, status })
            }
        })
    }

    fn interrupt(&mut self, _pid: Pid, tid: Tid) -> Result<()> {
        self.calls.push(Call::Interrupt(tid));
        Ok(())
    }

    fn resume(&mut self, thread: Stopped, how: Resume) -> Result<()> {
        let tid = self.require(&thread)?;
        self.stopped.remove(&tid);
        self.calls.push(Call::Resume(tid, how));
        Ok(())
    }

    fn detach(&mut self, thread: Stopped, signal: Option<Signal>) -> Result<()> {
        let tid = self.require(&thread)?;
        self.stopped.remove(&tid);
        self.calls.push(Call::Detach(tid, signal));
        Ok(())
    }

    fn kill(&mut self, pid: Pid) -> Result<()> {
        self.calls.push(Call::Kill(pid));
        Ok(())
    }

    fn registers(&mut self, thread: &Stopped) -> Result<Registers> {
        let tid = self.require(thread)?;
        self.registers.get(&tid).copied().ok_or(TargetError::Gone)
    }

    fn set_registers(&mut self, thread: &Stopped, registers: &Registers) -> Result<()> {
        let tid = self.require(thread)?;
        self.registers.insert(tid, *registers);
        self.calls.push(Call::SetRegisters(tid, Box::new(*registers)));
        Ok(())
    }

    fn vector_state(&mut self, thread: &Stopped) -> Result<VectorState> {
        self.require(thread)?;
        Ok(VectorState { xmm: [[0; 16]; 16], x87: [[0; 16]; 8], mxcsr: 0x1f80 })
    }

    fn set_vector_state(&mut self, _thread: &Stopped, _state: &VectorState) -> Result<()> {
        Err(TargetError::Unsupported("change vector registers"))
    }

    fn set_debug_registers(&mut self, thread: &Stopped, to: &DebugRegisters) -> Result<()> {
        let tid = self.require(thread)?;
        self.calls.push(Call::SetDebugRegisters(tid, *to));
        Ok(())
    }

    fn take_debug_status(&mut self, thread: &Stopped) -> Result<DebugStatus> {
        self.require(thread)?;
        Ok(DebugStatus::default())
    }

    fn defer_signal(&mut self, thread: &Stopped) -> Result<()> {
        let tid = self.require(thread)?;
        self.calls.push(Call::DeferSignal(tid));
        Ok(())
    }

    fn read_memory(&self, pid: Pid, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let Some(memory) = self.memory.get(&pid) else { return 0 };
        let mut read = 0;
        for (at, byte) in (addr.get()..).zip(buf) {
            let Some(mapped) = memory.get(&at) else { break };
            *byte = *mapped;
            read += 1;
        }
        read
    }

    fn write_memory(&mut self, pid: Pid, addr: VirtAddr, bytes: &[u8]) -> Result<()> {
        let memory = self.memory.get_mut(&pid).ok_or(TargetError::Gone)?;
        let range = AddrRange::sized(addr, bytes.len() as u64);
        let missing = (range.start.get()..range.end.get()).find(|at| !memory.contains_key(at));
        if let Some(at) = missing {
            return Err(TargetError::Unmapped { addr: VirtAddr::new(at) });
        }
        memory.extend((addr.get()..).zip(bytes.iter().copied()));
        self.calls.push(Call::Write(pid, addr, bytes.to_vec()));
        Ok(())
    }

    fn memory_map(&self, pid: Pid) -> Result<Vec<Region>> {
        self.maps.get(&pid).cloned().ok_or(TargetError::Gone)
    }

    fn allocate(
        &mut self,
        thread: &Stopped,
        addr: VirtAddr,
        len: u64,
        protection: Protection,
    ) -> Result<()> {
        self.require(thread)?;
        let memory = self.memory.entry(thread.pid()).or_default();
        let range = AddrRange::sized(addr, len);
        if memory.range(range.start.get()..range.end.get()).next().is_some() {
            let what = format!("allocate {range}");
            return Err(TargetError::Refused { what, why: "the place is taken".to_owned() });
        }
        memory.extend((range.start.get()..range.end.get()).map(|at| (at, 0)));
        self.calls.push(Call::Allocate(thread.pid(), addr, len, protection));
        Ok(())
    }

    fn release(&mut self, thread: &Stopped, range: AddrRange) -> Result<()> {
        self.require(thread)?;
        let memory = self.memory.entry(thread.pid()).or_default();
        memory.retain(|at, _| !range.contains(VirtAddr::new(*at)));
        self.calls.push(Call::Release(thread.pid(), range));
        Ok(())
    }

    fn process_info(&self, pid: Pid) -> Result<ProcessInfo> {
        self.processes.get(&pid).cloned().ok_or(TargetError::Gone)
    }

    fn thread_name(&self, _pid: Pid, tid: Tid) -> Result<String> {
        Ok(format!("thread-{tid}"))
    }

    fn machine_name(&self) -> String {
        "scripted".to_owned()
    }

    fn allocation_hazard(&self, _thread: &Stopped) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: Pid = Pid::new(7);
    const CODE: VirtAddr = VirtAddr::new(0x1000);

    #[test]
    fn a_script_plays_in_order_and_calls_are_kept() {
        let mut target = ScriptedTarget::default();
        target.map(PID, CODE, &[0x90; 4]);
        let registers = Registers { rip: 0x1001, ..Registers::default() };
        target.then_stop(PID, PID.leader(), StopCause::Breakpoint, registers);
        target.then_exit(PID, ExitStatus::Exited(0));
        let Ok(Some(TargetEvent::Stopped { thread, cause })) = target.next_event(Wait::Block)
        else {
            panic!("no stop");
        };
        assert_eq!(cause, StopCause::Breakpoint);
        assert_eq!(target.registers(&thread), Ok(registers));
        target.write_memory(PID, CODE, &[0xcc]).unwrap();
        let past = CODE.wrapping_add(4);
        let refused = target.write_memory(PID, CODE, &[0; 5]);
        assert_eq!(refused, Err(TargetError::Unmapped { addr: past }));
        let mut bytes = [0; 8];
        assert_eq!(target.read_memory(PID, CODE, &mut bytes), 4);
        assert_eq!(bytes[..4], [0xcc, 0x90, 0x90, 0x90]);
        target.resume(thread, Resume::RUN).unwrap();
        let end = TargetEvent::ProcessExited { pid: PID, status: ExitStatus::Exited(0) };
        assert_eq!(target.next_event(Wait::Block), Ok(Some(end)));
        assert_eq!(
            target.calls,
            [Call::Write(PID, CODE, vec![0xcc]), Call::Resume(PID.leader(), Resume::RUN)]
        );
    }
}
