//! How processes come into the session and leave it: run, attach, detach,
//! kill, and the orderly end.

use std::sync::Arc;

use trapline_core::target::{Death, LaunchSpec, Resume, TargetError};
use trapline_core::{Pid, Tid};

use super::children::file_name;
use super::{Motion, Program, Selected, Session};
use crate::command::{CommandError, Reply};
use crate::event::Event;
use crate::process::{Origin, Process, Role, RunState, Thread};
use crate::space::{Modules, Space, SpaceId};

impl Session {
    /// Answers `file`: reads a program before it runs. Breakpoints are bound in
    /// it at once, unless they are still needed where a process has them.
    pub(super) fn set_program(&mut self, spec: LaunchSpec) -> Result<Reply, CommandError> {
        let path = self.target.find_program(&spec.program)?;
        let image =
            self.images.open(&path).map_err(|error| CommandError::new(error.to_string()))?;
        if image.kind() == trapline_symbols::ImageKind::SharedObject && image.entry().is_none() {
            return Err(CommandError::new(format!(
                "{} is a shared library and cannot be run; name a program that loads it",
                path.display()
            )));
        }
        self.images.read_ahead(image.clone());
        self.program = Some(Program::new(LaunchSpec { program: path, ..spec }, image));
        if !self.processes.values().any(Process::is_debuggee) {
            self.bind_before_run();
        }
        Ok(Reply::Done)
    }

    /// Answers `run`: the program, stopped before its first instruction.
    pub(super) fn run_program(&mut self) -> Result<Reply, CommandError> {
        let Some(program) = &self.program else {
            return Err(CommandError::new(
                "no program to run: name one with `file PROGRAM` or on the command line",
            ));
        };
        let spec = program.spec.clone();
        self.kill_launched();
        self.reread_program();
        self.bind_before_run();
        let pid = self.target.launch(&spec)?;
        self.enter(pid, Origin::Launched, vec![pid.leader()]);
        self.await_stopped(pid);
        if !self.processes.contains_key(&pid) {
            return Err(CommandError::new("the program ended before its first instruction"));
        }
        self.settle_in(pid);
        Ok(Reply::Started { pid })
    }

    /// Takes note of a program that was built anew since it was read.
    fn reread_program(&mut self) {
        let Some(program) = &mut self.program else { return };
        // One that cannot be read any more cannot be started either, which says
        // why.
        let Ok(image) = self.images.open(&program.spec.program) else { return };
        if image.module() == program.image.module() {
            return;
        }
        *program = Program::new(program.spec.clone(), image);
        let path = program.spec.program.display();
        let message = format!("`{path}' has changed; re-reading symbols.");
        self.warn(message);
    }

    /// Answers `attach`.
    pub(super) fn attach(&mut self, pid: Pid) -> Result<Reply, CommandError> {
        if self.processes.contains_key(&pid) {
            return Err(CommandError::new(format!("process {pid} is already in this session")));
        }
        self.hold();
        let threads = self.target.attach(pid)?;
        self.enter(pid, Origin::Attached, threads);
        self.await_stopped(pid);
        if !self.processes.contains_key(&pid) {
            return Err(CommandError::new(format!("process {pid} ended while being attached to")));
        }
        self.describe_the_dead(pid);
        self.settle_in(pid);
        Ok(Reply::Started { pid })
    }

    /// Says of threads that cannot go on why they stand.
    fn describe_the_dead(&mut self, pid: Pid) {
        if self.target.capabilities().can_run {
            return;
        }
        let death = self.target.process_info(pid).ok().and_then(|info| info.death);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        for (tid, thread) in &mut process.threads {
            thread.stopped_for = match death {
                Some(Death { tid: of, signal: Some(info) }) if of == *tid => {
                    format!("died of {}", info.signal)
                }
                _ => "dead".to_owned(),
            };
        }
    }

    /// Puts a new process into the books; all its threads are about to stop by
    /// themselves.
    pub(super) fn enter(&mut self, pid: Pid, origin: Origin, tids: Vec<Tid>) {
        let space = self.new_space();
        self.spaces.insert(space, Space::new());
        // Threads are numbered anew with each run, as gdb does it.
        if self.processes.is_empty() {
            self.next_thread = 1;
        }
        let stopping = |tid| {
            let run = RunState::Running { interrupted: true };
            (tid, Thread { run, ..self.new_thread(tid) })
        };
        let threads = tids.into_iter().map(stopping).collect();
        let info = self.target.process_info(pid).ok();
        let executable = info.map(|info| info.executable_name).unwrap_or_default();
        let name = file_name(&executable);
        self.processes.insert(
            pid,
            Process { pid, space, origin, role: Role::Debuggee, threads, name, dying: None },
        );
        self.emit(Event::ProcessStarted { pid, executable, parent: None });
    }

    /// Waits until every thread of a process has stopped, or it is gone.
    pub(super) fn await_stopped(&mut self, pid: Pid) {
        self.take_until(|session| {
            session
                .processes
                .get(&pid)
                .is_none_or(|process| !process.threads.values().any(Thread::is_running))
        });
    }

    /// Takes events, letting nothing go on, until `done` or until nothing can
    /// come any more.
    pub(super) fn take_until(&mut self, done: impl Fn(&Self) -> bool) {
        self.motion = Motion::Holding;
        while !done(self) && self.take_all_there_is() {}
        self.motion = Motion::Held;
    }

    /// Reads what a new process has loaded and sets what was asked for.
    pub(super) fn settle_in(&mut self, pid: Pid) {
        let death = self.target.process_info(pid).ok().and_then(|info| info.death);
        let leader = death.map_or(pid.leader(), |death| death.tid);
        let tid = self
            .processes
            .get(&pid)
            .and_then(|process| {
                process
                    .threads
                    .keys()
                    .find(|tid| **tid == leader)
                    .or_else(|| process.threads.keys().next())
            })
            .copied()
            .unwrap_or(leader);
        self.selection = Some(Selected { pid, tid, frame: 0 });
        if self.client.is_none() {
            self.update_libraries(pid);
        }
        self.sync_sites();
    }

    /// Answers `detach`: leaves processes as they were found.
    pub(super) fn detach(&mut self, only: Option<Pid>) -> Result<Reply, CommandError> {
        let pids: Vec<Pid> = match only {
            Some(pid) if self.processes.contains_key(&pid) => vec![pid],
            Some(pid) => {
                return Err(CommandError::new(format!("process {pid} is not in this session")));
            }
            None => self.processes.keys().copied().collect(),
        };
        if pids.is_empty() {
            return Err(CommandError::new("no process to detach from"));
        }
        self.hold();
        self.verify_armed();
        self.leave(&pids);
        Ok(Reply::Done)
    }

    /// Cleans and releases processes, those that share a memory together.
    pub(super) fn leave(&mut self, pids: &[Pid]) {
        for &pid in pids {
            let Some(process) = self.processes.get(&pid) else { continue };
            let id = process.space;
            let together: Vec<Pid> = self
                .processes
                .values()
                .filter(|process| process.space == id)
                .map(|process| process.pid)
                .collect();
            self.see_off_borrowers(id);
            self.clear_space(id);
            for pid in together {
                self.release_threads(pid);
                self.forget_process(pid);
            }
        }
    }

    /// Lets the last of a vfork child happen when it is all but over: until
    /// then its parent waits, and nobody in their space can give our memory
    /// back.
    fn see_off_borrowers(&mut self, id: SpaceId) {
        if self.can_ask(id) || !self.outlives_its_child(id) {
            return;
        }
        let exiting = self.let_exit(id);
        self.take_until(|session| {
            exiting.iter().all(|(pid, tid)| session.thread(*pid, *tid).is_none())
        });
    }

    /// Lets the threads of a space go on that are held in the stop of their
    /// exit, and says which. Where the whole process exits, as after a core file
    /// was written, not even SIGKILL gets them out of it (measured on Linux
    /// 6.18).
    fn let_exit(&mut self, id: SpaceId) -> Vec<(Pid, Tid)> {
        let mut exiting = self.threads_of(id);
        exiting.retain(|&(pid, tid)| self.thread(pid, tid).is_some_and(|thread| thread.exiting));
        for &(pid, tid) in &exiting {
            self.resume_raw(pid, tid, Resume::RUN);
        }
        exiting
    }

    /// Answers `kill`.
    pub(super) fn kill(&mut self) -> Result<Reply, CommandError> {
        if self.processes.is_empty() {
            return Err(CommandError::new("The program is not being run."));
        }
        self.hold();
        let pids: Vec<Pid> = self.processes.keys().copied().collect();
        self.kill_all(&pids);
        Ok(Reply::Done)
    }

    fn kill_launched(&mut self) {
        self.hold();
        let launched: Vec<Pid> = self
            .processes
            .values()
            .filter(|process| process.origin == Origin::Launched)
            .map(|process| process.pid)
            .collect();
        self.kill_all(&launched);
    }

    /// Kills processes and waits for their ends. Children that only share
    /// their memory are let go.
    pub(super) fn kill_all(&mut self, pids: &[Pid]) {
        for &pid in pids {
            if self.processes.get(&pid).is_some_and(|process| !process.is_debuggee()) {
                continue;
            }
            match self.target.kill(pid) {
                Ok(()) | Err(TargetError::Gone) => {}
                Err(error) => self.warn(error.to_string()),
            }
            if let Some(id) = self.processes.get(&pid).map(|process| process.space) {
                self.let_exit(id);
            }
            self.take_until(|session| !session.processes.contains_key(&pid));
            // One whose end cannot come any more has ended.
            self.forget_process(pid);
        }
        let rest: Vec<Pid> = self
            .processes
            .values()
            .filter(|process| !process.is_debuggee())
            .map(|process| process.pid)
            .collect();
        for pid in rest {
            self.let_go(pid);
        }
    }

    /// The orderly end: every site is removed; attached programs go on, and
    /// launched ones are killed, or go on by setting.
    pub(crate) fn end(&mut self) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.hold();
        let launched: Vec<Pid> = self
            .processes
            .values()
            .filter(|process| process.origin == Origin::Launched && !self.settings.leave_running)
            .map(|process| process.pid)
            .collect();
        self.kill_all(&launched);
        let rest: Vec<Pid> = self.processes.keys().copied().collect();
        self.leave(&rest);
        self.emit(Event::SessionEnded);
    }

    /// The image of the program to run.
    pub(super) fn program_image(&self) -> Option<Arc<trapline_symbols::Image>> {
        self.program.as_ref().map(|program| program.image.clone())
    }

    /// The program to run, as if it were loaded where it was linked; nothing
    /// when there is none.
    pub(super) fn program_alone(&self) -> Modules {
        self.program.as_ref().map(|program| program.alone.clone()).unwrap_or_default()
    }
}
