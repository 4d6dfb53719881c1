//! Identities handed out by the kernel (processes, threads) and by a session
//! (breakpoints, locations, modules). Small, typed, never reused within a
//! session where the session hands them out.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name($raw);

        impl $name {
            /// Wraps the raw number.
            pub const fn new(raw: $raw) -> Self {
                Self(raw)
            }

            /// The raw number.
            pub const fn get(self) -> $raw {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// A process (on Linux the thread group's id).
    Pid(i32)
}
id! {
    /// A thread, in the kernel's numbering.
    Tid(i32)
}
id! {
    /// A logical breakpoint, as the user sees it: 1, 2, 3, ...
    BreakpointId(u32)
}
id! {
    /// An image loaded somewhere in the session.
    ModuleId(u32)
}

impl Pid {
    /// The thread that leads this process: on Linux it bears the same number.
    pub const fn leader(self) -> Tid {
        Tid::new(self.get())
    }
}

/// One address a breakpoint resolved to. Shown as `3.1`: breakpoint 3, its
/// first location.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocationId {
    /// The breakpoint it belongs to.
    pub breakpoint: BreakpointId,
    /// Counted from 1 within the breakpoint.
    pub index: u32,
}

impl fmt::Display for LocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.breakpoint, self.index)
    }
}
