//! Breakpoints and watchpoints, with the bytecode of their conditions and
//! commands (GDB manual, Packets, "Z0"). What the bytecode says is for
//! [`agent`](crate::agent).

use super::Parsed;
use crate::cursor::{Cursor, Malformed};
use crate::put::Put;

/// What kind of breakpoint or watchpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PointKind {
    /// `0`: a breakpoint in memory.
    Software,
    /// `1`: a breakpoint of the processor's.
    Hardware,
    /// `2`: stop when data is written.
    Write,
    /// `3`: stop when data is read.
    Read,
    /// `4`: stop when data is read or written.
    Access,
}

const KINDS: [(&str, PointKind); 5] = [
    ("0", PointKind::Software),
    ("1", PointKind::Hardware),
    ("2", PointKind::Write),
    ("3", PointKind::Read),
    ("4", PointKind::Access),
];

/// Which breakpoint or watchpoint. The same is inserted and removed by the same
/// three facts; conditions are not among them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Point {
    /// What kind.
    pub kind: PointKind,
    /// Where.
    pub address: u64,
    /// Bytes watched; for breakpoints the architecture's kind (1 on x86).
    pub size: u64,
}

/// What is done at every hit of a breakpoint instead of stopping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commands {
    /// Whether it goes on being done when the client has gone.
    pub persist: bool,
    /// Bytecode, to be run in this order.
    pub bytecode: Vec<Vec<u8>>,
}

/// A request about breakpoints and watchpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PointRequest {
    /// `Z`: insert. With conditions or commands it replaces what the same point
    /// had, and may come again while it is inserted.
    Insert {
        /// Which.
        point: Point,
        /// Bytecode of conditions. It counts when any of them holds; when there
        /// are none, always.
        conditions: Vec<Vec<u8>>,
        /// What is done at a hit.
        commands: Option<Commands>,
    },
    /// `z`: remove.
    Remove {
        /// Which.
        point: Point,
    },
}

impl PointRequest {
    pub(super) fn parse(name: &[u8], mut args: Cursor<'_>) -> Parsed<Self> {
        let insert = match name {
            b"Z" => true,
            b"z" => false,
            _ => return Ok(None),
        };
        let Some((_, kind)) = KINDS.iter().find(|(digit, _)| args.eat(digit)) else {
            return Ok(None);
        };
        let point = point(*kind, &mut args)?;
        if !insert {
            args.end()?;
            return Ok(Some(Self::Remove { point }));
        }
        let mut conditions = Vec::new();
        let mut commands = None;
        while !args.is_empty() {
            args.expect(";")?;
            if args.eat("cmds:") {
                commands = Some(command_list(&mut args)?);
            } else {
                bytecode_list(&mut args, &mut conditions)?;
            }
        }
        Ok(Some(Self::Insert { point, conditions, commands }))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Remove { point } => write_point("z", *point, out),
            Self::Insert { point, conditions, commands } => {
                write_point("Z", *point, out);
                if !conditions.is_empty() {
                    out.text(";");
                    write_bytecode_list(conditions, out);
                }
                if let Some(commands) = commands {
                    out.text(";cmds:").number(u8::from(commands.persist)).text(",");
                    write_bytecode_list(&commands.bytecode, out);
                }
            }
        }
    }
}

/// Address and size, behind the kind's digit.
fn point(kind: PointKind, args: &mut Cursor<'_>) -> Result<Point, Malformed> {
    args.expect(",")?;
    let (address, size) = args.pair()?;
    Ok(Point { kind, address, size })
}

fn write_point(letter: &str, point: Point, out: &mut Vec<u8>) {
    let digit = KINDS.iter().find(|(_, kind)| *kind == point.kind).map_or("", |(digit, _)| digit);
    out.text(letter).text(digit).text(",").number(point.address).text(",").number(point.size);
}

/// `X<length>,<hex>`, as often as it comes, with or without a `;` in between:
/// gdb writes them one behind the other, the manual with one each.
fn bytecode_list(args: &mut Cursor<'_>, list: &mut Vec<Vec<u8>>) -> Result<(), Malformed> {
    args.expect("X")?;
    loop {
        let length = args.number()?;
        args.expect(",")?;
        list.push(args.exactly(length)?);
        if !args.eat("X") && !args.eat(";X") {
            return Ok(());
        }
    }
}

fn write_bytecode_list(list: &[Vec<u8>], out: &mut Vec<u8>) {
    for code in list {
        out.text("X").number(code.len() as u64).text(",").hex(code);
    }
}

fn command_list(args: &mut Cursor<'_>) -> Result<Commands, Malformed> {
    let persist = args.flag()?;
    let mut bytecode = Vec::new();
    if args.eat(",") && !args.is_empty() {
        bytecode_list(args, &mut bytecode)?;
    }
    Ok(Commands { persist, bytecode })
}
