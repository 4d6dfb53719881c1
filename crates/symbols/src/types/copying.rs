//! Whether objects may be copied byte by byte, and so be handed around in
//! registers, and in which kind. Itanium C++ ABI, 3.1.1 and 3.1.4: not those with a copy
//! or move constructor or a destructor that does something.

use gimli::AttributeValue;
use gimli::constants as dw;

use super::die::Die;
use super::size::strip;
use crate::names;
use crate::units::Units;

/// Most classes that are looked at.
const MAX_CLASSES: usize = 1024;

/// Whether values of a type, which is stripped of aliases, may be copied so.
pub(crate) fn by_bytes(die: &Die<'_>, units: &Units) -> bool {
    copies(die, units, &mut { MAX_CLASSES })
}

fn copies(die: &Die<'_>, units: &Units, budget: &mut usize) -> bool {
    let Some(left) = budget.checked_sub(1) else { return true };
    *budget = left;
    match die.value(dw::DW_AT_calling_convention) {
        Some(AttributeValue::CallingConvention(dw::DW_CC_pass_by_reference)) => return false,
        Some(AttributeValue::CallingConvention(dw::DW_CC_pass_by_value)) => return true,
        _ => {}
    }
    let is_class = matches!(
        die.tag(),
        dw::DW_TAG_class_type | dw::DW_TAG_structure_type | dw::DW_TAG_union_type
    );
    if die.tag() == dw::DW_TAG_array_type {
        let element = die.type_reference().and_then(|at| strip(units, at));
        return element.is_none_or(|it| copies(&it, units, budget));
    }
    if !is_class {
        return true;
    }
    die.children().iter().all(|child| match child.tag() {
        dw::DW_TAG_subprogram => !is_virtual(child) && !does_something(die, child, units),
        dw::DW_TAG_inheritance if is_virtual(child) => false,
        dw::DW_TAG_inheritance | dw::DW_TAG_member => {
            let is_static = child.flag(dw::DW_AT_external) || child.flag(dw::DW_AT_declaration);
            let part = child.type_reference().filter(|_| !is_static);
            part.and_then(|at| strip(units, at)).is_none_or(|it| copies(&it, units, budget))
        }
        _ => true,
    })
}

/// Whether a vector of the processor's is in a type: those go by registers of
/// their own.
pub(crate) fn holds_vectors(die: &Die<'_>, units: &Units) -> bool {
    vectors(die, units, &mut { MAX_CLASSES })
}

fn vectors(die: &Die<'_>, units: &Units, budget: &mut usize) -> bool {
    let Some(left) = budget.checked_sub(1) else { return true };
    *budget = left;
    let mut within = |part: &Die<'_>| {
        let part = part.type_reference().and_then(|at| strip(units, at));
        part.is_some_and(|it| vectors(&it, units, budget))
    };
    match die.tag() {
        dw::DW_TAG_array_type => die.flag(dw::DW_AT_GNU_vector) || within(die),
        dw::DW_TAG_class_type | dw::DW_TAG_structure_type | dw::DW_TAG_union_type => {
            let children = die.children();
            let mut parts = children.iter().filter(|child| {
                matches!(child.tag(), dw::DW_TAG_member | dw::DW_TAG_inheritance)
                    && !child.flag(dw::DW_AT_external)
            });
            parts.any(within)
        }
        _ => false,
    }
}

fn is_virtual(die: &Die<'_>) -> bool {
    matches!(
        die.value(dw::DW_AT_virtuality),
        Some(AttributeValue::Virtuality(kind)) if kind != dw::DW_VIRTUALITY_none
    )
}

/// Whether a member function is a destructor or a constructor that copies, and
/// was written by somebody.
fn does_something(class: &Die<'_>, function: &Die<'_>, units: &Units) -> bool {
    let written = !function.flag(dw::DW_AT_artificial)
        && !function.flag(dw::DW_AT_deleted)
        && !function.has(dw::DW_AT_defaulted);
    let (Some(own), Some(name)) = (class.name(), function.name()) else { return false };
    let own = names::base(&own);
    match name.strip_prefix('~') {
        Some(destroyed) => written && names::base(destroyed) == own,
        None => written && names::base(&name) == own && takes_its_like(class, function, units),
    }
}

/// Whether the one parameter besides the object is a reference to its class.
fn takes_its_like(class: &Die<'_>, function: &Die<'_>, units: &Units) -> bool {
    let children = function.children();
    let mut parameters = children.iter().filter(|child| {
        child.tag() == dw::DW_TAG_formal_parameter && !child.flag(dw::DW_AT_artificial)
    });
    let (Some(first), None) = (parameters.next(), parameters.next()) else { return false };
    let reference = first.type_reference().and_then(|at| strip(units, at));
    let Some(reference) = reference.filter(|it| {
        matches!(it.tag(), dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type)
    }) else {
        return false;
    };
    let like = reference.type_reference().and_then(|at| strip(units, at));
    like.is_some_and(|like| like.at == class.at)
}
