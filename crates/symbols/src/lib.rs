//! Reads programs: ELF, DWARF, lines, scopes, types, unwinding.
//!
//! An [`Image`] is one program file or shared object. It answers what a
//! debugger asks about code and data at rest: functions and lines to
//! addresses and back, symbols, types, where variables live, how to unwind.
//! Everything speaks [`trapline_core::ImageAddr`]; where an image was loaded
//! is the engine's business.

mod blocks;
mod bytes;
mod code;
mod demangle;
mod dies;
mod elf;
mod error;
mod files;
mod functions;
#[doc(hidden)]
pub mod fuzz;
mod image;
mod index;
mod line_headers;
mod line_map;
mod line_table;
mod lines;
mod live;
mod location;
mod names;
mod near;
mod offsets;
mod ranges;
mod reach;
mod restartable;
mod separate;
mod split;
mod suggest;
mod symbol_names;
mod symbols;
mod sys;
mod template_parameters;
mod types;
mod units;
mod unread;
mod unwind;
mod values;
mod variables;

pub use elf::{ImageKind, SectionInfo, Segment, Tls};
pub use error::{LoadError, LoadFailure};
pub use functions::{Function, InlinedCall};
pub use image::{Image, LoadOptions, Progress, ProgressFn, any_cut_short};
pub use line_map::{CallIndex, InlinedCalls, Line, LineMap, MappedCall, Stretch};
pub use lines::{LineError, LineMatch, LinePlace, SourceLine};
pub use live::lost_at;
pub use near::{Distance, Near};
pub use separate::DebugInfo;
pub use symbols::{SymbolHit, SymbolKind};
pub use sys::{GiveBack, give_back_with};
pub use template_parameters::TemplateParameter;
pub use types::LocalName;
pub use unwind::{FrameRegisters, PcKind, UnwindError, Unwound, unwind_without_cfi};
pub use variables::{
    CallSite, Callee, FunctionResult, Global, Passing, StaticMemberName, StaticMemberPlace,
    TailCall, Variable, VariableKind,
};
