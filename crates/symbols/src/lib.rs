//! Reads programs: ELF, DWARF, lines, scopes, types, unwinding.
