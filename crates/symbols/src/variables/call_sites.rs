//! Calls as the calling function describes them: whom they call and what they
//! pass in registers (DWARF 5 section 3.4). Evaluating it in the caller's frame
//! is left to the engine.

use gimli::constants as dw;
use trapline_core::ImageAddr;
use trapline_core::location::{Place, Program};
use trapline_core::x64::Reg;

use crate::location::{Doing, Scene, lower_attribute};
use crate::types::die::Die;
use crate::units::{DieRef, Entry, Value};
use crate::{Image, dies};

/// A call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallSite {
    /// Whom it calls.
    pub callee: Callee,
    /// What it passes: the register, and what computes the value in the
    /// caller's frame.
    pub passes: Vec<(Reg, Program)>,
}

/// Whom a call calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Callee {
    /// The function of this linkage name, or of this name when it has none.
    Named(String),
    /// The one at the address that this computes in the caller's frame.
    Computed(Program),
    /// Nothing says.
    Unknown,
}

impl Image {
    /// The call that returns to an address.
    pub fn call_site_at(&self, returns_to: ImageAddr) -> Option<CallSite> {
        let pc = ImageAddr::new(returns_to.get().checked_sub(1)?);
        let function = self.function_entry_at(pc)?;
        let mut site = None;
        self.visit_within(function.at, |_, offset, entry| {
            if site.is_none()
                && is_call(entry)
                && self.returns_to(&function, entry) == Some(returns_to.get())
            {
                site = Some(DieRef { unit: function.at.unit, offset });
            }
        });
        let site = Die::open(self.units(), site?)?;
        Some(self.in_scene(&function, pc, Doing::Running, |scene| CallSite {
            callee: callee(&site, scene),
            passes: site.children().iter().filter_map(|child| passed(child, scene)).collect(),
        }))
    }

    /// Whom the function around an address ends in a jump to, in place of a call
    /// and a return.
    pub fn tail_calls_at(&self, pc: ImageAddr) -> Vec<Callee> {
        let Some(function) = self.function_entry_at(pc) else { return Vec::new() };
        let mut found = Vec::new();
        self.visit_within(function.at, |_, offset, entry| {
            let tail = [dw::DW_AT_call_tail_call, dw::DW_AT_GNU_tail_call];
            if is_call(entry) && tail.into_iter().any(|attribute| entry.has_attr(attribute)) {
                found.push(DieRef { unit: function.at.unit, offset });
            }
        });
        let name = |at| {
            let site = Die::open(self.units(), at)?;
            name_of(&site, origin_of(&site)?)
        };
        found.into_iter().map(|at| name(at).map_or(Callee::Unknown, Callee::Named)).collect()
    }

    fn returns_to(&self, function: &Die<'_>, call: &Entry) -> Option<u64> {
        let value = call
            .attr_value(dw::DW_AT_call_return_pc)
            .or_else(|| call.attr_value(dw::DW_AT_low_pc))?;
        function.unit.attr_address(value).ok()?
    }
}

fn is_call(entry: &Entry) -> bool {
    matches!(entry.tag(), dw::DW_TAG_call_site | dw::DW_TAG_GNU_call_site)
}

fn callee(site: &Die<'_>, scene: Scene<'_>) -> Callee {
    if let Some(at) = origin_of(site) {
        let name = name_of(site, at);
        return name.map_or(Callee::Unknown, Callee::Named);
    }
    let target = [dw::DW_AT_call_target, dw::DW_AT_GNU_call_site_target];
    let computed = target.into_iter().find_map(|attribute| site.value(attribute));
    computed.and_then(|value| program(value, scene)).map_or(Callee::Unknown, Callee::Computed)
}

/// The function that a call names.
fn origin_of(site: &Die<'_>) -> Option<DieRef> {
    let origin = [dw::DW_AT_call_origin, dw::DW_AT_abstract_origin];
    origin.into_iter().find_map(|attribute| site.reference(attribute))
}

fn name_of(site: &Die<'_>, function: DieRef) -> Option<String> {
    let chain = dies::origins(site.units, function);
    dies::linkage_name(site.units, &chain).or_else(|| {
        let (_, text) = dies::chain_string(site.units, &chain, &[dw::DW_AT_name])?;
        String::from_utf8(text.to_vec()).ok()
    })
}

/// The register and value of a parameter of a call.
fn passed(parameter: &Die<'_>, scene: Scene<'_>) -> Option<(Reg, Program)> {
    let value = [dw::DW_AT_call_value, dw::DW_AT_GNU_call_site_value];
    let value = value.into_iter().find_map(|attribute| parameter.value(attribute))?;
    match lower_attribute(parameter.value(dw::DW_AT_location)?, None, scene) {
        Place::Register(reg) => Some((reg, program(value, scene)?)),
        _ => None,
    }
}

/// The program of an expression that yields a value.
fn program(value: Value, scene: Scene<'_>) -> Option<Program> {
    match lower_attribute(value, None, scene) {
        Place::Memory(program) | Place::Value(program) => Some(program),
        _ => None,
    }
}
