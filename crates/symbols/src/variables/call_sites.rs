//! Calls as the calling function describes them: whom they call and what they
//! pass in registers (DWARF 5 section 3.4). Evaluating it in the caller's frame,
//! and which calls led where, is left to the engine.

use gimli::constants as dw;
use trapline_core::ImageAddr;
use trapline_core::location::{Place, Program};
use trapline_core::x64::Reg;

use crate::location::{Doing, Scene, lower_attribute};
use crate::types::die::Die;
use crate::units::{DieRef, Entry, Value};
use crate::{Image, PcKind, dies};

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
    /// The function of the same image that begins here.
    At(ImageAddr),
    /// The function of this linkage name, or of this name when it has none.
    Named(String),
    /// The one at the address that this computes in the caller's frame.
    Computed(Program),
    /// Nothing says.
    Unknown,
}

/// A jump to another function in place of a call and a return.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TailCall {
    /// Whom it calls; one that is computed is [`Callee::Unknown`].
    pub callee: Callee,
    /// What stands for it as the pc of the function that ended in it: as some
    /// compilers have it where a call would return to, as others the jump.
    pub pc: ImageAddr,
    /// Which of them.
    pub kind: PcKind,
}

impl Image {
    /// The call for which a pc stands in its function.
    pub fn call_site_at(&self, pc: ImageAddr, kind: PcKind) -> Option<CallSite> {
        let lookup = kind.lookup(pc);
        let function = self.function_entry_at(lookup)?;
        let mut site = None;
        self.visit_within(function.at, |_, offset, entry| {
            if site.is_none() && is_call(entry) && pc_of(&function, entry) == Some((pc, kind)) {
                site = Some(DieRef { unit: function.at.unit, offset });
            }
        });
        let site = Die::open(self.units(), site?)?;
        Some(self.in_scene(&function, lookup, Doing::Running, |scene| CallSite {
            callee: callee(&site, scene),
            passes: site.children().iter().filter_map(|child| passed(child, scene)).collect(),
        }))
    }

    /// The jumps that the function around an address ends in, in place of calls
    /// and returns.
    pub fn tail_calls_at(&self, pc: ImageAddr) -> Vec<TailCall> {
        let Some(function) = self.function_entry_at(pc) else { return Vec::new() };
        let mut found = Vec::new();
        self.visit_within(function.at, |_, offset, entry| {
            let tail = [dw::DW_AT_call_tail_call, dw::DW_AT_GNU_tail_call];
            if is_call(entry) && tail.into_iter().any(|attribute| entry.has_attr(attribute)) {
                let at = DieRef { unit: function.at.unit, offset };
                found.extend(pc_of(&function, entry).map(|place| (at, place)));
            }
        });
        let told = |at| Some(said_callee(&Die::open(self.units(), at)?));
        let calls = found.into_iter().map(|(at, (pc, kind))| {
            let callee = told(at).flatten().unwrap_or(Callee::Unknown);
            TailCall { callee, pc, kind }
        });
        calls.collect()
    }
}

/// The pc that stands for a call: where it returns to, or, of jumps in place of
/// calls, perhaps its own.
fn pc_of(function: &Die<'_>, call: &Entry) -> Option<(ImageAddr, PcKind)> {
    let address = |attribute| {
        let value = call.attr_value(attribute)?;
        function.unit.attr_address(value).ok()?.map(ImageAddr::new)
    };
    let returns_to = address(dw::DW_AT_call_return_pc).or_else(|| address(dw::DW_AT_low_pc));
    let returns_to = returns_to.map(|pc| (pc, PcKind::ReturnAddress));
    returns_to.or_else(|| Some((address(dw::DW_AT_call_pc)?, PcKind::Exact)))
}

fn is_call(entry: &Entry) -> bool {
    matches!(entry.tag(), dw::DW_TAG_call_site | dw::DW_TAG_GNU_call_site)
}

fn callee(site: &Die<'_>, scene: Scene<'_>) -> Callee {
    if let Some(said) = said_callee(site) {
        return said;
    }
    let target = [dw::DW_AT_call_target, dw::DW_AT_GNU_call_site_target];
    let computed = target.into_iter().find_map(|attribute| site.value(attribute));
    computed.and_then(|value| program(value, scene)).map_or(Callee::Unknown, Callee::Computed)
}

/// Whom a call calls by its description alone; `None` is one that is computed.
fn said_callee(site: &Die<'_>) -> Option<Callee> {
    let function = origin_of(site)?;
    let start = Die::open(site.units, function)
        .and_then(|die| dies::entry_pc(die.unit, &die.entry, &dies::ranges(die.unit, &die.entry)));
    let named = || name_of(site, function).map_or(Callee::Unknown, Callee::Named);
    Some(start.map_or_else(named, |start| Callee::At(ImageAddr::new(start))))
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
