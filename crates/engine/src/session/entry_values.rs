//! What registers held when a function was entered. Nobody keeps that; but a
//! caller's debug information may say what a call passes, and how to compute it
//! again in the caller's frame.

use std::collections::HashSet;

use trapline_core::location::{self, Frame, NO_ENTRY_VALUE};
use trapline_core::memory::ReadMemory;
use trapline_core::x64::Reg;
use trapline_core::{ModuleId, VirtAddr};
use trapline_symbols::Callee;

use super::activations::{Activation, function_start};
use super::tail_calls::{nearest_caller, target};
use crate::space::{Module, Modules};

/// Callers that are asked, each for what it was passed itself.
const MAX_CALLERS: usize = 32;

/// What a general register held when the function of an activation was
/// entered. `frame` is any of its thread.
pub(super) fn entry_register(
    modules: &Modules,
    frame: &dyn Frame,
    activation: &Activation,
    reg: Reg,
) -> Result<u64, String> {
    asked(modules, frame, activation, reg, MAX_CALLERS)
}

fn asked(
    modules: &Modules,
    frame: &dyn Frame,
    activation: &Activation,
    reg: Reg,
    callers: usize,
) -> Result<u64, String> {
    let unknown = || NO_ENTRY_VALUE.to_owned();
    let callers = callers.checked_sub(1).ok_or_else(unknown)?;
    let activation_of_caller = nearest_caller(modules, frame, activation)?.ok_or_else(unknown)?;
    let module = modules.at(activation_of_caller.lookup()).ok_or_else(unknown)?;
    let Activation { pc, kind, .. } = activation_of_caller;
    let site = module.image.call_site_at(module.to_image(pc), kind).ok_or_else(unknown)?;
    let caller = Caller { modules, frame, activation: activation_of_caller, callers };
    let callee = function_start(modules, activation.lookup()).ok_or_else(unknown)?;
    if !caller.calls(module, site.callee, callee) || may_come_back(modules, callee) {
        // It called another, which jumped here, or this one, which jumped around
        // and is here again: what it was passed is not known.
        return Err(unknown());
    }
    let passed = site.passes.into_iter().find(|(passed, _)| *passed == reg);
    caller.run(module, passed.ok_or_else(unknown)?.1)
}

/// Whether a function may be entered again, with other arguments, by jumps at
/// the ends of functions that it ends in a jump to.
fn may_come_back(modules: &Modules, start: VirtAddr) -> bool {
    const MOST: usize = 64;
    let mut seen = HashSet::new();
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        let Some(module) = modules.at(at) else { continue };
        for call in module.image.tail_calls_at(module.to_image(at)) {
            let Some(next) = target(modules, module, &call.callee) else { return true };
            if next == start || seen.len() >= MOST {
                return true;
            }
            open.extend(seen.insert(next).then_some(next));
        }
    }
    false
}

/// The frame of a caller.
struct Caller<'a> {
    modules: &'a Modules,
    /// Any frame of the thread.
    frame: &'a dyn Frame,
    activation: Activation,
    /// How many callers further out may be asked.
    callers: usize,
}

impl Caller<'_> {
    fn run(&self, module: &Module, mut program: location::Program) -> Result<u64, String> {
        location::relocate_program(&mut program, module.bias);
        location::run(&program, self).map_err(|error| error.to_string())
    }

    /// Whether a call from it is one of the function that starts at an address.
    fn calls(&self, module: &Module, callee: Callee, start: VirtAddr) -> bool {
        match callee {
            Callee::At(at) => module.bias.to_virt(at) == start,
            Callee::Named(name) => self.modules.at(start).is_some_and(|of| {
                let function = of.image.function_at(of.to_image(start));
                function
                    .is_some_and(|it| it.linkage_name.as_ref() == Some(&name) || it.name == name)
            }),
            Callee::Computed(program) => self.run(module, program) == Ok(start.get()),
            Callee::Unknown => false,
        }
    }
}

impl ReadMemory for Caller<'_> {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        self.frame.read_some(addr, buf)
    }
}

impl Frame for Caller<'_> {
    fn register(&self, reg: Reg) -> Result<u64, String> {
        let known = self.activation.registers.get(reg);
        known.ok_or_else(|| format!("${reg} is not known in the calling frame"))
    }

    fn kept_register(&self, reg: Reg) -> Result<u64, String> {
        let kept = self.activation.registers.if_untouched(reg);
        kept.map_or_else(|| self.register(reg), Ok)
    }

    fn entry_register(&self, reg: Reg) -> Result<u64, String> {
        asked(self.modules, self.frame, &self.activation, reg, self.callers)
    }

    fn tls_address(&self, module: ModuleId, offset: u64) -> Result<VirtAddr, String> {
        self.frame.tls_address(module, offset)
    }
}
