//! Which variables the scopes at a place in code have, and where each of them
//! is there: `info scope`. Their values are left to `variables`.

use trapline_core::VirtAddr;
use trapline_core::location::{BinaryOp, Op, Place, Program};
use trapline_core::types::ResolveType;
use trapline_symbols::{PcKind, Variable};

use super::Session;
use super::scope::Types;
use crate::command::{CommandError, Reply};
use crate::space::{Module, Modules};

/// How far into values of several parts they are described.
const DEEPEST: u32 = 4;

impl Session {
    /// Answers `info scope`. As gdb has it: of the innermost function there,
    /// which may be one that was put inline.
    pub(super) fn info_scope(&mut self, location: &str) -> Result<Reply, CommandError> {
        let places = self.addresses_of(location)?;
        let modules = self.visible_modules();
        let no_code = || CommandError::new(format!("`{location}` is in no loaded code"));
        let at = *places.first().ok_or_else(no_code)?;
        let module = modules.at(at).ok_or_else(no_code)?;
        let several = match places.len() {
            1 => String::new(),
            count => format!(" (the first of {count} places, {at})"),
        };
        let lines: Vec<String> = variables_around(module, at)
            .iter()
            .map(|variable| described(&modules, module, variable))
            .collect();
        Ok(Reply::Text(match lines.is_empty() {
            true => format!("Scope for {location}{several}:\nContains no locals or arguments."),
            false => format!("Scope for {location}{several}:\n{}", lines.join("\n")),
        }))
    }
}

fn variables_around(module: &Module, at: VirtAddr) -> Vec<Variable> {
    let at = module.to_image(at);
    let depth = u32::try_from(module.image.inline_chain_at(at).len()).unwrap_or(u32::MAX);
    let mut found = module.image.variables_at(at, PcKind::Exact);
    found.retain(|variable| variable.inline_depth == depth && !variable.name.is_empty());
    found
}

fn described(modules: &Modules, module: &Module, variable: &Variable) -> String {
    let types = Types(modules);
    let ty = types.follow(&variable.ty).and_then(|ty| types.strip(&ty));
    let length = match ty.map(|ty| ty.size) {
        Ok(Some(size)) => format!(", length {size}"),
        Ok(None) => String::new(),
        Err(why) => format!(", of a type that is not known ({why})"),
    };
    format!(
        "Symbol {} is {}{length}.",
        variable.name,
        whereabouts(module, &variable.place, DEEPEST)
    )
}

/// Where a variable is, in words.
fn whereabouts(module: &Module, place: &Place, deep: u32) -> String {
    match place {
        Place::Memory(program) => match address(module, program) {
            Some(address) => format!("in memory at {address}"),
            None => "in memory at a computed address".to_owned(),
        },
        Place::Register(reg) => format!("in ${reg}"),
        Place::Value(program) => computed(program),
        Place::Bytes(bytes) => format!("a constant of {} bytes", bytes.len()),
        Place::Pieces(_) | Place::Pointer(_) if deep == 0 => "in parts of parts".to_owned(),
        Place::Pointer(pointed) => {
            format!(
                "optimized out, a pointer to what is {}",
                whereabouts(module, &pointed.place, deep - 1)
            )
        }
        Place::Pieces(pieces) => {
            let part = |piece: &trapline_core::location::Piece| {
                format!("{} bytes {}", piece.len, whereabouts(module, &piece.place, deep - 1))
            };
            let parts: Vec<String> = pieces.iter().map(part).collect();
            format!("in {} parts: {}", parts.len(), parts.join(", "))
        }
        Place::Unavailable(why) => why.clone(),
    }
}

/// `$rbp-20` or an address, when that is all that a program says.
fn address(module: &Module, program: &Program) -> Option<String> {
    let (first, rest) = program.split_first()?;
    let mut offset = 0_i64;
    for step in rest.chunks(2) {
        let [Op::Const(number), Op::Binary(binary)] = step else { return None };
        offset = match binary {
            BinaryOp::Add => offset.wrapping_add(number.cast_signed()),
            BinaryOp::Sub => offset.wrapping_sub(number.cast_signed()),
            _ => return None,
        };
    }
    match *first {
        Op::RegOffset(reg, base) => Some(format!("${reg}{:+}", base.wrapping_add(offset))),
        Op::Address(at) => Some(module.bias.to_virt(at).wrapping_offset(offset).to_string()),
        Op::Tls { offset: at, .. } => {
            Some(format!("offset {} of its thread's storage", at.wrapping_add_signed(offset)))
        }
        _ => None,
    }
}

fn computed(program: &Program) -> String {
    let at_entry = |op: &Op| matches!(op, Op::EntryRegister(_));
    match program[..] {
        [Op::Const(number)] => format!("the constant {}", number.cast_signed()),
        [Op::RegOffset(reg, 0)] | [Op::KeptRegister(reg)] => format!("in ${reg}"),
        [Op::EntryRegister(reg)] => format!("what ${reg} held at the function's entry"),
        _ if program.iter().any(at_entry) => {
            "a value computed from what registers held at the function's entry".to_owned()
        }
        _ => "a computed value".to_owned(),
    }
}
