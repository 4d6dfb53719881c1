//! `qXfer`: objects that travel in parts. How parts are cut and put together is
//! for [`xfer`](crate::xfer), what the objects hold for the server.

use super::Parsed;
use crate::cursor::{Cursor, Malformed, text};
use crate::put::Put;

macro_rules! objects {
    ($($variant:ident = $name:literal: $doc:literal,)*) => {
        /// What is transferred.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum TransferObject {
            $(#[doc = $doc] $variant,)*
            /// Anything else, by its name, which is none of the above.
            Other(String),
        }

        const NAMES: &[(&str, TransferObject)] = &[$(($name, TransferObject::$variant),)*];
    };
}

objects! {
    Features = "features": "Target descriptions, by file name (`target.xml`).",
    Auxv = "auxv": "The auxiliary vector.",
    ExecFile = "exec-file": "The path of a process's program; its number is the annex.",
    Libraries = "libraries": "What is loaded, on systems whose linker tells the server.",
    LibrariesSvr4 = "libraries-svr4": "What is loaded, as the linker's own list.",
    MemoryMap = "memory-map": "What kinds of memory there are.",
    Siginfo = "siginfo": "The kernel's words on the signal of the thread chosen.",
    Threads = "threads": "All threads.",
    OsData = "osdata": "Tables of the system, by name.",
    TraceframeInfo = "traceframe-info": "What a trace frame holds.",
    Btrace = "btrace": "A branch trace.",
    BtraceConf = "btrace-conf": "How branches are traced.",
    StaticTrace = "statictrace": "What a static tracepoint collected.",
    Uib = "uib": "Unwind information, on OpenVMS.",
    Fdpic = "fdpic": "Load maps, by name.",
}

impl TransferObject {
    fn parse(name: &[u8]) -> Result<Self, Malformed> {
        match NAMES.iter().find(|(known, _)| known.as_bytes() == name) {
            Some((_, object)) => Ok(object.clone()),
            None => Ok(Self::Other(text(name)?)),
        }
    }

    /// Its name in packets.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => NAMES.iter().find(|(_, object)| object == known).map_or("", |(name, _)| name),
        }
    }
}

/// A request to move a part of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransferRequest {
    /// `qXfer:OBJECT:read`.
    Read {
        /// What.
        object: TransferObject,
        /// Which of its kind; often empty.
        annex: String,
        /// First byte asked for.
        offset: u64,
        /// Most bytes asked for.
        length: u64,
    },
    /// `qXfer:OBJECT:write`.
    Write {
        /// What.
        object: TransferObject,
        /// Which of its kind; often empty.
        annex: String,
        /// Where the data belongs.
        offset: u64,
        /// The data.
        data: Vec<u8>,
    },
}

impl TransferRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        if name != b"qXfer" {
            return Ok(None);
        }
        args.expect(":")?;
        let object = TransferObject::parse(args.until(b':'))?;
        let operation = args.until(b':');
        let annex = text(args.until(b':'))?;
        match operation {
            b"read" => {
                let (offset, length) = args.pair()?;
                args.end()?;
                Ok(Some(Self::Read { object, annex, offset, length }))
            }
            b"write" => {
                let offset = args.number()?;
                args.expect(":")?;
                Ok(Some(Self::Write { object, annex, offset, data: args.all().to_vec() }))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Read { object, annex, offset, length } => {
                let start = out.text("qXfer:").text(object.name()).text(":read:").text(annex);
                start.text(":").number(*offset).text(",").number(*length);
            }
            Self::Write { object, annex, offset, data } => {
                let start = out.text("qXfer:").text(object.name()).text(":write:").text(annex);
                start.text(":").number(*offset).text(":").raw(data);
            }
        }
    }
}
