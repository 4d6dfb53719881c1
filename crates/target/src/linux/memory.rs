//! A process's memory: raw bytes, and the map of it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use trapline_core::target::{Region, Result, TargetError};
use trapline_core::{Pid, Tid, VirtAddr};

use super::LinuxTarget;
use super::sys::{self, PAGE};
use super::threads::Process;
use crate::layout::maps;

/// Opens a process's memory. The file stays with that memory when the process
/// executes another program, so it is opened anew then.
fn open(pid: Pid, tid: Tid) -> Option<File> {
    OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/task/{tid}/mem")).ok()
}

impl LinuxTarget {
    /// Enters a process, or the program that took its place, into the books.
    /// `tid` is a thread of it that has not exited.
    pub(super) fn add_process(&mut self, pid: Pid, tid: Tid, ours: bool) {
        let process = Process { memory: open(pid, tid), syscall_instruction: None, ours };
        self.books.processes.insert(pid, process);
    }

    /// The file and the fast call differ in what they refuse: the file reads
    /// pages that the program itself may not, the call needs no file.
    pub(super) fn read(&self, pid: Pid, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let mut done = sys::read_remote(pid.get(), addr.get(), buf).unwrap_or(0);
        let Some(file) = self.books.processes.get(&pid).and_then(|p| p.memory.as_ref()) else {
            return done;
        };
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(from) = addr.checked_add(done as u64) else { break };
            // The file has no end but the address space, so nothing read means
            // nothing there.
            match file.read_at(rest, from.get()) {
                Ok(read) if read > 0 => done += read,
                _ => break,
            }
        }
        done
    }

    pub(super) fn write(&mut self, pid: Pid, addr: VirtAddr, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // Within a page all is written or nothing, so what is missing is only
        // looked for when something is.
        let within_a_page = addr.get() % PAGE + bytes.len() as u64 <= PAGE;
        if !within_a_page {
            self.check_readable(pid, addr, bytes.len())?;
        }
        let process = self.books.processes.get(&pid).ok_or(TargetError::Gone)?;
        let file = process.memory.as_ref().ok_or(TargetError::Gone)?;
        match file.write_at(bytes, addr.get()) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(0) => Err(TargetError::Gone),
            Ok(written) => Err(not_writable(addr.wrapping_add(written as u64))),
            Err(_) => {
                self.check_readable(pid, addr, bytes.len())?;
                Err(not_writable(addr))
            }
        }
    }

    /// Finds the first missing page.
    fn check_readable(&self, pid: Pid, addr: VirtAddr, len: usize) -> Result<()> {
        let last = addr.checked_add(len as u64 - 1).ok_or(TargetError::Unmapped { addr })?;
        let mut at = addr;
        loop {
            if self.read(pid, at, &mut [0]) == 0 {
                let gone = !self.books.processes.contains_key(&pid);
                return Err(if gone {
                    TargetError::Gone
                } else {
                    TargetError::Unmapped { addr: at }
                });
            }
            at = VirtAddr::new(at.get() & !(PAGE - 1)).wrapping_add(PAGE);
            if at > last || at < addr {
                return Ok(());
            }
        }
    }

    pub(super) fn read_map(&self, pid: Pid) -> Result<Vec<Region>> {
        Ok(maps::parse(&self.read_process_file(pid, "maps")?))
    }
}

fn not_writable(addr: VirtAddr) -> TargetError {
    TargetError::Refused {
        what: format!("write memory at {addr}"),
        why: "it is a shared mapping that the program itself may not write".to_owned(),
    }
}
