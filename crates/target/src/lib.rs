//! Targets: the only crate that talks to an operating system.
