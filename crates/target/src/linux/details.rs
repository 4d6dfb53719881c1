//! What front ends may want of a stopped thread beside its registers: everything
//! the processor keeps, everything the kernel says of its signal, its system
//! calls, and the processor that it ran on.

use std::fs;
use std::io::{self, Read};

use trapline_core::target::{Result, Stopped, TargetError};
use trapline_core::x64::{Component, ExtendedLayout, ExtendedState};
use trapline_core::{Pid, Tid};

use super::sys;
use super::threads::{Calls, KernelStop};
use super::{LinuxTarget, failed};
use crate::layout::siginfo::{RawSigInfo, SIZE};
use crate::layout::stat;

impl LinuxTarget {
    pub(super) fn read_extended_state(&mut self, proof: &Stopped) -> Result<ExtendedState> {
        self.require(proof)?;
        let area = sys::xsave(proof.tid().get())
            .map_err(|errno| failed("read the vector registers", errno))?;
        let held = area.len();
        ExtendedState::new(area, extended_layout()).ok_or_else(|| TargetError::Refused {
            what: "read the vector registers".to_owned(),
            why: format!("the kernel gives {held} bytes, fewer than the processor has"),
        })
    }

    pub(super) fn change_extended_state(
        &mut self,
        proof: &Stopped,
        to: &ExtendedState,
    ) -> Result<()> {
        self.require(proof)?;
        sys::set_xsave(proof.tid().get(), to.area())
            .map_err(|errno| failed("change the vector registers", errno))
    }

    /// As it will be delivered; of a trap that is ours to deal with, as the
    /// kernel has it.
    pub(super) fn read_signal_details(&mut self, proof: &Stopped) -> Result<Vec<u8>> {
        let thread = self.require(proof)?;
        if let Some(info) = thread.signal {
            return Ok(info.0.to_vec());
        }
        let info = sys::siginfo(proof.tid().get())
            .map_err(|errno| failed("ask about the signal", errno))?;
        Ok(info.0.to_vec())
    }

    pub(super) fn change_signal_details(&mut self, proof: &Stopped, bytes: &[u8]) -> Result<()> {
        let what = || "change the signal".to_owned();
        let refused = |why: String| TargetError::Refused { what: what(), why };
        let raw = <[u8; SIZE]>::try_from(bytes)
            .map_err(|_| refused(format!("a siginfo_t has {SIZE} bytes, not {}", bytes.len())))?;
        let info = RawSigInfo(raw);
        let thread = self.require(proof)?;
        if thread.at != KernelStop::Delivery {
            return Err(refused("the thread did not stop for one".to_owned()));
        }
        thread.signal = thread.signal.and(Some(info));
        sys::set_siginfo(proof.tid().get(), &info)
            .map_err(|errno| failed("change the signal", errno))
    }

    pub(super) fn tell_system_calls(&mut self, pid: Pid, on: bool) -> Result<()> {
        if !self.books.processes.contains_key(&pid) {
            return Err(TargetError::Gone);
        }
        let calls = if on { Calls::Told } else { Calls::Quiet };
        let threads = self.books.threads.values_mut().filter(|thread| thread.pid == pid);
        threads.for_each(|thread| thread.calls = calls);
        Ok(())
    }
}

/// Where this processor keeps what of the area.
fn extended_layout() -> ExtendedLayout {
    Component::ALL.into_iter().fold(ExtendedLayout::default(), |layout, component| {
        match sys::xsave_offset(component) {
            Some(offset) => layout.with(component, offset),
            None => layout,
        }
    })
}

/// A file of the kernel's that is made at one reading, and is asked for at every
/// stop: its length, which the kernel does not know, is not asked for.
pub(super) fn read_small(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1024];
    let count = fs::File::open(path)?.read(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The processor that a thread ran on last.
pub(super) fn processor_of(pid: Pid, tid: Tid) -> Option<u32> {
    stat::processor(&read_small(&format!("/proc/{pid}/task/{tid}/stat")).ok()?)
}
