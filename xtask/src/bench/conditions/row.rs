//! The rows: who is asked what, where, with how many threads.

use std::fmt;

use super::place::{Condition, Function, Place};

/// Who evaluates the condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// Nobody: the program as it is.
    Bare,
    /// The program itself.
    CompiledIn,
    Trapline,
    Gdb,
    Lldb,
    /// gdb's agent inside the program.
    FastTracepoint,
    /// The kernel, by an event's filter.
    Uprobe,
}

impl Who {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::CompiledIn => "compiled in",
            Self::Trapline => "trapline",
            Self::Gdb => "gdb",
            Self::Lldb => "lldb",
            Self::FastTracepoint => "gdb ftrace",
            Self::Uprobe => "uprobe",
        }
    }
}

/// One line of the table. For [`Who::Bare`] the place and the condition say
/// nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) who: Who,
    pub(super) function: Function,
    pub(super) place: Place,
    pub(super) condition: Condition,
    pub(super) threads: u32,
}

impl Row {
    /// A row with one thread.
    pub(super) const fn new(
        who: Who,
        function: Function,
        place: Place,
        condition: Condition,
    ) -> Self {
        Self { who, function, place, condition, threads: 1 }
    }

    /// The function with nothing asked.
    pub(super) const fn bare(function: Function) -> Self {
        Self::new(Who::Bare, function, Place::Entry, Condition::One)
    }

    /// The same, with another number of threads.
    pub(super) const fn threads(self, threads: u32) -> Self {
        Self { threads, ..self }
    }

    /// What is asked, and where.
    pub(super) fn question(&self) -> String {
        let (function, place) = (self.function.name(), self.place.name());
        format!("{function} {place}, {}", self.condition.name())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.who.name();
        if self.who == Who::Bare {
            return write!(f, "{}: {who}", self.function.name());
        }
        match self.threads {
            1 => write!(f, "{}: {who}", self.question()),
            threads => write!(f, "{}, {threads} threads: {who}", self.question()),
        }
    }
}

/// Every row, in the order in which they are sampled and shown: what is compared
/// closest together.
pub(super) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for function in Function::BOTH {
        rows.push(Row::bare(function));
        for place in Place::BOTH {
            rows.extend(of_place(function, place));
        }
    }
    rows.extend(peers());
    rows
}

fn of_place(function: Function, place: Place) -> Vec<Row> {
    let pair = |condition, threads| {
        [Who::CompiledIn, Who::Trapline]
            .map(|who| Row::new(who, function, place, condition).threads(threads))
    };
    let mut rows: Vec<Row> = Condition::ALL.iter().flat_map(|&it| pair(it, 1)).collect();
    rows.extend(pair(Condition::One, 2));
    rows
}

/// One comparison at the short function's entry; the fast tracepoint needs an
/// instruction of five bytes, which only the middle has.
pub(super) fn peers() -> [Row; 4] {
    let peer = |who, place| Row::new(who, Function::Short, place, Condition::One);
    [
        peer(Who::Gdb, Place::Entry),
        peer(Who::Lldb, Place::Entry),
        peer(Who::Uprobe, Place::Entry),
        peer(Who::FastTracepoint, Place::Middle),
    ]
}
