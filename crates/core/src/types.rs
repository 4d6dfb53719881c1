//! Types of the debuggee's values, independent of language and of debug
//! format.
//!
//! A [`Type`] is described one level deep. What it refers to is a
//! [`TypeLink`]: either another description at hand or a [`TypeRef`] that a
//! [`ResolveType`] turns into one when somebody asks, so that cyclic and huge
//! type graphs cost only what is looked at.

use std::fmt;
use std::sync::Arc;

use crate::ids::ModuleId;

/// A type inside a module's debug information. Only that module's symbol
/// reader knows what `offset` means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TypeRef {
    /// Whose debug information.
    pub module: ModuleId,
    /// Which entry of it.
    pub offset: u64,
}

/// A reference from one type to another.
#[derive(Clone, PartialEq, Debug)]
pub enum TypeLink {
    /// The description itself.
    Known(Arc<Type>),
    /// To be resolved on demand.
    Lazy(TypeRef),
}

/// Turns references into descriptions.
pub trait ResolveType {
    /// The description behind `reference`; the error is a sentence for the
    /// user (corrupt debug information, say).
    fn resolve(&self, reference: TypeRef) -> Result<Arc<Type>, String>;

    /// The description behind a link of either form.
    fn follow(&self, link: &TypeLink) -> Result<Arc<Type>, String> {
        match link {
            TypeLink::Known(known) => Ok(known.clone()),
            TypeLink::Lazy(reference) => self.resolve(*reference),
        }
    }

    /// The type with every alias and qualifier (`typedef`, `const`, ...) taken
    /// off. Gives up with an error on a chain of more than 64, which only
    /// corrupt debug information has.
    fn strip(&self, ty: &Arc<Type>) -> Result<Arc<Type>, String> {
        let mut current = ty.clone();
        for _ in 0..64 {
            match &current.kind {
                TypeKind::Alias { target: Some(link), .. } => current = self.follow(link)?,
                TypeKind::Alias { target: None, .. } => return Ok(Arc::new(Type::void())),
                _ => return Ok(current),
            }
        }
        Err("the type's aliases form a cycle (corrupt debug information)".to_owned())
    }
}

/// One type.
#[derive(Clone, PartialEq, Debug)]
pub struct Type {
    /// The name as the source spells it; empty for anonymous and derived types.
    pub name: String,
    /// Size of a value in bytes; `None` where it has none (functions, `void`,
    /// declarations without a definition).
    pub size: Option<u64>,
    /// What it is.
    pub kind: TypeKind,
}

/// The kinds of types.
#[derive(Clone, PartialEq, Debug)]
pub enum TypeKind {
    /// `void`, or Rust's `()` and `!`.
    Void,
    /// A number, a boolean or a character.
    Base(BaseKind),
    /// A complex number: its real part, then its imaginary one, each of half its
    /// size.
    Complex(BaseKind),
    /// A pointer or reference.
    Pointer {
        /// What it points to; `None` for `void *`.
        target: Option<TypeLink>,
        /// Pointer or reference.
        flavour: PointerFlavour,
    },
    /// An array; several dimensions are arrays of arrays.
    Array {
        /// The element.
        element: TypeLink,
        /// How many.
        count: Count,
    },
    /// A structure, class or union (Rust enums with data come as a
    /// [`RecordFlavour::Variants`]).
    Record(Record),
    /// An enumeration of named integers.
    Enum {
        /// Whether the underlying integer is signed.
        signed: bool,
        /// Names and values, in source order.
        enumerators: Vec<Enumerator>,
        /// What C++ writes before each name outside of its scope, `ns::Color::`;
        /// empty in other languages.
        scope: String,
    },
    /// Another name or a qualified form of a type.
    Alias {
        /// What was added.
        flavour: AliasFlavour,
        /// The type underneath; `None` for `void`.
        target: Option<TypeLink>,
    },
    /// A function's type.
    Function {
        /// What it returns; `None` for nothing.
        result: Option<TypeLink>,
        /// Its parameters' types; the last is [`Type::more_parameters`] where it
        /// takes more.
        parameters: Vec<TypeLink>,
    },
    /// A pointer to a member of C++: of data where its bytes are the distance
    /// from the start of the object, of functions where they are two words.
    MemberPointer {
        /// Whose member; `None` where nothing says.
        class: Option<TypeLink>,
        /// The member's type.
        target: TypeLink,
    },
    /// Something the debug format can say and this model cannot; the text
    /// names it.
    Other(String),
}

/// How many elements an array has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// So many.
    Known(u64),
    /// As many as a frame says: what the reference leads to in the debug
    /// information is worked out there.
    Computed(TypeRef),
    /// Nothing says.
    Unknown,
}

impl Count {
    /// The number, where it is the same everywhere.
    pub fn known(self) -> Option<u64> {
        match self {
            Self::Known(count) => Some(count),
            Self::Computed(_) | Self::Unknown => None,
        }
    }
}

/// How a base type's bits are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BaseKind {
    /// Two's complement integer.
    Signed,
    /// Unsigned integer.
    Unsigned,
    /// True when not zero.
    Bool,
    /// C's `char` where it is signed.
    SignedChar,
    /// C's `unsigned char`, or `char` where it is unsigned.
    UnsignedChar,
    /// A Unicode scalar value or code unit (`char32_t`, Rust's `char`).
    Unicode,
    /// IEEE 754 (2, 4 or 8 bytes) or x87 extended (10 significant of 16 bytes).
    Float,
    /// IEEE 754 of 16 bytes.
    Quad,
}

/// Pointers and references.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PointerFlavour {
    /// `T *`, Rust's `*const T`.
    Pointer,
    /// `T &`, Rust's `&T`.
    Reference,
    /// `T &&`.
    RvalueReference,
}

/// Aliases and qualifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AliasFlavour {
    /// `typedef`, `using`, Rust's `type`.
    Typedef,
    /// `const`.
    Const,
    /// `volatile`.
    Volatile,
    /// `restrict`.
    Restrict,
    /// `_Atomic`.
    Atomic,
}

/// A structure, class or union.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Which of them.
    pub flavour: RecordFlavour,
    /// How such types are written.
    pub language: Language,
    /// Data members in source order, base classes first.
    pub members: Vec<Member>,
    /// Static members in source order.
    pub statics: Vec<StaticMember>,
    /// Virtual base classes. They are no members: where one is, only the
    /// object's table of virtual functions says.
    pub virtual_bases: Vec<VirtualBase>,
    /// Virtual functions that it declares itself, as far as they have names of
    /// their own.
    pub virtual_functions: Vec<VirtualFunction>,
    /// True when only a declaration is known here.
    pub declaration: bool,
    /// What a template or a generic type was instantiated with, packs spread.
    pub arguments: Vec<GenericArgument>,
}

/// The language of a type, as far as it decides how the type and its values
/// are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// C, and what is written like it.
    C,
    /// C++.
    Cpp,
    /// Rust.
    Rust,
}

/// A virtual base class of a record.
#[derive(Clone, PartialEq, Debug)]
pub struct VirtualBase {
    /// Its type.
    pub ty: TypeLink,
    /// Where its distance from the start of the object stands, a signed word,
    /// from the place that the object's first word points to. Itanium C++ ABI,
    /// 2.5.2. `None` where the debug information says it in a way that is not
    /// understood.
    pub slot: Option<i64>,
}

/// A virtual function of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualFunction {
    /// Its name with its parameters, as C++ writes it from outside.
    pub name: String,
    /// Which word it is of the table, from the place that objects point to.
    pub slot: u64,
}

/// What a type parameter, or a parameter of another kind, stands for.
#[derive(Clone, PartialEq, Debug)]
pub enum GenericArgument {
    /// A type; `None` for `void`.
    Type(Option<TypeLink>),
    /// A number.
    Number(i128),
    /// Something else: the address of an object, a template.
    Other,
}

/// The flavours of [`Record`].
#[derive(Clone, PartialEq, Debug)]
pub enum RecordFlavour {
    /// `struct` (also tuples and closures).
    Struct,
    /// `class`.
    Class,
    /// `union`.
    Union,
    /// A sum type: the member whose [`Member::variant`] matches the
    /// discriminant is the live one.
    Variants {
        /// Where the discriminant is, as a member; `None` when there is only
        /// one variant.
        discriminant: Option<Box<Member>>,
    },
}

/// A member of a [`Record`].
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Its name; empty for anonymous members and base classes.
    pub name: String,
    /// Its type.
    pub ty: TypeLink,
    /// Distance in bytes from the start of the record.
    pub offset: u64,
    /// For a bit-field: which bits.
    pub bits: Option<BitField>,
    /// Whether it is a base class.
    pub base_class: bool,
    /// For a variant: the discriminant values that select it; empty for the
    /// variant that is chosen when no other is.
    pub variant: Option<Vec<i128>>,
}

/// The bits of a bit-field, counted from the least significant bit of the
/// little-endian number at the member's offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BitField {
    /// Lowest bit.
    pub shift: u32,
    /// Number of bits.
    pub width: u32,
}

/// A static member of a [`Record`]: a variable of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct StaticMember {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeLink,
    /// The entry that declares it, which leads to where it is.
    pub declared: TypeRef,
    /// How many of the record's own data members are declared before it.
    pub before: usize,
}

/// A name of an enumeration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enumerator {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: i128,
}

/// A member that is no base class.
#[derive(Clone, Copy, Debug)]
pub enum Own<'a> {
    /// In each object.
    Data(&'a Member),
    /// Once for all.
    Static(&'a StaticMember),
}

impl Record {
    /// Its own members in source order.
    pub fn in_order(&self) -> Vec<Own<'_>> {
        let data = self.members.iter().filter(|member| !member.base_class);
        let mut statics = self.statics.iter().peekable();
        let mut all = Vec::new();
        for (index, member) in data.enumerate() {
            while let Some(before) = statics.next_if(|it| it.before <= index) {
                all.push(Own::Static(before));
            }
            all.push(Own::Data(member));
        }
        all.extend(statics.map(Own::Static));
        all
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.statics.is_empty() && self.virtual_bases.is_empty()
    }
}

impl Type {
    /// `void`.
    pub fn void() -> Self {
        Self { name: "void".to_owned(), size: None, kind: TypeKind::Void }
    }

    /// What stands for the parameters that a function takes beyond those it
    /// names.
    pub fn more_parameters() -> Self {
        let kind = TypeKind::Other("further parameters".to_owned());
        Self { name: "...".to_owned(), size: None, kind }
    }

    /// A base type.
    pub fn base(name: &str, kind: BaseKind, size: u64) -> Self {
        Self { name: name.to_owned(), size: Some(size), kind: TypeKind::Base(kind) }
    }

    /// A plain pointer to `target`.
    pub fn pointer_to(target: TypeLink) -> Self {
        Self {
            name: String::new(),
            size: Some(8),
            kind: TypeKind::Pointer { target: Some(target), flavour: PointerFlavour::Pointer },
        }
    }

    /// An array of `count` of `element`, whose size is `element_size` bytes.
    pub fn array_of(element: TypeLink, element_size: u64, count: u64) -> Self {
        Self {
            name: String::new(),
            size: element_size.checked_mul(count),
            kind: TypeKind::Array { element, count: Count::Known(count) },
        }
    }
}

impl fmt::Display for BaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signed => "signed integer",
            Self::Unsigned => "unsigned integer",
            Self::Bool => "boolean",
            Self::SignedChar | Self::UnsignedChar => "character",
            Self::Unicode => "Unicode character",
            Self::Float | Self::Quad => "floating-point number",
        })
    }
}
