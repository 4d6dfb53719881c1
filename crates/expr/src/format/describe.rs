//! Types opened up, as gdb's `ptype` shows them.

use std::fmt::Write as _;
use std::sync::Arc;

use trapline_core::types::{
    AliasFlavour, Enumerator, Language, Member, Own, PointerFlavour, Record, RecordFlavour,
    ResolveType, StaticMember, Type, TypeKind,
};

use super::spell::{declare, in_brackets};
use super::{describe_rust, type_name};

/// How deep records without names are opened inside each other.
const MAX_OPENED: usize = 4;

/// A type with its typedefs followed and its members or enumerators listed,
/// one a line. Pointers and arrays of such types show the opened type once.
///
/// # Errors
/// The debug information is corrupt; a sentence.
pub fn describe_type(ty: &Arc<Type>, types: &dyn ResolveType) -> Result<String, String> {
    let (core, suffix) = outer_marks(ty, types)?;
    let text = match &core.kind {
        TypeKind::Record(record) if record.language == Language::Rust => {
            describe_rust::record(&core.name, record, types)
        }
        TypeKind::Record(record) => describe_record(&core, record, types, 0),
        TypeKind::Enum { enumerators, scope, .. } => describe_enum(&core, scope, enumerators),
        _ => return Ok(type_name(&*untypedef(ty, types)?, types)),
    };
    Ok(if suffix.is_empty() { text } else { format!("{text} {suffix}") })
}

/// Takes typedefs off, but not qualifiers.
fn untypedef(ty: &Arc<Type>, types: &dyn ResolveType) -> Result<Arc<Type>, String> {
    let mut current = ty.clone();
    for _ in 0..64 {
        let TypeKind::Alias { flavour: AliasFlavour::Typedef, target: Some(link) } = &current.kind
        else {
            return Ok(current);
        };
        current = types.follow(link)?;
    }
    Err("the type's aliases form a cycle (corrupt debug information)".to_owned())
}

/// The record or other type under pointers and arrays, and their marks.
fn outer_marks(ty: &Arc<Type>, types: &dyn ResolveType) -> Result<(Arc<Type>, String), String> {
    let mut current = types.strip(ty)?;
    let mut marks = String::new();
    for _ in 0..64 {
        let next = match &current.kind {
            TypeKind::Pointer { target: Some(link), flavour } if current.name.is_empty() => {
                let mark = if *flavour == PointerFlavour::Pointer { '*' } else { '&' };
                marks.insert(0, mark);
                types.follow(link)?
            }
            // Rust's have names.
            TypeKind::Array { element, count } if current.name.is_empty() => {
                let count = in_brackets(*count);
                let _ = write!(marks, "[{count}]");
                types.follow(element)?
            }
            _ => return Ok((current, marks)),
        };
        current = types.strip(&next)?;
    }
    Ok((current, marks))
}

fn describe_record(ty: &Type, record: &Record, types: &dyn ResolveType, depth: usize) -> String {
    let indent = "    ".repeat(depth + 1);
    let tag = match record.flavour {
        RecordFlavour::Struct => "struct",
        RecordFlavour::Class => "class",
        RecordFlavour::Union => "union",
        RecordFlavour::Variants { .. } => "enum",
    };
    let gap = if ty.name.is_empty() { "" } else { " " };
    let mut text = format!("{tag}{gap}{}", ty.name);
    let (bases, members): (Vec<&Member>, Vec<&Member>) =
        record.members.iter().partition(|member| member.base_class);
    let fixed = bases.iter().map(|base| ("public", &base.ty));
    let bases = fixed.chain(record.virtual_bases.iter().map(|base| ("public virtual", &base.ty)));
    for (index, (how, base)) in bases.enumerate() {
        let lead = if index == 0 { " : " } else { ", " };
        let name = types.follow(base).map(|ty| ty.name.clone());
        let _ = write!(text, "{lead}{how} {}", name.unwrap_or_else(|_| "?".to_owned()));
    }
    text.push_str(" {\n");
    if record.declaration {
        let _ = writeln!(text, "{indent}<incomplete type>");
    } else if members.is_empty() && record.statics.is_empty() {
        let _ = writeln!(text, "{indent}<no data fields>");
    }
    for own in record.in_order() {
        let line = match own {
            Own::Data(member) => describe_member(member, types, depth),
            Own::Static(member) => describe_static(member, types),
        };
        let _ = writeln!(text, "{indent}{line};");
    }
    text.push_str(&"    ".repeat(depth));
    text.push('}');
    text
}

/// One member's declaration; a record or an enumeration without a name is opened
/// in its place.
fn describe_member(member: &Member, types: &dyn ResolveType, depth: usize) -> String {
    let ty = match types.follow(&member.ty) {
        Ok(ty) => ty,
        Err(why) => return format!("<{why}> {}", member.name),
    };
    let line = match &ty.kind {
        TypeKind::Record(inner) if ty.name.is_empty() && depth < MAX_OPENED => {
            let opened = describe_record(&ty, inner, types, depth + 1);
            let gap = if member.name.is_empty() { "" } else { " " };
            format!("{opened}{gap}{}", member.name)
        }
        TypeKind::Enum { enumerators, scope, .. } if ty.name.is_empty() => {
            format!("{} {}", describe_enum(&ty, scope, enumerators), member.name)
        }
        _ => declare(&ty, types, member.name.clone(), 0),
    };
    match member.bits {
        Some(bits) => format!("{line} : {}", bits.width),
        None => line,
    }
}

fn describe_static(member: &StaticMember, types: &dyn ResolveType) -> String {
    match types.follow(&member.ty) {
        Ok(ty) => format!("static {}", declare(&ty, types, member.name.clone(), 0)),
        Err(why) => format!("static <{why}> {}", member.name),
    }
}

fn describe_enum(ty: &Type, scope: &str, enumerators: &[Enumerator]) -> String {
    let mut next = 0;
    let mut parts = Vec::new();
    for each in enumerators {
        if each.value == next {
            parts.push(format!("{scope}{}", each.name));
        } else {
            parts.push(format!("{scope}{} = {}", each.name, each.value));
        }
        next = each.value.saturating_add(1);
    }
    let gap = if ty.name.is_empty() { "" } else { " " };
    format!("enum{gap}{} {{{}}}", ty.name, parts.join(", "))
}
