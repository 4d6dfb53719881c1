//! Arbitrary text as an expression: the parser may refuse it, never panic, hang
//! or exhaust the stack.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| trapline_expr::fuzz_parse(text));
