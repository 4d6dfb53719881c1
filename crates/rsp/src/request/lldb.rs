//! What lldb asks and gdb does not, where it belongs to no other family.

use super::{Parsed, after_colon};
use crate::cursor::Cursor;
use crate::put::Put;

/// Whose name is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UserKind {
    /// A user's.
    User,
    /// A group's.
    Group,
}

/// A question of lldb's. Text that is hexadecimal on the wire is bytes here,
/// other text is as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum LldbQuery {
    /// `qHostInfo`: the server's machine.
    HostInfo,
    /// `qProcessInfo`: the process there is.
    ProcessInfo,
    /// `qProcessInfoPID`: any process; decimal on the wire.
    ProcessInfoOf { process: u64 },
    /// `qfProcessInfo`: the first process that fits, of all when `filter` is
    /// empty (`name_match:...;name:HEX;...`).
    ProcessesFirst { filter: Vec<u8> },
    /// `qsProcessInfo`: the next one.
    ProcessesNext,
    /// `qRegisterInfo`: a register by its number, from 0 until there is none.
    RegisterInfo { number: u32 },
    /// `qShlibInfoAddr`: where the linker's list is.
    LibrariesAddress,
    /// `qWatchpointSupportInfo`: how many there can be.
    WatchpointSupport,
    /// `qVAttachOrWaitSupported`.
    AttachOrWaitSupported,
    /// `qSupportsDetachAndStayStopped`.
    DetachStoppedSupported,
    /// `qStepPacketSupported`.
    StepSupported,
    /// `qStructuredDataPlugins`.
    StructuredData,
    /// `qGetWorkingDir`: where programs start.
    WorkingDir,
    /// `qGetPid`: the server's process.
    ServerPid,
    /// `qGDBServerVersion`.
    ServerVersion,
    /// `qModuleInfo`: about a file, for a machine.
    ModuleInfo { path: Vec<u8>, triple: Vec<u8> },
    /// `jModulesInfo`: about several, as JSON.
    ModulesInfo { json: String },
    /// `qFileLoadAddress`: where a file is loaded.
    LoadAddress { path: Vec<u8> },
    /// `qUserName` and `qGroupName`; decimal on the wire.
    NameOf { kind: UserKind, id: u32 },
    /// `qEcho`: to be answered as it came.
    Echo { words: Vec<u8> },
    /// `qSpeedTest`: answer with `response_size` bytes of data; decimal on the
    /// wire.
    SpeedTest { response_size: u64, data: Vec<u8> },
    /// `qLaunchGDBServer`: a platform's server is to start another.
    LaunchServer { options: Vec<u8> },
    /// `qPlatform_NAME`: things a platform's server does (`shell`, `mkdir`,
    /// `chmod`).
    Platform { name: String, options: Vec<u8> },
}

const BARE: &[(&str, LldbQuery)] = &[
    ("qHostInfo", LldbQuery::HostInfo),
    ("qProcessInfo", LldbQuery::ProcessInfo),
    ("qsProcessInfo", LldbQuery::ProcessesNext),
    ("qShlibInfoAddr", LldbQuery::LibrariesAddress),
    ("qWatchpointSupportInfo", LldbQuery::WatchpointSupport),
    ("qVAttachOrWaitSupported", LldbQuery::AttachOrWaitSupported),
    ("qSupportsDetachAndStayStopped", LldbQuery::DetachStoppedSupported),
    ("qStepPacketSupported", LldbQuery::StepSupported),
    ("qStructuredDataPlugins", LldbQuery::StructuredData),
    ("qGetWorkingDir", LldbQuery::WorkingDir),
    ("qGetPid", LldbQuery::ServerPid),
    ("qGDBServerVersion", LldbQuery::ServerVersion),
];

const USERS: [(&str, UserKind); 2] =
    [("qUserName", UserKind::User), ("qGroupName", UserKind::Group)];
const PLATFORM: &str = "qPlatform_";

impl LldbQuery {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        if let Some(name) = name.strip_prefix(PLATFORM.as_bytes()) {
            let name = crate::cursor::text(name)?;
            args.eat(":");
            return Ok(Some(Self::Platform { name, options: args.all().to_vec() }));
        }
        let found = match name {
            b"qProcessInfoPID" => {
                args = after_colon(args)?;
                Self::ProcessInfoOf { process: args.decimal()? }
            }
            b"qfProcessInfo" => {
                args.eat(":");
                Self::ProcessesFirst { filter: args.all().to_vec() }
            }
            b"qRegisterInfo" => Self::RegisterInfo { number: args.number()? },
            b"qModuleInfo" => {
                args = after_colon(args)?;
                let path = args.bytes()?;
                args.expect(";")?;
                Self::ModuleInfo { path, triple: args.bytes()? }
            }
            b"jModulesInfo" => {
                args = after_colon(args)?;
                Self::ModulesInfo { json: args.text()? }
            }
            b"qFileLoadAddress" => {
                args = after_colon(args)?;
                Self::LoadAddress { path: args.bytes()? }
            }
            b"qEcho" => {
                args = after_colon(args)?;
                Self::Echo { words: args.all().to_vec() }
            }
            b"qSpeedTest" => return speed_test(args).map(Some),
            b"qLaunchGDBServer" => {
                args.eat(";");
                Self::LaunchServer { options: args.all().to_vec() }
            }
            _ => return Self::parse_rest(name, args),
        };
        args.end()?;
        Ok(Some(found))
    }

    /// What takes no arguments, though a `:` may be there, and names of users.
    fn parse_rest(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        if let Some((_, kind)) = USERS.iter().find(|(known, _)| known.as_bytes() == name) {
            args = after_colon(args)?;
            let id = args.decimal()?;
            args.end()?;
            return Ok(Some(Self::NameOf { kind: *kind, id }));
        }
        args.eat(":");
        super::bare(BARE, name, args)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::ProcessInfoOf { process } => out.text("qProcessInfoPID:").decimal(*process),
            Self::ProcessesFirst { filter } => {
                out.text("qfProcessInfo");
                out.text(if filter.is_empty() { "" } else { ":" }).raw(filter)
            }
            Self::RegisterInfo { number } => out.text("qRegisterInfo").number(*number),
            Self::ModuleInfo { path, triple } => {
                out.text("qModuleInfo:").hex(path).text(";").hex(triple)
            }
            Self::ModulesInfo { json } => out.text("jModulesInfo:").text(json),
            Self::LoadAddress { path } => out.text("qFileLoadAddress:").hex(path),
            Self::NameOf { kind, id } => {
                let name = USERS.iter().find(|(_, known)| known == kind);
                out.text(name.map_or("", |(name, _)| name)).text(":").decimal(*id)
            }
            Self::Echo { words } => out.text("qEcho:").raw(words),
            Self::SpeedTest { response_size, data } => {
                let start = out.text("qSpeedTest:response_size:").decimal(*response_size);
                start.text(";data:").raw(data)
            }
            Self::LaunchServer { options } => {
                out.text("qLaunchGDBServer");
                out.text(if options.is_empty() { "" } else { ";" }).raw(options)
            }
            Self::Platform { name, options } => {
                out.text(PLATFORM).text(name);
                out.text(if options.is_empty() { "" } else { ":" }).raw(options)
            }
            _ => {
                super::write_bare(BARE, self, out);
                out
            }
        };
    }
}

fn speed_test(mut args: Cursor<'_>) -> Result<LldbQuery, crate::Malformed> {
    args.expect(":response_size:")?;
    let response_size = args.decimal()?;
    // As the documentation has it there is no data; lldb sends some.
    args.expect(";")?;
    args.eat("data:");
    Ok(LldbQuery::SpeedTest { response_size, data: args.all().to_vec() })
}
