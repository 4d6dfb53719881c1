//! Tokens to a syntax tree: operators by binding power, types by trial.
//!
//! `(name) - x` is a cast or a subtraction depending on what `name` is. Read
//! without a scope it is a subtraction, and the name is kept as doubtful for
//! the checker to decide.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::Language;

use crate::ast::{Ast, BinaryOp, Doubtful, Expr, ExprKind, Path, SpanOfName, TypeName, UnaryOp};
use crate::error::Error;
use crate::lexer::{Spanned, Token, tokenize};
use crate::limits;

mod types;

/// Binding power of assignment, which nests to the right.
const ASSIGN: u8 = 1;
/// Of `?:`, which nests to the right.
const CONDITIONAL: u8 = 2;
/// Of Rust's `as`: tighter than any infix operator.
const AS: u8 = 14;

/// File extensions that make `name.extension::` a file scope.
const EXTENSIONS: [&str; 16] = [
    "c", "C", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "rs", "s", "S", "m", "go", "zig", "inc",
];

/// Parses an expression.
///
/// # Errors
/// Where the text stops being one, or which limit it breaks.
pub fn parse(text: &str) -> Result<Ast, Error> {
    parse_with(text, Language::C, &|_| false)
}

/// Parses as a language binds operators, with names in doubt decided by
/// `is_type`.
pub(crate) fn parse_with(
    text: &str,
    language: Language,
    is_type: &dyn Fn(&str) -> bool,
) -> Result<Ast, Error> {
    let mut parser = Parser::new(text, language, is_type)?;
    let root = parser.expression(0)?;
    if *parser.token() != Token::End {
        let message = format!("unexpected {} after the expression", parser.describe());
        return Err(Error::new(parser.span(), message));
    }
    let any = |wanted: &[&str]| {
        let is_one = |it: &Spanned<'_>| matches!(it.token, Token::Punct(p) if wanted.contains(&p));
        parser.tokens.iter().any(is_one)
    };
    let mixes_bits_and_comparisons =
        any(&["&", "^", "|"]) && any(&["==", "!=", "<", "<=", ">", ">="]);
    let source = Arc::from(text);
    Ok(Ast { root, source, doubtful: parser.doubtful, mixes_bits_and_comparisons })
}

/// Parses a type as C or Rust write it.
///
/// # Errors
/// Where the text stops being one.
pub(crate) fn parse_type(text: &str) -> Result<TypeName, Error> {
    let mut parser = Parser::new(text, Language::C, &|_: &str| true)?;
    let in_rust = matches!(parser.token(), Token::Punct("*" | "&" | "["));
    let ty = if in_rust { parser.rust_type()? } else { parser.c_type()? };
    match parser.token() {
        Token::End => Ok(ty),
        _ => parser.unexpected("the end of the type"),
    }
}

/// Parses arbitrary text and checks that what it accepts prints and reads back
/// the same: the entry point of fuzzers.
#[doc(hidden)]
pub fn fuzz_parse(text: &str) {
    if let Ok(ast) = parse(text) {
        let printed = ast.to_string();
        if printed.len() <= limits::MAX_SOURCE {
            let again = parse(&printed);
            assert_eq!(again.as_ref().map(|again| &again.root), Ok(&ast.root), "{printed}");
        }
    }
    let _ = crate::template::parse(text);
}

/// What extends an operand on its right.
enum Infix {
    As,
    Conditional,
    Assign(Option<BinaryOp>),
    Binary(BinaryOp),
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned<'a>>,
    at: usize,
    depth: usize,
    language: Language,
    is_type: &'a dyn Fn(&str) -> bool,
    doubtful: Vec<Doubtful>,
    /// Whether the first half of a `>>` was taken to close a list.
    half_angle: bool,
}

impl<'a> Parser<'a> {
    fn new(
        text: &'a str,
        language: Language,
        is_type: &'a dyn Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let (tokens, doubtful) = (tokenize(text)?, Vec::new());
        Ok(Self { text, tokens, at: 0, depth: 0, language, is_type, doubtful, half_angle: false })
    }

    fn current(&self) -> &Spanned<'a> {
        self.ahead(0)
    }

    /// The token `count` after the current one; the end repeats.
    fn ahead(&self, count: usize) -> &Spanned<'a> {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + count).min(last)]
    }

    fn token(&self) -> &Token<'a> {
        &self.current().token
    }

    fn span(&self) -> Range<usize> {
        self.current().span.clone()
    }

    fn end_of_previous(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |previous| self.tokens[previous].span.end)
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn at_punct(&self, punct: &str) -> bool {
        matches!(self.token(), Token::Punct(found) if *found == punct)
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.token(), Token::Ident(found) if *found == word)
    }

    fn take(&mut self, punct: &str) -> bool {
        let found = self.at_punct(punct);
        if found {
            self.advance();
        }
        found
    }

    fn describe(&self) -> String {
        match self.token() {
            Token::End => "end".to_owned(),
            _ => format!("`{}`", &self.text[self.span()]),
        }
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T, Error> {
        let found = self.describe();
        Err(Error::new(self.span(), format!("expected {wanted}, found {found}")))
    }

    fn expect(&mut self, punct: &'static str) -> Result<(), Error> {
        if self.take(punct) { Ok(()) } else { self.unexpected(&format!("`{punct}`")) }
    }

    fn node(&self, kind: ExprKind, start: usize) -> Result<Expr, Error> {
        let expr = Expr::new(kind, start..self.end_of_previous());
        if expr.height > limits::MAX_DEPTH { Err(too_deep(expr.span)) } else { Ok(expr) }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= limits::MAX_DEPTH {
            return Err(too_deep(self.span()));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// An expression whose infix operators all bind tighter than `power`.
    fn expression(&mut self, power: u8) -> Result<Expr, Error> {
        self.nested(|parser| {
            let mut left = parser.unary()?;
            while let Some(infix) = parser.infix_operator(power) {
                left = parser.infix(infix, left)?;
            }
            Ok(left)
        })
    }

    /// The infix operator that stands here, if it binds tighter than `power`.
    fn infix_operator(&self, power: u8) -> Option<Infix> {
        if self.at_word("as") {
            return (AS > power).then_some(Infix::As);
        }
        let punct = match *self.token() {
            Token::Punct(punct) => punct,
            Token::Ident(word) => alternative(word)?,
            _ => return None,
        };
        if punct == "?" {
            return (CONDITIONAL > power).then_some(Infix::Conditional);
        }
        if let Some(op) = assignment(punct) {
            return (ASSIGN > power).then_some(Infix::Assign(op));
        }
        let mut rows = BinaryOp::TABLE.iter();
        let (op, ..) = rows.find(|row| row.1 == punct && row.0.power_in(self.language) > power)?;
        Some(Infix::Binary(*op))
    }

    /// Extends `left` by the infix operator that stands here.
    fn infix(&mut self, infix: Infix, left: Expr) -> Result<Expr, Error> {
        let start = left.span.start;
        self.advance();
        let kind = match infix {
            Infix::As => {
                ExprKind::Cast { ty: self.rust_type()?, value: Box::new(left), rust: true }
            }
            Infix::Conditional => self.conditional(left)?,
            Infix::Assign(op) => {
                let value = self.expression(ASSIGN - 1)?;
                ExprKind::Assign(op, Box::new([left, value]))
            }
            Infix::Binary(op) => {
                let right = self.expression(op.power_in(self.language))?;
                ExprKind::Binary(op, Box::new([left, right]))
            }
        };
        self.node(kind, start)
    }

    fn conditional(&mut self, condition: Expr) -> Result<ExprKind, Error> {
        let then = self.expression(0)?;
        self.expect(":")?;
        let otherwise = self.expression(CONDITIONAL - 1)?;
        Ok(ExprKind::Conditional(Box::new([condition, then, otherwise])))
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let start = self.span().start;
        let op = match self.token() {
            Token::Punct("-") => UnaryOp::Negate,
            Token::Punct("+") => UnaryOp::Plus,
            Token::Punct("~") => UnaryOp::BitNot,
            Token::Punct("!") => UnaryOp::Not,
            Token::Punct("*") => UnaryOp::Dereference,
            Token::Punct("&") => UnaryOp::AddressOf,
            Token::Punct("(") => return self.parenthesis(),
            Token::Punct("{") => return self.at_address(),
            Token::Ident("sizeof") => return self.size_of(),
            Token::Ident("not") if self.is_operand(1) => UnaryOp::Not,
            Token::Ident("compl") if self.is_operand(1) => UnaryOp::BitNot,
            Token::Ident("__real__" | "__real") => return self.part_of_complex("_creal"),
            Token::Ident("__imag__" | "__imag") => return self.part_of_complex("_cimag"),
            _ => return self.postfix_of_primary(),
        };
        self.advance();
        let operand = self.nested(Self::unary)?;
        self.node(ExprKind::Unary(op, Box::new(operand)), start)
    }

    /// Whether an operand begins at a token that is no sign two readings have.
    fn is_operand(&self, ahead: usize) -> bool {
        match &self.ahead(ahead).token {
            Token::Ident(word) => alternative(word).is_none() && *word != "as",
            Token::Punct(punct) => matches!(*punct, "(" | "!" | "~"),
            token => *token != Token::End,
        }
    }

    /// gdb's `{type} address`.
    fn at_address(&mut self) -> Result<Expr, Error> {
        let start = self.span().start;
        self.advance();
        let ty = self.c_type()?;
        self.expect("}")?;
        let address = self.nested(Self::unary)?;
        self.node(ExprKind::At(ty, Box::new(address)), start)
    }

    /// GNU C's operators on complex numbers, by gdb's functions.
    fn part_of_complex(&mut self, function: &str) -> Result<Expr, Error> {
        let start = self.span().start;
        self.advance();
        let arguments = vec![self.nested(Self::unary)?];
        self.node(ExprKind::Call { name: function.to_owned(), arguments }, start)
    }

    fn size_of(&mut self) -> Result<Expr, Error> {
        let start = self.span().start;
        self.advance();
        let here = self.at;
        if self.at_punct("(")
            && let Some((ty, certain)) = self.type_in_parentheses()
        {
            if certain {
                return self.node(ExprKind::SizeOfType(ty), start);
            }
            self.at = here;
        }
        // What follows `sizeof (x)` never makes a cast of it.
        let operand = if self.at_punct("(") { self.grouped()? } else { self.nested(Self::unary)? };
        self.node(ExprKind::SizeOf(Box::new(operand)), start)
    }

    /// A cast, or an expression in parentheses with what follows it.
    fn parenthesis(&mut self) -> Result<Expr, Error> {
        let start = self.span().start;
        let here = self.at;
        if let Some((ty, certain)) = self.type_in_parentheses() {
            if certain || self.name_is_type(&ty, start) {
                let value = self.nested(Self::unary)?;
                let kind = ExprKind::Cast { ty, value: Box::new(value), rust: false };
                return self.node(kind, start);
            }
            self.at = here;
        }
        self.grouped()
    }

    /// An expression in parentheses with what follows it.
    fn grouped(&mut self) -> Result<Expr, Error> {
        let start = self.span().start;
        self.advance();
        let mut inner = self.expression(0)?;
        self.expect(")")?;
        inner.span = start..self.end_of_previous();
        self.postfix(inner)
    }

    /// Whether `(name)` just read is a cast, judging by the token after it.
    fn name_is_type(&mut self, ty: &TypeName, start: usize) -> bool {
        let TypeName::Named { name, .. } = ty else { return true };
        match self.token() {
            Token::Ident(word) => *word != "as",
            Token::Int(_)
            | Token::Float(_)
            | Token::Char(_)
            | Token::Byte(_)
            | Token::WideChar(..)
            | Token::Str(_)
            | Token::Dollar(_)
            | Token::Quoted(_)
            | Token::Punct("(" | "~" | "!" | "{") => true,
            Token::Punct("-" | "+" | "*" | "&") => {
                if (self.is_type)(name) {
                    return true;
                }
                let span = start..self.end_of_previous();
                self.doubtful.push(Doubtful { name: name.clone(), span });
                false
            }
            _ => false,
        }
    }

    fn postfix_of_primary(&mut self) -> Result<Expr, Error> {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut object: Expr) -> Result<Expr, Error> {
        let start = object.span.start;
        loop {
            let kind = match self.token() {
                Token::Punct("[") => {
                    self.advance();
                    let index = self.expression(0)?;
                    self.expect("]")?;
                    ExprKind::Index(Box::new([object, index]))
                }
                Token::Punct(punct @ ("." | "->")) => {
                    let arrow = *punct == "->";
                    self.advance();
                    let name_start = self.span().start;
                    let mut name = self.member_name()?;
                    while *self.token() == Token::Punct("::") {
                        self.advance();
                        name = name + "::" + &self.member_name()?;
                    }
                    let name_span = SpanOfName(name_start..self.end_of_previous());
                    ExprKind::Member { object: Box::new(object), name, arrow, name_span }
                }
                Token::Punct("(") => self.member_call(object)?,
                _ => return Ok(object),
            };
            object = self.node(kind, start)?;
        }
    }

    /// `object.name()`; nothing else can be called.
    fn member_call(&mut self, callee: Expr) -> Result<ExprKind, Error> {
        let ends = self.ahead(1).token == Token::Punct(")");
        match callee.kind {
            ExprKind::Member { object, name, name_span, .. } if ends => {
                self.advance();
                self.advance();
                Ok(ExprKind::MemberCall { object, name, name_span })
            }
            _ => Err(self.no_calls(&callee)),
        }
    }

    fn no_calls(&self, callee: &Expr) -> Error {
        let span = callee.span.start..self.span().end;
        Error::new(span, "an expression cannot call functions of the program")
            .with_help("it is evaluated while the program stands still")
    }

    fn member_name(&mut self) -> Result<String, Error> {
        let name = match self.token() {
            Token::Ident(name) | Token::Field(name) | Token::Quoted(name) => (*name).to_owned(),
            Token::Int(literal) if literal.decimal => literal.value.to_string(),
            _ => return self.unexpected("a member's name"),
        };
        self.advance();
        Ok(name)
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let start = self.span().start;
        let kind = match self.token().clone() {
            Token::Int(literal) => ExprKind::Int(literal),
            Token::Float(literal) => ExprKind::Float(literal),
            Token::Str(bytes) => ExprKind::Str(bytes),
            Token::WideChar(wide, c) => ExprKind::WideChar(wide, c),
            Token::Byte(byte) => ExprKind::Byte(byte),
            Token::Char(c) if self.ahead(1).token != Token::Punct("::") => ExprKind::Char(c),
            Token::Dollar(name) => return self.dollar(name),
            Token::Ident(word @ ("static_cast" | "const_cast" | "reinterpret_cast"))
                if self.ahead(1).token == Token::Punct("<") =>
            {
                return self.cpp_cast(word == "reinterpret_cast");
            }
            Token::Ident("dynamic_cast") if self.ahead(1).token == Token::Punct("<") => {
                let error = Error::new(self.span(), "`dynamic_cast` is not supported");
                return Err(error.with_help("`static_cast` goes to a derived class unasked"));
            }
            Token::Ident(_) | Token::Quoted(_) | Token::Char(_) | Token::Punct("::") => {
                return self.name();
            }
            _ => return self.unexpected("an expression"),
        };
        self.advance();
        self.node(kind, start)
    }

    /// `static_cast<type>(value)` and its like.
    fn cpp_cast(&mut self, keeps_bits: bool) -> Result<Expr, Error> {
        let start = self.span().start;
        self.advance();
        self.expect("<")?;
        let ty = self.c_type()?;
        if !self.close_angle() {
            return self.unexpected("`>`");
        }
        if !self.at_punct("(") {
            return self.unexpected("`(`");
        }
        self.advance();
        let mut value = self.expression(0)?;
        self.expect(")")?;
        if keeps_bits && matches!(ty, TypeName::Pointer(_)) {
            // A cast between classes would go to the part of the object.
            let untyped =
                TypeName::Pointer(Box::new(TypeName::Named { tag: None, name: "void".to_owned() }));
            let kind = ExprKind::Cast { ty: untyped, value: Box::new(value), rust: false };
            value = self.node(kind, start)?;
        }
        let cast = ExprKind::Cast { ty, value: Box::new(value), rust: false };
        let cast = self.node(cast, start)?;
        self.postfix(cast)
    }

    /// `$name` or `$name(arguments)`.
    fn dollar(&mut self, name: &str) -> Result<Expr, Error> {
        let start = self.span().start;
        let name = name.to_owned();
        self.advance();
        if !self.take("(") {
            return self.node(ExprKind::Dollar(name), start);
        }
        let mut arguments = Vec::new();
        while !self.at_punct(")") {
            arguments.push(self.expression(0)?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        self.node(ExprKind::Call { name, arguments }, start)
    }

    fn name(&mut self) -> Result<Expr, Error> {
        let start = self.span().start;
        let path = self.path()?;
        let kind = match path.as_simple() {
            Some("true") => ExprKind::Bool(true),
            Some("false") => ExprKind::Bool(false),
            Some("NULL" | "nullptr" | "null") => ExprKind::Null,
            _ => ExprKind::Path(path),
        };
        self.node(kind, start)
    }

    fn path(&mut self) -> Result<Path, Error> {
        let file = self.file_scope();
        let global = file.is_none() && self.take("::");
        let mut scopes = Vec::new();
        loop {
            let name = match *self.token() {
                Token::Ident(name) => {
                    self.advance();
                    self.with_arguments(name)
                }
                Token::Quoted(name) => {
                    self.advance();
                    name.into()
                }
                Token::Char(c) => {
                    self.advance();
                    c.to_string().into()
                }
                _ => return self.unexpected("a name"),
            };
            if !self.take("::") {
                return Ok(Path { file, global, scopes: scopes.into(), name });
            }
            scopes.push(name);
        }
    }

    /// A name of a path with the template arguments behind it: only what goes on
    /// as a path is no comparison.
    fn with_arguments(&mut self, name: &str) -> Box<str> {
        let here = self.at;
        match self.type_arguments() {
            // Quotes within would end those around it, when it is written out.
            Some(arguments) if self.at_punct("::") && !arguments.contains('\'') => {
                format!("{name}{arguments}").into()
            }
            _ => {
                (self.at, self.half_angle) = (here, false);
                name.into()
            }
        }
    }

    /// Takes `file.c::` or `'dir/file.c'::`, if that is what stands here.
    fn file_scope(&mut self) -> Option<Box<str>> {
        let scope_at = |count: usize| self.ahead(count).token == Token::Punct("::");
        if let Token::Quoted(name) = self.token()
            && name.contains('.')
            && scope_at(1)
        {
            let name = Box::from(*name);
            self.at += 2;
            return Some(name);
        }
        let (Token::Ident(stem), Token::Punct("."), Token::Ident(extension)) =
            (self.token(), &self.ahead(1).token, &self.ahead(2).token)
        else {
            return None;
        };
        if !scope_at(3) || !EXTENSIONS.contains(extension) {
            return None;
        }
        let name = format!("{stem}.{extension}");
        self.at += 4;
        Some(name.into())
    }
}

fn too_deep(span: Range<usize>) -> Error {
    let message = format!("an expression may nest at most {} deep", limits::MAX_DEPTH);
    Error::new(span, message)
}

/// C++'s other spellings of operators between operands ([lex.digraph]). There no
/// name can stand, so they take none away.
fn alternative(word: &str) -> Option<&'static str> {
    Some(match word {
        "and" => "&&",
        "or" => "||",
        "bitand" => "&",
        "bitor" => "|",
        "xor" => "^",
        "not_eq" => "!=",
        _ => return None,
    })
}

/// The operator of `=` or `OP=`; `None` for anything else.
fn assignment(punct: &str) -> Option<Option<BinaryOp>> {
    if punct == "=" {
        return Some(None);
    }
    let op = match punct {
        "+=" => BinaryOp::Add,
        "-=" => BinaryOp::Subtract,
        "*=" => BinaryOp::Multiply,
        "/=" => BinaryOp::Divide,
        "%=" => BinaryOp::Remainder,
        "&=" => BinaryOp::BitAnd,
        "|=" => BinaryOp::BitOr,
        "^=" => BinaryOp::BitXor,
        "<<=" => BinaryOp::ShiftLeft,
        ">>=" => BinaryOp::ShiftRight,
        _ => return None,
    };
    Some(Some(op))
}
