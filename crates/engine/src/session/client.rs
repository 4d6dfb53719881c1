//! A session of a client that decides itself what runs and what is looked at:
//! its rules, its threads, and what it asks of them. Its points are left to
//! `points`.

use std::collections::BTreeMap;

use trapline_core::memory::ReadMemory;
use trapline_core::stop::Signal;
use trapline_core::target::{ProcessInfo, Region, Stopped, Target, TargetError, Wait};
use trapline_core::x64::Registers;
use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

use super::allocations::Allocations;
use super::locking::Runners;
use super::points::Points;
use super::run::Verdict;
use super::{Motion, Session};
use crate::client::{ClientRules, Order, Start, Stride, ThreadKey};
use crate::command::{Command, CommandError, Reply};
use crate::event::{FrameInfo, StopReason};
use crate::process::{Origin, Process, Step};
use crate::tls;

/// The books of a client.
#[derive(Default)]
pub(super) struct Client {
    pub(super) rules: ClientRules,
    pub(super) points: Points,
    /// Programs that a process still executes before it is the one that is
    /// meant.
    execs_to_come: u32,
    /// Memory that it has made.
    pub(super) allocations: Allocations,
    /// The system calls at which processes stop; all when there are none.
    calls: BTreeMap<Pid, Vec<u64>>,
}

fn gone() -> CommandError {
    CommandError::new("the thread or process is gone")
}

/// Rules, and what they make of events.
impl Session {
    pub(crate) fn serve_client(&mut self, rules: ClientRules) {
        self.runners = Runners::Unparked;
        if self.client.is_none() {
            self.pass_signals_for_client(&[]);
        }
        self.client.get_or_insert_default().rules = rules;
    }

    fn rules(&self) -> Option<&ClientRules> {
        self.client.as_ref().map(|client| &client.rules)
    }

    pub(super) fn is_non_stop(&self) -> bool {
        self.rules().is_some_and(|rules| rules.non_stop)
    }

    pub(super) fn tells_fork(&self, vfork: bool) -> bool {
        self.rules().is_some_and(|rules| if vfork { rules.vforks } else { rules.forks })
    }

    /// What becomes of the parent of a new process.
    pub(super) fn fork_told(&self, told: bool, child: Pid, vfork: bool) -> Verdict {
        match told {
            true => Verdict::Report(vec![StopReason::Forked { child, vfork }]),
            false => Verdict::GoOn,
        }
    }

    pub(super) fn vfork_done_told(&self, parent: Pid) -> Verdict {
        let debuggee = self.processes.get(&parent).is_some_and(Process::is_debuggee);
        match debuggee && self.tells_fork(true) {
            true => Verdict::Report(vec![StopReason::VforkDone]),
            false => Verdict::GoOn,
        }
    }

    /// A process has become another program, where the client's points mean
    /// nothing any more.
    pub(super) fn exec_told(&mut self, pid: Pid) -> Verdict {
        let Some(client) = &mut self.client else { return Verdict::GoOn };
        if client.execs_to_come > 0 {
            client.execs_to_come -= 1;
            return if client.execs_to_come == 0 { Verdict::Stay } else { Verdict::GoOn };
        }
        let told = client.rules.execs;
        self.forget_points_of_dead_spaces();
        match told && self.processes.get(&pid).is_some_and(Process::is_debuggee) {
            true => Verdict::Report(vec![StopReason::Executed]),
            false => Verdict::GoOn,
        }
    }

    pub(super) fn birth_told(&self, pid: Pid, tid: Tid) -> Verdict {
        let is_leader = tid == pid.leader();
        match self.rules().is_some_and(|rules| rules.births) && !is_leader {
            true => Verdict::Report(vec![StopReason::Born]),
            false => Verdict::GoOn,
        }
    }

    pub(super) fn judge_call(&self, pid: Pid, entry: bool, number: u64) -> Verdict {
        let caught = self.client.as_ref().and_then(|client| client.calls.get(&pid));
        match caught.is_some_and(|numbers| numbers.is_empty() || numbers.contains(&number)) {
            true => Verdict::Report(vec![StopReason::SystemCall { entry, number }]),
            false => Verdict::GoOn,
        }
    }

    pub(crate) fn catch_calls_for_client(
        &mut self,
        pid: Pid,
        numbers: Option<Vec<u64>>,
    ) -> Result<(), CommandError> {
        self.target.catch_system_calls(pid, numbers.is_some())?;
        let Some(client) = &mut self.client else { return Ok(()) };
        match numbers {
            Some(numbers) => client.calls.insert(pid, numbers),
            None => client.calls.remove(&pid),
        };
        Ok(())
    }

    /// A client that has a thread step wants to be asked about every signal: it
    /// may step into the handler, or over it.
    pub(super) fn decides_on_signals_while_it_steps(&mut self, pid: Pid, tid: Tid) -> bool {
        let is_clients = self.client.as_ref().is_some_and(|client| client.execs_to_come == 0);
        let Some(thread) = self.thread_mut(pid, tid).filter(|_| is_clients) else { return false };
        let steps = thread.step.is_some();
        if steps {
            thread.signal = None;
        }
        steps
    }

    /// Every other signal stops, and is the client's to pass on.
    pub(crate) fn pass_signals_for_client(&mut self, passed: &[Signal]) {
        for number in 1..=Signal::MAX.0 {
            let signal = Signal(number);
            let pass = passed.contains(&signal);
            self.signals.change(signal, Some(!pass), Some(!pass), Some(pass));
        }
    }
}

/// Reports.
impl Session {
    /// Tells of each thread that has something to tell, and parks it alone.
    pub(super) fn report_singly(&mut self) {
        while self.motion == Motion::Running && !self.chores.is_empty() {
            self.hold();
            self.let_run();
        }
        self.tell_each();
    }

    /// Tells of each thread that has something to tell, and leaves the others as
    /// they are.
    pub(super) fn tell_each(&mut self) {
        while let Some((pid, tid)) = self.take_report() {
            self.settle_slot(pid, tid);
            let breakpoints = &self.breakpoints;
            let thread = self.processes.get_mut(&pid).and_then(|it| it.threads.get_mut(&tid));
            let Some(thread) = thread else { continue };
            let mut reasons = std::mem::take(&mut thread.pending);
            reasons.retain(|reason| breakpoints.still_wants(reason));
            if reasons.is_empty() {
                self.resume_thread(pid, tid);
                continue;
            }
            thread.step = None;
            thread.parked = true;
            self.emit_stop(pid, tid, reasons);
        }
    }

    /// All that runs for the client has stopped.
    pub(super) fn park_all(&mut self) {
        if self.client.is_none() {
            return;
        }
        for process in self.processes.values_mut() {
            let is_debuggee = process.is_debuggee();
            process.threads.values_mut().for_each(|thread| thread.parked = is_debuggee);
        }
    }

    /// Where a thread stands, without names.
    pub(super) fn bare_frame(&mut self, pid: Pid, tid: Tid) -> FrameInfo {
        let pc = self.program_registers(pid, tid).map(|now| VirtAddr::new(now.rip));
        FrameInfo { pc: pc.unwrap_or_default(), ..FrameInfo::default() }
    }

    /// Tells the client when all threads that it let go have ended, and parked
    /// ones are left.
    pub(super) fn tell_if_all_are_parked(&mut self) {
        if self.motion != Motion::Running || self.is_non_stop() || self.has_reports() {
            return;
        }
        let debuggees = || self.processes.values().filter(|it| it.is_debuggee());
        let mut all = debuggees().flat_map(|it| it.threads.values().map(|thread| (it.pid, thread)));
        if all.clone().any(|(_, thread)| !thread.parked) {
            return;
        }
        let Some((pid, tid)) = all.next().map(|(pid, thread)| (pid, thread.tid)) else { return };
        self.park_all();
        self.motion = Motion::Held;
        self.emit_stop(pid, tid, vec![StopReason::RunnerEnded]);
    }
}

/// What moves.
impl Session {
    pub(crate) fn client_runs(&self) -> bool {
        self.motion == Motion::Running
    }

    pub(crate) fn do_at_once(&mut self, command: Command) -> Result<Reply, CommandError> {
        let reply = self.do_command(command);
        self.report_if_due();
        reply
    }

    pub(crate) fn wait_for_news(&mut self) {
        if !self.processes.is_empty() {
            self.turn();
        }
    }

    pub(crate) fn take_news(&mut self) {
        while let Ok(Some(event)) = self.target.next_event(Wait::Poll) {
            self.take(event);
            self.report_if_due();
        }
    }

    pub(crate) fn resume_for_client(&mut self, orders: &[Order]) -> Result<(), CommandError> {
        if self.motion == Motion::Running && !self.is_non_stop() {
            return Err(CommandError::new("the program is running"));
        }
        let steps_alone = self.motion == Motion::Held
            && matches!(orders, [one] if one.stride != Stride::Run && self.is_alone(one.thread));
        if !steps_alone {
            self.drop_leaving_points();
        }
        self.runners = Runners::Unparked;
        for order in orders {
            self.obey(order);
        }
        if self.motion == Motion::Running {
            // Points that have changed are armed with everything held.
            if self.spaces.values().any(|space| space.stale) {
                self.hold();
                self.let_run();
            }
            for order in orders {
                self.resume_thread(order.thread.pid, order.thread.tid);
            }
            self.report_if_due();
        } else if self.is_non_stop() || !self.deliver() {
            self.let_run();
            self.report_if_due();
        }
        Ok(())
    }

    /// Whether no other process runs in the memory of a thread's.
    fn is_alone(&self, thread: ThreadKey) -> bool {
        let Some(process) = self.processes.get(&thread.pid) else { return false };
        self.processes.values().filter(|other| other.space == process.space).count() == 1
    }

    /// Takes note of how a thread is to go on. A thread that has something to
    /// tell tells that first.
    fn obey(&mut self, order: &Order) {
        let ThreadKey { pid, tid } = order.thread;
        let leaving = self.stands_at_leaving(pid, tid);
        let breakpoints = &self.breakpoints;
        let process = self.processes.get_mut(&pid);
        let Some(thread) = process.and_then(|it| it.threads.get_mut(&tid)) else { return };
        thread.parked = false;
        // What it stopped for and nobody was told of may be gone meanwhile.
        thread.pending.retain(|reason| breakpoints.still_wants(reason));
        if !thread.pending.is_empty() || thread.is_running() {
            return;
        }
        thread.signal = order.signal;
        thread.step = match order.stride {
            Stride::Run => None,
            Stride::Step => Some(Step::of(1, false)),
            Stride::StepWhileIn(range) => Some(Step::out_of(range)),
        };
        if leaving.is_some() {
            thread.counted_at = leaving;
        }
        if order.stride != Stride::Run {
            self.prepare_step(pid, tid);
        }
    }

    pub(crate) fn park_for_client(&mut self, threads: &[ThreadKey]) {
        let ran = self.motion == Motion::Running;
        self.hold();
        for &ThreadKey { pid, tid } in threads {
            let Some(thread) = self.thread_mut(pid, tid) else { continue };
            if !thread.parked && thread.pending.is_empty() {
                thread.pending.push(StopReason::Interrupted);
                self.report_queue.push((pid, tid));
            }
        }
        if ran {
            self.let_run();
        }
        self.report_if_due();
    }

    pub(crate) fn hold_for_client(&mut self) {
        self.hold();
        self.park_all();
    }
}

/// What comes and goes.
impl Session {
    pub(crate) fn launch_for_client(&mut self, start: &Start) -> Result<Pid, CommandError> {
        let ran = self.motion == Motion::Running;
        self.hold();
        let pid = self.target.launch(&start.spec)?;
        self.enter(pid, Origin::Launched, vec![pid.leader()]);
        self.await_stopped(pid);
        self.pass_execs(pid, start.execs);
        if !self.processes.contains_key(&pid) {
            return Err(CommandError::new("the program ended before its first instruction"));
        }
        self.park_new(pid, ran);
        Ok(pid)
    }

    /// Lets a process execute the programs that only start the one that is meant.
    fn pass_execs(&mut self, pid: Pid, execs: u32) {
        let Some(client) = &mut self.client else { return };
        client.execs_to_come = execs;
        if execs == 0 {
            return;
        }
        let others = self.signals.clone();
        let all: Vec<Signal> = (1..=Signal::MAX.0).map(Signal).collect();
        self.pass_signals_for_client(&all);
        self.motion = Motion::Running;
        self.resume_thread(pid, pid.leader());
        while self.client.as_ref().is_some_and(|client| client.execs_to_come > 0)
            && self.processes.contains_key(&pid)
            && self.take_all_there_is()
        {}
        self.hold();
        self.signals = others;
    }

    pub(crate) fn attach_for_client(&mut self, pid: Pid) -> Result<(), CommandError> {
        let ran = self.motion == Motion::Running;
        let attached = self.attach(pid);
        self.park_new(pid, ran);
        attached.map(drop)
    }

    /// Parks a process that has come; what ran before runs on.
    fn park_new(&mut self, pid: Pid, ran: bool) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.threads.values_mut().for_each(|thread| thread.parked = true);
        }
        if ran {
            self.let_run();
            self.report_if_due();
        }
    }

    /// A child in its parent's memory is not let go but passed, silently, until it
    /// leaves that.
    pub(crate) fn detach_for_client(&mut self, pid: Pid) -> Result<(), CommandError> {
        let ran = self.motion == Motion::Running;
        self.forget_calls(pid);
        if !self.becomes_passenger(pid) {
            self.detach(Some(pid))?;
        }
        self.forget_points_of_dead_spaces();
        if ran {
            self.let_run();
            self.report_if_due();
        }
        Ok(())
    }

    fn becomes_passenger(&mut self, pid: Pid) -> bool {
        let Some(id) = self.processes.get(&pid).map(|process| process.space) else { return false };
        let shares = |it: &Process| it.space == id && it.pid != pid && it.is_debuggee();
        if !self.processes.values().any(shares) {
            return false;
        }
        let Some(process) = self.processes.get_mut(&pid) else { return false };
        process.role = crate::process::Role::Passenger;
        for thread in process.threads.values_mut() {
            thread.pending.clear();
            thread.step = None;
            thread.parked = false;
        }
        true
    }

    pub(crate) fn kill_for_client(&mut self, pid: Pid) -> Result<(), CommandError> {
        if !self.processes.get(&pid).is_some_and(Process::is_debuggee) {
            return Err(gone());
        }
        let ran = self.motion == Motion::Running;
        self.forget_calls(pid);
        self.hold();
        self.kill_all(&[pid]);
        self.forget_points_of_dead_spaces();
        if ran {
            self.let_run();
            self.report_if_due();
        }
        Ok(())
    }

    fn forget_calls(&mut self, pid: Pid) {
        if let Some(client) = &mut self.client
            && client.calls.remove(&pid).is_some()
        {
            // A process that is gone makes none.
            let _gone = self.target.catch_system_calls(pid, false);
        }
    }
}

/// What is looked at.
impl Session {
    pub(crate) fn client_processes(&self) -> Vec<Pid> {
        self.processes.values().filter(|it| it.is_debuggee()).map(|it| it.pid).collect()
    }

    pub(crate) fn client_threads(&self) -> Vec<ThreadKey> {
        let debuggees = self.processes.values().filter(|it| it.is_debuggee());
        let of = |it: &Process| {
            let pid = it.pid;
            it.threads.keys().map(move |&tid| ThreadKey { pid, tid }).collect::<Vec<_>>()
        };
        debuggees.flat_map(of).collect()
    }

    pub(crate) fn name_for_client(&self, ThreadKey { pid, tid }: ThreadKey) -> String {
        self.target.thread_name(pid, tid).unwrap_or_default()
    }

    pub(crate) fn processor_for_client(&self, ThreadKey { pid, tid }: ThreadKey) -> Option<u32> {
        self.target.processor_of(pid, tid)
    }

    pub(crate) fn is_let_go(&self, ThreadKey { pid, tid }: ThreadKey) -> bool {
        self.thread(pid, tid).is_some_and(|thread| !thread.parked)
    }

    pub(crate) fn info_for_client(&self, pid: Pid) -> Result<ProcessInfo, CommandError> {
        Ok(self.target.process_info(pid)?)
    }

    pub(crate) fn map_for_client(&self, pid: Pid) -> Result<Vec<Region>, CommandError> {
        let mut map = self.target.memory_map(pid)?;
        if let Some(space) = self.space_of(pid) {
            let ours: Vec<AddrRange> = space.arena.chunks().chain(space.rows.slabs()).collect();
            map.retain(|region| !ours.iter().any(|it| it.overlaps(region.range)));
        }
        Ok(map)
    }

    pub(crate) fn read_for_client(
        &self,
        pid: Pid,
        addr: VirtAddr,
        buf: &mut [u8],
        raw: bool,
    ) -> usize {
        match (raw, self.memory(pid)) {
            (false, Some(memory)) => memory.read_some(addr, buf),
            _ => self.target.read_memory(pid, addr, buf),
        }
    }

    pub(crate) fn write_for_client(
        &mut self,
        pid: Pid,
        addr: VirtAddr,
        bytes: &[u8],
    ) -> Result<(), CommandError> {
        self.write_truth(pid, addr, bytes)
    }

    /// Does something with a thread that is stopped.
    pub(crate) fn with_stopped<T>(
        &mut self,
        ThreadKey { pid, tid }: ThreadKey,
        work: impl FnOnce(&mut dyn Target, &Stopped) -> Result<T, TargetError>,
    ) -> Result<T, CommandError> {
        let thread = self.processes.get(&pid).and_then(|process| process.threads.get(&tid));
        let stopped = thread.ok_or_else(gone)?.stopped();
        let stopped =
            stopped.ok_or_else(|| CommandError::new(format!("thread {tid} is running")))?;
        Ok(work(&mut *self.target, stopped)?)
    }

    pub(crate) fn registers_for_client(
        &mut self,
        key: ThreadKey,
    ) -> Result<Registers, CommandError> {
        self.with_stopped(key, |_, _| Ok(()))?;
        self.program_registers(key.pid, key.tid).ok_or_else(gone)
    }

    /// A thread that is sent elsewhere has not been counted there.
    pub(crate) fn set_registers_for_client(
        &mut self,
        key: ThreadKey,
        to: &Registers,
    ) -> Result<(), CommandError> {
        let now = self.registers_for_client(key)?;
        if now == *to {
            return Ok(());
        }
        self.move_out(key.pid, key.tid);
        self.with_stopped(key, |target, stopped| target.set_registers(stopped, to))?;
        if now.rip != to.rip
            && let Some(thread) = self.thread_mut(key.pid, key.tid)
        {
            (thread.counted_at, thread.begun) = (None, None);
        }
        Ok(())
    }

    pub(crate) fn thread_local_for_client(
        &mut self,
        key: ThreadKey,
        link_map: VirtAddr,
        offset: u64,
    ) -> Result<VirtAddr, CommandError> {
        /// Where `struct link_map` names the dynamic section. `<link.h>`.
        const L_LD: u64 = 16;
        let registers = self.registers_for_client(key)?;
        self.update_libraries(key.pid);
        let memory = self.memory(key.pid).ok_or_else(gone)?;
        let dynamic = memory
            .read_u64(link_map.wrapping_add(L_LD))
            .map_err(|error| CommandError::new(error.to_string()))?;
        let modules = &self.space_of(key.pid).ok_or_else(gone)?.modules;
        let module = modules.at(VirtAddr::new(dynamic)).ok_or_else(|| {
            CommandError::new(format!("no loaded image has its dynamic section at {dynamic:#x}"))
        })?;
        tls::address(modules, &memory, registers.fs_base, module.id(), offset)
            .map_err(CommandError::new)
    }
}
