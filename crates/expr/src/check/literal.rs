//! Literals and the types C and Rust give them.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::Type;

use super::{Checker, Kind, Typed};
use crate::ast::{FloatLiteral, IntLiteral, IntSuffix, Wide};
use crate::builtin;
use crate::error::Error;
use crate::ir::{FloatKind, IntKind, Op, Sort, Text};

impl Checker<'_> {
    /// C11 6.4.4.1: the first type of the literal's list that holds it.
    pub(super) fn int_literal(
        &mut self,
        literal: &IntLiteral,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let (kind, ty) = int_type(literal);
        if kind.extend(literal.value) != literal.value {
            let message = format!("`{}` cannot hold {}", ty.name, literal.value);
            return Err(Error::new(span.clone(), message));
        }
        let node = self.constant(literal.value, kind, span)?;
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }

    pub(super) fn float_literal(
        &mut self,
        literal: FloatLiteral,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let (kind, word) = if literal.single {
            (FloatKind::F32, u64::from((literal.value as f32).to_bits()))
        } else {
            (FloatKind::F64, literal.value.to_bits())
        };
        let node = self.push(Op::Const(word), Sort::Float(kind), span)?;
        Ok(Typed { kind: Kind::Word(node), ty: builtin::float(kind), span: span.clone() })
    }

    /// A `char` where it fits one byte, as debuggers have it.
    pub(super) fn char_literal(&mut self, c: char, span: &Range<usize>) -> Result<Typed, Error> {
        let code = u32::from(c);
        let (kind, ty) = if code < 128 {
            (IntKind { bytes: 1, signed: true }, builtin::character())
        } else {
            (IntKind { bytes: 4, signed: false }, builtin::wide_character())
        };
        let node = self.constant(u64::from(code), kind, span)?;
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }

    /// C11 6.4.4.4: what the byte is as a `char`, which has a sign here.
    pub(super) fn byte_literal(&mut self, byte: u8, span: &Range<usize>) -> Result<Typed, Error> {
        let node = self.constant(byte.into(), IntKind { bytes: 1, signed: true }, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: builtin::character(), span: span.clone() })
    }

    pub(super) fn wide_literal(
        &mut self,
        wide: Wide,
        c: char,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let (name, bytes) = match wide {
            Wide::Native => ("wchar_t", 4),
            Wide::Sixteen => ("char16_t", 2),
            Wide::ThirtyTwo => ("char32_t", 4),
        };
        let (code, kind) = (u64::from(u32::from(c)), IntKind { bytes, signed: false });
        if kind.extend(code) != code {
            let message = format!("`{c}` is more than one `{name}`");
            return Err(Error::new(span.clone(), message));
        }
        let node = self.constant(code, kind, span)?;
        let ty = builtin::named(name).unwrap_or_else(|| builtin::integer(kind));
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }

    pub(super) fn bool_literal(
        &mut self,
        value: bool,
        span: &Range<usize>,
    ) -> Result<Typed, Error> {
        let node = self.push(Op::Const(u64::from(value)), Sort::BOOL, span)?;
        Ok(Typed { kind: Kind::Word(node), ty: builtin::boolean(), span: span.clone() })
    }

    pub(super) fn null(&mut self, span: &Range<usize>) -> Result<Typed, Error> {
        let node = self.constant(0, IntKind::U64, span)?;
        let ty = builtin::pointer(Arc::new(Type::void()));
        Ok(Typed { kind: Kind::Word(node), ty, span: span.clone() })
    }
}

/// A string literal.
pub(super) fn string(bytes: &[u8], span: &Range<usize>) -> Typed {
    let kind = Kind::Text(Text::Literal(Arc::from(bytes)));
    // C11 6.4.5: with a null at its end.
    Typed { kind, ty: builtin::text(bytes.len() + 1), span: span.clone() }
}

fn int_type(literal: &IntLiteral) -> (IntKind, Arc<Type>) {
    let (unsigned, long) = match literal.suffix {
        IntSuffix::C { unsigned, long } => (unsigned, long),
        IntSuffix::Rust(ty) => {
            let kind = IntKind { bytes: ty.bytes, signed: ty.signed };
            let named = builtin::named(&ty.to_string());
            return (kind, named.unwrap_or_else(|| builtin::integer(kind)));
        }
    };
    let both = |signed: bool| !(signed && unsigned);
    let candidates = [(4, true), (4, false), (8, true), (8, false)];
    let chosen = candidates.into_iter().find(|&(bytes, signed)| {
        let unsigned_allowed = signed || unsigned || !literal.decimal || bytes == 8;
        let kind = IntKind { bytes, signed };
        both(signed)
            && unsigned_allowed
            && !(long && bytes == 4)
            && kind.extend(literal.value) == literal.value
            && !(signed && literal.value > i64::MAX.cast_unsigned())
    });
    let (bytes, signed) = chosen.unwrap_or((8, false));
    let kind = IntKind { bytes, signed };
    (kind, builtin::integer(kind))
}
