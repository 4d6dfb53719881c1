//! Looking at the program: everything that `info`, `print`, `x`, `list` and
//! their kin show.

use std::path::PathBuf;

use trapline_core::VirtAddr;
use trapline_engine::command::{CodeRange, InstructionInfo, ValueFormat, VariableKind};
use trapline_engine::event::FrameInfo;
use trapline_engine::{Command, CommandError, Reply};

use super::action::{Action, Info, MemoryFormat};
use super::console::{Console, Flow, Lines, Session};
use super::json::{self, Timed};
use super::listing::Listed;
use super::mixed::Order;
use super::render::{self, breakpoints, code, memory, process};

/// Where `x` and `list` go on when they are not told where.
#[derive(Default)]
pub(crate) struct Cursor {
    /// The next address for `x`.
    address: Option<VirtAddr>,
    /// The format `x` used last.
    format: MemoryFormat,
    /// What `list` showed last.
    pub(super) listed: Option<Listed>,
}

/// How long the threads run before `maint stop-resume` stops them, in
/// milliseconds.
const RUN_BEFORE_HOLD: u64 = 20;

/// Units, strings or instructions that one `x` shows at most.
const MOST_UNITS: u32 = 1 << 20;

/// Characters of a string that `x/s` shows at most, as gdb's `print elements`.
const MOST_CHARACTERS: u64 = 200;

impl<S: Session> Console<S> {
    pub(super) fn inspect(&mut self, action: Action) -> Result<(), CommandError> {
        match action {
            Action::Info(info) => self.info(info),
            Action::Thread(number) => self.thread(number),
            Action::Backtrace { limit, outermost: true, full } => {
                self.outermost_frames(limit, full)
            }
            Action::Backtrace { limit, full: false, .. } => {
                self.show(Command::Backtrace { limit, full: false })
            }
            Action::Backtrace { limit, full: true, .. } => self.full_backtrace(limit),
            Action::Frame(level) => self.frame(level.unwrap_or_else(|| self.level())),
            Action::MoveFrame(by) => self.move_frame(by),
            Action::Print { expression, format } => {
                self.show(Command::Print { expression, format })
            }
            Action::Output { expression, format } => {
                if let Reply::Text(text) =
                    self.session.request(Command::Evaluate { expression, format })?
                {
                    // As gdb's, so that a script can go on with the line.
                    self.screen.text(&text);
                }
                Ok(())
            }
            Action::Display(Some(display)) => self.display(display),
            Action::Display(None) => {
                self.show_displays();
                Ok(())
            }
            Action::Undisplay(numbers) => self.undisplay(&numbers),
            Action::Assign(expression) => self
                .session
                .request(Command::Evaluate { expression, format: ValueFormat::default() })
                .map(drop),
            Action::WriteCore(path) => self.show(Command::WriteCore(path)),
            Action::Examine { format, address } => self.examine(format, address),
            Action::Describe { what, expand } => self.show(Command::Describe { what, expand }),
            Action::Disassemble { what, order, raw } => self.disassemble(what, order, raw),
            Action::List(what) => self.list(what),
            Action::Handle { signals, stop, print, pass } => {
                self.show(Command::Handle { signals, stop, print, pass })
            }
            Action::Show(name) => self.show_settings(&name),
            Action::TimeHold => self.time_hold(),
            _ => Ok(()),
        }
    }

    /// Stops and resumes everything once, and says how long it took.
    fn time_hold(&mut self) -> Result<(), CommandError> {
        let command = Command::TimeHold { run_millis: RUN_BEFORE_HOLD };
        if let Reply::Duration { nanos } = self.session.request(command)? {
            self.emit(&json::timing(Timed::StopResume, nanos));
            self.screen.line(format!("stopped and resumed in {} us", nanos / 1000));
        }
        Ok(())
    }

    /// Asks and shows the answer.
    fn show(&mut self, command: Command) -> Result<(), CommandError> {
        let text = match self.session.request(command)? {
            Reply::Value { text, number } => format!("${number} = {text}"),
            Reply::Text(text) => text,
            Reply::Threads(all) => process::threads(&all),
            Reply::Registers(all) => process::registers(&all),
            Reply::Libraries(all) => process::libraries(&all),
            Reply::Signals(all) => process::signals(&all),
            Reply::Backtrace { frames, ended } => code::backtrace(&frames, ended.as_deref()),
            Reply::Disassembly(all) => code::disassembly(&all, false),
            _ => return Ok(()),
        };
        self.screen.line(text);
        Ok(())
    }

    fn info(&mut self, info: Info) -> Result<(), CommandError> {
        match info {
            Info::Breakpoints { watches } => {
                let mut all = self.breakpoints()?;
                if watches {
                    all.retain(super::help::is_watch);
                }
                self.screen.line(breakpoints::breakpoints(&all));
                Ok(())
            }
            Info::Threads => self.show(Command::Threads),
            Info::Registers(names) => self.show(Command::Registers(names)),
            Info::Libraries => self.show(Command::Libraries),
            Info::Signals(None) => self.show(Command::Signals),
            Info::Signals(Some(signal)) => {
                let Reply::Signals(mut all) = self.session.request(Command::Signals)? else {
                    return Ok(());
                };
                all.retain(|(one, _)| *one == signal);
                self.screen.line(process::signals(&all));
                Ok(())
            }
            Info::Process { mappings } => self.process(mappings),
            Info::Jump(id) => self.show(Command::Jump(id)),
            Info::Line(location) => self.show(Command::InfoLine(location)),
            Info::Symbol(expression) => self.show(Command::InfoSymbol(expression)),
            Info::Scope(location) => self.show(Command::InfoScope(location)),
            Info::Views => self.show(Command::Views),
            Info::Displays => {
                self.list_displays();
                Ok(())
            }
            Info::Variables(kind) => self.variables(kind),
            Info::Source => self.source_file(),
            Info::Frame => {
                let frame = self.selected_frame()?;
                self.screen.line(code::frame_details(&frame));
                Ok(())
            }
            Info::Program => {
                let text = self.program();
                self.screen.line(text);
                Ok(())
            }
        }
    }

    /// The last frames of a stack.
    fn outermost_frames(&mut self, count: usize, full: bool) -> Result<(), CommandError> {
        let command = Command::Backtrace { limit: usize::MAX, full };
        if let Reply::Backtrace { frames, ended } = self.session.request(command)? {
            let last = &frames[frames.len().saturating_sub(count)..];
            self.screen.line(match full {
                true => code::full_backtrace(last, ended.as_deref()),
                false => code::backtrace(last, ended.as_deref()),
            });
        }
        Ok(())
    }

    fn full_backtrace(&mut self, limit: usize) -> Result<(), CommandError> {
        let command = Command::Backtrace { limit, full: true };
        if let Reply::Backtrace { frames, ended } = self.session.request(command)? {
            self.screen.line(code::full_backtrace(&frames, ended.as_deref()));
        }
        Ok(())
    }

    fn variables(&mut self, kind: VariableKind) -> Result<(), CommandError> {
        let Reply::Variables(all) = self.session.request(Command::Variables(kind))? else {
            return Ok(());
        };
        let none = match kind {
            VariableKind::Argument => "No arguments.",
            VariableKind::Local => "No locals.",
        };
        self.screen.line(if all.is_empty() { none.to_owned() } else { code::variables(&all) });
        Ok(())
    }

    fn program(&self) -> String {
        let pids: Vec<String> = self.known.pids.iter().map(ToString::to_string).collect();
        match (&self.known.stop, pids.is_empty()) {
            (_, true) => "The program being debugged is not being run.".to_owned(),
            (Some(stop), _) => format!(
                "Process {} stopped at {} in thread {}.",
                pids.join(", "),
                stop.frame.pc,
                stop.thread
            ),
            _ if self.known.running => format!("Process {} runs.", pids.join(", ")),
            _ => format!("Process {} stands.", pids.join(", ")),
        }
    }

    fn process(&mut self, with_mappings: bool) -> Result<(), CommandError> {
        let Reply::Process { pid, executable, args, directory, mappings, .. } =
            self.session.request(Command::Process)?
        else {
            return Ok(());
        };
        self.screen.line(format!("process {pid}"));
        if with_mappings {
            self.screen.line(process::mappings(&mappings));
            return Ok(());
        }
        self.screen.line(format!("cmdline = '{}'", args.join(" ")));
        if let Some(directory) = directory {
            self.screen.line(format!("cwd = '{}'", directory.display()));
        }
        self.screen.line(format!("exe = '{}'", executable.display()));
        Ok(())
    }

    fn source_file(&mut self) -> Result<(), CommandError> {
        let frame = self.selected_frame()?;
        let text = match frame.file {
            Some(file) => format!("Current source file is {}", file.display()),
            None => "No source file is known for this frame.".to_owned(),
        };
        self.screen.line(text);
        Ok(())
    }

    fn thread(&mut self, number: Option<u32>) -> Result<(), CommandError> {
        if let Some(number) = number {
            self.cursor.listed = None;
            let reply = self.session.request(Command::SelectThread(number))?;
            if let Reply::Frame(frame) = reply {
                self.cursor_level(0);
                self.current_thread()?;
                self.show_frame(&frame);
            }
            return Ok(());
        }
        self.current_thread()
    }

    fn current_thread(&mut self) -> Result<(), CommandError> {
        let Reply::Threads(all) = self.session.request(Command::Threads)? else { return Ok(()) };
        let text = match all.iter().find(|thread| thread.selected) {
            Some(thread) => format!("[Current thread is {}]", process::thread_line(thread)),
            None => "No thread selected.".to_owned(),
        };
        self.screen.line(text);
        Ok(())
    }

    /// Runs a command in several threads, and selects the present one again.
    pub(super) fn thread_apply(
        &mut self,
        threads: Option<Vec<u32>>,
        line: &str,
        lines: &mut dyn Lines,
    ) -> Result<Flow, CommandError> {
        let Reply::Threads(all) = self.session.request(Command::Threads)? else {
            return Ok(Flow::Stay);
        };
        let selected = all.iter().find(|thread| thread.selected).map(|thread| thread.number);
        let is_meant = |number: u32| threads.as_ref().is_none_or(|some| some.contains(&number));
        let mut flow = Ok(Flow::Stay);
        for thread in all.iter().filter(|thread| is_meant(thread.number)) {
            self.screen.line(format!("\n{}:", process::thread_line(thread)));
            self.session.request(Command::SelectThread(thread.number))?;
            let action = super::lookup::read(line).map_err(CommandError::new)?;
            flow = self.execute(action, lines);
            if !matches!(flow, Ok(Flow::Stay)) {
                return flow;
            }
        }
        if let Some(number) = selected {
            self.session.request(Command::SelectThread(number))?;
        }
        flow
    }

    fn level(&self) -> usize {
        self.known.frame
    }

    fn cursor_level(&mut self, level: usize) {
        self.known.frame = level;
        self.cursor.listed = None;
    }

    fn selected_frame(&self) -> Result<FrameInfo, CommandError> {
        match self.session.request(Command::SelectFrame(self.level()))? {
            Reply::Frame(frame) => Ok(*frame),
            _ => Err(CommandError::new("no frame selected")),
        }
    }

    fn frame(&mut self, level: usize) -> Result<(), CommandError> {
        if let Reply::Frame(frame) = self.session.request(Command::SelectFrame(level))? {
            self.cursor_level(frame.level);
            self.show_frame(&frame);
        }
        Ok(())
    }

    fn move_frame(&mut self, by: i64) -> Result<(), CommandError> {
        let by = isize::try_from(by).unwrap_or(isize::MAX);
        if by < 0 && self.level() == 0 {
            return Err(CommandError::new("this is the innermost frame: you cannot go down"));
        }
        self.frame(self.level().saturating_add_signed(by))
    }

    fn show_frame(&mut self, frame: &FrameInfo) {
        self.screen.line(code::numbered_frame(frame));
        if let (Some(text), Some(line)) = (self.line_of_frame(frame), frame.line) {
            self.screen.line(format!("{line}\t{text}"));
        }
    }

    pub(super) fn examine(
        &mut self,
        wanted: MemoryFormat,
        address: Option<String>,
    ) -> Result<(), CommandError> {
        let format = wanted.after(self.cursor.format);
        let next = self.cursor.address.map(|address| format!("{address}"));
        let address = address
            .or(next)
            .ok_or_else(|| CommandError::new("say which address: there is none to go on from"))?;
        self.cursor.format = MemoryFormat { count: None, ..format };
        let count = format.count.unwrap_or(1).min(MOST_UNITS);
        let unit = format.unit.unwrap_or(4);
        match format.letter {
            Some('i') => self.examine_code(&address, count),
            Some('s') => self.examine_strings(address, count, unit),
            letter => self.examine_units(&address, count, letter.unwrap_or('x'), unit),
        }
    }

    fn examine_units(
        &mut self,
        address: &str,
        count: u32,
        letter: char,
        unit: u8,
    ) -> Result<(), CommandError> {
        let wanted = u64::from(count) * u64::from(unit);
        let (at, bytes, missing) = self.read(address.to_owned(), wanted)?;
        let whole = bytes.len() - bytes.len() % usize::from(unit);
        self.screen.line(memory::units(at, &bytes[..whole], unit, letter));
        let end = at.wrapping_add(whole as u64);
        self.cursor.address = Some(end);
        if missing > 0 {
            return Err(CommandError::new(format!("Cannot access memory at address {end}")));
        }
        Ok(())
    }

    fn read(&self, address: String, len: u64) -> Result<(VirtAddr, Vec<u8>, u64), CommandError> {
        match self.session.request(Command::ReadMemory { address, len, raw: false })? {
            Reply::Memory { address, bytes, missing } => Ok((address, bytes, missing)),
            _ => Err(CommandError::new("no memory was read")),
        }
    }

    fn examine_strings(
        &mut self,
        mut address: String,
        count: u32,
        mut unit: u8,
    ) -> Result<(), CommandError> {
        if unit > 4 {
            unit = 1;
            self.screen.line("warning: no character has size `g`: shown by `b`");
        }
        let size = usize::from(unit);
        for _ in 0..count {
            let (at, bytes, _) = self.read(address, MOST_CHARACTERS * u64::from(unit))?;
            let mut characters = bytes.chunks_exact(size);
            let whole = characters.len() * size;
            let end = characters.position(|it| it.iter().all(|&byte| byte == 0));
            let shown = end.map_or(whole, |end| end * size);
            if shown == 0 && end.is_none() {
                return Err(CommandError::new(format!("Cannot access memory at address {at}")));
            }
            self.screen.line(memory::string(at, &bytes[..shown], unit, end.is_none()));
            let next = at.wrapping_add((shown + end.map_or(0, |_| size)) as u64);
            self.cursor.address = Some(next);
            address = next.to_string();
        }
        Ok(())
    }

    fn examine_code(&mut self, address: &str, count: u32) -> Result<(), CommandError> {
        let what = Some(CodeRange::Count(address.to_owned(), count as usize));
        let all = self.instructions(what)?;
        if let Some(last) = all.last() {
            self.cursor.address = Some(last.address.wrapping_add(last.bytes.len() as u64));
        }
        self.screen.line(code::disassembly(&all, false));
        Ok(())
    }

    fn instructions(&self, what: Option<CodeRange>) -> Result<Vec<InstructionInfo>, CommandError> {
        let intel = self.settings.intel;
        match self.session.request(Command::Disassemble { what, intel })? {
            Reply::Disassembly(all) => Ok(all),
            _ => Ok(Vec::new()),
        }
    }

    fn disassemble(
        &mut self,
        what: Option<CodeRange>,
        order: Option<Order>,
        raw: bool,
    ) -> Result<(), CommandError> {
        let all = self.instructions(what)?;
        match order {
            Some(order) => self.disassemble_among_source(&all, order, raw),
            None => self.screen.line(code::disassembly(&all, raw)),
        }
        Ok(())
    }

    fn show_settings(&mut self, name: &str) -> Result<(), CommandError> {
        let mut all = self.own_settings();
        if let Reply::Settings(theirs) = self.session.request(Command::Settings)? {
            all.extend(theirs);
        }
        all.sort();
        all.retain(|(setting, _)| setting.starts_with(name));
        if all.is_empty() {
            let text = format!("`{name}` is not a setting; `show` shows those there are");
            return Err(CommandError::new(text));
        }
        self.screen.line(process::settings(&all));
        Ok(())
    }

    fn own_settings(&self) -> Vec<(String, String)> {
        let on_off = |on: bool| if on { "on" } else { "off" }.to_owned();
        let args: Vec<String> = self
            .launch
            .args
            .iter()
            .map(|arg| super::words::quote(&arg.to_string_lossy()))
            .collect();
        let directory = self.launch.directory.as_ref();
        let directory = directory.map_or_else(|| "ours".to_owned(), |at| at.display().to_string());
        let rule =
            |(from, to): &(PathBuf, PathBuf)| format!("{} -> {}", from.display(), to.display());
        let substitutes: Vec<String> = self.sources.substitutes().iter().map(rule).collect();
        let substitutes =
            if substitutes.is_empty() { "none".to_owned() } else { substitutes.join(", ") };
        let flavor = if self.settings.intel { "intel" } else { "att" };
        let pairs = [
            ("args", args.join(" ")),
            ("confirm", on_off(self.settings.confirm)),
            ("cwd", directory),
            ("disable-randomization", on_off(!self.launch.randomize_addresses)),
            ("disassembly-flavor", flavor.to_owned()),
            ("listsize", self.settings.list_size.to_string()),
            ("style sources", on_off(self.sources.is_styled())),
            ("substitute-path", substitutes),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// An error, rendered: for callers that have no console yet.
pub(crate) fn plain_error(error: &CommandError) -> String {
    render::error(error)
}
