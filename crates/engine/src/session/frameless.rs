//! Values and places that need no thread: constants, static data of a program
//! that does not run, global data of a process wherever its threads are.

use trapline_core::location::Frame;
use trapline_core::memory::ReadMemory;
use trapline_core::x64::Reg;
use trapline_core::{AddrRange, ModuleId, Pid, VirtAddr};
use trapline_expr::ir::{IntKind, Object};
use trapline_expr::{Input, InputValue, Machine, Program, Purpose, Value, builtin};

use super::Session;
use super::scope::CodeScope;
use super::values::{WatchSubject, address_in, evaluation_error, expression_error, raw_range};
use crate::breakpoints::WatchedBits;
use crate::command::CommandError;
use crate::space::Modules;

/// No thread: constants and static data, as the file of a program that does
/// not run holds it or as they are in the memory of one that does.
struct FramelessMachine<'a> {
    modules: &'a Modules,
    /// The memory of the process, if there is one.
    memory: Option<&'a dyn ReadMemory>,
    /// Where the thread-local storage is that is meant; 0 for none.
    fs_base: u64,
}

impl FramelessMachine<'_> {
    fn no_thread(&self) -> String {
        let why = match self.memory {
            Some(_) => "registers mean something in a frame only",
            None => "the program is not running",
        };
        why.to_owned()
    }
}

impl ReadMemory for FramelessMachine<'_> {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        if let Some(memory) = self.memory {
            return memory.read_some(addr, buf);
        }
        StaticMemory(self.modules).read_some(addr, buf)
    }
}

/// The memory that images of which none runs would begin with.
pub(super) struct StaticMemory<'a>(pub(super) &'a Modules);

impl ReadMemory for StaticMemory<'_> {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let module = self.0.at(addr);
        module.map_or(0, |module| module.image.read_initial(module.to_image(addr), buf))
    }
}

impl Frame for FramelessMachine<'_> {
    fn register(&self, _: Reg) -> Result<u64, String> {
        Err(self.no_thread())
    }

    fn tls_address(&self, module: ModuleId, offset: u64) -> Result<VirtAddr, String> {
        match self.memory {
            Some(memory) => crate::tls::address(self.modules, memory, self.fs_base, module, offset),
            None => Err(self.no_thread()),
        }
    }
}

impl Machine for FramelessMachine<'_> {
    fn vector_register(&self, _: u8) -> Result<[u8; 16], String> {
        Err(self.no_thread())
    }

    fn input(&mut self, _: Input) -> Result<InputValue, String> {
        Err(self.no_thread())
    }

    fn changed(&mut self, _: usize, _: &[u8]) -> bool {
        false
    }
}

impl Session {
    /// A value that needs no process: constants, and sizes of types.
    pub(super) fn static_value(
        &self,
        expression: &str,
        purpose: Purpose,
    ) -> Result<Value, CommandError> {
        let modules = self.program_alone();
        self.frameless_value(&modules, None, 0, (expression, purpose))
    }

    /// A value that needs no thread; with the memory of a process when it has
    /// one.
    fn frameless_value(
        &self,
        modules: &Modules,
        memory: Option<&dyn ReadMemory>,
        fs_base: u64,
        (expression, purpose): (&str, Purpose),
    ) -> Result<Value, CommandError> {
        let program = self.frameless_program(modules, expression, purpose)?;
        let mut machine = FramelessMachine { modules, memory, fs_base };
        trapline_expr::evaluate(&program, &mut machine)
            .map_err(|error| evaluation_error(expression, &error))
    }

    fn frameless_program(
        &self,
        modules: &Modules,
        expression: &str,
        purpose: Purpose,
    ) -> Result<Program, CommandError> {
        let scope = CodeScope::at_place_of(modules, None, &self.known);
        trapline_expr::compile(expression, &scope, purpose)
            .map_err(|error| expression_error(expression, &error))
    }

    /// An address that an expression means in a process, whatever its threads
    /// do.
    pub(super) fn frameless_address(
        &self,
        pid: Pid,
        expression: &str,
    ) -> Result<VirtAddr, CommandError> {
        let gone = || CommandError::new("the process is gone");
        let modules = &self.space_of(pid).ok_or_else(gone)?.modules;
        let memory = self.memory(pid).ok_or_else(gone)?;
        let sought = (expression, Purpose::Place);
        address_in(expression, &self.frameless_value(modules, Some(&memory), 0, sought)?)
    }

    /// Refuses a watch whose expression means nothing without a frame.
    pub(super) fn check_frameless_watch(
        &self,
        modules: &Modules,
        expression: &str,
    ) -> Result<(), CommandError> {
        let expression = raw_range(expression).map_or(expression, |(address, _)| address);
        self.frameless_program(modules, expression, Purpose::Place).map(drop)
    }

    /// The bytes that a watch's expression means without any frame, and their
    /// type. What is there need not be readable.
    pub(super) fn frameless_subject(
        &self,
        modules: &Modules,
        memory: &dyn ReadMemory,
        fs_base: u64,
        expression: &str,
    ) -> Result<WatchSubject, CommandError> {
        let value = |text: &str| {
            self.frameless_value(modules, Some(memory), fs_base, (text, Purpose::Value))
        };
        let number =
            |text: &str| -> Result<u64, CommandError> { Ok(value(text)?.to_u64().unwrap_or(0)) };
        if let Some((address, len)) = raw_range(expression) {
            let start = address_in(address, &value(address)?)?;
            let range = AddrRange::sized(start, number(len)?);
            return Ok(WatchSubject { range, ty: None, bits: None, scope: None });
        }
        let program = self.frameless_program(modules, expression, Purpose::Place)?;
        if let Object::Memory { address, size, bits: Some((field, signed)) } = program.object {
            // A bit-field has no address; the number that it is in has.
            let object = Object::Word(address);
            let mut machine = FramelessMachine { modules, memory: Some(memory), fs_base };
            let place = Program { object, ty: builtin::integer(IntKind::U64), ..program.clone() };
            let start = trapline_expr::evaluate(&place, &mut machine)
                .map_err(|error| evaluation_error(expression, &error))?;
            let start = VirtAddr::new(start.to_u64().unwrap_or(0));
            let (range, ty) = (AddrRange::sized(start, size), Some(program.ty));
            let bits = Some(WatchedBits { field, signed });
            return Ok(WatchSubject { range, ty, bits, scope: None });
        }
        let start = VirtAddr::new(number(&format!("&({expression})"))?);
        let len = number(&format!("sizeof({expression})"))?;
        let (range, ty) = (AddrRange::sized(start, len), Some(program.ty));
        Ok(WatchSubject { range, ty, bits: None, scope: None })
    }

    /// An address that an expression means in images of which none runs.
    pub(super) fn static_address(
        &self,
        expression: &str,
        modules: &Modules,
    ) -> Result<VirtAddr, CommandError> {
        let sought = (expression, Purpose::Place);
        address_in(expression, &self.frameless_value(modules, None, 0, sought)?)
    }
}
