//! Rust's types opened up, as Rust declares them.

use trapline_core::types::{Member, Record, RecordFlavour, ResolveType, TypeKind, TypeLink};

use super::aggregate::{is_tuple, short_name, variant_name};
use super::type_name;

/// A structure, a union or an enumeration with data, a member or variant a line.
pub(super) fn record(name: &str, record: &Record, types: &dyn ResolveType) -> String {
    if record.declaration {
        return format!("struct {name} {{\n    <incomplete type>\n}}");
    }
    match record.flavour {
        // A tuple, which has no other name.
        _ if name.starts_with('(') => name.to_owned(),
        RecordFlavour::Variants { .. } => {
            let variants = record.members.iter().map(|member| variant(member, types));
            format!("enum {name} {}", in_lines(variants))
        }
        _ if record.members.is_empty() => format!("struct {name};"),
        _ if is_tuple(record) => format!("struct {name}({});", positions(record, types)),
        RecordFlavour::Union => format!("union {name} {}", in_lines(fields(record, types))),
        _ => format!("struct {name} {}", in_lines(fields(record, types))),
    }
}

fn in_lines(lines: impl Iterator<Item = String>) -> String {
    let lines: String = lines.map(|line| format!("    {line},\n")).collect();
    format!("{{\n{lines}}}")
}

/// `Some(u32)`, `Point {x: i32, y: i32}`, `None`.
fn variant(member: &Member, types: &dyn ResolveType) -> String {
    let inner = match types.follow(&member.ty) {
        Ok(inner) => inner,
        Err(why) => return format!("{} <{why}>", member.name),
    };
    let name = short_name(variant_name(member, &inner));
    match &inner.kind {
        TypeKind::Record(record) if record.members.is_empty() => name.to_owned(),
        TypeKind::Record(record) if is_tuple(record) => {
            format!("{name}({})", positions(record, types))
        }
        TypeKind::Record(record) => {
            format!("{name} {{{}}}", fields(record, types).collect::<Vec<_>>().join(", "))
        }
        _ => format!("{name}({})", type_name(&inner, types)),
    }
}

/// `x: i32` of each member.
fn fields<'a>(record: &'a Record, types: &'a dyn ResolveType) -> impl Iterator<Item = String> + 'a {
    record.members.iter().map(|member| format!("{}: {}", member.name, spelled(&member.ty, types)))
}

/// The types of a tuple's members.
fn positions(record: &Record, types: &dyn ResolveType) -> String {
    let all = record.members.iter().map(|member| spelled(&member.ty, types));
    all.collect::<Vec<_>>().join(", ")
}

fn spelled(ty: &TypeLink, types: &dyn ResolveType) -> String {
    match types.follow(ty) {
        Ok(ty) => type_name(&ty, types),
        Err(why) => format!("<{why}>"),
    }
}
