//! Moving and printing x86-64 code: instruction facts, relocation, near allocation.
