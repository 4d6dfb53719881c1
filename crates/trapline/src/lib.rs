//! A native debugger whose breakpoints cost nothing until they hit.
