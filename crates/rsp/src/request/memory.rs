//! Memory: read, written, searched, summed, and what lldb makes and asks of it.

use super::{Parsed, after_colon};
use crate::cursor::Cursor;
use crate::put::Put;

/// A request about memory. Addresses and lengths are as the client said them,
/// in bytes; nothing says that they are sensible.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "an address and a length need no more words")]
pub enum MemoryRequest {
    /// `m`: read, answered in hexadecimal.
    Read { address: u64, length: u64 },
    /// `x`: read, answered in binary. With lldb a length of 0 asks whether the
    /// packet is known.
    ReadBinary { address: u64, length: u64 },
    /// `M`: write; as many bytes as were announced.
    Write { address: u64, data: Vec<u8> },
    /// `X`: write, sent in binary. Without data it asks whether the packet is
    /// known.
    WriteBinary { address: u64, data: Vec<u8> },
    /// `qSearch:memory`: the first place of a pattern.
    Search { address: u64, length: u64, pattern: Vec<u8> },
    /// `qCRC`: the checksum of memory.
    Crc { address: u64, length: u64 },
    /// `_M`: make memory in the debuggee.
    Allocate {
        size: u64,
        /// What may be done with it, of `r`, `w` and `x`.
        permissions: String,
    },
    /// `_m`: give back memory that `_M` made.
    Deallocate { address: u64 },
    /// `qMemoryRegionInfo`: what is mapped at an address. Without one it asks
    /// whether the packet is known.
    Region { address: Option<u64> },
}

impl MemoryRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let found = match name {
            b"m" => {
                let (address, length) = args.pair()?;
                Self::Read { address, length }
            }
            b"x" => {
                let (address, length) = args.pair()?;
                Self::ReadBinary { address, length }
            }
            b"M" => {
                let (address, length) = args.pair()?;
                args.expect(":")?;
                Self::Write { address, data: args.exactly(length)? }
            }
            b"X" => return binary_write(args).map(Some),
            b"qSearch" => return search(args).map(Some),
            b"qCRC" => {
                args = after_colon(args)?;
                let (address, length) = args.pair()?;
                Self::Crc { address, length }
            }
            b"_M" => {
                let size = args.number()?;
                args.expect(",")?;
                Self::Allocate { size, permissions: args.text()? }
            }
            b"_m" => Self::Deallocate { address: args.number()? },
            b"qMemoryRegionInfo" => {
                let asked = args.eat(":") && !args.is_empty();
                Self::Region { address: asked.then(|| args.number()).transpose()? }
            }
            _ => return Ok(None),
        };
        args.end()?;
        Ok(Some(found))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Read { address, length } => {
                out.text("m").number(*address).text(",").number(*length)
            }
            Self::ReadBinary { address, length } => {
                out.text("x").number(*address).text(",").number(*length)
            }
            Self::Write { address, data } => {
                let header = out.text("M").number(*address).text(",").number(data.len() as u64);
                header.text(":").hex(data)
            }
            Self::WriteBinary { address, data } => {
                let header = out.text("X").number(*address).text(",").number(data.len() as u64);
                header.text(":").raw(data)
            }
            Self::Search { address, length, pattern } => {
                let header = out.text("qSearch:memory:").number(*address);
                header.text(";").number(*length).text(";").raw(pattern)
            }
            Self::Crc { address, length } => {
                out.text("qCRC:").number(*address).text(",").number(*length)
            }
            Self::Allocate { size, permissions } => {
                out.text("_M").number(*size).text(",").text(permissions)
            }
            Self::Deallocate { address } => out.text("_m").number(*address),
            Self::Region { address: None } => out.text("qMemoryRegionInfo"),
            Self::Region { address: Some(address) } => {
                out.text("qMemoryRegionInfo:").number(*address)
            }
        };
    }
}

fn binary_write(mut args: Cursor<'_>) -> Result<MemoryRequest, crate::Malformed> {
    let (address, length) = args.pair()?;
    args.expect(":")?;
    let data = args.all().to_vec();
    if data.len() as u64 == length {
        Ok(MemoryRequest::WriteBinary { address, data })
    } else {
        Err(crate::Malformed { expected: "as many bytes as announced" })
    }
}

fn search(mut args: Cursor<'_>) -> Result<MemoryRequest, crate::Malformed> {
    args.expect(":memory:")?;
    let address = args.number()?;
    args.expect(";")?;
    let length = args.number()?;
    args.expect(";")?;
    Ok(MemoryRequest::Search { address, length, pattern: args.all().to_vec() })
}
