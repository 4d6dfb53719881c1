//! Births and deaths: children by fork, vfork and clone, programs replaced by
//! exec, threads and processes that end.
//!
//! A child that is not followed never runs into a site of ours: with memory of
//! its own it is cleaned and let go before its first instruction; in its
//! parent's memory it is passed over the sites, silently, until it leaves that
//! memory.

use trapline_core::stop::ExitStatus;
use trapline_core::{Pid, Tid};

use super::run::Verdict;
use super::{Motion, Selected, Session};
use crate::event::Event;
use crate::process::{Process, Role};
use crate::rows::Seat;
use crate::space::{Purpose, Space, SpaceId};

impl Session {
    /// A process made a child, which has not run yet.
    pub(super) fn judge_fork(
        &mut self,
        parent: Pid,
        tid: Tid,
        child: Pid,
        shares_memory: bool,
        vfork: bool,
    ) -> Verdict {
        let Some(process) = self.processes.get(&parent) else { return Verdict::GoOn };
        let (parent_space, origin, name) = (process.space, process.origin, process.name.clone());
        // A client has no notion of a child that shares its parent's memory and
        // runs beside it.
        let beside = shares_memory && !vfork;
        let told = process.is_debuggee() && self.tells_fork(vfork) && !beside;
        let followed = told || (self.settings.follow_children && process.is_debuggee());
        let space = if shares_memory { parent_space } else { self.copy_space(parent_space) };
        let role = match (followed, shares_memory) {
            (true, _) => Role::Debuggee,
            (false, true) => Role::Passenger,
            (false, false) => Role::Leaving,
        };
        let mut threads = std::collections::BTreeMap::new();
        let mut leader = self.new_thread(child.leader());
        leader.parked = told;
        threads.insert(child.leader(), leader);
        self.processes
            .insert(child, Process { pid: child, space, origin, role, threads, name, dying: None });
        if space != parent_space {
            self.count_from_here(space, child);
        }
        if followed {
            self.announce_child(parent, child);
            self.follow_breakpoints(parent_space, space, child);
        }
        if vfork && shares_memory {
            if let Some(thread) = self.thread_mut(parent, tid) {
                thread.waits_for = Some(child);
            }
            return self.fork_told(told, child, vfork).join(Verdict::Stay);
        }
        self.fork_told(told, child, vfork)
    }

    /// Gives a followed child the breakpoints of its parent. Watches on frames
    /// stay with the thread whose frames they are.
    fn follow_breakpoints(&mut self, from: SpaceId, to: SpaceId, child: Pid) {
        if from == to {
            return;
        }
        let left = self.breakpoints.copy_locations(from, to);
        for (id, expression) in left {
            self.warn(format!(
                "watch {id} on `{expression}` does not follow into process {child} or other \
                 children: it belongs to a frame of its own process"
            ));
        }
        if let Some(space) = self.spaces.get_mut(&to) {
            space.internal.retain(|internal| internal.purpose == Purpose::Libraries);
            space.stale = true;
        }
    }

    fn announce_child(&self, parent: Pid, child: Pid) {
        let executable =
            self.target.process_info(parent).map(|info| info.executable_name).unwrap_or_default();
        self.emit(Event::ProcessStarted { pid: child, executable, parent: Some(parent) });
    }

    /// The books of a copied memory: what was armed is armed in the copy.
    fn copy_space(&mut self, from: SpaceId) -> SpaceId {
        let copy = match self.spaces.get(&from) {
            Some(space) => space.clone(),
            None => Space::new(),
        };
        let id = self.new_space();
        self.spaces.insert(id, copy);
        id
    }

    /// A thread's first stop.
    pub(super) fn judge_started(&mut self, pid: Pid, tid: Tid) -> Verdict {
        match self.processes.get(&pid).map(|process| process.role) {
            Some(Role::Debuggee) => {
                self.sync_child(pid);
                self.arm_slots_of(pid, tid);
                self.birth_told(pid, tid)
            }
            Some(Role::Passenger) => Verdict::GoOn,
            Some(Role::Leaving) => {
                self.let_go(pid);
                Verdict::Stay
            }
            None => Verdict::Stay,
        }
    }

    /// Brings the sites of a followed child in line with what is wanted of it,
    /// while it has not run yet and is alone in its memory.
    fn sync_child(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let id = process.space;
        let alone = process.threads.len() == 1
            && self.processes.values().filter(|other| other.space == id).count() == 1;
        if alone && self.spaces.get(&id).is_some_and(|space| space.stale) {
            for (location, why) in self.sync_space(id) {
                self.warn(format!("breakpoint {}: {why}", location.breakpoint));
            }
        }
    }

    /// Cleans a process that is alone in its memory and lets it go.
    pub(super) fn let_go(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let id = process.space;
        let shared = self.processes.values().any(|other| other.space == id && other.pid != pid);
        if !shared {
            self.clear_space(id);
        }
        self.release_threads(pid);
        self.forget_process(pid);
    }

    /// Detaches every thread of a process.
    pub(super) fn release_threads(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let mut released = Vec::new();
        for thread in process.threads.values_mut() {
            let signal = thread.signal.take();
            if let Some(stopped) = thread.take_stopped() {
                released.push((stopped, signal));
            }
        }
        for (stopped, signal) in released {
            // A thread that died meanwhile needs no letting go.
            let _ = self.target.detach(stopped, signal);
        }
    }

    /// A process became another program.
    pub(super) fn judge_exec(&mut self, pid: Pid, tid: Tid, former: Tid) -> Verdict {
        self.keep_only_thread(pid, tid, former);
        self.runner_became(pid, former, tid);
        self.resume_waiting_parent(pid);
        let Some(process) = self.processes.get(&pid) else { return Verdict::Stay };
        let (old, role) = (process.space, process.role);
        let fresh = self.new_space();
        self.spaces.insert(fresh, Space::new());
        if let Some(process) = self.processes.get_mut(&pid) {
            process.space = fresh;
        }
        self.leave_row(old, tid);
        self.drop_space_if_unused(old);
        if role != Role::Debuggee {
            self.release_threads(pid);
            self.forget_process(pid);
            return Verdict::Stay;
        }
        self.arm_slots_of(pid, tid);
        if let Ok(info) = self.target.process_info(pid) {
            if let Some(process) = self.processes.get_mut(&pid) {
                process.name = file_name(&info.executable_name);
            }
            self.emit(Event::Executed { pid, executable: info.executable_name });
        }
        if self.client.is_none() {
            self.update_libraries(pid);
        }
        self.sync_sites();
        self.exec_told(pid)
    }

    fn keep_only_thread(&mut self, pid: Pid, tid: Tid, former: Tid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let others: Vec<Tid> = process.threads.keys().copied().filter(|&t| t != tid).collect();
        let number = process.threads.get(&former).map(|thread| thread.number);
        for other in &others {
            process.threads.remove(other);
        }
        if let Some(thread) = process.threads.get_mut(&tid) {
            // The thread that called exec lives on under the leader's number.
            thread.number = number.unwrap_or(thread.number);
            thread.counted_at = None;
            thread.begun = None;
            thread.step = None;
            thread.step_after_return = None;
            thread.pending.clear();
            thread.exiting = false;
            thread.seat = Seat::None;
        }
        self.report_queue.retain(|(whose, t)| *whose != pid || *t == tid);
        if let Some(selected) = &mut self.selection
            && selected.pid == pid
        {
            *selected = Selected { pid, tid, frame: 0 };
        }
    }

    /// Lets the parent of a vfork child go on: the child has left its memory.
    fn resume_waiting_parent(&mut self, child: Pid) {
        let waiting = self.processes.values_mut().find_map(|process| {
            let pid = process.pid;
            process.threads.values_mut().find(|thread| thread.waits_for == Some(child)).map(
                |thread| {
                    thread.waits_for = None;
                    (pid, thread.tid)
                },
            )
        });
        if let Some((pid, tid)) = waiting {
            let verdict = self.vfork_done_told(pid);
            self.act(pid, tid, verdict);
        }
    }

    /// A thread is gone.
    pub(super) fn thread_exited(&mut self, pid: Pid, tid: Tid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let debuggee = process.is_debuggee();
        let Some(thread) = process.threads.remove(&tid) else { return };
        if let Some(space) = self.space_of_mut(pid) {
            space.rows.give_back(tid);
        }
        self.drop_internal(|internal| {
            use crate::space::Purpose::{Course, Return};
            let (Return { tid: whose, .. } | Course { tid: whose, .. }) = internal.purpose else {
                return false;
            };
            whose == tid
        });
        self.end_watches_of(tid);
        if debuggee {
            self.emit(Event::ThreadExited { pid, tid, number: thread.number });
        }
    }

    /// A thread that cannot be interrupted any more: it is dying, or it is a
    /// leader that ended before its threads and stays on as a number only.
    pub(super) fn forget_unwaitable(&mut self, pid: Pid, tid: Tid) {
        let alone = self.processes.get(&pid).is_some_and(|process| process.threads.len() == 1);
        if alone {
            // The process's own end is the next event and takes the thread
            // along.
            return;
        }
        self.thread_exited(pid, tid);
    }

    /// A process is gone.
    pub(super) fn process_exited(&mut self, pid: Pid, status: ExitStatus) {
        self.resume_waiting_parent(pid);
        let debuggee = self.processes.get(&pid).is_some_and(Process::is_debuggee);
        self.forget_process(pid);
        if !debuggee {
            return;
        }
        let last = !self.processes.values().any(Process::is_debuggee);
        if last {
            self.motion = Motion::Held;
        }
        self.emit(Event::ProcessExited { pid, status, last });
    }

    /// Takes a process out of the books.
    pub(super) fn forget_process(&mut self, pid: Pid) {
        let Some(process) = self.processes.remove(&pid) else { return };
        self.report_queue.retain(|(whose, _)| *whose != pid);
        if self.selection.is_some_and(|selected| selected.pid == pid) {
            self.selection = None;
        }
        self.drop_space_if_unused(process.space);
    }

    fn drop_space_if_unused(&mut self, id: SpaceId) {
        if !self.processes.values().any(|process| process.space == id) {
            self.end_watches_in(id);
            self.tell_counts(id);
            self.spaces.remove(&id);
            self.breakpoints.unbind_space(id);
        }
    }

    /// The target is lost: nothing can be asked of it any more.
    pub(super) fn lose_everything(&mut self, why: &str) {
        if !self.processes.is_empty() {
            self.warn(format!("the debuggee is lost: {why}"));
        }
        let pids: Vec<Pid> = self.processes.keys().copied().collect();
        for pid in pids {
            self.forget_process(pid);
        }
        self.motion = Motion::Held;
    }
}

/// The last part of a path, for `$_process_name` and `$PNAME`.
pub(super) fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
