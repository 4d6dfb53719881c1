//! Core files of living programs: the registers and the memory that the program
//! itself has, and nothing of ours. How they are written is the target's business.

use std::path::PathBuf;

use trapline_core::target::CoreImage;
use trapline_core::{AddrRange, Pid, Tid};

use super::Session;
use crate::command::{CommandError, Reply};

impl Session {
    /// Answers `generate-core-file`.
    pub(super) fn write_core(&mut self, path: Option<PathBuf>) -> Result<Reply, CommandError> {
        let selected = self.selected()?;
        let pid = selected.pid;
        let path = path.unwrap_or_else(|| PathBuf::from(format!("core.{pid}")));
        let tids = self.threads_first(pid, selected.tid);
        let mut registers = Vec::with_capacity(tids.len());
        for &tid in &tids {
            registers.push(self.shown_registers(pid, tid));
        }
        let gone = || CommandError::new("the process is gone");
        let process = self.processes.get(&pid).ok_or_else(gone)?;
        let space = self.spaces.get(&process.space).ok_or_else(gone)?;
        let threads: Vec<_> = tids
            .iter()
            .zip(registers)
            .filter_map(|(tid, registers)| Some((process.threads.get(tid)?.stopped()?, registers?)))
            .collect();
        let left_out: Vec<AddrRange> = space.arena.chunks().chain(space.rows.slabs()).collect();
        let memory = self.memory(pid).ok_or_else(gone)?;
        let signal = self.thread(pid, selected.tid).and_then(|thread| thread.signal);
        let image =
            CoreImage { pid, threads: &threads, signal, memory: &memory, left_out: &left_out };
        self.target.write_core(&image, &path)?;
        Ok(Reply::Text(format!("Saved corefile {}", path.display())))
    }

    /// The threads of a process, one of them first.
    fn threads_first(&self, pid: Pid, first: Tid) -> Vec<Tid> {
        let all = self.processes.get(&pid).into_iter().flat_map(|process| process.threads.keys());
        let rest = all.copied().filter(|tid| *tid != first);
        std::iter::once(first).chain(rest).collect()
    }
}
