//! What serves a location, and why it is that: kept as facts, put into words
//! when somebody asks.

use std::fmt;
use std::sync::Arc;

use trapline_core::breakpoint::Mechanism;
use trapline_core::plan::Reason;
use trapline_patch::jump::Tactic;

/// What serves a location; else why nothing does, a sentence for the user.
pub(crate) type Service = Result<Served, Arc<str>>;

/// The site of a location in a few words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Served {
    pub(crate) mechanism: Mechanism,
    pub(crate) reason: Reason,
    pub(crate) manner: Manner,
}

/// What is particular about how a site serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// Nothing.
    Usual,
    /// A jump is placed so.
    Jump(Tactic),
    /// There is no jump, for this reason.
    Jumpless(Arc<str>),
    /// A trap is passed by a step in its place, for this reason.
    Held(Arc<str>),
    /// A second slot beside each that matches reads matches the writes alone.
    Paired,
    /// Slots match reads and writes, and there is no second one beside each.
    Unpaired,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason;
        match &self.manner {
            Manner::Usual => reason.fmt(f),
            Manner::Jump(tactic) => write!(f, "{reason}, by {}", tactic.described()),
            Manner::Jumpless(why) => write!(f, "{reason}: {why}"),
            Manner::Held(why) => write!(f, "{reason}; passed with all threads held: {why}"),
            Manner::Paired => {
                write!(f, "{reason}; reads are told from writes by a paired write slot")
            }
            Manner::Unpaired => write!(
                f,
                "{reason}; reads are told from writes by decoding the instruction, \
                 as no slot is free for a pair"
            ),
        }
    }
}
