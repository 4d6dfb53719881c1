//! Requests that let threads go, and Ctrl-C.

use trapline_core::stop::Signal;
use trapline_core::{AddrRange, VirtAddr};
use trapline_engine::Command;
use trapline_engine::client::{Order, Stride, ThreadKey};
use trapline_rsp::request::{Action, Resume, RunRequest};

use super::lldb::Lldb;
use super::server::{Answer, Answered, Refusal, Server};
use super::threads::matches;

impl Server {
    pub(super) fn answer_run(&mut self, request: RunRequest) -> Answered {
        match request {
            RunRequest::KnownActions | RunRequest::Actions(_) if self.disabled.resume_actions => {
                Ok(Answer::Unsupported)
            }
            RunRequest::KnownActions => Ok("vCont;c;C;t;s;S;r".to_owned().into()),
            RunRequest::Actions(actions) => self.resume(&actions),
            RunRequest::Continue { signal, address } => {
                let resume = signal.map_or(Resume::Continue, Resume::ContinueWith);
                self.resume_from(address, resume)
            }
            RunRequest::Step { signal, address } => {
                let resume = signal.map_or(Resume::Step, Resume::StepWith);
                self.resume_from(address, resume)
            }
            RunRequest::Interrupt => {
                self.link.send(b"OK");
                self.interrupt();
                Ok(Answer::Later)
            }
            RunRequest::ReverseContinue | RunRequest::ReverseStep => Ok(Answer::Unsupported),
        }
    }

    /// `c` and `s`: one thread moves from an address, the others as they can.
    fn resume_from(&mut self, address: Option<u64>, resume: Resume) -> Answered {
        let thread = self.to_run.or(self.current).map_or_else(|| self.current_thread(), Ok)?;
        if let Some(address) = address {
            let mut registers = self.session.registers(thread)?;
            registers.rip = address;
            self.session.set_registers(thread, &registers)?;
        }
        let first = Action { resume, thread: Some(self.id_of(thread)) };
        let rest = Action { resume: Resume::Continue, thread: None };
        let actions = if self.to_run.is_some() { vec![first] } else { vec![first, rest] };
        self.resume(&actions)
    }

    /// Each thread does what the first action says that names it.
    fn resume(&mut self, actions: &[Action]) -> Answered {
        if !self.client.non_stop && self.stops.has_untold() {
            // What has happened meanwhile is told first, and nothing runs.
            self.stops.await_report();
            self.tell_next();
            return Ok(Answer::Later);
        }
        let (mut orders, mut parked) = (Vec::new(), Vec::new());
        for thread in self.session.threads() {
            let named = |action: &&Action| action.thread.is_none_or(|id| matches(id, thread));
            let Some(action) = actions.iter().find(named) else { continue };
            match order(&self.lldb, thread, &action.resume) {
                Some(order) => orders.push(order),
                None => parked.push(thread),
            }
        }
        if orders.is_empty() && parked.is_empty() {
            return Err(Refusal::new("there is no such thread"));
        }
        orders.retain(|order| self.stops.may_go(order.thread));
        self.stops.forget(orders.iter().map(|order| order.thread));
        self.session.resume(&orders)?;
        if !parked.is_empty() {
            let runs = |thread: &ThreadKey| self.session.is_let_go(*thread);
            let (running, standing): (Vec<_>, Vec<_>) = parked.into_iter().partition(runs);
            self.session.park(&running);
            self.tell_of_untold(standing);
        }
        if self.client.non_stop {
            return Ok(Answer::Done);
        }
        self.stops.await_report();
        Ok(Answer::Later)
    }

    pub(super) fn interrupt(&mut self) {
        self.stops.note_interrupt();
        // What it comes to is told as a stop.
        let _told = self.session.request(Command::Interrupt);
    }

    pub(super) fn pass_signals(&mut self, passed: &[u8]) {
        // Of two names that the protocol has for one signal, one counts.
        let is_passed = |signal: &Signal| passed.contains(&self.lldb.wire_signal(*signal));
        let passed: Vec<Signal> = (1..=64).map(Signal).filter(is_passed).collect();
        self.session.pass_signals(&passed);
    }
}

/// What a thread is to do; `None` to stop.
fn order(lldb: &Lldb, thread: ThreadKey, resume: &Resume) -> Option<Order> {
    let (stride, signal) = match *resume {
        Resume::Continue => (Stride::Run, None),
        Resume::ContinueWith(signal) => (Stride::Run, lldb.signal(signal)),
        Resume::Step => (Stride::Step, None),
        Resume::StepWith(signal) => (Stride::Step, lldb.signal(signal)),
        Resume::Range { start, end } if start < end => {
            let range = AddrRange::between(VirtAddr::new(start), VirtAddr::new(end));
            (Stride::StepWhileIn(range), None)
        }
        Resume::Range { .. } => (Stride::Step, None),
        Resume::Stop => return None,
    };
    Some(Order { thread, stride, signal })
}
