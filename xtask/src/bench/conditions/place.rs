//! Where the subject is asked, and what: the same questions in C and in
//! Trapline's words. The subject is `debuggees/conditions.c`.

/// A function of the subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    /// About 2 ns.
    Short,
    /// About 10 ns.
    Long,
}

impl Function {
    pub(super) const BOTH: [Self; 2] = [Self::Short, Self::Long];

    /// What the subject takes as its argument.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
        }
    }

    /// The symbol.
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Short => "short_work",
            Self::Long => "long_work",
        }
    }
}

/// A place in a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Entry,
    Middle,
}

impl Place {
    pub(super) const BOTH: [Self; 2] = [Self::Entry, Self::Middle];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Middle => "middle",
        }
    }

    /// The macro that compiles a condition in there.
    pub(super) const fn macro_name(self) -> &'static str {
        match self {
            Self::Entry => "ENTRY_IF",
            Self::Middle => "MIDDLE_IF",
        }
    }

    /// The variable that the function computes with there.
    const fn variable(self) -> &'static str {
        match self {
            Self::Entry => "seed",
            Self::Middle => "mixed",
        }
    }
}

/// What is asked at every pass. Never true; only of [`Condition::Hits`] the
/// part in front of the count is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    One,
    /// Three terms with two dereferences; all are looked at, the last is false.
    Three,
    Hits,
    Thread,
    Text,
}

impl Condition {
    pub(super) const ALL: [Self; 5] =
        [Self::One, Self::Three, Self::Hits, Self::Thread, Self::Text];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::One => "one comparison",
            Self::Three => "three terms",
            Self::Hits => "hit count",
            Self::Thread => "thread filter",
            Self::Text => "string compare",
        }
    }

    /// In C, as a programmer would compile it in: the count is for one thread,
    /// the thread is compared with what it noted of itself.
    pub(super) fn in_c(self, place: Place) -> String {
        match self {
            Self::One => ONE.to_owned(),
            Self::Three => three(place),
            Self::Hits => format!("{COUNTED} && ++hits == {NEVER_REACHED}"),
            Self::Thread => "own_tid == 1".to_owned(),
            Self::Text => "strcmp(item->name, \"blocked\") == 0".to_owned(),
        }
    }

    /// As an argument of Trapline's `break`, at a location.
    pub(super) fn spec(self, place: Place, location: &str) -> String {
        match self {
            Self::One => format!("{location} if {ONE}"),
            Self::Three => format!("{location} if {}", three(place)),
            Self::Hits => format!("-hits '== {NEVER_REACHED}' {location} if {COUNTED}"),
            Self::Thread => format!("-filter '$_tid == 1' {location}"),
            Self::Text => format!("{location} if $_streq(item->name, \"blocked\")"),
        }
    }
}

/// The comparison that every peer makes too.
pub(super) const ONE: &str = "turn == -1";
/// True at every pass.
const COUNTED: &str = "turn >= 0";
/// Hits that take weeks.
const NEVER_REACHED: u64 = 1_000_000_000_000_000;

fn three(place: Place) -> String {
    format!("turn >= 0 && item->owner->level == 3 && {} == 0", place.variable())
}
