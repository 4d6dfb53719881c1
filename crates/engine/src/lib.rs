//! The debugger: session, run loop, breakpoints, evaluation.
