//! Courses: a thread on its way to another line, out of a frame or to a place.
//!
//! A thread on a course runs; it is not stepped. Its code is followed from
//! where it stands to every place where the course may end or where nobody
//! knows how it goes on, and traps of ours are set there. So a line that runs
//! ten million instructions is crossed in one go. Where a course ends is
//! decided as gdb decides it; that is pure and lies in `line_steps`. Where code
//! leads is in `ways`.

use std::sync::Arc;

use trapline_core::memory::ReadMemory;
use trapline_core::x64::{MAX_INSTRUCTION, Reg};
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_patch::insn::{self, InsnKind};

use super::activations::{Activation, Fate, function_start};
use super::frames::{Frame, line_at};
use super::line_steps::{Arrival, Departure, Goal, Lines};
use super::resume::Chore;
use super::run::Verdict;
use super::ways::{Callee, line_map};
use super::{Selected, Session};
use crate::command::CommandError;
use crate::event::StopReason;
use crate::process::{Course, Leg, ReturnPoint, Step};
use crate::space::{Halt, Internal, Purpose};

/// Instructions of a stub that are followed to the function behind it.
const MAX_STUB: u32 = 16;

impl Session {
    /// Sends the selected thread to another line, `count` times.
    pub(super) fn step_lines(&mut self, goal: Goal, count: u64) -> Result<(), CommandError> {
        if count == 0 {
            return Err(CommandError::new("a step count starts at 1"));
        }
        let selected = Selected { frame: 0, ..self.selected()? };
        let frame = self.frame(selected).ok_or_else(gone)?;
        self.set_out(selected, &frame, goal, count)
    }

    /// Runs the selected thread until the selected frame returns.
    pub(super) fn finish(&mut self) -> Result<(), CommandError> {
        let selected = self.selected()?;
        let frame = self.frame(selected).ok_or_else(gone)?;
        let outermost = || CommandError::new("\"finish\" not meaningful in the outermost frame.");
        let outer = Selected { frame: selected.frame + 1, ..selected };
        self.frame(outer).ok_or_else(outermost)?;
        self.set_out(selected, &frame, Goal::Out, 1)
    }

    /// Runs the selected thread until it comes to one of these places, or the
    /// selected frame returns.
    pub(super) fn run_to(
        &mut self,
        places: Vec<VirtAddr>,
        in_frame: bool,
    ) -> Result<(), CommandError> {
        let selected = self.selected()?;
        let frame = self.frame(selected).ok_or_else(gone)?;
        self.set_out(selected, &frame, Goal::Places { places, in_frame }, 1)
    }

    fn set_out(
        &mut self,
        selected: Selected,
        frame: &Frame,
        goal: Goal,
        remaining: u64,
    ) -> Result<(), CommandError> {
        let Selected { pid, tid, .. } = selected;
        let from = self.departure(selected, frame).ok_or_else(gone)?;
        self.choose_runners(goal.leave());
        let thread = self.thread_mut(pid, tid).ok_or_else(gone)?;
        let enters = goal.goes_into_calls() && thread.not_entered > 0;
        let comes_back = frame.activation.level > 0 && goal == Goal::Out && !from.calls.is_empty();
        let began = from.clone();
        thread.course = Some(Course { goal, remaining, from, began, leg: Leg::Run });
        if enters {
            let left = thread.not_entered - 1;
            self.arrive(pid, tid, left);
            if self.deliver() {
                return Ok(());
            }
        } else if comes_back {
            // There is code to cross, once the thread is in it again.
            let stack = self.cfa_below(selected, &frame.activation).unwrap_or(0);
            self.halt_at(pid, tid, frame.activation.pc, Halt::Back { stack });
        } else {
            self.plan_leg(pid, tid);
        }
        self.continue_for_user();
        Ok(())
    }

    /// What a course that begins in a frame is about.
    fn departure(&mut self, of: Selected, frame: &Frame) -> Option<Departure> {
        let activation = &frame.activation;
        let (returns_to, catchers) = self.ways_up(of, activation);
        let modules = &self.space_of(of.pid)?.modules;
        let place = frame.place();
        // Of a run that has ended, nothing but the return is still to come.
        let depth = place.depth.filter(|_| activation.fate == Fate::OnStack);
        let depth = depth.and_then(|depth| usize::try_from(depth).ok()).unwrap_or(0);
        let (calls, line_end) = match line_map(modules, activation.lookup()) {
            Some((module, map)) => {
                let at = module.to_image(activation.lookup());
                let calls = map.map.inlined.around(at).into_iter().take(depth).collect();
                (calls, map.map.stretch_at(at).map(|stretch| stretch.end))
            }
            None => (Vec::new(), None),
        };
        Some(Departure {
            function: function_start(modules, activation.lookup()),
            cfa: activation.cfa,
            returns_to,
            catchers,
            calls,
            line: line_at(modules, place),
            line_end,
        })
    }

    /// The same for the innermost frame of a thread.
    fn departure_now(&mut self, pid: Pid, tid: Tid) -> Option<Departure> {
        let innermost = Selected { pid, tid, frame: 0 };
        let frame = self.frame(innermost)?;
        self.departure(innermost, &frame)
    }

    /// The frame address of whom an activation has called.
    fn cfa_below(&mut self, of: Selected, activation: &Activation) -> Option<u64> {
        let walk = self.stack(of.pid, of.tid, activation.level)?;
        walk.activations.last()?.cfa
    }

    /// Sets traps wherever the course of a thread may end or becomes unclear,
    /// from where it stands. Everything is stopped.
    fn plan_leg(&mut self, pid: Pid, tid: Tid) {
        self.drop_halts(tid);
        let Some(at) = self.program_registers(pid, tid).map(|now| VirtAddr::new(now.rip)) else {
            return;
        };
        let Some(exits) = self.ways_out(pid, tid, at) else {
            return self.wait_for_return(pid, tid);
        };
        let into = self.goes_into_calls(pid, tid);
        let mut unclear: Vec<VirtAddr> = exits.unknown.iter().copied().collect();
        for call in exits.calls.iter().filter(|_| into) {
            match self.callee(pid, call.target) {
                Callee::Body(body) => self.halt_at(pid, tid, body, Halt::Entered),
                Callee::Unknown => unclear.push(call.at),
                Callee::Opaque => {}
            }
        }
        if unclear.contains(&at) {
            return self.step_once(pid, tid);
        }
        for place in unclear {
            self.halt_at(pid, tid, place, Halt::Unclear);
        }
        for end in exits.ends {
            self.halt_at(pid, tid, end, Halt::Here);
        }
        self.wait_for_return(pid, tid);
    }

    fn goes_into_calls(&self, pid: Pid, tid: Tid) -> bool {
        let course = self.thread(pid, tid).and_then(|thread| thread.course.as_ref());
        course.is_some_and(|course| course.goal.goes_into_calls())
    }

    /// Has the thread execute the instruction at which it stands.
    fn step_once(&mut self, pid: Pid, tid: Tid) {
        self.drop_halts(tid);
        let call = self.call_at(pid, tid);
        let Some(thread) = self.thread_mut(pid, tid) else { return };
        if let Some(course) = &mut thread.course {
            course.leg = match course.leg {
                Leg::Step { back, stub } => Leg::Step { back, stub: stub + 1 },
                Leg::Run => Leg::Step { back: call, stub: 0 },
            };
        }
        thread.step = Some(Step::of(1, false));
        self.expect_residue(pid, tid);
    }

    /// Where the call at which a thread stands will return to.
    fn call_at(&mut self, pid: Pid, tid: Tid) -> Option<ReturnPoint> {
        let registers = self.program_registers(pid, tid)?;
        let at = VirtAddr::new(registers.rip);
        let mut bytes = [0; MAX_INSTRUCTION];
        let read = self.memory(pid)?.read_some(at, &mut bytes);
        let call = insn::decode(&bytes[..read], at).filter(|it| it.kind() == InsnKind::Call)?;
        Some(ReturnPoint { addr: call.next(), stack: registers.rsp() })
    }

    /// Has the thread stop when the frame of its course returns.
    fn wait_for_return(&mut self, pid: Pid, tid: Tid) {
        let course = self.thread(pid, tid).and_then(|thread| thread.course.as_ref());
        let point = course.and_then(|course| course.from.returns_to);
        let Some(ReturnPoint { addr, stack }) = point else { return };
        let catchers = course.map_or(Vec::new(), |course| course.from.catchers.clone());
        self.halt_at(pid, tid, addr, Halt::Out { stack });
        for catcher in catchers {
            self.halt_at(pid, tid, catcher, Halt::Thrown { stack });
        }
    }

    fn halt_at(&mut self, pid: Pid, tid: Tid, at: VirtAddr, halt: Halt) {
        if let Some(space) = self.processes.get(&pid).map(|process| process.space) {
            self.add_internal(space, at, Purpose::Course { tid, halt });
        }
    }

    fn drop_halts(&mut self, tid: Tid) {
        self.drop_internal(
            |internal| matches!(internal.purpose, Purpose::Course { tid: whose, .. } if whose == tid),
        );
    }

    /// Ends the courses of all threads: a stop ends them.
    pub(super) fn drop_courses(&mut self) {
        for process in self.processes.values_mut() {
            for thread in process.threads.values_mut() {
                thread.course = None;
            }
        }
        self.drop_internal(|internal| matches!(internal.purpose, Purpose::Course { .. }));
    }

    /// A thread has come to a place that was set for a course.
    pub(super) fn judge_halt(&mut self, pid: Pid, tid: Tid, halt: Halt) -> Verdict {
        if !self.is_of_course(pid, tid, halt) {
            return Verdict::GoOn;
        }
        self.chores.push(Chore::Course { pid, tid, halt });
        Verdict::Stay
    }

    /// Whether it came there in the frame that the course is about, rather than
    /// in a deeper run of the same code.
    fn is_of_course(&mut self, pid: Pid, tid: Tid, halt: Halt) -> bool {
        let Some(course) = self.thread(pid, tid).and_then(|thread| thread.course.as_ref()) else {
            return false;
        };
        let cfa = course.from.cfa;
        let anywhere = matches!(course.goal, Goal::Places { in_frame: false, .. });
        let level = match halt {
            // On a stack elsewhere, a signal handler's or a coroutine's, other
            // runs may be above.
            Halt::Out { stack } | Halt::Back { stack } => {
                return self.program_registers(pid, tid).is_some_and(|now| now.rsp() == stack);
            }
            Halt::Thrown { stack } => {
                return self.program_registers(pid, tid).is_some_and(|now| now.rsp() >= stack);
            }
            Halt::Here if anywhere => return true,
            Halt::Here | Halt::Unclear => 0,
            Halt::Entered => 1,
        };
        let walk = self.stack(pid, tid, level + 1);
        walk.is_some_and(|walk| {
            walk.activations.get(level).is_some_and(|activation| activation.cfa == cfa)
        })
    }

    /// An instruction of a course was executed: it is to be seen where that led.
    pub(super) fn course_has_stepped(&mut self, pid: Pid, tid: Tid) -> Verdict {
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.step = None;
        }
        self.chores.push(Chore::Course { pid, tid, halt: Halt::Unclear });
        Verdict::Stay
    }

    /// Decides how a course goes on. Everything is stopped.
    pub(super) fn go_on_course(&mut self, pid: Pid, tid: Tid, halt: Halt) {
        let Some(thread) = self.thread(pid, tid) else { return };
        if thread.stopped().is_none() || !thread.pending.is_empty() {
            return;
        }
        let Some(course) = &thread.course else { return };
        match (halt, course.leg) {
            (Halt::Entered, _) => self.arrive_here(pid, tid),
            (Halt::Out { .. } | Halt::Thrown { .. }, _) => self.came_out(pid, tid),
            (Halt::Unclear, Leg::Run) => self.step_once(pid, tid),
            (Halt::Unclear, Leg::Step { back, stub }) => self.look_around(pid, tid, back, stub),
            (Halt::Back { .. }, Leg::Step { back, stub }) => self.look_around(pid, tid, back, stub),
            (Halt::Here | Halt::Back { .. }, _) => self.decide(pid, tid),
        }
    }

    /// Ends the course where the thread stands, or goes on from there.
    fn decide(&mut self, pid: Pid, tid: Tid) {
        let arrival = self.arrival(pid, tid, false);
        if let Some(course) = self.thread_mut(pid, tid).and_then(|thread| thread.course.as_mut()) {
            course.leg = Leg::Run;
        }
        match arrival {
            Some(Arrival::End { not_entered }) => self.arrive(pid, tid, not_entered),
            Some(Arrival::Elsewhere { beginning }) => self.go_on_from(pid, tid, beginning),
            None => self.plan_leg(pid, tid),
        }
    }

    /// Makes the course one of the frame in which the thread stands, before the
    /// inlined calls that begin there.
    fn go_on_from(&mut self, pid: Pid, tid: Tid, beginning: usize) {
        let line = self.line_under_way(pid, tid);
        if let Some(thread) = self.thread_mut(pid, tid) {
            thread.not_entered = beginning;
        }
        if let Some(mut from) = self.departure_now(pid, tid)
            && let Some(course) = self.thread_mut(pid, tid).and_then(|it| it.course.as_mut())
        {
            from.line = line;
            (course.from, course.leg) = (from, Leg::Run);
        }
        self.plan_leg(pid, tid);
    }

    /// The line that a thread is in the midst of: none where code of a line
    /// begins that no statement of it begins with, so that any statement ends
    /// the course.
    fn line_under_way(&mut self, pid: Pid, tid: Tid) -> Option<(Arc<str>, u32)> {
        let at = VirtAddr::new(self.program_registers(pid, tid)?.rip);
        let (module, map) = line_map(&self.space_of(pid)?.modules, at)?;
        let at = module.to_image(at);
        let stretch = map.map.stretch_at(at).filter(|it| it.start != at || it.is_statement)?;
        stretch.line.as_ref().map(|line| (line.file.clone(), line.number))
    }

    /// What it means that the thread is where it is, `came_out` of the frame of
    /// its course or still in that.
    fn arrival(&mut self, pid: Pid, tid: Tid, came_out: bool) -> Option<Arrival> {
        let at = VirtAddr::new(self.program_registers(pid, tid)?.rip);
        let course = self.thread(pid, tid)?.course.as_ref()?;
        if let Goal::Places { places, .. } = &course.goal {
            if !places.contains(&at) {
                return None;
            }
            let not_entered = self.calls_not_entered(pid, tid, &[])?;
            return Some(Arrival::End { not_entered });
        }
        let (module, map) = line_map(&self.space_of(pid)?.modules, at)?;
        let lines = Lines { same_activation: !came_out, ..map.lines(course) };
        lines.arrival(module.to_image(at))
    }

    /// After an instruction that may lead anywhere: still in the frame, or in
    /// another function that was called or jumped to?
    fn look_around(&mut self, pid: Pid, tid: Tid, back: Option<ReturnPoint>, stub: u32) {
        let Some(walk) = self.stack(pid, tid, 3) else { return };
        let Some(now) = walk.activations.first().copied() else { return };
        let Some(course) = self.thread(pid, tid).and_then(|thread| thread.course.as_ref()) else {
            return;
        };
        let Some(space) = self.space_of(pid) else { return };
        let function = function_start(&space.modules, now.pc);
        if now.cfa == course.from.cfa && function == course.from.function {
            return self.decide(pid, tid);
        }
        let into = course.goal.goes_into_calls();
        if now.cfa != course.from.cfa
            && let [_, Activation { signal_frame: true, .. }, interrupted, ..] =
                walk.activations[..]
        {
            return self.wait_for_handler(pid, tid, &interrupted);
        }
        match self.callee(pid, Some(now.pc)) {
            Callee::Body(body) if into && body == now.pc => self.arrive_here(pid, tid),
            Callee::Body(body) if into => {
                self.drop_halts(tid);
                // What was jumped to has the stack of who jumped.
                let halt = if back.is_some() { Halt::Entered } else { Halt::Here };
                self.halt_at(pid, tid, body, halt);
                self.wait_for(pid, tid, back);
            }
            Callee::Unknown if into && stub < MAX_STUB => self.step_once(pid, tid),
            // It may be a stub that leads back here, as a retpoline.
            Callee::Unknown | Callee::Opaque if back.is_none() && stub < MAX_STUB => {
                self.step_once(pid, tid);
            }
            _ => {
                self.drop_halts(tid);
                self.wait_for(pid, tid, back);
            }
        }
    }

    /// Waits until a signal handler, which came before or after an instruction
    /// that was to be executed, leads back to where it came.
    fn wait_for_handler(&mut self, pid: Pid, tid: Tid, interrupted: &Activation) {
        self.drop_halts(tid);
        if let Some(stack) = interrupted.registers.get(Reg::Rsp) {
            self.halt_at(pid, tid, interrupted.pc, Halt::Back { stack });
        }
        self.wait_for_return(pid, tid);
    }

    /// Waits for a call to come back, and, should it not, or after a jump out of
    /// the function, for the frame's own return.
    fn wait_for(&mut self, pid: Pid, tid: Tid, back: Option<ReturnPoint>) {
        if let Some(course) = self.thread_mut(pid, tid).and_then(|thread| thread.course.as_mut()) {
            course.leg = Leg::Run;
        }
        if let Some(ReturnPoint { addr, stack }) = back {
            self.halt_at(pid, tid, addr, Halt::Back { stack });
        }
        self.wait_for_return(pid, tid);
    }

    /// The frame of the course has returned.
    fn came_out(&mut self, pid: Pid, tid: Tid) {
        let Some(course) = self.thread(pid, tid).and_then(|thread| thread.course.as_ref()) else {
            return;
        };
        if matches!(course.goal, Goal::Out | Goal::Places { .. }) {
            return self.arrive_here(pid, tid);
        }
        let beginning = match self.arrival(pid, tid, true) {
            Some(Arrival::End { not_entered }) => return self.arrive(pid, tid, not_entered),
            // In the midst of the caller's line: that is to be finished.
            Some(Arrival::Elsewhere { beginning }) => beginning,
            None => 0,
        };
        self.go_on_from(pid, tid, beginning);
        let course = self.thread(pid, tid).and_then(|thread| thread.course.as_ref());
        if course.is_some_and(|course| course.leg == Leg::Run) && !self.has_halts(tid) {
            // Nobody knows how it goes on from here.
            self.arrive_here(pid, tid);
        }
    }

    fn has_halts(&self, tid: Tid) -> bool {
        let of_thread = |it: &Internal| matches!(it.purpose, Purpose::Course { tid: whose, .. } if whose == tid);
        self.spaces.values().any(|space| space.internal.iter().any(of_thread))
    }

    /// The thread is where its course leads, before any inlined call that begins
    /// there.
    fn arrive_here(&mut self, pid: Pid, tid: Tid) {
        let beginning = self.calls_not_entered(pid, tid, &[]).unwrap_or(0);
        self.arrive(pid, tid, beginning);
    }

    /// The thread is where its course leads, with this many inlined calls that
    /// begin there still to be entered.
    fn arrive(&mut self, pid: Pid, tid: Tid, not_entered: usize) {
        self.drop_halts(tid);
        let Some(thread) = self.thread_mut(pid, tid) else { return };
        thread.not_entered = not_entered;
        let Some(course) = &mut thread.course else { return };
        course.remaining = course.remaining.saturating_sub(1);
        if course.remaining > 0 {
            return self.set_out_again(pid, tid);
        }
        if let Some(reason) = self.arrived_for(pid, tid)
            && let Some(thread) = self.thread_mut(pid, tid)
        {
            thread.pending.push(reason);
            self.report_queue.push((pid, tid));
        }
    }

    /// What the user is told at the end of a course.
    fn arrived_for(&mut self, pid: Pid, tid: Tid) -> Option<StopReason> {
        let now = self.departure_now(pid, tid)?;
        let course = self.thread(pid, tid)?.course.as_ref()?;
        let began = &course.began;
        Some(match course.goal {
            Goal::Places { .. } => StopReason::Place,
            Goal::Out => {
                let pc = VirtAddr::new(self.program_registers(pid, tid)?.rip);
                let course = self.thread(pid, tid)?.course.as_ref()?;
                let began = &course.began;
                if began.calls.is_empty() && began.returns_to.is_none_or(|it| it.addr != pc) {
                    return Some(StopReason::Place);
                }
                let function = began.function.filter(|_| began.calls.is_empty());
                let value = function.and_then(|it| self.returned_value(pid, tid, it));
                StopReason::Returned { value }
            }
            _ => {
                let key = |it: &Departure| (it.function, it.cfa, it.calls.clone());
                StopReason::Line { same_frame: key(began) == key(&now) }
            }
        })
    }

    fn set_out_again(&mut self, pid: Pid, tid: Tid) {
        let Some(from) = self.departure_now(pid, tid) else { return };
        let Some(thread) = self.thread_mut(pid, tid) else { return };
        let into = thread.course.as_ref().is_some_and(|course| course.goal.goes_into_calls());
        if let Some(course) = &mut thread.course {
            (course.from, course.leg) = (from, Leg::Run);
        }
        match thread.not_entered.checked_sub(1).filter(|_| into) {
            Some(left) => self.arrive(pid, tid, left),
            None => self.plan_leg(pid, tid),
        }
    }
}

fn gone() -> CommandError {
    CommandError::new("the selected thread is gone")
}
