//! How much of anything an expression may hold. Text comes from users, files
//! and the network, so every limit is an error with a sentence, never a crash.

/// Longest source text in bytes.
pub const MAX_SOURCE: usize = 16 * 1024;

/// Deepest nesting of a syntax tree.
pub const MAX_DEPTH: usize = 100;

/// Most nodes of a checked program.
pub const MAX_NODES: usize = 4096;

/// Most bytes of a string that a comparison looks at.
pub const MAX_STRING: usize = 4096;

/// Most bytes of a value that is read as a whole.
pub const MAX_VALUE: u64 = 1024 * 1024;

/// Most pointers or references followed on the way to an object.
pub const MAX_MEMBER_WALK: usize = 16;

/// Deepest nesting of a printed value or type.
pub const MAX_PRINT_DEPTH: usize = 20;

/// Deepest nesting of views that are defined by others.
pub const MAX_VIEW_DEPTH: usize = 16;

/// Most records searched for one member: the object's own, its base classes
/// and its members without a name.
pub const MAX_RECORDS_SEARCHED: usize = 256;
