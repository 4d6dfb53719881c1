//! Where a course of a thread through lines ends, as gdb decides it. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use trapline_core::{ImageAddr, VirtAddr};
use trapline_symbols::{CallIndex, LineMap};

use super::locking::Leave;
use crate::process::ReturnPoint;

/// Where a thread is to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// To the next line that it comes to, in calls as well.
    Into,
    /// To the next line that it comes to in its frame, or in the frame's caller.
    Over,
    /// The same, but not back to a line that lies before.
    Onward,
    /// Out of the frame.
    Out,
    /// To one of these places, or out of the frame.
    Places {
        /// The places.
        places: Vec<VirtAddr>,
        /// Whether they count in the frame alone.
        in_frame: bool,
    },
}

impl Goal {
    /// Whether it ends in functions that are called.
    pub(crate) fn goes_into_calls(&self) -> bool {
        matches!(self, Self::Into)
    }

    /// How the user lets the program go for it. gdb counts `until` with those
    /// that run freely.
    pub(super) fn leave(&self) -> Leave {
        match self {
            Self::Into | Self::Over => Leave::Stepping,
            Self::Onward | Self::Out | Self::Places { .. } => Leave::Freely,
        }
    }
}

/// The frame and line that a course began at, or has come to since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Departure {
    /// The start of the function.
    pub(crate) function: Option<VirtAddr>,
    /// Which run of it.
    pub(crate) cfa: Option<u64>,
    /// Where that returns to.
    pub(crate) returns_to: Option<ReturnPoint>,
    /// Where an exception may be caught that leaves it.
    pub(crate) catchers: Vec<VirtAddr>,
    /// The inlined calls that the frame is within, outermost first.
    pub(crate) calls: Vec<CallIndex>,
    /// The line: file and number.
    pub(crate) line: Option<(Arc<str>, u32)>,
    /// Where its code ends, as far as it lies together.
    pub(crate) line_end: Option<ImageAddr>,
}

/// What a place means to a course.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// The course ends.
    End {
        /// How many of the inlined calls that begin here are not entered.
        not_entered: usize,
    },
    /// The frame is left, in the midst of a line of another: the course is one
    /// of that from here on.
    Elsewhere {
        /// How many inlined calls begin here.
        beginning: usize,
    },
}

/// A course within one function.
pub(super) struct Lines<'a> {
    pub(super) map: &'a LineMap,
    pub(super) goal: &'a Goal,
    pub(super) from: &'a Departure,
    /// Whether it is under way from the activation that is asked about.
    pub(super) same_activation: bool,
}

impl Lines<'_> {
    /// Every place in the function that means something.
    pub(super) fn ends(&self) -> HashSet<ImageAddr> {
        let lines = self.map.stretches.iter().map(|stretch| stretch.start);
        let calls = self.map.inlined.edges.iter().copied();
        lines.chain(calls).filter(|place| self.arrival(*place).is_some()).collect()
    }

    /// What it means to come to a place in the function; `None` is nothing.
    pub(super) fn arrival(&self, place: ImageAddr) -> Option<Arrival> {
        let inlined = &self.map.inlined;
        let within = inlined.around(place);
        let begins = |call: &&CallIndex| inlined.begins_at(**call, place);
        let beginning = within.iter().rev().take_while(begins).count();
        let (entered, next) = within.split_at(within.len() - beginning);
        let inside = self.same_activation && entered.starts_with(&self.from.calls);
        let deeper = inside && entered.len() > self.from.calls.len();
        let end = |not_entered| Arrival::End { not_entered };
        match self.goal {
            Goal::Out => (!inside).then_some(end(beginning)),
            Goal::Places { .. } => None,
            Goal::Into if deeper => Some(end(beginning)),
            Goal::Over | Goal::Onward if deeper => None,
            _ => match next.first() {
                Some(&call) if inside => self.before_call(call, beginning).map(end),
                _ if self.at_line(place) => Some(end(beginning)),
                _ => (!inside).then_some(Arrival::Elsewhere { beginning }),
            },
        }
    }

    /// Where an inlined call is about to be entered: it is, by who goes into
    /// calls; who comes from another line stops before it.
    fn before_call(&self, call: CallIndex, beginning: usize) -> Option<usize> {
        let line = self.map.inlined.calls[call].line.as_ref();
        if line.map(|line| (line.file.clone(), line.number)) != self.from.line {
            return Some(beginning);
        }
        self.goal.goes_into_calls().then(|| beginning - 1)
    }

    /// Whether another line's statement begins at a place.
    fn at_line(&self, place: ImageAddr) -> bool {
        let Some(stretch) = self.map.stretch_at(place) else { return false };
        let Some(line) = &stretch.line else { return false };
        let other = self.from.line.as_ref() != Some(&(line.file.clone(), line.number));
        stretch.is_statement && stretch.start == place && other && !self.is_behind(place)
    }

    /// What lies before the end of the line's code, at which a loop goes back,
    /// is behind: it is the address that counts, as in gdb.
    fn is_behind(&self, place: ImageAddr) -> bool {
        *self.goal == Goal::Onward && self.from.line_end.is_some_and(|end| place < end)
    }
}
