//! gdb's agent expressions as commands: what `dprintf` with the style `agent`
//! has done at every hit, while the program goes on.

use std::collections::BTreeMap;

use trapline_core::VirtAddr;
use trapline_core::location::Frame;
use trapline_core::x64::Reg;
use trapline_engine::client::Commands;
use trapline_rsp::agent::{Limits, Machine, Op, Program};

use super::registers::RegisterFile;
use super::server::Refusal;

/// Code that is run at every hit, one piece after the other.
#[derive(Debug)]
pub(super) struct AgentCommands {
    source: Vec<Vec<u8>>,
    code: Vec<Program>,
    /// The registers that it names, by gdb's numbers.
    registers: BTreeMap<u16, Reg>,
}

impl AgentCommands {
    pub(super) fn new(bytecode: &[Vec<u8>], file: &RegisterFile) -> Result<Self, Refusal> {
        let bad = |error| Refusal::new(format!("bad agent expression: {error}"));
        let code: Vec<Program> = bytecode
            .iter()
            .map(|code| Program::decode(code).map_err(bad))
            .collect::<Result<_, _>>()?;
        let mut registers = BTreeMap::new();
        for (_, op) in code.iter().flat_map(Program::ops) {
            if let Op::Register(number) = *op {
                let missing =
                    || Refusal::new(format!("register {number} cannot be used in commands"));
                registers.insert(number, file.by_number(number).ok_or_else(missing)?);
            }
        }
        Ok(Self { source: bytecode.to_vec(), code, registers })
    }
}

impl Commands for AgentCommands {
    fn source(&self) -> &[Vec<u8>] {
        &self.source
    }

    fn run(&self, frame: &dyn Frame) -> String {
        let mut hit = Hit { frame, registers: &self.registers, text: String::new() };
        for code in &self.code {
            if let Err(fault) = code.run(&mut hit, Limits::default()) {
                hit.text.push_str(&format!("<{fault}>\n"));
                break;
            }
        }
        hit.text
    }
}

/// A thread at a hit, and what is said about it.
struct Hit<'a> {
    frame: &'a dyn Frame,
    registers: &'a BTreeMap<u16, Reg>,
    text: String,
}

impl Machine for Hit<'_> {
    fn register(&mut self, number: u16) -> Option<u64> {
        self.frame.register(*self.registers.get(&number)?).ok()
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        self.frame.read_some(VirtAddr::new(address), bytes) == bytes.len()
    }

    fn print(&mut self, text: &str) {
        self.text.push_str(text);
    }
}
