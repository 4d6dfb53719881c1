//! Types as C, C++ and Rust write them.

use super::Parser;
use crate::ast::TypeName;
use crate::error::Error;
use crate::lexer::Token;

/// Words that C builds its arithmetic types from.
const ARITHMETIC: [&str; 13] = [
    "void", "char", "short", "int", "long", "signed", "unsigned", "float", "double", "bool",
    "_Bool", "__int128", "wchar_t",
];
const TAGS: [&str; 4] = ["struct", "union", "enum", "class"];
const QUALIFIERS: [&str; 6] =
    ["const", "volatile", "restrict", "__restrict", "_Atomic", "register"];

/// Most `*` and `&` in a row.
const MAX_STARS: usize = 16;

/// A type and whether only a type can be spelled so.
struct Guess {
    ty: TypeName,
    certain: bool,
}

/// One step from a type to a type made of it.
enum Wrap {
    Pointer,
    Reference,
    Array(u64),
    Function(Vec<TypeName>),
}

impl Wrap {
    fn around(self, ty: TypeName) -> TypeName {
        let ty = Box::new(ty);
        match self {
            Self::Pointer => TypeName::Pointer(ty),
            Self::Reference => TypeName::Reference(ty),
            Self::Array(count) => TypeName::Array(ty, count),
            Self::Function(parameters) => TypeName::Function(ty, parameters),
        }
    }
}

impl<'a> Parser<'a> {
    /// Takes `(type)` if what stands here can be one. The flag says whether it
    /// cannot be anything else. Takes nothing otherwise.
    pub(super) fn type_in_parentheses(&mut self) -> Option<(TypeName, bool)> {
        let (here, depth) = (self.at, self.depth);
        if !matches!(self.ahead(1).token, Token::Ident(_) | Token::Quoted(_) | Token::Punct("::")) {
            return None;
        }
        self.advance();
        let guess = self.c_guess().ok().filter(|_| self.at_punct(")"));
        self.depth = depth;
        let Some(guess) = guess else {
            self.at = here;
            self.half_angle = false;
            return None;
        };
        self.advance();
        Some((guess.ty, guess.certain))
    }

    /// A type in C's order.
    pub(super) fn c_type(&mut self) -> Result<TypeName, Error> {
        self.c_guess().map(|guess| guess.ty)
    }

    fn c_guess(&mut self) -> Result<Guess, Error> {
        self.nested(|parser| {
            let base = parser.type_base()?;
            parser.declarators(base)
        })
    }

    fn skip_qualifiers(&mut self) -> bool {
        let start = self.at;
        while matches!(self.token(), Token::Ident(word) if QUALIFIERS.contains(word)) {
            self.advance();
        }
        self.at != start
    }

    fn type_base(&mut self) -> Result<Guess, Error> {
        let qualified = self.skip_qualifiers();
        let tag = TAGS.into_iter().find(|tag| self.at_word(tag));
        if tag.is_some() {
            self.advance();
        }
        let words = if tag.is_none() { self.arithmetic_words() } else { Vec::new() };
        let name = if words.is_empty() { self.type_path()? } else { arithmetic_name(&words) };
        let arguments = name.ends_with('>');
        let certain = qualified || tag.is_some() || !words.is_empty() || arguments;
        let qualified_after = self.skip_qualifiers();
        let ty = TypeName::Named { tag, name };
        Ok(Guess { ty, certain: certain || qualified_after })
    }

    /// Takes `unsigned long int` and its like, qualifiers among them dropped.
    fn arithmetic_words(&mut self) -> Vec<&'a str> {
        let mut words = Vec::new();
        loop {
            if let &Token::Ident(word) = self.token()
                && ARITHMETIC.contains(&word)
            {
                words.push(word);
                self.advance();
            } else if words.is_empty() || !self.skip_qualifiers() {
                return words;
            }
        }
    }

    /// `a::b<c, 4>::d`.
    fn type_path(&mut self) -> Result<String, Error> {
        let mut name = String::new();
        self.take("::");
        loop {
            match self.token() {
                Token::Ident(word) | Token::Quoted(word) if *word != "sizeof" => {
                    name.push_str(word);
                }
                _ => return self.unexpected("a type"),
            }
            self.advance();
            if let Some(arguments) = self.type_arguments() {
                name.push_str(&arguments);
            }
            if !self.take("::") {
                return Ok(name);
            }
            name.push_str("::");
        }
    }

    /// Takes `<...>` if it closes properly; nothing otherwise.
    pub(super) fn type_arguments(&mut self) -> Option<String> {
        let (here, depth) = (self.at, self.depth);
        let found = self.try_type_arguments();
        if found.is_none() {
            self.at = here;
            self.depth = depth;
            self.half_angle = false;
        }
        found
    }

    fn try_type_arguments(&mut self) -> Option<String> {
        if !self.take("<") {
            return None;
        }
        let mut arguments = Vec::new();
        loop {
            let argument = match self.token() {
                Token::Int(literal) => {
                    let number = literal.value.to_string();
                    self.advance();
                    number
                }
                Token::Punct(_) => self.rust_type().ok()?.to_string(),
                _ => self.c_type().ok()?.to_string(),
            };
            arguments.push(argument);
            if !self.take(",") {
                break;
            }
        }
        self.close_angle().then(|| format!("<{}>", arguments.join(", ")))
    }

    /// Takes `>`, or half of a `>>` that closes two lists.
    pub(super) fn close_angle(&mut self) -> bool {
        if self.at_punct(">>") && !self.half_angle {
            self.half_angle = true;
            return true;
        }
        let closes = self.at_punct(if self.half_angle { ">>" } else { ">" });
        if closes {
            self.half_angle = false;
            self.advance();
        }
        closes
    }

    fn declarators(&mut self, base: Guess) -> Result<Guess, Error> {
        let mut wraps = Vec::new();
        self.declarator(base.certain, &mut wraps)?;
        let certain = base.certain || !wraps.is_empty();
        let ty = wraps.into_iter().fold(base.ty, |ty, wrap| wrap.around(ty));
        Ok(Guess { ty, certain })
    }

    /// `*(*)[4]`: collects what wraps the base, innermost first. A dimension
    /// right after a name that may be a variable is an index.
    fn declarator(&mut self, certain: bool, wraps: &mut Vec<Wrap>) -> Result<(), Error> {
        let before = wraps.len();
        loop {
            let wrap = match self.token() {
                Token::Punct("*") => Wrap::Pointer,
                Token::Punct("&" | "&&") => Wrap::Reference,
                _ => break,
            };
            self.advance();
            self.skip_qualifiers();
            wraps.push(wrap);
            if wraps.len() > MAX_STARS {
                return self.unexpected(&format!("at most {MAX_STARS} stars"));
            }
        }
        let mut inner = Vec::new();
        if self.at_punct("(") && self.ahead(1).token == Token::Punct("*") {
            self.advance();
            self.nested(|parser| parser.declarator(true, &mut inner))?;
            self.expect(")")?;
        }
        let certain = certain || wraps.len() > before || !inner.is_empty();
        if certain && !inner.is_empty() && self.take("(") {
            wraps.push(Wrap::Function(self.parameters()?));
        } else if certain {
            self.dimensions(wraps)?;
        }
        wraps.append(&mut inner);
        Ok(())
    }

    fn parameters(&mut self) -> Result<Vec<TypeName>, Error> {
        let mut parameters = Vec::new();
        if self.at_word("void") && self.ahead(1).token == Token::Punct(")") {
            self.advance();
        }
        while !self.at_punct(")") {
            parameters.push(self.c_type()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(parameters)
    }

    fn dimensions(&mut self, wraps: &mut Vec<Wrap>) -> Result<(), Error> {
        let mut counts = Vec::new();
        while self.take("[") {
            let Token::Int(literal) = self.token() else {
                return self.unexpected("a number of elements");
            };
            counts.push(Wrap::Array(literal.value));
            self.advance();
            self.expect("]")?;
            if counts.len() > 8 {
                return self.unexpected("at most 8 dimensions");
            }
        }
        wraps.extend(counts.into_iter().rev());
        Ok(())
    }

    /// A type in Rust's order, or one of C's in parentheses. A `*` after a name
    /// multiplies: `x as u32 * 2`.
    pub(super) fn rust_type(&mut self) -> Result<TypeName, Error> {
        self.nested(|parser| {
            if parser.take("*") {
                if !parser.at_word("const") && !parser.at_word("mut") {
                    return parser.unexpected("`const` or `mut`");
                }
                parser.advance();
                return Ok(TypeName::Pointer(Box::new(parser.rust_type()?)));
            }
            if parser.at_punct("&") {
                return parser.rust_reference();
            }
            if parser.take("[") {
                return parser.rust_array();
            }
            if parser.at_punct("(") {
                let found = parser.type_in_parentheses();
                return found.map(|(ty, _)| ty).map_or_else(|| parser.unexpected("a type"), Ok);
            }
            parser.type_base().map(|guess| guess.ty)
        })
    }

    fn rust_reference(&mut self) -> Result<TypeName, Error> {
        self.advance();
        if self.at_word("mut") {
            self.advance();
        }
        if self.at_word("str") {
            self.advance();
            return Ok(TypeName::Named { tag: None, name: "&str".to_owned() });
        }
        Ok(TypeName::Reference(Box::new(self.rust_type()?)))
    }

    fn rust_array(&mut self) -> Result<TypeName, Error> {
        let element = self.rust_type()?;
        self.expect(";")?;
        let Token::Int(literal) = self.token() else {
            return self.unexpected("a number of elements");
        };
        let count = literal.value;
        self.advance();
        self.expect("]")?;
        Ok(TypeName::Array(Box::new(element), count))
    }
}

/// One spelling for every order of C's words.
fn arithmetic_name(words: &[&str]) -> String {
    let count = |wanted: &str| words.iter().filter(|word| **word == wanted).count();
    let unsigned = count("unsigned") > 0;
    let single = ["void", "float", "bool", "_Bool", "wchar_t"];
    if let Some(name) = single.into_iter().find(|name| count(name) > 0) {
        return if name == "_Bool" { "bool".to_owned() } else { name.to_owned() };
    }
    let base = if count("double") > 0 {
        return if count("long") > 0 { "long double" } else { "double" }.to_owned();
    } else if count("char") > 0 {
        if count("signed") > 0 { "signed char" } else { "char" }
    } else if count("__int128") > 0 {
        "__int128"
    } else if count("short") > 0 {
        "short"
    } else {
        match count("long") {
            0 => "int",
            1 => "long",
            _ => "long long",
        }
    };
    if unsigned { format!("unsigned {base}") } else { base.to_owned() }
}
