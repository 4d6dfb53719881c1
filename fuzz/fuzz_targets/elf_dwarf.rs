//! Arbitrary bytes as a program file: nothing that reads ELF or DWARF may panic,
//! hang or read out of bounds, whatever the file claims.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| trapline_symbols::fuzz::fuzz_everything(bytes));
