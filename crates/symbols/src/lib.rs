//! Reads programs: ELF, DWARF, lines, scopes, types, unwinding.
//!
//! An [`Image`] is one program file or shared object. It answers what a
//! debugger asks about code and data at rest: functions and lines to
//! addresses and back, symbols, types, where variables live, how to unwind.
//! Everything speaks [`trapline_core::ImageAddr`]; where an image was loaded
//! is the engine's business.

mod bytes;
mod elf;
mod error;
mod image;
mod ranges;
mod separate;
mod sys;
mod units;

pub use elf::{ImageKind, SectionInfo, Segment, Tls};
pub use error::{LoadError, LoadFailure};
pub use image::{Image, LoadOptions, Progress, ProgressFn};
pub use separate::DebugInfo;
