//! The types that a language has without debug information, for System V
//! x86-64: `int` is 4 bytes, `long` and pointers are 8.

use std::sync::{Arc, LazyLock};

use trapline_core::types::{BaseKind, Type, TypeLink};

use crate::ir::{FloatKind, IntKind};

/// C's and Rust's arithmetic types by name, with their sizes in bytes.
const TABLE: &[(&str, BaseKind, u64)] = &[
    ("char", BaseKind::SignedChar, 1),
    ("signed char", BaseKind::SignedChar, 1),
    ("unsigned char", BaseKind::UnsignedChar, 1),
    ("short", BaseKind::Signed, 2),
    ("unsigned short", BaseKind::Unsigned, 2),
    ("int", BaseKind::Signed, 4),
    ("unsigned int", BaseKind::Unsigned, 4),
    ("long", BaseKind::Signed, 8),
    ("unsigned long", BaseKind::Unsigned, 8),
    ("long long", BaseKind::Signed, 8),
    ("unsigned long long", BaseKind::Unsigned, 8),
    ("__int128", BaseKind::Signed, 16),
    ("unsigned __int128", BaseKind::Unsigned, 16),
    ("bool", BaseKind::Bool, 1),
    ("wchar_t", BaseKind::Unicode, 4),
    ("float", BaseKind::Float, 4),
    ("double", BaseKind::Float, 8),
    ("long double", BaseKind::Float, 16),
    ("char8_t", BaseKind::Unicode, 1),
    ("char16_t", BaseKind::Unicode, 2),
    ("char32_t", BaseKind::Unicode, 4),
    ("i8", BaseKind::Signed, 1),
    ("u8", BaseKind::Unsigned, 1),
    ("i16", BaseKind::Signed, 2),
    ("u16", BaseKind::Unsigned, 2),
    ("i32", BaseKind::Signed, 4),
    ("u32", BaseKind::Unsigned, 4),
    ("i64", BaseKind::Signed, 8),
    ("u64", BaseKind::Unsigned, 8),
    ("isize", BaseKind::Signed, 8),
    ("usize", BaseKind::Unsigned, 8),
    ("i128", BaseKind::Signed, 16),
    ("u128", BaseKind::Unsigned, 16),
    ("f32", BaseKind::Float, 4),
    ("f64", BaseKind::Float, 8),
    ("int8_t", BaseKind::SignedChar, 1),
    ("uint8_t", BaseKind::UnsignedChar, 1),
    ("int16_t", BaseKind::Signed, 2),
    ("uint16_t", BaseKind::Unsigned, 2),
    ("int32_t", BaseKind::Signed, 4),
    ("uint32_t", BaseKind::Unsigned, 4),
    ("int64_t", BaseKind::Signed, 8),
    ("uint64_t", BaseKind::Unsigned, 8),
    ("intptr_t", BaseKind::Signed, 8),
    ("uintptr_t", BaseKind::Unsigned, 8),
    ("ptrdiff_t", BaseKind::Signed, 8),
    ("ssize_t", BaseKind::Signed, 8),
    ("size_t", BaseKind::Unsigned, 8),
];

/// The table's types, made once: they stand in every program.
static TYPES: LazyLock<Vec<Arc<Type>>> = LazyLock::new(|| {
    let rows = TABLE.iter().map(|&(name, kind, size)| Arc::new(Type::base(name, kind, size)));
    rows.chain([Arc::new(Type::void())]).collect()
});

/// The built-in type with a name.
pub fn named(name: &str) -> Option<Arc<Type>> {
    TYPES.iter().find(|ty| ty.name == name).cloned()
}

/// One that is in the table.
fn known(name: &str) -> Arc<Type> {
    named(name).unwrap_or_else(|| Arc::new(Type::void()))
}

/// The types of computed numbers, which nearly every node has one of.
struct Computed {
    /// Of 1, 2, 4 and 8 bytes; those of one are numbers, not characters.
    signed: [Arc<Type>; 4],
    unsigned: [Arc<Type>; 4],
    float: Arc<Type>,
    double: Arc<Type>,
    boolean: Arc<Type>,
}

static COMPUTED: LazyLock<Computed> = LazyLock::new(|| {
    let byte = |name, kind| Arc::new(Type::base(name, kind, 1));
    Computed {
        signed: [
            byte("signed char", BaseKind::Signed),
            known("short"),
            known("int"),
            known("long"),
        ],
        unsigned: [
            byte("unsigned char", BaseKind::Unsigned),
            known("unsigned short"),
            known("unsigned int"),
            known("unsigned long"),
        ],
        float: known("float"),
        double: known("double"),
        boolean: known("bool"),
    }
});

/// The type of C that has this meaning.
pub fn integer(kind: IntKind) -> Arc<Type> {
    let [one, two, four, eight] = if kind.signed { &COMPUTED.signed } else { &COMPUTED.unsigned };
    let ty = match kind.bytes {
        1 => one,
        2 => two,
        4 => four,
        _ => eight,
    };
    ty.clone()
}

/// `float` or `double`.
pub fn float(kind: FloatKind) -> Arc<Type> {
    match kind {
        FloatKind::F32 => COMPUTED.float.clone(),
        FloatKind::F64 => COMPUTED.double.clone(),
    }
}

/// `bool`.
pub fn boolean() -> Arc<Type> {
    COMPUTED.boolean.clone()
}

/// `char`.
pub fn character() -> Arc<Type> {
    known("char")
}

/// A character that does not fit a byte.
pub fn wide_character() -> Arc<Type> {
    known("char32_t")
}

/// The type of data that only a symbol table knows: gdb's words for it.
pub fn unknown_data() -> Arc<Type> {
    let name = "<data variable, no debug info>".to_owned();
    Arc::new(Type { name, ..Type::void() })
}

/// `target *`.
pub fn pointer(target: Arc<Type>) -> Arc<Type> {
    Arc::new(Type::pointer_to(TypeLink::Known(target)))
}

/// `char [len]`.
pub fn text(len: usize) -> Arc<Type> {
    Arc::new(Type::array_of(TypeLink::Known(character()), 1, len as u64))
}
