//! Values as text, the way gdb prints C and C++ values; Rust's own shapes
//! (tuples, enums with data, `&str`, `String`) the way Rust writes them.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::memory::ReadMemory;
use trapline_core::types::{PointerFlavour, Type, TypeKind};

use crate::limits;
use crate::scope::Scope;
use crate::value::{OPTIMIZED_OUT, Value};

mod aggregate;
mod decimal;
mod describe;
mod describe_rust;
mod float;
mod letters;
mod member_pointer;
mod number;
mod pointer;
mod quote;
mod spell;
mod statics;
mod view;
mod wide;

pub use describe::describe_type;
pub use float::{float, float_text};
use number::Names;
pub use quote::string;
pub use spell::type_name;
pub use wide::string as wide_string;

/// Finds the name of what is at an address: `main+4`.
pub type Symbolize<'a> = &'a dyn Fn(VirtAddr) -> Option<String>;

/// How values are printed.
#[derive(Clone, Copy)]
pub struct FormatOptions<'a> {
    /// gdb's format letter, as in `/x`.
    pub letter: Option<Letter>,
    /// Most elements of an array, and most characters of a string.
    pub max_elements: usize,
    /// How deep records and arrays are opened.
    pub depth: usize,
    /// One member a line.
    pub pretty: bool,
    /// Whether records are shown as they are, whatever views there are.
    pub raw: bool,
    /// Whether a pointer that stands by itself shows its type, as gdb's
    /// `print` does and its frame arguments do not.
    pub pointer_types: bool,
    /// Names for the addresses of functions and static data.
    pub symbolize: Option<Symbolize<'a>>,
}

impl Default for FormatOptions<'_> {
    /// gdb's: 200 elements, 20 levels, on one line.
    fn default() -> Self {
        Self {
            letter: None,
            max_elements: 200,
            depth: limits::MAX_PRINT_DEPTH,
            pretty: false,
            raw: false,
            pointer_types: true,
            symbolize: None,
        }
    }
}

/// gdb's format letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Letter {
    /// `x`: hexadecimal.
    Hex,
    /// `z`: hexadecimal with leading zeros.
    PaddedHex,
    /// `d`: signed decimal.
    Signed,
    /// `u`: unsigned decimal.
    Unsigned,
    /// `o`: octal.
    Octal,
    /// `t`: binary.
    Binary,
    /// `c`: a character.
    Character,
    /// `a`: an address with its symbol.
    Address,
    /// `f`: floating point.
    Float,
    /// `s`: a string where it can be one.
    Text,
}

impl Letter {
    /// The format of a letter.
    pub fn parse(letter: char) -> Option<Self> {
        Some(match letter {
            'x' => Self::Hex,
            'z' => Self::PaddedHex,
            'd' => Self::Signed,
            'u' => Self::Unsigned,
            'o' => Self::Octal,
            't' => Self::Binary,
            'c' => Self::Character,
            'a' => Self::Address,
            'f' => Self::Float,
            's' => Self::Text,
            _ => return None,
        })
    }
}

/// A value as text. What cannot be read or resolved shows as `<...>` in its
/// place; the rest is still printed.
pub fn format_value(
    value: &Value,
    scope: &dyn Scope,
    memory: &dyn ReadMemory,
    options: &FormatOptions<'_>,
) -> String {
    let (missing, synthetic) = (&value.missing[..], &value.synthetic[..]);
    let (shown, out) = (Shown::default(), String::new());
    let mut formatter = Formatter { scope, memory, options, missing, synthetic, shown, out };
    let at = value.address();
    formatter.top(&value.ty, value.bytes.as_ref(), at);
    formatter.out
}

/// Text that stands for a variable whose place says that it is nowhere.
pub fn format_unavailable(why: &str) -> String {
    if why == OPTIMIZED_OUT { "<optimized out>".to_owned() } else { format!("<{why}>") }
}

/// Longest text that is made of one value.
const MAX_OUTPUT: usize = 1 << 20;

struct Formatter<'a> {
    scope: &'a dyn Scope,
    memory: &'a dyn ReadMemory,
    options: &'a FormatOptions<'a>,
    /// Which bytes of the whole value are nowhere.
    missing: &'a [Range<usize>],
    /// Which of those are pointers to what has no address.
    synthetic: &'a [Range<usize>],
    shown: Shown,
    out: String,
}

/// What was written of a value so far.
#[derive(Default)]
struct Shown {
    /// How many elements of containers.
    elements: usize,
    /// Which virtual bases, by where they are.
    virtual_bases: Vec<VirtAddr>,
    /// Which static members around what is being written.
    statics: Vec<VirtAddr>,
    /// Whether what is written next is such a member.
    is_static: bool,
}

/// How much of some bytes is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Present {
    All,
    Some,
    None,
}

/// Where in a value the formatter is.
#[derive(Clone, Copy)]
struct Context {
    depth: usize,
    /// The address of the bytes at hand.
    at: Option<VirtAddr>,
    /// Where they are in the whole value; `None` for bytes of something else,
    /// which are all there.
    offset: Option<usize>,
    /// Whether the value stands by itself: pointers then show their types.
    top: bool,
}

impl Context {
    fn inside(self, offset: u64) -> Self {
        let further = usize::try_from(offset).unwrap_or(usize::MAX);
        Self {
            depth: self.depth + 1,
            at: self.at.map(|at| at.wrapping_add(offset)),
            offset: self.offset.map(|start| start.saturating_add(further)),
            top: false,
        }
    }
}

impl Formatter<'_> {
    fn top(&mut self, ty: &Arc<Type>, bytes: &[u8], at: Option<VirtAddr>) {
        self.value(ty, bytes, Context { depth: 0, at, offset: Some(0), top: true });
    }

    /// How much is there of so many bytes at the place at hand.
    fn present(&self, context: Context, len: usize) -> Present {
        let Some(start) = context.offset.filter(|_| !self.missing.is_empty()) else {
            return Present::All;
        };
        let end = start.saturating_add(len);
        let common = |hole: &Range<usize>| hole.end.min(end).saturating_sub(hole.start.max(start));
        match self.missing.iter().map(common).sum::<usize>() {
            0 => Present::All,
            missing if missing == len => Present::None,
            _ => Present::Some,
        }
    }

    /// A value that is nowhere.
    fn absent(&mut self, ty: &Type, stripped: &Type, len: usize, context: Context) {
        let own = context.offset.map(|start| start..start.saturating_add(len));
        let is_pointer = matches!(stripped.kind, TypeKind::Pointer { .. });
        if !is_pointer || !own.is_some_and(|own| self.synthetic.contains(&own)) {
            return self.note(OPTIMIZED_OUT);
        }
        if context.top && self.options.pointer_types {
            let _ = write!(self.out, "({}) ", type_name(ty, self.scope));
        }
        self.note("synthetic pointer");
    }

    fn note(&mut self, text: &str) {
        let _ = write!(self.out, "<{text}>");
    }

    fn value(&mut self, ty: &Arc<Type>, bytes: &[u8], context: Context) {
        if self.out.len() > MAX_OUTPUT {
            return self.out.push_str("...");
        }
        let stripped = match self.scope.strip(ty) {
            Ok(stripped) => stripped,
            Err(why) => return self.note(&why),
        };
        let present = self.present(context, bytes.len());
        let opens = matches!(&stripped.kind, TypeKind::Array { .. } | TypeKind::Record(_));
        if present == Present::None || (present == Present::Some && !opens) {
            return self.absent(ty, &stripped, bytes.len(), context);
        }
        match &stripped.kind {
            TypeKind::Void => self.out.push_str(if stripped.name == "()" { "()" } else { "void" }),
            TypeKind::Base(kind) => self.base_of(*kind, ty, bytes),
            TypeKind::Complex(part) => self.complex(*part, bytes),
            TypeKind::Enum { signed, enumerators, scope } => {
                self.enumeration(*signed, Names { scope, enumerators }, bytes);
            }
            TypeKind::Pointer { flavour: PointerFlavour::Pointer, .. } => {
                self.pointer(ty, &stripped, bytes, context);
            }
            TypeKind::Pointer { .. } => self.reference(ty, &stripped, bytes, context),
            TypeKind::MemberPointer { class, target } => {
                self.member_pointer(&stripped, class.as_ref(), target, bytes);
            }
            TypeKind::Array { element, count } => {
                // Rust's arrays are named as they are written.
                let is_rust = stripped.name.starts_with('[');
                let brackets = if is_rust { ['[', ']'] } else { ['{', '}'] };
                self.array(brackets, element, count.known(), bytes, context);
            }
            TypeKind::Record(record) => self.record(&stripped, record, bytes, context),
            TypeKind::Function { .. } => self.function(ty, bytes),
            TypeKind::Alias { .. } => self.note("incomplete type"),
            TypeKind::Other(what) => self.note(what),
        }
    }
}
