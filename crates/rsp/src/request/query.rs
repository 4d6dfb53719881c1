//! What gdb asks of the server in general: features, symbols, commands, and
//! the questions that have an answer without arguments.

use super::{Parsed, after_colon};
use crate::cursor::{Cursor, Malformed, text};
use crate::put::{Put, list};

/// What one side says of a feature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeatureValue {
    /// `name+`: it has it.
    Yes,
    /// `name-`: it has it not.
    No,
    /// `name?`: it may have it; ask by using it.
    Maybe,
    /// `name=value`.
    Value(String),
}

/// A feature of the protocol, in `qSupported` and in the answer to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feature {
    /// Which, without `;`, `=` and what ends it otherwise.
    pub name: String,
    /// What is said of it.
    pub value: FeatureValue,
}

const MARKS: [(&str, FeatureValue); 3] =
    [("+", FeatureValue::Yes), ("-", FeatureValue::No), ("?", FeatureValue::Maybe)];

impl Feature {
    /// A feature that is there.
    pub fn yes(name: impl Into<String>) -> Self {
        Self { name: name.into(), value: FeatureValue::Yes }
    }

    /// A feature with a value.
    pub fn value(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: FeatureValue::Value(value.into()) }
    }

    /// Reads a list as it is in `qSupported` behind the colon, and in the
    /// answer. Empty elements are passed over.
    ///
    /// # Errors
    /// An element with neither `=` nor a mark, or one that is no text.
    pub fn parse_list(list: &[u8]) -> Result<Vec<Self>, Malformed> {
        let elements = list.split(|&byte| byte == b';').filter(|element| !element.is_empty());
        elements.map(Self::parse).collect()
    }

    fn parse(element: &[u8]) -> Result<Self, Malformed> {
        let element = text(element)?;
        if let Some((name, value)) = element.split_once('=') {
            return Ok(Self::value(name, value));
        }
        let marked = |(mark, value): &(&str, FeatureValue)| {
            let name = element.strip_suffix(mark)?.to_owned();
            Some(Self { name, value: value.clone() })
        };
        MARKS.iter().find_map(marked).ok_or(Malformed { expected: "+, -, ? or = in a feature" })
    }

    /// Appends a list as it is in `qSupported` and in the answer.
    pub fn write_list(features: &[Self], out: &mut Vec<u8>) {
        list(out, ";", features, |out, feature| feature.write(out));
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.text(&self.name);
        match &self.value {
            FeatureValue::Yes => out.text("+"),
            FeatureValue::No => out.text("-"),
            FeatureValue::Maybe => out.text("?"),
            FeatureValue::Value(value) => out.text("=").text(value),
        };
    }
}

/// A question of gdb's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// `qSupported`: what the client can, and what the server can.
    Supported {
        /// The client's features.
        features: Vec<Feature>,
    },
    /// `qSymbol::`: the server may ask for symbols now.
    SymbolsWanted,
    /// `qSymbol:VALUE:NAME`: the answer to what it asked for.
    Symbol {
        /// Its address; `None` when there is no such symbol.
        value: Option<u64>,
        /// Its name; not empty.
        name: Vec<u8>,
    },
    /// `qRcmd`: `monitor`, whose words are passed on as they are.
    Monitor {
        /// The words.
        command: Vec<u8>,
    },
    /// `qOffsets`: by how much sections were moved.
    Offsets,
    /// `qTStatus`: whether a trace experiment runs.
    TraceStatus,
    /// `vMustReplyEmpty`: to be answered as an unknown packet is.
    MustReplyEmpty,
}

const BARE: &[(&str, Query)] = &[
    ("qOffsets", Query::Offsets),
    ("qTStatus", Query::TraceStatus),
    ("vMustReplyEmpty", Query::MustReplyEmpty),
];

impl Query {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let found = match name {
            b"qSupported" => {
                args.eat(":");
                Self::Supported { features: Feature::parse_list(args.all())? }
            }
            b"qSymbol" => symbol(&mut args)?,
            b"qRcmd" => {
                args.expect(",")?;
                Self::Monitor { command: args.bytes()? }
            }
            _ => return super::bare(BARE, name, args),
        };
        args.end()?;
        Ok(Some(found))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Supported { features } => {
                out.text("qSupported");
                out.text(if features.is_empty() { "" } else { ":" });
                Feature::write_list(features, out);
            }
            Self::SymbolsWanted => {
                out.text("qSymbol::");
            }
            Self::Symbol { value: None, name } => {
                out.text("qSymbol::").hex(name);
            }
            Self::Symbol { value: Some(value), name } => {
                out.text("qSymbol:").number(*value).text(":").hex(name);
            }
            Self::Monitor { command } => {
                out.text("qRcmd,").hex(command);
            }
            Self::Offsets | Self::TraceStatus | Self::MustReplyEmpty => {
                super::write_bare(BARE, self, out);
            }
        }
    }
}

fn symbol(args: &mut Cursor<'_>) -> Result<Query, Malformed> {
    *args = after_colon(*args)?;
    let value = if args.eat(":") {
        None
    } else {
        let value = args.number()?;
        args.expect(":")?;
        Some(value)
    };
    let name = args.bytes()?;
    match (value, name.is_empty()) {
        (None, true) => Ok(Query::SymbolsWanted),
        (Some(_), true) => Err(Malformed { expected: "name of a symbol" }),
        (value, false) => Ok(Query::Symbol { value, name }),
    }
}
