//! Structures, classes, unions, and Rust's enums with data.

use gimli::constants as dw;
use gimli::{AttributeValue, DwDsc, DwTag, Operation};
use trapline_core::ModuleId;
use trapline_core::types::{
    BitField, GenericArgument, Member, Record, RecordFlavour, StaticMember, TypeRef, VirtualBase,
    VirtualFunction,
};

use super::die::Die;
use super::scalar::{constant, fit, has_signed_type};
use super::size::byte_size;
use super::{type_link, type_offset};
use crate::demangle::demangled;
use crate::dies;
use crate::units::Slice;

/// Values that one range of discriminants may list.
const MAX_RANGE: usize = 4096;

/// The description of a record from its entry.
pub(super) fn record(die: &Die<'_>, module: ModuleId) -> Record {
    let mut members: Vec<Member> = Vec::new();
    let mut statics = Vec::new();
    let mut virtual_bases = Vec::new();
    let mut virtual_functions = Vec::new();
    let mut arguments = Vec::new();
    let mut flavour = flavour_of(die.tag());
    for child in die.children() {
        match child.tag() {
            dw::DW_TAG_inheritance if is_virtual(&child) => {
                virtual_bases.extend(virtual_base(&child, module));
            }
            dw::DW_TAG_member | dw::DW_TAG_variable if is_static(&child) => {
                let before = members.iter().filter(|member| !member.base_class).count();
                statics.extend(static_member(&child, module, before));
            }
            dw::DW_TAG_member | dw::DW_TAG_inheritance => members.extend(member(&child, module)),
            dw::DW_TAG_variant_part => {
                let (discriminant, variants) = variants(&child, module);
                flavour = RecordFlavour::Variants { discriminant };
                members.extend(variants);
            }
            dw::DW_TAG_subprogram if is_virtual(&child) => {
                virtual_functions.extend(virtual_function(&child));
            }
            dw::DW_TAG_GNU_template_parameter_pack => {
                arguments.extend(die_arguments(&child.children(), module));
            }
            _ => arguments.extend(argument(&child, module)),
        }
    }
    // A stable sort: base classes come first, all else stays in order.
    members.sort_by_key(|member| !member.base_class);
    let declaration = die.flag(dw::DW_AT_declaration);
    Record {
        flavour,
        language: dies::style(die.unit),
        members,
        statics,
        virtual_bases,
        virtual_functions,
        declaration,
        arguments,
    }
}

fn die_arguments(dies: &[Die<'_>], module: ModuleId) -> Vec<GenericArgument> {
    dies.iter().filter_map(|die| argument(die, module)).collect()
}

/// What an entry says of one template parameter; `None` for other entries.
fn argument(die: &Die<'_>, module: ModuleId) -> Option<GenericArgument> {
    match die.tag() {
        dw::DW_TAG_template_type_parameter => {
            let ty = die.type_reference().map(|at| type_link(module, at));
            Some(GenericArgument::Type(ty))
        }
        dw::DW_TAG_template_value_parameter => {
            let number = die.value(dw::DW_AT_const_value).and_then(constant);
            Some(number.map_or(GenericArgument::Other, GenericArgument::Number))
        }
        dw::DW_TAG_GNU_template_template_param => Some(GenericArgument::Other),
        _ => None,
    }
}

fn flavour_of(tag: DwTag) -> RecordFlavour {
    match tag {
        dw::DW_TAG_class_type | dw::DW_TAG_interface_type => RecordFlavour::Class,
        dw::DW_TAG_union_type => RecordFlavour::Union,
        _ => RecordFlavour::Struct,
    }
}

fn virtual_base(inheritance: &Die<'_>, module: ModuleId) -> Option<VirtualBase> {
    let ty = type_link(module, inheritance.type_reference()?);
    Some(VirtualBase { ty, slot: distance_slot(inheritance) })
}

/// DWARF 5 section 5.7.8: its place in the table is a constant, as an expression.
fn virtual_function(function: &Die<'_>) -> Option<VirtualFunction> {
    let name = demangled(&function.text(dw::DW_AT_linkage_name)?)?;
    let slot = match function.value(dw::DW_AT_vtable_elem_location)? {
        AttributeValue::Exprloc(expression) => {
            let mut operations = expression.operations(function.unit.encoding());
            match operations.next().ok().flatten()? {
                Operation::UnsignedConstant { value } => value,
                _ => return None,
            }
        }
        value => value.udata_value()?,
    };
    Some(VirtualFunction { name, slot })
}

/// The slot in what gcc and clang say of a virtual base's place: the object's
/// address plus what stands so many bytes before the place that its first word
/// points to.
fn distance_slot(inheritance: &Die<'_>) -> Option<i64> {
    let value = inheritance.value(dw::DW_AT_data_member_location)?;
    let AttributeValue::Exprloc(expression) = value else { return None };
    let mut operations = expression.operations(inheritance.unit.encoding());
    let mut next = || operations.next().ok().flatten();
    let word = |operation| matches!(operation, Some(Operation::Deref { size: 8, .. }));
    let copied = matches!(next(), Some(Operation::Pick { index: 0 }));
    if !copied || !word(next()) {
        return None;
    }
    let slot = match next()? {
        Operation::UnsignedConstant { value } => i64::try_from(value).ok()?,
        Operation::SignedConstant { value } => value,
        _ => return None,
    };
    let slot = match next()? {
        Operation::Minus => slot.checked_neg()?,
        Operation::Plus => slot,
        _ => return None,
    };
    let added = word(next()) && matches!(next(), Some(Operation::Plus));
    (added && next().is_none()).then_some(slot)
}

fn is_virtual(die: &Die<'_>) -> bool {
    matches!(
        die.value(dw::DW_AT_virtuality),
        Some(AttributeValue::Virtuality(kind)) if kind != dw::DW_VIRTUALITY_none
    )
}

/// DWARF 4 has static members as members that are variables elsewhere, DWARF 5
/// section 5.7.7 as variables.
fn is_static(die: &Die<'_>) -> bool {
    die.tag() == dw::DW_TAG_variable
        || die.flag(dw::DW_AT_external)
        || die.flag(dw::DW_AT_declaration)
}

fn static_member(die: &Die<'_>, module: ModuleId, before: usize) -> Option<StaticMember> {
    Some(StaticMember {
        name: die.name()?,
        ty: type_link(module, die.type_reference()?),
        declared: TypeRef { module, offset: type_offset(die.at) },
        before,
    })
}

/// A data member or a base class with a fixed place.
fn member(die: &Die<'_>, module: ModuleId) -> Option<Member> {
    let base_class = die.tag() == dw::DW_TAG_inheritance;
    let (offset, bits) = placement(die)?;
    Some(Member {
        name: if base_class { String::new() } else { die.name().unwrap_or_default() },
        ty: type_link(module, die.type_reference()?),
        offset,
        bits,
        base_class,
        variant: None,
    })
}

fn placement(die: &Die<'_>) -> Option<(u64, Option<BitField>)> {
    let start = match die.value(dw::DW_AT_data_member_location) {
        Some(value) => member_location(die, value)?,
        None => 0,
    };
    let Some(width) = die.number(dw::DW_AT_bit_size) else { return Some((start, None)) };
    let unit = member_size(die).unwrap_or(8).clamp(1, 16);
    let first_bit = match (die.number(dw::DW_AT_data_bit_offset), die.value(dw::DW_AT_bit_offset)) {
        (Some(bit), _) => start.checked_mul(8)?.checked_add(bit)?,
        // Before DWARF 4, counted from the most significant bit of the unit.
        (None, Some(from_top)) => {
            let storage = die.number(dw::DW_AT_byte_size).unwrap_or(unit);
            let top = start.checked_add(storage)?.checked_mul(8)?;
            top.checked_add_signed(from_top.sdata_value()?.checked_neg()?)?.checked_sub(width)?
        }
        (None, None) => start.checked_mul(8)?,
    };
    let (offset, bits) = bit_field(first_bit, u32::try_from(width).ok()?, unit);
    Some((offset, Some(bits)))
}

/// Splits a bit position into the storage unit of the declared type around it
/// and the bits within; a packed field that crosses units starts at its first
/// byte.
fn bit_field(first_bit: u64, width: u32, unit: u64) -> (u64, BitField) {
    let within = |bytes: u64| {
        let shift = (first_bit % (bytes * 8)) as u32;
        (first_bit / (bytes * 8) * bytes, BitField { shift, width })
    };
    let (offset, bits) = within(unit);
    let fits = u64::from(bits.shift) + u64::from(width) <= unit * 8;
    if fits { (offset, bits) } else { within(1) }
}

fn member_size(die: &Die<'_>) -> Option<u64> {
    byte_size(&Die::open(die.units, die.type_reference()?)?)
}

/// A constant, or DWARF 2's expression that adds to the record's address.
fn member_location(die: &Die<'_>, value: AttributeValue<Slice>) -> Option<u64> {
    let AttributeValue::Exprloc(expression) = value else { return value.udata_value() };
    let mut operations = expression.operations(die.unit.encoding());
    let first = operations.next().ok().flatten()?;
    match (first, operations.next()) {
        (Operation::PlusConstant { value }, Ok(None)) => Some(value),
        _ => None,
    }
}

/// The discriminant and the variants of a `DW_TAG_variant_part`. DWARF 5
/// section 5.7.10.
fn variants(part: &Die<'_>, module: ModuleId) -> (Option<Box<Member>>, Vec<Member>) {
    let discriminant = part.follow(dw::DW_AT_discr);
    let values = DiscriminantType {
        size: discriminant.as_ref().and_then(member_size),
        signed: discriminant.as_ref().is_some_and(has_signed_type),
    };
    let members = part.children().into_iter().filter(|child| child.tag() == dw::DW_TAG_variant);
    let members = members.flat_map(|variant| {
        let selects = values.selecting(&variant);
        let fields =
            variant.children().into_iter().filter(|child| child.tag() == dw::DW_TAG_member);
        let fields = fields.filter_map(|field| member(&field, module));
        fields.map(move |field| Member { variant: Some(selects.clone()), ..field })
    });
    let members = members.collect();
    (discriminant.and_then(|die| member(&die, module)).map(Box::new), members)
}

struct DiscriminantType {
    size: Option<u64>,
    signed: bool,
}

impl DiscriminantType {
    /// The discriminants that select a variant; none for the default.
    fn selecting(&self, variant: &Die<'_>) -> Vec<i128> {
        if let Some(value) = variant.value(dw::DW_AT_discr_value).and_then(constant) {
            return vec![fit(value, self.size, self.signed)];
        }
        match variant.value(dw::DW_AT_discr_list) {
            Some(AttributeValue::Block(list)) => self.list(list).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// DWARF 5 section 7.5.7: a label or a range, LEB128 numbers throughout.
    fn list(&self, mut list: Slice) -> gimli::Result<Vec<i128>> {
        use gimli::Reader;
        let mut values = Vec::new();
        while !list.is_empty() {
            let kind = DwDsc(list.read_u8()?);
            let low = self.leb128(&mut list)?;
            let high = match kind {
                dw::DW_DSC_label => low,
                dw::DW_DSC_range => self.leb128(&mut list)?,
                _ => break,
            };
            values.extend((low..=high).take(MAX_RANGE));
        }
        Ok(values)
    }

    fn leb128(&self, list: &mut Slice) -> gimli::Result<i128> {
        use gimli::Reader;
        if self.signed {
            list.read_sleb128().map(i128::from)
        } else {
            list.read_uleb128().map(i128::from)
        }
    }
}
