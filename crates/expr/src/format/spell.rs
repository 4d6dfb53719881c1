//! Types spelled as C declares them.

use trapline_core::types::{
    AliasFlavour, Count, Language, PointerFlavour, Record, RecordFlavour, ResolveType, Type,
    TypeKind, TypeLink,
};

use crate::limits;

/// A type's name: `const char *`, `int (*)[4]`, `int (char, long)`; whatever
/// has a name of its own goes by it.
pub fn type_name(ty: &Type, types: &dyn ResolveType) -> String {
    declare(ty, types, String::new(), 0)
}

/// A declaration of `declarator` as a `ty`.
pub(super) fn declare(
    ty: &Type,
    types: &dyn ResolveType,
    declarator: String,
    depth: usize,
) -> String {
    if depth > limits::MAX_PRINT_DEPTH {
        return joined("...", &declarator);
    }
    let inside = |link: &TypeLink, declarator: String| match types.follow(link) {
        Ok(target) => declare(&target, types, declarator, depth + 1),
        Err(_) => joined("<unknown type>", &declarator),
    };
    match &ty.kind {
        TypeKind::Alias { flavour: AliasFlavour::Typedef, .. } => joined(&ty.name, &declarator),
        TypeKind::Alias { flavour, target } => qualified(ty, types, *flavour, target, declarator),
        _ if !ty.name.is_empty() => joined(&with_tag(ty), &declarator),
        TypeKind::Pointer { target, flavour } => {
            let mark = match flavour {
                PointerFlavour::Pointer => "*",
                PointerFlavour::Reference => "&",
                PointerFlavour::RvalueReference => "&&",
            };
            let marked = format!("{mark}{declarator}");
            match target {
                None => joined("void", &marked),
                Some(link) if needs_parentheses(link, types) => inside(link, format!("({marked})")),
                Some(link) => inside(link, marked),
            }
        }
        TypeKind::MemberPointer { class, target } => {
            let class = class.as_ref().and_then(|link| types.follow(link).ok());
            let class = class.map_or_else(|| "?".to_owned(), |class| class.name.clone());
            let marked = format!("{class}::*{declarator}");
            // As gdb has it: not those of arrays.
            let is_function = types
                .follow(target)
                .is_ok_and(|target| matches!(target.kind, TypeKind::Function { .. }));
            inside(target, if is_function { format!("({marked})") } else { marked })
        }
        TypeKind::Array { element, count } => {
            let count = in_brackets(*count);
            let gap = if declarator.is_empty() { " " } else { "" };
            inside(element, format!("{declarator}{gap}[{count}]").trim_start().to_owned())
        }
        TypeKind::Function { result, parameters } => {
            let list: Vec<String> =
                parameters.iter().map(|link| inside(link, String::new())).collect();
            let list = if list.is_empty() { "void".to_owned() } else { list.join(", ") };
            let declarator = format!("{declarator}({list})");
            match result {
                None => joined("void", &declarator),
                Some(link) => inside(link, declarator),
            }
        }
        _ => joined(&with_tag(ty), &declarator),
    }
}

/// The length of an array as its type shows it.
pub(super) fn in_brackets(count: Count) -> String {
    match count {
        Count::Known(count) => count.to_string(),
        Count::Computed(_) => "variable length".to_owned(),
        Count::Unknown => String::new(),
    }
}

/// A base and a declarator with a blank between them.
fn joined(base: &str, declarator: &str) -> String {
    if declarator.is_empty() { base.to_owned() } else { format!("{base} {declarator}") }
}

fn needs_parentheses(link: &TypeLink, types: &dyn ResolveType) -> bool {
    types.follow(link).is_ok_and(|target| {
        target.name.is_empty()
            && matches!(target.kind, TypeKind::Array { .. } | TypeKind::Function { .. })
    })
}

/// `const int`, but `char * const`: a pointer's qualifier stands after its star.
fn qualified(
    ty: &Type,
    types: &dyn ResolveType,
    flavour: AliasFlavour,
    target: &Option<TypeLink>,
    declarator: String,
) -> String {
    let word = match flavour {
        AliasFlavour::Const => "const",
        AliasFlavour::Volatile => "volatile",
        AliasFlavour::Restrict => "restrict",
        AliasFlavour::Atomic => "_Atomic",
        AliasFlavour::Typedef => ty.name.as_str(),
    };
    let Some(link) = target else { return format!("{word} {}", joined("void", &declarator)) };
    let Ok(inner) = types.follow(link) else { return joined(word, &declarator) };
    let is_pointer = inner.name.is_empty() && matches!(inner.kind, TypeKind::Pointer { .. });
    if is_pointer {
        let gap = if declarator.is_empty() || declarator.starts_with('[') { "" } else { " " };
        return declare(&inner, types, format!(" {word}{gap}{declarator}"), 1);
    }
    format!("{word} {}", declare(&inner, types, declarator, 1))
}

/// C's `struct name`; C++ classes and Rust's types go without a tag. Of an
/// enumeration only the name's `::` tells.
fn with_tag(ty: &Type) -> String {
    let name = ty.name.as_str();
    let tag = match &ty.kind {
        TypeKind::Record(record) => tag(record),
        TypeKind::Enum { .. } => "enum",
        TypeKind::Other(what) if name.is_empty() => return format!("<{what}>"),
        TypeKind::Void if name.is_empty() => return "void".to_owned(),
        _ => "",
    };
    let spelled = if name.is_empty() { "{...}" } else { name };
    let bare = tag.is_empty() || name.contains([':', '<', '(', '&', '*']);
    if bare && !name.is_empty() { spelled.to_owned() } else { format!("{tag} {spelled}") }
}

fn tag(record: &Record) -> &'static str {
    match record.flavour {
        _ if record.language != Language::C => "",
        RecordFlavour::Struct => "struct",
        RecordFlavour::Union => "union",
        RecordFlavour::Class | RecordFlavour::Variants { .. } => "",
    }
}
