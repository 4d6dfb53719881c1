//! The one table of commands: their names, abbreviations, help, completion and
//! meaning. The parser, `help`, completion and `docs/commands.md` all come
//! from it. How a line finds its row is in `lookup`; how arguments are read is
//! in `parse`.

use super::action::Action;
use super::parse;

/// A command.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Its full name; two words for a member of a family (`info threads`).
    pub(crate) name: &'static str,
    /// Other names and the abbreviations that win over a longer match. For a
    /// member of a family, of the second word.
    pub(crate) aliases: &'static [&'static str],
    /// What follows the name.
    pub(crate) usage: &'static str,
    /// One line.
    pub(crate) help: &'static str,
    /// More, for `help COMMAND`; empty for none.
    pub(crate) long: &'static str,
    /// What its argument completes to.
    pub(crate) complete: Complete,
    /// How far the program must have come.
    pub(crate) needs: Needs,
    /// Whether an empty line after it repeats it.
    pub(crate) repeats: bool,
    /// Reads its arguments.
    pub(crate) parse: fn(&str) -> Result<Action, String>,
}

/// What an argument completes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Complete {
    /// Nothing.
    Nothing,
    /// Functions and source files.
    Location,
    /// Variables and functions.
    Expression,
    /// Commands.
    Command,
    /// Files of this machine.
    Path,
    /// Signals.
    Signal,
}

/// How far the program must have come before a command makes sense. In a batch
/// run the program is started at the first command that needs it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Needs {
    /// Not even started.
    Nothing,
    /// A process, even one that stands before its first instruction.
    Process,
    /// A process that ran to its first stop.
    Stop,
}

type Parse = fn(&str) -> Result<Action, String>;

const fn row(
    name: &'static str,
    aliases: &'static [&'static str],
    usage: &'static str,
    help: &'static str,
    parse: Parse,
) -> Row {
    Row {
        name,
        aliases,
        usage,
        help,
        long: "",
        complete: Complete::Nothing,
        needs: Needs::Nothing,
        repeats: false,
        parse,
    }
}

impl Row {
    const fn long(mut self, text: &'static str) -> Self {
        self.long = text;
        self
    }

    const fn completes(mut self, what: Complete) -> Self {
        self.complete = what;
        self
    }

    const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// The family it belongs to, for a member of one.
    pub(crate) fn family(&self) -> Option<&'static str> {
        self.name.split_once(' ').map(|(family, _)| family)
    }

    /// The last word of its name.
    pub(crate) fn word(&self) -> &'static str {
        self.name.split_once(' ').map_or(self.name, |(_, word)| word)
    }
}

const SPEC_HELP: &str = "\
SPEC is [-once] [-jump|-trap|-hw] [-hits 'OP N'] [-filter EXPR] [-changed EXPR] [-log TEMPLATE]
[-name NAME] LOCATION [thread N] [if EXPR].
LOCATION is FUNCTION, FILE:LINE, LINE, +LINES, -LINES, FUNCTION+OFFSET or *ADDRESS; without one,
the place where the program stands.
  -once          delete it after its first stop
  -jump          decide in the program, by a jump written over the code
  -trap, -hw     serve it by a trap instruction, or by a debug register
  -hits 'OP N'   only hit N (==), every Nth (%), or the Nth and all after it (>=)
  -filter EXPR   only passes of these processes and threads; checked first
  -changed EXPR  only when the value differs from the pass before
  -log TEMPLATE  write a message and go on: {EXPR}, $TID, $FUNCTION, $CALLER, ...
  -name NAME     put it into a group, for enable, disable and delete";

const WATCH_HELP: &str = "\
Takes the flags of `break` in front and `if EXPR` behind. What is watched is an expression, or
*ADDRESS@LENGTH for bytes. A watch on a local ends with its frame. Data is watched by debug
registers, which do not see what the kernel writes; such a change is reported at the next stop.";

const NUMBERS_HELP: &str = "\
N... are numbers (3), ranges (3-5), one location (3.1) or the name of a group.";

/// Every command, in the order that `help` shows them.
pub(crate) const ROWS: &[Row] = &[
    // Running.
    row("run", &["r"], "[ARGS]", "Start the program; from the beginning if it runs", parse::run)
        .long("ARGS replace those given before. A trailing & returns to the prompt at once."),
    row("start", &["sta"], "[ARGS]", "Start the program and stop at main", parse::start),
    row("continue", &["c", "cont", "fg"], "[N]", "Let the program run on", parse::resume)
        .long(
            "With N, the breakpoint it stands at stops it again at the Nth hit.\n\
               A trailing & returns to the prompt at once.",
        )
        .needs(Needs::Stop)
        .repeats(),
    row("stepi", &["si"], "[N]", "Execute one instruction, or N", parse::stepi)
        .needs(Needs::Stop)
        .repeats(),
    row("nexti", &["ni"], "[N]", "Execute one instruction, or N, over calls", parse::nexti)
        .needs(Needs::Stop)
        .repeats(),
    row(
        "step",
        &["s"],
        "[N]",
        "Go on to another line, into functions that are called",
        parse::step,
    )
    .needs(Needs::Stop)
    .repeats(),
    row("next", &["n"], "[N]", "Go on to another line, over calls", parse::next)
        .needs(Needs::Stop)
        .repeats(),
    row("finish", &["fin"], "", "Run until the selected frame returns", parse::finish)
        .needs(Needs::Stop)
        .repeats(),
    row("until", &["u"], "[LOCATION]", "Go on to a line further on", parse::until)
        .long(UNTIL_HELP)
        .completes(Complete::Location)
        .needs(Needs::Stop)
        .repeats(),
    row("advance", &[], "LOCATION", "Run until a location is reached", parse::advance)
        .long(ADVANCE_HELP)
        .completes(Complete::Location)
        .needs(Needs::Stop),
    row("interrupt", &[], "", "Stop the running program", parse::interrupt),
    row("signal", &[], "SIGNAL|0", "Run on and deliver a signal, or none", parse::signal)
        .completes(Complete::Signal)
        .needs(Needs::Stop),
    row("kill", &["k"], "", "Kill the program", parse::kill).needs(Needs::Stop),
    row("attach", &["att"], "PID", "Take over a running process", parse::attach),
    row("detach", &["det"], "[PID]", "Let go of the program, leaving it as it was", parse::detach)
        .needs(Needs::Stop),
    row("file", &[], "PROGRAM", "Debug this program from the next run on", parse::file)
        .completes(Complete::Path),
    // Breakpoints.
    row("break", &["b", "br", "brea"], "[SPEC]", "Set a breakpoint", parse::break_)
        .long(SPEC_HELP)
        .completes(Complete::Location),
    row("tbreak", &["tb"], "[SPEC]", "Set a breakpoint for one stop", parse::tbreak)
        .long(SPEC_HELP)
        .completes(Complete::Location),
    row("hbreak", &["hb"], "[SPEC]", "Set a hardware breakpoint", parse::hbreak)
        .long(SPEC_HELP)
        .completes(Complete::Location),
    row("thbreak", &["thb"], "[SPEC]", "Set a hardware breakpoint for one stop", parse::thbreak)
        .long(SPEC_HELP)
        .completes(Complete::Location),
    row(
        "rbreak",
        &["rb"],
        "REGEX",
        "Set a breakpoint on every function that matches",
        parse::rbreak,
    )
    .long("Takes the flags of `break` in front and `if EXPR` behind."),
    row("watch", &["wa"], "[-written] EXPR", "Stop when a value changes", parse::watch)
        .long("With -written, at every write, even of the same value.")
        .completes(Complete::Expression)
        .needs(Needs::Process),
    row("rwatch", &["rw"], "EXPR", "Stop when a value is read", parse::rwatch)
        .long(WATCH_HELP)
        .completes(Complete::Expression)
        .needs(Needs::Process),
    row("awatch", &["aw"], "EXPR", "Stop when a value is read or written", parse::awatch)
        .long(WATCH_HELP)
        .completes(Complete::Expression)
        .needs(Needs::Process),
    row(
        "condition",
        &["cond"],
        "N [EXPR]",
        "Give a breakpoint a condition, or none",
        parse::condition,
    )
    .completes(Complete::Expression),
    row("ignore", &[], "N COUNT", "Let the next COUNT hits of a breakpoint through", parse::ignore),
    row(
        "commands",
        &["comm"],
        "[N...]",
        "Say what to run when a breakpoint stops",
        parse::commands,
    )
    .long(
        "The commands follow, one a line, up to `end`. `silent` as the first one keeps the\n\
               stop from being shown. Without N, of the breakpoint set last.",
    ),
    row("hits", &[], "N [OP COUNT]", "Say which hits of a breakpoint count", parse::hits)
        .long("OP is ==, % or >=; without it, every hit counts."),
    row("enable", &["en"], "[N...]", "Turn breakpoints on; all without N", parse::enable)
        .long(NUMBERS_HELP),
    row("enable once", &["on"], "N...", "Turn them on for one stop, then off", parse::enable_once)
        .long(NUMBERS_HELP),
    row(
        "enable delete",
        &["del"],
        "N...",
        "Turn them on for one stop, then delete",
        parse::enable_delete,
    )
    .long(NUMBERS_HELP),
    row(
        "disable",
        &["dis", "disa"],
        "[N...]",
        "Turn breakpoints off; all without N",
        parse::disable,
    )
    .long(NUMBERS_HELP),
    row("delete", &["d", "del"], "[N...]", "Delete breakpoints; all without N", parse::delete)
        .long(NUMBERS_HELP),
    row("clear", &["cl"], "[LOCATION]", "Delete the breakpoints at a place", parse::clear)
        .completes(Complete::Location),
    row("save", &[], "breakpoints FILE", "Write settings to a file", parse::family_save),
    row(
        "save breakpoints",
        &["b"],
        "FILE",
        "Write the breakpoints as commands for `source`",
        parse::save,
    )
    .completes(Complete::Path),
    // Looking.
    row(
        "backtrace",
        &["bt", "where"],
        "[N] [full]",
        "Show the call stack; N innermost frames, -N outermost; full: with their variables",
        parse::backtrace,
    )
    .needs(Needs::Stop),
    row("frame", &["f"], "[N]", "Show a frame of the stack and choose it", parse::frame)
        .needs(Needs::Stop),
    row("up", &[], "[N]", "Choose the caller's frame", parse::up).needs(Needs::Stop).repeats(),
    row("down", &["dow"], "[N]", "Choose the called frame", parse::down)
        .needs(Needs::Stop)
        .repeats(),
    row("thread", &["t"], "[N]", "Show the selected thread, or choose one", parse::thread)
        .needs(Needs::Stop),
    row(
        "thread apply",
        &[],
        "all|N... COMMAND",
        "Run a command in several threads",
        parse::thread_apply,
    )
    .completes(Complete::Command)
    .needs(Needs::Stop),
    row("print", &["p", "inspect"], "[/F] EXPR", "Show the value of an expression", parse::print)
        .long(
            "F is x (hex), d, u, o, t (binary), a (address), c, f, s, or z (hex, padded); r before\n\
             it shows records as they are, without the views of library types.",
        )
        .completes(Complete::Expression)
        .needs(Needs::Stop),
    row("display", &[], "[/F] [EXPR]", "Show an expression at every stop", parse::display)
        .long("/F is a format of print or, with i, s or a count, of x: display/i $pc.")
        .completes(Complete::Expression),
    row("undisplay", &["und"], "[N...]", "Show some no more; all without N", parse::undisplay),
    row("output", &[], "[/F] EXPR", "Show a value alone, without remembering it", parse::output)
        .completes(Complete::Expression)
        .needs(Needs::Stop),
    row("x", &[], "[/NFU] [ADDRESS]", "Show memory", parse::examine)
        .long(
            "N units, in format F (x d u o t a c f, s for strings, i for instructions), each of\n\
               size U (b, h, w, g: 1, 2, 4, 8 bytes). Without an address, on from the last one.",
        )
        .completes(Complete::Expression)
        .needs(Needs::Stop)
        .repeats(),
    row("ptype", &["pt"], "EXPR|TYPE", "Show what a type is", parse::ptype)
        .completes(Complete::Expression),
    row("whatis", &["wha"], "EXPR", "Name the type of an expression", parse::whatis)
        .completes(Complete::Expression),
    row("disassemble", &["disas"], "[/rsm] [WHERE]", "Show instructions", parse::disassemble)
        .long(
            "WHERE is an address in a function, START,END or START,+LENGTH; without it, the\n\
               function where the program stands. /r shows the bytes, /s the source in the order of the\n\
             code, /m the code in the order of the source.",
        )
        .completes(Complete::Expression),
    row("list", &["l"], "[LOCATION|FIRST,LAST|-]", "Show source lines", parse::list)
        .completes(Complete::Location)
        .repeats(),
    row("info", &["i", "inf"], "WHAT", "Show something about the program", parse::family_info),
    row(
        "info breakpoints",
        &["b", "br"],
        "",
        "Breakpoints: hits, stops, mechanism and why",
        parse::info_breakpoints,
    ),
    row("info watchpoints", &["wat"], "", "Watches alone", parse::info_watchpoints),
    row("info threads", &["th"], "", "Threads and where they are", parse::info_threads)
        .needs(Needs::Process),
    row("info registers", &["r", "reg"], "[NAME...]", "Registers", parse::info_registers)
        .needs(Needs::Process),
    row("info display", &["di"], "", "What is shown at every stop", parse::info_display),
    row("info locals", &["lo"], "", "The variables of the selected frame", parse::info_locals)
        .needs(Needs::Stop),
    row("info args", &["ar"], "", "The arguments of the selected frame", parse::info_args)
        .needs(Needs::Stop),
    row("info frame", &["f"], "", "The selected frame", parse::info_frame).needs(Needs::Stop),
    row(
        "info sharedlibrary",
        &["sh", "dll"],
        "",
        "Loaded images and their symbols",
        parse::info_libraries,
    ),
    row(
        "info signals",
        &["sig", "handle"],
        "[SIGNAL]",
        "What happens at signals",
        parse::info_signals,
    )
    .completes(Complete::Signal),
    row(
        "info proc",
        &[],
        "[mappings]",
        "The process: command line, directory, memory",
        parse::info_process,
    )
    .needs(Needs::Process),
    row("info jump", &[], "N", "The jumps that serve a breakpoint, from inside", parse::info_jump)
        .long(
            "The program's bytes and ours, why the jump is placed as it is, and the code that
decides in the program, with a word on each step.",
        ),
    row("info views", &[], "", "Which types are shown in a way of their own", parse::info_views),
    row("info line", &["li"], "LOCATION", "Where the code of a line is", parse::info_line)
        .completes(Complete::Location),
    row(
        "info symbol",
        &["sym"],
        "ADDRESS",
        "Which symbol an address belongs to",
        parse::info_symbol,
    )
    .completes(Complete::Expression),
    row(
        "info scope",
        &["sc"],
        "LOCATION",
        "The variables at a location, and where each is",
        parse::info_scope,
    )
    .completes(Complete::Location),
    row("info source", &["so"], "", "The source file of the frame", parse::info_source)
        .needs(Needs::Stop),
    row("info program", &["pr"], "", "Whether the program runs", parse::info_program),
    // Settings.
    row(
        "handle",
        &["ha"],
        "SIGNAL... [no]stop|print|pass",
        "Say what happens at signals",
        parse::handle,
    )
    .long("SIGNAL is a name, a number, or `all`.")
    .completes(Complete::Signal),
    row(
        "maintenance",
        &["mt", "maint"],
        "WHAT",
        "Measure the debugger itself",
        parse::family_maintenance,
    ),
    row(
        "maintenance stop-resume",
        &[],
        "",
        "Measure one stop and resumption of all threads",
        parse::time_hold,
    )
    .needs(Needs::Process),
    row(
        "set",
        &[],
        "SETTING VALUE | EXPR",
        "Change a setting, or evaluate an assignment",
        parse::set_expression,
    )
    .completes(Complete::Expression),
    row(
        "set variable",
        &["var"],
        "VAR = EXPR",
        "Change a variable of the program",
        parse::set_variable,
    )
    .completes(Complete::Expression)
    .needs(Needs::Process),
    row("set args", &[], "[ARGS]", "The program's arguments at the next run", parse::set_args),
    row(
        "set environment",
        &["env"],
        "NAME=VALUE",
        "A variable of its environment at the next run",
        parse::set_environment,
    ),
    row("set cwd", &[], "[DIR]", "Its working directory at the next run", parse::set_directory)
        .completes(Complete::Path),
    row(
        "set disable-randomization",
        &[],
        "on|off",
        "Whether its addresses are the same at each run",
        parse::set_randomization,
    ),
    row(
        "set resume-policy",
        &[],
        "debugger|driver",
        "Who steps over a breakpoint on resuming",
        parse::set_resume_policy,
    )
    .long("debugger: we do. driver: resuming at a breakpoint reports it again and runs nothing."),
    row(
        "set scheduler-locking",
        &["sched"],
        "off|on|step|replay",
        "Whether the other threads run with the selected one",
        parse::set_scheduler_locking,
    )
    .long(
        "off: they do. on: they are locked whenever it runs. step: they are locked while it executes
instructions or lines. replay: as off, there being no recordings.
A locked thread does nothing and loses nothing; threads that are born meanwhile are locked too. A
thread that waits for a locked one waits until it is interrupted (Ctrl-C).",
    ),
    row(
        "set mechanism",
        &[],
        "auto|jump|trap",
        "What serves breakpoints on code that name no mechanism",
        parse::set_mechanism,
    )
    .long(
        "auto: a jump where there is something to decide in the program, else a trap.
jump, trap: always, where it can be.",
    ),
    row(
        "set jump-tactics",
        &[],
        "[whole] [pun] [window] | all",
        "How jumps may be written over code",
        parse::set_jump_tactics,
    )
    .long(
        "whole: over one instruction that is long enough.
pun: over a shorter one, the end of the offset being the bytes that follow.
window: over several, each of which traps where it began.
What none of them can serve is served by a trap.",
    ),
    row(
        "set over-cover",
        &[],
        "on|off",
        "Whether more bytes may be watched than asked, to save slots",
        parse::set_over_cover,
    ),
    row(
        "set substitute-path",
        &["subst"],
        "FROM TO",
        "Look below another folder for source files below one",
        parse::set_substitute_path,
    ),
    row(
        "set follow-children",
        &[],
        "on|off",
        "Whether forked children are debugged too",
        parse::set_follow_children,
    ),
    row(
        "set follow-fork-mode",
        &[],
        "parent|both",
        "gdb's name: parent alone, or children too",
        parse::set_follow_fork_mode,
    ),
    row(
        "set print",
        &[],
        "object on|off",
        "Whether C++ objects are shown as what they are",
        parse::set_print,
    )
    .long(
        "on: print shows the whole object behind a pointer or reference to a base class, by its table
of virtual functions; whatis and ptype name its class, too.
off: as its declared type has it.",
    ),
    row(
        "set leave-running",
        &[],
        "on|off",
        "Whether a launched program goes on when we end",
        parse::set_leave_running,
    ),
    row(
        "set disassembly-flavor",
        &[],
        "att|intel",
        "How instructions are written",
        parse::set_flavor,
    ),
    row(
        "set style",
        &[],
        "sources on|off",
        "Whether source has colours where the terminal shows any",
        parse::set_style,
    )
    .long("On at first, but for --batch. NO_COLOR turns all colours off."),
    row("set listsize", &[], "N", "How many lines `list` shows", parse::set_list_size),
    row(
        "set confirm",
        &[],
        "on|off",
        "Whether to ask before something is lost",
        parse::set_confirm,
    ),
    row("unset", &[], "environment NAME", "Remove something set before", parse::family_unset),
    row(
        "unset environment",
        &["env"],
        "NAME",
        "Remove a variable of the program's environment",
        parse::unset_environment,
    ),
    row(
        "unset substitute-path",
        &["subst"],
        "[FROM]",
        "Look for source files where they are said to be",
        parse::unset_substitute_path,
    ),
    row("show", &["sho"], "[SETTING]", "Show settings", parse::show),
    // Ourselves.
    row("source", &["so"], "FILE", "Run the commands of a file", parse::source)
        .completes(Complete::Path),
    row(
        "generate-core-file",
        &["gcore"],
        "[FILE]",
        "Write a core file of the program as it stands",
        parse::write_core,
    )
    .long("Without FILE, core.PID. It holds the program's own code and registers, and nothing of ours.")
    .completes(Complete::Path)
    .needs(Needs::Process),
    row("load-views", &[], "FILE", "Read how types are shown from a file", parse::load_views)
        .long("`docs/views.md` describes such files. What is read is tried before what was there.")
        .completes(Complete::Path),
    row("echo", &[], "TEXT", "Print text; \\n and \\t are understood", parse::echo),
    row("help", &["h"], "[COMMAND]", "Say what there is, or how to use a command", parse::help)
        .completes(Complete::Command),
    row(
        "apropos",
        &["apr"],
        "WORD",
        "Find commands whose help speaks of something",
        parse::apropos,
    ),
    row(
        "quit",
        &["q", "exit"],
        "",
        "End; an attached program goes on, a launched one is killed",
        parse::quit,
    ),
];

const UNTIL_HELP: &str = "Like next, but not back to a line before: it leaves loops.\n\
With LOCATION, until that is reached in the selected frame, or the frame returns.";

const ADVANCE_HELP: &str = "Until LOCATION is reached, in any frame of the thread, or the selected \
frame returns.";

/// Commands that gdb's users try and that are refused with a reason.
pub(crate) const REFUSED: &[(&str, &[&str], &str)] = &[
    ("jump", &["j"], "not there yet: use `set var $rip = ADDRESS`, then `continue`"),
    ("define", &[], "commands cannot be defined: write them into a file for `source`"),
    (
        "iobreak",
        &[],
        "I/O breakpoints need the debug extensions bit of CR4, which Linux does not \
                      give to any process: watch the memory behind the device instead",
    ),
];
