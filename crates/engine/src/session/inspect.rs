//! Looking at a stopped program: threads, registers, memory, code, source
//! positions, symbols.

use trapline_core::memory::ReadMemory;
use trapline_core::x64::{MAX_INSTRUCTION, Reg, RegClass, RegView, flags};
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_patch::disassembly::{self, Syntax};

use super::activations::symbol_and_offset;
use super::frames::line_at;
use super::values::symbolic;
use super::{Motion, Selected, Session};
use crate::command::{
    CodeRange, CommandError, CompletionKind, InstructionInfo, RegisterInfo, Reply, ThreadInfo,
};

/// Most bytes that one request reads.
const MAX_READ: u64 = 256 << 20;

impl Session {
    /// Answers `info threads`.
    pub(super) fn thread_table(&mut self) -> Reply {
        let selected = self.selected().ok();
        let mut list = Vec::new();
        for (pid, tid) in self.all_threads() {
            if !self.processes.get(&pid).is_some_and(|process| process.is_debuggee()) {
                continue;
            }
            let Some(thread) = self.thread(pid, tid) else { continue };
            let locked = self.motion == Motion::Running && !self.may_run(pid, tid);
            let state = if locked { "locked".to_owned() } else { thread.stopped_for.clone() };
            let number = thread.number;
            let stopped = thread.stopped().is_some() && self.motion == Motion::Held;
            let frame = stopped.then(|| self.innermost_frame(pid, tid));
            list.push(ThreadInfo {
                number,
                pid,
                tid,
                name: self.target.thread_name(pid, tid).unwrap_or_default(),
                selected: selected.is_some_and(|s| s.pid == pid && s.tid == tid),
                frame,
                state,
            });
        }
        list.sort_by_key(|thread| thread.number);
        Reply::Threads(list)
    }

    /// Answers `thread N`.
    pub(super) fn select_thread(&mut self, number: u32) -> Result<Reply, CommandError> {
        let found: Option<(Pid, Tid)> = self.all_threads().into_iter().find(|(pid, tid)| {
            self.thread(*pid, *tid).is_some_and(|thread| thread.number == number)
        });
        let (pid, tid) =
            found.ok_or_else(|| CommandError::new(format!("Unknown thread {number}.")))?;
        self.selection = Some(Selected { pid, tid, frame: 0 });
        self.select_frame(0)
    }

    /// Answers `info registers`.
    pub(super) fn registers(&mut self, names: &[String]) -> Result<Reply, CommandError> {
        let selected = self.selected()?;
        let views = if names.is_empty() {
            let control = [Reg::Rip, Reg::Rflags, Reg::Cs, Reg::Ss, Reg::Ds, Reg::Es, Reg::Fs]
                .into_iter()
                .chain([Reg::Gs, Reg::FsBase, Reg::GsBase]);
            Reg::general()
                .chain(control)
                .map(|reg| (reg.name().to_owned(), RegView::whole(reg)))
                .collect()
        } else {
            parse_registers(names)?
        };
        let rows = views.into_iter().map(|(name, view)| self.register_row(selected, name, view));
        Ok(Reply::Registers(rows.collect()))
    }

    fn register_row(&mut self, selected: Selected, name: String, view: RegView) -> RegisterInfo {
        let bytes = self.register_bytes(selected, view);
        let word = bytes.as_ref().and_then(|bytes| {
            let mut word = [0; 8];
            word.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(u64::from_le_bytes(word))
        });
        let natural = match (view.reg, word) {
            (_, None) => String::new(),
            (Reg::Rflags, Some(value)) => flag_names(value),
            (Reg::Rip, Some(value)) => self
                .space_of(selected.pid)
                .and_then(|space| symbolic(&space.modules, VirtAddr::new(value)))
                .map(|symbol| format!("{value:#x} <{symbol}>"))
                .unwrap_or_else(|| format!("{value:#x}")),
            (Reg::Rsp | Reg::Rbp, Some(value)) => format!("{value:#x}"),
            (_, Some(value)) => value.cast_signed().to_string(),
        };
        RegisterInfo { name, bytes, natural }
    }

    fn register_bytes(&mut self, selected: Selected, view: RegView) -> Option<Vec<u8>> {
        let start = usize::from(view.offset);
        let end = start + usize::from(view.size);
        if view.reg.class() == RegClass::Vector {
            let Reg::Xmm(index) = view.reg else { return None };
            let process = self.processes.get(&selected.pid)?;
            let stopped = process.threads.get(&selected.tid)?.stopped()?;
            let state = self.target.vector_state(stopped).ok()?;
            return state.xmm.get(usize::from(index))?.get(start..end).map(<[u8]>::to_vec);
        }
        let innermost = self.shown_registers(selected.pid, selected.tid)?;
        let activation = self.frame(selected)?.activation;
        let value = if activation.is_innermost() {
            innermost.get(view.reg)
        } else {
            activation.registers.get(view.reg).or_else(|| {
                view.reg.general_index().is_none().then(|| innermost.get(view.reg)).flatten()
            })
        };
        value?.to_le_bytes().get(start..end).map(<[u8]>::to_vec)
    }

    /// Answers `x` and other reads of memory.
    pub(super) fn read_memory(
        &mut self,
        address: &str,
        len: u64,
        raw: bool,
    ) -> Result<Reply, CommandError> {
        let start = self.address_of(address)?;
        let selected = self.selected()?;
        if len > MAX_READ {
            return Err(CommandError::new(format!("at most {MAX_READ} bytes can be read at once")));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = if raw {
            self.target.read_memory(selected.pid, start, &mut bytes)
        } else {
            self.memory(selected.pid).map_or(0, |memory| memory.read_some(start, &mut bytes))
        };
        bytes.truncate(read);
        if read == 0 && len > 0 {
            return Err(CommandError::new(format!("Cannot access memory at address {start}")));
        }
        Ok(Reply::Memory { address: start, bytes, missing: len - read as u64 })
    }

    /// Answers `disassemble` and `x/i`.
    pub(super) fn disassemble(
        &mut self,
        what: Option<CodeRange>,
        intel: bool,
    ) -> Result<Reply, CommandError> {
        let selected = self.selected()?;
        let current = self.selected_frame().map(|(_, frame)| frame.activation.pc);
        let (start, len, count) = self.code_range(what, current)?;
        let end = start.wrapping_add(len as u64);
        // The last may begin in the range and end behind it.
        let mut bytes = vec![0; len + MAX_INSTRUCTION - 1];
        let read =
            self.memory(selected.pid).map_or(0, |memory| memory.read_some(start, &mut bytes));
        if read == 0 {
            return Err(CommandError::new(format!("Cannot access memory at address {start}")));
        }
        bytes.truncate(read);
        let space = self.space_of(selected.pid).ok_or_else(|| CommandError::new("no process"))?;
        let modules = &space.modules;
        let symbolize = |addr: VirtAddr| symbolic(modules, addr);
        let syntax = if intel { Syntax::Intel } else { Syntax::Att };
        let lines = disassembly::print(&bytes, start, syntax, &symbolize);
        let space_id = self.processes.get(&selected.pid).map(|process| process.space);
        let lines = lines.into_iter().take_while(|line| line.addr < end).take(count);
        let rows = lines.map(|line| InstructionInfo {
            address: line.addr,
            symbol: symbol_and_offset(modules, line.addr)
                .map(|(name, offset)| format!("{name}+{offset}")),
            current: Some(line.addr) == current,
            source: line_at(modules, line.addr.into()),
            breakpoints: space_id
                .map(|id| self.breakpoints.ids_at(id, line.addr))
                .unwrap_or_default(),
            bytes: line.bytes,
            text: line.text,
        });
        Ok(Reply::Disassembly(rows.collect()))
    }

    /// Start, in how many bytes instructions begin, and most instructions to show.
    fn code_range(
        &mut self,
        what: Option<CodeRange>,
        current: Option<VirtAddr>,
    ) -> Result<(VirtAddr, usize, usize), CommandError> {
        match what {
            None => {
                let pc = current.ok_or_else(|| CommandError::new("No frame selected."))?;
                self.function_range(pc)
            }
            Some(CodeRange::FunctionAt(expression)) => {
                let addr = self.address_of(&expression)?;
                self.function_range(addr)
            }
            Some(CodeRange::Between(from, to)) => {
                let (from, to) = (self.address_of(&from)?, self.address_of(&to)?);
                let len = to.checked_sub(from).filter(|len| *len <= 1 << 20);
                let len = len.ok_or_else(|| {
                    CommandError::new("the range ends before it starts, or is over 1 MiB")
                })?;
                Ok((from, usize::try_from(len).unwrap_or(0), usize::MAX))
            }
            Some(CodeRange::Count(expression, count)) => {
                let addr = self.address_of(&expression)?;
                let count = count.min(1 << 16);
                Ok((addr, count * MAX_INSTRUCTION, count))
            }
        }
    }

    fn function_range(&self, addr: VirtAddr) -> Result<(VirtAddr, usize, usize), CommandError> {
        let selected = self.selected()?;
        let none = || CommandError::new("No function contains specified address.");
        let space = self.space_of(selected.pid).ok_or_else(none)?;
        let module = space.modules.at(addr).ok_or_else(none)?;
        let image_addr = module.to_image(addr);
        if let Some(function) = module.image.function_at(image_addr)
            && let Some((low, high)) =
                function.ranges.iter().find(|(low, high)| (*low..*high).contains(&image_addr))
        {
            let len = high.checked_sub(*low).unwrap_or(0);
            return Ok((module.bias.to_virt(*low), usize::try_from(len).unwrap_or(0), usize::MAX));
        }
        let symbol = module.image.symbol_at(image_addr).ok_or_else(none)?;
        let len = usize::try_from(symbol.size.clamp(1, 1 << 20)).unwrap_or(1);
        Ok((module.bias.to_virt(symbol.start), len, usize::MAX))
    }

    /// Answers `info symbol`.
    pub(super) fn info_symbol(&mut self, expression: &str) -> Result<Reply, CommandError> {
        let addr = self.address_of(expression)?;
        let modules = self.visible_modules();
        let text = modules
            .at(addr)
            .and_then(|module| {
                let symbol = module.image.symbol_at(module.to_image(addr))?;
                let offset = module.to_image(addr).checked_sub(symbol.start)?;
                let plus = if offset == 0 { String::new() } else { format!(" + {offset}") };
                Some(format!("{}{plus} in {}", symbol.name, module.path.display()))
            })
            .unwrap_or_else(|| format!("No symbol matches {expression}."));
        Ok(Reply::Text(text))
    }

    /// Answers `info proc`.
    pub(super) fn process_facts(&mut self) -> Result<Reply, CommandError> {
        let selected = self
            .selected()
            .map(|selected| selected.pid)
            .or_else(|error| self.processes.keys().next().copied().ok_or(error))?;
        let info = self.target.process_info(selected)?;
        Ok(Reply::Process {
            pid: info.pid,
            executable: info.executable_name,
            args: info.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            directory: info.directory,
            death: info.death,
            mappings: self.target.memory_map(selected)?,
        })
    }

    /// Answers requests for completion.
    pub(super) fn complete(&self, kind: CompletionKind, prefix: &str, limit: usize) -> Reply {
        let modules = self.visible_modules();
        let mut names: Vec<String> = Vec::new();
        for module in modules.in_load_order() {
            match kind {
                CompletionKind::Function => {
                    names.extend(module.image.function_names(prefix, limit));
                }
                CompletionKind::File => names.extend(
                    module
                        .image
                        .files()
                        .iter()
                        .filter_map(|file| file.rsplit('/').next())
                        .filter(|name| name.starts_with(prefix))
                        .map(str::to_owned)
                        .take(limit),
                ),
                CompletionKind::Expression => {
                    names.extend(module.image.global_names(prefix, limit));
                    names.extend(module.image.function_names(prefix, limit));
                }
            }
            if names.len() >= limit {
                break;
            }
        }
        names.sort();
        names.dedup();
        names.truncate(limit);
        Reply::Names(names)
    }
}

fn parse_registers(names: &[String]) -> Result<Vec<(String, RegView)>, CommandError> {
    names
        .iter()
        .map(|name| {
            let bare = name.trim_start_matches('$');
            RegView::parse(bare)
                .map(|view| (bare.to_owned(), view))
                .ok_or_else(|| CommandError::new(format!("Invalid register `{bare}'")))
        })
        .collect()
}

/// `[ ZF PF ]`, as gdb shows flags.
fn flag_names(value: u64) -> String {
    const NAMES: [(u64, &str); 11] = [
        (1, "CF"),
        (1 << 2, "PF"),
        (1 << 4, "AF"),
        (1 << 6, "ZF"),
        (1 << 7, "SF"),
        (flags::TF, "TF"),
        (1 << 9, "IF"),
        (flags::DF, "DF"),
        (1 << 11, "OF"),
        (flags::RF, "RF"),
        (1 << 21, "ID"),
    ];
    let set: Vec<&str> =
        NAMES.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name).collect();
    format!("[ {} ]", set.join(" "))
}
