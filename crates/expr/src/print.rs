//! The syntax tree back to text that parses to the same tree.

use std::fmt::{self, Display};

use crate::ast::{
    Ast, BinaryOp, Expr, ExprKind, FloatLiteral, IntLiteral, IntSuffix, Path, RustInt, TypeName,
    Wide,
};

impl fmt::Display for Ast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

/// How tightly a node's outermost operator binds.
fn power(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::Assign(..) => 1,
        ExprKind::Conditional(..) => 2,
        ExprKind::Binary(op, ..) => op.power(),
        // Where a type may be followed by `<`, only parentheses end it surely.
        ExprKind::Cast { rust: true, .. } => 0,
        ExprKind::Unary(..) | ExprKind::Cast { .. } | ExprKind::At(..) | ExprKind::SizeOf(_) => 15,
        _ => 16,
    }
}

/// Writes `expr`, in parentheses when it binds looser than `least`.
fn operand(f: &mut fmt::Formatter<'_>, expr: &Expr, least: u8) -> fmt::Result {
    if power(expr) < least { write!(f, "({expr})") } else { expr.fmt(f) }
}

fn write_index(f: &mut fmt::Formatter<'_>, [object, index]: &[Expr; 2]) -> fmt::Result {
    operand(f, object, 16)?;
    write!(f, "[{index}]")
}

fn write_member(f: &mut fmt::Formatter<'_>, object: &Expr, by: &str, name: &str) -> fmt::Result {
    // A dot after digits would be a decimal point.
    let digits = matches!(object.kind, ExprKind::Int(_) | ExprKind::Float(_));
    operand(f, object, if digits { 17 } else { 16 })?;
    f.write_str(by)?;
    write_name(f, name, true)
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Int(literal) => literal.fmt(f),
            ExprKind::Float(literal) => literal.fmt(f),
            ExprKind::Char(c) => write_char(f, *c),
            ExprKind::Byte(byte) => write!(f, "'\\x{byte:02x}'"),
            ExprKind::WideChar(wide, c) => {
                f.write_str(match wide {
                    Wide::Native => "L",
                    Wide::Sixteen => "u",
                    Wide::ThirtyTwo => "U",
                })?;
                write_char(f, *c)
            }
            ExprKind::Str(bytes) => write_string(f, bytes),
            ExprKind::Bool(value) => value.fmt(f),
            ExprKind::Null => f.write_str("NULL"),
            ExprKind::Path(path) => path.fmt(f),
            ExprKind::Dollar(name) => write!(f, "${name}"),
            ExprKind::Call { name, arguments } => write_call(f, name, arguments),
            ExprKind::Unary(op, only) => {
                f.write_str(op.spelling())?;
                // Apart, or two of them would read as one token.
                if matches!(only.kind, ExprKind::Unary(..)) {
                    f.write_str(" ")?;
                }
                operand(f, only, 15)
            }
            ExprKind::Binary(op, operands) => write_binary(f, *op, operands),
            ExprKind::Conditional(operands) => {
                let [condition, then, otherwise] = &**operands;
                operand(f, condition, 3)?;
                write!(f, " ? {then} : ")?;
                operand(f, otherwise, 2)
            }
            ExprKind::Assign(op, operands) => {
                let [target, value] = &**operands;
                operand(f, target, 2)?;
                write!(f, " {}= ", op.map_or("", BinaryOp::spelling))?;
                operand(f, value, 1)
            }
            ExprKind::Index(operands) => write_index(f, operands),
            ExprKind::MemberCall { object, name, .. } => {
                write_member(f, object, ".", name)?;
                f.write_str("()")
            }
            ExprKind::Member { object, name, arrow, .. } => {
                write_member(f, object, if *arrow { "->" } else { "." }, name)
            }
            ExprKind::Cast { ty, value, rust: true } => {
                operand(f, value, 16)?;
                match ty {
                    TypeName::Named { .. } => write!(f, " as {ty}"),
                    _ => write!(f, " as ({ty})"),
                }
            }
            ExprKind::Cast { ty, value, .. } => {
                write!(f, "({ty})")?;
                operand(f, value, 16)
            }
            ExprKind::At(ty, address) => {
                write!(f, "{{{ty}}} ")?;
                operand(f, address, 16)
            }
            ExprKind::SizeOfType(ty) => write!(f, "sizeof({ty})"),
            ExprKind::SizeOf(only) => write!(f, "sizeof({only})"),
        }
    }
}

fn write_binary(f: &mut fmt::Formatter<'_>, op: BinaryOp, [a, b]: &[Expr; 2]) -> fmt::Result {
    operand(f, a, op.power())?;
    write!(f, " {} ", op.spelling())?;
    operand(f, b, op.power() + 1)
}

fn write_call(f: &mut fmt::Formatter<'_>, name: &str, arguments: &[Expr]) -> fmt::Result {
    write!(f, "${name}(")?;
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        argument.fmt(f)?;
    }
    f.write_str(")")
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "'{file}'::")?,
            None if self.global => f.write_str("::")?,
            None => {}
        }
        for scope in &self.scopes {
            write_name(f, scope, false)?;
            f.write_str("::")?;
        }
        write_name(f, &self.name, false)
    }
}

/// Writes a name, in quotes where it would not read as one.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str, field: bool) -> fmt::Result {
    let starts = |c: char| c == '_' || c.is_alphabetic() || (field && c.is_ascii_digit());
    let digits = name.chars().all(|c| c.is_ascii_digit());
    let plain = name.starts_with(starts)
        && name.chars().all(|c| c == '_' || c.is_alphanumeric())
        && (digits || !name.starts_with(|c: char| c.is_ascii_digit()));
    if plain { f.write_str(name) } else { write!(f, "'{name}'") }
}

impl fmt::Display for IntLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decimal {
            write!(f, "{}", self.value)?;
        } else {
            write!(f, "{:#x}", self.value)?;
        }
        match self.suffix {
            IntSuffix::C { unsigned, long } => {
                f.write_str(if unsigned { "u" } else { "" })?;
                f.write_str(if long { "l" } else { "" })
            }
            IntSuffix::Rust(ty) => ty.fmt(f),
        }
    }
}

impl fmt::Display for RustInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.signed { "i" } else { "u" })?;
        if self.pointer_sized { f.write_str("size") } else { write!(f, "{}", self.bytes * 8) }
    }
}

impl fmt::Display for FloatLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_finite() {
            write!(f, "{:?}{}", self.value, if self.single { "f" } else { "" })
        } else {
            write!(f, "1e999{}", if self.single { "f" } else { "" })
        }
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\'' => f.write_str("'\\''"),
        '\\' => f.write_str("'\\\\'"),
        ' '..='~' => write!(f, "'{c}'"),
        _ => write!(f, "'\\u{{{:x}}}'", u32::from(c)),
    }
}

fn write_string(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    for &byte in bytes {
        match byte {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b' '..=b'~' => write!(f, "{}", char::from(byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    f.write_str("\"")
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.declare(String::new()))
    }
}

impl TypeName {
    /// The type wrapped around a declarator, as C orders them.
    fn declare(&self, inner: String) -> String {
        match self {
            Self::Named { tag, name } => {
                let tag = tag.map_or(String::new(), |tag| format!("{tag} "));
                let gap = if inner.is_empty() { "" } else { " " };
                format!("{tag}{}{gap}{inner}", quoted_type(name))
            }
            Self::Pointer(target) => target.declare_pointer('*', &inner),
            Self::Reference(target) => target.declare_pointer('&', &inner),
            Self::Array(element, count) => element.declare(format!("{inner}[{count}]")),
            Self::Function(result, parameters) => {
                let parameters: Vec<String> = parameters.iter().map(Self::to_string).collect();
                result.declare(format!("{inner}({})", parameters.join(", ")))
            }
        }
    }

    fn declare_pointer(&self, mark: char, inner: &str) -> String {
        match self {
            Self::Array(..) | Self::Function(..) => self.declare(format!("({mark}{inner})")),
            // Two references to one another would read as one of the other kind.
            _ if mark == '&' && inner.starts_with('&') => self.declare(format!("& {inner}")),
            _ => self.declare(format!("{mark}{inner}")),
        }
    }
}

/// A type's name, in quotes where it would not read as that name.
fn quoted_type(name: &str) -> String {
    if reads_as_type(name) { name.to_owned() } else { format!("'{name}'") }
}

fn reads_as_type(name: &str) -> bool {
    let parsed = crate::parse::parse(&format!("{{{name}}} 0"));
    parsed.is_ok_and(|ast| match &ast.root.kind {
        ExprKind::At(TypeName::Named { tag: None, name: read }, _) => read == name,
        _ => false,
    })
}
