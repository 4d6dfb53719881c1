//! What a pass means: the owners of a site are asked one by one, and the
//! program stops if and only if one of them says so. A false condition of one
//! never hides another's stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trapline_core::breakpoint::{BreakpointSpec, Mechanism, Tally};
use trapline_core::plan::Owner;
use trapline_core::stop::SignalInfo;
use trapline_core::target::Target;
use trapline_core::x64::Registers;
use trapline_core::{LocationId, Pid, Tid, VirtAddr};
use trapline_expr::{Program, condition, evaluate};

use super::machine::ThreadMachine;
use super::run::Verdict;
use super::{Motion, Session};
use crate::breakpoints::{Breakpoints, Location};
use crate::event::{Event, LogRecord, StopReason};
use crate::process::{Process, Thread};
use crate::space::Space;

/// What one owner says to one pass.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing: its filter, condition or count says no.
    Quiet,
    /// Write this and go on; the message may hold the time.
    Log { message: String, tick_millis: u64 },
    /// Stop.
    Stop,
    /// Stop, because its condition cannot be evaluated; said once.
    Error(String),
}

/// Everything a pass is asked against, apart from the breakpoint itself.
pub(crate) struct PassContext<'a> {
    pub(crate) target: &'a mut dyn Target,
    pub(crate) space: &'a Space,
    pub(crate) process: &'a Process,
    pub(crate) thread: &'a Thread,
    pub(crate) registers: Registers,
    pub(crate) tick_millis: u64,
}

impl Session {
    /// A breakpoint instruction ran: ours, or the program's own.
    pub(super) fn judge_breakpoint(&mut self, pid: Pid, tid: Tid) -> Verdict {
        let Some(registers) = self.raw_registers(pid, tid) else { return Verdict::Stay };
        let at = VirtAddr::new(registers.rip).wrapping_sub(1);
        let Some(space) = self.space_of(pid) else { return Verdict::GoOn };
        if space.code_sites.get(&at).is_some_and(|site| site.jump().is_none()) {
            return self.judge_site(pid, tid, at, registers);
        }
        if let Some(site) = self.asked_at(pid, tid, at, registers.gs_base) {
            return self.judge_site(pid, tid, site, registers);
        }
        if self.enter_window(pid, tid, at) {
            return Verdict::GoOn;
        }
        self.judge_own_trap(pid, tid, registers)
    }

    /// A pass of a site that only we can judge: moves the pc to it and asks its
    /// owners.
    pub(super) fn judge_site(
        &mut self,
        pid: Pid,
        tid: Tid,
        at: VirtAddr,
        mut registers: Registers,
    ) -> Verdict {
        registers.rip = at.get();
        self.put_registers(pid, tid, &registers);
        let Some(thread) = self.thread_mut(pid, tid) else { return Verdict::Stay };
        let back = thread.returns_to.take_if(|place| *place == (at, registers.rsp())).is_some();
        // Armed again before the thread got round to executing it, or a handler
        // came first.
        let counted = thread.counted_at.replace(at) == Some(at) || back;
        if counted || !self.processes.get(&pid).is_some_and(Process::is_debuggee) {
            return Verdict::GoOn;
        }
        self.count_pass(pid, tid, at, &registers)
    }

    /// Counts a pass at the site at `at` and asks its owners.
    pub(super) fn count_pass(
        &mut self,
        pid: Pid,
        tid: Tid,
        at: VirtAddr,
        registers: &Registers,
    ) -> Verdict {
        let paying = self.processes.get(&pid).and_then(|it| self.paying(it.space, at));
        if let Some(id) = paying
            && let Some(verdict) = self.count_paid_pass(pid, tid, at, id)
        {
            return verdict;
        }
        let verdict = self.ask_site(pid, tid, at, registers);
        self.publish_values(pid, at);
        if let Some(id) = paying {
            self.extend_credit(pid, tid, at, id);
        }
        verdict
    }

    fn ask_site(&mut self, pid: Pid, tid: Tid, at: VirtAddr, registers: &Registers) -> Verdict {
        let Some(site) = self.space_of_mut(pid).and_then(|space| space.code_sites.get_mut(&at))
        else {
            return Verdict::GoOn;
        };
        let mechanism = site.mechanism();
        let owners = std::mem::take(&mut site.owners);
        let verdict = self.ask_owners(pid, tid, &owners, registers, mechanism);
        if let Some(site) = self.space_of_mut(pid).and_then(|space| space.code_sites.get_mut(&at)) {
            site.owners = owners;
        }
        verdict
    }

    /// Asks every owner of a site and joins what they say.
    pub(super) fn ask_owners(
        &mut self,
        pid: Pid,
        tid: Tid,
        owners: &[Owner],
        registers: &Registers,
        mechanism: Mechanism,
    ) -> Verdict {
        let mut verdict = Verdict::GoOn;
        for owner in owners {
            verdict = verdict.join(match *owner {
                Owner::Location(id) => {
                    let reason = self.ask_location(pid, tid, id, registers, mechanism);
                    Verdict::about(reason.into_iter().collect())
                }
                Owner::Internal(number) => self.judge_internal(pid, tid, number, registers),
            });
        }
        verdict
    }

    fn ask_location(
        &mut self,
        pid: Pid,
        tid: Tid,
        id: LocationId,
        registers: &Registers,
        mechanism: Mechanism,
    ) -> Option<StopReason> {
        let every_time = self.client.is_some();
        let (mut context, breakpoints) = self.pass(pid, tid, registers)?;
        let (spec, tally, told, location) = breakpoints.location_mut(id)?;
        *told &= !every_time;
        let answer = consider(&mut context, spec, tally, told, location);
        self.reason_for(pid, tid, id, answer, registers, mechanism)
    }

    /// What a pass of a thread that stands at `registers` is asked against,
    /// and those who ask.
    pub(super) fn pass(
        &mut self,
        pid: Pid,
        tid: Tid,
        registers: &Registers,
    ) -> Option<(PassContext<'_>, &mut Breakpoints)> {
        let tick_millis = self.tick_millis();
        let process = self.processes.get(&pid)?;
        let context = PassContext {
            target: &mut *self.target,
            space: self.spaces.get(&process.space)?,
            process,
            thread: process.threads.get(&tid)?,
            registers: *registers,
            tick_millis,
        };
        Some((context, &mut self.breakpoints))
    }

    /// Turns an owner's answer into what the user is told.
    pub(super) fn reason_for(
        &mut self,
        pid: Pid,
        tid: Tid,
        id: LocationId,
        answer: Answer,
        registers: &Registers,
        mechanism: Mechanism,
    ) -> Option<StopReason> {
        match answer {
            Answer::Quiet => None,
            Answer::Log { message, tick_millis } => {
                self.emit_log(pid, tid, id, registers, message, tick_millis);
                None
            }
            Answer::Error(message) => {
                Some(StopReason::ConditionError { id: id.breakpoint, message })
            }
            Answer::Stop => Some(StopReason::Breakpoint {
                id: id.breakpoint,
                location: id.index,
                mechanism,
                temporary: self
                    .breakpoints
                    .get(id.breakpoint)
                    .is_some_and(|breakpoint| breakpoint.spec.temporary),
            }),
        }
    }

    fn emit_log(
        &mut self,
        pid: Pid,
        tid: Tid,
        id: LocationId,
        registers: &Registers,
        message: String,
        tick_millis: u64,
    ) {
        let thread_name = self.target.thread_name(pid, tid).unwrap_or_default();
        self.emit(Event::Log(LogRecord {
            id: id.breakpoint,
            pid,
            tid,
            thread_name,
            pc: VirtAddr::new(registers.rip),
            message,
            tick_millis,
        }));
        self.let_readers_catch_up();
    }

    /// Has the program wait when the front end reads more slowly than it logs.
    /// Not for ever: a front end that asks us something meanwhile reads
    /// nothing.
    fn let_readers_catch_up(&self) {
        const PATIENCE: Duration = Duration::from_millis(20);
        const PAUSE: Duration = Duration::from_micros(200);
        if self.motion != Motion::Running {
            // Somebody waits for the hold.
            return;
        }
        let began = Instant::now();
        while self.events.is_far_ahead() && began.elapsed() < PATIENCE {
            std::thread::sleep(PAUSE);
        }
    }

    pub(super) fn tick_millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A signal is about to be delivered.
    pub(super) fn judge_signal(&mut self, pid: Pid, tid: Tid, mut info: SignalInfo) -> Verdict {
        if let Some(verdict) = self.judge_own_fault(pid, tid, &info) {
            return verdict;
        }
        if self.wait_outside_slot(pid, tid, &mut info) {
            return Verdict::GoOn;
        }
        if info.is_raised()
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            // Executed once more, the instruction is passed once more.
            thread.begun = None;
        }
        let debuggee = self.processes.get(&pid).is_some_and(Process::is_debuggee);
        let policy = self.signals.get(info.signal);
        if (policy.pass || !debuggee)
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            thread.signal = Some(info.signal);
        }
        if !debuggee {
            return Verdict::GoOn;
        }
        if policy.stop || self.decides_on_signals_while_it_steps(pid, tid) {
            return Verdict::Report(vec![StopReason::Signal(info)]);
        }
        if policy.print {
            self.emit(Event::SignalSeen { tid, info });
        }
        Verdict::GoOn
    }

    pub(super) fn raw_registers(&mut self, pid: Pid, tid: Tid) -> Option<Registers> {
        let stopped = self.processes.get(&pid)?.threads.get(&tid)?.stopped()?;
        self.target.registers(stopped).ok()
    }

    /// Sets a stopped thread's registers; a thread that died keeps none.
    pub(super) fn put_registers(&mut self, pid: Pid, tid: Tid, registers: &Registers) {
        let Some(thread) = self.processes.get(&pid).and_then(|p| p.threads.get(&tid)) else {
            return;
        };
        if let Some(stopped) = thread.stopped() {
            let _ = self.target.set_registers(stopped, registers);
        }
    }
}

/// Puts one pass to one location: filter, condition, has-changed, ignore
/// count, hit rule, log, in this order.
pub(super) fn consider(
    context: &mut PassContext<'_>,
    spec: &mut Arc<BreakpointSpec>,
    tally: &mut Tally,
    told: &mut bool,
    location: &mut Location,
) -> Answer {
    if location.leaving {
        return Answer::Quiet;
    }
    tally.passes += 1;
    match predicates_hold(context, tally, location) {
        Ok(true) => {}
        Ok(false) => return Answer::Quiet,
        Err(message) => {
            tally.errors += 1;
            if std::mem::replace(told, true) {
                return Answer::Quiet;
            }
            tally.stops += 1;
            return Answer::Error(message);
        }
    }
    tally.hits += 1;
    if spec.ignore > 0 {
        Arc::make_mut(spec).ignore -= 1;
        return Answer::Quiet;
    }
    if !spec.hits.is_none_or(|rule| rule.accepts(tally.hits)) {
        return Answer::Quiet;
    }
    if let Some(log) = &location.say.log {
        let message = log.render(context, tally, &mut location.say.memory);
        return Answer::Log { message, tick_millis: context.tick_millis };
    }
    tally.stops += 1;
    Answer::Stop
}

fn predicates_hold(
    context: &mut PassContext<'_>,
    tally: &Tally,
    location: &mut Location,
) -> Result<bool, String> {
    let say = &mut location.say;
    let memory = &mut say.memory;
    if let Some(filter) = &say.filter
        && !holds(context, tally, filter, memory)?
    {
        return Ok(false);
    }
    if let Some(program) = &say.condition
        && !holds(context, tally, program, memory)?
    {
        return Ok(false);
    }
    match &say.changed {
        None => Ok(true),
        Some(program) => {
            let value = evaluate(program, &mut context.machine(tally, memory))
                .map_err(|error| error.to_string())?;
            let bytes: Box<[u8]> = value.bytes.as_ref().into();
            let before = say.last_value.replace(bytes);
            Ok(before.is_some_and(|before| Some(&before) != say.last_value.as_ref()))
        }
    }
}

fn holds(
    context: &mut PassContext<'_>,
    tally: &Tally,
    program: &Program,
    memory: &mut Vec<Option<Box<[u8]>>>,
) -> Result<bool, String> {
    condition(program, &mut context.machine(tally, memory)).map_err(|error| error.to_string())
}

impl PassContext<'_> {
    /// The evaluator's view of this pass.
    pub(crate) fn machine<'b>(
        &'b mut self,
        tally: &Tally,
        remembered: &'b mut Vec<Option<Box<[u8]>>>,
    ) -> ThreadMachine<'b> {
        ThreadMachine {
            target: std::cell::RefCell::new(&mut *self.target),
            space: self.space,
            pid: self.process.pid,
            thread: self.thread,
            process_name: &self.process.name,
            registers: self.registers,
            frame: None,
            passes: tally.passes,
            hits: tally.hits,
            remembered,
            writes: Vec::new(),
        }
    }
}
