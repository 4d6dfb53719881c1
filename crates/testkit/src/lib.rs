//! Builds debuggees, finds marks, blesses goldens, checks for leaks.
