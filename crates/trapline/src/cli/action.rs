//! What a line typed by the user asks for, as data: between the command table
//! that reads it and the console that does it.

use std::path::PathBuf;

use super::display::Display;
use super::mixed::Order;
use trapline_core::breakpoint::BreakpointSpec;
use trapline_core::stop::Signal;
use trapline_core::{BreakpointId, Pid};
use trapline_engine::command::{
    Change, CodeRange, LineStep, Selection, Setting, ValueFormat, VariableKind,
};

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// An empty line or a comment.
    Nothing,
    /// Start the program, and let it run.
    Run { args: Option<Vec<String>>, at_main: bool, background: bool },
    /// Let it run on; `skip` hits of the breakpoint it stands at are let
    /// through first.
    Continue { skip: u64, background: bool },
    /// Execute instructions.
    Step { count: u64, over_calls: bool },
    /// Go on to another line.
    StepLine { count: u64, how: LineStep },
    /// Run until the selected frame returns.
    Finish,
    /// Run until a location is reached.
    RunTo { location: String, in_frame: bool },
    /// Stop everything.
    Interrupt,
    /// Run on, delivering this signal (`None`: none).
    Signal(Option<Signal>),
    /// Kill the program.
    Kill,
    /// Let go of it.
    Detach(Option<Pid>),
    /// Take over a process.
    Attach(Pid),
    /// Debug this program from now on.
    File(PathBuf),

    /// Set a breakpoint or watch.
    Break(Box<BreakpointSpec>),
    /// Change one.
    Change(BreakpointId, Change),
    /// Read the commands of breakpoints (`None`: of the last one).
    Commands(Option<Vec<BreakpointId>>),
    /// Turn on.
    Enable(Selection, Lifetime),
    /// Turn off.
    Disable(Selection),
    /// Remove.
    Delete(Selection),
    /// Remove those at a place (`None`: where the program stands).
    Clear(Option<String>),

    /// Show something.
    Info(Info),
    /// Show or choose the thread.
    Thread(Option<u32>),
    /// Run a command in several threads (`None`: in all).
    ThreadApply { threads: Option<Vec<u32>>, line: String },
    /// The call stack.
    Backtrace { limit: usize, outermost: bool, full: bool },
    /// Show or choose the frame.
    Frame(Option<usize>),
    /// Go outward (positive) or inward.
    MoveFrame(i64),
    /// Evaluate and show.
    Print { expression: String, format: ValueFormat },
    /// Evaluate and show the bare value.
    Output { expression: String, format: ValueFormat },
    /// Show an expression at every stop (`None`: show all now).
    Display(Option<Display>),
    /// Show some no more; all if none is named.
    Undisplay(Vec<u32>),
    /// Evaluate for the effect.
    Assign(String),
    /// Show memory.
    Examine { format: MemoryFormat, address: Option<String> },
    /// The type of an expression, or what a type is.
    Describe { what: String, expand: bool },
    /// Instructions.
    Disassemble { what: Option<CodeRange>, order: Option<Order>, raw: bool },
    /// Source lines.
    List(ListWhat),

    /// The signal table.
    Handle { signals: Vec<Signal>, stop: Option<bool>, print: Option<bool>, pass: Option<bool> },
    /// Change a setting of the session or of this console.
    Set(SetWhat),
    /// Show settings whose name starts so.
    Show(String),
    /// Measure one stop and resumption of everything.
    TimeHold,
    /// Write the breakpoints as commands.
    SaveBreakpoints(PathBuf),
    /// Write a core file.
    WriteCore(Option<PathBuf>),
    /// Read commands from a file.
    Source(PathBuf),
    /// Read views of types from a file.
    LoadViews(PathBuf),
    /// Print text.
    Echo(String),
    /// Say how to use a command (empty: what there is).
    Help(String),
    /// Commands whose help speaks of this.
    Apropos(String),
    /// End.
    Quit,
}

/// How long a breakpoint stays on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifetime {
    /// Until it is turned off.
    Lasting,
    /// Until it stops the program once; then it is off.
    Once,
    /// Until it stops the program once; then it is gone.
    Delete,
}

/// What `info` shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Info {
    /// The types that there are views for.
    Views,
    /// Breakpoints and watches; only watches if `watches`.
    Breakpoints { watches: bool },
    /// Threads.
    Threads,
    /// Registers: these, or the integer ones.
    Registers(Vec<String>),
    /// Loaded images.
    Libraries,
    /// The signal table; only this one if given.
    Signals(Option<Signal>),
    /// The process and its mappings.
    Process { mappings: bool },
    /// The jumps of a breakpoint.
    Jump(BreakpointId),
    /// The code of a line.
    Line(String),
    /// The symbol at an address.
    Symbol(String),
    /// The variables at a location, and where they are.
    Scope(String),
    /// The variables of the frame: arguments, or the others.
    Variables(VariableKind),
    /// What is shown at every stop.
    Displays,
    /// The source file of the frame.
    Source,
    /// The selected frame.
    Frame,
    /// Whether the program runs, and why it stopped.
    Program,
}

/// `x/8xb`: how many, shown how, of which size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct MemoryFormat {
    /// How many units, instructions or strings.
    pub(crate) count: Option<u32>,
    /// gdb's letter: x d u o t a c f s i.
    pub(crate) letter: Option<char>,
    /// Bytes of a unit: 1, 2, 4 or 8.
    pub(crate) unit: Option<u8>,
}

impl MemoryFormat {
    /// This one, with what it leaves open as it was the last time or as the
    /// letter has it.
    pub(crate) fn after(self, last: Self) -> Self {
        let letter = self.letter.or(last.letter);
        let unit = match (letter, self.unit, last.unit) {
            (Some('a'), _, _) => Some(8),
            (_, Some(unit), _) => Some(unit),
            (Some('c' | 's'), None, _) => Some(1),
            (Some('f'), None, last) => last.filter(|&unit| unit == 4).or(Some(8)),
            (_, None, last) => last,
        };
        Self { count: self.count, letter, unit }
    }
}

/// What `list` shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ListWhat {
    /// The lines after those shown last; around the frame at first.
    Next,
    /// The lines before those shown first.
    Previous,
    /// The lines around a place.
    Around(String),
    /// From one place to another; without one of them, the lines after or
    /// before the other.
    Range(Option<String>, Option<String>),
}

/// What `set` changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SetWhat {
    /// A setting of the session.
    Session(Setting),
    /// The program's arguments at the next `run`.
    Args(Vec<String>),
    /// A variable of its environment at the next `run`; `None` removes it.
    Environment(String, Option<String>),
    /// Its working directory at the next `run`.
    Directory(Option<PathBuf>),
    /// Whether its addresses are randomised at the next `run`.
    Randomize(bool),
    /// How many lines `list` shows.
    ListSize(u32),
    /// Whether to ask before something is lost.
    Confirm(bool),
    /// Intel syntax rather than AT&T.
    Intel(bool),
    /// Whether source has colours.
    StyleSources(bool),
    /// Where source files below a folder are now; `None` where they were.
    Substitute(PathBuf, Option<PathBuf>),
    /// All source files are where they were.
    NoSubstitutes,
}
