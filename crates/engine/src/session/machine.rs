//! What an expression sees when it is evaluated for a thread: registers of a
//! frame, the program's memory, thread-local storage and the debugger's own
//! inputs. Everything is fetched when asked for and not before, since most
//! conditions ask for one register or one word.

use std::cell::RefCell;

use trapline_core::location::Frame;
use trapline_core::memory::ReadMemory;
use trapline_core::target::Target;
use trapline_core::x64::{Reg, RegView, Registers};
use trapline_core::{ModuleId, Pid, Tid, VirtAddr};
use trapline_expr::{Input, InputValue, Machine};

use super::activations::{self, Activation};
use super::entry_values;
use crate::process::Thread;
use crate::space::Space;

/// One frame of one thread, for the evaluator.
pub(crate) struct ThreadMachine<'a> {
    pub(super) target: RefCell<&'a mut dyn Target>,
    pub(super) space: &'a Space,
    pub(super) pid: Pid,
    pub(super) thread: &'a Thread,
    pub(super) process_name: &'a str,
    /// The thread's registers, with the program's own pc.
    pub(super) registers: Registers,
    /// The activation that is looked at, when it is not the innermost.
    pub(super) frame: Option<Activation>,
    pub(super) passes: u64,
    pub(super) hits: u64,
    /// Values that `$_changed` saw last, by slot.
    pub(super) remembered: &'a mut Vec<Option<Box<[u8]>>>,
    /// What an assignment wants changed; the session does it afterwards.
    pub(super) writes: Vec<Write>,
}

/// A change that an assignment asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Write {
    /// Of memory.
    Memory { address: VirtAddr, bytes: Vec<u8> },
    /// Of a register or a part of one.
    Register { view: RegView, bytes: Vec<u8> },
}

impl ThreadMachine<'_> {
    fn tid(&self) -> Tid {
        self.thread.tid
    }

    fn caller(&self) -> String {
        let walk = activations::walk(&self.space.modules, self, &self.registers, 2);
        walk.activations
            .get(1)
            .and_then(|caller| activations::function_name(&self.space.modules, caller))
            .unwrap_or_default()
    }
}

impl ReadMemory for ThreadMachine<'_> {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let read = self.target.borrow().read_memory(self.pid, addr, buf);
        self.space.overlay.restore_view(addr, &mut buf[..read]);
        read
    }
}

impl Frame for ThreadMachine<'_> {
    fn register(&self, reg: Reg) -> Result<u64, String> {
        let unknown = || format!("${reg} is not known in this frame");
        match &self.frame {
            Some(frame) => frame
                .registers
                .get(reg)
                .or_else(
                    || if reg.general_index().is_none() { self.registers.get(reg) } else { None },
                )
                .ok_or_else(unknown),
            None => self.registers.get(reg).ok_or_else(unknown),
        }
    }

    fn kept_register(&self, reg: Reg) -> Result<u64, String> {
        let kept = self.frame.and_then(|frame| frame.registers.if_untouched(reg));
        kept.map_or_else(|| self.register(reg), Ok)
    }

    fn entry_register(&self, reg: Reg) -> Result<u64, String> {
        let activation = self.frame.unwrap_or_else(|| Activation::innermost(&self.registers));
        entry_values::entry_register(&self.space.modules, self, &activation, reg)
    }

    fn tls_address(&self, module: ModuleId, offset: u64) -> Result<VirtAddr, String> {
        crate::tls::address(&self.space.modules, self, self.registers.fs_base, module, offset)
    }
}

impl Machine for ThreadMachine<'_> {
    fn vector_register(&self, index: u8) -> Result<[u8; 16], String> {
        let stopped = self.thread.stopped().ok_or("the thread runs")?;
        let state =
            self.target.borrow_mut().vector_state(stopped).map_err(|error| error.to_string())?;
        state.xmm.get(usize::from(index)).copied().ok_or_else(|| format!("no register xmm{index}"))
    }

    fn input(&mut self, input: Input) -> Result<InputValue, String> {
        let number = |id: i32| InputValue::Number(u64::try_from(id).unwrap_or(0));
        Ok(match input {
            Input::Hits => InputValue::Number(self.hits),
            Input::Passes => InputValue::Number(self.passes),
            Input::Tid => number(self.tid().get()),
            Input::Thread => InputValue::Number(u64::from(self.thread.number)),
            Input::Pid => number(self.pid.get()),
            Input::ThreadName => InputValue::Text(
                self.target
                    .borrow()
                    .thread_name(self.pid, self.tid())
                    .map_err(|error| error.to_string())?
                    .into(),
            ),
            Input::ProcessName => InputValue::Text(self.process_name.into()),
            Input::Machine => InputValue::Text(self.target.borrow().machine_name().into()),
            Input::Caller => InputValue::Text(self.caller().into()),
        })
    }

    fn changed(&mut self, slot: usize, bytes: &[u8]) -> bool {
        if self.remembered.len() <= slot {
            self.remembered.resize(slot + 1, None);
        }
        let before = self.remembered[slot].replace(bytes.into());
        before.is_some_and(|before| *before != *bytes)
    }

    fn write_memory(&mut self, address: VirtAddr, bytes: &[u8]) -> Result<(), String> {
        self.writes.push(Write::Memory { address, bytes: bytes.to_vec() });
        Ok(())
    }

    fn write_register(&mut self, view: RegView, bytes: &[u8]) -> Result<(), String> {
        self.writes.push(Write::Register { view, bytes: bytes.to_vec() });
        Ok(())
    }
}
