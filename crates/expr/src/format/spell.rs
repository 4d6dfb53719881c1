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
        TypeKind::Alias { .. } => qualified(ty, types, Qualifiers::default(), declarator, depth),
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
            inside(element, format!("{declarator}[{}]", in_brackets(*count)))
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
    let mut link = link.clone();
    for _ in 0..limits::MAX_PRINT_DEPTH {
        let Ok(target) = types.follow(&link) else { return false };
        match &target.kind {
            TypeKind::Array { .. } | TypeKind::Function { .. } => return target.name.is_empty(),
            TypeKind::Alias { flavour, target: Some(inner) }
                if *flavour != AliasFlavour::Typedef =>
            {
                link = inner.clone();
            }
            _ => return false,
        }
    }
    false
}

/// The qualifiers of a type, each once.
#[derive(Clone, Copy, Default)]
struct Qualifiers {
    is_const: bool,
    is_volatile: bool,
    is_restrict: bool,
    is_atomic: bool,
}

impl Qualifiers {
    fn with(self, flavour: AliasFlavour) -> Option<Self> {
        Some(match flavour {
            AliasFlavour::Const => Self { is_const: true, ..self },
            AliasFlavour::Volatile => Self { is_volatile: true, ..self },
            AliasFlavour::Restrict => Self { is_restrict: true, ..self },
            AliasFlavour::Atomic => Self { is_atomic: true, ..self },
            AliasFlavour::Typedef => return None,
        })
    }

    /// In gdb's order.
    fn words(self) -> String {
        let all = [
            (self.is_const, "const"),
            (self.is_volatile, "volatile"),
            (self.is_restrict, "restrict"),
            (self.is_atomic, "_Atomic"),
        ];
        let words: Vec<&str> = all.iter().filter(|it| it.0).map(|it| it.1).collect();
        words.join(" ")
    }
}

/// `const int`, but `char * const`: a pointer's qualifiers stand after its star,
/// and an array's are those of its elements.
fn qualified(
    ty: &Type,
    types: &dyn ResolveType,
    qualifiers: Qualifiers,
    declarator: String,
    depth: usize,
) -> String {
    let words = qualifiers.words();
    if depth > limits::MAX_PRINT_DEPTH {
        return joined(&words, &joined("...", &declarator));
    }
    let further = |link: &TypeLink, qualifiers: Qualifiers, declarator: String| {
        let words = qualifiers.words();
        match types.follow(link) {
            Ok(inner) => qualified(&inner, types, qualifiers, declarator, depth + 1),
            Err(_) => joined(&words, &declarator),
        }
    };
    match &ty.kind {
        TypeKind::Alias { flavour, target } if let Some(all) = qualifiers.with(*flavour) => {
            match target {
                Some(link) => further(link, all, declarator),
                None => joined(&all.words(), &joined("void", &declarator)),
            }
        }
        TypeKind::Array { element, count } if ty.name.is_empty() => {
            further(element, qualifiers, format!("{declarator}[{}]", in_brackets(*count)))
        }
        TypeKind::Pointer { .. } if ty.name.is_empty() => {
            let gap = if declarator.is_empty() || declarator.starts_with('[') { "" } else { " " };
            declare(ty, types, format!(" {words}{gap}{declarator}"), depth + 1)
        }
        _ => joined(&words, &declare(ty, types, declarator, depth + 1)),
    }
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
