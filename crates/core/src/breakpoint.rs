//! What a user can ask for: logical breakpoints, before anything is resolved.
//!
//! Words: *passes* are executions of the place; *hits* are passes whose filter
//! and condition held; *stops* are what the user saw.

use std::fmt;

use crate::x64::debug::Access;

/// How a breakpoint is served in the debuggee.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mechanism {
    /// A jump to code of ours that decides in the debuggee.
    Jump,
    /// `int3` over the first byte of an instruction.
    Trap,
    /// A debug register.
    Hardware,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jump => "jump",
            Self::Trap => "trap",
            Self::Hardware => "hardware",
        })
    }
}

/// Everything that can be said about one breakpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakpointSpec {
    /// Where or what.
    pub subject: Subject,
    /// Stop only when this expression is true.
    pub condition: Option<String>,
    /// Stop only when the value of this expression differs from the last pass.
    pub changed: Option<String>,
    /// Consider only passes for which this expression over processes and
    /// threads is true; checked before everything else.
    pub filter: Option<String>,
    /// Which hits count.
    pub hits: Option<HitRule>,
    /// Hits still to be let through (gdb's `ignore`).
    pub ignore: u64,
    /// Write this message at each counted hit and go on.
    pub log: Option<String>,
    /// Commands to run at each stop.
    pub commands: Vec<String>,
    /// Go on after the stop was reported.
    pub auto_continue: bool,
    /// Delete after the first stop.
    pub temporary: bool,
    /// Whether it is armed.
    pub enabled: bool,
    /// Names of the groups it belongs to.
    pub names: Vec<String>,
}

impl BreakpointSpec {
    /// A breakpoint that stops at every pass.
    pub fn at(subject: Subject) -> Self {
        Self {
            subject,
            condition: None,
            changed: None,
            filter: None,
            hits: None,
            ignore: 0,
            log: None,
            commands: Vec::new(),
            auto_continue: false,
            temporary: false,
            enabled: true,
            names: Vec::new(),
        }
    }
}

/// What a breakpoint is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The program reaching a place.
    Code {
        /// The place as gdb writes it: `function`, `file:line`, `*expression`,
        /// `function+offset`.
        location: String,
        /// The mechanism asked for; `None` leaves the choice to us.
        mechanism: Option<Mechanism>,
    },
    /// Every function whose name matches a regular expression.
    Functions {
        /// The regular expression.
        regex: String,
    },
    /// The program touching data.
    Data {
        /// What: an expression, or `*ADDRESS@LENGTH`.
        expression: String,
        /// Which touches.
        access: Access,
        /// Whether a write that leaves the value as it was counts
        /// (`watch` says no, `watch -written` yes).
        trigger: DataTrigger,
    },
}

/// When a touch of watched data is a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataTrigger {
    /// When the value changed.
    Changed,
    /// Whenever it was touched.
    Touched,
}

/// Which hits of a breakpoint count: Visual Studio's hit-count modes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HitRule {
    /// Only hit number N.
    Equal(u64),
    /// Every Nth hit.
    Multiple(u64),
    /// Hit number N and all after it.
    AtLeast(u64),
}

impl HitRule {
    /// Reads `== 5`, `% 100`, `>= 7`, or a bare `5` (at least, as editors
    /// mean it).
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.trim_start_matches(['=', '%', '>', ' ']);
        let operator = text[..text.len() - digits.len()].trim();
        let count = digits
            .parse::<u64>()
            .map_err(|_| format!("`{text}` is not a hit count: write `== N`, `% N` or `>= N`"))?;
        if count == 0 {
            return Err("a hit count starts at 1".to_owned());
        }
        match operator {
            "" | ">=" => Ok(Self::AtLeast(count)),
            "==" | "=" => Ok(Self::Equal(count)),
            "%" => Ok(Self::Multiple(count)),
            ">" => Ok(Self::AtLeast(count.saturating_add(1))),
            _ => Err(format!("`{operator}` is not one of `==`, `%`, `>=`")),
        }
    }

    /// Whether hit number `hit` (counted from 1) counts.
    pub fn accepts(self, hit: u64) -> bool {
        match self {
            Self::Equal(count) => hit == count,
            Self::Multiple(count) => hit.is_multiple_of(count),
            Self::AtLeast(count) => hit >= count,
        }
    }
}

impl fmt::Display for HitRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(count) => write!(f, "== {count}"),
            Self::Multiple(count) => write!(f, "% {count}"),
            Self::AtLeast(count) => write!(f, ">= {count}"),
        }
    }
}

/// What happened at a breakpoint so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Executions of the place, or touches of the data.
    pub passes: u64,
    /// Passes whose filter and condition held.
    pub hits: u64,
    /// Stops the user saw.
    pub stops: u64,
    /// Passes whose condition could not be evaluated.
    pub errors: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hit_rules_read_and_decide() {
        let check = |text: &str, expected: &[u64]| {
            let rule = HitRule::parse(text).unwrap();
            let accepted: Vec<u64> = (1..=6).filter(|&hit| rule.accepts(hit)).collect();
            assert_eq!(accepted, expected, "{text}");
            assert_eq!(HitRule::parse(&rule.to_string()), Ok(rule));
        };
        check("== 3", &[3]);
        check("=2", &[2]);
        check("% 2", &[2, 4, 6]);
        check(">= 5", &[5, 6]);
        check("4", &[4, 5, 6]);
        check("> 4", &[5, 6]);
        for wrong in ["", "== x", "% 0", "=> 1", "5 5"] {
            assert!(HitRule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
